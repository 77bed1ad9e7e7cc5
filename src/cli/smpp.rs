//! `keytone smpp status`: how the binds of the running daemon are. `keytone smpp password`: what an aggregator's password is
//! in the configuration.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use zeroize::Zeroizing;

use super::{Common, reload, say, say_json};
use crate::app::control::{Answer, Request};
use crate::app::messaging::{LinkFigures, password_hash};
use crate::app::peppers;
use crate::config::Config;
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show each bind of the running daemon: its state, load and troubles
    #[command(after_help = "\
Exit status 1 when a bind is down.

Examples:
  keytone smpp status --config /etc/keytone/keytone.toml
  keytone smpp status --json | jq '.links[] | {bind, state}'")]
    Status {
        #[command(flatten)]
        common: Common,
    },
    /// Make the password_hash of an aggregator that binds to us, from a password on standard input
    #[command(after_help = "\
SMPP takes passwords of at most 8 octets, so choose one at random. The hash is good for this system id and this pepper
file only.

Example:
  openssl rand -hex 4 | tee password | keytone smpp password --system-id aggregator")]
    Password {
        #[command(flatten)]
        common: Common,
        /// The aggregator's system id
        #[arg(long, value_name = "ID")]
        system_id: String,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status { common } => status(&common).await,
        Command::Password { common, system_id } => password(&common, &system_id),
    }
}

async fn status(common: &Common) -> anyhow::Result<ExitCode> {
    let Answer::Links(figures) = reload::answer(common, Request::Links {}).await? else {
        bail!("the daemon answers something else");
    };
    let down = figures.links.iter().any(|link| link.state != "bound");
    if common.json {
        say_json(&figures)?;
    } else if figures.links.is_empty() {
        say("no SMSC is configured, and nobody is bound to us");
    } else {
        for link in &figures.links {
            say(told(link));
        }
        let (received, sent) = (&figures.received, &figures.sent);
        say(format!(
            "texts in: {} handled, {} again, {} refused for now; out: {} accepted, {} failed, {} unknown; receipts {}",
            received.handled,
            received.duplicates,
            received.refused,
            sent.accepted,
            sent.failed,
            sent.unknown,
            sent.receipts
        ));
    }
    Ok(if down { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn told(link: &LinkFigures) -> String {
    let mut line = format!("{:<20} {:<8}", link.bind, link.state);
    if let Some(address) = &link.address {
        line += &format!("  {address}");
    }
    if let (Some(role), Some(seconds)) = (&link.role, link.bound_s) {
        line += &format!("  {role} for {seconds} s");
    }
    line += &format!("  window {}/{}", link.window_used, link.window);
    if link.queued > 0 {
        line += &format!(", {} wait", link.queued);
    }
    if link.paused {
        line += ", paused: the peer throttles";
    }
    line += &format!("  in {} out {}", link.pdus_in, link.pdus_out);
    for (count, what) in [
        (link.throttled, "throttled"),
        (link.timeouts, "without response"),
        (link.bad, "unreadable"),
        (link.tolerances, "overlooked faults"),
    ] {
        if count > 0 {
            line += &format!("  {what} {count}");
        }
    }
    if let Some(trouble) = link.trouble.as_ref().filter(|_| link.state != "bound") {
        line += &format!("  last trouble: {trouble}");
    }
    line
}

fn password(common: &Common, system_id: &str) -> anyhow::Result<ExitCode> {
    let config = Config::load(&common.config)?;
    let peppers = peppers::read(&config.pepper_file)?;
    if std::io::stdin().is_terminal() {
        say("The password, and Enter (it is shown while you type; a pipe is better):");
    }
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line).context("no password on standard input")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.len() > 8 {
        bail!("SMPP takes a password of 1 to 8 octets");
    }
    let hash = password_hash(system_id, &Secret::from(password), &peppers)?;
    if common.json {
        say_json(&serde_json::json!({ "system_id": system_id, "password_hash": hash }))?;
    } else {
        say(format!("password_hash = \"{hash}\""));
    }
    Ok(ExitCode::SUCCESS)
}
