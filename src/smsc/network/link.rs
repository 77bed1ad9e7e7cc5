//! One connection of an ESME: bind, requests in both directions, and what faults do to the bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use crate::smpp::encode::encode;
use crate::smpp::frame::Frame;
use crate::smpp::parse::parse;
use crate::smpp::pdu::{Bind, BindResp, Body, Pdu, Role, command};
use crate::smpp::status;
use crate::smpp::tlv::{Tlvs, tag};
use crate::smsc::fault::Instead;
use crate::smsc::network::deliver::Delivery;
use crate::smsc::network::{KEPT_MS, Line, Network, Now, Output, Timer};

/// The largest `sequence_number` (SMPP 3.4 §5.1.4).
const SEQUENCE_MAX: u32 = 0x7fff_ffff;
/// What is sent in the place of a PDU by `rubbish_at`: read as a length it is over a thousand million.
const RUBBISH: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/// One connection.
pub(super) struct Link {
    /// None before a bind was taken.
    pub(super) role: Option<Role>,
    pub(super) system_id: String,
    /// What the ESME said in its bind.
    version: u8,
    out: BytesMut,
    sequence: u32,
    /// Requests of ours without a response.
    pub(super) asked: BTreeMap<u32, Asked>,
    /// Submits without a response.
    pub(super) in_flight: usize,
    /// Those whose response is in `out`.
    responded: usize,
    /// Responses that a fault keeps.
    kept: Vec<Bytes>,
    heard: std::time::Instant,
    /// A fault silenced it.
    stalled: bool,
    /// We asked it to unbind, or it asked us.
    pub(super) leaving: bool,
}

/// A request of ours.
#[derive(Debug)]
pub(super) enum Asked {
    Enquire,
    Unbind,
    Deliver(Box<Delivery>),
}

impl Link {
    fn new(now: Now) -> Self {
        Self {
            role: None,
            system_id: String::new(),
            version: 0x34,
            out: BytesMut::new(),
            sequence: 0,
            asked: BTreeMap::new(),
            in_flight: 0,
            responded: 0,
            kept: Vec::new(),
            heard: now.instant,
            stalled: false,
            leaving: false,
        }
    }

    /// The bytes that go out now.
    pub(super) fn flush(&mut self) -> Option<Bytes> {
        self.in_flight = self.in_flight.saturating_sub(std::mem::take(&mut self.responded));
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// A sequence number that no request of ours without a response has.
    pub(super) fn next(&mut self) -> u32 {
        loop {
            self.sequence = if self.sequence == SEQUENCE_MAX { 1 } else { self.sequence + 1 };
            if !self.asked.contains_key(&self.sequence) {
                return self.sequence;
            }
        }
    }

    /// Whether it takes deliveries.
    pub(super) const fn receives(&self) -> bool {
        matches!(self.role, Some(Role::Receiver | Role::Transceiver)) && !self.leaving && !self.stalled
    }

    const fn submits(&self) -> bool {
        matches!(self.role, Some(Role::Transmitter | Role::Transceiver))
    }

    pub(super) fn delivering(&self) -> usize {
        self.asked.values().filter(|a| matches!(a, Asked::Deliver(_))).count()
    }
}

impl Network {
    pub(super) fn connected(&mut self, now: Now, id: u64) {
        self.counts.connects += 1;
        self.links.insert(id, Link::new(now));
        self.write(now, Line { direction: "in", kind: "connect", link: Some(id), ..Line::default() });
    }

    /// A connection that we made asks the ESME to bind on it.
    pub(super) fn outbound(&mut self, now: Now, ticket: u64, link: Option<u64>) {
        let Some(id) = link else {
            return self.answer(ticket, 502, json!({ "why": "no connection" }));
        };
        self.connected(now, id);
        let sequence = self.links.get_mut(&id).map_or(1, Link::next);
        let system_id = Bytes::from(self.settings.system_id.clone());
        let password = Bytes::from(self.settings.outbind_password.clone());
        self.send(now, id, &Pdu::request(sequence, Body::Outbind { system_id, password }));
        self.answer(ticket, 200, json!({ "link": id }));
    }

    /// The bytes of a link cannot be cut any further (SMPP 3.4 §5.1.3, `ESME_RINVCMDLEN`).
    pub(super) fn broken(&mut self, now: Now, id: u64) {
        self.counts.bad_pdus += 1;
        self.reply(now, id, 0, status::RINVCMDLEN, Body::GenericNack);
        self.outputs.push_back(Output::Close(id));
        self.gone(now, id, "bytes that are no PDU");
    }

    pub(super) fn frame(&mut self, now: Now, id: u64, frame: &Frame) {
        let Some(link) = self.links.get_mut(&id).filter(|l| !l.stalled) else { return };
        link.heard = now.instant;
        let bound = link.role.is_some();
        if frame.id == command::SUBMIT_SM && self.discard && self.count_only(now, id, frame.sequence) {
            return;
        }
        // Whether the command is allowed in this state comes before what it says (SMPP 3.4 §2.3).
        let allowed = match frame.id {
            command::SUBMIT_SM | command::DATA_SM | command::SUBMIT_MULTI | command::QUERY_SM => {
                self.links.get(&id).is_some_and(Link::submits)
            }
            command::UNBIND | command::CANCEL_SM | command::REPLACE_SM => bound,
            _ => true,
        };
        if !allowed {
            let body = Body::response_of(frame.id).unwrap_or(Body::GenericNack);
            self.reply(now, id, frame.sequence, status::RINVBNDSTS, body);
            return;
        }
        let pdu = match parse(frame) {
            Ok(pdu) => pdu,
            Err(bad) => {
                self.counts.bad_pdus += 1;
                let what = "a PDU that cannot be read";
                self.write(
                    now,
                    Line { direction: "in", kind: "bad", link: Some(id), what, ..Line::default() },
                );
                if let Some(answer) = bad.answer() {
                    self.send(now, id, &answer);
                }
                return;
            }
        };
        if pdu.body.is_response() {
            return self.responded(now, id, &pdu);
        }
        let sequence = pdu.sequence;
        match pdu.body {
            Body::Bind(role, bind) => self.bind(now, id, sequence, role, &bind),
            Body::EnquireLink if self.faults.deaf => {}
            Body::EnquireLink => self.reply(now, id, sequence, 0, Body::EnquireLinkResp),
            Body::Unbind => {
                self.reply(now, id, sequence, 0, Body::UnbindResp);
                self.outputs.push_back(Output::Close(id));
                self.gone(now, id, "unbound by the ESME");
            }
            Body::SubmitSm(message) => self.submit(now, id, sequence, &message, false),
            Body::DataSm(message) => self.submit(now, id, sequence, &message, true),
            other => {
                let body = Body::response_of(other.command_id()).unwrap_or(Body::GenericNack);
                self.reply(now, id, sequence, status::RINVCMDID, body);
            }
        }
    }

    fn bind(&mut self, now: Now, id: u64, sequence: u32, role: Role, bind: &Bind) {
        let system_id = String::from_utf8_lossy(&bind.system_id).into_owned();
        let refusal = self.bind_refusal(id, &system_id, &bind.password);
        self.write(
            now,
            Line {
                direction: "in",
                kind: "bind",
                link: Some(id),
                from: &system_id,
                status: Some(refusal),
                what: match role {
                    Role::Receiver => "receiver",
                    Role::Transmitter => "transmitter",
                    Role::Transceiver => "transceiver",
                },
                ..Line::default()
            },
        );
        if refusal != 0 {
            self.counts.binds_refused += 1;
            self.reply(now, id, sequence, refusal, Body::BindResp(role, BindResp::default()));
            return;
        }
        self.counts.binds += 1;
        let mut tlvs = Tlvs::default();
        if self.settings.interface_version != 0 && bind.interface_version >= 0x34 {
            tlvs.push(tag::SC_INTERFACE_VERSION, vec![self.settings.interface_version]);
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.role = Some(role);
            link.system_id = system_id;
            link.version = bind.interface_version;
        }
        let name = Bytes::from(self.settings.system_id.clone());
        self.reply(now, id, sequence, 0, Body::BindResp(role, BindResp { system_id: name, tlvs }));
        if self.settings.enquire_ms != 0 {
            self.after(now, self.settings.enquire_ms, Timer::Enquire(id));
        }
    }

    fn bind_refusal(&mut self, id: u64, system_id: &str, password: &[u8]) -> u32 {
        if self.links.get(&id).is_some_and(|l| l.role.is_some()) {
            return status::RALYBND;
        }
        if self.faults.refuse_binds > 0 {
            self.faults.refuse_binds -= 1;
            return match self.faults.refuse_bind_status {
                0 => status::RBINDFAIL,
                told => told,
            };
        }
        let accounts = &self.settings.accounts;
        if !accounts.is_empty() {
            let Some(account) = accounts.iter().find(|a| a.system_id == system_id) else {
                return status::RINVSYSID;
            };
            if account.password.as_bytes() != password {
                return status::RINVPASWD;
            }
        }
        let binds = self.links.values().filter(|l| l.role.is_some() && l.system_id == system_id).count();
        if binds >= self.settings.binds_max { status::RBINDFAIL } else { 0 }
    }

    fn responded(&mut self, now: Now, id: u64, pdu: &Pdu) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.asked.remove(&pdu.sequence) {
            Some(Asked::Enquire) => {}
            Some(Asked::Unbind) => {
                self.outputs.push_back(Output::Close(id));
                self.gone(now, id, "unbound by the SMSC");
            }
            Some(Asked::Deliver(delivery)) => {
                // A nack without a status is an answer too, and no good one.
                let nack = matches!(pdu.body, Body::GenericNack) && pdu.status == 0;
                let status = if nack { status::RSYSERR } else { pdu.status };
                self.delivered(now, id, pdu.sequence, *delivery, status);
            }
            None => {
                self.counts.strays += 1;
                self.write(
                    now,
                    Line {
                        direction: "in",
                        kind: "stray",
                        link: Some(id),
                        sequence: Some(pdu.sequence),
                        status: Some(pdu.status),
                        what: "a response to nothing that is open",
                        ..Line::default()
                    },
                );
            }
        }
    }

    pub(super) fn enquire(&mut self, now: Now, id: u64) {
        let every = Duration::from_millis(self.settings.enquire_ms);
        let Some(link) = self.links.get_mut(&id) else { return };
        let silent = now.instant.saturating_duration_since(link.heard);
        if every.is_zero() {
            return;
        }
        if silent < every {
            let left = u64::try_from((every - silent).as_millis()).unwrap_or(0) + 1;
            return self.after(now, left, Timer::Enquire(id));
        }
        let sequence = link.next();
        link.asked.insert(sequence, Asked::Enquire);
        self.send(now, id, &Pdu::request(sequence, Body::EnquireLink));
        self.after(now, self.settings.response_ms, Timer::Unanswered(id, sequence));
        self.after(now, self.settings.enquire_ms, Timer::Enquire(id));
    }

    /// A request of ours has waited for its response for long enough.
    pub(super) fn unanswered(&mut self, now: Now, id: u64, sequence: u32) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.asked.remove(&sequence) {
            Some(Asked::Enquire | Asked::Unbind) => self.cut(now, id, "no response"),
            Some(Asked::Deliver(delivery)) => self.ignored(now, id, *delivery),
            None => {}
        }
    }

    /// `POST /unbind`: asks every bound link to leave.
    pub(super) fn unbind_all(&mut self, now: Now) -> usize {
        let bound: Vec<u64> =
            self.links.iter().filter(|(_, l)| l.role.is_some() && !l.leaving).map(|(id, _)| *id).collect();
        for id in &bound {
            let Some(link) = self.links.get_mut(id) else { continue };
            link.leaving = true;
            let sequence = link.next();
            link.asked.insert(sequence, Asked::Unbind);
            self.send(now, *id, &Pdu::request(sequence, Body::Unbind));
            self.after(now, self.settings.response_ms, Timer::Unanswered(*id, sequence));
        }
        bound.len()
    }

    /// Cuts a link off with a reset.
    pub(super) fn cut(&mut self, now: Now, id: u64, why: &'static str) {
        self.counts.links_cut += 1;
        self.outputs.push_back(Output::Reset(id));
        self.gone(now, id, why);
    }

    /// A link is no more: what it left unanswered waits for the next one.
    pub(super) fn gone(&mut self, now: Now, id: u64, why: &'static str) {
        let Some(mut link) = self.links.remove(&id) else { return };
        if let Some(bytes) = link.flush() {
            self.outputs.push_front(Output::Send(id, bytes));
        }
        self.write(
            now,
            Line { direction: "here", kind: "gone", link: Some(id), what: why, ..Line::default() },
        );
        for (_, asked) in std::mem::take(&mut link.asked).into_iter().rev() {
            if let Asked::Deliver(delivery) = asked {
                self.orphaned(now, *delivery);
            }
        }
    }

    /// A response or another PDU that faults of submits do not touch.
    pub(super) fn reply(&mut self, now: Now, id: u64, sequence: u32, status: u32, body: Body) {
        self.send(now, id, &Pdu { status, sequence, body });
    }

    pub(super) fn send(&mut self, now: Now, id: u64, pdu: &Pdu) {
        let Some(link) = self.links.get(&id) else { return };
        let mut bytes = BytesMut::with_capacity(256);
        if let Err(unfit) = encode(pdu, link.version, &mut bytes) {
            tracing::warn!(%unfit, "the sandbox SMSC cannot write a PDU");
            return;
        }
        self.put(now, id, &bytes);
    }

    /// Puts bytes of one PDU on a link, or what a fault makes of them.
    pub(super) fn put(&mut self, now: Now, id: u64, bytes: &[u8]) {
        let mut instead = None;
        if self.faults.touch_pdus() {
            self.passed.pdus += 1;
            instead = self.faults.instead(self.passed.pdus);
        }
        let Some(link) = self.links.get_mut(&id).filter(|l| !l.stalled) else { return };
        match instead {
            None => link.out.put_slice(bytes),
            Some(Instead::Half) => {
                link.out.put_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
                link.stalled = true;
            }
            Some(Instead::Rubbish) => link.out.put_slice(RUBBISH),
            Some(Instead::Reset) => return self.cut(now, id, "disconnect by fault"),
        }
        self.dirty.insert(id);
    }

    /// Puts the response of a submit on a link.
    pub(super) fn put_response(&mut self, now: Now, id: u64, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&id) {
            link.responded += 1;
        }
        self.put(now, id, bytes);
    }

    /// Keeps a response until enough are there to be sent in the reverse order.
    pub(super) fn keep(&mut self, now: Now, id: u64, bytes: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.kept.push(bytes);
        if link.kept.len() >= self.faults.reorder {
            self.release(now, id);
        } else {
            self.after(now, KEPT_MS, Timer::Kept(id));
        }
    }

    pub(super) fn release(&mut self, now: Now, id: u64) {
        let kept = self.links.get_mut(&id).map(|l| std::mem::take(&mut l.kept)).unwrap_or_default();
        for bytes in kept.iter().rev() {
            self.put_response(now, id, bytes);
        }
    }

    /// A submit that is counted and answered without a look at it. `false` where a fault may want to see it.
    fn count_only(&mut self, now: Now, id: u64, sequence: u32) -> bool {
        if self.faults.touch_submits() {
            return false;
        }
        let Some(link) = self.links.get_mut(&id).filter(|l| l.submits()) else { return false };
        link.in_flight += 1;
        link.responded += 1;
        self.counts.window_max = self.counts.window_max.max(link.in_flight);
        self.counts.submits += 1;
        self.counts.submits_taken += 1;
        self.next_id += 1;
        let message_id = self.settings.ids.write(self.next_id);
        let length = u32::try_from(17 + message_id.len()).unwrap_or(17);
        link.out.put_u32(length);
        link.out.put_u32(command::SUBMIT_SM | command::RESPONSE);
        link.out.put_u32(0);
        link.out.put_u32(sequence);
        link.out.put_slice(message_id.as_bytes());
        link.out.put_u8(0);
        self.dirty.insert(id);
        self.asked.add(now.instant);
        self.taken.add(now.instant);
        true
    }
}
