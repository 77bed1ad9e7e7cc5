//! Agents who sell balance: kept by staff, listed to buyers.

use crate::msisdn::Msisdn;
use crate::payment::row::charge::AgentRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{Id, SuspensionRow};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};

/// The most agents that are offered at once.
pub const OFFERS_MAX: usize = 20;
/// The most agents whose balance is looked at for an offer, the cheapest first.
const LOOKED_AT_MAX: u32 = 500;
/// The scope under which an agent is shut.
pub(super) const SCOPE: &str = "agent";
/// The longest name, characters: as much as one line of a list shows.
pub const NAME_CHARS_MAX: usize = 20;
/// The longest description of where to pay, UTF-16 units: as much as a screen shows of a text, so that no account number is
/// cut.
pub const DETAILS_MAX: usize = 40;
/// How often a change is made anew because the agent changed in between.
const STALE_MAX: usize = 8;
/// Millionths in a unit.
const MILLION: i128 = 1_000_000;

/// An agent as staff describe one.
#[derive(Clone, Debug)]
pub struct NewAgent {
    /// The agent's payment account, which exists.
    pub account: Id,
    /// The agent's number, bound to that account.
    pub phone: Msisdn,
    /// The name that buyers see.
    pub name: String,
    /// The language of texts to the agent.
    pub language: String,
    /// Where to pay.
    pub details: String,
    /// Millionths of a unit of ordinary money for a unit of balance.
    pub price_ppm: i64,
    /// The least of one charge, minor units.
    pub least_minor: i64,
    /// The most of one charge, minor units.
    pub most_minor: i64,
    /// What the agent pays for a deposit, minor units.
    pub fee_minor: i64,
}

/// What of an agent's terms changes.
#[derive(Clone, Debug, Default)]
pub struct AgentTerms {
    /// Millionths of a unit of ordinary money for a unit of balance.
    pub price_ppm: Option<i64>,
    /// The least of one charge, minor units.
    pub least_minor: Option<i64>,
    /// The most of one charge, minor units.
    pub most_minor: Option<i64>,
    /// What the agent pays for a deposit, minor units.
    pub fee_minor: Option<i64>,
    /// Where to pay.
    pub details: Option<String>,
}

/// An agent who could sell an amount now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The agent's account.
    pub agent: Id,
    /// The agent's name.
    pub name: String,
    /// The agent's number.
    pub phone: Msisdn,
    /// The price of the amount, minor units of ordinary money.
    pub price_minor: i64,
}

/// An agent's store, as the agent sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// The name that buyers see.
    pub name: String,
    /// Whether buyers see it.
    pub open: bool,
    /// Shut by staff: buyers do not see it, open or not.
    pub suspended: bool,
    /// The least of one charge, minor units.
    pub least_minor: i64,
    /// The most of one charge, minor units.
    pub most_minor: i64,
    /// What buyers pay for the most, minor units of ordinary money.
    pub price_minor: i64,
    /// What the agent pays for a deposit, minor units.
    pub fee_minor: i64,
    /// Where buyers pay.
    pub details: String,
}

impl From<AgentRow> for Shown {
    fn from(row: AgentRow) -> Self {
        Self {
            price_minor: price_minor(row.most_minor, row.price_ppm).unwrap_or(i64::MAX),
            name: row.name,
            open: row.open,
            suspended: row.suspended,
            least_minor: row.least_minor,
            most_minor: row.most_minor,
            fee_minor: row.fee_minor,
            details: row.details,
        }
    }
}

/// What came of an agent's change of the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storekeeping {
    /// Done; the store as it is now.
    Done(Shown),
    /// Shut by staff: it cannot be opened.
    Suspended,
    /// Nothing, less than nothing, or the least is above the most.
    BadAmounts,
    /// The account is no agent's.
    NoStore,
}

/// The price of an amount, rounded up to a whole minor unit; `None` when it does not fit.
#[must_use]
pub fn price_minor(amount_minor: i64, price_ppm: i64) -> Option<i64> {
    let exact = i128::from(amount_minor).checked_mul(i128::from(price_ppm))?;
    i64::try_from(exact.checked_add(MILLION - 1)? / MILLION).ok().filter(|price| *price > 0)
}

/// Whether an agent's values are in their ranges and in one line each.
fn fits(row: &AgentRow) -> bool {
    let line = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    row.price_ppm > 0
        && row.least_minor > 0
        && row.most_minor >= row.least_minor
        && row.fee_minor >= 0
        && line(&row.name)
        && row.name.chars().count() <= NAME_CHARS_MAX
        && line(&row.details)
        && row.details.encode_utf16().count() <= DETAILS_MAX
}

impl Payments {
    /// Adds an agent, open.
    ///
    /// # Errors
    /// When the number is not bound to the account, values are out of range, or the agent exists with another content.
    pub async fn add_agent(&self, new: NewAgent) -> Result<AgentRow, Error> {
        let bound = self.inner.store.binding(&new.phone).await?;
        if bound.is_none_or(|b| b.account != new.account) {
            return Err(Error::NoSuchAccount);
        }
        let row = AgentRow {
            account: new.account,
            name: new.name.trim().to_owned(),
            phone: new.phone,
            language: new.language,
            details: new.details.trim().to_owned(),
            price_ppm: new.price_ppm,
            least_minor: new.least_minor,
            most_minor: new.most_minor,
            fee_minor: new.fee_minor,
            open: true,
            suspended: false,
            created_at: self.now(),
            version: 1,
        };
        if !fits(&row) {
            return Err(Error::Refused(Refusal::Unfit("agent")));
        }
        self.commit(vec![Op::add(&row)]).await?.map_err(Error::Refused)?;
        Ok(row)
    }

    /// The agent of an account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agent(&self, account: Id) -> Result<Option<AgentRow>, Error> {
        Ok(self.inner.store.record::<AgentRow>(&[cell(&account)]).await?)
    }

    /// Every agent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn all_agents(&self) -> Result<Vec<AgentRow>, Error> {
        Ok(self.inner.store.records(&Select::<AgentRow>::new()).await?)
    }

    /// Suspends an agent, or ends that: nothing is asked of a suspended one, who deposits nothing. What is deposited already
    /// goes its way.
    ///
    /// # Errors
    /// When there is no such agent.
    pub async fn suspend_agent(&self, account: Id, suspended: bool) -> Result<(), Error> {
        let shut = SuspensionRow { scope: SCOPE.to_owned(), key: account.text(), since: self.now() };
        let op = if suspended { Op::Suspend(shut) } else { Op::Resume(shut) };
        self.change_agent(account, Some(op), |row| row.suspended = suspended).await
    }

    /// Opens or closes an agent's store.
    ///
    /// # Errors
    /// When there is no such agent.
    pub async fn open_agent(&self, account: Id, open: bool) -> Result<(), Error> {
        self.change_agent(account, None, |row| row.open = open).await
    }

    /// Changes the terms of an agent. Charges that were asked for keep theirs.
    ///
    /// # Errors
    /// When there is no such agent, or the values are out of range.
    pub async fn change_agent_terms(&self, account: Id, terms: AgentTerms) -> Result<(), Error> {
        self.change_agent(account, None, |row| {
            row.price_ppm = terms.price_ppm.unwrap_or(row.price_ppm);
            row.least_minor = terms.least_minor.unwrap_or(row.least_minor);
            row.most_minor = terms.most_minor.unwrap_or(row.most_minor);
            row.fee_minor = terms.fee_minor.unwrap_or(row.fee_minor);
            if let Some(details) = &terms.details {
                row.details = details.trim().to_owned();
            }
        })
        .await
    }

    async fn change_agent(
        &self,
        account: Id,
        with: Option<Op>,
        change: impl Fn(&mut AgentRow) + Send,
    ) -> Result<(), Error> {
        for _ in 0..STALE_MAX {
            let mut row = self.agent(account).await?.ok_or(Error::NoSuchAccount)?;
            change(&mut row);
            if !fits(&row) {
                return Err(Error::Refused(Refusal::Unfit("agent")));
            }
            row.version = row.version.saturating_add(1);
            let ops = std::iter::once(Op::set(&row)).chain(with.clone()).collect();
            match self.commit(ops).await? {
                Ok(_) => return Ok(()),
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// An agent's own store; none when the account is no agent's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn store_of(&self, account: Id) -> Result<Option<Shown>, Error> {
        Ok(self.agent(account).await?.map(Shown::from))
    }

    /// The agent opens or closes the store. One that staff have shut is only closed.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn keep_store(&self, account: Id, open: bool) -> Result<Storekeeping, Error> {
        match self.agent(account).await? {
            None => return Ok(Storekeeping::NoStore),
            Some(agent) if open && agent.suspended => return Ok(Storekeeping::Suspended),
            Some(agent) if agent.open == open => return Ok(Storekeeping::Done(agent.into())),
            Some(_) => {}
        }
        self.open_agent(account, open).await?;
        self.kept(account).await
    }

    /// The agent changes the least and the most of one charge; what is `None` stays. Price, fee and where to pay are staff's to
    /// change.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn set_store_amounts(
        &self,
        account: Id,
        least_minor: Option<i64>,
        most_minor: Option<i64>,
    ) -> Result<Storekeeping, Error> {
        if self.agent(account).await?.is_none() {
            return Ok(Storekeeping::NoStore);
        }
        let terms = AgentTerms { least_minor, most_minor, ..AgentTerms::default() };
        match self.change_agent_terms(account, terms).await {
            Ok(()) => self.kept(account).await,
            Err(Error::Refused(Refusal::Unfit(_))) => Ok(Storekeeping::BadAmounts),
            Err(error) => Err(error),
        }
    }

    async fn kept(&self, account: Id) -> Result<Storekeeping, Error> {
        Ok(self.store_of(account).await?.map_or(Storekeeping::NoStore, Storekeeping::Done))
    }

    /// The charging store: the agents who are open and have this amount to sell, the cheapest first. Nobody is offered to
    /// oneself.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn offers(&self, buyer: Id, amount_minor: i64) -> Result<Vec<Offer>, Error> {
        let open = Select::<AgentRow>::new()
            .equal("open", &true)
            .equal("suspended", &false)
            .order("price_ppm")
            .limit(LOOKED_AT_MAX);
        let mut offers = Vec::new();
        for agent in self.inner.store.records(&open).await? {
            let sells = (agent.least_minor..=agent.most_minor).contains(&amount_minor);
            let Some(price_minor) = price_minor(amount_minor, agent.price_ppm) else { continue };
            let total = amount_minor.saturating_add(agent.fee_minor);
            if !sells || agent.account == buyer {
                continue;
            }
            let has = self.inner.store.account(agent.account).await?;
            if has.is_some_and(|a| a.balance_minor.saturating_sub(a.held_minor) >= total) {
                offers.push(Offer {
                    agent: agent.account,
                    name: agent.name,
                    phone: agent.phone,
                    price_minor,
                });
            }
        }
        offers.sort_by(|a, b| (a.price_minor, &a.name).cmp(&(b.price_minor, &b.name)));
        offers.truncate(OFFERS_MAX);
        Ok(offers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_round_up_and_fit() {
        assert_eq!(price_minor(10_000, 950_000), Some(9_500));
        assert_eq!(price_minor(1, 1), Some(1));
        assert_eq!(price_minor(3, 333_334), Some(2));
        assert_eq!(price_minor(i64::MAX, i64::MAX), None);
        assert_eq!(price_minor(0, 1_000_000), None);
    }
}
