//! The outbox and the inbox as channels see them: what is sent, what came of it, what waits for its other parts.
//!
//! A handle on the payment core that moves no money: rows go in and out by the same road as payments, so that what a caller
//! was told and what was done for him are one commit.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::msisdn::Msisdn;
use crate::payment::row::{Id, OutboxRow, PartRow, SessionRow};
use crate::payment::run::{Error as Failure, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::session::Error;
use crate::session::kept::Settled;
use crate::session::writes::Writes;

pub use crate::payment::unit::OutboxSettled;
pub use crate::store::{OutboxCount, OutboxFilter};

/// Texts that are settled in one unit at most; a batch of the writer takes many units.
const SETTLES_MAX: usize = 256;
/// The outbox's kind of a text message.
const SMS: &str = "sms";

/// The mailbox of this process. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Mailbox {
    payments: Payments,
    clock: Clock,
}

impl Mailbox {
    /// The mailbox of a payment core.
    #[must_use]
    pub const fn new(payments: Payments, clock: Clock) -> Self {
        Self { payments, clock }
    }

    /// Whether no other node works on this database.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        self.payments.settings().sole_node
    }

    /// A text message that waits to be sent, as it would be queued now: by `route` from `sender`, where they are given.
    #[must_use]
    pub fn compose(&self, to: &Msisdn, body: String, route: Option<&str>, sender: Option<&str>) -> OutboxRow {
        let now = self.clock.now().0;
        let validity = self.payments.settings().sms_validity;
        let validity = i64::try_from(validity.as_micros()).unwrap_or(i64::MAX);
        OutboxRow {
            route: route.map(str::to_owned),
            sender: sender.map(str::to_owned),
            ..OutboxRow::waiting(Id::new(now), SMS, to.as_str(), body, now, validity)
        }
    }

    /// Queues a text message; the same id again is the same text.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn queue(&self, row: OutboxRow) -> Result<(), Error> {
        self.payments.commit_unit(vec![Op::Outbox(row)]).await?.map_err(Failure::Refused)?;
        Ok(())
    }

    /// Writes what a channel wants written without a conversation.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn write(&self, writes: Writes) -> Result<Settled, Error> {
        match self.payments.commit_unit(writes.ops).await? {
            Ok(_) => Ok(Settled::Done),
            Err(Refusal::Repeated(row)) => Ok(Settled::Repeated(*row)),
            Err(Refusal::Stale) => Ok(Settled::Overtaken),
            Err(refusal) => Err(Failure::Refused(refusal).into()),
        }
    }

    /// Waits until a text was queued by this process; see [`Payments::outbox_wake`].
    pub async fn queued(&self) {
        self.payments.outbox_wake().await;
    }

    /// Takes due texts to send; see [`Payments::outbox_claim`].
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn claim(&self, lease: Duration, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        Ok(self.payments.outbox_claim(lease, limit).await?)
    }

    /// Writes what became of texts, in few units; says of each whether that was news.
    ///
    /// # Errors
    /// When it could not be committed. Some may be written then; the same again is no harm.
    pub async fn settle(&self, batch: &[OutboxSettled]) -> Result<Vec<bool>, Error> {
        let units = batch.chunks(SETTLES_MAX).map(|chunk| self.settle_together(chunk));
        let written = futures_util::future::join_all(units).await;
        let mut news = Vec::with_capacity(batch.len());
        for unit in written {
            news.extend(unit?);
        }
        Ok(news)
    }

    async fn settle_together(&self, chunk: &[OutboxSettled]) -> Result<Vec<bool>, Error> {
        let op = |settled: &OutboxSettled| Op::SettleOutbox(Box::new(settled.clone()));
        if self.payments.commit_unit(chunk.iter().map(op).collect()).await?.is_ok() {
            return Ok(vec![true; chunk.len()]);
        }
        // One of them was settled before, and has taken its neighbours with it: each for itself.
        let each = chunk.iter().map(|settled| self.settle_one(settled.clone()));
        futures_util::future::join_all(each).await.into_iter().collect()
    }

    /// Writes what became of one text; `false` when that is no news.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn settle_one(&self, settled: OutboxSettled) -> Result<bool, Error> {
        Ok(self.payments.settle_outbox(settled).await?)
    }

    /// Texts that wait past their time, to be settled as failed.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn overdue(&self, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        Ok(self.payments.outbox_overdue(limit).await?)
    }

    /// The text of an id that the network of a route gave.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn find(&self, route: &str, message_id: &str) -> Result<Option<OutboxRow>, Error> {
        Ok(self.payments.outbox_by_message_id(route, message_id).await?)
    }

    /// A text.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn row(&self, id: Id) -> Result<Option<OutboxRow>, Error> {
        Ok(self.payments.outbox_row(id).await?)
    }

    /// Texts, newest first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn list(&self, filter: &OutboxFilter) -> Result<Vec<OutboxRow>, Error> {
        Ok(self.payments.outbox_list(filter).await?)
    }

    /// How many texts are in each state, and since when.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(&self) -> Result<Vec<OutboxCount>, Error> {
        Ok(self.payments.outbox_counts().await?)
    }

    /// A name for a list of parts, the same for the same list; see [`Payments::mac`].
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> Id {
        Id(self.payments.mac(parts))
    }

    /// Encrypts what must wait and may hold a PIN; see [`Payments::seal`].
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.payments.seal(aad, plain)?)
    }

    /// What was sealed; see [`Payments::open`].
    #[must_use]
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.payments.open(aad, sealed)
    }

    /// The segments of a long text that are there, in order.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn parts(&self, message: Id) -> Result<Vec<PartRow>, Error> {
        Ok(self.payments.parts(message).await?)
    }

    /// The conversation that holds a key, if its time is not up.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn conversation(&self, key: &str) -> Result<Option<SessionRow>, Error> {
        Ok(self.payments.session_by_key(key).await?)
    }

    /// Conversations with a key whose time is up.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn expired(&self, limit: u32) -> Result<Vec<SessionRow>, Error> {
        Ok(self.payments.sessions_expired(limit).await?)
    }

    /// Conversations that hold a key which begins like this, up to `limit` of them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn conversations(&self, prefix: &str, limit: u32) -> Result<Vec<SessionRow>, Error> {
        Ok(self.payments.sessions_under(prefix, limit).await?)
    }

    /// Forgets a conversation.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn forget(&self, id: Id) -> Result<(), Error> {
        Ok(self.payments.end_session(id).await?)
    }
}
