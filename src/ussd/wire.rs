//! Reads what a gateway's message says to a dialogue, and writes the message that carries a screen, both by the route's
//! profile.
//!
//! ```text
//! deliver_sm ──read──► Heard { dialogue, msisdn, code, phase, way }       phase: Begin | Answer | Abort | Notified
//! submit_sm ◄──write── way, Screen { text, end }                          way: both addresses swapped, the session's octets
//! ```
//! Reading is lenient: a field of another length, a missing session, a coding of a vendor's own are read for what they can
//! mean. Nothing here fails by panic, whatever a message holds.

use bytes::Bytes;

use crate::smpp::pdu::{Address, Message};
use crate::smpp::status;
use crate::smpp::tlv::tag;
use crate::ussd::profile::{Dialled, EndBit, Profile, Sequence, SessionField};
use crate::ussd::text;
use crate::ussd::{Phase, Screen, Typed};

/// Octets of a session field that are looked at; longer ones are cut.
const SESSION_OCTETS_MAX: usize = 8;
/// `esm_class` of a text with a user data header (SMPP 3.4 §5.2.12).
const UDHI: u8 = 0x40;
/// The most octets of `short_message` (SMPP 3.4 §5.2.22).
const SHORT_MESSAGE_MAX: usize = 254;

/// What a message says to a dialogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// The gateway's name of the dialogue, where it has one.
    pub dialogue: Option<String>,
    /// The caller's number as it was sent: digits, perhaps with `+`.
    pub msisdn: String,
    /// Whether the number has its country code (TON 1).
    pub international: bool,
    /// The service's address.
    pub code: String,
    /// What happened.
    pub phase: Phase,
    /// How it is answered.
    pub way: Way,
}

/// How a screen gets to the caller.
#[derive(Clone, Eq, PartialEq)]
pub struct Way {
    /// The service's address, with the type and plan that the gateway gave it.
    pub ours: Address,
    /// The caller's.
    pub theirs: Address,
    /// The value of the session field, as it was heard.
    pub session: Option<Bytes>,
    /// The `data_coding` that was heard; nothing in a dialogue of ours.
    pub data_coding: Option<u8>,
}

impl std::fmt::Debug for Way {
    /// The caller's number is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Way(session {:02x?})", self.session.as_deref().unwrap_or_default())
    }
}

/// What a screen is to its dialogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The answer to what was heard.
    Reply,
    /// The first of a dialogue of ours.
    Push,
    /// One that wants no answer, in no dialogue.
    Notify,
}

/// Why a message says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unread {
    /// No `ussd_service_op`.
    #[error("no ussd_service_op")]
    NoOp,
    /// An op that the profile does not know.
    #[error("ussd_service_op {0}, which the profile does not know")]
    Op(u8),
    /// Who sent it is no number.
    #[error("a source address that is no number")]
    Source,
    /// What was typed is no text, or none that is read here.
    #[error("a data_coding that is not read")]
    Coding,
    /// A dialogue begins, and nothing was dialled.
    #[error("nothing was dialled")]
    Code,
}

impl Unread {
    /// The `command_status` that tells the gateway so. None of them is worth a second try.
    #[must_use]
    pub const fn status(self) -> u32 {
        match self {
            Self::NoOp => status::RMISSINGOPTPARAM,
            Self::Op(_) => status::RINVOPTPARAMVAL,
            Self::Source => status::RINVSRCADR,
            Self::Coding => status::RINVDCS,
            Self::Code => status::RINVDSTADR,
        }
    }
}

/// What an op says, before the text is looked at.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Said {
    Begin,
    Answer,
    Abort,
    Notified,
}

/// Whether a message belongs to USSD, on a route that carries texts too.
#[must_use]
pub fn is_ussd(message: &Message) -> bool {
    let has = |tag| message.tlvs.get(tag).is_some();
    has(tag::USSD_SERVICE_OP)
        || has(tag::ITS_SESSION_INFO)
        || message.service_type.trim_ascii().eq_ignore_ascii_case(b"USSD")
}

/// What a gateway's message says.
///
/// # Errors
/// When it is no message of a dialogue.
pub fn read(profile: &Profile, message: &Message) -> Result<Heard, Unread> {
    let msisdn = number(&message.source.digits).ok_or(Unread::Source)?;
    let session = session_value(profile, message);
    let typed = typed(profile, message)?;
    let said = said(profile, message, session.as_ref(), &typed)?;
    let code = text::address(&message.destination.digits);
    let phase = match said {
        Said::Begin => Phase::Begin { dialled: dialled(profile, &code, typed)? },
        Said::Answer => Phase::Answer { text: typed },
        Said::Abort => Phase::Abort,
        Said::Notified => Phase::Notified,
    };
    Ok(Heard {
        dialogue: session.as_ref().and_then(|value| dialogue(profile, value)),
        msisdn,
        international: message.source.ton == 1,
        code,
        phase,
        way: Way {
            ours: message.destination.clone(),
            theirs: message.source.clone(),
            session,
            data_coding: Some(message.data_coding),
        },
    })
}

fn number(digits: &[u8]) -> Option<String> {
    let text = digits.trim_ascii();
    let bare = text.strip_prefix(b"+").unwrap_or(text);
    let is_number = !bare.is_empty() && bare.len() <= 20 && bare.iter().all(u8::is_ascii_digit);
    is_number.then(|| text::address(text))
}

fn said(
    profile: &Profile,
    message: &Message,
    session: Option<&Bytes>,
    typed: &Typed,
) -> Result<Said, Unread> {
    let heard = &profile.heard;
    let looked_at = match heard.end_bit {
        EndBit::Ignored => false,
        EndBit::WithoutText => typed.expose().is_empty(),
        EndBit::Always => true,
    };
    let ended = looked_at && session.is_some_and(|value| ends(profile, value));
    let Some(op) = message.tlvs.octet(tag::USSD_SERVICE_OP) else {
        return match (ended, heard.by_text) {
            (true, _) => Ok(Said::Abort),
            (false, true) if typed.is_code() => Ok(Said::Begin),
            (false, true) => Ok(Said::Answer),
            (false, false) => Err(Unread::NoOp),
        };
    };
    match op {
        // Whatever the op, this dialogue is over.
        _ if ended || heard.abort.contains(&op) => Ok(Said::Abort),
        op if heard.begin.contains(&op) => Ok(Said::Begin),
        op if heard.answer.contains(&op) => Ok(Said::Answer),
        op if heard.notified.contains(&op) => Ok(Said::Notified),
        op => Err(Unread::Op(op)),
    }
}

/// Whether the end bit is set, in a session field that has one.
fn ends(profile: &Profile, value: &Bytes) -> bool {
    let has_end_bit = match profile.session {
        SessionField::Octet => value.len() == 2,
        SessionField::FifteenBits => true,
        SessionField::SixteenBits | SessionField::Reference | SessionField::None => false,
    };
    has_end_bit && value.last().is_some_and(|octet| octet & 1 == 1)
}

/// The text, with its header taken off if it has one.
fn typed(profile: &Profile, message: &Message) -> Result<Typed, Unread> {
    let payload = message.tlvs.get(tag::MESSAGE_PAYLOAD).filter(|_| message.short_message.is_empty());
    let octets: &[u8] = payload.unwrap_or(&message.short_message);
    let octets = match octets.split_first() {
        Some((length, rest)) if message.esm_class & UDHI != 0 => {
            rest.get(usize::from(*length)..).unwrap_or_default()
        }
        _ => octets,
    };
    text::typed(message.data_coding, octets, &profile.charsets)
}

/// The dialled string between `*` and `#`, however much of them the gateway leaves out.
fn dialled(profile: &Profile, code: &str, typed: Typed) -> Result<Typed, Unread> {
    let inner = |text: &str| {
        let text = text.trim();
        let text = text.strip_suffix('#').unwrap_or(text);
        text.strip_prefix('*').unwrap_or(text).to_owned()
    };
    let (code, text) = (inner(code), Typed::new(inner(typed.expose())));
    let whole = match profile.dialled {
        Dialled::Text if !text.expose().is_empty() => text,
        // Some leave the text empty when nothing was dialled after the code.
        Dialled::Text => Typed::new(code),
        Dialled::Destination if code.is_empty() => text,
        Dialled::Destination => {
            let rest = text.expose();
            let repeated = rest == code || rest.starts_with(&format!("{code}*"));
            match (rest.is_empty(), repeated) {
                (true, _) => Typed::new(code),
                (false, true) => text,
                (false, false) => Typed::new(format!("{code}*{rest}")),
            }
        }
    };
    if whole.expose().is_empty() {
        return Err(Unread::Code);
    }
    Ok(Typed::new(format!("*{}#", whole.expose())))
}

const fn session_tag(profile: &Profile) -> Option<u16> {
    match profile.session {
        SessionField::Octet | SessionField::FifteenBits | SessionField::SixteenBits => {
            Some(tag::ITS_SESSION_INFO)
        }
        SessionField::Reference => Some(tag::USER_MESSAGE_REFERENCE),
        SessionField::None => None,
    }
}

fn session_value(profile: &Profile, message: &Message) -> Option<Bytes> {
    let value = message.tlvs.get(session_tag(profile)?)?;
    (!value.is_empty()).then(|| value.slice(..value.len().min(SESSION_OCTETS_MAX)))
}

/// The dialogue's name: the octets of the field that stay the same in all of its messages, in hexadecimal.
fn dialogue(profile: &Profile, value: &Bytes) -> Option<String> {
    let (last, before) = value.split_last()?;
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    Some(match profile.session {
        SessionField::Octet => hex(value.get(..1)?),
        SessionField::FifteenBits => format!("{}{:02x}", hex(before), last & 0xfe),
        SessionField::SixteenBits | SessionField::Reference => hex(value),
        SessionField::None => return None,
    })
}

/// The session field of a screen.
fn answered(profile: &Profile, heard: &Bytes, end: bool) -> Bytes {
    let mut value = heard.to_vec();
    let counted = profile.session == SessionField::Octet && value.len() > 1;
    let has_end_bit = counted || profile.session == SessionField::FifteenBits;
    if let Some(last) = value.last_mut() {
        if counted && profile.sequence == Sequence::Next {
            // Bits 7 to 1 count, and begin again after 127.
            *last = (*last & 1) | ((*last & 0xfe).wrapping_add(2));
        }
        if has_end_bit && (profile.heard.end_bit == EndBit::Always || profile.said.end_bit) {
            *last = (*last & 0xfe) | u8::from(end && profile.said.end_bit);
        }
    }
    value.into()
}

/// The session field of a dialogue of ours, from any number; nothing where the gateway names all dialogues.
#[must_use]
pub fn named(profile: &Profile, any: u64) -> Option<Bytes> {
    if !profile.said.push_named {
        return None;
    }
    let [.., high, low] = any.to_be_bytes();
    Some(match profile.session {
        SessionField::None => return None,
        SessionField::Octet => Bytes::copy_from_slice(&[low, 0]),
        SessionField::FifteenBits => Bytes::copy_from_slice(&[high, low & 0xfe]),
        SessionField::SixteenBits | SessionField::Reference => Bytes::copy_from_slice(&[high, low]),
    })
}

/// The message that carries a screen. What is longer than the route's screens is cut.
#[must_use]
pub fn write(profile: &Profile, way: &Way, screen: &Screen, kind: Kind) -> Message {
    let said = &profile.said;
    let op = match kind {
        Kind::Push => said.push,
        Kind::Notify => said.notify,
        Kind::Reply if screen.end => said.end,
        Kind::Reply => said.ask,
    };
    let (data_coding, octets) = text::coded(profile, &screen.text, way.data_coding);
    let mut message = Message {
        service_type: Bytes::copy_from_slice(profile.service_type.as_bytes()),
        source: way.ours.clone(),
        destination: way.theirs.clone(),
        data_coding,
        ..Message::default()
    };
    message.tlvs.push(tag::USSD_SERVICE_OP, vec![op]);
    if let (Some(tag), Some(heard)) = (session_tag(profile), &way.session) {
        message.tlvs.push(tag, answered(profile, heard, screen.end && kind == Kind::Reply));
    }
    if octets.len() > SHORT_MESSAGE_MAX {
        message.tlvs.push(tag::MESSAGE_PAYLOAD, octets);
    } else {
        message.short_message = octets;
    }
    message
}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
