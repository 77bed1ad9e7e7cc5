//! Links to real peers: their processes, and what they tell. `node` has npm's `smpp` as SMSC, `python` PyPI's `smpplib` as
//! ESME, `kannel` Debian's bearerbox with smsbox as ESME and drive_smpp as SMSC. `scripts/setup` installs them all.

mod drive;
mod kannel;
mod node;
mod python;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::process::Command;

use super::ends::run;
use super::ends::within;
use crate::support::root;

/// Where scripts/setup puts what npm and pip give.
fn installed(path: &str) -> PathBuf {
    let path = root().join("target/peers").join(path);
    assert!(path.exists(), "{} is missing: run scripts/setup", path.display());
    path
}

/// Runs a test in a network of its own, where every port is free and nobody else hears what listens everywhere: the test
/// starts itself again in a namespace. `module` and `name` are the test's.
fn alone(module: &str, name: &str, test: impl Future<Output = ()>) {
    const INSIDE: &str = "KEYTONE_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return run(test);
    }
    let (_, module) = module.split_once("::").unwrap();
    let output = std::process::Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c"])
        .arg(r#"ip link set lo up && exec "$0" --exact "$1" --nocapture"#)
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{module}::{name}"))
        .env(INSIDE, "1")
        .output()
        .unwrap_or_else(|fault| panic!("unshare: {fault} (run scripts/setup)"));
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{told}");
}

/// A peer that takes commands and tells events, one JSON object a line.
struct Peer {
    child: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    passed: VecDeque<Value>,
}

impl Peer {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|fault| panic!("{command:?}: {fault} (run scripts/setup)"));
        let commands = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, commands, lines, passed: VecDeque::new() }
    }

    async fn tell(&mut self, command: Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// The next event of this kind; those before it are kept for others.
    async fn next(&mut self, kind: &str) -> Value {
        if let Some(at) = self.passed.iter().position(|event| event["event"] == kind) {
            return self.passed.remove(at).unwrap();
        }
        within(kind, async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("the peer ended before {kind}; {:?}", self.passed));
                let event: Value = serde_json::from_str(&line).unwrap();
                if event["event"] == kind {
                    return event;
                }
                self.passed.push_back(event);
            }
        })
        .await
    }

    /// How many events of this kind came and were not asked for.
    fn left(&self, kind: &str) -> usize {
        self.passed.iter().filter(|event| event["event"] == kind).count()
    }

    /// Waits until it ends by itself.
    async fn end(mut self) {
        drop(self.commands);
        let status = within("the end of the peer", self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}
