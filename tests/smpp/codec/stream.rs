//! What is written is read back, wherever the stream is cut, and nothing that comes breaks it.

use bytes::{BufMut, Bytes, BytesMut};
use keytone::smpp::frame::{Error, Frame, Framer, HEADER, MAX_PDU};
use keytone::smpp::parse::{Tolerated, parse, parse_noting};
use keytone::smpp::pdu::{Body, Pdu};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

use super::{any, every, frame, octets};

/// All frames of a stream that comes in these pieces.
fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Frame> {
    let (mut framer, mut buffer, mut frames) = (Framer::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(frame) = framer.decode(&mut buffer).unwrap() {
            frames.push(frame);
        }
    }
    assert!(buffer.is_empty(), "{} octets are left", buffer.len());
    frames
}

fn stream(pdus: &[Pdu]) -> BytesMut {
    let mut stream = BytesMut::new();
    pdus.iter().for_each(|pdu| stream.extend_from_slice(&octets(pdu)));
    stream
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(pdu in any::pdu()) {
        let mut tolerated = Tolerated::NONE;
        let read = parse_noting(&frame(octets(&pdu)), &mut tolerated);
        prop_assert!(read.as_ref() == Ok(&pdu), "{read:?} is not {pdu:?}");
        prop_assert!(tolerated.is_none(), "{:?} for {pdu:?}", tolerated.names().collect::<Vec<_>>());
    }

    #[test]
    fn a_stream_in_pieces_is_the_same_stream(pdus in vec(any::pdu(), 1..6), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let stream = stream(&pdus);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        pieces.push(&stream[from..]);
        let read: Result<Vec<Pdu>, _> = frames(pieces).iter().map(parse).collect();
        prop_assert!(read.is_ok_and(|read| read == pdus));
    }

    #[test]
    fn a_bad_body_costs_nothing_but_itself(pdu in any::pdu(), body in vec(any::<u8>(), 0..80), id: u32, known: bool) {
        let id = if known { pdu.body.command_id() } else { id };
        let mut stream = BytesMut::new();
        let bad = Frame { id, status: 0, sequence: 9, body: body.into() };
        Framer::default().encode(bad.clone(), &mut stream).unwrap();
        stream.extend_from_slice(&octets(&pdu));
        let read = frames([&stream[..]]);
        prop_assert_eq!(read.len(), 2);
        prop_assert_eq!(&read[0], &bad);
        let _ = parse(&read[0]);
        prop_assert!(parse(&read[1]) == Ok(pdu));
    }

    #[test]
    fn any_body_is_survived(status in prop_oneof![Just(0), any::<u32>()], sequence: u32, body in vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(body);
        for id in every::command_ids() {
            let frame = Frame { id, status, sequence, body: body.clone() };
            match parse(&frame) {
                Ok(pdu) => prop_assert_eq!(pdu.body.command_id(), id),
                Err(bad) => prop_assert!(id & 0x8000_0000 == 0, "a response is never bad: {bad}"),
            }
        }
    }

    #[test]
    fn a_good_pdu_made_bad_is_survived(pdu in any::pdu(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut frame = frame(octets(&pdu));
        let mut body = BytesMut::from(&frame.body[..]);
        if !body.is_empty() {
            for (at, octet) in changes {
                let at = at.index(body.len());
                body[at] = octet;
            }
            body.truncate(cut.index(body.len()) + 1);
        }
        frame.body = body.freeze();
        match parse(&frame) {
            // Values never reach out of their PDU.
            Ok(pdu) => {
                if let Body::SubmitSm(message) | Body::DeliverSm(message) = &pdu.body {
                    let inside: usize = message.tlvs.0.iter().map(|tlv| 4 + tlv.value.len()).sum();
                    prop_assert!(inside + message.short_message.len() <= frame.body.len());
                }
            }
            Err(bad) => {
                prop_assert_eq!(bad.command, frame.id);
                prop_assert!(bad.status != 0);
                if let Some(answer) = bad.answer() {
                    prop_assert_eq!((answer.sequence, answer.status), (frame.sequence, bad.status));
                    // And the answer can be written.
                    prop_assert_eq!(octets(&answer).len(), HEADER);
                }
            }
        }
    }

    #[test]
    fn any_stream_is_survived(octets in vec(any::<u8>(), 0..400)) {
        let (mut framer, mut buffer) = (Framer::default(), BytesMut::from(&octets[..]));
        let mut taken = 0;
        while let Ok(Some(frame)) = framer.decode(&mut buffer) {
            taken += HEADER + frame.body.len();
            let _ = parse(&frame);
        }
        prop_assert_eq!(taken + buffer.len(), octets.len());
    }
}

/// Every place where a stream of every PDU can be cut in two.
#[test]
fn every_cut_gives_the_same_frames() {
    let pdus = every::pdus();
    let stream = stream(&pdus);
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        let read = frames([front, back]);
        assert!(read.iter().map(parse).eq(pdus.iter().cloned().map(Ok)), "cut at {cut}");
    }
    let octet_by_octet = frames(stream.chunks(1));
    assert!(octet_by_octet.iter().map(parse).eq(pdus.iter().cloned().map(Ok)));
}

#[test]
fn a_length_is_judged_before_anything_is_kept() {
    let mut framer = Framer::new(100);
    for (length, ok) in [(0, false), (15, false), (16, true), (100, true), (101, false), (u32::MAX, false)] {
        let mut buffer = BytesMut::with_capacity(4);
        buffer.put_u32(length);
        let before = buffer.capacity();
        match framer.decode(&mut buffer) {
            Ok(None) => assert!(ok, "{length}"),
            Err(Error::Length { length: told, max: 100 }) => assert!(!ok && told == length, "{length}"),
            other => panic!("{length}: {other:?}"),
        }
        assert_eq!((buffer.len(), buffer.capacity()), (4, before), "nothing was made for {length}");
    }
    let mut buffer = BytesMut::from(&[0, 1, 0, 1][..]);
    assert_eq!(u32::from_be_bytes([0, 1, 0, 1]), MAX_PDU + 1);
    assert!(matches!(Framer::default().decode(&mut buffer), Err(Error::Length { .. })));
}
