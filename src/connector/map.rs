//! From a carrier's answer (HTTP status and JSON body) to an [`Outcome`]: a table, read from the connector's
//! file.
//!
//! Pure. What no rule names is unknown, never refused; an answer of class 5xx is unknown unless a rule names
//! that very status; a body that cannot be read never makes a delivery.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::connector::contract::{Echo, Outcome, RefusalClass, Unclear};
use crate::money::{Currency, Money};

/// The longest text that is taken from a carrier's answer into a row, in characters.
pub const TEXT_MAX: usize = 128;

/// Which HTTP statuses a rule speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// One status.
    Exactly(u16),
    /// `2xx`, `3xx` or `4xx`.
    Class(u16),
}

impl Status {
    /// Reads `200` or `2xx`.
    ///
    /// # Errors
    /// In words. `5xx` is refused: it is always unknown.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "2xx" => Ok(Self::Class(2)),
            "3xx" => Ok(Self::Class(3)),
            "4xx" => Ok(Self::Class(4)),
            "5xx" => Err("5xx is always unknown; name the one status that is definite".to_owned()),
            _ => match text.parse::<u16>() {
                Ok(number @ 100..=599) => Ok(Self::Exactly(number)),
                _ => Err("expected an HTTP status such as 200 or 2xx".to_owned()),
            },
        }
    }

    const fn holds(self, status: u16) -> bool {
        match self {
            Self::Exactly(number) => number == status,
            Self::Class(class) => status / 100 == class,
        }
    }
}

/// What a rule makes of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Taken, not finished.
    Accepted,
    /// Recharged.
    Delivered,
    /// Not recharged.
    Refused(RefusalClass),
    /// Taken back.
    Reversed,
    /// No such reference (status queries only).
    NotFound,
    /// Nobody knows.
    Unknown,
}

/// One row of the table; the first that holds decides.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Any of these; empty for any status below 500.
    pub statuses: Vec<Status>,
    /// Any of these codes; empty for any.
    pub codes: Vec<String>,
    /// The meaning.
    pub verdict: Verdict,
}

/// Where things stand in the body, as JSON pointers (RFC 6901).
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The code that rules compare.
    pub code: Option<String>,
    /// The carrier's reference.
    pub carrier_reference: Option<String>,
    /// Our reference.
    pub reference: Option<String>,
    /// The number.
    pub msisdn: Option<String>,
    /// The amount.
    pub amount: Option<String>,
    /// Whether amounts are in minor units.
    pub minor: bool,
    /// The currency.
    pub currency: Option<String>,
    /// What the carrier took.
    pub cost: Option<String>,
}

/// The whole table of one kind of answer.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Where things stand.
    pub places: Places,
    /// Rows in order.
    pub rules: Vec<Rule>,
}

/// An answer, read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it says.
    pub outcome: Outcome,
    /// What it repeats.
    pub echo: Echo,
}

impl Table {
    /// Reads an answer. `currency` is that of our request, in which amounts are read.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8], currency: Currency) -> Reading {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let at = |place: &Option<String>| {
            let place = place.as_deref()?;
            json.as_ref()?.pointer(place).and_then(scalar)
        };
        let places = &self.places;
        let code = at(&places.code);
        let rule = self.rules.iter().find(|rule| rule.holds(status, code.as_deref(), json.is_some()));
        let carrier_reference = at(&places.carrier_reference);
        let shown_code = code.clone().unwrap_or_else(|| status.to_string());
        let outcome = match rule.map(|r| r.verdict) {
            Some(Verdict::Accepted) => Outcome::Accepted { carrier_reference },
            Some(Verdict::Delivered) => Outcome::Delivered {
                carrier_reference,
                cost: at(&places.cost).and_then(|t| self.money(&t, currency).ok()),
            },
            Some(Verdict::Refused(class)) => Outcome::Refused { class, code: shown_code, carrier_reference },
            Some(Verdict::Reversed) => Outcome::Reversed { carrier_reference },
            Some(Verdict::NotFound) => Outcome::NotFound,
            Some(Verdict::Unknown) => {
                let detail = format!("status {status}, code {shown_code}: declared unknown");
                Outcome::Unknown { why: Unclear::Unexpected, detail }
            }
            None if json.is_none() && status < 500 => Outcome::Unknown {
                why: Unclear::Unreadable,
                detail: format!("status {status}, body is not JSON ({} bytes)", body.len()),
            },
            None => Outcome::Unknown {
                why: Unclear::Unexpected,
                detail: format!("status {status}, code {shown_code}: no rule of the connector names it"),
            },
        };
        let echo = Echo {
            reference: at(&places.reference),
            msisdn: at(&places.msisdn).map(|t| t.chars().filter(char::is_ascii_digit).collect()),
            amount: at(&places.amount).map(|t| self.money(&t, currency)),
            currency: at(&places.currency),
        };
        Reading { outcome, echo }
    }

    fn money(&self, text: &str, currency: Currency) -> Result<Money, String> {
        let decimal = Decimal::from_str_exact(text).map_err(|_| text.to_owned())?;
        let decimal = if self.places.minor {
            decimal
                .checked_mul(Decimal::new(1, u32::from(currency.exponent())))
                .ok_or_else(|| text.to_owned())?
        } else {
            decimal
        };
        Money::from_decimal(decimal, currency).map_err(|_| text.to_owned())
    }
}

impl Rule {
    fn holds(&self, status: u16, code: Option<&str>, readable: bool) -> bool {
        let status_holds = if self.statuses.is_empty() {
            status < 500
        } else {
            self.statuses.iter().any(|s| s.holds(status))
        };
        let code_holds = self.codes.is_empty() || code.is_some_and(|c| self.codes.iter().any(|x| x == c));
        let needs_body = match self.verdict {
            Verdict::Accepted | Verdict::Delivered | Verdict::Reversed => true,
            Verdict::Refused(_) | Verdict::NotFound | Verdict::Unknown => false,
        };
        status_holds && code_holds && (readable || !needs_body)
    }
}

/// A text, number or boolean as a text of bounded length; anything else is nothing.
fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let rule = |statuses: &[&str], codes: &[&str], verdict| Rule {
            statuses: statuses.iter().map(|s| Status::parse(s).unwrap()).collect(),
            codes: codes.iter().map(|c| (*c).to_owned()).collect(),
            verdict,
        };
        Table {
            places: Places {
                code: Some("/status".to_owned()),
                carrier_reference: Some("/id".to_owned()),
                reference: Some("/ref".to_owned()),
                amount: Some("/amount".to_owned()),
                cost: Some("/cost".to_owned()),
                ..Places::default()
            },
            rules: vec![
                rule(&["200"], &["OK", "0"], Verdict::Delivered),
                rule(&["2xx"], &["WAIT"], Verdict::Accepted),
                rule(&["400"], &["BAD"], Verdict::Refused(RefusalClass::BadNumber)),
                rule(&["404"], &[], Verdict::NotFound),
                rule(&["503"], &["CLOSED"], Verdict::Refused(RefusalClass::CarrierDown)),
            ],
        }
    }

    fn read(status: u16, body: &str) -> Outcome {
        table().read(status, body.as_bytes(), Currency::new("CNY").unwrap()).outcome
    }

    #[test]
    fn the_first_rule_that_holds_decides() {
        let delivered = read(200, r#"{"status":"OK","id":"c1"}"#);
        assert_eq!(delivered, Outcome::Delivered { carrier_reference: Some("c1".to_owned()), cost: None });
        assert!(matches!(read(200, r#"{"status":0}"#), Outcome::Delivered { .. }));
        assert!(matches!(read(202, r#"{"status":"WAIT"}"#), Outcome::Accepted { .. }));
        let (class, code) = (RefusalClass::BadNumber, "BAD".to_owned());
        let refused = Outcome::Refused { class, code, carrier_reference: None };
        assert_eq!(read(400, r#"{"status":"BAD"}"#), refused);
        assert_eq!(read(404, ""), Outcome::NotFound);
    }

    #[test]
    fn what_no_rule_names_is_unknown() {
        for (status, body, why) in [
            (200, "<html>", Unclear::Unreadable),
            (200, "", Unclear::Unreadable),
            (200, r#"{"status":"OK"#, Unclear::Unreadable),
            (200, r#"{"status":"MAYBE"}"#, Unclear::Unexpected),
            (200, r#"{"status":["OK"]}"#, Unclear::Unexpected),
            (202, r#"{"status":"OK"}"#, Unclear::Unexpected),
            (400, r#"{"status":"WORSE"}"#, Unclear::Unexpected),
            (500, r#"{"status":"OK"}"#, Unclear::Unexpected),
            (500, r#"{"status":"BAD"}"#, Unclear::Unexpected),
            (302, "", Unclear::Unreadable),
        ] {
            assert!(
                matches!(read(status, body), Outcome::Unknown { why: w, .. } if w == why),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_named_5xx_may_be_definite() {
        assert!(matches!(read(503, r#"{"status":"CLOSED"}"#), Outcome::Refused { .. }));
        assert!(matches!(read(502, r#"{"status":"CLOSED"}"#), Outcome::Unknown { .. }));
        assert!(Status::parse("5xx").is_err());
        assert!(Status::parse("99").is_err());
        assert!(Status::parse("600").is_err());
    }

    #[test]
    fn amounts_are_read_exactly() {
        let cny = Currency::new("CNY").unwrap();
        let amount = |body: &str, minor: bool| {
            let mut table = table();
            table.places.minor = minor;
            table.read(200, body.as_bytes(), cny).echo.amount
        };
        assert_eq!(amount(r#"{"amount":"50.00"}"#, false), Some(Ok(Money::new(5000, cny))));
        assert_eq!(amount(r#"{"amount":50.1}"#, false), Some(Ok(Money::new(5010, cny))));
        assert_eq!(amount(r#"{"amount":5000}"#, true), Some(Ok(Money::new(5000, cny))));
        assert_eq!(amount(r#"{"amount":"fifty"}"#, false), Some(Err("fifty".to_owned())));
        assert_eq!(amount(r#"{"amount":"0.001"}"#, false), Some(Err("0.001".to_owned())));
        assert_eq!(amount("{}", false), None);
    }

    #[test]
    fn texts_from_outside_are_bounded_and_without_control_characters() {
        let long = format!(r#"{{"status":"OK","id":"{}\n"}}"#, "x".repeat(1000));
        let Outcome::Delivered { carrier_reference: Some(text), .. } = read(200, &long) else { panic!() };
        assert_eq!(text.len(), TEXT_MAX);
    }
}
