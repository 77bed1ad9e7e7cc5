//! A caller who is there again: reached for a PIN on another channel, or back after the line dropped.

use crate::dialplan::event::{Answer, Channel, Collect, Effect, Input};
use crate::dialplan::program::{FIRST_DIGIT, INTER_DIGIT, Op, TERMINATOR, Target};
use crate::dialplan::speak::{Key, System};
use crate::dialplan::state::Wait;
use crate::dialplan::step::{Control, Engine};

/// The keys of the question whether to go on: to go on, to start again.
const GO_ON: char = '1';
const AGAIN: char = '2';

impl Engine<'_> {
    /// The question that could not be asked by text message is asked where the caller was reached.
    pub(super) fn reached(&mut self, channel: Channel) {
        if channel == Channel::Sms {
            self.unreached();
            return;
        }
        self.state.channel = channel;
        self.state.fresh = true;
        self.ask_again();
        self.show();
    }

    pub(super) fn unreached(&mut self) {
        self.say_system(System::PinUnreached, Vec::new());
        self.end();
        self.show();
    }

    /// Asks whether to go on where it broke off. While an action is under way nothing is asked: its outcome is told first.
    pub(super) fn resumed(&mut self, channel: Channel) {
        match self.state.wait {
            Wait::Answer | Wait::Resume => {
                self.state.pin_waivable = false;
                let unread = self.state.screen.take().filter(|screen| screen.ends);
                self.state.channel = channel;
                match unread {
                    Some(screen) if channel == Channel::Ussd => {
                        self.state.screen = Some(screen);
                        self.show_page_again();
                    }
                    Some(_) => {
                        self.end();
                    }
                    None => {
                        self.state.wrong = 0;
                        self.state.silent = 0;
                        self.ask_whether_to_go_on();
                        self.show();
                    }
                }
            }
            Wait::Outcome => {
                self.state.pin_waivable = false;
                self.state.channel = channel;
                self.state.gone = false;
                if channel != Channel::Ussd {
                    self.state.screen = None;
                }
            }
            // The caller came before we could reach him.
            Wait::Callback if channel != Channel::Sms => self.reached(channel),
            Wait::Start | Wait::Hangup | Wait::Callback | Wait::Over => {}
        }
    }

    pub(super) fn ask_whether_to_go_on(&mut self) {
        self.say_system(System::Resume, Vec::new());
        self.say_system_option(System::ResumeGoOn, Key::Sign(GO_ON));
        self.say_system_option(System::ResumeAgain, Key::Sign(AGAIN));
        self.wait_for_resumption();
    }

    pub(super) fn wait_for_resumption(&mut self) {
        self.state.wait = Wait::Resume;
        let fresh = std::mem::take(&mut self.state.fresh);
        self.effects.push(Effect::Collect(Collect {
            input: Input::Menu(vec![GO_ON, AGAIN]),
            keys: Vec::new(),
            terminator: TERMINATOR,
            barge_in: true,
            fresh,
            quiet: false,
            confirmation: false,
            first_digit: FIRST_DIGIT,
            inter_digit: INTER_DIGIT,
        }));
    }

    pub(super) fn answer_to_resumption(&mut self, answer: &Answer) {
        match answer.key() {
            Some(GO_ON) => {
                self.state.wrong = 0;
                self.state.silent = 0;
                self.ask_again();
            }
            Some(AGAIN) => {
                self.state.visits.fill(0);
                self.state.inputs = 0;
                self.state.prefilled.clear();
                self.begin(Target::Step(0));
            }
            _ => {
                let tries = self.flow_limits().tries;
                let (count, reason) = if *answer == Answer::Silence {
                    (&mut self.state.silent, System::Silence)
                } else {
                    (&mut self.state.wrong, System::WrongKey)
                };
                *count = count.saturating_add(1);
                let tries_left = *count < tries;
                self.say_system(reason, Vec::new());
                self.state.fresh = true;
                if tries_left {
                    self.ask_whether_to_go_on();
                } else if self.give_up(self.flow_limits().tries_then) != Control::Stopped {
                    self.run();
                }
            }
        }
    }

    /// Asks the question that is still open.
    pub(super) fn ask_again(&mut self) {
        let at = self.state.at;
        match self.program.op(at.step, at.op) {
            Some(Op::Ask(ask)) => {
                self.pose(ask, at);
            }
            Some(Op::Menu(menu)) => {
                self.state.page = 0;
                self.say_menu(menu, None);
                self.wait_for_key(menu, at);
            }
            _ => {
                self.trouble();
            }
        }
    }
}
