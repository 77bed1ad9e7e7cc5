//! Message files (`messages/LANG.msg`): keys with typed slots, and a form of the text for each channel.
//!
//! ```text
//! over-day-limit(limit: money, left: money)
//!   That is over the day's limit of {limit}. {left} is left today.
//!   ussd: Over today's limit of {limit}; left: {left}.
//! ```
//!
//! A slot may say how it is read: `{phone:last4}` only its last digits, `{n:digits}` digit by digit, `{n:ordinal}` as a
//! place in an order, `{n:duration}` seconds and `{n:minutes}` minutes as a span of time, `{n:count}`, `{n:masculine}` and `{n:feminine}` as what it
//! counts wants it. `{n|try|tries}` is a number that counts, and the word for one and for others; `{n|次}` has one word
//! for all, and `{n:feminine|minute|minutes}` a gender.
//!
//! This reads the text only; whether keys and slots agree with the flows and between languages is checked
//! elsewhere.

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, space0, space1};
use nom::combinator::{map, map_opt, opt, recognize, verify};
use nom::multi::separated_list1;
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// The longest text of one form, in characters; nobody listens to more.
pub const TEXT_MAX: usize = 1_000;

/// The messages of one language as they were written.
#[derive(Clone, Debug, Default)]
pub struct MessageFile {
    /// The file's name.
    pub file: String,
    /// The language: the file's name without `.msg`.
    pub language: String,
    /// In the order of the file.
    pub messages: Vec<MessageSource>,
}

/// One message as it was written.
#[derive(Clone, Debug)]
pub struct MessageSource {
    /// Its key.
    pub key: Name,
    /// Its slots: name and type.
    pub slots: Vec<(Name, Name)>,
    /// For every channel without a form of its own.
    pub default: Template,
    /// Spoken.
    pub voice: Template,
    /// On a USSD screen.
    pub ussd: Template,
    /// In a text message.
    pub sms: Template,
}

/// A text with slots; empty when it was not written.
pub type Template = Vec<Spanned<Part>>;

/// A part of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// `{name}` or `{name:last4}`.
    Slot {
        /// The slot.
        name: String,
        /// How it is read.
        reading: Reading,
    },
    /// `{name|try|tries}`: the number and the word that goes with it. With one word both are equal.
    Plural {
        /// The slot.
        name: String,
        /// How the number is read: [`Reading::Count`] unless a gender is written.
        reading: Reading,
        /// After the numbers that the language counts as one.
        one: String,
        /// After all others.
        other: String,
    },
    /// `{clip ID}`: a clip of its own.
    Clip(String),
    /// `{tone 350+440 120s}`: two frequencies in hertz (the second may be 0) and a length in milliseconds.
    Tone {
        /// Hertz.
        hertz: [u16; 2],
        /// Milliseconds.
        milliseconds: u32,
    },
}

/// How a slot is read, as it is written after the colon.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reading {
    /// As its type is usually read.
    #[default]
    Plain,
    /// `last4`: so many last digits only.
    Last(u8),
    /// `digits`: digit by digit.
    Digits,
    /// `ordinal`: a place in an order.
    Ordinal,
    /// `duration`: seconds, as minutes, hours or days.
    Duration,
    /// `minutes`: minutes, as minutes, hours or days.
    Minutes,
    /// `count`: a number before what it counts.
    Count,
    /// `masculine`
    Masculine,
    /// `feminine`
    Feminine,
}

impl Reading {
    /// Those that are a word, without [`Reading::Last`].
    const WORDS: [(&'static str, Self); 7] = [
        ("digits", Self::Digits),
        ("ordinal", Self::Ordinal),
        ("duration", Self::Duration),
        ("minutes", Self::Minutes),
        ("count", Self::Count),
        ("masculine", Self::Masculine),
        ("feminine", Self::Feminine),
    ];

    /// Whether a number that counts can be read so.
    const fn counts(self) -> bool {
        matches!(self, Self::Count | Self::Masculine | Self::Feminine)
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Last(count) = self {
            return write!(f, "last{count}");
        }
        let word = Self::WORDS.iter().find(|(_, reading)| reading == self);
        f.write_str(word.map_or("its type is", |(word, _)| word))
    }
}

/// Which forms a line of text belongs to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    Default,
    Voice,
    Ussd,
    Sms,
    Text,
}

impl MessageFile {
    /// Reads a file named `LANG.msg`.
    #[must_use]
    pub fn parse(file: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        let language = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".msg").to_owned();
        let mut out = Self { file: file.to_owned(), language, messages: Vec::new() };
        let mut diagnostics = Vec::new();
        let mut form = Form::Default;
        let mut start = 0;
        for raw in text.split_inclusive('\n') {
            let at = start;
            start += raw.len();
            let line = raw.trim_end();
            let indent = line.len() - line.trim_start().len();
            if line.trim_start().is_empty() || line.trim_start().starts_with("--") {
                continue;
            }
            let result = if indent == 0 {
                form = Form::Default;
                heading(line).map(|message| out.messages.push(message.moved(at)))
            } else if let Some(message) = out.messages.last_mut() {
                body(message, &mut form, line.trim_start(), at + indent)
            } else {
                Err((line.len() - indent, "a message's key at the start of the line, before its text"))
            };
            if let Err((rest, want)) = result {
                let from = (at + line.len()).saturating_sub(rest).max(at + indent.min(line.len()));
                let span = Span::new(from.min(at + line.len()), at + line.len());
                diagnostics
                    .push(Diagnostic::error(Code::F001, file, span, format!("expected {want}")).here("here"));
            }
        }
        (out, diagnostics)
    }
}

impl MessageSource {
    /// Spans of a heading are relative to its line; this makes them those of the file.
    fn moved(mut self, by: usize) -> Self {
        let shift = |span: Span| Span::new(span.start + by, span.end + by);
        self.key.span = shift(self.key.span);
        for (name, ty) in &mut self.slots {
            name.span = shift(name.span);
            ty.span = shift(ty.span);
        }
        self
    }

    /// Whether no form was written at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.default, &self.voice, &self.ussd, &self.sms].into_iter().all(Vec::is_empty)
    }
}

/// What stood in the way: the bytes that were left of the line, and what was expected there.
type Failure = (usize, &'static str);

fn name(input: &str) -> IResult<&str, &str> {
    verify(
        recognize(pair(
            take_while1(|c: char| c.is_ascii_alphabetic()),
            take_while(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')),
        )),
        |name: &str| !name.ends_with(['-', '.']),
    )
    .parse(input)
}

fn heading(line: &str) -> Result<MessageSource, Failure> {
    let spanned = |text: &str, rest: &str| {
        let end = line.len() - rest.len();
        Spanned::new(text.to_owned(), Span::new(end - text.len(), end))
    };
    let (rest, key) = name(line).map_err(|_| (line.len(), "a message's key, such as `over-day-limit`"))?;
    let key = spanned(key, rest);
    let mut slots = Vec::new();
    let mut rest = rest;
    if let Some(inside) = rest.strip_prefix('(') {
        rest = inside;
        loop {
            let from = rest.trim_start();
            let (after, slot) = name(from).map_err(|_| (from.len(), "a slot's name"))?;
            let slot = spanned(slot, after);
            let (after, _) = delimited(space0, char::<_, nom::error::Error<_>>(':'), space0)
                .parse(after)
                .map_err(|_| (after.len(), "`:` and the slot's type, such as `money`"))?;
            let (next, ty) =
                slot_type(after).map_err(|_| (after.len(), "a type, such as `money` or `money list`"))?;
            slots.push((slot, spanned(ty, next)));
            rest = next.trim_start();
            match rest.as_bytes().first() {
                Some(b',') => rest = rest.get(1..).unwrap_or_default(),
                Some(b')') => {
                    rest = rest.get(1..).unwrap_or_default();
                    break;
                }
                _ => return Err((rest.len(), "`,` and another slot, or `)`")),
            }
        }
    }
    if !rest.trim().is_empty() {
        return Err((rest.trim_start().len(), "the end of the line: the text follows on indented lines"));
    }
    let empty = Vec::new;
    Ok(MessageSource { key, slots, default: empty(), voice: empty(), ussd: empty(), sms: empty() })
}

fn slot_type(input: &str) -> IResult<&str, &str> {
    recognize(pair(alt((tag("yes/no"), name)), opt(pair(space1, tag("list"))))).parse(input)
}

fn body(message: &mut MessageSource, form: &mut Form, line: &str, at: usize) -> Result<(), Failure> {
    let forms = [("voice:", Form::Voice), ("ussd:", Form::Ussd), ("sms:", Form::Sms), ("text:", Form::Text)];
    let mut text = line;
    let mut continues = true;
    for (prefix, named) in forms {
        if let Some(rest) = line.strip_prefix(prefix) {
            *form = named;
            text = rest.trim_start();
            continues = false;
        }
    }
    let parts = template(text, at + line.len() - text.len())?;
    for (target, belongs) in [
        (&mut message.default, *form == Form::Default),
        (&mut message.voice, *form == Form::Voice),
        (&mut message.ussd, matches!(*form, Form::Ussd | Form::Text)),
        (&mut message.sms, matches!(*form, Form::Sms | Form::Text)),
    ] {
        if belongs {
            if continues && !target.is_empty() {
                target.push(Spanned::new(Part::Text(" ".into()), Span::new(at, at)));
            }
            target.extend(parts.iter().cloned());
        }
    }
    Ok(())
}

fn template(text: &str, at: usize) -> Result<Template, Failure> {
    if text.chars().count() > TEXT_MAX {
        return Err((text.len(), "a text of at most 1000 characters"));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let (next, part) = if rest.starts_with('{') {
            slot(rest).map_err(|_| {
                (
                    rest.len(),
                    "a slot such as `{amount}`, `{phone:last4}`, `{left|try|tries}` or `{clip intro}`",
                )
            })?
        } else {
            let end = rest.find('{').unwrap_or(rest.len());
            let (words, next) = rest.split_at(end);
            (next, Part::Text(words.to_owned()))
        };
        let end = text.len() - next.len();
        parts.push(Spanned::new(part, Span::new(at + start, at + end)));
        rest = next;
    }
    Ok(parts)
}

fn number(input: &str) -> IResult<&str, u32> {
    let digits = verify(take_while1(|c: char| c.is_ascii_digit()), |text: &str| text.len() <= 6);
    map(digits, |text: &str| text.parse().unwrap_or_default()).parse(input)
}

/// `:last4`, `:digits` and the like.
fn reading(input: &str) -> IResult<&str, Reading> {
    let last = map(preceded(tag("last"), verify(number, |count| (1..=9).contains(count))), |count| {
        Reading::Last(u8::try_from(count).unwrap_or_default())
    });
    let word = map_opt(take_while1(|c: char| c.is_ascii_lowercase()), |word| {
        Reading::WORDS.iter().find(|(name, _)| *name == word).map(|(_, reading)| *reading)
    });
    preceded(char(':'), alt((last, word))).parse(input)
}

fn slot(input: &str) -> IResult<&str, Part> {
    let word = || preceded(char('|'), take_while1(|c: char| !"{}|".contains(c)));
    let counting =
        map(opt(verify(reading, |reading| reading.counts())), |reading| reading.unwrap_or(Reading::Count));
    let plural =
        map((name, counting, word(), opt(word())), |(name, reading, one, other): (_, _, &str, _)| {
            let (name, one, other) = (name.to_owned(), one.trim(), other.unwrap_or(one).trim());
            Part::Plural { name, reading, one: one.to_owned(), other: other.to_owned() }
        });
    let clip_id = recognize(separated_list1(char('/'), name));
    let clip = map(preceded((tag("clip"), space1), clip_id), |id: &str| Part::Clip(id.to_owned()));
    let unit = alt((map(tag("ms"), |_| 1), map(tag("s"), |_| 1_000)));
    let hertz = || verify(number, |hertz| (20..=3_900).contains(hertz));
    let tone = map(
        preceded((tag("tone"), space1), (hertz(), opt(preceded(char('+'), hertz())), space1, number, unit)),
        |(low, high, _, length, unit)| Part::Tone {
            hertz: [
                u16::try_from(low).unwrap_or_default(),
                u16::try_from(high.unwrap_or(0)).unwrap_or_default(),
            ],
            milliseconds: (length * unit).min(600_000),
        },
    );
    let plain = map((name, opt(reading)), |(name, reading): (&str, Option<Reading>)| Part::Slot {
        name: name.to_owned(),
        reading: reading.unwrap_or_default(),
    });
    let inside = alt((tone, clip, all_consuming_before_brace(plural), plain));
    delimited(char('{'), delimited(space0, inside, space0), char('}')).parse(input)
}

/// A parser that only succeeds right before the closing brace.
fn all_consuming_before_brace<'i>(
    parser: impl Parser<&'i str, Output = Part, Error = nom::error::Error<&'i str>>,
) -> impl Parser<&'i str, Output = Part, Error = nom::error::Error<&'i str>> {
    terminated(parser, nom::combinator::peek(char('}')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (MessageFile, Vec<String>) {
        let (file, faults) = MessageFile::parse("messages/en.msg", text);
        let faults = faults.iter().map(|f| format!("{} {}", f.labels[0].start, f.message)).collect();
        (file, faults)
    }

    #[test]
    fn a_message_has_slots_and_a_form_for_each_channel() {
        let text = "-- note\nleft(n: number, all: money list)\n  You have {n|try|tries}\n  of {all}.\n  text: {n} left\n";
        let (file, faults) = parse(text);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(file.language, "en");
        let message = &file.messages[0];
        let types: Vec<(&str, &str)> =
            message.slots.iter().map(|(name, ty)| (name.value.as_str(), ty.value.as_str())).collect();
        assert_eq!(types, [("n", "number"), ("all", "money list")]);
        assert_eq!(&text[message.slots[1].1.span.start..message.slots[1].1.span.end], "money list");
        let parts: Vec<&Part> = message.default.iter().map(|part| &part.value).collect();
        let plural = Part::Plural {
            name: "n".into(),
            reading: Reading::Count,
            one: "try".into(),
            other: "tries".into(),
        };
        assert_eq!(parts[1], &plural);
        assert_eq!(parts[2], &Part::Text(" ".into()));
        assert_eq!(message.ussd, message.sms);
        assert!(message.voice.is_empty());
    }

    #[test]
    fn clips_tones_and_last_digits() {
        let (file, faults) =
            parse("a(p: phone)\n  {clip intro/one} {tone 350+440 120s}{p:last4}{ tone 600 200ms }\n");
        assert!(faults.is_empty(), "{faults:?}");
        let parts: Vec<&Part> = file.messages[0].default.iter().map(|part| &part.value).collect();
        assert_eq!(parts[0], &Part::Clip("intro/one".into()));
        assert_eq!(parts[2], &Part::Tone { hertz: [350, 440], milliseconds: 120_000 });
        assert_eq!(parts[3], &Part::Slot { name: "p".into(), reading: Reading::Last(4) });
        assert_eq!(parts[4], &Part::Tone { hertz: [600, 0], milliseconds: 200 });
    }

    #[test]
    fn slots_say_how_they_are_read() {
        for (text, wanted) in [
            ("n", Reading::Plain),
            ("n:last9", Reading::Last(9)),
            ("n:digits", Reading::Digits),
            ("n:ordinal", Reading::Ordinal),
            ("n:duration", Reading::Duration),
            ("n:minutes", Reading::Minutes),
            ("n:count", Reading::Count),
            ("n:feminine", Reading::Feminine),
        ] {
            let (file, faults) = parse(&format!("a(n: number)\n  {{{text}}}\n"));
            assert_eq!(faults, [""; 0], "{text}");
            let slot = Part::Slot { name: "n".into(), reading: wanted };
            assert_eq!(file.messages[0].default[0].value, slot);
        }
        for (text, wanted, words) in [
            ("n|次", Reading::Count, ["次", "次"]),
            ("n:feminine|minute|minutes", Reading::Feminine, ["minute", "minutes"]),
            ("n:masculine| essai | essais ", Reading::Masculine, ["essai", "essais"]),
        ] {
            let (file, _) = parse(&format!("a(n: number)\n  {{{text}}}\n"));
            let [one, other] = words.map(str::to_owned);
            let plural = Part::Plural { name: "n".into(), reading: wanted, one, other };
            assert_eq!(file.messages[0].default[0].value, plural);
        }
        for text in ["n:last0", "n:last10", "n:first", "n:", "n:ordinal|a|b", "n|a|b|c", "n|"] {
            let (_, faults) = parse(&format!("a(n: number)\n  {{{text}}}\n"));
            assert_eq!(faults.len(), 1, "{text}");
        }
    }

    #[test]
    fn faults_point_at_what_does_not_fit() {
        for (text, at) in [
            ("  text first\n", 2),
            ("9key\n", 0),
            ("key(name)\n", 8),
            ("key(name: )\n", 10),
            ("key(a: money b)\n", 13),
            ("key extra\n", 4),
            ("key\n  text {open\n", 11),
            ("key\n  {tone 5 1s}\n", 6),
        ] {
            let (_, faults) = parse(text);
            assert_eq!(faults.len(), 1, "{text:?} {faults:?}");
            assert!(faults[0].starts_with(&format!("{at} ")), "{text:?} {faults:?}");
        }
    }

    #[test]
    fn a_text_too_long_to_listen_to_is_refused() {
        let (_, faults) = parse(&format!("key\n  {}\n", "a".repeat(TEXT_MAX + 1)));
        assert_eq!(faults.len(), 1);
    }
}
