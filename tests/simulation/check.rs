//! What must hold: at any moment the invariants that `ledger verify` proves, and at the end that books, carriers and callers
//! agree.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::PayOutcome;
use keytone::payment::row::{PaymentRow, State, Target, product};
use keytone::payment::run::audit;
use keytone::store::{PaymentFilter, Store};

use super::bills;
use super::charging;
use super::desk;
use super::holder;
use super::run::{CREDIT, Customers, DAY_LIMIT, TRIES, says_unpaid};
use super::shop;
use super::world::{Record, World};
use crate::support::market::cny;

/// A database in memory answers at once.
pub(super) fn now<T>(future: impl Future<Output = Result<T, keytone::store::Error>>) -> T {
    future.now_or_never().expect("answered at once").unwrap()
}

/// I1 to I12 over the rows as they stand.
pub(super) fn books(world: &World, store: &Store) {
    let report = now(audit::verify(store));
    let mut state = world.state();
    state.faults.extend(report.faults.iter().take(5).map(ToString::to_string));
}

fn all(store: &Store) -> Vec<PaymentRow> {
    now(store.payments(&PaymentFilter { limit: 1_000, ..PaymentFilter::default() }))
}

/// The carrier's records of a payment.
pub(super) fn records(world: &World, store: &Store, payment: &PaymentRow) -> Vec<Record> {
    let target = match &payment.target {
        Target::Bill { number, .. } => number.clone(),
        other => other.text(),
    };
    let attempts = now(store.attempts(payment.id));
    let state = world.state();
    let of = |reference: &str| state.carriers.iter().find_map(|records| records.get(reference)).cloned();
    attempts.iter().filter_map(|a| of(&a.reference)).filter(|record| record.phone == target).collect()
}

/// After everything has come to rest.
pub(super) fn end(world: &World, store: &Store, customers: &Customers) {
    if !world.state().faults.is_empty() {
        return;
    }
    let payments = all(store);
    let mut faults = Vec::new();
    let mut spent: BTreeMap<Id, i64> = BTreeMap::new();
    let (mut float, mut billed) = (0, 0);
    for payment in &payments {
        *spent.entry(payment.account).or_default() += taken(payment);
        let late = payment.class.as_deref() == Some("late_delivered");
        let cost = if payment.state == State::Delivered || late { payment.cost_minor } else { 0 };
        match payment.product.as_str() {
            product::RECHARGE => float += cost + lost_elsewhere(store, payment),
            product::BILL => billed += cost,
            // Inside the house.
            _ => continue,
        }
        alone(world, store, payment, &mut faults);
    }
    let back = shop::check(world, store, &mut faults);
    let charged = charging::check(world, store, &mut faults);
    let given = desk::check(store, &payments);
    let owed = holder::check(world, store, &payments, &mut faults);
    for (number, account) in customers.accounts.iter().enumerate() {
        let row = now(store.account(*account)).expect("the account is there");
        let of = |sums: &BTreeMap<Id, i64>| sums.get(account).copied().unwrap_or(0);
        // What is held outside is not on an account here.
        let first = if holder::of_customer(number).is_some() { 0 } else { CREDIT };
        let wanted = first - of(&spent) + of(&back) + of(&charged) + of(&given) + of(&owed);
        if row.balance_minor != wanted {
            faults.push(format!("customer {number} has {}, the payments leave {wanted}", row.balance_minor));
        }
        let used: i64 = payments
            .iter()
            .filter(|p| p.account == *account && p.product == product::RECHARGE)
            .filter(|p| p.state == State::Delivered || p.state.is_open())
            .map(|p| p.amount_minor)
            .sum();
        // A contested one opens again, a day's limit or not; nothing else may pass it.
        if used > DAY_LIMIT {
            faults.push(format!("customer {number} recharged {used} in a day"));
        }
    }
    let booked: i64 = ["alpha", "beta"]
        .map(|name| now(store.account(House::Float(name).id(cny()))).expect("a float").balance_minor)
        .iter()
        .sum();
    if booked != float {
        faults.push(format!("the floats say {booked}, the deliveries cost {float}"));
    }
    let owed = now(store.account(House::Biller(bills::ID).id(cny()))).expect("a biller").balance_minor;
    if owed != billed {
        faults.push(format!("the biller is owed {owed}, its bills come to {billed}"));
    }
    strangers(world, store, &payments, &mut faults);
    at_once(store, &payments, &mut faults);
    told(world, store, &payments, &mut faults);
    world.state().faults.extend(faults);
}

/// What was delivered after all by carriers whose refusal had sent the payment on.
fn lost_elsewhere(store: &Store, payment: &PaymentRow) -> i64 {
    let attempts = now(store.attempts(payment.id));
    let before = attempts.iter().filter(|a| a.connector != payment.connector);
    let delivered = before.filter(|a| a.outcome.as_deref() == Some("delivered"));
    delivered.map(|a| payment.amount_minor * if a.connector == "alpha" { 97 } else { 98 } / 100).sum()
}

/// What a payment takes from its account in our books.
const fn taken(payment: &PaymentRow) -> i64 {
    match payment.state {
        State::Delivered if payment.provider.is_none() => payment.amount_minor + payment.fee_minor,
        _ => 0,
    }
}

/// One payment against its carrier.
fn alone(world: &World, store: &Store, payment: &PaymentRow, faults: &mut Vec<String>) {
    let (reference, state) = (&payment.reference, payment.state);
    let mut wrong =
        |what: String| faults.push(format!("payment {} ({reference}) is {state:?}: {what}", payment.id));
    if state.is_open() && state != State::NeedsReview {
        wrong(format!("things are calm since long, next look at {:?}", payment.next_check_at));
    }
    let records = records(world, store, payment);
    let deliveries: u32 = records.iter().map(|record| record.deliveries).sum();
    let contradicted = records.iter().any(|record| record.took_back_its_word);
    if !contradicted && deliveries > 1 {
        wrong(format!("recharged {deliveries} times"));
    }
    let mismatch = records.iter().any(|record| record.wrong);
    let delivered = records.iter().any(|record| record.state == "DELIVERED");
    if contradicted {
        return;
    }
    match state {
        State::Delivered if mismatch => wrong("another amount was recharged".to_owned()),
        State::Delivered if !delivered => wrong("the carrier has not delivered".to_owned()),
        State::Refused
            if delivered
                && payment.class.as_deref() != Some("late_delivered")
                && lost_elsewhere(store, payment) == 0 =>
        {
            wrong(format!("the carrier has delivered, class {:?}", payment.class));
        }
        State::Reversed if !desk::took_back(store, payment.id) => {
            wrong("the carrier took nothing back".to_owned());
        }
        _ => {}
    }
    sms(store, payment, faults);
}

/// What a text says is what the books say.
fn sms(store: &Store, payment: &PaymentRow, faults: &mut Vec<String>) {
    if payment.caller.is_none() || !payment.state.is_definite() {
        return;
    }
    let texts = now(store.outbox_of(payment.id));
    let last = texts.iter().max_by_key(|row| (row.created_at, row.id)).map(|row| row.body.as_str());
    if last != Some(format!("{:?}", payment.state).as_str()) {
        faults.push(format!("payment {} is {:?}, its last text says {last:?}", payment.id, payment.state));
    }
}

/// A carrier knows nothing that we did not ask for.
fn strangers(world: &World, store: &Store, payments: &[PaymentRow], faults: &mut Vec<String>) {
    let known: Vec<String> = payments
        .iter()
        .flat_map(|payment| now(store.attempts(payment.id)))
        .map(|attempt| attempt.reference)
        .collect();
    let state = world.state();
    for (reference, record) in state.carriers.iter().flatten() {
        if !known.contains(reference) {
            faults.push(format!("a carrier has {record:?} under {reference}, of which we know nothing"));
        }
    }
}

/// Of equal payments one is open at a time.
fn at_once(store: &Store, payments: &[PaymentRow], faults: &mut Vec<String>) {
    for one in payments {
        let events = now(store.events(one.id));
        let over = events.iter().find(|event| event.state.is_definite()).map_or(i64::MAX, |event| event.at);
        let equal = |other: &&PaymentRow| {
            other.id != one.id && other.pair_key() == one.pair_key() && other.created_at > one.created_at
        };
        for other in payments.iter().filter(equal).filter(|other| other.created_at < over) {
            faults.push(format!("{} was taken while {} was open", other.id, one.id));
        }
    }
}

/// What callers were told.
fn told(world: &World, store: &Store, payments: &[PaymentRow], faults: &mut Vec<String>) {
    let (told, wishes, bills_told, bills) = {
        let state = world.state();
        (state.told.clone(), state.wishes.clone(), state.town.told.clone(), state.town.wishes.clone())
    };
    let guesses = told
        .iter()
        .filter(|(index, outcome)| {
            wishes[*index].customer == 3 && matches!(outcome, PayOutcome::WrongPin { .. })
        })
        .count();
    if guesses > usize::try_from(TRIES).unwrap() {
        faults.push(format!("{guesses} PINs were tried"));
    }
    for (index, outcome) in &told {
        let wish = &wishes[*index];
        let right = wishes.iter().any(|other| other.id == wish.id && other.right_pin);
        heard(world, store, payments, &format!("#{index}"), (wish.id, right), outcome, faults);
    }
    for (index, outcome) in &bills_told {
        let wish = &bills[*index];
        heard(world, store, payments, &format!("bill {index}"), (wish.id, wish.right_pin), outcome, faults);
    }
}

/// One answer; `asked` is the payment's id and whether anybody had the right PIN for it.
fn heard(
    world: &World,
    store: &Store,
    payments: &[PaymentRow],
    who: &str,
    asked: (Id, bool),
    outcome: &PayOutcome,
    faults: &mut Vec<String>,
) {
    let payment = payments.iter().find(|payment| payment.id == asked.0);
    let records = payment.map(|payment| records(world, store, payment)).unwrap_or_default();
    if records.iter().any(|record| record.took_back_its_word) {
        return;
    }
    let delivered = records.iter().any(|record| record.state == "DELIVERED");
    let state = payment.map(|payment| payment.state);
    let lied = match outcome {
        PayOutcome::Delivered { .. } if state == Some(State::Reversed) => !desk::took_back(store, asked.0),
        PayOutcome::Delivered { .. } => !delivered || state != Some(State::Delivered),
        PayOutcome::Pending { .. } => payment.is_none(),
        // Another of the same id may have had the right PIN, or came at a better time.
        outcome if says_unpaid(outcome) => {
            let refused = matches!(outcome, PayOutcome::Refused { .. });
            // Staff may have taken it back before he asked again.
            refused && delivered && !(state == Some(State::Reversed) && desk::took_back(store, asked.0))
        }
        _ => false,
    };
    if lied {
        faults.push(format!("{who} heard {outcome:?}, delivered is {delivered}, the books say {state:?}"));
    }
    if !asked.1 && state.is_some() {
        faults.push(format!("{who} paid with a wrong PIN"));
    }
}
