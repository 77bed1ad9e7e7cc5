//! The plain form for a provider of one's own: `POST {"id","from","to","text"}`, answered `{"id"}`.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::sms::http::letter::{JSON, Letter, Method, Request};
use crate::sms::http::{Answer, text_of};
use crate::sms::retry::Sent;

/// A provider.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where texts are posted to.
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
}

#[derive(Serialize)]
struct Text<'l> {
    id: &'l str,
    from: &'l str,
    to: &'l str,
    text: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_s: Option<u64>,
    receipt: bool,
}

impl Account {
    /// The request that carries a text.
    #[must_use]
    pub fn request(&self, letter: &Letter<'_>) -> Request {
        let Letter { id, from, to, text, validity, receipt } = *letter;
        let text = Text { id, from, to, text, validity_s: validity.map(|v| v.as_secs()), receipt };
        let body = serde_json::to_string(&text).unwrap_or_default();
        let mut headers = vec![("idempotency-key", Zeroizing::new(letter.id.to_owned()))];
        if let Some(token) = &self.token {
            headers.push(("authorization", Zeroizing::new(format!("Bearer {}", *text_of(token)))));
        }
        Request {
            method: Method::Post,
            url: self.url.clone().into(),
            headers,
            body: Some((JSON, Zeroizing::new(body))),
        }
    }
}

#[derive(Deserialize)]
struct Taken {
    #[serde(default)]
    id: Option<String>,
}

/// What an answer of 2xx says: an object, with the provider's id for the text or none. Without one our id stands, by which
/// its receipts then name the text.
pub(super) fn read(answer: &Answer<'_>, id: &str) -> Sent {
    // A list would be read as an object, field by field.
    let object = answer.body.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice::<Taken>(answer.body) {
        Ok(taken) if object => {
            Sent::Accepted { id: taken.id.filter(|i| !i.is_empty()).unwrap_or_else(|| id.to_owned()) }
        }
        _ => Sent::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::http::tests::{answer, letter};

    #[test]
    fn a_text_is_a_document() {
        let account = Account { url: "https://sms.example/out".to_owned(), token: Some("hush".into()) };
        let request = account.request(&letter("say \"50\""));
        let (kind, body) = request.body.unwrap();
        assert_eq!(kind, "application/json");
        let wanted =
            r#"{"id":"our-1","from":"12580","to":"+254711000111","text":"say \"50\"","receipt":true}"#;
        assert_eq!(*body, wanted);
        assert_eq!(*request.headers[0].1, "our-1");
        assert_eq!(*request.headers[1].1, "Bearer hush");
    }

    #[test]
    fn an_object_is_an_acceptance() {
        for (body, wanted) in [
            (r#"{"id":"p-1"}"#, Sent::Accepted { id: "p-1".to_owned() }),
            (r#"{"id":""}"#, Sent::Accepted { id: "our-1".to_owned() }),
            ("{}", Sent::Accepted { id: "our-1".to_owned() }),
            ("ok", Sent::Unknown),
            ("", Sent::Unknown),
            ("[]", Sent::Unknown),
        ] {
            assert_eq!(read(&answer(200, body), "our-1"), wanted, "{body}");
        }
    }
}
