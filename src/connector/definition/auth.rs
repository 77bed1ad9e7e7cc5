//! `[auth]` and `[signing]` of a connector's file: how a carrier knows that it is us who ask.

use std::time::Duration;

use crate::connector::definition::{Reader, is_web_address};
use crate::connector::document::{Placed, Section};
use crate::connector::key::Encoding;
use crate::connector::template::{Place, Template};

/// A token may live at most this long, in milliseconds: a year.
const TOKEN_MAX_MS: i64 = 366 * 24 * 3_600_000;

/// What goes into the `Authorization` header.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A user and a password (RFC 7617), by their names among the credentials.
    Basic {
        /// The user's.
        user: String,
        /// The password's.
        password: String,
    },
    /// A token that is fetched with credentials (RFC 6749 §4.4).
    Token(TokenForm),
}

/// How a token is fetched and how long it is used.
#[derive(Clone, Debug)]
pub struct TokenForm {
    /// Where.
    pub url: String,
    /// How the credentials are sent.
    pub sent: TokenBody,
    /// The credential that is the client's id.
    pub client_id: String,
    /// The credential that is the client's secret.
    pub client_secret: String,
    /// More fields of the request, such as the grant type and the audience.
    pub fields: Vec<(String, String)>,
    /// Headers of the request.
    pub headers: Vec<(String, Template)>,
    /// Where the token stands in the answer, as a JSON pointer.
    pub token: String,
    /// Where its lifetime in seconds stands.
    pub expires: String,
    /// How long it lives when the answer does not tell.
    pub lifetime: Duration,
    /// How long before its end it is not used any more.
    pub margin: Duration,
    /// Whether the carrier documents that it judges the token before it looks at anything else, so that a request
    /// that was answered 401 was certainly not taken and may be sent again with a fresh token.
    pub repeat_after_401: bool,
}

/// How credentials are sent for a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenBody {
    /// As fields of a JSON object.
    Json,
    /// As form fields.
    Form,
    /// As user and password of the request, the fields as form fields.
    Basic,
}

/// How requests are signed: HMAC-SHA256 over a string, into a header.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The string.
    pub over: Template,
    /// The credential's name.
    pub key: String,
    /// How the signature is written.
    pub encoding: Encoding,
    /// The header.
    pub header: String,
    /// Its value.
    pub value: Template,
    /// A header that carries the timestamp, seconds since 1970.
    pub timestamp_header: Option<String>,
}

impl Reader<'_, '_> {
    pub(super) fn auth(&mut self, mut section: Section<'_>) -> Option<Auth> {
        let scheme = section.need_text("scheme", self.faults)?;
        let auth = match scheme.value.as_str() {
            "basic" => {
                let user = self.secret_name(&mut section, "user");
                let password = self.secret_name(&mut section, "password");
                Some(Auth::Basic { user: user?, password: password? })
            }
            "oauth2" => self.token_form(&mut section).map(Auth::Token),
            _ => {
                self.faults.add(&scheme.span, &scheme.key, "expected \"basic\" or \"oauth2\"");
                return None;
            }
        };
        section.finish(self.faults);
        auth
    }

    fn token_form(&mut self, section: &mut Section<'_>) -> Option<TokenForm> {
        let url = section.need_text("token_url", self.faults);
        if let Some(url) = url.as_ref().filter(|u| !is_web_address(&u.value)) {
            let wanted = "expected http://host/path or https://host/path, without user, query or fragment";
            self.faults.add(&url.span, &url.key, wanted);
        }
        let sent = match section.text("send", self.faults) {
            None => TokenBody::Form,
            Some(Placed { value, span, key }) => match value.as_str() {
                "json" => TokenBody::Json,
                "form" => TokenBody::Form,
                "basic" => TokenBody::Basic,
                _ => {
                    self.faults.add(&span, &key, "expected \"json\", \"form\" or \"basic\"");
                    TokenBody::Form
                }
            },
        };
        let client_id = self.secret_name(section, "client_id");
        let client_secret = self.secret_name(section, "client_secret");
        let mut fields = Vec::new();
        if let Some(mut written) = section.section("fields", self.faults) {
            for name in written.keys() {
                fields.extend(written.text(&name, self.faults).map(|text| (name, text.value)));
            }
        }
        let headers = self.headers(section);
        let mut pointer = |key: &str, usual: &str| {
            let Some(Placed { value, span, key }) = section.text(key, self.faults) else {
                return usual.to_owned();
            };
            if !value.starts_with('/') {
                self.faults.add(&span, &key, "expected a JSON pointer such as /access_token");
            }
            value
        };
        let token = pointer("token", "/access_token");
        let expires = pointer("expires", "/expires_in");
        let lifetime = self.millis(section, "lifetime_ms", 300_000, TOKEN_MAX_MS);
        let margin = self.millis(section, "margin_ms", 60_000, TOKEN_MAX_MS);
        let repeat_after_401 = section.boolean("repeat_after_401", self.faults).unwrap_or(false);
        Some(TokenForm {
            url: url?.value,
            sent,
            client_id: client_id?,
            client_secret: client_secret?,
            fields,
            headers,
            token,
            expires,
            lifetime,
            margin,
            repeat_after_401,
        })
    }

    pub(super) fn signing(&mut self, mut section: Section<'_>) -> Option<Signing> {
        let over = section.need_text("over", self.faults);
        let over = over.and_then(|t| self.template(&t, Place::Signed));
        let key = self.key_name(&mut section);
        let encoding = self.encoding(&mut section);
        if !section.has("header") {
            section.missing("header", self.faults);
        }
        let header = self.header_name(&mut section, "header");
        let value = match section.text("value", self.faults) {
            Some(text) => self.template(&text, Place::Signature),
            None => Template::parse("{signature}", Place::Signature).ok(),
        };
        let timestamp_header = self.header_name(&mut section, "timestamp_header");
        section.finish(self.faults);
        Some(Signing { over: over?, key: key?, encoding, header: header?, value: value?, timestamp_header })
    }
}
