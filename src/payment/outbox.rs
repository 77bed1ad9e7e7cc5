//! What may become of a message that must leave. Pure.
//!
//! ```text
//! waiting ─► sending ─► accepted ─► delivered | undelivered
//!    ▲ │        │  │        ▲            ▲
//!    │ ▼        │  └► unknown ───────────┘
//!    │ failed ◄─┤
//!    └──────────┘
//! ```
//! Waiting becomes sending by a claim (`store::outbox`), sending becomes unknown also when its lease runs out.

use crate::payment::row::OutboxState;

/// Whether a message may be settled as `to` when it stands at `from`. From unknown there is no way back to waiting:
/// what may have left is not sent again.
#[must_use]
pub const fn may(from: OutboxState, to: OutboxState) -> bool {
    use OutboxState::{Accepted, Delivered, Failed, Sending, Undelivered, Unknown, Waiting};
    match from {
        // Cancelled, or expired before it left.
        Waiting => matches!(to, Failed),
        Sending => matches!(to, Waiting | Accepted | Failed | Unknown),
        // Accepted again: its id became known.
        Accepted => matches!(to, Accepted | Delivered | Undelivered),
        // Accepted: a late answer.
        Unknown => matches!(to, Accepted | Delivered | Undelivered),
        Failed | Delivered | Undelivered => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_states_is_decided() {
        use OutboxState::{Accepted, Delivered, Failed, Sending, Undelivered, Unknown, Waiting};
        let allowed = [
            (Waiting, Failed),
            (Sending, Waiting),
            (Sending, Accepted),
            (Sending, Failed),
            (Sending, Unknown),
            (Accepted, Accepted),
            (Accepted, Delivered),
            (Accepted, Undelivered),
            (Unknown, Accepted),
            (Unknown, Delivered),
            (Unknown, Undelivered),
        ];
        for from in OutboxState::ALL {
            for to in OutboxState::ALL {
                assert_eq!(may(*from, *to), allowed.contains(&(*from, *to)), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn what_may_have_left_is_never_sent_again() {
        let mut reached = vec![OutboxState::Unknown, OutboxState::Accepted];
        while let Some(from) = reached.pop() {
            for to in OutboxState::ALL.iter().filter(|to| may(from, **to) && **to != from) {
                assert!(!matches!(to, OutboxState::Waiting | OutboxState::Sending), "{from:?} to {to:?}");
                reached.push(*to);
            }
        }
    }

    #[test]
    fn stored_numbers_are_those_of_the_migration() {
        let numbers: Vec<i16> = OutboxState::ALL.iter().map(|state| state.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
        assert!(OutboxState::ALL.iter().all(|s| OutboxState::from_number(s.number()) == Some(*s)));
        assert_eq!(OutboxState::from_number(7), None);
    }
}
