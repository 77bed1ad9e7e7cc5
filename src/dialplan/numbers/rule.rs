//! Rule sets: how a whole number becomes words.
//!
//! This applies rules that [`crate::dialplan::numbers`] has read; it knows no language and never reads a
//! file.

use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::speak::Sound;

/// The pause that `,` makes inside a number. In Swahili it parts 20,001 from 21,000, so it must be heard.
pub const PAUSE_JOINT: Duration = Duration::from_millis(160);
/// How many rules one number may take. The longest number of the shipped languages takes fewer than 60; a
/// file that needs more is said digit by digit.
const STEPS_MAX: u16 = 256;

/// A word with the clip that says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Atom {
    /// As it is written.
    pub(super) word: Arc<str>,
    /// What the voice is given to read, if that differs from the word.
    pub(super) spoken: Arc<str>,
    pub(super) clip: Arc<str>,
}

/// What a pattern fills in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slot {
    /// `{n}`: the number of an amount or a span of time.
    Number,
    /// `{figures}`: the minor units digit by digit, with their zeros.
    Figures,
    /// `{code}`: the letters of a currency.
    Code,
    /// `{day}`, 1 to 31.
    Day,
    /// `{month}`: its name.
    Month,
    /// `{year}`
    Year,
    /// `{h}`, as the language counts hours.
    Hour,
    /// `{m}`, 0 to 59.
    Minute,
    /// `{part}` of the day.
    DayPart,
}

/// A part of a rule or a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Atom(Atom),
    /// `,`
    Pause,
    /// `<<` and `<set<`: how often the divisor goes into the number.
    Quotient(Option<usize>),
    /// `>>` and `>set>`: what is left.
    Remainder(Option<usize>),
    /// `=set=`: the same number by another set.
    Same(usize),
    /// `[some|none]`: one if something is left, the other if nothing is.
    Left {
        some: Vec<Self>,
        none: Vec<Self>,
    },
    Slot(Slot, Option<usize>),
}

/// How numbers from `base` up to the next rule's are said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rule {
    pub(super) base: u64,
    /// At least 2, unless the rule neither divides nor leaves anything.
    pub(super) divisor: u64,
    pub(super) parts: Vec<Part>,
}

impl Rule {
    /// Whether all of a number is said: 23 is not by `20 twenty`.
    fn reaches(&self, number: u64) -> bool {
        let mentions = |wanted: fn(&Part) -> bool| any(&self.parts, &wanted);
        let (quotient, remainder) = (number / self.divisor, number % self.divisor);
        mentions(|part| matches!(part, Part::Same(_)))
            || ((quotient == self.base / self.divisor || mentions(|part| matches!(part, Part::Quotient(_))))
                && (remainder == self.base % self.divisor
                    || mentions(|part| matches!(part, Part::Remainder(_)))))
    }
}

/// Rules under one name, in the order of their bases.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RuleSet {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

/// All sets of a language; the first is the plain one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Rules {
    pub(super) sets: Vec<RuleSet>,
}

/// What a pattern's slot becomes.
pub(super) enum Filling<'f> {
    Number(u64),
    Digits(&'f str),
    Parts(&'f [Part]),
    Nothing,
}

impl Rules {
    /// The set of this name.
    pub(super) fn set(&self, name: &str) -> Option<usize> {
        self.sets.iter().position(|set| set.name == name)
    }

    /// Says a number by a set, or else by the plain one, or else digit by digit: never not at all.
    pub(super) fn number(&self, set: Option<usize>, number: u64, out: &mut Vec<Sound>) {
        if !self.spell(set.unwrap_or(0), number, out) && !self.spell(0, number, out) {
            for digit in number.to_string().bytes() {
                self.spell(0, (digit - b'0').into(), out);
            }
        }
    }

    /// Says a number by a set. Nothing is said if its rules do not reach the number.
    pub(super) fn spell(&self, set: usize, number: u64, out: &mut Vec<Sound>) -> bool {
        let mark = out.len();
        let mut steps = STEPS_MAX;
        let done = self.apply(set, number, &mut steps, out).is_some();
        if !done {
            out.truncate(mark);
        }
        done
    }

    fn apply(&self, set: usize, number: u64, steps: &mut u16, out: &mut Vec<Sound>) -> Option<()> {
        *steps = steps.checked_sub(1)?;
        let rules = &self.sets.get(set)?.rules;
        let rule = rules.get(rules.partition_point(|rule| rule.base <= number).checked_sub(1)?)?;
        if !rule.reaches(number) {
            return None;
        }
        self.walk(&rule.parts, (set, number, rule.divisor), steps, out)
    }

    fn walk(
        &self,
        parts: &[Part],
        of: (usize, u64, u64),
        steps: &mut u16,
        out: &mut Vec<Sound>,
    ) -> Option<()> {
        let (set, number, divisor) = of;
        for part in parts {
            match part {
                Part::Atom(atom) => out.push(Sound::Clip(atom.clip.clone())),
                Part::Pause => out.push(Sound::Pause(PAUSE_JOINT)),
                Part::Quotient(other) => self.apply(other.unwrap_or(set), number / divisor, steps, out)?,
                Part::Remainder(other) => self.apply(other.unwrap_or(set), number % divisor, steps, out)?,
                Part::Same(other) => self.apply(*other, number, steps, out)?,
                Part::Left { some, .. } if number % divisor != 0 => self.walk(some, of, steps, out)?,
                Part::Left { none, .. } => self.walk(none, of, steps, out)?,
                Part::Slot(..) => {}
            }
        }
        Some(())
    }

    /// Says a pattern; `fill` gives what its slots hold.
    pub(super) fn say<'f>(&self, parts: &[Part], fill: &impl Fn(Slot) -> Filling<'f>, out: &mut Vec<Sound>) {
        for part in parts {
            match part {
                Part::Atom(atom) => out.push(Sound::Clip(atom.clip.clone())),
                Part::Pause => out.push(Sound::Pause(PAUSE_JOINT)),
                Part::Slot(slot, set) => match fill(*slot) {
                    Filling::Number(number) => self.number(*set, number, out),
                    Filling::Digits(digits) => {
                        for digit in digits.bytes().filter(u8::is_ascii_digit) {
                            self.number(*set, (digit - b'0').into(), out);
                        }
                    }
                    Filling::Parts(parts) => self.words(parts, out),
                    Filling::Nothing => {}
                },
                Part::Quotient(_) | Part::Remainder(_) | Part::Same(_) | Part::Left { .. } => {}
            }
        }
    }

    /// Says words that have no slots.
    pub(super) fn words(&self, parts: &[Part], out: &mut Vec<Sound>) {
        self.say(parts, &|_| Filling::Nothing, out);
    }

    /// A set that refers to itself for the same number, if there is one.
    pub(super) fn cycle(&self) -> Option<usize> {
        let next: Vec<Vec<usize>> = self
            .sets
            .iter()
            .map(|set| {
                let mut named = Vec::new();
                set.rules.iter().for_each(|rule| same_sets(&rule.parts, &mut named));
                named
            })
            .collect();
        (0..next.len()).find(|&start| {
            let (mut seen, mut due) = (vec![false; next.len()], vec![start]);
            while let Some(at) = due.pop() {
                for &to in next.get(at).into_iter().flatten() {
                    if to == start {
                        return true;
                    }
                    if let Some(seen) = seen.get_mut(to).filter(|seen| !**seen) {
                        *seen = true;
                        due.push(to);
                    }
                }
            }
            false
        })
    }
}

/// Whether a part, or one inside brackets, is as wanted.
pub(super) fn any(parts: &[Part], wanted: &impl Fn(&Part) -> bool) -> bool {
    parts.iter().any(|part| match part {
        Part::Left { some, none } => any(some, wanted) || any(none, wanted),
        part => wanted(part),
    })
}

/// Every atom of parts, those inside brackets too.
pub(super) fn atoms<'p>(parts: &'p [Part], visit: &mut impl FnMut(&'p Atom)) {
    for part in parts {
        match part {
            Part::Atom(atom) => visit(atom),
            Part::Left { some, none } => {
                atoms(some, visit);
                atoms(none, visit);
            }
            _ => {}
        }
    }
}

fn same_sets(parts: &[Part], out: &mut Vec<usize>) {
    for part in parts {
        match part {
            Part::Same(set) => out.push(*set),
            Part::Left { some, none } => {
                same_sets(some, out);
                same_sets(none, out);
            }
            _ => {}
        }
    }
}
