//! A text as it came in, from whatever transport.

use std::fmt;

use zeroize::Zeroizing;

use crate::session::Id;
use crate::smpp::coding::Charsets;
use crate::sms::address::Origin;

/// A text, or one part of a long one. It shows neither its words nor its sender when printed.
#[derive(Clone)]
pub struct Received {
    /// The route that it came by.
    pub route: String,
    /// The link of the route; of a provider over HTTP one that never goes.
    pub link: Id,
    /// Who wrote it.
    pub from: Origin,
    /// The number of ours that was texted.
    pub to: String,
    /// What it says; empty when it is a part, which says it in its own way.
    pub text: Zeroizing<String>,
    /// What the network gives to tell equal texts apart: a user message reference, a concatenation reference, a provider's
    /// id. Empty without any.
    pub identity: Vec<u8>,
    /// Whether `identity` names this text and no other, as a provider's id does: then an equal one is this one, however late
    /// it comes.
    pub unique: bool,
    /// Which part of a long text this is.
    pub part: Option<Part>,
    /// Whether the sender's number may be believed on this route.
    pub trusted: bool,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (route, from, to, bytes) = (&self.route, &self.from, &self.to, self.text.len());
        write!(f, "text of {bytes} bytes by {route} from {from:?} to {to}")?;
        match &self.part {
            Some(part) => write!(f, ", part {} of {}", part.number, part.total),
            None => Ok(()),
        }
    }
}

/// A part of a long text, as octets: a sender may cut a character in two.
#[derive(Clone)]
pub struct Part {
    /// Names the text, as its sender counts.
    pub reference: u16,
    /// Of how many.
    pub total: u8,
    /// From 1.
    pub number: u8,
    /// How it is coded.
    pub data_coding: u8,
    /// Bits before its first septet.
    pub fill: u8,
    /// What it says.
    pub octets: Zeroizing<Vec<u8>>,
    /// How the route codes texts.
    pub charsets: Charsets,
}

/// What became of a text that was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// All that it causes is committed, or it causes nothing.
    Handled,
    /// It is one that was handled before.
    Duplicate,
}
