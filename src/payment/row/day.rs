//! The rows of a day's end: what did not agree in a statement, and the proof of a closed day. Plain values, no rules.

use crate::money::Currency;
use crate::payment::row::Id;
use crate::payment::row::record::record;

record! {
    /// Something of a statement that did not agree when it was read, and what became of that.
    pub struct FindingRow in "findings" {
        key { /// The statement.
            statement: Id,
            /// Where: `line 17`, or `payment` and its id for what only we have.
            place: String, }
        /// See [`crate::payment::statement::Class`]; `unreadable` for a line that cannot be read.
        class: String,
        /// The connector.
        connector: String,
        /// Our payment.
        payment: Option<Id>,
        /// Minor units by the statement.
        theirs_minor: Option<i64>,
        /// Minor units by our books.
        ours_minor: Option<i64>,
        /// More, in words: why a line cannot be read.
        detail: String,
        /// What was asked of staff's rules for it.
        request: Option<Id>,
        /// See [`crate::payment::finding::Standing`].
        state: i16,
        /// When it was found first, microseconds.
        found_at: i64,
        /// When it was settled, microseconds.
        settled_at: Option<i64>,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// What proves a closed day: the trust account against what was owed at its midnight, and a hash over its commands.
    pub struct DayProofRow in "day_proofs" {
        key { /// Days since 1970-01-01 in the market's zone.
            day: i32, }
        /// Where the day before it that was closed ends, microseconds; 0 when it is the first.
        from_at: i64,
        /// Where it ends, microseconds: its midnight.
        until_at: i64,
        /// Of what money.
        currency: Currency,
        /// What customers, merchants and the intermediary account had at that moment, minor units.
        owed_minor: i64,
        /// What the trust account had at that moment with all earlier sweeps, minor units.
        trust_minor: i64,
        /// The transfer that moved the difference; none when there was no difference.
        sweep: Option<Id>,
        /// How many commands were answered in it.
        transfers: i64,
        /// The hash of the closed day before; 32 zero bytes in the first.
        previous: Vec<u8>,
        /// SHA-256 over all of the above and over every command of the day: see [`crate::payment::day::Seal`].
        hash: Vec<u8>,
    }
}

record! {
    /// That a statement which was read covers a whole day.
    pub struct StatementDayRow in "statement_days" {
        key { /// Whose statement: a connector's, a provider's, or the bank's.
            connector: String,
            /// Days since 1970-01-01 in the market's zone.
            day: i32, }
        /// The statement; the last one that was read, when there are several.
        statement: Id,
        /// Who read it.
        read_by: String,
        /// When, microseconds.
        read_at: i64,
    }
}
