//! Payments from accounts that an outside provider holds: reserves before the carrier is asked, and then brings every
//! reservation to where its payment leads, without end.
//!
//! ```text
//!  hold, payment, reservation   (one commit)
//!  request to the provider      reserved: attempt, hold kept, reservation (one commit), and on to the carrier
//!  outcome of the carrier       as for every payment
//!  reservation follows          marked (one commit), request to the provider, answer with its money (one commit)
//! ```
//! [`crate::payment::saga`] decides; here it is asked, written and sent. Of several nodes one asks, since a reservation is marked
//! by compare-and-set before anything leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::Timestamp;
use crate::connector::contract::{DEDUCTION_RESERVED, Order};
use crate::connector::http::Connector;
use crate::connector::provider::{Answer, Operation, Told};
use crate::ledger::chart;
use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg};
use crate::money::Money;
use crate::payment::answer::Change;
use crate::payment::posting;
use crate::payment::provider::{Provider, is_external_id};
use crate::payment::row::provider::{ProviderAccountRow, ReservationRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{Id, PaymentRow, State, product};
use crate::payment::run::crash::{crash_point, planted};
use crate::payment::run::pay::MARGIN;
use crate::payment::run::{Error, OpenAccount, Payments};
use crate::payment::saga;
use crate::payment::saga::{Book, Input, Meaning, Rules, Stage, Standing, Step};
use crate::payment::unit::{Move, Op, Refusal};
use crate::store::PaymentFilter;

/// Reservations looked at in one round.
const ROUND_MAX: u32 = 64;
/// Reservations made due at once by a start.
const START_MAX: u32 = 10_000;
/// Payments looked back at for what was taken back while nobody listened.
const LOOK_BACK_MAX: u32 = 1_000;
/// Providers asked at once by the schedule.
const ASKED_AT_ONCE: usize = 16;
/// Steps that one look takes at most; what is left then is due again.
const STEPS_MAX: u32 = 8;
/// Times that an answer is judged anew because something changed under it.
const STALE_MAX: u32 = 16;
/// Times that an answer is brought to a database that does not take it.
const COMMIT_TRIES: u32 = 40;
/// The longest wait between two of them.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Open reservations of an account that are looked at for a debt.
const OPEN_MAX: u32 = 100;

/// A payment account that is held outside.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    row: ProviderAccountRow,
    provider: Option<Provider>,
    owes: bool,
}

impl Outside {
    /// Whether it may not pay now: something that was delivered to it could not be captured, or its provider is not there any
    /// more.
    pub(super) const fn is_blocked(&self) -> bool {
        self.owes || self.provider.is_none()
    }

    /// The provider, as a payment's row names it.
    pub(super) fn into_provider(self) -> Option<String> {
        self.provider.map(|provider| provider.connector)
    }
}

/// What has become of a reservation's look.
enum Looked {
    /// Something was written: look again.
    Again,
    /// Nothing is to be done now.
    Rest,
}

impl Payments {
    /// Opens a payment account whose money `provider` holds under the name `external_id`.
    ///
    /// # Errors
    /// [`Error::NoSuchProvider`]; otherwise as [`Payments::open_account`].
    pub async fn open_outside_account(
        &self,
        open: OpenAccount,
        provider: &str,
        external_id: &str,
    ) -> Result<Id, Error> {
        if self.inner.settings.providers.find(provider).is_none() || !is_external_id(external_id) {
            return Err(Error::NoSuchProvider);
        }
        let (provider, external_id, since) = (provider.to_owned(), external_id.to_owned(), self.now());
        let outside = |account| vec![Op::add(&ProviderAccountRow { account, provider, external_id, since })];
        self.open_as(open, chart::customer, outside).await
    }

    /// Where an account's money is held, if that is outside.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn held_outside(&self, account: Id) -> Result<Option<ProviderAccountRow>, Error> {
        Ok(self.inner.store.record(&[cell(&account)]).await?)
    }

    /// What is reserved outside for a payment.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reservation_of(&self, payment: Id) -> Result<Option<ReservationRow>, Error> {
        Ok(self.inner.store.record(&[cell(&payment)]).await?)
    }

    /// The reservations that are not at their end, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_reservations(&self, limit: u32) -> Result<Vec<ReservationRow>, Error> {
        let open = Select::new().equal("open", &true).order("created_at").limit(limit);
        Ok(self.inner.store.records(&open).await?)
    }

    /// The oldest of what should be taken, set free or given back, and is not yet.
    pub(super) async fn oldest_unsettled(&self) -> Result<Option<ReservationRow>, Error> {
        let mut oldest: Option<ReservationRow> = None;
        for stage in [Stage::Capturing, Stage::Releasing, Stage::Refunding] {
            let open = Select::<ReservationRow>::new().equal("open", &true).equal("stage", &stage.number());
            let first = self.inner.store.records(&open.order("created_at").limit(1)).await?.pop();
            oldest = oldest.into_iter().chain(first).min_by_key(|row| row.created_at);
        }
        Ok(oldest)
    }

    pub(super) async fn outside(&self, account: Id) -> Result<Option<Outside>, Error> {
        let providers = &self.inner.settings.providers;
        if providers.all().is_empty() {
            return Ok(None);
        }
        let Some(row) = self.held_outside(account).await? else { return Ok(None) };
        let open = Select::<ReservationRow>::new().equal("account", &account).equal("open", &true);
        let open = self.inner.store.records(&open.limit(OPEN_MAX)).await?;
        let provider = providers.find(&row.provider).cloned();
        Ok(Some(Outside { row, provider, owes: open.iter().any(saga::blocks) }))
    }

    /// An account that may not pay now, though its PIN was right.
    pub(super) async fn not_now(&self, passed: Option<Op>) -> Result<Result<PaymentRow, Refusal>, Error> {
        if let Some(passed) = passed {
            self.commit(vec![passed]).await?.map_err(Error::Refused)?;
        }
        Ok(Err(Refusal::Suspended))
    }

    /// How long a payment may wait for its reservation.
    pub(super) fn patience(&self, outside: &Outside) -> Duration {
        let timeout = self.holder(&outside.row.provider).map_or(Duration::ZERO, |c| c.describe().timeout);
        outside.provider.as_ref().map_or(Duration::ZERO, |p| p.reserve_within).saturating_add(timeout)
    }

    /// The reservation of a payment, as it is written with the hold and before the provider is asked.
    pub(super) fn reservation(&self, outside: &Outside, draft: &PaymentRow) -> ReservationRow {
        let now = self.inner.clock.now();
        let id = draft.id.derived("reserve");
        let (form, timeout) = match self.holder(&outside.row.provider) {
            Some(connector) => {
                let described = connector.describe();
                (described.reference.write(id.0), described.timeout)
            }
            None => (id.text(), Duration::ZERO),
        };
        ReservationRow {
            payment: draft.id,
            account: draft.account,
            provider: outside.row.provider.clone(),
            external_id: outside.row.external_id.clone(),
            reference: form,
            amount_minor: posting::total_minor(draft).unwrap_or(draft.amount_minor),
            currency: draft.currency,
            stage: Stage::Reserving.number(),
            doubt: true,
            open: true,
            class: None,
            their_reference: None,
            tries: 0,
            created_at: now.0,
            updated_at: now.0,
            // Should this process end now, the next one asks for it.
            due_at: Some(now.after(timeout).after(MARGIN).0),
            version: 1,
        }
    }

    pub(super) fn holder(&self, provider: &str) -> Option<&Connector> {
        self.inner.connectors.get(provider).filter(|connector| connector.holds_accounts())
    }

    fn rules(&self, provider: &str) -> Rules {
        let usual = Provider::new(provider, provider);
        let named = self.inner.settings.providers.find(provider).unwrap_or(&usual);
        let connector = self.holder(provider);
        Rules {
            reserve_within: named.reserve_within,
            retry_first: named.retry_first,
            retry_max: named.retry_max,
            not_found_after: connector.and_then(|c| c.describe().not_found_after),
            refunds: connector.is_some_and(Connector::refunds),
        }
    }

    /// From the hold to the provider's answer, and on to the carrier when the money is kept. The request leaves once.
    pub(super) async fn reserve_first(&self, payment: PaymentRow) {
        let Ok(Some(row)) = self.reservation_of(payment.id).await else {
            tracing::warn!(payment = %payment.id, "nothing was reserved; the hold ends by itself");
            return;
        };
        crash_point("reserve_before");
        let answer = self.provide(&payment, &row, Operation::Reserve).await;
        crash_point("reserve_after");
        self.bring_for_certain(&row, Operation::Reserve, &answer).await;
        self.tend(payment.id).await;
    }

    async fn provide(&self, payment: &PaymentRow, row: &ReservationRow, operation: Operation) -> Answer {
        let order = asked_about(payment, row);
        match self.holder(&row.provider) {
            Some(connector) => connector.provide(operation, &order).await,
            None => {
                tracing::error!(payment = %payment.id, provider = row.provider, "ALARM: the provider is not configured");
                let reason = "the provider is not configured".to_owned();
                Answer::from(Told::NotSent { reason })
            }
        }
    }

    /// Brings an answer in, however long the database takes; gives up only when it stays away, and then the provider is asked
    /// again. `asked` is the row with which the question left.
    async fn bring_for_certain(&self, asked: &ReservationRow, operation: Operation, answer: &Answer) {
        let payment = asked.payment;
        for tries in 1..=COMMIT_TRIES {
            match self.bring(asked, operation, answer).await {
                Ok(()) => return,
                Err(Error::Stopped) => break,
                Err(error) => {
                    tracing::warn!(%payment, %error, "a provider's answer waits for the database");
                    tokio::time::sleep((Duration::from_millis(50) * tries).min(COMMIT_WAIT_MAX)).await;
                }
            }
        }
        tracing::error!(%payment, "a provider's answer was not written; it will be asked again");
    }

    async fn bring(
        &self,
        asked: &ReservationRow,
        operation: Operation,
        answer: &Answer,
    ) -> Result<(), Error> {
        let id = asked.payment;
        let told = answer.told.name();
        tracing::info!(payment = %id, operation = operation.name(), told, "reservation");
        let misheard = misheard(operation, answer);
        let (operation, answer) = misheard.as_ref().map_or((operation, answer), |(o, a)| (*o, a));
        let heard = |row: &ReservationRow| match row.version == asked.version {
            true => Input::Answer(operation, answer),
            false => Input::Late(operation, answer),
        };
        self.bring_in(id, heard).await
    }

    /// Brings in what is heard of a reservation as it stands.
    pub(super) async fn bring_in<'a>(
        &self,
        id: Id,
        heard: impl Fn(&ReservationRow) -> Input<'a>,
    ) -> Result<(), Error> {
        for _ in 0..STALE_MAX {
            let Some((payment, row)) = self.both(id).await? else { return Ok(()) };
            let standing = Standing::of(payment.state);
            let step = saga::step(&row, standing, self.now(), &heard(&row), &self.rules(&row.provider));
            let Some(step) = step else { return Ok(()) };
            if self.write(payment, step).await? {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    pub(super) async fn both(&self, id: Id) -> Result<Option<(PaymentRow, ReservationRow)>, Error> {
        // The reservation first: a payment only moves on, so that an older reservation is never judged by an older payment.
        let Some(row) = self.reservation_of(id).await? else { return Ok(None) };
        Ok(self.inner.store.payment(id).await?.map(|payment| (payment, row)))
    }

    /// What a payment that enters `to` means for money that its provider has kept or taken, or is being asked to take: it stands
    /// in the commit of that very step.
    pub(super) async fn ended(&self, payment: &PaymentRow, to: State) -> Result<Option<Op>, Error> {
        let ends = Standing::of(to) == Standing::Ended && Standing::of(payment.state) != Standing::Ended;
        if payment.provider.is_none() || !ends {
            return Ok(None);
        }
        let row = self.reservation_of(payment.id).await?;
        Ok(row.and_then(|row| saga::ended(&row, self.now())).map(|row| Op::set(&row)))
    }

    /// Writes a step with its money; false when something changed under it.
    async fn write(&self, payment: PaymentRow, step: Step) -> Result<bool, Error> {
        let Step { row, books, meaning, alarm } = step;
        let (id, provider) = (payment.id, row.provider.clone());
        let stage = Stage::from_number(row.stage).map_or("", Stage::name);
        let class = row.class.clone().unwrap_or_default();
        let mut ops = vec![Op::set(&row)];
        let booked = books.iter().filter(|book| **book != Book::Captured || !planted("captured_not_booked"));
        ops.extend(booked.map(|book| Op::Ledger(booking(*book, &row))));
        match meaning {
            Meaning::None => {}
            Meaning::Proceed if payment.product == product::ORDER => {
                return self.claim_order(&payment, ops).await;
            }
            Meaning::Proceed => {
                return Ok(self.carry_to(payment, ops).await);
            }
            Meaning::Refuse(class) => {
                let detail = format!("the account's provider: {class}");
                let step = Move {
                    payment: id,
                    version: payment.version,
                    to: State::Refused,
                    class: Some(class.clone()),
                    carrier_reference: None,
                    cost_minor: None,
                    next_check_at: None,
                    checked: false,
                    attempt: None,
                    posting: None,
                    detail,
                };
                ops.push(Op::Move(Box::new(step)));
                let resolved = PaymentRow { state: State::Refused, class: Some(class), ..payment };
                ops.extend(self.result_sms(&resolved).await.map(Op::Outbox));
            }
        }
        match self.commit(ops).await? {
            Ok(done) => {
                if alarm {
                    tracing::error!(payment = %id, provider, stage, class, "ALARM: an account provider needs staff");
                } else {
                    tracing::info!(payment = %id, provider, stage, "reservation");
                }
                if let Some(payment) = done.payment {
                    self.inner.changes.tell(&payment);
                }
                Ok(true)
            }
            Err(Refusal::Stale | Refusal::NotAllowed(_)) => Ok(false),
            Err(refusal) => {
                tracing::error!(payment = %id, %refusal, "the books refuse a reservation's step");
                Err(Error::Refused(refusal))
            }
        }
    }

    /// Brings a reservation as far as it goes now.
    pub(super) async fn tend(&self, id: Id) {
        for _ in 0..STEPS_MAX {
            match self.look_at(id).await {
                Ok(Looked::Again) => {}
                Ok(Looked::Rest) => return,
                Err(error) => {
                    tracing::warn!(payment = %id, %error, "a reservation could not be looked after");
                    return;
                }
            }
        }
    }

    async fn look_at(&self, id: Id) -> Result<Looked, Error> {
        let Some((payment, row)) = self.both(id).await? else { return Ok(Looked::Rest) };
        let standing = match Standing::of(payment.state) {
            Standing::Open if planted("captures_early") => Standing::Delivered,
            standing => standing,
        };
        if !row.open && planted("capture_is_the_end") {
            return Ok(Looked::Rest);
        }
        let rules = self.rules(&row.provider);
        if let Some(step) = saga::step(&row, standing, self.now(), &Input::Look, &rules) {
            self.write(payment, step).await?;
            return Ok(Looked::Again);
        }
        let now = self.inner.clock.now();
        if row.due_at.is_none_or(|due| due > now.0) {
            return Ok(Looked::Rest);
        }
        let blind = planted("asks_again_blindly").then(|| ReservationRow { doubt: false, ..row.clone() });
        let Some(operation) = saga::ask(blind.as_ref().unwrap_or(&row), standing) else {
            // Stale: somebody else looks after it.
            let _ = self.commit(vec![Op::set(&saga::rest(&row, now.0, &rules))]).await?;
            return Ok(Looked::Rest);
        };
        let timeout = self.holder(&row.provider).map_or(Duration::ZERO, |c| c.describe().timeout);
        let begun = saga::begin(&row, operation, now.0, now.after(timeout).after(MARGIN).0);
        crash_point("provider_before");
        match self.commit(vec![Op::set(&begun)]).await? {
            Ok(_) => {}
            Err(Refusal::Stale) => return Ok(Looked::Again),
            Err(refusal) => return Err(Error::Refused(refusal)),
        }
        crash_point("provider_sent");
        let answer = self.provide(&payment, &begun, operation).await;
        crash_point("provider_after");
        self.bring_for_certain(&begun, operation, &answer).await;
        Ok(Looked::Again)
    }

    /// A sole node that starts knows that every mark is that of a dead process: all is looked at now.
    pub(super) async fn release_reservations(&self) -> Result<(), Error> {
        let now = self.now();
        for row in self.open_reservations(START_MAX).await? {
            if row.due_at.is_some_and(|due| due > now) {
                let due = ReservationRow { due_at: Some(now), version: row.version.saturating_add(1), ..row };
                self.commit(vec![Op::set(&due)]).await?.map_err(Error::Refused)?;
            }
        }
        Ok(())
    }

    /// Looks after reservations until `stop`: at once when a payment changes, and by their times.
    pub(super) async fn tend_reservations(self, stop: CancellationToken) {
        if self.inner.settings.providers.all().is_empty() {
            match self.open_reservations(1).await {
                Ok(open) if open.is_empty() => return,
                Ok(_) => tracing::error!("ALARM: reservations are open, but no provider is configured"),
                Err(error) => tracing::warn!(%error, "reservations could not be looked for"),
            }
        }
        let at_once = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        let mut missed = true;
        let mut changes = self.changes();
        let mut rounds = tokio::time::interval(self.inner.settings.poll_every.max(Duration::from_millis(1)));
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(Change { payment }) => {
                        let follows = payment.provider.is_some() && payment.state.is_definite();
                        if follows {
                            self.tend_aside(payment.id, &at_once).await;
                        }
                    }
                    Err(RecvError::Lagged(_)) => missed = true,
                    Err(RecvError::Closed) => return,
                },
                _ = rounds.tick() => {
                    if missed {
                        match self.look_back(&at_once).await {
                            Ok(()) => missed = false,
                            Err(error) => tracing::warn!(%error, "ended payments could not be looked for"),
                        }
                    }
                    if let Err(error) = self.reservations_due(&at_once).await {
                        tracing::warn!(%error, "due reservations could not be looked for");
                    }
                }
                () = stop.cancelled() => return,
            }
        }
    }

    /// What is captured is looked at no more, so that a payment which was taken back while nobody listened is looked for.
    async fn look_back(&self, at_once: &Arc<Semaphore>) -> Result<(), Error> {
        for state in [State::Reversed, State::Refused] {
            let ended =
                PaymentFilter { state: Some(state), limit: LOOK_BACK_MAX, ..PaymentFilter::default() };
            for payment in self.inner.store.payments(&ended).await?.iter().filter(|p| p.provider.is_some()) {
                let row = self.reservation_of(payment.id).await?;
                if row.is_some_and(|row| row.stage == Stage::Captured.number()) {
                    self.tend_aside(payment.id, at_once).await;
                }
            }
        }
        Ok(())
    }

    async fn reservations_due(&self, at_once: &Arc<Semaphore>) -> Result<(), Error> {
        let due = Select::<ReservationRow>::new().below("due_at", &self.now().saturating_add(1));
        for row in self.inner.store.records(&due.order("due_at").limit(ROUND_MAX)).await? {
            self.tend_aside(row.payment, at_once).await;
        }
        Ok(())
    }

    async fn tend_aside(&self, payment: Id, at_once: &Arc<Semaphore>) {
        let Ok(permit) = Arc::clone(at_once).acquire_owned().await else { return };
        let this = self.clone();
        self.inner.tracker.spawn(async move {
            this.tend(payment).await;
            drop(permit);
        });
    }
}

/// What is heard in a build with a planted mistake.
fn misheard(operation: Operation, answer: &Answer) -> Option<(Operation, Answer)> {
    let reserved = || Answer::from(Told::Reserved);
    let released = || Answer::from(Told::Released);
    let not_sent = || Answer::from(Told::NotSent { reason: "planted".to_owned() });
    match (operation, &answer.told) {
        (Operation::Capture, Told::Refused { .. }) => {
            planted("refused_capture_frees").then(|| (Operation::Status, answer.clone()))
        }
        (Operation::Reserve, Told::Unknown { .. }) if planted("silence_taken_as_reserved") => {
            Some((operation, reserved()))
        }
        (Operation::Reserve, Told::Unknown { .. }) if planted("provider_silence_taken_as_refusal") => {
            Some((operation, not_sent()))
        }
        (Operation::Release, Told::Unknown { .. }) if planted("release_not_repeated") => {
            Some((operation, released()))
        }
        _ => None,
    }
}

/// What a provider is asked, or tells, about.
pub(super) fn asked_about(payment: &PaymentRow, row: &ReservationRow) -> Order {
    Order {
        reference: row.reference.clone(),
        msisdn: None,
        bill: None,
        external_id: Some(row.external_id.clone()),
        amount: Money::new(row.amount_minor, row.currency),
        deduction: payment.hold.text(),
        state: DEDUCTION_RESERVED,
        at: Timestamp(row.created_at),
        carrier_reference: row.their_reference.clone(),
    }
}

/// The ledger's side of a step.
fn booking(book: Book, row: &ReservationRow) -> Command {
    let receivable = House::Receivable(&row.provider).id(row.currency);
    let settlement = House::Settlement(&row.provider).id(row.currency);
    let (name, from, to) = match book {
        Book::Captured => ("captured", settlement, receivable),
        Book::Refunded => ("capture refunded", receivable, settlement),
        Book::Owed => ("capture owed", receivable, row.account),
    };
    let legs = vec![Leg::new(from, row.amount_minor.saturating_neg()), Leg::new(to, row.amount_minor)];
    Command::new(row.payment.derived(name), Some(row.payment), Act::Transfer { legs })
}
