//! Walks over steps and nodes that the questions about order and values share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::dialplan::check::graph::Node;
use crate::dialplan::syntax::span::Span;

/// A jump as it is found when walking.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) giving_up: bool,
    /// Whether a question was asked on the way.
    pub(super) asked: bool,
}

/// The jumps out of a step.
pub(super) fn edges(nodes: &[Node]) -> BTreeSet<Edge> {
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
pub(super) fn unset_edges(nodes: &[Node], variable: u16, out: &mut BTreeSet<usize>) -> bool {
    for node in nodes {
        match node {
            Node::Assign { variable: set, .. } | Node::Known { variable: set } if *set == variable => {
                return false;
            }
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

pub(super) fn ends(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::End))
}

pub(super) fn asks(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::Input { .. } | Node::Wait))
}

pub(super) fn has_menu(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::Input { menu: true }))
}

pub(super) fn pays(nodes: &[Node]) -> bool {
    any(nodes, &|node| matches!(node, Node::Pay(_)))
}

/// The blocks of outcomes after which nobody knows whether money moved.
pub(super) fn pending_blocks<'n>(nodes: &'n [Node], out: &mut Vec<(Span, &'n [Node])>) {
    for (index, node) in nodes.iter().enumerate() {
        match node {
            Node::Pending { span } => out.push((*span, nodes.get(index..).unwrap_or_default())),
            Node::Fork(ways) => ways.iter().for_each(|way| pending_blocks(way, out)),
            _ => {}
        }
    }
}

/// All that can be come to, the beginnings included.
pub(super) fn reach<I: Iterator<Item = usize>>(
    from: impl IntoIterator<Item = usize>,
    onward: impl Fn(usize) -> I,
) -> BTreeSet<usize> {
    let mut due: Vec<usize> = from.into_iter().collect();
    let mut seen: BTreeSet<usize> = due.iter().copied().collect();
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
pub(super) fn shortest<I: Iterator<Item = usize>>(
    from: impl IntoIterator<Item = usize>,
    to: impl Fn(usize) -> bool,
    onward: impl Fn(usize) -> I,
) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut due: VecDeque<usize> = from.into_iter().collect();
    let mut seen: BTreeSet<usize> = due.iter().copied().collect();
    while let Some(step) = due.pop_front() {
        if to(step) {
            let mut way = vec![step];
            let mut at = step;
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

/// The groups of steps that lead to each other, each in ascending order; a step alone counts if it leads to
/// itself (Tarjan 1972, without recursion: a flow may be one long chain).
pub(super) fn rings(count: usize, onward: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut number = vec![UNSEEN; count];
    let mut low = vec![UNSEEN; count];
    let mut waiting = vec![false; count];
    let (mut stack, mut next, mut out) = (Vec::new(), 0, Vec::new());
    let ways = |step: usize| onward.get(step).map(Vec::as_slice).unwrap_or_default();
    let get = |of: &[usize], step: usize| of.get(step).copied().unwrap_or(UNSEEN);
    for root in 0..count {
        if get(&number, root) != UNSEEN {
            continue;
        }
        let mut due = vec![(root, 0_usize)];
        while let Some((step, at)) = due.pop() {
            if at == 0 {
                set(&mut number, step, next);
                set(&mut low, step, next);
                next += 1;
                stack.push(step);
                set(&mut waiting, step, true);
            } else if let Some(last) = ways(step).get(at - 1) {
                let lowest = get(&low, step).min(get(&low, *last));
                if waiting.get(*last) == Some(&true) {
                    set(&mut low, step, lowest);
                }
            }
            if let Some(to) = ways(step).get(at).copied() {
                due.push((step, at + 1));
                if get(&number, to) == UNSEEN && to < count {
                    due.push((to, 0));
                }
            } else if get(&low, step) == get(&number, step) {
                let from = stack.iter().rposition(|other| *other == step).unwrap_or_default();
                let mut ring = stack.split_off(from);
                ring.iter().for_each(|step| set(&mut waiting, *step, false));
                if ring.len() > 1 || ways(step).contains(&step) {
                    ring.sort_unstable();
                    out.push(ring);
                }
            }
        }
    }
    out.sort_unstable();
    out
}

fn set<T>(of: &mut [T], index: usize, value: T) {
    if let Some(slot) = of.get_mut(index) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_found_without_recursion() {
        assert_eq!(rings(5, &[vec![1], vec![2], vec![0, 3], vec![4], vec![4]]), [vec![0, 1, 2], vec![4]]);
        assert_eq!(rings(3, &[vec![1, 2], vec![2], vec![]]), Vec::<Vec<usize>>::new());
        assert_eq!(rings(4, &[vec![1], vec![0, 2], vec![3], vec![2]]), [vec![0, 1], vec![2, 3]]);
        let long: Vec<Vec<usize>> = (1..=50_000).map(|next| vec![next % 50_000]).collect();
        assert_eq!(rings(50_000, &long).len(), 1);
    }

    #[test]
    fn the_shortest_way_has_both_ends() {
        let onward = [vec![1, 2], vec![3], vec![3], vec![]];
        let way = shortest([0], |step| step == 3, |step| onward[step].iter().copied());
        assert_eq!(way, Some(vec![0, 1, 3]));
        assert_eq!(shortest([3], |step| step == 0, |step| onward[step].iter().copied()), None);
    }
}
