//! One card: its size before it is laid out, and its drawing after.

use std::fmt::Write as _;

use crate::dialplan::graph::layout::{Drawing, Rect, Size};
use crate::dialplan::graph::svg::width::{fit, fixed, width, wrap};
use crate::dialplan::graph::{Card, Exit, Kind, Line, Picture, Style, To, When, escaped};

/// Width of a step's card.
const WIDTH: f64 = 244.0;
/// Height of the band with the name.
const BAND: f64 = 30.0;
/// Space at the sides.
const PAD: f64 = 12.0;
/// Height of a line of text.
const LINE: f64 = 15.5;
/// Height of a way out.
const ROW: f64 = 21.0;
/// Lines for the words of one message.
const WORDS_MAX: usize = 2;
/// Lines of a card's body; the rest is only in its tip.
const BODY_MAX: usize = 9;
/// The most that a row's left part takes when something follows it.
const LABEL_MAX: f64 = 150.0;

/// A line of a card's body as it is drawn.
struct Shown {
    class: &'static str,
    text: String,
}

/// The class of a kind in the style sheet.
pub(super) const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Entry => "entry",
        Kind::Say => "say",
        Kind::End => "over",
        Kind::Action => "action",
        Kind::Question => "question",
        Kind::Menu => "menu",
        Kind::Secret => "secret",
        Kind::Money => "money",
    }
}

/// The size of every card of a picture.
pub(super) fn sizes(picture: &Picture) -> Vec<Size> {
    picture.cards.iter().map(size).collect()
}

fn size(card: &Card) -> Size {
    let lines = f64::from(u32::try_from(body(card).len()).unwrap_or(u32::MAX));
    if card.kind == Kind::Entry {
        let widest = card
            .body
            .iter()
            .map(|line| width(&line.text, 11.5))
            .fold(width(card.title(), 13.0) * 1.1, f64::max);
        let h = 26.0 + lines * LINE + 6.0;
        return Size { w: (widest + 2.0 * PAD + 8.0).min(WIDTH), h, enter: h / 2.0, leave: vec![h / 2.0] };
    }
    let top = top(lines);
    let leave: Vec<f64> = (0..card.exits.len()).map(|exit| row(top, exit)).collect();
    let h = leave.last().map_or(top + 4.0, |last| last + ROW / 2.0 + 5.0);
    Size { w: WIDTH, h, enter: BAND / 2.0, leave }
}

/// Where the rows begin.
fn top(lines: f64) -> f64 {
    if lines > 0.0 { BAND + 6.0 + lines * LINE + 5.0 } else { BAND + 3.0 }
}

/// The middle of a row.
fn row(top: f64, exit: usize) -> f64 {
    top + ROW * (f64::from(u32::try_from(exit).unwrap_or(u32::MAX)) + 0.5)
}

fn body(card: &Card) -> Vec<Shown> {
    let inner = WIDTH - 2.0 * PAD;
    let words = |line: &Line| wrap(&line.words, inner, WORDS_MAX, |text| width(text, 11.5));
    let mono = |text: &str| fit(text, inner, |text| fixed(text, 10.5));
    let mut out = Vec::new();
    for line in &card.body {
        match line.style {
            Style::Told | Style::Asked => {
                out.push(Shown { class: "mono key-of", text: mono(&line.text) });
                out.extend(words(line).into_iter().map(|text| Shown { class: "words", text }));
            }
            Style::Sms => out.push(Shown { class: "mono key-of", text: mono(&format!("sms {}", line.text)) }),
            Style::Done => out.push(Shown { class: "mono", text: mono(&format!("do {}", line.text)) }),
            Style::Noted if card.kind == Kind::Entry => {
                out.push(Shown { class: "words", text: fit(&line.text, inner, |text| width(text, 11.5)) });
            }
            Style::Noted => {
                out.push(Shown { class: "note", text: fit(&line.text, inner, |text| width(text, 10.5)) });
            }
        }
    }
    if out.len() > BODY_MAX {
        out.truncate(BODY_MAX - 1);
        out.push(Shown { class: "note", text: "…".to_owned() });
    }
    out
}

/// Draws a card.
pub(super) fn draw(
    out: &mut String,
    picture: &Picture,
    index: usize,
    card: &Card,
    rect: Rect,
    drawing: &Drawing,
) {
    let gives_up = if card.gives_up { " gives-up" } else { "" };
    let _ = writeln!(
        out,
        "<g id=\"s{index}\" class=\"card {}{gives_up}\" transform=\"translate({:.1} {:.1})\"><title>{}</title>",
        class(card.kind),
        rect.x,
        rect.y,
        escaped(&tip(card))
    );
    let shown = body(card);
    if card.kind == Kind::Entry {
        let round = 16.0_f64.min(rect.h / 2.0);
        let _ = writeln!(
            out,
            "<rect class=\"box\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{round:.1}\"/>",
            rect.w, rect.h
        );
        text(out, "title", PAD + 4.0, 19.0, card.title());
        lines(out, &shown, PAD + 4.0, 37.0);
        out.push_str("</g>\n");
        return;
    }
    outline(out, card.kind, rect);
    let locked = card.secret && card.kind != Kind::Secret;
    let signs = if locked { 46.0 } else { 24.0 };
    let title = fit(card.title(), rect.w - 2.0 * PAD - signs, |text| width(text, 13.0) * 1.1);
    text(out, "title", PAD, 20.0, &title);
    icon(out, card.kind, rect.w - PAD - 15.0, 8.0);
    if locked {
        icon(out, Kind::Secret, rect.w - PAD - 38.0, 8.0);
    }
    lines(out, &shown, PAD, BAND + 6.0 + 11.0);
    let top = top(f64::from(u32::try_from(shown.len()).unwrap_or(u32::MAX)));
    if !shown.is_empty() && !card.exits.is_empty() {
        let _ = writeln!(out, "<path class=\"rule\" d=\"M0 {:.1}h{:.1}\"/>", top - 1.0, rect.w);
    }
    for (at, exit) in card.exits.iter().enumerate() {
        let named = drawing.named.contains(&(index, at));
        draw_row(out, picture, exit, row(top, at), rect.w, named);
    }
    out.push_str("</g>\n");
}

fn lines(out: &mut String, shown: &[Shown], x: f64, y: f64) {
    let mut y = y;
    for line in shown {
        text(out, line.class, x, y, &line.text);
        y += LINE;
    }
}

fn text(out: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(words));
}

/// The card's outline: cut corners for a menu, round ends for an end, round corners for the rest.
fn outline(out: &mut String, kind: Kind, rect: Rect) {
    let (w, h, b) = (rect.w, rect.h, BAND);
    let (shape, band) = match kind {
        Kind::Menu => (
            format!(
                "M10 0H{:.1}L{w:.1} 10V{:.1}L{:.1} {h:.1}H10L0 {:.1}V10Z",
                w - 10.0,
                h - 10.0,
                w - 10.0,
                h - 10.0
            ),
            format!("M10 .6H{:.1}L{:.1} 10V{b:.1}H.6V10Z", w - 10.0, w - 0.6),
        ),
        _ => {
            let r = if kind == Kind::End { 15.0 } else { 8.0 };
            let straight = w - 2.0 * r;
            let side = h - 2.0 * r;
            (
                format!(
                    "M{r} 0h{straight:.1}a{r} {r} 0 0 1 {r} {r}v{side:.1}a{r} {r} 0 0 1 -{r} {r}h-{straight:.1}\
                     a{r} {r} 0 0 1 -{r} -{r}v-{side:.1}a{r} {r} 0 0 1 {r} -{r}Z"
                ),
                format!(
                    "M{r} .6h{straight:.1}a{q} {q} 0 0 1 {q} {q}V{b:.1}H.6V{r}a{q} {q} 0 0 1 {q} -{q}Z",
                    q = r - 0.6
                ),
            )
        }
    };
    let _ = writeln!(out, "<path class=\"box\" d=\"{shape}\"/><path class=\"band\" d=\"{band}\"/>");
}

/// A small sign beside the name.
pub(super) fn icon(out: &mut String, kind: Kind, x: f64, y: f64) {
    let (class, path) = match kind {
        // Keys.
        Kind::Menu => (
            "icon full",
            "M1 1h3v3h-3zM6 1h3v3h-3zM11 1h3v3h-3zM1 6h3v3h-3zM6 6h3v3h-3zM11 6h3v3h-3zM6 11h3v3h-3z",
        ),
        // A field with a cursor.
        Kind::Question => ("icon", "M.5 3.5h14v8h-14zM3.5 5.8v3.4"),
        // A lock.
        Kind::Secret => ("icon", "M2.5 6.5h10v7h-10zM4.5 6.5v-2a3 3 0 0 1 6 0v2M7.5 9.5v1.4"),
        // A coin.
        Kind::Money => (
            "icon",
            "M7.5 .7a6.8 6.8 0 1 0 .01 0zM9.8 5.2c-.6-1.2-4.4-1.2-4.4.7 0 2 4.4 1.1 4.4 3.1 0 1.9-3.9 1.9-4.5.6M7.5 3v9",
        ),
        // Out and back.
        Kind::Action => ("icon", "M1 5h12M10 2l3 3-3 3M14 10.500h-12M5 7.500l-3 3 3 3"),
        // A speech bubble.
        Kind::Say => ("icon", "M1 2h13v8h-7l-3.500 3.500v-3.500h-2.500z"),
        Kind::End => ("icon full", "M3 3h9v9h-9z"),
        Kind::Entry => ("icon", ""),
    };
    let _ = writeln!(out, "<path class=\"{class}\" transform=\"translate({x:.1} {y:.1})\" d=\"{path}\"/>");
}

fn draw_row(out: &mut String, picture: &Picture, exit: &Exit, y: f64, w: f64, named: bool) {
    if exit.pending {
        let _ = writeln!(
            out,
            "<rect class=\"unknown-row\" x=\"1.4\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            y - ROW / 2.0 + 0.5,
            w - 2.8,
            ROW - 1.0
        );
    }
    let mut right = w - PAD;
    match (exit.to, named) {
        (To::Card(to), true) => {
            let name = picture.cards.get(to).map_or("", Card::title);
            let label = fit(&format!("→ {name}"), 96.0, |text| width(text, 10.5));
            let wide = width(&label, 10.5) + 10.0;
            right -= wide - 4.0;
            let _ = writeln!(
                out,
                "<a href=\"#s{to}\"><rect class=\"named\" x=\"{right:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"16\" \
                 rx=\"8\"/><text class=\"named-text\" x=\"{:.1}\" y=\"{:.1}\">{}</text></a>",
                y - 8.0,
                right + 5.0,
                y + 3.8,
                escaped(&label)
            );
        }
        (To::Card(_), false) => {
            let class = if exit.pending { "port unknown" } else { "port" };
            let _ = writeln!(out, "<circle class=\"{class}\" cx=\"{w:.1}\" cy=\"{y:.1}\" r=\"3.4\"/>");
            right += 4.0;
        }
        (To::Again, _) => {
            mark_again(out, right - 5.0, y);
            right -= 15.0;
        }
        (To::End, _) => {
            mark_end(out, right - 5.0, y);
            right -= 15.0;
        }
        (To::Hold, _) => {
            let label = "line open";
            right -= width(label, 10.5);
            text(out, "note", right, y + 3.8, label);
            right -= 4.0;
        }
    }
    if exit.pending {
        mark_unknown(out, right - 6.0, y);
        right -= 17.0;
    }
    row_text(out, exit, y, right);
}

/// What makes the way be taken, and what is said on it.
fn row_text(out: &mut String, exit: &Exit, y: f64, right: f64) {
    let base = y + 3.9;
    let mut x = PAD;
    let room = right - x;
    let said = exit.said.join(" ");
    let most = if said.is_empty() { room } else { room.min(LABEL_MAX) };
    let single = exit.when == When::Key && exit.label.chars().count() == 1;
    match exit.when {
        When::Key if single => {
            let _ = writeln!(
                out,
                "<rect class=\"cap\" x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" height=\"16\" rx=\"4\"/>\
                 <text class=\"cap-text\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
                y - 8.0,
                x + 8.0,
                escaped(&exit.label)
            );
            x += 23.0;
        }
        When::Key | When::Outcome => {
            let label = fit(&exit.label, most, |text| fixed(text, 10.5));
            text(out, "mono", x, base, &label);
            x += fixed(&label, 10.5) + 7.0;
        }
        When::Condition => {
            let label = fit(&exit.label, most, |text| width(text, 10.5));
            text(out, "note", x, base, &label);
            x += width(&label, 10.5) + 7.0;
        }
        When::Always => {
            let label = if exit.label.is_empty() { "then" } else { exit.label.as_str() };
            text(out, "note", x, base, label);
            x += width(label, 10.5) + 7.0;
        }
    }
    if !said.is_empty() && right - x > 24.0 {
        let class = if single { "words" } else { "said" };
        let size = if single { 11.5 } else { 10.5 };
        text(out, class, x, base, &fit(&said, right - x, |text| width(text, size)));
    }
}

/// The end of the conversation.
pub(super) fn mark_end(out: &mut String, x: f64, y: f64) {
    let _ = writeln!(
        out,
        "<rect class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\" rx=\"1.5\"/>",
        x - 4.5,
        y - 4.5
    );
}

/// The same step from its start.
pub(super) fn mark_again(out: &mut String, x: f64, y: f64) {
    let _ = writeln!(
        out,
        "<path class=\"again\" d=\"M{:.1} {:.1}a4.400 4.400 0 1 0 .8 3.200\"/><path class=\"again-tip\" d=\"M{:.1} {:.1}l5 .6 -4 3.600z\"/>",
        x + 3.4,
        y - 3.0,
        x + 1.2,
        y - 4.4
    );
}

/// Nobody knows whether the money has moved.
pub(super) fn mark_unknown(out: &mut String, x: f64, y: f64) {
    let _ = writeln!(
        out,
        "<circle class=\"unknown-mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/><text class=\"unknown-text\" x=\"{x:.1}\" \
         y=\"{:.1}\">?</text>",
        y + 3.8
    );
}

/// All that the card tells, uncut.
fn tip(card: &Card) -> String {
    let mut out = card.name.clone();
    for line in &card.body {
        let _ = write!(out, "\n{}", line.text);
        if !line.words.is_empty() {
            let _ = write!(out, ": {}", line.words);
        }
    }
    for exit in &card.exits {
        let _ = write!(out, "\n{} {}", exit.label, exit.said.join(" "));
    }
    out
}
