//! Kills the payment core with SIGKILL before and after every step of a payment, and at random moments,
//! starts it again on the same database, and has the checker prove that no money was lost or made, nothing
//! was recharged without a deduction, and nothing twice. And shows that the checker finds the mistakes of a
//! build that is broken on purpose.
//!
//! The processes that are killed are this test binary itself, started again in another role.

mod full;
mod kinds;
mod space;
mod whole;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use keytone::clock::Clock;
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayRequest, Pin};
use keytone::payment::pin::Peppers;
use keytone::payment::row::State;
use keytone::payment::run::crash::{BREAK_VARIABLE, CRASH_VARIABLE, POINTS};
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{OpenAccount, Parts, Payments};
use keytone::secret::Secret;
use keytone::store::Store;

use crate::support::checker;
use crate::support::market::{PIN, broken, connector_of, phone, provider, quick_settings};
use crate::support::postgres;

/// Which process this is to be; the test itself when not set.
const ROLE: &str = "KEYTONE_TEST_ROLE";
const DATABASE: &str = "KEYTONE_TEST_DATABASE";
const CARRIER: &str = "KEYTONE_TEST_CARRIER";
const LOG: &str = "KEYTONE_TEST_CARRIER_LOG";
const ACCOUNT: &str = "KEYTONE_TEST_ACCOUNT";
/// `id=number` for every payment, separated by commas.
const ORDERS: &str = "KEYTONE_TEST_ORDERS";
const ME: &str = "+8613800000001";
/// What the carrier does to the payments of one run: nothing wrong, refused, pending, never answered, reset
/// before, 500 after.
const FAULTS: &[&str] = &["001", "902", "913", "920", "923", "924"];
const SIGKILL: i32 = 9;
/// Liveness: once nothing is killed any more, everything ends.
const SETTLED_WITHIN: Duration = Duration::from_secs(45);

/// Not a test of its own: the entry of the processes that are killed. In an ordinary run it has no role.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // When whoever started us is gone, nobody needs us.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match role.as_str() {
        "carrier" => runtime.block_on(carrier()),
        "daemon" => runtime.block_on(daemon()),
        other => panic!("no role {other}"),
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

async fn carrier() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n@url http://{}", listener.local_addr().unwrap());
    let mut config = sandbox::Config::new(PathBuf::from(variable(LOG)), Clock::machine());
    config.later = Duration::from_millis(100);
    sandbox::serve(config, listener, CancellationToken::new()).await.unwrap();
}

async fn open_core(store: &Store, url: &str) -> (Payments, Writer) {
    let clock = Clock::machine();
    let (writer, _) = Writer::start(store.clone(), clock.clone(), broken);
    let connector = sandbox::definition_toml(url)
        .replace("timeout_ms = 5000", "timeout_ms = 400")
        .replace("not_found_after_ms = 10000", "not_found_after_ms = 900");
    let mut settings = quick_settings();
    settings.answer_within = Duration::from_millis(300);
    settings.day_limit_minor = 1_000_000_000;
    settings.pin.tries_max = 1_000_000;
    settings.pin.delay = Duration::ZERO;
    settings.status_schedule = vec![Duration::from_millis(60); 400];
    let key = sandbox::Config::new(PathBuf::new(), clock.clone()).key;
    let payments = Payments::start(Parts {
        settings,
        store: store.clone(),
        writer: writer.clone(),
        connectors: vec![connector_of(&connector, &key, &clock)],
        plan: Plan::parse(sandbox::PLAN).unwrap(),
        peppers: Peppers::single(Secret::from("0123456789abcdef")),
        clock,
    })
    .await
    .unwrap();
    (payments, writer)
}

/// Recovers, pays the orders at once, and stays until everything is settled: or is killed.
async fn daemon() {
    let store = Store::open(&variable(DATABASE)).await.unwrap();
    let (payments, writer) = open_core(&store, &variable(CARRIER)).await;
    payments.recover().await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(payments.clone().run(stop.clone()));
    let account = Id::parse(&variable(ACCOUNT)).unwrap();
    let mut tasks = Vec::new();
    for order in variable(ORDERS).split(',').filter(|o| !o.is_empty()) {
        let (id, target) = order.split_once('=').unwrap();
        let request = PayRequest {
            id: Id::parse(id).unwrap(),
            account,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            phone: phone(target),
            amount_minor: 5_000,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        };
        let payments = payments.clone();
        tasks.push(tokio::spawn(async move {
            let id = request.id;
            let outcome = payments.pay(request).await.unwrap();
            println!("\n@told {id} {}", outcome.name());
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let open: Vec<State> = State::ALL.iter().copied().filter(|s| s.is_open()).collect();
    let settled = async {
        while !store.open_payments(&open, 1).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(SETTLED_WITHIN, settled).await.is_err() {
        for payment in store.open_payments(&open, 10).await.unwrap() {
            let events = store.events(payment.id).await.unwrap();
            eprintln!("{payment:?} {:?}", events.last());
        }
        panic!("not settled within {SETTLED_WITHIN:?}");
    }
    assert!(payments.drain(Duration::from_secs(20)).await);
    stop.cancel();
    writer.stop();
    println!("\n@settled");
}

/// A process in a role; killed when dropped.
struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(role: &str, variables: &[(&str, String)]) -> Self {
        Self::of("crash::child", role, variables)
    }

    /// The process whose entry is this test.
    fn of(entry: &str, role: &str, variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([entry, "--exact", "--nocapture"]).env(ROLE, role);
        command.env_remove(CRASH_VARIABLE).env_remove(BREAK_VARIABLE);
        for (name, value) in variables {
            command.env(name, value);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line that the process says to us.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(said) = line.trim().strip_prefix('@') {
                return Some(said.to_owned());
            }
        }
    }

    /// How it ended, and what it said before.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let mut said = Vec::new();
        while let Some(line) = self.line() {
            said.push(line);
        }
        let status = self.child.wait().unwrap();
        if status.signal().is_none() && !status.success() {
            let mut text = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("{status}: {text}");
        }
        (status.signal(), said)
    }
}

/// One database, one carrier, one account, and the processes that are killed on them.
struct Scene {
    store: Store,
    url: String,
    carrier_url: String,
    carrier_log: PathBuf,
    account: Id,
    _carrier: Process,
    _dir: tempfile::TempDir,
    orders: Vec<String>,
    count: u32,
    told: Vec<String>,
}

impl Scene {
    async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("books.db").display());
        Self::open(url, dir).await
    }

    async fn postgres() -> Self {
        Self::open(postgres::database_url().await, tempfile::tempdir().unwrap()).await
    }

    async fn open(url: String, dir: tempfile::TempDir) -> Self {
        provider();
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let carrier_log = dir.path().join("carrier.log");
        let mut carrier = Process::start("carrier", &[(LOG, carrier_log.display().to_string())]);
        let said = carrier.line().expect("the carrier says where it listens");
        let carrier_url = said.strip_prefix("url ").unwrap().to_owned();
        let (payments, writer) = open_core(&store, &carrier_url).await;
        let open = OpenAccount { msisdn: Some(phone(ME)), pin: Some(Secret::from(PIN)) };
        let account = payments.open_account(open).await.unwrap();
        payments.credit(Id::new(1), account, 1_000_000_000).await.unwrap();
        writer.stop();
        Self {
            store,
            url,
            carrier_url,
            carrier_log,
            account,
            _carrier: carrier,
            _dir: dir,
            orders: Vec::new(),
            count: 0,
            told: Vec::new(),
        }
    }

    /// Orders of one run, one for each fault, all to numbers of their own.
    fn fresh_orders(&mut self, faults: &[&str]) -> Vec<String> {
        self.count += 1;
        let now = Clock::machine().now().0;
        let order = |fault: &&str| format!("{}=+861381{:04}{fault}", Id::new(now).text(), self.count);
        faults.iter().map(order).collect()
    }

    fn start(&self, orders: &[String], more: &[(&str, String)]) -> Process {
        let mut variables = vec![
            (DATABASE, self.url.clone()),
            (CARRIER, self.carrier_url.clone()),
            (ACCOUNT, self.account.text()),
            (ORDERS, orders.join(",")),
        ];
        variables.extend_from_slice(more);
        Process::start("daemon", &variables)
    }

    /// One run that is killed at a point, with fresh orders and those of the run before, whose callers ask
    /// again.
    async fn crash_at(&mut self, point: &str) {
        let fresh = self.fresh_orders(FAULTS);
        let orders = [self.orders.as_slice(), fresh.as_slice()].concat();
        let process = self.start(&orders, &[(CRASH_VARIABLE, point.to_owned())]);
        let (signal, said) = process.end();
        assert_eq!(signal, Some(SIGKILL), "{point} was not reached: {said:?}");
        self.told.extend(said);
        self.orders = fresh;
        let faults = checker::faults(&self.store, &self.carrier_log, false).await;
        assert!(faults.is_empty(), "after {point}: {faults:#?}");
    }

    /// One run to the end; then everything is checked, what was told to callers too.
    async fn settle(&mut self) -> Vec<String> {
        let process = self.start(&self.orders, &[]);
        let (signal, said) = process.end();
        assert_eq!(signal, None);
        assert_eq!(said.last().map(String::as_str), Some("settled"));
        self.told.extend(said);
        let mut faults = checker::faults(&self.store, &self.carrier_log, true).await;
        for line in &self.told {
            let Some((id, outcome)) = line.strip_prefix("told ").and_then(|t| t.split_once(' ')) else {
                continue;
            };
            let payment = self.store.payment(Id::parse(id).unwrap()).await.unwrap().unwrap();
            let agrees = match outcome {
                "delivered" => payment.state == State::Delivered,
                "refused" => payment.state == State::Refused,
                _ => true,
            };
            if !agrees {
                faults.push(format!("C7 {id} was told {outcome} and is {:?}", payment.state));
            }
        }
        faults
    }

    async fn must_be_sound(&mut self) {
        let faults = self.settle().await;
        assert!(faults.is_empty(), "{faults:#?}");
        let delivered = sandbox::read_log(&self.carrier_log).unwrap();
        assert!(delivered.iter().any(|r| r.state == "delivered"), "something was recharged");
    }
}

async fn killed_at_every_point(mut scene: Scene, times: &[u32]) {
    for time in times {
        for point in POINTS {
            // Recovery is passed once in a process.
            let time = if point.starts_with("recover") { &1 } else { time };
            scene.crash_at(&format!("{point}:{time}")).await;
        }
    }
    scene.must_be_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_point_on_sqlite() {
    killed_at_every_point(Scene::sqlite().await, &[1, 2, 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_point_on_postgres() {
    killed_at_every_point(Scene::postgres().await, &[1, 3]).await;
}

/// Killed in the middle, and again while it recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_in_recovery() {
    let mut scene = Scene::sqlite().await;
    for first in ["submit_after", "answered", "authorise_after"] {
        for second in ["recover_before", "recover_after", "status_before", "status_after", "outcome_before"] {
            scene.crash_at(first).await;
            let process = scene.start(&[], &[(CRASH_VARIABLE, second.to_owned())]);
            let (signal, said) = process.end();
            // With nothing sent there may be nothing to ask: then the recovery is through.
            assert!(
                signal == Some(SIGKILL) || said.last().is_some_and(|l| l == "settled"),
                "{first} {second}"
            );
            assert!(
                first == "authorise_after" || signal == Some(SIGKILL),
                "{first}: {second} was not reached"
            );
        }
    }
    scene.must_be_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let mut seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut scene = Scene::sqlite().await;
    for _ in 0..12 {
        // xorshift64 of Marsaglia: enough for waiting times.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let fresh = scene.fresh_orders(FAULTS);
        let orders = [scene.orders.as_slice(), fresh.as_slice()].concat();
        let mut process = scene.start(&orders, &[]);
        tokio::time::sleep(Duration::from_millis(60 + seed % 600)).await;
        process.child.kill().unwrap();
        let (_, said) = process.end();
        scene.told.extend(said);
        scene.orders = fresh;
        let faults = checker::faults(&scene.store, &scene.carrier_log, false).await;
        assert!(faults.is_empty(), "{faults:#?}");
    }
    scene.must_be_sound().await;
}

/// A build that asks the carrier before it holds the money: a crash in between is a recharge without a
/// deduction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_a_recharge_without_deduction() {
    let mut scene = Scene::sqlite().await;
    let orders = scene.fresh_orders(&["001"]);
    let broken = (BREAK_VARIABLE, "send_before_hold".to_owned());
    let process = scene.start(&orders, &[broken, (CRASH_VARIABLE, "authorise_before".to_owned())]);
    assert_eq!(process.end().0, Some(SIGKILL));
    let faults = scene.settle().await;
    assert!(faults.iter().any(|f| f.starts_with("C2")), "{faults:?}");
}

/// A build that asks again under a new reference: a number is recharged twice for one deduction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_a_double_recharge() {
    let mut scene = Scene::sqlite().await;
    let orders = scene.fresh_orders(&["001"]);
    let process = scene.start(&orders, &[(CRASH_VARIABLE, "answered".to_owned())]);
    assert_eq!(process.end().0, Some(SIGKILL));
    let broken = (BREAK_VARIABLE, "new_reference_on_retry".to_owned());
    let process = scene.start(&[], &[broken]);
    assert_eq!(process.end().0, None);
    let faults = scene.settle().await;
    assert!(faults.iter().any(|f| f.starts_with("C3")), "{faults:?}");
}

/// The checker finds money that was deducted and never recharged: the carrier's memory is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_a_deduction_without_recharge() {
    let mut scene = Scene::sqlite().await;
    scene.orders = scene.fresh_orders(&["001"]);
    assert!(scene.settle().await.is_empty());
    let elsewhere = scene.carrier_log.with_extension("empty");
    std::fs::write(&elsewhere, "").unwrap();
    let faults = checker::faults(&scene.store, &elsewhere, true).await;
    assert!(faults.iter().any(|f| f.starts_with("C4")), "{faults:?}");
}
