//! SIP over UDP: a pure core (RFC 3261, 3581, 4028, 6026) and a thin socket loop.
//!
//! The way of a datagram: `io` → `endpoint` → `wire` (bytes to message) → `transaction` (retransmissions) →
//! `dialog` (calls) → an [`event::Event`] for voice; commands go back the same way. Only `io` knows sockets
//! and tasks; nothing in this room knows money, sessions or media. `sdp` reads and answers offers for whoever
//! owns the media.

pub mod config;
mod dialog;
pub mod endpoint;
pub mod event;
mod identifier;
mod info;
pub mod io;
pub mod sdp;
mod transaction;
pub mod wire;
