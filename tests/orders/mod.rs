//! Merchants' orders over real HTTP and on both databases: placed once, paid, frozen, released, returned, refunded,
//! disputed; and a receiver of webhooks that misbehaves.

pub(crate) mod asks;
mod recall;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Held;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use keytone::http::{Gateways, serve};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome};
use keytone::payment::order::{Input, State};
use keytone::payment::run::{NewMerchant, OrderPayment, PayOrder};
use keytone::payment::share::Fee;
use keytone::payment::webhook::signatures;
use keytone::secret::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::orders::asks::{
    a_customer_is_asked_by_text_in_his_language, a_days_limits_hold_whoever_asks_at_once, a_no_is_respected,
    the_ways_are_gone_one_after_the_other, what_was_on_its_way_when_a_process_died_is_unknown,
    who_asks_too_fast_is_told_to_wait,
};
use crate::orders::recall::what_was_paid_is_told_after_a_crash;
use crate::support::market::{Database, Market, PIN, Plans, phone};

pub(crate) const ME: &str = "+8613800000001";

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::orders::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::orders::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    an_order_is_placed_once_paid_and_confirmed,
    time_limits_and_disputes_end_where_they_should,
    refunds_come_from_the_merchants_own_money,
    webhooks_reach_a_receiver_that_misbehaves,
    what_was_paid_is_told_after_a_crash,
    a_customer_is_asked_by_text_in_his_language,
    the_ways_are_gone_one_after_the_other,
    what_was_on_its_way_when_a_process_died_is_unknown,
    a_no_is_respected,
    a_days_limits_hold_whoever_asks_at_once,
    who_asks_too_fast_is_told_to_wait,
);

/// A shop: a market with its HTTP side, a customer and a merchant.
pub(crate) struct Shop {
    pub(crate) market: Market,
    http: reqwest::Client,
    base: String,
    merchant: Id,
    key: String,
    hook_key: Secret,
    pub(crate) payer: Id,
}

type Seen = Arc<Mutex<Vec<(HeaderMap, String)>>>;

async fn hook(Held(seen): Held<Seen>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut seen = seen.lock().unwrap();
    seen.push((headers, String::from_utf8(body.to_vec()).unwrap()));
    // The first attempt of each is refused.
    let id = seen.last().unwrap().0["webhook-id"].clone();
    let times = seen.iter().filter(|(headers, _)| headers["webhook-id"] == id).count();
    if times == 1 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

impl Shop {
    pub(crate) async fn open(database: Database, webhook_url: Option<String>) -> Self {
        Self::open_with(database, webhook_url, |plans| plans.settings.webhooks_private = true).await
    }

    pub(crate) async fn open_with(
        database: Database,
        webhook_url: Option<String>,
        change: impl FnOnce(&mut Plans),
    ) -> Self {
        let market = Market::open_with(database, change).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let payments = market.payments.clone();
        tokio::spawn(serve(listener, payments, Gateways::<()>::default(), std::future::pending()));
        let fee = Fee::new("0.015", 0).unwrap();
        let new = NewMerchant { name: "City Shop".to_owned(), fee, webhook_url };
        let (row, key, hook_key) = market.payments.add_merchant(new).await.unwrap();
        let key = String::from_utf8(key.expose().to_vec()).unwrap();
        let payer = market.account(ME, 100_000).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { market, http, base, merchant: row.id, key, hook_key, payer }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        request = request.header("idempotency-key", key);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    pub(crate) async fn place(&self, key: &str, more: Value) -> Value {
        let mut body =
            json!({ "customer": ME, "amount": "100.01", "currency": "CNY", "description": "a kettle" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, order) = self.ask("POST", "/v1/orders", key, Some(body)).await;
        assert_eq!(status, 201, "{order}");
        order
    }

    fn asked(&self, order: &Value, amount_minor: i64, pin: &str) -> PayOrder {
        PayOrder {
            id: self.market.id(),
            account: self.payer,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            number: order["number"].as_str().unwrap().to_owned(),
            amount_minor,
            pin: Secret::from(pin),
        }
    }

    async fn state(&self, order: &Value) -> String {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
        self.ask("GET", &path, "", None).await.1["state"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn until(&self, order: &Value, wanted: &str) {
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            while self.state(order).await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "still {} and not {wanted}", self.state(order).await);
    }

    async fn balance(&self) -> i64 {
        self.market.money(self.merchant).await.0
    }
}

pub(crate) fn id(order: &Value) -> Id {
    Id::parse(order["id"].as_str().unwrap()).unwrap()
}

async fn an_order_is_placed_once_paid_and_confirmed(database: Database) {
    let shop = Shop::open(database, None).await;
    let payments = &shop.market.payments;
    let order = shop.place("k1", json!({ "frozen": true })).await;
    assert_eq!(shop.place("k1", json!({ "frozen": true })).await, order, "the same again");
    let other = json!({ "customer": ME, "amount": "9", "currency": "CNY", "description": "a kettle" });
    let (status, error) = shop.ask("POST", "/v1/orders", "k1", Some(other)).await;
    assert_eq!((status, error["error"]["code"].as_str()), (409, Some("idempotency_key_reused")));
    let (status, _) = shop.ask("POST", "/v1/orders", "k2", Some(json!({ "amount": "1" }))).await;
    assert_eq!(status, 400);
    assert_eq!(payments.unpaid_orders(shop.payer).await.unwrap().len(), 1);

    let wrong = payments.pay_order(shop.asked(&order, 10_001, "918273")).await.unwrap();
    assert!(matches!(wrong, OrderPayment::Told(PayOutcome::WrongPin { .. })), "{wrong:?}");
    let otherwise = payments.pay_order(shop.asked(&order, 10_000, PIN)).await.unwrap();
    assert_eq!(otherwise, OrderPayment::Gone, "what was heard is what is paid");
    let asked = shop.asked(&order, 10_001, PIN);
    let paid = payments.pay_order(asked.clone()).await.unwrap();
    assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
    assert_eq!(payments.pay_order(asked).await.unwrap(), paid, "the same id again");
    assert_eq!(payments.pay_order(shop.asked(&order, 10_001, PIN)).await.unwrap(), OrderPayment::Gone);
    assert_eq!(shop.market.house(House::Intermediary).await, 10_001);
    assert_eq!(shop.market.money(shop.payer).await, (89_999, 0));

    let asked = shop.asked(&order, 10_001, PIN);
    assert_eq!(payments.confirm_order(asked.clone()).await.unwrap(), OrderPayment::Released);
    assert_eq!(payments.confirm_order(asked).await.unwrap(), OrderPayment::Released, "the same id again");
    assert_eq!((shop.balance().await, shop.market.house(House::Fee).await), (9_850, 150));
    assert_eq!(shop.market.house(House::Rounding).await, 1, "150.015 is charged as 1.51");
    assert_eq!(shop.ask("GET", "/v1/balance", "", None).await.1["balance"], "98.50");

    let plain = shop.place("k3", json!({})).await;
    let paid = payments.pay_order(shop.asked(&plain, 10_001, PIN)).await.unwrap();
    assert!(matches!(paid, OrderPayment::Paid { .. }), "{paid:?}");
    assert_eq!(shop.state(&plain).await, "released");
    let (_, page) = shop.ask("GET", "/v1/orders?limit=1", "", None).await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(page["orders"][0]["id"], plain["id"]);
    let (_, page) = shop.ask("GET", &format!("/v1/orders?limit=1&before={next}"), "", None).await;
    assert_eq!(page["orders"][0]["id"], order["id"]);

    payments.suspend_merchant(shop.merchant, true).await.unwrap();
    let body = json!({ "customer": ME, "amount": "1", "currency": "CNY", "description": "x" });
    assert_eq!(shop.ask("POST", "/v1/orders", "k4", Some(body)).await.0, 403);
    payments.new_merchant_key(shop.merchant).await.unwrap();
    assert_eq!(shop.ask("GET", "/v1/balance", "", None).await.0, 401, "the old key is void");
    shop.market.close().await;
}

async fn time_limits_and_disputes_end_where_they_should(database: Database) {
    let shop = Shop::open(database, None).await;
    let payments = &shop.market.payments;
    let unpaid = shop.place("a", json!({ "expires_seconds": 1 })).await;
    let returned = shop.place("b", json!({ "frozen": true, "freeze_seconds": 1 })).await;
    let released =
        shop.place("c", json!({ "frozen": true, "freeze_seconds": 1, "on_timeout": "release" })).await;
    let disputed = shop.place("d", json!({ "frozen": true })).await;
    let cancelled = shop.place("e", json!({})).await;
    for order in [&returned, &released, &disputed] {
        payments.pay_order(shop.asked(order, 10_001, PIN)).await.unwrap();
    }
    let cancel = format!("/v1/orders/{}/cancel", cancelled["id"].as_str().unwrap());
    assert_eq!(shop.ask("POST", &cancel, "", None).await.1["state"], "cancelled");
    assert_eq!(shop.ask("POST", &cancel, "", None).await.0, 200, "it is so already");
    assert_eq!(payments.pay_order(shop.asked(&cancelled, 10_001, PIN)).await.unwrap(), OrderPayment::Gone);
    assert!(payments.dispute_order(shop.payer, disputed["number"].as_str().unwrap()).await.unwrap());
    shop.until(&unpaid, "expired").await;
    shop.until(&returned, "returned").await;
    shop.until(&released, "released").await;
    assert_eq!(shop.market.house(House::Intermediary).await, 10_001, "only what is disputed");
    let resolve = |one: &str, other: &str| Input::Resolve {
        customer_minor: 10_001,
        staff: [one.to_owned(), other.to_owned()],
        reason: "never sent".to_owned(),
    };
    assert!(payments.step_order(id(&disputed), &resolve("ann", "ann")).await.unwrap().is_err());
    let row = payments.step_order(id(&disputed), &resolve("ann", "bo")).await.unwrap().unwrap();
    assert_eq!(row.state, State::Resolved.number());
    assert_eq!(shop.market.house(House::Intermediary).await, 0);
    assert_eq!(shop.market.money(shop.payer).await, (89_999, 0));
    shop.market.close().await;
}

async fn refunds_come_from_the_merchants_own_money(database: Database) {
    let shop = Shop::open(database, None).await;
    let payments = &shop.market.payments;
    let order = shop.place("a", json!({})).await;
    payments.pay_order(shop.asked(&order, 10_001, PIN)).await.unwrap();
    let refund = format!("/v1/orders/{}/refund", order["id"].as_str().unwrap());
    let part = Some(json!({ "amount": "40" }));
    let (status, first) = shop.ask("POST", &refund, "r1", part.clone()).await;
    assert_eq!((status, first["order"]["state"].as_str()), (200, Some("partly_refunded")), "{first}");
    assert_eq!(shop.ask("POST", &refund, "r1", part).await.1["refund"], first["refund"]);
    assert_eq!(shop.ask("POST", &refund, "r1", Some(json!({ "amount": "41" }))).await.0, 409);
    assert_eq!(shop.ask("POST", &refund, "r2", Some(json!({ "amount": "60.02" }))).await.0, 422);
    // The fee is kept, so the merchant's balance alone is too low for the rest.
    let rest = Some(json!({ "amount": "60.01" }));
    let (status, parked) = shop.ask("POST", &refund, "r3", rest.clone()).await;
    assert_eq!((status, parked["refund"]["state"].as_str()), (202, Some("needs_review")), "{parked}");
    assert_eq!(payments.refunds(None).await.unwrap().len(), 1);
    let more = shop.place("b", json!({})).await;
    payments.pay_order(shop.asked(&more, 10_001, PIN)).await.unwrap();
    let (status, done) = shop.ask("POST", &refund, "r3", rest).await;
    assert_eq!((status, done["order"]["state"].as_str()), (200, Some("returned")), "{done}");
    assert_eq!(payments.refunds(None).await.unwrap(), []);
    assert_eq!(shop.balance().await, 9_850 - 151);
    assert_eq!(shop.market.money(shop.payer).await, (89_999, 0));
    shop.market.close().await;
}

async fn webhooks_reach_a_receiver_that_misbehaves(database: Database) {
    let seen = Seen::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let app = Router::new().route("/hook", post(hook)).with_state(Arc::clone(&seen));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let shop = Shop::open(database, Some(format!("http://{address}/hook"))).await;
    let order = shop.place("a", json!({})).await;
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let webhooks = shop.market.payments.webhooks_of(id(&order)).await.unwrap();
            if webhooks[0].state == 2 {
                return webhooks[0].clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let told = told.await.expect("the second attempt is taken");
    let attempts = shop.market.payments.webhook_attempts(told.id).await.unwrap();
    assert_eq!(attempts.iter().map(|a| a.status).collect::<Vec<_>>(), [Some(500), Some(204)]);
    {
        let seen = seen.lock().unwrap();
        let (headers, body) = &seen[1];
        let text = |name: &str| headers[name].to_str().unwrap();
        let timestamp = text("webhook-timestamp").parse().unwrap();
        let key = [shop.hook_key.clone()];
        assert_eq!(text("webhook-signature"), signatures(&key, text("webhook-id"), timestamp, body));
        assert_eq!(seen[0].0["webhook-id"], headers["webhook-id"], "stable over attempts");
        assert!(body.contains("order.created") && !body.contains(&shop.key));
    }
    assert!(shop.market.payments.resend_webhook(told.id).await.unwrap());
    let again = tokio::time::timeout(Duration::from_secs(10), async {
        while seen.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    again.await.expect("it is sent again");
    shop.market.close().await;
}
