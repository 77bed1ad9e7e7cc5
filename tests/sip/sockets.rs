//! The socket loop: a call between two endpoints over loopback, and what a trace of it may show.

use super::support::SDP;
use super::support::open_config;
use bytes::Bytes;
use keytone::clock::Clock;
use keytone::sip::endpoint::Counters;
use keytone::sip::endpoint::Endpoint;
use keytone::sip::event::CallKey;
use keytone::sip::event::Command;
use keytone::sip::event::EndedBy;
use keytone::sip::event::Event;
use keytone::sip::event::Invite;
use keytone::sip::event::Key;
use keytone::sip::io;
use keytone::sip::io::Trace;
use keytone::sip::io::Wires;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Side {
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    trace: mpsc::Receiver<Trace>,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<Counters>>,
}

/// An endpoint on any free port of `bind`.
fn start(bind: &str, events_max: usize) -> Side {
    let socket = io::bind(bind.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let (commands, commands_in) = mpsc::channel(64);
    let (events_out, events) = mpsc::channel(events_max);
    let (trace_out, trace) = mpsc::channel(256);
    let stop = CancellationToken::new();
    let wires = Wires { commands: commands_in, events: events_out, trace: Some(trace_out) };
    let clock = Clock::machine();
    let endpoint = Endpoint::new(open_config(), [3; 32]);
    let task = tokio::spawn(io::run(socket, endpoint, wires, move || clock.instant(), stop.clone()));
    Side { address, commands, events, trace, stop, task }
}

impl Side {
    async fn next(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(10), self.events.recv())
            .await
            .expect("an event in time")
            .unwrap()
    }

    async fn ask(&self, command: Command) {
        assert!(self.commands.send(command).await.is_ok());
    }

    async fn end(mut self) -> (Counters, Vec<Trace>) {
        self.stop.cancel();
        let counters = self.task.await.unwrap().unwrap();
        let mut all = Vec::new();
        while let Ok(trace) = self.trace.try_recv() {
            all.push(trace);
        }
        (counters, all)
    }
}

fn invite(n: u64, phone: SocketAddr, server: SocketAddr) -> Command {
    Command::Invite(Box::new(Invite {
        call: CallKey::outgoing(n),
        local: phone,
        destination: server,
        target: format!("sip:12580@{server}"),
        from: format!("<sip:+15550100@{phone}>"),
        sdp: Bytes::from_static(SDP.as_bytes()),
        headers: Vec::new(),
    }))
}

async fn one_call(server_bind: &str, phone_bind: &str, server_ip: &str) {
    let (mut phone, mut server) = (start(phone_bind, 64), start(server_bind, 64));
    let at = SocketAddr::new(server_ip.parse().unwrap(), server.address.port());
    phone.ask(invite(1, phone.address, at)).await;
    let Event::Incoming(incoming) = server.next().await else { panic!("no call") };
    // Bound to every address, the server still knows which one faces the caller.
    assert_eq!(incoming.local, at);
    let call = incoming.call;
    server.ask(Command::Answer { call, sdp: Bytes::from_static(SDP.as_bytes()) }).await;
    assert!(matches!(phone.next().await, Event::Answered { .. }));
    assert!(matches!(server.next().await, Event::Established { .. }));
    let key = Key::new('7').unwrap();
    phone.ask(Command::SendKey { call: CallKey::outgoing(1), key, duration_ms: 80 }).await;
    assert!(matches!(server.next().await, Event::Digit { key, duration_ms: 80, .. } if key.sign() == '7'));
    server.ask(Command::Hangup { call }).await;
    assert!(matches!(server.next().await, Event::Ended { by: EndedBy::Us, .. }));
    assert!(matches!(phone.next().await, Event::Ended { by: EndedBy::Peer, .. }));
    let (_, phone_trace) = phone.end().await;
    let (counters, trace) = server.end().await;
    assert_eq!((counters.incoming, counters.discarded), (1, 0));
    for message in trace.iter().chain(&phone_trace) {
        let text = String::from_utf8_lossy(&message.text).into_owned();
        assert!(!text.contains("Signal"), "a key in a trace: {text}");
        assert!(!format!("{message:?}").contains("15550100"));
    }
    let lines: Vec<String> = trace.iter().filter(|t| t.inbound).map(Trace::first_line).collect();
    assert!(
        lines[0].starts_with("INVITE sip:12580@") && lines.iter().any(|l| l.starts_with("INFO ")),
        "{lines:?}"
    );
    assert!(trace.iter().any(|t| t.text.ends_with(SDP.as_bytes())));
}

#[tokio::test]
async fn a_call_over_ipv4() {
    one_call("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1").await;
}

#[tokio::test]
async fn a_call_to_a_socket_bound_to_every_address() {
    one_call("0.0.0.0:0", "127.0.0.1:0", "127.0.0.1").await;
}

#[tokio::test]
async fn a_slow_application_loses_no_event() {
    // One place in the channel, twenty calls: the loop keeps the events and goes on taking commands.
    let (phone, mut server) = (start("127.0.0.1:0", 64), start("127.0.0.1:0", 1));
    for n in 0..20 {
        phone.ask(invite(n, phone.address, server.address)).await;
    }
    for _ in 0..20 {
        let Event::Incoming(incoming) = server.next().await else { panic!("no call") };
        server.ask(Command::Reject { call: incoming.call, status: 486, retry_after: None }).await;
    }
    assert_eq!(server.end().await.0.incoming, 20);
    phone.end().await;
}

#[tokio::test]
async fn the_loop_ends_when_nobody_listens() {
    let (phone, server) = (start("127.0.0.1:0", 64), start("127.0.0.1:0", 1));
    let Side { address, events, task, commands, .. } = server;
    drop((events, commands));
    for n in 0..3 {
        phone.ask(invite(n, phone.address, address)).await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), task).await;
    assert!(ended.is_ok());
    phone.end().await;
}

#[test]
fn the_address_that_faces_a_peer_is_found() {
    let loopback = "127.0.0.1:9".parse().unwrap();
    assert_eq!(io::facing(loopback).unwrap(), "127.0.0.1".parse::<std::net::IpAddr>().unwrap());
}
