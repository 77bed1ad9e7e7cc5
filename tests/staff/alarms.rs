//! Alarms on both databases, with a receiver that misbehaves: told once over restarts, repeated, cleared, signed, and tried
//! again until somebody takes it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use keytone::clock::{Clock, Timestamp};
use keytone::payment::alarm::{Bounds, Kind, Reading};
use keytone::payment::row::State as Stage;
use keytone::payment::run::alarms::{Watch, of_binds};
use keytone::payment::staff::{Act, Movement};
use keytone::payment::webhook;
use keytone::secret::Secret;
use tokio::net::TcpListener;

use super::{ME, asked};
use crate::support::market::{Database, Market, phone};

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::alarms::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::alarms::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    what_is_wrong_is_told_once_whoever_restarts,
    a_receiver_that_misbehaves_is_told_until_it_takes_it,
    every_kind_is_raised_and_cleared,
);

const MORNING: Timestamp = Timestamp(1_777_773_600_000_000);
const KEY: &str = "0123456789abcdef0123456789abcdef";
const STAFF: &str = "+8613900000001";

/// What a receiver heard: id, whether the signature was right, body.
type Heard = Arc<Mutex<Vec<(String, bool, serde_json::Value)>>>;

#[derive(Clone)]
struct Receiver {
    heard: Heard,
    /// Statuses of the next answers; then 204. 0 closes the connection without an answer.
    answers: Arc<Mutex<Vec<u16>>>,
}

async fn hook(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let wanted = webhook::signatures(&[Secret::from(KEY)], &id, at.parse().unwrap(), &body);
    let right = header("webhook-signature") == wanted;
    receiver.heard.lock().unwrap().push((id, right, serde_json::from_str(&body).unwrap()));
    let answer = receiver.answers.lock().unwrap().pop();
    match answer {
        Some(0) => panic!("the connection breaks without an answer"),
        Some(status) => StatusCode::from_u16(status).unwrap(),
        None => StatusCode::NO_CONTENT,
    }
}

async fn receiver(answers: &[u16]) -> (String, Receiver) {
    let mut answers = answers.to_vec();
    answers.reverse();
    let receiver = Receiver { heard: Heard::default(), answers: Arc::new(Mutex::new(answers)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let app = Router::new().route("/hook", post(hook)).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, receiver)
}

async fn market(database: Database, url: String) -> Market {
    Market::open_at(Clock::manual(MORNING), database, |plans| {
        let alarms = &mut plans.settings.alarms;
        alarms.webhook = Some(url);
        alarms.key = Some(Secret::from(KEY));
        alarms.numbers = vec![phone(STAFF)];
        alarms.float_least_minor = Some(10_000);
        alarms.repeat = Duration::from_secs(3_600);
        alarms.trust_short_minor = Some(1_000);
        alarms.verify_every = Some(Duration::from_secs(60));
        plans.settings.status_schedule = vec![Duration::from_secs(36_000_000); 3];
        plans.settings.answer_within = Duration::from_millis(300);
        plans.carrier.callback_url = None;
    })
    .await
}

async fn top_up(market: &Market, amount_minor: i64) {
    let act = Act::Move {
        movement: Movement::FloatTopUp,
        amount_minor,
        account: None,
        connector: Some("sandbox".to_owned()),
        discount_minor: 0,
    };
    market.payments.ask_staff(&asked(market, "ana", act)).await.unwrap().unwrap();
}

async fn round(market: &Market, watch: &mut Watch) {
    market.payments.look(watch, &[], Vec::new()).await.unwrap();
    market.payments.tell_staff(watch).await.unwrap();
}

fn said(receiver: &Receiver) -> Vec<String> {
    let heard = receiver.heard.lock().unwrap();
    assert!(heard.iter().all(|(_, right, _)| *right), "a signature is wrong");
    heard.iter().map(|(_, _, body)| body["type"].as_str().unwrap().to_owned()).collect()
}

async fn texts(market: &Market) -> Vec<String> {
    use keytone::store::OutboxFilter;
    let wanted = OutboxFilter { recipient: Some(STAFF.to_owned()), limit: 50, ..OutboxFilter::default() };
    let mut rows = market.store.outbox_list(&wanted).await.unwrap();
    rows.reverse();
    rows.into_iter().map(|row| row.body).collect()
}

async fn what_is_wrong_is_told_once_whoever_restarts(database: Database) {
    let (url, receiver) = receiver(&[]).await;
    let market = market(database, url).await;
    let mut watch = Watch::default();
    round(&market, &mut watch).await;
    assert_eq!(said(&receiver), ["alarm.raised"]);
    for _ in 0..3 {
        // Every round as if the process had just begun.
        market.clock.advance(Duration::from_secs(60));
        round(&market, &mut Watch::default()).await;
    }
    assert_eq!(said(&receiver).len(), 1);
    // Just above the bound is not well yet; a tenth above it is.
    top_up(&market, 10_500).await;
    round(&market, &mut watch).await;
    assert_eq!(said(&receiver).len(), 1);
    market.clock.advance(Duration::from_secs(3_600));
    round(&market, &mut watch).await;
    assert_eq!(said(&receiver), ["alarm.raised", "alarm.repeated"]);
    top_up(&market, 1_000).await;
    round(&market, &mut watch).await;
    assert_eq!(said(&receiver), ["alarm.raised", "alarm.repeated", "alarm.cleared"]);
    let heard = receiver.heard.lock().unwrap().clone();
    assert_eq!(heard[0].2["data"]["kind"], "float_low");
    assert_eq!(heard[0].2["data"]["subject"], "sandbox");
    let texts = texts(&market).await;
    // Rows of one millisecond are in no order.
    let mut words: Vec<&str> = texts.iter().map(|text| text.split(' ').nth(1).unwrap()).collect();
    words.sort_unstable();
    assert_eq!(words, ["ALARM", "OVER", "STILL"], "{texts:?}");
    assert!(market.payments.alarms(true).await.unwrap().is_empty());
    market.close().await;
}

async fn a_receiver_that_misbehaves_is_told_until_it_takes_it(database: Database) {
    let (url, receiver) = receiver(&[500, 302, 0, 429]).await;
    let market = market(database, url).await;
    let mut watch = Watch::default();
    for wait in [0, 5, 30, 120, 600, 1_800] {
        market.clock.advance(Duration::from_secs(wait));
        market.payments.tell_staff(&mut watch).await.unwrap();
        market.payments.look(&mut watch, &[], Vec::new()).await.unwrap();
        market.payments.tell_staff(&mut watch).await.unwrap();
    }
    let heard = receiver.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 5, "four times in vain, then taken: {heard:?}");
    assert!(heard.iter().all(|(id, right, _)| *right && *id == heard[0].0), "one id over all attempts");
    let notices = market.payments.alarm_notices(10).await.unwrap();
    assert_eq!(notices.len(), 1);
    let notice = &notices[0];
    assert_eq!(
        (notice.state, notice.tries, notice.status),
        (webhook::State::Delivered.number(), 5, Some(204))
    );
    market.close().await;
}

async fn every_kind_is_raised_and_cleared(database: Database) {
    let (url, receiver) = receiver(&[]).await;
    let market = market(database, url).await;
    top_up(&market, 90_000).await;
    let account = market.account(ME, 50_000).await;
    let request = market.request(account, ME, "+8613800000906", 5_000);
    let open = request.id;
    market.payments.pay(request).await.unwrap();
    market.until(open, Stage::Unknown).await;
    let mut watch = Watch::default();
    market.payments.look(&mut watch, &[], Vec::new()).await.unwrap();
    // The deposit came from funding and is not on the trust account yet.
    let names = |rows: Vec<keytone::payment::row::alarm::AlarmRow>| -> Vec<(String, i16)> {
        rows.into_iter().map(|row| (format!("{} {}", row.kind, row.subject), row.state)).collect()
    };
    assert_eq!(names(market.payments.alarms(true).await.unwrap()), [("trust now".to_owned(), 2)]);
    market.clock.advance(Duration::from_secs(3_601));
    let binds = [("acme-1".to_owned(), false), ("acme-2".to_owned(), true)].into();
    let down = of_binds(&binds, Duration::from_secs(120));
    market.payments.look(&mut watch, &[Kind::BindDown], down.clone()).await.unwrap();
    let raised = names(market.payments.alarms(true).await.unwrap());
    let wanted = [("bind_down acme-1", 1), ("old_unknown ", 2), ("trust now", 2)];
    assert_eq!(raised, wanted.map(|(name, state)| (name.to_owned(), state)));
    market.clock.advance(Duration::from_secs(120));
    market.payments.look(&mut watch, &[Kind::BindDown], down).await.unwrap();
    assert_eq!(names(market.payments.alarms(true).await.unwrap())[0], ("bind_down acme-1".to_owned(), 2));
    // What a source has and never reads again is left alone; what it does not have any more is over.
    market.payments.look(&mut watch, &[], Vec::new()).await.unwrap();
    assert_eq!(market.payments.alarms(true).await.unwrap().len(), 3);
    market.payments.look(&mut watch, &[Kind::BindDown], Vec::new()).await.unwrap();
    assert_eq!(market.payments.alarms(true).await.unwrap().len(), 2);
    // The books break, and are whole again.
    let sandbox = keytone::ledger::chart::House::Fee.id(crate::support::market::cny());
    let rows =
        format!("where id = {}", crate::support::tamper::literal(sandbox, market.url.starts_with("sqlite")));
    for (sign, wanted) in [("+", 3), ("-", 2)] {
        let sql = format!("update accounts set balance_minor = balance_minor {sign} 1 {rows}");
        crate::support::tamper::tamper(&market.url, &sql).await;
        market.clock.advance(Duration::from_secs(61));
        market.payments.look(&mut watch, &[], Vec::new()).await.unwrap();
        let rows = market.payments.alarms(true).await.unwrap();
        assert_eq!(rows.len(), wanted, "{rows:?}");
        assert_eq!(rows.iter().any(|row| row.kind == "imbalance" && row.detail.contains("I2")), sign == "+");
    }
    let breaker = Reading {
        kind: Kind::BreakerOpen,
        subject: "elsewhere".to_owned(),
        badness: 1,
        bounds: Bounds::so_for(Duration::ZERO),
        detail: "9 of 10 requests in trouble".to_owned(),
    };
    market.payments.look(&mut watch, &[], vec![breaker]).await.unwrap();
    assert!(market.payments.alarms(true).await.unwrap().iter().any(|row| row.kind == "breaker_open"));
    market.payments.tell_staff(&mut watch).await.unwrap();
    let told = said(&receiver);
    assert!(told.len() >= 8 && told.iter().filter(|kind| *kind == "alarm.cleared").count() == 2, "{told:?}");
    market.close().await;
}
