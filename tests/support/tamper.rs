//! Changes a database behind the back of Keytone, for what must be found out.

use keytone::ledger::row::Id;

/// Runs one statement on the database of `url`.
pub(crate) async fn tamper(url: &str, sql: &str) {
    use sqlx::{ConnectOptions, Executor};
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if let Some(path) = url.strip_prefix("sqlite:") {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        options.connect().await.unwrap().execute(sql).await.unwrap();
    } else {
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        options.connect().await.unwrap().execute(sql).await.unwrap();
    }
}

/// An id as SQL writes it.
pub(crate) fn literal(id: Id, sqlite: bool) -> String {
    let digits: String = id.0.iter().map(|b| format!("{b:02x}")).collect();
    if sqlite { format!("x'{digits}'") } else { format!("'\\x{digits}'::bytea") }
}
