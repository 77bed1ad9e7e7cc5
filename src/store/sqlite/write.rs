//! Writes a batch: a few statements of many rows each. Row counts are cut into powers of four, so that the prepared
//! statements are few and are there already.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteArguments;

use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::payment::row::{
    AttemptRow, BindingRow, CounterRow, EventRow, InboxRow, OutboxRow, PairRow, PartRow, PayerRow,
    PaymentRow, SessionRow, SuspensionRow,
};
use crate::store::Stamp;
use crate::store::columns::{
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, event_columns,
    hold_columns, inbox_columns, outbox_columns, pair_columns, part_columns, payer_columns, payment_columns,
    session_columns, suspension_columns, transfer_columns,
};
use crate::store::error::Error;
use crate::store::keys::{Changes, Listed};

use super::{Writing, records};

/// Rows of one statement, largest first.
const ROWS: &[usize] = &[1024, 256, 64, 16, 4, 1];

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;
type Bind<T> = for<'q> fn(Query<'q>, &T) -> Query<'q>;

/// A statement over many rows: what stands before and after the list of values, and how many values a row has.
struct Shape {
    before: &'static str,
    after: &'static str,
    columns: usize,
}

pub(super) async fn write(writing: &mut Writing, changes: &Changes, stamp: Stamp) -> Result<(), Error> {
    let listed = changes.listed();
    let mut texts = std::mem::take(&mut writing.texts);
    let mut statements = Statements { texts: &mut texts, made: Vec::new() };
    write_ledger(&mut statements, changes);
    write_payment(&mut statements, changes);
    write_list(&mut statements, &listed);
    write_small(&mut statements, changes);
    write_messages(&mut statements, changes);
    let made = statements.made;
    writing.texts = texts;
    run(writing, made).await?;
    records::write(&mut writing.conn, changes).await?;
    const STAMP: &str = "insert into writers (id, batch, at) values ($1, $2, $3) \
                         on conflict (id) do update set batch = excluded.batch, at = excluded.at";
    sqlx::query(STAMP)
        .bind(stamp.writer.0.to_vec())
        .bind(stamp.batch)
        .bind(stamp.at)
        .execute(&mut writing.conn)
        .await?;
    Ok(())
}

fn write_ledger<'r>(statements: &mut Statements<'_, 'r>, changes: &'r Changes) {
    const OPEN: Shape = Shape {
        before: concat!("insert into accounts (", account_columns!(), ") values "),
        after: "",
        columns: 10,
    };
    const TOTALS: Shape = Shape {
        before: "update accounts set balance_minor = v.column2, held_minor = v.column3, entries = v.column4, \
                 last_transfer = v.column5 from (values ",
        after: ") as v where accounts.id = v.column1",
        columns: 5,
    };
    const TRANSFERS: Shape = Shape {
        before: concat!("insert into transfers (", transfer_columns!(), ") values "),
        after: "",
        columns: 8,
    };
    const ENTRIES: Shape = Shape {
        before: concat!("insert into entries (", entry_columns!(), ") values "),
        after: "",
        columns: 6,
    };
    const PLACED: Shape =
        Shape { before: concat!("insert into holds (", hold_columns!(), ") values "), after: "", columns: 6 };
    const HOLDS: Shape = Shape {
        before: "update holds set expires_at = v.column2, state = v.column3, resolved_by = v.column4 from (values ",
        after: ") as v where holds.id = v.column1",
        columns: 4,
    };
    statements.rows(&OPEN, &changes.accounts.added, bind_account);
    statements.rows(&TOTALS, &changes.accounts.changed, bind_totals);
    statements.rows(&TRANSFERS, &changes.transfers, bind_transfer);
    statements.rows(&ENTRIES, &changes.entries, bind_entry);
    statements.rows(&PLACED, &changes.holds.added, bind_hold);
    statements.rows(&HOLDS, &changes.holds.changed, bind_hold_end);
}

fn write_payment<'r>(statements: &mut Statements<'_, 'r>, changes: &'r Changes) {
    const PAYMENTS: Shape = Shape {
        before: concat!("insert into payments (", payment_columns!(), ") values "),
        after: "",
        columns: 27,
    };
    const MOVED: Shape = Shape {
        before: "update payments set state = v.column2, class = v.column3, carrier_reference = v.column4, \
                 cost_minor = v.column5, updated_at = v.column6, next_check_at = v.column7, checks = v.column8, \
                 version = v.column9, connector = v.column10 from (values ",
        after: ") as v where payments.id = v.column1",
        columns: 10,
    };
    const EVENTS: Shape = Shape {
        before: concat!("insert into payment_events (", event_columns!(), ") values "),
        after: "",
        columns: 5,
    };
    const ATTEMPTS: Shape = Shape {
        before: concat!("insert into attempts (", attempt_columns!(), ") values "),
        after: "",
        columns: 10,
    };
    const ANSWERED: Shape = Shape {
        before: "update attempts set answered_at = v.column2, outcome = v.column3, code = v.column4, \
                 carrier_reference = v.column5 from (values ",
        after: ") as v where attempts.id = v.column1",
        columns: 5,
    };
    const COUNTERS: Shape = Shape {
        before: concat!("insert into counters (", counter_columns!(), ") values "),
        after: " on conflict (scope, owner, day) do update set used_minor = excluded.used_minor, \
                payments = excluded.payments",
        columns: 5,
    };
    const PAIRS: Shape = Shape {
        before: concat!("insert into pairs (", pair_columns!(), ") values "),
        after: " on conflict (account, target, amount_minor) do update set payment = excluded.payment, \
                state = excluded.state, delivered_at = excluded.delivered_at",
        columns: 6,
    };
    statements.rows(&PAYMENTS, &changes.payments.added, bind_payment);
    statements.rows(&MOVED, &changes.payments.changed, bind_moved);
    statements.rows(&EVENTS, &changes.events, bind_event);
    statements.rows(&ATTEMPTS, &changes.attempts.added, bind_attempt);
    statements.rows(&ANSWERED, &changes.attempts.changed, bind_answered);
    for counters in [&changes.counters.added, &changes.counters.changed] {
        statements.rows(&COUNTERS, counters, bind_counter);
    }
    for pairs in [&changes.pairs.added, &changes.pairs.changed] {
        statements.rows(&PAIRS, pairs, bind_pair);
    }
}

/// The list of open payments.
fn write_list<'r>(statements: &mut Statements<'_, 'r>, listed: &'r Listed<'r>) {
    const OPEN: Shape = Shape {
        before: "insert into open_payments (id, state, created_at, next_check_at) values ",
        after: " on conflict (id) do update set state = excluded.state, next_check_at = excluded.next_check_at",
        columns: 4,
    };
    const ENDED: Shape =
        Shape { before: "delete from open_payments where id in (values ", after: ")", columns: 1 };
    let bind: Bind<&PaymentRow> = |query, row| {
        let query = query.bind(row.id.0.to_vec()).bind(i64::from(row.state.number()));
        query.bind(row.created_at).bind(row.next_check_at)
    };
    statements.rows(&OPEN, &listed.added, bind);
    statements.rows(&OPEN, &listed.changed, bind);
    statements.rows(&ENDED, &listed.ended, bind_id);
}

fn write_small<'r>(statements: &mut Statements<'_, 'r>, changes: &'r Changes) {
    const PAYERS: Shape = Shape {
        before: concat!("insert into payers (", payer_columns!(), ") values "),
        after: " on conflict (account) do update set suspended = excluded.suspended, \
                user_day_limit_minor = excluded.user_day_limit_minor, \
                user_payment_limit_minor = excluded.user_payment_limit_minor, pin_hash = excluded.pin_hash, \
                pin_pepper = excluded.pin_pepper, pin_tries = excluded.pin_tries, \
                pin_wait_until = excluded.pin_wait_until, pin_locked = excluded.pin_locked, \
                version = excluded.version",
        columns: 11,
    };
    const BIND: Shape = Shape {
        before: concat!("insert into bindings (", binding_columns!(), ") values "),
        after: "",
        columns: 3,
    };
    const REBIND: Shape = Shape {
        before: "update bindings set account = v.column2, bound_at = v.column3 from (values ",
        after: ") as v where bindings.msisdn = v.column1",
        columns: 3,
    };
    const UNBIND: Shape =
        Shape { before: "delete from bindings where msisdn in (values ", after: ")", columns: 1 };
    const SUSPEND: Shape = Shape {
        before: concat!("insert into suspensions (", suspension_columns!(), ") values "),
        after: "",
        columns: 3,
    };
    const RESUME: Shape =
        Shape { before: "delete from suspensions where (scope, key) in (values ", after: ")", columns: 2 };
    for payers in [&changes.payers.added, &changes.payers.changed] {
        statements.rows(&PAYERS, payers, bind_payer);
    }
    statements.rows(&UNBIND, &changes.unbound, |query, msisdn| query.bind(msisdn.as_str().to_owned()));
    statements.rows(&BIND, &changes.bindings.added, bind_binding);
    statements.rows(&REBIND, &changes.bindings.changed, bind_binding);
    statements.rows(&SUSPEND, &changes.suspended, bind_suspension);
    let resume: Bind<(String, String)> = |query, (scope, key)| query.bind(scope.clone()).bind(key.clone());
    statements.rows(&RESUME, &changes.resumed, resume);
}

fn write_messages<'r>(statements: &mut Statements<'_, 'r>, changes: &'r Changes) {
    const ENDED: Shape =
        Shape { before: "delete from sessions where id in (values ", after: ")", columns: 1 };
    const RELEASED: Shape =
        Shape { before: "update sessions set key = null where id in (values ", after: ")", columns: 1 };
    const SESSIONS: Shape = Shape {
        before: concat!("insert into sessions (", session_columns!(), ") values "),
        after: " on conflict (id) do update set channel = excluded.channel, state = excluded.state, \
                account = excluded.account, payment = excluded.payment, revision = excluded.revision, \
                saved_at = excluded.saved_at, expires_at = excluded.expires_at, key = excluded.key, \
                dialogue = excluded.dialogue, route = excluded.route",
        columns: 14,
    };
    const OUTBOX: Shape = Shape {
        before: concat!("insert into outbox (", outbox_columns!(), ") values "),
        after: " on conflict (id) do nothing",
        columns: 17,
    };
    const SETTLED: Shape = Shape {
        before: "update outbox set state = v.column2, route = v.column3, message_id = v.column4, \
                 code = v.column5, attempts = v.column6, segments = v.column7, due_at = v.column8, \
                 owner = v.column9, updated_at = v.column10 from (values ",
        after: ") as v where outbox.id = v.column1",
        columns: 10,
    };
    const INBOX: Shape = Shape {
        before: concat!("insert into inbox (", inbox_columns!(), ") values "),
        after: " on conflict (key) do update set route = excluded.route, link = excluded.link, \
                caller = excluded.caller, channel = excluded.channel, received_at = excluded.received_at",
        columns: 6,
    };
    const DROPPED: Shape =
        Shape { before: "delete from parts where message in (values ", after: ")", columns: 1 };
    const PARTS: Shape = Shape {
        before: concat!("insert into parts (", part_columns!(), ") values "),
        after: " on conflict (message, number) do nothing",
        columns: 5,
    };
    // What gives a key up goes before what takes it.
    statements.rows(&ENDED, &changes.ended, bind_id);
    statements.rows(&RELEASED, &changes.released, bind_id);
    for sessions in [&changes.sessions.added, &changes.sessions.changed] {
        statements.rows(&SESSIONS, sessions, bind_session);
    }
    statements.rows(&OUTBOX, &changes.outbox.added, bind_outbox);
    statements.rows(&SETTLED, &changes.outbox.changed, bind_settled);
    for inbox in [&changes.inbox.added, &changes.inbox.changed] {
        statements.rows(&INBOX, inbox, bind_inbox);
    }
    statements.rows(&DROPPED, &changes.dropped_parts, bind_id);
    statements.rows(&PARTS, &changes.parts, bind_part);
}

/// The statements of a batch, in order.
struct Statements<'t, 'r> {
    texts: &'t mut HashMap<(&'static str, usize), Arc<str>>,
    made: Vec<Statement<'r>>,
}

/// A statement before its values are bound.
struct Statement<'r> {
    text: Arc<str>,
    bind: Box<dyn FnOnce(Query<'static>) -> Query<'static> + Send + 'r>,
}

impl Statement<'_> {
    fn query(self) -> Query<'static> {
        (self.bind)(sqlx::query(AssertSqlSafe(self.text)))
    }
}

/// Runs them. The values of each are bound while the one before it runs, which it does on the connection's own thread.
async fn run(writing: &mut Writing, statements: Vec<Statement<'_>>) -> Result<(), Error> {
    let mut statements = statements.into_iter();
    let mut next = statements.next().map(Statement::query);
    while let Some(query) = next {
        let later = statements.next();
        let (done, bound) = tokio::join!(
            biased;
            query.execute(&mut writing.conn),
            async { later.map(Statement::query) }
        );
        done?;
        next = bound;
    }
    Ok(())
}

impl<'r> Statements<'_, 'r> {
    /// A statement over all rows.
    fn rows<T: Sync>(&mut self, shape: &Shape, rows: &'r [T], bind: Bind<T>) {
        let mut rest = rows;
        for size in ROWS {
            while let Some((chunk, more)) = rest.split_at_checked(*size) {
                let bind = Box::new(move |query| chunk.iter().fold(query, bind));
                let text = self.values(shape, *size);
                self.made.push(Statement { text, bind });
                rest = more;
            }
        }
    }

    fn values(&mut self, shape: &Shape, rows: usize) -> Arc<str> {
        let text = self.texts.entry((shape.before, rows)).or_insert_with(|| {
            let mut text = shape.before.to_owned();
            for n in 0..rows {
                text.push_str(if n == 0 { "(" } else { ", (" });
                for column in 0..shape.columns {
                    let comma = if column == 0 { "" } else { ", " };
                    // SQLite looks names of parameters up one by one: `?` has none, and a long list stays cheap.
                    let _ = write!(text, "{comma}?");
                }
                text.push(')');
            }
            text.push_str(shape.after);
            text.into()
        });
        Arc::clone(text)
    }
}

fn bind_account<'q>(query: Query<'q>, row: &AccountRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(i64::from(row.kind.number()))
        .bind(row.name.clone())
        .bind(row.currency.code().to_owned())
        .bind(row.floor_minor)
        .bind(row.balance_minor)
        .bind(row.held_minor)
        .bind(row.entries)
        .bind(row.last_transfer.map(|id| id.0.to_vec()))
        .bind(row.opened_at)
}

fn bind_totals<'q>(query: Query<'q>, row: &AccountRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.balance_minor)
        .bind(row.held_minor)
        .bind(row.entries)
        .bind(row.last_transfer.map(|id| id.0.to_vec()))
}

fn bind_transfer<'q>(query: Query<'q>, row: &TransferRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(i64::from(row.act))
        .bind(row.fingerprint.to_vec())
        .bind(i64::from(row.outcome))
        .bind(row.outcome_minor)
        .bind(row.refers_to.map(|id| id.0.to_vec()))
        .bind(row.payment.map(|id| id.0.to_vec()))
        .bind(row.at)
}

fn bind_entry<'q>(query: Query<'q>, row: &EntryRow) -> Query<'q> {
    query
        .bind(row.transfer.0.to_vec())
        .bind(row.account.0.to_vec())
        .bind(row.sequence)
        .bind(row.amount_minor)
        .bind(row.balance_after_minor)
        .bind(row.previous.map(|id| id.0.to_vec()))
}

fn bind_hold<'q>(query: Query<'q>, row: &HoldRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.account.0.to_vec())
        .bind(row.amount_minor)
        .bind(row.expires_at)
        .bind(i64::from(row.state))
        .bind(row.resolved_by.map(|id| id.0.to_vec()))
}

fn bind_hold_end<'q>(query: Query<'q>, row: &HoldRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.expires_at)
        .bind(i64::from(row.state))
        .bind(row.resolved_by.map(|id| id.0.to_vec()))
}

fn bind_payment<'q>(query: Query<'q>, row: &PaymentRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.reference.clone())
        .bind(row.account.0.to_vec())
        .bind(row.caller.as_ref().map(|number| number.as_str().to_owned()))
        .bind(i64::from(row.channel))
        .bind(row.product.clone())
        .bind(row.target.text())
        .bind(row.amount_minor)
        .bind(row.fee_minor)
        .bind(row.cost_minor)
        .bind(row.currency.code().to_owned())
        .bind(i64::from(row.state.number()))
        .bind(row.class.clone())
        .bind(i64::from(row.business_day))
        .bind(row.hold.0.to_vec())
        .bind(row.connector.clone())
        .bind(row.carrier_reference.clone())
        .bind(row.created_at)
        .bind(row.updated_at)
        .bind(row.next_check_at)
        .bind(i64::from(row.checks))
        .bind(row.version)
        .bind(row.tax_minor)
        .bind(row.payee.clone())
        .bind(row.quote.clone())
        .bind(row.provider.clone())
        .bind(row.deal.map(|id| id.0.to_vec()))
}

fn bind_moved<'q>(query: Query<'q>, row: &PaymentRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(i64::from(row.state.number()))
        .bind(row.class.clone())
        .bind(row.carrier_reference.clone())
        .bind(row.cost_minor)
        .bind(row.updated_at)
        .bind(row.next_check_at)
        .bind(i64::from(row.checks))
        .bind(row.version)
        .bind(row.connector.clone())
}

fn bind_event<'q>(query: Query<'q>, row: &EventRow) -> Query<'q> {
    query
        .bind(row.payment.0.to_vec())
        .bind(row.version)
        .bind(i64::from(row.state.number()))
        .bind(row.detail.clone())
        .bind(row.at)
}

fn bind_attempt<'q>(query: Query<'q>, row: &AttemptRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.payment.0.to_vec())
        .bind(i64::from(row.number))
        .bind(row.connector.clone())
        .bind(row.reference.clone())
        .bind(row.created_at)
        .bind(row.answered_at)
        .bind(row.outcome.clone())
        .bind(row.code.clone())
        .bind(row.carrier_reference.clone())
}

fn bind_answered<'q>(query: Query<'q>, row: &AttemptRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.answered_at)
        .bind(row.outcome.clone())
        .bind(row.code.clone())
        .bind(row.carrier_reference.clone())
}

fn bind_counter<'q>(query: Query<'q>, row: &CounterRow) -> Query<'q> {
    query
        .bind(i64::from(row.key.scope))
        .bind(row.key.owner.clone())
        .bind(i64::from(row.key.day))
        .bind(row.used_minor)
        .bind(row.payments)
}

fn bind_pair<'q>(query: Query<'q>, row: &PairRow) -> Query<'q> {
    query
        .bind(row.key.account.0.to_vec())
        .bind(row.key.target.text())
        .bind(row.key.amount_minor)
        .bind(row.payment.0.to_vec())
        .bind(i64::from(row.state))
        .bind(row.delivered_at)
}

fn bind_payer<'q>(query: Query<'q>, row: &PayerRow) -> Query<'q> {
    query
        .bind(row.account.0.to_vec())
        .bind(i64::from(row.suspended))
        .bind(row.user_day_limit_minor)
        .bind(row.user_payment_limit_minor)
        .bind(row.pin_hash.clone())
        .bind(i64::from(row.pin_pepper))
        .bind(i64::from(row.pin_tries))
        .bind(row.pin_wait_until)
        .bind(i64::from(row.pin_locked))
        .bind(row.created_at)
        .bind(row.version)
}

fn bind_binding<'q>(query: Query<'q>, row: &BindingRow) -> Query<'q> {
    query.bind(row.msisdn.as_str().to_owned()).bind(row.account.0.to_vec()).bind(row.bound_at)
}

fn bind_outbox<'q>(query: Query<'q>, row: &OutboxRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.kind.clone())
        .bind(row.recipient.clone())
        .bind(row.body.clone())
        .bind(row.payment.map(|id| id.0.to_vec()))
        .bind(i64::from(row.state.number()))
        .bind(row.due_at)
        .bind(row.created_at)
        .bind(row.route.clone())
        .bind(row.sender.clone())
        .bind(i64::from(row.attempts))
        .bind(i64::from(row.segments))
        .bind(row.message_id.clone())
        .bind(row.code.clone())
        .bind(row.owner.map(|id| id.0.to_vec()))
        .bind(row.updated_at)
        .bind(row.expires_at)
}

fn bind_settled<'q>(query: Query<'q>, row: &OutboxRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(i64::from(row.state.number()))
        .bind(row.route.clone())
        .bind(row.message_id.clone())
        .bind(row.code.clone())
        .bind(i64::from(row.attempts))
        .bind(i64::from(row.segments))
        .bind(row.due_at)
        .bind(row.owner.map(|id| id.0.to_vec()))
        .bind(row.updated_at)
}

fn bind_inbox<'q>(query: Query<'q>, row: &InboxRow) -> Query<'q> {
    query
        .bind(row.key.0.to_vec())
        .bind(row.route.clone())
        .bind(row.link.0.to_vec())
        .bind(row.caller.clone())
        .bind(i64::from(row.channel))
        .bind(row.received_at)
}

fn bind_part<'q>(query: Query<'q>, row: &PartRow) -> Query<'q> {
    query
        .bind(row.message.0.to_vec())
        .bind(i64::from(row.number))
        .bind(i64::from(row.total))
        .bind(row.sealed.clone())
        .bind(row.received_at)
}

fn bind_id<'q>(query: Query<'q>, id: &Id) -> Query<'q> {
    query.bind(id.0.to_vec())
}

fn bind_session<'q>(query: Query<'q>, row: &SessionRow) -> Query<'q> {
    query
        .bind(row.id.0.to_vec())
        .bind(row.caller.as_str().to_owned())
        .bind(i64::from(row.channel))
        .bind(row.flow.clone())
        .bind(row.version.clone())
        .bind(row.state.clone())
        .bind(row.account.map(|id| id.0.to_vec()))
        .bind(row.payment.map(|id| id.0.to_vec()))
        .bind(row.revision)
        .bind(row.saved_at)
        .bind(row.expires_at)
        .bind(row.key.clone())
        .bind(row.dialogue.clone())
        .bind(row.route.clone())
}

fn bind_suspension<'q>(query: Query<'q>, row: &SuspensionRow) -> Query<'q> {
    query.bind(row.scope.clone()).bind(row.key.clone()).bind(row.since)
}
