//! `keytone agent` and `keytone charge` beside a daemon that has the same database.

use std::path::Path;
use std::process::{Command, Output};

use keytone::payment::charge::{Input, Side, Stage};
use serde_json::Value;

use super::{AGENT, BUYER, HOUR, open, row};
use crate::support::market::{Database, cny};

fn keytone(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keytone"))
        .args(arguments)
        .current_dir(folder)
        .env("KEYTONE_SANDBOX_KEY", "a-key-for-tests")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(arguments: &[&str], folder: &Path) -> String {
    let output = keytone(arguments, folder);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str], folder: &Path) -> String {
    let output = keytone(arguments, folder);
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_keep_agents_and_resolve_disputes_by_two() {
    let store = open(Database::Sqlite, |_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("carriers")).unwrap();
    for file in ["numbering.toml", "carriers/sandbox.toml"] {
        std::fs::copy(Path::new("deploy").join(file), at.join(file)).unwrap();
    }
    let config = std::fs::read_to_string("deploy/keytone.toml").unwrap();
    assert!(config.contains("sqlite:keytone.db"));
    std::fs::write(at.join("keytone.toml"), config.replace("sqlite:keytone.db", &store.market.url)).unwrap();
    done(&["db", "migrate"], at);

    let listed: Value = serde_json::from_str(done(&["agent", "list", "--json"], at).trim()).unwrap();
    assert_eq!((listed["name"].as_str(), listed["price"].as_str()), (Some("Wang"), Some("0.98")));
    let terms = ["--least", "10", "--most", "600", "--details", "ICBC 1"];
    let add = |number| [&["agent", "add", number, "Li", "--price", "0.97"], terms.as_slice()].concat();
    assert!(done(&add(BUYER), at).contains("0.97"), "a buyer may sell too");
    assert!(refused(&add("+8613800000077"), at).contains("no account is bound"));
    refused(&["agent", "change", BUYER, "--details", &"x".repeat(41)], at);
    assert!(done(&["agent", "change", BUYER, "--price", "0.965", "--close"], at).contains("closed"));
    assert!(done(&["agent", "suspend", BUYER], at).contains("suspended"));
    assert!(!done(&["agent", "suspend", BUYER, "--lift"], at).contains("suspended"));
    let key = done(&["agent", "key", AGENT], at);
    assert_eq!(store.market.payments.account_by_key(key.trim()).await.unwrap(), Some(store.agent));

    let charge = store.claimed().await;
    let number = charge.number.as_str();
    assert_eq!(done(&["charge", "list"], at), "", "nothing is disputed");
    assert!(done(&["charge", "list", "--state", "claimed"], at).contains(number));
    let resolve =
        |staff, to, evidence| ["charge", "resolve", number, to, "--evidence", evidence, "--staff", staff];
    assert!(refused(&resolve("ana", "agent", "the bank's letter"), at).contains("claimed, not disputed"));
    row(store.say(Side::Agent, number, Input::Dispute(Side::Agent)).await);
    let statement = Input::Statement { side: Side::Agent, words: "nothing came".to_owned() };
    row(store.say(Side::Agent, number, statement).await);
    assert!(done(&["charge", "list"], at).contains(number));
    let shown = done(&["agent", "show", AGENT], at);
    assert!(shown.contains(number) && shown.contains(cny().code()), "{shown}");
    assert!(refused(&resolve("ana", "agent", "short"), at).contains("evidence"));
    assert!(done(&resolve("ana", "agent", "the bank's letter"), at).contains("waits for a second person"));
    assert!(refused(&resolve("ana", "agent", "the bank's letter"), at).contains("another person"));
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    let over = done(&[&resolve("bo", "agent", "called the bank")[..], &["--json"]].concat(), at);
    let over: Value = serde_json::from_str(over.trim()).unwrap();
    assert_eq!(over["state"], "resolved_to_agent");
    assert_eq!(over["evidence"].as_array().unwrap().len(), 3);
    assert_eq!(store.stage(charge.id).await, Stage::ToAgent);
    assert_eq!(store.money().await, [99_950, 0, 0]);
    assert!(refused(&["charge", "show", "123456789"], at).contains("no such charge"));
    assert!(done(&["charge", "show", number], at).contains("(the agent): nothing came"));
    assert!(done(&["staff", "log", "--subject", number], at).contains("charge_resolve"));
    assert!(done(&["ledger", "verify"], at).contains("the books are sound"));
    store.later(HOUR).await;
    store.market.close().await;
}
