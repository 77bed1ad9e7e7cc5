//! Text messages: commands, PINs asked by a push, receipts, and what a network does wrong.

use serde_json::Value;

use super::{FIRST, PIN, SECOND, SERVICE, house, plan};
use crate::support::daemon::House;
use crate::support::wait_for;

/// Every text of the outbox, the oldest first.
pub(super) fn sent(house: &House, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["sms", "list", "--json", "--limit", "100000"];
    all.extend(arguments);
    let out = house.run(&all);
    let mut rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.reverse();
    rows
}

/// Waits until no text is on its way any more; gives their states with their recipients.
pub(super) fn settled(house: &House, within: u64) -> Vec<(String, String)> {
    let within = std::time::Duration::from_secs(within);
    wait_for("every text has an end", within, || {
        let states: Vec<(String, String)> = sent(house, &[])
            .iter()
            .filter(|row| row["code"] != "replaced")
            .map(|row| (row["to"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned()))
            .collect();
        let moving =
            states.iter().any(|(_, state)| ["waiting", "sending", "accepted"].contains(&state.as_str()));
        (!moving).then_some(states)
    })
}

/// `RC 50` and its PIN on the screen.
fn recharge(house: &House, msisdn: &str, command: &str, seen: usize) {
    let network = house.network();
    assert_eq!(network.text(msisdn, SERVICE, command), 0, "{}", house.log_tail());
    let warning = network.text_after(msisdn, seen);
    assert!(warning.contains("Never send it by text message"), "{warning}");
    let shown = network.pushed(msisdn);
    assert!(shown.open && shown.text.contains("reply with your PIN"), "{shown:?}");
    let done = network.reply(msisdn, PIN);
    assert!(!done.open && done.text.contains("was recharged with 50 CNY"), "{done:?}");
    let receipt = network.text_after(msisdn, seen + 1);
    assert!(receipt.contains("was recharged with 50 CNY"), "{receipt}");
}

#[test]
fn a_command_is_paid_with_a_pin_on_the_screen_and_has_its_receipt() {
    let house = house(&[]);
    recharge(&house, FIRST, "RC 50", 0);
    // As a phone with another keyboard writes it.
    recharge(&house, SECOND, "ｒｃ\u{3000}５０", 0);
    house.assert_paid(&[("delivered", FIRST, "50.00"), ("delivered", SECOND, "50.00")]);
    let states = settled(&house, 20);
    assert_eq!(states.len(), 4, "{states:?}");
    assert!(states.iter().all(|(_, state)| state == "delivered"), "{states:?}");
    let out = house.run(&["smpp", "status"]);
    assert!(out.contains("mobile/1") && out.contains("bound") && out.contains("2 handled"), "{out}");
}

#[test]
fn whoever_is_not_understood_is_helped_and_machines_are_left_alone() {
    let house = house(&[]);
    let network = house.network();
    assert_eq!(network.text(FIRST, SERVICE, "hello there"), 0);
    let help = network.text_after(FIRST, 0);
    assert!(help.contains("RC"), "{help}");
    assert_eq!(network.text("4711", SERVICE, "hello there"), 0);
    // Helped a few times an hour, and no more.
    for n in 0..20 {
        assert_eq!(network.text(SECOND, SERVICE, &format!("what is this {n}")), 0);
    }
    let states = settled(&house, 20);
    let to = |msisdn: &str| states.iter().filter(|(to, _)| to == msisdn).count();
    assert_eq!(to(FIRST), 1);
    assert!((1..=5).contains(&to(SECOND)), "{states:?}");
    assert_eq!(states.len(), to(FIRST) + to(SECOND), "a machine was answered: {states:?}");
}

#[test]
fn what_a_network_brings_twice_is_handled_once() {
    let house = house(&["--fault", "duplicate_every=1"]);
    recharge(&house, FIRST, "RC 50", 0);
    house.assert_paid(&[("delivered", FIRST, "50.00")]);
    house.network().quiet();
    let states = settled(&house, 20);
    assert_eq!(states.len(), 2, "{states:?}");
    assert_eq!(house.network().texts(FIRST).len(), 2);
}

#[test]
fn a_network_that_throttles_gets_every_text_once() {
    let house = house(&["--fault", "throttle_every=3"]);
    for n in 0..12 {
        let number = format!("+86137000000{n:02}");
        house.run(&["sms", "send", &number, "A text."]);
    }
    let states = settled(&house, 60);
    assert_eq!(states.len(), 12, "{states:?}");
    assert!(states.iter().all(|(_, state)| state == "delivered"), "{states:?}");
    for n in 0..12 {
        assert_eq!(house.network().texts(&format!("+86137000000{n:02}")), ["A text."]);
    }
}

#[test]
fn a_text_without_an_answer_is_unknown_and_not_sent_again() {
    let mut plan = plan().on_network(&["--fault", "drop_response_every=1", "--set", "receipts=never"]);
    plan.smsc = plan.smsc.replace("[smsc.sms]", "response_timeout_s = 1\n[smsc.sms]");
    let house = plan.open();
    house.network().bound(1);
    house.run(&["sms", "send", FIRST, "A text."]);
    let states = settled(&house, 30);
    assert_eq!(states, [(FIRST.to_owned(), "unknown".to_owned())]);
    assert_eq!(house.network().texts(FIRST), ["A text."], "sent again");
    let told = house.run(&["sms", "list", "--state", "unknown"]);
    assert!(told.contains("1 unknown"), "{told}");
}

#[test]
fn a_long_command_comes_in_parts_over_two_binds() {
    let mut plan = plan().on_network(&["--fault", "spread=true"]);
    plan.smsc = plan.smsc.replace("[smsc.sms]", "binds = 2\n[smsc.sms]");
    let house = plan.open();
    let network = house.network();
    network.bound(2);
    // More blanks than one message holds; commands do not mind them.
    let long = format!("RC {} 50", " ".repeat(190));
    assert_eq!(network.text(FIRST, SERVICE, &long), 0, "{}", house.log_tail());
    assert!(network.pushed(FIRST).text.contains("50 CNY"));
    let done = network.reply(FIRST, PIN);
    assert!(done.text.contains("was recharged"), "{done:?}");
    house.assert_paid(&[("delivered", FIRST, "50.00")]);
}

/// Under the cap a small amount is paid by texts alone; over it the PIN is asked on the screen.
#[test]
fn small_amounts_go_without_a_pin_where_the_operator_allows_it() {
    let flows = tempfile::tempdir().unwrap();
    crate::support::copy(&crate::support::root().join("dialplans"), flows.path());
    // The menu leads to flows that ask the PIN otherwise; here the recharge stands alone.
    std::fs::remove_file(flows.path().join("main.flow")).unwrap();
    std::fs::remove_file(flows.path().join("main.flowtest")).unwrap();
    let flow = std::fs::read_to_string(flows.path().join("recharge.flow")).unwrap();
    let changed = flow.replacen("pin on sms callback", "pin on sms none", 1);
    assert_ne!(flow, changed);
    std::fs::write(flows.path().join("recharge.flow"), changed).unwrap();
    let mut plan = plan().on_network(&[]);
    plan.dialplans = Some(flows.path().to_owned());
    plan.smsc += "\n[pin]\nsms_without_pin = \"60\"\n";
    let house = plan.open();
    let network = house.network();
    network.bound(1);
    assert_eq!(network.text(FIRST, SERVICE, "RC 50"), 0, "{}", house.log_tail());
    let question = network.text_after(FIRST, 0);
    assert!(question.contains("50 CNY") && question.contains('1'), "{question}");
    assert_eq!(network.text(FIRST, SERVICE, "1"), 0);
    let receipt = network.text_after(FIRST, 1);
    assert!(receipt.contains("was recharged with 50 CNY"), "{receipt}");
    assert_eq!(network.text(FIRST, SERVICE, "RC 100"), 0);
    let shown = network.pushed(FIRST);
    assert!(shown.open && shown.text.contains("your PIN"), "{shown:?}");
    assert!(network.reply(FIRST, PIN).text.contains("was recharged with 100 CNY"));
    house.assert_paid(&[("delivered", FIRST, "50.00"), ("delivered", FIRST, "100.00")]);
}
