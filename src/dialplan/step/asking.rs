//! How the engine asks: questions that a command already answered, and what a channel must know to listen.

use crate::dialplan::event::{Channel, Collect, Effect, Input};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{Ask, Given, INTER_DIGIT, Op, PinOnSms, Program, Reading, Speech, TERMINATOR};
use crate::dialplan::speak::{Key, System};
use crate::dialplan::state::{Point, Wait};
use crate::dialplan::step::reading::{Form, read_text};
use crate::dialplan::step::{Control, Engine};

/// The keys of yes and no.
pub(super) const YES: char = '1';
pub(super) const NO: char = '2';

impl<'p> Engine<'p> {
    fn first_arrival(&self, step: u16) -> bool {
        self.state.visits.get(usize::from(step)).is_some_and(|visits| *visits == 1)
    }

    pub(super) fn given(&mut self, slot: &str, then: &'p Given, at: Point) -> Control {
        if !self.first_arrival(at.step) || !self.state.prefilled.contains_key(slot) {
            return Control::Next;
        }
        match then {
            Given::Goto { variable, reading, min, max, target } => {
                let text = self.state.prefilled.remove(slot).unwrap_or_default();
                let form = Form { reading: *reading, min: *min, max: *max, check: None };
                match read_text(&self.program.settings, self.state.began.date, form, &text) {
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
            Op::Menu(menu) => {
                menu.choices.iter().find(|choice| choice.key == key).map(|c| c.block.as_slice())
            }
            _ => None,
        })
    }

    pub(super) fn ask(&mut self, ask: &'p Ask, at: Point) -> Control {
        if self.state.gone {
            return self.end();
        }
        let first = self.first_arrival(at.step);
        if !self.state.prefilled.is_empty()
            && ask.reading != Reading::Secret
            && let Some(variable) = self.program.variables.get(usize::from(ask.variable))
            && let Some(text) = self.state.prefilled.remove(&variable.name)
            && first
        {
            match read_text(&self.program.settings, self.state.began.date, Form::of(ask), &text) {
                Ok(value) => return self.assign(ask.variable, value),
                Err(reason) => self.say_reason(reason, ask.min, ask.max),
            }
        }
        if !first && ask.reading != Reading::Secret && !self.speaks_of_its_answer(ask) {
            self.put(ask.variable, None);
        }
        self.pose(ask, at)
    }

    /// Whether the former answer is still wanted while the question is asked again: its own words say it, or it is one
    /// that every session begins with.
    fn speaks_of_its_answer(&self, ask: &Ask) -> bool {
        let tapering = ask.silent.iter().chain(&ask.wrong).map(|(_, speech)| speech);
        let mut speeches = std::iter::once(&ask.question).chain(&ask.again).chain(tapering);
        let says = |speech: &Speech| speech.arguments.iter().any(|argument| mentions(argument, ask.variable));
        let mut start = self.program.parts().flat_map(|part| &part.start).chain(&self.program.start);
        start.any(|(variable, _)| *variable == ask.variable) || speeches.any(says)
    }

    /// Says the question and listens, unless it is one that a text message may not answer.
    pub(super) fn pose(&mut self, ask: &'p Ask, at: Point) -> Control {
        if ask.reading == Reading::Secret && self.state.channel == Channel::Sms {
            match self.program.pin_on_sms {
                PinOnSms::Reply => {}
                PinOnSms::None if self.is_small(ask) => return self.ask_without_pin(ask, at),
                PinOnSms::Callback | PinOnSms::None => return self.call_back(at),
                PinOnSms::Refuse => {
                    self.say_system(System::PinRefused, Vec::new());
                    return self.end();
                }
            }
        }
        self.say_question(ask, None);
        self.wait_for_input(ask, at)
    }

    /// The question is asked where a PIN may be asked, as soon as the caller is reached there.
    pub(super) fn call_back(&mut self, at: Point) -> Control {
        self.say_system(System::PinCallback, Vec::new());
        self.state.at = at;
        self.state.wait = Wait::Callback;
        self.effects.push(Effect::Callback);
        Control::Stopped
    }

    /// The question, or what is said in its place; yes and no are offered like the options of a menu.
    pub(super) fn say_question(&mut self, ask: &Ask, instead: Option<&Speech>) {
        self.say(instead.unwrap_or(&ask.question));
        if ask.reading == Reading::YesNo {
            self.say_system_option(System::Yes, Key::Sign(YES));
            self.say_system_option(System::No, Key::Sign(NO));
        }
    }

    pub(super) fn wait_for_input(&mut self, ask: &Ask, at: Point) -> Control {
        if self.is_without_pin(ask) {
            return self.wait_for_word(ask, at);
        }
        let (min, max) = (ask.min, ask.max);
        let input = match ask.reading {
            Reading::Digits => Input::Digits { min, max },
            Reading::Secret => Input::Secret { min, max },
            Reading::Phone => Input::Phone { min, max },
            Reading::Money => Input::Money { min, max },
            Reading::YesNo => Input::Menu(vec![YES, NO]),
            Reading::Date => Input::Date,
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

    pub(super) fn collect(&mut self, collect: Collect, at: Point) -> Control {
        self.state.at = at;
        self.state.wait = Wait::Answer;
        self.state.fresh = false;
        self.effects.push(Effect::Collect(collect));
        Control::Stopped
    }
}

fn mentions(expression: &Expression, variable: u16) -> bool {
    match expression {
        Expression::Variable(index) | Expression::Known(index) => *index == variable,
        Expression::Field(inner, _)
        | Expression::Count(inner)
        | Expression::Not(inner)
        | Expression::Least(inner) => mentions(inner, variable),
        Expression::Binary(_, left, right) => mentions(left, variable) || mentions(right, variable),
        Expression::Value(_) | Expression::Today | Expression::Now => false,
    }
}
