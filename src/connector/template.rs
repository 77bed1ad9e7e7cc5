//! Texts with slots: paths, headers and bodies of requests as a connector's file writes them.
//!
//! A body is parsed as JSON before its slots are filled, so a value can never break out of its quotes. A slot
//! that does not exist is a fault of the file, found when it is read, never at a payment.

use std::fmt::Write as _;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::connector::bill::BillOrder;
use crate::connector::contract::Order;
use crate::connector::form;
use crate::connector::key::Keys;
use crate::msisdn::Msisdn;

/// What a slot stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Slot {
    /// Our reference.
    Reference,
    /// The number with `+`.
    Msisdn,
    /// The number without `+`.
    MsisdnDigits,
    /// The number without its country code.
    MsisdnNational,
    /// The bill's number.
    BillNumber,
    /// The biller's quote id.
    Quote,
    /// What an outside account provider calls the customer's account.
    ExternalId,
    /// `50.00`.
    Amount,
    /// `5000`.
    AmountMinor,
    /// `CNY`.
    Currency,
    /// Seconds since 1970.
    Timestamp,
    /// RFC 3339.
    TimestampIso,
    /// The carrier's reference, in requests that can only be made with it.
    CarrierReference,
    /// What the carrier calls the product of this amount.
    Product,
    /// The deduction's id.
    Deduction,
    /// The deduction's state.
    State,
    /// The body of the request, in strings to be signed.
    Body,
    /// `POST`, in strings to be signed.
    Method,
    /// The path of the request, in strings to be signed.
    Path,
    /// The signature, in the header that carries it.
    Signature,
    /// A credential by its name.
    Secret(String),
}

/// Where a template is used; decides which slots it may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The path of a request.
    Path,
    /// A header's value.
    Header,
    /// A body.
    Body,
    /// The string that is signed.
    Signed,
    /// The value of the header that carries the signature.
    Signature,
}

impl Slot {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "reference" => Self::Reference,
            "msisdn" => Self::Msisdn,
            "msisdn_digits" => Self::MsisdnDigits,
            "msisdn_national" => Self::MsisdnNational,
            "bill_number" => Self::BillNumber,
            "quote" => Self::Quote,
            "external_id" => Self::ExternalId,
            "amount" => Self::Amount,
            "amount_minor" => Self::AmountMinor,
            "currency" => Self::Currency,
            "timestamp" => Self::Timestamp,
            "timestamp_iso" => Self::TimestampIso,
            "carrier_reference" => Self::CarrierReference,
            "product" => Self::Product,
            "deduction" => Self::Deduction,
            "state" => Self::State,
            "body" => Self::Body,
            "method" => Self::Method,
            "path" => Self::Path,
            "signature" => Self::Signature,
            other => Self::Secret(other.strip_prefix("secret:").filter(|n| !n.is_empty())?.to_owned()),
        })
    }

    const fn fits(&self, place: Place) -> bool {
        match self {
            Self::Body | Self::Method | Self::Path => matches!(place, Place::Signed),
            Self::Signature => matches!(place, Place::Signature),
            // A credential in a path would be logged by every machine on the way.
            Self::Secret(_) => !matches!(place, Place::Path),
            _ => true,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// A text with slots, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(Vec<Part>);

/// What fills the slots of one request.
#[derive(Debug)]
pub struct Values<'a> {
    /// The recharge; `None` in callbacks, where there is nothing to tell.
    pub order: Option<&'a Order>,
    /// When the request is made.
    pub now: Timestamp,
    /// Country code without `+`.
    pub country: &'a str,
    /// Credentials.
    pub keys: &'a Keys,
    /// What the carrier calls the product.
    pub product: &'a str,
    /// The body, once rendered.
    pub body: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, once rendered.
    pub path: &'a str,
    /// The timestamp as the peer wrote it, when its string is checked rather than ours made.
    pub timestamp: Option<&'a str>,
    /// The signature, once made.
    pub signature: &'a str,
}

impl Template {
    /// Reads a text with slots in braces; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// In words: an unknown slot, one that does not fit the place, or an open brace.
    pub fn parse(text: &str, place: Place) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = after.strip_prefix("{{").or_else(|| after.strip_prefix("}}")) {
                plain.push_str(if rest.get(at..).is_some_and(|r| r.starts_with('{')) { "{" } else { "}" });
                rest = after;
                continue;
            }
            let Some((name, after)) = after.strip_prefix('{').and_then(|r| r.split_once('}')) else {
                return Err(format!("expected a slot such as {{reference}} in \"{text}\""));
            };
            let slot = Slot::parse(name).ok_or_else(|| format!("{{{name}}} is not a slot"))?;
            if !slot.fits(place) {
                return Err(format!("{{{name}}} has no meaning here"));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Slot(slot));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The credentials that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Slot(Slot::Secret(name)) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether a slot is in it.
    #[must_use]
    pub fn holds(&self, slot: &Slot) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Slot(s) if s == slot))
    }

    /// The text with its slots filled as they are.
    #[must_use]
    pub fn render(&self, values: &Values<'_>) -> String {
        self.fill(values, |text, value| text.push_str(value))
    }

    /// The text with its slots percent-encoded, for a path (RFC 3986 §2.3).
    #[must_use]
    pub fn render_path(&self, values: &Values<'_>) -> String {
        self.fill(values, |text, value| {
            for byte in value.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        })
    }

    fn fill(&self, values: &Values<'_>, put: impl Fn(&mut String, &str)) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Slot(slot) => put(&mut text, &slot_text(slot, values)),
            }
        }
        text
    }
}

fn slot_text(slot: &Slot, values: &Values<'_>) -> String {
    let of_order = |read: fn(&Order) -> String| values.order.map(read).unwrap_or_default();
    let of_bill = |read: fn(&BillOrder) -> String| {
        values.order.and_then(|o| o.bill.as_ref()).map(read).unwrap_or_default()
    };
    let of_phone = |read: &dyn Fn(&Msisdn) -> String| {
        values.order.and_then(|o| o.msisdn.as_ref()).map(read).unwrap_or_default()
    };
    match slot {
        Slot::Reference => of_order(|o| o.reference.clone()),
        Slot::Msisdn => of_phone(&|m| m.as_str().to_owned()),
        Slot::MsisdnDigits => of_phone(&|m| m.digits().to_owned()),
        Slot::MsisdnNational => of_phone(&|m| m.national(values.country).to_owned()),
        Slot::BillNumber => of_bill(|b| b.number.clone()),
        Slot::Quote => of_bill(|b| b.quote.clone()),
        Slot::ExternalId => of_order(|o| o.external_id.clone().unwrap_or_default()),
        Slot::Amount => of_order(|o| o.amount.amount_text()),
        Slot::AmountMinor => of_order(|o| o.amount.minor.to_string()),
        Slot::Currency => of_order(|o| o.amount.currency.code().to_owned()),
        Slot::Timestamp => match values.timestamp {
            Some(theirs) => theirs.to_owned(),
            None => values.now.0.div_euclid(1_000_000).to_string(),
        },
        Slot::TimestampIso => values.now.to_rfc3339(),
        Slot::CarrierReference => of_order(|o| o.carrier_reference.clone().unwrap_or_default()),
        Slot::Product => values.product.to_owned(),
        Slot::Deduction => of_order(|o| o.deduction.clone()),
        Slot::State => of_order(|o| o.state.to_owned()),
        Slot::Body => values.body.to_owned(),
        Slot::Method => values.method.to_owned(),
        Slot::Path => values.path.to_owned(),
        Slot::Signature => values.signature.to_owned(),
        Slot::Secret(name) => values.keys.get(name).map(|k| k.text().to_owned()).unwrap_or_default(),
    }
}

/// A JSON body with slots in its strings. A string that is one slot followed by `:number` becomes a JSON
/// number.
#[derive(Clone, Debug)]
pub struct JsonTemplate(Node);

/// What a request carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// A JSON document.
    Json(JsonTemplate),
    /// Form fields.
    Form(Vec<(String, Template)>),
}

impl Body {
    /// Its media type.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Form(_) => "application/x-www-form-urlencoded",
        }
    }

    /// Every text template in it.
    #[must_use]
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Json(json) => json.templates(),
            Self::Form(fields) => fields.iter().map(|(_, template)| template).collect(),
        }
    }

    /// The body with its slots filled.
    #[must_use]
    pub fn render(&self, values: &Values<'_>) -> String {
        match self {
            Self::Json(json) => json.render(values),
            Self::Form(fields) => {
                let filled: Vec<(String, String)> =
                    fields.iter().map(|(name, template)| (name.clone(), template.render(values))).collect();
                form::write(&filled)
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Node {
    Plain(Value),
    Text(Template),
    Number(Template),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl JsonTemplate {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault, in words.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let value: Value =
            serde_json::from_str(text).map_err(|e| vec![format!("expected a JSON body: {e}")])?;
        let mut faults = Vec::new();
        let node = Node::build(value, &mut faults);
        if faults.is_empty() { Ok(Self(node)) } else { Err(faults) }
    }

    /// Every text template in it.
    #[must_use]
    pub fn templates(&self) -> Vec<&Template> {
        let mut found = Vec::new();
        self.0.collect(&mut found);
        found
    }

    /// The body with its slots filled, as compact JSON.
    #[must_use]
    pub fn render(&self, values: &Values<'_>) -> String {
        self.0.fill(values).to_string()
    }
}

impl Node {
    fn build(value: Value, faults: &mut Vec<String>) -> Self {
        match value {
            Value::String(text) => {
                let (text, number) = match text.strip_suffix(":number}") {
                    Some(head) => (format!("{head}}}"), true),
                    None => (text, false),
                };
                match Template::parse(&text, Place::Body) {
                    Ok(template) if number => Self::Number(template),
                    Ok(template) => Self::Text(template),
                    Err(fault) => {
                        faults.push(fault);
                        Self::Plain(Value::Null)
                    }
                }
            }
            Value::Array(items) => Self::List(items.into_iter().map(|v| Self::build(v, faults)).collect()),
            Value::Object(map) => {
                Self::Object(map.into_iter().map(|(k, v)| (k, Self::build(v, faults))).collect())
            }
            plain => Self::Plain(plain),
        }
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Plain(_) => {}
            Self::Text(template) | Self::Number(template) => found.push(template),
            Self::List(items) => items.iter().for_each(|n| n.collect(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, n)| n.collect(found)),
        }
    }

    fn fill(&self, values: &Values<'_>) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(template.render(values)),
            Self::Number(template) => {
                let text = template.render(values);
                // The text is a number that we wrote ourselves; should it not be one, it stays a text and the
                // carrier refuses it.
                serde_json::from_str::<serde_json::Number>(&text).map_or(Value::String(text), Value::Number)
            }
            Self::List(items) => Value::Array(items.iter().map(|n| n.fill(values)).collect()),
            Self::Object(fields) => {
                Value::Object(fields.iter().map(|(k, n)| (k.clone(), n.fill(values))).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::contract::DEDUCTION_RESERVED;
    use crate::connector::key::Key;
    use crate::money::{Currency, Money};

    fn with_values<T>(reference: &str, test: impl FnOnce(&Values<'_>) -> T) -> T {
        let order = Order {
            reference: reference.to_owned(),
            msisdn: Some(Msisdn::parse("+8613800000001").unwrap()),
            bill: None,
            external_id: None,
            amount: Money::new(5050, Currency::new("CNY").unwrap()),
            deduction: "hold-1".to_owned(),
            state: DEDUCTION_RESERVED,
            at: Timestamp(0),
            carrier_reference: None,
        };
        let keys = Keys::from([("api".to_owned(), Key::new(b"k3y".to_vec()))]);
        test(&Values {
            order: Some(&order),
            now: Timestamp(1_700_000_000_000_000),
            country: "86",
            keys: &keys,
            product: "",
            body: "{}",
            method: "POST",
            path: "/x",
            timestamp: None,
            signature: "abc",
        })
    }

    #[test]
    fn fills_slots() {
        let template =
            Template::parse("{{{reference}}} {msisdn_national} {secret:api}", Place::Header).unwrap();
        assert_eq!(with_values("r1", |v| template.render(v)), "{r1} 13800000001 k3y");
        let path = Template::parse("/v1/{reference}", Place::Path).unwrap();
        assert_eq!(with_values("a/../b ?", |v| path.render_path(v)), "/v1/a%2F..%2Fb%20%3F");
        let signed = Template::parse("{timestamp}.{method}.{path}.{body}", Place::Signed).unwrap();
        assert_eq!(with_values("r", |v| signed.render(v)), "1700000000.POST./x.{}");
    }

    #[test]
    fn a_value_cannot_break_out_of_its_quotes() {
        let body = JsonTemplate::parse(
            r#"{"r":"x{reference}","n":"{amount:number}","m":["{amount_minor:number}"]}"#,
        )
        .unwrap();
        let text = with_values("\",\"evil\":\"1\\", |v| body.render(v));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["r"], "x\",\"evil\":\"1\\");
        assert_eq!(value.as_object().unwrap().len(), 3);
        assert_eq!(value["n"].as_f64(), Some(50.5));
        assert_eq!(value["m"][0].as_i64(), Some(5050));
    }

    #[test]
    fn refuses_unknown_and_misplaced_slots() {
        assert!(Template::parse("{referense}", Place::Body).unwrap_err().contains("referense"));
        assert!(Template::parse("{", Place::Body).is_err());
        assert!(Template::parse("a}b", Place::Body).is_err());
        assert!(Template::parse("{body}", Place::Body).is_err());
        assert!(Template::parse("{secret:api}", Place::Path).is_err());
        assert!(Template::parse("{secret:}", Place::Header).is_err());
        assert_eq!(JsonTemplate::parse(r#"{"a":"{x}","b":"{y}"}"#).unwrap_err().len(), 2);
        assert!(JsonTemplate::parse("{").is_err());
    }
}
