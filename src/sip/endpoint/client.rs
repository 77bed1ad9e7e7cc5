//! Calls that we place, and responses to every request of ours.
//!
//! The counterpart of `server`: INVITE, ACK, CANCEL and the ends of BYE, INFO, UPDATE and re-INVITE.
//! Challenges (401, 407) and redirections (3xx) are failures like any other.

use super::Due;
use super::Endpoint;
use super::Machine;
use super::Purpose;
use super::Transaction;
use super::TransactionKey;
use super::call::Call;
use super::call::Cancel;
use super::call::Phase;
use super::session;
use crate::sip::dialog::Dialog;
use crate::sip::event::CallKey;
use crate::sip::event::EndedBy;
use crate::sip::event::Event;
use crate::sip::event::Invite;
use crate::sip::transaction::Client;
use crate::sip::transaction::ClientInput;
use crate::sip::transaction::InviteClient;
use crate::sip::wire::body;
use crate::sip::wire::header::BRANCH_COOKIE;
use crate::sip::wire::header::Name;
use crate::sip::wire::message::Method;
use crate::sip::wire::message::Response;
use crate::sip::wire::print::Body;
use crate::sip::wire::print::Headers;
use bytes::Bytes;
use std::time::Duration;
use std::time::Instant;

/// A call that we place is cancelled if nobody takes it for so long.
const RINGING_MAX: Duration = Duration::from_secs(180);

/// §17.1.3: branch and method of CSeq.
pub(super) fn key(branch: &str, method: &Method) -> TransactionKey {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(b"ours\0");
    key.extend_from_slice(branch.as_bytes());
    key.push(0);
    key.extend_from_slice(method.as_str().as_bytes());
    key.into()
}

impl Endpoint {
    pub(super) fn branch(&mut self) -> String {
        format!("{BRANCH_COOKIE}{}", self.identifiers.fresh())
    }

    /// §13.2.1: sends the INVITE of a new call.
    pub(super) fn place(&mut self, now: Instant, invite: Invite) {
        let failed =
            if self.live_calls >= self.config.limits.calls_max { Some(503) } else { refused_text(&invite) };
        if let Some(status) = failed {
            return self.tell(Event::Failed { call: invite.call, status });
        }
        if self.calls.contains_key(&invite.call) {
            return;
        }
        let (tag, call_id, branch) = (self.identifiers.fresh(), self.identifiers.fresh(), self.branch());
        let local = self.config.advertised.unwrap_or(invite.local);
        let mut dialog = Dialog::call(&invite, &call_id, &tag, local);
        let cseq = dialog.next_cseq();
        let mut headers = Headers::new().contact(&self.contact(local)).allow().supported();
        headers = headers.user_agent(&self.config.user_agent);
        for (name, value) in &invite.headers {
            headers = headers.other(name, value);
        }
        let bytes = dialog.print(&Method::Invite, cseq, &branch, &headers, Some(Body::sdp(&invite.sdp)));
        let mut actions = std::mem::take(&mut self.actions);
        let machine = InviteClient::start(bytes, self.config.timing, &mut actions);
        let transaction = self.add(Transaction {
            key: key(&branch, &Method::Invite),
            machine: Some(Machine::InviteClient(machine)),
            local,
            peer: invite.destination,
            call: Some(invite.call),
            merge_key: None,
            purpose: Purpose::Place,
        });
        let cancel = Cancel::No;
        self.add_call(
            invite.call,
            Call {
                dialog,
                trunk: None,
                source: invite.destination.ip(),
                phase: Phase::Calling { transaction, cseq, branch: branch.into(), progressed: false, cancel },
                unacknowledged: None,
                offer: None,
                asking: None,
                session: None,
                local_sdp: invite.sdp,
                peer_updates: false,
                hang_up_wanted: false,
                over: false,
                established: true,
                last_info: None,
            },
        );
        self.after(now, RINGING_MAX, Due::Unanswered(invite.call, cseq));
        self.perform(now, transaction, actions);
    }

    /// §9.1: CANCEL, once the peer has said anything at all.
    pub(super) fn cancel(&mut self, now: Instant, call_key: CallKey) {
        let Some(call) = self.calls.get_mut(&call_key) else { return };
        let Phase::Calling { transaction, cseq, branch, progressed, cancel } = &mut call.phase else {
            return;
        };
        if *cancel == Cancel::Sent {
            // The CANCEL led to nothing in 64·T1: the INVITE is over for us.
            let id = *transaction;
            self.forget(id);
            return self.drop_call(call_key);
        }
        if !*progressed {
            *cancel = Cancel::Wanted;
            return;
        }
        *cancel = Cancel::Sent;
        let (cseq, branch, id) = (*cseq, branch.clone(), *transaction);
        let bytes = call.dialog.print(&Method::Cancel, cseq, &branch, &Headers::new(), None);
        let Some((local, peer)) = self.transactions.get(&id).map(|t| (t.local, t.peer)) else { return };
        let mut actions = std::mem::take(&mut self.actions);
        let machine = Client::start(bytes, self.config.timing, &mut actions);
        let id = self.add(Transaction {
            key: key(&branch, &Method::Cancel),
            machine: Some(Machine::Client(machine)),
            local,
            peer,
            call: Some(call_key),
            merge_key: None,
            purpose: Purpose::Cancel,
        });
        self.perform(now, id, actions);
        self.after(now, self.config.timing.patience(), Due::Unanswered(call_key, cseq));
    }

    pub(super) fn response(&mut self, now: Instant, response: &Response) {
        let found = response.via.branch().and_then(|b| self.by_key.get(&key(b, &response.method))).copied();
        let Some((id, transaction)) = found.and_then(|id| Some((id, self.transactions.get(&id)?))) else {
            self.counters.discarded += 1;
            return;
        };
        let (Some(call), purpose) = (transaction.call, transaction.purpose) else { return };
        match response.status {
            ..200 => {
                self.step_client(now, id, ClientInput::Provisional);
                if purpose == Purpose::Place {
                    self.progress(now, call, response);
                }
            }
            200..300 => {
                self.step_client(now, id, ClientInput::Success);
                self.succeeded(now, call, purpose, response);
            }
            300.. => {
                let ack = self.failure_ack(call, response);
                self.step_client(now, id, ClientInput::Failure(ack));
                self.failed(now, call, purpose, response.status);
            }
        }
    }

    fn progress(&mut self, now: Instant, call_key: CallKey, response: &Response) {
        let Some(call) = self.calls.get_mut(&call_key) else { return };
        let Phase::Calling { progressed, cancel, .. } = &mut call.phase else { return };
        *progressed = true;
        if *cancel == Cancel::Wanted {
            return self.cancel(now, call_key);
        }
        if response.status > 100 && !call.over {
            let sdp = body::session_description(&response.fields, &response.body).ok().flatten();
            self.tell(Event::Progress { call: call_key, status: response.status, sdp });
        }
    }

    fn succeeded(&mut self, now: Instant, call_key: CallKey, purpose: Purpose, response: &Response) {
        match purpose {
            Purpose::Place => self.picked_up(now, call_key, response),
            Purpose::Reoffer | Purpose::Refresh => self.agreed(now, call_key, purpose, response),
            Purpose::Bye => self.drop_call(call_key),
            Purpose::Theirs | Purpose::Cancel | Purpose::Info => {}
        }
    }

    /// A 2xx to the INVITE of our call, the first or one more.
    fn picked_up(&mut self, now: Instant, call_key: CallKey, response: &Response) {
        let Some(call) = self.calls.get_mut(&call_key) else { return };
        if !matches!(call.phase, Phase::Calling { .. }) {
            return self.picked_up_again(call_key, response);
        }
        call.dialog.answered(response);
        call.peer_updates = response.fields.lists(Name::Allow, "UPDATE");
        call.phase = Phase::Talking;
        let over = call.over;
        self.acknowledge(call_key, response.cseq);
        let sdp = body::session_description(&response.fields, &response.body).ok().flatten();
        match sdp {
            // We gave up while the answer was on its way (§9.1).
            _ if over => self.bye(now, call_key),
            Some(sdp) => {
                self.tell(Event::Answered { call: call_key, sdp });
                let session = session::agreed(&response.fields, self.config.limits.min_session_s);
                self.agree_session(now, call_key, session);
            }
            None => {
                self.bye(now, call_key);
                self.end(call_key, Some(Event::Failed { call: call_key, status: 488 }));
            }
        }
    }

    /// §13.2.2.4: a repeated 2xx wants its ACK again; one with another To tag is a second phone, which is
    /// hung up.
    fn picked_up_again(&mut self, call_key: CallKey, response: &Response) {
        let Some(call) = self.calls.get(&call_key) else { return };
        if call.dialog.remote_tag.as_deref() == response.to.tag() {
            return self.acknowledge(call_key, response.cseq);
        }
        let mut fork = call.dialog.clone();
        fork.answered(response);
        let (local, destination) = (fork.local, fork.destination());
        let ack = fork.print(&Method::Ack, response.cseq, &self.branch(), &Headers::new(), None);
        let bye = fork.print(&Method::Bye, response.cseq + 1, &self.branch(), &Headers::new(), None);
        self.send(local, destination, ack);
        self.send(local, destination, bye);
    }

    /// ACK to a 2xx: a request of its own, with the CSeq number of the INVITE.
    fn acknowledge(&mut self, call_key: CallKey, cseq: u32) {
        let branch = self.branch();
        let Some(call) = self.calls.get(&call_key) else { return };
        let bytes = call.dialog.print(&Method::Ack, cseq, &branch, &Headers::new(), None);
        let (local, destination) = (call.dialog.local, call.dialog.destination());
        self.send(local, destination, bytes);
    }

    /// A 2xx to a re-INVITE or UPDATE of ours.
    fn agreed(&mut self, now: Instant, call_key: CallKey, purpose: Purpose, response: &Response) {
        let invite = response.method == Method::Invite;
        if invite {
            self.acknowledge(call_key, response.cseq);
        }
        let Some(call) = self.calls.get_mut(&call_key) else { return };
        // A repeated 2xx changes nothing any more.
        let Some(asked) = call.asking.take_if(|a| a.cseq == response.cseq) else { return };
        call.dialog.refresh_target(response.contact.as_ref());
        let over = call.over;
        if purpose == Purpose::Reoffer {
            call.local_sdp = asked.sdp;
        }
        let sdp = body::session_description(&response.fields, &response.body).ok().flatten();
        if let Some(sdp) = sdp.filter(|_| purpose == Purpose::Reoffer && !over) {
            self.tell(Event::Answered { call: call_key, sdp });
        }
        let agreement = session::agreed(&response.fields, self.config.limits.min_session_s);
        if agreement.is_some() || purpose == Purpose::Refresh {
            self.agree_session(now, call_key, agreement);
        }
    }

    fn failure_ack(&self, call_key: CallKey, response: &Response) -> Bytes {
        let branch = response.via.branch().unwrap_or_default();
        match self.calls.get(&call_key) {
            Some(call) if response.method == Method::Invite => {
                call.dialog.print_failure_ack(response.cseq, branch, response)
            }
            _ => Bytes::new(),
        }
    }

    fn failed(&mut self, now: Instant, call_key: CallKey, purpose: Purpose, status: u16) {
        match purpose {
            Purpose::Place => self.not_placed(call_key, status),
            Purpose::Bye => self.drop_call(call_key),
            Purpose::Reoffer | Purpose::Refresh | Purpose::Info => {
                self.not_agreed(now, call_key, purpose, status)
            }
            Purpose::Theirs | Purpose::Cancel => {}
        }
    }

    fn not_placed(&mut self, call_key: CallKey, status: u16) {
        let calling = self.calls.get(&call_key).is_some_and(|c| matches!(c.phase, Phase::Calling { .. }));
        if calling {
            self.end(call_key, Some(Event::Failed { call: call_key, status }));
            self.drop_call(call_key);
        }
    }

    fn not_agreed(&mut self, now: Instant, call_key: CallKey, purpose: Purpose, status: u16) {
        let Some(call) = self.calls.get_mut(&call_key) else { return };
        let open = purpose == Purpose::Info || call.asking.take().is_some();
        if open && purpose == Purpose::Reoffer && !call.over {
            self.tell(Event::OfferRefused { call: call_key, status });
        }
        // §12.2.1.2: the peer does not know the dialog any more, or is gone.
        if open && matches!(status, 408 | 481) {
            self.hang_up(now, call_key, EndedBy::Lost);
        }
    }

    /// Timers B and F: nobody answered a request of ours; as good as 408 (§8.1.3.1).
    pub(super) fn timed_out(&mut self, now: Instant, transaction: &Transaction) {
        if let Some(call) = transaction.call {
            self.failed(now, call, transaction.purpose, 408);
        }
    }
}

/// Text that would break a message apart is refused before it is written.
fn refused_text(invite: &Invite) -> Option<u16> {
    let broken = |text: &str| text.bytes().any(|b| b < b' ' || b == 0x7f);
    let bad = broken(&invite.target)
        || invite.target.contains([' ', '<', '>'])
        || broken(&invite.from)
        || invite
            .headers
            .iter()
            .any(|(name, value)| broken(name) || broken(value) || name.contains([':', ' ']));
    bad.then_some(400)
}
