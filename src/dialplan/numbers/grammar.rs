//! The right-hand side of a line of `numbers.say`: words, references and slots, as they are written.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, space0};
use nom::combinator::{all_consuming, map, opt, recognize, value};
use nom::multi::{many0, many1};
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

/// A part as it is written; names are not looked up yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    Pause,
    Quotient(Option<&'t str>),
    Remainder(Option<&'t str>),
    Same(&'t str),
    Left(Vec<Self>, Vec<Self>),
    Slot(&'t str, Option<&'t str>),
}

/// A definition of the section `words`: `两=liang3`, `CFA="C F A"`, `am=ante="a m"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Definition<'t> {
    pub(super) word: &'t str,
    pub(super) clip: Option<&'t str>,
    pub(super) spoken: Option<&'t str>,
}

/// Reads parts up to the end of the text.
pub(super) fn parts(text: &str) -> Option<Vec<Token<'_>>> {
    all_consuming(terminated(many1(part), space0)).parse(text).ok().map(|(_, parts)| parts)
}

/// Reads the definitions of one line.
pub(super) fn definitions(text: &str) -> Option<Vec<Definition<'_>>> {
    let quoted = || delimited(char('"'), take_while1(|c| c != '"'), char('"'));
    let named = (clip, opt(preceded(char('='), quoted())));
    let meaning = alt((
        map(quoted(), |spoken| (None, Some(spoken))),
        map(named, |(clip, spoken)| (Some(clip), spoken)),
    ));
    let definition = map((preceded(space0, word), char('='), meaning), |(word, _, (clip, spoken))| {
        Definition { word, clip, spoken }
    });
    all_consuming(terminated(many1(definition), space0)).parse(text).ok().map(|(_, all)| all)
}

fn part(input: &str) -> IResult<&str, Token<'_>> {
    let some = || many0(flat);
    let brackets = delimited(
        char('['),
        pair(some(), opt(preceded(preceded(space0, char('|')), some()))),
        preceded(space0, char(']')),
    );
    let left = map(brackets, |(some, none)| Token::Left(some, none.unwrap_or_default()));
    preceded(space0, alt((left, flat))).parse(input)
}

/// A part that may stand inside brackets, which are not nested.
fn flat(input: &str) -> IResult<&str, Token<'_>> {
    let slot = delimited(char('{'), pair(name, opt(preceded(char(':'), name))), char('}'));
    preceded(
        space0,
        alt((
            value(Token::Pause, tag(",")),
            map(delimited(char('<'), opt(name), char('<')), Token::Quotient),
            map(delimited(char('>'), opt(name), char('>')), Token::Remainder),
            map(delimited(char('='), name, char('=')), Token::Same),
            map(slot, |(slot, set)| Token::Slot(slot, set)),
            map(word, Token::Word),
        )),
    )
    .parse(input)
}

fn word(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| !c.is_whitespace() && !"[]<>{}=|,\"".contains(c)).parse(input)
}

/// The name of a set or a slot.
pub(super) fn name(input: &str) -> IResult<&str, &str> {
    let first = take_while1(|c: char| c.is_ascii_lowercase());
    recognize(pair(first, take_while(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')))
        .parse(input)
}

fn clip(input: &str) -> IResult<&str, &str> {
    take_while1(is_clip_char).parse(input)
}

/// What the name of a clip, which is the name of a file, is made of.
pub(super) fn is_clip_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_brackets_and_words() {
        let read = parts(" <two<百[零 >tail>|整], =number= {n:feminine} ").unwrap();
        let left =
            Token::Left(vec![Token::Word("零"), Token::Remainder(Some("tail"))], vec![Token::Word("整")]);
        assert_eq!(
            read,
            [
                Token::Quotient(Some("two")),
                Token::Word("百"),
                left,
                Token::Pause,
                Token::Same("number"),
                Token::Slot("n", Some("feminine")),
            ]
        );
        for bad in ["", "[a", "a]", "<a", "[[a]]", "{n", "==", "{N}", "\"a\""] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn definitions_name_clips_and_what_they_say() {
        let read = definitions("两=liang3 CFA=\"C F A\"  a.m.=am=\"a m\"").unwrap();
        let of = |word, clip, spoken| Definition { word, clip, spoken };
        assert_eq!(
            read,
            [
                of("两", Some("liang3"), None),
                of("CFA", None, Some("C F A")),
                of("a.m.", Some("am"), Some("a m")),
            ]
        );
        for bad in ["", "a", "a=", "a=B", "a=\"", "=b"] {
            assert_eq!(definitions(bad), None, "{bad:?}");
        }
    }
}
