//! How dates, times of day and spans of time are said and shown.

use crate::dialplan::numbers::Numbers;
use crate::dialplan::numbers::plural::{Counted, Plural};
use crate::dialplan::numbers::rule::{Filling, Part, Slot};
use crate::dialplan::speak::Sound;

const MINUTE_SECONDS: u64 = 60;
const HOUR_SECONDS: u64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// The section `date` with the names of `months`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct DateRule {
    pub(super) say: Vec<Part>,
    pub(super) show: String,
    /// How screens name the months.
    pub(super) short: Vec<String>,
    pub(super) months: Vec<Vec<Part>>,
}

/// The section `time`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct TimeRule {
    /// Whether hours run from 1 to 12.
    pub(super) twelve: bool,
    /// Hours added before they are said, 0 to 23: Swahili counts from sunrise.
    pub(super) shift: u8,
    pub(super) say: Vec<Part>,
    /// When there are no minutes.
    pub(super) full: Vec<Part>,
    pub(super) show: String,
    /// From which hour on, in order.
    pub(super) day_parts: Vec<(u8, Vec<Part>)>,
}

/// A section `duration UNIT`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct DurationRule {
    pub(super) say: Counted,
    pub(super) show: String,
    pub(super) show_one: String,
}

/// The units that spans of time are said in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
}

impl Unit {
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("minute", Self::Minute), ("hour", Self::Hour), ("day", Self::Day)];

    /// The unit that people would choose, and how many of it: minutes up to two hours, hours up to two days,
    /// rounded half up. Whatever is not nothing is at least a minute.
    fn of(seconds: u64) -> (Self, u64) {
        let rounded = |unit: u64| seconds / unit + u64::from(seconds % unit * 2 >= unit);
        let (minutes, hours) = (rounded(MINUTE_SECONDS), rounded(HOUR_SECONDS));
        if minutes < 120 && minutes != 60 {
            (Self::Minute, minutes.max(u64::from(seconds > 0)))
        } else if hours < 48 && hours != 24 {
            (Self::Hour, hours)
        } else {
            (Self::Day, rounded(DAY_SECONDS))
        }
    }
}

impl Numbers {
    /// Whether dates can be said.
    #[must_use]
    pub const fn has_date(&self) -> bool {
        !self.date.say.is_empty()
    }

    /// Whether times of day can be said.
    #[must_use]
    pub const fn has_time(&self) -> bool {
        !self.time.say.is_empty()
    }

    /// Whether spans of time can be said.
    #[must_use]
    pub fn has_duration(&self) -> bool {
        self.durations.iter().all(|rule| !rule.say.other.is_empty())
    }

    /// A date of the Gregorian calendar; `month` is 1 to 12, `day` 1 to 31.
    pub fn date(&self, year: i32, month: u8, day: u8, out: &mut Vec<Sound>) {
        let year: u64 = year.unsigned_abs().into();
        if !self.has_date() {
            for number in [year, month.into(), day.into()] {
                self.rules.number(None, number, out);
            }
            return;
        }
        let name = self.month(month);
        let fill = |slot| match slot {
            Slot::Day => Filling::Number(day.into()),
            Slot::Month => name.map_or_else(|| Filling::Number(month.into()), Filling::Parts),
            Slot::Year => Filling::Number(year),
            _ => Filling::Nothing,
        };
        self.rules.say(&self.date.say, &fill, out);
    }

    fn month(&self, month: u8) -> Option<&[Part]> {
        let months = &self.date.months;
        months.get(usize::from(month).checked_sub(1)?).map(Vec::as_slice).filter(|name| !name.is_empty())
    }

    /// A time of day; `hour` is 0 to 23, `minute` 0 to 59.
    pub fn time(&self, hour: u8, minute: u8, out: &mut Vec<Sound>) {
        let rule = &self.time;
        let fill = |slot| match slot {
            Slot::Hour => Filling::Number(self.hour(hour).into()),
            Slot::Minute => Filling::Number(minute.into()),
            Slot::DayPart => Filling::Parts(self.day_part(hour)),
            _ => Filling::Nothing,
        };
        if !self.has_time() {
            self.rules.number(None, hour.into(), out);
            return self.rules.number(None, minute.into(), out);
        }
        let full = minute == 0 && !rule.full.is_empty();
        self.rules.say(if full { &rule.full } else { &rule.say }, &fill, out);
    }

    /// The hour as the language counts it.
    fn hour(&self, hour: u8) -> u8 {
        let hour = (hour % 24 + self.time.shift) % 24;
        if self.time.twelve { (hour + 11) % 12 + 1 } else { hour }
    }

    fn day_part(&self, hour: u8) -> &[Part] {
        let parts = &self.time.day_parts;
        // Before the first of the day it is still what the evening before was.
        let found = parts.iter().rev().find(|(from, _)| *from <= hour).or_else(|| parts.last());
        found.map_or(&[], |(_, words)| words.as_slice())
    }

    /// A span of time in minutes, hours or days, rounded.
    pub fn duration(&self, seconds: u64, out: &mut Vec<Sound>) {
        let (unit, count) = Unit::of(seconds);
        let Some(rule) = self.duration_rule(unit).filter(|rule| !rule.say.other.is_empty()) else {
            return self.rules.number(None, count, out);
        };
        let fill = |slot| match slot {
            Slot::Number => Filling::Number(count),
            _ => Filling::Nothing,
        };
        self.rules.say(rule.say.form(self.plural.class(count)), &fill, out);
    }

    fn duration_rule(&self, unit: Unit) -> Option<&DurationRule> {
        self.durations.get(unit as usize)
    }

    /// `22 Nov 2026`, `2026-11-22`.
    #[must_use]
    pub fn show_date(&self, year: i32, month: u8, day: u8) -> String {
        let rule = &self.date;
        if rule.show.is_empty() {
            return format!("{year:04}-{month:02}-{day:02}");
        }
        let short = usize::from(month).checked_sub(1).and_then(|index| rule.short.get(index));
        rule.show
            .replace("{d}", &day.to_string())
            .replace("{dd}", &format!("{day:02}"))
            .replace("{m}", &month.to_string())
            .replace("{mm}", &format!("{month:02}"))
            .replace("{mon}", short.map_or(&month.to_string(), |name| name))
            .replace("{y}", &format!("{year:04}"))
    }

    /// `15:05`, `3:05 pm`.
    #[must_use]
    pub fn show_time(&self, hour: u8, minute: u8) -> String {
        if self.time.show.is_empty() {
            return format!("{hour:02}:{minute:02}");
        }
        self.time
            .show
            .replace("{h}", &self.hour(hour).to_string())
            .replace("{hh}", &format!("{hour:02}"))
            .replace("{mm}", &format!("{minute:02}"))
            .replace("{part}", &words(self.day_part(hour)))
    }

    /// `30 min`, `2 days`.
    #[must_use]
    pub fn show_duration(&self, seconds: u64) -> String {
        let (unit, count) = Unit::of(seconds);
        let plain = match unit {
            Unit::Minute => "{n} min",
            Unit::Hour => "{n} h",
            Unit::Day => "{n} d",
        };
        let show = match self.duration_rule(unit) {
            Some(rule) if self.plural.class(count) == Plural::One && !rule.show_one.is_empty() => {
                &rule.show_one
            }
            Some(rule) if !rule.show.is_empty() => &rule.show,
            _ => plain,
        };
        show.replace("{n}", &count.to_string())
    }
}

/// Words as a screen shows them.
fn words(parts: &[Part]) -> String {
    let words = parts.iter().filter_map(|part| match part {
        Part::Atom(atom) => Some(&*atom.word),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" ")
}
