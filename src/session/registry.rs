//! The catalogue of flows and the live sessions: opens a session for whoever calls, up to a limit.
//!
//! A catalogue is served as an [`Edition`], with the media that belong to it. Another edition takes its place at once and
//! for new sessions only: a session holds its program, a call its media, and what nobody holds any more is gone. A
//! conversation that is only a row between two inputs (USSD, SMS, a caller who dropped) holds nothing: for its sake the
//! editions that were replaced a short while ago are kept. It never reads a file and never judges a flow.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::dialplan::program::Program;
use crate::msisdn::Msisdn;
use crate::payment::run::Payments;
use crate::session::{Opening, Session};

/// How long an edition is kept after another has taken its place: the longest that a thread of text messages or a dialogue
/// waits for its next input. Whoever comes later begins again.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 60);
/// Replaced editions that are kept at most; the oldest goes first, however short a time ago it was served.
pub const KEPT_MAX: usize = 8;

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

/// An edition that was replaced, for conversations that are only rows.
#[derive(Debug)]
struct Kept<M> {
    edition: Edition<M>,
    until: Timestamp,
}

/// Finds the flow of a conversation that broke off, in exactly the version that it began with.
#[derive(Clone)]
pub(super) struct Past(Arc<Find>);

/// By the flow's name and version.
type Find = dyn Fn(&str, &str) -> Option<Arc<Program>> + Send + Sync;

impl Past {
    pub(super) fn find(&self, flow: &str, version: &str) -> Option<Arc<Program>> {
        (self.0)(flow, version)
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Past")
    }
}

/// The edition that is served and those that were before it, as long as sessions run them.
#[derive(Debug)]
struct Shelf<M> {
    edition: Edition<M>,
    tally: Arc<Tally>,
    replaced: Vec<Arc<Tally>>,
    /// The oldest first.
    kept: VecDeque<Kept<M>>,
}

impl<M> Shelf<M> {
    fn new(edition: Edition<M>, since: Timestamp) -> Self {
        let tally = Tally::new(&edition, since);
        Self { edition, tally, replaced: Vec::new(), kept: VecDeque::new() }
    }

    /// Puts an edition in the place of the one that is served, which is kept for a while. Gives the number of sessions that
    /// go on with what they began with, and the editions that are kept no longer.
    fn serve(&mut self, edition: Edition<M>, since: Timestamp) -> (Vec<Kept<M>>, usize) {
        let tally = Tally::new(&edition, since);
        self.replaced.push(std::mem::replace(&mut self.tally, tally));
        self.replaced.retain(|tally| tally.sessions() > 0);
        let staying = self.replaced.iter().map(|tally| tally.sessions()).sum();
        let old = std::mem::replace(&mut self.edition, edition);
        // Equal flows with other media: of two that say the same, the newer one is kept.
        let same = |kept: &Kept<M>| kept.edition.catalog.version() == old.catalog.version();
        let again = self.kept.iter().position(same).and_then(|at| self.kept.remove(at));
        self.kept.push_back(Kept { edition: old, until: since.after(KEPT_FOR) });
        let mut gone = self.forget(since);
        gone.extend(again);
        (gone, staying)
    }

    /// Takes out the editions whose time is over, and what is more than is kept.
    fn forget(&mut self, now: Timestamp) -> Vec<Kept<M>> {
        let late = self.kept.iter().take_while(|kept| kept.until <= now).count();
        let gone = late.max(self.kept.len().saturating_sub(KEPT_MAX));
        self.kept.drain(..gone).collect()
    }

    /// The editions in which a conversation may go on: what is served, then what is kept, the newest first.
    fn editions(&self, now: Timestamp) -> impl Iterator<Item = &Edition<M>> {
        let kept = self.kept.iter().rev().filter(move |kept| kept.until > now);
        std::iter::once(&self.edition).chain(kept.map(|kept| &kept.edition))
    }

    /// A flow of exactly this version, wherever it still is, and its edition.
    fn find(&self, flow: &str, version: &str, now: Timestamp) -> Option<(Arc<Program>, &Edition<M>)> {
        self.editions(now).find_map(|edition| {
            let both = [edition.catalog.program(flow), edition.catalog.draft(flow)];
            let program = both.into_iter().flatten().find(|program| program.version() == version)?;
            Some((program, edition))
        })
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
    pub(super) payments: Payments,
    pub(super) clock: Clock,
    pub(super) language: String,
    live: Arc<AtomicUsize>,
    live_max: usize,
}

impl<M: Clone + Send + Sync + 'static> Registry<M> {
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
            pin_waivable: false,
        };
        let mut session = Session::new(program, opening, self.payments.clone(), self.clock.clone());
        session._place = Some(place);
        session.past = Some(self.past());
        Ok((session, media))
    }

    /// Finds a program in the edition that is served, and counts a session of it. Both happen before another edition can
    /// be served, so that no session is missing in the count of those that stay.
    pub(super) fn enter(
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
        let (gone, staying) = shelf.serve(edition, self.clock.now());
        drop(shelf);
        // They may be large: calls that come in do not wait until they are taken apart.
        drop(gone);
        staying
    }

    /// The flow of a conversation that was saved: the one of this name and exactly this version, in the edition that is
    /// served or in one that was replaced at most [`KEPT_FOR`] ago. Nothing when it is gone: the conversation begins again.
    #[must_use]
    pub fn program(&self, flow: &str, version: &str) -> Option<Arc<Program>> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.find(flow, version, self.clock.now()).map(|(program, _)| program)
    }

    /// The media that belong to a flow of exactly this version: those of the newest edition that has it.
    #[must_use]
    pub fn media(&self, program: &Program) -> Option<M> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let found = shelf.find(program.name(), program.version(), self.clock.now());
        found.map(|(_, edition)| edition.media.clone())
    }

    /// For sessions, which know nothing of editions and media.
    pub(super) fn past(&self) -> Past {
        let this = self.clone();
        Past(Arc::new(move |flow, version| this.program(flow, version)))
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
        compiled(format!("{flow}-- {comment}\n"), media)
    }

    fn changed(tries: &str, media: &'static str) -> Edition<&'static str> {
        let flow = include_str!("../../dialplans/recharge.flow");
        compiled(flow.replacen("tries 3", tries, 1), media)
    }

    fn compiled(flow: String, media: &'static str) -> Edition<&'static str> {
        let sources = Sources {
            flows: vec![
                SourceFile::new("recharge.flow", flow),
                SourceFile::new("stranger.flow", include_str!("../../dialplans/stranger.flow")),
                SourceFile::new("vouch.flow", include_str!("../../dialplans/vouch.flow")),
            ],
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
        let (gone, staying) = shelf.serve(edition("two", "second"), Timestamp(2));
        assert_eq!((gone.len(), staying), (0, 2));
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

    #[test]
    fn replaced_editions_are_kept_for_a_while_and_not_many() {
        let version = |edition: &Edition<_>| {
            edition.catalog.program("recharge").map(|program| program.version().to_owned()).unwrap()
        };
        // Flows that differ in more than comments have versions of their own.
        let numbered = |n: usize| changed(&format!("tries {}", n + 1), "media");
        let mut shelf = Shelf::new(numbered(0), Timestamp(0));
        let first = version(&shelf.edition);
        let at = |seconds: u64| Timestamp(0).after(Duration::from_secs(seconds));
        shelf.serve(numbered(1), at(10));
        assert_ne!(version(&shelf.edition), first);
        let end = 10 + KEPT_FOR.as_secs();
        assert!(shelf.find("recharge", &first, at(end - 1)).is_some());
        assert!(shelf.find("recharge", &first, at(end)).is_none());
        assert!(shelf.find("recharge", "no such version", at(11)).is_none());
        assert!(shelf.find("other", &first, at(11)).is_none());
        assert!(shelf.find("recharge", &version(&shelf.edition), at(9_999)).is_some());
        // What was replaced too long ago goes when the next one comes.
        let (gone, _) = shelf.serve(numbered(2), at(end));
        assert_eq!((gone.len(), shelf.kept.len()), (1, 1));
        // One goes for each that comes, once there are enough.
        for n in 0..2 * KEPT_MAX {
            shelf.serve(edition(&n.to_string(), "media"), at(end + 1));
            assert!(shelf.kept.len() <= KEPT_MAX, "{}", shelf.kept.len());
        }
        assert_eq!(shelf.kept.len(), KEPT_MAX);
        for n in 0..4 {
            shelf.serve(edition(&(n % 2).to_string(), "other media"), at(end + 1));
        }
        // The same catalogue again is kept once, for the longer time.
        let kept: BTreeSet<&str> = shelf.kept.iter().map(|kept| kept.edition.catalog.version()).collect();
        assert_eq!(kept.len(), shelf.kept.len());
    }
}
