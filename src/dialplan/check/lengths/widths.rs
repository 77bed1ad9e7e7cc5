//! The widest values that variables can hold, by what fills them: a question's digits, a literal, or whatever the
//! type allows when it comes from outside.

use crate::dialplan::check::lengths::extent::Extent;
use crate::dialplan::civil::{Date, Time};
use crate::dialplan::expression::{Expression, Operator};
use crate::dialplan::numbers::LIST_MAX;
use crate::dialplan::program::{Ask, Given, Op, Program, Reading};
use crate::dialplan::value::{OUTSIDE_MAX, Type, Value};
use crate::money::Money;
use crate::msisdn::Msisdn;

/// Which values are meant: what comes from outside has no end that an author could do anything about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Width {
    /// The widest that there can be: nothing is ever longer.
    Widest,
    /// As wide as they are in the life of a service.
    Usual,
}

/// How wide values from outside are.
struct Limits {
    /// Characters of a text.
    text: usize,
    /// Digits of a reference.
    digits: usize,
    /// Digits before the decimals of an amount that no question bounds.
    money: u8,
    /// A number that is counted with.
    number: i64,
    /// Items of a list within a text.
    items: usize,
}

static WIDEST: Limits =
    Limits { text: OUTSIDE_MAX, digits: OUTSIDE_MAX, money: 9, number: i64::MIN + 1, items: LIST_MAX };
/// Amounts to 99,999.99, references of 12 digits, names of 20 letters, three amounts to choose from.
static USUAL: Limits = Limits { text: 20, digits: 12, money: 5, number: 99, items: 3 };

/// Different values that are tried for one variable.
const TRIED_MAX: usize = 16;

/// For each variable, values of which one is the widest in every text. Those in GSM 03.38 come first.
pub(super) struct Widths<'p> {
    program: &'p Program,
    width: Width,
    limits: &'static Limits,
    of: Vec<Vec<Value>>,
    /// Variables that may hold anything of their type.
    full: Vec<bool>,
}

impl<'p> Widths<'p> {
    pub(super) fn of(program: &'p Program, width: Width) -> Self {
        let mut widths = Self {
            program,
            width,
            limits: if width == Width::Widest { &WIDEST } else { &USUAL },
            of: vec![Vec::new(); program.variables().len()],
            full: vec![false; program.variables().len()],
        };
        for (variable, value) in
            program.start.iter().chain(program.others.iter().flat_map(|part| &part.start))
        {
            widths.add(*variable, vec![value.clone()]);
        }
        if let Some(caller) = program.caller {
            let phones = widths.widest(Type::Phone);
            widths.add(caller, phones);
        }
        // What is copied from a variable that is only filled further down: until nothing new comes.
        loop {
            let before: usize = widths.of.iter().map(Vec::len).sum();
            for step in program.steps() {
                widths.ops(&step.ops);
            }
            if widths.of.iter().map(Vec::len).sum::<usize>() == before {
                return widths;
            }
        }
    }

    fn add(&mut self, variable: u16, values: Vec<Value>) {
        let index = usize::from(variable);
        let (Some(known), Some(full)) = (self.of.get_mut(index), self.full.get_mut(index)) else { return };
        if *full {
            return;
        }
        for value in values {
            if !known.contains(&value) {
                known.push(value);
            }
        }
        if known.len() > TRIED_MAX {
            *full = true;
            let ty = self.program.variables().get(index).map(|variable| variable.ty);
            let anything = ty.map(|ty| self.widest(ty)).unwrap_or_default();
            if let Some(known) = self.of.get_mut(index) {
                *known = anything;
            }
        }
    }

    fn ops(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Given { then: Given::Goto { variable, reading, max, .. }, .. } => {
                    let values = self.read(*reading, *max);
                    self.add(*variable, values);
                }
                Op::Ask(ask) => self.ask(ask),
                Op::Set { variable, value } => {
                    let values = self.values(value);
                    self.add(*variable, values);
                }
                Op::Menu(menu) => {
                    menu.choices.iter().for_each(|choice| self.ops(&choice.block));
                    if let Some(each) = &menu.each {
                        self.fill(each.item);
                        self.ops(&each.block);
                        self.ops(&each.empty);
                    }
                }
                Op::Do { branches, .. } => {
                    for branch in branches {
                        branch.bind.iter().for_each(|variable| self.fill(*variable));
                        self.ops(&branch.block);
                    }
                }
                _ => {}
            }
        }
    }

    /// Anything of its type may come.
    fn fill(&mut self, variable: u16) {
        let ty = self.program.variables().get(usize::from(variable)).map(|variable| variable.ty);
        let values = ty.map(|ty| self.widest(ty)).unwrap_or_default();
        self.add(variable, values);
    }

    fn ask(&mut self, ask: &Ask) {
        let values = self.read(ask.reading, ask.max);
        self.add(ask.variable, values);
    }

    fn read(&self, reading: Reading, max: u8) -> Vec<Value> {
        match reading {
            Reading::Digits => {
                let most = if self.width == Width::Widest { usize::MAX } else { self.limits.digits };
                vec![Value::Digits("0".repeat(most.min(max.into())))]
            }
            Reading::Money => {
                vec![self.amount(if self.width == Width::Widest { max } else { max.min(self.limits.money) })]
            }
            Reading::Phone => self.widest(Type::Phone),
            Reading::YesNo => self.widest(Type::Bool),
            Reading::Date => self.widest(Type::Date),
            Reading::Secret => Vec::new(),
        }
    }

    /// All nines: so many digits before the decimals.
    fn amount(&self, digits: u8) -> Value {
        let currency = self.program.settings().currency;
        let nines = 10_i64.saturating_pow(u32::from(digits) + u32::from(currency.exponent())) - 1;
        Value::Money(Money::new(nines, currency))
    }

    /// The widest values of a type.
    pub(super) fn widest(&self, ty: Type) -> Vec<Value> {
        match ty {
            Type::Bool => vec![Value::Bool(true), Value::Bool(false)],
            Type::Int => vec![Value::Int(self.limits.number), Value::Int(1)],
            Type::Money => vec![self.amount(self.limits.money)],
            Type::Phone => {
                let settings = self.program.settings();
                let national = "8".repeat(settings.national_digits.1.into());
                let numbers = [format!("+{}{national}", settings.country), format!("+{}", "8".repeat(15))];
                numbers.iter().filter_map(|number| Msisdn::parse(number).ok()).map(Value::Phone).collect()
            }
            Type::Digits => vec![Value::Digits("0".repeat(self.limits.digits))],
            // Two septets each, and one unit outside of GSM 03.38 each.
            Type::Text | Type::Name(_) if self.width == Width::Widest => {
                ["€", "語"].iter().map(|c| Value::Text(c.repeat(self.limits.text))).collect()
            }
            Type::Text | Type::Name(_) => vec![Value::Text("n".repeat(self.limits.text))],
            Type::Choice(family) => {
                let words = family.words.iter().copied();
                words.chain(["other"]).map(|word| Value::Text(word.to_owned())).collect()
            }
            Type::Date => (1..=12).filter_map(|month| Date::new(2028, month, 29)).map(Value::Date).collect(),
            Type::Time => {
                [(23, 59), (12, 30)].iter().filter_map(|(h, m)| Time::new(*h, *m)).map(Value::Time).collect()
            }
            Type::Record(record) => {
                let first = |ty| self.widest(ty).into_iter().next().unwrap_or(Value::Bool(false));
                vec![Value::Record(record.fields.iter().map(|field| first(field.ty)).collect())]
            }
            Type::List(item) => self
                .widest(*item)
                .into_iter()
                .map(|value| Value::List(vec![value; self.limits.items]))
                .collect(),
            Type::Secret => Vec::new(),
        }
    }

    /// The widest values of an expression.
    pub(super) fn values(&self, expression: &Expression) -> Vec<Value> {
        match expression {
            Expression::Value(value) => vec![value.clone()],
            Expression::Variable(variable) => {
                self.of.get(usize::from(*variable)).cloned().unwrap_or_default()
            }
            Expression::Field(record, index) => {
                let ty = self.type_of(record);
                let Some(Type::Record(record)) = ty else { return Vec::new() };
                record.fields.get(usize::from(*index)).map(|field| self.widest(field.ty)).unwrap_or_default()
            }
            other => self.type_of(other).map(|ty| self.widest(ty)).unwrap_or_default(),
        }
    }

    fn type_of(&self, expression: &Expression) -> Option<Type> {
        match expression {
            Expression::Value(value) => type_of_value(value),
            Expression::Variable(variable) => {
                self.program.variables().get(usize::from(*variable)).map(|variable| variable.ty)
            }
            Expression::Field(record, index) => match self.type_of(record)? {
                Type::Record(record) => record.fields.get(usize::from(*index)).map(|field| field.ty),
                _ => None,
            },
            Expression::Today => Some(Type::Date),
            Expression::Now => Some(Type::Time),
            Expression::Count(_) => Some(Type::Int),
            Expression::Least(list) => match self.type_of(list)? {
                Type::List(item) => Some(*item),
                _ => None,
            },
            Expression::Binary(Operator::Add | Operator::Subtract, left, right) => {
                self.type_of(left).or_else(|| self.type_of(right))
            }
            Expression::Known(_) | Expression::Not(_) | Expression::Binary(..) => Some(Type::Bool),
        }
    }
}

fn type_of_value(value: &Value) -> Option<Type> {
    Some(match value {
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Money(_) => Type::Money,
        Value::Phone(_) => Type::Phone,
        Value::Digits(_) => Type::Digits,
        Value::Text(_) => Type::Text,
        Value::Date(_) => Type::Date,
        Value::Time(_) => Type::Time,
        Value::List(_) | Value::Record(_) => return None,
    })
}

/// The extents of a text over all values of its slots. Slots do not depend on each other, so that each is tried
/// alone.
pub(super) fn widest(tried: &[Vec<Value>], text: impl Fn(Vec<Value>) -> Extent) -> Extent {
    let base: Vec<Value> =
        tried.iter().map(|values| values.first().cloned().unwrap_or(Value::Bool(false))).collect();
    let with = |slots: &[Value], slot: usize, value: &Value| {
        let mut slots = slots.to_vec();
        if let Some(place) = slots.get_mut(slot) {
            *place = value.clone();
        }
        slots
    };
    // The widest within the alphabet, and the widest whatever it is.
    let (mut inside, mut outside) = (base.clone(), base);
    for (slot, values) in tried.iter().enumerate() {
        let septets = |value: &&Value| text(with(&inside, slot, value)).septets();
        if let Some(value) = values.iter().max_by_key(septets) {
            inside = with(&inside, slot, value);
        }
        let units = |value: &&Value| text(with(&outside, slot, value)).units();
        if let Some(value) = values.iter().max_by_key(units) {
            outside = with(&outside, slot, value);
        }
    }
    let mut all = text(inside).or(&text(outside.clone()));
    // A value outside of the alphabet changes the coding of the whole, even if it is not the widest.
    for (slot, values) in tried.iter().enumerate() {
        for value in values {
            let changed = text(with(&outside, slot, value));
            if changed.septets().is_none() {
                all = all.or(&changed);
            }
        }
    }
    all
}
