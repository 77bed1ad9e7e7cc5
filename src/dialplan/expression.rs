//! Conditions and values of a program, resolved and typed: evaluation cannot meet a surprise that the checker
//! let pass.

use std::cmp::Ordering;

use crate::dialplan::value::Value;

/// How deep expressions may be nested.
pub const DEPTH_MAX: usize = 32;

/// What stands between two values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operator {
    /// `or`
    Or,
    /// `and`
    And,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `in`
    In,
    /// `+`
    Add,
    /// `-`
    Subtract,
}

/// A value to be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A literal.
    Value(Value),
    /// A variable, by index.
    Variable(u16),
    /// `not …`
    Not(Box<Self>),
    /// `least …`: the smallest item of a list of numbers or amounts.
    Least(Box<Self>),
    /// Two values and what stands between them.
    Binary(Operator, Box<Self>, Box<Self>),
}

impl Expression {
    /// Its value, or nothing when a variable is unset or a sum does not fit.
    #[must_use]
    pub fn evaluate(&self, variables: &[Option<Value>]) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Variable(index) => variables.get(usize::from(*index))?.clone(),
            Self::Not(inner) => Some(Value::Bool(!inner.truth(variables)?)),
            Self::Least(list) => least(list.evaluate(variables)?),
            Self::Binary(operator, left, right) => binary(*operator, left, right, variables),
        }
    }

    /// Its value as a condition.
    #[must_use]
    pub fn truth(&self, variables: &[Option<Value>]) -> Option<bool> {
        match self.evaluate(variables)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }
}

fn binary(
    operator: Operator,
    left: &Expression,
    right: &Expression,
    variables: &[Option<Value>],
) -> Option<Value> {
    let truth = match operator {
        Operator::Or => left.truth(variables)? || right.truth(variables)?,
        Operator::And => left.truth(variables)? && right.truth(variables)?,
        Operator::Add | Operator::Subtract => {
            return sum(operator, left.evaluate(variables)?, right.evaluate(variables)?);
        }
        Operator::In => match (left.evaluate(variables)?, right.evaluate(variables)?) {
            (item, Value::List(items)) => items.contains(&item),
            _ => return None,
        },
        Operator::Equal => left.evaluate(variables)? == right.evaluate(variables)?,
        Operator::NotEqual => left.evaluate(variables)? != right.evaluate(variables)?,
        _ => {
            let order = compare(&left.evaluate(variables)?, &right.evaluate(variables)?)?;
            match operator {
                Operator::Less => order == Ordering::Less,
                Operator::LessEqual => order != Ordering::Greater,
                Operator::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }
        }
    };
    Some(Value::Bool(truth))
}

/// Nothing for an empty list: there is no least.
fn least(list: Value) -> Option<Value> {
    let Value::List(items) = list else { return None };
    let mut items = items.into_iter();
    let first = items.next()?;
    items.try_fold(first, |least, item| {
        Some(if compare(&item, &least)? == Ordering::Less { item } else { least })
    })
}

fn sum(operator: Operator, left: Value, right: Value) -> Option<Value> {
    let add = operator == Operator::Add;
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => {
            Some(Value::Int(if add { a.checked_add(b)? } else { a.checked_sub(b)? }))
        }
        (Value::Money(a), Value::Money(b)) => {
            Some(Value::Money(if add { a.checked_add(b)? } else { a.checked_sub(b)? }))
        }
        _ => None,
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Money(a), Value::Money(b)) if a.currency == b.currency => Some(a.minor.cmp(&b.minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Currency, Money};

    fn constant(value: Value) -> Box<Expression> {
        Box::new(Expression::Value(value))
    }

    #[test]
    fn computes_conditions_and_sums() {
        let cny = Currency::new("CNY").unwrap();
        let money = |minor| constant(Value::Money(Money::new(minor, cny)));
        let list = constant(Value::List(vec![Value::Money(Money::new(5000, cny))]));
        let truth = |op, a, b| Expression::Binary(op, a, b).truth(&[]);
        assert_eq!(truth(Operator::In, money(5000), list.clone()), Some(true));
        assert_eq!(truth(Operator::In, money(7000), list), Some(false));
        assert_eq!(truth(Operator::LessEqual, money(1), money(1)), Some(true));
        assert_eq!(truth(Operator::Greater, money(1), money(1)), Some(false));
        let total = Expression::Binary(Operator::Add, money(5000), money(50)).evaluate(&[]);
        assert_eq!(total, Some(Value::Money(Money::new(5050, cny))));
    }

    #[test]
    fn the_least_of_a_list() {
        let list = |items: &[i64]| constant(Value::List(items.iter().map(|n| Value::Int(*n)).collect()));
        assert_eq!(Expression::Least(list(&[100, 50, 70])).evaluate(&[]), Some(Value::Int(50)));
        assert_eq!(Expression::Least(list(&[])).evaluate(&[]), None);
        assert_eq!(Expression::Least(constant(Value::Int(1))).evaluate(&[]), None);
    }

    #[test]
    fn what_does_not_fit_is_nothing() {
        let huge = Expression::Binary(Operator::Add, constant(Value::Int(i64::MAX)), constant(Value::Int(1)));
        assert_eq!(huge.evaluate(&[]), None);
        assert_eq!(Expression::Variable(3).evaluate(&[None]), None);
        let usd = Value::Money(Money::new(1, Currency::new("USD").unwrap()));
        let cny = Value::Money(Money::new(1, Currency::new("CNY").unwrap()));
        assert_eq!(Expression::Binary(Operator::Less, constant(usd), constant(cny)).truth(&[]), None);
    }
}
