//! The link on a clock that is moved by hand: what goes in, what comes out.

mod binding;
mod inbound;
mod outbound;
mod rubbish;
mod together;

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::smpp::encode::encode;
use crate::smpp::frame::Frame;
use crate::smpp::frame::Framer;
use crate::smpp::link::Link;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Event;
use crate::smpp::link::event::Input;
use crate::smpp::link::event::Outcome;
use crate::smpp::link::event::Output;
use crate::smpp::link::event::RequestId;
use crate::smpp::link::event::Ticket;
use crate::smpp::link::settings::Esme;
use crate::smpp::link::settings::Password;
use crate::smpp::link::settings::Settings;
use crate::smpp::link::settings::Side;
use crate::smpp::parse::parse;
use crate::smpp::pdu::Address;
use crate::smpp::pdu::BindResp;
use crate::smpp::pdu::Body;
use crate::smpp::pdu::Message;
use crate::smpp::pdu::MessageResp;
use crate::smpp::pdu::Pdu;
use crate::smpp::pdu::Role;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[expect(clippy::disallowed_methods, reason = "an origin of time; it is moved by hand")]
fn origin() -> Instant {
    Instant::now()
}

fn esme(role: Role) -> Settings {
    Settings::new(Side::Esme(Esme {
        system_id: Bytes::from_static(b"shop"),
        password: Password::new(b"hunter2"),
        system_type: Bytes::new(),
        role,
        version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: Bytes::new(),
    }))
}

fn smsc() -> Settings {
    Settings::new(Side::Smsc { system_id: Bytes::from_static(b"keytone"), version: 0x50 })
}

fn message(text: &str) -> Message {
    Message {
        source: Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613800138000") },
        short_message: Bytes::copy_from_slice(text.as_bytes()),
        ..Message::default()
    }
}

fn submit(text: &str) -> Body {
    Body::SubmitSm(message(text))
}

fn submitted(id: &str) -> Body {
    Body::SubmitSmResp(MessageResp {
        message_id: Bytes::copy_from_slice(id.as_bytes()),
        ..MessageResp::default()
    })
}

fn frame(status: u32, sequence: u32, body: Body) -> Frame {
    let mut bytes = BytesMut::new();
    encode(&Pdu { status, sequence, body }, 0x50, &mut bytes).unwrap();
    Framer::default().decode(&mut bytes).unwrap().unwrap()
}

/// What came out after one input.
#[derive(Default)]
struct Seen {
    pdus: Vec<Pdu>,
    done: Vec<(u64, Outcome)>,
    events: Vec<Event>,
    closed: Option<Ended>,
}

impl Seen {
    /// The command, status and sequence of what was written.
    fn heads(&self) -> Vec<(u32, u32, u32)> {
        self.pdus.iter().map(|pdu| (pdu.body.command_id(), pdu.status, pdu.sequence)).collect()
    }

    fn nothing(&self) -> bool {
        self.pdus.is_empty() && self.done.is_empty() && self.events.is_empty() && self.closed.is_none()
    }

    fn ticket(self) -> Ticket {
        self.events
            .into_iter()
            .find_map(|event| match event {
                Event::Request { ticket, .. } => Some(ticket),
                _ => None,
            })
            .unwrap()
    }
}

/// A link, its time, and the hand that moves it.
struct Rig {
    link: Link,
    now: Instant,
}

impl Rig {
    fn new(settings: Settings) -> (Self, Seen) {
        let now = origin();
        let mut rig = Self { link: Link::new(settings, now), now };
        let seen = rig.drain();
        (rig, seen)
    }

    /// An ESME whose bind was accepted.
    fn bound(settings: Settings) -> Self {
        let Side::Esme(Esme { role, .. }) = settings.side else { panic!("an ESME binds") };
        let (mut rig, seen) = Self::new(settings);
        assert_eq!(seen.heads(), [(role.command_id(), 0, 1)]);
        let answer = Body::BindResp(role, BindResp { system_id: "mc".into(), ..BindResp::default() });
        let seen = rig.give(Input::Frame(frame(0, 1, answer)));
        assert!(matches!(&seen.events[..], [Event::Up(up)] if up.system_id == "mc"));
        rig
    }

    /// An SMSC that granted a bind.
    fn serving(settings: Settings, role: Role) -> Self {
        let (mut rig, _) = Self::new(settings.clone());
        rig.hear(
            1,
            Body::Bind(role, crate::smpp::pdu::Bind { interface_version: 0x34, ..Default::default() }),
        );
        let seen = rig.give(Input::Allow(Box::new(settings)));
        assert!(matches!(&seen.events[..], [Event::Up(_)]));
        rig
    }

    fn give(&mut self, input: Input) -> Seen {
        self.link.handle(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Seen {
        let mut seen = Seen::default();
        while let Some(output) = self.link.poll() {
            assert!(seen.closed.is_none(), "nothing follows a close");
            match output {
                Output::Write(bytes) => {
                    let mut bytes = BytesMut::from(&bytes[..]);
                    while let Some(frame) = Framer::default().decode(&mut bytes).unwrap() {
                        seen.pdus.push(parse(&frame).unwrap());
                    }
                    assert!(bytes.is_empty(), "whole PDUs");
                }
                Output::Done { request, outcome } => seen.done.push((request.0, outcome)),
                Output::Event(event) => seen.events.push(event),
                Output::Close(why) => seen.closed = Some(why),
            }
        }
        if let Some(deadline) = self.link.next_deadline() {
            assert!(deadline > self.now, "what is due was done");
        }
        seen
    }

    /// The peer sends a PDU.
    fn hear(&mut self, sequence: u32, body: Body) -> Seen {
        self.give(Input::Frame(frame(0, sequence, body)))
    }

    fn hear_status(&mut self, status: u32, sequence: u32, body: Body) -> Seen {
        self.give(Input::Frame(frame(status, sequence, body)))
    }

    fn ask(&mut self, request: u64, body: Body) -> Seen {
        self.give(Input::Request { request: RequestId(request), body, cost: 1 })
    }

    /// Lets time pass, with a tick at each deadline on the way.
    fn pass(&mut self, time: Duration) -> Seen {
        let until = self.now + time;
        let mut all = Seen::default();
        for _ in 0..10_000 {
            let due = self.link.next_deadline().filter(|due| *due <= until);
            self.now = due.unwrap_or(until);
            let seen = self.give(Input::Tick);
            all.pdus.extend(seen.pdus);
            all.done.extend(seen.done);
            all.events.extend(seen.events);
            all.closed = all.closed.or(seen.closed);
            if due.is_none() {
                return all;
            }
        }
        panic!("the link never rests");
    }
}
