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
mod perform;
pub mod question;
pub mod registry;
pub mod transcript;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::dialplan::event::{Answer, Channel, Effect, Event, Start};
use crate::dialplan::program::Program;
use crate::dialplan::speak::{PAUSE_BETWEEN, Utterance};
use crate::dialplan::state::State;
use crate::dialplan::step::step;
use crate::msisdn::Msisdn;
use crate::payment::row::Id;
use crate::payment::run::Payments;
use crate::session::question::Question;

pub use crate::dialplan::speak::Sound;
pub use perform::{Performed, Task};

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
}

/// One caller's conversation.
#[derive(Debug)]
pub struct Session {
    id: Id,
    program: Arc<Program>,
    /// Always there between two events; a step takes it and gives the next.
    state: Option<State>,
    opening: Opening,
    payments: Payments,
    clock: Clock,
    /// Set when the payment core has told whose account the caller's number pays from.
    account: Option<Id>,
    /// The latest payment that was asked for; receipts belong to it.
    payment: Option<Id>,
    /// Counts the session as live for as long as it exists.
    _place: Option<registry::Place>,
}

/// What to say now, and what follows.
#[derive(Debug)]
pub struct Turn {
    /// In this order.
    pub say: Vec<Utterance>,
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
        Self { id, program, state, opening, payments, clock, account: None, payment: None, _place: None }
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

    /// The first turn.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn start(&mut self) -> Result<Turn, Error> {
        let start = Start {
            channel: self.opening.channel,
            caller: self.opening.caller.clone(),
            language: self.opening.language.clone(),
            prefilled: self.opening.prefilled.clone(),
        };
        self.advance(Event::Start(start)).await
    }

    /// The turn after an answer.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn answer(&mut self, answer: Answer) -> Result<Turn, Error> {
        self.advance(Event::Answer(answer)).await
    }

    /// The turn after an action.
    ///
    /// # Errors
    /// When a receipt cannot be queued.
    pub async fn resume(&mut self, performed: Performed) -> Result<Turn, Error> {
        self.account = performed.account;
        self.advance(performed.event).await
    }

    async fn advance(&mut self, event: Event) -> Result<Turn, Error> {
        let effects = self.step(event);
        let mut say = Vec::new();
        let mut then = Then::End;
        for effect in effects {
            match effect {
                Effect::Say(utterances) => say.extend(utterances),
                Effect::SendSms { to, text, .. } => self.payments.queue_sms(self.payment, &to, text).await?,
                Effect::Mark(name) => tracing::debug!(session = %self.id, mark = %name, "mark"),
                Effect::Collect(collect) => then = Then::Collect(Question::new(collect)),
                Effect::Do { action, arguments } => then = Then::Perform(Task { action, arguments }),
                Effect::Hold => then = Then::Hold,
                Effect::End => then = Then::End,
            }
        }
        Ok(Turn { say, then })
    }

    /// The caller is gone: what is under way in the payment core goes on without him.
    pub fn hang_up(&mut self) {
        let _ = self.step(Event::Hangup);
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let state = self.state.take().unwrap_or_else(|| State::new(&self.program));
        let (state, effects) = step(&self.program, state, event);
        self.state = Some(state);
        effects
    }

    fn language(&self) -> &str {
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
            say.iter().map(|u| self.program.text(u, self.language(), self.opening.channel)).collect();
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
