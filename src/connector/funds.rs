//! What an outside account provider says that a customer may spend: asked anew whenever the customer asks, never kept. Pure.
//!
//! Only an answer that a rule names, with an amount in the currency that was asked for, is told to anybody. Everything else is
//! "not available now": a wrong figure about somebody's money is worse than none.

use serde_json::Value;

use crate::connector::bill::{read_money, scalar};
use crate::connector::definition::Request;
use crate::connector::map::{Status, any};
use crate::money::{Currency, Money};

/// What came of the question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Funds {
    /// So much may be spent; below zero when the account is overdrawn.
    Known(Money),
    /// There is no answer that may be told.
    NotNow {
        /// Why, without secrets and without the account.
        detail: String,
        /// The provider does not know the account, or speaks of another one: staff must look.
        alarm: bool,
    },
}

impl Funds {
    /// Not now, without an alarm.
    #[must_use]
    pub fn not_now(detail: impl Into<String>) -> Self {
        Self::NotNow { detail: detail.into(), alarm: false }
    }
}

/// What a rule makes of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FundsVerdict {
    /// The amount is in it.
    Known,
    /// It does not know the account.
    NotFound,
    /// It does not tell now.
    NotNow,
}

impl FundsVerdict {
    /// The words of `outcome` in a rule.
    pub const WORDS: &[(&str, Self)] =
        &[("known", Self::Known), ("not_found", Self::NotFound), ("not_now", Self::NotNow)];
}

/// One row of the table; the first that holds decides.
#[derive(Clone, Debug)]
pub struct FundsRule {
    /// Any of these; empty for any status below 500.
    pub statuses: Vec<Status>,
    /// Any of these codes; empty for any.
    pub codes: Vec<String>,
    /// The meaning.
    pub verdict: FundsVerdict,
}

impl FundsRule {
    fn holds(&self, status: u16, code: Option<&str>) -> bool {
        Status::any(&self.statuses, status) && any(&self.codes, code)
    }
}

/// Where things stand in an answer, as JSON pointers.
#[derive(Clone, Debug, Default)]
pub struct FundsPlaces {
    /// The code that rules compare.
    pub code: Option<String>,
    /// The account, compared with the one that was asked about.
    pub account: Option<String>,
    /// The amount that may be spent.
    pub amount: Option<String>,
    /// Whether it is in minor units.
    pub minor: bool,
    /// The currency; it must be there.
    pub currency: Option<String>,
}

/// How the balance is asked for, and what answers mean.
#[derive(Clone, Debug)]
pub struct AskFunds {
    /// The request. Its own table is empty.
    pub request: Request,
    /// Where things stand.
    pub places: FundsPlaces,
    /// Rows in order.
    pub rules: Vec<FundsRule>,
}

impl AskFunds {
    /// Reads an answer about `account`, as the provider calls it.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8], account: &str, currency: Currency) -> Funds {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let at = |place: &Option<String>| scalar(json.as_ref()?, place.as_deref());
        let code = at(&self.places.code);
        let Some(rule) = self.rules.iter().find(|rule| rule.holds(status, code.as_deref())) else {
            return Funds::not_now(format!("status {status}: no rule of the connector names it"));
        };
        match rule.verdict {
            FundsVerdict::NotNow => return Funds::not_now(format!("status {status}: it does not tell now")),
            FundsVerdict::NotFound => {
                return Funds::NotNow {
                    detail: "the provider does not know the account".to_owned(),
                    alarm: true,
                };
            }
            FundsVerdict::Known => {}
        }
        if at(&self.places.account).is_some_and(|theirs| theirs != account) {
            return Funds::NotNow { detail: "the answer is of another account".to_owned(), alarm: true };
        }
        match at(&self.places.currency) {
            None => return Funds::not_now("the answer names no currency"),
            Some(theirs) if theirs != currency.code() => {
                return Funds::not_now("the answer is in another currency");
            }
            Some(_) => {}
        }
        let Some(amount) = at(&self.places.amount) else { return Funds::not_now("the answer has no amount") };
        match read_money(&amount, currency, self.places.minor) {
            Ok(money) => Funds::Known(money),
            Err(_) => Funds::not_now("the amount cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::map::Table;
    use crate::connector::template::{Place, Template};

    fn asking() -> AskFunds {
        let at = |name: &str| Some(format!("/{name}"));
        let rule = |status: &str, codes: &[&str], verdict| FundsRule {
            statuses: vec![Status::parse(status).unwrap()],
            codes: codes.iter().map(|c| (*c).to_owned()).collect(),
            verdict,
        };
        AskFunds {
            request: Request {
                method: "GET",
                path: Template::parse("/b", Place::Path).unwrap(),
                headers: Vec::new(),
                body: None,
                table: Table::default(),
            },
            places: FundsPlaces {
                code: at("status"),
                account: at("account"),
                amount: at("available"),
                minor: false,
                currency: at("currency"),
            },
            rules: vec![
                rule("200", &["OK"], FundsVerdict::Known),
                rule("503", &[], FundsVerdict::NotNow),
                rule("404", &[], FundsVerdict::NotFound),
            ],
        }
    }

    fn read(status: u16, body: &str) -> Funds {
        asking().read(status, body.as_bytes(), "w-1", Currency::new("CNY").unwrap())
    }

    #[test]
    fn only_a_whole_answer_of_this_account_is_told() {
        let good = r#"{"status":"OK","account":"w-1","available":"62.30","currency":"CNY"}"#;
        let cny = Currency::new("CNY").unwrap();
        assert_eq!(read(200, good), Funds::Known(Money::new(6_230, cny)));
        assert_eq!(read(200, &good.replace("62.30", "-0.50")), Funds::Known(Money::new(-50, cny)));
        assert_eq!(read(200, &good.replace(r#""account":"w-1","#, "")), Funds::Known(Money::new(6_230, cny)));
        let other_account = good.replace("w-1", "w-2");
        for (status, body, wakes) in [
            (200, good.replace("CNY", "USD"), false),
            (200, good.replace(r#","currency":"CNY""#, ""), false),
            (200, good.replace("62.30", "much"), false),
            (200, good.replace("62.30", "62.305"), false),
            (200, good.replace("available", "booked"), false),
            (200, good.replace("OK", "LATER"), false),
            (500, good.to_owned(), false),
            (503, good.to_owned(), false),
            (200, "<html>".to_owned(), false),
            (200, other_account, true),
            (404, String::new(), true),
        ] {
            let Funds::NotNow { alarm, detail } = read(status, &body) else { panic!("{status} {body}") };
            assert_eq!(alarm, wakes, "{status} {body}");
            assert!(!detail.contains("w-1") && !detail.contains("62"), "{detail}");
        }
    }
}
