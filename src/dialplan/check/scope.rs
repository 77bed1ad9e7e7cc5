//! The variables of a flow and their types, found before anything is checked: questions, outcomes and `set`
//! give them.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::action::{Action, Meaning};
use crate::dialplan::check::VARIABLES_MAX;
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::Operator;
use crate::dialplan::syntax::ast::{self, AskType, Flow, Line};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::Type;

/// A variable while the flow is being checked.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) name: String,
    /// Unknown when what gives it has a fault of its own.
    pub(super) ty: Option<Type>,
    pub(super) span: Span,
}

/// All variables of a flow.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) found: Vec<Found>,
    by_name: BTreeMap<String, u16>,
    /// Names that were reported as unknown: each is reported once.
    unknown: BTreeSet<String>,
}

/// The type of a question's answer.
pub(super) const fn answer_type(kind: AskType) -> Type {
    match kind {
        AskType::Digits => Type::Digits,
        AskType::Money => Type::Money,
        AskType::Phone => Type::Phone,
        AskType::Secret => Type::Secret,
    }
}

impl Scope {
    /// Finds the variables of a flow.
    pub(super) fn of(flow: &Flow, file: &str, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut scope = Self::default();
        let mut sets: Vec<(&Name, &Spanned<ast::Expression>)> =
            flow.start.iter().map(|(name, value)| (name, value)).collect();
        for step in &flow.steps {
            let mut action: Option<&'static Action> = None;
            for line in &step.lines {
                match &line.value {
                    Line::Ask(_, name, kind, _) => {
                        scope.declare(name, Some(answer_type(kind.value)), file, diagnostics);
                    }
                    Line::Do(name, _) => {
                        action = Action::find(&name.value);
                        if action.is_some_and(|a| a.outcomes.iter().any(|o| o.meaning == Meaning::Identified))
                        {
                            let caller = Spanned::new("caller".to_owned(), name.span);
                            scope.declare(&caller, Some(Type::Phone), file, diagnostics);
                        }
                    }
                    Line::On(outcome, names, actions, _) => {
                        let known = action.and_then(|action| action.outcome(&outcome.value));
                        for (index, name) in names.iter().enumerate() {
                            let field = known.and_then(|(_, outcome)| outcome.values.get(index));
                            scope.declare(name, field.map(|field| field.ty), file, diagnostics);
                        }
                        sets.extend(assignments(actions));
                    }
                    Line::Option(_, _, actions, _) | Line::Key(_, actions, _) => {
                        sets.extend(assignments(actions))
                    }
                    Line::Action(ast::Action::Set(name, value)) => sets.push((name, value)),
                    _ => {}
                }
            }
        }
        // A variable may be set from one that is only set further down: go round until nothing new is known.
        for _ in 0..=sets.len().min(VARIABLES_MAX) {
            let before = scope.found.iter().filter(|found| found.ty.is_some()).count();
            for (name, value) in &sets {
                let ty = scope.infer(&value.value);
                if scope.index(&name.value).is_none() || scope.type_of(&name.value).is_none() {
                    scope.declare(name, ty, file, diagnostics);
                }
            }
            if scope.found.iter().filter(|found| found.ty.is_some()).count() == before {
                break;
            }
        }
        if scope.found.len() > VARIABLES_MAX {
            let text = format!("a flow has at most {VARIABLES_MAX} variables");
            let span = flow.name.as_ref().map_or(Span::new(0, 0), |name| name.span);
            diagnostics.push(Diagnostic::error(Code::F002, file, span, text));
        }
        scope
    }

    fn declare(&mut self, name: &Name, ty: Option<Type>, file: &str, diagnostics: &mut Vec<Diagnostic>) {
        let Some(index) = self.index(&name.value) else {
            let index = u16::try_from(self.found.len()).unwrap_or(u16::MAX);
            self.by_name.insert(name.value.clone(), index);
            self.found.push(Found { name: name.value.clone(), ty, span: name.span });
            return;
        };
        let Some(found) = self.found.get_mut(usize::from(index)) else { return };
        match (found.ty, ty) {
            (None, Some(_)) => found.ty = ty,
            (Some(first), Some(second)) if first != second => {
                let text = format!("`{}` is {second} here and {first} elsewhere", name.value);
                diagnostics.push(
                    Diagnostic::error(Code::F041, file, name.span, text)
                        .here(format!("{second}"))
                        .label(file, found.span, format!("{first}"))
                        .hint("give one of them another name"),
                );
            }
            _ => {}
        }
    }

    pub(super) fn index(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    pub(super) fn type_of(&self, name: &str) -> Option<Type> {
        self.found.get(usize::from(self.index(name)?))?.ty
    }

    pub(super) fn name(&self, index: u16) -> &str {
        self.found.get(usize::from(index)).map_or("", |found| found.name.as_str())
    }

    /// The index of a variable that is used; an unknown name is reported the first time.
    pub(super) fn used(
        &mut self,
        name: &str,
        span: Span,
        file: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<u16> {
        let index = self.index(name);
        if index.is_none() && self.unknown.insert(name.to_owned()) {
            let known = self.found.iter().map(|found| found.name.as_str());
            let hint = match did_you_mean(name, known) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("set it, or ask for it: `ask @… for {name}: digits`"),
            };
            let text = format!("nothing sets `{name}`");
            diagnostics.push(Diagnostic::error(Code::F013, file, span, text).hint(hint));
        }
        index
    }

    fn infer(&self, expression: &ast::Expression) -> Option<Type> {
        match expression {
            ast::Expression::Variable(name) => self.type_of(name),
            ast::Expression::Number(_) => Some(Type::Int),
            ast::Expression::Amount(..) => Some(Type::Money),
            ast::Expression::Text(_) => Some(Type::Text),
            ast::Expression::Truth(_) | ast::Expression::Not(_) => Some(Type::Bool),
            ast::Expression::Least(list) => match self.infer(&list.value) {
                Some(Type::List(item)) => Some(*item),
                _ => None,
            },
            ast::Expression::Binary(Operator::Add | Operator::Subtract, left, right) => match &left.value {
                ast::Expression::Number(_) => self.infer(&right.value),
                left => self.infer(left),
            },
            ast::Expression::Binary(..) => Some(Type::Bool),
        }
    }
}

fn assignments(actions: &[Spanned<ast::Action>]) -> impl Iterator<Item = (&Name, &Spanned<ast::Expression>)> {
    actions.iter().filter_map(|action| match &action.value {
        ast::Action::Set(name, value) => Some((name, value)),
        _ => None,
    })
}
