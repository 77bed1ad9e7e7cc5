//! Conditions and values of a program, resolved and typed: evaluation cannot meet a surprise that the checker
//! let pass.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::dialplan::civil::Moment;
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
    /// A field of a record, by index.
    Field(Box<Self>, u16),
    /// Whether a variable is set.
    Known(u16),
    /// The day on which the session began.
    Today,
    /// The time of day at which it began.
    Now,
    /// `count …`: how many items a list has.
    Count(Box<Self>),
    /// `not …`
    Not(Box<Self>),
    /// `least …`: the smallest item of a list of numbers or amounts.
    Least(Box<Self>),
    /// Two values and what stands between them.
    Binary(Operator, Box<Self>, Box<Self>),
}

/// What an expression may look at.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'v> {
    /// The variables, by index.
    pub variables: &'v [Option<Value>],
    /// When the session began.
    pub began: Moment,
}

impl Expression {
    /// Its value, or nothing when a variable is unset or a sum does not fit.
    #[must_use]
    pub fn evaluate(&self, scope: Scope<'_>) -> Option<Value> {
        self.look(scope).map(Cow::into_owned)
    }

    /// Its value as a condition.
    #[must_use]
    pub fn truth(&self, scope: Scope<'_>) -> Option<bool> {
        match *self.look(scope)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Its value, where it stands: a list is not copied to be counted.
    pub(crate) fn look<'v>(&'v self, scope: Scope<'v>) -> Option<Cow<'v, Value>> {
        let new = |value| Some(Cow::Owned(value));
        match self {
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Variable(index) => scope.variables.get(usize::from(*index))?.as_ref().map(Cow::Borrowed),
            Self::Not(inner) => new(Value::Bool(!inner.truth(scope)?)),
            Self::Least(list) => least(list.look(scope)?.as_ref()).map(Cow::Owned),
            Self::Known(index) => {
                new(Value::Bool(scope.variables.get(usize::from(*index)).is_some_and(Option::is_some)))
            }
            Self::Count(list) => match &*list.look(scope)? {
                Value::List(items) => new(Value::Int(i64::try_from(items.len()).ok()?)),
                _ => None,
            },
            Self::Field(record, index) => match record.look(scope)? {
                Cow::Borrowed(Value::Record(values)) => values.get(usize::from(*index)).map(Cow::Borrowed),
                Cow::Owned(Value::Record(values)) => {
                    values.into_iter().nth(usize::from(*index)).map(Cow::Owned)
                }
                _ => None,
            },
            Self::Today => new(Value::Date(scope.began.date)),
            Self::Now => new(Value::Time(scope.began.time)),
            Self::Binary(operator, left, right) => binary(*operator, left, right, scope).map(Cow::Owned),
        }
    }
}

fn binary(operator: Operator, left: &Expression, right: &Expression, scope: Scope<'_>) -> Option<Value> {
    let truth = match operator {
        Operator::Or => left.truth(scope)? || right.truth(scope)?,
        Operator::And => left.truth(scope)? && right.truth(scope)?,
        Operator::Add | Operator::Subtract => {
            return sum(operator, left.look(scope)?.as_ref(), right.look(scope)?.as_ref());
        }
        Operator::In => match (left.look(scope)?, &*right.look(scope)?) {
            (item, Value::List(items)) => items.contains(&item),
            _ => return None,
        },
        Operator::Equal => left.look(scope)? == right.look(scope)?,
        Operator::NotEqual => left.look(scope)? != right.look(scope)?,
        _ => {
            let order = compare(left.look(scope)?.as_ref(), right.look(scope)?.as_ref())?;
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
fn least(list: &Value) -> Option<Value> {
    let Value::List(items) = list else { return None };
    let mut items = items.iter();
    let first = items.next()?;
    let least = items.try_fold(first, |least, item| {
        Some(if compare(item, least)? == Ordering::Less { item } else { least })
    });
    least.cloned()
}

/// Numbers are added to a day as days.
fn sum(operator: Operator, left: &Value, right: &Value) -> Option<Value> {
    let add = operator == Operator::Add;
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => {
            Some(Value::Int(if add { a.checked_add(*b)? } else { a.checked_sub(*b)? }))
        }
        (Value::Money(a), Value::Money(b)) => {
            Some(Value::Money(if add { a.checked_add(*b)? } else { a.checked_sub(*b)? }))
        }
        (Value::Date(day), Value::Int(days)) => {
            day.plus_days(if add { *days } else { days.checked_neg()? }).map(Value::Date)
        }
        _ => None,
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Money(a), Value::Money(b)) if a.currency == b.currency => Some(a.minor.cmp(&b.minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::civil::{Date, Time};
    use crate::money::{Currency, Money};

    fn constant(value: Value) -> Box<Expression> {
        Box::new(Expression::Value(value))
    }

    fn scope(variables: &[Option<Value>]) -> Scope<'_> {
        Scope {
            variables,
            began: Moment { date: Date::new(2026, 11, 22).unwrap(), time: Time::new(9, 30).unwrap() },
        }
    }

    fn of(expression: &Expression) -> Option<Value> {
        expression.evaluate(scope(&[]))
    }

    #[test]
    fn computes_conditions_and_sums() {
        let cny = Currency::new("CNY").unwrap();
        let money = |minor| constant(Value::Money(Money::new(minor, cny)));
        let list = constant(Value::List(vec![Value::Money(Money::new(5000, cny))]));
        let truth = |op, a, b| Expression::Binary(op, a, b).truth(scope(&[]));
        assert_eq!(truth(Operator::In, money(5000), list.clone()), Some(true));
        assert_eq!(truth(Operator::In, money(7000), list), Some(false));
        assert_eq!(truth(Operator::LessEqual, money(1), money(1)), Some(true));
        assert_eq!(truth(Operator::Greater, money(1), money(1)), Some(false));
        let total = of(&Expression::Binary(Operator::Add, money(5000), money(50)));
        assert_eq!(total, Some(Value::Money(Money::new(5050, cny))));
    }

    #[test]
    fn days_and_times_are_those_of_the_beginning() {
        let date = |text| constant(Value::Date(Date::parse(text).unwrap()));
        let days = |n| constant(Value::Int(n));
        let sum = |op, a, b| of(&Expression::Binary(op, a, b));
        let today = || Box::new(Expression::Today);
        let in_days = |n| sum(Operator::Add, today(), days(n));
        assert_eq!(in_days(30), Some(Value::Date(Date::parse("2026-12-22").unwrap())));
        assert_eq!(
            sum(Operator::Subtract, today(), days(22)),
            Some(Value::Date(Date::parse("2026-10-31").unwrap()))
        );
        assert_eq!(in_days(i64::MAX), None);
        assert_eq!(sum(Operator::Subtract, today(), days(i64::MIN)), None);
        assert_eq!(sum(Operator::Less, today(), date("2026-12-31")), Some(Value::Bool(true)));
        assert_eq!(sum(Operator::Equal, today(), date("2026-11-22")), Some(Value::Bool(true)));
        let nine = constant(Value::Time(Time::parse("09:00").unwrap()));
        assert_eq!(sum(Operator::GreaterEqual, Box::new(Expression::Now), nine), Some(Value::Bool(true)));
    }

    #[test]
    fn fields_lists_and_what_is_known() {
        let record = Value::Record(vec![Value::Int(7), Value::List(vec![Value::Int(1), Value::Int(2)])]);
        let variables = [Some(record), None];
        let field = |index| Box::new(Expression::Field(Box::new(Expression::Variable(0)), index));
        assert_eq!(field(0).evaluate(scope(&variables)), Some(Value::Int(7)));
        assert_eq!(Expression::Count(field(1)).evaluate(scope(&variables)), Some(Value::Int(2)));
        assert_eq!(Expression::Count(field(0)).evaluate(scope(&variables)), None);
        assert_eq!(field(2).evaluate(scope(&variables)), None);
        assert_eq!(Expression::Known(0).truth(scope(&variables)), Some(true));
        for unknown in [1, 2] {
            assert_eq!(Expression::Known(unknown).truth(scope(&variables)), Some(false));
        }
    }

    #[test]
    fn the_least_of_a_list() {
        let list = |items: &[i64]| constant(Value::List(items.iter().map(|n| Value::Int(*n)).collect()));
        assert_eq!(of(&Expression::Least(list(&[100, 50, 70]))), Some(Value::Int(50)));
        assert_eq!(of(&Expression::Least(list(&[]))), None);
        assert_eq!(of(&Expression::Least(constant(Value::Int(1)))), None);
    }

    #[test]
    fn what_does_not_fit_is_nothing() {
        let huge = Expression::Binary(Operator::Add, constant(Value::Int(i64::MAX)), constant(Value::Int(1)));
        assert_eq!(of(&huge), None);
        assert_eq!(Expression::Variable(3).evaluate(scope(&[None])), None);
        let usd = Value::Money(Money::new(1, Currency::new("USD").unwrap()));
        let cny = Value::Money(Money::new(1, Currency::new("CNY").unwrap()));
        assert_eq!(Expression::Binary(Operator::Less, constant(usd), constant(cny)).truth(scope(&[])), None);
    }
}
