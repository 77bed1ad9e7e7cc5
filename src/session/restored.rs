//! Opens conversations by text, and takes saved ones up again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::dialplan::speak::System;
use crate::dialplan::state::State;
use crate::msisdn::Msisdn;
use crate::payment::row::{Id, SessionRow};
use crate::payment::run::{Error as Failure, Payments};
use crate::session::kept::Kept;
use crate::session::registry::{Registry, Unserved};
use crate::session::{Opening, Session};

/// How long a conversation on another node may be without news of its payment before this one asks for it.
pub(super) const LEFT_AFTER: Duration = Duration::from_secs(180);
/// Rows that are looked at in one go.
const PAGE: u32 = 500;
/// What the state of a conversation says while an action is under way; most rows are told apart without reading them whole.
const OUTCOME: &str = "\"outcome\"";

/// Who is at the other end of a dialogue or a thread.
#[derive(Clone, Debug, Default)]
pub struct Party {
    /// The number, only if the way it came is trusted for it.
    pub caller: Option<Msisdn>,
    /// The language to begin in; the market's without it.
    pub language: Option<String>,
}

/// A saved conversation that cannot be gone on with: its flow has changed too long ago, or it cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the flow {flow} of a saved conversation is not served any more")]
pub struct Lost {
    /// The flow.
    pub flow: String,
}

impl<M: Clone + Send + Sync + 'static> Registry<M> {
    /// A new conversation for a USSD string or a text message.
    ///
    /// # Errors
    /// When no flow serves it, or all places are taken.
    pub fn open_text(&self, channel: Channel, command: &str, party: Party) -> Result<Session, Unserved> {
        let mut prefilled = BTreeMap::new();
        let find = |catalog: &Catalog, tester: bool| {
            let found = match channel {
                Channel::Ussd => catalog.find_ussd(command, tester),
                Channel::Sms => catalog.find_sms(command, tester),
                Channel::Voice => None,
            }?;
            prefilled = found.prefilled;
            Some(found.program)
        };
        let (program, place, _) = self.enter(party.caller.as_ref(), find)?;
        let opening = Opening {
            channel,
            pin_waivable: channel == Channel::Sms && party.caller.is_some(),
            caller: party.caller,
            language: party.language.unwrap_or_else(|| self.language.clone()),
            prefilled,
            draft: program.is_draft(),
        };
        let mut session = Session::new(program, opening, self.payments.clone(), self.clock.clone());
        session._place = Some(place);
        session.past = Some(self.past());
        Ok(session)
    }

    /// Whether a text message is the command of a flow.
    #[must_use]
    pub fn is_command(&self, channel: Channel, text: &str, caller: Option<&Msisdn>) -> bool {
        let edition = self.edition();
        let tester = caller.is_some_and(|caller| edition.testers.contains(caller));
        match channel {
            Channel::Ussd => edition.catalog.find_ussd(text, tester).is_some(),
            Channel::Sms => edition.catalog.find_sms(text, tester).is_some(),
            Channel::Voice => edition.catalog.find_voice(text, tester).is_some(),
        }
    }

    /// A conversation as it was saved, kept as it was.
    ///
    /// # Errors
    /// When its flow is not there in the version that it began with.
    pub fn restore(&self, row: SessionRow) -> Result<Session, Lost> {
        let lost = || Lost { flow: row.flow.clone() };
        let text = self.payments.open_text(row.id, &row.state).ok_or_else(lost)?;
        let state: State = serde_json::from_str(&text).map_err(|_| lost())?;
        let program = self.program(&row.flow, &row.version).ok_or_else(lost)?;
        let opening = Opening {
            channel: state.channel,
            pin_waivable: state.pin_waivable,
            caller: state.caller.clone(),
            language: state.language.clone(),
            prefilled: Default::default(),
            draft: program.is_draft(),
        };
        let mut session = Session::new(program, opening, self.payments.clone(), self.clock.clone());
        session.kept = row.key.map(|key| Kept {
            key,
            dialogue: row.dialogue,
            route: row.route.unwrap_or_default(),
            number: row.caller,
            window: Duration::from_micros(
                u64::try_from(row.expires_at.saturating_sub(row.saved_at)).unwrap_or(0),
            ),
        });
        session.level = state.assurance;
        session.state = Some(state);
        session.private = Payments::is_sealed(&row.state);
        (session.id, session.revision) = (row.id, row.revision);
        (session.account, session.payment) = (row.account, row.payment);
        Ok(session)
    }

    /// The language of callers of whom nothing is known.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// What Keytone says by itself where no conversation can: one of those words that have no slots.
    #[must_use]
    pub fn system_text(&self, language: Option<&str>, system: System, channel: Channel) -> String {
        let language = language.unwrap_or(&self.language);
        self.edition().catalog.system_text(language, system, Vec::new(), channel)
    }

    /// Takes up conversations that were left while money was moving: by this process before it ended, or by another node
    /// that has not gone on for three minutes. Each then waits in a task of its own for what became of its payment, and
    /// tells it by text message. `of` says by its key whether a conversation is the asker's. Gives how many there are.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn recover_kept(
        &self,
        tasks: &TaskTracker,
        of: impl Fn(&str) -> bool,
    ) -> Result<usize, Failure> {
        let sole = self.payments.settings().sole_node;
        let waited = i64::try_from(LEFT_AFTER.as_micros()).unwrap_or(i64::MAX);
        let left_before = if sole { i64::MAX } else { self.clock.now().0.saturating_sub(waited) };
        let (mut after, mut left) = (Id([0; 16]), 0);
        loop {
            let rows = self.payments.kept_sessions(after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(left) };
            after = last.id;
            let left_rows = rows.into_iter().filter(|row| {
                row.saved_at < left_before
                    && (row.state.contains(OUTCOME) || Payments::is_sealed(&row.state))
                    && row.key.as_deref().is_some_and(&of)
            });
            for row in left_rows {
                // A flow that is gone: the payment's own plain result is sent all the same.
                let Ok(session) = self.restore(row) else { continue };
                if session.awaits_outcome() {
                    left += 1;
                    tasks.spawn(async move {
                        let id = session.id();
                        if let Err(error) = session.recover().await {
                            tracing::warn!(session = %id, %error, "what became of a payment could not be told yet");
                        }
                    });
                }
            }
        }
    }

    /// The payment core that every session has.
    #[must_use]
    pub const fn payments(&self) -> &Payments {
        &self.payments
    }
}
