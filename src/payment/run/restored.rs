//! After a restore from a backup (DESIGN 6.4 point 24): everything is shut until what was open then is known.
//!
//! What was taken after the backup is in no row. So a daemon that finds an old database opens nothing by itself: it asks the
//! carriers about every payment that was not at its end, also about those that had not left then, since they may have left
//! since. Whether more was taken meanwhile, only a carrier's statement tells.

use crate::payment::fold::{RESTORED, WHOLE};
use crate::payment::row::dayone::SuspensionNoteRow;
use crate::payment::row::epoch::{EPOCH, EpochRow};
use crate::payment::row::record::cell;
use crate::payment::row::{PaymentRow, State, SuspensionRow};
use crate::payment::run::{Error, Payments};
use crate::payment::staff;
use crate::payment::unit::{Op, Refusal};
use crate::payment::upkeep::Unlock;

/// Times that the count is tried when another node counted at the same moment.
const STALE_MAX: u32 = 8;
/// Open payments that are counted at most, for a message.
const OPEN_MAX: u32 = 10_000;
/// Who acts when nobody does.
const ITSELF: &str = "keytone";

/// What locks a database, in the row that a backup carries too.
#[must_use]
pub fn lock(at: i64, reason: &str) -> Vec<Op> {
    let row = SuspensionRow { scope: WHOLE.to_owned(), key: RESTORED.to_owned(), since: at };
    let note = SuspensionNoteRow {
        scope: row.scope.clone(),
        key: row.key.clone(),
        reason: reason.to_owned(),
        who: ITSELF.to_owned(),
        at,
    };
    vec![Op::Suspend(row), Op::put(&note)]
}

/// What opens it again.
pub(super) fn unlock(at: i64) -> Vec<Op> {
    let row = SuspensionRow { scope: WHOLE.to_owned(), key: RESTORED.to_owned(), since: at };
    let note = [cell(&row.scope), cell(&row.key)];
    vec![Op::Resume(row), Op::remove::<SuspensionNoteRow>(&note)]
}

impl Payments {
    /// Takes the database up, or looks after it: counts, and gives the count to be kept beside the database. When `seen`, the
    /// count that was kept there, is more than the database knows, the database is an old one, and is locked.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_epoch(&self, seen: Option<i64>) -> Result<i64, Error> {
        for _ in 0..STALE_MAX {
            let known: Option<EpochRow> = self.inner.store.record(&[cell(&EPOCH)]).await?;
            let at = self.now();
            let before = known.as_ref().map_or(0, |row| row.epoch);
            let old = seen.is_some_and(|seen| seen > before);
            let row = EpochRow {
                id: EPOCH,
                epoch: seen.unwrap_or(0).max(before).saturating_add(1),
                at,
                version: known.as_ref().map_or(1, |row| row.version.saturating_add(1)),
            };
            let mut ops = vec![if known.is_some() { Op::set(&row) } else { Op::add(&row) }];
            if old {
                ops.extend(lock(at, "the database is older than the one that was in use here"));
            }
            match self.commit(ops).await? {
                Ok(_) => {
                    if old {
                        tracing::error!(
                            seen,
                            known = before,
                            "ALARM: an old database was found and is locked"
                        );
                    }
                    return Ok(row.epoch);
                }
                Err(Refusal::Stale | Refusal::Exists(_)) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Locks the database by hand: after a restore that nothing here could notice.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn lock_restored(&self, reason: &str) -> Result<(), Error> {
        self.commit(lock(self.now(), reason)).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// Whether everything is shut after a restore.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_locked(&self) -> Result<bool, Error> {
        Ok(self.inner.store.suspended(&[(WHOLE.to_owned(), RESTORED.to_owned())]).await?)
    }

    /// How many payments there are of which it is not known whether they were delivered.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unsettled(&self) -> Result<usize, Error> {
        let states = [State::Authorised, State::Submitting, State::Submitted, State::Unknown];
        Ok(self.inner.store.open_payments(&states, OPEN_MAX).await?.len())
    }

    /// A payment that had not left when the backup was made may have left since: it is asked for under the reference that it
    /// then had. When its hold's time has passed it stays as it is, and the money is free: a statement tells the rest.
    pub(super) async fn as_if_sent(&self, payment: PaymentRow) -> Result<PaymentRow, Error> {
        let attempt = self.attempt(payment.id, 1, &payment.connector);
        if let Some(provider) = &payment.provider {
            // Whether the provider had kept the money by then is not known here either.
            let (id, reference) = (payment.id, attempt.reference.as_str());
            tracing::error!(payment = %id, reference, provider, "ALARM: compare this one with both statements");
            return Ok(payment);
        }
        match self.submit(&payment, &attempt, &[]).await {
            Ok(sent) => Ok(sent),
            Err(Error::Refused(refusal)) => {
                let (id, reference) = (payment.id, attempt.reference.as_str());
                tracing::error!(payment = %id, reference, %refusal, "ALARM: compare this one with the carrier's statement");
                Ok(payment)
            }
            Err(error) => Err(error),
        }
    }

    /// What opens the house, for two of staff.
    pub(super) async fn ready_unlock(&self) -> Result<Result<Vec<Op>, staff::Refusal>, Error> {
        if !self.is_locked().await? {
            return Ok(Err(staff::Refusal::NotLocked));
        }
        match self.unsettled().await? {
            0 => Ok(Ok(unlock(self.now()))),
            open => Ok(Err(staff::Refusal::Unsettled(open))),
        }
    }

    /// Opens the house by itself where the operator wants that, once everything that was open is known.
    pub(super) async fn unlock_when_known(&self) -> Result<(), Error> {
        if self.inner.settings.upkeep.unlock != Unlock::Resolved || !self.is_locked().await? {
            return Ok(());
        }
        if self.unsettled().await? > 0 {
            return Ok(());
        }
        let details = serde_json::json!({ "reason": "all that was open at the restore is known" });
        let subject = format!("{WHOLE} {RESTORED}");
        let noted = self.note_staff(unlock(self.now()), ITSELF, "unlock", subject, details).await?;
        if noted.is_ok() {
            tracing::warn!("all that was open at the restore is known: payments are taken again");
        }
        Ok(())
    }
}
