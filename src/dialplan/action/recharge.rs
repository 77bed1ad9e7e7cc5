//! Actions of direct recharge.

use crate::dialplan::action::{
    AMOUNT, Action, BACK, Effect, FEE, FIRST, Field, LEFT, LIMIT, Meaning, Outcome, PHONE, RECEIPT, REFUSAL,
    REPEAT, WHY, field, plain,
};
use crate::dialplan::value::Type;

const LEAST: Field = field("least", Type::Money);
const MOST: Field = field("most", Type::Money);
/// Between two amounts of a range; nothing where amounts are fixed.
const STEP: Field = field("step", Type::Money);

/// Routes, quotes and payments.
pub static ACTIONS: &[Action] = &[
    Action {
        name: "topup.route",
        about: "which carrier recharges a number, and the amounts that it may be recharged with",
        parameters: &[PHONE],
        outcomes: &[
            plain(
                "ok",
                &[field("carrier", Type::Name("carrier")), field("amounts", Type::List(&Type::Money))],
            ),
            plain("not_supported", &[]),
            plain("bad_number", &[]),
        ],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "topup.range",
        about: "whether the amounts of a number are fixed, or any step from the least to the most",
        parameters: &[PHONE],
        outcomes: &[plain("fixed", &[LEAST, MOST, STEP]), plain("range", &[LEAST, MOST, STEP])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "recharge.voucher",
        about: "the code that a delivered recharge bought, if it is sold as one; by text message it is sent, never told",
        parameters: &[RECEIPT],
        outcomes: &[plain("none", &[]), plain("code", &[field("code", Type::Digits)]), plain("sent", &[])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "recharge.recent",
        about: "the last five numbers, other than the caller's own, that were recharged from the account",
        parameters: &[],
        outcomes: &[plain("none", &[]), plain("ok", &[field("numbers", Type::List(&Type::Phone))])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "payment.quote",
        about: "the fee, and whether the limits would allow the payment now; judged again when money moves",
        parameters: &[PHONE, AMOUNT, REPEAT],
        outcomes: &[
            plain("ok", &[FEE, field("total", Type::Money)]),
            plain("not_designated", &[]),
            plain("payment_limit", &[LIMIT]),
            plain("day_limit", &[LIMIT, LEFT]),
            plain("user_limit", &[LIMIT, LEFT]),
            plain("insufficient", &[LEFT]),
            plain("duplicate", &[FIRST, FEE]),
            plain("still_processing", &[]),
        ],
        effect: Effect::Quotes { action: "recharge.pay", values: &["fee"] },
        performed: true,
    },
    Action {
        name: "recharge.pay",
        about: "checks the PIN, holds the money, asks the carrier, and posts or gives back",
        parameters: &[PHONE, AMOUNT, field("pin", Type::Secret), REPEAT],
        outcomes: &[
            plain("delivered", &[RECEIPT]),
            Outcome { name: "pending", values: &[RECEIPT], meaning: Meaning::Pending },
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            plain("day_limit", &[LIMIT, LEFT]),
            plain("user_limit", &[LIMIT, LEFT]),
            plain("insufficient", &[LEFT]),
            plain("duplicate", &[FIRST, FEE]),
            plain("still_processing", &[]),
            plain("refused", &[field("class", Type::Choice(&REFUSAL))]),
            plain("suspended", &[WHY, BACK]),
        ],
        effect: Effect::MovesMoney { confirmed: &["phone", "amount"] },
        performed: true,
    },
];
