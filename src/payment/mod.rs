//! What may be paid, by whom, once. The only door to money, for conversations and HTTP alike.
//!
//! Rules are pure (`state`, `decision`, `limits`, `pin`, `judge`, `fold`); `run` drives them: it asks the
//! store, the writer and the carriers.

pub mod answer;
pub mod assurance;
pub mod binding;
pub mod charge;
pub mod code;
pub mod decision;
pub mod fold;
pub mod judge;
pub mod limits;
pub mod order;
pub mod outbox;
pub mod pin;
pub mod posting;
pub mod receipt;
pub mod reference;
pub mod row;
pub mod run;
pub mod seal;
pub mod settings;
pub mod share;
pub mod state;
pub mod storable;
pub mod unit;
pub mod verify;
pub mod webhook;
