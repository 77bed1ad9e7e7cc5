//! Where cards and ways stand: a layered drawing from left to right (Sugiyama, Tagawa and Toda 1981).
//!
//! Cards stand in columns by their longest way from the start; ways that lead back are turned round for that. Within
//! a column the order avoids crossings, and heights follow the neighbours. A long way has a lane of its own in every
//! column that it passes, so that it never runs through a card. The steps of a sub-flow are laid out by themselves
//! and stand in the drawing around them as one block with a frame.

mod columns;
mod order;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::graph::layout::columns::{Columns, Link};
use crate::dialplan::graph::{Picture, To};

/// Space inside a frame, and the height of its title.
pub(super) const FRAME_PAD: f64 = 18.0;
/// Height of a frame's title.
pub(super) const FRAME_TITLE: f64 = 24.0;
/// A way over more columns than this is not drawn: its row names the card.
const SPAN_MAX: usize = 6;
/// A card to which more cards than this lead is named by all but its neighbours.
const HUB_MAX: usize = 6;

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

/// The size of a card and where its ways begin and end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) w: f64,
    pub(super) h: f64,
    /// Height at which ways come in.
    pub(super) enter: f64,
    /// Heights at which the exits leave.
    pub(super) leave: Vec<f64>,
}

/// A piece of a way: from a card or a frame to another, or a line inside a frame to its edge.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) commands: Vec<Command>,
    /// Whether an arrow stands at its end.
    pub(super) arrow: bool,
    /// Whether it leads back.
    pub(super) back: bool,
    /// Whether nobody knows on it if money has moved.
    pub(super) pending: bool,
}

/// How a line goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Command {
    Move(f64, f64),
    Line(f64, f64),
    Curve([f64; 6]),
}

impl Command {
    fn moved(self, dx: f64, dy: f64) -> Self {
        match self {
            Self::Move(x, y) => Self::Move(x + dx, y + dy),
            Self::Line(x, y) => Self::Line(x + dx, y + dy),
            Self::Curve([a, b, c, d, x, y]) => Self::Curve([a + dx, b + dy, c + dx, d + dy, x + dx, y + dy]),
        }
    }
}

/// A sub-flow's frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    /// The steps that call it, `/` between them.
    pub(super) name: String,
    pub(super) rect: Rect,
}

/// A finished drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawing {
    pub(super) w: f64,
    pub(super) h: f64,
    /// By the index of the card.
    pub(super) cards: BTreeMap<usize, Rect>,
    pub(super) frames: Vec<Frame>,
    pub(super) pieces: Vec<Piece>,
    /// Exits whose way is not drawn: card and index of the exit.
    pub(super) named: BTreeSet<(usize, usize)>,
}

/// Lays a picture out; `sizes` are those of its cards.
pub(super) fn lay_out(picture: &Picture, sizes: &[Size]) -> Drawing {
    let ways = ways(picture);
    let named: BTreeSet<(usize, usize)> = far(picture, &ways);
    let ways: Vec<Way> = ways.into_iter().filter(|way| !named.contains(&(way.from, way.exit))).collect();
    let cards: Vec<usize> = (0..picture.cards.len()).collect();
    let level = Level { picture, sizes, ways: &ways };
    let mut drawing = level.draw(&[], &cards).drawing;
    drawing.named = named;
    drawing
}

/// An exit that leads to another card.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: usize,
    exit: usize,
    to: usize,
    pending: bool,
}

fn ways(picture: &Picture) -> Vec<Way> {
    let mut out = Vec::new();
    for (from, card) in picture.cards.iter().enumerate() {
        for (exit, e) in card.exits.iter().enumerate() {
            if let To::Card(to) = e.to {
                out.push(Way { from, exit, to, pending: e.pending });
            }
        }
    }
    out
}

/// The ways that would only tangle the drawing: very long ones, and those to a card to which everything leads.
fn far(picture: &Picture, ways: &[Way]) -> BTreeSet<(usize, usize)> {
    let links: Vec<Link> = ways.iter().map(|way| Link::plain(way.from, way.to)).collect();
    let columns = Columns::of(picture.cards.len(), &roots(picture), &links);
    let mut callers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for way in ways {
        callers.entry(way.to).or_default().insert(way.from);
    }
    let is_far = |way: &&Way| {
        let (from, to) = (columns.rank(way.from), columns.rank(way.to));
        let hub = callers.get(&way.to).is_some_and(|callers| callers.len() > HUB_MAX);
        from.abs_diff(to) > SPAN_MAX || (hub && to != from + 1)
    };
    let entry = |way: &&Way| picture.cards.get(way.from).is_some_and(|card| card.kind == super::Kind::Entry);
    let far: BTreeSet<(usize, usize)> =
        ways.iter().filter(|w| !entry(w)).filter(is_far).map(|way| (way.from, way.exit)).collect();
    // A card that nothing would lead to any more keeps its nearest way.
    let mut out = far.clone();
    for to in callers.keys() {
        let mut reaching = ways.iter().filter(|way| way.to == *to);
        if reaching.clone().all(|way| far.contains(&(way.from, way.exit)))
            && let Some(nearest) =
                reaching.by_ref().min_by_key(|way| columns.rank(way.from).abs_diff(columns.rank(*to)))
        {
            out.remove(&(nearest.from, nearest.exit));
        }
    }
    out
}

/// Where the walk over a picture begins: the ways in, the one of the callers first.
fn roots(picture: &Picture) -> Vec<usize> {
    let entry = |index: &usize| picture.cards.get(*index).is_some_and(|card| card.kind == super::Kind::Entry);
    let all = 0..picture.cards.len();
    all.clone().filter(entry).chain(all.filter(|index| !entry(index))).collect()
}

struct Level<'p> {
    picture: &'p Picture,
    sizes: &'p [Size],
    ways: &'p [Way],
}

/// A part of the drawing with the heights at which ways come in and leave at its edges, by the card outside.
#[derive(Default)]
struct Block {
    drawing: Drawing,
    /// Height of the way in to a card inside.
    enter: BTreeMap<usize, f64>,
    /// Height of the way out to a card outside, and whether it is a pending one.
    leave: BTreeMap<(usize, bool), f64>,
}

/// What stands in a column of one level.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Item {
    Card(usize),
    /// A sub-flow, by the name of the step that calls it.
    Frame(String),
    /// Where a way to this card inside crosses the frame.
    In(usize),
    /// Where a way to this card outside crosses the frame.
    Out(usize, bool),
}

/// Ways that are drawn as one: between these items, to this card, and whether they are pending ones.
type LinkKey = (Item, Item, usize, bool);

impl Level<'_> {
    fn frames_of(&self, card: usize) -> Vec<&str> {
        self.picture.cards.get(card).map(super::Card::frames).unwrap_or_default()
    }

    /// Draws the cards that stand in the frames `path`.
    fn draw(&self, path: &[&str], cards: &[usize]) -> Block {
        let item = |card: usize| match self.frames_of(card).get(path.len()) {
            Some(frame) => Item::Frame((*frame).to_owned()),
            None => Item::Card(card),
        };
        let inside: BTreeSet<usize> = cards.iter().copied().collect();
        let (mut items, mut blocks): (Vec<Item>, BTreeMap<String, Block>) = (Vec::new(), BTreeMap::new());
        for card in roots(self.picture).into_iter().filter(|card| inside.contains(card)) {
            let item = item(card);
            if items.contains(&item) {
                continue;
            }
            if let Item::Frame(name) = &item {
                let members: Vec<usize> = cards
                    .iter()
                    .copied()
                    .filter(|card| self.frames_of(*card).get(path.len()) == Some(&name.as_str()))
                    .collect();
                let deeper: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
                blocks.insert(name.clone(), self.draw(&deeper, &members));
            }
            items.push(item);
        }
        let mut links: BTreeMap<LinkKey, BTreeSet<usize>> = BTreeMap::new();
        for (index, way) in self.ways.iter().enumerate() {
            let (from, to) = match (inside.contains(&way.from), inside.contains(&way.to)) {
                (true, true) => (item(way.from), item(way.to)),
                (true, false) => (item(way.from), Item::Out(way.to, way.pending)),
                (false, true) => (Item::In(way.to), item(way.to)),
                (false, false) => continue,
            };
            if from != to {
                links.entry((from, to, way.to, way.pending)).or_default().insert(index);
            }
        }
        let ends: Vec<Item> = links.keys().flat_map(|(from, to, ..)| [from.clone(), to.clone()]).collect();
        for end in ends {
            match end {
                Item::In(_) if !items.contains(&end) => items.insert(0, end),
                Item::Out(..) if !items.contains(&end) => items.push(end),
                _ => {}
            }
        }
        self.assemble(&items, &links, blocks)
    }

    fn assemble(
        &self,
        items: &[Item],
        links: &BTreeMap<LinkKey, BTreeSet<usize>>,
        blocks: BTreeMap<String, Block>,
    ) -> Block {
        let index = |item: &Item| items.iter().position(|other| other == item).unwrap_or(0);
        let edge = Size { w: 0.0, h: 10.0, enter: 5.0, leave: vec![5.0] };
        let sizes: Vec<Size> = items
            .iter()
            .map(|item| match item {
                Item::Card(card) => self.sizes.get(*card).cloned().unwrap_or_else(|| edge.clone()),
                Item::Frame(name) => blocks.get(name).map_or_else(|| edge.clone(), |block| block.size()),
                Item::In(_) | Item::Out(..) => edge.clone(),
            })
            .collect();
        let mut all = Vec::new();
        for ((from, to, _, pending), ways) in links {
            let ways: Vec<&Way> = ways.iter().filter_map(|index| self.ways.get(*index)).collect();
            let mut leave: Vec<f64> = ways.iter().map(|way| self.leaves(from, way, &blocks)).collect();
            leave.sort_by(f64::total_cmp);
            leave.dedup();
            let enter = match (to, ways.first()) {
                (Item::Frame(name), Some(way)) => blocks
                    .get(name)
                    .and_then(|b| b.enter.get(&way.to))
                    .map_or(5.0, |y| y + FRAME_TITLE + FRAME_PAD),
                _ => sizes.get(index(to)).map_or(0.0, |size| size.enter),
            };
            let first = ways.iter().map(|way| (way.from, way.exit)).min().unwrap_or_default();
            let arrow = matches!(to, Item::Card(_));
            all.push((
                first,
                Link { from: index(from), to: index(to), leave, enter, pending: *pending, arrow },
            ));
        }
        all.sort_by_key(|(first, _)| *first);
        let links: Vec<Link> = all.into_iter().map(|(_, link)| link).collect();
        let roots: Vec<usize> = (0..items.len()).collect();
        let mut columns = Columns::of(items.len(), &roots, &links);
        columns.edges(
            |item| matches!(items.get(item), Some(Item::In(_))),
            |item| matches!(items.get(item), Some(Item::Out(..))),
        );
        let ordered = order::order(&columns, &links, &sizes);
        let placed = place::place(&columns, &ordered, &links, &sizes);
        finish(items, blocks, placed)
    }

    /// The height in an item at which a way leaves it.
    fn leaves(&self, from: &Item, way: &Way, blocks: &BTreeMap<String, Block>) -> f64 {
        match from {
            Item::Card(card) => {
                self.sizes.get(*card).and_then(|size| size.leave.get(way.exit)).copied().unwrap_or_default()
            }
            Item::Frame(name) => {
                let leave = blocks.get(name).and_then(|block| block.leave.get(&(way.to, way.pending)));
                leave.map_or(5.0, |y| y + FRAME_TITLE + FRAME_PAD)
            }
            Item::In(_) | Item::Out(..) => 5.0,
        }
    }
}

impl Block {
    /// Its size with the frame.
    fn size(&self) -> Size {
        let (w, h) = (self.drawing.w + 2.0 * FRAME_PAD, self.drawing.h + 2.0 * FRAME_PAD + FRAME_TITLE);
        Size { w, h, enter: FRAME_TITLE, leave: Vec::new() }
    }
}

/// Puts the blocks into the placed items.
fn finish(items: &[Item], blocks: BTreeMap<String, Block>, placed: place::Placed) -> Block {
    let mut out = Block::default();
    out.drawing.w = placed.w;
    out.drawing.h = placed.h;
    let mut blocks = blocks;
    for (item, rect) in items.iter().zip(&placed.rects) {
        match item {
            Item::Card(card) => {
                out.drawing.cards.insert(*card, *rect);
            }
            Item::In(to) => {
                out.enter.insert(*to, rect.y + 5.0);
            }
            Item::Out(to, pending) => {
                out.leave.insert((*to, *pending), rect.y + 5.0);
            }
            Item::Frame(name) => {
                let Some(block) = blocks.remove(name) else { continue };
                let (dx, dy) = (rect.x + FRAME_PAD, rect.y + FRAME_PAD + FRAME_TITLE);
                let moved = |r: Rect| Rect { x: r.x + dx, y: r.y + dy, ..r };
                out.drawing.frames.push(Frame { name: name.clone(), rect: *rect });
                for frame in block.drawing.frames {
                    out.drawing.frames.push(Frame { name: frame.name, rect: moved(frame.rect) });
                }
                out.drawing.cards.extend(block.drawing.cards.into_iter().map(|(card, r)| (card, moved(r))));
                for piece in block.drawing.pieces {
                    let mut piece = piece;
                    // A way to the frame's edge goes on to the frame itself.
                    for (at, command) in piece.commands.iter_mut().enumerate() {
                        *command = command.moved(dx, dy);
                        if let (0, Command::Move(x, y)) = (at, *command)
                            && x <= dx + 0.01
                        {
                            *command = Command::Move(rect.x, y);
                        }
                    }
                    if let Some(last) = piece.commands.last().copied()
                        && let (x, y) = end(last)
                        && x >= dx + block.drawing.w - 0.01
                        && !piece.arrow
                    {
                        piece.commands.push(Command::Line(rect.x + rect.w, y));
                    }
                    out.drawing.pieces.push(piece);
                }
            }
        }
    }
    out.drawing.pieces.extend(placed.pieces);
    out
}

/// Where a command ends.
pub(super) const fn end(command: Command) -> (f64, f64) {
    match command {
        Command::Move(x, y) | Command::Line(x, y) | Command::Curve([.., x, y]) => (x, y),
    }
}

#[cfg(test)]
mod tests;
