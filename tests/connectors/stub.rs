//! A carrier's HTTP interface, scripted: it remembers every request and answers what a test decides.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use keytone::clock::{Clock, Timestamp};
use keytone::connector::contract::{DEDUCTION_RESERVED, Order, Outcome, RefusalClass, Unclear};
use keytone::connector::definition::Definition;
use keytone::connector::http::Connector;
use keytone::connector::key::{Key, Source};
use keytone::money::{Currency, Money};

use crate::support::market::{phone, provider};

/// Our reference in every test.
pub(super) const REFERENCE: &str = "0b7c2c1e-5a0a-4c0b-8f43-6f2f6f0f1a11";

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What the stub does.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Json(u16, Value),
    Raw(u16, &'static str),
    /// Nothing, for longer than anybody waits.
    Silence,
}

type Script = Arc<dyn Fn(&Seen, usize) -> Reply + Send + Sync>;

/// A running stub.
#[derive(Clone)]
pub(super) struct Stub {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
}

impl Stub {
    /// `script` is given each request and how many requests to the same method and path came before it.
    pub(super) async fn new(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stub = Self { url, seen: Arc::default(), script: Arc::new(script) };
        let router = Router::new().fallback(handle).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        stub
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Requests whose path begins so.
    pub(super) fn to(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|s| s.path.starts_with(path)).collect()
    }
}

async fn handle(
    State(stub): State<Stub>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let seen = Seen { method: method.to_string(), path, headers, body };
    let before = {
        let mut list = stub.seen.lock().unwrap();
        let before = list.iter().filter(|s| s.method == seen.method && s.path == seen.path).count();
        list.push(seen.clone());
        before
    };
    match (stub.script)(&seen, before) {
        Reply::Json(status, value) => {
            (StatusCode::from_u16(status).unwrap(), value.to_string()).into_response()
        }
        Reply::Raw(status, text) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Reply::Silence => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::OK.into_response()
        }
    }
}

/// The credential of an environment variable is its name in small letters.
pub(super) fn load(source: &Source) -> Result<Key, String> {
    match source {
        Source::Env(name) => Ok(Key::new(name.to_lowercase().into_bytes())),
        Source::File(path) => Err(format!("no file {path} in tests")),
    }
}

/// A shipped file as text, with `changes` made; each must change something.
pub(super) fn shipped(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new("deploy/connectors").join(format!("{name}.toml"));
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

pub(super) fn made(text: &str) -> Connector {
    with_clock(text, Clock::machine())
}

pub(super) fn with_clock(text: &str, clock: Clock) -> Connector {
    Connector::new(Definition::parse(text, load).unwrap_or_else(|f| panic!("{f:#?}")), clock).unwrap()
}

/// An order of our one reference.
pub(super) fn order(msisdn: &str, minor: i64, currency: &str) -> Order {
    Order {
        reference: REFERENCE.to_owned(),
        msisdn: Some(phone(msisdn)),
        bill: None,
        external_id: None,
        amount: Money::new(minor, Currency::new(currency).unwrap()),
        deduction: "hold-1".to_owned(),
        state: DEDUCTION_RESERVED,
        at: Timestamp(0),
        carrier_reference: None,
    }
}

/// What an outcome is, in a word, with the class of a refusal or the cause of ignorance.
pub(super) fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused { class, .. } => format!("refused {}", RefusalClass::name(*class)),
        Outcome::Unknown { why, .. } => format!("unknown {}", Unclear::name(*why)),
        Outcome::NotSent { retryable, .. } => format!("not_sent {retryable}"),
        other => other.name().to_owned(),
    }
}
