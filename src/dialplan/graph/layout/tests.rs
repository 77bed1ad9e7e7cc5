//! The drawing of random flows: nothing overlaps, nothing is lost, every line begins and ends at something.

use super::*;
use crate::dialplan::graph::{Card, Exit, Kind, When};

/// A small generator, so that a failure can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

fn card(name: String, kind: Kind, exits: Vec<Exit>) -> Card {
    Card { name, kind, gives_up: false, secret: false, body: Vec::new(), exits }
}

fn exit(to: To) -> Exit {
    Exit { when: When::Outcome, label: "ok".into(), said: Vec::new(), to, pending: false }
}

fn random(seed: u64) -> Picture {
    let mut dice = Dice(seed);
    let steps = 1 + dice.below(30);
    let frames = ["", "", "", "call/", "call/deep/", "other/"];
    let mut cards: Vec<Card> = (0..steps)
        .map(|step| {
            let frame = frames[dice.below(if seed.is_multiple_of(3) { 1 } else { frames.len() })];
            let exits = (0..dice.below(6))
                .map(|_| {
                    let mut exit = exit(match dice.below(5) {
                        0 => To::End,
                        1 => To::Again,
                        _ => To::Card(dice.below(steps)),
                    });
                    exit.pending = dice.below(9) == 0;
                    if exit.to == To::Card(step) {
                        exit.to = To::Again;
                    }
                    exit
                })
                .collect();
            card(format!("{frame}s{step}"), Kind::Say, exits)
        })
        .collect();
    cards.push(card("start".into(), Kind::Entry, vec![exit(To::Card(0))]));
    cards.push(card("giving up".into(), Kind::Entry, vec![exit(To::Card(steps - 1))]));
    Picture { flow: "random".into(), number: 1, version: "0".into(), notes: Vec::new(), cards }
}

fn sizes(picture: &Picture) -> Vec<Size> {
    let size = |card: &Card| {
        let rows = order::count(card.exits.len());
        let leave = (0..card.exits.len()).map(|at| 40.0 + 20.0 * order::count(at)).collect();
        Size { w: 200.0, h: 50.0 + rows * 20.0, enter: 15.0, leave }
    };
    picture.cards.iter().map(size).collect()
}

fn overlap(a: Rect, b: Rect) -> bool {
    a.x + a.w > b.x + 0.01 && b.x + b.w > a.x + 0.01 && a.y + a.h > b.y + 0.01 && b.y + b.h > a.y + 0.01
}

fn holds(frame: Rect, inner: Rect) -> bool {
    let right = inner.x + inner.w <= frame.x + frame.w + 0.01;
    inner.x >= frame.x - 0.01
        && inner.y >= frame.y - 0.01
        && right
        && inner.y + inner.h <= frame.y + frame.h + 0.01
}

/// Points along a piece.
fn points(piece: &Piece) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::new();
    for command in &piece.commands {
        let from = out.last().copied().unwrap_or_default();
        let to = end(*command);
        for part in 1..=24 {
            let t = f64::from(part) / 24.0;
            let mix = |a: f64, b: f64| a + (b - a) * t;
            out.push(match command {
                Command::Move(..) => to,
                Command::Line(..) => (mix(from.0, to.0), mix(from.1, to.1)),
                Command::Curve([a, b, c, d, x, y]) => {
                    let at = |p: f64, q: f64, r: f64, s: f64| {
                        let u = 1.0 - t;
                        u * u * u * p + 3.0 * u * u * t * q + 3.0 * u * t * t * r + t * t * t * s
                    };
                    (at(from.0, *a, *c, *x), at(from.1, *b, *d, *y))
                }
            });
        }
    }
    out
}

fn near(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.0 - b.0).abs() < 0.1 && (a.1 - b.1).abs() < 0.1
}

#[test]
fn boxes_never_overlap_and_frames_hold_their_own() {
    for seed in 0..120 {
        let picture = random(seed);
        let sizes = sizes(&picture);
        let drawing = lay_out(&picture, &sizes);
        assert_eq!(drawing.cards.len(), picture.cards.len(), "seed {seed}: every step is there");
        for (a, one) in &drawing.cards {
            assert_eq!((one.w, one.h), (sizes[*a].w, sizes[*a].h));
            assert!(one.x >= 0.0 && one.y >= -0.01 && one.y + one.h <= drawing.h + 0.01, "seed {seed}");
            for (b, other) in drawing.cards.range(a + 1..) {
                assert!(!overlap(*one, *other), "seed {seed}: {a} and {b} overlap");
            }
        }
        for frame in &drawing.frames {
            for (index, rect) in &drawing.cards {
                let mine = picture.cards[*index].frames().contains(&frame.name.as_str());
                assert!(
                    if mine { holds(frame.rect, *rect) } else { !overlap(frame.rect, *rect) },
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn every_line_begins_and_ends_at_something_and_runs_through_no_box() {
    for seed in 0..120 {
        let picture = random(seed);
        let sizes = sizes(&picture);
        let drawing = lay_out(&picture, &sizes);
        let begins: Vec<(f64, f64)> = drawing.pieces.iter().map(|p| end(p.commands[0])).collect();
        let ends: Vec<(f64, f64)> = drawing.pieces.iter().map(|p| end(*p.commands.last().unwrap())).collect();
        let mut left = BTreeSet::new();
        for (piece, (begin, goal)) in drawing.pieces.iter().zip(begins.iter().zip(&ends)) {
            let leaves = drawing.cards.iter().find_map(|(index, r)| {
                let rows = sizes[*index].leave.iter().position(|y| near(*begin, (r.x + r.w, r.y + y)))?;
                Some((*index, rows))
            });
            left.extend(leaves);
            assert!(
                leaves.is_some() || ends.iter().any(|e| near(*e, *begin)),
                "seed {seed}: {begin:?} begins nowhere"
            );
            let enters = drawing.cards.iter().any(|(i, r)| near(*goal, (r.x, r.y + sizes[*i].enter)));
            assert_eq!(enters, piece.arrow, "seed {seed}: {goal:?}");
            assert!(enters || begins.iter().any(|b| near(*b, *goal)), "seed {seed}: {goal:?} ends nowhere");
            for (x, y) in points(piece) {
                let through = drawing
                    .cards
                    .values()
                    .find(|r| x > r.x + 0.2 && x < r.x + r.w - 0.2 && y > r.y + 0.2 && y < r.y + r.h - 0.2);
                assert_eq!(through, None, "seed {seed}: a line runs through a box at {x} {y}");
            }
        }
        for (from, card) in picture.cards.iter().enumerate() {
            for (at, exit) in card.exits.iter().enumerate() {
                let drawn = left.contains(&(from, at));
                let named = drawing.named.contains(&(from, at));
                assert_eq!(drawn != named, matches!(exit.to, To::Card(_)), "seed {seed}: way {at} of {from}");
            }
        }
    }
}

#[test]
fn the_same_picture_is_always_drawn_the_same() {
    let picture = random(7);
    assert_eq!(lay_out(&picture, &sizes(&picture)), lay_out(&picture, &sizes(&picture)));
}

#[test]
fn a_straight_flow_is_one_row_and_a_way_back_does_not_change_that() {
    let names = ["a", "b", "c"];
    let mut cards: Vec<Card> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let to = if at + 1 < names.len() { To::Card(at + 1) } else { To::End };
            card((*name).to_owned(), Kind::Say, vec![exit(to)])
        })
        .collect();
    cards[2].exits.push(exit(To::Card(0)));
    let picture = Picture { flow: "f".into(), number: 1, version: "0".into(), notes: Vec::new(), cards };
    let drawing = lay_out(&picture, &sizes(&picture));
    let x: Vec<f64> = drawing.cards.values().map(|rect| rect.x).collect();
    assert!(x[0] < x[1] && x[1] < x[2], "{x:?}");
    assert_eq!(drawing.pieces.iter().filter(|piece| piece.back && piece.arrow).count(), 1);
}

#[test]
fn a_large_flow_is_drawn_soon() {
    let steps = 2_000;
    let mut cards: Vec<Card> = (0..steps)
        .map(|at| {
            let next = if at + 1 < steps { To::Card(at + 1) } else { To::End };
            let exits = vec![exit(next), exit(To::Card(steps - 1)), exit(To::Card(at / 2))];
            card(format!("s{at}"), Kind::Say, exits)
        })
        .collect();
    cards.push(card("start".into(), Kind::Entry, vec![exit(To::Card(0))]));
    let picture = Picture { flow: "f".into(), number: 1, version: "0".into(), notes: Vec::new(), cards };
    let drawing = lay_out(&picture, &sizes(&picture));
    assert_eq!(drawing.cards.len(), steps + 1);
    assert!(drawing.pieces.len() < 4 * steps, "long ways are named, not drawn");
}
