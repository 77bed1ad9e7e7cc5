//! What a USSD caller sees: all that was told since the last input and the question, in one screen or in pages of it.

use crate::dialplan::event::{Answer, Channel, Collect, Effect, Input};
use crate::dialplan::pages::Screen;
use crate::dialplan::program::{
    FIRST_DIGIT, INPUTS_MAX, INTER_DIGIT, Op, PAGE_REPLIES, PAGES_MAX, TERMINATOR,
};
use crate::dialplan::speak::System;
use crate::dialplan::state::{Pages, State, Wait};
use crate::dialplan::step::Engine;

/// What a reply does on a screen of several pages.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Turning {
    Back,
    On,
    Nothing,
}

impl Engine<'_> {
    /// Closes a step of the engine: what was told becomes a screen on USSD, and a text message if the caller has gone.
    pub(super) fn show(&mut self) {
        if self.state.gone {
            self.tell_by_sms();
            return;
        }
        if self.state.channel != Channel::Ussd || self.effects.is_empty() {
            return;
        }
        let before = self.state.screen.take().map(|told| told.text);
        let text = self.told(before.unwrap_or_default(), '\n', Channel::Ussd);
        match self.effects.last() {
            Some(Effect::Do { .. } | Effect::Callback) => {
                // Nothing can be shown while an action is under way: it comes with what follows.
                if !text.is_empty() {
                    self.state.screen = Some(Pages { text, shown: 0, ends: false });
                }
            }
            Some(Effect::End) => self.show_pages(text, true),
            _ => self.show_pages(text, false),
        }
    }

    fn show_pages(&mut self, text: String, ends: bool) {
        let before_last = self.effects.len().saturating_sub(1);
        if Screen::of(&self.program.settings, "", "").holds(&text) {
            if !text.is_empty() {
                self.effects.insert(before_last, Effect::Screen(text));
            }
            return;
        }
        let first = self.pages(&text).into_iter().next().unwrap_or_default();
        self.effects.insert(before_last, Effect::Screen(first));
        self.state.screen = Some(Pages { text, shown: 0, ends });
        if ends {
            self.effects.pop();
            self.listen_for_pages();
        }
    }

    /// Adds what was told in this step of the engine to a text, in the words of a channel.
    pub(super) fn told(&self, mut text: String, between: char, channel: Channel) -> String {
        let said = self.effects.iter().filter_map(|effect| match effect {
            Effect::Say(utterances) => Some(utterances),
            _ => None,
        });
        for utterance in said.flatten() {
            if !text.is_empty() {
                text.push(between);
            }
            self.program.texts.write(utterance, &self.state.language, channel, &mut text);
        }
        text
    }

    fn pages(&self, text: &str) -> Vec<String> {
        let more = self.system_text(System::PageMore);
        let before = self.system_text(System::PageBefore);
        Screen::of(&self.program.settings, &more, &before).pages(text, PAGES_MAX)
    }

    pub(super) fn system_text(&self, system: System) -> String {
        let State { language, channel, .. } = &self.state;
        self.program.texts.system_text(language, system, Vec::new(), *channel)
    }

    /// Turns the page if the reply asks for that, or gives the answer back that it is.
    pub(super) fn read_on(&mut self, answer: Answer) -> Option<Answer> {
        let Some(mut screen) = self.state.screen.take() else { return Some(answer) };
        let mut pages = self.pages(&screen.text);
        let last = u8::try_from(pages.len().saturating_sub(1)).unwrap_or(u8::MAX);
        match turning(&answer) {
            Turning::On if screen.shown < last => screen.shown += 1,
            Turning::Back if screen.shown > 0 => screen.shown -= 1,
            _ if !screen.ends => return Some(answer),
            _ => {
                // All has been decided, and some of it not read: after a few replies that lead nowhere the rest is given up.
                self.state.wrong = self.state.wrong.saturating_add(1);
                if self.state.wrong >= self.limits().tries {
                    screen.shown = last;
                }
            }
        }
        self.state.inputs = self.state.inputs.saturating_add(1);
        if self.state.inputs > INPUTS_MAX {
            screen.shown = last;
            if !screen.ends {
                return Some(answer);
            }
        }
        let shown = usize::from(screen.shown).min(pages.len().saturating_sub(1));
        self.effects.push(Effect::Screen(pages.swap_remove(shown)));
        if screen.ends && screen.shown >= last {
            self.end();
            return None;
        }
        let ends = screen.ends;
        self.state.screen = Some(screen);
        if ends {
            self.listen_for_pages()
        } else {
            self.listen_again()
        }
        None
    }

    /// Shows the page again that was shown last: to a caller who is back.
    pub(super) fn show_page_again(&mut self) {
        let Some(screen) = &self.state.screen else { return };
        let pages = self.pages(&screen.text);
        let page = pages.into_iter().nth(screen.shown.into()).unwrap_or_default();
        self.effects.push(Effect::Screen(page));
        self.listen_for_pages();
    }

    /// Listens for what the question that is still open wants.
    pub(super) fn listen_again(&mut self) {
        let at = self.state.at;
        match (self.state.wait, self.program.op(at.step, at.op)) {
            (Wait::Resume, _) => self.wait_for_resumption(),
            (_, Some(Op::Ask(ask))) => {
                self.wait_for_input(ask, at);
            }
            (_, Some(Op::Menu(menu))) => {
                self.wait_for_key(menu, at);
            }
            _ => {
                self.trouble();
            }
        }
    }

    pub(super) fn listen_for_pages(&mut self) {
        self.state.wait = Wait::Answer;
        self.effects.push(Effect::Collect(Collect {
            input: Input::Menu(Vec::new()),
            keys: Vec::new(),
            terminator: TERMINATOR,
            barge_in: true,
            fresh: false,
            quiet: false,
            confirmation: false,
            first_digit: FIRST_DIGIT,
            inter_digit: INTER_DIGIT,
        }));
    }
}

fn turning(answer: &Answer) -> Turning {
    let [back, on] = PAGE_REPLIES;
    let is = |reply: &str| match answer {
        Answer::Text(text) | Answer::Digits(text) => text.trim() == reply,
        Answer::Secret(secret) => secret.expose() == reply.as_bytes(),
        _ => false,
    };
    if is(on) {
        Turning::On
    } else if is(back) {
        Turning::Back
    } else {
        Turning::Nothing
    }
}
