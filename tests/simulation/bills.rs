//! Bills: what the biller knows of them, and callers who ask and pay.

use std::sync::Arc;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::row::Id;
use keytone::payment::answer::{BillAnswer, BillRequest, Channel, PayOutcome, Pin};
use keytone::payment::bill::{Biller, CheckDigit, Directory, Rule};
use keytone::payment::run::Payments;
use keytone::secret::Secret;
use serde_json::{Value, json};

use super::carrier::{BILLER, NAMES};
use super::run::{NUMBERS, pause_until, somebody};
use super::world::{State, World};
use crate::support::market::{PIN, phone};

/// The biller's id, which its ledger account is named by.
pub(super) const ID: &str = "city";
const CODE: &str = "101";
const FEE: i64 = 50;
/// Few bills, so that callers meet.
const BILLS: [&str; 3] = ["2500001", "4000002", "6000003"];

/// Somebody who wants to pay a bill.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) id: Id,
    customer: usize,
    number: &'static str,
    at: i64,
    pub(super) right_pin: bool,
    persists: bool,
    /// Amount and fee, once he has confirmed them.
    confirmed: Option<(i64, i64)>,
    done: bool,
}

/// Everybody with a bill.
#[derive(Default)]
pub(super) struct Town {
    pub(super) wishes: Vec<Wish>,
    pub(super) told: Vec<(usize, PayOutcome)>,
}

pub(super) fn directory() -> Directory {
    Directory::new(vec![Biller {
        id: ID.to_owned(),
        code: CODE.to_owned(),
        name: "City water".to_owned(),
        kind: "water".to_owned(),
        connector: NAMES[BILLER].to_owned(),
        digits_min: 6,
        digits_max: 10,
        check: CheckDigit::None,
        fee_minor: FEE,
        rule: Rule::Exact,
        payment_limit_minor: None,
    }])
}

/// Who is about to pay what.
pub(super) fn plan(state: &mut State, from: i64) {
    for _ in 0..state.dice.below(4) {
        let at = from + i64::try_from(state.dice.below(80_000)).unwrap() * 1_000;
        let wish = Wish {
            id: Id::new(at),
            customer: somebody(state, 300),
            number: state.dice.pick(&BILLS),
            at,
            right_pin: !state.dice.permille(60),
            persists: state.dice.permille(700),
            confirmed: None,
            done: false,
        };
        if state.dice.permille(200) {
            state.town.wishes.push(wish.clone());
        }
        state.town.wishes.push(wish);
        state.last_plan = state.last_plan.max(at);
    }
}

pub(super) fn quote(number: &str) -> String {
    format!("Q-{number}")
}

/// Under which reference a bill was paid.
pub(super) fn payer(state: &State, number: &str) -> Option<String> {
    let paid = |state: &str| matches!(state, "DELIVERED" | "PENDING");
    let mut records = state.carriers[BILLER].iter();
    records.find(|(_, record)| record.phone == number && paid(record.state)).map(|(r, _)| r.clone())
}

/// What the biller says of a bill. The first four digits of its number are what it comes to.
pub(super) fn inquired(world: &World, asked: &Value, now: i64) -> Vec<u8> {
    let number = asked["number"].as_str().unwrap();
    let paid = payer(&world.state(), number).is_some();
    let answer = json!({
        "status": if paid { "PAID" } else { "OPEN" }, "reference": asked["reference"], "number": number,
        "quote": quote(number), "expires": now + 600, "name": "W** L**", "address": "12 R**",
        "amount": format!("{}.{}", &number[..2], &number[2..4]), "fee": "0.50", "currency": "CNY",
    });
    answer.to_string().into_bytes()
}

/// A caller from his question to the last answer.
pub(super) async fn call(world: Arc<World>, payments: Payments, clock: Clock, account: Id, index: usize) {
    let wish = world.state().town.wishes[index].clone();
    if wish.done || wish.confirmed.is_some() && !wish.persists {
        return;
    }
    pause_until(&clock, wish.at).await;
    for _ in 0..30 {
        let confirmed = world.state().town.wishes[index].confirmed;
        if world.state().dead {
            return;
        }
        let Some((amount_minor, fee_minor)) = confirmed else {
            match payments.inquire(account, CODE, wish.number).await {
                Ok(BillAnswer::Found(bill)) => {
                    world.note(|| format!("bill {index}: {} costs {}", wish.number, bill.amount_minor));
                    world.state().town.wishes[index].confirmed = Some((bill.amount_minor, bill.fee_minor));
                }
                Ok(BillAnswer::AlreadyPaid) => return,
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_secs(2)).await,
            }
            continue;
        };
        let request = BillRequest {
            id: wish.id,
            account,
            caller: Some(phone(NUMBERS[wish.customer])),
            channel: Channel::Ussd,
            biller: CODE.to_owned(),
            number: wish.number.to_owned(),
            amount_minor,
            fee_minor,
            pin: Pin::Typed(Secret::from(if wish.right_pin { PIN } else { "918273" })),
        };
        let answer = payments.pay_bill(request).await;
        if world.state().dead {
            return;
        }
        world.note(|| format!("bill {index} hears {answer:?}"));
        match answer {
            Ok(outcome) => {
                let mut state = world.state();
                state.town.told.push((index, outcome));
                state.town.wishes[index].done = true;
                return;
            }
            Err(_) if wish.persists => tokio::time::sleep(Duration::from_secs(3)).await,
            Err(_) => return,
        }
    }
}

/// Whose account pays.
pub(super) fn customer(world: &World, index: usize) -> usize {
    world.state().town.wishes[index].customer
}
