//! The network without sockets: a client of bytes, time by hand, and every fault as it shows on the wire.

mod faults;
mod texts;
mod ussd;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio_util::codec::Decoder;

use crate::clock::{Clock, Timestamp};
use crate::smpp::encode::encode;
use crate::smpp::frame::Framer;
use crate::smpp::parse::parse;
use crate::smpp::pdu::{Address, Bind, Body, Message, MessageResp, Pdu, Role};
use crate::smsc::network::{Control, Input, Network, Now, Output};
use crate::smsc::settings::{Config, merge};

/// What a client sees of its link.
#[derive(Default)]
struct Client {
    bytes: BytesMut,
    sequence: u32,
    /// `close`, `reset`, or nothing.
    ended: &'static str,
}

/// A network, its clients and its time.
struct Lab {
    network: Network,
    now: Now,
    clients: BTreeMap<u64, Client>,
    answers: BTreeMap<u64, (u16, Value)>,
    outages: VecDeque<Duration>,
    connects: Vec<(u64, std::net::SocketAddr)>,
    log: String,
    next: u64,
}

impl Lab {
    fn new(settings: &Value, faults: &Value) -> Self {
        let clock = Clock::manual(Timestamp(1_795_000_000_000_000));
        let mut config = Config::new("unused".into(), clock.clone());
        config.settings = merge(&config.settings, settings).unwrap();
        config.faults = merge(&config.faults, faults).unwrap();
        config.first_id = Some(0x0fff);
        Self::of(&config)
    }

    fn of(config: &Config) -> Self {
        let now = Now { instant: config.clock.instant(), at: config.clock.now() };
        Self {
            network: Network::new(config, now),
            now,
            clients: BTreeMap::new(),
            answers: BTreeMap::new(),
            outages: VecDeque::new(),
            connects: Vec::new(),
            log: String::new(),
            next: 0,
        }
    }

    fn give(&mut self, input: Input) {
        self.network.handle(self.now, input);
        while let Some(output) = self.network.poll() {
            match output {
                Output::Log(lines) => self.log.push_str(std::str::from_utf8(&lines).unwrap()),
                Output::Send(id, bytes) => {
                    self.clients.get_mut(&id).unwrap().bytes.extend_from_slice(&bytes);
                }
                Output::Close(id) => self.clients.get_mut(&id).unwrap().ended = "close",
                Output::Reset(id) => self.clients.get_mut(&id).unwrap().ended = "reset",
                Output::Connect(ticket, address) => self.connects.push((ticket, address)),
                Output::Outage(how_long) => self.outages.push_back(how_long),
                Output::Answer(ticket, status, body) => {
                    assert!(self.answers.insert(ticket, (status, body)).is_none(), "answered twice");
                }
            }
        }
    }

    /// Lets time pass, stopping wherever something is due.
    fn pass(&mut self, ms: u64) {
        let until = self.now.instant + Duration::from_millis(ms);
        while let Some(at) = self.network.next_deadline().filter(|at| *at <= until) {
            self.at(at);
            self.give(Input::Tick);
        }
        self.at(until);
    }

    fn at(&mut self, at: std::time::Instant) {
        self.now.at = self.now.at.after(at.saturating_duration_since(self.now.instant));
        self.now.instant = at.max(self.now.instant);
    }

    fn connect(&mut self) -> u64 {
        self.next += 1;
        self.clients.insert(self.next, Client::default());
        self.give(Input::Connected(self.next));
        self.next
    }

    fn raw(&mut self, id: u64, pdu: &Pdu) {
        let mut bytes = BytesMut::new();
        encode(pdu, 0x34, &mut bytes).unwrap();
        let frame = Framer::default().decode(&mut bytes).unwrap().unwrap();
        self.give(Input::Frames(id, vec![frame]));
    }

    /// Sends a request; its sequence number.
    fn ask(&mut self, id: u64, body: Body) -> u32 {
        let client = self.clients.get_mut(&id).unwrap();
        client.sequence += 1;
        let sequence = client.sequence;
        self.raw(id, &Pdu::request(sequence, body));
        sequence
    }

    /// The PDUs that came since the last look.
    fn pdus(&mut self, id: u64) -> Vec<Pdu> {
        let bytes = &mut self.clients.get_mut(&id).unwrap().bytes;
        let mut framer = Framer::default();
        std::iter::from_fn(|| framer.decode(bytes).unwrap()).map(|f| parse(&f).unwrap()).collect()
    }

    /// The one PDU that came.
    fn one(&mut self, id: u64) -> Pdu {
        let mut pdus = self.pdus(id);
        assert_eq!(pdus.len(), 1, "{pdus:?}");
        pdus.remove(0)
    }

    fn bind_as(&mut self, role: Role, system_id: &str, password: &str) -> (u64, u32) {
        let id = self.connect();
        let bind = Bind {
            system_id: Bytes::from(system_id.to_owned()),
            password: Bytes::from(password.to_owned()),
            interface_version: 0x34,
            ..Bind::default()
        };
        self.ask(id, Body::Bind(role, bind));
        // What waits for a link comes right behind; it is left for the test.
        let bytes = &mut self.clients.get_mut(&id).unwrap().bytes;
        let frame = Framer::default().decode(bytes).unwrap().unwrap();
        let pdu = parse(&frame).unwrap();
        assert!(matches!(pdu.body, Body::BindResp(..)), "{pdu:?}");
        (id, pdu.status)
    }

    fn bind(&mut self) -> u64 {
        let (id, status) = self.bind_as(Role::Transceiver, "keytone", "sandbox");
        assert_eq!(status, 0);
        id
    }

    /// Takes the next `deliver_sm`, answers it, gives it.
    fn answer(&mut self, id: u64, status: u32) -> Message {
        let pdu = self.one(id);
        let Body::DeliverSm(message) = pdu.body else { panic!("{pdu:?}") };
        self.acknowledge(id, pdu.sequence, status);
        message
    }

    fn acknowledge(&mut self, id: u64, sequence: u32, status: u32) {
        self.raw(id, &Pdu { status, sequence, body: Body::DeliverSmResp(MessageResp::default()) });
    }

    fn control(&mut self, control: Control) -> u64 {
        self.next += 1;
        self.give(Input::Control(self.next, control));
        self.next
    }

    fn answered(&mut self, ticket: u64) -> (u16, Value) {
        self.answers.remove(&ticket).expect("an answer")
    }

    fn dial(&mut self, msisdn: &str, code: &str) -> u64 {
        let dial = serde_json::from_value(json!({ "msisdn": msisdn, "code": code })).unwrap();
        self.control(Control::Dial(dial))
    }

    fn say(&mut self, msisdn: &str, text: &str) -> u64 {
        let reply = serde_json::from_value(json!({ "msisdn": msisdn, "text": text })).unwrap();
        self.control(Control::Reply(reply))
    }

    fn sms(&mut self, text: &str) -> u64 {
        let sms = json!({ "from": "+8613800000001", "to": "1069125", "text": text });
        self.control(Control::Sms(serde_json::from_value(sms).unwrap()))
    }

    fn wait(&mut self, query: Value) -> u64 {
        self.control(Control::Wait(serde_json::from_value(query).unwrap()))
    }

    fn handset(&mut self, msisdn: &str) -> Value {
        let ticket = self.control(Control::Handset(msisdn.to_owned()));
        self.answered(ticket).1
    }

    fn stats(&mut self) -> Value {
        let ticket = self.control(Control::Stats);
        self.answered(ticket).1
    }

    fn faults(&mut self, change: Value) {
        let ticket = self.control(Control::Faults(Some(change)));
        let (status, body) = self.answered(ticket);
        assert_eq!(status, 200, "{body}");
    }

    fn settings(&mut self, change: Value) {
        let ticket = self.control(Control::Settings(Some(change)));
        let (status, body) = self.answered(ticket);
        assert_eq!(status, 200, "{body}");
    }
}

/// A short text in the default alphabet.
fn text(to: &str, words: &str) -> Message {
    Message {
        source: Address { ton: 0, npi: 1, digits: Bytes::from_static(b"1069125") },
        destination: Address { ton: 1, npi: 1, digits: Bytes::from(to.to_owned()) },
        short_message: Bytes::from(words.to_owned()),
        ..Message::default()
    }
}

fn message_id(pdu: &Pdu) -> String {
    match &pdu.body {
        Body::SubmitSmResp(resp) | Body::DataSmResp(resp) => {
            String::from_utf8(resp.message_id.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}
