//! Follows all ways through a program on one channel, and what is told on them since the caller was last heard.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::dialplan::check::lengths::extent::Extent;
use crate::dialplan::check::lengths::widths::{Widths, widest};
use crate::dialplan::check::lengths::{Purpose, said};
use crate::dialplan::event::Channel;
use crate::dialplan::program::{Ask, Given, Limits, Menu, Op, PinOnSms, Program, Reading, Speech, Target};
use crate::dialplan::speak::{Key, System, Utterance};
use crate::dialplan::value::Value;

/// Slots of commands of which ways are followed that skip their questions.
const SKIPS_MAX: usize = 4;

/// A place whose worst case is wanted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct At {
    pub(super) step: usize,
    /// The operation of a question; all ends of a step are one place.
    pub(super) op: usize,
    pub(super) purpose: Purpose,
    pub(super) channel: Channel,
}

/// What has been told since the caller was last heard, by language.
pub(super) type Told = Vec<Extent>;

pub(super) type Found = BTreeMap<At, (Option<Arc<str>>, Told)>;

/// A message of the program by its place in memory, its key as an option, and the channel.
type Place = (usize, Option<String>, Channel);

/// Follows all ways through a program on one channel.
pub(super) struct Survey<'s> {
    program: &'s Program,
    widths: &'s Widths<'s>,
    channel: Channel,
    slots: &'s BTreeSet<&'s str>,
    items: usize,
    languages: Vec<String>,
    /// What is told before a step, by step and by how many questions a command has answered on the way.
    before: BTreeMap<(usize, usize), Told>,
    due: VecDeque<(usize, usize)>,
    /// What is told where a caller is given up.
    given_up: BTreeMap<usize, Told>,
    found: Found,
    /// What has been measured: a message of the program is met on many ways, and is as long on each.
    measured: RefCell<BTreeMap<Place, Told>>,
    /// Where the walk is.
    at: (usize, usize, usize),
}

impl<'s> Survey<'s> {
    pub(super) fn new(
        program: &'s Program,
        widths: &'s Widths<'s>,
        channel: Channel,
        slots: &'s BTreeSet<&'s str>,
        items: usize,
    ) -> Self {
        Self {
            program,
            widths,
            channel,
            slots,
            items,
            languages: program.texts.languages().map(str::to_owned).collect(),
            before: BTreeMap::new(),
            due: VecDeque::new(),
            given_up: BTreeMap::new(),
            found: Found::new(),
            measured: RefCell::default(),
            at: (0, 0, 0),
        }
    }

    pub(super) fn run(mut self) -> Found {
        let first = self.either(&self.nothing(), &self.system(System::ResumeVanished, &[]));
        self.arrive(Target::Step(0), first.clone(), 0);
        self.arrive(self.program.own.open_else, first, 0);
        for hangup in self.program.parts().filter_map(|part| part.hangup) {
            self.arrive(Target::Step(hangup), self.nothing(), 0);
        }
        self.walk();
        // Too many visits lead away from any step, with what was told before it.
        let before: Vec<(usize, Told)> =
            self.before.iter().map(|((step, _), told)| (*step, told.clone())).collect();
        for (step, told) in before {
            self.at = (step, 0, 0);
            self.give_up(self.limits().visits_then, &told);
        }
        for (step, told) in std::mem::take(&mut self.given_up) {
            self.arrive_at(step, told, 0);
        }
        self.walk();
        self.found
    }

    fn walk(&mut self) {
        let program = self.program;
        while let Some((step, skips)) = self.due.pop_front() {
            let Some(told) = self.before.get(&(step, skips)).cloned() else { continue };
            let Some(ops) = program.steps.get(step).map(|step| &step.ops) else { continue };
            self.at = (step, 0, skips);
            self.ops(ops, told, true);
        }
    }

    // ---- texts

    fn nothing(&self) -> Told {
        vec![Extent::nothing(); self.languages.len()]
    }

    fn either(&self, a: &Told, b: &Told) -> Told {
        a.iter().zip(b).map(|(a, b)| a.or(b)).collect()
    }

    fn both(&self, a: &Told, b: &Told) -> Told {
        a.iter().zip(b).map(|(a, b)| a.then(b)).collect()
    }

    fn system(&self, system: System, slots: &[i64]) -> Told {
        let utterance = said(self.program, system, slots);
        let text = |language: &String| Extent::of(&self.program.text(&utterance, language, self.channel));
        self.languages.iter().map(text).collect()
    }

    /// A message with the widest values of each of its slots.
    fn speech(
        &self,
        speech: &Speech,
        option: Option<Key>,
        language: Option<&Arc<str>>,
        channel: Channel,
    ) -> Told {
        let place = (std::ptr::from_ref(speech).addr(), option.map(|key| key.to_string()), channel);
        if let Some(told) = self.measured.borrow().get(&place) {
            return told.clone();
        }
        let tried: Vec<Vec<Value>> =
            speech.arguments.iter().map(|argument| self.widths.values(argument)).collect();
        let one = |tag: &String| {
            let text = |slots: Vec<Value>| {
                let utterance = Utterance {
                    message: speech.message,
                    name: speech.name.clone(),
                    slots,
                    option,
                    language: language.cloned(),
                };
                Extent::of(&self.program.text(&utterance, tag, channel))
            };
            widest(&tried, text)
        };
        let told: Told = self.languages.iter().map(one).collect();
        self.measured.borrow_mut().insert(place, told.clone());
        told
    }

    fn tell(&self, speech: &Speech) -> Told {
        self.speech(speech, None, None, self.channel)
    }

    // ---- ways

    fn arrive(&mut self, target: Target, told: Told, skips: usize) {
        match target {
            Target::Step(step) => self.arrive_at(step.into(), told, skips),
            Target::End => self.record(Purpose::End, None, told),
        }
    }

    fn arrive_at(&mut self, step: usize, told: Told, skips: usize) {
        let merged = self.before.get(&(step, skips)).map(|old| self.either(old, &told));
        let merged = merged.unwrap_or(told);
        if self.before.get(&(step, skips)) != Some(&merged) {
            self.before.insert((step, skips), merged);
            if !self.due.contains(&(step, skips)) {
                self.due.push_back((step, skips));
            }
        }
    }

    fn give_up(&mut self, target: Target, told: &Told) {
        match target {
            Target::Step(step) => {
                let step = usize::from(step);
                let merged = self.given_up.get(&step).map(|old| self.either(old, told));
                self.given_up.insert(step, merged.unwrap_or_else(|| told.clone()));
            }
            Target::End => self.record(Purpose::End, None, told.clone()),
        }
    }

    fn record(&mut self, purpose: Purpose, message: Option<&Speech>, told: Told) {
        let (step, op, _) = self.at;
        let op = if purpose == Purpose::End { usize::MAX } else { op };
        let channel = if purpose == Purpose::Sms { Channel::Sms } else { self.channel };
        let at = At { step, op, purpose, channel };
        let told = match self.found.get(&at) {
            Some((_, old)) => self.either(old, &told),
            None => told,
        };
        self.found.insert(at, (message.map(|message| message.name.clone()), told));
    }

    /// Takes what is told through operations; returns what is told after them, unless they lead away.
    fn ops(&mut self, ops: &'s [Op], mut told: Told, own: bool) -> Option<Told> {
        for (index, op) in ops.iter().enumerate() {
            if own {
                self.at.1 = index;
            }
            let skips = self.at.2;
            match op {
                Op::Given { then, .. } => told = self.given(then, told),
                Op::Ask(ask) => told = self.ask(ask, &told),
                Op::Menu(menu) => {
                    self.menu(menu, &told);
                    return None;
                }
                Op::Must { otherwise, .. } => {
                    let told = self.both(&told, &self.tell(otherwise));
                    let step = self.at.0;
                    self.give_up(self.limits().tries_then, &told);
                    self.arrive_at(step, told, skips);
                }
                Op::Tell(speech) => told = self.both(&told, &self.tell(speech)),
                Op::SendSms(speech) => {
                    let text = self.speech(speech, None, None, Channel::Sms);
                    let before = self.at.1;
                    // Several texts of one branch are places of their own.
                    self.at.1 = before + index * usize::from(!own);
                    self.record(Purpose::Sms, Some(speech), text);
                    self.at.1 = before;
                }
                Op::If { target, .. } => self.arrive(*target, told.clone(), skips),
                Op::Language(tag) => {
                    // What was told in any language is followed by this one.
                    let all = told.iter().fold(None, |all: Option<Extent>, one| {
                        Some(all.map_or_else(|| one.clone(), |all| all.or(one)))
                    });
                    let spoken = self.languages.iter().position(|language| **language == **tag);
                    if let (Some(all), Some(slot)) = (all, spoken.and_then(|index| told.get_mut(index))) {
                        *slot = all;
                    }
                }
                Op::Goto(target) => {
                    self.arrive(*target, told, skips);
                    return None;
                }
                Op::Begin(part) => {
                    let part = self.program.part(*part)?;
                    if !part.open.is_empty() {
                        self.arrive(part.open_else, told.clone(), skips);
                    }
                    self.arrive(Target::Step(part.first), told, skips);
                    return None;
                }
                Op::Do { branches, .. } => {
                    let trouble = self.both(&told, &self.system(System::Trouble, &[]));
                    self.record(Purpose::End, None, trouble);
                    for branch in branches {
                        if let Some(told) = self.ops(&branch.block, told.clone(), false) {
                            self.record(Purpose::End, None, told);
                        }
                    }
                    return None;
                }
                Op::Hold => {
                    self.record(Purpose::End, None, told);
                    return None;
                }
                Op::Set { .. } | Op::Mark(_) | Op::Clear(_) => {}
            }
        }
        Some(told)
    }

    fn limits(&self) -> Limits {
        self.program.limits(u16::try_from(self.at.0).unwrap_or(u16::MAX))
    }

    /// A slot of a command leads elsewhere at once, or cannot be read and is said to be wrong.
    fn given(&mut self, then: &'s Given, told: Told) -> Told {
        let skips = self.at.2;
        match then {
            Given::Goto { reading, min, max, target, .. } => {
                self.arrive(*target, told.clone(), skips);
                let wrong = self.both(&told, &self.reason(*reading, *min, *max));
                self.either(&told, &wrong)
            }
            Given::Choose { key } => {
                let program = self.program;
                let ops = program.steps.get(self.at.0).map(|step| step.ops.as_slice()).unwrap_or_default();
                let menus = ops.iter().filter_map(|op| match op {
                    Op::Menu(menu) => Some(menu),
                    _ => None,
                });
                let choices = menus.flat_map(|menu| &menu.choices).filter(|choice| choice.key == *key);
                for choice in choices.collect::<Vec<_>>() {
                    self.ops(&choice.block, told.clone(), false);
                }
                told
            }
        }
    }

    /// Why an answer will not do.
    fn reason(&self, reading: Reading, min: u8, max: u8) -> Told {
        let limits = [i64::from(min), i64::from(max)];
        match reading {
            Reading::Digits => self.system(System::WrongDigits, &limits),
            Reading::Secret => self.system(System::WrongSecret, &limits),
            Reading::Phone => self.system(System::WrongPhone, &[]),
            Reading::Money => self.system(System::WrongMoney, &[]),
            Reading::YesNo => self.system(System::WrongYesNo, &[]),
            Reading::Date => self.system(System::WrongDate, &[]),
        }
    }

    /// Asks, and returns what is told after the answer: nothing, unless a command has answered.
    fn ask(&mut self, ask: &'s Ask, told: &Told) -> Told {
        let (step, _, skips) = self.at;
        let mut told = told.clone();
        let mut reason = self.reason(ask.reading, ask.min, ask.max);
        if ask.check.is_some() {
            reason = self.either(&reason, &self.system(System::WrongCheck, &[]));
        }
        let name =
            self.program.variables().get(usize::from(ask.variable)).map(|variable| variable.name.as_str());
        let filled = ask.reading != Reading::Secret && name.is_some_and(|name| self.slots.contains(name));
        if filled && skips < SKIPS_MAX.min(self.slots.len()) {
            // The rest of the step with the command's answer, as a way of its own.
            let rest = self.program.steps.get(step).and_then(|step| step.ops.get(self.at.1 + 1..));
            let place = self.at;
            self.at.2 = skips + 1;
            self.rest(rest.unwrap_or_default(), told.clone(), place.1 + 1);
            self.at = place;
            told = self.either(&told, &self.both(&told, &reason));
        }
        let options = if ask.reading == Reading::YesNo { self.yes_and_no() } else { self.nothing() };
        let again = ask
            .again
            .iter()
            .fold(self.tell(&ask.question), |all, again| self.either(&all, &self.tell(again)));
        let silence = self.system(System::Silence, &[]);
        let failed = self.either(&reason, &silence);
        let wordings = ask.silent.iter().chain(&ask.wrong);
        let instead = wordings
            .fold(self.both(&failed, &again), |all, (_, speech)| self.either(&all, &self.tell(speech)));
        let first = self.both(&told, &self.tell(&ask.question));
        let shown = self.both(&self.either(&first, &instead), &options);
        self.record(Purpose::Question, Some(&ask.question), shown);
        if ask.reading == Reading::Secret && self.channel == Channel::Sms {
            let pin = [System::PinRefused, System::PinCallback, System::PinUnreached];
            let pin =
                pin.iter().fold(self.nothing(), |all, system| self.either(&all, &self.system(*system, &[])));
            let both =
                self.both(&self.system(System::PinCallback, &[]), &self.system(System::PinUnreached, &[]));
            self.record(Purpose::End, None, self.both(&told, &self.either(&pin, &both)));
            if self.program.pin_on_sms == PinOnSms::None {
                self.without_pin(ask, &told);
            }
        }
        self.give_up(self.limits().tries_then, &failed);
        self.nothing()
    }

    /// The operations of a step after a question that a command has answered.
    fn rest(&mut self, ops: &'s [Op], told: Told, from: usize) {
        let mut told = Some(told);
        for (index, op) in ops.iter().enumerate() {
            self.at.1 = from + index;
            let Some(now) = told.take() else { return };
            told = match op {
                Op::Ask(ask) => Some(self.ask(ask, &now)),
                other => self.ops(std::slice::from_ref(other), now, false),
            };
        }
    }

    fn yes_and_no(&self) -> Told {
        self.both(&self.option(System::Yes, '1'), &self.option(System::No, '2'))
    }

    fn option(&self, system: System, key: char) -> Told {
        let utterance = Utterance { option: Some(Key::Sign(key)), ..said(self.program, system, &[]) };
        let text = |language: &String| Extent::of(&self.program.text(&utterance, language, self.channel));
        self.languages.iter().map(text).collect()
    }

    /// The question that takes the place of one for a PIN, made from the same values.
    fn without_pin(&mut self, ask: &'s Ask, told: &Told) {
        let (texts, widths) = (&self.program.texts, &self.widths);
        let values: Vec<Vec<Value>> =
            ask.question.arguments.iter().map(|argument| widths.values(argument)).collect();
        let is_money = |values: &Vec<Value>| matches!(values.first(), Some(Value::Money(_)));
        let (money, others): (Vec<_>, Vec<_>) = values.into_iter().partition(is_money);
        let amounts: Vec<Value> = money.into_iter().flatten().collect();
        let tried: Vec<Vec<Value>> = [amounts.clone(), amounts].into_iter().chain(others).collect();
        let one = |tag: &String| {
            let text = |mut slots: Vec<Value>| {
                let others = slots.split_off(slots.len().min(2));
                let to: Vec<String> = others.iter().map(|value| texts.shown(value, tag)).collect();
                slots.push(Value::Text(to.join(", ")));
                Extent::of(&texts.system_text(tag, System::PinConfirm, slots, self.channel))
            };
            widest(&tried, text)
        };
        let question: Told = self.languages.iter().map(one).collect();
        let options = self.both(&self.option(System::PinPay, '1'), &self.option(System::PinCancel, '2'));
        let wrong = self.system(System::WrongKey, &[]);
        let before = self.either(told, &wrong);
        let shown = self.both(&self.both(&before, &question), &options);
        self.record(Purpose::Question, Some(&ask.question), shown);
        self.record(Purpose::End, None, self.system(System::PinCancelled, &[]));
        self.give_up(self.limits().tries_then, &wrong);
    }

    fn menu(&mut self, menu: &'s Menu, told: &Told) {
        let question =
            menu.question.iter().fold(self.nothing(), |all, speech| self.both(&all, &self.tell(speech)));
        let mut options = self.nothing();
        for choice in &menu.choices {
            if let Some(label) = &choice.label {
                let line =
                    self.speech(label, Some(Key::Sign(choice.key)), choice.language.as_ref(), self.channel);
                options = self.both(&options, &line);
            }
        }
        if let Some(each) = &menu.each {
            // The question alone is shown when there is no item.
            let without = options.clone();
            for number in 1..=self.items {
                let number = u8::try_from(number + menu.choices.len()).unwrap_or(u8::MAX);
                let line = self.speech(&each.label, Some(Key::Number(number)), None, self.channel);
                options = self.both(&options, &line);
            }
            options = self.either(&without, &options);
        }
        let again =
            menu.again.iter().fold(question.clone(), |all, again| self.either(&all, &self.tell(again)));
        let failed = self.either(&self.system(System::WrongKey, &[]), &self.system(System::Silence, &[]));
        let wordings = menu.silent.iter().chain(&menu.wrong);
        let instead = wordings
            .fold(self.both(&failed, &again), |all, (_, speech)| self.either(&all, &self.tell(speech)));
        let first = self.both(told, &question);
        let shown = self.both(&self.either(&first, &instead), &options);
        self.record(Purpose::Question, menu.question.first(), shown);
        self.give_up(self.limits().tries_then, &failed);
        for choice in &menu.choices {
            self.ops(&choice.block, self.nothing(), false);
        }
        if let Some(each) = &menu.each {
            self.ops(&each.block, self.nothing(), false);
            self.ops(&each.empty, told.clone(), false);
        }
    }
}
