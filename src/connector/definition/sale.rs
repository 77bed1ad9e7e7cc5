//! `[amounts]`, `[products]`, `[limits]` and `[breaker]` of a connector's file: what a carrier sells, how fast it may
//! be asked, and when it is left alone.

use std::collections::BTreeMap;

use crate::connector::breaker::Thresholds;
use crate::connector::contract::Amounts;
use crate::connector::definition::{Reader, TIMEOUT_MAX_MS};
use crate::connector::document::{Placed, Section};
use crate::connector::pace::{Limits, RATE_MAX};
use crate::money::{Currency, Money};

/// At most this many requests may be under way at one carrier at once.
const AT_ONCE_MAX: i64 = 10_000;
/// A window or pause of the breaker may be at most this long, in milliseconds: an hour.
const BREAKER_MAX_MS: i64 = 3_600_000;
/// The breaker may want at most this many requests before it judges.
const LEAST_MAX: i64 = 1_000;

impl Reader<'_, '_> {
    /// The amounts that are sold, and what the carrier calls them.
    pub(super) fn sale(
        &mut self,
        root: &mut Section<'_>,
        currency: Option<Currency>,
    ) -> (Amounts, BTreeMap<i64, String>) {
        let currency = currency.unwrap_or(Currency::NONE);
        let mut products = BTreeMap::new();
        if let Some(mut section) = root.section("products", self.faults) {
            for amount in section.keys() {
                let Some(name) = section.text(&amount, self.faults) else { continue };
                match Money::parse(&amount, currency) {
                    Ok(money) if money.minor > 0 => {
                        if products.insert(money.minor, name.value).is_some() {
                            self.faults.add(&name.span, &name.key, "is the same amount as another one");
                        }
                    }
                    Ok(_) => self.faults.add(&name.span, &name.key, "expected an amount above zero"),
                    Err(error) => self.faults.add(&name.span, &name.key, error.to_string()),
                }
            }
        }
        let mut amounts = match products.keys().next() {
            Some(_) => Amounts::Fixed(products.keys().map(|minor| Money::new(*minor, currency)).collect()),
            None => Amounts::Any,
        };
        if let Some(section) = root.section("amounts", self.faults) {
            if !products.is_empty() {
                let wanted = "the amounts are those of [products]";
                self.faults.add(&section.span, &section.key, wanted);
            }
            amounts = self.amounts(section, currency).unwrap_or_default();
        }
        (amounts, products)
    }

    fn amounts(&mut self, mut section: Section<'_>, currency: Currency) -> Option<Amounts> {
        let fixed: Vec<Money> = section
            .texts("fixed", self.faults)
            .into_iter()
            .filter_map(|text| self.money(&text, currency))
            .collect();
        if !fixed.is_empty() {
            section.finish(self.faults);
            return Some(Amounts::Fixed(fixed));
        }
        let min = section.need_text("min", self.faults).and_then(|t| self.money(&t, currency));
        let max = section.need_text("max", self.faults);
        let span = max.as_ref().map(|t| (t.span.clone(), t.key.clone()));
        let max = max.and_then(|t| self.money(&t, currency));
        let step = match section.text("step", self.faults) {
            Some(text) => self.money(&text, currency).map(|m| m.minor),
            None => Some(1),
        };
        section.finish(self.faults);
        let (min, max, step_minor) = (min?, max?, step?);
        if max.minor < min.minor {
            let (span, key) = span?;
            self.faults.add(&span, &key, "expected no less than min");
        }
        Some(Amounts::Range { min, max, step_minor })
    }

    fn money(&mut self, text: &Placed<String>, currency: Currency) -> Option<Money> {
        match Money::parse(&text.value, currency) {
            Ok(money) if money.minor > 0 => Some(money),
            Ok(_) => {
                self.faults.add(&text.span, &text.key, "expected an amount above zero");
                None
            }
            Err(error) => {
                self.faults.add(&text.span, &text.key, error.to_string());
                None
            }
        }
    }

    pub(super) fn limits(&mut self, root: &mut Section<'_>) -> Limits {
        let usual = Limits::default();
        let Some(mut section) = root.section("limits", self.faults) else { return usual };
        let rate = self.whole(&mut section, "requests_per_second", i64::from(RATE_MAX));
        let burst = self.whole(&mut section, "burst", i64::from(RATE_MAX));
        let at_once = self.whole(&mut section, "at_once", AT_ONCE_MAX);
        let wait = self.millis(&mut section, "wait_ms", 2_000, TIMEOUT_MAX_MS);
        section.finish(self.faults);
        Limits {
            rate,
            burst: burst.unwrap_or(usual.burst),
            at_once: at_once.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual.at_once),
            wait,
        }
    }

    pub(super) fn breaker(&mut self, root: &mut Section<'_>) -> Thresholds {
        let usual = Thresholds::default();
        let Some(mut section) = root.section("breaker", self.faults) else { return usual };
        let window = self.millis(&mut section, "window_ms", 30_000, BREAKER_MAX_MS);
        let least = self.whole(&mut section, "least_requests", LEAST_MAX);
        let percent = self.whole(&mut section, "percent", 100);
        let pause = self.millis(&mut section, "pause_ms", 15_000, BREAKER_MAX_MS);
        section.finish(self.faults);
        Thresholds {
            window,
            least: least.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual.least),
            percent: percent.unwrap_or(usual.percent),
            pause,
        }
    }

    fn whole(&mut self, section: &mut Section<'_>, key: &str, max: i64) -> Option<u32> {
        section.integer(key, 1..=max, self.faults).and_then(|p| u32::try_from(p.value).ok())
    }
}
