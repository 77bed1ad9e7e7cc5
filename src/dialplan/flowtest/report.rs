//! What is told of a transcript that does not hold, and the transcript as it would hold.
//!
//! Both are made from the conversation that [`run`] recorded. Nothing here holds a conversation or writes
//! a file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::dialplan::flowtest::{Coverage, Expected, Failure, Script, Turn, parse, run};
use crate::dialplan::program::{Op, PAGE_REPLIES, Program};

/// Turns before the failing one that a report shows.
const TURNS_BEFORE: usize = 2;
/// Columns of a line of expectations that is written anew.
const WIDTH: usize = 110;
/// An expectation that nothing fulfils: a turn with it fails, and so tells what happened.
const NOTHING: &str = "";
/// How the reason of a failure begins when an expectation was not met.
const UNMET: &str = "expected ";

/// Something that happened since the caller's last input.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Event {
    /// As an expectation would write it.
    expected: Expected,
    /// The words of a message, or the outcome of an action.
    words: String,
}

/// What a line of a recorded conversation tells, unless it is what the caller did.
fn event(line: &str) -> Option<Event> {
    let worded = |text: &str| {
        let (key, words) = text.split_once(' ').unwrap_or((text, ""));
        (key.to_owned(), words.trim().to_owned())
    };
    let (expected, words) = if line == "< (ends)" {
        (Expected::End, String::new())
    } else if let Some(sent) = line.strip_prefix("< sms @") {
        let (key, words) = worded(sent);
        (Expected::Sms(key), words)
    } else if let Some(said) = line.strip_prefix("< @") {
        let (key, words) = worded(said);
        (Expected::Said(key), words)
    } else if let Some(shown) = line.strip_prefix("< screen: ") {
        (Expected::Screen(shown.to_owned()), String::new())
    } else if let Some(step) = line.strip_prefix("  [").and_then(|rest| rest.strip_suffix(']')) {
        (Expected::At(step.to_owned()), String::new())
    } else {
        let (action, outcome) = line.strip_prefix("  ")?.split_once(" -> ")?;
        (Expected::Does(action.to_owned()), outcome.to_owned())
    };
    Some(Event { expected, words })
}

/// What happened since the caller did what the turn says. The caller may have done more by himself: a page was turned, he
/// hung up as the turn wants.
fn last_turn(transcript: &[String], typed: Option<&str>) -> Vec<Event> {
    let of_its_own = |line: &str| {
        (line == "> (hangs up)" && typed != Some("hang up"))
            || PAGE_REPLIES.iter().any(|reply| line == format!("> {reply}") && typed != Some(*reply))
    };
    let begins = |line: &String| line.starts_with("> ") && !of_its_own(line);
    let from = transcript.iter().rposition(begins).map_or(0, |at| at + 1);
    transcript.iter().skip(from).filter_map(|line| event(line)).collect()
}

/// The failure as a piece of the transcript: the turns before it, what was expected and did not come (`-`), and what
/// came instead (`+`).
#[must_use]
pub fn explain(file: &str, text: &str, script: &Script, failure: &Failure, colour: bool) -> String {
    let paint =
        |code: &str, line: String| if colour { format!("\u{1b}[{code}m{line}\u{1b}[0m") } else { line };
    let place =
        format!("{file}:{}: \"{}\" on {}: {}", failure.line, failure.test, failure.channel, failure.reason);
    let mut out = paint("1", place);
    out.push('\n');
    let source = |line: usize| -> &str {
        text.lines().nth(line.wrapping_sub(1)).map(str::trim_end).unwrap_or_default()
    };
    let mut shown = |number: Option<usize>, mark: char, words: &str| {
        let number = number.map_or_else(String::new, |number| number.to_string());
        let line = format!("{number:>5} {mark} {words}");
        let line = match mark {
            '-' => paint("31", line),
            '+' => paint("32", line),
            _ => line,
        };
        let _ = writeln!(out, "{}", line.trim_end());
    };
    shown(Some(script.line), ' ', source(script.line));
    let turn = script.turns.iter().find(|turn| turn.line == failure.line);
    let before: Vec<&Turn> = script.turns.iter().take_while(|other| other.line < failure.line).collect();
    for other in before.iter().skip(before.len().saturating_sub(TURNS_BEFORE)).filter(|_| turn.is_some()) {
        shown(Some(other.line), ' ', source(other.line));
    }
    let last = last_turn(&failure.transcript, turn.and_then(|turn| turn.typed.as_deref()));
    if let Some(typed) = turn.and_then(|turn| turn.typed.as_ref()) {
        shown(turn.map(|turn| turn.line), ' ', &format!("  > {typed}"));
    }
    match turn.filter(|_| failure.reason.starts_with(UNMET)) {
        Some(turn) => {
            for (mark, words) in difference(&turn.expected, &last, failure.channel) {
                shown(None, mark, &format!("  < {words}"));
            }
        }
        None => last.iter().for_each(|event| shown(None, ' ', &format!("  < {}", described(event)))),
    }
    out
}

/// An event in the notation of transcripts, with its words behind it.
fn described(event: &Event) -> String {
    match (&event.expected, event.words.as_str()) {
        (expected, "") => expected.to_string(),
        (Expected::Does(action), outcome) => format!("does {action}  -- it ends in {outcome}"),
        (expected, words) => format!("{expected}  -- {words}"),
    }
}

/// The expectations and the events of one turn, line by line in the order of the conversation.
fn difference(expected: &[Expected], happened: &[Event], channel: Channel) -> Vec<(char, String)> {
    let mut out = Vec::new();
    let mut rest = happened;
    for expected in expected {
        let ordered = matches!(expected, Expected::Said(_) | Expected::Sms(_) | Expected::End);
        if !ordered {
            let held = holds(expected, happened, channel);
            out.push((if held { ' ' } else { '-' }, expected.to_string()));
            continue;
        }
        match rest.iter().position(|event| event.expected == *expected) {
            Some(at) => {
                let (before, after) = rest.split_at(at);
                out.extend(before.iter().map(|event| ('+', described(event))));
                out.extend(after.first().map(|event| (' ', described(event))));
                rest = after.get(1..).unwrap_or_default();
            }
            None => out.push(('-', expected.to_string())),
        }
    }
    out.extend(rest.iter().map(|event| ('+', described(event))));
    out
}

/// Whether an expectation without an order is met on a channel.
fn holds(expected: &Expected, happened: &[Event], channel: Channel) -> bool {
    match expected {
        Expected::Text(words) => happened.iter().any(|event| match &event.expected {
            Expected::Said(_) => event.words.contains(words.as_str()),
            Expected::Screen(shown) => shown.contains(words.as_str()),
            _ => false,
        }),
        Expected::Screen(wanted) => channel != Channel::Ussd || screen(happened) == *wanted,
        Expected::At(_) => {
            let last = happened.iter().rev().find(|event| matches!(event.expected, Expected::At(_)));
            last.is_some_and(|event| event.expected == *expected)
        }
        _ => happened.iter().any(|event| event.expected == *expected),
    }
}

/// What a USSD screen shows at last: its page, or all that was said.
fn screen(happened: &[Event]) -> String {
    let page = happened.iter().rev().find_map(|event| match &event.expected {
        Expected::Screen(shown) => Some(shown.clone()),
        _ => None,
    });
    let said = happened.iter().filter(|event| matches!(event.expected, Expected::Said(_)));
    page.unwrap_or_else(|| said.map(|event| event.words.as_str()).collect::<Vec<_>>().join(" / "))
}

/// A file of transcripts in which one test was made to hold, and the lines that changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Updated {
    /// The text.
    pub text: String,
    /// Lines of the new text whose expectations were written anew.
    pub lines: Vec<usize>,
}

/// Writes the expectations of the failing turns of one test anew, after what really happens on all of its channels.
/// Nothing when that cannot make it hold: a script that does not come up, an answer to nothing, channels that differ.
#[must_use]
pub fn update(catalog: &Catalog, flow: &str, file: &str, text: &str, test: usize) -> Option<Updated> {
    let settings = catalog.programs().next()?.settings().clone();
    let mut text = text.to_owned();
    let mut lines = Vec::new();
    loop {
        let (scripts, faults) = parse(file, &text, &settings);
        let script = scripts.get(test).filter(|_| faults.is_empty())?;
        let (_, failures) = run(catalog, flow, std::slice::from_ref(script));
        let Some(failure) = failures.iter().min_by_key(|failure| failure.line) else {
            return Some(Updated { text, lines });
        };
        let at = script.turns.iter().position(|turn| turn.line == failure.line)?;
        if lines.contains(&failure.line) || !failure.reason.starts_with(UNMET) {
            return None;
        }
        let turn = script.turns.get(at)?;
        let wanted = wanted(catalog, flow, script, at)?;
        text = rewrite(&text, turn, &wanted)?;
        lines.push(turn.line);
    }
}

/// What a turn has to expect: what happened in it on every channel of the test.
fn wanted(catalog: &Catalog, flow: &str, script: &Script, at: usize) -> Option<Vec<Expected>> {
    let old = &script.turns.get(at)?.expected;
    // Text messages come last: what others send beside the conversation is told in theirs.
    let mut channels = script.channels.clone();
    channels.sort_by_key(|(channel, _)| *channel);
    let mut all: Vec<(Channel, Vec<Event>)> = Vec::new();
    for channel in channels {
        let mut probe = script.clone();
        probe.channels = vec![channel.clone()];
        let before = match at.checked_sub(1) {
            Some(last) => recorded(catalog, flow, &probe, last)?.len(),
            None => 0,
        };
        let lines = recorded(catalog, flow, &probe, at)?;
        all.push((channel.0, lines.iter().skip(before).filter_map(|line| event(line)).collect()));
    }
    let (_, first) = all.first()?;
    let common =
        all.iter().skip(1).fold(first.clone(), |common, (channel, other)| shared(&common, other, *channel));
    let labels = labels(catalog);
    let mut out: Vec<Expected> = Vec::new();
    for event in &common {
        let wanted = match &event.expected {
            Expected::Said(key) => !labels.contains(key.as_str()) || old.contains(&event.expected),
            Expected::Sms(_) | Expected::End => true,
            _ => false,
        };
        if wanted {
            out.push(event.expected.clone());
        }
    }
    let everywhere =
        |expected: &Expected| all.iter().all(|(channel, happened)| holds(expected, happened, *channel));
    for expected in old {
        match expected {
            Expected::At(_) => {
                let steps = common.iter().rev().map(|event| &event.expected);
                out.extend(steps.filter(|e| matches!(e, Expected::At(_))).find(|e| everywhere(e)).cloned());
            }
            Expected::Screen(_) => {
                let ussd = all.iter().find(|(channel, _)| *channel == Channel::Ussd);
                out.extend(ussd.map(|(_, happened)| Expected::Screen(screen(happened))).filter(&everywhere));
            }
            Expected::Text(_) | Expected::Does(_) if everywhere(expected) => out.push(expected.clone()),
            _ => {}
        }
    }
    Some(out)
}

/// The conversation up to the end of a turn, whatever that turn expects.
fn recorded(catalog: &Catalog, flow: &str, script: &Script, turn: usize) -> Option<Vec<String>> {
    let mut probe = script.clone();
    probe.turns.truncate(turn + 1);
    probe.turns.last_mut()?.expected = vec![Expected::Said(NOTHING.to_owned())];
    let (_, mut failures) = run(catalog, flow, &[probe]);
    let failure = failures.pop()?;
    failure.reason.starts_with(UNMET).then_some(failure.transcript)
}

/// What both conversations have, in order; on SMS nothing is sent beside the conversation.
fn shared(a: &[Event], b: &[Event], b_on: Channel) -> Vec<Event> {
    let mut out = Vec::new();
    let mut rest = b;
    for event in a {
        if matches!(event.expected, Expected::Sms(_)) && b_on == Channel::Sms {
            out.push(event.clone());
        } else if let Some(at) = rest.iter().position(|other| other.expected == event.expected) {
            out.push(event.clone());
            rest = rest.get(at + 1..).unwrap_or_default();
        }
    }
    out
}

/// The messages that are labels of options: said after every menu's question, and seldom worth an expectation.
fn labels(catalog: &Catalog) -> BTreeSet<&str> {
    let steps = catalog.programs().flat_map(|program| program.steps());
    let menus = steps.flat_map(|step| &step.ops).filter_map(|op| match op {
        Op::Menu(menu) => Some(menu),
        _ => None,
    });
    menus
        .flat_map(|menu| &menu.choices)
        .filter_map(|choice| choice.label.as_ref())
        .map(|label| &*label.name)
        .collect()
}

/// The text with the expectations of one turn written anew; comments stay where they are.
fn rewrite(text: &str, turn: &Turn, wanted: &[Expected]) -> Option<String> {
    let mut out: Vec<String> = text.lines().map(str::to_owned).collect();
    let first = turn.line.checked_sub(1)?;
    let line = out.get(first)?.clone();
    let (code, comment) = divided(&line);
    let parts: Vec<String> = wanted.iter().map(Expected::to_string).collect();
    let (before, at) = match code.find('<') {
        Some(at) => (code.get(..at)?.to_owned(), at),
        None => (format!("{}   ", code.trim_end()), code.trim_end().len() + 3),
    };
    let mut lines = vec![String::new()];
    for part in parts {
        let last = lines.last_mut()?;
        if !last.is_empty() && at + 2 + last.len() + 2 + part.len() > WIDTH {
            lines.push(part);
        } else {
            let joint = if last.is_empty() { "" } else { "; " };
            let _ = write!(last, "{joint}{part}");
        }
    }
    let mut fresh: Vec<String> = lines.iter().map(|line| format!("{}< {line}", " ".repeat(at))).collect();
    if let Some(first) = fresh.first_mut() {
        *first = if lines.iter().all(String::is_empty) {
            before.trim_end().to_owned()
        } else {
            format!("{before}< {}", lines.first()?)
        };
        if !comment.is_empty() {
            let _ = write!(first, "  {comment}");
        }
    }
    // Lines of the same turn that only go on with `<` are part of what was written anew.
    let mut next = first + 1;
    while let Some(line) = out.get(next) {
        let (code, comment) = divided(line);
        if !code.trim_start().starts_with('<') {
            break;
        }
        if comment.is_empty() {
            out.remove(next);
        } else {
            let indent = line.len() - line.trim_start().len();
            let comment = format!("{}{comment}", " ".repeat(indent));
            *out.get_mut(next)? = comment;
            next += 1;
        }
    }
    out.splice(first..=first, fresh);
    let mut text = out.join("\n");
    text.push('\n');
    Some(text)
}

/// A line without its comment, and the comment: it begins at ` --` outside quotes, or at the start of the line.
fn divided(line: &str) -> (&str, &str) {
    let mut quoted = false;
    let mut before = ' ';
    for (index, c) in line.char_indices() {
        quoted ^= c == '"';
        let rest = line.get(index..).unwrap_or_default();
        if !quoted && before.is_whitespace() && rest.starts_with("--") {
            return (line.get(..index).unwrap_or(line), rest.trim_end());
        }
        before = c;
    }
    (line, "")
}

/// How much of a flow its transcripts come by.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Covered {
    /// The flow.
    pub flow: String,
    /// Steps that were entered.
    pub steps: usize,
    /// Steps that there are.
    pub steps_of: usize,
    /// Outcomes of actions that came back.
    pub outcomes: usize,
    /// Outcomes that there are.
    pub outcomes_of: usize,
    /// What no transcript comes by: `step`, or `step: action -> outcome`.
    pub missing: Vec<String>,
}

/// How much of a program a coverage has.
#[must_use]
pub fn covered(program: &Program, coverage: &Coverage) -> Covered {
    let missing = coverage.missing(program);
    let own = || program.steps().iter().filter(|step| step.part == 0);
    let of = own().flat_map(|step| &step.ops).map(|op| match op {
        Op::Do { action, .. } => action.outcomes.len(),
        _ => 0,
    });
    let (steps_of, outcomes_of) = (own().count(), of.sum());
    let outcomes_missing = missing.iter().filter(|missing| missing.contains(" -> ")).count();
    Covered {
        flow: program.name().to_owned(),
        steps: steps_of - (missing.len() - outcomes_missing).min(steps_of),
        steps_of,
        outcomes: outcomes_of - outcomes_missing.min(outcomes_of),
        outcomes_of,
        missing,
    }
}
