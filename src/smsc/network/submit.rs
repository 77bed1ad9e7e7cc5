//! What comes from the ESME: texts for handsets, and the receipts that follow from them.

use bytes::{Bytes, BytesMut};

use crate::smpp::encode::encode;
use crate::smpp::pdu::{Address, Body, Message, MessageResp, Pdu};
use crate::smpp::status;
use crate::smpp::tlv::{Tlvs, tag};
use crate::smsc::fault::{ByNumber, turn};
use crate::smsc::handset::{Handset, digits};
use crate::smsc::network::deliver::Cause;
use crate::smsc::network::{HANDSETS_MAX, Line, Network, Now, TIMERS_MAX, Timer};
use crate::smsc::settings::{ReceiptForm, Receipts};
use crate::smsc::text;

/// A bit of the sequence number that no client reaches by counting.
const FOREIGN: u32 = 0x4000_0000;
/// How late a response is when `delay_ms` does not say.
const LATE_MS: u64 = 2_000;
/// `esm_class` of a receipt (SMPP 3.4 §5.2.12).
const ESM_RECEIPT: u8 = 0x04;

/// How a submit was taken.
pub(super) struct Taken {
    pub(super) status: u32,
    id: String,
    fault: Option<ByNumber>,
}

impl Network {
    pub(super) fn submit(&mut self, now: Now, link: u64, sequence: u32, message: &Message, data: bool) {
        self.passed.submits += 1;
        self.counts.submits += 1;
        self.asked.add(now.instant);
        if let Some(link) = self.links.get_mut(&link) {
            link.in_flight += 1;
            self.counts.window_max = self.counts.window_max.max(link.in_flight);
        }
        let to = digits(&String::from_utf8_lossy(&message.destination.digits));
        let fault = ByNumber::of(&to);
        let read = text::read(message);
        let is_ussd = self.is_ussd(message);
        self.next_id += 1;
        let number = self.next_id;
        let id = self.settings.ids.write(number);
        let mut status = self.refusal(now, &to, fault);
        if status == 0 && !self.discard {
            status = if is_ussd {
                self.ussd(now, &to, message, &read.text)
            } else {
                let from = String::from_utf8_lossy(&message.source.digits).into_owned();
                let coding = message.data_coding;
                match self.handset(&to) {
                    Some(handset) => {
                        handset.take(now.at, &from, read.text.clone(), coding, id.clone(), read.part);
                        0
                    }
                    None => status::RINVDSTADR,
                }
            };
        }
        if status == 0 {
            self.counts.submits_taken += 1;
            self.taken.add(now.instant);
        } else if matches!(status, status::RTHROTTLED | status::RMSGQFUL) {
            self.counts.throttled += 1;
        }
        if !self.discard {
            self.write(
                now,
                Line {
                    direction: "in",
                    kind: if is_ussd { "ussd" } else { "submit_sm" },
                    link: Some(link),
                    sequence: Some(sequence),
                    from: &String::from_utf8_lossy(&message.source.digits),
                    to: &String::from_utf8_lossy(&message.destination.digits),
                    status: Some(status),
                    id: if status == 0 { &id } else { "" },
                    op: message.tlvs.octet(tag::USSD_SERVICE_OP),
                    length: Some(read.text.chars().count()),
                    text: Some(&read.text),
                    ..Line::default()
                },
            );
        }
        let taken = Taken { status, id, fault };
        if status == 0 {
            self.receipts(now, message, &read.text, number, &taken);
        }
        self.respond(now, link, sequence, data, &taken);
        if status == 0 && !is_ussd {
            self.burst_replied(now, &to);
        }
        self.settle_handset(&to);
    }

    /// The handset of a number; one more is made as long as there is room.
    pub(super) fn handset(&mut self, digits: &str) -> Option<&mut Handset> {
        if !self.handsets.contains_key(digits) {
            if digits.is_empty() || self.handsets.len() >= HANDSETS_MAX {
                return None;
            }
            self.handsets.insert(digits.to_owned(), Handset::default());
        }
        self.handsets.get_mut(digits)
    }

    /// The status that a fault refuses a submit with, or 0.
    fn refusal(&mut self, now: Now, to: &str, fault: Option<ByNumber>) -> u32 {
        let n = self.passed.submits;
        if let Some(status) = self.faults.statuses.get(&format!("+{to}")) {
            return *status;
        }
        match fault {
            Some(ByNumber::Refuse(status)) => return status,
            Some(ByNumber::RefuseTwice(status)) => {
                if let Some(handset) = self.handset(to).filter(|h| h.refused < 2) {
                    handset.refused += 1;
                    return status;
                }
            }
            _ => {}
        }
        let over = self.faults.throttle_over;
        if turn(self.faults.throttle_every, n) || (over != 0 && self.taken.now(now.instant) >= over) {
            return status::RTHROTTLED;
        }
        if turn(self.faults.queue_full_every, n) || self.timers.len() >= TIMERS_MAX {
            return status::RMSGQFUL;
        }
        0
    }

    /// Answers a submit, or does with the answer what a fault wants.
    fn respond(&mut self, now: Now, link: u64, sequence: u32, data: bool, taken: &Taken) {
        let n = self.passed.submits;
        if turn(self.faults.drop_response_every, n) || taken.fault == Some(ByNumber::NoResponse) {
            self.counts.responses_dropped += 1;
            if let Some(link) = self.links.get_mut(&link) {
                link.in_flight = link.in_flight.saturating_sub(1);
            }
            return;
        }
        let message_id = if taken.status == 0 { Bytes::from(taken.id.clone()) } else { Bytes::new() };
        let mut tlvs = Tlvs::default();
        if let Some(congestion) = self.settings.congestion.filter(|_| taken.status == 0) {
            tlvs.push(tag::CONGESTION_STATE, vec![congestion]);
        }
        let resp = MessageResp { message_id, tlvs };
        let body = if data { Body::DataSmResp(resp) } else { Body::SubmitSmResp(resp) };
        let mut pdu = Pdu { status: taken.status, sequence, body };
        if turn(self.faults.nack_every, n) {
            pdu = Pdu { status: status::RSYSERR, sequence, body: Body::GenericNack };
        }
        if turn(self.faults.wrong_sequence_every, n) {
            pdu.sequence ^= FOREIGN;
        }
        let mut bytes = BytesMut::with_capacity(32);
        if let Err(unfit) = encode(&pdu, 0x34, &mut bytes) {
            tracing::warn!(%unfit, "the sandbox SMSC cannot write a response");
            return;
        }
        let bytes = bytes.freeze();
        if turn(self.faults.delay_every, n) || taken.fault == Some(ByNumber::Late) {
            let late = if self.faults.delay_ms == 0 { LATE_MS } else { self.faults.delay_ms };
            self.after(now, late, Timer::Response(link, bytes));
        } else if self.faults.reorder > 1 {
            self.keep(now, link, bytes);
        } else {
            self.put_response(now, link, &bytes);
        }
    }

    /// Plans the receipts of a message that was taken.
    fn receipts(&mut self, now: Now, message: &Message, text: &str, number: u64, taken: &Taken) {
        let mut which = self.settings.receipts;
        let mut state = if which == Receipts::Undelivered { "UNDELIV" } else { "DELIVRD" };
        match taken.fault {
            Some(ByNumber::State(other)) => state = other,
            Some(ByNumber::NoReceipt) => which = Receipts::Never,
            Some(ByNumber::ReceiptTwice) => which = Receipts::Twice,
            Some(ByNumber::Accepted) => which = Receipts::Accepted,
            Some(ByNumber::ReceiptBefore) => which = Receipts::Before,
            _ => {}
        }
        // SMPP 3.4 §5.2.17, bits 0 and 1; 3 is SMPP 5.0's "when it was delivered".
        let wanted = match message.registered_delivery & 0x03 {
            1 => true,
            2 => state != "DELIVRD",
            3 => state == "DELIVRD",
            _ => false,
        };
        if !wanted || which == Receipts::Never {
            return;
        }
        let id = self.settings.receipt_ids.unwrap_or(self.settings.ids).write(number);
        let plan = |network: &mut Self, state: &str, ms: u64| {
            let (receipt, words) = network.receipt(now, message, text, &id, state);
            network.counts.receipts += 1;
            if ms == 0 {
                network.enqueue(receipt, &words, Cause::Receipt(id.clone()));
            } else {
                let delivery = network.delivery(receipt, &words, Cause::Receipt(id.clone()));
                network.after(now, ms, Timer::Receipt(Box::new(delivery)));
            }
        };
        let ms = self.settings.receipt_ms.max(1);
        match which {
            Receipts::Before => {
                plan(self, state, 0);
                self.pump(now);
            }
            Receipts::Accepted => {
                plan(self, "ACCEPTD", ms);
                plan(self, state, ms * 2);
            }
            Receipts::Twice => {
                plan(self, state, ms);
                plan(self, state, ms);
            }
            Receipts::Once | Receipts::Undelivered | Receipts::Never => plan(self, state, ms),
        }
    }

    /// A receipt in the form of SMPP 3.4 Appendix B and §5.3.2.12, §5.3.2.35; the message and its words.
    fn receipt(&self, now: Now, of: &Message, text: &str, id: &str, state: &str) -> (Message, String) {
        let delivered = state == "DELIVRD" || state == "ACCEPTD";
        let form = self.settings.receipt_form;
        let date = text::receipt_date(now.at);
        let beginning: String = text.chars().filter(char::is_ascii).take(20).collect();
        let words = format!(
            "id:{id} sub:001 dlvrd:{} submit date:{date} done date:{date} stat:{state} err:{} text:{beginning}",
            if state == "DELIVRD" { "001" } else { "000" },
            if delivered { "000" } else { "011" },
        );
        let words = if form == ReceiptForm::Tlv { String::new() } else { words };
        let mut tlvs = Tlvs::default();
        if form != ReceiptForm::Text {
            let mut name = id.as_bytes().to_vec();
            name.push(0);
            tlvs.push(tag::RECEIPTED_MESSAGE_ID, name);
            tlvs.push(tag::MESSAGE_STATE, vec![message_state(state)]);
            if !delivered {
                // GSM, absent subscriber.
                tlvs.push(tag::NETWORK_ERROR_CODE, vec![3, 0, 11]);
            }
        }
        let receipt = Message {
            source: of.destination.clone(),
            destination: of.source.clone(),
            esm_class: ESM_RECEIPT,
            short_message: Bytes::from(words.clone()),
            tlvs,
            ..Message::default()
        };
        (receipt, words)
    }
}

/// `message_state` (SMPP 3.4 §5.2.28).
fn message_state(state: &str) -> u8 {
    match state {
        "DELIVRD" => 2,
        "EXPIRED" => 3,
        "UNDELIV" => 5,
        "ACCEPTD" => 6,
        "REJECTD" => 8,
        _ => 7,
    }
}

/// The address of a handset: international, E.164.
pub(super) fn handset_address(digits: &str) -> Address {
    Address { ton: 1, npi: 1, digits: Bytes::from(digits.to_owned()) }
}

/// The address of whom a handset writes to: a short code, a number, or a name.
pub(super) fn other_address(written: &str) -> Address {
    let plain = written.trim_start_matches('+');
    let is_number = plain.bytes().all(|b| b.is_ascii_digit());
    let (ton, npi) = match () {
        () if written.starts_with('+') => (1, 1),
        () if is_number => (0, 1),
        () if written.contains(['*', '#']) => (0, 0),
        () => (5, 0),
    };
    Address { ton, npi, digits: Bytes::from(plain.to_owned()) }
}
