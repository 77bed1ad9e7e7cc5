//! A small world on this machine for `demo` and `talk`: a temporary database, customers with money, and a sandbox
//! carrier on loopback. It vanishes with its folder.

use anyhow::{Context, anyhow};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{Core, Money};
use crate::clock::Clock;
use crate::connector::numbering::Plan;
use crate::connector::sandbox;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::pin::Peppers;
use crate::payment::row::Id;
use crate::payment::run::OpenAccount;
use crate::payment::run::agents::NewAgent;
use crate::payment::settings::Settings;
use crate::secret::Secret;
use crate::store::Store;

/// A customer of the demo: number, PIN, balance and own limit a day, minor units. These PINs guard nothing.
const CUSTOMERS: &[(&str, &str, i64, Option<i64>)] = &[
    ("+8613800000001", "284913", 500_000, None),
    ("+8613800000002", "517362", 500_000, Some(10_000)),
    ("+8613800000003", "690274", 3_000, None),
];
/// The customer who sells balance to the others.
const AGENT: &str = "+8613800000002";
/// What the house has paid the sandbox carrier in advance, minor units.
const FLOAT_MINOR: i64 = 500_000;

/// A customer who can be tried.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) msisdn: Msisdn,
    pub(super) pin: &'static str,
    pub(super) balance_minor: i64,
}

/// The world, while it lasts.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) customers: Vec<Customer>,
    /// The sandbox carrier, such as `http://127.0.0.1:9100`.
    pub(super) carrier: String,
    pub(super) carrier_log: std::path::PathBuf,
    folder: TempDir,
    stop: CancellationToken,
    carrier_task: JoinHandle<Result<(), sandbox::Error>>,
}

/// The demo's currency.
pub(super) fn currency() -> Currency {
    Currency::new("CNY").unwrap_or(Currency::NONE)
}

impl World {
    /// Makes it. Callbacks of the carrier go to `callback`, if there is one.
    pub(super) async fn open(clock: &Clock, callback: Option<String>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("keytone-demo-").tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port on loopback")?;
        let carrier = format!("http://{}", listener.local_addr()?);
        let carrier_log = folder.path().join("carrier.log");
        let stop = CancellationToken::new();
        let mut config = sandbox::Config::new(carrier_log.clone(), clock.clone());
        config.callback_url = callback;
        let carrier_task = tokio::spawn(sandbox::serve(config, listener, stop.clone()));

        let database = format!("sqlite:{}", folder.path().join("keytone.db").display());
        let store = Store::open(&database).await?;
        store.migrate().await?;
        store.close().await;
        let faults = |what: &str, faults: Vec<_>| anyhow!("{what}: {faults:?}");
        let money = Money {
            database,
            settings: Settings::demo(currency()),
            definitions: vec![
                sandbox::definition(&carrier).map_err(|f| faults("the sandbox's connector", f))?,
            ],
            plan: Plan::parse(sandbox::PLAN).map_err(|f| faults("the demo's numbering plan", f))?,
            peppers: peppers()?,
        };
        let core = Core::open(money, clock).await?;
        let mut world =
            Self { core, customers: Vec::new(), carrier, carrier_log, folder, stop, carrier_task };
        world.populate(clock).await?;
        Ok(world)
    }

    async fn populate(&mut self, clock: &Clock) -> anyhow::Result<()> {
        let id = || Id::new(clock.now().0);
        let payments = &self.core.payments;
        payments.fund_float(id(), sandbox::CONNECTOR, FLOAT_MINOR).await?;
        for (number, pin, balance_minor, own_limit) in CUSTOMERS {
            let msisdn = Msisdn::parse(number)?;
            let open = OpenAccount { msisdn: Some(msisdn.clone()), pin: Some(Secret::from(*pin)) };
            let account = payments.open_account(open).await?;
            payments.credit(id(), account, *balance_minor).await?;
            if own_limit.is_some() {
                payments.set_limits(account, *own_limit, None).await?;
            }
            if *number == AGENT {
                payments.add_agent(agent(account, msisdn.clone())).await?;
            }
            self.customers.push(Customer { msisdn, pin, balance_minor: *balance_minor });
        }
        Ok(())
    }

    /// Parts the core from its surroundings, which go last.
    pub(super) fn split(self) -> (Core, Surroundings) {
        let surroundings = Surroundings {
            customers: self.customers,
            carrier: self.carrier,
            carrier_log: self.carrier_log,
            folder: self.folder,
            stop: self.stop,
            task: self.carrier_task,
        };
        (self.core, surroundings)
    }
}

/// The world without its core.
pub(super) struct Surroundings {
    pub(super) customers: Vec<Customer>,
    pub(super) carrier: String,
    pub(super) carrier_log: std::path::PathBuf,
    folder: TempDir,
    stop: CancellationToken,
    task: JoinHandle<Result<(), sandbox::Error>>,
}

impl Surroundings {
    /// Where its files are.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Stops the carrier and removes the folder.
    pub(super) async fn vanish(self) {
        self.stop.cancel();
        let _ = self.task.await;
        drop(self.folder);
    }
}

fn agent(account: Id, phone: Msisdn) -> NewAgent {
    NewAgent {
        account,
        phone,
        name: "Wang".to_owned(),
        language: "en".to_owned(),
        details: "ICBC 6222 0001".to_owned(),
        price_ppm: 980_000,
        least_minor: 1_000,
        most_minor: 60_000,
        fee_minor: 50,
    }
}

fn peppers() -> anyhow::Result<Peppers> {
    let mut key = vec![0_u8; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow!("no randomness: {e}"))?;
    Ok(Peppers::single(Secret::new(key)))
}
