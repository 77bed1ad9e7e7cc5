//! What a carrier can be asked and what it can answer, whatever its wire format.
//!
//! The compiler makes every caller of a connector handle [`Outcome::Unknown`]: that is the point of this
//! file. Nothing here touches a socket.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::connector::bill::{BillOrder, PaidBy};
use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;
use crate::secret::Secret;

/// What a connector promises and needs. "No double recharge" holds as far as this says (`idempotent_submit`
/// or `status_query`).
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Description {
    /// Its name in routes, rows and logs.
    pub id: String,
    /// For people.
    pub name: String,
    /// Currencies that it recharges in.
    pub currencies: Vec<Currency>,
    /// The same reference sent again is not recharged again.
    pub idempotent_submit: bool,
    /// The outcome of a reference can be asked.
    pub status_query: bool,
    /// It can be asked only by its own reference, so not when the answer that told it was lost.
    pub status_needs_theirs: bool,
    /// It tells outcomes by callback.
    pub callback: bool,
    /// "No such reference" is definite once a request is this old; `None` when it never is.
    pub not_found_after: Option<Duration>,
    /// How long a request may take as a whole.
    pub timeout: Duration,
    /// How our reference is written for it.
    pub reference: ReferenceForm,
    /// What amounts it sells, if it tells.
    pub amounts: Amounts,
}

/// The amounts that a carrier sells.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Amounts {
    /// It does not tell.
    #[default]
    Any,
    /// These alone.
    Fixed(Vec<Money>),
    /// Any step from the least to the most.
    Range {
        /// The least.
        min: Money,
        /// The most.
        max: Money,
        /// Between two of them, counted from the least, in minor units.
        step_minor: i64,
    },
}

impl Amounts {
    /// Whether an amount is sold.
    #[must_use]
    pub fn sells(&self, amount: Money) -> bool {
        match self {
            Self::Any => true,
            Self::Fixed(list) => list.contains(&amount),
            Self::Range { min, max, step_minor } => {
                amount.currency == min.currency
                    && (min.minor..=max.minor).contains(&amount.minor)
                    && amount
                        .minor
                        .checked_sub(min.minor)
                        .and_then(|above| above.checked_rem(*step_minor))
                        .is_some_and(|rest| rest == 0)
            }
        }
    }

    /// The nearest amounts that are sold below and above one that is not.
    #[must_use]
    pub fn near(&self, amount: Money) -> (Option<Money>, Option<Money>) {
        match self {
            Self::Any => (None, None),
            Self::Fixed(list) => {
                let same = || list.iter().copied().filter(|m| m.currency == amount.currency);
                (
                    same().filter(|m| m.minor <= amount.minor).max_by_key(|m| m.minor),
                    same().filter(|m| m.minor >= amount.minor).min_by_key(|m| m.minor),
                )
            }
            Self::Range { min, max, step_minor } => {
                if amount.currency != min.currency || amount.minor < min.minor {
                    return (None, Some(*min));
                }
                let asked = amount.minor.min(max.minor);
                let rest = asked.saturating_sub(min.minor).checked_rem(*step_minor).unwrap_or(0);
                let low = asked.saturating_sub(rest);
                let high = if rest == 0 { low } else { low.saturating_add(*step_minor) };
                let at = |minor| Money::new(minor, min.currency);
                (Some(at(low)), (high >= amount.minor && high <= max.minor).then(|| at(high)))
            }
        }
    }
}

/// How a carrier wants our reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceForm {
    /// 36 characters with hyphens.
    Uuid,
    /// 32 hexadecimal digits.
    Hex32,
    /// 20 decimal digits.
    Digits20,
}

impl ReferenceForm {
    /// Writes a 128-bit id in this form. [`ReferenceForm::Digits20`] keeps 64 bits of it, so that its
    /// uniqueness is held by the attempt table.
    #[must_use]
    pub fn write(self, id: [u8; 16]) -> String {
        let uuid = uuid::Uuid::from_bytes(id);
        match self {
            Self::Uuid => uuid.to_string(),
            Self::Hex32 => uuid.simple().to_string(),
            Self::Digits20 => {
                let (high, low) = uuid.as_u64_pair();
                format!("{:020}", high.rotate_left(17) ^ low)
            }
        }
    }
}

/// A recharge to be asked of a carrier. Everything in it was committed before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// Our reference in the carrier's form; the same for every question about it.
    pub reference: String,
    /// The number to recharge; none for a bill.
    pub msisdn: Option<Msisdn>,
    /// The bill to pay; none for a recharge.
    pub bill: Option<BillOrder>,
    /// Whose account an outside account provider is asked about, by its own name; none of a carrier or biller.
    pub external_id: Option<String>,
    /// Face value.
    pub amount: Money,
    /// The id of the hold that reserves the customer's money (the deduction's id).
    pub deduction: String,
    /// The deduction's state: always `reserved` when a request leaves.
    pub state: &'static str,
    /// When the attempt was written.
    pub at: Timestamp,
    /// The carrier's reference, once it told one; some can only be asked by it.
    pub carrier_reference: Option<String>,
}

/// The deduction's state in every request: held, not yet taken.
pub const DEDUCTION_RESERVED: &str = "reserved";

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It never left this machine.
    NotSent {
        /// Whether another try could succeed.
        retryable: bool,
        /// Why.
        reason: String,
    },
    /// The carrier has it and has not finished.
    Accepted {
        /// The carrier's reference.
        carrier_reference: Option<String>,
    },
    /// The number was recharged.
    Delivered {
        /// The carrier's reference.
        carrier_reference: Option<String>,
        /// What the carrier took, if it said.
        cost: Option<Money>,
        /// What the customer must type in to get the credit, for products that are sold so.
        voucher: Option<Voucher>,
    },
    /// Not recharged, for certain.
    Refused {
        /// Why, in the terms that callers are told.
        class: RefusalClass,
        /// The carrier's code.
        code: String,
        /// The carrier's reference.
        carrier_reference: Option<String>,
    },
    /// Nobody knows.
    Unknown {
        /// What happened.
        why: Unclear,
        /// In words, without secrets.
        detail: String,
    },
    /// It was delivered and then taken back.
    Reversed {
        /// The carrier's reference.
        carrier_reference: Option<String>,
    },
    /// Answer of a status query only: the carrier does not know the reference. Whether that is definite
    /// depends on [`Description::not_found_after`].
    NotFound,
}

impl Outcome {
    /// The name that an attempt's row stores.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::Accepted { .. } => "accepted",
            Self::Delivered { .. } => "delivered",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
            Self::Reversed { .. } => "reversed",
            Self::NotFound => "not_found",
        }
    }

    /// The carrier's reference, if this answer carried one.
    #[must_use]
    pub fn carrier_reference(&self) -> Option<&str> {
        match self {
            Self::Accepted { carrier_reference }
            | Self::Delivered { carrier_reference, .. }
            | Self::Refused { carrier_reference, .. }
            | Self::Reversed { carrier_reference } => carrier_reference.as_deref(),
            Self::NotSent { .. } | Self::Unknown { .. } | Self::NotFound => None,
        }
    }
}

/// A code that carries the credit: read out and sent, never logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Voucher {
    /// Its serial number, for questions to the carrier.
    pub serial: Option<String>,
    /// The code itself.
    pub code: Secret,
}

/// Why an outcome is unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unclear {
    /// No answer in time, after bytes may have left.
    Timeout,
    /// The connection broke after bytes may have left.
    Broken,
    /// An answer of class 5xx, or another one that no rule of the connector names.
    Unexpected,
    /// An answer that could not be read.
    Unreadable,
    /// The carrier speaks of another number, amount, currency or reference than ours. An alarm.
    Mismatch,
    /// A bill is paid or expired, and the biller does not say by whose payment. A person must look.
    WhoPaid,
}

impl Unclear {
    /// The class that a payment's row stores while it is unknown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Unexpected => "unexpected",
            Self::Unreadable => "unreadable",
            Self::Mismatch => "mismatch",
            Self::WhoPaid => "who_paid",
        }
    }
}

/// Why a carrier refused, in the terms that the caller is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// Not a number that can be recharged.
    BadNumber,
    /// The number is with another operator.
    NumberNotOnOperator,
    /// The carrier does not sell this amount.
    AmountNotAllowed,
    /// The product is not sold now.
    ProductUnavailable,
    /// The subscriber is barred.
    SubscriberBarred,
    /// A limit of the carrier is reached.
    LimitReached,
    /// The carrier takes it for a repetition.
    DuplicateSuspected,
    /// Our prepaid balance there is too low. An alarm; the caller hears only that it is not possible now.
    OurFloatLow,
    /// Our credentials or settings there are wrong. An alarm.
    AuthConfig,
    /// The carrier is out of service or was not reached.
    CarrierDown,
    /// Too many requests.
    RateLimited,
    /// The carrier suspects fraud.
    Fraud,
    /// The bill is paid already.
    AlreadyPaid,
    /// The bill cannot be paid any more.
    BillExpired,
    /// The bill, or its quote, is another than the one that was quoted.
    BillChanged,
    /// Anything else.
    Other,
}

impl RefusalClass {
    /// Every class.
    pub const ALL: &[Self] = &[
        Self::BadNumber,
        Self::NumberNotOnOperator,
        Self::AmountNotAllowed,
        Self::ProductUnavailable,
        Self::SubscriberBarred,
        Self::LimitReached,
        Self::DuplicateSuspected,
        Self::OurFloatLow,
        Self::AuthConfig,
        Self::CarrierDown,
        Self::RateLimited,
        Self::Fraud,
        Self::AlreadyPaid,
        Self::BillExpired,
        Self::BillChanged,
        Self::Other,
    ];

    /// The name in connector files, rows and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadNumber => "bad_number",
            Self::NumberNotOnOperator => "number_not_on_operator",
            Self::AmountNotAllowed => "amount_not_allowed",
            Self::ProductUnavailable => "product_unavailable",
            Self::SubscriberBarred => "subscriber_barred",
            Self::LimitReached => "limit_reached",
            Self::DuplicateSuspected => "duplicate_suspected",
            Self::OurFloatLow => "our_float_low",
            Self::AuthConfig => "auth_config",
            Self::CarrierDown => "carrier_down",
            Self::RateLimited => "rate_limited",
            Self::Fraud => "fraud",
            Self::AlreadyPaid => "already_paid",
            Self::BillExpired => "bill_expired",
            Self::BillChanged => "bill_changed",
            Self::Other => "other",
        }
    }

    /// The class of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.name() == name)
    }

    /// Whether it may be said of one request alone, before the carrier has looked whether it knows the reference: a
    /// repetition that is refused so tells nothing of the request that it repeats.
    #[must_use]
    pub const fn is_of_one_request(self) -> bool {
        match self {
            Self::ProductUnavailable
            | Self::LimitReached
            | Self::DuplicateSuspected
            | Self::OurFloatLow
            | Self::AuthConfig
            | Self::CarrierDown
            | Self::RateLimited
            | Self::Fraud => true,
            Self::BadNumber
            | Self::NumberNotOnOperator
            | Self::AmountNotAllowed
            | Self::SubscriberBarred
            | Self::AlreadyPaid
            | Self::BillExpired
            | Self::BillChanged
            | Self::Other => false,
        }
    }

    /// Whether staff must be woken: the fault is ours.
    #[must_use]
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::OurFloatLow | Self::AuthConfig | Self::Fraud)
    }
}

/// A callback that was verified and read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Callback {
    /// Our reference.
    pub reference: String,
    /// What it says.
    pub outcome: Outcome,
    /// Echoed by the carrier, to be compared with what was sent.
    pub echo: Echo,
}

/// What the carrier repeats of our request. `None` where it repeats nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Echo {
    /// Our reference.
    pub reference: Option<String>,
    /// The number, digits only.
    pub msisdn: Option<String>,
    /// The amount, in words when it cannot be read as one.
    pub amount: Option<Result<Money, String>>,
    /// The currency when it stands alone.
    pub currency: Option<String>,
    /// The bill's number.
    pub bill: Option<String>,
    /// The quote's id.
    pub quote: Option<String>,
    /// Under whose reference the bill was paid.
    pub paid_by: PaidBy,
}

impl Echo {
    /// What differs from the order, in words without the number itself; `None` when nothing does.
    #[must_use]
    pub fn differs(&self, order: &Order) -> Option<String> {
        if self.reference.as_deref().is_some_and(|r| r != order.reference) {
            return Some("the answer carries another reference".to_owned());
        }
        if let Some(digits) = &self.msisdn {
            let ours = order.msisdn.as_ref().map_or("", Msisdn::digits);
            // Carriers echo national or international forms: the shorter must be the end of the longer, and
            // long enough to be a number.
            let digits = digits.trim_start_matches('0');
            let same = digits == ours || (digits.len() >= 7 && ours.ends_with(digits));
            if !same {
                return Some("the answer carries another number".to_owned());
            }
        }
        if let Some(bill) = &order.bill {
            if self.bill.as_ref().is_some_and(|number| *number != bill.number) {
                return Some("the answer is of another bill".to_owned());
            }
            if self.quote.as_ref().is_some_and(|quote| *quote != bill.quote) {
                return Some("the answer carries another quote".to_owned());
            }
        }
        if self.currency.as_deref().is_some_and(|c| c != order.amount.currency.code()) {
            return Some("the answer carries another currency".to_owned());
        }
        match &self.amount {
            Some(Ok(amount)) if *amount != order.amount => {
                Some(format!("the answer carries {amount}, sent was {}", order.amount))
            }
            Some(Err(text)) => Some(format!("the answer's amount cannot be read: {text}")),
            Some(Ok(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            reference: "r1".to_owned(),
            msisdn: Some(Msisdn::parse("+8613800000001").unwrap()),
            bill: None,
            external_id: None,
            amount: Money::new(5000, Currency::new("CNY").unwrap()),
            deduction: "d".to_owned(),
            state: DEDUCTION_RESERVED,
            at: Timestamp(0),
            carrier_reference: None,
        }
    }

    #[test]
    fn an_echo_is_compared_field_by_field() {
        let cny = Currency::new("CNY").unwrap();
        let echo = |f: fn(&mut Echo)| {
            let mut echo = Echo::default();
            f(&mut echo);
            echo.differs(&order())
        };
        assert_eq!(Echo::default().differs(&order()), None);
        assert_eq!(echo(|e| e.msisdn = Some("13800000001".to_owned())), None);
        assert_eq!(echo(|e| e.msisdn = Some("8613800000001".to_owned())), None);
        assert!(echo(|e| e.msisdn = Some("8613800000002".to_owned())).is_some());
        assert!(echo(|e| e.msisdn = Some("1".to_owned())).is_some());
        assert!(echo(|e| e.currency = Some("USD".to_owned())).is_some());
        assert!(echo(|e| e.reference = Some("r2".to_owned())).is_some());
        assert!(echo(|e| e.amount = Some(Err("x".to_owned()))).is_some());
        assert!(
            Echo { amount: Some(Ok(Money::new(5001, cny))), ..Echo::default() }.differs(&order()).is_some()
        );
        assert_eq!(
            Echo { amount: Some(Ok(Money::new(5000, cny))), ..Echo::default() }.differs(&order()),
            None
        );
        let bill = BillOrder { number: "204818".to_owned(), quote: "q1".to_owned() };
        let order = Order { msisdn: None, bill: Some(bill), ..order() };
        let of = |number: &str, quote: &str| Echo {
            bill: Some(number.to_owned()),
            quote: Some(quote.to_owned()),
            ..Echo::default()
        };
        assert_eq!(of("204818", "q1").differs(&order), None);
        assert!(of("204819", "q1").differs(&order).is_some());
        assert!(of("204818", "q2").differs(&order).is_some());
    }

    #[test]
    fn amounts_are_sold_or_not() {
        let cny = |minor| Money::new(minor, Currency::new("CNY").unwrap());
        let range = Amounts::Range { min: cny(1_000), max: cny(5_100), step_minor: 500 };
        let fixed = Amounts::Fixed(vec![cny(1_000), cny(5_000)]);
        let near = |low: Option<i64>, high: Option<i64>| (low.map(cny), high.map(cny));
        for (amounts, minor, sold, nearest) in [
            (&range, 1_000, true, near(Some(1_000), Some(1_000))),
            (&range, 1_250, false, near(Some(1_000), Some(1_500))),
            (&range, 5_000, true, near(Some(5_000), Some(5_000))),
            (&range, 5_100, false, near(Some(5_000), None)),
            (&range, 500, false, near(None, Some(1_000))),
            (&range, 5_500, false, near(Some(5_000), None)),
            (&fixed, 5_000, true, near(Some(5_000), Some(5_000))),
            (&fixed, 2_000, false, near(Some(1_000), Some(5_000))),
            (&Amounts::Any, 1, true, near(None, None)),
        ] {
            assert_eq!(amounts.sells(cny(minor)), sold, "{amounts:?} {minor}");
            assert_eq!(amounts.near(cny(minor)), nearest, "{amounts:?} {minor}");
        }
        assert!(!range.sells(Money::new(1_000, Currency::new("USD").unwrap())));
    }

    #[test]
    fn class_names_read_back() {
        for class in RefusalClass::ALL {
            assert_eq!(RefusalClass::from_name(class.name()), Some(*class));
        }
        assert_eq!(RefusalClass::from_name("nonsense"), None);
    }

    #[test]
    fn references_have_their_declared_form() {
        let id = [7_u8; 16];
        assert_eq!(ReferenceForm::Uuid.write(id).len(), 36);
        assert_eq!(ReferenceForm::Hex32.write(id).len(), 32);
        let digits = ReferenceForm::Digits20.write(id);
        assert!(digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()));
    }
}
