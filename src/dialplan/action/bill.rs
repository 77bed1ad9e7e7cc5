//! Actions of bills.

use crate::dialplan::action::{
    AMOUNT, Action, BACK, Effect, FEE, Field, LEFT, LIMIT, Meaning, Outcome, RECEIPT, REFUSAL, WHY, field,
    plain,
};
use crate::dialplan::value::{Family, Record, Type};

/// The digits by which callers choose a biller.
const BILLER_CODE: Field = field("biller", Type::Digits);
const NUMBER: Field = field("number", Type::Digits);

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
        name: "bill.billers",
        about: "the billers whose bills can be paid here",
        parameters: &[],
        outcomes: &[plain("ok", &[field("billers", Type::List(&Type::Record(&BILLER)))]), plain("none", &[])],
        effect: Effect::Reads,
        performed: true,
    },
    Action {
        name: "bill.inquire",
        about: "asks a biller for a bill by its number, and what paying it costs",
        parameters: &[BILLER_CODE, NUMBER],
        outcomes: &[
            plain("ok", &[field("bill", Type::Record(&BILL)), FEE, field("total", Type::Money)]),
            plain(
                "part",
                &[
                    field("bill", Type::Record(&BILL)),
                    FEE,
                    field("least", Type::Money),
                    field("most", Type::Money),
                ],
            ),
            plain("no_biller", &[]),
            plain("bad_number", &[]),
            plain("not_found", &[]),
            plain("already_paid", &[]),
            plain("expired", &[]),
            plain("biller_down", &[]),
        ],
        effect: Effect::Quotes { action: "bill.pay", values: &["fee"] },
        performed: true,
    },
    Action {
        name: "bill.pay",
        about: "checks the PIN, holds the money, tells the biller, and posts or gives back",
        parameters: &[BILLER_CODE, NUMBER, AMOUNT, FEE, field("pin", Type::Secret)],
        outcomes: &[
            plain("paid", &[RECEIPT]),
            Outcome { name: "pending", values: &[RECEIPT], meaning: Meaning::Pending },
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            plain("day_limit", &[LIMIT, LEFT]),
            plain("insufficient", &[LEFT]),
            plain("already_paid", &[]),
            plain("expired", &[]),
            plain("changed", &[]),
            plain("still_processing", &[]),
            plain("refused", &[field("class", Type::Choice(&REFUSAL))]),
            plain("suspended", &[WHY, BACK]),
        ],
        effect: Effect::MovesMoney { confirmed: &["biller", "number", "amount"] },
        performed: true,
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

/// What a biller bills for, in words that can be spoken.
pub static BILLER_KIND: Family = Family {
    name: "biller-kind",
    words: &[
        "water",
        "electricity",
        "gas",
        "heating",
        "telephone",
        "internet",
        "television",
        "rent",
        "school",
        "tax",
        "fine",
        "insurance",
        "other",
    ],
};

/// A biller of the directory.
pub static BILLER: Record = Record {
    name: "biller",
    fields: &[
        field("code", Type::Digits),
        field("name", Type::Text),
        field("kind", Type::Choice(&BILLER_KIND)),
    ],
};
