//! A mobile network in a process of its own (`keytone sandbox smsc`), moved by HTTP as a tester would move it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use super::daemon::{ready, spawn};

/// How long the network's control may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The network, until it is dropped.
pub(crate) struct Network {
    child: Option<Child>,
    /// Where it takes binds.
    pub(crate) smpp: SocketAddr,
    control: SocketAddr,
}

/// What a handset shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) open: bool,
}

impl Network {
    /// Starts it with its files in `folder`; `arguments` are settings and faults of the command.
    pub(crate) fn open(folder: &Path, arguments: &[&str]) -> Self {
        let mut all = vec!["sandbox", "smsc", "--json", "--log", "smsc.book"];
        all.extend(arguments);
        let mut child = spawn(folder, "smsc", &all, "info");
        let line = ready(folder, "smsc", &mut child);
        let at = |key: &str| line[key].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        Self { child: Some(child), smpp: at("smpp"), control: at("http") }
    }

    /// One that somebody else started.
    pub(crate) fn at(control: SocketAddr) -> Self {
        Self { child: None, smpp: control, control }
    }

    /// Asks the control; whatever it answers, with its status.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(self.control).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("{method} {path} HTTP/1.0\r\nHost: smsc\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| body.into()))
    }

    /// The same, and it must be well.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, body);
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Waits until so many binds are up.
    pub(crate) fn bound(&self, count: usize) {
        self.get(&format!("/wait?for=binds&count={count}&timeout_ms=30000"));
    }

    /// Waits until nothing is on its way to the daemon.
    pub(crate) fn quiet(&self) {
        self.get("/wait?for=quiet&timeout_ms=50000");
    }

    pub(crate) fn dial(&self, msisdn: &str, code: &str) -> Shown {
        shown(&self.post("/dial", &json!({ "msisdn": msisdn, "code": code, "timeout_ms": 20_000 })))
    }

    pub(crate) fn reply(&self, msisdn: &str, text: &str) -> Shown {
        shown(&self.post("/reply", &json!({ "msisdn": msisdn, "text": text, "timeout_ms": 20_000 })))
    }

    /// A text of a handset, answered when the daemon has answered it; gives the status.
    pub(crate) fn text(&self, from: &str, to: &str, text: &str) -> u64 {
        let sent = self.post("/sms", &json!({ "from": from, "to": to, "text": text, "timeout_ms": 30_000 }));
        sent["status"].as_u64().unwrap_or_else(|| panic!("{sent}"))
    }

    /// Texts that a handset has, the oldest first.
    pub(crate) fn texts(&self, msisdn: &str) -> Vec<String> {
        let handset = self.get(&format!("/handset/{msisdn}"));
        let messages = handset["messages"].as_array().unwrap();
        messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }

    /// The text that a handset gets after `seen` others.
    pub(crate) fn text_after(&self, msisdn: &str, seen: usize) -> String {
        let msisdn = msisdn.replace('+', "%2B");
        self.get(&format!("/wait?msisdn={msisdn}&for=message&after={seen}&timeout_ms=30000"));
        self.texts(&msisdn.replace("%2B", "+"))[seen].clone()
    }

    /// The screen of a dialogue that the daemon begins.
    pub(crate) fn pushed(&self, msisdn: &str) -> Shown {
        let msisdn = msisdn.replace('+', "%2B");
        shown(&self.get(&format!("/wait?msisdn={msisdn}&for=push&timeout_ms=30000")))
    }
}

fn shown(answer: &Value) -> Shown {
    let text = answer["screen"].as_str().unwrap_or_else(|| panic!("no screen in {answer}")).to_owned();
    Shown { text, open: answer["open"] == json!(true) }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
