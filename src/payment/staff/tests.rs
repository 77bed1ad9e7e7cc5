//! Which accounts each movement touches, and that no more is given back than was paid.

use super::*;
use crate::payment::statement::Status;
use proptest::prelude::*;

fn cny() -> Currency {
    Currency::new("CNY").unwrap()
}

/// A recharge that was delivered.
fn delivered(amount_minor: i64, fee_minor: i64) -> PaymentRow {
    let id = Id([1; 16]);
    PaymentRow {
        id,
        reference: "100000009".to_owned(),
        account: Id([2; 16]),
        caller: None,
        channel: 1,
        product: "recharge".to_owned(),
        target: Msisdn::parse("+8613800000001").unwrap().into(),
        amount_minor,
        fee_minor,
        cost_minor: amount_minor,
        tax_minor: 0,
        currency: cny(),
        state: State::Delivered,
        class: None,
        business_day: 20_000,
        hold: crate::payment::fold::ids::hold(id),
        connector: "acme".to_owned(),
        carrier_reference: None,
        payee: None,
        quote: None,
        provider: None,
        deal: None,
        created_at: 1,
        updated_at: 1,
        next_check_at: None,
        checks: 0,
        version: 3,
    }
}

#[test]
fn every_movement_is_balanced_and_asks_for_what_it_needs() {
    let account = Id([7; 16]);
    for movement in Movement::ALL.iter().copied() {
        let discount = i64::from(movement == Movement::FloatSale) * 20;
        let all = legs(movement, cny(), 1_000, Some(account), Some("acme"), discount).unwrap();
        assert_eq!(all.iter().map(|l| l.amount_minor).sum::<i64>(), 0, "{movement:?}");
        let without = legs(movement, cny(), 1_000, None, None, 0);
        assert_eq!(without.is_err(), movement.needs() != Needs::Nothing, "{movement:?}");
        let customer = all.iter().find(|l| l.account == account).map(|l| l.amount_minor);
        let wanted = match movement {
            Movement::CashIn | Movement::FloatSale => Some(1_000),
            Movement::CashOut | Movement::Payout => Some(-1_000),
            _ => None,
        };
        assert_eq!(customer, wanted, "{movement:?}");
        for wrong in [0, -1, i64::MIN] {
            assert_eq!(legs(movement, cny(), wrong, Some(account), Some("acme"), 0), Err(Refusal::Amount));
        }
        let said = legs(movement, cny(), 1_000, Some(account), Some("acme"), 1_000);
        assert_eq!(said, Err(Refusal::Amount), "a discount of everything");
    }
    let said = legs(Movement::CashIn, cny(), 1_000, Some(account), None, 1);
    assert_eq!(said, Err(Refusal::Amount), "only agents get a discount");
}

#[test]
fn acts_keep_their_form_in_the_database() {
    let payment = Id([1; 16]);
    let act = Act::Refund { payment, amount_minor: 5 };
    let text = serde_json::to_string(&act).unwrap();
    assert_eq!(text, format!(r#"{{"act":"refund","payment":"{payment}","amount_minor":5}}"#));
    assert_eq!(serde_json::from_str::<Act>(&text).unwrap(), act);
    // Statements and staff speak of the same two ends.
    assert_eq!(serde_json::to_string(&Status::Delivered).unwrap(), "\"delivered\"");
    assert_eq!(serde_json::to_string(&Outcome::Delivered).unwrap(), "\"delivered\"");
}

proptest! {
    #[test]
    fn refunds_together_never_exceed_what_was_paid(
        amounts in proptest::collection::vec(-10_i64..6_000, 1..12),
        amount_minor in 1_i64..5_000,
        fee_minor in 0_i64..100,
    ) {
        let payment = delivered(amount_minor, fee_minor);
        let (mut row, mut moved) = (None, 0_i64);
        for (n, amount) in amounts.into_iter().enumerate() {
            let request = Id([u8::try_from(n).unwrap(); 16]);
            match refund(&payment, row.as_ref(), request, amount) {
                Ok((command, after)) => {
                    moved += command.act.legs().iter().filter(|l| l.account == payment.account)
                        .map(|l| l.amount_minor).sum::<i64>();
                    row = Some(after);
                }
                Err(Refusal::Amount) => prop_assert!(amount <= 0),
                Err(Refusal::TooMuch { left_minor }) => prop_assert!(amount > left_minor),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(moved <= amount_minor + fee_minor);
            prop_assert_eq!(row.as_ref().map_or(0, |r| r.refunded_minor), moved);
            prop_assert_eq!(reversible(&payment, row.as_ref()).is_ok(), moved == 0);
        }
    }
}

#[test]
fn a_reversal_gives_the_house_its_goodwill_back() {
    let payment = delivered(1_000, 50);
    let seen =
        |refunded_minor, version| RefundRow { payment: payment.id, refunded_minor, refunds: 1, version };
    let legs = |command: Option<Command>| command.map(|c| c.act.legs().to_vec());
    let back = Some(vec![Leg::new(payment.account, -400), Leg::new(House::Loss.id(cny()), 400)]);
    for (refunded, gives_back, wanted) in [
        (None, true, None),
        (Some(seen(0, 1)), true, None),
        (Some(seen(400, 2)), true, back),
        // Contradicted: the money is held, and nobody knows yet who gets it.
        (Some(seen(400, 2)), false, None),
    ] {
        let (row, command) = taken_back(&payment, refunded.as_ref(), gives_back);
        assert_eq!(legs(command), wanted, "{refunded:?}");
        let before = refunded.map_or((0, 0), |r| (r.refunded_minor, r.version));
        assert_eq!(
            (row.refunded_minor, row.version),
            (before.0, before.1 + 1),
            "whoever saw it before is stale"
        );
    }
}
