//! The tables of trade: `[asks]` and `[api]`, how merchants may have their customers asked and how fast they may ask us, with
//! `[orders]`, `[charge]` and `[close]` beside them.

use super::dayone::minutes;
use super::{charge, house, order, within};
use crate::connector::document::{Faults, Section};
use crate::connector::pace::{Limits, RATE_MAX};
use crate::money::Currency;
use crate::payment::ask::{Quiet, Rules, Way};
use crate::payment::charge::Terms;
use crate::payment::day::Statements;

/// Requests a second of one key, unless the configuration says otherwise.
const RATE: u32 = 20;
/// Requests of one key at once after a rest, unless the configuration says otherwise.
const BURST: u32 = 40;
/// The most asks about one order that can be configured.
const PER_ORDER_MAX: i64 = 100;
/// The most asks of a day that can be configured.
const DAY_MAX: i64 = 10_000_000;
/// The longest time between two asks that can be configured, seconds: a week.
const BETWEEN_MAX_S: i64 = 7 * 24 * 3_600;
const SECOND: i64 = 1_000_000;

/// What is read of these tables.
#[derive(Clone, Debug)]
pub struct Trade {
    /// Limits of orders, and where webhooks may go.
    pub orders: order::Orders,
    /// Times and limits of charging through the intermediary account.
    pub charging: Terms,
    /// How merchants may have their customers asked.
    pub asks: Rules,
    /// How many requests one key of the API may make.
    pub api: Limits,
    /// What the close of a day wants of statements.
    pub close: Statements,
}

pub(super) fn read(root: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Trade {
    Trade {
        orders: within(root, "orders", faults, |table, faults| order::read(table, currency, faults)),
        charging: within(root, "charge", faults, |table, faults| charge::read(table, currency, faults)),
        asks: within(root, "asks", faults, asks),
        api: within(root, "api", faults, api),
        close: within(root, "close", faults, house::close),
    }
}

/// What is read of `[asks]`; every key has a default.
pub(super) fn asks(asks: &mut Section<'_>, faults: &mut Faults<'_>) -> Rules {
    let usual = Rules::default();
    let mut ways = Vec::new();
    for text in asks.texts("ways", faults) {
        match Way::named(&text.value).filter(|way| !ways.contains(way)) {
            Some(way) => ways.push(way),
            None => faults.add(&text.span, &text.key, "expected ussd, sms and call, each once"),
        }
    }
    let quiet = asks.text("quiet", faults).and_then(|text| {
        let times =
            text.value.split_once('-').and_then(|(from, until)| Some((minutes(from)?, minutes(until)?)));
        let quiet = times.filter(|(from, until)| from != until).map(|(from, until)| Quiet { from, until });
        if quiet.is_none() {
            faults.add(&text.span, &text.key, "expected two times of day such as 21:00-08:00");
        }
        quiet
    });
    let ussd = asks.text("ussd", faults).map_or(usual.ussd, |text| {
        let form = text.value.starts_with('*') && text.value.ends_with('#');
        if !form || text.value.matches("{number}").count() != 1 {
            faults.add(
                &text.span,
                &text.key,
                "expected a USSD string with {number} in it, such as *126*{number}#",
            );
        }
        text.value
    });
    let between = asks.integer("between_s", 0..=BETWEEN_MAX_S, faults);
    let per_order = asks.integer("per_order", 0..=PER_ORDER_MAX, faults);
    let merchant_day = asks.integer("merchant_day", 0..=DAY_MAX, faults);
    let customer_day = asks.integer("customer_day", 0..=DAY_MAX, faults);
    Rules {
        ways: if ways.is_empty() { usual.ways } else { ways },
        per_order: per_order.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(usual.per_order),
        between_us: between.map_or(usual.between_us, |n| n.value.saturating_mul(SECOND)),
        merchant_day: merchant_day.map_or(usual.merchant_day, |n| n.value),
        customer_day: customer_day.map_or(usual.customer_day, |n| n.value),
        quiet,
        ussd,
    }
}

/// What is read of `[api]`: how many requests one key may make.
pub(super) fn api(api: &mut Section<'_>, faults: &mut Faults<'_>) -> Limits {
    let rate = api.integer("rate", 0..=i64::from(RATE_MAX), faults).and_then(|n| u32::try_from(n.value).ok());
    let burst =
        api.integer("burst", 1..=i64::from(RATE_MAX), faults).and_then(|n| u32::try_from(n.value).ok());
    Limits {
        rate: Some(rate.unwrap_or(RATE)).filter(|rate| *rate > 0),
        burst: burst.unwrap_or(BURST),
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<(Rules, Limits), Vec<document::Fault>> {
        document::read(text, |root, faults| {
            let mut of_asks = root.section("asks", faults).unwrap_or_else(|| Section::empty("asks"));
            let rules = asks(&mut of_asks, faults);
            of_asks.finish(faults);
            let mut of_api = root.section("api", faults).unwrap_or_else(|| Section::empty("api"));
            let limits = api(&mut of_api, faults);
            of_api.finish(faults);
            Some((rules, limits))
        })
    }

    #[test]
    fn asks_and_the_pace_of_the_api_are_read() {
        let text = "[asks]\nways = [\"sms\", \"ussd\"]\nper_order = 2\nbetween_s = 60\nmerchant_day = 7\n\
                    customer_day = 3\nquiet = \"21:00-08:00\"\nussd = \"*9*{number}#\"\n[api]\nrate = 5\nburst = 9\n";
        let (rules, limits) = parse(text).unwrap();
        let wanted = Rules {
            ways: vec![Way::Text, Way::Ussd],
            per_order: 2,
            between_us: 60 * SECOND,
            merchant_day: 7,
            customer_day: 3,
            quiet: Some(Quiet { from: 21 * 60, until: 8 * 60 }),
            ussd: "*9*{number}#".to_owned(),
        };
        assert_eq!((rules, limits.rate, limits.burst), (wanted, Some(5), 9));
        let (rules, limits) = parse("").unwrap();
        assert_eq!((rules, limits.rate, limits.burst), (Rules::default(), Some(RATE), BURST));
        assert_eq!(parse("[api]\nrate = 0\n").unwrap().1.rate, None);
    }

    #[test]
    fn every_fault_is_named() {
        for bad in [
            "[asks]\nways = [\"fax\"]\n",
            "[asks]\nways = [\"sms\", \"sms\"]\n",
            "[asks]\nquiet = \"21-8\"\n",
            "[asks]\nquiet = \"08:00-08:00\"\n",
            "[asks]\nussd = \"*126#\"\n",
            "[asks]\nussd = \"126*{number}#\"\n",
            "[asks]\nper_order = 101\n",
            "[asks]\ntries = 1\n",
            "[api]\nburst = 0\n",
            "[api]\nrate = -1\n",
        ] {
            assert_eq!(parse(bad).unwrap_err().len(), 1, "{bad}");
        }
    }
}
