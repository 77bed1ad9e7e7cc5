//! The one way to lay out flows, messages and transcripts (`keytone fmt`).
//!
//! Works line by line on the words of a line, so that a text with faults can be laid out too: a line that is not
//! understood stays as it is. Comments stay, the words stay, and laying out twice changes nothing more. Nothing here
//! judges what a flow means.

use crate::dialplan::syntax::grammar::statement;
use crate::dialplan::syntax::lexer::{Kind, LINE_MAX, Token, words as divided};

/// The column, from 0, at which a comment behind a line begins if the line leaves room for it.
const COMMENT_AT: usize = 53;
/// Digits of a number from which on a `+` before it is a part of it.
const PHONE_MIN: usize = 6;
/// The indentation of the lines of a block.
const INDENT: usize = 2;
/// Heads of branches that are longer do not push the other branches to the right: their actions follow behind them.
const HEAD_MAX: usize = 25;
/// Spaces between what the caller types in a transcript and what is said, where the columns have to be made anew.
const SAID_APART: usize = 3;

/// Spaces at least between the head of a branch and its actions.
const APART: usize = 2;

/// A text that was laid out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Formatted {
    /// The text; it ends with a line's end unless it is empty.
    pub text: String,
    /// The lines, from 1 in the text as it was given, that were not understood and stay as they are.
    pub left: Vec<usize>,
}

/// One line on its way.
#[derive(Clone, Debug)]
struct Row {
    indent: usize,
    /// The line's words, up to where its actions begin.
    head: String,
    /// The actions and the arrow of a branch.
    tail: String,
    comment: String,
    kind: RowKind,
    /// In a transcript: the column of what is said, from what is typed.
    said_at: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RowKind {
    Blank,
    Comment,
    /// Begins a block: an empty line stands above it and its comments.
    Opens,
    /// A branch whose actions stand under those of its neighbours; what kind of branch.
    Branch(char),
    Other,
    /// Not understood.
    Left,
}

impl Row {
    fn new(kind: RowKind, indent: usize, head: impl Into<String>) -> Self {
        Self { indent, head: head.into(), tail: String::new(), comment: String::new(), kind, said_at: 0 }
    }
}

/// Lays out a flow.
#[must_use]
pub fn flow(text: &str) -> Formatted {
    let mut left = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let row = flow_row(line.trim_end());
        if row.kind == RowKind::Left {
            left.push(number);
        }
        rows.push(row);
    }
    align_branches(&mut rows);
    Formatted { text: write(rows), left }
}

fn flow_row(line: &str) -> Row {
    let left = || Row::new(RowKind::Left, 0, line);
    if line.len() > LINE_MAX {
        return left();
    }
    let trimmed = line.trim_start();
    if trimmed.is_empty() {
        return Row::new(RowKind::Blank, 0, "");
    }
    let (words, comment) = divided(line, 0);
    if words.is_empty() {
        return Row::new(RowKind::Comment, usize::from(trimmed.len() < line.len()) * INDENT, trimmed);
    }
    if statement(&words).is_err() {
        return left();
    }
    let split = branch_at(&words);
    let (head, tail) = words.split_at(split.map_or(words.len(), |(at, _)| at));
    let mut row = Row::new(RowKind::Other, INDENT, joined(line, head));
    row.tail = joined(line, tail);
    comment.unwrap_or_default().trim_end().clone_into(&mut row.comment);
    // Words are never changed: where a space would, the line stays.
    let again = if row.tail.is_empty() { row.head.clone() } else { format!("{} {}", row.head, row.tail) };
    let same = |a: &[Token<'_>], b: &[Token<'_>]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.kind == b.kind && a.text == b.text)
    };
    if !same(&words, &divided(&again, 0).0) {
        return left();
    }
    if matches!(words.first(), Some(first) if ["again", "silent", "wrong"].contains(&first.text)) {
        // Other wordings belong to the question above them.
        row.indent = 2 * INDENT;
    }
    if opens(&words) {
        row.indent = 0;
        row.kind = RowKind::Opens;
    } else if let Some((_, kind)) = split {
        row.kind = RowKind::Branch(kind);
    }
    row
}

/// Whether a line begins a block.
fn opens(words: &[Token<'_>]) -> bool {
    let name = |at: usize| words.get(at).filter(|word| word.kind == Kind::Name).map_or("", |word| word.text);
    matches!(name(0), "flow" | "sub" | "step" | "menu")
        || (name(0) == "on" && name(1) == "hangup" && words.len() == 2)
}

/// Where the actions of a branch begin, and its kind.
fn branch_at(words: &[Token<'_>]) -> Option<(usize, char)> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text);
    // The first words are the outcome, the key or the item, whatever they are called.
    let (kind, head) = match (text(0), text(1)) {
        ("on", "hangup") => return None,
        ("on", _) => ('o', 2),
        ("key", _) => ('k', 2),
        ("each", _) => ('m', 4),
        ("none", "->" | "@" | "tell" | "set" | "send" | "language") => ('m', 1),
        (_, "@") if words.first().is_some_and(|word| word.text.chars().count() == 1) => ('m', 2),
        _ => return None,
    };
    let begins = |word: &Token<'_>| {
        matches!(
            (word.kind, word.text),
            (Kind::Symbol, "->") | (Kind::Name, "tell" | "set" | "send" | "language")
        )
    };
    let at = words.iter().skip(head).position(begins)? + head;
    Some((at, kind))
}

/// The words of a line with the spaces that belong between them.
fn joined(line: &str, words: &[Token<'_>]) -> String {
    let mut out = String::new();
    let written = |word: &Token<'_>| line.get(word.span.start..word.span.end).unwrap_or(word.text).to_owned();
    let code = matches!(words, [serve, ussd, ..] if serve.text == "serve" && ussd.text == "ussd");
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        if let Some(before) = before
            && space(before, word, code && at > 2)
        {
            out.push(' ');
        }
        out.push_str(&written(word));
    }
    out
}

/// Whether a space stands between two words.
fn space(before: &Token<'_>, word: &Token<'_>, code: bool) -> bool {
    let apart = before.span.end < word.span.start;
    let symbol =
        |token: &Token<'_>, texts: &[&str]| token.kind == Kind::Symbol && texts.contains(&token.text);
    // A USSD code is written as it is dialled.
    if code || symbol(before, &["(", "@", "..", "{", "["]) || symbol(word, &[")", ",", "..", "}", "]"]) {
        return false;
    }
    if symbol(word, &[":"]) {
        return false;
    }
    if symbol(before, &[":"]) {
        return word.kind != Kind::Number || apart;
    }
    if symbol(word, &["("]) {
        let joins = ["not", "and", "or", "if", "must", "in", "least", "count"];
        return before.kind != Kind::Name || joins.contains(&before.text);
    }
    // The number of a telephone.
    if symbol(before, &["+"]) && word.kind == Kind::Number && word.text.len() >= PHONE_MIN && !apart {
        return false;
    }
    let closed = symbol(before, &[")"]) && !symbol(word, &["("]);
    if closed || symbol(word, &["@"]) {
        return true;
    }
    let spaced = ["->", "=", "<=", ">=", "!=", "<", ">", "+"];
    apart || symbol(before, &[","]) || symbol(before, &spaced) || symbol(word, &spaced)
}

/// Puts the actions of neighbouring branches of one kind under each other.
fn align_branches(rows: &mut [Row]) {
    let mut start = 0;
    while start < rows.len() {
        let kind = rows.get(start).map(|row| row.kind);
        let Some(RowKind::Branch(_)) = kind else {
            start += 1;
            continue;
        };
        let length = rows.iter().skip(start).take_while(|row| Some(row.kind) == kind).count();
        let group = rows.iter_mut().skip(start).take(length);
        let widest =
            group.map(|row| row.head.chars().count()).filter(|width| *width <= HEAD_MAX).max().unwrap_or(0);
        for row in rows.iter_mut().skip(start).take(length) {
            let width = row.head.chars().count();
            let gap = if length == 1 { 1 } else { (widest + APART).saturating_sub(width).max(1) };
            row.head.push_str(&" ".repeat(gap));
        }
        start += length;
    }
}

/// The text of rows: blocks apart, one empty line at most, comments at their column.
fn write(rows: Vec<Row>) -> String {
    let mut out: Vec<String> = Vec::new();
    // Comments that wait for the line that they belong to.
    let mut waiting: Vec<Row> = Vec::new();
    let push_blank = |out: &mut Vec<String>| {
        if out.last().is_some_and(|line| !line.is_empty()) {
            out.push(String::new());
        }
    };
    let keep = |out: &mut Vec<String>, waiting: &mut Vec<Row>, indent: Option<usize>| {
        for row in waiting.drain(..) {
            out.push(format!("{}{}", " ".repeat(indent.unwrap_or(row.indent)), row.head));
        }
    };
    for row in rows {
        match row.kind {
            RowKind::Blank => {
                keep(&mut out, &mut waiting, None);
                push_blank(&mut out);
            }
            RowKind::Comment => waiting.push(row),
            RowKind::Left => {
                keep(&mut out, &mut waiting, None);
                out.push(row.head);
            }
            _ => {
                if row.kind == RowKind::Opens {
                    push_blank(&mut out);
                }
                keep(&mut out, &mut waiting, Some(row.indent));
                out.push(line(&row));
            }
        }
    }
    keep(&mut out, &mut waiting, None);
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    let mut text = out.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn line(row: &Row) -> String {
    let code = format!("{}{}{}", " ".repeat(row.indent), row.head, row.tail);
    let code = code.trim_end();
    if row.comment.is_empty() {
        return code.to_owned();
    }
    let gap = COMMENT_AT.saturating_sub(code.chars().count()).max(2);
    format!("{code}{}{}", " ".repeat(gap), row.comment)
}

/// Lays out a file of messages: keys at the start of the line, texts behind two spaces, words as they are.
#[must_use]
pub fn messages(text: &str) -> Formatted {
    let mut rows = Vec::new();
    for raw in text.lines() {
        let line = raw.trim_end();
        let trimmed = line.trim_start();
        rows.push(if trimmed.is_empty() {
            Row::new(RowKind::Blank, 0, "")
        } else if trimmed.starts_with("--") {
            Row::new(RowKind::Comment, usize::from(trimmed.len() < line.len()) * INDENT, trimmed)
        } else if trimmed.len() == line.len() {
            Row::new(RowKind::Opens, 0, heading(trimmed))
        } else {
            Row::new(RowKind::Other, INDENT, form(trimmed))
        });
    }
    Formatted { text: write(rows), left: Vec::new() }
}

/// `key(name: type, name: type)` with single spaces.
fn heading(line: &str) -> String {
    let Some((key, slots)) = line.split_once('(') else { return line.to_owned() };
    let Some(slots) = slots.strip_suffix(')') else { return line.to_owned() };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let slot = |slot: &str| match slot.split_once(':') {
        Some((name, ty)) => format!("{}: {}", words(name), words(ty)),
        None => words(slot),
    };
    let slots: Vec<String> = slots.split(',').map(slot).collect();
    format!("{}({})", key.trim_end(), slots.join(", "))
}

/// `voice: words` with one space.
fn form(line: &str) -> String {
    for prefix in ["voice:", "ussd:", "sms:", "text:"] {
        if let Some(rest) = line.strip_prefix(prefix) {
            return format!("{prefix} {}", rest.trim_start()).trim_end().to_owned();
        }
    }
    line.to_owned()
}

/// Lays out a file of transcripts: what is said stands under what is said.
#[must_use]
pub fn transcripts(text: &str) -> Formatted {
    let mut rows: Vec<Row> = Vec::new();
    for raw in text.lines() {
        let line = raw.trim();
        rows.push(if line.is_empty() {
            Row::new(RowKind::Blank, 0, "")
        } else if line.starts_with("--") {
            Row::new(RowKind::Comment, usize::from(raw.starts_with(char::is_whitespace)) * INDENT, line)
        } else if line.starts_with("test ") {
            Row::new(RowKind::Opens, 0, line)
        } else if let Some((typed, said)) =
            line.strip_prefix('>').map(|rest| rest.split_once('<').unwrap_or((rest, "")))
        {
            let mut row = Row::new(RowKind::Branch('>'), INDENT, format!("> {}", typed.trim()));
            if let Some(at) = line.find('<') {
                row.tail = format!("< {}", said.trim());
                row.said_at = line.get(..at).map_or(0, |before| before.chars().count());
            }
            row
        } else if let Some(said) = line.strip_prefix('<') {
            let mut row = Row::new(RowKind::Branch('<'), INDENT, "");
            row.tail = format!("< {}", said.trim());
            row
        } else {
            Row::new(RowKind::Other, INDENT, line)
        });
    }
    align_turns(&mut rows);
    Formatted { text: write(rows), left: Vec::new() }
}

/// Puts what is said under what is said, test by test, at the column that most of its lines have, if all that is typed
/// leaves room; what is said before the first input stands at the left.
fn align_turns(rows: &mut [Row]) {
    let mut start = 0;
    while start < rows.len() {
        let length = 1 + rows.iter().skip(start + 1).take_while(|row| row.kind != RowKind::Opens).count();
        let typed: Vec<&Row> = rows
            .iter()
            .skip(start)
            .take(length)
            .filter(|row| row.kind == RowKind::Branch('>') && !row.tail.is_empty())
            .collect();
        let longest = typed.iter().map(|row| row.head.chars().count()).max().unwrap_or(0);
        let same = |at: usize| typed.iter().filter(|row| row.said_at == at).count();
        let usual = typed.iter().map(|row| row.said_at).max_by_key(|at| (same(*at), *at));
        let column = usual.filter(|at| *at > longest).unwrap_or(longest + SAID_APART);
        let mut typing = false;
        for row in rows.iter_mut().skip(start).take(length) {
            typing |= row.kind == RowKind::Branch('>');
            if typing && !row.tail.is_empty() {
                let gap = column.saturating_sub(row.head.chars().count());
                row.head.push_str(&" ".repeat(gap));
            }
        }
        start += length;
    }
}

#[cfg(test)]
mod tests;
