//! Messages of the wallet's own about reservations: the only word, repeated, out of order, unsigned, of strangers, and wrong.

use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::key;
use keytone::connector::key::Encoding;
use keytone::connector::sandbox::{self, provider as wallet};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::CallbackReply;
use keytone::payment::provider::{Provider, Providers};
use keytone::payment::row::State;
use keytone::payment::run::OrderPayment;
use keytone::payment::saga::Stage;
use keytone::payment::settings::Settings;
use serde_json::{Value, json};

use crate::providers::orders::{asked, merchant, new_order, place};
use crate::providers::town::{Town, WALLET};
use crate::support::market::Database;

/// Whatever goes wrong with the messages, everything ends right, with carriers that deliver and that refuse.
pub(super) async fn messages_of_a_provider_are_news_only_when_they_cannot_be_old(database: Database) {
    let town = Town::open_told(database, |file| file).await;
    let mut cases = Vec::new();
    for (suffix, ..) in wallet::NEWS_FAULTS {
        cases.extend([(*suffix, "001"), (*suffix, "902")]);
    }
    // Among them what goes wrong with the requests themselves.
    for suffix in ["001", "901", "903", "905", "920", "924", "928", "930", "931", "933", "940", "943", "950"]
    {
        cases.push((suffix, "001"));
        cases.push((suffix, "902"));
    }
    for (suffix, carrier, state) in town.settle(cases).await {
        if ["990", "991", "992", "994"].contains(&suffix) {
            let wanted = if carrier == "001" { State::Delivered } else { State::Refused };
            assert_eq!(state, wanted, "{suffix} {carrier}");
        }
    }
    let delivered = town.house(House::Settlement(WALLET)).await;
    assert!(delivered < 0 && delivered % 5_000 == 0);
    assert_eq!(town.house(House::Receivable(WALLET)).await, 0);
    // An order too is paid by a message.
    let (merchant, customer) = (merchant(&town).await, town.account("990").await);
    let order = place(&town, &merchant, new_order(&customer)).await;
    let wanted = asked(&town, &customer, &order);
    let id = wanted.id;
    let paid = town.payments.pay_order(wanted).await.unwrap();
    assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
    town.until(id, Stage::Captured).await;
    town.close().await;
}

fn message(reference: &str, code: &str) -> Value {
    json!({ "reference": reference, "id": "WR1", "amount": "50.00", "currency": "CNY", "status": code })
}

fn usual() -> key::Key {
    wallet::Config::new(std::path::PathBuf::new(), Clock::machine()).key
}

/// A message signed now, or `age` seconds ago.
async fn tell(town: &Town, body: &Value, age: i64, key: &key::Key) -> CallbackReply {
    let body = body.to_string();
    let timestamp = (Clock::machine().now().0.div_euclid(1_000_000) - age).to_string();
    let signature = key::sign(key, format!("{timestamp}.{body}").as_bytes(), Encoding::Hex);
    let signed = [(sandbox::SIGNATURE_HEADER, signature), (sandbox::TIMESTAMP_HEADER, timestamp)];
    let headers = signed.map(|(name, value)| (name.to_owned(), value));
    town.payments.callback(WALLET, &headers, body.as_bytes()).await
}

/// The wallet says that it keeps the money.
pub(super) async fn reserved(town: &Town, payment: Id) {
    let row = town.row(payment).await;
    let body = json!({ "reference": row.reference, "status": "RESERVED" });
    assert_eq!(tell(town, &body, 0, &usual()).await.status, 200);
}

/// A caller hears soon that it is not known yet, but the wallet may take its time.
pub(super) fn unhurried(settings: &mut Settings) {
    settings.answer_within = Duration::from_millis(100);
    let patient = |p: &Provider| Provider { reserve_within: Duration::from_secs(120), ..p.clone() };
    settings.providers = Providers::new(settings.providers.all().iter().map(patient).collect());
}

pub(super) async fn a_message_is_proved_matched_and_compared(database: Database) {
    let town = Town::open_with(database, unhurried).await;
    let key = usual();
    let account = town.account("904").await;
    let (id, outcome) = town.pay(&account, "001").await;
    assert_eq!(outcome.name(), "pending");
    let reference = town.row(id).await.reference;
    let good = message(&reference, "RESERVED");
    let stranger = key::Key::new(b"another".to_vec());
    assert_eq!(tell(&town, &good, 0, &stranger).await.status, 401, "of anybody");
    assert_eq!(tell(&town, &good, 3_600, &key).await.status, 401, "an old one, replayed");
    assert_eq!(tell(&town, &message("r-unknown", "RESERVED"), 0, &key).await.status, 404);
    assert_eq!(tell(&town, &json!({ "status": "RESERVED" }), 0, &key).await.status, 400);
    let unsigned = town.payments.callback(WALLET, &[], good.to_string().as_bytes()).await;
    assert_eq!(unsigned.status, 401);
    // True of another amount, or of nothing that is known: it is asked about, and nothing more.
    let mut other = good.clone();
    other["amount"] = json!("51.00");
    for body in [other, message(&reference, "WHAT"), message(&reference, "PENDING")] {
        assert_eq!(tell(&town, &body, 0, &key).await.status, 200);
        assert_eq!(town.row(id).await.stage, Stage::Reserving.number(), "{body}");
    }
    // Its word counts, and once: what the wallet itself still calls pending is delivered, and not captured there.
    assert_eq!(tell(&town, &good, 0, &key).await.status, 200);
    town.until(id, Stage::Capturing).await;
    for code in ["RESERVED", "PENDING", "NO_MONEY"] {
        assert_eq!(tell(&town, &message(&reference, code), 0, &key).await.status, 200);
        assert_eq!(town.row(id).await.stage, Stage::Capturing.number(), "{code} is old by now");
    }
    assert_eq!(town.state(id).await, State::Delivered);
    assert_eq!(tell(&town, &message(&reference, "CAPTURED"), 0, &key).await.status, 200);
    town.until(id, Stage::Captured).await;
    for code in ["RESERVED", "CAPTURED", "PENDING"] {
        assert_eq!(tell(&town, &message(&reference, code), 0, &key).await.status, 200);
        assert_eq!(town.row(id).await.stage, Stage::Captured.number(), "{code}");
    }
    assert_eq!(town.house(House::Settlement(WALLET)).await, -5_000, "booked once");
    // Given back by the wallet, though nobody asked: staff are told, nothing is booked.
    assert_eq!(tell(&town, &message(&reference, "REFUNDED"), 0, &key).await.status, 200);
    let row = town.row(id).await;
    assert_eq!(
        (row.stage, row.class.as_deref()),
        (Stage::Captured.number(), Some("refunded while captured"))
    );
    assert_eq!(town.house(House::Settlement(WALLET)).await, -5_000);
    town.close().await;
}

/// Without a signature in the file anybody may send it: the provider is asked, and its answer counts.
pub(super) async fn an_unsigned_message_only_makes_us_ask(database: Database) {
    let town = Town::open_told(database, |file| {
        let (before, rest) = file.split_once("\n[reserve_callback.signature]\n").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        format!("{before}{after}")
    })
    .await;
    let account = town.account("904").await;
    let request = town.request(&account, "001");
    let id = request.id;
    let payments = town.payments.clone();
    let paying = tokio::spawn(async move { payments.pay(request).await.unwrap() });
    town.until_row(id, |row| row.tries > 0).await;
    let reference = town.row(id).await.reference;
    let body = message(&reference, "RESERVED").to_string();
    assert_eq!(town.payments.callback(WALLET, &[], body.as_bytes()).await.status, 200);
    // Pending for ever, whoever says otherwise: given up.
    town.until(id, Stage::Released).await;
    assert_ne!(paying.await.unwrap().name(), "delivered");
    assert_eq!(town.state(id).await, State::Refused);
    assert_eq!(town.asked_of_carrier(), 0);
    town.close().await;
}
