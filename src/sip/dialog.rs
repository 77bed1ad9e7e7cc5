//! One dialog of RFC 3261 §12: who talks to whom, along which route, and in which order.
//!
//! Made when an INVITE comes or leaves, read for every request inside the call. It decides addresses and
//! sequence; it never sends and never looks at bodies.

use super::event::Invite;
use super::wire::header::Name;
use super::wire::header::NameAddr;
use super::wire::message::Fields;
use super::wire::message::Method;
use super::wire::message::Request;
use super::wire::message::Response;
use super::wire::print::Body;
use super::wire::print::Headers;
use super::wire::print::Outgoing;
use super::wire::uri::Uri;
use bytes::Bytes;
use std::net::IpAddr;
use std::net::SocketAddr;

/// The state of §12, from our side.
#[derive(Clone)]
pub(super) struct Dialog {
    pub(super) call_id: Box<str>,
    pub(super) local_tag: Box<str>,
    /// `None` until the peer has answered our INVITE.
    pub(super) remote_tag: Option<Box<str>>,
    /// From of our requests, with our tag.
    local_party: Box<str>,
    /// To of our requests, with the peer's tag.
    remote_party: Box<str>,
    /// The peer's Contact: Request-URI of our requests.
    target: Box<str>,
    /// Route set, first hop first.
    routes: Vec<String>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    /// Our address.
    pub(super) local: SocketAddr,
    /// Where the dialog's first message came from, the way back when no route says better.
    peer: SocketAddr,
}

/// Where a request stands in the peer's sequence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Next,
    /// §12.2.2: lower than the last one; answered 500.
    Old,
}

impl Dialog {
    /// §12.1.1: an INVITE came and we named our side `local_tag`.
    pub(super) fn accept(request: &Request, local_tag: &str, local: SocketAddr, source: SocketAddr) -> Self {
        let to = request.fields.first(Name::To).unwrap_or_default();
        let from = request.fields.first(Name::From).unwrap_or_default();
        let target = request.contact.as_ref().map_or_else(|| request.from.uri.as_str(), |c| c.uri.as_str());
        Self {
            call_id: request.call_id.clone(),
            local_tag: local_tag.into(),
            remote_tag: request.from.tag().map(Into::into),
            local_party: format!("{to};tag={local_tag}").into(),
            remote_party: from.into(),
            target: target.into(),
            routes: request.fields.elements(Name::RecordRoute).unwrap_or_default(),
            local_cseq: 0,
            remote_cseq: Some(request.cseq),
            local,
            peer: source,
        }
    }

    /// An INVITE of ours is about to leave.
    pub(super) fn call(invite: &Invite, call_id: &str, local_tag: &str, local: SocketAddr) -> Self {
        Self {
            call_id: call_id.into(),
            local_tag: local_tag.into(),
            remote_tag: None,
            local_party: format!("{};tag={local_tag}", invite.from).into(),
            remote_party: format!("<{}>", invite.target).into(),
            target: invite.target.as_str().into(),
            routes: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
            local,
            peer: invite.destination,
        }
    }

    /// §12.1.2: the peer answered our INVITE with 2xx.
    pub(super) fn answered(&mut self, response: &Response) {
        self.remote_tag = response.to.tag().map(Into::into);
        self.remote_party = response.fields.first(Name::To).unwrap_or_default().into();
        self.routes = reversed(&response.fields);
        self.refresh_target(response.contact.as_ref());
    }

    /// §12.2.1.2 and §12.2.2: a target refresh moves the remote target, never the route set.
    pub(super) fn refresh_target(&mut self, contact: Option<&NameAddr>) {
        if let Some(contact) = contact {
            self.target = contact.uri.as_str().into();
        }
    }

    /// Whether `remote_tag` and `call_id` are those of this dialog.
    pub(super) fn matches(&self, call_id: &str, remote_tag: Option<&str>) -> bool {
        *self.call_id == *call_id && self.remote_tag.as_deref() == remote_tag
    }

    /// Judges and notes the sequence number of a request that came in.
    pub(super) fn order(&mut self, cseq: u32) -> Order {
        if self.remote_cseq.is_some_and(|last| cseq < last) {
            return Order::Old;
        }
        self.remote_cseq = Some(cseq);
        Order::Next
    }

    /// The CSeq of the next request of ours.
    pub(super) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// A request of ours in this dialog. CSeq is the caller's to count: ACK and CANCEL repeat one.
    pub(super) fn print(
        &self,
        method: &Method,
        cseq: u32,
        branch: &str,
        headers: &Headers,
        body: Option<Body<'_>>,
    ) -> Bytes {
        let (uri, routes) = self.next_hop();
        let outgoing = Outgoing {
            method,
            uri: &uri,
            local: self.local,
            branch,
            routes: &routes,
            from: &self.local_party,
            to: &self.remote_party,
            call_id: &self.call_id,
            cseq,
        };
        outgoing.print(headers, body)
    }

    /// The ACK to a failure of our INVITE (§17.1.1.3): the INVITE's own branch, and the To of the response.
    pub(super) fn print_failure_ack(&self, cseq: u32, branch: &str, response: &Response) -> Bytes {
        let to = response.fields.first(Name::To).unwrap_or_default();
        let (uri, routes) = self.next_hop();
        let outgoing = Outgoing {
            method: &Method::Ack,
            uri: &uri,
            local: self.local,
            branch,
            routes: &routes,
            from: &self.local_party,
            to: &to,
            call_id: &self.call_id,
            cseq,
        };
        outgoing.print(&Headers::new(), None)
    }

    /// §12.2.1.1: Request-URI and Route. A first hop without `lr` is a strict router and takes the
    /// Request-URI's place.
    fn next_hop(&self) -> (String, Vec<String>) {
        let strict =
            self.routes.first().and_then(|r| NameAddr::parse(r).ok()).filter(|r| r.uri.param("lr").is_none());
        let Some(first) = strict else {
            return (self.target.to_string(), self.routes.clone());
        };
        let mut routes: Vec<String> = self.routes.iter().skip(1).cloned().collect();
        routes.push(format!("<{}>", self.target));
        (first.uri.as_str().to_owned(), routes)
    }

    /// Where our requests go. Names are not resolved here, and a private address behind a NAT cannot be
    /// reached: then the way back is where the peer's packets come from.
    pub(super) fn destination(&self) -> SocketAddr {
        let hop = match self.routes.first() {
            Some(route) => NameAddr::parse(route).ok().map(|r| r.uri),
            None => Uri::parse(&self.target).ok(),
        };
        let written = hop.and_then(|uri| Some(SocketAddr::new(uri.ip()?, uri.port().unwrap_or(SIP_PORT))));
        match written {
            Some(written) if is_private(written.ip()) && !is_private(self.peer.ip()) => self.peer,
            Some(written) if written.is_ipv4() == self.peer.is_ipv4() => written,
            _ => self.peer,
        }
    }
}

/// Default port of SIP over UDP.
pub(super) const SIP_PORT: u16 = 5060;

fn reversed(fields: &Fields) -> Vec<String> {
    let mut routes = fields.elements(Name::RecordRoute).unwrap_or_default();
    routes.reverse();
    routes
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    }
}
