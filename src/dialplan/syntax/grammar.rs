//! The grammar of one line, on words. A fault names the first word that does not fit and what was expected
//! there.
//!
//! After the word that begins a line there is no way back (`cut`), so that the expectation is about that kind
//! of line.

mod expressions;

use std::time::Duration;

use nom::branch::alt;
use nom::combinator::{cut, map, opt, value, verify};
use nom::error::{ErrorKind, ParseError};
use nom::multi::{many0, separated_list0, separated_list1};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Input, Parser};

use crate::dialplan::program::PinOnSms;
use crate::dialplan::route::Element;
use crate::dialplan::syntax::ast::{
    Action, AskType, Destination, Expression, GivenThen, GlobalKey, Line, Message, Options, Pattern,
};
use crate::dialplan::syntax::grammar::expressions::expression;
use crate::dialplan::syntax::lexer::{Kind, Token};
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// A line anywhere in a flow.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Flow(Name, u32),
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
    let heading = alt((flow, step, serve, pin_on_sms, keys, tries, visits, start));
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

fn destination<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Destination, Error = Fault> {
    map(name("the step to go to, or `end`"), |name| {
        if name.value == "end" { Destination::End(name.span) } else { Destination::Step(name) }
    })
}

fn arrow<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = Destination, Error = Fault> {
    preceded(symbol("->", "`->` and the step to go to"), cut(destination()))
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
        |(key, arguments)| Message { key, arguments: arguments.unwrap_or_default() },
    )
    .parse(input)
}

// ---- the head of a flow

fn flow<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let version = word("the flow's number, such as 1", |token| {
        (token.kind == Kind::Number).then(|| token.text.parse::<u32>().ok())?
    });
    map(preceded(keyword("flow", "flow"), cut((name("the flow's name"), version))), |(name, version)| {
        Statement::Flow(name, version)
    })
    .parse(input)
}

fn step<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let kind = alt((value(false, keyword("step", "step")), value(true, keyword("menu", "menu"))));
    map((kind, cut(verify(name("the step's name"), |name: &Name| name.value != "end"))), |(menu, name)| {
        Statement::Step(name, menu)
    })
    .parse(input)
}

fn serve<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let number = word("the number that is called", |token| {
        (token.kind == Kind::Number && token.text.len() <= 20 && !token.text.contains('.'))
            .then(|| Spanned::new(token.text.to_owned(), token.span))
    });
    let voice = preceded(keyword("voice", "voice"), cut(separated_list1(comma(), number)));
    let ussd = preceded(keyword("ussd", "ussd"), cut(ussd_pattern));
    let sms = preceded(keyword("sms", "sms"), cut(sms_pattern));
    let served = alt((map(voice, Statement::Voice), map(ussd, Statement::Ussd), map(sms, Statement::Sms)));
    let want = "`voice NUMBER`, `ussd *CODE#` or `sms \"WORD {slot}\"`";
    preceded(keyword("serve", "serve"), cut(instead(want, served))).parse(input)
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

fn ussd_pattern<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Pattern> {
    let want = "a code such as `*125#` or `*125*{amount}#`";
    let digits = word(want, |token| {
        (token.kind == Kind::Number && !token.text.contains('.'))
            .then(|| Spanned::new(Element::Literal(token.text.to_owned()), token.span))
    });
    let slot = map(
        delimited(symbol("{", want), cut(name("a slot's name")), cut(symbol("}", "`}`"))),
        |name: Name| Spanned::new(Element::Slot { name: name.value, optional: false }, name.span),
    );
    let element = alt((digits, slot));
    let elements = preceded(symbol("*", want), separated_list1(symbol("*", want), element));
    let (rest, (elements, end)) = (elements, symbol("#", "`#` at the end of the code")).parse(input)?;
    let start = input.0.first().map_or(end, |token| token.span);
    Ok((rest, Spanned::new(elements, start.to(end))))
}

fn sms_pattern<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Pattern> {
    let want = "a text such as \"RC {amount} [{phone}]\": a keyword, slots, optional slots last";
    let (rest, pattern) = word(want, |token| (token.kind == Kind::Text).then_some(*token)).parse(input)?;
    let mut elements: Vec<Spanned<Element>> = Vec::new();
    for part in pattern.text.split_whitespace() {
        let offset = part.as_ptr() as usize - pattern.text.as_ptr() as usize;
        let start = pattern.span.start + 1 + offset;
        let span = Span::new(start, start + part.len());
        let optional = part.starts_with('[');
        let inner =
            if optional { part.strip_prefix('[').and_then(|p| p.strip_suffix(']')) } else { Some(part) };
        let slot = inner.and_then(|inner| inner.strip_prefix('{')?.strip_suffix('}'));
        let after_optional =
            elements.last().is_some_and(|e| matches!(e.value, Element::Slot { optional: true, .. }));
        let named = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let element = match slot {
            Some(name) if named(name) && !elements.is_empty() && (optional || !after_optional) => {
                Element::Slot { name: name.to_owned(), optional }
            }
            None if !optional && !after_optional && part.chars().all(char::is_alphanumeric) => {
                Element::Literal(part.to_owned())
            }
            _ => return fault(input, want),
        };
        elements.push(Spanned::new(element, span));
    }
    if elements.is_empty() {
        return fault(input, want);
    }
    Ok((rest, Spanned::new(elements, pattern.span)))
}

fn pin_on_sms<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let want = "`refuse`, `callback`, `reply` or `none`";
    let policy = alt((
        value(PinOnSms::Refuse, keyword("refuse", want)),
        value(PinOnSms::Callback, keyword("callback", want)),
        value(PinOnSms::Reply, keyword("reply", want)),
        value(PinOnSms::None, keyword("none", want)),
    ));
    let line =
        (keyword("pin", "pin"), cut(keyword("on", "`on sms`")), cut(keyword("sms", "`sms`")), cut(policy));
    map(line, |(_, _, _, policy)| Statement::PinOnSms(policy)).parse(input)
}

fn keys<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let want = "`back` or `main`";
    let meaning = || {
        alt((value(GlobalKey::Back, keyword("back", want)), value(GlobalKey::Main, keyword("main", want))))
    };
    let list = separated_list1(comma(), (key(), cut(meaning())));
    map(preceded(keyword("keys", "keys"), cut(list)), Statement::Keys).parse(input)
}

fn limit<'t: 'l, 'l>(
    text: &'static str,
) -> impl Parser<Words<'t, 'l>, Output = (u8, Destination), Error = Fault> {
    let count = verify(small("a count from 1 to 99"), |n: &Spanned<u8>| (1..=99).contains(&n.value));
    let then = preceded(keyword("then", "`then` and a step"), destination());
    preceded(keyword(text, text), cut(map((count, then), |(count, then)| (count.value, then))))
}

fn tries<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    map(limit("tries"), |(count, then)| Statement::Tries(count, then)).parse(input)
}

fn visits<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    map(limit("visits"), |(count, then)| Statement::Visits(count, then)).parse(input)
}

fn start<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let assignment = (name("a variable"), preceded(symbol("=", "`=` and a value"), expression));
    let line = preceded((keyword("start", "start"), cut(keyword("with", "`with`"))), cut(assignment));
    map(line, |(name, value)| Statement::Start(name, value)).parse(input)
}

// ---- the lines of a step

fn step_line<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    alt((
        given,
        ask,
        wordings,
        must,
        perform,
        on,
        option,
        key_line,
        condition,
        map(arrow(), Line::Goto),
        map(preceded(keyword("mark", "mark"), cut(name("a name"))), Line::Mark),
        hold,
        map(action, |action| Line::Action(action.value)),
    ))
    .parse(input)
}

fn given<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let choose = preceded(keyword("choose", "choose"), cut(key()));
    let then = alt((map(choose, GivenThen::Choose), map(arrow(), GivenThen::Goto)));
    let want = "`-> step` or `choose KEY`";
    let line = preceded(keyword("given", "given"), cut((name("a slot of `serve`"), instead(want, then))));
    map(line, |(slot, then)| Line::Given(slot, then)).parse(input)
}

fn ask<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let want = "a type: `digits`, `money`, `phone` or `secret`";
    let kind = |text, kind| map(keyword(text, want), move |span| Spanned::new(kind, span));
    let kinds = alt((
        kind("digits", AskType::Digits),
        kind("money", AskType::Money),
        kind("phone", AskType::Phone),
        kind("secret", AskType::Secret),
    ));
    let target = preceded(
        keyword("for", "`for NAME: TYPE`"),
        cut((name("the variable for the answer"), preceded(symbol(":", "`:` and a type"), kinds))),
    );
    let line = preceded(keyword("ask", "ask"), cut((message, opt(target), options)));
    map(line, |(message, target, options)| match target {
        Some((name, kind)) => Line::Ask(message, name, kind, options),
        None => Line::Question(message, options),
    })
    .parse(input)
}

fn options<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Options> {
    let want = "`4 digits`, `4..8 digits`, `quiet`, `no barge-in` or `wait 8s`";
    let mut out = Options::default();
    let mut input = input;
    while let Ok((rest, _)) = comma().parse(input) {
        let range = (small(want), opt(preceded(symbol("..", "`..`"), cut(small("the most digits")))));
        let digits = map((range, cut(keyword("digits", "`digits`"))), |((min, max), _)| {
            let max = max.unwrap_or_else(|| min.clone());
            Spanned::new((min.value, max.value), min.span.to(max.span))
        });
        let wait = preceded(keyword("wait", want), cut(duration));
        let barge = (keyword("no", want), cut(keyword("barge-in", "`barge-in`")));
        let mut option = instead(
            want,
            alt((
                map(digits, |digits| Options { digits: Some(digits), ..Options::default() }),
                map(keyword("quiet", want), |_| Options { quiet: true, ..Options::default() }),
                map(barge, |_| Options { no_barge_in: true, ..Options::default() }),
                map(wait, |wait| Options { wait: Some(wait), ..Options::default() }),
            )),
        );
        let (rest, one) = cut(|input| option.parse(input)).parse(rest)?;
        out.digits = one.digits.or(out.digits);
        out.quiet |= one.quiet;
        out.no_barge_in |= one.no_barge_in;
        out.wait = one.wait.or(out.wait);
        input = rest;
    }
    Ok((input, out))
}

fn duration<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Duration> {
    word("a time such as `5s`", |token| {
        let digits = token.text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().ok()?;
        let unit = match token.text.get(digits.len()..)? {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return None,
        };
        let milliseconds = number.checked_mul(unit).filter(|ms| (100..=600_000).contains(ms))?;
        (token.kind == Kind::Duration).then_some(Duration::from_millis(milliseconds))
    })
    .parse(input)
}

fn wordings<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let count = || map(opt(small("a number")), |count| count.map_or(1, |count| count.value));
    alt((
        map(preceded(keyword("again", "again"), cut(message)), Line::Again),
        map(preceded(keyword("silent", "silent"), cut((count(), message))), |(n, m)| Line::Silent(n, m)),
        map(preceded(keyword("wrong", "wrong"), cut((count(), message))), |(n, m)| Line::Wrong(n, m)),
    ))
    .parse(input)
}

fn must<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let otherwise = preceded(keyword("else", "`else` and a message"), message);
    map(preceded(keyword("must", "must"), cut((expression, otherwise))), |(condition, otherwise)| {
        Line::Must(condition, otherwise)
    })
    .parse(input)
}

fn perform<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let arguments = delimited(
        symbol("(", "`(`"),
        cut(separated_list0(comma(), expression)),
        cut(symbol(")", "`,` and another value, or `)`")),
    );
    let line = preceded(keyword("do", "do"), cut((name("an action such as `topup.route`"), opt(arguments))));
    map(line, |(action, arguments)| Line::Do(action, arguments.unwrap_or_default())).parse(input)
}

fn on<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let values = delimited(
        symbol("(", "`(`"),
        cut(separated_list1(comma(), name("a name for the value"))),
        cut(symbol(")", "`,` and another name, or `)`")),
    );
    let line = preceded(
        keyword("on", "on"),
        cut((name("an outcome of the action"), opt(values), many0(action), arrow())),
    );
    map(line, |(outcome, values, actions, to)| Line::On(outcome, values.unwrap_or_default(), actions, to))
        .parse(input)
}

fn option<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    map((key(), cut((message, many0(action), arrow()))), |(key, (label, actions, to))| {
        Line::Option(key, label, actions, to)
    })
    .parse(input)
}

fn key_line<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    map(preceded(keyword("key", "key"), cut((key(), many0(action), arrow()))), |(key, actions, to)| {
        Line::Key(key, actions, to)
    })
    .parse(input)
}

fn condition<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    map(preceded(keyword("if", "if"), cut((expression, arrow()))), |(condition, to)| Line::If(condition, to))
        .parse(input)
}

fn hold<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let rest = cut((keyword("for", "`for hang-up`"), keyword("hang-up", "`hang-up`")));
    value(Line::Hold, preceded(keyword("wait", "wait"), rest)).parse(input)
}

fn action<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Spanned<Action>> {
    let want = "`tell`, `set`, `send sms` or `->`";
    let assignment = (name("a variable"), preceded(symbol("=", "`=` and a value"), expression));
    let tell = map(preceded(keyword("tell", want), cut(message)), Action::Tell);
    let set = map(preceded(keyword("set", want), cut(assignment)), |(name, value)| Action::Set(name, value));
    let sms = preceded((keyword("send", want), cut(keyword("sms", "`sms`"))), cut(message));
    let (rest, action) = alt((tell, set, map(sms, Action::SendSms))).parse(input)?;
    let used = input.0.len() - rest.0.len();
    let first = input.0.first().map(|token| token.span).unwrap_or_default();
    let last = used.checked_sub(1).and_then(|last| input.0.get(last)).map_or(first, |token| token.span);
    Ok((rest, Spanned::new(action, first.to(last))))
}
