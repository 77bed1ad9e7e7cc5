//! Texts out by a provider's HTTP interface: the same [`Carry`] as a route of SMPP binds. Each provider's own file says how
//! a text becomes a request and what its answers mean; this one sends it once and tells what never left from what may have.
//!
//! No retries, no redirects, no proxy. What was not certainly unsent or certainly answered is unknown.

pub mod africastalking;
pub mod json;
pub mod kannel;
pub mod letter;
pub mod twilio;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::gsm;
use crate::secret::Secret;
use crate::sms::carry::{Carry, Outgoing, Readiness, Sending};
use crate::sms::http::letter::{Letter, Method, Request};
use crate::sms::retry::Sent;

/// An answer is read up to this many bytes; a longer acceptance is unknown.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// An idle connection is dropped after this time, before most servers drop it under our hands.
const IDLE: Duration = Duration::from_secs(10);
/// How long a provider counts as down after a connection to it failed.
pub const DOWN_FOR: Duration = Duration::from_secs(5);
/// The longest reason that is written into a row, bytes.
const CODE_BYTES_MAX: usize = 64;

/// Whose interface it is, with what it needs.
#[derive(Clone, Debug)]
pub enum Account {
    /// Africa's Talking.
    AfricasTalking(africastalking::Account),
    /// Twilio.
    Twilio(twilio::Account),
    /// A Kannel smsbox.
    Kannel(kannel::Account),
    /// The plain form.
    Json(json::Account),
}

/// What a provider is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose interface.
    pub account: Account,
    /// Requests under way at once, at least 1.
    pub window: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a request may take in all.
    pub timeout: Duration,
}

/// Why a provider cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TLS provider, no certificate roots.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The address, or a credential that fits into no header.
    #[error("expected an http or https address, and credentials that fit into a header")]
    Address,
}

/// An answer as it came.
pub(super) struct Answer<'b> {
    status: u16,
    body: &'b [u8],
}

/// One provider.
#[derive(Clone, Debug)]
pub struct Provider {
    client: reqwest::Client,
    account: Arc<Account>,
    window: usize,
    clock: Clock,
    /// No connection before this time, microseconds.
    down_until: Arc<AtomicI64>,
}

impl Provider {
    /// A provider for these settings.
    ///
    /// # Errors
    /// When the machine has no TLS provider or certificate roots, or no request could be made of the settings.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(settings.connect_timeout.min(settings.timeout))
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("keytone/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let provider = Self {
            client,
            account: Arc::new(settings.account),
            window: settings.window.max(1),
            clock,
            down_until: Arc::default(),
        };
        let trial = Letter { id: "0", from: "1", to: "+10000", text: "", validity: None, receipt: true };
        let built = provider.prepare(provider.account.request(&trial));
        match built {
            Ok(request) if matches!(request.url().scheme(), "http" | "https") => Ok(provider),
            _ => Err(Error::Address),
        }
    }

    fn prepare(&self, request: Request) -> Result<reqwest::Request, reqwest::Error> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = self.client.request(method, request.url.as_str());
        for (name, value) in &request.headers {
            // One that fits into no header fails the request when it is built.
            builder = builder.header(*name, value.as_str());
        }
        if let Some((kind, body)) = request.body {
            builder = builder.header(reqwest::header::CONTENT_TYPE, kind).body(body.as_bytes().to_vec());
        }
        builder.build()
    }

    async fn deliver(&self, text: Outgoing) -> Sent {
        let id = text.id.to_string();
        let letter = Letter {
            id: &id,
            from: &text.sender,
            to: text.recipient.as_str(),
            text: &text.text,
            validity: Some(text.validity),
            receipt: text.receipt,
        };
        let Ok(request) = self.prepare(self.account.request(&letter)) else {
            return Sent::Refused { code: "request".to_owned(), retry: false };
        };
        let response = match self.client.execute(request).await {
            Ok(response) => response,
            // Refused, no such host, TLS refused, connect timeout: no byte of the request left.
            Err(error) if error.is_connect() => {
                let until = self.clock.now().after(DOWN_FOR);
                self.down_until.store(until.0, Ordering::Relaxed);
                return Sent::NotSent;
            }
            Err(_) => return Sent::Unknown,
        };
        let status = response.status().as_u16();
        let body = read_body(response).await;
        // What was refused stays refused, whatever happened to the words; what was taken must say so whole.
        if body.is_none() && (200..300).contains(&status) {
            return Sent::Unknown;
        }
        self.account.read(&Answer { status, body: &body.unwrap_or_default() }, &id)
    }
}

impl Account {
    /// The request that carries a text.
    #[must_use]
    pub fn request(&self, letter: &Letter<'_>) -> Request {
        match self {
            Self::AfricasTalking(account) => account.request(letter),
            Self::Twilio(account) => account.request(letter),
            Self::Kannel(account) => account.request(letter),
            Self::Json(account) => account.request(letter),
        }
    }

    /// What an answer to the text with our `id` says.
    fn read(&self, answer: &Answer<'_>, id: &str) -> Sent {
        let status = answer.status;
        let http = || format!("http {status}");
        match (self, status) {
            // Too much of us, or not now: nothing was taken (RFC 6585 §4, RFC 9110 §15.6.4).
            (_, 429 | 503) => Sent::Throttled { code: http() },
            (Self::Kannel(_), 200..=499) if !(300..400).contains(&status) => kannel::read(answer, id),
            (Self::AfricasTalking(_), 200..=299) => africastalking::read(answer),
            (Self::Twilio(_), 200..=299) => twilio::read(answer),
            (Self::Json(_), 200..=299) => json::read(answer, id),
            // Our credentials or credit, which a person sets right; a request that the server did not see whole.
            (_, 401 | 402 | 408 | 425) => Sent::Refused { code: http(), retry: true },
            (Self::Twilio(_), 400..=499) => {
                Sent::Refused { code: twilio::code(answer).unwrap_or_else(http), retry: false }
            }
            // These two say that nothing was done here (RFC 9110 §15.4.8, §15.4.9); the address is wrong.
            (_, 400..=499 | 307 | 308) => Sent::Refused { code: http(), retry: false },
            _ => Sent::Unknown,
        }
    }
}

impl Carry for Provider {
    fn readiness(&self) -> Readiness {
        let up = self.clock.now().0 >= self.down_until.load(Ordering::Relaxed);
        Readiness { up, window: self.window }
    }

    fn segments(&self, text: &str) -> u16 {
        segments(text)
    }

    fn send(&self, text: Outgoing) -> Sending {
        let provider = self.clone();
        Box::pin(async move { provider.deliver(text).await })
    }
}

/// Segments of a text as networks cut it, each with a header of six octets if there are more than one (3GPP TS 23.040
/// §9.2.3.24.1). What the provider charges is for it to say.
#[must_use]
pub fn segments(text: &str) -> u16 {
    let (len, alone, each) = match gsm::septets(text) {
        Some(septets) => (septets, 160, 153),
        None => (gsm::units(text), 70, 67),
    };
    if len <= alone { 1 } else { u16::try_from(len.div_ceil(each)).unwrap_or(u16::MAX) }
}

async fn read_body(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// A provider's words, cut to what a row keeps.
fn short(words: &str) -> String {
    let words = words.trim();
    words.get(..words.floor_char_boundary(CODE_BYTES_MAX)).unwrap_or_default().to_owned()
}

/// A credential as text; one that is none is as good as an empty one.
fn text_of(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(secret.expose()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn letter(text: &str) -> Letter<'_> {
        Letter { id: "our-1", from: "12580", to: "+254711000111", text, validity: None, receipt: true }
    }

    pub(super) fn answer(status: u16, body: &str) -> Answer<'_> {
        Answer { status, body: body.as_bytes() }
    }

    pub(super) fn refused(code: &str, retry: bool) -> Sent {
        Sent::Refused { code: code.to_owned(), retry }
    }

    fn json_account(url: &str) -> Account {
        Account::Json(json::Account { url: url.to_owned(), token: None })
    }

    #[test]
    fn a_status_says_whether_a_text_may_have_left() {
        let account = json_account("http://127.0.0.1/");
        for (status, wanted) in [
            (200, Sent::Accepted { id: "our-1".to_owned() }),
            (400, refused("http 400", false)),
            (401, refused("http 401", true)),
            (402, refused("http 402", true)),
            (403, refused("http 403", false)),
            (404, refused("http 404", false)),
            (408, refused("http 408", true)),
            (429, Sent::Throttled { code: "http 429".to_owned() }),
            (503, Sent::Throttled { code: "http 503".to_owned() }),
            (301, Sent::Unknown),
            (303, Sent::Unknown),
            (307, refused("http 307", false)),
            (500, Sent::Unknown),
            (502, Sent::Unknown),
            (504, Sent::Unknown),
            (600, Sent::Unknown),
        ] {
            assert_eq!(account.read(&answer(status, "{}"), "our-1"), wanted, "{status}");
        }
        let kannel = Account::Kannel(kannel::Account {
            url: "http://127.0.0.1/".to_owned(),
            username: String::new(),
            password: Secret::default(),
            smsc: None,
            receipt_url: None,
        });
        assert_eq!(kannel.read(&answer(302, ""), "our-1"), Sent::Unknown);
        assert_eq!(kannel.read(&answer(500, ""), "our-1"), Sent::Unknown);
        assert_eq!(kannel.read(&answer(404, "no"), "our-1"), refused("no", false));
    }

    #[test]
    fn segments_are_those_of_the_network() {
        for (text, wanted) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("充".repeat(70), 1),
            ("充".repeat(71), 2),
            ("充".repeat(135), 3),
        ] {
            assert_eq!(segments(&text), wanted, "{}", text.chars().count());
        }
    }

    #[test]
    fn reasons_are_cut() {
        assert_eq!(short("  no\n"), "no");
        assert_eq!(short(&"é".repeat(99)).chars().count(), 32);
    }
}
