//! What the operator's policy and the SIM-swap hook want of both sides of a charge, on every channel and over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use keytone::connector::swap::Hook;
use keytone::dialplan::event::Channel as Way;
use keytone::msisdn::Assurance;
use keytone::payment::answer::Channel;
use keytone::payment::assurance::{API, Demand, Policy, Rule, SwapRules, Way as Trust};
use keytone::payment::charge::{Input, Side};
use keytone::payment::code::Answered;
use keytone::payment::run::Needs;
use keytone::payment::run::charges::{Asker, Charged};
use keytone::secret::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::conversations::Talk;
use super::http::{Api, code};
use super::{AGENT, BUYER, HOUR, Store, open, row};
use crate::support::market::{Database, PIN, Plans, phone};

const STRANGER: &str = "+8613800000009";

fn rule(action: Option<&str>, channel: Option<Channel>, demand: Demand) -> Rule {
    Rule { action: action.map(str::to_owned), up_to_minor: None, assurance: None, channel, demand }
}

/// These lines before the usual ones.
fn policy(lines: Vec<Rule>) -> Policy {
    let mut policy = Policy::default();
    policy.rules.splice(0..0, lines);
    policy
}

impl Store {
    /// The code that is about to leave.
    async fn code(&self) -> String {
        let texts = self.market.payments.outbox_claim(HOUR, 100).await.unwrap();
        let text =
            texts.iter().find(|text| text.body.contains("is your code")).expect("a code is on its way");
        text.body[..6].to_owned()
    }

    /// Sends a code to the agent and gives it back.
    async fn prove_agent(&self) {
        let (payments, agent) = (&self.market.payments, phone(AGENT));
        payments.send_code(&agent, Some(self.agent)).await.unwrap();
        let code = Secret::from(self.code().await.as_str());
        assert_eq!(payments.check_code(&agent, Some(self.agent), &code).await.unwrap(), Answered::Right);
    }

    async fn pin_tries(&self) -> i32 {
        self.market.payments.account(self.agent).await.unwrap().unwrap().payer.pin_tries
    }
}

pub(super) async fn the_policy_judges_each_step(database: Database) {
    let wants_code = |action| rule(Some(action), None, Demand::PinAndCode);
    let store = open(database, |plans| {
        plans.settings.policy = policy(vec![
            rule(Some("charge.request"), Some(Channel::Voice), Demand::Refuse),
            wants_code("charge.deposit"),
            rule(Some("charge.confirm"), Some(Channel::Sms), Demand::Refuse),
        ]);
    })
    .await;
    let payments = &store.market.payments;
    let mut ask = store.ask(store.market.id());
    ask.channel = Channel::Voice;
    assert_eq!(payments.request_charge(ask).await.unwrap(), Charged::Doubted(Needs::Refused));
    let charge = store.request().await;
    let needs = store.deposit(&charge.number).await;
    assert_eq!(needs, Charged::Doubted(Needs::Code(phone(AGENT))));
    let wrong = Secret::from("000111");
    let id = store.market.id();
    let told =
        payments.deposit_charge(id, &store.selling(Channel::Ussd), &charge.number, wrong).await.unwrap();
    assert_eq!(told, Charged::Doubted(Needs::Code(phone(AGENT))), "it is asked before the PIN");
    assert_eq!((store.pin_tries().await, store.money().await), (0, [100_000, 0, 0]));
    store.prove_agent().await;
    row(store.deposit(&charge.number).await);
    row(store.say(Side::Buyer, &charge.number, Input::Claim).await);
    let certificate = store.certificate(&charge.number).await;
    let by_text = store.selling(Channel::Sms);
    let (id, pin) = (store.market.id(), || Secret::from(PIN));
    let told = payments.confirm_charge(id, &by_text, &charge.number, &certificate, pin()).await.unwrap();
    assert_eq!(told, Charged::Doubted(Needs::Refused));
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    // A number that is not the account's own confirms nothing; one that tells nothing neither.
    for caller in [Some(phone(STRANGER)), Some(phone(BUYER)), None] {
        let other = Asker { account: store.agent, caller, channel: Channel::Ussd };
        let id = store.market.id();
        let told = payments.confirm_charge(id, &other, &charge.number, &certificate, pin()).await.unwrap();
        assert_eq!(told, Charged::Doubted(Needs::Refused), "{other:?}");
    }
    let (heard, by_call) = (payments.heard(Assurance::Low, "en"), store.selling(Channel::Voice));
    let told = heard.confirm_charge(id, &by_call, &charge.number, &certificate, pin()).await.unwrap();
    assert_eq!(told, Charged::Doubted(Needs::Refused), "a way that is believed little");
    let id = store.market.id();
    let agent = store.selling(Channel::Ussd);
    row(payments.confirm_charge(id, &agent, &charge.number, &certificate, pin()).await.unwrap());
    // The same again is not judged again: it was done.
    row(payments.confirm_charge(id, &by_text, &charge.number, &certificate, pin()).await.unwrap());
    assert_eq!(store.money().await, [89_950, 0, 10_000]);
    store.market.close().await;
}

/// A code where the policy wants one, in the words of the flow, on a call, a screen and in a thread of texts.
pub(super) async fn a_code_is_asked_for_in_every_conversation(database: Database) {
    let lines = ["charge.request", "charge.deposit", "charge.confirm"]
        .map(|action| rule(Some(action), None, Demand::PinAndCode));
    let store = open(database, |plans| {
        plans.settings.policy = policy(lines.to_vec());
        // A proof is as good for the next step as for this one, unless time passes.
        plans.settings.identity.code.proof = Duration::from_secs(30);
    })
    .await;
    for way in [Way::Voice, Way::Ussd, Way::Sms] {
        let command = |ussd: &str, text: String| match way {
            Way::Voice => "12583".to_owned(),
            Way::Ussd => ussd.to_owned(),
            Way::Sms => text,
        };
        let before = store.money().await;
        let mut buyer = Talk::begin(&store, BUYER, way, &command("*127*100#", "CHARGE 100".to_owned())).await;
        if way == Way::Voice {
            buyer.key('1').await;
            buyer.money(10_000).await;
        }
        buyer.key('1').await;
        let asked = buyer.key('1').await.to_owned();
        assert!(asked.contains("code"), "{way}: {asked}");
        let told = buyer.pin(&store.code().await).await.to_owned();
        let number = store.number().await;
        assert!(told.contains(&number), "{way}: {told}");

        store.market.clock.advance(Duration::from_secs(60));
        let mut agent = Talk::begin(&store, AGENT, way, &command("*127#", format!("DEPOSIT {number}"))).await;
        if way != Way::Sms {
            for key in ['3', '1', '1'] {
                agent.key(key).await;
            }
        }
        let wrong = agent.pin("000000").await.to_owned();
        assert!(wrong.contains("code"), "{way}: {wrong}");
        let asked = agent.pin(&store.code().await).await.to_owned();
        assert!(asked.contains("PIN"), "{way}: {asked}");
        let told = agent.pin(PIN).await.to_owned();
        assert!(told.contains("is deposited"), "{way}: {told}");

        row(store.say(Side::Buyer, &number, Input::Claim).await);
        let certificate = store.certificate(&number).await;
        store.market.clock.advance(Duration::from_secs(60));
        store.told().await;
        let text = format!("CONFIRM {number} {certificate}");
        let mut agent = Talk::begin(&store, AGENT, way, &command("*127#", text)).await;
        if way != Way::Sms {
            for key in ['3', '1', '1'] {
                agent.key(key).await;
            }
        }
        agent.pin(&store.code().await).await;
        if way != Way::Sms {
            agent.digits(&certificate).await;
        }
        let told = agent.pin(PIN).await.to_owned();
        assert!(told.contains("The buyer has 100 CNY"), "{way}: {told}");
        let after = store.money().await;
        assert_eq!((before[0] - after[0], after[1], after[2] - before[2]), (10_050, 0, 10_000));
        // Five codes an hour go to a number.
        store.market.clock.advance(HOUR);
        store.told().await;
    }
    store.market.close().await;
}

/// A network that says of every SIM that it was changed.
async fn swapped() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/check", listener.local_addr().unwrap());
    let count = asked.clone();
    let check = move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready("{\"swapped\": true}")
    };
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/check", post(check))).await.unwrap() },
    );
    (url, asked)
}

pub(super) async fn a_changed_sim_neither_asks_nor_deposits_nor_confirms(database: Database) {
    let (url, asked) = swapped().await;
    let hook = Hook { url, token: None, max_age_hours: 72, timeout: Duration::from_secs(5) };
    let rules = SwapRules { hook, from_minor: 10_001, open: false, kept: Duration::ZERO };
    let store = open(database, |plans: &mut Plans| plans.settings.policy.swap = Some(rules)).await;
    let payments = &store.market.payments;
    // Small ones are not asked about.
    row(store.deposit(&store.request().await.number).await);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let mut ask = store.ask(store.market.id());
    (ask.amount_minor, ask.price_minor) = (20_000, 19_600);
    assert_eq!(payments.request_charge(ask.clone()).await.unwrap(), Charged::Doubted(Needs::Swapped));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let api = Api::open(&store).await;
    let body = json!({ "agent": store.agent, "amount": "200", "price": "196" });
    let answer = api.post(&api.buyer, "/v1/charges", "k1", Some(body)).await;
    assert_eq!(code(&answer), (403, "sim_swapped"));
    for (way, command) in [(Way::Voice, "12583"), (Way::Ussd, "*127*200#"), (Way::Sms, "CHARGE 200")] {
        let mut buyer = Talk::begin(&store, BUYER, way, command).await;
        if way == Way::Voice {
            buyer.key('1').await;
            buyer.money(20_000).await;
        }
        buyer.key('1').await;
        let told = buyer.key('1').await.to_owned();
        assert!(told.contains("SIM"), "{way}: {told}");
    }
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    assert_eq!(store.pin_tries().await, 0);
    store.market.close().await;
}

fn pin() -> Option<Value> {
    Some(json!({ "pin": PIN }))
}

pub(super) async fn over_http_a_code_goes_to_the_accounts_number(database: Database) {
    let store = open(database, |plans| {
        plans.settings.policy = policy(vec![
            rule(Some("charge.deposit"), Some(Channel::Http), Demand::PinAndCode),
            rule(Some("charge.confirm"), Some(Channel::Http), Demand::Refuse),
        ]);
    })
    .await;
    let api = Api::open(&store).await;
    let number = api.request(&store, "k1").await;
    let path = |step: &str| format!("/v1/charges/{number}{step}");
    let deposit = async |key: &str| api.post(&api.agent, &path("/deposit"), key, pin()).await;
    assert_eq!(code(&deposit("d1").await), (403, "code_needed"));
    assert_eq!(code(&api.post("", "/v1/codes", "", None).await), (401, "unauthorised"));
    let (status, sent) = api.post(&api.agent, "/v1/codes", "", None).await;
    assert!(status == 202 && !sent["sent_to"].as_str().unwrap().contains("0000000"), "{sent}");
    assert_eq!(code(&api.post(&api.agent, "/v1/codes", "", None).await), (429, "too_soon"));
    let right = store.code().await;
    let give = async |digits: &str| {
        api.post(&api.agent, "/v1/codes/check", "", Some(json!({ "code": digits }))).await
    };
    let wrong = if right == "000000" { "000001" } else { "000000" };
    assert_eq!(code(&give(wrong).await), (403, "wrong_code"));
    assert_eq!(code(&deposit("d1").await), (403, "code_needed"));
    let (status, proved) = give(&right).await;
    assert_eq!((status, proved["proved"].as_bool()), (200, Some(true)), "{proved}");
    assert_eq!(code(&give(&right).await), (409, "expired"), "a code counts once");
    assert_eq!(deposit("d1").await.0, 200);
    let body = Some(json!({ "certificate": store.certificate(&number).await, "pin": PIN }));
    assert_eq!(code(&api.post(&api.agent, &path("/confirm"), "c1", body).await), (403, "refused"));
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    store.market.close().await;
}

/// Where the operator believes keys little, who has one is as any caller who is not believed: a code, and failures of his own.
pub(super) async fn a_key_that_is_believed_little_locks_nothing(database: Database) {
    let store = open(database, |plans| {
        let way =
            Trust { channel: Some(Channel::Http), name: Some(API.to_owned()), assurance: Assurance::Low };
        plans.settings.policy.ways.push(way);
    })
    .await;
    let api = Api::open(&store).await;
    let number = store.request().await.number;
    let path = format!("/v1/charges/{number}/deposit");
    assert_eq!(code(&api.post(&api.agent, &path, "d1", pin()).await), (403, "code_needed"));
    // A code that was sent for a change on the telephone is no proof here.
    store.prove_agent().await;
    assert_eq!(code(&api.post(&api.agent, &path, "d1", pin()).await), (403, "code_needed"));
    assert_eq!(api.post(&api.agent, "/v1/codes", "", None).await.0, 202);
    let body = Some(json!({ "code": store.code().await }));
    assert_eq!(api.post(&api.agent, "/v1/codes/check", "", body).await.0, 200);
    let wrong = Some(json!({ "pin": "000111" }));
    assert_eq!(code(&api.post(&api.agent, &path, "d0", wrong).await), (403, "wrong_pin"));
    assert_eq!(store.pin_tries().await, 0, "the agent's own telephone has all its tries");
    store.market.clock.advance(Duration::from_secs(20));
    assert_eq!(api.post(&api.agent, &path, "d1", pin()).await.0, 200);
    store.market.close().await;
}
