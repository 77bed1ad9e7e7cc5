//! Faults that only follow from another: a line that was not understood sets nothing, so that what it would have set
//! is missing wherever it is read. Only the cause is reported.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::catalog::Sources;
use crate::dialplan::check::finish::{WITHOUT_EFFECT, Written};
use crate::dialplan::diagnostic::{Code, Diagnostic};

/// What may only be unused, alike or without effect because something else is wrong: only said when there is no
/// error.
const AFTERTHOUGHTS: [Code; 4] = [Code::F017, Code::F042, Code::F051, Code::F100];
/// Lines with these may have set variables.
const UNREAD: [Code; 4] = [Code::F001, Code::F003, Code::F011, Code::F021];

/// What may follow from values that are not known.
const EXPLAINED: [Code; 5] = [Code::F013, Code::F033, Code::F035, Code::F040, Code::F080];

/// Takes away what follows from another fault. Lines and columns are known.
pub(super) fn prune(diagnostics: &mut Vec<Diagnostic>, written: &Written<'_>, sources: &Sources) {
    if !diagnostics.iter().any(Diagnostic::is_error) {
        return;
    }
    diagnostics.retain(|fault| {
        let afterthought = AFTERTHOUGHTS.contains(&fault.code)
            // What is allowed may not have been looked for yet.
            || (fault.code == Code::F101 && fault.message.ends_with(WITHOUT_EFFECT));
        fault.is_error() || !afterthought
    });
    let faulty: BTreeSet<String> =
        diagnostics.iter().filter_map(|fault| fault.labels.first()).map(|label| label.file.clone()).collect();
    let files: BTreeMap<String, Causes> = faulty
        .into_iter()
        .filter(|file| sources.flows.iter().any(|flow| flow.name == *file))
        .map(|file| (file.clone(), Causes::of(&file, diagnostics, sources)))
        .collect();
    // What a sub-flow does is part of the flows that call it.
    let subs: Vec<&Causes> = written
        .iter()
        .filter(|(_, flow)| flow.sub.is_some())
        .filter_map(|(file, _)| files.get(*file))
        .collect();
    let before = diagnostics.clone();
    // A slot that a message does not have is a value that it does not say.
    let slots_differ = before.iter().any(|fault| fault.code == Code::F052);
    diagnostics.retain(|fault| {
        if fault.code == Code::F035 && slots_differ {
            return false;
        }
        let Some(label) = fault.labels.first() else { return true };
        let Some(own) = files.get(&label.file) else { return true };
        let mut all = std::iter::once(own).chain(subs.iter().copied());
        !own.explains_line(fault, label.line) && !all.any(|causes| causes.explains_value(fault))
    });
    // A catalogue is used when no error is left: whatever happens here, errors never vanish altogether.
    if !diagnostics.iter().any(Diagnostic::is_error) {
        *diagnostics = before;
    }
}

/// The faults of a file that others follow from.
#[derive(Default)]
struct Causes {
    codes: BTreeSet<Code>,
    /// The words of lines that may have set something.
    unread: BTreeSet<String>,
    /// What does not fit where it stands, by line: other lines of the same block that do not fit follow from it.
    misplaced: BTreeMap<usize, String>,
    /// For each line, the line that its block begins with.
    blocks: Vec<usize>,
    /// Blocks with a line that does not fit.
    faulty: BTreeSet<usize>,
    /// Blocks with a line that has no meaning, and the first such line.
    broken: BTreeMap<usize, usize>,
}

impl Causes {
    fn of(file: &str, diagnostics: &[Diagnostic], sources: &Sources) -> Self {
        let mut causes = Self::default();
        let text = sources.text(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let mut block = 0;
        for (index, line) in lines.iter().enumerate() {
            if line.starts_with(|c: char| !c.is_whitespace()) && !line.starts_with("--") {
                block = index + 1;
            }
            causes.blocks.push(block);
        }
        for fault in diagnostics.iter().filter(|fault| fault.is_error()) {
            let Some(label) = fault.labels.first().filter(|label| label.file == file) else { continue };
            causes.codes.insert(fault.code);
            let line = lines.get(label.line.saturating_sub(1)).copied().unwrap_or_default();
            // A param with a fault has no value. What is explained here must not be what explains.
            let param = words(line.trim_start()).next() == Some("param") && !EXPLAINED.contains(&fault.code);
            if UNREAD.contains(&fault.code) || param {
                causes.unread.extend(words(line).map(str::to_owned));
            }
            // An outcome that is left out would have set its values: `… can also end in part(bill, fee)`.
            if fault.code == Code::F020
                && let Some((_, outcomes)) = fault.message.split_once(" end in ")
            {
                causes.unread.extend(words(outcomes).map(str::to_owned));
            }
            // A fault of the whole file has no place in it.
            if fault.code == Code::F001 && label.end > 0 {
                causes.misplaced.insert(label.line, fault.message.clone());
                let block = causes.block(label.line);
                causes.faulty.insert(block);
                if own(fault) {
                    let first = causes.broken.entry(block).or_insert(label.line);
                    *first = label.line.min(*first);
                }
            }
        }
        causes
    }

    fn block(&self, line: usize) -> usize {
        self.blocks.get(line.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Whether a fault follows from a line near it that has no meaning.
    fn explains_line(&self, fault: &Diagnostic, line: usize) -> bool {
        let broken = self.broken.get(&self.block(line));
        match fault.code {
            Code::F001 => {
                let same = self.misplaced.get(&line.saturating_sub(1)) == Some(&fault.message);
                !own(fault) && (same || broken.is_some_and(|first| *first < line))
            }
            Code::F031 | Code::F081 => self.faulty.contains(&self.block(line)),
            _ => false,
        }
    }

    /// Whether a fault follows from values that are not known.
    fn explains_value(&self, fault: &Diagnostic) -> bool {
        let has = |codes: &[Code]| codes.iter().any(|code| self.codes.contains(code));
        match fault.code {
            Code::F013 | Code::F040 | Code::F080 => {
                let name = fault.message.split('`').nth(1).unwrap_or_default();
                let set_elsewhere = self.unread.contains(name) || has(&[Code::F011]);
                let kept = fault.code != Code::F080 || fault.message.ends_with("is not kept until here");
                kept && (set_elsewhere || (name == "caller" && has(&UNREAD)))
            }
            Code::F033 => has(&[Code::F001, Code::F013]),
            Code::F035 => has(&UNREAD) || has(&[Code::F013, Code::F050]),
            _ => false,
        }
    }
}

/// Whether a line itself cannot be understood: where one belongs depends on others.
fn own(fault: &Diagnostic) -> bool {
    fault.message.starts_with("expected")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_'))
}
