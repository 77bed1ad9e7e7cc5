//! From a file to its tree: line by line, with every line that cannot be understood reported and left out.

use crate::dialplan::catalog::FILE_MAX;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::syntax::ast::{Action, Allow, Destination, Flow, Line, Signature, Step};
use crate::dialplan::syntax::grammar::{Statement, statement};
use crate::dialplan::syntax::lexer::{LINE_MAX, Token, words};
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// The most lines of a file.
pub const LINES_MAX: usize = 20_000;
/// The most faults that are reported of one file; the rest follows from them.
pub const FAULTS_MAX: usize = 50;
/// The most params of a flow, parameters of a sub-flow, and values of one of its outcomes.
pub const PARAMS_MAX: usize = 64;
/// The most numbers, codes and messages that one flow answers.
pub const SERVED_MAX: usize = 64;

/// Reads a flow and reports every line that cannot be understood. The tree holds the rest.
#[must_use]
pub fn parse(file: &str, text: &str) -> (Flow, Vec<Diagnostic>) {
    let mut reader = Reader {
        file,
        flow: Flow::default(),
        diagnostics: Vec::new(),
        part: Part::Head,
        waiting: Vec::new(),
        twice: Once::default(),
    };
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
    let announces = |line: &str| ["flow", "sub"].iter().any(|word| line.trim_start().starts_with(word));
    if reader.flow.name.is_none() && !text.lines().any(announces) {
        let missing =
            Diagnostic::error(Code::F001, file, Span::new(0, 0), "expected `flow NAME NUMBER` first")
                .hint("the first line of a flow is its name and number, such as `flow recharge 1`");
        reader.diagnostics.push(missing);
    }
    reader.limits();
    // A suppression above nothing is about the place where it stands.
    let left = std::mem::take(&mut reader.waiting);
    reader.flow.allows.extend(left.into_iter().map(|code| Allow { line: code.span, code }));
    (reader.flow, reader.diagnostics)
}

/// Where the line that is read stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    Head,
    Step,
    Hangup,
}

/// Lines of which there can be one, and the places of those that were there.
#[derive(Default)]
struct Once {
    said: Vec<&'static str>,
}

impl Once {
    /// Whether it is the first of its kind.
    fn first(&mut self, kind: &'static str) -> bool {
        let first = !self.said.contains(&kind);
        if first {
            self.said.push(kind);
        }
        first
    }
}

struct Reader<'f> {
    file: &'f str,
    flow: Flow,
    diagnostics: Vec<Diagnostic>,
    part: Part,
    /// Suppressions on lines of their own, for the next line with words.
    waiting: Vec<Name>,
    twice: Once,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, at: usize) {
        if line.len() > LINE_MAX {
            let text = format!("a line has at most {LINE_MAX} bytes");
            let end = line.char_indices().nth(40).map_or(line.len(), |(index, _)| index);
            self.diagnostics.push(Diagnostic::error(Code::F002, self.file, Span::new(at, at + end), text));
            return;
        }
        let (words, comment) = words(line, at);
        let allowed = comment.and_then(|comment| self.allow(comment, at + line.len() - comment.len()));
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            self.waiting.extend(allowed);
            return;
        };
        let span = first.span.to(last.span);
        let codes = self.waiting.drain(..).chain(allowed);
        self.flow.allows.extend(codes.map(|code| Allow { code, line: span }));
        match statement(&words) {
            Ok(statement) => self.statement(statement, span),
            Err((place, want)) => {
                let fault =
                    Diagnostic::error(Code::F001, self.file, place, format!("expected {want}")).here("here");
                self.diagnostics.push(fault);
                self.not_understood(*first, span);
            }
        }
    }

    /// `-- allow F071: reason`: the code, if the comment is one.
    fn allow(&mut self, comment: &str, at: usize) -> Option<Name> {
        let text = comment.trim_start_matches('-').trim_start();
        let code = text.strip_prefix("allow ")?.trim_start();
        let length = code.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (code, rest) = code.split_at_checked(length)?;
        let digits = code.strip_prefix('F')?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let start = at + comment.len() - rest.len() - code.len();
        let span = Span::new(start, start + code.len());
        if rest.trim_start().strip_prefix(':').is_none_or(|reason| reason.trim().is_empty()) {
            let fault = Diagnostic::error(Code::F001, self.file, span, "expected a reason after the code");
            self.diagnostics.push(fault.hint(format!("write `-- allow {code}: why it is meant`")));
        }
        Some(Name::new(code.to_owned(), span))
    }

    /// A step whose heading is bad still begins there: otherwise its lines would fall to the step before.
    fn not_understood(&mut self, first: Token<'_>, span: Span) {
        if matches!(first.text, "step" | "menu") {
            let name = Spanned::new(String::new(), span);
            self.flow.steps.push(Step { name, menu: first.text == "menu", lines: Vec::new() });
            self.part = Part::Step;
        } else if first.text == "sub" && self.flow.name.is_none() {
            self.flow.sub.get_or_insert_default();
        } else if let (Part::Step, Some(step)) = (self.part, self.flow.steps.last_mut()) {
            step.lines.push(Spanned::new(Line::Broken, span));
        }
    }

    fn statement(&mut self, statement: Statement, span: Span) {
        match statement {
            Statement::Step(name, menu) => {
                self.flow.steps.push(Step { name, menu, lines: Vec::new() });
                self.part = Part::Step;
            }
            Statement::Line(line) => self.step_line(line, span),
            Statement::OnHangup => {
                if self.refused_in_sub(span) {
                } else if self.flow.on_hangup.is_some() {
                    self.again(span);
                } else {
                    self.flow.on_hangup = Some(Spanned::new(Vec::new(), span));
                }
                self.part = Part::Hangup;
            }
            _ if self.part != Part::Head => {
                let hint = "move it above the first step";
                self.misplaced(span, "this line belongs to the head of the flow", hint);
            }
            Statement::Flow(..) | Statement::Sub(..) if self.flow.name.is_some() => {
                self.misplaced(span, "a file holds one flow", "put the other one in its own file");
            }
            Statement::Flow(name, version, draft) => {
                self.flow.name = Some(name);
                self.flow.version = version;
                self.flow.draft = draft;
            }
            Statement::Sub(name, version, parameters) => {
                self.flow.name = Some(name);
                self.flow.version = version;
                self.flow.sub = Some(Signature { parameters, gives: Vec::new() });
            }
            head => self.head(head, span),
        }
    }

    fn head(&mut self, statement: Statement, span: Span) {
        let kind = match &statement {
            Statement::PinOnSms(_) => Some("pin"),
            Statement::Tries(..) => Some("tries"),
            Statement::Visits(..) => Some("visits"),
            Statement::Open(_) => Some("open"),
            Statement::Resume(_) => Some("resume"),
            _ => None,
        };
        let for_subs = matches!(
            statement,
            Statement::Gives(_) | Statement::Param(_) | Statement::Tries(..) | Statement::Visits(..)
        );
        if !for_subs && self.refused_in_sub(span) {
            return;
        }
        if kind.is_some_and(|kind| !self.twice.first(kind)) {
            self.again(span);
            return;
        }
        let flow = &mut self.flow;
        match statement {
            Statement::Gives(outcomes) => match &mut flow.sub {
                Some(signature) => signature.gives.extend(outcomes),
                None => {
                    self.misplaced(span, "only a sub-flow gives outcomes", "begin the file with `sub NAME 1`")
                }
            },
            Statement::Voice(numbers) => flow.voice.extend(numbers),
            Statement::Ussd(pattern) => flow.ussd.push(pattern),
            Statement::Sms(pattern) => flow.sms.push(pattern),
            Statement::PinOnSms(policy) => flow.pin_on_sms = Some(policy),
            Statement::Keys(keys) => flow.keys.extend(keys),
            Statement::Tries(count, then) => flow.tries = Some((count, then)),
            Statement::Visits(count, then) => flow.visits = Some((count, then)),
            Statement::Start(name, value) => flow.start.push((name, value)),
            Statement::Param(param) => flow.params.push(param),
            Statement::Open(opening) => flow.open = Some(Spanned::new(opening, span)),
            Statement::Resume(window) => flow.resume = Some(Spanned::new(window, span)),
            Statement::Flow(..)
            | Statement::Sub(..)
            | Statement::Step(..)
            | Statement::OnHangup
            | Statement::Line(_) => {}
        }
    }

    fn step_line(&mut self, line: Line, span: Span) {
        match self.part {
            Part::Step => {
                if let Some(step) = self.flow.steps.last_mut() {
                    step.lines.push(Spanned::new(line, span));
                }
            }
            Part::Head => self.misplaced(span, "this line belongs to a step", "write `step NAME` above it"),
            Part::Hangup if !runs_alone(&line) => {
                let hint = "only `if … -> end`, `set`, `send sms`, `mark` and `-> end` can stand here";
                self.misplaced(span, "nobody hears this: the caller is gone", hint);
            }
            Part::Hangup => {
                if let Some(lines) = &mut self.flow.on_hangup {
                    lines.value.push(Spanned::new(line, span));
                }
            }
        }
    }

    fn refused_in_sub(&mut self, span: Span) -> bool {
        let sub = self.flow.sub.is_some();
        if sub {
            let hint = "write it in the flow that callers reach";
            self.misplaced(span, "this line belongs to a flow, not to a sub-flow", hint);
        }
        sub
    }

    fn again(&mut self, span: Span) {
        self.diagnostics.push(
            Diagnostic::error(Code::F003, self.file, span, "this was already said above")
                .hint("remove one of the two lines"),
        );
    }

    fn misplaced(&mut self, span: Span, message: &str, hint: &str) {
        self.diagnostics.push(Diagnostic::error(Code::F001, self.file, span, message).hint(hint));
    }

    /// What a head may hold of a kind.
    fn limits(&mut self) {
        let flow = &self.flow;
        let sub = flow.sub.as_ref();
        let served = flow.voice.len() + flow.ussd.len() + flow.sms.len();
        let most = |names: &[(Name, Name)]| names.len() > PARAMS_MAX;
        let parameters = sub.is_some_and(|sub| {
            most(&sub.parameters) || sub.gives.len() > PARAMS_MAX || sub.gives.iter().any(|(_, of)| most(of))
        });
        let text = if served > SERVED_MAX {
            format!("a flow answers at most {SERVED_MAX} numbers, codes and messages")
        } else if flow.params.len() > PARAMS_MAX || parameters {
            format!("a flow has at most {PARAMS_MAX} params; a sub-flow so many parameters and outcomes")
        } else {
            return;
        };
        let span = flow.name.as_ref().map_or(Span::new(0, 0), |name| name.span);
        self.diagnostics.push(Diagnostic::error(Code::F002, self.file, span, text));
    }
}

/// Whether a line makes sense when nobody listens.
fn runs_alone(line: &Line) -> bool {
    match line {
        Line::If(_, to) | Line::Goto(to) => matches!(to, Destination::End(_)),
        Line::Mark(_) => true,
        Line::Action(action) => matches!(action, Action::Set(..) | Action::SendSms(_)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Flow {
        let (flow, faults) = parse("a.flow", text);
        assert!(faults.is_empty(), "{faults:?}");
        flow
    }

    fn faults(text: &str) -> Vec<String> {
        parse("a.flow", text)
            .1
            .into_iter()
            .map(|fault| format!("{:?} {}", fault.code, fault.message))
            .collect()
    }

    #[test]
    fn reads_the_head_of_a_flow() {
        let flow = parsed(
            "flow a 3 draft\n  param most: number = 3\n  param to: phone list = +8612, \"13\"\n  resume 2h\n  \
             open fri-mon 08:00-18:00, daily 22:00-24:00 else end\n",
        );
        assert!(flow.draft.is_some() && flow.sub.is_none());
        assert_eq!(flow.params[1].ty.value, "phone list");
        assert_eq!(flow.params[1].value.len(), 2);
        assert_eq!(flow.resume.unwrap().value.as_secs(), 7_200);
        let opening = flow.open.unwrap().value;
        assert_eq!(opening.spans[0].days, 0b111_0001);
        assert_eq!((opening.spans[1].days, opening.spans[1].to.to_string().as_str()), (0x7f, "00:00"));
    }

    #[test]
    fn reads_a_sub_flow() {
        let flow = parsed(
            "sub pay 1 (phone: phone, sure: yes/no)\n  gives ok(receipt: digits), locked\n  gives gone-up\n\
             step a\n  -> return ok(x)\n",
        );
        let signature = flow.sub.unwrap();
        assert_eq!(signature.parameters[1].1.value, "yes/no");
        assert_eq!(signature.gives.len(), 3);
        assert!(matches!(
            &flow.steps[0].lines[0].value,
            Line::Goto(Destination::Return(name, values)) if name.value == "ok" && values.len() == 1
        ));
    }

    #[test]
    fn lines_that_have_their_place() {
        for (text, report) in [
            ("sub a 1\n  serve voice 1\n", "F001 this line belongs to a flow, not to a sub-flow"),
            ("sub a 1\n  resume 5m\n", "F001 this line belongs to a flow, not to a sub-flow"),
            ("flow a 1\n  gives ok\n", "F001 only a sub-flow gives outcomes"),
            ("flow a 1\n  resume 5m\n  resume 6m\n", "F003 this was already said above"),
            ("flow a 1\n  resume 25h\n", "F001 expected a time from `1m` to `24h`"),
            ("flow a 1\non hangup\n  tell @a\n", "F001 nobody hears this: the caller is gone"),
            ("flow a 1\non hangup\non hangup\n", "F003 this was already said above"),
            ("flow a 1\nstep a\n  ask @q for a.b: digits\n", "F001 expected the variable for the answer"),
            (
                "flow a 1\nstep a\n  if 2026-02-30 = x -> end\n",
                "F001 expected a day that exists, such as 2026-12-31",
            ),
            ("flow a 1\nstep a\n  if now > 25:00 -> end\n", "F001 expected a time from 00:00 to 23:59"),
        ] {
            assert_eq!(faults(text), [report], "{text}");
        }
        let flow = parsed("flow a 1\nstep a\n  -> end\non hangup\n  set x = 1\n  -> end\nstep b\n  -> end\n");
        assert_eq!((flow.on_hangup.unwrap().value.len(), flow.steps.len()), (2, 2));
    }

    #[test]
    fn a_suppression_is_about_its_line_or_the_next() {
        let text = "flow a 1\n-- allow F071: nine networks\n\nmenu b\n  -> end -- allow F100: both are meant\n\
                    -- allowed to say\n-- allow F033: nothing below";
        let flow = parsed(text);
        let about: Vec<(&str, &str)> = flow
            .allows
            .iter()
            .map(|allow| (allow.code.value.as_str(), &text[allow.line.start..allow.line.end]))
            .collect();
        assert_eq!(about, [("F071", "menu b"), ("F100", "-> end"), ("F033", "F033")]);
        assert_eq!(faults("flow a 1 -- allow F071"), ["F001 expected a reason after the code"]);
    }

    #[test]
    fn limits_of_a_head_have_an_answer() {
        let many = |line: &str, count| format!("flow a 1\n{}", line.repeat(count));
        assert_eq!(faults(&many("  serve voice 1\n", SERVED_MAX)), [""; 0]);
        assert!(faults(&many("  serve voice 1\n", SERVED_MAX + 1))[0].starts_with("F002"));
        assert!(faults(&many("  param x: number = 1\n", PARAMS_MAX + 1))[0].starts_with("F002"));
    }
}
