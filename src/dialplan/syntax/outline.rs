//! From a file to its tree: line by line, with every line that cannot be understood reported and left out.

use crate::dialplan::catalog::FILE_MAX;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::syntax::ast::{Flow, Line, Step};
use crate::dialplan::syntax::grammar::{Statement, statement};
use crate::dialplan::syntax::lexer::{LINE_MAX, tokens};
use crate::dialplan::syntax::span::{Span, Spanned};

/// The most lines of a file.
pub const LINES_MAX: usize = 20_000;
/// The most faults that are reported of one file; the rest follows from them.
pub const FAULTS_MAX: usize = 50;

/// Reads a flow and reports every line that cannot be understood. The tree holds the rest.
#[must_use]
pub fn parse(file: &str, text: &str) -> (Flow, Vec<Diagnostic>) {
    let mut reader = Reader { file, flow: Flow::default(), diagnostics: Vec::new() };
    if text.len() > FILE_MAX || text.lines().count() > LINES_MAX {
        let limit = format!("a flow has at most {FILE_MAX} bytes and {LINES_MAX} lines");
        reader.diagnostics.push(Diagnostic::error(Code::F002, file, Span::new(0, 0), limit));
        return (reader.flow, reader.diagnostics);
    }
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        if reader.diagnostics.len() >= FAULTS_MAX {
            break;
        }
        reader.line(raw.trim_end(), start);
        start += raw.len();
    }
    let announced = text.lines().any(|line| line.trim_start().starts_with("flow"));
    if reader.flow.name.is_none() && !announced {
        let missing =
            Diagnostic::error(Code::F001, file, Span::new(0, 0), "expected `flow NAME NUMBER` first")
                .hint("the first line of a flow is its name and number, such as `flow recharge 1`");
        reader.diagnostics.push(missing);
    }
    (reader.flow, reader.diagnostics)
}

struct Reader<'f> {
    file: &'f str,
    flow: Flow,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, at: usize) {
        if line.len() > LINE_MAX {
            let text = format!("a line has at most {LINE_MAX} bytes");
            let end = line.char_indices().nth(40).map_or(line.len(), |(index, _)| index);
            self.diagnostics.push(Diagnostic::error(Code::F002, self.file, Span::new(at, at + end), text));
            return;
        }
        let words = tokens(line, at);
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
        let span = first.span.to(last.span);
        match statement(&words) {
            Ok(statement) => self.statement(statement, span),
            Err((place, want)) => {
                let fault =
                    Diagnostic::error(Code::F001, self.file, place, format!("expected {want}")).here("here");
                self.diagnostics.push(fault);
                // A step whose heading is bad still begins here: otherwise its lines would fall to the step
                // before.
                if matches!(first.text, "step" | "menu") {
                    let name = Spanned::new(String::new(), span);
                    self.flow.steps.push(Step { name, menu: first.text == "menu", lines: Vec::new() });
                } else if let Some(step) = self.flow.steps.last_mut() {
                    step.lines.push(Spanned::new(Line::Broken, span));
                }
            }
        }
    }

    fn statement(&mut self, statement: Statement, span: Span) {
        let in_head = self.flow.steps.is_empty();
        let flow = &mut self.flow;
        match statement {
            Statement::Flow(name, version) if in_head && flow.name.is_none() => {
                flow.name = Some(name);
                flow.version = version;
            }
            Statement::Step(name, menu) => flow.steps.push(Step { name, menu, lines: Vec::new() }),
            Statement::Line(line) => match flow.steps.last_mut() {
                Some(step) => step.lines.push(Spanned::new(line, span)),
                None => self.misplaced(span, "this line belongs to a step", "write `step NAME` above it"),
            },
            _ if !in_head => {
                self.misplaced(
                    span,
                    "this line belongs to the head of the flow",
                    "move it above the first step",
                );
            }
            Statement::Flow(..) => {
                self.misplaced(span, "a file holds one flow", "put the other one in its own file")
            }
            Statement::Voice(numbers) => flow.voice.extend(numbers),
            Statement::Ussd(pattern) => flow.ussd.push(pattern),
            Statement::Sms(pattern) => flow.sms.push(pattern),
            Statement::PinOnSms(policy) if flow.pin_on_sms.is_none() => flow.pin_on_sms = Some(policy),
            Statement::Keys(keys) => flow.keys.extend(keys),
            Statement::Tries(count, then) if flow.tries.is_none() => flow.tries = Some((count, then)),
            Statement::Visits(count, then) if flow.visits.is_none() => flow.visits = Some((count, then)),
            Statement::Start(name, value) => flow.start.push((name, value)),
            Statement::PinOnSms(_) | Statement::Tries(..) | Statement::Visits(..) => {
                self.diagnostics.push(
                    Diagnostic::error(Code::F003, self.file, span, "this was already said above")
                        .hint("remove one of the two lines"),
                );
            }
        }
    }

    fn misplaced(&mut self, span: Span, message: &str, hint: &str) {
        self.diagnostics.push(Diagnostic::error(Code::F001, self.file, span, message).hint(hint));
    }
}
