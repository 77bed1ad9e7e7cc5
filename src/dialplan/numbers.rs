//! How a language says numbers, amounts, digits and telephone numbers: rules as data, one file a language.
//!
//! `prompts/LANG/numbers.say` holds rules like those of CLDR's spell-out (`20 twenty[ >>]`). Every word of a rule is an
//! atom with a clip `num/<word>`; the same file says how amounts and numbers are shown on a screen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, space0};
use nom::combinator::{all_consuming, map, value};
use nom::multi::many1;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::speak::{PAUSE_PUNCTUATION, Sound};
use crate::dialplan::syntax::span::Span;
use crate::money::Money;
use crate::msisdn::Msisdn;

/// The pause between two groups of digits.
pub const PAUSE_GROUP: Duration = Duration::from_millis(160);
/// Items of a list that are said or shown; a longer list is cut after them.
pub const LIST_MAX: usize = 12;
/// How deep rules may call each other; 10^18 needs seven.
const DEPTH_MAX: u8 = 12;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// A word: text and clip.
    Atom(Arc<str>, Arc<str>),
    /// `<<`: what the rule's power of ten goes into the number.
    Quotient,
    /// `>>`: what is left.
    Remainder,
    /// `[…]`: only if something is left.
    Optional(Vec<Part>),
    /// `{n}`: the number of an amount.
    Number,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Rule {
    base: u64,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct MoneyRule {
    code: String,
    one: Vec<Part>,
    other: Vec<Part>,
    minor: Vec<Part>,
    show: String,
}

/// The rules of one language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    language: String,
    rules: Vec<Rule>,
    minus: Vec<Part>,
    money: Vec<MoneyRule>,
    /// Country code (none for any) and the sizes of the groups of its national numbers.
    phones: Vec<(Option<String>, Vec<usize>)>,
    plus: Vec<Part>,
    last: Vec<Part>,
    keys: Vec<(char, Part)>,
}

enum Section {
    None,
    Number,
    Money(usize),
    List,
    Keys,
}

impl Numbers {
    /// Reads the rules of a language.
    #[must_use]
    pub fn parse(language: &str, file: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        let mut numbers = Self { language: language.to_owned(), ..Self::default() };
        let mut diagnostics = Vec::new();
        let mut section = Section::None;
        let mut start = 0;
        for raw in text.split_inclusive('\n') {
            let line = raw.split("--").next().unwrap_or_default().trim();
            let indent = raw.len() - raw.trim_start().len();
            let span = Span::new(start + indent, start + indent + line.len());
            start += raw.len();
            if line.is_empty() {
                continue;
            }
            if let Err(want) = numbers.line(&mut section, line, indent > 0) {
                diagnostics.push(
                    Diagnostic::error(Code::F001, file, span, format!("expected {want}"))
                        .here("not understood"),
                );
            }
        }
        numbers.rules.sort_by_key(|rule| rule.base);
        for digit in 0..=9 {
            if !numbers.rules.iter().any(|rule| rule.base == digit) {
                diagnostics.push(
                    Diagnostic::error(
                        Code::F063,
                        file,
                        Span::new(0, 0),
                        format!("the digit {digit} has no word"),
                    )
                    .hint("give every digit a line in the section `number`"),
                );
                break;
            }
        }
        (numbers, diagnostics)
    }

    fn line(&mut self, section: &mut Section, line: &str, indented: bool) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if !indented {
            if let Some(groups) = line.strip_prefix("phone") {
                *section = Section::None;
                let want = "groups such as `phone 86: 3 4 4`, or `phone: 3 3 4` for the rest";
                self.phones.push(line_of_groups(groups).ok_or(want)?);
                return Ok(());
            }
            *section = self.heading(word, rest)?;
            return Ok(());
        }
        let want = "words, `<<`, `>>` and `[ … ]`";
        match section {
            Section::Number if word == "-" => self.minus = self.parts(rest).ok_or(want)?,
            Section::Number => {
                let base: u64 = word.parse().map_err(|_| "a number and how it is said")?;
                let parts = self.parts(rest).ok_or(want)?;
                if base < 10 && !parts.iter().all(|part| matches!(part, Part::Atom(..))) {
                    return Err("words alone for a number below 10");
                }
                self.rules.push(Rule { base, parts });
            }
            Section::Money(index) => {
                let index = *index;
                let parts = self.parts(rest).ok_or("words and `{n}`")?;
                let rule = self.money.get_mut(index).ok_or("a section first")?;
                match word {
                    "one" => rule.one = parts,
                    "other" => rule.other = parts,
                    "minor" => rule.minor = parts,
                    "show" => rest.clone_into(&mut rule.show),
                    _ => return Err("`one`, `other`, `minor` or `show`"),
                }
            }
            Section::List if word == "last" => self.last = self.parts(rest).ok_or("a word such as `or`")?,
            Section::List => return Err("`last` and a word such as `or`"),
            Section::Keys => {
                let mut key = word.chars();
                let (Some(symbol), None) = (key.next(), key.next()) else {
                    return Err("one key and its word");
                };
                let part =
                    self.parts(rest).and_then(|parts| parts.into_iter().next()).ok_or("the key's word")?;
                if symbol == '+' { self.plus = vec![part] } else { self.keys.push((symbol, part)) }
            }
            Section::None => return Err("a section first: `number`, `money`, `phone`, `list` or `keys`"),
        }
        Ok(())
    }

    fn heading(&mut self, word: &str, rest: &str) -> Result<Section, &'static str> {
        match (word, rest.is_empty()) {
            ("number", true) => Ok(Section::Number),
            ("list", true) => Ok(Section::List),
            ("keys", true) => Ok(Section::Keys),
            ("money", false) => {
                self.money.push(MoneyRule { code: rest.to_owned(), ..MoneyRule::default() });
                Ok(Section::Money(self.money.len() - 1))
            }
            _ => Err("a section: `number`, `money CODE`, `phone CODE: groups`, `list` or `keys`"),
        }
    }

    fn parts(&self, text: &str) -> Option<Vec<Part>> {
        let (_, parts) = all_consuming(many1(|input| part(&self.language, input))).parse(text.trim()).ok()?;
        Some(parts)
    }

    /// Whether amounts of a currency can be said.
    #[must_use]
    pub fn has_money(&self, code: &str) -> bool {
        self.money.iter().any(|rule| rule.code == code && !rule.other.is_empty())
    }

    /// Every atom: the clip's id and its word.
    #[must_use]
    pub fn atoms(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        fn gather(parts: &[Part], out: &mut BTreeSet<(Arc<str>, Arc<str>)>) {
            for part in parts {
                match part {
                    Part::Atom(word, clip) => {
                        out.insert((clip.clone(), word.clone()));
                    }
                    Part::Optional(parts) => gather(parts, out),
                    _ => {}
                }
            }
        }
        let mut out = BTreeSet::new();
        self.rules.iter().for_each(|rule| gather(&rule.parts, &mut out));
        for rule in &self.money {
            [&rule.one, &rule.other, &rule.minor].into_iter().for_each(|parts| gather(parts, &mut out));
        }
        [&self.minus, &self.plus, &self.last].into_iter().for_each(|parts| gather(parts, &mut out));
        self.keys.iter().for_each(|(_, part)| gather(std::slice::from_ref(part), &mut out));
        out
    }

    // ---- spoken

    /// A whole number; one that the rules do not reach is said digit by digit.
    pub fn number(&self, number: i64, out: &mut Vec<Sound>) {
        if number < 0 {
            self.emit(&self.minus, 0, 0, 0, out);
        }
        self.cardinal(number.unsigned_abs(), 0, out);
    }

    fn cardinal(&self, number: u64, depth: u8, out: &mut Vec<Sound>) {
        let index = self.rules.partition_point(|rule| rule.base <= number);
        let Some(rule) = index.checked_sub(1).and_then(|index| self.rules.get(index)) else { return };
        let divisor = 10_u64.pow(rule.base.checked_ilog10().unwrap_or(0));
        let divides = rule.parts.iter().any(|part| *part == Part::Quotient);
        let whole =
            rule.base == number || divides || rule.parts.iter().any(|part| matches!(part, Part::Optional(_)));
        if depth > DEPTH_MAX || !whole || (divides && number / divisor >= 1_000_000) {
            return self.digits(&number.to_string(), out);
        }
        self.emit(&rule.parts, number / divisor, number % divisor, depth, out);
    }

    fn emit(&self, parts: &[Part], quotient: u64, remainder: u64, depth: u8, out: &mut Vec<Sound>) {
        for part in parts {
            match part {
                Part::Atom(_, clip) => out.push(Sound::Clip(clip.clone())),
                Part::Quotient => self.cardinal(quotient, depth + 1, out),
                Part::Remainder => self.cardinal(remainder, depth + 1, out),
                Part::Optional(parts) if remainder != 0 => self.emit(parts, quotient, remainder, depth, out),
                Part::Optional(_) => {}
                Part::Number => self.cardinal(quotient, depth + 1, out),
            }
        }
    }

    /// An amount: major units, then minor units if there are any.
    pub fn money(&self, money: Money, out: &mut Vec<Sound>) {
        let Some(rule) = self.money.iter().find(|rule| rule.code == money.currency.code()) else {
            return self.number(money.minor, out);
        };
        if money.minor < 0 {
            self.emit(&self.minus, 0, 0, 0, out);
        }
        let unit = 10_u64.pow(money.currency.exponent().into());
        let (major, minor) = (money.minor.unsigned_abs() / unit, money.minor.unsigned_abs() % unit);
        if major > 0 || minor == 0 || rule.minor.is_empty() {
            let parts = if major == 1 && !rule.one.is_empty() { &rule.one } else { &rule.other };
            self.emit(parts, major, 0, 0, out);
        }
        if minor > 0 {
            self.emit(&rule.minor, minor, 0, 0, out);
        }
    }

    /// Digit by digit, in groups of three or four.
    pub fn digits(&self, digits: &str, out: &mut Vec<Sound>) {
        let groups: &[usize] = match digits.len() {
            0..=5 => &[],
            6 => &[3, 3],
            7 => &[3, 4],
            8 => &[4, 4],
            9 => &[3, 3, 3],
            10 => &[3, 3, 4],
            _ => &[3, 4, 4, 4, 4, 4],
        };
        self.grouped(digits, groups, out);
    }

    fn grouped(&self, digits: &str, groups: &[usize], out: &mut Vec<Sound>) {
        let mut ends = groups.iter().scan(0, |end, group| {
            *end += group;
            Some(*end)
        });
        let mut end = ends.next();
        for (index, digit) in digits.bytes().filter(u8::is_ascii_digit).enumerate() {
            if Some(index) == end {
                out.push(Sound::Pause(PAUSE_GROUP));
                end = ends.next();
            }
            self.cardinal((digit - b'0').into(), 0, out);
        }
    }

    /// A telephone number: the market's own without its country code, others with a plus.
    pub fn phone(&self, phone: &Msisdn, country: &str, out: &mut Vec<Sound>) {
        let national = phone.national(country);
        if national.len() == phone.digits().len() {
            self.emit(&self.plus, 0, 0, 0, out);
            return self.digits(phone.digits(), out);
        }
        match self.groups(country) {
            Some(groups) => self.grouped(national, groups, out),
            None => self.digits(national, out),
        }
    }

    fn groups(&self, country: &str) -> Option<&[usize]> {
        let own = self.phones.iter().find(|(code, _)| code.as_deref() == Some(country));
        own.or_else(|| self.phones.iter().find(|(code, _)| code.is_none()))
            .map(|(_, groups)| groups.as_slice())
    }

    /// Between two items of a list: a pause, or the word before the last one.
    pub fn between(&self, last: bool, out: &mut Vec<Sound>) {
        if last {
            self.emit(&self.last, 0, 0, 0, out);
        } else {
            out.push(Sound::Pause(PAUSE_PUNCTUATION));
        }
    }

    /// The clip of a key.
    #[must_use]
    pub fn key(&self, key: char) -> Option<Arc<str>> {
        let part = match key.to_digit(10) {
            Some(digit) => self.rules.iter().find(|rule| rule.base == u64::from(digit))?.parts.first(),
            None => self.keys.iter().find(|(symbol, _)| *symbol == key).map(|(_, part)| part),
        };
        match part {
            Some(Part::Atom(_, clip)) => Some(clip.clone()),
            _ => None,
        }
    }

    // ---- shown

    /// `50 CNY`, `47.50 CNY`.
    #[must_use]
    pub fn show_money(&self, money: Money) -> String {
        let text = money.amount_text();
        let unit = 10_i64.pow(money.currency.exponent().into());
        let figure = if money.minor % unit == 0 {
            text.split('.').next().unwrap_or_default().to_owned()
        } else {
            text
        };
        match self.money.iter().find(|rule| rule.code == money.currency.code()) {
            Some(rule) if !rule.show.is_empty() => rule.show.replace("{n}", &figure),
            _ => format!("{figure} {}", money.currency),
        }
    }

    /// `138 0000 0001`, or the whole number with a plus when it is foreign.
    #[must_use]
    pub fn show_phone(&self, phone: &Msisdn, country: &str) -> String {
        let national = phone.national(country);
        if national.len() == phone.digits().len() {
            return phone.as_str().to_owned();
        }
        let mut out = String::new();
        let mut rest = national;
        for group in self.groups(country).unwrap_or_default() {
            let Some((head, tail)) = rest.split_at_checked(*group) else { break };
            if tail.is_empty() {
                break;
            }
            out.push_str(head);
            out.push(' ');
            rest = tail;
        }
        out.push_str(rest);
        out
    }

    /// `, ` or ` or `.
    #[must_use]
    pub fn show_between(&self, last: bool) -> String {
        match self.last.first() {
            Some(Part::Atom(word, _)) if last => format!(" {word} "),
            _ => ", ".to_owned(),
        }
    }
}

fn line_of_groups(rest: &str) -> Option<(Option<String>, Vec<usize>)> {
    let (country, groups) = rest.split_once(':')?;
    let groups = groups
        .split_whitespace()
        .map(|group| group.parse().ok().filter(|size| (1..=9).contains(size)))
        .collect::<Option<Vec<usize>>>()?;
    let country = country.trim();
    (!groups.is_empty()).then(|| ((!country.is_empty()).then(|| country.to_owned()), groups))
}

fn part<'i>(language: &str, input: &'i str) -> IResult<&'i str, Part> {
    let word = take_while1(|c: char| !c.is_whitespace() && !"[]<>{}".contains(c));
    let atom = map(word, |word: &str| {
        Part::Atom(Arc::from(word), Arc::from(format!("{language}/num/{}", word.to_lowercase())))
    });
    let group = map(
        delimited(char('['), many1(|inner| flat_part(language, inner)), preceded(space0, char(']'))),
        Part::Optional,
    );
    preceded(
        space0,
        alt((
            value(Part::Quotient, tag("<<")),
            value(Part::Remainder, tag(">>")),
            value(Part::Number, tag("{n}")),
            group,
            atom,
        )),
    )
    .parse(input)
}

/// A part inside brackets, which are not nested.
fn flat_part<'i>(language: &str, input: &'i str) -> IResult<&'i str, Part> {
    let word = take_while1(|c: char| !c.is_whitespace() && !"[]<>{}".contains(c));
    let atom = map(word, |word: &str| {
        Part::Atom(Arc::from(word), Arc::from(format!("{language}/num/{}", word.to_lowercase())))
    });
    preceded(space0, alt((value(Part::Quotient, tag("<<")), value(Part::Remainder, tag(">>")), atom)))
        .parse(input)
}
