//! Calls of sub-flows and flows that are handed over to, put in place: which steps a flow consists of when every call is
//! replaced by the steps of what it calls, and every flow that it comes to stands behind it.
//!
//! Each call of a sub-flow is a frame with steps and variables of its own; so is each flow, once, however many ways lead to
//! it. So everything that is proved of a flow holds over its calls and from one flow to the next, and a saved conversation
//! needs no stack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::program::STEPS_MAX;
use crate::dialplan::syntax::ast::{Destination, Flow, Line, Signature};
use crate::dialplan::syntax::span::{Name, Span};

/// How deep calls may be nested.
pub(super) const CALLS_MAX: usize = 8;

/// A file that was read.
pub(super) struct Written {
    pub(super) file: Arc<str>,
    pub(super) flow: Flow,
    /// Whether a line of it was not understood.
    pub(super) broken: bool,
}

impl Written {
    pub(super) fn name(&self) -> &str {
        self.flow.name.as_ref().map_or("", |name| name.value.as_str())
    }

    /// Where its name stands.
    pub(super) fn span(&self) -> Span {
        self.flow.name.as_ref().map_or(Span::new(0, 0), |name| name.span)
    }

    /// The flows that its steps hand over to, in the order of the file.
    fn hands_over(&self) -> impl Iterator<Item = &Name> {
        let lines = self.flow.steps.iter().flat_map(|step| &step.lines);
        lines.filter_map(|line| match line.value.destination() {
            Some(Destination::Flow(name)) => Some(name),
            _ => None,
        })
    }

    fn draft(&self) -> bool {
        self.flow.draft.is_some()
    }

    /// The calls that its steps make, with the index of the step.
    fn calls(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.flow.steps.iter().enumerate().filter_map(|(index, step)| {
            let call = step.lines.iter().find_map(|line| match &line.value {
                Line::Call(name, _) => Some(name),
                _ => None,
            })?;
            Some((index, call))
        })
    }
}

/// The sub-flows of a folder, and its flows.
pub(super) struct Subs<'w> {
    by_name: BTreeMap<&'w str, &'w Written>,
    /// Flows, which cannot be called: by name, and whether they are drafts.
    flows: BTreeMap<(&'w str, bool), &'w Written>,
    /// Whether a file could not be read: then a missing sub-flow may be only unread.
    pub(super) unread: bool,
}

impl<'w> Subs<'w> {
    pub(super) fn of(written: &'w [Written], unread: bool) -> Self {
        let mut subs = Self { by_name: BTreeMap::new(), flows: BTreeMap::new(), unread };
        for file in written {
            if file.flow.sub.is_some() {
                subs.by_name.entry(file.name()).or_insert(file);
            } else {
                subs.flows.entry((file.name(), file.draft())).or_insert(file);
            }
        }
        subs
    }

    pub(super) fn find(&self, name: &str) -> Option<&'w Written> {
        self.by_name.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'w str> {
        self.by_name.keys().copied()
    }

    pub(super) fn is_flow(&self, name: &str) -> bool {
        [false, true].iter().any(|draft| self.flows.contains_key(&(name, *draft)))
    }

    /// The flow that is handed over to: a draft may hand over to a draft, and a live flow only to a live one.
    pub(super) fn flow(&self, name: &str, draft: bool) -> Option<&'w Written> {
        let own = draft.then(|| self.flows.get(&(name, true))).flatten();
        own.or_else(|| self.flows.get(&(name, false))).copied()
    }

    /// The names of flows, each once.
    pub(super) fn flows(&self) -> impl Iterator<Item = &'w str> {
        self.flows.keys().map(|(name, _)| *name)
    }

    /// Sub-flows that nothing calls.
    pub(super) fn uncalled(&self, written: &'w [Written]) -> Vec<&'w Written> {
        let called: BTreeSet<&str> =
            written.iter().flat_map(Written::calls).map(|(_, name)| name.value.as_str()).collect();
        self.by_name.values().filter(|sub| !called.contains(sub.name())).copied().collect()
    }

    /// Reports each ring of sub-flows that call one another, where it closes.
    pub(super) fn rings(&self, diagnostics: &mut Vec<Diagnostic>) {
        let mut done = BTreeSet::new();
        for name in self.by_name.keys() {
            let mut way = Vec::new();
            self.ring(name, &mut way, &mut done, diagnostics);
        }
    }

    fn ring(
        &self,
        name: &'w str,
        way: &mut Vec<&'w str>,
        done: &mut BTreeSet<&'w str>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        // A way that goes deeper is refused for its depth, wherever it begins.
        if done.contains(name) || way.len() > CALLS_MAX {
            return;
        }
        let Some(sub) = self.find(name) else { return };
        way.push(name);
        for (_, call) in sub.calls() {
            if let Some(from) = way.iter().position(|other| *other == call.value) {
                let ring: Vec<&str> = way.iter().skip(from).copied().chain([call.value.as_str()]).collect();
                let text = format!("`{}` calls itself", call.value);
                diagnostics.push(
                    Diagnostic::error(Code::F016, &sub.file, call.span, text)
                        .hint(format!("{}: leave one of these calls out", ring.join(" -> "))),
                );
            } else if let Some(next) = self.find(&call.value) {
                self.ring(next.name(), way, done, diagnostics);
            }
        }
        way.pop();
        done.insert(name);
    }
}

/// A flow, or one call of a sub-flow. A flow that is handed over to has no parent.
pub(super) struct Frame<'f> {
    pub(super) flow: &'f Flow,
    pub(super) file: Arc<str>,
    /// What stands before the names of its steps and variables: nothing, `call-step/` or `flow/`.
    pub(super) prefix: String,
    /// The index in the layout's flows of the one that it belongs to.
    pub(super) part: usize,
    /// The frame that calls it.
    pub(super) parent: Option<usize>,
    /// The program's index of each step, by name.
    pub(super) steps: BTreeMap<&'f str, usize>,
    /// The program's index of its first step.
    pub(super) first: usize,
    /// The frames that its steps call, by the index of the step in the flow.
    pub(super) calls: BTreeMap<usize, usize>,
}

impl Frame<'_> {
    pub(super) fn signature(&self) -> Option<&Signature> {
        self.flow.sub.as_ref()
    }
}

/// A flow with all that it calls.
#[derive(Default)]
pub(super) struct Layout<'f> {
    pub(super) frames: Vec<Frame<'f>>,
    /// The flow itself, and all that it comes to by handing over: name and frame.
    pub(super) flows: Vec<(&'f str, usize)>,
    /// The steps of the program: frame, and index in the frame's flow.
    pub(super) order: Vec<(usize, usize)>,
    /// Whether it has more steps than allowed.
    pub(super) full: bool,
}

impl<'f> Layout<'f> {
    /// The steps of a flow in the order of the file, those of a call right after the step that calls; then those of the flows
    /// that it hands over to.
    pub(super) fn of(written: &'f Written, subs: &Subs<'f>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut layout = Self::default();
        let mut due = VecDeque::from([written]);
        let mut seen = BTreeSet::from([written.name()]);
        while let Some(flow) = due.pop_front() {
            layout.flows.push((flow.name(), layout.frames.len()));
            let prefix = match layout.frames.first() {
                None => String::new(),
                Some(root) => {
                    named_alike(root, flow.name(), diagnostics);
                    format!("{}/", flow.name())
                }
            };
            let mut way = vec![flow.name()];
            layout.frame(flow, prefix, None, subs, &mut way, diagnostics);
            // A sub-flow hands over to nothing, which is reported where it tries to.
            let next = flow.hands_over().filter(|_| flow.flow.sub.is_none());
            let next = next.filter_map(|name| subs.flow(&name.value, written.draft()));
            due.extend(next.filter(|next| seen.insert(next.name())));
        }
        if layout.full {
            let text = format!(
                "a flow has at most {STEPS_MAX} steps, those of its calls and of flows after it included"
            );
            let fault = Diagnostic::error(Code::F002, &written.file, written.span(), text);
            diagnostics.push(fault.hint("divide it"));
        }
        layout
    }

    fn frame(
        &mut self,
        written: &'f Written,
        prefix: String,
        parent: Option<usize>,
        subs: &Subs<'f>,
        way: &mut Vec<&'f str>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> usize {
        let number = self.frames.len();
        let mut calls = written.calls().peekable();
        self.frames.push(Frame {
            flow: &written.flow,
            file: written.file.clone(),
            prefix,
            part: self.flows.len().saturating_sub(1),
            parent,
            steps: BTreeMap::new(),
            first: self.order.len(),
            calls: BTreeMap::new(),
        });
        for (index, step) in written.flow.steps.iter().enumerate() {
            if self.order.len() >= STEPS_MAX {
                self.full = true;
                break;
            }
            let at = self.order.len();
            self.order.push((number, index));
            let mut prefix = String::new();
            if let Some(frame) = self.frames.get_mut(number) {
                frame.steps.entry(step.name.value.as_str()).or_insert(at);
                prefix = format!("{}{}/", frame.prefix, step.name.value);
            }
            let Some((_, call)) = calls.next_if(|(step, _)| *step == index) else { continue };
            let Some(sub) = subs.find(&call.value) else { continue };
            // A ring is reported once, where the sub-flows are looked at.
            if way.contains(&sub.name()) || sub.flow.steps.is_empty() {
                continue;
            }
            if way.len() > CALLS_MAX {
                let text = format!("calls are nested at most {CALLS_MAX} deep");
                diagnostics.push(Diagnostic::error(Code::F002, &written.file, call.span, text));
                continue;
            }
            way.push(sub.name());
            let child = self.frame(sub, prefix, Some(number), subs, way, diagnostics);
            way.pop();
            if let Some(frame) = self.frames.get_mut(number) {
                frame.calls.insert(index, child);
            }
        }
        number
    }
}

/// The steps of a call and those of a flow that is handed over to must not bear the same names.
fn named_alike(root: &Frame<'_>, flow: &str, diagnostics: &mut Vec<Diagnostic>) {
    let calls = root.calls.keys().filter_map(|index| root.flow.steps.get(*index));
    for step in calls.filter(|step| step.name.value == flow) {
        let text = format!("the step `{flow}` calls, and there is a flow `{flow}` that is handed over to");
        let fault = Diagnostic::error(Code::F003, &root.file, step.name.span, text);
        diagnostics.push(fault.hint("give the step another name"));
    }
}
