//! `keytone serve`: the daemon, until SIGTERM or SIGINT.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Common, say, say_json};
use crate::app::messaging;
use crate::app::reload::{Dialplans, Wanted};
use crate::app::{Core, Daemon, Money, Plant};
use crate::clock::Clock;
use crate::config::Config;

#[derive(Args, Debug)]
#[command(after_help = "\
Every fault of the configuration, of the carriers' files and of the dialplans is named before anything starts.
SIGTERM or Ctrl-C refuses new calls, lets those under way end, and stops. SIGHUP reads the dialplans again, as
`keytone reload` does; what came of it is in the log.

Example:
  keytone serve --config /etc/keytone/keytone.toml")]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
}

/// Opens the money of a configuration, for admin commands.
pub(super) async fn core(config: &Path) -> anyhow::Result<Core> {
    Ok(Core::open(Money::read(&Config::load(config)?)?, &Clock::machine()).await?)
}

/// Starts logging to standard error, so that standard output stays for the command's own lines.
pub(super) fn log(json: bool, filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("KEYTONE_LOG")
        .or_else(|_| tracing_subscriber::EnvFilter::try_new(filter))
        .unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
}

/// Done at SIGTERM or SIGINT.
pub(super) async fn interrupted() {
    let Ok(mut term) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// A reload for each SIGHUP; several that come during one are one more.
async fn reloads(mut hangup: Signal, dialplans: Dialplans) {
    while hangup.recv().await.is_some() {
        dialplans.reload().await.log();
    }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.common.config)?;
    log(config.log_json || arguments.common.json, &config.log_filter);
    // From here on a SIGHUP waits until there is something to reload, in place of ending the process.
    let hangup = signal(SignalKind::hangup()).context("cannot take SIGHUP")?;
    let clock = Clock::machine();
    let money = Money::read(&config)?;
    let peppers = money.peppers.clone();
    let core = Core::open(money, &clock).await?;
    let http = TcpListener::bind(config.http_listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.http_listen))?;
    let plant = Plant {
        wanted: Wanted::of(&config),
        config: Some(arguments.common.config),
        control: Some(config.control.clone()),
        sip: config.sip,
        rtp: config.rtp,
        messaging: messaging::Wanted {
            smscs: config.smscs,
            listen: config.smpp,
            peppers: Some(peppers),
            gateways: config.gateways,
        },
        http,
        language: config.market.language,
        tap: None,
    };
    let daemon = Daemon::start(core, plant, &clock).await?;
    let (sip, http) = (daemon.sip.to_string(), daemon.http.to_string());
    let smpp = daemon.messaging.listens.map(|address| address.to_string());
    let version = daemon.dialplans.catalog().version().to_owned();
    if arguments.common.json {
        let ready = serde_json::json!({
            "ready": true, "sip": sip, "http": http, "smpp": smpp, "dialplans": version,
        });
        say_json(&ready)?;
    } else {
        let smpp = smpp.map(|smpp| format!(", SMPP on {smpp}")).unwrap_or_default();
        say(format!("ready: SIP on {sip}, HTTP on {http}{smpp}, dialplans {version}"));
    }
    let reloads = tokio::spawn(reloads(hangup, daemon.dialplans.clone()));
    interrupted().await;
    reloads.abort();
    daemon.stop().await;
    Ok(ExitCode::SUCCESS)
}
