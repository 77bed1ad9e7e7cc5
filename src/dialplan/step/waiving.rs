//! Small payments by text message without a PIN, where `pin on sms none` allows them: the caller confirms number, amount
//! and fee with one word instead.
//!
//! What is small is the market's to say. Whatever is more, comes over a route that is not trusted, or is refused by the
//! payment core without a PIN, is asked for on a screen or by a call, as with `pin on sms callback`.

use crate::dialplan::event::{Answer, Channel, Collect, Input};
use crate::dialplan::program::{Ask, INTER_DIGIT, Op, Parameter, PinOnSms, Reading, TERMINATOR};
use crate::dialplan::speak::{Key, System};
use crate::dialplan::state::Point;
use crate::dialplan::step::answering::Wordings;
use crate::dialplan::step::asking::{NO, YES};
use crate::dialplan::step::{Control, Engine, Vouched};
use crate::dialplan::value::Value;
use crate::money::Money;

/// What a payment comes to, and for what: the values of its confirmation.
struct Bill {
    amount: Money,
    fee: Money,
    to: Vec<Value>,
}

impl<'p> Engine<'p> {
    /// Whether a question for a PIN, should it be open now, was asked as one for a word.
    pub(super) fn is_without_pin(&self, ask: &Ask) -> bool {
        ask.reading == Reading::Secret
            && self.state.channel == Channel::Sms
            && self.program.pin_on_sms == PinOnSms::None
    }

    /// Whether what the question confirms may be paid without a PIN.
    pub(super) fn is_small(&self, ask: &Ask) -> bool {
        let trusted = self.state.pin_waivable && self.state.caller.is_some();
        let Some(cap) = self.program.settings.no_pin_cap.filter(|_| trusted) else { return false };
        let total = self.bill(ask).and_then(|bill| bill.amount.minor.checked_add(bill.fee.minor));
        total.is_some_and(|total| total <= cap.minor)
    }

    /// What the question for the PIN says: the checker has seen to it that these are the amount that is paid, its fee, and
    /// what they are for.
    fn bill(&self, ask: &Ask) -> Option<Bill> {
        let Value::Money(amount) = ask.pays.as_ref()?.evaluate(self.scope())? else { return None };
        let (mut amounts, mut to) = (Vec::new(), Vec::new());
        for argument in &ask.question.arguments {
            match argument.evaluate(self.scope())? {
                Value::Money(money) => amounts.push(money),
                other => to.push(other),
            }
        }
        let paid = amounts.iter().position(|money| *money == amount)?;
        amounts.remove(paid);
        let [fee] = amounts.as_slice() else { return None };
        Some(Bill { amount, fee: *fee, to })
    }

    /// Asks for a word in place of the PIN.
    pub(super) fn ask_without_pin(&mut self, ask: &Ask, at: Point) -> Control {
        let Some(Bill { amount, fee, to }) = self.bill(ask) else { return self.call_back(at) };
        let texts = &self.program.texts;
        let shown = to.iter().map(|value| texts.shown(value, &self.state.language));
        let to: Vec<String> = shown.filter(|text| !text.is_empty()).collect();
        let values = vec![Value::Money(amount), Value::Money(fee), Value::Text(to.join(", "))];
        self.say_system(System::PinConfirm, values);
        self.say_system_option(System::PinPay, Key::Sign(YES));
        self.say_system_option(System::PinCancel, Key::Sign(NO));
        self.wait_for_word(ask, at)
    }

    /// Listens for the word.
    pub(super) fn wait_for_word(&mut self, ask: &Ask, at: Point) -> Control {
        self.collect(
            Collect {
                input: Input::Menu(vec![YES, NO]),
                keys: self.program.back.into_iter().collect(),
                terminator: TERMINATOR,
                barge_in: ask.barge_in,
                fresh: true,
                quiet: false,
                confirmation: true,
                first_digit: ask.wait,
                inter_digit: INTER_DIGIT,
            },
            at,
        )
    }

    pub(super) fn answer_without_pin(&mut self, ask: &'p Ask, at: Point, answer: &Answer) {
        if answer.key().is_some_and(|key| Some(key) == self.program.back) {
            return self.back();
        }
        match self.yes_or_no(answer) {
            Some(true) => {
                self.remember(at);
                self.secret = Some((ask.variable, Vouched::Word));
                self.state.at.op = at.op.saturating_add(1);
                self.run();
            }
            Some(false) => {
                self.say_system(System::PinCancelled, Vec::new());
                self.end();
            }
            None => {
                let ask_again = |engine: &mut Self, _: Option<&_>| engine.ask_without_pin(ask, at);
                self.wrong(Wordings::NONE, (System::WrongKey, 1, 1), ask_again);
            }
        }
    }

    /// The action that was given a word wants the PIN after all: it is asked where it may be asked. `false` if it was given
    /// a PIN.
    pub(super) fn ask_after_all(&mut self) -> bool {
        let Point { step, op } = self.state.at;
        let Some(Op::Do { arguments, .. }) = self.program.op(step, op) else { return false };
        let wanted = arguments.iter().find_map(|parameter| match parameter {
            Parameter::Secret(variable) => Some(*variable),
            Parameter::Value(_) => None,
        });
        let asks = |op: &u16| match self.program.op(step, *op) {
            Some(Op::Ask(ask)) => Some(ask.variable) == wanted && self.is_without_pin(ask),
            _ => false,
        };
        let Some(op) = (0..op).rev().find(asks) else { return false };
        self.state.fresh = true;
        if self.state.gone {
            // Nobody is there to be asked.
            self.say_system(System::PinUnreached, Vec::new());
            self.end();
        } else {
            self.call_back(Point { step, op });
        }
        true
    }
}
