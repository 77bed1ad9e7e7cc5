//! The lines of a flow's head, and the headings of its parts.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value, verify};
use nom::multi::{separated_list0, separated_list1};
use nom::sequence::{delimited, preceded};

use crate::dialplan::civil::Time;
use crate::dialplan::program::PinOnSms;
use crate::dialplan::route::Element;
use crate::dialplan::syntax::ast::{Destination, Expression, GlobalKey, OpenSpan, Opening, Param, Pattern};
use crate::dialplan::syntax::grammar::expressions::expression;
use crate::dialplan::syntax::grammar::{
    Fault, Parsed, Statement, Words, comma, duration, fault, instead, key, keyword, name, place, small,
    symbol, variable, word,
};
use crate::dialplan::syntax::lexer::Kind;
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// The days of the week as they are written, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// How long a conversation may be gone on with: a minute to a day.
const RESUME: std::ops::RangeInclusive<u64> = 60_000..=86_400_000;

/// A line of the head, or one that begins a step or a block.
pub(super) fn heading<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let first =
        alt((flow, sub, gives, param, open, resume, on_hangup, step, serve, pin_on_sms, keys, tries, visits));
    alt((first, start)).parse(input)
}

fn version<'t: 'l, 'l>() -> impl Parser<Words<'t, 'l>, Output = u32, Error = Fault> {
    word("its number, such as 1", |token| {
        (token.kind == Kind::Number).then(|| token.text.parse::<u32>().ok())?
    })
}

fn flow<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let draft = opt(keyword("draft", "`draft`, or nothing"));
    let line = preceded(keyword("flow", "flow"), cut((variable("the flow's name"), version(), draft)));
    map(line, |(name, version, draft)| Statement::Flow(name, version, draft)).parse(input)
}

fn sub<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let line =
        preceded(keyword("sub", "sub"), cut((variable("the sub-flow's name"), version(), opt(typed_names))));
    map(line, |(name, version, parameters)| Statement::Sub(name, version, parameters.unwrap_or_default()))
        .parse(input)
}

fn gives<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let outcome =
        map((variable("an outcome such as `ok(receipt: digits)`"), opt(typed_names)), |(name, of)| {
            (name, of.unwrap_or_default())
        });
    map(preceded(keyword("gives", "gives"), cut(separated_list1(comma(), outcome))), Statement::Gives)
        .parse(input)
}

/// `(phone: phone, amount: money)`
fn typed_names<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Vec<(Name, Name)>> {
    let one = (variable("a name and its type, such as `amount: money`"), of_type);
    delimited(
        symbol("(", "`(`"),
        cut(separated_list0(comma(), one)),
        cut(symbol(")", "`,` and another name, or `)`")),
    )
    .parse(input)
}

/// `: money list`, as it is written in messages too.
fn of_type<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Name> {
    let want = "a type such as `money`";
    let no = opt(preceded(symbol("/", "`/no`"), cut(keyword("no", "`no`"))));
    let ty = (name(want), no, opt(keyword("list", "`list`")));
    map(preceded(symbol(":", "`:` and a type"), cut(ty)), |(first, no, list)| {
        let (mut text, mut span) = (first.value, first.span);
        if let Some(no) = no {
            text.push_str("/no");
            span = span.to(no);
        }
        if let Some(list) = list {
            text.push_str(" list");
            span = span.to(list);
        }
        Spanned::new(text, span)
    })
    .parse(input)
}

fn param<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let phone = |input: Words<'t, 'l>| {
        let digits = word("a telephone number", |token| {
            (token.kind == Kind::Number).then(|| Spanned::new(format!("+{}", token.text), token.span))
        });
        map((symbol("+", "`+`"), digits), |(plus, number)| {
            Spanned::new(Expression::Text(number.value), plus.to(number.span))
        })
        .parse(input)
    };
    let values = separated_list1(comma(), alt((phone, expression)));
    let line = (variable("the param's name"), of_type, preceded(symbol("=", "`=` and a value"), values));
    map(preceded(keyword("param", "param"), cut(line)), |(name, ty, value)| {
        Statement::Param(Param { name, ty, value })
    })
    .parse(input)
}

fn open<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let want = "days and times such as `mon-fri 08:00-18:00`";
    let time = |want, midnight: bool| {
        word(want, move |token| match token.text {
            "24:00" if midnight => Some(Time::default()),
            text if token.kind == Kind::Time => Time::parse(text),
            _ => None,
        })
    };
    let until =
        preceded(symbol("-", "`-` and the time when it closes"), time("the time when it closes", true));
    let span =
        map((days(want), cut((time("the time when it opens", false), until))), |(days, (from, to))| {
            OpenSpan { days, from, to }
        });
    let otherwise = preceded(keyword("else", "`,` and more times, or `else` and a step"), place());
    let line = (separated_list1(comma(), span), otherwise);
    map(preceded(keyword("open", "open"), cut(line)), |(spans, otherwise)| {
        Statement::Open(Opening { spans, otherwise })
    })
    .parse(input)
}

/// `daily`, `sat`, `mon-fri`; a range may go over the end of the week.
fn days<'t: 'l, 'l>(want: &'static str) -> impl Parser<Words<'t, 'l>, Output = u8, Error = Fault> {
    word(want, |token| {
        if token.text == "daily" {
            return Some(0x7f);
        }
        let day = |text| DAYS.iter().position(|day| *day == text);
        let (first, last) = token.text.split_once('-').unwrap_or((token.text, token.text));
        let (first, last) = (day(first)?, day(last)?);
        let count = (last + DAYS.len() - first) % DAYS.len();
        Some((first..=first + count).fold(0, |days, day| days | 1 << (day % DAYS.len())))
    })
}

fn resume<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let time = duration("a time from `1m` to `24h`", RESUME);
    map(preceded(keyword("resume", "resume"), cut(time)), Statement::Resume).parse(input)
}

/// `on hangup` alone: with more words it is an outcome of that name.
fn on_hangup<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    if input.0.len() > 2 {
        return fault(input, "on");
    }
    value(Statement::OnHangup, (keyword("on", "on"), keyword("hangup", "hangup"))).parse(input)
}

fn step<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let kind = alt((value(false, keyword("step", "step")), value(true, keyword("menu", "menu"))));
    map(
        (
            kind,
            cut(verify(name("the step's name"), |name: &Name| {
                !matches!(name.value.as_str(), "end" | "return" | "flow")
            })),
        ),
        |(menu, name)| Statement::Step(name, menu),
    )
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
    let want = "a text such as \"RC|RECARGA {amount} [{phone}]\": a keyword, slots, optional slots last";
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
        let spelling = |word: &str| !word.is_empty() && word.chars().all(char::is_alphanumeric);
        let element = match slot {
            Some(name) if named(name) && !elements.is_empty() && (optional || !after_optional) => {
                Element::Slot { name: name.to_owned(), optional }
            }
            None if !optional && !after_optional && part.split('|').all(spelling) => {
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
    let then = preceded(keyword("then", "`then` and a step"), place());
    preceded(keyword(text, text), cut(map((count, then), |(count, then)| (count.value, then))))
}

fn tries<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    map(limit("tries"), |(count, then)| Statement::Tries(count, then)).parse(input)
}

fn visits<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    map(limit("visits"), |(count, then)| Statement::Visits(count, then)).parse(input)
}

fn start<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Statement> {
    let assignment = (variable("a variable"), preceded(symbol("=", "`=` and a value"), expression));
    let line = preceded((keyword("start", "start"), cut(keyword("with", "`with`"))), cut(assignment));
    map(line, |(name, value)| Statement::Start(name, value)).parse(input)
}
