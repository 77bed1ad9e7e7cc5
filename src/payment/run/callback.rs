//! Callbacks of carriers: verified, matched by our reference, compared with what was sent, and then news like
//! any other.

use crate::connector::http::{CallbackFault, Received, compare};
use crate::payment::answer::CallbackReply;
use crate::payment::decision::Source;
use crate::payment::run::pay::order;
use crate::payment::run::{Error, Payments};

impl Payments {
    /// Takes a callback of the connector `connector`: `headers` are names with values, `body` the raw bytes
    /// that were signed. The reply is given only after the news is committed, so that a carrier that gets
    /// none repeats it.
    pub async fn callback(
        &self,
        connector: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> CallbackReply {
        let Some(carrier) = self.inner.connectors.get(connector) else {
            return reply(404, "no such connector");
        };
        if carrier.tells_reservations() {
            return self.provider_callback(connector, carrier, headers, body).await;
        }
        let received = match carrier.callback(headers, body) {
            Ok(received) => received,
            Err(fault) => return refused(connector, fault),
        };
        match self.take_callback(connector, received).await {
            Ok(true) => {
                let (status, body) = carrier.callback_reply();
                CallbackReply { status, body }
            }
            Ok(false) => reply(404, "no such reference"),
            Err(error) => {
                tracing::warn!(connector, %error, "a callback waits: it must be repeated");
                reply(503, "try again")
            }
        }
    }

    async fn take_callback(&self, connector: &str, received: Received) -> Result<bool, Error> {
        let Received { callback, verified } = received;
        let store = &self.inner.store;
        let Some(attempt) = store.attempt_by_reference(&callback.reference).await? else { return Ok(false) };
        if attempt.connector != connector {
            return Ok(false);
        }
        let Some(payment) = store.payment(attempt.payment).await? else { return Ok(false) };
        if !verified {
            // Anybody could have sent it: it is a hint to ask, nothing more.
            if !payment.state.is_definite() {
                self.ask_status(payment).await?;
            }
            return Ok(true);
        }
        let Some(order) = order(&payment, &attempt) else { return Ok(false) };
        let outcome = compare(callback.outcome, &callback.echo, &order);
        self.resolve(payment, attempt, &outcome, Source::Callback).await?;
        Ok(true)
    }
}

/// What a callback that is not taken is answered.
pub(super) fn refused(connector: &str, fault: CallbackFault) -> CallbackReply {
    tracing::warn!(connector, %fault, "a callback was not taken");
    let status = match fault {
        CallbackFault::NotExpected => 404,
        CallbackFault::TooLong => 413,
        CallbackFault::Signature => 401,
        CallbackFault::Unreadable => 400,
    };
    reply(status, "not taken")
}

pub(super) fn reply(status: u16, words: &str) -> CallbackReply {
    CallbackReply { status, body: serde_json::json!({ "error": words }).to_string() }
}
