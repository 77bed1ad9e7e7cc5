//! Threads that nobody goes on with: those whose time is up, and those that a process which is gone left with money moving.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::session::SessionRow;
use crate::sms::desk::turn::PREFIX;
use crate::sms::desk::{Desk, Error, Inner};

/// How often threads whose time is up are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Threads of one look.
const LOOK_MAX: u32 = 200;
/// Threads that are taken up at a start; with more of them, each text looks for its own.
const START_MAX: u32 = 10_000;

impl<M: Clone + Send + Sync + 'static> Desk<M> {
    /// Takes up what a process that is gone left behind, to be called before the first text is taken: tells what became of
    /// payments, and reaches callers who waited for it. Only for a sole node; with several, the others live, and what one
    /// left is taken up when its time is over.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn recover(&self) -> Result<usize, Error> {
        if !self.inner.mailbox.is_sole() {
            return Ok(0);
        }
        let rows = self.inner.mailbox.conversations(PREFIX, START_MAX).await?;
        if u32::try_from(rows.len()).is_ok_and(|found| found < START_MAX) {
            *self.inner.known() = Some(rows.iter().filter_map(|row| row.key.clone()).collect());
        }
        let mut taken_up = 0;
        for row in rows {
            let Ok(session) = self.inner.registry.restore(row) else { continue };
            let inner = Arc::clone(&self.inner);
            let id = session.id();
            if session.awaits_outcome() {
                taken_up += 1;
                self.inner.tasks.spawn(async move {
                    if let Err(error) = session.recover().await {
                        tracing::error!(session = %id, "after a restart: {error}");
                    }
                });
            } else if session.awaits_callback() {
                taken_up += 1;
                self.inner.tasks.spawn(async move {
                    if let Err(error) = inner.call_back(session).await {
                        tracing::error!(session = %id, "after a restart: {error}");
                    }
                });
            }
        }
        Ok(taken_up)
    }

    /// Ends threads whose time is up, until it is told to stop.
    pub async fn watch(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "threads whose time is up could not be looked for");
            }
        }
    }

    /// Ends threads whose time is up now. What may be gone on with on another channel is put where that finds it, and the
    /// outcome of a payment that another process left is told.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let rows = self.inner.mailbox.expired(LOOK_MAX).await?;
        let mut ended = 0;
        for row in
            rows.into_iter().filter(|row| row.key.as_deref().is_some_and(|key| key.starts_with(PREFIX)))
        {
            // This process still has it in hand.
            if row.key.as_ref().is_some_and(|key| self.inner.moving().contains_key(key)) {
                continue;
            }
            let id = row.id;
            match self.inner.end(row).await {
                Ok(()) => ended += 1,
                // The others do not wait for it; it is looked at again.
                Err(error) => tracing::warn!(session = %id, "a thread whose time is up: {error}"),
            }
        }
        Ok(ended)
    }
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    async fn end(&self, row: SessionRow) -> Result<(), Error> {
        let id = row.id;
        let Ok(session) = self.registry.restore(row) else {
            return Ok(self.mailbox.forget(id).await?);
        };
        if session.awaits_outcome() {
            return Ok(session.recover().await?);
        }
        Ok(session.leave(None).await?)
    }
}
