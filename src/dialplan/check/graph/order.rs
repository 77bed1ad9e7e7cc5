//! The order of steps: what can be reached, what ends, what goes round, and that an unknown payment never leads
//! to another.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::check::graph::Graph;
use crate::dialplan::check::graph::ways::{
    Edge, asks, edges, ends, has_menu, pays, pending_blocks, reach, rings, shortest,
};
use crate::dialplan::diagnostic::{Code, Diagnostic};

pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let incomplete = graph.incomplete || graph.places.iter().any(|place| place.broken);
    let edges = graph.places.iter().map(|place| edges(&place.nodes)).collect();
    let order = Order { graph, edges };
    let starts = graph.starts.iter().chain(graph.hangups.iter().flatten()).copied();
    let reached = reach(starts, |step| order.onward(step));
    if !incomplete {
        order.unreachable(&reached, diagnostics);
        let looping = order.silent_loops(&reached, diagnostics);
        order.endless(&reached, looping, diagnostics);
    }
    order.giving_up(diagnostics);
    order.pending(diagnostics);
}

struct Order<'o> {
    graph: &'o Graph<'o>,
    edges: Vec<BTreeSet<Edge>>,
}

impl Order<'_> {
    fn onward(&self, step: usize) -> impl Iterator<Item = usize> {
        self.edges.get(step).into_iter().flatten().map(|edge| edge.to)
    }

    /// A step that only an unreachable one leads to is not told of: the way to the first brings it back. Of a ring that nothing
    /// leads to, its first step is told.
    fn unreachable(&self, reached: &BTreeSet<usize>, diagnostics: &mut Vec<Diagnostic>) {
        let lost: Vec<usize> = (0..self.graph.places.len()).filter(|step| !reached.contains(step)).collect();
        let led_to: BTreeSet<usize> =
            lost.iter().flat_map(|step| self.onward(*step).filter(move |to| to != step)).collect();
        let (heads, rest): (Vec<usize>, Vec<usize>) =
            lost.into_iter().partition(|step| !led_to.contains(step));
        let mut covered = BTreeSet::new();
        for step in heads.into_iter().chain(rest) {
            if covered.contains(&step) {
                continue;
            }
            covered.extend(reach(std::iter::once(step), |step| self.onward(step)));
            let Some(place) = self.graph.place(step) else { continue };
            let name = place.own_name();
            diagnostics.push(
                place
                    .error(Code::F030, place.name.span, format!("no way leads to `{name}`"))
                    .hint(format!("go there with `-> {name}`, or remove it")),
            );
        }
    }

    /// Loops in which nothing is asked: they would never end. Returns whether there are any.
    fn silent_loops(&self, reached: &BTreeSet<usize>, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let silent = |step: usize| {
            let edges = self.edges.get(step).into_iter().flatten();
            edges.filter(|edge| !edge.asked && !edge.giving_up).map(|edge| edge.to).collect::<Vec<_>>()
        };
        let onward: Vec<Vec<usize>> = (0..self.graph.places.len()).map(silent).collect();
        let mut found = false;
        for ring in rings(onward.len(), &onward) {
            let Some(step) = ring.first().copied().filter(|step| reached.contains(step)) else { continue };
            let ways = |step: usize| onward.get(step).into_iter().flatten().copied();
            let within = |step: usize| ways(step).filter(|to| ring.binary_search(to).is_ok());
            let way = shortest(within(step), |to| to == step, within).unwrap_or_default();
            let way: Vec<usize> = std::iter::once(step).chain(way).collect();
            let Some(place) = self.graph.place(step) else { continue };
            diagnostics.push(
                place
                    .error(Code::F033, place.name.span, "this loop never asks anything")
                    .here("the loop begins here")
                    .hint(format!("{}: ask something on the way, or end", self.graph.way(&way))),
            );
            found = true;
        }
        found
    }

    fn endless(&self, reached: &BTreeSet<usize>, looping: bool, diagnostics: &mut Vec<Diagnostic>) {
        let mut backwards: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, edges) in self.edges.iter().enumerate() {
            for edge in edges.iter().filter(|edge| !edge.giving_up) {
                backwards.entry(edge.to).or_default().push(from);
            }
        }
        let places = || self.graph.places.iter().enumerate();
        let last = places().filter(|(_, place)| ends(&place.nodes)).map(|(index, _)| index);
        let ending = reach(last, |step| backwards.get(&step).into_iter().flatten().copied());
        // One step of a part without an end stands for all of it; a loop without a question was reported.
        let stuck = places().find(|(step, _)| !ending.contains(step) && reached.contains(step));
        if let Some((_, place)) = stuck.filter(|_| !looping) {
            let text = format!("from `{}` the conversation can only end by giving up", place.own_name());
            let fault = place.error(Code::F032, place.name.span, text);
            diagnostics.push(fault.hint("lead some way to `-> end`"));
        }
    }

    fn giving_up(&self, diagnostics: &mut Vec<Diagnostic>) {
        let mut reported = BTreeSet::new();
        for (step, file, span) in &self.graph.give_up {
            // What a sub-flow gives back to its caller may ask: it is entered again as often as `visits` lets it.
            let within = self.graph.name(*step).rsplit_once('/').map_or("", |(calls, _)| calls);
            let own = |step: &usize| self.graph.name(*step).starts_with(within);
            let after = reach([*step], |step| self.onward(step).filter(own));
            let asking = |step: &&usize| self.graph.place(**step).is_some_and(|place| asks(&place.nodes));
            let Some(asking) = after.iter().find(asking) else { continue };
            if !reported.insert(*step) {
                continue;
            }
            let name = |step: usize| self.graph.place(step).map_or("", |place| place.own_name());
            let text = format!("`{}` is where a caller is given up, and it asks or acts again", name(*step));
            let hint = "only `tell` and `-> end` belong there".to_owned();
            let hint = if asking == step {
                hint
            } else {
                format!("it leads to `{}`, which asks; {hint}", name(*asking))
            };
            diagnostics.push(Diagnostic::error(Code::F036, file, *span, text).hint(hint));
        }
    }

    /// Ways from an unknown payment to another, also by the key that leads to the start.
    fn pending(&self, diagnostics: &mut Vec<Diagnostic>) {
        let graph = self.graph;
        let onward = |step: usize| {
            let main = graph.main_key && graph.place(step).is_some_and(|place| has_menu(&place.nodes));
            self.onward(step).chain(main.then_some(0))
        };
        let mut backwards: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for from in 0..graph.places.len() {
            for to in onward(from) {
                backwards.entry(to).or_default().push(from);
            }
        }
        let paying = |step: usize| graph.place(step).is_some_and(|place| pays(&place.nodes));
        let money = (0..graph.places.len()).filter(|step| paying(*step));
        let leading = reach(money, |step| backwards.get(&step).into_iter().flatten().copied());
        for place in &graph.places {
            let mut blocks = Vec::new();
            pending_blocks(&place.nodes, &mut blocks);
            for (span, block) in blocks {
                let starts: Vec<usize> = edges(block).iter().map(|edge| edge.to).collect();
                if !starts.iter().any(|start| leading.contains(start)) {
                    continue;
                }
                let way = shortest(starts, paying, onward).unwrap_or_default();
                let again = way.last().map_or("", |step| graph.name(*step));
                let text = "the payment may have been made, and this way leads to paying again";
                let hint = if way.len() > 1 {
                    format!("it comes to `{again}` by {}: ", graph.way(&way))
                } else {
                    format!("it comes to `{again}`: ")
                };
                let fault = place.error(Code::F034, span, text);
                diagnostics.push(fault.hint(hint + "tell the caller that it is being processed, and end"));
            }
        }
    }
}
