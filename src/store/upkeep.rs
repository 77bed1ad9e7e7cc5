//! Forgetting and erasing: the few statements that change rows outside a batch, each in small pieces or in a transaction of its
//! own. Compiled once for each database, whose types the parent module names.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::store::error::Error;

use super::Pool;

/// Texts that are at their end, and older than that.
pub(in crate::store) async fn forget_outbox(pool: &Pool, before: i64, limit: u32) -> Result<u64, Error> {
    const SQL: &str = "delete from outbox where id in (select id from outbox where state in (1, 2, 4, 5, 6) \
                       and created_at < $1 limit $2)";
    Ok(sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(pool).await?.rows_affected())
}

/// What is done with a number that belongs to nobody else.
const OWN: &[&str] = &[
    "delete from pairs where target = $2 and exists (select 1 from pairs q where q.account = pairs.account \
     and q.target = $1 and q.amount_minor = pairs.amount_minor and q.state <> 1)",
    "update payments set target = $2 where target = $1 and state in (4, 5, 8) and not exists \
     (select 1 from pairs q where q.account = payments.account and q.target = $1 \
     and q.amount_minor = payments.amount_minor and q.state = 1)",
    "update pairs set target = $2 where target = $1 and state <> 1",
    "update payments set caller = $2 where caller = $1 and state in (4, 5, 8)",
    "update charges set buyer_phone = $2 where buyer_phone = $1 and state in (3, 5, 6, 7, 8, 9, 10)",
    "update orders set customer = $2 where customer = $1 and state not in (0, 1, 5)",
];
/// Likewise, where nothing takes the place of the number.
const OWN_GONE: &[&str] = &[
    "delete from outbox where recipient = $1 and state in (1, 2, 4, 5, 6)",
    "delete from sessions where caller = $1",
    "delete from pin_choices where phone = $1",
];
/// What is done when the number is of another account by now.
const OLD: &[&str] =
    &["update payments set caller = $2 where caller = $1 and account = $3 and state in (4, 5, 8)"];

/// Puts a pseudonym in the place of a number, and drops texts and conversations of it. Of one that is bound to another account
/// by now only what `account` paid is changed. Gives how many rows were changed.
pub(in crate::store) async fn erase_number(
    pool: &Pool,
    account: Id,
    number: &Msisdn,
    pseudonym: &Msisdn,
    other: bool,
) -> Result<u64, Error> {
    let mut changed = 0_u64;
    let mut all = pool.begin().await?;
    let (number, pseudonym) = (number.as_str(), pseudonym.as_str());
    if other {
        for sql in OLD {
            let query = sqlx::query(*sql).bind(number.to_owned()).bind(pseudonym.to_owned());
            let done = query.bind(account.0.to_vec()).execute(&mut *all).await?;
            changed = changed.saturating_add(done.rows_affected());
        }
    } else {
        for sql in OWN {
            let query = sqlx::query(*sql).bind(number.to_owned()).bind(pseudonym.to_owned());
            changed = changed.saturating_add(query.execute(&mut *all).await?.rows_affected());
        }
        for sql in OWN_GONE {
            let query = sqlx::query(*sql).bind(number.to_owned());
            changed = changed.saturating_add(query.execute(&mut *all).await?.rows_affected());
        }
    }
    all.commit().await?;
    Ok(changed)
}
