//! What is known of variables on every way to a point: which are set, which hold the same, which the caller has
//! just confirmed, and which hold a price that is still good.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::dialplan::check::graph::ways::{shortest, unset_edges};
use crate::dialplan::check::graph::{Graph, Node, Pay, Place, Said, own};
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::syntax::span::Span;
use crate::dialplan::value::Type;

pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut entry: BTreeMap<usize, Facts> = BTreeMap::new();
    let mut due = VecDeque::new();
    for start in &graph.starts {
        entry.insert(*start, Facts { set: graph.start.clone(), ..Facts::default() });
        due.push_back(*start);
    }
    let mut queued: BTreeSet<usize> = due.iter().copied().collect();
    while let Some(step) = due.pop_front() {
        queued.remove(&step);
        let (Some(place), Some(facts)) = (graph.place(step), entry.get(&step)) else { continue };
        let mut walk = Walk { graph, place, arrivals: Vec::new(), report: None };
        walk.nodes(&place.nodes, facts.clone());
        for (to, facts) in walk.arrivals {
            let merged = entry.get(&to).map_or_else(|| facts.clone(), |old| old.meet(&facts));
            if entry.get(&to) != Some(&merged) {
                entry.insert(to, merged);
                if queued.insert(to) {
                    due.push_back(to);
                }
            }
        }
    }
    let mut report = Report { step: 0, unset: BTreeSet::new(), pays: BTreeSet::new(), diagnostics };
    for (step, facts) in entry {
        if let Some(place) = graph.place(step) {
            report.step = step;
            Walk { graph, place, arrivals: Vec::new(), report: Some(&mut report) }.nodes(&place.nodes, facts);
        }
    }
}

struct Report<'r> {
    step: usize,
    unset: BTreeSet<u16>,
    pays: BTreeSet<(usize, usize)>,
    diagnostics: &'r mut Vec<Diagnostic>,
}

/// A quoted value: the variable, what it is (`fee`), and what it was quoted for; nothing when that has changed.
type Quote = (Said, &'static str, Option<BTreeSet<Said>>);

/// What is known on every way to a point.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Facts {
    set: BTreeSet<u16>,
    /// What was heard in the question for a secret that was just answered, and has not changed since.
    confirmed: Option<BTreeSet<Said>>,
    quoted: BTreeSet<Quote>,
    /// What the action that is awaited quotes for; nothing when one of them has changed.
    quoting: Option<BTreeSet<Said>>,
    /// Pairs that hold the same value, both ways round.
    same: BTreeSet<(Said, Said)>,
}

impl Facts {
    /// Everything that holds the same as one of these, themselves included.
    fn alike(&self, these: &BTreeSet<Said>) -> BTreeSet<Said> {
        let mut out = these.clone();
        out.extend(self.same.iter().filter(|(one, _)| these.contains(one)).map(|(_, other)| *other));
        out
    }

    fn alike_one(&self, one: Said) -> BTreeSet<Said> {
        self.alike(&BTreeSet::from([one]))
    }

    /// What `of` is once a variable has changed: another that holds what it held takes its place.
    fn without(&self, of: &BTreeSet<Said>, variable: u16) -> Option<BTreeSet<Said>> {
        let stays = |one: &Said| one.0 != variable;
        of.iter().map(|one| self.alike_one(*one).into_iter().find(stays)).collect()
    }

    /// The variable's value is another one from here on.
    fn forget(&mut self, variable: u16) {
        if self.quoting.as_ref().is_some_and(|of| of.iter().any(|one| one.0 == variable)) {
            self.quoting = self.quoting.as_ref().and_then(|of| self.without(of, variable));
        }
        let quoted = std::mem::take(&mut self.quoted);
        for (of, name, price_of) in quoted {
            if of.0 != variable {
                let price_of = price_of.and_then(|price_of| self.without(&price_of, variable));
                self.quoted.insert((of, name, price_of));
            }
        }
        self.same.retain(|(one, other)| one.0 != variable && other.0 != variable);
        if let Some(confirmed) = &mut self.confirmed {
            confirmed.retain(|one| one.0 != variable);
        }
    }

    fn assign(&mut self, variable: u16, quoted: Option<&'static str>, copy: Option<Said>) {
        self.set.insert(variable);
        let one = (variable, None);
        if copy == Some(one) {
            return;
        }
        self.forget(variable);
        self.quoted.extend(quoted.map(|name| (one, name, self.quoting.clone())));
        // A field of what was just replaced is nothing that is known.
        let Some(source) = copy.filter(|source| source.0 != variable) else { return };
        let alike = self.alike_one(source);
        self.same.extend(alike.iter().flat_map(|other| [(one, *other), (*other, one)]));
        if let Some(confirmed) = &mut self.confirmed
            && alike.iter().any(|other| confirmed.contains(other))
        {
            confirmed.insert(one);
        }
        let prices = self.quoted.iter().filter(|(of, ..)| alike.contains(of));
        let prices: Vec<Quote> = prices.map(|(_, name, of)| (one, *name, of.clone())).collect();
        self.quoted.extend(prices);
    }

    fn meet(&self, other: &Self) -> Self {
        let confirmed = match (&self.confirmed, &other.confirmed) {
            (Some(a), Some(b)) => Some(a & b),
            _ => None,
        };
        let quoting = match (&self.quoting, &other.quoting) {
            (Some(a), Some(b)) => self.common(a, other, b),
            _ => None,
        };
        let mut quoted = BTreeSet::new();
        for (of, name, mine) in &self.quoted {
            if let Some((.., theirs)) = other.quoted.iter().find(|(o, n, _)| (o, n) == (of, name)) {
                let both = mine.as_ref().zip(theirs.as_ref());
                let common = both.and_then(|(mine, theirs)| self.common(mine, other, theirs));
                quoted.insert((*of, *name, common));
            }
        }
        Self { set: &self.set & &other.set, confirmed, quoted, quoting, same: &self.same & &other.same }
    }

    /// The same things under names that hold on both ways. A name is only ever replaced by a later one, so that
    /// going round comes to an end.
    fn common(&self, mine: &BTreeSet<Said>, other: &Self, theirs: &BTreeSet<Said>) -> Option<BTreeSet<Said>> {
        let there = other.alike(theirs);
        let name = |one: &Said| {
            let alike = self.alike_one(*one);
            if there.contains(one) {
                Some(*one)
            } else {
                alike.into_iter().find(|another| another > one && there.contains(another))
            }
        };
        let common: Option<BTreeSet<Said>> = mine.iter().map(name).collect();
        common.filter(|common| theirs.iter().all(|one| !other.alike_one(*one).is_disjoint(common)))
    }
}

/// Takes facts through the nodes of a step.
struct Walk<'w, 'r, 'd> {
    graph: &'w Graph<'w>,
    place: &'w Place,
    arrivals: Vec<(usize, Facts)>,
    report: Option<&'r mut Report<'d>>,
}

impl Walk<'_, '_, '_> {
    /// The facts at the end, unless every way jumps.
    fn nodes(&mut self, nodes: &[Node], mut facts: Facts) -> Option<Facts> {
        for node in nodes {
            match node {
                Node::Use { variable, span } => {
                    if !facts.set.contains(variable) {
                        self.unset(*variable, *span);
                    }
                }
                Node::Assign { variable, quoted, copy } => facts.assign(*variable, *quoted, *copy),
                Node::Known { variable } => {
                    facts.set.insert(*variable);
                }
                Node::Clear(variables) => variables.iter().for_each(|variable| {
                    facts.forget(*variable);
                    facts.set.remove(variable);
                }),
                Node::Quoting { of } => facts.quoting = Some(of.clone()),
                Node::Input { .. } | Node::Wait => {
                    facts.confirmed = None;
                    facts.set.retain(|variable| !self.is_secret(*variable));
                    let hangup = self.graph.hangup(self.place);
                    self.arrivals.extend(hangup.map(|hangup| (hangup, facts.clone())));
                }
                Node::Confirm { heard } => facts.confirmed = Some(facts.alike(heard)),
                Node::Pay(pay) => {
                    self.pay(pay, &facts);
                    // A confirmation is good for one payment.
                    facts.confirmed = None;
                }
                Node::Pending { .. } => {}
                Node::Jump { to, .. } => {
                    self.arrivals.push((*to, facts));
                    return None;
                }
                Node::End => return None,
                Node::Fork(ways) => {
                    let mut ends = Vec::new();
                    for way in ways {
                        ends.extend(self.nodes(way, facts.clone()));
                    }
                    facts = ends.into_iter().reduce(|a, b| a.meet(&b))?;
                }
            }
        }
        Some(facts)
    }

    fn is_secret(&self, variable: u16) -> bool {
        let found = self.graph.scope.found.get(usize::from(variable));
        found.is_some_and(|found| found.ty == Some(Type::Secret))
    }

    fn unset(&mut self, variable: u16, span: Span) {
        let secret = self.is_secret(variable);
        let (graph, place) = (self.graph, self.place);
        let Some(report) = &mut self.report else { return };
        if !report.unset.insert(variable) {
            return;
        }
        let name = own(graph.scope.name(variable));
        if secret {
            let fault = place.error(Code::F080, span, format!("`{name}` is not kept until here"));
            report.diagnostics.push(fault.hint(
                "a secret lives from its question to the action right after it: ask for it just before",
            ));
            return;
        }
        let hint = if graph.hangup(place) == Some(report.step) {
            format!("the caller may go before it is set: write `if not known {name} -> end` first")
        } else {
            format!("on the way {} nothing sets it", graph.way(&way_without(graph, variable, report.step)))
        };
        let fault = place.error(Code::F040, span, format!("`{name}` may not be set here"));
        report.diagnostics.push(fault.hint(hint));
    }

    /// A payment: everything that it takes and costs was heard in the question right before it.
    fn pay(&mut self, pay: &Pay, facts: &Facts) {
        let place = self.place;
        let Some(report) = &mut self.report else { return };
        if !report.pays.insert((report.step, pay.span.start)) {
            return;
        }
        let Some(heard) = &facts.confirmed else {
            let text = format!("`{}` moves money that the caller has not confirmed", pay.action);
            let hint = "ask for the secret right before it, with a message that says the same values";
            report.diagnostics.push(place.error(Code::F035, pay.span, text).hint(hint));
            return;
        };
        let paid: BTreeSet<Said> = pay.confirmed.iter().filter_map(|(_, said)| *said).collect();
        let paid = facts.alike(&paid);
        let (mut missing, mut stale) = (Vec::new(), Vec::new());
        for (name, said) in &pay.confirmed {
            if !said.is_some_and(|said| heard.contains(&said)) {
                missing.push(*name);
            }
        }
        for name in &pay.quoted {
            let prices = || facts.quoted.iter().filter(|(of, n, _)| n == name && heard.contains(of));
            if prices().next().is_none() {
                missing.push(*name);
            } else if !prices().any(|(.., of)| of.as_ref().is_some_and(|of| of.is_subset(&paid))) {
                stale.push(*name);
            }
        }
        if !missing.is_empty() {
            let text =
                format!("the caller does not hear the {} that `{}` takes", missing.join(" and "), pay.action);
            report.diagnostics.push(place.error(Code::F035, pay.span, text).hint(
                "the question for the secret must say the same variables in each wording, and they must not change after it",
            ));
        } else if !stale.is_empty() {
            let text = format!(
                "the {} was quoted for something else than `{}` takes",
                stale.join(" and "),
                pay.action
            );
            let hint = "ask for a quote again whenever one of its values has changed";
            report.diagnostics.push(place.error(Code::F035, pay.span, text).hint(hint));
        }
    }
}

/// The shortest way from the start to a step on which a variable is not set.
fn way_without(graph: &Graph<'_>, variable: u16, to: usize) -> Vec<usize> {
    let onward = |step: usize| {
        let nodes = graph.place(step).map(|place| place.nodes.as_slice()).unwrap_or_default();
        let mut out = BTreeSet::new();
        unset_edges(nodes, variable, &mut out);
        out.into_iter()
    };
    shortest(graph.starts.iter().copied(), |step| step == to, onward).unwrap_or_else(|| vec![to])
}
