//! Where a conversation stands. It can be saved at every wait and never holds a secret.

mod compact;

use std::collections::BTreeMap;

use crate::dialplan::action::Action;
use crate::dialplan::civil::Moment;
use crate::dialplan::event::Channel;
use crate::dialplan::program::{Op, Program};
use crate::dialplan::value::Value;
use crate::msisdn::{Assurance, Msisdn};

/// What the program waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The start of the session.
    Start,
    /// The caller's answer.
    Answer,
    /// The outcome of an action.
    Outcome,
    /// The caller to hang up.
    Hangup,
    /// The caller to be reached on a channel where a PIN may be asked.
    Callback,
    /// Whether a caller who is back wants to go on.
    Resume,
    /// Nothing: it is over.
    Over,
}

/// A point in a program: a step and an operation in it. Saved as a pair, since a session is saved at every
/// wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(from = "(u16, u16)", into = "(u16, u16)")]
pub struct Point {
    /// Index of the step.
    pub step: u16,
    /// Index of the operation.
    pub op: u16,
}

impl From<(u16, u16)> for Point {
    fn from((step, op): (u16, u16)) -> Self {
        Self { step, op }
    }
}

impl From<Point> for (u16, u16) {
    fn from(point: Point) -> Self {
        (point.step, point.op)
    }
}

impl From<(u16, u16, u16)> for Answered {
    fn from((step, op, undo): (u16, u16, u16)) -> Self {
        Self { at: Point { step, op }, undo }
    }
}

impl From<Answered> for (u16, u16, u16) {
    fn from(answered: Answered) -> Self {
        (answered.at.step, answered.at.op, answered.undo)
    }
}

/// An answered question that `back` can return to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(from = "(u16, u16, u16)", into = "(u16, u16, u16)")]
pub(crate) struct Answered {
    /// The question.
    pub(crate) at: Point,
    /// How long the undo log was before the answer.
    pub(crate) undo: u16,
}

/// The state of one conversation in one program.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct State {
    /// The flow's name.
    pub flow: String,
    /// The version of the catalogue that the program belongs to.
    pub version: String,
    /// The channel.
    pub channel: Channel,
    /// The language being spoken.
    pub language: String,
    /// The caller's number, if believed.
    pub caller: Option<Msisdn>,
    /// How far that number is believed: not at all when the caller is known by a code that was sent to it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub assurance: Assurance,
    /// What is waited for.
    pub wait: Wait,
    /// Where.
    pub at: Point,
    /// The variables, by the program's index.
    #[serde(with = "compact::variables")]
    pub(crate) vars: Vec<Option<Value>>,
    /// Slots of a one-shot command that no question has used yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) prefilled: BTreeMap<String, String>,
    /// Wrong answers in this visit of the step.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) wrong: u8,
    /// Silences in this visit of the step.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) silent: u8,
    /// How often each step was entered.
    #[serde(with = "compact::visits")]
    pub(crate) visits: Vec<u8>,
    /// Answers in the whole session.
    pub(crate) inputs: u16,
    /// Answered questions, oldest first.
    pub(crate) history: Vec<Answered>,
    /// Assignments since the oldest answered question: variable, former value.
    #[serde(with = "compact::log")]
    pub(crate) undo: Vec<(u16, Option<Value>)>,
    /// Whether keys typed before the next question must be dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fresh: bool,
    /// When the session began.
    pub(crate) began: Moment,
    /// The caller has gone while a payment was under way: nothing is asked any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
    /// Whether a small payment may be taken without a PIN over the route that the caller's messages come by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) pin_waivable: bool,
    /// The page of a menu's list that was last spoken.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) page: u16,
    /// A screen of several pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) screen: Option<Pages>,
}

/// A text that does not fit one screen.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Pages {
    /// All of it.
    pub(crate) text: String,
    /// The page that is shown, from 0.
    pub(crate) shown: u8,
    /// Whether the conversation ends with the last page.
    pub(crate) ends: bool,
}

/// What is usual is not written.
fn is_none<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

impl State {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        Self {
            flow: program.name().to_owned(),
            version: program.version().to_owned(),
            channel: Channel::Voice,
            language: program.texts().default_language().to_owned(),
            caller: None,
            assurance: Assurance::default(),
            wait: Wait::Start,
            at: Point { step: 0, op: 0 },
            vars: vec![None; program.variables().len()],
            prefilled: BTreeMap::new(),
            wrong: 0,
            silent: 0,
            visits: vec![0; program.steps().len()],
            inputs: 0,
            history: Vec::new(),
            undo: Vec::new(),
            fresh: false,
            began: Moment::default(),
            gone: false,
            pin_waivable: false,
            page: 0,
            screen: None,
        }
    }

    /// Speaks a language if the program has it: one that the caller chose before only while nothing was answered yet, one that
    /// he chooses `now` at once.
    pub fn speak(&mut self, program: &Program, language: &str, now: bool) {
        if (now || self.inputs == 0) && program.texts().has_language(language) {
            language.clone_into(&mut self.language);
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wait == Wait::Over
    }

    /// The action at which it stands, if it stands at one.
    #[must_use]
    pub fn awaited(&self, program: &Program) -> Option<&'static Action> {
        match program.op(self.at.step, self.at.op) {
            Some(Op::Do { action, .. }) => Some(action),
            _ => None,
        }
    }

    /// The value of a variable, if it is set.
    #[must_use]
    pub fn variable(&self, program: &Program, name: &str) -> Option<&Value> {
        let index = program.variables().iter().position(|variable| variable.name == name)?;
        self.vars.get(index)?.as_ref()
    }
}
