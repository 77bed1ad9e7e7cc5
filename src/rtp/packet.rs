//! One RTP packet (RFC 3550 §5.1) to and from bytes, without copying or allocating.
//!
//! The bytes are read and written by `rtp-types`; this file keeps its types out of the rest of the room and
//! tells RTP from RTCP on a shared port. It never looks into a payload.

use rtp_types::{RtpPacket, RtpPacketBuilder};

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 12;

/// The largest datagram that is read: an Ethernet payload. A longer one is cut by the socket and then refused
/// or read without its tail.
pub const DATAGRAM_BYTES_MAX: usize = 1_500;

/// The fixed header without what is the same in every packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The marker bit: the first packet after silence, or the first of a key press.
    pub marker: bool,
    /// 0 to 127; what the payload is, as the SDP agreed.
    pub payload_type: u8,
    /// One more in every packet, around at 65,536.
    pub sequence: u16,
    /// In samples; around at 2^32.
    pub timestamp: u32,
    /// Names the sender's clock and sequence.
    pub ssrc: u32,
}

/// A packet that was read.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its header.
    pub header: Header,
    /// What follows the header, CSRCs and extension, without padding.
    pub payload: &'a [u8],
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// RTCP on the same port (RFC 5761 §4): tolerated and left alone.
    #[error("an RTCP packet")]
    Rtcp,
    /// Too short, another version, or lengths that do not fit.
    #[error("not an RTP packet of version 2")]
    Malformed,
    /// The buffer cannot hold the packet that was to be written, or the payload type is above 127.
    #[error("the packet does not fit")]
    Unwritable,
}

/// Reads a datagram.
///
/// # Errors
/// [`Error::Rtcp`] and [`Error::Malformed`].
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, Error> {
    // RFC 5761 §4: packet types 192 to 223 are RTCP; no RTP payload type in use collides with them.
    if datagram.get(1).is_some_and(|b| (192..=223).contains(b)) {
        return Err(Error::Rtcp);
    }
    let packet = RtpPacket::parse(datagram).map_err(|_| Error::Malformed)?;
    let start = packet.payload_offset();
    let payload = datagram.get(start..start + packet.payload_len()).ok_or(Error::Malformed)?;
    let header = Header {
        marker: packet.marker_bit(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence_number(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    Ok(Packet { header, payload })
}

/// Writes a packet into `out`; the bytes used.
///
/// # Errors
/// [`Error::Unwritable`].
pub fn write(header: &Header, payload: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    RtpPacketBuilder::<&[u8], &[u8]>::new()
        .marker_bit(header.marker)
        .payload_type(header.payload_type)
        .sequence_number(header.sequence)
        .timestamp(header.timestamp)
        .ssrc(header.ssrc)
        .payload(payload)
        .write_into(out)
        .map_err(|_| Error::Unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::testing::Random;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 0xfffe,
        timestamp: 0xffff_fff0,
        ssrc: 0x0102_0304,
    };

    #[test]
    fn writes_the_bytes_of_rfc_3550_and_reads_them_back() {
        let mut out = [0; 64];
        let len = write(&HEADER, &[1, 2, 3, 4], &mut out).unwrap();
        let expected =
            [0x80, 0xe5, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xf0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x02, 0x03, 0x04];
        assert_eq!(&out[..len], &expected);
        let packet = parse(&out[..len]).unwrap();
        assert_eq!((packet.header, packet.payload), (HEADER, [1, 2, 3, 4].as_slice()));
        assert_eq!(write(&HEADER, &[0; 64], &mut out), Err(Error::Unwritable));
        assert_eq!(write(&Header { payload_type: 128, ..HEADER }, &[], &mut out), Err(Error::Unwritable));
    }

    #[test]
    fn skips_csrcs_extension_and_padding() {
        let mut bytes = vec![0xb2, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(&[0; 8]); // two CSRCs
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // an extension of one word
        bytes.extend_from_slice(&[7, 8, 0, 0, 3]); // payload and three bytes of padding
        assert_eq!(parse(&bytes).unwrap().payload, [7, 8]);
    }

    #[test]
    fn refuses_what_is_not_rtp() {
        assert!(matches!(parse(&[0x80, 200, 0, 6, 0, 0, 0, 0]), Err(Error::Rtcp)));
        for bad in [
            &[][..],
            &[0x80; 11],
            b"\r\n\r\n",
            &[0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200],
        ] {
            assert!(matches!(parse(bad), Err(Error::Malformed)), "{bad:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let seed = 20_261_122;
        let mut random = Random(seed);
        for _ in 0..20_000 {
            let len = usize::try_from(random.below(64)).unwrap();
            let mut bytes: Vec<u8> = (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            if let Some(first) = bytes.first_mut() {
                *first = (*first & 0x3f) | 0x80;
            }
            if let Ok(packet) = parse(&bytes) {
                assert!(packet.payload.len() + HEADER_BYTES <= len, "seed {seed} {bytes:?}");
            }
        }
    }
}
