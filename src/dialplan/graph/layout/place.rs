//! Where items and lanes stand in pixels, and the lines between them.

use crate::dialplan::graph::layout::columns::{Columns, Link};
use crate::dialplan::graph::layout::order::{Neighbour, Ordered, count};
use crate::dialplan::graph::layout::{Command, Piece, Rect, Size};

/// How often heights are drawn to those of the neighbours.
const PASSES: usize = 16;
/// Space between two items of a column.
const BETWEEN_ITEMS: f64 = 26.0;
/// Space between a lane and what is beside it.
const BETWEEN_LANES: f64 = 12.0;
/// Space between two columns, and how much more for each line.
const GAP: (f64, f64, f64) = (58.0, 3.0, 110.0);

/// Items with their places, and the lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    pub(super) rects: Vec<Rect>,
    pub(super) pieces: Vec<Piece>,
    pub(super) w: f64,
    pub(super) h: f64,
}

/// Gives every item its place.
pub(super) fn place(columns: &Columns, ordered: &Ordered, links: &[Link], sizes: &[Size]) -> Placed {
    let mut tops = stacked(ordered, sizes);
    for pass in 0..PASSES {
        let forward = pass % 2 == 0;
        let all = pass + 2 >= PASSES;
        let total = ordered.columns.len();
        for step in 0..total {
            let rank = if forward { step } else { total - 1 - step };
            if let Some(column) = ordered.columns.get(rank) {
                settle(column, ordered, &mut tops, sizes, (forward || all, !forward || all));
            }
        }
    }
    draw_together(&mut tops, sizes);
    let (lefts, widths, w) = across(columns, ordered, links, sizes);
    let rects: Vec<Rect> = sizes
        .iter()
        .enumerate()
        .map(|(item, size)| {
            let rank = columns.rank(item);
            let (x, y) =
                (lefts.get(rank).copied().unwrap_or_default(), tops.get(item).copied().unwrap_or_default());
            Rect { x, y, w: size.w, h: size.h }
        })
        .collect();
    let lines = Lines { columns, ordered, tops: &tops, lefts: &lefts, widths: &widths, rects: &rects };
    let pieces = links.iter().enumerate().flat_map(|(index, link)| lines.pieces(index, link)).collect();
    let lanes = tops.iter().skip(sizes.len()).copied();
    let h = rects.iter().map(|rect| rect.y + rect.h).chain(lanes).fold(0.0, f64::max);
    Placed { rects, pieces, w, h }
}

/// Takes away what is empty over the whole width, but for the usual space; the first vertex comes to stand at 0.
fn draw_together(tops: &mut [f64], sizes: &[Size]) {
    let mut order: Vec<usize> = (0..tops.len()).collect();
    let top = |tops: &[f64], vertex: usize| tops.get(vertex).copied().unwrap_or_default();
    order.sort_by(|a, b| top(tops, *a).total_cmp(&top(tops, *b)));
    let mut shift = order.first().map_or(0.0, |first| top(tops, *first));
    let mut low = 0.0_f64;
    for vertex in order {
        let at = top(tops, vertex) - shift;
        let empty = at - low - BETWEEN_ITEMS;
        if empty > 0.0 {
            shift += empty;
        }
        if let Some(slot) = tops.get_mut(vertex) {
            *slot -= shift;
            low = low.max(*slot + tall(vertex, sizes));
        }
    }
}

fn tall(vertex: usize, sizes: &[Size]) -> f64 {
    sizes.get(vertex).map_or(0.0, |size| size.h)
}

/// The space between two vertices of a column.
fn between(above: usize, below: usize, sizes: &[Size]) -> f64 {
    let lane = |vertex: usize| sizes.get(vertex).is_none_or(|size| size.w <= 0.0);
    if lane(above) || lane(below) { BETWEEN_LANES } else { BETWEEN_ITEMS }
}

/// One under the other, each column around the middle.
fn stacked(ordered: &Ordered, sizes: &[Size]) -> Vec<f64> {
    let mut tops = vec![0.0; ordered.left.len()];
    for column in &ordered.columns {
        let mut y = 0.0;
        for (at, vertex) in column.iter().enumerate() {
            if let Some(above) = at.checked_sub(1).and_then(|above| column.get(above)) {
                y += between(*above, *vertex, sizes);
            }
            if let Some(top) = tops.get_mut(*vertex) {
                *top = y;
            }
            y += tall(*vertex, sizes);
        }
        for vertex in column {
            if let Some(top) = tops.get_mut(*vertex) {
                *top -= y / 2.0;
            }
        }
    }
    tops
}

/// Brings a column as near as it can be to where its neighbours want it, in order and without overlap: the least
/// squares under an order, by pooling adjacent violators.
fn settle(column: &[usize], ordered: &Ordered, tops: &mut [f64], sizes: &[Size], sides: (bool, bool)) {
    let mut offset = 0.0;
    let mut pools: Vec<Pool> = Vec::new();
    let mut offsets = Vec::new();
    for (at, vertex) in column.iter().enumerate() {
        if let Some(above) = at.checked_sub(1).and_then(|above| column.get(above)) {
            offset += tall(*above, sizes) + between(*above, *vertex, sizes);
        }
        offsets.push(offset);
        let (wanted, weight) = wish(*vertex, ordered, tops, sizes, sides);
        pools.push(Pool { mean: wanted - offset, weight, members: 1 });
        while let [.., a, b] = pools.as_slice()
            && a.mean > b.mean
        {
            let joined = a.with(b);
            pools.truncate(pools.len() - 2);
            pools.push(joined);
        }
    }
    let means = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.mean, pool.members));
    for ((vertex, offset), mean) in column.iter().zip(offsets).zip(means) {
        if let Some(top) = tops.get_mut(*vertex) {
            *top = mean + offset;
        }
    }
}

#[derive(Clone, Copy)]
struct Pool {
    mean: f64,
    weight: f64,
    members: usize,
}

impl Pool {
    fn with(&self, other: &Self) -> Self {
        let weight = self.weight + other.weight;
        let mean = (self.mean * self.weight + other.mean * other.weight) / weight;
        Self { mean, weight, members: self.members + other.members }
    }
}

/// Where a vertex would stand if it were alone, and how much that matters: straight lanes matter most.
fn wish(vertex: usize, ordered: &Ordered, tops: &[f64], sizes: &[Size], sides: (bool, bool)) -> (f64, f64) {
    let own = tops.get(vertex).copied().unwrap_or_default();
    let lane = |vertex: usize| vertex >= sizes.len();
    let (mut sum, mut total) = (0.0, 0.0);
    let mut add = |n: &Neighbour, weight: f64| {
        sum += weight * (tops.get(n.vertex).copied().unwrap_or_default() + n.there - n.here);
        total += weight;
    };
    for (wanted, side) in [(sides.0, &ordered.left), (sides.1, &ordered.right)] {
        for n in side.get(vertex).into_iter().flatten().filter(|_| wanted) {
            let weight = match (lane(vertex), lane(n.vertex)) {
                (true, true) => 8.0,
                (false, false) => 3.0,
                _ => 2.0,
            };
            add(n, weight);
        }
    }
    if let Some(beside) = ordered.beside.get(vertex).copied().flatten() {
        // A lane that turns round at an item keeps close to it, above or below.
        let h = tall(beside.vertex, sizes);
        let above = own < tops.get(beside.vertex).copied().unwrap_or_default();
        add(&Neighbour { there: if above { -BETWEEN_LANES } else { h + BETWEEN_LANES }, ..beside }, 2.0);
    }
    if total > 0.0 { (sum / total, total) } else { (own, 0.1) }
}

/// The left edge and the width of every column, and the width of all.
fn across(columns: &Columns, ordered: &Ordered, links: &[Link], sizes: &[Size]) -> (Vec<f64>, Vec<f64>, f64) {
    let mut x = 0.0;
    let (mut lefts, mut widths) = (Vec::new(), Vec::new());
    for (rank, column) in ordered.columns.iter().enumerate() {
        let width = column.iter().filter_map(|v| sizes.get(*v)).map(|size| size.w).fold(0.0, f64::max);
        lefts.push(x);
        widths.push(width);
        let lines = links.iter().enumerate().filter(|(index, link)| {
            let (from, to) = (columns.rank(link.from), columns.rank(link.to));
            let (low, high) = (from.min(to), from.max(to));
            (low <= rank && rank < high) || (columns.is_back(*index) && rank == high)
        });
        x += width;
        if rank + 1 < ordered.columns.len() {
            let (least, each, most) = GAP;
            x += (least + each * count(lines.count())).min(most);
        }
    }
    // Lines that lead back from the last column or to the first one turn round outside of them.
    (lefts, widths, x)
}

struct Lines<'l> {
    columns: &'l Columns,
    ordered: &'l Ordered,
    tops: &'l [f64],
    lefts: &'l [f64],
    widths: &'l [f64],
    rects: &'l [Rect],
}

impl Lines<'_> {
    fn column(&self, rank: usize) -> (f64, f64) {
        let left = self.lefts.get(rank).copied().unwrap_or_default();
        (left, left + self.widths.get(rank).copied().unwrap_or_default())
    }

    /// The lines of a link: one from each exit to where they meet, and one from there on.
    fn pieces(&self, index: usize, link: &Link) -> Vec<Piece> {
        let (Some(from), Some(to)) = (self.rects.get(link.from), self.rects.get(link.to)) else {
            return Vec::new();
        };
        let back = self.columns.is_back(index);
        let (rank_from, rank_to) = (self.columns.rank(link.from), self.columns.rank(link.to));
        let lanes: Vec<f64> = self
            .ordered
            .lanes
            .get(index)
            .into_iter()
            .flatten()
            .map(|lane| self.tops.get(*lane).copied().unwrap_or_default())
            .collect();
        // Corners of the way after the exit: every lane where it comes into its column and where it leaves it.
        let mut corners = Vec::new();
        if back {
            for (rank, y) in (rank_to..=rank_from).rev().zip(lanes.iter().rev()) {
                let (left, right) = self.column(rank);
                corners.extend([(right, *y), (left, *y)]);
            }
        } else {
            for (rank, y) in (rank_from + 1..rank_to).zip(&lanes) {
                let (left, right) = self.column(rank);
                corners.extend([(left, *y), (right, *y)]);
            }
        }
        let goal = (to.x, to.y + link.enter);
        let meet = corners.first().copied().unwrap_or(goal);
        let edge = self.column(rank_from).1;
        let piece = |commands, arrow| Piece { commands, arrow, back, pending: link.pending };
        let mut out = Vec::new();
        for leave in &link.leave {
            let start = (from.x + from.w, from.y + leave);
            let mut commands = vec![Command::Move(start.0, start.1)];
            if edge - start.0 > 0.5 {
                commands.push(Command::Line(edge, start.1));
            }
            let turn = (edge, start.1);
            commands.push(if back { round(turn, meet, 1.0) } else { across_gap(turn, meet) });
            out.push(piece(commands, corners.is_empty() && link.arrow));
        }
        if let Some((first, rest)) = corners.split_first() {
            let mut commands = vec![Command::Move(first.0, first.1)];
            let mut at = *first;
            for corner in rest {
                if (corner.1 - at.1).abs() < 0.01 {
                    commands.push(Command::Line(corner.0, corner.1));
                } else {
                    commands.push(across_gap(at, *corner));
                }
                at = *corner;
            }
            commands.push(if back { round(at, goal, -1.0) } else { across_gap(at, goal) });
            out.push(piece(commands, link.arrow));
        }
        out
    }
}

/// From one column to the next.
fn across_gap(from: (f64, f64), to: (f64, f64)) -> Command {
    let reach = (to.0 - from.0) * 0.5;
    Command::Curve([from.0 + reach, from.1, to.0 - reach, to.1, to.0, to.1])
}

/// A turn beside a column, to the right of it or to the left.
fn round(from: (f64, f64), to: (f64, f64), side: f64) -> Command {
    let reach = side * ((to.1 - from.1).abs() * 0.5).clamp(16.0, 42.0);
    Command::Curve([from.0 + reach, from.1, to.0 + reach, to.1, to.0, to.1])
}
