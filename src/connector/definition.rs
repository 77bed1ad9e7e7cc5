//! A carrier as an operator describes it in one TOML file, read and checked whole.
//!
//! [`Definition::parse`] tells every fault at once with its line; what it returns needs no further checks
//! when money moves. `connector::sandbox::DEFINITION` is a complete example.

use std::time::Duration;

use crate::connector::contract::{Description, ReferenceForm, RefusalClass};
use crate::connector::document;
use crate::connector::document::{Fault, Faults, Placed, Section};
use crate::connector::key::{Encoding, Key, Keys, Source};
use crate::connector::map::{Places, Rule, Status, Table, Verdict};
use crate::connector::template::{JsonTemplate, Place, Slot, Template};
use crate::money::Currency;

/// A request may take at most this long, in milliseconds.
const TIMEOUT_MAX_MS: i64 = 120_000;
/// "Not found" may need at most this long to be definite: a week, in milliseconds.
const SETTLE_MAX_MS: i64 = 7 * 24 * 3_600_000;

/// A connector's file, checked.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What it promises.
    pub description: Description,
    /// Scheme, host, port and a path prefix, without a final slash.
    pub base_url: String,
    /// Country code without `+`, for national numbers.
    pub country: String,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// Headers of every request.
    pub headers: Vec<(String, Template)>,
    /// How requests are signed.
    pub signing: Option<Signing>,
    /// The recharge.
    pub submit: Request,
    /// The status query.
    pub status: Option<Request>,
    /// Callbacks.
    pub callback: Option<CallbackForm>,
    /// Credentials by name.
    pub keys: Keys,
}

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// Path after the base.
    pub path: Template,
    /// JSON body.
    pub body: Option<JsonTemplate>,
    /// What its answers mean.
    pub table: Table,
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

/// How callbacks are read.
#[derive(Clone, Debug)]
pub struct CallbackForm {
    /// How they are signed; without it a callback is only a hint to ask the status.
    pub signature: Option<CallbackSignature>,
    /// What they mean. The HTTP status counts as 200.
    pub table: Table,
    /// What a taken callback is answered.
    pub reply_status: u16,
    /// JSON.
    pub reply_body: String,
}

/// How a callback is signed.
#[derive(Clone, Debug)]
pub struct CallbackSignature {
    /// The string.
    pub over: Template,
    /// The credential's name.
    pub key: String,
    /// How the signature is written.
    pub encoding: Encoding,
    /// The header that carries it.
    pub header: String,
    /// The header that carries the timestamp, seconds since 1970.
    pub timestamp_header: String,
    /// How far the timestamp may lie from now.
    pub tolerance: Duration,
}

impl Definition {
    /// Reads a connector's file; credentials are loaded by `load` (usually [`Source::load`]).
    ///
    /// # Errors
    /// Every fault with its line.
    pub fn parse(text: &str, load: impl Fn(&Source) -> Result<Key, String>) -> Result<Self, Vec<Fault>> {
        document::read(text, |root, faults| {
            let keys = keys(root, &load, faults);
            let mut reader = Reader { keys, faults };
            let description = reader.description(root);
            let base_url = reader.base_url(root);
            let country = root.text("country", reader.faults).map(|p| p.value).unwrap_or_default();
            let connect_timeout = reader.millis(root, "connect_timeout_ms", 2_000, TIMEOUT_MAX_MS);
            let headers = reader.headers(root);
            let signing = root.section("signing", reader.faults).and_then(|s| reader.signing(s));
            let submit = root.section("submit", reader.faults);
            if submit.is_none() {
                root.missing("submit", reader.faults);
            }
            let submit = submit.and_then(|s| reader.request(s, "POST", None));
            let fallback = submit.as_ref().map(|s| s.table.places.clone());
            let status = root
                .section("status", reader.faults)
                .and_then(|s| reader.request(s, "GET", fallback.as_ref()));
            let callback =
                root.section("callback", reader.faults).and_then(|s| reader.callback(s, fallback.as_ref()));
            let mut description = description?;
            description.status_query = status.is_some();
            description.callback = callback.is_some();
            let keys = reader.keys;
            Some(Self {
                description,
                base_url: base_url?,
                country,
                connect_timeout,
                headers,
                signing,
                submit: submit?,
                status,
                callback,
                keys,
            })
        })
    }
}

fn keys(
    root: &mut Section<'_>,
    load: &impl Fn(&Source) -> Result<Key, String>,
    faults: &mut Faults<'_>,
) -> Keys {
    let mut keys = Keys::new();
    let Some(mut section) = root.section("secrets", faults) else { return keys };
    for name in section.keys() {
        let Some(mut one) = section.section(&name, faults) else { continue };
        let env = one.text("env", faults);
        let file = one.text("file", faults);
        let source = match (env, file) {
            (Some(env), None) => Some(Source::Env(env.value)),
            (None, Some(file)) => Some(Source::File(file.value)),
            _ => None,
        };
        match source.as_ref().map(load) {
            Some(Ok(key)) => {
                keys.insert(name, key);
            }
            Some(Err(fault)) => faults.add(&one.span, &one.key, fault),
            None => faults.add(&one.span, &one.key, "expected either env = \"NAME\" or file = \"path\""),
        }
        one.finish(faults);
    }
    section.finish(faults);
    keys
}

struct Reader<'f, 't> {
    keys: Keys,
    faults: &'f mut Faults<'t>,
}

impl Reader<'_, '_> {
    fn millis(&mut self, section: &mut Section<'_>, key: &str, default: u64, max: i64) -> Duration {
        let found = section.integer(key, 1..=max, self.faults).and_then(|p| u64::try_from(p.value).ok());
        Duration::from_millis(found.unwrap_or(default))
    }

    fn description(&mut self, root: &mut Section<'_>) -> Option<Description> {
        let id = root.need_text("id", self.faults);
        if let Some(id) = &id
            && !is_id(&id.value)
        {
            let wanted = "expected 1 to 32 lower-case letters, digits and hyphens";
            self.faults.add(&id.span, &id.key, wanted);
        }
        let name = root.text("name", self.faults);
        let mut currencies = Vec::new();
        let written = root.texts("currencies", self.faults);
        if written.is_empty() {
            root.missing("currencies", self.faults);
        }
        for code in written {
            match Currency::new(&code.value) {
                Ok(currency) => currencies.push(currency),
                Err(error) => self.faults.add(&code.span, &code.key, error.to_string()),
            }
        }
        let reference = match root.text("reference", self.faults) {
            None => ReferenceForm::Uuid,
            Some(Placed { value, span, key }) => match value.as_str() {
                "uuid" => ReferenceForm::Uuid,
                "hex32" => ReferenceForm::Hex32,
                "digits20" => ReferenceForm::Digits20,
                _ => {
                    self.faults.add(&span, &key, "expected \"uuid\", \"hex32\" or \"digits20\"");
                    ReferenceForm::Uuid
                }
            },
        };
        let timeout = self.millis(root, "timeout_ms", 10_000, TIMEOUT_MAX_MS);
        let not_found_after = root
            .integer("not_found_after_ms", 0..=SETTLE_MAX_MS, self.faults)
            .and_then(|p| u64::try_from(p.value).ok())
            .map(Duration::from_millis);
        let idempotent_submit = root.boolean("idempotent_submit", self.faults).unwrap_or(false);
        let id = id?.value;
        Some(Description {
            name: name.map_or_else(|| id.clone(), |n| n.value),
            id,
            currencies,
            idempotent_submit,
            status_query: false,
            callback: false,
            not_found_after,
            timeout,
            reference,
        })
    }

    fn base_url(&mut self, root: &mut Section<'_>) -> Option<String> {
        let Placed { value, span, key } = root.need_text("base_url", self.faults)?;
        let sound = reqwest::Url::parse(&value).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host().is_some()
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if !sound {
            self.faults.add(
                &span,
                &key,
                "expected http://host or https://host, without user, query or fragment",
            );
            return None;
        }
        Some(value.trim_end_matches('/').to_owned())
    }

    fn headers(&mut self, root: &mut Section<'_>) -> Vec<(String, Template)> {
        let Some(mut section) = root.section("headers", self.faults) else { return Vec::new() };
        let mut headers = Vec::new();
        for name in section.keys() {
            let Some(text) = section.text(&name, self.faults) else { continue };
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                self.faults.add(&text.span, &text.key, "is not a header's name");
            }
            if let Some(template) = self.template(&text, Place::Header) {
                headers.push((name, template));
            }
        }
        headers
    }

    fn template(&mut self, text: &Placed<String>, place: Place) -> Option<Template> {
        match Template::parse(&text.value, place) {
            Ok(template) => {
                self.check_secrets(text, template.secrets());
                Some(template)
            }
            Err(fault) => {
                self.faults.add(&text.span, &text.key, fault);
                None
            }
        }
    }

    fn check_secrets<'n>(&mut self, text: &Placed<String>, names: impl Iterator<Item = &'n str>) {
        for name in names {
            if !self.keys.contains_key(name) {
                self.faults.add(&text.span, &text.key, format!("[secrets] has no \"{name}\""));
            }
        }
    }

    fn key_name(&mut self, section: &mut Section<'_>) -> Option<String> {
        let key = section.need_text("key", self.faults)?;
        self.check_secrets(&key, std::iter::once(key.value.as_str()));
        Some(key.value)
    }

    fn encoding(&mut self, section: &mut Section<'_>) -> Encoding {
        let Some(Placed { value, span, key }) = section.text("encoding", self.faults) else {
            return Encoding::Hex;
        };
        match value.as_str() {
            "hex" => Encoding::Hex,
            "base64" => Encoding::Base64,
            _ => {
                self.faults.add(&span, &key, "expected \"hex\" or \"base64\"");
                Encoding::Hex
            }
        }
    }

    fn header_name(&mut self, section: &mut Section<'_>, key: &str) -> Option<String> {
        let Placed { value, span, key } = section.text(key, self.faults)?;
        if reqwest::header::HeaderName::from_bytes(value.as_bytes()).is_err() {
            self.faults.add(&span, &key, "is not a header's name");
            return None;
        }
        Some(value)
    }

    fn signing(&mut self, mut section: Section<'_>) -> Option<Signing> {
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

    fn request(&mut self, mut section: Section<'_>, usual: &str, base: Option<&Places>) -> Option<Request> {
        let method = match section.text("method", self.faults) {
            None => method(usual),
            Some(Placed { value, span, key }) => {
                let found = method(&value);
                if found.is_none() {
                    self.faults.add(&span, &key, "expected GET, POST or PUT");
                }
                found
            }
        };
        let path = section.need_text("path", self.faults);
        if let Some(path) = path.as_ref().filter(|p| !p.value.starts_with('/')) {
            self.faults.add(&path.span, &path.key, "expected a path that begins with /");
        }
        let path = path.and_then(|t| self.template(&t, Place::Path));
        let body_text = section.text("body", self.faults);
        let body = body_text.as_ref().and_then(|text| self.body(text));
        if let Some(path) = &path
            && base.is_none()
        {
            let named = path.holds(&Slot::Reference)
                || body.as_ref().is_some_and(|b| b.templates().iter().any(|t| t.holds(&Slot::Reference)));
            if body.is_some() && !named {
                let wanted = "expected {reference} in the path or the body";
                self.faults.add(&section.span, &section.key, wanted);
            }
        }
        let table = self.table(&mut section, base);
        section.finish(self.faults);
        Some(Request { method: method?, path: path?, body, table })
    }

    fn body(&mut self, text: &Placed<String>) -> Option<JsonTemplate> {
        match JsonTemplate::parse(&text.value) {
            Ok(body) => {
                for template in body.templates() {
                    self.check_secrets(text, template.secrets());
                }
                Some(body)
            }
            Err(faults) => {
                for fault in faults {
                    self.faults.add(&text.span, &text.key, fault);
                }
                None
            }
        }
    }

    fn table(&mut self, section: &mut Section<'_>, base: Option<&Places>) -> Table {
        let places = match section.section("answer", self.faults) {
            Some(mut answer) => {
                let places = self.places(&mut answer);
                answer.finish(self.faults);
                places
            }
            None => base.cloned().unwrap_or_default(),
        };
        let mut rules = Vec::new();
        let written = section.sections("rule", self.faults);
        if written.is_empty() {
            section.missing("rule", self.faults);
        }
        for mut rule in written {
            rules.extend(self.rule(&mut rule, &places));
            rule.finish(self.faults);
        }
        Table { places, rules }
    }

    fn places(&mut self, answer: &mut Section<'_>) -> Places {
        let mut pointer = |key: &str| {
            let Placed { value, span, key } = answer.text(key, self.faults)?;
            // RFC 6901 §3: a pointer is empty or begins with a slash.
            if !value.starts_with('/') {
                self.faults.add(&span, &key, "expected a JSON pointer such as /status");
                return None;
            }
            Some(value)
        };
        let mut places = Places {
            code: pointer("code"),
            carrier_reference: pointer("carrier_reference"),
            reference: pointer("reference"),
            msisdn: pointer("msisdn"),
            amount: pointer("amount"),
            minor: false,
            currency: pointer("currency"),
            cost: pointer("cost"),
        };
        if let Some(Placed { value, span, key }) = answer.text("amount_unit", self.faults) {
            match value.as_str() {
                "minor" => places.minor = true,
                "major" => {}
                _ => self.faults.add(&span, &key, "expected \"major\" or \"minor\""),
            }
        }
        places
    }

    fn rule(&mut self, rule: &mut Section<'_>, places: &Places) -> Option<Rule> {
        let mut statuses = Vec::new();
        for text in rule.texts("http", self.faults) {
            match Status::parse(&text.value) {
                Ok(status) => statuses.push(status),
                Err(fault) => self.faults.add(&text.span, &text.key, fault),
            }
        }
        let codes: Vec<String> = rule.texts("code", self.faults).into_iter().map(|p| p.value).collect();
        if !codes.is_empty() && places.code.is_none() {
            self.faults.add(
                &rule.span,
                &rule.key,
                "compares a code, but answer.code does not say where it is",
            );
        }
        if codes.is_empty() && statuses.is_empty() {
            self.faults.add(
                &rule.span,
                &rule.key,
                "expected http or code: a rule for everything hides the rest",
            );
        }
        let class = rule.text("class", self.faults);
        let outcome = rule.need_text("outcome", self.faults)?;
        let refused = outcome.value == "refused";
        let class = match class {
            Some(text) => {
                let class = RefusalClass::from_name(&text.value);
                if class.is_none() {
                    self.faults.add(&text.span, &text.key, format!("expected one of {}", class_names()));
                }
                if !refused {
                    self.faults.add(&text.span, &text.key, "has a meaning only with outcome = \"refused\"");
                }
                class
            }
            None if refused => {
                rule.missing("class", self.faults);
                None
            }
            None => None,
        };
        let verdict = match outcome.value.as_str() {
            "accepted" => Verdict::Accepted,
            "delivered" => Verdict::Delivered,
            "refused" => Verdict::Refused(class?),
            "reversed" => Verdict::Reversed,
            "not_found" => Verdict::NotFound,
            "unknown" => Verdict::Unknown,
            _ => {
                let wanted = "expected accepted, delivered, refused, reversed, not_found or unknown";
                self.faults.add(&outcome.span, &outcome.key, wanted);
                return None;
            }
        };
        Some(Rule { statuses, codes, verdict })
    }

    fn callback(&mut self, mut section: Section<'_>, base: Option<&Places>) -> Option<CallbackForm> {
        let signature = section.section("signature", self.faults).and_then(|s| self.callback_signature(s));
        let table = self.table(&mut section, base);
        if table.places.reference.is_none() {
            section.missing("answer.reference", self.faults);
        }
        let reply_status = section.integer("reply_status", 200..=299, self.faults);
        let reply_body = section.text("reply_body", self.faults);
        section.finish(self.faults);
        Some(CallbackForm {
            signature,
            table,
            reply_status: reply_status.and_then(|p| u16::try_from(p.value).ok()).unwrap_or(200),
            reply_body: reply_body.map_or_else(|| "{}".to_owned(), |p| p.value),
        })
    }

    fn callback_signature(&mut self, mut section: Section<'_>) -> Option<CallbackSignature> {
        let over = section.need_text("over", self.faults);
        if let Some(over) = over.as_ref().filter(|o| !o.value.contains("{timestamp}")) {
            self.faults.add(
                &over.span,
                &over.key,
                "expected {timestamp}, or an old callback could be replayed",
            );
        }
        let over = over.and_then(|t| self.template(&t, Place::Signed));
        let key = self.key_name(&mut section);
        let encoding = self.encoding(&mut section);
        for name in ["header", "timestamp_header"] {
            if !section.has(name) {
                section.missing(name, self.faults);
            }
        }
        let header = self.header_name(&mut section, "header");
        let timestamp_header = self.header_name(&mut section, "timestamp_header");
        let tolerance = self.millis(&mut section, "tolerance_ms", 300_000, SETTLE_MAX_MS);
        section.finish(self.faults);
        Some(CallbackSignature {
            over: over?,
            key: key?,
            encoding,
            header: header?,
            timestamp_header: timestamp_header?,
            tolerance,
        })
    }
}

fn method(name: &str) -> Option<&'static str> {
    ["GET", "POST", "PUT"].into_iter().find(|m| *m == name)
}

fn class_names() -> String {
    RefusalClass::ALL.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")
}

/// Whether a text may name a connector, an operator or a route.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
