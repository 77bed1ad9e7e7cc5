//! SMPP 3.4, and what 5.0 adds where the peer speaks it: the codec and one link, as a pure core with sockets at its edge.
//!
//! ```text
//! bytes ──frame──► Frame ──parse──► Pdu ──► link::Link (pure: bind, window, timers) ──► events to ussd and sms
//!       ◄──────────────── encode ◄── Pdu ◄──┘
//! ```
//! A frame is cut by its length alone, so that a bad body never costs the stream its place. Parsing is lenient, encoding
//! strict. `io.rs` holds the only sockets.

pub mod coding;
pub mod encode;
pub mod frame;
pub mod io;
pub mod link;
pub mod long;
mod mask;
pub mod other;
pub mod parse;
pub mod pdu;
pub mod receipt;
pub mod status;
pub mod time;
pub mod tlv;
