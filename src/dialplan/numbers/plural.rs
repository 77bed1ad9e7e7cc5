//! Which form of a noun goes with a number, and the phrases that are counted so.

use crate::dialplan::numbers::rule::Part;

/// The class of a number, as CLDR names them. A form that a phrase does not have is [`Plural::Other`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plural {
    /// One file; in French also none.
    One,
    /// Whole millions, which French and Spanish join with `de`.
    Many,
    /// All others.
    Other,
}

/// Which numbers are of which class; without a rule all are [`Plural::Other`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct PluralRule {
    pub(super) one: Vec<u64>,
    /// What a number must be a multiple of.
    pub(super) many: Option<u64>,
}

impl PluralRule {
    pub(super) fn class(&self, number: u64) -> Plural {
        if self.one.contains(&number) {
            Plural::One
        } else if number != 0 && self.many.is_some_and(|unit| number.is_multiple_of(unit)) {
            Plural::Many
        } else {
            Plural::Other
        }
    }
}

/// A phrase around a number, by the number's class.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Counted {
    pub(super) one: Vec<Part>,
    pub(super) many: Vec<Part>,
    pub(super) other: Vec<Part>,
}

impl Counted {
    pub(super) fn form(&self, class: Plural) -> &[Part] {
        let form = match class {
            Plural::One => &self.one,
            Plural::Many => &self.many,
            Plural::Other => &self.other,
        };
        if form.is_empty() { &self.other } else { form }
    }

    pub(super) fn forms(&self) -> [&[Part]; 3] {
        [&self.one, &self.many, &self.other]
    }
}
