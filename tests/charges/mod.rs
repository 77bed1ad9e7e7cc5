//! Charging through the intermediary account, on both databases: every way that a charge goes, what is done twice, what is
//! done at once, and where the money is at each step.

mod commands;
mod conversations;
mod http;
mod store;
mod trust;

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome};
use keytone::payment::charge::{Input, Side, Stage};
use keytone::payment::row::charge::ChargeRow;
use keytone::payment::run::agents::NewAgent;
use keytone::payment::run::charges::{Asker, ChargeRequest, Charged};
use keytone::secret::Secret;

use crate::charges::conversations::{
    a_charge_by_ussd_call_and_text, a_late_agent_and_a_dispute_by_two_persons,
    a_process_that_dies_with_money_moving, what_each_side_may_say_by_text,
};
use crate::charges::http::{keys_are_of_accounts, the_api_takes_a_charge_through};
use crate::charges::store::{
    a_store_changed_by_many_at_once_keeps_every_change, an_agent_keeps_the_store_by_phone,
    an_agent_keeps_the_store_over_http,
};
use crate::charges::trust::{
    a_changed_sim_neither_asks_nor_deposits_nor_confirms, a_code_is_asked_for_in_every_conversation,
    a_key_that_is_believed_little_locks_nothing, over_http_a_code_goes_to_the_accounts_number,
    the_policy_judges_each_step,
};
use crate::support::market::{Database, Market, PIN, Plans, phone};

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::charges::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::charges::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_charge_goes_through_and_everyone_is_told,
    time_ends_what_nobody_does,
    disputes_are_resolved_against_oneself_or_by_two,
    a_certificate_is_tried_a_few_times,
    what_is_done_twice_or_at_once_is_done_once,
    limits_and_suspensions_stop_charges,
    a_stop_between_steps_loses_nothing,
    a_charge_by_ussd_call_and_text,
    what_each_side_may_say_by_text,
    a_late_agent_and_a_dispute_by_two_persons,
    a_process_that_dies_with_money_moving,
    the_api_takes_a_charge_through,
    keys_are_of_accounts,
    an_agent_keeps_the_store_by_phone,
    an_agent_keeps_the_store_over_http,
    a_store_changed_by_many_at_once_keeps_every_change,
    the_policy_judges_each_step,
    a_code_is_asked_for_in_every_conversation,
    a_changed_sim_neither_asks_nor_deposits_nor_confirms,
    over_http_a_code_goes_to_the_accounts_number,
    a_key_that_is_believed_little_locks_nothing,
);

const BUYER: &str = "+8613800000001";
const AGENT: &str = "+8613800000002";
const START: Timestamp = Timestamp(1_800_000_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

struct Store {
    market: Market,
    buyer: Id,
    agent: Id,
}

/// A market whose clock stands still and whose sweeper is called by hand, with an agent who has 1,000.00.
async fn open(database: Database, change: impl FnOnce(&mut Plans)) -> Store {
    let market = Market::open_at(Clock::manual(START), database, |plans| {
        plans.settings.poll_every = HOUR;
        change(plans);
    })
    .await;
    let buyer = market.account(BUYER, 0).await;
    let agent = market.account(AGENT, 100_000).await;
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
    market.payments.add_agent(new).await.unwrap();
    Store { market, buyer, agent }
}

fn row(charged: Charged) -> ChargeRow {
    match charged {
        Charged::Done(row) => *row,
        other => panic!("{other:?}"),
    }
}

impl Store {
    fn ask(&self, id: Id) -> ChargeRequest {
        ChargeRequest {
            id,
            agent: self.agent,
            buyer: self.buyer,
            phone: phone(BUYER),
            channel: Channel::Ussd,
            language: "en".to_owned(),
            amount_minor: 10_000,
            price_minor: 9_800,
        }
    }

    /// The agent, on the agent's own telephone.
    fn selling(&self, channel: Channel) -> Asker {
        Asker { account: self.agent, caller: Some(phone(AGENT)), channel }
    }

    async fn request(&self) -> ChargeRow {
        row(self.market.payments.request_charge(self.ask(self.market.id())).await.unwrap())
    }

    async fn deposit(&self, number: &str) -> Charged {
        let (id, pin) = (self.market.id(), Secret::from(PIN));
        self.market.payments.deposit_charge(id, &self.selling(Channel::Ussd), number, pin).await.unwrap()
    }

    async fn confirm(&self, number: &str, certificate: &str) -> Charged {
        let (id, pin) = (self.market.id(), Secret::from(PIN));
        let agent = self.selling(Channel::Ussd);
        self.market.payments.confirm_charge(id, &agent, number, certificate, pin).await.unwrap()
    }

    async fn say(&self, side: Side, number: &str, input: Input) -> Charged {
        let account = if side == Side::Buyer { self.buyer } else { self.agent };
        self.market.payments.say_charge(side, account, number, input).await.unwrap()
    }

    async fn certificate(&self, number: &str) -> String {
        self.market.payments.charge_details(self.buyer, number).await.unwrap().expect("it is deposited").1
    }

    /// To a charge that the buyer says is paid.
    async fn claimed(&self) -> ChargeRow {
        let charge = self.request().await;
        row(self.deposit(&charge.number).await);
        row(self.say(Side::Buyer, &charge.number, Input::Claim).await)
    }

    async fn later(&self, by: Duration) -> usize {
        self.market.clock.advance(by);
        self.market.payments.charges_due().await.unwrap()
    }

    async fn stage(&self, id: Id) -> Stage {
        Stage::from_number(self.market.payments.charge(id).await.unwrap().unwrap().state).unwrap()
    }

    /// The agent's, the intermediary and the buyer's balance; nothing is held.
    async fn money(&self) -> [i64; 3] {
        let (agent, held) = self.market.money(self.agent).await;
        assert_eq!(held, 0);
        [agent, self.market.house(House::Intermediary).await, self.market.money(self.buyer).await.0]
    }

    /// The texts that are queued since this was last asked: to whom, and what.
    async fn told(&self) -> Vec<(String, String)> {
        let queued = self.market.payments.outbox_claim(HOUR, 100).await.unwrap();
        let mut told: Vec<_> = queued.into_iter().map(|row| (row.recipient, row.body)).collect();
        told.sort();
        told
    }
}

async fn a_charge_goes_through_and_everyone_is_told(database: Database) {
    let store = open(database, |_| {}).await;
    let payments = &store.market.payments;
    let offers = payments.offers(store.buyer, 10_000).await.unwrap();
    assert_eq!((offers.len(), offers[0].agent, offers[0].price_minor), (1, store.agent, 9_800));
    assert!(payments.offers(store.agent, 10_000).await.unwrap().is_empty(), "nobody buys from oneself");
    assert!(payments.offers(store.buyer, 999).await.unwrap().is_empty());
    let charge = store.request().await;
    let number = charge.number.as_str();
    assert_eq!(store.money().await, [100_000, 0, 0]);
    assert!(payments.charge_details(store.buyer, number).await.unwrap().is_none(), "not before the deposit");
    let told = store.told().await;
    assert_eq!(told.len(), 2);
    assert!(told[1].0 == AGENT && told[1].1.contains("60") && told[1].1.contains(number), "{told:?}");
    assert!(told.iter().all(|(_, body)| !body.contains("ICBC")), "{told:?}");

    let deposited = row(store.deposit(number).await);
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    assert_eq!(store.market.house(House::Fee).await, 50);
    let told = store.told().await;
    assert!(told[0].0 == BUYER && told[0].1.contains("ICBC 6222 0001"), "{told:?}");
    assert!(told[1].0 == AGENT && !told[1].1.contains("ICBC"), "{told:?}");
    let certificate = store.certificate(number).await;
    assert!(keytone::payment::reference::is_valid(&certificate));
    assert!(payments.charge_details(store.agent, number).await.unwrap().is_none(), "it is the buyer's");
    let sealed = deposited.certificate.unwrap();
    assert!(!sealed.windows(certificate.len()).any(|w| w == certificate.as_bytes()), "not in clear");

    row(store.say(Side::Buyer, number, Input::Claim).await);
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    assert_eq!(store.told().await.len(), 2);
    assert_eq!(payments.open_charges(Side::Agent, store.agent).await.unwrap().len(), 1);
    let done = row(store.confirm(number, &certificate).await);
    assert_eq!(Stage::from_number(done.state), Some(Stage::Completed));
    assert_eq!(store.money().await, [89_950, 0, 10_000]);
    assert_eq!(store.told().await.len(), 2);
    assert!(payments.open_charges(Side::Buyer, store.buyer).await.unwrap().is_empty());
    store.market.close().await;
}

async fn time_ends_what_nobody_does(database: Database) {
    let store = open(database, |_| {}).await;
    let lapsed = store.request().await;
    assert_eq!(store.later(HOUR - Duration::from_micros(1)).await, 0);
    assert_eq!(store.later(Duration::from_micros(1)).await, 1);
    assert_eq!(store.stage(lapsed.id).await, Stage::Lapsed);
    assert_eq!(store.deposit(&lapsed.number).await, Charged::NotNow(Stage::Lapsed));

    let returned = store.request().await;
    row(store.deposit(&returned.number).await);
    assert_eq!(store.later(HOUR * 3 - Duration::from_micros(1)).await, 0);
    assert_eq!(store.later(Duration::from_micros(1)).await, 1);
    assert_eq!(store.stage(returned.id).await, Stage::Returned);
    assert_eq!(store.money().await, [99_950, 0, 0]);

    let disputed = store.claimed().await;
    assert_eq!(store.later(HOUR).await, 1);
    assert_eq!(store.stage(disputed.id).await, Stage::Disputed);
    for _ in 0..10 {
        assert_eq!(store.later(HOUR * 24).await, 1, "only the alarm");
        assert_eq!(store.stage(disputed.id).await, Stage::Disputed);
        assert_eq!(store.money().await, [89_900, 10_000, 0], "it stays put");
    }
    store.market.close().await;
}

async fn disputes_are_resolved_against_oneself_or_by_two(database: Database) {
    let store = open(database, |_| {}).await;
    let payments = &store.market.payments;
    let late = store.claimed().await;
    store.later(HOUR).await;
    let certificate = store.certificate(&late.number).await;
    row(store.confirm(&late.number, &certificate[5..]).await);
    assert_eq!(store.stage(late.id).await, Stage::ToBuyer);
    assert_eq!(store.money().await, [89_950, 0, 10_000]);

    let withdrawn = store.claimed().await;
    store.later(HOUR).await;
    row(store.say(Side::Buyer, &withdrawn.number, Input::Withdraw).await);
    assert_eq!(store.stage(withdrawn.id).await, Stage::ToAgent);
    assert_eq!(store.money().await, [89_900, 0, 10_000]);

    let judged = store.claimed().await;
    let number = judged.number.as_str();
    let early = payments.judge_charge(number, "ann", Side::Agent, "bank statement").await.unwrap();
    assert_eq!(early, Charged::NotNow(Stage::Claimed));
    store.later(HOUR).await;
    row(payments.judge_charge(number, "ann", Side::Agent, "bank statement").await.unwrap());
    let same = payments.judge_charge(number, "ann", Side::Agent, "bank statement").await.unwrap();
    assert!(matches!(same, Charged::NotJudged(_)), "{same:?}");
    assert_eq!(store.stage(judged.id).await, Stage::Disputed);
    row(payments.judge_charge(number, "bob", Side::Agent, "called the bank").await.unwrap());
    assert_eq!(store.stage(judged.id).await, Stage::ToAgent);
    assert_eq!(store.money().await, [89_850, 0, 10_000]);

    let cancelled = store.request().await;
    row(store.deposit(&cancelled.number).await);
    let by_agent = store.say(Side::Agent, &cancelled.number, Input::Cancel(Side::Agent)).await;
    assert_eq!(by_agent, Charged::NotNow(Stage::Deposited), "only the buyer now");
    row(store.say(Side::Buyer, &cancelled.number, Input::Cancel(Side::Buyer)).await);
    assert_eq!(store.money().await, [89_800, 0, 10_000]);
    let declined = store.request().await;
    row(store.say(Side::Agent, &declined.number, Input::Decline).await);
    let foreign = store.say(Side::Buyer, &declined.number, Input::Decline).await;
    assert_eq!(Stage::from_number(row(foreign).state), Some(Stage::Declined));
    store.market.close().await;
}

async fn a_certificate_is_tried_a_few_times(database: Database) {
    let store = open(database, |_| {}).await;
    let charge = store.claimed().await;
    let right = store.certificate(&charge.number).await;
    for (left, wrong) in [(4, "123"), (3, ""), (2, "00000000000"), (1, &right[..8]), (0, &right[6..])] {
        let told = store.confirm(&charge.number, wrong).await;
        assert_eq!(told, Charged::WrongCertificate { left }, "{wrong}");
    }
    assert_eq!(store.confirm(&charge.number, &right).await, Charged::CertificateLocked);
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    let pin = Secret::from("000111");
    let other = store.claimed().await;
    let id = store.market.id();
    let agent = store.selling(Channel::Ussd);
    let told = store.market.payments.confirm_charge(id, &agent, &other.number, &right, pin).await.unwrap();
    assert_eq!(told, Charged::Unpaid(PayOutcome::WrongPin { left: 4 }));
    store.market.close().await;
}

async fn what_is_done_twice_or_at_once_is_done_once(database: Database) {
    let store = open(database, |_| {}).await;
    let payments = &store.market.payments;
    let id = store.market.id();
    let (one, two) =
        tokio::join!(payments.request_charge(store.ask(id)), payments.request_charge(store.ask(id)));
    let charge = row(one.unwrap());
    assert_eq!(charge, row(two.unwrap()));
    let number = charge.number.as_str();
    let id = store.market.id();
    let agent = store.selling(Channel::Voice);
    let deposit = |id| payments.deposit_charge(id, &agent, number, Secret::from(PIN));
    let (one, two) = tokio::join!(deposit(id), deposit(id));
    assert_eq!(row(one.unwrap()).deposit, Some(id));
    assert_eq!(row(two.unwrap()).deposit, Some(id));
    assert_eq!(deposit(store.market.id()).await.unwrap(), Charged::NotNow(Stage::Deposited));
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    let first = row(store.say(Side::Buyer, number, Input::Claim).await);
    store.market.clock.advance(Duration::from_secs(60));
    let again = row(store.say(Side::Buyer, number, Input::Claim).await);
    assert_eq!(first.due_at, again.due_at, "saying it again gains no time");
    let certificate = store.certificate(number).await;
    let id = store.market.id();
    let confirm = |id| payments.confirm_charge(id, &agent, number, &certificate, Secret::from(PIN));
    let (one, other, withdrawn) = tokio::join!(
        confirm(id),
        confirm(store.market.id()),
        payments.say_charge(Side::Buyer, store.buyer, number, Input::Withdraw)
    );
    let done = [one.unwrap(), other.unwrap(), withdrawn.unwrap()];
    assert_eq!(done.iter().filter(|d| matches!(d, Charged::Done(_))).count(), 1, "{done:?}");
    let settled = store.money().await;
    assert!([[89_950, 0, 10_000], [99_950, 0, 0]].contains(&settled), "{settled:?}");
    if matches!(done[0], Charged::Done(_)) {
        row(confirm(id).await.unwrap());
    }
    store.market.close().await;
}

async fn limits_and_suspensions_stop_charges(database: Database) {
    let store = open(database, |plans| {
        plans.settings.charging.day_limit_minor = Some(15_000);
        plans.settings.charging.charge_limit_minor = Some(10_000);
    })
    .await;
    let payments = &store.market.payments;
    let over = ChargeRequest { amount_minor: 10_001, price_minor: 9_801, ..store.ask(store.market.id()) };
    assert_eq!(payments.request_charge(over).await.unwrap(), Charged::Limit { limit_minor: 10_000 });
    let price = ChargeRequest { price_minor: 9_799, ..store.ask(store.market.id()) };
    assert_eq!(payments.request_charge(price).await.unwrap(), Charged::NotOffered);
    let (first, second) = (store.request().await, store.request().await);
    payments.suspend_agent(store.agent, true).await.unwrap();
    let told = store.deposit(&first.number).await;
    assert_eq!(told, Charged::Unpaid(PayOutcome::Suspended), "a suspended agent deposits nothing");
    payments.suspend_agent(store.agent, false).await.unwrap();
    row(store.deposit(&first.number).await);
    let told = store.deposit(&second.number).await;
    assert!(matches!(told, Charged::Unpaid(PayOutcome::DayLimit { left_minor: 5_000, .. })), "{told:?}");
    payments.suspend_agent(store.agent, true).await.unwrap();
    assert!(payments.offers(store.buyer, 10_000).await.unwrap().is_empty());
    assert_eq!(payments.request_charge(store.ask(store.market.id())).await.unwrap(), Charged::NotOffered);
    payments.suspend_agent(store.agent, false).await.unwrap();
    for _ in 0..4 {
        store.request().await;
    }
    assert_eq!(payments.request_charge(store.ask(store.market.id())).await.unwrap(), Charged::TooMany);
    store.market.close().await;
}

/// A second node that has only the database goes on with each step, and what was under way is not done again.
async fn a_stop_between_steps_loses_nothing(database: Database) {
    let store = open(database, |_| {}).await;
    let charge = store.request().await;
    let number = charge.number.as_str();
    let (id, agent) = (store.market.id(), store.selling(Channel::Sms));
    let (node, stop) = store.market.second_node().await;
    row(node.deposit_charge(id, &agent, number, Secret::from(PIN)).await.unwrap());
    stop.cancel();
    let (node, stop) = store.market.second_node().await;
    row(node.deposit_charge(id, &agent, number, Secret::from(PIN)).await.unwrap());
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    row(node.say_charge(Side::Buyer, store.buyer, number, Input::Claim).await.unwrap());
    let certificate = store.certificate(number).await;
    let id = store.market.id();
    row(node.confirm_charge(id, &agent, number, &certificate, Secret::from(PIN)).await.unwrap());
    stop.cancel();
    let pin = Secret::from(PIN);
    row(store.market.payments.confirm_charge(id, &agent, number, &certificate, pin).await.unwrap());
    assert_eq!(store.money().await, [89_950, 0, 10_000]);
    store.market.close().await;
}
