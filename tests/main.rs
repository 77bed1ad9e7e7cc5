//! The one test binary: a module for each subject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests fail by panicking and speak on the terminal"
)]

mod bills;
mod calls;
mod canary;
mod charges;
mod commands;
mod connector;
mod connectors;
mod crash;
mod dayone;
mod dialplan;
mod dialplan_tools;
mod engine;
mod faults;
mod house;
mod http_gateways;
mod identity;
mod language;
mod ledger;
mod messages;
mod mobile;
mod orders;
mod payments;
mod prompts;
mod proof;
mod providers;
mod receipts;
mod reload;
mod resume;
mod routes;
mod rtp_engine;
#[cfg(debug_assertions)]
mod simulation;
mod sip;
mod smpp;
mod sms;
mod smsc;
mod staff;
mod support;
mod torture;
mod ussd;
