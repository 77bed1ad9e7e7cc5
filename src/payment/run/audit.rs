//! `keytone ledger verify`: reads every row of the books from one snapshot and has the ledger's rules prove them.

use crate::ledger::verify::{Report, Verifier};
use crate::store::Error;
use crate::store::Store;

/// Recomputes the invariants of the ledger from the database alone.
///
/// # Errors
/// When the database cannot be read, or a row cannot be what it is.
pub async fn verify(store: &Store) -> Result<Report, Error> {
    let mut verifier = Verifier::default();
    store.facts(&mut |fact| verifier.see(fact)).await?;
    Ok(verifier.finish())
}
