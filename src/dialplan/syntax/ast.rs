//! The tree of a flow as it was written, every name with its place.

use std::time::Duration;

use crate::dialplan::expression::Operator;
use crate::dialplan::program::PinOnSms;
use crate::dialplan::route::Element;
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// A flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// Its name and where it stands.
    pub name: Option<Name>,
    /// The author's number for it.
    pub version: u32,
    /// `serve voice …`
    pub voice: Vec<Name>,
    /// `serve ussd …` and `serve sms …`: the pattern's parts with their places.
    pub ussd: Vec<Pattern>,
    /// `serve sms "…"`
    pub sms: Vec<Pattern>,
    /// `pin on sms …`
    pub pin_on_sms: Option<PinOnSms>,
    /// `keys * back, 0 main`
    pub keys: Vec<(Spanned<char>, GlobalKey)>,
    /// `tries 3 then goodbye`
    pub tries: Option<(u8, Destination)>,
    /// `visits 8 then goodbye`
    pub visits: Option<(u8, Destination)>,
    /// `start with repeat = no`
    pub start: Vec<(Name, Spanned<Expression>)>,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// A command's pattern with the place of each part.
pub type Pattern = Spanned<Vec<Spanned<Element>>>;

/// What a global key does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GlobalKey {
    /// To the question answered before.
    Back,
    /// To the start of the flow.
    Main,
}

/// Where a line goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// A step.
    Step(Name),
    /// The end of the conversation.
    End(Span),
}

impl Destination {
    /// Where it was written.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Step(name) => name.span,
            Self::End(span) => *span,
        }
    }
}

/// `step NAME` or `menu NAME` with its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: Name,
    /// Whether it was called a menu.
    pub menu: bool,
    /// Its lines.
    pub lines: Vec<Spanned<Line>>,
}

/// A line of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// `given phone -> route` or `given amount choose 1`
    Given(Name, GivenThen),
    /// `ask @message(…)`, in a menu.
    Question(Message, Options),
    /// `ask @message(…) for name: type, …`
    Ask(Message, Name, Spanned<AskType>, Options),
    /// `again @message(…)`
    Again(Message),
    /// `silent 2 @message(…)`
    Silent(u8, Message),
    /// `wrong 2 @message(…)`
    Wrong(u8, Message),
    /// `1 @label set … -> step`
    Option(Spanned<char>, Message, Vec<Spanned<Action>>, Destination),
    /// `key * … -> step`
    Key(Spanned<char>, Vec<Spanned<Action>>, Destination),
    /// `must … else @message(…)`
    Must(Spanned<Expression>, Message),
    /// `do action(…)`
    Do(Name, Vec<Spanned<Expression>>),
    /// `on outcome(…) … -> step`
    On(Name, Vec<Name>, Vec<Spanned<Action>>, Destination),
    /// `if … -> step`
    If(Spanned<Expression>, Destination),
    /// `mark name`
    Mark(Name),
    /// `-> step`
    Goto(Destination),
    /// `wait for hang-up`
    Hold,
    /// What can also stand before an arrow.
    Action(Action),
    /// A line that was not understood and has been reported: what depends on it is not reported again.
    Broken,
}

/// What can stand on a line of its own or before an arrow.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `tell @message(…)`
    Tell(Message),
    /// `set name = …`
    Set(Name, Spanned<Expression>),
    /// `send sms @message(…)`
    SendSms(Message),
}

/// What a filled slot does.
#[derive(Clone, Debug, PartialEq)]
pub enum GivenThen {
    /// Goes there with the slot's value.
    Goto(Destination),
    /// Acts like a key of the menu.
    Choose(Spanned<char>),
}

/// `@key(arguments)`
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The key, without `@`.
    pub key: Name,
    /// The arguments.
    pub arguments: Vec<Spanned<Expression>>,
}

/// The type of a question's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AskType {
    /// Digits.
    Digits,
    /// An amount.
    Money,
    /// A telephone number.
    Phone,
    /// A PIN or a code.
    Secret,
}

/// How a question listens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// `4..8 digits`
    pub digits: Option<Spanned<(u8, u8)>>,
    /// `quiet`
    pub quiet: bool,
    /// `no barge-in`
    pub no_barge_in: bool,
    /// `wait 8s`
    pub wait: Option<Duration>,
}

/// A value or condition as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A variable.
    Variable(String),
    /// A number as it was written: digits, perhaps with decimals.
    Number(String),
    /// A number with a currency: `50 CNY`.
    Amount(String, String),
    /// `"words"`
    Text(String),
    /// `yes` or `no`
    Truth(bool),
    /// `not …`
    Not(Box<Spanned<Self>>),
    /// `least …`: the smallest of a list.
    Least(Box<Spanned<Self>>),
    /// Two and what stands between them.
    Binary(Operator, Box<Spanned<Self>>, Box<Spanned<Self>>),
}
