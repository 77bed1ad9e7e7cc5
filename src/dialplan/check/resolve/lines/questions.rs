//! Questions of a step: for a variable, or for a key.

use std::collections::BTreeSet;

use crate::dialplan::check::graph::{Node, Said, said};
use crate::dialplan::check::resolve::lines::{Lines, Open, use_nodes};
use crate::dialplan::check::resolve::{first_key, jump_node};
use crate::dialplan::check::scope::answer_type;
use crate::dialplan::diagnostic::Code;
use crate::dialplan::program::{Ask, Choice, Each, Given, Menu, Op, PAGE_KEYS, Reading};
use crate::dialplan::route::Element;
use crate::dialplan::syntax::ast::{self, AskType, Destination, GivenThen, Line, Options};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::{OUTSIDE_MAX, Type};

/// The most digits of any input.
const DIGITS_MAX: u8 = 40;
const _: () = assert!(DIGITS_MAX as usize <= OUTSIDE_MAX, "what a caller types is shown whole");
/// The most digits of an amount.
const MONEY_DIGITS_MAX: u8 = 9;

impl Lines<'_, '_> {
    pub(super) fn given(&mut self, slot: &Name, then: &GivenThen, step: &ast::Step) {
        let flow = self.resolver.flow();
        let served = flow.ussd.iter().chain(&flow.sms).any(|pattern| {
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
                self.ops.push(Op::Given { slot: self.slot(slot), then: Given::Choose { key: key.value } });
            }
            GivenThen::Goto(to) => {
                let target = self.resolver.target(to);
                let Some(variable) = self.resolver.scope.index(&slot.value) else { return };
                let reading = match self.resolver.scope.type_of(&slot.value) {
                    Some(Type::Money) => Reading::Money,
                    Some(Type::Phone) => Reading::Phone,
                    Some(Type::Bool) => Reading::YesNo,
                    Some(Type::Date) => Reading::Date,
                    _ => Reading::Digits,
                };
                let (min, max) = self.limits(reading, None);
                let mut way = vec![Node::Assign { variable, quoted: None, copy: None }];
                way.extend(jump_node(target, false));
                self.nodes.push(Node::Fork(vec![way, Vec::new()]));
                let then = Given::Goto { variable, reading, min, max, target };
                self.ops.push(Op::Given { slot: self.slot(slot), then });
            }
        }
    }

    /// A command fills the slots of the flow that it reaches, and not those of the flows that this one hands over to.
    fn slot(&self, slot: &Name) -> String {
        format!("{}{}", self.resolver.own().prefix, slot.value)
    }

    /// The digits that an input may have, checked against what was written.
    fn limits(&mut self, reading: Reading, written: Option<&Spanned<(u8, u8)>>) -> (u8, u8) {
        let settings = self.resolver.place.settings;
        let (most, default) = match reading {
            Reading::Digits => (DIGITS_MAX, (1, DIGITS_MAX)),
            Reading::Secret => (settings.pin_digits.1, settings.pin_digits),
            Reading::Phone => (20, (5, 20)),
            Reading::Money => (MONEY_DIGITS_MAX, (1, MONEY_DIGITS_MAX)),
            Reading::YesNo => (1, (1, 1)),
            Reading::Date => (8, (4, 8)),
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

    pub(super) fn ask(
        &mut self,
        message: &ast::Message,
        name: &Name,
        kind: &Spanned<AskType>,
        options: &Options,
    ) {
        let (question, uses) = self.speech(message);
        let reading = match kind.value {
            AskType::Digits => Reading::Digits,
            AskType::Secret => Reading::Secret,
            AskType::Phone => Reading::Phone,
            AskType::Money => Reading::Money,
            AskType::YesNo => Reading::YesNo,
            AskType::Date => Reading::Date,
        };
        let (min, max) = self.limits(reading, options.digits.as_ref());
        let variable = self.resolver.scope.index(&name.value).unwrap_or_default();
        // What a wording leaves out is not heard, though the message is given it.
        let texts = self.resolver.place.texts;
        let heard: BTreeSet<Said> = (question.arguments.iter().enumerate())
            .filter(|(slot, _)| texts.says(question.message, *slot))
            .filter_map(|(_, argument)| said(argument))
            .collect();
        self.nodes.extend(use_nodes(uses));
        self.nodes.extend([self.giving_up.clone(), Node::Input { menu: false }]);
        self.nodes.push(Node::Assign { variable, quoted: None, copy: None });
        if answer_type(kind.value) == Type::Secret {
            self.nodes.push(Node::Confirm { heard });
            self.secret = Some(self.ops.len());
        }
        if let Some(check) = options.check.as_ref().filter(|_| reading != Reading::Digits) {
            let hint = "remove it, or ask for `digits`";
            self.error(Code::F012, check.span, "only digits have a check digit", hint);
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
            pays: None,
            check: options.check.as_ref().map(|check| check.value),
            wait: first_key(options),
        })));
    }

    pub(super) fn question(&mut self, message: &ast::Message, options: &Options, span: Span) {
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
            each: None,
            barge_in: !options.no_barge_in,
            wait: first_key(options),
            remembered: true,
        };
        self.menu = Some(Open::new(menu, span));
    }

    pub(super) fn wording(&mut self, span: Span, message: &ast::Message, count: Option<u8>, silent: bool) {
        let (speech, uses) = self.speech(message);
        // It is said after the question was asked once, so it can use what the question uses.
        self.nodes.extend(use_nodes(uses));
        let (again, wordings) = match (&mut self.menu, self.ops.last_mut()) {
            (Some(Open { menu, .. }), _) => {
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

    pub(super) fn option(
        &mut self,
        key: &Spanned<char>,
        label: Option<&ast::Message>,
        actions: &[Spanned<ast::Action>],
        to: &Destination,
    ) {
        if self.menu.is_none() && !self.open_wait(key.span) {
            return;
        }
        let language = label.and_then(|label| label.language.as_ref()).map(|tag| self.resolver.language(tag));
        let labelled = label.is_some();
        let (label, mut nodes) = match label {
            Some(label) => {
                let (speech, uses) = self.speech(label);
                (Some(speech), use_nodes(uses))
            }
            None => (None, Vec::new()),
        };
        if labelled && [self.back, self.main].contains(&Some(key.value)) {
            let text = format!("the key {} already has a meaning in the whole flow", key.value);
            let own = self.resolver.own().part == 0;
            let root = self.resolver.root().name.as_ref().map_or("", |name| name.value.as_str());
            let hint = if own {
                "choose another key, or change the line `keys`".to_owned()
            } else {
                format!(
                    "`{root}` hands over to this flow, and its line `keys` holds here: choose another key"
                )
            };
            self.error(Code::F070, key.span, text, hint);
        }
        let (block, way) = self.block(actions, to);
        nodes.extend(way);
        let Some(open) = &mut self.menu else { return };
        if open.menu.choices.iter().any(|choice| choice.key == key.value) {
            let text = format!("the key {} is used twice in this menu", key.value);
            self.error(Code::F072, key.span, text, "choose another key");
            return;
        }
        open.keys.push(key.clone());
        open.menu.choices.push(Choice { key: key.value, label, language, block });
        open.ways.push(nodes);
    }

    /// An option for each item of a list.
    pub(super) fn each(&mut self, each: &ast::Each, span: Span) {
        if self.no_question(span) {
            return;
        }
        let mut typer = self.resolver.typer();
        let list = typer.any(&each.list);
        let uses = std::mem::take(&mut typer.uses);
        if let Some(ty) = list.ty
            && !matches!(ty, Type::List(_) | Type::Secret)
        {
            let text = format!("the type here is {ty}, but a list is wanted after `in`");
            self.error(Code::F041, each.list.span, text, "give it a list that an action brought");
        }
        self.nodes.extend(use_nodes(uses));
        let item = self.resolver.scope.index(&each.item.value).unwrap_or_default();
        let (label, mut uses) = self.speech(&each.label);
        // In the label it is the item that is offered, whatever was chosen before.
        uses.retain(|(variable, _)| *variable != item);
        self.nodes.extend(use_nodes(uses));
        let (block, way) = self.block(&each.actions, &each.to);
        let mut nodes = vec![Node::Assign { variable: item, quoted: None, copy: None }];
        nodes.extend(way);
        let Some(open) = &mut self.menu else { return };
        if open.menu.each.is_some() {
            let hint = "put the other list in a menu of its own";
            self.error(Code::F003, span, "a menu has one `each`", hint);
            return;
        }
        open.each = Some(span);
        open.ways.push(nodes);
        let list = list.expression;
        open.menu.each = Some(Box::new(Each { list, item, label, block, empty: Vec::new() }));
    }

    /// What happens instead when the list is empty.
    pub(super) fn empty(
        &mut self,
        message: Option<&ast::Message>,
        actions: &[Spanned<ast::Action>],
        to: &Destination,
        span: Span,
    ) {
        if self.no_question(span) {
            return;
        }
        let told = message.map(|message| Spanned::new(ast::Action::Tell(message.clone()), message.key.span));
        let actions: Vec<Spanned<ast::Action>> = told.into_iter().chain(actions.iter().cloned()).collect();
        let (ops, nodes) = self.block(&actions, to);
        let Some(open) = &mut self.menu else { return };
        if open.empty.is_some() {
            self.error(Code::F003, span, "a menu has one `none`", "remove one of the two lines");
            return;
        }
        open.empty = Some((ops, nodes, span));
    }

    fn no_question(&mut self, span: Span) -> bool {
        let none = self.menu.is_none();
        if none {
            let text = "this line belongs to a menu";
            self.error(Code::F001, span, text, "ask something first: `ask @…`, without `for`");
            self.broken = true;
        }
        none
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
            each: None,
            barge_in: true,
            wait: first_key(&Options::default()),
            remembered: false,
        };
        self.menu = Some(Open::new(menu, span));
        true
    }

    pub(super) fn close_menu(&mut self, step: &ast::Step) {
        let Some(mut open) = self.menu.take() else { return };
        self.check_list(&open);
        if open.menu.choices.is_empty() && open.menu.each.is_none() {
            if !self.broken {
                let text = format!("the question of `{}` has no answers", step.name.value);
                let hint = "add keys: `1 @label -> step`, or `for NAME: digits`";
                self.error(Code::F031, open.span, text, hint);
                self.broken = true;
            }
        } else {
            if let (Some((ops, nodes, _)), Some(each)) = (open.empty.take(), &mut open.menu.each) {
                each.empty = ops;
                self.nodes.push(Node::Fork(vec![nodes, Vec::new()]));
            }
            let input = [self.giving_up.clone(), Node::Input { menu: true }, Node::Fork(open.ways)];
            self.nodes.extend(input);
        }
        self.ops.push(Op::Menu(Box::new(open.menu)));
        self.gone = true;
    }

    /// What a menu with a list needs besides.
    fn check_list(&mut self, open: &Open) {
        match (open.each, &open.empty) {
            (None, Some((.., span))) => {
                let text = "there is no list that could be empty";
                self.error(Code::F001, *span, text, "write `each ITEM in LIST @label -> step` beside it");
            }
            (Some(span), None) if open.menu.choices.is_empty() && !self.broken => {
                let text = "the list may be empty, and then there is nothing to choose";
                self.error(Code::F020, span, text, "none tell @… -> …");
            }
            _ => {}
        }
        let root = self.resolver.root();
        // A sub-flow that is looked at alone may be called by a flow that answers calls.
        let spoken = !root.voice.is_empty() || root.sub.is_some();
        let paging = open.keys.iter().filter(|key| PAGE_KEYS.contains(&key.value));
        if open.each.is_some() && spoken {
            for key in paging {
                let [before, more] = PAGE_KEYS;
                let text = format!("the key {} turns the pages of the list", key.value);
                let hint =
                    format!("{before} and {more} lead through a long list on a call: choose another key");
                self.error(Code::F070, key.span, text, hint);
            }
        }
    }
}
