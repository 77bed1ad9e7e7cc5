//! Twilio: a form with the account in the path and by Basic authentication; the answer has the message's `sid`.

use serde::Deserialize;

use crate::secret::Secret;
use crate::sms::http::letter::{FORM, Letter, Method, Request, basic, form};
use crate::sms::http::{Answer, text_of};
use crate::sms::retry::Sent;

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Such as `https://api.twilio.com`.
    pub base_url: String,
    /// The account's sid.
    pub sid: String,
    /// Its auth token.
    pub token: Secret,
    /// The messaging service that chooses the sender, where a text names none.
    pub messaging_service: Option<String>,
    /// Where receipts are to be sent; none where the account's own setting is good.
    pub receipt_url: Option<String>,
}

impl Account {
    /// The request that carries a text.
    #[must_use]
    pub fn request(&self, letter: &Letter<'_>) -> Request {
        let service = self.messaging_service.as_deref().filter(|_| letter.from.is_empty());
        let seconds = letter.validity.map(|validity| validity.as_secs().clamp(1, VALIDITY_MAX_S).to_string());
        let body = form(&[
            ("To", letter.to),
            ("From", letter.from),
            ("MessagingServiceSid", service.unwrap_or_default()),
            ("Body", letter.text),
            ("StatusCallback", self.receipt_url.as_deref().filter(|_| letter.receipt).unwrap_or_default()),
            ("ValidityPeriod", seconds.as_deref().unwrap_or_default()),
        ]);
        let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", self.base_url, self.sid);
        Request {
            method: Method::Post,
            url: url.into(),
            headers: vec![("authorization", basic(&self.sid, &text_of(&self.token)))],
            body: Some((FORM, body)),
        }
    }
}

/// The longest `ValidityPeriod` that Twilio takes, seconds.
const VALIDITY_MAX_S: u64 = 36_000;

#[derive(Deserialize)]
struct Document {
    sid: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    error_code: Option<i64>,
}

/// What an answer of 2xx says.
pub(super) fn read(answer: &Answer<'_>) -> Sent {
    let Ok(document) = serde_json::from_slice::<Document>(answer.body) else { return Sent::Unknown };
    if document.sid.is_empty() {
        return Sent::Unknown;
    }
    if matches!(document.status.as_str(), "failed" | "undelivered" | "canceled") {
        let code = document.error_code.map_or(document.status, |code| code.to_string());
        return Sent::Refused { code, retry: false };
    }
    Sent::Accepted { id: document.sid }
}

#[derive(Deserialize)]
struct Fault {
    code: i64,
}

/// Twilio's own code of a 4xx, such as 21211 for a number that is none.
pub(super) fn code(answer: &Answer<'_>) -> Option<String> {
    serde_json::from_slice::<Fault>(answer.body).ok().map(|fault| fault.code.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sms::http::tests::{answer, letter, refused};

    fn account() -> Account {
        Account {
            base_url: "https://api.example".to_owned(),
            sid: "AC1".to_owned(),
            token: "hush".into(),
            messaging_service: Some("MG1".to_owned()),
            receipt_url: Some("https://pay.example/sms/twilio/receipt".to_owned()),
        }
    }

    #[test]
    fn a_text_is_a_form() {
        let request = account().request(&letter("hi"));
        assert_eq!(*request.url, "https://api.example/2010-04-01/Accounts/AC1/Messages.json");
        assert_eq!(*request.headers[0].1, *basic("AC1", "hush"));
        assert_eq!(
            *request.body.unwrap().1,
            "To=%2B254711000111&From=12580&Body=hi&\
             StatusCallback=https%3A%2F%2Fpay.example%2Fsms%2Ftwilio%2Freceipt"
        );
        let other =
            Letter { from: "", receipt: false, validity: Some(Duration::from_secs(86_400)), ..letter("hi") };
        assert_eq!(
            *account().request(&other).body.unwrap().1,
            "To=%2B254711000111&MessagingServiceSid=MG1&Body=hi&ValidityPeriod=36000"
        );
        assert!(!format!("{:?}", account()).contains("hush"));
    }

    #[test]
    fn the_answer_has_an_id_or_a_code() {
        let queued = r#"{"sid":"SM1","status":"queued","error_code":null,"error_message":null}"#;
        assert_eq!(read(&answer(201, queued)), Sent::Accepted { id: "SM1".to_owned() });
        let failed = r#"{"sid":"SM1","status":"failed","error_code":30007}"#;
        assert_eq!(read(&answer(201, failed)), refused("30007", false));
        for odd in ["", "[]", r#"{"sid":""}"#, r#"{"sid":7}"#] {
            assert_eq!(read(&answer(201, odd)), Sent::Unknown, "{odd}");
        }
        let fault = r#"{"code":21211,"message":"Invalid 'To' Phone Number","more_info":"x","status":400}"#;
        assert_eq!(code(&answer(400, fault)).as_deref(), Some("21211"));
        assert_eq!(code(&answer(400, "<html>")), None);
    }
}
