//! Who may use an account, on the payment core whole and on both databases: codes, PINs, numbers, limits after a change, and
//! no code or PIN anywhere in the database.

mod paths;
mod swaps;

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::payment::answer::{Identity, PayOutcome};
use keytone::payment::approval::{Decision, Stage};
use keytone::payment::assurance::{Demand, Policy};
use keytone::payment::code::{Answered, NotSent};
use keytone::payment::run::staff::Asked;
use keytone::payment::run::{Changed, CodeSent, LimitSet, LostPin, PinSet};
use keytone::payment::staff::Act;
use keytone::secret::Secret;

use crate::support::market::{Database, Market, PIN, phone};

const ME: &str = "+8613800000003";
const OTHER: &str = "+8613800000004";
const NEW_PIN: &str = "284613";

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::identity::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::identity::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_number_registers_itself_and_pays_less_on_its_first_day,
    a_code_is_answered_three_times_at_most,
    a_pin_is_changed_by_the_old_one_or_by_code_and_staff,
    numbers_come_and_go_by_code_and_pin,
    an_own_limit_falls_at_once_and_rises_later,
    a_number_that_was_silent_for_long_passes_a_code,
    the_policy_decides_what_paying_needs,
);

/// The code that is about to leave, as the network would get it.
async fn code(market: &Market) -> Secret {
    let texts = market.payments.outbox_claim(Duration::from_secs(60), 10).await.unwrap();
    let text = texts.iter().find(|text| text.body.contains("is your code")).expect("a code is on its way");
    Secret::from(&text.body[..6])
}

fn pin(digits: &str) -> Secret {
    Secret::from(digits)
}

async fn register(market: &Market, number: &str) -> keytone::ledger::row::Id {
    let me = phone(number);
    assert_eq!(market.payments.send_code(&me, None).await.unwrap(), CodeSent::Sent);
    let code = code(market).await;
    assert_eq!(market.payments.check_code(&me, None, &code).await.unwrap(), Answered::Right);
    assert!(market.payments.choose_pin(&me, &pin(PIN)).await.unwrap());
    match market.payments.repeat_pin(&me, None, pin(PIN)).await.unwrap() {
        PinSet::Registered(account) => account,
        other => panic!("{other:?}"),
    }
}

async fn open(database: Database) -> (Market, Clock) {
    let clock = Clock::manual(Timestamp(1_790_000_000_000_000));
    (Market::open_at(clock.clone(), database, |_| {}).await, clock)
}

async fn a_number_registers_itself_and_pays_less_on_its_first_day(database: Database) {
    let market = Market::open(database).await;
    let me = phone(ME);
    assert_eq!(
        market.payments.repeat_pin(&me, None, pin(PIN)).await.unwrap(),
        PinSet::Expired,
        "nothing was chosen"
    );
    assert!(!market.payments.choose_pin(&me, &pin("1234")).await.unwrap(), "a simple PIN");
    assert!(market.payments.choose_pin(&me, &pin(PIN)).await.unwrap());
    assert_eq!(market.payments.repeat_pin(&me, None, pin(NEW_PIN)).await.unwrap(), PinSet::Differ);
    assert_eq!(market.payments.repeat_pin(&me, None, pin(PIN)).await.unwrap(), PinSet::NotAllowed, "no code");

    assert_eq!(market.payments.send_code(&me, None).await.unwrap(), CodeSent::Sent);
    assert!(matches!(
        market.payments.send_code(&me, None).await.unwrap(),
        CodeSent::Not(NotSent::TooSoon { .. })
    ));
    let code = code(&market).await;
    let clear = String::from_utf8(code.expose().to_vec()).unwrap();
    assert_eq!(market.payments.check_code(&me, None, &code).await.unwrap(), Answered::Right);
    assert_eq!(market.payments.check_code(&me, None, &code).await.unwrap(), Answered::Expired, "single use");
    let set = market.payments.repeat_pin(&me, None, pin(PIN)).await.unwrap();
    let PinSet::Registered(account) = set else { panic!("{set:?}") };
    assert!(
        matches!(market.payments.identify(Some(&me)).await.unwrap(), Identity::Bound { account: a } if a == account)
    );
    let history = market.payments.binding_history(account).await.unwrap();
    assert_eq!(history.iter().map(|row| row.event.as_str()).collect::<Vec<_>>(), ["bound"]);

    market.payments.credit(market.id(), account, 100_000).await.unwrap();
    for _ in 0..2 {
        let mut request = market.request(account, ME, OTHER, 10_000);
        request.repeat = true;
        assert!(matches!(market.payments.pay(request).await.unwrap(), PayOutcome::Delivered { .. }));
    }
    let mut request = market.request(account, ME, OTHER, 5_000);
    request.repeat = true;
    let over = market.payments.pay(request).await.unwrap();
    assert!(matches!(over, PayOutcome::DayLimit { limit_minor: 20_000, left_minor: 0, .. }), "{over:?}");

    if let Some(file) = market.url.strip_prefix("sqlite:") {
        for name in [file.to_owned(), format!("{file}-wal")] {
            let bytes = std::fs::read(&name).unwrap_or_default();
            let held = |secret: &str| {
                bytes
                    .windows(secret.len() + 8)
                    .any(|w| w.starts_with(secret.as_bytes()) && w[secret.len()..].starts_with(b" is your"))
            };
            assert!(!held(&clear), "the code is in {name}");
            assert!(!bytes.windows(PIN.len()).any(|w| w == PIN.as_bytes()), "the PIN is in {name}");
        }
    }
}

async fn a_code_is_answered_three_times_at_most(database: Database) {
    let (market, clock) = open(database).await;
    let me = phone(ME);
    market.payments.send_code(&me, None).await.unwrap();
    let right = code(&market).await;
    let wrong = if right == pin("000000") { pin("000001") } else { pin("000000") };
    for left in [2, 1, 0] {
        let answered = market.payments.check_code(&me, None, &wrong).await.unwrap();
        assert_eq!(answered, Answered::Wrong { left });
    }
    assert_eq!(market.payments.check_code(&me, None, &right).await.unwrap(), Answered::Expired);
    clock.advance(Duration::from_secs(60));
    market.payments.send_code(&me, None).await.unwrap();
    let late = code(&market).await;
    clock.advance(Duration::from_secs(300));
    assert_eq!(market.payments.check_code(&me, None, &late).await.unwrap(), Answered::Expired);
}

async fn a_pin_is_changed_by_the_old_one_or_by_code_and_staff(database: Database) {
    let (market, clock) = open(database).await;
    let account = register(&market, ME).await;
    let me = phone(ME);
    let wrong = market.payments.begin_pin_change(&me, account, &pin(NEW_PIN)).await.unwrap();
    assert_eq!(wrong, Changed::WrongPin { left: 4 });
    let again = async |digits: &str| {
        assert!(market.payments.choose_pin(&me, &pin(digits)).await.unwrap());
        market.payments.repeat_pin(&me, Some(account), pin(digits)).await.unwrap()
    };
    assert_eq!(again(NEW_PIN).await, PinSet::NotAllowed);
    assert_eq!(market.payments.begin_pin_change(&me, account, &pin(PIN)).await.unwrap(), Changed::Done);
    assert_eq!(again(NEW_PIN).await, PinSet::Changed);
    assert_eq!(again(PIN).await, PinSet::NotAllowed, "the old PIN counted once");
    assert_eq!(market.payments.confirm_pin(account, &pin(NEW_PIN)).await.unwrap(), Changed::Done);

    // Lost: a code alone is not enough, nor is staff alone.
    clock.advance(Duration::from_secs(120));
    assert_eq!(market.payments.lost_pin(&me, account).await.unwrap(), LostPin::NoCode);
    let prove = async || {
        market.payments.send_code(&me, Some(account)).await.unwrap();
        let right = code(&market).await;
        market.payments.check_code(&me, Some(account), &right).await.unwrap();
    };
    prove().await;
    assert_eq!(again(PIN).await, PinSet::NotAllowed, "a code alone");
    assert_eq!(market.payments.lost_pin(&me, account).await.unwrap(), LostPin::Asked);
    assert_eq!(market.payments.lost_pin(&me, account).await.unwrap(), LostPin::Asked, "once a day");
    let waiting = market.payments.proposals(Stage::Proposed, 10).await.unwrap();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(!waiting[0].evidence.contains("13800000003"), "the number is masked: {}", waiting[0].evidence);
    let done = market.payments.decide_staff(waiting[0].id, "bo", Decision::Approve).await.unwrap().unwrap();
    assert_eq!(done.state, Stage::Done.number());
    let told = market.payments.outbox_claim(Duration::from_secs(60), 10).await.unwrap();
    assert!(told.iter().any(|text| text.body.contains("new PIN")), "the caller is told: {told:?}");
    assert_eq!(market.payments.lost_pin(&me, account).await.unwrap(), LostPin::Allowed);
    assert_eq!(again(PIN).await, PinSet::Changed);
    assert_eq!(again(NEW_PIN).await, PinSet::NotAllowed);
    // Staff alone take two, and only for a number of the account.
    clock.advance(Duration::from_secs(25 * 3_600));
    let ask = async |who: &str, number: &str| {
        let asked = Asked {
            id: market.id(),
            who: who.to_owned(),
            reason: "lost_pin".to_owned(),
            evidence: "identity card".to_owned(),
            act: Act::NewPin { account, phone: phone(number) },
        };
        market.payments.ask_staff(&asked).await.unwrap()
    };
    assert!(ask("ana", OTHER).await.is_err());
    let row = ask("ana", ME).await.unwrap();
    assert_eq!(row.state, Stage::Proposed.number(), "however little it moves");
    assert!(market.payments.decide_staff(row.id, "ana", Decision::Approve).await.unwrap().is_err());
    assert!(market.payments.decide_staff(row.id, "bo", Decision::Approve).await.unwrap().is_ok());
    prove().await;
    assert_eq!(again(NEW_PIN).await, PinSet::Changed);
}

async fn numbers_come_and_go_by_code_and_pin(database: Database) {
    let (market, clock) = open(database).await;
    let account = register(&market, ME).await;
    let (me, other) = (phone(ME), phone(OTHER));
    assert_eq!(market.payments.bind_more(account, &other, &pin(PIN)).await.unwrap(), Changed::NoCode);
    market.payments.send_code(&other, Some(account)).await.unwrap();
    let right = code(&market).await;
    assert_eq!(market.payments.check_code(&other, Some(account), &right).await.unwrap(), Answered::Right);
    let wrong = market.payments.bind_more(account, &other, &pin(NEW_PIN)).await.unwrap();
    assert_eq!(wrong, Changed::WrongPin { left: 4 });
    assert_eq!(market.payments.bind_more(account, &other, &pin(PIN)).await.unwrap(), Changed::Done);
    assert_eq!(market.payments.account_of(&other).await.unwrap(), Some(account));
    assert_eq!(market.payments.unbind_one(account, &me, &pin(PIN)).await.unwrap(), Changed::Done);
    assert_eq!(market.payments.unbind_one(account, &other, &pin(PIN)).await.unwrap(), Changed::NotBound);
    let events = market.payments.binding_history(account).await.unwrap();
    assert_eq!(events.len(), 3, "two bound, one unbound: {events:?}");

    clock.advance(Duration::from_secs(60));
    let second = register(&market, ME).await;
    assert_ne!(second, account);
    market.payments.send_code(&me, Some(account)).await.unwrap();
    let right = code(&market).await;
    market.payments.check_code(&me, Some(account), &right).await.unwrap();
    assert_eq!(market.payments.bind_more(account, &me, &pin(PIN)).await.unwrap(), Changed::Taken);
}

async fn an_own_limit_falls_at_once_and_rises_later(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 100_000).await;
    let me = phone(ME);
    let set = async |limit| market.payments.set_own_limit(account, &me, limit, &pin(PIN)).await.unwrap();
    assert_eq!(set(200_001).await, LimitSet::TooHigh { most_minor: 200_000 });
    assert_eq!(set(10_000).await, LimitSet::Now);
    assert_eq!(market.payments.own_limit(account).await.unwrap(), (10_000, 10_000));
    assert_eq!(set(50_000).await, LimitSet::CodeNeeded);
    market.payments.send_code(&me, Some(account)).await.unwrap();
    let right = code(&market).await;
    market.payments.check_code(&me, Some(account), &right).await.unwrap();
    assert_eq!(set(50_000).await, LimitSet::Later);
    assert_eq!(market.payments.own_limit(account).await.unwrap().0, 10_000);
    clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(market.payments.own_limit(account).await.unwrap().0, 50_000);
}

async fn a_number_that_was_silent_for_long_passes_a_code(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 100_000).await;
    let me = phone(ME);
    let bound = async || matches!(market.payments.identify(Some(&me)).await.unwrap(), Identity::Bound { .. });
    assert!(bound().await);
    clock.advance(Duration::from_secs(179 * 24 * 3_600));
    assert!(bound().await);
    clock.advance(Duration::from_secs(180 * 24 * 3_600));
    assert!(!bound().await, "somebody else may have it");
    let refused = PayOutcome::Refused { class: "not_believed".to_owned() };
    assert_eq!(
        market.pay(account, ME, ME, 5_000).await,
        refused,
        "whoever did not ask first pays nothing either"
    );
    assert_eq!(market.money(account).await, (100_000, 0));
    market.payments.send_code(&me, None).await.unwrap();
    let right = code(&market).await;
    assert_eq!(market.payments.check_code(&me, None, &right).await.unwrap(), Answered::Right);
    assert!(bound().await);
    assert_eq!(market.pay(account, ME, ME, 5_000).await.name(), "delivered");
}

async fn the_policy_decides_what_paying_needs(database: Database) {
    let market = Market::open_with(database, |plans| {
        let mut policy = Policy::default();
        policy.rules[0].up_to_minor = Some(5_000);
        let rule = policy.rules[0].clone();
        let more =
            keytone::payment::assurance::Rule { up_to_minor: None, demand: Demand::PinAndCode, ..rule };
        policy.rules.push(more);
        plans.settings.policy = policy;
    })
    .await;
    let account = market.account(ME, 100_000).await;
    assert!(matches!(market.pay(account, ME, OTHER, 5_000).await, PayOutcome::Delivered { .. }));
    let refused = PayOutcome::Refused { class: "not_believed".to_owned() };
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await, refused);
    let me = phone(ME);
    market.payments.send_code(&me, Some(account)).await.unwrap();
    let right = code(&market).await;
    market.payments.check_code(&me, Some(account), &right).await.unwrap();
    assert!(matches!(market.pay(account, ME, OTHER, 10_000).await, PayOutcome::Delivered { .. }));
}
