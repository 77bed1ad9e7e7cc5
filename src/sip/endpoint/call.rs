//! What is known of one call, and in which phase it is.
//!
//! Held by the endpoint, changed by `server`, `client`, `command` and `session`. Only data and small
//! questions live here.

use super::TransactionId;
use super::session::Session;
use crate::sip::dialog::Dialog;
use crate::sip::wire::print::Echo;
use bytes::Bytes;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

pub(super) struct Call {
    pub(super) dialog: Dialog,
    /// Index of the trunk that it came over; `None` if we placed it.
    pub(super) trunk: Option<usize>,
    pub(super) source: IpAddr,
    pub(super) phase: Phase,
    /// Our 2xx that waits for its ACK.
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// The peer's new offer that waits for the application.
    pub(super) offer: Option<Offered>,
    /// Our own re-INVITE or refresh that waits for its final response.
    pub(super) asking: Option<Asking>,
    pub(super) session: Option<Session>,
    /// The description that we sent last, repeated when a refresh must be a re-INVITE.
    pub(super) local_sdp: Bytes,
    /// The peer's Allow lists UPDATE (RFC 3311).
    pub(super) peer_updates: bool,
    /// BYE goes out with the ACK.
    pub(super) hang_up_wanted: bool,
    /// The last event about this call is out.
    pub(super) over: bool,
    /// Established was told.
    pub(super) established: bool,
    /// CSeq of the last INFO, so that a key that comes by two paths is one key.
    pub(super) last_info: Option<u32>,
}

/// ```text
/// in:   Offered ─200─► Talking ─BYE sent─► Ending      out:  Calling ─2xx─► Talking ─BYE sent─► Ending
///          └─3xx-6xx, CANCEL─► gone                             └─3xx-6xx, silence─► gone
/// ```
pub(super) enum Phase {
    /// Their INVITE waits for our answer.
    Offered { transaction: TransactionId, request: Offered, provisional: bool },
    /// Our INVITE waits for theirs.
    Calling { transaction: TransactionId, cseq: u32, branch: Box<str>, progressed: bool, cancel: Cancel },
    /// A 2xx was sent or received.
    Talking,
    /// Our BYE is out; kept to answer theirs if it crosses.
    Ending,
}

/// RFC 3261 §9.1: a CANCEL waits for the first provisional response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cancel {
    No,
    Wanted,
    Sent,
}

/// A request of theirs with or for an offer, and what its answer will need.
#[derive(Clone)]
pub(super) struct Offered {
    pub(super) transaction: TransactionId,
    pub(super) echo: Echo,
    pub(super) cseq: u32,
    /// It brought no offer, so our 200 makes one and the ACK brings the answer.
    pub(super) late: bool,
    /// INVITE wants an ACK, UPDATE does not.
    pub(super) invite: bool,
    /// What was agreed about the session timer, put into the 200.
    pub(super) session: Option<Session>,
}

/// A 2xx to INVITE that is sent until it is acknowledged (§13.3.1.4).
pub(super) struct Unacknowledged {
    pub(super) cseq: u32,
    pub(super) bytes: Bytes,
    pub(super) destination: SocketAddr,
    pub(super) pause: Duration,
    pub(super) give_up: Instant,
    /// The ACK brings the answer to our offer.
    pub(super) late: bool,
}

/// A request of ours inside the dialog that must not cross another.
pub(super) struct Asking {
    pub(super) cseq: u32,
    /// The offer in it, kept as ours when it is accepted.
    pub(super) sdp: Bytes,
}
