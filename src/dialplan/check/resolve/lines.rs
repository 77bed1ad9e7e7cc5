//! The lines of one step: operations for the program, nodes for the graph.

mod actions;
mod calls;
mod flows;
mod questions;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dialplan::action::Action;
use crate::dialplan::check::expressions::known_when;
use crate::dialplan::check::graph::{Node, said};
use crate::dialplan::check::resolve::{Resolver, jump_node};
use crate::dialplan::diagnostic::Code;
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{Branch, Menu, Op, Parameter, Speech};
use crate::dialplan::syntax::ast::{self, Destination, Line, Signature};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::Type;

/// What ends in outcomes.
enum Awaited {
    /// An action with its arguments; nothing if there is no such action.
    Action(Option<&'static Action>, Vec<Parameter>),
    /// A sub-flow; nothing if there is no such sub-flow.
    Sub(Option<Signature>),
}

/// A `do` or a `call` whose outcomes are being gathered.
struct Pending {
    name: Name,
    awaited: Awaited,
    /// Of an action, by the outcome's index.
    branches: Vec<(usize, Branch)>,
    seen: Vec<Name>,
    ways: Vec<Vec<Node>>,
    called: Called,
}

/// What a caller does with the outcomes of a call, by name: each `return` does it in its own place.
#[derive(Default)]
pub(super) struct Called(BTreeMap<String, Returned>);

/// What follows a `return`.
#[derive(Clone)]
struct Returned {
    /// Variables of the caller for the values.
    bind: Vec<u16>,
    ops: Vec<Op>,
    nodes: Vec<Node>,
}

/// A menu whose options are being gathered.
struct Open {
    menu: Menu,
    /// What happens after each option.
    ways: Vec<Vec<Node>>,
    keys: Vec<Spanned<char>>,
    /// What happens when its list is empty.
    empty: Option<(Vec<Op>, Vec<Node>, Span)>,
    /// The place of its `each`.
    each: Option<Span>,
    span: Span,
}

impl Open {
    fn new(menu: Menu, span: Span) -> Self {
        Self { menu, ways: Vec::new(), keys: Vec::new(), empty: None, each: None, span }
    }
}

/// The lines of one step while they are read.
pub(super) struct Lines<'l, 'r> {
    resolver: &'l mut Resolver<'r>,
    number: usize,
    /// The frame that the step calls.
    child: Option<usize>,
    giving_up: Node,
    back: Option<char>,
    main: Option<char>,
    ops: Vec<Op>,
    nodes: Vec<Node>,
    menu: Option<Open>,
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
        (number, child): (usize, Option<usize>),
        giving_up: Node,
        (back, main): (Option<char>, Option<char>),
    ) -> Self {
        Self {
            resolver,
            number,
            child,
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
                | Line::Each(_)
                | Line::Empty(..)
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
            Line::Each(each) => self.each(each, line.span),
            Line::Empty(message, actions, to) => self.empty(message.as_ref(), actions, to, line.span),
            Line::Must(condition, otherwise) => self.must(condition, otherwise),
            Line::Do(name, arguments) => self.perform(name, arguments),
            Line::Call(name, arguments) => self.call(name, arguments),
            Line::On(outcome, names, actions, to) => self.outcome(outcome, names, actions, to),
            Line::If(condition, to) => self.condition(condition, to),
            Line::Mark(name) => self.ops.push(Op::Mark(Arc::from(name.value.as_str()))),
            Line::Goto(to) => self.leave_step(to),
            Line::Return(name, values) => {
                self.leave_step(&Destination::Return(name.clone(), values.clone()));
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

    fn must(&mut self, condition: &Spanned<ast::Expression>, otherwise: &ast::Message) {
        let condition = self.truth(condition);
        let (otherwise, uses) = self.speech(otherwise);
        let mut way = known_nodes(&condition, false);
        way.extend(use_nodes(uses));
        way.push(Node::Jump { to: self.number, giving_up: false });
        self.nodes.push(Node::Fork(vec![way, known_nodes(&condition, true)]));
        self.ops.push(Op::Must { condition, otherwise });
    }

    fn condition(&mut self, condition: &Spanned<ast::Expression>, to: &Destination) {
        let condition = self.truth(condition);
        let target = self.resolver.target(to);
        let mut way = known_nodes(&condition, true);
        way.extend(jump_node(target, false));
        self.nodes.push(Node::Fork(vec![way, known_nodes(&condition, false)]));
        self.ops.push(Op::If { condition, target });
    }

    fn truth(&mut self, written: &Spanned<ast::Expression>) -> Expression {
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
            ast::Action::Language(tag) => (Op::Language(self.resolver.language(tag)), Vec::new()),
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
                nodes.push(Node::Assign { variable, quoted: None, copy: said(&value) });
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
        let (way, more) = self.leave(to);
        ops.extend(way);
        nodes.extend(more);
        (ops, nodes)
    }

    /// To a step, to the end, back to where the sub-flow was called, or to another flow.
    fn leave(&mut self, to: &Destination) -> (Vec<Op>, Vec<Node>) {
        match to {
            Destination::Return(name, values) => return self.returns(name, values),
            Destination::Flow(name) => return self.hand_over(name),
            Destination::Step(_) | Destination::End(_) => {}
        }
        let target = self.resolver.target(to);
        (vec![Op::Goto(target)], jump_node(target, false))
    }

    fn leave_step(&mut self, to: &Destination) {
        let (ops, nodes) = self.leave(to);
        self.ops.extend(ops);
        self.nodes.extend(nodes);
        self.gone = true;
    }
}

fn use_nodes(uses: Vec<(u16, Span)>) -> Vec<Node> {
    uses.into_iter().map(|(variable, span)| Node::Use { variable, span }).collect()
}

/// What is set for sure when a condition is as it is said.
fn known_nodes(condition: &Expression, truth: bool) -> Vec<Node> {
    known_when(condition, truth).into_iter().map(|variable| Node::Known { variable }).collect()
}
