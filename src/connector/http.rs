//! Asks a carrier over HTTP, as its [`Definition`] says, and tells what was never sent from what may have
//! been.
//!
//! No retries, no redirects, no proxy: a request leaves once or not at all, with one exception that a connector's
//! file must declare (`repeat_after_401`). What is not certainly unsent or certainly answered is
//! [`Outcome::Unknown`].

mod bill;
mod provider;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::connector::bill::settle;
use crate::connector::contract::{Callback, Description, Echo, Order, Outcome, Unclear};
use crate::connector::definition::{Auth, CallbackSignature, Definition, Request, TokenForm};
use crate::connector::gate::{Gate, Health};
use crate::connector::key;
use crate::connector::map::Reading;
use crate::connector::template::{Slot, Values};
use crate::connector::token;
use crate::connector::token::{NoToken, Tokens};
use crate::money::Currency;
use crate::secret::Secret;

pub use provider::News;

/// An answer is read up to this many bytes; a longer one is unknown.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A callback is read up to this many bytes.
pub const CALLBACK_BYTES_MAX: usize = 64 * 1024;
/// An idle connection is dropped after this time, before most servers drop it under our hands.
const IDLE: Duration = Duration::from_secs(10);

/// What stands in for HTTP in a simulation.
pub trait Wire: std::fmt::Debug + Send + Sync {
    /// Takes a request and gives the status and body of the answer, or what is known without one.
    fn exchange(&self, request: reqwest::Request) -> Exchange<'_>;

    /// The same with the headers of the answer, which carry a biller's signature; without any unless it says otherwise.
    fn exchange_whole(&self, request: reqwest::Request) -> WholeExchange<'_> {
        Box::pin(async move {
            self.exchange(request).await.map(|(status, body)| Whole { status, headers: Vec::new(), body })
        })
    }
}

/// See [`Wire::exchange`].
pub type Exchange<'w> = Pin<Box<dyn Future<Output = Result<(u16, Vec<u8>), Outcome>> + Send + 'w>>;

/// See [`Wire::exchange_whole`].
pub type WholeExchange<'w> = Pin<Box<dyn Future<Output = Result<Whole, Outcome>> + Send + 'w>>;

/// An answer with its headers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Whole {
    /// The status.
    pub status: u16,
    /// Names in any case with their values; those that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a connector cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TLS provider, no certificate roots.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why a callback was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallbackFault {
    /// This connector has no callbacks.
    #[error("this carrier has no callbacks")]
    NotExpected,
    /// Larger than [`CALLBACK_BYTES_MAX`].
    #[error("the callback is too long")]
    TooLong,
    /// The signature, or its timestamp, is not there or not right.
    #[error("the signature does not hold")]
    Signature,
    /// It names no reference.
    #[error("the callback names no reference")]
    Unreadable,
}

/// One carrier.
#[derive(Clone, Debug)]
pub struct Connector {
    definition: Arc<Definition>,
    client: reqwest::Client,
    wire: Option<Arc<dyn Wire>>,
    clock: Clock,
    gate: Arc<Gate>,
    tokens: Arc<Tokens>,
}

/// A callback as it came, and whether its sender was proved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// What it says.
    pub callback: Callback,
    /// Without proof it may only prompt a status query.
    pub verified: bool,
}

impl Connector {
    /// A connector for a checked definition.
    ///
    /// # Errors
    /// When the machine has no TLS provider or certificate roots.
    pub fn new(definition: Definition, clock: Clock) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(definition.connect_timeout.min(definition.description.timeout))
            .timeout(definition.description.timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("keytone/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let gate = Gate::new(definition.limits, definition.breaker, clock.clone());
        Ok(Self {
            definition: Arc::new(definition),
            client,
            wire: None,
            clock,
            gate: Arc::new(gate),
            tokens: Arc::default(),
        })
    }

    /// The same carrier, asked over `wire` in the time of `clock`.
    #[must_use]
    pub fn over(self, wire: Arc<dyn Wire>, clock: Clock) -> Self {
        let gate = Arc::new(Gate::new(self.definition.limits, self.definition.breaker, clock.clone()));
        Self { wire: Some(wire), clock, gate, ..self }
    }

    /// What it promises.
    #[must_use]
    pub fn describe(&self) -> &Description {
        &self.definition.description
    }

    /// How it fares: its breaker, what is under way, its token.
    #[must_use]
    pub fn health(&self) -> Health {
        self.gate.health()
    }

    /// Sends a recharge. The attempt must have been written before.
    pub async fn submit(&self, order: &Order) -> Outcome {
        let (bills, submit) = (self.definition.bills.as_ref(), self.definition.submit.as_ref());
        let request = if order.bill.is_some() { bills.map(|b| &b.pay) } else { submit };
        let Some(request) = request else {
            let reason = "this connector does not offer that".to_owned();
            return Outcome::NotSent { retryable: false, reason };
        };
        if order.bill.is_none() && !self.definition.description.amounts.sells(order.amount) {
            // Not a refusal of the carrier's: the same request may have been sent when the file said otherwise.
            let reason = format!("this carrier does not sell {}", order.amount);
            return Outcome::NotSent { retryable: false, reason };
        }
        match self.ask(request, order).await {
            // A carrier that answers a recharge with "no such reference" has said nothing definite.
            Outcome::NotFound => Outcome::Unknown {
                why: Unclear::Unexpected,
                detail: "a recharge was answered with not found".to_owned(),
            },
            outcome => outcome,
        }
    }

    /// Asks what became of a recharge; `None` when this carrier cannot be asked, or only by its own reference and
    /// that was never told.
    pub async fn status(&self, order: &Order) -> Option<Outcome> {
        if order.bill.is_some() {
            let request = self.definition.bills.as_ref()?.status.as_ref()?;
            return Some(self.question(request, order).await);
        }
        let status = self.definition.status.as_ref()?;
        // A path of dots would be another path.
        let theirs = order.carrier_reference.as_ref().filter(|r| r.bytes().any(|b| b != b'.'));
        let request = if theirs.is_none() && status.holds(&Slot::CarrierReference) {
            self.definition.lookup.as_ref()?
        } else {
            status
        };
        Some(self.question(request, order).await)
    }

    /// Sends a request that moves money.
    async fn ask(&self, request: &Request, order: &Order) -> Outcome {
        let may_repeat = self.token_form().is_some_and(|form| form.repeat_after_401);
        self.send(request, order, may_repeat).await
    }

    /// Sends a request that moves nothing, and so may be sent again with a fresh token whatever the carrier documents.
    async fn question(&self, request: &Request, order: &Order) -> Outcome {
        self.send(request, order, true).await
    }

    async fn send(&self, request: &Request, order: &Order, may_repeat: bool) -> Outcome {
        match self.answered(request, order, may_repeat).await {
            Ok((status, body)) => {
                let Reading { outcome, echo } =
                    request.table.read_for(status, &body, order.amount.currency, &order.reference);
                compare(outcome, &echo, order)
            }
            Err(outcome) => outcome,
        }
    }

    /// The status and body of the answer to a request, or what its absence means: not sent, or unknown.
    async fn answered(
        &self,
        request: &Request,
        order: &Order,
        may_repeat: bool,
    ) -> Result<(u16, Vec<u8>), Outcome> {
        let not_sent = |reason: String| Outcome::NotSent { retryable: true, reason };
        let _pass = self.gate.enter().await.map_err(not_sent)?;
        self.ask_whole(request, order, may_repeat).await.map(|Whole { status, body, .. }| (status, body))
    }

    /// A request with its token, once more with a fresh one after a 401 if it `may_repeat`. The gate was passed before.
    async fn ask_whole(&self, request: &Request, order: &Order, may_repeat: bool) -> Result<Whole, Outcome> {
        let token = self.token().await.map_err(|fault| without_token(&fault))?;
        let answer = self.exchange(request, order, token.as_ref()).await;
        if let (Ok(Whole { status: 401, .. }), Some(stale)) = (&answer, &token) {
            self.tokens.forget(stale).await;
            if may_repeat {
                // The first was answered before it was looked at: if the second cannot leave, nothing has been asked.
                let fresh = self.token().await.map_err(|fault| without_token(&fault))?;
                return self.exchange(request, order, fresh.as_ref()).await;
            }
        }
        answer
    }

    /// One request and its answer, or what its absence means.
    async fn exchange(
        &self,
        request: &Request,
        order: &Order,
        token: Option<&Secret>,
    ) -> Result<Whole, Outcome> {
        let not_built = |reason: String| Outcome::NotSent { retryable: false, reason };
        let definition = &self.definition;
        let mut prepared = self.prepare(request, order).map_err(|error| not_built(words(&error)))?;
        let header = token::header(definition.auth.as_ref(), &definition.keys, token).map_err(not_built)?;
        if let Some(header) = header {
            prepared.headers_mut().insert(reqwest::header::AUTHORIZATION, header);
        }
        let answer = match &self.wire {
            Some(wire) => wire.exchange_whole(prepared).await,
            None => self.over_http(prepared).await,
        };
        self.gate.record(is_trouble(&answer));
        answer
    }

    fn token_form(&self) -> Option<&TokenForm> {
        match &self.definition.auth {
            Some(Auth::Token(form)) => Some(form),
            Some(Auth::Basic { .. }) | None => None,
        }
    }

    async fn token(&self) -> Result<Option<Secret>, NoToken> {
        let Some(form) = self.token_form() else { return Ok(None) };
        let token = self.tokens.get(&self.client, &self.definition, form, &self.clock).await;
        match &token {
            Ok(_) => self.gate.record_token(None),
            Err(fault) => {
                let (connector, reason) = (&self.definition.description.id, fault.reason());
                tracing::error!(%connector, reason, "no token");
                self.gate.record_token(Some(reason.to_owned()));
                // Only one that was not reached tells of the way there; a half-open breaker must hear of either.
                self.gate.record(matches!(fault, NoToken::Unreached(_)));
            }
        }
        token.map(Some)
    }

    async fn over_http(&self, request: reqwest::Request) -> Result<Whole, Outcome> {
        let response = self.client.execute(request).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let headers = response.headers().iter().filter_map(text).collect();
        Ok(Whole { status, headers, body: read_body(response).await? })
    }

    fn prepare(&self, request: &Request, order: &Order) -> Result<reqwest::Request, reqwest::Error> {
        let definition = &self.definition;
        let mut values = Values {
            order: Some(order),
            now: self.clock.now(),
            country: &definition.country,
            keys: &definition.keys,
            product: definition.products.get(&order.amount.minor).map_or("", String::as_str),
            body: "",
            method: request.method,
            path: "",
            timestamp: None,
            signature: "",
        };
        let path = request.path.render_path(&values);
        let body = request.body.as_ref().map(|b| b.render(&values));
        let method = match request.method {
            "GET" => reqwest::Method::GET,
            "PUT" => reqwest::Method::PUT,
            _ => reqwest::Method::POST,
        };
        let mut builder = self.client.request(method, format!("{}{path}", definition.base_url));
        for (name, template) in definition.headers.iter().chain(&request.headers) {
            builder = builder.header(name, template.render(&values));
        }
        values.path = &path;
        values.body = body.as_deref().unwrap_or_default();
        if let Some(signing) = &definition.signing
            && let Some(key) = definition.keys.get(&signing.key)
        {
            if let Some(name) = &signing.timestamp_header {
                builder = builder.header(name, values.now.0.div_euclid(1_000_000).to_string());
            }
            let signature = key::sign(key, signing.over.render(&values).as_bytes(), signing.encoding);
            let signed = Values { signature: &signature, ..values };
            builder = builder.header(&signing.header, signing.value.render(&signed));
        }
        if let (Some(text), Some(form)) = (body, &request.body) {
            builder = builder.header(reqwest::header::CONTENT_TYPE, form.media_type()).body(text);
        }
        builder.build()
    }

    /// Verifies and reads a callback. `headers` are names in any case with their values.
    ///
    /// # Errors
    /// [`CallbackFault`]: not taken. A callback that is not proved to come from the carrier is returned only
    /// when the connector's file declares no signature, and then says so.
    pub fn callback(&self, headers: &[(String, String)], body: &[u8]) -> Result<Received, CallbackFault> {
        let form = self.definition.callback.as_ref().ok_or(CallbackFault::NotExpected)?;
        if body.len() > CALLBACK_BYTES_MAX {
            return Err(CallbackFault::TooLong);
        }
        if let Some(signature) = &form.signature {
            self.check(signature, headers, body)?;
        }
        let currency = self.definition.description.currencies.first().copied();
        let currency = currency.unwrap_or(Currency::NONE);
        let read = if form.form {
            form.table.read_form(200, body, currency)
        } else {
            form.table.read(200, body, currency)
        };
        let Reading { outcome, echo } = read;
        let reference = echo.reference.clone().ok_or(CallbackFault::Unreadable)?;
        let callback = Callback { reference, outcome, echo };
        Ok(Received { callback, verified: form.signature.is_some() })
    }

    fn check(
        &self,
        signature: &CallbackSignature,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(), CallbackFault> {
        let header =
            |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
        let given = header(&signature.header).ok_or(CallbackFault::Signature)?;
        let timestamp = header(&signature.timestamp_header).ok_or(CallbackFault::Signature)?;
        let seconds: i64 = timestamp.parse().map_err(|_| CallbackFault::Signature)?;
        let now = self.clock.now();
        let distance = now.0.abs_diff(seconds.saturating_mul(1_000_000));
        if u128::from(distance) > signature.tolerance.as_micros() {
            return Err(CallbackFault::Signature);
        }
        let text = std::str::from_utf8(body).map_err(|_| CallbackFault::Signature)?;
        let values = Values {
            order: None,
            now,
            country: "",
            keys: &self.definition.keys,
            product: "",
            body: text,
            method: "POST",
            path: "",
            timestamp: Some(timestamp),
            signature: "",
        };
        let key = self.definition.keys.get(&signature.key).ok_or(CallbackFault::Signature)?;
        let over = signature.over.render(&values);
        if key::verify(key, over.as_bytes(), signature.encoding, given) {
            Ok(())
        } else {
            Err(CallbackFault::Signature)
        }
    }

    /// What a taken callback is answered: status and body.
    #[must_use]
    pub fn callback_reply(&self) -> (u16, String) {
        self.definition
            .callback
            .as_ref()
            .map_or_else(|| (404, "{}".to_owned()), |form| (form.reply_status, form.reply_body.clone()))
    }
}

/// An outcome whose echo speaks of something else than the order is unknown (and an alarm).
#[must_use]
pub fn compare(outcome: Outcome, echo: &Echo, order: &Order) -> Outcome {
    let outcome =
        if order.bill.is_some() { settle(outcome, &echo.paid_by, &order.reference) } else { outcome };
    match (&outcome, echo.differs(order)) {
        (
            Outcome::Accepted { .. }
            | Outcome::Delivered { .. }
            | Outcome::Refused { .. }
            | Outcome::Reversed { .. },
            Some(detail),
        ) => Outcome::Unknown { why: Unclear::Mismatch, detail },
        _ => outcome,
    }
}

/// Whether an exchange met a trouble of the way there rather than of the request: no connection, silence, half an
/// answer, or a proxy that says so (RFC 9110 §15.6.3 to 15.6.5).
const fn is_trouble(answer: &Result<Whole, Outcome>) -> bool {
    match answer {
        Ok(Whole { status, .. }) => matches!(*status, 502..=504),
        Err(Outcome::NotSent { retryable, .. }) => *retryable,
        Err(Outcome::Unknown { why, .. }) => matches!(why, Unclear::Timeout | Unclear::Broken),
        Err(_) => false,
    }
}

/// Without a token nothing of the request has left. It is no refusal: a question that could not be asked must never be
/// taken for an answer about the recharge.
fn without_token(fault: &NoToken) -> Outcome {
    Outcome::NotSent { retryable: fault.retryable(), reason: fault.reason().to_owned() }
}

fn failed(error: &reqwest::Error) -> Outcome {
    // Not connected (refused, no such host, TLS refused, connect timeout) or not even built: no byte of the
    // request left. Everything else may have arrived.
    if error.is_builder() {
        return Outcome::NotSent { retryable: false, reason: words(error) };
    }
    if error.is_connect() {
        return Outcome::NotSent { retryable: true, reason: words(error) };
    }
    let why = if error.is_timeout() { Unclear::Timeout } else { Unclear::Broken };
    Outcome::Unknown { why, detail: words(error) }
}

pub(super) async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, Outcome> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(Outcome::Unknown {
                        why: Unclear::Unreadable,
                        detail: format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"),
                    });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return Ok(body),
            Err(error) => {
                let why = if error.is_timeout() { Unclear::Timeout } else { Unclear::Broken };
                return Err(Outcome::Unknown { why, detail: words(&error) });
            }
        }
    }
}

/// An error with its causes, without the URL (whose path may carry a number).
pub(super) fn words(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = match (error.is_builder(), error.is_timeout(), error.is_connect()) {
        (true, _, _) => "the request could not be built".to_owned(),
        (_, _, true) => "no connection".to_owned(),
        (_, true, _) => "no answer in time".to_owned(),
        _ => "the connection broke".to_owned(),
    };
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !words.contains("://") && !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text.chars().take(240).collect()
}
