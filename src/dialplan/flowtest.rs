//! Transcripts that test a flow (`*.flowtest`): what the caller does, what is said, and how actions end.
//!
//! ```text
//! test "third amount" on voice, ussd, sms "RC 70"
//!   given caller +8613800000001; now 2026-11-22 09:30; language sw
//!   given payment.quote -> day_limit(2000, 50) then ok(0.50, 50.50)
//!   > 1      < @enter-amount
//!   > 50     < @over-day-limit; at amount
//!   > secret < @recharged; sms @receipt; end
//! ```
//!
//! `>` is the caller, `<` what must have been said since, in this order though not alone. Besides what is typed there are
//! `> silence`, `> hang up`, `> … and hang up` (before the action that the answer leads to has ended) and `> back later`
//! (drops, and is back within the flow's `resume`; `on ussd` if there). `"words"` must be part of what was said, or on
//! USSD of the screen; `screen "…"` is all of the screen, ` / ` where a line ends. A scripted outcome
//! that no action uses is a fault of the test; an action without a script ends in its first outcome. A flow that may not
//! ask for a PIN by text message goes on by USSD. Between every two inputs the state is saved and loaded, and every screen
//! must fit. Nothing here performs an action.

mod everywhere;
pub mod report;
mod script;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::dialplan::action::Action;
use crate::dialplan::catalog::Catalog;
use crate::dialplan::civil::Moment;
use crate::dialplan::event::{Answer, Channel, Collect, Effect, Event, Input, Start};
pub use crate::dialplan::flowtest::everywhere::everywhere;
use crate::dialplan::flowtest::script::default_values;
pub use crate::dialplan::flowtest::script::{Expected, Given, Script, Turn, outcome, parse};
use crate::dialplan::pages::Screen;
use crate::dialplan::program::{Op, PAGE_REPLIES, Program};
use crate::dialplan::state::State;
use crate::dialplan::step::step;
use crate::dialplan::value::Value;
use crate::secret::Secret;

/// Actions in a row without a question; more is a loop that the checker should have found.
const ACTIONS_MAX: usize = 100;
/// What `> secret` types.
pub const SECRET: &str = "135790";

/// Why a transcript does not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The test's name.
    pub test: String,
    /// The channel that it failed on.
    pub channel: Channel,
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
    /// The conversation so far: one line for everything said, done or typed. Secrets are not in it.
    pub transcript: Vec<String>,
}

/// What the transcripts of a flow came by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage {
    /// Steps that were entered.
    pub steps: BTreeSet<String>,
    /// Outcomes that came back: step, action, outcome.
    pub outcomes: BTreeSet<(String, &'static str, String)>,
    /// The largest saved state, in bytes of JSON.
    pub state_bytes: usize,
    /// How many conversations were held.
    pub runs: usize,
}

impl Coverage {
    /// Steps and outcomes of a program that nothing came by, as `step` and `step: action -> outcome`.
    #[must_use]
    pub fn missing(&self, program: &Program) -> Vec<String> {
        let mut out = Vec::new();
        // Flows that are handed over to have transcripts of their own.
        for step in program.steps().iter().filter(|step| step.part == 0) {
            if !self.steps.contains(&*step.name) {
                out.push(step.name.to_string());
            }
            for op in &step.ops {
                let Op::Do { action, .. } = op else { continue };
                for outcome in action.outcomes {
                    let key = (step.name.to_string(), action.name, outcome.name.to_owned());
                    if !self.outcomes.contains(&key) {
                        out.push(format!("{}: {} -> {}", step.name, action.name, outcome.name));
                    }
                }
            }
        }
        out
    }
}

/// Runs every script on every channel that it names.
#[must_use]
pub fn run(catalog: &Catalog, flow: &str, scripts: &[Script]) -> (Coverage, Vec<Failure>) {
    let mut coverage = Coverage::default();
    let mut failures = Vec::new();
    for script in scripts {
        for (channel, command) in &script.channels {
            coverage.runs += 1;
            let fail = |line, reason: String, transcript| Failure {
                test: script.name.clone(),
                channel: *channel,
                line,
                reason,
                transcript,
            };
            // The live flow of a command is tested, unless the flow itself is a draft.
            let tester = catalog.program(flow).is_some_and(|program| program.is_draft());
            let found = match (channel, command) {
                (Channel::Sms, Some(text)) => {
                    catalog.find_sms(text, tester).map(|f| (f.program, f.prefilled))
                }
                (Channel::Ussd, Some(code)) => {
                    catalog.find_ussd(code, tester).map(|f| (f.program, f.prefilled))
                }
                (Channel::Voice, Some(number)) => {
                    catalog.find_voice(number, tester).map(|p| (p, BTreeMap::new()))
                }
                (_, None) => catalog.program(flow).map(|program| (program, BTreeMap::new())),
            };
            let Some((program, prefilled)) = found else {
                failures.push(fail(script.line, "no flow answers this".into(), Vec::new()));
                continue;
            };
            let mut conversation = Conversation::new(&program, *channel, script, &mut coverage);
            if let Err((line, reason)) = conversation.hold(script, prefilled) {
                failures.push(fail(line, reason, conversation.transcript));
            }
        }
    }
    (coverage, failures)
}

struct Conversation<'c> {
    program: &'c Arc<Program>,
    channel: Channel,
    state: State,
    outcomes: BTreeMap<String, VecDeque<(String, Vec<Value>)>>,
    coverage: &'c mut Coverage,
    transcript: Vec<String>,
    /// What happened since the last input.
    happened: Vec<Happened>,
    collect: Option<Collect>,
    secrets: Vec<String>,
    /// The caller hangs up while the next action is under way.
    leaving: bool,
    /// Nobody answers a call back.
    unreached: bool,
}

enum Happened {
    Said { key: Arc<str>, text: String },
    Shown(String),
    Sent(Arc<str>),
    Did(&'static str),
    Entered(Arc<str>),
    Ended,
}

type Held<T> = Result<T, (usize, String)>;

impl<'c> Conversation<'c> {
    fn new(program: &'c Arc<Program>, channel: Channel, script: &Script, coverage: &'c mut Coverage) -> Self {
        let mut outcomes: BTreeMap<String, VecDeque<(String, Vec<Value>)>> = BTreeMap::new();
        for given in &script.given {
            if let Given::Outcomes { action, outcomes: scripted, .. } = given {
                outcomes.entry(action.clone()).or_default().extend(scripted.iter().cloned());
            }
        }
        let state = State::new(program);
        Self {
            program,
            channel,
            state,
            outcomes,
            coverage,
            transcript: Vec::new(),
            happened: Vec::new(),
            collect: None,
            secrets: Vec::new(),
            leaving: false,
            unreached: script.given.contains(&Given::Unreached),
        }
    }

    fn hold(&mut self, script: &Script, prefilled: BTreeMap<String, String>) -> Held<()> {
        let mut start = Start {
            channel: self.channel,
            caller: None,
            language: self.program.settings().default_language.clone(),
            prefilled,
            at: Moment::default(),
            restarted: false,
            pin_waivable: self.channel == Channel::Sms,
        };
        for given in &script.given {
            match given {
                Given::Caller(caller) => start.caller.clone_from(caller),
                Given::Now(at) => start.at = *at,
                Given::Language(tag) if self.program.texts().has_language(tag) => {
                    start.language.clone_from(tag);
                }
                Given::Language(tag) => {
                    return Err((script.line, format!("there are no messages in the language `{tag}`")));
                }
                Given::Unreached | Given::Outcomes { .. } => {}
            }
        }
        self.event(Event::Start(start), script.line)?;
        let mut turns = script.turns.iter().peekable();
        if let Some(first) = turns.peek()
            && first.typed.is_some()
        {
            self.read_to_the_end(first)?;
        }
        while let Some(turn) = turns.next() {
            if let Some(typed) = &turn.typed {
                self.reload(turn.line)?;
                self.happened.clear();
                let event = self.answer(typed, turn.line)?;
                self.event(event, turn.line)?;
            }
            if let Some(next) = turns.peek() {
                self.read_to_the_end(next)?;
            } else {
                self.read_on(turn.line)?;
            }
            self.expect(turn)?;
        }
        self.reload(script.line)?;
        match self.outcomes.iter().find(|(_, left)| !left.is_empty()) {
            Some((action, left)) => {
                let name = left.front().map_or("", |(name, _)| name.as_str());
                Err((script.line, format!("`{action} -> {name}` was given, but never came up")))
            }
            None => Ok(()),
        }
    }

    /// A last screen of several pages is read to its end, unless the test turns the pages itself.
    fn read_to_the_end(&mut self, next: &Turn) -> Held<()> {
        match next.typed.as_deref() {
            Some(typed) if PAGE_REPLIES.contains(&typed) => Ok(()),
            _ => self.read_on(next.line),
        }
    }

    fn read_on(&mut self, line: usize) -> Held<()> {
        let [_, on] = PAGE_REPLIES;
        while self.state.screen.as_ref().is_some_and(|screen| screen.ends) && !self.state.gone {
            self.transcript.push(format!("> {on}"));
            self.event(Event::Answer(Answer::Text(on.to_owned())), line)?;
        }
        Ok(())
    }

    /// What the caller typed, as the channel would deliver it.
    fn answer(&mut self, typed: &str, line: usize) -> Held<Event> {
        if typed == "hang up" {
            self.transcript.push("> (hangs up)".into());
            return Ok(Event::Hangup);
        }
        if let Some(channel) = typed.strip_prefix("back later") {
            return self.back_later(channel.trim(), line);
        }
        let typed = match typed.strip_suffix(" and hang up") {
            Some(typed) => {
                self.leaving = true;
                typed.trim_end()
            }
            None => typed,
        };
        let Some(collect) = &self.collect else {
            return Err((line, format!("nothing is asked, but the caller types `{typed}`")));
        };
        let secret =
            typed.strip_prefix("secret").map(|rest| if rest.is_empty() { SECRET } else { rest.trim() });
        self.transcript.push(format!("> {}", if secret.is_some() { "(secret)" } else { typed }));
        let wants_secret = matches!(collect.input, Input::Secret { .. });
        if secret.is_some() && !wants_secret {
            return Err((line, "a secret is typed, but none is asked for".into()));
        }
        if let Some(secret) = secret {
            self.secrets.push(secret.to_owned());
            return Ok(Event::Answer(Answer::Secret(Secret::from(secret))));
        }
        let mut keys = typed.chars();
        let single = keys.next().filter(|_| keys.next().is_none());
        Ok(Event::Answer(match (typed, self.channel) {
            ("silence", Channel::Voice) => Answer::Silence,
            ("silence", _) => return Err((line, "silence can only be heard on voice".into())),
            ("#", Channel::Voice) => Answer::Empty,
            (_, Channel::Voice) => match single {
                Some(key) if matches!(collect.input, Input::Menu(_)) || collect.keys.contains(&key) => {
                    Answer::Key(key)
                }
                _ if wants_secret => Answer::Secret(Secret::from(typed)),
                _ if matches!(collect.input, Input::Menu(_)) => Answer::Invalid,
                _ => Answer::Digits(typed.to_owned()),
            },
            _ => Answer::Text(typed.to_owned()),
        }))
    }

    fn back_later(&mut self, channel: &str, line: usize) -> Held<Event> {
        if self.program.resume.is_none() {
            return Err((line, "the caller is back later, but the flow has no `resume`".into()));
        }
        self.channel = match channel {
            "" => self.channel,
            "on voice" => Channel::Voice,
            "on ussd" => Channel::Ussd,
            "on sms" => Channel::Sms,
            _ => return Err((line, "a channel after `back later`: `on ussd`".into())),
        };
        self.transcript.push(format!("> (drops, and is back later on {})", self.channel));
        Ok(Event::Resumed(self.channel))
    }

    fn event(&mut self, event: Event, line: usize) -> Held<()> {
        let mut event = event;
        for _ in 0..ACTIONS_MAX {
            let before = self.state.at.step;
            let (state, effects) = step(self.program, self.state.clone(), event);
            self.state = state;
            if self.leaving && effects.iter().any(|effect| matches!(effect, Effect::Do { .. })) {
                self.leaving = false;
                self.transcript.push("> (hangs up)".into());
                let (state, told) = step(self.program, self.state.clone(), Event::Hangup);
                self.state = state;
                self.perform(told, line)?;
            }
            self.enter(before);
            match self.perform(effects, line)? {
                Some(next) => event = next,
                None => return Ok(()),
            }
        }
        Err((line, "the flow does not come to a question".into()))
    }

    fn enter(&mut self, before: u16) {
        // Steps that only say something and go on are seen by their visits.
        for (step, visits) in self.program.steps().iter().zip(&self.state.visits) {
            if *visits > 0 {
                self.coverage.steps.insert(step.name.to_string());
            }
        }
        let now = self.state.at.step;
        if let Some(step) = self.program.steps().get(usize::from(now)) {
            self.coverage.steps.insert(step.name.to_string());
            if now != before {
                self.transcript.push(format!("  [{}]", step.name));
            }
            self.happened.push(Happened::Entered(step.name.clone()));
        }
    }

    /// Records effects; gives the event that answers the last one, if it is an action.
    fn perform(&mut self, effects: Vec<Effect>, line: usize) -> Held<Option<Event>> {
        self.collect = None;
        for effect in effects {
            match effect {
                Effect::Say(utterances) => {
                    for utterance in utterances {
                        let text = self.program.text(&utterance, &self.state.language, self.channel);
                        if text.contains('{') || text.is_empty() {
                            return Err((line, format!("`{}` is said as {text:?}", utterance.name)));
                        }
                        self.transcript.push(format!("< @{} {text}", utterance.name));
                        self.happened.push(Happened::Said { key: utterance.name, text });
                    }
                }
                Effect::SendSms { message, text, .. } => {
                    self.transcript.push(format!("< sms @{message} {text}"));
                    self.happened.push(Happened::Sent(message));
                }
                Effect::Collect(collect) => self.collect = Some(collect),
                Effect::Do { action, .. } => {
                    self.happened.push(Happened::Did(action.name));
                    return self.outcome(action).map(Some);
                }
                Effect::Screen(text) => self.screen(text, line)?,
                Effect::Callback => return Ok(Some(self.call_back())),
                Effect::Mark(_) | Effect::Hold => {}
                Effect::End => {
                    self.transcript.push("< (ends)".into());
                    self.happened.push(Happened::Ended);
                }
            }
        }
        Ok(None)
    }

    fn screen(&mut self, text: String, line: usize) -> Held<()> {
        let settings = self.program.settings();
        if !Screen::of(settings, "", "").holds(&text) {
            return Err((line, format!("this screen is longer than a screen: {text:?}")));
        }
        if text.is_empty() {
            return Err((line, "an empty screen is shown".into()));
        }
        // A screen of one page says what was said; pages are shown as they come.
        if self.state.screen.is_some() || !self.happened.iter().any(|h| matches!(h, Happened::Said { .. })) {
            self.transcript.push(format!("< screen: {}", text.replace('\n', " / ")));
        }
        self.happened.push(Happened::Shown(text));
        Ok(())
    }

    /// The PIN is asked on a screen, since a text message may not carry it.
    fn call_back(&mut self) -> Event {
        if self.unreached {
            self.transcript.push("  (the caller is not reached)".into());
            return Event::Unreached;
        }
        self.transcript.push("  (goes on by ussd)".into());
        self.channel = Channel::Ussd;
        Event::Reached(Channel::Ussd)
    }

    fn outcome(&mut self, action: &'static Action) -> Held<Event> {
        let scripted = self.outcomes.get_mut(action.name).and_then(VecDeque::pop_front);
        let (name, values) = scripted.unwrap_or_else(|| {
            let first = action.outcomes.first();
            (
                first.map_or("", |outcome| outcome.name).to_owned(),
                default_values(first, self.program.settings()),
            )
        });
        let step = self.program.steps().get(usize::from(self.state.at.step));
        let step = step.map_or_else(String::new, |step| step.name.to_string());
        self.coverage.outcomes.insert((step, action.name, name.clone()));
        self.transcript.push(format!("  {} -> {name}", action.name));
        Ok(Event::Outcome { name, values })
    }

    /// What was expected must have happened, in this order.
    fn expect(&self, turn: &Turn) -> Held<()> {
        let mut happened = self.happened.iter();
        for expected in &turn.expected {
            let found = match expected {
                Expected::At(step) => {
                    self.happened.iter().rev().find_map(|h| match h {
                        Happened::Entered(name) => Some(**name == **step),
                        _ => None,
                    }) == Some(true)
                }
                Expected::Said(key) => {
                    happened.any(|h| matches!(h, Happened::Said { key: said, .. } if **said == **key))
                }
                Expected::Text(words) => self.happened.iter().any(|h| match h {
                    Happened::Said { text, .. } => self.channel != Channel::Ussd && text.contains(words),
                    Happened::Shown(text) => text.contains(words),
                    _ => false,
                }),
                Expected::Screen(_) if self.channel != Channel::Ussd => true,
                Expected::Screen(wanted) => {
                    let shown = self.happened.iter().rev().find_map(|h| match h {
                        Happened::Shown(text) => Some(text.replace('\n', " / ")),
                        _ => None,
                    });
                    shown.as_ref() == Some(wanted)
                }
                // In a thread of text messages what is told is itself the message.
                Expected::Sms(_) if self.channel == Channel::Sms => true,
                Expected::Sms(key) => happened.any(|h| matches!(h, Happened::Sent(sent) if **sent == **key)),
                Expected::Does(action) => {
                    self.happened.iter().any(|h| matches!(h, Happened::Did(a) if *a == action))
                }
                Expected::End => happened.any(|h| matches!(h, Happened::Ended)),
            };
            if !found {
                return Err((turn.line, format!("expected {expected}")));
            }
        }
        Ok(())
    }

    /// Saves the state and loads it again, as a restart between two inputs would.
    fn reload(&mut self, line: usize) -> Held<()> {
        let saved = serde_json::to_string(&self.state).map_err(|error| (line, error.to_string()))?;
        if self.secrets.iter().any(|secret| saved.contains(secret.as_str())) {
            return Err((line, "the saved state holds a secret".into()));
        }
        self.coverage.state_bytes = self.coverage.state_bytes.max(saved.len());
        let loaded: State = serde_json::from_str(&saved).map_err(|error| (line, error.to_string()))?;
        if loaded != self.state {
            return Err((line, "the state changed by being saved".into()));
        }
        self.state = loaded;
        Ok(())
    }
}
