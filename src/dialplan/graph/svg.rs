//! A picture as SVG: cards with what is said, asked and done, a row for each way out, and lines between them.
//!
//! Colours follow the light or dark scheme of whoever looks at it. Widths of texts are estimated, so that no font is
//! needed to draw; texts are cut to what surely fits.

mod card;
mod style;
mod width;

use std::fmt::Write as _;

use crate::dialplan::graph::layout::{Command, Drawing, FRAME_PAD, Frame, Piece, end, lay_out};
use crate::dialplan::graph::svg::width::width;
use crate::dialplan::graph::{Kind, Picture, escaped};

/// Space around the drawing.
const MARGIN: f64 = 40.0;
/// Height of the title.
const HEAD: f64 = 64.0;
/// Height of the legend.
const FOOT: f64 = 58.0;

/// The text of a picture.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let drawing = lay_out(picture, &card::sizes(picture));
    let legend = legend(picture, &drawing);
    let notes = format!("version {}", picture.version);
    let notes = std::iter::once(notes).chain(picture.notes.iter().cloned()).collect::<Vec<_>>().join("  ·  ");
    let w = drawing.w.max(legend.1).max(width(&notes, 12.0)) + 2.0 * MARGIN;
    let h = drawing.h + HEAD + FOOT + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" \
         role=\"img\" aria-label=\"The flow {}\">\n<style>{}</style>\n",
        escaped(&picture.title()),
        style::CSS
    );
    let _ = writeln!(out, "<rect class=\"page\" width=\"{w:.0}\" height=\"{h:.0}\"/>");
    let _ = writeln!(
        out,
        "<text class=\"flow\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
        MARGIN + 12.0,
        escaped(&picture.title())
    );
    let _ = writeln!(
        out,
        "<text class=\"notes\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
        MARGIN + 34.0,
        escaped(&notes)
    );
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {})\">", MARGIN + HEAD);
    for frame in &drawing.frames {
        draw_frame(&mut out, frame);
    }
    // Lines that lead back lie under the others.
    for back in [true, false] {
        for piece in drawing.pieces.iter().filter(|piece| piece.back == back) {
            draw_line(&mut out, piece);
        }
    }
    for (index, rect) in &drawing.cards {
        if let Some(card) = picture.cards.get(*index) {
            card::draw(&mut out, picture, *index, card, *rect, &drawing);
        }
    }
    out.push_str("</g>\n");
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {:.0})\">", h - MARGIN - 14.0);
    out.push_str(&legend.0);
    out.push_str("</g>\n</svg>\n");
    out
}

fn draw_frame(out: &mut String, frame: &Frame) {
    let r = frame.rect;
    let _ = writeln!(
        out,
        "<rect class=\"frame\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"14\"/>\
         <text class=\"frame-name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        r.x,
        r.y,
        r.w,
        r.h,
        r.x + FRAME_PAD,
        r.y + 20.0,
        escaped(&frame.name)
    );
}

fn draw_line(out: &mut String, piece: &Piece) {
    let mut path = String::new();
    for command in &piece.commands {
        let _ = match command {
            Command::Move(x, y) => write!(path, "M{x:.1} {y:.1}"),
            Command::Line(x, y) => write!(path, "L{x:.1} {y:.1}"),
            Command::Curve([a, b, c, d, x, y]) => write!(path, "C{a:.1} {b:.1} {c:.1} {d:.1} {x:.1} {y:.1}"),
        };
    }
    let class = match (piece.pending, piece.back) {
        (true, _) => "way unknown",
        (false, true) => "way back",
        (false, false) => "way",
    };
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\"/>");
    if let (true, Some(last)) = (piece.arrow, piece.commands.last()) {
        let (x, y) = end(*last);
        let class = class.replace("way", "tip");
        let _ = writeln!(out, "<path class=\"{class}\" d=\"M{x:.1} {y:.1}l-9 -4.5 2.2 4.5 -2.2 4.5z\"/>");
    }
}

/// What the colours and marks mean, and how wide that is; only what the picture has.
fn legend(picture: &Picture, drawing: &Drawing) -> (String, f64) {
    let mut out = String::new();
    let mut x = 0.0;
    let kinds = [
        (Kind::Menu, "asks for a key"),
        (Kind::Question, "asks for an input"),
        (Kind::Secret, "asks for a secret"),
        (Kind::Money, "moves money"),
        (Kind::Action, "does something"),
        (Kind::Say, "tells or decides"),
        (Kind::End, "ends here"),
    ];
    let word = |out: &mut String, x: &mut f64, text: &str| {
        let _ =
            writeln!(out, "<text class=\"legend\" x=\"{:.1}\" y=\"4\">{}</text>", *x + 22.0, escaped(text));
        *x += 22.0 + width(text, 11.5) + 20.0;
    };
    for (kind, text) in kinds {
        if picture.cards.iter().any(|card| card.kind == kind) {
            let class = card::class(kind);
            let _ = writeln!(
                out,
                "<g class=\"card {class}\"><rect class=\"box\" x=\"{x:.1}\" y=\"-7\" width=\"15\" height=\"14\" rx=\"4\"/>\
                 <rect class=\"band\" x=\"{x:.1}\" y=\"-7\" width=\"15\" height=\"14\" rx=\"4\"/></g>"
            );
            word(&mut out, &mut x, text);
        }
    }
    if picture.cards.iter().any(|card| card.secret && card.kind != Kind::Secret) {
        let _ = write!(out, "<g class=\"card secret\">");
        card::icon(&mut out, Kind::Secret, x, -8.0);
        out.push_str("</g>");
        word(&mut out, &mut x, "asks for a secret");
    }
    if picture.cards.iter().any(|card| card.gives_up) {
        let _ = writeln!(
            out,
            "<g class=\"card gives-up\"><rect class=\"box\" x=\"{x:.1}\" y=\"-7\" width=\"15\" height=\"14\" rx=\"4\"/></g>"
        );
        word(&mut out, &mut x, "callers who are given up");
    }
    let exits = || picture.cards.iter().flat_map(|card| &card.exits);
    if exits().any(|exit| exit.to == super::To::End) {
        card::mark_end(&mut out, x + 8.0, 0.0);
        word(&mut out, &mut x, "the end");
    }
    if exits().any(|exit| exit.to == super::To::Again) {
        card::mark_again(&mut out, x + 8.0, 0.0);
        word(&mut out, &mut x, "asked again");
    }
    if exits().any(|exit| exit.pending) {
        card::mark_unknown(&mut out, x + 8.0, 0.0);
        word(&mut out, &mut x, "nobody knows yet whether money moved");
    }
    if drawing.pieces.iter().any(|piece| piece.back) {
        let _ = writeln!(out, "<path class=\"way back\" d=\"M{:.1} 0h18\"/>", x);
        word(&mut out, &mut x, "leads back");
    }
    (out, x)
}
