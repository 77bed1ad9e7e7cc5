//! HTTP in: carriers' callbacks, gateways of USSD and SMS, health. Every answer about money comes from `payment`, every word
//! to a caller from a desk; nothing is decided here.

mod charges;
mod codes;
pub mod form;
pub mod guard;
mod incoming;
mod orders;
pub mod sms;
mod store;
pub mod ussd;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::payment::run::Payments;

/// The largest body that a callback may have, bytes; more is answered 413.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// What comes in by HTTP beside carriers' callbacks.
#[derive(Debug)]
pub struct Gateways<M> {
    /// USSD, if any gateway is configured.
    pub ussd: Option<Arc<ussd::Gateway<M>>>,
    /// SMS, if any provider is.
    pub sms: Option<Arc<sms::Gateway<M>>>,
}

impl<M> Default for Gateways<M> {
    /// None.
    fn default() -> Self {
        Self { ussd: None, sms: None }
    }
}

/// All paths.
pub fn router<M: Clone + Send + Sync + 'static>(payments: Payments, gateways: Gateways<M>) -> Router {
    let mut of_gateways = Router::new();
    if let Some(ussd) = gateways.ussd {
        of_gateways = of_gateways.merge(ussd.router());
    }
    if let Some(sms) = gateways.sms {
        of_gateways = of_gateways.merge(sms.router());
    }
    Router::new()
        .route("/callback/{connector}", post(callback))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(orders::router())
        .merge(charges::router())
        .merge(codes::router())
        .merge(store::router())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(payments)
        .merge(of_gateways.layer(DefaultBodyLimit::max(incoming::BODY_BYTES_MAX)))
}

/// Serves until `stop` is done, then lets requests under way finish.
///
/// # Errors
/// When the listener fails.
pub async fn serve<M: Clone + Send + Sync + 'static>(
    listener: TcpListener,
    payments: Payments,
    gateways: Gateways<M>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(payments, gateways).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// A carrier tells what became of a request. Who it is from and whether it is true, `payment` finds out.
async fn callback(
    State(payments): State<Payments>,
    Path(connector): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let reply = payments.callback(&connector, &headers, &body).await;
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], reply.body).into_response()
}

/// Ready when the database answers.
async fn ready(State(payments): State<Payments>) -> Response {
    match payments.check().await {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}
