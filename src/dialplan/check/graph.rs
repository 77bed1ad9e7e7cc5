//! What can happen in which order: reachability, loops, variables that may be unset, and the safety of money.
//!
//! Each step is a list of nodes, made while its lines were resolved; the steps of a sub-flow stand in the graph
//! once for each call. Every question here is answered by walking them, in time that grows with the graph, and
//! nothing here depends on what steps or variables are called.

mod order;
mod values;
mod ways;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dialplan::check::scope::Scope;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::expression::Expression;
use crate::dialplan::syntax::span::{Name, Span};

/// A variable, or a field (by its index) of the record in it: what a question says and a payment takes.
pub(super) type Said = (u16, Option<u16>);

/// What an expression stands for, if it is no more than a variable or a field of one.
pub(super) fn said(expression: &Expression) -> Option<Said> {
    match expression {
        Expression::Variable(variable) => Some((*variable, None)),
        Expression::Field(record, index) => match record.as_ref() {
            Expression::Variable(variable) => Some((*variable, Some(*index))),
            _ => None,
        },
        _ => None,
    }
}

/// Something that happens in a step.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A variable is read.
    Use { variable: u16, span: Span },
    /// A variable is set; `quoted` when it holds a value that belongs to a confirmation, such as a fee; `copy` of another
    /// variable, of which everything known stays true.
    Assign { variable: u16, quoted: Option<&'static str>, copy: Option<Said> },
    /// An action quotes a price for these: what its outcomes quote is only good while they stay as they are.
    Quoting { of: BTreeSet<Said> },
    /// A sub-flow is called: its variables are unset.
    Clear(Vec<u16>),
    /// On this way the variable is known to be set.
    Known { variable: u16 },
    /// The caller is asked.
    Input { menu: bool },
    /// An action is awaited.
    Wait,
    /// The caller gave a secret after hearing these variables.
    Confirm { heard: BTreeSet<Said> },
    /// Money moves.
    Pay(Pay),
    /// The money may have moved, and nobody knows.
    Pending { span: Span },
    /// To a step.
    Jump { to: usize, giving_up: bool },
    /// The conversation ends, or holds the line.
    End,
    /// One of these; what does not jump goes on after it.
    Fork(Vec<Vec<Self>>),
}

/// A money action.
#[derive(Clone, Debug)]
pub(super) struct Pay {
    pub(super) action: &'static str,
    /// What must have been heard: the parameter's name and the variable that is given, if it is one.
    pub(super) confirmed: Vec<(&'static str, Option<Said>)>,
    /// Names of quoted values that must have been heard too.
    pub(super) quoted: Vec<&'static str>,
    pub(super) span: Span,
}

/// A step with its nodes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The file that its lines stand in: that of a sub-flow, if it is called.
    pub(super) file: Arc<str>,
    pub(super) name: Name,
    pub(super) nodes: Vec<Node>,
    /// Whether a line of it was not understood: its ways out are not all known.
    pub(super) broken: bool,
    /// The flow that it belongs to, of all that are handed over to.
    pub(super) part: usize,
}

/// The graph of a flow.
pub(super) struct Graph<'g> {
    pub(super) places: Vec<Place>,
    pub(super) scope: &'g Scope,
    /// Variables that a session starts with.
    pub(super) start: BTreeSet<u16>,
    /// Where a session can begin: the first step, and the one for when it is closed.
    pub(super) starts: Vec<usize>,
    pub(super) main_key: bool,
    /// Steps for giving up, and where they are named so.
    pub(super) give_up: Vec<(usize, Arc<str>, Span)>,
    /// The places of the lines of `on hangup`, by flow.
    pub(super) hangups: Vec<Option<usize>>,
    /// Whether jumps are missing because their targets do not exist.
    pub(super) incomplete: bool,
}

impl Graph<'_> {
    pub(super) fn check(&self, diagnostics: &mut Vec<Diagnostic>) {
        order::check(self, diagnostics);
        values::check(self, diagnostics);
    }

    /// What happens when the caller goes in a step.
    fn hangup(&self, place: &Place) -> Option<usize> {
        self.hangups.get(place.part).copied().flatten()
    }

    fn place(&self, step: usize) -> Option<&Place> {
        self.places.get(step)
    }

    fn name(&self, step: usize) -> &str {
        self.place(step).map_or("", |place| place.name.value.as_str())
    }

    /// The steps of a way, as reports show it; a long way is shortened in its middle.
    fn way(&self, steps: &[usize]) -> String {
        /// Steps at each end of a way that is shortened.
        const ENDS: usize = 4;
        let names =
            |steps: &[usize]| steps.iter().map(|step| self.name(*step)).collect::<Vec<_>>().join(" -> ");
        match (steps.get(..ENDS), steps.len().checked_sub(ENDS).and_then(|from| steps.get(from..))) {
            (Some(first), Some(last)) if steps.len() > 2 * ENDS => {
                format!("{} -> … -> {}", names(first), names(last))
            }
            _ => names(steps),
        }
    }
}

impl Place {
    fn error(&self, code: Code, span: Span, text: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, &self.file, span, text)
    }

    /// The name as it stands in the file: that of a step of a sub-flow begins with the calls that lead to it.
    fn own_name(&self) -> &str {
        own(&self.name.value)
    }
}

/// `amount` of `pay/ask/amount`.
fn own(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
