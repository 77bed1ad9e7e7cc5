//! `keytone number`: whose a number is, and who recharges it in what order, as the configuration says now.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{Common, say, say_json};
use crate::app;
use crate::config::Config;
use crate::connector::numbering::{Carrier, Offer};
use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;

#[derive(Args, Debug)]
#[command(after_help = "\
Reads the configuration, the numbering plan and the table of ported numbers; no database and no daemon are needed.
Exit status 1 when nobody recharges the number.

Examples:
  keytone number +8613800000001 --config /etc/keytone/keytone.toml
  keytone number +8613800000001 --json | jq '.routes[0].connector'")]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The number, in full or national
    number: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { common, number } = arguments;
    let plan = app::plan(&Config::load(&common.config)?)?;
    let full = if number.starts_with('+') { number.clone() } else { format!("+{}{number}", plan.country) };
    let phone = Msisdn::parse(&full).with_context(|| format!("{number} is not a telephone number"))?;
    let range = plan.range(&phone);
    let operator = plan.operator(&phone);
    let ported = plan.ported().operator(&phone).map(str::to_owned);
    let carriers = plan.carriers(&phone);
    if common.json {
        let routes: Vec<_> = carriers.iter().map(|carrier| json(carrier, plan.currency)).collect();
        say_json(&serde_json::json!({
            "number": phone.as_str(), "operator": operator, "area": range.map(|r| r.area.as_str()),
            "ported_to": ported, "mobile": operator.is_some(), "routes": routes,
        }))?;
    } else {
        say(match (&operator, range) {
            (Some(operator), Some(range)) if ported.is_some() => {
                format!("{operator}, ported from {}", range.operator)
            }
            (Some(operator), _) => operator.clone(),
            (None, _) => "not a mobile number of this plan".to_owned(),
        });
        for carrier in &carriers {
            let area = carrier.area.as_deref().map(|area| format!(" in {area}")).unwrap_or_default();
            let offer = offer(&carrier.offer, plan.currency);
            say(format!("{:>2}  {}{area}  {offer}", carrier.priority, carrier.connector));
        }
        if operator.is_some() && carriers.is_empty() {
            say("nobody recharges it");
        }
    }
    Ok(if carriers.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn offer(offer: &Offer, currency: Currency) -> String {
    let money = |minor: i64| Money::new(minor, currency).to_string();
    match offer {
        Offer::Fixed(amounts) => amounts.iter().map(|minor| money(*minor)).collect::<Vec<_>>().join(", "),
        Offer::Range { min_minor, max_minor, step_minor } => {
            format!("{} to {} in steps of {}", money(*min_minor), money(*max_minor), money(*step_minor))
        }
    }
}

fn json(carrier: &Carrier, currency: Currency) -> serde_json::Value {
    let amounts = match &carrier.offer {
        Offer::Fixed(amounts) => serde_json::json!({ "fixed_minor": amounts }),
        Offer::Range { min_minor, max_minor, step_minor } => serde_json::json!({
            "min_minor": min_minor, "max_minor": max_minor, "step_minor": step_minor,
        }),
    };
    serde_json::json!({
        "connector": carrier.connector, "priority": carrier.priority, "area": carrier.area,
        "amounts": amounts, "currency": currency.code(),
    })
}
