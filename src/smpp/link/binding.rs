//! How a bind is made and how it ends, from both ends: bind, outbind, unbind.

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use crate::smpp::frame::Frame;
use crate::smpp::frame::VERSION_3_4;
use crate::smpp::link::Link;
use crate::smpp::link::State;
use crate::smpp::link::event::BindAsked;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Event;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::event::Up;
use crate::smpp::link::pace::Allowance;
use crate::smpp::link::pace::Pace;
use crate::smpp::link::settings::Esme;
use crate::smpp::link::settings::Password;
use crate::smpp::link::settings::Settings;
use crate::smpp::link::settings::Side;
use crate::smpp::pdu::Bind;
use crate::smpp::pdu::BindResp;
use crate::smpp::pdu::Body;
use crate::smpp::pdu::Pdu;
use crate::smpp::pdu::Role;
use crate::smpp::pdu::command;
use crate::smpp::status as code;
use crate::smpp::tlv::Tlvs;
use crate::smpp::tlv::tag;

/// How long a peer that unbinds waits for answers that are still due either way.
const PARTING: Duration = Duration::from_secs(2);

/// What a `sc_interface_version` may be; anything else says nothing.
const VERSIONS: std::ops::RangeInclusive<u8> = 0x33..=0x50;

impl Link {
    /// Asks for a bind.
    pub(super) fn bind(&mut self, now: Instant, esme: &Esme) {
        let sequence = self.outbound.next_sequence();
        self.esme = true;
        self.role = esme.role;
        self.version = esme.version;
        self.state = State::Binding { until: now + self.settings.bind_timeout, sequence };
        let bind = Bind {
            system_id: esme.system_id.clone(),
            password: Bytes::copy_from_slice(esme.password.expose()),
            system_type: esme.system_type.clone(),
            interface_version: esme.version,
            addr_ton: esme.addr_ton,
            addr_npi: esme.addr_npi,
            address_range: esme.address_range.clone(),
        };
        // What does not fit was configured too long, and no peer would take it.
        if self.write(&Pdu::request(sequence, Body::Bind(esme.role, bind))).is_err() {
            self.end(Ended::Refused(code::RINVSYSID));
        }
    }

    /// The peer answered our bind (SMPP 3.4 §4.1.2).
    pub(super) fn bind_answered(&mut self, now: Instant, frame: &Frame) {
        if frame.status != code::ROK || frame.id == command::GENERIC_NACK {
            let status = if frame.status == code::ROK { code::RBINDFAIL } else { frame.status };
            self.end(Ended::Refused(status));
            return;
        }
        let answer = match self.read(frame).map(|pdu| pdu.body) {
            Ok(Body::BindResp(_, answer)) => answer,
            _ => BindResp::default(),
        };
        // §4.1: what the SMSC speaks. Many leave it out, so its absence says nothing about it.
        if let Some(spoken) = answer.tlvs.octet(tag::SC_INTERFACE_VERSION)
            && VERSIONS.contains(&spoken)
        {
            self.version = self.version.min(spoken);
        }
        self.peer = answer.system_id;
        self.up(now);
    }

    fn up(&mut self, now: Instant) {
        self.state = State::Bound;
        self.bound_since = Some(now);
        self.life.seen = now;
        let up = Up { role: self.role, version: self.version, system_id: self.peer.clone() };
        self.event(Event::Up(up));
    }

    /// A peer asks to bind.
    pub(super) fn bind_asked(&mut self, now: Instant, role: Role, frame: &Frame) {
        let Some(Body::Bind(_, bind)) = self.read_or_refuse(frame) else { return };
        let until = now + self.settings.bind_timeout;
        self.state = State::Asked { until, sequence: frame.sequence, role, version: bind.interface_version };
        self.peer = bind.system_id.clone();
        self.event(Event::BindAsked(BindAsked {
            system_id: bind.system_id,
            password: Password::new(&bind.password),
            system_type: bind.system_type,
            role,
            version: bind.interface_version,
            address_range: bind.address_range,
        }));
    }

    /// An SMSC that connected to us asks us to bind (§4.1.7).
    pub(super) fn outbind_asked(&mut self, now: Instant, frame: &Frame) {
        let Some(Body::Outbind { system_id, password }) = self.read_or_refuse(frame) else { return };
        self.state = State::Outbound { until: now + self.settings.bind_timeout };
        self.peer = system_id.clone();
        self.event(Event::Outbind { system_id, password: Password::new(&password) });
    }

    /// The application grants the peer's bind.
    pub(super) fn allow(&mut self, now: Instant, settings: Settings) {
        let State::Asked { sequence, role, version, .. } = self.state else { return };
        let Side::Smsc { system_id, version: ours } = &self.settings.side else { return };
        let (system_id, ours) = (system_id.clone(), *ours);
        let side = self.settings.side.clone();
        self.outbound.pace = Pace::new(settings.rate, now);
        self.inbound.allowance = settings.peer_rate.map(|rate| Allowance::new(rate, now));
        self.settings = Settings { side, ..settings };
        self.role = role;
        self.version = ours.min(version);
        let mut tlvs = Tlvs::default();
        if version >= VERSION_3_4 {
            tlvs.push(tag::SC_INTERFACE_VERSION, vec![ours]);
        }
        let answer = BindResp { system_id, tlvs };
        let pdu = Pdu { status: code::ROK, sequence, body: Body::BindResp(role, answer) };
        if self.write(&pdu).is_err() {
            self.refuse(sequence, role.command_id(), code::ROK);
        }
        self.up(now);
    }

    /// The application refuses the peer's bind or outbind.
    pub(super) fn deny(&mut self, status: u32) {
        let status = if status == code::ROK { code::RBINDFAIL } else { status };
        match self.state {
            State::Asked { sequence, role, .. } => self.refuse(sequence, role.command_id(), status),
            // An outbind has no response; the closed connection is the answer.
            State::Outbound { .. } => {}
            _ => return,
        }
        self.end(Ended::Refused(status));
    }

    /// The application believes the outbind.
    pub(super) fn bind_as(&mut self, now: Instant, esme: &Esme) {
        if matches!(self.state, State::Outbound { .. }) {
            self.bind(now, esme);
        }
    }

    /// Takes no more requests. What has not left yet never will.
    pub(super) fn drain(&mut self, until: Instant) {
        match self.state {
            State::Bound => {
                self.outbound.drop_queued(Unsent::Closing, &mut self.out);
                self.state = State::Draining { until };
            }
            State::Draining { .. } | State::Unbinding { .. } | State::Parting { .. } | State::Over => {}
            State::Open { .. } | State::Asked { .. } | State::Outbound { .. } | State::Binding { .. } => {
                self.end(Ended::Unbound);
            }
        }
    }

    pub(super) fn unbind(&mut self, now: Instant) {
        let sequence = self.outbound.next_sequence();
        self.state = State::Unbinding { until: now + self.settings.bind_timeout, sequence };
        self.send(&Pdu::request(sequence, Body::Unbind));
    }

    /// The peer sent `unbind` (§4.2).
    pub(super) fn unbind_asked(&mut self, now: Instant, sequence: u32) {
        match self.state {
            State::Bound | State::Draining { .. } => {
                self.outbound.drop_queued(Unsent::Down, &mut self.out);
                self.state = State::Parting { until: now + PARTING, sequence };
            }
            // Both unbind at once, or it asks twice: the answer does not wait.
            _ => self.part(sequence),
        }
    }

    pub(super) fn part(&mut self, sequence: u32) {
        self.send(&Pdu { status: code::ROK, sequence, body: Body::UnbindResp });
        let ours = matches!(self.state, State::Unbinding { .. });
        self.end(if ours { Ended::Unbound } else { Ended::PeerUnbound });
    }
}
