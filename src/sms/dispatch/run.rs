//! The dispatcher's task: one loop over what carriers answer, what is written, and what is due.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::session::mailbox::OutboxSettled;
use crate::session::{OutboxRow, OutboxState};
use crate::sms::carry::{Carry, Readiness};
use crate::sms::dispatch::hand::{Done, Hand, Step};
use crate::sms::dispatch::{Error, Inner, Settings, count};
use crate::sms::parked::Named;
use crate::sms::retry::{EXPIRED, Sent};
use crate::sms::route::Route;

/// Texts of one claim at most.
const CLAIM_MAX: usize = 512;
/// Overdue texts of one look.
const OVERDUE_MAX: u32 = 500;
/// How often texts that wait past their time are looked for, and parked receipts looked at again.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Pause after the database could not be asked.
const TROUBLE_PAUSE: Duration = Duration::from_millis(500);

/// What was to be written, and what of it was news.
type Written = (Vec<OutboxSettled>, Result<Vec<bool>, Error>);
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the loop woke for.
enum Wake {
    Sent(Done),
    Written(Vec<OutboxSettled>, Result<Vec<bool>, Error>),
    Claimed(Result<Vec<OutboxRow>, Error>),
    Swept(Result<Vec<OutboxRow>, Error>),
    Queued,
    Tick,
    Stop,
}

pub(super) struct Task {
    inner: Arc<Inner>,
    carriers: Vec<Arc<dyn Carry>>,
    hand: Hand,
    settings: Settings,
    under_way: FuturesUnordered<Boxed<Done>>,
    /// To be written with the next commit.
    settled: Vec<OutboxSettled>,
    writing: Option<Boxed<Written>>,
    claiming: Option<Boxed<Result<Vec<OutboxRow>, Error>>>,
    sweeping: Option<Boxed<Result<Vec<OutboxRow>, Error>>>,
    /// Something may be due.
    look: bool,
    look_at: Instant,
    sweep_at: Instant,
    /// No write before this, after one has failed.
    write_at: Instant,
    stopping: Option<Instant>,
}

impl Task {
    pub(super) fn new(inner: Arc<Inner>, routes: Vec<(Route, Arc<dyn Carry>)>, settings: Settings) -> Self {
        let (routes, carriers) = routes.into_iter().unzip();
        let now = inner.clock.instant();
        Self {
            inner,
            carriers,
            hand: Hand::new(routes),
            settings,
            under_way: FuturesUnordered::new(),
            settled: Vec::new(),
            writing: None,
            claiming: None,
            sweeping: None,
            look: true,
            look_at: now,
            sweep_at: now,
            write_at: now,
            stopping: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.begin_work();
            if self.stopping.is_some() && self.is_done() {
                return;
            }
            let wake = self.wake().await;
            self.woken(wake);
        }
    }

    fn is_done(&self) -> bool {
        self.under_way.is_empty()
            && self.settled.is_empty()
            && self.writing.is_none()
            && self.claiming.is_none()
    }

    fn readiness(&self) -> Vec<Readiness> {
        self.carriers.iter().map(|carrier| carrier.readiness()).collect()
    }

    /// Texts in hand, until what became of them is written.
    fn in_hand(&self) -> usize {
        self.under_way.len() + self.settled.len()
    }

    /// Begins what can be begun: a write, a claim, a sweep.
    fn begin_work(&mut self) {
        let now = self.inner.clock.instant();
        // One write at a time: what comes meanwhile is the next one.
        if self.writing.is_none() && !self.settled.is_empty() && self.write_at <= now {
            let batch = std::mem::take(&mut self.settled);
            let mailbox = self.inner.mailbox.clone();
            self.writing = Some(aside(async move {
                let written = mailbox.settle(&batch).await;
                (batch, written)
            }));
        }
        if self.stopping.is_some() {
            return;
        }
        if self.look_at <= now {
            self.look = true;
        }
        if self.look && self.claiming.is_none() && self.write_at <= now {
            let room = self.hand.room(self.inner.clock.now().0, &self.readiness());
            let room = room.min(self.settings.hand_max.saturating_sub(self.in_hand())).min(CLAIM_MAX);
            if let Some(limit) = u32::try_from(room).ok().filter(|limit| *limit > 0) {
                self.look = false;
                self.look_at = now + self.settings.look_every;
                let (mailbox, lease) = (self.inner.mailbox.clone(), self.settings.lease);
                self.claiming = Some(aside(async move { mailbox.claim(lease, limit).await }));
            } else if self.look_at <= now {
                self.look_at = now + self.settings.look_every;
            }
        }
        if self.sweep_at <= now && self.sweeping.is_none() {
            self.sweep_at = now + SWEEP_EVERY;
            let inner = Arc::clone(&self.inner);
            self.sweeping = Some(aside(async move {
                if inner.any_parked() {
                    inner.look_again().await?;
                }
                inner.mailbox.overdue(OVERDUE_MAX).await
            }));
        }
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.deadline();
        let stopping = self.stopping.is_some();
        let clock = &self.inner.clock;
        tokio::select! {
            biased;
            () = self.inner.stop.cancelled(), if !stopping => Wake::Stop,
            Some(done) = self.under_way.next() => Wake::Sent(done),
            (batch, written) = maybe(&mut self.writing) => Wake::Written(batch, written),
            claimed = maybe(&mut self.claiming) => Wake::Claimed(claimed),
            rows = maybe(&mut self.sweeping) => Wake::Swept(rows),
            () = self.inner.mailbox.queued(), if !stopping => Wake::Queued,
            () = tokio::time::sleep(deadline.saturating_duration_since(clock.instant())) => Wake::Tick,
        }
    }

    fn deadline(&self) -> Instant {
        let now = self.inner.clock.instant();
        if let Some(until) = self.stopping {
            return until.min(now + TROUBLE_PAUSE);
        }
        let mut deadline = self.look_at.min(self.sweep_at);
        if self.write_at > now {
            deadline = deadline.min(self.write_at);
        }
        let wall = self.inner.clock.now().0;
        if let Some(due) = self.hand.next_due(wall) {
            let left = Duration::from_micros(u64::try_from(due.saturating_sub(wall)).unwrap_or(0));
            deadline = deadline.min(now + left);
        }
        deadline.max(now)
    }

    fn woken(&mut self, wake: Wake) {
        let now = self.inner.clock.now().0;
        let readiness = self.readiness();
        let mut steps = Vec::new();
        match wake {
            Wake::Sent(done) => {
                self.sent(done, now, &readiness, &mut steps);
                // Those that ended together are written together.
                while let Some(Some(done)) = self.under_way.next().now_or_never() {
                    self.sent(done, now, &readiness, &mut steps);
                }
                if self.hand.is_blocked() {
                    self.hand.unblock(now, &readiness, &mut steps);
                }
                self.look = true;
            }
            Wake::Written(batch, written) => {
                self.writing = None;
                self.written(batch, written);
            }
            Wake::Claimed(claimed) => {
                self.claiming = None;
                self.claimed(claimed, now, &readiness, &mut steps);
            }
            Wake::Swept(rows) => {
                self.sweeping = None;
                self.swept(rows, now);
            }
            Wake::Queued => self.look = true,
            Wake::Tick => {
                self.hand.unblock(now, &readiness, &mut steps);
                if self.stopping.is_some_and(|until| until <= self.inner.clock.instant()) {
                    self.give_up(now);
                }
            }
            Wake::Stop => {
                self.stopping = Some(self.inner.clock.instant() + self.settings.drain);
                self.hand.release(now, &mut steps);
            }
        }
        self.follow(steps);
    }

    fn sent(&mut self, done: Done, now: i64, readiness: &[Readiness], steps: &mut Vec<Step>) {
        self.hand.sent(done, now, random(), readiness, steps);
    }

    fn follow(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Settle(settled) => {
                    self.tally(&settled);
                    self.settled.push(settled);
                }
                Step::Send { route, text } => {
                    let Some(carrier) = self.carriers.get(route) else { continue };
                    count(&self.inner.counters.tried, 1);
                    let segments = carrier.segments(&text.text);
                    let recipient = text.recipient.as_str().to_owned();
                    let carrier = Arc::clone(carrier);
                    // A carrier that breaks costs its own text: what else is in hand goes on.
                    let sending = AssertUnwindSafe(async move { carrier.send(text).await }).catch_unwind();
                    self.under_way.push(Box::pin(async move {
                        let sent = sending.await.unwrap_or_else(|_| {
                            tracing::error!("a carrier of texts broke off, and its text is unknown");
                            Sent::Unknown
                        });
                        Done { route, recipient, segments, sent }
                    }));
                }
            }
        }
    }

    fn tally(&self, settled: &OutboxSettled) {
        let counters = &self.inner.counters;
        let counter = match settled.state {
            OutboxState::Accepted => &counters.accepted,
            OutboxState::Failed => &counters.failed,
            OutboxState::Unknown => &counters.unknown,
            OutboxState::Waiting => &counters.again,
            OutboxState::Sending | OutboxState::Delivered | OutboxState::Undelivered => return,
        };
        count(counter, 1);
    }

    fn claimed(
        &mut self,
        claimed: Result<Vec<OutboxRow>, Error>,
        now: i64,
        readiness: &[Readiness],
        steps: &mut Vec<Step>,
    ) {
        match claimed {
            Ok(rows) => {
                // There may be more where these came from.
                self.look |= !rows.is_empty();
                for row in rows {
                    self.hand.take(row, now, readiness, steps);
                }
                if self.stopping.is_some() {
                    self.hand.release(now, steps);
                }
            }
            Err(error) => self.trouble("the outbox could not be asked", &error),
        }
    }

    fn written(&mut self, mut batch: Vec<OutboxSettled>, written: Result<Vec<bool>, Error>) {
        match written {
            Ok(new) => {
                for (settled, new) in batch.iter().zip(new) {
                    if !new {
                        // Its lease ran out, or somebody cancelled it.
                        tracing::warn!(text = %settled.id, state = ?settled.state, "a text was settled before");
                    }
                    self.tell_parked(settled);
                }
            }
            Err(error) => {
                self.trouble("what became of texts could not be written", &error);
                batch.append(&mut self.settled);
                self.settled = batch;
            }
        }
    }

    /// A receipt may have come before its text was written as accepted.
    fn tell_parked(&self, settled: &OutboxSettled) {
        let (Some(route), Some(message_id)) = (&settled.route, &settled.message_id) else { return };
        if !self.inner.any_parked() {
            return;
        }
        let named = Named { route: route.clone(), message_id: message_id.clone() };
        let (inner, text) = (Arc::clone(&self.inner), settled.id);
        tokio::spawn(async move {
            if let Err(error) = inner.tell_parked(text, &named).await {
                tracing::warn!(%text, %error, "a receipt could not be written");
            }
        });
    }

    fn swept(&mut self, rows: Result<Vec<OutboxRow>, Error>, now: i64) {
        match rows {
            Ok(rows) => {
                if u32::try_from(rows.len()).unwrap_or(u32::MAX) >= OVERDUE_MAX {
                    self.sweep_at = self.inner.clock.instant();
                }
                let expired = rows.iter().map(|row| OutboxSettled {
                    code: Some(row.code.clone().unwrap_or_else(|| EXPIRED.to_owned())),
                    ..OutboxSettled::new(row.id, OutboxState::Failed, now)
                });
                let steps = expired.map(Step::Settle).collect();
                self.follow(steps);
            }
            Err(error) => self.trouble("the outbox could not be asked", &error),
        }
    }

    fn trouble(&mut self, what: &str, error: &Error) {
        tracing::warn!(%error, "{what}");
        self.write_at = self.inner.clock.instant() + TROUBLE_PAUSE;
        self.look = true;
    }

    /// Carriers did not answer before the end of the patience of a stop: whether those texts left is not known. They stay
    /// *sending*, and become *unknown* when their lease is over.
    fn give_up(&mut self, _now: i64) {
        let left = self.under_way.len() + self.settled.len();
        if left > 0 {
            tracing::warn!(left, in_flight = self.hand.in_flight(), "texts were left in the middle");
        }
        self.under_way.clear();
        if self.writing.is_none() {
            self.settled.clear();
        }
    }
}

/// Runs what holds a connection of the database in a task of its own: left unpolled while the loop waits for another, it
/// would keep that one from ever getting through.
fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
    let task = tokio::spawn(work);
    Box::pin(async move {
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down, and this task with it.
            Err(_) => std::future::pending().await,
        }
    })
}

async fn maybe<T>(future: &mut Option<Boxed<T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness texts are tried again together, which is all.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
