//! A caller who drops and is back: asked whether to go on, told first what came of a payment, and never asked by a state
//! that holds his PIN. Sessions over the real payment core, on both databases.

use std::sync::Arc;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::event::{Answer, Channel};
use keytone::secret::Secret;
use keytone::session::registry::{Edition, KEPT_FOR, Registry};
use keytone::session::{Opening, Session, Then, Turn};

use crate::support::market::{Database, Market, PIN, cny, phone};

const ME: &str = "+8613800000001";

fn catalog(resume: &str, comment: &str) -> Catalog {
    let flow = include_str!("../dialplans/recharge.flow");
    let flow =
        flow.replace("  visits 6 then goodbye\n", &format!("  visits 6 then goodbye\n{resume}{comment}"));
    let sources = Sources {
        flows: vec![
            SourceFile::new("recharge.flow", flow),
            SourceFile::new("stranger.flow", include_str!("../dialplans/stranger.flow")),
            SourceFile::new("vouch.flow", include_str!("../dialplans/vouch.flow")),
        ],
        messages: vec![SourceFile::new("en.msg", include_str!("../dialplans/messages/en.msg"))],
        numbers: vec![SourceFile::new("en/numbers.say", include_str!("../prompts/en/numbers.say"))],
        clips: None,
    };
    let settings = Settings { country: "86".into(), national_digits: (11, 11), ..Settings::of(cny()) };
    compile(&sources, &settings).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn session(market: &Market, catalog: &Catalog) -> Session {
    let opening = Opening {
        channel: Channel::Voice,
        caller: Some(phone(ME)),
        language: "en".into(),
        prefilled: Default::default(),
        draft: false,
        pin_waivable: false,
    };
    let program = catalog.program("recharge").unwrap();
    Session::new(Arc::clone(&program), opening, market.payments.clone(), market.clock.clone())
}

fn keys(turn: &Turn) -> Vec<String> {
    turn.say.iter().map(|utterance| utterance.name.to_string()).collect()
}

/// Performs what a turn asks for until the caller is asked, or it ends.
async fn settle(session: &mut Session, mut turn: Turn) -> (Vec<String>, Turn) {
    let mut said = keys(&turn);
    while let Then::Perform(task) = turn.then {
        let performed = session.perform(task).await;
        turn = session.resume(performed).await.unwrap();
        said.extend(keys(&turn));
    }
    (said, turn)
}

async fn started(session: &mut Session) -> Vec<String> {
    let turn = session.start().await.unwrap();
    settle(session, turn).await.0
}

async fn typed(session: &mut Session, answer: Answer) -> Vec<String> {
    let turn = session.answer(answer).await.unwrap();
    settle(session, turn).await.0
}

fn digits(text: &str) -> Answer {
    Answer::Digits(text.into())
}

async fn a_caller_who_drops_may_go_on(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let catalog = catalog("  resume 10m\n", "");
    let mut first = session(&market, &catalog);
    started(&mut first).await;
    assert!(typed(&mut first, Answer::Key('1')).await.contains(&"enter-amount".to_owned()));
    assert!(typed(&mut first, digits("50")).await.contains(&"enter-pin".to_owned()));
    first.leave(None).await.unwrap();
    // Two calls at once: one goes on, the other begins anew.
    let (mut second, mut third) = (session(&market, &catalog), session(&market, &catalog));
    let (a, b) = tokio::join!(started(&mut second), started(&mut third));
    let asked = |said: &[String]| said.contains(&"resume.question".to_owned());
    assert_eq!([asked(&a), asked(&b)].iter().filter(|asked| **asked).count(), 1, "{a:?} {b:?}");
    let mut back = if asked(&a) { second } else { third };
    // A third call while the second is live finds nothing; the second saves again when it drops.
    assert!(!asked(&started(&mut session(&market, &catalog)).await));
    assert!(typed(&mut back, Answer::Key('1')).await.contains(&"enter-pin".to_owned()));
    back.leave(None).await.unwrap();
    let mut back = session(&market, &catalog);
    assert!(asked(&started(&mut back).await));
    assert!(typed(&mut back, Answer::Key('1')).await.contains(&"enter-pin".to_owned()));
    let said = typed(&mut back, Answer::Secret(Secret::from(PIN))).await;
    assert!(said.contains(&"recharged".to_owned()), "{said:?}");
    // It has ended: the next call begins at the beginning.
    assert!(!asked(&started(&mut session(&market, &catalog)).await));
    market.close().await;
}

async fn starting_again_and_nothing_to_go_on_with(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let with = catalog("  resume 10m\n", "");
    let drop_after_one = async |catalog: &Catalog| {
        let mut session = session(&market, catalog);
        started(&mut session).await;
        typed(&mut session, Answer::Key('1')).await;
        session.leave(None).await.unwrap();
    };
    // Without a key pressed there is nothing to come back to.
    let mut silent = session(&market, &with);
    started(&mut silent).await;
    silent.leave(None).await.unwrap();
    assert!(started(&mut session(&market, &with)).await.contains(&"confirm-number".to_owned()));
    // The caller would rather start again.
    drop_after_one(&with).await;
    let mut back = session(&market, &with);
    assert!(started(&mut back).await.contains(&"resume.question".to_owned()));
    assert!(typed(&mut back, Answer::Key('2')).await.contains(&"confirm-number".to_owned()));
    back.leave(None).await.unwrap();
    // The flow has changed since: a polite new start, once.
    drop_after_one(&with).await;
    let changed = catalog("  resume 11m\n", "");
    let said = started(&mut session(&market, &changed)).await;
    assert!(said.contains(&"resume.vanished".to_owned()) && said.contains(&"confirm-number".to_owned()));
    assert!(!started(&mut session(&market, &changed)).await.contains(&"resume.vanished".to_owned()));
    // A flow that does not say `resume` saves nothing.
    let without = catalog("", "");
    drop_after_one(&without).await;
    assert!(market.payments.session_of(&phone(ME), "recharge").await.unwrap().is_none());
    market.close().await;
}

async fn a_conversation_goes_on_in_the_version_that_it_began_with(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let edition = |window: &str, media| {
        let catalog = Arc::new(catalog(&format!("  resume {window}\n"), ""));
        Edition { catalog, media, testers: Default::default() }
    };
    let first = edition("10m", "first");
    let version = |edition: &Edition<_>| edition.catalog.program("recharge").unwrap().version().to_owned();
    let versions = [version(&first), version(&edition("11m", "second"))];
    let clock = Clock::manual(market.clock.now());
    let registry = Registry::new(first, market.payments.clone(), clock.clone(), "en".to_owned(), 10);
    let open = || registry.open_voice("12584", Some(phone(ME))).unwrap();
    let drop_after_one = async || {
        let (mut session, _) = open();
        started(&mut session).await;
        assert!(typed(&mut session, Answer::Key('1')).await.contains(&"enter-amount".to_owned()));
        session.leave(None).await.unwrap();
    };
    drop_after_one().await;
    registry.serve(edition("11m", "second"));
    let (mut back, media) = open();
    assert_eq!((back.program().version(), media), (versions[1].as_str(), "second"));
    assert!(started(&mut back).await.contains(&"resume.question".to_owned()));
    assert_eq!(back.program().version(), versions[0]);
    assert_eq!(registry.media(back.program()), Some("first"), "and in its own voice");
    assert!(typed(&mut back, Answer::Key('1')).await.contains(&"enter-amount".to_owned()));
    back.leave(None).await.unwrap();
    // Once the older version is kept no longer, the conversation begins again and says so.
    clock.advance(KEPT_FOR);
    let (mut late, _) = open();
    let said = started(&mut late).await;
    assert!(said.contains(&"resume.vanished".to_owned()), "{said:?}");
    assert_eq!(late.program().version(), versions[1]);
    market.close().await;
}

async fn a_number_bound_elsewhere_since_begins_anew(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let catalog = catalog("  resume 10m\n", "");
    let mut first = session(&market, &catalog);
    started(&mut first).await;
    typed(&mut first, Answer::Key('1')).await;
    first.leave(None).await.unwrap();
    let row = market.payments.session_of(&phone(ME), "recharge").await.unwrap().unwrap();
    let other = keytone::payment::row::SessionRow {
        revision: row.revision + 1,
        account: Some(keytone::ledger::row::Id::new(1)),
        ..row
    };
    assert!(market.payments.save_session(other).await.unwrap());
    let said = started(&mut session(&market, &catalog)).await;
    assert!(!said.contains(&"resume.question".to_owned()) && said.contains(&"confirm-number".to_owned()));
    market.close().await;
}

async fn a_caller_who_drops_while_paying_hears_what_came_of_it(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let catalog = catalog("  resume 10m\n", "");
    let mut first = session(&market, &catalog);
    started(&mut first).await;
    typed(&mut first, Answer::Key('1')).await;
    typed(&mut first, digits("50")).await;
    let turn = first.answer(Answer::Secret(Secret::from(PIN))).await.unwrap();
    let Then::Perform(task) = turn.then else { panic!("{:?}", turn.then) };
    let saved = market.payments.session_of(&phone(ME), "recharge").await.unwrap().unwrap();
    assert!(!saved.state.contains(PIN), "no state holds a PIN");
    // The node dies with the call: nobody is left to wait for the outcome.
    let performing = first.perform(task);
    let paying = tokio::spawn(performing);
    let mut second = session(&market, &catalog);
    let patience = tokio::time::timeout(Duration::from_secs(30), async {
        while market.payments.outcome_of(saved.payment.unwrap()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    });
    patience.await.unwrap();
    drop((first, paying));
    let said = started(&mut second).await;
    assert!(said.contains(&"recharged".to_owned()), "{said:?}");
    assert!(market.payments.session_of(&phone(ME), "recharge").await.unwrap().is_none());
    market.close().await;
}

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::resume::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::resume::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    a_caller_who_drops_may_go_on,
    a_conversation_goes_on_in_the_version_that_it_began_with,
    starting_again_and_nothing_to_go_on_with,
    a_number_bound_elsewhere_since_begins_anew,
    a_caller_who_drops_while_paying_hears_what_came_of_it,
);
