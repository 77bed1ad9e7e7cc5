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
    sandbox::serve(sandbox::Config::new(carrier.log, Clock::machine()), listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}
