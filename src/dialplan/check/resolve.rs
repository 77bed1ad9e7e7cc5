//! From the tree of a flow to its program, and to the graph that the checker walks.
//!
//! Names become indices, messages and actions are compared with what they take. The program is only used when
//! no fault was found in any file, so what stands for a faulty part in it does not matter.

mod lines;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::catalog::Settings;
use crate::dialplan::check::STEPS_MAX;
use crate::dialplan::check::expressions::Typer;
use crate::dialplan::check::graph::{Graph, Node, Place as GraphPlace};
use crate::dialplan::check::messages::{Index, Slot};
use crate::dialplan::check::resolve::lines::Lines;
use crate::dialplan::check::scope::Scope;
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{
    FIRST_DIGIT, Program, Speech, Step, TRIES_DEFAULT, Target, VISITS_DEFAULT, Variable,
};
use crate::dialplan::route::Element;
use crate::dialplan::speak::Texts;
use crate::dialplan::syntax::ast::{self, Destination, Flow, GlobalKey};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::{Type, Value};

/// The file that a flow stands in and what it is compiled with.
pub(super) struct Place<'p> {
    pub(super) file: &'p str,
    pub(super) version: &'p Arc<str>,
    pub(super) texts: &'p Arc<Texts>,
    pub(super) settings: &'p Arc<Settings>,
}

/// Resolves a flow; faults go to `diagnostics`, the messages that it says to `used`.
pub(super) fn resolve(
    place: &Place<'_>,
    flow: &Flow,
    index: &Index,
    used: &mut BTreeSet<u16>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Program {
    let mut scope = Scope::of(flow, place.file, diagnostics);
    let mut resolver = Resolver {
        place,
        flow,
        index,
        used,
        diagnostics,
        scope: &mut scope,
        unknown_steps: BTreeSet::new(),
        unknown_messages: BTreeSet::new(),
        twice: false,
    };
    resolver.duplicate_steps();
    resolver.routes();
    let back = resolver.global_key(GlobalKey::Back);
    let main = resolver.global_key(GlobalKey::Main);
    let start = resolver.start();
    let (tries, tries_then) = resolver.limit(flow.tries.as_ref(), TRIES_DEFAULT);
    let (visits, visits_then) = resolver.limit(flow.visits.as_ref().or(flow.tries.as_ref()), VISITS_DEFAULT);
    let visits = if flow.visits.is_some() { visits } else { VISITS_DEFAULT };
    let giving_up = Node::Fork(vec![jump_node(tries_then, true), jump_node(visits_then, true), Vec::new()]);
    let (mut steps, mut places) = (Vec::new(), Vec::new());
    for (number, step) in flow.steps.iter().enumerate().take(STEPS_MAX) {
        let lines = Lines::new(&mut resolver, number, giving_up.clone(), (back, main));
        let (ops, mut nodes, broken) = lines.step(step);
        // Too many visits lead away before anything of the step happens.
        nodes.insert(0, Node::Fork(vec![jump_node(visits_then, true), Vec::new()]));
        steps.push(Step { name: Arc::from(step.name.value.as_str()), ops });
        places.push(GraphPlace { name: step.name.clone(), nodes, broken });
    }
    let give_up = [&flow.tries, &flow.visits].into_iter().flatten();
    let give_up = give_up.filter_map(|(_, to)| Some((resolver.step_index(to)?, to.span()))).collect();
    let incomplete = !resolver.unknown_steps.is_empty() || resolver.twice;
    let started = start.iter().map(|(variable, _)| *variable).collect();
    Graph {
        file: place.file,
        places,
        scope: &scope,
        start: started,
        main_key: main.is_some(),
        give_up,
        incomplete,
    }
    .check(diagnostics);
    program(place, flow, &scope, Parts { steps, start, tries, tries_then, visits, visits_then, back, main })
}

struct Parts {
    steps: Vec<Step>,
    start: Vec<(u16, Value)>,
    tries: u8,
    tries_then: Target,
    visits: u8,
    visits_then: Target,
    back: Option<char>,
    main: Option<char>,
}

fn program(place: &Place<'_>, flow: &Flow, scope: &Scope, parts: Parts) -> Program {
    let variables = scope
        .found
        .iter()
        .map(|found| Variable { name: found.name.clone(), ty: found.ty.unwrap_or(Type::Text) });
    Program {
        name: flow.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        version: place.version.clone(),
        steps: parts.steps,
        variables: variables.collect(),
        start: parts.start,
        caller: scope.index("caller"),
        tries: parts.tries,
        tries_then: parts.tries_then,
        visits: parts.visits,
        visits_then: parts.visits_then,
        back: parts.back,
        main: parts.main,
        pin_on_sms: flow.pin_on_sms.unwrap_or_default(),
        texts: place.texts.clone(),
        settings: place.settings.clone(),
    }
}

fn jump_node(target: Target, giving_up: bool) -> Vec<Node> {
    match target {
        Target::Step(step) => vec![Node::Jump { to: step.into(), giving_up }],
        Target::End => vec![Node::End],
    }
}

struct Resolver<'r> {
    place: &'r Place<'r>,
    flow: &'r Flow,
    index: &'r Index,
    used: &'r mut BTreeSet<u16>,
    diagnostics: &'r mut Vec<Diagnostic>,
    scope: &'r mut Scope,
    /// Steps and messages that were reported as missing: each is reported once.
    unknown_steps: BTreeSet<String>,
    unknown_messages: BTreeSet<String>,
    /// Whether two steps have one name: only the first can be reached.
    twice: bool,
}

impl Resolver<'_> {
    fn error(&mut self, code: Code, span: Span, text: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = Diagnostic::error(code, self.place.file, span, text);
        self.diagnostics.push(diagnostic.hint(hint));
    }

    fn duplicate_steps(&mut self) {
        for (number, step) in self.flow.steps.iter().enumerate() {
            let first = self.flow.steps.iter().take(number).find(|other| other.name.value == step.name.value);
            if let Some(first) = first.filter(|_| !step.name.value.is_empty()) {
                self.twice = true;
                let text = format!("there are two steps named `{}`", step.name.value);
                self.diagnostics.push(
                    Diagnostic::error(Code::F003, self.place.file, step.name.span, text)
                        .here("again")
                        .label(self.place.file, first.name.span, "first")
                        .hint("give one of them another name"),
                );
            }
        }
        if self.flow.steps.len() > STEPS_MAX {
            let span = self.flow.name.as_ref().map_or(Span::new(0, 0), |name| name.span);
            self.error(Code::F002, span, format!("a flow has at most {STEPS_MAX} steps"), "divide it");
        }
        if self.flow.steps.is_empty()
            && let Some(name) = &self.flow.name
        {
            self.error(Code::F031, name.span, "this flow has no step", "write `step NAME` and its lines");
        }
    }

    /// The slots of commands are variables that some question asks for.
    fn routes(&mut self) {
        for pattern in self.flow.ussd.iter().chain(&self.flow.sms) {
            for element in &pattern.value {
                let Element::Slot { name, .. } = &element.value else { continue };
                let variable = self.scope.used(name, element.span, self.place.file, self.diagnostics);
                if variable.is_some() && self.scope.type_of(name) == Some(Type::Secret) {
                    let hint = "it would be shown on the caller's screen and stay in it";
                    self.error(Code::F080, element.span, "a secret cannot be part of a command", hint);
                }
            }
        }
    }

    fn global_key(&mut self, wanted: GlobalKey) -> Option<char> {
        let flow = self.flow;
        let mut keys = flow.keys.iter().filter(|(_, meaning)| *meaning == wanted);
        let key = keys.next().map(|(key, _)| key.value);
        if let Some((second, _)) = keys.next() {
            self.error(Code::F003, second.span, "this key was already chosen", "choose one key");
        }
        // Both meanings are asked for in turn: a key with two is reported for one of them.
        if wanted == GlobalKey::Main
            && let Some((other, _)) =
                flow.keys.iter().find(|(other, m)| *m != wanted && Some(other.value) == key)
        {
            let text = format!("the key {} cannot mean both", other.value);
            self.error(Code::F072, other.span, text, "choose another key for one of them");
        }
        key
    }

    fn start(&mut self) -> Vec<(u16, Value)> {
        let flow = self.flow;
        let mut out = Vec::new();
        for (name, value) in &flow.start {
            let ty = self.scope.type_of(&name.value);
            if ty == Some(Type::Secret) {
                self.error(Code::F080, name.span, "a secret cannot be given", "ask the caller for it");
                continue;
            }
            match (self.scope.index(&name.value), self.value(value, ty)) {
                (Some(variable), Expression::Value(value)) => out.push((variable, value)),
                _ => self.error(
                    Code::F041,
                    value.span,
                    "a session can only start with a plain value",
                    "write a number, `yes`, `no` or a text",
                ),
            }
        }
        out
    }

    fn limit(&mut self, limit: Option<&(u8, Destination)>, default: u8) -> (u8, Target) {
        match limit {
            Some((count, to)) => (*count, self.target(to)),
            None => (default, Target::End),
        }
    }

    fn step_index(&self, to: &Destination) -> Option<usize> {
        match to {
            Destination::Step(name) => self.flow.steps.iter().position(|step| step.name.value == name.value),
            Destination::End(_) => None,
        }
    }

    fn target(&mut self, to: &Destination) -> Target {
        let Destination::Step(name) = to else { return Target::End };
        if let Some(index) = self.step_index(to) {
            return Target::Step(u16::try_from(index).unwrap_or(u16::MAX));
        }
        // A step whose own line was not understood may be the one that is meant.
        let unread = self.flow.steps.iter().any(|step| step.name.value.is_empty());
        if self.unknown_steps.insert(name.value.clone()) && !unread {
            let steps = self.flow.steps.iter().map(|step| step.name.value.as_str());
            let hint = match did_you_mean(&name.value, steps) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write `step {}` and its lines", name.value),
            };
            self.error(Code::F010, name.span, format!("there is no step `{}`", name.value), hint);
        }
        Target::End
    }

    fn typer(&mut self) -> Typer<'_> {
        Typer {
            scope: self.scope,
            settings: self.place.settings,
            file: self.place.file,
            diagnostics: self.diagnostics,
            uses: Vec::new(),
        }
    }

    /// A value whose place may want a type.
    fn value(&mut self, written: &Spanned<ast::Expression>, wanted: Option<Type>) -> Expression {
        let mut typer = self.typer();
        match wanted {
            Some(ty) => typer.expect(written, ty),
            None => typer.any(written).expression,
        }
    }

    /// A message with its arguments; the variables that it says go to `uses`.
    fn speech(&mut self, message: &ast::Message, uses: &mut Vec<(u16, Span)>) -> Speech {
        let key = &message.key.value;
        let index = self.index;
        let Some(entry) = index.entries.get(key) else {
            self.unknown_message(&message.key);
            let mut typer = self.typer();
            for argument in &message.arguments {
                typer.any(argument);
            }
            uses.append(&mut typer.uses);
            return Speech { message: 0, name: Arc::from(key.as_str()), arguments: Vec::new() };
        };
        self.used.insert(entry.index);
        if entry.slots.len() != message.arguments.len() {
            let names: Vec<&str> = entry.slots.iter().map(|(name, _)| name.as_str()).collect();
            let (wants, got) = (entry.slots.len(), message.arguments.len());
            let text = format!("`@{key}` takes {}, not {got}", counted(wants, "value"));
            let hint = if names.is_empty() {
                format!("write `@{key}`")
            } else {
                format!("write `@{key}({})`", names.join(", "))
            };
            self.diagnostics.push(
                Diagnostic::error(Code::F012, self.place.file, message.key.span, text)
                    .label(&entry.file, entry.span, "its slots are given here")
                    .hint(hint),
            );
        }
        let mut arguments = Vec::new();
        let mut typer = self.typer();
        for (argument, (_, slot)) in message.arguments.iter().zip(&entry.slots) {
            arguments.push(match slot {
                Slot::Value(ty) => typer.expect(argument, *ty),
                Slot::Key | Slot::Label | Slot::Unknown => typer.any(argument).expression,
            });
        }
        uses.append(&mut typer.uses);
        Speech { message: entry.index, name: Arc::from(key.as_str()), arguments }
    }

    fn unknown_message(&mut self, key: &Name) {
        if !self.unknown_messages.insert(key.value.clone()) || self.index.broken {
            return;
        }
        let keys = self.index.entries.keys().map(String::as_str);
        let hint = match did_you_mean(&key.value, keys) {
            Some(close) => format!("did you mean `@{close}`?"),
            None => format!("write `{}` and its text in the message file", key.value),
        };
        self.error(Code::F050, key.span, format!("there is no message `{}`", key.value), hint);
    }
}

/// `1 value`, `2 values`
fn counted(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// The time to the first key of a question.
fn first_key(options: &ast::Options) -> Duration {
    options.wait.unwrap_or(FIRST_DIGIT)
}
