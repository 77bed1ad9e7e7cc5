//! Actions of charging through the intermediary account.

use crate::dialplan::action::Action;

/// Actions of charging through the intermediary account.
pub static ACTIONS: &[Action] = &[];
