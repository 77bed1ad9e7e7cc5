//! Double entry: rows, commands, and the pure rules that turn commands into rows.
pub mod row;
