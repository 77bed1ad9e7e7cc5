//! The values that variables hold and the types that the checker gives them.
//!
//! There is no secret value on purpose: what a state holds can be saved and logged, so a secret has no way
//! into it.

use std::fmt;

use crate::dialplan::action::Field;
use crate::dialplan::civil::{Date, Time};
use crate::money::Money;
use crate::msisdn::Msisdn;

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
    fn saved_values_come_back_the_same() {
        let value =
            Value::List(vec![Value::Phone(Msisdn::parse("+8613800000001").unwrap()), Value::Bool(true)]);
        let saved = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&saved).unwrap(), value);
    }
}
