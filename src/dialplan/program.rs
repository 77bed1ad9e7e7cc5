//! A compiled flow: indices instead of names, every text resolved, nothing left that could be missing at run
//! time.

use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::action::Action;
use crate::dialplan::catalog::Settings;
use crate::dialplan::event::Channel;
use crate::dialplan::expression::Expression;
use crate::dialplan::speak::{Sound, Texts, Utterance};
use crate::dialplan::syntax::ast::{CheckDigit, OpenSpan};
use crate::dialplan::value::{Type, Value};

/// Answers in one session before it is ended politely, whatever the flow says.
pub const INPUTS_MAX: u16 = 64;
/// Entries of one step in one session, unless the flow says `visits`.
pub const VISITS_DEFAULT: u8 = 8;
/// Wrong answers in one visit of a step, unless the flow says `tries`.
pub const TRIES_DEFAULT: u8 = 3;
/// Items of a list that a menu offers; further ones are left out.
pub const ITEMS_MAX: usize = 60;
/// Items on one page of a spoken menu when they are more than its keys.
pub const ITEMS_A_PAGE: usize = 7;
/// The keys for the page before and the page after, in a spoken menu of several pages.
pub const PAGE_KEYS: [char; 2] = ['8', '9'];
/// The replies for the page before and the page after, on a screen of several pages.
pub const PAGE_REPLIES: [&str; 2] = ["98", "99"];
/// Pages of one screen at most; what does not fit is cut.
pub const PAGES_MAX: usize = 8;
/// Answered questions that `back` remembers.
pub const HISTORY_MAX: usize = 16;
/// The most steps of one flow: those of its calls and of the flows that it hands over to included.
pub const STEPS_MAX: usize = 2_000;
/// Operations in one step of the engine; the checker proves that none needs so many.
pub const OPERATIONS_MAX: u32 = 1_000;
/// Time to the first key unless the question says `wait`.
pub const FIRST_DIGIT: Duration = Duration::from_secs(6);
/// Time between two keys.
pub const INTER_DIGIT: Duration = Duration::from_secs(4);
/// The key that ends an input.
pub const TERMINATOR: char = '#';

/// What a flow does about a PIN when the channel is SMS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PinOnSms {
    /// The PIN is never asked by SMS: the flow cannot pay there.
    #[default]
    Refuse,
    /// The PIN is asked by a call or a USSD push.
    Callback,
    /// The PIN is asked and answered by SMS.
    Reply,
    /// No PIN for small amounts over a trusted route.
    None,
}

impl PinOnSms {
    /// Whether what another flow promises about the PIN of its payments is kept when this holds in it: a PIN is never in a text
    /// message that was not to be in one, nothing is paid without one that was to be asked for, and nothing is paid at all that
    /// was not to be paid there.
    #[must_use]
    pub fn keeps(self, promised: Self) -> bool {
        match self {
            Self::Refuse => true,
            Self::Callback => promised != Self::Refuse,
            Self::Reply | Self::None => promised == self,
        }
    }
}

/// A variable of a program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variable {
    /// Its name in the flow.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// A step of a program. A step of a sub-flow is there once for each call, as `call-step/sub-step`, and one of a flow that
/// is handed over to as `flow/step`.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name in the flow.
    pub name: Arc<str>,
    /// The part that it belongs to: 0 for the flow itself.
    pub(crate) part: u16,
    pub(crate) ops: Vec<Op>,
    pub(crate) limits: Limits,
}

/// When a caller who cannot be helped is given up, and where that leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Wrong answers in one visit of a step.
    pub(crate) tries: u8,
    pub(crate) tries_then: Target,
    /// Entries of one step in one session.
    pub(crate) visits: u8,
    pub(crate) visits_then: Target,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tries: TRIES_DEFAULT,
            tries_then: Target::End,
            visits: VISITS_DEFAULT,
            visits_then: Target::End,
        }
    }
}

/// Where control goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Step(u16),
    End,
}

/// The flow itself, or another that it hands over to: how a conversation begins there.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The flow's name.
    pub(crate) name: Arc<str>,
    /// Its first step.
    pub(crate) first: u16,
    /// Variables that are forgotten when it is handed over to.
    pub(crate) clear: Vec<u16>,
    /// Variables that it starts with, without params.
    pub(crate) start: Vec<(u16, Value)>,
    /// When it is open, and the step for other times.
    pub(crate) open: Vec<OpenSpan>,
    pub(crate) open_else: Target,
    /// The step that runs when the caller goes before the end.
    pub(crate) hangup: Option<u16>,
}

/// A message with its arguments not yet computed.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    pub(crate) message: u16,
    pub(crate) name: Arc<str>,
    pub(crate) arguments: Vec<Expression>,
}

/// The way an answer is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    Digits,
    Secret,
    Phone,
    Money,
    YesNo,
    Date,
}

/// A question for a variable.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) question: Speech,
    pub(crate) again: Option<Speech>,
    /// Said from the nth silence on, ascending.
    pub(crate) silent: Vec<(u8, Speech)>,
    /// Said from the nth wrong answer on, ascending.
    pub(crate) wrong: Vec<(u8, Speech)>,
    pub(crate) variable: u16,
    pub(crate) reading: Reading,
    pub(crate) min: u8,
    pub(crate) max: u8,
    pub(crate) quiet: bool,
    pub(crate) barge_in: bool,
    pub(crate) confirmation: bool,
    /// Of a question for a PIN: the amount that the action after it pays.
    pub(crate) pays: Option<Expression>,
    pub(crate) wait: Duration,
    pub(crate) check: Option<CheckDigit>,
}

/// One key of a menu.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) key: char,
    pub(crate) label: Option<Speech>,
    /// The language that the label is said in, whatever the session's.
    pub(crate) language: Option<Arc<str>>,
    pub(crate) block: Vec<Op>,
}

/// An option for each item of a list.
#[derive(Clone, Debug)]
pub(crate) struct Each {
    pub(crate) list: Expression,
    pub(crate) item: u16,
    pub(crate) label: Speech,
    pub(crate) block: Vec<Op>,
    /// What happens instead of the menu when the list is empty.
    pub(crate) empty: Vec<Op>,
}

/// A question with keys for answers, or an announcement that waits for a key.
#[derive(Clone, Debug)]
pub(crate) struct Menu {
    pub(crate) question: Vec<Speech>,
    pub(crate) again: Option<Speech>,
    pub(crate) silent: Vec<(u8, Speech)>,
    pub(crate) wrong: Vec<(u8, Speech)>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) each: Option<Box<Each>>,
    pub(crate) barge_in: bool,
    pub(crate) wait: Duration,
    /// Whether its answer counts as an answered question for `back`.
    pub(crate) remembered: bool,
}

/// What an outcome binds and does.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    /// A variable for each value of the outcome.
    pub(crate) bind: Vec<u16>,
    pub(crate) block: Vec<Op>,
}

/// What to do when a one-shot command has filled a slot.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// Read the slot into the variable and go on there.
    Goto { variable: u16, reading: Reading, min: u8, max: u8, target: Target },
    /// Behave as if this key of the step's menu had been pressed.
    Choose { key: char },
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Given {
        slot: String,
        then: Given,
    },
    Ask(Box<Ask>),
    Menu(Box<Menu>),
    Must {
        condition: Expression,
        otherwise: Speech,
    },
    Tell(Speech),
    Set {
        variable: u16,
        value: Expression,
    },
    SendSms(Speech),
    If {
        condition: Expression,
        target: Target,
    },
    Mark(Arc<str>),
    /// Another language from here on.
    Language(Arc<str>),
    /// Variables of a sub-flow are forgotten when it is called.
    Clear(Vec<u16>),
    Goto(Target),
    /// The conversation is handed over to the part of this index.
    Begin(u16),
    /// Branches are in the order of the action's outcomes.
    Do {
        action: &'static Action,
        arguments: Vec<Parameter>,
        branches: Vec<Branch>,
    },
    Hold,
}

/// Where the argument of an action comes from.
#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    Value(Expression),
    Secret(u16),
}

/// A flow that can be run.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) name: String,
    /// The author's number for it.
    pub(crate) number: u32,
    pub(crate) version: Arc<str>,
    pub(crate) steps: Vec<Step>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) start: Vec<(u16, Value)>,
    /// The variable `caller`, if the flow uses it.
    pub(crate) caller: Option<u16>,
    pub(crate) back: Option<char>,
    pub(crate) main: Option<char>,
    pub(crate) pin_on_sms: PinOnSms,
    /// The flow itself.
    pub(crate) own: Part,
    /// Flows that it hands over to, and those that they hand over to: parts 1 and following.
    pub(crate) others: Vec<Part>,
    /// How long a caller who dropped may go on.
    pub(crate) resume: Option<Duration>,
    pub(crate) draft: bool,
    pub(crate) texts: Arc<Texts>,
    pub(crate) settings: Arc<Settings>,
}

impl Program {
    /// The flow's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The author's number for it.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether it answers testers only.
    #[must_use]
    pub const fn is_draft(&self) -> bool {
        self.draft
    }

    /// How long a caller who dropped may go on.
    #[must_use]
    pub const fn resume(&self) -> Option<Duration> {
        self.resume
    }

    /// A hash of everything that can change what it does: equal versions behave equally.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The steps in the order of the file; the first one is the start.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The variables; a state holds them in this order.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What the flow does about a PIN on SMS.
    #[must_use]
    pub const fn pin_on_sms(&self) -> PinOnSms {
        self.pin_on_sms
    }

    /// The messages in every language.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The market that it was compiled for.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clips and pauses of an utterance, in order.
    #[must_use]
    pub fn sounds(&self, utterance: &Utterance, language: &str) -> Vec<Sound> {
        self.texts.sounds(utterance, language)
    }

    /// The utterance in words: a screen's text, or what the clips say when the channel is voice.
    #[must_use]
    pub fn text(&self, utterance: &Utterance, language: &str, channel: Channel) -> String {
        self.texts.text(utterance, language, channel)
    }

    /// The flow itself, or another that it hands over to.
    pub(crate) fn part(&self, part: u16) -> Option<&Part> {
        match part.checked_sub(1) {
            None => Some(&self.own),
            Some(other) => self.others.get(usize::from(other)),
        }
    }

    /// The part that a step belongs to.
    pub(crate) fn part_of(&self, step: u16) -> &Part {
        let part = self.steps.get(usize::from(step)).map_or(0, |step| step.part);
        self.part(part).unwrap_or(&self.own)
    }

    /// All parts, the flow itself first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// When a caller is given up in a step.
    pub(crate) fn limits(&self, step: u16) -> Limits {
        self.steps.get(usize::from(step)).map(|step| step.limits).unwrap_or_default()
    }

    pub(crate) fn op(&self, step: u16, op: u16) -> Option<&Op> {
        self.steps.get(usize::from(step))?.ops.get(usize::from(op))
    }
}
