//! A database that is only there while the process is: for tests, for the simulator and for conversations that are tried out.
//!
//! It keeps the promises of the other two: a batch sees one state and is written all or nothing, batches and conditional
//! updates take turns, a key that is there already is a conflict. Everything is kept in order, so that the same history gives
//! the same rows in the same order. A test may stand in its way, see [`Mischief`].

pub(super) mod audit;
pub(super) mod load;
pub(super) mod outbox;
pub(super) mod periods;
pub(super) mod reads;
pub(super) mod records;
mod tables;
pub(super) mod upkeep;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

use crate::ledger::row::Fact;
use crate::payment::row::PaymentFact;
use crate::store::Stamp;
use crate::store::error::Error;
use crate::store::keys::{Changes, Keys, Loaded};

pub(super) use tables::Tables;

/// What a database is about to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// To answer a read.
    Read,
    /// To do a conditional update.
    Update,
    /// To load a batch.
    Begin,
    /// To write a batch.
    Commit,
    /// To say whether a batch was written.
    Committed,
}

/// What happens to a step instead.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mishap {
    /// Nothing: it is done.
    #[default]
    None,
    /// The database is away; nothing is done.
    Unavailable,
    /// It is done, and the answer is lost.
    Lost,
    /// It is not done, and nobody can tell: for a commit. Otherwise as [`Mishap::Unavailable`].
    LostUndone,
    /// It is done after this time.
    Slow(Duration),
    /// Nobody ever answers, and nothing is done: the process is gone.
    Silence,
    /// It is done, and nobody ever answers: the process is gone.
    SilenceDone,
}

/// What a test does to a database in memory.
pub trait Mischief: std::fmt::Debug + Send + Sync {
    /// Whether a step goes well.
    fn step(&self, step: Step) -> Mishap {
        let _ = step;
        Mishap::None
    }

    /// May change what a batch loads.
    fn loaded(&self, loaded: &mut Loaded) {
        let _ = loaded;
    }

    /// May change what a batch writes.
    fn writing(&self, changes: &mut Changes) {
        let _ = changes;
    }

    /// May change what is said of a commit whose answer was lost.
    fn committed(&self, written: bool) -> bool {
        written
    }
}

/// The rows, shared by all handles.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    tables: Arc<Mutex<Tables>>,
    turns: Arc<Turns<()>>,
    mischief: Option<Arc<dyn Mischief>>,
}

/// A batch in progress.
#[derive(Debug)]
pub(in crate::store) struct OpenBatch {
    memory: Memory,
    turn: OwnedMutexGuard<()>,
}

impl Memory {
    /// The same rows, for a process that `mischief` happens to. A process that is gone may have left a batch open: its turn
    /// goes with it.
    #[must_use]
    pub fn with(&self, mischief: Arc<dyn Mischief>) -> Self {
        Self { tables: Arc::clone(&self.tables), turns: Arc::default(), mischief: Some(mischief) }
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing that holds the lock stops half-way: what a panic leaves is whole.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn meet(&self, step: Step) -> Result<Mishap, Error> {
        match self.mischief.as_ref().map_or(Mishap::None, |mischief| mischief.step(step)) {
            Mishap::Unavailable => Err(Error::Unavailable("the database is away".to_owned())),
            Mishap::Silence => std::future::pending().await,
            Mishap::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(Mishap::None)
            }
            mishap => Ok(mishap),
        }
    }

    /// Before a read.
    pub(super) async fn reading(&self) -> Result<(), Error> {
        match self.meet(Step::Read).await? {
            Mishap::SilenceDone => std::future::pending().await,
            Mishap::Lost | Mishap::LostUndone => Err(Error::Unavailable("the answer was lost".to_owned())),
            Mishap::None | Mishap::Unavailable | Mishap::Silence | Mishap::Slow(_) => Ok(()),
        }
    }

    /// A conditional update, between two batches.
    pub(super) async fn update<T>(
        &self,
        change: impl FnOnce(&mut Tables) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = Arc::clone(&self.turns).lock_owned().await;
        let lost = || Error::Unavailable("the answer was lost".to_owned());
        match self.meet(Step::Update).await? {
            Mishap::LostUndone => Err(lost()),
            Mishap::Lost => change(&mut self.tables()).and_then(|_| Err(lost())),
            Mishap::SilenceDone => {
                change(&mut self.tables())?;
                std::future::pending().await
            }
            Mishap::None | Mishap::Unavailable | Mishap::Silence | Mishap::Slow(_) => {
                change(&mut self.tables())
            }
        }
    }

    pub(super) async fn begin(&self, keys: Keys, at: i64) -> Result<(Keys, Loaded, OpenBatch), Error> {
        let turn = Arc::clone(&self.turns).lock_owned().await;
        match self.meet(Step::Begin).await? {
            Mishap::SilenceDone => std::future::pending().await,
            Mishap::Lost | Mishap::LostUndone => {
                return Err(Error::Unavailable("the answer was lost".to_owned()));
            }
            Mishap::None | Mishap::Unavailable | Mishap::Silence | Mishap::Slow(_) => {}
        }
        let (keys, mut loaded) = load::load(&self.tables(), keys, at);
        if let Some(mischief) = &self.mischief {
            mischief.loaded(&mut loaded);
        }
        Ok((keys, loaded, OpenBatch { memory: self.clone(), turn }))
    }

    pub(super) async fn committed(&self, stamp: Stamp) -> Result<bool, Error> {
        match self.meet(Step::Committed).await? {
            Mishap::SilenceDone => std::future::pending().await,
            Mishap::Lost | Mishap::LostUndone => {
                return Err(Error::Unavailable("the answer was lost".to_owned()));
            }
            Mishap::None | Mishap::Unavailable | Mishap::Silence | Mishap::Slow(_) => {}
        }
        let written = self.tables().writers.get(&stamp.writer).is_some_and(|last| *last >= stamp.batch);
        Ok(self.mischief.as_ref().map_or(written, |mischief| mischief.committed(written)))
    }

    /// The whole books; nothing stands in the way of an audit.
    pub(super) fn facts(
        &self,
        books: &mut (dyn FnMut(Fact) + Send),
        payments: &mut (dyn FnMut(PaymentFact) + Send),
    ) {
        let tables = self.tables();
        audit::books(&tables, books);
        audit::payments(&tables, payments);
    }
}

impl OpenBatch {
    pub(super) async fn commit(self, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
        let Self { memory, turn } = self;
        let mut changes = changes.clone();
        if let Some(mischief) = &memory.mischief {
            mischief.writing(&mut changes);
        }
        let undecided = || Error::Undecided("the answer was lost".to_owned());
        let ended = match memory.meet(Step::Commit).await? {
            Mishap::LostUndone => Err(undecided()),
            Mishap::Lost => {
                write::write(&mut memory.tables(), changes, stamp).and_then(|()| Err(undecided()))
            }
            Mishap::SilenceDone => {
                write::write(&mut memory.tables(), changes, stamp)?;
                std::future::pending().await
            }
            Mishap::None | Mishap::Unavailable | Mishap::Silence | Mishap::Slow(_) => {
                write::write(&mut memory.tables(), changes, stamp)
            }
        };
        drop(turn);
        ended
    }
}
