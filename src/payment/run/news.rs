//! Messages of account providers about reservations: proved, matched by our reference, compared with what was asked, and then
//! news of which [`crate::payment::saga`] takes what cannot be old.
//!
//! A message may come late, twice, in another order or from anybody. What settles nothing makes the provider asked; what is not
//! proved does no more than that.

use std::time::Duration;

use crate::connector::http::{Connector, News};
use crate::connector::provider::{Answer, Told};
use crate::payment::answer::CallbackReply;
use crate::payment::row::Id;
use crate::payment::row::provider::ReservationRow;
use crate::payment::row::record::Select;
use crate::payment::run::callback::{refused, reply};
use crate::payment::run::providers::asked_about;
use crate::payment::run::{Error, Payments};
use crate::payment::saga::{Input, Stage};

/// How long a message waits at most until it is written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Payments {
    /// Takes a message of the provider `provider`. The reply is given only after it is written, so that a provider that gets none
    /// repeats it.
    pub(super) async fn provider_callback(
        &self,
        provider: &str,
        connector: &Connector,
        headers: &[(String, String)],
        body: &[u8],
    ) -> CallbackReply {
        let news = match connector.news(headers, body) {
            Ok(news) => news,
            Err(fault) => return refused(provider, fault),
        };
        match self.take_news(provider, connector, &news).await {
            Ok(true) => {
                let (status, body) = connector.news_reply();
                CallbackReply { status, body }
            }
            Ok(false) => reply(404, "no such reference"),
            Err(error) => {
                tracing::warn!(provider, %error, "a provider's message waits: it must be repeated");
                reply(503, "try again")
            }
        }
    }

    async fn take_news(&self, provider: &str, connector: &Connector, news: &News) -> Result<bool, Error> {
        if self.inner.tracker.is_closed() {
            return Err(Error::Stopped);
        }
        let named = Select::<ReservationRow>::new().equal("reference", &news.reference).limit(2);
        let found = self.inner.store.records(&named).await?;
        let Some(row) = found.into_iter().find(|row| row.provider == provider) else { return Ok(false) };
        let Some((payment, row)) = self.both(row.payment).await? else { return Ok(false) };
        let answer = if news.verified {
            connector.told(news, &asked_about(&payment, &row))
        } else {
            // Anybody could have sent it: it is a hint to ask, nothing more.
            Answer::from(Told::Pending)
        };
        let (id, told) = (row.payment, answer.told.name());
        tracing::info!(payment = %id, told, verified = news.verified, "a provider tells of a reservation");
        let this = self.clone();
        let task = self.inner.tracker.spawn(async move {
            this.bring_in(id, |_| Input::News(&answer)).await?;
            let tending = this.clone();
            this.inner.tracker.spawn(async move { tending.tend(id).await });
            Ok(())
        });
        self.written(id, row.stage, task).await?;
        Ok(true)
    }

    /// Waits until the news is written: what follows from it may take as long as a carrier does.
    async fn written(
        &self,
        id: Id,
        before: i16,
        mut task: tokio::task::JoinHandle<Result<(), Error>>,
    ) -> Result<(), Error> {
        let reserving = before == Stage::Reserving.number();
        let settled = async {
            loop {
                if let Ok(done) = tokio::time::timeout(LOOK_EVERY, &mut task).await {
                    return done.map_err(|_| Error::Stopped)?;
                }
                // From here on the carrier is asked, or the provider.
                if reserving && self.reservation_of(id).await?.is_some_and(|row| row.stage != before) {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(WRITTEN_WITHIN, settled).await.unwrap_or(Err(Error::Busy))
    }
}
