//! The tables, carried in the binary and made or brought up to date by it.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};

use crate::store::error::Error;

/// Number, name, SQL.
type Step = (i64, &'static str, &'static str);

/// SQLite's steps. The numbers and tables are those of [`POSTGRES`]; a test compares them.
pub(crate) const SQLITE: &[Step] = &[
    (1, "ledger", include_str!("../../migrations/sqlite/0001_ledger.sql")),
    (2, "payment", include_str!("../../migrations/sqlite/0002_payment.sql")),
    (3, "sessions", include_str!("../../migrations/sqlite/0003_sessions.sql")),
    (4, "messages", include_str!("../../migrations/sqlite/0004_messages.sql")),
    (5, "products", include_str!("../../migrations/sqlite/0005_products.sql")),
    (6, "identity", include_str!("../../migrations/sqlite/0006_identity.sql")),
    (7, "orders", include_str!("../../migrations/sqlite/0007_orders.sql")),
    (8, "charges", include_str!("../../migrations/sqlite/0008_charges.sql")),
    (9, "staff", include_str!("../../migrations/sqlite/0009_staff.sql")),
    (10, "bills", include_str!("../../migrations/sqlite/0010_bills.sql")),
    (11, "account_keys", include_str!("../../migrations/sqlite/0011_account_keys.sql")),
    (13, "vouchers", include_str!("../../migrations/sqlite/0013_vouchers.sql")),
    (15, "providers", include_str!("../../migrations/sqlite/0015_providers.sql")),
    (17, "paths", include_str!("../../migrations/sqlite/0017_paths.sql")),
    (19, "days", include_str!("../../migrations/sqlite/0019_days.sql")),
    (20, "alarms", include_str!("../../migrations/sqlite/0020_alarms.sql")),
    (21, "dayone", include_str!("../../migrations/sqlite/0021_dayone.sql")),
    (22, "restore", include_str!("../../migrations/sqlite/0022_restore.sql")),
    (23, "asks", include_str!("../../migrations/sqlite/0023_asks.sql")),
    (24, "statement_days", include_str!("../../migrations/sqlite/0024_statement_days.sql")),
    (27, "reservation_references", include_str!("../../migrations/sqlite/0027_reservation_references.sql")),
    (28, "places", include_str!("../../migrations/sqlite/0028_places.sql")),
    (29, "open_payments", include_str!("../../migrations/sqlite/0029_open_payments.sql")),
];

/// PostgreSQL's steps.
pub(crate) const POSTGRES: &[Step] = &[
    (1, "ledger", include_str!("../../migrations/postgres/0001_ledger.sql")),
    (2, "payment", include_str!("../../migrations/postgres/0002_payment.sql")),
    (3, "sessions", include_str!("../../migrations/postgres/0003_sessions.sql")),
    (4, "messages", include_str!("../../migrations/postgres/0004_messages.sql")),
    (5, "products", include_str!("../../migrations/postgres/0005_products.sql")),
    (6, "identity", include_str!("../../migrations/postgres/0006_identity.sql")),
    (7, "orders", include_str!("../../migrations/postgres/0007_orders.sql")),
    (8, "charges", include_str!("../../migrations/postgres/0008_charges.sql")),
    (9, "staff", include_str!("../../migrations/postgres/0009_staff.sql")),
    (10, "bills", include_str!("../../migrations/postgres/0010_bills.sql")),
    (11, "account_keys", include_str!("../../migrations/postgres/0011_account_keys.sql")),
    (13, "vouchers", include_str!("../../migrations/postgres/0013_vouchers.sql")),
    (15, "providers", include_str!("../../migrations/postgres/0015_providers.sql")),
    (17, "paths", include_str!("../../migrations/postgres/0017_paths.sql")),
    (19, "days", include_str!("../../migrations/postgres/0019_days.sql")),
    (20, "alarms", include_str!("../../migrations/postgres/0020_alarms.sql")),
    (21, "dayone", include_str!("../../migrations/postgres/0021_dayone.sql")),
    (22, "restore", include_str!("../../migrations/postgres/0022_restore.sql")),
    (23, "asks", include_str!("../../migrations/postgres/0023_asks.sql")),
    (24, "statement_days", include_str!("../../migrations/postgres/0024_statement_days.sql")),
    (27, "reservation_references", include_str!("../../migrations/postgres/0027_reservation_references.sql")),
    (28, "places", include_str!("../../migrations/postgres/0028_places.sql")),
    (29, "open_payments", include_str!("../../migrations/postgres/0029_open_payments.sql")),
];

/// One step and whether the database has it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Applied {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Whether it was applied.
    pub applied: bool,
}

pub(crate) fn migrator(steps: &[Step]) -> Migrator {
    let migrations = steps
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    // Advisory locks are not known to every database that speaks PostgreSQL's protocol. Two nodes that migrate at once
    // are kept apart by the primary key of the migrations table: the second fails and finds the work done.
    migrator.set_locking(false);
    migrator
}

/// Which steps the database behind `connection` has.
pub(crate) async fn status<C: Migrate>(connection: &mut C, steps: &[Step]) -> Result<Vec<Applied>, Error> {
    const TABLE: &str = "_sqlx_migrations";
    connection.ensure_migrations_table(TABLE).await?;
    let done = connection.list_applied_migrations(TABLE).await?;
    Ok(steps
        .iter()
        .map(|(version, name, _)| Applied {
            version: *version,
            name,
            applied: done.iter().any(|d| d.version == *version),
        })
        .collect())
}
