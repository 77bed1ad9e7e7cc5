//! Reads answers: what the caller typed or wrote, into the value that was asked for, or the reason why it is
//! none.

use std::ops::RangeInclusive;

use zeroize::Zeroize;

use crate::dialplan::catalog::Settings;
use crate::dialplan::civil::Date;
use crate::dialplan::event::{Answer, plain};
use crate::dialplan::program::{Ask, Reading};
use crate::dialplan::speak::System;
use crate::dialplan::syntax::ast::CheckDigit;
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::secret::Secret;

/// What an answer turned out to be.
pub(super) enum Read {
    Value(Value),
    Secret(Secret),
    Wrong(System),
}

/// The form that an answer must have; `min` and `max` count digits.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) reading: Reading,
    pub(super) min: u8,
    pub(super) max: u8,
    pub(super) check: Option<CheckDigit>,
}

impl Form {
    pub(super) const fn of(ask: &Ask) -> Self {
        Self { reading: ask.reading, min: ask.min, max: ask.max, check: ask.check }
    }
}

/// Reads an answer to a question for a variable.
pub(super) fn read(settings: &Settings, today: Date, form: Form, answer: Answer) -> Read {
    let reading = form.reading;
    let mut text = match answer {
        Answer::Secret(secret) if reading == Reading::Secret => return read_secret(&secret, form),
        Answer::Digits(text) | Answer::Text(text) => text,
        Answer::Key(key) => key.to_string(),
        Answer::Secret(_) | Answer::Empty | Answer::Silence | Answer::Invalid => {
            return Read::Wrong(reason(reading));
        }
    };
    if reading == Reading::Secret {
        let secret = Secret::from(text.trim());
        text.zeroize();
        return read_secret(&secret, form);
    }
    match read_text(settings, today, form, &text) {
        Ok(value) => Read::Value(value),
        Err(reason) => Read::Wrong(reason),
    }
}

/// Reads the text of anything but a secret or a yes; `today` is where days without a year are counted from.
pub(super) fn read_text(settings: &Settings, today: Date, form: Form, text: &str) -> Result<Value, System> {
    let Form { reading, min, max, check } = form;
    let wrong = reason(reading);
    let text: String = text.trim().chars().map(plain).collect();
    let fits = |length: usize| (usize::from(min)..=usize::from(max)).contains(&length);
    match reading {
        Reading::Secret | Reading::YesNo => Err(wrong),
        Reading::Date => date(&text, today).map(Value::Date).ok_or(wrong),
        Reading::Digits => {
            let holds = match check {
                Some(CheckDigit::Luhn) => luhn(&text),
                None => true,
            };
            let digits = fits(text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            match (digits, holds) {
                (true, true) => Ok(Value::Digits(text)),
                (true, false) => Err(System::WrongCheck),
                (false, _) => Err(wrong),
            }
        }
        Reading::Phone => {
            let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
            let (shortest, longest) = settings.national_digits;
            let phone = Msisdn::dialled(&plain, &settings.country, longest.into()).map_err(|_| wrong)?;
            let national = phone.national(&settings.country).len();
            let home = national < phone.digits().len();
            if home && !(usize::from(shortest)..=usize::from(longest)).contains(&national) {
                return Err(wrong);
            }
            Ok(Value::Phone(phone))
        }
        Reading::Money => {
            let major = text.split('.').next().unwrap_or_default();
            let money = Money::parse(&text, settings.currency).map_err(|_| wrong)?;
            if fits(major.len()) && money.minor > 0 { Ok(Value::Money(money)) } else { Err(wrong) }
        }
    }
}

/// A day: `ddmm` and `ddmmyyyy` as keys give it, `dd.mm`, `dd/mm/yyyy`, `dd-mm` or `2026-12-31`. Without a year it is the
/// next such day.
fn date(text: &str, today: Date) -> Option<Date> {
    if let Some(date) = Date::parse(text) {
        return Some(date);
    }
    let number = |part: &str, digits: RangeInclusive<usize>| -> Option<u16> {
        let plain = digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|_| plain)
    };
    let small = |part: &str| number(part, 1..=2).and_then(|n| u8::try_from(n).ok());
    let (day, month, year) = match text.find(['.', '/', '-']) {
        Some(at) => {
            let separator = text.get(at..)?.chars().next()?;
            let mut parts = text.trim_end_matches('.').split(separator);
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next());
            if parts.next().is_some() {
                return None;
            }
            (day, month, year)
        }
        None if text.len() == 4 => (text.get(..2)?, text.get(2..)?, None),
        None if text.len() == 8 => (text.get(..2)?, text.get(2..4)?, text.get(4..)),
        None => return None,
    };
    match year {
        Some(year) => Date::new(number(year, 4..=4)?.into(), small(month)?, small(day)?),
        None => Date::next(small(day)?, small(month)?, today),
    }
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1 annex B).
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            if index % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    digits.bytes().all(|b| b.is_ascii_digit()) && sum.is_multiple_of(10)
}

fn read_secret(typed: &Secret, form: Form) -> Read {
    let mut secret = Secret::default();
    let mut digits = true;
    for c in std::str::from_utf8(typed.expose()).unwrap_or("?").chars().map(plain) {
        digits &= c.is_ascii_digit();
        secret.push(u8::try_from(c).unwrap_or_default());
    }
    if digits && (usize::from(form.min)..=usize::from(form.max)).contains(&secret.len()) {
        Read::Secret(secret)
    } else {
        Read::Wrong(System::WrongSecret)
    }
}

const fn reason(reading: Reading) -> System {
    match reading {
        Reading::Digits => System::WrongDigits,
        Reading::Secret => System::WrongSecret,
        Reading::Phone => System::WrongPhone,
        Reading::Money => System::WrongMoney,
        Reading::YesNo => System::WrongYesNo,
        Reading::Date => System::WrongDate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn settings() -> Settings {
        Settings {
            country: "86".into(),
            national_digits: (11, 11),
            ..Settings::of(Currency::new("CNY").unwrap())
        }
    }

    fn today() -> Date {
        Date::new(2026, 11, 22).unwrap()
    }

    fn text(reading: Reading, min: u8, max: u8, text: &str) -> Option<String> {
        let form = Form { reading, min, max, check: None };
        read_text(&settings(), today(), form, text).ok().map(|value| match value {
            Value::Money(money) => money.to_string(),
            Value::Phone(phone) => phone.as_str().to_owned(),
            Value::Digits(digits) => digits,
            Value::Date(date) => date.to_string(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn answers_are_read_as_what_was_asked() {
        let money = |answer| text(Reading::Money, 1, 4, answer);
        assert_eq!(money("50").as_deref(), Some("50.00 CNY"));
        assert_eq!(money(" 12.5 ").as_deref(), Some("12.50 CNY"));
        for other in ["５０", "٥٠", "۵۰", "５０．０"] {
            assert_eq!(money(other).as_deref(), Some("50.00 CNY"), "{other}");
        }
        for wrong in ["", "0", "0.00", "50000", "1.234", "-5", "5x", "*", "5 0", "١,٥"] {
            assert_eq!(money(wrong), None, "{wrong}");
        }
        let phone = |answer| text(Reading::Phone, 5, 20, answer);
        for own in ["13800000002", "138 0000-0002", "+8613800000002", "008613800000002"] {
            assert_eq!(phone(own).as_deref(), Some("+8613800000002"), "{own}");
        }
        assert_eq!(phone("+254712345678").as_deref(), Some("+254712345678"));
        for wrong in ["138", "1380000000222222", "abc", "", "0086138"] {
            assert_eq!(phone(wrong), None, "{wrong}");
        }
        let digits = |answer| text(Reading::Digits, 2, 4, answer);
        assert_eq!(digits("0123").as_deref(), Some("0123"));
        for wrong in ["1", "12345", "1a2", ""] {
            assert_eq!(digits(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_are_read_in_every_usual_form() {
        let date = |answer| text(Reading::Date, 4, 8, answer);
        for same in [
            "31122026",
            "3112",
            "31.12.2026",
            "31/12",
            "31-12",
            "31.12.",
            "2026-12-31",
            "٣١/١٢/٢٠٢٦",
            "31-12-2026",
        ] {
            assert_eq!(date(same).as_deref(), Some("2026-12-31"), "{same}");
        }
        assert_eq!(date("2211").as_deref(), Some("2026-11-22"), "today is the next such day");
        assert_eq!(date("2111").as_deref(), Some("2027-11-21"));
        assert_eq!(date("2902").as_deref(), Some("2028-02-29"));
        assert_eq!(date("1.2.2027").as_deref(), Some("2027-02-01"));
        for wrong in [
            "",
            "31",
            "311",
            "31122",
            "3002",
            "30022026",
            "29022027",
            "31.12.26",
            "31.12/2026",
            "2026-12",
            "00012026",
            "1.2.3.4",
            "99",
            "..",
            "+1.2",
            "31.13.",
            "2026-12-31-",
            "31 12",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_check_digit_must_be_right() {
        let digits = |text: &str| {
            let form = Form { reading: Reading::Digits, min: 2, max: 19, check: Some(CheckDigit::Luhn) };
            read_text(&settings(), today(), form, text).is_ok()
        };
        for right in ["79927398713", "4111111111111111", "18", "00"] {
            assert!(digits(right), "{right}");
        }
        for wrong in ["79927398710", "79927398731", "4111111111111112", "81", "7992739871x", "0"] {
            assert!(!digits(wrong), "{wrong}");
        }
        let form = Form { reading: Reading::Digits, min: 2, max: 19, check: Some(CheckDigit::Luhn) };
        let reason = |text| read_text(&settings(), today(), form, text);
        assert_eq!(reason("81"), Err(System::WrongCheck));
        assert_eq!(reason("0"), Err(System::WrongDigits));
    }

    #[test]
    fn a_secret_is_read_from_any_form_and_only_by_length_and_digits() {
        let form = |reading| Form { reading, min: 4, max: 8, check: None };
        let read = |reading, answer| read(&settings(), today(), form(reading), answer);
        let secret = |answer| matches!(read(Reading::Secret, answer), Read::Secret(_));
        let Read::Secret(wide) = read(Reading::Secret, Answer::Secret(Secret::from("１３５٧"))) else {
            panic!()
        };
        assert_eq!(wide.expose(), b"1357");
        assert!(secret(Answer::Secret(Secret::from("1357"))));
        assert!(secret(Answer::Digits("13579".into())) && secret(Answer::Text(" 135790 ".into())));
        for wrong in ["123", "123456789", "12a4"] {
            assert!(!secret(Answer::Text(wrong.into())), "{wrong}");
        }
        assert!(!secret(Answer::Empty));
        // A secret that was not asked for is never read as anything else.
        let other = read(Reading::Digits, Answer::Secret(Secret::from("1357")));
        assert!(matches!(other, Read::Wrong(System::WrongDigits)));
    }
}
