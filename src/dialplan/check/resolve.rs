//! From the tree of a flow, and of all that it calls, to its program, and to the graph that the checker walks.
//!
//! Names become indices, messages and actions are compared with what they take. The program is only used when
//! no fault was found in any file, so what stands for a faulty part in it does not matter.

mod head;
mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::dialplan::catalog::Settings;
use crate::dialplan::check::calls::{Frame, Layout, Subs, Written};
use crate::dialplan::check::expressions::Typer;
use crate::dialplan::check::graph::{Graph, Node, Place as GraphPlace};
use crate::dialplan::check::messages::{Index, Slot};
use crate::dialplan::check::resolve::lines::{Called, Lines};
use crate::dialplan::check::scope::Scope;
use crate::dialplan::check::suggestion;
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{FIRST_DIGIT, Limits, Part, Program, Speech, Step, Target, Variable};
use crate::dialplan::speak::Texts;
use crate::dialplan::syntax::ast::{self, Destination, Flow, Line};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::{Type, Value};

/// The name of the hidden step that runs when the caller goes.
const HANGUP: &str = "on hangup";

/// What all flows of a folder are compiled with.
pub(super) struct Place<'p> {
    pub(super) texts: &'p Arc<Texts>,
    pub(super) settings: &'p Arc<Settings>,
    pub(super) index: &'p Index,
    pub(super) subs: &'p Subs<'p>,
}

/// A flow that was resolved.
pub(super) struct Resolved {
    pub(super) program: Program,
    /// The messages that it says.
    pub(super) used: BTreeSet<u16>,
    /// The files that it is made from: its own first.
    pub(super) files: Vec<Arc<str>>,
    /// Where each step stands.
    pub(super) places: Vec<(Arc<str>, Span)>,
}

/// Resolves a flow, or a sub-flow that nothing calls; faults go to `diagnostics`. The program's version is not set.
pub(super) fn resolve(place: &Place<'_>, written: &Written, diagnostics: &mut Vec<Diagnostic>) -> Resolved {
    let layout = Layout::of(written, place.subs, diagnostics);
    let mut scope = Scope::of(&layout, diagnostics);
    let mut used = BTreeSet::new();
    let mut resolver = Resolver {
        place,
        layout: &layout,
        frame: 0,
        index: place.index,
        used: &mut used,
        diagnostics,
        scope: &mut scope,
        limits: Vec::new(),
        called: BTreeMap::new(),
        unknown_steps: BTreeSet::new(),
        unknown_messages: BTreeSet::new(),
        incomplete: false,
    };
    let mut head = resolver.heads();
    let mut body = resolver.steps(&head);
    let hangups = resolver.hangups(&mut head, &mut body);
    let incomplete = !resolver.unknown_steps.is_empty() || resolver.incomplete;
    let give_up = resolver.give_up();
    let started = resolver.set_at_start(&head);
    let places = body.places.iter().map(|place| (place.file.clone(), place.name.span)).collect();
    Graph {
        places: body.places,
        scope: &scope,
        start: started,
        starts: std::iter::once(0).chain(target_step(head.own.open_else)).collect(),
        main_key: head.main.is_some(),
        give_up,
        hangups,
        incomplete,
    }
    .check(diagnostics);
    let files = layout.frames.iter().map(|frame| frame.file.clone());
    let mut seen = BTreeSet::new();
    let files = files.filter(|file| seen.insert(file.clone())).collect();
    Resolved { program: program(place, written, &scope, head, body.steps), used, files, places }
}

/// What the head of a flow says, and how the flows begin that it hands over to.
struct Head {
    start: Vec<(u16, Value)>,
    back: Option<char>,
    main: Option<char>,
    own: Part,
    others: Vec<Part>,
}

/// The steps, for the program and for the graph.
#[derive(Default)]
struct Body {
    steps: Vec<Step>,
    places: Vec<GraphPlace>,
}

fn program(place: &Place<'_>, written: &Written, scope: &Scope, head: Head, steps: Vec<Step>) -> Program {
    let flow = &written.flow;
    let variables = scope
        .found
        .iter()
        .map(|found| Variable { name: found.name.clone(), ty: found.ty.unwrap_or(Type::Text) });
    Program {
        name: written.name().to_owned(),
        number: flow.version,
        version: Arc::from(""),
        steps,
        variables: variables.collect(),
        start: head.start,
        caller: scope.caller(),
        back: head.back,
        main: head.main,
        pin_on_sms: flow.pin_on_sms.unwrap_or_default(),
        own: head.own,
        others: head.others,
        resume: flow.resume.as_ref().map(|resume| resume.value),
        draft: flow.draft.is_some(),
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

fn target_step(target: Target) -> Option<usize> {
    match target {
        Target::Step(step) => Some(step.into()),
        Target::End => None,
    }
}

struct Resolver<'r> {
    place: &'r Place<'r>,
    layout: &'r Layout<'r>,
    /// The frame whose lines are being resolved.
    frame: usize,
    index: &'r Index,
    used: &'r mut BTreeSet<u16>,
    diagnostics: &'r mut Vec<Diagnostic>,
    scope: &'r mut Scope,
    /// By frame.
    limits: Vec<Limits>,
    /// What the callers of frames do with their outcomes.
    called: BTreeMap<usize, Called>,
    /// Steps and messages that were reported as missing: each is reported once.
    unknown_steps: BTreeSet<(usize, String)>,
    unknown_messages: BTreeSet<String>,
    /// Whether steps seem out of reach because of what is reported already: two of one name, outcomes that nothing returns.
    incomplete: bool,
}

impl<'r> Resolver<'r> {
    fn own(&self) -> &'r Frame<'r> {
        // The layout has a frame for the flow itself, and the others are numbered by it.
        #[expect(clippy::indexing_slicing, reason = "frames are only entered by their numbers in the layout")]
        &self.layout.frames[self.frame]
    }

    fn flow(&self) -> &'r Flow {
        self.own().flow
    }

    fn file(&self) -> &'r Arc<str> {
        &self.own().file
    }

    /// The flow that callers reach: the one at the root of all calls.
    fn root(&self) -> &'r Flow {
        self.layout.frames.first().map_or_else(|| self.flow(), |frame| frame.flow)
    }

    fn enter(&mut self, frame: usize) {
        self.frame = frame;
        self.scope.enter(frame, self.own());
    }

    fn error(&mut self, code: Code, span: Span, text: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = Diagnostic::error(code, self.file(), span, text);
        self.diagnostics.push(diagnostic.hint(hint));
    }

    fn steps(&mut self, head: &Head) -> Body {
        let mut body = Body::default();
        let layout = self.layout;
        for (number, (frame, index)) in layout.order.iter().enumerate() {
            self.enter(*frame);
            let Some(step) = self.flow().steps.get(*index) else { continue };
            let name = format!("{}{}", self.own().prefix, step.name.value);
            self.step(number, &Spanned::new(name, step.name.span), step, Some(*index), head, &mut body);
        }
        self.enter(0);
        body
    }

    fn step(
        &mut self,
        number: usize,
        name: &Name,
        step: &ast::Step,
        index: Option<usize>,
        head: &Head,
        body: &mut Body,
    ) {
        let limits = self.limits.get(self.frame).copied().unwrap_or_default();
        let give_up = [limits.tries_then, limits.visits_then].map(|target| jump_node(target, true));
        let giving_up = Node::Fork(give_up.into_iter().chain([Vec::new()]).collect());
        let child = index.and_then(|index| self.own().calls.get(&index).copied());
        let lines = Lines::new(self, (number, child), giving_up, (head.back, head.main));
        let (ops, mut nodes, broken) = lines.step(step);
        // Too many visits lead away before anything of the step happens.
        if index.is_some() {
            nodes.insert(0, Node::Fork(vec![jump_node(limits.visits_then, true), Vec::new()]));
        }
        let part = self.own().part;
        let index = u16::try_from(part).unwrap_or(u16::MAX);
        body.steps.push(Step { name: Arc::from(name.value.as_str()), part: index, ops, limits });
        body.places.push(GraphPlace { file: self.file().clone(), name: name.clone(), nodes, broken, part });
    }

    /// The lines of `on hangup` of each flow as the last steps.
    fn hangups(&mut self, head: &mut Head, body: &mut Body) -> Vec<Option<usize>> {
        let layout = self.layout;
        let mut out = Vec::new();
        for (part, (_, frame)) in layout.flows.iter().enumerate() {
            self.enter(*frame);
            let step = self.hangup(head, body);
            let known = part.checked_sub(1).map_or(Some(&mut head.own), |part| head.others.get_mut(part));
            if let Some(known) = known {
                known.hangup = step.and_then(|step| u16::try_from(step).ok());
            }
            out.push(step);
        }
        self.enter(0);
        out
    }

    fn hangup(&mut self, head: &Head, body: &mut Body) -> Option<usize> {
        let lines = self.flow().on_hangup.as_ref()?;
        let number = body.steps.len();
        let name = Spanned::new(format!("{}{HANGUP}", self.own().prefix), lines.span);
        let mut step = ast::Step { name: name.clone(), menu: false, lines: lines.value.clone() };
        if !step.lines.iter().any(|line| matches!(line.value, Line::Goto(_))) {
            step.lines.push(Spanned::new(Line::Goto(Destination::End(lines.span)), lines.span));
        }
        self.step(number, &name, &step, None, head, body);
        Some(number)
    }

    /// What is set when a conversation begins; a sub-flow that is looked at alone has its parameters too.
    fn set_at_start(&mut self, head: &Head) -> BTreeSet<u16> {
        let mut set: BTreeSet<u16> = head.start.iter().map(|(variable, _)| *variable).collect();
        set.extend(self.scope.params());
        if let Some(signature) = self.own().signature() {
            set.extend(signature.parameters.iter().filter_map(|(name, _)| self.scope.index(&name.value)));
            set.extend(self.scope.caller());
        }
        set
    }

    fn step_index(&self, to: &Destination) -> Option<usize> {
        match to {
            Destination::Step(name) => self.own().steps.get(name.value.as_str()).copied(),
            Destination::End(_) | Destination::Return(..) | Destination::Flow(_) => None,
        }
    }

    fn target(&mut self, to: &Destination) -> Target {
        let Destination::Step(name) = to else { return Target::End };
        if let Some(index) = self.step_index(to) {
            return Target::Step(u16::try_from(index).unwrap_or(u16::MAX));
        }
        let flow = self.flow();
        // A step whose own line was not understood may be the one that is meant; one of too many is not there.
        let unread = flow.steps.iter().any(|step| step.name.value.is_empty()) || self.layout.full;
        if self.unknown_steps.insert((self.frame, name.value.clone())) && !unread {
            let steps = flow.steps.iter().map(|step| step.name.value.as_str());
            let hint = match suggestion(self.diagnostics, &name.value, steps) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write `step {}` and its lines", name.value),
            };
            self.error(Code::F010, name.span, format!("there is no step `{}`", name.value), hint);
        }
        Target::End
    }

    fn typer(&mut self) -> Typer<'_> {
        let file = self.file();
        Typer {
            scope: self.scope,
            settings: self.place.settings,
            file,
            diagnostics: self.diagnostics,
            uses: Vec::new(),
        }
    }

    /// A language that messages are written in.
    fn language(&mut self, tag: &Name) -> Arc<str> {
        let texts = self.place.texts;
        if !texts.has_language(&tag.value) && !self.index.broken {
            let hint = match did_you_mean(&tag.value, texts.languages()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!(
                    "write `messages/{}.msg`; there is {}",
                    tag.value,
                    texts.languages().collect::<Vec<_>>().join(", ")
                ),
            };
            self.error(Code::F019, tag.span, format!("there are no messages in `{}`", tag.value), hint);
        }
        Arc::from(tag.value.as_str())
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
                Diagnostic::error(Code::F012, self.file(), message.key.span, text)
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
        let hint = match suggestion(self.diagnostics, &key.value, keys) {
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
