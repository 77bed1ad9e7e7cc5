//! The text of transcripts.

use std::fmt;

use crate::dialplan::action::{Action, Outcome};
use crate::dialplan::catalog::Settings;
use crate::dialplan::civil::{Date, Moment, Time};
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::event::{Channel, PIN_NEEDED};
use crate::dialplan::syntax::span::Span;
use crate::dialplan::value::{Record, Type, Value};
use crate::money::Money;
use crate::msisdn::Msisdn;

/// One `test`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Its line, from 1.
    pub line: usize,
    /// The channels, with the command that begins the conversation there.
    pub channels: Vec<(Channel, Option<String>)>,
    /// What holds before it.
    pub given: Vec<Given>,
    /// The conversation.
    pub turns: Vec<Turn>,
}

/// A line `given …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Given {
    /// `caller +8613800000001`: the caller's number, or that there is none.
    Caller(Option<Msisdn>),
    /// `now 2026-11-22 09:30`: when the session begins, in the market's zone.
    Now(Moment),
    /// `language sw`: the language that it begins in.
    Language(String),
    /// `unreached`: nobody answers when a PIN is to be asked on another channel.
    Unreached,
    /// How an action ends, the first time, the second time, and so on.
    Outcomes {
        /// The action.
        action: String,
        /// Its outcomes with their values.
        outcomes: Vec<(String, Vec<Value>)>,
    },
}

/// What the caller does and what must follow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Turn {
    /// The line, from 1.
    pub line: usize,
    /// What is typed; nothing for what is said before the first input.
    pub typed: Option<String>,
    /// What must follow.
    pub expected: Vec<Expected>,
}

/// Something that must have happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    /// `@key`: the message was said.
    Said(String),
    /// `"words"`: the words were part of what was said.
    Text(String),
    /// `screen "…"`: the whole screen on USSD, ` / ` where a line ends.
    Screen(String),
    /// `sms @key`: the message was sent.
    Sms(String),
    /// `at step`: the conversation stands there.
    At(String),
    /// `does action`: the action was asked for.
    Does(String),
    /// `end`: the conversation is over.
    End,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(key) => write!(f, "@{key}"),
            Self::Text(words) => write!(f, "{words:?}"),
            Self::Screen(words) => write!(f, "screen {words:?}"),
            Self::Sms(key) => write!(f, "sms @{key}"),
            Self::At(step) => write!(f, "at {step}"),
            Self::Does(action) => write!(f, "does {action}"),
            Self::End => f.write_str("end"),
        }
    }
}

/// Reads a file of transcripts.
#[must_use]
pub fn parse(file: &str, text: &str, settings: &Settings) -> (Vec<Script>, Vec<Diagnostic>) {
    let (mut scripts, mut diagnostics): (Vec<Script>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (index, raw) in text.split_inclusive('\n').enumerate() {
        let content = without_comment(raw);
        let trimmed = content.trim();
        let at = start + content.len() - content.trim_start().len();
        start += raw.len();
        if trimmed.is_empty() {
            continue;
        }
        if let Err(want) = line(&mut scripts, trimmed, index + 1, settings) {
            let span = Span::new(at, at + trimmed.len());
            let mut fault = Diagnostic::error(Code::F001, file, span, format!("expected {want}"));
            fault.locate(|_| Some(text));
            diagnostics.push(fault);
        }
    }
    (scripts, diagnostics)
}

/// A comment begins at ` --` outside quotes, or at the start of the line.
fn without_comment(raw: &str) -> &str {
    let mut quoted = false;
    let mut before = ' ';
    for (index, c) in raw.char_indices() {
        if c == '"' {
            quoted = !quoted;
        }
        if !quoted && before.is_whitespace() && raw.get(index..).is_some_and(|rest| rest.starts_with("--")) {
            return raw.get(..index).unwrap_or(raw);
        }
        before = c;
    }
    raw
}

fn line(scripts: &mut Vec<Script>, text: &str, number: usize, settings: &Settings) -> Result<(), String> {
    if let Some(rest) = text.strip_prefix("test ") {
        scripts.push(heading(rest, number)?);
        return Ok(());
    }
    let script = scripts.last_mut().ok_or("`test \"name\" on voice, ussd` first")?;
    if let Some(rest) = text.strip_prefix("given ") {
        for part in divided(rest, ";") {
            script.given.push(given(part.trim(), settings)?);
        }
        return Ok(());
    }
    let (typed, expected) = match text.strip_prefix('>') {
        Some(rest) => match rest.split_once('<') {
            Some((typed, expected)) => (Some(typed.trim()), expected),
            None => (Some(rest.trim()), ""),
        },
        None => (None, text.strip_prefix('<').ok_or("`given …`, `> what is typed` or `< what is said`")?),
    };
    let expected = divided(expected, ";").into_iter().filter(|part| !part.is_empty());
    let expected = expected.map(one).collect::<Result<Vec<_>, _>>()?;
    match (typed, script.turns.last_mut()) {
        (Some(""), _) => return Err("what is typed after `>`".into()),
        (Some(typed), _) => {
            script.turns.push(Turn { line: number, typed: Some(typed.to_owned()), expected });
        }
        (None, Some(turn)) => turn.expected.extend(expected),
        (None, None) => script.turns.push(Turn { line: number, typed: None, expected }),
    }
    Ok(())
}

fn heading(text: &str, line: usize) -> Result<Script, String> {
    let want = "a name in quotes, `on`, and channels: `\"name\" on voice, sms \"RC 50\"`";
    let (name, rest) = text.trim().strip_prefix('"').and_then(|rest| rest.split_once('"')).ok_or(want)?;
    let channels = rest.trim().strip_prefix("on ").ok_or(want)?;
    let mut out = Vec::new();
    for channel in channels.split(',') {
        let (channel, command) = match channel.trim().split_once(' ') {
            Some((channel, command)) => {
                let command =
                    command.trim().strip_prefix('"').and_then(|c| c.strip_suffix('"')).ok_or(want)?;
                (channel, Some(command.to_owned()))
            }
            None => (channel.trim(), None),
        };
        let channel = match channel {
            "voice" => Channel::Voice,
            "ussd" => Channel::Ussd,
            "sms" => Channel::Sms,
            _ => return Err("a channel: `voice`, `ussd` or `sms`".into()),
        };
        out.push((channel, command));
    }
    Ok(Script { name: name.to_owned(), line, channels: out, ..Script::default() })
}

fn one(part: &str) -> Result<Expected, String> {
    if part == "end" {
        return Ok(Expected::End);
    }
    let named = |prefix: &str| part.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
    let quoted = unquoted(part).map(str::to_owned);
    let screen = || part.strip_prefix("screen ").and_then(unquoted).map(str::to_owned);
    named("@")
        .map(Expected::Said)
        .or_else(|| screen().map(Expected::Screen))
        .or_else(|| named("sms @").map(Expected::Sms))
        .or_else(|| named("at ").map(Expected::At))
        .or_else(|| named("does ").map(Expected::Does))
        .or_else(|| quoted.map(Expected::Text))
        .ok_or_else(|| {
            "`@message`, `sms @message`, `\"words\"`, `screen \"words\"`, `at step`, `does action` or `end`"
                .into()
        })
}

fn given(text: &str, settings: &Settings) -> Result<Given, String> {
    if let Some(number) = text.strip_prefix("caller ") {
        let number = number.trim();
        if number == "none" {
            return Ok(Given::Caller(None));
        }
        let caller = Msisdn::parse(number).map_err(|_| "a number such as +8613800000001, or `none`")?;
        return Ok(Given::Caller(Some(caller)));
    }
    if let Some(now) = text.strip_prefix("now ") {
        let want = "a day and a time such as 2026-11-22 09:30";
        let (date, time) = now.trim().split_once(' ').ok_or(want)?;
        let (date, time) = (Date::parse(date).ok_or(want)?, Time::parse(time.trim()).ok_or(want)?);
        return Ok(Given::Now(Moment { date, time }));
    }
    if let Some(tag) = text.strip_prefix("language ") {
        return Ok(Given::Language(tag.trim().to_owned()));
    }
    if text == "unreached" {
        return Ok(Given::Unreached);
    }
    let want = "`caller NUMBER`, `now DAY TIME`, `language TAG`, `unreached` or `ACTION -> outcome(values)`";
    let (name, outcomes) = text.split_once("->").ok_or(want)?;
    let name = name.trim();
    let action = Action::find(name).ok_or_else(|| format!("an action; there is no `{name}`"))?;
    let outcomes = divided(outcomes, " then ").into_iter().map(|text| outcome(action, text, settings));
    Ok(Given::Outcomes { action: name.to_owned(), outcomes: outcomes.collect::<Result<Vec<_>, _>>()? })
}

/// Reads how an action ends: `day_limit(2000, 50)`, or its name alone with values of the kind that it has.
///
/// # Errors
/// What is wanted instead.
pub fn outcome(action: &Action, text: &str, settings: &Settings) -> Result<(String, Vec<Value>), String> {
    let (name, values) = match text.split_once('(') {
        Some((name, values)) => (name.trim(), values.strip_suffix(')').ok_or("`)` after the values")?),
        None => (text, ""),
    };
    if name == PIN_NEEDED && action.moves_money() {
        return Ok((name.to_owned(), Vec::new()));
    }
    let (_, outcome) = action.outcome(name).ok_or_else(|| format!("an outcome of `{}`", action.name))?;
    if values.trim().is_empty() {
        return Ok((name.to_owned(), default_values(Some(outcome), settings)));
    }
    let parts = divided(values, ",");
    if parts.len() != outcome.values.len() {
        return Err(format!("the values of `{}`", outcome.signature()));
    }
    let values = outcome.values.iter().zip(parts).map(|(field, text)| {
        value(field.ty, text, settings)
            .ok_or_else(|| format!("{} for `{}`, not {text:?}", field.ty, field.name))
    });
    Ok((name.to_owned(), values.collect::<Result<Vec<_>, _>>()?))
}

fn unquoted(text: &str) -> Option<&str> {
    text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
}

/// The parts between separators that stand outside of quotes and brackets, trimmed.
fn divided<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        if !quoted && depth == 0 && at >= from && rest.starts_with(separator) {
            parts.push(text.get(from..at).unwrap_or_default().trim());
            from = at + separator.len();
        }
        match c {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default().trim());
    parts
}

/// How deep lists and records may be nested in a value.
const VALUE_DEPTH_MAX: usize = 4;

fn value(ty: Type, text: &str, settings: &Settings) -> Option<Value> {
    value_within(ty, text, settings, VALUE_DEPTH_MAX)
}

/// `bill(204813, "City Water", "W** L**", 80.00, 2026-12-31)`
fn record(record: &Record, text: &str, settings: &Settings, depth: usize) -> Option<Value> {
    let values = text.strip_prefix(record.name)?.trim().strip_prefix('(')?.strip_suffix(')')?;
    let values = divided(values, ",");
    if values.len() != record.fields.len() {
        return None;
    }
    let fields = record.fields.iter().zip(values);
    fields
        .map(|(field, text)| value_within(field.ty, text, settings, depth))
        .collect::<Option<Vec<_>>>()
        .map(Value::Record)
}

/// `[50, 100]`, or `50 100` for what has no spaces of its own; nothing between the brackets is an empty list.
fn list(item: Type, text: &str, settings: &Settings, depth: usize) -> Option<Value> {
    let items = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some("") => Vec::new(),
        Some(items) => divided(items, ","),
        None => text.split_whitespace().collect(),
    };
    items
        .into_iter()
        .map(|one| value_within(item, one, settings, depth))
        .collect::<Option<Vec<_>>>()
        .map(Value::List)
}

fn value_within(ty: Type, text: &str, settings: &Settings, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let value = match ty {
        Type::Bool => Value::Bool(text == "yes"),
        Type::Int => Value::Int(text.parse().ok()?),
        Type::Money => Value::Money(Money::parse(text, settings.currency).ok()?),
        Type::Phone => Value::Phone(Msisdn::parse(text).ok()?),
        Type::Digits => Value::Digits(text.to_owned()),
        Type::Text | Type::Name(_) | Type::Choice(_) => {
            Value::Text(unquoted(text).unwrap_or(text).to_owned())
        }
        Type::List(item) => list(*item, text, settings, depth)?,
        Type::Date => Value::Date(Date::parse(text)?),
        Type::Time => Value::Time(Time::parse(text)?),
        Type::Record(of) => record(of, text, settings, depth)?,
        Type::Secret => return None,
    };
    value.is(ty).then_some(value)
}

/// What an outcome brings when a transcript does not say.
pub(super) fn default_values(outcome: Option<&Outcome>, settings: &Settings) -> Vec<Value> {
    fn default(ty: Type, settings: &Settings) -> Value {
        let money = |minor| Value::Money(Money::new(minor, settings.currency));
        match ty {
            Type::Bool => Value::Bool(false),
            Type::Int => Value::Int(4),
            Type::Money => money(5_000),
            Type::Phone => Msisdn::parse("+8613800000009").map_or(Value::Bool(false), Value::Phone),
            Type::Digits => Value::Digits("204813".into()),
            Type::Text | Type::Secret => Value::Text("text".into()),
            Type::Name(name) => Value::Text(name.into()),
            Type::Choice(_) => Value::Text("other".into()),
            Type::List(Type::Money) => Value::List(vec![money(5_000), money(10_000)]),
            Type::List(item) => Value::List(vec![default(*item, settings)]),
            Type::Date => Date::new(2026, 12, 31).map_or(Value::Bool(false), Value::Date),
            Type::Time => Time::new(12, 0).map_or(Value::Bool(false), Value::Time),
            Type::Record(record) => {
                Value::Record(record.fields.iter().map(|field| default(field.ty, settings)).collect())
            }
        }
    }
    outcome
        .map(|outcome| outcome.values.iter().map(|field| default(field.ty, settings)).collect())
        .unwrap_or_default()
}
