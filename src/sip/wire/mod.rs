//! The wire layer: bytes of one datagram to a [`message::Request`] or [`message::Response`], and back.
//!
//! First and last room of the SIP path. rsip models and prints the headers we send; reading is ours, for rsip
//! loses or rejects what carriers send (compact names, folding, `tel:`, IPv6, dotted users, binary bodies).
//! Nothing outside this module names rsip, and nothing here keeps state.

pub mod body;
mod grammar;
pub mod header;
pub mod message;
pub mod parse;
pub mod print;
pub mod uri;

pub use grammar::Param;

/// Bounds on what is read. Each has its answer when passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a whole message; more is answered 513 Message Too Large.
    pub message_bytes_max: usize,
    /// Header lines; more is answered 400 Too Many Headers.
    pub headers_max: usize,
    /// Bytes of one header line after unfolding; more is answered 400 Header Line Too Long.
    pub header_line_bytes_max: usize,
    /// Bytes of the request's URI; more is answered 414 Request-URI Too Long.
    pub uri_bytes_max: usize,
    /// Bytes of a body; more is answered 413 Request Entity Too Large.
    pub body_bytes_max: usize,
}

impl Limits {
    /// What a UDP datagram can hold, and generous bounds within it.
    pub const UDP: Self = Self {
        message_bytes_max: 65_535,
        headers_max: 128,
        header_line_bytes_max: 8 * 1024,
        uri_bytes_max: 1024,
        body_bytes_max: 32 * 1024,
    };
}

/// Why bytes are dropped without an answer: nobody could be answered, or it was no request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Neither a request line nor a status line.
    #[error("start line of neither a SIP request nor a response")]
    NotSip,
    /// No empty line ends the headers, or no Via tells whom to answer.
    #[error("message without complete headers")]
    Incomplete,
    /// A response whose status line is wrong.
    #[error("malformed status line")]
    StatusLine,
    /// A response with a missing, repeated or malformed header that it must have.
    #[error("response with bad {0:?}")]
    Response(header::Name),
    /// A malformed ACK: no ACK is ever answered.
    #[error("malformed ACK")]
    Ack,
}
