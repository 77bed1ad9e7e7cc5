//! `keytone reload` and `keytone dialplan versions`: asks the running daemon, over its control socket.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::{Common, colours, say, say_json};
use crate::app::control::{Answer, Reloaded, Request, ask};
use crate::config::Config;
use crate::session::registry::Version;

#[derive(Args, Debug)]
#[command(after_help = "\
Reads the flows, messages, prompts and the [dialplan] table of the configuration again. They are served only when all of
them are sound; calls under way go on with what they began with. Exit status 1 when they are not served.

Examples:
  keytone reload --config /etc/keytone/keytone.toml
  keytone reload --json | jq .diagnostics")]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which versions are served or still run, and by how many sessions
    Versions {
        #[command(flatten)]
        common: Common,
    },
}

pub(super) async fn answer(common: &Common, request: Request) -> anyhow::Result<Answer> {
    let config = Config::load(&common.config)?;
    match ask(&config.control, request).await? {
        Answer::Error { error } => bail!("the daemon says: {error}"),
        answer => Ok(answer),
    }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let colours = !common.json && colours();
    let Answer::Reload(told) = answer(common, Request::Reload { colours }).await? else {
        bail!("the daemon answers something else");
    };
    if common.json {
        say_json(&Reloaded { rendered: Vec::new(), ..told.clone() })?;
    } else {
        for diagnostic in &told.rendered {
            say(diagnostic);
        }
        if told.left_out > 0 {
            say(format!("{} more are left out here; `keytone check` shows all of them", told.left_out));
        }
        say(&told.summary);
    }
    Ok(if told.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn dialplan(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Versions { common } = command;
    let Answer::Versions { versions } = answer(&common, Request::Versions {}).await? else {
        bail!("the daemon answers something else");
    };
    for version in &versions {
        let since = version.since.to_rfc3339();
        if common.json {
            say_json(&serde_json::json!({
                "version": version.version, "serving": version.serving, "since": since,
                "flows": version.flows, "sessions": version.sessions,
            }))?;
        } else {
            say(told(version, &since));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(version: &Version, since: &str) -> String {
    let state = if version.serving { "serving" } else { "replaced" };
    format!(
        "{:<16}  {state:<8}  since {since}  flows {:>3}  sessions {:>5}",
        version.version, version.flows, version.sessions
    )
}
