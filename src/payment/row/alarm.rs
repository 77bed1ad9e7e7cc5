//! The rows of alarms: where each stands, and what staff are told of it. Plain values, no rules.

use crate::payment::row::Id;
use crate::payment::row::record::record;

record! {
    /// One thing that is watched, from the first time that it went wrong.
    pub struct AlarmRow in "alarms" {
        key { /// See [`crate::payment::alarm::Kind`].
            kind: String,
            /// Which: a connector, a bind; empty where there is only one.
            subject: String, }
        /// See [`crate::payment::alarm::Standing`].
        state: i16,
        /// How bad it was when the row was written, in the kind's own unit.
        badness: i64,
        /// The same in words.
        detail: String,
        /// Since when it stands so, microseconds.
        since: i64,
        /// When staff were told last, microseconds; 0 when never.
        told_at: i64,
        /// How often they were told since it was raised.
        times: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// What is sent to the webhook about an alarm.
    pub struct NoticeRow in "alarm_notices" {
        key { /// Its id, the same over all attempts.
            id: Id, }
        /// Of which kind of alarm.
        kind: String,
        /// Of which.
        subject: String,
        /// `raised`, `repeated` or `cleared`.
        said: String,
        /// The body, JSON.
        body: String,
        /// See [`crate::payment::webhook::State`].
        state: i16,
        /// Attempts so far.
        tries: i32,
        /// When the next one is due, microseconds; none at the end.
        due_at: Option<i64>,
        /// What the receiver answered last.
        status: Option<i32>,
        /// What came of the last attempt, in words.
        outcome: String,
        /// Microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}
