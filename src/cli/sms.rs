//! `keytone sms`: sends a text message, and shows what became of those that were sent.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::{Common, say, say_json, serve};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::msisdn::Msisdn;
use crate::session::mailbox::{Mailbox, OutboxFilter};
use crate::session::{Id, OutboxRow, OutboxState};

/// The longest text that is sent, bytes: ten segments of the smallest kind hold less.
const TEXT_BYTES_MAX: usize = 1530;

/// States by the names that people use.
const STATES: [(&str, OutboxState); 7] = [
    ("waiting", OutboxState::Waiting),
    ("sending", OutboxState::Sending),
    ("accepted", OutboxState::Accepted),
    ("delivered", OutboxState::Delivered),
    ("undelivered", OutboxState::Undelivered),
    ("failed", OutboxState::Failed),
    ("unknown", OutboxState::Unknown),
];

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Queue a text message; the running daemon sends it
    #[command(after_help = "\
Examples:
  keytone sms send +8613800000001 'Your account is open.'
  keytone sms send +8613800000001 'Hello' --route carrier --from 12580 --json")]
    Send {
        #[command(flatten)]
        common: Common,
        /// To whom
        #[arg(value_name = "+NUMBER")]
        to: String,
        /// What it says
        text: String,
        /// By this route; the routing table chooses without it
        #[arg(long)]
        route: Option<String>,
        /// As this sender; the route's own without it
        #[arg(long, value_name = "SENDER")]
        from: Option<String>,
    },
    /// List text messages, the newest first, without what they say
    #[command(after_help = "\
States: waiting, sending, accepted (by the network), delivered, undelivered (by receipts), failed (never left, or was
refused), unknown (it may have left, and nobody answered; it is never sent again by itself).

Examples:
  keytone sms list --state unknown
  keytone sms list --to +8613800000001 --limit 5")]
    List {
        #[command(flatten)]
        common: Common,
        /// Only in this state
        #[arg(long, value_parser = state)]
        state: Option<OutboxState>,
        /// Only to this number
        #[arg(long, value_name = "+NUMBER")]
        to: Option<String>,
        /// Only by this route
        #[arg(long)]
        route: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one text message without what it says
    Show {
        #[command(flatten)]
        common: Common,
        /// Its id
        id: String,
    },
}

fn state(text: &str) -> Result<OutboxState, String> {
    let found = STATES.iter().find(|(name, _)| *name == text);
    found.map(|(_, state)| *state).ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn named(state: OutboxState) -> &'static str {
    STATES.iter().find(|(_, known)| *known == state).map_or("?", |(name, _)| name)
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let common = match &command {
        Command::Send { common, .. } | Command::List { common, .. } | Command::Show { common, .. } => {
            common.clone()
        }
    };
    let config = Config::load(&common.config)?;
    let core = serve::core(&common.config).await?;
    let mailbox = Mailbox::new(core.payments.clone(), Clock::machine());
    let number = |text: &str| Msisdn::dialled(text, &core.plan.country, core.plan.national_max());
    let done = match command {
        Command::Send { to, text, route, from, .. } => {
            let routes = routes(&config);
            if let Some(route) = route.as_ref().filter(|route| !routes.contains(route)) {
                bail!("no route for texts is called {route}; there are: {}", routes.join(", "));
            }
            if routes.is_empty() {
                bail!("no route carries texts: give a [[smsc]] of {} a table `sms`", common.config.display());
            }
            if text.is_empty() || text.len() > TEXT_BYTES_MAX {
                bail!("a text has 1 to {TEXT_BYTES_MAX} bytes");
            }
            let row = mailbox.compose(&number(&to)?, text, route.as_deref(), from.as_deref());
            mailbox.queue(row.clone()).await?;
            if common.json {
                say_json(&seen(&row))?;
            } else {
                say(format!("queued {}; see `keytone sms show {}`", row.id, row.id));
            }
            Ok(())
        }
        Command::List { state, to, route, limit, .. } => {
            let recipient = to.as_deref().map(number).transpose()?.map(|number| number.as_str().to_owned());
            let filter = OutboxFilter { state, recipient, route, since: None, limit };
            list(&mailbox, &filter, common.json).await
        }
        Command::Show { id, .. } => {
            let id = Id::parse(&id).with_context(|| format!("`{id}` is not an id"))?;
            let row = mailbox.row(id).await?.context("there is no such text message")?;
            show(&row, common.json)
        }
    };
    core.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// The routes that carry texts.
fn routes(config: &Config) -> Vec<String> {
    let ours = config.smscs.iter().filter(|smsc| smsc.carries.sms.is_some()).map(|smsc| smsc.name.clone());
    let peers = config.smpp.iter().flat_map(|listen| &listen.peers);
    let theirs = peers.filter(|peer| peer.carries.sms.is_some()).map(|peer| peer.name.clone());
    ours.chain(theirs).collect()
}

async fn list(mailbox: &Mailbox, filter: &OutboxFilter, json: bool) -> anyhow::Result<()> {
    for row in mailbox.list(filter).await? {
        show(&row, json)?;
    }
    if !json {
        let counts: BTreeMap<&str, i64> =
            mailbox.counts().await?.into_iter().map(|count| (named(count.state), count.messages)).collect();
        let told: Vec<String> =
            counts.iter().map(|(state, messages)| format!("{messages} {state}")).collect();
        say(if told.is_empty() {
            "no text message yet".to_owned()
        } else {
            format!("in all: {}", told.join(", "))
        });
    }
    Ok(())
}

fn show(row: &OutboxRow, json: bool) -> anyhow::Result<()> {
    if json {
        return say_json(&seen(row));
    }
    let queued = Timestamp(row.created_at).to_rfc3339();
    // A plain result that the conversation had a better one for.
    let state = if row.code.as_deref() == Some("replaced") { "replaced" } else { named(row.state) };
    let mut line = format!("{}  {queued}  {state:<11}  {}", row.id, row.recipient);
    for (what, value) in
        [("route", &row.route), ("from", &row.sender), ("id there", &row.message_id), ("code", &row.code)]
    {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            line += &format!("  {what} {value}");
        }
    }
    if row.attempts > 1 {
        line += &format!("  tries {}", row.attempts);
    }
    say(line);
    Ok(())
}

/// A message as JSON. What it says is left out: it may name a customer's affairs.
fn seen(row: &OutboxRow) -> serde_json::Value {
    serde_json::json!({
        "id": row.id, "to": row.recipient, "state": named(row.state), "route": row.route, "from": row.sender,
        "segments": row.segments, "attempts": row.attempts, "message_id": row.message_id, "code": row.code,
        "payment": row.payment, "bytes": row.body.len(),
        "queued": Timestamp(row.created_at).to_rfc3339(), "updated": Timestamp(row.updated_at).to_rfc3339(),
    })
}
