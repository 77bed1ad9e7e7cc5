//! The rows that full batches add by the thousand, in the server's binary COPY format: the server then fills whole pages
//! at once and unpacks no arrays. A COPY waits for the server twice, so small batches go without. Nothing is decided here:
//! a row that the tables refuse fails the transaction as it would in any other statement.

use sqlx::postgres::PgConnection;

use crate::ledger::row::{EntryRow, Id, TransferRow};
use crate::msisdn::Msisdn;
use crate::payment::row::{AttemptRow, EventRow, PaymentRow};
use crate::store::columns::{
    attempt_columns, entry_columns, event_columns, payment_columns, transfer_columns,
};
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

pub(super) async fn payments(conn: &mut PgConnection, rows: &[PaymentRow]) -> Result<(), Error> {
    const SQL: &str = concat!("copy payments (", payment_columns!(), ") from stdin with (format binary)");
    let mut sent = Rows::new(rows.len(), 480);
    for row in rows {
        sent.begin(27);
        sent.bytes(&row.id.0);
        sent.text(&row.reference);
        sent.bytes(&row.account.0);
        sent.some_text(row.caller.as_ref().map(Msisdn::as_str));
        sent.int(i64::from(row.channel));
        sent.text(&row.product);
        sent.text(&row.target.text());
        sent.int(row.amount_minor);
        sent.int(row.fee_minor);
        sent.int(row.cost_minor);
        sent.text(row.currency.code());
        sent.int(i64::from(row.state.number()));
        sent.some_text(row.class.as_deref());
        sent.int(i64::from(row.business_day));
        sent.bytes(&row.hold.0);
        sent.text(&row.connector);
        sent.some_text(row.carrier_reference.as_deref());
        sent.int(row.created_at);
        sent.int(row.updated_at);
        sent.some_int(row.next_check_at);
        sent.int(i64::from(row.checks));
        sent.int(row.version);
        sent.int(row.tax_minor);
        sent.some_text(row.payee.as_deref());
        sent.some_text(row.quote.as_deref());
        sent.some_text(row.provider.as_deref());
        sent.some_id(row.deal);
    }
    sent.send(conn, SQL).await
}

pub(super) async fn events(conn: &mut PgConnection, rows: &[EventRow]) -> Result<(), Error> {
    const SQL: &str = concat!("copy payment_events (", event_columns!(), ") from stdin with (format binary)");
    let mut sent = Rows::new(rows.len(), 120);
    for row in rows {
        sent.begin(5);
        sent.bytes(&row.payment.0);
        sent.int(row.version);
        sent.int(i64::from(row.state.number()));
        sent.text(&row.detail);
        sent.int(row.at);
    }
    sent.send(conn, SQL).await
}

pub(super) async fn attempts(conn: &mut PgConnection, rows: &[AttemptRow]) -> Result<(), Error> {
    const SQL: &str = concat!("copy attempts (", attempt_columns!(), ") from stdin with (format binary)");
    let mut sent = Rows::new(rows.len(), 200);
    for row in rows {
        sent.begin(10);
        sent.bytes(&row.id.0);
        sent.bytes(&row.payment.0);
        sent.int(i64::from(row.number));
        sent.text(&row.connector);
        sent.text(&row.reference);
        sent.int(row.created_at);
        sent.some_int(row.answered_at);
        sent.some_text(row.outcome.as_deref());
        sent.some_text(row.code.as_deref());
        sent.some_text(row.carrier_reference.as_deref());
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

    fn some_int(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.int(value),
            None => self.null(),
        }
    }

    fn null(&mut self) {
        self.0.extend_from_slice(&NULL.to_be_bytes());
    }

    /// Texts are limited long before the two GiB that the format has room for; a longer one would be refused by the server.
    fn text(&mut self, value: &str) {
        self.0.extend_from_slice(&i32::try_from(value.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    fn some_text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    fn some_id(&mut self, value: Option<Id>) {
        match value {
            Some(id) => self.bytes(&id.0),
            None => self.null(),
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
        rows.begin(5);
        rows.int(-2);
        rows.some_id(None);
        rows.some_id(Some(Id([7; 16])));
        rows.some_text(Some("ü"));
        rows.some_int(None);
        let mut expected = b"PGCOPY\n\xff\r\n\0".to_vec();
        expected.extend([0; 8]);
        expected.extend([0, 5, 0, 0, 0, 8]);
        expected.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
        expected.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 16]);
        expected.extend([7; 16]);
        expected.extend([0, 0, 0, 2, 0xc3, 0xbc, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(rows.0, expected);
    }
}
