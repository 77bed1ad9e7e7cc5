//! Merchants' orders that are paid from a wallet: taken when they are paid, frozen in our books, given back through the wallet.

use std::time::Duration;

use keytone::connector::sandbox::provider::FAULTS;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome};
use keytone::payment::order::{FREEZE_MAX_MICROS, Input, OnTimeout, State as Order};
use keytone::payment::row::State;
use keytone::payment::row::order::{MerchantRow, OrderRow};
use keytone::payment::run::{NewMerchant, NewOrder, OrderPayment, PayOrder};
use keytone::payment::saga::Stage;
use keytone::payment::share::Fee;
use keytone::secret::Secret;

use crate::providers::news::{reserved, unhurried};
use crate::providers::town::{Customer, Town, WALLET};
use crate::support::market::{Database, PIN};

/// What every order costs, minor units; the merchant's fee is 1.5 % of it.
const PRICE: i64 = 10_000;
const FEE: i64 = 150;

pub(super) async fn merchant(town: &Town) -> MerchantRow {
    let fee = Fee::new("0.015", 0).unwrap();
    let new = NewMerchant { name: "City Shop".to_owned(), fee, webhook_url: None };
    town.payments.add_merchant(new).await.unwrap().0
}

pub(super) fn new_order(customer: &Customer) -> NewOrder {
    NewOrder {
        customer: customer.number.clone(),
        amount_minor: PRICE,
        description: "a kettle".to_owned(),
        payable_micros: FREEZE_MAX_MICROS,
        frozen: true,
        freeze_micros: FREEZE_MAX_MICROS,
        on_timeout: OnTimeout::Return,
    }
}

pub(super) async fn place(town: &Town, merchant: &MerchantRow, new: NewOrder) -> OrderRow {
    let key = town.id().text();
    town.payments.place_order(merchant, &key, new).await.unwrap().unwrap()
}

pub(super) fn asked(town: &Town, customer: &Customer, order: &OrderRow) -> PayOrder {
    PayOrder {
        id: town.id(),
        account: customer.id,
        caller: Some(customer.number.clone()),
        channel: Channel::Voice,
        number: order.number.clone(),
        amount_minor: order.amount_minor,
        pin: Secret::from(PIN),
    }
}

async fn pay(town: &Town, customer: &Customer, order: &OrderRow) -> (Id, OrderPayment) {
    let asked = asked(town, customer, order);
    (asked.id, town.payments.pay_order(asked).await.unwrap())
}

pub(super) async fn state(town: &Town, order: Id) -> Order {
    Order::from_number(town.payments.any_order(order).await.unwrap().unwrap().state).unwrap()
}

/// The books when nothing of any order is anywhere.
async fn nothing_is_left(town: &Town) {
    for house in [House::Receivable(WALLET), House::Settlement(WALLET), House::Intermediary, House::Fee] {
        assert_eq!(town.house(house).await, 0, "{house:?}");
    }
}

pub(super) async fn an_order_is_taken_frozen_and_released(database: Database) {
    let town = Town::open(database).await;
    let (merchant, customer) = (merchant(&town).await, town.account("001").await);
    let order = place(&town, &merchant, new_order(&customer)).await;
    let wanted = asked(&town, &customer, &order);
    let paid = town.payments.pay_order(wanted.clone()).await.unwrap();
    assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
    assert_eq!(town.payments.pay_order(wanted.clone()).await.unwrap(), paid, "the same id again");
    assert_eq!(town.payments.order_outcome(wanted.id).await.unwrap(), Some(paid));
    assert_eq!(pay(&town, &customer, &order).await.1, OrderPayment::Gone);
    town.until(wanted.id, Stage::Captured).await;
    let held = town.held(wanted.id).await.unwrap();
    assert_eq!((held.state.as_str(), held.amount.as_str()), ("captured", "100.00"));
    assert_eq!(town.all_held().await.len(), 1);
    assert_eq!(town.house(House::Intermediary).await, PRICE, "frozen until it is confirmed");
    assert_eq!(town.money(merchant.id).await, (0, 0));
    let confirmed = PayOrder { id: town.id(), ..asked(&town, &customer, &order) };
    assert_eq!(town.payments.confirm_order(confirmed).await.unwrap(), OrderPayment::Released);
    assert_eq!(town.money(merchant.id).await, (PRICE - FEE, 0));
    // One that is not frozen.
    let at_once = place(&town, &merchant, NewOrder { frozen: false, ..new_order(&customer) }).await;
    let (id, paid) = pay(&town, &customer, &at_once).await;
    assert!(matches!(paid, OrderPayment::Paid { .. }), "{paid:?}");
    town.until(id, Stage::Captured).await;
    assert_eq!(town.money(merchant.id).await, (2 * (PRICE - FEE), 0));
    assert_eq!(town.money(customer.id).await, (0, 0), "none of it ever stands on an account here");
    assert_eq!((town.house(House::Intermediary).await, town.house(House::Fee).await), (0, 2 * FEE));
    assert_eq!(
        (town.house(House::Receivable(WALLET)).await, town.house(House::Settlement(WALLET)).await),
        (0, -2 * PRICE)
    );
    town.close().await;
}

/// Every fault in reserving: the order is paid exactly if the wallet's money is taken, and payable again exactly if not.
pub(super) async fn an_order_is_paid_exactly_if_its_money_is_taken(database: Database) {
    let town = Town::open(database).await;
    let merchant = merchant(&town).await;
    let suffixes =
        FAULTS.iter().map(|(suffix, ..)| *suffix).filter(|s| !["906", "936"].contains(s) && *s < "951");
    let mut cases = Vec::new();
    for suffix in suffixes.chain(["001"]) {
        let customer = town.account(suffix).await;
        let order = place(&town, &merchant, new_order(&customer)).await;
        let wanted = asked(&town, &customer, &order);
        let (id, payments) = (wanted.id, town.payments.clone());
        let task = tokio::spawn(async move { payments.pay_order(wanted).await.unwrap() });
        cases.push((suffix, order, id, task));
    }
    let mut paid = 0;
    for (suffix, order, id, task) in cases {
        let told = task.await.unwrap();
        let context = format!("{suffix}, told {told:?}");
        let ended = town.judge(id, &context).await;
        let stands = state(&town, order.id).await;
        let (wanted, lie) = match ended {
            State::Delivered => (Order::Paid, "refused"),
            _ => (Order::Created, "delivered"),
        };
        assert_eq!(stands, wanted, "{context}");
        let name = match &told {
            OrderPayment::Held { .. } => "delivered",
            OrderPayment::Told(outcome) => outcome.name(),
            other => panic!("{context}: {other:?}"),
        };
        assert_ne!(name, lie, "{context}");
        paid += i64::from(ended == State::Delivered);
    }
    assert!(paid > 10, "{paid}");
    assert_eq!(town.house(House::Intermediary).await, paid * PRICE);
    assert_eq!(town.house(House::Settlement(WALLET)).await, -paid * PRICE);
    assert_eq!(town.house(House::Receivable(WALLET)).await, 0);
    town.close().await;
}

/// By the merchant, by the time limit and by staff; whatever the wallet does wrong meanwhile.
pub(super) async fn a_whole_return_goes_back_through_the_wallet(database: Database) {
    let town = Town::open(database).await;
    let merchant = merchant(&town).await;
    let mut ways = Vec::new();
    for suffix in ["001", "930", "931", "936", "970", "971"] {
        let customer = town.account(suffix).await;
        let order = place(&town, &merchant, new_order(&customer)).await;
        let (id, paid) = pay(&town, &customer, &order).await;
        assert!(matches!(paid, OrderPayment::Held { .. }), "{suffix}: {paid:?}");
        let key = format!("back {suffix}");
        let refund = || town.payments.refund_order(merchant.id, order.id, &key, PRICE);
        let first = refund().await.unwrap().unwrap();
        assert_eq!(refund().await.unwrap().unwrap(), first, "{suffix}: the same key again");
        ways.push((suffix, order, id));
    }
    let customer = town.account("001").await;
    let soon = NewOrder { freeze_micros: 200_000, ..new_order(&customer) };
    let order = place(&town, &merchant, soon).await;
    ways.push(("late", order.clone(), pay(&town, &customer, &order).await.0));
    let order = place(&town, &merchant, new_order(&customer)).await;
    ways.push(("staff", order.clone(), pay(&town, &customer, &order).await.0));
    assert!(town.payments.dispute_order(customer.id, &order.number).await.unwrap());
    let (staff, reason) = (["ana".to_owned(), "ben".to_owned()], "broken".to_owned());
    let input = Input::Resolve { customer_minor: PRICE, staff, reason };
    town.payments.step_order(order.id, &input).await.unwrap().unwrap();
    for (way, order, id) in ways {
        let row = town.until_row(id, |row| !row.open && row.stage != Stage::Captured.number()).await;
        let stage = Stage::from_number(row.stage).unwrap();
        let held = town.held(id).await.unwrap().state;
        let wanted = [(Stage::Refunded, "refunded"), (Stage::Released, "released")];
        assert!(wanted.contains(&(stage, held.as_str())), "{way}: {stage:?} {held}");
        assert_eq!(town.state(id).await, State::Reversed, "{way}");
        let wanted = if way == "staff" { Order::Resolved } else { Order::Returned };
        assert_eq!(state(&town, order.id).await, wanted, "{way}");
    }
    nothing_is_left(&town).await;
    assert_eq!(town.money(merchant.id).await, (0, 0));
    town.close().await;
}

/// What was not reserved as such cannot be refunded as such: parts, and what the merchant gives back of his own.
pub(super) async fn what_comes_back_in_parts_stands_in_our_books(database: Database) {
    let town = Town::open(database).await;
    let (merchant, customer) = (merchant(&town).await, town.account("001").await);
    let order = place(&town, &merchant, new_order(&customer)).await;
    let (id, _) = pay(&town, &customer, &order).await;
    town.until(id, Stage::Captured).await;
    town.payments.refund_order(merchant.id, order.id, "part", 4_000).await.unwrap().unwrap();
    assert_eq!(town.money(customer.id).await, (4_000, 0));
    let confirmed = PayOrder { amount_minor: 6_000, ..asked(&town, &customer, &order) };
    assert_eq!(town.payments.confirm_order(confirmed).await.unwrap(), OrderPayment::Released);
    town.payments.refund_order(merchant.id, order.id, "more", 1_000).await.unwrap().unwrap();
    assert_eq!(town.money(customer.id).await, (5_000, 0));
    assert_eq!(town.held(id).await.unwrap().state, "captured");
    assert_eq!(
        (town.house(House::Receivable(WALLET)).await, town.house(House::Settlement(WALLET)).await),
        (0, -PRICE)
    );
    // A provider that gives nothing back.
    let town = {
        town.close().await;
        Town::open_without_refunds(database).await
    };
    let (merchant, customer) = (self::merchant(&town).await, town.account("001").await);
    let order = place(&town, &merchant, new_order(&customer)).await;
    let (id, _) = pay(&town, &customer, &order).await;
    town.until(id, Stage::Captured).await;
    town.payments.refund_order(merchant.id, order.id, "all", PRICE).await.unwrap().unwrap();
    town.until(id, Stage::Owed).await;
    assert_eq!(town.money(customer.id).await, (PRICE, 0));
    assert_eq!(town.house(House::Intermediary).await, 0);
    town.close().await;
}

pub(super) async fn an_order_that_is_gone_takes_nothing(database: Database) {
    let town = Town::open_with(database, unhurried).await;
    let merchant = merchant(&town).await;
    // The wallet has not decided; meanwhile the merchant cancels, or the time passes.
    for way in ["cancelled", "expired"] {
        let customer = town.account("904").await;
        let payable_micros = if way == "expired" { 5_000_000 } else { FREEZE_MAX_MICROS };
        let order = place(&town, &merchant, NewOrder { payable_micros, ..new_order(&customer) }).await;
        let (id, told) = pay(&town, &customer, &order).await;
        let OrderPayment::Told(PayOutcome::Pending { receipt }) = &told else { panic!("{way}: {told:?}") };
        if way == "cancelled" {
            // Whoever asks again is told of the first.
            let again = PayOutcome::Pending { receipt: receipt.clone() };
            assert_eq!(pay(&town, &customer, &order).await.1, OrderPayment::Told(again));
            town.payments.step_order(order.id, &Input::Cancel).await.unwrap().unwrap();
        }
        let wanted = if way == "expired" { Order::Expired } else { Order::Cancelled };
        let gone = async { while state(&town, order.id).await != wanted {} };
        tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
        reserved(&town, id).await;
        town.until(id, Stage::Released).await;
        assert_eq!(town.held(id).await.unwrap().state, "released", "{way}");
        let payment = town.payments.payment(id).await.unwrap().unwrap().payment;
        assert_eq!((payment.state, payment.class.as_deref()), (State::Refused, Some("order_gone")), "{way}");
        assert_eq!(town.payments.order_outcome(id).await.unwrap(), Some(OrderPayment::Gone));
    }
    nothing_is_left(&town).await;
    // One that is refused may be paid again, from anywhere.
    let customer = town.account("902").await;
    let order = place(&town, &merchant, new_order(&customer)).await;
    for _ in 0..2 {
        let (id, _) = pay(&town, &customer, &order).await;
        town.until(id, Stage::Refused).await;
        assert_eq!(state(&town, order.id).await, Order::Created);
    }
    town.close().await;
}

/// What could not be captured is owed by the wallet, and blocks the account for orders as for everything else.
pub(super) async fn what_is_not_captured_of_an_order_blocks_the_account(database: Database) {
    let town = Town::open(database).await;
    let (merchant, customer) = (merchant(&town).await, town.account("936").await);
    let order = place(&town, &merchant, new_order(&customer)).await;
    let (id, paid) = pay(&town, &customer, &order).await;
    assert!(matches!(paid, OrderPayment::Held { .. }), "{paid:?}");
    town.until_row(id, |row| row.tries > 2).await;
    assert_eq!(town.house(House::Receivable(WALLET)).await, -PRICE);
    let other = place(&town, &merchant, new_order(&customer)).await;
    assert_eq!(pay(&town, &customer, &other).await.1, OrderPayment::Told(PayOutcome::Suspended));
    assert_eq!(state(&town, other.id).await, Order::Created);
    town.close().await;
}
