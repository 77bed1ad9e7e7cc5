//! The generic connector against servers that misbehave byte by byte: what was never sent is told from what
//! may have been, and nothing is sent twice. And a connector's file with every fault told at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use keytone::clock::{Clock, Timestamp};
use keytone::connector::contract::{DEDUCTION_RESERVED, Order, Outcome, RefusalClass, Unclear};
use keytone::connector::definition::Definition;
use keytone::connector::http::{ANSWER_BYTES_MAX, Connector};
use keytone::connector::key::{Encoding, Key, sign};
use keytone::connector::sandbox;
use keytone::money::Money;

use crate::support::market::{cny, phone, provider};

const KEY: &[u8] = b"a key for tests";
const DELIVERED: &str = r#"{"status":"DELIVERED","reference":"r-1","id":"C1","amount":"50.00"}"#;

fn order() -> Order {
    Order {
        reference: "r-1".to_owned(),
        msisdn: Some(phone("+8613800000001")),
        bill: None,
        external_id: None,
        amount: Money::new(5_000, cny()),
        deduction: "hold-1".to_owned(),
        state: DEDUCTION_RESERVED,
        at: Timestamp(0),
        carrier_reference: None,
    }
}

fn connector(base_url: &str, change: impl Fn(String) -> String) -> Connector {
    provider();
    let file = sandbox::definition_toml(base_url).replace("timeout_ms = 5000", "timeout_ms = 400");
    let definition = Definition::parse(&change(file), |_| Ok(Key::new(KEY.to_vec()))).unwrap();
    Connector::new(definition, Clock::machine()).unwrap()
}

/// One request as it came over the wire.
#[derive(Debug)]
struct Seen {
    head: String,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let seen = Seen { head: head.to_owned(), body: body.to_owned() };
            let length: usize = seen.header("content-length").map_or(0, |l| l.parse().unwrap());
            if body.len() >= length {
                return Some(seen);
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
    }
}

/// What a misbehaving server does after the request.
#[derive(Clone)]
enum After {
    /// Writes these bytes and closes.
    Write(Vec<u8>),
    /// Writes these bytes and keeps the connection open in silence.
    Stall(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Writes one byte of a good answer every 100 ms.
    Drip,
}

/// A server that does the same to every request; tells its address and what it sees.
async fn server(after: After) -> (String, mpsc::Receiver<Seen>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel(100);
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (after, sender) = (after.clone(), sender.clone());
            tokio::spawn(async move {
                let Some(seen) = read_request(&mut stream).await else { return };
                sender.send(seen).await.unwrap();
                match after {
                    After::Write(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
                    After::Stall(bytes) => {
                        stream.write_all(&bytes).await.unwrap();
                        tokio::time::sleep(Duration::from_secs(30)).await;
                    }
                    After::Reset => stream.set_zero_linger().unwrap(),
                    After::Drip => {
                        for byte in http(200, DELIVERED) {
                            if stream.write_all(&[byte]).await.is_err() {
                                return;
                            }
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            });
        }
    });
    (url, receiver, connections)
}

fn http(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

async fn submitted(after: After) -> Outcome {
    let (url, mut seen, connections) = server(after).await;
    let outcome = connector(&url, |f| f).submit(&order()).await;
    assert!(seen.recv().await.is_some(), "the request left");
    assert!(seen.try_recv().is_err() && connections.load(Ordering::SeqCst) == 1, "and left once");
    outcome
}

fn why(outcome: &Outcome) -> Option<Unclear> {
    match outcome {
        Outcome::Unknown { why, .. } => Some(*why),
        _ => None,
    }
}

#[tokio::test]
async fn once_bytes_have_left_only_an_answer_is_definite() {
    let moved = b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec();
    let half = http(200, DELIVERED)[..90].to_vec();
    let long = format!("{{\"status\":\"DELIVERED\",\"x\":\"{}\"}}", "y".repeat(ANSWER_BYTES_MAX));
    for (name, after, wanted) in [
        ("closed", After::Write(Vec::new()), Unclear::Broken),
        ("reset", After::Reset, Unclear::Broken),
        ("half an answer", After::Write(half.clone()), Unclear::Broken),
        ("half an answer, then silence", After::Stall(half), Unclear::Timeout),
        ("silence", After::Stall(Vec::new()), Unclear::Timeout),
        ("a byte now and then", After::Drip, Unclear::Timeout),
        ("not HTTP", After::Write(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), Unclear::Broken),
        ("an answer without end", After::Write(http(200, &long)), Unclear::Unreadable),
        ("a redirect is not followed", After::Write(moved), Unclear::Unreadable),
        ("500 with a good body", After::Write(http(500, DELIVERED)), Unclear::Unexpected),
        ("garbage", After::Write(http(200, "<html>")), Unclear::Unreadable),
        ("an unknown code", After::Write(http(200, r#"{"status":"HM"}"#)), Unclear::Unexpected),
        (
            "not found, to a recharge",
            After::Write(http(404, r#"{"status":"NOT_FOUND"}"#)),
            Unclear::Unexpected,
        ),
        (
            "another amount",
            After::Write(http(200, r#"{"status":"DELIVERED","amount":"50.01"}"#)),
            Unclear::Mismatch,
        ),
        (
            "another reference",
            After::Write(http(200, r#"{"status":"DELIVERED","reference":"r-2"}"#)),
            Unclear::Mismatch,
        ),
        (
            "a refusal of somebody else's",
            After::Write(http(422, r#"{"status":"BARRED","reference":"r-2"}"#)),
            Unclear::Mismatch,
        ),
        (
            "another number",
            After::Write(http(200, r#"{"status":"DELIVERED","msisdn":"+8613800000002"}"#)),
            Unclear::Mismatch,
        ),
    ] {
        let outcome = submitted(after).await;
        assert_eq!(why(&outcome), Some(wanted), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn definite_answers_are_definite() {
    let delivered = submitted(After::Write(http(200, DELIVERED))).await;
    assert_eq!(
        delivered,
        Outcome::Delivered { carrier_reference: Some("C1".to_owned()), cost: None, voucher: None }
    );
    let barred = submitted(After::Write(http(422, r#"{"status":"BARRED","reference":"r-1"}"#))).await;
    assert!(matches!(barred, Outcome::Refused { class: RefusalClass::SubscriberBarred, .. }), "{barred:?}");
    let pending = submitted(After::Write(http(202, r#"{"status":"PENDING"}"#))).await;
    assert!(matches!(pending, Outcome::Accepted { .. }), "{pending:?}");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [format!("http://{closed}"), "http://carrier.invalid".to_owned()] {
        let outcome = connector(&url, |f| f).submit(&order()).await;
        assert!(matches!(outcome, Outcome::NotSent { retryable: true, .. }), "{url}: {outcome:?}");
    }
    // A TLS handshake with something that speaks no TLS: the request itself never left.
    let (url, _, _) = server(After::Write(b"no TLS here".to_vec())).await;
    let url = url.replace("http://", "https://");
    let outcome = connector(&url, |f| f).submit(&order()).await;
    assert!(matches!(outcome, Outcome::NotSent { .. } | Outcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_request_carries_what_was_reserved_and_is_signed() {
    let (url, mut seen, _) = server(After::Write(http(200, DELIVERED))).await;
    let connector =
        connector(&url, |f| f.replace("accept = ", "x-api-key = \"{secret:signing}\"\naccept = "));
    connector.submit(&order()).await;
    let seen = seen.recv().await.unwrap();
    assert!(seen.head.starts_with("POST /v1/recharges HTTP/1.1"), "{}", seen.head);
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "reference": "r-1", "msisdn": "+8613800000001", "amount": "50.00", "currency": "CNY",
            "deduction": { "id": "hold-1", "state": "reserved" },
        })
    );
    let timestamp = seen.header("x-timestamp").unwrap();
    let over = format!("{timestamp}.POST./v1/recharges.{}", seen.body);
    let wanted = sign(&Key::new(KEY.to_vec()), over.as_bytes(), Encoding::Hex);
    assert_eq!(seen.header("x-signature"), Some(wanted.as_str()));
    assert_eq!(seen.header("x-api-key"), Some("a key for tests"));
    assert!(!format!("{connector:?}").contains("a key for tests"), "credentials do not print");
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line() {
    let good = sandbox::definition_toml("http://127.0.0.1:1");
    let load = |_: &keytone::connector::key::Source| Ok(Key::new(KEY.to_vec()));
    assert!(Definition::parse(&good, load).is_ok());
    let bad = r#"id = "No Good"
base_url = "ftp://user:secret@host/?q"
currencies = ["yuan"]
reference = "short"
timeout_ms = 0
retries = 3
[secrets]
one = { value = "in the file" }
[headers]
"bad header" = "{secret:two}"
[signing]
over = "{timestamp}.{boddy}"
key = "three"
header = "x-signature"
[submit]
path = "v1/{secret:one}"
body = '{"reference": {reference}}'
[[submit.rule]]
http = "5xx"
code = "X"
outcome = "refused"
class = "because"
[[submit.rule]]
outcome = "delivered"
[callback]
[callback.signature]
over = "{body}"
key = "one"
header = "x-signature"
timestamp_header = "x-timestamp"
"#;
    let faults = Definition::parse(bad, load).unwrap_err();
    let told: Vec<String> = faults.iter().map(|f| format!("{}:{}", f.line, f.key)).collect();
    for wanted in [
        "1:id",
        "2:base_url",
        "3:currencies",
        "4:reference",
        "5:timeout_ms",
        "6:retries",
        "8:secrets.one",
        "8:secrets.one.value",
        "10:headers.bad header",
        "12:signing.over",
        "13:signing.key",
        "16:submit.path",
        "17:submit.body",
        "19:submit.rule.http",
        "22:submit.rule.class",
        "23:submit.rule",
        "25:callback.rule",
        "25:callback.answer.reference",
        "27:callback.signature.over",
    ] {
        assert!(told.iter().any(|t| t == wanted), "{wanted} is not among {told:#?}");
    }
    let missing = |_: &keytone::connector::key::Source| Err("expected the environment variable X".to_owned());
    let faults = Definition::parse(&good, missing).unwrap_err();
    assert!(faults.iter().any(|f| f.message.contains("environment variable X")), "{faults:?}");
}
