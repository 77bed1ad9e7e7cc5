//! What the names of a flow tell: variables that nothing reads, names that differ by a slip of the pen, and menus
//! with more entries than anybody listens to. Looks at the tree as it was written, before sub-flows are put in
//! place.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::check::finish::Written;
use crate::dialplan::check::messages::Index;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::program::ITEMS_A_PAGE;
use crate::dialplan::syntax::ast::{Action, Destination, Expression, Flow, Line, Message, Step};
use crate::dialplan::syntax::span::{Name, Span, Spanned};

/// Spoken entries of a menu that a caller keeps in mind.
const ENTRIES_MAX: usize = 9;
/// The shortest name that is compared with others.
const NEAR_MIN: usize = 5;
/// The shortest name of which one other letter is a slip and not another word.
const LETTER_MIN: usize = 9;

pub(super) fn check(written: &Written<'_>, broken: bool, index: &Index, diagnostics: &mut Vec<Diagnostic>) {
    let spoken = written.iter().any(|(_, flow)| !flow.voice.is_empty());
    for (file, flow) in written {
        // What a line that was not understood reads is not known.
        if !broken {
            let unused = unused(file, flow, diagnostics);
            near_variables(file, flow, &unused, diagnostics);
        }
        near(
            flow.steps.iter().map(|step| (file, step.name.value.as_str(), step.name.span)),
            "steps",
            diagnostics,
        );
        // Who calls a sub-flow is not looked for: it counts as spoken when anything is.
        if !flow.voice.is_empty() || (flow.sub.is_some() && spoken) {
            flow.steps.iter().for_each(|step| menu(file, step, diagnostics));
        }
    }
    let own = index.entries.iter().filter(|(key, _)| !key.contains('.'));
    near(own.map(|(key, entry)| (&entry.file, key.as_str(), entry.span)), "messages", diagnostics);
}

// ---- variables that nothing reads

/// Reports them and returns their names.
fn unused(file: &str, flow: &Flow, diagnostics: &mut Vec<Diagnostic>) -> BTreeSet<String> {
    let mut read = Reads::default();
    read.flow(flow);
    let mut out = BTreeSet::new();
    for (name, how) in given(flow) {
        if read.names.contains(name.value.as_str()) || !out.insert(name.value.clone()) {
            continue;
        }
        let text = format!("nothing reads `{}`", name.value);
        diagnostics.push(Diagnostic::warning(Code::F042, file, name.span, text).hint(how));
    }
    out
}

/// What is set for a purpose. Names in `on ok(fee, total)` are not: the pattern needs its places.
fn given(flow: &Flow) -> Vec<(&Name, &'static str)> {
    let set = "use it, or remove the line";
    let mut out: Vec<(&Name, &str)> = Vec::new();
    let signature = flow.sub.iter().flat_map(|sub| &sub.parameters);
    out.extend(
        signature.map(|(name, _)| (name, "use it, or take it out of the line `sub` and of every call")),
    );
    out.extend(flow.params.iter().map(|param| (&param.name, set)));
    out.extend(flow.start.iter().map(|(name, _)| (name, set)));
    let lines = flow.steps.iter().flat_map(|step| &step.lines);
    for line in lines.chain(flow.on_hangup.iter().flat_map(|block| &block.value)) {
        if let Line::Ask(_, name, ..) = &line.value {
            out.push((name, "use it, or do not ask: `key # -> step` below a `tell` waits for a key"));
        }
        let sets = actions(&line.value).iter().filter_map(|action| match &action.value {
            Action::Set(name, _) => Some((name, set)),
            _ => None,
        });
        out.extend(sets);
        if let Line::Action(Action::Set(name, _)) = &line.value {
            out.push((name, set));
        }
    }
    out
}

fn actions(line: &Line) -> &[Spanned<Action>] {
    match line {
        Line::Option(_, _, actions, _) | Line::Key(_, actions, _) | Line::On(_, _, actions, _) => actions,
        Line::Empty(_, actions, _) => actions,
        Line::Each(each) => &each.actions,
        _ => &[],
    }
}

/// The variables that a flow reads.
#[derive(Default)]
struct Reads<'f> {
    names: BTreeSet<&'f str>,
}

impl<'f> Reads<'f> {
    fn flow(&mut self, flow: &'f Flow) {
        flow.start.iter().for_each(|(_, value)| self.expression(&value.value));
        for param in &flow.params {
            param.value.iter().for_each(|value| self.expression(&value.value));
        }
        let ends = [&flow.tries, &flow.visits].into_iter().flatten().map(|(_, to)| to);
        ends.chain(flow.open.iter().map(|open| &open.value.otherwise)).for_each(|to| self.destination(to));
        let lines = flow.steps.iter().flat_map(|step| &step.lines);
        lines
            .chain(flow.on_hangup.iter().flat_map(|block| &block.value))
            .for_each(|line| self.line(&line.value));
    }

    fn line(&mut self, line: &'f Line) {
        for action in actions(line) {
            self.action(&action.value);
        }
        match line {
            Line::Question(message, _) | Line::Ask(message, ..) | Line::Again(message) => {
                self.message(message)
            }
            Line::Silent(_, message) | Line::Wrong(_, message) => self.message(message),
            Line::Option(_, message, _, to) => {
                self.message(message);
                self.destination(to);
            }
            Line::Key(_, _, to) | Line::On(_, _, _, to) | Line::Goto(to) => self.destination(to),
            Line::Must(condition, message) => {
                self.expression(&condition.value);
                self.message(message);
            }
            Line::Do(_, arguments) | Line::Call(_, arguments) | Line::Return(_, arguments) => {
                self.expressions(arguments);
            }
            Line::Each(each) => {
                self.expression(&each.list.value);
                self.message(&each.label);
                self.destination(&each.to);
            }
            Line::Empty(message, _, to) => {
                message.iter().for_each(|message| self.message(message));
                self.destination(to);
            }
            Line::If(condition, to) => {
                self.expression(&condition.value);
                self.destination(to);
            }
            Line::Action(action) => self.action(action),
            Line::Given(..) | Line::Mark(_) | Line::Hold | Line::Broken => {}
        }
    }

    fn action(&mut self, action: &'f Action) {
        match action {
            Action::Tell(message) | Action::SendSms(message) => self.message(message),
            Action::Set(_, value) => self.expression(&value.value),
            Action::Language(_) => {}
        }
    }

    fn message(&mut self, message: &'f Message) {
        self.expressions(&message.arguments);
    }

    fn destination(&mut self, to: &'f Destination) {
        if let Destination::Return(_, arguments) = to {
            self.expressions(arguments);
        }
    }

    fn expressions(&mut self, expressions: &'f [Spanned<Expression>]) {
        expressions.iter().for_each(|expression| self.expression(&expression.value));
    }

    fn expression(&mut self, expression: &'f Expression) {
        match expression {
            Expression::Variable(name) => {
                self.names.insert(name.split('.').next().unwrap_or(name));
            }
            Expression::Known(name) => {
                self.names.insert(&name.value);
            }
            Expression::Not(inner) | Expression::Least(inner) | Expression::Count(inner) => {
                self.expression(&inner.value);
            }
            Expression::Binary(_, left, right) => {
                self.expression(&left.value);
                self.expression(&right.value);
            }
            Expression::Number(_) | Expression::Amount(..) | Expression::Text(_) | Expression::Truth(_) => {}
            Expression::Date(_) | Expression::Time(_) => {}
        }
    }
}

// ---- names that differ by a slip of the pen

fn near_variables(file: &str, flow: &Flow, unused: &BTreeSet<String>, diagnostics: &mut Vec<Diagnostic>) {
    let given = given(flow).into_iter().map(|(name, _)| name);
    let lines = flow.steps.iter().flat_map(|step| &step.lines);
    let bound = lines.flat_map(|line| match &line.value {
        Line::On(_, names, ..) => names.as_slice(),
        _ => &[],
    });
    // A name that nothing reads is reported already.
    let names = given.chain(bound).filter(|name| !unused.contains(&name.value));
    near(names.map(|name| (&file, name.value.as_str(), name.span)), "variables", diagnostics);
}

/// Reports pairs of names of one kind. Names that are alike share their folded form, or the form without one of
/// their letters: so each name is looked up a few times instead of compared with all others.
fn near<'n, F: AsRef<str> + ?Sized + 'n>(
    names: impl Iterator<Item = (&'n F, &'n str, Span)>,
    what: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut by_form: BTreeMap<String, Vec<(&str, &str, Span)>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut reported = BTreeSet::new();
    for (file, name, span) in names {
        if name.len() < NEAR_MIN || !seen.insert(name) {
            continue;
        }
        for form in forms(name) {
            let others = by_form.entry(form).or_default();
            for (other, other_file, other_span) in others.iter() {
                if slip(other, name) && reported.insert((*other, name)) {
                    let text = format!("the {what} `{name}` and `{other}` are nearly the same");
                    diagnostics.push(
                        Diagnostic::advice(Code::F100, file.as_ref(), span, text)
                            .here("this")
                            .label(other_file, *other_span, "and this")
                            .hint("if one is a misspelling of the other, correct it; if not, allow it or rename one"),
                    );
                }
            }
            others.push((name, file.as_ref(), span));
        }
    }
}

/// The forms by which names that are alike find each other.
fn forms(name: &str) -> BTreeSet<String> {
    let folded = fold(name);
    let mut sorted: Vec<char> = folded.chars().collect();
    sorted.sort_unstable();
    let mut out = BTreeSet::from([sorted.into_iter().collect(), folded.clone()]);
    if name.len() >= LETTER_MIN {
        let letters: Vec<char> = folded.chars().collect();
        for left_out in 0..letters.len() {
            let kept = letters.iter().enumerate().filter(|(index, _)| *index != left_out);
            out.insert(kept.map(|(_, letter)| *letter).collect());
        }
    }
    out
}

/// Without case, hyphens and doubled letters.
fn fold(name: &str) -> String {
    let mut letters: Vec<char> =
        name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    letters.dedup();
    letters.into_iter().collect()
}

/// Whether two names differ as a slip of the pen makes them differ, and not as two words do.
fn slip(one: &str, other: &str) -> bool {
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let plural =
        |short: &str, long: &str| long.strip_prefix(short).is_some_and(|rest| rest == "s" || rest == "es");
    if one == other || digits(one) != digits(other) || plural(one, other) || plural(other, one) {
        return false;
    }
    let (a, b): (Vec<char>, Vec<char>) = (fold(one).chars().collect(), fold(other).chars().collect());
    if a == b {
        return true;
    }
    if a.len() == b.len() {
        let differing: Vec<usize> = (0..a.len()).filter(|index| a.get(*index) != b.get(*index)).collect();
        return match *differing {
            // Two neighbours in the other order.
            [first, second] => {
                second == first + 1 && a.get(first) == b.get(second) && a.get(second) == b.get(first)
            }
            // Another letter within a long name; at its ends it is often another word.
            [place] => a.len() >= LETTER_MIN && place > 0 && place + 1 < a.len(),
            _ => false,
        };
    }
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let place = short.iter().zip(&long).position(|(a, b)| a != b).unwrap_or(short.len());
    let inside = place > 0 && place < short.len();
    long.len() == short.len() + 1
        && short.len() >= LETTER_MIN
        && inside
        && short.get(place..) == long.get(place + 1..)
}

// ---- menus

fn menu(file: &str, step: &Step, diagnostics: &mut Vec<Diagnostic>) {
    let options = step.lines.iter().filter(|line| matches!(line.value, Line::Option(..))).count();
    let list = step.lines.iter().any(|line| matches!(line.value, Line::Each(_)));
    let items = if list { ITEMS_A_PAGE } else { 0 };
    if options + items > ENTRIES_MAX {
        let text = format!(
            "`{}` reads {} entries to a caller who can only listen",
            step.name.value,
            options + items
        );
        let hint = if list {
            format!("a page of the list has {items}: keep at most {} options of its own", ENTRIES_MAX - items)
        } else {
            format!("divide it: nobody keeps more than {ENTRIES_MAX} in mind")
        };
        diagnostics.push(Diagnostic::warning(Code::F071, file, step.name.span, text).hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_and_other_words() {
        for (one, other) in [
            ("amount", "ammount"),
            ("enter-amount", "enter_amount"),
            ("confirm", "cofnirm"),
            ("over-limit", "overlimit"),
            ("confirm-number", "confirm-nunber"),
            ("confirm-number", "confirm-numbr"),
        ] {
            assert!(slip(one, other) && slip(other, one), "{one} {other}");
            assert!(!forms(one).is_disjoint(&forms(other)), "{one} {other}");
        }
        for (one, other) in [
            ("amount", "amounts"),
            ("step-1", "step-2"),
            ("bound", "found"),
            ("locked", "looked"),
            ("pending", "sending"),
            ("amount", "account"),
            ("enter-pin-1", "enter-pin-11"),
            ("confirm-numbers", "confirm-number"),
        ] {
            assert!(!slip(one, other), "{one} {other}");
        }
    }
}
