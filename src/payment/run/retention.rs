//! Forgets what is old, a little at a time, and takes a customer's numbers out of the books without making them false.
//!
//! Money is never forgotten: payments, transfers, entries and the audit log stay. Of a customer who asks to be erased, each
//! number becomes a pseudonym: the same for the same number, made with a key that is not in the database, and of a country code
//! that nobody has. Sums, chains and counters hang on accounts and ids, so that the books prove themselves as before.

use std::time::Duration;

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::epoch::ErasureRow;
use crate::payment::row::identity::{CodeRow, HistoryRow, SeenRow};
use crate::payment::row::record::{Cell, Recorded, Select, cell};
use crate::payment::row::{AnswerRow, BindingRow};
use crate::payment::run::staff::{Refused, words};
use crate::payment::run::{Error, Payments};
use crate::payment::staff;
use crate::payment::unit::Op;

/// Rows that are forgotten in one commit.
const BATCH: u32 = 500;
/// Batches of one look: what is left waits for the next.
const BATCHES: u32 = 20;
/// A country code that is assigned to nobody.
const NOBODY: &str = "+999";

/// What one look forgot.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Forgotten {
    /// Texts.
    pub texts: u64,
    /// Answers to money actions.
    pub answers: u64,
    /// Steps in the history of numbers.
    pub history: u64,
}

impl Payments {
    /// Forgets what the operator does not keep any longer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_old(&self) -> Result<Forgotten, Error> {
        let kept = self.inner.settings.upkeep.retention.clone();
        let mut forgotten = Forgotten::default();
        if let Some(before) = self.before(kept.texts) {
            for _ in 0..BATCHES {
                let texts = self.inner.store.forget_outbox(before, BATCH).await?;
                forgotten.texts = forgotten.texts.saturating_add(texts);
                if texts < u64::from(BATCH) {
                    break;
                }
            }
        }
        if let Some(before) = self.before(kept.answers) {
            let old = || Select::<AnswerRow>::new().below("at", &before).order("at");
            forgotten.answers = self.forget_records(old, |row| cell(&row.id)).await?;
        }
        if let Some(before) = self.before(kept.history) {
            let old = || Select::<HistoryRow>::new().below("at", &before).order("at");
            forgotten.history = self.forget_records(old, |row| cell(&row.id)).await?;
        }
        if forgotten != Forgotten::default() {
            tracing::info!(?forgotten, "what is not kept any longer");
        }
        Ok(forgotten)
    }

    /// What is older than this is forgotten, microseconds.
    fn before(&self, kept: Option<Duration>) -> Option<i64> {
        let kept = i64::try_from(kept?.as_micros()).ok()?;
        Some(self.now().saturating_sub(kept))
    }

    async fn forget_records<T: Recorded>(
        &self,
        old: impl Fn() -> Select<T>,
        key: impl Fn(&T) -> Cell,
    ) -> Result<u64, Error> {
        let mut forgotten = 0_u64;
        for _ in 0..BATCHES {
            let rows = self.inner.store.records(&old().limit(BATCH)).await?;
            if rows.is_empty() {
                break;
            }
            let ops = rows.iter().map(|row| Op::remove::<T>(&[key(row)])).collect();
            self.commit(ops).await?.map_err(Error::Refused)?;
            let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            forgotten = forgotten.saturating_add(count);
            if count < u64::from(BATCH) {
                break;
            }
        }
        Ok(forgotten)
    }

    /// Takes a customer's numbers out of everything but the bindings of other accounts: unbinds them, forgets codes, texts and
    /// conversations, and puts pseudonyms into payments. The account has to be empty. What stopped in the middle is gone on
    /// with by the same call.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn erase(&self, account: Id, who: &str, reason: &str) -> Result<Result<u64, Refused>, Error> {
        let view = self.account(account).await?.ok_or(Error::NoSuchAccount)?;
        if view.account.balance_minor != 0 || view.account.held_minor != 0 {
            return Ok(Err(staff::Refusal::NotEmpty.into()));
        }
        let now = self.now();
        let known: Option<ErasureRow> = self.inner.store.record(&[cell(&account)]).await?;
        let began = ErasureRow {
            account,
            who: words(who),
            reason: words(reason),
            at: known.map_or(now, |row| row.at),
            ended_at: None,
        };
        let mut payer = view.payer;
        payer.suspended = true;
        payer.pin_hash = None;
        payer.pin_locked = true;
        let details = serde_json::json!({ "reason": words(reason) });
        let ops = vec![Op::SetPayer(payer), Op::put(&began)];
        if let Err(no) = self.note_staff(ops, who, "erase", account.text(), details).await? {
            return Ok(Err(no));
        }
        let mut changed = 0_u64;
        for number in self.numbers_ever(account, &view.numbers).await? {
            changed = changed.saturating_add(self.erase_number(account, &number).await?);
        }
        let ended = ErasureRow { ended_at: Some(self.now()), ..began };
        self.commit(vec![Op::put(&ended)]).await?.map_err(Error::Refused)?;
        Ok(Ok(changed))
    }

    /// The numbers that pay or ever paid from an account.
    async fn numbers_ever(&self, account: Id, bound: &[Msisdn]) -> Result<Vec<Msisdn>, Error> {
        let wanted = Select::<HistoryRow>::new().equal("account", &account).limit(u32::MAX);
        let history = self.inner.store.records(&wanted).await?;
        let mut numbers: Vec<Msisdn> = history.into_iter().map(|row| row.msisdn).collect();
        numbers.extend(bound.iter().cloned());
        numbers.retain(|number| !number.as_str().starts_with(NOBODY));
        numbers.sort();
        numbers.dedup();
        Ok(numbers)
    }

    async fn erase_number(&self, account: Id, number: &Msisdn) -> Result<u64, Error> {
        let Some(pseudonym) = self.pseudonym(number) else { return Err(Error::NoSuchAccount) };
        let bound = self.account_of(number).await?;
        // Another account's number now: what it does there is not this customer's.
        let other = bound.is_some_and(|bound| bound != account);
        let mut ops = Vec::new();
        if bound == Some(account) {
            let row = BindingRow { msisdn: number.clone(), account, bound_at: 0 };
            ops.push(Op::Unbind(row));
        }
        if !other {
            ops.push(Op::remove::<SeenRow>(&[cell(number)]));
            let codes = Select::<CodeRow>::new().equal("phone", number);
            for code in self.inner.store.records(&codes).await? {
                ops.push(Op::remove::<CodeRow>(&[cell(&code.phone), cell(&code.purpose)]));
            }
        }
        let history = Select::<HistoryRow>::new().equal("account", &account).equal("msisdn", number);
        for row in self.inner.store.records(&history.limit(u32::MAX)).await? {
            ops.push(Op::put(&HistoryRow { msisdn: pseudonym.clone(), ..row }));
        }
        // The history is the list of what is to be done: it changes last.
        let changed = self.inner.store.erase_number(account, number, &pseudonym, other).await?;
        self.commit(ops).await?.map_err(Error::Refused)?;
        Ok(changed)
    }

    /// The number that stands for a number that was erased.
    fn pseudonym(&self, number: &Msisdn) -> Option<Msisdn> {
        let mac = self.inner.seals.mac(&[b"erased number", number.as_str().as_bytes()]);
        let mut figure = 0_u64;
        for byte in mac.iter().take(8) {
            figure = (figure << 8) | u64::from(*byte);
        }
        Msisdn::parse(&format!("{NOBODY}{:011}", figure % 100_000_000_000)).ok()
    }
}
