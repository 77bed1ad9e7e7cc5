//! Codes that carry a recharge's credit: kept encrypted with the delivery, in its commit, and brought by text message; told in a
//! call or on a screen to whoever paid; gone when the customer has them.
//!
//! The text that waits in the outbox names the payment alone. The code is put in when the text leaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use crate::connector::contract::{Outcome, Voucher};
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::decision::{Act, Step};
use crate::payment::receipt;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::voucher::VoucherRow;
use crate::payment::row::{OutboxRow, OutboxState, PaymentRow, State};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::secret::Secret;

/// In front of a payment's id: the text of its voucher, to be made when it leaves.
const TEXT: &str = "\u{1}voucher:";
/// In front of what is encrypted in a text of the database.
const SEALED: &str = "\u{1}sealed:";
/// Whether a text of the outbox is not what its reader gets: a voucher's, or an encrypted one.
pub(super) fn is_private(text: &str) -> bool {
    text.starts_with('\u{1}')
}

/// A code that the network took, and of which no receipt came, may be heard again for so long, microseconds: a day.
const HEARD_AGAIN: i64 = 24 * 3_600 * 1_000_000;
/// A code that nobody got is kept for so long, microseconds: 90 days. Then staff are told, and it goes.
const KEPT: i64 = 90 * 24 * 3_600 * 1_000_000;
/// Vouchers read at once.
const ROUND_MAX: u32 = 256;
/// Times that so many are read in one round.
const PAGES_MAX: usize = 64;
/// Times that a row is read again because somebody else changed it.
const STALE_MAX: usize = 8;

impl Payments {
    /// What a delivery with a code writes beside the money: the code, encrypted, and the text that will bring it.
    pub(super) fn keep_voucher(
        &self,
        payment: &PaymentRow,
        outcome: &Outcome,
        step: &Step,
    ) -> Result<Vec<Op>, Error> {
        let Outcome::Delivered { voucher, .. } = outcome else { return Ok(Vec::new()) };
        if !matches!(step.act, Act::Post | Act::PostContested) {
            return Ok(Vec::new());
        }
        match voucher {
            Some(voucher) => self.voucher_ops(payment, voucher),
            None => Ok(Vec::new()),
        }
    }

    /// A code that comes when the delivery is known already, by a callback that carried none.
    pub(super) async fn keep_late_voucher(
        &self,
        payment: &PaymentRow,
        outcome: &Outcome,
    ) -> Result<(), Error> {
        let Outcome::Delivered { voucher: Some(voucher), .. } = outcome else { return Ok(()) };
        if payment.state != State::Delivered {
            return Ok(());
        }
        match self.commit(self.voucher_ops(payment, voucher)?).await? {
            // It is there, or was there and has gone out.
            Ok(_) | Err(Refusal::Exists(_)) => Ok(()),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    fn voucher_ops(&self, payment: &PaymentRow, voucher: &Voucher) -> Result<Vec<Op>, Error> {
        let text = payment.id.derived("voucher");
        let row = VoucherRow {
            payment: payment.id,
            account: payment.account,
            serial: voucher.serial.clone(),
            sealed: self.inner.seals.seal(&payment.id.0, voucher.code.expose())?,
            text,
            created_at: self.now(),
            version: 1,
        };
        let mut ops = vec![Op::add(&row)];
        ops.extend(self.voucher_text(payment, text).map(Op::Outbox));
        Ok(ops)
    }

    /// To whoever paid, or else to the number that it is for.
    fn voucher_text(&self, payment: &PaymentRow, id: Id) -> Option<OutboxRow> {
        let to: &Msisdn = payment.caller.as_ref().or_else(|| payment.target.phone())?;
        Some(self.sms(id, to, format!("{TEXT}{}", payment.id)))
    }

    /// A message as it leaves: what was encrypted is opened in memory only.
    pub(super) async fn as_it_leaves(&self, row: OutboxRow) -> Result<OutboxRow, Error> {
        let Some(payment) = row.body.strip_prefix(TEXT).and_then(Id::parse) else {
            return Ok(self.unsealed(row));
        };
        let Some(paid) = self.inner.store.payment(payment).await? else { return Ok(row) };
        let code = self.code_of(payment).await?;
        let code = code.as_ref().and_then(|code| std::str::from_utf8(code.expose()).ok());
        // It may go to the number that is recharged, whose owner is another customer or nobody's.
        let reader = match &paid.caller {
            Some(_) => Some(paid.account),
            None => match paid.target.phone() {
                Some(phone) => self.account_of(phone).await?,
                None => None,
            },
        };
        let body = receipt::voucher(&paid, code, &self.tongue(reader).await);
        Ok(OutboxRow { body, ..row })
    }

    async fn code_of(&self, payment: Id) -> Result<Option<Secret>, Error> {
        let row: Option<VoucherRow> = self.inner.store.record(&[cell(&payment)]).await?;
        let plain = row.and_then(|row| self.inner.seals.open(&payment.0, &row.sealed));
        Ok(plain.map(|plain| Secret::new(plain.to_vec())))
    }

    /// The code that a delivered payment of this account bought, as long as it is kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn voucher(&self, account: Id, reference: &str) -> Result<Option<Secret>, Error> {
        let Some(payment) = self.inner.store.payment_by_reference(reference).await? else { return Ok(None) };
        if payment.account != account || payment.state != State::Delivered {
            return Ok(None);
        }
        self.code_of(payment.id).await
    }

    /// Queues the text with a payment's code once more; false when there is none, or none any more.
    pub(super) async fn send_voucher_again(&self, payment: &PaymentRow) -> Result<bool, Error> {
        for _ in 0..STALE_MAX {
            let row: Option<VoucherRow> = self.inner.store.record(&[cell(&payment.id)]).await?;
            let Some(row) = row else { return Ok(false) };
            let text = Id::new(self.now());
            let Some(queued) = self.voucher_text(payment, text) else { return Ok(false) };
            let after = VoucherRow { text, version: row.version.saturating_add(1), ..row };
            match self.commit(vec![Op::set(&after), Op::Outbox(queued)]).await? {
                Ok(_) => return Ok(true),
                Err(Refusal::Stale | Refusal::Unknown(_)) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Forgets the codes that customers have.
    pub(super) async fn forget_vouchers(&self) -> Result<(), Error> {
        let mut after = i64::MIN;
        for _ in 0..PAGES_MAX {
            let wanted = Select::<VoucherRow>::new().from("created_at", &after).order("created_at");
            let rows = self.inner.store.records(&wanted.limit(ROUND_MAX)).await?;
            let Some(last) = rows.last() else { break };
            after = last.created_at.saturating_add(1);
            let mut ops = Vec::new();
            for row in &rows {
                if self.is_over(row).await? {
                    ops.push(Op::remove::<VoucherRow>(&[cell(&row.payment)]));
                }
            }
            if !ops.is_empty() {
                self.commit(ops).await?.map_err(Error::Refused)?;
            }
        }
        Ok(())
    }

    /// Whether the customer has his code, or will not get it any more.
    async fn is_over(&self, row: &VoucherRow) -> Result<bool, Error> {
        let now = self.now();
        let text = self.inner.store.outbox_row(row.text).await?;
        let has_it = text.is_some_and(|text| match text.state {
            OutboxState::Delivered => true,
            OutboxState::Accepted => now.saturating_sub(text.updated_at) >= HEARD_AGAIN,
            OutboxState::Waiting
            | OutboxState::Sending
            | OutboxState::Failed
            | OutboxState::Unknown
            | OutboxState::Undelivered => false,
        });
        let old = now.saturating_sub(row.created_at) >= KEPT;
        if old && !has_it {
            tracing::error!(payment = %row.payment, "ALARM: a voucher that nobody got is forgotten");
        }
        Ok(has_it || old)
    }

    /// A text that may hold what only its owner may read, for a row of the database: encrypted, and bound to `id`.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn seal_text(&self, id: Id, text: &str) -> Result<String, Error> {
        let sealed = self.inner.seals.seal(&id.0, text.as_bytes())?;
        Ok(format!("{SEALED}{}", BASE64.encode(sealed)))
    }

    /// Whether a text of a row is encrypted.
    #[must_use]
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(SEALED)
    }

    /// What [`Payments::seal_text`] encrypted; a text that is not encrypted is given back as it is. `None` when it cannot be
    /// opened.
    #[must_use]
    pub fn open_text(&self, id: Id, text: &str) -> Option<String> {
        let Some(sealed) = text.strip_prefix(SEALED) else { return Some(text.to_owned()) };
        let plain = self.inner.seals.open(&id.0, &BASE64.decode(sealed).ok()?)?;
        String::from_utf8(plain.to_vec()).ok()
    }
}
