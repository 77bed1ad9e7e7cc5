//! Loads the rows of a batch: one statement a table, with its list of keys padded to one of a few lengths, so that the
//! prepared statement is there already.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteArguments;

use crate::ledger::row::Id;
use crate::payment::row::SuspensionRow;
use crate::store::columns::{
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, hold_columns,
    inbox_columns, outbox_columns, pair_columns, payer_columns, payment_columns, session_columns,
    suspension_columns, transfer_columns,
};
use crate::store::error::Error;
use crate::store::keys::{Keys, Loaded};

use super::{Row, Writing, decode, points, records};

/// Lengths of key lists: none is filled with more than as many keys again.
const LENGTHS: &[usize] =
    &[1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 320, 384, 448, 512, 768, 1024, 1536, 2048, 4096];

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// Loads what `keys` name and what follows from it.
pub(super) async fn load(writing: &mut Writing, mut keys: Keys, at: i64) -> Result<(Keys, Loaded), Error> {
    let version = sqlx::query("pragma data_version").fetch_one(&mut writing.conn).await?;
    writing.seen.begin(decode::int(&version, 0)?);
    const PAYMENTS: &str = concat!("select ", payment_columns!(), " from payments where id in ");
    const HOLDS: &str = concat!("select ", hold_columns!(), " from holds where id in ");
    let mut loaded = Loaded::default();
    let missing = writing.seen.payments.look_up(keys.all_payments(), &mut loaded.payments);
    loaded.payments.extend(writing.ids(PAYMENTS, missing, decode::payment).await?);
    keys.follow(&loaded.payments, &[]);
    let missing = writing.seen.holds.look_up(&keys.holds, &mut loaded.holds);
    loaded.holds.extend(writing.ids(HOLDS, missing, decode::hold).await?);
    keys.follow(&[], &loaded.holds);
    load_ledger(writing, &mut keys, &mut loaded, at).await?;
    load_payment(writing, &keys, &mut loaded).await?;
    loaded.records = records::load(&mut writing.conn, &keys.records).await?;
    Ok((keys, loaded))
}

async fn load_ledger(
    writing: &mut Writing,
    keys: &mut Keys,
    loaded: &mut Loaded,
    at: i64,
) -> Result<(), Error> {
    const ACCOUNTS: &str = concat!("select ", account_columns!(), " from accounts where id in ");
    let missing = writing.seen.accounts.look_up(&keys.accounts, &mut loaded.accounts);
    let found = writing.ids(ACCOUNTS, missing, decode::account).await?;
    for row in &found {
        writing.seen.accounts.keep(row.id, row.clone());
    }
    loaded.accounts.extend(found);
    // Overdue holds are few, since every batch and the sweep expire them: all are read, the accounts' are kept.
    const DUE: &str = concat!(
        "select ",
        hold_columns!(),
        " from holds where state = 0 and expires_at is not null and expires_at <= $1"
    );
    if !keys.accounts.is_empty() {
        for row in sqlx::query(DUE).bind(at).fetch_all(&mut writing.conn).await? {
            let hold = decode::hold(&row)?;
            if keys.accounts.contains(&hold.account) && keys.holds.insert(hold.id) {
                loaded.holds.push(hold);
            }
        }
    }
    loaded.transfers = writing
        .ids(
            concat!("select ", transfer_columns!(), " from transfers where id in "),
            keys.transfers.union(&keys.reversed),
            decode::transfer,
        )
        .await?;
    let known: BTreeSet<Id> =
        loaded.transfers.iter().map(|row| row.id).filter(|id| keys.reversed.contains(id)).collect();
    loaded.original_entries = writing
        .ids(concat!("select ", entry_columns!(), " from entries where transfer in "), &known, decode::entry)
        .await?;
    loaded.reversal_entries = writing
        .ids(
            "select t.refers_to, e.account, e.sequence, e.amount_minor, e.balance_after_minor, e.previous from entries e \
             join transfers t on t.id = e.transfer where t.act = 7 and t.outcome = 0 and t.refers_to in ",
            &known,
            decode::entry,
        )
        .await?;
    Ok(())
}

async fn load_payment(writing: &mut Writing, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    const ATTEMPTS: &str = concat!("select ", attempt_columns!(), " from attempts where id in ");
    loaded.payers = writing
        .ids(
            concat!("select ", payer_columns!(), " from payers where account in "),
            &keys.payers,
            decode::payer,
        )
        .await?;
    let missing = writing.seen.attempts.look_up(&keys.attempts, &mut loaded.attempts);
    loaded.attempts.extend(writing.ids(ATTEMPTS, missing, decode::attempt).await?);
    load_messages(writing, keys, loaded).await?;
    load_limits(writing, keys, loaded).await?;
    load_by_text(writing, keys, loaded).await
}

async fn load_messages(writing: &mut Writing, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    loaded.sessions = writing
        .ids(
            concat!("select ", session_columns!(), " from sessions where id in "),
            &keys.sessions,
            decode::session,
        )
        .await?;
    let by_key = writing
        .list(
            concat!("select ", session_columns!(), " from sessions where key in "),
            1,
            &keys.session_keys.iter().collect::<Vec<_>>(),
            |query, key| query.bind((*key).clone()),
            decode::session,
        )
        .await?;
    loaded.sessions.extend(by_key);
    loaded.outbox = writing
        .ids(concat!("select ", outbox_columns!(), " from outbox where id in "), &keys.outbox, decode::outbox)
        .await?;
    loaded.inbox = writing
        .ids(concat!("select ", inbox_columns!(), " from inbox where key in "), &keys.inbox, decode::inbox)
        .await?;
    Ok(())
}

/// What limits and equal payments are judged by.
async fn load_limits(writing: &mut Writing, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    let missing = writing.seen.counters.look_up(&keys.counters, &mut loaded.counters);
    let found = writing
        .list(
            concat!("select ", counter_columns!(), " from counters where (owner, day, scope) in "),
            3,
            &missing,
            |query, key| query.bind(key.owner.clone()).bind(i64::from(key.day)).bind(i64::from(key.scope)),
            decode::counter,
        )
        .await?;
    loaded.counters.extend(found);
    let missing = writing.seen.pairs.look_up(&keys.pairs, &mut loaded.pairs);
    let found = writing
        .list(
            concat!("select ", pair_columns!(), " from pairs where (account, target, amount_minor) in "),
            3,
            &missing,
            |query, key| query.bind(key.account.0.to_vec()).bind(key.target.text()).bind(key.amount_minor),
            decode::pair,
        )
        .await?;
    loaded.pairs.extend(found);
    Ok(())
}

/// The rows whose keys are not ids.
async fn load_by_text(writing: &mut Writing, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    loaded.bindings = writing
        .list(
            concat!("select ", binding_columns!(), " from bindings where msisdn in "),
            1,
            &keys.bindings.iter().collect::<Vec<_>>(),
            |query, msisdn| query.bind(msisdn.as_str().to_owned()),
            decode::binding,
        )
        .await?;
    loaded.references = writing
        .list(
            "select reference from payments where reference in ",
            1,
            &keys.references.iter().collect::<Vec<_>>(),
            |query, reference| query.bind((*reference).clone()),
            |row| decode::text(row, 0),
        )
        .await?;
    load_suspensions(writing, keys, loaded).await
}

/// Little is shut at a time: all of it is read at once, and only what is too much for that by its keys.
async fn load_suspensions(writing: &mut Writing, keys: &Keys, loaded: &mut Loaded) -> Result<(), Error> {
    if keys.suspensions.is_empty() {
        return Ok(());
    }
    if let Some(all) = points::few_suspensions(&mut writing.conn).await? {
        let wanted = |row: &SuspensionRow| keys.suspensions.contains(&(row.scope.clone(), row.key.clone()));
        loaded.suspensions = all.into_iter().filter(wanted).collect();
        return Ok(());
    }
    loaded.suspensions = writing
        .list(
            concat!("select ", suspension_columns!(), " from suspensions where (scope, key) in "),
            2,
            &keys.suspensions.iter().collect::<Vec<_>>(),
            |query, (scope, key)| query.bind(scope.clone()).bind(key.clone()),
            decode::suspension,
        )
        .await?;
    Ok(())
}

impl Writing {
    async fn ids<'k, T>(
        &mut self,
        sql: &'static str,
        ids: impl IntoIterator<Item = &'k Id>,
        decode: fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let ids: Vec<&Id> = ids.into_iter().collect();
        self.list(sql, 1, &ids, |query, id| query.bind(id.0.to_vec()), decode).await
    }

    /// Runs `sql`, which ends in `in `, with the keys in chunks of a few lengths. The last key is repeated to fill one.
    async fn list<'k, K, T>(
        &mut self,
        sql: &'static str,
        columns: usize,
        keys: &[&'k K],
        bind: for<'q> fn(Query<'q>, &'k K) -> Query<'q>,
        decode: fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(4096) {
            let Some(last) = chunk.last() else { break };
            let length = LENGTHS.iter().copied().find(|l| *l >= chunk.len()).unwrap_or(chunk.len());
            let text = self.in_list(sql, columns, length);
            let mut query = sqlx::query(AssertSqlSafe(text));
            for n in 0..length {
                query = bind(query, chunk.get(n).unwrap_or(last));
            }
            for row in query.fetch_all(&mut self.conn).await? {
                found.push(decode(&row)?);
            }
        }
        Ok(found)
    }

    fn in_list(&mut self, sql: &'static str, columns: usize, length: usize) -> Arc<str> {
        let text = self.texts.entry((sql, length)).or_insert_with(|| {
            let mut text = sql.to_owned();
            text.push_str(if columns == 1 { "(" } else { "(values " });
            for n in 0..length {
                let comma = if n == 0 { "" } else { ", " };
                let (open, close) = if columns == 1 { ("", "") } else { ("(", ")") };
                let _ = write!(text, "{comma}{open}");
                for column in 0..columns {
                    let comma = if column == 0 { "" } else { ", " };
                    // SQLite looks names of parameters up one by one: `?` has none, and a long list stays cheap.
                    let _ = write!(text, "{comma}?");
                }
                text.push_str(close);
            }
            text.push(')');
            text.into()
        });
        Arc::clone(text)
    }
}
