//! The tables `[[gateway]]`: a gateway or provider that speaks HTTP and no SMPP. What it brings comes to `/ussd/NAME` and
//! `/sms/NAME`; texts to it leave by its own interface. See `docs/http.md`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::smpp::{choice, secret, texts_route};
use super::{count, seconds};
use crate::clock::Timestamp;
use crate::connector::document::{Faults, Section};
use crate::connector::key::Key;
use crate::http::guard::{Check, Guard, Place};
use crate::http::{sms as texts_in, ussd as dialogues_in};
use crate::secret::Secret;
use crate::smpp::io::Network;
use crate::sms::http::{Account, Settings, africastalking, json, kannel, twilio};
use crate::sms::route::Route;
use crate::ussd::profile::{ANSWER_WITHIN, IDLE};

/// Whose interface it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    AfricasTalking,
    Twilio,
    Kannel,
    Json,
}

/// A gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name: in the paths, in rows and in logs.
    pub name: String,
    /// Whether the numbers that it sends are believed.
    pub trusted: bool,
    /// What every request must pass.
    pub checks: Vec<Check>,
    /// Dialogues, if it has them.
    pub ussd: Option<Dialogues>,
    /// Texts, if it has them.
    pub sms: Option<Texts>,
}

/// Dialogues of a gateway.
#[derive(Clone, Debug)]
pub struct Dialogues {
    /// How it writes.
    pub form: dialogues_in::Form,
    /// How long the gateway waits for a screen.
    pub answer_within: Duration,
    /// How long a dialogue waits for its caller.
    pub idle: Duration,
}

/// Texts of a provider.
#[derive(Clone, Debug)]
pub struct Texts {
    /// How it writes.
    pub form: texts_in::Form,
    /// Who is reached as whom.
    pub route: Route,
    /// How texts leave.
    pub out: Settings,
}

impl Gateway {
    /// The guard of its paths, from `now` on.
    ///
    /// # Errors
    /// When nothing is asked of requests; the configuration has refused that.
    pub fn guard(&self, now: Timestamp) -> Result<Guard, crate::http::guard::Open> {
        Guard::new(self.checks.clone(), now)
    }

    pub(super) fn read(gateway: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Self {
        let name = gateway.need_text("name", faults);
        if let Some(text) = name.as_ref()
            && !text.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            faults.add(
                &text.span,
                &text.key,
                "is part of a path: expected letters, digits, `-`, `_` and `.`",
            );
        }
        let name = name.map(|text| text.value).unwrap_or_default();
        let forms = [
            ("africastalking", Form::AfricasTalking),
            ("twilio", Form::Twilio),
            ("kannel", Form::Kannel),
            ("json", Form::Json),
        ];
        if !gateway.has("form") {
            gateway.missing("form", faults);
        }
        let form = choice(gateway, "form", &forms, faults).unwrap_or(Form::Json);
        let trusted = gateway.boolean("trusted_number", faults).unwrap_or(false);
        let checks = checks(gateway, faults, folder);
        if checks.is_empty() {
            let wanted = "anybody could send there: give it a secret, a signature or addresses";
            faults.add(&gateway.span, "gateway.secret_file", wanted);
        }
        let ussd = gateway.section("ussd", faults).map(|mut ussd| {
            let dialogues = dialogues(&mut ussd, form, faults);
            ussd.finish(faults);
            dialogues
        });
        let sms = gateway.section("sms", faults).map(|mut sms| {
            let texts = Texts {
                form: form.texts(),
                route: texts_route(&mut sms, &name, faults),
                out: outgoing(&mut sms, form, faults, folder),
            };
            sms.finish(faults);
            texts
        });
        if ussd.is_none() && sms.is_none() {
            faults.add(&gateway.span, "gateway", "carries nothing: give it a table `ussd`, `sms`, or both");
        }
        Self { name, trusted, checks, ussd, sms }
    }
}

impl Form {
    fn texts(self) -> texts_in::Form {
        match self {
            Self::AfricasTalking => texts_in::Form::AfricasTalking,
            Self::Twilio => texts_in::Form::Twilio,
            Self::Kannel => texts_in::Form::Kannel(texts_in::forms::Names::default()),
            Self::Json => texts_in::Form::Json,
        }
    }
}

/// A key as a secret of the rooms.
fn known(key: &Key) -> Secret {
    Secret::from(key.text())
}

/// What is asked of requests; each may be there.
fn checks(gateway: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let there = |gateway: &Section<'_>, key: &str| {
        gateway.has(&format!("{key}_env")) || gateway.has(&format!("{key}_file"))
    };
    if there(gateway, "secret") {
        let header = gateway.text("secret_header", faults).map(|t| t.value);
        let query = gateway.text("secret_query", faults).map(|t| t.value);
        let place = match (header, query) {
            (Some(header), _) => Place::Header(header.to_ascii_lowercase()),
            (None, Some(query)) => Place::Query(query),
            (None, None) => Place::Query("key".to_owned()),
        };
        checks.extend(secret(gateway, "secret", folder, faults).map(|key| Check::Secret(place, known(&key))));
    }
    if there(gateway, "signature") {
        checks.extend(secret(gateway, "signature", folder, faults).map(|key| Check::Signature(known(&key))));
    }
    if there(gateway, "twilio_token") {
        let public_url = gateway.need_text("public_url", faults).map(|t| t.value).unwrap_or_default();
        let token = secret(gateway, "twilio_token", folder, faults);
        checks.extend(token.map(|key| Check::Twilio { token: known(&key), public_url }));
    }
    let mut networks: Vec<Network> = Vec::new();
    for text in gateway.texts("addresses", faults) {
        match text.value.parse() {
            Ok(network) => networks.push(network),
            Err(why) => faults.add(&text.span, &text.key, format!("`{}`: {why}", text.value)),
        }
    }
    if !networks.is_empty() {
        checks.push(Check::Address(Arc::new(move |address| {
            networks.iter().any(|network| network.has(address))
        })));
    }
    checks
}

fn dialogues(ussd: &mut Section<'_>, form: Form, faults: &mut Faults<'_>) -> Dialogues {
    let form = match form {
        Form::AfricasTalking => dialogues_in::Form::AfricasTalking,
        Form::Json => dialogues_in::Form::Json,
        Form::Twilio | Form::Kannel => {
            faults.add(&ussd.span, "gateway.ussd", "only the forms africastalking and json have dialogues");
            dialogues_in::Form::Json
        }
    };
    Dialogues {
        form,
        answer_within: seconds(ussd, "answer_within_s", ANSWER_WITHIN.as_secs(), 120, faults),
        idle: seconds(ussd, "idle_s", IDLE.as_secs(), 3600, faults),
    }
}

/// How texts leave.
fn outgoing(sms: &mut Section<'_>, form: Form, faults: &mut Faults<'_>, folder: &Path) -> Settings {
    let mut text =
        |sms: &mut Section<'_>, key: &str| sms.need_text(key, faults).map(|t| t.value).unwrap_or_default();
    let url = text(sms, "url");
    let username = match form {
        Form::AfricasTalking | Form::Kannel => text(sms, "username"),
        Form::Twilio => text(sms, "sid"),
        Form::Json => String::new(),
    };
    let credential = match form {
        Form::AfricasTalking => secret(sms, "api_key", folder, faults),
        Form::Kannel => secret(sms, "password", folder, faults),
        Form::Twilio => secret(sms, "token", folder, faults),
        Form::Json if sms.has("token_env") || sms.has("token_file") => secret(sms, "token", folder, faults),
        Form::Json => None,
    };
    let credential = credential.as_ref().map(known);
    let receipt_url = match form {
        Form::Kannel if sms.has("receipt_url_env") || sms.has("receipt_url_file") => {
            secret(sms, "receipt_url", folder, faults).map(|key| known(&key))
        }
        Form::Kannel | Form::Twilio => {
            sms.text("receipt_url", faults).map(|t| Secret::from(t.value.as_str()))
        }
        Form::AfricasTalking | Form::Json => None,
    };
    let or_none = || credential.clone().unwrap_or_else(|| Secret::from(""));
    let account = match form {
        Form::AfricasTalking => {
            Account::AfricasTalking(africastalking::Account { url, username, api_key: or_none() })
        }
        Form::Twilio => Account::Twilio(twilio::Account {
            base_url: url,
            sid: username,
            token: or_none(),
            messaging_service: sms.text("messaging_service", faults).map(|t| t.value),
            receipt_url: receipt_url.map(|url| String::from_utf8_lossy(url.expose()).into_owned()),
        }),
        Form::Kannel => Account::Kannel(kannel::Account {
            url,
            username,
            password: or_none(),
            smsc: sms.text("smsc", faults).map(|t| t.value),
            receipt_url,
        }),
        Form::Json => Account::Json(json::Account { url, token: credential }),
    };
    Settings {
        account,
        window: count(sms, "window", 10, 1_000, faults),
        connect_timeout: seconds(sms, "connect_timeout_s", 5, 60, faults).max(Duration::from_secs(1)),
        timeout: seconds(sms, "timeout_s", 20, 120, faults).max(Duration::from_secs(1)),
    }
}

/// Names gateways that are named twice, or as another route is: texts are answered by the route that they came by.
pub(super) fn distinct(
    gateways: &[Gateway],
    routes: &BTreeSet<String>,
    root: &Section<'_>,
    faults: &mut Faults<'_>,
) {
    let mut seen = routes.clone();
    for gateway in gateways {
        if !seen.insert(gateway.name.clone()) && !gateway.name.is_empty() {
            faults.add(&root.span, "gateway.name", format!("`{}` is named twice", gateway.name));
        }
    }
}
