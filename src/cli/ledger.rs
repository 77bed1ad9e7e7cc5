//! `keytone ledger`: proves the books, shows the balances.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Common, say, say_json};
use crate::ledger::row::Kind;
use crate::money::Money;
use crate::payment::run::audit;
use crate::store::Total;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Recompute every invariant from the rows alone; exit status 1 and a loud line for each fault
    Verify {
        #[command(flatten)]
        common: Common,
    },
    /// Write entries, payments or closed days as CSV to standard output, a row at a time
    #[command(after_help = "\
The columns stay as they are; new ones come at the end. What a spreadsheet would take for a formula gets an apostrophe.

Examples:
  keytone ledger export entries --from 2026-05-01 --until 2026-05-31 > entries.csv
  keytone ledger export payments --from 2026-05-03 --until 2026-05-03 > payments.csv
  keytone ledger export days --from 2026-01-01 > days.csv")]
    Export {
        #[command(flatten)]
        common: Common,
        /// What
        #[arg(value_enum)]
        table: super::export::Table,
        /// The first day, in the market's zone; the last one alone without it
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The last day; today without it
        #[arg(long, value_name = "DAY")]
        until: Option<String>,
    },
    /// Totals by kind of account
    Balances {
        #[command(flatten)]
        common: Common,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify { common } => {
            let store = super::db::store(&common.config).await?;
            let report = audit::verify(&store).await?;
            store.close().await;
            if common.json {
                say_json(&serde_json::json!({
                    "verified": report.is_sound(),
                    "accounts": report.accounts, "transfers": report.transfers,
                    "entries": report.entries, "holds": report.holds, "payments": report.payments,
                    "faults": report.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
                }))?;
            } else {
                say(format!(
                    "{} accounts, {} transfers, {} entries, {} holds, {} payments",
                    report.accounts, report.transfers, report.entries, report.holds, report.payments
                ));
                for fault in &report.faults {
                    say(format!("FAULT  {fault}"));
                }
                say(if report.is_sound() { "the books are sound" } else { "THE BOOKS ARE BROKEN" });
            }
            Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Export { common, table, from, until } => {
            super::export::ledger(&common, table, from.as_deref(), until.as_deref()).await
        }
        Command::Balances { common } => {
            let store = super::db::store(&common.config).await?;
            print(&store.totals().await?, common.json)?;
            store.close().await;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The balance of a kind of account as people read it: what the house owns is positive too.
pub(super) fn read(total: &Total) -> Money {
    let minor = if total.kind.is_asset() { -total.balance_minor } else { total.balance_minor };
    Money::new(minor, total.currency)
}

/// A kind's name.
pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Customer => "customers",
        Kind::Float => "carrier float",
        Kind::Commission => "commission",
        Kind::Fee => "fees",
        Kind::Tax => "tax",
        Kind::Loss => "loss",
        Kind::Funding => "funding",
        Kind::Intermediary => "intermediary",
        Kind::Rounding => "rounding",
        Kind::Biller => "billers",
        Kind::Merchant => "merchants",
        Kind::Bank => "bank",
        Kind::Receivable => "receivable",
        Kind::TestCustomer => "test customers",
        Kind::TestHouse => "test house",
    }
}

fn print(totals: &[Total], json: bool) -> anyhow::Result<()> {
    for total in totals {
        let held = Money::new(total.held_minor, total.currency);
        if json {
            say_json(&serde_json::json!({
                "kind": total.kind, "currency": total.currency, "accounts": total.accounts,
                "balance": read(total).amount_text(), "held": held.amount_text(),
            }))?;
        } else {
            let name = kind(total.kind);
            say(format!("{name:<14} {:>16}  held {:>12}", read(total).to_string(), held.amount_text()));
        }
    }
    Ok(())
}
