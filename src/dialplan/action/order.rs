//! Actions of merchants' orders.

use crate::dialplan::action::Action;

/// Actions of merchants' orders.
pub static ACTIONS: &[Action] = &[];
