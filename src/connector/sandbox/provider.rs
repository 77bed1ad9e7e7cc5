//! An account provider in a process of its own for trying and for tests: it keeps, takes and gives back money of accounts that
//! it makes up, remembers every reservation on disk, and does wrong what it is told to do wrong (see [`FAULTS`]).
//!
//! Every account has as much money as is asked for; as its balance it tells [`FUNDS_MINOR`] less what it keeps and has taken.
//! The last three digits of an account choose a fault.

mod fault;
mod funds;
mod news;

use std::collections::BTreeMap;
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
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::connector::definition::Definition;
use crate::connector::document::Fault as FileFault;
use crate::connector::key::Key;
use crate::connector::provider::Operation;
use crate::connector::sandbox::Error;
use crate::connector::sandbox::book::{Book, Record, Taken};
use crate::connector::sandbox::serving;
use crate::connector::sandbox::serving::answer;
use crate::connector::sandbox::wire::Breaker;

pub use fault::{BALANCE_FAULTS, FAULTS, Fault, NEWS_FAULTS, Wrong, WrongNews};
pub use funds::FUNDS_MINOR;

/// The connector's id.
pub const CONNECTOR: &str = "sandbox-wallet";
/// The connector's file, complete: an example for real providers.
pub const DEFINITION: &str = include_str!("provider/connector.toml");
/// The longest request body.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// How the sandbox provider runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its memory, made when it is not there.
    pub log: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Both sides sign with it.
    pub key: Key,
    /// Where its messages go, whole URL; none are sent without it.
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

/// The connector's file for a sandbox provider at `base_url`, such as `http://127.0.0.1:9102`.
#[must_use]
pub fn definition_toml(base_url: &str) -> String {
    DEFINITION.replace("{base_url}", base_url)
}

/// The checked definition for a sandbox provider at `base_url`; its key is the environment's or the usual one.
///
/// # Errors
/// Every fault, when `base_url` is not one.
pub fn definition(base_url: &str) -> Result<Definition, Vec<FileFault>> {
    Definition::parse(&definition_toml(base_url), |_| Ok(crate::connector::sandbox::key()))
}

struct Holder {
    config: Config,
    book: Book,
    client: reqwest::Client,
    /// Requests of each kind about each reference.
    asked: Mutex<BTreeMap<(String, &'static str), u32>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Serves until `stop`; open requests end with it. What was pending when an earlier process ended stays so.
///
/// # Errors
/// When the log cannot be opened, the socket fails or messages cannot be sent.
pub async fn serve(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
    let book = Book::open(&config.log)?;
    let tracker = TaskTracker::new();
    let asked = Mutex::new(BTreeMap::new());
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let holder =
        Arc::new(Holder { config, book, client, asked, tracker: tracker.clone(), stop: stop.clone() });
    let app = Router::new()
        .route("/v1/reservations", post(reserve))
        .route("/v1/reservations/{reference}", get(status))
        .route("/v1/reservations/{reference}/{operation}", post(change))
        .route("/v1/accounts/{account}/balance", get(funds::tell))
        .route("/log", get(log))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(holder);
    serving::serve(app, listener, stop, tracker).await
}

async fn log(State(holder): State<Arc<Holder>>) -> Response {
    serving::log(&holder.book).await
}

async fn reserve(
    State(holder): State<Arc<Holder>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !holder.is_signed(&headers, "POST", "/v1/reservations", &body) {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let Some(asked) = holder.read(&body) else { return answer(400, &json!({ "status": "BAD_REQUEST" })) };
    let wrong = holder.wrong(&asked.msisdn, &asked.reference, Operation::Reserve).await;
    if wrong == Some(Wrong::Late) {
        holder.clone().take_later(asked);
        return holder.mute(&breaker).await;
    }
    let wrong = wrong.or_else(|| WrongNews::of(&asked.msisdn).map(|_| Wrong::Pending));
    let (state, code) = match wrong {
        Some(Wrong::Refuse(code)) => ("refused", code),
        Some(Wrong::Pending | Wrong::PendingRefused | Wrong::PendingForever) => ("pending", "PENDING"),
        Some(Wrong::Takes) => ("captured", "CAPTURED"),
        _ => ("reserved", "RESERVED"),
    };
    let taken = matches!(state, "pending" | "refused") || wrong.is_none_or(Wrong::is_done);
    let record = Record { state: state.to_owned(), code: code.to_owned(), ..asked };
    if !taken {
        return holder.reply(wrong, &breaker, &record).await;
    }
    // In a task of its own: an asker who is gone stops the answer, not what was taken.
    let taking = {
        let holder = Arc::clone(&holder);
        holder.tracker.clone().spawn(async move { holder.book.take(record).await })
    };
    match taking.await.ok().flatten() {
        Some(Taken::New(record)) => {
            holder.tell(&record);
            holder.clone().follow(wrong, &record);
            holder.reply(wrong, &breaker, &record).await
        }
        Some(Taken::Again(record)) => answer(status_of(&record.state), &shown(&record)),
        Some(Taken::Conflict) => answer(409, &json!({ "status": "REFERENCE_USED" })),
        None => {
            breaker.cut();
            answer(500, &json!({}))
        }
    }
}

async fn change(
    State(holder): State<Arc<Holder>>,
    Path((reference, name)): Path<(String, String)>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !holder.is_signed(&headers, "POST", &format!("/v1/reservations/{reference}/{name}"), &body) {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let (operation, from, to, code) = match name.as_str() {
        "capture" => (Operation::Capture, "reserved", "captured", "CAPTURED"),
        "release" => (Operation::Release, "reserved", "released", "RELEASED"),
        "refund" => (Operation::Refund, "captured", "refunded", "REFUNDED"),
        _ => return answer(404, &json!({ "status": "NO_SUCH_OPERATION" })),
    };
    let Some(record) = holder.book.find(&reference).await else {
        return answer(404, &json!({ "status": "NOT_FOUND" }));
    };
    let wrong = holder.wrong(&record.msisdn, &reference, operation).await;
    if let Some(Wrong::Refuse(code)) = wrong {
        return answer(409, &shown(&Record { code: code.to_owned(), ..record }));
    }
    let pending = operation == Operation::Release && record.state == "pending";
    if wrong.is_some_and(|w| !w.is_done()) || !(record.state == from || pending) {
        // Not done: the answer tells how it stands.
        return holder.reply(wrong, &breaker, &record).await;
    }
    let at = holder.config.clock.now().to_rfc3339();
    match holder.book.change(&reference, to, code, at).await {
        Some(record) => {
            holder.tell(&record);
            holder.reply(wrong, &breaker, &record).await
        }
        None => answer(500, &json!({})),
    }
}

async fn status(
    State(holder): State<Arc<Holder>>,
    Path(reference): Path<String>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
) -> Response {
    if !holder.is_signed(&headers, "GET", &format!("/v1/reservations/{reference}"), b"") {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    match holder.book.find(&reference).await {
        Some(record) => {
            let wrong = holder.wrong(&record.msisdn, &reference, Operation::Status).await;
            if wrong.is_some() {
                return holder.reply(wrong, &breaker, &record).await;
            }
            let hides = WrongNews::of(&record.msisdn) == Some(WrongNews::Only) && record.state == "reserved";
            let code = if hides { "PENDING".to_owned() } else { record.code.clone() };
            answer(200, &shown(&Record { code, ..record }))
        }
        None => answer(404, &json!({ "status": "NOT_FOUND" })),
    }
}

impl Holder {
    fn is_signed(&self, headers: &HeaderMap, method: &str, path: &str, body: &[u8]) -> bool {
        serving::is_signed((&self.config.key, &self.config.clock), headers, method, path, body)
    }

    fn read(&self, body: &[u8]) -> Option<Record> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let reference = text("/reference").filter(|r| !r.is_empty())?;
        let id = reference.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>();
        Some(Record {
            id: format!("WR{id}"),
            reference,
            msisdn: text("/account").filter(|a| !a.is_empty())?,
            amount: text("/amount")?,
            currency: text("/currency")?,
            deduction: text("/payment")?,
            state: String::new(),
            code: String::new(),
            at: self.config.clock.now().to_rfc3339(),
        })
    }

    /// How this request goes wrong; every request counts.
    async fn wrong(&self, account: &str, reference: &str, operation: Operation) -> Option<Wrong> {
        let fault = Fault::of(account).filter(|fault| fault.operation == operation)?;
        let mut asked = self.asked.lock().await;
        let times = asked.entry((reference.to_owned(), operation.name())).or_default();
        *times = times.saturating_add(1);
        (*times <= fault.times).then_some(fault.wrong)
    }

    /// What follows by itself from a reservation.
    fn follow(self: Arc<Self>, wrong: Option<Wrong>, record: &Record) {
        let (state, code) = match wrong {
            Some(Wrong::Pending) => ("reserved", "RESERVED"),
            Some(Wrong::PendingRefused) => ("refused", "DECLINED"),
            Some(Wrong::Expires) => ("released", "RELEASED"),
            _ => return,
        };
        let (reference, holder) = (record.reference.clone(), Arc::clone(&self));
        self.after(async move {
            let at = holder.config.clock.now().to_rfc3339();
            // What was released or captured meanwhile stays so.
            let now = holder.book.find(&reference).await.map(|record| record.state);
            if now.as_deref().is_some_and(|state| matches!(state, "pending" | "reserved"))
                && let Some(record) = holder.book.change(&reference, state, code, at).await
            {
                holder.tell(&record);
            }
        });
    }

    fn take_later(self: Arc<Self>, asked: Record) {
        let record = Record { state: "reserved".to_owned(), code: "RESERVED".to_owned(), ..asked };
        let holder = Arc::clone(&self);
        self.after(async move {
            if let Some(Taken::New(record)) = holder.book.take(record).await {
                holder.tell(&record);
            }
        });
    }

    fn after(&self, what: impl Future<Output = ()> + Send + 'static) {
        let (later, stop) = (self.config.later, self.stop.clone());
        self.tracker.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(later) => what.await,
                () = stop.cancelled() => {}
            }
        });
    }

    async fn mute(&self, breaker: &Breaker) -> Response {
        tokio::time::sleep(self.config.hang).await;
        breaker.cut();
        answer(500, &json!({}))
    }

    async fn reply(&self, wrong: Option<Wrong>, breaker: &Breaker, record: &Record) -> Response {
        let mut body = shown(record);
        match wrong {
            Some(Wrong::MuteAfter | Wrong::MuteBefore | Wrong::Late) => return self.mute(breaker).await,
            Some(Wrong::ResetAfter | Wrong::ResetBefore) => {
                breaker.cut();
                return answer(500, &json!({}));
            }
            Some(Wrong::ErrorAfter | Wrong::ErrorBefore | Wrong::Takes) => {
                return answer(500, &json!({ "status": "INTERNAL" }));
            }
            Some(Wrong::Garbage) => return (StatusCode::OK, "<html>\u{fffd} it works!").into_response(),
            Some(Wrong::Slow) => tokio::time::sleep(self.config.slow).await,
            Some(Wrong::Amount) => {
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("amount".to_owned(), json!("1.00"));
                }
            }
            Some(
                Wrong::Refuse(_)
                | Wrong::Currency
                | Wrong::Pending
                | Wrong::PendingRefused
                | Wrong::PendingForever
                | Wrong::Expires,
            )
            | None => {}
        }
        answer(status_of(&record.state), &body)
    }
}

fn status_of(state: &str) -> u16 {
    match state {
        "pending" => 202,
        "refused" => 402,
        _ => 200,
    }
}

fn shown(record: &Record) -> Value {
    json!({
        "reference": record.reference,
        "id": record.id,
        "amount": record.amount,
        "currency": record.currency,
        "status": record.code,
    })
}
