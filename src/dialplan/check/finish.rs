//! The last look at all faults together: what follows from another is left out, what the author allows is taken
//! away, and the rest is put in order with lines and columns.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::catalog::Sources;
use crate::dialplan::check::consequences;
use crate::dialplan::diagnostic::{Allowance, Code, Diagnostic, Lines};
use crate::dialplan::syntax::ast::{Allow, Flow};
use crate::dialplan::syntax::span::Span;

/// Faults that are reported at most; whoever has more begins with the first.
const FAULTS_MAX: usize = 500;

/// Of an allowance that allows nothing, after its code.
pub(super) const WITHOUT_EFFECT: &str = "is not reported here";

/// All flows and sub-flows as they were written, with their files.
pub(super) type Written<'w> = [(&'w str, &'w Flow)];

/// The faults as they are reported.
pub(super) fn finish(
    mut diagnostics: Vec<Diagnostic>,
    written: &Written<'_>,
    sources: &Sources,
) -> Vec<Diagnostic> {
    once(&mut diagnostics, written);
    allow(&mut diagnostics, written);
    locate(&mut diagnostics, sources);
    consequences::prune(&mut diagnostics, written, sources);
    let files: BTreeMap<&str, usize> =
        sources.flows.iter().enumerate().map(|(index, source)| (source.name.as_str(), index)).collect();
    diagnostics.sort_by_cached_key(|diagnostic| {
        let first = diagnostic.labels.first();
        let order = |file: &String| files.get(file.as_str()).copied().unwrap_or(usize::MAX);
        first.map(|label| (order(&label.file), label.file.clone(), label.start, diagnostic.code))
    });
    cap(&mut diagnostics);
    diagnostics
}

/// A line of a sub-flow stands in the graph once for each call, and is reported once.
fn once(diagnostics: &mut Vec<Diagnostic>, written: &Written<'_>) {
    let subs: BTreeSet<&str> =
        written.iter().filter(|(_, flow)| flow.sub.is_some()).map(|(file, _)| *file).collect();
    let mut seen = BTreeSet::new();
    diagnostics.retain(|diagnostic| {
        let Some(label) = diagnostic.labels.first() else { return true };
        let text = if subs.contains(label.file.as_str()) { "" } else { diagnostic.message.as_str() };
        seen.insert((diagnostic.code, label.file.clone(), label.start, label.end, text.to_owned()))
    });
}

fn allow(diagnostics: &mut Vec<Diagnostic>, written: &Written<'_>) {
    let mut without = Vec::new();
    for (file, flow) in written {
        for allow in &flow.allows {
            let written = &allow.code.value;
            let Some(code) = Code::find(written) else {
                without.push(fault(
                    file,
                    allow,
                    format!("there is no code `{written}`"),
                    "see `keytone check --explain`",
                ));
                continue;
            };
            let why = match code.allowance() {
                Allowance::Yes => None,
                Allowance::Money => Some("it protects money and secrets: correct what it reports"),
                Allowance::No => Some("the flow would have no meaning with it: correct what it reports"),
            };
            if let Some(why) = why {
                without.push(fault(file, allow, format!("`{code:?}` cannot be allowed"), why));
                continue;
            }
            let before = diagnostics.len();
            diagnostics
                .retain(|diagnostic| diagnostic.code != code || !stands_in(diagnostic, file, allow.line));
            // What a sub-flow allows may only come up in one of the flows that call it.
            if diagnostics.len() == before && flow.sub.is_none() {
                let text = format!("`{code:?}` {WITHOUT_EFFECT}");
                without.push(fault(file, allow, text, "remove it, or write it at the line that is reported"));
            }
        }
    }
    diagnostics.extend(without);
}

fn fault(file: &str, allow: &Allow, text: String, hint: &str) -> Diagnostic {
    Diagnostic::warning(Code::F101, file, allow.code.span, text).hint(hint)
}

fn stands_in(diagnostic: &Diagnostic, file: &str, line: Span) -> bool {
    let first = diagnostic.labels.first();
    first.is_some_and(|label| label.file == file && (line.start..=line.end).contains(&label.start))
}

/// Leaves out what nobody reads any more, and says how much it is. An error is never left out for a warning.
fn cap(diagnostics: &mut Vec<Diagnostic>) {
    let Some(more) = diagnostics.len().checked_sub(FAULTS_MAX).filter(|more| *more > 0) else { return };
    if diagnostics.iter().take(FAULTS_MAX).all(|diagnostic| !diagnostic.is_error()) {
        diagnostics.sort_by_key(|diagnostic| diagnostic.severity as u8);
    }
    diagnostics.truncate(FAULTS_MAX);
    if let Some(last) = diagnostics.last_mut() {
        let more = format!("{more} more faults are not shown");
        last.hint = Some(last.hint.take().into_iter().chain([more]).collect::<Vec<_>>().join("\n"));
    }
}

fn locate(diagnostics: &mut [Diagnostic], sources: &Sources) {
    let mut known: BTreeMap<String, Lines> = BTreeMap::new();
    for label in diagnostics.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels) {
        let text = sources.text(&label.file).unwrap_or_default();
        if !known.contains_key(&label.file) {
            known.insert(label.file.clone(), Lines::of(text));
        }
        if let Some(lines) = known.get(&label.file) {
            label.locate(text, lines);
        }
    }
}
