//! Conversations looked for by their keys: many texts ask at once, each for its own, and one statement answers all that ask
//! in the same moment.
//!
//! Nobody waits for others to ask: while one statement runs, the next ones gather, as units do for the writer. Each
//! statement begins after the questions that it answers, so that it sees whatever was committed before them.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::payment::row::SessionRow;
use crate::payment::run::Error;
use crate::store::{Error as StoreError, Store};

/// Questions of one statement at most.
const TOGETHER_MAX: usize = 512;
/// Questions that wait; whoever asks one more waits to ask.
const WAITING_MAX: usize = 1_024;

struct Asked {
    key: String,
    answer: oneshot::Sender<Result<Option<SessionRow>, StoreError>>,
}

/// Looks for conversations.
pub(super) struct Lookups(mpsc::Sender<Asked>);

impl Lookups {
    /// Starts the task; it ends when this is dropped.
    pub(super) fn start(store: Store, clock: Clock) -> Self {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        tokio::spawn(answer(store, clock, asked));
        Self(asks)
    }

    /// The session that holds a key, if its time is not up.
    pub(super) async fn find(&self, key: String) -> Result<Option<SessionRow>, Error> {
        let (answer, told) = oneshot::channel();
        self.0.send(Asked { key, answer }).await.map_err(|_| Error::Stopped)?;
        Ok(told.await.map_err(|_| Error::Stopped)??)
    }
}

async fn answer(store: Store, clock: Clock, mut asked: mpsc::Receiver<Asked>) {
    let mut together = Vec::new();
    while asked.recv_many(&mut together, TOGETHER_MAX).await > 0 {
        // Those who are about to run, and ask too.
        tokio::task::yield_now().await;
        while together.len() < TOGETHER_MAX
            && let Ok(one) = asked.try_recv()
        {
            together.push(one);
        }
        let keys: Vec<&str> = together.iter().map(|asked| asked.key.as_str()).collect();
        match store.sessions_by_keys(&keys, clock.now().0).await {
            Ok(rows) => {
                let found: HashMap<_, _> =
                    rows.into_iter().filter_map(|row| Some((row.key.clone()?, row))).collect();
                for Asked { key, answer } in together.drain(..) {
                    // Whoever asked may have gone.
                    let _ = answer.send(Ok(found.get(&key).cloned()));
                }
            }
            Err(error) => {
                for Asked { answer, .. } in together.drain(..) {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}
