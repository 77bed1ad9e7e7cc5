//! `keytone ledger verify`: reads every row of the books and of payments from one snapshot and has the rules of both
//! rooms prove them.

use crate::ledger::row::{Fact, Kind};
use crate::ledger::verify;
use crate::ledger::verify::Report;
use crate::payment::day;
use crate::payment::row::day::DayProofRow;
use crate::payment::row::record::Select;
use crate::payment::verify::Verifier;
use crate::store::Error;
use crate::store::Store;

/// Recomputes the invariants of the ledger, of holds and of limits from the database alone.
///
/// # Errors
/// When the database cannot be read, or a row cannot be what it is.
pub async fn verify(store: &Store) -> Result<Report, Error> {
    let mut books = verify::Verifier::default();
    let mut payments = Verifier::default();
    let mut intermediaries = Vec::new();
    // Closed days do not change any more: those that are closed from now on are for the next proof.
    let closed = store.records(&Select::<DayProofRow>::new().order("day").limit(u32::MAX)).await?;
    let mut days = day::Verifier::new(closed);
    let mut receivables = Vec::new();
    let mut see = |fact: Fact| {
        if let Fact::Account(account) = &fact
            && account.kind == Kind::Intermediary
        {
            intermediaries.push((account.id, account.balance_minor));
        }
        days.see(&fact);
        if let Fact::Account(account) = &fact
            && account.kind == Kind::Receivable
        {
            receivables.push((account.id, account.name.clone(), account.balance_minor));
        }
        books.see(fact);
    };
    store.facts(&mut see, &mut |fact| payments.see(fact)).await?;
    for (account, balance_minor) in intermediaries {
        payments.intermediary(account, balance_minor);
    }
    if let Some(until) = days.until() {
        store.transfers_between(i64::MIN, until, &mut |transfer| days.command(&transfer)).await?;
    }
    for (account, name, balance_minor) in receivables {
        payments.receivable(account, &name, balance_minor);
    }
    let mut report = books.finish();
    payments.finish(&mut report);
    days.finish(&mut report);
    Ok(report)
}
