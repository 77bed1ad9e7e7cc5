//! What follows on what for an order: each state with each input, and random lives in which no unit of money is lost.

use super::*;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use proptest::prelude::*;

const NOW: i64 = 1_800_000_000_000_000;
const PAYER: Id = Id([5; 16]);
const OTHER: Id = Id([6; 16]);

fn fee() -> Fee {
    Fee::new("0.015", 10).unwrap()
}

pub(crate) fn order(amount_minor: i64) -> OrderRow {
    OrderRow {
        id: Id([1; 16]),
        merchant: Id([2; 16]),
        merchant_name: "Shop".to_owned(),
        number: "12345678".to_owned(),
        customer: Msisdn::parse("+8613800000001").unwrap(),
        payer: None,
        payment: None,
        state: 0,
        amount_minor,
        currency: Currency::new("CNY").unwrap(),
        description: "a kettle".to_owned(),
        frozen: true,
        freeze_micros: DAY_MICROS,
        on_timeout: 0,
        frozen_minor: 0,
        released_minor: 0,
        fee_minor: 0,
        returned_minor: 0,
        refunded_minor: 0,
        created_at: NOW,
        expires_at: NOW + 100,
        paid_at: None,
        shipped_at: None,
        disputed_at: None,
        due_at: Some(NOW + 100),
        updated_at: NOW,
        reason: None,
        resolved_by: None,
        version: 1,
    }
}

fn pay() -> Input {
    Input::Pay { payer: PAYER, payment: Id([9; 16]) }
}

fn resolve(customer_minor: i64, one: &str, other: &str) -> Input {
    let staff = [one.to_owned(), other.to_owned()];
    Input::Resolve { customer_minor, staff, reason: "looked at the parcel".to_owned() }
}

/// The row after these inputs, each a microsecond later.
fn after(row: OrderRow, inputs: &[Input]) -> OrderRow {
    inputs.iter().fold(row, |row, input| {
        let next = step(&row, NOW + 1, input, &fee()).unwrap_or_else(|why| panic!("{input:?}: {why}")).row;
        assert_eq!(next.version, row.version + 1);
        assert_eq!(fault(&next), None, "{input:?}");
        next
    })
}

fn state(row: &OrderRow) -> State {
    State::from_number(row.state).unwrap()
}

#[test]
fn a_frozen_order_goes_to_the_merchant_when_the_customer_confirms() {
    let paid = step(&order(10_001), NOW, &pay(), &fee()).unwrap();
    assert_eq!((state(&paid.row), paid.row.frozen_minor, paid.event), (State::Paid, 10_001, "order.paid"));
    assert_eq!(paid.row.due_at, Some(NOW + DAY_MICROS));
    assert_eq!(paid.movements, []);
    let done = step(&paid.row, NOW + 5, &Input::Confirm { payer: PAYER }, &fee()).unwrap();
    let share = Share { merchant_minor: 9_840, fee_minor: 160, rounding_minor: 1 };
    assert_eq!(done.movements, [Movement::Release(share)]);
    assert_eq!((state(&done.row), done.row.fee_minor, done.row.due_at), (State::Released, 161, None));
    assert_eq!(step(&done.row, NOW, &Input::Confirm { payer: PAYER }, &fee()), Err(Refusal::Already));
    assert_eq!(step(&paid.row, NOW, &Input::Confirm { payer: OTHER }, &fee()), Err(Refusal::NotYours));
}

#[test]
fn an_order_that_is_not_frozen_is_released_with_its_payment() {
    let plain = OrderRow { frozen: false, ..order(5_000) };
    let paid = step(&plain, NOW, &pay(), &fee()).unwrap();
    assert_eq!((state(&paid.row), paid.event, paid.row.version), (State::Released, "order.paid", 2));
    assert_eq!(paid.movements.len(), 1);
    assert_eq!(fault(&paid.row), None);
}

#[test]
fn time_passes() {
    let late = step(&order(100), NOW + 100, &pay(), &fee());
    assert_eq!(late, Err(Refusal::Expired), "exactly at its end it cannot be paid");
    assert_eq!(step(&order(100), NOW + 99, &Input::Elapse, &fee()), Err(Refusal::NotDue));
    let expired = step(&order(100), NOW + 100, &Input::Elapse, &fee()).unwrap();
    assert_eq!((state(&expired.row), expired.event), (State::Expired, "order.expired"));
    assert_eq!(step(&expired.row, NOW, &pay(), &fee()), Err(Refusal::Expired));
    for (on_timeout, shipped, wanted) in [
        (OnTimeout::ReturnUnlessShipped, false, State::Returned),
        (OnTimeout::ReturnUnlessShipped, true, State::Released),
        (OnTimeout::Release, false, State::Released),
        (OnTimeout::Return, true, State::Returned),
    ] {
        let mut inputs = vec![pay()];
        inputs.extend(shipped.then_some(Input::Ship));
        let held = after(OrderRow { on_timeout: on_timeout.number(), ..order(100) }, &inputs);
        let due = held.due_at.unwrap();
        assert_eq!(step(&held, due - 1, &Input::Elapse, &fee()), Err(Refusal::NotDue));
        let done = step(&held, due, &Input::Elapse, &fee()).unwrap();
        assert_eq!(state(&done.row), wanted, "{on_timeout:?} {shipped}");
        assert_eq!(done.row.reason.as_deref(), Some("time_limit"));
    }
}

#[test]
fn a_dispute_stops_the_clock_and_has_no_winner_by_itself() {
    let dispute = Input::Dispute { payer: PAYER };
    let disputed = after(order(1_000), &[pay(), dispute.clone()]);
    assert_eq!((state(&disputed), disputed.due_at), (State::Disputed, None));
    assert_eq!(step(&disputed, NOW + 99 * DAY_MICROS, &Input::Elapse, &fee()), Err(Refusal::NotDue));
    assert_eq!(step(&disputed, NOW, &dispute, &fee()), Err(Refusal::Already));
    for (one, other) in [("ann", "ann"), ("ann", " Ann "), ("", "bo"), ("ann", " ")] {
        assert_eq!(step(&disputed, NOW, &resolve(0, one, other), &fee()), Err(Refusal::OnePerson));
    }
    for amount in [-1, 1_001] {
        assert_eq!(step(&disputed, NOW, &resolve(amount, "ann", "bo"), &fee()), Err(Refusal::Amount));
    }
    let shared = step(&disputed, NOW, &resolve(400, "ann", "bo"), &fee()).unwrap();
    let share = Share { merchant_minor: 581, fee_minor: 19, rounding_minor: 0 };
    assert_eq!(shared.movements, [Movement::Return(400), Movement::Release(share)]);
    assert_eq!(shared.row.resolved_by.as_deref(), Some("ann, bo"));
    assert_eq!(step(&shared.row, NOW, &resolve(400, "ann", "bo"), &fee()), Err(Refusal::Already));
    // Each side may give in.
    assert_eq!(state(&after(disputed.clone(), &[Input::Confirm { payer: PAYER }])), State::Released);
    assert_eq!(state(&after(disputed, &[Input::Refund { amount_minor: 1_000 }])), State::Returned);
    // After the time limit it is too late, whether the sweeper came by or not.
    let held = after(order(1_000), &[pay()]);
    assert_eq!(step(&held, held.due_at.unwrap(), &dispute, &fee()), Err(Refusal::NotAllowed));
}

#[test]
fn refunds_come_from_where_the_money_is() {
    let frozen = after(order(1_000), &[pay(), Input::Refund { amount_minor: 300 }]);
    assert_eq!((state(&frozen), frozen.frozen_minor, frozen.returned_minor), (State::Paid, 700, 300));
    assert!(frozen.due_at.is_some(), "the time limit still runs");
    assert_eq!(step(&frozen, NOW, &Input::Refund { amount_minor: 701 }, &fee()), Err(Refusal::Amount));
    assert_eq!(step(&frozen, NOW, &Input::Refund { amount_minor: 0 }, &fee()), Err(Refusal::Amount));
    let released = after(frozen, &[Input::Confirm { payer: PAYER }]);
    assert_eq!((released.released_minor, released.fee_minor), (700, 21), "10.5 and 10");
    let part = step(&released, NOW, &Input::Refund { amount_minor: 200 }, &fee()).unwrap();
    assert_eq!(part.movements, [Movement::Refund(200)]);
    assert_eq!((state(&part.row), part.row.fee_minor), (State::PartlyRefunded, 21), "the fee is kept");
    let all = after(part.row, &[Input::Refund { amount_minor: 500 }]);
    assert_eq!((state(&all), all.refunded_minor), (State::Returned, 700));
    assert_eq!(step(&all, NOW, &Input::Refund { amount_minor: 1 }, &fee()), Err(Refusal::Amount));
}

#[test]
fn only_what_is_not_paid_is_cancelled_and_only_what_is_paid_is_shipped() {
    let cancelled = after(order(100), &[Input::Cancel]);
    assert_eq!(step(&cancelled, NOW, &Input::Cancel, &fee()), Err(Refusal::Already));
    for input in [pay(), Input::Ship, Input::Refund { amount_minor: 1 }, Input::Confirm { payer: PAYER }] {
        assert_eq!(step(&cancelled, NOW, &input, &fee()), Err(Refusal::NotAllowed), "{input:?}");
    }
    let paid = after(order(100), &[pay()]);
    assert_eq!(step(&paid, NOW, &Input::Cancel, &fee()), Err(Refusal::NotAllowed));
    assert_eq!(step(&paid, NOW, &pay(), &fee()), Err(Refusal::Already));
    let shipped = after(paid, &[Input::Ship]);
    assert_eq!(step(&shipped, NOW, &Input::Ship, &fee()), Err(Refusal::Already));
    assert_eq!(step(&OrderRow { state: 99, ..order(1) }, NOW, &pay(), &fee()), Err(Refusal::Unsound));
}

#[test]
fn names_and_numbers_read_back() {
    for state in State::ALL {
        assert_eq!(State::from_number(state.number()), Some(*state));
        assert_eq!(State::named(state.name()), Some(*state));
    }
    for on_timeout in OnTimeout::ALL {
        assert_eq!(OnTimeout::from_number(on_timeout.number()), Some(*on_timeout));
        assert_eq!(OnTimeout::named(on_timeout.name()), Some(*on_timeout));
    }
}

#[test]
fn a_row_with_wrong_sums_is_told() {
    let paid = after(order(100), &[pay()]);
    for bad in [
        OrderRow { frozen_minor: 99, ..paid.clone() },
        OrderRow { state: State::Released.number(), ..paid.clone() },
        OrderRow { refunded_minor: 1, ..paid.clone() },
        OrderRow { fee_minor: 1, ..paid.clone() },
        OrderRow { state: 77, ..paid.clone() },
        OrderRow { frozen_minor: i64::MAX, returned_minor: i64::MAX, ..paid },
    ] {
        assert!(fault(&bad).is_some());
    }
}

fn inputs() -> impl Strategy<Value = (i64, Input)> {
    let payer = prop_oneof![4 => Just(PAYER), 1 => Just(OTHER)];
    let input = prop_oneof![
        3 => Just(pay()),
        1 => payer.clone().prop_map(|payer| Input::Confirm { payer }),
        2 => payer.prop_map(|payer| Input::Dispute { payer }),
        2 => Just(Input::Elapse),
        1 => Just(Input::Cancel),
        1 => Just(Input::Ship),
        3 => (-1_i64..2_000).prop_map(|amount_minor| Input::Refund { amount_minor }),
        2 => (-1_i64..2_000).prop_map(|customer| resolve(customer, "ann", "bo")),
    ];
    (0..DAY_MICROS / 4, input)
}

proptest! {
    #[test]
    fn no_life_of_an_order_loses_money(
        amount in 1_i64..2_000, frozen: bool, on_timeout in 0_i16..3, life in prop::collection::vec(inputs(), 1..30),
    ) {
        let mut row = OrderRow { frozen, on_timeout, expires_at: NOW + DAY_MICROS / 3, due_at: Some(NOW + DAY_MICROS / 3), ..order(amount) };
        let (mut now, mut intermediary, mut merchant, mut house, mut customer) = (NOW, 0_i64, 0_i64, 0_i64, 0_i64);
        for (pause, input) in life {
            now += pause;
            let Ok(next) = step(&row, now, &input, &fee()) else { continue };
            if matches!(input, Input::Pay { .. }) {
                customer -= amount;
                intermediary += amount;
            }
            for movement in &next.movements {
                match movement {
                    Movement::Release(share) => {
                        intermediary -= share.merchant_minor + share.charged_minor();
                        merchant += share.merchant_minor;
                        house += share.charged_minor();
                    }
                    Movement::Return(minor) => {
                        intermediary -= minor;
                        customer += minor;
                    }
                    Movement::Refund(minor) => {
                        merchant -= minor;
                        customer += minor;
                    }
                }
            }
            row = next.row;
            prop_assert_eq!(fault(&row), None);
            prop_assert_eq!(intermediary, row.frozen_minor);
            prop_assert_eq!(intermediary + merchant + house + customer, 0);
            prop_assert_eq!(merchant, row.released_minor - row.fee_minor - row.refunded_minor);
            prop_assert_eq!(house, row.fee_minor);
            prop_assert!(customer <= 0, "never more back than was paid");
        }
    }
}
