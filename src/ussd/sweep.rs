//! Dialogues whose time is over, and what a former process left in the middle.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crate::session::{Channel, Id, Session, SessionRow};
use crate::ussd::line::Entered;
use crate::ussd::{Error, GONE, Inner, PREFIX};

/// How often dialogues are looked at whose time may be over.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Rows that are read at once.
const ROWS_MAX: u32 = 500;

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    pub(super) fn leaving(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live row of a key.
    pub(super) async fn stored(&self, key: &str) -> Result<Option<SessionRow>, Error> {
        let row = self.registry.payments().session_by_key(key).await;
        Ok(row.map_err(crate::session::Error::from)?)
    }

    /// The row of a key whose time is over and that nobody has looked at since.
    pub(super) async fn expired(&self, key: &str) -> Result<Option<SessionRow>, Error> {
        let rows = self.rows_expired().await?;
        Ok(rows.into_iter().find(|row| row.key.as_deref() == Some(key)))
    }

    async fn rows_expired(&self) -> Result<Vec<SessionRow>, Error> {
        let rows = self.registry.payments().sessions_expired(ROWS_MAX).await;
        Ok(rows.map_err(crate::session::Error::from)?)
    }

    /// Ends dialogues whose time is over, and forgets lines that nobody uses.
    pub(super) async fn sweep(self: &Arc<Self>) {
        self.lines.forget(self.clock.instant());
        let rows = match self.rows_expired().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!("dialogues whose time is over: {error}");
                return;
            }
        };
        let ends = rows.into_iter().map(|row| async {
            let id = row.id;
            if let Err(error) = self.end(row).await {
                tracing::warn!(session = %id, "a dialogue whose time is over: {error}");
            }
        });
        // One caller's line may be busy: the others do not wait for it.
        futures_util::future::join_all(ends).await;
    }

    async fn end(self: &Arc<Self>, row: SessionRow) -> Result<(), Error> {
        let Some(stored) = row.key.clone() else { return Ok(()) };
        if stored.starts_with(GONE) {
            return self.take_up(row).await;
        }
        let Some(route) = row.route.clone().filter(|_| stored.starts_with(PREFIX)) else { return Ok(()) };
        // An answer may be under way that came in time: it goes first.
        let Entered::Seat(seat) = self.lines.enter(&route, &row.caller, self.clock.instant()) else {
            return Ok(());
        };
        let mut memory = seat.turn().await;
        if seat.performing().is_some() {
            return Ok(());
        }
        let Some(row) = self.expired(&stored).await? else { return Ok(()) };
        memory.begun = None;
        seat.cleared();
        tracing::info!(session = %row.id, "a dialogue's time is over");
        match self.registry.restore(row.clone()) {
            Ok(session) if session.awaits_outcome() => self.recover_one(session),
            _ => self.retire(row).await?,
        }
        Ok(())
    }

    /// A session whose dialogue is gone, and perhaps its process too.
    async fn take_up(self: &Arc<Self>, row: SessionRow) -> Result<(), Error> {
        let ours = row.route.as_deref().is_some_and(|route| self.route(route).is_some());
        if !ours || self.leaving().contains(&row.id) {
            return Ok(());
        }
        let id = row.id;
        match self.registry.restore(row) {
            Ok(session) if session.channel() == Channel::Ussd => self.recover_one(session),
            Ok(_) => {}
            Err(lost) => {
                tracing::warn!(session = %id, "what became of a payment is told by the payment core alone: {lost}");
                let ended = self.registry.payments().end_session(id).await;
                ended.map_err(crate::session::Error::from)?;
            }
        }
        Ok(())
    }

    /// Tells what became of a payment whose process is gone, beside everything else.
    pub(super) fn recover_one(self: &Arc<Self>, session: Session) {
        let id = session.id();
        if !self.leaving().insert(id) {
            return;
        }
        let desk = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = session.recover().await {
                tracing::warn!(session = %id, "a payment that was under way is not told yet: {error}");
            }
            desk.leaving().remove(&id);
        });
    }

    /// At start: what a former process left that waits for an outcome is told as soon as its time is over, which is soon.
    pub(super) async fn recover(self: &Arc<Self>) {
        let ours = |key: &str| key.starts_with(PREFIX) || key.starts_with(GONE);
        match self.registry.recover_kept(&self.tasks, ours).await {
            Ok(0) => {}
            Ok(left) => tracing::info!(left, "dialogues that were left while they were paid"),
            Err(error) => tracing::warn!(%error, "dialogues that were left could not be looked for"),
        }
        self.sweep().await;
    }
}
