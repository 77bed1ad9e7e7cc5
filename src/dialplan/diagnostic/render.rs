//! Reports as a terminal shows them: miette draws an excerpt around the place.
//!
//! Only the lines around a place are handed over, never the whole file: a thousand faults in a file of a megabyte
//! are rendered as quickly as in a small one.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use crate::dialplan::diagnostic::{Diagnostic, Label, Severity};

/// Columns of a rendered report.
const WIDTH: usize = 100;
/// The longest line of an excerpt, in bytes.
const EXCERPT_MAX: usize = 400;
/// Lines between two places of one excerpt at most; a place further away is named below it.
const APART_MAX: usize = 30;

pub(super) fn render<'t>(
    diagnostic: &Diagnostic,
    text_of: impl Fn(&str) -> Option<&'t str>,
    colour: bool,
) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
    let mut out = String::new();
    match handler.render_report(&mut out, &Report::new(diagnostic, text_of)) {
        Ok(()) => out,
        Err(fmt::Error) => diagnostic.to_string(),
    }
}

/// A diagnostic as miette wants it: one excerpt, and what is elsewhere as part of the help.
#[derive(Debug)]
struct Report<'d> {
    diagnostic: &'d Diagnostic,
    excerpt: Option<Excerpt>,
    shown: Vec<&'d Label>,
    help: Option<String>,
}

impl<'d> Report<'d> {
    fn new<'t>(diagnostic: &'d Diagnostic, text_of: impl Fn(&str) -> Option<&'t str>) -> Self {
        let first = diagnostic.labels.first();
        let near = |label: &&Label| {
            first
                .is_some_and(|first| first.file == label.file && first.line.abs_diff(label.line) <= APART_MAX)
        };
        let (shown, elsewhere): (Vec<&Label>, Vec<&Label>) = diagnostic.labels.iter().partition(near);
        // A fault of the whole file has no place in it.
        let place = first.filter(|label| label.end > 0);
        let excerpt = place.and_then(|place| Excerpt::of(&place.file, text_of(&place.file)?, &shown));
        let mut help: Vec<String> = diagnostic.hint.iter().cloned().collect();
        if let (None, Some(first)) = (&excerpt, first) {
            help.insert(0, format!("at {}:{}:{}", first.file, first.line, first.column));
        }
        for label in elsewhere {
            help.push(format!("{}:{}:{}: {}", label.file, label.line, label.column, label.text));
        }
        Self { diagnostic, excerpt, shown, help: (!help.is_empty()).then(|| help.join("\n")) }
    }
}

/// Some lines of a file, with the place of the first.
#[derive(Debug)]
struct Excerpt {
    file: String,
    text: String,
    start: usize,
    line: usize,
}

impl Excerpt {
    /// The lines of the places, one more on both sides; nothing if a line of them is too long to be shown.
    fn of(file: &str, text: &str, shown: &[&Label]) -> Option<Self> {
        let from = shown.iter().map(|label| label.start).min()?.min(text.len());
        let to = shown.iter().map(|label| label.end).max()?.clamp(from, text.len());
        let before = |at: usize| text.get(..at).and_then(|text| text.rfind('\n'));
        let start = before(from).map_or(0, |end| before(end).map_or(0, |at| at + 1));
        let after = |at: usize| text.get(at..).and_then(|rest| rest.find('\n')).map(|length| at + length + 1);
        let end = after(to).map_or(text.len(), |next| after(next).unwrap_or(text.len()));
        let excerpt = text.get(start..end)?;
        if excerpt.lines().any(|line| line.len() > EXCERPT_MAX) {
            return None;
        }
        let first = shown.iter().map(|label| label.line).min()?;
        let skipped = text.get(start..from)?.matches('\n').count();
        let line = first.saturating_sub(skipped + 1);
        Some(Self { file: file.to_owned(), text: excerpt.to_owned(), start, line })
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let at = span.offset().checked_sub(self.start).ok_or(MietteError::OutOfBounds)?;
        let inside = SourceSpan::from((at, span.len()));
        let contents = self.text.as_bytes().read_span(&inside, before, after)?;
        let moved = SourceSpan::from((contents.span().offset() + self.start, contents.span().len()));
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.clone(),
            contents.data(),
            moved,
            contents.line() + self.line,
            contents.column(),
            contents.line_count(),
        )))
    }
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
            Severity::Hint => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display + 'a>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.shown.iter().map(|label| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            LabeledSpan::new(text, label.start, label.end.saturating_sub(label.start))
        })))
    }
}
