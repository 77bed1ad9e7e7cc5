//! The shipped files of account providers are whole, and bad ones are told fault by fault.

use keytone::connector::definition::Definition;
use keytone::connector::key::{Key, Source};
use keytone::connector::provider::Operation;
use keytone::connector::sandbox::provider as wallet;

fn load(_: &Source) -> Result<Key, String> {
    Ok(Key::new(b"key".to_vec()))
}

#[test]
fn shipped_files_are_whole() {
    let sandbox = wallet::definition("http://127.0.0.1:9").unwrap_or_else(|f| panic!("{f:#?}"));
    let text = std::fs::read_to_string("deploy/connectors/wallet.toml").unwrap();
    let shipped = Definition::parse(&text, load).unwrap_or_else(|f| panic!("{f:#?}"));
    for definition in [sandbox, shipped] {
        let holding = definition.holding.expect("it holds accounts");
        for operation in Operation::ALL {
            let asking = holding.asking(*operation).expect("asked for");
            assert!(!asking.rules.is_empty() && asking.places.code.is_some(), "{operation:?}");
        }
        assert!(
            holding.news().is_some_and(|form| form.signature.is_some() && form.places.reference.is_some())
        );
        assert!(holding.balance().is_some_and(|asking| !asking.rules.is_empty()));
        let description = &definition.description;
        assert!(definition.submit.is_none() && description.status_query && !description.idempotent_submit);
        assert!(description.not_found_after.is_some());
    }
}

#[test]
fn every_fault_of_a_file_is_named() {
    let text = wallet::definition_toml("http://127.0.0.1:9");
    let faults = |from: &str, to: &str| {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        let faults = Definition::parse(&bad, load).expect_err(from);
        assert_eq!(faults.len(), 1, "{from}: {faults:#?}");
        faults[0].message.clone()
    };
    let status = "path = \"/v1/reservations/{reference}\"\n";
    assert!(faults(status, "path = \"/v1/{external_id}\"\n").contains("{reference}"));
    assert!(faults(status, "path = \"/v1/{reference}/{carrier_reference}\"\n").contains("not known before"));
    assert!(faults("outcome = \"captured\"", "outcome = \"delivered\"").contains("expected one of"));
    assert!(faults("class = \"limit_reached\"\n", "class = \"poor\"\n").contains("expected one of"));
    assert!(
        faults("outcome = \"reserved\"\n", "outcome = \"reserved\"\nclass = \"other\"\n")
            .contains("only with")
    );
    let status = "[[reserve_status.rule]]\ncode = \"BLOCKED\"\n";
    assert!(faults(status, "[[reserve_status.rule]]\nhttp = \"403\"\n").contains("expected a code"));
    let balance = "path = \"/v1/accounts/{external_id}/balance\"\n";
    assert!(faults(balance, "path = \"/v1/balance\"\n").contains("{external_id}"));
    assert!(faults(balance, "path = \"/v1/{external_id}/{amount}\"\n").contains("of no payment"));
    assert!(faults("outcome = \"known\"", "outcome = \"captured\"").contains("expected one of"));
    let news = "[[reserve_callback.rule]]\ncode = \"RESERVED\"\n";
    assert!(faults(news, "[[reserve_callback.rule]]\n").contains("hides the rest"));
    assert!(
        faults(news, "[[reserve_callback.rule]]\ncode = \"X\"\noutcome = \"delivered\"\n\n[[reserve_callback.rule]]\ncode = \"RESERVED\"\n")
            .contains("expected one of")
    );
    let signed = "[reserve_callback.signature]\nover = \"{timestamp}.{body}\"";
    assert!(faults(signed, "[reserve_callback.signature]\nover = \"{body}\"").contains("replayed"));
    for name in ["capture", "release", "reserve_status"] {
        // All that stands under its name goes.
        let parts: Vec<&str> = text
            .split("\n[")
            .filter(|part| {
                let head = part.trim_start_matches('[');
                !head.starts_with(&format!("{name}]")) && !head.starts_with(&format!("{name}."))
            })
            .collect();
        let faults = Definition::parse(&parts.join("\n["), load).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().contains(name), "{name}: {faults:#?}");
    }
}
