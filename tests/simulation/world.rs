//! What outlives a process: carriers, the biller and account providers with their own truth, what everybody wants and was told, and the hand that
//! lets things fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::row::Id;
use keytone::payment::answer::PayOutcome;
use keytone::payment::row::order::{OrderRow, WebhookRow};
use keytone::payment::row::record::Recorded;
use keytone::payment::run::crash::Watcher;
use keytone::store::keys::{Changes, Loaded};
use keytone::store::memory::{Mischief, Mishap, Step};
use tokio::sync::Notify;

use super::bills::Town;
use super::charging::Street;
use super::desk::Desk;
use super::dice::Dice;
use super::holder;
use super::holder::Holders;
use super::shop::Shop;

/// One recharge in a carrier's own books, or one payment of a bill in the biller's.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The number that was recharged, or the bill's.
    pub(super) phone: String,
    pub(super) amount: String,
    /// DELIVERED (a biller says BOOKED), PENDING, REVERSED or the code of a refusal.
    pub(super) state: &'static str,
    /// How often the number was recharged under this reference.
    pub(super) deliveries: u32,
    /// When the request came, microseconds.
    pub(super) at: i64,
    /// It once said that it refused, or that it took it back: what we believe then is its own doing.
    pub(super) took_back_its_word: bool,
    /// It recharged another amount than it was asked for.
    pub(super) wrong: bool,
}

/// What happens by itself.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A callback arrives; how often it was tried.
    Callback { carrier: usize, reference: String, state: &'static str, wrong: bool, tries: u32 },
    /// A pending recharge comes to its end, or a finished one is taken back.
    Change { carrier: usize, reference: String, state: &'static str },
    /// A request that was on its way arrives.
    Arrival { carrier: usize, reference: String, phone: String, amount: String },
    /// Something at an account provider.
    Holder(holder::Event),
}

/// Somebody who wants to pay.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) id: Id,
    pub(super) customer: usize,
    pub(super) target: String,
    pub(super) amount_minor: i64,
    pub(super) at: i64,
    pub(super) right_pin: bool,
    pub(super) repeat: bool,
    /// Asks again with the same id until he is told.
    pub(super) persists: bool,
    pub(super) begun: bool,
    pub(super) done: bool,
}

pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) clock: Clock,
    /// In a thousand.
    pub(super) carrier_faults: u64,
    pub(super) store_faults: u64,
    /// How often the database takes its time.
    store_slowness: u64,
    pub(super) calm: bool,
    pub(super) dead: bool,
    pub(super) steps: u64,
    pub(super) crash_in: Option<u64>,
    pub(super) crashes: u32,
    pub(super) died: Arc<Notify>,
    /// Two carriers and the biller.
    pub(super) carriers: [BTreeMap<String, Record>; 3],
    pub(super) holders: Holders,
    pub(super) events: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    pub(super) wishes: Vec<Wish>,
    pub(super) told: Vec<(usize, PayOutcome)>,
    pub(super) town: Town,
    pub(super) shop: Shop,
    pub(super) street: Street,
    pub(super) desk: Desk,
    /// When the last of all plans is due.
    pub(super) last_plan: i64,
    pub(super) trace: Vec<String>,
    pub(super) faults: Vec<String>,
}

/// Shared by everything in a run.
pub(super) struct World {
    pub(super) bug: Option<&'static str>,
    loud: bool,
    state: Mutex<State>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<&'static str>, start: Clock) -> Arc<Self> {
        let mut dice = Dice::new(seed);
        let carrier_faults = dice.pick(&[0, 100, 300, 300, 600]);
        let store_faults = dice.pick(&[0, 5, 20, 50]);
        let store_slowness = dice.pick(&[0, 0, 100, 400]);
        let state = State {
            dice,
            clock: start,
            carrier_faults,
            store_faults,
            store_slowness,
            calm: true,
            dead: false,
            steps: 0,
            crash_in: None,
            crashes: 0,
            died: Arc::default(),
            carriers: Default::default(),
            holders: Holders::default(),
            events: BTreeMap::new(),
            sequence: 0,
            wishes: Vec::new(),
            told: Vec::new(),
            town: Town::default(),
            shop: Shop::default(),
            street: Street::default(),
            desk: Desk::default(),
            last_plan: 0,
            trace: Vec::new(),
            faults: Vec::new(),
        };
        Arc::new(Self { bug, loud: std::env::var_os("KEYTONE_SEED").is_some(), state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn has(&self, bug: &str) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if self.loud {
            let mut state = self.state();
            let at = state.clock.now().to_rfc3339();
            state.trace.push(format!("{at} {}", line()));
        }
    }

    /// One of these faults of an outside, or none.
    pub(super) fn fault(&self, among: &[&'static str]) -> &'static str {
        let mut state = self.state();
        let rate = if state.calm { 0 } else { state.carrier_faults };
        if state.dice.permille(rate) { state.dice.pick(among) } else { "" }
    }

    /// One step that the process takes; `true` when it dies here.
    pub(super) fn dies(&self, what: &str) -> bool {
        let mut state = self.state();
        if state.dead {
            return true;
        }
        state.steps += 1;
        let Some(left) = state.crash_in else { return false };
        if left > 0 {
            state.crash_in = Some(left - 1);
            return false;
        }
        state.crash_in = None;
        state.dead = true;
        state.crashes += 1;
        state.died.notify_one();
        drop(state);
        self.note(|| format!("== the process dies at {what}"));
        true
    }
}

impl State {
    pub(super) fn later(&mut self, after_ms: u64, event: Event) {
        let at = self.clock.now().0 + i64::try_from(after_ms).unwrap() * 1_000;
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }
}

/// Planted mistakes that lose the rows that are added to a table.
const LOST_ROWS: &[(&str, &str)] = &[
    ("order_key_lost", "order_keys"),
    ("answer_lost", "answers"),
    ("proposal_lost", "proposals"),
    ("refund_not_counted", "refunds"),
    ("audit_row_lost", "audit_log"),
    ("reservation_lost", "reservations"),
];

impl Mischief for World {
    fn step(&self, step: Step) -> Mishap {
        let dying = match step {
            // Polls would be most of all steps.
            Step::Read => self.state().dead,
            Step::Update | Step::Begin | Step::Commit | Step::Committed => self.dies(&format!("{step:?}")),
        };
        let mut state = self.state();
        if dying {
            // Of those that die here some have done it.
            let done =
                matches!(step, Step::Commit | Step::Update) && state.died_now() && state.dice.permille(500);
            return if done { Mishap::SilenceDone } else { Mishap::Silence };
        }
        let rate = if step == Step::Read { state.store_faults / 5 } else { state.store_faults };
        if state.calm {
            return Mishap::None;
        }
        if !state.dice.permille(rate) {
            let slowness = state.store_slowness;
            let slow = step != Step::Read && state.dice.permille(slowness);
            let wait = if slow { state.dice.between(1, 400) } else { 0 };
            return if slow { Mishap::Slow(Duration::from_millis(wait)) } else { Mishap::None };
        }
        let mishap = state.dice.pick(&[Mishap::Unavailable, Mishap::Lost, Mishap::LostUndone]);
        drop(state);
        self.note(|| format!("   database: {step:?} meets {mishap:?}"));
        mishap
    }

    fn loaded(&self, loaded: &mut Loaded) {
        if self.has("limits_forgotten") {
            loaded.counters.clear();
        }
        if self.has("hold_not_counted") {
            loaded.accounts.iter_mut().for_each(|row| row.held_minor = 0);
        }
        if self.has("duplicate_guard_dropped") {
            loaded.pairs.iter_mut().for_each(|pair| pair.state = 0);
        }
    }

    fn writing(&self, changes: &mut Changes) {
        if self.has("expiry_kept_at_submit") {
            let soon = self.state().clock.now().0 + 10_000_000;
            let open = changes.holds.changed.iter_mut().filter(|hold| hold.state == 0);
            open.for_each(|hold| hold.expires_at = Some(soon));
        }
        if self.has("limit_not_given_back") {
            changes.counters.changed.retain(|row| row.key.scope != 1 || row.payments > 1);
        }
        if self.has("pair_not_written") {
            changes.pairs.added.clear();
        }
        for (bug, table) in LOST_ROWS {
            if self.has(bug) {
                changes.records.added.retain(|row| row.shape.table != *table);
            }
        }
        if self.has("order_not_written_when_paid") {
            changes.records.changed.retain(|row| row.read::<OrderRow>().is_none_or(|o| o.payment.is_none()));
        }
        if self.has("release_not_told") {
            let told = |hook: WebhookRow| hook.kind != "order.released";
            changes.records.added.retain(|row| row.read::<WebhookRow>().is_none_or(told));
        }
        if self.has("webhook_done_before_it_left") {
            for row in &mut changes.records.changed {
                if let Some(hook) = row.read::<WebhookRow>().filter(|hook| hook.state == 1) {
                    *row = WebhookRow { state: 2, due_at: None, ..hook }.record();
                }
            }
        }
    }

    fn committed(&self, written: bool) -> bool {
        written || self.has("lost_commit_taken_for_written")
    }
}

impl State {
    /// Whether this very step was the end; all further ones only hang.
    fn died_now(&mut self) -> bool {
        let first = self.steps != u64::MAX;
        self.steps = u64::MAX;
        first
    }
}

/// What a thread's crash points ask.
pub(super) struct Watch(pub(super) Arc<World>);

impl Watcher for Watch {
    fn passes(&self, point: &str) {
        if self.0.dies(point) {
            std::panic::resume_unwind(Box::new("the process died"));
        }
    }

    fn makes(&self, mistake: &str) -> bool {
        self.0.has(mistake)
    }
}
