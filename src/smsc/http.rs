//! The control of the sandbox SMSC by HTTP. JSON in and out; meant for loopback, there is no password.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::smsc::network::Control;

/// The longest request body.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest outage by `POST /kill`.
const OUTAGE_SECONDS_MAX: u64 = 3_600;

/// A request and where its answer goes.
pub(super) type Ask = (Control, oneshot::Sender<(u16, Value)>);

/// Who answers.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) log: PathBuf,
}

pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/sms", post(|State(desk): State<Desk>, body: Bytes| with(desk, body, Control::Sms)))
        .route("/dial", post(|State(desk): State<Desk>, body: Bytes| with(desk, body, Control::Dial)))
        .route("/reply", post(|State(desk): State<Desk>, body: Bytes| with(desk, body, Control::Reply)))
        .route("/abort", post(|State(desk): State<Desk>, body: Bytes| with(desk, body, Control::Abort)))
        .route("/handset", post(|State(desk): State<Desk>, body: Bytes| with(desk, body, Control::Change)))
        .route(
            "/handset/{msisdn}",
            get(|State(desk): State<Desk>, Path(msisdn): Path<String>| ask(desk, Control::Handset(msisdn))),
        )
        .route("/stats", get(|State(desk): State<Desk>| ask(desk, Control::Stats)))
        .route("/faults", get(|State(desk): State<Desk>| ask(desk, Control::Faults(None))))
        .route(
            "/faults",
            post(|State(desk): State<Desk>, body: Bytes| with(desk, body, |v| Control::Faults(Some(v)))),
        )
        .route("/settings", get(|State(desk): State<Desk>| ask(desk, Control::Settings(None))))
        .route(
            "/settings",
            post(|State(desk): State<Desk>, body: Bytes| with(desk, body, |v| Control::Settings(Some(v)))),
        )
        .route("/kill", post(kill))
        .route("/unbind", post(|State(desk): State<Desk>| ask(desk, Control::Unbind)))
        .route("/raw", post(raw))
        .route("/burst", post(|State(desk): State<Desk>, body: Bytes| with(desk, body, Control::Burst)))
        .route(
            "/outbind",
            post(|State(desk): State<Desk>, body: Bytes| {
                with(desk, body, |outbind: Outbind| Control::Outbind(outbind.address))
            }),
        )
        .route("/wait", get(|State(desk): State<Desk>, Query(wait)| ask(desk, Control::Wait(wait))))
        .route("/log", get(log))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

/// Reads the body and asks; an empty body is `{}`.
async fn with<T: DeserializeOwned>(desk: Desk, body: Bytes, make: impl FnOnce(T) -> Control) -> Response {
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    match serde_json::from_slice(body) {
        Ok(read) => ask(desk, make(read)).await,
        Err(error) => answer(400, &json!({ "why": error.to_string() })),
    }
}

async fn ask(desk: Desk, control: Control) -> Response {
    let (sender, receiver) = oneshot::channel();
    if desk.asks.send((control, sender)).await.is_err() {
        return answer(503, &json!({ "why": "the sandbox is stopping" }));
    }
    match receiver.await {
        Ok((status, body)) => answer(status, &body),
        Err(_) => answer(503, &json!({ "why": "the sandbox is stopping" })),
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kill {
    seconds: u64,
    ms: u64,
}

async fn kill(State(desk): State<Desk>, body: Bytes) -> Response {
    with(desk, body, |kill: Kill| {
        Control::Kill(kill.seconds.min(OUTAGE_SECONDS_MAX) * 1_000 + kill.ms.min(OUTAGE_SECONDS_MAX * 1_000))
    })
    .await
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbind {
    address: SocketAddr,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    hex: String,
}

async fn raw(State(desk): State<Desk>, body: Bytes) -> Response {
    let read = serde_json::from_slice::<Raw>(&body).ok().and_then(|raw| bytes_of(&raw.hex));
    match read {
        Some(bytes) => ask(desk, Control::Raw(bytes)).await,
        None => answer(400, &json!({ "why": "expected {\"hex\": \"00000010…\"}" })),
    }
}

/// The bytes of a hexadecimal text.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits.filter(|d| d.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

async fn log(State(desk): State<Desk>) -> Response {
    match tokio::fs::read(&desk.log).await {
        Ok(lines) => ([("content-type", "application/x-ndjson")], lines).into_response(),
        Err(error) => answer(500, &json!({ "why": error.to_string() })),
    }
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_texts_are_bytes() {
        assert_eq!(bytes_of("00 1f\nA0").unwrap(), [0, 0x1f, 0xa0]);
        assert_eq!(bytes_of("0"), None);
        assert_eq!(bytes_of("zz"), None);
    }
}
