//! The payment core whole, on loopback with a sandbox carrier that does wrong: every outcome, on both
//! databases.

mod at_once;
mod by_sms;

use std::collections::BTreeSet;
use std::time::Duration;

use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, Identity, PayOutcome, Pin, Quote, Route};
use keytone::payment::reference;
use keytone::payment::row::{OutboxState, SessionRow, State};
use keytone::payment::run::{Error, OpenAccount, Scope};
use keytone::secret::Secret;

use crate::support::market::{Database, Market, PIN, phone};

use at_once::many_right_pins_at_once_lock_nobody;
use by_sms::{
    a_locked_pin_locks_what_needs_none, an_equal_payment_by_sms_is_asked_about_for_a_day,
    small_sums_need_no_pin, sums_at_once_cannot_pass_the_day_without_a_pin,
};

const ME: &str = "+8613800000001";
const OTHER: &str = "+8613800000002";

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::payments::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::payments::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_recharge_is_delivered_and_shared_out,
    a_wrong_pin_counts_and_locks,
    many_right_pins_at_once_lock_nobody,
    limits_pass_exactly_and_not_beyond,
    calls_at_once_cannot_pass_a_limit_together,
    equal_recharges_at_once_are_made_once,
    an_equal_recharge_soon_after_is_asked_about,
    a_carriers_refusal_gives_everything_back,
    what_is_unknown_is_found_out,
    what_the_carrier_never_took_is_given_back,
    a_carriers_second_thoughts,
    not_connected_is_refused_at_once,
    the_same_id_pays_once,
    suspensions_stop_payments,
    a_caller_who_hangs_up_stops_nothing,
    what_stays_pending_goes_to_a_person,
    forged_callbacks_change_nothing,
    questions_are_answered,
    staff_open_credit_and_bind,
    a_better_sms_replaces_the_plain_one,
    chance_faults_never_cost_or_make_money,
    two_nodes_share_the_work,
    a_saved_session_is_one_nodes_at_a_time,
    small_sums_need_no_pin,
    sums_at_once_cannot_pass_the_day_without_a_pin,
    a_locked_pin_locks_what_needs_none,
    an_equal_payment_by_sms_is_asked_about_for_a_day,
);

fn receipt(outcome: &PayOutcome) -> String {
    match outcome {
        PayOutcome::Delivered { receipt } | PayOutcome::Pending { receipt } => receipt.clone(),
        other => panic!("{other:?}"),
    }
}

fn refused(class: &str) -> PayOutcome {
    PayOutcome::Refused { class: class.to_owned() }
}

async fn a_recharge_is_delivered_and_shared_out(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    market.payments.fund_float(market.id(), "sandbox", 100_000).await.unwrap();
    let request = market.request(account, ME, ME, 5_000);
    let id = request.id;
    let outcome = market.payments.pay(request).await.unwrap();
    let receipt = receipt(&outcome);
    assert_eq!(outcome.name(), "delivered");
    assert!(reference::is_valid(&receipt), "{receipt}");
    assert_eq!(market.money(account).await, (495_000, 0));
    assert_eq!(market.house(House::Float("sandbox")).await, -100_000 + 4_850);
    assert_eq!(market.house(House::Commission("sandbox")).await, 150);
    assert_eq!(market.house(House::Fee).await, 0);
    let view = market.payments.payment_by_reference(&receipt).await.unwrap().unwrap();
    let states: Vec<State> = view.events.iter().map(|e| e.state).collect();
    assert_eq!(states, [State::Authorised, State::Submitting, State::Delivered]);
    assert_eq!(view.attempts.len(), 1);
    assert_eq!(view.attempts[0].outcome.as_deref(), Some("delivered"));
    let carried = market.carrier(ME);
    assert_eq!(carried.len(), 1);
    assert_eq!(carried[0].reference, view.attempts[0].reference);
    assert_eq!((carried[0].amount.as_str(), carried[0].state.as_str()), ("50.00", "delivered"));
    assert_eq!(carried[0].deduction, view.payment.hold.text());
    let sms = market.store.outbox_of(id).await.unwrap();
    assert_eq!(sms.len(), 1);
    assert!(sms[0].body.contains(&receipt) && sms[0].recipient == ME, "{sms:?}");
    market.close().await;
}

async fn a_wrong_pin_counts_and_locks(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let wrong = || {
        let mut request = market.request(account, ME, ME, 5_000);
        request.pin = Pin::Typed(Secret::from("111222"));
        market.payments.pay(request)
    };
    for left in [4, 3, 2, 1] {
        assert_eq!(wrong().await.unwrap(), PayOutcome::WrongPin { left });
    }
    assert_eq!(market.pay(account, ME, ME, 5_000).await.name(), "delivered", "the fifth try is right");
    for left in [4, 3, 2, 1] {
        assert_eq!(wrong().await.unwrap(), PayOutcome::WrongPin { left }, "tries count anew");
    }
    assert_eq!(wrong().await.unwrap(), PayOutcome::Locked);
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await, PayOutcome::Locked, "even with the right one");
    market.payments.unlock(account).await.unwrap();
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    market.payments.set_pin(account, Secret::from("80264915")).await.unwrap();
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await, PayOutcome::WrongPin { left: 4 });
    assert!(matches!(
        market.payments.set_pin(account, Secret::from("1234")).await,
        Err(Error::PinRefused(_))
    ));
    let none = OpenAccount { msisdn: Some(phone(OTHER)), pin: None };
    let none = market.payments.open_account(none).await.unwrap();
    assert_eq!(market.pay(none, OTHER, ME, 5_000).await, PayOutcome::Locked, "no PIN was ever set");
    market.close().await;
}

async fn limits_pass_exactly_and_not_beyond(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.settings.day_limit_minor = 20_000;
        plans.settings.payment_limit_minor = 10_000;
        plans.plan = plans.plan.replace(r#"["50", "100"]"#, r#"["50", "100", "150"]"#);
    })
    .await;
    let account = market.account(ME, 17_500).await;
    assert_eq!(market.pay(account, ME, ME, 15_000).await, PayOutcome::PaymentLimit { limit_minor: 10_000 });
    assert_eq!(market.pay(account, ME, ME, 7_000).await, refused("amount_not_allowed"));
    assert_eq!(market.pay(account, ME, ME, 10_000).await.name(), "delivered");
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await, PayOutcome::Insufficient { left_minor: 7_500 });
    market.payments.credit(market.id(), account, 100_000).await.unwrap();
    // S14: the customer's own limit, exactly at and one beyond.
    market.payments.set_limits(account, Some(14_999), None).await.unwrap();
    let user = PayOutcome::UserLimit { limit_minor: 14_999, left_minor: 4_999, fits: false };
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await, user);
    market.payments.set_limits(account, Some(15_000), None).await.unwrap();
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    market.payments.set_limits(account, None, Some(4_999)).await.unwrap();
    let user = PayOutcome::UserLimit { limit_minor: 4_999, left_minor: 4_999, fits: false };
    assert_eq!(market.pay(account, ME, "+8613800000003", 5_000).await, user);
    market.payments.set_limits(account, None, None).await.unwrap();
    // S13: exactly at the day's limit passes, over all numbers of the account.
    let day = PayOutcome::DayLimit { limit_minor: 20_000, left_minor: 5_000, fits: true };
    assert_eq!(market.pay(account, ME, "+8613800000003", 10_000).await, day);
    assert_eq!(market.pay(account, ME, "+8613800000003", 5_000).await.name(), "delivered");
    let day = PayOutcome::DayLimit { limit_minor: 20_000, left_minor: 0, fits: false };
    assert_eq!(market.pay(account, ME, "+8613800000004", 5_000).await, day);
    assert_eq!(market.payments.account(account).await.unwrap().unwrap().used_today_minor, 20_000);
    market.close().await;
}

async fn calls_at_once_cannot_pass_a_limit_together(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.settings.day_limit_minor = 25_000;
        plans.settings.answer_within = Duration::from_secs(20);
        plans.settings.pin.tries_max = 100;
    })
    .await;
    let account = market.account(ME, 500_000).await;
    let calls: Vec<_> = (0..24)
        .map(|n| {
            let request = market.request(account, ME, &format!("+86138000001{n:02}"), 5_000);
            let payments = market.payments.clone();
            tokio::spawn(async move { payments.pay(request).await.unwrap() })
        })
        .collect();
    let mut names = Vec::new();
    for call in calls {
        names.push(call.await.unwrap().name());
    }
    assert_eq!(names.iter().filter(|n| **n == "delivered").count(), 5, "{names:?}");
    assert!(names.iter().all(|n| ["delivered", "day_limit"].contains(n)), "{names:?}");
    assert_eq!(market.money(account).await, (475_000, 0));
    market.close().await;
}

async fn equal_recharges_at_once_are_made_once(database: Database) {
    let market = Market::open_with(database, |plans| plans.settings.pin.tries_max = 100).await;
    let account = market.account(ME, 500_000).await;
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let request = market.request(account, ME, OTHER, 5_000);
            let payments = market.payments.clone();
            tokio::spawn(async move { payments.pay(request).await.unwrap() })
        })
        .collect();
    let mut names = Vec::new();
    for call in calls {
        names.push(call.await.unwrap().name());
    }
    assert_eq!(names.iter().filter(|n| **n == "delivered").count(), 1, "{names:?}");
    assert!(names.iter().all(|n| ["delivered", "still_processing", "duplicate"].contains(n)), "{names:?}");
    assert_eq!(market.carrier(OTHER).len(), 1);
    market.close().await;
}

async fn an_equal_recharge_soon_after_is_asked_about(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    let again = market.pay(account, ME, OTHER, 5_000).await;
    assert!(matches!(again, PayOutcome::Duplicate { minutes_ago: 1, fee_minor: 0, .. }), "{again:?}");
    assert_eq!(market.money(account).await, (495_000, 0), "asking holds nothing");
    let mut request = market.request(account, ME, OTHER, 5_000);
    request.repeat = true;
    assert_eq!(market.payments.pay(request).await.unwrap().name(), "delivered");
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await.name(), "delivered", "another amount is another");
    // While the first is open there is no "again".
    let pending = "+8613800000914";
    assert_eq!(market.pay(account, ME, pending, 5_000).await.name(), "pending");
    let mut request = market.request(account, ME, pending, 5_000);
    request.repeat = true;
    assert_eq!(market.payments.pay(request).await.unwrap(), PayOutcome::StillProcessing);
    assert_eq!(market.carrier(OTHER).len(), 3);
    assert_eq!(market.carrier(pending).len(), 1);
    market.close().await;
}

async fn a_carriers_refusal_gives_everything_back(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    for (suffix, class) in [
        ("901", "bad_number"),
        ("902", "subscriber_barred"),
        ("903", "our_float_low"),
        ("904", "carrier_down"),
        ("905", "product_unavailable"),
    ] {
        let target = format!("+8613800000{suffix}");
        assert_eq!(market.pay(account, ME, &target, 5_000).await, refused(class));
        assert_eq!(market.pay(account, ME, &target, 5_000).await, refused(class), "and may be tried again");
    }
    assert_eq!(market.money(account).await, (500_000, 0));
    let view = market.payments.account(account).await.unwrap().unwrap();
    assert_eq!((view.used_today_minor, view.available_minor), (0, 500_000));
    assert_eq!(market.pay(account, ME, "+8613300000001", 5_000).await, refused("product_unavailable"));
    assert_eq!(market.pay(account, ME, "+861012345678", 5_000).await, refused("bad_number"));
    market.close().await;
}

/// Every fault in which the carrier recharged: in the end delivered, once, whatever was heard at first.
async fn what_is_unknown_is_found_out(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 5_000_000).await;
    let faults = [
        "910", "911", "913", "920", "922", "924", "926", "927", "928", "929", "930", "940", "941", "942",
        "946",
    ];
    let mut ids = Vec::new();
    for suffix in faults {
        let request = market.request(account, ME, &format!("+8613800000{suffix}"), 5_000);
        ids.push((suffix, request.id));
        let outcome = market.payments.pay(request).await.unwrap();
        assert!(["delivered", "pending"].contains(&outcome.name()), "{suffix}: {outcome:?}");
    }
    for (suffix, id) in &ids {
        let payment = market.until(*id, State::Delivered).await;
        assert_eq!(market.carrier(&format!("+8613800000{suffix}")).len(), 1, "{suffix}");
        let view = market.payments.payment(*id).await.unwrap().unwrap();
        assert_eq!(view.attempts.len(), 1, "{suffix}: nothing is sent twice");
        let doubted = view.events.iter().any(|e| e.state == State::Unknown);
        let doubtful = !["910", "911", "913", "940", "942"].contains(suffix);
        assert_eq!(doubted, doubtful, "{suffix}: {:?}", view.events);
        if ["928", "929"].contains(suffix) {
            assert!(view.events.iter().any(|e| e.detail.contains("mismatch")), "{suffix}");
        }
        assert_eq!(payment.next_check_at, None);
    }
    let spent = 5_000 * i64::try_from(faults.len()).unwrap();
    assert_eq!(market.money(account).await, (5_000_000 - spent, 0));
    market.close().await;
}

async fn what_the_carrier_never_took_is_given_back(database: Database) {
    // The caller does not wait until "not found" is definite, which is after 1.5 s.
    let market =
        Market::open_with(database, |plans| plans.settings.answer_within = Duration::from_millis(750)).await;
    let account = market.account(ME, 500_000).await;
    let mut ids = Vec::new();
    for suffix in ["921", "923", "925"] {
        let request = market.request(account, ME, &format!("+8613800000{suffix}"), 5_000);
        ids.push((suffix, request.id));
        let outcome = market.payments.pay(request).await.unwrap();
        assert_eq!(outcome.name(), "pending", "{suffix}: it is not known yet");
    }
    // Unknown keeps the money held: it cannot be spent meanwhile.
    assert!(market.money(account).await.1 >= 5_000);
    for (suffix, id) in ids {
        let payment = market.until(id, State::Refused).await;
        assert_eq!(payment.class.as_deref(), Some("not_found"), "{suffix}");
        assert!(payment.updated_at - payment.created_at >= 1_500_000, "{suffix}: not before it is definite");
        let sms = market.store.outbox_of(id).await.unwrap();
        assert!(sms.iter().any(|s| s.body.contains("Nothing was deducted")), "{sms:?}");
    }
    assert_eq!(market.money(account).await, (500_000, 0));
    let unknown = market.request(account, ME, "+8613800000906", 5_000);
    let id = unknown.id;
    assert_eq!(market.payments.pay(unknown).await.unwrap().name(), "pending", "a code that nobody knows");
    assert_eq!(market.payment(id).await.state, State::Unknown);
    market.close().await;
}

async fn a_carriers_second_thoughts(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let pay = async |suffix: &str| {
        let request = market.request(account, ME, &format!("+8613800000{suffix}"), 5_000);
        let id = request.id;
        (id, market.payments.pay(request).await.unwrap())
    };
    // Pending, then refused.
    let (id, outcome) = pay("912").await;
    assert_eq!(outcome, refused("subscriber_barred"));
    assert_eq!(market.payment(id).await.state, State::Refused);
    // Delivered, then taken back: credited, and the day's limit with it.
    let (id, outcome) = pay("943").await;
    assert_eq!(outcome.name(), "delivered");
    market.until(id, State::Reversed).await;
    assert_eq!(market.money(account).await, (500_000, 0));
    assert_eq!(market.payments.account(account).await.unwrap().unwrap().used_today_minor, 0);
    // Delivered, then "refused": the money is frozen until a person decides.
    let (id, outcome) = pay("944").await;
    assert_eq!(outcome.name(), "delivered");
    let payment = market.until(id, State::NeedsReview).await;
    assert_eq!(payment.class.as_deref(), Some("contested"));
    assert_eq!(market.money(account).await, (500_000, 5_000));
    // Refused, then "delivered": never a new debit; the cost is the house's loss.
    let (id, outcome) = pay("945").await;
    assert_eq!(outcome, refused("subscriber_barred"));
    let late = async {
        while market.payment(id).await.class.as_deref() != Some("late_delivered") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), late).await.unwrap();
    assert_eq!(market.payment(id).await.state, State::Refused);
    assert_eq!(market.money(account).await, (500_000, 5_000));
    assert_eq!(market.house(House::Loss).await, -4_850);
    market.close().await;
}

async fn not_connected_is_refused_at_once(database: Database) {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let market = Market::open_with(database, |plans| {
        plans.connector = keytone::connector::sandbox::definition_toml(&format!("http://{address}"));
    })
    .await;
    let account = market.account(ME, 500_000).await;
    let request = market.request(account, ME, ME, 5_000);
    let id = request.id;
    assert_eq!(market.payments.pay(request).await.unwrap(), refused("carrier_down"));
    assert_eq!(market.money(account).await, (500_000, 0));
    let view = market.payments.payment(id).await.unwrap().unwrap();
    assert_eq!(view.attempts[0].outcome.as_deref(), Some("not_sent"));
    market.close().await;
}

async fn the_same_id_pays_once(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let request = market.request(account, ME, OTHER, 5_000);
    let calls: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let (payments, request) = (market.payments.clone(), request.clone());
                async move { payments.pay(request).await.unwrap() }
            })
        })
        .collect();
    let mut answers = BTreeSet::new();
    for call in calls {
        answers.insert(format!("{:?}", call.await.unwrap()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let later = market.payments.pay(request.clone()).await.unwrap();
    assert_eq!(format!("{later:?}"), *answers.first().unwrap());
    let mut other = request.clone();
    other.amount_minor = 10_000;
    assert!(matches!(market.payments.pay(other).await, Err(Error::IdReused)));
    // A refusal for want of money is the answer of its id for ever, even after a credit.
    let poor = market.account("+8613800000005", 1_000).await;
    let request = market.request(poor, "+8613800000005", OTHER, 5_000);
    assert_eq!(market.payments.pay(request.clone()).await.unwrap().name(), "insufficient");
    market.payments.credit(market.id(), poor, 100_000).await.unwrap();
    assert_eq!(market.payments.pay(request).await.unwrap().name(), "insufficient");
    assert_eq!(market.pay(poor, "+8613800000005", OTHER, 5_000).await.name(), "delivered");
    assert_eq!(market.carrier(OTHER).len(), 2);
    market.close().await;
}

async fn suspensions_stop_payments(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    for (scope, key) in [
        (Scope::Product, "recharge".to_owned()),
        (Scope::Carrier, "sandbox".to_owned()),
        (Scope::Channel, "voice".to_owned()),
        (Scope::Account, account.text()),
        (Scope::Number, OTHER.to_owned()),
        (Scope::Number, ME.to_owned()),
    ] {
        market.payments.suspend(scope, &key).await.unwrap();
        let quote = market.payments.quote(account, Channel::Voice, &phone(OTHER), 5_000, true).await.unwrap();
        assert_eq!(quote == Quote::Suspended, key != ME, "a quote does not know the caller's number");
        let mut request = market.request(account, ME, OTHER, 5_000);
        request.pin = Pin::Typed(Secret::from("000111"));
        let outcome = market.payments.pay(request).await.unwrap();
        assert_eq!(outcome, PayOutcome::Suspended, "{scope:?}");
        market.payments.resume(scope, &key).await.unwrap();
    }
    let tries = market.store.payer(account).await.unwrap().unwrap().pin_tries;
    assert_eq!(tries, 0, "what is shut counts no PIN try");
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    market.close().await;
}

async fn a_caller_who_hangs_up_stops_nothing(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let request = market.request(account, ME, "+8613800000910", 5_000);
    let id = request.id;
    {
        let pay = market.payments.pay(request);
        // Polled long enough to be started, then dropped: the caller is gone.
        let _ = tokio::time::timeout(Duration::from_millis(5), pay).await;
    }
    let appears = async {
        while market.store.payment(id).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), appears).await.unwrap();
    market.until(id, State::Delivered).await;
    assert_eq!(market.store.outbox_of(id).await.unwrap().len(), 1, "the SMS tells what the call could not");
    market.close().await;
}

async fn what_stays_pending_goes_to_a_person(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.settings.status_schedule = vec![Duration::from_millis(60); 3];
        plans.settings.answer_within = Duration::from_millis(200);
    })
    .await;
    let account = market.account(ME, 500_000).await;
    let request = market.request(account, ME, "+8613800000914", 5_000);
    let id = request.id;
    assert_eq!(market.payments.pay(request).await.unwrap().name(), "pending");
    let payment = market.until(id, State::NeedsReview).await;
    assert_eq!((payment.checks, payment.next_check_at), (3, None));
    assert_eq!(market.money(account).await, (500_000, 5_000), "the hold stays");
    market.close().await;
}

async fn forged_callbacks_change_nothing(database: Database) {
    let market = Market::open_with(database, |plans| plans.carrier.callback_url = None).await;
    let account = market.account(ME, 500_000).await;
    let request = market.request(account, ME, "+8613800000914", 5_000);
    let id = request.id;
    assert_eq!(market.payments.pay(request).await.unwrap().name(), "pending");
    let reference = market.payments.payment(id).await.unwrap().unwrap().attempts[0].reference.clone();
    let now = market.clock.now().0 / 1_000_000;
    let body = |reference: &str, amount: &str| {
        format!(r#"{{"reference":"{reference}","status":"DELIVERED","amount":"{amount}"}}"#)
    };
    let key = keytone::connector::sandbox::Config::new("unused".into(), market.clock.clone()).key;
    let send = async |body: String, at: i64, signature: Option<String>| {
        let over = format!("{at}.{body}");
        let signed =
            keytone::connector::key::sign(&key, over.as_bytes(), keytone::connector::key::Encoding::Hex);
        let headers = vec![
            ("X-Signature".to_owned(), signature.unwrap_or(signed)),
            ("X-Timestamp".to_owned(), at.to_string()),
        ];
        market.payments.callback("sandbox", &headers, body.as_bytes()).await.status
    };
    let good = body(&reference, "50.00");
    assert_eq!(send(good.clone(), now, Some("00".repeat(32))).await, 401, "wrong signature");
    assert_eq!(send(good.clone(), now - 3_600, None).await, 401, "an old one replayed");
    assert_eq!(send(body("nobody", "50.00"), now, None).await, 404);
    assert_eq!(send("{}".to_owned(), now, None).await, 400);
    assert_eq!(send("x".repeat(100_000), now, None).await, 413);
    assert_eq!(market.payments.callback("nobody", &[], b"{}").await.status, 404);
    assert_eq!(market.payments.callback("sandbox", &[], good.as_bytes()).await.status, 401, "unsigned");
    assert!(market.payment(id).await.state.is_open());
    assert_eq!(send(body(&reference, "5.00"), now, None).await, 200);
    let payment = market.payment(id).await;
    assert_ne!(payment.state, State::Delivered, "another amount is never a delivery");
    assert_eq!(send(good.clone(), now, None).await, 200);
    assert_eq!(market.payment(id).await.state, State::Delivered);
    let version = market.payment(id).await.version;
    assert_eq!(send(good, now, None).await, 200, "and again");
    assert_eq!(market.payment(id).await.version, version);
    assert_eq!(market.money(account).await, (495_000, 0));
    market.close().await;
}

async fn questions_are_answered(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.plan = plans.plan.replace("cost_share = \"0.97\"", "cost_share = \"0.97\"\nfee = \"1.50\"");
    })
    .await;
    let account = market.account(ME, 20_000).await;
    let payments = &market.payments;
    assert_eq!(payments.identify(None).await.unwrap(), Identity::NoNumber);
    assert_eq!(payments.identify(Some(&phone(ME))).await.unwrap(), Identity::Bound { account });
    let unbound = Identity::Unbound { phone: phone(OTHER) };
    assert_eq!(payments.identify(Some(&phone(OTHER))).await.unwrap(), unbound);
    for landline in ["+861012345678", "+442079460000"] {
        assert_eq!(payments.identify(Some(&phone(landline))).await.unwrap(), Identity::NoNumber);
    }
    let route = Route::Ok { carrier: "sandbox".to_owned(), amounts_minor: vec![5_000, 10_000] };
    assert_eq!(payments.route(&phone(OTHER)), route);
    assert_eq!(payments.route(&phone("+8613300000001")), Route::NotSupported);
    assert_eq!(payments.route(&phone("+8617700000001")), Route::BadNumber);
    let quote = async |amount, repeat| {
        payments.quote(account, Channel::Voice, &phone(OTHER), amount, repeat).await.unwrap()
    };
    assert_eq!(quote(5_000, false).await, Quote::Ok { fee_minor: 150, total_minor: 5_150 });
    assert_eq!(quote(5_001, false).await, Quote::NotDesignated);
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await.name(), "delivered");
    assert_eq!(market.money(account).await, (20_000 - 10_150, 0), "the fee is paid with it");
    assert_eq!(market.house(House::Fee).await, 150);
    assert_eq!(quote(10_000, false).await, Quote::Insufficient { left_minor: 9_850 });
    payments.credit(market.id(), account, 10_000).await.unwrap();
    assert!(matches!(quote(10_000, false).await, Quote::Duplicate { fee_minor: 150, .. }));
    assert!(matches!(quote(10_000, true).await, Quote::Ok { .. }));
    payments.set_limits(account, Some(12_000), None).await.unwrap();
    let user = Quote::UserLimit { limit_minor: 12_000, left_minor: 2_000, fits: false };
    assert_eq!(quote(5_000, false).await, user);
    let nobody = payments.quote(Id([9; 16]), Channel::Voice, &phone(OTHER), 5_000, false).await;
    assert!(matches!(nobody, Err(Error::NoSuchAccount)));
    // Whoever is not believed, or does not own the account, does not pay from it.
    let mut request = market.request(account, ME, OTHER, 5_000);
    request.caller = None;
    assert_eq!(payments.pay(request).await.unwrap(), refused("not_believed"));
    assert_eq!(market.pay(account, OTHER, OTHER, 5_000).await, refused("not_believed"));
    let shown = format!("{:?}", market.request(account, ME, OTHER, 5_000));
    assert!(!shown.contains(PIN) && !shown.contains("13800000001"), "{shown}");
    market.close().await;
}

async fn staff_open_credit_and_bind(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 0).await;
    let id = market.id();
    assert_eq!(market.payments.credit(id, account, 7_000).await.unwrap(), 7_000);
    assert_eq!(market.payments.credit(id, account, 7_000).await.unwrap(), 7_000, "the same id once");
    assert!(matches!(market.payments.credit(id, account, 8_000).await, Err(Error::IdReused)));
    assert!(market.payments.credit(market.id(), account, 0).await.is_err());
    assert!(market.payments.credit(market.id(), account, -5).await.is_err());
    let nobody = market.payments.credit(market.id(), Id([9; 16]), 1).await;
    assert!(matches!(nobody, Err(Error::NoSuchAccount)));
    let again = OpenAccount { msisdn: Some(phone(ME)), pin: None };
    assert!(market.payments.open_account(again).await.is_err(), "the number is bound already");
    let other = market.account(OTHER, 0).await;
    assert!(market.payments.bind(other, &phone(ME)).await.is_err());
    market.payments.bind(other, &phone("+8613800000003")).await.unwrap();
    let numbers = market.payments.account(other).await.unwrap().unwrap().numbers;
    assert_eq!(numbers.len(), 2);
    market.payments.unbind(other, &phone(OTHER)).await.unwrap();
    assert!(market.payments.unbind(other, &phone(OTHER)).await.is_err());
    assert_eq!(market.payments.account_of(&phone(OTHER)).await.unwrap(), None);
    assert_eq!(market.house(House::Funding).await, -7_000);
    assert!(market.payments.describe()[0].idempotent_submit);
    market.close().await;
}

async fn a_better_sms_replaces_the_plain_one(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let request = market.request(account, ME, ME, 5_000);
    let id = request.id;
    market.payments.pay(request).await.unwrap();
    let now = market.clock.now().0;
    let plain = market.store.outbox_of(id).await.unwrap();
    assert!(plain[0].due_at > now, "the plain one waits for the conversation: {plain:?}");
    let day = 24 * 3_600 * 1_000_000;
    assert_eq!((plain[0].state, plain[0].expires_at), (OutboxState::Waiting, plain[0].created_at + day));
    for _ in 0..2 {
        market.payments.queue_sms(Some(id), &phone(ME), "Thank you".to_owned()).await.unwrap();
    }
    let mut queued = market.store.outbox_of(id).await.unwrap();
    queued.sort_by_key(|row| row.state);
    assert_eq!(queued.len(), 2, "{queued:?}");
    assert_eq!((queued[0].state, queued[0].body.as_str()), (OutboxState::Waiting, "Thank you"));
    let (state, code) = (queued[1].state, queued[1].code.as_deref());
    assert_eq!((queued[1].id, state, code), (plain[0].id, OutboxState::Failed, Some("replaced")));
    market.close().await;
}

async fn a_saved_session_is_one_nodes_at_a_time(database: Database) {
    let market = Market::open(database).await;
    let payments = &market.payments;
    let now = market.clock.now().0;
    let row = SessionRow {
        id: Id::new(now),
        caller: phone(ME),
        channel: 1,
        flow: "recharge".into(),
        version: "v1".into(),
        state: "{\"a\":\"ü\"}".into(),
        account: Some(Id::new(now)),
        payment: None,
        revision: 1,
        saved_at: now,
        expires_at: now + 60_000_000,
        key: None,
        dialogue: None,
        route: None,
    };
    assert!(payments.save_session(row.clone()).await.unwrap());
    assert!(!payments.save_session(row.clone()).await.unwrap(), "revision 1 is there already");
    assert_eq!(payments.session_of(&phone(ME), "recharge").await.unwrap(), Some(row.clone()));
    assert_eq!(payments.session_of(&phone(ME), "other").await.unwrap(), None);
    assert_eq!(payments.session_of(&phone(OTHER), "recharge").await.unwrap(), None);
    // Ten go on with it at once: one of them does.
    let next = SessionRow { revision: 2, state: "{}".into(), payment: Some(Id::new(now)), ..row.clone() };
    let tries = (0..10).map(|_| payments.save_session(next.clone()));
    let won: Vec<bool> =
        futures_util::future::join_all(tries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    assert_eq!(payments.session_of(&phone(ME), "recharge").await.unwrap(), Some(next));
    // What is over is not found, and in time not kept.
    let old = SessionRow { id: Id::new(now), flow: "old".into(), expires_at: now, ..row.clone() };
    assert!(payments.save_session(old).await.unwrap());
    assert_eq!(payments.session_of(&phone(ME), "old").await.unwrap(), None);
    // The daemon's own sweep may have been here.
    assert!(market.store.forget_sessions(now, 0).await.unwrap() <= 1);
    assert_eq!(market.store.forget_sessions(now, 0).await.unwrap(), 0);
    payments.end_session(row.id).await.unwrap();
    payments.end_session(row.id).await.unwrap();
    assert_eq!(payments.session_of(&phone(ME), "recharge").await.unwrap(), None);
    market.close().await;
}

async fn chance_faults_never_cost_or_make_money(database: Database) {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let market = Market::open_with(database, |plans| {
        plans.carrier.faults_per_mille = 500;
        plans.carrier.seed = seed;
        plans.carrier.hang = Duration::from_millis(700);
        plans.settings.day_limit_minor = 100_000_000;
        plans.settings.pin.tries_max = 1_000;
        plans.settings.answer_within = Duration::from_millis(50);
    })
    .await;
    let account = market.account(ME, 10_000_000).await;
    let mut ids = Vec::new();
    for round in 0..4 {
        let calls: Vec<_> = (0..10)
            .map(|n| {
                let request = market.request(account, ME, &format!("+861380000{round}1{n:02}"), 5_000);
                ids.push(request.id);
                let payments = market.payments.clone();
                tokio::spawn(async move { payments.pay(request).await.unwrap() })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    }
    let mut delivered = 0;
    for id in ids {
        let ends = async {
            loop {
                let payment = market.payment(id).await;
                if payment.state.is_definite() {
                    return payment;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let payment = tokio::time::timeout(Duration::from_secs(60), ends).await.expect("every payment ends");
        let carried = market.carrier(&payment.target.text());
        let recharged = carried.iter().filter(|r| r.state == "delivered").count();
        assert_eq!(recharged, usize::from(payment.state == State::Delivered), "{payment:?} {carried:?}");
        delivered += i64::from(payment.state == State::Delivered);
    }
    assert!(delivered > 0);
    assert_eq!(market.money(account).await, (10_000_000 - 5_000 * delivered, 0));
    market.close().await;
}

/// Two nodes on one database: every payment is carried out once, and what is due is asked for by one of them.
async fn two_nodes_share_the_work(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.settings.sole_node = false;
        plans.settings.answer_within = Duration::from_millis(100);
    })
    .await;
    let (second, stop) = market.second_node().await;
    let account = market.account(ME, 500_000).await;
    let mut ids = Vec::new();
    for (n, suffix) in ["913", "920", "922", "924", "913", "920"].iter().enumerate() {
        let request = market.request(account, ME, &format!("+861380000{n}{suffix}"), 5_000);
        ids.push(request.id);
        let node = if n % 2 == 0 { &market.payments } else { &second };
        assert_eq!(node.pay(request.clone()).await.unwrap().name(), "pending");
        let other = if n % 2 == 0 { &second } else { &market.payments };
        assert!(["pending", "delivered"].contains(&other.pay(request).await.unwrap().name()), "one answer");
    }
    for id in ids {
        let payment = market.until(id, State::Delivered).await;
        assert_eq!(market.carrier(&payment.target.text()).len(), 1);
    }
    assert_eq!(market.money(account).await, (500_000 - 30_000, 0));
    assert!(second.drain(Duration::from_secs(30)).await);
    stop.cancel();
    market.close().await;
}

/// PINs, right and wrong, are in no file of the database and not in the carrier's log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_are_in_no_file() {
    let canaries = ["80264915", "59318472", "40718293"];
    let market = Market::open(Database::Sqlite).await;
    let account = market.account(ME, 500_000).await;
    market.payments.set_pin(account, Secret::from(canaries[0])).await.unwrap();
    market.payments.set_pin(account, Secret::from(canaries[1])).await.unwrap();
    for canary in canaries {
        let mut request = market.request(account, ME, ME, 5_000);
        request.pin = Pin::Typed(Secret::from(canary));
        request.repeat = true;
        let outcome = market.payments.pay(request).await;
        assert!(!format!("{outcome:?}").contains(canary));
    }
    let mut files = 0;
    for entry in std::fs::read_dir(market.carrier_log.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        files += 1;
        for canary in canaries {
            assert!(!bytes.windows(canary.len()).any(|w| w == canary.as_bytes()), "{canary}");
        }
    }
    assert!(files >= 2, "the database and the log were looked at");
    market.close().await;
}
