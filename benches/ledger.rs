//! Transfers a second through the writer on SQLite and PostgreSQL, beside what the same machine gives in the same run:
//! `fdatasync` a second, and pgbench's TPC-B with 32 clients on the same cluster. Run by `scripts/bench ledger`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking, speaks on the terminal, and rounds"
)]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::chart::{House, customer};
use keytone::ledger::command::{Act, Command, Leg};
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::payment::run::audit::verify;
use keytone::payment::run::writer::Writer;
use keytone::payment::unit::{Op, Unit};
use keytone::store::Store;

mod machine;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/support/postgres.rs"]
mod postgres;

use machine::{Ratio, cpu_seconds, fdatasync, mix, pgbench, say};

/// Accounts among which money moves.
const ACCOUNTS: u64 = 10_000;
/// Units under way at once.
const IN_FLIGHT: [usize; 4] = [1, 32, 256, 1024];

#[derive(serde::Serialize)]
struct Line {
    database: &'static str,
    accounts: &'static str,
    in_flight: usize,
    transfers_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us_per_transfer: f64,
}

#[derive(serde::Serialize)]
struct Outcome {
    fdatasync_per_s: f64,
    pgbench_tps: f64,
    lines: Vec<Line>,
    ratios: Vec<Ratio>,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|a| a == "--json");
    let seconds = arguments
        .iter()
        .position(|a| a == "--seconds")
        .map_or(3, |at| arguments.get(at + 1).and_then(|n| n.parse().ok()).expect("--seconds N"));
    let only = |name: &str| arguments.iter().any(|a| a == "--only") && !arguments.iter().any(|a| a == name);
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let dir = tempfile::tempdir().unwrap();
    let cluster = postgres::Cluster::start(true).unwrap_or_else(|why| panic!("{why}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    say(json, "measuring fdatasync …");
    let fdatasync_per_s = fdatasync(dir.path(), Duration::from_secs(2));
    let pgbench_tps = if only("pgbench") { f64::NAN } else { pgbench(&cluster, json) };
    let mut lines = Vec::new();
    if !only("sqlite") {
        let url = format!("sqlite:{}", dir.path().join("bench.db").display());
        runtime.block_on(database("sqlite", &url, None, seconds, json, &mut lines));
    }
    if !only("postgres") {
        let url = runtime.block_on(cluster.database());
        runtime.block_on(database("postgres", &url, Some(&cluster), seconds, json, &mut lines));
    }
    let ratios = ratios(&lines, pgbench_tps, fdatasync_per_s);
    let outcome = Outcome { fdatasync_per_s, pgbench_tps, lines, ratios };
    if json {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    } else {
        print(&outcome);
    }
}

async fn database(
    name: &'static str,
    url: &str,
    cluster: Option<&postgres::Cluster>,
    seconds: u64,
    json: bool,
    lines: &mut Vec<Line>,
) {
    let store = Store::open(url).await.unwrap();
    store.migrate().await.unwrap();
    let (writer, task) = Writer::start(store.clone(), Clock::machine(), |why| panic!("{why}"));
    open_accounts(&writer).await;
    for in_flight in IN_FLIGHT {
        lines.push(measure(&writer, name, cluster, in_flight, false, seconds, json).await);
    }
    lines.push(measure(&writer, name, cluster, 1024, true, seconds, json).await);
    writer.stop();
    task.await.unwrap();
    let report = verify(&store).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.faults);
    store.close().await;
}

fn account(n: u64) -> Id {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mix(n).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Id(bytes)
}

async fn open_accounts(writer: &Writer) {
    let cny = Currency::new("CNY").unwrap();
    let funding = House::Funding.row(cny, 0);
    writer.commit(Unit { ops: vec![Op::OpenAccount(funding.clone())] }).await.unwrap().unwrap();
    let mut opened = tokio::task::JoinSet::new();
    for first in (0..ACCOUNTS).step_by(10) {
        let some: Vec<Id> = (first..first + 10).map(account).collect();
        let mut ops: Vec<Op> = some.iter().map(|id| Op::OpenAccount(customer(*id, cny, 0))).collect();
        let mut legs: Vec<Leg> = some.iter().map(|id| Leg::new(*id, 1_000_000_000)).collect();
        legs.push(Leg::new(funding.id, -10_000_000_000));
        ops.push(Op::Ledger(Command::new(Id::new(0), None, Act::Transfer { legs })));
        let writer = writer.clone();
        opened.spawn(async move { writer.commit(Unit { ops }).await.unwrap().unwrap() });
    }
    opened.join_all().await;
}

async fn measure(
    writer: &Writer,
    database: &'static str,
    cluster: Option<&postgres::Cluster>,
    in_flight: usize,
    hot: bool,
    seconds: u64,
    json: bool,
) -> Line {
    let accounts = if hot { "one hot" } else { "spread" };
    say(json, &format!("measuring {database}, {accounts}, {in_flight} in flight …"));
    let clock = Clock::machine();
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    let (cpu, start) = (cpu_seconds(cluster), clock.instant());
    for client in 0..in_flight {
        let (writer, stop, clock) = (writer.clone(), Arc::clone(&stop), clock.clone());
        clients.spawn(async move {
            let mut dice = mix(client as u64 + 1);
            let mut waits = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                dice = mix(dice);
                let from = dice % ACCOUNTS;
                // Every payment of a carrier goes to its one float account.
                let to = if hot { ACCOUNTS / 2 } else { (dice >> 32) % ACCOUNTS };
                if from == to {
                    continue;
                }
                let legs = vec![Leg::new(account(from), -1), Leg::new(account(to), 1)];
                let id = Id::new(clock.now().0);
                let unit = Unit { ops: vec![Op::Ledger(Command::new(id, None, Act::Transfer { legs }))] };
                let asked = clock.instant();
                writer.commit(unit).await.unwrap().unwrap();
                waits.push(clock.instant() - asked);
            }
            waits
        });
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let mut waits: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
    let (spent, took) = (cpu_seconds(cluster) - cpu, (clock.instant() - start).as_secs_f64());
    waits.sort_unstable();
    let count = waits.len() as f64;
    let at = |per_cent: usize| waits[waits.len() * per_cent / 100].as_secs_f64() * 1e3;
    Line {
        database,
        accounts,
        in_flight,
        transfers_per_s: count / took,
        p50_ms: at(50),
        p99_ms: at(99),
        cpu_us_per_transfer: spent * 1e6 / count,
    }
}

fn ratios(lines: &[Line], pgbench_tps: f64, fdatasync_per_s: f64) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    let mut add = |what: String, value: f64, wanted: f64, most: bool| {
        let met = if most { value <= wanted } else { value >= wanted };
        ratios.push(Ratio { what, value, wanted, met });
    };
    for name in ["sqlite", "postgres"] {
        let find = |accounts: &str| {
            lines.iter().find(|l| l.database == name && l.accounts == accounts && l.in_flight == 1024)
        };
        let (Some(spread), Some(hot)) = (find("spread"), find("one hot")) else { continue };
        add(format!("{name} ÷ pgbench TPC-B"), spread.transfers_per_s / pgbench_tps, 6.0, false);
        add(format!("{name} ÷ fdatasync"), spread.transfers_per_s / fdatasync_per_s, 10.0, false);
        add(format!("{name} hot ÷ spread"), hot.transfers_per_s / spread.transfers_per_s, 1.0, false);
        add(format!("{name} CPU µs a transfer"), spread.cpu_us_per_transfer, 40.0, true);
    }
    ratios
}

fn print(outcome: &Outcome) {
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    line(format!("fdatasync of 8 kB appends   {:>9.0} /s", outcome.fdatasync_per_s));
    line(format!("pgbench TPC-B, 32 clients   {:>9.0} /s", outcome.pgbench_tps));
    line(String::new());
    line("database  accounts  in flight  transfers/s   p50 ms   p99 ms  CPU µs each".to_owned());
    for l in &outcome.lines {
        line(format!(
            "{:<9} {:<9} {:>9} {:>12.0} {:>8.2} {:>8.2} {:>12.1}",
            l.database, l.accounts, l.in_flight, l.transfers_per_s, l.p50_ms, l.p99_ms, l.cpu_us_per_transfer
        ));
    }
    line(String::new());
    for r in &outcome.ratios {
        let verdict = if r.met { "met" } else { "NOT MET" };
        line(format!("{:<28} {:>7.1}  wanted {:>5.1}  {verdict}", r.what, r.value, r.wanted));
    }
}
