//! What can happen in which order: reachability, loops, variables that may be unset, and the safety of money.
//!
//! Each step is a list of nodes, made while its lines were resolved. Every question here is answered by
//! walking them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::dialplan::check::scope::Scope;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::syntax::span::{Name, Span};
use crate::dialplan::value::Type;

/// Something that happens in a step.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A variable is read.
    Use { variable: u16, span: Span },
    /// A variable is set; `quoted` when it holds a value that belongs to a confirmation, such as a fee.
    Assign { variable: u16, quoted: Option<&'static str> },
    /// The caller is asked.
    Input { menu: bool },
    /// An action is awaited.
    Wait,
    /// The caller gave a secret after hearing these variables.
    Confirm { heard: BTreeSet<u16> },
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
    pub(super) confirmed: Vec<(&'static str, Option<u16>)>,
    /// Names of quoted values that must have been heard too.
    pub(super) quoted: Vec<&'static str>,
    pub(super) span: Span,
}

/// A step with its nodes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: Name,
    pub(super) nodes: Vec<Node>,
    /// Whether a line of it was not understood: its ways out are not all known.
    pub(super) broken: bool,
}

/// The graph of a flow.
pub(super) struct Graph<'g> {
    pub(super) file: &'g str,
    pub(super) places: Vec<Place>,
    pub(super) scope: &'g Scope,
    /// Variables that a session starts with.
    pub(super) start: BTreeSet<u16>,
    pub(super) main_key: bool,
    pub(super) give_up: Vec<(usize, Span)>,
    /// Whether jumps are missing because their targets do not exist.
    pub(super) incomplete: bool,
}

/// A jump as it is found when walking.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Edge {
    to: usize,
    giving_up: bool,
    /// Whether a question was asked on the way.
    asked: bool,
}

impl Graph<'_> {
    pub(super) fn check(&self, diagnostics: &mut Vec<Diagnostic>) {
        let incomplete = self.incomplete || self.places.iter().any(|place| place.broken);
        let edges: Vec<BTreeSet<Edge>> = self.places.iter().map(|place| edges(&place.nodes)).collect();
        let reached = reach(0, |step| edges.get(step).into_iter().flatten().map(|edge| edge.to));
        if !incomplete {
            self.unreachable(&reached, diagnostics);
            let looping = self.silent_loops(&edges, diagnostics);
            self.endless(&edges, &reached, &looping, diagnostics);
        }
        self.giving_up(&edges, diagnostics);
        self.pending(&edges, diagnostics);
        self.flow_of_values(diagnostics);
    }

    fn error(&self, code: Code, span: Span, text: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.file, span, text)
    }

    fn name(&self, step: usize) -> &str {
        self.places.get(step).map_or("", |place| place.name.value.as_str())
    }

    fn unreachable(&self, reached: &BTreeSet<usize>, diagnostics: &mut Vec<Diagnostic>) {
        for (index, place) in self.places.iter().enumerate() {
            if !reached.contains(&index) {
                let text = format!("no way leads to `{}`", place.name.value);
                diagnostics.push(
                    self.error(Code::F030, place.name.span, text)
                        .hint(format!("go there with `-> {}`, or remove it", place.name.value)),
                );
            }
        }
    }

    /// Loops in which nothing is asked: they would never end. Returns the steps in them.
    fn silent_loops(&self, edges: &[BTreeSet<Edge>], diagnostics: &mut Vec<Diagnostic>) -> BTreeSet<usize> {
        let silent = |step: usize| {
            edges
                .get(step)
                .into_iter()
                .flatten()
                .filter(|edge| !edge.asked && !edge.giving_up)
                .map(|edge| edge.to)
        };
        let mut looping = BTreeSet::new();
        for step in 0..self.places.len() {
            if looping.contains(&step) {
                continue;
            }
            let Some(way) = silent(step).find_map(|next| shortest(next, step, silent)) else { continue };
            let names: Vec<&str> =
                std::iter::once(step).chain(way.iter().copied()).map(|s| self.name(s)).collect();
            let span = self.places.get(step).map_or(Span::new(0, 0), |place| place.name.span);
            diagnostics.push(
                self.error(Code::F033, span, "this loop never asks anything")
                    .here("the loop begins here")
                    .hint(format!("{}: ask something on the way, or end", names.join(" -> "))),
            );
            looping.insert(step);
            looping.extend(way);
        }
        looping
    }

    fn endless(
        &self,
        edges: &[BTreeSet<Edge>],
        reached: &BTreeSet<usize>,
        looping: &BTreeSet<usize>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut backwards: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, edges) in edges.iter().enumerate() {
            for edge in edges.iter().filter(|edge| !edge.giving_up) {
                backwards.entry(edge.to).or_default().push(from);
            }
        }
        let mut ending = BTreeSet::new();
        for (index, place) in self.places.iter().enumerate() {
            if ends(&place.nodes) {
                ending.extend(reach(index, |step| backwards.get(&step).into_iter().flatten().copied()));
            }
        }
        let stuck =
            |step: &usize| !ending.contains(step) && reached.contains(step) && !looping.contains(step);
        if let Some(step) = (0..self.places.len()).find(stuck)
            && let Some(place) = self.places.get(step)
            && looping.is_empty()
        {
            let text = format!("from `{}` the conversation can only end by giving up", place.name.value);
            diagnostics.push(self.error(Code::F032, place.name.span, text).hint("lead some way to `-> end`"));
        }
    }

    fn giving_up(&self, edges: &[BTreeSet<Edge>], diagnostics: &mut Vec<Diagnostic>) {
        let mut reported = BTreeSet::new();
        for (step, span) in &self.give_up {
            let after = reach(*step, |step| edges.get(step).into_iter().flatten().map(|edge| edge.to));
            let asks =
                after.iter().find(|step| self.places.get(**step).is_some_and(|place| asks(&place.nodes)));
            if let Some(asks) = asks
                && reported.insert(*step)
            {
                let text = format!(
                    "`{}` is where a caller is given up, and it asks or acts again",
                    self.name(*step)
                );
                let mut fault =
                    self.error(Code::F036, *span, text).hint("only `tell` and `-> end` belong there");
                if asks != step {
                    fault = fault.hint(format!(
                        "it leads to `{}`, which asks; only `tell` and `-> end` belong there",
                        self.name(*asks)
                    ));
                }
                diagnostics.push(fault);
            }
        }
    }

    /// Ways from an unknown payment to another.
    fn pending(&self, edges: &[BTreeSet<Edge>], diagnostics: &mut Vec<Diagnostic>) {
        for place in &self.places {
            let mut blocks = Vec::new();
            pending_blocks(&place.nodes, &mut blocks);
            for (span, block) in blocks {
                let starts: Vec<usize> = self::edges(block).iter().map(|edge| edge.to).collect();
                let onward = |step: usize| {
                    let main = self.main_key && self.places.get(step).is_some_and(|p| has_menu(&p.nodes));
                    let ways = edges.get(step).into_iter().flatten().map(|edge| edge.to);
                    ways.chain(main.then_some(0))
                };
                let pays = |step: &usize| self.places.get(*step).is_some_and(|place| pays(&place.nodes));
                let found =
                    starts.iter().find_map(|start| reach(*start, onward).into_iter().find(|s| pays(s)));
                if let Some(again) = found {
                    let text = "the payment may have been made, and this way leads to paying again";
                    let hint = format!(
                        "it comes to `{}`: tell the caller that it is being processed, and end",
                        self.name(again)
                    );
                    diagnostics.push(self.error(Code::F034, span, text).hint(hint));
                }
            }
        }
    }

    // ---- values

    fn flow_of_values(&self, diagnostics: &mut Vec<Diagnostic>) {
        let mut entry: BTreeMap<usize, Facts> = BTreeMap::new();
        let start = Facts { set: self.start.clone(), ..Facts::default() };
        entry.insert(0, start);
        let mut due = VecDeque::from([0]);
        while let Some(step) = due.pop_front() {
            let (Some(place), Some(facts)) = (self.places.get(step), entry.get(&step)) else { continue };
            let mut arrivals = Vec::new();
            self.walk(&place.nodes, facts.clone(), &mut arrivals, &mut None);
            for (to, facts) in arrivals {
                let merged = entry.get(&to).map_or_else(|| facts.clone(), |old| old.meet(&facts));
                if entry.get(&to) != Some(&merged) {
                    entry.insert(to, merged);
                    due.push_back(to);
                }
            }
        }
        let mut report = Report::default();
        for (step, facts) in entry {
            if let Some(place) = self.places.get(step) {
                report.step = step;
                self.walk(&place.nodes, facts, &mut Vec::new(), &mut Some((&mut report, &mut *diagnostics)));
            }
        }
    }

    /// Takes facts through nodes; returns those at the end, unless every way jumps.
    fn walk(
        &self,
        nodes: &[Node],
        mut facts: Facts,
        arrivals: &mut Vec<(usize, Facts)>,
        report: &mut Option<(&mut Report, &mut Vec<Diagnostic>)>,
    ) -> Option<Facts> {
        for node in nodes {
            match node {
                Node::Use { variable, span } => {
                    if !facts.set.contains(variable)
                        && let Some((report, diagnostics)) = report
                    {
                        self.unset(*variable, *span, report, diagnostics);
                    }
                }
                Node::Assign { variable, quoted } => facts.assign(*variable, *quoted),
                Node::Input { .. } | Node::Wait => {
                    facts.confirmed = None;
                    facts.set.retain(|variable| !self.is_secret(*variable));
                }
                Node::Confirm { heard } => facts.confirmed = Some(heard.clone()),
                Node::Pay(pay) => {
                    if let Some((report, diagnostics)) = report {
                        self.confirmed(pay, &facts, report, diagnostics);
                    }
                }
                Node::Pending { .. } => {}
                Node::Jump { to, .. } => {
                    arrivals.push((*to, facts));
                    return None;
                }
                Node::End => return None,
                Node::Fork(ways) => {
                    let ends = ways.iter().filter_map(|way| self.walk(way, facts.clone(), arrivals, report));
                    facts = ends.reduce(|a, b| a.meet(&b))?;
                }
            }
        }
        Some(facts)
    }

    fn is_secret(&self, variable: u16) -> bool {
        self.scope.found.get(usize::from(variable)).is_some_and(|found| found.ty == Some(Type::Secret))
    }

    fn unset(&self, variable: u16, span: Span, report: &mut Report, diagnostics: &mut Vec<Diagnostic>) {
        if !report.unset.insert(variable) {
            return;
        }
        let name = self.scope.name(variable);
        if self.is_secret(variable) {
            diagnostics.push(self.error(Code::F080, span, format!("`{name}` is not kept until here")).hint(
                "a secret lives from its question to the action right after it: ask for it just before",
            ));
            return;
        }
        let way = self.way_without(variable, report.step);
        let names: Vec<&str> = way.iter().map(|step| self.name(*step)).collect();
        diagnostics.push(
            self.error(Code::F040, span, format!("`{name}` may not be set here"))
                .hint(format!("on the way {} nothing sets it", names.join(" -> "))),
        );
    }

    /// The shortest way from the start to a step on which a variable is not set.
    fn way_without(&self, variable: u16, to: usize) -> Vec<usize> {
        let onward = |step: usize| {
            let nodes = self.places.get(step).map(|place| place.nodes.as_slice()).unwrap_or_default();
            let mut out = BTreeSet::new();
            unset_edges(nodes, variable, &mut out);
            out.into_iter()
        };
        shortest(0, to, onward).unwrap_or_else(|| vec![to])
    }

    fn confirmed(&self, pay: &Pay, facts: &Facts, report: &mut Report, diagnostics: &mut Vec<Diagnostic>) {
        if !report.pays.insert(pay.span.start) {
            return;
        }
        let Some(heard) = &facts.confirmed else {
            let text = format!("`{}` moves money that the caller has not confirmed", pay.action);
            diagnostics.push(
                self.error(Code::F035, pay.span, text)
                    .hint("ask for the secret right before it, with a message that says the same values"),
            );
            return;
        };
        let mut missing = Vec::new();
        for (name, variable) in &pay.confirmed {
            if !variable.is_some_and(|variable| heard.contains(&variable)) {
                missing.push((*name).to_owned());
            }
        }
        for name in &pay.quoted {
            let holds = |variable: &u16| facts.quoted.contains(&(*variable, *name));
            if !heard.iter().any(holds) {
                missing.push((*name).to_owned());
            }
        }
        if !missing.is_empty() {
            let text =
                format!("the caller does not hear the {} that `{}` takes", missing.join(" and "), pay.action);
            diagnostics.push(self.error(Code::F035, pay.span, text).hint(
                "the question for the secret must say the same variables, and they must not change after it",
            ));
        }
    }
}

#[derive(Default)]
struct Report {
    step: usize,
    unset: BTreeSet<u16>,
    pays: BTreeSet<usize>,
}

/// What is known on every way to a point.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Facts {
    set: BTreeSet<u16>,
    /// The variables heard in the question for a secret that was just answered.
    confirmed: Option<BTreeSet<u16>>,
    /// Variables that hold a quoted value, with its name.
    quoted: BTreeSet<(u16, &'static str)>,
}

impl Facts {
    fn assign(&mut self, variable: u16, quoted: Option<&'static str>) {
        self.set.insert(variable);
        self.quoted.retain(|(other, _)| *other != variable);
        self.quoted.extend(quoted.map(|name| (variable, name)));
        if let Some(confirmed) = &mut self.confirmed {
            confirmed.remove(&variable);
        }
    }

    fn meet(&self, other: &Self) -> Self {
        let confirmed = match (&self.confirmed, &other.confirmed) {
            (Some(a), Some(b)) => Some(a & b),
            _ => None,
        };
        Self { set: &self.set & &other.set, confirmed, quoted: &self.quoted & &other.quoted }
    }
}

fn edges(nodes: &[Node]) -> BTreeSet<Edge> {
    /// Whether the end is reached, and whether asked by then.
    fn gather(nodes: &[Node], mut asked: bool, out: &mut BTreeSet<Edge>) -> Option<bool> {
        for node in nodes {
            match node {
                Node::Input { .. } => asked = true,
                Node::Jump { to, giving_up } => {
                    out.insert(Edge { to: *to, giving_up: *giving_up, asked });
                    return None;
                }
                Node::End => return None,
                Node::Fork(ways) => {
                    let ends: Vec<bool> = ways.iter().filter_map(|way| gather(way, asked, out)).collect();
                    if ends.is_empty() {
                        return None;
                    }
                    asked = ends.iter().all(|asked| *asked);
                }
                _ => {}
            }
        }
        Some(asked)
    }
    let mut out = BTreeSet::new();
    gather(nodes, false, &mut out);
    out
}

/// Jumps that are reached while a variable is unset, if it was unset at the start; false when no way falls
/// through.
fn unset_edges(nodes: &[Node], variable: u16, out: &mut BTreeSet<usize>) -> bool {
    for node in nodes {
        match node {
            Node::Assign { variable: set, .. } if *set == variable => return false,
            Node::Jump { to, .. } => {
                out.insert(*to);
                return false;
            }
            Node::End => return false,
            Node::Fork(ways) => {
                let mut open = false;
                for way in ways {
                    open |= unset_edges(way, variable, out);
                }
                if !open {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

fn any(nodes: &[Node], test: &impl Fn(&Node) -> bool) -> bool {
    nodes.iter().any(|node| match node {
        Node::Fork(ways) => ways.iter().any(|way| any(way, test)),
        node => test(node),
    })
}

fn ends(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::End))
}

fn asks(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::Input { .. } | Node::Wait))
}

fn has_menu(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::Input { menu: true }))
}

fn pays(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::Pay(_)))
}

/// The blocks of outcomes after which nobody knows whether money moved.
fn pending_blocks<'n>(nodes: &'n [Node], out: &mut Vec<(Span, &'n [Node])>) {
    for node in nodes {
        if let Node::Fork(ways) = node {
            for way in ways {
                if let Some(Node::Pending { span }) = way.first() {
                    out.push((*span, way));
                }
                pending_blocks(way, out);
            }
        }
    }
}

fn reach<I: Iterator<Item = usize>>(from: usize, onward: impl Fn(usize) -> I) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([from]);
    let mut due = vec![from];
    while let Some(step) = due.pop() {
        for next in onward(step) {
            if seen.insert(next) {
                due.push(next);
            }
        }
    }
    seen
}

/// The steps of the shortest way, both ends included.
fn shortest<I: Iterator<Item = usize>>(
    from: usize,
    to: usize,
    onward: impl Fn(usize) -> I,
) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut seen = BTreeSet::from([from]);
    let mut due = VecDeque::from([from]);
    while let Some(step) = due.pop_front() {
        if step == to {
            let mut way = vec![to];
            let mut at = to;
            while let Some(previous) = before.get(&at) {
                way.push(*previous);
                at = *previous;
            }
            way.reverse();
            return Some(way);
        }
        for next in onward(step) {
            if seen.insert(next) {
                before.insert(next, step);
                due.push_back(next);
            }
        }
    }
    None
}
