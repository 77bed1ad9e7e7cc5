//! The states of a payment and the steps that are allowed between them. Pure.
//!
//! ```text
//!  created ──► authorised ──► submitting ──► submitted ⟲ ──► delivered ──► reversed
//!                  │             │  │            │  ▲           ▲  │
//!                  │             │  └─► unknown ⟲┴──┘───────────┤  │ the carrier contradicts itself:
//!                  │             │         │                    │  ▼ the money is held again
//!                  └─────────────┴─────────┼──────────────► needs_review ⟲
//!                        refused ◄─────────┴────────────────────┘
//!                           ⟲ delivered after all: the house's loss
//! ```
//! From submitting and submitted a payment may also go back to submitting, with the next carrier's attempt.
//! From authorised to needs_review a hold is open; delivered has posted it, refused has voided it.

use crate::payment::row::State;

impl State {
    /// Where a payment in this state may go.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Created => &[Self::Authorised],
            // Delivered at once is what stays inside the house: an order, a deposit.
            Self::Authorised => &[Self::Submitting, Self::Delivered, Self::Refused],
            // Submitting again: the carrier has certainly done nothing, the next one is tried.
            Self::Submitting | Self::Submitted => &[
                Self::Submitting,
                Self::Submitted,
                Self::Delivered,
                Self::Refused,
                Self::Unknown,
                Self::NeedsReview,
            ],
            Self::Unknown => {
                &[Self::Unknown, Self::Submitted, Self::Delivered, Self::Refused, Self::NeedsReview]
            }
            Self::NeedsReview => &[Self::NeedsReview, Self::Delivered, Self::Refused],
            Self::Delivered => &[Self::Reversed, Self::NeedsReview],
            Self::Refused => &[Self::Refused],
            Self::Reversed => &[],
        }
    }

    /// Whether the step from here to `to` is allowed.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        self.next().contains(&to)
    }

    /// Whether the payment cannot have been at an end before: no step leads back here from one.
    #[must_use]
    pub const fn has_never_ended(self) -> bool {
        matches!(self, Self::Created | Self::Authorised | Self::Submitting | Self::Submitted | Self::Unknown)
    }

    /// Whether the caller can be told something definite.
    #[must_use]
    pub const fn is_definite(self) -> bool {
        matches!(self, Self::Delivered | Self::Refused | Self::Reversed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_payment_can_end_and_no_final_one_opens_but_by_contradiction() {
        for state in State::ALL {
            if state.is_open() {
                assert!(state.may_become(State::Refused), "{state:?} must be able to give the money back");
            }
        }
        for state in [State::Refused, State::Reversed] {
            assert!(!state.next().iter().any(|s| s.is_open()), "{state:?}");
        }
        let reopened: Vec<_> = State::Delivered.next().iter().filter(|s| s.is_open()).collect();
        assert_eq!(reopened, [&State::NeedsReview]);
    }

    #[test]
    fn no_step_leads_from_an_end_to_where_a_payment_has_never_ended() {
        for state in State::ALL.iter().filter(|state| !state.has_never_ended()) {
            assert!(!state.next().iter().any(|next| next.has_never_ended()), "{state:?}");
        }
    }

    #[test]
    fn nothing_is_sent_or_paid_without_a_hold() {
        for state in State::ALL {
            if state.may_become(State::Submitting) {
                assert!(matches!(state, State::Authorised | State::Submitting | State::Submitted));
            }
            if state.may_become(State::Delivered) {
                assert!(state.is_open(), "{state:?}");
            }
        }
    }
}
