//! A conversation as a transcript that `keytone test` can hold again: what `keytone talk --record` writes.
//!
//! Secrets are not written: a test types digits of its own in their place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::say;
use crate::dialplan::action::Action;
use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::{Answer, Channel};
use crate::dialplan::flowtest::report::explain;
use crate::dialplan::flowtest::{SECRET, parse, run};
use crate::dialplan::speak::Utterance;
use crate::dialplan::value::{Type, Value};
use crate::msisdn::Msisdn;

/// A line of expectations that would be longer is divided.
const WIDTH: usize = 100;
/// The column of what is said, behind what is typed.
const SAID_AT: usize = 16;

/// A conversation as it goes on.
pub(super) struct Record {
    file: PathBuf,
    flow: String,
    channel: Channel,
    dialled: Option<String>,
    given: Vec<String>,
    /// Actions in the order in which they first came up, with their outcomes.
    outcomes: Vec<(&'static str, Vec<String>)>,
    turns: Vec<Turn>,
}

/// What was typed, and what was said then.
#[derive(Default)]
struct Turn {
    typed: Option<String>,
    said: Vec<String>,
}

impl Record {
    /// A conversation that begins, to be appended to a file.
    pub(super) fn new(file: &Path, flow: &str, channel: Channel, dialled: Option<&str>) -> Self {
        Self {
            file: file.to_owned(),
            flow: flow.to_owned(),
            channel,
            dialled: dialled.map(str::to_owned),
            given: Vec::new(),
            outcomes: Vec::new(),
            turns: vec![Turn::default()],
        }
    }

    /// Who calls, and when, in the market's zone.
    pub(super) fn begins(&mut self, caller: Option<&Msisdn>, now: &str) {
        self.given.push(format!("caller {}", caller.map_or("none", Msisdn::as_str)));
        self.given.push(format!("now {now}"));
    }

    /// What was said.
    pub(super) fn said(&mut self, say: &[Utterance]) {
        // The labels of options follow their question by themselves.
        let keys = say.iter().filter(|utterance| utterance.option.is_none()).map(|u| format!("@{}", u.name));
        if let Some(turn) = self.turns.last_mut() {
            turn.said.extend(keys);
        }
    }

    /// The conversation is over.
    pub(super) fn ended(&mut self) {
        if let Some(turn) = self.turns.last_mut() {
            turn.said.push("end".to_owned());
        }
    }

    /// What the caller typed; `line` is how.
    pub(super) fn typed(&mut self, answer: &Answer, line: &str) {
        let typed = match answer {
            Answer::Digits(digits) => digits.clone(),
            Answer::Key(key) => key.to_string(),
            Answer::Empty => "#".to_owned(),
            Answer::Silence => "silence".to_owned(),
            Answer::Text(text) => text.clone(),
            Answer::Invalid => line.trim_end_matches('#').to_owned(),
            Answer::Secret(secret) => stand_in(secret.expose()),
        };
        self.turns.push(Turn { typed: Some(typed), said: Vec::new() });
    }

    /// The caller went before the end.
    pub(super) fn hung_up(&mut self) {
        self.turns.push(Turn { typed: Some("hang up".to_owned()), said: Vec::new() });
    }

    /// How an action ended.
    pub(super) fn outcome(&mut self, action: &'static str, name: &str, values: &[Value]) {
        let fields = Action::find(action).and_then(|action| action.outcome(name));
        let fields = fields.map(|(_, outcome)| outcome.values).unwrap_or_default();
        let values: Vec<String> =
            fields.iter().zip(values).map(|(field, value)| written(field.ty, value)).collect();
        let text = if values.is_empty() { name.to_owned() } else { format!("{name}({})", values.join(", ")) };
        match self.outcomes.iter_mut().find(|(other, _)| *other == action) {
            Some((_, outcomes)) => outcomes.push(text),
            None => self.outcomes.push((action, vec![text])),
        }
    }

    /// The test, with this name.
    fn text(&self, name: &str) -> anyhow::Result<String> {
        let command = self.dialled.as_ref().map_or_else(String::new, |dialled| format!(" \"{dialled}\""));
        let mut out = format!("test \"{name}\" on {}{command}\n", self.channel);
        for given in &self.given {
            out.push_str(&format!("  given {given}\n"));
        }
        for (action, outcomes) in &self.outcomes {
            out.push_str(&format!("  given {action} -> {}\n", outcomes.join(" then ")));
        }
        for turn in &self.turns {
            let typed = turn.typed.as_ref().map(|typed| format!("> {typed}"));
            if let Some(typed) = &typed
                && (typed.contains(['<', '"']) || typed.contains(" --") || typed.trim().len() < 3)
            {
                bail!("`{typed}` cannot be written in a transcript");
            }
            let typed = typed.unwrap_or_default();
            let at = if typed.is_empty() { 0 } else { SAID_AT.max(typed.chars().count() + 1) };
            let lines = folded(&turn.said, WIDTH.saturating_sub(at));
            if lines.is_empty() && !typed.is_empty() {
                out.push_str(&format!("  {typed}\n"));
            }
            for (index, line) in lines.iter().enumerate() {
                let before = if index == 0 { typed.as_str() } else { "" };
                out.push_str(&format!("  {before:<at$}< {line}\n"));
            }
        }
        Ok(out)
    }

    /// Appends the test to its file and holds it.
    pub(super) fn finish(self, catalog: &Catalog) -> anyhow::Result<()> {
        let file = self.file.display().to_string();
        let before = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {file}")),
        };
        let Some(program) = catalog.program(&self.flow) else { bail!("no flow is called {}", self.flow) };
        let (others, _) = parse(&file, &before, program.settings());
        let taken = |name: &str| others.iter().any(|script| script.name == name);
        let name = (1..).map(|n| format!("recorded {n}")).find(|name| !taken(name)).unwrap_or_default();
        let mut text = before;
        if !text.is_empty() {
            text.truncate(text.trim_end().len());
            text.push_str("\n\n");
        }
        text.push_str(&self.text(&name)?);
        let (scripts, faults) = parse(&file, &text, program.settings());
        let Some(script) = scripts.last().filter(|script| script.name == name && faults.is_empty()) else {
            bail!(
                "the test for {file} cannot be read again: {}",
                faults.first().map(ToString::to_string).unwrap_or_default()
            );
        };
        let (_, failures) = run(catalog, &self.flow, std::slice::from_ref(script));
        if let Some(failure) = failures.first() {
            say(explain(&file, &text, script, failure, super::colours()));
            bail!("the conversation depends on what a test cannot repeat; nothing was written");
        }
        fs::write(&self.file, &text).with_context(|| format!("cannot write {file}"))?;
        say(format!("  (recorded as \"{name}\" in {file})"));
        let stem = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if stem.split('.').next() != Some(self.flow.as_str()) {
            say(format!("  (call the file {}.flowtest, so that `keytone test` finds the flow)", self.flow));
        }
        Ok(())
    }
}

/// Digits in the place of a secret: as many, and never the same.
fn stand_in(secret: &[u8]) -> String {
    if secret.len() == SECRET.len() && secret.iter().all(u8::is_ascii_digit) {
        return "secret".to_owned();
    }
    // One or two digits could be anywhere in a saved session, where a test looks for secrets.
    if !secret.iter().all(u8::is_ascii_digit) || secret.len() < 3 {
        return "secret xyz".to_owned();
    }
    let digits: String = SECRET.chars().cycle().take(secret.len()).collect();
    format!("secret {digits}")
}

/// A value as `given` writes it.
fn written(ty: Type, value: &Value) -> String {
    match (ty, value) {
        (_, Value::Bool(truth)) => if *truth { "yes" } else { "no" }.to_owned(),
        (_, Value::Int(number)) => number.to_string(),
        (_, Value::Money(money)) => money.amount_text(),
        (_, Value::Phone(phone)) => phone.as_str().to_owned(),
        (_, Value::Digits(digits)) => digits.clone(),
        (_, Value::Text(text)) => {
            let plain =
                text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !text.is_empty();
            if plain { text.clone() } else { format!("\"{}\"", text.replace('"', "'")) }
        }
        (_, Value::Date(date)) => date.to_string(),
        (_, Value::Time(time)) => time.to_string(),
        (Type::List(item), Value::List(values)) => {
            format!("[{}]", values.iter().map(|value| written(*item, value)).collect::<Vec<_>>().join(", "))
        }
        (Type::Record(record), Value::Record(values)) => {
            let fields = record.fields.iter().zip(values).map(|(field, value)| written(field.ty, value));
            format!("{}({})", record.name, fields.collect::<Vec<_>>().join(", "))
        }
        (_, Value::List(_) | Value::Record(_)) => String::new(),
    }
}

/// Parts joined by `; ` in lines of a width.
fn folded(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + part.len() <= width => {
                line.push_str("; ");
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_written() {
        assert_eq!(stand_in(b"284913"), "secret");
        assert_eq!(stand_in(b"2849"), "secret 1357");
        assert_eq!(stand_in(b"28491376"), "secret 13579013");
        assert_eq!(stand_in(b"28x"), "secret xyz");
        assert_eq!(stand_in(b"2"), "secret xyz");
    }

    #[test]
    fn long_expectations_are_folded() {
        let parts = ["@one".to_owned(), "@two".to_owned(), "end".to_owned()];
        assert_eq!(folded(&parts, 11), ["@one; @two", "end"]);
        assert!(folded(&[], 11).is_empty());
    }
}
