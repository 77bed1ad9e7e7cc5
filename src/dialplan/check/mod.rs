//! The checker: from source texts to programs that cannot go wrong in the ways that can be known beforehand.
//!
//! Every fault of every file is reported at once, each once: what follows from a fault that was already
//! reported is left out.

mod calls;
mod consequences;
mod expressions;
mod finish;
mod graph;
mod lengths;
mod messages;
mod names;
mod resolve;
mod scope;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::catalog::{Catalog, FLOWS_MAX, Settings, Sources};
use crate::dialplan::check::calls::{Subs, Written};
use crate::dialplan::check::resolve::Resolved;
use crate::dialplan::check::versions::Versions;
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::event::Channel;
use crate::dialplan::route::{Element, Route, SPELLINGS_MAX, spellings};
use crate::dialplan::speak::System;
use crate::dialplan::syntax::ast::{Flow, Pattern};
use crate::dialplan::syntax::outline;
use crate::dialplan::syntax::span::Span;

/// The most variables of one flow, those of its calls included.
pub(super) const VARIABLES_MAX: usize = 256;
/// Where the configuration's params come from, when no flow is meant.
const CONFIGURATION: &str = "keytone.toml";

/// Faults after which no suggestion is looked for: whoever has so many does not read them all.
const SUGGESTED_MAX: usize = 200;

/// What a misspelt word most likely means.
fn suggestion<'c>(
    so_far: &[Diagnostic],
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if so_far.len() < SUGGESTED_MAX { did_you_mean(word, candidates) } else { None }
}

pub(super) fn compile(sources: &Sources, settings: &Settings) -> Result<Catalog, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    if sources.flows.len() > FLOWS_MAX {
        let first = sources.flows.first().map_or("", |flow| flow.name.as_str());
        let text = format!("a folder has at most {FLOWS_MAX} flows");
        return Err(vec![Diagnostic::error(Code::F002, first, Span::new(0, 0), text)]);
    }
    let unread = not_utf8(sources, &mut diagnostics);
    let mut index = messages::build(sources, settings, &mut diagnostics);
    index.broken |= sources.messages.iter().any(|file| file.not_utf8.is_some());
    let settings = Arc::new(settings.clone());
    let texts = Arc::new(std::mem::take(&mut index.texts));
    let written = read(sources, &mut diagnostics);
    let broken = unread || written.iter().any(|file| file.broken);
    let subs = Subs::of(&written, broken);
    subs.rings(&mut diagnostics);
    unknown_params(&written, &settings, broken, &mut diagnostics);
    let place = resolve::Place { texts: &texts, settings: &settings, index: &index, subs: &subs };
    let versions = Versions::of(sources, &settings, &texts);
    let mut used: BTreeSet<u16> = System::ALL.iter().map(|system| texts.system(*system).0).collect();
    let mut programs = BTreeMap::new();
    let mut routes = Routes::default();
    let mut places = Vec::new();
    for file in written.iter().filter(|file| file.flow.sub.is_none()) {
        let Resolved { mut program, used: said, files, places: steps } =
            resolve::resolve(&place, file, &mut diagnostics);
        program.version = versions.of_program(&program, &said, &files);
        used.extend(said);
        routes.collect(file, &mut diagnostics);
        let key = (file.name().to_owned(), program.draft);
        places.push((key.clone(), steps));
        programs.insert(key, Arc::new(program));
    }
    for sub in subs.uncalled(&written) {
        used.extend(alone(&place, sub, broken, &mut diagnostics));
    }
    // A line that was not understood may have been the one that uses a message.
    if !broken {
        messages::unused(&index, &used, &mut diagnostics);
    }
    messages::clips(&index, &texts, sources, &mut diagnostics);
    let routes: Vec<Route> = routes.all.into_iter().map(|(route, ..)| route).collect();
    if !diagnostics.iter().any(Diagnostic::is_error) {
        for (key, steps) in &places {
            let Some(program) = programs.get(key) else { continue };
            lengths::check(program, &routes, steps, &index, &mut diagnostics);
        }
    }
    let flows: Vec<(&str, &Flow)> = written.iter().map(|file| (&*file.file, &file.flow)).collect();
    names::check(&flows, broken, &index, &mut diagnostics);
    let diagnostics = finish::finish(diagnostics, &flows, sources);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    Ok(Catalog { version: versions.of_all(), programs, routes, texts, warnings: diagnostics })
}

/// Reports files that are not UTF-8; whether a flow is among them.
fn not_utf8(sources: &Sources, diagnostics: &mut Vec<Diagnostic>) -> bool {
    for file in sources.files() {
        let Some(at) = file.not_utf8 else { continue };
        let end = at + char::REPLACEMENT_CHARACTER.len_utf8();
        let fault = Diagnostic::error(Code::F002, &file.name, Span::new(at, end), "this is not UTF-8");
        diagnostics.push(fault.here("here").hint("save the file as UTF-8"));
    }
    sources.flows.iter().any(|file| file.not_utf8.is_some())
}

/// The trees of all flows and sub-flows; of two with one name, the first.
fn read(sources: &Sources, diagnostics: &mut Vec<Diagnostic>) -> Vec<Written> {
    let mut names: BTreeMap<(String, bool), &str> = BTreeMap::new();
    let mut out = Vec::new();
    for source in sources.flows.iter().filter(|source| source.not_utf8.is_none()) {
        let (flow, faults) = outline::parse(&source.name, &source.text);
        let broken = !faults.is_empty();
        diagnostics.extend(faults);
        let written = Written { file: Arc::from(source.name.as_str()), flow, broken };
        let key = (written.name().to_owned(), written.flow.draft.is_some());
        match names.get(&key) {
            Some(other) if !written.name().is_empty() => {
                let text = format!("there are two flows named `{}`", written.name());
                diagnostics.push(
                    Diagnostic::error(Code::F003, &source.name, written.span(), text)
                        .hint(format!("the other one is in {other}: give one of them another name")),
                );
            }
            _ => {
                names.insert(key, &source.name);
                out.push(written);
            }
        }
    }
    out
}

/// Params that the configuration gives to flows that do not exist.
fn unknown_params(written: &[Written], settings: &Settings, broken: bool, diagnostics: &mut Vec<Diagnostic>) {
    if broken {
        return;
    }
    let names: BTreeSet<&str> = written.iter().map(Written::name).collect();
    for flow in settings.params.keys().filter(|flow| !names.contains(flow.as_str())) {
        let text = format!("`[dialplan.params.{flow}]` names a flow that does not exist");
        let fault = Diagnostic::error(Code::F014, CONFIGURATION, Span::new(0, 0), text);
        let close = suggestion(diagnostics, flow, names.iter().copied());
        diagnostics.push(fault.hint(match close {
            Some(close) => format!("did you mean `{close}`?"),
            None => "take it out of the configuration".to_owned(),
        }));
    }
}

/// Looks at a sub-flow that nothing calls. Gives the messages that it says.
fn alone(
    place: &resolve::Place<'_>,
    sub: &Written,
    broken: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeSet<u16> {
    let mut own = Vec::new();
    let resolved = resolve::resolve(place, sub, &mut own);
    // Whether a fee was quoted is known to who calls.
    diagnostics.extend(own.into_iter().filter(|fault| fault.code != Code::F035));
    if !broken {
        let text = format!("nothing calls `{}`", sub.name());
        diagnostics.push(
            Diagnostic::warning(Code::F017, &sub.file, sub.span(), text)
                .hint(format!("`call {}` in a step, or remove the file", sub.name())),
        );
    }
    resolved.used
}

/// The ways into flows; no two flows answer the same command.
#[derive(Default)]
struct Routes {
    all: Vec<(Route, Arc<str>, Span)>,
    /// Indices of the routes that begin with a word.
    by_first: BTreeMap<(Channel, String), Vec<usize>>,
    /// Indices of the routes that begin with a slot.
    open: Vec<usize>,
}

impl Routes {
    fn collect(&mut self, written: &Written, diagnostics: &mut Vec<Diagnostic>) {
        let flow = &written.flow;
        let literal = |number: &str| vec![Element::Literal(number.to_owned())];
        let voice = flow.voice.iter().map(|n| (Channel::Voice, literal(&n.value), n.span));
        let pattern = |channel| {
            move |p: &Pattern| {
                (channel, p.value.iter().map(|element| element.value.clone()).collect::<Vec<_>>(), p.span)
            }
        };
        let ussd = flow.ussd.iter().map(pattern(Channel::Ussd));
        let sms = flow.sms.iter().map(pattern(Channel::Sms));
        for (channel, pattern, span) in voice.chain(ussd).chain(sms) {
            let all = spellings(&pattern);
            if all.len() > SPELLINGS_MAX {
                let text = format!("a command has at most {SPELLINGS_MAX} spellings");
                diagnostics.push(Diagnostic::error(Code::F002, &written.file, span, text));
                continue;
            }
            for pattern in all {
                let (flow, draft) = (written.name().to_owned(), flow.draft.is_some());
                self.add((Route { channel, flow, draft, pattern }, written.file.clone(), span), diagnostics);
            }
        }
    }

    fn add(&mut self, new: (Route, Arc<str>, Span), diagnostics: &mut Vec<Diagnostic>) {
        let (route, file, span) = &new;
        let key = route.first().map(|word| (route.channel, word));
        let same = key.as_ref().and_then(|key| self.by_first.get(key)).into_iter().flatten();
        let mut near = same.chain(&self.open).filter_map(|index| self.all.get(*index));
        let everything = key.is_none().then_some(&self.all).into_iter().flatten();
        let other = near.find(|(other, ..)| other.overlaps(route));
        let other = other.or_else(|| everything.into_iter().find(|(other, ..)| other.overlaps(route)));
        if let Some((other, other_file, other_span)) = other {
            let text = format!("the flow `{}` answers this already", other.flow);
            let fault = Diagnostic::error(Code::F090, file, *span, text).here("this");
            let fault = if (other_file, other_span) == (file, span) {
                fault.hint("the same word is written twice")
            } else {
                fault
                    .label(other_file, *other_span, "and this")
                    .hint("one call, code or message can only lead to one flow")
            };
            diagnostics.push(fault);
        }
        let number = self.all.len();
        match key {
            Some(key) => self.by_first.entry(key).or_default().push(number),
            None => self.open.push(number),
        }
        self.all.push(new);
    }
}
