//! One caller's line to the desk: inputs are handled one after the other, in the order in which they came, and a short
//! memory tells what came twice.
//!
//! The memory is of this process alone and of a few seconds. What lasts is in the session's row.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{Mutex as Turns, Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::msisdn::Msisdn;
use crate::ussd::{Screen, Typed};

/// Inputs of one caller that may wait; one more is answered that we are busy.
pub const WAITING_MAX: usize = 8;
/// Callers that may be served at once; one more is answered that we are busy.
pub const LINES_MAX: usize = 100_000;
/// How long what came is remembered.
pub(super) const MEMORY: Duration = Duration::from_secs(10);
/// A dialogue that begins so soon a second time, and in which nothing happened since, has begun once.
pub(super) const SAME_BEGIN: Duration = Duration::from_secs(5);

/// An equal answer is the former one again when it came so much earlier than the network took the screen. What came at the
/// same time was answered by a machine.
const EARLY: Duration = Duration::from_millis(50);
/// How long it is waited for the network to take the screen.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<HashMap<(String, Msisdn), Arc<Line>>>,
    /// What a caller typed is remembered as a number that only this process can make.
    hash: RandomState,
}

#[derive(Debug)]
struct Line {
    turns: Arc<Turns<Memory>>,
    now: Mutex<Now>,
    /// Told when the network has taken a screen.
    sent: Notify,
}

/// What can be asked without waiting for a turn.
#[derive(Debug)]
struct Now {
    /// Inputs that wait or are handled.
    inside: usize,
    /// Screens so far.
    screens: u64,
    /// The last of them, if the caller may still have it.
    screen: Option<Screen>,
    /// How many there had been when one was last offered to the network.
    offered: u64,
    /// Screens that the network has not taken yet.
    sending: usize,
    /// When it took the last one.
    taken: Instant,
    performing: Option<Performing>,
    used: Instant,
}

/// A payment that a dialogue waits for.
#[derive(Clone, Debug)]
pub(super) struct Performing {
    pub(super) dialogue: Option<String>,
    /// Cancelled when the caller has gone.
    pub(super) stop: CancellationToken,
    /// Cancelled when the dialogue's key is free or waits for an answer again.
    pub(super) over: CancellationToken,
}

/// What a line remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The dialogue that began last, until it is answered or over.
    pub(super) begun: Option<Came>,
    /// The answer before.
    pub(super) answered: Option<Came>,
    /// The dialogue whose place one of ours has taken: what answers it was typed for another question.
    pub(super) left: Option<String>,
}

/// Something that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Came {
    dialogue: Option<String>,
    typed: u64,
    at: Instant,
}

impl Came {
    /// Whether this is the same again, and came within a time.
    pub(super) fn again(&self, other: &Self, within: Duration) -> bool {
        self.dialogue == other.dialogue
            && self.typed == other.typed
            && other.at.saturating_duration_since(self.at) < within
    }
}

/// Whether an input has a place in its caller's line.
pub(super) enum Entered {
    Seat(Seat),
    Full,
}

type Waiting = std::pin::Pin<Box<dyn Future<Output = OwnedMutexGuard<Memory>> + Send>>;

/// A place in a line.
pub(super) struct Seat {
    lines: Arc<Lines>,
    line: Arc<Line>,
    /// Its place was taken when it was made, so that the order is that of arrival.
    waiting: Mutex<Option<Waiting>>,
    /// When it came.
    pub(super) arrived: Instant,
    /// How many screens there had been by then.
    screens: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.line.now().inside -= 1;
    }
}

/// A screen on its way.
#[derive(Debug)]
pub struct Sending {
    line: Option<(Arc<Line>, Clock)>,
    again: bool,
}

impl Sending {
    /// Whether the network was offered this screen before: if it does not take it now, it may have it already.
    #[must_use]
    pub const fn is_again(&self) -> bool {
        self.again
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let Some((line, clock)) = &self.line else { return };
        let mut now = line.now();
        now.sending -= 1;
        now.taken = clock.instant();
        drop(now);
        line.sent.notify_waiters();
    }
}

impl Line {
    fn new(at: Instant) -> Self {
        let now = Now {
            inside: 0,
            screens: 0,
            screen: None,
            offered: 0,
            sending: 0,
            taken: at,
            performing: None,
            used: at,
        };
        Self { turns: Arc::default(), now: Mutex::new(now), sent: Notify::new() }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn line(&self, route: &str, msisdn: &Msisdn, at: Instant) -> Option<Arc<Line>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (route.to_owned(), msisdn.clone());
        if !lines.contains_key(&key) && lines.len() >= LINES_MAX {
            return None;
        }
        let line = lines.entry(key).or_insert_with(|| Arc::new(Line::new(at)));
        line.now().used = at;
        Some(line.clone())
    }

    /// Takes a place. Never waits.
    pub(super) fn enter(self: &Arc<Self>, route: &str, msisdn: &Msisdn, at: Instant) -> Entered {
        let Some(line) = self.line(route, msisdn, at) else { return Entered::Full };
        let mut now = line.now();
        if now.inside > WAITING_MAX {
            return Entered::Full;
        }
        now.inside += 1;
        let screens = now.screens;
        // A first look takes the place in the queue of those that wait.
        let mut waiting: Waiting = Box::pin(line.turns.clone().lock_owned());
        let waiting: Waiting = match (&mut waiting).now_or_never() {
            Some(guard) => Box::pin(std::future::ready(guard)),
            None => waiting,
        };
        drop(now);
        let waiting = Mutex::new(Some(waiting));
        Entered::Seat(Seat { lines: self.clone(), line, waiting, arrived: at, screens })
    }

    pub(super) fn sending(&self, route: &str, msisdn: &Msisdn, clock: &Clock) -> Sending {
        let line = self.line(route, msisdn, clock.instant());
        let again = line.as_ref().is_some_and(|line| {
            let mut now = line.now();
            now.sending += 1;
            let (before, screens) = (now.offered, now.screens);
            now.offered = screens;
            before == screens && before > 0
        });
        Sending { line: line.map(|line| (line, clock.clone())), again }
    }

    /// Forgets lines that nobody has used for a while.
    pub(super) fn forget(&self, at: Instant) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| {
            let now = line.now();
            let idle = now.inside == 0 && now.sending == 0 && now.performing.is_none();
            !idle || at.saturating_duration_since(now.used) < MEMORY
        });
    }
}

impl Seat {
    /// Waits until those before are done. Only once.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<Memory> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        match waiting {
            Some(waiting) => waiting.await,
            None => self.line.turns.clone().lock_owned().await,
        }
    }

    /// What came, to compare it with.
    pub(super) fn came(&self, dialogue: Option<&str>, typed: &Typed) -> Came {
        Came {
            dialogue: dialogue.map(str::to_owned),
            typed: self.lines.hash.hash_one(typed.expose()),
            at: self.arrived,
        }
    }

    /// Whether a screen was made since this came: it cannot be the answer to that.
    pub(super) fn is_overtaken(&self) -> bool {
        self.line.now().screens > self.screens
    }

    /// A screen was made.
    pub(super) fn shown(&self, screen: &Screen) {
        let mut now = self.line.now();
        now.screens += 1;
        now.screen = Some(screen.clone());
    }

    /// The last screen, if the caller may still have it.
    pub(super) fn screen(&self) -> Option<Screen> {
        self.line.now().screen.clone()
    }

    /// Whatever the caller has, it is no screen of ours any more.
    pub(super) fn cleared(&self) {
        self.line.now().screen = None;
    }

    /// Whether this came before the network had taken the screen that it would answer.
    pub(super) async fn is_early(&self) -> bool {
        let waited = tokio::time::timeout(TAKEN_WITHIN, async {
            loop {
                let sent = self.line.sent.notified();
                tokio::pin!(sent);
                sent.as_mut().enable();
                if self.line.now().sending == 0 {
                    return;
                }
                sent.await;
            }
        });
        waited.await.is_err() || self.line.now().taken.saturating_duration_since(self.arrived) > EARLY
    }

    /// The payment that the dialogue waits for.
    pub(super) fn performing(&self) -> Option<Performing> {
        self.line.now().performing.clone()
    }

    pub(super) fn perform(&self, performing: Performing) {
        self.line.now().performing = Some(performing);
    }

    pub(super) fn performed(&self) {
        self.line.now().performing = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(digits: &str) -> Msisdn {
        Msisdn::parse(digits).unwrap()
    }

    fn seat(lines: &Arc<Lines>, number: &str, at: Instant) -> Seat {
        match lines.enter("a", &phone(number), at) {
            Entered::Seat(seat) => seat,
            Entered::Full => panic!("full"),
        }
    }

    #[tokio::test]
    async fn turns_are_in_the_order_of_arrival_whoever_is_polled_first() {
        let (lines, at) = (Arc::<Lines>::default(), Clock::machine().instant());
        let seats: Vec<Seat> = (0..5).map(|_| seat(&lines, "+8613800000001", at)).collect();
        let order = Arc::new(Mutex::new(Vec::new()));
        let handled = seats.into_iter().enumerate().rev().map(|(index, seat)| {
            let order = order.clone();
            tokio::spawn(async move {
                let _turn = seat.turn().await;
                tokio::task::yield_now().await;
                order.lock().unwrap().push(index);
            })
        });
        for handle in handled.collect::<Vec<_>>() {
            handle.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_line_is_full_at_its_limit_and_others_are_free() {
        let (lines, at) = (Arc::<Lines>::default(), Clock::machine().instant());
        let seats: Vec<Seat> = (0..=WAITING_MAX).map(|_| seat(&lines, "+8613800000001", at)).collect();
        assert!(matches!(lines.enter("a", &phone("+8613800000001"), at), Entered::Full));
        let other = seat(&lines, "+8613800000002", at);
        let _turn = other.turn().await;
        drop(seats);
        seat(&lines, "+8613800000001", at).turn().await;
    }

    #[tokio::test]
    async fn a_place_that_is_given_up_holds_nobody_back() {
        let (lines, at) = (Arc::<Lines>::default(), Clock::machine().instant());
        let (first, second, third) = (
            seat(&lines, "+8613800000001", at),
            seat(&lines, "+8613800000001", at),
            seat(&lines, "+8613800000001", at),
        );
        drop(second);
        let turn = first.turn().await;
        drop((turn, first));
        third.turn().await;
    }

    #[test]
    fn lines_are_forgotten_when_nobody_uses_them() {
        let (lines, at) = (Arc::<Lines>::default(), Clock::machine().instant());
        let kept = seat(&lines, "+8613800000001", at);
        drop(seat(&lines, "+8613800000002", at));
        lines.forget(at + MEMORY / 2);
        assert_eq!(lines.lines.lock().unwrap().len(), 2);
        lines.forget(at + MEMORY);
        assert_eq!(lines.lines.lock().unwrap().len(), 1);
        drop(kept);
        lines.forget(at + MEMORY);
        assert_eq!(lines.lines.lock().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn what_comes_before_the_network_has_the_screen_is_early() {
        let (lines, clock) = (Arc::<Lines>::default(), Clock::manual(crate::clock::Timestamp(0)));
        let number = phone("+8613800000001");
        let sending = lines.sending("a", &number, &clock);
        let early = seat(&lines, "+8613800000001", clock.instant());
        clock.advance(EARLY * 2);
        let at_once = seat(&lines, "+8613800000001", clock.instant());
        let asked = tokio::spawn(async move { early.is_early().await });
        tokio::task::yield_now().await;
        drop(sending);
        assert!(asked.await.unwrap());
        assert!(!at_once.is_early().await);
        let _never_taken = lines.sending("a", &number, &clock);
        assert!(at_once.is_early().await);
    }

    #[test]
    fn what_came_is_known_again_within_its_time_only() {
        let (lines, at) = (Arc::<Lines>::default(), Clock::machine().instant());
        let early = seat(&lines, "+8613800000001", at);
        let late = seat(&lines, "+8613800000001", at + SAME_BEGIN);
        let typed = |text: &str| Typed::new(text.to_owned());
        let first = early.came(Some("1"), &typed("*125#"));
        assert!(first.again(&early.came(Some("1"), &typed("*125#")), SAME_BEGIN));
        assert!(!first.again(&early.came(Some("1"), &typed("*126#")), SAME_BEGIN));
        assert!(!first.again(&early.came(Some("2"), &typed("*125#")), SAME_BEGIN));
        assert!(!first.again(&early.came(None, &typed("*125#")), SAME_BEGIN));
        assert!(!first.again(&late.came(Some("1"), &typed("*125#")), SAME_BEGIN));
    }
}
