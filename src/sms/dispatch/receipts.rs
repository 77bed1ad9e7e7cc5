//! Receipts: which text they tell of, and what. One that comes before the text's id is known is parked.

use std::sync::{MutexGuard, PoisonError};

use crate::session::mailbox::OutboxSettled;
use crate::session::{Id, OutboxState};
use crate::sms::dispatch::{Error, Inner, count};
use crate::sms::parked::{Named, Parked};

/// What a network tells of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reported {
    /// The phone has it.
    Delivered,
    /// The phone will not get it.
    Undelivered,
    /// It is under way: nothing is written.
    UnderWay,
}

/// A receipt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The route that the text took.
    pub route: String,
    /// The network's id of the text, in the form in which the route's carrier gives it for an accepted one.
    pub message_id: String,
    /// What it tells.
    pub reported: Reported,
    /// The network's reason.
    pub code: Option<String>,
}

/// What a receipt came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// The text is settled by it.
    Settled,
    /// It is kept until the text's id is known.
    Parked,
    /// It told nothing new.
    Nothing,
}

impl Inner {
    fn parked(&self) -> MutexGuard<'_, Parked<Receipt>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn receipt(&self, receipt: Receipt) -> Result<Told, Error> {
        if receipt.reported == Reported::UnderWay || receipt.message_id.is_empty() {
            count(&self.counters.unmatched, usize::from(receipt.message_id.is_empty()));
            return Ok(Told::Nothing);
        }
        let named = Named { route: receipt.route.clone(), message_id: receipt.message_id.clone() };
        if let Some(row) = self.mailbox.find(&named.route, &named.message_id).await? {
            return self.tell(row.id, receipt).await;
        }
        // First it is parked, then it is looked for again: the text may have been settled in between.
        let gone = self.parked().park(self.clock.now(), named.clone(), receipt);
        count(&self.counters.unmatched, gone);
        count(&self.counters.parked, 1);
        match self.mailbox.find(&named.route, &named.message_id).await? {
            Some(row) => self.tell_parked(row.id, &named).await,
            None => Ok(Told::Parked),
        }
    }

    async fn tell(&self, text: Id, receipt: Receipt) -> Result<Told, Error> {
        let state = match receipt.reported {
            Reported::Delivered => OutboxState::Delivered,
            Reported::Undelivered => OutboxState::Undelivered,
            Reported::UnderWay => return Ok(Told::Nothing),
        };
        let settled =
            OutboxSettled { code: receipt.code, ..OutboxSettled::new(text, state, self.clock.now().0) };
        // The same receipt again, or another after the last word.
        let new = self.mailbox.settle_one(settled).await?;
        count(if new { &self.counters.receipts } else { &self.counters.unmatched }, 1);
        Ok(if new { Told::Settled } else { Told::Nothing })
    }

    /// Tells a text what was parked for it.
    pub(super) async fn tell_parked(&self, text: Id, named: &Named) -> Result<Told, Error> {
        let receipts = self.parked().take(named);
        let mut told = Told::Nothing;
        for receipt in receipts {
            if self.tell(text, receipt).await? == Told::Settled {
                told = Told::Settled;
            }
        }
        Ok(told)
    }

    /// Whether anything is parked.
    pub(super) fn any_parked(&self) -> bool {
        !self.parked().is_empty()
    }

    /// Looks again for the texts that parked receipts name: another node may have settled them. Drops those too old.
    pub(super) async fn look_again(&self) -> Result<(), Error> {
        let names = {
            let mut parked = self.parked();
            let gone = parked.expire(self.clock.now());
            count(&self.counters.unmatched, gone);
            parked.names()
        };
        for (route, ids) in names {
            for message_id in ids {
                if let Some(row) = self.mailbox.find(&route, &message_id).await? {
                    let named = Named { route: route.clone(), message_id };
                    self.tell_parked(row.id, &named).await?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn answered_late(&self, text: Id, message_id: Option<String>) -> Result<bool, Error> {
        let settled = OutboxSettled {
            message_id: message_id.clone().filter(|id| !id.is_empty()),
            ..OutboxSettled::new(text, OutboxState::Accepted, self.clock.now().0)
        };
        let new = self.mailbox.settle_one(settled).await?;
        if let (true, Some(message_id)) = (new, message_id)
            && let Some(row) = self.mailbox.row(text).await?
            && let Some(route) = row.route
        {
            self.tell_parked(text, &Named { route, message_id }).await?;
        }
        Ok(new)
    }
}
