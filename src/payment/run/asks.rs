//! Asks customers for merchants: takes the wish, goes the ways one after the other, and keeps what came of each. The row is
//! written before anything leaves; what may have come to the customer is not sent again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::msisdn::Msisdn;
use crate::payment::ask;
use crate::payment::ask::{Asks, Due, NotAvailable, Question, Said, Seen, Want, Way, texts};
use crate::payment::day;
use crate::payment::order::State as OrderState;
use crate::payment::row::ask::{AskCountRow, AskRow, AskStopRow};
use crate::payment::row::order::OrderRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{Id, OutboxRow};
use crate::payment::run::crash::crash_point;
use crate::payment::run::merchants::SCOPE;
use crate::payment::run::{Error, Fault, Payments, SMS};
use crate::payment::unit::{Op, Refusal};
use crate::payment::webhook;

/// Times that a step is tried anew when somebody else changed a row.
const STALE_MAX: usize = 8;
/// Looked at in one round.
const ROUND_MAX: u32 = 64;
/// Customers asked at once.
const AT_ONCE: usize = 16;
/// Asks of one order that are shown.
const SHOWN_MAX: u32 = 100;
/// The longest idempotency key, bytes.
const KEY_BYTES_MAX: usize = 100;
/// How long the ways may take together until the row's patience is over.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// The ways to customers that the daemon gives the core.
#[derive(Clone)]
pub struct Ways {
    /// Screens of ours.
    pub screens: Arc<dyn Asks>,
    /// Calls of ours.
    pub calls: Arc<dyn Asks>,
}

impl Default for Ways {
    /// None is there: only texts are sent.
    fn default() -> Self {
        Self { screens: Arc::new(NotAvailable), calls: Arc::new(NotAvailable) }
    }
}

/// What an order asks of the caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    /// To be paid.
    Pay(OrderRow),
    /// Its receipt to be confirmed.
    Receipt(OrderRow),
    /// Nothing: it is not there, not the caller's, or past that.
    Gone,
}

impl Payments {
    /// Gives the ways to customers beside texts; once, before [`Payments::run`].
    pub fn ask_by(&self, ways: Ways) {
        // The first ones stay.
        let _ = self.inner.ways.set(ways);
    }

    /// Asks the customer of an order to pay it, or to confirm its receipt, whichever it stands at. The same key again is the
    /// same asking.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn ask_customer(
        &self,
        merchant: Id,
        order: Id,
        key: &str,
        wanted: Option<Want>,
    ) -> Result<Result<AskRow, Fault>, Error> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Ok(Err(Fault::Invalid("the idempotency key must have 1 to 100 bytes")));
        }
        let id = order.derived(&format!("ask of {key}"));
        for _ in 0..STALE_MAX {
            let Some(row) = self.order(merchant, order).await? else { return Ok(Err(Fault::Unknown)) };
            if let Some(known) = self.inner.store.record::<AskRow>(&[cell(&id)]).await? {
                let same = wanted.is_none_or(|wanted| wanted.number() == known.want);
                return Ok(if same { Ok(known) } else { Err(Fault::KeyReused) });
            }
            let now = self.now();
            let seen = self.seen(&row, wanted, id, now).await?;
            let rules = &self.inner.settings.asks;
            let want = match ask::judge(&row, wanted, seen.seen(), rules, now) {
                Ok(want) => want,
                Err(refusal) => return Ok(Err(Fault::Ask(refusal))),
            };
            let asked = ask::new(id, &row, want, now);
            // With its version two askings at once know of each other.
            let counted = OrderRow { version: row.version.saturating_add(1), ..row };
            let mut ops =
                vec![Op::Open(vec![(SCOPE.to_owned(), merchant.text())]), Op::set(&counted), Op::add(&asked)];
            ops.extend(seen.counted);
            crash_point("ask_before");
            match self.commit(ops).await? {
                Ok(_) => return Ok(Ok(asked)),
                Err(Refusal::Suspended) => return Ok(Err(Fault::Suspended)),
                Err(Refusal::Stale | Refusal::Exists(_)) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// The code of a refusal that time lifts, and how long to wait for that.
    #[must_use]
    pub fn wait_to_ask(&self, refusal: ask::Refusal) -> Option<(&'static str, Duration)> {
        let (code, at) = match refusal {
            ask::Refusal::TooSoon { at } => ("too_soon", at),
            ask::Refusal::DayLimit => {
                ("day_limit", day::midnight_after(self.today(), &self.inner.settings.zone)?)
            }
            _ => return None,
        };
        let left = u64::try_from(at.saturating_sub(self.now())).unwrap_or(0);
        Some((code, Duration::from_micros(left)))
    }

    /// What was asked about an order, the first first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn asks_of(&self, order: Id) -> Result<Vec<AskRow>, Error> {
        let wanted = Select::new().equal("order_id", &order).order("created_at").limit(SHOWN_MAX);
        Ok(self.inner.store.records(&wanted).await?)
    }

    async fn seen(&self, order: &OrderRow, wanted: Option<Want>, id: Id, now: i64) -> Result<Known, Error> {
        let asks = self.asks_of(order.id).await?;
        let customer = self.asked_number(order).await?;
        let party = self.party(&customer);
        let want = Want::of(order, now).or(wanted).unwrap_or(Want::Pay);
        let declined = self.declines(party, order, want).await?;
        let day = self.today();
        let mut counted = Vec::new();
        let mut today = [0, 0];
        for (asks, subject) in today.iter_mut().zip([order.merchant, party]) {
            let known: Option<AskCountRow> = self.inner.store.record(&[cell(&day), cell(&subject)]).await?;
            *asks = known.as_ref().map_or(0, |row| row.asks);
            let next = AskCountRow {
                day,
                subject,
                asks: asks.saturating_add(1),
                last: id,
                version: known.as_ref().map_or(1, |row| row.version.saturating_add(1)),
            };
            counted.push(if known.is_some() { Op::set(&next) } else { Op::add(&next) });
        }
        let [merchant_today, customer_today] = today;
        Ok(Known { asks, merchant_today, customer_today, declined, counted })
    }

    /// The mark of a number, by which it is counted and its no is kept.
    fn party(&self, number: &Msisdn) -> Id {
        Id(self.inner.seals.mac(&[b"asked number", number.as_str().as_bytes()]))
    }

    async fn declines(&self, party: Id, order: &OrderRow, want: Want) -> Result<bool, Error> {
        for subject in [order.merchant, ask::subject(order.id, want)] {
            let stop: Option<AskStopRow> = self.inner.store.record(&[cell(&party), cell(&subject)]).await?;
            if stop.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Who is asked about an order: the number that it was placed for, unless another account paid it.
    async fn asked_number(&self, order: &OrderRow) -> Result<Msisdn, Error> {
        let Some(payer) = order.payer else { return Ok(order.customer.clone()) };
        let bound = self.phones_of(payer).await?;
        let own = bound.contains(&order.customer);
        Ok(bound.into_iter().next().filter(|_| !own).unwrap_or_else(|| order.customer.clone()))
    }

    /// What an order asks of an account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn asked_order(&self, account: Id, number: &str) -> Result<Asked, Error> {
        let now = self.now();
        let mut found = self.numbered_of(account, number).await?.into_iter();
        let order = found.find(|order| match Want::of(order, now) {
            Some(Want::Pay) => true,
            Some(Want::Receipt) => order.payer == Some(account),
            None => false,
        });
        Ok(match order {
            Some(order) if order.state == OrderState::Created.number() => Asked::Pay(order),
            Some(order) => Asked::Receipt(order),
            None => Asked::Gone,
        })
    }

    /// Keeps that a caller does not want to be asked: about an order as it stands, or by its merchant at all. Gives the
    /// merchant's name; `None` when there is no such order of his.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn decline_asks(
        &self,
        caller: &Msisdn,
        number: &str,
        merchant_too: bool,
    ) -> Result<Option<String>, Error> {
        for _ in 0..STALE_MAX {
            let account = self.account_of(caller).await?;
            let wanted = Select::<OrderRow>::new().equal("number", &number.to_owned());
            let mut found = self.inner.store.records(&wanted).await?.into_iter();
            let his =
                |order: &OrderRow| order.customer == *caller || (account.is_some() && order.payer == account);
            let Some(order) = found.find(his) else { return Ok(None) };
            let now = self.now();
            let want = Want::of(&order, now).unwrap_or(Want::Pay);
            let subject = if merchant_too { order.merchant } else { ask::subject(order.id, want) };
            let party = self.party(caller);
            let known: Option<AskStopRow> = self.inner.store.record(&[cell(&party), cell(&subject)]).await?;
            if known.is_some() {
                return Ok(Some(order.merchant_name));
            }
            let over: Vec<AskRow> =
                self.asks_of(order.id).await?.iter().filter_map(|row| ask::declined(row, now)).collect();
            let told = self.merchant(order.merchant).await?.is_some_and(|row| row.webhook_url.is_some());
            let no = serde_json::json!({
                "for": want.name(), "state": ask::State::Declined.name(),
                "scope": if merchant_too { "merchant" } else { "order" },
            });
            let hook =
                webhook::about("order.ask_declined", &order, "ask", &no, subject.derived("told"), now, told);
            let mut ops = vec![Op::add(&AskStopRow { party, subject, at: now }), Op::add(&hook)];
            ops.extend(over.iter().map(Op::set));
            match self.commit(ops).await? {
                Ok(_) => return Ok(Some(order.merchant_name)),
                Err(Refusal::Stale | Refusal::Exists(_)) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Takes a number's no to a merchant back, for staff whom the customer asked. False when there was none.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn allow_asks(&self, customer: &Msisdn, merchant: Id) -> Result<bool, Error> {
        let cells = [cell(&self.party(customer)), cell(&merchant)];
        if self.inner.store.record::<AskStopRow>(&cells).await?.is_none() {
            return Ok(false);
        }
        self.commit(vec![Op::remove::<AskStopRow>(&cells)]).await?.map_err(Error::Refused)?;
        Ok(true)
    }

    /// Asks whom merchants want asked until `stop`.
    pub(super) async fn ask_customers(self, stop: CancellationToken) {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        while !stop.is_cancelled() {
            if let Err(error) = self.ask_round(&at_once).await {
                tracing::warn!(%error, "customers who are to be asked could not be looked for");
            }
            tokio::select! {
                () = tokio::time::sleep(self.inner.settings.poll_every) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn ask_round(&self, at_once: &Arc<Semaphore>) -> Result<(), Error> {
        if self.is_locked().await? {
            return Ok(());
        }
        let now = self.now();
        let due = Select::<AskRow>::new().below("due_at", &now.saturating_add(1)).order("due_at");
        for row in self.inner.store.records(&due.limit(ROUND_MAX)).await? {
            let Ok(permit) = Arc::clone(at_once).acquire_owned().await else { return Ok(()) };
            if let Some((sending, way, question)) = self.ask_step(&row).await? {
                let this = self.clone();
                self.inner.tracker.spawn(async move {
                    if let Err(error) = this.ask_once(sending, way, question).await {
                        tracing::warn!(%error, "what came of asking a customer could not be written");
                    }
                    drop(permit);
                });
            }
        }
        self.forget_ask_counts().await
    }

    /// Does what is due about one; gives what is to leave, once its row says so.
    async fn ask_step(&self, row: &AskRow) -> Result<Option<(AskRow, Way, Question)>, Error> {
        let Some(order) = self.any_order(row.order_id).await? else { return Ok(None) };
        let Some(want) = Want::from_number(row.want) else { return Ok(None) };
        let to = self.asked_number(&order).await?;
        let declined = self.declines(self.party(&to), &order, want).await?;
        let settings = &self.inner.settings;
        let Some(due) = ask::due(row, &order, declined, &settings.asks, &settings.zone, self.now()) else {
            return Ok(None);
        };
        let language = self.tongue(self.account_of(&to).await?).await;
        match due {
            Due::Row(next) => self.ask_moves(row, &next, &order, None).await.map(|_| None),
            Due::Look => {
                let text = self.inner.store.outbox_row(row.id.derived("text")).await?;
                let next = ask::looked(row, text.map(|text| text.state), self.now());
                self.ask_moves(row, &next, &order, None).await.map(|_| None)
            }
            Due::Text(next) => {
                let text = self.ask_text(row.id, &to, &order, want, &language);
                self.ask_moves(row, &next, &order, text).await.map(|_| None)
            }
            Due::Send(next, way) => {
                let code = settings.asks.code(&order.number);
                let question =
                    Question { id: next.id, to, want, number: order.number.clone(), code, language };
                let moved = self.ask_moves(row, &next, &order, None).await?;
                Ok(moved.then_some((next, way, question)))
            }
        }
    }

    /// Nothing is told of an order when its time has passed.
    fn ask_text(
        &self,
        ask: Id,
        to: &Msisdn,
        order: &OrderRow,
        want: Want,
        language: &str,
    ) -> Option<OutboxRow> {
        let settings = &self.inner.settings;
        let body = texts::text(language, order, want, &settings.asks.code(&order.number))?;
        let now = self.now();
        let usual = i64::try_from(settings.sms_validity.as_micros()).unwrap_or(i64::MAX);
        let left = order.due_at.map_or(usual, |due| due.saturating_sub(now));
        Some(OutboxRow::waiting(ask.derived("text"), SMS, to.as_str(), body, now, usual.min(left)))
    }

    /// Writes a row's next state, its text, and what the merchant is told. False when somebody else was faster.
    async fn ask_moves(
        &self,
        from: &AskRow,
        next: &AskRow,
        order: &OrderRow,
        text: Option<OutboxRow>,
    ) -> Result<bool, Error> {
        let mut ops = vec![Op::set(next)];
        ops.extend(text.map(Op::Outbox));
        // What was told when a text left is not told again when its fate stays open.
        let news = next.state != from.state && from.state != ask::State::Texted.number();
        let event = ask::State::from_number(next.state).and_then(ask::State::event);
        if let Some(event) = event.filter(|_| news) {
            let told = self.merchant(order.merchant).await?.is_some_and(|row| row.webhook_url.is_some());
            let id = next.id.derived(&format!("webhook {}", next.version));
            let data = ask::data(next);
            ops.push(Op::add(&webhook::about(event, order, "ask", &data, id, next.updated_at, told)));
        }
        crash_point("ask_step");
        match self.commit(ops).await? {
            Ok(_) => Ok(true),
            Err(Refusal::Stale) => Ok(false),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// One screen or one call, and what came of it.
    async fn ask_once(&self, sending: AskRow, way: Way, question: Question) -> Result<(), Error> {
        let ways = self.inner.ways.get().cloned().unwrap_or_default();
        let asks = if way == Way::Call { ways.calls } else { ways.screens };
        let said = tokio::time::timeout(SEND_WITHIN, asks.ask(question)).await.unwrap_or(Said::Unknown);
        crash_point("ask_sent");
        let Some(order) = self.any_order(sending.order_id).await? else { return Ok(()) };
        let next = ask::sent(&sending, &said, self.now());
        self.ask_moves(&sending, &next, &order, None).await.map(|_| ())
    }

    /// Counts of past days are of no use.
    async fn forget_ask_counts(&self) -> Result<(), Error> {
        let old = Select::<AskCountRow>::new().below("day", &self.today().saturating_sub(1)).limit(ROUND_MAX);
        let rows = self.inner.store.records(&old).await?;
        let gone: Vec<Op> =
            rows.iter().map(|row| Op::remove::<AskCountRow>(&[cell(&row.day), cell(&row.subject)])).collect();
        if !gone.is_empty() {
            self.commit(gone).await?.map_err(Error::Refused)?;
        }
        Ok(())
    }
}

/// What was read for a decision, and how it is counted.
struct Known {
    asks: Vec<AskRow>,
    merchant_today: i64,
    customer_today: i64,
    declined: bool,
    counted: Vec<Op>,
}

impl Known {
    fn seen(&self) -> Seen<'_> {
        Seen {
            asks: &self.asks,
            merchant_today: self.merchant_today,
            customer_today: self.customer_today,
            declined: self.declined,
        }
    }
}
