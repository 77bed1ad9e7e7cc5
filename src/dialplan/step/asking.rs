//! How the engine asks: questions that a command already answered, and what a channel must know to listen.

use crate::dialplan::event::{Collect, Effect, Input};
use crate::dialplan::program::{Ask, Given, INTER_DIGIT, Menu, Op, Program, Reading, TERMINATOR};
use crate::dialplan::state::{Point, Wait};
use crate::dialplan::step::reading::read_text;
use crate::dialplan::step::{Control, Engine};

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
            Op::Menu(menu) => {
                menu.choices.iter().find(|choice| choice.key == key).map(|c| c.block.as_slice())
            }
            _ => None,
        })
    }

    pub(super) fn ask(&mut self, ask: &'p Ask, at: Point) -> Control {
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

    pub(super) fn wait_for_input(&mut self, ask: &Ask, at: Point) -> Control {
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

    pub(super) fn wait_for_key(&mut self, menu: &Menu, at: Point) -> Control {
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
}
