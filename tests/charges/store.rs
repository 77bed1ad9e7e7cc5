//! An agent's own store, on both databases: seen, opened, closed and its amounts changed, by a call, USSD, a text and HTTP.

use keytone::dialplan::event::Channel;
use keytone::payment::run::agents::Storekeeping;
use serde_json::{Value, json};

use super::conversations::Talk;
use super::http::{Api, code};
use super::{AGENT, BUYER, Store, open};
use crate::support::market::Database;

const MENU: &str = "*130#";

/// Whether buyers are offered 100.00 of the agent's.
async fn offered(store: &Store) -> bool {
    !store.market.payments.offers(store.buyer, 10_000).await.unwrap().is_empty()
}

pub(super) async fn an_agent_keeps_the_store_by_phone(database: Database) {
    let store = open(database, |_| {}).await;
    assert!(offered(&store).await);

    // By a text and by a code, with no question: once more changes nothing.
    for _ in 0..2 {
        let told = store.texted(AGENT, "CLOSE").await;
        assert!(told.contains("Your store is closed"), "{told}");
        assert!(!offered(&store).await);
    }
    let opened = Talk::begin(&store, AGENT, Channel::Ussd, "*130*1#").await;
    assert!(opened.said.contains("Your store is open"), "{}", opened.said);
    assert!(offered(&store).await);

    // By a call: what it offers is heard, and it is closed by a key; the charge menu leads here too.
    let mut call = Talk::begin(&store, AGENT, Channel::Voice, "12592").await;
    let heard = call.said.clone();
    assert!(["10 CNY", "600 CNY", "588 CNY", "0.50 CNY"].iter().all(|part| heard.contains(part)), "{heard}");
    call.key('1').await;
    assert!(!offered(&store).await);
    let mut menu = Talk::begin(&store, AGENT, Channel::Ussd, "*127#").await;
    let told = menu.key('4').await.to_owned();
    assert!(told.contains("Your store is closed"), "{told}");
    menu.key('1').await;
    assert!(offered(&store).await);

    // The amounts: what was asked for before keeps its own.
    let charge = store.request().await;
    let mut talk = Talk::begin(&store, AGENT, Channel::Ussd, MENU).await;
    talk.key('2').await;
    talk.digits("20").await;
    let wrong = talk.digits("10").await.to_owned();
    assert!(wrong.contains("must be 20 CNY or more"), "{wrong}");
    talk.digits("50").await;
    assert!(offered(&store).await, "nothing changes before the agent says yes");
    let done = talk.key('1').await.to_owned();
    assert!(done.contains("You sell 20 CNY to 50 CNY now"), "{done}");
    assert!(!offered(&store).await);
    let agent = store.market.payments.agent(store.agent).await.unwrap().unwrap();
    assert_eq!((agent.least_minor, agent.most_minor, agent.price_ppm), (2_000, 5_000, 980_000));
    store.deposit(&charge.number).await;
    assert_eq!(store.money().await, [89_950, 10_000, 0]);

    // Who is no agent, and whom staff have shut.
    let told = store.texted(BUYER, "OPEN").await;
    assert!(told.contains("do not sell balance"), "{told}");
    store.market.payments.suspend_agent(store.agent, true).await.unwrap();
    store.texted(AGENT, "CLOSE").await;
    for command in ["OPEN", "STORE 10 600"] {
        let told = store.texted(AGENT, command).await;
        assert!(told.contains("shut by the operator"), "{command}: {told}");
    }
    let agent = store.market.payments.agent(store.agent).await.unwrap().unwrap();
    assert_eq!((agent.open, agent.suspended, agent.most_minor), (false, true, 5_000));
    store.market.close().await;
}

pub(super) async fn an_agent_keeps_the_store_over_http(database: Database) {
    let store = open(database, |_| {}).await;
    let api = Api::open(&store).await;
    let change = async |body: Value| api.post(&api.agent, "/v1/store", "", Some(body)).await;
    let wanted = json!({
        "name": "Wang", "open": true, "suspended": false, "least": "10.00", "most": "600.00",
        "price_of_most": "588.00", "fee": "0.50", "details": "ICBC 6222 0001", "currency": "CNY",
    });
    assert_eq!(api.get(&api.agent, "/v1/store").await, (200, wanted));
    assert_eq!(code(&api.get("", "/v1/store").await), (401, "unauthorised"));
    assert_eq!(code(&api.get(&api.buyer, "/v1/store").await), (404, "not_found"));
    for body in [json!({ "open": false }), json!({ "open": true }), json!({ "least": "1" })] {
        let answer = api.post(&api.buyer, "/v1/store", "", Some(body)).await;
        assert_eq!(code(&answer), (404, "not_found"), "the buyer is no agent");
    }

    let (status, shown) = change(json!({ "open": false, "least": "20", "most": "300.50" })).await;
    assert_eq!((status, &shown["open"], &shown["most"]), (200, &json!(false), &json!("300.50")), "{shown}");
    assert!(!offered(&store).await);
    let (status, shown) = change(json!({ "open": true })).await;
    assert_eq!((status, &shown["open"], &shown["least"]), (200, &json!(true), &json!("20.00")), "{shown}");
    assert!(offered(&store).await);

    // Amounts that make no sense change nothing, and open nothing.
    change(json!({ "open": false })).await;
    for (body, status, name) in [
        (json!({ "most": "10", "open": true }), 422, "invalid"),
        (json!({ "least": "301" }), 422, "invalid"),
        (json!({ "least": "0" }), 422, "invalid"),
        (json!({ "least": "-5" }), 422, "invalid"),
        (json!({ "most": "a lot" }), 422, "invalid"),
        (json!({ "most": 300 }), 400, "body"),
        (json!({ "price": "0.5" }), 400, "body"),
    ] {
        assert_eq!(code(&change(body.clone()).await), (status, name), "{body}");
    }
    let (_, shown) = api.get(&api.agent, "/v1/store").await;
    assert_eq!(json!([shown["open"], shown["least"], shown["most"]]), json!([false, "20.00", "300.50"]));

    // Staff have shut it: closed it may be, not opened.
    store.market.payments.suspend_agent(store.agent, true).await.unwrap();
    assert_eq!(code(&change(json!({ "open": true })).await), (403, "suspended"));
    let (status, shown) = change(json!({ "open": false })).await;
    assert_eq!((status, &shown["suspended"]), (200, &json!(true)), "{shown}");
    store.market.close().await;
}

pub(super) async fn a_store_changed_by_many_at_once_keeps_every_change(database: Database) {
    let store = open(database, |_| {}).await;
    let payments = &store.market.payments;
    let (shut, least, most) = tokio::join!(
        payments.keep_store(store.agent, false),
        payments.set_store_amounts(store.agent, Some(2_000), None),
        payments.set_store_amounts(store.agent, None, Some(30_000)),
    );
    for kept in [shut, least, most] {
        assert!(matches!(kept.unwrap(), Storekeeping::Done(_)));
    }
    let shown = payments.store_of(store.agent).await.unwrap().unwrap();
    assert_eq!(
        (shown.open, shown.least_minor, shown.most_minor, shown.price_minor),
        (false, 2_000, 30_000, 29_400)
    );
    assert_eq!(payments.store_of(store.buyer).await.unwrap(), None);
    assert_eq!(payments.keep_store(store.buyer, true).await.unwrap(), Storekeeping::NoStore);
    let bad = payments.set_store_amounts(store.agent, Some(30_001), None).await.unwrap();
    assert_eq!(bad, Storekeeping::BadAmounts);
    store.market.close().await;
}
