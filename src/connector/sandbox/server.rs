//! The sandbox carrier's HTTP side: recharges, status queries, `GET /log`, and the callbacks that it sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::connector::sandbox::Config;
use crate::connector::sandbox::book::{Book, Record, Taken};
use crate::connector::sandbox::fault::Fault;
use crate::connector::sandbox::serving;
use crate::connector::sandbox::serving::answer;
use crate::connector::sandbox::wire::Breaker;
use crate::msisdn::Msisdn;

/// The longest request body.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Callbacks waiting to be sent; more are dropped, as carriers do.
pub(super) const CALLBACKS_MAX: usize = 4096;
/// Status queries that are answered "not found" by [`Fault::NotFoundFirst`].
const NOT_FOUND_TIMES: u64 = 2;

/// A callback to be sent after a while.
#[derive(Debug)]
pub(super) struct Callback {
    pub(super) after: Duration,
    pub(super) record: Record,
    /// Written into the book first, unless the record only claims it.
    pub(super) change: bool,
    /// Whether it is sent at all (a silent change is only written).
    pub(super) send: bool,
}

pub(super) struct Carrier {
    pub(super) config: Config,
    pub(super) book: Book,
    pub(super) callbacks: mpsc::Sender<Callback>,
    pub(super) requests: AtomicU64,
    pub(super) asked: tokio::sync::Mutex<BTreeMap<String, u64>>,
}

pub(super) fn router(carrier: Arc<Carrier>) -> Router {
    Router::new()
        .route("/v1/recharges", post(recharge))
        .route("/v1/recharges/{reference}", get(status))
        .route("/log", get(log))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(carrier)
}

async fn log(State(carrier): State<Arc<Carrier>>) -> Response {
    serving::log(&carrier.book).await
}

async fn status(
    State(carrier): State<Arc<Carrier>>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Response {
    let path = format!("/v1/recharges/{reference}");
    if !carrier.is_signed(&headers, "GET", &path, b"") {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let Some(record) = carrier.book.find(&reference).await else {
        return answer(404, &json!({ "status": "NOT_FOUND", "reference": reference }));
    };
    if fault_of(&record) == Fault::NotFoundFirst {
        let mut asked = carrier.asked.lock().await;
        let times = asked.entry(reference.clone()).or_default();
        *times += 1;
        if *times <= NOT_FOUND_TIMES {
            return answer(404, &json!({ "status": "NOT_FOUND", "reference": reference }));
        }
    }
    answer(200, &shown(&record))
}

fn fault_of(record: &Record) -> Fault {
    Msisdn::parse(&record.msisdn).map_or(Fault::None, |phone| Fault::of(&phone))
}

async fn recharge(
    State(carrier): State<Arc<Carrier>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !carrier.is_signed(&headers, "POST", "/v1/recharges", &body) {
        return answer(401, &json!({ "status": "UNAUTHORISED" }));
    }
    let Some((phone, asked)) = carrier.read(&body) else {
        return answer(400, &json!({ "status": "BAD_REQUEST" }));
    };
    let n = carrier.requests.fetch_add(1, Ordering::Relaxed);
    let fault = match Fault::of(&phone) {
        Fault::None => Fault::by_chance(carrier.config.seed, n, carrier.config.faults_per_mille),
        by_number => by_number,
    };
    if !fault.is_taken() {
        return carrier.reply(fault, &breaker, &asked).await;
    }
    let (state, code) = fault.first_state();
    let asked = Record { state: state.to_owned(), code: code.to_owned(), ..asked };
    // In a task of its own: an asker who is gone stops the answer, not what follows from the recharge.
    let taken = tokio::spawn({
        let carrier = Arc::clone(&carrier);
        async move {
            let taken = carrier.book.take(asked).await;
            if let Some(Taken::New(record)) = &taken {
                carrier.follow(fault, record);
            }
            taken
        }
    });
    match taken.await.ok().flatten() {
        Some(Taken::New(record)) => carrier.reply(fault, &breaker, &record).await,
        Some(Taken::Again(record)) => answer(status_of(&record.state), &shown(&record)),
        Some(Taken::Conflict) => answer(409, &json!({ "status": "REFERENCE_USED" })),
        None => {
            breaker.cut();
            answer(500, &json!({}))
        }
    }
}

impl Carrier {
    fn now(&self) -> String {
        self.config.clock.now().to_rfc3339()
    }

    fn is_signed(&self, headers: &HeaderMap, method: &str, path: &str, body: &[u8]) -> bool {
        serving::is_signed((&self.config.key, &self.config.clock), headers, method, path, body)
    }

    fn read(&self, body: &[u8]) -> Option<(Msisdn, Record)> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let phone = Msisdn::parse(&text("/msisdn")?).ok()?;
        // A carrier recharges on the strength of a deduction: without a reserved one it does nothing.
        if text("/deduction/state")? != "reserved" {
            return None;
        }
        let reference = text("/reference").filter(|r| !r.is_empty())?;
        let record = Record {
            id: format!(
                "SB{}",
                reference.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>()
            ),
            reference,
            msisdn: phone.as_str().to_owned(),
            amount: text("/amount")?,
            currency: text("/currency")?,
            deduction: text("/deduction/id")?,
            state: String::new(),
            code: String::new(),
            at: self.now(),
        };
        Some((phone, record))
    }

    /// Plans again what an earlier process had planned for pending recharges.
    pub(super) async fn take_up(&self) {
        for record in self.book.all().await {
            if record.state == "accepted" {
                self.follow(fault_of(&record), &record);
            }
        }
    }

    /// Plans what follows after the first state: changes and callbacks.
    fn follow(&self, fault: Fault, record: &Record) {
        let later = self.config.later;
        let claim = |state: &str, code: &str| Record {
            state: state.to_owned(),
            code: code.to_owned(),
            ..record.clone()
        };
        if let Some((state, code)) = fault.later_state() {
            let send = fault != Fault::LaterSilent;
            self.plan(Callback { after: later, record: claim(state, code), change: true, send });
        }
        let (after, times, record) = match fault {
            Fault::DuplicateCallbacks => (Duration::ZERO, 5, record.clone()),
            Fault::CallbackFirst => (Duration::ZERO, 1, record.clone()),
            Fault::LateCallback => (later * 4, 1, record.clone()),
            Fault::RefusedAfterDelivered => (later, 1, claim("refused", "BARRED")),
            Fault::DeliveredAfterRefused => (later, 1, claim("delivered", "DELIVERED")),
            _ => return,
        };
        // What these two claim is a contradiction of the carrier's own making: it then believes the later
        // word.
        let change = matches!(fault, Fault::RefusedAfterDelivered | Fault::DeliveredAfterRefused);
        for _ in 0..times {
            self.plan(Callback { after, record: record.clone(), change, send: true });
        }
    }

    fn plan(&self, callback: Callback) {
        if self.callbacks.try_send(callback).is_err() {
            tracing::warn!("the sandbox carrier drops a callback: too many are waiting");
        }
    }

    async fn reply(&self, fault: Fault, breaker: &Breaker, record: &Record) -> Response {
        match fault {
            Fault::TimeoutAfter | Fault::TimeoutBefore | Fault::LateCallback | Fault::NotFoundFirst => {
                tokio::time::sleep(self.config.hang).await;
                breaker.cut();
                answer(500, &json!({}))
            }
            Fault::ResetAfter | Fault::ResetBefore => {
                breaker.cut();
                answer(500, &json!({}))
            }
            Fault::ErrorAfter | Fault::ErrorBefore => answer(500, &json!({ "status": "INTERNAL" })),
            Fault::Garbage => (StatusCode::OK, "<html>\u{fffd} it works!").into_response(),
            Fault::Empty => StatusCode::OK.into_response(),
            Fault::Endless => {
                (StatusCode::OK, "9".repeat(crate::connector::http::ANSWER_BYTES_MAX + 1)).into_response()
            }
            Fault::WrongAmount => {
                let mut body = shown(record);
                if let Some(amount) = body.pointer_mut("/amount") {
                    *amount = json!("1.00");
                }
                answer(200, &body)
            }
            Fault::WrongNumber => {
                let mut body = shown(record);
                if let Some(msisdn) = body.pointer_mut("/msisdn") {
                    *msisdn = json!("+8613999999999");
                }
                answer(200, &body)
            }
            Fault::Slow | Fault::CallbackFirst => {
                tokio::time::sleep(self.config.slow).await;
                answer(200, &shown(record))
            }
            Fault::None
            | Fault::Refuse(_)
            | Fault::Later
            | Fault::LaterRefused
            | Fault::LaterSilent
            | Fault::PendingForever
            | Fault::DuplicateCallbacks
            | Fault::Reversed
            | Fault::RefusedAfterDelivered
            | Fault::DeliveredAfterRefused => answer(status_of(&record.state), &shown(record)),
        }
    }
}

fn status_of(state: &str) -> u16 {
    match state {
        "accepted" => 202,
        "refused" => 422,
        _ => 200,
    }
}

pub(super) fn shown(record: &Record) -> Value {
    json!({
        "reference": record.reference,
        "id": record.id,
        "msisdn": record.msisdn,
        "amount": record.amount,
        "currency": record.currency,
        "status": record.code,
    })
}
