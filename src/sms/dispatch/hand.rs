//! The texts that a dispatcher has in hand: which may leave now, and what becomes of each. Pure: what happened and the time
//! go in, steps come out.
//!
//! Texts to one recipient leave in the order in which they were queued, each when the fate of the one before is known. One
//! that goes back to waiting takes those behind it along.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use crate::msisdn::Msisdn;
use crate::session::mailbox::OutboxSettled;
use crate::session::{OutboxRow, OutboxState};
use crate::sms::carry::{Outgoing, Readiness};
use crate::sms::retry::{EXPIRED, NO_ROUTE, NOT_SENT, Next, Sent};
use crate::sms::route::{Choice, Health, Route, choose};

/// A text that has not left when its lease has only this much left goes back: the answer would come too late.
pub(super) const LEASE_MARGIN: i64 = 60_000_000;
/// The first pause of a route whose carrier has too much; it doubles.
const THROTTLED_FIRST: i64 = 500_000;
/// The longest one.
const THROTTLED_MAX: i64 = 16_000_000;
/// How long a route is passed by that had no way out.
const DOWN_PAUSE: i64 = 250_000;
/// When a text is looked at again whose routes are all down.
const DOWN_DUE: i64 = 1_000_000;
/// Recipients whose next texts are kept back behind one that waits for another try.
const HELD_MAX: usize = 10_000;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step {
    /// Give it to the carrier of this route, and come back with [`Hand::sent`].
    Send { route: usize, text: Outgoing },
    /// Write what became of it.
    Settle(OutboxSettled),
}

/// What a carrier did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) route: usize,
    pub(super) recipient: String,
    /// Into how many the text was cut.
    pub(super) segments: u16,
    pub(super) sent: Sent,
}

/// How a route stands.
#[derive(Clone, Debug, Default)]
struct Standing {
    in_flight: usize,
    paused_until: i64,
    throttles: u32,
}

#[derive(Debug)]
pub(super) struct Hand {
    routes: Vec<Route>,
    standing: Vec<Standing>,
    /// By recipient; the front of each is under way, or blocked.
    lanes: HashMap<String, VecDeque<OutboxRow>>,
    /// Recipients whose front waits until a route has room.
    blocked: VecDeque<String>,
    /// Recipients for whom an earlier text waits until then.
    held: HashMap<String, i64>,
    /// Texts in lanes that are not under way.
    waiting: usize,
}

impl Hand {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        let standing = vec![Standing::default(); routes.len()];
        Self {
            routes,
            standing,
            lanes: HashMap::new(),
            blocked: VecDeque::new(),
            held: HashMap::new(),
            waiting: 0,
        }
    }

    /// How many more texts it can use.
    pub(super) fn room(&self, now: i64, readiness: &[Readiness]) -> usize {
        let health = self.health(now, readiness);
        let room: usize = health.iter().filter(|health| health.ready()).map(|health| health.room).sum();
        room.saturating_sub(self.waiting)
    }

    /// Texts that carriers have now.
    pub(super) fn in_flight(&self) -> usize {
        self.standing.iter().map(|standing| standing.in_flight).sum()
    }

    /// Whether texts wait for room.
    pub(super) fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// When the next pause of a route ends, microseconds.
    pub(super) fn next_due(&self, now: i64) -> Option<i64> {
        self.standing.iter().map(|standing| standing.paused_until).filter(|until| *until > now).min()
    }

    fn health(&self, now: i64, readiness: &[Readiness]) -> Vec<Health> {
        let of = |(index, standing): (usize, &Standing)| {
            let readiness = readiness.get(index).copied().unwrap_or_default();
            Health {
                up: readiness.up,
                paused: standing.paused_until > now,
                room: readiness.window.saturating_sub(standing.in_flight),
            }
        };
        self.standing.iter().enumerate().map(of).collect()
    }

    /// Takes a claimed text; its `due_at` is the end of its lease.
    pub(super) fn take(&mut self, row: OutboxRow, now: i64, readiness: &[Readiness], steps: &mut Vec<Step>) {
        if let Some(due_at) = self.held.get(&row.recipient).copied() {
            if due_at > now && !self.lanes.contains_key(&row.recipient) {
                steps.push(back(row, due_at.saturating_add(1), NOT_SENT, now));
                return;
            }
            self.held.remove(&row.recipient);
        }
        let recipient = row.recipient.clone();
        let lane = self.lanes.entry(recipient.clone()).or_default();
        lane.push_back(row);
        self.waiting += 1;
        if lane.len() == 1 {
            self.advance(recipient, now, readiness, steps);
        }
    }

    /// Lets the front of a recipient's lane leave, if it may.
    fn advance(&mut self, recipient: String, now: i64, readiness: &[Readiness], steps: &mut Vec<Step>) {
        loop {
            let Some(row) = self.lanes.get(&recipient).and_then(VecDeque::front) else {
                self.lanes.remove(&recipient);
                return;
            };
            if row.expires_at <= now {
                let settled = failed(row, EXPIRED, now);
                steps.push(Step::Settle(settled));
                self.drop_front(&recipient);
                continue;
            }
            if row.due_at.saturating_sub(LEASE_MARGIN) <= now {
                self.give_back(&recipient, now, NOT_SENT, now, steps);
                return;
            }
            let Ok(number) = Msisdn::parse(&row.recipient) else {
                let settled = failed(row, NO_ROUTE, now);
                steps.push(Step::Settle(settled));
                self.drop_front(&recipient);
                continue;
            };
            let health = self.health(now, readiness);
            let named = row.route.as_deref();
            match choose(&self.routes, &health, number.digits(), named, row.sender.as_deref()) {
                Choice::Never => {
                    let settled = failed(row, NO_ROUTE, now);
                    steps.push(Step::Settle(settled));
                    self.drop_front(&recipient);
                }
                Choice::Full => {
                    self.blocked.push_back(recipient);
                    return;
                }
                Choice::Later => {
                    let due_at = self.next_due(now).unwrap_or_else(|| now.saturating_add(DOWN_DUE));
                    self.give_back(&recipient, due_at, NOT_SENT, now, steps);
                    return;
                }
                Choice::Now(route) => {
                    if let Some(text) = self.outgoing(route, row, number, now) {
                        steps.push(Step::Send { route, text });
                        self.waiting = self.waiting.saturating_sub(1);
                        if let Some(standing) = self.standing.get_mut(route) {
                            standing.in_flight += 1;
                        }
                    }
                    return;
                }
            }
        }
    }

    fn outgoing(&self, route: usize, row: &OutboxRow, recipient: Msisdn, now: i64) -> Option<Outgoing> {
        let route = self.routes.get(route)?;
        let left = u64::try_from(row.expires_at.saturating_sub(now)).unwrap_or(0);
        let left = Duration::from_micros(left);
        Some(Outgoing {
            id: row.id,
            recipient,
            sender: row.sender.clone().unwrap_or_else(|| route.sender.clone()),
            text: Zeroizing::new(row.body.clone()),
            validity: route.validity.map_or(left, |validity| validity.min(left)),
            receipt: route.receipts,
        })
    }

    fn drop_front(&mut self, recipient: &str) {
        if let Some(mut row) = self.lanes.get_mut(recipient).and_then(VecDeque::pop_front) {
            row.body.zeroize();
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    /// All texts to a recipient wait again, in their order, none of them under way.
    fn give_back(&mut self, recipient: &str, due_at: i64, code: &str, now: i64, steps: &mut Vec<Step>) {
        for (after, row) in (0..).zip(self.lanes.remove(recipient).unwrap_or_default()) {
            self.waiting = self.waiting.saturating_sub(1);
            steps.push(back(row, due_at.saturating_add(after), code, now));
        }
        self.blocked.retain(|blocked| blocked != recipient);
    }

    /// What a carrier did with a text that it was given.
    pub(super) fn sent(
        &mut self,
        done: Done,
        now: i64,
        random: u64,
        readiness: &[Readiness],
        steps: &mut Vec<Step>,
    ) {
        let Done { route, recipient, segments, sent } = done;
        let recipient = recipient.as_str();
        self.waiting += 1;
        let Some(row) = self.lanes.get(recipient).and_then(VecDeque::front) else { return };
        let (Some(known), Some(standing)) = (self.routes.get(route), self.standing.get_mut(route)) else {
            return;
        };
        standing.in_flight = standing.in_flight.saturating_sub(1);
        standing.note(&sent, now);
        if sent == Sent::NotSent {
            // Still in hand: another route may take it at once.
            self.advance(recipient.to_owned(), now, readiness, steps);
            return;
        }
        let tries = row.attempts.saturating_add(1);
        let next = known.retry.next(sent, tries, now, row.expires_at, standing.paused_until, random);
        let mut settled = OutboxSettled {
            route: Some(known.name.clone()),
            attempts: Some(tries),
            segments: Some(i32::from(segments)),
            lease: Some(row.due_at),
            ..OutboxSettled::new(row.id, OutboxState::Unknown, now)
        };
        let again = match next {
            Next::Accepted { id } => {
                settled.state = OutboxState::Accepted;
                settled.message_id = Some(id).filter(|id| !id.is_empty());
                None
            }
            Next::Failed { code } => {
                (settled.state, settled.code) = (OutboxState::Failed, Some(code));
                None
            }
            Next::Unknown => {
                settled.code = Some(NO_ANSWER.to_owned());
                None
            }
            Next::Again { due_at, counted, code } => {
                settled.state = OutboxState::Waiting;
                (settled.code, settled.due_at) = (Some(code), Some(due_at));
                // It may take another route then, unless it names one.
                settled.route = None;
                if !counted {
                    settled.attempts = None;
                }
                Some(due_at)
            }
        };
        steps.push(Step::Settle(settled));
        self.drop_front(recipient);
        match again {
            None => self.advance(recipient.to_owned(), now, readiness, steps),
            Some(due_at) => {
                self.give_back(recipient, due_at.saturating_add(1), NOT_SENT, now, steps);
                self.hold(recipient, due_at, now);
            }
        }
    }

    fn hold(&mut self, recipient: &str, due_at: i64, now: i64) {
        if self.held.len() >= HELD_MAX {
            self.held.retain(|_, until| *until > now);
        }
        if self.held.len() < HELD_MAX {
            self.held.insert(recipient.to_owned(), due_at);
        }
    }

    /// Tries those that waited for room, after a text has left a route's hands or a pause is over.
    pub(super) fn unblock(&mut self, now: i64, readiness: &[Readiness], steps: &mut Vec<Step>) {
        let health = self.health(now, readiness);
        let room: usize = health.iter().filter(|health| health.ready()).map(|health| health.room).sum();
        let open = health.iter().any(|health| health.up && !health.paused);
        // With every route down or paused they go back. Who stays blocked goes to the end: everybody has his turn.
        let tried = if open { self.blocked.len().min(room) } else { self.blocked.len() };
        for _ in 0..tried {
            let Some(recipient) = self.blocked.pop_front() else { return };
            self.advance(recipient, now, readiness, steps);
        }
    }

    /// The dispatcher stops: what is not under way waits for another, at once.
    pub(super) fn release(&mut self, now: i64, steps: &mut Vec<Step>) {
        let blocked: BTreeSet<String> = self.blocked.drain(..).collect();
        let mut gone = Vec::new();
        for (recipient, lane) in &mut self.lanes {
            let under_way = usize::from(!blocked.contains(recipient));
            for row in lane.drain(under_way.min(lane.len())..) {
                self.waiting = self.waiting.saturating_sub(1);
                steps.push(back(row, now, NOT_SENT, now));
            }
            if lane.is_empty() {
                gone.push(recipient.clone());
            }
        }
        for recipient in gone {
            self.lanes.remove(&recipient);
        }
    }
}

/// Why a text is unknown.
const NO_ANSWER: &str = "no_answer";

impl Standing {
    fn note(&mut self, sent: &Sent, now: i64) {
        match sent {
            Sent::Throttled { .. } => {
                // Those that were under way when the pause began say nothing new.
                if self.paused_until <= now {
                    let pause = THROTTLED_FIRST.saturating_mul(1 << self.throttles.min(5)).min(THROTTLED_MAX);
                    self.throttles = self.throttles.saturating_add(1);
                    self.paused_until = now.saturating_add(pause);
                }
            }
            Sent::NotSent => self.paused_until = self.paused_until.max(now.saturating_add(DOWN_PAUSE)),
            Sent::Accepted { .. } => self.throttles = 0,
            Sent::Refused { .. } | Sent::Unknown => {}
        }
    }
}

fn failed(row: &OutboxRow, code: &str, now: i64) -> OutboxSettled {
    OutboxSettled {
        code: Some(code.to_owned()),
        lease: Some(row.due_at),
        ..OutboxSettled::new(row.id, OutboxState::Failed, now)
    }
}

/// A text that was not tried goes back to waiting, or has failed if its time is up by then.
fn back(mut row: OutboxRow, due_at: i64, code: &str, now: i64) -> Step {
    row.body.zeroize();
    if row.expires_at <= due_at {
        return Step::Settle(failed(&row, EXPIRED, now));
    }
    Step::Settle(OutboxSettled {
        code: Some(code.to_owned()),
        due_at: Some(due_at),
        lease: Some(row.due_at),
        ..OutboxSettled::new(row.id, OutboxState::Waiting, now)
    })
}

#[cfg(test)]
mod tests;
