//! Our client and our listener on loopback: binds, messages both ways, limits, failover, close.

use std::time::Duration;

use bytes::Bytes;
use keytone::smpp::io::Asked;
use keytone::smpp::io::Client;
use keytone::smpp::io::Grant;
use keytone::smpp::io::Trouble;
use keytone::smpp::io::What;
use keytone::smpp::link::event::Ended;
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::event::Silence;
use keytone::smpp::link::event::Unsent;
use keytone::smpp::link::settings::Rate;
use keytone::smpp::link::settings::Settings;
use keytone::smpp::link::settings::Side;
use keytone::smpp::link::status::Phase;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use tokio::net::TcpListener;

use super::ends::*;

#[test]
fn a_message_goes_each_way_and_both_ends_unbind() {
    run(async {
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
        assert_eq!((state.phase, state.role), (Phase::Bound, Some(Role::Transceiver)));
        within("the close", client.close(Duration::from_secs(5))).await;
        assert_eq!((heard.down().await, smsc.heard.down().await), (Ended::Unbound, Ended::PeerUnbound));
        assert_eq!(client.status().state.phase, Phase::Down);
        let after = within("an outcome", client.request(Body::SubmitSm(message(b"")), 1)).await;
        assert_eq!(after, Outcome::NotSent(Unsent::Down));
        smsc.end().await;
    });
}

#[test]
fn many_askers_wait_their_turn_and_none_is_refused() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let link = Settings { window: 3, queue: 2, ..esme(Role::Transmitter) };
        let (client, mut heard) = connect(client_settings(&smsc.address.to_string(), link));
        heard.up().await;
        let askers: Vec<_> = (0..2_000)
            .map(|n: u32| {
                let client = client.clone();
                let text = n.to_string();
                tokio::spawn(async move { client.request(Body::SubmitSm(message(text.as_bytes())), 1).await })
            })
            .collect();
        for _ in 0..2_000 {
            let (handle, ticket, body) = smsc.heard.request().await;
            assert!(handle.status().state.unanswered <= 3, "the window");
            handle.respond(ticket, status::ROK, accept(&body, "1"));
        }
        for asker in askers {
            let outcome = within("an outcome", asker).await.unwrap();
            assert!(matches!(outcome, Outcome::Answered { status: 0, .. }), "{outcome:?}");
        }
        let counters = client.status().state.counters;
        assert_eq!((counters.pdus_out, counters.pdus_in), (2_001, 2_001));
    });
}

#[test]
fn a_wrong_password_is_told_and_tried_again_slowly() {
    run(async {
        let smsc = Smsc::start(listener_settings(smsc())).await;
        let mut link = esme(Role::Transceiver);
        if let Side::Esme(esme) = &mut link.side {
            esme.password = keytone::smpp::link::settings::Password::new(b"wrong");
        }
        let (client, _heard) = connect(client_settings(&smsc.address.to_string(), link));
        let refused = Some(Trouble::Ended(Ended::Refused(status::RINVPASWD)));
        within("the refusal", async {
            while client.status().trouble != refused {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // The next try is at least 15 s away; that of a fast one would be there by now.
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(client.status().connections, 1);
        let outcome = within("an outcome", client.request(Body::SubmitSm(message(b"")), 1)).await;
        assert_eq!(outcome, Outcome::NotSent(Unsent::Down), "whoever asks meanwhile is told at once");
        within("the close", client.close(Duration::ZERO)).await;
    });
}

#[test]
fn a_guessed_password_is_answered_after_a_second_and_a_right_one_at_once() {
    run(async {
        let smsc = Smsc::start(listener_settings(smsc())).await;
        let mut stranger = Raw::connect(smsc.address).await;
        let began = now();
        assert_eq!(stranger.bind("guess").await, status::RINVPASWD);
        assert!(now() - began >= Duration::from_secs(1));
        assert!(stranger.next().await.is_none());
        let began = now();
        assert_eq!(Raw::connect(smsc.address).await.bind(PASSWORD).await, status::ROK);
        assert!(now() - began < Duration::from_secs(1));
    });
}

#[test]
fn all_binds_of_a_name_share_its_rate() {
    run(async {
        let peer_rate = Some(Rate { per_second: 1, burst: 3 });
        let mut smsc = Smsc::start(listener_settings(Settings { peer_rate, ..smsc() })).await;
        let (mut throttled, mut bound) = (0, Vec::new());
        for _ in 0..2 {
            let mut raw = Raw::connect(smsc.address).await;
            assert_eq!(raw.bind(PASSWORD).await, status::ROK);
            for sequence in 2..5 {
                raw.send(0, sequence, Body::SubmitSm(message(b"text"))).await;
            }
            raw.send(0, 5, Body::EnquireLink).await;
            loop {
                let answer = raw.next().await.unwrap();
                match answer.body {
                    Body::EnquireLinkResp => break,
                    _ => throttled += u32::from(answer.status == status::RTHROTTLED),
                }
            }
            bound.push(raw);
        }
        for _ in 0..3 {
            smsc.heard.request().await;
        }
        assert!((2..=3).contains(&throttled), "{throttled} of six, three of which may come");
    });
}

#[test]
fn a_close_does_not_wait_for_an_application_that_is_gone() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (events, heard) = Heard::with_room(1);
        let settings = client_settings(&listener.local_addr().unwrap().to_string(), esme(Role::Transceiver));
        let client = Client::start(settings, events, now);
        let mut raw = Raw::over(within("a connection", listener.accept()).await.unwrap().0);
        raw.take_bind(0).await;
        for sequence in 1..5 {
            raw.send(0, sequence, Body::DeliverSm(message(b"nobody takes it"))).await;
        }
        within("the close", client.close(Duration::ZERO)).await;
        drop(heard);
    });
}

#[test]
fn a_client_comes_back_after_its_connection_was_cut() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, mut heard) =
            connect(client_settings(&listener.local_addr().unwrap().to_string(), esme(Role::Transceiver)));
        let mut raw = Raw::over(within("a connection", listener.accept()).await.unwrap().0);
        raw.take_bind(0).await;
        heard.up().await;
        let asker = tokio::spawn({
            let client = client.clone();
            async move { client.request(Body::SubmitSm(message(b"cut")), 1).await }
        });
        let asked = raw.next().await.unwrap();
        // A request of the peer that nobody answers before the cut.
        raw.send(0, 9, Body::DeliverSm(message(b"old"))).await;
        let (handle, old, body) = heard.request().await;
        drop(raw);
        let outcome = within("an outcome", asker).await.unwrap();
        assert!(matches!(&outcome, Outcome::Unknown(doubt)
            if doubt.sequence == asked.sequence && doubt.why == Silence::Lost));
        assert_eq!(heard.down().await, Ended::Lost);

        let mut raw = Raw::over(within("another connection", listener.accept()).await.unwrap().0);
        raw.take_bind(0).await;
        heard.up().await;
        assert_eq!(client.status().connections, 2);
        // The answer to what came by the first connection must not go out on the second.
        assert_ne!(Some(old.link()), client.status().link);
        handle.respond(old, status::ROK, accept(&body, ""));
        raw.send(0, 10, Body::DeliverSm(message(b"new"))).await;
        let (handle, new, body) = heard.request().await;
        handle.respond(new, status::ROK, accept(&body, ""));
        assert_eq!(raw.next().await.unwrap().sequence, 10);
    });
}

#[test]
fn addresses_are_tried_in_turn() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut settings = client_settings(&dead.to_string(), esme(Role::Transceiver));
        settings.addresses.push("nobody.invalid:2775".to_owned());
        settings.addresses.push(smsc.address.to_string());
        let (client, mut heard) = connect(settings);
        heard.up().await;
        smsc.heard.up().await;
        assert_eq!(client.status().address, Some(smsc.address));
    });
}

#[test]
fn a_listener_has_limits() {
    run(async {
        let mut settings = listener_settings(smsc());
        settings.connections_per_address = 3;
        let smsc = Smsc::start(settings.clone()).await;
        let mut raw = Vec::new();
        for (n, wanted) in [status::ROK, status::ROK, status::RALYBND].into_iter().enumerate() {
            let mut peer = Raw::connect(smsc.address).await;
            assert_eq!(peer.bind(PASSWORD).await, wanted, "bind {n} of two that are granted");
            raw.push(peer);
        }
        assert!(raw[2].next().await.is_none(), "a refused peer is let go");
        // Its place is free again as soon as its task is over.
        let mut third = None;
        within("a place", async {
            while third.is_none() {
                let mut peer = Raw::connect(smsc.address).await;
                peer.send(0, 1, Body::EnquireLink).await;
                third = peer.next().await.map(|_| peer);
            }
        })
        .await;
        let mut fourth = Raw::connect(smsc.address).await;
        assert!(fourth.next().await.is_none(), "one connection too many");

        settings.networks = vec!["192.0.2.0/24".parse().unwrap()];
        let closed = Smsc::start(settings.clone()).await;
        assert!(Raw::connect(closed.address).await.next().await.is_none(), "not from here");
        settings.networks = vec!["127.0.0.1".parse().unwrap()];
        settings.connections = 0;
        let full = Smsc::start(settings).await;
        assert!(Raw::connect(full.address).await.next().await.is_none(), "none at all");
    });
}

#[test]
fn an_application_that_takes_no_events_stops_the_reading_and_loses_nothing() {
    run(async {
        const ALL: u32 = 20_000;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (events, mut heard) = Heard::with_room(1);
        let link = Settings { unanswered: 1_000_000, ..esme(Role::Transceiver) };
        let settings = client_settings(&listener.local_addr().unwrap().to_string(), link);
        let client = Client::start(settings, events, now);
        let mut raw = Raw::over(within("a connection", listener.accept()).await.unwrap().0);
        raw.take_bind(0).await;
        let text = [b'x'; 200];
        let sender = tokio::spawn(async move {
            for sequence in 1..=ALL {
                raw.send(0, sequence, Body::DeliverSm(message(&text))).await;
            }
            raw
        });
        heard.up().await;
        // Four megabytes do not fit into the buffers on the way, so the sender is held up.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!sender.is_finished() && client.status().state.counters.pdus_in < u64::from(ALL) / 2);
        for sequence in 1..=ALL {
            let (handle, ticket, body) = heard.request().await;
            assert_eq!(ticket.sequence(), sequence);
            if sequence == ALL {
                handle.respond(ticket, status::ROK, accept(&body, ""));
            }
        }
        let mut raw = within("the sender", sender).await.unwrap();
        assert_eq!(raw.next().await.unwrap().sequence, ALL);
    });
}

#[test]
fn a_close_waits_for_the_answers_that_are_due() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let (client, mut heard) =
            connect(client_settings(&smsc.address.to_string(), esme(Role::Transceiver)));
        heard.up().await;
        let asker = tokio::spawn({
            let client = client.clone();
            async move { client.request(Body::SubmitSm(message(b"")), 1).await }
        });
        let (handle, ticket, body) = smsc.heard.request().await;
        let closing = tokio::spawn({
            let client = client.clone();
            async move { client.close(Duration::from_secs(10)).await }
        });
        within("the drain", async {
            while client.status().state.phase != Phase::Closing {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let late = within("an outcome", client.request(Body::SubmitSm(message(b"late")), 1)).await;
        assert_eq!(late, Outcome::NotSent(Unsent::Closing));
        handle.respond(ticket, status::ROK, accept(&body, "1"));
        assert!(matches!(within("an outcome", asker).await.unwrap(), Outcome::Answered { status: 0, .. }));
        within("the close", closing).await.unwrap();
    });
}

#[test]
fn a_listener_that_stops_unbinds_its_peers() {
    run(async {
        let smsc = Smsc::start(listener_settings(smsc())).await;
        let (_client, mut heard) =
            connect(client_settings(&smsc.address.to_string(), esme(Role::Transceiver)));
        heard.up().await;
        let mut unbound = Raw::connect(smsc.address).await;
        unbound.send(0, 1, Body::EnquireLink).await;
        unbound.next().await.unwrap();
        smsc.end().await;
        assert_eq!(heard.down().await, Ended::PeerUnbound);
        assert!(unbound.next().await.is_none());
    });
}

#[test]
fn an_outbind_makes_us_the_esme() {
    run(async {
        let mut smsc = Smsc::start_with(listener_settings(smsc()), |asked| match asked {
            Asked::Outbind { system_id, password } if system_id == "mc" && password.expose() == b"pw" => {
                Ok(Grant { name: "carrier".to_owned(), binds: 1, link: esme(Role::Receiver) })
            }
            _ => Err(status::RBINDFAIL),
        })
        .await;
        let outbind =
            |password: &'static str| Body::Outbind { system_id: "mc".into(), password: password.into() };
        let mut raw = Raw::connect(smsc.address).await;
        raw.send(0, 1, outbind("other")).await;
        assert!(raw.next().await.is_none(), "not believed");
        let mut raw = Raw::connect(smsc.address).await;
        raw.send(0, 1, outbind("pw")).await;
        raw.take_bind(0).await;
        assert_eq!(smsc.heard.up().await.name(), "carrier");
        raw.send(0, 2, Body::DeliverSm(message(b"in"))).await;
        let (handle, ticket, body) = smsc.heard.request().await;
        handle.respond(ticket, status::ROK, accept(&body, ""));
        assert!(matches!(raw.next().await.unwrap().body, Body::DeliverSmResp(_)));
    });
}

#[test]
fn a_late_answer_is_told_with_its_number() {
    run(async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let link = Settings { response_timeout: Duration::from_millis(50), ..esme(Role::Transceiver) };
        let (client, mut heard) = connect(client_settings(&smsc.address.to_string(), link));
        heard.up().await;
        let (outcome, link) = within("an outcome", client.request_by(Body::SubmitSm(message(b"")), 1)).await;
        let Outcome::Unknown(doubt) = outcome else { panic!("{outcome:?}") };
        let (handle, ticket, body) = smsc.heard.request().await;
        handle.respond(ticket, status::ROK, accept(&body, "17"));
        let late = heard
            .next("a late answer", |event| match &event.what {
                What::LateResponse { sequence, status: 0, body: Body::SubmitSmResp(answer) } => {
                    Some((*sequence, answer.message_id.clone()))
                }
                _ => None,
            })
            .await;
        assert_eq!(late.1, (doubt.sequence, Bytes::from_static(b"17")));
        assert_eq!(Some(late.0.link), link);
    });
}
