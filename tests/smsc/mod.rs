//! The sandbox SMSC over real sockets: its own client of bytes, the npm package `smpp` as somebody else's ESME, and the
//! command as an operator starts it.

mod command;
mod ours;
mod peer;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use keytone::clock::Clock;
use keytone::smpp::encode::encode;
use keytone::smpp::frame::Framer;
use keytone::smpp::parse::parse;
use keytone::smpp::pdu::{Address, Bind, Body, Message, MessageResp, Pdu, Role};
use keytone::smsc;

use crate::support::market::provider;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sandbox in this process.
struct Sandbox {
    port: u16,
    url: String,
    http: reqwest::Client,
    log: PathBuf,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), smsc::Error>>,
    _dir: tempfile::TempDir,
}

impl Sandbox {
    async fn with(change: impl FnOnce(&mut smsc::Config)) -> Self {
        provider();
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("smsc.log");
        let mut config = smsc::Config::new(log.clone(), Clock::machine());
        change(&mut config);
        let smpp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = smpp.local_addr().unwrap().port();
        let url = format!("http://{}", http.local_addr().unwrap());
        let stop = CancellationToken::new();
        let task = tokio::spawn(smsc::serve(config, smpp, http, stop.clone()));
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { port, url, http, log, stop, task, _dir: dir }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let sent = self.http.post(format!("{}{path}", self.url)).body(body.to_string()).send().await.unwrap();
        (sent.status().as_u16(), serde_json::from_str(&sent.text().await.unwrap()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let sent = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        serde_json::from_str(&sent.text().await.unwrap()).unwrap()
    }

    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        Client { stream, bytes: BytesMut::new(), sequence: 0 }
    }

    /// A link that is bound; a fault may cut off the first tries.
    async fn bind(&self) -> Client {
        for _ in 0..10 {
            let mut client = self.connect().await;
            if client.bind().await {
                return client;
            }
        }
        panic!("no bind in ten tries");
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// A client of bytes.
struct Client {
    stream: TcpStream,
    bytes: BytesMut,
    sequence: u32,
}

/// How a link ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Closed,
    Reset,
    NoPdu,
}

impl Client {
    async fn ask(&mut self, body: Body) -> u32 {
        self.sequence += 1;
        self.send(&Pdu::request(self.sequence, body)).await;
        self.sequence
    }

    async fn send(&mut self, pdu: &Pdu) {
        let mut bytes = BytesMut::new();
        encode(pdu, 0x34, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Whether the bind was answered, and with success then.
    async fn bind(&mut self) -> bool {
        let bind = Bind {
            system_id: Bytes::from_static(b"keytone"),
            password: Bytes::from_static(b"sandbox"),
            interface_version: 0x34,
            ..Bind::default()
        };
        self.ask(Body::Bind(Role::Transceiver, bind)).await;
        let Ok(pdu) = self.next().await else { return false };
        assert_eq!((pdu.status, matches!(pdu.body, Body::BindResp(..))), (0, true));
        true
    }

    async fn next(&mut self) -> Result<Pdu, End> {
        loop {
            match Framer::default().decode(&mut self.bytes) {
                Ok(Some(frame)) => return Ok(parse(&frame).unwrap()),
                Ok(None) => {}
                Err(_) => return Err(End::NoPdu),
            }
            let read = self.stream.read_buf(&mut self.bytes);
            match tokio::time::timeout(PATIENCE, read).await.expect("a PDU in time") {
                Ok(0) => return Err(End::Closed),
                Ok(_) => {}
                Err(_) => return Err(End::Reset),
            }
        }
    }

    /// Takes the next delivery and answers it.
    async fn deliver(&mut self) -> Message {
        let pdu = self.next().await.unwrap();
        let Body::DeliverSm(message) = pdu.body else { panic!("{pdu:?}") };
        let body = Body::DeliverSmResp(MessageResp::default());
        self.send(&Pdu { status: 0, sequence: pdu.sequence, body }).await;
        message
    }

    async fn submit(&mut self) -> u32 {
        self.ask(Body::SubmitSm(text("8613800000001", "hello"))).await
    }
}

fn text(to: &str, words: &str) -> Message {
    Message {
        source: Address { ton: 0, npi: 1, digits: Bytes::from_static(b"1069125") },
        destination: Address { ton: 1, npi: 1, digits: Bytes::from(to.to_owned()) },
        short_message: Bytes::from(words.to_owned()),
        ..Message::default()
    }
}
