//! The API of charging over real HTTP: both sides by their keys, each step, and what is refused.

use keytone::http::{Gateways, serve};
use keytone::ledger::row::Id;
use keytone::payment::charge::Stage;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{HOUR, Store, open};
use crate::support::market::{Database, PIN};

pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    pub(super) buyer: String,
    pub(super) agent: String,
}

impl Api {
    pub(super) async fn open(store: &Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let payments = store.market.payments.clone();
        tokio::spawn(serve(listener, payments, Gateways::<()>::default(), std::future::pending()));
        let key = async |account: Id| {
            let key = store.market.payments.new_account_key(account).await.unwrap();
            String::from_utf8(key.expose().to_vec()).unwrap()
        };
        let (buyer, agent) = (key(store.buyer).await, key(store.agent).await);
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), base, buyer, agent }
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> (u16, Value) {
        let response = self.http.get(format!("{}{path}", self.base)).bearer_auth(key).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(super) async fn post(
        &self,
        key: &str,
        path: &str,
        idempotency: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.base)).bearer_auth(key);
        if !idempotency.is_empty() {
            request = request.header("idempotency-key", idempotency);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// A charge that the buyer asked for, by its number.
    pub(super) async fn request(&self, store: &Store, idempotency: &str) -> String {
        let body = json!({ "agent": store.agent, "amount": "100", "price": "98" });
        let (status, charge) = self.post(&self.buyer, "/v1/charges", idempotency, Some(body)).await;
        assert_eq!((status, charge["state"].as_str()), (201, Some("requested")), "{charge}");
        charge["number"].as_str().unwrap().to_owned()
    }
}

pub(super) fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

pub(super) async fn the_api_takes_a_charge_through(database: Database) {
    let store = open(database, |_| {}).await;
    let api = Api::open(&store).await;
    let (status, offers) = api.get(&api.buyer, "/v1/offers?amount=100").await;
    assert_eq!((status, offers["offers"][0]["price"].as_str()), (200, Some("98.00")), "{offers}");
    assert_eq!(offers["offers"][0]["agent"], json!(store.agent));
    let number = api.request(&store, "k1").await;
    assert_eq!(api.request(&store, "k1").await, number, "the same again");
    let other = json!({ "agent": store.agent, "amount": "200", "price": "196" });
    let answer = api.post(&api.buyer, "/v1/charges", "k1", Some(other)).await;
    assert_eq!(code(&answer), (409, "idempotency_key_reused"));
    let path = |step: &str| format!("/v1/charges/{number}{step}");
    let (_, seen) = api.get(&api.buyer, &path("")).await;
    assert!(seen["side"] == "buyer" && seen.get("details").is_none() && seen.get("fee").is_none(), "{seen}");
    assert_eq!(code(&api.get(&api.buyer, &path("/certificate")).await), (409, "state"));
    assert_eq!(code(&api.post(&api.buyer, &path("/paid"), "", None).await), (409, "state"));

    let wrong = Some(json!({ "pin": "000111" }));
    assert_eq!(code(&api.post(&api.agent, &path("/deposit"), "d0", wrong).await), (403, "wrong_pin"));
    let pin = Some(json!({ "pin": PIN }));
    assert_eq!(code(&api.post(&api.buyer, &path("/deposit"), "d1", pin.clone()).await), (404, "not_found"));
    assert_eq!(
        code(&api.post(&api.agent, &path("/deposit"), "", pin.clone()).await),
        (400, "idempotency_key_missing")
    );
    let (status, deposited) = api.post(&api.agent, &path("/deposit"), "d1", pin.clone()).await;
    assert_eq!((status, deposited["state"].as_str()), (200, Some("deposited")), "{deposited}");
    assert!(deposited["fee"] == "0.50" && deposited.get("details").is_none(), "{deposited}");
    assert_eq!(
        api.post(&api.agent, &path("/deposit"), "d1", pin.clone()).await.1,
        deposited,
        "the same again"
    );
    assert_eq!(code(&api.post(&api.agent, &path("/deposit"), "d2", pin).await), (409, "state"));
    assert_eq!(store.money().await, [89_950, 10_000, 0]);

    let (_, told) = api.get(&api.buyer, &path("/certificate")).await;
    let certificate = told["certificate"].as_str().unwrap().to_owned();
    assert_eq!(told["details"], "ICBC 6222 0001");
    assert_eq!(code(&api.get(&api.agent, &path("/certificate")).await), (404, "not_found"));
    assert_eq!(code(&api.post(&api.agent, &path("/cancel"), "", None).await), (409, "state"));
    let (_, paid) = api.post(&api.buyer, &path("/paid"), "", None).await;
    assert_eq!(paid["state"], "claimed");
    assert_eq!(
        api.post(&api.buyer, &path("/paid"), "", None).await.1,
        paid,
        "saying it twice is as saying it once"
    );

    let confirm = |certificate: &str| Some(json!({ "certificate": certificate, "pin": PIN }));
    let answer = api.post(&api.agent, &path("/confirm"), "c0", confirm("000000000")).await;
    assert_eq!(code(&answer), (422, "wrong_certificate"));
    let (status, done) = api.post(&api.agent, &path("/confirm"), "c1", confirm(&certificate)).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("completed")), "{done}");
    assert_eq!(api.post(&api.agent, &path("/confirm"), "c1", confirm(&certificate)).await.1, done);
    assert_eq!(store.money().await, [89_950, 0, 10_000]);

    let second = api.request(&store, "k2").await;
    let (_, page) = api.get(&api.buyer, "/v1/charges?limit=1&state=completed").await;
    assert_eq!(page["charges"][0]["number"], number.as_str());
    let (_, page) = api.get(&api.agent, "/v1/charges?side=agent&state=requested").await;
    assert_eq!(page["charges"][0]["number"], second.as_str());
    assert_eq!(api.get(&api.agent, "/v1/charges").await.1["charges"], json!([]), "the agent bought nothing");
    assert_eq!(code(&api.get(&api.buyer, "/v1/charges?colour=red").await), (422, "invalid"));
    let (_, declined) = api.post(&api.agent, &format!("/v1/charges/{second}/decline"), "", None).await;
    assert_eq!(declined["state"], "declined");
    assert_eq!(code(&api.post(&api.agent, &path("/explode"), "", None).await), (404, "not_found"));
    store.market.close().await;
}

pub(super) async fn keys_are_of_accounts(database: Database) {
    let store = open(database, |_| {}).await;
    let api = Api::open(&store).await;
    for bad in ["", "kt_x", "kt_AAAAAAAAAAAAAAAAAAAAAA_AAAA"] {
        assert_eq!(code(&api.get(bad, "/v1/charges").await), (401, "unauthorised"), "{bad}");
    }
    let stranger = store.market.account("+8613800000003", 0).await;
    let key = store.market.payments.new_account_key(stranger).await.unwrap();
    let key = String::from_utf8(key.expose().to_vec()).unwrap();
    let charge = store.claimed().await;
    let path = |step: &str| format!("/v1/charges/{}{step}", charge.number);
    assert_eq!(code(&api.get(&key, &path("")).await), (404, "not_found"), "it is not the stranger's");
    assert_eq!(code(&api.post(&key, &path("/dispute"), "", None).await), (404, "not_found"));

    // A dispute with what each side has to say; staff read it.
    let said = |words: &str| Some(json!({ "statement": words }));
    assert_eq!(code(&api.post(&api.agent, &path("/dispute"), "", said("no")).await), (422, "invalid"));
    let (_, disputed) =
        api.post(&api.agent, &path("/dispute"), "", said("nothing came\nto my account")).await;
    assert_eq!(disputed["state"], "disputed");
    let (_, disputed) = api.post(&api.buyer, &path("/dispute"), "", said("slip 17 of ICBC")).await;
    assert_eq!(disputed["state"], "disputed");
    let row = store.market.payments.charge(charge.id).await.unwrap().unwrap();
    let lines = row.evidence.unwrap();
    let wanted = ["(the agent): nothing came to my account", "(the buyer): slip 17 of ICBC"];
    assert_eq!(lines.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    let (_, over) = api.post(&api.buyer, &path("/withdraw"), "", None).await;
    assert_eq!(over["state"], "resolved_to_agent");
    assert_eq!(store.money().await, [99_950, 0, 0]);

    // The old key is void at once; a suspended agent is asked for nothing.
    store.market.payments.new_account_key(store.buyer).await.unwrap();
    assert_eq!(code(&api.get(&api.buyer, "/v1/charges").await), (401, "unauthorised"));
    assert!(store.market.payments.new_account_key(Id([9; 16])).await.is_err());
    let lapsed = store.request().await;
    store.later(HOUR).await;
    assert_eq!(store.stage(lapsed.id).await, Stage::Lapsed);
    let (_, seen) = api.get(&api.agent, &format!("/v1/charges/{}", lapsed.number)).await;
    assert_eq!(seen["state"], "lapsed");
    store.market.close().await;
}
