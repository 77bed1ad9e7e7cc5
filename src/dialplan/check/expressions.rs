//! Types of expressions: literals take the type that their place wants, everything else must have it.

use std::collections::BTreeSet;

use crate::dialplan::catalog::Settings;
use crate::dialplan::check::scope::Scope;
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::{Expression, Operator};
use crate::dialplan::syntax::ast;
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::{Type, Value};
use crate::money::{Currency, Money};

/// A checked expression.
pub(super) struct Typed {
    pub(super) expression: Expression,
    /// Unknown when a fault in it has been reported.
    pub(super) ty: Option<Type>,
}

/// Checks expressions and gathers the variables that they read.
pub(super) struct Typer<'t> {
    pub(super) scope: &'t mut Scope,
    pub(super) settings: &'t Settings,
    pub(super) file: &'t str,
    pub(super) diagnostics: &'t mut Vec<Diagnostic>,
    pub(super) uses: Vec<(u16, Span)>,
}

impl Typer<'_> {
    /// Checks an expression whose place wants a type.
    pub(super) fn expect(&mut self, written: &Spanned<ast::Expression>, wanted: Type) -> Expression {
        let typed = self.typed(written, Some(wanted));
        if let Some(ty) = typed.ty
            && ty != wanted
        {
            if ty == Type::Secret {
                self.secret(written.span);
            } else {
                let text = format!("the type here is {ty}, but {wanted} is wanted");
                self.fault(Code::F041, written.span, text, None);
            }
        }
        typed.expression
    }

    /// Checks an expression whose place takes any type but a secret.
    pub(super) fn any(&mut self, written: &Spanned<ast::Expression>) -> Typed {
        let typed = self.typed(written, None);
        if typed.ty == Some(Type::Secret) {
            self.secret(written.span);
        }
        typed
    }

    pub(super) fn secret(&mut self, span: Span) {
        let hint = "a secret goes from its question straight to an action, and nowhere else";
        self.fault(Code::F080, span, "a secret cannot be used here".into(), Some(hint.into()));
    }

    fn fault(&mut self, code: Code, span: Span, text: String, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, self.file, span, text);
        diagnostic.hint = hint;
        self.diagnostics.push(diagnostic);
    }

    fn typed(&mut self, written: &Spanned<ast::Expression>, wanted: Option<Type>) -> Typed {
        let known = |value, ty| Typed { expression: Expression::Value(value), ty: Some(ty) };
        match &written.value {
            ast::Expression::Variable(name) => self.variable(name, written.span),
            ast::Expression::Truth(truth) => known(Value::Bool(*truth), Type::Bool),
            ast::Expression::Text(text) => match wanted {
                Some(Type::Digits) if text.bytes().all(|b| b.is_ascii_digit()) => {
                    known(Value::Digits(text.clone()), Type::Digits)
                }
                Some(Type::Choice(family)) if family.words.contains(&text.as_str()) => {
                    known(Value::Text(text.clone()), Type::Choice(family))
                }
                _ => known(Value::Text(text.clone()), Type::Text),
            },
            ast::Expression::Number(number) => self.number(number, written.span, wanted),
            ast::Expression::Amount(number, code) => self.amount(number, code, written.span),
            ast::Expression::Not(inner) => {
                let inner = self.expect(inner, Type::Bool);
                Typed { expression: Expression::Not(Box::new(inner)), ty: Some(Type::Bool) }
            }
            ast::Expression::Least(list) => self.least(list),
            ast::Expression::Date(date) => known(Value::Date(*date), Type::Date),
            ast::Expression::Time(time) => known(Value::Time(*time), Type::Time),
            ast::Expression::Count(list) => self.count(list),
            ast::Expression::Known(name) => self.known(name),
            ast::Expression::Binary(operator, left, right) => self.binary(*operator, left, right, wanted),
        }
    }

    /// A variable, a part of a record, or when the conversation began.
    fn variable(&mut self, name: &str, span: Span) -> Typed {
        if self.scope.index(name).is_none() {
            match name {
                "today" => return Typed { expression: Expression::Today, ty: Some(Type::Date) },
                "now" => return Typed { expression: Expression::Now, ty: Some(Type::Time) },
                _ => {}
            }
            if let Some((record, field)) = name.split_once('.') {
                return self.field(record, field, span);
            }
        }
        let Some(index) = self.scope.used(name, span, self.diagnostics) else { return unknown() };
        self.uses.push((index, span));
        Typed { expression: Expression::Variable(index), ty: self.scope.type_at(index) }
    }

    fn field(&mut self, name: &str, field: &str, span: Span) -> Typed {
        let Some(index) = self.scope.used(name, span, self.diagnostics) else { return unknown() };
        self.uses.push((index, span));
        let record = match self.scope.type_at(index) {
            Some(Type::Record(record)) => record,
            Some(ty) => {
                let text = format!("`{name}` is {ty}, which has no parts");
                self.fault(Code::F041, span, text, None);
                return unknown();
            }
            None => return unknown(),
        };
        let Some((number, ty)) = record.field(field) else {
            let names = || record.fields.iter().map(|field| field.name);
            let hint = match did_you_mean(field, names()) {
                Some(close) => format!("did you mean `{name}.{close}`?"),
                None => format!("its parts are {}", names().collect::<Vec<_>>().join(", ")),
            };
            self.fault(Code::F013, span, format!("a {} has no `{field}`", record.name), Some(hint));
            return unknown();
        };
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        let expression = Expression::Field(Box::new(Expression::Variable(index)), number);
        Typed { expression, ty: Some(ty) }
    }

    fn known(&mut self, name: &Name) -> Typed {
        let Some(index) = self.scope.used(&name.value, name.span, self.diagnostics) else { return unknown() };
        if self.scope.type_at(index) == Some(Type::Secret) {
            self.secret(name.span);
        }
        Typed { expression: Expression::Known(index), ty: Some(Type::Bool) }
    }

    fn count(&mut self, list: &Spanned<ast::Expression>) -> Typed {
        let inner = self.any(list);
        if let Some(ty) = inner.ty
            && !matches!(ty, Type::List(_) | Type::Secret)
        {
            let text = format!("the type here is {ty}, but a list is wanted after `count`");
            self.fault(Code::F041, list.span, text, None);
        }
        Typed { expression: Expression::Count(Box::new(inner.expression)), ty: Some(Type::Int) }
    }

    fn least(&mut self, list: &Spanned<ast::Expression>) -> Typed {
        let inner = self.any(list);
        let ty = match inner.ty {
            Some(Type::List(item)) if self.countable(Some(*item), list.span) => Some(*item),
            Some(Type::List(_)) | None => None,
            Some(ty) => {
                let text = format!("the type here is {ty}, but a list is wanted after `least`");
                self.fault(Code::F041, list.span, text, None);
                None
            }
        };
        Typed { expression: Expression::Least(Box::new(inner.expression)), ty }
    }

    fn number(&mut self, number: &str, span: Span, wanted: Option<Type>) -> Typed {
        let value = match wanted {
            Some(Type::Money) => Money::parse(number, self.settings.currency).ok().map(Value::Money),
            Some(Type::Digits) if !number.contains('.') => Some(Value::Digits(number.to_owned())),
            _ => number.parse().ok().map(Value::Int),
        };
        let ty = match value {
            Some(Value::Money(_)) => Type::Money,
            Some(Value::Digits(_)) => Type::Digits,
            Some(_) => Type::Int,
            None => {
                self.fault(Code::F041, span, format!("`{number}` is no number that can be used here"), None);
                return unknown();
            }
        };
        Typed { expression: value.map_or_else(nothing, Expression::Value), ty: Some(ty) }
    }

    fn amount(&mut self, number: &str, code: &str, span: Span) -> Typed {
        let currency = Currency::new(code).ok().filter(|currency| *currency == self.settings.currency);
        match currency.and_then(|currency| Money::parse(number, currency).ok()) {
            Some(money) => {
                Typed { expression: Expression::Value(Value::Money(money)), ty: Some(Type::Money) }
            }
            None => {
                let text = format!("`{number} {code}` is no amount of this market");
                let hint = format!("the market's currency is {}", self.settings.currency);
                self.fault(Code::F041, span, text, Some(hint));
                unknown()
            }
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Spanned<ast::Expression>,
        right: &Spanned<ast::Expression>,
        wanted: Option<Type>,
    ) -> Typed {
        let join = |a: Expression, b: Expression| Expression::Binary(operator, Box::new(a), Box::new(b));
        match operator {
            Operator::And | Operator::Or => {
                let a = self.expect(left, Type::Bool);
                let before = self.uses.len();
                let b = self.expect(right, Type::Bool);
                // The right side is only looked at when the left one leaves it open.
                let sure = known_when(&a, operator == Operator::And);
                let mut position = 0;
                self.uses.retain(|(variable, _)| {
                    position += 1;
                    position <= before || !sure.contains(variable)
                });
                Typed { expression: join(a, b), ty: Some(Type::Bool) }
            }
            Operator::In => {
                let list = self.any(right);
                let item = match list.ty {
                    Some(Type::List(item)) => self.expect(left, *item),
                    Some(Type::Secret) | None => self.any(left).expression,
                    Some(ty) => {
                        let text = format!("the type here is {ty}, but a list is wanted after `in`");
                        self.fault(Code::F041, right.span, text, None);
                        self.any(left).expression
                    }
                };
                Typed { expression: join(item, list.expression), ty: Some(Type::Bool) }
            }
            _ => {
                let sum = matches!(operator, Operator::Add | Operator::Subtract);
                if sum && self.is_day(&left.value) {
                    let (day, days) = (self.expect(left, Type::Date), self.expect(right, Type::Int));
                    return Typed { expression: join(day, days), ty: Some(Type::Date) };
                }
                let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
                let wanted = wanted.filter(|ty| sum && *ty != Type::Bool);
                let (a, b, ty) = self.pair(left, right, wanted, (equality, sum));
                Typed { expression: join(a, b), ty: if sum { ty } else { Some(Type::Bool) } }
            }
        }
    }

    /// Whether days are counted from this: `today`, a date, or a variable that holds one.
    fn is_day(&self, written: &ast::Expression) -> bool {
        match written {
            ast::Expression::Date(_) => true,
            ast::Expression::Variable(name) => match self.scope.type_of(name) {
                Some(ty) => ty == Type::Date,
                None if name == "today" => true,
                None => name.split_once('.').is_some_and(|(record, field)| {
                    let Some(Type::Record(record)) = self.scope.type_of(record) else { return false };
                    record.field(field).is_some_and(|(_, ty)| ty == Type::Date)
                }),
            },
            ast::Expression::Binary(Operator::Add | Operator::Subtract, left, _) => self.is_day(&left.value),
            _ => false,
        }
    }

    /// Whether values of a type can be put in order; if not, says so.
    fn ordered(&mut self, ty: Option<Type>, span: Span) -> bool {
        matches!(ty, Some(Type::Date | Type::Time)) || self.countable(ty, span)
    }

    /// Whether values of a type can be added and put in order; if not, says so.
    fn countable(&mut self, ty: Option<Type>, span: Span) -> bool {
        match ty {
            Some(Type::Int | Type::Money) | None => true,
            Some(ty) => {
                let text =
                    format!("the type here is {ty}: only numbers and money can be added or put in order");
                self.fault(Code::F041, span, text, None);
                false
            }
        }
    }

    /// Two of the same type; a literal follows the other.
    fn pair(
        &mut self,
        left: &Spanned<ast::Expression>,
        right: &Spanned<ast::Expression>,
        wanted: Option<Type>,
        (equality, sum): (bool, bool),
    ) -> (Expression, Expression, Option<Type>) {
        let literal =
            |e: &ast::Expression| matches!(e, ast::Expression::Number(_) | ast::Expression::Text(_));
        // The side that has a type of its own is looked at first.
        let swap = literal(&left.value) && !literal(&right.value);
        let (leading, following) = if swap { (right, left) } else { (left, right) };
        let first = self.typed(leading, wanted);
        let mut ty = first.ty;
        let fits = match ty {
            Some(Type::Secret) => {
                self.secret(leading.span);
                false
            }
            ty if sum => self.countable(ty, leading.span),
            ty => equality || self.ordered(ty, leading.span),
        };
        if !fits {
            ty = None;
        }
        let second = match ty {
            Some(ty) => self.expect(following, ty),
            None => self.any(following).expression,
        };
        if swap { (second, first.expression, ty) } else { (first.expression, second, ty) }
    }
}

/// The variables that are set for sure when a condition is as it is said.
pub(super) fn known_when(condition: &Expression, truth: bool) -> BTreeSet<u16> {
    match condition {
        Expression::Known(variable) if truth => BTreeSet::from([*variable]),
        Expression::Not(inner) => known_when(inner, !truth),
        Expression::Binary(operator @ (Operator::And | Operator::Or), left, right) => {
            let (left, right) = (known_when(left, truth), known_when(right, truth));
            // Both sides are as said, or at least one is and nobody knows which.
            if (*operator == Operator::And) == truth { &left | &right } else { &left & &right }
        }
        _ => BTreeSet::new(),
    }
}

fn nothing() -> Expression {
    Expression::Value(Value::Bool(false))
}

fn unknown() -> Typed {
    Typed { expression: nothing(), ty: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_tell_what_is_set() {
        let known = |variable| Expression::Known(variable);
        let not = |inner| Expression::Not(Box::new(inner));
        let join = |operator, a, b| Expression::Binary(operator, Box::new(a), Box::new(b));
        let sure =
            |condition: &Expression, truth| known_when(condition, truth).into_iter().collect::<Vec<_>>();
        assert_eq!((sure(&known(1), true), sure(&known(1), false)), (vec![1], vec![]));
        assert_eq!((sure(&not(known(1)), true), sure(&not(known(1)), false)), (vec![], vec![1]));
        let both = join(Operator::And, known(1), known(2));
        assert_eq!((sure(&both, true), sure(&both, false)), (vec![1, 2], vec![]));
        let either = join(Operator::Or, known(1), known(2));
        assert_eq!((sure(&either, true), sure(&either, false)), (vec![], vec![]));
        // `not known 1 or not known 2`: when that is not so, both are.
        let neither = join(Operator::Or, not(known(1)), not(known(2)));
        assert_eq!((sure(&neither, true), sure(&neither, false)), (vec![], vec![1, 2]));
        let same = join(Operator::Or, known(1), join(Operator::And, known(1), known(2)));
        assert_eq!(sure(&same, true), vec![1]);
    }
}
