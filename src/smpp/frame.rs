//! Cuts a stream of octets into frames by `command_length` alone (SMPP 3.4 §3.2). A body is never looked at here, so
//! that a bad one cannot cost the stream its place; the length is judged before anything is kept for it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::smpp::encode::{Unfit, encode};
use crate::smpp::pdu::Pdu;

/// Octets of the header.
pub const HEADER: usize = 16;
/// The longest PDU that is taken unless a link says otherwise, header included.
pub const MAX_PDU: u32 = 64 * 1024;
/// What the version field of a bind holds for SMPP 3.4.
pub const VERSION_3_4: u8 = 0x34;
/// What the version field of a bind holds for SMPP 5.0.
pub const VERSION_5_0: u8 = 0x50;

/// One PDU as it came, its body not yet read. The body shares the memory of what was read from the socket.
#[derive(Clone, Eq, PartialEq)]
pub struct Frame {
    /// `command_id`.
    pub id: u32,
    /// `command_status`.
    pub status: u32,
    /// `sequence_number`.
    pub sequence: u32,
    /// What follows the header.
    pub body: Bytes,
}

impl std::fmt::Debug for Frame {
    /// Without the body, which may hold a password or a PIN.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, status, sequence, body } = self;
        write!(f, "Frame({id:#010x} status {status:#x} sequence {sequence}, {} octets)", body.len())
    }
}

/// Why a stream cannot go on. A bad body is never a reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place of the next PDU is lost: answer `generic_nack` with `ESME_RINVCMDLEN` and close.
    #[error("command_length {length} is not between 16 and {max}")]
    Length {
        /// What the header says.
        length: u32,
        /// What would be taken.
        max: u32,
    },
    /// The peer closed in the middle of a PDU, or the socket failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The PDU is not one that the standard allows.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The socket failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads frames and writes frames or PDUs.
#[derive(Clone, Debug)]
pub struct Framer {
    max: u32,
    version: u8,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MAX_PDU)
    }
}

impl Framer {
    /// A framer for PDUs of up to `max` octets with the header. It writes for 3.4 until told otherwise.
    #[must_use]
    pub const fn new(max: u32) -> Self {
        Self { max, version: VERSION_3_4 }
    }

    /// From now on PDUs are written for a peer that speaks this `interface_version`.
    pub const fn speak(&mut self, version: u8) {
        self.version = version;
    }
}

impl Decoder for Framer {
    type Item = Frame;
    type Error = Error;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let Some(start) = from.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*start);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size < HEADER || length > self.max {
            return Err(Error::Length { length, max: self.max });
        }
        if from.len() < size {
            // No room is made ahead: memory follows what has really come.
            return Ok(None);
        }
        let mut body = from.split_to(size).freeze();
        body.advance(4);
        let (id, status, sequence) = (body.get_u32(), body.get_u32(), body.get_u32());
        Ok(Some(Frame { id, status, sequence, body }))
    }
}

impl Encoder<Frame> for Framer {
    type Error = WriteError;

    /// Writes a frame as it is, for what is passed on or made bad on purpose.
    fn encode(&mut self, frame: Frame, to: &mut BytesMut) -> Result<(), WriteError> {
        let size = HEADER + frame.body.len();
        let length = u32::try_from(size)
            .map_err(|_| Unfit::TooLong { field: "command_length", max: u32::MAX as usize })?;
        to.reserve(size);
        to.put_u32(length);
        to.put_u32(frame.id);
        to.put_u32(frame.status);
        to.put_u32(frame.sequence);
        to.put_slice(&frame.body);
        Ok(())
    }
}

impl Encoder<&Pdu> for Framer {
    type Error = WriteError;

    fn encode(&mut self, pdu: &Pdu, to: &mut BytesMut) -> Result<(), WriteError> {
        Ok(encode(pdu, self.version, to)?)
    }
}

impl Encoder<Pdu> for Framer {
    type Error = WriteError;

    fn encode(&mut self, pdu: Pdu, to: &mut BytesMut) -> Result<(), WriteError> {
        Ok(encode(&pdu, self.version, to)?)
    }
}
