//! USSD by HTTP: a gateway's request is an input of the desk, the desk's screen is the answer.
//!
//! ```text
//! POST /ussd/{route}      a form (Africa's Talking) or a document ──► guard ──► dialogue's turn ──► desk ──► CON, END, JSON
//! POST /ussd/{route}/end  the gateway says that a dialogue is over ──► abort
//! ```
//! HTTP is at-least-once: a request that comes again, because its answer was lost or late, is answered the same and does
//! nothing. What has begun goes on when the gateway hangs up, and its answer waits for the next request.

pub mod africastalking;
pub mod dialogues;
pub mod history;
pub mod json;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::OwnedMutexGuard;

use crate::clock::Clock;
use crate::http::guard::Guard;
use crate::http::incoming::{Incoming, Refusal, busy, plus, refuse};
use crate::http::ussd::dialogues::{Dialogues, Held, Named};
use crate::http::ussd::history::{Marker, New};
use crate::msisdn::Msisdn;
use crate::sms::address::Country;
use crate::ussd::{Desk, Error, Input, Phase, Screen, Taken, Typed};

/// The longest name of a dialogue or request, bytes.
pub const SESSION_BYTES_MAX: usize = 128;

/// How a gateway writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// As Africa's Talking.
    AfricasTalking,
    /// The plain documents.
    Json,
}

/// One gateway.
#[derive(Debug)]
pub struct Route {
    /// Its name: the last part of the path, and one of the desk's routes.
    pub name: String,
    /// How it writes.
    pub form: Form,
    /// Who may send.
    pub guard: Guard,
    /// Whether the callers' numbers are believed.
    pub trusted: bool,
}

/// All gateways.
#[derive(Debug)]
pub struct Gateway<M> {
    desk: Desk<M>,
    routes: BTreeMap<String, Route>,
    country: Country,
    clock: Clock,
    marker: Marker,
    dialogues: Dialogues,
}

/// A caller in a dialogue.
#[derive(Clone)]
struct Caller {
    named: Named,
    code: String,
    trusted: bool,
}

impl<M: Clone + Send + Sync + 'static> Gateway<M> {
    /// Gateways that bring dialogues to `desk`. `key` is random, and lives no longer than this.
    #[must_use]
    pub fn new(desk: Desk<M>, routes: Vec<Route>, country: Country, key: &[u8; 32], clock: Clock) -> Self {
        let routes = routes.into_iter().map(|route| (route.name.clone(), route)).collect();
        Self { desk, routes, country, clock, marker: Marker::new(key), dialogues: Dialogues::default() }
    }

    /// Their paths.
    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/ussd/{route}", get(request::<M>).post(request::<M>))
            .route("/ussd/{route}/end", get(ended::<M>).post(ended::<M>))
            .with_state(self)
    }

    fn let_in(&self, route: &str, incoming: &Incoming) -> Result<&Route, Refusal> {
        let route = self.routes.get(route).ok_or_else(|| refuse(StatusCode::NOT_FOUND, "no such route"))?;
        incoming.pass(&route.guard, &route.name, self.clock.now())?;
        Ok(route)
    }

    fn caller(&self, route: &Route, session: &str, number: &str, code: &str) -> Result<Caller, Refusal> {
        let Country { code: country, national_max } = &self.country;
        let msisdn = Msisdn::dialled(&plus(number), country, *national_max)
            .map_err(|_| refuse(StatusCode::BAD_REQUEST, "expected a telephone number"))?;
        let named = Named { route: route.name.clone(), session: session.to_owned(), msisdn };
        Ok(Caller { named, code: code.to_owned(), trusted: route.trusted })
    }

    async fn request(self: Arc<Self>, route: &str, incoming: Incoming) -> Result<Response, Refusal> {
        let route = self.let_in(route, &incoming)?;
        match route.form {
            Form::AfricasTalking => {
                let (caller, text) = incoming
                    .form(|fields| {
                        let asked = africastalking::read(fields)?;
                        let caller = self.caller(route, asked.session, asked.number, asked.code);
                        Ok((caller, Typed::new(asked.text.to_owned())))
                    })
                    .and_then(|(caller, text)| Ok((caller?, text)))?;
                let screen = self.answered(caller, Asked::History(text)).await?;
                Ok(plain("text/plain; charset=utf-8", africastalking::answer(&screen)))
            }
            Form::Json => {
                let asked = incoming.document(json::read)?;
                let text = Typed::new(asked.text);
                let caller = self.caller(route, &asked.session, &asked.msisdn, &asked.code)?;
                let screen = match asked.phase {
                    json::Phase::End => {
                        self.abort(caller).await?;
                        Screen { text: String::new(), end: true }
                    }
                    json::Phase::Begin => {
                        let dialled = if text.is_code() {
                            text
                        } else {
                            Typed::new(africastalking::dialled(&asked.code, text.expose()))
                        };
                        self.answered(caller, Asked::Phase(asked.id, Phase::Begin { dialled })).await?
                    }
                    json::Phase::Answer => {
                        self.answered(caller, Asked::Phase(asked.id, Phase::Answer { text })).await?
                    }
                };
                Ok(plain("application/json", json::answer(&screen)))
            }
        }
    }

    async fn end(self: Arc<Self>, route: &str, incoming: Incoming) -> Result<Response, Refusal> {
        let route = self.let_in(route, &incoming)?;
        let caller = match route.form {
            Form::AfricasTalking => incoming.form(|fields| {
                let (session, number) = africastalking::ended(fields)?;
                Ok(self.caller(route, session, number, ""))
            })??,
            Form::Json => return Err(refuse(StatusCode::NOT_FOUND, "the phase end says it")),
        };
        self.abort(caller).await?;
        Ok(plain("text/plain; charset=utf-8", String::new()))
    }

    async fn abort(&self, caller: Caller) -> Result<(), Refusal> {
        let taken = self.desk.take(caller.input(Phase::Abort)).await;
        self.dialogues.ended(self.clock.instant(), &caller.named);
        taken.map(|_| ()).map_err(|error| put_off(&error))
    }

    /// The screen that answers a request, in the dialogue's turn.
    async fn answered(self: &Arc<Self>, caller: Caller, asked: Asked) -> Result<Screen, Refusal> {
        let Some(held) = self.dialogues.enter(self.clock.instant(), &caller.named).await else {
            tracing::warn!(route = %caller.named.route, "too many dialogues, or requests of one");
            return Err(busy());
        };
        // A gateway that hangs up must not cut off what has begun: its answer could not be told again.
        let gateway = Arc::clone(self);
        let step = tokio::spawn(async move { gateway.step(held, &caller, asked).await });
        step.await.unwrap_or_else(|_| Err(busy()))
    }

    async fn step(
        &self,
        mut held: OwnedMutexGuard<Held>,
        caller: &Caller,
        asked: Asked,
    ) -> Result<Screen, Refusal> {
        let shown = match &asked {
            Asked::History(text) => match held.history.read(&self.marker, text.expose()) {
                New::Repeated => return held.screen.clone().ok_or_else(busy),
                New::Begin(text) => self.begin(caller, text).await,
                New::Answer(text) => {
                    self.take(caller, Phase::Answer { text: Typed::new(text.to_owned()) }).await
                }
                New::Other => self.break_off(caller).await,
            },
            Asked::Phase(request, phase) => {
                if request.is_some() && *request == held.request {
                    return held.screen.clone().ok_or_else(busy);
                }
                self.take(caller, phase.clone()).await
            }
        };
        let screen = shown.map_err(|error| put_off(&error))?.ok_or_else(busy)?;
        match asked {
            Asked::History(text) => held.history.answered(&self.marker, text.expose()),
            Asked::Phase(request, _) => held.request = request,
        }
        held.screen = Some(screen.clone());
        if screen.end {
            self.dialogues.ended(self.clock.instant(), &caller.named);
        }
        Ok(screen)
    }

    /// A dialogue that this process does not know. What came with its first request was dialled; unless a former process
    /// began it: then its question is told again, since nobody knows which part of the text would answer it.
    async fn begin(&self, caller: &Caller, text: &str) -> Result<Option<Screen>, Error> {
        if !text.is_empty() {
            let Named { route, session, msisdn } = &caller.named;
            if let Some(screen) = self.desk.retell(route, msisdn, session).await? {
                return Ok(Some(screen));
            }
        }
        let dialled = Typed::new(africastalking::dialled(&caller.code, text));
        self.take(caller, Phase::Begin { dialled }).await
    }

    /// A text that does not go on from what was answered: nobody can say what the caller answers. The dialogue ends.
    async fn break_off(&self, caller: &Caller) -> Result<Option<Screen>, Error> {
        tracing::warn!(route = %caller.named.route, "a dialogue's text does not go on from the one before");
        self.desk.take(caller.input(Phase::Abort)).await?;
        // With nothing left to answer, the desk says so in the caller's language.
        let nothing = Phase::Answer { text: Typed::new(String::new()) };
        let screen = self.take(caller, nothing).await?.unwrap_or(Screen { text: String::new(), end: true });
        Ok(Some(Screen { end: true, ..screen }))
    }

    /// What the desk shows; nothing when there is nothing to show.
    async fn take(&self, caller: &Caller, phase: Phase) -> Result<Option<Screen>, Error> {
        Ok(match self.desk.take(caller.input(phase)).await? {
            Taken::Screen(screen) => Some(screen),
            Taken::Later(screen) => screen.await,
            Taken::Duplicate => self.desk.again(&caller.named.route, &caller.named.msisdn).await,
            // Another dialogue of this caller has taken its place.
            Taken::Gone => Some(Screen { text: String::new(), end: true }),
        })
    }
}

impl Caller {
    fn input(&self, phase: Phase) -> Input {
        Input {
            route: self.named.route.clone(),
            dialogue: Some(self.named.session.clone()),
            msisdn: self.named.msisdn.clone(),
            trusted: self.trusted,
            code: self.code.clone(),
            phase,
        }
    }
}

/// What a request asks.
enum Asked {
    /// What is new in this text, which holds the dialogue so far.
    History(Typed),
    /// This, by a request with this name.
    Phase(Option<String>, Phase),
}

fn put_off(error: &Error) -> Refusal {
    tracing::error!("a USSD request was put off: {error}");
    busy()
}

fn plain(kind: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn request<M: Clone + Send + Sync + 'static>(
    State(gateway): State<Arc<Gateway<M>>>,
    Path(route): Path<String>,
    incoming: Incoming,
) -> Response {
    gateway.request(&route, incoming).await.into_response()
}

async fn ended<M: Clone + Send + Sync + 'static>(
    State(gateway): State<Arc<Gateway<M>>>,
    Path(route): Path<String>,
    incoming: Incoming,
) -> Response {
    gateway.end(&route, incoming).await.into_response()
}
