//! A merchant with orders, its customers, staff who resolve disputes, and the receiver of its webhooks. Everybody asks again
//! until he is told, and some ask twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::contract::{Outcome, Unclear};
use keytone::connector::http::{Exchange, Wire};
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome};
use keytone::payment::order::{Input, OnTimeout, State as Stage};
use keytone::payment::row::order::{MerchantRow, OrderRow, WebhookRow};
use keytone::payment::row::record::Select;
use keytone::payment::run::{Error, NewMerchant, NewOrder, OrderPayment, PayOrder, Payments};
use keytone::payment::share::Fee;
use keytone::payment::webhook;
use keytone::secret::Secret;
use keytone::store::Store;

use super::check::now;
use super::run::{NUMBERS, pause_until};
use super::world::{State, World};
use crate::support::market::{PIN, phone};

/// What somebody does with an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deed {
    Place,
    Pay {
        right_pin: bool,
    },
    Confirm,
    Dispute,
    Cancel,
    Ship,
    /// The key follows from the act's id.
    Refund {
        amount_minor: i64,
    },
    /// How much of a thousand the customer gets.
    Resolve {
        permille: i64,
    },
}

#[derive(Clone, Debug)]
struct Act {
    sale: usize,
    deed: Deed,
    id: Id,
    at: i64,
    persists: bool,
    begun: bool,
    done: bool,
}

/// An order as its merchant means it.
#[derive(Clone, Debug)]
struct Sale {
    customer: usize,
    amount_minor: i64,
    frozen: bool,
    payable_ms: i64,
    freeze_ms: i64,
    on_timeout: OnTimeout,
    /// Id and number, once the merchant was told.
    order: Option<(Id, String)>,
}

#[derive(Clone, Debug)]
enum Told {
    Placed(Id),
    Paid(OrderPayment),
    Confirmed(OrderPayment),
    /// Whether it was done.
    Done(bool),
}

/// Everything about orders that outlives a process.
#[derive(Default)]
pub(super) struct Shop {
    merchant: Option<MerchantRow>,
    hook_key: Option<Secret>,
    sales: Vec<Sale>,
    acts: Vec<Act>,
    told: Vec<(usize, Told)>,
    /// What the receiver has heard, by id.
    heard: BTreeMap<String, String>,
    forged: u32,
}

/// Opens the merchant.
pub(super) async fn open(world: &World, payments: &Payments) {
    let new = NewMerchant {
        name: "City Shop".to_owned(),
        fee: Fee::new("0.015", 0).unwrap(),
        webhook_url: Some("https://shop.example/hook".to_owned()),
    };
    let (merchant, _, hook_key) = payments.add_merchant(new).await.unwrap();
    let mut state = world.state();
    state.shop.merchant = Some(merchant);
    state.shop.hook_key = Some(hook_key);
}

/// What is about to be sold.
pub(super) fn plan(state: &mut State, from: i64) {
    for sale in 0..usize::try_from(state.dice.below(5)).unwrap() {
        let mut at = from + i64::try_from(state.dice.below(40_000)).unwrap() * 1_000;
        let amount_minor = state.dice.pick(&[1_999, 3_333, 5_000]);
        let on_timeout = state.dice.pick(OnTimeout::ALL);
        let row = Sale {
            customer: usize::try_from(state.dice.below(3)).unwrap(),
            amount_minor,
            frozen: state.dice.permille(700),
            payable_ms: i64::try_from(state.dice.between(2_000, 60_000)).unwrap(),
            freeze_ms: i64::try_from(state.dice.between(2_000, 60_000)).unwrap(),
            on_timeout,
            order: None,
        };
        state.shop.sales.push(row);
        add(state, sale, Deed::Place, at, 200);
        if state.dice.permille(150) {
            let at = at + i64::try_from(state.dice.below(30_000)).unwrap() * 1_000;
            add(state, sale, Deed::Cancel, at, 200);
        }
        at += i64::try_from(state.dice.below(15_000)).unwrap() * 1_000;
        if state.dice.permille(900) {
            let right_pin = !state.dice.permille(50);
            add(state, sale, Deed::Pay { right_pin }, at, 300);
        }
        let mut later = at + 3_000_000;
        for (deed, often, again) in [
            (Deed::Ship, 300, 200),
            (Deed::Confirm, 500, 0),
            (Deed::Dispute, 300, 200),
            (Deed::Refund { amount_minor: amount_minor / 3 }, 350, 300),
            (Deed::Refund { amount_minor }, 150, 300),
            (Deed::Resolve { permille: 400 }, 400, 300),
        ] {
            if state.dice.permille(often) {
                // Some come in the same moment.
                if !state.dice.permille(350) {
                    later = at + i64::try_from(state.dice.below(50_000)).unwrap() * 1_000;
                }
                add(state, sale, deed, later, again);
            }
        }
    }
}

fn add(state: &mut State, sale: usize, deed: Deed, at: i64, again: u64) {
    let act = Act {
        sale,
        deed,
        id: Id::new(at),
        at,
        persists: !state.dice.permille(100),
        begun: false,
        done: false,
    };
    if state.dice.permille(again) {
        let late = at + state.dice.pick(&[0, 0, 400_000, 3_000_000]);
        state.shop.acts.push(Act { at: late, ..act.clone() });
        state.last_plan = state.last_plan.max(late);
    }
    state.last_plan = state.last_plan.max(at);
    state.shop.acts.push(act);
}

/// How many acts there are.
pub(super) fn acts(world: &World) -> usize {
    world.state().shop.acts.len()
}

/// One act, until whoever does it is told what came of it.
pub(super) async fn act(
    world: Arc<World>,
    payments: Payments,
    clock: Clock,
    accounts: Arc<Vec<Id>>,
    index: usize,
) {
    let act = world.state().shop.acts[index].clone();
    if act.done || act.begun && !act.persists {
        return;
    }
    pause_until(&clock, act.at).await;
    for _ in 0..40 {
        if world.state().dead {
            return;
        }
        let sale = world.state().shop.sales[act.sale].clone();
        if sale.order.is_none() && act.deed != Deed::Place {
            // Not told yet.
            tokio::time::sleep(Duration::from_secs(2)).await;
            continue;
        }
        world.state().shop.acts[index].begun = true;
        let answer = once(&world, &payments, &sale, &act, accounts[sale.customer]).await;
        if world.state().dead {
            return;
        }
        world.note(|| format!("order {} {:?} hears {answer:?}", act.sale, act.deed));
        match answer {
            Ok(told) => {
                let mut state = world.state();
                state.shop.told.push((index, told));
                state.shop.acts[index].done = true;
                return;
            }
            Err(_) if act.persists => tokio::time::sleep(Duration::from_secs(3)).await,
            Err(_) => return,
        }
    }
}

async fn once(
    world: &World,
    payments: &Payments,
    sale: &Sale,
    act: &Act,
    account: Id,
) -> Result<Told, Error> {
    let merchant = world.state().shop.merchant.clone().unwrap();
    let (id, number) = sale.order.clone().unwrap_or((act.id, String::new()));
    let pay = |pin: &str| PayOrder {
        id: act.id,
        account,
        caller: Some(phone(NUMBERS[sale.customer])),
        channel: Channel::Ussd,
        number: number.clone(),
        amount_minor: sale.amount_minor,
        pin: Secret::from(pin),
    };
    Ok(match act.deed {
        Deed::Place => {
            let new = NewOrder {
                customer: phone(NUMBERS[sale.customer]),
                amount_minor: sale.amount_minor,
                description: "Tea".to_owned(),
                payable_micros: sale.payable_ms * 1_000,
                frozen: sale.frozen,
                freeze_micros: sale.freeze_ms * 1_000,
                on_timeout: sale.on_timeout,
            };
            let row = payments.place_order(&merchant, &format!("key {}", act.sale), new).await?.unwrap();
            world.state().shop.sales[act.sale].order = Some((row.id, row.number));
            Told::Placed(row.id)
        }
        Deed::Pay { right_pin } => {
            Told::Paid(payments.pay_order(pay(if right_pin { PIN } else { "918273" })).await?)
        }
        Deed::Confirm => Told::Confirmed(payments.confirm_order(pay(PIN)).await?),
        Deed::Dispute => Told::Done(payments.dispute_order(account, &number).await?),
        Deed::Cancel => Told::Done(payments.merchant_step(merchant.id, id, &Input::Cancel).await?.is_ok()),
        Deed::Ship => Told::Done(payments.merchant_step(merchant.id, id, &Input::Ship).await?.is_ok()),
        Deed::Refund { amount_minor } => {
            let done = payments.refund_order(merchant.id, id, &act.id.text(), amount_minor).await?;
            Told::Done(done.is_ok_and(|row| row.state == 1))
        }
        Deed::Resolve { permille } => {
            let frozen_minor = payments.any_order(id).await?.map_or(0, |row| row.frozen_minor);
            let resolve = Input::Resolve {
                customer_minor: frozen_minor * permille / 1_000,
                staff: ["ann".to_owned(), "bo".to_owned()],
                reason: "shared".to_owned(),
            };
            Told::Done(payments.step_order(id, &resolve).await?.is_ok())
        }
    })
}

/// The merchant's receiver of webhooks.
#[derive(Debug)]
pub(super) struct Receiver(pub(super) Arc<World>);

impl Wire for Receiver {
    fn exchange(&self, request: reqwest::Request) -> Exchange<'_> {
        Box::pin(async move {
            if self.0.dies("a webhook that leaves") {
                return std::future::pending().await;
            }
            let fault = self.0.fault(&["lost", "refused", "answer_lost", "not_connected", "twice"]);
            let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            let id = header("webhook-id");
            let body = String::from_utf8(request.body().unwrap().as_bytes().unwrap().to_vec()).unwrap();
            self.0.note(|| format!("-> shop webhook {id} [{fault}]"));
            tokio::time::sleep(Duration::from_millis(30)).await;
            match fault {
                "lost" => {
                    tokio::time::sleep(webhook::ANSWER_WITHIN).await;
                    return Err(Outcome::Unknown { why: Unclear::Timeout, detail: String::new() });
                }
                "not_connected" => {
                    return Err(Outcome::NotSent { retryable: true, reason: String::new() });
                }
                "refused" => return Ok((500, Vec::new())),
                _ => {}
            }
            {
                let mut state = self.0.state();
                let keys = [state.shop.hook_key.clone().unwrap()];
                let at = header("webhook-timestamp").parse().unwrap();
                if webhook::signatures(&keys, &id, at, &body) != header("webhook-signature") {
                    state.shop.forged += 1;
                }
                state.shop.heard.insert(id, body);
            }
            if self.0.dies("a webhook that was taken") {
                return std::future::pending().await;
            }
            if fault == "answer_lost" {
                tokio::time::sleep(webhook::ANSWER_WITHIN).await;
                return Err(Outcome::Unknown { why: Unclear::Timeout, detail: String::new() });
            }
            Ok((204, Vec::new()))
        })
    }
}

fn orders(store: &Store) -> Vec<OrderRow> {
    now(store.records(&Select::<OrderRow>::new()))
}

fn webhooks(store: &Store) -> Vec<WebhookRow> {
    now(store.records(&Select::<WebhookRow>::new()))
}

/// Whether nothing of orders waits for time or for a receiver.
pub(super) fn is_settled(store: &Store) -> bool {
    let waits = |row: &OrderRow| [Stage::Created.number(), Stage::Paid.number()].contains(&row.state);
    !orders(store).iter().any(waits) && !webhooks(store).iter().any(|hook| hook.due_at.is_some())
}

/// What the books say of orders; gives what each account got back.
pub(super) fn check(world: &World, store: &Store, faults: &mut Vec<String>) -> BTreeMap<Id, i64> {
    let orders = orders(store);
    let state = world.state();
    let shop = &state.shop;
    let begun = |act: &&Act| act.deed == Deed::Place && act.begun;
    let placed: BTreeSet<usize> = shop.acts.iter().filter(begun).map(|act| act.sale).collect();
    if orders.len() > placed.len() {
        faults.push(format!("{} orders under {} keys", orders.len(), placed.len()));
    }
    let (mut back, mut earned) = (BTreeMap::new(), 0);
    for order in &orders {
        earned += order.released_minor - order.fee_minor - order.refunded_minor;
        if let Some(payer) = order.payer {
            *back.entry(payer).or_default() += order.returned_minor + order.refunded_minor;
        }
        alone(shop, order, faults);
    }
    let merchant = shop.merchant.as_ref().unwrap().id;
    let has = now(store.account(merchant)).expect("the merchant has an account").balance_minor;
    if has != earned {
        faults.push(format!("the merchant has {has}, its orders leave {earned}"));
    }
    // The same id may be asked again at a better time: its last answer counts.
    let last: BTreeMap<Id, &(usize, Told)> =
        shop.told.iter().map(|told| (shop.acts[told.0].id, told)).collect();
    for (index, told) in last.values() {
        lied(shop, &orders, *index, told, faults);
    }
    heard(shop, state.clock.now().0, store, &orders, faults);
    back
}

fn alone(shop: &Shop, order: &OrderRow, faults: &mut Vec<String>) {
    let stage = Stage::from_number(order.state);
    if matches!(stage, Some(Stage::Created | Stage::Paid)) {
        faults.push(format!("order {} is {stage:?}, due {:?}", order.id, order.due_at));
    }
    let Some(sale) = shop.sales.iter().position(|s| s.order.as_ref().is_some_and(|o| o.0 == order.id)) else {
        return;
    };
    // A refund under one key is given once.
    let refunds: BTreeMap<Id, i64> = shop
        .acts
        .iter()
        .filter(|act| act.sale == sale && act.begun)
        .filter_map(|act| match act.deed {
            Deed::Refund { amount_minor } => Some((act.id, amount_minor)),
            _ => None,
        })
        .collect();
    let wanted: i64 = refunds.values().sum();
    let given = order.refunded_minor + order.returned_minor;
    let by_time = order.reason.as_deref() == Some("time_limit") && order.returned_minor > 0;
    if !by_time && order.resolved_by.is_none() && given > wanted {
        faults.push(format!("order {}: {given} given back, {wanted} was asked", order.id));
    }
}

/// Nobody is told that it failed what was done, nor that it was done what was not.
fn lied(shop: &Shop, orders: &[OrderRow], index: usize, told: &Told, faults: &mut Vec<String>) {
    let act = &shop.acts[index];
    let of_sale = shop.sales[act.sale].order.as_ref().map(|(id, _)| *id);
    let order = orders.iter().find(|order| Some(order.id) == of_sale);
    let paid = orders.iter().any(|order| order.payment == Some(act.id));
    let stage = order.and_then(|order| Stage::from_number(order.state));
    let confirmed = order
        .is_some_and(|o| o.frozen && o.released_minor > 0 && o.reason.is_none() && o.resolved_by.is_none());
    let lied = match (told, act.deed) {
        (Told::Placed(id), _) => of_sale != Some(*id) || order.is_none(),
        (Told::Paid(OrderPayment::Paid { .. } | OrderPayment::Held { .. }), _) => !paid,
        (Told::Paid(OrderPayment::Gone), _) => paid,
        // The same id at once may have found the PIN locked by its own tries.
        (Told::Paid(OrderPayment::Told(PayOutcome::Refused { .. })), _) => paid,
        // Time may have released it in the same moment.
        (Told::Confirmed(OrderPayment::Released), _) => order.is_none_or(|order| order.released_minor == 0),
        // Only one confirms each order, under one id.
        (Told::Confirmed(OrderPayment::Gone), _) => confirmed,
        (Told::Done(true), Deed::Cancel) => stage != Some(Stage::Cancelled),
        (Told::Done(true), Deed::Ship) => order.is_none_or(|order| order.shipped_at.is_none()),
        (Told::Done(true), Deed::Dispute) => order.is_none_or(|order| order.disputed_at.is_none()),
        _ => false,
    };
    if lied {
        faults.push(format!("order {}: {:?} heard {told:?}, and it is {stage:?}", act.sale, act.deed));
    }
}

/// The merchant heard of every change, and of nothing else.
fn heard(shop: &Shop, now_at: i64, store: &Store, orders: &[OrderRow], faults: &mut Vec<String>) {
    let hooks = webhooks(store);
    let mut unheard = 0;
    for order in orders {
        let told = hooks.iter().filter(|hook| hook.order_id == order.id).count();
        // A payment that is released at once is told once.
        if i64::try_from(told) != Ok(order.version) {
            faults.push(format!("order {} changed {} times, {told} are told", order.id, order.version));
        }
    }
    for hook in &hooks {
        let id = webhook::header_id(hook.id);
        match shop.heard.get(&id) {
            // Many tries fell into the storm: the next is due much later.
            None if hook.due_at.is_some_and(|due| due > now_at) => unheard += 1,
            None => faults.push(format!("{} of {} was never heard: {hook:?}", hook.kind, hook.order_id)),
            Some(body) if *body != hook.body => faults.push(format!("{id} was heard with another body")),
            Some(_) => {}
        }
    }
    if shop.heard.len() + unheard != hooks.len() || shop.forged > 0 {
        let (heard, sent, forged) = (shop.heard.len(), hooks.len(), shop.forged);
        faults.push(format!("{heard} of {sent} webhooks were heard, {forged} forged"));
    }
}
