//! Dialogues that we begin: for a PIN that a text message may not carry, and to notify.
//!
//! A session that waits to be reached stays as it is until the network has taken the screen, so that whoever could not be
//! reached can be told so. What is shown first and saved then can be lost between the two only with the whole process; the
//! caller's answer is then told that its time is over.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::msisdn::Msisdn;
use crate::session::kept::{Kept, Reach, Settled, Unreached};
use crate::session::writes::Writes;
use crate::session::{Channel, Session, Then};
use crate::ussd::line::Entered;
use crate::ussd::wire::Kind;
use crate::ussd::{Desk, Error, Inner, Route, Screen, key};

/// What became of a screen that began a dialogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pushed {
    /// The network took it.
    Taken,
    /// It was not shown, for this reason.
    Refused(String),
    /// It may have been.
    Unknown,
}

/// Begins dialogues on one route.
pub trait Pusher: Send + Sync {
    /// Shows a screen to a number, as [`Kind::Push`] or [`Kind::Notify`].
    fn push(
        &self,
        msisdn: Msisdn,
        screen: Screen,
        kind: Kind,
    ) -> Pin<Box<dyn Future<Output = Pushed> + Send>>;
}

/// What became of a notification.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notified {
    /// The network took it.
    Taken,
    /// It may have been shown.
    Unknown,
    /// It was not shown: no route may push, or all refused.
    Refused(String),
}

impl<M: Clone + Send + Sync + 'static> Reach for Desk<M> {
    fn reach(&self, session: Session) -> Pin<Box<dyn Future<Output = Result<(), Unreached>> + Send>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let id = session.id();
            match inner.reach(&session).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Unreached(Box::new(session))),
                Err(error) => {
                    tracing::warn!(session = %id, "a caller could not be reached: {error}");
                    Err(Unreached(Box::new(session)))
                }
            }
        })
    }
}

impl<M: Clone + Send + Sync + 'static> Desk<M> {
    /// Shows a text that wants no answer (USSN), by the first route that may and that takes it.
    pub async fn notify(&self, msisdn: &Msisdn, text: &str) -> Notified {
        let mut refused = "no route may push".to_owned();
        for (_, pusher) in self.inner.push_routes(None) {
            let screen = Screen { text: text.to_owned(), end: true };
            match pusher.push(msisdn.clone(), screen, Kind::Notify).await {
                Pushed::Taken => return Notified::Taken,
                // Another route might show it a second time.
                Pushed::Unknown => return Notified::Unknown,
                Pushed::Refused(why) => refused = why,
            }
        }
        Notified::Refused(refused)
    }
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    /// The routes that may begin dialogues, the one of this name first.
    pub(super) fn push_routes(&self, first: Option<&str>) -> Vec<(Route, Arc<dyn Pusher>)> {
        let pushers = self.pushers.get();
        let may = |route: &&Route| route.push;
        let with = |route: &Route| Some((route.clone(), pushers?.get(&route.name)?.clone()));
        let mut routes: Vec<_> = self.routes.iter().filter(may).filter_map(with).collect();
        routes.sort_by_key(|(route, _)| Some(route.name.as_str()) != first);
        routes
    }

    /// Whether a caller was reached with the question of a session.
    async fn reach(self: &Arc<Self>, session: &Session) -> Result<bool, Error> {
        let Some(kept) = session.kept().cloned().filter(|_| session.awaits_callback()) else {
            return Ok(false);
        };
        // Where numbers are not believed, somebody else might answer, and use up the caller's tries.
        let routes = self.push_routes(Some(&kept.route)).into_iter().filter(|(route, _)| route.trusted);
        for (route, pusher) in routes {
            // Of the saved session a twin goes on, so that the other can still be told that nobody was reached.
            let Some(row) = self.stored(&kept.key).await?.filter(|row| row.id == session.id()) else {
                return Ok(false);
            };
            let Ok(twin) = self.registry.restore(row) else { return Ok(false) };
            if self.push(&route, pusher.as_ref(), twin, &kept).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn push(
        self: &Arc<Self>,
        route: &Route,
        pusher: &dyn Pusher,
        mut session: Session,
        kept: &Kept,
    ) -> Result<bool, Error> {
        let Entered::Seat(seat) = self.lines.enter(&route.name, &kept.number, self.clock.instant()) else {
            return Ok(false);
        };
        let mut memory = seat.turn().await;
        if seat.performing().is_some() {
            // He is in a dialogue, and it pays.
            return Ok(false);
        }
        let turn = session.reached(Some(Channel::Ussd)).await?;
        let turn = session.proceed(turn).await?;
        let Then::Collect(_) = turn.then else { return Ok(false) };
        let screen = Screen { text: turn.screen.unwrap_or_default(), end: false };
        // An answer may be there before the network's word that the screen was taken is handled: it waits for its turn.
        seat.shown(&screen);
        (memory.begun, memory.answered) = (None, None);
        match pusher.push(kept.number.clone(), screen, Kind::Push).await {
            Pushed::Taken => {}
            pushed @ (Pushed::Refused(_) | Pushed::Unknown) => {
                tracing::info!(session = %session.id(), route = %route.name, "a push was not taken: {pushed:?}");
                seat.cleared();
                return Ok(false);
            }
        }
        // Of two dialogues of one caller the later one is meant.
        let key = key(&route.name, &kept.number);
        if let Some(row) = self.stored(&key).await? {
            memory.left = row.dialogue.clone();
            self.retire(row).await?;
        }
        session.keep(Kept {
            key,
            dialogue: None,
            route: route.name.clone(),
            number: kept.number.clone(),
            window: route.idle,
        });
        let settled = session.settle(Writes::new()).await?;
        if settled != Settled::Done {
            tracing::info!(session = %session.id(), "a conversation went on before its caller was reached");
        }
        Ok(true)
    }
}
