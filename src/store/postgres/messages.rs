//! Writes the messages and conversations of a batch, as `write` does the rest.

use sqlx::postgres::PgConnection;

use crate::ledger::row::Id;
use crate::payment::row::{InboxRow, OutboxRow, PartRow, SessionRow};
use crate::store::columns::{inbox_columns, outbox_columns, part_columns, session_columns};
use crate::store::error::Error;
use crate::store::keys::Changes;

use super::write::{column, id, run};

pub(super) async fn write(conn: &mut PgConnection, changes: &Changes) -> Result<(), Error> {
    // What gives a key up goes before what takes it.
    by_ids(conn, "delete from sessions where id = any($1)", &changes.ended).await?;
    by_ids(conn, "update sessions set key = null where id = any($1)", &changes.released).await?;
    for sessions in [&changes.sessions.added, &changes.sessions.changed] {
        save_sessions(conn, sessions).await?;
    }
    queue(conn, &changes.outbox.added).await?;
    settle(conn, &changes.outbox.changed).await?;
    receive(conn, &changes.inbox.added).await?;
    receive_again(conn, &changes.inbox.changed).await?;
    by_ids(conn, "delete from parts where message = any($1)", &changes.dropped_parts).await?;
    keep_parts(conn, &changes.parts).await
}

async fn by_ids(conn: &mut PgConnection, sql: &'static str, rows: &[Id]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    run(conn, sqlx::query(sql).bind(column(rows, |row| id(*row)))).await
}

async fn save_sessions(conn: &mut PgConnection, rows: &[SessionRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into sessions (",
        session_columns!(),
        ") select * from unnest($1::bytea[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], ",
        "$7::bytea[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], ",
        "$14::text[]) ",
        "on conflict (id) do update set channel = excluded.channel, state = excluded.state, ",
        "account = excluded.account, payment = excluded.payment, revision = excluded.revision, ",
        "saved_at = excluded.saved_at, expires_at = excluded.expires_at, key = excluded.key, ",
        "dialogue = excluded.dialogue, route = excluded.route"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| row.caller.as_str()))
        .bind(column(rows, |row| i64::from(row.channel)))
        .bind(column(rows, |row| row.flow.as_str()))
        .bind(column(rows, |row| row.version.as_str()))
        .bind(column(rows, |row| row.state.as_str()))
        .bind(column(rows, |row| row.account.map(id)))
        .bind(column(rows, |row| row.payment.map(id)))
        .bind(column(rows, |row| row.revision))
        .bind(column(rows, |row| row.saved_at))
        .bind(column(rows, |row| row.expires_at))
        .bind(column(rows, |row| row.key.as_deref()))
        .bind(column(rows, |row| row.dialogue.as_deref()))
        .bind(column(rows, |row| row.route.as_deref()));
    run(conn, query).await
}

async fn queue(conn: &mut PgConnection, rows: &[OutboxRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into outbox (",
        outbox_columns!(),
        ") select * from unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], ",
        "$7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::text[], ",
        "$14::text[], $15::bytea[], $16::bigint[], $17::bigint[]) on conflict (id) do nothing"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| row.recipient.as_str()))
        .bind(column(rows, |row| row.body.as_str()))
        .bind(column(rows, |row| row.payment.map(id)))
        .bind(column(rows, |row| i64::from(row.state.number())))
        .bind(column(rows, |row| row.due_at))
        .bind(column(rows, |row| row.created_at))
        .bind(column(rows, |row| row.route.as_deref()))
        .bind(column(rows, |row| row.sender.as_deref()))
        .bind(column(rows, |row| i64::from(row.attempts)))
        .bind(column(rows, |row| i64::from(row.segments)))
        .bind(column(rows, |row| row.message_id.as_deref()))
        .bind(column(rows, |row| row.code.as_deref()))
        .bind(column(rows, |row| row.owner.map(id)))
        .bind(column(rows, |row| row.updated_at))
        .bind(column(rows, |row| row.expires_at));
    run(conn, query).await
}

async fn settle(conn: &mut PgConnection, rows: &[OutboxRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "update outbox set state = v.state, route = v.route, message_id = v.message_id, code = v.code, ",
        "attempts = v.attempts, segments = v.segments, due_at = v.due_at, owner = v.owner, ",
        "updated_at = v.updated_at from unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], ",
        "$6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[], $10::bigint[]) as v (id, state, route, ",
        "message_id, code, attempts, segments, due_at, owner, updated_at) where outbox.id = v.id"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.id)))
        .bind(column(rows, |row| i64::from(row.state.number())))
        .bind(column(rows, |row| row.route.as_deref()))
        .bind(column(rows, |row| row.message_id.as_deref()))
        .bind(column(rows, |row| row.code.as_deref()))
        .bind(column(rows, |row| i64::from(row.attempts)))
        .bind(column(rows, |row| i64::from(row.segments)))
        .bind(column(rows, |row| row.due_at))
        .bind(column(rows, |row| row.owner.map(id)))
        .bind(column(rows, |row| row.updated_at));
    run(conn, query).await
}

/// Of two nodes that receive the same message at once the second conflicts, judges again, and finds it there.
async fn receive(conn: &mut PgConnection, rows: &[InboxRow]) -> Result<(), Error> {
    const SQL: &str = concat!(
        "insert into inbox (",
        inbox_columns!(),
        ") select * from unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[])"
    );
    write_inbox(conn, SQL, rows).await
}

async fn receive_again(conn: &mut PgConnection, rows: &[InboxRow]) -> Result<(), Error> {
    const SQL: &str = concat!(
        "update inbox set route = v.route, link = v.link, caller = v.caller, channel = v.channel, ",
        "received_at = v.received_at from unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], ",
        "$5::bigint[], $6::bigint[]) as v (key, route, link, caller, channel, received_at) where inbox.key = v.key"
    );
    write_inbox(conn, SQL, rows).await
}

async fn write_inbox(conn: &mut PgConnection, sql: &'static str, rows: &[InboxRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(sql)
        .bind(column(rows, |row| id(row.key)))
        .bind(column(rows, |row| row.route.as_str()))
        .bind(column(rows, |row| id(row.link)))
        .bind(column(rows, |row| row.caller.as_str()))
        .bind(column(rows, |row| i64::from(row.channel)))
        .bind(column(rows, |row| row.received_at));
    run(conn, query).await
}

async fn keep_parts(conn: &mut PgConnection, rows: &[PartRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    const SQL: &str = concat!(
        "insert into parts (",
        part_columns!(),
        ") select * from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[]) ",
        "on conflict (message, number) do nothing"
    );
    let query = sqlx::query(SQL)
        .bind(column(rows, |row| id(row.message)))
        .bind(column(rows, |row| i64::from(row.number)))
        .bind(column(rows, |row| i64::from(row.total)))
        .bind(column(rows, |row| row.sealed.as_slice()))
        .bind(column(rows, |row| row.received_at));
    run(conn, query).await
}
