//! The sandbox's SMSC, which has a codec loop of its own, over sockets: every profile, everything twice, links that are
//! cut, pushes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use keytone::session::kept::Reach;
use keytone::session::registry::Registry;
use keytone::smpp::io::{Client, ClientSettings, Handle, What};
use keytone::smpp::link::settings::{Esme, Password, Settings, Side as LinkSide};
use keytone::smpp::pdu::{Address, Body, MessageResp, Role};
use keytone::smpp::status::Kinds;
use keytone::smsc;
use keytone::ussd::profile::Profile;
use keytone::ussd::smpp::{Gate, Gateway, Side};
use keytone::ussd::{Desk, Notified, Route};

use crate::support::market::{Database, Market, PIN, phone};
use crate::ussd::pushes::thread;
use crate::ussd::{AIR, ME, PATIENCE, close, on_both_databases, registry, says, until_texts};

/// A network, and a desk that is bound to it.
pub(crate) struct Town {
    http: String,
    client: reqwest::Client,
    pub(crate) desk: Desk<()>,
    handle: Handle,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Town {
    pub(crate) async fn new(market: &Market, name: &str) -> Self {
        Self::with(market, name, registry(market, 100)).await
    }

    pub(crate) async fn with(market: &Market, name: &str, registry: Registry<()>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (smpp, http) = (listen().await, listen().await);
        let address = smpp.local_addr().unwrap().to_string();
        let control = format!("http://{}", http.local_addr().unwrap());
        let stop = CancellationToken::new();
        let config = smsc::Config::new(dir.path().join("smsc.log"), market.clock.clone());
        let stopped = stop.clone();
        tokio::spawn(async move { smsc::serve(config, smpp, http, stopped).await.unwrap() });
        let (desk, handle) = bind(market, name, address, registry);
        let client = reqwest::Client::builder().build().unwrap();
        let town = Self { http: control, client, desk, handle, stop, _dir: dir };
        town.post("settings", json!({ "profile": name, "again_ms": 50 })).await;
        town.get("wait?for=binds&count=1").await;
        town
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.client.post(format!("{}/{path}", self.http)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}/{path}", self.http)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// What the telephone shows after this, and whether it may answer.
    async fn shows(&self, path: &str, field: &str, text: &str) -> (String, bool) {
        let (status, shown) = self.post(path, json!({ "msisdn": ME, field: text })).await;
        assert_eq!(status, 200, "{path} {text}: {shown}");
        (shown["screen"].as_str().unwrap_or_default().to_owned(), shown["open"] == json!(true))
    }

    pub(crate) async fn dial(&self, code: &str) -> (String, bool) {
        self.shows("dial", "code", code).await
    }

    pub(crate) async fn reply(&self, text: &str) -> (String, bool) {
        self.shows("reply", "text", text).await
    }

    pub(crate) async fn leave(self) {
        self.handle.close(Duration::from_secs(5)).await;
        tokio::time::timeout(PATIENCE, self.desk.idle()).await.unwrap();
        self.stop.cancel();
    }
}

/// A desk on a bind, as the daemon has it.
fn bind(market: &Market, name: &str, address: String, registry: Registry<()>) -> (Desk<()>, Handle) {
    let profile = Profile::named(name).unwrap();
    let route = Route::of(AIR, true, &profile);
    let desk = Desk::new(registry, vec![route], market.clock.clone());
    let gateway = Gateway {
        profile,
        side: Side::Esme,
        kinds: Kinds::default(),
        country: "86".into(),
        national_digits_max: 11,
        ours: Address { ton: 3, npi: 0, digits: Bytes::from_static(b"125") },
        theirs: (1, 1),
    };
    let gate = Gate::new(desk.clone(), BTreeMap::from([(AIR.to_owned(), gateway)]), market.clock.clone());
    let mut link = Settings::new(LinkSide::Esme(Esme {
        system_id: "keytone".into(),
        password: Password::new(&b"sandbox"[..]),
        system_type: Bytes::new(),
        role: Role::Transceiver,
        version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: Bytes::new(),
    }));
    link.window = 10;
    let settings = ClientSettings {
        name: "sandbox".into(),
        addresses: vec![address],
        tls: None,
        server_name: None,
        connect_timeout: Duration::from_secs(5),
        link,
    };
    let (events_in, mut events) = mpsc::channel(64);
    let handle = Client::start(settings, events_in, crate::support::now);
    let pusher = gate.pusher(AIR, Arc::new(handle.clone())).unwrap();
    desk.push_by(BTreeMap::from([(AIR.to_owned(), pusher)]));
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let What::Request { ticket, body } = event.what else { continue };
            let Body::DeliverSm(message) = body else { continue };
            let handle = event.handle.clone();
            let acknowledge: Box<dyn FnOnce(u32) + Send> = Box::new(move |status| {
                handle.respond(ticket, status, Body::DeliverSmResp(MessageResp::default()));
            });
            tokio::spawn(gate.receive(AIR, event.handle, &message, acknowledge));
        }
    });
    (desk, handle)
}

async fn every_kind_of_gateway(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    for (index, name) in Profile::NAMES.into_iter().enumerate() {
        let town = Town::new(&market, name).await;
        // Everything comes twice.
        town.post("faults", json!({ "duplicate_every": 1 })).await;
        let (text, open) = town.dial("*125#").await;
        says(&text, "Your number is");
        assert!(open, "{name}");
        says(&town.reply("1").await.0, "Amount:");
        says(&town.reply("70").await.0, "not one of the amounts");
        let mut text = town.reply(if index == 0 { "50" } else { "100" }).await.0;
        if index > 1 {
            says(&text, "Do it again");
            text = town.reply("1").await.0;
        }
        says(&text, "reply with your PIN");
        let (text, open) = town.reply(PIN).await;
        says(&text, "was recharged");
        assert!(!open, "{name}");
        assert_eq!(market.carrier(ME).len(), index + 1, "{name}");
        // Broken off by the telephone, where the gateway can say so.
        town.post("faults", json!({ "duplicate_every": 0 })).await;
        town.dial("*125#").await;
        town.reply("1").await;
        assert_eq!(town.post("abort", json!({ "msisdn": ME })).await.0, 200);
        town.get("wait?for=quiet").await;
        let (text, _) = town.dial("*125#").await;
        says(&text, "was not finished");
        says(&town.reply("2").await.0, "Your number is");
        town.post("abort", json!({ "msisdn": ME })).await;
        town.leave().await;
    }
    close(market, &[]).await;
}

async fn a_link_that_is_cut_in_the_middle(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let town = Town::new(&market, "spec").await;
    town.dial("*125#").await;
    town.reply("1").await;
    town.post("kill", json!({ "ms": 50 })).await;
    assert_eq!(town.get("wait?for=binds&count=1").await.0, 200);
    // The network has forgotten the dialogue with its link; the next one goes on.
    says(&town.dial("*125#").await.0, "was not finished");
    says(&town.reply("1").await.0, "Amount:");
    town.post("abort", json!({ "msisdn": ME })).await;
    town.get("wait?for=quiet").await;
    town.leave().await;
    close(market, &[]).await;
}

async fn pushes_over_a_link(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    for (index, name) in Profile::NAMES.into_iter().enumerate() {
        let town = Town::new(&market, name).await;
        // To another number each time: the same recharge again would be asked about.
        let command = format!("50 1390000000{index}");
        town.desk.reach(thread(&market, &command).await).await.unwrap();
        let (status, pushed) = town.get(&format!("wait?for=push&msisdn=%2B{}", &ME[1..])).await;
        assert_eq!(status, 200, "{name}: {pushed}");
        let shown = town.get(&format!("handset/%2B{}", &ME[1..])).await.1;
        says(&shown.to_string(), "reply with your PIN");
        says(&town.reply("111222").await.0, "Wrong PIN");
        says(&town.reply(PIN).await.0, "was recharged");
        assert_eq!(town.desk.notify(&phone(ME), "Good day").await, Notified::Taken, "{name}");
        town.post("handset", json!({ "msisdn": ME, "pushes": false })).await;
        assert!(matches!(town.desk.notify(&phone(ME), "Good day").await, Notified::Refused(_)), "{name}");
        town.leave().await;
    }
    assert!(until_texts(&market, ME, 5).await.len() >= 5);
    close(market, &[]).await;
}

async fn a_message_for_nobody_of_ours(database: Database) {
    let market = Market::open(database).await;
    let town = Town::new(&market, "spec").await;
    let (text, open) = town.dial("*999#").await;
    says(&text, "not available");
    assert!(!open);
    town.leave().await;
    close(market, &[]).await;
}

on_both_databases!(sockets:
    every_kind_of_gateway,
    a_link_that_is_cut_in_the_middle,
    pushes_over_a_link,
    a_message_for_nobody_of_ours,
);
