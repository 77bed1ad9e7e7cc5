//! The grammar of one line, on words. A fault names the first word that does not fit and what was expected
//! there.
//!
//! After the word that begins a line there is no way back (`cut`), so that the expectation is about that kind
//! of line.

mod expressions;
mod head;
mod lines;

use std::time::Duration;

use nom::branch::alt;
use nom::combinator::{cut, map, opt};
use nom::error::{ErrorKind, ParseError};
use nom::multi::{separated_list0, separated_list1};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Input, Parser};

use crate::dialplan::program::PinOnSms;
use crate::dialplan::syntax::ast::{
    Destination, Expression, GlobalKey, Line, Message, Opening, Param, Pattern,
};
use crate::dialplan::syntax::grammar::expressions::expression;
use crate::dialplan::syntax::grammar::head::heading;
use crate::dialplan::syntax::grammar::lines::step_line;
use crate::dialplan::syntax::lexer::{Kind, Token};
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// A line anywhere in a flow.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Flow(Name, u32, Option<Span>),
    Sub(Name, u32, Vec<(Name, Name)>),
    Gives(Vec<(Name, Vec<(Name, Name)>)>),
    Param(Param),
    Open(Opening),
    Resume(Duration),
    OnHangup,
    Step(Name, bool),
    Voice(Vec<Name>),
    Ussd(Pattern),
    Sms(Pattern),
    PinOnSms(PinOnSms),
    Keys(Vec<(Spanned<char>, GlobalKey)>),
    Tries(u8, Destination),
    Visits(u8, Destination),
    Start(Name, Spanned<Expression>),
    Line(Line),
}

/// What was expected, and how many words were left there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    pub(super) left: usize,
    pub(super) want: &'static str,
}

/// The words that are left of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'t, 'l>(&'l [Token<'t>]);

type Parsed<'t, 'l, T> = IResult<Words<'t, 'l>, T, Fault>;

impl<'t, 'l> Input for Words<'t, 'l> {
    type Item = &'l Token<'t>;
    type Iter = std::slice::Iter<'l, Token<'t>>;
    type IterIndices = std::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.0.len()
    }
    fn take(&self, index: usize) -> Self {
        Self(self.0.get(..index).unwrap_or(self.0))
    }
    fn take_from(&self, index: usize) -> Self {
        Self(self.0.get(index..).unwrap_or_default())
    }
    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }
    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.0.iter().position(predicate)
    }
    fn iter_elements(&self) -> Self::Iter {
        self.0.iter()
    }
    fn iter_indices(&self) -> Self::IterIndices {
        self.0.iter().enumerate()
    }
    fn slice_index(&self, count: usize) -> Result<usize, nom::Needed> {
        if count <= self.0.len() { Ok(count) } else { Err(nom::Needed::new(count - self.0.len())) }
    }
}

impl ParseError<Words<'_, '_>> for Fault {
    fn from_error_kind(input: Words<'_, '_>, _: ErrorKind) -> Self {
        Self { left: input.0.len(), want: "something else" }
    }
    fn append(_: Words<'_, '_>, _: ErrorKind, other: Self) -> Self {
        other
    }
    /// The branch that came farthest knows best what was meant.
    fn or(self, other: Self) -> Self {
        if self.left < other.left { self } else { other }
    }
}

/// Reads one line.
///
/// # Errors
/// The place of the first word that does not fit, and what was expected.
pub(super) fn statement(words: &[Token<'_>]) -> Result<Statement, (Span, &'static str)> {
    let place = |fault: &Fault| {
        let end = words.last().map(|last| Span::new(last.span.end, last.span.end)).unwrap_or_default();
        words.len().checked_sub(fault.left).and_then(|at| words.get(at)).map_or(end, |word| word.span)
    };
    match line(Words(words)) {
        Ok((Words([]), statement)) => Ok(statement),
        Ok((Words(rest), _)) => {
            let fault = Fault { left: rest.len(), want: "the end of the line" };
            Err((place(&fault), fault.want))
        }
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => Err((place(&fault), fault.want)),
        Err(nom::Err::Incomplete(_)) => Err((Span::default(), "more")),
    }
}

fn line<'t, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let begins = "a line such as `ask`, `tell`, `do`, `on`, `set`, `if`, `must`, `->`, a key, or `step NAME`";
    let (rest, statement) = match alt((heading, map(step_line, Statement::Line))).parse(input) {
        Err(nom::Err::Error(fault)) if fault.left == input.0.len() => {
            return Err(nom::Err::Error(Fault { want: begins, ..fault }));
        }
        other => other?,
    };
    Ok((rest, statement))
}

// ---- words

fn fault<T>(input: Words<'_, '_>, want: &'static str) -> Result<T, nom::Err<Fault>> {
    Err(nom::Err::Error(Fault { left: input.0.len(), want }))
}

/// One word that `accept` takes.
fn word<'t, 'l, T>(
    want: &'static str,
    accept: impl Fn(&Token<'t>) -> Option<T>,
) -> impl Parser<Words<'t, 'l>, Output = T, Error = Fault>
where
    't: 'l,
{
    move |input: Words<'t, 'l>| match input.0.split_first() {
        Some((first, rest)) => match accept(first) {
            Some(accepted) => Ok((Words(rest), accepted)),
            None => fault(input, want),
        },
        None => fault(input, want),
    }
}

/// A word of the language.
fn keyword<'t: 'l, 'l>(
    text: &'static str,
    want: &'static str,
) -> impl Parser<Words<'t, 'l>, Output = Span, Error = Fault> {
    word(want, move |token| (token.kind == Kind::Name && token.text == text).then_some(token.span))
}

fn symbol<'t: 'l, 'l>(
    text: &'static str,
    want: &'static str,
) -> impl Parser<Words<'t, 'l>, Output = Span, Error = Fault> {
    word(want, move |token| (token.kind == Kind::Symbol && token.text == text).then_some(token.span))
}

fn name<'t: 'l, 'l>(want: &'static str) -> impl Parser<Words<'t, 'l>, Output = Name, Error = Fault> {
    word(want, |token| (token.kind == Kind::Name).then(|| Spanned::new(token.text.to_owned(), token.span)))
}

fn small<'t: 'l, 'l>(want: &'static str) -> impl Parser<Words<'t, 'l>, Output = Spanned<u8>, Error = Fault> {
    word(want, |token| {
        let number = (token.kind == Kind::Number).then(|| token.text.parse().ok())??;
        Some(Spanned::new(number, token.span))
    })
}

fn comma<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Span, Error = Fault> {
    symbol(",", "`,`")
}

/// One key of a telephone.
fn key<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Spanned<char>, Error = Fault> {
    word("a key: 0 to 9 or `*`", |token| {
        let mut chars = token.text.chars();
        let key = chars.next().filter(|_| chars.next().is_none())?;
        (key.is_ascii_digit() || key == '*').then_some(Spanned::new(key, token.span))
    })
}

/// A variable that a line declares: fields belong to records, which only actions make.
fn variable<'t: 'l, 'l>(want: &'static str) -> impl Parser<Words<'t, 'l>, Output = Name, Error = Fault> {
    word(want, |token| {
        let plain = token.kind == Kind::Name && !token.text.contains('.');
        plain.then(|| Spanned::new(token.text.to_owned(), token.span))
    })
}

/// A step, or `end`.
fn place<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Destination, Error = Fault> {
    |input: Words<'t, 'l>| {
        let want = match input.0.first().map(|token| token.text) {
            Some("return") => "a step or `end`: put `return` in a step of its own",
            Some("flow") => "a step or `end`: put `-> flow …` in a step of its own",
            _ => "the step to go to, or `end`",
        };
        let step = word(want, |token| {
            let step = token.kind == Kind::Name && !matches!(token.text, "return" | "flow");
            step.then(|| Spanned::new(token.text.to_owned(), token.span))
        });
        let mut step = map(step, |name| {
            if name.value == "end" { Destination::End(name.span) } else { Destination::Step(name) }
        });
        step.parse(input)
    }
}

/// `->` and a step or `end`.
fn jump<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Destination, Error = Fault> {
    preceded(symbol("->", "`->` and the step to go to"), cut(place()))
}

/// `->` and a step, `end`, `return outcome(…)` or `flow NAME`.
fn arrow<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Destination, Error = Fault> {
    let leave = map(returning(), |(name, values)| Destination::Return(name, values));
    let hand_over = preceded(keyword("flow", "flow"), cut(variable("the name of another flow")));
    let hand_over = map(hand_over, Destination::Flow);
    preceded(symbol("->", "`->` and the step to go to"), cut(alt((leave, hand_over, place()))))
}

fn returning<'t: 'l, 'l>()
-> impl Parser<Words<'t, 'l>, Output = (Name, Vec<Spanned<Expression>>), Error = Fault> {
    preceded(keyword("return", "return"), cut((name("an outcome of `gives`"), values)))
}

/// Values in parentheses, or none.
fn values<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Vec<Spanned<Expression>>> {
    let list = delimited(
        symbol("(", "`(`"),
        cut(separated_list0(comma(), expression)),
        cut(symbol(")", "`,` and another value, or `)`")),
    );
    map(opt(list), Option::unwrap_or_default).parse(input)
}

/// A time within bounds, in milliseconds.
fn duration<'t: 'l, 'l>(
    want: &'static str,
    bounds: std::ops::RangeInclusive<u64>,
) -> impl Parser<Words<'t, 'l>, Output = Duration, Error = Fault> {
    word(want, move |token| {
        let digits = token.text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().ok()?;
        let unit = match token.text.get(digits.len()..)? {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let milliseconds = number.checked_mul(unit).filter(|ms| bounds.contains(ms))?;
        (token.kind == Kind::Duration).then_some(Duration::from_millis(milliseconds))
    })
}

/// Gives a list of alternatives one expectation of its own when none of them begins here.
fn instead<'t: 'l, 'l, T>(
    want: &'static str,
    mut parser: impl Parser<Words<'t, 'l>, Output = T, Error = Fault>,
) -> impl Parser<Words<'t, 'l>, Output = T, Error = Fault> {
    move |input: Words<'t, 'l>| match parser.parse(input) {
        Err(nom::Err::Error(at)) if at.left == input.0.len() => fault(input, want),
        other => other,
    }
}

fn message<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Message> {
    let want = "a message such as `@goodbye`";
    let arguments = delimited(
        symbol("(", "`(`"),
        cut(separated_list1(comma(), expression)),
        cut(symbol(")", "`,` and another value, or `)`")),
    );
    map(
        preceded(symbol("@", want), cut((name("the message's key right after `@`"), opt(arguments)))),
        |(key, arguments)| Message { key, arguments: arguments.unwrap_or_default(), language: None },
    )
    .parse(input)
}
