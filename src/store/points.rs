//! Reads by key, many keys at once: what [`Points`] gathers. Compiled once for each database, whose `Pool` and `Row` types
//! the parent module names; the statements are the same text for both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::AssertSqlSafe;

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::record::{Cell, Compare, Record, RecordKey, Recorded, Select, Shape};
use crate::payment::row::{BindingRow, PayerRow, PaymentRow, SuspensionRow};
use crate::store::columns::{binding_columns, payer_columns, payment_columns, suspension_columns};
use crate::store::error::Error;
use crate::store::gather::Gather;

use super::{Conn, Db, Pool, Row, decode, records};

/// Lengths of key lists: few, so that the prepared statements are few. A longer list is read as it is.
const LENGTHS: &[usize] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];
/// So many suspensions are read whole, whatever is asked for of them.
const SUSPENSIONS_FEW: usize = 256;

type Query = sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;

/// The reads by key of one database.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Points {
    payments: Gather<Id, PaymentRow>,
    payers: Gather<Id, PayerRow>,
    bindings: Gather<Msisdn, BindingRow>,
    suspensions: Gather<(String, String), (String, String)>,
    records: Gather<RecordKey, Record>,
    lists: Gather<Wanted, Vec<Record>>,
}

/// A list of rows that many ask for alike.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Wanted {
    shape: &'static Shape,
    filters: Vec<(&'static str, Compare, Cell)>,
    order: Option<&'static str>,
    descending: bool,
    limit: u32,
}

impl Points {
    pub(in crate::store) async fn payment(&self, pool: &Pool, id: Id) -> Result<Option<PaymentRow>, Error> {
        const SQL: &str = concat!("select ", payment_columns!(), " from payments where id in ");
        let pool = pool.clone();
        let read = move |ids| keyed(pool.clone(), (SQL, 1), ids, bind_id, decode::payment, |row| row.id);
        self.payments.one(id, read).await
    }

    pub(in crate::store) async fn payer(&self, pool: &Pool, account: Id) -> Result<Option<PayerRow>, Error> {
        const SQL: &str = concat!("select ", payer_columns!(), " from payers where account in ");
        let pool = pool.clone();
        let read = move |ids| keyed(pool.clone(), (SQL, 1), ids, bind_id, decode::payer, |row| row.account);
        self.payers.one(account, read).await
    }

    pub(in crate::store) async fn binding(
        &self,
        pool: &Pool,
        msisdn: &Msisdn,
    ) -> Result<Option<BindingRow>, Error> {
        const SQL: &str = concat!("select ", binding_columns!(), " from bindings where msisdn in ");
        let pool = pool.clone();
        let read = move |numbers| {
            let bind = |query: Query, number: &Msisdn| query.bind(number.as_str().to_owned());
            keyed(pool.clone(), (SQL, 1), numbers, bind, decode::binding, |row| row.msisdn.clone())
        };
        self.bindings.one(msisdn.clone(), read).await
    }

    /// Those of `keys` that are shut.
    pub(in crate::store) async fn suspended(
        &self,
        pool: &Pool,
        keys: &[(String, String)],
    ) -> Result<bool, Error> {
        const SQL: &str = "select scope, key from suspensions where (scope, key) in ";
        let pool = pool.clone();
        let read = move |keys| {
            let pool = pool.clone();
            async move {
                if let Some(all) = few_suspensions(&mut *pool.acquire().await?).await? {
                    return Ok(all
                        .into_iter()
                        .map(|row| (row.scope, row.key))
                        .map(|s| (s.clone(), s))
                        .collect());
                }
                let bind = |query: Query, (scope, key): &(String, String)| {
                    query.bind(scope.clone()).bind(key.clone())
                };
                let pair = |row: &Row| Ok((decode::text(row, 0)?, decode::text(row, 1)?));
                keyed(pool, (SQL, 2), keys, bind, pair, Clone::clone).await
            }
        };
        Ok(!self.suspensions.ask(keys.to_vec(), read).await?.is_empty())
    }

    pub(in crate::store) async fn record(
        &self,
        pool: &Pool,
        key: RecordKey,
    ) -> Result<Option<Record>, Error> {
        let pool = pool.clone();
        let read = move |keys: Vec<RecordKey>| {
            let pool = pool.clone();
            async move {
                let found = records::find(&pool, keys).await?;
                Ok(found.into_iter().map(|record| (record.key(), record)).collect())
            }
        };
        self.records.one(key, read).await
    }

    /// A list that others ask for at the same time: it is read once for all of them.
    pub(in crate::store) async fn list<T: Recorded>(
        &self,
        pool: &Pool,
        wanted: &Select<T>,
    ) -> Result<Vec<Record>, Error> {
        let pool = pool.clone();
        let read = move |wanted: Vec<Wanted>| {
            let pool = pool.clone();
            async move {
                let mut found = Vec::with_capacity(wanted.len());
                for w in wanted {
                    let rows =
                        records::select(&pool, w.shape, &w.filters, w.order, w.descending, w.limit).await?;
                    found.push((w, rows));
                }
                Ok(found)
            }
        };
        let Select { filters, order, descending, limit, .. } = wanted;
        let (filters, order, descending, limit) = (filters.clone(), *order, *descending, *limit);
        let wanted = Wanted { shape: T::SHAPE, filters, order, descending, limit };
        Ok(self.lists.one(wanted, read).await?.unwrap_or_default())
    }
}

/// What is shut, all of it, unless it is much.
pub(in crate::store) async fn few_suspensions(conn: &mut Conn) -> Result<Option<Vec<SuspensionRow>>, Error> {
    const SQL: &str = concat!("select ", suspension_columns!(), " from suspensions limit $1");
    let most = i64::try_from(SUSPENSIONS_FEW).unwrap_or(i64::MAX).saturating_add(1);
    let rows = sqlx::query(SQL).bind(most).fetch_all(conn).await?;
    if rows.len() > SUSPENSIONS_FEW {
        return Ok(None);
    }
    rows.iter().map(decode::suspension).collect::<Result<_, _>>().map(Some)
}

fn bind_id(query: Query, id: &Id) -> Query {
    query.bind(id.0.to_vec())
}

/// Runs `sql`, which ends in `in `, with the keys of so many columns; the last one is repeated to fill the list.
async fn keyed<K, T>(
    pool: Pool,
    (sql, width): (&'static str, usize),
    keys: Vec<K>,
    bind: fn(Query, &K) -> Query,
    decode: fn(&Row) -> Result<T, Error>,
    key: fn(&T) -> K,
) -> Result<Vec<(K, T)>, Error> {
    let Some(last) = keys.last() else { return Ok(Vec::new()) };
    let length = LENGTHS.iter().copied().find(|l| *l >= keys.len()).unwrap_or(keys.len());
    let mut query = sqlx::query(AssertSqlSafe(text(sql, width, length)));
    for n in 0..length {
        query = bind(query, keys.get(n).unwrap_or(last));
    }
    let rows = query.fetch_all(&pool).await?;
    rows.iter().map(|row| decode(row).map(|row| (key(&row), row))).collect()
}

/// `… in (($1), ($2))`, or with more columns a key `… in (values ($1, $2), ($3, $4))`: made once for each length.
fn text(sql: &'static str, width: usize, length: usize) -> Arc<str> {
    static TEXTS: Mutex<BTreeMap<(&str, usize), Arc<str>>> = Mutex::new(BTreeMap::new());
    let make = || {
        let values = if width == 1 { "" } else { "values " };
        Arc::from(format!("{sql}({values}{})", records::places(length, width)))
    };
    if !LENGTHS.contains(&length) {
        return make();
    }
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(texts.entry((sql, length)).or_insert_with(make))
}
