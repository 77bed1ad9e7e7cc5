//! The end of a day on both databases: what stops it, what two persons may carry over, and the proof of it.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::approval::{Decision, Stage};
use keytone::payment::day::{Statements, midnight_after};
use keytone::payment::row::State;
use keytone::payment::row::record::cell;
use keytone::payment::row::staff::ClosedDayRow;
use keytone::payment::run::audit;
use keytone::payment::run::close::{Closing, NotClosed};
use keytone::payment::run::reconcile::Compared;
use keytone::payment::run::staff::Refused;
use keytone::payment::staff::Act;

use super::{ME, asked, cash_in, delivered, log};
use crate::support::market::{Database, Market};
use crate::support::tamper::{literal, tamper};

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::days::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::days::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_day_is_closed_once_and_the_trust_account_fits,
    what_is_open_stops_a_close_but_for_two_persons,
    a_day_waits_for_the_statements_of_those_who_were_asked,
);

/// Ten in the morning of 2026-05-03 in Shanghai.
const MORNING: Timestamp = Timestamp(1_777_773_600_000_000);
/// That day.
const DAY: i32 = 20_576;
const HOUR: Duration = Duration::from_secs(3_600);

fn closing() -> Closing {
    Closing { who: "ana".to_owned(), ..Closing::default() }
}

async fn a_day_is_closed_once_and_the_trust_account_fits(database: Database) {
    let market = Market::open_at(Clock::manual(MORNING), database, |_| {}).await;
    let account = market.account(ME, 0).await;
    market.payments.ask_staff(&asked(&market, "ana", cash_in(account, 50_000))).await.unwrap().unwrap();
    let first = delivered(&market, account, 5_000).await;
    assert_eq!(market.payments.close_day(DAY, &closing()).await.unwrap(), Err(NotClosed::NotEnded));
    // Midnight, and something is paid in the first minute of the next day.
    market.clock.advance(14 * HOUR);
    delivered(&market, account, 10_000).await;
    assert_eq!(market.payments.close_day(DAY, &closing()).await.unwrap(), Err(NotClosed::NotEnded));
    market.clock.advance(Duration::from_secs(61));
    let seen = market.payments.day(DAY).await.unwrap();
    let sum = seen.sums[&("recharge".to_owned(), "sandbox".to_owned())];
    assert_eq!(
        (sum.delivered, sum.amount_minor, sum.cost_minor, sum.commission_minor),
        (1, 5_000, 4_850, 150)
    );
    assert_eq!((seen.owed_minor, seen.trust_minor), (45_000, 50_000), "of midnight, not of now");
    assert_eq!(seen.booked["commission:sandbox"], 150);
    let wrong = Closing { told: [("sandbox".to_owned(), 7)].into(), ..closing() };
    let said = market.payments.close_day(DAY, &wrong).await.unwrap();
    assert!(matches!(said, Err(NotClosed::Float { told_minor: 7, .. })), "{said:?}");
    let row = market.payments.close_day(DAY, &closing()).await.unwrap().unwrap();
    assert_eq!((row.swept_minor, row.open_payments, row.audit_hash.len()), (-5_000, 0, 64));
    assert_eq!(market.house(House::Trust).await, -45_000);
    assert_eq!(market.house(House::Bank).await, -5_000);
    assert_eq!(market.payments.close_day(DAY, &closing()).await.unwrap(), Err(NotClosed::Closed));
    let earlier = market.payments.close_day(DAY - 1, &closing()).await.unwrap();
    assert_eq!(earlier, Err(NotClosed::Later(DAY)));
    market.clock.advance(24 * HOUR);
    let next = market.payments.close_day(DAY + 1, &closing()).await.unwrap().unwrap();
    assert_eq!(next.swept_minor, -10_000);
    assert_eq!(market.house(House::Trust).await, -35_000);
    assert_eq!(log(&market).await, ["ana cash_in", "ana close", "ana close"]);
    let report = audit::verify(&market.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
    // Whatever is changed behind it is named with its day.
    let post = keytone::payment::fold::ids::post(first);
    let rows = format!("where id = {}", literal(post, market.url.starts_with("sqlite")));
    let changes = [
        (
            format!("update transfers set at = at + 1 {rows}"),
            format!("update transfers set at = at - 1 {rows}"),
            "I12",
        ),
        changed("owed_minor = owed_minor + 1", "owed_minor = owed_minor - 1", "TRUST"),
        changed("trust_minor = trust_minor - 1", "trust_minor = trust_minor + 1", "TRUST"),
        changed("transfers = transfers + 1", "transfers = transfers - 1", "I12"),
        changed("until_at = until_at + 1", "until_at = until_at - 1", "I12"),
    ];
    for (change, back, invariant) in changes {
        tamper(&market.url, &change).await;
        let report = audit::verify(&market.store).await.unwrap();
        let day =
            |f: &&keytone::ledger::verify::Fault| f.row == "day" && f.name.as_deref() == Some("2026-05-03");
        let found = report.faults.iter().filter(day).any(|f| f.invariant == invariant);
        assert!(found, "{change}: {:#?}", report.faults);
        tamper(&market.url, &back).await;
    }
    market.close().await;
}

fn changed(to: &str, back: &str, invariant: &'static str) -> (String, String, &'static str) {
    let sql = |set: &str| format!("update day_proofs set {set} where day = {DAY}");
    (sql(to), sql(back), invariant)
}

async fn what_is_open_stops_a_close_but_for_two_persons(database: Database) {
    let market = Market::open_at(Clock::manual(MORNING), database, |plans| {
        plans.settings.status_schedule = vec![1_000 * HOUR; 3];
        plans.settings.answer_within = Duration::from_millis(300);
        plans.carrier.callback_url = None;
    })
    .await;
    let account = market.account(ME, 50_000).await;
    let request = market.request(account, ME, "+8613800000906", 5_000);
    let open = request.id;
    market.payments.pay(request).await.unwrap();
    market.until(open, State::Unknown).await;
    market.clock.advance(15 * HOUR);
    assert_eq!(market.payments.close_day(DAY, &closing()).await.unwrap(), Err(NotClosed::Open(1)));
    let carried = asked(&market, "ana", Act::CloseDay { day: DAY, told: [("sandbox".to_owned(), 3)].into() });
    let row = market.payments.ask_staff(&carried).await.unwrap().unwrap();
    assert_eq!(row.state, Stage::Proposed.number(), "always by two persons");
    assert!(row.amount_minor > 5_000, "the payment and the float that differs: {}", row.amount_minor);
    assert!(market.payments.decide_staff(carried.id, "ana", Decision::Approve).await.unwrap().is_err());
    market.payments.decide_staff(carried.id, "bo", Decision::Approve).await.unwrap().unwrap();
    let closed: ClosedDayRow = market.store.record(&[cell(&DAY)]).await.unwrap().unwrap();
    assert_eq!((closed.open_payments, closed.closed_by.as_str()), (1, "bo"));
    // The deposit came from funding, not from the trust account: the sweep has put it there.
    assert_eq!(market.house(House::Trust).await, -50_000);
    assert_eq!(log(&market).await, ["ana propose", "bo close"]);
    let late = asked(&market, "ana", Act::CloseDay { day: DAY, told: [].into() });
    let said = market.payments.ask_staff(&late).await.unwrap();
    assert_eq!(said, Err(Refused::Day(Box::new(NotClosed::Closed))));
    assert_eq!(market.payment(open).await.state, State::Unknown, "carried over, not decided");
    market.close().await;
}

/// Reads an empty statement of the sandbox for so many days from `DAY` on, without what our books have: findings of it are open.
async fn read_statement(market: &Market, from: i64, until: i64) {
    let compared = Compared {
        id: Id([7; 16]),
        connector: "sandbox",
        lines: &[],
        unreadable: &[],
        covers: (from, until),
        costs: false,
        drift_us: 0,
    };
    market.payments.reconcile(&compared, "ana").await.unwrap().unwrap();
}

async fn a_day_waits_for_the_statements_of_those_who_were_asked(database: Database) {
    let open = async |statements: Statements| {
        let market = Market::open_at(Clock::manual(MORNING), database, |plans| {
            plans.settings.statements = statements;
        })
        .await;
        let account = market.account(ME, 50_000).await;
        (market, account)
    };
    let unread = || Err(NotClosed::Unread(vec!["sandbox".to_owned()]));
    let (market, account) = open(Statements::Refuse).await;
    // Nobody was asked for anything yesterday: nobody's statement is wanted.
    market.payments.close_day(DAY - 1, &closing()).await.unwrap().unwrap();
    delivered(&market, account, 5_000).await;
    market.clock.advance(15 * HOUR);
    assert_eq!(market.payments.close_day(DAY, &closing()).await.unwrap(), unread());
    let zone = &market.payments.settings().zone;
    let (begins, ends) = (midnight_after(DAY - 1, zone).unwrap(), midnight_after(DAY, zone).unwrap());
    // A statement that begins after midnight does not cover the day. What it lacks is dealt with by staff.
    read_statement(&market, ends - 1, ends).await;
    assert_eq!(market.payments.close_day(DAY, &closing()).await.unwrap(), unread());
    // Two persons may close it even so.
    let wanted = asked(&market, "ana", Act::CloseDay { day: DAY, told: [].into() });
    let row = market.payments.ask_staff(&wanted).await.unwrap().unwrap();
    assert_eq!((row.state, row.amount_minor), (Stage::Proposed.number(), 5_000));
    market.payments.decide_staff(wanted.id, "bo", Decision::Approve).await.unwrap().unwrap();
    let closed: ClosedDayRow = market.store.record(&[cell(&DAY)]).await.unwrap().unwrap();
    assert!(closed.totals.contains(r#""unread":["sandbox"]"#), "{}", closed.totals);
    market.close().await;

    // Read whole, it stands in the way no more; where only a warning is wanted it never did.
    for (statements, reads, named) in [
        (Statements::Refuse, true, "[]"),
        (Statements::Warn, false, r#"["sandbox"]"#),
        (Statements::Ignore, false, "[]"),
    ] {
        let (market, account) = open(statements).await;
        delivered(&market, account, 5_000).await;
        market.clock.advance(15 * HOUR);
        if reads {
            read_statement(&market, begins, ends).await;
            let findings =
                market.payments.findings(keytone::payment::finding::Standing::Open, 10).await.unwrap();
            assert_eq!(findings.len(), 1, "{findings:?}");
            let said = market.payments.close_day(DAY, &closing()).await.unwrap();
            assert_eq!(said, Err(NotClosed::Unmatched(1)));
            let seen = market.payments.day(DAY).await.unwrap();
            assert!(seen.unread.is_empty(), "{:?}", seen.unread);
        } else {
            let row = market.payments.close_day(DAY, &closing()).await.unwrap().unwrap();
            assert!(row.totals.contains(&format!(r#""unread":{named}"#)), "{statements:?}: {}", row.totals);
        }
        market.close().await;
    }
}
