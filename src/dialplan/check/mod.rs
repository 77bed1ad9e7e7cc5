//! The checker: from source texts to programs that cannot go wrong in the ways that can be known beforehand.
//!
//! Every fault of every file is reported at once, each once: what follows from a fault that was already
//! reported is left out.

mod expressions;
mod graph;
mod messages;
mod resolve;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::catalog::{Catalog, Settings, Sources, version};
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::event::Channel;
use crate::dialplan::route::{Element, Route};
use crate::dialplan::speak::System;
use crate::dialplan::syntax::ast::{Flow, Pattern};
use crate::dialplan::syntax::outline;
use crate::dialplan::syntax::span::{Name, Span};

/// The most variables of one flow.
pub(super) const VARIABLES_MAX: usize = 128;
/// The most steps of one flow.
pub(super) const STEPS_MAX: usize = 2_000;

pub(super) fn compile(sources: &Sources, settings: &Settings) -> Result<Catalog, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut index = messages::build(sources, settings, &mut diagnostics);
    let version = version(sources, settings);
    let settings = Arc::new(settings.clone());
    let mut programs = BTreeMap::new();
    let mut routes: Vec<(Route, &str, Span)> = Vec::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let texts = Arc::new(std::mem::take(&mut index.texts));
    let mut used: BTreeSet<u16> = System::ALL.iter().map(|system| texts.system(*system).0).collect();
    let mut broken = false;
    for source in &sources.flows {
        let (flow, faults) = outline::parse(&source.name, &source.text);
        broken |= !faults.is_empty();
        diagnostics.extend(faults);
        let name = flow.name.clone().unwrap_or_else(|| Name::new(String::new(), Span::new(0, 0)));
        if let Some(other) = names.insert(name.value.clone(), &source.name) {
            let text = format!("there are two flows named `{}`", name.value);
            diagnostics.push(
                Diagnostic::error(Code::F003, &source.name, name.span, text)
                    .hint(format!("the other one is in {other}: give one of them another name")),
            );
            continue;
        }
        let place =
            resolve::Place { file: &source.name, version: &version, texts: &texts, settings: &settings };
        let program = resolve::resolve(&place, &flow, &index, &mut used, &mut diagnostics);
        collect_routes(&flow, &name.value, &source.name, &mut routes, &mut diagnostics);
        programs.insert(name.value, Arc::new(program));
    }
    // A line that was not understood may have been the one that uses a message.
    if !broken {
        messages::unused(&index, &used, &mut diagnostics);
    }
    messages::clips(&index, &texts, sources, &mut diagnostics);
    diagnostics.iter_mut().for_each(|diagnostic| diagnostic.locate(|file| sources.text(file)));
    let order =
        |file: &str| sources.flows.iter().position(|source| source.name == file).unwrap_or(usize::MAX);
    diagnostics.sort_by_key(|diagnostic| {
        let first = diagnostic.labels.first();
        first.map(|label| (order(&label.file), label.file.clone(), label.start, diagnostic.code))
    });
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    let routes = routes.into_iter().map(|(route, ..)| route).collect();
    Ok(Catalog { version, programs, routes, texts, warnings: diagnostics })
}

/// The ways into a flow; two flows must not answer the same command.
fn collect_routes<'s>(
    flow: &Flow,
    name: &str,
    file: &'s str,
    routes: &mut Vec<(Route, &'s str, Span)>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let voice = flow.voice.iter().map(|n| (Channel::Voice, vec![Element::Literal(n.value.clone())], n.span));
    let pattern = |channel| {
        move |p: &Pattern| {
            (channel, p.value.iter().map(|element| element.value.clone()).collect::<Vec<_>>(), p.span)
        }
    };
    let ussd = flow.ussd.iter().map(pattern(Channel::Ussd));
    let sms = flow.sms.iter().map(pattern(Channel::Sms));
    for (channel, pattern, span) in voice.chain(ussd).chain(sms) {
        let route = Route { channel, flow: name.to_owned(), pattern };
        if let Some((other, other_file, other_span)) =
            routes.iter().find(|(other, ..)| other.overlaps(&route))
        {
            let text = format!("the flow `{}` answers this already", other.flow);
            diagnostics.push(
                Diagnostic::error(Code::F090, file, span, text)
                    .here("this")
                    .label(other_file, *other_span, "and this")
                    .hint("one call, code or message can only lead to one flow"),
            );
        }
        routes.push((route, file, span));
    }
}
