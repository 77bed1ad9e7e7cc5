//! The next carrier: when it is tried, when it is not, and what comes late.

use std::time::Duration;

use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::answer::{PayOutcome, Quote};
use keytone::payment::row::State;
use keytone::payment::run::Scope;
use keytone::payment::run::reconcile::Compared;
use keytone::payment::statement::{Class, Line, Status};

use crate::routes::carriers::{Asked, Carriers, ME, OTHER, Said, Town};
use crate::support::market::{Database, phone};

/// The first carrier says this, the others deliver.
fn first_says(said: Said) -> impl FnMut(&Asked, usize) -> Said + Send + 'static {
    move |asked, _| if asked.carrier == "first" { said.clone() } else { Said::Word(200, "DELIVERED") }
}

fn refused(class: &str) -> PayOutcome {
    PayOutcome::Refused { class: class.to_owned() }
}

pub(super) async fn the_next_carrier_is_tried_after_a_refusal_of_its_own(database: Database) {
    let carriers = Carriers::new(first_says(Said::Word(422, "DOWN")));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    let mut floats = 0;
    for (n, said) in [
        Said::Word(422, "DOWN"),
        Said::Word(422, "NO_CREDIT"),
        Said::Word(401, "UNAUTHORISED"),
        Said::Word(422, "NO_PRODUCT"),
        Said::NotSent,
    ]
    .into_iter()
    .enumerate()
    {
        carriers.now_say(first_says(said.clone()));
        let target = format!("+861380000001{n}");
        let (id, outcome) = town.pay(account, &target, 5_000).await;
        assert_eq!(outcome.name(), "delivered", "{said:?}");
        let payment = town.payment(id).await;
        assert_eq!((payment.connector.as_str(), payment.cost_minor), ("second", 4_500));
        let attempts = town.attempts(id).await;
        let told: Vec<_> = attempts.iter().map(|(c, _, o)| (c.as_str(), o.as_str())).collect();
        let wanted = if matches!(said, Said::NotSent) { "not_sent" } else { "refused" };
        assert_eq!(told, [("first", wanted), ("second", "delivered")]);
        assert_ne!(attempts[0].1, attempts[1].1, "a reference of its own");
        assert_eq!(carriers.submits("second").last().unwrap().reference, attempts[1].1);
        floats += 4_500;
        let view = town.payments.payment(id).await.unwrap().unwrap();
        let states: Vec<State> = view.events.iter().map(|e| e.state).collect();
        assert_eq!(
            states,
            [State::Authorised, State::Submitting, State::Submitting, State::Delivered],
            "{:?}",
            view.events
        );
        let texts = town.store.outbox_of(id).await.unwrap();
        assert_eq!(texts.len(), 1, "one result is told: {texts:?}");
    }
    assert_eq!(town.money(account).await, (475_000, 0));
    assert_eq!(town.house(House::Float("second")).await, floats);
    assert_eq!(town.house(House::Commission("second")).await, 25_000 - floats);
    assert_eq!(town.house(House::Float("first")).await, 0);
    // All that sell the amount refuse: the last word is told.
    carriers
        .now_say(|asked, _| Said::Word(422, if asked.carrier == "third" { "NO_PRODUCT" } else { "DOWN" }));
    let (id, outcome) = town.pay(account, OTHER, 10_000).await;
    assert_eq!(outcome, refused("product_unavailable"));
    assert_eq!(town.attempts(id).await.len(), 3);
    assert_eq!(town.money(account).await, (475_000, 0));
    town.close().await;
}

pub(super) async fn refusals_of_the_number_end_it(database: Database) {
    let carriers = Carriers::new(first_says(Said::Word(422, "BARRED")));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    for (word, class) in [("BARRED", "subscriber_barred"), ("BAD_NUMBER", "bad_number")] {
        carriers.now_say(first_says(Said::Word(422, word)));
        let (_, outcome) = town.pay(account, OTHER, 5_000).await;
        assert_eq!(outcome, refused(class));
    }
    assert!(carriers.submits("second").is_empty());
    assert_eq!(town.money(account).await, (500_000, 0));
    town.close().await;
}

pub(super) async fn what_is_unknown_is_never_tried_elsewhere(database: Database) {
    let carriers = Carriers::new(|asked, before| match (asked.submit, before) {
        (true, _) => Said::Lost,
        (false, 0) => Said::Lost,
        (false, _) => Said::Word(200, "DOWN"),
    });
    let town = Town::open_with(database, &carriers, |plans| {
        plans.settings.answer_within = Duration::from_millis(50);
    })
    .await;
    let account = town.account(ME, 500_000).await;
    let (id, _) = town.pay(account, OTHER, 5_000).await;
    let payment = town.until_state(id, State::Refused).await;
    assert_eq!(payment.class.as_deref(), Some("carrier_down"), "known to be refused, and nothing more");
    assert!(carriers.submits("second").is_empty());
    assert_eq!(carriers.submits("first").len(), 1);
    // Unknown, then taken, then refused: it was unknown once.
    carriers.now_say(|asked, _| match asked.submit {
        true => Said::Lost,
        false => Said::Word(200, "PENDING"),
    });
    let (id, _) = town.pay(account, ME, 5_000).await;
    town.until_state(id, State::Submitted).await;
    let reference = town.attempts(id).await[0].1.clone();
    assert_eq!(town.callback("first", &reference, "DOWN").await, 200);
    assert_eq!(town.payment(id).await.state, State::Refused);
    assert!(carriers.submits("second").is_empty());
    town.close().await;
}

pub(super) async fn what_was_taken_and_then_refused_goes_on(database: Database) {
    let carriers = Carriers::new(first_says(Said::Word(202, "PENDING")));
    let town = Town::open_with(database, &carriers, |plans| {
        plans.settings.answer_within = Duration::from_millis(100);
        plans.settings.status_schedule = vec![Duration::from_secs(600)];
    })
    .await;
    let account = town.account(ME, 500_000).await;
    let (id, outcome) = town.pay(account, OTHER, 5_000).await;
    assert_eq!(outcome.name(), "pending");
    town.until_state(id, State::Submitted).await;
    let reference = town.attempts(id).await[0].1.clone();
    for _ in 0..3 {
        assert_eq!(town.callback("first", &reference, "DOWN").await, 200);
    }
    town.until_state(id, State::Delivered).await;
    assert_eq!(carriers.submits("second").len(), 1, "the callback came three times");
    assert_eq!(town.money(account).await, (495_000, 0));
    town.close().await;
    // Too late for another try: the caller has gone to another shop.
    let carriers = Carriers::new(first_says(Said::Word(422, "DOWN")));
    let town =
        Town::open_with(database, &carriers, |plans| plans.settings.failover_within = Duration::ZERO).await;
    let account = town.account(ME, 500_000).await;
    assert_eq!(town.pay(account, OTHER, 5_000).await.1, refused("carrier_down"));
    assert!(carriers.submits("second").is_empty());
    town.close().await;
}

pub(super) async fn what_was_not_sent_goes_on(database: Database) {
    let carriers = Carriers::new(|asked, _| match asked.carrier {
        "third" => Said::Word(200, "DELIVERED"),
        _ => Said::NotSent,
    });
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    assert_eq!(town.pay(account, OTHER, 10_000).await.1.name(), "delivered");
    assert_eq!(town.pay(account, OTHER, 5_000).await.1, refused("carrier_down"), "the third sells no 50");
    assert_eq!(town.house(House::Float("third")).await, 10_000);
    town.close().await;
}

pub(super) async fn suspended_carriers_are_passed_over(database: Database) {
    let carriers = Carriers::new(first_says(Said::Word(422, "DOWN")));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    town.payments.suspend(Scope::Carrier, "second").await.unwrap();
    assert_eq!(town.pay(account, OTHER, 5_000).await.1, refused("carrier_down"), "nobody is left");
    assert_eq!(town.pay(account, OTHER, 10_000).await.1.name(), "delivered");
    assert!(carriers.submits("second").is_empty());
    assert_eq!(carriers.submits("third").len(), 1);
    town.payments.resume(Scope::Carrier, "second").await.unwrap();
    town.payments.suspend(Scope::Carrier, "first").await.unwrap();
    let before = carriers.submits("first").len();
    assert_eq!(town.pay(account, ME, 5_000).await.1.name(), "delivered", "at once by the second");
    assert_eq!(carriers.submits("first").len(), before);
    town.payments.suspend(Scope::Carrier, "second").await.unwrap();
    assert_eq!(town.pay(account, "+8613800000003", 5_000).await.1, PayOutcome::Suspended);
    town.close().await;
}

pub(super) async fn a_crash_after_the_change_asks_the_second_and_sends_nothing(database: Database) {
    for status in ["DELIVERED", "NOT_FOUND"] {
        let carriers = Carriers::new(|asked, _| match asked.carrier {
            "first" => Said::Word(422, "DOWN"),
            _ => Said::Never,
        });
        let town = Town::open_with(database, &carriers, |plans| {
            plans.settings.answer_within = Duration::from_millis(50);
        })
        .await;
        let account = town.account(ME, 500_000).await;
        let (id, outcome) = town.pay(account, OTHER, 5_000).await;
        assert_eq!(outcome.name(), "pending");
        town.until(id, |p| p.connector == "second").await;
        while carriers.submits("second").is_empty() {
            tokio::task::yield_now().await;
        }
        // The process ends while the second is asked; the next one finds one attempt that may have left.
        let answer = if status == "DELIVERED" { Said::Word(200, status) } else { Said::Word(404, status) };
        carriers.now_say(move |asked, _| match (asked.carrier, asked.submit) {
            ("second", false) => answer.clone(),
            other => panic!("{other:?} was asked"),
        });
        let town = town.killed().await;
        let wanted = if status == "DELIVERED" { State::Delivered } else { State::Refused };
        town.until_state(id, wanted).await;
        assert_eq!((carriers.submits("first").len(), carriers.submits("second").len()), (1, 1));
        assert!(carriers.questions("second") > 0 && carriers.questions("first") == 0);
        let left = if wanted == State::Delivered { 495_000 } else { 500_000 };
        assert_eq!(town.money(account).await, (left, 0));
        town.close().await;
    }
}

pub(super) async fn a_crash_before_the_change_ends_with_the_first(database: Database) {
    let carriers = Carriers::new(|_, _| Said::Never);
    let town = Town::open_with(database, &carriers, |plans| {
        plans.settings.answer_within = Duration::from_millis(50);
    })
    .await;
    let account = town.account(ME, 500_000).await;
    let (id, _) = town.pay(account, OTHER, 5_000).await;
    while carriers.submits("first").is_empty() {
        tokio::task::yield_now().await;
    }
    // It had refused, but nobody lived to hear it: after the crash it was unknown, and so it is only asked.
    carriers.now_say(|asked, _| {
        assert!(!asked.submit, "{asked:?}");
        Said::Word(200, "DOWN")
    });
    let town = town.killed().await;
    town.until_state(id, State::Refused).await;
    assert!(carriers.submits("second").is_empty());
    assert_eq!(town.money(account).await, (500_000, 0));
    town.close().await;
}

pub(super) async fn a_late_delivery_of_the_first_is_the_houses_loss(database: Database) {
    let carriers = Carriers::new(first_says(Said::Word(422, "DOWN")));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    let (id, _) = town.pay(account, OTHER, 5_000).await;
    let attempts = town.attempts(id).await;
    let version = town.payment(id).await.version;
    for _ in 0..3 {
        assert_eq!(town.callback("first", &attempts[0].1, "DELIVERED").await, 200);
    }
    assert_eq!(town.payment(id).await.version, version + 1, "booked once");
    assert_eq!(town.payment(id).await.state, State::Delivered);
    assert_eq!(town.money(account).await, (495_000, 0), "the customer pays once");
    assert_eq!(town.house(House::Loss).await, -4_850);
    assert_eq!(town.house(House::Float("first")).await, 4_850);
    // News of one carrier's reference by another is nobody's.
    assert_eq!(town.callback("second", &attempts[0].1, "REVERSED").await, 404);
    for word in ["REVERSED", "DELIVERED", "DOWN"] {
        assert_eq!(town.callback("first", &attempts[0].1, word).await, 200);
    }
    assert_eq!(town.house(House::Loss).await, 0);
    assert_eq!(town.house(House::Float("first")).await, 0);
    assert_eq!(town.payment(id).await.state, State::Delivered);
    // The second takes its own back: the customer gets everything.
    assert_eq!(town.callback("second", &attempts[1].1, "REVERSED").await, 200);
    assert_eq!(town.payment(id).await.state, State::Reversed);
    assert_eq!(town.money(account).await, (500_000, 0));
    town.close().await;
}

pub(super) async fn amounts_decide_who_may_be_tried(database: Database) {
    let carriers = Carriers::new(|_, _| Said::Word(200, "DELIVERED"));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    let quote = async |amount_minor: i64| {
        let channel = keytone::payment::answer::Channel::Voice;
        town.payments.quote(account, channel, &phone(OTHER), amount_minor, false).await.unwrap()
    };
    assert!(matches!(quote(3_000).await, Quote::Ok { .. }), "a step of the second's range");
    assert_eq!(quote(3_500).await, Quote::NotDesignated);
    assert_eq!(quote(51_000).await, Quote::NotDesignated);
    assert_eq!(town.pay(account, OTHER, 3_500).await.1, refused("amount_not_allowed"));
    let (id, outcome) = town.pay(account, OTHER, 3_000).await;
    assert_eq!((outcome.name(), town.payment(id).await.connector.as_str()), ("delivered", "second"));
    // A ported number goes to the carrier of its new operator, from one payment to the next.
    let plan = town.payments.plan();
    plan.set_ported(plan.read_ported(&format!("{OTHER},unicom\n")).unwrap());
    assert_eq!(town.pay(account, OTHER, 5_000).await.1, refused("amount_not_allowed"));
    let (id, outcome) = town.pay(account, OTHER, 3_000).await;
    assert_eq!(outcome.name(), "duplicate", "{outcome:?}");
    assert!(town.store.payment(id).await.unwrap().is_none());
    let mut again = town.request(account, OTHER, 3_000);
    again.repeat = true;
    assert_eq!(town.payments.pay(again).await.unwrap().name(), "delivered");
    assert_eq!(carriers.submits("third").len(), 1);
    town.close().await;
}

fn line(number: i64, reference: &str, status: Status, at: i64) -> Line {
    Line {
        number,
        our_reference: Some(reference.to_owned()),
        carrier_reference: None,
        phone: Some(OTHER.to_owned()),
        amount_minor: 5_000,
        at: Some(at),
        status,
    }
}

pub(super) async fn statements_of_both_carriers_find_the_payment(database: Database) {
    let carriers = Carriers::new(first_says(Said::Word(422, "DOWN")));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    let (id, _) = town.pay(account, OTHER, 5_000).await;
    let attempts = town.attempts(id).await;
    let now = town.clock.now().0;
    let compare = async |connector: &str, lines: &[Line]| {
        let asked = Compared {
            id: Id::new(now),
            connector,
            lines,
            unreadable: &[],
            covers: (now - 60_000_000, now + 60_000_000),
            costs: false,
            drift_us: 60_000_000,
        };
        let read = town.payments.reconcile(&asked, "ana").await.unwrap().unwrap();
        assert!(read.asked.is_empty(), "{:?}", read.asked);
        read.findings.iter().map(|f| f.class).collect::<Vec<_>>()
    };
    assert_eq!(compare("second", &[line(1, &attempts[1].1, Status::Delivered, now)]).await, [Class::Matched]);
    assert_eq!(compare("first", &[]).await, [], "nothing is expected of who refused");
    assert_eq!(compare("first", &[line(1, &attempts[0].1, Status::Refused, now)]).await, [Class::Matched]);
    let differs = compare("first", &[line(1, &attempts[0].1, Status::Delivered, now)]).await;
    assert_eq!(differs, [Class::StatusDiffers], "a person must look");
    assert_eq!(compare("second", &[]).await, [Class::OursOnly]);
    town.close().await;
}
