//! Long texts: parts in any order, over two links, to two nodes, again, and of two texts with one reference.

use keytone::smpp::coding::Charsets;
use keytone::smpp::long::{Form, content, cut};
use keytone::smpp::pdu::Message;
use keytone::sms::received::{Part, Received, Taken};
use zeroize::Zeroizing;

use crate::sms::on_both_databases;
use crate::sms::world::{ME, Node, Push, link, text_of};
use crate::support::market::{Database, Market};

/// `RC 50` with so much room between that it needs three parts in UCS-2; the last one says what is paid.
fn command() -> String {
    format!("RC{}\u{3000}50{}", " ".repeat(140), " ".repeat(40))
}

/// The parts of a text as an inlet makes them.
fn parts(text: &str, reference: u16) -> Vec<Received> {
    let charsets = Charsets::sms();
    let cut = cut(text, &charsets, Form::Udh16, reference).unwrap();
    let part = |part: &keytone::smpp::long::Part| {
        let mut message = Message::default();
        part.put(cut.data_coding, &mut message);
        let content = content(&message);
        let concat = content.concat.unwrap();
        let mut received = text_of("");
        received.identity = reference.to_be_bytes().to_vec();
        received.part = Some(Part {
            reference,
            total: concat.total,
            number: concat.part,
            data_coding: cut.data_coding,
            fill: u8::try_from(content.fill).unwrap(),
            octets: Zeroizing::new(content.text.to_vec()),
            charsets,
        });
        received
    };
    cut.parts.iter().map(part).collect()
}

async fn opened(database: Database) -> (Market, Node) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
    (market, node)
}

async fn parts_may_come_in_any_order(database: Database) {
    let (market, node) = opened(database).await;
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (n, order) in (1_u16..).zip(orders) {
        let parts = parts(&command(), n);
        assert_eq!(parts.len(), 3);
        for (at, index) in order.into_iter().enumerate() {
            let mut part = parts[index].clone();
            part.link = link(u8::try_from(at % 2).unwrap());
            assert_eq!(node.take(part).await, Taken::Handled);
            let said = node.said().await.len();
            assert_eq!(said, usize::from(n) - usize::from(at < 2), "{order:?} {at}");
        }
    }
    assert!(node.said().await.iter().all(|text| text.contains("reply with your PIN")));
    // All of the last one again: it is known, and its parts do not stay.
    let mut last = Taken::Handled;
    for part in parts(&command(), 6) {
        last = node.take(part).await;
    }
    assert_eq!(last, Taken::Duplicate);
    assert_eq!(node.said().await.len(), 6);
    node.end().await;
    market.close().await;
}

async fn a_part_that_comes_again_is_one_part(database: Database) {
    let (market, node) = opened(database).await;
    let parts = parts(&command(), 1);
    for (index, taken) in
        [(0, Taken::Handled), (0, Taken::Duplicate), (1, Taken::Handled), (0, Taken::Duplicate)]
    {
        assert_eq!(node.take(parts[index].clone()).await, taken);
    }
    // Another process finishes it.
    let other = Node::anew(&market, "reply").await;
    assert_eq!(other.desk.receive(parts[2].clone()).await.unwrap(), Taken::Handled);
    assert_eq!(other.said().await.len(), 1);
    other.end().await;
    node.end().await;
    market.close().await;
}

async fn a_reference_that_comes_round_is_another_text(database: Database) {
    let (market, node) = opened(database).await;
    let old = parts(&format!("old {}", "x".repeat(400)), 1);
    for part in &old[..2] {
        node.take(part.clone()).await;
    }
    for part in parts(&command(), 1) {
        node.take(part).await;
    }
    let said = node.said().await;
    assert!(said.len() == 1 && said[0].contains("reply with your PIN"), "{said:?}");
    node.end().await;
    market.close().await;
}

async fn parts_that_cannot_be_are_acknowledged(database: Database) {
    let (market, node) = opened(database).await;
    for (number, total) in [(0, 3), (4, 3), (1, 255)] {
        let mut part = parts(&command(), 1).remove(0);
        let inner = part.part.as_mut().unwrap();
        (inner.number, inner.total) = (number, total);
        assert_eq!(node.take(part).await, Taken::Handled);
    }
    assert_eq!(node.desk.figures().silent, 3);
    node.end().await;
    market.close().await;
}

async fn a_character_in_two_parts_is_whole_again(database: Database) {
    let (market, node) = opened(database).await;
    // UTF-16 cut in the middle of a pair, as careless senders do.
    let units: Vec<u8> = "RC 50 \u{1f600}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let (left, right) = units.split_at(units.len() - 2);
    for (number, octets) in [(1, left), (2, right)] {
        let mut part = parts(&command(), 7).remove(0);
        let inner = part.part.as_mut().unwrap();
        (inner.number, inner.total, inner.data_coding) = (number, 2, 8);
        inner.octets = Zeroizing::new(octets.to_vec());
        node.take(part).await;
    }
    // No command, but its beginning is known, so it was read.
    assert_eq!(node.said().await.len(), 1, "{:?}", node.said().await);
    node.end().await;
    market.close().await;
}

on_both_databases!(
    long: parts_may_come_in_any_order,
    a_part_that_comes_again_is_one_part,
    a_reference_that_comes_round_is_another_text,
    parts_that_cannot_be_are_acknowledged,
    a_character_in_two_parts_is_whole_again,
);
