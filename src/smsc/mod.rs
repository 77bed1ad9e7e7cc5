//! An SMSC with a small mobile network behind it, for trying and for tests: handsets that have numbers, send texts, dial
//! codes and answer screens by HTTP, and an SMPP side that does wrong what it is told to do wrong.
//!
//! ```text
//! ESME ──SMPP──► io (frames) ──► Network (pure: links, faults, handsets, dialogues) ◄── http (POST /dial …)
//!                                   └──► log (JSON lines, written before anything is answered)
//! ```
//! It has its own socket loop on the codec and does not use `smpp::link`: what it says on the wire, and fails to say, is
//! the other half of the truth that a test compares with ours.

mod fault;
mod handset;
mod http;
mod io;
mod network;
mod profile;
mod settings;
mod text;

#[cfg(test)]
mod tests;

pub use fault::{ByNumber, FAULTS, Faults};
pub use io::{Error, serve};
pub use settings::{
    Account, CodeIn, Config, Ids, Parts, Profile, ReceiptForm, Receipts, Settings, UssdCoding, assignment,
    merge,
};
