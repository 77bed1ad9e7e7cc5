//! One caller's conversation, whatever the channel.
//!
//! A channel (voice, USSD, SMS, the terminal) owns a [`Session`] and does three things with it, over and over: it feeds
//! it what happened, says what the returned [`Turn`] says, and then does what the turn ends with: ask, perform an
//! action, hold the line, or end. The dialplan decides everything that is said; the payment core decides everything
//! about money; the session only carries words between the two. It knows no socket and no protocol, and no secret
//! outlives the action that it was typed for.
//!
//! ```text
//! registry ──open──► Session ──start/answer/resume──► Turn { say, then: Collect | Perform | Hold | End }
//! ```

pub mod collect;
pub mod kept;
pub mod mailbox;
mod perform;
pub mod question;
pub mod registry;
mod restored;
mod saved;
mod thread;
pub mod transcript;
pub mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::dialplan::civil::Moment;
use crate::dialplan::event::{Answer, Effect, Event, Start};
use crate::dialplan::program::Program;
use crate::dialplan::speak::{PAUSE_BETWEEN, Utterance};
use crate::dialplan::state::{State, Wait};
use crate::dialplan::step::step;
use crate::msisdn::{Assurance, Msisdn};
use crate::payment::run::Payments;
use crate::session::kept::Kept;
use crate::session::question::Question;

pub use crate::dialplan::event::Channel;
pub use crate::dialplan::speak::{Sound, System};
pub use crate::payment::row::{Id, InboxRow, OutboxRow, OutboxState, PartRow, SessionRow};
use perform::channel as channel_of;
pub use perform::{Performed, Performing, Task};
pub use restored::{Lost, Party};

/// How a session begins.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The channel.
    pub channel: Channel,
    /// The caller's number, only if the way it came is trusted for it.
    pub caller: Option<Msisdn>,
    /// The language to begin in.
    pub language: String,
    /// Slots of a one-shot command.
    pub prefilled: BTreeMap<String, String>,
    /// Whether the flow is a draft: no real money moves.
    pub draft: bool,
    /// Whether a flow with `pin on sms none` may take small payments without a PIN: only for text messages that came over a
    /// route which is trusted for the caller's number.
    pub pin_waivable: bool,
}

/// One caller's conversation.
#[derive(Debug)]
pub struct Session {
    id: Id,
    program: Arc<Program>,
    /// Always there between two events; a step takes it and gives the next.
    state: Option<State>,
    opening: Opening,
    /// How far the caller's number is believed that the opening has.
    level: Assurance,
    payments: Payments,
    clock: Clock,
    /// Set when the payment core has told whose account the caller's number pays from.
    account: Option<Id>,
    /// The latest payment that was asked for; receipts belong to it.
    payment: Option<Id>,
    /// The revision that is stored; 0 when nothing is.
    revision: i64,
    /// Set once it knows what only the caller may know.
    private: bool,
    /// Set on channels where each wait is saved.
    kept: Option<Kept>,
    /// Text messages of the flow that the next commit queues.
    unsent: Vec<(Msisdn, String)>,
    /// Where the flow of a conversation that broke off is looked up, if it has changed since.
    past: Option<registry::Past>,
    /// Counts the session as live for as long as it exists.
    _place: Option<registry::Place>,
}

/// What to say now, and what follows.
#[derive(Debug)]
pub struct Turn {
    /// In this order.
    pub say: Vec<Utterance>,
    /// What a USSD screen shows of it now: all, or one page.
    pub screen: Option<String>,
    /// Then this.
    pub then: Then,
}

/// What follows after a turn's words.
#[derive(Debug)]
pub enum Then {
    /// Ask, and come back with [`Session::answer`].
    Collect(Question),
    /// Give the task to [`Session::perform`] and come back with [`Session::resume`]; the words may be said meanwhile.
    Perform(Task),
    /// Reach the caller on a channel where a PIN may be asked, and come back with [`Session::reached`].
    Callback,
    /// Keep the line until the caller goes.
    Hold,
    /// End when all is said.
    End,
}

impl Session {
    /// A session that has not begun.
    #[must_use]
    pub fn new(program: Arc<Program>, opening: Opening, payments: Payments, clock: Clock) -> Self {
        let state = Some(State::new(&program));
        let id = Id::new(clock.now().0);
        let level = Assurance::of(opening.caller.as_ref());
        Self {
            id,
            program,
            state,
            opening,
            level,
            payments,
            clock,
            account: None,
            payment: None,
            revision: 0,
            private: false,
            kept: None,
            unsent: Vec::new(),
            past: None,
            _place: None,
        }
    }

    /// Its id, for logs.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// The flow that it runs.
    #[must_use]
    pub const fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// A message of the conversation came over another route than it began on, or the same: nothing is paid without a PIN
    /// any more unless this route, too, is trusted for the caller's number.
    pub fn over_route(&mut self, trusted: bool) {
        self.opening.pin_waivable &= trusted;
        if let Some(state) = &mut self.state {
            state.pin_waivable &= trusted;
        }
    }

    /// The trunk, bind or gateway that the caller comes by, or that his next message came by: it says how far his number is
    /// believed. What is believed once is never believed more by a later message.
    pub fn came_by(&mut self, way: &str) {
        let way_level = self.payments.settings().policy.level(channel_of(self.opening.channel), way);
        match &mut self.state {
            Some(state) if state.wait != Wait::Start => state.assurance = state.assurance.min(way_level),
            _ if self.opening.caller.is_some() => self.level = way_level,
            _ => {}
        }
    }

    /// How far the number of the caller is believed now.
    pub(super) fn assurance(&self) -> Assurance {
        match &self.state {
            Some(state) if state.wait != Wait::Start => state.assurance,
            _ => self.level,
        }
    }

    /// The number that the caller is known by now: his own, or that of the account which he proved.
    pub(super) fn caller(&self) -> Option<&Msisdn> {
        match &self.state {
            Some(state) if state.wait != Wait::Start => state.caller.as_ref(),
            _ => self.opening.caller.as_ref(),
        }
    }

    /// The first turn: of a conversation that broke off, if the flow says `resume` and the caller is back in time.
    ///
    /// # Errors
    /// When a receipt cannot be queued, or what was saved not be read.
    pub async fn start(&mut self) -> Result<Turn, Error> {
        match self.take_up().await {
            Ok(Some(turn)) => Ok(turn),
            Ok(None) => self.begin(false).await,
            Err(error) => {
                // Whoever calls is served, with or without what he said last time.
                tracing::warn!(session = %self.id, %error, "a saved session could not be taken up");
                self.begin(false).await
            }
        }
    }

    /// The first turn in place of a conversation that cannot be gone on with: its flow has changed since. The caller is told
    /// so.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn start_anew(&mut self) -> Result<Turn, Error> {
        self.begin(true).await
    }

    async fn begin(&mut self, restarted: bool) -> Result<Turn, Error> {
        let start = Start {
            channel: self.opening.channel,
            caller: self.opening.caller.clone(),
            language: self.opening.language.clone(),
            prefilled: self.opening.prefilled.clone(),
            at: Moment::from_minutes(self.clock.now().minutes(&self.payments.settings().zone))
                .unwrap_or_default(),
            restarted,
            pin_waivable: self.opening.pin_waivable,
        };
        if let Some(state) = &mut self.state {
            state.assurance = self.level;
        }
        self.advance(Event::Start(start)).await
    }

    /// The turn of a caller who dropped and is back, perhaps on another channel: asks whether to go on. While an action is
    /// under way there is nothing to say; the turn of its outcome follows.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn come_back(&mut self, channel: Channel) -> Result<Option<Turn>, Error> {
        let under_way = self.awaits_outcome();
        let turn = self.advance(Event::Resumed(channel)).await?;
        Ok((!under_way).then_some(turn))
    }

    /// The turn after an answer.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn answer(&mut self, answer: Answer) -> Result<Turn, Error> {
        self.advance(Event::Answer(answer)).await
    }

    /// The turn after the caller was reached on another channel, or could not be.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn reached(&mut self, channel: Option<Channel>) -> Result<Turn, Error> {
        self.advance(channel.map_or(Event::Unreached, Event::Reached)).await
    }

    /// The turn after an action.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn resume(&mut self, performed: Performed) -> Result<Turn, Error> {
        self.account = performed.account;
        self.private |= performed.private;
        if let Some((state, known)) = self.state.as_mut().zip(performed.language) {
            state.speak(&self.program, &known.tag, known.now);
        }
        self.advance(performed.event).await
    }

    async fn advance(&mut self, event: Event) -> Result<Turn, Error> {
        let effects = self.step(event);
        self.take_effects(effects).await
    }

    async fn take_effects(&mut self, effects: Vec<Effect>) -> Result<Turn, Error> {
        let mut say = Vec::new();
        let mut then = Then::End;
        let mut screen = None;
        for effect in effects {
            match effect {
                Effect::Say(utterances) => say.extend(utterances),
                Effect::SendSms { to, text, .. } => self.unsent.push((to, text)),
                Effect::Screen(text) => screen = Some(text),
                Effect::Callback => then = Then::Callback,
                Effect::Mark(name) => tracing::debug!(session = %self.id, mark = %name, "mark"),
                Effect::Collect(collect) => then = Then::Collect(Question::new(collect)),
                Effect::Do { action, arguments } => {
                    let task = Task { action, arguments };
                    if task.moves_money() {
                        self.payment = Some(Id::new(self.clock.now().0));
                        // So that a caller who drops now hears what came of it when he is back.
                        if self.kept.is_none()
                            && let Err(error) = self.save().await
                        {
                            tracing::warn!(session = %self.id, %error, "a session could not be saved");
                        }
                    }
                    then = Then::Perform(task);
                }
                Effect::Hold => then = Then::Hold,
                Effect::End => then = Then::End,
            }
        }
        // Elsewhere all of it waits for the channel's commit.
        if self.kept.is_none() {
            for (to, text) in std::mem::take(&mut self.unsent) {
                self.payments.queue_sms(self.payment, &to, text).await?;
            }
            if self.is_over() {
                self.forget().await;
            }
        }
        Ok(Turn { say, screen, then })
    }

    /// The caller is gone. What the flow does on a hang-up is done. If money is moving, its outcome is awaited and told by
    /// text message, so this may take as long as a payment; any other action under way is dropped.
    ///
    /// # Errors
    /// When a text message cannot be queued.
    pub async fn leave(mut self, under_way: Option<Performing>) -> Result<(), Error> {
        if self.kept.is_some() {
            self.let_go().await?;
        } else {
            self.save_for_return().await?;
        }
        let mut turn = self.advance(Event::Hangup).await?;
        let mut under_way = under_way;
        while self.awaits_outcome() {
            let performed = match (under_way.take(), turn.then) {
                (Some(future), _) => future.await,
                (None, Then::Perform(task)) => self.perform(task).await,
                (None, _) => return Ok(()),
            };
            turn = self.resume(performed).await?;
        }
        Ok(())
    }

    /// Whether an action is under way whose outcome is not known yet.
    #[must_use]
    pub fn awaits_outcome(&self) -> bool {
        self.wait() == Some(Wait::Outcome)
    }

    /// Whether the conversation has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wait() == Some(Wait::Over)
    }

    fn wait(&self) -> Option<Wait> {
        self.state.as_ref().map(|state| state.wait)
    }

    /// The channel that the conversation is on now: it begins on that of its opening, and may be taken up on another.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match &self.state {
            Some(state) if state.wait != Wait::Start => state.channel,
            _ => self.opening.channel,
        }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let state = self.state.take().unwrap_or_else(|| State::new(&self.program));
        let (state, effects) = step(&self.program, state, event);
        self.state = Some(state);
        effects
    }

    /// The language that is spoken.
    #[must_use]
    pub fn language(&self) -> &str {
        self.state.as_ref().map_or(&self.opening.language, |state| &state.language)
    }

    /// What voice plays for these words.
    #[must_use]
    pub fn sounds(&self, say: &[Utterance]) -> Vec<Sound> {
        let mut sounds = Vec::new();
        for utterance in say {
            if !sounds.is_empty() {
                sounds.push(Sound::Pause(PAUSE_BETWEEN));
            }
            sounds.extend(self.program.sounds(utterance, self.language()));
        }
        sounds
    }

    /// What a screen or a message shows for these words: one line for each.
    #[must_use]
    pub fn text(&self, say: &[Utterance]) -> String {
        let texts: Vec<String> =
            say.iter().map(|u| self.program.text(u, self.language(), self.channel())).collect();
        texts.join("\n")
    }
}

/// What can go wrong on our side; what a caller does wrong is the dialplan's business.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The payment core could not answer.
    #[error(transparent)]
    Payment(#[from] crate::payment::run::Error),
    /// The dialplan and the payment core do not agree about an action.
    #[error("the action {0} was given something that it does not take")]
    Action(&'static str),
}
