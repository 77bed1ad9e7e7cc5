//! The rows that full batches add by the thousand, in the server's binary COPY format: the server then fills whole pages
//! at once and unpacks no arrays. A COPY waits for the server twice, so small batches go without. Nothing is decided here:
//! a row that the tables refuse fails the transaction as it would in any other statement.

use sqlx::postgres::PgConnection;

use crate::ledger::row::{EntryRow, Id, TransferRow};
use crate::store::columns::{entry_columns, transfer_columns};
use crate::store::error::Error;

/// What every binary COPY begins with: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of fields that ends it.
const END: i16 = -1;
/// The length of a null.
const NULL: i32 = -1;

/// Rows as they are sent.
struct Rows(Vec<u8>);

pub(super) async fn transfers(conn: &mut PgConnection, rows: &[TransferRow]) -> Result<(), Error> {
    const SQL: &str = concat!("copy transfers (", transfer_columns!(), ") from stdin with (format binary)");
    let mut sent = Rows::new(rows.len(), 160);
    for row in rows {
        sent.begin(8);
        sent.bytes(&row.id.0);
        sent.int(i64::from(row.act));
        sent.bytes(&row.fingerprint);
        sent.int(i64::from(row.outcome));
        sent.int(row.outcome_minor);
        sent.some_id(row.refers_to);
        sent.some_id(row.payment);
        sent.int(row.at);
    }
    sent.send(conn, SQL).await
}

pub(super) async fn entries(conn: &mut PgConnection, rows: &[EntryRow]) -> Result<(), Error> {
    const SQL: &str = concat!("copy entries (", entry_columns!(), ") from stdin with (format binary)");
    let mut sent = Rows::new(rows.len(), 98);
    for row in rows {
        sent.begin(6);
        sent.bytes(&row.transfer.0);
        sent.bytes(&row.account.0);
        sent.int(row.sequence);
        sent.int(row.amount_minor);
        sent.int(row.balance_after_minor);
        sent.some_id(row.previous);
    }
    sent.send(conn, SQL).await
}

impl Rows {
    /// Room for `rows` of about `width` bytes.
    fn new(rows: usize, width: usize) -> Self {
        let mut bytes = Vec::with_capacity(rows.saturating_mul(width).saturating_add(HEADER.len() + 2));
        bytes.extend_from_slice(HEADER);
        Self(bytes)
    }

    fn begin(&mut self, fields: i16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    fn bytes<const N: usize>(&mut self, value: &[u8; N]) {
        let length = const {
            #[expect(clippy::cast_possible_truncation, reason = "ids and hashes: 32 bytes at most")]
            let length = N as u32;
            assert!(N <= 32);
            length.to_be_bytes()
        };
        self.0.extend_from_slice(&length);
        self.0.extend_from_slice(value);
    }

    fn int(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    fn some_id(&mut self, value: Option<Id>) {
        match value {
            Some(id) => self.bytes(&id.0),
            None => self.0.extend_from_slice(&NULL.to_be_bytes()),
        }
    }

    async fn send(mut self, conn: &mut PgConnection, sql: &str) -> Result<(), Error> {
        self.begin(END);
        let mut copy = conn.copy_in_raw(sql).await?;
        copy.send(self.0).await?;
        copy.finish().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_laid_out_as_the_server_reads_it() {
        let mut rows = Rows::new(1, 0);
        rows.begin(3);
        rows.int(-2);
        rows.some_id(None);
        rows.some_id(Some(Id([7; 16])));
        let mut expected = b"PGCOPY\n\xff\r\n\0".to_vec();
        expected.extend([0; 8]);
        expected.extend([0, 3, 0, 0, 0, 8]);
        expected.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
        expected.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 16]);
        expected.extend([7; 16]);
        assert_eq!(rows.0, expected);
    }
}
