//! What goes into a step and what comes out: the closed vocabulary between a session and its program.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroize;

use crate::dialplan::action::Action;
use crate::dialplan::civil::Moment;
use crate::dialplan::speak::Utterance;
use crate::dialplan::value::Value;
use crate::msisdn::Msisdn;
use crate::secret::Secret;

/// How the caller reached us.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A telephone call: prompts and keys.
    Voice,
    /// A USSD dialogue: screens and replies.
    Ussd,
    /// A thread of text messages.
    Sms,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voice => "voice",
            Self::Ussd => "ussd",
            Self::Sms => "sms",
        })
    }
}

/// A character of a reply as a keypad has it: the digits and signs of full-width and Arabic keyboards are those of ours.
#[must_use]
pub fn plain(c: char) -> char {
    let digit = |zero: char| {
        let index = u32::from(c) - u32::from(zero);
        char::from_digit(index, 10).unwrap_or(c)
    };
    match c {
        '\u{ff10}'..='\u{ff19}' => digit('\u{ff10}'),
        '\u{0660}'..='\u{0669}' => digit('\u{0660}'),
        '\u{06f0}'..='\u{06f9}' => digit('\u{06f0}'),
        '\u{ff0a}' => '*',
        '\u{ff03}' => '#',
        '\u{ff0b}' => '+',
        '\u{ff0d}' => '-',
        '\u{ff0e}' => '.',
        '\u{ff0f}' => '/',
        '\u{3000}' => ' ',
        _ => c,
    }
}

/// How a session begins.
#[derive(Clone, Debug)]
pub struct Start {
    /// The channel.
    pub channel: Channel,
    /// The caller's number, if the network gave one that may be believed.
    pub caller: Option<Msisdn>,
    /// The language to speak; the catalogue's default if it has no such language.
    pub language: String,
    /// Slots of a one-shot command, as they were written: `RC {amount} [{phone}]` gives `amount` and perhaps
    /// `phone`.
    pub prefilled: BTreeMap<String, String>,
    /// When the session begins, in the market's zone.
    pub at: Moment,
    /// Whether a conversation that could not be gone on with is begun anew: the caller is told so.
    pub restarted: bool,
    /// Whether the route is one over which a flow with `pin on sms none` may take small payments without a PIN.
    pub pin_waivable: bool,
}

/// What the caller did about the question that was asked.
#[derive(Clone, Eq, PartialEq)]
pub enum Answer {
    /// Digits, without the key that ended them.
    Digits(String),
    /// The answer to [`Input::Secret`]; never written anywhere.
    Secret(Secret),
    /// One key of a menu, or a global key pressed alone.
    Key(char),
    /// The terminator alone.
    Empty,
    /// Nothing before the time was up (voice only).
    Silence,
    /// A reply in a text (USSD, SMS), whatever was asked.
    Text(String),
    /// Something that cannot be an answer: too many keys, a key that does not belong.
    Invalid,
}

impl Answer {
    /// The one key that it consists of, if it does.
    #[must_use]
    pub fn key(&self) -> Option<char> {
        let text = match self {
            Self::Key(key) => return Some(*key),
            Self::Text(text) | Self::Digits(text) => text.trim(),
            _ => return None,
        };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(key), None) => Some(plain(key)),
            _ => None,
        }
    }

    /// A reply as a keypad would have given it: see [`plain`]. A `#` at its end only ends it, as a key does.
    #[must_use]
    pub fn plain(self) -> Self {
        let Self::Text(mut text) = self else { return self };
        if text.is_ascii() && !text.contains('#') {
            return Self::Text(text);
        }
        let mut typed: String = text.chars().map(plain).collect();
        // It may be a PIN, though none was asked for.
        text.zeroize();
        if let Some(before) = typed.trim_end().strip_suffix('#') {
            typed.truncate(before.len());
            if typed.trim().is_empty() {
                return Self::Empty;
            }
        }
        Self::Text(typed)
    }
}

impl fmt::Debug for Answer {
    /// Digits and texts are not shown: a caller may type a PIN where none was asked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits(digits) => write!(f, "Digits({} digits)", digits.len()),
            Self::Secret(_) => f.write_str("Secret(***)"),
            Self::Key(key) => write!(f, "Key({key})"),
            Self::Empty => f.write_str("Empty"),
            Self::Silence => f.write_str("Silence"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Invalid => f.write_str("Invalid"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The session begins; the first event of every state.
    Start(Start),
    /// The caller answered an [`Effect::Collect`].
    Answer(Answer),
    /// The action of an [`Effect::Do`] ended: an outcome of the action table with its values in the table's
    /// order.
    Outcome {
        /// Its name.
        name: String,
        /// Its values.
        values: Vec<Value>,
    },
    /// The caller is gone. What an action under way does to money is not undone by it: its outcome is still wanted,
    /// and answered by text messages alone.
    Hangup,
    /// A caller who dropped is back, perhaps on another channel: asks whether to go on.
    Resumed(Channel),
    /// The caller was reached on this channel, as [`Effect::Callback`] wanted: the question is asked there.
    Reached(Channel),
    /// The caller could not be reached.
    Unreached,
}

/// A value given to an action.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Argument {
    /// Anything that may be saved and shown.
    Value(Value),
    /// A secret, owned by the effect and by nothing else.
    Secret(Secret),
    /// No secret: the caller confirmed by a text message what may be paid without one.
    Waived,
}

/// The outcome of a paying action that was given [`Argument::Waived`] and wants the secret after all. It stands in no flow:
/// the engine then asks for the secret where it may be asked.
pub const PIN_NEEDED: &str = "pin_needed";

/// What kind of answer a question wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// One of these keys.
    Menu(Vec<char>),
    /// So many digits; a full-length input needs no terminator.
    Digits {
        /// At least.
        min: u8,
        /// At most.
        max: u8,
    },
    /// The same, not to be shown, repeated or logged.
    Secret {
        /// At least.
        min: u8,
        /// At most.
        max: u8,
    },
    /// A telephone number as people dial it.
    Phone {
        /// At least.
        min: u8,
        /// At most.
        max: u8,
    },
    /// An amount; by keys in whole major units.
    Money {
        /// At least so many digits.
        min: u8,
        /// At most.
        max: u8,
    },
    /// A day, as `ddmm` or `ddmmyyyy`.
    Date,
}

impl Input {
    /// The fewest and the most keys of an answer.
    #[must_use]
    pub const fn length(&self) -> (u8, u8) {
        match self {
            Self::Menu(_) => (1, 1),
            Self::Date => (4, 8),
            Self::Digits { min, max }
            | Self::Secret { min, max }
            | Self::Phone { min, max }
            | Self::Money { min, max } => (*min, *max),
        }
    }
}

/// How to listen for the answer to what was just said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collect {
    /// What is wanted.
    pub input: Input,
    /// Keys that have a meaning of their own when pressed first: back, main.
    pub keys: Vec<char>,
    /// The key that ends an input early; it is swallowed after a full-length input too.
    pub terminator: char,
    /// Whether a key stops the prompt.
    pub barge_in: bool,
    /// Whether keys pressed before this question are dropped: after an error, an unusual outcome, before a
    /// confirmation.
    pub fresh: bool,
    /// Whether the keys must not be echoed, logged or shown.
    pub quiet: bool,
    /// Whether the answer confirms a payment.
    pub confirmation: bool,
    /// Time to the first key, from the end of the prompt.
    pub first_digit: Duration,
    /// Time between two keys.
    pub inter_digit: Duration,
}

/// What the session has to do, in order. The last one of a step is [`Effect::Collect`], [`Effect::Do`],
/// [`Effect::Callback`], [`Effect::Hold`] or [`Effect::End`]: the next event answers it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Say or show these.
    Say(Vec<Utterance>),
    /// Ask, and come back with [`Event::Answer`].
    Collect(Collect),
    /// Perform an action, and come back with [`Event::Outcome`].
    Do {
        /// The action.
        action: &'static Action,
        /// What it is given, in the table's order.
        arguments: Vec<Argument>,
    },
    /// Send a text message beside the conversation.
    SendSms {
        /// To whom.
        to: Msisdn,
        /// The message's key.
        message: Arc<str>,
        /// What.
        text: String,
    },
    /// What a USSD screen shows now, in place of the text of [`Effect::Say`]: all of it, or one page.
    Screen(String),
    /// Reach the caller by a USSD push or a call, since a PIN is not asked by text message, and come back with
    /// [`Event::Reached`] or [`Event::Unreached`].
    Callback,
    /// A named point was passed, for statistics.
    Mark(Arc<str>),
    /// Keep the line open until the caller hangs up.
    Hold,
    /// End the conversation when everything has been said.
    End,
}
