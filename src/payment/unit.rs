//! A unit: everything that one decision writes, all or nothing, in one commit with its neighbours.
//!
//! A unit is a list of operations. `fold` applies them in order to the loaded rows; the first that is refused drops the
//! whole unit (and only it). The refusal of a ledger command is stored under the command's id, so that the same
//! question gets the same answer for ever.

use crate::ledger::command::Command;
use crate::ledger::command::Refusal as LedgerRefusal;
use crate::ledger::row::AccountRow;
use crate::ledger::row::Id;
use crate::payment::row::record::{Cell, Recorded, Write};
use crate::payment::row::{
    AttemptRow, BindingRow, InboxRow, OutboxRow, OutboxState, PairKey, PartRow, PayerRow, PaymentRow,
    SessionRow, State, SuspensionRow,
};

/// One decision's writes.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// In the order in which they are judged.
    pub ops: Vec<Op>,
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// A command to the ledger.
    Ledger(Command),
    /// Opens a ledger account that does not exist yet.
    OpenAccount(AccountRow),
    /// Adds the settings row of a payment account.
    OpenPayer(PayerRow),
    /// Replaces a settings row whose version is `row.version`; the stored one becomes `row.version + 1`.
    SetPayer(PayerRow),
    /// Binds a number; refused when it is bound to another account.
    Bind(BindingRow),
    /// Unbinds a number.
    Unbind(BindingRow),
    /// Counts one PIN try before it is hashed; refused when locked or too soon.
    PinTry {
        /// Whose PIN.
        account: Id,
        /// Tries allowed in a row.
        tries_max: i32,
        /// Waiting time added after the n-th wrong try, microseconds, from the second on (it doubles).
        delay_us: i64,
    },
    /// The PIN was right: tries go back to none; `rehash` replaces the hash after a change of pepper or cost.
    PinPassed {
        /// Whose PIN.
        account: Id,
        /// New PHC string and pepper version.
        rehash: Option<(String, i32)>,
    },
    /// Judges limits and duplicates, places the hold and writes the payment, in one commit.
    Authorise(Box<Authorise>),
    /// Authorised → submitting: writes the attempt, and the hold stops expiring.
    Submit {
        /// The payment.
        payment: Id,
        /// Its version as seen.
        version: i64,
        /// The attempt that is about to leave.
        attempt: AttemptRow,
    },
    /// Submitting or submitted → submitting: what became of the last request, and the attempt of the next carrier.
    Resubmit(Box<Resubmit>),
    /// News of an attempt that changes nothing about its payment but the history.
    Note(Box<Note>),
    /// Any other change of a payment's state, with what it means for hold, counters and pair.
    Move(Box<Move>),
    /// A message to leave after the commit; the same id again is the same message.
    Outbox(OutboxRow),
    /// What became of a message that was queued; only the steps that `payment::outbox` allows.
    SettleOutbox(Box<OutboxSettled>),
    /// A message came in; refused as repeated when it did before.
    Receive(Receive),
    /// Keeps a segment of a long text; one that is there already stays as it is. Refused as unfit unless it is the n-th of
    /// at least n.
    Part(PartRow),
    /// Forgets the segments of a long text.
    DropParts(Id),
    /// Shuts something.
    Suspend(SuspensionRow),
    /// Opens it again.
    Resume(SuspensionRow),
    /// Saves a session whose stored revision is one less; refused as stale when another node went on with it, or when
    /// another session that is not over holds its key; as unfit when the key is too long.
    SaveSession(Box<SessionRow>),
    /// Forgets a session, if there is one.
    EndSession(Id),
    /// Writes a row of a table that has no rules of its own here: see [`Op::add`], [`Op::set`], [`Op::put`], [`Op::remove`].
    Record(Box<Write>),
    /// Refused as suspended when any of these (scope, key) is shut.
    Open(Vec<(String, String)>),
    /// Refused when an account holds more than this at this point of the unit.
    Ceiling {
        /// The account.
        account: Id,
        /// The most that it may hold, minor units.
        balance_minor: i64,
    },
}

impl Op {
    /// Adds a row. The very same row is there already is fine; another of its key is refused as existing.
    #[must_use]
    pub fn add(row: &impl Recorded) -> Self {
        Self::Record(Box::new(Write::Add(row.record())))
    }

    /// Replaces the row whose `version` is one less than this one's; refused as stale when another is stored, as unknown when
    /// there is none.
    #[must_use]
    pub fn set(row: &impl Recorded) -> Self {
        Self::Record(Box::new(Write::Set(row.record())))
    }

    /// Adds or replaces a row.
    #[must_use]
    pub fn put(row: &impl Recorded) -> Self {
        Self::Record(Box::new(Write::Put(row.record())))
    }

    /// Takes the row with this primary key out, if it is there.
    #[must_use]
    pub fn remove<T: Recorded>(key: &[Cell]) -> Self {
        Self::Record(Box::new(Write::Remove(T::key(key))))
    }
}

/// See [`Op::Authorise`].
#[derive(Clone, Debug)]
pub struct Authorise {
    /// The payment as it is written, in state authorised, version 1.
    pub payment: PaymentRow,
    /// Per-payment limit, minor units of face value.
    pub payment_limit_minor: i64,
    /// S13: the day's limit.
    pub day_limit_minor: i64,
    /// The hold's expiry should the request never leave, microseconds; `None` when the attempt is in the same unit.
    pub hold_expires_at: Option<i64>,
    /// An equal delivered payment younger than this asks for `repeat`, microseconds.
    pub duplicate_window_us: i64,
    /// The caller said "do it again".
    pub repeat: bool,
    /// Without a PIN: the most that the account may pay so in a day, minor units, this payment and its fee included.
    pub without_pin: Option<i64>,
}

/// See [`Op::Resubmit`].
#[derive(Clone, Debug)]
pub struct Resubmit {
    /// The payment.
    pub payment: Id,
    /// Its version as seen.
    pub version: i64,
    /// The last attempt with its outcome.
    pub answered: AttemptRow,
    /// The attempt that is about to leave, with another connector and the number that follows.
    pub attempt: AttemptRow,
    /// What the next carrier takes, by the plan.
    pub cost_minor: i64,
    /// When somebody else may take the payment up.
    pub next_check_at: i64,
    /// In words for the history, no secrets.
    pub detail: String,
}

/// See [`Op::Note`].
#[derive(Clone, Debug)]
pub struct Note {
    /// The payment.
    pub payment: Id,
    /// Its version as seen.
    pub version: i64,
    /// The attempt as it is to be stored.
    pub attempt: AttemptRow,
    /// In words for the history, no secrets.
    pub detail: String,
}

/// See [`Op::Move`].
#[derive(Clone, Debug)]
pub struct Move {
    /// The payment.
    pub payment: Id,
    /// Its version as seen; another version refuses the unit.
    pub version: i64,
    /// Where it goes. Only the steps that `payment::state` allows.
    pub to: State,
    /// Refusal class, or why it is unknown.
    pub class: Option<String>,
    /// The carrier's reference, if it told one.
    pub carrier_reference: Option<String>,
    /// What the carrier charged, if it differs from the plan.
    pub cost_minor: Option<i64>,
    /// When to ask the status next.
    pub next_check_at: Option<i64>,
    /// Whether this was a status query (counts `checks`).
    pub checked: bool,
    /// The attempt whose outcome became known, as it is to be stored.
    pub attempt: Option<AttemptRow>,
    /// House accounts of the product, for posting and for reversal.
    pub posting: Option<Posting>,
    /// In words for the history, no secrets.
    pub detail: String,
}

/// See [`Op::SettleOutbox`]. What is `None` stays as it is stored, but for `code`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxSettled {
    /// The message.
    pub id: Id,
    /// Where it goes.
    pub state: OutboxState,
    /// The route that it took.
    pub route: Option<String>,
    /// The network's id of its last segment.
    pub message_id: Option<String>,
    /// The status or reason; `None` when there is none.
    pub code: Option<String>,
    /// How often it was tried by now.
    pub attempts: Option<i32>,
    /// Into how many segments it was cut.
    pub segments: Option<i32>,
    /// When it is due again, microseconds; a message that goes back to waiting without it is due at `at`.
    pub due_at: Option<i64>,
    /// The end of the lease under which it was tried, microseconds: if it has been claimed anew since, this is old news and
    /// is refused. `None` for news that does not come from a claim.
    pub lease: Option<i64>,
    /// When this was known, microseconds.
    pub at: i64,
}

impl OutboxSettled {
    /// Moves a message to `state` at `at` (microseconds) and leaves the rest to be filled in.
    #[must_use]
    pub const fn new(id: Id, state: OutboxState, at: i64) -> Self {
        Self {
            id,
            state,
            route: None,
            message_id: None,
            code: None,
            attempts: None,
            segments: None,
            due_at: None,
            lease: None,
            at,
        }
    }
}

/// See [`Op::Receive`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receive {
    /// The message.
    pub row: InboxRow,
    /// One of this key that came at this time or later is the same message, microseconds; an older one is replaced.
    pub same_since: i64,
}

/// The accounts that share a delivered payment (DESIGN 6.4 point 4).
#[derive(Clone, Copy, Debug)]
pub struct Posting {
    /// Who gets the cost: a carrier's float, what is owed to a biller, the intermediary account, a merchant.
    pub counterparty: Id,
    /// What is left of the amount.
    pub commission: Id,
    /// Fees.
    pub fee: Id,
    /// The tax in the fee.
    pub tax: Id,
}

/// Why a unit was dropped. Ordered by precedence within an authorisation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The payment with this id exists already: the caller of `commit` answers from it.
    #[error("the payment exists already")]
    PaymentExists(Box<PaymentRow>),
    /// The account, product, carrier, channel or number is suspended.
    #[error("suspended")]
    Suspended,
    /// An equal payment is open.
    #[error("an equal payment is still being processed")]
    StillProcessing(PairKey),
    /// More than an account may pay in a day without its PIN.
    #[error("not without a PIN")]
    PinNeeded,
    /// An equal payment was delivered a short time ago.
    #[error("an equal payment was delivered before")]
    Duplicate {
        /// That payment.
        first: Id,
        /// When it was delivered, microseconds.
        delivered_at: i64,
    },
    /// Over the per-payment limit.
    #[error("over the payment limit")]
    PaymentLimit {
        /// Minor units.
        limit_minor: i64,
    },
    /// Over the day's limit (S13).
    #[error("over the day's limit")]
    DayLimit {
        /// Minor units.
        limit_minor: i64,
        /// Minor units.
        left_minor: i64,
    },
    /// Over the customer's own limit (S14).
    #[error("over the customer's own limit")]
    UserLimit {
        /// Minor units.
        limit_minor: i64,
        /// Minor units.
        left_minor: i64,
    },
    /// The ledger said no.
    #[error("the ledger refused: {0}")]
    Ledger(#[from] LedgerRefusal),
    /// The PIN is locked.
    #[error("the PIN is locked")]
    PinLocked,
    /// The next try is allowed only from this time on.
    #[error("too soon for another try")]
    PinTooSoon {
        /// Microseconds.
        wait_until: i64,
    },
    /// No PIN was ever set.
    #[error("no PIN is set")]
    PinMissing,
    /// A row was changed by someone else since it was read.
    #[error("changed in the meantime")]
    Stale,
    /// The payment's state does not allow it.
    #[error("not allowed from state {0:?}")]
    NotAllowed(State),
    /// The message came in before: the row that was stored then.
    #[error("received before")]
    Repeated(Box<InboxRow>),
    /// The message's state does not allow it.
    #[error("not allowed for a message that is {0:?}")]
    Settled(OutboxState),
    /// It cannot be stored as it is.
    #[error("this {0} cannot be stored")]
    Unfit(&'static str),
    /// No such row.
    #[error("no such {0}")]
    Unknown(&'static str),
    /// It exists with another content.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// The account would hold more than it may.
    #[error("the account may hold {balance_minor} at most")]
    Ceiling {
        /// Minor units.
        balance_minor: i64,
    },
}

/// What a committed unit did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Done {
    /// The payment as it now stands, if the unit touched one.
    pub payment: Option<PaymentRow>,
    /// The settings row as it now stands, if the unit touched one.
    pub payer: Option<PayerRow>,
    /// Whether every ledger command in it had been done before (a repetition).
    pub repeated: bool,
}
