//! Drives payments: asks the store, commits through the writer, asks carriers, waits, and takes up what was
//! left.
//!
//! Every step that moves money is one commit of the writer; no transaction is open while a carrier is asked.
//! A caller who hangs up, or a future that is dropped, stops nothing that was confirmed.

mod account;
mod admin;
pub mod agents;
pub mod alarms;
mod ask;
pub mod asks;
pub mod audit;
mod balance;
mod bills;
mod callback;
mod changes;
pub mod charges;
pub mod charging;
pub mod close;
pub mod crash;
pub mod findings;
mod identity;
pub mod import;
mod lanes;
mod lookup;
mod lost;
mod merchants;
mod messages;
mod news;
mod orders;
pub mod outside_orders;
pub mod passbook;
mod pay;
mod pool;
mod providers;
pub mod reconcile;
mod resolve;
pub mod restored;
pub mod retention;
mod routes;
mod schedule;
mod sessions;
pub mod staff;
mod stranger;
mod testbook;
mod tiers;
mod trust;
mod turns;
pub mod upkeep;
mod vouchers;
mod webhooks;
mod within;
pub mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::connector::contract::Description;
use crate::connector::http::{Connector, Wire};
use crate::connector::numbering::Plan;
use crate::connector::pace::Pace;
use crate::ledger::chart::House;
use crate::ledger::row::Id;
use crate::msisdn::{Assurance, Msisdn};
use crate::payment::answer::Change;
use crate::payment::audit::Entry;
use crate::payment::pin;
use crate::payment::pin::Peppers;
use crate::payment::row::{OutboxRow, OutboxState, PaymentRow, Target};
use crate::payment::run::asks::Ways;
use crate::payment::run::lookup::Lookups;
use crate::payment::run::pool::Pool;
use crate::payment::run::trust::Swaps;
use crate::payment::run::turns::Turns;
use crate::payment::run::writer::Writer;
use crate::payment::seal::Seals;
use crate::payment::settings::Settings;
use crate::payment::staff::AGENTS;
use crate::payment::unit::{Done, Op, Posting, Refusal, Unit};
use crate::store::Store;

pub use account::LimitSet;
pub use admin::{AccountView, OpenAccount, PaymentView, Scope};
pub use balance::Balance;
pub use crash::crash_point;
pub use identity::{Changed, CodeSent, PinSet};
pub use lost::LostPin;
pub use merchants::{MerchantFault, NewMerchant};
pub use orders::{Fault, NewOrder, OrderFilter, OrderPayment, PayOrder};
pub use schedule::Recovered;
pub use stranger::{Claimed, Proved};
pub use trust::Needs;
pub use within::HELD_OUTSIDE;

/// The outbox's kind of an SMS.
const SMS: &str = "sms";

/// Why a question to the payment core has no answer. A refusal is an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too much is waiting; nothing was done.
    #[error("too many payments are waiting")]
    Busy,
    /// The core is shutting down; nothing was done, or it will be taken up at the next start.
    #[error("the payment core is stopping")]
    Stopped,
    /// The database did not answer. What was asked may have been done: ask again with the same id.
    #[error("the database: {0}")]
    Store(#[from] crate::store::Error),
    /// The writer could not commit. What was asked may have been done: ask again with the same id.
    #[error("the writer: {0}")]
    Writer(writer::Error),
    /// The id was used before for something else.
    #[error("this id was used for another request")]
    IdReused,
    /// No such account.
    #[error("no such payment account")]
    NoSuchAccount,
    /// No connector of this name.
    #[error("no such connector")]
    NoSuchConnector,
    /// A route of the numbering plan names a connector that is not there.
    #[error("the numbering plan names the connector \"{0}\", which is not there")]
    RouteWithoutConnector(String),
    /// A biller's connector is not there, or takes no bills.
    #[error("the biller \"{0}\" has no connector that takes bills")]
    BillerWithoutConnector(String),
    /// The test book's connector is not there, takes no recharges, or serves others than testers.
    #[error(
        "the test book's connector \"{0}\" is not there, takes no recharges, or serves live numbers or billers too"
    )]
    TestConnector(String),
    /// The market has no test book.
    #[error("there is no test book: name its connector in the configuration, [test] connector = \"…\"")]
    NoTestBook,
    /// A provider's connector is not there, or holds no accounts.
    #[error("the provider \"{0}\" has no connector that holds accounts")]
    ProviderWithoutConnector(String),
    /// No provider of this name, or not a name that it could have for an account.
    #[error("no such provider, or not an account of it")]
    NoSuchProvider,
    /// The plan or a connector has another currency than the market.
    #[error("{0} has another currency than the market")]
    Currency(String),
    /// The new PIN is not good enough.
    #[error("{0}")]
    PinRefused(#[from] pin::Refusal),
    /// PINs cannot be checked.
    #[error("{0}")]
    Pin(#[from] pin::Error),
    /// What was asked is refused.
    #[error("{0}")]
    Refused(Refusal),
}

impl From<writer::Error> for Error {
    fn from(error: writer::Error) -> Self {
        match error {
            writer::Error::Busy => Self::Busy,
            writer::Error::Stopped => Self::Stopped,
            other => Self::Writer(other),
        }
    }
}

/// What the payment core is made of.
pub struct Parts {
    /// The market's rules.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Its writer.
    pub writer: Writer,
    /// The carriers.
    pub connectors: Vec<Connector>,
    /// Numbers and routes.
    pub plan: Plan,
    /// Keys of PINs.
    pub peppers: Peppers,
    /// The time.
    pub clock: Clock,
}

/// The payment core. Clones are handles on the same one.
#[derive(Clone)]
pub struct Payments {
    inner: Arc<Inner>,
    /// What every commit of this handle is logged as, when staff act.
    acting: Option<Arc<Entry>>,
    /// How far whoever asks by this handle is believed; without it a number that is there is.
    standing: Option<Assurance>,
    /// The language of whoever asks by this handle.
    language: Option<Arc<str>>,
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payments")
    }
}

struct Inner {
    settings: Settings,
    store: Store,
    writer: Writer,
    lookups: Lookups,
    connectors: BTreeMap<String, Connector>,
    plan: Plan,
    peppers: Arc<Peppers>,
    seals: Seals,
    /// This process, as the owner of the messages that it sends.
    owner: Id,
    clock: Clock,
    pool: Pool,
    turns: Turns,
    swaps: Swaps,
    tracker: TaskTracker,
    changes: changes::Changes,
    /// What stands in for HTTP to merchants in a simulation.
    hooks: OnceLock<Arc<dyn Wire>>,
    /// Ways to customers beside texts.
    ways: OnceLock<Ways>,
    /// How fast each key of the API may be used.
    paces: Mutex<BTreeMap<Id, Pace>>,
}

impl Payments {
    /// Checks that the parts fit and opens the house's accounts. Nothing is taken up before
    /// [`Payments::recover`].
    ///
    /// # Errors
    /// When a route names a missing connector, currencies differ, or the database does not answer.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        let Parts { settings, store, writer, connectors, plan, peppers, clock } = parts;
        let connectors: BTreeMap<String, Connector> =
            connectors.into_iter().map(|c| (c.describe().id.clone(), c)).collect();
        if plan.currency != settings.currency {
            return Err(Error::Currency("the numbering plan".to_owned()));
        }
        for route in plan.routes() {
            let connector = connectors
                .get(&route.connector)
                .filter(|connector| connector.takes_recharges())
                .ok_or_else(|| Error::RouteWithoutConnector(route.connector.clone()))?;
            if !connector.describe().currencies.contains(&settings.currency) {
                return Err(Error::Currency(format!("the connector {}", route.connector)));
            }
        }
        for biller in settings.billers.all() {
            let connector = connectors.get(&biller.connector).filter(|c| c.takes_bills());
            let connector = connector.ok_or_else(|| Error::BillerWithoutConnector(biller.id.clone()))?;
            if !connector.describe().currencies.contains(&settings.currency) {
                return Err(Error::Currency(format!("the connector {}", biller.connector)));
            }
        }
        for provider in settings.providers.all() {
            let connector = connectors.get(&provider.connector).filter(|c| c.holds_accounts());
            let connector =
                connector.ok_or_else(|| Error::ProviderWithoutConnector(provider.connector.clone()))?;
            if !connector.describe().currencies.contains(&settings.currency) {
                return Err(Error::Currency(format!("the connector {}", provider.connector)));
            }
        }
        let pool = Pool::new(settings.pin.pool, settings.pin.queue_max);
        let inner = Inner {
            settings,
            lookups: Lookups::start(store.clone(), clock.clone()),
            store,
            writer,
            connectors,
            plan,
            seals: Seals::new(&peppers)?,
            peppers: Arc::new(peppers),
            owner: Id::new(clock.now().0),
            clock,
            pool,
            turns: Turns::default(),
            swaps: Swaps::default(),
            tracker: TaskTracker::new(),
            changes: changes::Changes::new(),
            hooks: OnceLock::new(),
            ways: OnceLock::new(),
            paces: Mutex::default(),
        };
        let payments = Self { inner: Arc::new(inner), acting: None, standing: None, language: None };
        payments.test_book_fits()?;
        payments.open_house().await?;
        Ok(payments)
    }

    async fn open_house(&self) -> Result<(), Error> {
        let currency = self.inner.settings.currency;
        let at = self.now();
        let mut house = vec![
            House::Funding,
            House::Loss,
            House::Fee,
            House::Tax,
            House::Intermediary,
            House::Rounding,
            House::Bank,
            House::Trust,
            House::Migration,
            House::Commission(AGENTS),
        ];
        for connector in self.inner.connectors.keys() {
            house.extend([House::Float(connector), House::Commission(connector)]);
        }
        for provider in self.inner.settings.providers.all() {
            house.extend([House::Receivable(&provider.connector), House::Settlement(&provider.connector)]);
        }
        for biller in self.inner.settings.billers.all() {
            house.push(House::Biller(&biller.id));
        }
        if self.inner.settings.upkeep.test_connector.is_some() {
            house.extend(testbook::ACCOUNTS.iter().map(|name| House::Test(name)));
        }
        let ops = house.iter().map(|h| Op::OpenAccount(h.row(currency, at))).collect();
        self.commit(ops).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// Merchants are told over `wire`, not by HTTP: for simulations, before [`Payments::run`].
    pub fn tell_over(&self, wire: Arc<dyn Wire>) {
        // The first one stays.
        let _ = self.inner.hooks.set(wire);
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> Result<(), Error> {
        self.inner.store.house_accounts().await?;
        Ok(())
    }

    /// What every connector promises.
    #[must_use]
    pub fn describe(&self) -> Vec<Description> {
        self.inner.connectors.values().map(|c| c.describe().clone()).collect()
    }

    /// The market's rules.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The numbering plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// Every change of a payment from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.all()
    }

    /// Waits until no payment of this process is under way; false when some still are after `within`.
    pub async fn drain(&self, within: Duration) -> bool {
        self.inner.tracker.close();
        tokio::time::timeout(within, self.inner.tracker.wait()).await.is_ok()
    }

    /// Queues an SMS that a conversation composed. For a payment it takes the place of the plain result that
    /// was queued with it, if that has not left yet.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn queue_sms(&self, payment: Option<Id>, to: &Msisdn, body: String) -> Result<(), Error> {
        let row = self.text_row(payment, to, body);
        self.commit(vec![Op::Outbox(row)]).await?.map_err(Error::Refused)?;
        match payment {
            Some(payment) => self.spare_plain_result(payment).await,
            None => Ok(()),
        }
    }

    /// A text message that is due now, as a row. Of one payment the same text is the same row.
    #[must_use]
    pub fn text_row(&self, payment: Option<Id>, to: &Msisdn, body: String) -> OutboxRow {
        let id = payment.map_or_else(|| Id::new(self.now()), |p| p.derived(&format!("sms {body}")));
        OutboxRow { payment, ..self.sms(id, to, body) }
    }

    /// The plain result of a payment is not to be sent, if it has not left yet: the conversation has told a better one. In
    /// this order a crash in between sends both rather than none.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn spare_plain_result(&self, payment: Id) -> Result<(), Error> {
        let at = self.now();
        for queued in self.inner.store.outbox_of(payment).await? {
            if queued.state == OutboxState::Waiting && queued.due_at > at {
                self.replace_waiting(queued.id).await?;
            }
        }
        Ok(())
    }

    fn now(&self) -> i64 {
        self.inner.clock.now().0
    }

    fn today(&self) -> i32 {
        self.inner.clock.now().business_day(&self.inner.settings.zone)
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Result<Done, Refusal>, Error> {
        match &self.acting {
            Some(entry) => self.commit_logged(ops, entry).await,
            None => self.commit_plain(ops).await,
        }
    }

    async fn commit_plain(&self, ops: Vec<Op>) -> Result<Result<Done, Refusal>, Error> {
        Ok(self.inner.writer.commit(Unit { ops }).await?)
    }

    /// Who shares what a payment comes to: the biller of a bill, else the connector's float.
    fn posting_of(&self, payment: &PaymentRow) -> Posting {
        let posting = self.posting(&payment.connector);
        match &payment.target {
            Target::Bill { biller, .. } => {
                Posting { counterparty: House::Biller(biller).id(payment.currency), ..posting }
            }
            Target::Phone(_) | Target::Deal(_) => posting,
        }
    }

    fn posting(&self, connector: &str) -> Posting {
        if let Some(posting) = self.test_posting(connector) {
            return posting;
        }
        let currency = self.inner.settings.currency;
        Posting {
            counterparty: House::Float(connector).id(currency),
            commission: House::Commission(connector).id(currency),
            fee: House::Fee.id(currency),
            tax: House::Tax.id(currency),
        }
    }

    /// The plain result SMS of a payment in its final state, to the caller or else to no one.
    async fn result_sms(&self, payment: &PaymentRow) -> Option<OutboxRow> {
        let recipient = payment.caller.as_ref()?;
        let language = self.tongue(Some(payment.account)).await;
        let body = (self.inner.settings.receipt)(payment, &language)?;
        let now = self.inner.clock.now();
        let settings = &self.inner.settings;
        let conversation = settings.answer_within.saturating_add(settings.sms_grace);
        let age = Duration::from_micros(u64::try_from(now.0.saturating_sub(payment.created_at)).unwrap_or(0));
        let due_at = if age < conversation { now.after(settings.sms_grace).0 } else { now.0 };
        let id = payment.id.derived(&format!("result {}", payment.state.number()));
        Some(OutboxRow { payment: Some(payment.id), due_at, ..self.sms(id, recipient, body) })
    }

    /// An SMS that waits to be sent.
    fn sms(&self, id: Id, to: &Msisdn, body: String) -> OutboxRow {
        let validity = i64::try_from(self.inner.settings.sms_validity.as_micros()).unwrap_or(i64::MAX);
        OutboxRow::waiting(id, SMS, to.as_str(), body, self.now(), validity)
    }
}
