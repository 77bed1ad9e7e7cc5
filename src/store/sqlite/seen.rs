//! Rows as the writing connection last read or wrote them. Most batches move money among accounts that earlier batches
//! moved, and the second commit of a payment changes what the first one wrote: none of that need be read again.
//!
//! A row is good as long as nobody else wrote the file. SQLite tells that by `pragma data_version`, which is asked inside
//! the write transaction: from then on nobody else can write until it ends. Whoever writes a batch takes the rows out
//! and puts them back only after a commit that succeeded. This must never be asked for a row by another connection.

use crate::ledger::row::{AccountRow, HoldRow, Id};
use crate::payment::row::{AttemptRow, CounterKey, CounterRow, PairKey, PairRow, PaymentRow};
use crate::store::kept::Kept;
use crate::store::keys::Changes;

/// Rows kept at most of each kind (about 10 MiB of accounts); one more and all of the kind are forgotten.
const ACCOUNTS_MAX: usize = 65_536;
/// Pairs, and counters.
const LIMITS_MAX: usize = 32_768;
/// Payments under way, and their holds and attempts.
const OPEN_MAX: usize = 8_192;

/// What is known.
#[derive(Debug)]
pub(super) struct Seen {
    version: Option<i64>,
    pub(super) accounts: Kept<Id, AccountRow>,
    pub(super) holds: Kept<Id, HoldRow>,
    pub(super) payments: Kept<Id, PaymentRow>,
    pub(super) attempts: Kept<Id, AttemptRow>,
    pub(super) counters: Kept<CounterKey, CounterRow>,
    pub(super) pairs: Kept<PairKey, PairRow>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            version: None,
            accounts: Kept::new(ACCOUNTS_MAX),
            holds: Kept::new(OPEN_MAX),
            payments: Kept::new(OPEN_MAX),
            attempts: Kept::new(OPEN_MAX),
            counters: Kept::new(LIMITS_MAX),
            pairs: Kept::new(LIMITS_MAX),
        }
    }
}

impl Seen {
    /// `version` is the file's data version in this transaction: another one than last time forgets everything.
    pub(super) fn begin(&mut self, version: i64) {
        if self.version != Some(version) {
            *self = Self { version: Some(version), ..Self::default() };
        }
    }

    /// What a batch has written.
    pub(super) fn follow(&mut self, changes: &Changes) {
        self.accounts.follow_whole(&changes.accounts, |row| row.id);
        self.counters.follow_whole(&changes.counters, |row| row.key.clone());
        self.pairs.follow_whole(&changes.pairs, |row| row.key.clone());
        self.holds.follow(&changes.holds, |row| row.id);
        self.payments.follow(&changes.payments, |row| row.id);
        self.attempts.follow(&changes.attempts, |row| row.id);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ledger::chart::customer;
    use crate::money::Currency;
    use crate::store::keys::Rows;

    fn account(n: u32) -> AccountRow {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        customer(Id(id), Currency::new("CNY").unwrap(), 0)
    }

    fn ask(seen: &mut Seen, version: i64, rows: &[AccountRow]) -> (Vec<AccountRow>, Vec<Id>) {
        let mut found = Vec::new();
        seen.begin(version);
        let ids: BTreeSet<Id> = rows.iter().map(|row| row.id).collect();
        let missing = seen.accounts.look_up(&ids, &mut found).into_iter().copied().collect();
        (found, missing)
    }

    #[test]
    fn rows_are_known_until_somebody_else_wrote() {
        let (mut seen, rows) = (Seen::default(), [account(1), account(2)]);
        assert_eq!(ask(&mut seen, 7, &rows), (vec![], vec![rows[0].id, rows[1].id]));
        seen.accounts.keep(rows[0].id, rows[0].clone());
        assert_eq!(ask(&mut seen, 7, &rows), (vec![rows[0].clone()], vec![rows[1].id]));
        let written = AccountRow { balance_minor: 5, ..rows[0].clone() };
        let changed = Rows { added: vec![], changed: vec![written.clone()] };
        seen.follow(&Changes { accounts: changed, ..Changes::default() });
        assert_eq!(ask(&mut seen, 7, &rows[..1]), (vec![written], vec![]));
        assert_eq!(ask(&mut seen, 8, &rows[..1]), (vec![], vec![rows[0].id]));
        assert_eq!(ask(&mut seen, 7, &rows[..1]), (vec![], vec![rows[0].id]));
    }

    #[test]
    fn a_hold_is_known_until_it_changes() {
        let mut seen = Seen::default();
        let hold = HoldRow {
            id: Id([1; 16]),
            account: Id([2; 16]),
            amount_minor: 5,
            expires_at: None,
            state: 0,
            resolved_by: None,
        };
        seen.begin(1);
        let rows = |added: &[HoldRow], changed: &[HoldRow]| Changes {
            holds: Rows { added: added.to_vec(), changed: changed.to_vec() },
            ..Changes::default()
        };
        let known = |seen: &Seen| {
            let mut found = Vec::new();
            seen.holds.look_up(&[hold.id], &mut found);
            found
        };
        seen.follow(&rows(std::slice::from_ref(&hold), &[]));
        assert_eq!(known(&seen), std::slice::from_ref(&hold));
        seen.follow(&rows(&[], std::slice::from_ref(&hold)));
        assert_eq!(known(&seen), []);
    }

    #[test]
    fn no_more_rows_are_kept_than_the_limit() {
        let mut seen = Seen::default();
        let full = u32::try_from(ACCOUNTS_MAX).unwrap();
        let rows: Vec<AccountRow> = (0..full).map(account).collect();
        ask(&mut seen, 1, &[]);
        rows.iter().for_each(|row| seen.accounts.keep(row.id, row.clone()));
        assert_eq!(ask(&mut seen, 1, &rows).0.len(), ACCOUNTS_MAX);
        seen.accounts.keep(account(full).id, account(full));
        assert_eq!(ask(&mut seen, 1, &[account(full)]).0.len(), 1);
        assert_eq!(ask(&mut seen, 1, &rows).0.len(), 0);
    }
}
