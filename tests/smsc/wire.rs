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

#[tokio::test]
async fn an_outbind_makes_a_link_and_nobody_there_is_told() {
    let sandbox = Sandbox::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, accepted) =
        tokio::join!(sandbox.post("/outbind", json!({ "address": address })), listener.accept());
    assert_eq!(told.0, 200);
    let mut client = Client { stream: accepted.unwrap().0, bytes: BytesMut::new(), sequence: 0 };
    let Body::Outbind { system_id, .. } = client.next().await.unwrap().body else { panic!() };
    assert_eq!(&system_id[..], b"sandbox");
    assert!(client.bind().await);
    client.submit().await;
    assert_eq!(client.next().await.unwrap().status, 0);
    drop(listener);
    assert_eq!(sandbox.post("/outbind", json!({ "address": address })).await.0, 502);
    sandbox.end().await;
}

/// A client that answers deliveries and comes back whenever it is cut off; tells what texts it saw.
async fn faithful(sandbox: &Sandbox, seen: tokio::sync::mpsc::Sender<String>) {
    loop {
        let mut client = sandbox.bind().await;
        while let Ok(pdu) = client.next().await {
            let Body::DeliverSm(message) = pdu.body else { continue };
            seen.send(String::from_utf8(message.short_message.to_vec()).unwrap()).await.unwrap();
            let mut bytes = BytesMut::new();
            let body = Body::DeliverSmResp(MessageResp::default());
            encode(&Pdu { status: 0, sequence: pdu.sequence, body }, 0x34, &mut bytes).unwrap();
            if client.stream.write_all(&bytes).await.is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn texts_survive_random_disconnects() {
    let seed = std::env::var("KEYTONE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7_u64);
    println!("seed {seed}; KEYTONE_SEED chooses another");
    let sandbox = Sandbox::new().await;
    let (sender, mut seen) = tokio::sync::mpsc::channel(100_000);
    let talk = async {
        sandbox.get("/wait?for=binds&count=1").await;
        sandbox.post("/faults", json!({ "disconnect_per_million": 30_000, "seed": seed })).await;
        for n in 0..300 {
            let sms =
                json!({ "from": "+8613800000001", "to": "1069125", "text": n.to_string(), "wait": false });
            assert_eq!(sandbox.post("/sms", sms).await.0, 202);
        }
        assert_eq!(sandbox.get("/wait?for=quiet&timeout_ms=15000").await, json!({ "quiet": true }));
    };
    tokio::select! {
        () = talk => {}
        () = faithful(&sandbox, sender) => {}
    }
    let mut texts = std::collections::BTreeSet::new();
    while let Ok(text) = seen.try_recv() {
        texts.insert(text.parse::<u32>().unwrap());
    }
    assert_eq!(texts, (0..300).collect());
    let stats = sandbox.get("/stats").await;
    assert!(stats["links_cut"].as_u64().unwrap() > 2, "{stats}");
    assert!(stats["redelivers"].as_u64().unwrap() > 0, "{stats}");
    sandbox.end().await;
}
