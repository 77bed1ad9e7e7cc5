//! What may be paid, by whom, once.
pub mod row;
