//! A biller in a process of its own for trying and for tests: it answers for bills that it makes up from their numbers,
//! signs what it answers, remembers every payment on disk, and does wrong what it is told to do wrong (see [`FAULTS`]).
//!
//! The first four digits of a number are what the bill comes to, in minor units: 8050001 is a bill of 80.50. The last
//! three choose a fault.

mod fault;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::connector::definition::Definition;
use crate::connector::document::Fault as FileFault;
use crate::connector::key;
use crate::connector::key::{Encoding, Key};
use crate::connector::sandbox::book::{Book, Record, Taken};
use crate::connector::sandbox::serving;
use crate::connector::sandbox::serving::answer;
use crate::connector::sandbox::wire::Breaker;
use crate::connector::sandbox::{Error, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::money::{Currency, Money};

pub use fault::{FAULTS, Fault, Whose};

/// The connector's id.
pub const CONNECTOR: &str = "sandbox-biller";
/// The connector's file, complete: an example for real billers.
pub const DEFINITION: &str = include_str!("biller/connector.toml");
/// The longest request body.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a quote holds, in seconds.
const QUOTE_SECONDS: i64 = 600;
/// What paying a bill costs.
const FEE: &str = "0.50";
/// The least part of a bill that may be paid, in minor units.
const PART_MIN_MINOR: i64 = 100;
/// How many times what is due may be paid where more may be.
const OVER_TIMES: i64 = 10;
/// Whose payment paid a bill that another has paid.
const ANOTHER: &str = "another-payment";

/// How the sandbox biller runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its memory, made when it is not there.
    pub log: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Both sides sign with it.
    pub key: Key,
    /// Where callbacks go, whole URL; none are sent without it.
    pub callback_url: Option<String>,
    /// How long a slow answer takes.
    pub slow: Duration,
    /// How long "later" is.
    pub later: Duration,
    /// How long a request that is never answered is kept open.
    pub hang: Duration,
}

impl Config {
    /// The usual behaviour, with its memory in `log`.
    #[must_use]
    pub fn new(log: PathBuf, clock: Clock) -> Self {
        Self {
            log,
            clock,
            key: crate::connector::sandbox::key(),
            callback_url: None,
            slow: Duration::from_millis(1_500),
            later: Duration::from_secs(2),
            hang: Duration::from_secs(60),
        }
    }
}

/// The connector's file for a sandbox biller at `base_url`, such as `http://127.0.0.1:9101`.
#[must_use]
pub fn definition_toml(base_url: &str) -> String {
    DEFINITION.replace("{base_url}", base_url)
}

/// The checked definition for a sandbox biller at `base_url`; its key is the environment's or the usual one.
///
/// # Errors
/// Every fault, when `base_url` is not one.
pub fn definition(base_url: &str) -> Result<Definition, Vec<FileFault>> {
    Definition::parse(&definition_toml(base_url), |_| Ok(crate::connector::sandbox::key()))
}

struct Biller {
    config: Config,
    book: Book,
    client: reqwest::Client,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Serves until `stop`; open requests and callbacks end with it. A payment that was pending when an earlier process ended
/// stays so.
///
/// # Errors
/// When the log cannot be opened or the socket fails.
pub async fn serve(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
    let book = Book::open(&config.log)?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let tracker = TaskTracker::new();
    let biller = Arc::new(Biller { config, book, client, tracker: tracker.clone(), stop: stop.clone() });
    let app = Router::new()
        .route("/v1/bills/inquiries", post(inquire))
        .route("/v1/bills/payments", post(pay))
        .route("/v1/bills/payments/{reference}", get(status))
        .route("/log", get(log))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(biller);
    serving::serve(app, listener, stop, tracker).await
}

async fn log(State(biller): State<Arc<Biller>>) -> Response {
    serving::log(&biller.book).await
}

async fn inquire(
    State(biller): State<Arc<Biller>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !biller.is_signed(&headers, "POST", "/v1/bills/inquiries", &body) {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |pointer: &str| asked.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (number, reference) = (text("/number"), text("/reference"));
    let fault = Fault::of(number);
    match fault {
        Fault::Down => return answer(503, &json!({})),
        Fault::Mute => {
            tokio::time::sleep(biller.config.hang).await;
            breaker.cut();
            return answer(500, &json!({}));
        }
        _ => {}
    }
    let (status, mut shown) = biller.bill(number, text("/currency"), fault).await;
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("reference".to_owned(), json!(reference));
    }
    biller.signed(status, &shown, fault)
}

async fn status(
    State(biller): State<Arc<Biller>>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Response {
    let path = format!("/v1/bills/payments/{reference}");
    if !biller.is_signed(&headers, "GET", &path, b"") {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    match biller.book.find(&reference).await {
        Some(record) => answer(200, &shown_again(&record)),
        None => answer(404, &json!({ "status": "NOT_FOUND", "reference": reference })),
    }
}

async fn pay(
    State(biller): State<Arc<Biller>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !biller.is_signed(&headers, "POST", "/v1/bills/payments", &body) {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let Some((asked, quote)) = biller.read(&body) else {
        return answer(400, &json!({ "status": "BAD_REQUEST" }));
    };
    let fault = Fault::of(&asked.msisdn);
    if !fault.is_taken() {
        return biller.reply(fault, &breaker, &asked).await;
    }
    if let Some(known) = biller.book.find(&asked.reference).await {
        return answer(status_of(&known.state), &shown_again(&known));
    }
    let (state, code) = match biller.objection(&asked, &quote).await {
        Some(code) => ("refused", code),
        None => fault.first_state(),
    };
    let asked = Record { state: state.to_owned(), code: code.to_owned(), ..asked };
    // In a task of its own: an asker who is gone stops the answer, not what follows from the payment.
    let taking = {
        let biller = Arc::clone(&biller);
        biller.tracker.clone().spawn(async move {
            let taken = biller.book.take(asked).await;
            if let Some(Taken::New(record)) = &taken {
                biller.follow(fault, record);
            }
            taken
        })
    };
    match taking.await.ok().flatten() {
        Some(Taken::New(record)) => biller.reply(fault, &breaker, &record).await,
        Some(Taken::Again(record)) => answer(status_of(&record.state), &shown_again(&record)),
        Some(Taken::Conflict) => answer(409, &json!({ "status": "REFERENCE_USED" })),
        None => {
            breaker.cut();
            answer(500, &json!({}))
        }
    }
}

impl Biller {
    fn now(&self) -> i64 {
        self.config.clock.now().0.div_euclid(1_000_000)
    }

    fn is_signed(&self, headers: &HeaderMap, method: &str, path: &str, body: &[u8]) -> bool {
        serving::is_signed((&self.config.key, &self.config.clock), headers, method, path, body)
    }

    /// An answer to an inquiry, signed unless the fault is in that.
    fn signed(&self, status: u16, body: &Value, fault: Fault) -> Response {
        let mut timestamp = self.now();
        if fault == Fault::Replayed {
            timestamp = timestamp.saturating_sub(3_600);
        }
        let body = body.to_string();
        let over = format!("{timestamp}.{body}");
        let mut signature = key::sign(&self.config.key, over.as_bytes(), Encoding::Hex);
        if fault == Fault::Forged {
            signature = key::sign(&Key::new(b"another key".to_vec()), over.as_bytes(), Encoding::Hex);
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            ("content-type", "application/json".to_owned()),
            (SIGNATURE_HEADER, signature),
            (TIMESTAMP_HEADER, timestamp.to_string()),
        ];
        (status, headers, body).into_response()
    }

    /// What is still due of a bill, in minor units; payments under way count.
    async fn due_minor(&self, number: &str, currency: Currency) -> i64 {
        let paid = self
            .book
            .all()
            .await
            .into_iter()
            .filter(|r| r.msisdn == number && (r.state == "delivered" || r.state == "accepted"));
        let paid = paid.filter_map(|r| Money::parse(&r.amount, currency).ok()).map(|m| m.minor).sum::<i64>();
        face_minor(number).saturating_sub(paid)
    }

    async fn bill(&self, number: &str, currency: &str, fault: Fault) -> (u16, Value) {
        let Ok(currency) = Currency::new(currency) else {
            return (400, json!({ "status": "BAD_REQUEST", "number": number }));
        };
        let due_minor = self.due_minor(number, currency).await;
        match fault {
            Fault::NotFound => return (404, json!({ "status": "NOT_FOUND", "number": number })),
            Fault::Expired => return (200, json!({ "status": "EXPIRED", "number": number })),
            Fault::Paid => return (200, json!({ "status": "PAID", "number": number })),
            _ if face_minor(number) == 0 => {
                return (404, json!({ "status": "NOT_FOUND", "number": number }));
            }
            _ if due_minor <= 0 => return (200, json!({ "status": "PAID", "number": number })),
            _ => {}
        }
        let expires = self.now().saturating_add(if fault == Fault::ShortQuote { 1 } else { QUOTE_SECONDS });
        let (least, most) = bounds(fault, due_minor);
        let money = |minor| Money::new(minor, currency).amount_text();
        let day = jiff::Timestamp::from_second(self.now().saturating_add(20 * 86_400)).unwrap_or_default();
        (
            200,
            json!({
                "status": "OPEN",
                "number": if fault == Fault::OtherBill { "1" } else { number },
                "quote": format!("Q-{number}-{due_minor}-{expires}"),
                "expires": expires,
                "name": "W** L**",
                "address": "12 R**",
                "due": day.strftime("%Y-%m-%d").to_string(),
                "amount": money(due_minor),
                "least": money(least),
                "most": money(most),
                "fee": FEE,
                "currency": if fault == Fault::OtherCurrency { "XTS" } else { currency.code() },
            }),
        )
    }

    fn read(&self, body: &[u8]) -> Option<(Record, String)> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        // A biller books on the strength of a deduction: without a reserved one it does nothing.
        if text("/deduction/state")? != "reserved" {
            return None;
        }
        let reference = text("/reference").filter(|r| !r.is_empty())?;
        let id = reference.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>();
        let record = Record {
            id: format!("BL{id}"),
            reference,
            msisdn: text("/number")?,
            amount: text("/amount")?,
            currency: text("/currency")?,
            deduction: text("/deduction/id")?,
            state: String::new(),
            code: String::new(),
            at: self.config.clock.now().to_rfc3339(),
        };
        Some((record, text("/quote")?))
    }

    /// Why a payment cannot be booked: the bill is paid, the quote is not ours or too old, or the amount does not fit.
    async fn objection(&self, asked: &Record, quote: &str) -> Option<&'static str> {
        let Ok(currency) = Currency::new(&asked.currency) else { return Some("BAD_QUOTE") };
        let due_minor = self.due_minor(&asked.msisdn, currency).await;
        if due_minor <= 0 {
            return Some("PAID");
        }
        let wanted = format!("Q-{}-{due_minor}-", asked.msisdn);
        let Some(expires) = quote.strip_prefix(&wanted).and_then(|t| t.parse::<i64>().ok()) else {
            return Some("CHANGED");
        };
        let (least, most) = bounds(Fault::of(&asked.msisdn), due_minor);
        let fits = Money::parse(&asked.amount, currency).is_ok_and(|m| (least..=most).contains(&m.minor));
        (expires < self.now() || !fits).then_some("CHANGED")
    }

    /// Plans what follows after the first state: changes and callbacks.
    fn follow(self: &Arc<Self>, fault: Fault, record: &Record) {
        let later = self.config.later;
        if let Some((state, code)) = fault.later_state() {
            if record.state == "refused" {
                return;
            }
            let record = Record { state: state.to_owned(), code: code.to_owned(), ..record.clone() };
            self.plan(later, record, true, fault != Fault::LaterSilent);
            return;
        }
        let times = match fault {
            Fault::DuplicateCallbacks => 5,
            Fault::CallbackFirst => 1,
            _ => 0,
        };
        for _ in 0..times {
            self.plan(Duration::ZERO, record.clone(), false, true);
        }
    }

    fn plan(self: &Arc<Self>, after: Duration, record: Record, change: bool, send: bool) {
        let biller = Arc::clone(self);
        self.tracker.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(after) => biller.tell(record, change, send).await,
                () = biller.stop.cancelled() => {}
            }
        });
    }

    async fn tell(&self, mut record: Record, change: bool, send: bool) {
        if change {
            let at = self.config.clock.now().to_rfc3339();
            match self.book.change(&record.reference, &record.state, &record.code, at).await {
                Some(changed) => record = changed,
                None => return,
            }
        }
        let Some(url) = self.config.callback_url.as_ref().filter(|_| send) else { return };
        let body = shown(&record).to_string();
        let timestamp = self.now().to_string();
        let over = format!("{timestamp}.{body}");
        let sending = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header(SIGNATURE_HEADER, key::sign(&self.config.key, over.as_bytes(), Encoding::Hex))
            .header(TIMESTAMP_HEADER, timestamp)
            .body(body)
            .send();
        tokio::select! {
            sent = sending => if let Err(error) = sent {
                tracing::warn!(error = %error.without_url(), "a callback of the sandbox biller was not taken");
            },
            () = self.stop.cancelled() => {}
        }
    }

    async fn reply(&self, fault: Fault, breaker: &Breaker, record: &Record) -> Response {
        let mut body = shown(record);
        match fault {
            Fault::TimeoutAfter | Fault::TimeoutBefore | Fault::PaidByOurs => {
                tokio::time::sleep(self.config.hang).await;
                breaker.cut();
                return answer(500, &json!({}));
            }
            Fault::ResetAfter | Fault::ResetBefore => {
                breaker.cut();
                return answer(500, &json!({}));
            }
            Fault::ErrorAfter | Fault::ErrorBefore => return answer(500, &json!({ "status": "INTERNAL" })),
            Fault::Garbage => return (StatusCode::OK, "<html>\u{fffd} it works!").into_response(),
            Fault::WrongAmount => put(&mut body, "amount", "1.00"),
            Fault::WrongBill => put(&mut body, "number", "1"),
            Fault::Slow | Fault::CallbackFirst => tokio::time::sleep(self.config.slow).await,
            _ => {}
        }
        answer(status_of(&record.state), &body)
    }
}

/// What a bill comes to: the first four digits of its number, minor units.
fn face_minor(number: &str) -> i64 {
    number.get(..4).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The least and the most that may be paid of what is due, minor units.
fn bounds(fault: Fault, due_minor: i64) -> (i64, i64) {
    match fault {
        Fault::Part => (PART_MIN_MINOR.min(due_minor), due_minor),
        Fault::Over => (due_minor, due_minor.saturating_mul(OVER_TIMES)),
        _ => (due_minor, due_minor),
    }
}

fn put(body: &mut Value, field: &str, text: &str) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(field.to_owned(), json!(text));
    }
}

fn status_of(state: &str) -> u16 {
    match state {
        "accepted" => 202,
        "refused" => 422,
        _ => 200,
    }
}

fn shown(record: &Record) -> Value {
    let mut body = json!({
        "reference": record.reference,
        "id": record.id,
        "number": record.msisdn,
        "amount": record.amount,
        "currency": record.currency,
        "status": record.code,
    });
    match Fault::of(&record.msisdn) {
        _ if record.state == "delivered" => put(&mut body, "paid_by", &record.reference),
        Fault::Refuse(_, Whose::Silent) => {}
        Fault::Refuse(_, Whose::Nobody) => put(&mut body, "paid_by", ""),
        // Also a bill without a fault that was refused since another payment was there first.
        _ if record.code == "PAID" => put(&mut body, "paid_by", ANOTHER),
        _ => {}
    }
    body
}

/// What a second question about the same payment is answered.
fn shown_again(record: &Record) -> Value {
    let mut body = shown(record);
    if Fault::of(&record.msisdn) == Fault::PaidByOurs {
        put(&mut body, "status", "PAID");
    }
    body
}
