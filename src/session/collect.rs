//! Collects the keys of one input, pure: timers, terminator, barge-in, type-ahead and length.
//!
//! ```text
//! keys ──► TypeAhead ──► Collector ──► Entry      the prompt plays   it has ended        a key came
//!          (always)      (one input)              no timer           first-digit timer   inter-digit timer
//! ```
//! Every key of a call goes through its one [`TypeAhead`], also while nothing is asked; a [`Collector`] is
//! made for each input and takes keys from there. Drive it so: [`Collector::begin`]; for each key
//! [`TypeAhead::push`] then [`Collector::take`]; [`Collector::prompt_done`] when the prompt is over,
//! [`Collector::tick`] at [`Collector::next_deadline`]. After [`Step::Done`] the collector is spent. Digits
//! are kept in [`Secret`] memory whatever is asked, and nothing here prints one.

use std::time::{Duration, Instant};

use crate::secret::Secret;

/// Keys that a caller may be ahead; further ones are dropped.
pub const TYPE_AHEAD_KEYS_MAX: usize = 32;

/// The longest input; a larger `max` is cut to it.
pub const ENTRY_KEYS_MAX: usize = 64;

/// A terminator so soon after a full-length input belongs to that input.
pub const SWALLOW_FOR: Duration = Duration::from_secs(3);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct CollectSpec {
    /// Fewer digits are [`Entry::TooShort`].
    pub min: usize,
    /// So many digits end the input without a terminator.
    pub max: usize,
    /// Keys that end the input.
    pub terminators: Vec<char>,
    /// Keys with a meaning of their own (back, main menu) when they are the first of the input. A menu that
    /// lists one of them keeps it; an ask for digits that may start with one must leave it out here.
    pub global: Vec<char>,
    /// From the end of the prompt to the first key.
    pub first: Duration,
    /// From one key to the next.
    pub inter: Duration,
    /// Whether the digits may only leave as [`Secret`].
    pub secret: bool,
    /// Whether a key stops the prompt. If not, keys pressed during it are dropped.
    pub barge_in: bool,
    /// Whether keys pressed before this input are dropped: for confirmations and after any error. Always so
    /// for a secret.
    pub fresh: bool,
    /// The valid entries of a menu. The input then ends as soon as it is one of them and the start of no
    /// other.
    pub menu: Option<Vec<String>>,
}

impl CollectSpec {
    /// Digits with the usual timers (5 s, 3 s), `#` to end, barge-in and type-ahead.
    #[must_use]
    pub fn digits(min: usize, max: usize) -> Self {
        Self {
            min,
            max,
            terminators: vec!['#'],
            global: Vec::new(),
            first: Duration::from_secs(5),
            inter: Duration::from_secs(3),
            secret: false,
            barge_in: true,
            fresh: false,
            menu: None,
        }
    }

    /// One of these entries.
    #[must_use]
    pub fn menu(entries: Vec<String>) -> Self {
        let max = entries.iter().map(|e| e.chars().count()).max().unwrap_or(1);
        Self { menu: Some(entries), ..Self::digits(1, max) }
    }
}

/// What to do now.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// Wait for a key or the deadline.
    Wait,
    /// Stop the prompt, or do not start it: the caller is keying.
    StopPrompt,
    /// The input is over. Whatever of the prompt still plays is to be stopped.
    Done(Entry),
}

/// What the caller keyed.
#[derive(Eq, PartialEq)]
pub enum Entry {
    /// Digits, or a menu entry.
    Digits(String),
    /// Digits of a secret input.
    Secret(Secret),
    /// A global key.
    Key(char),
    /// A terminator alone.
    Empty,
    /// Fewer than `min` digits.
    TooShort,
    /// A key that has no place here, or no entry of the menu.
    Invalid,
    /// No key in time.
    Silence,
}

impl std::fmt::Debug for Entry {
    /// Digits may be a telephone number: only their count is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Digits(digits) => write!(f, "Digits({} keys)", digits.len()),
            Self::Secret(_) => f.write_str("Secret"),
            Self::Key(key) => write!(f, "Key({key})"),
            Self::Empty => f.write_str("Empty"),
            Self::TooShort => f.write_str("TooShort"),
            Self::Invalid => f.write_str("Invalid"),
            Self::Silence => f.write_str("Silence"),
        }
    }
}

/// Keys that were pressed and not yet taken by an input.
#[derive(Debug, Default)]
pub struct TypeAhead {
    keys: Secret,
    /// How many of `keys` were taken.
    taken: usize,
    /// Until when a terminator still belongs to the full-length input before it.
    swallow: Option<(Vec<char>, Instant)>,
}

impl TypeAhead {
    /// A key was pressed; false if it was dropped, because the buffer is full, it ended the previous input
    /// once more, or it is no telephone key.
    pub fn push(&mut self, now: Instant, key: char) -> bool {
        if let Some((terminators, until)) = self.swallow.take()
            && now <= until
            && terminators.contains(&key)
        {
            return false;
        }
        let Some(byte) = u8::try_from(key).ok().filter(u8::is_ascii_graphic) else { return false };
        if self.keys.len().saturating_sub(self.taken) >= TYPE_AHEAD_KEYS_MAX {
            return false;
        }
        if self.taken >= TYPE_AHEAD_KEYS_MAX {
            // What was taken is wiped, so that the buffer does not grow with the call.
            let rest = self.keys.expose().get(self.taken..).unwrap_or_default().to_vec();
            (self.keys, self.taken) = (Secret::new(rest), 0);
        }
        self.keys.push(byte);
        true
    }

    /// Drops all keys: before a confirmation and after an error.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.taken = 0;
    }

    /// Whether no key waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.len() == self.taken
    }

    fn pop(&mut self) -> Option<char> {
        let key = self.keys.expose().get(self.taken).copied();
        self.taken += 1;
        if key.is_none() || self.is_empty() {
            self.clear();
        }
        key.map(char::from)
    }

    /// The input that just ended was full: a terminator that follows is part of it, in the buffer or still to
    /// come.
    fn swallow(&mut self, now: Instant, terminators: &[char]) {
        match self.keys.expose().get(self.taken) {
            Some(next) if terminators.contains(&char::from(*next)) => {
                self.pop();
            }
            Some(_) => {}
            None => self.swallow = Some((terminators.to_vec(), now + SWALLOW_FOR)),
        }
    }
}

/// One input.
#[derive(Debug)]
pub struct Collector {
    spec: CollectSpec,
    keys: Secret,
    deadline: Option<Instant>,
    done: bool,
}

impl Collector {
    /// Starts an input and takes the keys that were typed ahead, unless the input wants fresh ones. On
    /// [`Step::Wait`] start the prompt; on [`Step::StopPrompt`] leave it out; on [`Step::Done`] the input is
    /// complete already.
    pub fn begin(now: Instant, mut spec: CollectSpec, ahead: &mut TypeAhead) -> (Self, Step) {
        spec.max = spec.max.clamp(1, ENTRY_KEYS_MAX);
        spec.min = spec.min.min(spec.max);
        if spec.fresh || spec.secret {
            ahead.clear();
        }
        let mut collector = Self { spec, keys: Secret::default(), deadline: None, done: false };
        // Keys typed ahead came before the prompt: they count even where it cannot be interrupted.
        let step = collector.take(now, ahead, false);
        let step = if step == Step::Wait && collector.keyed() { Step::StopPrompt } else { step };
        (collector, step)
    }

    /// Takes keys from the buffer until the input is over or the buffer is empty.
    pub fn take(&mut self, now: Instant, ahead: &mut TypeAhead, prompt_playing: bool) -> Step {
        let mut result = Step::Wait;
        while !self.done
            && let Some(key) = ahead.pop()
        {
            match self.key(now, key, prompt_playing) {
                Step::Wait => {}
                Step::StopPrompt => result = Step::StopPrompt,
                Step::Done(entry) => {
                    match &entry {
                        Entry::TooShort | Entry::Invalid | Entry::Silence => ahead.clear(),
                        // Decision: `#` is only a terminator, and after a full-length input it ends that
                        // input.
                        Entry::Digits(_) | Entry::Secret(_) | Entry::Key(_) if !self.ends(key) => {
                            ahead.swallow(now, &self.spec.terminators);
                        }
                        Entry::Digits(_) | Entry::Secret(_) | Entry::Key(_) | Entry::Empty => {}
                    }
                    return Step::Done(entry);
                }
            }
        }
        result
    }

    /// The prompt is over, or there was none: the first-digit timer starts.
    pub fn prompt_done(&mut self, now: Instant) {
        if !self.done && !self.keyed() {
            self.deadline = Some(now + self.spec.first);
        }
    }

    /// The time has come, or not yet.
    pub fn tick(&mut self, now: Instant) -> Step {
        match self.deadline {
            Some(deadline) if now >= deadline && self.keyed() => self.finish(),
            Some(deadline) if now >= deadline => self.done(Entry::Silence),
            _ => Step::Wait,
        }
    }

    /// When to call [`Collector::tick`].
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn key(&mut self, now: Instant, key: char, prompt_playing: bool) -> Step {
        if prompt_playing && !self.spec.barge_in && !self.keyed() {
            return Step::Wait;
        }
        let first = !self.keyed();
        if let Some(choice) = self.in_menu(key) {
            self.accept(now, key);
            if choice == Choice::Complete {
                return self.finish();
            }
        } else if self.ends(key) {
            return if first { self.done(Entry::Empty) } else { self.finish() };
        } else if first && self.spec.global.contains(&key) {
            return self.done(Entry::Key(key));
        } else if self.spec.menu.is_some() || !key.is_ascii_digit() {
            return self.done(Entry::Invalid);
        } else {
            self.accept(now, key);
            if self.keys.len() >= self.spec.max {
                return self.finish();
            }
        }
        if first && prompt_playing { Step::StopPrompt } else { Step::Wait }
    }

    fn accept(&mut self, now: Instant, key: char) {
        if let Ok(byte) = u8::try_from(key) {
            self.keys.push(byte);
        }
        self.deadline = Some(now + self.spec.inter);
    }

    fn keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    fn ends(&self, key: char) -> bool {
        self.spec.terminators.contains(&key)
    }

    /// What the menu makes of one more key; nothing if it leads to no entry.
    fn in_menu(&self, key: char) -> Option<Choice> {
        let entries = self.spec.menu.as_ref()?;
        let mut leads = None;
        for entry in entries {
            let rest = entry.as_bytes().strip_prefix(self.keys.expose());
            match rest.and_then(|rest| rest.split_first()) {
                Some((next, [])) if char::from(*next) == key => leads = leads.or(Some(Choice::Complete)),
                Some((next, _)) if char::from(*next) == key => leads = Some(Choice::Longer),
                _ => {}
            }
        }
        leads
    }

    fn finish(&mut self) -> Step {
        if self.keys.len() < self.spec.min {
            return self.done(Entry::TooShort);
        }
        let keys = std::mem::take(&mut self.keys);
        if let Some(entries) = &self.spec.menu
            && !entries.iter().any(|entry| entry.as_bytes() == keys.expose())
        {
            return self.done(Entry::Invalid);
        }
        if self.spec.secret {
            return self.done(Entry::Secret(keys));
        }
        let digits = keys.expose().iter().map(|b| char::from(*b)).collect();
        self.done(Entry::Digits(digits))
    }

    fn done(&mut self, entry: Entry) -> Step {
        self.done = true;
        self.deadline = None;
        self.keys.clear();
        Step::Done(entry)
    }
}

/// Where a key leads in a menu.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Choice {
    /// To an entry that is the start of no other.
    Complete,
    /// Towards a longer entry, perhaps past a shorter one.
    Longer,
}

#[cfg(test)]
#[path = "collect/tests.rs"]
mod tests;
