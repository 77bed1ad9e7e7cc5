//! Where a conversation stands. It can be saved at every wait and never holds a secret.

use std::collections::BTreeMap;

use crate::dialplan::event::Channel;
use crate::dialplan::program::Program;
use crate::dialplan::value::Value;
use crate::msisdn::Msisdn;

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
    /// What is waited for.
    pub wait: Wait,
    /// Where.
    pub at: Point,
    /// The variables, by the program's index.
    pub(crate) vars: Vec<Option<Value>>,
    /// Slots of a one-shot command that no question has used yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) prefilled: BTreeMap<String, String>,
    /// Wrong answers in this visit of the step.
    pub(crate) wrong: u8,
    /// Silences in this visit of the step.
    pub(crate) silent: u8,
    /// How often each step was entered.
    pub(crate) visits: Vec<u8>,
    /// Answers in the whole session.
    pub(crate) inputs: u16,
    /// Answered questions, oldest first.
    pub(crate) history: Vec<Answered>,
    /// Assignments since the oldest answered question: variable, former value.
    pub(crate) undo: Vec<(u16, Option<Value>)>,
    /// Whether keys typed before the next question must be dropped.
    pub(crate) fresh: bool,
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
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wait == Wait::Over
    }

    /// The value of a variable, if it is set.
    #[must_use]
    pub fn variable(&self, program: &Program, name: &str) -> Option<&Value> {
        let index = program.variables().iter().position(|variable| variable.name == name)?;
        self.vars.get(index)?.as_ref()
    }
}
