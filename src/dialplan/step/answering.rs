//! What the engine makes of an answer: a value, a way back, or a reason to ask again until the tries are used
//! up.

use crate::dialplan::event::{Answer, Channel};
use crate::dialplan::program::{Ask, INPUTS_MAX, Menu, Op, Reading, Speech};
use crate::dialplan::speak::System;
use crate::dialplan::state::{Point, Wait};
use crate::dialplan::step::asking::{NO, YES};
use crate::dialplan::step::menus::Chosen;
use crate::dialplan::step::reading::{Form, Read, read};
use crate::dialplan::step::{Control, Engine, Vouched};
use crate::dialplan::value::Value;

/// The wordings of a question that follow a failure.
#[derive(Clone, Copy)]
pub(super) struct Wordings<'p> {
    again: Option<&'p Speech>,
    silent: &'p [(u8, Speech)],
    wrong: &'p [(u8, Speech)],
}

impl Wordings<'_> {
    /// None but the reasons that Keytone gives by itself.
    pub(super) const NONE: Self = Self { again: None, silent: &[], wrong: &[] };
}

impl<'p> Engine<'p> {
    pub(super) fn answered(&mut self, answer: Answer) {
        let at = self.state.at;
        self.state.inputs = self.state.inputs.saturating_add(1);
        if self.state.inputs > INPUTS_MAX {
            if self.give_up(self.flow_limits().visits_then) != Control::Stopped {
                self.run();
            }
            return;
        }
        match self.program.op(at.step, at.op) {
            _ if self.state.wait == Wait::Resume => self.answer_to_resumption(&answer),
            Some(Op::Ask(ask)) if self.is_without_pin(ask) => self.answer_without_pin(ask, at, &answer),
            Some(Op::Ask(ask)) => self.answer_to_ask(ask, at, answer),
            Some(Op::Menu(menu)) => self.answer_to_menu(menu, at, &answer),
            _ => {
                self.trouble();
            }
        }
    }

    fn answer_to_ask(&mut self, ask: &'p Ask, at: Point, answer: Answer) {
        let wordings = Wordings { again: ask.again.as_ref(), silent: &ask.silent, wrong: &ask.wrong };
        let ask_again = |engine: &mut Self, instead: Option<&Speech>| {
            engine.say_question(ask, instead);
            engine.wait_for_input(ask, at)
        };
        if answer == Answer::Silence {
            return self.silence(wordings, ask_again);
        }
        if answer.key().is_some_and(|key| Some(key) == self.program.back) {
            return self.back();
        }
        let answered = if ask.reading == Reading::YesNo {
            self.yes_or_no(&answer)
                .map_or(Read::Wrong(System::WrongYesNo), |yes| Read::Value(Value::Bool(yes)))
        } else {
            read(&self.program.settings, self.state.began.date, Form::of(ask), answer)
        };
        match answered {
            Read::Value(value) => {
                self.remember(at);
                self.state.at.op = at.op.saturating_add(1);
                if self.assign(ask.variable, value) == Control::Next {
                    self.run();
                }
            }
            Read::Secret(secret) => {
                self.remember(at);
                self.secret = Some((ask.variable, Vouched::Secret(secret)));
                self.state.at.op = at.op.saturating_add(1);
                self.run();
            }
            Read::Wrong(reason) => self.wrong(wordings, (reason, ask.min, ask.max), ask_again),
        }
    }

    /// The key of yes or no, or on screens one of the language's words for it.
    pub(super) fn yes_or_no(&self, answer: &Answer) -> Option<bool> {
        match answer.key() {
            Some(YES) => return Some(true),
            Some(NO) => return Some(false),
            _ => {}
        }
        let Answer::Text(text) = answer else { return None };
        if self.state.channel == Channel::Voice {
            return None;
        }
        let written = text.trim().to_lowercase();
        let is_one_of = |system| {
            let words = self.system_text(system);
            words.split([',', '，', '、']).any(|word| word.trim().to_lowercase() == written)
        };
        if written.is_empty() {
            None
        } else if is_one_of(System::YesWords) {
            Some(true)
        } else {
            is_one_of(System::NoWords).then_some(false)
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
        match self.chosen(menu, answer) {
            Chosen::Own(block) => {
                if menu.remembered {
                    self.remember(at);
                }
                self.block_and_run(block);
            }
            Chosen::Item(each, item) => {
                if menu.remembered {
                    self.remember(at);
                }
                if self.assign(each.item, item) == Control::Next {
                    self.block_and_run(&each.block);
                }
            }
            Chosen::Page(page) => self.turn_items(menu, at, page),
            Chosen::Nothing => match answer.key() {
                Some(key) if Some(key) == self.program.back => self.back(),
                Some(key) if Some(key) == self.program.main => self.main(),
                _ => self.wrong(wordings, (System::WrongKey, 1, 1), ask_again),
            },
        }
    }

    /// Says why the answer will not do and asks again, or gives up.
    pub(super) fn wrong(
        &mut self,
        wordings: Wordings<'_>,
        (reason, min, max): (System, u8, u8),
        ask_again: impl FnOnce(&mut Self, Option<&Speech>) -> Control,
    ) {
        self.state.wrong = self.state.wrong.saturating_add(1);
        let tries_left = self.state.wrong < self.limits().tries;
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
        let tries_left = self.state.silent < self.limits().tries;
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
        } else if self.give_up(self.limits().tries_then) != Control::Stopped {
            self.run();
        }
    }
}

/// The wording with the highest number not above the count.
fn wording(wordings: &[(u8, Speech)], count: u8) -> Option<&Speech> {
    wordings.iter().rev().find(|(from, _)| *from <= count).map(|(_, speech)| speech)
}
