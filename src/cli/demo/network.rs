//! The demo's mobile network: a sandbox SMSC on loopback, and a handset on it that dials, answers screens and sends texts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::smpp::{Carries, Smsc, Texts};
use crate::smpp::coding::Charsets;
use crate::smpp::link::settings::{Esme, Password, Settings, Side};
use crate::smpp::long::Form;
use crate::smpp::pdu::Role;
use crate::smpp::receipt::IdForms;
use crate::smpp::status::Kinds;
use crate::sms::route::Route;
use crate::smsc;
use crate::ussd::profile::Profile;

/// How long the network waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// The name of the route.
pub(super) const ROUTE: &str = "sandbox-smsc";

/// The network, while it lasts.
pub(super) struct Network {
    /// Where it takes binds.
    pub(super) smpp: SocketAddr,
    /// Its control.
    pub(super) control: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), smsc::Error>>,
}

impl Network {
    /// Starts it; its log is in `folder`.
    pub(super) async fn open(folder: &Path, clock: &Clock, smpp: SocketAddr) -> anyhow::Result<Self> {
        let smpp = TcpListener::bind(smpp).await.with_context(|| format!("cannot listen on {smpp}"))?;
        let http = TcpListener::bind("127.0.0.1:0").await.context("no port on loopback")?;
        let (address, control) = (smpp.local_addr()?, format!("http://{}", http.local_addr()?));
        let stop = CancellationToken::new();
        let config = smsc::Config::new(folder.join("smsc.log"), clock.clone());
        let task = tokio::spawn(smsc::serve(config, smpp, http, stop.clone()));
        Ok(Self { smpp: address, control, stop, task })
    }

    /// How the daemon binds to it: texts as `service`, and dialogues as the standard has them.
    pub(super) fn smsc(&self, service: &str) -> Smsc {
        let esme = Esme {
            system_id: Bytes::from_static(b"keytone"),
            password: Password::new(b"sandbox"),
            system_type: Bytes::new(),
            role: Role::Transceiver,
            version: 0x34,
            addr_ton: 0,
            addr_npi: 0,
            address_range: Bytes::new(),
        };
        let texts = Texts {
            route: Route::new(ROUTE, service),
            charsets: Charsets::sms(),
            long: Form::default(),
            ids: IdForms::default(),
            kinds: Kinds::default(),
            service_type: String::new(),
            believed: Vec::new(),
        };
        Smsc {
            name: ROUTE.to_owned(),
            addresses: vec![self.smpp.to_string()],
            tls: None,
            roles: vec![Role::Transceiver],
            link: Settings::new(Side::Esme(esme)),
            trusted: true,
            outbind: None,
            carries: Carries { sms: Some(texts), ussd: Some(Profile::default()) },
        }
    }

    /// A handset with a number.
    pub(super) fn handset(&self, msisdn: &str) -> anyhow::Result<Handset> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(PATIENCE + Duration::from_secs(5)).build()?;
        Ok(Handset { http, control: self.control.clone(), msisdn: msisdn.to_owned() })
    }

    /// Waits until the daemon is bound.
    pub(super) async fn bound(&self) -> anyhow::Result<()> {
        let handset = self.handset("")?;
        handset.get(&format!("/wait?for=binds&count=1&timeout_ms={}", PATIENCE.as_millis())).await.map(drop)
    }

    pub(super) async fn vanish(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// A handset.
pub(super) struct Handset {
    http: reqwest::Client,
    control: String,
    msisdn: String,
}

/// What a handset shows.
pub(super) struct Shown {
    pub(super) text: String,
    /// Whether it waits for an answer.
    pub(super) open: bool,
}

impl Handset {
    /// Dials a USSD code.
    pub(super) async fn dial(&self, code: &str) -> anyhow::Result<Shown> {
        shown(&self.post("/dial", &json!({ "msisdn": self.msisdn, "code": code })).await?)
    }

    /// Answers the screen.
    pub(super) async fn reply(&self, text: &str) -> anyhow::Result<Shown> {
        shown(&self.post("/reply", &json!({ "msisdn": self.msisdn, "text": text })).await?)
    }

    /// Sends a text.
    pub(super) async fn text(&self, to: &str, text: &str) -> anyhow::Result<()> {
        let sent = self.post("/sms", &json!({ "from": self.msisdn, "to": to, "text": text })).await?;
        if sent.get("status") != Some(&json!(0)) {
            bail!("the text was not taken: {sent}");
        }
        Ok(())
    }

    /// The message after `seen` others.
    pub(super) async fn message(&self, seen: u64) -> anyhow::Result<String> {
        let message = self.wait("message", seen).await?;
        let text = message.pointer("/text").or_else(|| message.pointer("/message/text"));
        Ok(text.and_then(Value::as_str).with_context(|| format!("no text in {message}"))?.to_owned())
    }

    /// The screen of a dialogue that the daemon begins.
    pub(super) async fn pushed(&self) -> anyhow::Result<Shown> {
        shown(&self.wait("push", 0).await?)
    }

    async fn wait(&self, what: &str, after: u64) -> anyhow::Result<Value> {
        let msisdn = self.msisdn.replace('+', "%2B");
        self.get(&format!(
            "/wait?msisdn={msisdn}&for={what}&after={after}&timeout_ms={}",
            PATIENCE.as_millis()
        ))
        .await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        read(self.http.get(format!("{}{path}", self.control)).send().await?).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        read(self.http.post(format!("{}{path}", self.control)).json(body).send().await?).await
    }
}

async fn read(response: reqwest::Response) -> anyhow::Result<Value> {
    let status = response.status();
    let body: Value = response.json().await?;
    if status.is_success() { Ok(body) } else { Err(anyhow!("the sandbox SMSC answered {status}: {body}")) }
}

fn shown(answer: &Value) -> anyhow::Result<Shown> {
    let text = answer
        .get("screen")
        .and_then(Value::as_str)
        .with_context(|| format!("no screen in {answer}"))?
        .to_owned();
    Ok(Shown { text, open: answer.get("open") == Some(&json!(true)) })
}
