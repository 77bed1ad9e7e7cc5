//! Writes a batch: one statement for each kind of change, its rows as arrays. The parts that every batch has share one
//! statement, so that a small batch waits for the server only once; a full one sends transfers and entries by COPY.

use sqlx::postgres::{PgArguments, PgConnection};

use crate::ledger::row::{AccountRow, HoldRow, Id};
use crate::msisdn::Msisdn;
use crate::payment::row::{
    AttemptRow, BindingRow, CounterRow, EventRow, PairRow, PayerRow, PaymentRow, SuspensionRow,
};
use crate::store::Stamp;
use crate::store::columns::{
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, event_columns,
    hold_columns, pair_columns, payer_columns, payment_columns, suspension_columns, transfer_columns,
};
use crate::store::error::Error;
use crate::store::keys::Changes;

use super::{copy, messages, records};

/// Rows from which on they are sent by COPY.
const COPY_MIN: usize = 128;

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

pub(super) async fn write(conn: &mut PgConnection, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
    open_accounts(conn, &changes.accounts.added).await?;
    write_books(conn, changes, stamp).await?;
    place_holds(conn, &changes.holds.added).await?;
    change_holds(conn, &changes.holds.changed).await?;
    add_payers(conn, &changes.payers.added).await?;
    change_payers(conn, &changes.payers.changed).await?;
    unbind_numbers(conn, &changes.unbound).await?;
    bind_numbers(conn, &changes.bindings.added).await?;
    rebind_numbers(conn, &changes.bindings.changed).await?;
    add_payments(conn, &changes.payments.added).await?;
    move_payments(conn, &changes.payments.changed).await?;
    let listed = changes.listed();
    list_new(conn, &listed.added).await?;
    list_open(conn, &listed.changed).await?;
    unlist_ended(conn, &listed.ended).await?;
    add_events(conn, &changes.events).await?;
    add_attempts(conn, &changes.attempts.added).await?;
    answer_attempts(conn, &changes.attempts.changed).await?;
    add_counters(conn, &changes.counters.added).await?;
    change_counters(conn, &changes.counters.changed).await?;
    add_pairs(conn, &changes.pairs.added).await?;
    change_pairs(conn, &changes.pairs.changed).await?;
    messages::write(conn, changes).await?;
    records::write(conn, changes).await?;
    suspend(conn, &changes.suspended).await?;
    resume(conn, &changes.resumed).await
}

/// Transfers, entries, totals and the stamp.
async fn write_books(conn: &mut PgConnection, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
    const SQL: &str = concat!(
        "with added as (insert into transfers (",
        transfer_columns!(),
        ") select * from unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[], ",
        "$7::bytea[], $8::bigint[])), entered as (insert into entries (",
        entry_columns!(),
        ") select * from unnest($9::bytea[], $10::bytea[], $11::bigint[], $12::bigint[], $13::bigint[], ",
        "$14::bytea[])), summed as (update accounts set balance_minor = v.balance_minor, ",
        "held_minor = v.held_minor, entries = v.entries, last_transfer = v.last_transfer ",
        "from unnest($15::bytea[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bytea[]) ",
        "as v (id, balance_minor, held_minor, entries, last_transfer) where accounts.id = v.id) ",
        "insert into writers (id, batch, at) values ($20, $21, $22) ",
        "on conflict (id) do update set batch = excluded.batch, at = excluded.at"
    );
    let (mut transfers, mut entries) = (changes.transfers.as_slice(), changes.entries.as_slice());
    if transfers.len() >= COPY_MIN {
        copy::transfers(conn, transfers).await?;
        copy::entries(conn, entries).await?;
        (transfers, entries) = (&[], &[]);
    }
    let accounts = changes.accounts.changed.as_slice();
    let query = sqlx::query(SQL)
        .bind(column(transfers, |row| id(row.id)))
        .bind(column(transfers, |row| i64::from(row.act)))
        .bind(column(transfers, |row| row.fingerprint))
        .bind(column(transfers, |row| i64::from(row.outcome)))
        .bind(column(transfers, |row| row.outcome_minor))
        .bind(column(transfers, |row| row.refers_to.map(id)))
        .bind(column(transfers, |row| row.payment.map(id)))
        .bind(column(transfers, |row| row.at))
        .bind(column(entries, |row| id(row.transfer)))
        .bind(column(entries, |row| id(row.account)))
        .bind(column(entries, |row| row.sequence))
        .bind(column(entries, |row| row.amount_minor))
        .bind(column(entries, |row| row.balance_after_minor))
        .bind(column(entries, |row| row.previous.map(id)))
        .bind(column(accounts, |row| id(row.id)))
        .bind(column(accounts, |row| row.balance_minor))
        .bind(column(accounts, |row| row.held_minor))
        .bind(column(accounts, |row| row.entries))
        .bind(column(accounts, |row| row.last_transfer.map(id)))
        .bind(id(stamp.writer))
        .bind(stamp.batch)
        .bind(stamp.at);
    run(conn, query).await
}

pub(super) fn id(id: Id) -> [u8; 16] {
    id.0
}

/// One value of each row: an array for the server.
pub(super) fn column<'r, R, V>(rows: &'r [R], value: impl Fn(&'r R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

pub(super) async fn run(conn: &mut PgConnection, query: Query<'_>) -> Result<(), Error> {
    query.execute(conn).await?;
    Ok(())
}

async fn open_accounts(conn: &mut PgConnection, rows: &[AccountRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into accounts (",
        account_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], ",
        "$7::bigint[], $8::bigint[], $9::bytea[], $10::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| i64::from(row.kind.number())))
        .bind(column(rows, |row| row.name.as_str()))
        .bind(column(rows, |row| row.currency.code()))
        .bind(column(rows, |row| row.floor_minor))
        .bind(column(rows, |row| row.balance_minor))
        .bind(column(rows, |row| row.held_minor))
        .bind(column(rows, |row| row.entries))
        .bind(column(rows, |row| row.last_transfer.map(id)))
        .bind(column(rows, |row| row.opened_at));
    run(conn, query).await
}

async fn place_holds(conn: &mut PgConnection, rows: &[HoldRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into holds (",
        hold_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| id(row.account)))
        .bind(column(rows, |row| row.amount_minor))
        .bind(column(rows, |row| row.expires_at))
        .bind(column(rows, |row| i64::from(row.state)))
        .bind(column(rows, |row| row.resolved_by.map(id)));
    run(conn, query).await
}

async fn change_holds(conn: &mut PgConnection, rows: &[HoldRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update holds set expires_at = v.expires_at, state = v.state, resolved_by = v.resolved_by from",
        " unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[])",
        " as v (id, expires_at, state, resolved_by) where holds.id = v.id"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| row.expires_at))
        .bind(column(rows, |row| i64::from(row.state)))
        .bind(column(rows, |row| row.resolved_by.map(id)));
    run(conn, query).await
}

async fn add_payments(conn: &mut PgConnection, rows: &[PaymentRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    if rows.len() >= COPY_MIN {
        return copy::payments(conn, rows).await;
    }
    const SQL: &str = concat!(
        "insert into payments (",
        payment_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::text[], $7::text[], ",
        "$8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::text[], ",
        "$14::bigint[], $15::bytea[], $16::text[], $17::text[], $18::bigint[], $19::bigint[], ",
        "$20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::text[], $25::text[], $26::text[], ",
        "$27::bytea[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| row.reference.as_str()))
        .bind(column(rows, |row| id(row.account)))
        .bind(column(rows, |row| row.caller.as_ref().map(Msisdn::as_str)))
        .bind(column(rows, |row| i64::from(row.channel)))
        .bind(column(rows, |row| row.product.as_str()))
        .bind(column(rows, |row| row.target.text()))
        .bind(column(rows, |row| row.amount_minor))
        .bind(column(rows, |row| row.fee_minor))
        .bind(column(rows, |row| row.cost_minor))
        .bind(column(rows, |row| row.currency.code()))
        .bind(column(rows, |row| i64::from(row.state.number())))
        .bind(column(rows, |row| row.class.as_deref()))
        .bind(column(rows, |row| i64::from(row.business_day)))
        .bind(column(rows, |row| id(row.hold)))
        .bind(column(rows, |row| row.connector.as_str()))
        .bind(column(rows, |row| row.carrier_reference.as_deref()))
        .bind(column(rows, |row| row.created_at))
        .bind(column(rows, |row| row.updated_at))
        .bind(column(rows, |row| row.next_check_at))
        .bind(column(rows, |row| i64::from(row.checks)))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| row.tax_minor))
        .bind(column(rows, |row| row.payee.as_deref()))
        .bind(column(rows, |row| row.quote.as_deref()))
        .bind(column(rows, |row| row.provider.as_deref()))
        .bind(column(rows, |row| row.deal.map(id)));
    run(conn, query).await
}

async fn move_payments(conn: &mut PgConnection, rows: &[PaymentRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update payments set state = v.state, class = v.class, carrier_reference = v.carrier_reference, ",
        "cost_minor = v.cost_minor, updated_at = v.updated_at, next_check_at = v.next_check_at, checks = ",
        "v.checks, version = v.version, connector = v.connector from",
        " unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], ",
        "$7::bigint[], $8::bigint[], $9::bigint[], $10::text[])",
        " as v (id, state, class, carrier_reference, cost_minor, updated_at, next_check_at, checks, ",
        "version, connector) where payments.id = v.id"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| i64::from(row.state.number())))
        .bind(column(rows, |row| row.class.as_deref()))
        .bind(column(rows, |row| row.carrier_reference.as_deref()))
        .bind(column(rows, |row| row.cost_minor))
        .bind(column(rows, |row| row.updated_at))
        .bind(column(rows, |row| row.next_check_at))
        .bind(column(rows, |row| i64::from(row.checks)))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| row.connector.as_str()));
    run(conn, query).await
}

/// Inserts into the list of open payments.
macro_rules! list {
    () => {
        "insert into open_payments (id, state, created_at, next_check_at) \
         select * from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])"
    };
}

async fn list_new(conn: &mut PgConnection, rows: &[&PaymentRow]) -> Result<(), Error> {
    list(conn, list!(), rows).await
}

/// One that was at an end may be open again.
async fn list_open(conn: &mut PgConnection, rows: &[&PaymentRow]) -> Result<(), Error> {
    const SQL: &str = concat!(
        list!(),
        " on conflict (id) do update set state = excluded.state, next_check_at = excluded.next_check_at"
    );
    list(conn, SQL, rows).await
}

async fn list(conn: &mut PgConnection, sql: &'static str, rows: &[&PaymentRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(sql)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| i64::from(row.state.number())))
        .bind(column(rows, |row| row.created_at))
        .bind(column(rows, |row| row.next_check_at));
    run(conn, query).await
}

async fn unlist_ended(conn: &mut PgConnection, ids: &[Id]) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let query = sqlx::query("delete from open_payments where id = any($1)");
    run(conn, query.bind(column(ids, |row| id(*row)))).await
}

async fn add_events(conn: &mut PgConnection, rows: &[EventRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    if rows.len() >= COPY_MIN {
        return copy::events(conn, rows).await;
    }
    const SQL: &str = concat!(
        "insert into payment_events (",
        event_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.payment)))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| i64::from(row.state.number())))
        .bind(column(rows, |row| row.detail.as_str()))
        .bind(column(rows, |row| row.at));
    run(conn, query).await
}

async fn add_attempts(conn: &mut PgConnection, rows: &[AttemptRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    if rows.len() >= COPY_MIN {
        return copy::attempts(conn, rows).await;
    }
    const SQL: &str = concat!(
        "insert into attempts (",
        attempt_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], ",
        "$7::bigint[], $8::text[], $9::text[], $10::text[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| id(row.payment)))
        .bind(column(rows, |row| i64::from(row.number)))
        .bind(column(rows, |row| row.connector.as_str()))
        .bind(column(rows, |row| row.reference.as_str()))
        .bind(column(rows, |row| row.created_at))
        .bind(column(rows, |row| row.answered_at))
        .bind(column(rows, |row| row.outcome.as_deref()))
        .bind(column(rows, |row| row.code.as_deref()))
        .bind(column(rows, |row| row.carrier_reference.as_deref()));
    run(conn, query).await
}

async fn answer_attempts(conn: &mut PgConnection, rows: &[AttemptRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update attempts set answered_at = v.answered_at, outcome = v.outcome, code = v.code, ",
        "carrier_reference = v.carrier_reference from",
        " unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[])",
        " as v (id, answered_at, outcome, code, carrier_reference) where attempts.id = v.id"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| row.answered_at))
        .bind(column(rows, |row| row.outcome.as_deref()))
        .bind(column(rows, |row| row.code.as_deref()))
        .bind(column(rows, |row| row.carrier_reference.as_deref()));
    run(conn, query).await
}

async fn add_counters(conn: &mut PgConnection, rows: &[CounterRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into counters (",
        counter_columns!(),
        ") select * from",
        " unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| i64::from(row.key.scope)))
        .bind(column(rows, |row| row.key.owner.as_str()))
        .bind(column(rows, |row| i64::from(row.key.day)))
        .bind(column(rows, |row| row.used_minor))
        .bind(column(rows, |row| row.payments));
    run(conn, query).await
}

async fn change_counters(conn: &mut PgConnection, rows: &[CounterRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update counters set used_minor = v.used_minor, payments = v.payments from",
        " unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])",
        " as v (scope, owner, day, used_minor, payments) where counters.scope = v.scope and ",
        "counters.owner = v.owner and counters.day = v.day"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| i64::from(row.key.scope)))
        .bind(column(rows, |row| row.key.owner.as_str()))
        .bind(column(rows, |row| i64::from(row.key.day)))
        .bind(column(rows, |row| row.used_minor))
        .bind(column(rows, |row| row.payments));
    run(conn, query).await
}

async fn add_pairs(conn: &mut PgConnection, rows: &[PairRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into pairs (",
        pair_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.key.account)))
        .bind(column(rows, |row| row.key.target.text()))
        .bind(column(rows, |row| row.key.amount_minor))
        .bind(column(rows, |row| id(row.payment)))
        .bind(column(rows, |row| i64::from(row.state)))
        .bind(column(rows, |row| row.delivered_at));
    run(conn, query).await
}

async fn change_pairs(conn: &mut PgConnection, rows: &[PairRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update pairs set payment = v.payment, state = v.state, delivered_at = v.delivered_at from",
        " unnest($1::bytea[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[])",
        " as v (account, target, amount_minor, payment, state, delivered_at) where pairs.account = ",
        "v.account and pairs.target = v.target and pairs.amount_minor = v.amount_minor"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.key.account)))
        .bind(column(rows, |row| row.key.target.text()))
        .bind(column(rows, |row| row.key.amount_minor))
        .bind(column(rows, |row| id(row.payment)))
        .bind(column(rows, |row| i64::from(row.state)))
        .bind(column(rows, |row| row.delivered_at));
    run(conn, query).await
}

async fn add_payers(conn: &mut PgConnection, rows: &[PayerRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into payers (",
        payer_columns!(),
        ") select * from",
        " unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], ",
        "$7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.account)))
        .bind(column(rows, |row| i64::from(row.suspended)))
        .bind(column(rows, |row| row.user_day_limit_minor))
        .bind(column(rows, |row| row.user_payment_limit_minor))
        .bind(column(rows, |row| row.pin_hash.as_deref()))
        .bind(column(rows, |row| i64::from(row.pin_pepper)))
        .bind(column(rows, |row| i64::from(row.pin_tries)))
        .bind(column(rows, |row| row.pin_wait_until))
        .bind(column(rows, |row| i64::from(row.pin_locked)))
        .bind(column(rows, |row| row.created_at))
        .bind(column(rows, |row| row.version));
    run(conn, query).await
}

async fn change_payers(conn: &mut PgConnection, rows: &[PayerRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update payers set suspended = v.suspended, user_day_limit_minor = v.user_day_limit_minor, ",
        "user_payment_limit_minor = v.user_payment_limit_minor, pin_hash = v.pin_hash, pin_pepper = ",
        "v.pin_pepper, pin_tries = v.pin_tries, pin_wait_until = v.pin_wait_until, pin_locked = ",
        "v.pin_locked, version = v.version from",
        " unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], ",
        "$7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])",
        " as v (account, suspended, user_day_limit_minor, user_payment_limit_minor, pin_hash, ",
        "pin_pepper, pin_tries, pin_wait_until, pin_locked, version) where payers.account = v.account"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.account)))
        .bind(column(rows, |row| i64::from(row.suspended)))
        .bind(column(rows, |row| row.user_day_limit_minor))
        .bind(column(rows, |row| row.user_payment_limit_minor))
        .bind(column(rows, |row| row.pin_hash.as_deref()))
        .bind(column(rows, |row| i64::from(row.pin_pepper)))
        .bind(column(rows, |row| i64::from(row.pin_tries)))
        .bind(column(rows, |row| row.pin_wait_until))
        .bind(column(rows, |row| i64::from(row.pin_locked)))
        .bind(column(rows, |row| row.version));
    run(conn, query).await
}

async fn bind_numbers(conn: &mut PgConnection, rows: &[BindingRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into bindings (",
        binding_columns!(),
        ") select * from",
        " unnest($1::text[], $2::bytea[], $3::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| row.msisdn.as_str()))
        .bind(column(rows, |row| id(row.account)))
        .bind(column(rows, |row| row.bound_at));
    run(conn, query).await
}

async fn rebind_numbers(conn: &mut PgConnection, rows: &[BindingRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update bindings set account = v.account, bound_at = v.bound_at from",
        " unnest($1::text[], $2::bytea[], $3::bigint[])",
        " as v (msisdn, account, bound_at) where bindings.msisdn = v.msisdn"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| row.msisdn.as_str()))
        .bind(column(rows, |row| id(row.account)))
        .bind(column(rows, |row| row.bound_at));
    run(conn, query).await
}

async fn unbind_numbers(conn: &mut PgConnection, rows: &[Msisdn]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str =
        concat!("delete from bindings where msisdn in (select * from", " unnest($1::text[])", ")");
    let query = sqlx::query(SQL).bind(column(rows, |row| row.as_str()));
    run(conn, query).await
}

async fn suspend(conn: &mut PgConnection, rows: &[SuspensionRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into suspensions (",
        suspension_columns!(),
        ") select * from",
        " unnest($1::text[], $2::text[], $3::bigint[])",
        ""
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| row.scope.as_str()))
        .bind(column(rows, |row| row.key.as_str()))
        .bind(column(rows, |row| row.since));
    run(conn, query).await
}

async fn resume(conn: &mut PgConnection, rows: &[(String, String)]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "delete from suspensions where (scope, key) in (select * from",
        " unnest($1::text[], $2::text[])",
        ")"
    );
    let query =
        sqlx::query(SQL).bind(column(rows, |row| row.0.as_str())).bind(column(rows, |row| row.1.as_str()));
    run(conn, query).await
}
