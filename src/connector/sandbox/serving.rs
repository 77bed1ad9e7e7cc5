//! What every sandbox serves alike: signed requests, answers in JSON, its log, and an end on command.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::connector::key;
use crate::connector::key::{Encoding, Key};
use crate::connector::sandbox::book::Book;
use crate::connector::sandbox::wire::{Breakable, Breaker};
use crate::connector::sandbox::{Error, SIGNATURE_HEADER, TIMESTAMP_HEADER};

/// How far the clocks of both sides may be apart, seconds.
const TOLERANCE_SECONDS: u64 = 300;

/// Serves until `stop`; what `tracker` holds ends before this returns.
pub(super) async fn serve(
    app: Router,
    listener: TcpListener,
    stop: CancellationToken,
    tracker: TaskTracker,
) -> Result<(), Error> {
    let app = app.into_make_service_with_connect_info::<Breaker>();
    let serve = IntoFuture::into_future(axum::serve(Breakable(listener), app));
    tokio::select! {
        ended = serve => ended?,
        () = stop.cancelled() => {}
    }
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(())
}

/// Everything that a sandbox remembers, a record on each line.
pub(super) async fn log(book: &Book) -> Response {
    let mut text = String::new();
    for record in book.all().await {
        if let Ok(line) = serde_json::to_string(&record) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    ([("content-type", "application/x-ndjson")], text).into_response()
}

/// Whether a request is signed with the key, and lately.
pub(super) fn is_signed(
    (key, clock): (&Key, &Clock),
    headers: &HeaderMap,
    method: &str,
    path: &str,
    body: &[u8],
) -> bool {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let (Some(signature), Some(timestamp)) = (header(SIGNATURE_HEADER), header(TIMESTAMP_HEADER)) else {
        return false;
    };
    let now = clock.now().0.div_euclid(1_000_000);
    let fresh = timestamp.parse::<i64>().is_ok_and(|t| t.abs_diff(now) <= TOLERANCE_SECONDS);
    let mut over = format!("{timestamp}.{method}.{path}.").into_bytes();
    over.extend_from_slice(body);
    fresh && key::verify(key, &over, Encoding::Hex, signature)
}

pub(super) fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}
