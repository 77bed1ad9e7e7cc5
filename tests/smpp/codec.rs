//! The codec by properties, beside another codec, and read back by an outside dissector.

mod any;
mod corpus;
mod every;
mod rusmpp;
mod stream;
mod tshark;

use bytes::BytesMut;
use keytone::smpp::encode::encode;
use keytone::smpp::frame::{Frame, Framer};
use keytone::smpp::pdu::Pdu;
use tokio_util::codec::Decoder;

/// The octets of a PDU for a peer that speaks 5.0.
fn octets(pdu: &Pdu) -> BytesMut {
    let mut octets = BytesMut::new();
    encode(pdu, 0x50, &mut octets).unwrap_or_else(|unfit| panic!("{unfit}: {pdu:?}"));
    octets
}

/// The one frame that octets are.
fn frame(mut octets: BytesMut) -> Frame {
    let frame = Framer::default().decode(&mut octets).unwrap().expect("a whole frame");
    assert!(octets.is_empty());
    frame
}

/// The default alphabet beside a table that another implementation wrote.
#[test]
fn gsm_septets_are_those_of_another_implementation() {
    let mut rows = 0;
    for line in include_str!("gsm0338.txt").lines().filter(|line| !line.starts_with('#')) {
        let (septets, point) = line.split_once(' ').unwrap();
        let septets: Vec<u8> = (0..septets.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&septets[at..at + 2], 16).unwrap())
            .collect();
        let text = char::from_u32(u32::from_str_radix(point, 16).unwrap()).unwrap().to_string();
        assert_eq!(keytone::gsm::decode(&septets), (text.clone(), false), "{line}");
        assert_eq!(keytone::gsm::encode(&text), Some(septets), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 137, "127 characters and 10 of the extension table");
}
