//! Keytone.
pub mod clock;
pub mod config;
pub mod ledger;
pub mod money;
pub mod msisdn;
pub mod payment;
pub mod secret;
