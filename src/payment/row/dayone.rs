//! Rows of an operator's first day and of the days after it: files that were taken in, why things are shut, windows of
//! maintenance. Plain values, no rules.

use crate::payment::row::Id;
use crate::payment::row::record::record;

record! {
    /// A file that was taken in. The same file again is the same row.
    pub struct ImportRow in "imports" {
        key { /// Made from the kind and the file's bytes.
            id: Id, }
        /// `customers`, `numbers` or `balances`.
        kind: String,
        /// The file's name, for people.
        file: String,
        /// Lines that were read, without the head.
        lines: i64,
        /// Lines that changed something, over all runs.
        done: i64,
        /// Lines that were refused by the last run.
        faults: i64,
        /// What was booked, over all runs, minor units.
        booked_minor: i64,
        /// Who took it in last.
        who: String,
        /// When it was first begun, microseconds.
        began_at: i64,
        /// When a run last came to its end, microseconds; none while the first is under way or was cut off.
        ended_at: Option<i64>,
    }
}

record! {
    /// Why something is shut.
    pub struct SuspensionNoteRow in "suspension_notes" {
        key {
            /// As in [`crate::payment::row::SuspensionRow`].
            scope: String,
            /// Which.
            key: String,
        }
        /// Why, in words, for staff.
        reason: String,
        /// Who shut it.
        who: String,
        /// Microseconds.
        at: i64,
    }
}

record! {
    /// A time in which something is shut on purpose, and known to end.
    pub struct MaintenanceRow in "maintenance" {
        key { /// Its id.
            id: Id, }
        /// `product`, `carrier` or `whole`.
        scope: String,
        /// Which; empty for the whole.
        key: String,
        /// Shut from then on, microseconds.
        from_at: i64,
        /// Open again from then on, microseconds.
        until_at: i64,
        /// Why, for staff.
        reason: String,
        /// Who planned it.
        who: String,
    }
}
