//! What goes into a step and what comes out: the closed vocabulary between a session and its program.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::action::Action;
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
    /// The caller is gone. What an action under way does to money is not undone by it.
    Hangup,
}

/// A value given to an action.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Argument {
    /// Anything that may be saved and shown.
    Value(Value),
    /// A secret, owned by the effect and by nothing else.
    Secret(Secret),
}

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
}

impl Input {
    /// The fewest and the most keys of an answer.
    #[must_use]
    pub const fn length(&self) -> (u8, u8) {
        match self {
            Self::Menu(_) => (1, 1),
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
/// [`Effect::Hold`] or [`Effect::End`]: the next event answers it.
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
    /// A named point was passed, for statistics.
    Mark(Arc<str>),
    /// Keep the line open until the caller hangs up.
    Hold,
    /// End the conversation when everything has been said.
    End,
}
