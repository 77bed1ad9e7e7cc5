//! Customers who are asked to pay an order, or to confirm its receipt: the ways, the limits, the customer's no.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keytone::connector::pace::Limits;
use keytone::payment::ask;
use keytone::payment::ask::{Asks, Question, Quiet, Said, State, Want, Way};
use keytone::payment::row::ask::AskRow;
use keytone::payment::run::OrderPayment;
use keytone::payment::run::asks::Ways;
use keytone::payment::unit::Op;
use keytone::store::OutboxFilter;
use serde_json::{Value, json};

use crate::orders::{ME, Shop, id};
use crate::support::market::{Database, PIN, Plans, phone};

const PATIENCE: Duration = Duration::from_secs(60);

/// A way that says what it is told to, and counts.
struct Told {
    says: Mutex<Vec<Said>>,
    asked: AtomicUsize,
}

impl Told {
    fn new(says: &[Said]) -> Arc<Self> {
        Arc::new(Self { says: Mutex::new(says.to_vec()), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Asks for Told {
    fn ask(&self, question: Question) -> Pin<Box<dyn Future<Output = Said> + Send>> {
        assert_eq!(question.code, format!("*126*{}#", question.number));
        self.asked.fetch_add(1, Ordering::SeqCst);
        let said = self.says.lock().unwrap().pop().unwrap_or_else(|| Said::Refused("no more".to_owned()));
        Box::pin(std::future::ready(said))
    }
}

impl Shop {
    async fn have_asked(&self, order: &Value, key: &str, body: Option<Value>) -> (u16, Value) {
        let path = format!("/v1/orders/{}/ask", order["id"].as_str().unwrap());
        self.ask("POST", &path, key, body).await
    }

    /// What was asked about an order, once the last one stands so.
    pub(crate) async fn until_asked(&self, order: &Value, wanted: &str) -> Vec<Value> {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let asks = self.ask("GET", &path, "", None).await.1["asks"].as_array().unwrap().clone();
                if asks.last().is_some_and(|ask| ask["state"] == wanted) {
                    return asks;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("it never was {wanted}"))
    }

    pub(crate) async fn texts(&self) -> Vec<String> {
        let filter = OutboxFilter {
            state: None,
            recipient: Some(ME.to_owned()),
            route: None,
            since: None,
            limit: 100,
        };
        let rows = self.market.payments.outbox_list(&filter).await.unwrap();
        rows.into_iter().map(|row| row.body).collect()
    }

    /// What the merchant is told of an order, in order.
    async fn news(&self, order: &Value) -> Vec<String> {
        let hooks = self.market.payments.webhooks_of(id(order)).await.unwrap();
        hooks.into_iter().map(|hook| hook.kind).filter(|kind| kind.contains("ask")).collect()
    }

    fn ways(&self, screens: &Arc<Told>, calls: &Arc<Told>) {
        let (screens, calls) = (screens.clone() as Arc<dyn Asks>, calls.clone() as Arc<dyn Asks>);
        self.market.payments.ask_by(Ways { screens, calls });
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

pub(super) async fn a_customer_is_asked_by_text_in_his_language(database: Database) {
    let shop = Shop::open(database, None).await;
    shop.market.payments.set_language(shop.payer, "fr").await.unwrap();
    let order = shop.place("o", json!({ "frozen": true })).await;
    assert_eq!(code(&shop.have_asked(&order, "a", Some(json!({ "for": "receipt" }))).await.1), "state");
    let (status, asked) = shop.have_asked(&order, "a", None).await;
    assert_eq!((status, asked["for"].as_str()), (202, Some("pay")), "{asked}");
    let asks = shop.until_asked(&order, "texted").await;
    assert_eq!((asks.len(), &asks[0]["id"], asks[0]["way"].as_str()), (1, &asked["id"], Some("sms")));
    assert_eq!(asks[0]["detail"], "ussd: not available");
    let number = order["number"].as_str().unwrap();
    let text =
        format!("City Shop vous demande de payer la commande {number} : 100.01 CNY. Composez *126*{number}#");
    let texts = shop.texts().await;
    assert!(texts.iter().any(|body| body.starts_with(&text)), "{texts:?}");
    assert_eq!(shop.news(&order).await, ["order.asked"]);
    // The same key is the same asking; another one is too soon, and says so.
    assert_eq!(shop.have_asked(&order, "a", None).await.1["id"], asked["id"]);
    assert_eq!(
        code(&shop.have_asked(&order, "a", Some(json!({ "for": "receipt" }))).await.1),
        "idempotency_key_reused"
    );
    let (status, answer) = shop.have_asked(&order, "b", None).await;
    assert_eq!((status, code(&answer)), (429, "too_soon"));
    assert_eq!(shop.texts().await.len(), texts.len());
    // Paid and frozen, it is its receipt that is asked for.
    let paid = shop.market.payments.pay_order(shop.asked(&order, 10_001, PIN)).await.unwrap();
    assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
    let (status, asked) = shop.have_asked(&order, "c", Some(json!({ "for": "receipt" }))).await;
    assert_eq!((status, asked["for"].as_str()), (202, Some("receipt")), "{asked}");
    assert_eq!(shop.until_asked(&order, "texted").await.len(), 2);
    assert!(shop.texts().await.iter().any(|body| body.contains("si vous avez reçu la commande")));
    // What is disputed is not asked about.
    assert!(shop.market.payments.dispute_order(shop.payer, number).await.unwrap());
    assert_eq!(code(&shop.have_asked(&order, "d", None).await.1), "state");
    assert_eq!(shop.have_asked(&order, "", None).await.0, 422);
    shop.market.close().await;
}

fn no_texts(plans: &mut Plans) {
    plans.settings.webhooks_private = true;
    plans.settings.asks.ways = vec![Way::Ussd, Way::Call];
    plans.settings.asks.between_us = 0;
}

pub(super) async fn the_ways_are_gone_one_after_the_other(database: Database) {
    let shop = Shop::open_with(database, None, no_texts).await;
    let busy = || Said::Refused("he is busy".to_owned());
    // The last one of each is what is said first.
    let screens = Told::new(&[busy(), Said::Unknown, busy(), Said::Taken]);
    let calls = Told::new(&[Said::Taken]);
    shop.ways(&screens, &calls);
    let order = shop.place("o", json!({})).await;
    let mut wanted = Vec::new();
    for (key, state, detail) in
        [("a", "shown", ""), ("b", "called", "ussd: he is busy"), ("c", "unknown", "")]
    {
        assert_eq!(shop.have_asked(&order, key, None).await.0, 202, "{key}");
        let asks = shop.until_asked(&order, state).await;
        assert_eq!(asks.last().unwrap()["detail"], detail);
        wanted.push("order.asked");
    }
    assert_eq!(shop.news(&order).await, wanted);
    // Three of one order are enough; another order is another thing.
    let (status, answer) = shop.have_asked(&order, "d", None).await;
    assert_eq!((status, code(&answer)), (409, "ask_limit"));
    let other = shop.place("p", json!({})).await;
    assert_eq!(shop.have_asked(&other, "e", None).await.0, 202);
    let asks = shop.until_asked(&other, "failed").await;
    assert_eq!(asks[0]["detail"], "ussd: he is busy; call: no more");
    assert_eq!(shop.news(&other).await, ["order.ask_failed"]);
    let third = shop.place("q", json!({})).await;
    shop.market.payments.suspend_merchant(shop.merchant, true).await.unwrap();
    let (status, answer) = shop.have_asked(&third, "f", None).await;
    assert_eq!((status, code(&answer)), (403, "suspended"));
    // What may have been shown was not shown again.
    assert_eq!((screens.asked(), calls.asked()), (4, 2));
    shop.market.close().await;
}

pub(super) async fn what_was_on_its_way_when_a_process_died_is_unknown(database: Database) {
    let shop = Shop::open_with(database, None, no_texts).await;
    let (screens, calls) = (Told::new(&[]), Told::new(&[]));
    shop.ways(&screens, &calls);
    let order = shop.place("o", json!({})).await;
    let payments = &shop.market.payments;
    let row = payments.any_order(id(&order)).await.unwrap().unwrap();
    let now = shop.market.clock.now().0;
    let sending = AskRow {
        state: State::Sending.number(),
        way: Way::Ussd.number(),
        ..ask::new(shop.market.id(), &row, Want::Pay, now)
    };
    payments.commit_unit(vec![Op::add(&sending)]).await.unwrap().unwrap();
    shop.until_asked(&order, "unknown").await;
    assert_eq!(shop.news(&order).await, ["order.asked"]);
    assert_eq!((screens.asked(), calls.asked()), (0, 0), "nothing is sent again by itself");
    shop.market.close().await;
}

pub(super) async fn a_no_is_respected(database: Database) {
    let shop = Shop::open_with(database, None, |plans| {
        no_texts(plans);
        // Nobody is asked at any time: what waits is taken back by the no.
        plans.settings.asks.quiet = Some(Quiet { from: 0, until: 24 * 60 });
    })
    .await;
    let payments = &shop.market.payments;
    let order = shop.place("o", json!({})).await;
    assert_eq!(shop.have_asked(&order, "a", None).await.1["state"], "waiting");
    let (status, answer) = shop.have_asked(&order, "b", None).await;
    assert_eq!((status, code(&answer)), (409, "under_way"));
    let number = order["number"].as_str().unwrap();
    let stranger = phone("+8613800000077");
    assert_eq!(payments.decline_asks(&stranger, number, false).await.unwrap(), None);
    for _ in 0..2 {
        let merchant = payments.decline_asks(&phone(ME), number, false).await.unwrap();
        assert_eq!(merchant.as_deref(), Some("City Shop"));
    }
    shop.until_asked(&order, "declined").await;
    assert_eq!(shop.news(&order).await, ["order.ask_declined"]);
    let (status, answer) = shop.have_asked(&order, "b", None).await;
    assert_eq!((status, code(&answer)), (409, "declined"));
    let other = shop.place("p", json!({})).await;
    assert_eq!(shop.have_asked(&other, "c", None).await.0, 202, "only about that order");
    payments.decline_asks(&phone(ME), other["number"].as_str().unwrap(), true).await.unwrap();
    let third = shop.place("q", json!({})).await;
    let (status, answer) = shop.have_asked(&third, "d", None).await;
    assert_eq!((status, code(&answer)), (409, "declined"), "nothing of this merchant");
    assert!(payments.allow_asks(&phone(ME), shop.merchant).await.unwrap());
    assert!(!payments.allow_asks(&phone(ME), shop.merchant).await.unwrap());
    assert_eq!(shop.have_asked(&third, "d", None).await.0, 202);
    // An order that is over is not asked about any more.
    let cancel = format!("/v1/orders/{}/cancel", third["id"].as_str().unwrap());
    assert_eq!(shop.ask("POST", &cancel, "", None).await.0, 200);
    assert_eq!(code(&shop.have_asked(&third, "e", None).await.1), "state");
    shop.market.close().await;
}

pub(super) async fn a_days_limits_hold_whoever_asks_at_once(database: Database) {
    let shop = Shop::open_with(database, None, |plans| {
        no_texts(plans);
        plans.settings.asks.customer_day = 3;
        plans.settings.asks.merchant_day = 5;
    })
    .await;
    let mut orders = Vec::new();
    for n in 0..6 {
        orders.push(shop.place(&format!("o{n}"), json!({})).await);
    }
    let payments = &shop.market.payments;
    let asking = orders.iter().map(|order| payments.ask_customer(shop.merchant, id(order), "k", None));
    let answers = futures_util::future::join_all(asking).await;
    let taken = answers.iter().filter(|answer| answer.as_ref().unwrap().is_ok()).count();
    assert_eq!(taken, 3, "as often as a customer may be asked");
    let refused = orders.iter().zip(&answers).find(|(_, answer)| answer.as_ref().unwrap().is_err()).unwrap();
    let (status, answer) = shop.have_asked(refused.0, "k", None).await;
    assert_eq!((status, code(&answer)), (429, "day_limit"));
    // Another customer is asked until the merchant has used up his own.
    for (n, wanted) in [202, 202, 429].into_iter().enumerate() {
        let order = shop.place(&format!("p{n}"), json!({ "customer": "+8613800000078" })).await;
        assert_eq!(shop.have_asked(&order, "k", None).await.0, wanted, "{n}");
    }
    shop.market.close().await;
}

pub(super) async fn who_asks_too_fast_is_told_to_wait(database: Database) {
    let shop = Shop::open_with(database, None, |plans| {
        plans.settings.webhooks_private = true;
        plans.settings.api = Limits { rate: Some(1), burst: 3, ..Limits::default() };
    })
    .await;
    let get = || async {
        let request = shop.http.get(format!("{}/v1/balance", shop.base)).bearer_auth(&shop.key);
        let response = request.send().await.unwrap();
        let wait = response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        (response.status().as_u16(), wait)
    };
    // Each answer could take as long as one turn: of many at once only a few are served.
    let answers = futures_util::future::join_all((0..40).map(|_| get())).await;
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 429).collect();
    assert!(!refused.is_empty(), "{answers:?}");
    assert!(refused.iter().all(|(_, wait)| wait.as_deref() == Some("1")), "{refused:?}");
    assert!(answers.iter().filter(|(status, _)| *status == 200).count() >= 3);
    // Somebody else is not kept waiting by it, and strangers are told that they are strangers.
    let stranger = shop.http.get(format!("{}/v1/balance", shop.base)).bearer_auth("kt_nobody");
    assert_eq!(stranger.send().await.unwrap().status().as_u16(), 401);
    let waited = tokio::time::timeout(PATIENCE, async {
        while get().await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    waited.await.expect("who waits is heard again");
    shop.market.close().await;
}
