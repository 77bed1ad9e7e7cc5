//! An agent's store: whether it is open, what it offers, and how the agent changes that.

use crate::dialplan::action::{Action, Effect, FEE, Field, Outcome, field, plain};
use crate::dialplan::value::Type;

const LEAST: Field = field("least", Type::Money);
const MOST: Field = field("most", Type::Money);
/// What the store offers: the least and the most of one charge, what buyers pay for the most, and what a deposit costs.
const OFFERED: &[Field] = &[LEAST, MOST, field("price", Type::Money), FEE];
const DONE: Outcome = plain("done", &[]);
/// The caller is no agent.
const NONE: Outcome = plain("none", &[]);
const SUSPENDED: Outcome = plain("suspended", &[]);

/// What an agent can do with the store.
pub static ACTIONS: &[Action] = &[
    Action {
        name: "store.look",
        about: "whether the caller's store is open, and what it offers: the least and the most of one charge, what buyers pay for the most, what a deposit costs",
        parameters: &[],
        outcomes: &[plain("open", OFFERED), plain("closed", OFFERED), SUSPENDED, NONE],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "store.open",
        about: "opens the caller's store: buyers see it",
        parameters: &[],
        outcomes: &[DONE, SUSPENDED, NONE],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "store.close",
        about: "closes the caller's store: nothing more is asked for; charges that were asked for go their way",
        parameters: &[],
        outcomes: &[DONE, NONE],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "store.amounts",
        about: "changes the least and the most of one charge in the caller's store",
        parameters: &[LEAST, MOST],
        outcomes: &[DONE, plain("bad_amounts", &[]), NONE],
        effect: Effect::Changes,
        performed: true,
    },
];
