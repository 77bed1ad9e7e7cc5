//! Two outside providers of payment accounts, each with books of its own. The wallet gives back what it took, and takes the same
//! capture twice for one; the bank gives nothing back, and takes the money as often as it is asked to. Both lose, delay, repeat,
//! reorder and contradict; some captures they refuse for ever, and some reservations they give up or take by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::contract::{Outcome, Unclear};
use keytone::connector::definition::Definition;
use keytone::connector::http::{Connector, Exchange, Wire};
use keytone::connector::key::Key;
use keytone::connector::sandbox::provider as sandbox;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::provider::{Provider, Providers};
use keytone::payment::row::provider::ReservationRow;
use keytone::payment::row::record::{Select, cell};
use keytone::payment::row::{PaymentRow, State as At};
use keytone::payment::saga::Stage;
use keytone::store::Store;
use serde_json::{Value, json};

use super::check::now;
use super::world;
use super::world::World;
use crate::support::market::cny;

/// How long we wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const NAMES: [&str; 2] = ["wallet", "bank"];
/// Gives back, and knows repetitions of a capture.
const WALLET: usize = 0;
/// The first customer whose account is outside: one at each provider.
pub(super) const FIRST: usize = 4;
/// A reservation may not be known yet for so long, microseconds.
const YOUNG: i64 = 15_000_000;
/// Times that staff have seen a capture come to nothing before they count on no other end.
const KNOWN_AFTER: i32 = 4;

/// One reservation in a provider's own books.
#[derive(Clone, Debug)]
struct Held {
    amount: String,
    /// PENDING, RESERVED, CAPTURED, RELEASED, REFUNDED or the code of a refusal.
    state: &'static str,
    captures: u32,
    refunds: u32,
    /// When the request came, microseconds.
    at: i64,
    /// It refuses every capture.
    stubborn: bool,
    /// It gave up, or took, what it kept, by itself.
    willful: bool,
    /// It said that it keeps nothing, and keeps it: what we believe then is its own doing.
    lied: bool,
}

/// What happens by itself.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A request that was on its way arrives.
    Arrival { holder: usize, operation: Kind, reference: String, amount: String },
    /// What was pending is decided, or the provider does as it likes.
    Change { holder: usize, reference: String, from: &'static str, to: &'static str },
}

/// What moves money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Reserve,
    Capture,
    Release,
    Refund,
}

/// Everything about providers that outlives a process.
#[derive(Default)]
pub(super) struct Holders {
    books: [BTreeMap<String, Held>; 2],
}

#[derive(Debug)]
struct Line {
    holder: usize,
    world: Arc<World>,
}

/// Where a customer's account is, if that is outside.
pub(super) fn of_customer(customer: usize) -> Option<&'static str> {
    NAMES.get(customer.checked_sub(FIRST)?).copied()
}

/// The providers as the operator names them, with times that fit into a run.
pub(super) fn named() -> Providers {
    let seconds = Duration::from_secs;
    let one = |name: &&str| Provider {
        reserve_within: seconds(20),
        retry_first: seconds(2),
        retry_max: seconds(15),
        ..Provider::new(name, name)
    };
    Providers::new(NAMES.iter().map(one).collect())
}

fn template(holder: usize) -> Connector {
    static MADE: [OnceLock<Connector>; 2] = [OnceLock::new(), OnceLock::new()];
    let make = || {
        let name = NAMES[holder];
        let file = sandbox::definition_toml(&format!("http://{name}"))
            .replace(&format!("id = \"{}\"", sandbox::CONNECTOR), &format!("id = \"{name}\""))
            .replace("not_found_after_ms = 10000", "not_found_after_ms = 40000");
        let (before, rest) = file.split_once("[refund]").unwrap();
        let (refund, status) = rest.split_once("[reserve_status]").unwrap();
        let refund = if holder == WALLET { format!("[refund]{refund}") } else { String::new() };
        // The question itself is refused, which says nothing of what was asked about.
        let shut = "[[reserve_status.rule]]\nhttp = \"401\"\ncode = \"UNAUTHORISED\"\noutcome = \"refused\"\n\
             class = \"auth_config\"\n";
        let file = format!("{before}{refund}[reserve_status]{status}\n{shut}");
        let definition = Definition::parse(&file, |_| Ok(Key::new(b"simulated".to_vec()))).unwrap();
        Connector::new(definition, Clock::machine()).unwrap()
    };
    MADE[holder].get_or_init(make).clone()
}

/// The providers as a process sees them.
pub(super) fn connectors(world: &Arc<World>, clock: &Clock) -> Vec<Connector> {
    let line = |holder| Arc::new(Line { holder, world: Arc::clone(world) });
    (0..NAMES.len()).map(|holder| template(holder).over(line(holder), clock.clone())).collect()
}

type Answer = Result<(u16, Vec<u8>), Outcome>;

/// A request that moves money.
struct Asked {
    kind: Kind,
    reference: String,
    amount: String,
}

impl Wire for Line {
    fn exchange(&self, request: reqwest::Request) -> Exchange<'_> {
        Box::pin(async move {
            if self.world.dies("a request that leaves for a provider") {
                return std::future::pending().await;
            }
            let path = request.url().path().to_owned();
            let mut parts = path.trim_start_matches("/v1/reservations").split('/').filter(|p| !p.is_empty());
            let answer = match (parts.next().map(str::to_owned), parts.next()) {
                (Some(reference), None) => self.status(&reference).await,
                (Some(reference), Some(name)) => {
                    let kind = match name {
                        "capture" => Kind::Capture,
                        "release" => Kind::Release,
                        _ => Kind::Refund,
                    };
                    self.asked(Asked { kind, reference, amount: String::new() }).await
                }
                (None, _) => {
                    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
                    let body: Value = serde_json::from_slice(body).unwrap();
                    let text = |name: &str| body[name].as_str().unwrap().to_owned();
                    let (reference, amount) = (text("reference"), text("amount"));
                    self.asked(Asked { kind: Kind::Reserve, reference, amount }).await
                }
            };
            if self.world.dies("an answer that comes from a provider") {
                return std::future::pending().await;
            }
            answer
        })
    }
}

fn unknown(why: Unclear) -> Outcome {
    Outcome::Unknown { why, detail: "simulated".to_owned() }
}

fn not_sent() -> Answer {
    Err(Outcome::NotSent { retryable: true, reason: "simulated".to_owned() })
}

async fn timeout() -> Answer {
    tokio::time::sleep(TIMEOUT).await;
    Err(unknown(Unclear::Timeout))
}

impl Line {
    fn held(&self, reference: &str) -> Option<Held> {
        self.world.state().holders.books[self.holder].get(reference).cloned()
    }

    /// Whether the same request may come twice, or after a later one, and does no more than once.
    const fn repeats(&self, kind: Kind) -> bool {
        match kind {
            Kind::Reserve | Kind::Release => true,
            Kind::Capture => self.holder == WALLET,
            Kind::Refund => false,
        }
    }

    async fn asked(&self, asked: Asked) -> Answer {
        let Asked { kind, reference, amount } = asked;
        let fault = self.world.fault(&[
            "not_connected",
            "request_lost",
            "answer_lost",
            "answer_lost",
            "late",
            "late",
            "error_before",
            "error_after",
            "garbage",
            "wrong_amount",
            "slow",
            "slow",
            "reset",
            "twice",
            "lie",
        ]);
        let name = NAMES[self.holder];
        self.world.note(|| format!("-> {name} {kind:?} {reference} [{fault}]"));
        let later = || {
            let mut state = self.world.state();
            let after = state.dice.between(100, 12_000);
            let (reference, amount) = (reference.clone(), amount.clone());
            let holder = self.holder;
            let arrival = Event::Arrival { holder, operation: kind, reference, amount };
            state.later(after, world::Event::Holder(arrival));
        };
        match fault {
            "not_connected" => return not_sent(),
            "request_lost" => return timeout().await,
            "error_before" => return Ok((500, b"{}".to_vec())),
            "late" if self.repeats(kind) => {
                later();
                return timeout().await;
            }
            "twice" if self.repeats(kind) => later(),
            _ => {}
        }
        take(&self.world, self.holder, kind, &reference, &amount);
        match fault {
            "answer_lost" | "late" => timeout().await,
            "error_after" => Ok((500, b"{}".to_vec())),
            "reset" => Err(unknown(Unclear::Broken)),
            "garbage" => Ok((200, b"<html>".to_vec())),
            "lie" => Ok(self.lie(kind, &reference)),
            _ => {
                // Whoever refuses for ever takes his time for it.
                let thinks = kind == Kind::Capture && self.held(&reference).is_some_and(|held| held.stubborn);
                let longest = if thinks || fault == "slow" { 4_900 } else { 300 };
                let wait = self.world.state().dice.between(5, longest);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                Ok(self.answer(kind, &reference, fault == "wrong_amount"))
            }
        }
    }

    /// It was done, and the answer says that it was not.
    fn lie(&self, kind: Kind, reference: &str) -> (u16, Vec<u8>) {
        let Some(held) = self.held(reference) else { return not_found() };
        let code = match kind {
            Kind::Reserve => {
                let mut state = self.world.state();
                let held = state.holders.books[self.holder].get_mut(reference).unwrap();
                held.lied |= matches!(held.state, "RESERVED" | "PENDING");
                "NO_MONEY"
            }
            // Only where a capture that is asked for once more takes nothing.
            Kind::Capture if self.holder == WALLET => "EXPIRED",
            Kind::Capture | Kind::Refund => held.state,
            Kind::Release => "BUSY",
        };
        self.world.note(|| format!("<- {} {reference} {code}, which is not so", NAMES[self.holder]));
        (if code == held.state { 200 } else { 409 }, shown(reference, &held, code, false))
    }

    fn answer(&self, kind: Kind, reference: &str, wrong: bool) -> (u16, Vec<u8>) {
        let Some(held) = self.held(reference) else { return not_found() };
        let refused = kind == Kind::Capture && held.stubborn && held.state == "RESERVED";
        let code = if refused { "EXPIRED" } else { held.state };
        self.world.note(|| format!("<- {} {reference} {code}", NAMES[self.holder]));
        let status = match code {
            "PENDING" => 202,
            "EXPIRED" => 409,
            "NO_MONEY" | "BLOCKED" => 402,
            _ => 200,
        };
        (status, shown(reference, &held, code, wrong))
    }

    async fn status(&self, reference: &str) -> Answer {
        let fault = self.world.fault(&[
            "timeout",
            "error",
            "not_found",
            "not_connected",
            "garbage",
            "pending",
            "stale",
            "shut",
        ]);
        self.world.note(|| format!("-> {} status {reference} [{fault}]", NAMES[self.holder]));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let held = self.held(reference);
        let Some(held) = held else { return Ok(not_found()) };
        let now = self.world.state().clock.now().0;
        let code = match fault {
            "timeout" => return timeout().await,
            "error" => return Ok((503, Vec::new())),
            "garbage" => return Ok((200, b"{".to_vec())),
            "not_connected" => return not_sent(),
            "shut" => return Ok((401, json!({ "status": "UNAUTHORISED" }).to_string().into_bytes())),
            // A provider may not know a reference yet; it does not forget one.
            "not_found" if now - held.at < YOUNG => return Ok(not_found()),
            "pending" => "PENDING",
            // An answer from before the last change; where a repetition takes money nobody answers so.
            "stale" if held.state == "RELEASED" || held.state == "CAPTURED" && self.holder == WALLET => {
                "RESERVED"
            }
            _ => held.state,
        };
        self.world.note(|| format!("<- {} {reference} {code}", NAMES[self.holder]));
        Ok((200, shown(reference, &held, code, false)))
    }
}

fn not_found() -> (u16, Vec<u8>) {
    (404, json!({ "status": "NOT_FOUND" }).to_string().into_bytes())
}

fn shown(reference: &str, held: &Held, code: &str, wrong: bool) -> Vec<u8> {
    let amount = if wrong { "1.00" } else { held.amount.as_str() };
    json!({
        "status": code, "reference": reference, "amount": amount, "currency": "CNY", "id": format!("W{reference}"),
    })
    .to_string()
    .into_bytes()
}

/// A request arrives at a provider.
fn take(world: &World, holder: usize, kind: Kind, reference: &str, amount: &str) {
    let mut state = world.state();
    if kind == Kind::Reserve {
        if !state.holders.books[holder].contains_key(reference) {
            reserve(&mut state, holder, reference, amount);
        }
        return;
    }
    let Some(held) = state.holders.books[holder].get_mut(reference) else { return };
    match (kind, held.state) {
        (Kind::Capture, "RESERVED") if !held.stubborn => {
            held.state = "CAPTURED";
            held.captures += 1;
        }
        // What it took by itself it does not take again.
        (Kind::Capture, "CAPTURED") if holder != WALLET && !held.willful => held.captures += 1,
        (Kind::Release, "RESERVED" | "PENDING") => held.state = "RELEASED",
        (Kind::Refund, "CAPTURED") => {
            held.state = "REFUNDED";
            held.refunds += 1;
        }
        (Kind::Refund, "REFUNDED") => held.refunds += 1,
        _ => {}
    }
}

fn reserve(state: &mut world::State, holder: usize, reference: &str, amount: &str) {
    let first = match state.dice.below(16) {
        0 => "NO_MONEY",
        1 => "BLOCKED",
        2 | 3 => "PENDING",
        _ => "RESERVED",
    };
    let at = state.clock.now().0;
    let stubborn = state.dice.permille(80);
    let held = Held {
        amount: amount.to_owned(),
        state: first,
        captures: 0,
        refunds: 0,
        at,
        stubborn,
        willful: false,
        lied: false,
    };
    state.holders.books[holder].insert(reference.to_owned(), held);
    let rate = if state.calm { 0 } else { state.carrier_faults / 8 };
    let reference = reference.to_owned();
    let (from, to, longest) = match first {
        "PENDING" => ("PENDING", state.dice.pick(&["RESERVED", "RESERVED", "NO_MONEY"]), 30_000),
        "RESERVED" if state.dice.permille(rate) => {
            ("RESERVED", state.dice.pick(&["RELEASED", "CAPTURED"]), 40_000)
        }
        _ => return,
    };
    let after = state.dice.between(200, longest);
    state.later(after, world::Event::Holder(Event::Change { holder, reference, from, to }));
}

/// Lets one thing happen.
pub(super) fn happen(world: &World, event: Event) {
    match event {
        Event::Arrival { holder, operation, reference, amount } => {
            world.note(|| format!("   {} gets {operation:?} {reference} late", NAMES[holder]));
            take(world, holder, operation, &reference, &amount);
        }
        Event::Change { holder, reference, from, to } => {
            let mut state = world.state();
            let Some(held) = state.holders.books[holder].get_mut(&reference) else { return };
            // What was captured or released meanwhile stays so.
            if held.state != from {
                return;
            }
            held.state = to;
            held.willful |= from == "RESERVED";
            held.captures += u32::from(to == "CAPTURED");
            drop(state);
            world.note(|| format!("   {} turns {reference} from {from} to {to}", NAMES[holder]));
        }
    }
}

fn reservations(store: &Store) -> Vec<ReservationRow> {
    now(store.records(&Select::<ReservationRow>::new()))
}

/// A delivered payment that the provider does not let us capture: staff are told, and it is asked for without end.
fn is_stuck(row: &ReservationRow) -> bool {
    row.stage == Stage::Capturing.number() && row.tries >= KNOWN_AFTER && row.class.is_some()
}

/// Whether the money of a delivered payment is about to be taken.
pub(super) fn is_taking(store: &Store, payment: Id) -> bool {
    let row = now(store.record::<ReservationRow>(&[cell(&payment)]));
    row.is_some_and(|row| row.stage == Stage::Capturing.number())
}

/// The payments whose money staff may no longer wait for.
pub(super) fn stuck(store: &Store) -> Vec<Id> {
    let open = Select::<ReservationRow>::new().equal("open", &true);
    now(store.records(&open)).iter().filter(|row| is_stuck(row)).map(|row| row.payment).collect()
}

/// Whether nothing of reservations is on its way.
pub(super) fn is_settled(store: &Store) -> bool {
    reservations(store).iter().all(|row| {
        let state = now(store.payment(row.payment)).map(|payment| payment.state);
        let ended = matches!(state, Some(At::Refused | At::Reversed));
        match Stage::from_number(row.stage) {
            Some(Stage::Reserved) => state == Some(At::NeedsReview),
            Some(Stage::Captured) => !ended,
            _ => !row.open || is_stuck(row),
        }
    })
}

/// What must hold at any moment: the provider took money only of what was delivered, and once; it gave back once.
pub(super) fn at_any_time(world: &World, store: &Store) {
    let rows = reservations(store);
    let mut faults = Vec::new();
    let mut state = world.state();
    for (holder, books) in state.holders.books.iter().enumerate() {
        for (reference, held) in books {
            let name = NAMES[holder];
            let Some(row) = rows.iter().find(|row| row.reference == *reference && row.provider == name)
            else {
                faults.push(format!("{name} has {held:?} under {reference}, of which we know nothing"));
                continue;
            };
            if held.captures > 1 || held.refunds > 1 {
                faults.push(format!(
                    "{name} took {reference} {} times, gave back {}",
                    held.captures, held.refunds
                ));
            }
            if held.captures > 0 && !held.willful {
                let events = now(store.events(row.payment));
                if !events.iter().any(|event| event.state == At::Delivered) {
                    faults.push(format!("{name} took {reference}, which was never delivered"));
                }
            }
        }
    }
    state.faults.extend(faults);
}

/// After everything has come to rest; gives what each account is owed in our books, because its provider gives nothing back.
pub(super) fn check(
    world: &World,
    store: &Store,
    payments: &[PaymentRow],
    faults: &mut Vec<String>,
) -> BTreeMap<Id, i64> {
    let mut owed: BTreeMap<Id, i64> = BTreeMap::new();
    for (holder, name) in NAMES.iter().enumerate() {
        let (mut receivable, mut settlement) = (0, 0);
        for payment in payments.iter().filter(|p| p.provider.as_deref() == Some(name)) {
            let Some(row) = now(store.record::<ReservationRow>(&[cell(&payment.id)])) else {
                faults.push(format!("nothing was reserved for {}", payment.id));
                continue;
            };
            let held = world.state().holders.books[holder].get(&row.reference).cloned();
            alone(payment, &row, held.as_ref(), faults);
            let stage = Stage::from_number(row.stage);
            let is_owed = stage == Some(Stage::Owed);
            let ours = matches!(stage, Some(Stage::Captured | Stage::Refunding | Stage::Owed));
            let theirs = held.as_ref().is_some_and(|held| held.state == "CAPTURED");
            // Of a payment that a person has yet to judge nobody has asked how it stands.
            let excused = held.as_ref().is_some_and(|held| held.lied) || payment.state.is_open();
            let taken = if excused { ours } else { theirs };
            settlement -= i64::from(taken) * row.amount_minor;
            receivable += i64::from(taken && !is_owed) * row.amount_minor;
            receivable -= i64::from(payment.state == At::Delivered) * row.amount_minor;
            if is_owed {
                *owed.entry(payment.account).or_default() += row.amount_minor;
            }
        }
        for (house, wanted) in [(House::Receivable(name), receivable), (House::Settlement(name), settlement)]
        {
            let has = now(store.account(house.id(cny()))).expect("the house has it").balance_minor;
            if has != wanted {
                faults.push(format!("{house:?} has {has}, by the provider's books it is {wanted}"));
            }
        }
    }
    owed
}

/// One payment against its account's provider.
fn alone(payment: &PaymentRow, row: &ReservationRow, held: Option<&Held>, faults: &mut Vec<String>) {
    let (state, stage) = (payment.state, Stage::from_number(row.stage).unwrap());
    let mut wrong = |what: &str| {
        let id = payment.id;
        faults.push(format!(
            "{id} is {state:?}, its reservation {stage:?} ({:?}), {what}: {held:?}",
            row.class
        ));
    };
    if row.open && !payment.state.is_open() && !is_stuck(row) {
        wrong("which should be at its end");
    }
    let says = held.map_or("NOTHING", |held| held.state);
    if held.is_some_and(|held| held.lied) || payment.state.is_open() {
        return;
    }
    let willful = held.is_some_and(|held| held.willful);
    let stubborn = held.is_some_and(|held| held.stubborn);
    match state {
        At::Delivered if says == "CAPTURED" && stage == Stage::Captured => {}
        At::Delivered if says == "RELEASED" && willful && is_stuck(row) => {}
        At::Delivered if says == "RESERVED" && stubborn && is_stuck(row) => {}
        At::Delivered => wrong("and the money was not taken"),
        _ if matches!(says, "RESERVED" | "PENDING") => wrong("and the money is still kept"),
        _ if says == "CAPTURED" && stage != Stage::Owed => wrong("and the money was taken"),
        _ if stage == Stage::Refunded && says != "REFUNDED" => wrong("and nothing was given back"),
        _ if stage == Stage::Owed && says != "CAPTURED" => wrong("and nothing was taken"),
        _ => {}
    }
    let asked = format!("{}.{:02}", row.amount_minor / 100, row.amount_minor % 100);
    if held.is_some_and(|held| held.amount != asked) {
        wrong("of another amount");
    }
}
