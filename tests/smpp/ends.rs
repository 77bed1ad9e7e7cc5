//! Both ends of a link on loopback, as the tests use them: a client with its events, a listener with its policy.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;
use keytone::smpp::encode::encode;
use keytone::smpp::frame::Framer;
use keytone::smpp::io::Ask;
use keytone::smpp::io::Asked;
use keytone::smpp::io::Client;
use keytone::smpp::io::ClientSettings;
use keytone::smpp::io::Event;
use keytone::smpp::io::Grant;
use keytone::smpp::io::Handle;
use keytone::smpp::io::Listener;
use keytone::smpp::io::ListenerSettings;
use keytone::smpp::io::What;
use keytone::smpp::link::settings::Esme;
use keytone::smpp::link::settings::Password;
use keytone::smpp::link::settings::Settings;
use keytone::smpp::link::settings::Side;
use keytone::smpp::parse::parse;
use keytone::smpp::pdu::Address;
use keytone::smpp::pdu::Bind;
use keytone::smpp::pdu::BindResp;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Message;
use keytone::smpp::pdu::MessageResp;
use keytone::smpp::pdu::Pdu;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

/// Nothing here takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const NAME: &str = "shop";
pub(crate) const PASSWORD: &str = "secret";

#[expect(clippy::disallowed_methods, reason = "the tests' links run on the machine's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

/// Waits for something, or fails with its name.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

pub(crate) fn message(text: &[u8]) -> Message {
    Message {
        source: Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613800138000") },
        destination: Address { ton: 3, npi: 0, digits: Bytes::from_static(b"12345") },
        short_message: Bytes::copy_from_slice(text),
        ..Message::default()
    }
}

pub(crate) fn esme(role: Role) -> Settings {
    Settings::new(Side::Esme(Esme {
        system_id: NAME.into(),
        password: Password::new(PASSWORD.as_bytes()),
        system_type: Bytes::new(),
        role,
        version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: Bytes::new(),
    }))
}

pub(crate) fn smsc() -> Settings {
    Settings::new(Side::Smsc { system_id: "keytone".into(), version: 0x50 })
}

pub(crate) fn client_settings(address: &str, link: Settings) -> ClientSettings {
    ClientSettings {
        name: "carrier".to_owned(),
        addresses: vec![address.to_owned()],
        tls: None,
        server_name: None,
        connect_timeout: Duration::from_secs(5),
        link,
    }
}

pub(crate) fn listener_settings(link: Settings) -> ListenerSettings {
    ListenerSettings {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        connections: 100,
        connections_per_address: 100,
        tls: None,
        link,
        drain: Duration::from_secs(2),
    }
}

/// The events of one end, and its binds.
pub(crate) struct Heard {
    pub(crate) events: mpsc::Receiver<Event>,
    passed: VecDeque<Event>,
}

impl Heard {
    pub(crate) fn new() -> (mpsc::Sender<Event>, Self) {
        Self::with_room(1_024)
    }

    pub(crate) fn with_room(events: usize) -> (mpsc::Sender<Event>, Self) {
        let (sender, events) = mpsc::channel(events);
        (sender, Self { events, passed: VecDeque::new() })
    }

    /// The next event that is wanted; those before it are kept for others.
    pub(crate) async fn next<T>(&mut self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> (Event, T) {
        if let Some(at) = self.passed.iter().position(|event| wanted(event).is_some()) {
            let event = self.passed.remove(at).unwrap();
            let found = wanted(&event).unwrap();
            return (event, found);
        }
        within(what, async {
            loop {
                let event = self.events.recv().await.expect("events go on");
                match wanted(&event) {
                    Some(found) => return (event, found),
                    None => self.passed.push_back(event),
                }
            }
        })
        .await
    }

    pub(crate) async fn up(&mut self) -> Handle {
        self.next("a bind", |event| matches!(event.what, What::Up(_)).then_some(())).await.0.handle
    }

    pub(crate) async fn down(&mut self) -> keytone::smpp::link::event::Ended {
        let ended = |event: &Event| match event.what {
            What::Down(why) => Some(why),
            _ => None,
        };
        self.next("the end of a bind", ended).await.1
    }

    /// The next request, however long it takes.
    pub(crate) async fn request_for_ever(&mut self) -> (Handle, keytone::smpp::io::Ticket, Body) {
        loop {
            let event = self.events.recv().await.expect("events go on");
            if let What::Request { ticket, body } = event.what {
                return (event.handle, ticket, body);
            }
        }
    }

    pub(crate) async fn request(&mut self) -> (Handle, keytone::smpp::io::Ticket, Body) {
        let (event, ()) =
            self.next("a request", |event| matches!(event.what, What::Request { .. }).then_some(())).await;
        let What::Request { ticket, body } = event.what else { unreachable!() };
        (event.handle, ticket, body)
    }
}

/// A listener that runs, and knows one name and password.
pub(crate) struct Smsc {
    pub(crate) address: SocketAddr,
    pub(crate) heard: Heard,
    pub(crate) stop: CancellationToken,
    pub(crate) running: tokio::task::JoinHandle<()>,
}

impl Smsc {
    pub(crate) async fn start(settings: ListenerSettings) -> Self {
        let granted = settings.link.clone();
        Self::start_with(settings, move |asked| {
            let Asked::Bind(bind) = asked else { return Err(status::RBINDFAIL) };
            if bind.system_id != NAME {
                Err(status::RINVSYSID)
            } else if bind.password.expose() != PASSWORD.as_bytes() {
                Err(status::RINVPASWD)
            } else {
                Ok(Grant { name: NAME.to_owned(), binds: 2, link: granted.clone() })
            }
        })
        .await
    }

    pub(crate) async fn start_with(
        settings: ListenerSettings,
        policy: impl Fn(&Asked) -> Result<Grant, u32> + Send + Sync + 'static,
    ) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), settings).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, heard) = Heard::new();
        let (asks, mut asked) = mpsc::channel::<Ask>(16);
        let policy = Arc::new(policy);
        tokio::spawn(async move {
            while let Some(ask) = asked.recv().await {
                match policy(&ask.asked) {
                    Ok(grant) => ask.allow(grant),
                    Err(status) => ask.deny(status),
                }
            }
        });
        let stop = CancellationToken::new();
        let running = tokio::spawn(listener.run(asks, events, now, stop.clone()));
        Self { address, heard, stop, running }
    }

    /// Stops it, and waits until every link is over.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        within("the end of the listener", self.running).await.unwrap();
    }
}

pub(crate) fn connect(settings: ClientSettings) -> (Handle, Heard) {
    let (events, heard) = Heard::new();
    (Client::start(settings, events, now), heard)
}

/// The response that takes a request.
pub(crate) fn accept(body: &Body, id: &'static str) -> Body {
    let answer = MessageResp { message_id: Bytes::from_static(id.as_bytes()), ..MessageResp::default() };
    match body {
        Body::SubmitSm(_) => Body::SubmitSmResp(answer),
        Body::DeliverSm(_) => Body::DeliverSmResp(MessageResp::default()),
        Body::DataSm(_) => Body::DataSmResp(answer),
        other => panic!("{:#010x}", other.command_id()),
    }
}

/// A peer that writes what it likes, octet by octet.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    incoming: BytesMut,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, incoming: BytesMut::new() }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    pub(crate) async fn send(&mut self, status: u32, sequence: u32, body: Body) {
        let mut octets = BytesMut::new();
        encode(&Pdu { status, sequence, body }, 0x34, &mut octets).unwrap();
        self.write(&octets).await;
    }

    /// The next PDU, or nothing when the other end closed.
    pub(crate) async fn next(&mut self) -> Option<Pdu> {
        within("a PDU or the end", async {
            loop {
                if let Some(frame) = Framer::default().decode(&mut self.incoming).unwrap() {
                    return Some(parse(&frame).unwrap());
                }
                match self.stream.read_buf(&mut self.incoming).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    /// Binds as an ESME.
    pub(crate) async fn bind(&mut self, password: &'static str) -> u32 {
        let bind = Bind {
            system_id: NAME.into(),
            password: password.into(),
            interface_version: 0x34,
            ..Bind::default()
        };
        self.send(0, 1, Body::Bind(Role::Transceiver, bind)).await;
        self.next().await.unwrap().status
    }

    /// Takes a bind as an SMSC.
    pub(crate) async fn take_bind(&mut self, status: u32) {
        let asked = self.next().await.unwrap();
        let Body::Bind(role, _) = asked.body else { panic!("a bind") };
        self.send(status, asked.sequence, Body::BindResp(role, BindResp::default())).await;
    }
}
