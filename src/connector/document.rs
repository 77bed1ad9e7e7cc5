//! Reads a TOML file so that every fault is told at once, each with its line.
//!
//! A derived deserialiser stops at the first fault; an operator who describes a carrier wants all of them. A
//! [`Section`] hands out its values by key and, when finished, names every key that nobody asked for. Nothing
//! here knows what the keys mean.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// One thing that is wrong in a file.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// The key, such as `submit.path`; empty for a fault of the file as a whole.
    pub key: String,
    /// What was expected.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "line {}: {}", self.line, self.message)
        } else {
            write!(f, "line {}: {}: {}", self.line, self.key, self.message)
        }
    }
}

/// Every fault found so far.
#[derive(Debug)]
pub struct Faults<'t> {
    text: &'t str,
    list: Vec<Fault>,
}

impl Faults<'_> {
    /// Adds a fault at a place in the text.
    pub fn add(&mut self, span: &Range<usize>, key: &str, message: impl Into<String>) {
        let before = self.text.as_bytes().get(..span.start.min(self.text.len())).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        self.list.push(Fault { line, key: key.to_owned(), message: message.into() });
    }

    /// Whether nothing was found.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn into_list(mut self) -> Vec<Fault> {
        self.list.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.key.cmp(&b.key)));
        self.list
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Bytes in the text.
    pub span: Range<usize>,
    /// The key.
    pub key: String,
}

/// One table of the file. Values are taken out; what is left over at the end is unknown.
#[derive(Debug)]
pub struct Section<'t> {
    table: DeTable<'t>,
    /// Where it begins.
    pub span: Range<usize>,
    /// `submit`, `submit.answer`; empty for the root.
    pub key: String,
    /// Keys that were asked for, to guess at misspelt ones.
    asked: Vec<String>,
}

/// Reads a whole file: `build` takes what it knows from the root, and may add faults of its own.
///
/// # Errors
/// Every fault, in the order of the file.
pub fn read<T>(
    text: &str,
    build: impl FnOnce(&mut Section<'_>, &mut Faults<'_>) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let mut faults = Faults { text, list: Vec::new() };
    if text.len() > FILE_BYTES_MAX {
        faults.add(&(0..0), "", format!("expected at most {FILE_BYTES_MAX} bytes"));
        return Err(faults.into_list());
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(&error.span().unwrap_or(0..0), "", error.message());
    }
    let span = root.span();
    let mut section = Section { table: root.into_inner(), span, key: String::new(), asked: Vec::new() };
    let built = build(&mut section, &mut faults);
    section.finish(&mut faults);
    match built {
        Some(built) if faults.is_empty() => Ok(built),
        _ => Err(faults.into_list()),
    }
}

impl<'t> Section<'t> {
    fn path(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    /// The table that is not in the file.
    #[must_use]
    pub fn empty(key: &str) -> Self {
        Self { table: DeTable::new(), span: 0..0, key: key.to_owned(), asked: Vec::new() }
    }

    fn take(&mut self, key: &str) -> Option<Placed<DeValue<'t>>> {
        self.asked.push(key.to_owned());
        let value: Spanned<DeValue<'t>> = self.table.remove(key)?;
        let span = value.span();
        Some(Placed { value: value.into_inner(), span, key: self.path(key) })
    }

    /// Whether the key is there and not yet taken.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Says that a key must be there.
    pub fn missing(&self, key: &str, faults: &mut Faults<'_>) {
        faults.add(&self.span, &self.path(key), "is missing");
    }

    /// A text, if there.
    pub fn text(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<Placed<String>> {
        let Placed { value, span, key } = self.take(key)?;
        if let DeValue::String(text) = value {
            return Some(Placed { value: text.into_owned(), span, key });
        }
        faults.add(&span, &key, format!("expected a text, found {}", value.type_str()));
        None
    }

    /// A text that must be there.
    pub fn need_text(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<Placed<String>> {
        if !self.has(key) {
            self.missing(key, faults);
        }
        self.text(key, faults)
    }

    /// A whole number within bounds, if there.
    pub fn integer(
        &mut self,
        key: &str,
        bounds: RangeInclusive<i64>,
        faults: &mut Faults<'_>,
    ) -> Option<Placed<i64>> {
        let Placed { value, span, key } = self.take(key)?;
        let number = value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        match number {
            Some(value) if bounds.contains(&value) => Some(Placed { value, span, key }),
            _ => {
                let (low, high) = bounds.into_inner();
                faults.add(&span, &key, format!("expected a whole number from {low} to {high}"));
                None
            }
        }
    }

    /// `true` or `false`, if there.
    pub fn boolean(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<bool> {
        let Placed { value, span, key } = self.take(key)?;
        let found = value.as_bool();
        if found.is_none() {
            faults.add(&span, &key, format!("expected true or false, found {}", value.type_str()));
        }
        found
    }

    /// A list of texts, or one text; empty if not there.
    pub fn texts(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<Placed<String>> {
        self.list(key, faults, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A list of whole numbers, or one; empty if not there.
    pub fn integers(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<Placed<i64>> {
        self.list(key, faults, "a whole number", |value| {
            value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok())
        })
    }

    fn list<T>(
        &mut self,
        key: &str,
        faults: &mut Faults<'_>,
        wanted: &str,
        read: impl Fn(&DeValue<'t>) -> Option<T>,
    ) -> Vec<Placed<T>> {
        let Some(Placed { value, span, key }) = self.take(key) else { return Vec::new() };
        let mut found = Vec::new();
        let mut one = |value: &DeValue<'t>, span: Range<usize>| match read(value) {
            Some(value) => found.push(Placed { value, span, key: key.clone() }),
            None => faults.add(&span, &key, format!("expected {wanted}, found {}", value.type_str())),
        };
        match value {
            DeValue::Array(items) => {
                for item in &items {
                    one(item.get_ref(), item.span());
                }
            }
            single => one(&single, span),
        }
        found
    }

    /// A table, if there.
    pub fn section(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<Self> {
        let Placed { value, span, key } = self.take(key)?;
        if let DeValue::Table(table) = value {
            return Some(Self { table, span, key, asked: Vec::new() });
        }
        faults.add(&span, &key, format!("expected a table, found {}", value.type_str()));
        None
    }

    /// A list of tables; empty if not there.
    pub fn sections(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<Self> {
        let Some(Placed { value, span, key }) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            faults.add(&span, &key, format!("expected [[{key}]] tables, found {}", value.type_str()));
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => {
                    found.push(Self { table, span, key: key.clone(), asked: Vec::new() })
                }
                other => faults.add(&span, &key, format!("expected a table, found {}", other.type_str())),
            }
        }
        found
    }

    /// Every key that is still there: for tables whose keys are names chosen by the operator.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.table.keys().map(|k| k.get_ref().clone().into_owned()).collect()
    }

    /// Names every key that nobody asked for.
    pub fn finish(&mut self, faults: &mut Faults<'_>) {
        for (key, _) in std::mem::take(&mut self.table) {
            let path = self.path(key.get_ref());
            let near = self.asked.iter().map(|known| (distance(known, key.get_ref()), known)).min();
            let hint = match near {
                Some((edits, known)) if edits <= known.len().div_ceil(4) => {
                    format!("; did you mean {known}?")
                }
                _ => String::new(),
            };
            faults.add(&key.span(), &path, format!("is not a known key{hint}"));
        }
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_fault_with_its_line() {
        let text = "name = 7\nspeed = 99\nodd = 1\n[inner]\ndeep = 'x'\nstrange = true\n";
        let faults = read(text, |root, faults| {
            let name = root.need_text("name", faults);
            root.need_text("place", faults);
            root.integer("speed", 0..=10, faults);
            let mut inner = root.section("inner", faults)?;
            inner.boolean("deep", faults);
            inner.finish(faults);
            name
        })
        .unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 1: name: expected a text, found integer",
                "line 1: place: is missing",
                "line 2: speed: expected a whole number from 0 to 10",
                "line 3: odd: is not a known key",
                "line 5: inner.deep: expected true or false, found string",
                "line 6: inner.strange: is not a known key",
            ]
        );
    }

    #[test]
    fn syntax_faults_do_not_hide_the_others() {
        let faults = read("a = \nb = 3\n", |root, faults| root.text("b", faults)).unwrap_err();
        assert!(faults.iter().any(|f| f.line == 1 && f.key.is_empty()), "{faults:?}");
        assert!(faults.iter().any(|f| f.line == 2 && f.key == "b"), "{faults:?}");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let text = "#".repeat(FILE_BYTES_MAX + 1);
        assert_eq!(read(&text, |_, _| Some(())).unwrap_err().len(), 1);
    }
}
