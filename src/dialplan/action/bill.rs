//! Actions of bills.

use crate::dialplan::action::{
    AMOUNT, Action, Effect, FEE, LEFT, Meaning, Outcome, RECEIPT, REFUSAL, field, plain,
};
use crate::dialplan::value::{Record, Type};

/// Lists, inquiries and payments.
pub static ACTIONS: &[Action] = &[
    Action {
        name: "bill.list",
        about: "the caller's unpaid bills, the one due first before the others",
        parameters: &[],
        outcomes: &[plain("ok", &[field("bills", Type::List(&Type::Record(&BILL)))]), plain("none", &[])],
        effect: Effect::Reads,
        performed: false,
    },
    Action {
        name: "bill.inquire",
        about: "asks a biller for a bill by its number, and what paying it costs",
        parameters: &[field("number", Type::Digits)],
        outcomes: &[
            plain("ok", &[field("bill", Type::Record(&BILL)), FEE, field("total", Type::Money)]),
            plain("not_found", &[]),
            plain("already_paid", &[]),
            plain("expired", &[]),
            plain("biller_down", &[]),
        ],
        effect: Effect::Quotes { action: "bill.pay", values: &["fee"] },
        performed: false,
    },
    Action {
        name: "bill.pay",
        about: "checks the PIN, holds the money, tells the biller, and posts or gives back",
        parameters: &[field("number", Type::Digits), AMOUNT, field("pin", Type::Secret)],
        outcomes: &[
            plain("paid", &[RECEIPT]),
            Outcome { name: "pending", values: &[RECEIPT], meaning: Meaning::Pending },
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            plain("insufficient", &[LEFT]),
            plain("already_paid", &[]),
            plain("changed", &[]),
            plain("still_processing", &[]),
            plain("refused", &[field("class", Type::Choice(&REFUSAL))]),
            plain("suspended", &[]),
        ],
        effect: Effect::MovesMoney { confirmed: &["number", "amount"] },
        performed: false,
    },
];

/// A bill that a biller has answered for.
pub static BILL: Record = Record {
    name: "bill",
    fields: &[
        field("number", Type::Digits),
        field("biller", Type::Text),
        field("name", Type::Text),
        AMOUNT,
        field("due", Type::Date),
    ],
};
