//! `do` and its outcomes: compared with the table of actions, and what the graph must know of money in them.

use std::collections::BTreeSet;

use crate::dialplan::action::{Action, Effect, Meaning, all};
use crate::dialplan::check::graph::{Node, Pay, said};
use crate::dialplan::check::resolve::counted;
use crate::dialplan::check::resolve::lines::{Awaited, Lines, use_nodes};
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{Op, Parameter, PinOnSms};
use crate::dialplan::syntax::ast;
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::Type;

impl Lines<'_, '_> {
    pub(super) fn perform(&mut self, name: &Name, arguments: &[Spanned<ast::Expression>]) {
        let action = Action::find(&name.value);
        let mut parameters = Vec::new();
        match action {
            None => {
                let known = || all().map(|action| action.name);
                let hint = match did_you_mean(&name.value, known()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("actions are {}", known().collect::<Vec<_>>().join(", ")),
                };
                self.error(Code::F011, name.span, format!("there is no action `{}`", name.value), hint);
                self.broken = true;
            }
            Some(action) => {
                self.performed(action, name.span);
                if action.parameters.len() != arguments.len() {
                    let wants = counted(action.parameters.len(), "value");
                    let text = format!("`{}` takes {wants}, not {}", action.name, arguments.len());
                    self.error(Code::F012, name.span, text, action.signature());
                }
                parameters = self.arguments(action, arguments);
                if action.parameters.len() == arguments.len() {
                    self.quoting(action, &parameters);
                    self.payment(action, &parameters, name.span);
                }
            }
        }
        self.await_outcome(name, Awaited::Action(action, parameters));
    }

    fn performed(&mut self, action: &'static Action, span: Span) {
        if !action.performed {
            let text = format!("`{}` is not performed by this version", action.name);
            let hint = "the flow can be checked and tested, and is not served";
            let fault = Diagnostic::warning(Code::F015, self.resolver.file(), span, text);
            self.resolver.diagnostics.push(fault.hint(hint));
        }
    }

    fn arguments(
        &mut self,
        action: &'static Action,
        arguments: &[Spanned<ast::Expression>],
    ) -> Vec<Parameter> {
        let mut out = Vec::new();
        for (field, argument) in action.parameters.iter().zip(arguments) {
            let mut typer = self.resolver.typer();
            let expression = typer.expect(argument, field.ty);
            let uses = std::mem::take(&mut typer.uses);
            self.nodes.extend(use_nodes(uses));
            out.push(match expression {
                Expression::Variable(variable) if field.ty == Type::Secret => Parameter::Secret(variable),
                other => Parameter::Value(other),
            });
        }
        out
    }

    /// What a price is quoted for: those values that the payment takes too.
    fn quoting(&mut self, action: &'static Action, parameters: &[Parameter]) {
        let paying = match action.effect {
            Effect::Quotes { action, .. } => Action::find(action),
            Effect::MovesMoney { .. } => Some(action),
            Effect::Reads | Effect::Changes => None,
        };
        let Some(Effect::MovesMoney { confirmed }) = paying.map(|paying| paying.effect) else { return };
        let given = action.parameters.iter().zip(parameters);
        let of = given.filter(|(field, _)| confirmed.contains(&field.name)).filter_map(|(_, parameter)| {
            match parameter {
                Parameter::Value(expression) => said(expression),
                Parameter::Secret(_) => None,
            }
        });
        self.nodes.push(Node::Quoting { of: of.collect() });
    }

    /// What the graph must know of a money action, and the question that confirms it.
    fn payment(&mut self, action: &'static Action, parameters: &[Parameter], span: Span) {
        let Effect::MovesMoney { confirmed } = action.effect else { return };
        let variable = |name: &str| {
            let index = action.parameters.iter().position(|field| field.name == name)?;
            match parameters.get(index) {
                Some(Parameter::Value(expression)) => said(expression),
                _ => None,
            }
        };
        let confirmed = confirmed.iter().map(|name| (*name, variable(name))).collect();
        let quoted = all().filter_map(|other| match other.effect {
            Effect::Quotes { action: of, values } if of == action.name => Some(values),
            _ => None,
        });
        let quoted = quoted.flatten().copied().collect();
        self.nodes.push(Node::Pay(Pay { action: action.name, confirmed, quoted, span }));
        let amount = action.parameters.iter().zip(parameters).find_map(|(field, given)| match given {
            Parameter::Value(expression) if field.ty == Type::Money => Some(expression.clone()),
            _ => None,
        });
        if let Some(Op::Ask(ask)) = self.secret.and_then(|index| self.ops.get_mut(index)) {
            ask.confirmation = true;
            ask.pays = amount;
        }
        self.without_pin(action, span);
    }

    /// With `pin on sms none` the question for the PIN is asked in other words, made from its values: they must be known for
    /// what they are.
    fn without_pin(&mut self, action: &'static Action, span: Span) {
        let root = self.resolver.root();
        if root.pin_on_sms != Some(PinOnSms::None) || root.sms.is_empty() {
            return;
        }
        let Some(Op::Ask(ask)) = self.secret.and_then(|index| self.ops.get(index)) else {
            let text =
                format!("`{}` may be given no PIN, and its question stands in another step", action.name);
            self.error(Code::F081, span, text, "write the question for the PIN into the same step");
            return;
        };
        let slots = self.resolver.place.texts.slots.get(usize::from(ask.question.message));
        let amounts = slots.into_iter().flatten().filter(|ty| **ty == Type::Money).count();
        // The amount, and what is quoted for it.
        let wanted = 1 + quotes_of(action.name).collect::<BTreeSet<_>>().len();
        if amounts > wanted {
            let text = format!(
                "the question for the PIN says {amounts} amounts, and without a PIN {wanted} are asked for"
            );
            let hint = "say the amount that is paid and its fee, and nothing else in money";
            self.error(Code::F081, span, text, hint);
        }
    }

    /// What binds the values of an action's outcome, and what the graph must know of it.
    pub(super) fn outcome_of_action(
        &mut self,
        action: &'static Action,
        name: &Name,
        bind: &[u16],
    ) -> Option<(usize, Vec<Node>)> {
        let Some((index, outcome)) = action.outcome(&name.value) else {
            self.no_outcome(action.name, name, action.outcomes.iter().map(|outcome| outcome.name));
            return None;
        };
        if !bind.is_empty() && bind.len() != outcome.values.len() {
            let wants = counted(outcome.values.len(), "value");
            let text = format!("`{}` brings {wants}, not {}", name.value, bind.len());
            self.error(Code::F012, name.span, text, format!("write `on {}`", outcome.pattern()));
        }
        let mut nodes = Vec::new();
        if outcome.meaning == Meaning::Pending {
            nodes.push(Node::Pending { span: name.span });
        }
        if outcome.meaning == Meaning::Identified {
            let caller = self.resolver.scope.caller();
            nodes.extend(caller.map(|variable| Node::Assign { variable, quoted: None, copy: None }));
        }
        for (position, variable) in bind.iter().enumerate() {
            let quoted = quoted_value(action, outcome.values.get(position).map(|field| field.name));
            nodes.push(Node::Assign { variable: *variable, quoted, copy: None });
        }
        Some((index, nodes))
    }

    pub(super) fn no_outcome<'n>(
        &mut self,
        of: &str,
        name: &Name,
        outcomes: impl Iterator<Item = &'n str> + Clone,
    ) {
        let hint = match did_you_mean(&name.value, outcomes.clone()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("its outcomes are {}", outcomes.collect::<Vec<_>>().join(", ")),
        };
        self.error(Code::F021, name.span, format!("`{of}` has no outcome `{}`", name.value), hint);
        self.broken = true;
    }

    pub(super) fn close_action(&mut self) {
        let Some(mut pending) = self.pending.take() else { return };
        let missing = |outcomes: Vec<(&str, String)>| {
            let seen = |name: &str| pending.seen.iter().any(|seen| seen.value == name);
            outcomes
                .into_iter()
                .filter(|(name, _)| !seen(name))
                .map(|(_, pattern)| pattern)
                .collect::<Vec<_>>()
        };
        let missing = match &pending.awaited {
            Awaited::Action(action, _) => {
                missing(action.iter().flat_map(|a| a.outcomes).map(|o| (o.name, o.pattern())).collect())
            }
            Awaited::Sub(signature) => {
                missing(signature.iter().flat_map(|s| s.gives.iter().map(patterned)).collect())
            }
        };
        if !missing.is_empty() && !self.broken {
            let text = format!("`{}` can also end in {}", pending.name.value, missing.join(", "));
            let hint =
                missing.iter().map(|outcome| format!("on {outcome} -> …")).collect::<Vec<_>>().join("\n");
            let fault = Diagnostic::error(Code::F020, self.resolver.file(), pending.name.span, text)
                .here("not all outcomes are handled");
            self.resolver.diagnostics.push(fault.hint(hint));
            self.broken = true;
        }
        match (pending.awaited, self.child) {
            (Awaited::Sub(_), Some(child)) => {
                self.resolver.called.insert(child, pending.called);
            }
            (Awaited::Action(Some(action), arguments), _) => {
                self.nodes.push(Node::Wait);
                self.ways(pending.ways);
                pending.branches.sort_by_key(|(index, _)| *index);
                let branches = pending.branches.into_iter().map(|(_, branch)| branch).collect();
                self.ops.push(Op::Do { action, arguments, branches });
            }
            _ => self.ways(pending.ways),
        }
    }

    fn ways(&mut self, ways: Vec<Vec<Node>>) {
        self.nodes.push(if ways.is_empty() { Node::End } else { Node::Fork(ways) });
    }
}

/// The name of a sub-flow's outcome, and the outcome as a flow writes it.
fn patterned((name, values): &(Name, Vec<(Name, Name)>)) -> (&str, String) {
    let names: Vec<&str> = values.iter().map(|(name, _)| name.value.as_str()).collect();
    let pattern =
        if names.is_empty() { name.value.clone() } else { format!("{}({})", name.value, names.join(", ")) };
    (&name.value, pattern)
}

fn quoted_value(action: &'static Action, field: Option<&'static str>) -> Option<&'static str> {
    match action.effect {
        Effect::Quotes { values, .. } => field.filter(|name| values.contains(name)),
        // A money action that refuses a duplicate quotes again.
        Effect::MovesMoney { .. } => quotes_of(action.name).find(|name| field == Some(*name)),
        Effect::Reads | Effect::Changes => None,
    }
}

fn quotes_of(paying: &'static str) -> impl Iterator<Item = &'static str> {
    all().flat_map(move |action| match action.effect {
        Effect::Quotes { action, values } if action == paying => values.iter().copied(),
        _ => [].iter().copied(),
    })
}
