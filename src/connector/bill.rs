//! What a biller can be asked and what it can answer: inquiries, quotes, and who paid a bill. Pure.
//!
//! An inquiry's answer is shown to nobody unless the registered biller has signed it and it speaks of the bill, the
//! currency and the question that were ours. A payment answered "already paid" or "expired" is settled by what the biller
//! says of whose payment it was, and by nothing else (DESIGN 6.4 point 5).

use rust_decimal::Decimal;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::connector::contract::{Outcome, RefusalClass, Unclear};
use crate::connector::definition::{CallbackSignature, Request};
use crate::connector::map::Status;
use crate::money::{Currency, Money};

/// The longest quote id that is taken from a biller, in bytes.
pub const QUOTE_BYTES_MAX: usize = 64;
/// The most that is taken of a name or an address, in characters.
pub const SHOWN_MAX: usize = 80;
/// A quote is kept at most this long, in microseconds, whatever the biller says: a day.
pub const QUOTE_AGE_MAX: i64 = 24 * 3_600_000_000;

/// The part of an order that names a bill.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BillOrder {
    /// The number printed on the bill.
    pub number: String,
    /// The biller's quote id, echoed; empty in an inquiry.
    pub quote: String,
}

/// Under whose reference the biller says that a bill was paid.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PaidBy {
    /// It does not say.
    #[default]
    Silent,
    /// It says: by nobody.
    Nobody,
    /// By the payment with this reference.
    Reference(String),
}

/// What "already paid" and "expired" mean for our own payment; any other outcome stays as it is.
///
/// Ours: it was delivered. Another's, or for an expired bill nobody's: refused. Silence moves no money and waits for a
/// person.
#[must_use]
pub fn settle(outcome: Outcome, paid_by: &PaidBy, reference: &str) -> Outcome {
    let Outcome::Refused { class, code, carrier_reference } = outcome else { return outcome };
    let nobody_is_an_answer = match class {
        RefusalClass::AlreadyPaid => false,
        RefusalClass::BillExpired => true,
        _ => return Outcome::Refused { class, code, carrier_reference },
    };
    match paid_by {
        PaidBy::Reference(by) if by == reference => {
            Outcome::Delivered { carrier_reference, cost: None, voucher: None }
        }
        PaidBy::Reference(_) => Outcome::Refused { class, code, carrier_reference },
        PaidBy::Nobody if nobody_is_an_answer => Outcome::Refused { class, code, carrier_reference },
        PaidBy::Nobody | PaidBy::Silent => Outcome::Unknown {
            why: Unclear::WhoPaid,
            detail: format!("{} ({code}), and the biller does not say by whom it was paid", class.name()),
        },
    }
}

/// How a biller is asked for a bill.
#[derive(Clone, Debug)]
pub struct Inquire {
    /// The request. Its table is empty: an inquiry has its own.
    pub request: Request,
    /// How answers are signed; an answer without it is not shown.
    pub signature: CallbackSignature,
    /// Where things stand in the answer.
    pub places: BillPlaces,
    /// Rows in order; the first that holds decides.
    pub rules: Vec<BillRule>,
}

/// Where things stand in the answer to an inquiry, as JSON pointers.
#[derive(Clone, Debug, Default)]
pub struct BillPlaces {
    /// The code that rules compare.
    pub code: Option<String>,
    /// Our reference of the question.
    pub reference: Option<String>,
    /// The bill's number.
    pub number: Option<String>,
    /// The quote's id.
    pub quote: Option<String>,
    /// Until when the quote holds: seconds since 1970.
    pub expires: Option<String>,
    /// Whose bill it is, masked by the biller.
    pub name: Option<String>,
    /// Where, masked by the biller.
    pub address: Option<String>,
    /// When it is due, `2026-12-31`.
    pub due: Option<String>,
    /// What is due.
    pub amount: Option<String>,
    /// The least that may be paid.
    pub least: Option<String>,
    /// The most that may be paid.
    pub most: Option<String>,
    /// What paying costs the customer beside the amount.
    pub fee: Option<String>,
    /// The currency.
    pub currency: Option<String>,
    /// Whether amounts are in minor units.
    pub minor: bool,
}

/// What an answer to an inquiry says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BillVerdict {
    /// The bill is there and may be paid.
    Found,
    /// No such bill.
    NotFound,
    /// It is paid.
    AlreadyPaid,
    /// It cannot be paid any more.
    Expired,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct BillRule {
    /// Any of these; empty for any status below 500.
    pub statuses: Vec<Status>,
    /// Any of these codes; empty for any.
    pub codes: Vec<String>,
    /// The meaning.
    pub verdict: BillVerdict,
}

/// A bill that may be paid, as its biller answers for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quoted {
    /// The biller's id of this answer, to be echoed with the payment.
    pub quote: String,
    /// Until when it holds.
    pub expires: Timestamp,
    /// What is due.
    pub amount: Money,
    /// The least that may be paid, if the biller said.
    pub least: Option<Money>,
    /// The most that may be paid, if the biller said.
    pub most: Option<Money>,
    /// What paying costs beside the amount, if the biller said.
    pub fee: Option<Money>,
    /// Whose bill it is, masked.
    pub name: String,
    /// Where, masked.
    pub address: String,
    /// When it is due, days since 1970-01-01.
    pub due: Option<i64>,
}

/// What became of an inquiry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inquired {
    /// The bill.
    Found(Box<Quoted>),
    /// No such bill.
    NotFound,
    /// It is paid.
    AlreadyPaid,
    /// It cannot be paid any more.
    Expired,
    /// There is no answer that may be shown.
    Down {
        /// Why, without secrets.
        detail: String,
        /// The answer was forged, replayed, or of another bill: staff must look.
        alarm: bool,
    },
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Our reference.
    pub reference: &'a str,
    /// The bill's number.
    pub number: &'a str,
    /// The currency.
    pub currency: Currency,
    /// When.
    pub now: Timestamp,
}

impl Inquire {
    /// Reads an answer whose signature held.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8], asked: &Asked<'_>) -> Inquired {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let code = json.as_ref().and_then(|json| scalar(json, self.places.code.as_deref()));
        let rule = self.rules.iter().find(|rule| rule.holds(status, code.as_deref()));
        let (Some(rule), Some(json)) = (rule, json) else {
            return down(format!("status {status}: no rule of the connector names it"), false);
        };
        if let Some(detail) = self.foreign(&json, asked) {
            return down(detail, true);
        }
        match rule.verdict {
            BillVerdict::Found => self.quoted(&json, asked).unwrap_or_else(|detail| down(detail, false)),
            BillVerdict::NotFound => Inquired::NotFound,
            BillVerdict::AlreadyPaid => Inquired::AlreadyPaid,
            BillVerdict::Expired => Inquired::Expired,
        }
    }

    /// What in the answer is not of our question; `None` when all is.
    fn foreign(&self, json: &Value, asked: &Asked<'_>) -> Option<String> {
        let same = |place: &Option<String>, ours: &str| {
            scalar(json, place.as_deref()).is_none_or(|theirs| theirs == ours)
        };
        if !same(&self.places.reference, asked.reference) {
            return Some("the answer is to another question".to_owned());
        }
        if !same(&self.places.number, asked.number) {
            return Some("the answer is of another bill".to_owned());
        }
        if !same(&self.places.currency, asked.currency.code()) {
            return Some("the answer is in another currency".to_owned());
        }
        None
    }

    fn quoted(&self, json: &Value, asked: &Asked<'_>) -> Result<Inquired, String> {
        let places = &self.places;
        let text = |place: &Option<String>| scalar(json, place.as_deref());
        // Of a bill that is shown, number and currency are not only right where they stand: they must stand there.
        for (place, what) in [(&places.number, "its number"), (&places.currency, "its currency")] {
            if text(place).is_none() {
                return Err(format!("the answer does not tell {what}"));
            }
        }
        let quote = text(&places.quote).filter(|q| !q.is_empty()).ok_or("the answer has no quote")?;
        if quote.len() > QUOTE_BYTES_MAX {
            return Err("the quote's id is too long".to_owned());
        }
        let expires = text(&places.expires).and_then(|t| t.parse::<i64>().ok());
        let expires = expires.ok_or("the quote does not say until when it holds")?.saturating_mul(1_000_000);
        if expires <= asked.now.0 {
            return Err("the quote has expired already".to_owned());
        }
        let money = |place: &Option<String>| {
            text(place).map(|t| read_money(&t, asked.currency, places.minor)).transpose()
        };
        let amount = money(&places.amount)?.ok_or("the answer has no amount")?;
        let (least, most, fee) = (money(&places.least)?, money(&places.most)?, money(&places.fee)?);
        let negative = |m: &Option<Money>| m.is_some_and(|m| m.minor < 0);
        if amount.minor <= 0 || negative(&least) || negative(&most) || negative(&fee) {
            return Err("the answer has an amount that cannot be".to_owned());
        }
        if let (Some(least), Some(most)) = (least, most)
            && least.minor > most.minor
        {
            return Err("the least that may be paid is above the most".to_owned());
        }
        let due = match text(&places.due) {
            Some(day) => Some(read_day(&day).ok_or("the day on which it is due cannot be read")?),
            None => None,
        };
        let shown = |place| text(place).unwrap_or_default().chars().take(SHOWN_MAX).collect();
        Ok(Inquired::Found(Box::new(Quoted {
            quote,
            expires: Timestamp(expires.min(asked.now.0.saturating_add(QUOTE_AGE_MAX))),
            amount,
            least,
            most,
            fee,
            name: shown(&places.name),
            address: shown(&places.address),
            due,
        })))
    }
}

impl BillRule {
    fn holds(&self, status: u16, code: Option<&str>) -> bool {
        let status_holds = if self.statuses.is_empty() {
            status < 500
        } else {
            self.statuses.iter().any(|s| s.holds(status))
        };
        status_holds && (self.codes.is_empty() || code.is_some_and(|c| self.codes.iter().any(|x| x == c)))
    }
}

fn down(detail: String, alarm: bool) -> Inquired {
    Inquired::Down { detail, alarm }
}

/// A text or a number as a text without control characters.
pub(super) fn scalar(json: &Value, place: Option<&str>) -> Option<String> {
    let text = match json.pointer(place?)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text.chars().filter(|c| !c.is_control()).collect())
}

/// Who paid, as a place in the answer tells it: absent is silence, null and the empty text are nobody.
#[must_use]
pub fn paid_by(json: Option<&Value>, place: Option<&str>) -> PaidBy {
    let Some(found) = place.and_then(|place| json?.pointer(place)) else { return PaidBy::Silent };
    match found {
        Value::Null => PaidBy::Nobody,
        Value::String(text) if text.is_empty() => PaidBy::Nobody,
        Value::String(text) => PaidBy::Reference(text.clone()),
        Value::Number(number) => PaidBy::Reference(number.to_string()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => PaidBy::Silent,
    }
}

pub(super) fn read_money(text: &str, currency: Currency, minor: bool) -> Result<Money, String> {
    let wrong = || format!("an amount of the answer cannot be read: {text}");
    let decimal = Decimal::from_str_exact(text).map_err(|_| wrong())?;
    let decimal = if minor {
        decimal.checked_mul(Decimal::new(1, u32::from(currency.exponent()))).ok_or_else(wrong)?
    } else {
        decimal
    };
    Money::from_decimal(decimal, currency).map_err(|_| wrong())
}

/// `2026-12-31` as days since 1970-01-01.
fn read_day(text: &str) -> Option<i64> {
    let day: jiff::civil::Date = text.parse().ok()?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_second().div_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::key::Encoding;
    use crate::connector::template::{Place, Template};
    use std::time::Duration;

    const GOOD: &str = r#"{"status":"OPEN","ref":"r1","number":"204818","quote":"q1","expires":1700000600,
        "name":"W** L**","address":"12 R**","due":"2026-12-31","amount":"80.00","least":"10","most":"80.00",
        "fee":"0.50","currency":"CNY"}"#;
    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn inquire() -> Inquire {
        let at = |name: &str| Some(format!("/{name}"));
        let rule = |statuses: &[&str], codes: &[&str], verdict| BillRule {
            statuses: statuses.iter().map(|s| Status::parse(s).unwrap()).collect(),
            codes: codes.iter().map(|c| (*c).to_owned()).collect(),
            verdict,
        };
        Inquire {
            request: Request {
                method: "POST",
                path: Template::parse("/i", Place::Path).unwrap(),
                headers: Vec::new(),
                body: None,
                table: crate::connector::map::Table::default(),
            },
            signature: CallbackSignature {
                over: Template::parse("{timestamp}.{body}", Place::Signed).unwrap(),
                key: "k".to_owned(),
                encoding: Encoding::Hex,
                header: "x-signature".to_owned(),
                timestamp_header: "x-timestamp".to_owned(),
                tolerance: Duration::from_secs(300),
            },
            places: BillPlaces {
                code: at("status"),
                reference: at("ref"),
                number: at("number"),
                quote: at("quote"),
                expires: at("expires"),
                name: at("name"),
                address: at("address"),
                due: at("due"),
                amount: at("amount"),
                least: at("least"),
                most: at("most"),
                fee: at("fee"),
                currency: at("currency"),
                minor: false,
            },
            rules: vec![
                rule(&["200"], &["OPEN"], BillVerdict::Found),
                rule(&["404"], &["NONE"], BillVerdict::NotFound),
                rule(&[], &["PAID"], BillVerdict::AlreadyPaid),
                rule(&[], &["EXPIRED"], BillVerdict::Expired),
            ],
        }
    }

    fn read(status: u16, body: &str) -> Inquired {
        let currency = Currency::new("CNY").unwrap();
        let asked = Asked { reference: "r1", number: "204818", currency, now: NOW };
        inquire().read(status, body.as_bytes(), &asked)
    }

    #[test]
    fn a_good_answer_is_a_quote() {
        let Inquired::Found(bill) = read(200, GOOD) else { panic!("{:?}", read(200, GOOD)) };
        let cny = |minor| Money::new(minor, Currency::new("CNY").unwrap());
        assert_eq!((bill.quote.as_str(), bill.expires), ("q1", Timestamp(1_700_000_600_000_000)));
        assert_eq!((bill.amount, bill.least, bill.most), (cny(8_000), Some(cny(1_000)), Some(cny(8_000))));
        assert_eq!((bill.fee, bill.due), (Some(cny(50)), Some(20_818)));
        assert_eq!((bill.name.as_str(), bill.address.as_str()), ("W** L**", "12 R**"));
    }

    #[test]
    fn what_is_not_of_our_bill_is_never_shown() {
        for (from, to, alarm) in [
            ("\"204818\"", "\"204819\"", true),
            ("\"CNY\"", "\"USD\"", true),
            ("\"r1\"", "\"r2\"", true),
            ("\"number\"", "\"n\"", false),
            ("\"currency\"", "\"c\"", false),
            ("\"q1\"", "\"\"", false),
            ("1700000600", "1700000000", false),
            ("1700000600", "\"soon\"", false),
            ("\"80.00\",\"least\"", "\"0\",\"least\"", false),
            ("\"80.00\",\"least\"", "\"80.001\",\"least\"", false),
            ("\"10\"", "\"90\"", false),
            ("\"0.50\"", "\"-0.50\"", false),
            ("2026-12-31", "2026-13-31", false),
        ] {
            let body = GOOD.replacen(from, to, 1);
            assert_ne!(body, GOOD, "{from}");
            let read = read(200, &body);
            assert!(matches!(&read, Inquired::Down { alarm: a, .. } if *a == alarm), "{from} {to}: {read:?}");
        }
        assert!(matches!(read(500, GOOD), Inquired::Down { .. }));
        assert!(matches!(read(200, "<html>"), Inquired::Down { .. }));
        assert!(matches!(read(200, r#"{"status":"WHAT"}"#), Inquired::Down { .. }));
    }

    #[test]
    fn the_other_answers() {
        assert_eq!(read(404, r#"{"status":"NONE"}"#), Inquired::NotFound);
        assert_eq!(read(200, r#"{"status":"PAID","number":"204818"}"#), Inquired::AlreadyPaid);
        assert_eq!(read(410, r#"{"status":"EXPIRED"}"#), Inquired::Expired);
        let other = read(200, r#"{"status":"PAID","number":"1"}"#);
        assert!(matches!(other, Inquired::Down { alarm: true, .. }), "{other:?}");
    }

    #[test]
    fn a_quote_is_kept_a_day_at_most_and_words_are_short() {
        let long = GOOD.replace("1700000600", "9000000000").replace("W** L**", &"x".repeat(500));
        let Inquired::Found(bill) = read(200, &long) else { panic!() };
        assert_eq!(bill.expires.0, NOW.0 + QUOTE_AGE_MAX);
        assert_eq!(bill.name.len(), SHOWN_MAX);
        let long = GOOD.replace("\"q1\"", &format!("\"{}\"", "q".repeat(QUOTE_BYTES_MAX + 1)));
        assert!(matches!(read(200, &long), Inquired::Down { .. }));
    }

    #[test]
    fn whose_payment_it_was_decides() {
        let refused = |class| Outcome::Refused { class, code: "C".to_owned(), carrier_reference: None };
        let ours = PaidBy::Reference("r".to_owned());
        let other = PaidBy::Reference("x".to_owned());
        let to = |class, by: &PaidBy| settle(refused(class), by, "r").name();
        let (paid, expired) = (RefusalClass::AlreadyPaid, RefusalClass::BillExpired);
        for (class, by, outcome) in [
            (paid, &ours, "delivered"),
            (paid, &other, "refused"),
            (paid, &PaidBy::Nobody, "unknown"),
            (paid, &PaidBy::Silent, "unknown"),
            (expired, &ours, "delivered"),
            (expired, &other, "refused"),
            (expired, &PaidBy::Nobody, "refused"),
            (expired, &PaidBy::Silent, "unknown"),
            (RefusalClass::Other, &PaidBy::Silent, "refused"),
        ] {
            assert_eq!(to(class, by), outcome, "{class:?} {by:?}");
        }
        let accepted = Outcome::Accepted { carrier_reference: None };
        assert_eq!(settle(accepted.clone(), &ours, "r"), accepted);
    }

    #[test]
    fn null_is_nobody_and_absence_is_silence() {
        let json: Value = serde_json::from_str(r#"{"a":null,"b":"","c":"x","d":7,"e":[]}"#).unwrap();
        let at = |place| paid_by(Some(&json), Some(place));
        assert_eq!((at("/a"), at("/b")), (PaidBy::Nobody, PaidBy::Nobody));
        assert_eq!(at("/c"), PaidBy::Reference("x".to_owned()));
        assert_eq!(at("/d"), PaidBy::Reference("7".to_owned()));
        assert_eq!((at("/e"), at("/f")), (PaidBy::Silent, PaidBy::Silent));
        assert_eq!((paid_by(Some(&json), None), paid_by(None, Some("/a"))), (PaidBy::Silent, PaidBy::Silent));
    }
}
