//! Staff's money work on both databases: two persons, the audit log, refunds, statements.

mod alarms;
mod days;
mod invariants;
mod whole_day;

use std::time::Duration;

use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::approval;
use keytone::payment::approval::{Decision, Stage};
use keytone::payment::finding::Standing;
use keytone::payment::row::State;
use keytone::payment::row::day::FindingRow;
use keytone::payment::row::record::{Select, cell};
use keytone::payment::row::staff::{AuditHeadRow, HEAD, ProposalRow, StatementRow};
use keytone::payment::run::close::{Closing, NotClosed};
use keytone::payment::run::reconcile::Compared;
use keytone::payment::run::staff::{Asked, Refused};
use keytone::payment::run::{Error, Scope, audit};
use keytone::payment::staff::{Act, Movement, Outcome, Refusal};
use keytone::payment::statement::{Line, Status};

use crate::support::market::{Database, Market};
use crate::support::tamper::{literal, tamper};

const ME: &str = "+8613800000001";
const OTHER: &str = "+8613800000002";

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    small_sums_are_moved_alone_and_large_ones_by_two,
    refunds_and_reversals_never_give_more_than_was_paid,
    what_nobody_knows_is_resolved_by_hand,
    two_at_once_act_once_and_the_log_stays_whole,
    a_statement_is_compared_and_put_right_once,
    what_no_statement_line_explains_is_kept_until_two_persons_dismiss_it,
    suspensions_name_who_and_why,
    acts_without_a_request_are_logged_too,
);

fn asked(market: &Market, who: &str, act: Act) -> Asked {
    Asked {
        id: market.id(),
        who: who.to_owned(),
        reason: "goodwill".to_owned(),
        evidence: "ticket 7".to_owned(),
        act,
    }
}

const fn cash_in(account: Id, amount_minor: i64) -> Act {
    let movement = Movement::CashIn;
    Act::Move { movement, amount_minor, account: Some(account), connector: None, discount_minor: 0 }
}

async fn log(market: &Market) -> Vec<String> {
    let mut rows = market.payments.audit_log(None, 100).await.unwrap();
    rows.reverse();
    rows.iter().map(|row| format!("{} {}", row.who, row.what)).collect()
}

/// A payment that was delivered.
async fn delivered(market: &Market, account: Id, amount_minor: i64) -> Id {
    let request = market.request(account, ME, ME, amount_minor);
    let id = request.id;
    let outcome = market.payments.pay(request).await.unwrap();
    assert_eq!(outcome.name(), "delivered", "{outcome:?}");
    id
}

async fn small_sums_are_moved_alone_and_large_ones_by_two(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 0).await;
    let small = asked(&market, "ana", cash_in(account, 100_000));
    for _ in 0..2 {
        let done = market.payments.ask_staff(&small).await.unwrap().unwrap();
        assert_eq!(done.state, Stage::Done.number(), "the same id again is the same deposit");
    }
    assert_eq!(market.money(account).await.0, 100_000);
    assert_eq!(market.house(House::Trust).await, -100_000);
    let other = Asked { act: cash_in(account, 5), ..small.clone() };
    assert!(matches!(market.payments.ask_staff(&other).await, Err(Error::IdReused)));
    let large = asked(&market, "ana", cash_in(account, 100_001));
    let row = market.payments.ask_staff(&large).await.unwrap().unwrap();
    assert_eq!((row.state, market.money(account).await.0), (Stage::Proposed.number(), 100_000));
    let own = market.payments.decide_staff(large.id, "Ana", Decision::Approve).await.unwrap();
    assert_eq!(own, Err(Refused::Approval(approval::Refusal::SamePerson("ana".to_owned()))));
    for _ in 0..2 {
        let done = market.payments.decide_staff(large.id, "bo", Decision::Approve).await.unwrap().unwrap();
        assert_eq!(done.state, Stage::Done.number());
    }
    assert_eq!(market.money(account).await.0, 200_001);
    let no = asked(&market, "ana", cash_in(account, 300_000));
    market.payments.ask_staff(&no).await.unwrap().unwrap();
    market.payments.decide_staff(no.id, "bo", Decision::Reject("no such deposit")).await.unwrap().unwrap();
    let late = market.payments.decide_staff(no.id, "bo", Decision::Approve).await.unwrap();
    assert_eq!(late, Err(Refused::Approval(approval::Refusal::Decided(Stage::Rejected))));
    let silent = Asked { evidence: " ".to_owned(), ..asked(&market, "ana", cash_in(account, 1)) };
    assert_eq!(market.payments.ask_staff(&silent).await.unwrap(), Err(Refused::Rule(Refusal::NoReason)));
    let nobody = asked(&market, " ", cash_in(account, 1));
    assert_eq!(market.payments.ask_staff(&nobody).await.unwrap(), Err(Refused::Rule(Refusal::Nobody)));
    let wanted = ["ana cash_in", "ana propose", "bo cash_in", "ana propose", "bo reject"];
    assert_eq!(log(&market).await, wanted);
    // What is approved when the money is gone has failed, for good.
    let out = Movement::CashOut;
    let act = Act::Move {
        movement: out,
        amount_minor: 200_002,
        account: Some(account),
        connector: None,
        discount_minor: 0,
    };
    let gone = asked(&market, "ana", act);
    market.payments.ask_staff(&gone).await.unwrap().unwrap();
    let said = market.payments.decide_staff(gone.id, "bo", Decision::Approve).await.unwrap();
    assert!(matches!(said, Err(Refused::Books(_))), "{said:?}");
    let row = market.payments.proposal(gone.id).await.unwrap().unwrap();
    assert_eq!(row.state, Stage::Failed.number());
    assert!(row.note.contains("available"), "{}", row.note);
    market.close().await;
}

async fn refunds_and_reversals_never_give_more_than_was_paid(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let first = delivered(&market, account, 5_000).await;
    let part = asked(&market, "ana", Act::Refund { payment: first, amount_minor: 2_000 });
    market.payments.ask_staff(&part).await.unwrap().unwrap();
    assert_eq!(market.money(account).await.0, 497_000);
    assert_eq!(market.house(House::Loss).await, -2_000);
    let view = market.payments.account(account).await.unwrap().unwrap();
    assert_eq!(view.used_today_minor, 5_000, "a refund gives nothing back to limits");
    let more = asked(&market, "ana", Act::Refund { payment: first, amount_minor: 3_001 });
    let said = market.payments.ask_staff(&more).await.unwrap();
    assert_eq!(said, Err(Refused::Rule(Refusal::TooMuch { left_minor: 3_000 })));
    let back = asked(&market, "ana", Act::Reverse { payment: first });
    let said = market.payments.ask_staff(&back).await.unwrap();
    assert_eq!(said, Err(Refused::Rule(Refusal::Refunded { refunded_minor: 2_000 })));
    let second = delivered(&market, account, 10_000).await;
    let back = asked(&market, "ana", Act::Reverse { payment: second });
    market.payments.ask_staff(&back).await.unwrap().unwrap();
    assert_eq!(market.payment(second).await.state, State::Reversed);
    assert_eq!(market.money(account).await.0, 497_000);
    let view = market.payments.account(account).await.unwrap().unwrap();
    assert_eq!(view.used_today_minor, 5_000, "a reversal gives back to limits");
    let twice = asked(&market, "ana", Act::Reverse { payment: second });
    let said = market.payments.ask_staff(&twice).await.unwrap();
    assert_eq!(said, Err(Refused::Rule(Refusal::NotDelivered(State::Reversed))));
    market.close().await;
}

async fn what_nobody_knows_is_resolved_by_hand(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.settings.status_schedule = vec![Duration::from_millis(60); 2];
        plans.settings.answer_within = Duration::from_millis(200);
    })
    .await;
    let account = market.account(ME, 500_000).await;
    for (outcome, state, amount_minor, left) in [
        (Outcome::Delivered, State::Delivered, 5_000, 495_000),
        (Outcome::Refused, State::Refused, 10_000, 495_000),
    ] {
        let request = market.request(account, ME, "+8613800000914", amount_minor);
        let id = request.id;
        market.payments.pay(request).await.unwrap();
        market.until(id, State::NeedsReview).await;
        let act = Act::Resolve { payment: id, outcome };
        market.payments.ask_staff(&asked(&market, "ana", act.clone())).await.unwrap().unwrap();
        assert_eq!(market.payment(id).await.state, state);
        assert_eq!(market.money(account).await, (left, 0));
        let said = market.payments.ask_staff(&asked(&market, "ana", act)).await.unwrap();
        assert_eq!(said, Err(Refused::Rule(Refusal::NotOpen(state))));
        let view = market.payments.payment(id).await.unwrap().unwrap();
        assert!(view.events.iter().any(|e| e.detail.starts_with("staff:")), "{:?}", view.events);
    }
    market.close().await;
}

async fn two_at_once_act_once_and_the_log_stays_whole(database: Database) {
    let market = Market::open(database).await;
    let (other, stop) = market.second_node().await;
    let account = market.account(ME, 0).await;
    let proposals: Vec<Asked> = (0..4).map(|_| asked(&market, "ana", cash_in(account, 200_000))).collect();
    for proposal in &proposals {
        market.payments.ask_staff(proposal).await.unwrap().unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for proposal in &proposals {
        for (payments, who) in [(market.payments.clone(), "bo"), (other.clone(), "cy")] {
            let id = proposal.id;
            tasks.spawn(
                async move { payments.decide_staff(id, who, Decision::Approve).await.unwrap().is_ok() },
            );
        }
    }
    let approved = tasks.join_all().await.into_iter().filter(|done| *done).count();
    assert_eq!(approved, 4, "each by one of the two");
    assert_eq!(market.money(account).await.0, 800_000);
    let head: AuditHeadRow = market.store.record(&[cell(&HEAD)]).await.unwrap().unwrap();
    assert_eq!((head.sequence, head.version), (8, 8));
    stop.cancel();
    let url = market.url.clone();
    let (store, dir) = market.end().await;
    assert!(audit::verify(&store).await.unwrap().is_sound());
    if matches!(database, Database::Sqlite) {
        // Somebody edits the file.
        edit(&url, "update audit_log set who = 'eve' where sequence = 5").await;
        let report = audit::verify(&store).await.unwrap();
        assert!(
            report.faults.iter().any(|f| f.to_string().contains("row 5: was changed")),
            "{:?}",
            report.faults
        );
    }
    store.close().await;
    drop(dir);
}

async fn edit(url: &str, statement: &'static str) {
    use sqlx::{ConnectOptions, Executor};
    let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
    options.connect().await.unwrap().execute(statement).await.unwrap();
}

async fn a_statement_is_compared_and_put_right_once(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let agreed = delivered(&market, account, 5_000).await;
    let differs = delivered(&market, account, 10_000).await;
    // The plan sells 50 and 100; another account pays, so that it is no duplicate.
    let other = market.account(OTHER, 500_000).await;
    let request = market.request(other, OTHER, OTHER, 10_000);
    let taken_back = request.id;
    let outcome = market.payments.pay(request).await.unwrap();
    assert_eq!(outcome.name(), "delivered", "{outcome:?}");
    let mut lines = Vec::new();
    for (number, (id, cost_minor, status)) in (1_i64..).zip([
        (agreed, 4_850, Status::Delivered),
        (differs, 9_707, Status::Delivered),
        (taken_back, 9_700, Status::Reversed),
    ]) {
        let attempt = market.payments.payment(id).await.unwrap().unwrap().attempts[0].reference.clone();
        lines.push(Line {
            number,
            our_reference: Some(attempt),
            carrier_reference: None,
            phone: None,
            amount_minor: cost_minor,
            at: None,
            status,
        });
    }
    lines.push(Line { number: 4, our_reference: Some("stranger".to_owned()), ..lines[0].clone() });
    let now = market.clock.now().0;
    let compared = Compared {
        id: Id([5; 16]),
        connector: "sandbox",
        lines: &lines,
        unreadable: &[],
        covers: (now - 3_600_000_000, now + 1),
        costs: true,
        drift_us: 0,
    };
    let dry = market.payments.compare_statement(&compared).await.unwrap();
    let counts = |name: &str| dry.counts[name];
    assert_eq!(
        [counts("matched"), counts("amount_differs"), counts("status_differs"), counts("theirs_only")],
        [1, 1, 1, 1],
        "{:?}",
        dry.findings
    );
    assert_eq!(market.payment(taken_back).await.state, State::Delivered, "a dry run changes nothing");
    let float = market.house(House::Float("sandbox")).await;
    let read = market.payments.reconcile(&compared, "ana").await.unwrap().unwrap();
    assert_eq!(read.asked.len(), 3);
    assert!(read.asked.iter().all(|(_, answer)| answer.is_ok()), "{:?}", read.asked);
    assert_eq!(market.payment(taken_back).await.state, State::Reversed);
    // 7 more for the second, 4,850 for the stranger, and 9,700 back.
    assert_eq!(market.house(House::Float("sandbox")).await, float + 7 + 4_850 - 9_700);
    let again = market.payments.reconcile(&compared, "ana").await.unwrap().unwrap();
    assert!(again.repeated);
    assert_eq!(market.house(House::Float("sandbox")).await, float + 7 + 4_850 - 9_700, "once");
    let rows = market.store.records(&Select::<StatementRow>::new()).await.unwrap();
    assert_eq!((rows.len(), rows[0].lines, rows[0].open), (1, 4, 0));
    let findings = market.store.records(&Select::<FindingRow>::new()).await.unwrap();
    let settled: Vec<_> = findings.iter().map(|f| (f.place.as_str(), f.class.as_str(), f.state)).collect();
    let wanted =
        [("line 2", "amount_differs", 1), ("line 3", "status_differs", 1), ("line 4", "theirs_only", 1)];
    assert_eq!(settled, wanted);
    let requests = market.store.records(&Select::<ProposalRow>::new()).await.unwrap();
    assert_eq!(requests.len(), 3);
    market.close().await;
}

async fn what_no_statement_line_explains_is_kept_until_two_persons_dismiss_it(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let first = delivered(&market, account, 5_000).await;
    let second = delivered(&market, account, 10_000).await;
    // The second went out twice: the carrier names the later request.
    let sqlite = market.url.starts_with("sqlite");
    let (id, payment) = (literal(Id([7; 16]), sqlite), literal(second, sqlite));
    let columns = "id, payment, number, connector, reference, created_at";
    let values = format!("{id}, {payment}, 2, 'sandbox', 'kt-second', {}", market.clock.now().0);
    tamper(&market.url, &format!("insert into attempts ({columns}) values ({values})")).await;
    let line = |number: i64, reference: &str, amount_minor| Line {
        number,
        our_reference: Some(reference.to_owned()),
        carrier_reference: None,
        phone: None,
        amount_minor,
        at: None,
        status: Status::Delivered,
    };
    // By face value nothing follows for our float, so that a person must look at the stranger.
    let lines = [line(1, "kt-second", 10_000), line(2, "stranger", 700)];
    let unreadable = [(3, "the status \"ODD\" is not under [status]".to_owned())];
    let now = market.clock.now().0;
    let compared = Compared {
        id: Id([6; 16]),
        connector: "sandbox",
        lines: &lines,
        unreadable: &unreadable,
        covers: (now - 3_600_000_000, now + 1),
        costs: false,
        drift_us: 0,
    };
    for _ in 0..2 {
        let read = market.payments.reconcile(&compared, "ana").await.unwrap().unwrap();
        assert_eq!((read.counts["matched"], read.counts["theirs_only"], read.counts["ours_only"]), (1, 1, 1));
        let open = market.payments.findings(Standing::Open, 10).await.unwrap();
        let mut places: Vec<&str> = open.iter().map(|f| f.place.as_str()).collect();
        places.sort_unstable();
        assert_eq!(places, ["line 2", "line 3", format!("payment {first}").as_str()], "kept once");
    }
    let zone = market.payments.settings().zone.clone();
    let yesterday = market.clock.now().business_day(&zone) - 1;
    let closing = Closing { who: "ana".to_owned(), ..Closing::default() };
    let said = market.payments.close_day(yesterday, &closing).await.unwrap();
    assert_eq!(said, Err(NotClosed::Unmatched(3)));
    // A better copy of the statement has the missing payment.
    let attempt = market.payments.payment(first).await.unwrap().unwrap().attempts[0].reference.clone();
    let better = [line(1, "kt-second", 10_000), line(2, "stranger", 700), line(4, &attempt, 5_000)];
    let again = Compared { lines: &better, ..compared };
    market.payments.reconcile(&again, "ana").await.unwrap().unwrap();
    let agreed = market.payments.findings(Standing::Agreed, 10).await.unwrap();
    assert_eq!((agreed.len(), agreed[0].payment), (1, Some(first)));
    for place in ["line 2", "line 3"] {
        let act = Act::Dismiss { statement: again.id, place: place.to_owned() };
        let asked = asked(&market, "ana", act.clone());
        let row = market.payments.ask_staff(&asked).await.unwrap().unwrap();
        assert_eq!(row.state, Stage::Proposed.number(), "however small, two persons");
        market.payments.decide_staff(asked.id, "bo", Decision::Approve).await.unwrap().unwrap();
        let twice = Asked { id: market.id(), ..asked };
        let said = market.payments.ask_staff(&twice).await.unwrap();
        assert_eq!(said, Err(Refused::Over("dismissed")));
    }
    market.payments.reconcile(&again, "ana").await.unwrap().unwrap();
    assert!(market.payments.findings(Standing::Open, 10).await.unwrap().is_empty(), "dismissed for good");
    market.payments.close_day(yesterday, &closing).await.unwrap().unwrap();
    market.end().await;
}

async fn suspensions_name_who_and_why(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let carrier = |shut, reason: &'static str| {
        market.payments.suspend_for(Scope::Carrier, "sandbox", shut, "ana", reason)
    };
    assert_eq!(carrier(true, " ").await.unwrap(), Err(Refused::Rule(Refusal::NoReason)));
    carrier(true, "they asked").await.unwrap().unwrap();
    assert_eq!(market.pay(account, ME, ME, 5_000).await.name(), "suspended");
    carrier(false, "they are back").await.unwrap().unwrap();
    assert_eq!(market.pay(account, ME, ME, 5_000).await.name(), "delivered");
    assert_eq!(log(&market).await, ["ana suspend", "ana resume"]);
    market.close().await;
}

async fn acts_without_a_request_are_logged_too(database: Database) {
    use keytone::msisdn::Msisdn;
    use keytone::payment::run::OpenAccount;
    let market = Market::open(database).await;
    let (other, stop) = market.second_node().await;
    let first = market.account(ME, 0).await;
    let none = serde_json::json!({});
    let acting = market.payments.acting("ana", "open", String::new(), none.clone());
    let second = acting.open_account(OpenAccount::default()).await.unwrap();
    let number = Msisdn::parse(OTHER).unwrap();
    let bind = |account: Id| market.payments.acting("ana", "bind", account.text(), none.clone());
    bind(second).bind(second, &number).await.unwrap();
    assert!(bind(first).bind(first, &number).await.is_err(), "it is bound elsewhere");
    assert_eq!(log(&market).await, ["ana open", "ana bind"], "what was refused was not done");
    let rows = market.payments.audit_log(Some(&second.text()), 10).await.unwrap();
    assert_eq!(rows.len(), 2, "an account that is opened is the subject");
    // At once, on two nodes: each is done once and logged once.
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=4 {
        for node in [&market.payments, &other] {
            let acting = node.acting("bo", "limit", first.text(), none.clone());
            tasks.spawn(async move { acting.set_limits(first, Some(n * 1_000), None).await.is_ok() });
        }
    }
    let done = tasks.join_all().await.into_iter().filter(|done| *done).count();
    let logged = log(&market).await.iter().filter(|row| *row == "bo limit").count();
    assert_eq!(logged, done);
    assert!(done >= 1);
    stop.cancel();
    market.close().await;
}
