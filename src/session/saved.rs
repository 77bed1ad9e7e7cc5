//! Conversations that outlive the call: saved when a caller drops and before money moves, taken up when he is back in time.
//!
//! Only a flow that says `resume` is saved, only for a caller whose number is believed, and never a draft. Who takes a
//! conversation up writes its next revision first and takes the row out: of two calls one goes on with it. A PIN is asked
//! again, since no state can hold one; the outcome of a payment that was under way is told before anything else.

use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::event::Channel;
use crate::dialplan::program::Program;
use crate::dialplan::state::{State, Wait};
use crate::msisdn::Msisdn;
use crate::payment::answer::Identity;
use crate::payment::row::{Id, SessionRow};
use crate::payment::run::Payments;
use crate::session::perform::Performed;
use crate::session::{Error, Session, Turn};

impl Session {
    /// The first turn of a conversation that was broken off, if there is one to go on with: in the version of the flow that it
    /// began with, while that is kept.
    pub(super) async fn take_up(&mut self) -> Result<Option<Turn>, Error> {
        let served = self.program.clone();
        let turn = self.take_up_saved().await;
        if !matches!(turn, Ok(Some(_))) {
            self.program = served;
            if self.wait() != Some(Wait::Start) {
                self.forsake();
            }
        }
        turn
    }

    async fn take_up_saved(&mut self) -> Result<Option<Turn>, Error> {
        // A one-shot command says what the caller wants now.
        let Some((caller, _)) = self.resumable().filter(|_| self.opening.prefilled.is_empty()) else {
            return Ok(None);
        };
        let Some(row) = self.payments.session_of(&caller, self.program.name()).await? else {
            return Ok(None);
        };
        let state = self.payments.open_text(row.id, &row.state);
        let state = state.and_then(|text| serde_json::from_str::<State>(&text).ok());
        let Some((state, program)) = state.zip(self.program_of(&row)) else {
            self.payments.end_session(row.id).await?;
            return self.start_anew().await.map(Some);
        };
        // The number may have been unbound since, or bound to another account.
        let known = self.payments.identify(Some(&caller)).await?;
        if row.account.is_some_and(|account| known != Identity::Bound { account }) {
            self.payments.end_session(row.id).await?;
            return Ok(None);
        }
        (self.program, self.state) = (program, Some(State { assurance: self.level, ..state }));
        self.private = Payments::is_sealed(&row.state);
        (self.id, self.revision, self.account, self.payment) =
            (row.id, row.revision, row.account, row.payment);
        let turn = if self.claim().await? { self.go_on().await? } else { None };
        Ok(turn)
    }

    /// The flow in the version that a conversation began with: the one that is served, or one that is kept.
    fn program_of(&self, row: &SessionRow) -> Option<Arc<Program>> {
        if row.version == self.program.version() {
            return Some(self.program.clone());
        }
        let past = self.past.as_ref()?;
        past.find(&row.flow, &row.version).filter(|program| !program.is_draft())
    }

    /// Takes what is saved out, so that nobody else finds it; `false` when another call was quicker. This call saves it anew
    /// if it drops too.
    async fn claim(&mut self) -> Result<bool, Error> {
        if !self.save_within(Duration::ZERO).await? {
            return Ok(false);
        }
        self.payments.end_session(self.id).await?;
        self.id = Id::new(self.clock.now().0);
        self.revision = 0;
        Ok(true)
    }

    /// A session as new, whatever was taken up before.
    pub(super) fn forsake(&mut self) {
        self.id = Id::new(self.clock.now().0);
        self.state = Some(State::new(&self.program));
        (self.revision, self.account, self.payment) = (0, None, None);
    }

    /// What came of the payment that was under way, or the question whether to go on; nothing if there is neither.
    async fn go_on(&mut self) -> Result<Option<Turn>, Error> {
        let channel = self.opening.channel;
        if !self.awaits_outcome() {
            return self.come_back(channel).await;
        }
        let Some(payment) = self.payment else { return Ok(None) };
        let Some(event) = self.recalled(payment).await? else { return Ok(None) };
        self.come_back(channel).await?;
        self.resume(Performed { event, account: self.account, private: false, language: None })
            .await
            .map(Some)
    }

    /// Saves the conversation as it stands, if it is one to come back to. `false` when another call has gone on with it.
    pub(super) async fn save(&mut self) -> Result<bool, Error> {
        match self.resumable() {
            Some((_, window)) => self.save_within(window).await,
            None => Ok(true),
        }
    }

    async fn save_within(&mut self, window: Duration) -> Result<bool, Error> {
        let (Some((caller, _)), Some(state)) = (self.resumable(), &self.state) else { return Ok(false) };
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        let row = self.row_of(state, caller, window)?;
        let saved = self.payments.save_session(row).await?;
        self.revision += i64::from(saved);
        Ok(saved)
    }

    /// The next revision of the conversation as a row, for `window` microseconds.
    pub(super) fn row_of(&self, state: &State, caller: Msisdn, window: i64) -> Result<SessionRow, Error> {
        let now = self.clock.now().0;
        Ok(SessionRow {
            id: self.id,
            caller,
            channel: match state.channel {
                Channel::Voice => 1,
                Channel::Ussd => 2,
                Channel::Sms => 3,
            },
            flow: self.program.name().to_owned(),
            version: self.program.version().to_owned(),
            state: self.written(state)?,
            account: self.account,
            payment: self.payment,
            revision: self.revision + 1,
            saved_at: now,
            expires_at: now.saturating_add(window),
            key: None,
            dialogue: None,
            route: None,
        })
    }

    /// The state as its row has it: encrypted when it holds what only the caller may know.
    fn written(&self, state: &State) -> Result<String, Error> {
        let text = serde_json::to_string(state).map_err(|_| Error::Action("save"))?;
        if self.private { Ok(self.payments.seal_text(self.id, &text)?) } else { Ok(text) }
    }

    /// Saves what a caller who goes may come back to, and tells whether there is anything. What happens after that does not
    /// change it.
    pub(super) async fn save_for_return(&mut self) -> Result<bool, Error> {
        let answered = self.state.as_ref().is_some_and(|state| {
            state.inputs > 0 && matches!(state.wait, Wait::Answer | Wait::Resume | Wait::Callback)
        });
        let saved = answered && self.resumable().is_some() && self.save().await?;
        if saved {
            self.revision = 0;
            self.id = Id::new(self.clock.now().0);
        }
        Ok(saved)
    }

    /// Forgets what was saved: the conversation has ended.
    pub(super) async fn forget(&mut self) {
        if self.revision > 0
            && let Err(error) = self.payments.end_session(self.id).await
        {
            // It expires by itself; until then the caller is asked whether to go on with nothing.
            tracing::warn!(session = %self.id, %error, "an ended session could not be forgotten");
        }
        self.revision = 0;
    }

    /// Who may come back to this conversation, and for how long.
    pub(super) fn resumable(&self) -> Option<(Msisdn, Duration)> {
        let believed = self.payments.settings().policy.believes(self.level);
        let caller = self.opening.caller.clone().filter(|_| believed && !self.opening.draft)?;
        Some((caller, self.program.resume?))
    }
}
