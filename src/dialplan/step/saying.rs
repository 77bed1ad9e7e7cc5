//! What the engine says: messages with the values of now, and the reasons why an answer will not do.

use crate::dialplan::event::{Channel, Effect};
use crate::dialplan::program::{Menu, Speech};
use crate::dialplan::speak::{System, Utterance};
use crate::dialplan::step::{Control, Engine};
use crate::dialplan::value::Value;

impl<'p> Engine<'p> {
    fn utterance(&self, speech: &Speech, option: Option<char>) -> Option<Utterance> {
        let slots =
            speech.arguments.iter().map(|a| a.evaluate(&self.state.vars)).collect::<Option<Vec<_>>>()?;
        Some(Utterance { message: speech.message, name: speech.name.clone(), slots, option })
    }

    fn push(&mut self, utterance: Utterance) {
        if let Some(Effect::Say(said)) = self.effects.last_mut() {
            said.push(utterance);
        } else {
            self.effects.push(Effect::Say(vec![utterance]));
        }
    }

    pub(super) fn say(&mut self, speech: &Speech) {
        if let Some(utterance) = self.utterance(speech, None) {
            self.push(utterance);
        }
    }

    pub(super) fn say_system(&mut self, system: System, slots: Vec<Value>) {
        let (message, name) = self.program.texts.system(system);
        self.push(Utterance { message, name, slots, option: None });
    }

    pub(super) fn say_reason(&mut self, reason: System, min: u8, max: u8) {
        let slots = match reason {
            System::WrongDigits | System::WrongSecret => vec![Value::Int(min.into()), Value::Int(max.into())],
            _ => Vec::new(),
        };
        self.say_system(reason, slots);
    }

    pub(super) fn say_menu(&mut self, menu: &'p Menu, instead: Option<&Speech>) {
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

    pub(super) fn send_sms(&mut self, speech: &Speech) -> Control {
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
}
