//! Actions of callers whose number is not enough, of numbers that join an account, and of what a customer chooses.

use crate::dialplan::action::account::{LOCKED, PIN, WRONG_PIN};
use crate::dialplan::action::{AMOUNT, Action, Effect, Meaning, Outcome, PHONE, field, plain};
use crate::dialplan::value::Type;

const SENT: &[Outcome] =
    &[plain("sent", &[]), plain("too_soon", &[]), plain("too_many", &[]), plain("not_mobile", &[]), LOCKED];
const WRONG: Outcome = plain("wrong", &[field("left", Type::Int)]);

/// Proofs, consents and choices.
pub static ACTIONS: &[Action] = &[
    Action {
        name: "caller.claim",
        about: "sends a code to the number of an account, for a caller whose own number tells nothing; whether there is such an account is not told",
        parameters: &[PHONE],
        outcomes: SENT,
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "caller.prove",
        about: "whether this is the code that was sent by caller.claim; the caller is then known by that number, and PIN tries count",
        parameters: &[PHONE, field("code", Type::Secret)],
        outcomes: &[
            Outcome {
                name: "right",
                values: &[field("account", Type::Name("account")), PHONE],
                meaning: Meaning::Identified,
            },
            WRONG,
            plain("expired", &[]),
            LOCKED,
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "caller.needs",
        about: "what a payment such as recharge.pay of this amount needs of the caller: the PIN alone, a code to his number first, or it cannot be made",
        parameters: &[field("what", Type::Text), AMOUNT],
        outcomes: &[plain("pin", &[]), plain("code", &[PHONE]), plain("swapped", &[]), plain("refused", &[])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "bind.ask",
        about: "sends a code to a number of an account that the caller's number wants to join",
        parameters: &[PHONE],
        outcomes: SENT,
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "bind.allow",
        about: "whether this is the code that was sent by bind.ask: the consent of that number",
        parameters: &[PHONE, field("code", Type::Secret)],
        outcomes: &[plain("right", &[]), WRONG, plain("expired", &[]), LOCKED],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "bind.join",
        about: "binds the caller's number to the account of a number that consented, with the account's PIN",
        parameters: &[PHONE, PIN],
        outcomes: &[plain("ok", &[]), WRONG_PIN, LOCKED, plain("taken", &[]), plain("no_code", &[])],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "pin.lost",
        about: "asks staff for a new PIN after a code to the caller's number, or tells that they allowed it",
        parameters: &[],
        outcomes: &[
            plain("allowed", &[]),
            plain("asked", &[]),
            plain("rejected", &[]),
            plain("no_code", &[]),
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "account.numbers",
        about: "the numbers that are bound to the account",
        parameters: &[],
        outcomes: &[plain("ok", &[field("numbers", Type::List(&Type::Phone))])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "account.language",
        about: "keeps the language that is spoken, for later calls and messages",
        parameters: &[field("language", Type::Text)],
        outcomes: &[plain("ok", &[])],
        effect: Effect::Changes,
        performed: true,
    },
];
