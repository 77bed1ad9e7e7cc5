//! `keytone staff day`, `close` and `findings`: a business day as it stands, its end, and what stands in the way of that.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;

use super::{Common, say, say_json};
use crate::app::Core;
use crate::clock::Timestamp;
use crate::money::Money;
use crate::payment::day;
use crate::payment::finding::Standing;
use crate::payment::row::day::FindingRow;
use crate::payment::run::close::{Closing, totals};

pub(super) async fn show(common: &Common, text: &str) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let seen = core.payments.day(super::staff::date(text)?).await?;
    let money = |minor: i64| Money::new(minor, core.payments.settings().currency).to_string();
    if common.json {
        say_json(&serde_json::json!({
            "day": text, "closed": seen.closed.is_some(), "totals": totals(&seen),
            "open": seen.open.iter().map(super::payment::json).collect::<Vec<_>>(),
            "unmatched": seen.unmatched.iter().map(json).collect::<Vec<_>>(),
        }))?;
    } else {
        for ((product, connector), sum) in &seen.sums {
            say(format!(
                "{product:<9} {connector:<12} delivered {:>6} of {:>14}, refused {}, reversed {}",
                sum.delivered,
                money(sum.amount_minor),
                sum.refused,
                sum.reversed
            ));
            say(format!(
                "{:<22} cost {:>14}, commission {:>12}, fees {:>12}, tax {:>12}",
                "",
                money(sum.cost_minor),
                money(sum.commission_minor),
                money(sum.fee_minor),
                money(sum.tax_minor)
            ));
        }
        for (connector, minor) in &seen.floats {
            say(format!("float     {connector:<12} {:>14}", money(*minor)));
        }
        let fits =
            if seen.owed_minor == seen.trust_minor { "equal" } else { "the close moves the difference" };
        say(format!(
            "trust     {:>14}, owed to customers, merchants and the intermediary account {:>14}: {fits}",
            money(seen.trust_minor),
            money(seen.owed_minor)
        ));
        for payment in &seen.open {
            let state = super::payment::name(payment.state);
            say(format!("open      {}  {state:<12} {:>14}", payment.reference, money(payment.amount_minor)));
        }
        for finding in &seen.unmatched {
            say(line(finding, &money));
        }
        for (connector, minor) in &seen.unread {
            say(format!(
                "unread    {connector:<12} {:>14} delivered, no statement of the whole day",
                money(*minor)
            ));
        }
        say(if seen.closed.is_some() { "closed" } else { "not closed" });
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

fn line(finding: &FindingRow, money: &dyn Fn(i64) -> String) -> String {
    let minor = |minor: Option<i64>| minor.map_or_else(|| "-".to_owned(), money);
    format!(
        "finding   {} {:<12} {:<15} {:<12} ours {:>14}, theirs {:>14}  {}",
        finding.statement,
        format!("\"{}\"", finding.place),
        finding.class,
        finding.connector,
        minor(finding.ours_minor),
        minor(finding.theirs_minor),
        finding.detail
    )
}

fn json(finding: &FindingRow) -> serde_json::Value {
    serde_json::json!({
        "statement": finding.statement, "place": finding.place, "class": finding.class,
        "connector": finding.connector, "payment": finding.payment, "ours_minor": finding.ours_minor,
        "theirs_minor": finding.theirs_minor, "detail": finding.detail, "request": finding.request,
        "standing": Standing::from_number(finding.state).map(Standing::name),
        "found_at": Timestamp(finding.found_at).to_rfc3339(),
        "settled_at": finding.settled_at.map(|at| Timestamp(at).to_rfc3339()),
    })
}

/// What connectors say that they have of ours, from `CONNECTOR=AMOUNT`.
pub(super) fn told(core: &Core, floats: &[String]) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut told = BTreeMap::new();
    for float in floats {
        let (connector, amount) =
            float.split_once('=').with_context(|| format!("{float} is not CONNECTOR=AMOUNT"))?;
        let known = core.payments.describe().iter().any(|d| d.id == connector);
        anyhow::ensure!(known, "there is no connector {connector}");
        told.insert(connector.to_owned(), Money::parse(amount, core.payments.settings().currency)?.minor);
    }
    Ok(told)
}

pub(super) async fn close(
    core: Core,
    common: &Common,
    day: i32,
    told: BTreeMap<String, i64>,
    who: String,
) -> anyhow::Result<ExitCode> {
    let row = core.payments.close_day(day, &Closing { who, told }).await??;
    let swept = Money::new(row.swept_minor, core.payments.settings().currency);
    let date = day::date(day);
    let totals: serde_json::Value = serde_json::from_str(&row.totals)?;
    let unread = totals.get("unread").cloned().unwrap_or_default();
    if common.json {
        say_json(&serde_json::json!({
            "day": date, "open": row.open_payments, "swept": swept.amount_text(), "audit_hash": row.audit_hash,
            "unread": unread,
        }))?;
    } else {
        say(format!("{date} is closed; {} payments are carried over", row.open_payments));
        for connector in unread.as_array().into_iter().flatten().filter_map(|name| name.as_str()) {
            say(format!("warning: no statement of {connector} that covers the whole day was read"));
        }
        say(format!("to the trust account from the house's: {swept} (tell the bank)"));
        say(format!("the audit log stood at {}: keep it elsewhere", row.audit_hash));
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn findings(common: &Common, standing: Standing, limit: u32) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let money = |minor: i64| Money::new(minor, core.payments.settings().currency).to_string();
    for finding in core.payments.findings(standing, limit).await? {
        if common.json {
            say_json(&json(&finding))?;
        } else {
            say(line(&finding, &money));
        }
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}
