//! What the fuzz targets and the replay of their corpus do with a stream of octets. Each gives how many frames it had.
#![allow(dead_code, reason = "each target drives its own half")]

use bytes::BytesMut;
use keytone::smpp::coding::{self, Charset, Charsets};
use keytone::smpp::encode::encode;
use keytone::smpp::frame::{Frame, Framer, MAX_PDU};
use keytone::smpp::long;
use keytone::smpp::parse::{Tolerated, parse, parse_noting};
use keytone::smpp::pdu::{Body, Message, Pdu, command};
use keytone::smpp::receipt;
use keytone::smpp::status;
use tokio_util::codec::Decoder;

/// The frames of a stream that comes in pieces of so many octets, and whether it came to a bad length.
fn frames(octets: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let (mut framer, mut buffer, mut frames) = (Framer::new(MAX_PDU), BytesMut::new(), Vec::new());
    for piece in octets.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match framer.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

/// The same frames, however the stream is cut.
fn cut_anyhow(octets: &[u8]) -> Vec<Frame> {
    let whole = frames(octets, octets.len().max(1));
    for step in [1, 3, 16] {
        assert_eq!(frames(octets, step), whole);
    }
    whole.0
}

/// Whatever an answer is to, it can be written.
fn answer(pdu: &Pdu) {
    let mut out = BytesMut::new();
    encode(pdu, 0x34, &mut out).expect("an answer");
}

/// Before a bind: its state is judged before any other body is read.
pub(super) fn before_bind(octets: &[u8]) -> usize {
    let frames = cut_anyhow(octets);
    for frame in &frames {
        let bind = matches!(
            frame.id,
            command::BIND_RECEIVER | command::BIND_TRANSMITTER | command::BIND_TRANSCEIVER | command::OUTBIND
        );
        if !bind {
            if let Some(body) = Body::response_of(frame.id) {
                answer(&Pdu { status: status::RINVBNDSTS, sequence: frame.sequence, body });
            }
            continue;
        }
        match parse(frame) {
            Ok(pdu) => {
                if let Some(resp) = pdu.response_to(status::RBINDFAIL) {
                    answer(&resp);
                }
            }
            Err(bad) => {
                if let Some(resp) = bad.answer() {
                    answer(&resp);
                }
            }
        }
    }
    frames.len()
}

/// After a bind: bodies, texts, headers and receipts.
pub(super) fn after_bind(octets: &[u8]) -> usize {
    let frames = cut_anyhow(octets);
    for frame in &frames {
        let mut tolerated = Tolerated::NONE;
        match parse_noting(frame, &mut tolerated) {
            Ok(pdu) => {
                again(&pdu, tolerated);
                if let Body::SubmitSm(message) | Body::DeliverSm(message) | Body::DataSm(message) = &pdu.body
                {
                    read(message);
                }
            }
            Err(bad) => {
                if let Some(resp) = bad.answer() {
                    answer(&resp);
                }
            }
        }
    }
    frames.len()
}

/// What can be written again is read as the same, without a tolerance.
fn again(pdu: &Pdu, tolerated: Tolerated) {
    let mut out = BytesMut::new();
    if encode(pdu, 0x50, &mut out).is_err() {
        return;
    }
    let frame = Framer::new(u32::MAX).decode(&mut out).expect("a length").expect("a frame");
    let mut more = Tolerated::NONE;
    let read = parse_noting(&frame, &mut more).expect("a PDU that was written");
    if pdu.status == status::ROK {
        assert_eq!(&read, pdu);
        assert!(more.is_none() || !tolerated.is_none(), "{:?}", more.names().collect::<Vec<_>>());
    }
}

fn read(message: &Message) {
    let content = long::content(message);
    for base in [Charsets::sms(), Charsets::ussd()] {
        for default in [Charset::Gsm7, Charset::Gsm7Packed, Charset::Latin1, Charset::Ascii, Charset::Utf8] {
            let charsets = Charsets { default, ..base };
            if let Ok(decoded) =
                coding::decode_from(message.data_coding, &content.text, content.fill, &charsets)
            {
                let (coding, octets) = coding::encode(&decoded.text, &charsets);
                coding::decode(coding, &octets, &charsets).expect("what was written is a text");
                let _ = long::segments(&decoded.text, &charsets, long::Form::Udh8);
            }
            let _ = receipt::read(message, &charsets);
        }
    }
}
