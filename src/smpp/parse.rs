//! Reads a body over its own frame, lenient: what can be understood is taken, and each tolerance that was used is told,
//! so that a route can count how broken its peer is.
//!
//! Responses are taken in any state, since a lost response makes an unknown outcome of a sent message. Of requests only
//! those are refused whose fields cannot be told apart.

mod body;

use bytes::Bytes;
use nom::bytes::complete::{take, take_till};
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

use crate::smpp::frame::Frame;
use crate::smpp::pdu::{Body, Pdu, command};
use crate::smpp::status;
use crate::smpp::tlv::{Tlv, Tlvs};

/// Which tolerances a PDU needed, as a set.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Tolerated(u16);

/// What [`Tolerated`] calls its bits.
const TOLERANCES: &[(Tolerated, &str)] = &[
    (Tolerated::EMPTY_BODY, "empty_body"),
    (Tolerated::CUT_BODY, "cut_body"),
    (Tolerated::NO_NUL, "no_nul"),
    (Tolerated::LONG_FIELD, "long_field"),
    (Tolerated::NOT_ASCII, "not_ascii"),
    (Tolerated::CUT_TLV, "cut_tlv"),
    (Tolerated::STRAY, "stray"),
    (Tolerated::NO_ID, "no_id"),
    (Tolerated::TWO_TEXTS, "two_texts"),
    (Tolerated::SEQUENCE, "sequence"),
    (Tolerated::STATUS, "status"),
];

impl Tolerated {
    /// Nothing was amiss.
    pub const NONE: Self = Self(0);
    /// A response that should have a body has none.
    pub const EMPTY_BODY: Self = Self(1);
    /// A response ends before its last field.
    pub const CUT_BODY: Self = Self(1 << 1);
    /// The last text has no NUL.
    pub const NO_NUL: Self = Self(1 << 2);
    /// A text is longer than the standard allows.
    pub const LONG_FIELD: Self = Self(1 << 3);
    /// A text has octets over 127.
    pub const NOT_ASCII: Self = Self(1 << 4);
    /// The last TLV is longer than what is left; it was dropped.
    pub const CUT_TLV: Self = Self(1 << 5);
    /// Octets follow where nothing may; they were dropped.
    pub const STRAY: Self = Self(1 << 6);
    /// An error response starts with its TLVs, without the id before them.
    pub const NO_ID: Self = Self(1 << 7);
    /// Both `short_message` and `message_payload` hold text.
    pub const TWO_TEXTS: Self = Self(1 << 8);
    /// The sequence number is 0 or over 0x7fff_ffff.
    pub const SEQUENCE: Self = Self(1 << 9);
    /// A request has a status.
    pub const STATUS: Self = Self(1 << 10);

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds.
    pub const fn note(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The names of what is in the set, as metrics and logs have them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        TOLERANCES.iter().filter(move |(one, _)| self.has(*one)).map(|(_, name)| *name)
    }

    /// Every name that [`Tolerated::names`] can give.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        TOLERANCES.iter().map(|(_, name)| *name)
    }
}

/// A PDU that cannot be taken. The stream goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{command:#010x} sequence {sequence}: {why}")]
pub struct Bad {
    /// Its `command_id`.
    pub command: u32,
    /// Its `sequence_number`.
    pub sequence: u32,
    /// The status to answer with.
    pub status: u32,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a PDU.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Why {
    /// The command is not one of the standards.
    #[error("command is unknown")]
    UnknownCommand,
    /// The PDU ends before the field does.
    #[error("{0} is cut off by the end of the PDU")]
    Cut(&'static str),
    /// The text is said to be longer than the PDU.
    #[error("sm_length {said} with {left} octets left")]
    TextBeyond {
        /// `sm_length`.
        said: u8,
        /// What is left of the PDU.
        left: usize,
    },
    /// `dest_flag` is neither an address nor a list.
    #[error("dest_flag {0} is neither 1 nor 2")]
    DestinationFlag(u8),
}

impl Why {
    const fn status(self) -> u32 {
        match self {
            Self::UnknownCommand => status::RINVCMDID,
            Self::Cut(_) => status::RINVCMDLEN,
            Self::TextBeyond { .. } => status::RINVMSGLEN,
            Self::DestinationFlag(_) => status::RINVDESTFLAG,
        }
    }
}

impl Bad {
    /// What to answer: the command's own response with the status, `generic_nack` for an unknown command, and nothing
    /// to a response or to what has no response (two peers that answer each other's answers never end).
    #[must_use]
    pub fn answer(&self) -> Option<Pdu> {
        let body = match Body::response_of(self.command) {
            Some(body) => body,
            None if self.why == Why::UnknownCommand && self.command & command::RESPONSE == 0 => {
                Body::GenericNack
            }
            None => return None,
        };
        Some(Pdu { status: self.status, sequence: self.sequence, body })
    }
}

/// Reads a frame's body.
///
/// # Errors
/// [`Bad`] for an unknown command, and for a request whose fields cannot be told apart. Never for a known response.
pub fn parse(frame: &Frame) -> Result<Pdu, Bad> {
    parse_noting(frame, &mut Tolerated::default())
}

/// [`parse`], adding the tolerances that were used to `tolerated`.
///
/// # Errors
/// As [`parse`].
pub fn parse_noting(frame: &Frame, tolerated: &mut Tolerated) -> Result<Pdu, Bad> {
    let mut reader = Reader {
        body: &frame.body,
        rest: &frame.body,
        status: frame.status,
        response: frame.id & command::RESPONSE != 0,
        tolerated,
    };
    let body = body::read(frame.id, &mut reader).map_err(|why| Bad {
        command: frame.id,
        sequence: frame.sequence,
        status: why.status(),
        why,
    })?;
    if !(1..=0x7fff_ffff).contains(&frame.sequence) && frame.id != command::GENERIC_NACK {
        tolerated.note(Tolerated::SEQUENCE);
    }
    if frame.status != 0 && frame.id & command::RESPONSE == 0 {
        tolerated.note(Tolerated::STATUS);
    }
    Ok(Pdu { status: frame.status, sequence: frame.sequence, body })
}

/// The place in a body. Values are slices of it, nothing is copied.
struct Reader<'f> {
    body: &'f Bytes,
    rest: &'f [u8],
    status: u32,
    response: bool,
    tolerated: &'f mut Tolerated,
}

type Step<'f, T> = IResult<&'f [u8], T, ()>;

impl<'f> Reader<'f> {
    /// Runs one of nom's parsers; in a response a missing field is its default.
    fn field<T: Default>(
        &mut self,
        name: &'static str,
        mut parser: impl FnMut(&'f [u8]) -> Step<'f, T>,
    ) -> Result<T, Why> {
        match parser(self.rest) {
            Ok((rest, value)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(_) if self.response => {
                self.rest = &[];
                self.missing();
                Ok(T::default())
            }
            Err(_) => Err(Why::Cut(name)),
        }
    }

    fn octet(&mut self, name: &'static str) -> Result<u8, Why> {
        self.field(name, be_u8)
    }

    fn number(&mut self, name: &'static str) -> Result<u32, Why> {
        self.field(name, be_u32)
    }

    /// An error response need not have a body (SMPP 3.4 §4.4.2).
    fn missing(&mut self) {
        if self.body.is_empty() {
            if self.status == status::ROK {
                self.tolerated.note(Tolerated::EMPTY_BODY);
            }
        } else {
            self.tolerated.note(Tolerated::CUT_BODY);
        }
    }

    /// A C-string of at most `max` octets with its NUL, which only a response may lack.
    fn text(&mut self, name: &'static str, max: usize) -> Result<Bytes, Why> {
        self.text_until(name, max, self.response)
    }

    /// A C-string that ends the PDU, with its NUL or without.
    fn last_text(&mut self, name: &'static str, max: usize) -> Result<Bytes, Why> {
        self.text_until(name, max, true)
    }

    fn text_until(&mut self, name: &'static str, max: usize, open: bool) -> Result<Bytes, Why> {
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(Bytes::new());
        }
        let parsed: Step<'f, &[u8]> = take_till(|octet| octet == 0).parse(self.rest);
        let Ok((rest, found)) = parsed else { return Err(Why::Cut(name)) };
        match rest {
            [_, rest @ ..] => self.rest = rest,
            [] if open => {
                self.rest = rest;
                if found.is_empty() && self.response {
                    self.missing();
                } else {
                    self.tolerated.note(Tolerated::NO_NUL);
                }
            }
            [] => return Err(Why::Cut(name)),
        }
        if found.len() >= max {
            self.tolerated.note(Tolerated::LONG_FIELD);
        }
        if !found.is_ascii() {
            self.tolerated.note(Tolerated::NOT_ASCII);
        }
        Ok(self.body.slice_ref(found))
    }

    /// A text whose length stands before it (§5.2.21, §5.2.22).
    fn short_message(&mut self) -> Result<Bytes, Why> {
        let said = self.octet("sm_length")?;
        let parsed: Step<'f, &[u8]> = take(said).parse(self.rest);
        let Ok((rest, found)) = parsed else {
            return Err(Why::TextBeyond { said, left: self.rest.len() });
        };
        self.rest = rest;
        if said == u8::MAX {
            self.tolerated.note(Tolerated::LONG_FIELD);
        }
        Ok(self.body.slice_ref(found))
    }

    /// Whatever is left, as optional parameters (§3.2.4). One that is longer than what is left ends the list.
    fn tlvs(&mut self) -> Tlvs {
        let mut tlvs = Tlvs::default();
        while !self.rest.is_empty() {
            let parsed: Step<'f, (u16, u16)> = (be_u16, be_u16).parse(self.rest);
            let Ok((rest, (tag, length))) = parsed else {
                self.stray();
                break;
            };
            let parsed: Step<'f, &[u8]> = take(length).parse(rest);
            let Ok((rest, value)) = parsed else {
                self.rest = &[];
                self.tolerated.note(Tolerated::CUT_TLV);
                break;
            };
            self.rest = rest;
            tlvs.0.push(Tlv { tag, value: self.body.slice_ref(value) });
        }
        tlvs
    }

    /// Drops what is left, where nothing may be.
    fn stray(&mut self) {
        if !self.rest.is_empty() {
            self.rest = &[];
            self.tolerated.note(Tolerated::STRAY);
        }
    }
}

/// Whether octets are optional parameters to the last of them, and at least one.
fn is_all_tlvs(octets: &[u8]) -> bool {
    let mut rest = octets;
    while !rest.is_empty() {
        let parsed: Step<'_, (u16, u16)> = (be_u16, be_u16).parse(rest);
        let Ok((after, (_, length))) = parsed else { return false };
        let parsed: Step<'_, &[u8]> = take(length).parse(after);
        let Ok((after, _)) = parsed else { return false };
        rest = after;
    }
    !octets.is_empty()
}

#[cfg(test)]
mod tests;
