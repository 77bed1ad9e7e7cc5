//! Charging through the intermediary account: balance bought from agents, for both sides.

use crate::dialplan::action::{AMOUNT, Action, Effect, FEE, Field, LEFT, LIMIT, Outcome, field, plain};
use crate::dialplan::value::{Family, Record, Type};

const NUMBER: Field = field("number", Type::Digits);
const AGENT: Field = field("agent", Type::Name("agent"));
const PRICE: Field = field("price", Type::Money);
const PIN: Field = field("pin", Type::Secret);
const CERTIFICATE: Field = field("certificate", Type::Digits);
static OFFER_TYPE: Type = Type::Record(&OFFER);
static CHARGE_TYPE: Type = Type::Record(&CHARGE);
const CHARGES: Field = field("charges", Type::List(&CHARGE_TYPE));
const ONE: Field = field("charge", CHARGE_TYPE_OF_ONE);
const CHARGE_TYPE_OF_ONE: Type = Type::Record(&CHARGE);
/// How an action ends that needs no PIN.
const NOT_FOUND: Outcome = plain("not_found", &[]);
const GONE: Outcome = plain("gone", &[]);
/// The policy wants more of the caller than was given.
const REFUSED: Outcome = plain("refused", &[]);

/// Where an open charge stands; `other` is one that is over.
pub static CHARGE_STAGE: Family =
    Family { name: "charge-stage", words: &["requested", "deposited", "claimed", "disputed", "other"] };

/// An agent who sells an amount now.
pub static OFFER: Record =
    Record { name: "offer", fields: &[AGENT, field("name", Type::Text), field("phone", Type::Phone), PRICE] };

/// A charge. The fee is the agent's, for the deposit.
pub static CHARGE: Record = Record {
    name: "charge",
    fields: &[NUMBER, AMOUNT, PRICE, FEE, field("stage", Type::Choice(&CHARGE_STAGE))],
};

const fn reads(
    name: &'static str,
    about: &'static str,
    parameters: &'static [Field],
    outcomes: &'static [Outcome],
) -> Action {
    Action { name, about, parameters, outcomes, effect: Effect::Reads, performed: true }
}

const fn says(name: &'static str, about: &'static str, outcomes: &'static [Outcome]) -> Action {
    Action { name, about, parameters: &[NUMBER], outcomes, effect: Effect::Changes, performed: true }
}

/// What buyers and agents can do.
pub static ACTIONS: &[Action] = &[
    reads(
        "charge.offers",
        "the agents who sell an amount now, the cheapest first",
        &[AMOUNT],
        &[
            plain("ok", &[field("offers", Type::List(&OFFER_TYPE))]),
            plain("none", &[]),
            plain("over_limit", &[LIMIT]),
        ],
    ),
    reads(
        "charge.mine",
        "the caller's open charges as a buyer, the latest first",
        &[],
        &[plain("ok", &[CHARGES]), plain("none", &[])],
    ),
    reads(
        "charge.asked",
        "the open charges that the caller is the agent of, the latest first",
        &[],
        &[plain("ok", &[CHARGES]), plain("none", &[])],
    ),
    reads(
        "charge.look",
        "a charge by its number, and whether the caller buys or sells in it",
        &[NUMBER],
        &[plain("buys", &[ONE]), plain("sells", &[ONE]), NOT_FOUND],
    ),
    Action {
        name: "charge.request",
        about: "asks an agent to sell an amount at a price; the agent is told by text message",
        parameters: &[AGENT, AMOUNT, PRICE],
        outcomes: &[
            plain("requested", &[NUMBER]),
            plain("outside", &[]),
            GONE,
            plain("too_many", &[]),
            plain("over_limit", &[LIMIT]),
            REFUSED,
            plain("suspended", &[]),
        ],
        effect: Effect::Changes,
        performed: true,
    },
    Action {
        name: "charge.deposit",
        about: "checks the agent's PIN and puts the amount into the intermediary account; the buyer is told where to pay",
        parameters: &[NUMBER, AMOUNT, FEE, PIN],
        outcomes: &[
            plain("deposited", &[]),
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            plain("insufficient", &[LEFT]),
            plain("outside", &[]),
            plain("over_limit", &[LEFT]),
            GONE,
            REFUSED,
            plain("suspended", &[]),
        ],
        effect: Effect::MovesMoney { confirmed: &["number", "amount", "fee"] },
        performed: true,
    },
    says(
        "charge.certificate",
        "the buyer's certificate; in a thread of text messages it comes in a message of its own",
        &[
            plain("shown", &[CERTIFICATE, PRICE, field("details", Type::Text)]),
            plain("sent", &[]),
            NOT_FOUND,
            GONE,
        ],
    ),
    says(
        "charge.paid",
        "the buyer says that the price is paid; the time limit begins",
        &[plain("said", &[]), NOT_FOUND, GONE],
    ),
    Action {
        name: "charge.confirm",
        about: "matches the certificate, or its last four digits and more, checks the agent's PIN, and gives the buyer the amount",
        parameters: &[NUMBER, AMOUNT, CERTIFICATE, PIN],
        outcomes: &[
            plain("completed", &[]),
            plain("wrong_certificate", &[field("left", Type::Int)]),
            plain("certificate_locked", &[]),
            plain("wrong_pin", &[field("left", Type::Int)]),
            plain("locked", &[]),
            GONE,
            REFUSED,
            plain("suspended", &[]),
        ],
        effect: Effect::MovesMoney { confirmed: &["number", "amount"] },
        performed: true,
    },
    says(
        "charge.cancel",
        "gives a charge up: the buyer before saying that it is paid, the agent before the deposit",
        &[plain("cancelled", &[]), NOT_FOUND, GONE],
    ),
    says("charge.decline", "the agent does not sell", &[plain("declined", &[]), NOT_FOUND, GONE]),
    says(
        "charge.withdraw",
        "the buyer takes the word \"paid\" back; the amount is the agent's again",
        &[plain("withdrawn", &[]), NOT_FOUND, GONE],
    ),
    says(
        "charge.dispute",
        "either side says that something is wrong; the amount stays where it is until it is resolved",
        &[plain("disputed", &[]), NOT_FOUND, GONE],
    ),
];
