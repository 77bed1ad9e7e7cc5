//! `keytone maintenance`: times in which something is shut on purpose, and callers are told until when.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::staff::Person;
use super::{Common, say, say_json};
use crate::app::Core;
use crate::clock::{Clock, Timestamp};
use crate::config::dayone::local;
use crate::payment::row::Id;
use crate::payment::run::upkeep::Planned;
use crate::payment::upkeep::{SCOPES, When};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Plan a window, or begin one now; payments that are under way go on in it
    #[command(after_help = "\
Times are those of the market's zone. Windows that come back each day stand in the configuration: [[maintenance]].

Examples:
  keytone maintenance add carrier acme --from 2026-12-01T02:00 --until 2026-12-01T04:30 --reason \"their upgrade\"
  keytone maintenance add product bill --for 90 --reason \"biller moves house\" --staff ana
  keytone maintenance add whole --for 20 --reason \"new database\" --staff ana")]
    Add(Window),
    /// Take a window out: what it shut is open at once
    Remove {
        #[command(flatten)]
        common: Common,
        /// Its id
        window: String,
        #[command(flatten)]
        person: Person,
    },
    /// List windows of the configuration and of this command that have not ended
    List {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args, Debug)]
pub(super) struct Window {
    #[command(flatten)]
    common: Common,
    /// whole, product, carrier, channel or biller
    scope: String,
    /// Which one; nothing for the whole
    #[arg(default_value = "")]
    key: String,
    /// From then on, such as 2026-12-01T02:00; now without it
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until then
    #[arg(long, value_name = "TIME", conflicts_with = "minutes", required_unless_present = "minutes")]
    until: Option<String>,
    /// For so many minutes
    #[arg(long = "for", value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    minutes: Option<u32>,
    /// Why, for staff
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    person: Person,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(window) => add(window).await?,
        Command::Remove { common, window, person } => {
            let core = super::serve::core(&common.config).await?;
            let id = Id::parse(&window).context("a window is named by its id: `keytone maintenance list`")?;
            core.payments.drop_maintenance(id, &person.staff).await??;
            list(&core, common.json).await?;
            core.close().await;
        }
        Command::List { common } => {
            let core = super::serve::core(&common.config).await?;
            list(&core, common.json).await?;
            core.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(window: Window) -> anyhow::Result<()> {
    let core = super::serve::core(&window.common.config).await?;
    known(&core, &window.scope, &window.key)?;
    let settings = core.payments.settings();
    let time = |text: &str| {
        local(text, &settings.zone)
            .with_context(|| format!("{text} is not a day and a time such as 2026-12-01T02:00"))
    };
    let now = Clock::machine().now();
    let from_at = window.from.as_deref().map(time).transpose()?.unwrap_or(now.0);
    let until_at = match (&window.until, window.minutes) {
        (Some(until), _) => time(until)?,
        (None, Some(minutes)) => from_at.saturating_add(i64::from(minutes).saturating_mul(60_000_000)),
        (None, None) => bail!("give --until or --for"),
    };
    let planned = Planned { scope: window.scope, key: window.key, from_at, until_at };
    core.payments.plan_maintenance(Id::new(now.0), &planned, &window.person.staff, &window.reason).await??;
    list(&core, window.common.json).await?;
    core.close().await;
    Ok(())
}

/// A name that nothing has would shut nothing, and nobody would notice: it is refused.
fn known(core: &Core, scope: &str, key: &str) -> anyhow::Result<()> {
    let settings = core.payments.settings();
    let names: Vec<String> = match scope {
        "whole" => vec![String::new()],
        "product" => ["recharge", "bill", "order", "deposit", "charge"].map(str::to_owned).to_vec(),
        "channel" => ["voice", "ussd", "sms", "http"].map(str::to_owned).to_vec(),
        "carrier" => core.payments.describe().into_iter().map(|d| d.id).collect(),
        "biller" => settings.billers.all().iter().map(|biller| biller.id.clone()).collect(),
        other => bail!("{other} is not one of {}", SCOPES.join(", ")),
    };
    anyhow::ensure!(
        names.iter().any(|name| name == key),
        "there is no {scope} {key}; there are: {}",
        names.join(", ")
    );
    Ok(())
}

async fn list(core: &Core, json: bool) -> anyhow::Result<()> {
    for window in &core.payments.settings().upkeep.windows {
        let (from, until) = match window.when {
            When::Once { from, until } => (Timestamp(from).to_rfc3339(), Timestamp(until).to_rfc3339()),
            When::Daily { from, until } => (clock(from), clock(until)),
        };
        if json {
            say_json(&serde_json::json!({
                "window": null, "scope": window.scope, "key": window.key, "from": from, "until": until,
                "reason": "configuration", "staff": null,
            }))?;
        } else {
            say(format!("{:<8} {}  {from} to {until}  configuration", window.scope, window.key));
        }
    }
    for row in core.payments.planned().await? {
        let (from, until) = (Timestamp(row.from_at).to_rfc3339(), Timestamp(row.until_at).to_rfc3339());
        if json {
            say_json(&serde_json::json!({
                "window": row.id, "scope": row.scope, "key": row.key, "from": from, "until": until,
                "reason": row.reason, "staff": row.who,
            }))?;
        } else {
            say(format!(
                "{:<8} {}  {from} to {until}  {}  {}: {}",
                row.scope, row.key, row.id, row.who, row.reason
            ));
        }
    }
    Ok(())
}

/// A time of day, from minutes after midnight.
fn clock(minutes: i64) -> String {
    format!("{:02}:{:02} each day", minutes / 60, minutes % 60)
}
