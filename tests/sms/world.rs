//! A desk and a dispatcher on a market, with a carrier and a way to callers that do as they are told.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::payment::run::Payments;
use keytone::session::kept::{Reach, Settled, Unreached};
use keytone::session::mailbox::{Mailbox, OutboxFilter};
use keytone::session::registry::{Edition, Registry};
use keytone::session::writes::Writes;
use keytone::session::{Id, OutboxRow, OutboxState, Session, SessionRow, Then};
use keytone::sms::address::{Country, Origin};
use keytone::sms::carry::{Carry, Outgoing, Readiness, Sending};
use keytone::sms::desk::{self, Desk};
use keytone::sms::dispatch::{self, Dispatcher};
use keytone::sms::received::{Received, Taken};
use keytone::sms::retry::Sent;
use keytone::sms::route::Route;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::support::market::{Market, cny};

/// The caller.
pub(crate) const ME: &str = "+8613800000001";
/// Our number.
pub(crate) const US: &str = "12580";
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The recharge flow with this PIN policy.
pub(crate) fn catalog(policy: &str) -> Catalog {
    let flow = include_str!("../../dialplans/recharge.flow")
        .replace("pin on sms callback", &format!("pin on sms {policy}"))
        .replace(
            "  serve sms \"RC {amount} [{phone}]\"\n",
            "  serve sms \"RC {amount} [{phone}]\"\n  serve sms \"RECHARGE\"\n",
        );
    let sources = Sources {
        flows: vec![
            SourceFile::new("recharge.flow", flow),
            SourceFile::new("stranger.flow", include_str!("../../dialplans/stranger.flow")),
            SourceFile::new("vouch.flow", include_str!("../../dialplans/vouch.flow")),
        ],
        messages: vec![SourceFile::new("en.msg", include_str!("../../dialplans/messages/en.msg"))],
        numbers: vec![SourceFile::new("en/numbers.say", include_str!("../../prompts/en/numbers.say"))],
        clips: None,
    };
    let settings = Settings { country: "86".into(), national_digits: (11, 11), ..Settings::of(cny()) };
    compile(&sources, &settings).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Whom a push reaches.
#[derive(Default)]
pub(crate) struct Push {
    /// Sessions that wait to be reached.
    pub(crate) reached: Mutex<Vec<Session>>,
    pub(crate) unreachable: bool,
}

impl Reach for Push {
    fn reach(&self, session: Session) -> Pin<Box<dyn Future<Output = Result<(), Unreached>> + Send>> {
        let unreached = self.unreachable;
        if !unreached {
            self.reached.lock().unwrap().push(session);
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(std::future::ready(Err(Unreached(Box::new(session)))))
    }
}

/// A node: its desk, and the links that it says are up.
pub(crate) struct Node {
    pub(crate) desk: Desk<()>,
    pub(crate) registry: Registry<()>,
    pub(crate) mailbox: Mailbox,
    pub(crate) payments: Payments,
    pub(crate) push: Arc<Push>,
    pub(crate) down: Arc<Mutex<BTreeSet<Id>>>,
    clock: Clock,
    stop: CancellationToken,
}

impl Node {
    pub(crate) fn new(payments: Payments, clock: Clock, policy: &str, push: Push) -> Self {
        Self::with(payments, clock, policy, push, desk::Settings::default())
    }

    pub(crate) fn with(
        payments: Payments,
        clock: Clock,
        policy: &str,
        push: Push,
        settings: desk::Settings,
    ) -> Self {
        let edition = Edition { catalog: Arc::new(catalog(policy)), media: (), testers: BTreeSet::new() };
        let registry = Registry::new(edition, payments.clone(), clock.clone(), "en".into(), 10_000);
        let mailbox = Mailbox::new(payments.clone(), clock.clone());
        let push = Arc::new(push);
        let down: Arc<Mutex<BTreeSet<Id>>> = Arc::default();
        let is_down = Arc::clone(&down);
        let desk = Desk::new(desk::Parts {
            registry: registry.clone(),
            mailbox: mailbox.clone(),
            settings,
            link_up: Arc::new(move |link| !is_down.lock().unwrap().contains(&link)),
            reach: Some(Arc::<Push>::clone(&push) as Arc<dyn Reach>),
            clock: clock.clone(),
        });
        Self { desk, registry, mailbox, payments, push, down, clock, stop: CancellationToken::new() }
    }

    /// A node of its own on the same database, as a process that was started anew.
    pub(crate) async fn anew(market: &Market, policy: &str) -> Self {
        let (payments, stop) = market.second_node().await;
        Self { stop, ..Self::new(payments, market.clock.clone(), policy, Push::default()) }
    }

    pub(crate) async fn texted(&self, text: &str) -> Taken {
        self.take(text_of(text)).await
    }

    /// Takes a text; a clock that is moved by hand goes on a little, so that texts have an order.
    pub(crate) async fn take(&self, received: Received) -> Taken {
        let taken = self.desk.receive(received).await.unwrap();
        self.clock.advance(Duration::from_millis(1));
        taken
    }

    /// Answers a saved conversation and saves it with money about to move, as a process does that dies then.
    pub(crate) async fn abandon(&self, row: SessionRow, answer: &str) {
        let mut session = self.registry.restore(row).unwrap();
        let question = session.question().unwrap();
        let turn = session.answer(question.replied(answer)).await.unwrap();
        assert!(matches!(turn.then, Then::Perform(_)), "{:?}", turn.then);
        assert_eq!(session.settle(Writes::new()).await.unwrap(), Settled::Done);
    }

    /// All texts that are queued, the oldest first.
    pub(crate) async fn outbox(&self) -> Vec<OutboxRow> {
        let filter = OutboxFilter { limit: 1_000, ..OutboxFilter::default() };
        let mut rows = self.mailbox.list(&filter).await.unwrap();
        rows.reverse();
        rows
    }

    /// The texts that were queued to answer, the plain results of payments apart: those wait for a better one.
    pub(crate) async fn said(&self) -> Vec<String> {
        let now = |row: &&OutboxRow| row.due_at <= row.created_at && row.code.as_deref() != Some("replaced");
        self.outbox().await.iter().filter(now).map(|row| row.body.clone()).collect()
    }

    /// Waits until this many texts were queued, and gives the last.
    pub(crate) async fn answer(&self, count: usize) -> String {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let said = self.said().await;
                if said.len() >= count {
                    return said;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let Ok(said) = waited.await else { panic!("not {count} texts: {:?}", self.said().await) };
        assert_eq!(said.len(), count, "{said:?}");
        said.last().cloned().unwrap()
    }

    pub(crate) async fn end(self) {
        assert!(self.desk.drain(PATIENCE).await);
        self.stop.cancel();
    }
}

pub(crate) fn country() -> Country {
    Country { code: "86".into(), national_max: 11 }
}

/// A text from the caller over the first link.
pub(crate) fn text_of(text: &str) -> Received {
    Received {
        route: "carrier".into(),
        link: link(1),
        from: Origin::written(ME, &country()),
        to: US.into(),
        text: Zeroizing::new(text.into()),
        identity: Vec::new(),
        unique: false,
        part: None,
        trusted: true,
    }
}

pub(crate) fn link(n: u8) -> Id {
    Id([n; 16])
}

/// A carrier that answers as it is told, and remembers what it was given.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) given: Mutex<Vec<Outgoing>>,
    /// What it answers, in this order; then it takes everything.
    pub(crate) answers: Mutex<VecDeque<Sent>>,
    pub(crate) down: Mutex<bool>,
    /// Answers nothing while it is set.
    pub(crate) silent: Mutex<bool>,
    next: Mutex<u32>,
}

impl Fake {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Sent>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.given.lock().unwrap().iter().map(|text| text.text.to_string()).collect()
    }
}

impl Carry for Fake {
    fn readiness(&self) -> Readiness {
        Readiness { up: !*self.down.lock().unwrap(), window: 50 }
    }

    fn segments(&self, text: &str) -> u16 {
        u16::try_from(text.len().div_ceil(160)).unwrap()
    }

    fn send(&self, text: Outgoing) -> Sending {
        self.given.lock().unwrap().push(text);
        if *self.silent.lock().unwrap() {
            return Box::pin(std::future::pending());
        }
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| {
            let mut next = self.next.lock().unwrap();
            *next += 1;
            Sent::Accepted { id: format!("m{next}") }
        });
        Box::pin(async move {
            tokio::task::yield_now().await;
            answer
        })
    }
}

/// A dispatcher with one carrier.
pub(crate) fn dispatcher(node: &Node, clock: &Clock, carrier: &Arc<Fake>) -> (Dispatcher, JoinHandle<()>) {
    dispatcher_with(node, clock, vec![(Route::new("carrier", US), Arc::clone(carrier))])
}

pub(crate) fn dispatcher_with(
    node: &Node,
    clock: &Clock,
    routes: Vec<(Route, Arc<impl Carry + 'static>)>,
) -> (Dispatcher, JoinHandle<()>) {
    let routes = routes.into_iter().map(|(route, carrier)| (route, carrier as Arc<dyn Carry>)).collect();
    Dispatcher::start(dispatch::Parts {
        mailbox: node.mailbox.clone(),
        routes,
        settings: dispatch::Settings {
            look_every: Duration::from_millis(50),
            drain: Duration::from_secs(2),
            ..dispatch::Settings::default()
        },
        clock: clock.clone(),
    })
}

/// Waits until a text is in this state.
pub(crate) async fn until(mailbox: &Mailbox, id: Id, state: OutboxState) -> OutboxRow {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let row = mailbox.row(id).await.unwrap().expect("the text exists");
            if row.state == state {
                return row;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    match waited.await {
        Ok(row) => row,
        Err(_) => panic!("not {state:?}: {:?}", mailbox.row(id).await),
    }
}
