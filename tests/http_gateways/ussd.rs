//! Dialogues in the form of Africa's Talking: one step for each new answer, whatever the gateway sends again.

use crate::http_gateways::{Gate, ME, Node};
use crate::support::market::PIN;

/// Posts a request of the dialogue `session` by `number` and gives its answer, which must be a 200.
async fn at_by(node: &Node, session: &str, number: &str, text: &str) -> String {
    let form = [
        ("sessionId", session),
        ("phoneNumber", number),
        ("networkCode", "63902"),
        ("serviceCode", "*125#"),
        ("text", text),
    ];
    let (status, body) = node.post("/ussd/at", &form).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn at(node: &Node, session: &str, text: &str) -> String {
    at_by(node, session, ME, text).await
}

#[track_caller]
fn says(answer: &str, begin: &str, word: &str) {
    assert!(answer.starts_with(begin) && answer.contains(word), "wanted {begin} … {word}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recharge_from_begin_to_end_moves_money_once() {
    let gate = Gate::open().await;
    let node = &gate.node;
    says(&at(node, "s1", "").await, "CON ", "138");
    says(&at(node, "s1", "1").await, "CON ", "50");
    let asked = at(node, "s1", "1*50").await;
    says(&asked, "CON ", "PIN");
    assert_eq!(at(node, "s1", "1*50").await, asked, "the request again is the same screen");
    let last = format!("1*50*{PIN}");
    let done = at(node, "s1", &last).await;
    says(&done, "END ", "");
    assert_eq!(at(node, "s1", &last).await, done, "the last one too");
    assert_eq!(gate.market.carrier(ME).len(), 1);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_are_one_step() {
    let gate = Gate::open().await;
    let node = &gate.node;
    at(node, "s1", "").await;
    at(node, "s1", "1").await;
    // The gateway sends the same three times before the first is answered; then the next answer twice.
    let (a, b, c) = tokio::join!(at(node, "s1", "1*50"), at(node, "s1", "1*50"), at(node, "s1", "1*50"));
    assert!(a == b && b == c && a.contains("PIN"), "{a}\n{b}\n{c}");
    let last = format!("1*50*{PIN}");
    let (a, b) = tokio::join!(at(node, "s1", &last), at(node, "s1", &last));
    assert_eq!(a, b);
    assert_eq!(gate.market.carrier(ME).len(), 1);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_is_an_answer() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let first = at(node, "s1", "").await;
    says(&at(node, "s1", "1").await, "CON ", "50");
    assert_eq!(at(node, "s1", "1**").await, first, "back");
    says(&at(node, "s1", "1***1").await, "CON ", "50");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dialled_with_the_code_is_a_command() {
    let gate = Gate::open().await;
    let node = &gate.node;
    says(&at(node, "s1", "50").await, "CON ", "PIN");
    says(&at(node, "s1", &format!("50*{PIN}")).await, "END ", "");
    assert_eq!(gate.market.carrier(ME).len(), 1);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_does_not_go_on_ends_the_dialogue() {
    let gate = Gate::open().await;
    let node = &gate.node;
    for (session, broken) in [("s1", "2*50"), ("s2", "150"), ("s3", "1*7")] {
        at(node, session, "").await;
        at(node, session, "1").await;
        if session == "s3" {
            at(node, session, "1*50").await;
        }
        says(&at(node, session, broken).await, "END ", "");
        says(&at(node, session, &format!("1*50*{PIN}")).await, "END ", "");
    }
    assert!(gate.market.carrier(ME).is_empty());
    // One that comes late, and was answered: nothing happens, the present question stands.
    at(node, "s4", "").await;
    at(node, "s4", "1").await;
    let asked = at(node, "s4", "1*50").await;
    assert_eq!(at(node, "s4", "1").await, asked);
    assert_eq!(at(node, "s4", "").await, asked);
    says(&at(node, "s4", &format!("1*50*{PIN}")).await, "END ", "");
    assert_eq!(gate.market.carrier(ME).len(), 1);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialogue_goes_on_after_a_restart() {
    let gate = Gate::open().await;
    at(&gate.node, "s1", "").await;
    says(&at(&gate.node, "s1", "1").await, "CON ", "50");
    let Gate { market, node, outbox } = gate;
    node.kill();
    let node = Gate::node(&market, &outbox).await;
    // Which part of the text is new, nobody knows any more: the question is told again, and nothing is answered.
    let asked = at(&node, "s1", "1*50").await;
    says(&asked, "CON ", "50");
    assert!(!asked.contains("PIN"), "{asked}");
    says(&at(&node, "s1", "1*50*50").await, "CON ", "PIN");
    let Gate { market, node, outbox } = Gate { market, node, outbox };
    node.kill();
    let node = Gate::node(&market, &outbox).await;
    // A PIN that came to the new process is not taken for anything.
    says(&at(&node, "s1", &format!("1*50*50*{PIN}")).await, "CON ", "PIN");
    assert!(market.carrier(ME).is_empty());
    says(&at(&node, "s1", &format!("1*50*50*{PIN}*{PIN}")).await, "END ", "");
    assert_eq!(market.carrier(ME).len(), 1);
    Gate { market, node, outbox }.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_another_caller_has_too_never_crosses_over() {
    let gate = Gate::open().await;
    let node = &gate.node;
    let other = "+8613800000002";
    gate.market.account(other, 100_000).await;
    at(node, "s1", "").await;
    at(node, "s1", "1").await;
    says(&at_by(node, "s1", other, "").await, "CON ", "0002");
    says(&at_by(node, "s1", other, "1").await, "CON ", "50");
    says(&at(node, "s1", "1*50").await, "CON ", "0001");
    says(&at_by(node, "s1", other, "1*50").await, "CON ", "0002");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialogue_that_the_network_ends_is_over() {
    let gate = Gate::open().await;
    let node = &gate.node;
    at(node, "s1", "").await;
    at(node, "s1", "1").await;
    let notice = [
        ("date", "2026-11-29 10:00:00"),
        ("sessionId", "s1"),
        ("serviceCode", "*125#"),
        ("networkCode", "63902"),
        ("phoneNumber", ME),
        ("status", "Incomplete"),
        ("durationInMillis", "4000"),
        ("hopsCount", "2"),
        ("input", "1*50"),
        ("errorMessage", ""),
    ];
    assert_eq!(node.post("/ussd/at/end", &notice).await, (200, String::new()));
    assert_eq!(node.post("/ussd/at/end", &notice).await, (200, String::new()), "twice is no harm");
    says(&at(node, "s1", "1*50").await, "END ", "");
    assert_eq!(node.post("/ussd/at/end", &[("sessionId", "s1")]).await.0, 400);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_hangs_up_may_ask_again() {
    let gate = Gate::open().await;
    let node = &gate.node;
    at(node, "s1", "").await;
    at(node, "s1", "1").await;
    at(node, "s1", "1*50").await;
    let last = format!("1*50*{PIN}");
    let hasty = tokio::time::timeout(std::time::Duration::from_millis(5), at(node, "s1", &last)).await;
    // Whether or not it was answered in that time, the answer is the same one and the money moves once.
    let told = at(node, "s1", &last).await;
    says(&told, "END ", "");
    assert!(hasty.is_err() || hasty.unwrap() == told);
    assert_eq!(gate.market.carrier(ME).len(), 1);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_get_it_is_the_same() {
    let gate = Gate::open().await;
    let form = [("sessionId", "g1"), ("phoneNumber", ME), ("serviceCode", "*125#"), ("text", "")];
    let (status, begun) = gate.node.get("/ussd/at", &form).await;
    assert_eq!(status, 200);
    says(&begun, "CON ", "138");
    // A `+` that was not escaped.
    let url =
        format!("{}/ussd/at?key=hush+hush&sessionId=g2&phoneNumber={ME}&serviceCode=*125%23", gate.node.url);
    let (status, again) = gate.node.send(gate.node.client.get(url)).await;
    assert_eq!((status, again), (200, begun));
    gate.close().await;
}
