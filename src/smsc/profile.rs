//! How each kind of gateway marks a USSD dialogue in a PDU: operation, session field, end. Pure.
//!
//! ```text
//!          to the ESME: begin, answer, abort       from the ESME: ask, end     session
//! spec     1, 18, 18 + end bit                     2, 17 (or 2 + end bit)      its_session_info, octet 1
//! its15    1, 18, 0x81 + end bit                   2, 17 + end bit             its_session_info, 15 bits
//! umr      1, 18, 0x81                             2, 17                       user_message_reference
//! tata     1, 18, 17 + end bit                     2, 2 + end bit              its_session_info, 15 bits
//! none     1, 18, nothing                          2, 17                       number and code
//! ```

use bytes::Bytes;

use crate::smpp::pdu::Message;
use crate::smpp::tlv::{Tlv, tag};
use crate::smsc::settings::Profile;

/// `ussd_service_op` (SMPP 3.4 §5.3.2.44).
pub(super) mod op {
    pub(crate) const PSSR_INDICATION: u8 = 1;
    pub(crate) const USSR_REQUEST: u8 = 2;
    pub(crate) const USSN_REQUEST: u8 = 3;
    pub(crate) const PSSR_RESPONSE: u8 = 17;
    pub(crate) const USSR_CONFIRM: u8 = 18;
    pub(crate) const USSN_CONFIRM: u8 = 19;
    /// A vendors' value.
    pub(crate) const ABORT: u8 = 0x81;
}

/// A parameter is missing, or its value makes no sense here (SMPP 3.4 §5.1.3).
pub(super) const MISSING_PARAMETER: u32 = 0xc3;
pub(super) const BAD_PARAMETER: u32 = 0xc4;

/// What the network tells the ESME.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Begin,
    Answer,
    /// A notification was shown.
    Noted,
    Abort,
}

/// What the ESME tells the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// Show the text and wait for an answer.
    Ask,
    /// Show the text; that is all.
    End,
    /// Show the text and confirm it, without a dialogue.
    Notify,
    /// The dialogue is over.
    Abort,
}

/// The parameters of a PDU of a dialogue to the ESME; `None` where this kind of gateway says nothing.
pub(super) fn mark(profile: Profile, phase: Phase, number: u16, sequence: u8) -> Option<Vec<Tlv>> {
    let end = phase == Phase::Abort;
    let op = match (phase, profile) {
        (Phase::Begin, _) => op::PSSR_INDICATION,
        (Phase::Answer, _) | (Phase::Abort, Profile::Spec) => op::USSR_CONFIRM,
        (Phase::Noted, _) => op::USSN_CONFIRM,
        (Phase::Abort, Profile::Its15 | Profile::Umr) => op::ABORT,
        (Phase::Abort, Profile::Tata) => op::PSSR_RESPONSE,
        (Phase::Abort, Profile::None) => return None,
    };
    let its = |a: u8, b: u8| Tlv { tag: tag::ITS_SESSION_INFO, value: Bytes::copy_from_slice(&[a, b]) };
    let [high, low] = number.to_be_bytes();
    let session = match profile {
        Profile::Spec => Some(its(low, (sequence << 1) | u8::from(end))),
        Profile::Its15 | Profile::Tata => {
            let [a, b] = ((number << 1) | u16::from(end)).to_be_bytes();
            Some(its(a, b))
        }
        Profile::Umr => {
            Some(Tlv { tag: tag::USER_MESSAGE_REFERENCE, value: Bytes::copy_from_slice(&[high, low]) })
        }
        Profile::None => None,
    };
    let op = Tlv { tag: tag::USSD_SERVICE_OP, value: Bytes::copy_from_slice(&[op]) };
    Some(std::iter::once(op).chain(session).collect())
}

/// The largest number of a dialogue that the profile can write.
pub(super) const fn number_max(profile: Profile) -> u16 {
    match profile {
        Profile::Spec => 0xff,
        Profile::Its15 | Profile::Tata => 0x7fff,
        Profile::Umr | Profile::None => 0xffff,
    }
}

/// What a submit orders and for which dialogue, or the status that it is refused with.
pub(super) fn read(profile: Profile, message: &Message) -> Result<(Order, Option<u16>), u32> {
    let op = message.tlvs.octet(tag::USSD_SERVICE_OP).ok_or(MISSING_PARAMETER)?;
    let session = match (profile, message.tlvs.get(tag::ITS_SESSION_INFO).map(|v| v.as_ref())) {
        (Profile::Spec, Some(&[number, rest])) => Some((u16::from(number), rest & 1 == 1)),
        (Profile::Its15 | Profile::Tata, Some(&[a, b])) => {
            Some((u16::from_be_bytes([a, b]) >> 1, b & 1 == 1))
        }
        (Profile::Spec | Profile::Its15 | Profile::Tata, Some(_)) => return Err(BAD_PARAMETER),
        (Profile::Umr, _) => match message.tlvs.get(tag::USER_MESSAGE_REFERENCE).map(|v| v.as_ref()) {
            Some(&[a, b]) => Some((u16::from_be_bytes([a, b]), false)),
            Some(_) => return Err(BAD_PARAMETER),
            None => None,
        },
        (_, None) | (Profile::None, _) => None,
    };
    let end = session.is_some_and(|(_, end)| end);
    let order = match (op, profile) {
        (op::ABORT, _) => Order::Abort,
        // These gateways take the end bit at its word: an operation that contradicts it is refused.
        (op::PSSR_RESPONSE, Profile::Its15) if !end && session.is_some() => return Err(BAD_PARAMETER),
        (op::USSR_REQUEST, Profile::Its15) if end => return Err(BAD_PARAMETER),
        (op::PSSR_RESPONSE, Profile::Tata) => return Err(BAD_PARAMETER),
        (op::USSR_REQUEST, _) if end => Order::End,
        (op::USSR_REQUEST, _) => Order::Ask,
        (op::PSSR_RESPONSE, _) => Order::End,
        (op::USSN_REQUEST, _) => Order::Notify,
        _ => return Err(BAD_PARAMETER),
    };
    Ok((order, session.map(|(number, _)| number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::tlv::Tlvs;

    fn with(op: u8, tag: u16, value: &[u8]) -> Message {
        let mut tlvs = Tlvs::default();
        tlvs.push(tag::USSD_SERVICE_OP, vec![op]);
        if !value.is_empty() {
            tlvs.push(tag, value.to_vec());
        }
        Message { tlvs, ..Message::default() }
    }

    fn bytes(profile: Profile, phase: Phase) -> Vec<Vec<u8>> {
        mark(profile, phase, 0x1234 & number_max(profile), 3)
            .unwrap_or_default()
            .into_iter()
            .map(|t| t.value.to_vec())
            .collect()
    }

    #[test]
    fn dialogues_are_marked_as_each_gateway_does() {
        let table: &[(Profile, Phase, &[&[u8]])] = &[
            (Profile::Spec, Phase::Begin, &[&[1], &[0x34, 6]]),
            (Profile::Spec, Phase::Answer, &[&[18], &[0x34, 6]]),
            (Profile::Spec, Phase::Abort, &[&[18], &[0x34, 7]]),
            (Profile::Its15, Phase::Begin, &[&[1], &[0x24, 0x68]]),
            (Profile::Its15, Phase::Abort, &[&[0x81], &[0x24, 0x69]]),
            (Profile::Umr, Phase::Answer, &[&[18], &[0x12, 0x34]]),
            (Profile::Umr, Phase::Abort, &[&[0x81], &[0x12, 0x34]]),
            (Profile::Tata, Phase::Abort, &[&[17], &[0x24, 0x69]]),
            (Profile::None, Phase::Begin, &[&[1]]),
            (Profile::None, Phase::Noted, &[&[19]]),
            (Profile::None, Phase::Abort, &[]),
        ];
        for (profile, phase, wanted) in table {
            assert_eq!(&bytes(*profile, *phase), wanted, "{profile:?} {phase:?}");
        }
    }

    #[test]
    fn orders_are_read_as_each_gateway_does() {
        use Profile::{Its15, None as Nothing, Spec, Tata, Umr};
        const ITS: u16 = tag::ITS_SESSION_INFO;
        const UMR: u16 = tag::USER_MESSAGE_REFERENCE;
        type Wanted = Result<(Order, Option<u16>), u32>;
        let table: &[(Profile, Message, Wanted)] = &[
            (Spec, with(2, ITS, &[7, 4]), Ok((Order::Ask, Some(7)))),
            (Spec, with(2, ITS, &[7, 5]), Ok((Order::End, Some(7)))),
            (Spec, with(17, ITS, &[7, 4]), Ok((Order::End, Some(7)))),
            (Spec, with(3, ITS, &[]), Ok((Order::Notify, None))),
            (Spec, with(2, ITS, &[7]), Err(BAD_PARAMETER)),
            (Spec, with(9, ITS, &[7, 4]), Err(BAD_PARAMETER)),
            (Its15, with(2, ITS, &[0x24, 0x68]), Ok((Order::Ask, Some(0x1234)))),
            (Its15, with(17, ITS, &[0x24, 0x69]), Ok((Order::End, Some(0x1234)))),
            (Its15, with(17, ITS, &[0x24, 0x68]), Err(BAD_PARAMETER)),
            (Its15, with(2, ITS, &[0x24, 0x69]), Err(BAD_PARAMETER)),
            (Umr, with(17, UMR, &[0x12, 0x34]), Ok((Order::End, Some(0x1234)))),
            (Umr, with(0x81, UMR, &[0x12, 0x34]), Ok((Order::Abort, Some(0x1234)))),
            (Umr, with(2, UMR, &[0x12]), Err(BAD_PARAMETER)),
            (Tata, with(2, ITS, &[0x24, 0x69]), Ok((Order::End, Some(0x1234)))),
            (Tata, with(17, ITS, &[0x24, 0x69]), Err(BAD_PARAMETER)),
            (Nothing, with(2, ITS, &[7, 4]), Ok((Order::Ask, None))),
            (Nothing, Message::default(), Err(MISSING_PARAMETER)),
        ];
        for (profile, message, wanted) in table {
            assert_eq!(&read(*profile, message), wanted, "{profile:?} {message:?}");
        }
    }
}
