//! A market on loopback for payment tests: the payment core on a database of its own, a sandbox carrier on a
//! port of its own, and the callback route between them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use keytone::clock::Clock;
use keytone::connector::definition::Definition;
use keytone::connector::http::Connector;
use keytone::connector::key::Key;
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::msisdn::Msisdn;
use keytone::payment::answer::{Channel, PayOutcome, PayRequest, Pin};
use keytone::payment::pin::Peppers;
use keytone::payment::row::{PaymentRow, State as Stage};
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{OpenAccount, Parts, Payments, audit};
use keytone::payment::settings::Settings;
use keytone::secret::Secret;
use keytone::store::Store;

use crate::support::postgres;

/// The PIN of every account here.
pub(crate) const PIN: &str = "739154";
/// How long a test waits for what must come, on a machine that has other work too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which database.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// What a test changes before the market opens.
pub(crate) struct Plans {
    pub(crate) settings: Settings,
    pub(crate) carrier: sandbox::Config,
    /// The connector's file.
    pub(crate) connector: String,
    /// The numbering plan.
    pub(crate) plan: String,
    /// Files of more connectors.
    pub(crate) also: Vec<String>,
}

pub(crate) struct Market {
    pub(crate) payments: Payments,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) carrier_log: PathBuf,
    pub(crate) url: String,
    pub(crate) writer: Writer,
    currency: Currency,
    connector: Connector,
    writing: JoinHandle<()>,
    stop: CancellationToken,
    dir: tempfile::TempDir,
}

pub(crate) fn provider() {
    // A second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn phone(text: &str) -> Msisdn {
    Msisdn::parse(text).unwrap()
}

pub(crate) fn cny() -> Currency {
    Currency::new("CNY").unwrap()
}

/// Settings with the short times that tests need.
pub(crate) fn quick_settings() -> Settings {
    let millis = Duration::from_millis;
    let mut settings = Settings::demo(cny());
    settings.answer_within = millis(1_500);
    settings.poll_every = millis(30);
    settings.status_schedule = vec![millis(100); 60];
    settings.pin.delay = Duration::ZERO;
    settings
}

/// Stops the test, not the process: the writer's task ends and whoever waits for it is told.
pub(crate) fn broken(why: &str) -> ! {
    panic!("the books are broken: {why}")
}

async fn callback(
    State(payments): State<Arc<OnceLock<Payments>>>,
    Path(connector): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap_or_default().to_owned()))
        .collect();
    let Some(payments) = payments.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    };
    let reply = payments.callback(&connector, &headers, &body).await;
    (StatusCode::from_u16(reply.status).unwrap(), reply.body)
}

/// Serves callbacks for payments that are made after the port is known.
pub(crate) async fn serve_callbacks(stop: CancellationToken) -> (String, Arc<OnceLock<Payments>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let slot = Arc::new(OnceLock::new());
    let app = Router::new().route("/callbacks/{connector}", post(callback)).with_state(Arc::clone(&slot));
    tokio::spawn(async move {
        axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap();
    });
    (url, slot)
}

impl Market {
    pub(crate) async fn open(database: Database) -> Self {
        Self::open_with(database, |_| {}).await
    }

    pub(crate) async fn open_with(database: Database, change: impl FnOnce(&mut Plans)) -> Self {
        Self::open_at(Clock::machine(), database, change).await
    }

    /// With a clock that the test may move by hand.
    pub(crate) async fn open_at(clock: Clock, database: Database, change: impl FnOnce(&mut Plans)) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let url = match database {
            Database::Sqlite => format!("sqlite:{}", dir.path().join("books.db").display()),
            Database::Postgres => postgres::database_url().await,
        };
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let stop = CancellationToken::new();
        let (http, slot) = serve_callbacks(stop.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let carrier_log = dir.path().join("carrier.log");
        let mut carrier = sandbox::Config::new(carrier_log.clone(), clock.clone());
        carrier.callback_url = Some(format!("{http}/callbacks/sandbox"));
        carrier.slow = Duration::from_millis(150);
        carrier.later = Duration::from_millis(150);
        carrier.hang = Duration::from_secs(5);
        let connector = sandbox::definition_toml(&base_url)
            .replace("timeout_ms = 5000", "timeout_ms = 500")
            .replace("not_found_after_ms = 10000", "not_found_after_ms = 1500");
        let mut plans = Plans {
            settings: quick_settings(),
            carrier,
            connector,
            plan: sandbox::PLAN.to_owned(),
            also: Vec::new(),
        };
        change(&mut plans);
        let key = plans.carrier.key.clone();
        tokio::spawn(sandbox::serve(plans.carrier, listener, stop.clone()));
        let (writer, writing) = Writer::start(store.clone(), clock.clone(), broken);
        let connector = connector_of(&plans.connector, &key, &clock);
        let payments = Payments::start(Parts {
            settings: plans.settings,
            store: store.clone(),
            writer: writer.clone(),
            connectors: [connector.clone()]
                .into_iter()
                .chain(plans.also.iter().map(|file| connector_of(file, &key, &clock)))
                .collect(),
            plan: Plan::parse(&plans.plan).unwrap(),
            peppers: Peppers::single(Secret::from("0123456789abcdef")),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        assert!(slot.set(payments.clone()).is_ok());
        tokio::spawn(payments.clone().run(stop.clone()));
        let currency = cny();
        Self { payments, store, clock, carrier_log, url, writer, currency, connector, writing, stop, dir }
    }

    /// A second node on the same database and carrier.
    pub(crate) async fn second_node(&self) -> (Payments, CancellationToken) {
        let (writer, _) = Writer::start(self.store.clone(), self.clock.clone(), broken);
        let payments = Payments::start(Parts {
            settings: self.payments.settings().clone(),
            store: self.store.clone(),
            writer,
            connectors: vec![self.connector.clone()],
            plan: self.payments.plan().clone(),
            peppers: Peppers::single(Secret::from("0123456789abcdef")),
            clock: self.clock.clone(),
        })
        .await
        .unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(payments.clone().run(stop.clone()));
        (payments, stop)
    }

    /// An account with this number, the PIN and this much money.
    pub(crate) async fn account(&self, number: &str, balance_minor: i64) -> Id {
        let open = OpenAccount { msisdn: Some(phone(number)), pin: Some(Secret::from(PIN)) };
        let account = self.payments.open_account(open).await.unwrap();
        if balance_minor > 0 {
            self.payments.credit(self.id(), account, balance_minor).await.unwrap();
        }
        account
    }

    /// Its carrier.
    pub(crate) fn connector(&self) -> Connector {
        self.connector.clone()
    }

    pub(crate) fn id(&self) -> Id {
        Id::new(self.clock.now().0)
    }

    /// A request to recharge `target` from `account`, whose number is `caller`.
    pub(crate) fn request(&self, account: Id, caller: &str, target: &str, amount_minor: i64) -> PayRequest {
        PayRequest {
            id: self.id(),
            account,
            caller: Some(phone(caller)),
            channel: Channel::Voice,
            phone: phone(target),
            amount_minor,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        }
    }

    /// Pays and tells the outcome.
    pub(crate) async fn pay(&self, account: Id, caller: &str, target: &str, amount_minor: i64) -> PayOutcome {
        self.payments.pay(self.request(account, caller, target, amount_minor)).await.unwrap()
    }

    /// Balance and what of it is held.
    pub(crate) async fn money(&self, account: Id) -> (i64, i64) {
        let row = self.store.account(account).await.unwrap().unwrap();
        (row.balance_minor, row.held_minor)
    }

    pub(crate) async fn house(&self, house: House<'_>) -> i64 {
        self.store.account(house.id(self.currency)).await.unwrap().unwrap().balance_minor
    }

    pub(crate) async fn payment(&self, id: Id) -> PaymentRow {
        self.store.payment(id).await.unwrap().expect("the payment exists")
    }

    /// Waits until a payment is in this state.
    pub(crate) async fn until(&self, id: Id, state: Stage) -> PaymentRow {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let payment = self.payment(id).await;
                if payment.state == state {
                    return payment;
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        });
        match waited.await {
            Ok(payment) => payment,
            Err(_) => {
                let view = self.payments.payment(id).await.unwrap().unwrap();
                panic!("not {state:?}: {:#?}", view.events);
            }
        }
    }

    /// What the carrier remembers of a number.
    pub(crate) fn carrier(&self, target: &str) -> Vec<sandbox::Record> {
        let mut all = sandbox::read_log(&self.carrier_log).unwrap_or_default();
        all.retain(|r| r.msisdn == target);
        all
    }

    /// Stops everything, and proves the books.
    pub(crate) async fn close(self) {
        let (store, _dir) = self.end().await;
        let report = audit::verify(&store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        store.close().await;
    }

    /// Stops everything, and leaves the books as they are, in a folder that lives as long as what is given with them.
    pub(crate) async fn end(self) -> (Store, tempfile::TempDir) {
        assert!(self.payments.drain(PATIENCE).await, "a payment is still under way");
        self.stop.cancel();
        self.writer.stop();
        self.writing.await.expect("the writer ends in peace");
        (self.store, self.dir)
    }
}

pub(crate) fn connector_of(file: &str, key: &Key, clock: &Clock) -> Connector {
    let definition = Definition::parse(file, |_| Ok(key.clone())).unwrap();
    Connector::new(definition, clock.clone()).unwrap()
}
