//! Reads outside a batch: for callers, staff and recovery. Compiled once for each database, whose `Pool` and `Row` types
//! the parent module names; the statements are the same text for both. What is decided on these rows is judged again
//! in a batch.

use sqlx::AssertSqlSafe;

use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::msisdn::Msisdn;
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, PairKey, PairRow, PaymentRow, SessionRow,
    State, SuspensionRow,
};
use crate::store::columns::{
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, event_columns,
    hold_columns, pair_columns, payment_columns, session_columns, suspension_columns, transfer_columns,
};
use crate::store::error::Error;
use crate::store::{PaymentFilter, Total};

use super::{Db, Pool, Row, decode};

type Decode<T> = fn(&Row) -> Result<T, Error>;
type Query = sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;

async fn one<T>(pool: &Pool, query: Query, decode: Decode<T>) -> Result<Option<T>, Error> {
    query.fetch_optional(pool).await?.as_ref().map(decode).transpose()
}

async fn all<T>(pool: &Pool, query: Query, decode: Decode<T>) -> Result<Vec<T>, Error> {
    query.fetch_all(pool).await?.iter().map(decode).collect()
}

fn by_id(sql: &'static str, id: Id) -> Query {
    sqlx::query(sql).bind(id.0.to_vec())
}

pub(in crate::store) async fn account(pool: &Pool, id: Id) -> Result<Option<AccountRow>, Error> {
    const SQL: &str = concat!("select ", account_columns!(), " from accounts where id = $1");
    one(pool, by_id(SQL, id), decode::account).await
}

pub(in crate::store) async fn account_at(pool: &Pool, id: Id, now: i64) -> Result<Option<AccountRow>, Error> {
    // One statement sees one state: a sweep between two would be counted twice.
    const SQL: &str = concat!(
        "select ",
        account_columns!(),
        ", (select cast(coalesce(sum(amount_minor), 0) as bigint) from holds where holds.account = accounts.id \
         and state = 0 and expires_at is not null and expires_at <= $2) from accounts where id = $1"
    );
    one(pool, by_id(SQL, id).bind(now), |row| {
        let account = decode::account(row)?;
        let overdue = decode::int(row, 10)?;
        Ok(AccountRow { held_minor: account.held_minor.saturating_sub(overdue), ..account })
    })
    .await
}

pub(in crate::store) async fn house_accounts(pool: &Pool) -> Result<Vec<AccountRow>, Error> {
    const SQL: &str =
        concat!("select ", account_columns!(), " from accounts where name <> '' order by name, currency");
    all(pool, sqlx::query(SQL), decode::account).await
}

pub(in crate::store) async fn totals(pool: &Pool) -> Result<Vec<Total>, Error> {
    // The sums are cast since PostgreSQL makes them numeric.
    const SQL: &str = "select kind, currency, cast(sum(balance_minor) as bigint), cast(sum(held_minor) as bigint), \
                       count(*) from accounts group by kind, currency order by currency, kind";
    all(pool, sqlx::query(SQL), |row| {
        Ok(Total {
            kind: decode::kind(row, 0)?,
            currency: decode::currency(row, 1)?,
            balance_minor: decode::int(row, 2)?,
            held_minor: decode::int(row, 3)?,
            accounts: decode::int(row, 4)?,
        })
    })
    .await
}

pub(in crate::store) async fn pins_by_pepper(pool: &Pool) -> Result<Vec<(i32, i64)>, Error> {
    const SQL: &str = "select pin_pepper, count(*) from payers where pin_hash is not null \
        group by pin_pepper order by pin_pepper";
    all(pool, sqlx::query(SQL), decode::pepper_count).await
}

pub(in crate::store) async fn bindings_of(pool: &Pool, account: Id) -> Result<Vec<BindingRow>, Error> {
    const SQL: &str =
        concat!("select ", binding_columns!(), " from bindings where account = $1 order by bound_at, msisdn");
    all(pool, by_id(SQL, account), decode::binding).await
}

pub(in crate::store) async fn payment_by_reference(
    pool: &Pool,
    reference: &str,
) -> Result<Option<PaymentRow>, Error> {
    const SQL: &str = concat!("select ", payment_columns!(), " from payments where reference = $1");
    one(pool, sqlx::query(SQL).bind(reference.to_owned()), decode::payment).await
}

pub(in crate::store) async fn payment_by_attempt(
    pool: &Pool,
    reference: &str,
) -> Result<Option<PaymentRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        payment_columns!(),
        " from payments where id = (select payment from attempts where reference = $1)"
    );
    one(pool, sqlx::query(SQL).bind(reference.to_owned()), decode::payment).await
}

pub(in crate::store) async fn payments(
    pool: &Pool,
    filter: &PaymentFilter,
) -> Result<Vec<PaymentRow>, Error> {
    let mut sql = concat!("select ", payment_columns!(), " from payments where created_at >= $1").to_owned();
    let mut next = 1;
    let mut and = |sql: &mut String, condition: &str| {
        next += 1;
        sql.push_str(&format!(" and {condition} ${next}"));
    };
    if filter.until.is_some() {
        and(&mut sql, "created_at <");
    }
    if filter.account.is_some() {
        and(&mut sql, "account =");
    }
    if filter.state.is_some() {
        and(&mut sql, "state =");
    }
    if filter.target.is_some() {
        and(&mut sql, "target =");
    }
    sql.push_str(&format!(" order by created_at desc, id desc limit ${}", next + 1));
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(filter.since.unwrap_or(i64::MIN));
    if let Some(until) = filter.until {
        query = query.bind(until);
    }
    if let Some(account) = filter.account {
        query = query.bind(account.0.to_vec());
    }
    if let Some(state) = filter.state {
        query = query.bind(i64::from(state.number()));
    }
    if let Some(target) = &filter.target {
        query = query.bind(target.text());
    }
    all(pool, query.bind(i64::from(filter.limit)), decode::payment).await
}

pub(in crate::store) async fn open_payments(
    pool: &Pool,
    states: &[State],
    limit: u32,
) -> Result<Vec<PaymentRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        payment_columns!(),
        " from payments where id in (select id from open_payments where state = $1 order by created_at, id limit $2)"
    );
    let mut found = Vec::new();
    for state in states {
        let query = sqlx::query(SQL).bind(i64::from(state.number())).bind(i64::from(limit));
        found.extend(all(pool, query, decode::payment).await?);
    }
    found.sort_by_key(|payment| (payment.created_at, payment.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

pub(in crate::store) async fn due_payments(
    pool: &Pool,
    now: i64,
    limit: u32,
) -> Result<Vec<PaymentRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        payment_columns!(),
        " from payments where id in (select id from open_payments where next_check_at is not null \
         and next_check_at <= $1 order by next_check_at, id limit $2) order by next_check_at, id"
    );
    all(pool, sqlx::query(SQL).bind(now).bind(i64::from(limit)), decode::payment).await
}

pub(in crate::store) async fn claim_payment(
    pool: &Pool,
    id: Id,
    version: i64,
    seen: i64,
    until: i64,
) -> Result<bool, Error> {
    const SQL: &str =
        "update payments set next_check_at = $1 where id = $2 and version = $3 and next_check_at = $4";
    const LISTED: &str = "update open_payments set next_check_at = $1 where id = $2";
    let mut both = pool.begin().await?;
    let query = sqlx::query(SQL).bind(until).bind(id.0.to_vec()).bind(version).bind(seen);
    let taken = query.execute(&mut *both).await?.rows_affected() == 1;
    if taken {
        sqlx::query(LISTED).bind(until).bind(id.0.to_vec()).execute(&mut *both).await?;
    }
    both.commit().await?;
    Ok(taken)
}

pub(in crate::store) async fn events(pool: &Pool, payment: Id) -> Result<Vec<EventRow>, Error> {
    const SQL: &str =
        concat!("select ", event_columns!(), " from payment_events where payment = $1 order by version");
    all(pool, by_id(SQL, payment), decode::event).await
}

pub(in crate::store) async fn attempts(pool: &Pool, payment: Id) -> Result<Vec<AttemptRow>, Error> {
    const SQL: &str =
        concat!("select ", attempt_columns!(), " from attempts where payment = $1 order by number");
    all(pool, by_id(SQL, payment), decode::attempt).await
}

pub(in crate::store) async fn attempt_by_reference(
    pool: &Pool,
    reference: &str,
) -> Result<Option<AttemptRow>, Error> {
    const SQL: &str = concat!("select ", attempt_columns!(), " from attempts where reference = $1");
    one(pool, sqlx::query(SQL).bind(reference.to_owned()), decode::attempt).await
}

pub(in crate::store) async fn pair(pool: &Pool, key: &PairKey) -> Result<Option<PairRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        pair_columns!(),
        " from pairs where account = $1 and target = $2 and amount_minor = $3"
    );
    let query = by_id(SQL, key.account).bind(key.target.text()).bind(key.amount_minor);
    one(pool, query, decode::pair).await
}

pub(in crate::store) async fn counter(pool: &Pool, key: &CounterKey) -> Result<Option<CounterRow>, Error> {
    const SQL: &str =
        concat!("select ", counter_columns!(), " from counters where scope = $1 and owner = $2 and day = $3");
    let query = sqlx::query(SQL).bind(i64::from(key.scope)).bind(key.owner.clone()).bind(i64::from(key.day));
    one(pool, query, decode::counter).await
}

pub(in crate::store) async fn suspensions(pool: &Pool) -> Result<Vec<SuspensionRow>, Error> {
    const SQL: &str = concat!("select ", suspension_columns!(), " from suspensions order by scope, key");
    all(pool, sqlx::query(SQL), decode::suspension).await
}

pub(in crate::store) async fn hold(pool: &Pool, id: Id) -> Result<Option<HoldRow>, Error> {
    const SQL: &str = concat!("select ", hold_columns!(), " from holds where id = $1");
    one(pool, by_id(SQL, id), decode::hold).await
}

pub(in crate::store) async fn due_holds(pool: &Pool, now: i64, limit: u32) -> Result<Vec<HoldRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        hold_columns!(),
        " from holds where state = 0 and expires_at is not null and expires_at <= $1 order by expires_at limit $2"
    );
    all(pool, sqlx::query(SQL).bind(now).bind(i64::from(limit)), decode::hold).await
}

pub(in crate::store) async fn transfer(pool: &Pool, id: Id) -> Result<Option<TransferRow>, Error> {
    const SQL: &str = concat!("select ", transfer_columns!(), " from transfers where id = $1");
    one(pool, by_id(SQL, id), decode::transfer).await
}

pub(in crate::store) async fn entries_of(
    pool: &Pool,
    account: Id,
    newest: Option<Id>,
    limit: u32,
) -> Result<Vec<EntryRow>, Error> {
    // One look-up by the primary key for each entry, along the chain.
    const SQL: &str = "with recursive chain (transfer, account, sequence, amount_minor, balance_after_minor, previous, n) \
                       as (select e.transfer, e.account, e.sequence, e.amount_minor, e.balance_after_minor, \
                       e.previous, 1 from entries e where e.transfer = $1 and e.account = $2 \
                       union all select e.transfer, e.account, e.sequence, e.amount_minor, e.balance_after_minor, \
                       e.previous, c.n + 1 from chain c join entries e on e.transfer = c.previous \
                       and e.account = c.account where c.n < $3) \
                       select transfer, account, sequence, amount_minor, balance_after_minor, previous from chain \
                       order by sequence desc";
    let Some(newest) = newest.filter(|_| limit > 0) else { return Ok(Vec::new()) };
    let query = by_id(SQL, newest).bind(account.0.to_vec()).bind(i64::from(limit));
    all(pool, query, decode::entry).await
}

pub(in crate::store) async fn entries_of_payment(pool: &Pool, payment: Id) -> Result<Vec<EntryRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        entry_columns!(),
        " from entries where transfer in (select id from transfers where payment = $1) order by transfer, account"
    );
    all(pool, by_id(SQL, payment), decode::entry).await
}

/// Kept sessions in the order of their ids.
pub(in crate::store) async fn kept_sessions(
    pool: &Pool,
    after: Id,
    limit: u32,
) -> Result<Vec<SessionRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from sessions where key is not null and id > $1 order by id limit $2"
    );
    all(pool, by_id(SQL, after).bind(i64::from(limit)), decode::session).await
}

/// The session that a caller saved last in a flow, and that no channel keeps.
pub(in crate::store) async fn session_of(
    pool: &Pool,
    caller: &Msisdn,
    flow: &str,
    now: i64,
) -> Result<Option<SessionRow>, Error> {
    const SQL: &str = concat!(
        "select ",
        session_columns!(),
        " from sessions where caller = $1 and flow = $2 and key is null and expires_at > $3 ",
        "order by saved_at desc, id limit 1"
    );
    let query = sqlx::query(SQL).bind(caller.as_str().to_owned()).bind(flow.to_owned()).bind(now);
    one(pool, query, decode::session).await
}

pub(in crate::store) async fn forget_sessions(
    pool: &Pool,
    now: i64,
    keyed_before: i64,
) -> Result<u64, Error> {
    const SQL: &str = "delete from sessions where expires_at <= $1 and (key is null or expires_at <= $2)";
    Ok(sqlx::query(SQL).bind(now).bind(keyed_before).execute(pool).await?.rows_affected())
}

pub(in crate::store) async fn committed(pool: &Pool, writer: Id, batch: i64) -> Result<bool, Error> {
    const SQL: &str = "select batch from writers where id = $1";
    let last = one(pool, by_id(SQL, writer), |row| decode::int(row, 0)).await?;
    Ok(last.is_some_and(|last| last >= batch))
}
