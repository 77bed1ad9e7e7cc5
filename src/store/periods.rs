//! The books of a time: sums up to a moment, transfers and entries in the order in which they were committed. Compiled once for
//! each database, whose types the parent module names.
//!
//! No index by time is kept: it would be written with every transfer, and these are read once a day. The rows arrive as they
//! are read, so that nothing here needs memory for a whole day.

use futures_util::TryStreamExt;

use crate::ledger::row::{Id, TransferRow};
use crate::payment::row::AttemptRow;
use crate::store::accounting::{Booked, Sum};
use crate::store::columns::{attempt_columns, transfer_columns};
use crate::store::error::Error;

use super::{Pool, decode};

pub(in crate::store) async fn sums_until(pool: &Pool, until: i64) -> Result<Vec<Sum>, Error> {
    // The sum is cast since PostgreSQL makes it numeric. Accounts of customers and merchants have no name.
    const SQL: &str = "select a.kind, a.name, a.currency, cast(sum(e.amount_minor) as bigint) from entries e \
                       join transfers t on t.id = e.transfer join accounts a on a.id = e.account \
                       where t.at < $1 group by a.kind, a.name, a.currency order by a.kind, a.name, a.currency";
    let rows = sqlx::query(SQL).bind(until).fetch_all(pool).await?;
    let sum = |row| {
        Ok(Sum {
            kind: decode::kind(row, 0)?,
            name: decode::text(row, 1)?,
            currency: decode::currency(row, 2)?,
            amount_minor: decode::int(row, 3)?,
        })
    };
    rows.iter().map(sum).collect()
}

pub(in crate::store) async fn transfers_between(
    pool: &Pool,
    from: i64,
    until: i64,
    see: &mut (dyn FnMut(TransferRow) + Send),
) -> Result<(), Error> {
    const SQL: &str =
        concat!("select ", transfer_columns!(), " from transfers where at >= $1 and at < $2 order by at, id");
    let mut rows = sqlx::query(SQL).bind(from).bind(until).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        see(decode::transfer(&row)?);
    }
    Ok(())
}

pub(in crate::store) async fn transfers_of(pool: &Pool, ids: &[Id]) -> Result<Vec<TransferRow>, Error> {
    const SQL: &str = concat!("select ", transfer_columns!(), " from transfers where id = $1");
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(row) = sqlx::query(SQL).bind(id.0.to_vec()).fetch_optional(pool).await? {
            found.push(decode::transfer(&row)?);
        }
    }
    Ok(found)
}

pub(in crate::store) async fn entries_between(
    pool: &Pool,
    from: i64,
    until: i64,
    see: &mut (dyn FnMut(Booked) + Send),
) -> Result<(), Error> {
    const SQL: &str = "select e.transfer, e.account, e.sequence, e.amount_minor, e.balance_after_minor, \
                       e.previous, t.at, t.payment, a.kind, a.name, a.currency from entries e \
                       join transfers t on t.id = e.transfer join accounts a on a.id = e.account \
                       where t.at >= $1 and t.at < $2 order by t.at, e.transfer, e.account";
    let mut rows = sqlx::query(SQL).bind(from).bind(until).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        see(Booked {
            entry: decode::entry(&row)?,
            at: decode::int(&row, 6)?,
            payment: decode::some_id(&row, 7)?,
            kind: decode::kind(&row, 8)?,
            name: decode::text(&row, 9)?,
            currency: decode::currency(&row, 10)?,
        });
    }
    Ok(())
}

pub(in crate::store) async fn attempts_with(
    pool: &Pool,
    connector: &str,
    from: i64,
    until: i64,
) -> Result<Vec<AttemptRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        attempt_columns!(),
        " from attempts where connector = $1 and created_at >= $2 and created_at < $3 \
         order by created_at, payment, number"
    );
    let query = sqlx::query(SQL).bind(connector.to_owned()).bind(from).bind(until);
    query.fetch_all(pool).await?.iter().map(decode::attempt).collect()
}
