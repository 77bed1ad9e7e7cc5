//! Words of one line: a whole word first, then what it can be, so that a fault covers all of it.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while_m_n, take_while1};
use nom::character::complete::{anychar, char, satisfy};
use nom::combinator::{map, not, recognize};
use nom::multi::many0;
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

use crate::dialplan::syntax::span::Span;

/// The longest line, in bytes.
pub(super) const LINE_MAX: usize = 1_000;

/// What a word is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A letter and letters, digits, `-`, `_`, `.` after it.
    Name,
    /// Digits, perhaps with decimals.
    Number,
    /// Digits and a unit of time.
    Duration,
    /// `08:00`, whether or not there is such a time.
    Time,
    /// `2026-12-31`, whether or not there is such a day.
    Date,
    /// `"…"`, without the quotes.
    Text,
    /// `->`, `..`, `<=` and single characters.
    Symbol,
    /// What cannot be a word of the language.
    Strange,
}

/// A word with its place in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) span: Span,
}

/// The words of a line that begins at byte `at` of the file; a comment is none.
#[cfg(test)]
pub(super) fn tokens(line: &str, at: usize) -> Vec<Token<'_>> {
    words(line, at).0
}

/// The words of a line that begins at byte `at` of the file, and its comment from the dashes on.
pub(super) fn words(line: &str, at: usize) -> (Vec<Token<'_>>, Option<&str>) {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start();
        let fresh = trimmed.len() < rest.len() || rest.len() == line.len();
        rest = trimmed;
        if fresh && rest.starts_with("--") {
            return (out, Some(rest));
        }
        let start = line.len() - rest.len();
        let Ok((next, (kind, text))) = token(rest) else { return (out, None) };
        let end = line.len() - next.len();
        out.push(Token { kind, text, span: Span::new(at + start, at + end) });
        rest = next;
    }
}

fn token(input: &str) -> IResult<&str, (Kind, &str)> {
    let quoted = map(delimited(char('"'), take_while(|c| c != '"'), char('"')), |text| (Kind::Text, text));
    let open_quote = map(recognize(pair(char('"'), take_while(|_| true))), |text| (Kind::Strange, text));
    let pairs =
        map(alt((tag("->"), tag(".."), tag("<="), tag(">="), tag("!="))), |text| (Kind::Symbol, text));
    let word =
        map(recognize(pair(take_while1(|c: char| c.is_alphanumeric()), tail)), |text| (classify(text), text));
    let single = map(recognize(anychar), |text: &str| {
        (
            if text.chars().all(|c| "(),:@=<>+-*#{}[]/".contains(c)) { Kind::Symbol } else { Kind::Strange },
            text,
        )
    });
    alt((quoted, open_quote, pairs, clock, word, single)).parse(input)
}

/// A time of day or a day: they hold characters that end other words.
fn clock(input: &str) -> IResult<&str, (Kind, &str)> {
    let digits = |least, most| take_while_m_n(least, most, |c: char| c.is_ascii_digit());
    let time = map(recognize((digits(1, 2), char(':'), digits(2, 2))), |text| (Kind::Time, text));
    let date = map(recognize((digits(4, 4), char('-'), digits(2, 2), char('-'), digits(2, 2))), |text| {
        (Kind::Date, text)
    });
    terminated(alt((time, date)), not(satisfy(|c| c.is_alphanumeric() || c == '_'))).parse(input)
}

/// The rest of a word: `-`, `_` and `.` belong to it when a letter or digit follows.
fn tail(input: &str) -> IResult<&str, &str> {
    let joint = alt((tag("-"), tag("_"), tag(".")));
    let inner = take_while1(|c: char| c.is_alphanumeric());
    let more =
        alt((recognize(preceded(joint, inner)), take_while1(|c: char| c.is_alphanumeric() || c == '_')));
    recognize(many0(more)).parse(input)
}

fn classify(word: &str) -> Kind {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let rest = word.get(digits..).unwrap_or_default();
    if digits == 0 {
        return if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            Kind::Name
        } else {
            Kind::Strange
        };
    }
    let decimals =
        rest.strip_prefix('.').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    match rest {
        "" => Kind::Number,
        "ms" | "s" | "m" | "h" => Kind::Duration,
        _ if decimals => Kind::Number,
        _ => Kind::Strange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(line: &str) -> Vec<(Kind, &str)> {
        tokens(line, 0).into_iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn divides_lines_into_words() {
        use Kind::{Duration, Name, Number, Strange, Symbol, Text};
        assert_eq!(kinds("  -> confirm-number  -- note"), [(Symbol, "->"), (Name, "confirm-number")]);
        assert_eq!(kinds("4..8 digits"), [(Number, "4"), (Symbol, ".."), (Number, "8"), (Name, "digits")]);
        assert_eq!(kinds("topup.route(a_b)")[0], (Name, "topup.route"));
        assert_eq!(kinds("a - b")[1], (Symbol, "-"));
        assert_eq!(kinds("100x 5s 50.00"), [(Strange, "100x"), (Duration, "5s"), (Number, "50.00")]);
        assert_eq!(kinds("\"RC {amount}\" \"open"), [(Text, "RC {amount}"), (Strange, "\"open")]);
        assert_eq!(kinds("*125#").len(), 3);
        assert_eq!(kinds("é$"), [(Strange, "é"), (Strange, "$")]);
        assert_eq!(kinds("-- all of it"), []);
        use Kind::{Date, Time};
        assert_eq!(kinds("08:00-18:00"), [(Time, "08:00"), (Symbol, "-"), (Time, "18:00")]);
        assert_eq!(kinds("2026-12-31 25:99"), [(Date, "2026-12-31"), (Time, "25:99")]);
        assert_eq!(kinds("2026-12-311")[0], (Strange, "2026-12-311"));
        assert_eq!(kinds("yes/no 2h"), [(Name, "yes"), (Symbol, "/"), (Name, "no"), (Duration, "2h")]);
    }

    #[test]
    fn a_comment_is_kept_aside() {
        assert_eq!(words("  -> end  -- allow F071: x", 0).1, Some("-- allow F071: x"));
        assert_eq!(words("a--b", 0).1, None, "dashes in a word are no comment");
        assert_eq!(words("", 0), (vec![], None));
    }

    #[test]
    fn places_are_those_of_the_file() {
        let line = tokens("  ask @é", 100);
        assert_eq!(line[0].span, Span::new(102, 105));
        assert_eq!(line[2].span, Span::new(107, 109));
    }
}
