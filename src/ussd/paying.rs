//! A payment that a dialogue waits for, for as long as its network does.
//!
//! It runs in a task of its own, so that nobody's going stops it: neither the caller's, nor the network's, nor that of the
//! transport that asked. Whatever is shown to nobody is told by text message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::session::kept::Kept;
use crate::session::{Performed, Performing as Action, Session, System, Task};
use crate::ussd::dialogue::{Stand, Step};
use crate::ussd::line::{Performing, Seat};
use crate::ussd::{Error, Inner, Later, Screen};

/// How much longer than a payment may take its session is left to the process that performs it. Whoever finds the row after
/// that takes it up: the process is gone.
const OUTCOME_GRACE: Duration = Duration::from_secs(30);

/// How the waiting for an action ended.
enum Awaited {
    Performed(Performed),
    /// The network waits no longer.
    Late,
    /// The caller is gone, or dials anew.
    Gone,
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    /// A session that waits for a payment is found again by [`Inner::sweep`] soon after its process has died.
    pub(super) fn await_outcome(&self, session: &mut Session) {
        if let Some(kept) = session.kept().cloned() {
            let window = self.registry.payments().settings().answer_within + OUTCOME_GRACE;
            session.keep(Kept { window, ..kept });
        }
    }

    /// Performs what moves money. All that it needs is saved.
    pub(super) fn pay(self: Arc<Self>, seat: Seat, session: Session, task: Task, deadline: Instant) -> Later {
        let performing = Performing {
            dialogue: session.kept().and_then(|kept| kept.dialogue.clone()),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        seat.perform(performing.clone());
        let (tell, told) = oneshot::channel();
        let tasks = self.tasks.clone();
        let id = session.id();
        tasks.spawn(async move {
            let over = performing.over.clone().drop_guard();
            let mut paying = Paying { desk: self, seat, performing, deadline, tell: Some(tell) };
            let left = paying.run(session, task).await;
            paying.seat.performed();
            // Whoever waits for the line goes on; the payment may still be under way.
            drop((over, paying.tell.take()));
            let desk = paying.desk.clone();
            drop(paying);
            match left {
                Ok(Some(Left { session, action })) => desk.finish(session, action).await,
                Ok(None) => {}
                Err(error) => tracing::error!(session = %id, "after a payment: {error}"),
            }
        });
        Box::pin(async move { told.await.ok().flatten() })
    }

    /// Tells a payment's outcome by text message, when it is known.
    async fn finish(&self, session: Session, action: Action) {
        let id = session.id();
        self.leaving().insert(id);
        if let Err(error) = session.leave(Some(action)).await {
            tracing::error!(session = %id, "after a dialogue: {error}");
        }
        self.leaving().remove(&id);
    }
}

/// A conversation without its dialogue, and what is still performed for it.
struct Left {
    session: Session,
    action: Action,
}

struct Paying<M> {
    desk: Arc<Inner<M>>,
    seat: Seat,
    performing: Performing,
    deadline: Instant,
    tell: Option<oneshot::Sender<Option<Screen>>>,
}

impl<M: Clone + Send + Sync + 'static> Paying<M> {
    async fn run(&mut self, mut session: Session, task: Task) -> Result<Option<Left>, Error> {
        let mut action: Action = Box::pin(session.perform(task));
        loop {
            match self.wait(&mut action).await {
                Awaited::Performed(performed) if !self.is_heard() => {
                    action = Box::pin(std::future::ready(performed));
                    return self.leave(session, action).await.map(Some);
                }
                Awaited::Performed(performed) => {
                    let Some(next) = self.performed(&mut session, performed).await? else { return Ok(None) };
                    action = Box::pin(session.perform(next));
                }
                Awaited::Late => {
                    tracing::info!(session = %session.id(), "a payment takes longer than the network waits");
                    let screen = self.desk.last_word(Some(session.language()), System::WillGetSms);
                    self.tell(screen);
                    return self.leave(session, action).await.map(Some);
                }
                Awaited::Gone => return self.leave(session, action).await.map(Some),
            }
        }
    }

    async fn wait(&self, action: &mut Action) -> Awaited {
        tokio::select! {
            biased;
            () = self.performing.stop.cancelled() => Awaited::Gone,
            performed = action => Awaited::Performed(performed),
            () = tokio::time::sleep(self.desk.left(self.deadline)) => Awaited::Late,
        }
    }

    /// Whether somebody waits for a screen.
    fn is_heard(&self) -> bool {
        self.tell.as_ref().is_some_and(|tell| !tell.is_closed())
    }

    /// Shows what an action came to, or gives the next one.
    async fn performed(
        &mut self,
        session: &mut Session,
        performed: Performed,
    ) -> Result<Option<Task>, Error> {
        let turn = session.resume(performed).await?;
        if let Some(kept) = session.kept().cloned() {
            let route = self.desk.route(&kept.route);
            let window = route.map_or(kept.window, |route| route.idle);
            session.keep(Kept { window, ..kept });
        }
        // What follows a payment is short; what it came to is not thrown away for it.
        let deadline = self.deadline + OUTCOME_GRACE;
        match self.desk.advance(session, turn, deadline).await {
            Ok(Step::Stands(Stand::Pays(task))) => Ok(Some(task)),
            Ok(Step::Stands(Stand::Screen(screen))) => {
                // Its answer may come as soon as it is told.
                self.seat.performed();
                self.tell(screen);
                Ok(None)
            }
            Ok(Step::Overtaken | Step::Late) => Ok(None),
            Err(error) => {
                // The payment stands; the core tells it by itself.
                let screen = self.desk.last_word(Some(session.language()), System::WillGetSms);
                self.tell(screen);
                Err(error)
            }
        }
    }

    fn tell(&mut self, screen: Screen) {
        self.seat.shown(&screen);
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(Some(screen));
        }
    }

    /// Frees the caller's key; the session goes on without a dialogue.
    async fn leave(&mut self, mut session: Session, action: Action) -> Result<Left, Error> {
        self.tell = None;
        if let Err(error) = self.desk.release(&mut session).await {
            tracing::error!(session = %session.id(), "a dialogue's row could not be moved: {error}");
        }
        Ok(Left { session, action })
    }
}
