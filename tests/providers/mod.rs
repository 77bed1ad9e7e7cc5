//! Payments from accounts that an outside provider holds, on loopback with a sandbox wallet and a sandbox carrier that both do
//! wrong: every fault of the one with every fault of the other, on both databases.

mod balance;
mod files;
mod kill;
mod news;
mod orders;
mod town;

use std::time::Duration;

use keytone::connector::sandbox::provider::FAULTS;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{PayOutcome, Quote};
use keytone::payment::row::State;
use keytone::payment::run::alarms::Watch;
use keytone::payment::saga::Stage;
use keytone::payment::settings::Settings;
use keytone::payment::staff::{Act, Movement};

use crate::support::market::{Database, phone};
use balance::{
    a_balance_is_the_providers_word_of_now, a_balance_that_is_not_known_is_not_told,
    a_provider_need_not_tell_balances,
};
use news::{
    a_message_is_proved_matched_and_compared, an_unsigned_message_only_makes_us_ask,
    messages_of_a_provider_are_news_only_when_they_cannot_be_old,
};
use orders::{
    a_whole_return_goes_back_through_the_wallet, an_order_is_paid_exactly_if_its_money_is_taken,
    an_order_is_taken_frozen_and_released, an_order_that_is_gone_takes_nothing,
    what_comes_back_in_parts_stands_in_our_books, what_is_not_captured_of_an_order_blocks_the_account,
};
use town::{Town, WALLET};

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::providers::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::providers::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    what_is_delivered_is_captured,
    what_the_carrier_refuses_is_released,
    what_the_provider_refuses_asks_no_carrier,
    both_outsiders_fail_in_every_order,
    captures_and_releases_are_asked_for_without_end,
    what_cannot_be_captured_is_owed_and_blocks_the_account,
    an_unknown_reservation_is_being_processed,
    what_is_taken_back_is_refunded,
    what_cannot_be_refunded_stands_in_our_books,
    a_late_delivery_is_our_loss,
    staff_give_back_and_book_settlements,
    a_bill_is_paid_from_a_wallet,
    the_same_id_reserves_once,
    a_restart_takes_up_every_reservation,
    killed_at_every_point,
    killed_at_every_point_of_an_order,
    a_balance_is_the_providers_word_of_now,
    a_balance_that_is_not_known_is_not_told,
    a_provider_need_not_tell_balances,
    an_order_is_taken_frozen_and_released,
    an_order_is_paid_exactly_if_its_money_is_taken,
    a_whole_return_goes_back_through_the_wallet,
    what_comes_back_in_parts_stands_in_our_books,
    an_order_that_is_gone_takes_nothing,
    what_is_not_captured_of_an_order_blocks_the_account,
    messages_of_a_provider_are_news_only_when_they_cannot_be_old,
    a_message_is_proved_matched_and_compared,
    an_unsigned_message_only_makes_us_ask,
);

/// Fault suffixes of the carrier that a payment may meet: none, refused, pending and delivered later, delivered but never
/// answered, not taken and never answered, delivered and answered 500, refused later.
const CARRIER: &[&str] = &["001", "902", "913", "920", "921", "924", "912"];

fn refused(class: &str) -> PayOutcome {
    PayOutcome::Refused { class: class.to_owned() }
}

async fn what_is_delivered_is_captured(database: Database) {
    let town = Town::open(database).await;
    let account = town.account("001").await;
    assert_eq!(town.quote(&account).await, Quote::Ok { fee_minor: 0, total_minor: 5_000 });
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "delivered", "{outcome:?}");
    let row = town.until(id, Stage::Captured).await;
    assert_eq!((row.amount_minor, row.provider.as_str(), row.doubt), (5_000, WALLET, false));
    let held = town.held(id).await.unwrap();
    assert_eq!((held.state.as_str(), held.amount.as_str()), ("captured", "50.00"));
    assert_eq!(held.msisdn, account.external_id);
    assert_eq!(row.their_reference, Some(held.id));
    assert_eq!(town.money(account.id).await, (0, 0), "none of it ever stands on an account here");
    assert_eq!(town.house(House::Receivable(WALLET)).await, 0);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -5_000);
    assert_eq!(town.house(House::Float("sandbox")).await, 4_850);
    assert_eq!(town.house(House::Commission("sandbox")).await, 150);
    town.close().await;
}

async fn what_the_carrier_refuses_is_released(database: Database) {
    let town = Town::open(database).await;
    let account = town.account("001").await;
    let (id, outcome) = town.pay(&account, "902").await;
    assert_eq!(outcome, refused("subscriber_barred"));
    town.until(id, Stage::Released).await;
    assert_eq!(town.held(id).await.unwrap().state, "released");
    for house in [House::Receivable(WALLET), House::Settlement(WALLET), House::Float("sandbox")] {
        assert_eq!(town.house(house).await, 0, "{house:?}");
    }
    // The account may pay at once.
    assert_eq!(town.pay(&account, "003").await.1.name(), "delivered");
    town.close().await;
}

async fn what_the_provider_refuses_asks_no_carrier(database: Database) {
    let town = Town::open(database).await;
    for (suffix, class) in [("901", "provider_limit_reached"), ("902", "provider_subscriber_barred")] {
        let account = town.account(suffix).await;
        let (id, outcome) = town.pay(&account, "001").await;
        assert_eq!(outcome, refused(class));
        town.until(id, Stage::Refused).await;
        assert!(town.payments.payment(id).await.unwrap().unwrap().attempts.is_empty(), "{suffix}");
    }
    let account = town.account("001").await;
    town.wallet_stop.cancel();
    // Wait until nobody listens.
    let gone = async { while town.wallet_answers().await {} };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome, refused("provider_down"));
    town.until(id, Stage::Refused).await;
    assert_eq!(town.asked_of_carrier(), 0);
    town.close().await;
}

/// Every fault in reserving with every fault of the carrier; but for a code that nobody knows, which a person must look up.
async fn both_outsiders_fail_in_every_order(database: Database) {
    let town = Town::open(database).await;
    let mut cases = Vec::new();
    let reserving =
        FAULTS.iter().map(|(suffix, ..)| *suffix).filter(|s| (*s < "930" && *s != "906") || *s == "950");
    for suffix in reserving.chain(["001"]) {
        for carrier in CARRIER {
            cases.push((suffix, *carrier));
        }
    }
    town.settle(cases).await;
    town.close().await;
}

/// Every fault in capturing with deliveries of every kind, and every fault in releasing with refusals of every kind.
async fn captures_and_releases_are_asked_for_without_end(database: Database) {
    let town = Town::open(database).await;
    let mut cases = Vec::new();
    for (suffix, ..) in FAULTS {
        let carriers = match *suffix {
            "936" => continue,
            capture if capture.starts_with("93") => &["001", "913", "920"][..],
            release if release.starts_with("94") => &["902", "921", "912"][..],
            _ => continue,
        };
        cases.extend(carriers.iter().map(|carrier| (*suffix, *carrier)));
    }
    let ended = town.settle(cases).await;
    for (suffix, carrier, state) in ended {
        let wanted = if suffix < "940" { State::Delivered } else { State::Refused };
        assert_eq!(state, wanted, "{suffix} {carrier}");
    }
    town.close().await;
}

async fn what_cannot_be_captured_is_owed_and_blocks_the_account(database: Database) {
    let soon = |settings: &mut Settings| settings.alarms.unknown_age = Duration::from_millis(1);
    let town = Town::open_with(database, soon).await;
    let account = town.account("936").await;
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "delivered", "never told failed when it was delivered: {outcome:?}");
    let row = town.until_row(id, |row| row.tries > 3).await;
    assert_eq!(
        (row.stage, row.class.as_deref()),
        (Stage::Capturing.number(), Some("refused while capturing"))
    );
    assert_eq!(town.house(House::Receivable(WALLET)).await, -5_000, "what the provider owes us");
    assert_eq!(town.house(House::Settlement(WALLET)).await, 0);
    assert_eq!(town.pay(&account, "002").await.1, PayOutcome::Suspended);
    assert_eq!(town.quote(&account).await, Quote::Suspended);
    town.payments.look(&mut Watch::default(), &[], Vec::new()).await.unwrap();
    let alarms = town.payments.alarms(true).await.unwrap();
    let told = alarms
        .iter()
        .find(|alarm| (alarm.kind.as_str(), alarm.subject.as_str()) == ("old_unknown", "outside"));
    assert!(told.is_some_and(|alarm| alarm.detail.contains(&id.to_string())), "{alarms:?}");
    // Others pay, and whoever is captured after all pays again.
    let account = town.account("932").await;
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "delivered");
    town.until(id, Stage::Captured).await;
    assert_eq!(town.pay(&account, "002").await.1.name(), "delivered");
    town.close().await;
}

async fn an_unknown_reservation_is_being_processed(database: Database) {
    let town =
        Town::open_with(database, |settings| settings.answer_within = Duration::from_millis(100)).await;
    let account = town.account("903").await;
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "pending", "{outcome:?}");
    town.until(id, Stage::Captured).await;
    assert_eq!(town.state(id).await, State::Delivered);
    // Never known: the payment ends, nothing was asked of the carrier, and what may be kept is set free.
    let account = town.account("904").await;
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "pending", "{outcome:?}");
    town.until(id, Stage::Released).await;
    let view = town.payments.payment(id).await.unwrap().unwrap();
    assert_eq!(
        (view.payment.state, view.payment.class.as_deref()),
        (State::Refused, Some("provider_silent"))
    );
    assert!(view.attempts.is_empty());
    assert_eq!(town.held(id).await.unwrap().state, "released");
    town.close().await;
}

async fn what_is_taken_back_is_refunded(database: Database) {
    let town = Town::open(database).await;
    for suffix in ["001", "970", "971", "930", "936"] {
        let account = town.account(suffix).await;
        let (id, outcome) = town.pay(&account, "001").await;
        assert_eq!(outcome.name(), "delivered");
        // What could not be captured until then need not be.
        let stuck = suffix == "936";
        town.until_row(id, |row| if stuck { row.tries > 0 } else { !row.open }).await;
        town.staff(Act::Reverse { payment: id }).await;
        let wanted = if stuck { (Stage::Released, "released") } else { (Stage::Refunded, "refunded") };
        town.until(id, wanted.0).await;
        town.until_row(id, |row| !row.open).await;
        assert_eq!(town.held(id).await.unwrap().state, wanted.1, "{suffix}");
        assert_eq!(town.state(id).await, State::Reversed);
    }
    // The carrier itself, soon after: perhaps before anything was captured.
    let account = town.account("001").await;
    let (id, outcome) = town.pay(&account, "943").await;
    assert_eq!(outcome.name(), "delivered");
    town.until_row(id, |row| !row.open && row.stage != Stage::Captured.number()).await;
    let held = town.held(id).await.unwrap().state;
    assert!(["refunded", "released"].contains(&held.as_str()), "{held}");
    for house in [House::Receivable(WALLET), House::Settlement(WALLET), House::Float("sandbox")] {
        assert_eq!(town.house(house).await, 0, "{house:?}");
    }
    town.close().await;
}

async fn what_cannot_be_refunded_stands_in_our_books(database: Database) {
    let town = Town::open_without_refunds(database).await;
    let account = town.account("001").await;
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "delivered");
    town.until(id, Stage::Captured).await;
    town.staff(Act::Reverse { payment: id }).await;
    town.until(id, Stage::Owed).await;
    assert_eq!(town.held(id).await.unwrap().state, "captured");
    assert_eq!(town.money(account.id).await, (5_000, 0), "owed to the customer, for staff to pay out");
    assert_eq!(town.house(House::Receivable(WALLET)).await, 0);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -5_000);
    // It is not spent: the account's money is outside.
    assert_eq!(town.pay(&account, "002").await.1.name(), "delivered");
    assert_eq!(town.money(account.id).await, (5_000, 0));
    town.close().await;
}

async fn a_late_delivery_is_our_loss(database: Database) {
    let town = Town::open(database).await;
    let account = town.account("001").await;
    let (id, outcome) = town.pay(&account, "945").await;
    assert_eq!(outcome.name(), "refused");
    town.until(id, Stage::Released).await;
    let lost = async { while town.house(House::Loss).await == 0 {} };
    tokio::time::timeout(Duration::from_secs(20), lost).await.unwrap();
    assert_eq!(town.house(House::Loss).await, -4_850);
    assert_eq!(town.held(id).await.unwrap().state, "released", "never a new debit");
    town.close().await;
}

async fn staff_give_back_and_book_settlements(database: Database) {
    let town = Town::open(database).await;
    let account = town.account("001").await;
    let (reversed, _) = town.pay(&account, "001").await;
    let (refunded, _) = town.pay(&account, "002").await;
    let settle = |amount_minor| Act::Move {
        movement: Movement::Settlement,
        amount_minor,
        account: None,
        connector: Some(WALLET.to_owned()),
        discount_minor: 0,
    };
    for id in [reversed, refunded] {
        town.until(id, Stage::Captured).await;
    }
    town.staff(Act::Reverse { payment: reversed }).await;
    town.until(reversed, Stage::Refunded).await;
    assert_eq!(town.held(reversed).await.unwrap().state, "refunded");
    // What the house gives back of a delivery that stands is its own money, and is paid out by it.
    town.staff(Act::Refund { payment: refunded, amount_minor: 1_000 }).await;
    assert_eq!(town.money(account.id).await, (1_000, 0));
    assert_eq!(town.house(House::Loss).await, -1_000);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -5_000);
    town.staff(settle(5_000)).await;
    assert_eq!((town.house(House::Settlement(WALLET)).await, town.house(House::Bank).await), (0, -5_000));
    town.close().await;
}

async fn a_bill_is_paid_from_a_wallet(database: Database) {
    let town = Town::open(database).await;
    for (suffix, number, stage) in [
        ("001", "8050001", Stage::Captured),
        ("920", "8050920", Stage::Captured),
        ("001", "8050901", Stage::Released),
    ] {
        let account = town.account(suffix).await;
        let id = town.pay_bill(&account, number).await;
        town.until(id, stage).await;
        let amount = town.held(id).await.unwrap().amount;
        assert_eq!(amount, "81.00", "amount and fee");
    }
    assert_eq!(town.house(House::Biller("exact")).await, 16_100);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -16_200);
    town.close().await;
}

async fn the_same_id_reserves_once(database: Database) {
    let town = Town::open(database).await;
    let account = town.account("910").await;
    let request = town.request(&account, "001");
    let id = request.id;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let (payments, request) = (town.payments.clone(), request.clone());
            tokio::spawn(async move { payments.pay(request).await.unwrap().name() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "delivered");
    }
    town.until(id, Stage::Captured).await;
    assert_eq!(town.all_held().await.len(), 1);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -5_000);
    town.close().await;
}

/// What an ended process left is taken up: a reservation nobody heard of, one that was kept, one to be captured.
async fn a_restart_takes_up_every_reservation(database: Database) {
    let town = Town::open(database).await;
    let mut ids: Vec<Id> = Vec::new();
    for (suffix, carrier) in [("904", "001"), ("001", "914"), ("936", "001"), ("920", "001")] {
        let account = town.account(suffix).await;
        ids.push(town.pay(&account, carrier).await.0);
    }
    let town = town.restart().await;
    // Nothing had left for the carrier.
    town.until(ids[0], Stage::Released).await;
    assert_eq!(town.state(ids[0]).await, State::Refused);
    let row = town.row(ids[1]).await;
    assert_eq!(row.stage, Stage::Reserved.number(), "the carrier has not answered");
    town.until_row(ids[2], |row| row.tries > 1).await;
    town.until(ids[3], Stage::Captured).await;
    assert_eq!(town.house(House::Receivable(WALLET)).await, -5_000);
    town.close().await;
}

async fn killed_at_every_point(database: Database) {
    kill::at_every_point(Town::open(database).await).await;
}

async fn killed_at_every_point_of_an_order(database: Database) {
    kill::at_every_point_of_an_order(Town::open(database).await).await;
}

#[test]
fn a_number_of_a_customer_may_be_his_account() {
    assert!(keytone::payment::provider::is_external_id(phone("+8613800000001").as_str()));
}
