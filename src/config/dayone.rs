//! The tables of an operator's everyday: `[[tier]]`, `[[maintenance]]`, `[retention]`, `[restore]`, `[test]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::limit;
use crate::connector::document::{Faults, Placed, Section};
use crate::money::Currency;
use crate::payment::tier::{TIERS_MAX, Tier};
use crate::payment::upkeep::{Retention, SCOPES, Unlock, Upkeep, WINDOWS_MAX, When, Window};

/// Longest name of a tier, characters.
const NAME_MAX: usize = 32;
/// Longest time that anything is kept, days; a hundred years.
const DAYS_MAX: i64 = 36_500;

/// What these tables say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DayOne {
    /// The tiers, the least trusted first.
    pub tiers: Vec<Tier>,
    /// Windows of maintenance, restore and retention.
    pub upkeep: Upkeep,
}

impl DayOne {
    /// Says where a daemon keeps the database's count: beside the file of SQLite, else beside the configuration.
    pub(super) fn beside(&mut self, database: &str, folder: &Path) {
        let file = match (self.upkeep.epoch_file.take(), database.strip_prefix("sqlite:")) {
            (Some(named), _) => folder.join(named),
            (None, Some(file)) => PathBuf::from(format!("{file}.epoch")),
            (None, None) => folder.join("keytone.epoch"),
        };
        self.upkeep.epoch_file = Some(file);
    }
}

/// What is read of these tables. `zone` is the market's.
pub(super) fn read(
    root: &mut Section<'_>,
    currency: Currency,
    zone: &jiff::tz::TimeZone,
    faults: &mut Faults<'_>,
) -> DayOne {
    let known = (currency != Currency::NONE).then_some(currency);
    let mut tiers: Vec<Tier> = Vec::new();
    for mut section in root.sections("tier", faults) {
        let tier = tier(&mut section, known, faults);
        if tiers.iter().any(|other| other.name == tier.name) {
            faults.add(&section.span, &section.key, "has the name of another tier");
        }
        if tiers.len() == TIERS_MAX {
            faults.add(&section.span, &section.key, format!("expected at most {TIERS_MAX} tiers"));
        }
        section.finish(faults);
        tiers.push(tier);
    }
    let mut windows = Vec::new();
    for mut section in root.sections("maintenance", faults) {
        windows.extend(window(&mut section, zone, faults));
        if windows.len() > WINDOWS_MAX {
            faults.add(&section.span, &section.key, format!("expected at most {WINDOWS_MAX} windows"));
        }
        section.finish(faults);
    }
    let retention = super::within(root, "retention", faults, retention);
    let mut epoch_file = None;
    let unlock = super::within(root, "restore", faults, |restore, faults| {
        epoch_file = restore.text("epoch_file", faults).map(|text| PathBuf::from(text.value));
        let text = restore.text("unlock", faults);
        match text.as_ref().map(|text| text.value.as_str()) {
            None | Some("staff") => Unlock::Staff,
            Some("resolved") => Unlock::Resolved,
            Some(_) => {
                wrong(text.as_ref(), "expected \"staff\" or \"resolved\"", faults);
                Unlock::Staff
            }
        }
    });
    let test_connector = super::within(root, "test", faults, |test, faults| {
        test.text("connector", faults).map(|text| text.value)
    });
    DayOne { tiers, upkeep: Upkeep { test_connector, windows, unlock, retention, epoch_file } }
}

fn wrong(text: Option<&Placed<String>>, message: &str, faults: &mut Faults<'_>) {
    if let Some(text) = text {
        faults.add(&text.span, &text.key, message);
    }
}

fn tier(tier: &mut Section<'_>, currency: Option<Currency>, faults: &mut Faults<'_>) -> Tier {
    let name = tier.need_text("name", faults);
    if let Some(name) = &name
        && (name.value.is_empty()
            || name.value.chars().count() > NAME_MAX
            || !name.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
    {
        let wanted = format!("expected 1 to {NAME_MAX} lower-case letters, digits and hyphens");
        faults.add(&name.span, &name.key, wanted);
    }
    let mut money = |key: &str| limit(tier, key, currency, faults);
    Tier {
        name: name.map(|text| text.value).unwrap_or_default(),
        balance_max_minor: money("balance_max"),
        day_limit_minor: money("day_limit"),
        payment_limit_minor: money("payment_limit"),
        bill_day_limit_minor: money("bill_day_limit"),
        order_day_limit_minor: money("order_day_limit"),
    }
}

fn window(section: &mut Section<'_>, zone: &jiff::tz::TimeZone, faults: &mut Faults<'_>) -> Option<Window> {
    let scope = section.need_text("scope", faults);
    if let Some(text) = scope.as_ref().filter(|text| !SCOPES.contains(&text.value.as_str())) {
        faults.add(&text.span, &text.key, format!("expected one of {}", SCOPES.join(", ")));
    }
    let whole = scope.as_ref().is_some_and(|text| text.value == "whole");
    let key = if whole { section.text("key", faults) } else { section.need_text("key", faults) };
    if whole {
        wrong(key.as_ref(), "the whole has no key", faults);
    }
    let daily = section.text("daily", faults);
    let (from, until) = (section.text("from", faults), section.text("until", faults));
    let when = match (&daily, &from, &until) {
        (Some(daily), None, None) => {
            let times = daily.value.split_once('-').and_then(|(a, b)| Some((minutes(a)?, minutes(b)?)));
            let times = times.filter(|(from, until)| from != until);
            if times.is_none() {
                wrong(Some(daily), "expected two times of day such as 23:30-01:00", faults);
            }
            times.map(|(from, until)| When::Daily { from, until })
        }
        (None, Some(from_text), Some(until_text)) => {
            let from = moment(from_text, zone, faults);
            let until = moment(until_text, zone, faults);
            match (from, until) {
                (Some(from), Some(until)) if from < until => Some(When::Once { from, until }),
                (Some(_), Some(_)) => {
                    wrong(Some(until_text), "is not after `from`", faults);
                    None
                }
                _ => None,
            }
        }
        _ => {
            let wanted = "expected either `daily`, or both `from` and `until`";
            faults.add(&section.span, &section.key, wanted);
            None
        }
    };
    Some(Window { scope: scope?.value, key: key.map(|key| key.value).unwrap_or_default(), when: when? })
}

/// The minute of the day of `23:30`.
pub(super) fn minutes(text: &str) -> Option<i64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let part = |text: &str, below: i64| {
        text.parse::<i64>().ok().filter(|n| text.len() == 2 && (0..below).contains(n))
    };
    Some(part(hour, 24)?.saturating_mul(60).saturating_add(part(minute, 60)?))
}

fn moment(text: &Placed<String>, zone: &jiff::tz::TimeZone, faults: &mut Faults<'_>) -> Option<i64> {
    let at = local(&text.value, zone);
    if at.is_none() {
        wrong(Some(text), "expected a day and a time such as 2026-12-01T02:00", faults);
    }
    at
}

/// Microseconds of `2026-12-01T02:00` on the clocks of a zone.
#[must_use]
pub fn local(text: &str, zone: &jiff::tz::TimeZone) -> Option<i64> {
    let civil: jiff::civil::DateTime = text.trim().replace(' ', "T").parse().ok()?;
    civil.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp().as_microsecond())
}

fn retention(section: &mut Section<'_>, faults: &mut Faults<'_>) -> Retention {
    let usual = Retention::default();
    let mut days = |key: &str, usual: Option<Duration>| match section.integer(key, 0..=DAYS_MAX, faults) {
        None => usual,
        Some(days) => {
            let days = u64::try_from(days.value).unwrap_or(0);
            (days > 0).then(|| Duration::from_secs(days.saturating_mul(86_400)))
        }
    };
    Retention {
        texts: days("texts_days", usual.texts),
        answers: days("answers_days", usual.answers),
        history: days("history_days", usual.history),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<DayOne, Vec<document::Fault>> {
        let (currency, zone) = (Currency::new("CNY").unwrap(), jiff::tz::TimeZone::UTC);
        document::read(text, |root, faults| Some(read(root, currency, &zone, faults)))
    }

    #[test]
    fn the_tables_are_read() {
        let read = parse(
            "[[tier]]\nname = \"basic\"\nbalance_max = \"1000\"\nday_limit = \"200\"\n[[tier]]\nname = \"firm\"\n\
             [[maintenance]]\nscope = \"carrier\"\nkey = \"acme\"\ndaily = \"23:30-01:00\"\n\
             [[maintenance]]\nscope = \"whole\"\nfrom = \"1970-01-02T00:01\"\nuntil = \"1970-01-02 02:00\"\n\
             [retention]\ntexts_days = 7\nhistory_days = 400\nanswers_days = 0\n[restore]\nunlock = \"resolved\"\n\
             [test]\nconnector = \"sandbox\"\n",
        )
        .unwrap();
        assert_eq!(read.tiers.len(), 2);
        assert_eq!(
            (read.tiers[0].balance_max_minor, read.tiers[0].day_limit_minor),
            (Some(100_000), Some(20_000))
        );
        assert_eq!(read.tiers[1], Tier::named("firm"));
        assert_eq!(read.upkeep.windows[0].when, When::Daily { from: 23 * 60 + 30, until: 60 });
        let minute = 60_000_000;
        let once = When::Once { from: 1_441 * minute, until: 1_560 * minute };
        assert_eq!(read.upkeep.windows[1].when, once);
        assert_eq!(read.upkeep.unlock, Unlock::Resolved);
        assert_eq!(read.upkeep.test_connector.as_deref(), Some("sandbox"));
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let kept = read.upkeep.retention;
        assert_eq!((kept.texts, kept.answers, kept.history), (days(7), None, days(400)));
        assert_eq!(parse("").unwrap(), DayOne::default());
    }

    #[test]
    fn every_fault_is_named() {
        let bad = [
            "[[tier]]\nname = \"Gold\"\n",
            "[[tier]]\nname = \"a\"\n[[tier]]\nname = \"a\"\n",
            "[[tier]]\nname = \"a\"\nday_limit = \"1.001\"\n",
            "[[maintenance]]\nscope = \"moon\"\nkey = \"a\"\ndaily = \"01:00-02:00\"\n",
            "[[maintenance]]\nscope = \"product\"\ndaily = \"01:00-02:00\"\n",
            "[[maintenance]]\nscope = \"whole\"\nkey = \"a\"\ndaily = \"01:00-02:00\"\n",
            "[[maintenance]]\nscope = \"whole\"\ndaily = \"1:00-25:00\"\n",
            "[[maintenance]]\nscope = \"whole\"\nfrom = \"2026-12-01T02:00\"\n",
            "[[maintenance]]\nscope = \"whole\"\nfrom = \"2026-12-01T02:00\"\nuntil = \"2026-12-01T01:00\"\n",
            "[[maintenance]]\nscope = \"whole\"\nfrom = \"tomorrow\"\nuntil = \"2026-12-01T01:00\"\n",
            "[restore]\nunlock = \"never\"\n",
            "[retention]\ntexts_days = -1\n",
        ];
        for text in bad {
            assert_eq!(parse(text).unwrap_err().len(), 1, "{text}");
        }
    }
}
