//! In which order the items and lanes of a column stand, so that few lines cross.

use crate::dialplan::graph::layout::Size;
use crate::dialplan::graph::layout::columns::{Columns, Link};

/// How often every column is sorted by its neighbours.
const SWEEPS: usize = 24;
/// Above so many vertices neighbours are not swapped one by one as well.
const SWAPS_MAX: usize = 600;

/// Vertices in columns: first the items by index, then the lanes of long links.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    /// The vertices of each column from top to bottom.
    pub(super) columns: Vec<Vec<usize>>,
    /// The lanes of each link from left to right.
    pub(super) lanes: Vec<Vec<usize>>,
    /// Neighbours to the left of a vertex.
    pub(super) left: Vec<Vec<Neighbour>>,
    /// Neighbours to the right.
    pub(super) right: Vec<Vec<Neighbour>>,
    /// For the first or last lane of a link that leads back: the item beside it in the same column.
    pub(super) beside: Vec<Option<Neighbour>>,
}

/// The other end of a line between two columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbour {
    pub(super) vertex: usize,
    /// Height at which the line meets the other vertex.
    pub(super) there: f64,
    /// Height at which it meets this one.
    pub(super) here: f64,
}

/// Orders the vertices of all columns.
pub(super) fn order(columns: &Columns, links: &[Link], sizes: &[Size]) -> Ordered {
    let mut ordered = build(columns, links, sizes.len());
    let mut positions = ordered.positions();
    let mut best = ordered.columns.clone();
    let mut fewest = usize::MAX;
    for sweep in 0..SWEEPS {
        let crossings = ordered.crossings(&positions, sizes);
        if crossings < fewest {
            fewest = crossings;
            best.clone_from(&ordered.columns);
        }
        let count = ordered.columns.len();
        for step in 0..count {
            let forward = sweep % 2 == 0;
            ordered.sort(if forward { step } else { count - 1 - step }, forward, &mut positions, sizes);
        }
    }
    if ordered.crossings(&positions, sizes) >= fewest {
        ordered.columns = best;
        positions = ordered.positions();
    }
    if ordered.left.len() <= SWAPS_MAX {
        ordered.swap(&mut positions, sizes);
    }
    ordered
}

fn build(columns: &Columns, links: &[Link], items: usize) -> Ordered {
    let mut out = Ordered {
        columns: vec![Vec::new(); columns.count()],
        lanes: Vec::new(),
        left: vec![Vec::new(); items],
        right: vec![Vec::new(); items],
        beside: vec![None; items],
    };
    let mut by_walk: Vec<usize> = (0..items).collect();
    by_walk.sort_by_key(|item| columns.seen(*item));
    for item in by_walk {
        out.put(item, columns.rank(item));
    }
    for (index, link) in links.iter().enumerate() {
        let leave = link.leave.iter().sum::<f64>() / count(link.leave.len()).max(1.0);
        let (from, to) = (columns.rank(link.from), columns.rank(link.to));
        let mut lanes = Vec::new();
        let lane = |out: &mut Ordered, rank| {
            let vertex = out.left.len();
            out.left.push(Vec::new());
            out.right.push(Vec::new());
            out.beside.push(None);
            out.put(vertex, rank);
            vertex
        };
        if columns.is_back(index) {
            lanes.extend((to..=from).map(|rank| lane(&mut out, rank)));
            for pair in lanes.windows(2) {
                if let [a, b] = pair {
                    out.join(*a, 0.0, *b, 0.0);
                }
            }
            let ends =
                [(lanes.first().copied(), link.to, link.enter), (lanes.last().copied(), link.from, leave)];
            for (lane, item, there) in ends {
                if let Some(slot) = lane.and_then(|lane| out.beside.get_mut(lane)) {
                    *slot = Some(Neighbour { vertex: item, there, here: 0.0 });
                }
            }
        } else {
            lanes.extend((from + 1..to).map(|rank| lane(&mut out, rank)));
            let mut before = (link.from, leave);
            for vertex in &lanes {
                out.join(before.0, before.1, *vertex, 0.0);
                before = (*vertex, 0.0);
            }
            out.join(before.0, before.1, link.to, link.enter);
        }
        out.lanes.push(lanes);
    }
    out
}

/// A small count as a height or a mean needs it.
pub(super) fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Ordered {
    fn put(&mut self, vertex: usize, rank: usize) {
        if let Some(column) = self.columns.get_mut(rank) {
            column.push(vertex);
        }
    }

    fn join(&mut self, a: usize, at_a: f64, b: usize, at_b: f64) {
        if let Some(list) = self.right.get_mut(a) {
            list.push(Neighbour { vertex: b, there: at_b, here: at_a });
        }
        if let Some(list) = self.left.get_mut(b) {
            list.push(Neighbour { vertex: a, there: at_a, here: at_b });
        }
    }

    /// The place of every vertex in its column.
    fn positions(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.left.len()];
        for column in &self.columns {
            number(column, &mut out);
        }
        out
    }

    /// Sorts one column by the mean place of its neighbours on one side.
    fn sort(&mut self, rank: usize, forward: bool, positions: &mut [f64], sizes: &[Size]) {
        let Some(column) = self.columns.get(rank) else { return };
        let key = |vertex: usize| {
            let side = if forward { &self.left } else { &self.right };
            let side = side.get(vertex).map(Vec::as_slice).unwrap_or_default();
            let mut sum: f64 = side.iter().map(|n| height(n.vertex, n.there, positions, sizes)).sum();
            let mut weight = count(side.len());
            if let Some(beside) = self.beside.get(vertex).copied().flatten() {
                let own = positions.get(vertex).copied().unwrap_or_default();
                let item = positions.get(beside.vertex).copied().unwrap_or_default();
                sum += item + if own < item { -0.6 } else { 0.6 };
                weight += 1.0;
            }
            if weight > 0.0 { sum / weight } else { positions.get(vertex).copied().unwrap_or_default() }
        };
        let mut keyed: Vec<(f64, usize)> = column.iter().map(|vertex| (key(*vertex), *vertex)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sorted: Vec<usize> = keyed.into_iter().map(|(_, vertex)| vertex).collect();
        number(&sorted, positions);
        if let Some(column) = self.columns.get_mut(rank) {
            *column = sorted;
        }
    }

    /// How many lines cross, and how far lanes are from the items beside them.
    fn crossings(&self, positions: &[f64], sizes: &[Size]) -> usize {
        let mut total = 0;
        for column in &self.columns {
            let mut lines: Vec<(f64, f64)> = Vec::new();
            for vertex in column {
                for n in self.right.get(*vertex).into_iter().flatten() {
                    let a = height(*vertex, n.here, positions, sizes);
                    lines.push((a, height(n.vertex, n.there, positions, sizes)));
                }
                if let Some(beside) = self.beside.get(*vertex).copied().flatten() {
                    let between = |v: usize| positions.get(v).copied().unwrap_or_default();
                    let (low, high) = (
                        between(*vertex).min(between(beside.vertex)),
                        between(*vertex).max(between(beside.vertex)),
                    );
                    total += column.iter().filter(|v| between(**v) > low && between(**v) < high).count();
                }
            }
            lines.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let mut ends: Vec<f64> = Vec::new();
            for (_, end) in lines {
                let at = ends.partition_point(|other| *other <= end);
                total += ends.len() - at;
                ends.insert(at, end);
            }
        }
        total
    }

    /// Swaps neighbours as long as that takes a crossing away.
    fn swap(&mut self, positions: &mut [f64], sizes: &[Size]) {
        let mut before = self.crossings(positions, sizes);
        for _ in 0..8 {
            let start = before;
            for rank in 0..self.columns.len() {
                let length = self.columns.get(rank).map_or(0, Vec::len);
                for at in 1..length {
                    self.exchange(rank, at, positions);
                    let now = self.crossings(positions, sizes);
                    if now < before { before = now } else { self.exchange(rank, at, positions) }
                }
            }
            if before == start {
                return;
            }
        }
    }

    fn exchange(&mut self, rank: usize, at: usize, positions: &mut [f64]) {
        if let Some(column) = self.columns.get_mut(rank) {
            column.swap(at - 1, at);
            number(column, positions);
        }
    }
}

fn number(column: &[usize], positions: &mut [f64]) {
    for (at, vertex) in column.iter().enumerate() {
        if let Some(slot) = positions.get_mut(*vertex) {
            *slot = count(at);
        }
    }
}

/// Where a line meets a vertex, as its place in the column and a part of a place for the height in it.
fn height(vertex: usize, at: f64, positions: &[f64], sizes: &[Size]) -> f64 {
    let inside = sizes.get(vertex).map_or(0.5, |size| if size.h > 0.0 { at / size.h } else { 0.5 });
    positions.get(vertex).copied().unwrap_or_default() + 0.9 * inside
}
