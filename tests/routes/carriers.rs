//! Carriers that answer what a test decides, without a network, and a payment core on a database of its own that knows them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::contract::{Outcome, Unclear};
use keytone::connector::http::{Exchange, Wire};
use keytone::connector::key;
use keytone::connector::key::{Encoding, Key};
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome, PayRequest, Pin};
use keytone::payment::pin::Peppers;
use keytone::payment::row::{PaymentRow, State};
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{OpenAccount, Parts, Payments, audit};
use keytone::payment::settings::Settings;
use keytone::secret::Secret;
use keytone::store::Store;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::market::{Database, PIN, broken, cny, connector_of, phone, provider, quick_settings};
use crate::support::postgres as server;

pub(super) const ME: &str = "+8613800000001";
pub(super) const OTHER: &str = "+8613800000002";
pub(super) const NAMES: [&str; 3] = ["first", "second", "third"];
const SIGNING: &[u8] = b"signed by both";
const PATIENCE: Duration = Duration::from_secs(30);

/// Three carriers: what the second takes of 50 is 45, and the third sells 100 alone.
pub(super) const PLAN: &str = r#"
country = "86"
currency = "CNY"
national_lengths = [11]
[[range]]
prefix = "138"
operator = "mobile"
[[range]]
prefix = "130"
operator = "unicom"
[[route]]
operator = "mobile"
connector = "first"
amounts = ["50", "100"]
cost_share = "0.97"
[[route]]
operator = "mobile"
connector = "second"
priority = 2
min = "10"
max = "500"
step = "10"
cost_share = "0.9"
[[route]]
operator = "mobile"
connector = "third"
priority = 3
amounts = ["100"]
[[route]]
operator = "unicom"
connector = "third"
amounts = ["30"]
"#;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) carrier: &'static str,
    pub(super) submit: bool,
    pub(super) reference: String,
}

/// What a carrier says to it.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// A status, and the word for it in the body.
    Word(u16, &'static str),
    /// More than a word.
    Body(u16, Value),
    /// Bytes left, nothing came.
    Lost,
    /// No connection.
    NotSent,
    /// No answer while the process lives.
    Never,
}

type Script = Box<dyn FnMut(&Asked, usize) -> Said + Send>;

/// All carriers.
pub(super) struct Carriers {
    script: Mutex<Script>,
    seen: Mutex<Vec<Asked>>,
}

impl std::fmt::Debug for Carriers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Carriers")
    }
}

impl Carriers {
    /// `script` is given each request and how many of the same carrier and kind came before it.
    pub(super) fn new(script: impl FnMut(&Asked, usize) -> Said + Send + 'static) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(Box::new(script)), seen: Mutex::default() })
    }

    pub(super) fn now_say(&self, script: impl FnMut(&Asked, usize) -> Said + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Recharges that were asked of a carrier.
    pub(super) fn submits(&self, carrier: &str) -> Vec<Asked> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|a| a.carrier == carrier && a.submit).cloned().collect()
    }

    pub(super) fn questions(&self, carrier: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|a| a.carrier == carrier && !a.submit).count()
    }

    fn answer(&self, asked: &Asked) -> Said {
        let before = {
            let mut seen = self.seen.lock().unwrap();
            let same = |a: &&Asked| a.carrier == asked.carrier && a.submit == asked.submit;
            let before = seen.iter().filter(same).count();
            seen.push(asked.clone());
            before
        };
        (self.script.lock().unwrap())(asked, before)
    }
}

#[derive(Debug)]
struct Line {
    carrier: &'static str,
    carriers: Arc<Carriers>,
}

impl Wire for Line {
    fn exchange(&self, request: reqwest::Request) -> Exchange<'_> {
        Box::pin(async move {
            let submit = request.method() == "POST";
            let reference = if submit {
                let body = request.body().and_then(reqwest::Body::as_bytes).unwrap();
                let body: Value = serde_json::from_slice(body).unwrap();
                body["reference"].as_str().unwrap().to_owned()
            } else {
                request.url().path().rsplit('/').next().unwrap().to_owned()
            };
            let asked = Asked { carrier: self.carrier, submit, reference };
            match self.carriers.answer(&asked) {
                Said::Word(status, word) => Ok((
                    status,
                    json!({ "status": word, "reference": asked.reference }).to_string().into_bytes(),
                )),
                Said::Body(status, body) => Ok((status, body.to_string().into_bytes())),
                Said::Lost => Err(Outcome::Unknown { why: Unclear::Timeout, detail: "lost".to_owned() }),
                Said::NotSent => {
                    Err(Outcome::NotSent { retryable: true, reason: "no connection".to_owned() })
                }
                Said::Never => std::future::pending().await,
            }
        })
    }
}

/// The connector's file of a carrier here.
pub(super) fn file(carrier: &str) -> String {
    sandbox::definition_toml(&format!("http://{carrier}"))
        .replace("id = \"sandbox\"", &format!("id = \"{carrier}\""))
        .replace("not_found_after_ms = 10000", "not_found_after_ms = 300")
}

/// The same of a carrier that cannot be asked, and takes the same request twice for one.
pub(super) fn silent(carrier: &str) -> String {
    let file = file(carrier);
    let (before, rest) = file.split_once("[status]").unwrap();
    let (_, after) = rest.split_once("[callback]").unwrap();
    format!("{before}[callback]{after}")
}

/// The core.
pub(super) struct Town {
    pub(super) payments: Payments,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) url: String,
    pub(super) carriers: Arc<Carriers>,
    writer: Writer,
    writing: JoinHandle<()>,
    stop: CancellationToken,
    dir: Arc<tempfile::TempDir>,
}

pub(super) struct Plans {
    pub(super) settings: Settings,
    pub(super) plan: String,
    pub(super) files: Vec<String>,
}

impl Town {
    pub(super) async fn open(database: Database, carriers: &Arc<Carriers>) -> Self {
        Self::open_with(database, carriers, |_| {}).await
    }

    pub(super) async fn open_with(
        database: Database,
        carriers: &Arc<Carriers>,
        change: impl FnOnce(&mut Plans),
    ) -> Self {
        provider();
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let url = match database {
            Database::Sqlite => format!("sqlite:{}", dir.path().join("books.db").display()),
            Database::Postgres => server::database_url().await,
        };
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        Self::start(store, url, dir, Arc::clone(carriers), change).await
    }

    async fn start(
        store: Store,
        url: String,
        dir: Arc<tempfile::TempDir>,
        carriers: Arc<Carriers>,
        change: impl FnOnce(&mut Plans),
    ) -> Self {
        let clock = Clock::machine();
        let files = NAMES.iter().map(|name| file(name)).collect();
        // A machine that has other work too is no reason to hear "being processed".
        let settings = Settings { answer_within: Duration::from_secs(20), ..quick_settings() };
        let mut plans = Plans { settings, plan: PLAN.to_owned(), files };
        change(&mut plans);
        let (writer, writing) = Writer::start(store.clone(), clock.clone(), broken);
        let connectors = plans.files.iter().zip(NAMES).map(|(file, carrier)| {
            let line = Line { carrier, carriers: Arc::clone(&carriers) };
            connector_of(file, &Key::new(SIGNING.to_vec()), &clock).over(Arc::new(line), clock.clone())
        });
        let payments = Payments::start(Parts {
            settings: plans.settings,
            store: store.clone(),
            writer: writer.clone(),
            connectors: connectors.collect(),
            plan: Plan::parse(&plans.plan).unwrap(),
            peppers: Peppers::single(Secret::from("0123456789abcdef")),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        let stop = CancellationToken::new();
        payments.recover().await.unwrap();
        tokio::spawn(payments.clone().run(stop.clone()));
        Self { payments, store, clock, url, carriers, writer, writing, stop, dir }
    }

    /// Another process on the same database, after this one was killed: nothing of it answers any more.
    pub(super) async fn killed(self) -> Self {
        self.stop.cancel();
        self.writer.stop();
        let _ = self.writing.await;
        Self::start(self.store, self.url, self.dir, self.carriers, |_| {}).await
    }

    pub(super) async fn account(&self, number: &str, balance_minor: i64) -> Id {
        let open = OpenAccount { msisdn: Some(phone(number)), pin: Some(Secret::from(PIN)) };
        let account = self.payments.open_account(open).await.unwrap();
        self.payments.credit(Id::new(self.clock.now().0), account, balance_minor).await.unwrap();
        account
    }

    pub(super) fn request(&self, account: Id, target: &str, amount_minor: i64) -> PayRequest {
        PayRequest {
            id: Id::new(self.clock.now().0),
            account,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            phone: phone(target),
            amount_minor,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        }
    }

    pub(super) async fn pay(&self, account: Id, target: &str, amount_minor: i64) -> (Id, PayOutcome) {
        let request = self.request(account, target, amount_minor);
        (request.id, self.payments.pay(request).await.unwrap())
    }

    pub(super) async fn money(&self, account: Id) -> (i64, i64) {
        let row = self.store.account(account).await.unwrap().unwrap();
        (row.balance_minor, row.held_minor)
    }

    pub(super) async fn house(&self, house: House<'_>) -> i64 {
        self.store.account(house.id(cny())).await.unwrap().unwrap().balance_minor
    }

    pub(super) async fn payment(&self, id: Id) -> PaymentRow {
        self.store.payment(id).await.unwrap().unwrap()
    }

    pub(super) async fn until(&self, id: Id, wanted: impl Fn(&PaymentRow) -> bool) -> PaymentRow {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(payment) = self.store.payment(id).await.unwrap().filter(|p| wanted(p)) {
                    return payment;
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        });
        match waited.await {
            Ok(payment) => payment,
            Err(_) => panic!("{:#?}", self.payments.payment(id).await.unwrap().unwrap().events),
        }
    }

    pub(super) async fn until_state(&self, id: Id, state: State) -> PaymentRow {
        self.until(id, |p| p.state == state).await
    }

    /// A callback that a carrier has signed.
    pub(super) async fn callback(&self, carrier: &str, reference: &str, word: &str) -> u16 {
        let body = json!({ "reference": reference, "status": word }).to_string();
        let at = self.clock.now().0 / 1_000_000;
        let signature =
            key::sign(&Key::new(SIGNING.to_vec()), format!("{at}.{body}").as_bytes(), Encoding::Hex);
        let headers = [("x-signature".to_owned(), signature), ("x-timestamp".to_owned(), at.to_string())];
        self.payments.callback(carrier, &headers, body.as_bytes()).await.status
    }

    /// Our references with each carrier, in the order of the attempts.
    pub(super) async fn attempts(&self, id: Id) -> Vec<(String, String, String)> {
        let attempts = self.store.attempts(id).await.unwrap();
        attempts.into_iter().map(|a| (a.connector, a.reference, a.outcome.unwrap_or_default())).collect()
    }

    /// Stops everything, and proves the books.
    pub(super) async fn close(self) {
        assert!(self.payments.drain(PATIENCE).await, "a payment is still under way");
        self.stop.cancel();
        self.writer.stop();
        self.writing.await.expect("the writer ends in peace");
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        self.store.close().await;
    }
}
