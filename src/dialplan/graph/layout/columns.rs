//! Which column each item stands in.

use std::collections::VecDeque;

/// A way between two items of one level, perhaps from several exits at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Heights in `from` at which it leaves.
    pub(super) leave: Vec<f64>,
    /// Height in `to` at which it comes in.
    pub(super) enter: f64,
    pub(super) pending: bool,
    /// Whether an arrow stands at its end.
    pub(super) arrow: bool,
}

impl Link {
    /// A way without heights, to ask for columns only.
    pub(super) const fn plain(from: usize, to: usize) -> Self {
        Self { from, to, leave: Vec::new(), enter: 0.0, pending: false, arrow: true }
    }
}

/// The column of every item, and which links lead back.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    ranks: Vec<usize>,
    back: Vec<bool>,
    first_seen: Vec<usize>,
}

impl Columns {
    /// Columns by the longest way from the roots, without the links that close a circle when the items are walked
    /// in the order of `roots` and of the links.
    pub(super) fn of(items: usize, roots: &[usize], links: &[Link]) -> Self {
        let mut outgoing: Vec<Vec<usize>> = vec![Vec::new(); items];
        for (index, link) in links.iter().enumerate() {
            if let Some(list) = outgoing.get_mut(link.from) {
                list.push(index);
            }
        }
        let mut out =
            Self { ranks: vec![0; items], back: vec![false; links.len()], first_seen: vec![items; items] };
        out.walk(roots, links, &outgoing);
        out.longest(links, &outgoing);
        out.draw_near(links);
        out
    }

    /// The column of an item.
    pub(super) fn rank(&self, item: usize) -> usize {
        self.ranks.get(item).copied().unwrap_or_default()
    }

    /// Whether a link leads back.
    pub(super) fn is_back(&self, link: usize) -> bool {
        self.back.get(link).copied().unwrap_or_default()
    }

    /// The place of an item in the walk.
    pub(super) fn seen(&self, item: usize) -> usize {
        self.first_seen.get(item).copied().unwrap_or_default()
    }

    /// How many columns there are.
    pub(super) fn count(&self) -> usize {
        self.ranks.iter().max().map_or(0, |most| most + 1)
    }

    /// Puts some items before all others, and some behind: the edges of a frame.
    pub(super) fn edges(&mut self, first: impl Fn(usize) -> bool, last: impl Fn(usize) -> bool) {
        let items = 0..self.ranks.len();
        if items.clone().any(&first) {
            for item in items.clone() {
                if let Some(rank) = self.ranks.get_mut(item) {
                    *rank = if first(item) { 0 } else { *rank + 1 };
                }
            }
        }
        let inner =
            items.clone().filter(|item| !last(*item)).map(|item| self.rank(item)).max().unwrap_or_default();
        for item in items {
            if last(item)
                && let Some(rank) = self.ranks.get_mut(item)
            {
                *rank = inner + 1;
            }
        }
    }

    /// Depth first: a link to an item whose walk is not over closes a circle.
    fn walk(&mut self, roots: &[usize], links: &[Link], outgoing: &[Vec<usize>]) {
        let mut open = vec![false; self.ranks.len()];
        let mut count = 0;
        for root in roots {
            let mut stack: Vec<(usize, usize)> = Vec::new();
            let mut next = Some(*root);
            loop {
                if let Some(item) = next.take()
                    && self.seen(item) == self.ranks.len()
                {
                    set(&mut self.first_seen, item, count);
                    count += 1;
                    set(&mut open, item, true);
                    stack.push((item, 0));
                }
                let Some((item, at)) = stack.last_mut() else { break };
                match outgoing.get(*item).and_then(|list| list.get(*at)) {
                    Some(link) => {
                        *at += 1;
                        let to = links.get(*link).map_or(*item, |link| link.to);
                        if open.get(to).copied().unwrap_or_default() {
                            set(&mut self.back, *link, true);
                        } else {
                            next = Some(to);
                        }
                    }
                    None => {
                        set(&mut open, *item, false);
                        stack.pop();
                    }
                }
            }
        }
    }

    fn longest(&mut self, links: &[Link], outgoing: &[Vec<usize>]) {
        let mut waiting = vec![0_usize; self.ranks.len()];
        for (index, link) in links.iter().enumerate() {
            if !self.is_back(index)
                && let Some(count) = waiting.get_mut(link.to)
            {
                *count += 1;
            }
        }
        let mut ready: VecDeque<usize> =
            (0..self.ranks.len()).filter(|item| waiting.get(*item) == Some(&0)).collect();
        while let Some(item) = ready.pop_front() {
            for index in outgoing.get(item).into_iter().flatten() {
                let Some(link) = links.get(*index).filter(|_| !self.is_back(*index)) else { continue };
                let rank = self.rank(link.to).max(self.rank(item) + 1);
                set(&mut self.ranks, link.to, rank);
                if let Some(count) = waiting.get_mut(link.to) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(link.to);
                    }
                }
            }
        }
    }

    /// An item to which nothing leads stands right before what it leads to.
    fn draw_near(&mut self, links: &[Link]) {
        let mut entered = vec![false; self.ranks.len()];
        let mut nearest = vec![usize::MAX; self.ranks.len()];
        for link in links {
            set(&mut entered, link.to, true);
            let rank = nearest.get(link.from).copied().unwrap_or_default().min(self.rank(link.to));
            set(&mut nearest, link.from, rank);
        }
        for item in 0..self.ranks.len() {
            let near = nearest.get(item).copied().unwrap_or_default();
            if entered.get(item) == Some(&false) && near != usize::MAX {
                set(&mut self.ranks, item, near.saturating_sub(1));
            }
        }
    }
}

fn set<T>(list: &mut [T], index: usize, value: T) {
    if let Some(slot) = list.get_mut(index) {
        *slot = value;
    }
}
