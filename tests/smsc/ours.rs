//! Our own links against the sandbox: whatever goes wrong, each submit has an outcome that the handsets bear out.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::sync::mpsc;

use keytone::smpp::io::{Client as Link, ClientSettings, What};
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::settings::{Esme, Password, Settings, Side};
use keytone::smpp::status;

use crate::support::now;

use super::*;

fn settings(port: u16, queue_timeout: Duration) -> ClientSettings {
    let esme = Esme {
        system_id: Bytes::from_static(b"keytone"),
        password: Password::new(b"sandbox"),
        system_type: Bytes::new(),
        role: Role::Transceiver,
        version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: Bytes::new(),
    };
    let response_timeout = Duration::from_millis(600);
    ClientSettings {
        name: "sandbox".to_owned(),
        addresses: vec![format!("127.0.0.1:{port}")],
        tls: None,
        server_name: None,
        connect_timeout: Duration::from_secs(5),
        link: Settings { response_timeout, queue_timeout, ..Settings::new(Side::Esme(esme)) },
    }
}

#[derive(Debug, Default)]
struct Outcomes {
    taken: BTreeSet<u32>,
    refused: BTreeSet<u32>,
    unknown: BTreeSet<u32>,
}

/// The link's window is 10. Submits so many texts, each to a handset of its own, and asks the sandbox which of them have it.
async fn submit(
    sandbox: &Sandbox,
    link: &keytone::smpp::io::Handle,
    count: u32,
) -> (Outcomes, BTreeSet<u32>) {
    let asked: Vec<_> = (0..count)
        .map(|n| {
            let link = link.clone();
            let body = Body::SubmitSm(text(&format!("86139{n:08}"), "hello"));
            tokio::spawn(async move { (n, link.request(body, 1).await) })
        })
        .collect();
    let mut outcomes = Outcomes::default();
    for asked in asked {
        match tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap() {
            (n, Outcome::Answered { status: 0, .. }) => outcomes.taken.insert(n),
            (n, Outcome::Answered { .. } | Outcome::NotSent(_)) => outcomes.refused.insert(n),
            (n, Outcome::Unknown(_)) => outcomes.unknown.insert(n),
        };
    }
    let mut there = BTreeSet::new();
    for n in 0..count {
        if sandbox.get(&format!("/handset/86139{n:08}")).await["received"] == 1 {
            there.insert(n);
        }
    }
    (outcomes, there)
}

#[tokio::test]
async fn outcomes_are_what_became_of_the_texts() {
    for (faults, unknown, refused) in [
        (json!({}), 0..=0, 0..=0),
        (json!({ "reorder": 4 }), 0..=0, 0..=0),
        // The link slows down for all, and what waited for too long was not sent.
        (json!({ "throttle_every": 5 }), 0..=0, 1..=199),
        (json!({ "nack_every": 5 }), 0..=0, 40..=40),
        (json!({ "drop_response_every": 10 }), 20..=20, 0..=0),
        (json!({ "delay_every": 10, "delay_ms": 900 }), 20..=20, 0..=0),
        (json!({ "wrong_sequence_every": 10 }), 20..=20, 0..=0),
        (json!({ "half_pdu_at": 100 }), 1..=200, 0..=200),
        (json!({ "rubbish_at": 100 }), 1..=10, 0..=200),
        (json!({ "disconnect_at": 100 }), 1..=10, 0..=200),
    ] {
        let sandbox = Sandbox::new().await;
        let (events, mut heard) = mpsc::channel(1_000);
        // Where a fault holds all up, what waits in the queue is not waited for.
        let holds_up = ["throttle_every", "half_pdu_at"].iter().any(|name| faults.get(name).is_some());
        let queue_timeout = if holds_up { Duration::from_secs(1) } else { PATIENCE };
        let link = Link::start(settings(sandbox.port, queue_timeout), events, now);
        let up = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
        assert!(matches!(up.what, What::Up(_)), "{up:?}");
        sandbox.post("/faults", faults.clone()).await;
        let (outcomes, there) = submit(&sandbox, &link, 200).await;
        assert!(unknown.contains(&outcomes.unknown.len()), "{faults}: {outcomes:?}");
        assert!(refused.contains(&outcomes.refused.len()), "{faults}: {outcomes:?}");
        assert!(outcomes.taken.is_subset(&there), "{faults}: told as taken, but not there");
        // The one fault after which a refusal is a lie: the nack comes for a text that was taken.
        if faults.get("nack_every").is_none() {
            assert!(outcomes.refused.is_disjoint(&there), "{faults}: told as refused, but there");
        }
        // A response that came too late, or under a number that nobody used, still counts in the sandbox's own view.
        if unknown == (0..=0) {
            assert!(sandbox.get("/stats").await["window_max"].as_u64().unwrap() <= 10);
        }
        link.close(Duration::from_millis(100)).await;
        sandbox.end().await;
    }
}

#[tokio::test]
async fn a_bind_that_is_refused_and_one_that_is_unbound_come_again() {
    let sandbox = Sandbox::with(|config| config.faults.refuse_binds = 1).await;
    let (events, mut heard) = mpsc::channel(1_000);
    let mut settings = settings(sandbox.port, PATIENCE);
    settings.link.enquire_after = Duration::from_millis(50);
    let link = Link::start(settings, events, now);
    let mut next = async || tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap().what;
    assert!(matches!(next().await, What::Up(_)));
    assert_eq!(sandbox.get("/stats").await["binds_refused"], 1);
    sandbox.post("/unbind", json!({})).await;
    assert!(matches!(next().await, What::Down(_)));
    assert!(matches!(next().await, What::Up(_)));

    // A text of a handset, refused for now and then taken.
    let sms = json!({ "from": "+8613800000001", "to": "1069125", "text": "RC 50" });
    let answer = async |status: u32, what: What| {
        let What::Request { ticket, .. } = what else { panic!("{what:?}") };
        link.respond(ticket, status, Body::DeliverSmResp(MessageResp::default()));
    };
    let (first, ()) =
        tokio::join!(sandbox.post("/sms", sms), async { answer(status::RX_T_APPN, next().await).await });
    assert_eq!(first.1["status"], status::RX_T_APPN);
    answer(0, next().await).await;
    assert_eq!(sandbox.get("/wait?for=quiet").await, json!({ "quiet": true }));
    link.close(Duration::from_millis(100)).await;
    sandbox.end().await;
}
