//! The question that waits, told once more, for a transport that cannot tell which part of what it brings is new: a network
//! that sends the whole dialogue each time, to a process that did not begin it.

use crate::msisdn::Msisdn;
use crate::ussd::dialogue::{Stand, Step};
use crate::ussd::line::Entered;
use crate::ussd::{Desk, Error, Input, Phase, Screen, Taken, Typed, key};

impl<M: Clone + Send + Sync + 'static> Desk<M> {
    /// The waiting question of a caller's dialogue once more, with nothing answered; nothing when no such dialogue is saved.
    /// One whose payment was under way when its process died ends, and is told by text message.
    ///
    /// # Errors
    /// When the database does not answer, or the route is unknown.
    pub async fn retell(
        &self,
        route: &str,
        msisdn: &Msisdn,
        dialogue: &str,
    ) -> Result<Option<Screen>, Error> {
        let inner = &self.inner;
        let of = inner.route(route).ok_or_else(|| Error::NoSuchRoute(route.to_owned()))?;
        let arrived = inner.clock.instant();
        let Entered::Seat(seat) = inner.lines.enter(route, msisdn, arrived) else { return Ok(None) };
        let turn = seat.turn().await;
        let row = inner.stored(&key(route, msisdn)).await?;
        let Some(row) = row.filter(|row| row.dialogue.as_deref() == Some(dialogue)) else { return Ok(None) };
        let restored = inner.registry.restore(row).ok().filter(|session| session.question().is_some());
        let Some(mut session) = restored else {
            drop(turn);
            drop(seat);
            return self.unasked(route, msisdn, dialogue).await;
        };
        let asked = session.once_more().await?;
        match inner.advance(&mut session, asked, arrived + of.answer_within).await? {
            Step::Stands(Stand::Screen(screen)) => {
                seat.shown(&screen);
                Ok(Some(screen))
            }
            Step::Stands(Stand::Pays(_)) | Step::Overtaken | Step::Late => Ok(None),
        }
    }

    /// What an answer to a dialogue that asks nothing is told.
    async fn unasked(&self, route: &str, msisdn: &Msisdn, dialogue: &str) -> Result<Option<Screen>, Error> {
        let taken = self.take(Input {
            route: route.to_owned(),
            dialogue: Some(dialogue.to_owned()),
            msisdn: msisdn.clone(),
            trusted: false,
            code: String::new(),
            phase: Phase::Answer { text: Typed::new(String::new()) },
        });
        match taken.await? {
            Taken::Screen(screen) => Ok(Some(screen)),
            Taken::Later(screen) => Ok(screen.await),
            Taken::Duplicate | Taken::Gone => Ok(None),
        }
    }
}
