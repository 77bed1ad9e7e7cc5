//! A folder with the configuration of a daemon, the world around it, and the daemons that live and die in it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State as Held};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use keytone::app::peppers;
use keytone::clock::Clock;
use keytone::connector::key::Key;
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::connector::sandbox::{biller, provider as wallet};
use keytone::ledger::row::Id;
use keytone::payment::order::Input;
use keytone::payment::provider::{Provider, Providers};
use keytone::payment::row::State;
use keytone::payment::row::order::WebhookRow;
use keytone::payment::row::record::Select;
use keytone::payment::run::agents::NewAgent;
use keytone::payment::run::crash::{BREAK_VARIABLE, CRASH_VARIABLE};
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{NewMerchant, OpenAccount, Parts, Payments, audit};
use keytone::payment::share::Fee;
use keytone::secret::Secret;
use keytone::store::Store;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::crash::SIGKILL;
use crate::crash::whole::air::{Air, Away};
use crate::crash::whole::wishes::{Bill, Charge, Ending, Fate, Order, Recharge, Wish};
use crate::crash::whole::{DONE_WITHIN, LIFE};
use crate::support::market::{PIN, broken, connector_of, phone, provider, quick_settings};
use crate::support::{keytone, root, tail};

/// What both sides of every outside sign with.
const KEY: &str = "a key of this test town";
/// What everybody begins with, minor units.
pub(super) const START: i64 = 100_000;
/// The agent's: enough for everybody.
pub(super) const FLOAT: i64 = 10_000_000;
const AGENT: &str = "+8613900000001";
const FLOWS: [&str; 5] = ["recharge", "bill", "orders", "stranger", "vouch"];
/// Between two tries of a wish that did not come true.
const PAUSE: Duration = Duration::from_millis(300);

/// What is paid in a town.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Recharge,
    Bill,
    Order,
    Charge,
    Wallet,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Recharge, Self::Bill, Self::Order, Self::Charge, Self::Wallet];
}

/// What the receiver of webhooks heard, and of what the carrier that refuses everything was asked.
#[derive(Clone, Default)]
pub(super) struct Heard(pub(super) Arc<Mutex<(BTreeSet<String>, Vec<String>)>>);

async fn hook(Held(heard): Held<Heard>, headers: HeaderMap) -> StatusCode {
    heard.0.lock().unwrap().0.insert(headers["webhook-id"].to_str().unwrap().to_owned());
    StatusCode::NO_CONTENT
}

/// The first carrier of numbers that have two: it is out of service, and says so.
async fn refuses(Held(heard): Held<Heard>, Json(asked): Json<Value>) -> (StatusCode, Json<Value>) {
    let reference = asked["reference"].as_str().unwrap().to_owned();
    heard.0.lock().unwrap().1.push(reference.clone());
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "status": "DOWN", "reference": reference })))
}

/// What it says when it is asked again.
async fn refused(Held(heard): Held<Heard>, Path(reference): Path<String>) -> (StatusCode, Json<Value>) {
    if heard.0.lock().unwrap().1.contains(&reference) {
        (StatusCode::OK, Json(json!({ "status": "DOWN", "reference": reference })))
    } else {
        (StatusCode::NOT_FOUND, Json(json!({ "status": "NOT_FOUND" })))
    }
}

pub(super) struct Town {
    pub(super) kind: Kind,
    pub(super) store: Store,
    /// Only to furnish the town, and for staff: it recovers nothing and runs nothing.
    pub(super) payments: Payments,
    writer: Writer,
    pub(super) merchant: (Id, String),
    pub(super) agent: (Id, String),
    pub(super) heard: Heard,
    pub(super) wishes: Vec<(Wish, Id)>,
    lives: usize,
    world: CancellationToken,
    /// A mistake that the daemons of this town make.
    broken: Option<&'static str>,
    dir: tempfile::TempDir,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Everybody outside, until `world` ends. Gives the connectors' files by name.
async fn outside(
    dir: &std::path::Path,
    heard: &Heard,
    world: &CancellationToken,
) -> (Vec<(&'static str, String)>, String) {
    let clock = Clock::machine();
    let key = Key::new(KEY.as_bytes().to_vec());
    let millis = Duration::from_millis;
    let quick = |file: String| {
        file.replace("timeout_ms = 5000", "timeout_ms = 1500")
            .replace("not_found_after_ms = 10000", "not_found_after_ms = 2500")
    };
    let mut files = Vec::new();
    let (listener, url) = listen().await;
    let mut config = sandbox::Config::new(dir.join("carrier.log"), clock.clone());
    (config.key, config.later, config.hang) = (key.clone(), millis(200), Duration::from_secs(5));
    tokio::spawn(sandbox::serve(config, listener, world.clone()));
    files.push(("sandbox.toml", quick(sandbox::definition_toml(&url))));
    let (listener, url) = listen().await;
    let mut config = biller::Config::new(dir.join("biller.log"), clock.clone());
    (config.key, config.slow, config.hang) = (key.clone(), millis(200), Duration::from_secs(5));
    tokio::spawn(biller::serve(config, listener, world.clone()));
    files.push(("biller.toml", quick(biller::definition_toml(&url))));
    let (listener, url) = listen().await;
    let mut config = wallet::Config::new(dir.join("wallet.log"), clock.clone());
    (config.key, config.slow, config.hang) = (key.clone(), millis(200), Duration::from_secs(5));
    tokio::spawn(wallet::serve(config, listener, world.clone()));
    files.push(("wallet.toml", quick(wallet::definition_toml(&url))));
    let (listener, url) = listen().await;
    let app = Router::new().route("/hook", post(hook)).route("/v1/recharges", post(refuses));
    let app = app.route("/v1/recharges/{reference}", get(refused)).with_state(heard.clone());
    let stop = world.clone();
    tokio::spawn(async move {
        axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap();
    });
    files.push((
        "first.toml",
        quick(sandbox::definition_toml(&url)).replace("id = \"sandbox\"", "id = \"first\""),
    ));
    (files, format!("{url}/hook"))
}

/// The numbering plan: numbers of 1375 have two carriers.
fn plan() -> String {
    let double = r#"
[[range]]
prefix = "1375"
operator = "double"

[[route]]
operator = "double"
connector = "first"
amounts = ["50", "100"]

[[route]]
operator = "double"
connector = "sandbox"
priority = 2
amounts = ["50", "100"]
"#;
    format!("{}{double}", sandbox::PLAN)
}

/// The flows that are served here, as they are shipped, in one language: a daemon that is started so often reads no more.
fn flows(to: &std::path::Path) {
    fs::create_dir_all(to.join("messages")).unwrap();
    let mut files: Vec<String> = FLOWS.iter().map(|flow| format!("{flow}.flow")).collect();
    files.push("messages/en.msg".to_owned());
    for file in files {
        fs::copy(root().join("dialplans").join(&file), to.join(&file)).unwrap();
    }
}

fn configuration(database: &str) -> String {
    format!(
        r#"
[node]
database = {database:?}
dialplans = "flows"
connectors = ["sandbox.toml", "biller.toml", "wallet.toml", "first.toml"]

[market]
country = "86"
currency = "CNY"
zone = "Asia/Shanghai"
day_limit = "100000"
answer_within_s = 2

[pin]
tries_max = 20

[orders]
webhooks_private = true

[[biller]]
id = "city"
code = "101"
name = "City water"
kind = "water"
connector = "sandbox-biller"
digits_min = 6
digits_max = 12
fee = "0.50"

[[provider]]
connector = "sandbox-wallet"
reserve_within = 10
retry_first = 1
retry_max = 2

[[gateway]]
name = "air"
form = "json"
trusted_number = true
addresses = ["127.0.0.1/32"]
[gateway.ussd]

[sip]
listen = "127.0.0.1:0"
[[sip.trunk]]
name = "pbx"
addresses = ["127.0.0.1/32"]
trusted_number = true

[http]
listen = "127.0.0.1:0"
"#
    )
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

impl Town {
    pub(super) async fn open(kind: Kind, url: String) -> Self {
        let of_daemon = url.clone();
        Self::open_over(kind, url, of_daemon).await
    }

    /// With another address of the same database for the daemon. No address is a file in the town's folder.
    pub(super) async fn open_over(kind: Kind, url: String, of_daemon: String) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let beside = |url: String| match url.as_str() {
            "" => format!("sqlite:{}", dir.path().join("keytone.db").display()),
            _ => url,
        };
        let (url, of_daemon) = (beside(url), beside(of_daemon));
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let (heard, world) = (Heard::default(), CancellationToken::new());
        let (files, hook) = outside(dir.path(), &heard, &world).await;
        fs::write(dir.path().join("keytone.toml"), configuration(&of_daemon)).unwrap();
        fs::write(dir.path().join("numbering.toml"), plan()).unwrap();
        for (name, file) in &files {
            fs::write(dir.path().join(name), file).unwrap();
        }
        flows(&dir.path().join("flows"));
        let pepper = dir.path().join("pepper.key");
        peppers::create(&pepper).unwrap();
        let (clock, key) = (Clock::machine(), Key::new(KEY.as_bytes().to_vec()));
        let mut settings = quick_settings();
        settings.providers = Providers::new(vec![Provider::new(wallet::CONNECTOR, "City Wallet")]);
        settings.webhooks_private = true;
        let (writer, _) = Writer::start(store.clone(), clock.clone(), broken);
        let payments = Payments::start(Parts {
            settings,
            store: store.clone(),
            writer: writer.clone(),
            connectors: files.iter().map(|(_, file)| connector_of(file, &key, &clock)).collect(),
            plan: Plan::parse(&plan()).unwrap(),
            peppers: peppers::read(&pepper).unwrap(),
            clock,
        })
        .await
        .unwrap();
        let fee = Fee::new("0.015", 0).unwrap();
        let new = NewMerchant { name: "City Shop".to_owned(), fee, webhook_url: Some(hook) };
        let (merchant, merchant_key, _) = payments.add_merchant(new).await.unwrap();
        let merchant = (merchant.id, text(&merchant_key));
        let nobody = (Id::new(0), String::new());
        let (wishes, lives, broken) = (Vec::new(), 0, None);
        let mut town = Self {
            kind,
            store,
            payments,
            writer,
            merchant,
            agent: nobody,
            heard,
            wishes,
            lives,
            world,
            broken,
            dir,
        };
        if kind == Kind::Charge {
            town.agent = town.open_agent().await;
        }
        town
    }

    async fn account(&self, msisdn: &str, minor: i64) -> Id {
        let open = OpenAccount { msisdn: Some(phone(msisdn)), pin: Some(Secret::from(PIN)) };
        let account = self.payments.open_account(open).await.unwrap();
        self.payments.credit(Id::new(1), account, minor).await.unwrap();
        account
    }

    async fn key(&self, account: Id) -> String {
        text(&self.payments.new_account_key(account).await.unwrap())
    }

    async fn open_agent(&self) -> (Id, String) {
        let account = self.account(AGENT, FLOAT).await;
        let agent = NewAgent {
            account,
            phone: phone(AGENT),
            name: "Wang".to_owned(),
            language: "en".to_owned(),
            details: "ICBC 6222 0001".to_owned(),
            price_ppm: 980_000,
            least_minor: 1_000,
            most_minor: 10_000,
            fee_minor: 50,
        };
        self.payments.add_agent(agent).await.unwrap();
        (account, self.key(account).await)
    }

    /// What is wanted anew in each life, each by a customer of his own.
    pub(super) async fn wish(&mut self) {
        self.lives += 1;
        let n = self.lives;
        match self.kind {
            Kind::Recharge => {
                for fault in ["001", "902", "913", "920"] {
                    let msisdn = format!("+86138{n:05}{fault}");
                    let account = self.account(&msisdn, START).await;
                    self.wishes.push((Wish::Recharge(Recharge::new(msisdn)), account));
                }
                let msisdn = format!("+861375{n:04}001");
                let account = self.account(&msisdn, START).await;
                self.wishes.push((Wish::Recharge(Recharge::new(msisdn)), account));
            }
            Kind::Wallet => {
                for fault in ["001", "902"] {
                    let msisdn = format!("+86138{n:05}{fault}");
                    let open = OpenAccount { msisdn: Some(phone(&msisdn)), pin: Some(Secret::from(PIN)) };
                    let name = format!("w-{fault}{n:04}001");
                    let account = self.payments.open_outside_account(open, wallet::CONNECTOR, &name).await;
                    self.wishes.push((Wish::Recharge(Recharge::new(msisdn)), account.unwrap()));
                }
            }
            Kind::Bill => {
                for fault in ["001", "910", "920", "922"] {
                    let msisdn = format!("+86138{n:05}{fault}");
                    let account = self.account(&msisdn, START).await;
                    let bill = Bill::new(msisdn, format!("1000{n:04}{fault}"));
                    self.wishes.push((Wish::Bill(bill), account));
                }
            }
            Kind::Order => {
                for (i, kind) in Fate::ALL.into_iter().enumerate() {
                    let msisdn = format!("+86138{n:05}00{i}");
                    let account = self.account(&msisdn, START).await;
                    let order = Order::new(kind, msisdn, self.merchant.1.clone());
                    self.wishes.push((Wish::Order(Box::new(order)), account));
                }
            }
            Kind::Charge => {
                for (i, kind) in Ending::ALL.into_iter().enumerate() {
                    let msisdn = format!("+86138{n:05}00{i}");
                    let account = self.account(&msisdn, START).await;
                    let keys = [self.key(account).await, self.agent.1.clone()];
                    let charge = Charge::new(kind, msisdn, self.agent.0.text(), keys);
                    self.wishes.push((Wish::Charge(Box::new(charge)), account));
                }
            }
        }
    }

    /// The next daemons make a mistake.
    pub(super) const fn broken(mut self, mistake: &'static str) -> Self {
        self.broken = Some(mistake);
        self
    }

    pub(super) fn wishes(&self) -> usize {
        self.wishes.len()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(keytone()).args(arguments);
        command.current_dir(self.dir.path()).env(sandbox::KEY_VARIABLE, KEY).env("TMPDIR", self.dir.path());
        command
            .env("KEYTONE_LOG", "keytone=info,warn")
            .env_remove("KEYTONE_CONFIG")
            .env_remove(CRASH_VARIABLE);
        command.env_remove(BREAK_VARIABLE).envs(self.broken.map(|mistake| (BREAK_VARIABLE, mistake)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A daemon, and where its HTTP listens; nowhere when it died before it was ready.
    async fn start(&self, point: Option<&str>) -> (Child, Option<Air>) {
        let log = File::options().create(true).append(true).open(self.path("daemon.log")).unwrap();
        let mut command = self.command(&["serve", "--json"]);
        command.envs(point.map(|point| (CRASH_VARIABLE, point))).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LIFE, lines.next_line()).await.expect("it is ready or dead").unwrap();
        let air = line.map(|line| {
            let ready: Value = serde_json::from_str(&line).unwrap();
            Air::new(format!("http://{}", ready["http"].as_str().unwrap()))
        });
        (child, air)
    }

    pub(super) fn log(&self) -> String {
        format!("{:?}, the daemon's log:\n{}", self.kind, tail(&self.path("daemon.log"), 60))
    }

    /// Everybody tries until his wish came true, the daemon is gone, or so much time has passed.
    async fn try_all(&mut self, air: &Air, within: Duration) {
        let mut tries = tokio::task::JoinSet::new();
        for (mut wish, account) in self.wishes.drain(..) {
            let air = air.clone();
            tries.spawn(async move {
                let tries = async {
                    while !wish.is_over() {
                        match wish.go(&air).await {
                            Ok(true) => {}
                            Ok(false) | Err(Away::Trouble) => tokio::time::sleep(PAUSE).await,
                            Err(Away::Gone) => break,
                        }
                    }
                };
                let _ = tokio::time::timeout(within, tries).await;
                (wish, account)
            });
        }
        while let Some(tried) = tries.join_next().await {
            let tried = tried.unwrap_or_else(|why| panic!("{why}; {}", self.log()));
            self.wishes.push(tried);
        }
    }

    /// One life of the daemon, with fresh wishes and those that did not come true yet, until it is killed at `point`.
    pub(super) async fn die_at(&mut self, point: &str) {
        self.wish().await;
        let (mut child, air) = self.start(Some(point)).await;
        let status: ExitStatus = tokio::time::timeout(LIFE, async {
            if let Some(air) = air {
                self.try_all(&air, LIFE).await;
                assert_eq!(air.troubles(), 0, "{point}; {}", self.log());
            }
            child.wait().await.unwrap()
        })
        .await
        .unwrap_or_else(|_| panic!("{point} was not reached; {}", self.log()));
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(SIGKILL), "{point}: {status}; {}", self.log());
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "after {point}: {:?}; {}", report.faults, self.log());
    }

    /// A daemon that nobody kills brings everything to its end and stops in order; then all is judged. `mended` is called when
    /// everybody was told.
    pub(super) async fn finish(&mut self, mended: impl FnOnce()) {
        let (mut child, air) = self.start(None).await;
        let air = air.expect("nobody kills it");
        self.try_all(&air, DONE_WITHIN).await;
        mended();
        let open = self.wishes.iter().filter(|(wish, _)| !wish.is_over());
        let open: Vec<&str> = open.map(|(wish, _)| wish.last()).collect();
        assert!(open.is_empty(), "not done in time: {open:?}; {}", self.log());
        self.resolve().await;
        let settled = tokio::time::timeout(DONE_WITHIN, async {
            while !self.is_settled().await {
                tokio::time::sleep(PAUSE).await;
            }
        });
        assert!(settled.await.is_ok(), "not settled in time; {}", self.log());
        let term = std::process::Command::new("kill").arg(child.id().unwrap().to_string()).status().unwrap();
        assert!(term.success());
        let status = tokio::time::timeout(LIFE, child.wait()).await.expect("it stops").unwrap();
        assert!(status.success(), "{status}; {}", self.log());
        self.judge().await;
    }

    /// Two of staff give back what is disputed.
    async fn resolve(&self) {
        for (wish, _) in &self.wishes {
            let Wish::Order(order) = wish else { continue };
            if order.kind == Fate::Disputed {
                let resolve = Input::Resolve {
                    customer_minor: 10_000,
                    staff: ["ann".to_owned(), "bo".to_owned()],
                    reason: "never sent".to_owned(),
                };
                let id = Id::parse(&order.id).unwrap();
                let row = self.payments.step_order(id, &resolve).await.unwrap().unwrap();
                assert_eq!((row.frozen_minor, row.returned_minor), (0, 10_000));
            }
        }
    }

    async fn is_settled(&self) -> bool {
        let open: Vec<State> = State::ALL.iter().copied().filter(|s| s.is_open()).collect();
        let hooks = Select::<WebhookRow>::new().from("due_at", &0_i64).limit(1);
        self.store.open_payments(&open, 1).await.unwrap().is_empty()
            && self.payments.open_reservations(1).await.unwrap().is_empty()
            && self.store.records(&hooks).await.unwrap().is_empty()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.writer.stop();
        self.world.cancel();
    }
}
