//! What may be paid, by whom, once. The only door to money, for conversations and HTTP alike.
//!
//! Rules are pure (`state`, `decision`, `limits`, `pin`, `judge`, `fold`); `run` drives them: it asks the
//! store, the writer and the carriers.

pub mod alarm;
pub mod answer;
pub mod approval;
pub mod ask;
pub mod assurance;
pub mod audit;
pub mod bill;
pub mod binding;
pub mod charge;
pub mod code;
pub mod csv;
pub mod day;
pub mod decision;
pub mod elsewhere;
pub mod finding;
pub mod fold;
pub mod history;
pub mod import;
pub mod judge;
pub mod limits;
pub mod order;
pub mod outbox;
pub mod outside;
pub mod path;
pub mod pin;
pub mod posting;
pub mod provider;
pub mod receipt;
pub mod reference;
pub mod row;
pub mod run;
pub mod saga;
pub mod seal;
pub mod settings;
pub mod share;
pub mod staff;
pub mod state;
pub mod statement;
pub mod storable;
pub mod tax;
pub mod tier;
pub mod unit;
pub mod upkeep;
pub mod verify;
pub mod webhook;
