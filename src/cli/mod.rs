//! The command line: reads arguments, calls the rooms, prints for people or, with `--json`, for machines.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod account;
mod agent;
mod alarms;
mod check;
mod clips;
mod day;
mod db;
mod demo;
mod diff;
mod export;
mod flows;
mod fmt;
mod graph;
mod import;
mod ledger;
mod maintenance;
mod merchant;
mod number;
mod payment;
pub mod prompts;
mod reconcile;
mod record;
mod reload;
mod sandbox;
mod serve;
mod smpp;
mod sms;
mod staff;
mod stand_in;
mod statement;
mod talk;
mod test;
mod world;

/// Who acts, for the audit log, where a command has no `--staff`: `$KEYTONE_STAFF`, else the user of the machine.
fn who() -> String {
    let named = ["KEYTONE_STAFF", "SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| {
        std::env::var(name).ok().map(|who| who.trim().to_owned()).filter(|who| !who.is_empty())
    });
    named.unwrap_or_else(|| "command line".to_owned())
}

/// Pay by phone: a daemon for calls, USSD and SMS, with its ledger and carriers.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, max_term_width = 110, after_help = "\
Examples:
  keytone demo                                 a call, a USSD dialogue and a text on this machine, down to the books
  keytone demo --serve                         the same daemon, waiting for your own SIP phone
  keytone check dialplans                      every fault of your dialplans at once
  keytone talk recharge --as voice             a conversation in the terminal
  keytone test dialplans                       the transcripts beside your flows
  keytone graph recharge -o recharge.svg       a flow as a picture
  keytone serve --config keytone.toml          the daemon
  keytone reload --config keytone.toml         serves changed dialplans, calls go on
  keytone smpp status --config keytone.toml    each bind to a carrier's SMSC: its state, load and troubles
  keytone sms list --state unknown             texts of which nobody knows whether they left
  keytone staff requests                       what waits for a second person
  keytone ledger verify --config keytone.toml  proves the books from the rows")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole product on this machine in a few seconds; needs no file and no network
    Demo(demo::Arguments),
    /// Run the daemon
    Serve(serve::Arguments),
    /// Tell the running daemon to serve the dialplans as they are now
    Reload(reload::Arguments),
    /// What the running daemon serves
    #[command(subcommand)]
    Dialplan(reload::Command),
    /// Check dialplans: every fault with its place and a hint
    Check(check::Arguments),
    /// Hold a conversation with a flow in the terminal, as a caller would
    Talk(talk::Arguments),
    /// Hold the transcripts beside flows, on every channel
    Test(test::Arguments),
    /// Draw a flow as a picture
    Graph(graph::Arguments),
    /// Lay flows, messages and transcripts out as everybody does
    Fmt(fmt::Arguments),
    /// Tell how two versions of flows differ for callers
    Diff(diff::Arguments),
    /// Customers' accounts
    #[command(subcommand)]
    Account(account::Command),
    /// Take in customers, numbers and balances of another system
    #[command(subcommand)]
    Import(import::Command),
    /// Payments
    #[command(subcommand)]
    Payment(payment::Command),
    /// Times in which something is shut on purpose
    #[command(subcommand)]
    Maintenance(maintenance::Command),
    /// Merchants: who sells by order
    #[command(subcommand)]
    Merchant(merchant::Command),
    /// Merchants' orders
    #[command(subcommand)]
    Order(merchant::OrderCommand),
    /// Agents: who sells balance through the intermediary account
    #[command(subcommand)]
    Agent(agent::Command),
    /// Charges through the intermediary account, and their disputes
    #[command(subcommand)]
    Charge(agent::ChargeCommand),
    /// Staff's money work: refunds, reversals, movements, approval, audit log, the day's close
    #[command(subcommand)]
    Staff(staff::Command),
    /// Whose a number is, and who recharges it in what order
    Number(number::Arguments),
    /// Compare a carrier's statement with the payments
    Reconcile(reconcile::Arguments),
    /// Text messages
    #[command(subcommand)]
    Sms(sms::Command),
    /// Binds to carriers' SMSCs
    #[command(subcommand)]
    Smpp(smpp::Command),
    /// The books
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// The database
    #[command(subcommand)]
    Db(db::Command),
    /// Prompts: the audio of messages
    #[command(subcommand)]
    Prompts(clips::Command),
    /// Stand-ins for the outside world, with faults on order
    #[command(subcommand)]
    Sandbox(sandbox::Command),
}

/// Where the configuration is and how to print.
#[derive(Args, Clone, Debug)]
struct Common {
    /// The configuration file
    #[arg(short, long, default_value = "keytone.toml", env = "KEYTONE_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads the arguments and does what they say; the exit status is 0 when all is well.
///
/// # Errors
/// Whatever stopped the command, for `main` to print.
pub async fn run() -> anyhow::Result<std::process::ExitCode> {
    match Cli::parse().command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Reload(arguments) => reload::run(arguments).await,
        Command::Dialplan(command) => reload::dialplan(command).await,
        Command::Check(arguments) => check::run(&arguments),
        Command::Talk(arguments) => talk::run(arguments).await,
        Command::Test(arguments) => test::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Fmt(arguments) => fmt::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Account(command) => account::run(command).await,
        Command::Import(command) => import::run(command).await,
        Command::Payment(command) => payment::run(command).await,
        Command::Maintenance(command) => maintenance::run(command).await,
        Command::Merchant(command) => merchant::run(command).await,
        Command::Order(command) => merchant::order(command).await,
        Command::Agent(command) => agent::run(command).await,
        Command::Charge(command) => agent::charge(command).await,
        Command::Staff(command) => staff::run(command).await,
        Command::Number(arguments) => number::run(&arguments),
        Command::Reconcile(arguments) => reconcile::run(arguments).await,
        Command::Sms(command) => sms::run(command).await,
        Command::Smpp(command) => smpp::run(command).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Db(command) => db::run(command).await,
        Command::Prompts(command) => clips::run(command),
        Command::Sandbox(command) => sandbox::run(command).await,
    }
}

/// Writes a line for people; a closed pipe is not a fault.
fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", line.as_ref());
    let _ = out.flush();
}

/// Writes one JSON value on a line.
fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string(value)?);
    Ok(())
}

/// Whether colours help: a terminal, and nobody said NO_COLOR.
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
