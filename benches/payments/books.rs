//! Books of a size, loaded in bulk by statements of the database: accounts with a number and money, and old transfers among
//! them. Their balances are not proved by the entries; the cost of a payment does not depend on that.

use keytone::ledger::row::Id;
use keytone::msisdn::Msisdn;
use sqlx::{Connection as _, Executor as _};

/// How large the books are.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Accounts of customers.
    pub(crate) accounts: u64,
    /// Entries of old transfers, two to each.
    pub(crate) entries: u64,
}

impl Size {
    pub(crate) const SMALL: Self = Self { accounts: 10_000, entries: 1_000_000 };
    pub(crate) const LARGE: Self = Self { accounts: 10_000_000, entries: 50_000_000 };
}

/// Spreads the ids of accounts over all that ids can be, in order.
const SPREAD: u64 = 900_000_000_000;
/// Rows of one statement.
const CHUNK: u64 = 500_000;
/// What each account has, minor units.
const BALANCE_MINOR: u64 = 1_000_000_000_000;

/// The id of a loaded account.
pub(crate) fn account(n: u64) -> Id {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(n * SPREAD).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Id(bytes)
}

/// The number that is bound to it.
pub(crate) fn number(n: u64) -> Msisdn {
    Msisdn::parse(&format!("+86139{n:08}")).unwrap()
}

/// How a database writes what both need.
struct Dialect {
    /// Rows with `n` from a first to before a last.
    series: fn(u64, u64) -> String,
    /// Sixteen bytes of two numbers.
    id: fn(&str, &str) -> String,
    /// A number as eight digits.
    digits: &'static str,
    /// Thirty-two bytes of zero.
    zeros: &'static str,
}

const SQLITE: Dialect = Dialect {
    series: |from, to| {
        format!(
            "(with recursive s(n) as (select {from} union all select n + 1 from s where n + 1 < {to}) select n from s) s"
        )
    },
    id: |high, low| format!("unhex(printf('%016x%016x', {high}, {low}))"),
    digits: "printf('%08d', n)",
    zeros: "zeroblob(32)",
};

const POSTGRES: Dialect = Dialect {
    series: |from, to| format!("(select n from generate_series({from}::bigint, {to}::bigint - 1) n) s"),
    id: |high, low| format!("decode(lpad(to_hex({high}), 16, '0') || lpad(to_hex({low}), 16, '0'), 'hex')"),
    digits: "lpad(n::text, 8, '0')",
    zeros: "decode(repeat('00', 32), 'hex')",
};

/// Loads them.
pub(crate) async fn load(url: &str, size: Size) {
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        connection.execute("pragma synchronous = off").await.unwrap();
        connection.execute("pragma cache_size = -262144").await.unwrap();
        for statement in statements(&SQLITE, size) {
            connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        connection.execute("pragma wal_checkpoint(truncate)").await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        connection.execute("set synchronous_commit = off").await.unwrap();
        for statement in statements(&POSTGRES, size) {
            connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        for table in ["accounts", "payers", "bindings", "transfers", "entries"] {
            connection.execute(sqlx::AssertSqlSafe(format!("vacuum analyze {table}"))).await.unwrap();
        }
        connection.execute("checkpoint").await.unwrap();
        connection.close().await.unwrap();
    }
}

fn statements(dialect: &Dialect, size: Size) -> Vec<String> {
    let mut out = Vec::new();
    let mine = (dialect.id)(&format!("n * {SPREAD}"), "n");
    for (from, to) in chunks(size.accounts) {
        let series = (dialect.series)(from, to);
        out.push(format!(
            "insert into accounts (id, kind, name, currency, floor_minor, balance_minor, held_minor, entries, last_transfer, \
             opened_at) select {mine}, {}, '', 'CNY', 0, {BALANCE_MINOR}, 0, 0, null, 0 from {series}",
            keytone::ledger::row::Kind::Customer.number()
        ));
        out.push(format!(
            "insert into payers (account, suspended, pin_hash, pin_pepper, pin_tries, pin_wait_until, pin_locked, created_at, \
             version) select {mine}, 0, 'of nothing', 1, 0, 0, 0, 0, 1 from {series}"
        ));
        out.push(format!(
            "insert into bindings (msisdn, account, bound_at) select '+86139' || {}, {mine}, 0 from {series}",
            dialect.digits
        ));
    }
    // A transfer's id begins with the time, as the daemon's do.
    let transfer = (dialect.id)("n * 1000 + 1", "n");
    for (from, to) in chunks(size.entries / 2) {
        let series = (dialect.series)(from, to);
        out.push(format!(
            "insert into transfers (id, act, fingerprint, outcome, outcome_minor, at) select {transfer}, 1, {}, 0, 0, n \
             from {series}",
            dialect.zeros
        ));
        for (amount, step) in [(1, 0), (-1, 1)] {
            let other = format!("((n + {step}) % {})", size.accounts);
            let account = (dialect.id)(&format!("{other} * {SPREAD}"), &other);
            out.push(format!(
                "insert into entries (transfer, account, sequence, amount_minor, balance_after_minor) select {transfer}, \
                 {account}, n + 1, {amount}, 0 from {series}"
            ));
        }
    }
    out
}

fn chunks(rows: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..rows).step_by(usize::try_from(CHUNK).unwrap()).map(move |from| (from, rows.min(from + CHUNK)))
}
