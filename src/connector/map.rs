//! From a carrier's answer (HTTP status and JSON body) to an [`Outcome`]: a table, read from the connector's
//! file.
//!
//! Pure. What no rule names is unknown, never refused; an answer of class 5xx is unknown unless a rule names
//! that very status; a body that cannot be read never makes a delivery.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::connector::bill;
use crate::connector::contract::{Echo, Outcome, RefusalClass, Unclear, Voucher};
use crate::connector::form;
use crate::money::{Currency, Money};
use crate::secret::Secret;

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

    /// Whether an answer's status is one of these.
    #[must_use]
    pub const fn holds(self, status: u16) -> bool {
        match self {
            Self::Exactly(number) => number == status,
            Self::Class(class) => status / 100 == class,
        }
    }

    /// Whether a rule with these is about an answer's status; one without any is about every status below 500.
    pub(super) fn any(these: &[Self], status: u16) -> bool {
        if these.is_empty() { status < 500 } else { these.iter().any(|these| these.holds(status)) }
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
    /// The carrier has seen our reference before: what became of the first is asked by a status query.
    Duplicate,
    /// Nobody knows.
    Unknown,
}

/// One row of the table; the first that holds decides.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Any of these; empty for any status below 500.
    pub statuses: Vec<Status>,
    /// Any of these codes; empty for any. A final `*` stands for any ending.
    pub codes: Vec<String>,
    /// Any of these reasons, as codes; empty for any.
    pub reasons: Vec<String>,
    /// Holds only for a list without our reference; otherwise only for the rest.
    pub absent: bool,
    /// Holds only for an answer without a body.
    pub empty: bool,
    /// The meaning.
    pub verdict: Verdict,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NumberForm {
    /// `1234.56`.
    #[default]
    Plain,
    /// `1,234.56`.
    Thousands,
    /// `1.234,56` or `1234,56`.
    Comma,
}

/// Answers that are lists: the first element whose field is our reference is the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The array, as a JSON pointer; empty for the whole body.
    pub at: String,
    /// The field of an element, as a JSON pointer.
    pub field: String,
}

/// Where things stand in the body, as JSON pointers (RFC 6901).
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Where the list is, if answers are lists; the other places are then in its element.
    pub listed: Option<Listed>,
    /// The code that rules compare: the first of these that is there.
    pub code: Vec<String>,
    /// A second thing that rules compare, such as the reason of a failure.
    pub reason: Vec<String>,
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
    /// How numbers are written.
    pub number: NumberForm,
    /// The currency.
    pub currency: Option<String>,
    /// What the carrier took.
    pub cost: Option<String>,
    /// The currency of the cost; a cost in another currency than the recharge's is not read.
    pub cost_currency: Option<String>,
    /// A voucher's code, for products that deliver one.
    pub voucher_code: Option<String>,
    /// A voucher's serial number.
    pub voucher_serial: Option<String>,
    /// The bill's number.
    pub bill: Option<String>,
    /// The quote's id.
    pub quote: Option<String>,
    /// Under whose reference a bill was paid.
    pub paid_by: Option<String>,
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

/// What the rules look at.
struct Subject<'a> {
    status: u16,
    code: Option<String>,
    reason: Option<String>,
    readable: bool,
    empty: bool,
    absent: bool,
    json: Option<&'a Value>,
}

impl Subject<'_> {
    fn at(&self, place: Option<&String>) -> Option<String> {
        self.json?.pointer(place?).and_then(scalar)
    }

    fn first(&self, places: &[String]) -> Option<String> {
        places.iter().find_map(|place| self.at(Some(place)))
    }

    fn shown(&self) -> String {
        self.reason.clone().or_else(|| self.code.clone()).unwrap_or_else(|| self.status.to_string())
    }
}

impl Table {
    /// Reads an answer. `currency` is that of our request, in which amounts are read.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8], currency: Currency) -> Reading {
        self.read_for(status, body, currency, "")
    }

    /// Reads an answer that may be a list in which `reference`, ours, is looked for.
    #[must_use]
    pub fn read_for(&self, status: u16, body: &[u8], currency: Currency, reference: &str) -> Reading {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        self.judge(status, body, json.as_ref(), currency, reference)
    }

    /// Reads an answer of form fields, as some callbacks are.
    #[must_use]
    pub fn read_form(&self, status: u16, body: &[u8], currency: Currency) -> Reading {
        self.judge(status, body, form::read(body).as_ref(), currency, "")
    }

    fn judge(
        &self,
        status: u16,
        body: &[u8],
        json: Option<&Value>,
        currency: Currency,
        reference: &str,
    ) -> Reading {
        let places = &self.places;
        let list = places.listed.as_ref().and_then(|l| Some((json?.pointer(&l.at)?.as_array()?, &l.field)));
        let element = list.map(|(items, field)| {
            let ours = |item: &&Value| item.pointer(field).and_then(scalar).as_deref() == Some(reference);
            items.iter().find(ours)
        });
        let mut subject = Subject {
            status,
            code: None,
            reason: None,
            readable: json.is_some(),
            empty: body.iter().all(u8::is_ascii_whitespace),
            absent: element == Some(None),
            json: element.unwrap_or(json),
        };
        subject.code = subject.first(&places.code);
        subject.reason = subject.first(&places.reason);
        let rule = self.rules.iter().find(|rule| rule.holds(&subject));
        let outcome = self.outcome(rule.map(|r| r.verdict), &subject, body.len(), currency);
        let echo = Echo {
            reference: subject.at(places.reference.as_ref()),
            msisdn: subject
                .at(places.msisdn.as_ref())
                .map(|t| t.chars().filter(char::is_ascii_digit).collect()),
            amount: subject.at(places.amount.as_ref()).map(|t| self.money(&t, currency)),
            currency: subject.at(places.currency.as_ref()),
            bill: subject.at(places.bill.as_ref()),
            quote: subject.at(places.quote.as_ref()),
            paid_by: bill::paid_by(subject.json, places.paid_by.as_deref()),
        };
        Reading { outcome, echo }
    }

    fn outcome(
        &self,
        verdict: Option<Verdict>,
        subject: &Subject<'_>,
        length: usize,
        currency: Currency,
    ) -> Outcome {
        let places = &self.places;
        let status = subject.status;
        let carrier_reference = subject.at(places.carrier_reference.as_ref());
        let unexpected = |detail: String| Outcome::Unknown { why: Unclear::Unexpected, detail };
        match verdict {
            Some(Verdict::Accepted) => Outcome::Accepted { carrier_reference },
            Some(Verdict::Delivered) => Outcome::Delivered {
                carrier_reference,
                cost: self.cost(subject, currency),
                voucher: self.voucher(subject),
            },
            Some(Verdict::Refused(class)) => {
                Outcome::Refused { class, code: subject.shown(), carrier_reference }
            }
            Some(Verdict::Reversed) => Outcome::Reversed { carrier_reference },
            Some(Verdict::NotFound) => Outcome::NotFound,
            Some(Verdict::Duplicate) => {
                unexpected(format!("status {status}: the carrier has seen this reference before"))
            }
            Some(Verdict::Unknown) => {
                unexpected(format!("status {status}, code {}: declared unknown", subject.shown()))
            }
            None if subject.absent => unexpected(format!("status {status}: not in the list")),
            None if !subject.readable && status < 500 => Outcome::Unknown {
                why: Unclear::Unreadable,
                detail: format!("status {status}, body cannot be read ({length} bytes)"),
            },
            None => unexpected(format!(
                "status {status}, code {}: no rule of the connector names it",
                subject.shown()
            )),
        }
    }

    fn cost(&self, subject: &Subject<'_>, currency: Currency) -> Option<Money> {
        let theirs = subject.at(self.places.cost_currency.as_ref());
        if theirs.is_some_and(|c| c != currency.code()) {
            return None;
        }
        self.money(&subject.at(self.places.cost.as_ref())?, currency).ok()
    }

    fn voucher(&self, subject: &Subject<'_>) -> Option<Voucher> {
        let code = subject.at(self.places.voucher_code.as_ref()).filter(|code| !code.is_empty())?;
        Some(Voucher {
            serial: subject.at(self.places.voucher_serial.as_ref()).filter(|s| !s.is_empty()),
            code: Secret::from(code.as_str()),
        })
    }

    fn money(&self, text: &str, currency: Currency) -> Result<Money, String> {
        let number = bare_number(text, currency, self.places.number).ok_or_else(|| text.to_owned())?;
        let decimal = Decimal::from_str_exact(&number).map_err(|_| text.to_owned())?;
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

/// `KES 1,234.56` as `1234.56`; nothing when the currency beside it is another.
fn bare_number(text: &str, currency: Currency, form: NumberForm) -> Option<String> {
    let is_letter = |c: char| c.is_ascii_alphabetic();
    let written: String = text.chars().filter(|c| is_letter(*c)).collect();
    if !written.is_empty() && written != currency.code() {
        return None;
    }
    let number = text.trim_matches(|c: char| is_letter(c) || c == ' ');
    Some(match form {
        NumberForm::Plain => number.to_owned(),
        NumberForm::Thousands => number.replace(',', ""),
        NumberForm::Comma => number.replace('.', "").replace(',', "."),
    })
}

impl Rule {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let needs_body = match self.verdict {
            Verdict::Accepted | Verdict::Delivered | Verdict::Reversed => !self.empty,
            Verdict::Refused(_) | Verdict::NotFound | Verdict::Duplicate | Verdict::Unknown => false,
        };
        Status::any(&self.statuses, subject.status)
            && self.absent == subject.absent
            && (subject.empty || !self.empty)
            && any(&self.codes, subject.code.as_deref())
            && any(&self.reasons, subject.reason.as_deref())
            && (subject.readable || !needs_body)
    }
}

/// Whether `code` is one of `wanted`; anything is when nothing is wanted.
pub(super) fn any(wanted: &[String], code: Option<&str>) -> bool {
    wanted.is_empty()
        || code.is_some_and(|code| {
            wanted.iter().any(|w| match w.strip_suffix('*') {
                Some(start) => code.starts_with(start),
                None => w == code,
            })
        })
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
            reasons: Vec::new(),
            absent: false,
            empty: false,
            verdict,
        };
        Table {
            places: Places {
                code: vec!["/status".to_owned()],
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
        assert_eq!(
            delivered,
            Outcome::Delivered { carrier_reference: Some("c1".to_owned()), cost: None, voucher: None }
        );
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

    #[test]
    fn in_a_list_only_the_element_of_our_reference_counts() {
        let mut table = table();
        table.places.listed = Some(Listed { at: "/content".to_owned(), field: "/ref".to_owned() });
        let absent = Rule {
            statuses: vec![Status::Exactly(200)],
            codes: Vec::new(),
            reasons: Vec::new(),
            absent: true,
            empty: false,
            verdict: Verdict::NotFound,
        };
        let cny = Currency::new("CNY").unwrap();
        let read = |table: &Table, body: &str| table.read_for(200, body.as_bytes(), cny, "r2").outcome;
        let both = r#"{"content":[{"ref":"r1","status":"OK","id":"a"},{"ref":"r2","status":"OK","id":"b"}]}"#;
        assert_eq!(read(&table, both).carrier_reference(), Some("b"));
        let other = r#"{"content":[{"ref":"r1","status":"OK"}]}"#;
        assert!(matches!(read(&table, other), Outcome::Unknown { .. }), "no rule says what absence means");
        table.rules.push(absent);
        assert_eq!(read(&table, other), Outcome::NotFound);
        assert_eq!(read(&table, r#"{"content":[]}"#), Outcome::NotFound);
        assert!(matches!(read(&table, r#"{"content":7,"status":"OK"}"#), Outcome::Delivered { .. }));
        assert!(matches!(read(&table, r#"{"content":"#), Outcome::Unknown { .. }));
    }

    #[test]
    fn reasons_prefixes_and_empty_bodies() {
        let mut table = table();
        table.places.reason = vec!["/reason/code".to_owned(), "/reason".to_owned()];
        let rule = |codes: &[&str], reasons: &[&str], empty, verdict| Rule {
            statuses: vec![Status::Exactly(202)],
            codes: codes.iter().map(|c| (*c).to_owned()).collect(),
            reasons: reasons.iter().map(|c| (*c).to_owned()).collect(),
            absent: false,
            empty,
            verdict,
        };
        table.rules = vec![
            rule(&["FAILED"], &["PAYEE_*"], false, Verdict::Refused(RefusalClass::BadNumber)),
            rule(&["FAILED"], &[], false, Verdict::Refused(RefusalClass::Other)),
            rule(&[], &[], true, Verdict::Accepted),
        ];
        let cny = Currency::new("CNY").unwrap();
        let read = |body: &str| table.read(202, body.as_bytes(), cny).outcome;
        let class = |outcome: &Outcome| match outcome {
            Outcome::Refused { class, code, .. } => Some((*class, code.clone())),
            _ => None,
        };
        let nested = read(r#"{"status":"FAILED","reason":{"code":"PAYEE_NOT_FOUND"}}"#);
        assert_eq!(class(&nested), Some((RefusalClass::BadNumber, "PAYEE_NOT_FOUND".to_owned())));
        let plain = read(r#"{"status":"FAILED","reason":"EXPIRED"}"#);
        assert_eq!(class(&plain), Some((RefusalClass::Other, "EXPIRED".to_owned())));
        assert_eq!(read(" "), Outcome::Accepted { carrier_reference: None });
        assert!(matches!(read("{}"), Outcome::Unknown { why: Unclear::Unexpected, .. }));
        assert!(matches!(read("<"), Outcome::Unknown { why: Unclear::Unreadable, .. }));
    }

    #[test]
    fn a_voucher_is_read_and_does_not_print() {
        let mut table = table();
        table.places.voucher_code = Some("/pin/code".to_owned());
        table.places.voucher_serial = Some("/pin/serial".to_owned());
        table.places.cost_currency = Some("/paid_in".to_owned());
        let cny = Currency::new("CNY").unwrap();
        let body =
            r#"{"status":"OK","cost":"4.75","paid_in":"CNY","pin":{"serial":558111,"code":"7737-0973"}}"#;
        let outcome = table.read(200, body.as_bytes(), cny).outcome;
        assert!(!format!("{outcome:?}").contains("7737"), "{outcome:?}");
        let Outcome::Delivered { cost, voucher: Some(voucher), .. } = outcome else { panic!() };
        assert_eq!(voucher.serial.as_deref(), Some("558111"));
        assert_eq!(voucher.code, Secret::from("7737-0973"));
        assert_eq!(cost, Some(Money::new(475, cny)));
        let dollars = body.replace("CNY", "USD");
        let outcome = table.read(200, dollars.as_bytes(), cny).outcome;
        assert!(matches!(outcome, Outcome::Delivered { cost: None, .. }), "dollars are not yuan");
    }

    #[test]
    fn numbers_are_read_as_their_form_says() {
        let kes = Currency::new("KES").unwrap();
        for (form, text, wanted) in [
            (NumberForm::Plain, "KES 100.0000", Some(10_000)),
            (NumberForm::Plain, "100 KES", Some(10_000)),
            (NumberForm::Plain, "UGX 100", None),
            (NumberForm::Plain, "1,234.50", None),
            (NumberForm::Thousands, "KES 1,234.50", Some(123_450)),
            (NumberForm::Comma, "1.234,50", Some(123_450)),
            (NumberForm::Comma, "1234,5", Some(123_450)),
            (NumberForm::Plain, "KES", None),
            (NumberForm::Plain, "1e3", None),
        ] {
            let mut table = table();
            table.places.number = form;
            let body = serde_json::json!({ "amount": text }).to_string();
            let read = table.read(200, body.as_bytes(), kes).echo.amount.unwrap();
            assert_eq!(read.ok().map(|m| m.minor), wanted, "{text}");
        }
    }
}
