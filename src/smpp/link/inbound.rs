//! The peer's requests: judged by the state before they are read, handed up with a ticket, answered once.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::smpp::frame::Frame;
use crate::smpp::link::Link;
use crate::smpp::link::State;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Event;
use crate::smpp::link::event::Ticket;
use crate::smpp::link::pace::Allowance;
use crate::smpp::link::permit::esme_may_send;
use crate::smpp::link::permit::role_of;
use crate::smpp::link::permit::smsc_may_send;
use crate::smpp::link::settings::UNBOUND_PDUS_MAX;
use crate::smpp::pdu::Body;
use crate::smpp::pdu::Pdu;
use crate::smpp::pdu::command;
use crate::smpp::status as code;

/// The peer's requests that wait for our answer.
pub(super) struct Inbound {
    /// By ticket, so the oldest is the first.
    waiting: BTreeMap<u64, Waiting>,
    issued: u64,
    pub(super) allowance: Option<Allowance>,
}

struct Waiting {
    sequence: u32,
    command_id: u32,
    since: Instant,
}

impl Inbound {
    pub(super) const fn new(allowance: Option<Allowance>) -> Self {
        Self { waiting: BTreeMap::new(), issued: 0, allowance }
    }

    pub(super) fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    /// Since when the oldest waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, waiting)| waiting.since)
    }

    pub(super) fn end(&mut self) {
        self.waiting.clear();
    }

    fn keep(&mut self, frame: &Frame, since: Instant) -> Ticket {
        let number = self.issued;
        self.issued += 1;
        self.waiting.insert(number, Waiting { sequence: frame.sequence, command_id: frame.id, since });
        Ticket { number, sequence: frame.sequence }
    }
}

impl Link {
    pub(super) fn requested(&mut self, now: Instant, frame: &Frame) {
        match frame.id {
            // SMPP 5.0 §2.4 lets everybody ask for a sign of life at any time, and 3.4 peers do.
            command::ENQUIRE_LINK => {
                self.send(&Pdu { status: code::ROK, sequence: frame.sequence, body: Body::EnquireLinkResp });
            }
            command::UNBIND => {
                self.unbind_asked(now, frame.sequence);
                return;
            }
            id if role_of(id).is_some() || id == command::OUTBIND => self.greeted(now, frame),
            command::ALERT_NOTIFICATION if self.may_come(frame.id) => {
                if let Some(body) = self.read_or_refuse(frame) {
                    self.event(Event::Notice(body));
                }
            }
            id if Body::response_of(id).is_none() && id != command::ALERT_NOTIFICATION => {
                self.counters.forbidden += 1;
                self.nack(frame.sequence, code::RINVCMDID);
            }
            id if self.may_come(id) => self.take(now, frame),
            id => {
                self.counters.forbidden += 1;
                self.refuse(frame.sequence, id, code::RINVBNDSTS);
            }
        }
        if matches!(self.state, State::Open { .. } | State::Asked { .. } | State::Outbound { .. }) {
            self.unbound_pdus += 1;
            if self.unbound_pdus > UNBOUND_PDUS_MAX {
                self.end(Ended::Unruly);
            }
        }
    }

    /// A bind or an outbind.
    fn greeted(&mut self, now: Instant, frame: &Frame) {
        match (self.state, role_of(frame.id)) {
            (State::Open { .. }, Some(role)) => self.bind_asked(now, role, frame),
            (State::Open { .. }, None) => self.outbind_asked(now, frame),
            (State::Over, _) => {}
            (_, Some(_)) => {
                self.counters.forbidden += 1;
                let status = if self.esme { code::RINVBNDSTS } else { code::RALYBND };
                self.refuse(frame.sequence, frame.id, status);
            }
            // An outbind has no response.
            (_, None) => self.counters.forbidden += 1,
        }
    }

    /// Whether the state and the role of the bind let the peer send this.
    const fn may_come(&self, id: u32) -> bool {
        if !self.has_bound() {
            return false;
        }
        if self.esme { smsc_may_send(self.role, id) } else { esme_may_send(self.role, id) }
    }

    /// A request for the application.
    fn take(&mut self, now: Instant, frame: &Frame) {
        if !matches!(self.state, State::Bound) {
            // Whoever leaves takes nothing more; what is retryable has a name of its own on each side.
            self.counters.shed += 1;
            let status = if self.esme { code::RX_T_APPN } else { code::RTHROTTLED };
            self.refuse(frame.sequence, frame.id, status);
            return;
        }
        let fast = self.inbound.allowance.as_ref().is_some_and(|allowance| !allowance.take(now));
        if fast || self.inbound.unanswered() >= self.settings.unanswered {
            self.counters.shed += 1;
            self.refuse(frame.sequence, frame.id, code::RTHROTTLED);
            return;
        }
        if let Some(body) = self.read_or_refuse(frame) {
            let ticket = self.inbound.keep(frame, now);
            self.event(Event::Request { ticket, body });
        }
    }

    /// The body, or nothing after the error was answered.
    pub(super) fn read_or_refuse(&mut self, frame: &Frame) -> Option<Body> {
        match self.read(frame) {
            Ok(pdu) => Some(pdu.body),
            Err(bad) => {
                self.counters.bad += 1;
                if let Some(answer) = bad.answer() {
                    self.send(&answer);
                }
                None
            }
        }
    }

    /// The application's answer. One that comes too late is dropped: the link has answered for it.
    pub(super) fn respond(&mut self, ticket: &Ticket, status: u32, body: Body) {
        let Some(waiting) = self.inbound.waiting.remove(&ticket.number) else { return };
        let wanted = waiting.command_id | command::RESPONSE;
        if body.command_id() != wanted {
            let status = if status == code::ROK { code::RSYSERR } else { status };
            self.refuse(waiting.sequence, waiting.command_id, status);
        } else if self.write(&Pdu { status, sequence: waiting.sequence, body }).is_err() {
            self.refuse(waiting.sequence, waiting.command_id, code::RSYSERR);
        }
    }

    /// Answers for an application that does not.
    pub(super) fn abandon(&mut self, now: Instant) {
        while let Some(entry) = self.inbound.waiting.first_entry()
            && now >= entry.get().since + self.settings.answer_timeout
        {
            let waiting = entry.remove();
            self.counters.abandoned += 1;
            let status = if self.esme { code::RX_T_APPN } else { code::RSYSERR };
            self.refuse(waiting.sequence, waiting.command_id, status);
        }
    }

    /// The bare response to a command, with a status.
    pub(super) fn refuse(&mut self, sequence: u32, id: u32, status: u32) {
        if let Some(body) = Body::response_of(id) {
            self.send(&Pdu { status, sequence, body });
        }
    }
}
