//! The tables `[[provider]]`: who holds customers' accounts outside, and how long is waited for it.

use std::time::Duration;

use crate::connector::definition::is_id;
use crate::connector::document::{Faults, Section};
use crate::payment::provider::{PROVIDERS_MAX, Provider, Providers};

/// A reservation may be waited for so long at most, in seconds.
const RESERVE_MAX_S: i64 = 3_600;
/// The longest wait between two questions, in seconds: a day.
const RETRY_MAX_S: i64 = 86_400;

/// What is read of every table `[[provider]]`.
pub(super) fn read(root: &mut Section<'_>, faults: &mut Faults<'_>) -> Providers {
    let mut providers: Vec<Provider> = Vec::new();
    for mut section in root.sections("provider", faults) {
        let provider = one(&mut section, faults);
        if providers.iter().any(|known| known.connector == provider.connector) {
            faults.add(&section.span, &section.key, "has the connector of another provider");
        }
        if providers.len() == PROVIDERS_MAX {
            faults.add(&section.span, &section.key, format!("expected at most {PROVIDERS_MAX} providers"));
            section.finish(faults);
            break;
        }
        section.finish(faults);
        providers.push(provider);
    }
    Providers::new(providers)
}

fn one(section: &mut Section<'_>, faults: &mut Faults<'_>) -> Provider {
    let connector = section.need_text("connector", faults);
    if let Some(connector) = connector.as_ref().filter(|c| !is_id(&c.value)) {
        let wanted = "expected the id of a connector";
        faults.add(&connector.span, &connector.key, wanted);
    }
    let connector = connector.map(|t| t.value).unwrap_or_default();
    let name = section.text("name", faults).map_or_else(|| connector.clone(), |t| t.value);
    let usual = Provider::new(&connector, &name);
    let mut seconds = |key: &str, default: Duration, most: i64| {
        let found = section.integer(key, 1..=most, faults);
        found.and_then(|n| u64::try_from(n.value).ok()).map_or(default, Duration::from_secs)
    };
    let reserve_within = seconds("reserve_within", usual.reserve_within, RESERVE_MAX_S);
    let retry_first = seconds("retry_first", usual.retry_first, RETRY_MAX_S);
    let retry_max = seconds("retry_max", usual.retry_max, RETRY_MAX_S);
    if retry_first > retry_max {
        faults.add(&section.span, "provider.retry_first", "is above retry_max");
    }
    Provider { reserve_within, retry_first, retry_max, ..usual }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<Providers, Vec<document::Fault>> {
        document::read(text, |root, faults| Some(read(root, faults)))
    }

    const GOOD: &str = "[[provider]]\nconnector = \"wallet\"\nname = \"City Wallet\"\nreserve_within = 30\n\
        retry_first = 1\nretry_max = 60\n";

    #[test]
    fn providers_are_read() {
        let providers = parse(GOOD).unwrap();
        let wallet = providers.find("wallet").unwrap();
        assert_eq!((wallet.name.as_str(), wallet.reserve_within), ("City Wallet", Duration::from_secs(30)));
        assert_eq!((wallet.retry_first, wallet.retry_max), (Duration::from_secs(1), Duration::from_secs(60)));
        let bare = parse("[[provider]]\nconnector = \"bank\"\n").unwrap();
        assert_eq!(bare.all(), [Provider::new("bank", "bank")]);
        assert_eq!(parse("").unwrap(), Providers::default());
    }

    #[test]
    fn every_fault_is_named() {
        let bad = GOOD
            .replace("\"wallet\"", "\"Wal let\"")
            .replace("reserve_within = 30", "reserve_within = 0")
            .replace("retry_first = 1", "retry_first = 61");
        assert_eq!(parse(&bad).unwrap_err().len(), 3);
        let twice = parse(&format!("{GOOD}{GOOD}")).unwrap_err();
        assert!(twice.len() == 1 && twice[0].message.contains("another provider"), "{twice:?}");
        assert_eq!(parse("[[provider]]\nname = \"x\"\n").unwrap_err().len(), 1);
    }
}
