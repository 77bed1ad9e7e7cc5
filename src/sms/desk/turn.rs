//! One text of a thread: which session it belongs to, what is written, and what goes on after it is acknowledged.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::msisdn::Msisdn;
use crate::session::kept::{Kept, Settled, Unreached};
use crate::session::registry::Unserved;
use crate::session::writes::Writes;
use crate::session::{Id, InboxRow, Party, Session, SessionRow, Task, Then, Turn};
use crate::sms::desk::{Error, Inner, count};
use crate::sms::nonsense::Reply;
use crate::sms::received::{Received, Taken};
use crate::sms::repeat::{Seen, Verdict};

/// The inbox's number of this channel.
const CHANNEL: i16 = 3;
/// How long a text is known by an id that is its alone. Providers try for some hours at most.
const UNIQUE_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Texts that were refused and may be committed all the same that are remembered; they come when the database goes away.
const DOUBTED_MAX: usize = 10_000;
/// Keys of threads begin with this.
pub(super) const PREFIX: &str = "sms/";

/// A whole text from a number.
struct Text<'a> {
    received: &'a Received,
    from: &'a Msisdn,
    /// Of its thread.
    key: String,
    row: InboxRow,
    /// Where its parts waited, if it had any.
    parts: Option<Id>,
}

impl Text<'_> {
    fn caller(&self) -> Option<Msisdn> {
        self.received.trusted.then(|| self.from.clone())
    }

    /// What is written with whatever it causes: equal texts from `same_since` on are this one.
    fn writes(&self, same_since: i64) -> Writes {
        let writes = Writes::new().received(self.row.clone(), same_since);
        match self.parts {
            Some(parts) => writes.without_parts(parts),
            None => writes,
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    /// Handles a text when it is its turn.
    pub(super) async fn take(self: &Arc<Self>, mut received: Received) -> Result<Taken, Error> {
        if received.from.number().is_none() {
            count(&self.counters.silent);
            tracing::info!(from = ?received.from, route = %received.route, "a text from no number");
            return Ok(Taken::Handled);
        }
        match received.part.take() {
            Some(part) => self.take_part(received, part).await,
            None => self.take_whole(&received, None).await,
        }
    }

    /// Handles a text that is whole; `parts` is where its parts waited.
    pub(super) async fn take_whole(
        self: &Arc<Self>,
        received: &Received,
        parts: Option<Id>,
    ) -> Result<Taken, Error> {
        let Some(from) = received.from.number() else { return Ok(Taken::Handled) };
        let to = received.to.as_str();
        let row = InboxRow {
            key: self.mailbox.mac(&[
                b"sms",
                received.route.as_bytes(),
                from.as_str().as_bytes(),
                to.as_bytes(),
                &received.identity,
                received.text.as_bytes(),
            ]),
            route: received.route.clone(),
            link: received.link,
            caller: from.as_str().to_owned(),
            channel: CHANNEL,
            received_at: self.clock.now().0,
        };
        // Who forges a number on a route that is not believed has a thread of his own, and no part in the caller's: he neither
        // answers what the caller was asked nor uses up his tries (DESIGN 6.4 point 17).
        let belief = if received.trusted { "" } else { "/unbelieved" };
        let key = format!("{PREFIX}{to}/{}{belief}", from.as_str());
        let text = Text { received, from, key, row, parts };
        let saved = self.at_rest(&text.key).await?;
        let taken = match saved {
            Some(saved) => self.go_on(&text, saved).await,
            None => self.begin(&text, None).await,
        };
        self.doubt(text.row.key, matches!(taken, Err(Error::Session(_))));
        let taken = taken?;
        if taken == Taken::Duplicate
            && let Some(parts) = parts
        {
            // They came again, all of them.
            self.mailbox.write(Writes::new().without_parts(parts)).await?;
        }
        Ok(taken)
    }

    /// The session of a thread, once no money of it is moving by this process.
    async fn at_rest(&self, key: &str) -> Result<Option<SessionRow>, Error> {
        let moving = self.moving().get(key).cloned();
        if let Some(moving) = moving
            && tokio::time::timeout(self.settings.patience, moving.cancelled()).await.is_err()
        {
            return Err(Error::Moving);
        }
        if self.known().as_ref().is_some_and(|known| !known.contains(key)) {
            return Ok(None);
        }
        let saved = self.mailbox.conversation(key).await?;
        if saved.is_none()
            && let Some(known) = self.known().as_mut()
        {
            known.remove(key);
        }
        Ok(saved)
    }

    /// A text in a thread whose session waits.
    async fn go_on(self: &Arc<Self>, text: &Text<'_>, saved: SessionRow) -> Result<Taken, Error> {
        let id = saved.id;
        let Ok(session) = self.registry.restore(saved.clone()) else {
            // Its flow has changed too long ago. What is texted now is taken as if there was nothing.
            return self.begin(text, Some(id)).await;
        };
        if session.awaits_outcome() {
            return Err(Error::Moving);
        }
        let words = text.received.text.trim();
        let fits = session.question().is_some_and(|question| question.fits(words));
        if !fits && self.registry.is_thread_command(words, text.caller().as_ref()) {
            return self.begin(text, Some(id)).await;
        }
        let Some(question) = session.question() else {
            // The caller is being reached elsewhere, and answers there.
            return self.note(text, self.reach(text, false)).await;
        };
        let mut session = self.kept(session, text);
        session.over_route(text.received.trusted);
        session.came_by(&text.received.route);
        let turn = session.answer(question.replied(words)).await?;
        let turn = session.proceed(turn).await?;
        let reach = self.reach(text, true);
        match self.settle(&mut session, text, &turn, reach, None).await? {
            Settled::Done => {}
            Settled::Overtaken => return Err(Error::Overtaken),
            Settled::Repeated(seen) => match self.judge(text, &seen, true) {
                Verdict::Duplicate => return Ok(Taken::Duplicate),
                Verdict::ToldAgain => return self.tell_again(text, saved).await,
                Verdict::New => {
                    let reach = self.since(text, &seen);
                    match self.settle(&mut session, text, &turn, reach, None).await? {
                        Settled::Done => {}
                        Settled::Overtaken => return Err(Error::Overtaken),
                        Settled::Repeated(_) => return Ok(Taken::Duplicate),
                    }
                }
            },
        }
        self.understood(text);
        self.follow(session, turn.then, text);
        Ok(Taken::Handled)
    }

    /// How far back equal texts count, if the one that was seen does not.
    fn since(&self, text: &Text<'_>, seen: &InboxRow) -> Duration {
        let age = text.row.received_at.saturating_sub(seen.received_at).saturating_sub(1);
        Duration::from_micros(u64::try_from(age).unwrap_or(0))
    }

    /// How far back an equal text counts.
    fn reach(&self, text: &Text<'_>, waiting: bool) -> Duration {
        if text.received.unique { UNIQUE_FOR } else { self.settings.windows.reach(waiting) }
    }

    fn judge(&self, text: &Text<'_>, seen: &InboxRow, waiting: bool) -> Verdict {
        if text.received.unique {
            return Verdict::Duplicate;
        }
        let age = text.row.received_at.saturating_sub(seen.received_at);
        let link_gone = seen.link != text.row.link && !(self.link_up)(seen.link);
        let refused = self.doubted().contains(&seen.key);
        let seen = Seen { age: Duration::from_micros(u64::try_from(age).unwrap_or(0)), link_gone, refused };
        self.settings.windows.judge(Some(seen), waiting)
    }

    /// Remembers that a text was refused and may be committed, until it was taken.
    fn doubt(&self, key: Id, refused: bool) {
        let mut doubted = self.doubted();
        if !refused {
            doubted.remove(&key);
            return;
        }
        if doubted.len() >= DOUBTED_MAX {
            doubted.clear();
        }
        doubted.insert(key);
    }

    /// The question once more, for a caller who perhaps never had it.
    async fn tell_again(&self, text: &Text<'_>, saved: SessionRow) -> Result<Taken, Error> {
        let Ok(session) = self.registry.restore(saved) else { return Ok(Taken::Duplicate) };
        let mut session = self.kept(session, text);
        let turn = session.once_more().await?;
        // Recorded with the link that it came by now: the next equal text counts.
        match self.settle(&mut session, text, &turn, self.settings.windows.answer, None).await? {
            Settled::Done => {
                self.counters.told_again.fetch_add(1, Ordering::Relaxed);
                Ok(Taken::Handled)
            }
            Settled::Repeated(_) => Ok(Taken::Duplicate),
            Settled::Overtaken => Err(Error::Overtaken),
        }
    }

    /// A text that begins a thread, in the place of the session `instead` if there was one.
    async fn begin(self: &Arc<Self>, text: &Text<'_>, instead: Option<Id>) -> Result<Taken, Error> {
        let words = text.received.text.trim();
        let party = Party { caller: text.caller(), ..Party::default() };
        let session = match self.registry.open_thread(words, party) {
            Ok(session) => session,
            Err(Unserved::Full) => return Err(Error::Busy),
            Err(Unserved::NoFlow) => return self.nonsense_of(text, instead).await,
        };
        let mut session = self.kept(session, text);
        session.came_by(&text.received.route);
        let turn = session.start().await?;
        let turn = session.proceed(turn).await?;
        let reach = self.reach(text, false);
        match self.settle(&mut session, text, &turn, reach, instead).await? {
            Settled::Done => {}
            Settled::Repeated(_) => return Ok(Taken::Duplicate),
            Settled::Overtaken => return Err(Error::Overtaken),
        }
        self.understood(text);
        self.follow(session, turn.then, text);
        Ok(Taken::Handled)
    }

    fn kept(&self, mut session: Session, text: &Text<'_>) -> Session {
        session.keep(Kept {
            key: text.key.clone(),
            dialogue: Some(text.received.to.clone()),
            route: text.received.route.clone(),
            number: text.from.clone(),
            window: self.settings.thread,
        });
        session
    }

    /// Writes a turn, its reply and that the text was received.
    async fn settle(
        &self,
        session: &mut Session,
        text: &Text<'_>,
        turn: &Turn,
        reach: Duration,
        instead: Option<Id>,
    ) -> Result<Settled, Error> {
        let mut writes = text.writes(text.row.received_at.saturating_sub(micros(reach)));
        if let Some(instead) = instead {
            writes = writes.ended(instead);
        }
        self.settle_turn(session, turn, writes).await
    }

    /// Writes a turn and its reply with `writes`.
    async fn settle_turn(
        &self,
        session: &mut Session,
        turn: &Turn,
        mut writes: Writes,
    ) -> Result<Settled, Error> {
        let moves = matches!(turn.then, Then::Perform(_));
        if let (Some(kept), true) = (session.kept().cloned(), moves) {
            session.keep(Kept { window: self.settings.money, ..kept });
        }
        if let (Some(body), Some(kept)) = (session.reply(turn), session.kept()) {
            let sender = kept.dialogue.as_deref();
            writes = writes.text(self.mailbox.compose(&kept.number, body, Some(&kept.route), sender));
        }
        // Before the commit, so that the next text of the thread finds it, and after it, since one that came in between may
        // have found nothing.
        self.know(session);
        let settled = session.settle(writes).await?;
        self.know(session);
        if let (Some(kept), true) = (session.kept().cloned(), moves) {
            session.keep(Kept { window: self.settings.thread, ..kept });
        }
        Ok(settled)
    }

    fn know(&self, session: &Session) {
        if let (Some(kept), false, Some(known)) = (session.kept(), session.is_over(), self.known().as_mut()) {
            known.insert(kept.key.clone());
        }
    }

    /// What goes on when the text is acknowledged.
    fn follow(self: &Arc<Self>, session: Session, then: Then, text: &Text<'_>) {
        match then {
            Then::Perform(task) => {
                let (inner, key) = (Arc::clone(self), text.key.clone());
                let over = self.moves(&key);
                self.tasks.spawn(async move {
                    let id = session.id();
                    if let Err(error) = inner.move_money(session, task).await {
                        tracing::error!(session = %id, "after a text: {error}");
                    }
                    inner.moving().remove(&key);
                    drop(over);
                });
            }
            Then::Callback => {
                let inner = Arc::clone(self);
                self.tasks.spawn(async move {
                    let id = session.id();
                    if let Err(error) = inner.call_back(session).await {
                        tracing::error!(session = %id, "after a text: {error}");
                    }
                });
            }
            Then::Hold => {
                // Nobody hangs up a thread: it is over when all is said.
                self.tasks.spawn(async move {
                    let id = session.id();
                    if let Err(error) = session.leave(None).await {
                        tracing::error!(session = %id, "after a text: {error}");
                    }
                });
            }
            Then::Collect(_) | Then::End => {}
        }
    }

    fn moves(&self, key: &str) -> tokio_util::sync::DropGuard {
        let token = tokio_util::sync::CancellationToken::new();
        self.moving().insert(key.to_owned(), token.clone());
        token.drop_guard()
    }

    /// Performs what moves money and tells its outcome, as often as the flow asks for it.
    async fn move_money(&self, mut session: Session, mut task: Task) -> Result<(), Error> {
        loop {
            let performed = session.perform(task).await;
            let turn = session.resume(performed).await?;
            let turn = session.proceed(turn).await?;
            if self.settle_turn(&mut session, &turn, Writes::new()).await? != Settled::Done {
                tracing::warn!(session = %session.id(), "the outcome was told by another node");
                return Ok(());
            }
            match turn.then {
                Then::Perform(next) => task = next,
                Then::Hold => return Ok(session.leave(None).await?),
                Then::Callback => return self.call_back(session).await,
                Then::Collect(_) | Then::End => return Ok(()),
            }
        }
    }

    /// Reaches the caller where a PIN may be asked; if nothing can, the flow says so.
    pub(super) async fn call_back(&self, session: Session) -> Result<(), Error> {
        let mut session = match &self.reach {
            Some(reach) => match reach.reach(session).await {
                Ok(()) => return Ok(()),
                Err(Unreached(session)) => *session,
            },
            None => session,
        };
        let turn = session.reached(None).await?;
        let turn = session.proceed(turn).await?;
        match self.settle_turn(&mut session, &turn, Writes::new()).await? {
            Settled::Done => {}
            // The caller has texted something else meanwhile.
            Settled::Repeated(_) | Settled::Overtaken => return Ok(()),
        }
        match turn.then {
            Then::Perform(task) => Box::pin(self.move_money(session, task)).await,
            Then::Hold => Ok(session.leave(None).await?),
            Then::Callback | Then::Collect(_) | Then::End => Ok(()),
        }
    }

    fn understood(&self, text: &Text<'_>) {
        self.nonsense().understood(text.from.as_str());
    }

    /// Records a text that changes nothing.
    async fn note(&self, text: &Text<'_>, reach: Duration) -> Result<Taken, Error> {
        let writes = text.writes(text.row.received_at.saturating_sub(micros(reach)));
        match self.mailbox.write(writes).await? {
            Settled::Done => Ok(Taken::Handled),
            Settled::Repeated(_) => Ok(Taken::Duplicate),
            Settled::Overtaken => Err(Error::Overtaken),
        }
    }

    /// A text that is no command and answers nothing.
    async fn nonsense_of(&self, text: &Text<'_>, instead: Option<Id>) -> Result<Taken, Error> {
        let words = text.received.text.trim();
        let number = text.from.as_str();
        let now = self.clock.now();
        let reply = if self.is_stop(words) {
            self.nonsense().stop(now, number);
            Reply::Loop
        } else {
            let mut hasher = DefaultHasher::new();
            words.hash(&mut hasher);
            self.nonsense().hear(now, number, hasher.finish())
        };
        let caller = text.caller();
        let help = if reply == Reply::Help { self.registry.help(words, caller.as_ref()) } else { None };
        let Some(help) = help else {
            count(&self.counters.silent);
            tracing::info!(from = ?text.from, route = %text.received.route, ?reply, "a text that is left unanswered");
            // Its parts would wait in vain.
            if let Some(parts) = text.parts {
                self.mailbox.write(Writes::new().without_parts(parts)).await?;
            }
            return Ok(Taken::Handled);
        };
        let received = text.received;
        let reach = self.reach(text, false);
        let row = self.mailbox.compose(text.from, help, Some(&received.route), Some(&received.to));
        let mut writes = text.writes(text.row.received_at.saturating_sub(micros(reach))).text(row);
        if let Some(instead) = instead {
            writes = writes.ended(instead);
        }
        match self.mailbox.write(writes).await? {
            Settled::Done => {
                count(&self.counters.helped);
                Ok(Taken::Handled)
            }
            Settled::Repeated(_) => Ok(Taken::Duplicate),
            Settled::Overtaken => Err(Error::Overtaken),
        }
    }

    fn is_stop(&self, words: &str) -> bool {
        let words = words.to_lowercase();
        self.settings.stop_words.contains(&words)
    }
}
