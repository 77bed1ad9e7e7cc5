//! `keytone account statement`: what an account had, what was booked, what it has, for people and for machines.

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use super::{Common, say, say_json};
use crate::clock::Timestamp;
use crate::money::Money;
use crate::payment::csv;
use crate::payment::day;
use crate::payment::run::passbook::Passbook;

/// How it is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Form {
    /// For people
    #[default]
    Text,
    /// For spreadsheets
    Csv,
    /// For machines: one document
    Json,
}

/// The columns of the CSV form, in their order for good.
const COLUMNS: [&str; 8] = ["at", "amount", "balance", "currency", "what", "to", "reference", "transfer"];

pub(super) async fn run(
    common: &Common,
    account: &str,
    from: Option<&str>,
    until: Option<&str>,
    form: Form,
) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let account = super::account::find(&core, account).await?;
    let zone = core.payments.settings().zone.clone();
    // The end of the day before is the beginning of the day.
    let midnight = |text: &str, days: i32| -> anyhow::Result<i64> {
        let day = super::staff::date(text)?.saturating_add(days);
        day::midnight_after(day, &zone).with_context(|| format!("{text} is beyond the calendar"))
    };
    let from_at = from.map(|text| midnight(text, -1)).transpose()?.unwrap_or(0);
    let until_at = until.map(|text| midnight(text, 0)).transpose()?.unwrap_or(i64::MAX);
    anyhow::ensure!(from_at < until_at, "the statement ends before it begins");
    let book = core.payments.passbook(account, from_at, until_at).await?.context("no such account")?;
    let form = if common.json { Form::Json } else { form };
    match form {
        Form::Text => text(&book),
        Form::Csv => table(&book),
        Form::Json => say_json(&document(&book))?,
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

fn amount(book: &Passbook, minor: i64) -> String {
    Money::new(minor, book.currency).amount_text()
}

fn text(book: &Passbook) {
    say(format!("account   {}", book.account));
    if book.cut {
        say("the older part is left out: ask for a shorter time");
    }
    say(format!("opening   {:>14} {}", amount(book, book.opening_minor), book.currency));
    for line in &book.lines {
        let at = Timestamp(line.at).to_rfc3339();
        let back = if line.back { " (given back)" } else { "" };
        let reference = line.reference.as_deref().unwrap_or("-");
        let (minor, balance) = (amount(book, line.amount_minor), amount(book, line.balance_minor));
        say(format!("{at}  {minor:>14}  {balance:>14}  {reference:<10} {} {}{back}", line.what, line.to));
    }
    say(format!("credits   {:>14}", amount(book, book.credits_minor)));
    say(format!("debits    {:>14}", amount(book, book.debits_minor)));
    say(format!("closing   {:>14} {}", amount(book, book.closing_minor), book.currency));
}

fn table(book: &Passbook) {
    let row = |cells: &[String]| say(csv::line(cells).trim_end_matches("\r\n"));
    row(&COLUMNS.map(str::to_owned));
    let edge = |what: &str, minor: i64| {
        let mut cells = COLUMNS.map(|_| String::new());
        for (cell, value) in
            cells.iter_mut().skip(2).zip([amount(book, minor), book.currency.code().to_owned()])
        {
            *cell = value;
        }
        if let Some(cell) = cells.get_mut(4) {
            what.clone_into(cell);
        }
        row(&cells);
    };
    edge("opening", book.opening_minor);
    for line in &book.lines {
        row(&[
            Timestamp(line.at).to_rfc3339(),
            amount(book, line.amount_minor),
            amount(book, line.balance_minor),
            book.currency.code().to_owned(),
            if line.back { format!("{} back", line.what) } else { line.what.clone() },
            line.to.clone(),
            line.reference.clone().unwrap_or_default(),
            line.transfer.text(),
        ]);
    }
    edge("closing", book.closing_minor);
}

fn document(book: &Passbook) -> serde_json::Value {
    let lines: Vec<_> = book
        .lines
        .iter()
        .map(|line| {
            serde_json::json!({
                "at": Timestamp(line.at).to_rfc3339(), "amount": amount(book, line.amount_minor),
                "balance": amount(book, line.balance_minor), "what": line.what, "to": line.to,
                "back": line.back, "reference": line.reference, "transfer": line.transfer,
            })
        })
        .collect();
    serde_json::json!({
        "account": book.account, "currency": book.currency, "opening": amount(book, book.opening_minor),
        "closing": amount(book, book.closing_minor), "credits": amount(book, book.credits_minor),
        "debits": amount(book, book.debits_minor), "cut": book.cut, "lines": lines,
    })
}
