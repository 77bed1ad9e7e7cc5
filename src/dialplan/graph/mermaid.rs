//! A picture as Mermaid text, which forges and wikis draw by themselves.

use std::fmt::Write as _;

use crate::dialplan::graph::{Card, Exit, Kind, Picture, Style, To, cut};

/// The longest text of a box or a line's label, in characters.
const TEXT_MAX: usize = 48;

/// The text of a picture.
#[must_use]
pub fn mermaid(picture: &Picture) -> String {
    let mut out = format!("---\ntitle: {}\n---\nflowchart LR\n", quoted(&picture.title()));
    let mut open: Vec<String> = Vec::new();
    let mut order: Vec<usize> = (0..picture.cards.len()).collect();
    // The steps of a frame have to stand together.
    order.sort_by_key(|index| picture.cards.get(*index).map(|c| c.frames().join("/")).unwrap_or_default());
    for index in order {
        let Some(card) = picture.cards.get(index) else { continue };
        let frames: Vec<String> = card.frames().into_iter().map(str::to_owned).collect();
        while !frames.starts_with(&open) {
            open.pop();
            let _ = writeln!(out, "{}end", indent(open.len()));
        }
        while let Some(frame) = frames.get(open.len()) {
            let path = frames.get(..=open.len()).unwrap_or_default().join("/");
            let _ = writeln!(out, "{}subgraph {}[\"{}\"]", indent(open.len()), id("f", &path), quoted(frame));
            open.push(frame.clone());
        }
        let _ = writeln!(out, "{}{}", indent(open.len()), shape(index, card));
    }
    while open.pop().is_some() {
        let _ = writeln!(out, "{}end", indent(open.len()));
    }
    for (index, card) in picture.cards.iter().enumerate() {
        for exit in &card.exits {
            line(&mut out, index, exit);
        }
    }
    out.push_str(CLASSES);
    for (kind, class) in [
        (Kind::Entry, "entry"),
        (Kind::Say, "say"),
        (Kind::End, "over"),
        (Kind::Action, "action"),
        (Kind::Question, "question"),
        (Kind::Menu, "menu"),
        (Kind::Secret, "secret"),
        (Kind::Money, "money"),
    ] {
        let of: Vec<String> = picture
            .cards
            .iter()
            .enumerate()
            .filter(|(_, card)| card.kind == kind)
            .map(|(index, _)| format!("s{index}"))
            .collect();
        if !of.is_empty() {
            let _ = writeln!(out, "  class {} {class}", of.join(","));
        }
    }
    out
}

const CLASSES: &str = "  classDef entry fill:#e8f5ee,stroke:#2f855a,color:#1a202c
  classDef say fill:#f7fafc,stroke:#718096,color:#1a202c
  classDef over fill:#edf2f7,stroke:#4a5568,color:#1a202c
  classDef action fill:#eef2f7,stroke:#4a6785,color:#1a202c
  classDef question fill:#e6fffa,stroke:#2c7a7b,color:#1a202c
  classDef menu fill:#ebf4ff,stroke:#3b6fb6,color:#1a202c
  classDef secret fill:#f5efff,stroke:#6b46c1,color:#1a202c
  classDef money fill:#fff6db,stroke:#b7791f,stroke-width:3px,color:#1a202c
";

fn indent(depth: usize) -> String {
    "  ".repeat(depth + 1)
}

fn id(prefix: &str, name: &str) -> String {
    name.chars().fold(prefix.to_owned(), |mut out, c| {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else {
            let _ = write!(out, "_{:x}_", u32::from(c));
        }
        out
    })
}

/// Mermaid has no escape in texts but entities, written with `#`.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | ';' | '\\' | '`' | '|' | '[' | ']' | '{' | '}' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn shape(index: usize, card: &Card) -> String {
    let mut text = format!("<b>{}</b>", quoted(card.title()));
    for line in card.body.iter().filter(|line| line.style != Style::Noted || card.kind == Kind::Entry) {
        let words = if line.words.is_empty() || line.style == Style::Done { &line.text } else { &line.words };
        let _ = write!(text, "<br/>{}", quoted(&cut(words, TEXT_MAX)));
    }
    let (open, close) = match card.kind {
        Kind::Entry | Kind::End => ("([", "])"),
        Kind::Menu => ("{{", "}}"),
        Kind::Question | Kind::Secret => ("[/", "/]"),
        Kind::Money => ("[[", "]]"),
        Kind::Say | Kind::Action => ("[", "]"),
    };
    format!("s{index}{open}\"{text}\"{close}")
}

fn line(out: &mut String, from: usize, exit: &Exit) {
    let mut label = exit.label.clone();
    for said in &exit.said {
        label.push_str(if label.is_empty() { "" } else { " " });
        label.push_str(said);
    }
    let to = match exit.to {
        To::Card(to) => format!("s{to}"),
        To::Again => format!("s{from}"),
        To::End | To::Hold => {
            let words = if exit.to == To::Hold { "line open" } else { "end" };
            format!("e{from}([{words}])")
        }
    };
    let arrow = if exit.pending { "-.->" } else { "-->" };
    let label = if exit.pending { format!("? {label}") } else { label };
    let label =
        if label.is_empty() { String::new() } else { format!("|\"{}\"|", quoted(&cut(&label, TEXT_MAX))) };
    let _ = writeln!(out, "  s{from} {arrow}{label} {to}");
}
