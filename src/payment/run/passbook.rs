//! An account's statement for a time: what it opened with, every entry, what it closed with.
//!
//! The entries are read along their chain from the latest one back, so that a recent time costs little whatever the account's
//! age.

use std::collections::HashMap;

use crate::ledger::command::act;
use crate::ledger::row::{EntryRow, Id};
use crate::money::Currency;
use crate::payment::row::{PaymentRow, Target, product};
use crate::payment::run::{Error, Payments};

/// Most lines of a statement; an older part of a longer one is left out, and it says so.
pub const LINES_MAX: usize = 100_000;
/// Entries read at once.
const PAGE: u32 = 500;

/// One entry as its customer reads it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct PassbookLine {
    /// When, microseconds.
    pub at: i64,
    /// Minor units, credit positive.
    pub amount_minor: i64,
    /// The balance after it, minor units.
    pub balance_minor: i64,
    /// The transfer.
    pub transfer: Id,
    /// The payment's short reference, if it belongs to one.
    pub reference: Option<String>,
    /// What for: `recharge`, `bill`, `order`, `deposit`, `transfer`.
    pub what: String,
    /// To whom or for what number.
    pub to: String,
    /// Whether it gives something back.
    pub back: bool,
}

/// A statement.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Passbook {
    /// The account.
    pub account: Id,
    /// Of its money.
    pub currency: Currency,
    /// From, microseconds.
    pub from: i64,
    /// Up to but without, microseconds.
    pub until: i64,
    /// The balance before the first line, minor units.
    pub opening_minor: i64,
    /// The balance after the last line, minor units.
    pub closing_minor: i64,
    /// Credits of the time, minor units.
    pub credits_minor: i64,
    /// Debits of the time, minor units, positive.
    pub debits_minor: i64,
    /// Whether an older part was left out, because there are more than [`LINES_MAX`].
    pub cut: bool,
    /// The lines, the oldest first.
    pub lines: Vec<PassbookLine>,
}

impl Payments {
    /// An account's statement of a time (microseconds: from, and up to but without). `None` when there is no such account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn passbook(&self, account: Id, from: i64, until: i64) -> Result<Option<Passbook>, Error> {
        let store = &self.inner.store;
        let Some(row) = store.account(account).await? else { return Ok(None) };
        let mut book = Passbook {
            account,
            currency: row.currency,
            from,
            until,
            opening_minor: 0,
            closing_minor: 0,
            credits_minor: 0,
            debits_minor: 0,
            cut: false,
            lines: Vec::new(),
        };
        let mut closing = None;
        let mut last: Option<EntryRow> = None;
        'chain: loop {
            let page = store.entries_of(account, last.as_ref(), PAGE).await?;
            let ids: Vec<Id> = page.iter().map(|entry| entry.transfer).collect();
            let transfers = store.transfers_of(&ids).await?;
            let transfers: HashMap<Id, _> = transfers.into_iter().map(|row| (row.id, row)).collect();
            for entry in &page {
                let Some(transfer) = transfers.get(&entry.transfer) else { continue };
                if transfer.at >= until {
                    continue;
                }
                closing = closing.or(Some(entry.balance_after_minor));
                if transfer.at < from || book.lines.len() >= LINES_MAX {
                    book.cut = transfer.at >= from;
                    book.opening_minor = entry.balance_after_minor;
                    break 'chain;
                }
                let minor = entry.amount_minor;
                if minor > 0 {
                    book.credits_minor = book.credits_minor.saturating_add(minor);
                } else {
                    book.debits_minor = book.debits_minor.saturating_sub(minor);
                }
                let payment = match transfer.payment {
                    Some(payment) => store.payment(payment).await?,
                    None => None,
                };
                book.lines.push(line(entry, transfer.at, transfer.act == act::REVERSE, payment.as_ref()));
            }
            match page.into_iter().next_back() {
                Some(entry) if entry.previous.is_some() => last = Some(entry),
                _ => break,
            }
        }
        book.lines.reverse();
        book.closing_minor = closing.unwrap_or(book.opening_minor);
        Ok(Some(book))
    }
}

fn line(entry: &EntryRow, at: i64, reversal: bool, payment: Option<&PaymentRow>) -> PassbookLine {
    let (mut what, mut to) = ("transfer".to_owned(), String::new());
    if let Some(payment) = payment {
        what.clone_from(&payment.product);
        to = match (&payment.payee, &payment.target) {
            (Some(payee), _) => payee.clone(),
            (None, Target::Phone(phone)) => phone.as_str().to_owned(),
            (None, Target::Bill { biller, number }) => format!("{biller} {number}"),
            (None, Target::Deal(_)) => String::new(),
        };
    }
    let back = reversal || (what != product::DEPOSIT && payment.is_some() && entry.amount_minor > 0);
    PassbookLine {
        at,
        amount_minor: entry.amount_minor,
        balance_minor: entry.balance_after_minor,
        transfer: entry.transfer,
        reference: payment.map(|payment| payment.reference.clone()),
        what,
        to,
        back,
    }
}
