//! `ledger verify` finds what was tampered with, and names the row.

use keytone::ledger::chart::{House, customer};
use keytone::ledger::command::{Act, Command, Leg};
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::payment::unit::{Op, Unit};

use super::{Fresh, START, on_both, start, verify};
use crate::support::tamper::{literal, tamper};

struct Books {
    customer: Id,
    credit: Id,
    hold: Id,
    posted_hold: Id,
    post: Id,
    reversal: Id,
}

/// A customer with 100.00 credited, 30.00 held, 20.00 held and posted, and 5.00 of that reversed.
async fn books(fresh: &Fresh) -> Books {
    let cny = Currency::new("CNY").unwrap();
    let (writer, _, task) = start(&fresh.store);
    let id = |n: u8| Id([n; 16]);
    let customer = customer(id(1), cny, START.0);
    let (funding, float) = (House::Funding.row(cny, START.0), House::Float("acme").row(cny, START.0));
    let hold = |n, amount_minor| {
        let act = Act::Hold { account: customer.id, amount_minor, currency: cny, expires_at: None };
        Op::Ledger(Command::new(id(n), None, act))
    };
    let legs = |amount: i64| vec![Leg::new(customer.id, -amount), Leg::new(float.id, amount)];
    let ops = vec![
        Op::OpenAccount(customer.clone()),
        Op::OpenAccount(funding.clone()),
        Op::OpenAccount(float.clone()),
        Op::Ledger(Command::new(
            id(2),
            None,
            Act::Transfer { legs: vec![Leg::new(funding.id, -10_000), Leg::new(customer.id, 10_000)] },
        )),
        hold(3, 3_000),
        hold(4, 2_000),
        Op::Ledger(Command::new(id(5), None, Act::Post { hold: id(4), legs: legs(2_000) })),
        Op::Ledger(Command::new(id(6), None, Act::Reverse { transfer: id(5), legs: legs(-500) })),
    ];
    writer.commit(Unit { ops }).await.unwrap().unwrap();
    writer.stop();
    task.await.unwrap();
    let report = verify(&fresh.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
    assert_eq!((report.accounts, report.transfers, report.entries, report.holds), (3, 5, 6, 2));
    Books {
        customer: customer.id,
        credit: id(2),
        hold: id(3),
        posted_hold: id(4),
        post: id(5),
        reversal: id(6),
    }
}

/// What is done, how it is undone, and the row that must be named.
type Tampering = (String, String, &'static str, Id);

fn tamperings(books: &Books, sqlite: bool) -> Vec<Tampering> {
    let hex = |id| literal(id, sqlite);
    let own = |transfer: Id| format!("transfer = {} and account = {}", hex(transfer), hex(books.customer));
    let of = |id: Id| format!("id = {}", hex(id));
    let update = |table: &str, change: &str, back: &str, rows: String, row, id| {
        let sql = |set: &str| format!("update {table} set {set} where {rows}");
        (sql(change), sql(back), row, id)
    };
    let (customer, credit, hold, posted) = (books.customer, books.credit, books.hold, books.posted_hold);
    let ended = format!("state = 2, resolved_by = {}", hex(credit));
    let posting = format!("state = 1, resolved_by = {}", hex(books.post));
    let pending = "state = 0, resolved_by = null";
    let print = |of: Id| format!("fingerprint = (select fingerprint from transfers where id = {})", hex(of));
    let (plus, minus) = ("amount_minor = amount_minor + 1", "amount_minor = amount_minor - 1");
    vec![
        update("entries", plus, minus, own(credit), "transfer", credit),
        update("accounts", "balance_minor = 1", "balance_minor = 8500", of(customer), "account", customer),
        update("accounts", "held_minor = 1", "held_minor = 3000", of(customer), "account", customer),
        update("accounts", "floor_minor = 9000", "floor_minor = 0", of(customer), "account", customer),
        update("accounts", "entries = 4", "entries = 3", of(customer), "account", customer),
        update(
            "entries",
            "balance_after_minor = 1",
            "balance_after_minor = 10000",
            own(credit),
            "entry",
            customer,
        ),
        update("entries", "sequence = 9", "sequence = 3", own(books.reversal), "entry", customer),
        update("holds", &ended, pending, of(hold), "hold", hold),
        update("holds", pending, &posting, of(posted), "hold", posted),
        update("holds", "amount_minor = 1999", "amount_minor = 2000", of(posted), "hold", posted),
        update("transfers", "act = 3", "act = 1", of(credit), "transfer", credit),
        update("transfers", "outcome = 19", "outcome = 0", of(credit), "transfer", credit),
        update("transfers", &print(books.post), &print(credit), of(credit), "transfer", credit),
    ]
}

async fn verify_names_every_kind_of_tampering(fresh: Fresh) {
    let books = books(&fresh).await;
    let cases = tamperings(&books, fresh.url.starts_with("sqlite"));
    for (n, (change, back, row, id)) in cases.iter().enumerate() {
        tamper(&fresh.url, change).await;
        let report = verify(&fresh.store).await.unwrap();
        let named = report.faults.iter().any(|fault| fault.row == *row && fault.id == *id);
        assert!(named, "{change}: {:#?}", report.faults);
        // The fingerprint cannot be brought back by a statement: it is the last.
        if n + 1 < cases.len() {
            tamper(&fresh.url, back).await;
            assert!(verify(&fresh.store).await.unwrap().is_sound(), "{back}");
        }
    }
}

async fn verify_finds_rows_that_are_gone_or_added(fresh: Fresh) {
    let books = books(&fresh).await;
    let sqlite = fresh.url.starts_with("sqlite");
    let hex = |id| literal(id, sqlite);
    let (credit, reversal, post) = (hex(books.credit), hex(books.reversal), hex(books.post));
    let second = hex(Id([7; 16]));
    let expect = async |change: String, invariant: &str, row: &str, id: Id| {
        tamper(&fresh.url, &change).await;
        let report = verify(&fresh.store).await.unwrap();
        let named = report.faults.iter().any(|f| (f.invariant, f.row, f.id) == (invariant, row, id));
        assert!(named, "{change}: {:#?}", report.faults);
    };
    // The reversal done once more, with entries that keep every balance: more was given back than was taken.
    expect(
        format!(
            "insert into transfers (id, act, fingerprint, outcome, outcome_minor, refers_to, payment, at) \
             select {second}, act, fingerprint, 0, 0, refers_to, payment, at from transfers where id = {reversal}"
        ),
        "I6",
        "transfer",
        Id([7; 16]),
    )
    .await;
    expect(
        format!(
            "insert into entries (transfer, account, sequence, amount_minor, balance_after_minor, previous) \
             select {second}, account, sequence + 1, amount_minor * 4, balance_after_minor + amount_minor * 4, transfer \
             from entries where transfer = {reversal}"
        ),
        "I6",
        "transfer",
        books.post,
    )
    .await;
    expect(format!("delete from entries where transfer = {credit}"), "I6", "transfer", books.credit).await;
    expect(format!("delete from transfers where id = {post}"), "I6", "transfer", books.post).await;
}

on_both!(verify_names_every_kind_of_tampering, verify_finds_rows_that_are_gone_or_added);
