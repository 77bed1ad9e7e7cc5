//! What a request passes before it leaves: the circuit breaker, the number under way at once, and the pace.
//!
//! What does not pass was never sent. The judging is in [`crate::connector::breaker`] and
//! [`crate::connector::pace`]; here they share one connector's requests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;
use crate::connector::breaker::{Breaker, State, Thresholds};
use crate::connector::pace::{Limits, Pace};

/// How a connector fares, for metrics and `doctor`.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Health {
    /// Whether requests pass.
    pub breaker: State,
    /// Requests that the breaker remembers.
    pub requests: usize,
    /// How many of them met a broken connection or silence.
    pub troubles: usize,
    /// Requests under way.
    pub under_way: usize,
    /// How many may be.
    pub at_once: usize,
    /// Why the last token was not had; `None` once one was.
    pub token_fault: Option<String>,
}

/// The gate of one connector.
#[derive(Debug)]
pub struct Gate {
    breaker: Mutex<Breaker>,
    pace: Mutex<Pace>,
    places: Semaphore,
    limits: Limits,
    token_fault: Mutex<Option<String>>,
    clock: Clock,
}

/// A request's place among those under way; given back when it is dropped.
#[derive(Debug)]
pub struct Pass<'g> {
    _place: SemaphorePermit<'g>,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new(limits: Limits, thresholds: Thresholds, clock: Clock) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(thresholds)),
            pace: Mutex::new(Pace::new(&limits)),
            places: Semaphore::new(limits.at_once),
            limits,
            token_fault: Mutex::new(None),
            clock,
        }
    }

    /// Waits for a turn, at most as long as the limits say.
    ///
    /// # Errors
    /// In words why the request may not leave.
    pub async fn enter(&self) -> Result<Pass<'_>, String> {
        const SHUT: &str = "left alone for a while: too many requests met silence or a broken connection";
        let began = self.clock.instant();
        if open(&self.breaker).state(began) == State::Open {
            return Err(SHUT.to_owned());
        }
        let Ok(Ok(place)) = tokio::time::timeout(self.limits.wait, self.places.acquire()).await else {
            return Err(format!("{} requests are under way, as many as may be", self.limits.at_once));
        };
        let now = self.clock.instant();
        let left = self.limits.wait.saturating_sub(now.saturating_duration_since(began));
        let turn = open(&self.pace).turn(now, left);
        match turn {
            Ok(wait) if wait.is_zero() => {}
            Ok(wait) => tokio::time::sleep(wait).await,
            Err(wait) => {
                return Err(format!("too many requests: its turn would come in {} ms", wait.as_millis()));
            }
        }
        if !open(&self.breaker).admit(self.clock.instant()) {
            return Err(SHUT.to_owned());
        }
        Ok(Pass { _place: place })
    }

    /// Takes note of how a request ended.
    pub fn record(&self, trouble: bool) {
        let now = self.clock.instant();
        let mut breaker = open(&self.breaker);
        let before = breaker.state(now);
        breaker.record(now, trouble);
        let after = breaker.state(now);
        drop(breaker);
        if before != after {
            tracing::warn!(from = before.name(), to = after.name(), "a carrier's circuit breaker");
        }
    }

    /// Takes note of whether a token was had.
    pub fn record_token(&self, fault: Option<String>) {
        *open(&self.token_fault) = fault;
    }

    /// How it fares.
    #[must_use]
    pub fn health(&self) -> Health {
        let breaker = open(&self.breaker);
        let (requests, troubles) = breaker.counts();
        Health {
            breaker: breaker.state(self.clock.instant()),
            requests,
            troubles,
            under_way: self.limits.at_once.saturating_sub(self.places.available_permits()),
            at_once: self.limits.at_once,
            token_fault: open(&self.token_fault).clone(),
        }
    }
}
