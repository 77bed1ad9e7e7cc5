//! What is done about one input, when its turn has come.

use std::sync::Arc;
use std::time::Instant;

use crate::session::kept::{Kept, Settled};
use crate::session::registry::Unserved;
use crate::session::writes::Writes;
use crate::session::{Channel, Party, Session, SessionRow, System, Task, Then, Turn};
use crate::ussd::line::{MEMORY, Memory, SAME_BEGIN, Seat};
use crate::ussd::{Error, GONE, Inner, Input, Phase, Route, Screen, Taken, Typed, key};

/// Where a conversation stands after a step of it that took no money.
pub(super) enum Stand {
    /// The caller is asked, or told the last.
    Screen(Screen),
    /// Money is to move.
    Pays(Task),
}

/// What a step of a conversation came to.
pub(super) enum Step {
    /// It is saved.
    Stands(Stand),
    /// It has gone on elsewhere.
    Overtaken,
    /// Something that moves no money took longer than the network waits. Nothing is saved.
    Late,
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    pub(super) async fn handle(
        self: Arc<Self>,
        route: Route,
        seat: Seat,
        input: Input,
    ) -> Result<Taken, Error> {
        let mut memory = seat.turn().await;
        let deadline = seat.arrived + route.answer_within;
        let visit = Visit { desk: self, route, input, deadline };
        match visit.input.phase.clone() {
            Phase::Begin { dialled } => visit.begin(seat, &mut memory, &dialled).await,
            Phase::Answer { text } => visit.answer(seat, &mut memory, text).await,
            Phase::Abort => visit.abort(&seat, &mut memory).await,
            Phase::Notified => Ok(Taken::Gone),
        }
    }

    /// A dialogue is over before its end: what can be gone on with is saved for the caller's next one, and a payment that
    /// was under way is told by text message.
    pub(super) async fn retire(self: &Arc<Self>, row: SessionRow) -> Result<(), Error> {
        let id = row.id;
        let mut session = match self.registry.restore(row) {
            Ok(session) => session,
            Err(lost) => {
                tracing::info!(session = %id, "a dialogue cannot be saved for later: {lost}");
                return Ok(self
                    .registry
                    .payments()
                    .end_session(id)
                    .await
                    .map_err(crate::session::Error::from)?);
            }
        };
        if session.awaits_outcome() {
            // Whoever performs it tells it; if nobody does any more, the sweep does when the row's time is over.
            self.release(&mut session).await?;
            return Ok(());
        }
        Ok(session.leave(None).await?)
    }

    /// Takes a session off its caller's key, so that a new dialogue may have it.
    pub(super) async fn release(&self, session: &mut Session) -> Result<bool, Error> {
        let Some(kept) = session.kept().cloned() else { return Ok(true) };
        session.keep(Kept { key: format!("{}{}", GONE, session.id()), dialogue: None, ..kept });
        Ok(session.settle(Writes::new()).await? == Settled::Done)
    }

    /// Goes on with a turn until the caller is asked, the conversation ends, or money is to move; and saves it there.
    pub(super) async fn advance(
        &self,
        session: &mut Session,
        turn: Turn,
        deadline: Instant,
    ) -> Result<Step, Error> {
        let mut turn = turn;
        loop {
            let proceeding = tokio::time::timeout(self.left(deadline), session.proceed(turn));
            let Ok(proceeded) = proceeding.await else { return Ok(Step::Late) };
            let Turn { screen, then, .. } = proceeded?;
            let screen = |end| Screen { text: screen.unwrap_or_default(), end };
            let stand = match then {
                // A screen can ask for a PIN itself: this follows on text messages only.
                Then::Callback => {
                    turn = session.reached(Some(Channel::Ussd)).await?;
                    continue;
                }
                Then::Collect(_) => Stand::Screen(screen(false)),
                Then::End | Then::Hold => Stand::Screen(screen(true)),
                Then::Perform(task) => {
                    self.await_outcome(session);
                    Stand::Pays(task)
                }
            };
            return Ok(match session.settle(Writes::new()).await? {
                Settled::Done => Step::Stands(stand),
                Settled::Repeated(_) | Settled::Overtaken => Step::Overtaken,
            });
        }
    }
}

/// One input whose turn it is.
struct Visit<M> {
    desk: Arc<Inner<M>>,
    route: Route,
    input: Input,
    /// Until when the network waits.
    deadline: Instant,
}

impl<M: Clone + Send + Sync + 'static> Visit<M> {
    fn key(&self) -> String {
        key(&self.route.name, &self.input.msisdn)
    }

    fn ends_with(&self, seat: &Seat, memory: &mut Memory, language: Option<&str>, system: System) -> Taken {
        self.shows(seat, memory, self.desk.last_word(language, system))
    }

    fn shows(&self, seat: &Seat, memory: &mut Memory, screen: Screen) -> Taken {
        seat.shown(&screen);
        if screen.end {
            memory.begun = None;
        }
        Taken::Screen(screen)
    }

    async fn begin(self, seat: Seat, memory: &mut Memory, dialled: &Typed) -> Result<Taken, Error> {
        let came = seat.came(self.input.dialogue.as_deref(), dialled);
        if memory.begun.as_ref().is_some_and(|begun| begun.again(&came, SAME_BEGIN))
            && let Some(screen) = seat.screen()
        {
            // The screen that answers both is on its way, if this was there before it.
            return Ok(if seat.is_overtaken() { Taken::Duplicate } else { Taken::Screen(screen) });
        }
        *memory = Memory::default();
        // Of two dialogues of one caller the later one is meant.
        if let Some(performing) = seat.performing() {
            performing.stop.cancel();
            performing.over.cancelled().await;
        }
        self.clear().await?;
        let party = Party { caller: self.input.trusted.then(|| self.input.msisdn.clone()), language: None };
        let mut session = match self.desk.registry.open_text(Channel::Ussd, dialled.expose(), party) {
            Ok(session) => session,
            Err(why) => {
                tracing::info!(route = %self.route.name, caller = ?self.input.msisdn, "dialogue refused: {why}");
                let system = match why {
                    Unserved::NoFlow => System::Unserved,
                    Unserved::Full => System::Busy,
                };
                return Ok(self.ends_with(&seat, memory, None, system));
            }
        };
        session.came_by(&self.route.name);
        session.keep(Kept {
            key: self.key(),
            dialogue: self.input.dialogue.clone(),
            route: self.route.name.clone(),
            number: self.input.msisdn.clone(),
            window: self.route.idle,
        });
        tracing::info!(
            session = %session.id(), route = %self.route.name, flow = session.program().name(),
            caller = ?self.input.msisdn, "dialogue"
        );
        let Ok(started) = tokio::time::timeout(self.desk.left(self.deadline), session.start()).await else {
            return Ok(self.ends_with(&seat, memory, Some(session.language()), System::Busy));
        };
        let turn = started?;
        let taken = self.go_on(seat, memory, session, turn).await?;
        if matches!(&taken, Taken::Screen(screen) if !screen.end) {
            memory.begun = Some(came);
        }
        Ok(taken)
    }

    /// Takes what the caller had before off his key.
    async fn clear(&self) -> Result<(), Error> {
        let key = self.key();
        if let Some(row) = self.desk.stored(&key).await? {
            self.desk.retire(row).await?;
        } else if let Some(row) = self.desk.expired(&key).await? {
            self.desk.retire(row).await?;
        }
        Ok(())
    }

    async fn answer(self, seat: Seat, memory: &mut Memory, text: Typed) -> Result<Taken, Error> {
        let came = seat.came(self.input.dialogue.as_deref(), &text);
        // What comes before the screen that it would answer answers nothing.
        if seat.performing().is_some() || seat.is_overtaken() {
            return Ok(Taken::Duplicate);
        }
        let again = |within| memory.answered.as_ref().is_some_and(|before| before.again(&came, within));
        if again(self.route.same_within) || (again(MEMORY) && seat.is_early().await) {
            return Ok(Taken::Duplicate);
        }
        let left = self.input.dialogue.is_some() && self.input.dialogue == memory.left;
        let row = self.desk.stored(&self.key()).await?.filter(|row| !left && self.is_of(row));
        let Some(row) = row else {
            // Its conversation has ended with it; or it comes too late.
            if again(MEMORY) {
                return Ok(Taken::Duplicate);
            }
            return Ok(self.ends_with(&seat, memory, None, System::Expired));
        };
        let id = row.id;
        let mut session = match self.desk.registry.restore(row) {
            Ok(session) => session,
            Err(lost) => {
                tracing::info!(session = %id, "a dialogue cannot be gone on with: {lost}");
                let ended = self.desk.registry.payments().end_session(id).await;
                ended.map_err(crate::session::Error::from)?;
                return Ok(self.ends_with(&seat, memory, None, System::Expired));
            }
        };
        let Some(question) = session.question() else {
            return self.unasked(&seat, memory, session).await;
        };
        self.take_name(&mut session);
        let answer = question.replied(text.expose());
        drop(text);
        let Ok(answered) = tokio::time::timeout(self.desk.left(self.deadline), session.answer(answer)).await
        else {
            return self.late(&seat, memory, &session).await;
        };
        let turn = answered?;
        (memory.begun, memory.answered) = (None, Some(came));
        let taken = self.go_on(seat, memory, session, turn).await;
        if taken.is_err() {
            // The network sends it again, and it is to be taken then.
            memory.answered = None;
        }
        taken
    }

    /// Whether a row is that of this input's dialogue, as far as both have names.
    fn is_of(&self, row: &SessionRow) -> bool {
        match (&row.dialogue, &self.input.dialogue) {
            (Some(stored), Some(heard)) => stored == heard,
            _ => true,
        }
    }

    /// A dialogue of ours gets its name from the network with its first answer.
    fn take_name(&self, session: &mut Session) {
        if let Some(kept) = session.kept().cloned() {
            let dialogue = kept.dialogue.clone().or_else(|| self.input.dialogue.clone());
            session.keep(Kept { dialogue, window: self.route.idle, ..kept });
        }
    }

    /// A saved conversation that waits for no answer. One that pays is performed by another process, or was by one that has
    /// died: then the sweep tells what became of it.
    async fn unasked(&self, seat: &Seat, memory: &mut Memory, session: Session) -> Result<Taken, Error> {
        let language = session.language().to_owned();
        if session.awaits_outcome() {
            return Ok(self.ends_with(seat, memory, Some(&language), System::WillGetSms));
        }
        session.leave(None).await?;
        Ok(self.ends_with(seat, memory, Some(&language), System::Expired))
    }

    /// Goes on after a turn and shows what it comes to.
    async fn go_on(
        &self,
        seat: Seat,
        memory: &mut Memory,
        mut session: Session,
        turn: Turn,
    ) -> Result<Taken, Error> {
        match self.desk.advance(&mut session, turn, self.deadline).await? {
            Step::Stands(Stand::Screen(screen)) => Ok(self.shows(&seat, memory, screen)),
            Step::Stands(Stand::Pays(task)) => {
                seat.cleared();
                Ok(Taken::Later(self.desk.clone().pay(seat, session, task, self.deadline)))
            }
            // Another node has taken the same input.
            Step::Overtaken => Ok(Taken::Duplicate),
            Step::Late => self.late(&seat, memory, &session).await,
        }
    }

    /// The network's time is over and nothing was decided: the conversation stays where it was before this input, for the
    /// caller's next dialogue.
    async fn late(&self, seat: &Seat, memory: &mut Memory, session: &Session) -> Result<Taken, Error> {
        tracing::warn!(session = %session.id(), "a step took longer than the network waits");
        if let Some(row) = self.desk.stored(&self.key()).await? {
            self.desk.retire(row).await?;
        }
        Ok(self.ends_with(seat, memory, Some(session.language()), System::Busy))
    }

    async fn abort(self, seat: &Seat, memory: &mut Memory) -> Result<Taken, Error> {
        let same = |dialogue: &Option<String>| match (dialogue, &self.input.dialogue) {
            (Some(of), Some(heard)) => of == heard,
            _ => true,
        };
        if let Some(performing) = seat.performing().filter(|performing| same(&performing.dialogue)) {
            performing.stop.cancel();
            return Ok(Taken::Gone);
        }
        let left = self.input.dialogue.is_some() && self.input.dialogue == memory.left;
        if let Some(row) = self.desk.stored(&self.key()).await?.filter(|row| !left && self.is_of(row)) {
            memory.begun = None;
            seat.cleared();
            self.desk.retire(row).await?;
        }
        Ok(Taken::Gone)
    }
}
