//! How two catalogues of flows differ, told by what callers meet: ways in, limits, steps and their branches, messages.
//!
//! Works on compiled flows, so that layout, comments and the order of steps are no difference. Nothing here opens a
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::dialplan::catalog::Catalog;
use crate::dialplan::graph::{Card, Exit, Kind, Picture, To, read, wording};
use crate::dialplan::program::{Program, Target};
use crate::dialplan::speak::{Message, Piece, Texts};

/// Steps whose likeness is below this share are not the same step under another name.
const ALIKE_MIN: f64 = 0.6;

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Change {
    /// The flow, or the language of a message.
    pub of: String,
    /// What was changed.
    pub what: What,
    /// The step, message, way in or limit.
    pub name: String,
    /// How it was; empty when there was nothing.
    pub before: String,
    /// How it is; empty when there is nothing.
    pub after: String,
}

/// What can differ.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A flow that only one side has.
    Flow,
    /// A number, a code or a keyword.
    Route,
    /// Tries, visits, keys, hours, PIN on SMS, how long a caller may resume.
    Limit,
    /// A value that the configuration may set.
    Param,
    /// A step that only one side has.
    Step,
    /// A step with another name.
    Renamed,
    /// What a step says, asks or does.
    Body,
    /// Where a branch leads, or what is said on it.
    Branch,
    /// A language that only one side has.
    Language,
    /// The words of a message.
    Message,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Flow => "flow",
            What::Route => "way in",
            What::Limit => "limit",
            What::Param => "param",
            What::Step | What::Renamed => "step",
            What::Body | What::Branch => "",
            What::Language => "language",
            What::Message => "message",
        };
        let name = if what.is_empty() { self.name.clone() } else { format!("{what} {}", self.name) };
        match (self.what, self.before.as_str(), self.after.as_str()) {
            (What::Renamed, ..) => write!(f, "step {} is now {}", self.before, self.after),
            (What::Flow | What::Route | What::Step | What::Language, "", _) => write!(f, "{name} was added"),
            (What::Flow | What::Route | What::Step | What::Language, _, "") => {
                write!(f, "{name} was removed")
            }
            (_, "", after) => write!(f, "{name}: + {after}"),
            (_, before, "") => write!(f, "{name}: - {before}"),
            (_, before, after) => write!(f, "{name}: {before}  =>  {after}"),
        }
    }
}

/// All differences from the first to the second: flow by flow, then messages by language.
#[must_use]
pub fn diff(a: &Catalog, b: &Catalog) -> Vec<Change> {
    let mut out = Vec::new();
    // A live flow and a draft may bear one name.
    for key in a.programs.keys().chain(b.programs.keys()).collect::<BTreeSet<_>>() {
        match (a.programs.get(key), b.programs.get(key)) {
            (Some(old), Some(new)) => flow((a, old), (b, new), &mut out),
            (old, new) => {
                let program = old.or(new);
                let draft = if program.is_some_and(|program| program.is_draft()) { " (draft)" } else { "" };
                let name = program.map_or("", |program| program.name());
                out.push(one(name, What::Flow, &format!("{name}{draft}"), old.is_some()));
            }
        }
    }
    messages(&a.texts, &b.texts, &mut out);
    out
}

/// Something that only one side has.
fn one(of: &str, what: What, name: &str, before: bool) -> Change {
    let text = |there: bool| if there { name.to_owned() } else { String::new() };
    Change { of: of.to_owned(), what, name: name.to_owned(), before: text(before), after: text(!before) }
}

fn flow(old: (&Catalog, &Program), new: (&Catalog, &Program), out: &mut Vec<Change>) {
    let name = new.1.name();
    let routes = |catalog: &Catalog| -> BTreeSet<String> {
        catalog
            .routes
            .iter()
            .filter(|route| route.flow == name && route.draft == new.1.draft)
            .map(wording::route)
            .collect()
    };
    let (before, after) = (routes(old.0), routes(new.0));
    out.extend(before.difference(&after).map(|route| one(name, What::Route, route, true)));
    out.extend(after.difference(&before).map(|route| one(name, What::Route, route, false)));
    let (before, after) = (limits(old.1), limits(new.1));
    for what in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let text = |limits: &BTreeMap<String, String>| limits.get(what).cloned().unwrap_or_default();
        let (before, after) = (text(&before), text(&after));
        if before != after {
            out.push(Change { of: name.to_owned(), what: What::Limit, name: what.clone(), before, after });
        }
    }
    params(old.1, new.1, out);
    steps(&Picture::of(old.0, old.1), &Picture::of(new.0, new.1), out);
}

/// What holds for a flow as a whole.
fn limits(program: &Program) -> BTreeMap<String, String> {
    let target = |target: Target| match target {
        Target::Step(step) => program.steps.get(usize::from(step)).map_or("", |step| &*step.name).to_owned(),
        Target::End => "end".to_owned(),
    };
    let key = |key: Option<char>| key.map_or_else(|| "none".to_owned(), |key| key.to_string());
    let open = if program.own.open.is_empty() {
        "always".to_owned()
    } else {
        format!("{} else {}", wording::hours(&program.own.open), target(program.own.open_else))
    };
    let own = [
        ("number", program.number.to_string()),
        ("key back", key(program.back)),
        ("key main", key(program.main)),
        ("pin on sms", wording::pin_on_sms(program.pin_on_sms).to_owned()),
        ("open", open),
        ("resume", program.resume.map_or_else(|| "no".to_owned(), wording::duration)),
        ("draft", if program.draft { "yes" } else { "no" }.to_owned()),
    ];
    let mut out: BTreeMap<String, String> =
        own.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    for (frame, limits, around) in read::limits(program) {
        // A sub-flow that says nothing has those of the steps around it.
        if around != Some(limits) {
            let of = if frame.is_empty() { String::new() } else { format!(" of {frame}") };
            out.insert(format!("tries{of}"), format!("{} then {}", limits.tries, target(limits.tries_then)));
            out.insert(
                format!("visits{of}"),
                format!("{} then {}", limits.visits, target(limits.visits_then)),
            );
        }
    }
    out
}

/// Values that a session starts with, params among them.
fn params(old: &Program, new: &Program, out: &mut Vec<Change>) {
    let values = |program: &Program| -> BTreeMap<String, String> {
        let name =
            |index: u16| program.variables.get(usize::from(index)).map_or("", |v| v.name.as_str()).to_owned();
        // Those of a flow that is handed over to are told of that flow.
        let others = |name: &String| program.others.iter().any(|part| is_of(name, &part.name));
        let all = program.start.iter().map(|(variable, value)| (name(*variable), wording::value(value)));
        all.filter(|(name, _)| !others(name)).collect()
    };
    let (before, after) = (values(old), values(new));
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let text = |values: &BTreeMap<String, String>| values.get(name).cloned().unwrap_or_default();
        let (before, after) = (text(&before), text(&after));
        if before != after {
            out.push(Change { of: new.name.clone(), what: What::Param, name: name.clone(), before, after });
        }
    }
}

/// Whether a step or variable belongs to a flow that is handed over to.
fn is_of(name: &str, flow: &str) -> bool {
    name.strip_prefix(flow).is_some_and(|rest| rest.starts_with('/'))
}

/// Steps by name, then by likeness, then what is different in those that both have.
fn steps(old: &Picture, new: &Picture, out: &mut Vec<Change>) {
    let index = |picture: &Picture| -> BTreeMap<String, usize> {
        let steps = picture.cards.iter().enumerate().filter(|(_, card)| card.kind != Kind::Entry);
        steps.map(|(index, card)| (card.name.clone(), index)).collect()
    };
    let (before, after) = (index(old), index(new));
    let mut pairs: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (name, at) in &before {
        if let Some(other) = after.get(name) {
            pairs.insert(name.clone(), (*at, *other));
        }
    }
    let gone: Vec<(&String, usize)> =
        before.iter().filter(|(n, _)| !after.contains_key(*n)).map(|(n, i)| (n, *i)).collect();
    let mut come: Vec<(&String, usize)> =
        after.iter().filter(|(n, _)| !before.contains_key(*n)).map(|(n, i)| (n, *i)).collect();
    let mut renamed: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, at) in gone {
        let likeness = |other: usize| match (old.cards.get(at), new.cards.get(other)) {
            (Some(a), Some(b)) => alike(old, a, new, b),
            _ => 0.0,
        };
        let best =
            come.iter().map(|(_, other)| likeness(*other)).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        match best.filter(|(_, likeness)| *likeness >= ALIKE_MIN) {
            Some((index, _)) => {
                let (other, to) = come.remove(index);
                renamed.insert(name, other);
                out.push(Change {
                    of: new.flow.clone(),
                    what: What::Renamed,
                    name: name.clone(),
                    before: name.clone(),
                    after: other.clone(),
                });
                pairs.insert(other.clone(), (at, to));
            }
            None => out.push(one(&new.flow, What::Step, name, true)),
        }
    }
    out.extend(come.into_iter().map(|(name, _)| one(&new.flow, What::Step, name, false)));
    for (name, (a, b)) in pairs {
        if let (Some(a), Some(b)) = (old.cards.get(a), new.cards.get(b)) {
            step(&name, (old, a), (new, b), &renamed, out);
        }
    }
}

/// The share of lines and branches that two steps have in common.
fn alike(old: &Picture, a: &Card, new: &Picture, b: &Card) -> f64 {
    let parts = |picture: &Picture, card: &Card| -> BTreeSet<String> {
        let body = card.body.iter().map(|line| line.text.clone());
        let own = |to: String| if to == card.name { "itself".to_owned() } else { to };
        let exits =
            card.exits.iter().map(|exit| format!("{} {}", exit.label, own(target(picture, card, exit))));
        body.chain(exits).collect()
    };
    let (a, b) = (parts(old, a), parts(new, b));
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let all = count(a.union(&b).count());
    if all > 0.0 { count(a.intersection(&b).count()) / all } else { 0.0 }
}

fn target(picture: &Picture, card: &Card, exit: &Exit) -> String {
    match exit.to {
        To::Card(to) => picture.cards.get(to).map_or_else(String::new, |card| card.name.clone()),
        To::Again => card.name.clone(),
        To::End => "end".to_owned(),
        To::Hold => "the line stays open".to_owned(),
    }
}

/// What is different in one step.
fn step(
    name: &str,
    old: (&Picture, &Card),
    new: (&Picture, &Card),
    renamed: &BTreeMap<&str, &str>,
    out: &mut Vec<Change>,
) {
    let mut push = |what, before: String, after: String| {
        if before != after {
            out.push(Change { of: new.0.flow.clone(), what, name: name.to_owned(), before, after });
        }
    };
    let body = |card: &Card| card.body.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    let (before, after) = (body(old.1), body(new.1));
    if before != after {
        let only = |of: &[String], other: &[String]| {
            let lines: Vec<&str> =
                of.iter().filter(|line| !other.contains(line)).map(String::as_str).collect();
            lines.join("; ")
        };
        let (gone, come) = (only(&before, &after), only(&after, &before));
        if gone == come {
            push(What::Body, before.join("; "), after.join("; "));
        } else {
            push(What::Body, gone, come);
        }
    }
    let branches = |(picture, card): (&Picture, &Card), rename: bool| -> BTreeMap<String, String> {
        let mut out: BTreeMap<String, String> = BTreeMap::new();
        for exit in &card.exits {
            let to = target(picture, card, exit);
            let to = if rename {
                renamed.get(to.as_str()).map_or_else(|| to.clone(), |new| (*new).to_owned())
            } else {
                to
            };
            let said = exit.said.join(" ");
            let way = if said.is_empty() { format!("-> {to}") } else { format!("{said} -> {to}") };
            let entry = out.entry(exit.label.clone()).or_default();
            if !entry.is_empty() {
                entry.push_str(", ");
            }
            entry.push_str(&way);
        }
        out
    };
    let (before, after) = (branches(old, true), branches(new, false));
    for label in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let text = |branches: &BTreeMap<String, String>| {
            let label = if label.is_empty() { "then" } else { label };
            branches
                .get(if label == "then" { "" } else { label })
                .map(|way| format!("{label} {way}"))
                .unwrap_or_default()
        };
        push(What::Branch, text(&before), text(&after));
    }
}

/// Messages whose words differ, language by language.
fn messages(old: &Texts, new: &Texts, out: &mut Vec<Change>) {
    let tags: BTreeSet<&str> = old.languages().chain(new.languages()).collect();
    for tag in tags {
        let there = (old.has_language(tag), new.has_language(tag));
        if there != (true, true) {
            out.push(one(tag, What::Language, tag, there.0));
            continue;
        }
        let (before, after) = (words(old, tag), words(new, tag));
        for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let text = |words: &BTreeMap<String, String>| words.get(key).cloned().unwrap_or_default();
            let (before, after) = (text(&before), text(&after));
            if before != after {
                out.push(Change {
                    of: tag.to_owned(),
                    what: What::Message,
                    name: key.clone(),
                    before,
                    after,
                });
            }
        }
    }
}

/// The words of every message of a language, by its key and the channels that they are for.
fn words(texts: &Texts, tag: &str) -> BTreeMap<String, String> {
    let Some(language) = texts.languages.iter().find(|language| language.tag == tag) else {
        return BTreeMap::new();
    };
    let mut out = BTreeMap::new();
    for (name, message) in texts.names.iter().zip(&language.messages) {
        let Message { voice, ussd, sms, .. } = message;
        let (voice, ussd, sms) = (written(voice), written(ussd), written(sms));
        if voice == ussd && ussd == sms {
            out.insert(name.to_string(), voice);
            continue;
        }
        out.insert(format!("{name} (voice)"), voice);
        if ussd == sms {
            out.insert(format!("{name} (text)"), ussd);
        } else {
            out.insert(format!("{name} (ussd)"), ussd);
            out.insert(format!("{name} (sms)"), sms);
        }
    }
    out.retain(|_, words| !words.is_empty());
    out
}

/// A form with its slots by number.
fn written(form: &[Piece]) -> String {
    let mut out = String::new();
    for piece in form {
        match piece {
            Piece::Words(words) => out.push_str(&words.text),
            Piece::Slot { slot, format, .. } => out.push_str(&format!("{{{}{}}}", slot + 1, last(format))),
            Piece::Plural { slot, one, other, .. } => {
                out.push_str(&format!("{{{}|{}|{}}}", slot + 1, one.text, other.text));
            }
            Piece::Sound(id) => out.push_str(&format!("[{id}]")),
        }
    }
    out
}

fn last(format: &crate::dialplan::speak::Format) -> String {
    match format {
        crate::dialplan::speak::Format::Last(count) => format!(":last{count}"),
        _ => String::new(),
    }
}
