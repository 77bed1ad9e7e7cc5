//! What is answered to a text message that no flow understands: the commands that are served, in the caller's language.

use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::dialplan::route::{Element, Route, folded};
use crate::dialplan::speak::System;
use crate::dialplan::value::{Type, Value};
use crate::gsm::{septets, units};

/// Characters of commands in one answer; further commands are left out, so that the answer stays one text message.
const COMMANDS_MAX: usize = 90;

/// Whether a text takes one message: 160 septets of the GSM alphabet, or 70 units of UCS-2 (3GPP TS 23.040 §9.2.3.24.1).
fn is_one_message(text: &str) -> bool {
    septets(text).map_or_else(|| units(text) <= 70, |septets| septets <= 160)
}

impl Catalog {
    /// What Keytone says by itself, with its values in the order of [`System::slots`], as a channel shows it.
    #[must_use]
    pub fn system_text(
        &self,
        language: &str,
        system: System,
        values: Vec<Value>,
        channel: Channel,
    ) -> String {
        self.texts.system_text(language, system, values, channel)
    }

    /// The answer to a text message that no flow understands: how its command is written if it begins with one, else the
    /// commands that are served. Nothing when no flow is served by text message. A tester is told the drafts too.
    #[must_use]
    pub fn sms_help(&self, text: &str, language: &str, tester: bool) -> Option<String> {
        let word = text.split_whitespace().next().map(folded);
        let begun = |route: &&Route| word.is_some() && route.first() == word;
        if let Some(route) = self.commands(tester).find(begun) {
            let command = Value::Text(self.command(route, language));
            return Some(self.system_text(language, System::CommandInvalid, vec![command], Channel::Sms));
        }
        let mut commands = self.sms_commands(language, tester);
        if commands.is_empty() {
            return None;
        }
        loop {
            let told = Value::Text(commands.join("; "));
            let text = self.system_text(language, System::Help, vec![told], Channel::Sms);
            if commands.len() == 1 || is_one_message(&text) {
                return Some(text);
            }
            commands.pop();
        }
    }

    /// The commands that are served by text message, such as `RC amount [number]`: one spelling of each, as many as a text
    /// message has room for.
    #[must_use]
    pub fn sms_commands(&self, language: &str, tester: bool) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut told: Vec<(&str, Vec<&Element>)> = Vec::new();
        let mut length = 0;
        // The first command of each flow, then the others: a flow with many leaves room for the rest.
        let is_first = |route: &&Route| {
            let first = self.commands(tester).find(|other| other.flow == route.flow);
            first.is_some_and(|first| std::ptr::eq(first, *route))
        };
        // A flow that leads to the others stands for all of them, unless another leads to it too.
        let is_led_to = |flow: &str| {
            let mut parts = self.programs.values().flat_map(|program| program.others.iter());
            parts.any(|part| *part.name == *flow)
        };
        let leads = |route: &&Route| {
            let program = self.programs.get(&(route.flow.clone(), route.draft));
            program.is_some_and(|program| !program.others.is_empty()) && !is_led_to(&route.flow)
        };
        let (menus, mut firsts): (Vec<&Route>, Vec<&Route>) =
            self.commands(tester).filter(is_first).partition(leads);
        // What the menu leads to comes next, in its order: that is what callers want most.
        let programs = menus.iter().filter_map(|menu| self.programs.get(&(menu.flow.clone(), menu.draft)));
        let led: Vec<&str> = programs.flat_map(|program| &program.others).map(|part| &*part.name).collect();
        firsts.sort_by_key(|route| led.iter().position(|name| *name == route.flow).unwrap_or(usize::MAX));
        let others = self.commands(tester).filter(|route| !is_first(route));
        for route in menus.into_iter().chain(firsts).chain(others) {
            // Spellings of one command differ in its words only.
            let slots: Vec<&Element> =
                route.pattern.iter().filter(|e| matches!(e, Element::Slot { .. })).collect();
            let key = (route.flow.as_str(), slots);
            if told.contains(&key) {
                continue;
            }
            let command = self.command(route, language);
            length += command.chars().count() + 2;
            if !out.is_empty() && length > COMMANDS_MAX {
                break;
            }
            told.push(key);
            out.push(command);
        }
        out
    }

    fn commands(&self, tester: bool) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(move |route| route.channel == Channel::Sms && (tester || !route.draft))
    }

    /// A command as a caller is to write it: amounts and numbers by the language's word for them, other slots by the name
    /// that the flow gives them.
    fn command(&self, route: &Route, language: &str) -> String {
        let program = self.programs.get(&(route.flow.clone(), route.draft));
        let word = |slot: &str| {
            let variables = program.map(|program| program.variables()).unwrap_or_default();
            let system = match variables.iter().find(|variable| variable.name == slot)?.ty {
                Type::Money => System::SlotMoney,
                Type::Phone => System::SlotPhone,
                _ => return None,
            };
            Some(self.system_text(language, system, Vec::new(), Channel::Sms))
        };
        let parts: Vec<String> = route
            .pattern
            .iter()
            .map(|element| match element {
                Element::Literal(literal) => literal.clone(),
                Element::Slot { name, optional } => {
                    let word = word(name).unwrap_or_else(|| name.clone());
                    if *optional { format!("[{word}]") } else { word }
                }
            })
            .collect();
        parts.join(" ")
    }
}
