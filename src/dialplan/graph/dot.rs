//! A picture as DOT text, for Graphviz.

use std::fmt::Write as _;

use crate::dialplan::graph::{Card, Exit, Kind, Picture, Style, To, cut};

/// The longest text of a box or a line's label, in characters.
const TEXT_MAX: usize = 48;

/// The text of a picture.
#[must_use]
pub fn dot(picture: &Picture) -> String {
    let mut out = format!("digraph {} {{\n", quoted(&picture.flow));
    out.push_str(
        "  rankdir=LR; node [fontname=\"sans-serif\", fontsize=11, style=\"filled,rounded\", shape=box];\n",
    );
    out.push_str("  edge [fontname=\"sans-serif\", fontsize=10, color=\"#718096\"];\n");
    let title = format!("{}, version {}", picture.title(), picture.version);
    let _ = writeln!(out, "  label={}; labelloc=t; fontname=\"sans-serif\";", quoted(&title));
    let mut order: Vec<usize> = (0..picture.cards.len()).collect();
    order.sort_by_key(|index| picture.cards.get(*index).map(|c| c.frames().join("/")).unwrap_or_default());
    let mut open: Vec<String> = Vec::new();
    for index in order {
        let Some(card) = picture.cards.get(index) else { continue };
        let frames: Vec<String> = card.frames().into_iter().map(str::to_owned).collect();
        while !frames.starts_with(&open) {
            open.pop();
            let _ = writeln!(out, "{}}}", "  ".repeat(open.len() + 1));
        }
        while let Some(frame) = frames.get(open.len()) {
            let indent = "  ".repeat(open.len() + 1);
            let path = frames.get(..=open.len()).unwrap_or_default().join("/");
            let _ = writeln!(
                out,
                "{indent}subgraph {} {{ label={}; style=\"rounded,dashed\";",
                quoted(&format!("cluster {path}")),
                quoted(frame)
            );
            open.push(frame.clone());
        }
        let _ = writeln!(out, "{}{}", "  ".repeat(open.len() + 1), shape(index, card));
    }
    while open.pop().is_some() {
        let _ = writeln!(out, "{}}}", "  ".repeat(open.len() + 1));
    }
    for (index, card) in picture.cards.iter().enumerate() {
        for exit in &card.exits {
            line(&mut out, index, exit);
        }
    }
    out.push_str("}\n");
    out
}

/// A string of DOT.
fn quoted(text: &str) -> String {
    format!("\"{}\"", inner(text))
}

/// What stands between the quotes of a string of DOT.
fn inner(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn shape(index: usize, card: &Card) -> String {
    let mut lines = vec![card.title().to_owned()];
    for line in card.body.iter().filter(|line| line.style != Style::Noted || card.kind == Kind::Entry) {
        let words = if line.words.is_empty() || line.style == Style::Done { &line.text } else { &line.words };
        lines.push(cut(words, TEXT_MAX));
    }
    let text = lines.iter().map(|line| inner(line)).collect::<Vec<_>>().join("\\n");
    let (shape, fill, line, width) = match card.kind {
        Kind::Entry => ("cds", "#e8f5ee", "#2f855a", 1),
        Kind::Say => ("box", "#f7fafc", "#718096", 1),
        Kind::End => ("oval", "#edf2f7", "#4a5568", 1),
        Kind::Action => ("box", "#eef2f7", "#4a6785", 1),
        Kind::Question => ("parallelogram", "#e6fffa", "#2c7a7b", 1),
        Kind::Menu => ("hexagon", "#ebf4ff", "#3b6fb6", 1),
        Kind::Secret => ("parallelogram", "#f5efff", "#6b46c1", 1),
        Kind::Money => ("box", "#fff6db", "#b7791f", 3),
    };
    format!(
        "s{index} [label=\"{text}\", shape={shape}, fillcolor=\"{fill}\", color=\"{line}\", penwidth={width}];"
    )
}

fn line(out: &mut String, from: usize, exit: &Exit) {
    let mut label = exit.label.clone();
    for said in &exit.said {
        label.push_str(if label.is_empty() { "" } else { " " });
        label.push_str(said);
    }
    let mut look = String::new();
    if exit.pending {
        label = format!("? {label}");
        look.push_str(", style=dashed, color=\"#c53030\"");
    }
    let to = match exit.to {
        To::Card(to) => format!("s{to}"),
        To::Again => format!("s{from}"),
        To::End | To::Hold => {
            let words = if exit.to == To::Hold { "line open" } else { "end" };
            let _ = writeln!(out, "  e{from} [label={}, shape=plaintext, style=\"\"];", quoted(words));
            format!("e{from}")
        }
    };
    let _ = writeln!(out, "  s{from} -> {to} [label={}{look}];", quoted(&cut(&label, TEXT_MAX)));
}
