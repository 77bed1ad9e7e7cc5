//! A process that dies while an order is paid, or its receipt confirmed: whoever takes the conversation up tells the order's
//! own outcome.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keytone::dialplan::catalog::{Settings, SourceFile, Sources, compile};
use keytone::dialplan::event::{Answer, Channel};
use keytone::ledger::row::Id;
use keytone::secret::Secret;
use keytone::session::kept::{Kept, Settled};
use keytone::session::registry::{Edition, Registry};
use keytone::session::writes::Writes;
use keytone::session::{Opening, Session, Then, Turn};
use serde_json::json;

use super::{ME, Shop};
use crate::support::market::{Database, PIN, cny, phone};

async fn go_on(session: &mut Session, mut turn: Turn) -> Turn {
    while let Then::Perform(task) = turn.then {
        let performed = session.perform(task).await;
        turn = session.resume(performed).await.unwrap();
    }
    turn
}

pub(super) async fn what_was_paid_is_told_after_a_crash(database: Database) {
    let shop = Shop::open(database, None).await;
    let market = &shop.market;
    shop.place("k1", json!({ "frozen": true })).await;
    let sources = Sources {
        flows: vec![SourceFile::new("orders.flow", include_str!("../../dialplans/orders.flow"))],
        messages: vec![SourceFile::new("en.msg", include_str!("../../dialplans/messages/en.msg"))],
        numbers: vec![SourceFile::new("en/numbers.say", include_str!("../../prompts/en/numbers.say"))],
        clips: None,
    };
    let settings = Settings { country: "86".into(), national_digits: (11, 11), ..Settings::of(cny()) };
    let catalog = compile(&sources, &settings).unwrap_or_else(|faults| panic!("{faults:?}"));
    let program = catalog.program("orders").unwrap();
    let edition = Edition { catalog: Arc::new(catalog), media: (), testers: BTreeSet::new() };
    let registry = Registry::new(edition, market.payments.clone(), market.clock.clone(), "en".into(), 100);
    for (keys, words) in
        [(&['1', '1'][..], "kept until you confirm receipt"), (&['2', '1', '1'], "goes to the merchant")]
    {
        let opening = Opening {
            channel: Channel::Ussd,
            caller: Some(phone(ME)),
            language: "en".into(),
            prefilled: Default::default(),
            draft: false,
            pin_waivable: false,
        };
        let mut session =
            Session::new(Arc::clone(&program), opening, market.payments.clone(), market.clock.clone());
        let turn = session.start().await.unwrap();
        go_on(&mut session, turn).await;
        for key in keys {
            let turn = session.answer(Answer::Key(*key)).await.unwrap();
            go_on(&mut session, turn).await;
        }
        session.keep(Kept {
            key: "ussd/sandbox".to_owned(),
            dialogue: None,
            route: "sandbox".to_owned(),
            number: phone(ME),
            window: Duration::from_secs(600),
        });
        let turn = session.answer(Answer::Secret(Secret::from(PIN))).await.unwrap();
        let Then::Perform(task) = turn.then else { panic!("{:?}", turn.then) };
        assert_eq!(session.settle(Writes::new()).await.unwrap(), Settled::Done);
        drop(session.perform(task).await);
        drop(session);
        let rows = market.payments.kept_sessions(Id([0; 16]), 10).await.unwrap();
        let row = rows.into_iter().next().unwrap();
        let id = row.id;
        registry.restore(row).unwrap().recover().await.unwrap();
        market.payments.end_session(id).await.unwrap();
        let queued = market.payments.outbox_claim(Duration::from_secs(60), 100).await.unwrap();
        assert!(queued.iter().any(|text| text.body.contains(words)), "{words}: {queued:?}");
    }
    shop.market.close().await;
}
