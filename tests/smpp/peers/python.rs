//! PyPI's `smpplib` as an ESME that binds to our listener.

use keytone::smpp::link::event::Outcome;
use keytone::smpp::pdu::Address;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Message;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use keytone::smpp::tlv::tag;
use serde_json::json;
use tokio::process::Command;

use super::Peer;
use super::installed;
use crate::smpp::ends::*;
use crate::support::root;

fn python(smsc: &Smsc, role: &str, password: &str) -> Peer {
    Peer::start(
        Command::new(installed("python/bin/python")).arg(root().join("tests/smpp/peers/esme.py")).args([
            &smsc.address.port().to_string(),
            role,
            password,
        ]),
    )
}

fn submit(text: &str) -> serde_json::Value {
    json!({
        "do": "submit", "source_addr_ton": 3, "source_addr_npi": 0, "source_addr": "12345",
        "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": "8613800138000", "short_message": text,
    })
}

#[test]
fn an_esme_submits_and_is_delivered_to() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let mut peer = python(&smsc, "transceiver", PASSWORD);
        peer.next("bound").await;
        let handle = smsc.heard.up().await;

        peer.tell(submit("Your code is 123")).await;
        let (answerer, ticket, body) = smsc.heard.request().await;
        let Body::SubmitSm(seen) = &body else { panic!("{body:?}") };
        assert_eq!(
            (&seen.source.digits[..], &seen.short_message[..]),
            (&b"12345"[..], &b"Your code is 123"[..])
        );
        answerer.respond(ticket, status::ROK, accept(&body, "k-17"));
        let told = peer.next("submitted").await;
        assert_eq!((&told["status"], &told["id"]), (&json!(0), &json!("k-17")));

        let mut receipt = Message { esm_class: 4, ..message(b"id:k-17 stat:DELIVRD err:000") };
        receipt.tlvs.push(tag::RECEIPTED_MESSAGE_ID, &b"k-17\0"[..]);
        receipt.tlvs.push(tag::MESSAGE_STATE, vec![2]);
        let outcome = within("an answer", handle.request(Body::DeliverSm(receipt), 1)).await;
        assert!(
            matches!(outcome, Outcome::Answered { status: 0, body: Body::DeliverSmResp(_) }),
            "{outcome:?}"
        );
        let told = peer.next("deliver").await;
        assert_eq!(
            (&told["receipted"], &told["state"], &told["esm_class"]),
            (&json!("k-17"), &json!(2), &json!(4))
        );

        peer.tell(submit("refused")).await;
        let (answerer, ticket, body) = smsc.heard.request().await;
        answerer.respond(ticket, status::RINVDSTADR, accept(&body, ""));
        assert_eq!(peer.next("failed").await["status"], status::RINVDSTADR);

        peer.tell(json!({ "do": "unbind" })).await;
        peer.next("unbound").await;
        smsc.heard.down().await;
        peer.end().await;
    });
}

#[test]
fn ussd_parameters_pass_both_ways() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let mut peer = python(&smsc, "transceiver", PASSWORD);
        peer.next("bound").await;
        let handle = smsc.heard.up().await;
        for (op, text) in [(1, "*120#"), (18, "1")] {
            let mut said = Message {
                service_type: "USSD".into(),
                destination: Address { digits: "120".into(), ..Address::default() },
                ..message(text.as_bytes())
            };
            said.tlvs.push(tag::USSD_SERVICE_OP, vec![op]);
            said.tlvs.push(tag::ITS_SESSION_INFO, vec![0x12, 0x34]);
            let outcome = within("an answer", handle.request(Body::DeliverSm(said), 1)).await;
            assert!(matches!(outcome, Outcome::Answered { status: 0, .. }), "{outcome:?}");
            let told = peer.next("deliver").await;
            assert_eq!(
                (&told["op"], &told["its"], &told["text"]),
                (&json!(op), &json!(0x1234), &json!(text))
            );
        }
        let mut menu = submit("1 Recharge");
        menu["ussd_service_op"] = json!(2);
        menu["its_session_info"] = json!(0x1234);
        menu["service_type"] = json!("USSD");
        peer.tell(menu).await;
        let (answerer, ticket, body) = smsc.heard.request().await;
        let Body::SubmitSm(seen) = &body else { panic!("{body:?}") };
        assert_eq!(seen.tlvs.octet(tag::USSD_SERVICE_OP), Some(2));
        assert_eq!(seen.tlvs.get(tag::ITS_SESSION_INFO).unwrap(), &[0x12, 0x34][..]);
        answerer.respond(ticket, status::ROK, accept(&body, "1"));
        peer.next("submitted").await;
    });
}

#[test]
fn roles_and_passwords_are_kept_to() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let mut stranger = python(&smsc, "transceiver", "wrong");
        assert_eq!(stranger.next("refused").await["status"], status::RINVPASWD);

        let mut receiver = python(&smsc, "receiver", PASSWORD);
        receiver.next("bound").await;
        let handle = smsc.heard.up().await;
        assert_eq!(handle.status().state.role, Some(Role::Receiver));
        receiver.tell(submit("not by this bind")).await;
        assert_eq!(receiver.next("failed").await["status"], status::RINVBNDSTS);
        let outcome = within("an answer", handle.request(Body::DeliverSm(message(b"in")), 1)).await;
        assert!(matches!(outcome, Outcome::Answered { status: 0, .. }), "{outcome:?}");
    });
}
