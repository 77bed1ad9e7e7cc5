//! One PIN of an account is checked at a time in this process. A try is counted before it is judged, so that many right ones
//! at once (an agent's machine that confirms several charges) would count as many wrong ones until the first is through, and a
//! process that ended just then would leave the account locked.

use tokio::sync::{Mutex, MutexGuard};

use crate::ledger::row::Id;

/// Accounts share so many turns; two that meet in one wait for each other's check, which is short.
const TURNS: usize = 1_024;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    /// Waits for an account's turn; it lasts as long as what is given is kept.
    pub(super) async fn of(&self, account: Id) -> Option<MutexGuard<'_, ()>> {
        let [.., high, low] = account.0;
        let place = usize::from(u16::from_be_bytes([high, low])).checked_rem(self.0.len())?;
        Some(self.0.get(place)?.lock().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn an_account_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let (one, other) = (Id([1; 16]), Id([2; 16]));
        let first = turns.of(one).await;
        assert!(first.is_some());
        assert!(turns.of(one).now_or_never().is_none(), "the second waits");
        assert!(turns.of(other).now_or_never().flatten().is_some(), "another account does not");
        drop(first);
        assert!(turns.of(one).now_or_never().flatten().is_some());
    }
}
