//! Reads `numbers.say` line by line. Every fault becomes a diagnostic and the next line is read all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::numbers::Numbers;
use crate::dialplan::numbers::calendar::Unit;
use crate::dialplan::numbers::grammar::{self, Token};
use crate::dialplan::numbers::money::{ANY, MoneyRule};
use crate::dialplan::numbers::phone::PhoneRule;
use crate::dialplan::numbers::rule::{self, Atom, Part, Rule, RuleSet, Slot};
use crate::dialplan::syntax::span::Span;
use crate::money::Currency;

/// Sets of one file; the shipped ones have at most a dozen.
const SETS_MAX: usize = 64;
/// Money sections of one file.
const MONEY_MAX: usize = 256;

const SECTION: &str = "a section: `number`, `number NAME`, `plural`, `money CODE`, `phone CODE: groups`, \
    `decimal`, `date`, `months`, `time`, `duration UNIT`, `list`, `keys`, `letters` or `words`";
const PARTS: &str = "words, `<<`, `>>`, `=set=`, `,` and `[ … ]`";

/// What a line belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Section {
    None,
    Number(usize),
    Plural,
    Money(usize),
    Duration(Unit),
    Date,
    Months,
    Time,
    List,
    Keys,
    Letters,
    Words,
}

/// Why a line cannot be read.
#[derive(Debug)]
enum Fault {
    Expected(&'static str),
    Is(Code, String),
}

impl From<&'static str> for Fault {
    fn from(want: &'static str) -> Self {
        Self::Expected(want)
    }
}

struct Reader<'t> {
    language: &'t str,
    file: &'t str,
    numbers: Numbers,
    section: Section,
    span: Span,
    /// What `words` says of a word: its clip, and what the voice is to read.
    words: BTreeMap<&'t str, (Option<&'t str>, Option<&'t str>)>,
    /// Where each set was first named.
    sets: Vec<Span>,
    money: Vec<Span>,
    bases: BTreeSet<(usize, u64)>,
    /// Whether a line of the plain set was not understood, so that its digits are not missed as well.
    plain_is_faulty: bool,
    faults: Vec<Diagnostic>,
}

/// Reads a whole file.
pub(super) fn read(language: &str, file: &str, text: &str) -> (Numbers, Vec<Diagnostic>) {
    let mut reader = Reader {
        language,
        file,
        numbers: Numbers::default(),
        section: Section::None,
        span: Span::new(0, 0),
        words: BTreeMap::new(),
        sets: Vec::new(),
        money: Vec::new(),
        bases: BTreeSet::new(),
        plain_is_faulty: false,
        faults: Vec::new(),
    };
    // The plain set is the first, whatever comes first in the file.
    let _ = reader.set("number");
    reader.definitions(text);
    for (line, indented, span) in lines(text) {
        reader.span = span;
        if let Err(fault) = reader.line(line, indented) {
            reader.plain_is_faulty |= reader.section == Section::Number(0);
            reader.fault(fault);
        }
    }
    reader.finish()
}

/// The lines with their places, without comments and blank ones; whether they are indented.
fn lines(text: &str) -> impl Iterator<Item = (&str, bool, Span)> {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |raw| {
        let line = raw.split("--").next().unwrap_or_default().trim();
        let indent = raw.len() - raw.trim_start().len();
        let span = Span::new(start + indent, start + indent + line.len());
        start += raw.len();
        (!line.is_empty()).then_some((line, indent > 0, span))
    })
}

fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim())
}

impl<'t> Reader<'t> {
    fn fault(&mut self, fault: Fault) {
        self.faults.push(match fault {
            Fault::Expected(want) => {
                Diagnostic::error(Code::F001, self.file, self.span, format!("expected {want}"))
                    .here("not understood")
            }
            Fault::Is(code, text) => Diagnostic::error(code, self.file, self.span, text),
        });
    }

    /// Reads the sections `words`, which the others refer to.
    fn definitions(&mut self, text: &'t str) {
        let mut inside = false;
        for (line, indented, span) in lines(text) {
            if !indented {
                inside = line == "words";
            } else if inside {
                self.span = span;
                match grammar::definitions(line) {
                    None => self.fault("words with their clips, such as `two=er4` or `USA=\"U S A\"`".into()),
                    Some(all) => {
                        self.words.extend(all.iter().map(|one| (one.word, (one.clip, one.spoken))));
                    }
                }
            }
        }
    }

    fn line(&mut self, line: &'t str, indented: bool) -> Result<(), Fault> {
        if !indented {
            // The lines below a heading that was not understood belong to nothing; they are no faults too.
            self.section = Section::None;
            self.section = self.heading(line)?;
            return Ok(());
        }
        let (word, rest) = split(line);
        match self.section {
            Section::Number(set) => self.number(set, word, rest),
            Section::Plural => self.plural(word, rest),
            Section::Money(index) => self.money(index, word, rest),
            Section::Duration(unit) => self.duration(unit, word, rest),
            Section::Date => self.date(word, rest),
            Section::Months => self.month(word, rest),
            Section::Time => self.time(word, rest),
            Section::List => self.list(word, rest),
            Section::Keys | Section::Letters => self.key(word, rest),
            Section::Words => Ok(()),
            Section::None => Err("a section first, such as `number`, `money` or `keys`".into()),
        }
    }

    fn heading(&mut self, line: &'t str) -> Result<Section, Fault> {
        if let Some(groups) = line.strip_prefix("phone") {
            let want = "groups such as `phone 86: 3 4 4`, or `phone: 3 3 4` for the rest";
            self.numbers.phones.push(PhoneRule::parse(groups).ok_or(want)?);
            return Ok(Section::None);
        }
        match split(line) {
            ("number", "") => Ok(Section::Number(0)),
            ("number", name) => {
                let whole = grammar::name(name).is_ok_and(|(rest, _)| rest.is_empty());
                let name = whole.then_some(name).ok_or("a name such as `feminine`")?;
                Ok(Section::Number(self.set(name)?))
            }
            ("money", code) if code == ANY || Currency::new(code).is_ok() => {
                if self.numbers.money.iter().any(|rule| rule.code == code) {
                    return Err(Fault::Is(Code::F003, format!("there is a section `money {code}` already")));
                }
                if self.money.len() >= MONEY_MAX {
                    return Err("fewer sections `money`".into());
                }
                self.money.push(self.span);
                self.numbers.money.push(MoneyRule { code: code.to_owned(), ..MoneyRule::default() });
                Ok(Section::Money(self.money.len() - 1))
            }
            ("money", _) => Err("`money` and a currency's three letters, or `money other`".into()),
            ("duration", unit) => {
                let unit = Unit::ALL.into_iter().find(|(name, _)| *name == unit);
                Ok(Section::Duration(unit.ok_or("`duration` and `minute`, `hour` or `day`")?.1))
            }
            ("decimal", mark) => {
                let mut mark = mark.chars();
                let (Some(mark), None) = (mark.next(), mark.next()) else {
                    return Err("one character, such as `decimal ,`".into());
                };
                self.numbers.decimal = Some(mark);
                Ok(Section::None)
            }
            ("plural", "") => Ok(Section::Plural),
            ("date", "") => Ok(Section::Date),
            ("months", "") => Ok(Section::Months),
            ("time", "") => Ok(Section::Time),
            ("list", "") => Ok(Section::List),
            ("keys", "") => Ok(Section::Keys),
            ("letters", "") => Ok(Section::Letters),
            ("words", "") => Ok(Section::Words),
            _ => Err(SECTION.into()),
        }
    }

    fn number(&mut self, set: usize, word: &str, rest: &'t str) -> Result<(), Fault> {
        if word == "-" {
            self.numbers.minus = self.parts(rest, &[], PARTS)?;
            return Ok(());
        }
        let wanted = "a number and how it is said";
        let (base, divisor) = word.split_once('/').map_or((word, None), |(base, by)| (base, Some(by)));
        let base: u64 = base.parse().map_err(|_| wanted)?;
        let power = 10_u64.pow(base.checked_ilog10().unwrap_or(0));
        let divisor = divisor.map_or(Ok(power), |by| by.parse::<u64>().map_err(|_| wanted))?;
        if divisor == 0 || divisor > base.max(1) {
            return Err("a divisor from 2 up to the number".into());
        }
        let parts = self.parts(rest, &[], PARTS)?;
        if set == 0 && base < 10 && !parts.iter().all(|part| matches!(part, Part::Atom(_))) {
            return Err("words alone for a number below 10".into());
        }
        // By 1 a number does not become smaller, and its rule would never end.
        let divides =
            |part: &Part| matches!(part, Part::Quotient(_) | Part::Remainder(_) | Part::Left { .. });
        if divisor < 2 && parts.iter().any(divides) {
            return Err("words and `=set=` alone for a number below 10".into());
        }
        if !self.bases.insert((set, base)) {
            return Err(Fault::Is(Code::F003, format!("the number {base} is said already")));
        }
        if let Some(set) = self.numbers.rules.sets.get_mut(set) {
            set.rules.push(Rule { base, divisor, parts });
        }
        Ok(())
    }

    fn plural(&mut self, word: &str, rest: &str) -> Result<(), Fault> {
        let want = "`one` and numbers, or `many` and what they are multiples of";
        let numbers = rest.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>();
        let numbers = numbers.map_err(|_| want)?;
        match (word, numbers.as_slice()) {
            ("one", [_, ..]) => self.numbers.plural.one = numbers,
            ("many", [unit]) if *unit > 1 => self.numbers.plural.many = Some(*unit),
            _ => return Err(want.into()),
        }
        Ok(())
    }

    fn money(&mut self, index: usize, word: &str, rest: &'t str) -> Result<(), Fault> {
        let want = "`one`, `many`, `other`, `minor`, `minor-one`, `after`, `after-one` or `show`";
        let shown = word == "show";
        let slots = [Slot::Number, Slot::Figures, Slot::Code];
        let parts = match shown {
            true => Vec::new(),
            false => self.parts(rest, &slots, "words, `{n}`, `{figures}` and `{code}`")?,
        };
        let rule = self.numbers.money.get_mut(index).ok_or(want)?;
        match word {
            "one" => rule.major.one = parts,
            "many" => rule.major.many = parts,
            "other" => rule.major.other = parts,
            "minor-one" => rule.minor.one = parts,
            "minor" => rule.minor.other = parts,
            "after-one" => rule.after.one = parts,
            "after" => rule.after.other = parts,
            "show" if !rest.is_empty() => rest.clone_into(&mut rule.show),
            _ => return Err(want.into()),
        }
        Ok(())
    }

    fn duration(&mut self, unit: Unit, word: &str, rest: &'t str) -> Result<(), Fault> {
        let want = "`one`, `other`, `show` or `show-one`";
        let shown = word.starts_with("show") && !rest.is_empty();
        let parts = if shown { Vec::new() } else { self.parts(rest, &[Slot::Number], "words and `{n}`")? };
        let rule = self.numbers.durations.get_mut(unit as usize).ok_or(want)?;
        match word {
            "one" => rule.say.one = parts,
            "other" => rule.say.other = parts,
            "show" => rest.clone_into(&mut rule.show),
            "show-one" => rest.clone_into(&mut rule.show_one),
            _ => return Err(want.into()),
        }
        Ok(())
    }

    fn date(&mut self, word: &str, rest: &'t str) -> Result<(), Fault> {
        let slots = [Slot::Day, Slot::Month, Slot::Year];
        match word {
            "say" => {
                self.numbers.date.say = self.parts(rest, &slots, "words, `{day}`, `{month}` and `{year}`")?
            }
            "show" if !rest.is_empty() => rest.clone_into(&mut self.numbers.date.show),
            "short" if rest.split_whitespace().count() == 12 => {
                self.numbers.date.short = rest.split_whitespace().map(str::to_owned).collect();
            }
            _ => return Err("`say`, `show`, or `short` and the twelve names of the months".into()),
        }
        Ok(())
    }

    fn month(&mut self, word: &str, rest: &'t str) -> Result<(), Fault> {
        let parts = self.parts(rest, &[], "the name of a month")?;
        let number: usize = word.parse().map_err(|_| "a month's number and name")?;
        let months = &mut self.numbers.date.months;
        months.resize(12, Vec::new());
        let month = number.checked_sub(1).and_then(|index| months.get_mut(index));
        *month.ok_or("a month from 1 to 12")? = parts;
        Ok(())
    }

    fn time(&mut self, word: &str, rest: &'t str) -> Result<(), Fault> {
        let slots = [Slot::Hour, Slot::Minute, Slot::DayPart];
        let wanted = "words, `{h}`, `{m}` and `{part}`";
        match word {
            "clock" if matches!(rest, "12" | "24") => self.numbers.time.twelve = rest == "12",
            "shift" => {
                let hours: i8 = rest.parse().map_err(|_| "hours such as `shift -6`")?;
                self.numbers.time.shift = hours.rem_euclid(24).unsigned_abs();
            }
            "say" => self.numbers.time.say = self.parts(rest, &slots, wanted)?,
            "full" => self.numbers.time.full = self.parts(rest, &slots, wanted)?,
            "show" if !rest.is_empty() => rest.clone_into(&mut self.numbers.time.show),
            "part" => {
                let want = "the hour that it begins at, 0 to 23, and a part of the day";
                let (hour, words) = split(rest);
                let hour = hour.parse().ok().filter(|hour| *hour < 24).ok_or(want)?;
                let words = self.parts(words, &[], want)?;
                self.numbers.time.day_parts.push((hour, words));
            }
            _ => return Err("`clock`, `shift`, `say`, `full`, `part` or `show`".into()),
        }
        Ok(())
    }

    fn list(&mut self, word: &str, rest: &'t str) -> Result<(), Fault> {
        // The quotes keep the spaces.
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        match word {
            "last" => self.numbers.list.last = self.parts(rest, &[], "a word such as `or`")?,
            "show-last" if quoted.is_some() => self.numbers.list.show_last = quoted,
            "show-between" if quoted.is_some() => self.numbers.list.show_between = quoted,
            _ => {
                return Err(
                    "`last` and a word such as `or`, or `show-last` and `show-between` in quotes".into()
                );
            }
        }
        Ok(())
    }

    fn key(&mut self, word: &str, rest: &'t str) -> Result<(), Fault> {
        let mut key = word.chars();
        let (Some(symbol), None) = (key.next(), key.next()) else {
            return Err("one key and its word".into());
        };
        let part = self.parts(rest, &[], "the key's word")?.into_iter().next();
        let Some(Part::Atom(atom)) = part else { return Err("the key's word".into()) };
        match (self.section, symbol) {
            (Section::Letters, 'A'..='Z') => self.numbers.letters.push((symbol, atom)),
            (Section::Letters, _) => return Err("a capital letter and its name".into()),
            (_, '+') => self.numbers.plus = vec![Part::Atom(atom)],
            _ => self.numbers.keys.push((symbol, atom)),
        }
        Ok(())
    }

    /// The index of a set, which may be written further down.
    fn set(&mut self, name: &str) -> Result<usize, Fault> {
        if let Some(index) = self.numbers.rules.set(name) {
            return Ok(index);
        }
        if self.sets.len() >= SETS_MAX {
            return Err("fewer sets of rules".into());
        }
        self.sets.push(self.span);
        self.numbers.rules.sets.push(RuleSet { name: name.to_owned(), rules: Vec::new() });
        Ok(self.sets.len() - 1)
    }

    fn parts(&mut self, text: &'t str, slots: &[Slot], want: &'static str) -> Result<Vec<Part>, Fault> {
        let tokens = grammar::parts(text).ok_or(want)?;
        let divided = |token: &Token<'_>| {
            matches!(token, Token::Quotient(_) | Token::Remainder(_) | Token::Same(_) | Token::Left(..))
        };
        if !matches!(self.section, Section::Number(_)) && tokens.iter().any(divided) {
            return Err(want.into());
        }
        self.resolve(tokens, slots, want)
    }

    fn resolve(
        &mut self,
        tokens: Vec<Token<'t>>,
        slots: &[Slot],
        want: &'static str,
    ) -> Result<Vec<Part>, Fault> {
        let mut parts = Vec::with_capacity(tokens.len());
        for token in tokens {
            parts.push(match token {
                Token::Word(word) => Part::Atom(self.atom(word)?),
                Token::Pause => Part::Pause,
                Token::Quotient(set) => Part::Quotient(set.map(|set| self.set(set)).transpose()?),
                Token::Remainder(set) => Part::Remainder(set.map(|set| self.set(set)).transpose()?),
                Token::Same(set) => Part::Same(self.set(set)?),
                Token::Left(some, none) => Part::Left {
                    some: self.resolve(some, slots, want)?,
                    none: self.resolve(none, slots, want)?,
                },
                Token::Slot(name, set) => {
                    let slot = slot(name).filter(|slot| slots.contains(slot)).ok_or(want)?;
                    Part::Slot(slot, set.map(|set| self.set(set)).transpose()?)
                }
            });
        }
        Ok(parts)
    }

    fn atom(&self, word: &'t str) -> Result<Atom, Fault> {
        let (clip, spoken) = self.words.get(word).copied().unwrap_or_default();
        let lower = word.to_lowercase();
        let clip = clip.unwrap_or(&lower);
        if !clip.chars().all(grammar::is_clip_char) {
            let text =
                format!("`{word}` needs a clip's name of letters, digits and hyphens in the section `words`");
            return Err(Fault::Is(Code::F063, text));
        }
        Ok(Atom {
            word: Arc::from(word),
            spoken: Arc::from(spoken.unwrap_or(word)),
            clip: Arc::from(format!("{}/num/{clip}", self.language)),
        })
    }

    /// What only the whole file shows. A file with faulty lines is not judged as a whole, since what they
    /// were meant to say is not known.
    fn finish(mut self) -> (Numbers, Vec<Diagnostic>) {
        for set in &mut self.numbers.rules.sets {
            set.rules.sort_by_key(|rule| rule.base);
        }
        self.numbers.time.day_parts.sort_by_key(|(hour, _)| *hour);
        if self.faults.is_empty() {
            self.sets_are_there();
            self.money_is_whole();
            self.months_are_whole();
            self.clips_say_one_thing();
        }
        let digits = self.numbers.rules.sets.first().map(|set| set.rules.as_slice()).unwrap_or_default();
        let missing = (0..=9).find(|digit| !digits.iter().any(|rule| rule.base == *digit));
        if let Some(digit) = missing.filter(|_| !self.plain_is_faulty) {
            let text = format!("the digit {digit} has no word");
            self.faults.push(
                Diagnostic::error(Code::F063, self.file, Span::new(0, 0), text)
                    .hint("give every digit a line in the section `number`"),
            );
        }
        (self.numbers, self.faults)
    }

    fn sets_are_there(&mut self) {
        let sets = &self.numbers.rules.sets;
        for (set, span) in sets.iter().zip(&self.sets).skip(1) {
            if set.rules.is_empty() {
                let text = format!("there is no set of rules `{}`", set.name);
                let known = sets.iter().filter(|set| !set.rules.is_empty()).map(|set| set.name.as_str());
                let hint = did_you_mean(&set.name, known).map_or_else(
                    || format!("write a section `number {}`", set.name),
                    |name| format!("did you mean `{name}`?"),
                );
                self.faults.push(Diagnostic::error(Code::F063, self.file, *span, text).hint(hint));
            }
        }
        if let Some((set, span)) =
            self.numbers.rules.cycle().and_then(|index| Some((sets.get(index)?, self.sets.get(index)?)))
        {
            let text = format!("the set `{}` comes back to itself for the same number", set.name);
            let hint = "`=set=` must end at a set that has none";
            self.faults.push(Diagnostic::error(Code::F063, self.file, *span, text).hint(hint));
        }
    }

    fn money_is_whole(&mut self) {
        let letters: BTreeSet<char> = self.numbers.letters.iter().map(|(letter, _)| *letter).collect();
        for (money, span) in self.numbers.money.iter().zip(&self.money) {
            let code = &money.code;
            let exponent = Currency::new(code).map_or(2, |currency| currency.exponent());
            let spells = |part: &Part| matches!(part, Part::Slot(Slot::Code, _));
            let text = if money.major.other.is_empty() {
                format!("`money {code}` has no line `other`")
            } else if exponent > 0 && money.minor.other.is_empty() {
                format!("`money {code}` has no line `minor`, so parts of a unit cannot be said")
            } else if letters.len() < 26 && money.forms().any(|parts| rule::any(parts, &spells)) {
                format!("`money {code}` spells letters, but not all of A to Z are in the section `letters`")
            } else {
                continue;
            };
            self.faults.push(Diagnostic::error(Code::F063, self.file, *span, text));
        }
    }

    fn months_are_whole(&mut self) {
        let months = &self.numbers.date.months;
        let missing = (0..12).find(|&index| months.get(index).is_none_or(Vec::is_empty));
        if let Some(index) = missing.filter(|_| self.numbers.has_date()) {
            let text = format!("the month {} has no name", index + 1);
            self.faults.push(
                Diagnostic::error(Code::F063, self.file, Span::new(0, 0), text)
                    .hint("give every month a line in the section `months`"),
            );
        }
    }

    fn clips_say_one_thing(&mut self) {
        let mut said: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for (clip, spoken) in self.numbers.atoms() {
            let before = said.insert(clip.clone(), spoken.clone());
            if let Some(before) = before {
                let text = format!("the clip `{clip}` would say both `{before}` and `{spoken}`");
                self.faults.push(
                    Diagnostic::error(Code::F003, self.file, Span::new(0, 0), text)
                        .hint("name another clip for one of them in the section `words`"),
                );
            }
        }
    }
}

fn slot(name: &str) -> Option<Slot> {
    Some(match name {
        "n" => Slot::Number,
        "figures" => Slot::Figures,
        "code" => Slot::Code,
        "day" => Slot::Day,
        "month" => Slot::Month,
        "year" => Slot::Year,
        "h" => Slot::Hour,
        "m" => Slot::Minute,
        "part" => Slot::DayPart,
        _ => return None,
    })
}
