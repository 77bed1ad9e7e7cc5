//! Reads answers: what the caller typed or wrote, into the value that was asked for, or the reason why it is none.

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
