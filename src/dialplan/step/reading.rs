//! Reads answers: what the caller typed or wrote, into the value that was asked for, or the reason why it is
//! none.

use zeroize::Zeroize;

use crate::dialplan::catalog::Settings;
use crate::dialplan::event::Answer;
use crate::dialplan::program::Reading;
use crate::dialplan::speak::System;
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

/// Reads an answer to a question for a variable; `min` and `max` count digits.
pub(super) fn read(settings: &Settings, reading: Reading, min: u8, max: u8, answer: Answer) -> Read {
    let mut text = match answer {
        Answer::Secret(secret) if reading == Reading::Secret => return read_secret(secret, min, max),
        Answer::Digits(text) | Answer::Text(text) => text,
        Answer::Key(key) => key.to_string(),
        Answer::Secret(_) | Answer::Empty | Answer::Silence | Answer::Invalid => {
            return Read::Wrong(reason(reading));
        }
    };
    if reading == Reading::Secret {
        let secret = Secret::from(text.trim());
        text.zeroize();
        return read_secret(secret, min, max);
    }
    match read_text(settings, reading, min, max, &text) {
        Ok(value) => Read::Value(value),
        Err(reason) => Read::Wrong(reason),
    }
}

/// Reads the text of anything but a secret.
pub(super) fn read_text(
    settings: &Settings,
    reading: Reading,
    min: u8,
    max: u8,
    text: &str,
) -> Result<Value, System> {
    let wrong = reason(reading);
    let text = text.trim();
    let fits = |length: usize| (usize::from(min)..=usize::from(max)).contains(&length);
    match reading {
        Reading::Secret => Err(wrong),
        Reading::Digits if fits(text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Value::Digits(text.to_owned()))
        }
        Reading::Digits => Err(wrong),
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
            let money = Money::parse(text, settings.currency).map_err(|_| wrong)?;
            if fits(major.len()) && money.minor > 0 { Ok(Value::Money(money)) } else { Err(wrong) }
        }
    }
}

fn read_secret(secret: Secret, min: u8, max: u8) -> Read {
    let fits = (usize::from(min)..=usize::from(max)).contains(&secret.len());
    if fits && secret.expose().iter().all(u8::is_ascii_digit) {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn settings() -> Settings {
        Settings {
            currency: Currency::new("CNY").unwrap(),
            country: "86".into(),
            national_digits: (11, 11),
            pin_digits: (4, 8),
            default_language: "en".into(),
        }
    }

    fn text(reading: Reading, min: u8, max: u8, text: &str) -> Option<String> {
        read_text(&settings(), reading, min, max, text).ok().map(|value| match value {
            Value::Money(money) => money.to_string(),
            Value::Phone(phone) => phone.as_str().to_owned(),
            Value::Digits(digits) => digits,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn answers_are_read_as_what_was_asked() {
        let money = |answer| text(Reading::Money, 1, 4, answer);
        assert_eq!(money("50").as_deref(), Some("50.00 CNY"));
        assert_eq!(money(" 12.5 ").as_deref(), Some("12.50 CNY"));
        for wrong in ["", "0", "0.00", "50000", "1.234", "-5", "5x", "*", "１"] {
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
    fn a_secret_is_read_from_any_form_and_only_by_length_and_digits() {
        let secret = |answer| matches!(read(&settings(), Reading::Secret, 4, 8, answer), Read::Secret(_));
        assert!(secret(Answer::Secret(Secret::from("1357"))));
        assert!(secret(Answer::Digits("13579".into())) && secret(Answer::Text(" 135790 ".into())));
        for wrong in ["123", "123456789", "12a4"] {
            assert!(!secret(Answer::Text(wrong.into())), "{wrong}");
        }
        assert!(!secret(Answer::Empty));
        // A secret that was not asked for is never read as anything else.
        let other = read(&settings(), Reading::Digits, 1, 9, Answer::Secret(Secret::from("1357")));
        assert!(matches!(other, Read::Wrong(System::WrongDigits)));
    }
}
