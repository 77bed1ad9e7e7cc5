//! The npm package `smpp` as an ESME: a sandbox that only our own codec understands would prove nothing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::root;

use super::*;

/// Somebody else's ESME, and the lines that it says.
struct Esme {
    child: Child,
    lines: tokio::sync::mpsc::Receiver<Value>,
}

impl Esme {
    fn start(port: u16) -> Self {
        let modules = root().join("target/peers/node_modules");
        assert!(modules.join("smpp").is_dir(), "the npm package smpp is missing: run scripts/setup");
        let mut child = Command::new("node")
            .arg(root().join("tests/smsc/esme.js"))
            .arg(port.to_string())
            .env("NODE_PATH", modules)
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is missing: run scripts/setup");
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = tokio::sync::mpsc::channel(1_000);
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.blocking_send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line with this command; others are passed over.
    async fn says(&mut self, command: &str) -> Value {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
            let line = line.unwrap_or_else(|_| panic!("no {command} in time")).unwrap();
            assert_ne!(line["command"], "error", "{line}");
            if line["command"] == command {
                return line;
            }
        }
    }
}

impl Drop for Esme {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_npm_package_smpp_talks_with_the_sandbox() {
    let sandbox = Sandbox::new().await;
    let mut esme = Esme::start(sandbox.port);
    let bound = esme.says("bound").await;
    assert_eq!(
        (&bound["status"], &bound["system_id"], &bound["version"]),
        (&json!(0), &json!("sandbox"), &json!(0x34))
    );

    // USSD: menu, answer, end. The package does not know the codings of cell broadcast.
    sandbox.post("/settings", json!({ "ussd_coding": "smpp" })).await;
    let who = "+8613800000001";
    let (_, shown) = sandbox.post("/dial", json!({ "msisdn": who, "code": "*125#" })).await;
    assert_eq!((&shown["screen"], &shown["open"]), (&json!("Amount?"), &json!(true)), "{shown}");
    let begin = esme.says("deliver_sm").await;
    assert_eq!(
        (&begin["op"], &begin["from"], &begin["to"]),
        (&json!(1), &json!("8613800000001"), &json!("125"))
    );
    assert_eq!((&begin["session"], &begin["text"]), (&json!("0100"), &json!("*125#")));
    let (_, shown) = sandbox.post("/reply", json!({ "msisdn": who, "text": "50" })).await;
    assert_eq!((&shown["screen"], &shown["open"]), (&json!("Thank you"), &json!(false)), "{shown}");
    let answer = esme.says("deliver_sm").await;
    assert_eq!(
        (&answer["op"], &answer["session"], &answer["text"]),
        (&json!(18), &json!("0102"), &json!("50"))
    );

    // A text, its echo with a receipt, and a long text in two parts.
    let sms = json!({ "from": who, "to": "1069125", "text": "Zahle 50€ für Ø" });
    let (status, answered) = sandbox.post("/sms", sms).await;
    assert_eq!((status, &answered["status"]), (200, &json!(0)));
    let came = esme.says("deliver_sm").await;
    assert_eq!((&came["text"], &came["to"]), (&json!("Zahle 50€ für Ø"), &json!("1069125")));
    let echo = sandbox.get(&format!("/wait?msisdn={who}")).await;
    assert_eq!((&echo["text"], &echo["from"]), (&json!("Echo 50€"), &json!("1069125")));
    let long = sandbox.get(&format!("/wait?msisdn={who}&after=1")).await;
    assert_eq!((&long["text"], &long["parts"]), (&json!("first, second"), &json!(2)));
    let response = esme.says("submit_sm_resp").await;
    assert_eq!((&response["status"], &response["id"]), (&json!(0), &echo["ids"][0]));
    let receipt = esme.says("deliver_sm").await;
    assert_eq!((&receipt["esm_class"], &receipt["state"]), (&json!(4), &json!(2)));
    assert_eq!(receipt["receipt_of"], echo["ids"][0]);
    assert!(receipt["text"].as_str().unwrap().contains("stat:DELIVRD"), "{receipt}");

    // A text of three parts outside of GSM 03.38.
    let sms = json!({ "from": who, "to": "1069125", "text": "请输入金额".repeat(30) });
    assert_eq!(sandbox.post("/sms", sms).await.1["statuses"], json!([0, 0, 0]));
    let mut text = String::new();
    for index in 1..=3 {
        let part = esme.says("deliver_sm").await;
        assert!(part["udh"].as_str().unwrap().ends_with(&format!("030{index}")), "{part}");
        text.push_str(part["text"].as_str().unwrap());
    }
    assert_eq!(text, "请输入金额".repeat(30));

    sandbox.post("/unbind", json!({})).await;
    esme.says("unbind").await;
    esme.says("close").await;
    assert_eq!(sandbox.get("/stats").await["bad_pdus"], 0);
    sandbox.end().await;
}
