//! Asks a carrier over HTTP, as its [`Definition`] says, and tells what was never sent from what may have
//! been.
//!
//! No retries, no redirects, no proxy: a request leaves once or not at all. What is not certainly unsent or
//! certainly answered is [`Outcome::Unknown`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::connector::contract::{Callback, Description, Echo, Order, Outcome, Unclear};
use crate::connector::definition::{CallbackSignature, Definition, Request};
use crate::connector::key;
use crate::connector::map::Reading;
use crate::connector::template::Values;
use crate::money::Currency;

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
}

/// See [`Wire::exchange`].
pub type Exchange<'w> = Pin<Box<dyn Future<Output = Result<(u16, Vec<u8>), Outcome>> + Send + 'w>>;

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
        Ok(Self { definition: Arc::new(definition), client, wire: None, clock })
    }

    /// The same carrier, asked over `wire` in the time of `clock`.
    #[must_use]
    pub fn over(self, wire: Arc<dyn Wire>, clock: Clock) -> Self {
        Self { wire: Some(wire), clock, ..self }
    }

    /// What it promises.
    #[must_use]
    pub fn describe(&self) -> &Description {
        &self.definition.description
    }

    /// Sends a recharge. The attempt must have been written before.
    pub async fn submit(&self, order: &Order) -> Outcome {
        match self.ask(&self.definition.submit, order).await {
            // A carrier that answers a recharge with "no such reference" has said nothing definite.
            Outcome::NotFound => Outcome::Unknown {
                why: Unclear::Unexpected,
                detail: "a recharge was answered with not found".to_owned(),
            },
            outcome => outcome,
        }
    }

    /// Asks what became of a recharge; `None` when this carrier cannot be asked.
    pub async fn status(&self, order: &Order) -> Option<Outcome> {
        let request = self.definition.status.as_ref()?;
        Some(self.ask(request, order).await)
    }

    async fn ask(&self, request: &Request, order: &Order) -> Outcome {
        let prepared = match self.prepare(request, order) {
            Ok(prepared) => prepared,
            Err(error) => return Outcome::NotSent { retryable: false, reason: words(&error) },
        };
        let answered = match &self.wire {
            Some(wire) => wire.exchange(prepared).await,
            None => self.exchange(prepared).await,
        };
        let (status, body) = match answered {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        let Reading { outcome, echo } = request.table.read(status, &body, order.amount.currency);
        compare(outcome, &echo, order)
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<(u16, Vec<u8>), Outcome> {
        let response = self.client.execute(request).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        Ok((status, read_body(response).await?))
    }

    fn prepare(&self, request: &Request, order: &Order) -> Result<reqwest::Request, reqwest::Error> {
        let definition = &self.definition;
        let mut values = Values {
            order: Some(order),
            now: self.clock.now(),
            country: &definition.country,
            keys: &definition.keys,
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
        for (name, template) in &definition.headers {
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
        if let Some(body) = body {
            builder = builder.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
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
        let Reading { outcome, echo } = form.table.read(200, body, currency.unwrap_or(Currency::NONE));
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

async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, Outcome> {
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
fn words(error: &reqwest::Error) -> String {
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
