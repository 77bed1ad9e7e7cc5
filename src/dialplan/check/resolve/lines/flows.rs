//! `-> flow NAME`: the conversation is handed over to another flow, which begins as if it had been called.

use crate::dialplan::check::graph::Node;
use crate::dialplan::check::resolve::lines::Lines;
use crate::dialplan::diagnostic::{Code, did_you_mean};
use crate::dialplan::program::{Op, PinOnSms, Target};
use crate::dialplan::syntax::ast::Destination;
use crate::dialplan::syntax::span::Name;

impl Lines<'_, '_> {
    /// What the flow begins with is set anew; nothing else goes over but the caller's number.
    pub(super) fn hand_over(&mut self, name: &Name) -> (Vec<Op>, Vec<Node>) {
        let layout = self.resolver.layout;
        let sub = self.resolver.own().signature().is_some();
        let found = layout.flows.iter().position(|(flow, _)| !sub && *flow == name.value);
        let frame = found.and_then(|part| layout.frames.get(layout.flows.get(part)?.1));
        let (Some(part), Some(frame)) = (found, frame) else {
            self.no_such_flow(name, sub);
            return (vec![Op::Goto(Target::End)], vec![Node::End]);
        };
        self.careful_pin_on_sms(name, frame.flow.pin_on_sms);
        let scope = &self.resolver.scope;
        let number = layout.flows.get(part).map_or(0, |(_, frame)| *frame);
        let mut nodes = vec![Node::Clear(scope.of_frame(number))];
        let start = frame.flow.start.iter().filter_map(|(name, _)| scope.index_in(number, &name.value));
        nodes.extend(start.map(|variable| Node::Assign { variable, quoted: None, copy: None }));
        if let Some(open) = &frame.flow.open {
            let shut = match &open.value.otherwise {
                Destination::Step(step) => frame.steps.get(step.value.as_str()),
                _ => None,
            };
            let shut = match shut {
                Some(step) => Node::Jump { to: *step, giving_up: false },
                None => Node::End,
            };
            nodes.push(Node::Fork(vec![vec![shut], Vec::new()]));
        }
        nodes.push(Node::Jump { to: frame.first, giving_up: false });
        (vec![Op::Begin(u16::try_from(part).unwrap_or(u16::MAX))], nodes)
    }

    fn no_such_flow(&mut self, name: &Name, sub: bool) {
        let subs = self.resolver.place.subs;
        self.broken = true;
        if sub {
            let hint = "return an outcome, and hand over in the flow that calls";
            self.error(Code::F018, name.span, "a sub-flow comes back to its caller", hint);
            return;
        }
        if subs.unread {
            return;
        }
        let text = format!("there is no flow `{}`", name.value);
        let hint = match did_you_mean(&name.value, subs.flows()) {
            _ if subs.is_flow(&name.value) => {
                format!("`{}` is a draft: a flow that is served cannot hand over to it", name.value)
            }
            _ if subs.find(&name.value).is_some() => {
                format!("`{}` is a sub-flow: write `call {}`", name.value, name.value)
            }
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("write a file that begins with `flow {} 1`", name.value),
        };
        self.error(Code::F018, name.span, text, hint);
    }

    /// What happens about a PIN in text messages is the promise of the flow that was reached, and holds in the next one too: it
    /// must be at least as careful as what that one promises.
    fn careful_pin_on_sms(&mut self, name: &Name, theirs: Option<PinOnSms>) {
        let root = self.resolver.root();
        let (Some(ours), Some(theirs)) = (root.pin_on_sms, theirs) else { return };
        if root.sms.is_empty() || ours.keeps(theirs) {
            return;
        }
        let own = root.name.as_ref().map_or("", |name| name.value.as_str());
        let text = format!("`{}` is more careful about a PIN in text messages than `{own}`", name.value);
        let hint = "write the same `pin on sms` in both, or in the first a more careful one: `callback` where the other says \
                    `reply` or `none`, `refuse` with any; or take `serve sms` out of the first";
        self.error(Code::F081, name.span, text, hint);
    }
}
