//! `keytone.toml` → a checked [`Config`]. Unknown keys and every fault are named at once, with their lines; nothing is
//! started from a file that has one.
//!
//! Everything has a default but what only the operator can know: the market and who is trusted.

mod alarm;
mod bill;
mod charge;
pub mod dayone;
pub mod gateway;
mod house;
pub mod merchant;
pub mod order;
pub mod policy;
mod provider;
pub mod routes;
pub mod smpp;
mod ussd;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connector::document::{self, Fault, Faults, Section};
use crate::dialplan::catalog::{USSD_SEPTETS, USSD_UCS2};
use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;
use crate::payment::alarm::Rules as Alarms;
use crate::payment::assurance::Policy;
use crate::payment::bill::Directory;
use crate::payment::binding::IdentityRules;
use crate::payment::provider::Providers;
use crate::payment::tax::FeeTax;
use crate::sip::config::Network;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite:FILE` or `postgres://…`.
    pub database: String,
    /// Folder of flows and messages; `None` uses those in the binary.
    pub dialplans: Option<PathBuf>,
    /// Folder of clips; `None` uses those in the binary.
    pub prompts: Option<PathBuf>,
    /// File with the pepper's keys (see `keytone serve --help`).
    pub pepper_file: PathBuf,
    /// The numbering plan.
    pub numbering: PathBuf,
    /// Connector descriptions.
    pub connectors: Vec<PathBuf>,
    /// The market.
    pub market: Market,
    /// PIN rules.
    pub pin: PinRules,
    /// Codes, bindings, and what follows from a change of them.
    pub identity: IdentityRules,
    /// How far callers are believed, and what payments need of them.
    pub policy: Policy,
    /// Who issues bills.
    pub billers: Directory,
    /// Tax that fees contain.
    pub fee_tax: FeeTax,
    /// What staff are told of.
    pub alarms: Alarms,
    /// Orders, charging, how merchants and agents may ask, and what the end of a day wants.
    pub trade: merchant::Trade,
    /// Routes, beside the numbering plan.
    pub routes: routes::Routes,
    /// Tiers, maintenance, retention, restore.
    pub day_one: dayone::DayOne,
    /// Who holds accounts outside.
    pub providers: Providers,
    /// How flows are adapted to this market.
    pub dialplan: Dialplan,
    /// The socket that the daemon takes commands on.
    pub control: PathBuf,
    /// SIP.
    pub sip: Sip,
    /// RTP.
    pub rtp: Rtp,
    /// Carriers' SMSCs that we bind to.
    pub smscs: Vec<smpp::Smsc>,
    /// Where aggregators bind to us; nowhere without it.
    pub smpp: Option<smpp::Listen>,
    /// Gateways and providers that speak HTTP.
    pub gateways: Vec<gateway::Gateway>,
    /// Where HTTP listens (callbacks, health).
    pub http_listen: SocketAddr,
    /// Logs as JSON lines.
    pub log_json: bool,
    /// `tracing` filter.
    pub log_filter: String,
}

/// Money and time of the market.
#[derive(Clone, Debug)]
pub struct Market {
    /// Country code without `+`.
    pub country: String,
    /// The currency.
    pub currency: Currency,
    /// The zone whose midnight ends the day.
    pub zone: jiff::tz::TimeZone,
    /// S13, minor units of face value.
    pub day_limit_minor: i64,
    /// Most for one payment, minor units.
    pub payment_limit_minor: i64,
    /// The most that one of staff moves alone, minor units; the built-in value without it.
    pub staff_alone_minor: Option<i64>,
    /// The most that a customer's account is filled to, minor units; no ceiling without it.
    pub balance_max_minor: Option<i64>,
    /// An account's bills a day, minor units; without it as much as five days of recharges.
    pub bill_day_limit_minor: i64,
    /// Most for one bill, minor units.
    pub bill_payment_limit_minor: i64,
    /// An equal recharge this soon after a delivery is asked about.
    pub duplicate_window: Duration,
    /// How long a caller waits for the carrier before "being processed" is said.
    pub answer_within: Duration,
    /// Language of messages.
    pub language: String,
}

/// Rules for PINs.
#[derive(Clone, Debug)]
pub struct PinRules {
    /// Fewest digits.
    pub digits_min: usize,
    /// Most digits.
    pub digits_max: usize,
    /// Wrong tries in a row before a lock.
    pub tries_max: i32,
    /// Wait after the second wrong try; doubles after each further one.
    pub delay: Duration,
    /// argon2id at 19 MiB and 2 passes instead of 4 MiB and 3.
    pub strict: bool,
    /// The most that is paid by text message without a PIN, with its fee, minor units; 0 for never.
    pub sms_without_pin_minor: i64,
    /// The most that an account pays so in a day, minor units.
    pub sms_without_pin_day_minor: i64,
}

/// What an account may pay in a day without a PIN, unless the configuration says so: as much as so many of the largest
/// payments.
const WITHOUT_PIN_A_DAY: i64 = 3;

/// An account's bills a day, unless the configuration says so: so many times its recharges.
const BILLS_A_DAY: i64 = 5;
/// Telephones that may reach drafts, at most.
pub const TESTERS_MAX: usize = 1000;
/// Bytes of one parameter of a flow, at most.
pub const PARAM_BYTES_MAX: usize = 1000;

/// What flows take from the operator. Read again by each reload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dialplan {
    /// Numbers that reach draft flows.
    pub testers: BTreeSet<Msisdn>,
    /// Parameters in place of those that the flows themselves give: by flow and name, as text.
    pub params: BTreeMap<String, BTreeMap<String, String>>,
    /// Septets on a USSD screen whose characters are all in GSM 03.38.
    pub ussd_septets: u16,
    /// UTF-16 units on any other USSD screen.
    pub ussd_ucs2: u16,
}

impl Default for Dialplan {
    /// No testers, the flows' own parameters, full screens.
    fn default() -> Self {
        Self {
            testers: BTreeSet::new(),
            params: BTreeMap::new(),
            ussd_septets: USSD_SEPTETS,
            ussd_ucs2: USSD_UCS2,
        }
    }
}

/// SIP settings.
#[derive(Clone, Debug)]
pub struct Sip {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Address that peers see, where it is not the one that faces them (behind NAT).
    pub external: Option<IpAddr>,
    /// Most calls at once.
    pub calls_max: usize,
    /// Who may call.
    pub trunks: Vec<Trunk>,
}

/// A peer that may send calls.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in logs.
    pub name: String,
    /// Addresses or networks.
    pub addresses: Vec<Network>,
    /// Whether the caller's number that it sends is believed.
    pub trusted_number: bool,
    /// Most calls at once over it.
    pub calls_max: usize,
}

/// RTP settings.
#[derive(Clone, Debug)]
pub struct Rtp {
    /// First and last port; 0 and 0 let the system choose.
    pub ports: (u16, u16),
    /// Threads that pace media.
    pub threads: usize,
    /// Accept audio from another address than SDP named (NAT), after a learning window.
    pub symmetric: bool,
    /// A call without any media from the caller for so long is ended; `None` never.
    pub silent_after: Option<Duration>,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Everything that is wrong in it.
    #[error("{path} has {} fault{}:\n{}", faults.len(), if faults.len() == 1 { "" } else { "s" },
        faults.iter().map(|f| format!("  {f}")).collect::<Vec<_>>().join("\n"))]
    Faults {
        /// The file.
        path: PathBuf,
        /// In the order of reading.
        faults: Vec<Fault>,
    },
}

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from the file's folder.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Self::parse(&text, folder).map_err(|faults| Error::Faults { path: path.to_owned(), faults })
    }

    /// Checks a text.
    ///
    /// # Errors
    /// All faults at once.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Fault>> {
        document::read(text, |root, faults| Some(Self::read(root, faults, folder)))
    }

    fn read(root: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Self {
        let node = within(root, "node", faults, |node, faults| Node::read(node, faults, folder));
        let log = within(root, "log", faults, |log, faults| {
            let json = log.boolean("json", faults).unwrap_or(false);
            let filter = log.text("filter", faults).map_or_else(|| "info".to_owned(), |t| t.value);
            (json, filter)
        });
        if !root.has("market") {
            root.missing("market", faults);
        }
        let market = within(root, "market", faults, Market::read);
        let pin = within(root, "pin", faults, |pin, faults| PinRules::read(pin, market.currency, faults));
        let currency = Some(market.currency).filter(|currency| *currency != Currency::NONE);
        let identity =
            within(root, "identity", faults, |identity, faults| policy::identity(identity, currency, faults));
        let policy =
            within(root, "policy", faults, |policy, faults| policy::policy(policy, currency, folder, faults));
        let billers = bill::read(root, market.currency, faults);
        let fee_tax = within(root, "house", faults, house::read);
        let alarms = within(root, "alarm", faults, |section, faults| {
            alarm::read(section, market.currency, faults, folder)
        });
        let trade = merchant::read(root, market.currency, faults);
        let routing = within(root, "routes", faults, |table, faults| routes::read(table, faults, folder));
        let mut day_one = dayone::read(root, market.currency, &market.zone, faults);
        day_one.beside(&node.database, folder);
        let providers = provider::read(root, faults);
        let dialplan = within(root, "dialplan", faults, Dialplan::read);
        let control = within(root, "control", faults, |control, faults| {
            let named = control.text("socket", faults).map(|t| t.value);
            folder.join(named.unwrap_or_else(|| "keytone.sock".to_owned()))
        });
        let sip = within(root, "sip", faults, Sip::read);
        let rtp = within(root, "rtp", faults, Rtp::read);
        let (smscs, smpp, gateways) = messaging(root, faults, folder);
        let http_listen = within(root, "http", faults, |http, faults| {
            address(http, "listen", SocketAddr::from(([127, 0, 0, 1], 8080)), faults)
        });
        Self {
            database: node.database,
            dialplans: node.dialplans,
            prompts: node.prompts,
            pepper_file: node.pepper_file,
            numbering: node.numbering,
            connectors: node.connectors,
            market,
            pin,
            identity,
            policy,
            billers,
            fee_tax,
            alarms,
            trade,
            routes: routing,
            day_one,
            providers,
            dialplan,
            control,
            sip,
            rtp,
            smscs,
            smpp,
            gateways,
            http_listen,
            log_json: log.0,
            log_filter: log.1,
        }
    }
}

/// The binds of ours, the listener for others, and who brings texts and dialogues over HTTP.
fn messaging(
    root: &mut Section<'_>,
    faults: &mut Faults<'_>,
    folder: &Path,
) -> (Vec<smpp::Smsc>, Option<smpp::Listen>, Vec<gateway::Gateway>) {
    let mut smscs = Vec::new();
    for mut section in root.sections("smsc", faults) {
        smscs.push(smpp::Smsc::read(&mut section, faults, folder));
        section.finish(faults);
    }
    let smpp = smpp::Listen::read(root, faults, folder);
    let routes = smpp::distinct(&smscs, smpp.as_ref(), root, faults);
    let mut gateways = Vec::new();
    for mut section in root.sections("gateway", faults) {
        gateways.push(gateway::Gateway::read(&mut section, faults, folder));
        section.finish(faults);
    }
    gateway::distinct(&gateways, &routes, root, faults);
    (smscs, smpp, gateways)
}

/// Reads a table; one that is absent gives the defaults of an empty one.
fn within<T>(
    root: &mut Section<'_>,
    key: &str,
    faults: &mut Faults<'_>,
    read: impl FnOnce(&mut Section<'_>, &mut Faults<'_>) -> T,
) -> T {
    let mut section = root.section(key, faults).unwrap_or_else(|| Section::empty(key));
    let value = read(&mut section, faults);
    section.finish(faults);
    value
}

/// The `[node]` table.
struct Node {
    database: String,
    dialplans: Option<PathBuf>,
    prompts: Option<PathBuf>,
    pepper_file: PathBuf,
    numbering: PathBuf,
    connectors: Vec<PathBuf>,
}

impl Node {
    fn read(node: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Self {
        let mut path = |node: &mut Section<'_>, key: &str| folder_path(node, key, folder, faults);
        let dialplans = path(node, "dialplans");
        let prompts = path(node, "prompts");
        let pepper_file = path(node, "pepper_file").unwrap_or_else(|| folder.join("pepper.key"));
        let numbering = path(node, "numbering").unwrap_or_else(|| folder.join("numbering.toml"));
        let connectors = node.texts("connectors", faults).into_iter().map(|t| folder.join(t.value)).collect();
        let database = match node.text("database", faults) {
            None => format!("sqlite:{}", folder.join("keytone.db").display()),
            Some(text) => match text.value.strip_prefix("sqlite:") {
                Some(file) => format!("sqlite:{}", folder.join(file).display()),
                None => {
                    if !text.value.starts_with("postgres://") && !text.value.starts_with("postgresql://") {
                        let expected = "expected sqlite:FILE or postgres://user@host/name";
                        faults.add(&text.span, &text.key, expected);
                    }
                    text.value
                }
            },
        };
        Self { database, dialplans, prompts, pepper_file, numbering, connectors }
    }
}

/// A file's path, taken from the configuration's folder.
fn folder_path(
    section: &mut Section<'_>,
    key: &str,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<PathBuf> {
    section.text(key, faults).map(|text| folder.join(text.value))
}

fn address(section: &mut Section<'_>, key: &str, default: SocketAddr, faults: &mut Faults<'_>) -> SocketAddr {
    let Some(text) = section.text(key, faults) else { return default };
    text.value.parse().unwrap_or_else(|_| {
        faults.add(&text.span, &text.key, "expected an address and a port, for example 0.0.0.0:5060");
        default
    })
}

fn seconds(
    section: &mut Section<'_>,
    key: &str,
    default: u64,
    most: i64,
    faults: &mut Faults<'_>,
) -> Duration {
    let seconds = section.integer(key, 0..=most, faults).and_then(|n| u64::try_from(n.value).ok());
    Duration::from_secs(seconds.unwrap_or(default))
}

fn count(section: &mut Section<'_>, key: &str, default: usize, most: i64, faults: &mut Faults<'_>) -> usize {
    section.integer(key, 1..=most, faults).and_then(|n| usize::try_from(n.value).ok()).unwrap_or(default)
}

impl Market {
    fn read(market: &mut Section<'_>, faults: &mut Faults<'_>) -> Self {
        let country = market.need_text("country", faults);
        if let Some(code) = &country
            && (code.value.is_empty()
                || code.value.len() > 3
                || !code.value.bytes().all(|b| b.is_ascii_digit()))
        {
            faults.add(&code.span, &code.key, "expected a country code of 1 to 3 digits without +");
        }
        let code = market.need_text("currency", faults);
        let currency = code.as_ref().and_then(|code| {
            Currency::new(&code.value).map_err(|e| faults.add(&code.span, &code.key, e.to_string())).ok()
        });
        let name = market.need_text("zone", faults);
        let zone = name.and_then(|name| {
            let unknown = || format!("`{}` is not a time zone such as Asia/Shanghai", name.value);
            jiff::tz::TimeZone::get(&name.value)
                .map_err(|_| faults.add(&name.span, &name.key, unknown()))
                .ok()
        });
        if !market.has("day_limit") {
            market.missing("day_limit", faults);
        }
        let day_limit_minor = limit(market, "day_limit", currency, faults);
        let payment_limit_minor = limit(market, "payment_limit", currency, faults).or(day_limit_minor);
        let bill_day_limit_minor = limit(market, "bill_day_limit", currency, faults)
            .unwrap_or_else(|| day_limit_minor.unwrap_or(0).saturating_mul(BILLS_A_DAY));
        let bill_payment_limit_minor =
            limit(market, "bill_payment_limit", currency, faults).unwrap_or(bill_day_limit_minor);
        Self {
            country: country.map(|c| c.value).unwrap_or_default(),
            currency: currency.unwrap_or(NO_CURRENCY),
            zone: zone.unwrap_or(jiff::tz::TimeZone::UTC),
            day_limit_minor: day_limit_minor.unwrap_or(0),
            payment_limit_minor: payment_limit_minor.unwrap_or(0),
            staff_alone_minor: limit(market, "staff_alone", currency, faults),
            balance_max_minor: limit(market, "balance_max", currency, faults),
            bill_day_limit_minor,
            bill_payment_limit_minor,
            duplicate_window: seconds(market, "duplicate_window_s", 600, 86_400, faults),
            answer_within: seconds(market, "answer_within_s", 8, 60, faults),
            language: market.text("language", faults).map_or_else(|| "en".to_owned(), |t| t.value),
        }
    }
}

/// ISO 4217's code for "no currency", in the place of one that could not be read.
const NO_CURRENCY: Currency = Currency::NONE;

fn limit(
    market: &mut Section<'_>,
    key: &str,
    currency: Option<Currency>,
    faults: &mut Faults<'_>,
) -> Option<i64> {
    let text = market.text(key, faults)?;
    match Money::parse(&text.value, currency?) {
        Ok(money) => Some(money.minor),
        Err(e) => {
            faults.add(&text.span, &text.key, e.to_string());
            None
        }
    }
}

impl PinRules {
    fn read(pin: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Self {
        let digits = |pin: &mut Section<'_>, key: &str, default: usize, faults: &mut Faults<'_>| {
            let digits = pin.integer(key, 4..=8, faults);
            digits.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(default)
        };
        let digits_min = digits(pin, "digits_min", 4, faults);
        let digits_max = digits(pin, "digits_max", 8, faults);
        if digits_min > digits_max {
            faults.add(&pin.span, "pin.digits_min", "is above digits_max");
        }
        let tries_max = pin.integer("tries_max", 1..=20, faults).map_or(5, |n| n.value);
        let known = (currency != NO_CURRENCY).then_some(currency);
        let cap_minor = limit(pin, "sms_without_pin", known, faults).unwrap_or(0);
        let day_minor = limit(pin, "sms_without_pin_day", known, faults);
        if day_minor.is_some_and(|day_minor| day_minor < cap_minor) {
            faults.add(&pin.span, "pin.sms_without_pin_day", "is below sms_without_pin");
        }
        Self {
            digits_min,
            digits_max,
            tries_max: i32::try_from(tries_max).unwrap_or(5),
            delay: seconds(pin, "delay_s", 0, 3600, faults),
            strict: pin.boolean("strict", faults).unwrap_or(false),
            sms_without_pin_minor: cap_minor,
            sms_without_pin_day_minor: day_minor
                .unwrap_or_else(|| cap_minor.saturating_mul(WITHOUT_PIN_A_DAY)),
        }
    }
}

impl Dialplan {
    fn read(dialplan: &mut Section<'_>, faults: &mut Faults<'_>) -> Self {
        let default = Self::default();
        let mut testers = BTreeSet::new();
        for text in dialplan.texts("testers", faults) {
            match Msisdn::parse(&text.value) {
                Ok(msisdn) if testers.len() < TESTERS_MAX => drop(testers.insert(msisdn)),
                Ok(_) => {
                    faults.add(&text.span, &text.key, format!("expected at most {TESTERS_MAX} numbers"));
                    break;
                }
                Err(_) => faults.add(
                    &text.span,
                    &text.key,
                    format!("`{}` is not a full number such as +8613800000001", text.value),
                ),
            }
        }
        let mut params = BTreeMap::new();
        if let Some(mut flows) = dialplan.section("params", faults) {
            for name in flows.keys() {
                let Some(mut flow) = flows.section(&name, faults) else { continue };
                params.insert(name, texts_by_name(&mut flow, faults));
            }
        }
        let mut screen = |key: &str, least: i64, most: i64, default: u16| {
            let size = dialplan.integer(key, least..=most, faults);
            size.and_then(|n| u16::try_from(n.value).ok()).unwrap_or(default)
        };
        Self {
            testers,
            params,
            ussd_septets: screen("ussd_septets", 40, USSD_SEPTETS.into(), default.ussd_septets),
            ussd_ucs2: screen("ussd_ucs2", 20, USSD_UCS2.into(), default.ussd_ucs2),
        }
    }
}

/// A table whose keys are names that the flows give.
fn texts_by_name(table: &mut Section<'_>, faults: &mut Faults<'_>) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for name in table.keys() {
        let Some(text) = table.text(&name, faults) else { continue };
        if text.value.len() > PARAM_BYTES_MAX {
            faults.add(&text.span, &text.key, format!("expected at most {PARAM_BYTES_MAX} bytes"));
        }
        named.insert(name, text.value);
    }
    named
}

impl Sip {
    fn read(sip: &mut Section<'_>, faults: &mut Faults<'_>) -> Self {
        let listen = address(sip, "listen", SocketAddr::from(([0, 0, 0, 0], 5060)), faults);
        let external = sip.text("external", faults).and_then(|text| {
            let wrong = "expected an IP address";
            text.value.parse().map_err(|_| faults.add(&text.span, &text.key, wrong)).ok()
        });
        let calls_max = count(sip, "calls_max", 1000, 1_000_000, faults);
        let mut trunks = Vec::new();
        for mut section in sip.sections("trunk", faults) {
            trunks.push(Trunk::read(&mut section, faults));
            section.finish(faults);
        }
        Self { listen, external, calls_max, trunks }
    }
}

impl Trunk {
    fn read(trunk: &mut Section<'_>, faults: &mut Faults<'_>) -> Self {
        let name = trunk.need_text("name", faults).map(|t| t.value).unwrap_or_default();
        if !trunk.has("addresses") {
            trunk.missing("addresses", faults);
        }
        let mut addresses = Vec::new();
        for text in trunk.texts("addresses", faults) {
            match text.value.parse() {
                Ok(network) => addresses.push(network),
                Err(_) => {
                    let wrong =
                        format!("`{}` is not an address such as 192.0.2.1 or 192.0.2.0/24", text.value);
                    faults.add(&text.span, &text.key, wrong);
                }
            }
        }
        Self {
            name,
            addresses,
            trusted_number: trunk.boolean("trusted_number", faults).unwrap_or(false),
            calls_max: count(trunk, "calls_max", 1000, 1_000_000, faults),
        }
    }
}

impl Rtp {
    fn read(rtp: &mut Section<'_>, faults: &mut Faults<'_>) -> Self {
        let mut port = |key: &str, default: u16| {
            let number = rtp.integer(key, 0..=65_535, faults);
            number.and_then(|n| u16::try_from(n.value).ok()).unwrap_or(default)
        };
        let first = port("first_port", 0);
        let last = port("last_port", first);
        if last < first {
            faults.add(&rtp.span, "rtp.last_port", "is below first_port");
        }
        Self {
            ports: (first, last),
            threads: count(rtp, "threads", 1, 64, faults),
            symmetric: rtp.boolean("symmetric", faults).unwrap_or(false),
            silent_after: Some(seconds(rtp, "silent_after_s", 120, 86_400, faults)).filter(|s| !s.is_zero()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[node]
database = "sqlite:keytone.db"
connectors = ["carriers/acme.toml"]

[market]
country = "86"
currency = "CNY"
zone = "Asia/Shanghai"
day_limit = "2000"

[sip]
listen = "127.0.0.1:5060"

[[sip.trunk]]
name = "pbx"
addresses = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]
trusted_number = true
"#;

    #[test]
    fn a_good_file_is_read_whole() {
        let config = Config::parse(GOOD, Path::new("/etc/keytone")).unwrap();
        assert_eq!(config.database, "sqlite:/etc/keytone/keytone.db");
        assert_eq!(config.connectors, [PathBuf::from("/etc/keytone/carriers/acme.toml")]);
        assert_eq!(config.market.day_limit_minor, 200_000);
        assert_eq!(config.market.payment_limit_minor, 200_000);
        assert_eq!(config.sip.trunks.len(), 1);
        assert!(config.sip.trunks[0].trusted_number);
    }

    #[test]
    fn every_fault_is_named_at_once_with_its_line() {
        let bad = GOOD
            .replace("zone =", "zones =")
            .replace("\"2000\"", "\"2000.001\"")
            .replace("10.0.0.0/8", "10.0.0.0/99")
            .replace("listen = \"127.0.0.1:5060\"", "listen = 5060")
            .replace("[node]", "[node]\ncolour = 1");
        let faults = Config::parse(&bad, Path::new(".")).unwrap_err();
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let has = |part: &str| texts.iter().any(|t| t.contains(part));
        assert!(has("line 3: node.colour: is not a known key"), "{texts:#?}");
        assert!(has("market.zone: is missing"), "{texts:#?}");
        assert!(has("line 10: market.zones: is not a known key; did you mean zone?"), "{texts:#?}");
        assert!(has("line 11: market.day_limit: CNY has 2 decimals"), "{texts:#?}");
        assert!(has("line 14: sip.listen: expected a text"), "{texts:#?}");
        assert!(has("line 18: sip.trunk.addresses: `10.0.0.0/99`"), "{texts:#?}");
    }

    #[test]
    fn flows_take_parameters_testers_and_screens() {
        let text = format!(
            "{GOOD}\n[control]\nsocket = \"run/control\"\n\n[dialplan]\n\
             testers = [\"+8613800000001\"]\nussd_ucs2 = 70\n\n[dialplan.params.recharge]\n\
             amounts = \"50, 100\"\n\n[dialplan.params.bill]\nmost = \"3\"\n"
        );
        let config = Config::parse(&text, Path::new("/etc/keytone")).unwrap();
        assert_eq!(config.control, PathBuf::from("/etc/keytone/run/control"));
        let dialplan = config.dialplan;
        assert!(dialplan.testers.contains(&Msisdn::parse("+8613800000001").unwrap()));
        assert_eq!((dialplan.ussd_septets, dialplan.ussd_ucs2), (182, 70));
        assert_eq!(dialplan.params["recharge"]["amounts"], "50, 100");
        assert_eq!(dialplan.params["bill"]["most"], "3");
        let bare = Config::parse(GOOD, Path::new("/etc/keytone")).unwrap();
        assert_eq!(bare.control, PathBuf::from("/etc/keytone/keytone.sock"));
        assert_eq!(bare.dialplan, Dialplan::default());
    }

    #[test]
    fn faults_of_the_dialplan_table_are_named_with_their_lines() {
        let long = "x".repeat(PARAM_BYTES_MAX + 1);
        let bad = format!(
            "[control]\nsock = \"a\"\n[dialplan]\ntesters = [\"138\", \"+8613800000001\"]\nussd_septets = 183\n\
             tester = 1\n[dialplan.params]\nmost = \"3\"\n[dialplan.params.recharge]\namounts = 50\n\
             words = \"{long}\"\n{GOOD}"
        );
        let faults = Config::parse(&bad, Path::new(".")).unwrap_err();
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "line 2: control.sock: is not a known key; did you mean socket?",
                "line 4: dialplan.testers: `138` is not a full number such as +8613800000001",
                "line 5: dialplan.ussd_septets: expected a whole number from 40 to 182",
                "line 6: dialplan.tester: is not a known key; did you mean testers?",
                "line 8: dialplan.params.most: expected a table, found string",
                "line 10: dialplan.params.recharge.amounts: expected a text, found integer",
                "line 11: dialplan.params.recharge.words: expected at most 1000 bytes",
            ]
        );
        let many = (0..=TESTERS_MAX).map(|n| format!("\"+86138{n:08}\"")).collect::<Vec<_>>().join(",");
        let many = format!("{GOOD}\n[dialplan]\ntesters = [{many}]\n");
        let faults = Config::parse(&many, Path::new(".")).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].message.contains("at most 1000"), "{faults:?}");
    }

    #[test]
    fn syntax_faults_have_lines_too() {
        let faults = Config::parse("[market\ncountry = 1", Path::new(".")).unwrap_err();
        assert_eq!(faults[0].line, 1);
    }
}
