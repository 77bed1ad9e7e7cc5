//! The tables about SMPP: `[[smsc]]`, a carrier's SMSC that we bind to, and `[smpp]`, where aggregators bind to us.
//!
//! Each names what it carries: `sms`, `ussd`, or both over the same binds.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::ussd::profile;
use super::{count, folder_path, seconds};
use crate::connector::document::{Faults, Placed, Section};
use crate::connector::key::{Key, Source};
use crate::smpp::coding::{Charset, Charsets};
use crate::smpp::io::Network;
use crate::smpp::io::tls::{ClientFiles, Identity, ServerFiles};
use crate::smpp::link::settings::{Esme, Password, Rate, Settings, Side};
use crate::smpp::long::Form;
use crate::smpp::pdu::Role;
use crate::smpp::receipt::{IdForm, IdForms};
use crate::smpp::status::Kinds;
use crate::sms::address::{Numbering, TonNpi};
use crate::sms::retry::Retry;
use crate::sms::route::Route;
use crate::sms::smpp::Trust;
use crate::ussd::profile::Profile;

/// Binds to one SMSC at most.
const BINDS_MAX: i64 = 32;
/// Outstanding requests of one bind at most.
const WINDOW_MAX: i64 = 10_000;
/// Octets of a `system_id` and a password (SMPP 3.4 §5.2.1, §5.2.2), without the NUL.
const SYSTEM_ID_MAX: usize = 15;
const PASSWORD_MAX: usize = 8;

/// What `data_coding` 0 may mean.
pub(super) const CHARSETS: [(&str, Charset); 5] = [
    ("gsm7", Charset::Gsm7),
    ("gsm7_packed", Charset::Gsm7Packed),
    ("latin1", Charset::Latin1),
    ("ascii", Charset::Ascii),
    ("utf8", Charset::Utf8),
];

/// What a route of SMPP carries, whoever binds to whom.
#[derive(Clone, Debug, Default)]
pub struct Carries {
    /// Text messages.
    pub sms: Option<Texts>,
    /// USSD dialogues.
    pub ussd: Option<Profile>,
}

/// How text messages go by a route of SMPP.
#[derive(Clone, Debug)]
pub struct Texts {
    /// Who is reached as whom.
    pub route: Route,
    /// What `data_coding` means there.
    pub charsets: Charsets,
    /// How a long text is cut.
    pub long: Form,
    /// How ids are written.
    pub ids: IdForms,
    /// What statuses mean.
    pub kinds: Kinds,
    /// `service_type` of our messages, at most 5 octets.
    pub service_type: String,
    /// The only numbers that a trusted route is believed for, as digits; none means all.
    pub believed: Vec<String>,
}

impl Texts {
    /// Whose numbers are believed.
    #[must_use]
    pub fn trust(&self, trusted: bool) -> Trust {
        match (trusted, self.believed.is_empty()) {
            (false, _) => Trust::Nobody,
            (true, true) => Trust::Everybody,
            (true, false) => Trust::Prefixes(self.believed.clone()),
        }
    }
}

/// A carrier's SMSC that we bind to.
#[derive(Clone, Debug)]
pub struct Smsc {
    /// Its name in logs and rows.
    pub name: String,
    /// `host:port`, tried in turn.
    pub addresses: Vec<String>,
    /// TLS, with the server's name if it is not the host's.
    pub tls: Option<(ClientFiles, Option<String>)>,
    /// One for each bind.
    pub roles: Vec<Role>,
    /// Each bind's link; its role is set from `roles`.
    pub link: Settings,
    /// Whether the callers' numbers that it sends are believed.
    pub trusted: bool,
    /// Who it says it is, and how it proves it, when it connects to us and asks us to bind (`outbind`, SMPP 3.4 §4.1.7).
    pub outbind: Option<(String, Password)>,
    /// What it carries.
    pub carries: Carries,
}

/// Where aggregators bind to us.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// Who may connect at all.
    pub networks: Vec<Network>,
    /// Connections at once.
    pub connections: usize,
    /// TLS; then nothing else is spoken there.
    pub tls: Option<ServerFiles>,
    /// Who may bind.
    pub peers: Vec<Peer>,
}

/// An aggregator.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in logs and rows.
    pub name: String,
    /// Its `system_id`.
    pub system_id: String,
    /// Its password as an argon2id PHC string (`keytone smpp password`).
    pub password: String,
    /// From where it may bind; everywhere that may connect, if empty.
    pub networks: Vec<Network>,
    /// Binds at once.
    pub binds: usize,
    /// Its links.
    pub link: Settings,
    /// Whether the callers' numbers that it sends are believed.
    pub trusted: bool,
    /// What it carries.
    pub carries: Carries,
}

/// The names of all routes; those that are named twice are faults, since rows and logs tell routes apart by them.
pub(super) fn distinct(
    smscs: &[Smsc],
    listen: Option<&Listen>,
    root: &Section<'_>,
    faults: &mut Faults<'_>,
) -> BTreeSet<String> {
    let peers = listen.into_iter().flat_map(|listen| &listen.peers).map(|peer| peer.name.as_str());
    if listen.is_none()
        && let Some(smsc) = smscs.iter().find(|smsc| smsc.outbind.is_some())
    {
        let wanted = format!("`{}` connects to us by outbind: say where in [smpp]", smsc.name);
        faults.add(&root.span, "smsc.outbind_system_id", wanted);
    }
    let mut seen = BTreeSet::new();
    for name in smscs.iter().map(|smsc| smsc.name.as_str()).chain(peers) {
        if !seen.insert(name.to_owned()) && !name.is_empty() {
            faults.add(&root.span, "smsc.name", format!("`{name}` is named twice"));
        }
    }
    seen
}

/// Reads one of several named choices.
pub(super) fn choice<T: Clone>(
    section: &mut Section<'_>,
    key: &str,
    choices: &[(&str, T)],
    faults: &mut Faults<'_>,
) -> Option<T> {
    let Placed { value, span, key } = section.text(key, faults)?;
    let found = choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| choice.clone());
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        faults.add(&span, &key, format!("expected one of {}", names.join(", ")));
    }
    found
}

/// A secret by the name of a variable (`KEY_env`) or a file (`KEY_file`).
pub(super) fn secret(
    section: &mut Section<'_>,
    key: &str,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<Key> {
    let (by_env, by_file) = (format!("{key}_env"), format!("{key}_file"));
    let env = section.text(&by_env, faults);
    let file = section.text(&by_file, faults);
    let (source, placed) = match (env, file) {
        (Some(env), None) => (Source::Env(env.value.clone()), env),
        (None, Some(file)) => (Source::File(folder.join(&file.value).display().to_string()), file),
        (Some(env), Some(_)) => {
            faults.add(&env.span, &env.key, format!("give {by_env} or {by_file}, not both"));
            return None;
        }
        (None, None) => {
            section.missing(&by_file, faults);
            return None;
        }
    };
    source.load().map_err(|why| faults.add(&placed.span, &placed.key, why)).ok()
}

impl Smsc {
    pub(super) fn read(smsc: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Self {
        let name = smsc.need_text("name", faults).map(|t| t.value).unwrap_or_default();
        let outbind = outbind(smsc, faults, folder);
        if !smsc.has("addresses") && outbind.is_none() {
            smsc.missing("addresses", faults);
        }
        let addresses = smsc.texts("addresses", faults);
        for text in &addresses {
            if text
                .value
                .rsplit_once(':')
                .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                faults.add(
                    &text.span,
                    &text.key,
                    format!("`{}` is not a host and a port such as smsc.example:2775", text.value),
                );
            }
        }
        let side = Side::Esme(esme(smsc, faults, folder));
        let link = link(smsc, side, faults);
        let trusted = smsc.boolean("trusted_number", faults).unwrap_or(false);
        Self {
            addresses: addresses.into_iter().map(|t| t.value).collect(),
            tls: client_tls(smsc, faults, folder),
            roles: roles(smsc, faults),
            link,
            trusted,
            outbind,
            carries: Carries::read(smsc, &name, faults),
            name,
        }
    }
}

/// An SMSC that connects to us and asks us to bind.
fn outbind(smsc: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Option<(String, Password)> {
    let system_id = smsc.text("outbind_system_id", faults)?;
    let password = secret(smsc, "outbind_password", folder, faults);
    let password = Password::new(password.as_ref().map_or("", Key::text).as_bytes());
    Some((system_id.value, password))
}

/// The roles of all binds.
fn roles(smsc: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<Role> {
    let choices: [(&str, &[Role]); 4] = [
        ("transceiver", &[Role::Transceiver]),
        ("transmitter", &[Role::Transmitter]),
        ("receiver", &[Role::Receiver]),
        ("pair", &[Role::Transmitter, Role::Receiver]),
    ];
    let roles = choice(smsc, "bind", &choices, faults).unwrap_or(&[Role::Transceiver]);
    let binds = count(smsc, "binds", 1, BINDS_MAX, faults);
    roles.iter().copied().cycle().take(roles.len() * binds).collect()
}

fn esme(smsc: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Esme {
    let system_id = smsc.need_text("system_id", faults);
    if let Some(id) = system_id.as_ref().filter(|id| id.value.len() > SYSTEM_ID_MAX) {
        faults.add(&id.span, &id.key, format!("expected at most {SYSTEM_ID_MAX} characters"));
    }
    let password = secret(smsc, "password", folder, faults);
    if password.as_ref().is_some_and(|password| password.text().len() > PASSWORD_MAX) {
        faults.add(&smsc.span, "smsc.password", format!("SMPP takes at most {PASSWORD_MAX} octets"));
    }
    let versions = [("3.3", 0x33), ("3.4", 0x34), ("5.0", 0x50)];
    let text = |smsc: &mut Section<'_>, key: &str, faults: &mut Faults<'_>| {
        Bytes::from(smsc.text(key, faults).map(|t| t.value).unwrap_or_default())
    };
    Esme {
        system_id: Bytes::from(system_id.map(|id| id.value).unwrap_or_default()),
        password: Password::new(password.as_ref().map_or("", Key::text).as_bytes()),
        system_type: text(smsc, "system_type", faults),
        role: Role::Transceiver,
        version: choice(smsc, "version", &versions, faults).unwrap_or(0x34),
        addr_ton: 0,
        addr_npi: 0,
        address_range: text(smsc, "address_range", faults),
    }
}

/// What every link may be told.
fn link(section: &mut Section<'_>, side: Side, faults: &mut Faults<'_>) -> Settings {
    let usual = Settings::new(side);
    let rate = |section: &mut Section<'_>, key: &str, faults: &mut Faults<'_>| {
        let rate = section.integer(key, 1..=1_000_000, faults)?;
        let per_second = u32::try_from(rate.value).ok()?;
        Some(Rate::even(per_second))
    };
    let patience = |section: &mut Section<'_>, key: &str, usual: Duration, faults: &mut Faults<'_>| {
        seconds(section, key, usual.as_secs(), 600, faults).max(Duration::from_secs(1))
    };
    Settings {
        window: count(section, "window", usual.window, WINDOW_MAX, faults),
        rate: rate(section, "segments_per_s", faults),
        peer_rate: rate(section, "received_per_s", faults),
        response_timeout: patience(section, "response_timeout_s", usual.response_timeout, faults),
        enquire_after: patience(section, "enquire_link_s", usual.enquire_after, faults),
        reconnect_max: patience(section, "reconnect_max_s", usual.reconnect_max, faults),
        ..usual
    }
}

fn client_tls(
    smsc: &mut Section<'_>,
    faults: &mut Faults<'_>,
    folder: &Path,
) -> Option<(ClientFiles, Option<String>)> {
    let mut tls = smsc.section("tls", faults)?;
    let authority = folder_path(&mut tls, "authority", folder, faults);
    let server_name = tls.text("server_name", faults).map(|t| t.value);
    let identity = identity(&mut tls, folder, faults);
    tls.finish(faults);
    Some((ClientFiles { authority, identity }, server_name))
}

fn identity(tls: &mut Section<'_>, folder: &Path, faults: &mut Faults<'_>) -> Option<Identity> {
    let certificates = folder_path(tls, "certificate", folder, faults);
    let key = folder_path(tls, "key", folder, faults);
    match (certificates, key) {
        (Some(certificates), Some(key)) => Some(Identity { certificates, key }),
        (None, None) => None,
        (Some(_), None) => {
            tls.missing("key", faults);
            None
        }
        (None, Some(_)) => {
            tls.missing("certificate", faults);
            None
        }
    }
}

impl Carries {
    fn read(section: &mut Section<'_>, name: &str, faults: &mut Faults<'_>) -> Self {
        let sms = section.section("sms", faults).map(|mut sms| {
            let texts = Texts::read(&mut sms, name, faults);
            sms.finish(faults);
            texts
        });
        let ussd = section.section("ussd", faults).map(|mut ussd| {
            let profile = profile(&mut ussd, faults);
            ussd.finish(faults);
            profile
        });
        if sms.is_none() && ussd.is_none() {
            faults.add(
                &section.span,
                &section.key,
                "carries nothing: give it a table `sms`, `ussd`, or both",
            );
        }
        Self { sms, ussd }
    }
}

impl Texts {
    fn read(sms: &mut Section<'_>, name: &str, faults: &mut Faults<'_>) -> Self {
        let usual = Charsets::sms();
        let charsets = Charsets {
            default: choice(sms, "charset", &CHARSETS, faults).unwrap_or(usual.default),
            fold: sms.boolean("fold", faults).unwrap_or(usual.fold),
            ..usual
        };
        let forms =
            [("udh8", Form::Udh8), ("udh16", Form::Udh16), ("sar", Form::Sar), ("payload", Form::Payload)];
        let ids = [("opaque", IdForm::Opaque), ("hex", IdForm::Hex), ("decimal", IdForm::Decimal)];
        let mut statuses = |key: &str| {
            let listed = sms.integers(key, faults);
            listed.into_iter().filter_map(|n| u32::try_from(n.value).ok()).collect()
        };
        let kinds = Kinds {
            throttled: statuses("throttled_statuses"),
            retry: statuses("passing_statuses"),
            permanent: statuses("permanent_statuses"),
        };
        let believed = prefixes(sms, "believed_prefixes", faults);
        let service_type = sms.text("service_type", faults);
        if let Some(text) = service_type.as_ref().filter(|text| text.value.len() > 5) {
            faults.add(&text.span, &text.key, "expected at most 5 characters");
        }
        Self {
            route: texts_route(sms, name, faults),
            charsets,
            long: choice(sms, "long", &forms, faults).unwrap_or_default(),
            ids: IdForms {
                response: choice(sms, "response_ids", &ids, faults).unwrap_or_default(),
                receipt: choice(sms, "receipt_ids", &ids, faults).unwrap_or_default(),
            },
            kinds,
            service_type: service_type.map(|text| text.value).unwrap_or_default(),
            believed,
        }
    }
}

/// Beginnings of numbers, as digits.
fn prefixes(section: &mut Section<'_>, key: &str, faults: &mut Faults<'_>) -> Vec<String> {
    let mut prefixes = Vec::new();
    for text in section.texts(key, faults) {
        let digits = text.value.strip_prefix('+').unwrap_or(&text.value).to_owned();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            let wrong = format!("`{}` is not the beginning of a number such as +86138", text.value);
            faults.add(&text.span, &text.key, wrong);
        }
        prefixes.push(digits);
    }
    prefixes
}

/// Who is reached by a route, as whom, and how often it is tried. Providers over HTTP have the same keys.
pub(super) fn texts_route(sms: &mut Section<'_>, name: &str, faults: &mut Faults<'_>) -> Route {
    let sender = sms.need_text("sender", faults).map(|t| t.value).unwrap_or_default();
    let prefixes = prefixes(sms, "prefixes", faults);
    let usual = Numbering::default();
    let numbering = Numbering {
        word: ton_npi(sms, "word", usual.word, faults),
        short: ton_npi(sms, "short_code", usual.short, faults),
        international: ton_npi(sms, "international", usual.international, faults),
        recipient: ton_npi(sms, "recipient", usual.recipient, faults),
        plus: sms.boolean("plus", faults).unwrap_or(usual.plus),
    };
    let retry = Retry::default();
    let tries_max = sms.integer("tries_max", 1..=100, faults).and_then(|n| i32::try_from(n.value).ok());
    Route {
        prefixes,
        preference: sms
            .integer("preference", 0..=1000, faults)
            .and_then(|n| u16::try_from(n.value).ok())
            .unwrap_or(0),
        share: sms.integer("share", 1..=100, faults).and_then(|n| u16::try_from(n.value).ok()).unwrap_or(1),
        senders: sms.texts("senders", faults).into_iter().map(|t| t.value).collect(),
        numbering,
        validity: Some(seconds(sms, "validity_s", 0, 604_800, faults)).filter(|v| !v.is_zero()),
        receipts: sms.boolean("receipts", faults).unwrap_or(true),
        retry: Retry { tries_max: tries_max.unwrap_or(retry.tries_max), ..retry },
        ..Route::new(name, &sender)
    }
}

/// `[type of number, numbering plan]`.
fn ton_npi(section: &mut Section<'_>, key: &str, usual: TonNpi, faults: &mut Faults<'_>) -> TonNpi {
    let numbers = section.integers(key, faults);
    let octet = |n: &Placed<i64>| u8::try_from(n.value).ok();
    match (numbers.first(), numbers.get(1), numbers.get(2)) {
        (None, ..) => usual,
        (Some(ton), Some(npi), None) if octet(ton).is_some() && octet(npi).is_some() => {
            (octet(ton).unwrap_or(0), octet(npi).unwrap_or(0))
        }
        (Some(first), ..) => {
            faults.add(&first.span, &first.key, "expected [TON, NPI], for example [1, 1]");
            usual
        }
    }
}

impl Listen {
    /// Reads `[smpp]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Option<Self> {
        let mut smpp = root.section("smpp", faults)?;
        let address = super::address(&mut smpp, "listen", SocketAddr::from(([127, 0, 0, 1], 2775)), faults);
        let listen = Self {
            address,
            networks: networks(&mut smpp, "networks", faults),
            connections: count(&mut smpp, "connections", 100, 100_000, faults),
            tls: server_tls(&mut smpp, faults, folder),
            peers: peers(&mut smpp, faults),
        };
        smpp.finish(faults);
        Some(listen)
    }
}

fn networks(section: &mut Section<'_>, key: &str, faults: &mut Faults<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in section.texts(key, faults) {
        match text.value.parse() {
            Ok(network) => networks.push(network),
            Err(why) => faults.add(&text.span, &text.key, format!("`{}`: {why}", text.value)),
        }
    }
    networks
}

fn server_tls(smpp: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Option<ServerFiles> {
    let mut tls = smpp.section("tls", faults)?;
    let client_authority = folder_path(&mut tls, "client_authority", folder, faults);
    let identity = identity(&mut tls, folder, faults);
    if identity.is_none() && !tls.has("certificate") {
        tls.missing("certificate", faults);
    }
    tls.finish(faults);
    Some(ServerFiles { identity: identity?, client_authority })
}

fn peers(smpp: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<Peer> {
    let mut peers: Vec<Peer> = Vec::new();
    for mut peer in smpp.sections("peer", faults) {
        let name = peer.need_text("name", faults).map(|t| t.value).unwrap_or_default();
        let system_id = peer.need_text("system_id", faults);
        if let Some(id) = system_id.as_ref()
            && (id.value.len() > SYSTEM_ID_MAX || peers.iter().any(|other| other.system_id == id.value))
        {
            faults.add(
                &id.span,
                &id.key,
                format!("expected a name of its own of at most {SYSTEM_ID_MAX} characters"),
            );
        }
        let password = peer.need_text("password_hash", faults);
        if let Some(hash) = password.as_ref().filter(|hash| !hash.value.contains("$argon2id$")) {
            faults.add(&hash.span, &hash.key, "expected what `keytone smpp password` prints");
        }
        let side = Side::Smsc { system_id: Bytes::from_static(b"keytone"), version: 0x34 };
        peers.push(Peer {
            system_id: system_id.map(|id| id.value).unwrap_or_default(),
            password: password.map(|hash| hash.value).unwrap_or_default(),
            networks: networks(&mut peer, "networks", faults),
            binds: count(&mut peer, "binds", 2, BINDS_MAX, faults),
            link: link(&mut peer, side, faults),
            trusted: peer.boolean("trusted_number", faults).unwrap_or(false),
            carries: Carries::read(&mut peer, &name, faults),
            name,
        });
        peer.finish(faults);
    }
    peers
}
