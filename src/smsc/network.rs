//! The small mobile network as a pure core: links, handsets, deliveries and their timers.
//!
//! After any [`Network::handle`], poll to `None`, then wait for [`Network::next_deadline`]. Log lines come out before
//! what they tell of, so that whoever writes them first never answers what is not written.

mod burst;
mod control;
mod deliver;
mod link;
mod stats;
mod submit;
mod ussd;
mod wait;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::smpp::frame::Frame;
use crate::smsc::fault::{Faults, Passed};
use crate::smsc::handset::Handset;
use crate::smsc::settings::{Config, Settings};

use burst::Burst;
pub(super) use control::Control;
use deliver::Delivery;
use link::Link;
use stats::{Counts, Rate};
use wait::Waiting;

/// Deliveries that wait for a link; more are refused to whoever asks.
const QUEUE_MAX: usize = 100_000;
/// Handsets that the network knows; a message to one more is refused with `ESME_RINVDSTADR`.
const HANDSETS_MAX: usize = 1_000_000;
/// Things that wait for their time; a submit that would need one more is refused with `ESME_RMSGQFUL`.
const TIMERS_MAX: usize = 1_000_000;
/// How long responses are kept to change their order.
const KEPT_MS: u64 = 50;

/// Both kinds of now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) at: Timestamp,
}

/// What happens to the network.
#[derive(Debug)]
pub(super) enum Input {
    /// An ESME connected; the number is never used again.
    Connected(u64),
    /// It sent these.
    Frames(u64, Vec<Frame>),
    /// It sent what cannot be cut into PDUs.
    Broken(u64),
    /// Its connection is gone.
    Closed(u64),
    /// The connection that [`Output::Connect`] wanted is there, with this number, or is not.
    Outbound(u64, Option<u64>),
    /// Somebody asks by HTTP.
    Control(u64, Control),
    /// Time passed.
    Tick,
}

/// What the network wants.
#[derive(Debug)]
pub(super) enum Output {
    /// Whole lines for the log, before anything else is done.
    Log(Vec<u8>),
    /// Bytes for a link.
    Send(u64, Bytes),
    /// Close a link when its bytes are out.
    Close(u64),
    /// Cut a link off at once.
    Reset(u64),
    /// Refuse connections for so long.
    Outage(Duration),
    /// Connect to an ESME; the number is given back.
    Connect(u64, SocketAddr),
    /// The answer to a control: status and body.
    Answer(u64, u16, Value),
}

/// What waits for its time.
#[derive(Debug)]
enum Timer {
    /// A response that a fault delays.
    Response(u64, Bytes),
    /// Responses that a fault keeps.
    Kept(u64),
    /// A receipt is due.
    Receipt(Box<Delivery>),
    /// A link may have been silent for too long.
    Enquire(u64),
    /// A request on a link may have had no response.
    Unanswered(u64, u32),
    /// A delivery that was refused for now.
    Again(Box<Delivery>),
    /// A dialogue may have waited for too long: handset, key, messages of it that were sent, screens that were shown.
    Dialogue(String, u64, u8, u64),
    /// Whoever asks by HTTP has waited for too long.
    Wait(u64),
    /// A burst may have something due.
    Burst,
    /// The burst of this request has had its time.
    BurstEnds(u64),
}

impl Timer {
    /// Whether something comes of it that somebody sees.
    const fn is_planned(&self) -> bool {
        matches!(self, Self::Response(..) | Self::Kept(_) | Self::Receipt(_) | Self::Again(_))
    }
}

/// The network.
pub(super) struct Network {
    settings: Settings,
    faults: Faults,
    discard: bool,
    log_text: bool,
    passed: Passed,
    links: BTreeMap<u64, Link>,
    /// Links with bytes to send.
    dirty: BTreeSet<u64>,
    handsets: HashMap<String, Handset>,
    queue: VecDeque<Delivery>,
    waiting: BTreeMap<u64, Waiting>,
    /// Those of them that wait for something at links.
    watching: Vec<u64>,
    timers: BTreeMap<(Instant, u64), Timer>,
    /// Timers of which something comes that somebody sees.
    planned: usize,
    burst: Option<Burst>,
    outputs: VecDeque<Output>,
    log: Vec<u8>,
    counts: Counts,
    /// All submits, and those that were taken.
    asked: Rate,
    taken: Rate,
    /// Of messages, deliveries, dialogues and timers.
    next_id: u64,
    next_delivery: u64,
    next_dialogue: u64,
    next_number: u16,
    next_timer: u64,
    /// The link that had the last delivery.
    last_link: u64,
}

/// One line of the log. What is empty is left out.
#[derive(Default, Serialize)]
struct Line<'a> {
    at: String,
    /// `in` from the ESME, `out` to it, `here` what happens in the network.
    direction: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    /// The delivery, the same each time that it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<u64>,
    /// How often it has been sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<u8>,
    /// Characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    what: &'a str,
}

impl Network {
    /// A network without links. `start` is where message ids begin.
    pub(super) fn new(config: &Config, now: Now) -> Self {
        let seconds = u64::try_from(now.at.0.div_euclid(1_000_000)).unwrap_or(1);
        Self {
            settings: config.settings.clone(),
            faults: config.faults.clone(),
            discard: config.discard,
            log_text: config.log_text,
            passed: Passed::default(),
            links: BTreeMap::new(),
            dirty: BTreeSet::new(),
            handsets: HashMap::new(),
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            watching: Vec::new(),
            timers: BTreeMap::new(),
            planned: 0,
            burst: None,
            outputs: VecDeque::new(),
            log: Vec::new(),
            counts: Counts::default(),
            asked: Rate::new(now.instant),
            taken: Rate::new(now.instant),
            // Eight hexadecimal digits: what a peer of version 3.3 can hold.
            next_id: config.first_id.unwrap_or(seconds & 0x7fff_ffff),
            next_delivery: 1,
            next_dialogue: 1,
            next_number: 1,
            next_timer: 0,
            last_link: 0,
        }
    }

    /// Takes one input.
    pub(super) fn handle(&mut self, now: Now, input: Input) {
        self.expire(now);
        match input {
            Input::Connected(id) => self.connected(now, id),
            Input::Frames(id, frames) => {
                for frame in &frames {
                    self.frame(now, id, frame);
                }
            }
            Input::Broken(id) => self.broken(now, id),
            Input::Closed(id) => self.gone(now, id, "closed by the ESME"),
            Input::Outbound(ticket, link) => self.outbound(now, ticket, link),
            Input::Control(ticket, control) => self.control(now, ticket, control),
            Input::Tick => {}
        }
        self.pump(now);
        self.settle_links();
    }

    /// What to do next; lines of the log first, then bytes, then the rest.
    pub(super) fn poll(&mut self) -> Option<Output> {
        if !self.log.is_empty() {
            return Some(Output::Log(std::mem::take(&mut self.log)));
        }
        while let Some(id) = self.dirty.pop_first() {
            if let Some(bytes) = self.links.get_mut(&id).and_then(Link::flush) {
                return Some(Output::Send(id, bytes));
            }
        }
        self.outputs.pop_front()
    }

    /// When time itself will be an input.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    fn after(&mut self, now: Now, ms: u64, timer: Timer) {
        self.next_timer += 1;
        self.planned += usize::from(timer.is_planned());
        self.timers.insert((now.instant + Duration::from_millis(ms), self.next_timer), timer);
    }

    fn expire(&mut self, now: Now) {
        while let Some(entry) = self.timers.first_entry().filter(|e| e.key().0 <= now.instant) {
            let timer = entry.remove();
            self.planned -= usize::from(timer.is_planned());
            match timer {
                Timer::Response(id, bytes) => self.put_response(now, id, &bytes),
                Timer::Kept(id) => self.release(now, id),
                Timer::Receipt(delivery) | Timer::Again(delivery) => self.queue.push_back(*delivery),
                Timer::Enquire(id) => self.enquire(now, id),
                Timer::Unanswered(id, sequence) => self.unanswered(now, id, sequence),
                Timer::Dialogue(handset, key, sequence, screens) => {
                    self.dialogue_waited(now, &handset, key, sequence, screens);
                }
                Timer::Wait(ticket) => self.waited(ticket),
                Timer::Burst => self.burst_on(now),
                Timer::BurstEnds(ticket) => self.burst_ends(now, Some(ticket)),
            }
        }
    }

    fn write(&mut self, now: Now, line: Line<'_>) {
        let line = Line { at: now.at.to_rfc3339(), ..line };
        if serde_json::to_writer(&mut self.log, &line).is_ok() {
            self.log.push(b'\n');
        }
    }

    fn answer(&mut self, ticket: u64, status: u16, body: Value) {
        self.outputs.push_back(Output::Answer(ticket, status, body));
    }
}
