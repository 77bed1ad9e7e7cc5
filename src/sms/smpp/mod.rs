//! Text messages over SMPP: what a route's peer means by its PDUs, and what it is to be told.
//!
//! ```text
//! io::Event ──► Inlet ──► receipt? ──► dispatcher            (deliver_sm, data_sm; submit_sm where the peer is the ESME)
//!                    └──► text    ──► desk ──► answered when it is committed
//! dispatcher ──► Binds ──► one submit_sm for each part, over one of several binds
//! ```

mod binds;
mod inlet;

use bytes::Bytes;

use crate::msisdn::Msisdn;
use crate::smpp::coding::Charsets;
use crate::smpp::long::Form;
use crate::smpp::receipt::IdForms;
use crate::smpp::status::Kinds;
use crate::smpp::tlv::Tlv;
use crate::sms::address::{Country, Numbering};

pub use binds::Binds;
pub use inlet::Inlet;

/// Which end of its links a route is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    /// We bind to an SMSC: texts go by `submit_sm`, come by `deliver_sm`.
    #[default]
    Esme,
    /// An aggregator binds to us: texts go by `deliver_sm`, come by `submit_sm`.
    Smsc,
}

/// Whose numbers a route is believed for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// Nobody's: senders can be forged there.
    #[default]
    Nobody,
    /// Everybody's.
    Everybody,
    /// Those that begin with one of these digits (without `+`): the carrier's own subscribers.
    Prefixes(Vec<String>),
}

impl Trust {
    /// Whether a sender's number is believed.
    #[must_use]
    pub fn believes(&self, number: &Msisdn) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Prefixes(prefixes) => {
                prefixes.iter().any(|prefix| number.digits().starts_with(prefix.as_str()))
            }
        }
    }
}

/// How a route's peer speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dialect {
    /// The route's name.
    pub route: String,
    /// Which end we are.
    pub end: End,
    /// The market's numbers.
    pub country: Country,
    /// How texts are coded, both ways.
    pub charsets: Charsets,
    /// How long texts are cut.
    pub form: Form,
    /// How addresses are typed.
    pub numbering: Numbering,
    /// Whose numbers are believed.
    pub trust: Trust,
    /// How ids are written.
    pub ids: IdForms,
    /// What statuses mean.
    pub kinds: Kinds,
    /// `service_type` of our messages, at most 5 octets.
    pub service_type: Bytes,
    /// Parameters that the carrier wants on each of our messages.
    pub tlvs: Vec<Tlv>,
}

impl Dialect {
    /// What is usual, for a route.
    #[must_use]
    pub fn new(route: &str, country: Country) -> Self {
        Self {
            route: route.to_owned(),
            end: End::Esme,
            country,
            charsets: Charsets::sms(),
            form: Form::Udh8,
            numbering: Numbering::default(),
            trust: Trust::Nobody,
            ids: IdForms::default(),
            kinds: Kinds::default(),
            service_type: Bytes::new(),
            tlvs: Vec::new(),
        }
    }
}

fn printable(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
