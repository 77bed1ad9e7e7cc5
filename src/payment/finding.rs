//! What did not agree in a statement, until somebody has settled it. Pure.
//!
//! ```text
//!  open ─┬─(what was asked for it is done)───────────────► settled
//!        ├─(the same statement, read again, agrees)──────► agreed
//!        └─(two persons say that nothing is to be done)──► dismissed
//! ```
//! A finding that is over opens again only when a later reading of its statement finds something else there.

use crate::ledger::row::Id;
use crate::payment::row::day::FindingRow;
use crate::payment::statement::{Finding, Ours};

/// The class of a line that cannot be read.
pub const UNREADABLE: &str = "unreadable";

/// Where a finding stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Standing {
    /// Somebody must look: no day is closed while there are such.
    Open = 0,
    /// What was asked for it was done.
    Settled = 1,
    /// A later reading found nothing wrong.
    Agreed = 2,
    /// Two persons decided that nothing is to be done.
    Dismissed = 3,
}

impl Standing {
    /// Every standing.
    pub const ALL: &[Self] = &[Self::Open, Self::Settled, Self::Agreed, Self::Dismissed];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The standing of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.number() == number)
    }

    /// Its name, as everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Agreed => "agreed",
            Self::Dismissed => "dismissed",
        }
    }
}

/// Whether somebody must look.
#[must_use]
pub const fn is_open(row: &FindingRow) -> bool {
    row.state == Standing::Open.number()
}

/// The statement that was read, of whom, and when (microseconds).
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// Its id.
    pub statement: Id,
    /// Whose.
    pub connector: &'a str,
    /// When.
    pub at: i64,
}

impl Read<'_> {
    /// The row of a finding, as it is found; `request` is the id of what is asked for it.
    #[must_use]
    pub fn row(&self, finding: &Finding, ours: Option<&Ours>, request: Option<Id>) -> FindingRow {
        let ours_place = || ours.map_or_else(String::new, |ours| format!("payment {}", ours.payment));
        FindingRow {
            statement: self.statement,
            place: finding.line.map_or_else(ours_place, |line| format!("line {line}")),
            class: finding.class.name().to_owned(),
            connector: self.connector.to_owned(),
            payment: ours.map(|ours| ours.payment),
            theirs_minor: finding.theirs.map(|(_, minor)| minor),
            ours_minor: ours.map(|ours| ours.amount_minor),
            detail: ours.map_or_else(String::new, |ours| ours.reference.clone()),
            request,
            state: Standing::Open.number(),
            found_at: self.at,
            settled_at: None,
            version: 1,
        }
    }

    /// The row of a line that cannot be read.
    #[must_use]
    pub fn unreadable(&self, line: i64, why: &str) -> FindingRow {
        FindingRow {
            statement: self.statement,
            place: format!("line {line}"),
            class: UNREADABLE.to_owned(),
            connector: self.connector.to_owned(),
            payment: None,
            theirs_minor: None,
            ours_minor: None,
            detail: why.chars().filter(|c| *c != '\0').take(200).collect(),
            request: None,
            state: Standing::Open.number(),
            found_at: self.at,
            settled_at: None,
            version: 1,
        }
    }
}

/// What to write when a statement is read and `found` is in it where `before` was; `None` when that stays as it is.
#[must_use]
pub fn merge(before: Option<&FindingRow>, found: FindingRow) -> Option<FindingRow> {
    let Some(before) = before else { return Some(found) };
    let same = (&before.class, before.payment, before.theirs_minor, before.ours_minor, before.request)
        == (&found.class, found.payment, found.theirs_minor, found.ours_minor, found.request);
    if same {
        return None;
    }
    let found_at = if is_open(before) { before.found_at } else { found.found_at };
    Some(FindingRow { found_at, version: before.version.saturating_add(1), ..found })
}

/// The row after it is over at `now` (microseconds); `None` when it was before.
#[must_use]
pub fn over(row: &FindingRow, standing: Standing, now: i64) -> Option<FindingRow> {
    is_open(row).then(|| FindingRow {
        state: standing.number(),
        settled_at: Some(now),
        version: row.version.saturating_add(1),
        ..row.clone()
    })
}

/// How much money it is about, minor units: the difference, or all that only one side has.
#[must_use]
pub fn differs_minor(row: &FindingRow) -> i64 {
    let (theirs, ours) = (row.theirs_minor.unwrap_or(0), row.ours_minor.unwrap_or(0));
    match theirs.saturating_sub(ours).saturating_abs() {
        // The amounts agree and the outcomes do not.
        0 => ours.saturating_abs(),
        minor => minor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::statement::{Class, Status};

    const READ: Read<'static> = Read { statement: Id([1; 16]), connector: "acme", at: 10 };

    fn found(theirs_minor: i64) -> FindingRow {
        let theirs = Some((Status::Delivered, theirs_minor));
        READ.row(&Finding { class: Class::TheirsOnly, line: Some(7), ours: None, theirs }, None, None)
    }

    #[test]
    fn a_finding_is_written_once_and_opens_again_only_for_something_else() {
        let first = merge(None, found(5)).unwrap();
        assert_eq!((first.place.as_str(), first.version, is_open(&first)), ("line 7", 1, true));
        assert_eq!(merge(Some(&first), found(5)), None);
        let over = over(&first, Standing::Dismissed, 20).unwrap();
        assert_eq!((over.version, over.settled_at), (2, Some(20)));
        assert_eq!(super::over(&over, Standing::Agreed, 30), None, "once");
        assert_eq!(merge(Some(&over), found(5)), None, "what two persons decided stays");
        let again = merge(Some(&over), FindingRow { found_at: 40, ..found(6) }).unwrap();
        assert_eq!((is_open(&again), again.version, again.found_at), (true, 3, 40));
        let changed = merge(Some(&first), FindingRow { found_at: 40, ..found(6) }).unwrap();
        assert_eq!((changed.found_at, changed.version), (10, 2), "it is as old as it was");
    }

    #[test]
    fn a_finding_is_about_the_difference_or_the_whole() {
        assert_eq!(differs_minor(&found(500)), 500);
        assert_eq!(differs_minor(&FindingRow { ours_minor: Some(480), ..found(500) }), 20);
        assert_eq!(differs_minor(&FindingRow { ours_minor: Some(500), ..found(500) }), 500);
        assert_eq!(READ.unreadable(3, "the amount \"x\"").place, "line 3");
        for standing in Standing::ALL {
            assert_eq!(Standing::from_number(standing.number()), Some(*standing));
        }
    }
}
