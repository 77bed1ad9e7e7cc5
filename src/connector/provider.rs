//! What an outside account provider (a wallet, a bank, carrier billing) can be asked about a reservation, and what it can
//! answer. Pure.
//!
//! ```text
//!  reserve ─► reserved ─► capture ─► captured ─► refund ─► refunded
//!     │          └──────► release ─► released
//!     └─► refused
//! ```
//! What no rule names is unknown, and an answer of class 5xx is unknown unless a rule names that very status. What is told of
//! another reference, amount or currency than ours is a mismatch, whatever it says.

use serde_json::Value;

use crate::connector::bill::{read_money, scalar};
use crate::connector::contract::{Order, Outcome, RefusalClass, Unclear};
use crate::connector::definition::Request;
use crate::connector::map::{Status, TEXT_MAX, any};

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// Keep the money for us.
    Reserve,
    /// Take what is kept: the customer got what he paid.
    Capture,
    /// Give up what is kept: he did not.
    Release,
    /// Give back what was taken.
    Refund,
    /// How it stands. Moves nothing.
    Status,
}

impl Operation {
    /// Every operation.
    pub const ALL: &[Self] = &[Self::Reserve, Self::Capture, Self::Release, Self::Refund, Self::Status];

    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Refund => "refund",
            Self::Status => "status",
        }
    }

    /// Its section in a connector's file.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Status => "reserve_status",
            other => other.name(),
        }
    }
}

/// What the provider says of a reservation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// The question never left this machine.
    NotSent {
        /// Why.
        reason: String,
    },
    /// It has not decided.
    Pending,
    /// The money is kept for us.
    Reserved,
    /// It was taken.
    Captured,
    /// Nothing is kept any more, and nothing was taken.
    Released,
    /// What was taken has been given back.
    Refunded,
    /// Not done, for certain.
    Refused {
        /// Why.
        class: RefusalClass,
        /// The provider's code.
        code: String,
    },
    /// It does not know the reference. Whether that is definite depends on the age of the reservation.
    NotFound,
    /// Nobody knows.
    Unknown {
        /// What happened.
        why: Unclear,
        /// In words, without secrets.
        detail: String,
    },
}

impl Told {
    /// Its name in rows and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Refunded => "refunded",
            Self::Refused { .. } => "refused",
            Self::NotFound => "not_found",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// What it says.
    pub told: Told,
    /// The provider's own reference, if the answer carried one.
    pub their_reference: Option<String>,
}

impl From<Told> for Answer {
    fn from(told: Told) -> Self {
        Self { told, their_reference: None }
    }
}

/// What came of a question that got no answer.
#[must_use]
pub fn without_answer(outcome: Outcome) -> Answer {
    Answer::from(match outcome {
        Outcome::NotSent { reason, .. } => Told::NotSent { reason },
        Outcome::Unknown { why, detail } => Told::Unknown { why, detail },
        other => Told::Unknown { why: Unclear::Unexpected, detail: other.name().to_owned() },
    })
}

/// What a rule makes of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// See [`Told::Pending`].
    Pending,
    /// See [`Told::Reserved`].
    Reserved,
    /// See [`Told::Captured`].
    Captured,
    /// See [`Told::Released`].
    Released,
    /// See [`Told::Refunded`].
    Refunded,
    /// See [`Told::Refused`].
    Refused(RefusalClass),
    /// See [`Told::NotFound`].
    NotFound,
    /// See [`Told::Unknown`].
    Unknown,
}

impl Verdict {
    /// The words of `outcome` in a rule; `refused` has its class beside it.
    pub const WORDS: &[(&str, Self)] = &[
        ("pending", Self::Pending),
        ("reserved", Self::Reserved),
        ("captured", Self::Captured),
        ("released", Self::Released),
        ("refunded", Self::Refunded),
        ("refused", Self::Refused(RefusalClass::Other)),
        ("not_found", Self::NotFound),
        ("unknown", Self::Unknown),
    ];
}

/// One row of an operation's table; the first that holds decides.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Any of these; empty for any status below 500.
    pub statuses: Vec<Status>,
    /// Any of these codes; empty for any.
    pub codes: Vec<String>,
    /// The meaning.
    pub verdict: Verdict,
}

impl Rule {
    fn holds(&self, status: u16, code: Option<&str>) -> bool {
        Status::any(&self.statuses, status) && any(&self.codes, code)
    }
}

/// Where things stand in an answer, as JSON pointers.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The code that rules compare.
    pub code: Option<String>,
    /// Our reference.
    pub reference: Option<String>,
    /// The provider's reference.
    pub their_reference: Option<String>,
    /// The amount.
    pub amount: Option<String>,
    /// Whether it is in minor units.
    pub minor: bool,
    /// The currency.
    pub currency: Option<String>,
}

/// How one operation is asked for, and what its answers mean.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The request. Its own table is empty.
    pub request: Request,
    /// Where things stand.
    pub places: Places,
    /// Rows in order.
    pub rules: Vec<Rule>,
}

impl Asking {
    /// Reads an answer to a question about `order`.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8], order: &Order) -> Answer {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        read(&self.places, &self.rules, status, json.as_ref(), order)
    }
}

/// What is told of `order`, in an answer or in a message of the provider's own.
#[must_use]
pub fn read(places: &Places, rules: &[Rule], status: u16, json: Option<&Value>, order: &Order) -> Answer {
    let at = |place: &Option<String>| {
        let text = scalar(json?, place.as_deref())?;
        Some(text.chars().take(TEXT_MAX).collect::<String>())
    };
    let code = at(&places.code);
    let unclear = |why, detail: String| Answer::from(Told::Unknown { why, detail });
    let Some(rule) = rules.iter().find(|rule| rule.holds(status, code.as_deref())) else {
        let code = code.unwrap_or_else(|| "none".to_owned());
        let why = if json.is_none() && status < 500 { Unclear::Unreadable } else { Unclear::Unexpected };
        return unclear(why, format!("status {status}, code {code}: no rule of the connector names it"));
    };
    let told = match rule.verdict {
        Verdict::Pending => Told::Pending,
        Verdict::Reserved => Told::Reserved,
        Verdict::Captured => Told::Captured,
        Verdict::Released => Told::Released,
        Verdict::Refunded => Told::Refunded,
        Verdict::Refused(class) => Told::Refused { class, code: code.unwrap_or_else(|| status.to_string()) },
        // It repeats nothing of ours that could be compared.
        Verdict::NotFound => return Answer::from(Told::NotFound),
        Verdict::Unknown => {
            return unclear(Unclear::Unexpected, format!("status {status}: declared unknown"));
        }
    };
    if let Some(detail) = differs(places, &at, order) {
        return unclear(Unclear::Mismatch, detail);
    }
    Answer { told, their_reference: at(&places.their_reference) }
}

fn differs(
    places: &Places,
    at: &impl Fn(&Option<String>) -> Option<String>,
    order: &Order,
) -> Option<String> {
    if at(&places.reference).is_some_and(|theirs| theirs != order.reference) {
        return Some("the answer carries another reference".to_owned());
    }
    if at(&places.currency).is_some_and(|theirs| theirs != order.amount.currency.code()) {
        return Some("the answer carries another currency".to_owned());
    }
    let theirs = at(&places.amount)?;
    match read_money(&theirs, order.amount.currency, places.minor) {
        Ok(amount) if amount == order.amount => None,
        Ok(amount) => Some(format!("the answer carries {amount}, asked was {}", order.amount)),
        Err(detail) => Some(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::connector::contract::DEDUCTION_RESERVED;
    use crate::connector::map::Table;
    use crate::connector::template::{Place, Template};
    use crate::money::{Currency, Money};

    fn asking() -> Asking {
        let at = |name: &str| Some(format!("/{name}"));
        let rule = |statuses: &[&str], codes: &[&str], verdict| Rule {
            statuses: statuses.iter().map(|s| Status::parse(s).unwrap()).collect(),
            codes: codes.iter().map(|c| (*c).to_owned()).collect(),
            verdict,
        };
        Asking {
            request: Request {
                method: "POST",
                path: Template::parse("/r", Place::Path).unwrap(),
                headers: Vec::new(),
                body: None,
                table: Table::default(),
            },
            places: Places {
                code: at("status"),
                reference: at("reference"),
                their_reference: at("id"),
                amount: at("amount"),
                minor: false,
                currency: at("currency"),
            },
            rules: vec![
                rule(&["200"], &["RESERVED"], Verdict::Reserved),
                rule(&[], &["CAPTURED"], Verdict::Captured),
                rule(&["402"], &["NO_MONEY"], Verdict::Refused(RefusalClass::LimitReached)),
                rule(&["404"], &[], Verdict::NotFound),
            ],
        }
    }

    fn order() -> Order {
        Order {
            reference: "r1".to_owned(),
            msisdn: None,
            bill: None,
            external_id: Some("w-1".to_owned()),
            amount: Money::new(5_050, Currency::new("CNY").unwrap()),
            deduction: "d".to_owned(),
            state: DEDUCTION_RESERVED,
            at: Timestamp(0),
            carrier_reference: None,
        }
    }

    fn told(status: u16, body: &str) -> Told {
        asking().read(status, body.as_bytes(), &order()).told
    }

    #[test]
    fn rules_compare_codes_as_those_of_carriers_do() {
        let rule = Rule { statuses: Vec::new(), codes: vec!["E4*".to_owned()], verdict: Verdict::Unknown };
        assert!(rule.holds(200, Some("E4711")), "a final star is any ending");
        assert!(rule.holds(404, Some("E4")) && !rule.holds(500, Some("E4711")));
        assert!(!rule.holds(200, Some("E5")) && !rule.holds(200, None));
    }

    #[test]
    fn an_answer_is_what_a_rule_says_and_unknown_without_one() {
        let good = r#"{"status":"RESERVED","reference":"r1","id":"p9","amount":"50.50","currency":"CNY"}"#;
        let answer = asking().read(200, good.as_bytes(), &order());
        assert_eq!(answer, Answer { told: Told::Reserved, their_reference: Some("p9".to_owned()) });
        assert_eq!(told(201, r#"{"status":"CAPTURED"}"#), Told::Captured);
        assert_eq!(told(404, "gone"), Told::NotFound);
        let refused = Told::Refused { class: RefusalClass::LimitReached, code: "NO_MONEY".to_owned() };
        assert_eq!(told(402, r#"{"status":"NO_MONEY"}"#), refused);
        for (status, body) in
            [(200, r#"{"status":"WHAT"}"#), (200, "<html>"), (500, r#"{"status":"CAPTURED"}"#), (200, "")]
        {
            assert!(matches!(told(status, body), Told::Unknown { .. }), "{status} {body}");
        }
    }

    #[test]
    fn what_is_told_of_another_reservation_is_a_mismatch() {
        let good = r#"{"status":"RESERVED","reference":"r1","amount":"50.50","currency":"CNY"}"#;
        assert_eq!(told(200, good), Told::Reserved);
        for (from, to) in [("r1", "r2"), ("50.50", "50.51"), ("CNY", "USD"), ("\"50.50\"", "\"x\"")] {
            let body = good.replace(from, to);
            assert!(
                matches!(told(200, &body), Told::Unknown { why: Unclear::Mismatch, .. }),
                "{body}: {:?}",
                told(200, &body)
            );
        }
    }
}
