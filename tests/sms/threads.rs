//! Threads: commands, answers, duplicates, help, who is not answered.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::sms::address::Origin;
use keytone::sms::desk;
use keytone::sms::received::Taken;

use crate::sms::on_both_databases;
use crate::sms::world::{ME, Node, Push, US, country, link, text_of};
use crate::support::market::{Database, Market};

const START: Timestamp = Timestamp(1_795_000_000_000_000);

async fn opened(database: Database) -> (Market, Node) {
    let market = Market::open_at(Clock::manual(START), database, |_| {}).await;
    market.account(ME, 500_000).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
    (market, node)
}

async fn a_thread_goes_on_through_restarts(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let mut said = 0;
    for (text, wanted) in [
        ("RECHARGE", "Your number is"),
        ("2", "Number to recharge"),
        ("13800000002", "Once more"),
        ("13800000003", "not the same"),
        ("13800000002", "Once more"),
        ("13800000002", "Amount"),
        ("7", "not one of the amounts"),
        ("50", "reply with your PIN"),
        ("1111", "Wrong PIN. You have 4 tries left"),
        ("739154", "138 0000 0002"),
    ] {
        // A process of its own for every text. The first answer to "13800000002" may be told after a moment.
        market.clock.advance(Duration::from_secs(11));
        let node = Node::anew(&market, "reply").await;
        let mut received = text_of(text);
        received.identity = vec![u8::try_from(said).unwrap()];
        assert_eq!(node.take(received).await, Taken::Handled, "{text}");
        said += 1;
        let answer = node.answer(said).await;
        assert!(answer.contains(wanted), "{text}: {answer}");
        node.end().await;
    }
    market.close().await;
}

async fn the_reply_leaves_as_the_number_that_was_texted(database: Database) {
    let (market, node) = opened(database).await;
    node.texted("RC 50").await;
    let rows = node.outbox().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].recipient, ME);
    assert_eq!((rows[0].route.as_deref(), rows[0].sender.as_deref()), (Some("carrier"), Some(US)));
    node.end().await;
    market.close().await;
}

async fn the_same_text_again_is_acknowledged_and_ignored(database: Database) {
    let (market, node) = opened(database).await;
    let after = |seconds: u64| market.clock.advance(Duration::from_secs(seconds));
    // A command: a minute long, over whatever link.
    assert_eq!(node.texted("RECHARGE").await, Taken::Handled);
    assert_eq!(node.texted("RECHARGE").await, Taken::Duplicate);
    // An answer: ten seconds long.
    assert_eq!(node.texted("2").await, Taken::Handled);
    assert_eq!(node.texted("2").await, Taken::Duplicate);
    after(9);
    assert_eq!(node.texted("2").await, Taken::Duplicate);
    assert_eq!(node.said().await.len(), 2);
    after(2);
    assert_eq!(node.texted("2").await, Taken::Handled, "the caller says it again");
    assert_eq!(node.said().await.len(), 3);
    // Another reference, another text.
    let mut other = text_of("2");
    other.identity = vec![9];
    assert_eq!(node.take(other).await, Taken::Handled);
    assert_eq!(node.said().await.len(), 4);
    node.end().await;
    market.close().await;
}

async fn what_comes_again_when_a_link_is_gone_is_told_again(database: Database) {
    let (market, node) = opened(database).await;
    let over = |n: u8, text: &str| {
        let mut received = text_of(text);
        received.link = link(n);
        node.take(received)
    };
    over(1, "RECHARGE").await;
    over(1, "2").await;
    let asked = node.said().await[1].clone();
    assert!(asked.contains("Number to recharge"), "{asked}");
    market.clock.advance(Duration::from_secs(30));
    // The first link is still there: it is another text, and a wrong answer.
    assert_eq!(over(2, "2").await, Taken::Handled);
    assert!(node.said().await[2].len() > asked.len(), "{:?}", node.said().await);
    market.clock.advance(Duration::from_secs(30));
    node.down.lock().unwrap().insert(link(2));
    assert_eq!(over(3, "2").await, Taken::Handled);
    let said = node.said().await;
    assert!(said[3].contains("Number to recharge") && said[3].len() <= asked.len(), "{said:?}");
    assert_eq!(node.desk.figures().told_again, 1);
    // The next one counts.
    market.clock.advance(Duration::from_secs(30));
    assert_eq!(over(3, "2").await, Taken::Handled);
    assert_eq!(node.desk.figures().told_again, 1);
    node.end().await;
    market.close().await;
}

async fn a_command_wins_unless_it_answers_the_question(database: Database) {
    let (market, node) = opened(database).await;
    node.texted("RECHARGE").await;
    node.texted("2").await;
    assert!(node.said().await[1].contains("Number to recharge"));
    // In the middle of one command comes another.
    node.texted("RC 50").await;
    let said = node.said().await;
    assert!(said[2].contains("reply with your PIN"), "{said:?}");
    // And what is neither is a wrong answer to the question.
    node.texted("hello").await;
    let said = node.said().await;
    assert_eq!(said.len(), 4);
    assert!(said[3].contains("PIN"), "{said:?}");
    node.end().await;
    market.close().await;
}

async fn full_width_and_arabic_digits_are_digits(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
    node.texted("ｒｃ　５０").await;
    assert!(node.answer(1).await.contains("reply with your PIN"));
    node.texted("٧٣٩١５４").await;
    assert!(node.answer(2).await.contains("50"), "{:?}", node.said().await);
    node.end().await;
    market.close().await;
}

async fn nonsense_is_helped_a_few_times(database: Database) {
    let (market, node) = opened(database).await;
    for n in 0..6 {
        assert_eq!(node.texted(&format!("hello {n}")).await, Taken::Handled);
    }
    let said = node.said().await;
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("RC amount"), "{said:?}");
    assert_eq!((node.desk.figures().helped, node.desk.figures().silent), (3, 3));
    // A command is answered all the same, and what begins like one is told how it goes on.
    assert_eq!(node.texted("RC 50").await, Taken::Handled);
    assert_eq!(node.said().await.len(), 4);
    market.clock.advance(Duration::from_secs(3_700));
    node.desk.sweep().await.unwrap();
    node.texted("RC").await;
    let said = node.said().await;
    assert!(said.last().unwrap().contains("RC amount"), "{said:?}");
    // Who wants to be left alone is.
    node.texted("STOP").await;
    node.texted("what?").await;
    assert_eq!(node.said().await.len(), said.len());
    node.end().await;
    market.close().await;
}

async fn who_is_no_number_is_never_answered(database: Database) {
    let (market, node) = opened(database).await;
    for from in ["KEYTONE", "10086", "", "Bank 24"] {
        for text in ["RC 50", "RECHARGE", "hello", "1"] {
            let mut received = text_of(text);
            received.from = Origin::written(from, &country());
            assert_eq!(node.take(received).await, Taken::Handled);
        }
    }
    assert!(node.outbox().await.is_empty());
    assert_eq!(node.desk.figures().silent, 16);
    node.end().await;
    market.close().await;
}

async fn a_number_is_believed_only_on_a_trusted_route(database: Database) {
    let (market, node) = opened(database).await;
    let mut received = text_of("RC 50");
    received.trusted = false;
    node.take(received).await;
    let said = node.said().await;
    assert!(said[0].contains("Mobile number of your account"), "{said:?}");
    node.end().await;
    market.close().await;
}

async fn a_thread_that_is_left_ends(database: Database) {
    let (market, node) = opened(database).await;
    node.texted("RECHARGE").await;
    market.clock.advance(Duration::from_secs(601));
    assert_eq!(node.desk.sweep().await.unwrap(), 1);
    assert_eq!(node.desk.sweep().await.unwrap(), 0);
    // What would have been an answer is nonsense now.
    node.texted("1").await;
    assert!(node.said().await[1].contains("RC amount"), "{:?}", node.said().await);
    node.end().await;
    market.close().await;
}

async fn too_many_at_once_are_refused_for_now(database: Database) {
    let market = Market::open_at(Clock::manual(START), database, |_| {}).await;
    market.account(ME, 500_000).await;
    let settings =
        desk::Settings { lines: desk::Lines { sender_max: 4, all_max: 100 }, ..desk::Settings::default() };
    let node = Node::with(market.payments.clone(), market.clock.clone(), "reply", Push::default(), settings);
    let taken: Vec<_> = (0..6).map(|n| node.desk.receive(text_of(&format!("hello {n}")))).collect();
    let mut refused = 0;
    for taken in taken {
        refused += usize::from(taken.await.is_err());
    }
    assert_eq!((refused, node.desk.figures().refused), (2, 2));
    node.end().await;
    market.close().await;
}

on_both_databases!(
    threads: a_thread_goes_on_through_restarts,
    the_reply_leaves_as_the_number_that_was_texted,
    the_same_text_again_is_acknowledged_and_ignored,
    what_comes_again_when_a_link_is_gone_is_told_again,
    a_command_wins_unless_it_answers_the_question,
    full_width_and_arabic_digits_are_digits,
    nonsense_is_helped_a_few_times,
    who_is_no_number_is_never_answered,
    a_number_is_believed_only_on_a_trusted_route,
    a_thread_that_is_left_ends,
    too_many_at_once_are_refused_for_now,
);
