//! What the engine makes of an answer: a value, a way back, or a reason to ask again until the tries are used
//! up.

use crate::dialplan::event::Answer;
use crate::dialplan::program::{Ask, INPUTS_MAX, Menu, Op, Speech};
use crate::dialplan::speak::System;
use crate::dialplan::state::Point;
use crate::dialplan::step::reading::{Read, read};
use crate::dialplan::step::{Control, Engine};

/// The wordings of a question that follow a failure.
#[derive(Clone, Copy)]
struct Wordings<'p> {
    again: Option<&'p Speech>,
    silent: &'p [(u8, Speech)],
    wrong: &'p [(u8, Speech)],
}

impl<'p> Engine<'p> {
    pub(super) fn answered(&mut self, answer: Answer) {
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
