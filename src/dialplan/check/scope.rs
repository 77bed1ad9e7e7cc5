//! The variables of a flow and of all that it calls, with their types, found before anything is checked: params, parameters,
//! questions, outcomes, lists and `set` give them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::action::{Action, Meaning, written_type};
use crate::dialplan::check::calls::{Frame, Layout};
use crate::dialplan::check::{VARIABLES_MAX, suggestion};
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::expression::Operator;
use crate::dialplan::syntax::ast::{self, AskType, Line, Signature};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::Type;

/// The variable of the caller's number: one for a flow and all that it calls.
const CALLER: &str = "caller";
/// Names that are values by themselves.
const RESERVED: [&str; 2] = ["today", "now"];

/// A variable while the flow is being checked.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its name, with those of the calls that lead to it.
    pub(super) name: String,
    /// Unknown when what gives it has a fault of its own.
    pub(super) ty: Option<Type>,
    pub(super) span: Span,
    file: Arc<str>,
    /// Whether the configuration gives it: nothing else may.
    param: bool,
    /// Whether it was reported to have two types: what follows from either is not reported.
    torn: bool,
}

/// All variables of a flow.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) found: Vec<Found>,
    /// By frame and name.
    by_name: BTreeMap<(usize, String), u16>,
    /// The frame whose names are meant.
    frame: usize,
    file: Arc<str>,
    prefix: String,
    /// Names that were reported as unknown: each is reported once.
    unknown: BTreeSet<(usize, String)>,
}

/// The type of a question's answer.
pub(super) const fn answer_type(kind: AskType) -> Type {
    match kind {
        AskType::Digits => Type::Digits,
        AskType::Money => Type::Money,
        AskType::Phone => Type::Phone,
        AskType::Secret => Type::Secret,
        AskType::YesNo => Type::Bool,
        AskType::Date => Type::Date,
    }
}

/// The types of the values of a sub-flow's outcome.
pub(super) fn outcome_types<'s>(
    signature: &'s Signature,
    outcome: &str,
) -> Option<Vec<(&'s Name, Option<Type>)>> {
    let (_, values) = signature.gives.iter().find(|(name, _)| name.value == outcome)?;
    Some(values.iter().map(|(name, ty)| (name, written_type(&ty.value))).collect())
}

/// What gives a variable a type that must be found out.
enum Source<'f> {
    Value(&'f ast::Expression),
    Item(&'f ast::Expression),
}

impl Scope {
    /// Finds the variables of a flow and of all that it calls.
    pub(super) fn of(layout: &Layout<'_>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut scope = Self::default();
        let mut sources: Vec<(usize, &Name, Source<'_>)> = Vec::new();
        for (number, frame) in layout.frames.iter().enumerate() {
            scope.enter(number, frame);
            scope.declare_frame(layout, frame, diagnostics);
            sources.extend(sources_of(frame).map(|(name, source)| (number, name, source)));
        }
        // A variable may be set from one that is only set further down: go round until nothing new is known.
        for _ in 0..=sources.len().min(VARIABLES_MAX) {
            let before = scope.found.iter().filter(|found| found.ty.is_some()).count();
            for (number, name, source) in &sources {
                if let Some(frame) = layout.frames.get(*number).filter(|_| scope.frame != *number) {
                    scope.enter(*number, frame);
                }
                if scope.type_of(&name.value).is_some() {
                    continue;
                }
                let ty = match source {
                    Source::Value(value) => scope.infer(value),
                    Source::Item(list) => match scope.infer(list) {
                        Some(Type::List(item)) => Some(*item),
                        _ => None,
                    },
                };
                scope.declare(name, ty, diagnostics);
            }
            if scope.found.iter().filter(|found| found.ty.is_some()).count() == before {
                break;
            }
        }
        if scope.found.len() > VARIABLES_MAX
            && let Some(root) = layout.frames.first()
        {
            let text = format!("a flow has at most {VARIABLES_MAX} variables, those of its calls included");
            let span = root.flow.name.as_ref().map_or(Span::new(0, 0), |name| name.span);
            diagnostics.push(Diagnostic::error(Code::F002, &root.file, span, text));
        }
        scope.params_are_kept(layout, diagnostics);
        scope
    }

    /// Names are those of this frame from now on.
    pub(super) fn enter(&mut self, number: usize, frame: &Frame<'_>) {
        self.frame = number;
        self.file = frame.file.clone();
        self.prefix.clone_from(&frame.prefix);
    }

    fn declare_frame(&mut self, layout: &Layout<'_>, frame: &Frame<'_>, diagnostics: &mut Vec<Diagnostic>) {
        for param in &frame.flow.params {
            if let Some(first) =
                self.index(&param.name.value).and_then(|index| self.found.get(usize::from(index)))
            {
                let text = format!("there are two params named `{}`", param.name.value);
                diagnostics.push(
                    Diagnostic::error(Code::F003, &self.file, param.name.span, text)
                        .here("again")
                        .label(&self.file, first.span, "first"),
                );
                continue;
            }
            self.declare(&param.name, written_type(&param.ty.value), diagnostics);
            if let Some(found) = self.found.last_mut() {
                found.param = true;
            }
        }
        for (name, ty) in frame.signature().into_iter().flat_map(|signature| &signature.parameters) {
            self.declare(name, written_type(&ty.value), diagnostics);
        }
        for (index, step) in frame.flow.steps.iter().enumerate() {
            let called = frame.calls.get(&index).and_then(|child| layout.frames.get(*child));
            self.declare_step(step, called.and_then(Frame::signature), diagnostics);
        }
    }

    fn declare_step(
        &mut self,
        step: &ast::Step,
        called: Option<&Signature>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut awaited: Option<&'static Action> = None;
        for line in &step.lines {
            match &line.value {
                Line::Ask(_, name, kind, _) => self.declare(name, Some(answer_type(kind.value)), diagnostics),
                Line::Call(..) => awaited = None,
                Line::Do(name, _) => {
                    awaited = Action::find(&name.value);
                    let identifies = |action: &Action| {
                        action.outcomes.iter().any(|outcome| outcome.meaning == Meaning::Identified)
                    };
                    if awaited.is_some_and(identifies) {
                        let caller = Spanned::new(CALLER.to_owned(), name.span);
                        self.declare(&caller, Some(Type::Phone), diagnostics);
                    }
                }
                Line::On(outcome, names, ..) => {
                    let types: Vec<Option<Type>> = match awaited {
                        Some(action) => {
                            action.outcome(&outcome.value).map_or_else(Vec::new, |(_, outcome)| {
                                outcome.values.iter().map(|field| Some(field.ty)).collect()
                            })
                        }
                        None => called
                            .and_then(|signature| outcome_types(signature, &outcome.value))
                            .map_or_else(Vec::new, |values| values.into_iter().map(|(_, ty)| ty).collect()),
                    };
                    for (index, name) in names.iter().enumerate() {
                        self.declare(name, types.get(index).copied().flatten(), diagnostics);
                    }
                }
                _ => {}
            }
        }
    }

    /// The caller's number is set before a sub-flow that is looked at alone.
    pub(super) fn declare_caller(&mut self, span: Span, diagnostics: &mut Vec<Diagnostic>) {
        self.declare(&Spanned::new(CALLER.to_owned(), span), Some(Type::Phone), diagnostics);
    }

    fn declare(&mut self, name: &Name, ty: Option<Type>, diagnostics: &mut Vec<Diagnostic>) {
        let Some(index) = self.index(&name.value) else {
            if RESERVED.contains(&name.value.as_str()) {
                let text = format!("`{}` has a meaning of its own: when the conversation began", name.value);
                let fault = Diagnostic::error(Code::F003, &self.file, name.span, text);
                diagnostics.push(fault.hint("choose another name"));
            }
            let index = u16::try_from(self.found.len()).unwrap_or(u16::MAX);
            self.by_name.insert(self.key(&name.value), index);
            let prefix = if name.value == CALLER { "" } else { self.prefix.as_str() };
            self.found.push(Found {
                name: format!("{prefix}{}", name.value),
                ty,
                span: name.span,
                file: self.file.clone(),
                param: false,
                torn: false,
            });
            return;
        };
        let Some(found) = self.found.get_mut(usize::from(index)) else { return };
        match (found.ty, ty) {
            (None, Some(_)) if !found.torn => found.ty = ty,
            (Some(first), Some(second)) if first != second && !found.param => {
                // A secret stays one, so that nothing shows it.
                if first != Type::Secret {
                    found.torn = true;
                    found.ty = None;
                }
                let text = format!("`{}` is {second} here and {first} elsewhere", name.value);
                diagnostics.push(
                    Diagnostic::error(Code::F041, &self.file, name.span, text)
                        .here(format!("{second}"))
                        .label(&found.file, found.span, format!("{first}"))
                        .hint("give one of them another name"),
                );
            }
            _ => {}
        }
    }

    /// What the configuration gives, nothing in a flow changes.
    fn params_are_kept(&mut self, layout: &Layout<'_>, diagnostics: &mut Vec<Diagnostic>) {
        for (number, frame) in layout.frames.iter().enumerate().filter(|(_, f)| !f.flow.params.is_empty()) {
            self.enter(number, frame);
            let mut names: Vec<&Name> = sources_of(frame).map(|(name, _)| name).collect();
            let parameters = frame.signature().into_iter().flat_map(|signature| &signature.parameters);
            names.extend(parameters.map(|(name, _)| name));
            for line in frame.flow.steps.iter().flat_map(|step| &step.lines) {
                match &line.value {
                    Line::Ask(_, name, ..) => names.push(name),
                    Line::On(_, bound, ..) => names.extend(bound),
                    _ => {}
                }
            }
            for name in names {
                let found = self.index(&name.value).and_then(|index| self.found.get(usize::from(index)));
                if let Some(found) = found.filter(|found| found.param) {
                    let text = format!("`{}` is a param: only the configuration sets it", name.value);
                    diagnostics.push(
                        Diagnostic::error(Code::F003, &self.file, name.span, text)
                            .label(&found.file, found.span, "the param")
                            .hint("give this another name"),
                    );
                }
            }
        }
    }

    fn key(&self, name: &str) -> (usize, String) {
        (if name == CALLER { 0 } else { self.frame }, name.to_owned())
    }

    /// The index of a variable of the frame.
    pub(super) fn index(&self, name: &str) -> Option<u16> {
        self.by_name.get(&self.key(name)).copied()
    }

    /// The index of a variable of another frame.
    pub(super) fn index_in(&self, frame: usize, name: &str) -> Option<u16> {
        self.by_name.get(&(frame, name.to_owned())).copied()
    }

    /// The type of a variable of the frame.
    pub(super) fn type_of(&self, name: &str) -> Option<Type> {
        self.type_at(self.index(name)?)
    }

    pub(super) fn type_at(&self, index: u16) -> Option<Type> {
        self.found.get(usize::from(index))?.ty
    }

    pub(super) fn name(&self, index: u16) -> &str {
        self.found.get(usize::from(index)).map_or("", |found| found.name.as_str())
    }

    /// The variable of the caller's number, if there is one.
    pub(super) fn caller(&self) -> Option<u16> {
        self.by_name.get(&(0, CALLER.to_owned())).copied()
    }

    /// All params: they are set from the start, whatever is wrong with their values.
    pub(super) fn params(&self) -> impl Iterator<Item = u16> {
        (0_u16..).zip(&self.found).filter(|(_, found)| found.param).map(|(index, _)| index)
    }

    /// All variables of the frame but the caller's number and params: what a call begins without.
    pub(super) fn of_frame(&self, frame: usize) -> Vec<u16> {
        let own = self.by_name.range((frame, String::new())..(frame + 1, String::new()));
        own.filter(|((_, name), _)| name != CALLER)
            .map(|(_, index)| *index)
            .filter(|index| self.found.get(usize::from(*index)).is_some_and(|found| !found.param))
            .collect()
    }

    /// The index of a variable that is used; an unknown name is reported the first time.
    pub(super) fn used(&mut self, name: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) -> Option<u16> {
        let index = self.index(name);
        if index.is_none() && self.unknown.insert((self.frame, name.to_owned())) {
            let frame = self.frame;
            let known = self.by_name.keys().filter(|(of, _)| *of == frame).map(|(_, name)| name.as_str());
            let hint = match suggestion(diagnostics, name, known.chain(RESERVED)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("set it, or ask for it: `ask @… for {name}: digits`"),
            };
            let text = format!("nothing sets `{name}`");
            diagnostics.push(Diagnostic::error(Code::F013, &self.file, span, text).hint(hint));
        }
        index
    }

    fn infer(&self, expression: &ast::Expression) -> Option<Type> {
        match expression {
            ast::Expression::Variable(name) => match (self.type_of(name), name.as_str()) {
                (Some(ty), _) => Some(ty),
                (None, "today") => Some(Type::Date),
                (None, "now") => Some(Type::Time),
                (None, name) => {
                    let (record, field) = name.split_once('.')?;
                    match self.type_of(record)? {
                        Type::Record(record) => record.field(field).map(|(_, ty)| ty),
                        _ => None,
                    }
                }
            },
            ast::Expression::Number(_) | ast::Expression::Count(_) => Some(Type::Int),
            ast::Expression::Amount(..) => Some(Type::Money),
            ast::Expression::Text(_) => Some(Type::Text),
            ast::Expression::Truth(_) | ast::Expression::Not(_) | ast::Expression::Known(_) => {
                Some(Type::Bool)
            }
            ast::Expression::Date(_) => Some(Type::Date),
            ast::Expression::Time(_) => Some(Type::Time),
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

/// The variables of a frame whose types follow from what they are set from.
fn sources_of<'f>(frame: &Frame<'f>) -> impl Iterator<Item = (&'f Name, Source<'f>)> {
    let flow = frame.flow;
    let start = flow.start.iter().map(|(name, value)| (name, Source::Value(&value.value)));
    let hangup = flow.on_hangup.iter().flat_map(|lines| &lines.value);
    let lines = flow.steps.iter().flat_map(|step| &step.lines).chain(hangup).flat_map(|line| {
        let mut out = Vec::new();
        let actions: &[Spanned<ast::Action>] = match &line.value {
            Line::On(_, _, actions, _)
            | Line::Option(_, _, actions, _)
            | Line::Key(_, actions, _)
            | Line::Empty(_, actions, _) => actions,
            Line::Each(each) => {
                out.push((&each.item, Source::Item(&each.list.value)));
                &each.actions
            }
            Line::Action(ast::Action::Set(name, value)) => {
                out.push((name, Source::Value(&value.value)));
                &[]
            }
            _ => &[],
        };
        out.extend(actions.iter().filter_map(|action| match &action.value {
            ast::Action::Set(name, value) => Some((name, Source::Value(&value.value))),
            _ => None,
        }));
        out
    });
    start.chain(lines)
}
