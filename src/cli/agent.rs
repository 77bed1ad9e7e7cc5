//! `keytone agent` and `keytone charge`: who sells balance, what was asked for, and disputes resolved by two persons.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Common, say, say_json};
use crate::app::Core;
use crate::clock::Timestamp;
use crate::money::Money;
use crate::payment::charge;
use crate::payment::charge::{Side, Stage};
use crate::payment::row::charge::{AgentRow, ChargeRow};
use crate::payment::run::agents::{AgentTerms, NewAgent};
use crate::payment::run::charges::Charged;

/// Millionths in a unit.
const MILLION: i64 = 1_000_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an agent, whose number is bound to an account; its store is open at once
    #[command(after_help = "\
Example:
  keytone agent add +8613800000002 Wang --price 0.98 --least 10 --most 600 --fee 0.50 --details \"ICBC 6222 0001\"")]
    Add {
        #[command(flatten)]
        common: Common,
        /// The agent's number, which is bound to the account that sells
        number: String,
        /// The name that buyers see, 20 characters at most
        name: String,
        /// The price of a unit of balance, in ordinary money
        #[arg(long, default_value = "1")]
        price: String,
        /// The least of one charge
        #[arg(long)]
        least: String,
        /// The most of one charge
        #[arg(long)]
        most: String,
        /// What the agent pays for each deposit
        #[arg(long, default_value = "0")]
        fee: String,
        /// Where buyers pay, 40 characters at most; they are told after the deposit
        #[arg(long)]
        details: String,
        /// The language of texts to the agent
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// List agents with what they have to sell
    #[command(after_help = "Example:\n  keytone agent list --json")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show an agent and the charges that are open
    #[command(after_help = "Example:\n  keytone agent show +8613800000002")]
    Show {
        #[command(flatten)]
        common: Common,
        /// The agent, by number or account
        agent: String,
    },
    /// Change an agent's terms; charges that were asked for keep theirs
    #[command(after_help = "Example:\n  keytone agent change +8613800000002 --price 0.97 --most 800")]
    Change {
        #[command(flatten)]
        common: Common,
        /// The agent, by number or account
        agent: String,
        /// The price of a unit of balance, in ordinary money
        #[arg(long)]
        price: Option<String>,
        /// The least of one charge
        #[arg(long)]
        least: Option<String>,
        /// The most of one charge
        #[arg(long)]
        most: Option<String>,
        /// What the agent pays for each deposit
        #[arg(long)]
        fee: Option<String>,
        /// Where buyers pay
        #[arg(long)]
        details: Option<String>,
        /// Open the agent's store
        #[arg(long, conflicts_with = "close")]
        open: bool,
        /// Close the agent's store
        #[arg(long)]
        close: bool,
    },
    /// Suspend an agent: nothing is asked of it; what is deposited goes its way
    #[command(after_help = "\
Examples:
  keytone agent suspend +8613800000002
  keytone agent suspend +8613800000002 --lift")]
    Suspend {
        #[command(flatten)]
        common: Common,
        /// The agent, by number or account
        agent: String,
        /// Let it go on
        #[arg(long)]
        lift: bool,
    },
    /// Make an API key for an agent's or a buyer's account, told once; the one before is void at once
    #[command(after_help = "Example:\n  keytone agent key +8613800000002")]
    Key {
        #[command(flatten)]
        common: Common,
        /// The account, by number or id
        account: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ChargeCommand {
    /// List charges in a state, the latest first
    #[command(after_help = "Examples:\n  keytone charge list\n  keytone charge list --state claimed --json")]
    List {
        #[command(flatten)]
        common: Common,
        /// requested, deposited, claimed, completed, disputed, cancelled, declined, lapsed, returned, resolved_to_buyer or
        /// resolved_to_agent
        #[arg(long, default_value = "disputed", value_parser = stage)]
        state: Stage,
    },
    /// Show a charge and what was said about it
    #[command(after_help = "Example:\n  keytone charge show 482913476")]
    Show {
        #[command(flatten)]
        common: Common,
        /// Its number
        charge: String,
    },
    /// Say whose the money of a dispute is; the second person who says the same decides
    #[command(after_help = "\
Example, by two persons:
  keytone charge resolve 482913476 buyer --evidence \"bank slip 17, seen\" --staff ana
  keytone charge resolve 482913476 buyer --evidence \"called the bank\" --staff bo")]
    Resolve {
        #[command(flatten)]
        common: Common,
        /// Its number
        charge: String,
        /// Whose it is
        #[arg(value_enum)]
        to: Whose,
        /// What it rests on
        #[arg(long)]
        evidence: String,
        #[command(flatten)]
        person: super::staff::Person,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Whose {
    Buyer,
    Agent,
}

fn stage(text: &str) -> Result<Stage, String> {
    Stage::ALL.iter().copied().find(|stage| stage.name() == text).ok_or_else(|| {
        let names: Vec<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Millionths of a price such as 0.98.
fn ppm(text: &str) -> anyhow::Result<i64> {
    let exact =
        Decimal::from_str_exact(text).ok().and_then(|price| price.checked_mul(Decimal::from(MILLION)));
    exact
        .filter(|ppm| ppm.fract().is_zero() && !ppm.is_sign_negative() && !ppm.is_zero())
        .and_then(|ppm| ppm.to_i64())
        .with_context(|| format!("{text} is not a price such as 0.98, with 6 decimals at most"))
}

fn minor(core: &Core, text: &str) -> anyhow::Result<i64> {
    Ok(Money::parse(text, core.payments.settings().currency)?.minor)
}

async fn line(core: &Core, agent: &AgentRow, json: bool) -> anyhow::Result<()> {
    let currency = core.payments.settings().currency;
    let text = |minor: i64| Money::new(minor, currency).amount_text();
    let account = core.payments.account(agent.account).await?.context("the agent's account is gone")?;
    let price = Decimal::new(agent.price_ppm, 6).normalize().to_string();
    if json {
        return say_json(&serde_json::json!({
            "account": agent.account, "name": agent.name, "number": agent.phone.as_str(), "language": agent.language,
            "details": agent.details, "price": price, "least": text(agent.least_minor), "most": text(agent.most_minor),
            "fee": text(agent.fee_minor), "available": text(account.available_minor), "currency": currency.code(),
            "open": agent.open, "suspended": agent.suspended,
        }));
    }
    let shut = match (agent.suspended, agent.open) {
        (true, _) => "  suspended",
        (false, false) => "  closed",
        (false, true) => "",
    };
    say(format!(
        "{}  {:<16} {:>12} {currency}  {} to {} at {price}, fee {}  {}{shut}",
        agent.account,
        agent.phone.as_str(),
        text(account.available_minor),
        text(agent.least_minor),
        text(agent.most_minor),
        text(agent.fee_minor),
        agent.name,
    ));
    Ok(())
}

async fn find(core: &Core, text: &str) -> anyhow::Result<AgentRow> {
    let account = super::account::find(core, text).await?;
    core.payments.agent(account).await?.with_context(|| format!("{text} is not an agent"))
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { common, number, name, price, least, most, fee, details, language } => {
            let core = super::serve::core(&common.config).await?;
            let new = NewAgent {
                account: super::account::find(&core, &number).await?,
                phone: super::account::number(&core, &number)?,
                name,
                language,
                details,
                price_ppm: ppm(&price)?,
                least_minor: minor(&core, &least)?,
                most_minor: minor(&core, &most)?,
                fee_minor: minor(&core, &fee)?,
            };
            let row = core.payments.add_agent(new).await?;
            line(&core, &row, common.json).await?;
            core.close().await;
        }
        Command::List { common } => {
            let core = super::serve::core(&common.config).await?;
            for agent in core.payments.all_agents().await? {
                line(&core, &agent, common.json).await?;
            }
            core.close().await;
        }
        Command::Show { common, agent } => {
            let core = super::serve::core(&common.config).await?;
            let agent = find(&core, &agent).await?;
            line(&core, &agent, common.json).await?;
            for row in core.payments.open_charges(Side::Agent, agent.account).await? {
                tell(&row, common.json)?;
            }
            core.close().await;
        }
        Command::Change { common, agent, price, least, most, fee, details, open, close } => {
            let core = super::serve::core(&common.config).await?;
            let agent = find(&core, &agent).await?.account;
            let amount = |text: Option<String>| text.map(|text| minor(&core, &text)).transpose();
            let terms = AgentTerms {
                price_ppm: price.map(|price| ppm(&price)).transpose()?,
                least_minor: amount(least)?,
                most_minor: amount(most)?,
                fee_minor: amount(fee)?,
                details,
            };
            core.payments.change_agent_terms(agent, terms).await?;
            if open || close {
                core.payments.open_agent(agent, open).await?;
            }
            changed(core, &common, agent).await?;
        }
        Command::Suspend { common, agent, lift } => {
            let core = super::serve::core(&common.config).await?;
            let agent = find(&core, &agent).await?.account;
            core.payments.suspend_agent(agent, !lift).await?;
            changed(core, &common, agent).await?;
        }
        Command::Key { common, account } => {
            let core = super::serve::core(&common.config).await?;
            let account = super::account::find(&core, &account).await?;
            let key = core.payments.new_account_key(account).await?;
            say(std::str::from_utf8(key.expose())?);
            core.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn changed(core: Core, common: &Common, agent: crate::payment::row::Id) -> anyhow::Result<()> {
    let row = core.payments.agent(agent).await?.context("no such agent")?;
    line(&core, &row, common.json).await?;
    core.close().await;
    Ok(())
}

fn tell(row: &ChargeRow, json: bool) -> anyhow::Result<()> {
    let stage = Stage::from_number(row.state).map_or("unknown", Stage::name);
    let text = |minor: i64| Money::new(minor, row.currency).amount_text();
    if json {
        let time = |at: Option<i64>| at.map(|at| Timestamp(at).to_rfc3339());
        return say_json(&serde_json::json!({
            "number": row.number, "state": stage, "agent": row.agent, "buyer": row.buyer,
            "agent_number": row.agent_phone.as_str(), "buyer_number": row.buyer_phone.as_str(),
            "amount": text(row.amount_minor), "price": text(row.price_minor), "fee": text(row.fee_minor),
            "currency": row.currency.code(), "wrong_certificates": row.tries,
            "created_at": time(Some(row.created_at)), "claimed_at": time(row.claimed_at),
            "disputed_at": time(row.disputed_at), "due_at": time(row.due_at), "ended_at": time(row.ended_at),
            "judged_by": row.judged_by, "judged_to": row.judged_to.map(whose),
            "evidence": row.evidence.as_deref().map(|said| said.lines().collect::<Vec<_>>()).unwrap_or_default(),
        }));
    }
    say(format!(
        "{}  {stage:<17} {:>12} {} for {}  agent {}  buyer {}",
        row.number,
        text(row.amount_minor),
        row.currency,
        text(row.price_minor),
        row.agent_phone.as_str(),
        row.buyer_phone.as_str(),
    ));
    Ok(())
}

/// The side of a stored number.
const fn whose(number: i16) -> &'static str {
    if number == Side::Buyer.number() { "buyer" } else { "agent" }
}

pub(super) async fn charge(command: ChargeCommand) -> anyhow::Result<ExitCode> {
    match command {
        ChargeCommand::List { common, state } => {
            let core = super::serve::core(&common.config).await?;
            for row in core.payments.charges_in(state).await? {
                tell(&row, common.json)?;
            }
            core.close().await;
        }
        ChargeCommand::Show { common, charge } => {
            let core = super::serve::core(&common.config).await?;
            let row = core.payments.charge_by_number(&charge).await?.context("no such charge")?;
            tell(&row, common.json)?;
            if !common.json {
                for said in row.evidence.as_deref().unwrap_or_default().lines() {
                    say(format!("           {said}"));
                }
                waits(&row);
            }
            core.close().await;
        }
        ChargeCommand::Resolve { common, charge, to, evidence, person } => {
            let core = super::serve::core(&common.config).await?;
            let to = match to {
                Whose::Buyer => Side::Buyer,
                Whose::Agent => Side::Agent,
            };
            match core.payments.judge_charge(&charge, &person.staff, to, &evidence).await? {
                Charged::Done(row) => {
                    tell(&row, common.json)?;
                    if !common.json {
                        waits(&row);
                    }
                }
                Charged::NotFound => bail!("no such charge"),
                Charged::NotNow(stage) => bail!("the charge is {}, not disputed", stage.name()),
                Charged::NotJudged(charge::Refusal::SameStaff) => {
                    bail!("{} has said so already; another person must agree", person.staff.trim())
                }
                Charged::NotJudged(_) => {
                    bail!("say who you are, and the evidence in {} characters at least", charge::EVIDENCE_MIN)
                }
                other => bail!("it could not be resolved: {other:?}"),
            }
            core.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn waits(row: &ChargeRow) {
    if let (Some(Stage::Disputed), Some(first), Some(to)) =
        (Stage::from_number(row.state), &row.judged_by, row.judged_to)
    {
        say(format!("{first} says that it is the {}'s; it waits for a second person", whose(to)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        assert_eq!(ppm("0.98").unwrap(), 980_000);
        assert_eq!(ppm("1").unwrap(), 1_000_000);
        assert_eq!(ppm("0.000001").unwrap(), 1);
        for bad in ["0", "-1", "0.0000001", "x", "", "99999999999999999999"] {
            assert!(ppm(bad).is_err(), "{bad}");
        }
    }
}
