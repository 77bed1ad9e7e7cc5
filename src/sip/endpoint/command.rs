//! What the application asks for, done: answers to their INVITEs and offers, and requests of ours inside a
//! call.
//!
//! A command that no longer fits (the call is over, the offer was withdrawn) does nothing: the event that
//! says so is already on its way to the application.

use super::Due;
use super::Endpoint;
use super::Machine;
use super::Purpose;
use super::Transaction;
use super::call::Asking;
use super::call::Offered;
use super::call::Phase;
use super::call::Unacknowledged;
use super::client;
use crate::sip::event::CallKey;
use crate::sip::event::Command;
use crate::sip::event::EndedBy;
use crate::sip::event::Key;
use crate::sip::info;
use crate::sip::transaction::Client;
use crate::sip::transaction::InviteClient;
use crate::sip::transaction::ServerInput;
use crate::sip::wire::message::Method;
use crate::sip::wire::print::Body;
use crate::sip::wire::print::Headers;
use bytes::Bytes;
use std::time::Instant;

impl Endpoint {
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Ring { call } => self.ring(now, call, 180),
            Command::Answer { call, sdp } => self.answer(now, call, &sdp),
            Command::Reject { call, status, retry_after } => {
                self.answer_failure(now, call, status.clamp(300, 699), retry_after);
            }
            Command::Hangup { call } => self.hang_up(now, call, EndedBy::Us),
            Command::AcceptOffer { call, sdp } => self.accept_offer(now, call, &sdp),
            Command::RejectOffer { call, status } => {
                self.reject_offer(now, call, status.clamp(400, 699), None)
            }
            Command::Invite(invite) => self.place(now, *invite),
            Command::Reinvite { call, sdp } => self.reinvite(now, call, sdp, Purpose::Reoffer, None),
            Command::SendKey { call, key, duration_ms } => self.send_key(now, call, key, duration_ms),
            Command::Drain(draining) => self.draining = draining,
        }
    }

    /// A provisional answer to their INVITE.
    pub(super) fn ring(&mut self, now: Instant, key: CallKey, status: u16) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let local = call.dialog.local;
        let Phase::Offered { transaction, request, provisional } = &mut call.phase else { return };
        *provisional = true;
        let (id, echo) = (*transaction, request.echo.clone());
        let headers =
            if status > 100 { Headers::new().contact(&self.contact(local)) } else { Headers::new() };
        self.step_server(now, id, ServerInput::Provisional(echo.response(status, None, &headers, None)));
    }

    fn answer(&mut self, now: Instant, key: CallKey, sdp: &Bytes) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if !matches!(call.phase, Phase::Offered { .. }) {
            return;
        }
        let Phase::Offered { request, .. } = std::mem::replace(&mut call.phase, Phase::Talking) else {
            return;
        };
        self.answer_success(now, key, &request, Some(sdp));
    }

    /// 200 to an INVITE or UPDATE, with the description and the session timer that were agreed.
    pub(super) fn answer_success(
        &mut self,
        now: Instant,
        key: CallKey,
        request: &Offered,
        sdp: Option<&Bytes>,
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if let Some(sdp) = sdp {
            call.local_sdp = sdp.clone();
        }
        let local = call.dialog.local;
        let mut headers = Headers::new().contact(&self.contact(local)).allow().supported();
        headers = headers.server(&self.config.user_agent);
        if let Some(session) = request.session {
            if session.peer_supports && !session.we_refresh {
                headers = headers.require("timer");
            }
            headers = headers.session_expires(session.interval_s, session.refresher);
        }
        let bytes = request.echo.response(200, None, &headers, sdp.map(|s| Body::sdp(s)));
        if request.invite {
            self.await_ack(now, key, request, bytes.clone());
        }
        self.step_server(now, request.transaction, ServerInput::Success(bytes));
        self.agree_session(now, key, request.session);
    }

    fn await_ack(&mut self, now: Instant, key: CallKey, request: &Offered, bytes: Bytes) {
        let timing = self.config.timing;
        let Some(destination) = self.transactions.get(&request.transaction).map(|t| t.peer) else { return };
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.unacknowledged = Some(Unacknowledged {
            cseq: request.cseq,
            bytes,
            destination,
            pause: timing.t1,
            give_up: now + timing.patience(),
            late: request.late,
        });
        self.after(now, timing.t1, Due::Success(key, request.cseq));
    }

    /// §13.3.1.4: our 2xx is sent again at T1, doubling up to T2; after 64·T1 without ACK the call ends by
    /// BYE.
    pub(super) fn fire_success(&mut self, now: Instant, key: CallKey, cseq: u32) {
        let t2 = self.config.timing.t2;
        let Some(call) = self.calls.get_mut(&key) else { return };
        let local = call.dialog.local;
        let Some(waiting) = call.unacknowledged.as_mut().filter(|u| u.cseq == cseq) else { return };
        if now >= waiting.give_up {
            call.unacknowledged = None;
            if call.over {
                self.bye(now, key);
            } else {
                self.hang_up(now, key, EndedBy::NoAck);
            }
            return;
        }
        waiting.pause = (waiting.pause * 2).min(t2);
        let wait = waiting.pause.min(waiting.give_up.saturating_duration_since(now));
        let (bytes, destination) = (waiting.bytes.clone(), waiting.destination);
        self.send(local, destination, bytes);
        self.after(now, wait, Due::Success(key, cseq));
    }

    /// A final failure to their first INVITE; the call is gone with it.
    pub(super) fn answer_failure(
        &mut self,
        now: Instant,
        key: CallKey,
        status: u16,
        retry_after: Option<u32>,
    ) {
        let Some(call) = self.calls.get(&key) else { return };
        let Phase::Offered { transaction, request, .. } = &call.phase else { return };
        let (id, echo) = (*transaction, request.echo.clone());
        let headers = retry_after.map_or_else(Headers::new, |s| Headers::new().retry_after(s));
        self.end(key, None);
        self.drop_call(key);
        self.step_server(now, id, ServerInput::Failure(echo.response(status, None, &headers, None)));
    }

    fn accept_offer(&mut self, now: Instant, key: CallKey, sdp: &Bytes) {
        let Some(offer) = self.calls.get_mut(&key).and_then(|c| c.offer.take()) else { return };
        self.answer_success(now, key, &offer, Some(sdp));
    }

    pub(super) fn reject_offer(&mut self, now: Instant, key: CallKey, status: u16, retry_after: Option<u32>) {
        let Some(offer) = self.calls.get_mut(&key).and_then(|c| c.offer.take()) else { return };
        let headers = retry_after.map_or_else(Headers::new, |s| Headers::new().retry_after(s));
        let bytes = offer.echo.response(status, None, &headers, None);
        self.step_server(now, offer.transaction, ServerInput::Failure(bytes));
    }

    /// §17.2.1: says 100 if the application has not spoken for 200 ms.
    pub(super) fn fire_trying(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get(&key) else { return };
        let Phase::Offered { request, provisional, .. } = &call.phase else { return };
        let cseq = request.cseq;
        if !provisional {
            self.ring(now, key, 100);
        }
        self.after(now, self.config.limits.unanswered_max, Due::Unanswered(key, cseq));
    }

    pub(super) fn fire_unanswered(&mut self, now: Instant, key: CallKey, cseq: u32) {
        let Some(call) = self.calls.get(&key) else { return };
        match &call.phase {
            Phase::Offered { .. } | Phase::Calling { .. } => self.hang_up(now, key, EndedBy::Unanswered),
            Phase::Talking if call.offer.as_ref().is_some_and(|o| o.cseq == cseq) => {
                self.reject_offer(now, key, 500, None);
            }
            Phase::Talking | Phase::Ending => {}
        }
    }

    /// BYE (§15.1.1); the dialog is over with it.
    pub(super) fn bye(&mut self, now: Instant, key: CallKey) {
        self.close_requests(now, key);
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.phase = Phase::Ending;
        let headers = Headers::new().user_agent(&self.config.user_agent);
        self.request_in_dialog(now, key, &Method::Bye, Purpose::Bye, &headers, None);
    }

    /// §15.1.2: whatever of theirs is still unanswered gets 487 when a call ends.
    pub(super) fn close_requests(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.unacknowledged = None;
        if call.offer.is_some() {
            self.reject_offer(now, key, 487, None);
        }
    }

    fn send_key(&mut self, now: Instant, key: CallKey, digit: Key, duration_ms: u32) {
        let talking = self.calls.get(&key).is_some_and(|c| matches!(c.phase, Phase::Talking) && !c.over);
        if !talking {
            return;
        }
        let text = info::print(digit, duration_ms);
        let body = Body { content_type: info::CONTENT_TYPE, bytes: text.as_bytes() };
        self.request_in_dialog(now, key, &Method::Info, Purpose::Info, &Headers::new(), Some(body));
    }

    /// RFC 3311 UPDATE without a description: refreshes the session timer.
    pub(super) fn update(&mut self, now: Instant, key: CallKey, interval_s: u32) {
        let Some(local) = self.calls.get(&key).map(|c| c.dialog.local) else { return };
        let headers = Headers::new()
            .contact(&self.contact(local))
            .supported()
            .session_expires(interval_s, "uac")
            .user_agent(&self.config.user_agent);
        let sent = self.request_in_dialog(now, key, &Method::Update, Purpose::Refresh, &headers, None);
        if let Some((call, cseq)) = self.calls.get_mut(&key).zip(sent) {
            call.asking = Some(Asking { cseq, sdp: Bytes::new() });
        }
    }

    /// A re-INVITE with `sdp`. Nothing is sent while another offer is open on either side (§14.1).
    pub(super) fn reinvite(
        &mut self,
        now: Instant,
        key: CallKey,
        sdp: Bytes,
        purpose: Purpose,
        interval_s: Option<u32>,
    ) {
        let branch = self.branch();
        let Some(call) = self.calls.get_mut(&key) else { return };
        let busy =
            call.asking.is_some() || call.offer.is_some() || call.unacknowledged.is_some() || call.over;
        if busy || !matches!(call.phase, Phase::Talking) {
            if purpose == Purpose::Reoffer && !call.over {
                self.tell(crate::sip::event::Event::OfferRefused { call: key, status: 491 });
            }
            return;
        }
        let local = call.dialog.local;
        let cseq = call.dialog.next_cseq();
        let mut headers = Headers::new().contact(&format!("sip:{}@{local}", self.config.contact_user));
        headers = headers.allow().supported().user_agent(&self.config.user_agent);
        if let Some(interval_s) = interval_s {
            headers = headers.session_expires(interval_s, "uac");
        }
        let bytes = call.dialog.print(&Method::Invite, cseq, &branch, &headers, Some(Body::sdp(&sdp)));
        let peer = call.dialog.destination();
        let mut actions = std::mem::take(&mut self.actions);
        let machine = InviteClient::start(bytes, self.config.timing, &mut actions);
        let transaction = self.add(Transaction {
            key: client::key(&branch, &Method::Invite),
            machine: Some(Machine::InviteClient(machine)),
            local,
            peer,
            call: Some(key),
            merge_key: None,
            purpose,
        });
        if let Some(call) = self.calls.get_mut(&key) {
            call.asking = Some(Asking { cseq, sdp });
        }
        self.perform(now, transaction, actions);
    }

    /// A request of ours that is no INVITE; answers its CSeq.
    fn request_in_dialog(
        &mut self,
        now: Instant,
        key: CallKey,
        method: &Method,
        purpose: Purpose,
        headers: &Headers,
        body: Option<Body<'_>>,
    ) -> Option<u32> {
        let branch = self.branch();
        let call = self.calls.get_mut(&key)?;
        let cseq = call.dialog.next_cseq();
        let bytes = call.dialog.print(method, cseq, &branch, headers, body);
        let (local, peer) = (call.dialog.local, call.dialog.destination());
        let mut actions = std::mem::take(&mut self.actions);
        let machine = Client::start(bytes, self.config.timing, &mut actions);
        let id = self.add(Transaction {
            key: client::key(&branch, method),
            machine: Some(Machine::Client(machine)),
            local,
            peer,
            call: Some(key),
            merge_key: None,
            purpose,
        });
        self.perform(now, id, actions);
        Some(cseq)
    }
}
