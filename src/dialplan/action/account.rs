//! Actions about the caller, the account and its numbers.

use crate::dialplan::action::{
    AMOUNT, Action, Effect, Field, LEFT, LIMIT, Meaning, Outcome, PHONE, field, plain,
};
use crate::dialplan::value::{Record, Type};

pub(super) const PIN: Field = field("pin", Type::Secret);
pub(super) const WRONG_PIN: Outcome = plain("wrong_pin", &[field("left", Type::Int)]);
pub(super) const LOCKED: Outcome = plain("locked", &[]);

/// Who calls, and what is changed about an account.
pub static ACTIONS: &[Action] = &[
    Action {
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
    },
    Action {
        name: "code.send",
        about: "sends a one-time code of six digits to a number, by SMS",
        parameters: &[PHONE],
        outcomes: &[
            plain("sent", &[]),
            plain("too_soon", &[]),
            plain("too_many", &[]),
            plain("not_mobile", &[]),
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "code.check",
        about: "whether this is the code that was sent to the number; a right one counts for ten minutes",
        parameters: &[PHONE, field("code", Type::Secret)],
        outcomes: &[
            plain("right", &[]),
            plain("known", &[]),
            plain("wrong", &[field("left", Type::Int)]),
            plain("expired", &[]),
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "pin.choose",
        about: "takes a new PIN for the first time; simple ones are refused",
        parameters: &[PIN],
        outcomes: &[plain("ok", &[]), plain("weak", &[])],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "pin.again",
        about: "takes the new PIN for the second time: opens an account for a number that proved itself, or changes the PIN",
        parameters: &[PIN],
        outcomes: &[
            plain("registered", &[]),
            plain("changed", &[]),
            plain("differ", &[]),
            plain("expired", &[]),
            plain("not_allowed", &[]),
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "pin.change",
        about: "takes the old PIN, so that a new one may be chosen",
        parameters: &[PIN],
        outcomes: &[plain("ok", &[]), WRONG_PIN, LOCKED],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "bind.add",
        about: "binds another number to the account, after a code to that number and with the account's PIN",
        parameters: &[PHONE, PIN],
        outcomes: &[plain("ok", &[]), WRONG_PIN, LOCKED, plain("taken", &[]), plain("no_code", &[])],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "bind.remove",
        about: "takes a number off the account; its last one stays",
        parameters: &[PHONE, PIN],
        outcomes: &[plain("ok", &[]), WRONG_PIN, LOCKED, plain("not_bound", &[])],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "account.balance",
        about: "what may be spent, for who knows the PIN; asked of the provider of an account that is held outside",
        parameters: &[PIN],
        outcomes: &[plain("ok", &[LEFT]), plain("not_now", &[]), WRONG_PIN, LOCKED],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "account.last_payments",
        about: "the last five payments, the newest first",
        parameters: &[],
        outcomes: &[
            plain("ok", &[field("payments", Type::List(&Type::Record(&PAYMENT)))]),
            plain("none", &[]),
        ],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "account.limits",
        about: "the limit of a day as it holds now, and what is left of it today",
        parameters: &[],
        outcomes: &[plain("ok", &[LIMIT, LEFT])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "account.set_limit",
        about: "sets the customer's own limit of a day: a lower one at once, a higher one after a code and a day",
        parameters: &[LIMIT, PIN],
        outcomes: &[
            plain("ok", &[]),
            plain("later", &[]),
            plain("code_needed", &[]),
            plain("too_high", &[field("most", Type::Money)]),
            WRONG_PIN,
            LOCKED,
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "account.receipt",
        about: "sends the receipt of a payment once more",
        parameters: &[field("reference", Type::Digits)],
        outcomes: &[plain("sent", &[]), plain("not_found", &[])],
        effect: Effect::Changes,
        performed: true,
    },
];

/// A payment that was made.
pub static PAYMENT: Record =
    Record { name: "payment", fields: &[field("reference", Type::Digits), AMOUNT, field("day", Type::Date)] };
