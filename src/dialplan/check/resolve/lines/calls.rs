//! `call` and `return`: a sub-flow put in place; and the outcomes of what was done or called.

use crate::dialplan::action::written_type;
use crate::dialplan::check::graph::{Node, said};
use crate::dialplan::check::resolve::counted;
use crate::dialplan::check::resolve::lines::{Awaited, Called, Lines, Pending, Returned, use_nodes};
use crate::dialplan::check::scope::outcome_types;
use crate::dialplan::diagnostic::{Code, did_you_mean};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{Branch, Op, Target};
use crate::dialplan::syntax::ast::{self, Destination, Signature};
use crate::dialplan::syntax::span::{Name, Spanned};
use crate::dialplan::value::Type;

impl Lines<'_, '_> {
    pub(super) fn call(&mut self, name: &Name, arguments: &[Spanned<ast::Expression>]) {
        let subs = self.resolver.place.subs;
        let signature = subs.find(&name.value).and_then(|sub| sub.flow.sub.clone());
        let given = match &signature {
            Some(signature) => self.given_to(name, signature, arguments),
            None => {
                self.no_such_sub(name);
                for argument in arguments {
                    self.argument(argument, None);
                }
                Vec::new()
            }
        };
        match self.child {
            Some(child) => self.put_in_place(child, signature.as_ref(), given),
            // What keeps it from being put in place is reported elsewhere.
            None => self.broken = true,
        }
        self.await_outcome(name, Awaited::Sub(signature));
    }

    fn no_such_sub(&mut self, name: &Name) {
        let subs = self.resolver.place.subs;
        self.broken = true;
        if subs.unread {
            return;
        }
        let hint = match did_you_mean(&name.value, subs.names()) {
            Some(close) => format!("did you mean `{close}`?"),
            None if subs.is_flow(&name.value) => {
                format!("`{}` is a flow: only a `sub` can be called", name.value)
            }
            None => format!("write a file that begins with `sub {} 1`", name.value),
        };
        self.error(Code::F011, name.span, format!("there is no sub-flow `{}`", name.value), hint);
    }

    /// The values for the parameters, in their order.
    fn given_to(
        &mut self,
        name: &Name,
        signature: &Signature,
        arguments: &[Spanned<ast::Expression>],
    ) -> Vec<Expression> {
        let parameters = &signature.parameters;
        if parameters.len() != arguments.len() {
            let wants = counted(parameters.len(), "value");
            let text = format!("`{}` takes {wants}, not {}", name.value, arguments.len());
            let takes: Vec<String> =
                parameters.iter().map(|(name, ty)| format!("{}: {}", name.value, ty.value)).collect();
            self.error(Code::F012, name.span, text, format!("{}({})", name.value, takes.join(", ")));
        }
        let types = parameters.iter().map(|(_, ty)| written_type(&ty.value));
        types.zip(arguments).map(|(ty, argument)| self.argument(argument, ty)).collect()
    }

    fn argument(&mut self, written: &Spanned<ast::Expression>, ty: Option<Type>) -> Expression {
        let mut typer = self.resolver.typer();
        let expression = match ty {
            Some(ty) => typer.expect(written, ty),
            None => typer.any(written).expression,
        };
        let uses = std::mem::take(&mut typer.uses);
        self.nodes.extend(use_nodes(uses));
        expression
    }

    /// The variables of the sub-flow are new at each call; then its first step.
    fn put_in_place(&mut self, child: usize, signature: Option<&Signature>, given: Vec<Expression>) {
        let scope = &self.resolver.scope;
        let cleared = scope.of_frame(child);
        self.ops.push(Op::Clear(cleared.clone()));
        self.nodes.push(Node::Clear(cleared));
        let names = signature.into_iter().flat_map(|signature| &signature.parameters);
        for ((name, _), value) in names.zip(given) {
            let Some(variable) = scope.index_in(child, &name.value) else { continue };
            self.nodes.push(Node::Assign { variable, quoted: None, copy: said(&value) });
            self.ops.push(Op::Set { variable, value });
        }
        let first = self.resolver.layout.frames.get(child).map_or(0, |frame| frame.first);
        self.nodes.push(Node::Jump { to: first, giving_up: false });
        self.ops.push(Op::Goto(Target::Step(u16::try_from(first).unwrap_or(u16::MAX))));
    }

    pub(super) fn await_outcome(&mut self, name: &Name, awaited: Awaited) {
        self.pending = Some(Pending {
            name: name.clone(),
            awaited,
            branches: Vec::new(),
            seen: Vec::new(),
            ways: Vec::new(),
            called: Called::default(),
        });
        self.gone = true;
    }

    /// `on outcome(…) … -> step`
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
        let Some(mut pending) = self.pending.take() else {
            let hint = "write it right after its `do` or `call`";
            self.error(Code::F001, name.span, "this outcome belongs below a `do` or a `call`", hint);
            return;
        };
        let mut nodes = Vec::new();
        if pending.seen.iter().any(|seen| seen.value == name.value) {
            let text = format!("`{}` is handled twice", name.value);
            self.error(Code::F003, name.span, text, "remove one of the two lines");
        } else {
            match &pending.awaited {
                Awaited::Action(Some(action), _) => {
                    if let Some((index, more)) = self.outcome_of_action(action, name, &bind) {
                        nodes.extend(more);
                        pending.branches.push((index, Branch { bind, block: ops }));
                    }
                }
                Awaited::Sub(Some(signature)) => {
                    if self.outcome_of_call(&pending.name.value, signature, name, &bind) {
                        let returned = Returned { bind, ops, nodes: way.clone() };
                        pending.called.0.insert(name.value.clone(), returned);
                    }
                }
                Awaited::Action(None, _) | Awaited::Sub(None) => {
                    let assign =
                        |variable: &u16| Node::Assign { variable: *variable, quoted: None, copy: None };
                    nodes.extend(bind.iter().map(assign));
                }
            }
        }
        nodes.extend(way);
        pending.ways.push(nodes);
        pending.seen.push(name.clone());
        self.pending = Some(pending);
    }

    fn outcome_of_call(&mut self, sub: &str, signature: &Signature, name: &Name, bind: &[u16]) -> bool {
        let Some((_, values)) = signature.gives.iter().find(|(given, _)| given.value == name.value) else {
            self.no_outcome(sub, name, signature.gives.iter().map(|(name, _)| name.value.as_str()));
            return false;
        };
        if !bind.is_empty() && bind.len() != values.len() {
            let wants = counted(values.len(), "value");
            let names: Vec<&str> = values.iter().map(|(name, _)| name.value.as_str()).collect();
            let text = format!("`{}` brings {wants}, not {}", name.value, bind.len());
            let hint = if names.is_empty() {
                format!("write `on {}`", name.value)
            } else {
                format!("write `on {}({})`", name.value, names.join(", "))
            };
            self.error(Code::F012, name.span, text, hint);
        }
        true
    }

    /// `return outcome(…)`: what the caller does then, with the values in its variables.
    pub(super) fn returns(
        &mut self,
        name: &Name,
        values: &[Spanned<ast::Expression>],
    ) -> (Vec<Op>, Vec<Node>) {
        let (mut ops, mut nodes) = (Vec::new(), Vec::new());
        let own = self.resolver.own();
        let Some(signature) = own.signature() else {
            let hint = "end with `-> end`, or go to a step";
            self.error(Code::F001, name.span, "only a sub-flow returns", hint);
            return (vec![Op::Goto(Target::End)], vec![Node::End]);
        };
        let types = outcome_types(signature, &name.value);
        match &types {
            None => {
                let sub = own.flow.name.as_ref().map_or("", |name| name.value.as_str());
                self.no_outcome(sub, name, signature.gives.iter().map(|(name, _)| name.value.as_str()));
            }
            Some(types) if types.len() != values.len() => {
                let wants = counted(types.len(), "value");
                let text = format!("`{}` brings {wants}, not {}", name.value, values.len());
                let names: Vec<&str> = types.iter().map(|(name, _)| name.value.as_str()).collect();
                let hint = match names.as_slice() {
                    [] => format!("write `return {}`, or give it a value after `gives`", name.value),
                    names => format!("write `return {}({})`", name.value, names.join(", ")),
                };
                self.error(Code::F012, name.span, text, hint);
            }
            Some(_) => {}
        }
        let types = types.unwrap_or_default();
        let called = self.resolver.called.get(&self.resolver.frame);
        let returned = called.and_then(|called| called.0.get(&name.value)).cloned();
        for (position, value) in values.iter().enumerate() {
            let mut typer = self.resolver.typer();
            let value = match types.get(position).and_then(|(_, ty)| *ty) {
                Some(ty) => typer.expect(value, ty),
                None => typer.any(value).expression,
            };
            nodes.extend(use_nodes(std::mem::take(&mut typer.uses)));
            if let Some(variable) = returned.as_ref().and_then(|returned| returned.bind.get(position)) {
                nodes.push(Node::Assign { variable: *variable, quoted: None, copy: said(&value) });
                ops.push(Op::Set { variable: *variable, value });
            }
        }
        match returned {
            Some(returned) => {
                ops.extend(returned.ops);
                nodes.extend(returned.nodes);
            }
            // Nothing called it, or the caller does not handle it, which is reported there.
            None => {
                ops.push(Op::Goto(Target::End));
                nodes.push(Node::End);
            }
        }
        (ops, nodes)
    }
}
