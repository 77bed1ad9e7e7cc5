//! How a language says numbers, amounts, telephone numbers, dates and times: rules as data, one file a
//! language.
//!
//! `prompts/LANG/numbers.say` makes sounds for voice and text for screens from the same rules; nothing here
//! knows a language, and nothing that a file may hold makes speech fall silent: what its rules do not reach
//! is said digit by digit. Every word is a clip `num/<word>`.
//!
//! A rule is a number, from which it holds, and parts; the language is a subset of CLDR's RBNF:
//!
//! | part | what it says |
//! |---|---|
//! | `word` | a word; other than `a-z`, `0-9` and `-` need a clip's name in `words` |
//! | `<<`, `<set<` | how often the rule's divisor goes into the number, by this set or another |
//! | `>>`, `>set>` | what is left |
//! | `=set=` | the same number by another set |
//! | `[a]`, `[a\|b]` | `a` if something is left, `b` if nothing is |
//! | `,` | a short pause |
//! | `{slot}`, `{slot:set}` | in patterns of money, dates and times: a value, by a set of its own |
//!
//! The divisor is the greatest power of ten in the rule's number unless it is written: `1100/100`. A set is
//! `number NAME`; the plain one has no name and is referred to as `number`. Keytone itself asks for `count`
//! (before a noun), `masculine`, `feminine`, `ordinal` and `phone` (digits of telephone numbers); a language
//! without one of them uses the plain set. All other names are the file's own.

mod calendar;
mod grammar;
mod money;
mod phone;
mod plural;
mod read;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::dialplan::numbers::phone::PAUSE_GROUP;
pub use crate::dialplan::numbers::plural::Plural;
pub use crate::dialplan::numbers::rule::PAUSE_JOINT;

use crate::dialplan::diagnostic::Diagnostic;
use crate::dialplan::numbers::calendar::{DateRule, DurationRule, TimeRule};
use crate::dialplan::numbers::money::MoneyRule;
use crate::dialplan::numbers::phone::PhoneRule;
use crate::dialplan::numbers::plural::PluralRule;
use crate::dialplan::numbers::rule::{Atom, Part, Rules};
use crate::dialplan::speak::{PAUSE_PUNCTUATION, Sound};

/// Items of a list that are said or shown; a longer list is cut after them.
pub const LIST_MAX: usize = 12;

/// The rules of one language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    rules: Rules,
    minus: Vec<Part>,
    plus: Vec<Part>,
    plural: PluralRule,
    money: Vec<MoneyRule>,
    phones: Vec<PhoneRule>,
    list: ListRule,
    keys: Vec<(char, Atom)>,
    letters: Vec<(char, Atom)>,
    date: DateRule,
    time: TimeRule,
    /// By unit: minutes, hours, days.
    durations: [DurationRule; 3],
    /// Between major and minor units on a screen; a point if the file does not say.
    decimal: Option<char>,
}

/// The section `list`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ListRule {
    last: Vec<Part>,
    show_between: Option<String>,
    show_last: Option<String>,
}

/// What a number agrees with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Agreement {
    /// Nothing: the number stands by itself.
    Alone,
    /// A noun that it counts, of the most usual gender.
    Counting,
    /// A masculine noun.
    Masculine,
    /// A feminine noun.
    Feminine,
}

impl Agreement {
    const fn set(self) -> &'static str {
        match self {
            Self::Alone => "number",
            Self::Counting => "count",
            Self::Masculine => "masculine",
            Self::Feminine => "feminine",
        }
    }
}

impl Numbers {
    /// Reads the rules of a language. `file` is named in the faults.
    #[must_use]
    pub fn parse(language: &str, file: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        read::read(language, file, text)
    }

    /// Every atom that the language can utter: the clip's id and what the voice is given to read.
    #[must_use]
    pub fn atoms(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let mut out = BTreeSet::new();
        self.each_atom(&mut |atom| {
            out.insert((atom.clip.clone(), atom.spoken.clone()));
        });
        out
    }

    /// The word of every clip as it is written, to put into writing what sounds say.
    #[must_use]
    pub fn words(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut out = BTreeMap::new();
        self.each_atom(&mut |atom| {
            out.insert(atom.clip.clone(), atom.word.clone());
        });
        out
    }

    fn each_atom<'s>(&'s self, visit: &mut impl FnMut(&'s Atom)) {
        self.each_part(&mut |parts| rule::atoms(parts, visit));
        self.keys.iter().chain(&self.letters).for_each(|(_, atom)| visit(atom));
    }

    /// All rules and patterns of the file.
    fn each_part<'s>(&'s self, visit: &mut impl FnMut(&'s [Part])) {
        self.rules.sets.iter().flat_map(|set| &set.rules).for_each(|rule| visit(&rule.parts));
        self.money.iter().flat_map(MoneyRule::forms).for_each(&mut *visit);
        self.durations.iter().flat_map(|rule| rule.say.forms()).for_each(&mut *visit);
        self.date.months.iter().for_each(|month| visit(month));
        self.time.day_parts.iter().for_each(|(_, words)| visit(words));
        for parts in
            [&self.minus, &self.plus, &self.list.last, &self.date.say, &self.time.say, &self.time.full]
        {
            visit(parts);
        }
    }

    /// A whole number by itself; one that the rules do not reach is said digit by digit.
    pub fn number(&self, number: i64, out: &mut Vec<Sound>) {
        self.signed(None, number, out);
    }

    /// A whole number that agrees with what it counts.
    pub fn cardinal(&self, number: i64, agreement: Agreement, out: &mut Vec<Sound>) {
        self.signed(self.rules.set(agreement.set()), number, out);
    }

    /// A place in an order: the first, the twenty-second.
    pub fn ordinal(&self, number: i64, out: &mut Vec<Sound>) {
        self.signed(self.rules.set("ordinal"), number, out);
    }

    fn signed(&self, set: Option<usize>, number: i64, out: &mut Vec<Sound>) {
        if number < 0 {
            self.rules.words(&self.minus, out);
        }
        self.rules.number(set, number.unsigned_abs(), out);
    }

    /// Which form of a noun goes with the number.
    #[must_use]
    pub fn plural(&self, number: i64) -> Plural {
        self.plural.class(number.unsigned_abs())
    }

    /// Between two items of a list: a pause, or the word before the last one.
    pub fn between(&self, last: bool, out: &mut Vec<Sound>) {
        if last {
            self.rules.words(&self.list.last, out);
        } else {
            out.push(Sound::Pause(PAUSE_PUNCTUATION));
        }
    }

    /// `, ` or ` or `.
    #[must_use]
    pub fn show_between(&self, last: bool) -> String {
        match (last, self.list.last.first()) {
            (true, Some(Part::Atom(atom))) => {
                self.list.show_last.clone().unwrap_or_else(|| format!(" {} ", atom.word))
            }
            _ => self.list.show_between.clone().unwrap_or_else(|| ", ".to_owned()),
        }
    }

    /// The clip of a key.
    #[must_use]
    pub fn key(&self, key: char) -> Option<Arc<str>> {
        let Some(digit) = key.to_digit(10) else {
            let named = self.keys.iter().find(|(symbol, _)| *symbol == key);
            return named.map(|(_, atom)| atom.clip.clone());
        };
        let mut sounds = Vec::new();
        self.rules.spell(0, digit.into(), &mut sounds);
        sounds.into_iter().find_map(|sound| match sound {
            Sound::Clip(clip) => Some(clip),
            Sound::Pause(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
