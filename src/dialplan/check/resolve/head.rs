//! The head of a flow: limits, keys, commands, params, hours, and what a conversation starts with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::action::{written_type, written_types};
use crate::dialplan::catalog::Settings;
use crate::dialplan::check::expressions::Typer;
use crate::dialplan::check::resolve::{Head, Resolver};
use crate::dialplan::civil::{Date, Time};
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::expression::Expression;
use crate::dialplan::program::{ITEMS_MAX, Part, PinOnSms, Target, VISITS_DEFAULT};
use crate::dialplan::route::Element;
use crate::dialplan::syntax::ast::{self, AskType, Destination, GlobalKey, Line, Param, Signature};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::{Type, Value};
use crate::money::Money;
use crate::msisdn::Msisdn;

impl Resolver<'_> {
    /// Looks at the heads of the flow and of all that it calls.
    pub(super) fn heads(&mut self) -> Head {
        let mut start = Vec::new();
        for frame in 0..self.layout.frames.len() {
            self.enter(frame);
            self.duplicate_steps();
            self.types();
            self.limit();
            self.params(&mut start);
        }
        self.enter(0);
        if self.flow().sub.is_some() {
            let span = self.flow().name.as_ref().map_or(Span::new(0, 0), |name| name.span);
            self.scope.declare_caller(span, self.diagnostics);
        }
        self.routes();
        self.pin_on_sms();
        let back = self.global_key(GlobalKey::Back);
        let main = self.global_key(GlobalKey::Main);
        let own = self.part("", 0);
        start.extend(own.start.iter().cloned());
        let flows = self.layout.flows.iter().skip(1);
        let others = flows.map(|(name, frame)| self.part(name, *frame)).collect();
        self.enter(0);
        Head { start, back, main, own, others }
    }

    /// How a conversation begins in a flow.
    fn part(&mut self, name: &str, frame: usize) -> Part {
        self.enter(frame);
        let mut start = Vec::new();
        self.start(&mut start);
        let opening = self.flow().open.as_ref().map(|open| &open.value);
        Part {
            name: Arc::from(name),
            first: u16::try_from(self.own().first).unwrap_or(u16::MAX),
            clear: self.scope.of_frame(frame),
            start,
            open: opening.map(|open| open.spans.clone()).unwrap_or_default(),
            open_else: opening.map_or(Target::End, |open| self.target(&open.otherwise)),
            hangup: None,
        }
    }

    fn duplicate_steps(&mut self) {
        let flow = self.flow();
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for step in flow.steps.iter().filter(|step| !step.name.value.is_empty()) {
            let Some(first) = seen.get(step.name.value.as_str()).copied() else {
                seen.insert(&step.name.value, step.name.span);
                continue;
            };
            self.incomplete = true;
            let text = format!("there are two steps named `{}`", step.name.value);
            self.diagnostics.push(
                Diagnostic::error(Code::F003, self.file(), step.name.span, text)
                    .here("again")
                    .label(self.file(), first, "first")
                    .hint("give one of them another name"),
            );
        }
        if flow.steps.is_empty()
            && let Some(name) = &flow.name
        {
            self.error(Code::F031, name.span, "this flow has no step", "write `step NAME` and its lines");
        }
    }

    /// The types of params, parameters and outcomes are types.
    fn types(&mut self) {
        let flow = self.flow();
        let signature = flow.sub.iter();
        let outcomes = signature.clone().flat_map(|sub| sub.gives.iter().flat_map(|(_, values)| values));
        let names = signature.flat_map(|sub| &sub.parameters).chain(outcomes);
        for ty in names.map(|(_, ty)| ty).chain(flow.params.iter().map(|param| &param.ty)) {
            if written_type(&ty.value).is_some() {
                continue;
            }
            if ty.value == "secret" {
                let hint = "ask the caller for it, right before the action that takes it";
                self.error(Code::F080, ty.span, "a secret cannot be handed on", hint);
                continue;
            }
            let types = written_types();
            let hint = match did_you_mean(&ty.value, types.iter().map(String::as_str)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("types are {}, and lists of them", types.join(", ")),
            };
            self.error(Code::F041, ty.span, format!("there is no type `{}`", ty.value), hint);
        }
        let Some(signature) = &flow.sub else { return };
        let parameters = signature.parameters.iter().map(|(name, _)| name);
        self.same_twice("parameters", parameters);
        self.same_twice("outcomes", signature.gives.iter().map(|(name, _)| name));
        self.returned(signature);
    }

    /// Every outcome is returned somewhere.
    fn returned(&mut self, signature: &Signature) {
        let flow = self.flow();
        let lines = || flow.steps.iter().flat_map(|step| &step.lines);
        let names: BTreeSet<&str> = lines().filter_map(|line| returned(&line.value)).collect();
        let given = |name: &str| signature.gives.iter().any(|(given, _)| given.value == name);
        // A misspelt one is reported where it stands, and a line that was not understood may be the one.
        if lines().any(|line| line.value == Line::Broken) || !names.iter().all(|name| given(name)) {
            return;
        }
        for (name, _) in signature.gives.iter().filter(|(name, _)| !names.contains(name.value.as_str())) {
            self.incomplete = true;
            let text = format!("nothing returns `{}`", name.value);
            let hint = format!("write `return {}` where it ends so, or take it out of `gives`", name.value);
            self.error(Code::F030, name.span, text, hint);
        }
    }

    fn same_twice<'n>(&mut self, what: &str, names: impl Iterator<Item = &'n Name>) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for name in names {
            if let Some(first) = seen.insert(&name.value, name.span) {
                let text = format!("there are two {what} named `{}`", name.value);
                self.diagnostics.push(
                    Diagnostic::error(Code::F003, self.file(), name.span, text).here("again").label(
                        self.file(),
                        first,
                        "first",
                    ),
                );
            }
        }
    }

    /// When a caller is given up: in a sub-flow that does not say it, as in the flow that calls.
    fn limit(&mut self) {
        let flow = self.flow();
        let parent = self.own().parent.and_then(|parent| self.limits.get(parent)).copied();
        let mut limits = parent.unwrap_or_default();
        if let Some((count, to)) = &flow.tries {
            (limits.tries, limits.tries_then) = (*count, self.target(to));
            if parent.is_none() {
                (limits.visits, limits.visits_then) = (VISITS_DEFAULT, limits.tries_then);
            }
        }
        if let Some((count, to)) = &flow.visits {
            (limits.visits, limits.visits_then) = (*count, self.target(to));
        }
        self.limits.push(limits);
    }

    /// The steps for giving up, with the places where they are named so.
    pub(super) fn give_up(&mut self) -> Vec<(usize, Arc<str>, Span)> {
        let mut out = Vec::new();
        for frame in 0..self.layout.frames.len() {
            self.enter(frame);
            for (_, to) in [&self.flow().tries, &self.flow().visits].into_iter().flatten() {
                out.extend(self.step_index(to).map(|step| (step, self.file().clone(), to.span())));
            }
        }
        self.enter(0);
        out
    }

    /// The slots of commands are variables that some question asks for.
    fn routes(&mut self) {
        let flow = self.flow();
        for pattern in flow.ussd.iter().chain(&flow.sms) {
            for element in &pattern.value {
                let Element::Slot { name, .. } = &element.value else { continue };
                let variable = self.scope.used(name, element.span, self.diagnostics);
                if variable.is_some() && self.scope.type_of(name) == Some(Type::Secret) {
                    let hint = "it would be shown on the caller's screen and stay in it";
                    self.error(Code::F080, element.span, "a secret cannot be part of a command", hint);
                }
            }
        }
    }

    /// A flow that asks for a PIN and is reached by text message says what happens then.
    fn pin_on_sms(&mut self) {
        let flow = self.flow();
        let Some(command) = flow.sms.first() else { return };
        let mut lines =
            self.layout.frames.iter().flat_map(|frame| &frame.flow.steps).flat_map(|step| &step.lines);
        let asks = lines
            .any(|line| matches!(&line.value, Line::Ask(_, _, kind, _) if kind.value == AskType::Secret));
        if !asks {
            return;
        }
        match flow.pin_on_sms {
            None => {
                let hint = "write `pin on sms callback` below: the PIN is asked by a call or on a screen; or `refuse`, \
                            `reply`, `none`";
                let text = "this flow asks for a PIN, and does not say what happens in text messages";
                self.error(Code::F081, command.span, text, hint);
            }
            Some(PinOnSms::None) if self.place.settings.no_pin_cap.is_none() => {
                let text =
                    "without a PIN only small amounts are paid by text message, and no cap is configured";
                let hint = "write `sms_without_pin = \"20\"` below `[pin]` in keytone.toml, or `pin on sms callback` here";
                self.error(Code::F081, command.span, text, hint);
            }
            Some(_) => {}
        }
    }

    fn global_key(&mut self, wanted: GlobalKey) -> Option<char> {
        let flow = self.flow();
        let mut keys = flow.keys.iter().filter(|(_, meaning)| *meaning == wanted);
        let key = keys.next().map(|(key, _)| key.value);
        if let Some((second, _)) = keys.next() {
            self.error(Code::F003, second.span, "this key was already chosen", "choose one key");
        }
        // Both meanings are asked for in turn: a key with two is reported for one of them.
        if wanted == GlobalKey::Main
            && let Some((other, _)) =
                flow.keys.iter().find(|(other, m)| *m != wanted && Some(other.value) == key)
        {
            let text = format!("the key {} cannot mean both", other.value);
            self.error(Code::F072, other.span, text, "choose another key for one of them");
        }
        key
    }

    fn start(&mut self, out: &mut Vec<(u16, Value)>) {
        for (name, value) in &self.flow().start {
            let ty = self.scope.type_of(&name.value);
            if ty == Some(Type::Secret) {
                self.error(Code::F080, name.span, "a secret cannot be given", "ask the caller for it");
                continue;
            }
            match (self.scope.index(&name.value), self.value(value, ty)) {
                (Some(variable), Expression::Value(value)) => out.push((variable, value)),
                _ => self.error(
                    Code::F041,
                    value.span,
                    "a session can only start with a plain value",
                    "write a number, `yes`, `no` or a text",
                ),
            }
        }
    }

    // ---- params

    /// Params have the values of the configuration, or those of the flow.
    fn params(&mut self, out: &mut Vec<(u16, Value)>) {
        let flow = self.flow();
        let name = flow.name.as_ref();
        let given = name.and_then(|name| self.place.settings.params.get(&name.value));
        for param in &flow.params {
            let Some(ty) = written_type(&param.ty.value) else { continue };
            let own = self.param(param, ty);
            let text = given.and_then(|given| given.get(&param.name.value));
            let value = match text {
                Some(text) => {
                    let read = read(text, ty, self.place.settings);
                    if read.is_none() {
                        let flow = name.map_or("", |name| name.value.as_str());
                        let fault = format!("the configuration's `{text}` is no {ty}");
                        let hint = format!("correct `{}` below `[dialplan.params.{flow}]`", param.name.value);
                        self.error(Code::F014, param.name.span, fault, hint);
                    }
                    read
                }
                None => own,
            };
            out.extend(self.scope.index(&param.name.value).zip(value));
        }
        let (Some(given), Some(name)) = (given, name) else { return };
        for key in given.keys().filter(|key| !flow.params.iter().any(|param| param.name.value == **key)) {
            let hint = match did_you_mean(key, flow.params.iter().map(|param| param.name.value.as_str())) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("take it out of `[dialplan.params.{}]`", name.value),
            };
            let text = format!("the configuration gives `{key}`, which is no param of this flow");
            self.error(Code::F014, name.span, text, hint);
        }
    }

    fn param(&mut self, param: &Param, ty: Type) -> Option<Value> {
        let first = param.value.first()?;
        let whole = param.value.last().map_or(first.span, |last| first.span.to(last.span));
        let item = match ty {
            Type::List(item) => *item,
            ty => ty,
        };
        if matches!(item, Type::Record(_)) {
            let text = format!("a {item} comes from an action only");
            self.error(Code::F041, param.ty.span, text, "choose another type");
            return None;
        }
        if param.value.len() > 1 && item == ty {
            let text = format!("`{}` has one value", param.name.value);
            self.error(Code::F041, whole, text, format!("write `{ty} list` if several are meant"));
            return None;
        }
        if param.value.len() > ITEMS_MAX {
            self.error(Code::F002, whole, format!("a list has at most {ITEMS_MAX} values"), "leave some out");
            return None;
        }
        let values: Option<Vec<Value>> = param.value.iter().map(|value| self.literal(value, item)).collect();
        match ty {
            Type::List(_) => values.map(Value::List),
            _ => values?.into_iter().next(),
        }
    }

    /// A plain value; a telephone number is written as a text, or with its plus.
    fn literal(&mut self, written: &Spanned<ast::Expression>, ty: Type) -> Option<Value> {
        let settings = self.place.settings;
        if let (ast::Expression::Text(text), Type::Phone) = (&written.value, ty) {
            let phone = read_one(text, ty, settings);
            if phone.is_none() {
                let text = format!("`{text}` is no telephone number");
                self.error(
                    Code::F041,
                    written.span,
                    text,
                    "write it as people dial it, or with `+` and the country",
                );
            }
            return phone;
        }
        let before = self.diagnostics.len();
        let mut typer: Typer<'_> = self.typer();
        match typer.expect(written, ty) {
            Expression::Value(value) => Some(value),
            _ => {
                if self.diagnostics.len() == before {
                    let hint = "write a number, an amount, `yes`, `no`, a date, a time or a text";
                    self.error(Code::F041, written.span, "a param is a plain value", hint);
                }
                None
            }
        }
    }
}

/// The outcome that a line returns.
fn returned(line: &Line) -> Option<&str> {
    match (line, line.destination()) {
        (Line::Return(name, _), _) | (_, Some(Destination::Return(name, _))) => Some(&name.value),
        _ => None,
    }
}

/// Reads what the configuration gives for a param: values of a list with commas between.
fn read(text: &str, ty: Type, settings: &Settings) -> Option<Value> {
    let Type::List(item) = ty else { return read_one(text, ty, settings) };
    if text.trim().is_empty() {
        return Some(Value::List(Vec::new()));
    }
    let items: Option<Vec<Value>> = text.split(',').map(|text| read_one(text, *item, settings)).collect();
    items.filter(|items| items.len() <= ITEMS_MAX).map(Value::List)
}

fn read_one(text: &str, ty: Type, settings: &Settings) -> Option<Value> {
    let text = text.trim();
    match ty {
        Type::Bool => match text {
            "yes" | "true" => Some(Value::Bool(true)),
            "no" | "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Type::Int => text.parse().ok().map(Value::Int),
        Type::Money => {
            let number = text.strip_suffix(settings.currency.code()).map_or(text, str::trim_end);
            Money::parse(number, settings.currency).ok().map(Value::Money)
        }
        Type::Phone => {
            let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
            let longest = settings.national_digits.1;
            Msisdn::dialled(&plain, &settings.country, longest.into()).ok().map(Value::Phone)
        }
        Type::Digits => {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| Value::Digits(text.to_owned()))
        }
        Type::Text => Some(Value::Text(text.to_owned())),
        Type::Date => Date::parse(text).map(Value::Date),
        Type::Time => Time::parse(text).map(Value::Time),
        Type::Secret | Type::Name(_) | Type::Choice(_) | Type::Record(_) | Type::List(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn the_configuration_is_read_by_the_type() {
        let settings = Settings {
            country: "86".into(),
            national_digits: (11, 11),
            ..Settings::of(Currency::new("CNY").unwrap())
        };
        let shown = |text: &str, ty: &str| {
            let ty = written_type(ty).unwrap();
            let value = read(text, ty, &settings)?;
            assert!(value.is(ty), "{text}");
            Some(serde_json::to_string(&value).unwrap())
        };
        for (text, ty, good) in [
            ("50, 100 CNY", "money list", true),
            ("", "money list", true),
            ("50 USD", "money", false),
            ("50,", "money list", false),
            ("3", "number", true),
            ("three", "number", false),
            ("yes", "yes/no", true),
            ("138 0000 0001", "phone", true),
            ("+254712345678", "phone", true),
            ("12", "phone", false),
            ("0123", "digits", true),
            ("0x", "digits", false),
            ("2026-02-29", "date", false),
            ("08:00, 9:30", "time list", true),
            ("x", "bill", false),
        ] {
            assert_eq!(shown(text, ty).is_some(), good, "{text} as {ty}");
        }
        assert!(read(&vec!["1"; ITEMS_MAX + 1].join(","), Type::List(&Type::Int), &settings).is_none());
    }
}
