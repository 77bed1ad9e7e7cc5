//! `keytone staff`: what people do with money and why, the second person's word, the audit log, the day's close.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::{Common, say, say_json};
use crate::app::Core;
use crate::clock::{Clock, Timestamp};
use crate::money::Money;
use crate::payment::approval;
use crate::payment::approval::{Decision, Stage};
use crate::payment::audit;
use crate::payment::finding::Standing;
use crate::payment::row::staff::ProposalRow;
use crate::payment::row::{Id, PaymentRow};
use crate::payment::run::staff::Asked;
use crate::payment::staff::{Act, Movement, Needs, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write what became of a payment of which nobody knows
    #[command(after_help = "\
Example:
  keytone staff resolve 482913476 delivered --reason carrier_letter --evidence \"mail of 3 May, txn 8812\" --staff ana")]
    Resolve {
        #[command(flatten)]
        common: Common,
        /// The payment, by its id or short reference
        payment: String,
        /// What became of it
        #[arg(value_enum)]
        outcome: Became,
        #[command(flatten)]
        why: Why,
    },
    /// Give a delivered payment back whole, because the carrier took it back; limits are given back too
    #[command(after_help = "\
Example:
  keytone staff reverse 482913476 --reason carrier_reversal --evidence \"statement of 3 May, line 17\" --staff ana")]
    Reverse {
        #[command(flatten)]
        common: Common,
        /// The payment, by its id or short reference
        payment: String,
        #[command(flatten)]
        why: Why,
    },
    /// Give money of a delivered payment back at the house's cost, whole or in part; limits stay
    #[command(after_help = "\
Example:
  keytone staff refund 482913476 20.00 --reason goodwill --evidence \"ticket 8812\" --staff ana")]
    Refund {
        #[command(flatten)]
        common: Common,
        /// The payment, by its id or short reference
        payment: String,
        /// How much, in the market's currency; "all" for what is left
        amount: String,
        #[command(flatten)]
        why: Why,
    },
    /// Move money between the bank, the house, carriers and accounts
    #[command(after_help = "\
Movements: cash-in, cash-out, float-sale and payout need --account; float-top-up, commission, settlement, float-found
and float-lost need --connector; tax, fees, loss and migrated need neither.

Examples:
  keytone staff move cash-in 500.00 --account +8613800000001 --reason deposit --evidence \"slip 17\" --staff ana
  keytone staff move float-sale 1000 --account +8613800000009 --discount 20 --reason sale --evidence \"invoice 4\"
  keytone staff move float-top-up 50000 --connector sandbox --reason prepaid --evidence \"transfer 991\"")]
    Move {
        #[command(flatten)]
        common: Common,
        /// Which way
        #[arg(value_enum)]
        movement: Way,
        /// How much, in the market's currency
        amount: String,
        /// Whose, by id or number
        #[arg(long)]
        account: Option<String>,
        /// With which carrier
        #[arg(long)]
        connector: Option<String>,
        /// The part of a float sale that the agent does not pay
        #[arg(long, value_name = "AMOUNT")]
        discount: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Ask that a caller whose PIN is lost may choose another one within a day; another person approves it
    #[command(after_help = "\
Callers ask for the same by themselves, after a code to their number: see `keytone staff requests`. Whoever approves has
looked at who the caller is.

Example:
  keytone staff new-pin +8613800000001 --reason lost_pin --evidence \"identity card, ticket 8812\" --staff ana")]
    NewPin {
        #[command(flatten)]
        common: Common,
        /// The number that will call; it is bound to the account
        msisdn: String,
        #[command(flatten)]
        why: Why,
    },
    /// List requests: those that wait for a second person, or those in another stage
    #[command(
        after_help = "Examples:\n  keytone staff requests\n  keytone staff requests --stage done --limit 20"
    )]
    Requests {
        #[command(flatten)]
        common: Common,
        /// proposed, done, rejected, expired or failed
        #[arg(long, default_value = "proposed", value_parser = stage)]
        stage: Stage,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Approve what another person asked for; it is done at once
    #[command(
        after_help = "Example:\n  keytone staff approve 0190f3a2-0000-7000-8000-000000000001 --staff bo"
    )]
    Approve {
        #[command(flatten)]
        common: Common,
        /// The request's id
        request: String,
        #[command(flatten)]
        person: Person,
    },
    /// Reject a request
    Reject {
        #[command(flatten)]
        common: Common,
        /// The request's id
        request: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        person: Person,
    },
    /// The audit log, the latest first
    #[command(after_help = "Examples:\n  keytone staff log\n  keytone staff log --subject 482913476 --json")]
    Log {
        #[command(flatten)]
        common: Common,
        /// Only of this payment's reference, account's id or other subject
        #[arg(long)]
        subject: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a business day: totals, open payments, trust account, floats
    #[command(after_help = "Example:\n  keytone staff day 2026-05-03")]
    Day {
        #[command(flatten)]
        common: Common,
        /// The day, such as 2026-05-03
        day: String,
    },
    /// Close a business day that has ended; what is found later belongs to the next day
    #[command(after_help = "\
Examples:
  keytone staff close 2026-05-03 --float sandbox=81250.00 --staff ana
  keytone staff close 2026-05-03 --carry \"two payments wait for the carrier's letter\" --evidence \"mail of 4 May\" --staff ana
The second closes over open payments, unmatched findings or a differing float, once another person has approved it.")]
    Close {
        #[command(flatten)]
        common: Common,
        /// The day, such as 2026-05-03
        day: String,
        /// What a carrier says that it has of ours; it must be what the books say
        #[arg(long = "float", value_name = "CONNECTOR=AMOUNT")]
        floats: Vec<String>,
        /// Ask another person to close although payments or findings are open or a float differs, for this reason
        #[arg(long, value_name = "WHY", requires = "evidence")]
        carry: Option<String>,
        /// What the reason rests on
        #[arg(long, requires = "carry")]
        evidence: Option<String>,
        #[command(flatten)]
        person: Person,
    },
    /// List what did not agree in statements: no day is closed while such is open
    #[command(
        after_help = "Examples:\n  keytone staff findings\n  keytone staff findings --standing dismissed --json"
    )]
    Findings {
        #[command(flatten)]
        common: Common,
        /// open, settled, agreed or dismissed
        #[arg(long, default_value = "open", value_parser = standing)]
        standing: Standing,
        /// At most so many
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
    /// List the alarms that are raised or pending; the exit status is 1 when one is raised
    #[command(
        after_help = "Examples:\n  keytone staff alarms\n  keytone staff alarms --all --notices 20 --json"
    )]
    Alarms {
        #[command(flatten)]
        common: Common,
        /// Those that are over too
        #[arg(long)]
        all: bool,
        /// And so many of the last notices to the webhook, with what came of them
        #[arg(long, value_name = "COUNT")]
        notices: Option<u32>,
    },
    /// Say that nothing is to be done about a finding; another person must approve it
    #[command(after_help = "\
Example:
  keytone staff dismiss 0190f3a2-0000-8000-8000-000000000001 \"line 17\" --reason test_line --evidence \"mail of 4 May\" --staff ana")]
    Dismiss {
        #[command(flatten)]
        common: Common,
        /// The statement's id, as `findings` shows it
        statement: String,
        /// Its place there, such as \"line 17\"
        place: String,
        #[command(flatten)]
        why: Why,
    },
    /// Write the payments of a day, or the entries of an account, as CSV to standard output
    #[command(after_help = "\
Examples:
  keytone staff export --day 2026-05-03 > payments.csv
  keytone staff export --account +8613800000001 > statement.csv")]
    Export {
        #[command(flatten)]
        common: Common,
        /// Payments of this business day
        #[arg(long, conflicts_with = "account", required_unless_present = "account")]
        day: Option<String>,
        /// Entries of this account, by id, number or a house account's name, the latest first
        #[arg(long)]
        account: Option<String>,
    },
}

/// Who acts.
#[derive(Args, Clone, Debug)]
pub(super) struct Person {
    /// Who acts; it is written into the audit log
    #[arg(long, env = "KEYTONE_STAFF", value_name = "NAME")]
    pub(super) staff: String,
}

/// Who acts, why, and under which id.
#[derive(Args, Clone, Debug)]
pub(super) struct Why {
    #[command(flatten)]
    person: Person,
    /// Why, in a word
    #[arg(long)]
    reason: String,
    /// What it rests on: a ticket, a letter, a line of a statement
    #[arg(long)]
    evidence: String,
    /// The request's id, for repeating the command safely
    #[arg(long)]
    id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Became {
    Delivered,
    Refused,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Way {
    CashIn,
    CashOut,
    FloatSale,
    Payout,
    FloatTopUp,
    Tax,
    Commission,
    Fees,
    Loss,
    Settlement,
    FloatFound,
    FloatLost,
    Migrated,
}

impl Way {
    const fn movement(self) -> Movement {
        match self {
            Self::CashIn => Movement::CashIn,
            Self::CashOut => Movement::CashOut,
            Self::FloatSale => Movement::FloatSale,
            Self::Payout => Movement::Payout,
            Self::FloatTopUp => Movement::FloatTopUp,
            Self::Tax => Movement::Tax,
            Self::Commission => Movement::Commission,
            Self::Fees => Movement::Fees,
            Self::Loss => Movement::Loss,
            Self::Settlement => Movement::Settlement,
            Self::FloatFound => Movement::FloatFound,
            Self::FloatLost => Movement::FloatLost,
            Self::Migrated => Movement::Migrated,
        }
    }
}

fn stage(text: &str) -> Result<Stage, String> {
    Stage::ALL.iter().copied().find(|s| s.name() == text).ok_or_else(|| {
        let names: Vec<&str> = Stage::ALL.iter().map(|s| s.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn standing(text: &str) -> Result<Standing, String> {
    Standing::ALL.iter().copied().find(|s| s.name() == text).ok_or_else(|| {
        let names: Vec<&str> = Standing::ALL.iter().map(|s| s.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// A movement as it was typed.
struct Wanted {
    movement: Movement,
    amount: String,
    account: Option<String>,
    connector: Option<String>,
    discount: Option<String>,
}

impl Wanted {
    async fn act(self, core: &Core) -> anyhow::Result<Act> {
        let Self { movement, amount, account, connector, discount } = self;
        let currency = core.payments.settings().currency;
        let account = match (movement.needs(), account) {
            (Needs::Account, Some(text)) => Some(super::account::find(core, &text).await?),
            (Needs::Account, None) => bail!("{} needs --account", movement.name()),
            (_, Some(_)) => bail!("{} takes no --account", movement.name()),
            (_, None) => None,
        };
        let discount = discount.map(|text| Money::parse(&text, currency)).transpose()?;
        Ok(Act::Move {
            movement,
            amount_minor: Money::parse(&amount, currency)?.minor,
            account,
            connector,
            discount_minor: discount.map_or(0, |money| money.minor),
        })
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Resolve { common, payment, outcome, why } => {
            let core = super::serve::core(&common.config).await?;
            let payment = find(&core, &payment).await?.id;
            let outcome = match outcome {
                Became::Delivered => Outcome::Delivered,
                Became::Refused => Outcome::Refused,
            };
            ask(core, &common, why, Act::Resolve { payment, outcome }).await
        }
        Command::Reverse { common, payment, why } => {
            let core = super::serve::core(&common.config).await?;
            let payment = find(&core, &payment).await?.id;
            ask(core, &common, why, Act::Reverse { payment }).await
        }
        Command::NewPin { common, msisdn, why } => new_pin(&common, &msisdn, why).await,
        Command::Refund { common, payment, amount, why } => {
            let core = super::serve::core(&common.config).await?;
            let row = find(&core, &payment).await?;
            let amount_minor = match amount.as_str() {
                "all" => core.payments.refundable_minor(&row).await?,
                text => Money::parse(text, row.currency)?.minor,
            };
            ask(core, &common, why, Act::Refund { payment: row.id, amount_minor }).await
        }
        Command::Move { common, movement, amount, account, connector, discount, why } => {
            let wanted = Wanted { movement: movement.movement(), amount, account, connector, discount };
            let core = super::serve::core(&common.config).await?;
            let act = wanted.act(&core).await?;
            ask(core, &common, why, act).await
        }
        Command::Requests { common, stage, limit } => {
            let core = super::serve::core(&common.config).await?;
            for row in core.payments.proposals(stage, limit).await? {
                show(&core, &common, &row)?;
            }
            core.close().await;
            Ok(ExitCode::SUCCESS)
        }
        Command::Approve { common, request, person } => {
            decide(&common, &request, &person, Decision::Approve).await
        }
        Command::Reject { common, request, reason, person } => {
            decide(&common, &request, &person, Decision::Reject(&reason)).await
        }
        Command::Log { common, subject, limit } => log(&common, subject.as_deref(), limit).await,
        Command::Day { common, day } => super::day::show(&common, &day).await,
        Command::Close { common, day, floats, carry, evidence, person } => {
            close(&common, &day, &floats, carry.zip(evidence), person).await
        }
        Command::Findings { common, standing, limit } => super::day::findings(&common, standing, limit).await,
        Command::Alarms { common, all, notices } => super::alarms::run(&common, all, notices).await,
        Command::Dismiss { common, statement, place, why } => {
            let core = super::serve::core(&common.config).await?;
            let statement = Id::parse(&statement).context("the statement's id is not a UUID")?;
            ask(core, &common, why, Act::Dismiss { statement, place }).await
        }
        Command::Export { common, day, account } => super::export::run(&common, day, account).await,
    }
}

/// Closes a day, or asks another person to close it over what is open, for a reason and what it rests on.
async fn close(
    common: &Common,
    day: &str,
    floats: &[String],
    carry: Option<(String, String)>,
    person: Person,
) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let told = super::day::told(&core, floats)?;
    let day = date(day)?;
    match carry {
        Some((reason, evidence)) => {
            let why = Why { person, reason, evidence, id: None };
            ask(core, common, why, Act::CloseDay { day, told }).await
        }
        None => super::day::close(core, common, day, told, person.staff).await,
    }
}

async fn find(core: &Core, text: &str) -> anyhow::Result<PaymentRow> {
    Ok(super::payment::find(core, text).await?.payment)
}

/// Asks for another PIN in the place of a caller.
async fn new_pin(common: &Common, msisdn: &str, why: Why) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let phone = super::account::number(&core, msisdn)?;
    let account = super::account::find(&core, msisdn).await?;
    ask(core, common, why, Act::NewPin { account, phone }).await
}

pub(super) async fn ask(core: Core, common: &Common, why: Why, act: Act) -> anyhow::Result<ExitCode> {
    let id = match why.id {
        Some(text) => Id::parse(&text).context("the id is not a UUID")?,
        None => Id::new(Clock::machine().now().0),
    };
    let asked = Asked { id, who: why.person.staff, reason: why.reason, evidence: why.evidence, act };
    let row = core.payments.ask_staff(&asked).await??;
    show(&core, common, &row)?;
    if row.state == Stage::Proposed.number() && !common.json {
        say(format!("another person must approve it: keytone staff approve {id} --staff NAME"));
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn decide(
    common: &Common,
    request: &str,
    person: &Person,
    decision: Decision<'_>,
) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let id =
        Id::parse(request).context("the request's id is not a UUID; `keytone staff requests` lists them")?;
    let row = core.payments.decide_staff(id, &person.staff, decision).await??;
    show(&core, common, &row)?;
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

fn show(core: &Core, common: &Common, row: &ProposalRow) -> anyhow::Result<()> {
    let stage = approval::stage(row, Clock::machine().now().0).name();
    let amount = Money::new(row.amount_minor, core.payments.settings().currency);
    let at = Timestamp(row.asked_at).to_rfc3339();
    let act: serde_json::Value = serde_json::from_str(&row.act)?;
    if common.json {
        return say_json(&serde_json::json!({
            "id": row.id, "stage": stage, "act": act, "subject": row.subject, "amount": amount.amount_text(),
            "reason": row.reason, "evidence": row.evidence, "asked_by": row.asked_by, "asked_at": at,
            "decided_by": row.decided_by, "note": row.note,
            "decided_at": row.decided_at.map(|at| Timestamp(at).to_rfc3339()),
        }));
    }
    let name = act.get("act").and_then(serde_json::Value::as_str).unwrap_or_default();
    let name = act.get("movement").and_then(serde_json::Value::as_str).unwrap_or(name);
    let by = row.decided_by.as_ref().map(|who| format!(", {stage} by {who}")).unwrap_or_default();
    say(format!(
        "{at}  {}  {stage:<9} {name:<13} {amount:>14}  {}  asked by {}{by}  ({}: {}) {}",
        row.id, row.subject, row.asked_by, row.reason, row.evidence, row.note
    ));
    Ok(())
}

async fn log(common: &Common, subject: Option<&str>, limit: u32) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    for row in core.payments.audit_log(subject, limit).await? {
        let at = Timestamp(row.at).to_rfc3339();
        if common.json {
            let details: serde_json::Value = serde_json::from_str(&row.details)?;
            say_json(&serde_json::json!({
                "sequence": row.sequence, "at": at, "who": row.who, "what": row.what, "subject": row.subject,
                "details": details, "hash": audit::hexadecimal(&row.hash),
            }))?;
        } else {
            let (sequence, who, what) = (row.sequence, row.who, row.what);
            say(format!("{sequence:>6}  {at}  {who:<12} {what:<13} {}  {}", row.subject, row.details));
        }
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Days since 1970-01-01 of a date.
pub(super) fn date(text: &str) -> anyhow::Result<i32> {
    let date: jiff::civil::Date =
        text.parse().with_context(|| format!("{text} is not a day such as 2026-05-03"))?;
    let days = jiff::civil::date(1970, 1, 1).until(date)?.get_days();
    Ok(days)
}
