//! A restored database asks before it takes money; what is old is forgotten; who is erased leaves provable books.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::PayOutcome;
use keytone::payment::approval::{Decision, Stage as Step};
use keytone::payment::fold::ids;
use keytone::payment::row::identity::HistoryRow;
use keytone::payment::row::record::Select;
use keytone::payment::row::{AnswerRow, OutboxState, PaymentRow, State, Target, product};
use keytone::payment::run::audit;
use keytone::payment::run::staff::{Asked, Refused};
use keytone::payment::run::upkeep::About;
use keytone::payment::staff::{Act, Movement, Refusal};
use keytone::payment::unit::{Authorise, Op, OutboxSettled, Unit};
use keytone::payment::upkeep::Unlock;
use keytone::store::PaymentFilter;

use crate::dayone::on_both_databases;
use crate::support::daemon::Plan;
use crate::support::market::{Database, Market, PIN, cny, phone};

const ME: &str = "+8613800000001";
const OTHER: &str = "+8613800000002";

on_both_databases!(
    an_old_database_asks_before_it_takes_money,
    it_opens_by_itself_where_that_is_wanted,
    what_is_old_is_forgotten,
    who_is_erased_leaves_provable_books,
);

fn asked(market: &Market, act: Act) -> Asked {
    Asked {
        id: market.id(),
        who: "ana".to_owned(),
        reason: "restored".to_owned(),
        evidence: "statement compared".to_owned(),
        act,
    }
}

/// A payment whose hold is placed and whose request has not left.
async fn held(market: &Market, account: Id) -> Id {
    let id = market.id();
    let now = market.clock.now();
    let payment = PaymentRow {
        id,
        reference: "100000009".to_owned(),
        account,
        caller: Some(phone(ME)),
        channel: 1,
        product: product::RECHARGE.to_owned(),
        target: phone(OTHER).into(),
        amount_minor: 5_000,
        fee_minor: 0,
        cost_minor: 5_000,
        tax_minor: 0,
        currency: cny(),
        state: State::Authorised,
        class: None,
        business_day: now.business_day(&market.payments.settings().zone),
        hold: ids::hold(id),
        connector: "sandbox".to_owned(),
        carrier_reference: None,
        payee: None,
        quote: None,
        provider: None,
        deal: None,
        created_at: now.0,
        updated_at: now.0,
        next_check_at: Some(now.after(Duration::from_secs(3_600)).0),
        checks: 0,
        version: 1,
    };
    let authorise = Authorise {
        payment,
        payment_limit_minor: 50_000,
        day_limit_minor: 200_000,
        hold_expires_at: Some(now.after(Duration::from_secs(600)).0),
        duplicate_window_us: 0,
        repeat: false,
        without_pin: None,
    };
    let unit = Unit { ops: vec![Op::Authorise(Box::new(authorise))] };
    market.writer.commit(unit).await.unwrap().unwrap();
    id
}

async fn an_old_database_asks_before_it_takes_money(database: Database) {
    let market = Market::open(database).await;
    let payments = &market.payments;
    let account = market.account(ME, 1_000_000).await;
    let first = payments.count_epoch(None).await.unwrap();
    assert_eq!(payments.count_epoch(Some(first)).await.unwrap(), first + 1, "what was seen is what is there");
    assert!(!payments.is_locked().await.unwrap());
    let open = held(&market, account).await;
    // The file beside the database has seen more of it.
    assert_eq!(payments.count_epoch(Some(first + 40)).await.unwrap(), first + 41);
    assert!(payments.is_locked().await.unwrap());
    assert_eq!(market.pay(account, ME, ME, 10_000).await, PayOutcome::Suspended);
    let about = About { product: product::RECHARGE, account: Some(account), ..About::default() };
    assert_eq!(payments.notice(&about).await.unwrap().why, "platform");
    let early = payments.ask_staff(&asked(&market, Act::Unlock)).await.unwrap();
    assert_eq!(early, Err(Refused::Rule(Refusal::Unsettled(1))));
    // It may have left since the backup: the carrier is asked under the reference that it would have had.
    payments.recover().await.unwrap();
    let view = payments.payment(open).await.unwrap().unwrap();
    assert_eq!(view.attempts.len(), 1);
    assert!(view.events.iter().any(|event| event.state == State::Unknown), "{:?}", view.events);
    let known = market.until(open, State::Refused).await;
    assert_ne!(known.class.as_deref(), Some("never_sent"), "the carrier has said so");
    assert_eq!(market.money(account).await, (1_000_000, 0));
    let proposal = payments.ask_staff(&asked(&market, Act::Unlock)).await.unwrap().unwrap();
    assert_eq!(proposal.state, Step::Proposed.number(), "never by one alone");
    assert!(payments.decide_staff(proposal.id, "ana", Decision::Approve).await.unwrap().is_err());
    assert!(payments.is_locked().await.unwrap());
    payments.decide_staff(proposal.id, "bo", Decision::Approve).await.unwrap().unwrap();
    assert!(!payments.is_locked().await.unwrap());
    let again = payments.ask_staff(&asked(&market, Act::Unlock)).await.unwrap();
    assert_eq!(again, Err(Refused::Rule(Refusal::NotLocked)));
    assert_eq!(market.pay(account, ME, ME, 10_000).await.name(), "delivered");
    market.close().await;
}

async fn it_opens_by_itself_where_that_is_wanted(database: Database) {
    let market = Market::open_with(database, |plans| plans.settings.upkeep.unlock = Unlock::Resolved).await;
    let account = market.account(ME, 1_000_000).await;
    let open = held(&market, account).await;
    market.payments.lock_restored("a trial").await.unwrap();
    market.payments.recover().await.unwrap();
    market.until(open, State::Refused).await;
    tokio::time::timeout(Duration::from_secs(30), async {
        while market.payments.is_locked().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it opens by itself");
    let log = market.payments.audit_log(None, 5).await.unwrap();
    assert_eq!((log[0].who.as_str(), log[0].what.as_str()), ("keytone", "unlock"));
    assert_eq!(market.pay(account, ME, ME, 10_000).await.name(), "delivered");
    market.close().await;
}

async fn what_is_old_is_forgotten(database: Database) {
    let day = Duration::from_secs(86_400);
    let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
    let market = Market::open_at(clock.clone(), database, |plans| {
        plans.settings.upkeep.retention.texts = Some(day);
        plans.settings.upkeep.retention.history = Some(3 * day);
    })
    .await;
    let account = market.account(ME, 0).await;
    market.payments.bind(account, &phone(OTHER)).await.unwrap();
    let text = market.payments.text_row(None, &phone(ME), "hello".to_owned());
    let waiting = market.payments.text_row(None, &phone(ME), "not gone yet".to_owned());
    let at = clock.now().0;
    let failed = OutboxSettled::new(text.id, OutboxState::Failed, at);
    let answer = AnswerRow {
        id: market.id(),
        action: "order.confirm".to_owned(),
        outcome: "released".to_owned(),
        outcome_values: "[]".to_owned(),
        at,
    };
    let ops =
        vec![Op::Outbox(text), Op::SettleOutbox(Box::new(failed)), Op::Outbox(waiting), Op::add(&answer)];
    market.writer.commit(Unit { ops }).await.unwrap().unwrap();
    assert_eq!(market.payments.forget_old().await.unwrap().texts, 0);
    clock.advance(2 * day);
    let forgotten = market.payments.forget_old().await.unwrap();
    assert_eq!((forgotten.texts, forgotten.answers, forgotten.history), (1, 0, 0));
    clock.advance(100 * day);
    let forgotten = market.payments.forget_old().await.unwrap();
    assert_eq!((forgotten.answers, forgotten.history), (1, 1));
    market.close().await;
}

async fn who_is_erased_leaves_provable_books(database: Database) {
    let market = Market::open(database).await;
    let payments = &market.payments;
    let account = market.account(ME, 20_000).await;
    let neighbour = market.account(OTHER, 20_000).await;
    payments.bind(account, &phone("+8613800000003")).await.unwrap();
    payments.unbind(account, &phone("+8613800000003")).await.unwrap();
    for (payer, caller, target) in [(account, ME, ME), (account, ME, OTHER), (neighbour, OTHER, ME)] {
        assert_eq!(market.pay(payer, caller, target, 5_000).await.name(), "delivered");
    }
    let full = payments.erase(account, "ana", "letter").await.unwrap();
    assert_eq!(full, Err(Refused::Rule(Refusal::NotEmpty)));
    let cash_out = Act::Move {
        movement: Movement::CashOut,
        amount_minor: 10_000,
        account: Some(account),
        connector: None,
        discount_minor: 0,
    };
    payments.ask_staff(&asked(&market, cash_out)).await.unwrap().unwrap();
    for round in 0..2 {
        let changed = payments.erase(account, "ana", "letter of 3 May").await.unwrap().unwrap();
        assert_eq!(changed > 0, round == 0, "the second time nothing is left");
        let all = payments.payments(&PaymentFilter { limit: 100, ..PaymentFilter::default() }).await.unwrap();
        assert_eq!(all.len(), 3);
        let number = phone(ME);
        assert!(all.iter().all(|p| p.caller.as_ref() != Some(&number)));
        assert!(all.iter().all(|p| p.target.phone() != Some(&number)));
        let pseudonyms: Vec<Target> = all
            .iter()
            .filter(|p| p.target.phone().is_some_and(|to| to.as_str().starts_with("+999")))
            .map(|p| p.target.clone())
            .collect();
        assert_eq!(pseudonyms.len(), 2, "{pseudonyms:?}");
        assert_eq!(pseudonyms[0], pseudonyms[1], "the same number has the same pseudonym");
        assert!(all.iter().any(|p| p.caller == Some(phone(OTHER))), "others keep their numbers");
        let history: Vec<HistoryRow> = market.store.records(&Select::new()).await.unwrap();
        assert!(history.iter().all(|row| row.account != account || row.msisdn.as_str().starts_with("+999")));
        let report = audit::verify(&market.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
    }
    assert_eq!(payments.account_of(&phone(ME)).await.unwrap(), None);
    // The number may have another owner.
    let next = market.account(ME, 5_000).await;
    assert_eq!(market.pay(next, ME, ME, 5_000).await.name(), "delivered");
    assert_ne!(market.house(House::Trust).await, 0);
    market.close().await;
}

#[test]
fn a_backup_is_locked_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("carriers")).unwrap();
    for file in ["keytone.toml", "numbering.toml", "carriers/sandbox.toml"] {
        fs::copy(Path::new("deploy").join(file), at.join(file)).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytone"));
        command.args(arguments).current_dir(at).env("KEYTONE_SANDBOX_KEY", "a-key-for-tests");
        let output = command.env("KEYTONE_STAFF", "ana").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    assert!(run(&["db", "migrate"]).0);
    assert!(run(&["account", "open", "--msisdn", ME]).0);
    let (made, text) = run(&["db", "backup", "copy.db"]);
    assert!(made && text.contains("locked until"), "{text}");
    let (twice, text) = run(&["db", "backup", "copy.db"]);
    assert!(!twice && text.contains("exists already"), "{text}");
    assert!(!run(&["db", "status"]).1.contains("locked"), "the original is open");
    let config = fs::read_to_string(at.join("keytone.toml")).unwrap();
    fs::write(at.join("copy.toml"), config.replace("sqlite:keytone.db", "sqlite:copy.db")).unwrap();
    let (_, text) = run(&["db", "status", "--config", "copy.toml"]);
    assert!(text.contains("locked after a restore"), "{text}");
    let (shown, text) = run(&["account", "show", ME, "--config", "copy.toml"]);
    assert!(shown && text.contains(ME), "everything is in it: {text}");
    let unlock = ["db", "unlock", "--reason", "restored", "--evidence", "none", "--config", "copy.toml"];
    let (asked, text) = run(&unlock);
    assert!(asked && text.contains("proposed"), "{text}");
    assert!(run(&["ledger", "verify", "--config", "copy.toml"]).0);
}

#[test]
fn a_daemon_knows_an_older_database_and_stays_locked() {
    let mut house = Plan::with(ME, PIN).open();
    house.stop();
    assert!(!house.run(&["db", "status"]).contains("locked"));
    let (live, old) = (house.path("keytone.db"), house.path("old.db"));
    fs::copy(&live, &old).unwrap();
    house.start();
    house.stop();
    assert!(!house.run(&["db", "status"]).contains("locked"), "a restart is none");
    for name in ["keytone.db-wal", "keytone.db-shm"] {
        let _ = fs::remove_file(house.path(name));
    }
    fs::copy(&old, &live).unwrap();
    house.start();
    let shut = house.run(&["payment", "suspensions"]);
    assert!(shut.contains("restored") && shut.contains("older than the one"), "{shut}");
    house.stop();
    house.start();
    assert!(house.run(&["db", "status"]).contains("locked after a restore"), "until it is opened");
    house.stop();
    house.verify();
}
