//! Carriers over HTTP: the contract, the generic connector that a TOML file describes, the numbering plan,
//! and a sandbox carrier to try and to test with. Moves no money: it asks and tells what was answered.

pub mod bill;
pub mod breaker;
pub mod contract;
pub mod definition;
pub mod document;
pub mod form;
pub mod funds;
pub mod gate;
pub mod http;
pub mod key;
pub mod map;
pub mod numbering;
pub mod pace;
pub mod provider;
pub mod sandbox;
pub mod swap;
pub mod template;
pub mod token;
