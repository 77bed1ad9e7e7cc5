//! PostgreSQL's disk is full, under the whole daemon: callers hear that there is trouble, the daemon lives, what was told is so,
//! and when there is room again everything goes on by itself.

use std::fs;
use std::time::Duration;

use keytone::app::{Core, Money};
use keytone::clock::Clock;
use keytone::config::Config;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayRequest, Pin};
use keytone::payment::row::State;
use keytone::payment::run::OpenAccount;
use keytone::secret::Secret;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::support::daemon::{House, Plan};
use crate::support::disk::Disk;
use crate::support::market::{PIN, phone, provider};
use crate::support::sipp::Phone;
use crate::support::{checker, now};

const OWN: &str = "+8613800000001";
const TELLER: &str = "+8613800000002";
/// The key that the daemon and the carrier of a house sign with.
const KEY: &str = "a key of this test house";
/// Payments that must hear that nothing was written, before the disk counts as full.
const REFUSALS: usize = 3;
/// Far more payments than the free places of all pages take.
const PAYMENTS_MAX: u32 = 3_000;
/// Far more than the server's log takes before it needs a new file.
const MEGABYTES_MAX: usize = 200;
/// Liveness: so long after there is room again everything is settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// Another node on the daemon's database: it pays one recharge after the other, so that every page is soon full.
struct Teller {
    core: Core,
    account: Id,
    count: u32,
    /// What was told of which payment; nothing when it failed.
    told: Vec<(Id, Option<&'static str>)>,
}

impl Teller {
    async fn open(house: &House) -> Self {
        provider();
        // The daemon has the key in its environment; this process takes it from a file.
        let key = house.path("sandbox.key");
        fs::write(&key, KEY).unwrap();
        let connector = fs::read_to_string(house.path("sandbox.toml")).unwrap();
        let ours = connector.replace("{ env = \"KEYTONE_SANDBOX_KEY\" }", &format!("{{ file = {key:?} }}"));
        fs::write(house.path("sandbox.toml"), &ours).unwrap();
        let money = Money::read(&Config::load(&house.path("keytone.toml")).unwrap()).unwrap();
        fs::write(house.path("sandbox.toml"), connector).unwrap();
        let core = Core::open(money, &Clock::machine()).await.unwrap();
        let open = OpenAccount { msisdn: Some(phone(TELLER)), pin: Some(Secret::from(PIN)) };
        let account = core.payments.open_account(open).await.unwrap();
        core.payments.credit(Id::new(1), account, 100_000_000).await.unwrap();
        Self { core, account, count: 0, told: Vec::new() }
    }

    async fn pay(&mut self) {
        self.count += 1;
        let id = Id::new(Clock::machine().now().0);
        let request = PayRequest {
            id,
            account: self.account,
            caller: Some(phone(TELLER)),
            channel: Channel::Voice,
            phone: phone(&format!("+861382{:04}001", self.count)),
            amount_minor: 5_000,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        };
        let told = match self.core.payments.pay(request).await {
            Ok(outcome) => Some(outcome.name()),
            Err(why) => {
                println!("after {} payments: {why}", self.count);
                None
            }
        };
        self.told.push((id, told));
    }

    fn failed(&self) -> usize {
        self.told.iter().filter(|(_, told)| told.is_none()).count()
    }

    async fn until_full(&mut self) {
        while self.failed() < REFUSALS {
            assert!(self.count < PAYMENTS_MAX, "the disk is never full");
            self.pay().await;
        }
    }

    /// Waits until nothing is open; then what was told must be so, and the books and the carrier must agree.
    async fn judge(&self, house: &House) {
        let open: Vec<State> = State::ALL.iter().copied().filter(|s| s.is_open()).collect();
        let deadline = now() + SETTLED_WITHIN;
        while !self.core.store.open_payments(&open, 1).await.unwrap().is_empty() {
            assert!(now() < deadline, "not settled: {:?}", self.core.store.open_payments(&open, 10).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let faults = checker::faults(&self.core.store, &house.path("carrier.book"), true).await;
        assert!(faults.is_empty(), "{faults:#?}");
        for (id, told) in &self.told {
            let payment = self.core.store.payment(*id).await.unwrap();
            let state = payment.map(|payment| payment.state);
            let agrees = match told {
                Some("delivered") => state == Some(State::Delivered),
                Some("refused") => state == Some(State::Refused),
                _ => true,
            };
            assert!(agrees, "{id} was told {told:?} and is {state:?}");
        }
    }
}

#[test]
fn a_full_disk_of_postgres_is_trouble_and_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let disk = Disk::start("full");
    let database = runtime.block_on(disk.cluster.database());
    let plan = Plan { database, day_limit: "1000000".to_owned(), answer_within_s: 2, ..Plan::with(OWN, PIN) };
    let house = plan.open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#");
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    let mut teller = runtime.block_on(Teller::open(&house));
    disk.fill(true);
    runtime.block_on(teller.until_full());
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("100#");
    let call = call.press(&format!("{PIN}#")).they_end();
    call.assert_said("trouble");
    call.assert_not_said("recharged");
    assert!(house.is_alive(), "{}", house.log_tail());
    disk.fill(false);
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("100#");
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    runtime.block_on(teller.pay());
    assert_eq!(teller.told.last().unwrap().1, Some("delivered"));
    runtime.block_on(teller.judge(&house));
    assert_eq!(house.account(OWN)["balance"], "4850.00");
    house.verify();
    runtime.block_on(teller.core.close());
}

/// Writes log records until the server has no room for the next one, and dies of it.
async fn fill_the_log(url: &str) {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut conn = options.connect().await.unwrap();
    for _ in 0..MEGABYTES_MAX {
        let megabyte = "select pg_logical_emit_message(false, 'full', repeat('x', 1000000))";
        if let Err(why) = conn.execute(megabyte).await {
            println!("the server: {why}");
            return;
        }
    }
    panic!("the log is never full");
}

async fn until_it_answers(url: &str) {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let deadline = now() + SETTLED_WITHIN;
    loop {
        match options.connect().await {
            Ok(conn) => return conn.close().await.unwrap(),
            Err(why) => assert!(now() < deadline, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_server_that_died_of_a_full_disk_is_waited_for() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let disk = Disk::start("full-log");
    let database = runtime.block_on(disk.cluster.database());
    let house = Plan { database: database.clone(), ..Plan::with(OWN, PIN) }.open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#");
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    disk.fill(true);
    runtime.block_on(fill_the_log(&database));
    Phone::of(&house, OWN).they_end().assert_said("trouble");
    assert!(house.is_alive(), "{}", house.log_tail());
    disk.fill(false);
    runtime.block_on(until_it_answers(&database));
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("100#");
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    house.assert_paid(&[("delivered", OWN, "50.00"), ("delivered", OWN, "100.00")]);
    assert_eq!(house.account(OWN)["balance"], "4850.00");
}
