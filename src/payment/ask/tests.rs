//! Who may be asked, and each state with what can happen to it.

use super::*;
use crate::money::Currency;

const NOW: i64 = 1_800_000_000_000_000;

fn order(state: order::State) -> OrderRow {
    OrderRow {
        id: Id([1; 16]),
        merchant: Id([2; 16]),
        merchant_name: "City Shop".to_owned(),
        number: "12345678".to_owned(),
        customer: Msisdn::parse("+8613800000001").unwrap(),
        payer: None,
        payment: None,
        state: state.number(),
        amount_minor: 5_000,
        currency: Currency::new("CNY").unwrap(),
        description: "a kettle".to_owned(),
        frozen: true,
        freeze_micros: order::DAY_MICROS,
        on_timeout: 0,
        frozen_minor: 5_000,
        released_minor: 0,
        fee_minor: 0,
        returned_minor: 0,
        refunded_minor: 0,
        created_at: NOW,
        expires_at: NOW + order::DAY_MICROS,
        paid_at: None,
        shipped_at: None,
        disputed_at: None,
        due_at: Some(NOW + order::DAY_MICROS),
        updated_at: NOW,
        reason: None,
        resolved_by: None,
        version: 1,
    }
}

fn fresh(want: Want, at: i64) -> AskRow {
    new(Id([7; 16]), &order(order::State::Created), want, at)
}

fn at(state: State, want: Want, created_at: i64) -> AskRow {
    AskRow { state: state.number(), due_at: None, ..fresh(want, created_at) }
}

fn asked(asks: &[AskRow]) -> Seen<'_> {
    Seen { asks, merchant_today: 0, customer_today: 0, declined: false }
}

fn rules() -> Rules {
    Rules { merchant_day: 5, customer_day: 4, ..Rules::default() }
}

#[test]
fn what_there_is_to_ask_follows_from_the_order() {
    for state in order::State::ALL {
        let wanted = match state {
            order::State::Created => Ok(Want::Pay),
            order::State::Paid => Ok(Want::Receipt),
            _ => Err(Refusal::Nothing),
        };
        assert_eq!(judge(&order(*state), None, asked(&[]), &rules(), NOW), wanted, "{state:?}");
    }
    let created = order(order::State::Created);
    let late = NOW + order::DAY_MICROS;
    assert_eq!(judge(&created, None, asked(&[]), &rules(), late), Err(Refusal::Nothing));
    assert_eq!(judge(&order(order::State::Paid), None, asked(&[]), &rules(), late), Err(Refusal::Nothing));
    assert_eq!(judge(&created, Some(Want::Receipt), asked(&[]), &rules(), NOW), Err(Refusal::Other));
    assert_eq!(judge(&created, Some(Want::Pay), asked(&[]), &rules(), NOW), Ok(Want::Pay));
}

#[test]
fn limits_hold_exactly() {
    let (created, hour) = (order(order::State::Created), 3_600 * SECOND);
    let judged = |seen: Seen<'_>, now| judge(&created, None, seen, &rules(), now);
    let one = [at(State::Shown, Want::Pay, NOW)];
    assert_eq!(judged(asked(&one), NOW + hour - 1), Err(Refusal::TooSoon { at: NOW + hour }));
    assert_eq!(judged(asked(&one), NOW + hour), Ok(Want::Pay));
    let three = [State::Failed, State::Texted, State::Unknown].map(|state| at(state, Want::Pay, NOW));
    assert_eq!(judged(asked(&three), NOW + 2 * hour), Err(Refusal::OrderLimit));
    // What was asked before it was paid does not count for its receipt.
    let paid = order(order::State::Paid);
    assert_eq!(judge(&paid, None, asked(&three), &rules(), NOW), Ok(Want::Receipt));
    for state in [State::Waiting, State::Sending] {
        let open = [at(state, Want::Pay, NOW)];
        assert_eq!(judged(asked(&open), NOW + 2 * hour), Err(Refusal::UnderWay), "{state:?}");
    }
    for (merchant_today, customer_today, wanted) in
        [(4, 3, Ok(Want::Pay)), (5, 0, Err(Refusal::DayLimit)), (0, 4, Err(Refusal::DayLimit))]
    {
        let seen = Seen { merchant_today, customer_today, ..asked(&[]) };
        assert_eq!(judged(seen, NOW), wanted);
    }
    assert_eq!(judged(Seen { declined: true, ..asked(&[]) }, NOW), Err(Refusal::Declined));
}

fn what_is_due(row: &AskRow, rules: &Rules, now: i64) -> Option<Due> {
    due(row, &order(order::State::Created), false, rules, &TimeZone::UTC, now)
}

#[test]
fn each_way_is_gone_once_and_in_order() {
    let row = fresh(Want::Pay, NOW);
    assert_eq!(what_is_due(&row, &rules(), NOW - 1), None);
    let Some(Due::Send(row, Way::Ussd)) = what_is_due(&row, &rules(), NOW) else { panic!() };
    assert_eq!((row.state, row.due_at), (State::Sending.number(), Some(NOW + PATIENCE_US)));
    let row = sent(&row, &Said::Refused("absent\nsubscriber".to_owned()), NOW + 1);
    assert_eq!(row.detail, "ussd: absentsubscriber");
    let Some(Due::Text(row)) = what_is_due(&row, &rules(), NOW + 1) else { panic!() };
    assert_eq!((row.state, row.way), (State::Texted.number(), Way::Text.number()));
    assert_eq!(what_is_due(&row, &rules(), NOW + 1 + LOOK_US), Some(Due::Look));
    let row = looked(&row, Some(OutboxState::Undelivered), NOW + 2);
    let Some(Due::Send(row, Way::Call)) = what_is_due(&row, &rules(), NOW + 2) else { panic!() };
    let row = sent(&row, &Said::Refused("not available".to_owned()), NOW + 3);
    let Some(Due::Row(row)) = what_is_due(&row, &rules(), NOW + 3) else { panic!() };
    assert_eq!((row.state, row.due_at), (State::Failed.number(), None));
    assert_eq!(row.detail, "ussd: absentsubscriber; sms: it was not delivered; call: not available");
    assert_eq!(what_is_due(&row, &rules(), i64::MAX), None);
    assert_eq!(row.version, 8);
    // Only what the operator wants is gone.
    let calls = Rules { ways: vec![Way::Call], ..rules() };
    let row = fresh(Want::Pay, NOW);
    let Some(Due::Send(row, Way::Call)) = what_is_due(&row, &calls, NOW) else { panic!() };
    assert_eq!(sent(&row, &Said::Taken, NOW).state, State::Called.number());
}

#[test]
fn what_may_have_been_shown_is_not_shown_again() {
    let row = fresh(Want::Pay, NOW);
    let Some(Due::Send(row, _)) = what_is_due(&row, &rules(), NOW) else { panic!() };
    let unknown = sent(&row, &Said::Unknown, NOW);
    assert_eq!((unknown.state, unknown.due_at), (State::Unknown.number(), None));
    // Its process died.
    assert_eq!(what_is_due(&row, &rules(), NOW + PATIENCE_US - 1), None);
    let Some(Due::Row(lost)) = what_is_due(&row, &rules(), NOW + PATIENCE_US) else { panic!() };
    assert_eq!((lost.state, lost.due_at), (State::Unknown.number(), None));
    assert_eq!(sent(&row, &Said::Taken, NOW).state, State::Shown.number());
}

#[test]
fn a_no_and_an_order_that_went_on_end_it() {
    let (row, rules) = (fresh(Want::Pay, NOW), rules());
    for state in order::State::ALL.iter().filter(|state| **state != order::State::Created) {
        let Some(Due::Row(over)) = due(&row, &order(*state), false, &rules, &TimeZone::UTC, NOW) else {
            panic!("{state:?}")
        };
        assert_eq!((over.state, over.due_at), (State::Withdrawn.number(), None));
    }
    let created = order(order::State::Created);
    let Some(Due::Row(over)) = due(&row, &created, true, &rules, &TimeZone::UTC, NOW) else { panic!() };
    assert_eq!(over.state, State::Declined.number());
    assert_eq!(declined(&row, NOW).unwrap().state, State::Declined.number());
    for state in State::ALL.iter().filter(|state| **state != State::Waiting) {
        assert_eq!(declined(&at(*state, Want::Pay, NOW), NOW), None, "{state:?}");
    }
}

#[test]
fn the_fate_of_a_text_is_looked_at_for_a_day() {
    let text = AskRow { way: Way::Text.number(), ..at(State::Texted, Want::Pay, NOW) };
    let soon = looked(&text, Some(OutboxState::Sending), NOW + LOOK_US);
    assert_eq!((soon.state, soon.due_at), (State::Texted.number(), Some(NOW + 2 * LOOK_US)));
    let hour = 3_600 * SECOND;
    let far = looked(&text, Some(OutboxState::Accepted), NOW + hour);
    assert_eq!((far.due_at, far.updated_at), (Some(NOW + hour + hour / 2), NOW));
    assert_eq!(looked(&text, Some(OutboxState::Accepted), NOW + WATCHED_US).due_at, None);
    assert_eq!(looked(&text, Some(OutboxState::Unknown), NOW + WATCHED_US).state, State::Unknown.number());
    assert_eq!(looked(&text, None, NOW).due_at, None);
    let there = looked(&text, Some(OutboxState::Delivered), NOW + hour);
    assert_eq!((there.state, there.due_at), (State::Delivered.number(), None));
}

#[test]
fn nobody_is_asked_in_quiet_hours() {
    let clock = |hour: i64, minute: i64| (hour * 60 + minute) * MINUTE + 30 * SECOND;
    let at = |hour, minute| clock(hour, minute) - 30 * SECOND;
    let night = Quiet { from: 21 * 60, until: 8 * 60 };
    let noon = Quiet { from: 12 * 60, until: 14 * 60 };
    for (quiet, now, ends) in [
        (night, clock(20, 59), None),
        (night, clock(21, 0), Some(at(32, 0))),
        (night, clock(23, 59), Some(at(32, 0))),
        (night, clock(0, 0), Some(at(8, 0))),
        (night, clock(7, 59), Some(at(8, 0))),
        (night, clock(8, 0), None),
        (noon, clock(11, 59), None),
        (noon, clock(12, 0), Some(at(14, 0))),
        (noon, clock(14, 0), None),
        (Quiet { from: 60, until: 60 }, clock(1, 0), None),
    ] {
        assert_eq!(quiet.ends(now, &TimeZone::UTC), ends, "{quiet:?} {now}");
    }
    let rules = Rules { quiet: Some(night), ..rules() };
    let evening = NOW - NOW.rem_euclid(order::DAY_MICROS) + clock(22, 0);
    let row = fresh(Want::Pay, evening);
    let mut order = order(order::State::Created);
    order.expires_at = evening + order::DAY_MICROS;
    let Some(Due::Row(row)) = due(&row, &order, false, &rules, &TimeZone::UTC, evening) else { panic!() };
    assert_eq!(row.state, State::Waiting.number());
    let morning = row.due_at.unwrap();
    assert_eq!(morning, evening - clock(22, 0) + at(32, 0));
    let due = due(&row, &order, false, &rules, &TimeZone::UTC, morning);
    assert!(matches!(due, Some(Due::Send(_, Way::Ussd))), "{due:?}");
}

#[test]
fn texts_name_the_merchant_and_the_order() {
    let row = order(order::State::Created);
    let code = Rules::default().code(&row.number);
    assert_eq!(code, "*126*12345678#");
    let english = texts::text("xx", &row, Want::Pay, &code).unwrap();
    assert_eq!(
        english,
        "City Shop asks you to pay order 12345678: 50.00 CNY. Dial *126*12345678# or send ORDER 12345678. If you \
         do not want it, send NO 12345678."
    );
    let french = texts::text("fr", &row, Want::Receipt, &code).unwrap();
    assert!(french.contains("commande 12345678") && !french.contains('{'), "{french}");
    let sly = OrderRow { merchant_name: "{a}".to_owned(), ..row };
    assert!(texts::text("en", &sly, Want::Pay, &code).unwrap().starts_with("{a} asks"));
}
