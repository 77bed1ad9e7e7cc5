//! Every type of PDU read back by Wireshark's dissector: exactly the fields that were written, with equal values.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use bytes::Bytes;
use keytone::smpp::other::{Destination, Other};
use keytone::smpp::pdu::{Address, Bind, Body, Message, Pdu};
use keytone::smpp::time::{Stamp, parse};
use keytone::smpp::tlv::{Tlv, Tlvs, tag};
use serde_json::Value;

use super::{every, octets};

const PORT: u16 = 2_775;

/// Values by the dissector's names, in order where a name comes again.
#[derive(Debug, Default, Eq, PartialEq)]
struct Fields(BTreeMap<String, Vec<String>>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<String>) {
        self.0.entry(format!("smpp.{name}")).or_default().push(value.into());
    }

    /// A C-string; an empty one is not shown.
    fn text(&mut self, name: &str, text: &Bytes) {
        if !text.is_empty() {
            self.put(name, String::from_utf8(text.to_vec()).unwrap());
        }
    }

    fn octet(&mut self, name: &str, octet: u8) {
        self.put(name, format!("{octet:#04x}"));
    }

    fn number(&mut self, name: &str, number: impl Into<u64>) {
        self.put(name, number.into().to_string());
    }

    fn octets(&mut self, name: &str, octets: &[u8]) {
        let shown: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        self.put(name, shown.join(":"));
    }

    fn time(&mut self, name: &str, time: &Bytes) {
        match parse(time).expect("a time") {
            Stamp::After(seconds) => self.put(&format!("{name}_r"), format!("{seconds}.000000000")),
            Stamp::At(at) => {
                // 2026-11-22 10:11:12.3, the one that is used.
                assert_eq!(at, 1_795_342_272_300_000);
                self.put(name, "Nov 22, 2026 10:11:12.300000000 UTC");
            }
        }
    }

    fn address(&mut self, [ton, npi, digits]: [&str; 3], address: &Address) {
        self.octet(ton, address.ton);
        self.octet(npi, address.npi);
        self.text(digits, &address.digits);
    }

    fn source(&mut self, address: &Address) {
        self.address(["source_addr_ton", "source_addr_npi", "source_addr"], address);
    }

    fn destination(&mut self, address: &Address) {
        self.address(["dest_addr_ton", "dest_addr_npi", "destination_addr"], address);
    }

    fn esm_class(&mut self, esm_class: u8) {
        self.octet("esm.submit.msg_mode", esm_class & 3);
        self.octet("esm.submit.msg_type", esm_class >> 2 & 0xf);
        self.octet("esm.submit.features", esm_class >> 6);
    }

    fn registered_delivery(&mut self, registered: u8) {
        self.octet("regdel.receipt", registered & 3);
        self.octet("regdel.acks", registered >> 2 & 3);
        self.octet("regdel.notif", registered >> 4 & 1);
    }

    fn short_message(&mut self, text: &Bytes) {
        self.number("sm_length", u64::try_from(text.len()).unwrap());
        self.octets("message", text);
    }

    fn tlvs(&mut self, tlvs: &Tlvs) {
        tlvs.0.iter().for_each(|tlv| self.tlv(tlv));
    }

    fn tlv(&mut self, Tlv { tag, value }: &Tlv) {
        self.put("opt_param_tag", format!("{tag:#06x}"));
        self.number("opt_param_len", u64::try_from(value.len()).unwrap());
        let number = value.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        match *tag {
            tag::USER_MESSAGE_REFERENCE => self.put("user_message_reference", format!("{number:#06x}")),
            tag::USSD_SERVICE_OP => self.number("ussd_service_op", number),
            tag::ITS_SESSION_INFO => {
                self.number("its_session.number", value[0]);
                self.octet("its_session.sequence", value[1] >> 1);
                self.octet("its_session.ind", value[1] & 1);
            }
            tag::RECEIPTED_MESSAGE_ID => self.text("receipted_message_id", &value.slice(..value.len() - 1)),
            tag::MESSAGE_STATE => self.number("message_state", number),
            tag::NETWORK_ERROR_CODE => {
                self.number("network_error.type", value[0]);
                self.put("network_error.code", format!("{:#06x}", number & 0xffff));
            }
            tag::CONGESTION_STATE => self.number("congestion_state", number),
            tag::SAR_MSG_REF_NUM => self.number("sar_msg_ref_num", number),
            tag::SAR_TOTAL_SEGMENTS => self.number("sar_total_segments", number),
            tag::SAR_SEGMENT_SEQNUM => self.number("sar_segment_seqnum", number),
            tag::SC_INTERFACE_VERSION => self.number("SC_interface_version", number),
            tag::MS_AVAILABILITY_STATUS => self.number("ms_availability_status", number),
            tag::MESSAGE_PAYLOAD => self.octets("message_payload", value),
            tag::BROADCAST_AREA_IDENTIFIER => {
                self.octet("broadcast_area_identifier.format", value[0]);
                self.octets("broadcast_area_identifier", value);
            }
            tag::BROADCAST_AREA_SUCCESS => self.number("broadcast_area_success", number),
            tag::BROADCAST_CONTENT_TYPE => {
                self.number("broadcast_content_type.nw", value[0]);
                self.put("broadcast_content_type.type", format!("{:#06x}", number & 0xffff));
            }
            tag::BROADCAST_REP_NUM => self.number("broadcast_rep_num", number),
            tag::BROADCAST_FREQUENCY_INTERVAL => {
                self.octet("broadcast_frequency_interval.unit", value[0]);
                self.number("broadcast_frequency_interval.value", number & 0xffff);
            }
            0x1400..=0x3fff => self.octets("vendor_op", value),
            _ => panic!("say how the dissector shows {tag:#06x}"),
        }
    }
}

fn expected(pdu: &Pdu) -> Fields {
    let mut f = Fields::default();
    f.number("command_length", u64::try_from(octets(pdu).len()).unwrap());
    f.put("command_id", format!("{:#010x}", pdu.body.command_id()));
    if pdu.body.is_response() {
        f.put("command_status", format!("{:#010x}", pdu.status));
    }
    f.number("sequence_number", pdu.sequence);
    if pdu.status != 0 {
        return f;
    }
    match &pdu.body {
        Body::Bind(_, bind) => self::bind(&mut f, bind),
        Body::BindResp(_, resp) => {
            f.text("system_id", &resp.system_id);
            f.tlvs(&resp.tlvs);
        }
        Body::Outbind { system_id, password } => {
            f.text("system_id", system_id);
            f.text("password", password);
        }
        Body::SubmitSm(message) | Body::DeliverSm(message) => {
            f.text("service_type", &message.service_type);
            f.source(&message.source);
            f.destination(&message.destination);
            message_rest(&mut f, message);
        }
        Body::DataSm(message) => {
            f.text("service_type", &message.service_type);
            f.source(&message.source);
            f.destination(&message.destination);
            f.esm_class(message.esm_class);
            f.registered_delivery(message.registered_delivery);
            f.octet("data_coding", message.data_coding);
            f.tlvs(&message.tlvs);
        }
        Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => {
            f.text("message_id", &resp.message_id);
            f.tlvs(&resp.tlvs);
        }
        Body::Other(other) => self::other(&mut f, other),
        Body::Unbind | Body::UnbindResp | Body::EnquireLink | Body::EnquireLinkResp | Body::GenericNack => {}
    }
    f
}

fn bind(f: &mut Fields, bind: &Bind) {
    f.text("system_id", &bind.system_id);
    f.text("password", &bind.password);
    f.text("system_type", &bind.system_type);
    f.number("interface_version", bind.interface_version);
    f.octet("addr_ton", bind.addr_ton);
    f.octet("addr_npi", bind.addr_npi);
    f.text("address_range", &bind.address_range);
}

fn message_rest(f: &mut Fields, message: &Message) {
    f.esm_class(message.esm_class);
    f.octet("protocol_id", message.protocol_id);
    f.octet("priority_flag", message.priority);
    f.time("schedule_delivery_time", &message.schedule_delivery_time);
    f.time("validity_period", &message.validity_period);
    f.registered_delivery(message.registered_delivery);
    f.octet("replace_if_present_flag", message.replace_if_present);
    f.octet("data_coding", message.data_coding);
    f.number("sm_default_msg_id", message.sm_default_msg_id);
    f.short_message(&message.short_message);
    f.tlvs(&message.tlvs);
}

fn other(f: &mut Fields, other: &Other) {
    match other {
        Other::QuerySm(query) => {
            f.text("message_id", &query.message_id);
            f.source(&query.source);
        }
        Other::QuerySmResp(resp) => {
            f.text("message_id", &resp.message_id);
            f.time("final_date", &resp.final_date);
            f.number("message_state", resp.message_state);
            f.number("error_code", resp.error_code);
        }
        Other::CancelSm(cancel) => {
            f.text("service_type", &cancel.service_type);
            f.text("message_id", &cancel.message_id);
            f.source(&cancel.source);
            f.destination(&cancel.destination);
        }
        Other::ReplaceSm(replace) => {
            f.text("message_id", &replace.message_id);
            f.source(&replace.source);
            f.time("schedule_delivery_time", &replace.schedule_delivery_time);
            f.time("validity_period", &replace.validity_period);
            f.registered_delivery(replace.registered_delivery);
            f.number("sm_default_msg_id", replace.sm_default_msg_id);
            f.short_message(&replace.short_message);
        }
        Other::SubmitMulti(multi) => {
            f.text("service_type", &multi.message.service_type);
            f.source(&multi.message.source);
            for destination in &multi.destinations {
                match destination {
                    Destination::Address(address) => f.destination(address),
                    Destination::List(name) => f.text("dl_name", name),
                }
            }
            message_rest(f, &multi.message);
        }
        Other::SubmitMultiResp(resp) => {
            f.text("message_id", &resp.message_id);
            for refused in &resp.refused {
                f.destination(&refused.address);
                f.put("error_status_code", format!("{:#010x}", refused.status));
            }
        }
        Other::AlertNotification(alert) => {
            f.source(&alert.source);
            f.address(["esme_addr_ton", "esme_addr_npi", "esme_addr"], &alert.esme);
            f.tlvs(&alert.tlvs);
        }
        Other::CancelSmResp | Other::ReplaceSmResp | Other::CancelBroadcastSmResp => {}
        broadcast => self::broadcast(f, broadcast),
    }
}

fn broadcast(f: &mut Fields, other: &Other) {
    match other {
        Other::BroadcastSm(broadcast) => {
            f.text("service_type", &broadcast.service_type);
            f.source(&broadcast.source);
            f.text("message_id", &broadcast.message_id);
            f.octet("priority_flag", broadcast.priority);
            f.time("schedule_delivery_time", &broadcast.schedule_delivery_time);
            f.time("validity_period", &broadcast.validity_period);
            f.octet("replace_if_present_flag", broadcast.replace_if_present);
            f.octet("data_coding", broadcast.data_coding);
            f.number("sm_default_msg_id", broadcast.sm_default_msg_id);
            f.tlvs(&broadcast.tlvs);
        }
        Other::QueryBroadcastSm(query) => {
            f.text("message_id", &query.message_id);
            f.source(&query.source);
            f.tlvs(&query.tlvs);
        }
        Other::CancelBroadcastSm(cancel) => {
            f.text("service_type", &cancel.service_type);
            f.text("message_id", &cancel.message_id);
            f.source(&cancel.source);
            f.tlvs(&cancel.tlvs);
        }
        Other::BroadcastSmResp(resp) | Other::QueryBroadcastSmResp(resp) => {
            f.text("message_id", &resp.message_id);
            f.tlvs(&resp.tlvs);
        }
        other => panic!("say how the dissector shows {other:?}"),
    }
}

/// What the dissector read, flat. The text that it decodes itself is left out: its octets are there.
fn flatten(value: &Value, into: &mut Fields) {
    let Value::Object(fields) = value else { panic!("{value}") };
    for (name, value) in fields {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            match value {
                Value::String(text) if name != "smpp.message_text" => {
                    into.0.entry(name.clone()).or_default().push(text.clone());
                }
                Value::String(_) => {}
                nested => flatten(nested, into),
            }
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).env("TZ", "UTC").output();
    let output = output.unwrap_or_else(|error| panic!("{program} is missing (scripts/setup): {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What the dissector makes of each PDU in a segment of its own.
fn dissect(pdus: &[Pdu]) -> Vec<Fields> {
    let mut dump = String::new();
    for pdu in pdus {
        for (line, octets) in octets(pdu).chunks(16).enumerate() {
            write!(dump, "{:06x}", line * 16).unwrap();
            octets.iter().for_each(|octet| write!(dump, " {octet:02x}").unwrap());
            dump.push('\n');
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (text, capture) = (path("pdus.txt"), path("pdus.pcap"));
    std::fs::write(&text, dump).unwrap();
    run("text2pcap", &["-q", "-T", &format!("{PORT},40000"), &text, &capture]);
    let decode = format!("tcp.port=={PORT},smpp");
    let json = run("tshark", &["-n", "-r", &capture, "-d", &decode, "-T", "json", "--no-duplicate-keys"]);
    let packets: Vec<Value> = serde_json::from_slice(&json).unwrap();
    let read = |packet: &Value| {
        let mut fields = Fields::default();
        flatten(&packet["_source"]["layers"]["smpp"], &mut fields);
        fields
    };
    packets.iter().map(read).collect()
}

#[test]
fn an_outside_dissector_reads_every_type_as_it_was_meant() {
    let pdus = every::pdus();
    let read = dissect(&pdus);
    assert_eq!(read.len(), pdus.len());
    for (pdu, read) in pdus.iter().zip(&read) {
        let expected = expected(pdu);
        for (name, values) in &expected.0 {
            assert_eq!(read.0.get(name), Some(values), "{name} of {pdu:?}");
        }
        assert_eq!(read, &expected, "{pdu:?}");
    }
}
