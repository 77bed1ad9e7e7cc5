//! USSD and SMS by HTTP: the whole router over the real desks, the payment core and a sandbox carrier, with providers that
//! behave and providers that do not, and with Kannel itself.

mod docs;
mod forms;
mod kannel;
mod outbound;
mod signed;
mod texts;
mod ussd;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use keytone::clock::Clock;
use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::http::guard::{Check, Guard, Place};
use keytone::http::sms as sms_in;
use keytone::http::ussd as ussd_in;
use keytone::http::{Gateways, serve};
use keytone::secret::Secret;
use keytone::session::Id;
use keytone::session::mailbox::Mailbox;
use keytone::session::registry::{Edition, Registry};
use keytone::sms;
use keytone::sms::address::Country;
use keytone::sms::carry::Carry;
use keytone::sms::dispatch::Dispatcher;
use keytone::sms::http::{Account, Provider};
use keytone::ussd as ussd_desk;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::support::market::{Database, Market, cny};

const ME: &str = "+8613800000001";
const SECRET: &str = "hush hush";
const PATIENCE: Duration = Duration::from_secs(30);

fn catalog() -> Catalog {
    let sources = Sources {
        flows: vec![
            SourceFile::new("recharge.flow", include_str!("../../dialplans/recharge.flow")),
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

fn country() -> Country {
    Country { code: "86".to_owned(), national_max: 11 }
}

fn guard(check: Check, clock: &Clock) -> Guard {
    Guard::new(vec![check], clock.now()).unwrap()
}

fn secret() -> Check {
    Check::Secret(Place::Query("key".to_owned()), Secret::from(SECRET))
}

/// A provider of ours for texts: takes every one and remembers it.
struct Outbox {
    url: String,
    sent: Mutex<mpsc::Receiver<serde_json::Value>>,
}

async fn took(State(sender): State<mpsc::Sender<serde_json::Value>>, body: Bytes) -> (StatusCode, String) {
    let text: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let answer = format!("{{\"id\":\"p-{}\"}}", text["id"].as_str().unwrap());
    sender.send(text).await.unwrap();
    (StatusCode::OK, answer)
}

impl Outbox {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/out", listener.local_addr().unwrap());
        let (sender, sent) = mpsc::channel(100);
        let router = Router::new().route("/out", post(took)).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, sent: Mutex::new(sent) }
    }

    /// The next text that was sent.
    async fn next(&self) -> serde_json::Value {
        let mut sent = self.sent.lock().await;
        tokio::time::timeout(PATIENCE, sent.recv()).await.expect("a text is sent").unwrap()
    }

    /// Whether nothing more was sent.
    async fn is_empty(&self) -> bool {
        self.sent.lock().await.is_empty()
    }
}

/// Settings of a provider with short times.
fn settings(account: Account) -> sms::http::Settings {
    sms::http::Settings {
        account,
        window: 10,
        connect_timeout: Duration::from_millis(500),
        timeout: Duration::from_millis(800),
    }
}

fn plain(url: &str) -> Account {
    Account::Json(sms::http::json::Account { url: url.to_owned(), token: Some(Secret::from("out")) })
}

/// One process: desks, dispatcher and router on the market's database.
struct Node {
    url: String,
    client: reqwest::Client,
    stop: CancellationToken,
    ussd: ussd_desk::Desk<()>,
    dispatcher: Dispatcher,
}

impl Node {
    /// With a provider for each route of texts.
    async fn start(market: &Market, carriers: Vec<(&str, Arc<dyn Carry>)>) -> Self {
        let clock = market.clock.clone();
        let edition = Edition { catalog: Arc::new(catalog()), media: (), testers: Default::default() };
        let registry = Registry::new(edition, market.payments.clone(), clock.clone(), "en".into(), 100);
        let stop = CancellationToken::new();
        let ussd = ussd_routes(&clock);
        let of = |route: &ussd_in::Route| ussd_desk::Route {
            name: route.name.clone(),
            trusted: route.trusted,
            answer_within: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            same_within: Duration::ZERO,
            push: false,
        };
        let desk = ussd_desk::Desk::new(registry.clone(), ussd.iter().map(of).collect(), clock.clone());
        tokio::spawn(desk.clone().run(stop.clone()));
        let mailbox = Mailbox::new(market.payments.clone(), clock.clone());
        let sms_desk = sms::desk::Desk::new(sms::desk::Parts {
            registry,
            mailbox: mailbox.clone(),
            settings: sms::desk::Settings::default(),
            link_up: Arc::new(|_| true),
            reach: None,
            clock: clock.clone(),
        });
        let (dispatcher, _) = Dispatcher::start(sms::dispatch::Parts {
            mailbox,
            routes: carriers
                .into_iter()
                .map(|(name, carry)| (sms::route::Route::new(name, "12580"), carry))
                .collect(),
            settings: sms::dispatch::Settings::default(),
            clock: clock.clone(),
        });
        let gateways = Gateways {
            ussd: Some(Arc::new(ussd_in::Gateway::new(
                desk.clone(),
                ussd,
                country(),
                &[7; 32],
                clock.clone(),
            ))),
            sms: Some(Arc::new(sms_in::Gateway::new(
                sms_desk,
                dispatcher.clone(),
                sms_routes(&clock),
                country(),
                clock.clone(),
            ))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (payments, stopped) = (market.payments.clone(), stop.clone().cancelled_owned());
        tokio::spawn(async move { serve(listener, payments, gateways, stopped).await.unwrap() });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, client, stop, ussd: desk, dispatcher }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Posts a form with the secret in the query.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let body = sms::http::letter::form(form);
        let url = format!("{}{path}?key=hush+hush", self.url);
        let kind = "application/x-www-form-urlencoded";
        self.send(self.client.post(url).header("content-type", kind).body(body.to_string())).await
    }

    /// A GET with the secret and this form in the query.
    async fn get(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let query = sms::http::letter::form(form);
        self.send(self.client.get(format!("{}{path}?key=hush+hush&{}", self.url, *query))).await
    }

    /// Stops it as a process does that is killed: nothing is waited for.
    fn kill(self) {
        self.stop.cancel();
        self.dispatcher.stop();
    }

    async fn close(self) {
        self.ussd.idle().await;
        self.kill();
    }
}

fn ussd_routes(clock: &Clock) -> Vec<ussd_in::Route> {
    let route = |name: &str, form, check| ussd_in::Route {
        name: name.to_owned(),
        form,
        guard: guard(check, clock),
        trusted: true,
    };
    vec![
        route("at", ussd_in::Form::AfricasTalking, secret()),
        route("plain", ussd_in::Form::Json, secret()),
        route("signed", ussd_in::Form::Json, Check::Signature(Secret::from(SECRET))),
        route("nobody", ussd_in::Form::Json, Check::Address(Arc::new(|_| false))),
    ]
}

fn sms_routes(clock: &Clock) -> Vec<sms_in::Route> {
    let route = |name: &str, form, check| sms_in::Route {
        name: name.to_owned(),
        form,
        guard: guard(check, clock),
        trusted: true,
        link: Id::new(1),
    };
    let twilio = Check::Twilio { token: Secret::from(SECRET), public_url: "https://pay.example".to_owned() };
    vec![
        route("at", sms_in::Form::AfricasTalking, secret()),
        route("twilio", sms_in::Form::Twilio, twilio),
        route("kannel", sms_in::Form::Kannel(sms_in::forms::Names::default()), secret()),
        route("plain", sms_in::Form::Json, secret()),
    ]
}

/// A market with an account of [`ME`], one node, and a provider that takes all texts of all routes.
struct Gate {
    market: Market,
    node: Node,
    outbox: Outbox,
}

impl Gate {
    async fn open() -> Self {
        Self::open_at(Clock::machine()).await
    }

    async fn open_at(clock: Clock) -> Self {
        let market = Market::open_at(clock, Database::Sqlite, |_| {}).await;
        market.account(ME, 500_000).await;
        let outbox = Outbox::open().await;
        let node = Self::node(&market, &outbox).await;
        Self { market, node, outbox }
    }

    async fn node(market: &Market, outbox: &Outbox) -> Node {
        let provider: Arc<dyn Carry> =
            Arc::new(Provider::new(settings(plain(&outbox.url)), market.clock.clone()).unwrap());
        let routes = ["at", "twilio", "kannel", "plain"];
        Node::start(market, routes.map(|name| (name, Arc::clone(&provider))).to_vec()).await
    }

    async fn close(self) {
        self.node.close().await;
        self.market.close().await;
    }
}
