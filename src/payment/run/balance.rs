//! What a customer may spend: by our books, or, of an account that is held outside, by what its provider says at that moment.
//!
//! The provider is asked anew each time, within the time that a caller is let wait, and nothing of its answer is kept: what is
//! not known now is told as that, never as an older figure or as nothing.

use crate::connector::funds::Funds;
use crate::ledger::row::Id;
use crate::payment::run::{Error, Payments};

/// What may be spent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Balance {
    /// So much, minor units.
    Known {
        /// Never below zero: from an overdrawn account nothing may be spent.
        available_minor: i64,
    },
    /// The account is held outside, and its provider does not tell now.
    NotNow,
}

impl Payments {
    /// What may be spent from an account now.
    ///
    /// # Errors
    /// When the account does not exist or the database does not answer.
    pub async fn balance(&self, account: Id) -> Result<Balance, Error> {
        let view = self.account(account).await?.ok_or(Error::NoSuchAccount)?;
        let Some(outside) = self.held_outside(account).await? else {
            return Ok(Balance::Known { available_minor: view.available_minor });
        };
        let provider = outside.provider;
        let Some(connector) = self.holder(&provider).cloned() else {
            tracing::error!(%account, provider, "ALARM: the provider is not configured");
            return Ok(Balance::NotNow);
        };
        let question = Id::new(self.now());
        let reference = connector.describe().reference.write(question.0);
        let currency = self.inner.settings.currency;
        // In a task of its own: whoever does not wait any longer leaves the connector's breaker its answer.
        let asking = self
            .inner
            .tracker
            .spawn(async move { connector.funds(reference, &outside.external_id, currency).await });
        let funds = match tokio::time::timeout(self.inner.settings.answer_within, asking).await {
            Ok(asked) => asked.map_err(|_| Error::Stopped)?,
            Err(_) => Funds::not_now("no answer within the time that a caller waits"),
        };
        Ok(match funds {
            Funds::Known(money) => Balance::Known { available_minor: money.minor.max(0) },
            Funds::NotNow { detail, alarm: true } => {
                tracing::error!(%account, provider, detail, "ALARM: a provider does not know a customer's account");
                Balance::NotNow
            }
            Funds::NotNow { detail, alarm: false } => {
                tracing::warn!(%account, provider, detail, "a balance is not available now");
                Balance::NotNow
            }
        })
    }
}
