//! Whole payments a second on SQLite and PostgreSQL: limits and hold, attempt, a carrier over HTTP, posting, receipt. Beside
//! them what the same machine gives in the same run: pgbench's TPC-B with 32 clients on the same cluster. The carrier is a
//! process of its own that answers at once. Run by `scripts/bench payments`.
//!
//! `--full` measures once more over ten million accounts and fifty million entries that were loaded in bulk, without the
//! history that would prove their balances: how the cost of a payment grows with the books.
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

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::definition::Definition;
use keytone::connector::http::Connector;
use keytone::connector::key::Key;
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::msisdn::Msisdn;
use keytone::payment::answer::{Channel, PayOutcome, PayRequest, Pin};
use keytone::payment::pin::Peppers;
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{OpenAccount, Parts, Payments, audit};
use keytone::payment::settings::Settings;
use keytone::secret::Secret;
use keytone::store::Store;
use tokio::task::JoinSet;

mod books;
mod carrier;
#[path = "../machine/mod.rs"]
mod machine;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../../tests/support/postgres.rs"]
mod postgres;

use books::Size;
use machine::{Ratio, cpu_seconds, fdatasync, mix, pgbench, say};

/// Payments under way at once, without and with a PIN.
const IN_FLIGHT: [usize; 3] = [32, 256, 1024];
const IN_FLIGHT_WITH_PIN: usize = 32;
/// Accounts that have a PIN; each client has its own, since an account's tries wait for each other.
const WITH_PIN: usize = IN_FLIGHT_WITH_PIN * 4;
const PIN: &str = "739154";
const AMOUNT_MINOR: i64 = 5_000;

#[derive(serde::Serialize)]
struct Line {
    database: &'static str,
    accounts: u64,
    entries: u64,
    pin: bool,
    in_flight: usize,
    payments_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us_per_payment: f64,
    memory_mib: u64,
}

#[derive(serde::Serialize)]
struct Outcome {
    fdatasync_per_s: f64,
    pgbench_tps: f64,
    lines: Vec<Line>,
    ratios: Vec<Ratio>,
}

/// What the arguments ask for.
#[derive(Clone, Copy)]
struct Asked {
    json: bool,
    seconds: u64,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    if has("--carrier") {
        return carrier::serve();
    }
    let seconds = arguments
        .iter()
        .position(|a| a == "--seconds")
        .map_or(5, |at| arguments.get(at + 1).and_then(|n| n.parse().ok()).expect("--seconds N"));
    let asked = Asked { json: has("--json"), seconds };
    let only = |name: &str| has("--only") && !has(name);
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cluster = postgres::Cluster::start(true).unwrap_or_else(|why| panic!("{why}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let carrier = Carrier::start();
    say(asked.json, "measuring fdatasync …");
    let fdatasync_per_s = fdatasync(dir.path(), Duration::from_secs(2));
    let pgbench_tps = if only("pgbench") { f64::NAN } else { pgbench(&cluster, asked.json) };
    let sizes = if has("--full") { &[Size::SMALL, Size::LARGE][..] } else { &[Size::SMALL][..] };
    let mut lines = Vec::new();
    for size in sizes {
        if !only("sqlite") {
            let path = dir.path().join(format!("{}.db", size.accounts));
            let bench = Bench {
                database: "sqlite",
                url: format!("sqlite:{}", path.display()),
                cluster: None,
                size: *size,
            };
            runtime.block_on(bench.run(&carrier.url, asked, &mut lines));
            std::fs::remove_file(path).unwrap();
        }
        if !only("postgres") {
            let url = runtime.block_on(cluster.database());
            let bench = Bench { database: "postgres", url, cluster: Some(&cluster), size: *size };
            runtime.block_on(bench.run(&carrier.url, asked, &mut lines));
        }
    }
    let ratios = ratios(&lines, pgbench_tps);
    let outcome = Outcome { fdatasync_per_s, pgbench_tps, lines, ratios };
    if asked.json {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    } else {
        print(&outcome);
    }
}

/// The carrier's process.
struct Carrier {
    url: String,
    process: Child,
}

impl Carrier {
    fn start() -> Self {
        let mut process = Process::new(std::env::current_exe().unwrap())
            .arg("--carrier")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { url: url.trim().to_owned(), process }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One database of one size.
struct Bench<'a> {
    database: &'static str,
    url: String,
    cluster: Option<&'a postgres::Cluster>,
    size: Size,
}

impl Bench<'_> {
    async fn run(&self, carrier: &str, asked: Asked, lines: &mut Vec<Line>) {
        let store = Store::open(&self.url).await.unwrap();
        store.migrate().await.unwrap();
        say(asked.json, &format!("loading {} accounts, {} entries …", self.size.accounts, self.size.entries));
        books::load(&self.url, self.size).await;
        let clock = Clock::machine();
        let (writer, writing) = Writer::start(store.clone(), clock.clone(), |why| panic!("{why}"));
        let payments = open(&store, &writer, &clock, carrier).await;
        let with_pin = open_accounts(&payments).await;
        let count = AtomicU64::new(0);
        let till = Arc::new(Till { payments, clock, count, accounts: self.size.accounts, with_pin });
        for in_flight in IN_FLIGHT {
            lines.push(self.measure(&till, in_flight, false, asked).await);
        }
        lines.push(self.measure(&till, IN_FLIGHT_WITH_PIN, true, asked).await);
        assert!(till.payments.drain(Duration::from_secs(30)).await, "a payment is still under way");
        writer.stop();
        writing.await.unwrap();
        self.prove(&store).await;
        store.close().await;
    }

    /// The books of what was paid are sound, but for the balances that were loaded without a history.
    async fn prove(&self, store: &Store) {
        if self.size.accounts > Size::SMALL.accounts {
            return;
        }
        let report = audit::verify(store).await.unwrap();
        let own: Vec<_> =
            report.faults.iter().filter(|f| !["I1", "I2", "I3", "I4"].contains(&f.invariant)).collect();
        assert!(own.is_empty(), "{own:?}");
    }

    async fn measure(&self, till: &Arc<Till>, in_flight: usize, pin: bool, asked: Asked) -> Line {
        let how = if pin { "with a PIN" } else { "without a PIN" };
        say(asked.json, &format!("measuring {}, {how}, {in_flight} in flight …", self.database));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        let (cpu, start) = (cpu_seconds(self.cluster), till.clock.instant());
        for client in 0..in_flight {
            let (till, stop) = (Arc::clone(till), Arc::clone(&stop));
            clients.spawn(async move {
                let mut waits = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asked = till.clock.instant();
                    till.pay(client, pin).await;
                    waits.push(till.clock.instant() - asked);
                }
                waits
            });
        }
        tokio::time::sleep(Duration::from_secs(asked.seconds)).await;
        stop.store(true, Ordering::Relaxed);
        let mut waits: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
        let (spent, took) = (cpu_seconds(self.cluster) - cpu, (till.clock.instant() - start).as_secs_f64());
        waits.sort_unstable();
        let count = waits.len() as f64;
        let at = |per_cent: usize| waits[waits.len() * per_cent / 100].as_secs_f64() * 1e3;
        Line {
            database: self.database,
            accounts: self.size.accounts,
            entries: self.size.entries,
            pin,
            in_flight,
            payments_per_s: count / took,
            p50_ms: at(50),
            p99_ms: at(99),
            cpu_us_per_payment: spent * 1e6 / count,
            memory_mib: memory_mib(),
        }
    }
}

/// Where payments are asked for.
struct Till {
    payments: Payments,
    clock: Clock,
    count: AtomicU64,
    accounts: u64,
    with_pin: Vec<(Id, Msisdn)>,
}

impl Till {
    /// One payment to a number that nobody else pays for, from an account by chance.
    async fn pay(&self, client: usize, pin: bool) {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let (account, caller) = if pin {
            let turn = usize::try_from(n).unwrap() % (WITH_PIN / IN_FLIGHT_WITH_PIN);
            self.with_pin[client + turn * IN_FLIGHT_WITH_PIN].clone()
        } else {
            let account = mix(n) % self.accounts;
            (books::account(account), books::number(account))
        };
        let request = PayRequest {
            id: Id::new(self.clock.now().0),
            account,
            caller: Some(caller),
            channel: Channel::Sms,
            phone: Msisdn::parse(&format!("+86138{:08}", n % 100_000_000)).unwrap(),
            amount_minor: AMOUNT_MINOR,
            pin: if pin { Pin::Typed(Secret::from(PIN)) } else { Pin::Waived },
            repeat: false,
        };
        let outcome = self.payments.pay(request).await.unwrap();
        assert!(matches!(outcome, PayOutcome::Delivered { .. }), "{outcome:?}");
    }
}

async fn open(store: &Store, writer: &Writer, clock: &Clock, carrier: &str) -> Payments {
    let mut settings = Settings::demo(Currency::new("CNY").unwrap());
    settings.day_limit_minor = i64::MAX / 4;
    settings.payment_limit_minor = i64::MAX / 4;
    settings.pin.sms_without_pin_minor = 10 * AMOUNT_MINOR;
    settings.pin.sms_without_pin_day_minor = i64::MAX / 4;
    settings.answer_within = Duration::from_secs(30);
    let definition = Definition::parse(&sandbox::definition_toml(carrier), |_| {
        Ok(Key::new(b"a key of thirty-two bytes, or so".to_vec()))
    });
    let connector = Connector::new(definition.unwrap(), clock.clone()).unwrap();
    Payments::start(Parts {
        settings,
        store: store.clone(),
        writer: writer.clone(),
        connectors: vec![connector],
        plan: Plan::parse(sandbox::PLAN).unwrap(),
        peppers: Peppers::single(Secret::from("0123456789abcdef")),
        clock: clock.clone(),
    })
    .await
    .unwrap()
}

async fn open_accounts(payments: &Payments) -> Vec<(Id, Msisdn)> {
    let mut accounts = Vec::new();
    for n in 0..WITH_PIN {
        let number = Msisdn::parse(&format!("+86137{n:08}")).unwrap();
        let open = OpenAccount { msisdn: Some(number.clone()), pin: Some(Secret::from(PIN)) };
        let account = payments.open_account(open).await.unwrap();
        payments.credit(Id::new(1), account, 1_000_000_000).await.unwrap();
        accounts.push((account, number));
    }
    accounts
}

/// The most memory that this process has held.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

fn ratios(lines: &[Line], pgbench_tps: f64) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    let mut add = |what: String, value: f64, wanted: f64, most: bool| {
        let met = if most { value <= wanted } else { value >= wanted };
        ratios.push(Ratio { what, value, wanted, met });
    };
    for name in ["sqlite", "postgres"] {
        let of = |accounts: u64, pin: bool| {
            lines.iter().rfind(|l| l.database == name && l.accounts == accounts && l.pin == pin)
        };
        let small = Size::SMALL.accounts;
        if let Some(line) = of(small, false) {
            add(format!("{name} ÷ pgbench TPC-B"), line.payments_per_s / pgbench_tps, 1.0, false);
        }
        if let Some(line) = of(small, true) {
            add(format!("{name} payments/s with a PIN"), line.payments_per_s, 200.0, false);
        }
        if let (Some(few), Some(many)) = (of(small, false), of(Size::LARGE.accounts, false)) {
            let growth = many.cpu_us_per_payment / few.cpu_us_per_payment;
            add(format!("{name} CPU, large ÷ small"), growth, 1.5, true);
            let slowed = few.payments_per_s / many.payments_per_s;
            add(format!("{name} time, large ÷ small"), slowed, 1.5, true);
        }
    }
    ratios
}

fn print(outcome: &Outcome) {
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    line(format!("fdatasync of 8 kB appends   {:>9.0} /s", outcome.fdatasync_per_s));
    line(format!("pgbench TPC-B, 32 clients   {:>9.0} /s", outcome.pgbench_tps));
    line(String::new());
    line(
        "database    accounts    entries  PIN  in flight  payments/s   p50 ms   p99 ms  CPU µs each  MiB"
            .to_owned(),
    );
    for l in &outcome.lines {
        line(format!(
            "{:<9} {:>10} {:>10}  {:<3} {:>10} {:>11.0} {:>8.2} {:>8.2} {:>12.1} {:>4}",
            l.database,
            l.accounts,
            l.entries,
            if l.pin { "yes" } else { "no" },
            l.in_flight,
            l.payments_per_s,
            l.p50_ms,
            l.p99_ms,
            l.cpu_us_per_payment,
            l.memory_mib
        ));
    }
    line(String::new());
    for r in &outcome.ratios {
        let verdict = if r.met { "met" } else { "NOT MET" };
        line(format!("{:<30} {:>7.2}  wanted {:>5.1}  {verdict}", r.what, r.value, r.wanted));
    }
}
