//! A carrier of its own process for trying and for tests: it recharges nothing, remembers everything on disk,
//! and does wrong what it is told to do wrong (see [`FAULTS`]).
//!
//! It shares no memory and no table with the daemon: what it remembers is the other half of the truth that a
//! checker compares with our books.

pub mod biller;
mod book;
mod fault;
pub mod provider;
mod server;
mod serving;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::connector::definition::Definition;
use crate::connector::document::Fault as FileFault;
use crate::connector::key;
use crate::connector::key::{Encoding, Key, Source};

pub use book::{Record, read as read_log};
pub use fault::{FAULTS, Fault};

/// The header that carries a signature, both ways.
pub const SIGNATURE_HEADER: &str = "x-signature";
/// The header that carries the signature's timestamp, both ways.
pub const TIMESTAMP_HEADER: &str = "x-timestamp";
/// The environment variable that holds the key which both sides sign with.
pub const KEY_VARIABLE: &str = "KEYTONE_SANDBOX_KEY";
/// The key when the variable is not set. It protects nothing: the sandbox moves no money.
const DEFAULT_KEY: &str = "sandbox-key-for-trying-only";
/// The connector's id.
pub const CONNECTOR: &str = "sandbox";

/// How the sandbox carrier runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its memory, made when it is not there.
    pub log: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Both sides sign with it.
    pub key: Key,
    /// Where callbacks go, whole URL; none are sent without it.
    pub callback_url: Option<String>,
    /// Chance of a fault for numbers that have none of their own, of 1000.
    pub faults_per_mille: u64,
    /// What chance is made from.
    pub seed: u64,
    /// How long a slow answer takes.
    pub slow: Duration,
    /// How long "later" is.
    pub later: Duration,
    /// How long a request that is never answered is kept open.
    pub hang: Duration,
}

/// Why the sandbox carrier stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its log or its socket.
    #[error("the sandbox carrier cannot go on: {0}")]
    Io(#[from] std::io::Error),
    /// No HTTP client for callbacks.
    #[error("the sandbox carrier cannot send callbacks: {0}")]
    Client(#[from] reqwest::Error),
}

impl Config {
    /// The usual behaviour, with its memory in `log`.
    #[must_use]
    pub fn new(log: PathBuf, clock: Clock) -> Self {
        Self {
            log,
            clock,
            key: key(),
            callback_url: None,
            faults_per_mille: 0,
            seed: 0,
            slow: Duration::from_millis(1_500),
            later: Duration::from_secs(2),
            hang: Duration::from_secs(60),
        }
    }
}

fn key() -> Key {
    Source::Env(KEY_VARIABLE.to_owned()).load().unwrap_or_else(|_| Key::new(DEFAULT_KEY.as_bytes().to_vec()))
}

/// The connector's file for a sandbox carrier at `base_url`, such as `http://127.0.0.1:9100`.
#[must_use]
pub fn definition_toml(base_url: &str) -> String {
    DEFINITION.replace("{base_url}", base_url)
}

/// The checked definition for a sandbox carrier at `base_url`; its key is the environment's or the usual one.
///
/// # Errors
/// Every fault, when `base_url` is not one.
pub fn definition(base_url: &str) -> Result<Definition, Vec<FileFault>> {
    Definition::parse(&definition_toml(base_url), |_| Ok(key()))
}

/// Serves until `stop`; open requests and callbacks end with it.
///
/// # Errors
/// When the log cannot be opened or the socket fails.
pub async fn serve(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
    let book = book::Book::open(&config.log)?;
    let (callbacks, queue) = mpsc::channel(server::CALLBACKS_MAX);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let carrier = Arc::new(server::Carrier {
        config,
        book,
        callbacks,
        requests: AtomicU64::new(0),
        asked: tokio::sync::Mutex::new(BTreeMap::new()),
    });
    carrier.take_up().await;
    let tracker = TaskTracker::new();
    tracker.spawn(send_callbacks(Arc::clone(&carrier), queue, client, stop.clone()));
    serving::serve(server::router(carrier), listener, stop, tracker).await
}

async fn send_callbacks(
    carrier: Arc<server::Carrier>,
    mut queue: mpsc::Receiver<server::Callback>,
    client: reqwest::Client,
    stop: CancellationToken,
) {
    let tracker = TaskTracker::new();
    while let Some(callback) = tokio::select! {
        next = queue.recv() => next,
        () = stop.cancelled() => None,
    } {
        let (carrier, client, stop) = (Arc::clone(&carrier), client.clone(), stop.clone());
        tracker.spawn(async move {
            tokio::select! {
                () = send_callback(&carrier, &client, callback) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    tracker.close();
    tracker.wait().await;
}

async fn send_callback(carrier: &server::Carrier, client: &reqwest::Client, callback: server::Callback) {
    tokio::time::sleep(callback.after).await;
    let mut record = callback.record;
    if callback.change {
        let at = carrier.config.clock.now().to_rfc3339();
        match carrier.book.change(&record.reference, &record.state, &record.code, at).await {
            Some(changed) => record = changed,
            None => return,
        }
    }
    let Some(url) = carrier.config.callback_url.as_ref().filter(|_| callback.send) else { return };
    let body = server::shown(&record).to_string();
    let timestamp = carrier.config.clock.now().0.div_euclid(1_000_000).to_string();
    let signature = key::sign(&carrier.config.key, format!("{timestamp}.{body}").as_bytes(), Encoding::Hex);
    let sent = client
        .post(url)
        .header("content-type", "application/json")
        .header(SIGNATURE_HEADER, signature)
        .header(TIMESTAMP_HEADER, timestamp)
        .body(body)
        .send()
        .await;
    if let Err(error) = sent {
        tracing::warn!(error = %error.without_url(), "a callback of the sandbox carrier was not taken");
    }
}

/// The connector's file, complete: an example for real ones.
pub const DEFINITION: &str = include_str!("connector.toml");

/// A numbering plan to go with it: China Mobile, Unicom and Telecom prefixes of two provinces. Numbers of 133
/// and 153 have no direct recharge.
pub const PLAN: &str = include_str!("plan.toml");
