//! What a USSD gateway means by its messages, as data: vendors agree on SMPP and on nothing else.
//!
//! A [`Profile`] says which field names the dialogue, which `ussd_service_op` (SMPP 5.0 §4.8.4.63) each direction uses, how
//! an end is marked, where the dialled string is and how texts are coded. [`wire`](crate::ussd::wire) reads and writes by it.
//! The ready ones are those that the field has shown; each field of each may be set otherwise.

use std::time::Duration;

use crate::smpp::coding::Charsets;

/// How long a network waits for the application, by default; it allows more, but a caller does not wait longer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a dialogue waits for its caller, by default: networks end it after 120 to 180 seconds themselves.
pub const IDLE: Duration = Duration::from_secs(180);
/// Septets of a USSD string of 160 octets (3GPP TS 23.038 §5, TS 24.080).
pub const SEPTETS: usize = 182;
/// UTF-16 units of the same.
pub const UNITS: usize = 80;

/// `ussd_service_op` of a caller who dials: PSSR indication.
const PSSR_INDICATION: u8 = 1;
/// `ussd_service_op` of a question of ours: USSR request.
const USSR_REQUEST: u8 = 2;
/// `ussd_service_op` of a notification of ours: USSN request.
const USSN_REQUEST: u8 = 3;
/// `ussd_service_op` of our last word: PSSR response.
const PSSR_RESPONSE: u8 = 17;
/// `ussd_service_op` of an answer: USSR confirm.
const USSR_CONFIRM: u8 = 18;
/// `ussd_service_op` of a notification that was shown: USSN confirm.
const USSN_CONFIRM: u8 = 19;
/// `ussd_service_op` of a dialogue that was broken off, as several vendors have it.
const VENDOR_ABORT: u8 = 0x81;

/// Which field names the dialogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionField {
    /// `its_session_info` as SMPP 3.4 §5.3.2.43 has it: octet 1 is the session, octet 2 the number of the message in it and
    /// the end bit.
    Octet,
    /// `its_session_info` of 15 bits and an end bit. What the 15 bits mean is the gateway's business.
    FifteenBits,
    /// `its_session_info`, all of it.
    SixteenBits,
    /// `user_message_reference`.
    Reference,
    /// None at all: the caller's number, the code and the route name the dialogue.
    None,
}

/// The number of a message in octet 2 of `its_session_info`, where [`SessionField::Octet`] leaves room for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sequence {
    /// The one that was heard.
    Echo,
    /// One more than was heard.
    Next,
}

/// Where the string is that the caller dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialled {
    /// In the text; `destination_addr` is the service's.
    Text,
    /// In `destination_addr`; a text, if there is one, is what was dialled after it.
    Destination,
}

/// What the end bit of the session field says in what the gateway sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndBit {
    /// Nothing.
    Ignored,
    /// That the dialogue was broken off, in a message without a text. Gateways that number their messages by the whole octet
    /// set it now and then in an answer.
    WithoutText,
    /// That the dialogue was broken off.
    Always,
}

/// What a `ussd_service_op` means that the gateway sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// A caller dialled.
    pub begin: Vec<u8>,
    /// A caller answered.
    pub answer: Vec<u8>,
    /// The dialogue was broken off by the caller or the network.
    pub abort: Vec<u8>,
    /// A notification was shown.
    pub notified: Vec<u8>,
    /// What the end bit of the session field says.
    pub end_bit: EndBit,
    /// Whether a message without a `ussd_service_op` is told by its text: a string between `*` and `#` begins a dialogue,
    /// anything else is an answer.
    pub by_text: bool,
}

/// Which `ussd_service_op` we send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Said {
    /// A screen that waits for an answer.
    pub ask: u8,
    /// A screen that ends the dialogue.
    pub end: u8,
    /// A screen that begins a dialogue of ours.
    pub push: u8,
    /// A notification.
    pub notify: u8,
    /// Whether the end bit of the session field is set on the screen that ends the dialogue.
    pub end_bit: bool,
    /// Whether a dialogue of ours is given a name of ours.
    pub push_named: bool,
}

/// What a gateway means by its messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// Which field names the dialogue.
    pub session: SessionField,
    /// How messages of a dialogue are numbered.
    pub sequence: Sequence,
    /// What the gateway sends.
    pub heard: Heard,
    /// What we send.
    pub said: Said,
    /// Where the dialled string is.
    pub dialled: Dialled,
    /// The `service_type` that we send, at most 5 octets.
    pub service_type: String,
    /// How texts are coded, both ways.
    pub charsets: Charsets,
    /// Whether an answer is coded as what it answers: SMPP's values (0, 8) for SMPP's, those of cell broadcast (0x0f, 0x48)
    /// for those. Otherwise, and in dialogues of ours, those of `charsets` are written.
    pub mirror_coding: bool,
    /// Septets of a screen, at most 182.
    pub septets: usize,
    /// UTF-16 units of a screen, at most 80.
    pub units: usize,
    /// How long the network waits for a screen.
    pub answer_within: Duration,
    /// How long a dialogue waits for its caller.
    pub idle: Duration,
    /// An answer that is equal to the one before and comes within this time is that one again, even if the network had
    /// taken a screen in between. Nothing by default: a telephone that is a machine answers at once.
    pub same_within: Duration,
    /// Whether we may begin a dialogue.
    pub push: bool,
}

impl Default for Profile {
    /// The plain ops of the standard, and `its_session_info` by its octets.
    fn default() -> Self {
        Self {
            session: SessionField::Octet,
            sequence: Sequence::Echo,
            heard: Heard {
                begin: vec![PSSR_INDICATION],
                answer: vec![USSR_CONFIRM],
                abort: vec![VENDOR_ABORT, PSSR_RESPONSE],
                notified: vec![USSN_CONFIRM],
                end_bit: EndBit::WithoutText,
                by_text: false,
            },
            said: Said {
                ask: USSR_REQUEST,
                end: PSSR_RESPONSE,
                push: USSR_REQUEST,
                notify: USSN_REQUEST,
                end_bit: false,
                push_named: true,
            },
            dialled: Dialled::Text,
            service_type: "USSD".to_owned(),
            charsets: Charsets::ussd(),
            mirror_coding: true,
            septets: SEPTETS,
            units: UNITS,
            answer_within: ANSWER_WITHIN,
            idle: IDLE,
            same_within: Duration::ZERO,
            push: true,
        }
    }
}

impl Profile {
    /// The names of the ready profiles.
    pub const NAMES: [&'static str; 5] = ["spec", "its15", "umr", "tata", "none"];

    /// A ready profile: `spec` (the standard's ops), `its15` (SixDee), `umr` (MICA), `tata`, `none` (a gateway without any
    /// session field).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let spec = Self::default();
        let (heard, said) = (spec.heard.clone(), spec.said);
        Some(match name {
            "spec" => spec,
            "its15" => Self {
                session: SessionField::FifteenBits,
                heard: Heard { abort: vec![VENDOR_ABORT], end_bit: EndBit::Always, ..heard },
                said: Said { end_bit: true, ..said },
                ..spec
            },
            "umr" => Self {
                session: SessionField::Reference,
                heard: Heard { abort: vec![VENDOR_ABORT], end_bit: EndBit::Ignored, ..heard },
                ..spec
            },
            "tata" => Self {
                session: SessionField::FifteenBits,
                heard: Heard {
                    answer: vec![USSR_REQUEST, USSR_CONFIRM],
                    abort: vec![PSSR_RESPONSE],
                    end_bit: EndBit::Always,
                    ..heard
                },
                said: Said { end: USSR_REQUEST, end_bit: true, ..said },
                ..spec
            },
            "none" => Self {
                session: SessionField::None,
                heard: Heard { end_bit: EndBit::Ignored, ..heard },
                said: Said { push_named: false, ..said },
                ..spec
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_profile_of_its_own() {
        let all: Vec<Profile> = Profile::NAMES.iter().map(|name| Profile::named(name).unwrap()).collect();
        for (index, profile) in all.iter().enumerate() {
            assert!(!all[..index].contains(profile), "{}", Profile::NAMES[index]);
            assert!(profile.service_type.len() <= 5 && profile.septets <= SEPTETS && profile.units <= UNITS);
            // No op of the gateway means two things.
            let Heard { begin, answer, abort, notified, .. } = &profile.heard;
            let mut ops: Vec<u8> = [begin, answer, abort, notified].into_iter().flatten().copied().collect();
            let count = ops.len();
            ops.sort_unstable();
            ops.dedup();
            assert_eq!(ops.len(), count, "{}", Profile::NAMES[index]);
        }
        assert_eq!(Profile::named("comverse"), None);
    }
}
