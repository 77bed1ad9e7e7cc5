//! Rows of identity: one-time codes, a PIN typed once, what happened to numbers, marks of an account, its language, and tries
//! of callers who are not believed. No secret is in
//! any of them: codes and PINs are here as keyed MACs only.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::record::record;

record! {
    /// A one-time code that was sent to a number, or the proof that it came back.
    pub struct CodeRow in "codes" {
        key {
            /// Where it was sent.
            phone: Msisdn,
            /// What it is for.
            purpose: String,
        }
        /// The account that it is for, if there is one yet.
        account: Option<Id>,
        /// The keyed MAC of code, purpose, account and number; none when it was used or spent.
        mac: Option<Vec<u8>>,
        /// When the last one was sent, microseconds.
        sent_at: i64,
        /// No answer counts from this time on, microseconds.
        expires_at: i64,
        /// Wrong answers so far.
        tries: i32,
        /// How many were sent since `since`.
        sent: i32,
        /// When the count of those sent began, microseconds.
        since: i64,
        /// When the right answer came, microseconds.
        passed_at: Option<i64>,
        /// Counts changes of this row.
        version: i64,
    }
}

record! {
    /// A PIN that was typed once and waits for the second time.
    pub struct ChoiceRow in "pin_choices" {
        key {
            /// Who chooses.
            phone: Msisdn,
        }
        /// The keyed MAC of number and PIN.
        mac: Vec<u8>,
        /// When it was typed, microseconds.
        at: i64,
    }
}

record! {
    /// Something that happened to a number or to a PIN. Only added, never changed.
    pub struct HistoryRow in "binding_history" {
        key {
            /// Its id.
            id: Id,
        }
        /// The number.
        msisdn: Msisdn,
        /// The account.
        account: Id,
        /// `bound`, `unbound`, `pin`, `permitted` or `verified`.
        event: String,
        /// Microseconds.
        at: i64,
    }
}

record! {
    /// When an account was changed in a way that lowers its limit for a while, and a limit that comes into force later.
    pub struct MarkRow in "account_marks" {
        key {
            /// The account.
            account: Id,
        }
        /// When a caller last bound a number, microseconds; 0 for never.
        bound_at: i64,
        /// When a caller last chose a PIN, microseconds; 0 for never.
        pin_at: i64,
        /// The own day limit to come, minor units.
        next_limit_minor: Option<i64>,
        /// From when on, microseconds.
        next_limit_at: Option<i64>,
        /// Counts changes of this row.
        version: i64,
    }
}

record! {
    /// When a bound number was last heard of: a number that was silent for long may have another owner.
    pub struct SeenRow in "numbers_seen" {
        key {
            /// The number.
            msisdn: Msisdn,
        }
        /// Microseconds.
        seen_at: i64,
    }
}

record! {
    /// The tries of callers whose number is not believed, on an account's PIN or on codes to a number.
    pub struct PathRow in "paths" {
        key {
            /// `pin` and the account, or `code` and the number.
            subject: String,
        }
        /// Wrong or unfinished tries in a row.
        tries: i32,
        /// No try is taken before this time, microseconds.
        wait_until: i64,
        /// Nor before this one, after too many; 0 when it is not locked, microseconds.
        locked_until: i64,
        /// Counts changes of this row.
        version: i64,
    }
}

record! {
    /// The language that a customer chose.
    pub struct LanguageRow in "account_languages" {
        key {
            /// The account.
            account: Id,
        }
        /// Its tag, such as `sw`.
        language: String,
        /// When it was chosen, microseconds.
        at: i64,
    }
}
