//! One SMPP link as a pure core: our bind to an SMSC, or a peer's bind to us. PDUs, requests and time in; bytes, outcomes
//! and events out.
//!
//! Contract: *after any [`Link::handle`], poll to `None`, then wait for [`Link::next_deadline`] or the next input.* No
//! sockets, no tasks, no clock: `now` is an argument and must not run backwards. One link lives as long as one connection.
//!
//! ```text
//! ESME   Binding ─bind_resp OK─► Bound ─unbind asked for─► Draining ─all answered─► Unbinding ─unbind_resp─► over
//!           └─refused, late─► over  └─peer unbinds─► Parting ─all answered, unbind_resp─► over
//! SMSC   Open ─bind─► Asked ─allowed─► Bound, as above
//!         └─outbind─► Outbound ─believed─► Binding, as an ESME
//! ```
//! The state is looked at before a body is: what a bind does not allow is refused unread.
//!
//! `binding` makes and ends the bind, `outbound` is our requests (window, queue, timeouts), `inbound` the peer's, `pace`
//! the speed, `permit` the table of who may send what, `retry` the waits between links.

mod binding;
pub mod event;
mod inbound;
mod outbound;
mod pace;
mod permit;
pub mod retry;
pub mod settings;
pub mod status;
#[cfg(test)]
mod tests;

pub use pace::Allowance;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;

use crate::smpp::encode::Unfit;
use crate::smpp::encode::encode;
use crate::smpp::frame::Frame;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Event;
use crate::smpp::link::event::Input;
use crate::smpp::link::event::Outcome;
use crate::smpp::link::event::Output;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::inbound::Inbound;
use crate::smpp::link::outbound::Outbound;
use crate::smpp::link::pace::Pace;
use crate::smpp::link::settings::Settings;
use crate::smpp::link::settings::Side;
use crate::smpp::link::status::Counters;
use crate::smpp::link::status::Phase;
use crate::smpp::link::status::Status;
use crate::smpp::parse::Bad;
use crate::smpp::parse::Tolerated;
use crate::smpp::parse::parse_noting;
use crate::smpp::pdu::Body;
use crate::smpp::pdu::Pdu;
use crate::smpp::pdu::Role;
use crate::smpp::pdu::command;
use crate::smpp::status as code;

/// See the module's documentation.
pub struct Link {
    settings: Settings,
    state: State,
    /// Whether we are the ESME of this link.
    esme: bool,
    role: Role,
    version: u8,
    peer: Bytes,
    bound_since: Option<Instant>,
    outbound: Outbound,
    inbound: Inbound,
    life: Life,
    /// PDUs that a peer sent before its bind.
    unbound_pdus: u32,
    bytes: BytesMut,
    out: VecDeque<Output>,
    counters: Counters,
    tolerances: BTreeMap<&'static str, u64>,
}

/// Where a link is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The peer has not asked for a bind yet.
    Open { until: Instant },
    /// It has, and the application thinks about it.
    Asked { until: Instant, sequence: u32, role: Role, version: u8 },
    /// An SMSC sent `outbind`, and the application thinks about it.
    Outbound { until: Instant },
    /// We asked for a bind.
    Binding { until: Instant, sequence: u32 },
    /// Requests flow.
    Bound,
    /// We take no more requests, and wait for answers.
    Draining { until: Instant },
    /// We sent `unbind`.
    Unbinding { until: Instant, sequence: u32 },
    /// The peer sent `unbind`; its response waits for what is still unanswered.
    Parting { until: Instant, sequence: u32 },
    /// The connection is to be closed, or is gone.
    Over,
}

/// The signs of life of the peer.
struct Life {
    /// The last of them.
    seen: Instant,
    /// Until when our `enquire_link` waits for one.
    probe: Option<Instant>,
    /// How many `enquire_link` in a row got none.
    misses: u32,
}

impl Link {
    /// A link on a new connection. An ESME asks for its bind at once.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let version = match &settings.side {
            Side::Esme(esme) => esme.version,
            Side::Smsc { version, .. } => *version,
        };
        let mut link = Self {
            state: State::Open { until: now + settings.bind_timeout },
            esme: false,
            role: Role::Transceiver,
            version,
            peer: Bytes::new(),
            bound_since: None,
            outbound: Outbound::new(Pace::new(settings.rate, now)),
            inbound: Inbound::new(settings.peer_rate.map(|rate| Allowance::new(rate, now))),
            life: Life { seen: now, probe: None, misses: 0 },
            unbound_pdus: 0,
            bytes: BytesMut::new(),
            out: VecDeque::new(),
            counters: Counters::default(),
            tolerances: BTreeMap::new(),
            settings,
        };
        if let Side::Esme(esme) = &link.settings.side {
            let esme = esme.clone();
            link.bind(now, &esme);
        }
        link
    }

    /// A link that takes the speed over that the one before it had learned, so that a new connection is no way around
    /// the peer's throttling.
    #[must_use]
    pub fn after(former: &Self, settings: Settings, now: Instant) -> Self {
        let mut link = Self::new(settings, now);
        link.outbound.pace = former.outbound.pace.clone();
        link
    }

    /// Lets the peer's speed count together with that of other links, as when one name binds more than once.
    pub fn share(&mut self, allowance: Allowance) {
        self.inbound.allowance = Some(allowance);
    }

    /// Takes one input. `now` is at or after that of the one before.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Frame(frame) => self.frame(now, frame),
            Input::Unframed => self.unframed(),
            Input::Request { request, body, cost } => self.ask(now, request, body, cost),
            Input::Respond { ticket, status, body } => self.respond(&ticket, status, body),
            Input::Allow(settings) => self.allow(now, *settings),
            Input::Deny(status) => self.deny(status),
            Input::BindAs(esme) => self.bind_as(now, &esme),
            Input::Unbind { until } => self.drain(until),
            Input::Lost => self.end(Ended::Lost),
            Input::Tick => {}
        }
        self.tick(now);
        self.pump(now);
        self.settle(now);
    }

    /// What is to be done next; nothing when all of it was told.
    pub fn poll(&mut self) -> Option<Output> {
        if !self.bytes.is_empty() {
            return Some(Output::Write(self.bytes.split().freeze()));
        }
        self.out.pop_front()
    }

    /// When [`Input::Tick`] is due; nothing when the link is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let own = match self.state {
            State::Over => return None,
            State::Bound => None,
            State::Open { until }
            | State::Asked { until, .. }
            | State::Outbound { until }
            | State::Binding { until, .. }
            | State::Draining { until }
            | State::Unbinding { until, .. }
            | State::Parting { until, .. } => Some(until),
        };
        let life = self.has_bound().then(|| self.life.due(&self.settings));
        let answers = self.inbound.oldest().map(|since| since + self.settings.answer_timeout);
        [own, life, answers, self.outbound.next_deadline(&self.settings)].into_iter().flatten().min()
    }

    /// Whether requests would be sent now or later.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound)
    }

    /// Whether the connection is to be closed.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// How many more requests may wait here.
    #[must_use]
    pub fn room(&self) -> usize {
        self.settings.queue.saturating_sub(self.outbound.queued())
    }

    /// What can be told of it.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        Status {
            phase: match self.state {
                State::Open { .. } | State::Outbound { .. } | State::Over => Phase::Down,
                State::Asked { .. } | State::Binding { .. } => Phase::Binding,
                State::Bound => Phase::Bound,
                State::Draining { .. } | State::Unbinding { .. } | State::Parting { .. } => Phase::Closing,
            },
            bound_since: self.bound_since,
            role: self.bound_since.map(|_| self.role),
            version: self.bound_since.map_or(0, |_| self.version),
            peer: self.peer.clone(),
            window: self.settings.window,
            window_used: self.outbound.in_flight(),
            queued: self.outbound.queued(),
            per_second: self.outbound.pace.per_second(),
            paused_until: self.outbound.pace.paused_until(now),
            oldest_outstanding: self.outbound.oldest(),
            unanswered: self.inbound.unanswered(),
            oldest_unanswered: self.inbound.oldest(),
            tolerances: self.tolerances.clone(),
            counters: self.counters,
        }
    }

    const fn has_bound(&self) -> bool {
        matches!(
            self.state,
            State::Bound | State::Draining { .. } | State::Unbinding { .. } | State::Parting { .. }
        )
    }

    fn frame(&mut self, now: Instant, frame: Frame) {
        if self.is_over() {
            return;
        }
        self.counters.pdus_in += 1;
        // Any traffic is a sign of life.
        self.life = Life { seen: now, probe: None, misses: 0 };
        if frame.id & command::RESPONSE == 0 {
            self.requested(now, &frame);
        } else {
            self.responded(now, &frame);
        }
    }

    /// The place in the stream is lost (SMPP 3.4 §5.1.3, `ESME_RINVCMDLEN`).
    fn unframed(&mut self) {
        if self.is_over() {
            return;
        }
        self.counters.bad += 1;
        self.nack(0, code::RINVCMDLEN);
        self.end(Ended::Framing);
    }

    fn tick(&mut self, now: Instant) {
        match self.state {
            State::Open { until } | State::Outbound { until } | State::Binding { until, .. }
                if now >= until =>
            {
                self.end(Ended::BindTimeout);
            }
            State::Asked { until, .. } if now >= until => self.deny(code::RSYSERR),
            State::Draining { until } if now >= until => self.unbind(now),
            State::Unbinding { until, .. } if now >= until => self.end(Ended::Unbound),
            State::Parting { until, sequence } if now >= until => self.part(sequence),
            _ => {}
        }
        self.expire(now);
        self.abandon(now);
        self.probe(now);
    }

    /// Goes on with an end that waits for answers, when there are none left to wait for.
    fn settle(&mut self, now: Instant) {
        if self.outbound.in_flight() > 0 || self.inbound.unanswered() > 0 {
            return;
        }
        match self.state {
            State::Draining { .. } => self.unbind(now),
            State::Parting { sequence, .. } => self.part(sequence),
            _ => {}
        }
    }

    fn probe(&mut self, now: Instant) {
        if !self.has_bound() || now < self.life.due(&self.settings) {
            return;
        }
        if self.life.probe.is_some() {
            self.life.misses += 1;
            self.counters.missed_probes += 1;
            if self.life.misses >= self.settings.enquire_misses {
                self.end(Ended::Silent);
                return;
            }
        }
        let sequence = self.outbound.next_sequence();
        self.life.probe = Some(now + self.settings.enquire_timeout);
        self.send(&Pdu::request(sequence, Body::EnquireLink));
    }

    /// The one way out of every state: each request that is left gets its outcome.
    fn end(&mut self, why: Ended) {
        if self.is_over() {
            return;
        }
        self.state = State::Over;
        let unsent = if why == Ended::Unbound { Unsent::Closing } else { Unsent::Down };
        self.outbound.end(unsent, &mut self.out);
        self.inbound.end();
        if why == Ended::Lost {
            self.bytes.clear();
        }
        self.out.push_back(Output::Close(why));
    }

    fn read(&mut self, frame: &Frame) -> Result<Pdu, Bad> {
        let mut tolerated = Tolerated::default();
        let read = parse_noting(frame, &mut tolerated);
        if tolerated != Tolerated::NONE {
            for name in tolerated.names() {
                *self.tolerances.entry(name).or_default() += 1;
                self.counters.tolerances += 1;
            }
        }
        read
    }

    fn write(&mut self, pdu: &Pdu) -> Result<(), Unfit> {
        encode(pdu, self.version, &mut self.bytes)?;
        self.counters.pdus_out += 1;
        Ok(())
    }

    /// Writes a PDU of our own making, which always fits.
    fn send(&mut self, pdu: &Pdu) {
        let fits = self.write(pdu).is_ok();
        debug_assert!(fits, "{:#010x}", pdu.body.command_id());
    }

    fn nack(&mut self, sequence: u32, status: u32) {
        self.send(&Pdu { status, sequence, body: Body::GenericNack });
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn done(&mut self, request: event::RequestId, outcome: Outcome) {
        self.out.push_back(Output::Done { request, outcome });
    }
}

impl Life {
    fn due(&self, settings: &Settings) -> Instant {
        self.probe.unwrap_or(self.seen + settings.enquire_after)
    }
}
