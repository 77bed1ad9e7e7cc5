//! A merchant asks by the API, and the customer is asked on his screen by the sandbox's SMSC, over every kind of gateway.

use std::sync::Arc;

use keytone::app::messaging::Screens;
use keytone::payment::ask::{Asks, Said};
use keytone::payment::run::asks::Ways;
use keytone::session::registry::Registry;
use keytone::ussd::profile::Profile;
use serde_json::{Value, json};

use crate::orders::Shop;
use crate::support::market::{Database, PIN, phone};
use crate::ussd::sockets::Town;
use crate::ussd::{ME, edition_of, on_both_databases, says};

/// Every question of a customer's screen goes by the desk that is bound now.
#[derive(Clone, Default)]
struct Now(Arc<std::sync::Mutex<Option<Screens<()>>>>);

impl Asks for Now {
    fn ask(
        &self,
        question: keytone::payment::ask::Question,
    ) -> std::pin::Pin<Box<dyn Future<Output = Said> + Send>> {
        match self.0.lock().unwrap().as_ref() {
            Some(screens) => screens.ask(question),
            None => Box::pin(std::future::ready(Said::Refused("nothing is bound".to_owned()))),
        }
    }
}

fn registry(shop: &Shop) -> Registry<()> {
    let flows = [
        ("asked.flow", include_str!("../../dialplans/asked.flow")),
        ("recharge.flow", include_str!("../../dialplans/recharge.flow")),
        ("stranger.flow", include_str!("../../dialplans/stranger.flow")),
        ("vouch.flow", include_str!("../../dialplans/vouch.flow")),
    ];
    let (payments, clock) = (shop.market.payments.clone(), shop.market.clock.clone());
    Registry::new(edition_of(&flows, &["en", "fr"]), payments, clock, "en".into(), 100)
}

async fn ask(shop: &Shop, order: &Value) {
    let path = format!("/v1/orders/{}/ask", order["id"].as_str().unwrap());
    let (status, asked) = shop.ask("POST", &path, "now", None).await;
    assert_eq!(status, 202, "{asked}");
}

/// What stands on the telephone.
async fn screen(town: &Town) -> String {
    town.get(&format!("handset/%2B{}", &ME[1..])).await.1.to_string()
}

async fn an_order_is_paid_and_confirmed_because_its_merchant_asked(database: Database) {
    let shop = Shop::open_with(database, None, |plans| plans.settings.asks.customer_day = 1_000).await;
    let now = Now::default();
    shop.market.payments.ask_by(Ways { screens: Arc::new(now.clone()), ..Ways::default() });
    for name in Profile::NAMES {
        let town = Town::with(&shop.market, name, registry(&shop)).await;
        *now.0.lock().unwrap() = Some(Screens(town.desk.clone()));
        let order = shop.place(name, json!({ "frozen": true, "amount": "10" })).await;
        ask(&shop, &order).await;
        let (status, pushed) = town.get(&format!("wait?for=push&msisdn=%2B{}", &ME[1..])).await;
        assert_eq!(status, 200, "{name}: {pushed}");
        says(&screen(&town).await, "City Shop asks you to pay order");
        says(&town.reply("1").await.0, "reply with your PIN");
        says(&town.reply("111222").await.0, "Wrong PIN");
        says(&town.reply(PIN).await.0, "is paid");
        let asks = shop.until_asked(&order, "shown").await;
        assert_eq!((asks.len(), asks[0]["way"].as_str()), (1, Some("ussd")), "{name}");
        shop.until(&order, "paid").await;
        let path = format!("/v1/orders/{}/ask", order["id"].as_str().unwrap());
        assert_eq!(shop.ask("POST", &path, "then", None).await.1["for"], "receipt");
        shop.until_asked(&order, "shown").await;
        says(&screen(&town).await, "did you receive order");
        says(&town.reply("1").await.0, "reply with your PIN");
        town.reply(PIN).await;
        shop.until(&order, "released").await;
        town.leave().await;
    }
    shop.market.close().await;
}

async fn who_cannot_or_will_not_be_asked_on_a_screen(database: Database) {
    let shop = Shop::open(database, None).await;
    shop.market.payments.set_language(shop.payer, "fr").await.unwrap();
    let now = Now::default();
    shop.market.payments.ask_by(Ways { screens: Arc::new(now.clone()), ..Ways::default() });
    let town = Town::with(&shop.market, "spec", registry(&shop)).await;
    *now.0.lock().unwrap() = Some(Screens(town.desk.clone()));
    // In his language; and his no is heard.
    let order = shop.place("a", json!({})).await;
    ask(&shop, &order).await;
    shop.until_asked(&order, "shown").await;
    says(&screen(&town).await, "vous demande de payer la commande");
    says(&town.reply("2").await.0, "Plus de question");
    let path = format!("/v1/orders/{}/ask", order["id"].as_str().unwrap());
    let (status, answer) = shop.ask("POST", &path, "again", None).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (409, Some("declined")));
    // Somebody who is in a dialogue is not disturbed: a text comes.
    town.dial("*125#").await;
    let other = shop.place("b", json!({})).await;
    ask(&shop, &other).await;
    let asks = shop.until_asked(&other, "texted").await;
    says(asks[0]["detail"].as_str().unwrap(), "in a dialogue");
    town.post("abort", json!({ "msisdn": ME })).await;
    town.get("wait?for=quiet").await;
    // A telephone that shows nothing gets a text, and no dialogue is left behind.
    town.post("handset", json!({ "msisdn": ME, "pushes": false })).await;
    let third = shop.place("c", json!({})).await;
    ask(&shop, &third).await;
    let asks = shop.until_asked(&third, "texted").await;
    assert!(asks[0]["detail"].as_str().unwrap().starts_with("ussd: "), "{asks:?}");
    assert!(shop.market.payments.session_by_key(&format!("ussd/air/{ME}")).await.unwrap().is_none());
    // Whoever has no account is not asked on a screen, which could only send him away.
    let unknown = shop.place("d", json!({ "customer": "+8613800000055" })).await;
    ask(&shop, &unknown).await;
    let asks = shop.until_asked(&unknown, "texted").await;
    says(asks[0]["detail"].as_str().unwrap(), "nothing to ask");
    assert_eq!(shop.market.payments.account_of(&phone("+8613800000055")).await.unwrap(), None);
    town.leave().await;
    shop.market.close().await;
}

on_both_databases!(asks:
    an_order_is_paid_and_confirmed_because_its_merchant_asked,
    who_cannot_or_will_not_be_asked_on_a_screen,
);
