//! The engine: a state and an event give a state and effects.
//!
//! Pure and total. It never looks at the time, never fails, and owns a secret only between the answer that brought it
//! and the action that takes it, within one call of [`step`].

mod reading;

use crate::dialplan::action::{Action, Meaning};
use crate::dialplan::event::{Answer, Argument, Channel, Collect, Effect, Event, Input, Start};
use crate::dialplan::program::{
    Ask, Given, HISTORY_MAX, INPUTS_MAX, INTER_DIGIT, Menu, OPERATIONS_MAX, Op, Parameter, Program, Reading, Speech,
    TERMINATOR, Target,
};
use crate::dialplan::speak::{System, Utterance};
use crate::dialplan::state::{Answered, Point, State, Wait};
use crate::dialplan::step::reading::{Read, read, read_text};
use crate::dialplan::value::Value;
use crate::secret::Secret;

/// Takes the conversation one event further. An event that does not answer what the state waits for changes nothing
/// and has no effect.
#[must_use]
pub fn step(program: &Program, state: State, event: Event) -> (State, Vec<Effect>) {
    let mut engine = Engine { program, state, effects: Vec::new(), secret: None };
    match (engine.state.wait, event) {
        (Wait::Over, _) => {}
        (_, Event::Hangup) => engine.over(),
        (Wait::Start, Event::Start(start)) => engine.start(start),
        (Wait::Answer, Event::Answer(answer)) => engine.answered(answer),
        (Wait::Outcome, Event::Outcome { name, values }) => engine.outcome(&name, values),
        _ => {}
    }
    (engine.state, engine.effects)
}

struct Engine<'p> {
    program: &'p Program,
    state: State,
    effects: Vec<Effect>,
    secret: Option<(u16, Secret)>,
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

/// The wordings of a question that follow a failure.
#[derive(Clone, Copy)]
struct Wordings<'p> {
    again: Option<&'p Speech>,
    silent: &'p [(u8, Speech)],
    wrong: &'p [(u8, Speech)],
}

impl<'p> Engine<'p> {
    fn start(&mut self, start: Start) {
        let state = &mut self.state;
        state.channel = start.channel;
        state.caller = start.caller;
        state.prefilled = start.prefilled;
        if self.program.texts.has_language(&start.language) {
            state.language = start.language;
        }
        self.begin();
    }

    /// The first step, with the variables that a session starts with.
    fn begin(&mut self) {
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
        if self.enter(0) != Control::Stopped {
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

    fn perform(&mut self, operation: &'p Op, at: Point) -> Control {
        match operation {
            Op::Given { slot, then } => self.given(slot, then, at),
            Op::Ask(ask) => self.ask(ask, at),
            Op::Menu(menu) => {
                self.say_menu(menu, None);
                self.wait_for_key(menu, at)
            }
            Op::Must { condition, otherwise } => match condition.truth(&self.state.vars) {
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
            Op::Set { variable, value } => match value.evaluate(&self.state.vars) {
                Some(value) => self.assign(*variable, value),
                None => self.trouble(),
            },
            Op::SendSms(speech) => self.send_sms(speech),
            Op::If { condition, target } => match condition.truth(&self.state.vars) {
                Some(true) => self.go(*target),
                Some(false) => Control::Next,
                None => self.trouble(),
            },
            Op::Mark(name) => {
                self.effects.push(Effect::Mark(name.clone()));
                Control::Next
            }
            Op::Goto(target) => self.go(*target),
            Op::Do { action, arguments, .. } => self.act(action, arguments, at),
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

    fn again_from_start(&mut self, step: u16) -> Control {
        self.state.wrong = self.state.wrong.saturating_add(1);
        self.state.fresh = true;
        if self.state.wrong >= self.program.tries {
            return self.give_up(self.program.tries_then);
        }
        self.state.at = Point { step, op: 0 };
        Control::Jumped
    }

    fn enter(&mut self, step: u16) -> Control {
        self.state.at = Point { step, op: 0 };
        let Some(visits) = self.state.visits.get_mut(usize::from(step)) else { return self.trouble() };
        *visits = visits.saturating_add(1);
        if *visits > self.program.visits { self.give_up(self.program.visits_then) } else { Control::Jumped }
    }

    /// Goes where a flow ends when the caller cannot be helped. That step is entered uncounted: it cannot ask.
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
        self.begin();
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
        let Some(slot) = self.state.vars.get_mut(usize::from(variable)) else { return self.trouble() };
        let former = slot.replace(value);
        if !self.state.history.is_empty() {
            self.state.undo.push((variable, former));
        }
        Control::Next
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

    // ---- saying

    fn utterance(&self, speech: &Speech, option: Option<char>) -> Option<Utterance> {
        let slots = speech.arguments.iter().map(|a| a.evaluate(&self.state.vars)).collect::<Option<Vec<_>>>()?;
        Some(Utterance { message: speech.message, name: speech.name.clone(), slots, option })
    }

    fn push(&mut self, utterance: Utterance) {
        if let Some(Effect::Say(said)) = self.effects.last_mut() {
            said.push(utterance);
        } else {
            self.effects.push(Effect::Say(vec![utterance]));
        }
    }

    fn say(&mut self, speech: &Speech) {
        if let Some(utterance) = self.utterance(speech, None) {
            self.push(utterance);
        }
    }

    fn say_system(&mut self, system: System, slots: Vec<Value>) {
        let (message, name) = self.program.texts.system(system);
        self.push(Utterance { message, name, slots, option: None });
    }

    fn say_reason(&mut self, reason: System, min: u8, max: u8) {
        let slots = match reason {
            System::WrongDigits | System::WrongSecret => vec![Value::Int(min.into()), Value::Int(max.into())],
            _ => Vec::new(),
        };
        self.say_system(reason, slots);
    }

    fn say_menu(&mut self, menu: &'p Menu, instead: Option<&Speech>) {
        match instead {
            Some(speech) => self.say(speech),
            None => menu.question.iter().for_each(|speech| self.say(speech)),
        }
        for choice in &menu.choices {
            if let Some(label) = &choice.label
                && let Some(utterance) = self.utterance(label, Some(choice.key))
            {
                self.push(utterance);
            }
        }
    }

    fn send_sms(&mut self, speech: &Speech) -> Control {
        // In a thread of text messages what is told is already a text message.
        if self.state.channel != Channel::Sms
            && let Some(to) = self.state.caller.clone()
            && let Some(utterance) = self.utterance(speech, None)
        {
            let text = self.program.text(&utterance, &self.state.language, Channel::Sms);
            self.effects.push(Effect::SendSms { to, message: utterance.name, text });
        }
        Control::Next
    }

    // ---- asking

    fn first_arrival(&self, step: u16) -> bool {
        self.state.visits.get(usize::from(step)).is_some_and(|visits| *visits == 1)
    }

    fn given(&mut self, slot: &str, then: &'p Given, at: Point) -> Control {
        if !self.first_arrival(at.step) || !self.state.prefilled.contains_key(slot) {
            return Control::Next;
        }
        match then {
            Given::Goto { variable, reading, min, max, target } => {
                let text = self.state.prefilled.remove(slot).unwrap_or_default();
                match read_text(&self.program.settings, *reading, *min, *max, &text) {
                    Ok(value) => match self.assign(*variable, value) {
                        Control::Next => self.go(*target),
                        control => control,
                    },
                    Err(reason) => {
                        self.say_reason(reason, *min, *max);
                        Control::Next
                    }
                }
            }
            Given::Choose { key } => match self.choice(at.step, *key) {
                Some(block) => self.block(block),
                None => Control::Next,
            },
        }
    }

    fn choice(&self, step: u16, key: char) -> Option<&'p [Op]> {
        let program: &'p Program = self.program;
        let step = program.steps.get(usize::from(step))?;
        step.ops.iter().find_map(|op| match op {
            Op::Menu(menu) => menu.choices.iter().find(|choice| choice.key == key).map(|c| c.block.as_slice()),
            _ => None,
        })
    }

    fn ask(&mut self, ask: &'p Ask, at: Point) -> Control {
        if !self.state.prefilled.is_empty()
            && ask.reading != Reading::Secret
            && let Some(variable) = self.program.variables.get(usize::from(ask.variable))
            && let Some(text) = self.state.prefilled.remove(&variable.name)
            && self.first_arrival(at.step)
        {
            match read_text(&self.program.settings, ask.reading, ask.min, ask.max, &text) {
                Ok(value) => return self.assign(ask.variable, value),
                Err(reason) => self.say_reason(reason, ask.min, ask.max),
            }
        }
        self.say(&ask.question);
        self.wait_for_input(ask, at)
    }

    fn wait_for_input(&mut self, ask: &Ask, at: Point) -> Control {
        let (min, max) = (ask.min, ask.max);
        let input = match ask.reading {
            Reading::Digits => Input::Digits { min, max },
            Reading::Secret => Input::Secret { min, max },
            Reading::Phone => Input::Phone { min, max },
            Reading::Money => Input::Money { min, max },
        };
        self.collect(
            Collect {
                input,
                keys: self.program.back.into_iter().collect(),
                terminator: TERMINATOR,
                barge_in: ask.barge_in,
                fresh: self.state.fresh || ask.confirmation,
                quiet: ask.quiet,
                confirmation: ask.confirmation,
                first_digit: ask.wait,
                inter_digit: INTER_DIGIT,
            },
            at,
        )
    }

    fn wait_for_key(&mut self, menu: &Menu, at: Point) -> Control {
        let own = |key: &char| !menu.choices.iter().any(|choice| choice.key == *key);
        self.collect(
            Collect {
                input: Input::Menu(menu.choices.iter().map(|choice| choice.key).collect()),
                keys: [self.program.back, self.program.main].into_iter().flatten().filter(own).collect(),
                terminator: TERMINATOR,
                barge_in: menu.barge_in,
                fresh: self.state.fresh,
                quiet: false,
                confirmation: false,
                first_digit: menu.wait,
                inter_digit: INTER_DIGIT,
            },
            at,
        )
    }

    fn collect(&mut self, collect: Collect, at: Point) -> Control {
        self.state.at = at;
        self.state.wait = Wait::Answer;
        self.state.fresh = false;
        self.effects.push(Effect::Collect(collect));
        Control::Stopped
    }

    // ---- answers

    fn answered(&mut self, answer: Answer) {
        let at = self.state.at;
        self.state.inputs = self.state.inputs.saturating_add(1);
        if self.state.inputs > INPUTS_MAX {
            if self.give_up(self.program.visits_then) != Control::Stopped {
                self.run();
            }
            return;
        }
        match self.program.op(at.step, at.op) {
            Some(Op::Ask(ask)) => self.answer_to_ask(ask, at, answer),
            Some(Op::Menu(menu)) => self.answer_to_menu(menu, at, &answer),
            _ => {
                self.trouble();
            }
        }
    }

    fn answer_to_ask(&mut self, ask: &'p Ask, at: Point, answer: Answer) {
        let wordings = Wordings { again: ask.again.as_ref(), silent: &ask.silent, wrong: &ask.wrong };
        if answer == Answer::Silence {
            return self.silence(wordings, |engine, instead| {
                engine.say(instead.unwrap_or(&ask.question));
                engine.wait_for_input(ask, at)
            });
        }
        if key_of(&answer).is_some_and(|key| Some(key) == self.program.back) {
            return self.back();
        }
        match read(&self.program.settings, ask.reading, ask.min, ask.max, answer) {
            Read::Value(value) => {
                self.remember(at);
                self.state.at.op = at.op.saturating_add(1);
                if self.assign(ask.variable, value) == Control::Next {
                    self.run();
                }
            }
            Read::Secret(secret) => {
                self.remember(at);
                self.secret = Some((ask.variable, secret));
                self.state.at.op = at.op.saturating_add(1);
                self.run();
            }
            Read::Wrong(reason) => {
                self.wrong(wordings, (reason, ask.min, ask.max), |engine, instead| {
                    engine.say(instead.unwrap_or(&ask.question));
                    engine.wait_for_input(ask, at)
                });
            }
        }
    }

    fn answer_to_menu(&mut self, menu: &'p Menu, at: Point, answer: &Answer) {
        let wordings = Wordings { again: menu.again.as_ref(), silent: &menu.silent, wrong: &menu.wrong };
        let ask_again = |engine: &mut Self, instead: Option<&Speech>| {
            engine.say_menu(menu, instead);
            engine.wait_for_key(menu, at)
        };
        if *answer == Answer::Silence {
            return self.silence(wordings, ask_again);
        }
        let key = key_of(answer);
        if let Some(choice) = key.and_then(|key| menu.choices.iter().find(|choice| choice.key == key)) {
            if menu.remembered {
                self.remember(at);
            }
            return self.block_and_run(&choice.block);
        }
        match key {
            Some(key) if Some(key) == self.program.back => self.back(),
            Some(key) if Some(key) == self.program.main => self.main(),
            _ => self.wrong(wordings, (System::WrongKey, 1, 1), ask_again),
        }
    }

    /// Says why the answer will not do and asks again, or gives up.
    fn wrong(
        &mut self,
        wordings: Wordings<'_>,
        (reason, min, max): (System, u8, u8),
        ask_again: impl FnOnce(&mut Self, Option<&Speech>) -> Control,
    ) {
        self.state.wrong = self.state.wrong.saturating_add(1);
        let tries_left = self.state.wrong < self.program.tries;
        match wording(wordings.wrong, self.state.wrong) {
            Some(speech) if tries_left => self.fail(Some(speech), tries_left, ask_again),
            _ => {
                self.say_reason(reason, min, max);
                self.fail(wordings.again, tries_left, ask_again);
            }
        }
    }

    fn silence(
        &mut self,
        wordings: Wordings<'_>,
        ask_again: impl FnOnce(&mut Self, Option<&Speech>) -> Control,
    ) {
        self.state.silent = self.state.silent.saturating_add(1);
        let tries_left = self.state.silent < self.program.tries;
        match wording(wordings.silent, self.state.silent) {
            Some(speech) if tries_left => self.fail(Some(speech), tries_left, ask_again),
            _ => {
                self.say_system(System::Silence, Vec::new());
                self.fail(wordings.again, tries_left, ask_again);
            }
        }
    }

    fn fail(
        &mut self,
        instead: Option<&Speech>,
        tries_left: bool,
        ask_again: impl FnOnce(&mut Self, Option<&Speech>) -> Control,
    ) {
        self.state.fresh = true;
        if tries_left {
            ask_again(self, instead);
        } else if self.give_up(self.program.tries_then) != Control::Stopped {
            self.run();
        }
    }

    // ---- actions

    fn act(&mut self, action: &'static Action, parameters: &[Parameter], at: Point) -> Control {
        let mut arguments = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let argument = match parameter {
                Parameter::Value(expression) => expression.evaluate(&self.state.vars).map(Argument::Value),
                Parameter::Secret(variable) => match self.secret.take() {
                    Some((of, secret)) if of == *variable => Some(Argument::Secret(secret)),
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
        let found = action.outcome(name).and_then(|(index, outcome)| Some((index, outcome, branches.get(index)?)));
        let Some((index, outcome, branch)) = found else {
            self.trouble();
            return;
        };
        let fits = outcome.values.len() == values.len()
            && outcome.values.iter().zip(&values).all(|(field, value)| value.is(field.ty));
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
        for (variable, value) in branch.bind.iter().zip(values) {
            self.assign(*variable, value);
        }
        self.state.fresh = index != 0;
        self.block_and_run(&branch.block);
    }
}

/// The wording with the highest number not above the count.
fn wording(wordings: &[(u8, Speech)], count: u8) -> Option<&Speech> {
    wordings.iter().rev().find(|(from, _)| *from <= count).map(|(_, speech)| speech)
}

/// The one key that an answer consists of, if it does.
fn key_of(answer: &Answer) -> Option<char> {
    let text = match answer {
        Answer::Key(key) => return Some(*key),
        Answer::Text(text) | Answer::Digits(text) => text.trim(),
        _ => return None,
    };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(key), None) => Some(key),
        _ => None,
    }
}
