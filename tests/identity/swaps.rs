//! The SIM-swap hook against a server that answers well, badly or not at all: what leaves, what is refused, what is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;

use keytone::connector::key::Key;
use keytone::connector::swap::Hook;
use keytone::payment::answer::{Channel, PayOutcome};
use keytone::payment::assurance::SwapRules;
use keytone::payment::run::Needs;

use crate::identity::{ME, OTHER};
use crate::support::market::{Database, Market, phone};

/// What the server does.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Says(bool),
    Status(u16, &'static str),
    Body(&'static str),
    Long,
    Silent,
    Redirects,
}

#[derive(Clone)]
struct Server {
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

async fn check(State(server): State<Server>, headers: HeaderMap, body: String) -> Response {
    server.asked.fetch_add(1, Ordering::SeqCst);
    server.seen.lock().unwrap().push((headers, body));
    let manner = *server.manner.lock().unwrap();
    match manner {
        Manner::Says(swapped) => format!("{{\"swapped\": {swapped}}}").into_response(),
        Manner::Status(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Manner::Body(body) => body.into_response(),
        Manner::Long => format!("{{\"swapped\": false, \"x\": \"{}\"}}", "x".repeat(100_000)).into_response(),
        Manner::Silent => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK.into_response()
        }
        Manner::Redirects => (StatusCode::TEMPORARY_REDIRECT, [("location", "/check")]).into_response(),
    }
}

async fn serve() -> (String, Server) {
    let server = Server {
        manner: Arc::new(Mutex::new(Manner::Says(false))),
        asked: Arc::default(),
        seen: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/check", listener.local_addr().unwrap());
    let app = Router::new().route("/check", post(check)).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, server)
}

async fn market(url: &str, open: bool, kept: Duration) -> Market {
    let hook = Hook {
        url: url.to_owned(),
        token: Some(Key::new(b"sesame".to_vec())),
        max_age_hours: 72,
        timeout: Duration::from_millis(400),
    };
    let rules = SwapRules { hook, from_minor: 10_000, open, kept };
    Market::open_with(Database::Sqlite, |plans| plans.settings.policy.swap = Some(rules)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_payments_are_asked_about_in_camaras_words_and_answers_are_kept() {
    let (url, server) = serve().await;
    let market = market(&url, false, Duration::from_secs(60)).await;
    let account = market.account(ME, 100_000).await;
    assert!(matches!(market.pay(account, ME, OTHER, 5_000).await, PayOutcome::Delivered { .. }));
    assert_eq!(server.asked.load(Ordering::SeqCst), 0, "not about a small one");
    assert!(matches!(market.pay(account, ME, OTHER, 10_000).await, PayOutcome::Delivered { .. }));
    assert_eq!(server.asked.load(Ordering::SeqCst), 1, "once for what is asked twice");
    let (headers, body) = server.seen.lock().unwrap()[0].clone();
    assert_eq!(headers["authorization"], "Bearer sesame");
    assert!(headers.contains_key("x-correlator") && headers["content-type"] == "application/json");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, serde_json::json!({ "phoneNumber": ME, "maxAge": 72 }));
    market.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_sim_pays_nothing_and_costs_no_pin_try() {
    let (url, server) = serve().await;
    *server.manner.lock().unwrap() = Manner::Says(true);
    let market = market(&url, true, Duration::ZERO).await;
    let account = market.account(ME, 100_000).await;
    let refused = PayOutcome::Refused { class: "sim_swapped".to_owned() };
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await, refused);
    let view = market.payments.account(account).await.unwrap().unwrap();
    assert_eq!((view.payer.pin_tries, view.available_minor), (0, 100_000));
    let needs =
        market.payments.needs("recharge.pay", 10_000, account, Some(&phone(ME)), Channel::Voice).await;
    assert_eq!(needs.unwrap(), Needs::Swapped);
    assert!(matches!(market.pay(account, ME, OTHER, 5_000).await, PayOutcome::Delivered { .. }));
    market.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_plain_answer_it_is_as_the_operator_says() {
    for open in [true, false] {
        for manner in [
            Manner::Status(401, "{\"status\": 401, \"code\": \"UNAUTHENTICATED\"}"),
            Manner::Status(404, "{\"swapped\": true}"),
            Manner::Status(500, "{\"swapped\": false}"),
            Manner::Status(204, ""),
            Manner::Body("swapped"),
            Manner::Body("{}"),
            Manner::Body("{\"swapped\": \"no\"}"),
            Manner::Body("[true]"),
            Manner::Long,
            Manner::Silent,
            Manner::Redirects,
        ] {
            let (url, server) = serve().await;
            *server.manner.lock().unwrap() = manner;
            let market = market(&url, open, Duration::from_secs(60)).await;
            let account = market.account(ME, 100_000).await;
            let needs = market
                .payments
                .needs("recharge.pay", 10_000, account, Some(&phone(ME)), Channel::Voice)
                .await;
            let wanted = if open { Needs::Pin } else { Needs::Swapped };
            assert_eq!(needs.unwrap(), wanted, "{manner:?}");
            let outcome = market.pay(account, ME, OTHER, 10_000).await;
            assert_eq!(matches!(outcome, PayOutcome::Delivered { .. }), open, "{manner:?}: {outcome:?}");
            assert_eq!(server.asked.load(Ordering::SeqCst), 1, "silence is waited for once: {manner:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_no_answer_either() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/check", listener.local_addr().unwrap());
    drop(listener);
    let market = market(&url, false, Duration::from_secs(60)).await;
    let account = market.account(ME, 100_000).await;
    let refused = PayOutcome::Refused { class: "sim_swapped".to_owned() };
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await, refused);
    market.close().await;
}
