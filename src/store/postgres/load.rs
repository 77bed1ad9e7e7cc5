//! Loads and locks the rows of a batch.
//!
//! Order: what tells which accounts are meant (columns that never change, so that what this node wrote need not be asked
//! for) without a lock; the locks, in id order; then
//! everything else in later statements, which so see what the holder before us committed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use sqlx::postgres::{PgArguments, PgConnection};

use crate::ledger::row::{AccountRow, HoldRow, Id};
use crate::payment::row::{CounterKey, CounterRow, PairKey, PairRow, PaymentRow, SuspensionRow, pair};
use crate::store::columns::{
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, hold_columns,
    inbox_columns, outbox_columns, pair_columns, payer_columns, payment_columns, session_columns,
    suspension_columns, transfer_columns,
};
use crate::store::error::Error;
use crate::store::kept::Kept;
use crate::store::keys::{Changes, Keys, Loaded};

use super::{Pool, Row, decode, points, records};

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

/// Payments of a batch from which on a second connection reads what needs no lock of its own. It sees what was committed
/// before the locks were given, as the first one does.
const APART_MIN: usize = 32;
/// Rows of each kind of [`Known`] at most; one more and all of the kind are forgotten.
const KNOWN_MAX: usize = 8_192;

const PAYMENTS: &str = concat!("select ", payment_columns!(), " from payments where id = any($1)");
const HOLDS: &str = concat!("select ", hold_columns!(), " from holds where id = any($1)");

/// All counters of these owners and days: there are few of each, and they lie together.
const COUNTERS: &str =
    concat!("select ", counter_columns!(), " from counters where owner = any($1) and day = any($2)");

pub(super) fn id_array<'k>(ids: impl IntoIterator<Item = &'k Id>) -> Vec<[u8; 16]> {
    ids.into_iter().map(|id| id.0).collect()
}

/// Payments and holds that this node wrote and that have not ended: of these, what never changes in a row is believed. The
/// number in one that has ended may be erased. Of pairs the whole row is believed, as [`Known::pairs_of`] says.
#[derive(Debug)]
pub(super) struct Known {
    payments: Kept<Id, PaymentRow>,
    holds: Kept<Id, HoldRow>,
    pairs: Kept<PairKey, PairRow>,
}

impl Default for Known {
    fn default() -> Self {
        Self { payments: Kept::new(KNOWN_MAX), holds: Kept::new(KNOWN_MAX), pairs: Kept::new(KNOWN_MAX) }
    }
}

impl Known {
    /// What a batch has written.
    pub(super) fn follow(&mut self, changes: &Changes) {
        self.payments.follow_open(&changes.payments, |row| row.id, |row| row.state.is_open());
        self.holds.follow_open(&changes.holds, |row| row.id, |row| row.resolved_by.is_none());
        self.pairs.follow_open(&changes.pairs, |row| row.key.clone(), |row| row.state == pair::OPEN);
    }

    /// The pairs that need not be read, and the others. A pair whose payment was never at an end is as that payment's first
    /// commit wrote it: nobody else may take it before (`judge`), and its account is locked.
    fn pairs_of<'k>(
        &self,
        keys: &'k BTreeSet<PairKey>,
        payments: &[PaymentRow],
    ) -> (Vec<PairRow>, Vec<&'k PairKey>) {
        let mut found = Vec::new();
        let mut strange = self.pairs.look_up(keys, &mut found);
        let new: BTreeSet<Id> =
            payments.iter().filter(|row| row.state.has_never_ended()).map(|row| row.id).collect();
        found.retain(|pair| {
            let believed = new.contains(&pair.payment);
            if !believed {
                strange.extend(keys.get(&pair.key));
            }
            believed
        });
        (found, strange)
    }

    /// The accounts that [`load`] locks for `keys`, when it need not ask for them.
    pub(super) fn accounts_of(&self, keys: &Keys) -> Option<BTreeSet<Id>> {
        let (mut payments, mut holds) = (Vec::new(), Vec::new());
        let strange = self.payments.look_up(&keys.payments, &mut payments);
        let named = keys.holds.iter().chain(payments.iter().map(|payment| &payment.hold));
        let known = strange.is_empty() && self.holds.look_up(named, &mut holds).is_empty();
        known.then(|| {
            let mut all = Keys {
                accounts: keys.accounts.clone(),
                payers: keys.payers.clone(),
                pairs: keys.pairs.clone(),
                ..Keys::default()
            };
            all.follow(&payments, &holds);
            all.accounts
        })
    }
}

/// Locks and loads what `keys` name and what follows from it.
pub(super) async fn load(
    conn: &mut PgConnection,
    pool: &Pool,
    known: &Mutex<Known>,
    mut keys: Keys,
    at: i64,
) -> Result<(Keys, Loaded), Error> {
    let look_up = |keys: &mut Keys| {
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut payments, mut holds) = (Vec::new(), Vec::new());
        let strange: BTreeSet<Id> =
            known.payments.look_up(&keys.payments, &mut payments).into_iter().copied().collect();
        keys.follow(&payments, &[]);
        let unknown = known.holds.look_up(&keys.holds, &mut holds).into_iter().copied().collect();
        keys.follow(&[], &holds);
        (strange, unknown)
    };
    let (strange, mut unknown): (BTreeSet<Id>, BTreeSet<Id>) = look_up(&mut keys);
    if !strange.is_empty() {
        let payments = by_id(conn, PAYMENTS, &strange, decode::payment).await?;
        keys.follow(&payments, &[]);
        unknown.extend(payments.iter().map(|payment| payment.hold));
    }
    let holds = by_id(conn, HOLDS, &unknown, decode::hold).await?;
    keys.follow(&[], &holds);
    let mut loaded = Loaded::default();
    load_locked(conn, &keys, &mut loaded).await?;
    let (guarded, loose) = guarded_counters(&keys, &loaded.accounts);
    loaded.counters = lock_counters(conn, &loose).await?;
    let mut payments = Loaded::default();
    if keys.all_payments().nth(APART_MIN).is_some() {
        let mut other = pool.acquire().await?;
        let rest = async {
            load_ledger(conn, &keys, &mut loaded, at).await?;
            load_rest(conn, &keys, &mut loaded).await
        };
        tokio::try_join!(rest, load_payment(&mut other, known, &keys, &guarded, &mut payments))?;
    } else {
        load_ledger(conn, &keys, &mut loaded, at).await?;
        load_rest(conn, &keys, &mut loaded).await?;
        load_payment(conn, known, &keys, &guarded, &mut payments).await?;
    }
    keys.holds.extend(loaded.holds.iter().map(|hold| hold.id));
    loaded.counters.append(&mut payments.counters);
    let Loaded { payments, payers, attempts, references, pairs, suspensions, .. } = payments;
    Ok((keys, Loaded { payments, payers, attempts, references, pairs, suspensions, ..loaded }))
}

/// The counters of accounts that are locked (these in the order of their ids), which nobody else may change, and the others.
fn guarded_counters<'k>(
    keys: &'k Keys,
    accounts: &[AccountRow],
) -> (Vec<&'k CounterKey>, Vec<&'k CounterKey>) {
    let locked = |id: Id| accounts.binary_search_by_key(&id, |account| account.id).is_ok();
    keys.counters.iter().partition(|key| Id::parse(&key.owner).is_some_and(locked))
}

async fn lock_counters(conn: &mut PgConnection, keys: &[&CounterKey]) -> Result<Vec<CounterRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        counter_columns!(),
        " from counters where (owner, day, scope) in (select * from unnest($1::text[], $2::bigint[], $3::bigint[]))",
        " order by owner, day, scope for no key update"
    );
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query(SQL)
        .bind(keys.iter().map(|key| key.owner.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| i64::from(key.day)).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| i64::from(key.scope)).collect::<Vec<_>>());
    all(conn, query, decode::counter).await
}

/// `keys` are in order.
async fn counters(conn: &mut PgConnection, keys: &[&CounterKey]) -> Result<Vec<CounterRow>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut owners: Vec<&str> = keys.iter().map(|key| key.owner.as_str()).collect();
    owners.dedup();
    let days: BTreeSet<i64> = keys.iter().map(|key| i64::from(key.day)).collect();
    let query = sqlx::query(COUNTERS).bind(owners).bind(days.into_iter().collect::<Vec<_>>());
    let mut rows = all(conn, query, decode::counter).await?;
    rows.retain(|row| keys.binary_search(&&row.key).is_ok());
    Ok(rows)
}

async fn load_rest(conn: &mut PgConnection, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    load_messages(conn, keys, loaded).await?;
    loaded.records = records::load(conn, &keys.records).await?;
    Ok(())
}

async fn load_locked(conn: &mut PgConnection, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    const ACCOUNTS: &str = concat!(
        "select ",
        account_columns!(),
        " from accounts where id = any($1) order by id for no key update"
    );
    const BINDINGS: &str = concat!(
        "select ",
        binding_columns!(),
        " from bindings where msisdn = any($1) order by msisdn for no key update"
    );
    loaded.accounts = by_id(conn, ACCOUNTS, &keys.accounts, decode::account).await?;
    if !keys.bindings.is_empty() {
        let numbers: Vec<String> = keys.bindings.iter().map(|msisdn| msisdn.as_str().to_owned()).collect();
        loaded.bindings = all(conn, sqlx::query(BINDINGS).bind(numbers), decode::binding).await?;
    }
    Ok(())
}

async fn load_ledger(
    conn: &mut PgConnection,
    keys: &Keys,
    loaded: &mut Loaded,
    at: i64,
) -> Result<(), Error> {
    const DUE: &str = concat!(
        "select ",
        hold_columns!(),
        " from holds where state = 0 and expires_at is not null and expires_at <= $1"
    );
    const TRANSFERS: &str = concat!("select ", transfer_columns!(), " from transfers where id = any($1)");
    const ENTRIES: &str = concat!("select ", entry_columns!(), " from entries where transfer = any($1)");
    const REVERSALS: &str = "select t.refers_to, e.account, e.sequence, e.amount_minor, e.balance_after_minor, e.previous \
                             from entries e join transfers t on t.id = e.transfer \
                             where t.act = 7 and t.outcome = 0 and t.refers_to = any($1)";
    loaded.holds = by_id(conn, HOLDS, &keys.holds, decode::hold).await?;
    if !keys.accounts.is_empty() {
        // Overdue holds are few, since every batch and the sweep expire them: all are read, the accounts' are kept.
        for hold in all(conn, sqlx::query(DUE).bind(at), decode::hold).await? {
            if keys.accounts.contains(&hold.account) && !keys.holds.contains(&hold.id) {
                loaded.holds.push(hold);
            }
        }
    }
    let commands: BTreeSet<Id> = keys.transfers.union(&keys.reversed).copied().collect();
    loaded.transfers = by_id(conn, TRANSFERS, &commands, decode::transfer).await?;
    let known: BTreeSet<Id> =
        loaded.transfers.iter().map(|row| row.id).filter(|id| keys.reversed.contains(id)).collect();
    loaded.original_entries = by_id(conn, ENTRIES, &known, decode::entry).await?;
    loaded.reversal_entries = by_id(conn, REVERSALS, &known, decode::entry).await?;
    Ok(())
}

async fn load_payment(
    conn: &mut PgConnection,
    known: &Mutex<Known>,
    keys: &Keys,
    guarded: &[&CounterKey],
    loaded: &mut Loaded,
) -> Result<(), Error> {
    const PAYERS: &str = concat!("select ", payer_columns!(), " from payers where account = any($1)");
    const ATTEMPTS: &str = concat!("select ", attempt_columns!(), " from attempts where id = any($1)");
    const REFERENCES: &str = "select reference from payments where reference = any($1)";
    const PAIRS: &str = concat!(
        "select ",
        pair_columns!(),
        " from pairs where (account, target, amount_minor) in ",
        "(select * from unnest($1::bytea[], $2::text[], $3::bigint[]))"
    );
    const SUSPENSIONS: &str = concat!(
        "select ",
        suspension_columns!(),
        " from suspensions where (scope, key) in (select * from unnest($1::text[], $2::text[]))"
    );
    let payments: BTreeSet<Id> = keys.all_payments().copied().collect();
    loaded.payments = by_id(conn, PAYMENTS, &payments, decode::payment).await?;
    loaded.payers = by_id(conn, PAYERS, &keys.payers, decode::payer).await?;
    loaded.attempts = by_id(conn, ATTEMPTS, &keys.attempts, decode::attempt).await?;
    if !keys.references.is_empty() {
        let references: Vec<String> = keys.references.iter().cloned().collect();
        let query = sqlx::query(REFERENCES).bind(references);
        loaded.references = all(conn, query, |row| decode::text(row, 0)).await?;
    }
    loaded.counters = counters(conn, guarded).await?;
    let (found, strange) = {
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.pairs_of(&keys.pairs, &loaded.payments)
    };
    loaded.pairs = found;
    if !strange.is_empty() {
        let query = sqlx::query(PAIRS)
            .bind(strange.iter().map(|key| key.account.0).collect::<Vec<_>>())
            .bind(strange.iter().map(|key| key.target.text()).collect::<Vec<_>>())
            .bind(strange.iter().map(|key| key.amount_minor).collect::<Vec<_>>());
        loaded.pairs.extend(all(conn, query, decode::pair).await?);
    }
    if keys.suspensions.is_empty() {
        return Ok(());
    }
    // Little is shut at a time: all of it is read at once, and only what is too much for that by its keys.
    if let Some(all) = points::few_suspensions(conn).await? {
        let wanted = |row: &SuspensionRow| keys.suspensions.contains(&(row.scope.clone(), row.key.clone()));
        loaded.suspensions = all.into_iter().filter(wanted).collect();
    } else {
        let (scopes, names): (Vec<String>, Vec<String>) = keys.suspensions.iter().cloned().unzip();
        let query = sqlx::query(SUSPENSIONS).bind(scopes).bind(names);
        loaded.suspensions = all(conn, query, decode::suspension).await?;
    }
    Ok(())
}

/// Nobody else may change these between this look at them and the commit. Keys that no row has yet are kept apart by the
/// indexes: of two nodes the second conflicts, and judges again.
async fn load_messages(conn: &mut PgConnection, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    const SESSIONS: &str =
        concat!("select ", session_columns!(), " from sessions where id = any($1) order by id for update");
    const BY_KEY: &str =
        concat!("select ", session_columns!(), " from sessions where key = any($1) order by id for update");
    const OUTBOX: &str = concat!(
        "select ",
        outbox_columns!(),
        " from outbox where id = any($1) order by id for no key update"
    );
    const INBOX: &str = concat!(
        "select ",
        inbox_columns!(),
        " from inbox where key = any($1) order by key for no key update"
    );
    loaded.sessions = by_id(conn, SESSIONS, &keys.sessions, decode::session).await?;
    if !keys.session_keys.is_empty() {
        let wanted: Vec<String> = keys.session_keys.iter().cloned().collect();
        loaded.sessions.extend(all(conn, sqlx::query(BY_KEY).bind(wanted), decode::session).await?);
    }
    loaded.outbox = by_id(conn, OUTBOX, &keys.outbox, decode::outbox).await?;
    loaded.inbox = by_id(conn, INBOX, &keys.inbox, decode::inbox).await?;
    Ok(())
}

async fn by_id<T>(
    conn: &mut PgConnection,
    sql: &'static str,
    ids: &BTreeSet<Id>,
    decode: fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    all(conn, sqlx::query(sql).bind(id_array(ids)), decode).await
}

async fn all<T>(
    conn: &mut PgConnection,
    query: Query<'_>,
    decode: fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    query.fetch_all(conn).await?.iter().map(decode).collect()
}
