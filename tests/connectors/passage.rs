//! What a request passes before it leaves: breaker, pace, number at once; and tokens with a hand-set clock.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use keytone::clock::{Clock, Timestamp};
use keytone::connector::bill::{BillOrder, Inquired};
use keytone::connector::breaker::State;
use keytone::connector::contract::Order;
use keytone::connector::http::{Connector, Exchange, Whole, WholeExchange, Wire};
use keytone::connector::key::{Encoding, Source, sign};
use keytone::connector::sandbox::biller;
use keytone::money::Currency;

use crate::connectors::stub::{Reply, Stub, load, order, shipped, with_clock, word};

const PHONE: &str = "+256772123456";

/// MoMo's file with limits and breaker for tests.
fn file(stub: &Stub, more: &str, changes: &[(&str, &str)]) -> String {
    let mut text = shipped(
        "mtn-momo",
        &[("https://proxy.momoapi.mtn.com", &stub.url), ("timeout_ms = 30000", "timeout_ms = 300")],
    );
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text + more
}

const BREAKER: &str = "\n[breaker]\nwindow_ms = 60000\nleast_requests = 2\npercent = 50\npause_ms = 1000\n";

fn token() -> Reply {
    Reply::Json(200, json!({ "access_token": "t", "expires_in": 3600 }))
}

#[tokio::test]
async fn silence_opens_the_breaker_and_one_answer_closes_it() {
    let stub = Stub::new(|seen, before| match seen.path.as_str() {
        "/disbursement/token/" => token(),
        _ if before < 2 => Reply::Silence,
        _ => Reply::Raw(202, ""),
    })
    .await;
    let clock = Clock::manual(Timestamp(0));
    let connector = with_clock(&file(&stub, BREAKER, &[]), clock.clone());
    let order = order(PHONE, 5_000, "UGX");
    for _ in 0..2 {
        assert_eq!(word(&connector.submit(&order).await), "unknown timeout");
    }
    assert_eq!(connector.health().breaker, State::Open);
    let before = stub.seen().len();
    assert_eq!(word(&connector.submit(&order).await), "not_sent true");
    assert_eq!(word(&connector.status(&order).await.unwrap()), "not_sent true");
    assert_eq!(stub.seen().len(), before, "nothing left");
    clock.advance(Duration::from_secs(1));
    assert_eq!(connector.health().breaker, State::HalfOpen);
    assert_eq!(word(&connector.submit(&order).await), "accepted");
    assert_eq!((connector.health().breaker, connector.health().requests), (State::Closed, 0));
}

#[tokio::test]
async fn refusals_never_open_it_and_gateways_that_say_so_do() {
    for (status, wanted) in
        [(400, State::Closed), (401, State::Closed), (500, State::Closed), (503, State::Open)]
    {
        let stub = Stub::new(move |seen, _| match seen.path.as_str() {
            "/disbursement/token/" => token(),
            _ => Reply::Json(status, json!({ "code": "NOT_ENOUGH_FUNDS" })),
        })
        .await;
        let connector = with_clock(&file(&stub, BREAKER, &[]), Clock::manual(Timestamp(0)));
        for _ in 0..3 {
            connector.submit(&order(PHONE, 5_000, "UGX")).await;
        }
        assert_eq!(connector.health().breaker, wanted, "{status}");
    }
}

#[tokio::test]
async fn over_the_limits_a_request_does_not_leave() {
    let stub = Stub::new(|seen, _| match seen.path.as_str() {
        "/disbursement/token/" => token(),
        _ => Reply::Silence,
    })
    .await;
    let clock = Clock::manual(Timestamp(0));
    let slow = [
        ("requests_per_second = 10", "requests_per_second = 1"),
        ("burst = 5", "burst = 2"),
        ("wait_ms = 3000", "wait_ms = 1"),
    ];
    let connector = with_clock(&file(&stub, "", &slow), clock.clone());
    let order = order(PHONE, 5_000, "UGX");
    let (one, two, three) =
        tokio::join!(connector.submit(&order), connector.submit(&order), connector.submit(&order));
    let mut words = [word(&one), word(&two), word(&three)];
    words.sort();
    assert_eq!(words, ["not_sent true", "unknown timeout", "unknown timeout"], "two are the burst");
    clock.advance(Duration::from_secs(1));
    assert_eq!(word(&connector.submit(&order).await), "unknown timeout");

    let narrow = [("at_once = 32", "at_once = 1"), ("wait_ms = 3000", "wait_ms = 1")];
    let connector = with_clock(&file(&stub, "", &narrow), Clock::manual(Timestamp(0)));
    let (one, two) = tokio::join!(connector.submit(&order), connector.submit(&order));
    let mut words = [word(&one), word(&two)];
    words.sort();
    assert_eq!(words, ["not_sent true", "unknown timeout"]);
    assert_eq!(connector.health().under_way, 0, "places are given back");
}

#[tokio::test]
async fn a_token_is_fetched_anew_near_its_end_and_by_one_request_at_a_time() {
    let stub = Stub::new(|seen, before| match seen.path.as_str() {
        "/disbursement/token/" => {
            Reply::Json(200, json!({ "access_token": format!("token-{before}"), "expires_in": 3600 }))
        }
        _ => Reply::Raw(202, ""),
    })
    .await;
    let clock = Clock::manual(Timestamp(0));
    let connector = with_clock(&file(&stub, "", &[]), clock.clone());
    let order = order(PHONE, 5_000, "UGX");
    let (one, two, three) =
        tokio::join!(connector.submit(&order), connector.submit(&order), connector.submit(&order));
    assert!([one, two, three].iter().all(|o| word(o) == "accepted"));
    assert_eq!(stub.to("/disbursement/token/").len(), 1);
    clock.advance(Duration::from_secs(3_299));
    connector.submit(&order).await;
    assert_eq!(stub.to("/disbursement/token/").len(), 1);
    clock.advance(Duration::from_secs(1));
    connector.submit(&order).await;
    assert_eq!(stub.to("/disbursement/token/").len(), 2, "five minutes before its end");
    assert_eq!(stub.seen().last().unwrap().header("authorization"), "Bearer token-1");
}

#[tokio::test]
async fn a_401_is_repeated_only_for_questions_unless_the_carrier_documents_it() {
    let stub = Stub::new(|seen, before| match seen.path.as_str() {
        "/disbursement/token/" => {
            Reply::Json(200, json!({ "access_token": format!("token-{before}"), "expires_in": 3600 }))
        }
        _ => Reply::Json(401, json!({})),
    })
    .await;
    let silent = [("repeat_after_401 = true\n", "")];
    let connector = with_clock(&file(&stub, "", &silent), Clock::manual(Timestamp(0)));
    let order = order(PHONE, 5_000, "UGX");
    connector.submit(&order).await;
    assert_eq!(stub.seen().iter().filter(|s| s.path == "/disbursement/v1_0/transfer").count(), 1);
    connector.status(&order).await;
    let questions = stub.seen().iter().filter(|s| s.method == "GET").count();
    assert_eq!((questions, stub.to("/disbursement/token/").len()), (2, 3), "a stale token is not used again");
}

/// The sandbox biller's file with a token and a breaker.
fn biller(url: &str) -> String {
    let auth = format!(
        "\n[auth]\nscheme = \"oauth2\"\ntoken_url = \"{url}/token\"\nsend = \"basic\"\nclient_id = \"user\"\n\
         client_secret = \"word\"\n"
    );
    let secrets = "[secrets]\nuser = { env = \"USER_NAME\" }\nword = { env = \"PASS_WORD\" }\n";
    let text = biller::definition_toml(url).replace("timeout_ms = 5000", "timeout_ms = 300");
    text.replace("[secrets]\n", secrets) + &auth + BREAKER
}

async fn inquire(connector: &Connector) -> String {
    match connector.inquire("q1", "204818", Currency::new("CNY").unwrap()).await {
        Inquired::Down { detail, .. } => detail,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn an_inquiry_passes_breaker_and_token_as_a_payment_does() {
    let stub = Stub::new(|seen, before| match seen.path.as_str() {
        "/token" => Reply::Json(200, json!({ "access_token": format!("t{before}"), "expires_in": 3600 })),
        _ if before < 2 => Reply::Json(401, json!({})),
        _ if before < 5 => Reply::Json(500, json!({})),
        _ => Reply::Silence,
    })
    .await;
    let connector = with_clock(&biller(&stub.url), Clock::manual(Timestamp(0)));
    inquire(&connector).await;
    let asked = stub.to("/v1/bills/inquiries");
    let tokens: Vec<&str> = asked.iter().map(|s| s.header("authorization")).collect();
    assert_eq!(tokens, ["Bearer t0", "Bearer t1"], "a question is repeated once with a fresh token");
    for _ in 0..3 {
        inquire(&connector).await;
    }
    assert_eq!(connector.health().breaker, State::Closed, "a 500 is an answer, as it is to a payment");
    while connector.health().breaker == State::Closed {
        inquire(&connector).await;
    }
    let before = stub.seen().len();
    assert!(inquire(&connector).await.contains("left alone"));
    assert_eq!(stub.seen().len(), before, "nothing left");
}

/// Answers every question in the same way, with its headers.
#[derive(Debug)]
struct Simulated(Whole);

impl Wire for Simulated {
    fn exchange(&self, _: reqwest::Request) -> Exchange<'_> {
        Box::pin(async { panic!("an inquiry needs the headers") })
    }

    fn exchange_whole(&self, _: reqwest::Request) -> WholeExchange<'_> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

#[tokio::test]
async fn an_inquiry_goes_over_what_stands_in_for_http() {
    let file = biller::definition_toml("http://nowhere.invalid");
    let clock = Clock::manual(Timestamp(1_790_000_000_000_000));
    let body = json!({
        "status": "OPEN", "reference": "q1", "number": "204818", "quote": "k1", "expires": 1_790_000_600,
        "amount": "80.00", "currency": "CNY", "name": "W** L**"
    })
    .to_string();
    let at = 1_790_000_000;
    let key = load(&Source::Env("KEYTONE_SANDBOX_KEY".to_owned())).unwrap();
    let signature = sign(&key, format!("{at}.{body}").as_bytes(), Encoding::Hex);
    let headers = vec![("x-signature".to_owned(), signature), ("X-Timestamp".to_owned(), at.to_string())];
    let answer = Whole { status: 200, headers, body: body.clone().into_bytes() };
    let over =
        |answer: Whole| with_clock(&file, clock.clone()).over(Arc::new(Simulated(answer)), clock.clone());
    assert!(inquire(&over(answer.clone())).await.starts_with("Found"));
    let unsigned = Whole { headers: Vec::new(), ..answer };
    assert!(inquire(&over(unsigned)).await.contains("signature"));
}

/// What a carrier sells are face values of recharges: a bill is for what it is for.
#[tokio::test]
async fn amounts_of_recharges_do_not_bind_bills() {
    let stub = Stub::new(|_, _| Reply::Json(200, json!({ "status": "BOOKED" }))).await;
    let file = biller::definition_toml(&stub.url) + "\n[amounts]\nfixed = [\"50\", \"100\"]\n";
    let connector = with_clock(&file, Clock::manual(Timestamp(0)));
    let bill = BillOrder { number: "204818".to_owned(), quote: "k1".to_owned() };
    let order = Order { msisdn: None, bill: Some(bill), ..order(PHONE, 8_030, "CNY") };
    assert_eq!(word(&connector.submit(&order).await), "delivered");
}
