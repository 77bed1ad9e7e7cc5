//! Reads by key that are asked for at the same time become one statement: while one runs, the next ones gather. Nobody
//! waits for others to come, and a read sees everything that was committed before it was asked for, since its statement
//! begins later.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::store::error::Error;

/// Keys of one statement at most; what is asked for beyond them waits for the next.
pub(super) const KEYS_MAX: usize = 256;

/// One kind of read.
pub(super) struct Gather<K, V>(Arc<Mutex<Waiting<K, V>>>);

struct Waiting<K, V> {
    asked: Vec<Asked<K, V>>,
    /// Whether a task runs that takes what is asked.
    running: bool,
}

struct Asked<K, V> {
    keys: Vec<K>,
    answer: oneshot::Sender<Result<Vec<V>, Error>>,
}

impl<K, V> Clone for Gather<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Gather<K, V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waiting { asked: Vec::new(), running: false })))
    }
}

impl<K, V> fmt::Debug for Gather<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gather")
    }
}

/// Lets others begin anew when the task ends before its time; who still waits hears that there is no answer.
struct Running<K, V> {
    gather: Gather<K, V>,
    /// Nobody waited any more, and whoever has asked since has begun anew.
    ended: bool,
}

impl<K, V> Drop for Running<K, V> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut waiting = self.gather.lock();
        waiting.running = false;
        waiting.asked.clear();
    }
}

impl<K, V> Gather<K, V> {
    fn lock(&self) -> MutexGuard<'_, Waiting<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Gather<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The rows of `keys`, in no order. `read` reads the rows of many keys, each with its key; whoever begins reads for all.
    ///
    /// # Errors
    /// As `read`'s.
    pub(super) async fn ask<R, F>(&self, keys: Vec<K>, read: R) -> Result<Vec<V>, Error>
    where
        R: Fn(Vec<K>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<(K, V)>, Error>> + Send + 'static,
    {
        let (answer, told) = oneshot::channel();
        let first = {
            let mut waiting = self.lock();
            waiting.asked.push(Asked { keys, answer });
            !std::mem::replace(&mut waiting.running, true)
        };
        if first {
            // A task of its own: whoever asked first may stop waiting.
            tokio::spawn(self.clone().run(read));
        }
        told.await.unwrap_or_else(|_| Err(Error::Unavailable("the read was given up".to_owned())))
    }

    /// One alone, as most ask.
    ///
    /// # Errors
    /// As `read`'s.
    pub(super) async fn one<R, F>(&self, key: K, read: R) -> Result<Option<V>, Error>
    where
        R: Fn(Vec<K>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<(K, V)>, Error>> + Send + 'static,
    {
        Ok(self.ask(vec![key], read).await?.pop())
    }

    async fn run<R, F>(self, read: R)
    where
        R: Fn(Vec<K>) -> F,
        F: Future<Output = Result<Vec<(K, V)>, Error>>,
    {
        let mut running = Running { gather: self, ended: false };
        while let Some(asked) = running.gather.take() {
            match read(distinct(&asked)).await {
                // A row that cannot be what it is takes nobody with it who asked for another.
                Err(Error::Broken(_)) if asked.len() > 1 => {
                    for Asked { keys, answer } in asked {
                        let found = read(keys).await;
                        let _ = answer.send(found.map(|rows| rows.into_iter().map(|(_, row)| row).collect()));
                    }
                }
                found => {
                    let found = found.map(|rows| rows.into_iter().collect::<HashMap<K, V>>());
                    for Asked { keys, answer } in asked {
                        let rows = match &found {
                            Ok(found) => Ok(keys.iter().filter_map(|key| found.get(key).cloned()).collect()),
                            Err(error) => Err(error.clone()),
                        };
                        // Whoever asked may have gone.
                        let _ = answer.send(rows);
                    }
                }
            }
        }
        running.ended = true;
    }

    /// What is to be read next; nothing, and the next to ask begins anew, when nobody waits.
    fn take(&self) -> Option<Vec<Asked<K, V>>> {
        let mut waiting = self.lock();
        let mut keys = 0_usize;
        let fits = waiting.asked.iter().take_while(|asked| {
            keys = keys.saturating_add(asked.keys.len());
            keys <= KEYS_MAX
        });
        // One that asks for more than a statement holds is read alone.
        let count = fits.count().max(1).min(waiting.asked.len());
        if count == 0 {
            waiting.running = false;
            return None;
        }
        Some(waiting.asked.drain(..count).collect())
    }
}

/// The keys that are asked for, each once.
fn distinct<K: Clone + Eq + Hash, V>(asked: &[Asked<K, V>]) -> Vec<K> {
    let mut known = HashSet::with_capacity(asked.len());
    asked.iter().flat_map(|asked| &asked.keys).filter(|key| known.insert(*key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    type Numbers = Gather<u64, u64>;

    /// Doubles even numbers, but for a broken one, once `gate` lets it; counts statements.
    async fn double(
        keys: Vec<u64>,
        gate: Arc<Semaphore>,
        statements: Arc<AtomicUsize>,
    ) -> Result<Vec<(u64, u64)>, Error> {
        gate.acquire().await.unwrap().forget();
        statements.fetch_add(1, Ordering::SeqCst);
        if keys.contains(&BROKEN) {
            return Err(Error::Broken("thirteen".to_owned()));
        }
        Ok(keys.into_iter().filter(|n| n % 2 == 0).map(|n| (n, 2 * n)).collect())
    }

    const BROKEN: u64 = 13;

    #[derive(Default)]
    struct Reader {
        numbers: Numbers,
        gate: Option<Arc<Semaphore>>,
        statements: Arc<AtomicUsize>,
    }

    impl Reader {
        fn shut() -> Self {
            Self { gate: Some(Arc::new(Semaphore::new(0))), ..Self::default() }
        }

        fn open(&self) {
            self.gate.as_ref().unwrap().add_permits(Semaphore::MAX_PERMITS);
        }

        fn ask(&self, keys: Vec<u64>) -> tokio::task::JoinHandle<Result<Vec<u64>, Error>> {
            let gate = self.gate.clone().unwrap_or_else(|| Arc::new(Semaphore::new(1_000)));
            let (numbers, statements) = (self.numbers.clone(), Arc::clone(&self.statements));
            tokio::spawn(async move {
                numbers.ask(keys, move |keys| double(keys, Arc::clone(&gate), Arc::clone(&statements))).await
            })
        }

        /// Until so many wait while a statement runs.
        async fn until_waiting(&self, count: usize) {
            loop {
                {
                    let waiting = self.numbers.lock();
                    if waiting.running && waiting.asked.len() == count {
                        return;
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn what_is_asked_meanwhile_is_one_statement() {
        let reader = Reader::shut();
        let first = reader.ask(vec![2]);
        reader.until_waiting(0).await;
        let rest: Vec<_> = (20..70).map(|n| reader.ask(vec![n, 4, 5])).collect();
        reader.until_waiting(50).await;
        reader.open();
        assert_eq!(first.await.unwrap(), Ok(vec![4]));
        for (n, answer) in (20..70).zip(rest) {
            let wanted: Vec<u64> = [n, 4].into_iter().filter(|n| n % 2 == 0).map(|n| 2 * n).collect();
            assert_eq!(answer.await.unwrap(), Ok(wanted), "{n}");
        }
        assert_eq!(reader.statements.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_broken_row_fails_for_those_who_asked_for_it_alone() {
        let reader = Reader::shut();
        let first = reader.ask(vec![2]);
        reader.until_waiting(0).await;
        let (broken, whole) = (reader.ask(vec![BROKEN]), reader.ask(vec![14]));
        reader.until_waiting(2).await;
        reader.open();
        first.await.unwrap().unwrap();
        assert_eq!(broken.await.unwrap(), Err(Error::Broken("thirteen".to_owned())));
        assert_eq!(whole.await.unwrap(), Ok(vec![28]));
    }

    #[tokio::test]
    async fn more_keys_than_a_statement_holds_are_read_alone() {
        let keys: Vec<u64> = (20..20 + 2 * KEYS_MAX as u64).collect();
        assert_eq!(Reader::default().ask(keys).await.unwrap().unwrap().len(), KEYS_MAX);
    }

    #[tokio::test]
    async fn the_first_to_ask_may_go_away() {
        let reader = Reader::shut();
        let first = reader.ask(vec![2]);
        reader.until_waiting(0).await;
        let second = reader.ask(vec![6]);
        reader.until_waiting(1).await;
        first.abort();
        reader.open();
        assert_eq!(second.await.unwrap(), Ok(vec![12]));
    }

    /// One that asks just when the task before has found nobody waiting is not given up with it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn everybody_is_answered() {
        let numbers = Numbers::default();
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..8 {
            let numbers = numbers.clone();
            asking.spawn(async move {
                for round in 0..20_000 {
                    let key = round * 8 + n;
                    let same = |keys: Vec<u64>| async move { Ok(keys.into_iter().map(|n| (n, n)).collect()) };
                    assert_eq!(numbers.ask(vec![key], same).await, Ok(vec![key]));
                }
            });
        }
        asking.join_all().await;
    }

    #[tokio::test]
    async fn a_read_that_panics_stops_nobody_after_it() {
        let numbers = Numbers::default();
        let broken = numbers.ask(vec![1], |_| async { panic!("broken on purpose") }).await;
        assert!(matches!(broken, Err(Error::Unavailable(_))));
        let told = numbers.ask(vec![1], |keys| async move { Ok(keys.into_iter().map(|n| (n, n)).collect()) });
        assert_eq!(told.await, Ok(vec![1]));
    }
}
