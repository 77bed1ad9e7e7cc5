//! The judge of crash tests: reads only the database and the carrier's log, and says what is wrong with the
//! money.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use keytone::connector::sandbox;
use keytone::ledger::row::Id;
use keytone::money::Money;
use keytone::payment::row::{PaymentRow, State};
use keytone::payment::run::audit;
use keytone::store::{PaymentFilter, Store};

/// What is wrong, each line with the rule that it breaks. `settled` also asks that nothing is left open.
///
/// - C1 the books balance, and every row is what it must be;
/// - C2 whatever the carrier recharged was deducted, once and in the same amount, or is the house's loss;
/// - C3 no payment was recharged twice;
/// - C4 whatever was deducted was recharged; whatever is held belongs to an open payment;
/// - C5 no account is below its floor, holds included;
/// - C6 nothing is left open.
pub(crate) async fn faults(store: &Store, carrier_log: &Path, settled: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let report = audit::verify(store).await.unwrap();
    faults.extend(report.faults.iter().map(|f| format!("C1 {f:?}")));
    let filter = PaymentFilter { limit: 100_000, ..PaymentFilter::default() };
    let payments = store.payments(&filter).await.unwrap();
    let carried = sandbox::read_log(carrier_log).unwrap_or_default();
    balances(store, &payments, &mut faults).await;
    recharged(store, &carried, settled, &mut faults).await;
    for payment in &payments {
        deducted(store, payment, &carried, &mut faults).await;
        if settled && payment.state.is_open() {
            faults.push(format!("C6 {} is still {:?}", payment.id, payment.state));
        }
    }
    faults
}

async fn balances(store: &Store, payments: &[PaymentRow], faults: &mut Vec<String>) {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for total in store.totals().await.unwrap() {
        *sums.entry(total.currency.to_string()).or_default() += total.balance_minor;
    }
    faults
        .extend(sums.iter().filter(|(_, sum)| **sum != 0).map(|(c, sum)| format!("C1 all {c} sum to {sum}")));
    let mut held: HashMap<Id, i64> = HashMap::new();
    for payment in payments.iter().filter(|p| p.state.is_open()) {
        *held.entry(payment.account).or_default() += payment.amount_minor + payment.fee_minor;
    }
    let mut accounts: Vec<Id> = payments.iter().map(|p| p.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    for id in accounts {
        let account = store.account(id).await.unwrap().unwrap();
        if account.balance_minor - account.held_minor < account.floor_minor.unwrap_or(i64::MIN) {
            faults.push(format!("C5 {id} is below its floor"));
        }
        let open = held.get(&id).copied().unwrap_or(0);
        if account.held_minor != open {
            faults.push(format!("C4 {id} holds {} but its open payments are {open}", account.held_minor));
        }
    }
}

async fn recharged(store: &Store, carried: &[sandbox::Record], settled: bool, faults: &mut Vec<String>) {
    let mut by_deduction: BTreeMap<&str, u32> = BTreeMap::new();
    for record in carried.iter().filter(|r| r.state == "delivered") {
        *by_deduction.entry(record.deduction.as_str()).or_default() += 1;
        let Some(payment) = store.payment_by_attempt(&record.reference).await.unwrap() else {
            faults.push(format!("C2 the carrier recharged {}, which no payment knows", record.reference));
            continue;
        };
        let amount = Money::new(payment.amount_minor, payment.currency).amount_text();
        if record.amount != amount || record.msisdn != payment.target.text() {
            faults
                .push(format!("C2 {} was recharged with {}, asked was {amount}", payment.id, record.amount));
        }
        let lost = payment.class.as_deref() == Some("late_delivered");
        if payment.state != State::Delivered && !lost && (settled || !payment.state.is_open()) {
            faults.push(format!("C2 {} was recharged but is {:?}", payment.id, payment.state));
        }
    }
    faults.extend(
        by_deduction
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(hold, times)| format!("C3 the deduction {hold} was recharged {times} times")),
    );
}

async fn deducted(
    store: &Store,
    payment: &PaymentRow,
    carried: &[sandbox::Record],
    faults: &mut Vec<String>,
) {
    let entries = store.entries_of_payment(payment.id).await.unwrap();
    let sum: i64 = entries.iter().filter(|e| e.account == payment.account).map(|e| e.amount_minor).sum();
    let due = match payment.state {
        State::Delivered => -(payment.amount_minor + payment.fee_minor),
        _ => 0,
    };
    if sum != due {
        faults.push(format!("C4 {} is {:?} and moved {sum} on its account", payment.id, payment.state));
    }
    if payment.state == State::Delivered {
        let hold = payment.hold.text();
        if !carried.iter().any(|r| r.deduction == hold && r.state == "delivered") {
            faults.push(format!("C4 {} was deducted but never recharged", payment.id));
        }
    }
}
