//! Requests of the peer: matched to transactions, admitted or refused, and handed to their dialog.
//!
//! What cannot become a call is answered without being remembered (RFC 3261 §8.2.7), so that scanners and
//! overload cost one datagram each. State is made last, after every reason to refuse has been looked at.

use super::Due;
use super::Endpoint;
use super::Machine;
use super::Purpose;
use super::Transaction;
use super::TransactionId;
use super::TransactionKey;
use super::call::Offered;
use super::call::Phase;
use crate::sip::dialog::Order;
use crate::sip::dialog::SIP_PORT;
use crate::sip::event::CallKey;
use crate::sip::event::EndedBy;
use crate::sip::event::Event;
use crate::sip::info;
use crate::sip::info::Reading;
use crate::sip::transaction::InviteServer;
use crate::sip::transaction::Server;
use crate::sip::transaction::ServerInput;
use crate::sip::wire::body;
use crate::sip::wire::header::Name;
use crate::sip::wire::header::NameAddr;
use crate::sip::wire::header::Via;
use crate::sip::wire::message::Method;
use crate::sip::wire::message::Refused;
use crate::sip::wire::message::Request;
use crate::sip::wire::print::Echo;
use crate::sip::wire::print::Headers;
use crate::sip::wire::print::SDP;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Instant;

/// Where a request came from and where its answers go.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) source: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) back: SocketAddr,
}

/// An answer that is given without making state.
pub(super) struct Refusal {
    status: u16,
    headers: Headers,
}

impl Refusal {
    pub(super) const fn new(status: u16) -> Self {
        Self { status, headers: Headers::new() }
    }

    pub(super) const fn with(status: u16, headers: Headers) -> Self {
        Self { status, headers }
    }
}

/// §14.2: Retry-After of a 500 to an offer that crosses another.
const CROSSED_RETRY_S: u32 = 2;

impl Endpoint {
    pub(super) fn refuse(&mut self, source: SocketAddr, local: SocketAddr, refused: &Refused) {
        self.counters.refused += 1;
        let tag = self.identifiers.derived(&[refused.fields.raw(Name::CallId).next().unwrap_or_default()]);
        let tagged = refused.fields.first(Name::To).and_then(|v| NameAddr::parse(&v).ok());
        let tag = tagged.is_some_and(|to| to.tag().is_none()).then_some(tag);
        let echo = Echo::new(&refused.fields, refused.via.as_ref(), source, tag.as_deref());
        let bytes = echo.response(refused.status, Some(refused.reason), &Headers::new(), None);
        let back = refused.via.as_ref().map_or(source, |via| way_back(via, source));
        self.send(local, back, bytes);
    }

    pub(super) fn request(&mut self, now: Instant, source: SocketAddr, local: SocketAddr, request: &Request) {
        let path = Path { source, local, back: way_back(&request.via, source) };
        if request.method == Method::Cancel {
            return self.cancelled(now, path, request);
        }
        let key = key(request);
        if let Some(id) = self.by_key.get(&key).copied() {
            if request.method != Method::Ack {
                self.counters.repeated += 1;
                return self.step_server(now, id, ServerInput::Request);
            }
            self.step_server(now, id, ServerInput::Ack);
        }
        if request.method == Method::Ack {
            return self.ack(now, request);
        }
        match request.to.tag() {
            Some(tag) => self.in_dialog(now, path, request, key, tag),
            None => self.out_of_dialog(now, path, request, key),
        }
    }

    fn reply(&mut self, path: Path, request: &Request, refusal: &Refusal) {
        let tag = request.to.tag().is_none().then(|| {
            let from = request.from.tag().unwrap_or_default();
            self.identifiers.derived(&[request.call_id.as_bytes(), from.as_bytes()])
        });
        let echo = Echo::new(&request.fields, Some(&request.via), path.source, tag.as_deref());
        let bytes = echo.response(refusal.status, None, &refusal.headers, None);
        self.send(path.local, path.back, bytes);
    }

    fn reply_refused(&mut self, path: Path, request: &Request, refusal: &Refusal) {
        self.counters.refused += 1;
        self.reply(path, request, refusal);
    }

    /// §9.2. Answered without state: as long as the INVITE is remembered, a repeated CANCEL finds it again.
    fn cancelled(&mut self, now: Instant, path: Path, request: &Request) {
        let Some(id) = self.by_key.get(&key(request)).copied() else {
            return self.reply(path, request, &Refusal::new(481));
        };
        self.reply(path, request, &Refusal::new(200));
        let Some(transaction) = self.transactions.get(&id) else { return };
        let proceeding = matches!(&transaction.machine, Some(Machine::InviteServer(m)) if m.is_proceeding());
        let Some(call) = transaction.call.filter(|_| proceeding) else { return };
        let first = self.calls.get(&call).is_some_and(|c| matches!(c.phase, Phase::Offered { .. }));
        if first {
            self.tell_cancelled(call);
            self.answer_failure(now, call, 487, None);
        } else {
            self.reject_offer(now, call, 487, None);
        }
    }

    fn tell_cancelled(&mut self, call: CallKey) {
        self.end(call, Some(Event::Cancelled { call }));
    }

    fn out_of_dialog(&mut self, now: Instant, path: Path, request: &Request, key: TransactionKey) {
        let Some(trunk) = self.trunk_of(path.source) else {
            return self.reply_refused(path, request, &Refusal::new(403));
        };
        match request.method {
            Method::Invite => {
                if let Err(refusal) = self.admit(now, path, request, key, trunk) {
                    self.reply_refused(path, request, &refusal);
                }
            }
            Method::Options => {
                let refusal = match check_require(request) {
                    Err(refusal) => refusal,
                    Ok(()) if self.draining => self.unavailable(),
                    Ok(()) => self.capabilities(),
                };
                self.reply(path, request, &refusal);
            }
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Ack | Method::Cancel => {
                self.reply_refused(path, request, &Refusal::new(481));
            }
            Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish => {
                self.reply_refused(path, request, &Refusal::with(405, Headers::new().allow()))
            }
            Method::Other(_) => {
                self.reply_refused(path, request, &Refusal::with(501, Headers::new().allow()));
            }
        }
    }

    pub(super) fn unavailable(&self) -> Refusal {
        Refusal::with(503, Headers::new().retry_after(self.config.retry_after_s))
    }

    /// §11.2: what OPTIONS is answered with.
    fn capabilities(&self) -> Refusal {
        let headers = Headers::new().allow().accept(SDP).supported().server(&self.config.user_agent);
        Refusal::with(200, headers)
    }

    pub(super) fn add_server(
        &mut self,
        path: Path,
        key: TransactionKey,
        machine: Machine,
        call: CallKey,
        merge_key: Option<Box<[u8]>>,
    ) -> TransactionId {
        self.add(Transaction {
            key,
            machine: Some(machine),
            local: path.local,
            peer: path.back,
            call: Some(call),
            merge_key,
            purpose: Purpose::Theirs,
        })
    }

    /// ACK to a 2xx of ours, by the dialog (§13.2.2.4). An ACK is never answered.
    fn ack(&mut self, now: Instant, request: &Request) {
        let Some(key) = request.to.tag().and_then(|tag| self.by_local_tag.get(tag)).copied() else { return };
        let Some(call) = self.calls.get(&key) else { return };
        let expected = call.unacknowledged.as_ref().is_some_and(|u| u.cseq == request.cseq);
        if expected && call.dialog.matches(&request.call_id, request.from.tag()) {
            let sdp = body::session_description(&request.fields, &request.body).ok().flatten();
            self.acknowledged(now, key, sdp);
        }
    }

    fn acknowledged(&mut self, now: Instant, key: CallKey, sdp: Option<Bytes>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(waiting) = call.unacknowledged.take() else { return };
        if call.hang_up_wanted {
            return self.bye(now, key);
        }
        let first = !std::mem::replace(&mut call.established, true);
        match (waiting.late, sdp) {
            // An offer of ours that stays unanswered leaves no session to go on with (§13.2.1).
            (true, None) => return self.hang_up(now, key, EndedBy::Lost),
            (true, Some(sdp)) => self.tell(Event::AckSdp { call: key, sdp }),
            (false, _) => {}
        }
        if first {
            self.tell(Event::Established { call: key });
        }
    }

    fn in_dialog(&mut self, now: Instant, path: Path, request: &Request, key: TransactionKey, tag: &str) {
        let found = self.by_local_tag.get(tag).copied();
        let call = found.and_then(|k| Some((k, self.calls.get_mut(&k)?)));
        let Some((call_key, call)) =
            call.filter(|(_, c)| c.dialog.matches(&request.call_id, request.from.tag()))
        else {
            return self.reply_refused(path, request, &Refusal::new(481));
        };
        if matches!(call.phase, Phase::Ending) {
            // Both sides hung up at once: theirs is right too.
            let status = if request.method == Method::Bye { 200 } else { 481 };
            return self.reply(path, request, &Refusal::new(status));
        }
        if let Err(refusal) = check_require(request) {
            return self.reply_refused(path, request, &refusal);
        }
        if call.dialog.order(request.cseq) == Order::Old {
            return self.reply_refused(path, request, &Refusal::new(500));
        }
        match request.method {
            Method::Bye => self.peer_bye(now, path, request, key, call_key),
            Method::Info => self.peer_info(now, path, request, key, call_key),
            Method::Invite | Method::Update => {
                if let Err(refusal) = self.peer_offer(now, path, request, key, call_key) {
                    self.reply_refused(path, request, &refusal);
                }
            }
            Method::Options => {
                let capabilities = self.capabilities();
                self.reply(path, request, &capabilities);
            }
            Method::Refer => self.reply_refused(path, request, &Refusal::new(603)),
            Method::Prack | Method::Ack | Method::Cancel => {
                self.reply_refused(path, request, &Refusal::new(481));
            }
            Method::Register | Method::Subscribe | Method::Notify | Method::Message | Method::Publish => {
                self.reply_refused(path, request, &Refusal::with(405, Headers::new().allow()));
            }
            Method::Other(_) => {
                self.reply_refused(path, request, &Refusal::with(501, Headers::new().allow()));
            }
        }
    }

    /// Answers a request that is remembered, so that its repetition gets the same answer.
    fn answer_remembered(
        &mut self,
        now: Instant,
        path: Path,
        request: &Request,
        key: TransactionKey,
        call: CallKey,
        refusal: &Refusal,
    ) {
        if self.transactions.len() >= self.config.limits.transactions_max {
            return self.reply(path, request, refusal);
        }
        let id = self.add_server(path, key, Machine::Server(Server::Trying), call, None);
        let echo = Echo::new(&request.fields, Some(&request.via), path.source, None);
        let bytes = echo.response(refusal.status, None, &refusal.headers, None);
        self.step_server(now, id, ServerInput::Success(bytes));
    }

    fn peer_bye(
        &mut self,
        now: Instant,
        path: Path,
        request: &Request,
        key: TransactionKey,
        call_key: CallKey,
    ) {
        self.answer_remembered(now, path, request, key, call_key, &Refusal::new(200));
        let offered = self.calls.get(&call_key).is_some_and(|c| matches!(c.phase, Phase::Offered { .. }));
        if offered {
            // §15.1.2: a BYE in the early dialog ends the INVITE with 487.
            self.tell_cancelled(call_key);
            return self.answer_failure(now, call_key, 487, None);
        }
        self.close_requests(now, call_key);
        self.end(call_key, Some(Event::Ended { call: call_key, by: EndedBy::Peer }));
        self.drop_call(call_key);
    }

    fn peer_info(&mut self, now: Instant, path: Path, request: &Request, key: TransactionKey, call: CallKey) {
        if self.transactions.len() >= self.config.limits.transactions_max {
            // A key that cannot be remembered could be taken twice.
            let unavailable = self.unavailable();
            return self.reply_refused(path, request, &unavailable);
        }
        let content_type = request.fields.first(Name::ContentType);
        let (refusal, digit) = match info::read(content_type.as_deref(), &request.body) {
            Reading::Key(key, duration_ms) => (Refusal::new(200), Some((key, duration_ms))),
            Reading::Nothing => (Refusal::new(200), None),
            Reading::OtherType => (Refusal::with(415, Headers::new().accept(info::ACCEPT)), None),
            Reading::Malformed => (Refusal::new(400), None),
        };
        self.answer_remembered(now, path, request, key, call, &refusal);
        let Some(known) = self.calls.get_mut(&call) else { return };
        let again = known.last_info.replace(request.cseq) == Some(request.cseq);
        if let Some((key, duration_ms)) = digit.filter(|_| !again && !known.over) {
            self.tell(Event::Digit { call, key, duration_ms });
        }
    }

    /// re-INVITE (§14.2) and UPDATE (RFC 3311 §5.2).
    fn peer_offer(
        &mut self,
        now: Instant,
        path: Path,
        request: &Request,
        key: TransactionKey,
        call_key: CallKey,
    ) -> Result<(), Refusal> {
        let invite = request.method == Method::Invite;
        let offer = offer_of(request)?;
        let session = self.session_of(request)?;
        let Some(call) = self.calls.get_mut(&call_key) else { return Err(Refusal::new(481)) };
        let negotiates = invite || offer.is_some();
        let unanswered = matches!(call.phase, Phase::Offered { .. }) || call.offer.is_some();
        let ours_open = call.asking.is_some() || call.unacknowledged.as_ref().is_some_and(|u| u.late);
        if negotiates && (ours_open || matches!(call.phase, Phase::Calling { .. })) {
            return Err(Refusal::new(491));
        }
        if unanswered && negotiates {
            return Err(Refusal::with(500, Headers::new().retry_after(CROSSED_RETRY_S)));
        }
        call.dialog.refresh_target(request.contact.as_ref());
        if invite && call.unacknowledged.is_some() {
            // RFC 5407 §3.1.5: who asks again has our 2xx; only its ACK was lost or overtaken.
            self.acknowledged(now, call_key, None);
            if !self.calls.get(&call_key).is_some_and(|c| matches!(c.phase, Phase::Talking)) {
                return Err(Refusal::new(481));
            }
        }
        let machine = if invite {
            Machine::InviteServer(InviteServer::start())
        } else {
            Machine::Server(Server::Trying)
        };
        let transaction = self.add_server(path, key, machine, call_key, None);
        let echo = Echo::new(&request.fields, Some(&request.via), path.source, None);
        let late = invite && offer.is_none();
        let offered = Offered { transaction, echo, cseq: request.cseq, late, invite, session };
        if !negotiates {
            self.answer_success(now, call_key, &offered, None);
            return Ok(());
        }
        self.after(now, self.config.limits.unanswered_max, Due::Unanswered(call_key, request.cseq));
        let Some(call) = self.calls.get_mut(&call_key) else { return Ok(()) };
        call.offer = Some(offered);
        if call.over {
            self.reject_offer(now, call_key, 487, None);
        } else {
            self.tell(Event::Offer { call: call_key, sdp: offer });
        }
        Ok(())
    }
}

/// RFC 3261 §18.2.2 and RFC 3581 §4: answers go to the address that the request came from, at the port it
/// names, or, when it asks with `rport`, the port it came from. `maddr` is not followed: it would let anybody
/// aim our answers.
fn way_back(via: &Via, source: SocketAddr) -> SocketAddr {
    if via.rport() { source } else { SocketAddr::new(source.ip(), via.port.unwrap_or(SIP_PORT)) }
}

/// §17.2.3: branch, sent-by and method; without a unique branch the request's own identity. ACK and CANCEL
/// find the INVITE that they belong to.
fn key(request: &Request) -> TransactionKey {
    let method = match &request.method {
        Method::Ack | Method::Cancel => Method::Invite.as_str(),
        other => other.as_str(),
    };
    let via = &request.via;
    let port = via.port.unwrap_or(SIP_PORT).to_be_bytes();
    let mut key = Vec::with_capacity(96);
    let mut add = |part: &[u8]| {
        key.extend_from_slice(part);
        key.push(0);
    };
    add(method.as_bytes());
    add(via.host.as_bytes());
    add(&port);
    if let Some(branch) = via.unique_branch() {
        add(branch.as_bytes());
    } else {
        add(via.branch().unwrap_or_default().as_bytes());
        add(request.uri.as_str().as_bytes());
        add(request.from.tag().unwrap_or_default().as_bytes());
        add(request.call_id.as_bytes());
        add(&request.cseq.to_be_bytes());
    }
    key.into()
}

/// §8.2.2.3: extensions that the peer insists on and we do not have.
pub(super) fn check_require(request: &Request) -> Result<(), Refusal> {
    let wanted = request.fields.elements(Name::Require).unwrap_or_default();
    let unknown: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|o| !o.eq_ignore_ascii_case("timer")).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(420, Headers::new().unsupported(&unknown.join(", "))))
}

pub(super) fn offer_of(request: &Request) -> Result<Option<Bytes>, Refusal> {
    body::session_description(&request.fields, &request.body)
        .map_err(|_| Refusal::with(415, Headers::new().accept(SDP)))
}
