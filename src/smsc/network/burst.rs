//! A load of texts from many handsets, and how fast each is answered: by `deliver_sm_resp`, and by a text that comes back.

use std::collections::HashMap;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::smsc::handset::digits;
use crate::smsc::network::deliver::Cause;
use crate::smsc::network::submit::{handset_address, other_address};
use crate::smsc::network::{Network, Now, QUEUE_MAX, Timer};
use crate::smsc::settings::Parts;
use crate::smsc::text;

/// The most texts of one burst.
const COUNT_MAX: u32 = 10_000_000;
/// Between two looks at what a rate makes due.
const TICK_MS: u64 = 2;

const fn in_flight() -> usize {
    100
}

const fn timeout() -> u64 {
    60_000
}

/// What is sent. The `n`-th text comes from the number `from` plus `n`, counted round after `senders`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::smsc) struct Ask {
    count: u32,
    from: String,
    to: String,
    /// `{n}` in it is the text's number, so that no two are alike.
    text: String,
    /// As many as `count` when it is missing.
    #[serde(default)]
    senders: Option<u32>,
    /// Pairs that are open at once.
    #[serde(default = "in_flight")]
    in_flight: usize,
    /// Texts a second; 0 for as fast as pairs close.
    #[serde(default)]
    rate: u64,
    /// Whether a pair closes with the text that comes back, or already with the answer to the `deliver_sm`.
    #[serde(default)]
    replies: bool,
    #[serde(default = "timeout")]
    timeout_ms: u64,
}

/// A burst that goes on.
#[derive(Debug)]
pub(super) struct Burst {
    ticket: u64,
    ask: Ask,
    first: u64,
    senders: u32,
    sent: u32,
    started: Instant,
    open: HashMap<String, Instant>,
    refused: u32,
    /// Microseconds from when a text was sent.
    answered: Vec<u32>,
    replied: Vec<u32>,
}

impl Burst {
    fn is_over(&self) -> bool {
        self.sent == self.ask.count && self.open.is_empty()
    }

    fn found(&mut self, now: Now, timeout: bool) -> Value {
        let elapsed = micros(now, self.started).max(1);
        let closed = if self.ask.replies { self.replied.len() } else { self.answered.len() };
        let per_second = u64::try_from(closed).unwrap_or(0).saturating_mul(1_000_000) / u64::from(elapsed);
        json!({
            "timeout": timeout,
            "sent": self.sent,
            "answered": self.answered.len(),
            "refused": self.refused,
            "replied": self.replied.len(),
            "elapsed_ms": elapsed / 1_000,
            "per_second": per_second,
            "answer_us": quantiles(&mut self.answered),
            "reply_us": quantiles(&mut self.replied),
        })
    }
}

fn micros(now: Now, since: Instant) -> u32 {
    u32::try_from(now.instant.saturating_duration_since(since).as_micros()).unwrap_or(u32::MAX)
}

fn quantiles(of: &mut [u32]) -> Value {
    of.sort_unstable();
    let at = |per_mille: usize| of.get((of.len() * per_mille / 1_000).min(of.len().saturating_sub(1)));
    json!({ "median": at(500), "p90": at(900), "p99": at(990), "most": of.last() })
}

impl Network {
    /// `POST /burst`; one at a time.
    pub(super) fn burst(&mut self, now: Now, ticket: u64, ask: Ask) {
        let first = digits(&ask.from).parse::<u64>().ok().filter(|n| *n > 0);
        let senders = ask.senders.unwrap_or(ask.count);
        let why = if self.burst.is_some() {
            "a burst goes on"
        } else if ask.count == 0 || ask.count > COUNT_MAX {
            "expected a count from 1 to 10,000,000"
        } else if ask.in_flight == 0 || ask.in_flight > QUEUE_MAX {
            "expected in_flight from 1 to 100,000"
        } else if usize::try_from(senders).is_ok_and(|s| s < ask.in_flight) && senders < ask.count {
            "fewer senders than are in flight"
        } else {
            ""
        };
        let Some(first) = first.filter(|_| why.is_empty()) else {
            let why = if why.is_empty() { "expected a number in from" } else { why };
            return self.answer(ticket, 400, json!({ "why": why }));
        };
        self.after(now, ask.timeout_ms, Timer::BurstEnds(ticket));
        self.burst = Some(Burst {
            ticket,
            ask,
            first,
            senders,
            sent: 0,
            started: now.instant,
            open: HashMap::new(),
            refused: 0,
            answered: Vec::new(),
            replied: Vec::new(),
        });
        self.burst_on(now);
    }

    /// Sends what is due, and looks again later where a rate says so.
    pub(super) fn burst_on(&mut self, now: Now) {
        while let Some((from, to, words)) = self.next_of_burst(now) {
            for piece in text::cut(&words, Parts::Payload, 0).unwrap_or_default() {
                let mut message = piece.message;
                // One PDU, its text where it belongs when it is short.
                if let [payload] = message.tlvs.0.as_slice()
                    && payload.value.len() <= 160
                {
                    message.short_message = payload.value.clone();
                    message.tlvs.0.clear();
                }
                message.source = handset_address(&from);
                message.destination = other_address(&to);
                self.enqueue(message, &piece.text, Cause::Burst(from.clone()));
            }
        }
        if self.burst.as_ref().is_some_and(|b| b.ask.rate != 0 && b.sent < b.ask.count) {
            self.after(now, TICK_MS, Timer::Burst);
        }
    }

    fn next_of_burst(&mut self, now: Now) -> Option<(String, String, String)> {
        let burst = self.burst.as_mut()?;
        let due = match burst.ask.rate {
            0 => u64::from(burst.ask.count),
            rate => {
                (u64::from(micros(now, burst.started)).saturating_mul(rate) / 1_000_000).saturating_add(1)
            }
        };
        let more = burst.sent < burst.ask.count && u64::from(burst.sent) < due;
        if !more || burst.open.len() >= burst.ask.in_flight {
            return None;
        }
        let n = burst.sent;
        burst.sent += 1;
        let from = (burst.first + u64::from(n % burst.senders.max(1))).to_string();
        burst.open.insert(from.clone(), now.instant);
        Some((from, burst.ask.to.clone(), burst.ask.text.replace("{n}", &n.to_string())))
    }

    /// The ESME answered a text of the burst.
    pub(super) fn burst_answered(&mut self, now: Now, handset: &str, status: u32) {
        let Some(burst) = &mut self.burst else { return };
        let Some(since) = burst.open.get(handset) else { return };
        burst.answered.push(micros(now, *since));
        burst.refused += u32::from(status != 0);
        if status != 0 || !burst.ask.replies {
            burst.open.remove(handset);
            self.burst_moved(now);
        }
    }

    /// A text came for a handset.
    pub(super) fn burst_replied(&mut self, now: Now, handset: &str) {
        let Some(burst) = self.burst.as_mut().filter(|b| b.ask.replies) else { return };
        if let Some(since) = burst.open.remove(handset) {
            burst.replied.push(micros(now, since));
            self.burst_moved(now);
        }
    }

    fn burst_moved(&mut self, now: Now) {
        if self.burst.as_ref().is_some_and(Burst::is_over) {
            self.burst_ends(now, None);
        } else if self.burst.as_ref().is_some_and(|b| b.ask.rate == 0) {
            self.burst_on(now);
        }
    }

    /// It is over, or the time of the one that was asked for by this request is.
    pub(super) fn burst_ends(&mut self, now: Now, ticket: Option<u64>) {
        if ticket.is_some_and(|ticket| self.burst.as_ref().is_none_or(|b| b.ticket != ticket)) {
            return;
        }
        if let Some(mut burst) = self.burst.take() {
            let body = burst.found(now, ticket.is_some());
            self.answer(burst.ticket, if ticket.is_some() { 504 } else { 200 }, body);
        }
    }
}
