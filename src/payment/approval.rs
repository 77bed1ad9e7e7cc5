//! Two persons: what staff ask for above a limit waits until another person approves it. Pure.
//!
//! ```text
//!  asked ─┬─(at or below the limit)──────────► done
//!         └─► proposed ─┬─(another person)───► done, or failed when the books refuse it
//!                       ├─(anybody)──────────► rejected
//!                       └─(its time passes)──► expired
//! ```
//!
//! Whoever acts writes the row's next version together with the money, in one commit: so a request is done once, whoever
//! approves it at the same moment and however often.

use crate::payment::row::staff::ProposalRow;

/// Where a request stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Stage {
    /// It waits for a second person.
    Proposed = 0,
    /// It was done.
    Done = 1,
    /// Somebody said no.
    Rejected = 2,
    /// Nobody approved it in time.
    Expired = 3,
    /// The books refused it.
    Failed = 4,
}

impl Stage {
    /// Every stage.
    pub const ALL: &[Self] = &[Self::Proposed, Self::Done, Self::Rejected, Self::Expired, Self::Failed];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The stage of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.number() == number)
    }

    /// Its name, as everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

/// What somebody wants to do with a proposal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// Let it be done.
    Approve,
    /// Not, for this reason.
    Reject(&'a str),
}

/// Why not.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Whoever asked cannot approve.
    #[error("{0} asked for it: another person must approve it")]
    SamePerson(String),
    /// It is decided already.
    #[error("it is {} already", .0.name())]
    Decided(Stage),
    /// Its time has passed.
    #[error("its time has passed: ask anew")]
    Expired,
    /// No name was given.
    #[error("say who acts")]
    Nobody,
    /// A rejection needs a reason.
    #[error("say why")]
    NoReason,
}

/// The stage as it is at `now`: what was proposed is expired when its time has passed, whoever has noticed.
#[must_use]
pub fn stage(row: &ProposalRow, now: i64) -> Stage {
    match Stage::from_number(row.state) {
        Some(Stage::Proposed) if now >= row.expires_at => Stage::Expired,
        Some(stage) => stage,
        // The table holds no other number; what cannot be read cannot be approved.
        None => Stage::Failed,
    }
}

/// The row after `who` decides at `now` (microseconds).
///
/// # Errors
/// [`Refusal`]; nothing is to be written then, but for [`Refusal::Expired`], after which [`expire`] may be.
pub fn decide(
    row: &ProposalRow,
    who: &str,
    decision: Decision<'_>,
    now: i64,
) -> Result<ProposalRow, Refusal> {
    let who = who.trim();
    if who.is_empty() {
        return Err(Refusal::Nobody);
    }
    match stage(row, now) {
        Stage::Proposed => {}
        Stage::Expired if row.state == Stage::Proposed.number() => return Err(Refusal::Expired),
        other => return Err(Refusal::Decided(other)),
    }
    let (stage, note) = match decision {
        Decision::Approve if same(who, &row.asked_by) => {
            return Err(Refusal::SamePerson(row.asked_by.clone()));
        }
        Decision::Approve => (Stage::Done, String::new()),
        Decision::Reject(why) if why.trim().is_empty() => return Err(Refusal::NoReason),
        Decision::Reject(why) => (Stage::Rejected, why.trim().to_owned()),
    };
    Ok(ended(row, stage, Some(who.to_owned()), note, now))
}

/// The row once its time has passed; `None` when it has not, or it is decided.
#[must_use]
pub fn expire(row: &ProposalRow, now: i64) -> Option<ProposalRow> {
    let waits = row.state == Stage::Proposed.number();
    (waits && now >= row.expires_at).then(|| ended(row, Stage::Expired, None, String::new(), now))
}

/// The row after the books refused what it asks for.
#[must_use]
pub fn fail(row: &ProposalRow, who: Option<&str>, why: String, now: i64) -> ProposalRow {
    ended(row, Stage::Failed, who.map(str::to_owned), why, now)
}

fn ended(row: &ProposalRow, stage: Stage, who: Option<String>, note: String, now: i64) -> ProposalRow {
    ProposalRow {
        state: stage.number(),
        decided_by: who,
        decided_at: Some(now),
        note,
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

/// One person by whatever case the name is typed in.
fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::row::Id;
    use proptest::prelude::*;

    fn row(state: Stage) -> ProposalRow {
        ProposalRow {
            id: Id([1; 16]),
            act: "{}".to_owned(),
            subject: "p".to_owned(),
            amount_minor: 5,
            reason: "goodwill".to_owned(),
            evidence: String::new(),
            state: state.number(),
            asked_by: "Ana".to_owned(),
            asked_at: 10,
            expires_at: 100,
            decided_by: None,
            decided_at: None,
            note: String::new(),
            version: 3,
        }
    }

    #[test]
    fn another_person_approves_in_time_and_once() {
        let done = decide(&row(Stage::Proposed), " bo ", Decision::Approve, 99).unwrap();
        assert_eq!((done.state, done.version, done.decided_at), (Stage::Done.number(), 4, Some(99)));
        assert_eq!(done.decided_by.as_deref(), Some("bo"));
        assert_eq!(decide(&done, "cy", Decision::Approve, 99), Err(Refusal::Decided(Stage::Done)));
        for me in ["Ana", "ana", " ANA "] {
            let said = decide(&row(Stage::Proposed), me, Decision::Approve, 99);
            assert_eq!(said, Err(Refusal::SamePerson("Ana".to_owned())));
        }
        assert_eq!(decide(&row(Stage::Proposed), " ", Decision::Approve, 99), Err(Refusal::Nobody));
        assert_eq!(decide(&row(Stage::Proposed), "bo", Decision::Approve, 100), Err(Refusal::Expired));
    }

    #[test]
    fn anybody_rejects_with_a_reason() {
        let said = decide(&row(Stage::Proposed), "Ana", Decision::Reject("typed wrong"), 20).unwrap();
        assert_eq!((said.state, said.note.as_str()), (Stage::Rejected.number(), "typed wrong"));
        let no = decide(&row(Stage::Proposed), "Ana", Decision::Reject(" "), 20);
        assert_eq!(no, Err(Refusal::NoReason));
    }

    #[test]
    fn time_passes_for_what_waits_only() {
        assert_eq!(expire(&row(Stage::Proposed), 99), None);
        assert_eq!(expire(&row(Stage::Proposed), 100).unwrap().state, Stage::Expired.number());
        assert_eq!(expire(&row(Stage::Done), 100), None);
        assert_eq!(stage(&row(Stage::Proposed), 100), Stage::Expired);
        assert_eq!(stage(&row(Stage::Done), 100), Stage::Done);
        for stage in Stage::ALL {
            assert_eq!(Stage::from_number(stage.number()), Some(*stage));
        }
    }

    proptest! {
        #[test]
        fn what_is_decided_stays_so(steps in proptest::collection::vec((0_u8..4, 0_i64..200), 1..20)) {
            let mut row = row(Stage::Proposed);
            let mut ended = None;
            for (step, now) in steps {
                let after = match step {
                    0 => decide(&row, "bo", Decision::Approve, now).ok(),
                    1 => decide(&row, "Ana", Decision::Approve, now).ok(),
                    2 => decide(&row, "Ana", Decision::Reject("no"), now).ok(),
                    _ => expire(&row, now),
                };
                if let Some(after) = after {
                    prop_assert_eq!(ended, None, "decided twice");
                    prop_assert_eq!(after.version, row.version + 1);
                    let by_asker = after.decided_by.as_deref() == Some("Ana");
                    prop_assert!(!(by_asker && after.state == Stage::Done.number()));
                    ended = Some(after.state);
                    row = after;
                }
            }
        }
    }
}
