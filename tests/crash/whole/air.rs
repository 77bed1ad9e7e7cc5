//! The doors of a daemon that may die at any moment: its API, and dialogues over a gateway that sends again, under the same id,
//! what was not answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::market::PIN;

/// Questions of one dialogue, at most: more is a circle.
const QUESTIONS_MAX: usize = 8;

/// Why nothing was answered: whether what was asked is done is not known, and it is to be asked again under the same key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Away {
    /// The daemon is not there any more.
    Gone,
    /// It is in trouble, and says so.
    Trouble,
}

/// Where a daemon listens.
#[derive(Clone)]
pub(super) struct Air {
    http: reqwest::Client,
    base: String,
    troubles: Arc<AtomicU32>,
}

impl Air {
    pub(super) fn new(base: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base, troubles: Arc::default() }
    }

    /// How often it said that it is in trouble.
    pub(super) fn troubles(&self) -> u32 {
        self.troubles.load(Ordering::SeqCst)
    }

    fn at(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<(u16, Value), Away> {
        let response = request.send().await.map_err(|_| Away::Gone)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|_| Away::Gone)?;
        if status >= 500 {
            // That it is busy for a moment is no trouble.
            self.troubles.fetch_add(u32::from(status != 503), Ordering::SeqCst);
            return Err(Away::Trouble);
        }
        let text = String::from_utf8_lossy(&body);
        Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| text.into())))
    }

    /// A request of the API under an idempotency key.
    pub(super) async fn post(
        &self,
        key: &str,
        path: &str,
        once: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), Away> {
        let mut request = self.at(Method::POST, path).bearer_auth(key).header("idempotency-key", once);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.sent(request).await
    }

    /// What the API shows.
    pub(super) async fn get(&self, key: &str, path: &str) -> Result<(u16, Value), Away> {
        self.sent(self.at(Method::GET, path).bearer_auth(key)).await
    }

    /// A step of a dialogue.
    pub(super) async fn step(&self, body: &Value) -> Result<(u16, Value), Away> {
        self.sent(self.at(Method::POST, "/ussd/air").body(body.to_string())).await
    }
}

/// A screen.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) end: bool,
}

impl Shown {
    pub(super) fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }
}

/// A telephone that dials codes.
pub(super) struct Handset {
    msisdn: String,
    /// What was not answered yet.
    pending: Option<Value>,
}

impl Handset {
    pub(super) const fn new(msisdn: String) -> Self {
        Self { msisdn, pending: None }
    }

    /// Asks again for what was not answered; else dials. Answers each question with what `answer` says, the PIN's by itself,
    /// and gives the last screen.
    pub(super) async fn dial(
        &mut self,
        air: &Air,
        code: &str,
        dialled: &str,
        answer: impl Fn(&Shown) -> Option<&'static str>,
    ) -> Result<Shown, Away> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let begin = || {
            let session = format!("s{}", COUNT.fetch_add(1, Ordering::Relaxed));
            json!({ "session": session, "msisdn": self.msisdn, "code": code, "phase": "begin", "text": dialled,
                "id": "begin" })
        };
        let mut request = self.pending.clone().unwrap_or_else(begin);
        let session = request["session"].as_str().unwrap().to_owned();
        let mut shown = None;
        for question in 0..QUESTIONS_MAX {
            self.pending = Some(request.clone());
            let (status, screen) = air.step(&request).await?;
            assert_eq!(status, 200, "{}: {screen}", request["phase"]);
            self.pending = None;
            let last = Shown {
                text: screen["text"].as_str().unwrap().to_owned(),
                end: screen["end"].as_bool().unwrap(),
            };
            shown = Some(last.clone());
            if last.end {
                break;
            }
            let text = if last.says("PIN") { Some(PIN) } else { answer(&last) };
            let Some(text) = text else { break };
            let id = format!("{question} {text}");
            request = json!({ "session": session, "msisdn": self.msisdn, "phase": "answer", "text": text, "id": id });
        }
        Ok(shown.unwrap())
    }
}
