//! `keytone ledger export` and `keytone staff export`: entries, payments and closed days as CSV, a row at a time, in columns that
//! stay as they are. New columns come at the end.

use std::io::{BufWriter, Stdout, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use super::Common;
use crate::app::Core;
use crate::clock::Timestamp;
use crate::money::{Currency, Money};
use crate::payment::csv;
use crate::payment::day;
use crate::payment::row::day::DayProofRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::ClosedDayRow;
use crate::payment::row::{Id, PaymentRow};

/// What is exported.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Table {
    /// Every entry of every account
    Entries,
    /// Payments
    Payments,
    /// Closed days with their proofs
    Days,
}

const ENTRIES: &[&str] =
    &["at", "transfer", "account", "kind", "name", "sequence", "amount", "balance", "currency", "payment"];
const PAYMENTS: &[&str] = &[
    "id",
    "reference",
    "created_at",
    "product",
    "target",
    "amount",
    "fee",
    "cost",
    "currency",
    "state",
    "class",
    "connector",
    "carrier_reference",
    "account",
    "tax",
    "commission",
    "payee",
    "business_day",
];
const DAYS: &[&str] = &[
    "day",
    "closed_at",
    "closed_by",
    "open_payments",
    "owed",
    "trust",
    "swept",
    "currency",
    "commands",
    "hash",
    "audit_hash",
];

/// Writes rows to standard output until somebody stops reading.
struct Rows {
    out: BufWriter<Stdout>,
    fault: Option<std::io::Error>,
}

impl Rows {
    fn begin(columns: &[&str]) -> Self {
        let mut rows = Self { out: BufWriter::with_capacity(64 * 1024, std::io::stdout()), fault: None };
        rows.write(columns);
        rows
    }

    fn write<T: AsRef<str>>(&mut self, cells: &[T]) {
        if self.fault.is_none() {
            self.fault = self.out.write_all(csv::line(cells).as_bytes()).err();
        }
    }

    fn end(mut self) -> anyhow::Result<ExitCode> {
        let fault = self.fault.take().or_else(|| self.out.flush().err());
        match fault {
            // Whoever read has enough.
            Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            Some(error) => Err(error.into()),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

fn amount(minor: i64, currency: Currency) -> String {
    Money::new(minor, currency).amount_text()
}

fn time(at: i64) -> String {
    Timestamp(at).to_rfc3339()
}

/// Days since 1970-01-01, from and up to and with, of what was given.
fn span(core: &Core, from: Option<&str>, until: Option<&str>) -> anyhow::Result<(i32, i32)> {
    let zone = &core.payments.settings().zone;
    let today = crate::clock::Clock::machine().now().business_day(zone);
    let first = from.map(super::staff::date).transpose()?;
    let last = until.map(super::staff::date).transpose()?.unwrap_or(today);
    let first = first.unwrap_or(last);
    anyhow::ensure!(first <= last, "the export ends before it begins");
    Ok((first, last))
}

pub(super) async fn ledger(
    common: &Common,
    table: Table,
    from: Option<&str>,
    until: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let days = span(&core, from, until)?;
    let rows = match table {
        Table::Entries => entries(&core, days).await?,
        Table::Payments => payments(&core, days).await?,
        Table::Days => closed(&core, days).await?,
    };
    core.close().await;
    rows.end()
}

async fn entries(core: &Core, (first, last): (i32, i32)) -> anyhow::Result<Rows> {
    let zone = &core.payments.settings().zone;
    // The end of the day before is the beginning of the first.
    let from = day::midnight_after(first.saturating_sub(1), zone).unwrap_or(0);
    let until = day::midnight_after(last, zone).unwrap_or(i64::MAX);
    let mut rows = Rows::begin(ENTRIES);
    let mut see = |booked: crate::store::accounting::Booked| {
        let entry = &booked.entry;
        rows.write(&[
            time(booked.at),
            entry.transfer.text(),
            entry.account.text(),
            super::ledger::kind(booked.kind).to_owned(),
            booked.name.clone(),
            entry.sequence.to_string(),
            amount(entry.amount_minor, booked.currency),
            amount(entry.balance_after_minor, booked.currency),
            booked.currency.code().to_owned(),
            booked.payment.map(Id::text).unwrap_or_default(),
        ]);
    };
    core.store.entries_between(from, until, &mut see).await?;
    Ok(rows)
}

async fn payments(core: &Core, (first, last): (i32, i32)) -> anyhow::Result<Rows> {
    let mut rows = Rows::begin(PAYMENTS);
    for day in first..=last {
        for payment in core.payments.payments_of_day(day).await? {
            rows.write(&payment_row(&payment));
        }
    }
    Ok(rows)
}

fn payment_row(payment: &PaymentRow) -> Vec<String> {
    let money = |minor: i64| amount(minor, payment.currency);
    vec![
        payment.id.text(),
        payment.reference.clone(),
        time(payment.created_at),
        payment.product.clone(),
        payment.target.text(),
        money(payment.amount_minor),
        money(payment.fee_minor),
        money(payment.cost_minor),
        payment.currency.code().to_owned(),
        super::payment::name(payment.state).to_owned(),
        payment.class.clone().unwrap_or_default(),
        payment.connector.clone(),
        payment.carrier_reference.clone().unwrap_or_default(),
        payment.account.text(),
        money(payment.tax_minor),
        money(payment.amount_minor.saturating_sub(payment.cost_minor)),
        payment.payee.clone().unwrap_or_default(),
        day::date(payment.business_day),
    ]
}

async fn closed(core: &Core, (first, last): (i32, i32)) -> anyhow::Result<Rows> {
    let mut rows = Rows::begin(DAYS);
    let wanted = Select::<ClosedDayRow>::new().from("day", &first).order("day").limit(u32::MAX);
    for row in core.store.records(&wanted).await?.into_iter().take_while(|row| row.day <= last) {
        let proof: Option<DayProofRow> = core.store.record(&[cell(&row.day)]).await?;
        let currency =
            proof.as_ref().map_or_else(|| core.payments.settings().currency, |proof| proof.currency);
        let money = |minor: Option<i64>| minor.map(|minor| amount(minor, currency)).unwrap_or_default();
        let hash = proof.as_ref().map(|proof| crate::payment::audit::hexadecimal(&proof.hash));
        rows.write(&[
            day::date(row.day),
            time(row.closed_at),
            row.closed_by.clone(),
            row.open_payments.to_string(),
            money(proof.as_ref().map(|proof| proof.owed_minor)),
            money(proof.as_ref().map(|proof| proof.trust_minor)),
            amount(row.swept_minor, currency),
            currency.code().to_owned(),
            proof.as_ref().map(|proof| proof.transfers.to_string()).unwrap_or_default(),
            hash.unwrap_or_default(),
            row.audit_hash.clone(),
        ]);
    }
    Ok(rows)
}

/// The payments of a day, or the entries of one account, the latest first.
pub(super) async fn run(
    common: &Common,
    day: Option<String>,
    account: Option<String>,
) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let rows = match (day, account) {
        (Some(day), _) => {
            let day = super::staff::date(&day)?;
            payments(&core, (day, day)).await?
        }
        (None, Some(text)) => of_account(&core, &text).await?,
        (None, None) => anyhow::bail!("say --day or --account"),
    };
    core.close().await;
    rows.end()
}

async fn of_account(core: &Core, text: &str) -> anyhow::Result<Rows> {
    let house = core.store.house_accounts().await?.into_iter().find(|row| row.name == text);
    let account = match house {
        Some(row) => row.id,
        None => super::account::find(core, text).await?,
    };
    let currency = core.payments.settings().currency;
    let mut rows = Rows::begin(&["sequence", "at", "amount", "balance", "transfer", "payment"]);
    let mut last = None;
    loop {
        let entries = core.store.entries_of(account, last.as_ref(), 500).await?;
        let ids: Vec<Id> = entries.iter().map(|entry| entry.transfer).collect();
        let transfers = core.store.transfers_of(&ids).await?;
        for entry in &entries {
            let transfer = transfers.iter().find(|transfer| transfer.id == entry.transfer);
            rows.write(&[
                entry.sequence.to_string(),
                transfer.map(|t| time(t.at)).unwrap_or_default(),
                amount(entry.amount_minor, currency),
                amount(entry.balance_after_minor, currency),
                entry.transfer.text(),
                transfer.and_then(|t| t.payment).map(Id::text).unwrap_or_default(),
            ]);
        }
        match entries.into_iter().next_back() {
            Some(entry) if entry.previous.is_some() => last = Some(entry),
            _ => return Ok(rows),
        }
    }
}
