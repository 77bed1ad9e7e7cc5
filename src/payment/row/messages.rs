//! The rows of messages and conversations: what goes out, what came in, what waits for an answer.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;

/// Where a message that must leave stands. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum OutboxState {
    /// Not sent yet; it is tried when it is due.
    Waiting = 0,
    /// The network took it. Whether the phone got it, a receipt may tell.
    Accepted = 1,
    /// Definitely not sent, or refused, or expired before it left; it is not tried again.
    Failed = 2,
    /// A process has it in hand: it may be on its way. `due_at` is the end of the lease.
    Sending = 3,
    /// It may have left and nobody answered; it is never sent again by itself.
    Unknown = 4,
    /// A receipt says that the phone got it.
    Delivered = 5,
    /// A receipt says that the phone will not get it.
    Undelivered = 6,
}

impl OutboxState {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Waiting,
        Self::Accepted,
        Self::Failed,
        Self::Sending,
        Self::Unknown,
        Self::Delivered,
        Self::Undelivered,
    ];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The state of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.number() == number)
    }
}

/// A message that must leave after the commit: a receipt, an answer, a screen pushed to a phone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxRow {
    /// Its id; the same intent gives the same id, so that it is queued once.
    pub id: Id,
    /// "sms".
    pub kind: String,
    /// To whom.
    pub recipient: String,
    /// What it says.
    pub body: String,
    /// The payment that it tells of.
    pub payment: Option<Id>,
    /// Where it stands.
    pub state: OutboxState,
    /// Waiting: when it is due. Sending: until when its owner has it. Microseconds.
    pub due_at: i64,
    /// When it was queued, microseconds.
    pub created_at: i64,
    /// The route that it takes or took; `None` until one is chosen.
    pub route: Option<String>,
    /// The address that it comes from, if not the route's own.
    pub sender: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// Into how many segments it was cut; 0 until that is known.
    pub segments: i32,
    /// The network's id of the last segment, by which receipts name it.
    pub message_id: Option<String>,
    /// The last status or reason.
    pub code: Option<String>,
    /// The process that is sending it.
    pub owner: Option<Id>,
    /// When it last changed, microseconds.
    pub updated_at: i64,
    /// It is not sent after this time, microseconds.
    pub expires_at: i64,
}

impl OutboxRow {
    /// A message that waits to be sent, from now (microseconds) on and for `validity` (microseconds).
    #[must_use]
    pub fn waiting(id: Id, kind: &str, recipient: &str, body: String, now: i64, validity: i64) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            recipient: recipient.to_owned(),
            body,
            payment: None,
            state: OutboxState::Waiting,
            due_at: now,
            created_at: now,
            route: None,
            sender: None,
            attempts: 0,
            segments: 0,
            message_id: None,
            code: None,
            owner: None,
            updated_at: now,
            expires_at: now.saturating_add(validity),
        }
    }
}

/// A message that came in, by a key that the same message has again; what it said is not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InboxRow {
    /// Keyed MAC over what makes it this message ([`crate::payment::run::Payments::mac`]).
    pub key: Id,
    /// The route that it came by.
    pub route: String,
    /// The link of the route that it came by.
    pub link: Id,
    /// Who sent it: a number, or whatever the network says.
    pub caller: String,
    /// 2 USSD, 3 SMS.
    pub channel: i16,
    /// When, microseconds.
    pub received_at: i64,
}

/// A segment of a long text that waits for the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartRow {
    /// The text that it is part of.
    pub message: Id,
    /// Which, from 1.
    pub number: i16,
    /// Of how many.
    pub total: i16,
    /// What it says, encrypted ([`crate::payment::run::Payments::seal`]).
    pub sealed: Vec<u8>,
    /// When it came, microseconds.
    pub received_at: i64,
}

/// A conversation that may be gone on with. Written by the same road as money, so that what a caller was told and what
/// was done for him are one commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionRow {
    /// The session's.
    pub id: Id,
    /// Who; only believed numbers have rows.
    pub caller: Msisdn,
    /// 1 voice, 2 USSD, 3 SMS.
    pub channel: i16,
    /// The flow.
    pub flow: String,
    /// The flow's version.
    pub version: String,
    /// The dialplan's state, as JSON.
    pub state: String,
    /// The account that the caller's number pays from, once it is known.
    pub account: Option<Id>,
    /// The latest payment that was asked for.
    pub payment: Option<Id>,
    /// 1, 2, 3…: one more at each save.
    pub revision: i64,
    /// When it was saved, microseconds.
    pub saved_at: i64,
    /// Until when it may be gone on with, microseconds.
    pub expires_at: i64,
    /// Where its channel finds it: one live conversation has a key. `None` when only the caller's next call looks for it.
    pub key: Option<String>,
    /// The network's name of the dialogue.
    pub dialogue: Option<String>,
    /// The way to the caller.
    pub route: Option<String>,
}
