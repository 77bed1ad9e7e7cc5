//! The catalogue of flows and the live sessions: opens a session for whoever calls, up to a limit.
//!
//! A catalogue is served as an [`Edition`], with the media that belong to it. Another edition takes its place at once and
//! for new sessions only: a session holds its program, a call its media, and what nobody holds any more is gone. It never
//! reads a file and never judges a flow.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::{Clock, Timestamp};
use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::dialplan::program::Program;
use crate::msisdn::Msisdn;
use crate::payment::run::Payments;
use crate::session::{Opening, Session};

/// A checked catalogue as it is served. `M` is what a channel needs beside it, such as the clips that it says.
#[derive(Clone, Debug)]
pub struct Edition<M> {
    /// The flows.
    pub catalog: Arc<Catalog>,
    /// What belongs to them.
    pub media: M,
    /// Numbers that reach drafts.
    pub testers: BTreeSet<Msisdn>,
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

/// An edition that is served, or that sessions still run.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Version {
    /// The catalogue's version.
    pub version: String,
    /// Whether new sessions get it.
    pub serving: bool,
    /// When it was first served.
    pub since: Timestamp,
    /// Its flows.
    pub flows: usize,
    /// Live sessions that run it.
    pub sessions: usize,
}

/// Counts the live sessions of one edition.
#[derive(Debug)]
struct Tally {
    version: String,
    flows: usize,
    since: Timestamp,
    live: AtomicUsize,
}

impl Tally {
    fn new<M>(edition: &Edition<M>, since: Timestamp) -> Arc<Self> {
        let catalog = &edition.catalog;
        let (version, flows) = (catalog.version().to_owned(), catalog.programs().count());
        Arc::new(Self { version, flows, since, live: AtomicUsize::new(0) })
    }

    fn sessions(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    fn told(&self, serving: bool) -> Version {
        let (version, sessions) = (self.version.clone(), self.sessions());
        Version { version, serving, since: self.since, flows: self.flows, sessions }
    }
}

/// A live session's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    all: Arc<AtomicUsize>,
    tally: Arc<Tally>,
}

impl Place {
    fn take(all: &Arc<AtomicUsize>, tally: &Arc<Tally>) -> (Self, usize) {
        let taken = all.fetch_add(1, Ordering::Relaxed);
        tally.live.fetch_add(1, Ordering::Relaxed);
        (Self { all: all.clone(), tally: tally.clone() }, taken)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.tally.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The edition that is served and those that were before it, as long as sessions run them.
#[derive(Debug)]
struct Shelf<M> {
    edition: Edition<M>,
    tally: Arc<Tally>,
    replaced: Vec<Arc<Tally>>,
}

impl<M> Shelf<M> {
    fn new(edition: Edition<M>, since: Timestamp) -> Self {
        let tally = Tally::new(&edition, since);
        Self { edition, tally, replaced: Vec::new() }
    }

    /// Puts an edition in the place of the one that is served, which is given back with the number of sessions that go on
    /// with what they began with.
    fn serve(&mut self, edition: Edition<M>, since: Timestamp) -> (Edition<M>, usize) {
        let tally = Tally::new(&edition, since);
        self.replaced.push(std::mem::replace(&mut self.tally, tally));
        self.forget();
        let staying = self.replaced.iter().map(|tally| tally.sessions()).sum();
        (std::mem::replace(&mut self.edition, edition), staying)
    }

    /// Lets go of those whose last session has ended.
    fn forget(&mut self) {
        self.replaced.retain(|tally| tally.sessions() > 0);
    }

    /// The one that is served, then the others, the newest first.
    fn versions(&self) -> Vec<Version> {
        let replaced = self.replaced.iter().rev().map(|tally| tally.told(false));
        let live = replaced.filter(|version| version.sessions > 0);
        std::iter::once(self.tally.told(true)).chain(live).collect()
    }
}

/// Opens sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry<M> {
    shelf: Arc<RwLock<Shelf<M>>>,
    payments: Payments,
    clock: Clock,
    language: String,
    live: Arc<AtomicUsize>,
    live_max: usize,
}

impl<M: Clone> Registry<M> {
    /// A registry that serves an edition, for at most `live_max` sessions at once.
    #[must_use]
    pub fn new(
        edition: Edition<M>,
        payments: Payments,
        clock: Clock,
        language: String,
        live_max: usize,
    ) -> Self {
        let shelf = Arc::new(RwLock::new(Shelf::new(edition, clock.now())));
        Self { shelf, payments, clock, language, live: Arc::default(), live_max }
    }

    /// The session of a call to `number`, and the media of its edition. `caller` only if the trunk is trusted for it.
    ///
    /// # Errors
    /// When no flow serves the number, or all places are taken.
    pub fn open_voice(&self, number: &str, caller: Option<Msisdn>) -> Result<(Session, M), Unserved> {
        let (program, place, media) =
            self.enter(caller.as_ref(), |catalog, tester| catalog.find_voice(number, tester))?;
        let opening = Opening {
            channel: Channel::Voice,
            caller,
            language: self.language.clone(),
            prefilled: Default::default(),
            draft: program.is_draft(),
        };
        let mut session = Session::new(program, opening, self.payments.clone(), self.clock.clone());
        session._place = Some(place);
        Ok((session, media))
    }

    /// Finds a program in the edition that is served, and counts a session of it. Both happen before another edition can
    /// be served, so that no session is missing in the count of those that stay.
    fn enter(
        &self,
        caller: Option<&Msisdn>,
        find: impl FnOnce(&Catalog, bool) -> Option<Arc<Program>>,
    ) -> Result<(Arc<Program>, Place, M), Unserved> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let tester = caller.is_some_and(|caller| shelf.edition.testers.contains(caller));
        let program = find(&shelf.edition.catalog, tester).ok_or(Unserved::NoFlow)?;
        let (place, taken) = Place::take(&self.live, &shelf.tally);
        if taken >= self.live_max {
            return Err(Unserved::Full);
        }
        Ok((program, place, shelf.edition.media.clone()))
    }

    /// Serves an edition from now on. Gives the number of sessions that go on with an older one.
    pub fn serve(&self, edition: Edition<M>) -> usize {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let (old, staying) = shelf.serve(edition, self.clock.now());
        drop(shelf);
        // It may be large: calls that come in do not wait until it is taken apart.
        drop(old);
        staying
    }

    /// What is served now.
    #[must_use]
    pub fn edition(&self) -> Edition<M> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).edition.clone()
    }

    /// What is served and what sessions still run, the newest first.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).versions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::catalog::{Settings, SourceFile, Sources, compile};
    use crate::money::Currency;

    fn edition(comment: &str, media: &'static str) -> Edition<&'static str> {
        let flow = include_str!("../../dialplans/recharge.flow");
        let sources = Sources {
            flows: vec![SourceFile::new("recharge.flow", format!("{flow}-- {comment}\n"))],
            messages: vec![SourceFile::new("en.msg", include_str!("../../dialplans/messages/en.msg"))],
            numbers: vec![SourceFile::new("en/numbers.say", include_str!("../../prompts/en/numbers.say"))],
            clips: None,
        };
        let settings = Settings {
            country: "86".to_owned(),
            national_digits: (11, 11),
            ..Settings::of(Currency::new("CNY").unwrap())
        };
        let catalog = Arc::new(compile(&sources, &settings).unwrap());
        Edition { catalog, media, testers: BTreeSet::new() }
    }

    fn counts(versions: &[Version]) -> Vec<(&str, bool, usize)> {
        versions.iter().map(|v| (v.version.as_str(), v.serving, v.sessions)).collect()
    }

    #[test]
    fn an_old_edition_is_known_until_its_last_session_ends() {
        let all = Arc::new(AtomicUsize::new(0));
        let mut shelf = Shelf::new(edition("one", "first"), Timestamp(1));
        let one = shelf.tally.version.clone();
        let ((first, _), (second, taken)) =
            (Place::take(&all, &shelf.tally), Place::take(&all, &shelf.tally));
        assert_eq!(taken, 1);
        let (old, staying) = shelf.serve(edition("two", "second"), Timestamp(2));
        assert_eq!((old.media, staying), ("first", 2));
        let two = shelf.tally.version.clone();
        let (third, _) = Place::take(&all, &shelf.tally);
        assert_eq!(counts(&shelf.versions()), [(two.as_str(), true, 1), (one.as_str(), false, 2)]);
        drop(first);
        // The same catalogue with other media is an edition of its own.
        let (_, staying) = shelf.serve(edition("two", "third"), Timestamp(3));
        assert_eq!(staying, 2);
        let told = shelf.versions();
        assert_eq!(
            counts(&told),
            [(two.as_str(), true, 0), (two.as_str(), false, 1), (one.as_str(), false, 1)]
        );
        assert_eq!(told[0].since, Timestamp(3));
        drop((second, third));
        assert_eq!(counts(&shelf.versions()), [(two.as_str(), true, 0)]);
        shelf.serve(edition("four", "fourth"), Timestamp(4));
        assert!(shelf.replaced.is_empty());
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
