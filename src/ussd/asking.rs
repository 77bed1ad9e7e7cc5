//! Dialogues of ours about something that the caller did not ask for: an order of a merchant's. The flow is the one that the
//! caller would reach by dialling, so that what is shown, asked and paid is checked like everything else.
//!
//! The network is shown the screen only after the conversation is saved: an answer finds it, also when nobody knows whether the
//! screen came.

use std::sync::Arc;

use crate::msisdn::Msisdn;
use crate::session::kept::Kept;
use crate::session::writes::Writes;
use crate::session::{Channel, Party, Session, Then};
use crate::ussd::line::Entered;
use crate::ussd::wire::Kind;
use crate::ussd::{Desk, Error, Inner, Pushed, Pusher, Route, Screen, key};

impl<M: Clone + Send + Sync + 'static> Desk<M> {
    /// Begins a dialogue with a number as if it had dialled `code`, in a language, on the first route that may, is believed and
    /// takes it. Somebody who is in a dialogue is not disturbed.
    ///
    /// # Errors
    /// When the database does not answer; nothing was shown then.
    pub async fn ask(&self, msisdn: &Msisdn, code: &str, language: &str) -> Result<Pushed, Error> {
        let mut refused = "no route may push".to_owned();
        for (route, pusher) in self.inner.push_routes(None).into_iter().filter(|(route, _)| route.trusted) {
            match self.inner.ask(&route, pusher.as_ref(), msisdn, code, language).await? {
                Pushed::Refused(why) => refused = why,
                // Another route might show it a second time.
                said @ (Pushed::Taken | Pushed::Unknown) => return Ok(said),
            }
        }
        Ok(Pushed::Refused(refused))
    }
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    async fn ask(
        self: &Arc<Self>,
        route: &Route,
        pusher: &dyn Pusher,
        msisdn: &Msisdn,
        code: &str,
        language: &str,
    ) -> Result<Pushed, Error> {
        let busy = || Ok(Pushed::Refused("the customer is in a dialogue".to_owned()));
        let Entered::Seat(seat) = self.lines.enter(&route.name, msisdn, self.clock.instant()) else {
            return busy();
        };
        let mut memory = seat.turn().await;
        let key = key(&route.name, msisdn);
        if seat.performing().is_some() || self.stored(&key).await?.is_some() {
            return busy();
        }
        let party = Party { caller: Some(msisdn.clone()), language: Some(language.to_owned()) };
        let mut session = match self.registry.open_text(Channel::Ussd, code, party) {
            Ok(session) => session,
            Err(why) => return Ok(Pushed::Refused(why.to_string())),
        };
        session.came_by(&route.name);
        session.keep(Kept {
            key: key.clone(),
            dialogue: None,
            route: route.name.clone(),
            number: msisdn.clone(),
            window: route.idle,
        });
        let turn = session.start().await?;
        let turn = session.proceed(turn).await?;
        let Then::Collect(_) = turn.then else {
            return Ok(Pushed::Refused("the flow has nothing to ask".to_owned()));
        };
        let screen = Screen { text: turn.screen.unwrap_or_default(), end: false };
        session.settle(Writes::new()).await?;
        // An answer may be there before the network's word that the screen was taken is handled: it waits for its turn.
        seat.shown(&screen);
        (memory.begun, memory.answered) = (None, None);
        tracing::info!(session = %session.id(), route = %route.name, flow = session.program().name(), "a dialogue of ours");
        let pushed = pusher.push(msisdn.clone(), screen, Kind::Push).await;
        if let Pushed::Refused(why) = &pushed {
            tracing::info!(session = %session.id(), route = %route.name, "a question was not taken: {why}");
            seat.cleared();
            self.unsay(&session).await?;
        }
        Ok(pushed)
    }

    /// Forgets a conversation that nobody heard of.
    async fn unsay(&self, session: &Session) -> Result<(), Error> {
        self.registry.payments().end_session(session.id()).await.map_err(crate::session::Error::from)?;
        Ok(())
    }
}
