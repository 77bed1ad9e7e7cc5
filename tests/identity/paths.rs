//! Callers who are not believed, and numbers that join an account: what they can do, and what they cannot lock; the chosen
//! language; and peppers that are replaced.

use std::time::Duration;

use keytone::connector::numbering::Plan;
use keytone::ledger::row::Id;
use keytone::msisdn::Assurance;
use keytone::payment::answer::{Identity, PayOutcome};
use keytone::payment::assurance::{Demand, Policy, Rule};
use keytone::payment::pin::Peppers;
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{Changed, Claimed, Needs, Parts, Payments, Proved};
use keytone::secret::Secret;

use crate::identity::{ME, NEW_PIN, OTHER, code, open, pin};
use crate::support::market::{Database, Market, PIN, broken, phone};

const NOBODY: &str = "+8613800000009";

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_stranger_pays_after_a_code_and_the_pin,
    a_stranger_locks_nothing_but_his_path,
    a_stranger_is_not_told_who_has_an_account,
    wrong_codes_close_the_path_of_a_number,
    a_number_joins_by_consent_and_pin,
    a_number_that_is_believed_little_is_as_none,
    a_language_is_kept_and_codes_are_told_in_it,
    pins_move_to_the_newest_pepper_when_they_are_given_right,
);

/// The core as a caller of a landline has it.
fn unheard(market: &Market) -> Payments {
    market.payments.heard(Assurance::None, "en")
}

fn other_than(right: &Secret) -> Secret {
    if *right == pin("000000") { pin("000001") } else { pin("000000") }
}

/// Gives back the code to a number, as a stranger.
async fn prove(market: &Market, number: &str) -> Id {
    let stranger = unheard(market);
    assert_eq!(stranger.claim(&phone(number), None).await.unwrap(), Claimed::Sent);
    let right = code(market).await;
    match stranger.prove(&phone(number), None, &right).await.unwrap() {
        Proved::Right(account) => account,
        other => panic!("{other:?}"),
    }
}

/// Neither a PIN nor a code is in the files of the database.
fn holds_no_secret(market: &Market, code: &Secret) {
    let Some(file) = market.url.strip_prefix("sqlite:") else { return };
    for name in [file.to_owned(), format!("{file}-wal")] {
        let bytes = std::fs::read(&name).unwrap_or_default();
        let told = [code.expose(), b" is your".as_slice()].concat();
        for secret in [PIN.as_bytes(), &told] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret is in {name}");
        }
    }
}

async fn a_stranger_pays_after_a_code_and_the_pin(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 100_000).await;
    let stranger = unheard(&market);
    assert_eq!(stranger.identify(None).await.unwrap(), Identity::NoNumber);
    let refused = PayOutcome::Refused { class: "not_believed".to_owned() };
    let request = || market.request(account, ME, OTHER, 5_000);
    assert_eq!(stranger.pay(request()).await.unwrap(), refused, "no code");
    // A code for another purpose is no proof, even of the same number.
    market.payments.send_code(&phone(ME), Some(account)).await.unwrap();
    let change = code(&market).await;
    market.payments.check_code(&phone(ME), Some(account), &change).await.unwrap();
    assert_eq!(stranger.pay(request()).await.unwrap(), refused);
    assert_eq!(stranger.claim(&phone(ME), None).await.unwrap(), Claimed::Sent);
    let right = code(&market).await;
    assert_eq!(stranger.prove(&phone(ME), None, &right).await.unwrap(), Proved::Right(account));
    assert!(matches!(stranger.pay(request()).await.unwrap(), PayOutcome::Delivered { .. }));
    holds_no_secret(&market, &right);
    clock.advance(Duration::from_secs(600));
    let mut late = request();
    late.repeat = true;
    assert_eq!(stranger.pay(late).await.unwrap(), refused, "the code is too old");
    market.close().await;
}

async fn a_stranger_locks_nothing_but_his_path(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 100_000).await;
    prove(&market, ME).await;
    let stranger = unheard(&market);
    let request = |digits: &str| {
        let mut request = market.request(account, ME, OTHER, 5_000);
        request.pin = keytone::payment::answer::Pin::Typed(pin(digits));
        request.repeat = true;
        request
    };
    for left in [4, 3, 2, 1] {
        assert_eq!(stranger.pay(request(NEW_PIN)).await.unwrap(), PayOutcome::WrongPin { left });
        clock.advance(Duration::from_secs(20));
    }
    assert_eq!(stranger.pay(request(NEW_PIN)).await.unwrap(), PayOutcome::Locked);
    assert_eq!(stranger.pay(request(PIN)).await.unwrap(), PayOutcome::Locked, "even the right one");
    assert_eq!(market.payments.locked_paths().await.unwrap(), 1);
    // The owner's own phone has all its tries.
    let view = market.payments.account(account).await.unwrap().unwrap();
    assert_eq!((view.payer.pin_tries, view.payer.pin_locked), (0, false));
    assert!(matches!(market.payments.pay(request(PIN)).await.unwrap(), PayOutcome::Delivered { .. }));
    assert_eq!(
        stranger.pay(request(PIN)).await.unwrap(),
        PayOutcome::Locked,
        "the owner opens nothing by that"
    );
    market.payments.unlock(account).await.unwrap();
    assert!(matches!(stranger.pay(request(PIN)).await.unwrap(), PayOutcome::Delivered { .. }));
    // What the account's own callers have locked is locked for strangers too.
    for _ in 0..5 {
        market.payments.pay(request(NEW_PIN)).await.unwrap();
    }
    assert_eq!(stranger.pay(request(PIN)).await.unwrap(), PayOutcome::Locked);
    market.close().await;
}

async fn a_stranger_is_not_told_who_has_an_account(database: Database) {
    let (market, _) = open(database).await;
    market.account(ME, 0).await;
    let stranger = unheard(&market);
    for number in [ME, NOBODY] {
        let number = phone(number);
        assert_eq!(stranger.claim(&number, None).await.unwrap(), Claimed::Sent);
        assert!(matches!(stranger.claim(&number, None).await.unwrap(), Claimed::Not(_)), "too soon");
    }
    let texts = market.payments.outbox_claim(Duration::from_secs(60), 10).await.unwrap();
    assert!(texts.len() == 1 && texts[0].recipient == ME, "one code, to who has an account: {texts:?}");
    let wrong = other_than(&Secret::from(&texts[0].body[..6]));
    for number in [ME, NOBODY] {
        for left in [2, 1, 0] {
            assert_eq!(
                stranger.prove(&phone(number), None, &wrong).await.unwrap(),
                Proved::Wrong { left },
                "{number}"
            );
        }
        assert_eq!(stranger.prove(&phone(number), None, &wrong).await.unwrap(), Proved::Expired);
    }
    assert_eq!(stranger.claim(&phone("+861012345678"), None).await.unwrap(), Claimed::NotMobile);
}

async fn wrong_codes_close_the_path_of_a_number(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 0).await;
    let (stranger, me) = (unheard(&market), phone(ME));
    let mut wrong = 0;
    'codes: loop {
        clock.advance(Duration::from_secs(900));
        match stranger.claim(&me, None).await.unwrap() {
            Claimed::Sent => {}
            Claimed::Locked => break,
            other => panic!("{other:?}"),
        }
        let bad = other_than(&code(&market).await);
        for _ in 0..3 {
            match stranger.prove(&me, None, &bad).await.unwrap() {
                Proved::Wrong { .. } => wrong += 1,
                Proved::Locked => break 'codes,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(wrong, 10);
    // The owner's own codes go on.
    market.payments.send_code(&me, Some(account)).await.unwrap();
    let own = code(&market).await;
    let answered = market.payments.check_code(&me, Some(account), &own).await.unwrap();
    assert_eq!(answered, keytone::payment::code::Answered::Right);
    clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(prove(&market, ME).await, account, "a day later it is open");
}

async fn a_number_joins_by_consent_and_pin(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 0).await;
    let (me, other) = (phone(ME), phone(OTHER));
    let join =
        async |joiner, digits: &str| market.payments.join(&me, &phone(joiner), &pin(digits)).await.unwrap();
    assert_eq!(join(OTHER, PIN).await, Changed::NoCode);
    assert_eq!(market.payments.claim(&me, Some(&other)).await.unwrap(), Claimed::Sent);
    let right = code(&market).await;
    assert_eq!(
        market.payments.prove(&me, Some(&phone(NOBODY)), &right).await.unwrap(),
        Proved::Expired,
        "consent is for one number"
    );
    assert_eq!(market.payments.prove(&me, Some(&other), &right).await.unwrap(), Proved::Right(account));
    assert_eq!(join(NOBODY, PIN).await, Changed::NoCode);
    assert_eq!(join(OTHER, NEW_PIN).await, Changed::WrongPin { left: 4 });
    let view = market.payments.account(account).await.unwrap().unwrap();
    assert_eq!(view.payer.pin_tries, 0, "tries of a number that is not bound count apart");
    assert_eq!(join(OTHER, PIN).await, Changed::Done);
    assert_eq!(market.payments.numbers_of(account).await.unwrap(), [me.clone(), other.clone()]);
    assert_eq!(join(OTHER, PIN).await, Changed::NoCode, "consent counts once");
    let events = market.payments.binding_history(account).await.unwrap();
    assert_eq!(events[0].event, "bound");
    // A number with an account of its own joins no other.
    clock.advance(Duration::from_secs(60));
    market.account(NOBODY, 0).await;
    market.payments.claim(&me, Some(&phone(NOBODY))).await.unwrap();
    let right = code(&market).await;
    market.payments.prove(&me, Some(&phone(NOBODY)), &right).await.unwrap();
    assert_eq!(join(NOBODY, PIN).await, Changed::Taken);
    market.close().await;
}

async fn a_number_that_is_believed_little_is_as_none(database: Database) {
    let market = Market::open_with(database, |plans| {
        let rule = |assurance, up_to_minor, demand| Rule {
            action: None,
            up_to_minor,
            assurance,
            channel: None,
            demand,
        };
        plans.settings.policy.rules = vec![
            rule(Some(Assurance::High), None, Demand::Pin),
            rule(Some(Assurance::Medium), Some(5_000), Demand::Pin),
            rule(None, None, Demand::PinAndCode),
        ];
    })
    .await;
    let account = market.account(ME, 100_000).await;
    let me = phone(ME);
    let low = market.payments.heard(Assurance::Low, "en");
    assert_eq!(low.identify(Some(&me)).await.unwrap(), Identity::NoNumber);
    let needs = async |level, amount| {
        let core = market.payments.heard(level, "en");
        let channel = keytone::payment::answer::Channel::Voice;
        core.needs("recharge.pay", amount, account, Some(&me), channel).await.unwrap()
    };
    assert_eq!(needs(Assurance::High, 50_000).await, Needs::Pin);
    assert_eq!(needs(Assurance::Medium, 5_000).await, Needs::Pin);
    assert_eq!(needs(Assurance::Medium, 5_001).await, Needs::Code(me.clone()));
    assert_eq!(needs(Assurance::Low, 100).await, Needs::Refused, "no code came back");
    market.payments.send_code(&me, Some(account)).await.unwrap();
    let right = code(&market).await;
    market.payments.check_code(&me, Some(account), &right).await.unwrap();
    assert_eq!(needs(Assurance::Medium, 5_001).await, Needs::Pin);
    assert_eq!(needs(Assurance::Low, 100).await, Needs::Refused, "a code for another purpose");
    assert!(Policy::default().swap.is_none());
}

async fn a_language_is_kept_and_codes_are_told_in_it(database: Database) {
    let (market, clock) = open(database).await;
    let account = market.account(ME, 0).await;
    assert_eq!(market.payments.language_of(account).await.unwrap(), None);
    for language in ["sw", "fr"] {
        market.payments.set_language(account, language).await.unwrap();
        assert_eq!(market.payments.language_of(account).await.unwrap().as_deref(), Some(language));
    }
    let french = market.payments.heard(Assurance::Medium, "fr");
    french.send_code(&phone(ME), Some(account)).await.unwrap();
    let texts = market.payments.outbox_claim(Duration::from_secs(60), 10).await.unwrap();
    assert!(texts[0].body.contains("votre code"), "{}", texts[0].body);
    clock.advance(Duration::from_secs(60));
    market.close().await;
}

async fn pins_move_to_the_newest_pepper_when_they_are_given_right(database: Database) {
    const FIRST: &str = "1 = 30313233343536373839616263646566\n";
    let (market, _) = open(database).await;
    let (mine, others) = (market.account(ME, 0).await, market.account(OTHER, 0).await);
    assert_eq!(market.payments.pins_by_pepper().await.unwrap(), (1, vec![(1, 2)]));
    let with = async |file: &str| {
        let (writer, _) = Writer::start(market.store.clone(), market.clock.clone(), broken);
        let plan: Plan = market.payments.plan().clone();
        let settings = market.payments.settings().clone();
        let connectors = vec![market.connector()];
        let (store, clock) = (market.store.clone(), market.clock.clone());
        let peppers = Peppers::parse(file).unwrap();
        Payments::start(Parts { settings, store, writer, connectors, plan, peppers, clock }).await.unwrap()
    };
    let newer = with(&format!("{FIRST}2 = 00112233445566778899aabbccddeeff\n")).await;
    assert_eq!(newer.confirm_pin(mine, &pin(NEW_PIN)).await.unwrap(), Changed::WrongPin { left: 4 });
    assert_eq!(newer.pins_by_pepper().await.unwrap(), (2, vec![(1, 2)]), "a wrong PIN moves nothing");
    assert_eq!(newer.confirm_pin(mine, &pin(PIN)).await.unwrap(), Changed::Done);
    assert_eq!(newer.pins_by_pepper().await.unwrap(), (2, vec![(1, 1), (2, 1)]));
    assert_eq!(newer.confirm_pin(mine, &pin(PIN)).await.unwrap(), Changed::Done, "and is still right");
    // The old pepper is taken out too early: only who is still on it is lost.
    let newest = with("2 = 00112233445566778899aabbccddeeff\n").await;
    assert_eq!(newest.confirm_pin(mine, &pin(PIN)).await.unwrap(), Changed::Done);
    assert!(newest.confirm_pin(others, &pin(PIN)).await.is_err());
}
