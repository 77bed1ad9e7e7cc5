//! The engine: a state and an event give a state and effects.
//!
//! Pure and total. It never looks at the time, never fails, and owns a secret only between the answer that
//! brought it and the action that takes it, within one call of [`step`].

mod answering;
mod asking;
mod leaving;
mod menus;
mod open;
mod reading;
mod resuming;
mod saying;
mod screens;
mod waiving;

pub use open::{ask_once_more, open_question};

use crate::dialplan::action::{Action, Meaning, Outcome};
use crate::dialplan::civil::Moment;
use crate::dialplan::event::{Argument, Effect, Event, PIN_NEEDED, Start};
use crate::dialplan::expression::Scope;
use crate::dialplan::program::{HISTORY_MAX, Limits, OPERATIONS_MAX, Op, Parameter, Part, Program, Target};
use crate::dialplan::speak::System;
use crate::dialplan::state::{Answered, Point, State, Wait};
use crate::dialplan::syntax::ast::OpenSpan;
use crate::dialplan::value::{Type, Value};
use crate::msisdn::Assurance;
use crate::secret::Secret;

/// Takes the conversation one event further. An event that does not answer what the state waits for changes
/// nothing and has no effect.
#[must_use]
pub fn step(program: &Program, state: State, event: Event) -> (State, Vec<Effect>) {
    let mut engine = Engine { program, state, effects: Vec::new(), secret: None };
    match (engine.state.wait, event) {
        (Wait::Over, _) => {}
        (_, Event::Hangup) => engine.hung_up(),
        (Wait::Start, Event::Start(start)) => engine.start(start),
        (Wait::Answer | Wait::Resume, Event::Answer(answer)) => {
            if let Some(answer) = engine.read_on(answer.plain()) {
                engine.answered(answer);
                engine.show();
            }
        }
        (Wait::Outcome, Event::Outcome { name, values }) => {
            engine.outcome(&name, values);
            engine.show();
        }
        (Wait::Callback, Event::Reached(channel)) => engine.reached(channel),
        (Wait::Callback, Event::Unreached) => engine.unreached(),
        (_, Event::Resumed(channel)) => engine.resumed(channel),
        _ => {}
    }
    (engine.state, engine.effects)
}

struct Engine<'p> {
    program: &'p Program,
    state: State,
    effects: Vec<Effect>,
    secret: Option<(u16, Vouched)>,
}

/// What the caller gave in answer to a question for a secret.
enum Vouched {
    Secret(Secret),
    /// A yes by text message, which is enough for a small payment.
    Word,
}

/// What an operation did to control.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Control {
    /// The next operation is due.
    Next,
    /// The state's point was set: go on there.
    Jumped,
    /// It waits, or it is over.
    Stopped,
}

impl<'p> Engine<'p> {
    fn start(&mut self, start: Start) {
        let state = &mut self.state;
        state.channel = start.channel;
        state.caller = start.caller;
        state.prefilled = start.prefilled;
        state.began = start.at;
        state.pin_waivable = start.pin_waivable;
        if self.program.texts.has_language(&start.language) {
            state.language = start.language;
        }
        if start.restarted {
            self.say_system(System::ResumeVanished, Vec::new());
        }
        let target = self.first_of(&self.program.own);
        self.begin(target);
        self.show();
    }

    /// Where a conversation begins in a flow, now.
    fn first_of(&self, part: &Part) -> Target {
        if is_open(&part.open, self.state.began) { Target::Step(part.first) } else { part.open_else }
    }

    /// The first step, with the variables that a session starts with.
    fn begin(&mut self, target: Target) {
        let state = &mut self.state;
        state.history.clear();
        state.undo.clear();
        state.vars.fill(None);
        for (variable, value) in &self.program.start {
            if let Some(slot) = state.vars.get_mut(usize::from(*variable)) {
                *slot = Some(value.clone());
            }
        }
        state.wrong = 0;
        state.silent = 0;
        let control = match target {
            Target::Step(step) => self.enter(step),
            Target::End => self.end(),
        };
        if control != Control::Stopped {
            self.run();
        }
    }

    /// Runs operations until one waits or ends.
    fn run(&mut self) {
        for _ in 0..OPERATIONS_MAX {
            let at = self.state.at;
            let Some(operation) = self.program.op(at.step, at.op) else {
                self.end();
                return;
            };
            self.state.at.op = at.op.saturating_add(1);
            if self.perform(operation, at) == Control::Stopped {
                return;
            }
        }
        self.trouble();
    }

    /// When a caller is given up in the step that is being run: a sub-flow may say it for its own.
    fn limits(&self) -> Limits {
        self.program.limits(self.state.at.step)
    }

    /// When a caller is given up in the flow that was called.
    fn flow_limits(&self) -> Limits {
        self.program.limits(0)
    }

    fn scope(&self) -> Scope<'_> {
        Scope { variables: &self.state.vars, began: self.state.began }
    }

    fn perform(&mut self, operation: &'p Op, at: Point) -> Control {
        match operation {
            Op::Given { slot, then } => self.given(slot, then, at),
            Op::Ask(ask) => self.ask(ask, at),
            Op::Menu(menu) => self.menu(menu, at),
            Op::Must { condition, otherwise } => match condition.truth(self.scope()) {
                Some(true) => Control::Next,
                Some(false) => {
                    self.say(otherwise);
                    self.again_from_start(at.step)
                }
                None => self.trouble(),
            },
            Op::Tell(speech) => {
                self.say(speech);
                Control::Next
            }
            Op::Set { variable, value } => match value.evaluate(self.scope()) {
                Some(value) => self.assign(*variable, value),
                None => self.trouble(),
            },
            Op::SendSms(speech) => self.send_sms(speech),
            Op::If { condition, target } => match condition.truth(self.scope()) {
                Some(true) => self.go(*target),
                Some(false) => Control::Next,
                None => self.trouble(),
            },
            Op::Mark(name) => {
                self.effects.push(Effect::Mark(name.clone()));
                Control::Next
            }
            Op::Language(tag) => self.switch_language(tag),
            Op::Clear(variables) => {
                for variable in variables {
                    self.put(*variable, None);
                }
                Control::Next
            }
            Op::Goto(target) => self.go(*target),
            Op::Begin(part) => self.hand_over(*part),
            Op::Do { action, arguments, .. } => self.act(action, arguments, at),
            Op::Hold if self.state.gone => self.end(),
            Op::Hold => {
                self.state.at = at;
                self.state.wait = Wait::Hangup;
                self.effects.push(Effect::Hold);
                Control::Stopped
            }
        }
    }

    fn block(&mut self, block: &'p [Op]) -> Control {
        for operation in block {
            let control = self.perform(operation, self.state.at);
            if control != Control::Next {
                return control;
            }
        }
        Control::Next
    }

    fn block_and_run(&mut self, block: &'p [Op]) {
        if self.block(block) != Control::Stopped {
            self.run();
        }
    }

    // ---- moving

    /// Coming back to the same step counts as a wrong answer, so that `tries` bounds it.
    fn go(&mut self, target: Target) -> Control {
        match target {
            Target::End => self.end(),
            Target::Step(step) if step == self.state.at.step => self.again_from_start(step),
            Target::Step(step) => {
                self.state.wrong = 0;
                self.state.silent = 0;
                self.enter(step)
            }
        }
    }

    /// Another flow begins, with the language, the caller and the answered questions of this one.
    fn hand_over(&mut self, part: u16) -> Control {
        let program: &'p Program = self.program;
        let Some(part) = program.part(part) else { return self.trouble() };
        for variable in &part.clear {
            self.put(*variable, None);
        }
        for (variable, value) in &part.start {
            self.put(*variable, Some(value.clone()));
        }
        self.state.wrong = 0;
        self.state.silent = 0;
        match self.first_of(part) {
            Target::Step(step) => self.enter(step),
            Target::End => self.end(),
        }
    }

    fn again_from_start(&mut self, step: u16) -> Control {
        self.state.wrong = self.state.wrong.saturating_add(1);
        self.state.fresh = true;
        let limits = self.limits();
        if self.state.wrong >= limits.tries {
            return self.give_up(limits.tries_then);
        }
        self.state.at = Point { step, op: 0 };
        Control::Jumped
    }

    fn enter(&mut self, step: u16) -> Control {
        self.state.at = Point { step, op: 0 };
        let Some(visits) = self.state.visits.get_mut(usize::from(step)) else { return self.trouble() };
        *visits = visits.saturating_add(1);
        let limits = self.program.limits(step);
        if *visits > limits.visits { self.give_up(limits.visits_then) } else { Control::Jumped }
    }

    /// Goes where a flow ends when the caller cannot be helped. That step is entered uncounted: it cannot
    /// ask.
    fn give_up(&mut self, target: Target) -> Control {
        self.state.wrong = 0;
        self.state.silent = 0;
        match target {
            Target::Step(step) => {
                self.state.at = Point { step, op: 0 };
                Control::Jumped
            }
            Target::End => self.end(),
        }
    }

    fn back(&mut self) {
        // With nothing to go back to, the question is asked again; the session's inputs bound that.
        if let Some(answered) = self.state.history.pop() {
            while self.state.undo.len() > usize::from(answered.undo) {
                if let Some((variable, former)) = self.state.undo.pop()
                    && let Some(slot) = self.state.vars.get_mut(usize::from(variable))
                {
                    *slot = former;
                }
            }
            if answered.at.step != self.state.at.step {
                self.state.wrong = 0;
                self.state.silent = 0;
            }
            self.state.at = answered.at;
        }
        self.run();
    }

    fn main(&mut self) {
        self.state.prefilled.clear();
        self.begin(Target::Step(0));
    }

    fn remember(&mut self, at: Point) {
        if self.state.history.len() >= HISTORY_MAX {
            self.state.history.remove(0);
            let forgotten = self.state.history.first().map_or(0, |oldest| oldest.undo);
            self.state.undo.drain(..usize::from(forgotten).min(self.state.undo.len()));
            for answered in &mut self.state.history {
                answered.undo = answered.undo.saturating_sub(forgotten);
            }
        }
        let undo = u16::try_from(self.state.undo.len()).unwrap_or(u16::MAX);
        self.state.history.push(Answered { at, undo });
    }

    fn assign(&mut self, variable: u16, value: Value) -> Control {
        if usize::from(variable) >= self.state.vars.len() {
            return self.trouble();
        }
        self.put(variable, Some(value));
        Control::Next
    }

    /// Sets or forgets a variable, so that `back` can undo it.
    fn put(&mut self, variable: u16, value: Option<Value>) {
        let Some(slot) = self.state.vars.get_mut(usize::from(variable)) else { return };
        let former = std::mem::replace(slot, value);
        // Only the first value since the last answer is one to go back to.
        if let Some(answered) = self.state.history.last() {
            let since = self.state.undo.get(usize::from(answered.undo)..).unwrap_or_default();
            if !since.iter().any(|(logged, _)| *logged == variable) {
                self.state.undo.push((variable, former));
            }
        }
    }

    fn over(&mut self) {
        self.state.wait = Wait::Over;
        self.state.vars.fill(None);
        self.state.prefilled.clear();
        self.state.undo.clear();
        self.state.history.clear();
    }

    fn end(&mut self) -> Control {
        self.over();
        self.effects.push(Effect::End);
        Control::Stopped
    }

    /// Something that the checker excludes, or a session that broke the contract: say so and end.
    fn trouble(&mut self) -> Control {
        self.say_system(System::Trouble, Vec::new());
        self.end()
    }

    // ---- actions

    fn act(&mut self, action: &'static Action, parameters: &[Parameter], at: Point) -> Control {
        let mut arguments = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let argument = match parameter {
                Parameter::Value(expression) => expression.evaluate(self.scope()).map(Argument::Value),
                Parameter::Secret(variable) => match self.secret.take() {
                    Some((of, vouched)) if of == *variable => Some(match vouched {
                        Vouched::Secret(secret) => Argument::Secret(secret),
                        Vouched::Word => Argument::Waived,
                    }),
                    _ => None,
                },
            };
            match argument {
                Some(argument) => arguments.push(argument),
                None => return self.trouble(),
            }
        }
        if action.moves_money() {
            self.state.history.clear();
            self.state.undo.clear();
        }
        self.state.at = at;
        self.state.wait = Wait::Outcome;
        self.effects.push(Effect::Do { action, arguments });
        Control::Stopped
    }

    fn outcome(&mut self, name: &str, values: Vec<Value>) {
        let Point { step, op } = self.state.at;
        let program: &'p Program = self.program;
        let Some(Op::Do { action, branches, .. }) = program.op(step, op) else {
            self.trouble();
            return;
        };
        if name == PIN_NEEDED && self.ask_after_all() {
            return;
        }
        let found =
            action.outcome(name).and_then(|(index, outcome)| Some((index, outcome, branches.get(index)?)));
        let Some((index, outcome, branch)) = found else {
            self.trouble();
            return;
        };
        let fits = outcome.values.len() == values.len()
            && outcome.values.iter().zip(&values).all(|(field, value)| value.is(field.ty));
        if fits && outcome.meaning == Meaning::Identified {
            self.proved(outcome, &values);
        }
        if !fits || (outcome.meaning == Meaning::Identified && self.state.caller.is_none()) {
            self.trouble();
            return;
        }
        if outcome.meaning == Meaning::Identified
            && let Some(variable) = program.caller
            && let Some(caller) = self.state.caller.clone()
        {
            self.assign(variable, Value::Phone(caller));
        }
        for ((variable, value), field) in branch.bind.iter().zip(values).zip(outcome.values) {
            self.assign(*variable, value.from_outside(field.ty));
        }
        self.state.fresh = index != 0;
        self.block_and_run(&branch.block);
    }

    /// An outcome that identifies the caller by a number of its own makes him known by that number, and by nothing but what
    /// he did to prove it.
    fn proved(&mut self, outcome: &Outcome, values: &[Value]) {
        let named = outcome.values.iter().position(|field| field.ty == Type::Phone);
        if let Some(Value::Phone(phone)) = named.and_then(|index| values.get(index)) {
            self.state.caller = Some(phone.clone());
            self.state.assurance = Assurance::None;
            self.state.pin_waivable = false;
        }
    }
}

/// Whether a moment is in one of the spans; without spans it always is. A span that ends at or before its beginning
/// ends on the next day, and belongs to the day that it begins on.
fn is_open(spans: &[OpenSpan], at: Moment) -> bool {
    let today = at.date.weekday();
    let begins = |span: &OpenSpan, weekday: u8| span.days & (1 << weekday) != 0;
    spans.is_empty()
        || spans.iter().any(|span| {
            if span.from < span.to {
                begins(span, today) && span.from <= at.time && at.time < span.to
            } else {
                (begins(span, today) && span.from <= at.time)
                    || (begins(span, (today + 6) % 7) && at.time < span.to)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::civil::{Date, Time};

    #[test]
    fn opening_hours_belong_to_the_day_that_they_begin_on() {
        let span = |days, from: &str, to: &str| OpenSpan {
            days,
            from: Time::parse(from).unwrap(),
            to: Time::parse(to).unwrap(),
        };
        // 2026-11-20 is a Friday.
        let at = |day, time: &str| Moment {
            date: Date::new(2026, 11, day).unwrap(),
            time: Time::parse(time).unwrap(),
        };
        let office = [span(0b001_1111, "08:00", "18:00"), span(0b010_0000, "09:00", "12:00")];
        for (day, time, open) in [
            (20, "07:59", false),
            (20, "08:00", true),
            (20, "17:59", true),
            (20, "18:00", false),
            (21, "08:30", false),
            (21, "11:59", true),
            (22, "10:00", false),
        ] {
            assert_eq!(is_open(&office, at(day, time)), open, "{day} {time}");
        }
        // Friday night ends on Saturday morning; Sunday's night ends on Monday's.
        let night = [span(0b101_0000, "22:00", "06:00")];
        for (day, time, open) in [
            (20, "05:00", false),
            (20, "22:00", true),
            (21, "05:59", true),
            (21, "06:00", false),
            (21, "23:00", false),
            (22, "05:00", false),
            (22, "23:00", true),
            (23, "05:59", true),
        ] {
            assert_eq!(is_open(&night, at(day, time)), open, "{day} {time}");
        }
        assert!(is_open(&[span(0b1000, "00:00", "00:00")], at(19, "12:00")), "a whole Thursday");
        assert!(is_open(&[], at(20, "03:00")));
    }
}
