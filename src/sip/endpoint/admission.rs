//! A new call: every reason to refuse it, and then its beginning.
//!
//! Between `server`, which found that an INVITE belongs to no dialog, and the application, which is told who
//! calls. The reasons are looked at cheapest first, and no state is made before the last of them.

use super::Due;
use super::Endpoint;
use super::Machine;
use super::TransactionKey;
use super::call::Call;
use super::call::Offered;
use super::call::Phase;
use super::server::Path;
use super::server::Refusal;
use super::server::check_require;
use super::server::offer_of;
use super::session;
use super::session::Wish;
use crate::sip::dialog::Dialog;
use crate::sip::event::CallKey;
use crate::sip::event::Event;
use crate::sip::event::Identity;
use crate::sip::event::Incoming;
use crate::sip::transaction::InviteServer;
use crate::sip::wire::body;
use crate::sip::wire::header::Name;
use crate::sip::wire::header::NameAddr;
use crate::sip::wire::message::Request;
use crate::sip::wire::print::Echo;
use crate::sip::wire::print::Headers;
use crate::sip::wire::print::SDP;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

/// §17.2.1: an INVITE is answered 100 if nothing better was said by then.
const TRYING_AFTER: Duration = Duration::from_millis(200);

impl Endpoint {
    pub(super) fn trunk_of(&self, source: SocketAddr) -> Option<usize> {
        self.config.trunks.iter().position(|t| t.networks.iter().any(|n| n.contains(source.ip())))
    }

    /// Every reason to refuse a new call, cheapest first; then the call.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        path: Path,
        request: &Request,
        key: TransactionKey,
        trunk: usize,
    ) -> Result<(), Refusal> {
        let limits = self.config.limits;
        let full = self.live_calls >= limits.calls_max || self.transactions.len() >= limits.transactions_max;
        if self.draining || full || !self.admit_in_second(now) {
            self.counters.shed += 1;
            return Err(self.unavailable());
        }
        let trunk_full = self
            .config
            .trunks
            .get(trunk)
            .zip(self.per_trunk.get(trunk))
            .is_none_or(|(config, count)| *count >= config.calls_max);
        let from_source = self.per_source.get(&path.source.ip()).copied().unwrap_or(0);
        if trunk_full || from_source >= limits.calls_per_source_max {
            return Err(Refusal::new(486));
        }
        let merge_key = merge_key(request);
        if self.by_merge_key.contains_key(&merge_key) {
            return Err(Refusal::new(482));
        }
        check_require(request)?;
        check_accept(request)?;
        let offer = offer_of(request)?;
        let session = self.session_of(request)?;
        self.begin(now, path, request, key, trunk, merge_key, offer, session);
        Ok(())
    }

    /// A counter that starts anew with each second in which calls come.
    fn admit_in_second(&mut self, now: Instant) -> bool {
        let fresh =
            self.admitted.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1));
        if fresh {
            self.admitted.since = Some(now);
            self.admitted.count = 0;
        }
        self.admitted.count = self.admitted.count.saturating_add(1);
        self.admitted.count <= self.config.limits.new_calls_per_second_max
    }

    pub(super) fn session_of(&self, request: &Request) -> Result<Option<session::Session>, Refusal> {
        let min_s = self.config.limits.min_session_s;
        match session::wish(&request.fields, min_s) {
            Wish::None => Ok(None),
            Wish::Timer(session) => Ok(Some(session)),
            Wish::TooShort => Err(Refusal::with(422, Headers::new().min_se(min_s))),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that admission has found out, used once")]
    fn begin(
        &mut self,
        now: Instant,
        path: Path,
        request: &Request,
        key: TransactionKey,
        trunk: usize,
        merge_key: Box<[u8]>,
        offer: Option<Bytes>,
        session: Option<session::Session>,
    ) {
        self.call_issued += 1;
        self.counters.incoming += 1;
        let call = CallKey::incoming(self.call_issued);
        let tag = self.identifiers.fresh();
        let echo = Echo::new(&request.fields, Some(&request.via), path.source, Some(&tag));
        let transaction =
            self.add_server(path, key, Machine::InviteServer(InviteServer::start()), call, Some(merge_key));
        let late = offer.is_none();
        let offered = Offered { transaction, echo, cseq: request.cseq, late, invite: true, session };
        let dialog = Dialog::accept(request, &tag, path.local, path.source);
        let peer_updates = request.fields.lists(Name::Allow, "UPDATE");
        self.add_call(
            call,
            Call {
                dialog,
                trunk: Some(trunk),
                source: path.source.ip(),
                phase: Phase::Offered { transaction, request: offered, provisional: false },
                unacknowledged: None,
                offer: None,
                asking: None,
                session: None,
                local_sdp: Bytes::new(),
                peer_updates,
                hang_up_wanted: false,
                over: false,
                established: false,
                last_info: None,
            },
        );
        self.after(now, TRYING_AFTER, Due::Trying(call));
        let trunk = self.config.trunks.get(trunk).map_or_else(String::new, |t| t.name.clone());
        self.tell(Event::Incoming(Box::new(incoming(call, path, request, trunk, offer))));
    }
}

/// §8.2.2.2: what two INVITEs share that are one by two paths.
fn merge_key(request: &Request) -> Box<[u8]> {
    let mut key = Vec::with_capacity(96);
    for part in [request.from.tag().unwrap_or_default().as_bytes(), request.call_id.as_bytes()] {
        key.extend_from_slice(part);
        key.push(0);
    }
    key.extend_from_slice(&request.cseq.to_be_bytes());
    key.into()
}

/// §20.1: a caller that will not take a session description cannot be answered.
fn check_accept(request: &Request) -> Result<(), Refusal> {
    let Some(types) = request.fields.elements(Name::Accept).filter(|t| !t.is_empty()) else {
        return Ok(());
    };
    let takes = types
        .iter()
        .map(|t| body::media_type(t))
        .any(|t| t.eq_ignore_ascii_case(SDP) || t == "*/*" || t.eq_ignore_ascii_case("application/*"));
    if takes { Ok(()) } else { Err(Refusal::new(406)) }
}

fn incoming(call: CallKey, path: Path, request: &Request, trunk: String, offer: Option<Bytes>) -> Incoming {
    let from = identity(&request.from);
    let asserted = request.fields.name_addrs(Name::PAssertedIdentity).iter().map(identity).collect();
    let hidden = |v: &str| ["id", "user", "header"].iter().any(|p| v.trim().eq_ignore_ascii_case(p));
    let privacy =
        request.fields.text(Name::Privacy).any(|v| v.split([';', ',']).any(hidden)) || from.is_anonymous();
    Incoming {
        call,
        source: path.source,
        local: path.local,
        trunk,
        request_user: request.uri.telephone().unwrap_or_default(),
        from,
        asserted,
        privacy,
        offer,
        call_id: request.call_id.to_string(),
    }
}

fn identity(address: &NameAddr) -> Identity {
    Identity {
        display: address.display.clone(),
        user: address.uri.telephone().unwrap_or_default(),
        host: address.uri.host().to_owned(),
        phone_context: address.uri.phone_context(),
    }
}
