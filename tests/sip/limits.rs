//! Who may call, how many at once, and what the others hear.

use super::support::Bench;
use super::support::header;
use super::support::invite;
use super::support::invite_of;
use super::support::kind;
use super::support::open_config;
use super::support::request;
use keytone::sip::config::EndpointConfig;
use keytone::sip::config::Trunk;
use keytone::sip::event::Command;

fn config(change: impl FnOnce(&mut EndpointConfig)) -> Bench {
    let mut config = open_config();
    change(&mut config);
    Bench::with(config)
}

/// The answer to one more INVITE; `None` if it became a call.
fn refusal(bench: &mut Bench, n: usize) -> Option<String> {
    bench.bytes(invite_of(n));
    assert_eq!(bench.events.len() + bench.sent.len(), 1);
    bench.take_events();
    bench.take().pop()
}

#[test]
fn nobody_is_trusted_by_default() {
    let mut bench = Bench::with(EndpointConfig::new(Vec::new()));
    for (n, method) in ["INVITE", "OPTIONS", "REGISTER", "MESSAGE", "NEW"].into_iter().enumerate() {
        bench.bytes(request(method, 1, &format!("z9hG4bK{n}"), "", "", ""));
        assert_eq!(bench.statuses(), ["403"], "{method}");
    }
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn a_call_is_named_after_its_trunk() {
    let trunk = |name: &str, network: &str| Trunk {
        name: name.to_owned(),
        networks: vec![network.parse().unwrap()],
        calls_max: 10,
    };
    let mut bench = Bench::with(EndpointConfig::new(vec![
        trunk("carrier", "203.0.113.0/24"),
        trunk("pbx", "192.0.2.0/28"),
        trunk("rest", "192.0.2.0/24"),
    ]));
    for (n, (peer, name)) in
        [("203.0.113.9:5060", "carrier"), ("192.0.2.1:5060", "pbx"), ("192.0.2.99:5060", "rest")]
            .into_iter()
            .enumerate()
    {
        bench.peer = peer.parse().unwrap();
        bench.bytes(invite_of(n));
        let incoming = bench.incoming();
        assert_eq!((incoming.trunk.as_str(), incoming.source), (name, bench.peer));
    }
    bench.peer = "198.51.100.9:5060".parse().unwrap();
    assert!(refusal(&mut bench, 9).is_some_and(|a| kind(&a) == "403"));
}

#[test]
fn a_refusal_is_the_same_every_time_and_costs_nothing() {
    let mut bench = Bench::with(EndpointConfig::new(Vec::new()));
    bench.bytes(invite("z9hG4bKa"));
    bench.bytes(invite("z9hG4bKa"));
    let sent = bench.take();
    assert_eq!(sent[0], sent[1]);
    assert!(header(&sent[0], "To").unwrap().contains(";tag="));
    bench.bytes(request("ACK", 1, "z9hG4bKa", "x", "", ""));
    assert!(bench.sent.is_empty());
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.next_deadline()), (0, None));
}

#[test]
fn a_full_endpoint_says_503_and_when_to_come_back() {
    let mut bench = config(|c| {
        c.limits.calls_max = 2;
        c.retry_after_s = 7;
    });
    assert_eq!(refusal(&mut bench, 1), None);
    bench.bytes(invite_of(2));
    let second = bench.incoming().call;
    let answer = refusal(&mut bench, 3).unwrap();
    assert_eq!((kind(&answer).as_str(), header(&answer, "Retry-After")), ("503", Some("7")));
    assert_eq!(bench.endpoint.counters().shed, 1);
    bench.command(Command::Reject { call: second, status: 486, retry_after: None });
    bench.take();
    assert_eq!(refusal(&mut bench, 4), None);
}

#[test]
fn a_full_trunk_and_a_greedy_source_are_busy() {
    let mut bench = config(|c| c.trunks[0].calls_max = 1);
    assert_eq!(refusal(&mut bench, 1), None);
    assert!(refusal(&mut bench, 2).is_some_and(|a| kind(&a) == "486"));

    let mut bench = config(|c| c.limits.calls_per_source_max = 1);
    assert_eq!(refusal(&mut bench, 1), None);
    assert!(refusal(&mut bench, 2).is_some_and(|a| kind(&a) == "486"));
    bench.peer = "192.0.2.2:5060".parse().unwrap();
    assert_eq!(refusal(&mut bench, 3), None);
}

#[test]
fn places_are_given_back_when_calls_end() {
    let mut bench = config(|c| {
        c.trunks[0].calls_max = 1;
        c.limits.calls_per_source_max = 1;
        c.limits.calls_max = 1;
    });
    for n in 0..5 {
        bench.bytes(invite_of(n));
        let call = bench.incoming().call;
        bench.command(Command::Hangup { call });
        bench.command(Command::Hangup { call });
        bench.take();
        bench.take_events();
    }
    assert_eq!(bench.endpoint.live_calls(), 0);
}

#[test]
fn too_many_new_calls_in_a_second_are_503() {
    let mut bench = config(|c| c.limits.new_calls_per_second_max = 3);
    let refused: Vec<bool> = (0..5).map(|n| refusal(&mut bench, n).is_some()).collect();
    assert_eq!(refused, [false, false, false, true, true]);
    bench.wait_ms(1000);
    bench.take();
    assert_eq!(refusal(&mut bench, 9), None);
}

#[test]
fn too_many_transactions_are_503_and_keys_are_not_taken_twice() {
    let mut bench = Bench::new();
    let (_, tag) = bench.established();
    let mut full = config(|c| c.limits.transactions_max = 0);
    assert!(refusal(&mut full, 1).is_some_and(|a| kind(&a) == "503"));
    // A BYE is served even so.
    bench.bytes(request("BYE", 2, "z9hG4bKb", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);

    let mut bench = config(|c| c.limits.transactions_max = 1);
    let (_, tag) = bench.established();
    let info = request("INFO", 2, "z9hG4bKi", &tag, "Content-Type: application/dtmf\r\n", "5");
    bench.bytes(info);
    assert_eq!(bench.statuses(), ["503"]);
    assert!(bench.events.is_empty());
    bench.bytes(request("BYE", 3, "z9hG4bKb", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    assert_eq!(bench.event_names(), ["Ended"]);
}

#[test]
fn draining_refuses_new_calls_and_keeps_the_others() {
    let mut bench = Bench::new();
    let (_, tag) = bench.established();
    bench.command(Command::Drain(true));
    let answer = refusal(&mut bench, 2).unwrap();
    assert_eq!((kind(&answer).as_str(), header(&answer, "Retry-After")), ("503", Some("5")));
    bench.bytes(request("OPTIONS", 1, "z9hG4bKo", "", "", ""));
    assert_eq!(bench.statuses(), ["503"]);
    bench.bytes(request("BYE", 2, "z9hG4bKb", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    bench.take_events();
    bench.command(Command::Drain(false));
    assert_eq!(refusal(&mut bench, 3), None);
}

#[test]
fn goodput_stays_when_more_is_asked_than_fits() {
    let mut bench = config(|c| c.limits.calls_max = 50);
    let mut calls = Vec::new();
    for n in 0..500 {
        bench.bytes(invite_of(n));
        if !bench.events.is_empty() {
            calls.push(bench.incoming().call);
        }
    }
    assert_eq!((calls.len(), bench.endpoint.counters().shed), (50, 450));
    assert_eq!(bench.endpoint.transactions(), 50);
    bench.take();
    for call in calls {
        bench.command(Command::Answer { call, sdp: "v=0\r\n".into() });
    }
    assert_eq!(bench.statuses().iter().filter(|s| *s == "200").count(), 50);
}

#[test]
fn options_tell_what_is_understood() {
    let mut bench = Bench::new();
    bench.bytes(request("OPTIONS", 1, "z9hG4bKo", "", "", ""));
    let answer = bench.take().pop().unwrap();
    assert_eq!(kind(&answer), "200");
    assert_eq!(header(&answer, "Accept"), Some("application/sdp"));
    assert!(header(&answer, "Allow").is_some_and(|a| a.contains("UPDATE")));
}

#[test]
fn what_a_call_insists_on_must_be_known() {
    let mut bench = Bench::new();
    bench.bytes(request("INVITE", 1, "z9hG4bKr", "", "Require: timer, 100rel\r\n", ""));
    let answer = bench.take().pop().unwrap();
    assert_eq!((kind(&answer).as_str(), header(&answer, "Unsupported")), ("420", Some("100rel")));
    bench.bytes(request("INVITE", 1, "z9hG4bKt", "", "Accept: text/plain\r\n", ""));
    assert_eq!(bench.statuses(), ["406"]);
    bench.bytes(request("INVITE", 1, "z9hG4bKu", "", "Content-Type: text/plain\r\n", "hello"));
    let answer = bench.take().pop().unwrap();
    assert_eq!((kind(&answer).as_str(), header(&answer, "Accept")), ("415", Some("application/sdp")));
    for accept in ["application/sdp", "application/*;q=0.5", "*/*"] {
        let mut bench = Bench::new();
        bench.bytes(request("INVITE", 1, "z9hG4bKv", "", &format!("Accept: text/plain, {accept}\r\n"), ""));
        assert_eq!(bench.event_names(), ["Incoming"], "{accept}");
    }
}
