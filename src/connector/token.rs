//! The `Authorization` header: a user and a password, or a token that is fetched with credentials (OAuth2 client
//! credentials, RFC 6749 §4.4), kept until shortly before its end, and fetched by one request at a time.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::connector::definition::{Auth, Definition, TokenBody, TokenForm};
use crate::connector::form;
use crate::connector::http::{read_body, words};
use crate::connector::key::Keys;
use crate::connector::template::Values;
use crate::secret::Secret;

/// Why there is no token. Nothing of a recharge has left then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoToken {
    /// No connection, or no answer in time.
    Unreached(String),
    /// An answer that is no token and may be one later.
    Failed(String),
    /// The credentials are not taken.
    Refused(String),
}

impl NoToken {
    /// In words, without secrets.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unreached(reason) | Self::Failed(reason) | Self::Refused(reason) => reason,
        }
    }

    /// Whether another try could succeed without anybody's doing.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// The token of one connector.
#[derive(Debug, Default)]
pub struct Tokens {
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    until: Instant,
}

impl Tokens {
    /// The token; fetched when there is none or its end is near. While one request fetches it the others wait for it.
    ///
    /// # Errors
    /// [`NoToken`].
    pub async fn get(
        &self,
        client: &reqwest::Client,
        definition: &Definition,
        form: &TokenForm,
        clock: &Clock,
    ) -> Result<Secret, NoToken> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|h| clock.instant() < h.until) {
            return Ok(held.token.clone());
        }
        *held = None;
        let asked = clock.instant();
        let (token, lifetime) = fetch(client, definition, form, clock).await?;
        *held = Some(Held { token: token.clone(), until: asked + usable(lifetime, form.margin) });
        Ok(token)
    }

    /// Drops a token that the carrier does not take any more; a fresher one stays.
    pub async fn forget(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|h| h.token == *token) {
            *held = None;
        }
    }
}

/// How long a token is used: its lifetime less the margin, and half of it when the margin would leave nothing.
fn usable(lifetime: Duration, margin: Duration) -> Duration {
    lifetime.checked_sub(margin).filter(|rest| !rest.is_zero()).unwrap_or(lifetime / 2)
}

async fn fetch(
    client: &reqwest::Client,
    definition: &Definition,
    form: &TokenForm,
    clock: &Clock,
) -> Result<(Secret, Duration), NoToken> {
    let request = prepare(client, definition, form, clock)
        .map_err(|error| NoToken::Refused(format!("token: {}", words(&error))))?;
    let response = client
        .execute(request)
        .await
        .map_err(|error| NoToken::Unreached(format!("token: {}", words(&error))))?;
    let status = response.status().as_u16();
    let body = read_body(response)
        .await
        .map_err(|outcome| NoToken::Unreached(format!("token: {} answer", outcome.name())))?;
    match status {
        200..=299 => read(form, &body)
            .ok_or_else(|| NoToken::Failed(format!("token: status {status} without a token"))),
        // Credentials, client or scope are wrong (RFC 6749 §5.2); waiting does not mend them.
        400 | 401 | 403 => Err(NoToken::Refused(format!("token: status {status}, credentials not taken"))),
        _ => Err(NoToken::Failed(format!("token: status {status}"))),
    }
}

fn prepare(
    client: &reqwest::Client,
    definition: &Definition,
    form: &TokenForm,
    clock: &Clock,
) -> Result<reqwest::Request, reqwest::Error> {
    let values = Values {
        order: None,
        now: clock.now(),
        country: "",
        keys: &definition.keys,
        product: "",
        body: "",
        method: "POST",
        path: "",
        timestamp: None,
        signature: "",
    };
    let mut builder = client.post(&form.url).header(reqwest::header::ACCEPT, "application/json");
    for (name, template) in &form.headers {
        builder = builder.header(name, template.render(&values));
    }
    let mut fields = form.fields.clone();
    let credential = |name: &str| key_text(&definition.keys, name).to_owned();
    if form.sent == TokenBody::Basic {
        builder = builder.basic_auth(credential(&form.client_id), Some(credential(&form.client_secret)));
    } else {
        fields.push(("client_id".to_owned(), credential(&form.client_id)));
        fields.push(("client_secret".to_owned(), credential(&form.client_secret)));
    }
    let (media_type, body) = match form.sent {
        TokenBody::Json => {
            let object = fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            ("application/json", Value::Object(object).to_string())
        }
        TokenBody::Form | TokenBody::Basic => ("application/x-www-form-urlencoded", form::write(&fields)),
    };
    builder.header(reqwest::header::CONTENT_TYPE, media_type).body(body).build()
}

fn read(form: &TokenForm, body: &[u8]) -> Option<(Secret, Duration)> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let token = json.pointer(&form.token)?.as_str().filter(|t| !t.is_empty())?;
    // Some write the lifetime as a text.
    let seconds = json.pointer(&form.expires).and_then(|v| match v {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    Some((Secret::from(token), seconds.map_or(form.lifetime, Duration::from_secs)))
}

fn key_text<'k>(keys: &'k Keys, name: &str) -> &'k str {
    keys.get(name).map(|key| key.text()).unwrap_or_default()
}

/// The header's value; `None` when the connector's file declares no `[auth]`.
///
/// # Errors
/// In words, when it cannot stand in a header.
pub fn header(
    auth: Option<&Auth>,
    keys: &Keys,
    token: Option<&Secret>,
) -> Result<Option<HeaderValue>, String> {
    let text = match (auth, token) {
        (None, _) => return Ok(None),
        (Some(Auth::Basic { user, password }), _) => {
            let pair = format!("{}:{}", key_text(keys, user), key_text(keys, password));
            format!("Basic {}", BASE64.encode(pair))
        }
        (Some(Auth::Token(_)), Some(token)) => {
            let token = std::str::from_utf8(token.expose()).map_err(|_| "the token is no text".to_owned())?;
            format!("Bearer {token}")
        }
        (Some(Auth::Token(_)), None) => return Err("there is no token".to_owned()),
    };
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| "the token cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_used_near_its_end() {
        let seconds = Duration::from_secs;
        for (lifetime, margin, wanted) in
            [(3_600, 60, 3_540), (61, 60, 1), (60, 60, 30), (10, 60, 5), (0, 60, 0)]
        {
            assert_eq!(
                usable(seconds(lifetime), seconds(margin)),
                seconds(wanted),
                "{lifetime} less {margin}"
            );
        }
    }

    #[test]
    fn answers_of_token_servers_are_read() {
        let form = TokenForm {
            url: String::new(),
            sent: TokenBody::Json,
            client_id: String::new(),
            client_secret: String::new(),
            fields: Vec::new(),
            headers: Vec::new(),
            token: "/access_token".to_owned(),
            expires: "/expires_in".to_owned(),
            lifetime: Duration::from_secs(300),
            margin: Duration::ZERO,
            repeat_after_401: false,
        };
        let read = |body: &str| read(&form, body.as_bytes()).map(|(_, lifetime)| lifetime.as_secs());
        assert_eq!(read(r#"{"access_token":"a","expires_in":3600}"#), Some(3_600));
        assert_eq!(read(r#"{"access_token":"a","expires_in":"60"}"#), Some(60));
        assert_eq!(read(r#"{"access_token":"a"}"#), Some(300));
        for bad in [r#"{"access_token":""}"#, r#"{"access_token":7}"#, "{}", "<html>"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
