//! Faults of dialplans: a stable code, a sentence, the places in the source, and what to do about it.

use std::fmt;

use crate::dialplan::syntax::span::Span;

pub use codes::{Allowance, Code};

mod codes;
mod page;
mod render;

/// Whether it keeps a catalogue from being used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
    /// It does not, and may well be meant.
    Hint,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
        })
    }
}

/// A place in a file and what is to be said about it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Label {
    /// The file's name as it was given.
    pub file: String,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The line, from 1; 0 until located.
    pub line: usize,
    /// The column in characters, from 1; 0 until located.
    pub column: usize,
    /// A few words, or nothing.
    pub text: String,
}

/// One fault.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where: the first label is the place, the others explain it.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(code: Code, file: &str, span: Span, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), hint: None }
            .label(file, span, "")
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(code: Code, file: &str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, file, span, message) }
    }

    /// A hint at a place: it may well be meant.
    #[must_use]
    pub fn advice(code: Code, file: &str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Hint, ..Self::error(code, file, span, message) }
    }

    /// Gives words to the first place.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// Adds a place.
    #[must_use]
    pub fn label(mut self, file: &str, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            file: file.to_owned(),
            start: span.start,
            end: span.end,
            line: 0,
            column: 0,
            text: text.into(),
        });
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it keeps a catalogue from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Fills in lines and columns; `text_of` gives the text of a file.
    pub fn locate<'t>(&mut self, text_of: impl Fn(&str) -> Option<&'t str>) {
        for label in &mut self.labels {
            let text = text_of(&label.file).unwrap_or_default();
            label.locate(text, &Lines::of(text));
        }
    }

    /// The report with an excerpt of the source, as a terminal shows it.
    #[must_use]
    pub fn render<'t>(&self, text_of: impl Fn(&str) -> Option<&'t str>, colour: bool) -> String {
        render::render(self, text_of, colour)
    }
}

impl Label {
    /// Fills in line and column, for a text whose lines are known.
    pub(crate) fn locate(&mut self, text: &str, lines: &Lines) {
        let (line, start) = lines.line(self.start.min(text.len()));
        self.line = line;
        self.column = text.get(start..self.start).unwrap_or_default().chars().count() + 1;
    }
}

/// Where the lines of a text begin: made once for many places.
#[derive(Debug)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The number of the line of a byte, from 1, and the line's first byte.
    fn line(&self, at: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= at).max(1);
        (line, self.0.get(line - 1).copied().unwrap_or_default())
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `recharge.flow:12:3: F010 there is no step "x"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = self.labels.first() {
            write!(f, "{}:{}:{}: ", label.file, label.line, label.column)?;
        }
        write!(f, "{:?} {}", self.code, self.message)
    }
}

/// The candidate that a misspelt word most likely means: at most a third of its letters differ.
#[must_use]
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = word.chars().count() / 3;
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete, change or swap with their neighbour.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        assert_eq!(did_you_mean("ammount", ["amount", "account"]), Some("amount"));
        assert_eq!(did_you_mean("amuont", ["amount"]), Some("amount"));
        assert_eq!(did_you_mean("nope", ["done"]), None);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn finds_line_and_column() {
        let mut diagnostic = Diagnostic::error(Code::F001, "a.flow", Span::new(8, 9), "bad");
        diagnostic.locate(|_| Some("first\ne x y"));
        assert_eq!(diagnostic.to_string(), "a.flow:2:3: F001 bad");
        let mut accented = Diagnostic::error(Code::F001, "a.flow", Span::new(9, 10), "bad");
        accented.locate(|_| Some("first\né x y"));
        assert_eq!(accented.to_string(), "a.flow:2:3: F001 bad", "columns are characters");
        let text = diagnostic.render(|_| Some("first\ne x y"), false);
        assert!(text.contains("F001") && text.contains("a.flow:2:3"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(diagnostic.render(|_| Some("first\ne x y"), true).contains('\u{1b}'));
    }
}
