//! `do` and its outcomes: compared with the table of actions, and what the graph must know of money in them.

use crate::dialplan::action::{ACTIONS, Action, Effect, Meaning, Outcome};
use crate::dialplan::check::graph::{Node, Pay};
use crate::dialplan::check::resolve::counted;
use crate::dialplan::check::resolve::lines::{Lines, Pending, use_nodes};
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{Branch, Op, Parameter};
use crate::dialplan::syntax::ast::{self, Destination};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::Type;

impl Lines<'_, '_> {
    pub(super) fn perform(&mut self, name: &Name, arguments: &[Spanned<ast::Expression>]) {
        let action = Action::find(&name.value);
        let mut parameters = Vec::new();
        match action {
            None => {
                let known = ACTIONS.iter().map(|action| action.name);
                let hint = match did_you_mean(&name.value, known.clone()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("actions are {}", known.collect::<Vec<_>>().join(", ")),
                };
                self.error(Code::F011, name.span, format!("there is no action `{}`", name.value), hint);
                self.broken = true;
            }
            Some(action) => {
                if action.parameters.len() != arguments.len() {
                    let wants = counted(action.parameters.len(), "value");
                    let text = format!("`{}` takes {wants}, not {}", action.name, arguments.len());
                    self.error(Code::F012, name.span, text, action.signature());
                }
                parameters = self.arguments(action, arguments);
                if action.parameters.len() == arguments.len() {
                    self.payment(action, &parameters, name.span);
                }
            }
        }
        self.pending = Some(Pending {
            name: name.clone(),
            action,
            parameters,
            branches: Vec::new(),
            seen: Vec::new(),
            ways: Vec::new(),
        });
        self.gone = true;
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

    /// What the graph must know of a money action, and the question that confirms it.
    fn payment(&mut self, action: &'static Action, parameters: &[Parameter], span: Span) {
        let Effect::MovesMoney { confirmed } = action.effect else { return };
        let variable = |name: &str| {
            let index = action.parameters.iter().position(|field| field.name == name)?;
            match parameters.get(index) {
                Some(Parameter::Value(Expression::Variable(variable))) => Some(*variable),
                _ => None,
            }
        };
        let confirmed = confirmed.iter().map(|name| (*name, variable(name))).collect();
        let quoted = ACTIONS.iter().filter_map(|other| match other.effect {
            Effect::Quotes { action: of, values } if of == action.name => Some(values),
            _ => None,
        });
        let quoted = quoted.flatten().copied().collect();
        self.nodes.push(Node::Pay(Pay { action: action.name, confirmed, quoted, span }));
        if let Some(Op::Ask(ask)) = self.secret.and_then(|index| self.ops.get_mut(index)) {
            ask.confirmation = true;
        }
    }

    pub(super) fn outcome(
        &mut self,
        name: &Name,
        names: &[Name],
        actions: &[Spanned<ast::Action>],
        to: &Destination,
    ) {
        let (ops, way) = self.block(actions, to);
        let scope = &self.resolver.scope;
        let bind: Vec<u16> = names.iter().map(|name| scope.index(&name.value).unwrap_or_default()).collect();
        let caller = scope.index("caller");
        let Some(mut pending) = self.pending.take() else {
            let hint = "write it right after its `do`";
            self.error(Code::F001, name.span, "this outcome belongs below a `do`", hint);
            return;
        };
        let mut nodes = Vec::new();
        if let Some(action) = pending.action {
            if pending.seen.iter().any(|seen| seen.value == name.value) {
                let text = format!("`{}` is handled twice", name.value);
                self.error(Code::F003, name.span, text, "remove one of the two lines");
            } else if let Some((index, outcome)) = action.outcome(&name.value) {
                if !names.is_empty() && names.len() != outcome.values.len() {
                    let wants = counted(outcome.values.len(), "value");
                    let text = format!("`{}` brings {wants}, not {}", name.value, names.len());
                    self.error(Code::F012, name.span, text, format!("write `on {}`", outcome.pattern()));
                }
                if outcome.meaning == Meaning::Pending {
                    nodes.push(Node::Pending { span: name.span });
                }
                if outcome.meaning == Meaning::Identified {
                    nodes.extend(caller.map(|variable| Node::Assign { variable, quoted: None }));
                }
                for (position, variable) in bind.iter().enumerate() {
                    let quoted = quoted_value(action, outcome.values.get(position).map(|field| field.name));
                    nodes.push(Node::Assign { variable: *variable, quoted });
                }
                pending.branches.push((index, Branch { bind, block: ops }));
            } else {
                let hint = match did_you_mean(&name.value, action.outcomes.iter().map(|outcome| outcome.name))
                {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => {
                        let names: Vec<&str> = action.outcomes.iter().map(|outcome| outcome.name).collect();
                        format!("its outcomes are {}", names.join(", "))
                    }
                };
                let text = format!("`{}` has no outcome `{}`", action.name, name.value);
                self.error(Code::F021, name.span, text, hint);
                self.broken = true;
            }
        } else {
            nodes.extend(bind.iter().map(|variable| Node::Assign { variable: *variable, quoted: None }));
        }
        nodes.extend(way);
        pending.ways.push(nodes);
        pending.seen.push(name.clone());
        self.pending = Some(pending);
    }

    pub(super) fn close_action(&mut self) {
        let Some(mut pending) = self.pending.take() else { return };
        self.nodes.push(Node::Wait);
        self.nodes.push(if pending.ways.is_empty() { Node::End } else { Node::Fork(pending.ways) });
        let Some(action) = pending.action else { return };
        let missing: Vec<String> = action
            .outcomes
            .iter()
            .filter(|outcome| !pending.seen.iter().any(|seen| seen.value == outcome.name))
            .map(Outcome::pattern)
            .collect();
        if !missing.is_empty() && !self.broken {
            let text = format!("`{}` can also end in {}", action.name, missing.join(", "));
            let hint =
                missing.iter().map(|outcome| format!("on {outcome} -> …")).collect::<Vec<_>>().join("\n");
            let file = self.resolver.place.file;
            let fault = Diagnostic::error(Code::F020, file, pending.name.span, text)
                .here("not all outcomes are handled");
            self.resolver.diagnostics.push(fault.hint(hint));
            self.broken = true;
        }
        pending.branches.sort_by_key(|(index, _)| *index);
        let branches = pending.branches.into_iter().map(|(_, branch)| branch).collect();
        self.ops.push(Op::Do { action, arguments: pending.parameters, branches });
    }
}

fn quoted_value(action: &'static Action, field: Option<&'static str>) -> Option<&'static str> {
    match action.effect {
        Effect::Quotes { values, .. } => field.filter(|name| values.contains(name)),
        // A money action that refuses a duplicate quotes again.
        Effect::MovesMoney { .. } => quotes_of(action.name).find(|name| field == Some(*name)),
        Effect::Reads => None,
    }
}

fn quotes_of(paying: &'static str) -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().flat_map(move |action| match action.effect {
        Effect::Quotes { action, values } if action == paying => values.iter().copied(),
        _ => [].iter().copied(),
    })
}
