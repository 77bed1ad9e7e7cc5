//! `keytone sandbox carrier`: a carrier of its own process, for trying and for tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use super::{say, say_json};
use crate::clock::Clock;
use crate::connector::sandbox;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A carrier that recharges numbers, with scripted faults and a durable log
    #[command(after_help = "\
The last digits of a number choose a fault; the table is printed by --faults.

Examples:
  keytone sandbox carrier --listen 127.0.0.1:9100 --log carrier.log
  keytone sandbox carrier --faults-per-mille 200 --seed 7 --callback http://127.0.0.1:8080/callback/sandbox
  curl http://127.0.0.1:9100/log")]
    Carrier(Carrier),
}

#[derive(Args, Debug)]
pub(super) struct Carrier {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The file in which it remembers every request
    #[arg(long, default_value = "sandbox-carrier.log", value_name = "FILE")]
    log: PathBuf,
    /// Where its signed callbacks go; none are sent without it
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// Chance of a fault for numbers that choose none, of 1000
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    faults_per_mille: u64,
    /// What chance is made from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the table of faults by number and stop
    #[arg(long)]
    faults: bool,
    /// Print the connector file that talks to it, and stop
    #[arg(long)]
    connector: bool,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Carrier(carrier) = command;
    if carrier.faults {
        for (suffix, what) in sandbox::FAULTS {
            say(format!("  …{suffix}  {what}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if carrier.connector {
        say(sandbox::definition_toml(&format!("http://{}", carrier.listen)));
        return Ok(ExitCode::SUCCESS);
    }
    let listener = tokio::net::TcpListener::bind(carrier.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    say_json(&serde_json::json!({ "ready": true, "url": url, "log": format!("{url}/log") }))?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            super::serve::interrupted().await;
            stop.cancel();
        }
    });
    let mut config = sandbox::Config::new(carrier.log, Clock::machine());
    config.callback_url = carrier.callback;
    config.faults_per_mille = carrier.faults_per_mille;
    config.seed = carrier.seed;
    sandbox::serve(config, listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}
