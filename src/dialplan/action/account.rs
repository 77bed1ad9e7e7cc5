//! Actions about the caller, the account and its numbers.

use crate::dialplan::action::{Action, Effect, Meaning, Outcome, PHONE, field, plain};
use crate::dialplan::value::Type;

/// Who calls, and what is changed about an account.
pub static ACTIONS: &[Action] = &[Action {
    name: "caller.identify",
    about: "whether the caller has a believable mobile number, and a payment account bound to it",
    parameters: &[],
    outcomes: &[
        Outcome {
            name: "bound",
            values: &[field("account", Type::Name("account"))],
            meaning: Meaning::Identified,
        },
        plain("unbound", &[PHONE]),
        plain("no_number", &[]),
    ],
    effect: Effect::Reads,
    performed: true,
}];
