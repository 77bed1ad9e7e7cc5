//! What channels need of the core for messages: their units, names for what came in, seals, and the outbox.

use std::time::Duration;

use tokio::sync::futures::Notified;
use zeroize::Zeroizing;

use crate::ledger::row::Id;
use crate::payment::row::{OutboxRow, OutboxState, PartRow, SessionRow};
use crate::payment::run::{Error, Payments};
use crate::payment::storable;
use crate::payment::unit::{Done, Op, OutboxSettled, Refusal};
use crate::store::{OutboxCount, OutboxFilter};

/// How long a message that came in is known again, microseconds: a day.
const INBOX_KEPT: i64 = 24 * 3_600 * 1_000_000;
/// How long a segment waits for the others, microseconds: an hour.
const PARTS_KEPT: i64 = 3_600 * 1_000_000;
/// Messages forgotten in one statement, so that the writer is not kept waiting.
const FORGET_MAX: u32 = 2_000;
/// Statements of them in one round.
const FORGETS_MAX: u32 = 20;

impl Payments {
    /// Commits what belongs together, all or nothing. The outer result is ours, the inner one the rules'.
    ///
    /// # Errors
    /// When it was not judged, or its fate is not known: ask again with the same ids.
    pub async fn commit_unit(&self, ops: Vec<Op>) -> Result<Result<Done, Refusal>, Error> {
        self.commit(ops).await
    }

    /// This process, as the owner of the messages that it sends.
    #[must_use]
    pub fn owner(&self) -> Id {
        self.inner.owner
    }

    /// A name for a list of parts, for [`crate::payment::row::InboxRow::key`]: the same for the same list, after a restart
    /// and on every node too, and telling nothing of them without the pepper.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        self.inner.seals.mac(parts)
    }

    /// Encrypts what must wait in the database and may hold a PIN; it opens only for the same `aad`.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.inner.seals.seal(aad, plain)?)
    }

    /// What was sealed; `None` when it is not ours, not for this `aad`, or its pepper is gone.
    #[must_use]
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.inner.seals.open(aad, sealed)
    }

    /// Waits until this process has committed a message that is due. One that came since the last wait counts, so none is
    /// missed between two waits of one task. Messages that become due later, and those of other nodes, wake nobody: look
    /// for them now and then.
    pub fn outbox_wake(&self) -> Notified<'_> {
        self.inner.writer.outbox_wake()
    }

    /// Takes due messages to send for `lease`, at most `limit`, oldest first. Each is to be settled before the lease is
    /// over, or it becomes unknown. Do not drop the future: what it took would become unknown too.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outbox_claim(&self, lease: Duration, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        let now = self.inner.clock.now();
        let claimed =
            self.inner.store.outbox_claim(self.inner.owner, now.0, now.after(lease).0, limit).await?;
        let mut leaving = Vec::with_capacity(claimed.len());
        for row in claimed {
            leaving.push(self.as_it_leaves(row).await?);
        }
        Ok(leaving)
    }

    /// Settles one message. `false` when there is none of this id or its state does not allow it, which news that comes
    /// twice or late is answered with.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn settle_outbox(&self, settled: OutboxSettled) -> Result<bool, Error> {
        match self.commit(vec![Op::SettleOutbox(Box::new(settled))]).await? {
            Ok(_) => Ok(true),
            Err(Refusal::Settled(_) | Refusal::Unknown(_)) => Ok(false),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Messages that wait past their time, for the dispatcher to fail.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outbox_overdue(&self, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        Ok(self.inner.store.outbox_overdue(self.now(), limit).await?)
    }

    /// The message of an id that the network of a route gave.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outbox_by_message_id(
        &self,
        route: &str,
        message_id: &str,
    ) -> Result<Option<OutboxRow>, Error> {
        let mut stored = message_id.to_owned();
        storable::message_id(&mut stored);
        Ok(self.inner.store.outbox_by_message_id(route, &stored).await?)
    }

    /// A message.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outbox_row(&self, id: Id) -> Result<Option<OutboxRow>, Error> {
        Ok(self.inner.store.outbox_row(id).await?)
    }

    /// Messages, newest first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outbox_list(&self, filter: &OutboxFilter) -> Result<Vec<OutboxRow>, Error> {
        Ok(self.inner.store.outbox_list(filter).await?)
    }

    /// How many messages are in each state, and since when.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, Error> {
        Ok(self.inner.store.outbox_counts().await?)
    }

    /// The segments of a long text that are there, in order.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn parts(&self, message: Id) -> Result<Vec<PartRow>, Error> {
        Ok(self.inner.store.parts(message).await?)
    }

    /// The session that holds a key, if its time is not up.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn session_by_key(&self, key: &str) -> Result<Option<SessionRow>, Error> {
        let mut stored = key.to_owned();
        storable::plain(&mut stored);
        self.inner.lookups.find(stored).await
    }

    /// Sessions with a key whose time is up, longest over first: their channel ends them. Those that it does not end are
    /// forgotten in a day.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sessions_expired(&self, limit: u32) -> Result<Vec<SessionRow>, Error> {
        Ok(self.inner.store.sessions_expired(self.now(), limit).await?)
    }

    /// Sessions that hold a key which begins like this, at most `limit`: those of a channel, after a restart.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sessions_under(&self, prefix: &str, limit: u32) -> Result<Vec<SessionRow>, Error> {
        Ok(self.inner.store.sessions_under(prefix, limit).await?)
    }

    /// Whether a payment of this id was ever authorised. When the process that took the order is gone and the answer is no,
    /// nothing was held or sent, and nothing will be: a PIN is not kept, so nobody can begin it any more.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn begun(&self, payment: Id) -> Result<bool, Error> {
        Ok(self.inner.store.payment(payment).await?.is_some())
    }

    /// Messages whose lease ran out become unknown; at the start of a sole node all that other processes had in hand.
    pub(super) async fn give_up_lost(&self, sole: bool) -> Result<(), Error> {
        let lost = self.inner.store.outbox_lost(self.now(), sole.then_some(self.inner.owner)).await?;
        if lost > 0 {
            tracing::warn!(lost, "messages were left in the middle: whether they left is not known");
        }
        Ok(())
    }

    /// What is due now and then: leases, old keys, old segments.
    pub(super) async fn look_after_messages(&self) -> Result<(), Error> {
        self.give_up_lost(false).await?;
        self.forget_messages().await
    }

    /// Forgets messages that came in long ago, and segments whose others never came.
    async fn forget_messages(&self) -> Result<(), Error> {
        let now = self.now();
        for _ in 0..FORGETS_MAX {
            let forgotten = self.inner.store.forget_inbox(now.saturating_sub(INBOX_KEPT), FORGET_MAX).await?;
            if forgotten < u64::from(FORGET_MAX) {
                break;
            }
        }
        let incomplete = self.inner.store.forget_parts(now.saturating_sub(PARTS_KEPT)).await?;
        if incomplete > 0 {
            tracing::info!(incomplete, "segments of texts whose others never came");
        }
        Ok(())
    }

    /// A message that waits is not to be sent: something better was queued in its place.
    pub(super) async fn replace_waiting(&self, queued: Id) -> Result<(), Error> {
        let settled = OutboxSettled {
            code: Some(REPLACED.to_owned()),
            ..OutboxSettled::new(queued, OutboxState::Failed, self.now())
        };
        // Refused: it has left meanwhile.
        self.settle_outbox(settled).await.map(drop)
    }
}

/// Why a message was never sent: the conversation had a better one.
pub(super) const REPLACED: &str = "replaced";
