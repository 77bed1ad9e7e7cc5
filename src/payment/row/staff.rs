//! The rows of what staff do: the audit log with its head, what is proposed and done, refunds, carriers' statements, closed
//! days, tiers. Plain values, no rules.

use crate::payment::row::Id;
use crate::payment::row::record::record;

/// The key of the one [`AuditHeadRow`].
pub const HEAD: i16 = 1;

record! {
    /// One thing that somebody did. Never changed: each row carries the hash of the one before it.
    pub struct AuditRow in "audit_log" {
        key { /// 1, 2, 3… without a gap.
            sequence: i64, }
        /// When, microseconds.
        at: i64,
        /// Who.
        who: String,
        /// What, one word such as `refund`.
        what: String,
        /// On what: an id, a reference, a day.
        subject: String,
        /// More, as JSON, without secrets.
        details: String,
        /// The hash of the row before; 32 zero bytes in the first.
        previous: Vec<u8>,
        /// SHA-256 over all of the above: see [`crate::payment::audit::hash`].
        hash: Vec<u8>,
    }
}

record! {
    /// The end of the audit log: whoever adds a row sets this one too, so that two nodes cannot add the same number.
    pub struct AuditHeadRow in "audit_head" {
        key { /// [`HEAD`].
            id: i16, }
        /// The last row's number.
        sequence: i64,
        /// Its hash.
        hash: Vec<u8>,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// Something that staff asked for: done at once, or when a second person approves it.
    pub struct ProposalRow in "proposals" {
        key { /// Made by whoever asks: the same id again is the same request.
            id: Id, }
        /// What is to be done, as JSON.
        act: String,
        /// The payment, account or other thing that it is done to.
        subject: String,
        /// How much money it moves, minor units.
        amount_minor: i64,
        /// Why, in a word.
        reason: String,
        /// What it rests on, in words.
        evidence: String,
        /// See [`crate::payment::approval::Stage`].
        state: i16,
        /// Who asked.
        asked_by: String,
        /// Microseconds.
        asked_at: i64,
        /// Nobody can approve it from then on, microseconds.
        expires_at: i64,
        /// Who approved or rejected it; nobody when it needed no second person.
        decided_by: Option<String>,
        /// When it was decided or done, microseconds.
        decided_at: Option<i64>,
        /// Why it was rejected or not possible.
        note: String,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// What of a delivered payment was given back by the house, without the carrier.
    pub struct RefundRow in "refunds" {
        key { /// The payment.
            payment: Id, }
        /// All refunds together, minor units.
        refunded_minor: i64,
        /// How many.
        refunds: i32,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// A carrier's statement that was read. The same file again is the same row.
    pub struct StatementRow in "statements" {
        key { /// Made from the connector and the file's bytes.
            id: Id, }
        /// The connector.
        connector: String,
        /// How many lines it had.
        lines: i64,
        /// What came of it, as JSON: how many of each class.
        found: String,
        /// Lines and payments that do not agree.
        open: i64,
        /// Who read it.
        read_by: String,
        /// Microseconds.
        read_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// A business day that was closed. What is found later belongs to a later day.
    pub struct ClosedDayRow in "closed_days" {
        key { /// Days since 1970-01-01 in the market's zone.
            day: i32, }
        /// Who closed it.
        closed_by: String,
        /// Microseconds.
        closed_at: i64,
        /// The day's totals, as JSON.
        totals: String,
        /// Payments that were open then.
        open_payments: i64,
        /// What was moved into the trust account so that it equals what customers have, minor units; negative out of it.
        swept_minor: i64,
        /// The audit log's hash before this, in hexadecimal: who keeps it elsewhere can prove the log later.
        audit_hash: String,
    }
}

record! {
    /// The tier of an account. Without one it is of the first tier.
    pub struct AccountTierRow in "account_tiers" {
        key { /// The account.
            account: Id, }
        /// The tier's name in the configuration.
        tier: String,
        /// Since when, microseconds.
        since: i64,
    }
}
