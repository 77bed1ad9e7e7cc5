//! Kills a process with SIGKILL at every step of a payment from a wallet, of an order's and of its return, and has the next one
//! bring it to its end. The process that is killed is this test binary itself, started again.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayRequest, Pin};
use keytone::payment::order::{Input, State as Order};
use keytone::payment::row::State;
use keytone::payment::run::PayOrder;
use keytone::payment::run::crash::{CRASH_VARIABLE, PROVIDER_POINTS};
use keytone::payment::saga::Stage;
use keytone::secret::Secret;
use keytone::store::Store;
use tokio_util::sync::CancellationToken;

use crate::providers::orders::{asked, merchant, new_order, place, state};
use crate::providers::town::{Town, WALLET, outsiders, settings, start};
use crate::support::market::{PIN, phone, provider};

/// What it does, database, wallet and carrier, and then what it is done with, separated by spaces.
const ROLE: &str = "KEYTONE_TEST_WALLET_PAYMENT";
const SIGKILL: i32 = 9;
/// Those of one that it refuses, from its answer on.
const REFUSED: &[&str] = &["outcome_after", "provider_before", "provider_sent", "provider_after"];

/// The points of an order's payment that it passes.
const ORDER_PAID: &[&str] = &[
    "authorise_after",
    "reserve_before",
    "reserve_after",
    "order_claim_before",
    "order_claim_after",
    "provider_before",
    "provider_sent",
    "provider_after",
];
/// Those of its return.
const ORDER_BACK: &[&str] =
    &["order_step_before", "order_step_after", "provider_before", "provider_sent", "provider_after"];

/// Not a test of its own: the entry of the processes that are killed. In an ordinary run it has no role.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(play(&role.split(' ').collect::<Vec<_>>()));
    // The point was not reached.
    std::process::exit(3);
}

async fn play(role: &[&str]) {
    let [part, database, wallet, carrier, of @ ..] = role else { panic!("{role:?}") };
    let clock = Clock::machine();
    let store = Store::open(database).await.unwrap();
    let connectors = outsiders(wallet, carrier, &clock);
    let (payments, ..) = start(&store, &clock, &settings(), &connectors).await;
    match (*part, of) {
        ("pay", [id, account, caller, target]) => {
            let request = PayRequest {
                id: Id::parse(id).unwrap(),
                account: Id::parse(account).unwrap(),
                caller: Some(phone(caller)),
                channel: Channel::Voice,
                phone: phone(target),
                amount_minor: 5_000,
                pin: Pin::Typed(Secret::from(PIN)),
                repeat: false,
            };
            payments.pay(request).await.unwrap();
        }
        ("order", [id, account, caller, number, amount]) => {
            let asked = PayOrder {
                id: Id::parse(id).unwrap(),
                account: Id::parse(account).unwrap(),
                caller: Some(phone(caller)),
                channel: Channel::Voice,
                number: (*number).to_owned(),
                amount_minor: amount.parse().unwrap(),
                pin: Secret::from(PIN),
            };
            payments.pay_order(asked).await.unwrap();
        }
        ("back", [order, amount]) => {
            tokio::spawn(payments.clone().run(CancellationToken::new()));
            let input = Input::Refund { amount_minor: amount.parse().unwrap() };
            payments.step_order(Id::parse(order).unwrap(), &input).await.unwrap().unwrap();
            // Until the reservation, too, has come to the point.
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        _ => panic!("{role:?}"),
    }
    payments.drain(Duration::from_secs(5)).await;
}

/// Plays a role until it is killed at `point`.
async fn killed(role: String, point: &str) {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["providers::kill::child", "--exact", "--nocapture"]);
    let ended = command.env(ROLE, role).env(CRASH_VARIABLE, point).kill_on_drop(true).output();
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.signal(), Some(SIGKILL), "{point} was not reached: {said}");
}

pub(super) async fn at_every_point(mut town: Town) {
    let cases = PROVIDER_POINTS
        .iter()
        .map(|point| (*point, "001"))
        .chain(REFUSED.iter().map(|point| (*point, "902")));
    let mut delivered = 0;
    for (point, carrier) in cases {
        let customer = town.account("001").await;
        let request = town.request(&customer, carrier);
        let id = request.id;
        let of = [
            id.text(),
            customer.id.text(),
            customer.number.as_str().to_owned(),
            request.phone.as_str().to_owned(),
        ];
        let role = town.role("pay", &of);
        town = town.restart_after(killed(role, point)).await;
        let state = town.judge(id, point).await;
        delivered += u32::from(state == State::Delivered);
        if carrier == "902" {
            assert_eq!(state, State::Refused, "{point}");
        }
    }
    assert!(delivered >= 6, "what the carrier had delivered stayed so: {delivered}");
    town.close().await;
}

/// Whatever is left of an order's payment: it is paid with money that was taken, or payable and nothing is taken.
pub(super) async fn at_every_point_of_an_order(mut town: Town) {
    let merchant = merchant(&town).await;
    let mut paid = 0;
    for point in ORDER_PAID {
        let customer = town.account("001").await;
        let order = place(&town, &merchant, new_order(&customer)).await;
        let asked = asked(&town, &customer, &order);
        let (id, number) = (asked.id, customer.number.as_str().to_owned());
        let of =
            [id.text(), customer.id.text(), number, order.number.clone(), order.amount_minor.to_string()];
        let role = town.role("order", &of);
        town = town.restart_after(killed(role, point)).await;
        let ended = town.judge(id, point).await;
        let wanted = if ended == State::Delivered { Order::Paid } else { Order::Created };
        assert_eq!(state(&town, order.id).await, wanted, "{point}");
        if ended == State::Delivered {
            paid += 1;
        } else {
            // And then once more, to its end.
            let again = PayOrder { id: town.id(), ..asked };
            let id = again.id;
            town.payments.pay_order(again).await.unwrap();
            assert_eq!(town.judge(id, point).await, State::Delivered);
        }
    }
    assert!(paid >= 4, "what was paid stayed so: {paid}");
    let frozen = town.house(House::Intermediary).await;
    for point in ORDER_BACK {
        let customer = town.account("001").await;
        let order = place(&town, &merchant, new_order(&customer)).await;
        let asked = asked(&town, &customer, &order);
        let id = asked.id;
        town.payments.pay_order(asked).await.unwrap();
        town.until(id, Stage::Captured).await;
        let role = town.role("back", &[order.id.text(), order.amount_minor.to_string()]);
        town = town.restart_after(killed(role, point)).await;
        if *point == "order_step_before" {
            // Nothing was written: it is asked for again.
            assert_eq!(state(&town, order.id).await, Order::Paid);
            let input = Input::Refund { amount_minor: order.amount_minor };
            town.payments.step_order(order.id, &input).await.unwrap().unwrap();
        }
        town.until(id, Stage::Refunded).await;
        assert_eq!(town.held(id).await.unwrap().state, "refunded", "{point}");
        assert_eq!(state(&town, order.id).await, Order::Returned, "{point}");
    }
    assert_eq!(town.house(House::Intermediary).await, frozen);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -frozen);
    town.close().await;
}
