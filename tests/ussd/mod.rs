//! USSD dialogues over the real payment core, on both databases: a telephone that dials and answers, and what it is shown.

mod asks;
mod dialogues;
mod doubles;
mod gateway;
mod money;
mod pushes;
mod sockets;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keytone::dialplan::catalog::{Settings, SourceFile, Sources, compile};
use keytone::msisdn::Msisdn;
use keytone::session::registry::{Edition, Registry};
use keytone::store::OutboxFilter;
use keytone::ussd::profile::Profile;
use keytone::ussd::{Desk, Error, Input, Phase, Route, Screen, Taken, Typed};

use crate::support::market::{Market, cny, phone};

/// The caller.
pub(crate) const ME: &str = "+8613800000001";
/// Somebody else.
pub(crate) const YOU: &str = "+8613800000002";
/// The route.
pub(crate) const AIR: &str = "air";
/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The shipped flow, in which a caller who drops may go on.
pub(crate) fn edition() -> Edition<()> {
    let flow = include_str!("../../dialplans/recharge.flow");
    let flow = flow.replace("  visits 6 then goodbye\n", "  visits 6 then goodbye\n  resume 10m\n");
    let flows = [
        ("recharge.flow", flow.as_str()),
        ("stranger.flow", include_str!("../../dialplans/stranger.flow")),
        ("vouch.flow", include_str!("../../dialplans/vouch.flow")),
    ];
    edition_of(&flows, &["en"])
}

/// These flows, in these languages.
pub(crate) fn edition_of(flows: &[(&str, &str)], languages: &[&str]) -> Edition<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let file =
        |name: String, path: String| SourceFile::new(name, std::fs::read_to_string(root.join(path)).unwrap());
    let messages =
        languages.iter().map(|tag| file(format!("{tag}.msg"), format!("dialplans/messages/{tag}.msg")));
    let numbers =
        languages.iter().map(|tag| file(format!("{tag}/numbers.say"), format!("prompts/{tag}/numbers.say")));
    let sources = Sources {
        flows: flows.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect(),
        messages: messages.collect(),
        numbers: numbers.collect(),
        clips: None,
    };
    let settings = Settings { country: "86".into(), national_digits: (11, 11), ..Settings::of(cny()) };
    let catalog = compile(&sources, &settings).unwrap_or_else(|faults| panic!("{faults:?}"));
    Edition { catalog: Arc::new(catalog), media: (), testers: BTreeSet::new() }
}

pub(crate) fn registry(market: &Market, live_max: usize) -> Registry<()> {
    Registry::new(edition(), market.payments.clone(), market.clock.clone(), "en".into(), live_max)
}

pub(crate) fn route() -> Route {
    Route::of(AIR, true, &Profile::default())
}

pub(crate) fn desk(market: &Market) -> Desk<()> {
    desk_with(market, |_| {})
}

pub(crate) fn desk_with(market: &Market, change: impl FnOnce(&mut Route)) -> Desk<()> {
    let mut route = route();
    change(&mut route);
    Desk::new(registry(market, 100), vec![route], market.clock.clone())
}

pub(crate) fn typed(text: &str) -> Typed {
    Typed::new(text.to_owned())
}

pub(crate) fn begin(code: &str) -> Phase {
    Phase::Begin { dialled: typed(code) }
}

pub(crate) fn answer(text: &str) -> Phase {
    Phase::Answer { text: typed(text) }
}

/// A telephone in one dialogue.
#[derive(Clone)]
pub(crate) struct Phone {
    pub(crate) desk: Desk<()>,
    pub(crate) number: Msisdn,
    pub(crate) dialogue: Option<String>,
}

impl Phone {
    pub(crate) fn new(desk: &Desk<()>, number: &str, dialogue: &str) -> Self {
        Self { desk: desk.clone(), number: phone(number), dialogue: Some(dialogue.to_owned()) }
    }

    pub(crate) fn input(&self, phase: Phase) -> Input {
        Input {
            route: AIR.to_owned(),
            dialogue: self.dialogue.clone(),
            msisdn: self.number.clone(),
            trusted: true,
            code: "125".to_owned(),
            phase,
        }
    }

    pub(crate) async fn take(&self, phase: Phase) -> Result<Taken, Error> {
        self.desk.take(self.input(phase)).await
    }

    /// What is shown in the end, if anything.
    pub(crate) async fn shown(&self, phase: Phase) -> Option<Screen> {
        match self.take(phase).await.unwrap() {
            Taken::Screen(screen) => Some(screen),
            Taken::Later(later) => tokio::time::timeout(PATIENCE, later).await.expect("a screen in time"),
            Taken::Duplicate | Taken::Gone => None,
        }
    }

    /// The text of a screen that waits for an answer.
    pub(crate) async fn asked(&self, phase: Phase) -> String {
        let screen = self.shown(phase).await.expect("a screen");
        assert!(!screen.end, "{screen:?}");
        screen.text
    }

    /// The text of the last screen.
    pub(crate) async fn told(&self, phase: Phase) -> String {
        let screen = self.shown(phase).await.expect("a screen");
        assert!(screen.end, "{screen:?}");
        screen.text
    }

    pub(crate) async fn abort(&self) {
        assert!(matches!(self.take(Phase::Abort).await.unwrap(), Taken::Gone));
    }
}

#[track_caller]
pub(crate) fn says(text: &str, words: &str) {
    assert!(text.contains(words), "not \"{words}\" in \"{text}\"");
}

/// The text messages that are queued for a number, the latest last.
pub(crate) async fn texts(market: &Market, number: &str) -> Vec<String> {
    let filter = OutboxFilter {
        state: None,
        recipient: Some(number.to_owned()),
        route: None,
        since: None,
        limit: 100,
    };
    let mut rows = market.payments.outbox_list(&filter).await.unwrap();
    rows.reverse();
    // The payment's plain result waits for a better message, which takes its place.
    let now = market.clock.now().0;
    rows.retain(|row| row.code.as_deref() != Some("replaced") && row.due_at <= now);
    rows.into_iter().map(|row| row.body).collect()
}

/// Waits until there are so many text messages.
pub(crate) async fn until_texts(market: &Market, number: &str, count: usize) -> Vec<String> {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let texts = texts(market, number).await;
            if texts.len() >= count {
                return texts;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    match waited.await {
        Ok(texts) => texts,
        Err(_) => panic!("{:?}", texts(market, number).await),
    }
}

/// No dialogue is left, and the books are sound.
pub(crate) async fn close(market: Market, desks: &[Desk<()>]) {
    for desk in desks {
        tokio::time::timeout(PATIENCE, desk.idle()).await.expect("nothing is under way any more");
    }
    market.close().await;
}

macro_rules! on_both_databases {
    ($subject:ident: $($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::ussd::$subject::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::ussd::$subject::$name(Database::Postgres).await; })*
        }
    };
}

pub(crate) use on_both_databases;
