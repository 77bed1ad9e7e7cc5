//! Every command of docs/http.md, as it stands there, against a node.

use tokio::process::Command;

use crate::http_gateways::{Gate, SECRET};

const DOCS: &str = include_str!("../../docs/http.md");

/// The blocks of commands.
fn blocks() -> Vec<&'static str> {
    DOCS.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_manual_works() {
    let gate = Gate::open().await;
    assert_eq!(blocks().len(), 6);
    // A signature must not be from before the node's start, in whole seconds.
    for block in blocks() {
        // The key of signatures and tokens is the secret itself; in a query it is escaped.
        let key = if block.contains("-hmac \"$KEY\"") { SECRET } else { "hush+hush" };
        let commands = block.replace("http://127.0.0.1:8080", &gate.node.url);
        let script =
            format!("set -eu\ncurl() {{ command curl -sS --fail-with-body \"$@\"; echo; }}\n{commands}");
        let run = Command::new("bash")
            .args(["-c", &script])
            .env("KEY", key)
            .env("SECRET", SECRET)
            .output()
            .await
            .expect("bash, curl and openssl are installed");
        let (said, faults) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success(), "{commands}\n{said}\n{faults}");
        if block.contains("sessionId=AT1") {
            assert_eq!(said.lines().filter(|line| line.starts_with("CON ")).count(), 4, "{said}");
        }
    }
    gate.close().await;
}
