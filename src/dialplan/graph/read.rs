//! From a compiled program to what a picture shows of it.

use std::collections::BTreeMap;

use crate::dialplan::action::Meaning;
use crate::dialplan::catalog::Catalog;
use crate::dialplan::graph::{Card, Exit, Kind, Line, Picture, Style, To, When, wording};
use crate::dialplan::program::{
    Ask, Each, Given, Limits, Menu, Op, Parameter, Program, Reading, Speech, Step, Target,
};

impl Picture {
    /// Reads a program of a catalogue.
    #[must_use]
    pub fn of(catalog: &Catalog, program: &Program) -> Self {
        let own = (0..).zip(&program.steps).filter(|(_, step)| step.part == 0);
        let (mut places, mut cards) = (BTreeMap::new(), Vec::new());
        for (index, step) in own {
            places.insert(usize::from(index), cards.len());
            cards.push(card(program, index, step));
        }
        cards.extend(entries(catalog, program));
        others(program, &mut places, &mut cards);
        for exit in cards.iter_mut().flat_map(|card| &mut card.exits) {
            if let To::Card(step) = exit.to {
                exit.to = places.get(&step).map_or(To::End, |card| To::Card(*card));
            }
        }
        let mut notes = Vec::new();
        notes.extend(program.back.map(|key| format!("{key} goes back")));
        notes.extend(program.main.map(|key| format!("{key} in a menu goes to the start")));
        notes.extend(program.resume.map(|time| format!("may be resumed for {}", wording::duration(time))));
        if program.draft {
            notes.push("a draft, for testers only".to_owned());
        }
        Self {
            flow: program.name.clone(),
            number: program.number,
            version: program.version.to_string(),
            notes,
            cards,
        }
    }
}

/// A card for each flow that is handed over to: its steps are in a picture of its own.
fn others(program: &Program, places: &mut BTreeMap<usize, usize>, cards: &mut Vec<Card>) {
    let reached: Vec<usize> = cards.iter().flat_map(Card::targets).collect();
    for part in program.others.iter().filter(|part| reached.contains(&part.first.into())) {
        places.insert(part.first.into(), cards.len());
        cards.push(Card {
            name: format!("flow {}", part.name),
            kind: Kind::End,
            gives_up: false,
            secret: false,
            body: vec![Line {
                style: Style::Noted,
                text: "goes on there, with the caller and the language".to_owned(),
                words: String::new(),
            }],
            exits: Vec::new(),
        });
    }
}

/// The ways into the flow that stand before its steps.
fn entries(catalog: &Catalog, program: &Program) -> Vec<Card> {
    let note = |text: String| Line { style: Style::Noted, text, words: String::new() };
    let entry = |name: &str, body, to| Card {
        name: name.to_owned(),
        kind: Kind::Entry,
        gives_up: false,
        secret: false,
        body,
        exits: vec![Exit { when: When::Always, label: String::new(), said: Vec::new(), to, pending: false }],
    };
    let routes: Vec<Line> = catalog
        .routes
        .iter()
        .filter(|route| route.flow == program.name && route.draft == program.draft)
        .map(|r| note(wording::route(r)))
        .collect();
    let mut out = vec![entry("start", routes, To::Card(0))];
    if !program.own.open.is_empty() {
        let hours = vec![note(format!("open {}", wording::hours(&program.own.open)))];
        out.push(entry("outside the hours", hours, target(program.own.open_else)));
    }
    for (frame, limits, around) in limits(program) {
        let name = if frame.is_empty() { "giving up".to_owned() } else { format!("{frame}/giving up") };
        let tries = note(format!("{} wrong answers in a step", limits.tries));
        let visits = note(format!("more than {} entries of a step", limits.visits));
        let mut ways: Vec<(Vec<Line>, Target)> = Vec::new();
        let own = |limits: &Limits| (limits.tries, limits.tries_then);
        if around.as_ref().map(own) != Some(own(&limits)) {
            ways.push((vec![tries], limits.tries_then));
        }
        let own = |limits: &Limits| (limits.visits, limits.visits_then);
        if around.as_ref().map(own) != Some(own(&limits)) {
            match ways.last_mut() {
                Some((body, to)) if *to == limits.visits_then => body.push(visits),
                _ => ways.push((vec![visits], limits.visits_then)),
            }
        }
        let drawn = ways.into_iter().filter(|(_, to)| matches!(to, Target::Step(_)));
        out.extend(drawn.map(|(body, to)| entry(&name, body, target(to))));
    }
    if let Some(step) = program.own.hangup {
        out.push(entry("the caller goes", vec![note("before the end".to_owned())], To::Card(step.into())));
    }
    out
}

/// When callers are given up in the flow's own steps, and in the sub-flows of a step, with what holds around those.
pub(crate) fn limits(program: &Program) -> Vec<(&str, Limits, Option<Limits>)> {
    let mut out: Vec<(&str, Limits, Option<Limits>)> = vec![("", program.limits(0), None)];
    for step in program.steps.iter().filter(|step| step.part == 0) {
        let Some((frame, _)) = step.name.rsplit_once('/') else { continue };
        if !out.iter().any(|(other, ..)| *other == frame) {
            let outer = frame.rsplit_once('/').map_or("", |(outer, _)| outer);
            let around = out.iter().find(|(other, ..)| *other == outer).map(|(_, limits, _)| *limits);
            out.push((frame, step.limits, around.or_else(|| Some(program.limits(0)))));
        }
    }
    out
}

fn target(target: Target) -> To {
    match target {
        Target::Step(step) => To::Card(step.into()),
        Target::End => To::End,
    }
}

fn card(program: &Program, index: u16, step: &Step) -> Card {
    let mut reader = Reader {
        program,
        index,
        body: Vec::new(),
        exits: Vec::new(),
        kind: Kind::Say,
        decided: false,
        secret: false,
    };
    for op in &step.ops {
        reader.op(op);
    }
    let ends = !reader.exits.is_empty() && reader.exits.iter().all(|exit| exit.to == To::End);
    let kind = if reader.kind == Kind::Say && ends { Kind::End } else { reader.kind };
    let here = Target::Step(index);
    let limits = program.steps.iter().map(|step| step.limits);
    let gives_up = limits.into_iter().any(|limits| limits.tries_then == here || limits.visits_then == here);
    Card {
        name: step.name.to_string(),
        kind,
        gives_up,
        secret: reader.secret,
        body: reader.body,
        exits: reader.exits,
    }
}

/// Collects what a step shows.
struct Reader<'p> {
    program: &'p Program,
    index: u16,
    body: Vec<Line>,
    exits: Vec<Exit>,
    kind: Kind,
    /// Whether a condition has led some callers elsewhere already.
    decided: bool,
    secret: bool,
}

impl Reader<'_> {
    fn op(&mut self, op: &Op) {
        match op {
            Op::Given { slot, then: Given::Goto { target, .. } } => {
                self.exit(When::Condition, format!("if {slot} given"), Vec::new(), *target);
            }
            Op::Given { slot, then: Given::Choose { key } } => {
                self.note(format!("{slot} given: as key {key}"));
            }
            Op::Ask(ask) => self.ask(ask),
            Op::Menu(menu) => self.menu(menu),
            Op::Must { condition, otherwise } => {
                let label = format!("must {}", wording::expression(self.program, condition));
                let said = vec![format!("@{}", otherwise.name)];
                self.push(When::Condition, label, said, To::Again, false);
            }
            Op::Tell(speech) => self.speech(Style::Told, speech),
            Op::SendSms(speech) => self.speech(Style::Sms, speech),
            Op::Set { variable, value } => {
                let variable = wording::variable(self.program, *variable);
                self.note(format!("{variable} = {}", wording::expression(self.program, value)));
            }
            Op::If { condition, target } => {
                let label = format!("if {}", wording::expression(self.program, condition));
                self.exit(When::Condition, label, Vec::new(), *target);
                self.decided = true;
            }
            Op::Mark(name) => self.note(format!("mark {name}")),
            Op::Language(tag) => self.note(format!("language {tag}")),
            Op::Clear(_) => self.note("calls the steps in its frame".to_owned()),
            Op::Goto(target) => {
                let label = if self.decided { "else" } else { "" };
                self.exit(When::Always, label.to_owned(), Vec::new(), *target);
            }
            Op::Begin(part) => {
                let label = if self.decided { "else" } else { "" };
                self.exit(When::Always, label.to_owned(), Vec::new(), self.first_of(*part));
            }
            Op::Do { action, arguments, branches } => {
                self.kind = self.kind.max(if action.moves_money() { Kind::Money } else { Kind::Action });
                let given: Vec<String> = arguments.iter().map(|argument| self.parameter(argument)).collect();
                let call = if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) };
                let text = format!("{}{call}", action.name);
                self.body.push(Line { style: Style::Done, text, words: action.about.to_owned() });
                for (outcome, branch) in action.outcomes.iter().zip(branches) {
                    let pending = outcome.meaning == Meaning::Pending;
                    self.block(When::Outcome, outcome.name, Vec::new(), &branch.block, pending);
                }
            }
            Op::Hold => self.push(When::Always, String::new(), Vec::new(), To::Hold, false),
        }
    }

    fn ask(&mut self, ask: &Ask) {
        let secret = ask.reading == Reading::Secret;
        self.secret |= secret;
        self.kind = self.kind.max(if secret { Kind::Secret } else { Kind::Question });
        self.speech(Style::Asked, &ask.question);
        let kind = match ask.reading {
            Reading::Digits => "digits",
            Reading::Secret => "secret",
            Reading::Phone => "phone",
            Reading::Money => "money",
            Reading::YesNo => "yes/no",
            Reading::Date => "date",
        };
        let length = match (ask.reading, ask.min == ask.max) {
            (Reading::YesNo | Reading::Date, _) => String::new(),
            (_, true) => format!(", {} digits", ask.max),
            _ => format!(", {}..{} digits", ask.min, ask.max),
        };
        self.note(format!("{}: {kind}{length}", wording::variable(self.program, ask.variable)));
    }

    fn menu(&mut self, menu: &Menu) {
        self.kind = self.kind.max(Kind::Menu);
        for speech in &menu.question {
            self.speech(Style::Asked, speech);
        }
        for choice in &menu.choices {
            let said = choice.label.iter().map(|label| wording::words(self.program, label)).collect();
            self.block(When::Key, &choice.key.to_string(), said, &choice.block, false);
        }
        if let Some(each) = &menu.each {
            self.each(each);
        }
    }

    fn each(&mut self, each: &Each) {
        let item = wording::variable(self.program, each.item);
        let list = wording::expression(self.program, &each.list);
        let label = format!("each {item} in {list}");
        let said = vec![wording::words(self.program, &each.label)];
        self.block(When::Key, &label, said, &each.block, false);
        self.block(When::Condition, "none", Vec::new(), &each.empty, false);
    }

    /// A branch: what it tells goes on the way; without a way of its own it goes on in the step.
    fn block(&mut self, when: When, label: &str, said: Vec<String>, block: &[Op], pending: bool) {
        let mut said = said;
        for op in block {
            match op {
                Op::Tell(speech) => said.push(format!("@{}", speech.name)),
                Op::SendSms(speech) => said.push(format!("sms @{}", speech.name)),
                Op::Language(tag) => said.push(format!("language {tag}")),
                Op::If { condition, target } => {
                    let condition = wording::expression(self.program, condition);
                    let to = self.to(*target);
                    self.push(when, format!("{label}, if {condition}"), said.clone(), to, pending);
                }
                Op::Goto(target) => {
                    let to = self.to(*target);
                    self.push(when, label.to_owned(), said, to, pending);
                    return;
                }
                Op::Begin(part) => {
                    let to = self.to(self.first_of(*part));
                    self.push(when, label.to_owned(), said, to, pending);
                    return;
                }
                Op::Hold => {
                    self.push(when, label.to_owned(), said, To::Hold, pending);
                    return;
                }
                _ => {}
            }
        }
    }

    fn exit(&mut self, when: When, label: String, said: Vec<String>, target: Target) {
        let to = self.to(target);
        self.push(when, label, said, to, false);
    }

    /// The first step of a flow that is handed over to.
    fn first_of(&self, part: u16) -> Target {
        self.program.part(part).map_or(Target::End, |part| Target::Step(part.first))
    }

    fn to(&self, target: Target) -> To {
        if target == Target::Step(self.index) { To::Again } else { self::target(target) }
    }

    fn push(&mut self, when: When, label: String, said: Vec<String>, to: To, pending: bool) {
        self.exits.push(Exit { when, label, said, to, pending });
    }

    fn note(&mut self, text: String) {
        self.body.push(Line { style: Style::Noted, text, words: String::new() });
    }

    fn speech(&mut self, style: Style, speech: &Speech) {
        let words = wording::words(self.program, speech);
        self.body.push(Line { style, text: format!("@{}", speech.name), words });
    }

    fn parameter(&self, parameter: &Parameter) -> String {
        match parameter {
            Parameter::Value(expression) => wording::expression(self.program, expression),
            Parameter::Secret(variable) => wording::variable(self.program, *variable),
        }
    }
}
