//! Where PINs are hashed: a few at a time, so that media and the writer keep their share of the processors,
//! with a bounded queue in front.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::payment::run::Error;

/// A bounded pool for work that takes a processor for milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue_max: usize,
    in_place: bool,
}

/// Counts one that waits for as long as it lives, however its future ends.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pool {
    /// With none `at_once`, work is done in place, by whoever asks.
    pub(super) fn new(at_once: usize, queue_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(at_once.max(1)));
        Self { permits, waiting: Arc::new(AtomicUsize::new(0)), queue_max, in_place: at_once == 0 }
    }

    /// Runs `work` on a thread of its own; [`Error::Busy`] when too many wait.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        if self.in_place {
            return Ok(work());
        }
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = Waiting(Arc::clone(&self.waiting));
        if waiting >= self.queue_max {
            return Err(Error::Busy);
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Stopped)?;
        drop(guard);
        // The permit goes with the work: a caller who hangs up does not make room before the processor is
        // free.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|_| Error::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn the_queue_is_bounded_and_drains() {
        let pool = Pool::new(1, 1);
        let (release, held) = mpsc::channel::<()>();
        let (started, is_started) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    let _ = started.send(());
                    held.recv()
                })
                .await
            }
        });
        is_started.await.unwrap();
        let second = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 2).await }
        });
        while pool.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| 3).await, Err(Error::Busy)));
        release.send(()).unwrap();
        assert!(first.await.unwrap().is_ok());
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(pool.run(|| 4).await.unwrap(), 4);
    }
}
