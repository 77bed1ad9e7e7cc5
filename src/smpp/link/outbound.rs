//! Our requests: they wait in order for the window and the pace, fly under a sequence number, and end in one outcome.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Instant;

use crate::smpp::frame::Frame;
use crate::smpp::link::Link;
use crate::smpp::link::State;
use crate::smpp::link::event::Doubt;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Event;
use crate::smpp::link::event::Outcome;
use crate::smpp::link::event::Output;
use crate::smpp::link::event::RequestId;
use crate::smpp::link::event::Silence;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::pace::Pace;
use crate::smpp::link::permit::esme_may_send;
use crate::smpp::link::permit::smsc_may_send;
use crate::smpp::link::settings::OVERDUE_MAX;
use crate::smpp::link::settings::Settings;
use crate::smpp::pdu::Body;
use crate::smpp::pdu::Pdu;
use crate::smpp::pdu::command;
use crate::smpp::status as code;
use crate::smpp::tlv::Tlvs;
use crate::smpp::tlv::tag;

/// The largest sequence number (SMPP 3.4 §5.1.4).
const SEQUENCE_MAX: u32 = 0x7fff_ffff;

/// Our requests that have no outcome yet.
pub(super) struct Outbound {
    queue: VecDeque<Waiting>,
    flight: HashMap<u32, Flight>,
    /// When each was sent, in that order. Holds some that were answered since.
    sent: VecDeque<(Instant, u32)>,
    /// Those whose time is over, oldest first: their late response is still known.
    overdue: VecDeque<u32>,
    overdue_commands: HashMap<u32, u32>,
    pub(super) pace: Pace,
    /// When the pace lets the first of the queue go.
    wake: Option<Instant>,
    sequence: u32,
}

struct Waiting {
    request: RequestId,
    body: Body,
    cost: u32,
    since: Instant,
}

struct Flight {
    request: RequestId,
    command_id: u32,
    sent: Instant,
}

impl Outbound {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            queue: VecDeque::new(),
            flight: HashMap::new(),
            sent: VecDeque::new(),
            overdue: VecDeque::new(),
            overdue_commands: HashMap::new(),
            pace,
            wake: None,
            sequence: 0,
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// When the oldest of those in flight was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|(sent, _)| *sent)
    }

    pub(super) fn next_deadline(&self, settings: &Settings) -> Option<Instant> {
        let response = self.oldest().map(|sent| sent + settings.response_timeout);
        let waited = self.queue.front().map(|waiting| waiting.since + settings.queue_timeout);
        [response, waited, self.wake].into_iter().flatten().min()
    }

    /// The next number that no request has whose response could still come.
    pub(super) fn next_sequence(&mut self) -> u32 {
        loop {
            self.sequence = if self.sequence >= SEQUENCE_MAX { 1 } else { self.sequence + 1 };
            let taken = self.flight.contains_key(&self.sequence)
                || self.overdue_commands.contains_key(&self.sequence);
            if !taken {
                return self.sequence;
            }
        }
    }

    /// Takes a flight out when the response is of its kind.
    fn land(&mut self, sequence: u32, id: u32) -> Option<Flight> {
        let flight = self.flight.get(&sequence)?;
        if id != command::GENERIC_NACK && id != flight.command_id | command::RESPONSE {
            return None;
        }
        let flight = self.flight.remove(&sequence);
        self.trim();
        flight
    }

    /// Keeps the first of `sent` one that is in flight, and the whole of it in proportion to the window.
    fn trim(&mut self) {
        while self.sent.front().is_some_and(|(_, sequence)| !self.flight.contains_key(sequence)) {
            self.sent.pop_front();
        }
        if self.sent.len() > 2 * self.flight.len() + 64 {
            self.sent.retain(|(_, sequence)| self.flight.contains_key(sequence));
        }
    }

    fn fly(&mut self, sequence: u32, flight: Flight) {
        self.sent.push_back((flight.sent, sequence));
        self.flight.insert(sequence, flight);
    }

    fn remember_overdue(&mut self, sequence: u32, command_id: u32) {
        if self.overdue.len() >= OVERDUE_MAX
            && let Some(oldest) = self.overdue.pop_front()
        {
            self.overdue_commands.remove(&oldest);
        }
        self.overdue.push_back(sequence);
        self.overdue_commands.insert(sequence, command_id);
    }

    /// Whether this answers a request whose outcome was told as unknown.
    fn was_overdue(&mut self, sequence: u32, id: u32) -> bool {
        let known = self
            .overdue_commands
            .get(&sequence)
            .is_some_and(|command_id| id == command::GENERIC_NACK || id == *command_id | command::RESPONSE);
        if known {
            self.overdue_commands.remove(&sequence);
            self.overdue.retain(|overdue| *overdue != sequence);
        }
        known
    }

    pub(super) fn drop_queued(&mut self, why: Unsent, out: &mut VecDeque<Output>) {
        self.wake = None;
        for waiting in self.queue.drain(..) {
            out.push_back(Output::Done { request: waiting.request, outcome: Outcome::NotSent(why) });
        }
    }

    /// Gives every request that is left its outcome.
    pub(super) fn end(&mut self, unsent: Unsent, out: &mut VecDeque<Output>) {
        for (_, sequence) in self.sent.drain(..) {
            if let Some(flight) = self.flight.remove(&sequence) {
                let outcome = Outcome::Unknown(Doubt { sequence, why: Silence::Lost });
                out.push_back(Output::Done { request: flight.request, outcome });
            }
        }
        self.drop_queued(unsent, out);
    }
}

impl Link {
    /// Takes a request of ours, or says at once that it is not sent.
    pub(super) fn ask(&mut self, now: Instant, request: RequestId, body: Body, cost: u32) {
        let id = body.command_id();
        let may = if self.esme { esme_may_send(self.role, id) } else { smsc_may_send(self.role, id) };
        let refused = match self.state {
            State::Draining { .. } | State::Unbinding { .. } | State::Parting { .. } => Some(Unsent::Closing),
            State::Bound if !may || Body::response_of(id).is_none() => Some(Unsent::Role),
            State::Bound if self.room() == 0 => Some(Unsent::Full),
            State::Bound => None,
            _ => Some(Unsent::Down),
        };
        match refused {
            Some(why) => self.done(request, Outcome::NotSent(why)),
            None => self.outbound.queue.push_back(Waiting { request, body, cost, since: now }),
        }
    }

    /// Sends what the window and the pace allow, in order.
    pub(super) fn pump(&mut self, now: Instant) {
        self.outbound.wake = None;
        while self.is_bound() && self.outbound.in_flight() < self.settings.window {
            let Some(first) = self.outbound.queue.front() else { return };
            if let Err(at) = self.outbound.pace.take(now, first.cost) {
                self.outbound.wake = Some(at);
                return;
            }
            let Some(waiting) = self.outbound.queue.pop_front() else { return };
            let sequence = self.outbound.next_sequence();
            let pdu = Pdu::request(sequence, waiting.body);
            if let Err(why) = self.write(&pdu) {
                self.done(waiting.request, Outcome::NotSent(Unsent::Unfit(why)));
                continue;
            }
            let command_id = pdu.body.command_id();
            self.outbound.fly(sequence, Flight { request: waiting.request, command_id, sent: now });
        }
    }

    /// A response came.
    pub(super) fn responded(&mut self, now: Instant, frame: &Frame) {
        match self.state {
            State::Binding { sequence, .. } if sequence == frame.sequence && is_bind_answer(frame) => {
                self.bind_answered(now, frame);
                return;
            }
            State::Unbinding { sequence, .. }
                if sequence == frame.sequence && matches!(frame.id, command::GENERIC_NACK | UNBIND_RESP) =>
            {
                self.end(Ended::Unbound);
                return;
            }
            _ => {}
        }
        if frame.id == command::ENQUIRE_LINK | command::RESPONSE {
            // It was a sign of life, and that is all that it can be.
            return;
        }
        if let Some(flight) = self.outbound.land(frame.sequence, frame.id) {
            let body = self.body_of(frame);
            self.steer(now, flight.sent, frame.status, &body);
            self.done(flight.request, Outcome::Answered { status: frame.status, body });
        } else if self.outbound.was_overdue(frame.sequence, frame.id) {
            self.counters.late += 1;
            let body = self.body_of(frame);
            self.event(Event::LateResponse { sequence: frame.sequence, status: frame.status, body });
        } else {
            self.counters.unmatched += 1;
        }
    }

    /// A response's body. The status alone already says what became of the request, so one that cannot be read is empty.
    fn body_of(&mut self, frame: &Frame) -> Body {
        let request = frame.id & !command::RESPONSE;
        self.read(frame)
            .map(|pdu| pdu.body)
            .unwrap_or_else(|_| Body::response_of(request).unwrap_or(Body::GenericNack))
    }

    /// Lets a response say how fast we may go.
    fn steer(&mut self, now: Instant, sent: Instant, status: u32, body: &Body) {
        if matches!(status, code::RTHROTTLED | code::RMSGQFUL) {
            self.counters.throttled += 1;
            self.outbound.pace.throttled(now, sent);
        } else {
            self.outbound.pace.accepted(sent);
        }
        // SMPP 5.0 §4.8.4.18.
        if let Some(state) = tlvs_of(body).and_then(|tlvs| tlvs.octet(tag::CONGESTION_STATE)) {
            self.outbound.pace.congestion(now, state);
        }
    }

    /// Tells the outcome of what has waited too long, in flight or in the queue.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((sent, sequence)) = self.outbound.sent.front().copied()
            && now >= sent + self.settings.response_timeout
        {
            self.outbound.sent.pop_front();
            if let Some(flight) = self.outbound.flight.remove(&sequence) {
                self.counters.timeouts += 1;
                self.outbound.remember_overdue(sequence, flight.command_id);
                let doubt = Doubt { sequence, why: Silence::Timeout };
                self.done(flight.request, Outcome::Unknown(doubt));
            }
        }
        self.outbound.trim();
        while let Some(first) = self.outbound.queue.front()
            && now >= first.since + self.settings.queue_timeout
            && let Some(waiting) = self.outbound.queue.pop_front()
        {
            self.done(waiting.request, Outcome::NotSent(Unsent::Waited));
        }
    }
}

const UNBIND_RESP: u32 = command::UNBIND | command::RESPONSE;

/// Whether a response can be that to a bind; some answer with the response of another role.
const fn is_bind_answer(frame: &Frame) -> bool {
    const ANSWERS: [u32; 3] = [
        command::BIND_RECEIVER | command::RESPONSE,
        command::BIND_TRANSMITTER | command::RESPONSE,
        command::BIND_TRANSCEIVER | command::RESPONSE,
    ];
    let [one, two, three] = ANSWERS;
    frame.id == command::GENERIC_NACK || frame.id == one || frame.id == two || frame.id == three
}

const fn tlvs_of(body: &Body) -> Option<&Tlvs> {
    match body {
        Body::SubmitSmResp(answer) | Body::DeliverSmResp(answer) | Body::DataSmResp(answer) => {
            Some(&answer.tlvs)
        }
        _ => None,
    }
}

#[cfg(test)]
impl Outbound {
    /// Makes the next sequence number the one after this.
    pub(super) const fn start_after(&mut self, sequence: u32) {
        self.sequence = sequence;
    }

    /// How much is known of the order of sending.
    pub(super) fn remembered(&self) -> usize {
        self.sent.len()
    }
}
