//! Keytone: one daemon that lets anyone with any phone pay.
//!
//! The rooms, in the way of the data (ARCHITECTURE.md): bytes become messages in [`sip`] and [`rtp`]; [`voice`] makes
//! conversations of them; [`session`] runs a conversation by the script of [`dialplan`]; [`payment`] decides about money
//! and asks carriers through [`connector`]; [`ledger`] is the double entry; [`store`] keeps the rows. Imports only point
//! down this path; `tests/house.rs` holds the table.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod dialplan;
pub mod gsm;
pub mod http;
pub mod ledger;
pub mod money;
pub mod msisdn;
pub mod payment;
pub mod random;
pub mod rtp;
pub mod secret;
pub mod session;
pub mod sip;
pub mod smpp;
pub mod sms;
pub mod smsc;
pub mod store;
pub mod ussd;
pub mod voice;
