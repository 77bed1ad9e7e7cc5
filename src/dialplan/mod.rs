//! Dialplans: what is said and asked, in which order, on every channel.
//!
//! Texts (`*.flow`, `*.msg`, `numbers.say`) are compiled aside into a [`catalog::Catalog`] of
//! [`program::Program`]s; nothing that has a fault is ever run. A session then drives one program with
//! [`step::step`], which is pure: an event goes in, effects come out. Nothing here reads the time, opens a
//! file, knows a payment or keeps a secret across a wait.

pub mod action;
pub mod catalog;
mod check;
pub mod civil;
pub mod diagnostic;
pub mod diff;
pub mod event;
pub mod expression;
pub mod flowtest;
pub mod graph;
pub mod message;
pub mod numbers;
pub mod pages;
pub mod program;
pub mod route;
pub mod speak;
pub mod state;
pub mod step;
pub mod syntax;
pub mod value;
