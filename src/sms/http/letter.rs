//! One text as it goes to a provider, and the request that carries it. Pure: nothing is sent here.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

/// A text that is to leave.
#[derive(Clone, Copy)]
pub struct Letter<'l> {
    /// Our id for it: a provider that takes one knows a repetition by it.
    pub id: &'l str,
    /// What it is sent as; empty leaves it to the provider.
    pub from: &'l str,
    /// The recipient, with `+`.
    pub to: &'l str,
    /// What it says.
    pub text: &'l str,
    /// How long the network is to try.
    pub validity: Option<Duration>,
    /// Whether a receipt is wanted.
    pub receipt: bool,
}

/// `POST` or `GET`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Everything in the query.
    Get,
    /// A body.
    Post,
}

/// What is sent. It prints neither texts nor credentials.
pub struct Request {
    /// How.
    pub method: Method,
    /// Where, with the query.
    pub url: Zeroizing<String>,
    /// Headers.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// The body and its type.
    pub body: Option<(&'static str, Zeroizing<String>)>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// The type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
/// The type of a document.
pub(super) const JSON: &str = "application/json";

/// A form (WHATWG URL §5.2): fields without a value are left out.
#[must_use]
pub fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(bytes));
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

fn escape(into: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                into.push(char::from(byte))
            }
            b' ' => into.push('+'),
            _ => {
                into.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    into.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
}

/// `Basic …` (RFC 7617 §2).
#[must_use]
pub fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let plain = Zeroizing::new(format!("{user}:{password}"));
    Zeroizing::new(format!("Basic {}", BASE64.encode(plain.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_escaped() {
        let cases = [
            ("+8613800000001", "a=%2B8613800000001"),
            ("RC 50 & 100%=x", "a=RC+50+%26+100%25%3Dx"),
            ("充值", "a=%E5%85%85%E5%80%BC"),
            ("a*b-c.d_e~\n", "a=a*b-c.d_e%7E%0A"),
            ("", ""),
        ];
        for (value, wanted) in cases {
            assert_eq!(*form(&[("a", value)]), wanted);
        }
        assert_eq!(*form(&[("a", "1"), ("b", ""), ("c", "2")]), "a=1&c=2");
    }

    #[test]
    fn basic_is_that_of_the_standard() {
        assert_eq!(*basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_request_does_not_print() {
        let request = Request {
            method: Method::Get,
            url: form(&[("password", "hush")]),
            headers: vec![("authorization", basic("a", "hush"))],
            body: Some((FORM, form(&[("text", "284913")]))),
        };
        assert_eq!(format!("{request:?}"), "Request { method: Get, .. }");
    }
}
