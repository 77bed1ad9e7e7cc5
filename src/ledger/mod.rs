//! Double entry: rows, commands, and the pure rules that turn commands into rows. Only these rules make entries.

pub mod apply;
pub mod chart;
pub mod command;
pub mod row;
pub mod verify;

pub use apply::apply;
