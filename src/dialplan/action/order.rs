//! Merchants' orders: listed, paid, confirmed, disputed and declined by their customer.

use crate::dialplan::action::{
    AMOUNT, Action, BACK, Effect, Field, LEFT, RECEIPT, REFUSAL, WHY, field, plain,
};
use crate::dialplan::value::{Record, Type};

const NUMBER: Field = field("number", Type::Digits);
const PIN: Field = field("pin", Type::Secret);
static ORDER_TYPE: Type = Type::Record(&ORDER);
const ORDERS: Field = field("orders", Type::List(&ORDER_TYPE));

/// An order of a merchant.
pub static ORDER: Record = Record {
    name: "order",
    fields: &[
        NUMBER,
        field("merchant", Type::Text),
        AMOUNT,
        field("description", Type::Text),
        field("until", Type::Date),
    ],
};

/// What a caller can do with orders.
pub static ACTIONS: &[Action] = &[
    Action {
        name: "order.list",
        about: "the caller's unpaid orders, the newest first",
        parameters: &[],
        outcomes: &[plain("ok", &[ORDERS]), plain("none", &[])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "order.pay",
        about: "checks the PIN and pays an order: to its merchant, or frozen until receipt is confirmed",
        parameters: &[NUMBER, AMOUNT, PIN],
        outcomes: &[
            plain("paid", &[RECEIPT]),
            plain("held", &[RECEIPT, field("until", Type::Date)]),
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            plain("insufficient", &[LEFT]),
            plain("over_limit", &[LEFT]),
            plain("gone", &[]),
            plain("pending", &[RECEIPT]),
            plain("refused", &[field("class", Type::Choice(&REFUSAL))]),
            plain("suspended", &[WHY, BACK]),
        ],
        effect: Effect::MovesMoney { confirmed: &["number", "amount"] },
        performed: true,
    },
    Action {
        name: "order.awaiting",
        about: "the caller's paid orders whose money is frozen until receipt is confirmed",
        parameters: &[],
        outcomes: &[plain("ok", &[ORDERS]), plain("none", &[])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "order.confirm",
        about: "checks the PIN and releases the frozen money of an order to its merchant",
        parameters: &[NUMBER, AMOUNT, PIN],
        outcomes: &[
            plain("released", &[]),
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            plain("gone", &[]),
            plain("suspended", &[WHY, BACK]),
        ],
        effect: Effect::MovesMoney { confirmed: &["number", "amount"] },
        performed: true,
    },
    Action {
        name: "order.asked",
        about: "what an order asks of the caller: to be paid, or its receipt to be confirmed",
        parameters: &[NUMBER],
        outcomes: &[
            plain("pay", &[field("merchant", Type::Text), AMOUNT]),
            plain("receipt", &[field("merchant", Type::Text), AMOUNT]),
            plain("gone", &[]),
        ],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "order.decline",
        about: "keeps the merchant from asking the caller about this order again",
        parameters: &[NUMBER],
        outcomes: &[plain("declined", &[field("merchant", Type::Text)]), plain("gone", &[])],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "order.decline_merchant",
        about: "keeps the merchant of this order from asking the caller about any order",
        parameters: &[NUMBER],
        outcomes: &[plain("declined", &[field("merchant", Type::Text)]), plain("gone", &[])],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "order.dispute",
        about: "keeps the money of an order frozen until staff have resolved what is wrong",
        parameters: &[NUMBER],
        outcomes: &[plain("disputed", &[]), plain("gone", &[])],
        effect: Effect::Changes,
        performed: true,
    },
];
