//! What can go wrong between the daemon and its database, sorted by what the caller can do about it.

/// A failure of the store. Refusals are not here: they are values of the rules above.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or is out of room; nothing was written, trying later makes sense.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Another node's commit came between: load again and judge again.
    #[error("another writer was faster: {0}")]
    Conflict(String),
    /// The answer to the commit was lost: ask [`crate::store::Store::committed`].
    #[error("whether the commit happened is not known: {0}")]
    Undecided(String),
    /// A row cannot be what it is, or a statement was refused that the rules allow: a fault of the program or tampering.
    #[error("the database contradicts the program: {0}")]
    Broken(String),
    /// The tables are not those of this version.
    #[error("the database schema: {0}")]
    Schema(String),
    /// The address of the database cannot be read.
    #[error("the database address: {0}")]
    Address(String),
}

impl Error {
    /// A stored value that no version of the program writes.
    pub(crate) fn value(column: &str, value: impl std::fmt::Display) -> Self {
        Self::Broken(format!("{column} holds {value}"))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => {
                if database.is_unique_violation() {
                    return Self::Conflict(text);
                }
                let code = database.code().unwrap_or_default();
                match code.as_ref() {
                    // PostgreSQL: serialization failure, deadlock, lock not available.
                    "40001" | "40P01" | "55P03" => Self::Conflict(text),
                    // PostgreSQL: shut to connections, a standby now, over a limit of its own for what is idle or takes long.
                    // SQLite: busy, locked, I/O, full, cannot open.
                    "55000" | "25006" | "25P03" | "25P04" => Self::Unavailable(text),
                    "5" | "6" | "10" | "13" | "14" | "261" | "517" | "773" => Self::Unavailable(text),
                    "1" | "42P01" | "42703" => Self::Schema(text),
                    // PostgreSQL: the connection, no room for data or connections, a person (who shuts it down, or cancels a
                    // statement) or a limit that he has set, the machine.
                    code if ["08", "53", "57", "58"]
                        .iter()
                        .any(|class| code.len() == 5 && code.starts_with(class)) =>
                    {
                        Self::Unavailable(text)
                    }
                    code if sqlite_io(code) => Self::Unavailable(text),
                    _ => Self::Broken(text),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(text),
            sqlx::Error::Configuration(_) => Self::Address(text),
            sqlx::Error::Migrate(_) => Self::Schema(text),
            _ => Self::Broken(text),
        }
    }
}

/// Extended codes of SQLite carry the primary one in the low byte; 10 is I/O.
fn sqlite_io(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| code > 255 && code & 0xff == 10)
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self::Schema(other.to_string()),
        }
    }
}
