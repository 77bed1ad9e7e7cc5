//! Rows of tables without rules of their own: added, replaced and taken out with what belongs to them.

use keytone::ledger::chart::customer;
use keytone::ledger::command::{Act, Command, Leg};
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::payment::row::AnswerRow;
use keytone::payment::row::record::{Select, cell};
use keytone::payment::unit::{Op, Refusal, Unit};

use super::{Fresh, START, on_all, start};

fn id(n: u8) -> Id {
    Id([n; 16])
}

fn answer(n: u8, outcome: &str) -> AnswerRow {
    AnswerRow {
        id: id(n),
        action: if n.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
        outcome: outcome.to_owned(),
        outcome_values: "[]".to_owned(),
        at: i64::from(n),
    }
}

fn unit(ops: impl IntoIterator<Item = Op>) -> Unit {
    Unit { ops: ops.into_iter().collect() }
}

async fn a_row_is_added_once_replaced_and_taken_out(fresh: Fresh) {
    let (writer, _, _task) = start(&fresh.store);
    let stored = async |n| fresh.store.record::<AnswerRow>(&[cell(&id(n))]).await.unwrap();
    writer.commit(unit([Op::add(&answer(1, "first"))])).await.unwrap().unwrap();
    writer.commit(unit([Op::add(&answer(1, "first"))])).await.unwrap().unwrap();
    let other = writer.commit(unit([Op::add(&answer(2, "x")), Op::add(&answer(1, "second"))])).await.unwrap();
    assert_eq!(other, Err(Refusal::Exists("answers")));
    assert_eq!(stored(1).await, Some(answer(1, "first")));
    assert_eq!(stored(2).await, None, "a refused unit writes nothing");
    writer.commit(unit([Op::put(&answer(1, "second")), Op::put(&answer(2, "x"))])).await.unwrap().unwrap();
    assert_eq!(stored(1).await, Some(answer(1, "second")));
    let gone = Op::remove::<AnswerRow>(&[cell(&id(1))]);
    writer.commit(unit([gone.clone(), gone])).await.unwrap().unwrap();
    assert_eq!((stored(1).await, stored(2).await), (None, Some(answer(2, "x"))));
    // What a NUL would do to a database is not tried.
    writer.commit(unit([Op::put(&answer(3, "a\0b"))])).await.unwrap().unwrap();
    assert_eq!(stored(3).await, Some(answer(3, "ab")));
}

async fn rows_are_found_by_their_columns(fresh: Fresh) {
    let (writer, _, _task) = start(&fresh.store);
    // More than one statement's worth, in one unit.
    writer.commit(unit((1..=100).map(|n| Op::add(&answer(n, "x"))))).await.unwrap().unwrap();
    writer.commit(unit((1..=100).map(|n| Op::put(&answer(n, "y"))))).await.unwrap().unwrap();
    let ats = async |wanted: Select<AnswerRow>| {
        fresh.store.records(&wanted).await.unwrap().iter().map(|row| row.at).collect::<Vec<_>>()
    };
    let even = || Select::<AnswerRow>::new().equal("action", &"even".to_owned()).order("at");
    assert_eq!(ats(even().below("at", &7_i64)).await, [2, 4, 6]);
    assert_eq!(ats(even().from("at", &95_i64)).await, [96, 98, 100]);
    assert_eq!(ats(even().descending().limit(2)).await, [100, 98]);
    assert_eq!(ats(Select::new().limit(3)).await, [1, 2, 3]);
    assert_eq!(ats(Select::new().equal("outcome", &"x".to_owned())).await, [0_i64; 0]);
}

async fn guards_refuse_the_whole_unit(fresh: Fresh) {
    let (writer, _, _task) = start(&fresh.store);
    let cny = Currency::new("CNY").unwrap();
    let mut from = customer(id(1), cny, START.0);
    from.floor_minor = None;
    let ops = [Op::OpenAccount(from), Op::OpenAccount(customer(id(2), cny, START.0))];
    writer.commit(unit(ops)).await.unwrap().unwrap();
    let give = |n: u8, amount: i64| {
        let legs = vec![Leg::new(id(1), -amount), Leg::new(id(2), amount)];
        Op::Ledger(Command::new(id(n), None, Act::Transfer { legs }))
    };
    let ceiling = Op::Ceiling { account: id(2), balance_minor: 100 };
    writer.commit(unit([give(10, 100), ceiling.clone()])).await.unwrap().unwrap();
    let over = writer.commit(unit([give(11, 1), ceiling])).await.unwrap();
    assert_eq!(over, Err(Refusal::Ceiling { balance_minor: 100 }));
    let held = async || fresh.store.account(id(2)).await.unwrap().unwrap().balance_minor;
    assert_eq!(held().await, 100);
    let shut = keytone::payment::row::SuspensionRow {
        scope: "agent".to_owned(),
        key: "a".to_owned(),
        since: START.0,
    };
    let open = Op::Open(vec![("agent".to_owned(), "b".to_owned()), ("agent".to_owned(), "a".to_owned())]);
    writer.commit(unit([open.clone(), give(12, 1)])).await.unwrap().unwrap();
    writer.commit(unit([Op::Suspend(shut)])).await.unwrap().unwrap();
    assert_eq!(writer.commit(unit([open, give(13, 1)])).await.unwrap(), Err(Refusal::Suspended));
    assert_eq!(held().await, 101);
}

on_all!(
    a_row_is_added_once_replaced_and_taken_out,
    rows_are_found_by_their_columns,
    guards_refuse_the_whole_unit,
);
