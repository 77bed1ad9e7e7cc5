//! `keytone payment`: payments and their history.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use super::{Common, say, say_json};
use crate::app::Core;
use crate::clock::Timestamp;
use crate::money::Money;
use crate::payment::fold::ALL;
use crate::payment::reference;
use crate::payment::row::provider::ReservationRow;
use crate::payment::row::{Id, PaymentRow, State};
use crate::payment::run::{PaymentView, Payments, Scope};
use crate::payment::saga::Stage;
use crate::store::PaymentFilter;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List payments, the newest first
    #[command(after_help = "\
Examples:
  keytone payment list --state unknown
  keytone payment list --account +8613800000001 --limit 20")]
    List {
        #[command(flatten)]
        common: Common,
        /// Only of this account, by its id or a number
        #[arg(long)]
        account: Option<String>,
        /// Only in this state: created, authorised, submitting, submitted, delivered, refused, unknown, needs_review,
        /// reversed
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Shut something for new payments at once; those under way go on, and callers are told
    #[command(after_help = "\
Examples:
  keytone payment suspend carrier sandbox
  keytone payment suspend channel voice
  keytone payment suspend product recharge
  keytone payment suspend number +8613800000001
  keytone payment suspend account +8613800000001      the account that this number pays from
  keytone payment suspend number +8613800000666 --reason \"reported stolen, ticket 88\" --staff ana
  keytone payment suspend biller water --reason \"their system is down\" --staff ana
  keytone payment suspend whole all --reason \"the carrier pays out twice\" --staff ana")]
    Suspend {
        #[command(flatten)]
        common: Common,
        /// What kind of thing
        #[arg(value_enum)]
        scope: Shut,
        /// Which one
        key: String,
        #[command(flatten)]
        why: Because,
    },
    /// Open again what was suspended
    Resume {
        #[command(flatten)]
        common: Common,
        /// What kind of thing
        #[arg(value_enum)]
        scope: Shut,
        /// Which one
        key: String,
        #[command(flatten)]
        why: Because,
    },
    /// List what is suspended, since when, by whom and why
    Suspensions {
        #[command(flatten)]
        common: Common,
    },
    /// Show one payment: its states, its attempts, its entries
    Show {
        #[command(flatten)]
        common: Common,
        /// Its id or its short reference
        payment: String,
    },
}

/// Who shuts or opens it, and why: for the audit log and for whoever asks later.
#[derive(Args, Clone, Debug)]
pub(super) struct Because {
    /// Why, in words
    #[arg(long, default_value = "not told")]
    reason: String,
    /// Who acts
    #[arg(long, env = "KEYTONE_STAFF", value_name = "NAME", default_value = "cli")]
    staff: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shut {
    Product,
    Carrier,
    Channel,
    Biller,
    Agent,
    Account,
    Number,
    Whole,
}

impl Shut {
    const fn scope(self) -> Scope {
        match self {
            Self::Product => Scope::Product,
            Self::Carrier => Scope::Carrier,
            Self::Channel => Scope::Channel,
            Self::Biller => Scope::Biller,
            Self::Agent => Scope::Agent,
            Self::Account => Scope::Account,
            Self::Number => Scope::Number,
            Self::Whole => Scope::Whole,
        }
    }

    /// The key as rows have it. A name that nothing has would shut nothing, and nobody would notice: it is refused.
    async fn key(self, core: &Core, text: &str) -> anyhow::Result<String> {
        let known = |names: Vec<String>| {
            let known = names.iter().any(|name| name == text);
            anyhow::ensure!(known, "there is no {text}; there are: {}", names.join(", "));
            Ok(text.to_owned())
        };
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        match self {
            Self::Product => known(words(&["recharge", "bill", "order", "deposit", "charge"])),
            Self::Whole => known(words(&[ALL])),
            Self::Biller => {
                known(core.payments.settings().billers.all().iter().map(|b| b.id.clone()).collect())
            }
            Self::Channel => known(words(&["voice", "ussd", "sms", "http"])),
            Self::Carrier => known(core.payments.describe().into_iter().map(|d| d.id).collect()),
            Self::Account | Self::Agent => Ok(super::account::find(core, text).await?.text()),
            Self::Number => Ok(super::account::number(core, text)?.as_str().to_owned()),
        }
    }
}

/// A handle whose next act is logged.
fn act(core: &Core, what: &'static str, scope: Shut, key: &str) -> Payments {
    let subject = format!("{} {key}", scope.scope().name());
    core.payments.acting(&super::who(), what, subject, serde_json::json!({}))
}

/// Lists what is shut.
async fn suspensions(core: &Core, json: bool) -> anyhow::Result<()> {
    let notes = core.payments.suspension_notes().await?;
    for row in core.store.suspensions().await? {
        let since = Timestamp(row.since).to_rfc3339();
        let note = notes.iter().find(|note| note.scope == row.scope && note.key == row.key);
        let (reason, who) = note.map_or(("", ""), |note| (note.reason.as_str(), note.who.as_str()));
        if json {
            let (scope, key) = (&row.scope, &row.key);
            say_json(&serde_json::json!({
                "scope": scope, "key": key, "since": since, "reason": reason, "staff": who,
            }))?;
        } else {
            say(format!("{:<8} {}  since {since}  {who}: {reason}", row.scope, row.key));
        }
    }
    Ok(())
}

fn state(text: &str) -> Result<State, String> {
    State::ALL.iter().copied().find(|s| name(*s) == text).ok_or_else(|| {
        let names: Vec<&str> = State::ALL.iter().map(|s| name(*s)).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// The state's name, as everywhere.
pub(super) const fn name(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Authorised => "authorised",
        State::Submitting => "submitting",
        State::Submitted => "submitted",
        State::Delivered => "delivered",
        State::Refused => "refused",
        State::Unknown => "unknown",
        State::NeedsReview => "needs_review",
        State::Reversed => "reversed",
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Suspend { common, scope, key, why } => {
            let core = super::serve::core(&common.config).await?;
            let key = scope.key(&core, &key).await?;
            act(&core, "suspend", scope, &key)
                .suspend_for(scope.scope(), &key, true, &why.staff, &why.reason)
                .await??;
            suspensions(&core, common.json).await?;
            core.close().await;
        }
        Command::Resume { common, scope, key, why } => {
            let core = super::serve::core(&common.config).await?;
            let key = scope.key(&core, &key).await?;
            act(&core, "resume", scope, &key)
                .suspend_for(scope.scope(), &key, false, &why.staff, &why.reason)
                .await??;
            suspensions(&core, common.json).await?;
            core.close().await;
        }
        Command::Suspensions { common } => {
            let core = super::serve::core(&common.config).await?;
            suspensions(&core, common.json).await?;
            core.close().await;
        }
        Command::List { common, account, state, limit } => {
            let core = super::serve::core(&common.config).await?;
            let account = match account {
                Some(text) => Some(super::account::find(&core, &text).await?),
                None => None,
            };
            let filter = PaymentFilter { account, state, limit, ..PaymentFilter::default() };
            for payment in core.payments.payments(&filter).await? {
                if common.json {
                    say_json(&json(&payment))?;
                } else {
                    say(line(&payment));
                }
            }
            core.close().await;
        }
        Command::Show { common, payment } => show(&common, &payment).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(common: &Common, payment: &str) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let view = find(&core, payment).await?;
    let reserved = core.payments.reservation_of(view.payment.id).await?;
    if common.json {
        let events: Vec<_> = view.events.iter().map(|e| {
                    serde_json::json!({ "at": Timestamp(e.at).to_rfc3339(), "state": e.state, "detail": e.detail })
                }).collect();
        let attempts: Vec<_> = view
            .attempts
            .iter()
            .map(|a| {
                serde_json::json!({
                    "number": a.number, "connector": a.connector, "reference": a.reference,
                    "outcome": a.outcome, "code": a.code, "carrier_reference": a.carrier_reference,
                    "at": Timestamp(a.created_at).to_rfc3339(),
                    "answered_at": a.answered_at.map(|t| Timestamp(t).to_rfc3339()),
                })
            })
            .collect();
        let mut whole = json(&view.payment);
        if let Some(map) = whole.as_object_mut() {
            map.insert("events".to_owned(), events.into());
            map.insert("attempts".to_owned(), attempts.into());
            map.insert("reservation".to_owned(), reserved.as_ref().map(reservation_json).into());
        }
        say_json(&whole)?;
    } else {
        say(line(&view.payment));
        for event in &view.events {
            let at = Timestamp(event.at).to_rfc3339();
            say(format!("  {at}  {:<12} {}", name(event.state), event.detail));
        }
        if let Some(row) = &reserved {
            let stage = Stage::from_number(row.stage).map_or("unknown", Stage::name);
            let class = row.class.as_deref().unwrap_or_default();
            say(format!("  reserved at {} as {}: {stage} {class}", row.provider, row.reference));
        }
        for attempt in &view.attempts {
            say(format!(
                "  attempt {} at {} as {}: {} {}",
                attempt.number,
                attempt.connector,
                attempt.reference,
                attempt.outcome.as_deref().unwrap_or("under way"),
                attempt.code.as_deref().unwrap_or_default()
            ));
        }
    }
    core.close().await;
    Ok(())
}

/// Finds a payment by its id or its short reference, written in groups or not.
pub(super) async fn find(core: &Core, text: &str) -> anyhow::Result<PaymentView> {
    if let Some(id) = Id::parse(text) {
        let view = core.payments.payment(id).await?;
        return view.with_context(|| format!("no payment {text}; `keytone payment list` shows them"));
    }
    let view = core.payments.payment_by_reference(text).await?;
    let slip = !reference::is_valid(&reference::clean(text));
    let hint = if slip {
        ": a digit of it is wrong, ask for it again"
    } else {
        "; `keytone payment list` shows them"
    };
    view.with_context(|| format!("no payment {text}{hint}"))
}

fn reservation_json(row: &ReservationRow) -> serde_json::Value {
    serde_json::json!({
        "provider": row.provider, "reference": row.reference, "their_reference": row.their_reference,
        "stage": Stage::from_number(row.stage).map(Stage::name), "class": row.class, "tries": row.tries,
        "in_doubt": row.doubt, "at": Timestamp(row.created_at).to_rfc3339(),
        "due_at": row.due_at.map(|t| Timestamp(t).to_rfc3339()),
    })
}

/// One payment as JSON.
pub(super) fn json(payment: &PaymentRow) -> serde_json::Value {
    let money = |minor: i64| Money::new(minor, payment.currency).amount_text();
    serde_json::json!({
        "id": payment.id,
        "reference": payment.reference,
        "state": payment.state,
        "class": payment.class,
        "account": payment.account,
        "target": payment.target.text(),
        "amount": money(payment.amount_minor),
        "fee": money(payment.fee_minor),
        "currency": payment.currency,
        "connector": payment.connector,
        "carrier_reference": payment.carrier_reference,
        "created_at": Timestamp(payment.created_at).to_rfc3339(),
        "updated_at": Timestamp(payment.updated_at).to_rfc3339(),
        "next_check_at": payment.next_check_at.map(|t| Timestamp(t).to_rfc3339()),
        "checks": payment.checks,
    })
}

fn line(payment: &PaymentRow) -> String {
    format!(
        "{}  {}  {:<12} {:>10} {}  {}  {}{}",
        Timestamp(payment.created_at).to_rfc3339(),
        payment.reference,
        name(payment.state),
        Money::new(payment.amount_minor, payment.currency).amount_text(),
        payment.currency,
        &payment.target.text(),
        payment.id,
        payment.class.as_ref().map(|c| format!("  ({c})")).unwrap_or_default()
    )
}
