//! What staff must be told of, when, and how often. Pure: a stored row and a reading give the next row and what to say.
//!
//! ```text
//!           bad                bad for so long
//!  clear ─────────► pending ─────────────────► raised ⟲ said again at times
//!    ▲                 │ not bad any more         │ well again, by a margin
//!    └─────────────────┴──────────────────────────┘
//! ```
//! What is raised at one bound clears only at another, so that a figure that swings about one bound is told once. The rows are
//! stored, so that a restart neither forgets nor repeats.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::alarm::{AlarmRow, NoticeRow};
use crate::payment::webhook;
use crate::secret::Secret;

/// Most characters of a text message about an alarm.
pub const TEXT_MAX: usize = 155;
/// Most telephones of staff.
pub const NUMBERS_MAX: usize = 16;

/// What is watched.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Our money with a carrier runs out; by connector, badness is what is left with its sign turned.
    FloatLow,
    /// Nobody knows what became of a payment, or of its money at an account provider; badness is its age.
    OldUnknown,
    /// A charge or an order is disputed; badness is the age of the oldest.
    OldDispute,
    /// A bind to a network is down; by bind.
    BindDown,
    /// A carrier's circuit breaker is open; by connector.
    BreakerOpen,
    /// An invariant of the books does not hold; badness counts faults.
    Imbalance,
    /// The trust account does not cover what is owed: by the proof of closed days, or now; badness is what is missing.
    Trust,
    /// Days have ended and are not closed; badness counts them.
    DayOpen,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::FloatLow,
        Self::OldUnknown,
        Self::OldDispute,
        Self::BindDown,
        Self::BreakerOpen,
        Self::Imbalance,
        Self::Trust,
        Self::DayOpen,
    ];

    /// Its name, as everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FloatLow => "float_low",
            Self::OldUnknown => "old_unknown",
            Self::OldDispute => "old_dispute",
            Self::BindDown => "bind_down",
            Self::BreakerOpen => "breaker_open",
            Self::Imbalance => "imbalance",
            Self::Trust => "trust",
            Self::DayOpen => "day_open",
        }
    }
}

/// Where an alarm stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum Standing {
    /// All is well.
    Clear = 0,
    /// It is bad, and not for long enough yet.
    Pending = 1,
    /// Staff were told.
    Raised = 2,
}

impl Standing {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The name of a stored number.
    #[must_use]
    pub const fn name_of(number: i16) -> &'static str {
        match number {
            0 => "clear",
            1 => "pending",
            _ => "raised",
        }
    }
}

/// When it is bad, and when well again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Bad from this badness on.
    pub raise: i64,
    /// Well at this badness or below; below `raise`.
    pub clear: i64,
    /// It must be bad for so long, microseconds.
    pub after_us: i64,
}

impl Bounds {
    /// Of something that is either so or not: badness 1 or 0.
    #[must_use]
    pub fn so_for(after: Duration) -> Self {
        Self { raise: 1, clear: 0, after_us: micros(after) }
    }

    /// Of an age, microseconds: well again a fifth below.
    #[must_use]
    pub fn older_than(age: Duration) -> Self {
        let raise = micros(age).max(1);
        Self { raise, clear: raise.saturating_sub(raise / 5).saturating_sub(1), after_us: 0 }
    }

    /// Of money that should not fall to `least_minor`; its badness is the money with its sign turned. Well again a tenth above.
    #[must_use]
    pub const fn least(least_minor: i64) -> Self {
        let margin = least_minor.saturating_abs() / 10;
        let clear = least_minor.saturating_add(margin).saturating_add(1).saturating_neg();
        Self { raise: least_minor.saturating_neg(), clear, after_us: 0 }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// How something stands now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading {
    /// What.
    pub kind: Kind,
    /// Which; empty where there is only one.
    pub subject: String,
    /// How bad, in the kind's unit.
    pub badness: i64,
    /// What that means.
    pub bounds: Bounds,
    /// In words, without secrets and whole numbers of customers.
    pub detail: String,
}

impl Reading {
    /// Of something that was watched and is not there any more.
    #[must_use]
    pub fn gone(kind: Kind, subject: &str) -> Self {
        let bounds = Bounds { raise: 1, clear: 0, after_us: 0 };
        Self { kind, subject: subject.to_owned(), badness: i64::MIN, bounds, detail: "over".to_owned() }
    }
}

/// What staff are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    /// It went wrong.
    Raised,
    /// It still is.
    Repeated,
    /// It is well again.
    Cleared,
}

impl Said {
    /// Its name, as in notices.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Repeated => "repeated",
            Self::Cleared => "cleared",
        }
    }
}

/// What is watched, by which bounds, and who is told. Made by `config`.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Time between two looks.
    pub every: Duration,
    /// What is raised is said again after this.
    pub repeat: Duration,
    /// Where notices go.
    pub webhook: Option<String>,
    /// What signs them.
    pub key: Option<Secret>,
    /// Whom to send texts.
    pub numbers: Vec<Msisdn>,
    /// The least of our money with every connector, minor units.
    pub float_least_minor: Option<i64>,
    /// The same with single connectors.
    pub floats: BTreeMap<String, i64>,
    /// The age of an unknown outcome.
    pub unknown_age: Duration,
    /// The age of a dispute.
    pub dispute_age: Duration,
    /// How long a bind may be down.
    pub bind_down: Duration,
    /// How long a breaker may be open.
    pub breaker_open: Duration,
    /// What may be missing on the trust account during a day, minor units; not looked at without it.
    pub trust_short_minor: Option<i64>,
    /// Days that may have ended without a close.
    pub days_open: i64,
    /// Time between two proofs of the books; none are made without it.
    pub verify_every: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self {
            every: Duration::from_secs(60),
            repeat: hours(4),
            webhook: None,
            key: None,
            numbers: Vec::new(),
            float_least_minor: None,
            floats: BTreeMap::new(),
            unknown_age: hours(1),
            dispute_age: hours(24),
            bind_down: Duration::from_secs(120),
            breaker_open: Duration::from_secs(120),
            trust_short_minor: None,
            days_open: 2,
            verify_every: None,
        }
    }
}

/// The row after a reading at `now` (microseconds), and what staff are told; `None` when nothing is to be written.
#[must_use]
pub fn judge(
    row: Option<&AlarmRow>,
    reading: &Reading,
    repeat: Duration,
    now: i64,
) -> Option<(AlarmRow, Option<Said>)> {
    let bounds = reading.bounds;
    let bad = reading.badness >= bounds.raise;
    let state = row.map_or(Standing::Clear.number(), |row| row.state);
    let next = |state: Standing, since: i64, said: Option<Said>| {
        let told = row.map_or((0, 0), |row| (row.told_at, row.times));
        let (told_at, times) = match said {
            Some(Said::Raised) => (now, 1),
            Some(Said::Repeated) => (now, told.1.saturating_add(1)),
            Some(Said::Cleared) | None => told,
        };
        let row = AlarmRow {
            kind: reading.kind.name().to_owned(),
            subject: reading.subject.clone(),
            state: state.number(),
            badness: reading.badness,
            detail: reading.detail.clone(),
            since,
            told_at,
            times,
            version: row.map_or(0, |row| row.version).saturating_add(1),
        };
        Some((row, said))
    };
    let since = row.map_or(now, |row| row.since);
    if state == Standing::Raised.number() {
        let again = now.saturating_sub(row.map_or(now, |row| row.told_at)) >= micros(repeat);
        return match (reading.badness <= bounds.clear, again) {
            (true, _) => next(Standing::Clear, now, Some(Said::Cleared)),
            (false, true) => next(Standing::Raised, since, Some(Said::Repeated)),
            (false, false) => None,
        };
    }
    let pending = state == Standing::Pending.number();
    match (bad, pending) {
        (true, true) if now.saturating_sub(since) >= bounds.after_us => {
            next(Standing::Raised, since, Some(Said::Raised))
        }
        (true, false) if bounds.after_us <= 0 => next(Standing::Raised, now, Some(Said::Raised)),
        (true, false) => next(Standing::Pending, now, None),
        (false, true) => next(Standing::Clear, now, None),
        (true, true) | (false, false) => None,
    }
}

/// The notice of what is said, due at once.
#[must_use]
pub fn notice(id: Id, row: &AlarmRow, said: Said, now: i64) -> NoticeRow {
    let body = serde_json::json!({
        "type": format!("alarm.{}", said.name()),
        "timestamp": Timestamp(now).to_rfc3339(),
        "data": {
            "kind": row.kind,
            "subject": row.subject,
            "detail": row.detail,
            "since": Timestamp(row.since).to_rfc3339(),
            "times": row.times,
        },
    });
    NoticeRow {
        id,
        kind: row.kind.clone(),
        subject: row.subject.clone(),
        said: said.name().to_owned(),
        body: body.to_string(),
        state: webhook::State::Waiting.number(),
        tries: 0,
        due_at: Some(now),
        status: None,
        outcome: String::new(),
        created_at: now,
        version: 1,
    }
}

/// The text message of what is said.
#[must_use]
pub fn text(row: &AlarmRow, said: Said) -> String {
    let word = match said {
        Said::Raised => "ALARM",
        Said::Repeated => "STILL",
        Said::Cleared => "OVER",
    };
    let subject = if row.subject.is_empty() { String::new() } else { format!(" {}", row.subject) };
    let text = format!("Keytone {word} {}{subject}: {}", row.kind, row.detail);
    text.chars().take(TEXT_MAX).collect()
}

/// An attempt begins: should this process end in the middle, another is due later. `None` when none is due.
#[must_use]
pub fn begin(row: &NoticeRow, now: i64) -> Option<NoticeRow> {
    let due = row.due_at.is_some_and(|due| due <= now);
    let patience = micros(webhook::ANSWER_WITHIN).saturating_mul(2);
    due.then(|| NoticeRow {
        state: webhook::State::Sending.number(),
        tries: row.tries.saturating_add(1),
        due_at: Some(now.saturating_add(patience)),
        version: row.version.saturating_add(1),
        ..row.clone()
    })
}

/// An attempt ended with this status or for this reason.
#[must_use]
pub fn end(row: &NoticeRow, now: i64, status: Option<i32>, outcome: &str) -> NoticeRow {
    let tried = usize::try_from(row.tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let (state, due_at) = match webhook::SCHEDULE.get(tried) {
        _ if status.is_some_and(|status| (200..300).contains(&status)) => (webhook::State::Delivered, None),
        Some(wait) => (webhook::State::Waiting, Some(now.saturating_add(*wait))),
        None => (webhook::State::Failed, None),
    };
    NoticeRow {
        state: state.number(),
        due_at,
        status,
        outcome: outcome.to_owned(),
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPEAT: Duration = Duration::from_micros(100);

    fn reading(badness: i64, after_us: i64) -> Reading {
        Reading {
            kind: Kind::FloatLow,
            subject: "acme".to_owned(),
            badness,
            bounds: Bounds { raise: 10, clear: 5, after_us },
            detail: format!("{badness}"),
        }
    }

    /// What is said at each of (time, badness), and where it stands in the end.
    fn story(steps: &[(i64, i64)], after_us: i64) -> (Vec<(i64, Said)>, Option<AlarmRow>) {
        let (mut row, mut said) = (None, Vec::new());
        for (now, badness) in steps {
            if let Some((next, word)) = judge(row.as_ref(), &reading(*badness, after_us), REPEAT, *now) {
                said.extend(word.map(|word| (*now, word)));
                row = Some(next);
            }
        }
        (said, row)
    }

    #[test]
    fn it_is_told_once_repeated_and_cleared_by_a_margin() {
        let steps =
            [(0, 9), (1, 10), (2, 50), (3, 9), (4, 6), (5, 11), (100, 9), (101, 12), (202, 5), (203, 5)];
        let (said, row) = story(&steps, 0);
        assert_eq!(said, [(1, Said::Raised), (101, Said::Repeated), (202, Said::Cleared)]);
        let row = row.unwrap();
        assert_eq!((row.state, row.times, row.since), (0, 2, 202));
        assert_eq!(story(&[(0, 9), (1, 5)], 0), (vec![], None), "nothing is written while all is well");
    }

    #[test]
    fn what_is_bad_for_a_moment_is_not_told() {
        let (said, row) = story(&[(0, 10), (5, 11), (9, 9), (10, 10), (19, 10)], 10);
        assert_eq!((said, row.unwrap().state), (vec![], Standing::Pending.number()));
        let (said, row) = story(&[(0, 10), (5, 11), (10, 10), (12, 5)], 10);
        assert_eq!(said, [(10, Said::Raised), (12, Said::Cleared)]);
        assert_eq!(row.unwrap().version, 3);
    }

    #[test]
    fn bounds_leave_room_between_them() {
        let float = Bounds::least(1_000);
        // 1,000 left is bad, 1,050 is neither, 1,101 is well.
        assert_eq!((float.raise, float.clear), (-1_000, -1_101));
        let age = Bounds::older_than(Duration::from_micros(100));
        assert_eq!((age.raise, age.clear), (100, 79));
        for bounds in
            [float, age, Bounds::so_for(REPEAT), Bounds::least(0), Bounds::older_than(Duration::ZERO)]
        {
            assert!(bounds.clear < bounds.raise, "{bounds:?}");
        }
        let gone = Reading::gone(Kind::BindDown, "a");
        assert!(gone.badness <= gone.bounds.clear);
    }

    #[test]
    fn a_notice_is_tried_by_the_schedule_and_then_given_up() {
        let (_, row) = story(&[(0, 10)], 0);
        let row = row.unwrap();
        assert_eq!(text(&row, Said::Raised), "Keytone ALARM float_low acme: 10");
        let mut notice = notice(Id([1; 16]), &row, Said::Raised, 0);
        assert!(notice.body.contains("alarm.raised"), "{}", notice.body);
        let mut now = 0;
        let mut tries = 0;
        while let Some(due) = notice.due_at {
            assert_eq!(begin(&notice, due - 1), None);
            now = due.max(now);
            let begun = begin(&notice, now).unwrap();
            assert!(begun.due_at.unwrap() > now + micros(webhook::ANSWER_WITHIN), "a crash sends it again");
            notice = end(&begun, now, Some(503), "refused");
            tries += 1;
        }
        assert_eq!(tries, webhook::SCHEDULE.len() + 1);
        assert_eq!(notice.state, webhook::State::Failed.number());
        let begun = begin(&NoticeRow { due_at: Some(0), ..notice }, 1).unwrap();
        assert_eq!(end(&begun, 1, Some(204), "delivered").state, webhook::State::Delivered.number());
    }

    proptest! {
        #[test]
        fn raised_and_cleared_take_turns(
            steps in proptest::collection::vec((1_i64..40, 0_i64..20), 0..60),
            after_us in 0_i64..30,
        ) {
            let mut now = 0;
            let steps: Vec<_> = steps.into_iter().map(|(wait, badness)| { now += wait; (now, badness) }).collect();
            let (said, _) = story(&steps, after_us);
            let (mut up, mut told) = (false, 0);
            for (at, word) in said {
                match word {
                    Said::Raised => prop_assert!(!up),
                    Said::Repeated => prop_assert!(up && at - told >= 100),
                    Said::Cleared => prop_assert!(up),
                }
                up = word != Said::Cleared;
                told = at;
            }
        }
    }
}
