//! Whether the SIM behind a number was changed lately, asked of the subscriber's network over HTTP in the shape of CAMARA's
//! SimSwap `check`: a POST with `phoneNumber` and `maxAge` (hours), answered by `{"swapped": true}` or `false`.
//!
//! It is a question and moves nothing. What is not a plain yes or no is no answer, whatever else the server says.

use std::time::Duration;

use serde_json::json;

use crate::connector::http::{read_body, words};
use crate::connector::key::Key;
use crate::msisdn::Msisdn;

/// The longest time that CAMARA lets one ask about, hours: 100 days.
pub const MAX_AGE_HOURS_MAX: u16 = 2_400;
/// What is asked about unless the operator says otherwise, hours.
pub const MAX_AGE_HOURS: u16 = 240;

/// Whom to ask and how.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The whole address of `check`.
    pub url: String,
    /// Sent as a bearer token.
    pub token: Option<Key>,
    /// Changes that are no longer ago than this count, 1 to [`MAX_AGE_HOURS_MAX`].
    pub max_age_hours: u16,
    /// For the whole exchange.
    pub timeout: Duration,
}

/// Asks a [`Hook`]. Without retries, redirects and proxies.
#[derive(Debug)]
pub struct Asker {
    hook: Hook,
    client: reqwest::Client,
}

impl Asker {
    /// An asker with connections of its own.
    ///
    /// # Errors
    /// When the machine has no TLS provider or certificate roots.
    pub fn new(hook: Hook) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(hook.timeout)
            .timeout(hook.timeout)
            .tcp_nodelay(true)
            .user_agent(concat!("keytone/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { hook, client })
    }

    /// Whether the SIM was changed. `correlator` names the question in both sides' logs.
    ///
    /// # Errors
    /// Why there is no answer; neither the number nor the token is in it.
    pub async fn swapped(&self, phone: &Msisdn, correlator: &str) -> Result<bool, String> {
        let asked = json!({ "phoneNumber": phone.as_str(), "maxAge": self.hook.max_age_hours });
        let mut request = self
            .client
            .post(&self.hook.url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header("x-correlator", correlator)
            .body(asked.to_string());
        if let Some(token) = &self.hook.token {
            request = request.bearer_auth(token.text());
        }
        let response = request.send().await.map_err(|error| words(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("answered with status {status}"));
        }
        let body = read_body(response).await.map_err(|_| "the answer broke off or is too long".to_owned())?;
        let answer: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| "the answer is no JSON".to_owned())?;
        let swapped = answer.get("swapped").and_then(serde_json::Value::as_bool);
        swapped.ok_or_else(|| "the answer does not say whether the SIM was changed".to_owned())
    }
}
