//! Tells merchants: sends what is due, one attempt at a time for each, and writes what came of it. The attempt is written
//! before it leaves. The order in which a merchant hears of things is not promised; ids are stable over all attempts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::connector::contract::{Outcome, Unclear};
use crate::connector::http::Wire;
use crate::payment::row::Id;
use crate::payment::row::order::{MerchantRow, WebhookAttemptRow, WebhookRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::run::crash::crash_point;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::payment::webhook;
use crate::secret::Secret;

/// Looked at in one round.
const ROUND_MAX: u32 = 64;
/// Receivers asked at once.
const AT_ONCE: usize = 16;
/// Times that the end of an attempt is written when the writer is busy.
const END_TRIES: usize = 5;

/// Resolves names and gives only addresses of the open network, so that a name cannot lead into a private one.
struct OpenOnly;

impl Resolve for OpenOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> = found.filter(|at| webhook::is_public(at.ip())).collect();
            if open.is_empty() {
                return Err("the name leads to no address of the open network".into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// How merchants are reached.
#[derive(Clone)]
enum Way {
    Http(reqwest::Client),
    Wire(Arc<dyn Wire>),
}

impl Way {
    /// The status of the answer, and in a word what came of the attempt.
    async fn send(&self, request: reqwest::Request) -> (Option<i32>, &'static str) {
        let told = |status: u16| {
            let outcome = if (200..300).contains(&status) { "delivered" } else { "refused" };
            (Some(i32::from(status)), outcome)
        };
        match self {
            Self::Http(client) => match client.execute(request).await {
                Ok(response) => told(response.status().as_u16()),
                Err(error) if error.is_timeout() => (None, "no answer in time"),
                Err(error) if error.is_connect() => (None, "no connection"),
                Err(_) => (None, "the connection broke"),
            },
            Self::Wire(wire) => match wire.exchange(request).await {
                Ok((status, _)) => told(status),
                Err(Outcome::Unknown { why: Unclear::Timeout, .. }) => (None, "no answer in time"),
                Err(Outcome::NotSent { .. }) => (None, "no connection"),
                Err(_) => (None, "the connection broke"),
            },
        }
    }
}

fn headers(id: &str, timestamp: i64, signature: &str) -> Option<HeaderMap> {
    let texts = [
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", &timestamp.to_string()),
        ("webhook-signature", signature),
    ];
    let header = |(name, text): (&'static str, &str)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(text).ok()?))
    };
    texts.into_iter().map(header).collect()
}

fn client(private_allowed: bool) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_idle_timeout(Duration::from_secs(30))
        .timeout(webhook::ANSWER_WITHIN)
        .user_agent(concat!("keytone/", env!("CARGO_PKG_VERSION")));
    if private_allowed { builder } else { builder.dns_resolver(Arc::new(OpenOnly)) }.build()
}

impl Payments {
    /// Sends what merchants are to be told until `stop`.
    pub(super) async fn tell_merchants(self, stop: CancellationToken) {
        // Made when the first merchant is to be told: it reads every certificate root of the machine.
        let mut way = self.inner.hooks.get().cloned().map(Way::Wire);
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        while !stop.is_cancelled() {
            if let Err(error) = self.tell_round(&mut way, &at_once).await {
                tracing::warn!(%error, "due webhooks could not be looked for");
            }
            tokio::select! {
                () = tokio::time::sleep(self.inner.settings.poll_every) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn tell_round(&self, made: &mut Option<Way>, at_once: &Arc<Semaphore>) -> Result<(), Error> {
        let now = self.now();
        let due = Select::<WebhookRow>::new().below("due_at", &now.saturating_add(1)).order("due_at");
        let due = self.inner.store.records(&due.limit(ROUND_MAX)).await?;
        if made.is_none() && !due.is_empty() {
            match client(self.inner.settings.webhooks_private) {
                Ok(client) => *made = Some(Way::Http(client)),
                Err(error) => tracing::error!(%error, "merchants cannot be told: no HTTP client"),
            }
        }
        let Some(way) = made else { return Ok(()) };
        for row in due {
            let Ok(permit) = Arc::clone(at_once).acquire_owned().await else { return Ok(()) };
            let Some((sending, attempt)) = webhook::begin(&row, self.now()) else { continue };
            crash_point("webhook_before");
            match self.commit(vec![Op::set(&sending), Op::add(&attempt)]).await? {
                Ok(_) => {}
                // Another node took it, or it was sent again by hand.
                Err(Refusal::Stale) => continue,
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
            let (this, way) = (self.clone(), way.clone());
            self.inner.tracker.spawn(async move {
                if let Err(error) = this.tell_once(&way, sending, attempt).await {
                    tracing::warn!(%error, "a webhook's attempt could not be written; it is taken up again");
                }
                drop(permit);
            });
        }
        Ok(())
    }

    /// One attempt.
    async fn tell_once(
        &self,
        way: &Way,
        sending: WebhookRow,
        attempt: WebhookAttemptRow,
    ) -> Result<(), Error> {
        let merchant = self.merchant(sending.merchant).await?;
        let (status, outcome) = match merchant {
            Some(merchant) => self.send(way, &merchant, &sending, attempt.at).await,
            None => (None, "no such merchant"),
        };
        crash_point("webhook_sent");
        let now = self.now();
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        let ended = WebhookAttemptRow {
            status,
            outcome: outcome.to_owned(),
            took_ms: Some(now.saturating_sub(attempt.at).div_euclid(1_000)),
            ..attempt
        };
        let done = webhook::end(&sending, now, delivered);
        for _ in 0..END_TRIES {
            match self.commit(vec![Op::set(&done), Op::put(&ended)]).await {
                Ok(Ok(_)) => {
                    crash_point("webhook_after");
                    return Ok(());
                }
                // Sent again by hand meanwhile: the attempt is told, the row goes its own way.
                Ok(Err(Refusal::Stale)) => {
                    self.commit(vec![Op::put(&ended)]).await?.map_err(Error::Refused)?;
                    return Ok(());
                }
                Ok(Err(refusal)) => return Err(Error::Refused(refusal)),
                Err(Error::Busy) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Busy)
    }

    /// Sends and reads no more of the answer than its status.
    async fn send(
        &self,
        way: &Way,
        merchant: &MerchantRow,
        row: &WebhookRow,
        at: i64,
    ) -> (Option<i32>, &'static str) {
        let Some(url) = &merchant.webhook_url else { return (None, "the merchant has no address") };
        let Ok(url) = webhook::check_url(url, self.inner.settings.webhooks_private) else {
            return (None, "the address is not allowed");
        };
        let keys = self.hook_keys(merchant, at);
        if keys.is_empty() {
            return (None, "the signing key cannot be opened");
        }
        let id = webhook::header_id(row.id);
        let timestamp = at.div_euclid(1_000_000);
        let signature = webhook::signatures(&keys, &id, timestamp, &row.body);
        let Some(headers) = headers(&id, timestamp, &signature) else {
            return (None, "the request cannot be made");
        };
        let mut request = reqwest::Request::new(reqwest::Method::POST, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(row.body.clone().into());
        way.send(request).await
    }

    /// The keys that sign now, the newest first.
    fn hook_keys(&self, merchant: &MerchantRow, now: i64) -> Vec<Secret> {
        let old = merchant.old_hook_key.as_ref();
        let old = old.filter(|_| merchant.old_hook_key_until.is_some_and(|until| now < until));
        let sealed = std::iter::once(&merchant.hook_key).chain(old);
        sealed
            .filter_map(|sealed| self.inner.seals.open(&merchant.id.0, sealed))
            .map(|key| Secret::new(key.to_vec()))
            .collect()
    }

    /// What a merchant was told of an order, the first first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn webhooks_of(&self, order: Id) -> Result<Vec<WebhookRow>, Error> {
        let wanted = Select::new().equal("order_id", &order).order("created_at");
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// The attempts of a webhook.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn webhook_attempts(&self, webhook: Id) -> Result<Vec<WebhookAttemptRow>, Error> {
        let wanted = Select::new().equal("webhook", &webhook).order("number");
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// Sends a webhook again, whatever became of it. False when there is none.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn resend_webhook(&self, id: Id) -> Result<bool, Error> {
        for _ in 0..END_TRIES {
            let Some(row) = self.inner.store.record::<WebhookRow>(&[cell(&id)]).await? else {
                return Ok(false);
            };
            match self.commit(vec![Op::set(&webhook::again(&row, self.now()))]).await? {
                Ok(_) => return Ok(true),
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }
}
