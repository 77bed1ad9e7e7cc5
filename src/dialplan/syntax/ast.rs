//! The tree of a flow as it was written, every name with its place.

use std::time::Duration;

use crate::dialplan::civil::{Date, Time};
use crate::dialplan::expression::Operator;
use crate::dialplan::program::PinOnSms;
use crate::dialplan::route::Element;
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// A flow, or a sub-flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// What a sub-flow takes and gives; nothing for a flow that answers callers.
    pub sub: Option<Signature>,
    /// `draft`, after the number.
    pub draft: Option<Span>,
    /// `param most: number = 3`
    pub params: Vec<Param>,
    /// `open mon-fri 08:00-18:00 else closed`
    pub open: Option<Spanned<Opening>>,
    /// `resume 10m`
    pub resume: Option<Spanned<Duration>>,
    /// The lines of `on hangup`, with the place of that line.
    pub on_hangup: Option<Spanned<Vec<Spanned<Line>>>>,
    /// `-- allow F071: reason`
    pub allows: Vec<Allow>,
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

/// What a sub-flow takes and how it can end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// Its parameters: name and type as it was written (`money`, `money list`, `bill`).
    pub parameters: Vec<(Name, Name)>,
    /// `gives ok(receipt: digits), locked`
    pub gives: Vec<(Name, Vec<(Name, Name)>)>,
}

/// A value that the configuration may set.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// Its type as it was written.
    pub ty: Name,
    /// Its values when the configuration says nothing: one, or several for a list.
    pub value: Vec<Spanned<Expression>>,
}

/// When a service is open, and where calls go at other times.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// The spans of time.
    pub spans: Vec<OpenSpan>,
    /// Where a session goes outside of them.
    pub otherwise: Destination,
}

/// A span of time on some days of the week.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub struct OpenSpan {
    /// Bit 0 for Monday to bit 6 for Sunday: the days on which the span begins.
    pub days: u8,
    /// The first minute.
    pub from: Time,
    /// The minute after the last; at or before `from` it is on the next day.
    pub to: Time,
}

/// `-- allow F071: reason`: that code is not reported for the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    /// The code as it was written.
    pub code: Name,
    /// The bytes of the line that it is about.
    pub line: Span,
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
    /// `return outcome(…)`: the end of a sub-flow.
    Return(Name, Vec<Spanned<Expression>>),
    /// `flow NAME`: the conversation is handed over to another flow, from its start.
    Flow(Name),
}

impl Destination {
    /// Where it was written.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Step(name) | Self::Return(name, _) | Self::Flow(name) => name.span,
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
    /// `call sub-flow(…)`
    Call(Name, Vec<Spanned<Expression>>),
    /// `return outcome(…)`, in a sub-flow.
    Return(Name, Vec<Spanned<Expression>>),
    /// `each item in list @label(…) set … -> step`, in a menu.
    Each(Box<Each>),
    /// `none @message(…) -> step`: when the list of `each` is empty.
    Empty(Option<Message>, Vec<Spanned<Action>>, Destination),
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

impl Line {
    /// Where the line leads, if an arrow stands in it.
    #[must_use]
    pub fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Goto(to)
            | Self::On(_, _, _, to)
            | Self::Option(_, _, _, to)
            | Self::Key(_, _, to)
            | Self::Empty(_, _, to)
            | Self::If(_, to)
            | Self::Given(_, GivenThen::Goto(to)) => Some(to),
            Self::Each(each) => Some(&each.to),
            _ => None,
        }
    }
}

/// An option of a menu for each item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// The variable for the chosen item.
    pub item: Name,
    /// The list.
    pub list: Spanned<Expression>,
    /// What is said of an item.
    pub label: Message,
    /// What happens when one is chosen.
    pub actions: Vec<Spanned<Action>>,
    /// Where it leads.
    pub to: Destination,
}

/// What can stand on a line of its own or before an arrow.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `language sw`
    Language(Name),
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
    /// `in sw`: the language that an option is said in, whatever the session's.
    pub language: Option<Name>,
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
    /// Yes or no.
    YesNo,
    /// A day.
    Date,
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
    /// `check luhn`
    pub check: Option<Spanned<CheckDigit>>,
}

/// How the last digit is computed from the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckDigit {
    /// ISO/IEC 7812-1 annex B.
    Luhn,
}

/// A value or condition as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A variable, perhaps with a field: `bill.amount`; `today` and `now` are always set.
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
    /// `count …`: how many items a list has.
    Count(Box<Spanned<Self>>),
    /// `known NAME`: whether a variable is set.
    Known(Name),
    /// `2026-12-31`
    Date(Date),
    /// `08:00`
    Time(Time),
    /// Two and what stands between them.
    Binary(Operator, Box<Spanned<Self>>, Box<Spanned<Self>>),
}
