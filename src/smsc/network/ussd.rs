//! Dialogues of handsets: begun by dialling or by a push, kept going by screens and answers, ended by either side.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::gsm;
use crate::smpp::pdu::{Address, Message};
use crate::smpp::status;
use crate::smpp::tlv::{Tlvs, tag};
use crate::smsc::fault::ByNumber;
use crate::smsc::handset::{Dialogue, Turn};
use crate::smsc::network::deliver::Cause;
use crate::smsc::network::submit::{handset_address, other_address};
use crate::smsc::network::{Line, Network, Now, Timer};
use crate::smsc::profile;
use crate::smsc::profile::{Order, Phase};
use crate::smsc::settings::{CodeIn, Profile};
use crate::smsc::text;

/// The longest USSD string (3GPP TS 24.080), in septets and in UTF-16 units. A longer screen is refused.
const SEPTETS_MAX: usize = 182;
const UNITS_MAX: usize = 80;

impl Network {
    /// Whether a submit belongs to a dialogue.
    pub(super) fn is_ussd(&self, message: &Message) -> bool {
        message.tlvs.get(tag::USSD_SERVICE_OP).is_some()
            || (!message.service_type.is_empty()
                && message.service_type == self.settings.ussd_service_type.as_bytes())
    }

    /// Takes a screen from the ESME; the status that it is answered with.
    pub(super) fn ussd(&mut self, now: Now, to: &str, message: &Message, words: &str) -> u32 {
        let profile = self.settings.profile;
        let (order, number) = match profile::read(profile, message) {
            Ok(read) => read,
            Err(status) => return status,
        };
        if !gsm::septets(words).map_or_else(|| gsm::units(words) <= UNITS_MAX, |s| s <= SEPTETS_MAX) {
            return status::RINVMSGLEN;
        }
        let code = String::from_utf8_lossy(&message.source.digits).into_owned();
        let pushes = self.settings.pushes && ByNumber::of(to) != Some(ByNumber::NoPush);
        let Some(handset) = self.handset(to) else { return status::RINVDSTADR };
        let takes_pushes = handset.pushes.unwrap_or(pushes);
        let shown = handset.screens + 1;
        let Some(open) = handset.open() else {
            return match order {
                Order::Ask | Order::Notify if takes_pushes => {
                    self.push(now, to, code, order, number, words);
                    0
                }
                // The dialogue that this belongs to is gone.
                _ => status::RSUBMITFAIL,
            };
        };
        let known = match profile {
            Profile::None => open.code == code,
            // A field that says the dialogue has to be there once there is a dialogue.
            _ if number.is_none() => return profile::MISSING_PARAMETER,
            _ => number == Some(open.number),
        };
        // It is another's, an earlier one's, or it comes when nobody waits for a screen.
        if !known || open.turn != Turn::Esme {
            return status::RSUBMITFAIL;
        }
        if order != Order::Abort {
            open.screen = Some(words.to_owned());
            open.screens = shown;
        }
        open.turn = if order == Order::Ask { Turn::User } else { Turn::Over };
        let (key, sequence) = (open.key, open.sequence);
        match order {
            Order::Ask => {}
            Order::Abort => open.why = Some("aborted by the ESME".to_owned()),
            Order::End | Order::Notify => open.why = Some("ended by the ESME".to_owned()),
        }
        handset.screens = shown;
        if order == Order::Ask {
            self.after(now, self.settings.user_ms, Timer::Dialogue(to.to_owned(), key, sequence, shown));
        }
        0
    }

    /// The ESME begins a dialogue, or only shows something.
    fn push(&mut self, now: Now, to: &str, code: String, order: Order, number: Option<u16>, words: &str) {
        let number = number.unwrap_or_else(|| self.number());
        let mut dialogue = self.begin(number, code, true);
        let key = dialogue.key;
        dialogue.screen = Some(words.to_owned());
        dialogue.turn = if order == Order::Ask { Turn::User } else { Turn::Over };
        if order == Order::Notify {
            dialogue.why = Some("a notification".to_owned());
        }
        let Some(handset) = self.handset(to) else { return };
        handset.screens += 1;
        dialogue.screens = handset.screens;
        let shown = handset.screens;
        handset.dialogue = Some(dialogue);
        if order == Order::Notify {
            self.tell(now, to, Phase::Noted, "");
        } else {
            self.after(now, self.settings.user_ms, Timer::Dialogue(to.to_owned(), key, 0, shown));
        }
    }

    fn begin(&mut self, number: u16, code: String, push: bool) -> Dialogue {
        let key = self.next_dialogue;
        self.next_dialogue += 1;
        Dialogue {
            key,
            number,
            sequence: 0,
            code,
            push,
            turn: Turn::Esme,
            screen: None,
            screens: 0,
            why: None,
        }
    }

    /// The next number of a dialogue; they come round, as they do in small gateways.
    fn number(&mut self) -> u16 {
        let max = profile::number_max(self.settings.profile);
        let number = self.settings.next_dialogue.take().unwrap_or(self.next_number).min(max);
        self.next_number = if self.next_number >= max { 1 } else { self.next_number + 1 };
        number
    }

    /// The subscriber dials; what he did before is over. The dialogue's key.
    pub(super) fn dial(&mut self, now: Now, from: &str, code: &str) -> Result<u64, &'static str> {
        if !self.reachable() {
            return Err("no ESME is bound to receive");
        }
        let number = self.number();
        let in_address = self.settings.code_in == CodeIn::Address;
        let address: String = if in_address {
            code.to_owned()
        } else {
            code.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect()
        };
        let mut dialogue = self.begin(number, address, false);
        let key = dialogue.key;
        let Some(handset) = self.handset(from) else { return Err("too many handsets") };
        dialogue.screens = handset.screens;
        if let Some(before) = handset.open().map(|d| d.key) {
            self.over(now, from, before, "another code was dialled");
        }
        let Some(handset) = self.handset(from) else { return Err("too many handsets") };
        handset.dialogue = Some(dialogue);
        let words = if in_address { "" } else { code };
        if self.tell(now, from, Phase::Begin, words) { Ok(key) } else { Err("too many deliveries wait") }
    }

    /// The subscriber answers the screen. The dialogue's key.
    pub(super) fn say(&mut self, now: Now, from: &str, words: &str) -> Result<u64, &'static str> {
        let reachable = self.reachable();
        let open = self.handsets.get_mut(from).and_then(|h| h.open()).ok_or("no dialogue is open")?;
        if open.turn != Turn::User {
            return Err("the ESME has not shown a screen yet");
        }
        let key = open.key;
        if !reachable {
            self.over(now, from, key, "no ESME is bound to receive");
            return Err("no ESME is bound to receive");
        }
        open.turn = Turn::Esme;
        if self.tell(now, from, Phase::Answer, words) { Ok(key) } else { Err("too many deliveries wait") }
    }

    /// Tells the ESME, as the profile marks it. Waits for the ESME's screen where one must follow.
    fn tell(&mut self, now: Now, from: &str, phase: Phase, words: &str) -> bool {
        let screen_ms = self.settings.screen_ms;
        let profile = self.settings.profile;
        let Some(dialogue) = self.handsets.get_mut(from).and_then(|h| h.dialogue.as_mut()) else {
            return false;
        };
        let Some(mut tlvs) = profile::mark(profile, phase, dialogue.number, dialogue.sequence & 0x7f) else {
            return true;
        };
        if let (Phase::Abort, Some(op), Some(first)) = (phase, self.settings.abort_op, tlvs.first_mut()) {
            first.value = Bytes::copy_from_slice(&[op]);
        }
        dialogue.sequence = dialogue.sequence.wrapping_add(1);
        let (key, sequence, screens) = (dialogue.key, dialogue.sequence, dialogue.screens);
        let (data_coding, short_message) = text::ussd(words, self.settings.ussd_coding);
        let destination: Address = other_address(&dialogue.code);
        let message = Message {
            service_type: Bytes::from(self.settings.ussd_service_type.clone()),
            source: handset_address(from),
            destination,
            data_coding,
            short_message,
            tlvs: Tlvs(tlvs),
            ..Message::default()
        };
        if !matches!(phase, Phase::Abort | Phase::Noted) {
            self.after(now, screen_ms, Timer::Dialogue(from.to_owned(), key, sequence, screens));
        }
        self.enqueue(message, words, Cause::Dialogue(from.to_owned(), key))
    }

    /// The network or the subscriber ends a dialogue and the ESME is told, where the gateway tells.
    pub(super) fn abort(&mut self, now: Now, from: &str, why: &str) -> bool {
        let Some(key) = self.handsets.get_mut(from).and_then(|h| h.open()).map(|d| d.key) else {
            return false;
        };
        self.tell(now, from, Phase::Abort, "");
        self.over(now, from, key, why);
        true
    }

    /// A dialogue is over without a word to the ESME; nothing happens when it is another by now.
    pub(super) fn over(&mut self, now: Now, from: &str, key: u64, why: &str) {
        let Some(open) = self.handsets.get_mut(from).and_then(|h| h.open()) else { return };
        if open.key != key {
            return;
        }
        open.turn = Turn::Over;
        open.why = Some(why.to_owned());
        self.write(now, Line { direction: "here", kind: "over", from, what: why, ..Line::default() });
        self.settle_handset(from);
    }

    /// What a person would see of the dialogue.
    pub(super) fn shown(&self, from: &str) -> Value {
        let Some(dialogue) = self.handsets.get(from).and_then(|h| h.dialogue.as_ref()) else {
            return Value::Null;
        };
        json!({
            "screen": dialogue.screen,
            "open": dialogue.turn != Turn::Over,
            "turn": dialogue.turn,
            "why": dialogue.why,
            "push": dialogue.push,
            "number": dialogue.number,
            "code": dialogue.code,
            "screens": dialogue.screens,
        })
    }
}
