//! The values that variables hold and the types that the checker gives them.
//!
//! There is no secret value on purpose: what a state holds can be saved and logged, so a secret has no way
//! into it.

use std::fmt;

use crate::dialplan::action::Field;
use crate::dialplan::civil::{Date, Time};
use crate::money::Money;
use crate::msisdn::Msisdn;

/// The most that is taken of a text from outside, such as a biller's name, in UTF-16 units; and shown or said of digits
/// from outside. `check --lengths` reckons with as much.
pub const OUTSIDE_MAX: usize = 40;

/// A closed set of words with a message for each: `family.word`, and `family.other` for the rest.
#[derive(Debug, Eq, PartialEq)]
pub struct Family {
    /// The prefix of the messages, such as `refusal`.
    pub name: &'static str,
    /// The words.
    pub words: &'static [&'static str],
}

/// A value of several named fields, which only actions make.
#[derive(Debug, Eq, PartialEq)]
pub struct Record {
    /// Its name as a type.
    pub name: &'static str,
    /// Its fields, in the order of [`Value::Record`].
    pub fields: &'static [Field],
}

impl Record {
    /// The index and type of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<(usize, Type)> {
        let (index, field) = self.fields.iter().enumerate().find(|(_, field)| field.name == name)?;
        Some((index, field.ty))
    }
}

/// The type of a variable, a parameter or a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Type {
    /// `yes` or `no`.
    Bool,
    /// A whole number.
    Int,
    /// An amount in the market's currency.
    Money,
    /// A telephone number.
    Phone,
    /// Digits that are not counted with: an order number, a reference.
    Digits,
    /// Words that are shown and never spoken.
    Text,
    /// A PIN or a code; lives from its question to the action that follows, nowhere else.
    Secret,
    /// A name that only actions understand, such as an account.
    Name(&'static str),
    /// One word of a family.
    Choice(&'static Family),
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// Several named fields.
    Record(&'static Record),
    /// Several of one type.
    List(&'static Self),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("yes/no"),
            Self::Int => f.write_str("number"),
            Self::Money => f.write_str("money"),
            Self::Phone => f.write_str("phone"),
            Self::Digits => f.write_str("digits"),
            Self::Text => f.write_str("text"),
            Self::Secret => f.write_str("secret"),
            Self::Name(name) => f.write_str(name),
            Self::Choice(family) => f.write_str(family.name),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Record(record) => f.write_str(record.name),
            Self::List(item) => write!(f, "{item} list"),
        }
    }
}

/// What a variable holds.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// [`Type::Bool`]
    Bool(bool),
    /// [`Type::Int`]
    Int(i64),
    /// [`Type::Money`]
    Money(Money),
    /// [`Type::Phone`]
    Phone(Msisdn),
    /// [`Type::Digits`]
    Digits(String),
    /// [`Type::Text`], [`Type::Name`] and [`Type::Choice`]
    Text(String),
    /// [`Type::List`]
    List(Vec<Self>),
    /// [`Type::Date`]
    Date(Date),
    /// [`Type::Time`]
    Time(Time),
    /// [`Type::Record`]: its fields in order.
    Record(Vec<Self>),
}

impl Value {
    /// Whether a variable of this type may hold the value.
    #[must_use]
    pub fn is(&self, ty: Type) -> bool {
        match (self, ty) {
            (Self::Bool(_), Type::Bool)
            | (Self::Int(_), Type::Int)
            | (Self::Money(_), Type::Money)
            | (Self::Phone(_), Type::Phone)
            | (Self::Date(_), Type::Date)
            | (Self::Time(_), Type::Time)
            | (Self::Text(_), Type::Text | Type::Name(_) | Type::Choice(_)) => true,
            (Self::Digits(digits), Type::Digits) => digits.bytes().all(|b| b.is_ascii_digit()),
            (Self::List(items), Type::List(item)) => items.iter().all(|value| value.is(*item)),
            (Self::Record(values), Type::Record(record)) => {
                values.len() == record.fields.len()
                    && values.iter().zip(record.fields).all(|(value, field)| value.is(field.ty))
            }
            _ => false,
        }
    }

    /// The value as a conversation takes it from outside: a text is cut to [`OUTSIDE_MAX`], and what would break a line in it
    /// is a space. Digits and names stay whole, since actions are given them again; only what is shown of them is cut.
    #[must_use]
    pub fn from_outside(self, ty: Type) -> Self {
        match (self, ty) {
            (Self::Text(text), Type::Text) => Self::Text(plain_line(&text)),
            (Self::List(items), Type::List(item)) => {
                Self::List(items.into_iter().map(|value| value.from_outside(*item)).collect())
            }
            (Self::Record(values), Type::Record(record)) => {
                let fields = values.into_iter().zip(record.fields);
                Self::Record(fields.map(|(value, field)| value.from_outside(field.ty)).collect())
            }
            (value, _) => value,
        }
    }
}

fn plain_line(text: &str) -> String {
    let mut room = OUTSIDE_MAX;
    let plain = text
        .trim()
        .chars()
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c });
    let fits = |c: &char| {
        let left = room.checked_sub(c.len_utf16());
        room = left.unwrap_or(0);
        left.is_some()
    };
    plain.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_own_type_only() {
        let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
        assert!(list.is(Type::List(&Type::Int)));
        assert!(!list.is(Type::List(&Type::Bool)));
        assert!(!Value::Digits("12a".into()).is(Type::Digits));
        assert!(!Value::Text("x".into()).is(Type::Secret));
    }

    #[test]
    fn a_text_from_outside_is_cut_and_what_is_paid_with_is_not() {
        let text = |text: &str| match Value::Text(text.into()).from_outside(Type::Text) {
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text("City Water"), "City Water");
        assert_eq!(text(&"x".repeat(41)), "x".repeat(40));
        assert_eq!(text(&"語".repeat(100)), "語".repeat(40));
        assert_eq!(text(&"😀".repeat(100)), "😀".repeat(20), "two units each");
        assert_eq!(text(&format!("{}😀", "x".repeat(39))), "x".repeat(39), "never half a character");
        assert_eq!(text("a\nb\r\tc\u{2028}d\u{0}"), "a b  c d ");
        let long = "a".repeat(60);
        let name = Type::Name("account");
        assert_eq!(Value::Text(long.clone()).from_outside(name), Value::Text(long.clone()));
        let digits = Value::Digits("4".repeat(60));
        assert_eq!(digits.clone().from_outside(Type::Digits), digits);
        let bill = crate::dialplan::action::Action::find("bill.list").unwrap();
        let of = |text: &str| {
            let text = || Value::Text(text.to_owned());
            let amount = Value::Money(Money::new(1, crate::money::Currency::NONE));
            let due = Value::Date(Date::new(2026, 12, 31).unwrap());
            Value::List(vec![Value::Record(vec![digits.clone(), text(), text(), amount, due])])
        };
        let list = bill.outcomes[0].values[0].ty;
        assert!(of(&long).is(list));
        assert_eq!(of(&long).from_outside(list), of(&"a".repeat(40)));
    }

    #[test]
    fn saved_values_come_back_the_same() {
        let value =
            Value::List(vec![Value::Phone(Msisdn::parse("+8613800000001").unwrap()), Value::Bool(true)]);
        let saved = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&saved).unwrap(), value);
    }
}
