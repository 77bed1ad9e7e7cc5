//! `keytone reconcile`: a carrier's statement against our payments.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use sha2::Digest;

use super::staff::Person;
use super::{Common, say, say_json};
use crate::payment::row::Id;
use crate::payment::run::reconcile::{Compared, Reconciled};
use crate::payment::statement::Class;
use crate::payment::statement::profile::{Market, Profile};

#[derive(Args, Debug)]
#[command(after_help = "\
Reads a statement by its profile (docs: src/payment/statement/profile.rs shows one), compares it with the payments of the
time that it covers, and with --apply asks for what it proposes: small sums are done, large ones wait for a second person.
The same file again does nothing twice. The exit status is 1 when something does not agree; what does not is kept with --apply
(see `keytone staff findings`), and no day is closed while it is open. A biller's statement goes by its connector, an account
provider's by its name, and that of the house's bank by --connector bank: it is compared with what staff moved.

Examples:
  keytone reconcile may-03.csv --profile acme.toml --connector acme
  keytone reconcile may-03.csv --profile acme.toml --connector acme --from 2026-05-03 --days 1 --apply --staff ana
  keytone reconcile bank-may.csv --profile bank.toml --connector bank --apply --staff ana")]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The carrier's statement
    statement: PathBuf,
    /// How the carrier writes it
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// Whose it is
    #[arg(long)]
    connector: String,
    /// The first day that it covers, in the market's zone; without it the time of its first and last line
    #[arg(long, value_name = "DAY", requires = "days")]
    from: Option<String>,
    /// How many days it covers
    #[arg(long)]
    days: Option<u16>,
    /// Ask for what it proposes; without it nothing is changed
    #[arg(long, requires = "staff")]
    apply: bool,
    #[command(flatten)]
    person: Option<Person>,
}

/// Tells how many lines were read, on a terminal.
fn progress(lines: usize) {
    if std::io::stderr().is_terminal() {
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r{lines} lines");
    }
}

fn digest(path: &Path, connector: &str) -> anyhow::Result<Id> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = sha2::Sha256::new();
    hash.update(b"keytone.statement\0");
    hash.update(connector.as_bytes());
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize().iter()) {
        *to = *from;
    }
    Ok(Id(*uuid::Builder::from_custom_bytes(bytes).into_uuid().as_bytes()))
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { common, statement, profile, connector, from, days, apply, person } = arguments;
    let text =
        std::fs::read_to_string(&profile).with_context(|| format!("cannot read {}", profile.display()))?;
    let profile = Profile::parse(&text)?;
    let core = super::serve::core(&common.config).await?;
    let plan = core.payments.plan();
    let market =
        Market { country: &plan.country, national_max: plan.national_max(), currency: plan.currency };
    let id = digest(&statement, &connector)?;
    let mut input = BufReader::new(File::open(&statement)?);
    let read = profile.read(&mut input, &market, &mut progress)?;
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr());
    }
    let covers = match (from, days) {
        (Some(from), Some(days)) => {
            let date: jiff::civil::Date = from.parse().with_context(|| format!("{from} is not a day"))?;
            let zone = &core.payments.settings().zone;
            let midnight = |date: jiff::civil::Date| {
                date.to_zoned(zone.clone()).map(|zoned| zoned.timestamp().as_microsecond())
            };
            let until = date.checked_add(jiff::Span::new().days(i64::from(days)))?;
            (midnight(date)?, midnight(until)?)
        }
        _ => {
            let times = || read.lines.iter().filter_map(|line| line.at);
            match (times().min(), times().max()) {
                (Some(first), Some(last)) => (first, last.saturating_add(1)),
                _ => bail!("the statement's lines have no time: say by --from and --days what it covers"),
            }
        }
    };
    let drift_us = i64::try_from(profile.drift.as_micros()).unwrap_or(i64::MAX);
    let (connector, costs) = (connector.as_str(), profile.costs);
    let (lines, unreadable) = (read.lines.as_slice(), read.faults.as_slice());
    let compared = Compared { id, connector, lines, unreadable, covers, costs, drift_us };
    let found = match person {
        Some(person) if apply => core.payments.reconcile(&compared, &person.staff).await??,
        _ => core.payments.compare_statement(&compared).await?,
    };
    for (line, why) in &read.faults {
        if common.json {
            say_json(&serde_json::json!({ "line": line, "unreadable": why }))?;
        } else {
            say(format!("line {line}: cannot be read: {why}"));
        }
    }
    report(&found, common.json)?;
    core.close().await;
    let sound = found.open() == 0 && read.faults.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(found: &Reconciled, json: bool) -> anyhow::Result<()> {
    for finding in found.findings.iter().filter(|f| f.class != Class::Matched) {
        let ours = finding.ours.and_then(|at| found.ours.get(at));
        let theirs = finding.theirs.map(|(status, _)| status);
        if json {
            say_json(&serde_json::json!({
                "class": finding.class, "line": finding.line, "payment": ours.map(|o| o.payment),
                "reference": ours.map(|o| o.reference.as_str()), "ours": ours.map(|o| o.state), "theirs": theirs,
                "amount_minor": ours.map(|o| o.amount_minor), "their_amount_minor": finding.theirs.map(|t| t.1),
            }))?;
        } else {
            let line = finding.line.map_or_else(|| "-".to_owned(), |line| line.to_string());
            let reference = ours.map_or("-", |o| o.reference.as_str());
            let state = ours.map_or("-", |o| super::payment::name(o.state));
            let theirs = theirs.map_or_else(|| "-".to_owned(), |status| format!("{status:?}").to_lowercase());
            let class = finding.class.name();
            say(format!(
                "{class:<15} line {line:>7}  payment {reference:<12} ours {state:<12} theirs {theirs}"
            ));
        }
    }
    for (line, answer) in &found.asked {
        let what = match answer {
            Ok(row) => format!("{} {}", row.id, if row.decided_at.is_some() { "done" } else { "proposed" }),
            Err(why) => format!("not possible: {why}"),
        };
        if json {
            say_json(&serde_json::json!({ "line": line, "request": what }))?;
        } else {
            say(format!("request         line {:>7}  {what}", line.unwrap_or(0)));
        }
    }
    if json {
        return say_json(&serde_json::json!({ "counts": found.counts, "repeated": found.repeated }));
    }
    let counts: Vec<String> = found.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    say(counts.join(", "));
    if found.repeated {
        say("this file had been read before");
    }
    Ok(())
}
