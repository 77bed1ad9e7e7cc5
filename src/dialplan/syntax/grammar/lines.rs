//! The lines of a step.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::{many0, separated_list1};
use nom::sequence::{delimited, preceded};

use crate::dialplan::syntax::ast::{Action, AskType, CheckDigit, Each, GivenThen, Line, Message, Options};
use crate::dialplan::syntax::grammar::expressions::expression;
use crate::dialplan::syntax::grammar::{
    Parsed, Words, arrow, comma, duration, instead, jump, key, keyword, message, name, returning, small,
    symbol, values, variable,
};
use crate::dialplan::syntax::span::Spanned;

/// The time to the first key, in milliseconds.
const WAIT: std::ops::RangeInclusive<u64> = 100..=600_000;

/// A line of a step.
pub(super) fn step_line<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    alt((
        given,
        ask,
        wordings,
        must,
        perform,
        call,
        map(returning(), |(name, values)| Line::Return(name, values)),
        on,
        option,
        each,
        empty,
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
    let then = alt((map(choose, GivenThen::Choose), map(jump(), GivenThen::Goto)));
    let want = "`-> step` or `choose KEY`";
    let line = preceded(keyword("given", "given"), cut((variable("a slot of `serve`"), instead(want, then))));
    map(line, |(slot, then)| Line::Given(slot, then)).parse(input)
}

fn ask<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let want = "a type: `digits`, `money`, `phone`, `secret`, `yes/no` or `date`";
    let kind = |text, kind| map(keyword(text, want), move |span| Spanned::new(kind, span));
    let truth = (keyword("yes", want), cut((symbol("/", "`/no`"), keyword("no", "`no`"))));
    let kinds = alt((
        map(truth, |(yes, (_, no))| Spanned::new(AskType::YesNo, yes.to(no))),
        kind("date", AskType::Date),
        kind("digits", AskType::Digits),
        kind("money", AskType::Money),
        kind("phone", AskType::Phone),
        kind("secret", AskType::Secret),
    ));
    let target = preceded(
        keyword("for", "`for NAME: TYPE`"),
        cut((variable("the variable for the answer"), preceded(symbol(":", "`:` and a type"), kinds))),
    );
    let line = preceded(keyword("ask", "ask"), cut((message, opt(target), options)));
    map(line, |(message, target, options)| match target {
        Some((name, kind)) => Line::Ask(message, name, kind, options),
        None => Line::Question(message, options),
    })
    .parse(input)
}

fn options<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Options> {
    let want = "`4 digits`, `4..8 digits`, `check luhn`, `quiet`, `no barge-in` or `wait 8s`";
    let mut out = Options::default();
    let mut input = input;
    while let Ok((rest, _)) = comma().parse(input) {
        let range = (small(want), opt(preceded(symbol("..", "`..`"), cut(small("the most digits")))));
        let digits = map((range, cut(keyword("digits", "`digits`"))), |((min, max), _)| {
            let max = max.unwrap_or_else(|| min.clone());
            Spanned::new((min.value, max.value), min.span.to(max.span))
        });
        let wait = preceded(keyword("wait", want), cut(duration("a time such as `5s`", WAIT)));
        let luhn = preceded(keyword("check", want), cut(keyword("luhn", "`luhn`")));
        let check = map(luhn, |span| Some(Spanned::new(CheckDigit::Luhn, span)));
        let barge = (keyword("no", want), cut(keyword("barge-in", "`barge-in`")));
        let mut option = instead(
            want,
            alt((
                map(digits, |digits| Options { digits: Some(digits), ..Options::default() }),
                map(keyword("quiet", want), |_| Options { quiet: true, ..Options::default() }),
                map(barge, |_| Options { no_barge_in: true, ..Options::default() }),
                map(check, |check| Options { check, ..Options::default() }),
                map(wait, |wait| Options { wait: Some(wait), ..Options::default() }),
            )),
        );
        let (rest, one) = cut(|input| option.parse(input)).parse(rest)?;
        out.digits = one.digits.or(out.digits);
        out.quiet |= one.quiet;
        out.no_barge_in |= one.no_barge_in;
        out.wait = one.wait.or(out.wait);
        out.check = one.check.or(out.check);
        input = rest;
    }
    Ok((input, out))
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
    let line = preceded(keyword("do", "do"), cut((name("an action such as `topup.route`"), values)));
    map(line, |(action, arguments)| Line::Do(action, arguments)).parse(input)
}

fn call<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let line = preceded(keyword("call", "call"), cut((name("a sub-flow"), values)));
    map(line, |(sub, arguments)| Line::Call(sub, arguments)).parse(input)
}

fn each<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let list = preceded(keyword("in", "`in` and a list"), expression);
    let line = (variable("a name for the item"), list, message, many0(action), arrow());
    map(preceded(keyword("each", "each"), cut(line)), |(item, list, label, actions, to)| {
        Line::Each(Box::new(Each { item, list, label, actions, to }))
    })
    .parse(input)
}

fn empty<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let line = preceded(keyword("none", "none"), cut((opt(message), many0(action), arrow())));
    map(line, |(message, actions, to)| Line::Empty(message, actions, to)).parse(input)
}

fn on<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let bound = delimited(
        symbol("(", "`(`"),
        cut(separated_list1(comma(), variable("a name for the value"))),
        cut(symbol(")", "`,` and another name, or `)`")),
    );
    let line = preceded(
        keyword("on", "on"),
        cut((name("an outcome of the action"), opt(bound), many0(action), arrow())),
    );
    map(line, |(outcome, bound, actions, to)| Line::On(outcome, bound.unwrap_or_default(), actions, to))
        .parse(input)
}

fn option<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let language = opt(preceded(keyword("in", "`in`"), cut(name("a language such as `sw`"))));
    map((key(), cut((message, language, many0(action), arrow()))), |(key, (label, language, actions, to))| {
        Line::Option(key, Message { language, ..label }, actions, to)
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
    map(preceded(keyword("if", "if"), cut((expression, jump()))), |(condition, to)| Line::If(condition, to))
        .parse(input)
}

fn hold<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Line> {
    let rest = cut((keyword("for", "`for hang-up`"), keyword("hang-up", "`hang-up`")));
    value(Line::Hold, preceded(keyword("wait", "wait"), rest)).parse(input)
}

fn action<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Spanned<Action>> {
    let want = "`tell`, `set`, `send sms`, `language` or `->`";
    let assignment = (variable("a variable"), preceded(symbol("=", "`=` and a value"), expression));
    let tell = map(preceded(keyword("tell", want), cut(message)), Action::Tell);
    let set = map(preceded(keyword("set", want), cut(assignment)), |(name, value)| Action::Set(name, value));
    let sms = preceded((keyword("send", want), cut(keyword("sms", "`sms`"))), cut(message));
    let language = preceded(keyword("language", want), cut(name("a language such as `sw`")));
    let (rest, action) =
        alt((tell, set, map(sms, Action::SendSms), map(language, Action::Language))).parse(input)?;
    let used = input.0.len() - rest.0.len();
    let first = input.0.first().map(|token| token.span).unwrap_or_default();
    let last = used.checked_sub(1).and_then(|last| input.0.get(last)).map_or(first, |token| token.span);
    Ok((rest, Spanned::new(action, first.to(last))))
}
