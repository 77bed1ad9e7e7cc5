//! Kannel's drive_smpp as SMSC: an implementation in C that has nothing in common with the others. It knows a receiver and a
//! transmitter, listens on every interface, and wants a bearerbox to be there, whose place a plain socket takes.

use std::process::Stdio;

use keytone::smpp::link::event::Outcome;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::alone;
use crate::smpp::ends::*;
use crate::support::tail;

const MESSAGES: usize = 200;

#[test]
fn a_receiver_and_a_transmitter_are_driven() {
    alone(module_path!(), "a_receiver_and_a_transmitter_are_driven", async {
        let folder = tempfile::tempdir().unwrap();
        // Where drive_smpp looks for its bearerbox: taken, and never answered.
        let bearerbox = TcpListener::bind("127.0.0.1:13001").await.unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = bearerbox.accept().await {
                kept.push(stream);
            }
        });
        let log = folder.path().join("drive.log");
        let _driver = Command::new("/usr/lib/kannel/test/drive_smpp")
            .args(["-v", "0", "-p", "2345", "-m", &MESSAGES.to_string()])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|fault| panic!("drive_smpp: {fault} (run scripts/setup)"));
        within("a listening drive_smpp", async {
            while !listening(2_345) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let (receiver, mut received) = connect(client_settings("127.0.0.1:2345", esme(Role::Receiver)));
        received.up().await;
        let (transmitter, mut sent) = connect(client_settings("127.0.0.1:2345", esme(Role::Transmitter)));
        sent.up().await;
        for _ in 0..MESSAGES {
            let (handle, ticket, body) = received.request().await;
            handle.respond(ticket, status::ROK, accept(&body, ""));
            let Body::DeliverSm(came) = body else { panic!("{body:?}") };
            let mut answer = message(&came.short_message);
            (answer.source, answer.destination) = (came.destination, came.source);
            let outcome = within("an answer", transmitter.request(Body::SubmitSm(answer), 1)).await;
            assert!(
                matches!(outcome, Outcome::Answered { status: 0, .. }),
                "{outcome:?}\n{}",
                tail(&log, 30)
            );
        }
        let counters = receiver.status().state.counters;
        assert_eq!((counters.bad, counters.forbidden, counters.unmatched), (0, 0, 0));
    });
}

/// Whether something listens, seen without a connection, which drive_smpp would take for its peer.
fn listening(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.contains(&format!(":{port:04X} 00000000:0000 0A"))
}
