//! The lines of one step: operations for the program, nodes for the graph.

mod actions;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dialplan::action::Action;
use crate::dialplan::check::graph::Node;
use crate::dialplan::check::resolve::{Resolver, first_key, jump_node};
use crate::dialplan::check::scope::answer_type;
use crate::dialplan::diagnostic::Code;
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{Ask, Branch, Choice, Given, Menu, Op, Parameter, Reading, Speech};
use crate::dialplan::route::Element;
use crate::dialplan::syntax::ast::{self, AskType, Destination, GivenThen, Line, Options};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::Type;

/// The most digits of any input.
const DIGITS_MAX: u8 = 40;
/// The most digits of an amount.
const MONEY_DIGITS_MAX: u8 = 9;

/// A `do` whose outcomes are being gathered.
struct Pending {
    name: Name,
    action: Option<&'static Action>,
    parameters: Vec<Parameter>,
    /// By the outcome's index.
    branches: Vec<(usize, Branch)>,
    seen: Vec<Name>,
    ways: Vec<Vec<Node>>,
}

/// The lines of one step while they are read.
pub(super) struct Lines<'l, 'r> {
    resolver: &'l mut Resolver<'r>,
    number: usize,
    giving_up: Node,
    back: Option<char>,
    main: Option<char>,
    ops: Vec<Op>,
    nodes: Vec<Node>,
    menu: Option<(Menu, Vec<Vec<Node>>, Span)>,
    pending: Option<Pending>,
    /// Whether the step has gone on: nothing after that can run.
    gone: bool,
    broken: bool,
    reported_dead: bool,
    /// What the last question for a secret said, and where the operation is.
    secret: Option<usize>,
}

impl<'l, 'r> Lines<'l, 'r> {
    pub(super) fn new(
        resolver: &'l mut Resolver<'r>,
        number: usize,
        giving_up: Node,
        (back, main): (Option<char>, Option<char>),
    ) -> Self {
        Self {
            resolver,
            number,
            giving_up,
            back,
            main,
            ops: Vec::new(),
            nodes: Vec::new(),
            menu: None,
            pending: None,
            gone: false,
            broken: false,
            reported_dead: false,
            secret: None,
        }
    }

    /// The operations and nodes of a step, and whether something in it was not understood.
    pub(super) fn step(mut self, step: &ast::Step) -> (Vec<Op>, Vec<Node>, bool) {
        self.broken = step.name.value.is_empty() || step.lines.iter().any(|line| line.value == Line::Broken);
        for line in &step.lines {
            self.line(line, step);
        }
        self.close_menu(step);
        self.close_action();
        if !self.gone && !self.broken {
            let text = format!("`{}` does not say where to go", step.name.value);
            let hint = "finish it with `-> step` or `-> end`";
            self.resolver.error(Code::F031, step.name.span, text, hint);
            self.broken = true;
        }
        (self.ops, self.nodes, self.broken)
    }

    fn line(&mut self, line: &Spanned<Line>, step: &ast::Step) {
        let belongs_to_menu = matches!(
            line.value,
            Line::Option(..)
                | Line::Key(..)
                | Line::Again(_)
                | Line::Silent(..)
                | Line::Wrong(..)
                | Line::Broken
        );
        if !belongs_to_menu {
            self.close_menu(step);
        }
        if !matches!(line.value, Line::On(..) | Line::Broken) {
            self.close_action();
        }
        if self.gone && !belongs_to_menu && !matches!(line.value, Line::On(..)) {
            if !self.reported_dead && !self.broken {
                let hint = "the step has already gone on in the line above";
                self.resolver.error(Code::F030, line.span, "this line is never reached", hint);
            }
            self.reported_dead = true;
        }
        match &line.value {
            Line::Given(slot, then) => self.given(slot, then, step),
            Line::Question(message, options) => self.question(message, options, line.span),
            Line::Ask(message, name, kind, options) => self.ask(message, name, kind, options),
            Line::Again(message) => self.wording(line.span, message, None, false),
            Line::Silent(count, message) => self.wording(line.span, message, Some(*count), true),
            Line::Wrong(count, message) => self.wording(line.span, message, Some(*count), false),
            Line::Option(key, label, actions, to) => self.option(key, Some(label), actions, to),
            Line::Key(key, actions, to) => self.option(key, None, actions, to),
            Line::Must(condition, otherwise) => {
                let condition = self.condition(condition);
                let (otherwise, uses) = self.speech(otherwise);
                let mut way = use_nodes(uses);
                way.push(Node::Jump { to: self.number, giving_up: false });
                self.nodes.push(Node::Fork(vec![way, Vec::new()]));
                self.ops.push(Op::Must { condition, otherwise });
            }
            Line::Do(name, arguments) => self.perform(name, arguments),
            Line::On(outcome, names, actions, to) => self.outcome(outcome, names, actions, to),
            Line::If(condition, to) => {
                let condition = self.condition(condition);
                let target = self.resolver.target(to);
                self.nodes.push(Node::Fork(vec![jump_node(target, false), Vec::new()]));
                self.ops.push(Op::If { condition, target });
            }
            Line::Mark(name) => self.ops.push(Op::Mark(Arc::from(name.value.as_str()))),
            Line::Goto(to) => {
                let target = self.resolver.target(to);
                self.nodes.extend(jump_node(target, false));
                self.ops.push(Op::Goto(target));
                self.gone = true;
            }
            Line::Hold => {
                self.nodes.push(Node::End);
                self.ops.push(Op::Hold);
                self.gone = true;
            }
            Line::Action(action) => {
                let (op, nodes) = self.action(action);
                self.ops.push(op);
                self.nodes.extend(nodes);
            }
            Line::Broken => {}
        }
    }

    fn error(&mut self, code: Code, span: Span, text: impl Into<String>, hint: impl Into<String>) {
        self.resolver.error(code, span, text, hint);
    }

    fn speech(&mut self, message: &ast::Message) -> (Speech, Vec<(u16, Span)>) {
        let mut uses = Vec::new();
        let speech = self.resolver.speech(message, &mut uses);
        (speech, uses)
    }

    fn condition(&mut self, written: &Spanned<ast::Expression>) -> Expression {
        let mut typer = self.resolver.typer();
        let condition = typer.expect(written, Type::Bool);
        let uses = std::mem::take(&mut typer.uses);
        self.nodes.extend(use_nodes(uses));
        condition
    }

    fn action(&mut self, action: &ast::Action) -> (Op, Vec<Node>) {
        match action {
            ast::Action::Tell(message) => {
                let (speech, uses) = self.speech(message);
                (Op::Tell(speech), use_nodes(uses))
            }
            ast::Action::SendSms(message) => {
                let (speech, uses) = self.speech(message);
                (Op::SendSms(speech), use_nodes(uses))
            }
            ast::Action::Set(name, value) => {
                let ty = self.resolver.scope.type_of(&name.value);
                if ty == Some(Type::Secret) {
                    let hint = "ask the caller for it, right before the action that takes it";
                    self.error(Code::F080, name.span, "a secret cannot be set", hint);
                }
                let mut typer = self.resolver.typer();
                let value = match ty.filter(|ty| *ty != Type::Secret) {
                    Some(ty) => typer.expect(value, ty),
                    None => typer.any(value).expression,
                };
                let mut nodes = use_nodes(std::mem::take(&mut typer.uses));
                let variable = self.resolver.scope.index(&name.value).unwrap_or_default();
                nodes.push(Node::Assign { variable, quoted: None });
                (Op::Set { variable, value }, nodes)
            }
        }
    }

    /// What stands before an arrow, and the arrow.
    fn block(&mut self, actions: &[Spanned<ast::Action>], to: &Destination) -> (Vec<Op>, Vec<Node>) {
        let (mut ops, mut nodes) = (Vec::new(), Vec::new());
        for action in actions {
            let (op, more) = self.action(&action.value);
            ops.push(op);
            nodes.extend(more);
        }
        let target = self.resolver.target(to);
        ops.push(Op::Goto(target));
        nodes.extend(jump_node(target, false));
        (ops, nodes)
    }

    // ---- questions

    fn given(&mut self, slot: &Name, then: &GivenThen, step: &ast::Step) {
        let served = self.resolver.flow.ussd.iter().chain(&self.resolver.flow.sms).any(|pattern| {
            pattern
                .value
                .iter()
                .any(|element| matches!(&element.value, Element::Slot { name, .. } if *name == slot.value))
        });
        if !served {
            let text = format!("no command of this flow gives `{}`", slot.value);
            self.error(Code::F013, slot.span, text, "name a slot of `serve ussd` or `serve sms`");
            return;
        }
        match then {
            GivenThen::Choose(key) => {
                let own = step
                    .lines
                    .iter()
                    .any(|line| matches!(&line.value, Line::Option(k, ..) if k.value == key.value));
                if !own && !self.broken {
                    let text = format!("this step has no key {}", key.value);
                    self.error(Code::F012, key.span, text, "choose a key of the same menu");
                }
                self.ops.push(Op::Given { slot: slot.value.clone(), then: Given::Choose { key: key.value } });
            }
            GivenThen::Goto(to) => {
                let target = self.resolver.target(to);
                let Some(variable) = self.resolver.scope.index(&slot.value) else { return };
                let reading = match self.resolver.scope.type_of(&slot.value) {
                    Some(Type::Money) => Reading::Money,
                    Some(Type::Phone) => Reading::Phone,
                    _ => Reading::Digits,
                };
                let (min, max) = self.limits(reading, None);
                let mut way = vec![Node::Assign { variable, quoted: None }];
                way.extend(jump_node(target, false));
                self.nodes.push(Node::Fork(vec![way, Vec::new()]));
                let then = Given::Goto { variable, reading, min, max, target };
                self.ops.push(Op::Given { slot: slot.value.clone(), then });
            }
        }
    }

    /// The digits that an input may have, checked against what was written.
    fn limits(&mut self, reading: Reading, written: Option<&Spanned<(u8, u8)>>) -> (u8, u8) {
        let settings = self.resolver.place.settings;
        let (most, default) = match reading {
            Reading::Digits => (DIGITS_MAX, (1, DIGITS_MAX)),
            Reading::Secret => (settings.pin_digits.1, settings.pin_digits),
            Reading::Phone => (20, (5, 20)),
            Reading::Money => (MONEY_DIGITS_MAX, (1, MONEY_DIGITS_MAX)),
        };
        let Some(digits) = written else { return default };
        let (min, max) = digits.value;
        let least = if reading == Reading::Secret { settings.pin_digits.0 } else { 1 };
        if min < least || max < min || max > most {
            let text = format!("{min}..{max} digits cannot be asked for here");
            let hint = format!("from {least} to {most} digits, the smaller number first");
            self.error(Code::F012, digits.span, text, hint);
            return default;
        }
        (min, max)
    }

    fn ask(&mut self, message: &ast::Message, name: &Name, kind: &Spanned<AskType>, options: &Options) {
        let (question, uses) = self.speech(message);
        let reading = match kind.value {
            AskType::Digits => Reading::Digits,
            AskType::Secret => Reading::Secret,
            AskType::Phone => Reading::Phone,
            AskType::Money => Reading::Money,
        };
        let (min, max) = self.limits(reading, options.digits.as_ref());
        let variable = self.resolver.scope.index(&name.value).unwrap_or_default();
        let heard: BTreeSet<u16> = question
            .arguments
            .iter()
            .filter_map(|argument| match argument {
                Expression::Variable(variable) => Some(*variable),
                _ => None,
            })
            .collect();
        self.nodes.extend(use_nodes(uses));
        self.nodes.extend([self.giving_up.clone(), Node::Input { menu: false }]);
        self.nodes.push(Node::Assign { variable, quoted: None });
        if answer_type(kind.value) == Type::Secret {
            self.nodes.push(Node::Confirm { heard });
            self.secret = Some(self.ops.len());
        }
        self.ops.push(Op::Ask(Box::new(Ask {
            question,
            again: None,
            silent: Vec::new(),
            wrong: Vec::new(),
            variable,
            reading,
            min,
            max,
            quiet: options.quiet || reading == Reading::Secret,
            barge_in: !options.no_barge_in,
            confirmation: false,
            wait: first_key(options),
        })));
    }

    fn question(&mut self, message: &ast::Message, options: &Options, span: Span) {
        let (speech, uses) = self.speech(message);
        if let Some(digits) = &options.digits {
            self.error(
                Code::F012,
                digits.span,
                "a menu takes one key",
                "remove the digits, or add `for NAME: digits`",
            );
        }
        self.nodes.extend(use_nodes(uses));
        let menu = Menu {
            question: vec![speech],
            again: None,
            silent: Vec::new(),
            wrong: Vec::new(),
            choices: Vec::new(),
            barge_in: !options.no_barge_in,
            wait: first_key(options),
            remembered: true,
        };
        self.menu = Some((menu, Vec::new(), span));
    }

    fn wording(&mut self, span: Span, message: &ast::Message, count: Option<u8>, silent: bool) {
        let (speech, uses) = self.speech(message);
        // It is said after the question was asked once, so it can use what the question uses.
        self.nodes.extend(use_nodes(uses));
        let (again, wordings) = match (&mut self.menu, self.ops.last_mut()) {
            (Some((menu, ..)), _) => {
                (&mut menu.again, if silent { &mut menu.silent } else { &mut menu.wrong })
            }
            (None, Some(Op::Ask(ask))) => {
                (&mut ask.again, if silent { &mut ask.silent } else { &mut ask.wrong })
            }
            _ => {
                self.error(
                    Code::F001,
                    span,
                    "this line belongs below a question",
                    "write it right after `ask`",
                );
                return;
            }
        };
        match count {
            None => *again = Some(speech),
            Some(count) => {
                wordings.push((count, speech));
                wordings.sort_by_key(|(count, _)| *count);
            }
        }
    }

    fn option(
        &mut self,
        key: &Spanned<char>,
        label: Option<&ast::Message>,
        actions: &[Spanned<ast::Action>],
        to: &Destination,
    ) {
        if self.menu.is_none() && !self.open_wait(key.span) {
            return;
        }
        let (label, mut nodes) = match label {
            Some(label) => {
                let (speech, uses) = self.speech(label);
                (Some(speech), use_nodes(uses))
            }
            None => (None, Vec::new()),
        };
        if label.is_some() && [self.back, self.main].contains(&Some(key.value)) {
            let text = format!("the key {} already has a meaning in the whole flow", key.value);
            self.error(Code::F070, key.span, text, "choose another key, or change the line `keys`");
        }
        let (block, way) = self.block(actions, to);
        nodes.extend(way);
        let Some((menu, ways, _)) = &mut self.menu else { return };
        if menu.choices.iter().any(|choice| choice.key == key.value) {
            let text = format!("the key {} is used twice in this menu", key.value);
            self.error(Code::F072, key.span, text, "choose another key");
            return;
        }
        menu.choices.push(Choice { key: key.value, label, block });
        ways.push(nodes);
    }

    /// An announcement that waits for a key: what was told before is its question.
    fn open_wait(&mut self, span: Span) -> bool {
        let mut question = Vec::new();
        while let Some(Op::Tell(speech)) = self.ops.last() {
            question.insert(0, speech.clone());
            self.ops.pop();
        }
        if question.is_empty() {
            let hint = "say something first: `tell @…`, or `ask @…` in a menu";
            self.error(Code::F001, span, "a key is awaited, but nothing was asked or told", hint);
            self.broken = true;
            return false;
        }
        let menu = Menu {
            question,
            again: None,
            silent: Vec::new(),
            wrong: Vec::new(),
            choices: Vec::new(),
            barge_in: true,
            wait: first_key(&Options::default()),
            remembered: false,
        };
        self.menu = Some((menu, Vec::new(), span));
        true
    }

    fn close_menu(&mut self, step: &ast::Step) {
        let Some((menu, ways, span)) = self.menu.take() else { return };
        if menu.choices.is_empty() {
            if !self.broken {
                let text = format!("the question of `{}` has no answers", step.name.value);
                self.error(Code::F031, span, text, "add keys: `1 @label -> step`, or `for NAME: digits`");
                self.broken = true;
            }
        } else {
            self.nodes.extend([self.giving_up.clone(), Node::Input { menu: true }, Node::Fork(ways)]);
        }
        self.ops.push(Op::Menu(Box::new(menu)));
        self.gone = true;
    }
}

fn use_nodes(uses: Vec<(u16, Span)>) -> Vec<Node> {
    uses.into_iter().map(|(variable, span)| Node::Use { variable, span }).collect()
}
