//! A house: a temporary folder with a configuration, a database, a sandbox carrier and a daemon, each a process of its
//! own, as an operator would start them. Everything that they write stays in the folder, which goes with the house.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{keytone, root, tail, wait_for};

/// How long a process may take to be ready.
const READY: Duration = Duration::from_secs(15);
/// How long a daemon may take to stop: its own patience with calls, and some.
const STOPPED: Duration = Duration::from_secs(30);

/// A customer that the house begins with.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) msisdn: String,
    pub(crate) pin: String,
    pub(crate) balance: String,
    pub(crate) own_limit: Option<String>,
}

/// What a house is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) day_limit: String,
    pub(crate) trusted: bool,
    pub(crate) calls_max: usize,
    pub(crate) filter: String,
    pub(crate) database: String,
    pub(crate) customers: Vec<Customer>,
    pub(crate) carrier_timeout_ms: u32,
    pub(crate) answer_within_s: u32,
    pub(crate) symmetric: bool,
    /// Where the next daemon kills itself.
    pub(crate) crash_point: Option<&'static str>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            day_limit: "2000".to_owned(),
            trusted: true,
            calls_max: 1000,
            filter: "keytone=debug,info".to_owned(),
            database: "sqlite:keytone.db".to_owned(),
            customers: Vec::new(),
            carrier_timeout_ms: 5000,
            answer_within_s: 8,
            symmetric: false,
            crash_point: None,
        }
    }
}

impl Plan {
    /// One customer with 5000.00 and no limit of the own.
    pub(crate) fn with(msisdn: &str, pin: &str) -> Self {
        Self::default().customer(msisdn, pin, "5000", None)
    }

    /// One customer more.
    pub(crate) fn customer(
        mut self,
        msisdn: &str,
        pin: &str,
        balance: &str,
        own_limit: Option<&str>,
    ) -> Self {
        self.customers.push(Customer {
            msisdn: msisdn.to_owned(),
            pin: pin.to_owned(),
            balance: balance.to_owned(),
            own_limit: own_limit.map(str::to_owned),
        });
        self
    }

    /// Makes the folder, the tables and the customers, and starts the carrier and the daemon.
    pub(crate) fn open(self) -> House {
        let mut house = self.furnish();
        house.start();
        house
    }

    /// The same without the daemon.
    pub(crate) fn furnish(self) -> House {
        let folder = tempfile::Builder::new().prefix("keytone-test-").tempdir().unwrap();
        let (carrier, ready) = carrier(folder.path());
        let carrier_at: SocketAddr =
            ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let house = House {
            folder,
            carrier: RefCell::new(Some(carrier)),
            daemon: RefCell::new(None),
            sip: nowhere,
            http: nowhere,
            carrier_at,
            plan: self,
        };
        house.write_files();
        house.run(&["db", "migrate"]);
        for customer in &house.plan.customers {
            fs::write(house.path("pin"), &customer.pin).unwrap();
            house.run(&["account", "open", "--msisdn", &customer.msisdn, "--pin-file", "pin"]);
            house.run(&["account", "credit", &customer.msisdn, &customer.balance]);
            if let Some(limit) = &customer.own_limit {
                house.run(&["account", "limit", &customer.msisdn, "--day", limit]);
            }
        }
        let _ = fs::remove_file(house.path("pin"));
        house
    }
}

/// A running daemon with its surroundings.
pub(crate) struct House {
    folder: tempfile::TempDir,
    carrier: RefCell<Option<Child>>,
    daemon: RefCell<Option<Child>>,
    /// Where the daemon's SIP listens.
    pub(crate) sip: SocketAddr,
    /// Where the daemon's HTTP listens.
    pub(crate) http: SocketAddr,
    carrier_at: SocketAddr,
    plan: Plan,
}

/// A command of the binary under test, in the folder, that dies with the thread that started it.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(keytone()).current_dir(folder).stdin(Stdio::null());
    command.env("KEYTONE_SANDBOX_KEY", "a key of this test house").env_remove("KEYTONE_CONFIG");
    command
}

fn spawn(folder: &Path, name: &str, arguments: &[&str], filter: &str) -> Child {
    spawn_dying(folder, name, arguments, filter, None)
}

fn spawn_dying(folder: &Path, name: &str, arguments: &[&str], filter: &str, point: Option<&str>) -> Child {
    let open = |suffix: &str| {
        let path = folder.join(format!("{name}.{suffix}"));
        File::options().create(true).append(true).open(path).unwrap()
    };
    let mut command = command(folder);
    command.envs(point.map(|point| ("KEYTONE_CRASH_POINT", point)));
    command.args(arguments).env("KEYTONE_LOG", filter).env("RUST_BACKTRACE", "1").env("TMPDIR", folder);
    command.stdout(open("out")).stderr(open("log")).spawn().unwrap()
}

/// Waits for the newest ready line of a child.
fn ready(folder: &Path, name: &str, child: &mut Child) -> Value {
    let (out, log) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.log")));
    wait_for(&format!("{name} is ready"), READY, || {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("{name} ended with {status}:\n{}\n{}", tail(&out, 20), tail(&log, 60));
        }
        let text = fs::read_to_string(&out).unwrap_or_default();
        let line = text.lines().rev().find(|line| line.contains("\"ready\""))?;
        serde_json::from_str(line).ok()
    })
}

fn carrier(folder: &Path) -> (Child, Value) {
    let arguments = ["sandbox", "carrier", "--listen", "127.0.0.1:0", "--log", "carrier.book"];
    let mut child = spawn(folder, "carrier", &arguments, "info");
    let ready = ready(folder, "carrier", &mut child);
    (child, ready)
}

/// A time zone in which no midnight is near: a test of the day's limit must not meet the end of its day.
fn zone() -> &'static str {
    let seconds = keytone::clock::Clock::machine().now().0 / 1_000_000;
    let hour_in_shanghai = (seconds / 3600 + 8) % 24;
    if hour_in_shanghai == 23 { "UTC" } else { "Asia/Shanghai" }
}

impl House {
    /// The house that `keytone demo --serve` makes by itself, and its ready line. Its books are in a folder of its own, so
    /// the commands that look into them do not work here.
    pub(crate) fn demo() -> (Self, Value) {
        let folder = tempfile::Builder::new().prefix("keytone-test-").tempdir().unwrap();
        let arguments = ["demo", "--serve", "--json", "--sip-port", "0", "--http-port", "0"];
        let mut child = spawn(folder.path(), "daemon", &arguments, "info");
        let line = ready(folder.path(), "daemon", &mut child);
        let text = |key: &str| line[key].as_str().unwrap().trim_start_matches("http://").to_owned();
        let house = Self {
            folder,
            carrier: RefCell::new(None),
            daemon: RefCell::new(Some(child)),
            sip: text("sip").parse().unwrap(),
            http: text("http").parse().unwrap(),
            carrier_at: text("carrier_log").trim_end_matches("/log").parse().unwrap(),
            plan: Plan::default(),
        };
        (house, line)
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write_files(&self) {
        let plan = &self.plan;
        let text = format!(
            "[node]\ndatabase = {:?}\nconnectors = [\"sandbox.toml\"]\n\n\
             [market]\ncountry = \"86\"\ncurrency = \"CNY\"\nzone = \"{}\"\nday_limit = \"{}\"\n\
             answer_within_s = {}\n\n[sip]\nlisten = \"127.0.0.1:0\"\ncalls_max = {}\n\n\
             [[sip.trunk]]\nname = \"pbx\"\naddresses = [\"127.0.0.1/32\"]\ntrusted_number = {}\n\n\
             [rtp]\nsymmetric = {}\n\n[http]\nlisten = \"127.0.0.1:0\"\n",
            plan.database,
            zone(),
            plan.day_limit,
            plan.answer_within_s,
            plan.calls_max,
            plan.trusted,
            plan.symmetric,
        );
        fs::write(self.path("keytone.toml"), text).unwrap();
        let numbering = root().join("src/connector/sandbox/plan.toml");
        fs::copy(numbering, self.path("numbering.toml")).unwrap();
        let listen = self.carrier_at.to_string();
        let connector = self.run(&["sandbox", "carrier", "--connector", "--listen", &listen]);
        let timeout = format!("\ntimeout_ms = {}", plan.carrier_timeout_ms);
        assert!(connector.contains("\ntimeout_ms = 5000"), "the sandbox's connector has another time-out");
        fs::write(self.path("sandbox.toml"), connector.replace("\ntimeout_ms = 5000", &timeout)).unwrap();
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(&mut self) {
        assert!(self.daemon.borrow().is_none(), "the daemon runs already");
        let _ = fs::remove_file(self.path("daemon.out"));
        let point = self.plan.crash_point.take();
        let mut child = spawn_dying(self.folder(), "daemon", &["serve", "--json"], &self.plan.filter, point);
        let ready = ready(self.folder(), "daemon", &mut child);
        *self.daemon.borrow_mut() = Some(child);
        self.sip = ready["sip"].as_str().unwrap().parse().unwrap();
        self.http = ready["http"].as_str().unwrap().parse().unwrap();
    }

    /// Runs a command of the binary to its end and gives its standard output. What it prints is kept in `cli.out`.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.try_run(arguments);
        assert!(status.success(), "keytone {}: {status}\n{out}{err}", arguments.join(" "));
        out
    }

    /// The same, whatever its end: status, standard output, standard error.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> (ExitStatus, String, String) {
        let output = command(self.folder()).args(arguments).output().unwrap();
        let mut kept = File::options().create(true).append(true).open(self.path("cli.out")).unwrap();
        kept.write_all(&output.stdout).unwrap();
        kept.write_all(&output.stderr).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status, text(output.stdout), text(output.stderr))
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.run(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every payment, the oldest first.
    pub(crate) fn payments(&self) -> Vec<Value> {
        let mut all = self.json(&["payment", "list", "--json"]);
        all.reverse();
        all
    }

    /// State, target and amount of every payment, the oldest first.
    pub(crate) fn states(&self) -> Vec<(String, String, String)> {
        let text = |payment: &Value, key: &str| payment[key].as_str().unwrap().to_owned();
        let brief = |p: &Value| (text(p, "state"), text(p, "target"), text(p, "amount"));
        self.payments().iter().map(brief).collect()
    }

    /// What `keytone account show` says of a customer.
    pub(crate) fn account(&self, msisdn: &str) -> Value {
        self.json(&["account", "show", msisdn, "--json"]).remove(0)
    }

    /// Fails the test unless every invariant of the books holds.
    pub(crate) fn verify(&self) {
        let (status, out, err) = self.try_run(&["ledger", "verify", "--json"]);
        assert!(status.success() && out.contains("\"verified\":true"), "the books: {out}{err}");
    }

    /// What the carrier remembers: `GET /log`, one record a line.
    pub(crate) fn carrier_log(&self) -> Vec<Value> {
        let mut stream = TcpStream::connect(self.carrier_at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"GET /log HTTP/1.0\r\nHost: carrier\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{head}");
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// State, number and amount of every recharge that the carrier remembers.
    pub(crate) fn recharges(&self) -> Vec<(String, String, String)> {
        let text = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
        self.carrier_log().iter().map(|r| (text(r, "state"), text(r, "msisdn"), text(r, "amount"))).collect()
    }

    /// Asserts what was paid, that the carrier remembers the same, and that the books are sound. Each line is state,
    /// number, amount; the carrier knows of those that were sent to it.
    pub(crate) fn assert_paid(&self, expected: &[(&str, &str, &str)]) {
        let own = |lines: &[(&str, &str, &str)]| -> Vec<(String, String, String)> {
            lines.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
        };
        assert_eq!(self.states(), own(expected), "payments; {}", self.log_tail());
        let delivered: Vec<_> = expected.iter().copied().filter(|line| line.0 == "delivered").collect();
        assert_eq!(self.recharges(), own(&delivered), "the carrier's log; {}", self.log_tail());
        self.verify();
    }

    /// Recipient and text of every SMS that was queued, the oldest first. SQLite only.
    pub(crate) fn sms(&self) -> Vec<(String, String)> {
        use sqlx::{ConnectOptions, Connection, Row};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path("keytone.db"));
            let mut connection = options.read_only(true).connect().await.unwrap();
            let query =
                "select recipient, body from outbox where kind = 'sms' and state <> 2 order by created_at";
            let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        })
    }

    /// Conversations that are saved. SQLite only.
    pub(crate) fn saved_sessions(&self) -> i64 {
        use sqlx::{ConnectOptions, Connection, Row};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path("keytone.db"));
            let mut connection = options.read_only(true).connect().await.unwrap();
            let row = sqlx::query("select count(*) from sessions").fetch_one(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            row.get(0)
        })
    }

    /// The daemon's log.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("daemon.log")).unwrap_or_default()).into_owned()
    }

    /// Its last lines, for a failing test's message.
    pub(crate) fn log_tail(&self) -> String {
        format!("the daemon's log:\n{}", tail(&self.path("daemon.log"), 60))
    }

    /// The daemon's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.borrow().as_ref().unwrap().id()
    }

    /// Whether the daemon still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.daemon.borrow_mut().as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Resident memory of the daemon, KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends the daemon a signal: `TERM`, `KILL`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Waits until the daemon has ended by itself, and gives how.
    pub(crate) fn wait_end(&self) -> ExitStatus {
        let status = wait_for("the daemon ends", STOPPED, || {
            self.daemon.borrow_mut().as_mut().and_then(|child| child.try_wait().unwrap())
        });
        self.daemon.borrow_mut().take();
        status
    }

    /// Ends the daemon as an operator does.
    pub(crate) fn stop(&self) {
        self.signal("TERM");
        let status = self.wait_end();
        assert!(status.success(), "the daemon ended with {status}; {}", self.log_tail());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for child in [&self.daemon, &self.carrier] {
            if let Some(mut child) = child.borrow_mut().take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
