//! Nothing is lost: links cut at random, the daemon killed at random, and everything that was accepted is handled once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::texts::settled;
use super::{SERVICE, plan};
use crate::support::daemon::House;
use crate::support::network::Network;

/// Handsets that text at the same time.
const AT_ONCE: usize = 16;

fn number(n: usize) -> String {
    format!("+86137{n:08}")
}

/// Each of `count` handsets texts once, and each text is accepted in the end.
fn text_all(network: &Network, count: usize, over: &AtomicBool) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    assert_eq!(network.text(&number(n), SERVICE, "RC 50"), 0, "{}", number(n));
                }
            });
        }
    });
    over.store(true, Ordering::Relaxed);
}

/// Every handset was answered once, or it is known that nobody knows.
fn assert_handled_once(house: &House, count: usize) {
    let states = settled(house, 120);
    let mut answers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (to, state) in &states {
        answers.entry(to).or_default().push(state);
    }
    let mut unknown = 0;
    for n in 0..count {
        let number = number(n);
        let states = answers.get(number.as_str()).cloned().unwrap_or_default();
        assert_eq!(states.len(), 1, "{number} was answered {states:?}");
        let got = house.network().texts(&number).len();
        match states[0] {
            "delivered" => assert_eq!(got, 1, "{number}"),
            "unknown" => {
                unknown += 1;
                assert!(got <= 1, "{number} got {got} answers");
            }
            other => panic!("the answer to {number} is {other}"),
        }
    }
    println!("{count} texts, {unknown} answers of which nobody knows whether they left");
    assert!(unknown * 2 < count, "{unknown} of {count} unknown");
}

#[test]
fn five_hundred_cuts_lose_nothing_and_double_nothing() {
    let seed = 20_261_129;
    println!("seed {seed}");
    let count = 2_400;
    let mut plan =
        plan().on_network(&["--fault", "disconnect_per_million=45000", "--fault", "seed=20261129"]);
    plan.smsc = plan.smsc.replace("[smsc.sms]", "binds = 8\nreconnect_max_s = 1\n[smsc.sms]");
    let house = plan.open();
    house.network().bound(1);
    text_all(house.network(), count, &AtomicBool::new(false));
    house.network().post("/faults", &serde_json::json!({ "disconnect_per_million": 0 }));
    house.network().bound(1);
    house.network().quiet();
    let cuts = house.network().get("/stats")["connects"].as_u64().unwrap_or(0);
    println!("{cuts} connections");
    assert!(cuts >= 500, "only {cuts} connections were made");
    assert_handled_once(&house, count);
    house.verify();
}

#[test]
fn kills_at_random_lose_nothing_and_double_nothing() {
    let count = 600;
    let mut house = plan().on_network(&[]).open();
    house.network().bound(1);
    let over = AtomicBool::new(false);
    let (mut kills, mut pause) = (0, 40_u64);
    // The network belongs to the house; the texts go to its control from threads of their own.
    let network = house.take_network();
    std::thread::scope(|scope| {
        scope.spawn(|| text_all(&network, count, &over));
        while !over.load(Ordering::Relaxed) && kills < 12 {
            // Not for luck: the daemon is to die at different points of its work.
            std::thread::sleep(Duration::from_millis(pause));
            pause = pause * 7 % 611;
            house.signal("KILL");
            house.wait_end();
            house.start();
            kills += 1;
        }
    });
    house.give_network(network);
    println!("{kills} kills");
    assert!(kills >= 3, "only {kills} kills: too quick");
    house.network().quiet();
    assert_handled_once(&house, count);
    house.verify();
}
