//! The catalogue of flows and the live sessions: opens a session for whoever calls, up to a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::Clock;
use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::msisdn::Msisdn;
use crate::payment::run::Payments;
use crate::session::{Opening, Session};

/// Opens sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    catalog: Arc<Catalog>,
    payments: Payments,
    clock: Clock,
    language: String,
    live: Arc<AtomicUsize>,
    live_max: usize,
}

/// Why no session was opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unserved {
    /// No flow serves this number, code or word.
    #[error("nothing is served there")]
    NoFlow,
    /// All places are taken.
    #[error("all places are taken")]
    Full,
}

/// A live session's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Registry {
    /// A registry over a checked catalogue, for at most `live_max` sessions at once.
    #[must_use]
    pub fn new(
        catalog: Arc<Catalog>,
        payments: Payments,
        clock: Clock,
        language: String,
        live_max: usize,
    ) -> Self {
        Self { catalog, payments, clock, language, live: Arc::default(), live_max }
    }

    /// The session of a call to `number`. `caller` only if the trunk is trusted for it.
    ///
    /// # Errors
    /// When no flow serves the number, or all places are taken.
    pub fn open_voice(&self, number: &str, caller: Option<Msisdn>) -> Result<Session, Unserved> {
        let program = self.catalog.find_voice(number).ok_or(Unserved::NoFlow)?;
        let taken = self.live.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.live.clone());
        if taken >= self.live_max {
            return Err(Unserved::Full);
        }
        let opening = Opening {
            channel: Channel::Voice,
            caller,
            language: self.language.clone(),
            prefilled: Default::default(),
        };
        let mut session = Session::new(program, opening, self.payments.clone(), self.clock.clone());
        session._place = Some(place);
        Ok(session)
    }
}
