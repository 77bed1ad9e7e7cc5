//! Answers that look definite and are not, and money that two would give back.

use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::row::State;
use keytone::payment::run::staff::{Asked as Wish, Refused};
use keytone::payment::staff::{Act, Refusal};

use crate::routes::carriers::{Carriers, ME, Said, Town, silent};
use crate::support::market::Database;

pub(super) async fn a_repetition_that_is_refused_leaves_the_first_unknown(database: Database) {
    let words = ["NO_CREDIT", "DOWN", "UNAUTHORISED", "NO_PRODUCT"];
    let carriers = Carriers::new(move |_, before| match before {
        0 => Said::Lost,
        n if n <= words.len() => {
            Said::Word(if words[n - 1] == "UNAUTHORISED" { 401 } else { 422 }, words[n - 1])
        }
        _ => Said::Word(200, "DELIVERED"),
    });
    let town = Town::open_with(database, &carriers, |plans| {
        plans.files[0] = silent("first");
        plans.settings.answer_within = std::time::Duration::from_millis(100);
    })
    .await;
    let account = town.account(ME, 50_000).await;
    let (id, outcome) = town.pay(account, ME, 5_000).await;
    assert_eq!(outcome.name(), "pending");
    town.until_state(id, State::Delivered).await;
    let submits = carriers.submits("first");
    assert_eq!(submits.len(), words.len() + 2);
    assert!(submits.iter().all(|s| s.reference == submits[0].reference), "always the same reference");
    assert!(carriers.submits("second").is_empty(), "never after unknown");
    let states: Vec<State> =
        town.payments.payment(id).await.unwrap().unwrap().events.iter().map(|e| e.state).collect();
    assert!(!states.contains(&State::Refused), "{states:?}");
    assert_eq!(town.money(account).await, (45_000, 0));
    town.close().await;
}

fn refund(town: &Town, payment: Id, amount_minor: i64) -> Wish {
    Wish {
        id: Id::new(town.clock.now().0),
        who: "ana".to_owned(),
        reason: "goodwill".to_owned(),
        evidence: "ticket 7".to_owned(),
        act: Act::Refund { payment, amount_minor },
    }
}

async fn delivered(town: &Town, account: Id, target: &str) -> (Id, String) {
    let (id, outcome) = town.pay(account, target, 5_000).await;
    assert_eq!(outcome.name(), "delivered", "{outcome:?}");
    (id, town.attempts(id).await[0].1.clone())
}

pub(super) async fn a_reversal_after_a_refund_pays_the_customer_once(database: Database) {
    let town = Town::open(database, &Carriers::new(|_, _| Said::Word(200, "DELIVERED"))).await;
    let account = town.account(ME, 50_000).await;
    for (n, refunded) in [0, 2_000, 5_000].into_iter().enumerate() {
        let (id, reference) = delivered(&town, account, &format!("+861380000000{n}")).await;
        if refunded > 0 {
            town.payments.ask_staff(&refund(&town, id, refunded)).await.unwrap().unwrap();
            assert_eq!(town.house(House::Loss).await, -refunded);
        }
        for _ in 0..2 {
            assert_eq!(town.callback("first", &reference, "REVERSED").await, 200);
        }
        assert_eq!(town.payment(id).await.state, State::Reversed);
        assert_eq!(town.money(account).await, (50_000, 0), "what was paid, and nothing more");
        assert_eq!(town.house(House::Loss).await, 0, "the goodwill came back to who gave it");
        let late = town.payments.ask_staff(&refund(&town, id, 1)).await.unwrap();
        assert_eq!(late, Err(Refused::Rule(Refusal::NotDelivered(State::Reversed))));
    }
    town.close().await;
}

pub(super) async fn a_refund_and_a_reversal_at_once_pay_once(database: Database) {
    let town = Town::open(database, &Carriers::new(|_, _| Said::Word(200, "DELIVERED"))).await;
    let account = town.account(ME, 50_000).await;
    for n in 0..12 {
        let (id, reference) = delivered(&town, account, &format!("+86138000000{n:02}")).await;
        let wish = refund(&town, id, 5_000);
        let (_, status) =
            tokio::join!(town.payments.ask_staff(&wish), town.callback("first", &reference, "REVERSED"),);
        assert_eq!(status, 200);
        assert_eq!(town.payment(id).await.state, State::Reversed);
        assert_eq!(town.money(account).await, (50_000, 0));
        assert_eq!(town.house(House::Loss).await, 0);
    }
    town.close().await;
}

pub(super) async fn a_contradiction_after_a_refund_pays_once(database: Database) {
    let town = Town::open(database, &Carriers::new(|_, _| Said::Word(200, "DELIVERED"))).await;
    let account = town.account(ME, 50_000).await;
    for (n, then) in ["BARRED", "DELIVERED"].into_iter().enumerate() {
        let (id, reference) = delivered(&town, account, &format!("+861380000000{n}")).await;
        town.payments.ask_staff(&refund(&town, id, 2_000)).await.unwrap().unwrap();
        assert_eq!(town.callback("first", &reference, "BARRED").await, 200);
        assert_eq!(town.payment(id).await.state, State::NeedsReview);
        assert_eq!(town.money(account).await, (52_000, 5_000), "held until it is clear");
        let none = town.payments.ask_staff(&refund(&town, id, 1)).await.unwrap();
        assert_eq!(none, Err(Refused::Rule(Refusal::NotDelivered(State::NeedsReview))));
        assert_eq!(town.callback("first", &reference, then).await, 200);
        if then == "DELIVERED" {
            assert_eq!(town.money(account).await, (47_000, 0), "delivered, and the goodwill stays his");
            assert_eq!(town.callback("first", &reference, "REVERSED").await, 200);
        }
        assert!(matches!(town.payment(id).await.state, State::Refused | State::Reversed));
        assert_eq!((town.money(account).await, town.house(House::Loss).await), ((50_000, 0), 0));
    }
    town.close().await;
}
