//! `keytone ledger verify`: reads every row of the books and of payments from one snapshot and has the rules of both
//! rooms prove them.

use crate::ledger::row::{Fact, Kind};
use crate::ledger::verify;
use crate::ledger::verify::Report;
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
    let mut receivables = Vec::new();
    let mut see = |fact: Fact| {
        if let Fact::Account(account) = &fact
            && account.kind == Kind::Intermediary
        {
            intermediaries.push((account.id, account.balance_minor));
        }
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
    for (account, name, balance_minor) in receivables {
        payments.receivable(account, &name, balance_minor);
    }
    let mut report = books.finish();
    payments.finish(&mut report);
    Ok(report)
}
