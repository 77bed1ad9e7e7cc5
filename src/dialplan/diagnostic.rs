//! Faults of dialplans: a stable code, a sentence, the places in the source, and what to do about it.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::dialplan::syntax::span::Span;

/// Columns of a rendered report.
const WIDTH: usize = 100;
/// The longest line of an excerpt, in bytes.
const EXCERPT_MAX: usize = 400;

/// What kind of fault it is. Codes never change their meaning.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub enum Code {
    /// A line cannot be understood.
    F001,
    /// A file or a line is larger than allowed, or not UTF-8.
    F002,
    /// The same name twice.
    F003,
    /// A step that does not exist.
    F010,
    /// An action that does not exist.
    F011,
    /// Values that do not fit the action or the message.
    F012,
    /// A name that nothing in the flow sets.
    F013,
    /// An outcome that is not handled.
    F020,
    /// An outcome that the action does not have.
    F021,
    /// Something that can never be reached.
    F030,
    /// A step that stops without saying where to go.
    F031,
    /// A step from which no end can be reached.
    F032,
    /// A loop without a question.
    F033,
    /// A way from an unknown payment back to paying.
    F034,
    /// A payment that the caller has not confirmed.
    F035,
    /// The step for giving up asks something.
    F036,
    /// A variable that may be unset.
    F040,
    /// A value of the wrong type.
    F041,
    /// A message that is missing.
    F050,
    /// A message that nothing uses.
    F051,
    /// Slots that differ or do not exist.
    F052,
    /// A clip that is missing.
    F060,
    /// A number, amount or date that cannot be spoken in a language.
    F063,
    /// A key with two meanings.
    F070,
    /// The same key twice in a menu.
    F072,
    /// A secret that would be shown, compared or kept.
    F080,
    /// Two flows that answer the same number, code or keyword.
    F090,
}

/// Whether it keeps a catalogue from being used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
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
            let before = text_of(&label.file).and_then(|text| text.get(..label.start)).unwrap_or_default();
            label.line = before.matches('\n').count() + 1;
            label.column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        }
    }

    /// The report with an excerpt of the source, as a terminal shows it.
    #[must_use]
    pub fn render<'t>(&self, text_of: impl Fn(&str) -> Option<&'t str>, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
        let mut out = String::new();
        match handler.render_report(&mut out, &Report::new(self, text_of)) {
            Ok(()) => out,
            Err(fmt::Error) => self.to_string(),
        }
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

/// A diagnostic as miette wants it: one source, the labels of that file; other files' labels become part of
/// the help.
#[derive(Debug)]
struct Report<'d> {
    diagnostic: &'d Diagnostic,
    source: Option<NamedSource<String>>,
    help: Option<String>,
}

impl<'d> Report<'d> {
    fn new<'t>(diagnostic: &'d Diagnostic, text_of: impl Fn(&str) -> Option<&'t str>) -> Self {
        let first = diagnostic.labels.first();
        let file = first.map(|label| label.file.as_str());
        let excerpt = |file| text_of(file).filter(|text| excerpt_is_short(text, diagnostic.labels.first()));
        let source = file.and_then(|file| Some(NamedSource::new(file, excerpt(file)?.to_owned())));
        let mut help: Vec<String> = diagnostic.hint.iter().cloned().collect();
        if let (None, Some(first)) = (&source, first) {
            help.insert(0, format!("at {}:{}:{}", first.file, first.line, first.column));
        }
        for label in diagnostic.labels.iter().filter(|label| Some(label.file.as_str()) != file) {
            help.push(format!("{}:{}:{}: {}", label.file, label.line, label.column, label.text));
        }
        Self { diagnostic, source, help: (!help.is_empty()).then(|| help.join("\n")) }
    }
}

/// Whether the lines around a place can be shown: a line of a megabyte cannot.
fn excerpt_is_short(text: &str, label: Option<&Label>) -> bool {
    let Some(label) = label else { return true };
    let mut lines = text.lines().skip(label.line.saturating_sub(2)).take(3);
    // A fault of the whole file has no place in it.
    label.end > 0 && lines.all(|line| line.len() <= EXCERPT_MAX)
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("{:?}", self.diagnostic.code)))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display + 'a>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let file = self.diagnostic.labels.first().map(|label| label.file.as_str())?;
        Some(Box::new(self.diagnostic.labels.iter().filter(move |label| label.file == file).map(|label| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            LabeledSpan::new(text, label.start, label.end.saturating_sub(label.start))
        })))
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
fn distance(a: &str, b: &str) -> usize {
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
