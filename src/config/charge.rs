//! The table `[charge]`: times and limits of charging through the intermediary account.

use super::limit;
use crate::connector::document::{Faults, Section};
use crate::money::Currency;
use crate::payment::charge::Terms;

const MINUTE: i64 = 60_000_000;
/// The longest of each time, minutes: thirty days.
const MINUTES_MAX: i64 = 30 * 24 * 60;
/// The most requests that a buyer may be allowed to have open.
const OPEN_MAX: i64 = 50;

/// What is read of `[charge]`; every key has a default.
pub(super) fn read(charge: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Terms {
    let usual = Terms::default();
    let mut minutes = |key: &str, default: i64| {
        let minutes = charge.integer(key, 1..=MINUTES_MAX, faults);
        minutes.map_or(default, |minutes| minutes.value.saturating_mul(MINUTE))
    };
    let deposit_within = minutes("deposit_within_m", usual.deposit_within);
    let pay_within = minutes("pay_within_m", usual.pay_within);
    let claim_window = minutes("claim_window_m", usual.claim_window);
    let confirm_within = minutes("confirm_within_m", usual.confirm_within);
    let alarm_after = minutes("alarm_after_m", usual.alarm_after);
    let alarm_every = minutes("alarm_every_m", usual.alarm_every);
    let known = (currency != Currency::NONE).then_some(currency);
    let open = charge.integer("open_max", 1..=OPEN_MAX, faults);
    let charge_limit_minor = limit(charge, "limit", known, faults);
    let day_limit_minor = limit(charge, "day_limit", known, faults);
    if let (Some(one), Some(day)) = (charge_limit_minor, day_limit_minor)
        && day < one
    {
        faults.add(&charge.span, "charge.day_limit", "is below limit");
    }
    Terms {
        deposit_within,
        pay_within,
        claim_window,
        confirm_within,
        alarm_after,
        alarm_every,
        charge_limit_minor,
        day_limit_minor,
        open_max: open.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(usual.open_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<Terms, Vec<document::Fault>> {
        let currency = Currency::new("CNY").unwrap();
        document::read(text, |root, faults| {
            let mut section = root.section("charge", faults)?;
            let terms = read(&mut section, currency, faults);
            section.finish(faults);
            Some(terms)
        })
    }

    #[test]
    fn terms_are_read() {
        let text = "[charge]\ndeposit_within_m = 30\npay_within_m = 90\nclaim_window_m = 20\nconfirm_within_m = 45\n\
                    alarm_after_m = 60\nalarm_every_m = 240\nlimit = \"500\"\nday_limit = \"5000\"\nopen_max = 3\n";
        let wanted = Terms {
            deposit_within: 30 * MINUTE,
            pay_within: 90 * MINUTE,
            claim_window: 20 * MINUTE,
            confirm_within: 45 * MINUTE,
            alarm_after: 60 * MINUTE,
            alarm_every: 240 * MINUTE,
            charge_limit_minor: Some(50_000),
            day_limit_minor: Some(500_000),
            open_max: 3,
        };
        assert_eq!(parse(text).unwrap(), wanted);
        assert_eq!(parse("[charge]\n").unwrap(), Terms::default(), "no limits unless they are given");
    }

    #[test]
    fn every_fault_is_named() {
        let bad = "[charge]\ndeposit_within_m = 0\npay_within_h = 2\nlimit = \"5.001\"\nopen_max = 51\n";
        let faults = parse(bad).unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:#?}");
        let faults = parse("[charge]\nlimit = \"50\"\nday_limit = \"49\"\n").unwrap_err();
        assert!(faults.len() == 1 && faults[0].message.contains("below limit"), "{faults:?}");
    }
}
