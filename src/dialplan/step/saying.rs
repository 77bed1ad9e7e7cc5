//! What the engine says: messages with the values of now, and the reasons why an answer will not do.

use std::sync::Arc;

use crate::dialplan::event::{Channel, Effect};
use crate::dialplan::program::Speech;
use crate::dialplan::speak::{Key, System, Utterance};
use crate::dialplan::step::{Control, Engine};
use crate::dialplan::value::Value;

impl Engine<'_> {
    pub(super) fn utterance(&self, speech: &Speech, option: Option<Key>) -> Option<Utterance> {
        let slots = speech.arguments.iter().map(|a| a.evaluate(self.scope())).collect::<Option<Vec<_>>>()?;
        Some(Utterance { message: speech.message, name: speech.name.clone(), slots, option, language: None })
    }

    pub(super) fn push(&mut self, utterance: Utterance) {
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
        self.push(Utterance { message, name, slots, option: None, language: None });
    }

    pub(super) fn say_system_option(&mut self, system: System, key: Key) {
        let (message, name) = self.program.texts.system(system);
        self.push(Utterance { message, name, slots: Vec::new(), option: Some(key), language: None });
    }

    pub(super) fn say_reason(&mut self, reason: System, min: u8, max: u8) {
        let slots = match reason {
            System::WrongDigits | System::WrongSecret => vec![Value::Int(min.into()), Value::Int(max.into())],
            _ => Vec::new(),
        };
        self.say_system(reason, slots);
    }

    /// Another language from here on: what was told before stays in the one that it was told in.
    pub(super) fn switch_language(&mut self, tag: &Arc<str>) -> Control {
        if self.state.language != **tag && self.program.texts.has_language(tag) {
            let former: Arc<str> = Arc::from(std::mem::replace(&mut self.state.language, tag.to_string()));
            for effect in &mut self.effects {
                let Effect::Say(utterances) = effect else { continue };
                for utterance in utterances {
                    utterance.language.get_or_insert_with(|| former.clone());
                }
            }
        }
        Control::Next
    }

    pub(super) fn send_sms(&mut self, speech: &Speech) -> Control {
        // In a thread of text messages what is told is already a text message, as long as the caller is there.
        if (self.state.channel != Channel::Sms || self.state.gone)
            && let Some(to) = self.state.caller.clone()
            && let Some(utterance) = self.utterance(speech, None)
        {
            let text = self.program.text(&utterance, &self.state.language, Channel::Sms);
            self.effects.push(Effect::SendSms { to, message: utterance.name, text });
        }
        Control::Next
    }
}
