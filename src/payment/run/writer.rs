//! The one road by which a node writes: a task that takes whatever units are queued, loads what they touch, folds them
//! in order, and commits once.
//!
//! Nobody waits for a batch to fill: while one commits, the next gathers. A refused unit drops only itself. A lost
//! connection is waited out; a commit whose answer was lost is looked up by its stamp before anyone is answered. When
//! the rules find the rows broken, the process stops before anything is written.
//!
//! Where the database lets several write at once, so does the task (`lanes.rs`): batches that have nothing in common.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::ledger::row::Id;
use crate::payment::fold::{Working, fold, keys_of};
use crate::payment::row::OutboxState;
use crate::payment::run::lanes;
use crate::payment::storable::clean;
use crate::payment::unit::{Done, Refusal, Unit};
use crate::store::Error as StoreError;
use crate::store::Stamp;
use crate::store::Store;
use crate::store::keys::Keys;

/// Units of one commit at most: further ones gain nothing and wait longer.
pub const BATCH_MAX: usize = 1024;
/// Operations of one commit at most, unless one unit has more. Payments have two or three each: with more of them in a commit
/// all ask their carriers at the same time and come back at the same time, and the database waits for them.
pub const OPS_MAX: usize = 1024;
/// Rounds in which tasks that are ready may still join a batch.
const GATHERINGS: u32 = 4;
/// Units that may wait; one more is answered [`Error::Busy`].
pub const QUEUE_MAX: usize = 8192;
/// Times that a batch is judged anew after another node's commit came between, before its units are tried one by one.
const CONFLICTS_MAX: u32 = 8;
/// Tries to reach the database, with growing pauses, before the units are answered [`Error::Unavailable`].
const TRIES_MAX: u32 = 6;
/// First pause; it doubles, to about 3 s in all: a caller waits on the line.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a unit was not judged, or not for certain written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// [`QUEUE_MAX`] units wait already.
    #[error("too many units are waiting to be written")]
    Busy,
    /// The writer is stopping or has stopped.
    #[error("the writer has stopped")]
    Stopped,
    /// The database could not be reached; nothing was written.
    #[error("nothing was written: {0}")]
    Unavailable(String),
    /// Other nodes kept coming between; nothing was written.
    #[error("nothing was written: other writers kept coming between")]
    Conflict,
    /// The database went away during the commit and has not come back: the unit may be written. Asking again with the
    /// same ids tells.
    #[error("whether it was written is not known")]
    Undecided,
}

/// What to do when the rows contradict the rules: ends the process, and in tests something that tests can see.
pub type Abort = fn(&str) -> !;

type Answer = Result<Result<Done, Refusal>, Error>;

/// Hands units to the writer.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Waiting>,
    /// Closed when the writer is to stop.
    gate: Arc<Semaphore>,
    /// Told of every batch that has a message that is due.
    outbox: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) unit: Unit,
    /// [`keys_of`] the unit, told where it was made: that need not wait its turn.
    pub(super) keys: Keys,
    answer: oneshot::Sender<Answer>,
}

impl Writer {
    /// Starts the task. It ends after [`Writer::stop`], when what was queued is written.
    #[must_use]
    pub fn start(store: Store, clock: Clock, abort: Abort) -> (Self, JoinHandle<()>) {
        let (queue, units) = mpsc::channel(QUEUE_MAX);
        let gate = Arc::new(Semaphore::new(1));
        let id = Id::new(clock.now().0);
        let stop = Arc::clone(&gate);
        let outbox = Arc::new(Notify::new());
        let lane = Lane { store, clock, abort, id, batch: 0, outbox: Arc::clone(&outbox) };
        let task = match lane.store.lanes() {
            1 => tokio::spawn(lane.run(units, stop)),
            count => {
                let more = (1..count).map(|_| Lane { id: Id::new(lane.clock.now().0), ..lane.clone() });
                let all = more.chain([lane.clone()]).collect();
                tokio::spawn(lanes::run(lane.store, all, units, stop))
            }
        };
        (Self { queue, gate, outbox }, task)
    }

    /// Writes a unit with its neighbours. Dropping the future does not take the unit back.
    ///
    /// # Errors
    /// [`Error`] when it was not judged, or its fate is not known. A refusal is a value.
    pub async fn commit(&self, mut unit: Unit) -> Answer {
        unit.ops.iter_mut().for_each(clean);
        if self.gate.is_closed() {
            return Err(Error::Stopped);
        }
        let (answer, wait) = oneshot::channel();
        let keys = keys_of(&unit);
        self.queue.try_send(Waiting { unit, keys, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Stopped,
        })?;
        wait.await.unwrap_or(Err(Error::Stopped))
    }

    /// Waits for a batch with a message that is due; one that was written since the last wait counts.
    pub fn outbox_wake(&self) -> Notified<'_> {
        self.outbox.notified()
    }

    /// Takes no new units; what is queued is still written. The task's handle tells when that is done.
    pub fn stop(&self) {
        self.gate.close();
    }
}

/// Writes one batch after the other, under a name of its own.
#[derive(Clone)]
pub(super) struct Lane {
    store: Store,
    clock: Clock,
    abort: Abort,
    id: Id,
    batch: i64,
    outbox: Arc<Notify>,
}

/// How one try at a batch ended.
enum Tried {
    Written(Vec<Result<Done, Refusal>>),
    Failed(StoreError),
}

impl Lane {
    async fn run(mut self, mut units: mpsc::Receiver<Waiting>, stop: Arc<Semaphore>) {
        let mut waiting = Vec::with_capacity(BATCH_MAX);
        loop {
            if waiting.is_empty() {
                tokio::select! {
                    biased;
                    taken = units.recv_many(&mut waiting, BATCH_MAX) => if taken == 0 {
                        return;
                    },
                    // Fails when the gate closes; then the channel is drained to its end.
                    _ = stop.acquire_many(2) => units.close(),
                }
            }
            if !waiting.is_empty() {
                gather(&mut units, &mut waiting).await;
                let mut ops = 0_usize;
                let fits = waiting.iter().take_while(|waiting| {
                    ops = ops.saturating_add(waiting.unit.ops.len());
                    ops <= OPS_MAX
                });
                let later = waiting.split_off(fits.count().max(1));
                self.write(std::mem::replace(&mut waiting, later)).await;
            }
        }
    }

    pub(super) async fn write(&mut self, waiting: Vec<Waiting>) {
        let mut keys = Keys::default();
        let (mut units, mut answers) = (Vec::with_capacity(waiting.len()), Vec::with_capacity(waiting.len()));
        for waiting in waiting {
            keys.extend(waiting.keys);
            units.push(waiting.unit);
            answers.push(waiting.answer);
        }
        match self.write_together(&units, Some(keys)).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    // Whoever asked may have gone; the unit is written all the same.
                    let _ = answer.send(Ok(result));
                }
            }
            // One unit that cannot get through must not take its neighbours with it.
            Err(Error::Conflict) if units.len() > 1 => {
                for (answer, unit) in answers.into_iter().zip(units) {
                    let result = self.write_together(std::slice::from_ref(&unit), None).await;
                    let result = result.and_then(|mut results| results.pop().ok_or(Error::Conflict));
                    let _ = answer.send(result);
                }
            }
            Err(error) => {
                tracing::warn!(units = units.len(), %error, "a batch was not written");
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Writes a batch, waiting out lost connections and conflicts.
    async fn write_together(
        &mut self,
        units: &[Unit],
        mut keys: Option<Keys>,
    ) -> Result<Vec<Result<Done, Refusal>>, Error> {
        let (mut conflicts, mut tries) = (0, 0);
        loop {
            let keys = keys.take().unwrap_or_else(|| all_keys(units));
            let failure = match self.write_once(units, keys).await {
                Tried::Written(results) => return Ok(results),
                Tried::Failed(failure) => failure,
            };
            match failure {
                StoreError::Conflict(text) => {
                    conflicts += 1;
                    tracing::debug!(conflicts, text, "judging a batch again");
                    if conflicts > CONFLICTS_MAX {
                        return Err(Error::Conflict);
                    }
                    sleep(Duration::from_millis(u64::from(conflicts))).await;
                }
                StoreError::Unavailable(text) => {
                    tries += 1;
                    if tries > TRIES_MAX {
                        return Err(Error::Unavailable(text));
                    }
                    sleep(pause(tries)).await;
                }
                StoreError::Undecided(_) => return Err(Error::Undecided),
                StoreError::Broken(text) | StoreError::Schema(text) | StoreError::Address(text) => {
                    self.stop_process(&text)
                }
            }
        }
    }

    async fn write_once(&mut self, units: &[Unit], keys: Keys) -> Tried {
        self.batch += 1;
        let at = self.clock.now().0;
        let stamp = Stamp { writer: self.id, batch: self.batch, at };
        let started = self.clock.instant();
        let mut batch = match self.store.begin(keys, at).await {
            Ok(batch) => batch,
            Err(error) => return Tried::Failed(error),
        };
        let loaded = std::mem::take(&mut batch.loaded);
        let loaded_at = self.clock.instant();
        let folded = Working::new(&batch.keys, loaded, at).and_then(|mut work| {
            let results = units.iter().map(|unit| fold(&mut work, unit)).collect::<Result<Vec<_>, _>>()?;
            Ok((work.into_changes(), results))
        });
        let (changes, results) = match folded {
            Ok(folded) => folded,
            Err(broken) => self.stop_process(&broken.to_string()),
        };
        let folded_at = self.clock.instant();
        let ended =
            if changes.is_empty() { batch.rollback().await } else { batch.commit(&changes, stamp).await };
        tracing::trace!(
            units = units.len(),
            load = ?loaded_at - started,
            fold = ?folded_at - loaded_at,
            write = ?self.clock.instant() - folded_at,
            "batch"
        );
        let outbox = || changes.outbox.added.iter().chain(&changes.outbox.changed);
        if outbox().any(|row| row.state == OutboxState::Waiting && row.due_at <= at) {
            // After an error too: it may have been written.
            self.outbox.notify_one();
        }
        match ended {
            Ok(()) => Tried::Written(results),
            // Nothing was to be written, so nothing is lost with the connection.
            Err(_) if changes.is_empty() => Tried::Written(results),
            Err(StoreError::Undecided(text)) => match self.find_out(stamp).await {
                Some(true) => Tried::Written(results),
                Some(false) => Tried::Failed(StoreError::Unavailable(text)),
                None => Tried::Failed(StoreError::Undecided(text)),
            },
            Err(error) => Tried::Failed(error),
        }
    }

    /// Whether a batch whose answer was lost is in the database; `None` when the database stays away.
    async fn find_out(&self, stamp: Stamp) -> Option<bool> {
        for tries in 1..=TRIES_MAX {
            match self.store.committed(stamp).await {
                Ok(committed) => return Some(committed),
                Err(error) => {
                    tracing::warn!(%error, batch = stamp.batch, "looking up a commit");
                    sleep(pause(tries)).await;
                }
            }
        }
        None
    }

    fn stop_process(&self, why: &str) -> ! {
        tracing::error!(why, "the books are broken: stopping before anything is written");
        (self.abort)(why)
    }
}

/// Takes what those who were just answered ask next: they are about to run, and one commit for all of them is cheaper than
/// one for the first and one for the rest. This waits for nobody who is not ready to run.
pub(super) async fn gather(units: &mut mpsc::Receiver<Waiting>, waiting: &mut Vec<Waiting>) {
    for _ in 0..GATHERINGS {
        tokio::task::yield_now().await;
        let before = waiting.len();
        while waiting.len() < BATCH_MAX
            && let Ok(unit) = units.try_recv()
        {
            waiting.push(unit);
        }
        if waiting.len() == before {
            return;
        }
    }
}

fn all_keys(units: &[Unit]) -> Keys {
    let mut keys = Keys::default();
    units.iter().for_each(|unit| keys.extend(keys_of(unit)));
    keys
}

fn pause(tries: u32) -> Duration {
    PAUSE.saturating_mul(1 << (tries.saturating_sub(1)).min(6))
}
