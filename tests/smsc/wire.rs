//! Faults that only sockets show, and the control by HTTP.

use std::io::Write;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use keytone::smpp::encode::encode;
use keytone::smpp::pdu::{Body, Pdu};

use super::*;

#[tokio::test]
async fn half_a_pdu_is_followed_by_silence_and_others_go_on() {
    let sandbox = Sandbox::new().await;
    let mut client = sandbox.bind().await;
    sandbox.post("/faults", json!({ "half_pdu_at": 2 })).await;
    client.submit().await;
    client.submit().await;
    client.ask(Body::EnquireLink).await;
    client.next().await.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(300), client.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    assert!((4..16).contains(&client.bytes.len()), "{} bytes of the half", client.bytes.len());
    let mut other = sandbox.bind().await;
    other.submit().await;
    assert_eq!(other.next().await.unwrap().status, 0);
    sandbox.end().await;
}

#[tokio::test]
async fn rubbish_resets_and_raw_bytes_reach_the_client() {
    let sandbox = Sandbox::new().await;
    let mut client = sandbox.bind().await;
    sandbox.post("/faults", json!({ "rubbish_at": 1 })).await;
    client.submit().await;
    assert_eq!(client.next().await.unwrap_err(), End::NoPdu);

    let mut client = sandbox.bind().await;
    sandbox.post("/faults", json!({ "clear": true, "disconnect_at": 2 })).await;
    client.submit().await;
    assert_eq!(client.next().await.unwrap().status, 0);
    client.submit().await;
    assert_eq!(client.next().await.unwrap_err(), End::Reset);

    let mut client = sandbox.bind().await;
    let (status, body) = sandbox.post("/raw", json!({ "hex": "00000010 00000015 00000000 00000007" })).await;
    assert_eq!((status, &body["links"]), (200, &json!(2)), "the one that had rubbish is still there");
    assert_eq!(client.next().await.unwrap(), Pdu::request(7, Body::EnquireLink));
    client.stream.write_all(b"\xff\xff\xff\xff\x00\x00\x00\x00").await.unwrap();
    let nack = client.next().await.unwrap();
    assert_eq!((nack.status, nack.body), (2, Body::GenericNack));
    assert_eq!(client.next().await.unwrap_err(), End::Closed);
    sandbox.end().await;
}

#[tokio::test]
async fn an_outage_refuses_connections_and_then_the_unanswered_come_again() {
    let sandbox = Sandbox::new().await;
    let mut client = sandbox.bind().await;
    let sms = json!({ "from": "+8613800000001", "to": "1069125", "text": "RC 50" });
    let texting = sandbox.post("/sms", sms);
    let outage = async {
        let first = client.next().await.unwrap();
        sandbox.post("/kill", json!({ "ms": 400 })).await;
        assert_eq!(client.next().await.unwrap_err(), End::Reset);
        let refused = TcpStream::connect(("127.0.0.1", sandbox.port)).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let deadline = Clock::machine().instant() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", sandbox.port)).await.is_err() {
            assert!(Clock::machine().instant() < deadline, "the outage ends");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut client = sandbox.bind().await;
        let Body::DeliverSm(first) = first.body else { panic!() };
        assert_eq!(client.deliver().await, first);
        client
    };
    let ((status, answer), _client) = tokio::join!(texting, outage);
    assert_eq!((status, &answer["status"]), (200, &json!(0)));
    sandbox.end().await;
}

#[tokio::test]
async fn a_test_waits_for_what_happens_without_sleeping() {
    let sandbox = Sandbox::new().await;
    let wait = sandbox.get("/wait?for=binds&count=1");
    let (bound, mut client) = tokio::join!(wait, sandbox.bind());
    assert_eq!(bound, json!({ "binds": 1 }));
    let wait = sandbox.get("/wait?msisdn=+8613800000001");
    let (message, _) = tokio::join!(wait, client.submit());
    assert_eq!(message["text"], "hello");
    let late = sandbox.http.get(format!("{}/wait?msisdn=8613800000001&after=1&timeout_ms=20", sandbox.url));
    assert_eq!(late.send().await.unwrap().status(), 504);
    assert_eq!(sandbox.get("/handset/+8613800000001").await["received"], 1);
    assert_eq!(sandbox.get("/stats").await["window_max"], 1);
    let (status, why) = sandbox.post("/dial", json!({ "msisdn": "+86138" })).await;
    assert_eq!((status, why["why"].as_str().unwrap().contains("code")), (400, true));
    sandbox.end().await;
}

#[tokio::test]
async fn a_link_that_does_not_read_holds_nobody_up() {
    let sandbox = Sandbox::new().await;
    let mut deaf = sandbox.bind().await;
    let (mut reader, mut writer) = deaf.stream.split();
    let mut bytes = BytesMut::new();
    for sequence in 1..=30_000 {
        let pdu = Pdu::request(sequence, Body::SubmitSm(text("8613800000001", "hello")));
        encode(&pdu, 0x34, &mut bytes).unwrap();
    }
    let sending = async { writer.write_all(&bytes).await.unwrap() };
    let reading = async {
        let mut other = sandbox.bind().await;
        other.ask(Body::EnquireLink).await;
        assert_eq!(other.next().await.unwrap().body, Body::EnquireLinkResp);
        let (mut came, mut buffer) = (0, BytesMut::new());
        while came < 30_000 {
            assert_ne!(reader.read_buf(&mut buffer).await.unwrap(), 0, "cut after {came}");
            while let Some(frame) = Framer::default().decode(&mut buffer).unwrap() {
                came += 1;
                assert_eq!(frame.sequence, came);
            }
        }
    };
    tokio::join!(sending, reading);
    assert_eq!(sandbox.get("/handset/8613800000001").await["received"], 30_000);
    sandbox.end().await;
}

#[tokio::test]
async fn the_log_is_whole_lines_across_a_crash() {
    let sandbox = Sandbox::with(|config| {
        let mut file = std::fs::File::create(&config.log).unwrap();
        file.write_all(b"{\"at\":\"before\",\"direction\":\"in\",\"kind\":\"bind\"}\n{\"torn").unwrap();
    })
    .await;
    let mut client = sandbox.bind().await;
    client.submit().await;
    client.next().await.unwrap();
    // What was answered is in the file.
    let text = std::fs::read_to_string(&sandbox.log).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["at"], "before");
    let last = lines.last().unwrap();
    assert_eq!((&last["kind"], &last["to"]), (&json!("submit_sm"), &json!("8613800000001")));
    let served = sandbox.http.get(format!("{}/log", sandbox.url)).send().await.unwrap().text().await.unwrap();
    assert_eq!(served, text);
    sandbox.end().await;
}
