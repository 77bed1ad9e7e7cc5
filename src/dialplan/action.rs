//! The table of actions: the whole surface between dialplans and the payment core.
//!
//! The checker, the engine and the documentation are made from this table and from nothing else. An action is
//! named here and performed by the session; the dialplan only knows what goes in and which outcomes come
//! back.

pub mod account;
pub mod bill;
pub mod charge;
pub mod identity;
pub mod order;
pub mod recharge;
pub mod store;

use crate::dialplan::action::account::PAYMENT;
pub use crate::dialplan::action::bill::{BILL, BILLER_KIND};
use crate::dialplan::value::{Family, Record, Type};

/// A named and typed place: a parameter, or one value of an outcome.
#[derive(Debug, Eq, PartialEq)]
pub struct Field {
    /// Its name in the table; authors may bind it to a variable of another name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
}

/// What the checker must know of an outcome besides its values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// Nothing special.
    Plain,
    /// The caller's number is believed from here on: the variable `caller` is set.
    Identified,
    /// The money may have moved: no way may lead from here to a money action.
    Pending,
}

/// One way in which an action can end. The first of an action is the ordinary one: after any other, keys that
/// were typed ahead are dropped, since they answered a question that is no longer asked.
#[derive(Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Its name after `on`.
    pub name: &'static str,
    /// The values that come with it, in order.
    pub values: &'static [Field],
    /// What it means to the checker.
    pub meaning: Meaning,
}

/// How an action stands to money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It reads.
    Reads,
    /// It reads, and its outcomes' values of these names belong to the confirmation of the named action.
    Quotes {
        /// The money action.
        action: &'static str,
        /// Names of values, such as `fee`.
        values: &'static [&'static str],
    },
    /// It changes settings or asks for something to be sent, and moves no money: doing it twice is as doing it once. It may be
    /// given a secret.
    Changes,
    /// It moves money: the caller has confirmed these parameters in the question for its secret.
    MovesMoney {
        /// Names of parameters.
        confirmed: &'static [&'static str],
    },
}

/// The signature of an action.
#[derive(Debug, Eq, PartialEq)]
pub struct Action {
    /// Its name after `do`.
    pub name: &'static str,
    /// What it does, for the list of actions.
    pub about: &'static str,
    /// What it is given, in order.
    pub parameters: &'static [Field],
    /// Every way in which it can end.
    pub outcomes: &'static [Outcome],
    /// How it stands to money.
    pub effect: Effect,
    /// Whether this version performs it. If not, flows with it can be checked and tested, and are not served.
    pub performed: bool,
}

impl Action {
    /// The action of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        all().find(|action| action.name == name)
    }

    /// The outcome of a name, with its index.
    #[must_use]
    pub fn outcome(&self, name: &str) -> Option<(usize, &'static Outcome)> {
        self.outcomes.iter().enumerate().find(|(_, outcome)| outcome.name == name)
    }

    /// Whether it moves money.
    #[must_use]
    pub const fn moves_money(&self) -> bool {
        matches!(self.effect, Effect::MovesMoney { .. })
    }

    /// `recharge.pay(phone: phone, amount: money, …)`, for diagnostics and documentation.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("{}({})", self.name, fields(self.parameters))
    }
}

impl Outcome {
    /// `day_limit(limit: money, left: money)`
    #[must_use]
    pub fn signature(&self) -> String {
        if self.values.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}({})", self.name, fields(self.values))
        }
    }

    /// `day_limit(limit, left)`, as a flow writes it.
    #[must_use]
    pub fn pattern(&self) -> String {
        let names: Vec<&str> = self.values.iter().map(|field| field.name).collect();
        if names.is_empty() { self.name.to_owned() } else { format!("{}({})", self.name, names.join(", ")) }
    }
}

fn fields(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("{}: {}", field.name, field.ty)).collect::<Vec<_>>().join(", ")
}

/// Why a carrier refused, in words that the caller can use.
pub static REFUSAL: Family = Family {
    name: "refusal",
    words: &[
        "bad_number",
        "number_barred",
        "not_available",
        "amount_not_allowed",
        "limit_reached",
        "carrier_down",
        "provider",
        "other",
    ],
};

/// What is shut, so that nothing can be paid.
pub static SUSPENSION: Family = Family {
    name: "suspension",
    words: &[
        "platform",
        "product",
        "carrier",
        "channel",
        "biller",
        "merchant",
        "agent",
        "account",
        "number",
        "maintenance",
        "works",
        "other",
    ],
};

/// The families of words that messages may speak.
pub static FAMILIES: &[&Family] = &[&REFUSAL, &SUSPENSION, &BILLER_KIND, &charge::CHARGE_STAGE];

const fn field(name: &'static str, ty: Type) -> Field {
    Field { name, ty }
}

const fn plain(name: &'static str, values: &'static [Field]) -> Outcome {
    Outcome { name, values, meaning: Meaning::Plain }
}

const PHONE: Field = field("phone", Type::Phone);
const AMOUNT: Field = field("amount", Type::Money);
const LIMIT: Field = field("limit", Type::Money);
const LEFT: Field = field("left", Type::Money);
const FEE: Field = field("fee", Type::Money);
const RECEIPT: Field = field("receipt", Type::Digits);
/// What is shut.
const WHY: Field = field("why", Type::Choice(&SUSPENSION));
/// When it is open again; only when what is shut is `maintenance`.
const BACK: Field = field("back", Type::Time);
/// Minutes since the first payment of the same account, number and amount.
const FIRST: Field = field("first", Type::Int);
const REPEAT: Field = field("repeat", Type::Bool);

/// Every action there is.
pub fn all() -> impl Iterator<Item = &'static Action> {
    let tables = [
        account::ACTIONS,
        identity::ACTIONS,
        recharge::ACTIONS,
        bill::ACTIONS,
        order::ACTIONS,
        charge::ACTIONS,
        store::ACTIONS,
    ];
    tables.into_iter().flatten()
}

/// The records that actions make.
pub static RECORDS: &[&Record] =
    &[&BILL, &bill::BILLER, &order::ORDER, &PAYMENT, &charge::OFFER, &charge::CHARGE];

/// Types as flows and messages write them; of each there may be a list too.
static WRITTEN: &[(Type, Type)] = &[
    (Type::Money, Type::List(&Type::Money)),
    (Type::Phone, Type::List(&Type::Phone)),
    (Type::Digits, Type::List(&Type::Digits)),
    (Type::Int, Type::List(&Type::Int)),
    (Type::Text, Type::List(&Type::Text)),
    (Type::Bool, Type::List(&Type::Bool)),
    (Type::Date, Type::List(&Type::Date)),
    (Type::Time, Type::List(&Type::Time)),
    (Type::Record(&BILL), Type::List(&Type::Record(&BILL))),
    (Type::Record(&order::ORDER), Type::List(&Type::Record(&order::ORDER))),
    (Type::Record(&bill::BILLER), Type::List(&Type::Record(&bill::BILLER))),
    (Type::Record(&PAYMENT), Type::List(&Type::Record(&PAYMENT))),
    (Type::Record(&charge::OFFER), Type::List(&Type::Record(&charge::OFFER))),
    (Type::Record(&charge::CHARGE), Type::List(&Type::Record(&charge::CHARGE))),
];

/// The type that a flow writes as `money`, `yes/no`, `bill list`.
#[must_use]
pub fn written_type(text: &str) -> Option<Type> {
    let (item, list) = text.strip_suffix(" list").map_or((text, false), |item| (item, true));
    let (single, several) = WRITTEN.iter().find(|(single, _)| single.to_string() == item)?;
    Some(if list { *several } else { *single })
}

/// The names of types that a flow can write, without those of lists.
#[must_use]
pub fn written_types() -> Vec<String> {
    WRITTEN.iter().map(|(single, _)| single.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_they_are_shown() {
        for (single, several) in WRITTEN {
            assert_eq!(written_type(&single.to_string()), Some(*single));
            assert_eq!(written_type(&several.to_string()), Some(*several));
        }
        for record in RECORDS {
            assert_eq!(written_type(record.name), Some(Type::Record(record)));
        }
        for none in ["secret", "money list list", "list", "", "amount"] {
            assert_eq!(written_type(none), None, "{none}");
        }
    }

    #[test]
    fn the_table_is_consistent() {
        for action in all() {
            assert_eq!(all().filter(|other| other.name == action.name).count(), 1, "{}", action.name);
            for outcome in action.outcomes {
                assert_eq!(action.outcomes.iter().filter(|o| o.name == outcome.name).count(), 1);
                assert!(outcome.values.iter().all(|value| value.ty != Type::Secret), "no secret comes back");
            }
            match action.effect {
                Effect::Reads | Effect::Changes => {}
                Effect::Quotes { action: paying, values } => {
                    assert!(Action::find(paying).unwrap().moves_money());
                    for value in values {
                        assert!(action.outcomes.iter().any(|o| o.values.iter().any(|v| v.name == *value)));
                    }
                }
                Effect::MovesMoney { confirmed } => {
                    for name in confirmed {
                        assert!(action.parameters.iter().any(|parameter| parameter.name == *name));
                    }
                    assert!(action.parameters.iter().any(|parameter| parameter.ty == Type::Secret));
                }
            }
        }
        assert!(REFUSAL.words.contains(&"other"));
    }
}
