//! The link's vocabulary: everything that goes in and everything that comes out.
//!
//! Closed enums, so that all that can happen is listed here. Nothing in this file prints a text, a password or a number.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use crate::smpp::encode::Unfit;
use crate::smpp::frame::Frame;
use crate::smpp::link::settings::Esme;
use crate::smpp::link::settings::Password;
use crate::smpp::link::settings::Settings;
use crate::smpp::pdu::Body;
use crate::smpp::pdu::Role;

/// Names a request of ours, chosen by whoever asks for it and used once.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// A request of the peer that waits for our answer. Answering takes it, so nothing is answered twice.
#[derive(Debug, Eq, Hash, PartialEq)]
pub struct Ticket {
    pub(super) number: u64,
    pub(super) sequence: u32,
}

impl Ticket {
    /// The `sequence_number` that the peer gave it.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }
}

/// What a link is given.
pub enum Input {
    /// A PDU came.
    Frame(Frame),
    /// What came has a `command_length` that cannot be: the place in the stream is lost.
    Unframed,
    /// Send this request.
    Request {
        /// For its outcome.
        request: RequestId,
        /// A request, not a response.
        body: Body,
        /// How many segments it counts against the rate.
        cost: u32,
    },
    /// Answer a request of the peer.
    Respond {
        /// Which.
        ticket: Ticket,
        /// `command_status`; with anything but 0 the body is left out.
        status: u32,
        /// The response to that kind of request.
        body: Body,
    },
    /// The bind that was asked for is granted. The settings are those for this peer; their side is not looked at.
    Allow(Box<Settings>),
    /// The bind or outbind that was asked for is refused with this status.
    Deny(u32),
    /// The outbind is believed: bind like this.
    BindAs(Box<Esme>),
    /// Take no more requests, wait for answers until then, unbind, close.
    Unbind {
        /// The end of patience for answers.
        until: Instant,
    },
    /// The connection is gone.
    Lost,
    /// Time has passed.
    Tick,
}

/// What a link wants or tells. What it wants done comes in the order in which it must be done.
pub enum Output {
    /// Send these bytes: one or many whole PDUs.
    Write(Bytes),
    /// The one outcome of a request.
    Done {
        /// Which.
        request: RequestId,
        /// What became of it.
        outcome: Outcome,
    },
    /// Something for the application.
    Event(Event),
    /// The link is over. Close the connection after what was written has left.
    Close(Ended),
}

/// What became of a request. Every request has exactly one.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "an answer is the common case, and is moved once")]
pub enum Outcome {
    /// The peer answered.
    Answered {
        /// `command_status`; 0 is accepted.
        status: u32,
        /// The response; `GenericNack` when it was that.
        body: Body,
    },
    /// Its bytes may have left, and no response came. It must not be sent again blindly.
    Unknown(Doubt),
    /// Its bytes have not left.
    NotSent(Unsent),
}

/// Why an outcome is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Doubt {
    /// The `sequence_number` that it had on this link, by which a late response names it.
    pub sequence: u32,
    /// What ended the wait.
    pub why: Silence,
}

/// What ended the wait for a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Silence {
    /// `response_timeout`.
    Timeout,
    /// The connection ended.
    Lost,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsent {
    /// There is no bind now.
    Down,
    /// The link is being closed.
    Closing,
    /// Too many wait already.
    Full,
    /// It waited longer than `queue_timeout`.
    Waited,
    /// A bind of this role may not send it, or it is no request.
    Role,
    /// The standard does not allow what it says.
    Unfit(Unfit),
}

/// What the application is told.
pub enum Event {
    /// The bind is made: requests may flow.
    Up(Up),
    /// A peer wants to bind to us: answer with [`Input::Allow`] or [`Input::Deny`].
    BindAsked(BindAsked),
    /// An SMSC that connected to us asks us to bind: [`Input::BindAs`] or [`Input::Deny`].
    Outbind {
        /// Who it says it is.
        system_id: Bytes,
        /// How it proves it.
        password: Password,
    },
    /// A request of the peer: answer with [`Input::Respond`].
    Request {
        /// What the answer needs.
        ticket: Ticket,
        /// What it says.
        body: Body,
    },
    /// `alert_notification` and other PDUs that want no answer.
    Notice(Body),
    /// A response came after its request's outcome was told as unknown.
    LateResponse {
        /// As in [`Doubt::sequence`].
        sequence: u32,
        /// `command_status`.
        status: u32,
        /// The response.
        body: Body,
    },
}

/// A bind that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Up {
    /// Its role.
    pub role: Role,
    /// The `interface_version` that both speak.
    pub version: u8,
    /// What the peer calls itself.
    pub system_id: Bytes,
}

/// A peer that wants to bind to us.
#[derive(Clone, Debug)]
pub struct BindAsked {
    /// Who it says it is.
    pub system_id: Bytes,
    /// How it proves it.
    pub password: Password,
    /// What it says about its kind.
    pub system_type: Bytes,
    /// What the bind is for.
    pub role: Role,
    /// The `interface_version` that it asks for.
    pub version: u8,
    /// Addresses that it wants to serve.
    pub address_range: Bytes,
}

/// Why a link is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// The peer refused our bind, or we refused its bind, with this status.
    Refused(u32),
    /// No bind within `bind_timeout`.
    BindTimeout,
    /// The peer gave no sign of life.
    Silent,
    /// The peer unbound.
    PeerUnbound,
    /// We unbound.
    Unbound,
    /// The stream was out of step.
    Framing,
    /// The peer sent too much before its bind.
    Unruly,
    /// The connection ended.
    Lost,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => write!(f, "Frame({:#010x}, {})", frame.id, frame.sequence),
            Self::Unframed => f.write_str("Unframed"),
            Self::Request { request, body, cost } => {
                write!(f, "Request({}, {:#010x}, cost {cost})", request.0, body.command_id())
            }
            Self::Respond { ticket, status, .. } => write!(f, "Respond({}, {status:#x})", ticket.sequence),
            Self::Allow(_) => f.write_str("Allow"),
            Self::Deny(status) => write!(f, "Deny({status:#x})"),
            Self::BindAs(_) => f.write_str("BindAs"),
            Self::Unbind { .. } => f.write_str("Unbind"),
            Self::Lost => f.write_str("Lost"),
            Self::Tick => f.write_str("Tick"),
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(bytes) => write!(f, "Write({} bytes)", bytes.len()),
            Self::Done { request, outcome } => write!(f, "Done({}, {outcome:?})", request.0),
            Self::Event(event) => write!(f, "{event:?}"),
            Self::Close(why) => write!(f, "Close({why:?})"),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(up) => write!(f, "{up:?}"),
            Self::BindAsked(asked) => write!(f, "{asked:?}"),
            Self::Outbind { system_id, .. } => write!(f, "Outbind({system_id:?})"),
            Self::Request { ticket, body } => {
                write!(f, "Request({:#010x}, {})", body.command_id(), ticket.sequence)
            }
            Self::Notice(body) => write!(f, "Notice({:#010x})", body.command_id()),
            Self::LateResponse { sequence, status, .. } => write!(f, "LateResponse({sequence}, {status:#x})"),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, body } => {
                write!(f, "Answered({status:#x}, {:#010x})", body.command_id())
            }
            Self::Unknown(doubt) => write!(f, "Unknown({:?}, {})", doubt.why, doubt.sequence),
            Self::NotSent(why) => write!(f, "NotSent({why:?})"),
        }
    }
}
