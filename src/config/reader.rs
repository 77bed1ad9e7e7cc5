//! Reads a TOML file so that every fault is named at once, with its line.
//!
//! A [`Section`] is asked for its keys one by one; what is missing or wrong is noted and a default goes on in its place,
//! so that one mistake does not hide the next. When a section is done, the keys that nobody asked for are faults too.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One fault of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// 1-based; 0 when the fault is something that is not there.
    pub line: usize,
    /// Where in the tree: `market.zone`.
    pub place: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The faults found so far, and the text that turns offsets into lines.
pub(super) struct Faults<'a> {
    text: &'a str,
    pub(super) found: Vec<Fault>,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(super) fn add(&mut self, span: Option<Range<usize>>, place: &str, message: impl Into<String>) {
        let line = span.map_or(0, |s| {
            self.text.get(..s.start).unwrap_or_default().bytes().filter(|b| *b == b'\n').count() + 1
        });
        self.found.push(Fault { line, place: place.to_owned(), message: message.into() });
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    place: String,
    table: Option<&'a DeTable<'a>>,
    span: Option<Range<usize>>,
    asked: BTreeSet<String>,
}

impl<'a> Section<'a> {
    pub(super) const fn root(table: &'a DeTable<'a>) -> Self {
        Self { place: String::new(), table: Some(table), span: None, asked: BTreeSet::new() }
    }

    fn path(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    fn value(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.insert(key.to_owned());
        self.table?.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v)
    }

    /// Whether the file has this table at all.
    pub(super) const fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Notes a fault at `key`, or at the table when the key is absent.
    pub(super) fn fault(&mut self, faults: &mut Faults<'_>, key: &str, message: impl Into<String>) {
        let span = self.value(key).map(Spanned::span).or_else(|| self.span.clone());
        faults.add(span, &self.path(key), message);
    }

    /// The table under `key`; absent is an empty one.
    pub(super) fn section(&mut self, faults: &mut Faults<'_>, key: &str) -> Self {
        let place = self.path(key);
        let mut section = Section { place, table: None, span: None, asked: BTreeSet::new() };
        if let Some(value) = self.value(key) {
            section.span = Some(value.span());
            match value.get_ref().as_table() {
                Some(table) => section.table = Some(table),
                None => self.fault(faults, key, "expected a table"),
            }
        }
        section
    }

    /// The tables of an array of tables (`[[key]]`).
    pub(super) fn sections(&mut self, faults: &mut Faults<'_>, key: &str) -> Vec<Self> {
        let place = self.path(key);
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.fault(faults, key, format!("expected tables, each under [[{place}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let place = format!("{place}[{}]", index + 1);
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section {
                    place,
                    table: Some(table),
                    span: Some(item.span()),
                    asked: BTreeSet::new(),
                }),
                None => faults.add(Some(item.span()), &place, "expected a table"),
            }
        }
        sections
    }

    /// A text, if the key is there.
    pub(super) fn text(&mut self, faults: &mut Faults<'_>, key: &str) -> Option<String> {
        let value = self.value(key)?;
        if let Some(text) = value.get_ref().as_str() {
            return Some(text.to_owned());
        }
        self.fault(faults, key, format!("expected a text in quotes, found {}", value.get_ref().type_str()));
        None
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, faults: &mut Faults<'_>, key: &str, example: &str) -> String {
        if self.table.is_some() && self.value(key).is_none() {
            self.fault(faults, key, format!("is missing; for example {key} = {example}"));
        }
        self.text(faults, key).unwrap_or_default()
    }

    /// A text read by `read`, or the default.
    pub(super) fn parsed<T>(
        &mut self,
        faults: &mut Faults<'_>,
        key: &str,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = self.text(faults, key) else { return default };
        match read(&text) {
            Ok(value) => value,
            Err(why) => {
                self.fault(faults, key, why);
                default
            }
        }
    }

    /// Texts, if the key is there.
    pub(super) fn texts(&mut self, faults: &mut Faults<'_>, key: &str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let array = value.get_ref().as_array();
        let texts = array.map(|a| a.iter().map(|v| v.get_ref().as_str().map(str::to_owned)).collect());
        if let Some(Some(texts)) = texts {
            return Some(texts);
        }
        self.fault(faults, key, "expected a list of texts, for example [\"192.0.2.0/24\"]");
        None
    }

    /// A whole number in a range, or the default.
    pub(super) fn number(
        &mut self,
        faults: &mut Faults<'_>,
        key: &str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> i64 {
        let Some(value) = self.value(key) else { return default };
        let number = value.get_ref().as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                let expected = format!("expected a whole number from {} to {}", range.start(), range.end());
                self.fault(faults, key, expected);
                default
            }
        }
    }

    /// true or false, or the default.
    pub(super) fn switch(&mut self, faults: &mut Faults<'_>, key: &str, default: bool) -> bool {
        let Some(value) = self.value(key) else { return default };
        if let Some(switch) = value.get_ref().as_bool() {
            return switch;
        }
        self.fault(faults, key, "expected true or false");
        default
    }

    /// Ends the section: what nobody asked for is a fault.
    pub(super) fn done(&self, faults: &mut Faults<'_>) {
        let Some(table) = self.table else { return };
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if self.asked.contains(name) {
                continue;
            }
            let near = self.asked.iter().min_by_key(|known| distance(known, name));
            let hint = match near {
                Some(known) if distance(known, name) <= known.len().div_ceil(3) => {
                    format!("; did you mean {known}?")
                }
                _ => String::new(),
            };
            faults.add(Some(key.span()), &self.path(name), format!("is not a key that is known here{hint}"));
        }
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            diagonal = *above;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(distance("zone", "zone"), 0);
        assert_eq!(distance("zone", "zones"), 1);
        assert_eq!(distance("day_limit", "daylimit"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
