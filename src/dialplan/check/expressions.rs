//! Types of expressions: literals take the type that their place wants, everything else must have it.

use crate::dialplan::catalog::Settings;
use crate::dialplan::check::scope::Scope;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::expression::{Expression, Operator};
use crate::dialplan::syntax::ast;
use crate::dialplan::syntax::span::{Span, Spanned};
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
            ast::Expression::Variable(name) => {
                let Some(index) = self.scope.used(name, written.span, self.file, self.diagnostics) else {
                    return unknown();
                };
                self.uses.push((index, written.span));
                Typed { expression: Expression::Variable(index), ty: self.scope.type_of(name) }
            }
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
            ast::Expression::Binary(operator, left, right) => self.binary(*operator, left, right, wanted),
        }
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
                let (a, b) = (self.expect(left, Type::Bool), self.expect(right, Type::Bool));
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
                let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
                let wanted = wanted.filter(|ty| sum && *ty != Type::Bool);
                let (a, b, ty) = self.pair(left, right, wanted, equality);
                Typed { expression: join(a, b), ty: if sum { ty } else { Some(Type::Bool) } }
            }
        }
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
        equality: bool,
    ) -> (Expression, Expression, Option<Type>) {
        let literal =
            |e: &ast::Expression| matches!(e, ast::Expression::Number(_) | ast::Expression::Text(_));
        // The side that has a type of its own is looked at first.
        let swap = literal(&left.value) && !literal(&right.value);
        let (leading, following) = if swap { (right, left) } else { (left, right) };
        let first = self.typed(leading, wanted);
        let mut ty = first.ty;
        if ty == Some(Type::Secret) {
            self.secret(leading.span);
            ty = None;
        } else if !equality && !self.countable(ty, leading.span) {
            ty = None;
        }
        let second = match ty {
            Some(ty) => self.expect(following, ty),
            None => self.any(following).expression,
        };
        if swap { (second, first.expression, ty) } else { (first.expression, second, ty) }
    }
}

fn nothing() -> Expression {
    Expression::Value(Value::Bool(false))
}

fn unknown() -> Typed {
    Typed { expression: nothing(), ty: None }
}
