//! One utterance in one language: as clips and pauses, or as text.
//!
//! Both walk the same pieces, so that a caller hears what a screen would show. Nothing here chooses a language or a
//! message.

use std::fmt::Display;
use std::sync::Arc;

use crate::dialplan::event::Channel;
use crate::dialplan::numbers::{Agreement, LIST_MAX, Numbers, Plural};
use crate::dialplan::speak::{
    Format, Key, Language, PAUSE_PUNCTUATION, Piece, Sound, System, Texts, Utterance, Words,
};
use crate::dialplan::value::{OUTSIDE_MAX, Value};

/// Turns an utterance into sounds.
pub(super) struct Speaker<'t> {
    pub(super) texts: &'t Texts,
    pub(super) language: &'t Language,
    pub(super) out: &'t mut Vec<Sound>,
}

impl Speaker<'_> {
    pub(super) fn utterance(&mut self, utterance: &Utterance) {
        self.message(self.texts.frame(utterance), utterance);
    }

    fn message(&mut self, index: u16, utterance: &Utterance) {
        let language = self.language;
        let Some(message) = Texts::message(language, index) else { return };
        for piece in &message.voice {
            match piece {
                Piece::Words(words) => self.words(words),
                Piece::Sound(id) => self.out.push(Sound::Clip(id.clone())),
                Piece::Slot { format: Format::Key, .. } => {
                    let digit = utterance.option.and_then(|key| match key {
                        Key::Sign(sign) => language.numbers.key(sign),
                        Key::Number(_) => None,
                    });
                    self.out.extend(digit.map(Sound::Clip));
                }
                Piece::Slot { format: Format::Label, .. } => self.message(utterance.message, utterance),
                Piece::Slot { slot, format } => {
                    if let Some(value) = utterance.slots.get(*slot) {
                        self.slot(value, format, utterance);
                    }
                }
                Piece::Plural { slot, agreement, one, other } => {
                    if let Some(Value::Int(count)) = utterance.slots.get(*slot) {
                        language.numbers.cardinal(*count, *agreement, self.out);
                        self.words(counted(&language.numbers, *count, one, other));
                    }
                }
            }
        }
    }

    fn words(&mut self, words: &Words) {
        self.out.push(match &words.clip {
            Some(clip) => Sound::Clip(clip.clone()),
            None => Sound::Pause(PAUSE_PUNCTUATION),
        });
    }

    fn slot(&mut self, value: &Value, format: &Format, utterance: &Utterance) {
        let numbers = &self.language.numbers;
        match (format, value) {
            (Format::Number(agreement), Value::Int(number)) => {
                numbers.cardinal(*number, *agreement, self.out)
            }
            (Format::Ordinal, Value::Int(number)) => numbers.ordinal(*number, self.out),
            (Format::Duration, Value::Int(seconds)) => numbers.duration(span(*seconds, 1), self.out),
            (Format::Minutes, Value::Int(minutes)) => numbers.duration(span(*minutes, 60), self.out),
            (Format::Money, Value::Money(money)) => numbers.money(*money, self.out),
            (Format::Phone, Value::Phone(phone)) => numbers.phone(phone, &self.texts.country, self.out),
            (Format::Date, Value::Date(date)) => {
                numbers.date(date.year(), date.month(), date.day(), self.out);
            }
            (Format::Time, Value::Time(time)) => numbers.time(time.hour(), time.minute(), self.out),
            (Format::YesNo, Value::Bool(yes)) => self.message(answer(self.texts, *yes), utterance),
            (Format::Digits, value) => numbers.digits(first(&digits(value)), self.out),
            (Format::Last(count), value) => numbers.digits(last(&digits(value), *count), self.out),
            (Format::Choice { words, other }, Value::Text(word)) => {
                self.message(choose(words, *other, word), utterance);
            }
            (Format::List(item), Value::List(values)) => {
                let count = values.len().min(LIST_MAX);
                for (index, value) in values.iter().take(LIST_MAX).enumerate() {
                    if index > 0 {
                        self.language.numbers.between(index + 1 == count, self.out);
                    }
                    self.slot(value, item, utterance);
                }
            }
            _ => {}
        }
    }
}

/// Turns an utterance into text.
pub(super) struct Writer<'t> {
    pub(super) texts: &'t Texts,
    pub(super) language: &'t Language,
    pub(super) channel: Channel,
    pub(super) out: &'t mut String,
}

impl Writer<'_> {
    pub(super) fn utterance(&mut self, utterance: &Utterance) {
        self.message(self.texts.frame(utterance), utterance);
    }

    fn message(&mut self, index: u16, utterance: &Utterance) {
        let language = self.language;
        let Some(message) = Texts::message(language, index) else { return };
        for piece in message.form(self.channel) {
            match piece {
                Piece::Words(words) => self.out.push_str(&words.text),
                Piece::Sound(id) => {
                    self.out.push('[');
                    self.out.push_str(id);
                    self.out.push(']');
                }
                Piece::Slot { format: Format::Key, .. } => {
                    self.out.extend(utterance.option.map(|key| key.to_string()));
                }
                Piece::Slot { format: Format::Label, .. } => self.message(utterance.message, utterance),
                Piece::Slot { slot, format } => {
                    if let Some(value) = utterance.slots.get(*slot) {
                        self.slot(value, format, utterance);
                    }
                }
                Piece::Plural { slot, one, other, .. } => {
                    if let Some(Value::Int(count)) = utterance.slots.get(*slot) {
                        let words = counted(&language.numbers, *count, one, other);
                        let space = if is_spaced(&words.text) { " " } else { "" };
                        self.show(format_args!("{count}{space}{}", words.text));
                    }
                }
            }
        }
    }

    /// A value by itself, as a slot of its type would show it.
    pub(super) fn value(&mut self, value: &Value) {
        let format = match value {
            Value::Text(_) => Format::Text,
            Value::Phone(_) => Format::Phone,
            Value::Money(_) => Format::Money,
            Value::Date(_) => Format::Date,
            Value::Time(_) => Format::Time,
            Value::Int(_) => Format::Number(Agreement::Alone),
            Value::Bool(_) => Format::YesNo,
            _ => Format::Digits,
        };
        let alone =
            Utterance { message: 0, name: Arc::from(""), slots: Vec::new(), option: None, language: None };
        self.slot(value, &format, &alone);
    }

    fn show(&mut self, what: impl Display) {
        self.out.push_str(&what.to_string());
    }

    fn slot(&mut self, value: &Value, format: &Format, utterance: &Utterance) {
        let numbers = &self.language.numbers;
        match (format, value) {
            (Format::Number(_) | Format::Ordinal, Value::Int(number)) => self.show(number),
            (Format::Duration, Value::Int(seconds)) => self.show(numbers.show_duration(span(*seconds, 1))),
            (Format::Minutes, Value::Int(minutes)) => self.show(numbers.show_duration(span(*minutes, 60))),
            (Format::Money, Value::Money(money)) => self.show(numbers.show_money(*money)),
            (Format::Text, Value::Text(text)) => self.out.push_str(text),
            (Format::Phone, Value::Phone(phone)) => {
                self.show(numbers.show_phone(phone, &self.texts.country));
            }
            (Format::Date, Value::Date(date)) => {
                self.show(numbers.show_date(date.year(), date.month(), date.day()));
            }
            (Format::Time, Value::Time(time)) => self.show(numbers.show_time(time.hour(), time.minute())),
            (Format::YesNo, Value::Bool(yes)) => self.message(answer(self.texts, *yes), utterance),
            (Format::Digits, value) => self.out.push_str(first(&digits(value))),
            (Format::Last(count), value) => self.out.push_str(last(&digits(value), *count)),
            (Format::Choice { words, other }, Value::Text(word)) => {
                self.message(choose(words, *other, word), utterance);
            }
            (Format::List(item), Value::List(values)) => {
                let count = values.len().min(LIST_MAX);
                for (index, value) in values.iter().take(LIST_MAX).enumerate() {
                    if index > 0 {
                        self.out.push_str(&self.language.numbers.show_between(index + 1 == count));
                    }
                    self.slot(value, item, utterance);
                }
            }
            _ => {}
        }
    }
}

/// A span of time in seconds; what lies ahead is none.
fn span(count: i64, unit_seconds: u64) -> u64 {
    u64::try_from(count).unwrap_or_default().saturating_mul(unit_seconds)
}

/// The word that goes with a number.
fn counted<'w>(numbers: &Numbers, count: i64, one: &'w Words, other: &'w Words) -> &'w Words {
    if numbers.plural(count) == Plural::One { one } else { other }
}

/// Whether a space stands between a number and this word: not in scripts that write without any.
fn is_spaced(word: &str) -> bool {
    !word.starts_with(|c| matches!(c, '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'))
}

fn answer(texts: &Texts, yes: bool) -> u16 {
    texts.system(if yes { System::Yes } else { System::No }).0
}

fn choose(words: &[(&'static str, u16)], other: u16, word: &str) -> u16 {
    words.iter().find(|(candidate, _)| *candidate == word).map_or(other, |(_, message)| *message)
}

/// The digits of a value that can be said one by one; none of others.
fn digits(value: &Value) -> String {
    match value {
        Value::Digits(digits) => digits.clone(),
        Value::Phone(phone) => phone.digits().to_owned(),
        Value::Int(number) => number.unsigned_abs().to_string(),
        _ => String::new(),
    }
}

/// As much of digits as is shown or said; more come from outside only.
fn first(digits: &str) -> &str {
    digits.get(..OUTSIDE_MAX).unwrap_or(digits)
}

fn last(digits: &str, count: u8) -> &str {
    digits.get(digits.len().saturating_sub(count.into())..).unwrap_or(digits)
}
