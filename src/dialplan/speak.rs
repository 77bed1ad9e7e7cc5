//! Messages of every language, and their utterance as clips for voice or as text for screens.
//!
//! One message has a form for each channel, made of words and slots. Words are one clip each; slots are
//! spoken by the rules of `numbers.say` and shown in figures.

mod render;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::event::{Channel, Effect};
use crate::dialplan::numbers::{Agreement, Numbers};
use crate::dialplan::program::Program;
use crate::dialplan::speak::render::{Speaker, Writer};
use crate::dialplan::value::{Type, Value};

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
    /// Neither yes nor no.
    WrongYesNo,
    /// Not a day.
    WrongDate,
    /// A number whose check digit is wrong.
    WrongCheck,
    /// The label of yes.
    Yes,
    /// The label of no.
    No,
    /// The words that mean yes in a text message, with commas between.
    YesWords,
    /// The words that mean no.
    NoWords,
    /// The label of the next page of a menu's list, spoken.
    More,
    /// The label of the page before.
    Before,
    /// The line on a screen that leads to the next page.
    PageMore,
    /// The line that leads to the page before.
    PageBefore,
    /// A PIN is not asked by text message.
    PinRefused,
    /// The PIN will be asked on a screen or by a call.
    PinCallback,
    /// The caller could not be reached for the PIN.
    PinUnreached,
    /// Whether to go on where the conversation broke off.
    Resume,
    /// The label of going on.
    ResumeGoOn,
    /// The label of starting again.
    ResumeAgain,
    /// The conversation cannot be gone on with and starts again.
    ResumeVanished,
    /// What a text message without a PIN would pay: slots `amount`, `fee` and `to`.
    PinConfirm,
    /// The label of paying it.
    PinPay,
    /// The label of leaving it.
    PinCancel,
    /// It was left.
    PinCancelled,
    /// A text message that no flow understands: slot `commands`.
    Help,
    /// A text message that begins like a command and is none: slot `command`.
    CommandInvalid,
    /// A screen that ends while the payment goes on.
    WillGetSms,
    /// An answer that came after the conversation had ended.
    Expired,
    /// No place is free, or we have trouble: later.
    Busy,
    /// Nothing is served there.
    Unserved,
    /// What stands in a command for an amount.
    SlotMoney,
    /// What stands in a command for a telephone number.
    SlotPhone,
}

impl System {
    /// All of them, in the order of the texts' table.
    pub const ALL: [Self; 38] = [
        Self::WrongKey,
        Self::WrongDigits,
        Self::WrongPhone,
        Self::WrongMoney,
        Self::WrongSecret,
        Self::Silence,
        Self::Trouble,
        Self::Option,
        Self::WrongYesNo,
        Self::WrongDate,
        Self::WrongCheck,
        Self::Yes,
        Self::No,
        Self::YesWords,
        Self::NoWords,
        Self::More,
        Self::Before,
        Self::PageMore,
        Self::PageBefore,
        Self::PinRefused,
        Self::PinCallback,
        Self::PinUnreached,
        Self::Resume,
        Self::ResumeGoOn,
        Self::ResumeAgain,
        Self::ResumeVanished,
        Self::PinConfirm,
        Self::PinPay,
        Self::PinCancel,
        Self::PinCancelled,
        Self::Help,
        Self::CommandInvalid,
        Self::WillGetSms,
        Self::Expired,
        Self::Busy,
        Self::Unserved,
        Self::SlotMoney,
        Self::SlotPhone,
    ];

    /// Those that are read or shown and never spoken.
    pub const WRITTEN: [Self; 19] = [
        Self::YesWords,
        Self::NoWords,
        Self::PageMore,
        Self::PageBefore,
        Self::PinRefused,
        Self::PinCallback,
        Self::PinUnreached,
        Self::PinConfirm,
        Self::PinPay,
        Self::PinCancel,
        Self::PinCancelled,
        Self::Help,
        Self::CommandInvalid,
        Self::WillGetSms,
        Self::Expired,
        Self::Busy,
        Self::Unserved,
        Self::SlotMoney,
        Self::SlotPhone,
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
            Self::WrongYesNo => "input.yes-no",
            Self::WrongDate => "input.date",
            Self::WrongCheck => "input.check",
            Self::Yes => "answer.yes",
            Self::No => "answer.no",
            Self::YesWords => "words.yes",
            Self::NoWords => "words.no",
            Self::More => "menu.more",
            Self::Before => "menu.before",
            Self::PageMore => "page.more",
            Self::PageBefore => "page.before",
            Self::PinRefused => "pin.refused",
            Self::PinCallback => "pin.callback",
            Self::PinUnreached => "pin.unreached",
            Self::Resume => "resume.question",
            Self::ResumeGoOn => "resume.continue",
            Self::ResumeAgain => "resume.restart",
            Self::ResumeVanished => "resume.vanished",
            Self::PinConfirm => "pin.confirm",
            Self::PinPay => "pin.pay",
            Self::PinCancel => "pin.cancel",
            Self::PinCancelled => "pin.cancelled",
            Self::Help => "sms.help",
            Self::CommandInvalid => "command.invalid",
            Self::WillGetSms => "payment.will-get-sms",
            Self::Expired => "session.expired",
            Self::Busy => "session.busy",
            Self::Unserved => "session.unserved",
            Self::SlotMoney => "slot.money",
            Self::SlotPhone => "slot.phone",
        }
    }

    /// The slots of the message, with the types that a message file gives them.
    #[must_use]
    pub const fn slots(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::WrongDigits | Self::WrongSecret => &[("min", "number"), ("max", "number")],
            Self::Option => &[("key", "key"), ("label", "label")],
            Self::PinConfirm => &[("amount", "money"), ("fee", "money"), ("to", "text")],
            Self::Help => &[("commands", "text")],
            Self::CommandInvalid => &[("command", "text")],
            _ => &[],
        }
    }
}

/// What is pressed or replied for an option of a menu.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// A key of a telephone.
    Sign(char),
    /// The number of an item on a screen.
    Number(u8),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sign(sign) => write!(f, "{sign}"),
            Self::Number(number) => write!(f, "{number}"),
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
    pub option: Option<Key>,
    /// The language that it is said in, if not the session's: an option to choose a language, or what was told before
    /// the language changed.
    pub language: Option<Arc<str>>,
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
    Number(Agreement),
    /// A place in an order.
    Ordinal,
    /// Seconds, as minutes, hours or days.
    Duration,
    /// Minutes, likewise.
    Minutes,
    Money,
    /// Digit by digit, whatever it is.
    Digits,
    Phone,
    Date,
    Time,
    /// `answer.yes` or `answer.no`.
    YesNo,
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
    /// A number and what it counts.
    Plural {
        slot: usize,
        agreement: Agreement,
        one: Words,
        other: Words,
    },
    /// A clip or a tone by its id.
    Sound(Arc<str>),
}

impl Piece {
    /// The slot whose value it says.
    fn slot(&self) -> Option<usize> {
        match self {
            Self::Slot { slot, .. } | Self::Plural { slot, .. } => Some(*slot),
            Self::Words(_) | Self::Sound(_) => None,
        }
    }
}

/// A message in one language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) voice: Vec<Piece>,
    pub(crate) ussd: Vec<Piece>,
    pub(crate) sms: Vec<Piece>,
}

impl Message {
    pub(crate) fn form(&self, channel: Channel) -> &[Piece] {
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
    /// Whether it has clips. Without any it serves screens, and calls speak the default language.
    pub(crate) spoken: bool,
}

/// The messages of all languages. The first language is the default.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pub(crate) names: Vec<Arc<str>>,
    /// By message index, the types of its slots; none for the key and the label of an option.
    pub(crate) slots: Vec<Vec<Type>>,
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

    /// Whether every wording of a message, on each channel and in each language, says the value of a slot. A wording that
    /// could not be read has been reported, and says what it may.
    pub(crate) fn says(&self, message: u16, slot: usize) -> bool {
        let messages =
            self.languages.iter().filter_map(|language| language.messages.get(usize::from(message)));
        let mut forms = messages.flat_map(|message| [&message.voice, &message.ussd, &message.sms]);
        forms.all(|pieces| pieces.is_empty() || pieces.iter().any(|piece| piece.slot() == Some(slot)))
    }

    pub(crate) fn system(&self, system: System) -> (u16, Arc<str>) {
        let index = self.system.get(system as usize).copied().unwrap_or_default();
        let name = self.names.get(usize::from(index)).cloned();
        (index, name.unwrap_or_else(|| Arc::from(system.key())))
    }

    /// What Keytone says by itself, with its values in the order of [`System::slots`], as a channel shows it. The default
    /// language speaks for one that there is not.
    #[must_use]
    pub fn system_text(
        &self,
        language: &str,
        system: System,
        values: Vec<Value>,
        channel: Channel,
    ) -> String {
        let (message, name) = self.system(system);
        self.text(
            &Utterance { message, name, slots: values, option: None, language: None },
            language,
            channel,
        )
    }

    /// A value as text messages show it, without a message around it.
    pub(crate) fn shown(&self, value: &Value, language: &str) -> String {
        let mut out = String::new();
        if let Some(language) = self.language(language, Channel::Sms) {
            Writer { texts: self, language, channel: Channel::Sms, out: &mut out }.value(value);
        }
        out
    }

    /// Whether calls are spoken in the language: it has messages and clips.
    #[must_use]
    pub fn is_spoken(&self, tag: &str) -> bool {
        self.languages.iter().any(|language| language.tag == tag && language.spoken)
    }

    /// The languages that have messages and no clips: they serve screens only.
    pub fn screens_only(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().filter(|language| !language.spoken).map(|language| language.tag.as_str())
    }

    /// The keys of all messages.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// The types of a message's slots, in order; none for the key and the label of an option.
    #[must_use]
    pub fn slots(&self, key: &str) -> &[Type] {
        let index = self.names.iter().position(|name| &**name == key);
        index.and_then(|index| self.slots.get(index)).map(Vec::as_slice).unwrap_or_default()
    }

    /// A message by its key, with its values: as an option of a menu if `option` gives the key.
    #[must_use]
    pub fn utterance(&self, key: &str, slots: Vec<Value>, option: Option<Key>) -> Option<Utterance> {
        let index = self.names.iter().position(|name| &**name == key)?;
        let name = self.names.get(index)?.clone();
        Some(Utterance { message: u16::try_from(index).ok()?, name, slots, option, language: None })
    }

    /// The number rules of a language.
    #[must_use]
    pub fn numbers(&self, tag: &str) -> Option<&Numbers> {
        self.languages.iter().find(|language| language.tag == tag).map(|language| &language.numbers)
    }

    /// What a message says by voice, with `…` where its slots are: for the script of a voice artist.
    #[must_use]
    pub fn sentence(&self, key: &str, tag: &str) -> String {
        let index = self.names.iter().position(|name| &**name == key);
        let language = self.languages.iter().find(|language| language.tag == tag);
        let message = index.and_then(|index| language?.messages.get(index));
        let pieces = message.map(|message| message.voice.as_slice()).unwrap_or_default();
        let texts = pieces.iter().map(|piece| match piece {
            Piece::Words(words) => words.text.to_string(),
            Piece::Plural { one, other, .. } if one == other => format!("… {}", one.text),
            Piece::Plural { one, other, .. } => format!("… {} / {}", one.text, other.text),
            Piece::Slot { .. } | Piece::Sound(_) => "…".to_owned(),
        });
        texts.collect()
    }

    /// The language that a session in `tag` is served in on a channel.
    fn language(&self, tag: &str, channel: Channel) -> Option<&Language> {
        let serves = |language: &&Language| language.spoken || channel != Channel::Voice;
        let wanted = self.languages.iter().find(|language| language.tag == tag).filter(serves);
        wanted.or_else(|| self.languages.first())
    }

    /// The clips and pauses of an utterance, in order.
    #[must_use]
    pub fn sounds(&self, utterance: &Utterance, language: &str) -> Vec<Sound> {
        let mut out = Vec::new();
        let language = utterance.language.as_deref().unwrap_or(language);
        if let Some(language) = self.language(language, Channel::Voice) {
            Speaker { texts: self, language, out: &mut out }.utterance(utterance);
        }
        out
    }

    /// The utterance in words: a screen's text, or what the clips say when the channel is voice.
    #[must_use]
    pub fn text(&self, utterance: &Utterance, language: &str, channel: Channel) -> String {
        let mut out = String::new();
        self.write(utterance, language, channel, &mut out);
        out
    }

    /// The same, at the end of a text.
    pub(crate) fn write(&self, utterance: &Utterance, language: &str, channel: Channel, out: &mut String) {
        let language = utterance.language.as_deref().unwrap_or(language);
        if let Some(language) = self.language(language, channel) {
            Writer { texts: self, language, channel, out }.utterance(utterance);
        }
    }

    pub(crate) fn message(language: &Language, index: u16) -> Option<&Message> {
        language.messages.get(usize::from(index))
    }

    /// The message that an utterance is built from: its own, or the one for options with its own inside.
    pub(crate) fn frame(&self, utterance: &Utterance) -> u16 {
        if utterance.option.is_some() { self.system(System::Option).0 } else { utterance.message }
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
