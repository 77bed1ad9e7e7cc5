//! What is asked, in the terms of the channel that asks: keys to collect on voice, a reply on a screen.

use std::time::{Duration, Instant};

use crate::dialplan::event::{Answer, Collect, Input};
use crate::secret::Secret;
use crate::session::collect::{CollectSpec, Collector, Entry, Step, TypeAhead};

/// A question of the dialplan.
#[derive(Clone, Debug)]
pub struct Question {
    collect: Collect,
}

impl Question {
    pub(super) const fn new(collect: Collect) -> Self {
        Self { collect }
    }

    /// Whether the answer must not be shown, logged or repeated.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.collect.input, Input::Secret { .. })
    }

    /// How a telephone collects the answer.
    #[must_use]
    pub fn keys(&self) -> CollectSpec {
        let (min, max) = self.collect.input.length();
        let menu = match &self.collect.input {
            Input::Menu(keys) => Some(keys.iter().map(char::to_string).collect()),
            _ => None,
        };
        CollectSpec {
            min: usize::from(min),
            max: usize::from(max),
            terminators: vec![self.collect.terminator],
            global: self.collect.keys.clone(),
            first: self.collect.first_digit,
            inter: self.collect.inter_digit,
            secret: self.is_secret(),
            barge_in: self.collect.barge_in,
            fresh: self.collect.fresh || self.collect.confirmation,
            menu,
        }
    }

    /// What the dialplan is told of collected keys.
    #[must_use]
    pub fn keyed(&self, entry: Entry) -> Answer {
        match entry {
            Entry::Digits(digits) => match (&self.collect.input, digits.chars().next()) {
                (Input::Menu(_), Some(key)) if digits.len() == 1 => Answer::Key(key),
                _ => Answer::Digits(digits),
            },
            Entry::Secret(secret) => Answer::Secret(secret),
            Entry::Key(key) => Answer::Key(key),
            Entry::Empty => Answer::Empty,
            Entry::TooShort | Entry::Invalid => Answer::Invalid,
            Entry::Silence => Answer::Silence,
        }
    }

    /// What the dialplan is told of a reply in text. A reply to a secret question becomes a secret at once.
    #[must_use]
    pub fn replied(&self, text: &str) -> Answer {
        let text = text.trim();
        if self.is_secret() {
            return Answer::Secret(Secret::from(text));
        }
        Answer::Text(text.to_owned())
    }

    /// What the dialplan is told of keys typed as one line: `50#`, `1`, `*`; an empty line is silence. The same collector
    /// reads them as would read a telephone's.
    #[must_use]
    pub fn typed(&self, now: Instant, keys: &str) -> Answer {
        let mut ahead = TypeAhead::default();
        let spec = CollectSpec { fresh: false, ..self.keys() };
        let (mut collector, _) = Collector::begin(now, spec, &mut ahead);
        collector.prompt_done(now);
        let mut at = now;
        for key in keys.chars() {
            at += Duration::from_millis(100);
            ahead.push(at, key);
            if let Step::Done(entry) = collector.take(at, &mut ahead, false) {
                return self.keyed(entry);
            }
        }
        while let Some(deadline) = collector.next_deadline() {
            at = at.max(deadline);
            if let Step::Done(entry) = collector.tick(at) {
                return self.keyed(entry);
            }
        }
        Answer::Silence
    }
}
