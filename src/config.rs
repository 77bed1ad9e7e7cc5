//! `keytone.toml` → a checked [`Config`]. Unknown keys and every fault are named at once, with their lines; nothing is
//! started from a file that has one.
//!
//! Everything has a default but what only the operator can know: the market and who is trusted.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::money::Currency;
use crate::money::Money;

mod reader;

pub use reader::Fault;
use reader::{Faults, Section};

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
    /// SIP.
    pub sip: Sip,
    /// RTP.
    pub rtp: Rtp,
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
    /// Most digits of a national number.
    pub national_digits_max: usize,
    /// The currency.
    pub currency: Currency,
    /// The zone whose midnight ends the day.
    pub zone: jiff::tz::TimeZone,
    /// S13, minor units of face value.
    pub day_limit_minor: i64,
    /// Most for one payment, minor units.
    pub payment_limit_minor: i64,
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

/// An address with a prefix length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Any address in it.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
}

impl Network {
    /// Reads `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let wrong = || format!("`{text}` is not an address such as 192.0.2.1 or 192.0.2.0/24");
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), |p| p.parse().map_err(|_| wrong()))?;
        if prefix > most {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |a: IpAddr| match a {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 4),
            IpAddr::V6(v6) => (v6.to_bits(), 6),
        };
        let ((ours, family), (theirs, other)) = (bits(self.address), bits(address));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        family == other && (ours & mask) == (theirs & mask)
    }
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
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Self::parse(&text, folder).map_err(|faults| Error::Faults { path: path.to_owned(), faults })
    }

    /// Checks a text.
    ///
    /// # Errors
    /// All faults at once.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::new(text);
        let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
        for error in syntax {
            faults.add(error.span(), "syntax", error.message());
        }
        let mut root = Section::root(document.get_ref());
        let config = Self::read(&mut root, &mut faults, folder);
        root.done(&mut faults);
        if faults.found.is_empty() { Ok(config) } else { Err(faults.found) }
    }

    fn read(root: &mut Section<'_>, faults: &mut Faults<'_>, folder: &Path) -> Self {
        let at = |text: String| folder.join(text);
        let mut node = root.section(faults, "node");
        let database = node.text(faults, "database").unwrap_or_else(|| "sqlite:keytone.db".to_owned());
        let database = match database.strip_prefix("sqlite:") {
            Some(file) => format!("sqlite:{}", folder.join(file).display()),
            None => database,
        };
        if !database.starts_with("sqlite:") && !database.starts_with("postgres") {
            node.fault(faults, "database", "expected sqlite:FILE or postgres://user@host/name");
        }
        let config = Self {
            database,
            dialplans: node.text(faults, "dialplans").map(at),
            prompts: node.text(faults, "prompts").map(at),
            pepper_file: at(node.text(faults, "pepper_file").unwrap_or_else(|| "pepper.key".to_owned())),
            numbering: at(node.text(faults, "numbering").unwrap_or_else(|| "numbering.toml".to_owned())),
            connectors: node
                .texts(faults, "connectors")
                .unwrap_or_default()
                .into_iter()
                .map(|c| folder.join(c))
                .collect(),
            market: Market::read(&mut root.section(faults, "market"), faults),
            pin: PinRules::read(root.section(faults, "pin"), faults),
            sip: Sip::read(root.section(faults, "sip"), faults),
            rtp: Rtp::read(root.section(faults, "rtp"), faults),
            http_listen: read_http(root.section(faults, "http"), faults),
            log_json: false,
            log_filter: String::new(),
        };
        node.done(faults);
        let mut log = root.section(faults, "log");
        let log_json = log.switch(faults, "json", false);
        let log_filter = log.text(faults, "filter").unwrap_or_else(|| "info".to_owned());
        log.done(faults);
        Self { log_json, log_filter, ..config }
    }
}

fn read_http(mut http: Section<'_>, faults: &mut Faults<'_>) -> SocketAddr {
    let listen = http.parsed(faults, "listen", SocketAddr::from(([127, 0, 0, 1], 8080)), read_address);
    http.done(faults);
    listen
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, for example 0.0.0.0:5060".to_owned())
}

fn seconds(section: &mut Section<'_>, faults: &mut Faults<'_>, key: &str, default: i64, most: i64) -> Duration {
    let seconds = section.number(faults, key, default, 0..=most);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn count(section: &mut Section<'_>, faults: &mut Faults<'_>, key: &str, default: i64, most: i64) -> usize {
    usize::try_from(section.number(faults, key, default, 1..=most)).unwrap_or(1)
}

impl Market {
    fn read(market: &mut Section<'_>, faults: &mut Faults<'_>) -> Self {
        if !market.is_present() {
            faults.add(None, "market", "is missing; it needs country, currency, zone, day_limit");
        }
        let country = market.required(faults, "country", "\"86\"");
        if !country.is_empty() && (country.len() > 3 || !country.bytes().all(|b| b.is_ascii_digit())) {
            market.fault(faults, "country", "expected a country code of 1 to 3 digits without +");
        }
        let code = market.required(faults, "currency", "\"CNY\"");
        let currency = Currency::new(&code).unwrap_or_else(|e| {
            if !code.is_empty() {
                market.fault(faults, "currency", e.to_string());
            }
            XXX
        });
        let name = market.required(faults, "zone", "\"Asia/Shanghai\"");
        let zone = jiff::tz::TimeZone::get(&name).unwrap_or_else(|_| {
            if !name.is_empty() {
                market.fault(faults, "zone", format!("`{name}` is not a time zone such as Asia/Shanghai"));
            }
            jiff::tz::TimeZone::UTC
        });
        let day_limit = market.required(faults, "day_limit", "\"2000\"");
        let day_limit_minor = read_limit(market, faults, "day_limit", &day_limit, currency);
        let payment_limit = market.text(faults, "payment_limit").unwrap_or_else(|| day_limit.clone());
        let payment_limit_minor = read_limit(market, faults, "payment_limit", &payment_limit, currency);
        let read = Self {
            country,
            national_digits_max: count(market, faults, "national_digits_max", 11, 15),
            currency,
            zone,
            day_limit_minor,
            payment_limit_minor,
            duplicate_window: seconds(market, faults, "duplicate_window_s", 600, 86_400),
            answer_within: seconds(market, faults, "answer_within_s", 8, 60),
            language: market.text(faults, "language").unwrap_or_else(|| "en".to_owned()),
        };
        market.done(faults);
        read
    }
}

/// ISO 4217's code for "no currency", in the place of one that could not be read.
const XXX: Currency = match Currency::from_bytes(*b"XXX", 2) {
    Some(currency) => currency,
    None => unreachable!(),
};

fn read_limit(
    market: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &str,
    text: &str,
    currency: Currency,
) -> i64 {
    if text.is_empty() {
        return 0;
    }
    match Money::parse(text, currency) {
        Ok(money) => money.minor,
        Err(e) => {
            market.fault(faults, key, e.to_string());
            0
        }
    }
}

impl PinRules {
    fn read(mut pin: Section<'_>, faults: &mut Faults<'_>) -> Self {
        let digits_min = count(&mut pin, faults, "digits_min", 4, 8);
        let digits_max = count(&mut pin, faults, "digits_max", 8, 8);
        if digits_min < 4 || digits_min > digits_max {
            pin.fault(faults, "digits_min", "a PIN has 4 to 8 digits, and digits_min is not above digits_max");
        }
        let rules = Self {
            digits_min,
            digits_max,
            tries_max: i32::try_from(pin.number(faults, "tries_max", 5, 1..=20)).unwrap_or(5),
            delay: seconds(&mut pin, faults, "delay_s", 0, 3600),
            strict: pin.switch(faults, "strict", false),
        };
        pin.done(faults);
        rules
    }
}

impl Sip {
    fn read(mut sip: Section<'_>, faults: &mut Faults<'_>) -> Self {
        let listen = sip.parsed(faults, "listen", SocketAddr::from(([0, 0, 0, 0], 5060)), read_address);
        let external = sip.parsed(faults, "external", None, |t| {
            t.parse().map(Some).map_err(|_| "expected an IP address".to_owned())
        });
        let calls_max = count(&mut sip, faults, "calls_max", 1000, 1_000_000);
        let mut trunks = Vec::new();
        for mut section in sip.sections(faults, "trunk") {
            let name = section.required(faults, "name", "\"carrier-a\"");
            let texts = section.texts(faults, "addresses").unwrap_or_default();
            if texts.is_empty() {
                section.fault(faults, "addresses", "name the addresses that may call, for example [\"192.0.2.1\"]");
            }
            let mut addresses = Vec::new();
            for text in &texts {
                match Network::parse(text) {
                    Ok(network) => addresses.push(network),
                    Err(why) => section.fault(faults, "addresses", why),
                }
            }
            let trusted_number = section.switch(faults, "trusted_number", false);
            let calls_max = count(&mut section, faults, "calls_max", 1000, 1_000_000);
            section.done(faults);
            trunks.push(Trunk { name, addresses, trusted_number, calls_max });
        }
        sip.done(faults);
        Self { listen, external, calls_max, trunks }
    }
}

impl Rtp {
    fn read(mut rtp: Section<'_>, faults: &mut Faults<'_>) -> Self {
        let first = rtp.number(faults, "first_port", 0, 0..=65_534);
        let last = rtp.number(faults, "last_port", first, 0..=65_535);
        if last < first {
            rtp.fault(faults, "last_port", "is below first_port");
        }
        let port = |p: i64| u16::try_from(p).unwrap_or(0);
        let read = Self {
            ports: (port(first), port(last)),
            threads: count(&mut rtp, faults, "threads", 1, 64),
            symmetric: rtp.switch(faults, "symmetric", true),
        };
        rtp.done(faults);
        read
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
        assert!(has("line 3: node.colour: is not a key"), "{texts:#?}");
        assert!(has("market.zone: is missing"), "{texts:#?}");
        assert!(has("line 10: market.zones: is not a key that is known here; did you mean zone?"), "{texts:#?}");
        assert!(has("line 11: market.day_limit: CNY has 2 decimals"), "{texts:#?}");
        assert!(has("line 14: sip.listen: expected a text"), "{texts:#?}");
        assert!(has("line 18: sip.trunk[1].addresses: `10.0.0.0/99`"), "{texts:#?}");
    }

    #[test]
    fn syntax_faults_have_lines_too() {
        let faults = Config::parse("[market\ncountry = 1", Path::new(".")).unwrap_err();
        assert_eq!(faults[0].line, 1);
    }

    #[test]
    fn networks_hold_their_addresses() {
        let inside = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(inside("10.0.0.0/8", "10.255.0.1"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("192.0.2.7", "192.0.2.7"));
        assert!(!inside("192.0.2.7", "192.0.2.8"));
        assert!(inside("0.0.0.0/0", "203.0.113.9"));
        assert!(!inside("0.0.0.0/0", "::1"));
        assert!(inside("2001:db8::/32", "2001:db8:1::1"));
    }
}
