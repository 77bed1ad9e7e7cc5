//! SMS by HTTP, inwards: texts for the desk and receipts for the dispatcher, from providers' callbacks.
//!
//! ```text
//! /sms/{route}          a text    ──► guard ──► desk, until it is committed ──► 200, 503 if it could not be
//! /sms/{route}/receipt  a receipt ──► guard ──► dispatcher                  ──► 200, 503
//! ```
//! A provider that gets no 200 sends the text again, and it is known by the provider's own id. Bodies of answers are empty,
//! or say nothing: some providers send them on as a text. Outwards see [`crate::sms::http`].

pub mod forms;
pub mod json;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::clock::Clock;
use crate::http::guard::Guard;
use crate::http::incoming::{Incoming, Refusal, busy, plus, refuse};
use crate::http::sms::forms::{Arrived, Names};
use crate::session::Id;
use crate::sms::address::{Country, Origin};
use crate::sms::desk::Desk;
use crate::sms::dispatch::{Dispatcher, Receipt};
use crate::sms::received::Received;

/// How a provider writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Form {
    /// As Africa's Talking.
    AfricasTalking,
    /// As Twilio.
    Twilio,
    /// As Kannel, by its `get-url` with these names.
    Kannel(Names),
    /// The plain documents.
    Json,
}

/// One provider.
#[derive(Debug)]
pub struct Route {
    /// Its name: in the path, in rows, and of the route by which texts leave.
    pub name: String,
    /// How it writes.
    pub form: Form,
    /// Who may send.
    pub guard: Guard,
    /// Whether the senders' numbers are believed.
    pub trusted: bool,
    /// The id of a link that is always up.
    pub link: Id,
}

/// All providers.
#[derive(Debug)]
pub struct Gateway<M> {
    desk: Desk<M>,
    dispatcher: Dispatcher,
    routes: BTreeMap<String, Route>,
    country: Country,
    clock: Clock,
}

impl<M: Clone + Send + Sync + 'static> Gateway<M> {
    /// Providers whose texts go to `desk` and whose receipts go to `dispatcher`.
    #[must_use]
    pub fn new(
        desk: Desk<M>,
        dispatcher: Dispatcher,
        routes: Vec<Route>,
        country: Country,
        clock: Clock,
    ) -> Self {
        let routes = routes.into_iter().map(|route| (route.name.clone(), route)).collect();
        Self { desk, dispatcher, routes, country, clock }
    }

    /// Their paths.
    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/sms/{route}", get(text::<M>).post(text::<M>))
            .route("/sms/{route}/receipt", get(receipt::<M>).post(receipt::<M>))
            .with_state(self)
    }

    fn let_in(&self, route: &str, incoming: &Incoming) -> Result<&Route, Refusal> {
        let route = self.routes.get(route).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "no such route"))?;
        incoming.pass(&route.guard, &route.name, self.clock.now())?;
        Ok(route)
    }

    async fn text(&self, route: &str, incoming: Incoming) -> Result<Response, Refusal> {
        let route = self.let_in(route, &incoming)?;
        let Arrived { from, to, text, id } = match &route.form {
            Form::AfricasTalking => incoming.form(forms::africastalking)?,
            Form::Twilio => incoming.form(forms::twilio)?,
            Form::Kannel(names) => incoming.form(|fields| forms::kannel(fields, names))?,
            Form::Json => incoming.document(json::text)?,
        };
        let received = Received {
            route: route.name.clone(),
            link: route.link,
            from: Origin::written(&plus(&from), &self.country),
            to: plus(&to),
            text,
            unique: id.is_some(),
            identity: id.unwrap_or_default().into_bytes(),
            part: None,
            trusted: route.trusted,
        };
        // A provider that hangs up must not cut off what has begun.
        let receiving = tokio::spawn(self.desk.receive(received));
        match receiving.await {
            Ok(Ok(_)) => Ok(route.form.taken()),
            // The desk has said why.
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    async fn receipt(&self, route: &str, incoming: Incoming) -> Result<Response, Refusal> {
        let route = self.let_in(route, &incoming)?;
        let forms::Receipt { id, reported, code } = match &route.form {
            Form::AfricasTalking => incoming.form(forms::africastalking_receipt)?,
            Form::Twilio => incoming.form(forms::twilio_receipt)?,
            Form::Kannel(_) => incoming.form(forms::kannel_receipt)?,
            Form::Json => incoming.document(json::receipt)?,
        };
        let receipt = Receipt { route: route.name.clone(), message_id: id, reported, code };
        match self.dispatcher.receipt(receipt).await {
            Ok(_) => Ok(route.form.taken()),
            Err(error) => {
                tracing::error!(route = %route.name, "a receipt was put off: {error}");
                Err(busy())
            }
        }
    }
}

impl Form {
    /// The answer that says nothing but that it was taken.
    fn taken(&self) -> Response {
        let (kind, body) = match self {
            Self::AfricasTalking | Self::Kannel(_) => ("text/plain; charset=utf-8", ""),
            Self::Twilio => ("text/xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>"),
            Self::Json => ("application/json", "{}"),
        };
        ([(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

async fn text<M: Clone + Send + Sync + 'static>(
    State(gateway): State<Arc<Gateway<M>>>,
    Path(route): Path<String>,
    incoming: Incoming,
) -> Response {
    gateway.text(&route, incoming).await.into_response()
}

async fn receipt<M: Clone + Send + Sync + 'static>(
    State(gateway): State<Arc<Gateway<M>>>,
    Path(route): Path<String>,
    incoming: Incoming,
) -> Response {
    gateway.receipt(&route, incoming).await.into_response()
}
