//! npm's `smpp` as SMSC: messages with receipts, messages in, USSD dialogues, throttling, windows, cuts.

use std::time::Duration;

use keytone::smpp::io::Handle;
use keytone::smpp::io::Trouble;
use keytone::smpp::link::event::Ended;
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::event::Silence;
use keytone::smpp::link::settings::Password;
use keytone::smpp::link::settings::Settings;
use keytone::smpp::link::settings::Side;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Message;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use keytone::smpp::tlv::tag;
use serde_json::json;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::Peer;
use super::installed;
use crate::smpp::ends::*;
use crate::support::root;

struct Node {
    peer: Peer,
    address: String,
}

impl Node {
    async fn start() -> Self {
        let mut peer = Peer::start(
            Command::new("node")
                .arg(root().join("tests/smpp/peers/smsc.js"))
                .env("NODE_PATH", installed("node_modules/smpp").parent().unwrap()),
        );
        let port = peer.next("listening").await["port"].as_u64().unwrap();
        Self { peer, address: format!("127.0.0.1:{port}") }
    }

    async fn bound(link: Settings) -> (Self, Handle, Heard) {
        let mut node = Self::start().await;
        let (client, mut heard) = connect(client_settings(&node.address, link));
        heard.up().await;
        assert_eq!(node.peer.next("bind").await["good"], true);
        (node, client, heard)
    }
}

fn submit(client: &Handle, message: Message) -> JoinHandle<Outcome> {
    let client = client.clone();
    tokio::spawn(async move { client.request(Body::SubmitSm(message), 1).await })
}

/// The SMSC's id of a message that it took.
async fn taken(outcome: JoinHandle<Outcome>) -> String {
    match within("an answer", outcome).await.unwrap() {
        Outcome::Answered { status: status::ROK, body: Body::SubmitSmResp(answer) } => {
            String::from_utf8(answer.message_id.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_out_gets_its_receipt_and_a_message_in_its_answer() {
    run(async {
        let (mut node, client, mut heard) = Node::bound(esme(Role::Transceiver)).await;
        assert_eq!(client.status().state.peer, "node");
        let outcome = submit(&client, Message { registered_delivery: 1, ..message(b"Paid 50.00 to 4411") });
        let seen = node.peer.next("submit").await;
        assert_eq!((&seen["text"], &seen["to"]), (&json!("Paid 50.00 to 4411"), &json!("12345")));
        let id = taken(outcome).await;
        let (handle, ticket, body) = heard.request().await;
        let Body::DeliverSm(receipt) = &body else { panic!("{body:?}") };
        assert_eq!(receipt.esm_class & 0x3c, 4);
        let receipted = receipt.tlvs.get(tag::RECEIPTED_MESSAGE_ID).unwrap();
        assert_eq!(receipted.strip_suffix(b"\0").unwrap_or(receipted), id.as_bytes());
        assert_eq!(receipt.tlvs.octet(tag::MESSAGE_STATE), Some(2));
        handle.respond(ticket, status::ROK, accept(&body, ""));
        assert_eq!(node.peer.next("receipt_answered").await["status"], 0);

        for (answer, told) in [(status::ROK, 0), (status::RX_T_APPN, 0x64)] {
            let pdu = json!({ "source_addr": "8613800138000", "destination_addr": "12345", "short_message": "RC 50" });
            node.peer.tell(json!({ "do": "deliver", "pdu": pdu })).await;
            let (handle, ticket, body) = heard.request().await;
            let Body::DeliverSm(message) = &body else { panic!("{body:?}") };
            assert_eq!(
                (&message.source.digits[..], &message.short_message[..]),
                (&b"8613800138000"[..], &b"RC 50"[..])
            );
            handle.respond(ticket, answer, accept(&body, ""));
            assert_eq!(node.peer.next("answered").await["status"], told);
        }
        node.peer.tell(json!({ "do": "enquire" })).await;
        assert_eq!(node.peer.next("enquired").await["status"], 0);
        within("the close", client.close(Duration::from_secs(5))).await;
        node.peer.next("unbind").await;
        assert_eq!(heard.down().await, Ended::Unbound);
        node.peer.end().await;
    });
}

#[test]
fn a_ussd_dialogue_goes_from_begin_to_end() {
    run(async {
        let (mut node, client, mut heard) = Node::bound(esme(Role::Transceiver)).await;
        let mut said = Vec::new();
        // The network's word, our word: begin and menu, answer and end.
        for (op_in, text_in, its_in, op_out, text_out, its_out) in [
            (1, "*120*1#", "1200", 2, "1 Recharge\n2 Balance", [0x12, 0x00]),
            (18, "1", "1202", 2, "Amount?", [0x12, 0x02]),
            (18, "50", "1204", 17, "Done.", [0x12, 0x05]),
        ] {
            let pdu = json!({
                "service_type": "USSD", "source_addr": "8613800138000", "destination_addr": "*120#",
                "short_message": text_in, "ussd_service_op": op_in, "its_session_info": its_in,
            });
            node.peer.tell(json!({ "do": "deliver", "pdu": pdu })).await;
            let (handle, ticket, body) = heard.request().await;
            let Body::DeliverSm(heard) = &body else { panic!("{body:?}") };
            assert_eq!(heard.service_type, "USSD");
            assert_eq!(heard.short_message, text_in.as_bytes());
            assert_eq!(heard.tlvs.octet(tag::USSD_SERVICE_OP), Some(op_in));
            let its = heard.tlvs.get(tag::ITS_SESSION_INFO).unwrap();
            assert_eq!(format!("{:02x}{:02x}", its[0], its[1]), its_in);
            handle.respond(ticket, status::ROK, accept(&body, ""));
            assert_eq!(node.peer.next("answered").await["status"], 0);
            let mut screen = Message { service_type: "USSD".into(), ..message(text_out.as_bytes()) };
            screen.tlvs.push(tag::USSD_SERVICE_OP, vec![op_out]);
            screen.tlvs.push(tag::ITS_SESSION_INFO, its_out.to_vec());
            let outcome = submit(&client, screen);
            let seen = node.peer.next("submit").await;
            taken(outcome).await;
            said.push((seen["op"].clone(), seen["its"].clone(), seen["text"].clone()));
        }
        assert_eq!(
            said,
            [
                (json!(2), json!("1200"), json!("1 Recharge\n2 Balance")),
                (json!(2), json!("1202"), json!("Amount?")),
                (json!(17), json!("1205"), json!("Done.")),
            ]
        );
    });
}

#[test]
fn a_cut_in_the_middle_leaves_the_outcome_unknown_and_the_bind_comes_back() {
    run(async {
        let (mut node, client, mut heard) = Node::bound(esme(Role::Transceiver)).await;
        node.peer.tell(json!({ "do": "hold" })).await;
        node.peer.next("did").await;
        let outcome = submit(&client, message(b"in flight"));
        node.peer.next("submit").await;
        node.peer.tell(json!({ "do": "kill" })).await;
        let Outcome::Unknown(doubt) = within("an outcome", outcome).await.unwrap() else { panic!() };
        assert_eq!(doubt.why, Silence::Lost);
        assert_eq!(heard.down().await, Ended::Lost);
        node.peer.tell(json!({ "do": "flow" })).await;
        heard.up().await;
        taken(submit(&client, message(b"after"))).await;
        assert_eq!(node.peer.next("submit").await["text"], "after");
        assert_eq!(node.peer.left("submit"), 0, "nothing was sent again");
        assert_eq!(client.status().connections, 2);
    });
}

#[test]
fn throttling_pauses_and_keeps_the_order() {
    run(async {
        let (mut node, client, _heard) = Node::bound(Settings { window: 1, ..esme(Role::Transceiver) }).await;
        node.peer.tell(json!({ "do": "throttle", "count": 2 })).await;
        node.peer.next("did").await;
        let mut outcomes = Vec::new();
        for n in 0..6 {
            outcomes.push(submit(&client, message(format!("{n}").as_bytes())));
            // In this order, for sure: each is in the queue before the next one is asked.
            within("its place", async {
                while client.status().state.queued + client.status().state.window_used < 1
                    && client.status().state.counters.pdus_out < 2
                {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            tokio::task::yield_now().await;
        }
        let began = now();
        let mut statuses = Vec::new();
        for outcome in outcomes {
            let Outcome::Answered { status, .. } = within("an answer", outcome).await.unwrap() else {
                panic!()
            };
            statuses.push(status);
        }
        assert_eq!(statuses.iter().filter(|one| **one == status::RTHROTTLED).count(), 2);
        // Half a second after the first, a second after the one that the pause had let through.
        assert!(now() - began >= Duration::from_millis(1_400), "{:?}", now() - began);
        let counters = client.status().state.counters;
        assert_eq!(counters.throttled, 2);
        let mut sequences = Vec::new();
        for _ in 0..6 {
            sequences.push(node.peer.next("submit").await["sequence"].as_u64().unwrap());
        }
        assert!(sequences.is_sorted(), "{sequences:?}");
    });
}

#[test]
fn a_window_of_one_is_one() {
    run(async {
        let (mut node, client, _heard) = Node::bound(Settings { window: 1, ..esme(Role::Transceiver) }).await;
        node.peer.tell(json!({ "do": "hold" })).await;
        node.peer.next("did").await;
        let outcomes: Vec<_> = (0..5).map(|_| submit(&client, message(b"text"))).collect();
        for _ in 0..5 {
            node.peer.next("submit").await;
            // What the peer hears next after this is told before the answer to it.
            node.peer.tell(json!({ "do": "enquire" })).await;
            node.peer.next("enquired").await;
            assert_eq!(node.peer.left("submit"), 0, "two at once");
            node.peer.tell(json!({ "do": "release", "count": 1 })).await;
        }
        for outcome in outcomes {
            taken(outcome).await;
        }
    });
}

#[test]
fn answers_in_another_order_find_their_requests() {
    run(async {
        let (mut node, client, _heard) = Node::bound(Settings { window: 5, ..esme(Role::Transceiver) }).await;
        node.peer.tell(json!({ "do": "hold" })).await;
        node.peer.next("did").await;
        let mut outcomes = Vec::new();
        for _ in 0..5 {
            outcomes.push(submit(&client, message(b"text")));
            node.peer.next("submit").await;
        }
        node.peer.tell(json!({ "do": "release", "count": 5, "last": true })).await;
        let mut ids = Vec::new();
        for outcome in outcomes {
            ids.push(u64::from_str_radix(&taken(outcome).await, 16).unwrap());
        }
        assert!(ids.is_sorted_by(|a, b| a > b), "the last one was answered first: {ids:?}");
    });
}

#[test]
fn every_role_binds_and_a_wrong_password_does_not() {
    run(async {
        for (role, kind) in [
            (Role::Transmitter, "bind_transmitter"),
            (Role::Receiver, "bind_receiver"),
            (Role::Transceiver, "bind_transceiver"),
        ] {
            let mut node = Node::start().await;
            let (client, mut heard) = connect(client_settings(&node.address, esme(role)));
            heard.up().await;
            assert_eq!(node.peer.next("bind").await["kind"], kind);
            node.peer.tell(json!({ "do": "unbind" })).await;
            assert_eq!(node.peer.next("unbound").await["status"], 0);
            assert_eq!(heard.down().await, Ended::PeerUnbound);
            within("the close", client.close(Duration::ZERO)).await;
        }
        let mut node = Node::start().await;
        let mut link = esme(Role::Transceiver);
        if let Side::Esme(esme) = &mut link.side {
            esme.password = Password::new(b"wrong");
        }
        let (client, _heard) = connect(client_settings(&node.address, link));
        assert_eq!(node.peer.next("bind").await["good"], false);
        within("the refusal", async {
            while client.status().trouble != Some(Trouble::Ended(Ended::Refused(status::RINVPASWD))) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

#[test]
fn silence_is_probed() {
    run(async {
        let link = Settings { enquire_after: Duration::from_millis(50), ..esme(Role::Transceiver) };
        let (mut node, client, _heard) = Node::bound(link).await;
        for _ in 0..5 {
            node.peer.next("enquire_link").await;
        }
        assert_eq!(client.status().state.counters.missed_probes, 0);
        assert_eq!(client.status().connections, 1);
    });
}
