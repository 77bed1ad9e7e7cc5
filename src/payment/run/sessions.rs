//! Saved conversations: written by the writer like everything else, found again by the caller's number and the flow.
//!
//! What a conversation is, this does not know: a row goes in and the same row comes out.

use crate::msisdn::Msisdn;
use crate::payment::row::{Id, SessionRow};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};

/// How long after its time a session with a key is left to its channel, microseconds: a day.
const KEYED_KEPT: i64 = 24 * 3_600 * 1_000_000;

impl Payments {
    /// Saves a session over its revision before. `false` when that is not the stored one: another node, or the caller's
    /// next call, has gone on with it.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn save_session(&self, row: SessionRow) -> Result<bool, Error> {
        match self.commit(vec![Op::SaveSession(Box::new(row))]).await? {
            Ok(_) => Ok(true),
            Err(Refusal::Stale) => Ok(false),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Forgets a session that has ended.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn end_session(&self, id: Id) -> Result<(), Error> {
        self.commit(vec![Op::EndSession(id)]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// The session that a caller saved last in a flow, if its time is not up.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn session_of(&self, caller: &Msisdn, flow: &str) -> Result<Option<SessionRow>, Error> {
        Ok(self.inner.store.session_of(caller, flow, self.now()).await?)
    }

    /// Conversations that channels keep, in the order of their ids, from behind one on.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn kept_sessions(&self, after: Id, limit: u32) -> Result<Vec<SessionRow>, Error> {
        Ok(self.inner.store.kept_sessions(after, limit).await?)
    }

    pub(super) async fn forget_sessions(&self) -> Result<(), Error> {
        let now = self.now();
        let forgotten = self.inner.store.forget_sessions(now, now.saturating_sub(KEYED_KEPT)).await?;
        if forgotten > 0 {
            tracing::debug!(forgotten, "sessions that nobody came back to");
        }
        Ok(())
    }
}
