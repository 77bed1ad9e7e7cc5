//! `keytone ledger verify`: reads every row of the books and of payments from one snapshot and has the rules of both
//! rooms prove them.

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
    store.facts(&mut |fact| books.see(fact), &mut |fact| payments.see(fact)).await?;
    let mut report = books.finish();
    payments.finish(&mut report);
    Ok(report)
}
