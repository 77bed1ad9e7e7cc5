//! What a payment needs of the caller besides the money: the policy, the proof that it asks for, and whether the SIM behind the
//! number was changed lately.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::connector::swap::Asker;
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::answer::Channel;
use crate::payment::assurance::{Demand, SwapRules};
use crate::payment::run::{Error, Payments};

/// The class of a caller whose number is not believed.
pub(super) const NOT_BELIEVED: &str = "not_believed";
/// The class of a caller whose SIM was changed lately.
pub(super) const SIM_SWAPPED: &str = "sim_swapped";
/// Answers that are kept at most; when there are more, all are asked for anew.
const KEPT_MAX: usize = 100_000;
/// How long no answer is taken for no answer, microseconds: a payment asks twice, and the caller waits for it once.
const SILENCE_KEPT: i64 = 10_000_000;

/// What a payment needs of its caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Nothing but what the flow asks for anyway.
    Pin,
    /// A code to this number first.
    Code(Msisdn),
    /// The SIM was changed lately, or it is not known and the operator wants to know.
    Swapped,
    /// Something that cannot be had here.
    Refused,
}

/// What is known of SIMs.
#[derive(Debug, Default)]
pub(super) struct Swaps {
    /// Made when the first is asked about.
    asker: OnceLock<Option<Asker>>,
    /// By number: until when, microseconds, and whether it was changed; nothing when there was no answer.
    known: Mutex<HashMap<Msisdn, (i64, Option<bool>)>>,
}

impl Swaps {
    fn recall(&self, phone: &Msisdn, now: i64) -> Option<Option<bool>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(phone).filter(|(until, _)| now < *until).map(|(_, answer)| *answer)
    }

    fn keep(&self, phone: &Msisdn, until: i64, answer: Option<bool>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(phone.clone(), (until, answer));
    }

    fn asker(&self, rules: &SwapRules) -> Option<&Asker> {
        let made = self.asker.get_or_init(|| match Asker::new(rules.hook.clone()) {
            Ok(asker) => Some(asker),
            Err(error) => {
                tracing::error!(%error, "nobody can be asked about SIM swaps");
                None
            }
        });
        made.as_ref()
    }
}

impl Payments {
    /// What a payment of an amount (minor units) needs of this caller before it may be made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn needs(
        &self,
        action: &str,
        amount_minor: i64,
        account: Id,
        caller: Option<&Msisdn>,
        channel: Channel,
    ) -> Result<Needs, Error> {
        let policy = &self.inner.settings.policy;
        let standing = self.standing(caller);
        match policy.judge(action, amount_minor, standing, channel) {
            Demand::Allow | Demand::Pin => {}
            Demand::PinAndCode => {
                let Some(caller) = caller else { return Ok(Needs::Refused) };
                if policy.believes(standing) {
                    if self.proven(caller, Some(account)).await?.is_none() {
                        return Ok(Needs::Code(caller.clone()));
                    }
                } else if !self.is_proved(caller, account).await? {
                    // His code is too old: he begins again. Over HTTP nothing was begun.
                    let begun = channel != Channel::Http;
                    return Ok(if begun { Needs::Refused } else { Needs::Code(caller.clone()) });
                }
            }
            Demand::CallBack | Demand::Refuse => return Ok(Needs::Refused),
        }
        match caller {
            Some(caller) if self.is_swapped(caller, amount_minor).await => Ok(Needs::Swapped),
            _ => Ok(Needs::Pin),
        }
    }

    /// The class that a payment is refused with because of its caller; nothing when he may pay from the account with its PIN
    /// alone.
    pub(super) async fn distrust(
        &self,
        action: &str,
        amount_minor: i64,
        account: Id,
        caller: Option<&Msisdn>,
        channel: Channel,
    ) -> Result<Option<&'static str>, Error> {
        Ok(match self.doubted(action, amount_minor, account, caller, channel).await? {
            Needs::Pin => None,
            Needs::Swapped => Some(SIM_SWAPPED),
            Needs::Code(_) | Needs::Refused => Some(NOT_BELIEVED),
        })
    }

    /// The same, with what is needed: [`Payments::needs`], and that the number is the account's own.
    pub(super) async fn doubted(
        &self,
        action: &str,
        amount_minor: i64,
        account: Id,
        caller: Option<&Msisdn>,
        channel: Channel,
    ) -> Result<Needs, Error> {
        let needs = self.needs(action, amount_minor, account, caller, channel).await?;
        let Some(caller) = caller.filter(|_| needs == Needs::Pin && channel != Channel::Http) else {
            return Ok(needs);
        };
        let bound = self.inner.store.binding(caller).await?;
        // Somebody else may have the number now: it passes a code first, whichever way the payment came here.
        let his =
            bound.is_some_and(|bound| bound.account == account) && !self.may_be_recycled(caller).await?;
        Ok(if his { Needs::Pin } else { Needs::Refused })
    }

    /// Whether the SIM behind a number was changed lately, for a payment of so much (minor units). Without an answer it is as
    /// the operator says.
    async fn is_swapped(&self, phone: &Msisdn, amount_minor: i64) -> bool {
        let rules = self.inner.settings.policy.swap.as_ref();
        let Some(rules) = rules.filter(|rules| amount_minor >= rules.from_minor) else { return false };
        let swaps = &self.inner.swaps;
        let now = self.now();
        if let Some(answer) = swaps.recall(phone, now) {
            return answer.unwrap_or(!rules.open);
        }
        let Some(asker) = swaps.asker(rules) else { return !rules.open };
        let correlator = Id::new(now).text();
        match asker.swapped(phone, &correlator).await {
            Ok(swapped) => {
                let kept = i64::try_from(rules.kept.as_micros()).unwrap_or(i64::MAX);
                swaps.keep(phone, now.saturating_add(kept), Some(swapped));
                if swapped {
                    tracing::warn!(?phone, correlator, "the SIM was changed lately: no payment");
                }
                swapped
            }
            Err(reason) => {
                tracing::warn!(?phone, correlator, reason, open = rules.open, "no answer about a SIM swap");
                swaps.keep(phone, now.saturating_add(SILENCE_KEPT), None);
                !rules.open
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_for_their_time() {
        let swaps = Swaps::default();
        let phone = Msisdn::parse("+8613800000003").unwrap();
        assert_eq!(swaps.recall(&phone, 0), None);
        swaps.keep(&phone, 10, Some(true));
        assert_eq!(swaps.recall(&phone, 9), Some(Some(true)));
        assert_eq!(swaps.recall(&phone, 10), None);
        swaps.keep(&phone, 20, None);
        assert_eq!(swaps.recall(&phone, 15), Some(None));
    }
}
