//! `keytone import`: customers, numbers, balances and blocked numbers of another system, from CSV files.

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use sha2::Digest;

use super::staff::Person;
use super::{Common, say, say_json};
use crate::app::Core;
use crate::clock::{Clock, Timestamp};
use crate::money::Money;
use crate::payment::csv;
use crate::payment::import::{Entry, Fault, Head, Kind};
use crate::payment::run::Error;
use crate::payment::run::import::{CHUNK, Came, Import, Sum};

/// Faults that are printed; all of them go to `--errors`.
const TOLD: usize = 20;
/// Bytes read at once while the file's digest is made.
const BLOCK: usize = 256 * 1024;
/// Times that a part of the file is tried when the core is busy.
const TRIES: u32 = 5;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open accounts: `customer[,number,tier,day_limit,payment_limit]`
    #[command(after_help = "\
The first line names the columns. `customer` is the key that the other system has; the account's id follows from it, and
the files of numbers and balances name the customer by the same key. PINs are not taken over: customers choose theirs by
phone. The same file, or a corrected one, again does only what is not done yet.

Examples:
  keytone import customers customers.csv --dry-run --errors faults.csv --staff ana
  keytone import customers customers.csv --staff ana")]
    Customers(Taken),
    /// Bind more numbers: number,customer
    #[command(after_help = "\
`customer` is the key of the other system, an account's id, or a number with + that is bound to the account.

Example:
  keytone import numbers numbers.csv --staff ana")]
    Numbers(Taken),
    /// Book what customers have: `customer,amount[,reference]`
    #[command(after_help = "\
Booked from the house account `migration`; when the other system's money has come to the bank, `keytone staff move
migrated` clears it. A customer's amount of one reference is booked once, whatever file says it: the same amount again is
left out, another amount is an error.

Examples:
  keytone import balances balances.csv --dry-run --staff ana
  keytone import balances balances.csv --staff ana --json")]
    Balances(Taken),
    /// Block numbers, as callers and as targets: `number[,reason]`
    #[command(after_help = "\
`keytone payment suspensions` lists them; `keytone payment resume number +NUMBER` takes one off.

Example:
  keytone import blocked stolen.csv --staff ana")]
    Blocked(Taken),
    /// List files that were taken in
    List {
        #[command(flatten)]
        common: Common,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

/// What to take in.
#[derive(Args, Debug)]
pub(super) struct Taken {
    #[command(flatten)]
    common: Common,
    /// The CSV file: UTF-8, cells between commas
    file: PathBuf,
    /// Say what would be done and what is wrong; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write every fault to this CSV file: line, what, what to do
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    #[command(flatten)]
    person: Person,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Customers(file) => take(Kind::Customers, file).await,
        Command::Numbers(file) => take(Kind::Numbers, file).await,
        Command::Balances(file) => take(Kind::Balances, file).await,
        Command::Blocked(file) => take(Kind::Blocked, file).await,
        Command::List { common, limit } => list(&common, limit).await,
    }
}

/// The digest of a file and how many bytes it has.
fn digest(path: &Path) -> anyhow::Result<([u8; 32], u64)> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = sha2::Sha256::new();
    let (mut block, mut bytes) = (vec![0_u8; BLOCK], 0_u64);
    loop {
        let read = file.read(&mut block).with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            return Ok((hash.finalize().into(), bytes));
        }
        hash.update(block.get(..read).unwrap_or_default());
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(0));
    }
}

/// Where faults go: a file, if one is named, and the first few to the terminal.
struct Faults {
    file: Option<BufWriter<File>>,
    told: Vec<(i64, Fault)>,
}

impl Faults {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let mut file = match path {
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                Some(BufWriter::new(file))
            }
            None => None,
        };
        if let Some(file) = &mut file {
            file.write_all(csv::line(&["line", "what", "what to do"]).as_bytes())?;
        }
        Ok(Self { file, told: Vec::new() })
    }

    fn add(&mut self, line: i64, fault: Fault) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(csv::line(&[&line.to_string(), &fault.what, &fault.advice]).as_bytes())?;
        }
        if self.told.len() < TOLD {
            self.told.push((line, fault));
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.flush().context("cannot write the faults")?;
        }
        Ok(())
    }
}

/// Counts the bytes that were read, for the bar.
struct Counted<R> {
    inner: R,
    read: std::rc::Rc<std::cell::Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(to)?;
        self.read.set(self.read.get().saturating_add(u64::try_from(read).unwrap_or(0)));
        Ok(read)
    }
}

async fn take(kind: Kind, file: Taken) -> anyhow::Result<ExitCode> {
    let (sha256, bytes) = digest(&file.file)?;
    let core = super::serve::core(&file.common.config).await?;
    let mut import = Import::new(kind, &sha256, file.dry_run, &file.person.staff);
    let name = file.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !file.dry_run {
        core.payments.note_import(&import, &name, false).await??;
    }
    let began = Clock::machine().instant();
    let mut faults = Faults::open(file.errors.as_deref())?;
    read(&core, &mut import, &file.file, bytes, &mut faults).await?;
    faults.end()?;
    if !file.dry_run {
        core.payments.note_import(&import, &name, true).await??;
    }
    let sum = import.sum();
    let seconds = Clock::machine().instant().duration_since(began).as_secs_f64();
    tell(&core, &file, &import, &faults, seconds)?;
    core.close().await;
    Ok(if sum.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn read(
    core: &Core,
    import: &mut Import,
    path: &Path,
    bytes: u64,
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let done = std::rc::Rc::new(std::cell::Cell::new(0_u64));
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut rows = csv::Reader::new(BufReader::new(Counted { inner: file, read: done.clone() }), b',');
    let head = match rows.row() {
        None => bail!("{} is empty: its first line must name the columns", path.display()),
        Some(Err((line, error))) => bail!("{}: line {line}: {error}", path.display()),
        Some(Ok((line, cells))) => Head::read(import.kind, &cells)
            .map_err(|f| anyhow::anyhow!("{}: line {line}: {}; {}", path.display(), f.what, f.advice))?,
    };
    let mut chunk: Vec<(i64, Entry)> = Vec::with_capacity(CHUNK);
    let mut refused = Vec::new();
    loop {
        let row = rows.row();
        let last = matches!(row, None | Some(Err((_, csv::Error::OpenQuote | csv::Error::Io(_)))));
        match row {
            None => {}
            Some(Err((line, error))) => {
                let advice = "save the table as CSV in UTF-8 with commas";
                refused.push((line, Fault::new(error.to_string(), advice)));
            }
            Some(Ok((line, cells))) => match head.entry(&cells, &core.payments.import_rules()) {
                Ok(entry) => chunk.push((line, entry)),
                Err(fault) => refused.push((line, fault)),
            },
        }
        if last || chunk.len() >= CHUNK || refused.len() >= CHUNK {
            let mut told: Vec<(i64, Came)> = do_lines(core, import, std::mem::take(&mut chunk)).await?;
            for (line, fault) in refused.drain(..) {
                let came = Came::Fault(fault);
                import.count(&came);
                told.push((line, came));
            }
            told.sort_by_key(|(line, _)| *line);
            for (line, came) in told {
                if let Came::Fault(fault) = came {
                    faults.add(line, fault)?;
                }
            }
            progress(import.kind, done.get(), bytes, last, import.sum());
        }
        if last {
            return Ok(());
        }
    }
}

/// A part of the file; when the core is busy it is tried again, since what was done is found done.
async fn do_lines(
    core: &Core,
    import: &mut Import,
    chunk: Vec<(i64, Entry)>,
) -> anyhow::Result<Vec<(i64, Came)>> {
    let mut tries = 0;
    loop {
        match core.payments.import_lines(import, chunk.clone()).await {
            Ok(told) => return Ok(told),
            Err(Error::Busy | Error::Writer(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_millis(200) * tries).await;
            }
            Err(error) => {
                let sum = import.sum();
                return Err(error).with_context(|| {
                    format!("stopped after {} lines; the same command again goes on from there", sum.lines)
                });
            }
        }
    }
}

fn tell(core: &Core, file: &Taken, import: &Import, faults: &Faults, seconds: f64) -> anyhow::Result<()> {
    let sum = import.sum();
    let currency = core.payments.settings().currency;
    let booked = Money::new(sum.booked_minor, currency).amount_text();
    let first: Vec<_> = faults
        .told
        .iter()
        .map(|(line, f)| serde_json::json!({ "line": line, "what": f.what, "what_to_do": f.advice }))
        .collect();
    if file.common.json {
        return say_json(&serde_json::json!({
            "import": import.id, "kind": import.kind.name(), "dry_run": file.dry_run, "lines": sum.lines,
            "done": sum.done, "already": sum.already, "faults": sum.faults, "booked": booked,
            "currency": currency, "seconds": seconds, "first_faults": first,
        }));
    }
    for (line, fault) in &faults.told {
        say(format!("line {line}: {}; {}", fault.what, fault.advice));
    }
    let told = i64::try_from(faults.told.len()).unwrap_or(0);
    if sum.faults > told {
        let more = sum.faults.saturating_sub(told);
        let hint = if file.errors.is_some() { "all are in the file" } else { "--errors FILE has them all" };
        say(format!("and {more} faults more; {hint}"));
    }
    let (would, note) = if file.dry_run { ("would be done", "; nothing was written") } else { ("done", "") };
    let money =
        if import.kind == Kind::Balances { format!(", {booked} {currency} booked") } else { String::new() };
    say(format!(
        "{} of {} lines {would}{money}, {} were done before, {} faults, in {seconds:.1} s{note}",
        sum.done, sum.lines, sum.already, sum.faults
    ));
    say(format!("import {}", import.id));
    Ok(())
}

async fn list(common: &Common, limit: u32) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let currency = core.payments.settings().currency;
    for row in core.payments.imports(limit).await? {
        let ended = row.ended_at.map(|at| Timestamp(at).to_rfc3339());
        let booked = Money::new(row.booked_minor, currency).amount_text();
        if common.json {
            say_json(&serde_json::json!({
                "import": row.id, "kind": row.kind, "file": row.file, "lines": row.lines, "done": row.done,
                "faults": row.faults, "booked": booked, "staff": row.who,
                "began_at": Timestamp(row.began_at).to_rfc3339(), "ended_at": ended,
            }))?;
        } else {
            let ended = ended.unwrap_or_else(|| "not at its end: run it again".to_owned());
            say(format!(
                "{}  {:<9} {}  {} lines, {} done, {} faults, {booked}  {}  {ended}",
                row.id, row.kind, row.file, row.lines, row.done, row.faults, row.who
            ));
        }
    }
    core.close().await;
    Ok(ExitCode::SUCCESS)
}

/// A bar on the terminal; nothing where there is none.
fn progress(kind: Kind, done: u64, of: u64, last: bool, sum: Sum) {
    const WIDTH: usize = 30;
    let mut terminal = std::io::stderr();
    if !terminal.is_terminal() {
        return;
    }
    let filled = (u64::try_from(WIDTH).unwrap_or(0) * done).checked_div(of).unwrap_or(0);
    let filled = usize::try_from(filled).unwrap_or(WIDTH).min(WIDTH);
    let bar = format!("{}{}", "#".repeat(filled), " ".repeat(WIDTH - filled));
    let _ = write!(terminal, "\r\x1b[K{} [{bar}] {} lines, {} faults", kind.name(), sum.lines, sum.faults);
    if last {
        let _ = write!(terminal, "\r\x1b[K");
    }
    let _ = terminal.flush();
}
