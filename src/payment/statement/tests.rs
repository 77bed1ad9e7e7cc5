//! The matcher by tables and properties.

use super::*;
use proptest::prelude::*;

const MINUTE: i64 = 60_000_000;

fn ours(n: u8, state: State) -> Ours {
    Ours {
        payment: Id([n; 16]),
        reference: format!("ref{n}"),
        sent_as: vec![format!("kt-{n}-1"), format!("kt-{n}-2")],
        carrier_reference: Some(format!("C{n}")),
        phone: Some("+8613800000001".to_owned()),
        amount_minor: 5_000,
        at: i64::from(n) * MINUTE,
        state,
        class: None,
        expected: true,
        elsewhere: false,
    }
}

fn line(number: i64) -> Line {
    Line {
        number,
        our_reference: None,
        carrier_reference: None,
        phone: None,
        amount_minor: 5_000,
        at: None,
        status: Status::Delivered,
    }
}

fn by_ours(number: i64, reference: &str) -> Line {
    Line { our_reference: Some(reference.to_owned()), ..line(number) }
}

fn classes(lines: &[Line], ours: &[Ours]) -> Vec<(Class, Option<i64>, Option<usize>)> {
    compare(lines, ours, MINUTE).into_iter().map(|f| (f.class, f.line, f.ours)).collect()
}

#[test]
fn a_line_finds_its_payment_by_every_key_in_order() {
    let ours = [ours(1, State::Delivered), ours(2, State::Delivered), ours(9, State::Delivered)];
    let by_carrier = Line { carrier_reference: Some("C1".to_owned()), ..line(3) };
    let fuzzy = Line { phone: ours[0].phone.clone(), at: Some(2 * MINUTE), ..line(1) };
    // The line without a reference is the nearest to payment 2, which the second line names.
    let lines = [fuzzy, by_ours(2, "kt-2-2"), by_carrier];
    let wanted = [
        (Class::TheirsOnly, Some(1), None),
        (Class::Matched, Some(2), Some(1)),
        (Class::Matched, Some(3), Some(0)),
        (Class::OursOnly, None, Some(2)),
    ];
    assert_eq!(classes(&lines, &ours), wanted);
    let found = classes(&lines[..2], &ours);
    assert_eq!(found[0], (Class::Matched, Some(1), Some(0)), "a minute off is near enough");
    let farther = [Line { at: Some(2 * MINUTE + 1), ..lines[0].clone() }, lines[1].clone()];
    assert_eq!(classes(&farther, &ours)[0], (Class::TheirsOnly, Some(1), None), "more is not");
    // A reference that is not ours is not guessed at.
    let foreign = Line { our_reference: Some("other".to_owned()), ..lines[0].clone() };
    assert_eq!(classes(&[foreign], &ours)[0].0, Class::TheirsOnly);
}

#[test]
fn every_class_by_what_both_sides_say() {
    use State as S;
    use Status as T;
    let cases = [
        (S::Delivered, T::Delivered, Class::Matched),
        (S::Delivered, T::Refused, Class::StatusDiffers),
        (S::Delivered, T::Reversed, Class::StatusDiffers),
        (S::Delivered, T::Pending, Class::StatusDiffers),
        (S::Refused, T::Delivered, Class::StatusDiffers),
        (S::Refused, T::Refused, Class::Matched),
        (S::Reversed, T::Reversed, Class::Matched),
        (S::Reversed, T::Refused, Class::Matched),
        (S::Reversed, T::Delivered, Class::StatusDiffers),
        (S::Unknown, T::Delivered, Class::StatusDiffers),
        (S::NeedsReview, T::Refused, Class::StatusDiffers),
        (S::Submitted, T::Pending, Class::Matched),
    ];
    for (state, status, class) in cases {
        let found = classes(&[Line { status, ..by_ours(1, "ref1") }], &[ours(1, state)]);
        assert_eq!(found, [(class, Some(1), Some(0))], "{state:?} {status:?}");
    }
    let more = Line { amount_minor: 5_001, ..by_ours(1, "ref1") };
    assert_eq!(classes(std::slice::from_ref(&more), &[ours(1, State::Delivered)])[0].0, Class::AmountDiffers);
    let refused = Line { status: T::Refused, ..more };
    assert_eq!(classes(&[refused], &[ours(1, State::Refused)])[0].0, Class::Matched);
    let twice = [by_ours(1, "kt-1-1"), by_ours(2, "kt-1-2")];
    assert_eq!(classes(&twice, &[ours(1, State::Delivered)])[1], (Class::Duplicate, Some(2), Some(0)));
}

#[test]
fn only_what_should_be_there_is_missed() {
    let wanted = [
        (State::Delivered, true, true),
        (State::Unknown, true, true),
        (State::Refused, true, false),
        (State::Reversed, true, false),
        (State::Delivered, false, false),
    ];
    for (state, expected, missed) in wanted {
        let found = classes(&[], &[Ours { expected, ..ours(1, state) }]);
        assert_eq!(!found.is_empty(), missed, "{state:?} {expected}");
    }
}

#[test]
fn what_is_proposed_moves_no_more_than_the_difference() {
    let act = |line: Line, ours: Ours, costs| {
        let findings = compare(&[line], std::slice::from_ref(&ours), MINUTE);
        propose(&findings[0], findings[0].ours.map(|_| &ours), "acme", costs)
    };
    let payment = Id([1; 16]);
    let resolved = act(by_ours(1, "ref1"), ours(1, State::Unknown), false);
    assert_eq!(resolved, Some(Act::Resolve { payment, outcome: Outcome::Delivered }));
    let refused = Line { status: Status::Refused, ..by_ours(1, "ref1") };
    let resolved = act(refused.clone(), ours(1, State::NeedsReview), false);
    assert_eq!(resolved, Some(Act::Resolve { payment, outcome: Outcome::Refused }));
    assert_eq!(act(refused, ours(1, State::Delivered), false), Some(Act::Reverse { payment }));
    let more = Line { amount_minor: 5_007, ..by_ours(1, "ref1") };
    assert_eq!(act(more.clone(), ours(1, State::Delivered), false), None, "face value moves no float");
    let Some(Act::Move { movement: Movement::FloatLost, amount_minor: 7, .. }) =
        act(more, ours(1, State::Delivered), true)
    else {
        panic!("the difference is lost")
    };
    let gone_on = Ours { elsewhere: true, ..ours(1, State::Refused) };
    assert_eq!(act(by_ours(1, "kt-1-2"), gone_on.clone(), false), None, "no other payment is touched");
    let Some(Act::Move { movement: Movement::FloatLost, amount_minor: 5_000, .. }) =
        act(by_ours(1, "kt-1-2"), gone_on, true)
    else {
        panic!("what two carriers delivered is lost once")
    };
    let unknown = by_ours(1, "someone");
    let Some(Act::Move { movement: Movement::FloatLost, amount_minor: 5_000, .. }) =
        act(unknown, ours(1, State::Delivered), true)
    else {
        panic!("what nobody knows is lost")
    };
    assert_eq!(act(by_ours(1, "ref1"), ours(1, State::Delivered), true), None, "matched");
}

#[test]
fn a_hundred_thousand_lines_take_seconds() {
    let ours: Vec<Ours> = (0..100_000_u32)
        .map(|n| Ours {
            payment: Id(u128::from(n).to_be_bytes()),
            reference: format!("ref{n}"),
            sent_as: vec![format!("kt-{n}")],
            carrier_reference: None,
            // Many of one number and amount, as in a shop that recharges for its customers.
            phone: Some(format!("+86138{:08}", n % 10)),
            at: i64::from(n),
            ..ours(1, State::Delivered)
        })
        .collect();
    let exact: Vec<Line> = (0..100_000_i64).map(|n| by_ours(n + 1, &format!("kt-{n}"))).collect();
    assert!(compare(&exact, &ours, 0).iter().all(|f| f.class == Class::Matched));
    let fuzzy: Vec<Line> = (0..100_000_i64)
        .map(|n| Line { phone: Some(format!("+86138{:08}", n % 10)), at: Some(n), ..line(n + 1) })
        .collect();
    assert!(compare(&fuzzy, &ours, 5).iter().all(|f| f.class == Class::Matched));
}

proptest! {
    #[test]
    fn each_line_and_each_payment_is_told_of_once(
        lines in proptest::collection::vec((0_u8..8, 0_u8..4, 0_i64..12), 0..20),
        states in proptest::collection::vec(0_usize..9, 0..8),
        shift in 0_usize..20,
    ) {
        let ours: Vec<Ours> =
            states.iter().enumerate().map(|(n, s)| ours(u8::try_from(n).unwrap(), State::ALL[*s])).collect();
        let mut lines: Vec<Line> = lines
            .iter()
            .enumerate()
            .map(|(number, (n, key, minute))| {
                let line = line(number as i64 + 1);
                match key {
                    0 => Line { our_reference: Some(format!("kt-{n}-1")), ..line },
                    1 => Line { carrier_reference: Some(format!("C{n}")), ..line },
                    2 => Line { phone: Some("+8613800000001".to_owned()), at: Some(minute * MINUTE), ..line },
                    _ => line,
                }
            })
            .collect();
        let findings = compare(&lines, &ours, MINUTE);
        let mut told: Vec<i64> = findings.iter().filter_map(|f| f.line).collect();
        prop_assert_eq!(told.len(), lines.len());
        told.dedup();
        prop_assert_eq!(told.len(), lines.len(), "in the order of lines");
        let mut payments: Vec<usize> =
            findings.iter().filter(|f| f.class != Class::Duplicate).filter_map(|f| f.ours).collect();
        let all = payments.len();
        payments.sort_unstable();
        payments.dedup();
        prop_assert_eq!(payments.len(), all, "a payment is taken once");
        // Lines that have a reference find the same payments in whatever order they come.
        lines.retain(|l| l.phone.is_none());
        let count = |lines: &[Line]| {
            let mut found: Vec<_> =
                compare(lines, &ours, MINUTE).into_iter().filter(|f| f.class != Class::Duplicate)
                    .filter_map(|f| f.ours.map(|o| (f.class, o))).collect();
            found.sort_unstable();
            found
        };
        let before = count(&lines);
        let places = lines.len().max(1);
        lines.rotate_left(shift % places);
        prop_assert_eq!(count(&lines), before);
    }
}
