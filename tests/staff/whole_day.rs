//! A whole day of a house with every product, on both databases: what is on each account in the evening is what a hand computes,
//! and the day's close, the statements and the proof agree with it.

use std::collections::BTreeMap;
use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::connector::sandbox::biller;
use keytone::ledger::row::Id;
use keytone::payment::answer::{BillAnswer, BillRequest, Channel, PayRequest, Pin};
use keytone::payment::bill::{Biller, CheckDigit, Directory, Rule};
use keytone::payment::charge::{Input, Side};
use keytone::payment::order::OnTimeout;
use keytone::payment::pin::Peppers;
use keytone::payment::row::{PaymentRow, State};
use keytone::payment::run::agents::NewAgent;
use keytone::payment::run::charges::{Asker, ChargeRequest, Charged};
use keytone::payment::run::close::Closing;
use keytone::payment::run::reconcile::{BANK, Compared};
use keytone::payment::run::staff::{Asked, Refused};
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{
    NewMerchant, NewOrder, OpenAccount, OrderPayment, Parts, PayOrder, Payments, audit,
};
use keytone::payment::share::Fee;
use keytone::payment::staff::{Act, Movement, Refusal};
use keytone::payment::statement::{Line, Status};
use keytone::payment::tax::FeeTax;
use keytone::secret::Secret;
use keytone::store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::market::{Database, PIN, broken, connector_of, phone, provider, quick_settings};
use crate::support::postgres as server;

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::whole_day::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::staff::whole_day::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(every_product_is_where_a_hand_computes_it);

const ME: &str = "+8613800000001";
const BUYER: &str = "+8613800000002";
const AGENT: &str = "+8613800000003";

fn selling(account: Id) -> Asker {
    Asker { account, caller: Some(phone(AGENT)), channel: Channel::Ussd }
}
const MORNING: Timestamp = Timestamp(1_777_773_600_000_000);
const DAY: i32 = 20_576;
const PATIENCE: Duration = Duration::from_secs(30);

/// A house with a carrier, a biller, a merchant, an agent and two customers.
struct Town {
    payments: Payments,
    store: Store,
    clock: Clock,
    writer: Writer,
    writing: JoinHandle<()>,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Town {
    async fn open(database: Database) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let url = match database {
            Database::Sqlite => format!("sqlite:{}", dir.path().join("books.db").display()),
            Database::Postgres => server::database_url().await,
        };
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Clock::manual(MORNING);
        let stop = CancellationToken::new();
        let (carrier_at, carrier_url) = listener().await;
        let carrier = sandbox::Config::new(dir.path().join("carrier.log"), clock.clone());
        let carrier_key = carrier.key.clone();
        tokio::spawn(sandbox::serve(carrier, carrier_at, stop.clone()));
        let (biller_at, biller_url) = listener().await;
        let water = biller::Config::new(dir.path().join("biller.log"), clock.clone());
        let biller_key = water.key.clone();
        tokio::spawn(biller::serve(water, biller_at, stop.clone()));
        let connectors = vec![
            connector_of(&sandbox::definition_toml(&carrier_url), &carrier_key, &clock),
            connector_of(&biller::definition_toml(&biller_url), &biller_key, &clock),
        ];
        let mut settings = quick_settings();
        settings.poll_every = Duration::from_secs(3_600);
        settings.fee_tax = FeeTax::parse("0.16").unwrap();
        settings.billers = Directory::new(vec![Biller {
            id: "water".to_owned(),
            code: "101".to_owned(),
            name: "City water".to_owned(),
            kind: "water".to_owned(),
            connector: biller::CONNECTOR.to_owned(),
            digits_min: 6,
            digits_max: 10,
            check: CheckDigit::None,
            fee_minor: 70,
            rule: Rule::Exact,
            payment_limit_minor: None,
        }]);
        let plan = sandbox::PLAN.replace("cost_share = \"0.97\"", "cost_share = \"0.97\"\nfee = \"1.16\"");
        let (writer, writing) = Writer::start(store.clone(), clock.clone(), broken);
        let payments = Payments::start(Parts {
            settings,
            store: store.clone(),
            writer: writer.clone(),
            connectors,
            plan: Plan::parse(&plan).unwrap(),
            peppers: Peppers::single(Secret::from("0123456789abcdef")),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        tokio::spawn(payments.clone().run(stop.clone()));
        Self { payments, store, clock, writer, writing, stop, _dir: dir }
    }

    fn id(&self) -> Id {
        Id::new(self.clock.now().0)
    }

    async fn account(&self, number: &str) -> Id {
        let open = OpenAccount { msisdn: Some(phone(number)), pin: Some(Secret::from(PIN)) };
        self.payments.open_account(open).await.unwrap()
    }

    /// Asks staff for something, and has it approved when it needs two.
    async fn staff(&self, act: Act) -> Result<Id, Refused> {
        let asked = Asked {
            id: self.id(),
            who: "ana".to_owned(),
            reason: "work".to_owned(),
            evidence: "slip 7".to_owned(),
            act,
        };
        let row = self.payments.ask_staff(&asked).await.unwrap()?;
        if row.decided_at.is_none() {
            let approve = keytone::payment::approval::Decision::Approve;
            self.payments.decide_staff(asked.id, "bo", approve).await.unwrap()?;
        }
        Ok(asked.id)
    }

    async fn moved(&self, movement: Movement, amount_minor: i64, whose: Whose<'_>) -> Id {
        let (account, connector, discount_minor) = match whose {
            Whose::Account(account) => (Some(account), None, 0),
            Whose::Agent(account, discount_minor) => (Some(account), None, discount_minor),
            Whose::Connector(name) => (None, Some(name.to_owned()), 0),
            Whose::House => (None, None, 0),
        };
        self.staff(Act::Move { movement, amount_minor, account, connector, discount_minor }).await.unwrap()
    }

    async fn recharge(&self, account: Id, target: &str, amount_minor: i64, end: State) -> PaymentRow {
        let request = PayRequest {
            id: self.id(),
            account,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            phone: phone(target),
            amount_minor,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        };
        let id = request.id;
        self.payments.pay(request).await.unwrap();
        self.until(id, end).await
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
        waited.await.unwrap_or_else(|_| panic!("not {state:?}"))
    }

    async fn bill(&self, account: Id, number: &str) -> PaymentRow {
        let BillAnswer::Found(bill) = self.payments.inquire(account, "101", number).await.unwrap() else {
            panic!("the bill is there");
        };
        let request = BillRequest {
            id: self.id(),
            account,
            caller: Some(phone(ME)),
            channel: Channel::Ussd,
            biller: "101".to_owned(),
            number: number.to_owned(),
            amount_minor: bill.amount_minor,
            fee_minor: bill.fee_minor,
            pin: Pin::Typed(Secret::from(PIN)),
        };
        let id = request.id;
        self.payments.pay_bill(request).await.unwrap();
        self.until(id, State::Delivered).await
    }

    async fn order(&self, account: Id, key: &str, frozen: bool) -> (Id, OrderPayment) {
        let merchant = self.payments.merchants().await.unwrap().remove(0);
        let new = NewOrder {
            customer: phone(ME),
            amount_minor: 10_001,
            description: "a kettle".to_owned(),
            payable_micros: 3_600_000_000,
            frozen,
            freeze_micros: 72 * 3_600_000_000,
            on_timeout: OnTimeout::Return,
        };
        let order = self.payments.place_order(&merchant, key, new).await.unwrap().unwrap();
        let asked = PayOrder {
            id: self.id(),
            account,
            caller: Some(phone(ME)),
            channel: Channel::Sms,
            number: order.number.clone(),
            amount_minor: 10_001,
            pin: Secret::from(PIN),
        };
        let id = asked.id;
        (id, self.payments.pay_order(asked).await.unwrap())
    }

    async fn deposit(&self, agent: Id, buyer: Id) -> String {
        let request = ChargeRequest {
            id: self.id(),
            agent,
            buyer,
            phone: phone(BUYER),
            channel: Channel::Ussd,
            language: "en".to_owned(),
            amount_minor: 10_000,
            price_minor: 9_800,
        };
        let Charged::Done(charge) = self.payments.request_charge(request).await.unwrap() else {
            panic!("it is asked for");
        };
        let (id, pin) = (self.id(), Secret::from(PIN));
        let done = self.payments.deposit_charge(id, &selling(agent), &charge.number, pin).await.unwrap();
        assert!(matches!(done, Charged::Done(_)), "{done:?}");
        charge.number.clone()
    }

    /// Every account that has something: by the name of the house's, else by whose it is.
    async fn balances(&self, people: &[(&str, Id)]) -> BTreeMap<String, i64> {
        let mut all = BTreeMap::new();
        for row in self.store.house_accounts().await.unwrap() {
            all.insert(row.name, row.balance_minor);
        }
        for (name, id) in people {
            all.insert((*name).to_owned(), self.store.account(*id).await.unwrap().unwrap().balance_minor);
        }
        all.retain(|_, minor| *minor != 0);
        all
    }

    async fn close(self) {
        assert!(self.payments.drain(PATIENCE).await, "a payment is still under way");
        self.stop.cancel();
        self.writer.stop();
        self.writing.await.expect("the writer ends in peace");
        let report = audit::verify(&self.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
        self.store.close().await;
    }
}

enum Whose<'a> {
    Account(Id),
    Agent(Id, i64),
    Connector(&'a str),
    House,
}

/// The evening's table. A row for each account; the figures are what each act of the day adds, in its order.
fn by_hand() -> BTreeMap<String, i64> {
    let table: &[(&str, &[i64])] = &[
        // Cash in; a recharge of 50 with its fee; a bill with its fee; two orders; cash out; goodwill.
        ("me", &[50_000, -5_116, -8_100, -10_001, -10_001, -2_000, 1_000]),
        // A charge from the agent.
        ("buyer", &[10_000]),
        // Balance bought; two deposits with their fees.
        ("agent", &[100_000, -10_050, -10_050]),
        // One order less the fee; a payout.
        ("merchant", &[9_850, -5_000]),
        // The order that is frozen, the deposit that waits.
        ("intermediary", &[10_001, 10_000]),
        // Prepaid; what the recharge cost.
        ("float:sandbox", &[-100_000, 4_850]),
        // 3 % of the recharge; taken to the bank.
        ("commission:sandbox", &[150, -100]),
        // The agent's discount.
        ("commission:agents", &[-2_000]),
        ("biller:water", &[8_050]),
        // Fees without tax of recharge and bill; of the order; of two deposits; taken to the bank.
        ("fee", &[100, 43, 150, 50, 50, -100]),
        // 16 of 116, 7 of 50; paid on.
        ("tax", &[16, 7, -5]),
        ("rounding", &[1]),
        // The goodwill; made good.
        ("loss", &[-1_000, 1_000]),
        // Cash in; paid for balance; payout; cash out.
        ("trust", &[-50_000, -98_000, 5_000, 2_000]),
        // Prepaid to the carrier; commission, fees and tax; the loss.
        ("bank", &[100_000, 100, 100, 5, -1_000]),
    ];
    let sum = |figures: &[i64]| figures.iter().sum::<i64>();
    let mut all: BTreeMap<String, i64> = table.iter().map(|(name, f)| ((*name).to_owned(), sum(f))).collect();
    assert_eq!(all.values().sum::<i64>(), 0, "the hand's own table balances");
    all.retain(|_, minor| *minor != 0);
    all
}

#[expect(clippy::too_many_lines, reason = "one day, told from its first hour to its last")]
async fn every_product_is_where_a_hand_computes_it(database: Database) {
    let town = Town::open(database).await;
    let (me, buyer, agent) = (town.account(ME).await, town.account(BUYER).await, town.account(AGENT).await);
    let new =
        NewMerchant { name: "City Shop".to_owned(), fee: Fee::new("0.015", 0).unwrap(), webhook_url: None };
    let merchant = town.payments.add_merchant(new).await.unwrap().0.id;
    let new = NewAgent {
        account: agent,
        phone: phone(AGENT),
        name: "Wang".to_owned(),
        language: "zh".to_owned(),
        details: "ICBC 6222 0001".to_owned(),
        price_ppm: 980_000,
        least_minor: 1_000,
        most_minor: 60_000,
        fee_minor: 50,
    };
    town.payments.add_agent(new).await.unwrap();
    // The morning: money comes in.
    let cash = town.moved(Movement::CashIn, 50_000, Whose::Account(me)).await;
    let sale = town.moved(Movement::FloatSale, 100_000, Whose::Agent(agent, 2_000)).await;
    let prepaid = town.moved(Movement::FloatTopUp, 100_000, Whose::Connector("sandbox")).await;
    // The day: every product.
    town.recharge(me, "+8613800000101", 5_000, State::Delivered).await;
    town.recharge(me, "+8613800000901", 5_000, State::Refused).await;
    let back = town.recharge(me, "+8613800000102", 10_000, State::Delivered).await;
    town.staff(Act::Reverse { payment: back.id }).await.unwrap();
    let bill = town.bill(me, "8050001").await;
    let (sold, paid) = town.order(me, "k1", false).await;
    assert!(matches!(paid, OrderPayment::Paid { .. }), "{paid:?}");
    let (_, held) = town.order(me, "k2", true).await;
    assert!(matches!(held, OrderPayment::Held { .. }), "{held:?}");
    let number = town.deposit(agent, buyer).await;
    town.payments.say_charge(Side::Buyer, buyer, &number, Input::Claim).await.unwrap();
    let certificate = town.payments.charge_details(buyer, &number).await.unwrap().unwrap().1;
    let (id, pin) = (town.id(), Secret::from(PIN));
    let done = town.payments.confirm_charge(id, &selling(agent), &number, &certificate, pin).await.unwrap();
    assert!(matches!(done, Charged::Done(_)), "{done:?}");
    town.deposit(agent, buyer).await;
    // The afternoon: staff's work.
    let payout = town.moved(Movement::Payout, 5_000, Whose::Account(merchant)).await;
    let out = town.moved(Movement::CashOut, 2_000, Whose::Account(me)).await;
    town.staff(Act::Refund { payment: bill.id, amount_minor: 1_000 }).await.unwrap();
    // What has rules of its own is not given back past them.
    let said = town.staff(Act::Refund { payment: sold, amount_minor: 1_000 }).await;
    assert_eq!(said, Err(Refused::Rule(Refusal::OwnRules("order".to_owned()))));
    let said = town.staff(Act::Reverse { payment: sold }).await;
    assert_eq!(said, Err(Refused::Rule(Refusal::OwnRules("order".to_owned()))));
    let commission = town.moved(Movement::Commission, 100, Whose::Connector("sandbox")).await;
    let fees = town.moved(Movement::Fees, 100, Whose::House).await;
    let tax = town.moved(Movement::Tax, 5, Whose::House).await;
    let loss = town.moved(Movement::Loss, 1_000, Whose::House).await;

    let people = [("me", me), ("buyer", buyer), ("agent", agent), ("merchant", merchant)];
    assert_eq!(town.balances(&people).await, by_hand());

    // The evening: the day's own table, by product.
    let day = town.payments.day(DAY).await.unwrap();
    let sum = |product: &str, connector: &str| day.sums[&(product.to_owned(), connector.to_owned())];
    let recharge = sum("recharge", "sandbox");
    let figures = [recharge.amount_minor, recharge.cost_minor, recharge.commission_minor, recharge.fee_minor];
    assert_eq!((figures, recharge.tax_minor), ([5_000, 4_850, 150, 100], 16));
    assert_eq!((recharge.delivered, recharge.refused, recharge.reversed), (1, 1, 1));
    let bills = sum("bill", biller::CONNECTOR);
    let figures = [bills.amount_minor, bills.cost_minor, bills.commission_minor, bills.fee_minor];
    assert_eq!((figures, bills.tax_minor), ([8_050, 8_050, 0, 43], 7));
    assert_eq!((sum("order", "").delivered, sum("order", "").amount_minor), (2, 20_002));
    assert_eq!((sum("deposit", "").delivered, sum("deposit", "").fee_minor), (2, 100));

    // The bank's statement of the day has every movement, and one that nobody knows.
    let moved = [
        (cash, 50_000),
        (sale, 98_000),
        (prepaid, 100_000),
        (payout, 5_000),
        (out, 2_000),
        (commission, 100),
        (fees, 100),
        (tax, 5),
        (loss, 1_000),
    ];
    let line = |number: i64, reference: String, amount_minor: i64| Line {
        number,
        our_reference: Some(reference),
        carrier_reference: None,
        phone: None,
        amount_minor,
        at: None,
        status: Status::Delivered,
    };
    let mut lines: Vec<Line> =
        (1_i64..).zip(moved).map(|(number, (id, minor))| line(number, id.text(), minor)).collect();
    let compared = Compared {
        id: Id([8; 16]),
        connector: BANK,
        lines: &lines.clone(),
        unreadable: &[],
        covers: (MORNING.0 - 1, MORNING.0 + 3_600_000_000),
        costs: false,
        drift_us: 0,
    };
    let agreed = town.payments.compare_statement(&compared).await.unwrap();
    assert_eq!((agreed.counts["matched"], agreed.open()), (9, 0), "{:?}", agreed.findings);
    lines.push(line(10, "a stranger".to_owned(), 77));
    let more = Compared { lines: &lines, ..compared };
    assert_eq!(town.payments.compare_statement(&more).await.unwrap().counts["theirs_only"], 1);

    // Midnight: the close makes the trust account equal to what is owed.
    town.clock.advance(Duration::from_secs(15 * 3_600));
    let owed =
        ["me", "buyer", "agent", "merchant", "intermediary"].map(|name| by_hand()[name]).iter().sum::<i64>();
    let closing = Closing { who: "ana".to_owned(), ..Closing::default() };
    let row = town.payments.close_day(DAY, &closing).await.unwrap().unwrap();
    assert_eq!(row.swept_minor, owed + by_hand()["trust"]);
    assert_eq!(town.balances(&people).await["trust"], -owed);

    // My statement opens with nothing and closes with my balance.
    let book = town.payments.passbook(me, 0, i64::MAX).await.unwrap().unwrap();
    let closing = by_hand()["me"];
    assert_eq!((book.opening_minor, book.closing_minor), (0, closing));
    assert_eq!(book.credits_minor - book.debits_minor, closing);
    assert_eq!(book.lines.iter().filter(|line| line.back).count(), 2, "the reversal and the goodwill");
    let whats: Vec<&str> = book.lines.iter().map(|line| line.what.as_str()).collect();
    let wanted =
        ["transfer", "recharge", "recharge", "recharge", "bill", "order", "order", "transfer", "bill"];
    assert_eq!(whats, wanted);
    let empty = town.payments.passbook(me, MORNING.0 + 1, i64::MAX).await.unwrap().unwrap();
    assert_eq!((empty.opening_minor, empty.closing_minor, empty.lines.len()), (closing, closing, 0));
    let before = town.payments.passbook(me, 0, MORNING.0).await.unwrap().unwrap();
    assert_eq!((before.opening_minor, before.closing_minor, before.lines.len()), (0, 0, 0));
    town.close().await;
}
