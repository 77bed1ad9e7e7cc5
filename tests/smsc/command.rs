//! `keytone sandbox smsc` as an operator starts it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::keytone;

use super::*;

fn run(arguments: &[&str]) -> Output {
    Command::new(keytone()).args(["sandbox", "smsc"]).args(arguments).output().unwrap()
}

#[tokio::test]
async fn one_line_says_where_it_is() {
    provider();
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(keytone())
        .args(["sandbox", "smsc", "--json", "--set", "profile=umr", "--fault", "throttle_every=2", "--log"])
        .arg(dir.path().join("smsc.log"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&ready["ready"], &ready["system_id"]), (&json!(true), &json!("keytone")));
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let get = async |path: &str| {
        let url = format!("{}{path}", ready["http"].as_str().unwrap());
        let text = http.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(get("/settings").await["profile"], "umr");
    assert_eq!(get("/faults").await["throttle_every"], 2);
    let link = TcpStream::connect(ready["smpp"].as_str().unwrap()).await.unwrap();
    drop(link);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn its_help_has_examples_and_its_tables_can_be_read() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in ["Examples:", "POST /dial", "--discard", "--fault"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let faults = String::from_utf8(run(&["--faults"]).stdout).unwrap();
    assert!(faults.contains("half_pdu_at = 0") && faults.contains("…7011"), "{faults}");
    let settings = run(&["--settings", "--set", "pushes=false"]).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&settings).unwrap()["pushes"], false);
}

#[test]
fn a_wrong_setting_is_told() {
    for (arguments, word) in [
        (["--set", "profil=umr"], "profil"),
        (["--set", "profile=other"], "its15"),
        (["--fault", "half_pdu_at"], "name=value"),
    ] {
        let output = run(&arguments);
        assert!(!output.status.success());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(word), "{told}");
    }
}
