//! Bills whole, on loopback with a sandbox biller that does wrong: every answer to an inquiry and every end of a payment, on
//! both databases.

use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::connector::sandbox::biller;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{BillAnswer, BillFound, BillRequest, Channel, PayOutcome, Pin};
use keytone::payment::bill::{Biller, CheckDigit, Directory, Rule};
use keytone::payment::pin::Peppers;
use keytone::payment::row::{PaymentRow, State};
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{Error, OpenAccount, Parts, Payments, Scope, audit};
use keytone::payment::settings::Settings;
use keytone::secret::Secret;
use keytone::store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::market::{
    Database, PIN, broken, cny, connector_of, phone, provider, quick_settings, serve_callbacks,
};
use crate::support::postgres as server;

const ME: &str = "+8613800000001";
const PATIENCE: Duration = Duration::from_secs(30);

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::bills::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::bills::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_bill_is_asked_for_and_paid,
    what_cannot_be_trusted_is_not_shown,
    what_is_unknown_is_found_out,
    what_the_biller_never_took_is_given_back,
    whose_payment_it_was_decides,
    a_biller_that_is_down,
    what_was_quoted_is_what_is_paid,
    parts_of_a_bill_and_more_than_it,
    limits_of_bills_are_their_own,
    the_same_id_pays_once,
    the_biller_takes_it_back,
    a_wrong_pin_and_a_suspension_ask_nobody,
);

/// A payment core whose only connector is a biller's.
struct Town {
    payments: Payments,
    store: Store,
    clock: Clock,
    log: std::path::PathBuf,
    account: Id,
    writer: Writer,
    writing: JoinHandle<()>,
    stop: CancellationToken,
    biller_stop: CancellationToken,
    _dir: tempfile::TempDir,
}

fn billers() -> Directory {
    let biller = |code: &str, id: &str, rule| Biller {
        id: id.to_owned(),
        code: code.to_owned(),
        name: format!("City {id}"),
        kind: "water".to_owned(),
        connector: biller::CONNECTOR.to_owned(),
        digits_min: 6,
        digits_max: 10,
        check: CheckDigit::None,
        fee_minor: 70,
        rule,
        payment_limit_minor: None,
    };
    let small = Biller { payment_limit_minor: Some(1_000), ..biller("303", "small", Rule::Any) };
    let checked = Biller { check: CheckDigit::Luhn, ..biller("404", "checked", Rule::Exact) };
    Directory::new(vec![biller("101", "exact", Rule::Exact), biller("202", "any", Rule::Any), small, checked])
}

impl Town {
    async fn open(database: Database) -> Self {
        Self::open_with(database, |_| {}).await
    }

    async fn open_with(database: Database, change: fn(&mut Settings)) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let url = match database {
            Database::Sqlite => format!("sqlite:{}", dir.path().join("books.db").display()),
            Database::Postgres => server::database_url().await,
        };
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Clock::machine();
        let (stop, biller_stop) = (CancellationToken::new(), CancellationToken::new());
        let (http, slot) = serve_callbacks(stop.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let log = dir.path().join("biller.log");
        let mut config = biller::Config::new(log.clone(), clock.clone());
        config.callback_url = Some(format!("{http}/callbacks/{}", biller::CONNECTOR));
        config.slow = Duration::from_millis(150);
        config.later = Duration::from_millis(150);
        config.hang = Duration::from_secs(5);
        let key = config.key.clone();
        tokio::spawn(biller::serve(config, listener, biller_stop.clone()));
        let file = biller::definition_toml(&base_url)
            .replace("timeout_ms = 5000", "timeout_ms = 500")
            .replace("not_found_after_ms = 10000", "not_found_after_ms = 1500");
        let (writer, writing) = Writer::start(store.clone(), clock.clone(), broken);
        let mut settings = quick_settings();
        settings.billers = billers();
        settings.bill_payment_limit_minor = 50_000;
        settings.bill_day_limit_minor = 500_000;
        change(&mut settings);
        let nobody = sandbox::definition_toml("http://127.0.0.1:9");
        let payments = Payments::start(Parts {
            settings,
            store: store.clone(),
            writer: writer.clone(),
            connectors: vec![connector_of(&file, &key, &clock), connector_of(&nobody, &key, &clock)],
            plan: Plan::parse(sandbox::PLAN).unwrap(),
            peppers: Peppers::single(Secret::from("0123456789abcdef")),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        assert!(slot.set(payments.clone()).is_ok());
        tokio::spawn(payments.clone().run(stop.clone()));
        let open = OpenAccount { msisdn: Some(phone(ME)), pin: Some(Secret::from(PIN)) };
        let account = payments.open_account(open).await.unwrap();
        payments.credit(Id::new(clock.now().0), account, 5_000_000).await.unwrap();
        Self { payments, store, clock, log, account, writer, writing, stop, biller_stop, _dir: dir }
    }

    async fn inquire(&self, code: &str, number: &str) -> BillAnswer {
        self.payments.inquire(self.account, code, number).await.unwrap()
    }

    async fn found(&self, code: &str, number: &str) -> BillFound {
        match self.inquire(code, number).await {
            BillAnswer::Found(bill) => bill,
            other => panic!("{number}: {other:?}"),
        }
    }

    fn request(&self, code: &str, number: &str, amount_minor: i64) -> BillRequest {
        BillRequest {
            id: Id::new(self.clock.now().0),
            account: self.account,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            biller: code.to_owned(),
            number: number.to_owned(),
            amount_minor,
            fee_minor: 50,
            pin: Pin::Typed(Secret::from(PIN)),
        }
    }

    /// Asks for a bill of biller 101 and pays what is due.
    async fn pay(&self, number: &str) -> (Id, PayOutcome) {
        let bill = self.found("101", number).await;
        let request = self.request("101", number, bill.amount_minor);
        (request.id, self.payments.pay_bill(request).await.unwrap())
    }

    async fn money(&self) -> (i64, i64) {
        let row = self.store.account(self.account).await.unwrap().unwrap();
        (row.balance_minor, row.held_minor)
    }

    async fn house(&self, house: House<'_>) -> i64 {
        self.store.account(house.id(cny())).await.unwrap().unwrap().balance_minor
    }

    async fn until(&self, id: Id, state: State) -> PaymentRow {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let payment = self.store.payment(id).await.unwrap().unwrap();
                if payment.state == state {
                    return payment;
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        });
        match waited.await {
            Ok(payment) => payment,
            Err(_) => {
                panic!("not {state:?}: {:#?}", self.payments.payment(id).await.unwrap().unwrap().events)
            }
        }
    }

    /// What the biller remembers of a bill.
    fn booked(&self, number: &str) -> Vec<sandbox::Record> {
        let mut all = sandbox::read_log(&self.log).unwrap_or_default();
        all.retain(|r| r.msisdn == number);
        all
    }

    async fn close(self) {
        assert!(self.payments.drain(PATIENCE).await, "a payment is still under way");
        self.stop.cancel();
        self.biller_stop.cancel();
        self.writer.stop();
        self.writing.await.expect("the writer ends in peace");
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        self.store.close().await;
    }
}

fn refused(class: &str) -> PayOutcome {
    PayOutcome::Refused { class: class.to_owned() }
}

async fn a_bill_is_asked_for_and_paid(database: Database) {
    let town = Town::open(database).await;
    let bill = town.found("101", "8050001").await;
    assert_eq!(
        (bill.amount_minor, bill.least_minor, bill.most_minor, bill.fee_minor),
        (8_050, 8_050, 8_050, 50)
    );
    assert_eq!(
        (bill.biller.as_str(), bill.name.as_str(), bill.address.as_str()),
        ("City exact", "W** L**", "12 R**")
    );
    assert!(bill.due.is_some());
    let request = town.request("101", "8050001", 8_050);
    let id = request.id;
    let outcome = town.payments.pay_bill(request).await.unwrap();
    assert_eq!(outcome.name(), "delivered", "{outcome:?}");
    assert_eq!(town.money().await, (5_000_000 - 8_100, 0));
    assert_eq!(town.house(House::Biller("exact")).await, 8_050);
    assert_eq!(town.house(House::Fee).await, 50);
    assert_eq!(town.house(House::Commission(biller::CONNECTOR)).await, 0);
    let view = town.payments.payment(id).await.unwrap().unwrap();
    assert_eq!(view.payment.product, "bill");
    assert_eq!(view.payment.target.text(), "bill:exact/8050001");
    let booked = town.booked("8050001");
    assert_eq!(booked.len(), 1);
    assert_eq!(booked[0].reference, view.attempts[0].reference);
    assert_eq!((booked[0].amount.as_str(), booked[0].state.as_str()), ("80.50", "delivered"));
    assert_eq!(booked[0].deduction, view.payment.hold.text());
    let sms = town.store.outbox_of(id).await.unwrap();
    assert!(
        sms.len() == 1 && sms[0].body.contains("8050001") && sms[0].body.contains("City exact"),
        "{sms:?}"
    );
    assert_eq!(town.inquire("101", "8050001").await, BillAnswer::AlreadyPaid);
    town.close().await;
}

async fn what_cannot_be_trusted_is_not_shown(database: Database) {
    let town = Town::open(database).await;
    for (number, answer) in [
        ("8050801", BillAnswer::NotFound),
        ("8050802", BillAnswer::AlreadyPaid),
        ("8050803", BillAnswer::Expired),
        ("8050804", BillAnswer::Down),
        ("8050805", BillAnswer::Down),
        ("8050806", BillAnswer::Down),
        ("8050807", BillAnswer::Down),
        ("8050808", BillAnswer::Down),
        ("8050809", BillAnswer::Down),
        ("12345", BillAnswer::BadNumber),
        ("12345678901", BillAnswer::BadNumber),
        ("805000a", BillAnswer::BadNumber),
    ] {
        assert_eq!(town.inquire("101", number).await, answer, "{number}");
        let mut request = town.request("101", number, 8_050);
        request.fee_minor = 50;
        let outcome = town.payments.pay_bill(request).await.unwrap();
        assert_eq!(outcome, refused("bill_changed"), "{number}: nothing was quoted, so nothing is paid");
    }
    assert_eq!(town.inquire("999", "8050001").await, BillAnswer::NoBiller);
    assert_eq!(town.inquire("404", "8050001").await, BillAnswer::BadNumber, "the check digit");
    assert_eq!(town.money().await, (5_000_000, 0));
    town.close().await;
}

/// Every fault in which the biller booked the payment: in the end delivered, once, whatever was heard at first.
async fn what_is_unknown_is_found_out(database: Database) {
    let town = Town::open(database).await;
    let faults = ["910", "911", "913", "920", "922", "924", "926", "928", "929", "940", "941", "942"];
    let mut ids = Vec::new();
    for suffix in faults {
        let (id, outcome) = town.pay(&format!("1000{suffix}")).await;
        assert!(["delivered", "pending"].contains(&outcome.name()), "{suffix}: {outcome:?}");
        ids.push((suffix, id));
    }
    for (suffix, id) in &ids {
        town.until(*id, State::Delivered).await;
        assert_eq!(town.booked(&format!("1000{suffix}")).len(), 1, "{suffix}: booked once");
        let view = town.payments.payment(*id).await.unwrap().unwrap();
        assert_eq!(view.attempts.len(), 1, "{suffix}: nothing is sent under another reference");
        let doubted = view.events.iter().any(|e| e.state == State::Unknown);
        let doubtful = !["910", "911", "913", "940", "942"].contains(suffix);
        assert_eq!(doubted, doubtful, "{suffix}: {:?}", view.events);
    }
    let spent = 1_050 * i64::try_from(faults.len()).unwrap();
    assert_eq!(town.money().await, (5_000_000 - spent, 0));
    town.close().await;
}

async fn what_the_biller_never_took_is_given_back(database: Database) {
    // The caller does not wait until "not found" is definite, which is after 1.5 s.
    let town =
        Town::open_with(database, |settings| settings.answer_within = Duration::from_millis(750)).await;
    let mut ids = Vec::new();
    for suffix in ["921", "923", "925"] {
        let (id, outcome) = town.pay(&format!("1000{suffix}")).await;
        assert_eq!(outcome.name(), "pending", "{suffix}: it is not known yet");
        ids.push((suffix, id));
    }
    assert!(town.money().await.1 >= 1_050, "unknown keeps the money held");
    for (suffix, id) in ids {
        let payment = town.until(id, State::Refused).await;
        assert_eq!(payment.class.as_deref(), Some("not_found"), "{suffix}");
        assert!(payment.updated_at - payment.created_at >= 1_500_000, "{suffix}: not before it is definite");
    }
    let (id, outcome) = town.pay("1000912").await;
    assert!(["pending", "refused"].contains(&outcome.name()), "{outcome:?}");
    town.until(id, State::Refused).await;
    assert_eq!(town.money().await, (5_000_000, 0));
    let (id, outcome) = town.pay("1000906").await;
    assert_eq!(outcome.name(), "pending", "a code that nobody knows");
    assert_eq!(town.store.payment(id).await.unwrap().unwrap().state, State::Unknown);
    town.close().await;
}

/// DESIGN 6.4 point 5.
async fn whose_payment_it_was_decides(database: Database) {
    let town = Town::open(database).await;
    assert_eq!(town.pay("1000901").await.1, refused("already_paid"), "another's payment");
    assert_eq!(town.pay("1000903").await.1, refused("bill_expired"), "expired, and paid by nobody");
    assert_eq!(town.pay("1000905").await.1, refused("bill_changed"));
    assert_eq!(town.money().await, (5_000_000, 0));
    for suffix in ["902", "904"] {
        let (id, outcome) = town.pay(&format!("1000{suffix}")).await;
        assert_eq!(outcome.name(), "pending", "{suffix}");
        let payment = town.until(id, State::NeedsReview).await;
        assert_eq!(payment.class.as_deref(), Some("who_paid"), "{suffix}");
        assert_eq!(payment.next_check_at, None, "{suffix}: a person must look");
        let sms = town.store.outbox_of(id).await.unwrap();
        assert!(sms.is_empty(), "{suffix}: nothing is told as certain: {sms:?}");
    }
    assert_eq!(town.money().await, (5_000_000, 2 * 1_050), "silence gives nothing back and takes nothing");
    town.close().await;
}

async fn a_biller_that_is_down(database: Database) {
    let town = Town::open(database).await;
    town.found("101", "1000001").await;
    assert_eq!(town.pay("1000907").await.1, refused("carrier_down"));
    town.biller_stop.cancel();
    let listening = async {
        while town.inquire("101", "1000002").await != BillAnswer::Down {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.expect("the biller is gone");
    // Asked before, gone before the payment: never sent, for certain.
    let outcome = town.payments.pay_bill(town.request("101", "1000001", 1_000)).await.unwrap();
    assert_eq!(outcome, refused("carrier_down"));
    assert_eq!(town.money().await, (5_000_000, 0));
    town.close().await;
}

async fn what_was_quoted_is_what_is_paid(database: Database) {
    let town = Town::open(database).await;
    let outcome = town.payments.pay_bill(town.request("101", "1000001", 1_000)).await.unwrap();
    assert_eq!(outcome, refused("bill_changed"), "nothing was asked");
    town.found("101", "1000001").await;
    let outcome = town.payments.pay_bill(town.request("101", "1000001", 999)).await.unwrap();
    assert_eq!(outcome, refused("bill_changed"), "another amount");
    let mut request = town.request("101", "1000001", 1_000);
    request.fee_minor = 0;
    assert_eq!(town.payments.pay_bill(request).await.unwrap(), refused("bill_changed"), "another fee");
    town.found("101", "1000810").await;
    let mut tried = 0;
    let changed = loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let known = town.payments.quoted(town.account, "101", "1000810").await.unwrap().unwrap();
        tried += 1;
        if known.expires_at <= town.clock.now().0 || tried > 100 {
            break town.payments.pay_bill(town.request("101", "1000810", 1_000)).await.unwrap();
        }
    };
    assert_eq!(changed, refused("bill_changed"), "the quote has expired");
    let other = OpenAccount { msisdn: Some(phone("+8613800000002")), pin: Some(Secret::from(PIN)) };
    let other = town.payments.open_account(other).await.unwrap();
    let mut request = town.request("101", "1000001", 1_000);
    request.account = other;
    request.caller = Some(phone("+8613800000002"));
    assert_eq!(town.payments.pay_bill(request).await.unwrap(), refused("bill_changed"), "another's quote");
    assert_eq!(town.money().await, (5_000_000, 0));
    town.close().await;
}

async fn parts_of_a_bill_and_more_than_it(database: Database) {
    let town = Town::open(database).await;
    let bill = town.found("202", "1000811").await;
    assert_eq!((bill.least_minor, bill.most_minor), (100, 1_000));
    for (amount, left) in [(400, 600), (400, 200)] {
        let outcome = town.payments.pay_bill(town.request("202", "1000811", amount)).await.unwrap();
        assert_eq!(outcome.name(), "delivered", "equal parts are no mistake: {outcome:?}");
        let bill = town.found("202", "1000811").await;
        assert_eq!(bill.amount_minor, left);
    }
    let outcome = town.payments.pay_bill(town.request("202", "1000811", 201)).await.unwrap();
    assert_eq!(outcome, refused("bill_changed"));
    let outcome = town.payments.pay_bill(town.request("202", "1000811", 200)).await.unwrap();
    assert_eq!(outcome.name(), "delivered");
    assert_eq!(town.inquire("202", "1000811").await, BillAnswer::AlreadyPaid);
    let bill = town.found("202", "1000812").await;
    assert_eq!((bill.least_minor, bill.most_minor), (1_000, 10_000));
    let outcome = town.payments.pay_bill(town.request("202", "1000812", 2_500)).await.unwrap();
    assert_eq!(outcome.name(), "delivered");
    let exact = town.found("101", "2000811").await;
    assert_eq!((exact.least_minor, exact.most_minor), (2_000, 2_000), "our rule narrows the biller's");
    town.close().await;
}

async fn limits_of_bills_are_their_own(database: Database) {
    let town = Town::open(database).await;
    town.payments.set_limits(town.account, Some(100), Some(100)).await.unwrap();
    assert_eq!(town.pay("1000001").await.1.name(), "delivered", "S14 binds recharges");
    assert_eq!(town.payments.account(town.account).await.unwrap().unwrap().used_today_minor, 0);
    town.found("303", "2000001").await;
    let outcome = town.payments.pay_bill(town.request("303", "2000001", 2_000)).await.unwrap();
    assert_eq!(outcome, PayOutcome::PaymentLimit { limit_minor: 1_000 }, "the biller's own");
    town.close().await;
}

async fn the_same_id_pays_once(database: Database) {
    let town = Town::open(database).await;
    town.found("101", "1000001").await;
    let request = town.request("101", "1000001", 1_000);
    let twice: Vec<_> = (0..4)
        .map(|_| {
            let (payments, request) = (town.payments.clone(), request.clone());
            tokio::spawn(async move { payments.pay_bill(request).await.unwrap() })
        })
        .collect();
    for one in twice {
        assert_eq!(one.await.unwrap().name(), "delivered");
    }
    assert_eq!(town.booked("1000001").len(), 1);
    let other = BillRequest { amount_minor: 999, ..request.clone() };
    assert!(matches!(town.payments.pay_bill(other).await, Err(Error::IdReused)));
    // Another id for the bill that is paid: the quote is old, the biller says by whom it was paid.
    let again = BillRequest { id: Id::new(town.clock.now().0), ..request };
    assert_eq!(town.payments.pay_bill(again).await.unwrap(), refused("already_paid"));
    // While one is open there is no other for the same bill and amount.
    assert_eq!(town.pay("1000914").await.1.name(), "pending");
    let same = town.request("101", "1000914", 1_000);
    assert_eq!(town.payments.pay_bill(same).await.unwrap(), PayOutcome::StillProcessing);
    town.close().await;
}

async fn the_biller_takes_it_back(database: Database) {
    let town = Town::open(database).await;
    let (id, outcome) = town.pay("1000943").await;
    assert_eq!(outcome.name(), "delivered");
    town.until(id, State::Reversed).await;
    assert_eq!(town.money().await, (5_000_000, 0), "the fee comes back too");
    assert_eq!(town.house(House::Biller("exact")).await, 0);
    town.close().await;
}

async fn a_wrong_pin_and_a_suspension_ask_nobody(database: Database) {
    let town = Town::open(database).await;
    town.found("101", "1000001").await;
    let mut request = town.request("101", "1000001", 1_000);
    request.pin = Pin::Typed(Secret::from("111222"));
    assert_eq!(town.payments.pay_bill(request).await.unwrap(), PayOutcome::WrongPin { left: 4 });
    town.payments.suspend(Scope::Product, "bill").await.unwrap();
    let outcome = town.payments.pay_bill(town.request("101", "1000001", 1_000)).await.unwrap();
    assert_eq!(outcome, PayOutcome::Suspended);
    assert!(town.booked("1000001").is_empty());
    assert_eq!(town.money().await, (5_000_000, 0));
    town.close().await;
}
