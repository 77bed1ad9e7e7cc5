//! Messages of every language, and their utterance as clips for voice or as text for screens.
//!
//! One message has a form for each channel, made of words and slots. Words are one clip each; slots are
//! spoken by the rules of `numbers.say` and shown in figures.

use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::event::{Channel, Effect};
use crate::dialplan::numbers::{LIST_MAX, Numbers};
use crate::dialplan::program::Program;
use crate::dialplan::value::Value;

/// The pause between two utterances of one prompt.
pub const PAUSE_BETWEEN: Duration = Duration::from_millis(150);
/// The pause for punctuation between two slots.
pub const PAUSE_PUNCTUATION: Duration = Duration::from_millis(90);

/// Messages that the engine itself says. Every language must have them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum System {
    /// Not one of the menu's keys.
    WrongKey,
    /// Not so many digits.
    WrongDigits,
    /// Not a telephone number.
    WrongPhone,
    /// Not an amount.
    WrongMoney,
    /// Not so many digits of a secret.
    WrongSecret,
    /// Nothing was pressed.
    Silence,
    /// Our fault.
    Trouble,
    /// How a menu's option is said: slots `key` and `label`.
    Option,
}

impl System {
    /// All of them, in the order of the texts' table.
    pub const ALL: [Self; 8] = [
        Self::WrongKey,
        Self::WrongDigits,
        Self::WrongPhone,
        Self::WrongMoney,
        Self::WrongSecret,
        Self::Silence,
        Self::Trouble,
        Self::Option,
    ];

    /// The key of the message.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::WrongKey => "input.key",
            Self::WrongDigits => "input.digits",
            Self::WrongPhone => "input.phone",
            Self::WrongMoney => "input.money",
            Self::WrongSecret => "input.secret",
            Self::Silence => "input.silence",
            Self::Trouble => "trouble",
            Self::Option => "menu.option",
        }
    }

    /// The slots of the message, with the types that a message file gives them.
    #[must_use]
    pub const fn slots(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::WrongDigits | Self::WrongSecret => &[("min", "number"), ("max", "number")],
            Self::Option => &[("key", "key"), ("label", "label")],
            _ => &[],
        }
    }
}

/// A message with its values: what a session says, logs by name, or shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Utterance {
    pub(crate) message: u16,
    /// The message's key.
    pub name: Arc<str>,
    /// Its values, in the order of its slots.
    pub slots: Vec<Value>,
    /// The key, if it is the label of a menu's option.
    pub option: Option<char>,
}

/// A piece of a spoken prompt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sound {
    /// A clip: `prompts/<id>.wav`, the language first: `en/msg/goodbye.0`, `en/num/fifty`.
    Clip(Arc<str>),
    /// Silence.
    Pause(Duration),
}

/// Words of a message with the clip that speaks them; punctuation alone has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    pub(crate) text: Arc<str>,
    pub(crate) clip: Option<Arc<str>>,
}

/// How a slot is rendered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Number,
    Money,
    Digits,
    Phone,
    /// Only the last digits of a number or a reference.
    Last(u8),
    Text,
    Choice {
        words: Vec<(&'static str, u16)>,
        other: u16,
    },
    List(Box<Self>),
    /// The key and the label of a menu's option.
    Key,
    Label,
}

/// A part of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    Words(Words),
    Slot {
        slot: usize,
        format: Format,
    },
    Plural {
        slot: usize,
        one: Words,
        other: Words,
    },
    /// A clip or a tone by its id.
    Sound(Arc<str>),
}

/// A message in one language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) voice: Vec<Piece>,
    pub(crate) ussd: Vec<Piece>,
    pub(crate) sms: Vec<Piece>,
}

impl Message {
    fn form(&self, channel: Channel) -> &[Piece] {
        match channel {
            Channel::Voice => &self.voice,
            Channel::Ussd => &self.ussd,
            Channel::Sms => &self.sms,
        }
    }
}

/// The messages and number rules of one language.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    pub(crate) tag: String,
    /// By message index.
    pub(crate) messages: Vec<Message>,
    pub(crate) numbers: Numbers,
}

/// The messages of all languages. The first language is the default.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) languages: Vec<Language>,
    /// Indices of [`System::ALL`].
    pub(crate) system: Vec<u16>,
    /// The market's country code, whose numbers are shown and said without it.
    pub(crate) country: String,
}

impl Texts {
    /// The tag of the language that is spoken when no other was chosen.
    #[must_use]
    pub fn default_language(&self) -> &str {
        self.languages.first().map_or("en", |language| language.tag.as_str())
    }

    /// Whether there are messages in the language.
    #[must_use]
    pub fn has_language(&self, tag: &str) -> bool {
        self.languages.iter().any(|language| language.tag == tag)
    }

    /// The tags of all languages.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(|language| language.tag.as_str())
    }

    pub(crate) fn system(&self, system: System) -> (u16, Arc<str>) {
        let index = self.system.get(system as usize).copied().unwrap_or_default();
        let name = self.names.get(usize::from(index)).cloned();
        (index, name.unwrap_or_else(|| Arc::from(system.key())))
    }

    fn language(&self, tag: &str) -> Option<&Language> {
        self.languages.iter().find(|language| language.tag == tag).or_else(|| self.languages.first())
    }

    /// The clips and pauses of an utterance, in order.
    #[must_use]
    pub fn sounds(&self, utterance: &Utterance, language: &str) -> Vec<Sound> {
        let mut out = Vec::new();
        if let Some(language) = self.language(language) {
            Speaker { texts: self, language, out: &mut out }.utterance(utterance);
        }
        out
    }

    /// The utterance in words: a screen's text, or what the clips say when the channel is voice.
    #[must_use]
    pub fn text(&self, utterance: &Utterance, language: &str, channel: Channel) -> String {
        let Some(language) = self.language(language) else { return String::new() };
        let mut out = String::new();
        Writer { texts: self, language, channel, out: &mut out }.utterance(utterance);
        out
    }

    fn message(language: &Language, index: u16) -> Option<&Message> {
        language.messages.get(usize::from(index))
    }

    /// The message that an utterance is built from: its own, or the one for options with its own inside.
    fn frame(&self, utterance: &Utterance) -> u16 {
        if utterance.option.is_some() { self.system(System::Option).0 } else { utterance.message }
    }
}

/// Turns an utterance into sounds.
struct Speaker<'t> {
    texts: &'t Texts,
    language: &'t Language,
    out: &'t mut Vec<Sound>,
}

impl Speaker<'_> {
    fn utterance(&mut self, utterance: &Utterance) {
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
                    let digit = utterance.option.and_then(|key| language.numbers.key(key));
                    self.out.extend(digit.map(Sound::Clip));
                }
                Piece::Slot { format: Format::Label, .. } => self.message(utterance.message, utterance),
                Piece::Slot { slot, format } => {
                    if let Some(value) = utterance.slots.get(*slot) {
                        self.slot(value, format, utterance);
                    }
                }
                Piece::Plural { slot, one, other } => {
                    if let Some(Value::Int(count)) = utterance.slots.get(*slot) {
                        language.numbers.number(*count, self.out);
                        self.words(if *count == 1 { one } else { other });
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
            (Format::Number, Value::Int(number)) => numbers.number(*number, self.out),
            (Format::Money, Value::Money(money)) => numbers.money(*money, self.out),
            (Format::Digits, Value::Digits(digits)) => numbers.digits(digits, self.out),
            (Format::Phone, Value::Phone(phone)) => numbers.phone(phone, &self.texts.country, self.out),
            (Format::Last(count), Value::Phone(phone)) => {
                numbers.digits(last(phone.digits(), *count), self.out)
            }
            (Format::Last(count), Value::Digits(digits)) => numbers.digits(last(digits, *count), self.out),
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
struct Writer<'t> {
    texts: &'t Texts,
    language: &'t Language,
    channel: Channel,
    out: &'t mut String,
}

impl Writer<'_> {
    fn utterance(&mut self, utterance: &Utterance) {
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
                Piece::Slot { format: Format::Key, .. } => self.out.extend(utterance.option),
                Piece::Slot { format: Format::Label, .. } => self.message(utterance.message, utterance),
                Piece::Slot { slot, format } => {
                    if let Some(value) = utterance.slots.get(*slot) {
                        self.slot(value, format, utterance);
                    }
                }
                Piece::Plural { slot, one, other } => {
                    if let Some(Value::Int(count)) = utterance.slots.get(*slot) {
                        let words = if *count == 1 { one } else { other };
                        self.out.push_str(&format!("{count} {}", words.text));
                    }
                }
            }
        }
    }

    fn slot(&mut self, value: &Value, format: &Format, utterance: &Utterance) {
        let numbers = &self.language.numbers;
        match (format, value) {
            (Format::Number, Value::Int(number)) => self.out.push_str(&number.to_string()),
            (Format::Money, Value::Money(money)) => self.out.push_str(&numbers.show_money(*money)),
            (Format::Digits, Value::Digits(text)) | (Format::Text, Value::Text(text)) => {
                self.out.push_str(text)
            }
            (Format::Phone, Value::Phone(phone)) => {
                self.out.push_str(&numbers.show_phone(phone, &self.texts.country));
            }
            (Format::Last(count), Value::Phone(phone)) => self.out.push_str(last(phone.digits(), *count)),
            (Format::Last(count), Value::Digits(digits)) => self.out.push_str(last(digits, *count)),
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

/// The text that the effects of one step show: announcements and the question in one, a line each.
#[must_use]
pub fn screen(program: &Program, effects: &[Effect], language: &str, channel: Channel) -> String {
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Say(utterances) => Some(utterances),
        _ => None,
    });
    let lines: Vec<String> =
        said.flatten().map(|utterance| program.text(utterance, language, channel)).collect();
    lines.join("\n")
}

fn choose(words: &[(&'static str, u16)], other: u16, word: &str) -> u16 {
    words.iter().find(|(candidate, _)| *candidate == word).map_or(other, |(_, message)| *message)
}

fn last(digits: &str, count: u8) -> &str {
    digits.get(digits.len().saturating_sub(count.into())..).unwrap_or(digits)
}
