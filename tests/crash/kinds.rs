//! The same for bills, orders (about which the customer is asked) and charges: killed at every step of each kind, on both
//! databases. Every run asks again, under the same ids, for what the run before may not have got through; at the end everything
//! was done once, to the last minor unit.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State as Held;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use keytone::connector::sandbox::biller;
use keytone::ledger::chart::House;
use keytone::payment::answer::{BillAnswer, BillRequest, PayOutcome};
use keytone::payment::ask::{self, Asks, Question, Said, Want};
use keytone::payment::bill::{Biller, CheckDigit, Directory, Rule};
use keytone::payment::charge::{Input as Say, Side};
use keytone::payment::order::{Input, OnTimeout};
use keytone::payment::pin::Profile;
use keytone::payment::row::order::{MerchantRow, WebhookRow};
use keytone::payment::row::record::Select;
use keytone::payment::run::agents::NewAgent;
use keytone::payment::run::asks::Ways;
use keytone::payment::run::audit;
use keytone::payment::run::charges::{Asker, ChargeRequest, Charged};
use keytone::payment::run::crash::{ASK_POINTS, CHARGE_POINTS, ORDER_POINTS};
use keytone::payment::run::{NewMerchant, NewOrder, OrderPayment, PayOrder};
use keytone::payment::share::Fee;

use super::*;
use crate::support::market::cny;

const AGENT: &str = "+8613800000002";
const MERCHANT: &str = "KEYTONE_TEST_MERCHANT";
const SELLER: &str = "KEYTONE_TEST_SELLER";
/// Where the screens note whom they asked.
const SCREENS: &str = "KEYTONE_TEST_SCREENS";
/// What the biller does: nothing wrong, slow, never answered, reset.
const BILL_FAULTS: [&str; 4] = ["001", "910", "920", "922"];
/// Where a bill's payment passes.
const BILL_POINTS: &[&str] = &[
    "received",
    "pin_before",
    "pin_after",
    "authorise_before",
    "authorise_after",
    "submit_before",
    "submit_after",
    "answered",
    "outcome_before",
    "outcome_after",
    "told",
    "recover_before",
    "recover_after",
];
/// What one round moves, minor units: a bill of 10.00 with a fee of 0.50.
const BILL: i64 = 1_050;
const ORDER: i64 = 10_000;
const REFUND: i64 = 1_000;
const CHARGE: i64 = 5_000;
const CHARGE_FEE: i64 = 50;

/// Not a test of its own: the entry of the processes that are killed.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match role.as_str() {
        "biller" => runtime.block_on(serve_biller()),
        "house" => runtime.block_on(house()),
        other => panic!("no role {other}"),
    }
}

async fn serve_biller() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n@url http://{}", listener.local_addr().unwrap());
    let mut config = biller::Config::new(PathBuf::from(variable(LOG)), Clock::machine());
    config.slow = Duration::from_millis(100);
    config.later = Duration::from_millis(100);
    biller::serve(config, listener, CancellationToken::new()).await.unwrap();
}

/// Screens that reach everybody: a line for each question.
struct Screens(PathBuf);

impl Asks for Screens {
    fn ask(&self, question: Question) -> std::pin::Pin<Box<dyn Future<Output = Said> + Send>> {
        let mut file = File::options().create(true).append(true).open(&self.0).unwrap();
        writeln!(file, "{}", question.id).unwrap();
        Box::pin(std::future::ready(Said::Taken))
    }
}

async fn core(store: &Store, url: &str) -> (Payments, Writer) {
    let clock = Clock::machine();
    let (writer, _) = Writer::start(store.clone(), clock.clone(), broken);
    let quick = |file: String| {
        file.replace("timeout_ms = 5000", "timeout_ms = 400")
            .replace("not_found_after_ms = 10000", "not_found_after_ms = 900")
    };
    let nobody = quick(sandbox::definition_toml("http://127.0.0.1:9"));
    let mut settings = quick_settings();
    settings.pin.tries_max = 1_000_000;
    settings.pin.profile = Profile::Trifling;
    settings.webhooks_private = true;
    settings.bill_day_limit_minor = i64::MAX;
    settings.charging.open_max = 1_000;
    settings.asks.customer_day = i64::MAX;
    settings.status_schedule = vec![Duration::from_millis(60); 400];
    settings.billers = Directory::new(vec![Biller {
        id: "city".to_owned(),
        code: "101".to_owned(),
        name: "City water".to_owned(),
        kind: "water".to_owned(),
        connector: biller::CONNECTOR.to_owned(),
        digits_min: 6,
        digits_max: 12,
        check: CheckDigit::None,
        fee_minor: 50,
        rule: Rule::Exact,
        payment_limit_minor: None,
    }]);
    let key = sandbox::Config::new(PathBuf::new(), clock.clone()).key;
    let file = quick(biller::definition_toml(url));
    let payments = Payments::start(Parts {
        settings,
        store: store.clone(),
        writer: writer.clone(),
        connectors: vec![connector_of(&file, &key, &clock), connector_of(&nobody, &key, &clock)],
        plan: Plan::parse(sandbox::PLAN).unwrap(),
        peppers: Peppers::single(Secret::from("0123456789abcdef")),
        clock,
    })
    .await
    .unwrap();
    (payments, writer)
}

/// Who meets in a round.
#[derive(Clone)]
struct Round {
    payments: Payments,
    id: Id,
    bill: String,
    buyer: Id,
    seller: Id,
    merchant: MerchantRow,
}

impl Round {
    async fn pay_bill(self) {
        let id = self.id.derived("bill");
        // What is paid already is not asked for again: the quote of the first time stands in the books.
        if self.payments.payment(id).await.unwrap().is_none() {
            let found = self.payments.inquire(self.buyer, "101", &self.bill).await.unwrap();
            assert!(matches!(found, BillAnswer::Found(_)), "{} {found:?}", self.bill);
        }
        let request = BillRequest {
            id,
            account: self.buyer,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            biller: "101".to_owned(),
            number: self.bill.clone(),
            amount_minor: BILL - 50,
            fee_minor: 50,
            pin: Pin::Typed(Secret::from(PIN)),
        };
        let outcome = self.payments.pay_bill(request).await.unwrap();
        // Killed before the request left, it was refused.
        let told = matches!(
            outcome,
            PayOutcome::Delivered { .. } | PayOutcome::Pending { .. } | PayOutcome::Refused { .. }
        );
        assert!(told, "{outcome:?}");
        println!("\n@told {id} {}", outcome.name());
    }

    async fn place(&self, key: &str, frozen: bool) -> keytone::payment::row::order::OrderRow {
        let new = NewOrder {
            customer: phone(ME),
            amount_minor: ORDER,
            description: "Tea".to_owned(),
            payable_micros: 3_600_000_000,
            frozen,
            freeze_micros: 3_600_000_000,
            on_timeout: OnTimeout::Return,
        };
        let key = format!("{} {key}", self.id);
        self.payments.place_order(&self.merchant, &key, new).await.unwrap().unwrap()
    }

    fn asked(&self, what: &str, number: &str) -> PayOrder {
        PayOrder {
            id: self.id.derived(what),
            account: self.buyer,
            caller: Some(phone(ME)),
            channel: Channel::Ussd,
            number: number.to_owned(),
            amount_minor: ORDER,
            pin: Secret::from(PIN),
        }
    }

    /// Asks the customer to pay, and goes on when he was asked. What a dead process had on its way may have come: that is not
    /// waited for.
    async fn ask(&self, order: Id) {
        let asked = self.payments.ask_customer(self.merchant.id, order, "pay", Some(Want::Pay)).await;
        let first = asked.unwrap().unwrap();
        if first.state != ask::State::Waiting.number() {
            return;
        }
        let shown = async {
            while self.payments.asks_of(order).await.unwrap()[0].state != ask::State::Shown.number() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SETTLED_WITHIN, shown).await.expect("the customer is asked");
    }

    /// One order is asked for, confirmed and partly refunded, one is disputed and resolved for the customer.
    async fn buy(self) {
        let order = self.place("confirmed", true).await;
        self.ask(order.id).await;
        let paid = self.payments.pay_order(self.asked("pay", &order.number)).await.unwrap();
        assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
        let done = self.payments.confirm_order(self.asked("confirm", &order.number)).await.unwrap();
        assert_eq!(done, OrderPayment::Released);
        let refund = self.payments.refund_order(self.merchant.id, order.id, "r1", REFUND).await.unwrap();
        assert_eq!(refund.unwrap().state, 1);
        let other = self.place("disputed", true).await;
        let paid = self.payments.pay_order(self.asked("pay other", &other.number)).await.unwrap();
        assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
        // The second time it may be resolved already.
        let _ = self.payments.dispute_order(self.buyer, &other.number).await.unwrap();
        let resolve = Input::Resolve {
            customer_minor: ORDER,
            staff: ["ann".to_owned(), "bo".to_owned()],
            reason: "never sent".to_owned(),
        };
        let row = self.payments.step_order(other.id, &resolve).await.unwrap().unwrap();
        assert_eq!((row.frozen_minor, row.returned_minor), (0, ORDER));
        println!("\n@bought {}", self.id);
    }

    async fn charge(self) {
        let ask = ChargeRequest {
            id: self.id.derived("charge"),
            agent: self.seller,
            buyer: self.buyer,
            phone: phone(ME),
            channel: Channel::Sms,
            language: "en".to_owned(),
            amount_minor: CHARGE,
            price_minor: CHARGE,
        };
        let Charged::Done(row) = self.payments.request_charge(ask).await.unwrap() else {
            panic!("no charge")
        };
        let (number, pin) = (row.number.as_str(), Secret::from(PIN));
        let agent = Asker { account: self.seller, caller: Some(phone(AGENT)), channel: Channel::Sms };
        let id = self.id.derived("deposit");
        let told = self.payments.deposit_charge(id, &agent, number, pin).await.unwrap();
        assert!(matches!(told, Charged::Done(_)), "{told:?}");
        // The second time it may be over already.
        let _ = self.payments.say_charge(Side::Buyer, self.buyer, number, Say::Claim).await.unwrap();
        let shown = self.payments.charge_details(self.buyer, number).await.unwrap();
        let certificate = shown.map(|(_, certificate)| certificate).unwrap_or_default();
        let id = self.id.derived("confirm charge");
        let pin = Secret::from(PIN);
        let told = self.payments.confirm_charge(id, &agent, number, &certificate, pin).await.unwrap();
        assert!(matches!(told, Charged::Done(_)), "{told:?}");
        println!("\n@charged {}", self.id);
    }
}

/// Recovers, does the rounds, and stays until everything is settled and told: or is killed.
async fn house() {
    let store = Store::open(&variable(DATABASE)).await.unwrap();
    let (payments, writer) = core(&store, &variable(CARRIER)).await;
    let screens = Arc::new(Screens(PathBuf::from(variable(SCREENS))));
    payments.ask_by(Ways { screens, ..Ways::default() });
    payments.recover().await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(payments.clone().run(stop.clone()));
    let id_of = |name: &str| Id::parse(&variable(name)).unwrap();
    let merchant: MerchantRow =
        store.records(&Select::new().equal("id", &id_of(MERCHANT))).await.unwrap().pop().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for round in variable(ORDERS).split(',').filter(|round| !round.is_empty()) {
        let (id, bill) = round.split_once('=').unwrap();
        let round = Round {
            payments: payments.clone(),
            id: Id::parse(id).unwrap(),
            bill: bill.to_owned(),
            buyer: id_of(ACCOUNT),
            seller: id_of(SELLER),
            merchant: merchant.clone(),
        };
        tasks.spawn(round.clone().pay_bill());
        tasks.spawn(round.clone().buy());
        tasks.spawn(round.charge());
    }
    tasks.join_all().await;
    let open: Vec<State> = State::ALL.iter().copied().filter(|s| s.is_open()).collect();
    let settled = async {
        let waiting = || Select::<WebhookRow>::new().from("due_at", &0_i64).limit(1);
        while !store.open_payments(&open, 1).await.unwrap().is_empty()
            || !store.records(&waiting()).await.unwrap().is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SETTLED_WITHIN, settled).await.expect("settled in time");
    assert!(payments.drain(Duration::from_secs(20)).await);
    stop.cancel();
    writer.stop();
    println!("\n@settled");
}

type Heard = Arc<Mutex<BTreeSet<String>>>;

async fn hook(Held(heard): Held<Heard>, headers: HeaderMap) -> StatusCode {
    heard.lock().unwrap().insert(headers["webhook-id"].to_str().unwrap().to_owned());
    StatusCode::NO_CONTENT
}

/// One database, one biller, one merchant, one agent, and the processes that are killed on them.
struct Street {
    store: Store,
    variables: Vec<(&'static str, String)>,
    log: PathBuf,
    buyer: Id,
    seller: Id,
    merchant: Id,
    heard: Heard,
    before: Vec<String>,
    rounds: Vec<String>,
    _biller: Process,
    dir: tempfile::TempDir,
}

impl Street {
    async fn open(url: String, dir: tempfile::TempDir) -> Self {
        provider();
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let log = dir.path().join("biller.log");
        let mut biller = Process::of("crash::kinds::child", "biller", &[(LOG, log.display().to_string())]);
        let said = biller.line().expect("the biller says where it listens");
        let biller_url = said.strip_prefix("url ").unwrap().to_owned();
        let heard = Heard::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook_url = format!("http://{}/hook", listener.local_addr().unwrap());
        let app = Router::new().route("/hook", post(hook)).with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let (payments, writer) = core(&store, &biller_url).await;
        let account = async |number: &str| {
            let open = OpenAccount { msisdn: Some(phone(number)), pin: Some(Secret::from(PIN)) };
            let account = payments.open_account(open).await.unwrap();
            payments.credit(Id::new(1), account, 100_000_000).await.unwrap();
            account
        };
        let (buyer, seller) = (account(ME).await, account(AGENT).await);
        let fee = Fee::new("0.015", 0).unwrap();
        let new = NewMerchant { name: "City Shop".to_owned(), fee, webhook_url: Some(hook_url) };
        let merchant = payments.add_merchant(new).await.unwrap().0.id;
        let agent = NewAgent {
            account: seller,
            phone: phone(AGENT),
            name: "Wang".to_owned(),
            language: "en".to_owned(),
            details: "ICBC 6222 0001".to_owned(),
            price_ppm: 1_000_000,
            least_minor: 1_000,
            most_minor: 10_000,
            fee_minor: CHARGE_FEE,
        };
        payments.add_agent(agent).await.unwrap();
        writer.stop();
        let variables = vec![
            (DATABASE, url),
            (CARRIER, biller_url),
            (ACCOUNT, buyer.text()),
            (SELLER, seller.text()),
            (MERCHANT, merchant.text()),
            (SCREENS, dir.path().join("screens.log").display().to_string()),
        ];
        let (before, rounds) = (Vec::new(), Vec::new());
        Self { store, variables, log, buyer, seller, merchant, heard, before, rounds, _biller: biller, dir }
    }

    fn start(&self, rounds: &[String], more: &[(&str, String)]) -> Process {
        let mut variables: Vec<(&str, String)> = self.variables.clone();
        variables.push((ORDERS, rounds.join(",")));
        variables.extend_from_slice(more);
        Process::of("crash::kinds::child", "house", &variables)
    }

    /// One run that is killed at a point, with a fresh round and the one of the run before.
    async fn crash_at(&mut self, point: &str) {
        let n = self.rounds.len();
        // The first four digits are what the bill comes to, the last three choose a fault.
        let fresh = format!("{}=1000{n:04}{}", Id::new(1).text(), BILL_FAULTS[n % BILL_FAULTS.len()]);
        let both: Vec<String> = self.before.iter().cloned().chain([fresh.clone()]).collect();
        let (signal, said) = self.start(&both, &[(CRASH_VARIABLE, point.to_owned())]).end();
        assert_eq!(signal, Some(SIGKILL), "{point} was not reached: {said:?}");
        self.before = vec![fresh.clone()];
        self.rounds.push(fresh);
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "after {point}: {:?}", report.faults);
    }

    async fn balance(&self, account: Id) -> i64 {
        self.store.account(account).await.unwrap().unwrap().balance_minor
    }

    /// Every round once more, to its end; then each was done once.
    async fn settle(&self) {
        let (signal, said) = self.start(&self.rounds, &[]).end();
        assert_eq!((signal, said.last().map(String::as_str)), (None, Some("settled")));
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        let rounds = i64::try_from(self.rounds.len()).unwrap();
        let booked = sandbox::read_log(&self.log).unwrap();
        let mut paid = 0;
        for round in &self.rounds {
            let (id, number) = round.split_once('=').unwrap();
            let payment = self.store.payment(Id::parse(id).unwrap().derived("bill")).await.unwrap().unwrap();
            let times = booked.iter().filter(|r| r.msisdn == number && r.state == "delivered").count();
            assert!(matches!(payment.state, State::Delivered | State::Refused), "{payment:?}");
            assert_eq!(times, usize::from(payment.state == State::Delivered), "{payment:?}");
            paid += i64::from(payment.state == State::Delivered);
        }
        assert!(paid > rounds / 2, "{paid} of {rounds} bills were paid");
        let fee = ORDER * 15 / 1_000;
        let buyer = 100_000_000 - paid * BILL - rounds * (ORDER - REFUND) + rounds * CHARGE;
        assert_eq!(self.balance(self.buyer).await, buyer);
        assert_eq!(self.balance(self.seller).await, 100_000_000 - rounds * (CHARGE + CHARGE_FEE));
        assert_eq!(self.balance(self.merchant).await, rounds * (ORDER - fee - REFUND));
        assert_eq!(self.balance(House::Intermediary.id(cny())).await, 0);
        let hooks = self.store.records(&Select::<WebhookRow>::new().limit(100_000)).await.unwrap();
        let told: BTreeSet<String> =
            hooks.iter().map(|hook| keytone::payment::webhook::header_id(hook.id)).collect();
        // Placed, paid, confirmed, refunded; placed, paid, disputed, resolved.
        let of_asks = hooks.iter().filter(|hook| hook.kind.starts_with("order.ask")).count();
        assert_eq!(told.len() - of_asks, self.rounds.len() * 8);
        let shown = std::fs::read_to_string(self.dir.path().join("screens.log")).unwrap();
        let asked: BTreeSet<&str> = shown.lines().collect();
        assert_eq!(asked.len(), shown.lines().count(), "nobody is asked twice: {shown}");
        // One that was on its way when the process died is not asked again either.
        assert!(asked.len() > self.rounds.len() / 2, "{shown}");
        assert_eq!(*self.heard.lock().unwrap(), told, "the merchant heard of everything");
    }
}

async fn killed_at(mut street: Street, points: impl Iterator<Item = &'static &'static str>) {
    for point in points {
        street.crash_at(point).await;
    }
    street.settle().await;
}

async fn on_sqlite() -> Street {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("books.db").display());
    Street::open(url, dir).await
}

async fn on_postgres() -> Street {
    Street::open(postgres::database_url().await, tempfile::tempdir().unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_charges_on_sqlite() {
    killed_at(on_sqlite().await, ORDER_POINTS.iter().chain(ASK_POINTS).chain(CHARGE_POINTS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_charges_on_postgres() {
    killed_at(on_postgres().await, ORDER_POINTS.iter().chain(ASK_POINTS).chain(CHARGE_POINTS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bills_on_sqlite() {
    killed_at(on_sqlite().await, BILL_POINTS.iter()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bills_on_postgres() {
    killed_at(on_postgres().await, BILL_POINTS.iter()).await;
}
