//! The table `[alarm]`: what staff are told of, when, and where.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::limit;
use super::smpp::secret;
use crate::connector::document::{Faults, Section};
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::alarm::{NUMBERS_MAX, Rules};
use crate::payment::webhook;
use crate::secret::Secret;

/// Longest time that can be configured, seconds: a month.
const SECONDS_MAX: i64 = 31 * 24 * 3_600;

/// What is read of `[alarm]`.
pub(super) fn read(
    alarm: &mut Section<'_>,
    currency: Currency,
    faults: &mut Faults<'_>,
    folder: &Path,
) -> Rules {
    let usual = Rules::default();
    let known = (currency != Currency::NONE).then_some(currency);
    let time = |alarm: &mut Section<'_>, key: &str, default: Duration, faults: &mut Faults<'_>| {
        let seconds = alarm.integer(key, 1..=SECONDS_MAX, faults).and_then(|n| u64::try_from(n.value).ok());
        seconds.map_or(default, Duration::from_secs)
    };
    let webhook = alarm.text("webhook", faults);
    if let Some(url) = &webhook
        && let Err(why) = webhook::check_url(&url.value, true)
    {
        faults.add(&url.span, &url.key, why.to_string());
    }
    let named = alarm.has("key_env") || alarm.has("key_file");
    let key = if webhook.is_some() || named { secret(alarm, "key", folder, faults) } else { None };
    let mut numbers = Vec::new();
    for text in alarm.texts("numbers", faults) {
        match Msisdn::parse(&text.value) {
            Ok(number) => numbers.push(number),
            Err(_) => faults.add(&text.span, &text.key, "expected a number such as +8613800000001"),
        }
    }
    if numbers.len() > NUMBERS_MAX {
        let span = alarm.span.clone();
        faults.add(&span, "alarm.numbers", format!("expected at most {NUMBERS_MAX} numbers"));
    }
    let mut floats = BTreeMap::new();
    if let Some(mut section) = alarm.section("floats", faults) {
        for connector in section.keys() {
            if let Some(least_minor) = limit(&mut section, &connector, known, faults) {
                floats.insert(connector, least_minor);
            }
        }
        section.finish(faults);
    }
    Rules {
        every: time(alarm, "every_s", usual.every, faults),
        repeat: time(alarm, "repeat_s", usual.repeat, faults),
        webhook: webhook.map(|url| url.value),
        key: key.map(|key| Secret::from(key.text())),
        numbers,
        float_least_minor: limit(alarm, "float_least", known, faults),
        floats,
        unknown_age: time(alarm, "unknown_age_s", usual.unknown_age, faults),
        dispute_age: time(alarm, "dispute_age_s", usual.dispute_age, faults),
        bind_down: time(alarm, "bind_down_s", usual.bind_down, faults),
        breaker_open: time(alarm, "breaker_open_s", usual.breaker_open, faults),
        trust_short_minor: limit(alarm, "trust_short", known, faults),
        days_open: alarm.integer("days_open", 1..=366, faults).map_or(usual.days_open, |n| n.value),
        verify_every: alarm
            .integer("verify_every_s", 60..=SECONDS_MAX, faults)
            .and_then(|n| u64::try_from(n.value).ok())
            .map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str, folder: &Path) -> Result<Rules, Vec<document::Fault>> {
        let currency = Currency::new("CNY").unwrap();
        document::read(text, |root, faults| {
            let mut section = root.section("alarm", faults).unwrap_or_else(|| Section::empty("alarm"));
            let rules = read(&mut section, currency, faults, folder);
            section.finish(faults);
            Some(rules)
        })
    }

    #[test]
    fn alarms_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("alarm.key"), "0123456789abcdef\n").unwrap();
        let text = "[alarm]\nwebhook = \"http://10.0.0.7/hook\"\nkey_file = \"alarm.key\"\n\
            numbers = [\"+8613800000001\"]\nfloat_least = \"1000\"\nrepeat_s = 60\nverify_every_s = 3600\n\
            trust_short = \"5.50\"\n[alarm.floats]\nacme = \"200\"\n";
        let rules = parse(text, dir.path()).unwrap();
        assert_eq!(rules.webhook.as_deref(), Some("http://10.0.0.7/hook"));
        assert_eq!(rules.key.unwrap().expose(), b"0123456789abcdef");
        assert_eq!((rules.float_least_minor, rules.floats["acme"]), (Some(100_000), 20_000));
        assert_eq!((rules.repeat, rules.trust_short_minor), (Duration::from_secs(60), Some(550)));
        assert_eq!(rules.verify_every, Some(Duration::from_secs(3_600)));
        let empty = parse("", dir.path()).unwrap();
        assert_eq!((empty.webhook, empty.unknown_age), (None, Rules::default().unknown_age));
    }

    #[test]
    fn every_fault_is_named() {
        let text = "[alarm]\nwebhook = \"ftp://x\"\nnumbers = [\"12\"]\nfloat_least = \"x\"\nevery = 5\n\
            days_open = 0\n[alarm.floats]\nacme = \"y\"\n";
        let faults = parse(text, Path::new(".")).unwrap_err();
        let said = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for wanted in ["webhook", "numbers", "float_least", "every", "days_open", "acme", "key_file"] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }
}
