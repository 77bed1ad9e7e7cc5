//! Expressions, loosest operator first, on the words of a line.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map};
use nom::sequence::delimited;

use crate::dialplan::civil::{Date, Time};
use crate::dialplan::expression::{DEPTH_MAX, Operator};
use crate::dialplan::syntax::ast::Expression;
use crate::dialplan::syntax::grammar::{Fault, Parsed, Words, instead, keyword, name, symbol, word};
use crate::dialplan::syntax::lexer::Kind;
use crate::dialplan::syntax::span::{Span, Spanned};

/// `or`, `and`, `not`, comparisons, sums, and what they are made of.
pub(super) fn expression<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Spanned<Expression>> {
    level(input, 0, 0)
}

const LEVELS: &[&[(Operator, &str)]] = &[
    &[(Operator::Or, "or")],
    &[(Operator::And, "and")],
    &[
        (Operator::Equal, "="),
        (Operator::NotEqual, "!="),
        (Operator::LessEqual, "<="),
        (Operator::GreaterEqual, ">="),
        (Operator::Less, "<"),
        (Operator::Greater, ">"),
        (Operator::In, "in"),
    ],
    &[(Operator::Add, "+"), (Operator::Subtract, "-")],
];

fn level<'t: 'l, 'l>(
    input: Words<'t, 'l>,
    index: usize,
    depth: usize,
) -> Parsed<'t, 'l, Spanned<Expression>> {
    let Some(operators) = LEVELS.get(index) else { return unary(input, depth) };
    let (mut rest, mut left) = level(input, index + 1, depth)?;
    while let Some((first, after)) = rest.0.split_first() {
        let found = operators
            .iter()
            .find(|(_, text)| *text == first.text && matches!(first.kind, Kind::Symbol | Kind::Name));
        let Some((operator, _)) = found else { break };
        let (next, right) = cut(|input| level(input, index + 1, depth)).parse(Words(after))?;
        let span = left.span.to(right.span);
        left = Spanned::new(Expression::Binary(*operator, Box::new(left), Box::new(right)), span);
        rest = next;
        if nested(&left.value) > DEPTH_MAX {
            return Err(nom::Err::Failure(Fault { left: rest.0.len(), want: "a shorter condition" }));
        }
    }
    Ok((rest, left))
}

fn nested(expression: &Expression) -> usize {
    match expression {
        Expression::Binary(_, left, right) => 1 + nested(&left.value).max(nested(&right.value)),
        Expression::Not(inner) | Expression::Least(inner) | Expression::Count(inner) => {
            1 + nested(&inner.value)
        }
        _ => 0,
    }
}

fn unary<'t: 'l, 'l>(input: Words<'t, 'l>, depth: usize) -> Parsed<'t, 'l, Spanned<Expression>> {
    if depth > DEPTH_MAX {
        return Err(nom::Err::Failure(Fault { left: input.0.len(), want: "a simpler condition" }));
    }
    let negation = map(
        (keyword("not", "not"), cut(move |input| level(input, 2, depth + 1))),
        |(span, inner): (Span, Spanned<Expression>)| {
            let span = span.to(inner.span);
            Spanned::new(Expression::Not(Box::new(inner)), span)
        },
    );
    let least = map(
        (keyword("least", "least"), move |input| unary(input, depth + 1)),
        |(span, inner): (Span, Spanned<Expression>)| {
            let span = span.to(inner.span);
            Spanned::new(Expression::Least(Box::new(inner)), span)
        },
    );
    let count = map(
        (keyword("count", "count"), move |input| unary(input, depth + 1)),
        |(span, inner): (Span, Spanned<Expression>)| {
            let span = span.to(inner.span);
            Spanned::new(Expression::Count(Box::new(inner)), span)
        },
    );
    let known = map((keyword("known", "known"), name("the variable that may be known")), |(span, name)| {
        let span = span.to(name.span);
        Spanned::new(Expression::Known(name), span)
    });
    let close = || symbol(")", "`)`");
    let group = delimited(symbol("(", "("), cut(move |input| level(input, 0, depth + 1)), cut(close()));
    alt((negation, least, count, known, group, amount, atom)).parse(input)
}

fn amount<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Spanned<Expression>> {
    let number = word("a number", |token| (token.kind == Kind::Number).then_some((token.text, token.span)));
    let code = word("a currency", |token| {
        let capitals = token.text.len() == 3 && token.text.bytes().all(|b| b.is_ascii_uppercase());
        (token.kind == Kind::Name && capitals).then_some((token.text, token.span))
    });
    map((number, code), |((number, from), (code, to))| {
        Spanned::new(Expression::Amount(number.to_owned(), code.to_owned()), from.to(to))
    })
    .parse(input)
}

fn atom<'t: 'l, 'l>(input: Words<'t, 'l>) -> Parsed<'t, 'l, Spanned<Expression>> {
    let words = word("a value", |token| {
        let text = token.text.to_owned();
        let expression = match token.kind {
            Kind::Name if token.text == "yes" => Expression::Truth(true),
            Kind::Name if token.text == "no" => Expression::Truth(false),
            Kind::Name => Expression::Variable(text),
            Kind::Number if token.text.len() <= 20 => Expression::Number(text),
            Kind::Text => Expression::Text(text),
            Kind::Date => Expression::Date(Date::parse(token.text)?),
            Kind::Time => Expression::Time(Time::parse(token.text)?),
            _ => return None,
        };
        Some(Spanned::new(expression, token.span))
    });
    let want = match input.0.first().map(|token| token.kind) {
        Some(Kind::Date) => "a day that exists, such as 2026-12-31",
        Some(Kind::Time) => "a time from 00:00 to 23:59",
        _ => "a variable, a number, `yes`, `no` or \"a text\"",
    };
    instead(want, words).parse(input)
}
