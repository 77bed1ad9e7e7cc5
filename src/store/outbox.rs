//! Messages that go out and conversations that channels look for: reads, and the updates by which nodes share out what is
//! due. Compiled once for each database, whose `Conn` and `Row` types the parent module names.

use sqlx::AssertSqlSafe;

use crate::ledger::row::Id;
use crate::payment::row::{OutboxRow, OutboxState, PartRow, SessionRow};
use crate::store::columns::{outbox_columns, part_columns, session_columns};
use crate::store::error::Error;
use crate::store::{OutboxCount, OutboxFilter};

use super::{Conn, Db, Pool, Row, decode};

type Query = sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;
type Decode<T> = fn(&Row) -> Result<T, Error>;

/// What the program says of a message whose lease ran out.
const INTERRUPTED: &str = "interrupted";

async fn one<T>(pool: &Pool, query: Query, decode: Decode<T>) -> Result<Option<T>, Error> {
    query.fetch_optional(pool).await?.as_ref().map(decode).transpose()
}

async fn all<T>(pool: &Pool, query: Query, decode: Decode<T>) -> Result<Vec<T>, Error> {
    query.fetch_all(pool).await?.iter().map(decode).collect()
}

/// Chooses rows by their key and then changes them. Several nodes of PostgreSQL pass by what another has locked; SQLite has
/// one writer at a time. As an array, the keys are looked up one by one on every plan of PostgreSQL, also on one that was
/// made when the table was small.
macro_rules! chosen {
    ($which:literal, $change:literal, $($after:tt)*) => {
        if super::SKIPS_LOCKED {
            concat!(
                "with chosen as (", $which, " for update skip locked) ", $change,
                " = any(array(select * from chosen))", $($after)*
            )
        } else {
            concat!("with chosen as (", $which, ") ", $change, " in (select * from chosen)", $($after)*)
        }
    };
}

pub(in crate::store) async fn claim(
    conn: &mut Conn,
    owner: Id,
    now: i64,
    lease_until: i64,
    limit: u32,
) -> Result<Vec<OutboxRow>, Error> {
    let sql = chosen!(
        // With a sign before it `expires_at` is no column of an index: the due ones are looked for by `outbox_due`.
        "select id from outbox where state = 0 and due_at <= $3 and +expires_at > $3 order by due_at limit $4",
        "update outbox set state = 3, owner = $1, due_at = $2, updated_at = $3 where id",
        " returning ",
        outbox_columns!()
    );
    let query = sqlx::query(sql).bind(owner.0.to_vec()).bind(lease_until).bind(now).bind(i64::from(limit));
    let rows = query.fetch_all(conn).await?;
    let mut claimed = rows.iter().map(decode::outbox).collect::<Result<Vec<_>, _>>()?;
    claimed.sort_by_key(|row| (row.created_at, row.id));
    Ok(claimed)
}

/// Rows of a batch that is being written are left for the next time, so that the two never wait for each other.
pub(in crate::store) async fn lost(conn: &mut Conn, now: i64, sole: Option<Id>) -> Result<u64, Error> {
    let sql = chosen!(
        "select id from outbox where state <> 0 and state = 3 and (due_at <= $1 or owner <> $2)",
        "update outbox set state = 4, owner = null, code = $3, updated_at = $1 where id",
        ""
    );
    // Compared with nothing, no owner is another one.
    let query = sqlx::query(sql).bind(now).bind(sole.map(|owner| owner.0.to_vec())).bind(INTERRUPTED);
    Ok(query.execute(conn).await?.rows_affected())
}

pub(in crate::store) async fn forget_inbox(conn: &mut Conn, before: i64, limit: u32) -> Result<u64, Error> {
    let sql = chosen!(
        "select key from inbox where received_at < $1 order by received_at limit $2",
        "delete from inbox where key",
        ""
    );
    let query = sqlx::query(sql).bind(before).bind(i64::from(limit));
    Ok(query.execute(conn).await?.rows_affected())
}

pub(in crate::store) async fn forget_parts(conn: &mut Conn, before: i64) -> Result<u64, Error> {
    const SQL: &str = "delete from parts where received_at < $1";
    Ok(sqlx::query(SQL).bind(before).execute(conn).await?.rows_affected())
}

pub(in crate::store) async fn row(pool: &Pool, id: Id) -> Result<Option<OutboxRow>, Error> {
    const SQL: &str = concat!("select ", outbox_columns!(), " from outbox where id = $1");
    one(pool, sqlx::query(SQL).bind(id.0.to_vec()), decode::outbox).await
}

pub(in crate::store) async fn of_payment(pool: &Pool, payment: Id) -> Result<Vec<OutboxRow>, Error> {
    const SQL: &str =
        concat!("select ", outbox_columns!(), " from outbox where payment = $1 order by created_at, id");
    all(pool, sqlx::query(SQL).bind(payment.0.to_vec()), decode::outbox).await
}

pub(in crate::store) async fn by_message_id(
    pool: &Pool,
    route: &str,
    message_id: &str,
) -> Result<Option<OutboxRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        outbox_columns!(),
        " from outbox where route = $1 and message_id = $2 order by created_at desc, id desc limit 1"
    );
    let query = sqlx::query(SQL).bind(route.to_owned()).bind(message_id.to_owned());
    one(pool, query, decode::outbox).await
}

pub(in crate::store) async fn overdue(pool: &Pool, now: i64, limit: u32) -> Result<Vec<OutboxRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        outbox_columns!(),
        " from outbox where state = 0 and expires_at <= $1 order by expires_at, id limit $2"
    );
    all(pool, sqlx::query(SQL).bind(now).bind(i64::from(limit)), decode::outbox).await
}

/// One look for each state, along the index.
pub(in crate::store) async fn list(pool: &Pool, filter: &OutboxFilter) -> Result<Vec<OutboxRow>, Error> {
    let mut conditions = String::new();
    let mut texts = Vec::new();
    for (column, value) in [("recipient", &filter.recipient), ("route", &filter.route)] {
        if let Some(value) = value {
            texts.push(value.clone());
            conditions.push_str(&format!(" and {column} = ${}", texts.len() + 2));
        }
    }
    let wanted = OutboxState::ALL.iter().filter(|state| filter.state.is_none_or(|wanted| wanted == **state));
    let selects = wanted.map(|state| {
        // Each by its own index; together one statement, so that a message which moves on meanwhile is in it once.
        let which = if *state == OutboxState::Waiting { "state = 0" } else { "state <> 0" };
        format!(
            concat!(
                "select * from (select ",
                outbox_columns!(),
                " from outbox where {} and state = {} and created_at >= $1{} order by created_at desc limit $2) as s{}"
            ),
            which,
            state.number(),
            conditions,
            state.number()
        )
    });
    let sql = selects.collect::<Vec<_>>().join(" union all ");
    let mut query =
        sqlx::query(AssertSqlSafe(sql)).bind(filter.since.unwrap_or(i64::MIN)).bind(i64::from(filter.limit));
    for text in texts {
        query = query.bind(text);
    }
    let mut found = all(pool, query, decode::outbox).await?;
    found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
    found.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    Ok(found)
}

pub(in crate::store) async fn counts(pool: &Pool) -> Result<Vec<OutboxCount>, Error> {
    const SQL: &str = "select state, count(*), min(created_at) from outbox where state = 0 group by state \
                       union all select state, count(*), min(created_at) from outbox where state <> 0 group by state";
    let decode = |row: &Row| {
        Ok(OutboxCount {
            state: decode::outbox_state(row, 0)?,
            messages: decode::int(row, 1)?,
            oldest_at: decode::int(row, 2)?,
        })
    };
    let mut counts = all(pool, sqlx::query(SQL), decode).await?;
    counts.sort_by_key(|count| count.state.number());
    Ok(counts)
}

pub(in crate::store) async fn parts(pool: &Pool, message: Id) -> Result<Vec<PartRow>, Error> {
    const SQL: &str = concat!("select ", part_columns!(), " from parts where message = $1 order by number");
    all(pool, sqlx::query(SQL).bind(message.0.to_vec()), decode::part).await
}

pub(in crate::store) async fn session_by_key(
    pool: &Pool,
    key: &str,
    now: i64,
) -> Result<Option<SessionRow>, Error> {
    const SQL: &str =
        concat!("select ", session_columns!(), " from sessions where key = $1 and expires_at > $2");
    one(pool, sqlx::query(SQL).bind(key.to_owned()).bind(now), decode::session).await
}

/// The keys go as one value, so that there is one prepared statement for any number of them.
pub(in crate::store) async fn sessions_by_keys(
    pool: &Pool,
    keys: &[&str],
    now: i64,
) -> Result<Vec<SessionRow>, Error> {
    let sql = if super::SKIPS_LOCKED {
        concat!(
            "select ",
            session_columns!(),
            " from sessions where key = any(array(select json_array_elements_text($1::json))) and expires_at > $2"
        )
    } else {
        concat!(
            "select ",
            session_columns!(),
            " from sessions where key in (select value from json_each($1)) and expires_at > $2"
        )
    };
    let keys = serde_json::Value::from(keys.to_vec()).to_string();
    all(pool, sqlx::query(sql).bind(keys).bind(now), decode::session).await
}

pub(in crate::store) async fn sessions_expired(
    pool: &Pool,
    now: i64,
    limit: u32,
) -> Result<Vec<SessionRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from sessions where key is not null and expires_at <= $1 order by expires_at, id limit $2"
    );
    all(pool, sqlx::query(SQL).bind(now).bind(i64::from(limit)), decode::session).await
}

pub(in crate::store) async fn sessions_under(
    pool: &Pool,
    prefix: &str,
    limit: u32,
) -> Result<Vec<SessionRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from sessions where key is not null and substr(key, 1, cast($2 as integer)) = $1 order by key limit $3"
    );
    let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
    let query = sqlx::query(SQL).bind(prefix.to_owned()).bind(length).bind(i64::from(limit));
    all(pool, query, decode::session).await
}
