//! Conversations by text: each wait is saved, so that any node, and this one after a restart, goes on with the next reply.
//!
//! A channel opens or restores a session, lets it [`Session::proceed`] to its next wait, and then [`Session::settle`]s: what
//! it said, where it stands and what the channel adds (that the message was received) are one commit. Only then is the
//! network told that its message was taken. An action that moves money begins after that commit, which holds the payment's
//! id: a restart asks the payment core what became of it ([`Session::recover`]).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::dialplan::event::Event;
use crate::dialplan::state::{State, Wait};
use crate::dialplan::step::{ask_once_more, open_question};
use crate::msisdn::Msisdn;
use crate::payment::row::{InboxRow, SessionRow};
use crate::payment::run::Error as Failure;
use crate::payment::unit::{Op, Refusal};
use crate::session::perform::{FAILED, Performed};
use crate::session::question::Question;
use crate::session::writes::Writes;
use crate::session::{Error, Session, Then, Turn};

/// How a channel finds a conversation again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// Unique among conversations that are not over.
    pub key: String,
    /// The network's name of the dialogue, where it has one.
    pub dialogue: Option<String>,
    /// The way to the caller.
    pub route: String,
    /// Who is at the other end, believed or not.
    pub number: Msisdn,
    /// How long it waits for the next reply.
    pub window: Duration,
}

/// How a commit ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settled {
    /// It is written.
    Done,
    /// Nothing is written: the message was received before.
    Repeated(InboxRow),
    /// Nothing is written: the conversation has gone on elsewhere.
    Overtaken,
}

/// Reaches a caller where a PIN may be asked: by a USSD push, or a call.
pub trait Reach: Send + Sync {
    /// Goes on with a session that waits to be reached.
    fn reach(&self, session: Session) -> Pin<Box<dyn Future<Output = Result<(), Unreached>> + Send>>;
}

/// The caller could not be reached: come back with `session.reached(None)`.
#[derive(Debug)]
pub struct Unreached(pub Box<Session>);

impl Session {
    /// From now on the conversation is saved at every [`Session::settle`].
    pub fn keep(&mut self, kept: Kept) {
        self.kept = Some(kept);
    }

    /// How it is kept, if it is.
    #[must_use]
    pub const fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Whether it waits for the caller to be reached on another channel.
    #[must_use]
    pub fn awaits_callback(&self) -> bool {
        self.wait() == Some(Wait::Callback)
    }

    /// The question that waits for a reply.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        open_question(&self.program, self.state.as_ref()?).map(Question::new)
    }

    /// The waiting question once more, without counting it: the caller may not have had it.
    ///
    /// # Errors
    /// When a text message cannot be queued.
    pub async fn once_more(&mut self) -> Result<Turn, Error> {
        let state = self.state.take().unwrap_or_else(|| State::new(&self.program));
        let (state, effects) = ask_once_more(&self.program, state);
        self.state = Some(state);
        self.take_effects(effects).await
    }

    /// Goes on through actions that move no money, to where the caller, or money, is waited for. The words of all turns are
    /// the words of the one that is given back.
    ///
    /// # Errors
    /// When a text message cannot be queued.
    pub async fn proceed(&mut self, mut turn: Turn) -> Result<Turn, Error> {
        let mut say = Vec::new();
        loop {
            say.append(&mut turn.say);
            match turn.then {
                Then::Perform(task) if !task.moves_money() => {
                    let performed = self.perform(task).await;
                    turn = self.resume(performed).await?;
                }
                then => return Ok(Turn { say, screen: turn.screen, then }),
            }
        }
    }

    /// What a text message answers with a turn: its words, unless there are none, or the flow ends by a text message of its
    /// own to the same telephone.
    #[must_use]
    pub fn reply(&self, turn: &Turn) -> Option<String> {
        let to = self.kept.as_ref().map(|kept| &kept.number);
        if self.is_over() && self.unsent.iter().any(|(number, _)| Some(number) == to) {
            return None;
        }
        Some(self.text(&turn.say)).filter(|text| !text.trim().is_empty())
    }

    /// Writes where the conversation stands, the text messages that it sends, and what the channel adds: one commit.
    ///
    /// # Errors
    /// When it could not be committed; whether it is written is then not always known.
    pub async fn settle(&mut self, writes: Writes) -> Result<Settled, Error> {
        let mut ops = writes.ops;
        let texts = std::mem::take(&mut self.unsent);
        let rows = texts.iter().map(|(to, body)| self.payments.text_row(self.payment, to, body.clone()));
        let rows: Vec<_> = rows.collect();
        let tells_payment = self.payment.filter(|_| !rows.is_empty());
        ops.extend(rows.into_iter().map(Op::Outbox));
        let saved = match self.row() {
            Some(row) => {
                ops.push(Op::SaveSession(Box::new(row?)));
                true
            }
            None => {
                // One that was over with its first turn was never saved.
                if self.revision > 0 {
                    ops.push(Op::EndSession(self.id));
                }
                false
            }
        };
        if ops.is_empty() {
            return Ok(Settled::Done);
        }
        match self.payments.commit_unit(ops).await? {
            Ok(_) => {}
            Err(Refusal::Repeated(row)) => {
                self.unsent = texts;
                return Ok(Settled::Repeated(*row));
            }
            Err(Refusal::Stale) => return Ok(Settled::Overtaken),
            Err(refusal) => return Err(Failure::Refused(refusal).into()),
        }
        self.revision = if saved { self.revision + 1 } else { 0 };
        if let Some(payment) = tells_payment {
            self.payments.spare_plain_result(payment).await?;
        }
        Ok(Settled::Done)
    }

    /// The row of a kept conversation that is not over.
    fn row(&self) -> Option<Result<SessionRow, Error>> {
        let kept = self.kept.as_ref()?;
        let state = self.state.as_ref().filter(|state| !state.is_over())?;
        let window = i64::try_from(kept.window.as_micros()).unwrap_or(i64::MAX);
        let row = self.row_of(state, kept.number.clone(), window).map(|row| SessionRow {
            key: Some(kept.key.clone()),
            dialogue: kept.dialogue.clone(),
            route: Some(kept.route.clone()),
            ..row
        });
        Some(row)
    }

    /// The dialogue is gone. A conversation that may be gone on with is put where the caller's next one finds it; a payment
    /// under way stays in a row of its own until its outcome has been told.
    pub(super) async fn let_go(&mut self) -> Result<(), Error> {
        let Some(kept) = self.kept.take() else { return Ok(()) };
        if self.awaits_outcome() {
            self.kept = Some(Kept { key: format!("gone/{}", self.id), dialogue: None, ..kept });
            self.settle(Writes::new()).await?;
            self.kept = None;
        } else if !self.save_for_return().await? && self.revision > 0 {
            self.payments.end_session(self.id).await?;
            self.revision = 0;
        }
        Ok(())
    }

    /// After a restart: waits for what became of the payment that was under way and tells it by text message. One that had
    /// not begun cannot begin any more, since no PIN is kept; the caller is told that something went wrong.
    ///
    /// # Errors
    /// When the payment core does not answer; the conversation stays saved then, for the next start.
    pub async fn recover(mut self) -> Result<(), Error> {
        self.kept = None;
        let (id, account) = (self.id, self.account);
        let event = match self.payment {
            Some(payment) => self.recalled(payment).await?,
            None => None,
        };
        let event = event.unwrap_or_else(Performed::failed);
        self.leave(Some(Box::pin(std::future::ready(Performed {
            event,
            account,
            private: false,
            language: None,
        }))))
        .await?;
        tracing::info!(session = %id, "told what became of a payment that was under way");
        Ok(())
    }
}

impl Performed {
    fn failed() -> Event {
        Event::Outcome { name: FAILED.to_owned(), values: Vec::new() }
    }
}
