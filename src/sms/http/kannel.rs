//! Kannel's `sendsms`: everything in the query of a GET, since smsbox takes a POST only as XML. It gives no id: its
//! receipts come to a `dlr-url` that holds ours.

use crate::gsm;
use crate::secret::Secret;
use crate::sms::http::letter::{Letter, Method, Request, form};
use crate::sms::http::{Answer, short, text_of};
use crate::sms::retry::Sent;

/// Delivered, undelivered, accepted and refused by the SMSC; not "buffered", which says nothing that is written down.
const DLR_MASK: &str = "27";

/// A user of an smsbox.
#[derive(Clone, Debug)]
pub struct Account {
    /// Such as `http://127.0.0.1:13013/cgi-bin/sendsms`.
    pub url: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The SMSC's id, where the text must leave by one.
    pub smsc: Option<String>,
    /// Our address for receipts with its query, such as `http://127.0.0.1:8080/sms/kannel/receipt?key=…`; id, status and
    /// answer are added.
    pub receipt_url: Option<Secret>,
}

impl Account {
    /// The request that carries a text.
    #[must_use]
    pub fn request(&self, letter: &Letter<'_>) -> Request {
        // smsbox would send a text of 7 bits with question marks in place of what is outside of the alphabet.
        let coding = if gsm::septets(letter.text).is_some() { "0" } else { "2" };
        let minutes = letter.validity.map(|validity| validity.as_secs().div_ceil(60).max(1).to_string());
        let receipt = self.receipt_url.as_ref().filter(|_| letter.receipt).map(|url| {
            let mut url = text_of(url);
            let joint = if url.contains('?') { '&' } else { '?' };
            url.push(joint);
            url.push_str(&form(&[("id", letter.id)]));
            // Kannel puts the kind of receipt and the SMSC's words in.
            url.push_str("&status=%d&answer=%A");
            url
        });
        let query = form(&[
            ("username", &self.username),
            ("password", &text_of(&self.password)),
            ("smsc", self.smsc.as_deref().unwrap_or_default()),
            ("from", letter.from),
            ("to", letter.to),
            ("coding", coding),
            ("charset", "UTF-8"),
            ("validity", minutes.as_deref().unwrap_or_default()),
            ("dlr-mask", if receipt.is_some() { DLR_MASK } else { "" }),
            ("dlr-url", receipt.as_ref().map_or("", |url| url.as_str())),
            ("text", letter.text),
        ]);
        let mut url = zeroize::Zeroizing::new(String::with_capacity(self.url.len() + query.len() + 1));
        url.push_str(&self.url);
        url.push('?');
        url.push_str(&query);
        Request { method: Method::Get, url, headers: Vec::new(), body: None }
    }
}

/// What an answer says; smsbox speaks by its status and, of what it took, by a number in front of the words.
pub(super) fn read(answer: &Answer<'_>, id: &str) -> Sent {
    let words = String::from_utf8_lossy(answer.body);
    match answer.status {
        // 0: sent on. 3: kept until bearerbox has a way out.
        200..=299 if words.starts_with("0:") || words.starts_with("3:") => {
            Sent::Accepted { id: id.to_owned() }
        }
        // Our password is wrong: a person corrects it, and the text may still be in time.
        403 if words.starts_with("Authorization") => Sent::Refused { code: short(&words), retry: true },
        400..=499 => Sent::Refused { code: short(&words), retry: false },
        _ => Sent::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sms::http::tests::{answer, letter, refused};

    fn account() -> Account {
        Account {
            url: "http://127.0.0.1:13013/cgi-bin/sendsms".to_owned(),
            username: "keytone".to_owned(),
            password: "hu sh".into(),
            smsc: None,
            receipt_url: Some("http://127.0.0.1/sms/k/receipt?key=hush".into()),
        }
    }

    #[test]
    fn a_text_is_a_query() {
        let request = account().request(&letter("50 € + 10%"));
        assert_eq!(
            *request.url,
            "http://127.0.0.1:13013/cgi-bin/sendsms?username=keytone&password=hu+sh&from=12580&to=%2B254711000111&\
             coding=0&charset=UTF-8&dlr-mask=27&dlr-url=http%3A%2F%2F127.0.0.1%2Fsms%2Fk%2Freceipt%3Fkey%3Dhush%26\
             id%3Dour-1%26status%3D%25d%26answer%3D%25A&text=50+%E2%82%AC+%2B+10%25"
        );
        let other = Letter { receipt: false, validity: Some(Duration::from_secs(61)), ..letter("充值") };
        let url = account().request(&other).url;
        assert!(url.contains("&coding=2&charset=UTF-8&validity=2&text=%E5"), "{}", *url);
        assert!(!url.contains("dlr-"));
        assert!(!format!("{:?}", account()).contains("hu"));
    }

    #[test]
    fn smsbox_speaks_in_words() {
        // All but the last two as smsbox 1.4.5 said them.
        for (status, words, wanted) in [
            (202, "0: Accepted for delivery", Sent::Accepted { id: "our-1".to_owned() }),
            (202, "3: Queued for later delivery", Sent::Accepted { id: "our-1".to_owned() }),
            (403, "Authorization failed for sendsms", refused("Authorization failed for sendsms", true)),
            (400, "Missing receiver number, rejected", refused("Missing receiver number, rejected", false)),
            (202, "Sent.", Sent::Unknown),
            (200, "", Sent::Unknown),
        ] {
            assert_eq!(read(&answer(status, words), "our-1"), wanted, "{words}");
        }
    }
}
