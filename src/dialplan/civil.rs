//! Days and times of day as people say them, in the market's zone. Pure arithmetic of the calendar; nothing here knows
//! what day it is.

use std::fmt;

/// The years that a date may have.
pub const YEARS: std::ops::RangeInclusive<i32> = 1900..=2199;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "(i32, u8, u8)", into = "(i32, u8, u8)")]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

/// What is no day.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no such day")]
pub struct NoSuchDay;

impl Date {
    /// A day that exists, in [`YEARS`].
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        (YEARS.contains(&year) && (1..=12).contains(&month) && day >= 1 && day <= days_of(year, month))
            .then_some(Self { year, month, day })
    }

    /// The year.
    #[must_use]
    pub const fn year(self) -> i32 {
        self.year
    }

    /// 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// 1 to 31.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01 (Howard Hinnant's `days_from_civil`).
    #[must_use]
    pub const fn days(self) -> i64 {
        let month = self.month as i64;
        let year = self.year as i64 - (month <= 2) as i64;
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + self.day as i64 - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The day so many days after 1970-01-01, in [`YEARS`].
    #[must_use]
    pub fn from_days(days: i64) -> Option<Self> {
        let shifted = days.checked_add(719_468)?;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = u8::try_from(of_year - (153 * shifted_month + 2) / 5 + 1).ok()?;
        let month =
            u8::try_from(if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 }).ok()?;
        let year = i32::try_from(year_of_era + era * 400 + i64::from(month <= 2)).ok()?;
        Self::new(year, month, day)
    }

    /// The day so many days later, or earlier.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Option<Self> {
        Self::from_days(self.days().checked_add(days)?)
    }

    /// The next such day of a year from a day on, that day itself included; the 29th of February may be years away.
    #[must_use]
    pub fn next(day: u8, month: u8, from: Self) -> Option<Self> {
        // Two leap years are at most eight years apart.
        (from.year..=from.year + 8).filter_map(|year| Self::new(year, month, day)).find(|date| *date >= from)
    }

    /// 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(self) -> u8 {
        u8::try_from((self.days() + 3).rem_euclid(7)).unwrap_or_default()
    }

    /// Reads `2026-12-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = |part: &str, size| part.len() == size && part.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !plain(year, 4) || !plain(month, 2) || !plain(day, 2) {
            return None;
        }
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }
}

const fn days_of(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl TryFrom<(i32, u8, u8)> for Date {
    type Error = NoSuchDay;

    fn try_from((year, month, day): (i32, u8, u8)) -> Result<Self, NoSuchDay> {
        Self::new(year, month, day).ok_or(NoSuchDay)
    }
}

impl From<Date> for (i32, u8, u8) {
    fn from(date: Date) -> Self {
        (date.year, date.month, date.day)
    }
}

/// A time of day, to the minute: 0 to 1,439 minutes after midnight.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Time(u16);

/// What is no time of day.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no such time of day")]
pub struct NoSuchTime;

impl Time {
    /// A time that exists.
    #[must_use]
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        (hour < 24 && minute < 60).then(|| Self(u16::from(hour) * 60 + u16::from(minute)))
    }

    /// 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u8 {
        (self.0 / 60 % 24) as u8
    }

    /// 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u8 {
        (self.0 % 60) as u8
    }

    /// Reads `08:00`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let plain = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(hour) || !plain(minute) || minute.len() != 2 {
            return None;
        }
        Self::new(hour.parse().ok()?, minute.parse().ok()?)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl TryFrom<u16> for Time {
    type Error = NoSuchTime;

    fn try_from(minutes: u16) -> Result<Self, NoSuchTime> {
        if minutes < 24 * 60 { Ok(Self(minutes)) } else { Err(NoSuchTime) }
    }
}

impl From<Time> for u16 {
    fn from(time: Time) -> Self {
        time.0
    }
}

/// When a session began, in the market's zone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Moment {
    /// The day.
    pub date: Date,
    /// The time of day.
    pub time: Time,
}

impl Moment {
    /// So many minutes after midnight of 1970-01-01; nothing outside of [`YEARS`].
    #[must_use]
    pub fn from_minutes(minutes: i64) -> Option<Self> {
        let date = Date::from_days(minutes.div_euclid(1_440))?;
        let time = Time(u16::try_from(minutes.rem_euclid(1_440)).ok()?);
        Some(Self { date, time })
    }
}

impl Default for Moment {
    /// Noon of the first day of 2000: for states that no session has begun.
    fn default() -> Self {
        Self { date: Date { year: 2000, month: 1, day: 1 }, time: Time(12 * 60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_and_come_back() {
        for (text, days, weekday) in [
            ("1970-01-01", 0, 3),
            ("2000-02-29", 11_016, 1),
            ("2026-11-22", 20_779, 6),
            ("1900-03-01", -25_508, 3),
        ] {
            let date = Date::parse(text).unwrap();
            assert_eq!((date.days(), date.weekday(), date.to_string()), (days, weekday, text.to_owned()));
            assert_eq!(Date::from_days(days), Some(date));
        }
        let mut date = Date::new(1900, 1, 1).unwrap();
        while let Some(next) = date.plus_days(1) {
            assert_eq!(next.days(), date.days() + 1);
            assert_eq!(next.weekday(), (date.weekday() + 1) % 7);
            date = next;
        }
        assert_eq!(date.to_string(), "2199-12-31");
    }

    #[test]
    fn the_next_such_day() {
        let next = |day, month, from: &str| {
            Date::next(day, month, Date::parse(from).unwrap()).map(|date| date.to_string())
        };
        assert_eq!(next(31, 12, "2026-11-22").as_deref(), Some("2026-12-31"));
        assert_eq!(next(22, 11, "2026-11-22").as_deref(), Some("2026-11-22"));
        assert_eq!(next(21, 11, "2026-11-22").as_deref(), Some("2027-11-21"));
        assert_eq!(next(29, 2, "2026-11-22").as_deref(), Some("2028-02-29"));
        assert_eq!(next(29, 2, "2096-03-01").as_deref(), Some("2104-02-29"));
        assert_eq!(next(30, 2, "2026-11-22"), None);
        assert_eq!(next(1, 1, "2199-12-31"), None);
    }

    #[test]
    fn what_is_no_day_or_time_is_refused() {
        for text in ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "1899-12-31", "2026-01-01-", "x"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        for text in ["24:00", "8:5", "08:60", "8", "+8:00", ""] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        assert_eq!(Time::parse("8:05").unwrap().to_string(), "08:05");
        assert!(serde_json::from_str::<Date>("[2026,2,30]").is_err());
        assert!(serde_json::from_str::<Time>("1440").is_err());
    }
}
