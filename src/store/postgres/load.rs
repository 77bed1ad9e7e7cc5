//! Loads and locks the rows of a batch.
//!
//! Order: what tells which accounts are meant (columns that never change) without a lock; the locks, in id order; then
//! everything else in later statements, which so see what the holder before us committed.

use std::collections::BTreeSet;

use sqlx::postgres::{PgArguments, PgConnection};

use crate::ledger::row::Id;
use crate::store::columns::{
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, hold_columns,
    inbox_columns, outbox_columns, pair_columns, payer_columns, payment_columns, session_columns,
    suspension_columns, transfer_columns,
};
use crate::store::error::Error;
use crate::store::keys::{Keys, Loaded};

use super::{Row, decode, records};

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

const PAYMENTS: &str = concat!("select ", payment_columns!(), " from payments where id = any($1)");
const HOLDS: &str = concat!("select ", hold_columns!(), " from holds where id = any($1)");

pub(super) fn id_array<'k>(ids: impl IntoIterator<Item = &'k Id>) -> Vec<[u8; 16]> {
    ids.into_iter().map(|id| id.0).collect()
}

/// Locks and loads what `keys` name and what follows from it.
pub(super) async fn load(conn: &mut PgConnection, mut keys: Keys, at: i64) -> Result<(Keys, Loaded), Error> {
    let payments = by_id(conn, PAYMENTS, &keys.payments, decode::payment).await?;
    keys.follow(&payments, &[]);
    let holds = by_id(conn, HOLDS, &keys.holds, decode::hold).await?;
    keys.follow(&[], &holds);
    let mut loaded = Loaded::default();
    load_locked(conn, &keys, &mut loaded).await?;
    load_ledger(conn, &mut keys, &mut loaded, at).await?;
    load_payment(conn, &keys, &mut loaded).await?;
    load_messages(conn, &keys, &mut loaded).await?;
    loaded.records = records::load(conn, &keys.records).await?;
    Ok((keys, loaded))
}

async fn load_locked(conn: &mut PgConnection, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    const ACCOUNTS: &str = concat!(
        "select ",
        account_columns!(),
        " from accounts where id = any($1) order by id for no key update"
    );
    const COUNTERS: &str = concat!(
        "select ",
        counter_columns!(),
        " from counters where (scope, owner, day) in (select * from unnest($1::bigint[], $2::text[], $3::bigint[]))",
        " order by scope, owner, day for no key update"
    );
    const BINDINGS: &str = concat!(
        "select ",
        binding_columns!(),
        " from bindings where msisdn = any($1) order by msisdn for no key update"
    );
    loaded.accounts = by_id(conn, ACCOUNTS, &keys.accounts, decode::account).await?;
    if !keys.counters.is_empty() {
        let query = sqlx::query(COUNTERS)
            .bind(keys.counters.iter().map(|key| i64::from(key.scope)).collect::<Vec<_>>())
            .bind(keys.counters.iter().map(|key| key.owner.clone()).collect::<Vec<_>>())
            .bind(keys.counters.iter().map(|key| i64::from(key.day)).collect::<Vec<_>>());
        loaded.counters = all(conn, query, decode::counter).await?;
    }
    if !keys.bindings.is_empty() {
        let numbers: Vec<String> = keys.bindings.iter().map(|msisdn| msisdn.as_str().to_owned()).collect();
        loaded.bindings = all(conn, sqlx::query(BINDINGS).bind(numbers), decode::binding).await?;
    }
    Ok(())
}

async fn load_ledger(
    conn: &mut PgConnection,
    keys: &mut Keys,
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
            if keys.accounts.contains(&hold.account) && keys.holds.insert(hold.id) {
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

async fn load_payment(conn: &mut PgConnection, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
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
    loaded.payments = by_id(conn, PAYMENTS, &keys.payments, decode::payment).await?;
    loaded.payers = by_id(conn, PAYERS, &keys.payers, decode::payer).await?;
    loaded.attempts = by_id(conn, ATTEMPTS, &keys.attempts, decode::attempt).await?;
    if !keys.references.is_empty() {
        let references: Vec<String> = keys.references.iter().cloned().collect();
        let query = sqlx::query(REFERENCES).bind(references);
        loaded.references = all(conn, query, |row| decode::text(row, 0)).await?;
    }
    if !keys.pairs.is_empty() {
        let query = sqlx::query(PAIRS)
            .bind(keys.pairs.iter().map(|key| key.account.0).collect::<Vec<_>>())
            .bind(keys.pairs.iter().map(|key| key.target.text()).collect::<Vec<_>>())
            .bind(keys.pairs.iter().map(|key| key.amount_minor).collect::<Vec<_>>());
        loaded.pairs = all(conn, query, decode::pair).await?;
    }
    if !keys.suspensions.is_empty() {
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
