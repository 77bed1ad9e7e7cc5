//! A carrier as an operator describes it in one TOML file, read and checked whole.
//!
//! [`Definition::parse`] tells every fault at once with its line; what it returns needs no further checks
//! when money moves. `connector::sandbox::DEFINITION` is a complete example.

mod auth;
mod bill;
mod callback;
mod news;
mod provider;
mod request;
mod sale;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::connector::breaker::Thresholds;
use crate::connector::contract::{Amounts, Description, ReferenceForm};
use crate::connector::document;
use crate::connector::document::{Fault, Faults, Placed, Section};
use crate::connector::key::{Encoding, Key, Keys, Source};
use crate::connector::pace::Limits;
use crate::connector::template::{Place, Slot, Template};
use crate::money::Currency;

pub use auth::{Auth, Signing, TokenBody, TokenForm};
pub use bill::Bills;
pub use callback::{CallbackForm, CallbackSignature};
pub use news::NewsForm;
pub use provider::Holding;
pub use request::{Request, method};

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
    /// What goes into the `Authorization` header.
    pub auth: Option<Auth>,
    /// How requests are signed.
    pub signing: Option<Signing>,
    /// The recharge; a biller has none.
    pub submit: Option<Request>,
    /// The status query.
    pub status: Option<Request>,
    /// The status query by our reference, when [`Definition::status`] needs the carrier's and that is not known.
    pub lookup: Option<Request>,
    /// What the carrier calls its products, by amounts in minor units of the first currency.
    pub products: BTreeMap<i64, String>,
    /// How fast it may be asked.
    pub limits: Limits,
    /// When it is left alone.
    pub breaker: Thresholds,
    /// Bills, if it takes payments of them.
    pub bills: Option<Bills>,
    /// Customers' accounts, if it holds them.
    pub holding: Option<Holding>,
    /// Callbacks.
    pub callback: Option<CallbackForm>,
    /// Credentials by name.
    pub keys: Keys,
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
            let auth = root.section("auth", reader.faults).and_then(|s| reader.auth(s));
            let signing = root.section("signing", reader.faults).and_then(|s| reader.signing(s));
            let currency = description.as_ref().and_then(|d| d.currencies.first().copied());
            let (amounts, products) = reader.sale(root, currency);
            let (limits, breaker) = (reader.limits(root), reader.breaker(root));
            let submit = root.section("submit", reader.faults);
            let bills = reader.bills(root);
            let holds = provider::holds(root);
            let holding = reader.holding(root);
            if submit.is_none() && bills.is_none() && !holds {
                root.missing("submit", reader.faults);
            }
            let submit = submit.and_then(|s| reader.request(s, "POST", None));
            let first = submit.as_ref().or_else(|| bills.as_ref().map(|b| &b.pay));
            let fallback = first.map(|s| s.table.places.clone());
            let status = root
                .section("status", reader.faults)
                .and_then(|s| reader.request(s, "GET", fallback.as_ref()));
            let lookup = root
                .section("lookup", reader.faults)
                .and_then(|s| reader.lookup(s, status.as_ref(), fallback.as_ref()));
            let callback =
                root.section("callback", reader.faults).and_then(|s| reader.callback(s, fallback.as_ref()));
            let mut description = description?;
            description.status_query =
                status.is_some() || bills.as_ref().is_some_and(|b| b.status.is_some()) || holding.is_some();
            description.status_needs_theirs =
                lookup.is_none() && status.as_ref().is_some_and(|s| s.holds(&Slot::CarrierReference));
            let tells = holding.as_ref().is_some_and(|h| h.news().is_some());
            description.callback = callback.is_some() || tells;
            description.amounts = amounts;
            let keys = reader.keys;
            Some(Self {
                description,
                base_url: base_url?,
                country,
                connect_timeout,
                headers,
                auth,
                signing,
                submit,
                status,
                lookup,
                products,
                limits,
                breaker,
                bills,
                holding,
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
            status_needs_theirs: false,
            amounts: Amounts::Any,
        })
    }

    fn base_url(&mut self, root: &mut Section<'_>) -> Option<String> {
        let Placed { value, span, key } = root.need_text("base_url", self.faults)?;
        if !is_web_address(&value) {
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
        self.secret_name(section, "key")
    }

    fn secret_name(&mut self, section: &mut Section<'_>, key: &str) -> Option<String> {
        let name = section.need_text(key, self.faults)?;
        self.check_secrets(&name, std::iter::once(name.value.as_str()));
        Some(name.value)
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
}

fn is_web_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// Whether a text may name a connector, an operator or a route.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
