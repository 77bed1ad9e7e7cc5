//! Account rows as the writing connection last read or wrote them: most batches move money among accounts that earlier
//! batches moved, and need not read them again.
//!
//! A row is good as long as nobody else wrote the file. SQLite tells that by `pragma data_version`, which is asked inside
//! the write transaction: from then on nobody else can write until it ends. Whoever writes a batch takes the rows out
//! and puts them back only after a commit that succeeded. This must never be asked for a row by another connection.

use std::collections::{BTreeSet, HashMap};

use crate::ledger::row::{AccountRow, Id};

/// Rows kept at most (about 10 MiB); one more and all are forgotten.
const ROWS_MAX: usize = 65_536;

/// What is known of the accounts.
#[derive(Debug, Default)]
pub(super) struct Seen {
    version: Option<i64>,
    rows: HashMap<Id, AccountRow>,
}

impl Seen {
    /// Copies the rows that are known to `found` and names the others. `version` is the file's data version in this
    /// transaction: another one than last time forgets everything.
    pub(super) fn look_up(
        &mut self,
        version: i64,
        accounts: &BTreeSet<Id>,
        found: &mut Vec<AccountRow>,
    ) -> Vec<Id> {
        if self.version.replace(version) != Some(version) {
            self.rows.clear();
        }
        let mut missing = Vec::new();
        for id in accounts {
            match self.rows.get(id) {
                Some(row) => found.push(row.clone()),
                None => missing.push(*id),
            }
        }
        missing
    }

    /// Remembers rows as they stand in the file.
    pub(super) fn keep(&mut self, rows: &[AccountRow]) {
        for row in rows {
            if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&row.id) {
                self.rows.clear();
            }
            self.rows.insert(row.id, row.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::chart::customer;
    use crate::money::Currency;

    fn account(n: u32) -> AccountRow {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        customer(Id(id), Currency::new("CNY").unwrap(), 0)
    }

    fn ask(seen: &mut Seen, version: i64, rows: &[AccountRow]) -> (Vec<AccountRow>, Vec<Id>) {
        let mut found = Vec::new();
        let missing = seen.look_up(version, &rows.iter().map(|row| row.id).collect(), &mut found);
        (found, missing)
    }

    #[test]
    fn rows_are_known_until_somebody_else_wrote() {
        let (mut seen, rows) = (Seen::default(), [account(1), account(2)]);
        assert_eq!(ask(&mut seen, 7, &rows), (vec![], vec![rows[0].id, rows[1].id]));
        seen.keep(&rows[..1]);
        assert_eq!(ask(&mut seen, 7, &rows), (vec![rows[0].clone()], vec![rows[1].id]));
        let written = AccountRow { balance_minor: 5, ..rows[0].clone() };
        seen.keep(std::slice::from_ref(&written));
        assert_eq!(ask(&mut seen, 7, &rows[..1]), (vec![written], vec![]));
        assert_eq!(ask(&mut seen, 8, &rows[..1]), (vec![], vec![rows[0].id]));
        assert_eq!(ask(&mut seen, 7, &rows[..1]), (vec![], vec![rows[0].id]));
    }

    #[test]
    fn no_more_rows_are_kept_than_the_limit() {
        let mut seen = Seen::default();
        let full = u32::try_from(ROWS_MAX).unwrap();
        let rows: Vec<AccountRow> = (0..full).map(account).collect();
        ask(&mut seen, 1, &[]);
        seen.keep(&rows);
        assert_eq!(ask(&mut seen, 1, &rows).0.len(), ROWS_MAX);
        seen.keep(&[account(full)]);
        assert_eq!(ask(&mut seen, 1, &[account(full)]).0.len(), 1);
        assert_eq!(ask(&mut seen, 1, &rows).0.len(), 0);
    }
}
