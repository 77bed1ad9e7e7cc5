//! Our client and our listener on loopback.

use bytes::Bytes;
use keytone::smpp::link::event::Outcome;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use std::time::Duration;

use super::ends::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_message_goes_each_way_and_both_ends_unbind() {
    runtime().block_on(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let (client, mut heard) =
            connect(client_settings(&smsc.address.to_string(), esme(Role::Transceiver)));
        heard.up().await;
        let peer = smsc.heard.up().await;
        assert_eq!((client.name(), peer.name()), ("carrier", NAME));

        let up = tokio::spawn({
            let client = client.clone();
            async move { client.request(Body::SubmitSm(message(b"up")), 1).await }
        });
        let (handle, ticket, body) = smsc.heard.request().await;
        assert!(matches!(&body, Body::SubmitSm(message) if message.short_message == "up"));
        handle.respond(ticket, status::ROK, accept(&body, "17"));
        let Outcome::Answered { status: 0, body: Body::SubmitSmResp(answer) } =
            within("an answer", up).await.unwrap()
        else {
            panic!("not answered")
        };
        assert_eq!(answer.message_id, "17");

        let down = tokio::spawn({
            let peer = peer.clone();
            async move { peer.request(Body::DeliverSm(message(b"down")), 1).await }
        });
        let (handle, ticket, body) = heard.request().await;
        handle.respond(ticket, status::RX_T_APPN, accept(&body, ""));
        assert!(matches!(
            within("an answer", down).await.unwrap(),
            Outcome::Answered { status: status::RX_T_APPN, body: Body::DeliverSmResp(_) }
        ));
        let state = client.status().state;
        assert_eq!((state.peer, state.version, state.window_used), (Bytes::from_static(b"keytone"), 0x34, 0));
        within("the close", client.close(Duration::from_secs(5))).await;
        heard.down().await;
        smsc.heard.down().await;
        smsc.end().await;
    });
}
