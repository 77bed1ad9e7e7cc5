//! How a language says numbers, amounts, digits and telephone numbers: rules as data, one file a language.
//!
//! `prompts/LANG/numbers.say` holds rules like those of CLDR's spell-out (`20 twenty[ >>]`). Every word of a
//! rule is an atom with a clip `num/<word>`; the same file says how amounts and numbers are shown on a
//! screen.

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
pub const PAUSE_GROUP: Duration = Duration::from_millis(130);
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
    Optional(Vec<Self>),
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
        let divides = rule.parts.contains(&Part::Quotient);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn english() -> Numbers {
        let (numbers, faults) =
            Numbers::parse("en", "numbers.say", include_str!("../../prompts/en/numbers.say"));
        assert_eq!(faults, []);
        numbers
    }

    /// The words of sounds; `|` is a pause.
    fn words(say: impl FnOnce(&Numbers, &mut Vec<Sound>)) -> String {
        let mut out = Vec::new();
        say(&english(), &mut out);
        let words = out.iter().map(|sound| match sound {
            Sound::Clip(id) => id.strip_prefix("en/num/").unwrap(),
            Sound::Pause(_) => "|",
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn english_numbers() {
        for (number, said) in [
            (0, "zero"),
            (7, "seven"),
            (10, "ten"),
            (13, "thirteen"),
            (20, "twenty"),
            (21, "twenty one"),
            (99, "ninety nine"),
            (100, "one hundred"),
            (105, "one hundred five"),
            (110, "one hundred ten"),
            (342, "three hundred forty two"),
            (1_000, "one thousand"),
            (2_000, "two thousand"),
            (2_016, "two thousand sixteen"),
            (12_345, "twelve thousand three hundred forty five"),
            (100_000, "one hundred thousand"),
            (999_999, "nine hundred ninety nine thousand nine hundred ninety nine"),
            (1_000_000, "one million"),
            (3_000_001, "three million one"),
            (-5, "minus five"),
        ] {
            assert_eq!(words(|n, out| n.number(number, out)), said, "{number}");
        }
    }

    #[test]
    fn a_number_beyond_the_rules_is_said_digit_by_digit() {
        let said = words(|n, out| n.number(1_000_000_000_000, out));
        assert!(said.starts_with("one zero zero | zero"), "{said}");
        assert!(words(|n, out| n.number(i64::MIN, out)).starts_with("minus nine two two |"));
    }

    #[test]
    fn english_amounts() {
        let cny = Currency::new("CNY").unwrap();
        for (minor, said, shown) in [
            (5_000, "fifty yuan", "50 CNY"),
            (100, "one yuan", "1 CNY"),
            (50, "fifty fen", "0.50 CNY"),
            (4_750, "forty seven yuan fifty fen", "47.50 CNY"),
            (0, "zero yuan", "0 CNY"),
            (-250, "minus two yuan fifty fen", "-2.50 CNY"),
            (200_000, "two thousand yuan", "2000 CNY"),
        ] {
            let money = Money::new(minor, cny);
            assert_eq!(words(|n, out| n.money(money, out)), said);
            assert_eq!(english().show_money(money), shown);
        }
        let usd = Money::new(100, Currency::new("USD").unwrap());
        assert_eq!(words(|n, out| n.money(usd, out)), "one dollar");
        let unknown = Money::new(700, Currency::new("EUR").unwrap());
        assert_eq!(english().show_money(unknown), "7 EUR");
    }

    #[test]
    fn telephone_numbers_in_groups() {
        let phone = |text: &str| Msisdn::parse(text).unwrap();
        let own = phone("+8613800000012");
        let said = words(|n, out| n.phone(&own, "86", out));
        assert_eq!(said, "one three eight | zero zero zero zero | zero zero one two");
        assert_eq!(english().show_phone(&own, "86"), "138 0000 0012");
        let foreign = phone("+254712345678");
        let said = words(|n, out| n.phone(&foreign, "86", out));
        assert!(said.starts_with("plus two five four | seven one two three"), "{said}");
        assert_eq!(english().show_phone(&foreign, "86"), "+254712345678");
        assert_eq!(words(|n, out| n.digits("204813", out)), "two zero four | eight one three");
    }

    #[test]
    fn keys_and_lists() {
        assert_eq!(english().key('*').as_deref(), Some("en/num/star"));
        assert_eq!(english().key('2').as_deref(), Some("en/num/two"));
        assert_eq!(english().key('?'), None);
        assert_eq!(english().show_between(true), " or ");
        assert_eq!(words(|n, out| n.between(true, out)), "or");
    }

    #[test]
    fn every_sound_has_an_atom() {
        let atoms = english().atoms();
        let known = |id: &Arc<str>| atoms.iter().any(|(clip, _)| clip == id);
        for number in (0..3_000).chain([9_999, 10_000, 123_456, 7_654_321]) {
            let mut out = Vec::new();
            english().number(number, &mut out);
            assert!(!out.is_empty());
            assert!(out.iter().all(|sound| matches!(sound, Sound::Clip(id) if known(id))), "{number}");
        }
    }

    #[test]
    fn faults_are_reported_with_their_line() {
        let text = "number\n  x one\n  5 <<\nstrange\nmoney CNY\n  many {n}\nphone 86: a\nlist\n  first or\n";
        let (_, faults) = Numbers::parse("en", "numbers.say", text);
        let lines: Vec<usize> =
            faults.iter().map(|f| text[..f.labels[0].start].matches('\n').count() + 1).collect();
        assert_eq!(lines, [2, 3, 4, 6, 7, 9, 1], "{faults:?}");
    }

    #[test]
    fn rules_of_another_language_follow_their_own_powers() {
        let digits = "零一二三四五六七八九";
        let mut text = "number\n".to_owned();
        for (value, word) in digits.chars().enumerate() {
            text.push_str(&format!("  {value} {word}\n"));
        }
        text.push_str("  10 十[ >>]\n  20 << 十[ >>]\n  100 << 百[ >>]\n  10000 << 万[ >>]\n");
        let (numbers, faults) = Numbers::parse("zh", "numbers.say", &text);
        assert_eq!(faults, []);
        let mut out = Vec::new();
        numbers.number(250_000, &mut out);
        let said: String = out
            .iter()
            .filter_map(|s| match s {
                Sound::Clip(id) => id.strip_prefix("zh/num/"),
                Sound::Pause(_) => None,
            })
            .collect();
        assert_eq!(said, "二十五万");
    }
}
