//! Africa's Talking: a form with the key in a header; the answer tells of each recipient by a code of its own.

use serde::Deserialize;

use crate::secret::Secret;
use crate::sms::http::letter::{FORM, Letter, Method, Request, form};
use crate::sms::http::{Answer, text_of};
use crate::sms::retry::Sent;

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Such as `https://api.africastalking.com/version1/messaging`.
    pub url: String,
    /// The application's name.
    pub username: String,
    /// Its key.
    pub api_key: Secret,
}

impl Account {
    /// The request that carries a text.
    #[must_use]
    pub fn request(&self, letter: &Letter<'_>) -> Request {
        let body = form(&[
            ("username", &self.username),
            ("to", letter.to),
            ("from", letter.from),
            ("message", letter.text),
            ("enqueue", "1"),
        ]);
        Request {
            method: Method::Post,
            url: self.url.clone().into(),
            headers: vec![
                ("apikey", text_of(&self.api_key)),
                ("accept", "application/json".to_owned().into()),
            ],
            body: Some((FORM, body)),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "SMSMessageData")]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    message: String,
    #[serde(default)]
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    status_code: i64,
    #[serde(default)]
    message_id: String,
}

/// What an answer of 2xx says.
pub(super) fn read(answer: &Answer<'_>) -> Sent {
    let Ok(Document { data }) = serde_json::from_slice::<Document>(answer.body) else { return Sent::Unknown };
    let Some(recipient) = data.recipients.first() else {
        // Nobody was sent anything; the message says why, such as `InvalidSenderId`.
        let code = super::short(if data.message.is_empty() { "no recipient" } else { &data.message });
        return Sent::Refused { code, retry: false };
    };
    let code = recipient.status_code.to_string();
    match recipient.status_code {
        // Processed, sent, queued.
        100..=102 => Sent::Accepted { id: recipient.message_id.clone() },
        // The account is empty: a person fills it, and the text may still be in time.
        405 => Sent::Refused { code, retry: true },
        // Sender, number, kind of number, blacklist, no route, do not disturb; refused by the network.
        402..=404 | 406..=409 | 502 => Sent::Refused { code, retry: false },
        // On hold for a person (401), broken inside (500, 501), or a code that is not in the documents: it may yet leave.
        _ => Sent::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::http::tests::{answer, letter, refused};

    #[test]
    fn a_text_is_a_form() {
        let account = Account {
            url: "https://api.example/version1/messaging".to_owned(),
            username: "sandbox".to_owned(),
            api_key: "hush".into(),
        };
        let request = account.request(&letter("RC 50: ok & done"));
        assert_eq!(*request.url, account.url);
        assert_eq!(
            *request.body.unwrap().1,
            "username=sandbox&to=%2B254711000111&from=12580&message=RC+50%3A+ok+%26+done&enqueue=1"
        );
        assert_eq!(*request.headers[0].1, "hush");
        assert!(!format!("{account:?}").contains("hush"));
    }

    #[test]
    fn each_recipient_has_a_code() {
        let document = |code: i64| {
            format!(
                r#"{{"SMSMessageData":{{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[
                {{"statusCode":{code},"number":"+254711000111","status":"x","cost":"KES 0.8000",
                "messageId":"ATPid_1"}}]}}}}"#
            )
        };
        for (code, wanted) in [
            (100, Sent::Accepted { id: "ATPid_1".to_owned() }),
            (101, Sent::Accepted { id: "ATPid_1".to_owned() }),
            (102, Sent::Accepted { id: "ATPid_1".to_owned() }),
            (401, Sent::Unknown),
            (403, refused("403", false)),
            (405, refused("405", true)),
            (406, refused("406", false)),
            (500, Sent::Unknown),
            (502, refused("502", false)),
            (999, Sent::Unknown),
        ] {
            assert_eq!(read(&answer(201, &document(code))), wanted, "{code}");
        }
        let nobody = r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#;
        assert_eq!(read(&answer(201, nobody)), refused("InvalidSenderId", false));
        for odd in ["", "{}", "<html>", r#"{"SMSMessageData":{"Recipients":[{}]}}"#] {
            assert_eq!(read(&answer(201, odd)), Sent::Unknown, "{odd}");
        }
    }
}
