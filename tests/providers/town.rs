//! A payment core between a sandbox wallet, a sandbox carrier and a sandbox biller.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::http::Connector;
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::connector::sandbox::{biller, provider as wallet};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::msisdn::Msisdn;
use keytone::payment::answer::{BillAnswer, BillRequest, Channel, PayOutcome, PayRequest, Pin, Quote};
use keytone::payment::bill::{Biller, CheckDigit, Directory, Rule};
use keytone::payment::pin::Peppers;
use keytone::payment::provider::{Provider, Providers};
use keytone::payment::row::State;
use keytone::payment::row::provider::ReservationRow;
use keytone::payment::run::staff::Asked;
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{OpenAccount, Parts, Payments, audit};
use keytone::payment::saga::Stage;
use keytone::payment::settings::Settings;
use keytone::payment::staff::Act;
use keytone::secret::Secret;
use keytone::store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::market::{
    Database, PIN, broken, cny, connector_of, phone, provider, quick_settings, serve_callbacks,
};
use crate::support::postgres as server;

pub(super) const WALLET: &str = wallet::CONNECTOR;
const PATIENCE: Duration = Duration::from_secs(60);

/// A customer whose money the wallet holds.
#[derive(Clone)]
pub(super) struct Customer {
    pub(super) id: Id,
    pub(super) external_id: String,
    pub(super) number: Msisdn,
}

pub(super) struct Town {
    pub(super) payments: Payments,
    pub(super) store: Store,
    pub(super) wallet_stop: CancellationToken,
    clock: Clock,
    settings: Settings,
    connectors: Vec<Connector>,
    wallet_log: PathBuf,
    pub(super) wallet_url: String,
    pub(super) carrier_url: String,
    pub(super) database_url: String,
    carrier_log: PathBuf,
    writer: Writer,
    writing: JoinHandle<()>,
    stop: CancellationToken,
    world: CancellationToken,
    customers: Arc<AtomicU32>,
    dir: tempfile::TempDir,
}

fn billers() -> Directory {
    Directory::new(vec![Biller {
        id: "exact".to_owned(),
        code: "101".to_owned(),
        name: "City exact".to_owned(),
        kind: "water".to_owned(),
        connector: biller::CONNECTOR.to_owned(),
        digits_min: 6,
        digits_max: 10,
        check: CheckDigit::None,
        fee_minor: 50,
        rule: Rule::Exact,
        payment_limit_minor: None,
    }])
}

fn quick(file: &str) -> String {
    file.replace("timeout_ms = 5000", "timeout_ms = 600")
        .replace("not_found_after_ms = 10000", "not_found_after_ms = 1500")
}

impl Town {
    pub(super) async fn open(database: Database) -> Self {
        Self::build(database, |_| {}, |file| file, false).await
    }

    pub(super) async fn open_with(database: Database, change: impl FnOnce(&mut Settings)) -> Self {
        Self::build(database, change, |file| file, false).await
    }

    /// The wallet's file is another.
    pub(super) async fn open_changed(database: Database, file: impl FnOnce(String) -> String) -> Self {
        Self::build(database, |_| {}, file, false).await
    }

    /// The wallet tells by messages of its own too.
    pub(super) async fn open_told(database: Database, file: impl FnOnce(String) -> String) -> Self {
        Self::build(database, |_| {}, file, true).await
    }

    pub(super) async fn open_without_refunds(database: Database) -> Self {
        let without = |file: String| {
            let (before, rest) = file.split_once("[refund]").unwrap();
            let (_, after) = rest.split_once("[reserve_status]").unwrap();
            format!("{before}[reserve_status]{after}")
        };
        Self::build(database, |_| {}, without, false).await
    }

    async fn build(
        database: Database,
        change: impl FnOnce(&mut Settings),
        wallet_file: impl FnOnce(String) -> String,
        tells: bool,
    ) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let database_url = match database {
            Database::Sqlite => format!("sqlite:{}", dir.path().join("books.db").display()),
            Database::Postgres => server::database_url().await,
        };
        let store = Store::open(&database_url).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Clock::machine();
        let (world, wallet_stop) = (CancellationToken::new(), CancellationToken::new());
        let (http, slot) = serve_callbacks(world.clone()).await;
        let listen = || async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            (listener, url)
        };
        let millis = Duration::from_millis;
        let wallet_log = dir.path().join("wallet.log");
        let (listener, wallet_url) = listen().await;
        let mut config = wallet::Config::new(wallet_log.clone(), clock.clone());
        (config.slow, config.later, config.hang) = (millis(150), millis(150), Duration::from_secs(5));
        config.callback_url = tells.then(|| format!("{http}/callbacks/{WALLET}"));
        let key = config.key.clone();
        tokio::spawn(wallet::serve(config, listener, wallet_stop.clone()));
        let file = wallet_file(quick(&wallet::definition_toml(&wallet_url)));
        let mut connectors = vec![connector_of(&file, &key, &clock)];
        let carrier_log = dir.path().join("carrier.log");
        let (listener, carrier_url) = listen().await;
        let mut config = sandbox::Config::new(carrier_log.clone(), clock.clone());
        config.callback_url = Some(format!("{http}/callbacks/{}", sandbox::CONNECTOR));
        (config.slow, config.later, config.hang) = (millis(150), millis(150), Duration::from_secs(5));
        tokio::spawn(sandbox::serve(config, listener, world.clone()));
        connectors.push(connector_of(&quick(&sandbox::definition_toml(&carrier_url)), &key, &clock));
        let (listener, url) = listen().await;
        let mut config = biller::Config::new(dir.path().join("biller.log"), clock.clone());
        config.hang = Duration::from_secs(5);
        tokio::spawn(biller::serve(config, listener, world.clone()));
        connectors.push(connector_of(&quick(&biller::definition_toml(&url)), &key, &clock));
        let mut settings = Settings { billers: billers(), ..settings() };
        change(&mut settings);
        let (payments, writer, writing) = start(&store, &clock, &settings, &connectors).await;
        assert!(slot.set(payments.clone()).is_ok());
        let stop = CancellationToken::new();
        tokio::spawn(payments.clone().run(stop.clone()));
        Self {
            payments,
            store,
            wallet_stop,
            clock,
            settings,
            connectors,
            wallet_log,
            wallet_url,
            carrier_url,
            database_url,
            carrier_log,
            writer,
            writing,
            stop,
            world,
            customers: Arc::default(),
            dir,
        }
    }

    /// The core ends, and another begins on the same database between the same outsiders. Callbacks go to the first, which takes
    /// them no more.
    pub(super) async fn restart(self) -> Self {
        self.restart_after(async {}).await
    }

    /// What happens in `between` finds no core.
    pub(super) async fn restart_after(self, between: impl Future<Output = ()>) -> Self {
        self.stop.cancel();
        self.writer.stop();
        self.writing.await.unwrap();
        between.await;
        let (payments, writer, writing) =
            start(&self.store, &self.clock, &self.settings, &self.connectors).await;
        payments.recover().await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(payments.clone().run(stop.clone()));
        Self { payments, writer, writing, stop, ..self }
    }

    /// An id that nothing else has.
    pub(super) fn id(&self) -> Id {
        Id::new(self.clock.now().0)
    }

    /// A customer whose account at the wallet ends in `suffix`.
    pub(super) async fn account(&self, suffix: &str) -> Customer {
        let n = self.customers.fetch_add(1, Ordering::SeqCst);
        let number = phone(&format!("+8613900{n:06}"));
        let external_id = format!("w-{n:04}{suffix}");
        let open = OpenAccount { msisdn: Some(number.clone()), pin: Some(Secret::from(PIN)) };
        let id = self.payments.open_outside_account(open, WALLET, &external_id).await.unwrap();
        Customer { id, external_id, number }
    }

    pub(super) fn request(&self, customer: &Customer, carrier: &str) -> PayRequest {
        PayRequest {
            id: Id::new(self.clock.now().0),
            account: customer.id,
            caller: Some(customer.number.clone()),
            channel: Channel::Voice,
            phone: phone(&format!("+8613800000{carrier}")),
            amount_minor: 5_000,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        }
    }

    /// Recharges a number that ends in `carrier` with 50.
    pub(super) async fn pay(&self, customer: &Customer, carrier: &str) -> (Id, PayOutcome) {
        let request = self.request(customer, carrier);
        (request.id, self.payments.pay(request).await.unwrap())
    }

    /// Asks for a bill and pays it.
    pub(super) async fn pay_bill(&self, customer: &Customer, number: &str) -> Id {
        let bill = match self.payments.inquire(customer.id, "101", number).await.unwrap() {
            BillAnswer::Found(bill) => bill,
            other => panic!("{number}: {other:?}"),
        };
        let request = BillRequest {
            id: Id::new(self.clock.now().0),
            account: customer.id,
            caller: Some(customer.number.clone()),
            channel: Channel::Voice,
            biller: "101".to_owned(),
            number: number.to_owned(),
            amount_minor: bill.amount_minor,
            fee_minor: bill.fee_minor,
            pin: Pin::Typed(Secret::from(PIN)),
        };
        let id = request.id;
        self.payments.pay_bill(request).await.unwrap();
        id
    }

    pub(super) async fn quote(&self, customer: &Customer) -> Quote {
        let target = phone("+8613800000777");
        self.payments.quote(customer.id, Channel::Voice, &target, 5_000, false).await.unwrap()
    }

    /// Pays all of these at once, each from an account of its own; waits until both outsiders are done with each, and judges
    /// how it ended: the customer has paid exactly if he got what he paid, and was never told otherwise.
    pub(super) async fn settle(
        &self,
        cases: Vec<(&'static str, &'static str)>,
    ) -> Vec<(&'static str, &'static str, State)> {
        let mut tasks = Vec::new();
        for (suffix, carrier) in cases {
            let customer = self.account(suffix).await;
            let request = self.request(&customer, carrier);
            let payments = self.payments.clone();
            let id = request.id;
            tasks.push((
                suffix,
                carrier,
                id,
                tokio::spawn(async move { payments.pay(request).await.unwrap() }),
            ));
        }
        let mut ended = Vec::new();
        for (suffix, carrier, id, task) in tasks {
            let outcome = task.await.unwrap();
            let context = format!("{suffix} {carrier}, told {outcome:?}");
            let state = self.judge(id, &context).await;
            let lie = match state {
                State::Delivered => "refused",
                _ => "delivered",
            };
            assert_ne!(outcome.name(), lie, "{context}: {state:?}");
            ended.push((suffix, carrier, state));
        }
        ended
    }

    /// Waits until both outsiders are done with a payment: the customer has paid exactly if he got what he paid.
    pub(super) async fn judge(&self, id: Id, context: &str) -> State {
        let row = self.until_row(id, |row| !row.open).await;
        let state = self.state(id).await;
        let stage = Stage::from_number(row.stage).unwrap();
        let held = self.held(id).await.map(|record| record.state);
        let context = format!("{context}: {state:?}, {stage:?}, the wallet says {held:?}");
        match state {
            State::Delivered => {
                assert_eq!((stage, held.as_deref()), (Stage::Captured, Some("captured")), "{context}");
            }
            State::Refused => {
                let free = held.as_deref().is_none_or(|s| ["refused", "released", "refunded"].contains(&s));
                assert!(free, "{context}");
            }
            _ => panic!("not at its end: {context}"),
        }
        state
    }

    /// Does as one of staff.
    pub(super) async fn staff(&self, act: Act) {
        let asked = Asked {
            id: Id::new(self.clock.now().0),
            who: "ana".to_owned(),
            reason: "returned".to_owned(),
            evidence: "letter 17".to_owned(),
            act,
        };
        self.payments.ask_staff(&asked).await.unwrap().unwrap();
    }

    /// What a process of its own is to do between the same outsiders.
    pub(super) fn role(&self, part: &str, of: &[String]) -> String {
        let with = [part, &self.database_url, &self.wallet_url, &self.carrier_url].map(str::to_owned);
        [with.as_slice(), of].concat().join(" ")
    }

    pub(super) async fn row(&self, id: Id) -> ReservationRow {
        self.payments.reservation_of(id).await.unwrap().expect("something was reserved")
    }

    pub(super) async fn state(&self, id: Id) -> State {
        self.store.payment(id).await.unwrap().unwrap().state
    }

    pub(super) async fn until(&self, id: Id, stage: Stage) -> ReservationRow {
        self.until_row(id, |row| row.stage == stage.number()).await
    }

    pub(super) async fn until_row(&self, id: Id, holds: impl Fn(&ReservationRow) -> bool) -> ReservationRow {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(row) = self.payments.reservation_of(id).await.unwrap()
                    && holds(&row)
                {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        });
        match waited.await {
            Ok(row) => row,
            Err(_) => {
                let view = self.payments.payment(id).await.unwrap();
                panic!("{:#?} {:#?}", self.payments.reservation_of(id).await.unwrap(), view.map(|v| v.events))
            }
        }
    }

    /// What the wallet remembers of a payment.
    pub(super) async fn held(&self, id: Id) -> Option<sandbox::Record> {
        let reference = self.row(id).await.reference;
        self.all_held().await.into_iter().find(|record| record.reference == reference)
    }

    pub(super) async fn all_held(&self) -> Vec<sandbox::Record> {
        sandbox::read_log(&self.wallet_log).unwrap_or_default()
    }

    pub(super) fn asked_of_carrier(&self) -> usize {
        sandbox::read_log(&self.carrier_log).unwrap_or_default().len()
    }

    /// Whether the wallet takes connections.
    pub(super) async fn wallet_answers(&self) -> bool {
        let address = self.wallet_url.trim_start_matches("http://");
        tokio::net::TcpStream::connect(address).await.is_ok()
    }

    pub(super) async fn money(&self, account: Id) -> (i64, i64) {
        let row = self.store.account(account).await.unwrap().unwrap();
        (row.balance_minor, row.held_minor)
    }

    pub(super) async fn house(&self, house: House<'_>) -> i64 {
        self.store.account(house.id(cny())).await.unwrap().unwrap().balance_minor
    }

    /// Stops everything, and proves the books.
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.payments.drain(PATIENCE).await;
        self.world.cancel();
        self.wallet_stop.cancel();
        self.writer.stop();
        self.writing.await.expect("the writer ends in peace");
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        self.store.close().await;
        drop(self.dir);
    }
}

pub(super) fn settings() -> Settings {
    let mut settings = quick_settings();
    settings.pin.tries_max = 1_000;
    settings.providers = Providers::new(vec![Provider {
        reserve_within: Duration::from_secs(3),
        retry_first: Duration::from_millis(20),
        retry_max: Duration::from_millis(200),
        ..Provider::new(WALLET, "Wallet")
    }]);
    settings
}

/// The wallet and the carrier at these addresses.
pub(super) fn outsiders(wallet_url: &str, carrier_url: &str, clock: &Clock) -> Vec<Connector> {
    let key = sandbox::Config::new(PathBuf::new(), clock.clone()).key;
    [wallet::definition_toml(wallet_url), sandbox::definition_toml(carrier_url)]
        .map(|file| connector_of(&quick(&file), &key, clock))
        .to_vec()
}

pub(super) async fn start(
    store: &Store,
    clock: &Clock,
    settings: &Settings,
    connectors: &[Connector],
) -> (Payments, Writer, JoinHandle<()>) {
    let (writer, writing) = Writer::start(store.clone(), clock.clone(), broken);
    let payments = Payments::start(Parts {
        settings: settings.clone(),
        store: store.clone(),
        writer: writer.clone(),
        connectors: connectors.to_vec(),
        plan: Plan::parse(sandbox::PLAN).unwrap(),
        peppers: Peppers::single(Secret::from("0123456789abcdef")),
        clock: clock.clone(),
    })
    .await
    .unwrap();
    (payments, writer, writing)
}
