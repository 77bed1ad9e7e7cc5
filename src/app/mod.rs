//! Wiring: opens the database, starts the writer, the payment core, SIP, RTP and HTTP, and stops them in order. `serve`,
//! `demo` and the tests start the same [`Daemon`]; the admin commands need only its [`Core`].

pub mod control;
pub mod dialplans;
pub mod embedded;
mod epoch;
pub mod messaging;
pub mod peppers;
mod ported;
pub mod reload;
mod stale;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::control::Control;
use crate::app::messaging::{Messaging, MessagingFigures, Screens};
use crate::app::reload::{Dialplans, Loaded, Unloaded, Wanted};
use crate::clock::Clock;
use crate::config::{Config, Market};
use crate::connector::definition::Definition;
use crate::connector::document::Fault;
use crate::connector::http::Connector;
use crate::connector::numbering::Plan;
use crate::dialplan::catalog::Settings as Grammar;
use crate::money::Money as Amount;
use crate::payment::alarm::Kind;
use crate::payment::pin::{Peppers, Profile};
use crate::payment::run::alarms::{Others, of_binds};
use crate::payment::run::asks::Ways;
use crate::payment::run::writer::Writer;
use crate::payment::run::{Parts, Payments};
use crate::payment::settings::{PinSettings, Settings, StaffSettings};
use crate::payment::tier::{Tier, Tiers};
use crate::rtp::{Engine, EngineConfig};
use crate::session::registry::{Edition, Registry};
use crate::sip;
use crate::store::Store;
use crate::voice::clips::Clips;
use crate::voice::{Rules, Switchboard};

/// Commands from calls that may wait for the SIP endpoint, and events that may wait for the switchboard.
const SIP_QUEUE_MAX: usize = 4096;
/// How long a stopping daemon waits for calls and payments under way.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// What can keep the daemon from starting or working.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// A carrier's or the numbering plan's file.
    #[error("{file} has faults:\n{}", faults.iter().map(|f| format!("  {f}")).collect::<Vec<_>>().join("\n"))]
    Description {
        /// Which.
        file: String,
        /// All of them.
        faults: Vec<Fault>,
    },
    /// A file that cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Dialplans or prompts that cannot be read.
    #[error(transparent)]
    Dialplans(#[from] dialplans::Error),
    /// Dialplans with faults.
    #[error("the dialplans have faults:\n{0}")]
    Faults(String),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] control::Error),
    /// The pepper file.
    #[error(transparent)]
    Peppers(#[from] peppers::Error),
    /// The database.
    #[error("database: {0}")]
    Store(#[from] crate::store::Error),
    /// The database has no tables, or old ones.
    #[error("the database is not up to date: run `keytone db migrate`")]
    NotMigrated,
    /// The payment core.
    #[error(transparent)]
    Payment(#[from] crate::payment::run::Error),
    /// Threads that were left in the middle could not be taken up.
    #[error("text messages: {0}")]
    Texts(#[from] crate::sms::desk::Error),
    /// A connector that cannot be made.
    #[error("connector: {0}")]
    Connector(#[from] crate::connector::http::Error),
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Media.
    #[error("media: {0}")]
    Media(#[from] crate::rtp::io::Error),
    /// Configuration and numbering plan do not agree.
    #[error("{0}")]
    Disagree(String),
}

/// Everything that the payment core is made from, read and checked.
pub struct Money {
    /// `sqlite:FILE` or `postgres://…`.
    pub database: String,
    /// The market's rules.
    pub settings: Settings,
    /// Carriers.
    pub definitions: Vec<Definition>,
    /// Numbers.
    pub plan: Plan,
    /// PIN keys.
    pub peppers: Peppers,
}

impl Money {
    /// Reads all files that the configuration names.
    ///
    /// # Errors
    /// The first file with faults, all of them named.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let read = |path: &Path| {
            let file = path.display().to_string();
            std::fs::read_to_string(path).map_err(|source| Error::Read { file, source })
        };
        let described = |path: &Path| {
            let file = path.display().to_string();
            |faults| Error::Description { file, faults }
        };
        let mut definitions = Vec::new();
        for path in &config.connectors {
            let text = read(path)?;
            definitions.push(
                Definition::parse(&text, crate::connector::key::Source::load).map_err(described(path))?,
            );
        }
        let plan = plan(config)?;
        let market = &config.market;
        if plan.country != market.country || plan.currency != market.currency {
            return Err(Error::Disagree(format!(
                "{} is for country {} and {}, the market for {} and {}",
                config.numbering.display(),
                plan.country,
                plan.currency,
                market.country,
                market.currency
            )));
        }
        let settings = Settings {
            failover_within: config.routes.failover_within,
            currency: market.currency,
            zone: market.zone.clone(),
            day_limit_minor: market.day_limit_minor,
            payment_limit_minor: market.payment_limit_minor,
            duplicate_window: market.duplicate_window,
            billers: config.billers.clone(),
            charging: config.trade.charging,
            providers: config.providers.clone(),
            bill_day_limit_minor: market.bill_day_limit_minor,
            bill_payment_limit_minor: market.bill_payment_limit_minor,
            answer_within: market.answer_within,
            pin: PinSettings {
                digits_min: config.pin.digits_min,
                digits_max: config.pin.digits_max,
                tries_max: config.pin.tries_max,
                delay: config.pin.delay,
                profile: if config.pin.strict { Profile::Strict } else { Profile::Standard },
                sms_without_pin_minor: config.pin.sms_without_pin_minor,
                sms_without_pin_day_minor: config.pin.sms_without_pin_day_minor,
                ..PinSettings::default()
            },
            webhooks_private: config.trade.orders.webhooks_private,
            order_limit_minor: config.trade.orders.limit_minor,
            order_day_limit_minor: config.trade.orders.day_limit_minor,
            asks: config.trade.asks.clone(),
            api: config.trade.api,
            statements: config.trade.close,
            language: market.language.clone(),
            fee_tax: config.fee_tax,
            alarms: config.alarms.clone(),
            identity: config.identity.clone(),
            policy: config.policy.clone(),
            staff: staff_rules(market, &config.day_one.tiers),
            upkeep: config.day_one.upkeep.clone(),
            sole_node: config.database.starts_with("sqlite:"),
            ..Settings::demo(market.currency)
        };
        let peppers = peppers::read(&config.pepper_file)?;
        Ok(Self { database: config.database.clone(), settings, definitions, plan, peppers })
    }
}

/// The numbering plan with its table of ported numbers.
///
/// # Errors
/// When either cannot be read, or has faults.
pub fn plan(config: &Config) -> Result<Plan, Error> {
    let file = config.numbering.display().to_string();
    let text = std::fs::read_to_string(&config.numbering)
        .map_err(|source| Error::Read { file: file.clone(), source })?;
    let plan = Plan::parse(&text).map_err(|faults| Error::Description { file, faults })?;
    ported::read(&plan, &config.routes)?;
    Ok(plan)
}

fn staff_rules(market: &Market, tiers: &[Tier]) -> StaffSettings {
    let usual = StaffSettings::default();
    let most_minor = market.balance_max_minor;
    let mut tiers = tiers.to_vec();
    if tiers.is_empty() {
        // The one tier of a market that names none.
        tiers.extend(most_minor.map(|_| Tier::named("basic")));
    }
    for tier in &mut tiers {
        tier.balance_max_minor = tier.balance_max_minor.or(most_minor);
    }
    StaffSettings {
        alone_minor: market.staff_alone_minor.unwrap_or(usual.alone_minor),
        tiers: Tiers(tiers),
        ..usual
    }
}

/// Database, writer and payment core.
pub struct Core {
    /// Reads.
    pub store: Store,
    /// The only door to money.
    pub payments: Payments,
    /// The numbering plan.
    pub plan: Plan,
    writer: Writer,
    writing: JoinHandle<()>,
}

/// The writer found a broken invariant: better dead than wrong.
fn stop_the_process(why: &str) -> ! {
    tracing::error!("a money invariant is broken, the process stops: {why}");
    std::process::abort()
}

impl Core {
    /// Opens the database and starts the writer and the payment core. Nothing is recovered yet.
    ///
    /// # Errors
    /// When the database cannot be opened or is not up to date.
    pub async fn open(money: Money, clock: &Clock) -> Result<Self, Error> {
        let store = Store::open(&money.database).await?;
        if store.migrations().await?.iter().any(|m| !m.applied) {
            return Err(Error::NotMigrated);
        }
        let (writer, writing) = Writer::start(store.clone(), clock.clone(), stop_the_process);
        let mut connectors = Vec::new();
        for definition in money.definitions {
            connectors.push(Connector::new(definition, clock.clone())?);
        }
        let payments = Payments::start(Parts {
            settings: money.settings,
            store: store.clone(),
            writer: writer.clone(),
            connectors,
            plan: money.plan.clone(),
            peppers: money.peppers,
            clock: clock.clone(),
        })
        .await?;
        Ok(Self { store, payments, plan: money.plan, writer, writing })
    }

    /// Lets what is queued be written, then closes the database.
    pub async fn close(self) {
        self.payments.drain(DRAIN_WITHIN).await;
        self.writer.stop();
        let _ = self.writing.await;
        self.store.close().await;
    }
}

/// The grammar's view of a market.
#[must_use]
pub fn grammar(plan: &Plan, settings: &Settings, language: &str) -> Grammar {
    let digits = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let lengths = &plan.national_lengths;
    Grammar {
        currency: settings.currency,
        country: plan.country.clone(),
        national_digits: (
            digits(lengths.iter().copied().min().unwrap_or(4)),
            digits(lengths.iter().copied().max().unwrap_or(15)),
        ),
        pin_digits: (digits(settings.pin.digits_min), digits(settings.pin.digits_max)),
        default_language: language.to_owned(),
        no_pin_cap: Some(settings.pin.sms_without_pin_minor)
            .filter(|cap_minor| *cap_minor > 0)
            .map(|cap_minor| Amount::new(cap_minor, settings.currency)),
        ..Grammar::of(settings.currency)
    }
}

/// What the daemon is to do beside moving money.
pub struct Plant {
    /// Dialplans and prompts.
    pub wanted: Wanted,
    /// The configuration that a reload reads again; without one only the folders are read again.
    pub config: Option<PathBuf>,
    /// The control socket; without one nobody can give commands.
    pub control: Option<PathBuf>,
    /// SIP.
    pub sip: crate::config::Sip,
    /// RTP.
    pub rtp: crate::config::Rtp,
    /// Text messages and USSD.
    pub messaging: messaging::Wanted,
    /// HTTP.
    pub http: TcpListener,
    /// Language to begin in.
    pub language: String,
    /// Sees every SIP message, for the demo's ladder.
    pub tap: Option<mpsc::Sender<sip::io::Trace>>,
}

/// A running daemon.
pub struct Daemon {
    /// Its money.
    pub core: Core,
    /// Where SIP listens.
    pub sip: SocketAddr,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Media figures.
    pub engine: Engine,
    /// What calls run and hear.
    pub dialplans: Dialplans,
    /// Text messages and USSD.
    pub messaging: Messaging,
    /// Cancelled first: no new calls.
    drain: CancellationToken,
    /// Cancelled when the calls have ended: sockets close.
    close: CancellationToken,
    switchboard: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

fn now() -> Instant {
    Clock::machine().instant()
}

impl Daemon {
    /// Recovers what was left in the middle, then takes calls.
    ///
    /// # Errors
    /// Whatever is missing or wrong; nothing runs then.
    pub async fn start(core: Core, plant: Plant, clock: &Clock) -> Result<Self, Error> {
        let control = match &plant.control {
            Some(path) => Some(Control::listen(path).await?),
            None => None,
        };
        let market = grammar(&core.plan, core.payments.settings(), &plant.language);
        let Loaded { edition, report, fingerprint } = load(&plant.wanted, &market).await?;
        report.log();
        let registry = registry(&core, edition, &plant, clock);
        let dialplans = Dialplans::new(registry.clone(), market, plant.config, plant.wanted, fingerprint)
            .with_plan(core.plan.clone());
        epoch::take_up(&core.payments).await?;
        let recovered = core.payments.recover().await?;
        tracing::info!(?recovered, "recovered");
        let (messaging, gateways) = Messaging::start(plant.messaging, &registry, &core.plan, clock).await?;
        let screens = Arc::new(Screens(messaging.dialogues.clone()));
        core.payments.ask_by(Ways { screens, ..Ways::default() });

        let (drain, close) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = vec![tokio::spawn(core.payments.clone().run(close.clone()))];
        let figures: Arc<dyn Fn() -> MessagingFigures + Send + Sync> = Arc::new(messaging.watch(clock));
        let binds = binds(figures.clone(), &core.payments);
        tasks.push(tokio::spawn(core.payments.clone().watch_alarms(binds, close.clone())));
        tasks.push(tokio::spawn(epoch::look_after(core.payments.clone(), close.clone())));
        let listen = |address| move |source| Error::Listen { address, source };
        let http = plant.http.local_addr().map_err(listen(SocketAddr::from(([0, 0, 0, 0], 0))))?;
        tasks.push(tokio::spawn({
            let (payments, stop) = (core.payments.clone(), close.clone());
            async move {
                let served = crate::http::serve(plant.http, payments, gateways, stop.cancelled_owned());
                if let Err(error) = served.await {
                    tracing::error!("HTTP stopped: {error}");
                }
            }
        }));

        let socket = sip::io::bind(plant.sip.listen).map_err(listen(plant.sip.listen))?;
        let address = socket.local_addr().map_err(listen(plant.sip.listen))?;
        let engine = Engine::start(
            EngineConfig {
                bind: address.ip(),
                ports: plant.rtp.ports.0..=plant.rtp.ports.1,
                threads: plant.rtp.threads,
                calls_max: plant.sip.calls_max,
            },
            now,
        )?;
        let (commands_in, commands) = mpsc::channel(SIP_QUEUE_MAX);
        let (events_in, events) = mpsc::channel(SIP_QUEUE_MAX);
        let endpoint = sip::endpoint::Endpoint::new(endpoint_config(&plant.sip), seed());
        tasks.push(tokio::spawn({
            let stop = close.clone();
            let wires = sip::io::Wires { commands, events: events_in, trace: plant.tap };
            async move {
                if let Err(error) = sip::io::run(socket, endpoint, wires, now, stop).await {
                    tracing::error!("SIP stopped: {error}");
                }
            }
        }));
        let switchboard = Switchboard {
            rules: rules(&core.plan, &plant.sip, &plant.rtp),
            registry,
            engine: engine.clone(),
            commands: commands_in,
            clock: clock.clone(),
        };
        let switchboard = tokio::spawn(switchboard.run(events, drain.clone()));
        if let Some(control) = control {
            tasks.push(tokio::spawn(control.run(dialplans.clone(), figures, drain.clone())));
        }
        Ok(Self { core, sip: address, http, engine, dialplans, messaging, drain, close, switchboard, tasks })
    }

    /// Refuses new work, lets calls and payments under way finish, and closes the database.
    pub async fn stop(self) {
        self.drain.cancel();
        if tokio::time::timeout(DRAIN_WITHIN, self.switchboard).await.is_err() {
            tracing::warn!("calls are still up after {} s; they are cut", DRAIN_WITHIN.as_secs());
        }
        self.messaging.stop(DRAIN_WITHIN).await;
        self.close.cancel();
        for task in self.tasks {
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
        self.engine.stop();
        self.core.close().await;
    }
}

/// Which binds are up, for alarms.
fn binds(figures: Arc<dyn Fn() -> MessagingFigures + Send + Sync>, payments: &Payments) -> Others {
    let after = payments.settings().alarms.bind_down;
    Arc::new(move || {
        let binds = figures().links.into_iter().map(|link| (link.bind, link.state == "bound")).collect();
        (vec![Kind::BindDown], of_binds(&binds, after))
    })
}

/// The first flows of a daemon: none is started without them.
async fn load(wanted: &Wanted, market: &Grammar) -> Result<Loaded, Error> {
    let (wanted, market) = (wanted.clone(), market.clone());
    let loaded = tokio::task::spawn_blocking(move || wanted.load(&market)).await;
    match loaded.map_err(|panic| Error::Faults(format!("the checker failed: {panic}")))? {
        Ok(loaded) => Ok(loaded),
        Err(Unloaded::Unreadable(error)) => Err(error.into()),
        Err(Unloaded::Faulty(report)) => {
            Err(Error::Faults(report.rendered(false).collect::<Vec<_>>().join("\n")))
        }
    }
}

fn registry(core: &Core, edition: Edition<Clips>, plant: &Plant, clock: &Clock) -> Registry<Clips> {
    let (language, calls_max) = (plant.language.clone(), plant.sip.calls_max);
    Registry::new(edition, core.payments.clone(), clock.clone(), language, calls_max)
}

fn seed() -> [u8; 32] {
    let mut seed = [0_u8; 32];
    if getrandom::fill(&mut seed).is_err() {
        // Tags and branches that can be guessed would let strangers end calls.
        std::process::abort();
    }
    seed
}

fn endpoint_config(sip: &crate::config::Sip) -> sip::config::EndpointConfig {
    let trunks = sip.trunks.iter().map(|t| sip::config::Trunk {
        name: t.name.clone(),
        networks: t.addresses.clone(),
        calls_max: t.calls_max,
    });
    let mut config = sip::config::EndpointConfig::new(trunks.collect());
    config.limits.calls_max = sip.calls_max;
    config.limits.calls_per_source_max = sip.calls_max;
    config.advertised = sip.external.map(|address| SocketAddr::new(address, sip.listen.port()));
    config
}

fn rules(plan: &Plan, sip: &crate::config::Sip, rtp: &crate::config::Rtp) -> Rules {
    let trusted = sip.trunks.iter().filter(|t| t.trusted_number).map(|t| t.name.clone());
    Rules {
        country: plan.country.clone(),
        national_digits_max: plan.national_max(),
        trusted_trunks: trusted.collect(),
        symmetric: rtp.symmetric,
        silent_after: rtp.silent_after,
        external: sip.external,
    }
}
