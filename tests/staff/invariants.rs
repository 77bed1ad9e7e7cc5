//! Every invariant: `ledger verify` proves it while payments go on, and names it when one cell is changed behind our back. The
//! table of docs/invariants.md is this test's.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::fold::ids;
use keytone::payment::row::State;
use keytone::payment::run::audit;
use keytone::payment::run::close::Closing;

use super::{ME, asked, cash_in, delivered};
use crate::support::market::{Database, Market, cny};
use crate::support::tamper::{literal, tamper};

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::invariants::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::invariants::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(one_cell_is_enough_to_be_named);

/// Ten in the morning of 2026-05-03 in Shanghai.
const MORNING: Timestamp = Timestamp(1_777_773_600_000_000);
const DAY: i32 = 20_576;

/// The invariant, the table, which row, and what is written there and back.
type Cell = (&'static str, &'static str, String, &'static str, String, String);

fn cells(paid: Id, unknown: Id, account: Id, fingerprint: [u8; 32], sqlite: bool) -> Vec<Cell> {
    let bytes = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        if sqlite { format!("x'{digits}'") } else { format!("'\\x{digits}'::bytea") }
    };
    let hex = |id: Id| literal(id, sqlite);
    let is = |column: &str, id: Id| format!("{column} = {}", hex(id));
    let shift = |column: &'static str| (column, format!("{column} + 1"), format!("{column} - 1"));
    let cell = |invariant, table, rows: String, (column, to, back): (&'static str, String, String)| {
        (invariant, table, rows, column, to, back)
    };
    let post = ids::post(paid);
    let nobody = Id([9; 16]);
    let of_entry = format!("{} and {}", is("transfer", post), is("account", account));
    let float = House::Float("sandbox").id(cny());
    vec![
        cell("I1", "entries", of_entry.clone(), shift("amount_minor")),
        cell("I2", "accounts", is("id", float), shift("balance_minor")),
        cell("I2", "entries", of_entry.clone(), shift("balance_after_minor")),
        cell("I3", "accounts", is("id", float), shift("balance_minor")),
        cell("I4", "accounts", is("id", account), ("floor_minor", "900000000".to_owned(), "0".to_owned())),
        cell("I5", "accounts", is("id", account), shift("held_minor")),
        cell("I6", "entries", of_entry, ("transfer", hex(nobody), hex(post))),
        cell("I7", "transfers", is("id", post), ("fingerprint", bytes(&[7; 32]), bytes(&fingerprint))),
        cell("I8", "attempts", is("payment", paid), ("number", "2".to_owned(), "1".to_owned())),
        cell("I9", "payment_events", format!("{} and version = 2", is("payment", paid)), {
            let state = |state: State| state.number().to_string();
            ("state", state(State::Reversed), state(State::Submitting))
        }),
        cell("I9", "payments", is("id", unknown), shift("version")),
        cell("I10", "holds", is("id", ids::hold(unknown)), shift("amount_minor")),
        cell("I11", "counters", format!("owner = '{}'", account.text()), shift("used_minor")),
        cell("I12", "audit_log", "sequence = 1".to_owned(), ("who", "'eve'".to_owned(), "'ana'".to_owned())),
        cell("I12", "transfers", is("id", post), shift("at")),
        cell("TRUST", "day_proofs", format!("day = {DAY}"), shift("owed_minor")),
    ]
}

async fn one_cell_is_enough_to_be_named(database: Database) {
    let market = Market::open_at(Clock::manual(MORNING), database, |plans| {
        plans.settings.status_schedule = vec![Duration::from_secs(36_000_000); 3];
        plans.settings.answer_within = Duration::from_millis(300);
        plans.settings.day_limit_minor = 10_000_000;
        plans.carrier.callback_url = None;
    })
    .await;
    let account = market.account(ME, 0).await;
    market.payments.ask_staff(&asked(&market, "ana", cash_in(account, 90_000))).await.unwrap().unwrap();
    let paid = delivered(&market, account, 5_000).await;
    market.clock.advance(Duration::from_secs(15 * 3_600));
    let closing = Closing { who: "ana".to_owned(), ..Closing::default() };
    market.payments.close_day(DAY, &closing).await.unwrap().unwrap();
    let request = market.request(account, ME, "+8613800000906", 5_000);
    let unknown = request.id;
    market.payments.pay(request).await.unwrap();
    market.until(unknown, State::Unknown).await;
    // While the daemon works.
    let other = market.account("+8613800000002", 1_000_000).await;
    let payments = market.payments.clone();
    let requests: Vec<_> = (101..117)
        .map(|n| market.request(other, "+8613800000002", &format!("+8613800000{n}"), 5_000))
        .collect();
    let busy = tokio::spawn(async move {
        for request in requests {
            payments.pay(request).await.unwrap();
        }
    });
    let mut proved = 0;
    while !busy.is_finished() || proved < 3 {
        let report = audit::verify(&market.store).await.unwrap();
        assert!(report.is_sound(), "{:#?}", report.faults);
        proved += 1;
    }
    busy.await.unwrap();
    let sqlite = market.url.starts_with("sqlite");
    let mut named = std::collections::BTreeSet::new();
    let fingerprint = market.store.transfer(ids::post(paid)).await.unwrap().unwrap().fingerprint;
    for (invariant, table, rows, column, to, back) in cells(paid, unknown, account, fingerprint, sqlite) {
        tamper(&market.url, &format!("update {table} set {column} = {to} where {rows}")).await;
        let report = audit::verify(&market.store).await.unwrap();
        let found = report.faults.iter().any(|fault| fault.invariant == invariant);
        assert!(found, "{invariant}: {table}.{column}: {:#?}", report.faults);
        named.insert(invariant);
        let rows =
            if column == "transfer" { rows.replace(&literal(ids::post(paid), sqlite), &to) } else { rows };
        tamper(&market.url, &format!("update {table} set {column} = {back} where {rows}")).await;
        let report = audit::verify(&market.store).await.unwrap();
        assert!(report.is_sound(), "{table}.{column} is back: {:#?}", report.faults);
    }
    let mut all: Vec<String> = (1..=12).map(|n| format!("I{n}")).collect();
    all.push("TRUST".to_owned());
    all.retain(|invariant| !named.contains(invariant.as_str()));
    assert!(all.is_empty(), "nothing breaks {all:?}");
    market.close().await;
}
