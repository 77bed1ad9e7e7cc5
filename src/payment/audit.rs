//! The audit log: who did what, when, on what. Pure.
//!
//! Each row carries the hash of the row before it, so that a row cannot be changed, taken out or put elsewhere without
//! breaking every later one; the head row tells where the log ends, so that its end cannot be cut off unseen. A row is written
//! in the same commit as what it tells of. Only what staff do is logged here: customers' payments have a history of their own,
//! and must not wait in line for one head row.

use sha2::Digest;

use crate::ledger::row::Id;
use crate::ledger::verify::{Fault, Report};
use crate::payment::row::record::Record;
use crate::payment::row::staff::{AuditHeadRow, AuditRow, HEAD};

/// The hash before the first row.
const NOTHING: [u8; 32] = [0; 32];
/// Longest name of a person, bytes; what is longer is cut.
pub const WHO_MAX: usize = 64;
/// Longest details, bytes; what is longer is refused by whoever makes them.
pub const DETAILS_MAX: usize = 4_096;

/// What is to be logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Who.
    pub who: String,
    /// What, one word.
    pub what: &'static str,
    /// On what.
    pub subject: String,
    /// More, without secrets.
    pub details: serde_json::Value,
}

/// The row that follows `head` (none: the first), and the head after it. `at` in microseconds. `None` when the numbers of
/// rows are used up.
#[must_use]
pub fn next(head: Option<&AuditHeadRow>, entry: &Entry, at: i64) -> Option<(AuditRow, AuditHeadRow)> {
    let sequence = head.map_or(0, |h| h.sequence).checked_add(1)?;
    let mut row = AuditRow {
        sequence,
        at,
        who: cut(&entry.who, WHO_MAX).replace('\0', ""),
        what: entry.what.to_owned(),
        // No database takes a NUL into a text, and what is stored must be what was hashed.
        subject: entry.subject.replace('\0', ""),
        details: entry.details.to_string(),
        previous: head.map_or_else(|| NOTHING.to_vec(), |h| h.hash.clone()),
        hash: Vec::new(),
    };
    row.hash = hash(&row).to_vec();
    let version = head.map_or(0, |h| h.version).checked_add(1)?;
    let head = AuditHeadRow { id: HEAD, sequence, hash: row.hash.clone(), version };
    Some((row, head))
}

/// SHA-256 over the row's canonical form: its numbers as eight bytes, each text and the hash before it with their lengths.
#[must_use]
pub fn hash(row: &AuditRow) -> [u8; 32] {
    let mut hash = sha2::Sha256::new();
    hash.update(b"keytone.audit.1");
    hash.update(row.sequence.to_be_bytes());
    hash.update(row.at.to_be_bytes());
    let texts = [&row.who, &row.what, &row.subject, &row.details].map(|text| text.as_bytes());
    for part in texts.into_iter().chain([row.previous.as_slice()]) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A hash as people read it.
#[must_use]
pub fn hexadecimal(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// At most so many bytes of a text, cut between characters.
fn cut(text: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Proves the log from its rows, which are shown in the order of their numbers, the head before or after them.
#[derive(Debug, Default)]
pub struct Chain {
    last: Option<(i64, Vec<u8>)>,
    head: Option<AuditHeadRow>,
    report: Report,
}

impl Chain {
    /// Takes a row in, if it is one of the log; tells whether it was.
    pub fn see(&mut self, record: &Record) -> bool {
        if let Some(row) = record.read::<AuditRow>() {
            self.row(row);
            return true;
        }
        if let Some(head) = record.read::<AuditHeadRow>() {
            self.head = Some(head);
            return true;
        }
        false
    }

    /// How many rows there were.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.last.as_ref().map_or(0, |(sequence, _)| *sequence)
    }

    fn row(&mut self, row: AuditRow) {
        let (before, previous) = self.last.take().unwrap_or_else(|| (0, NOTHING.to_vec()));
        if row.sequence != before.saturating_add(1) {
            let what = format!("follows row {before}: what was between is missing, or it was put here");
            self.fault(row.sequence, what);
        } else if row.previous != previous {
            self.fault(row.sequence, format!("does not follow row {before} as that now stands"));
        }
        if row.hash != hash(&row) {
            self.fault(row.sequence, "was changed: its hash is another".to_owned());
        }
        self.last = Some((row.sequence, row.hash));
    }

    fn fault(&mut self, sequence: i64, what: String) {
        let mut bytes = [0_u8; 16];
        for (to, from) in bytes.iter_mut().rev().zip(sequence.to_be_bytes().iter().rev()) {
            *to = *from;
        }
        let name = Some(format!("row {sequence}"));
        self.report.note(Fault { invariant: "I12", row: "audit", id: Id(bytes), name, what });
    }

    /// Compares the end with the head, and adds every fault to `report`.
    pub fn finish(mut self, report: &mut Report) {
        match (self.head.take(), self.last.take()) {
            (None, None) => {}
            (Some(head), Some((sequence, hash))) => {
                if head.sequence != sequence {
                    let what = format!("the log ends here, its head says at row {}", head.sequence);
                    self.fault(sequence, what);
                } else if head.hash != hash {
                    self.fault(sequence, "is not the row that the head names".to_owned());
                }
            }
            (Some(head), None) => {
                self.fault(head.sequence, "the head names it, and the log is empty".to_owned())
            }
            (None, Some((sequence, _))) => self.fault(sequence, "the log has no head".to_owned()),
        }
        report.join(self.report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::row::record::Recorded;
    use proptest::prelude::*;

    fn log(rows: usize) -> (Vec<AuditRow>, AuditHeadRow) {
        let mut head = None;
        let mut log = Vec::new();
        for n in 0..rows {
            let entry = Entry {
                who: "ana".to_owned(),
                what: "refund",
                subject: format!("payment {n}"),
                details: serde_json::json!({ "n": n }),
            };
            let (row, after) = next(head.as_ref(), &entry, 1_000 + n as i64).unwrap();
            log.push(row);
            head = Some(after);
        }
        (log, head.unwrap())
    }

    fn faults(rows: &[AuditRow], head: Option<&AuditHeadRow>) -> Vec<String> {
        let mut chain = Chain::default();
        for row in rows {
            assert!(chain.see(&row.record()));
        }
        if let Some(head) = head {
            assert!(chain.see(&head.record()));
        }
        let mut report = Report::default();
        chain.finish(&mut report);
        report.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_log_is_sound_and_its_hashes_never_change() {
        let (rows, head) = log(3);
        assert_eq!(faults(&rows, Some(&head)), Vec::<String>::new());
        assert_eq!(faults(&[], None), Vec::<String>::new());
        assert_eq!((head.sequence, head.version), (3, 3));
        // Written into databases: must never change.
        assert_eq!(hexadecimal(&log(1).1.hash), FIRST);
    }

    const FIRST: &str = "8288dbbee6d1ea006e97581db5d2b0e18a5de7726b56a9a63333834f65eb4a00";

    #[test]
    fn what_was_done_to_a_log_is_named() {
        let (rows, head) = log(4);
        let mut changed = rows.clone();
        changed[1].who = "eve".to_owned();
        assert!(faults(&changed, Some(&head))[0].contains("row 2: was changed"));
        // Whoever makes the hash anew breaks the next row.
        changed[1].hash = hash(&changed[1]).to_vec();
        assert!(faults(&changed, Some(&head))[0].contains("row 3: does not follow row 2"));
        let mut missing = rows.clone();
        missing.remove(1);
        assert!(faults(&missing, Some(&head))[0].contains("row 3: follows row 1"));
        let mut swapped = rows.clone();
        let (a, b) = (rows[1].clone(), rows[2].clone());
        (swapped[1], swapped[2]) = (AuditRow { sequence: 2, ..b }, AuditRow { sequence: 3, ..a });
        assert!(faults(&swapped, Some(&head))[0].contains("row 2"));
        assert!(faults(&rows[..3], Some(&head))[0].contains("its head says at row 4"));
        assert!(faults(&rows, None)[0].contains("no head"));
        assert!(faults(&[], Some(&head))[0].contains("the log is empty"));
        let other = AuditHeadRow { hash: vec![1; 32], ..head };
        assert!(faults(&rows, Some(&other))[0].contains("not the row that the head names"));
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("", 3), "");
    }

    proptest! {
        #[test]
        fn any_change_of_any_row_is_seen(at in 0_usize..6, field in 0_usize..6, byte in any::<u8>()) {
            let (mut rows, head) = log(6);
            let row = &mut rows[at];
            let before = row.clone();
            match field {
                0 => row.at = i64::from(byte),
                1 => row.who.push(char::from(byte)),
                2 => row.what.push(char::from(byte)),
                3 => row.subject.push(char::from(byte)),
                4 => row.details.push(char::from(byte)),
                _ => row.previous[usize::from(byte) % 32] ^= 1,
            }
            prop_assume!(*row != before);
            prop_assert!(!faults(&rows, Some(&head)).is_empty());
            // Nor does moving a text's end into the next one go unseen.
            rows[at] = AuditRow { who: format!("{}r", before.who), what: "efund".to_owned(), ..before };
            prop_assert!(!faults(&rows, Some(&head)).is_empty());
        }
    }
}
