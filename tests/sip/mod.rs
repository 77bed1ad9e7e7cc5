//! The SIP room seen from outside: messages in, messages and events out, on hand-set time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise"
)]

mod call_client;
mod call_server;
mod digits_and_offers;
mod limits;
mod link;
mod mutation;
mod quirks;
mod session_timer;
mod sockets;
mod support;
mod torture;
