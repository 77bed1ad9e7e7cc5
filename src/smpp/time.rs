//! Times on the wire (SMPP 3.4 §7.1.1): `YYMMDDhhmmsstnnp`, absolute with quarters of an hour from UTC, or relative.

use bytes::Bytes;

/// A time as a PDU has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stamp {
    /// An instant, microseconds UTC.
    At(i64),
    /// Seconds from when the SMSC has it. Years are 365 days and months 30.
    After(u64),
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;
/// The longest relative time that has a form: a month less than a hundred years keeps every field in two digits.
const LONGEST: u64 = 99 * YEAR + 11 * MONTH;
const MICROS: i64 = 1_000_000;

/// Reads a time of 16 octets. Tenths of a relative time are passed over.
#[must_use]
pub fn parse(octets: &[u8]) -> Option<Stamp> {
    let [digits @ .., sign] = octets else { return None };
    let digits: &[u8; 15] = digits.try_into().ok()?;
    let [year, month, day, hour, minute, second] = civil_fields(digits)?;
    let tenth = digit(digits[12])?;
    let quarters = two(digits[13], digits[14])?;
    if *sign == b'R' {
        let [year, month, day, hour, minute, second] =
            [year, month, day, hour, minute, second].map(u64::from);
        return Some(Stamp::After(
            year * YEAR + month * MONTH + day * DAY + hour * HOUR + minute * MINUTE + second,
        ));
    }
    let seconds = utc(2000 + i64::from(year), [month, day, hour, minute, second])?;
    let offset = i64::from(quarters) * 15 * 60;
    let seconds = match sign {
        _ if quarters > 48 => return None,
        b'+' => seconds - offset,
        b'-' => seconds + offset,
        _ => return None,
    };
    Some(Stamp::At(seconds * MICROS + i64::from(tenth) * MICROS / 10))
}

fn civil_fields(digits: &[u8; 15]) -> Option<[u8; 6]> {
    let mut fields = [0; 6];
    for (field, pair) in fields.iter_mut().zip(digits.as_chunks::<2>().0) {
        *field = two(pair[0], pair[1])?;
    }
    Some(fields)
}

fn digit(octet: u8) -> Option<u8> {
    octet.is_ascii_digit().then(|| octet - b'0')
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Seconds UTC of a civil time, or nothing if there is no such day or hour.
pub(crate) fn utc(year: i64, [month, day, hour, minute, second]: [u8; 5]) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > days || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 by years that begin in March, so that a leap day is the last.
    let (month, day) = (i64::from(month), i64::from(day));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468;
    Some(((days * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second))
}

/// The civil time of seconds UTC: year, month, day, hour, minute, second.
pub(crate) fn civil(seconds: i64) -> [i64; 6] {
    let days = seconds.div_euclid(86_400) + 719_468;
    let of_day = seconds.rem_euclid(86_400);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    [year + era * 400 + next, month, day, of_day / 3_600, of_day / 60 % 60, of_day % 60]
}

/// A time of so many seconds from now, as `validity_period` has it; the longest that can be said is 99 years.
#[must_use]
pub fn relative(seconds: u64) -> Bytes {
    let seconds = seconds.min(LONGEST);
    let (years, rest) = (seconds / YEAR, seconds % YEAR);
    // The last five days of a year have no month.
    let months = (rest / MONTH).min(11);
    let rest = rest - months * MONTH;
    let (days, hours, minutes) = (rest / DAY, rest % DAY / HOUR, rest % HOUR / MINUTE);
    format!("{years:02}{months:02}{days:02}{hours:02}{minutes:02}{:02}000R", rest % MINUTE).into()
}

/// An instant of microseconds UTC, written in UTC to the tenth of a second; nothing outside of this century.
#[must_use]
pub fn absolute(at: i64) -> Option<Bytes> {
    let [year, month, day, hour, minute, second] = civil(at.div_euclid(MICROS));
    let tenth = at.rem_euclid(MICROS) * 10 / MICROS;
    if !(2000..2100).contains(&year) {
        return None;
    }
    let year = year - 2000;
    Some(format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}{tenth}00+").into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read() {
        // 2002-06-04 04:14:05.6 UTC.
        let at = 1_023_164_045_600_000;
        for (text, stamp) in [
            ("020604041405600+", Some(Stamp::At(at))),
            ("020604071405612+", Some(Stamp::At(at))),
            ("020603231405620-", Some(Stamp::At(at))),
            ("000002000000000R", Some(Stamp::After(2 * DAY))),
            (
                "020610233429000R",
                Some(Stamp::After(2 * YEAR + 6 * MONTH + 10 * DAY + 23 * HOUR + 34 * MINUTE + 29)),
            ),
            ("000000000000000R", Some(Stamp::After(0))),
            ("020229000000000+", None),
            ("040229000000000+", Some(Stamp::At(1_078_012_800_000_000))),
            ("021304041405600+", None),
            ("020604241405600+", None),
            ("020604041405649+", None),
            ("020604041405600*", None),
            ("02060404140560+", None),
            ("0206040414056000+", None),
            ("02060404140560x+", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), stamp, "{text}");
        }
    }

    #[test]
    fn times_are_written() {
        for (seconds, text) in [
            (0, "000000000000000R"),
            (300, "000000000500000R"),
            (2 * DAY + 59, "000002000059000R"),
            (MONTH, "000100000000000R"),
            (YEAR - 1, "001134235959000R"),
            (YEAR, "010000000000000R"),
            (u64::MAX, "991100000000000R"),
        ] {
            assert_eq!(relative(seconds), text);
        }
        assert_eq!(absolute(1_023_164_045_600_000).unwrap(), "020604041405600+");
        assert_eq!(absolute(0), None);
        assert_eq!(absolute(4_102_444_800_000_000), None, "2100 has no form");
        assert_eq!(absolute(4_102_444_799_999_999).unwrap(), "991231235959900+");
    }

    proptest! {
        #[test]
        fn written_times_are_read_back(seconds in 0..LONGEST, tenths in 9_466_848_000_i64..41_024_448_000) {
            prop_assert_eq!(parse(&relative(seconds)), Some(Stamp::After(seconds)));
            let at = tenths * 100_000;
            prop_assert_eq!(parse(&absolute(at).unwrap()), Some(Stamp::At(at)));
        }

        #[test]
        fn civil_times_agree_with_another_calendar(seconds in -62_000_000_000_i64..250_000_000_000) {
            let there = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let [year, month, day, hour, minute, second] = civil(seconds);
            prop_assert_eq!(
                (year, month, day, hour, minute, second),
                (
                    there.year().into(), there.month().into(), there.day().into(),
                    there.hour().into(), there.minute().into(), there.second().into(),
                )
            );
            let small = |number: i64| u8::try_from(number).unwrap();
            let rest = [month, day, hour, minute, second].map(small);
            prop_assert_eq!(utc(year, rest), Some(seconds));
        }

        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = parse(&octets);
        }
    }
}
