//! Who is helped when a text is no command, and who is left in silence: a machine that answers every text with a text must
//! not be kept talking, and nobody is to be sent texts for money by a stranger who forges his number.
//!
//! Counts are kept in memory, for each node; a restart forgets them, which costs a few texts. Pure: the time is given.

use std::collections::HashMap;

use crate::clock::Timestamp;

/// The limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Helps to one number in an hour.
    pub helps_an_hour: u32,
    /// Texts from one number in a minute that are no command and answer nothing, before it is a loop.
    pub texts_a_minute: u32,
    /// Equal texts in an hour that are no command, before it is a loop.
    pub equal_an_hour: u32,
    /// Numbers that are remembered; when all places are taken by the last hour's, a further number is not helped.
    pub numbers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { helps_an_hour: 3, texts_a_minute: 10, equal_an_hour: 3, numbers_max: 100_000 }
    }
}

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 3_600_000_000;

/// What becomes of a text that is no command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The help words.
    Help,
    /// Nothing: it was helped enough.
    Enough,
    /// Nothing: a machine answers a machine.
    Loop,
    /// Nothing: too many numbers want help.
    Full,
}

/// One number's last hour.
#[derive(Debug, Default)]
struct Record {
    /// When the hour that is counted began.
    hour: i64,
    helps: u32,
    /// The latest text, as a hash, and how often it came in a row.
    text: u64,
    equal: u32,
    /// When the minute that is counted began.
    minute: i64,
    texts: u32,
    /// In silence until then.
    silent_until: i64,
}

/// What is remembered.
#[derive(Debug, Default)]
pub struct Nonsense {
    limits: Limits,
    numbers: HashMap<String, Record>,
}

impl Nonsense {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, numbers: HashMap::new() }
    }

    /// A text from `number` was no command and answered nothing; `text` is a hash of it.
    pub fn hear(&mut self, now: Timestamp, number: &str, text: u64) -> Reply {
        let now = now.0;
        if !self.numbers.contains_key(number) && self.numbers.len() >= self.limits.numbers_max {
            self.numbers.retain(|_, record| now - record.hour < HOUR || now < record.silent_until);
            if self.numbers.len() >= self.limits.numbers_max {
                return Reply::Full;
            }
        }
        let limits = self.limits;
        let record = self.numbers.entry(number.to_owned()).or_default();
        if now - record.hour >= HOUR {
            *record = Record { hour: now, silent_until: record.silent_until, ..Record::default() };
        }
        if now - record.minute >= MINUTE {
            (record.minute, record.texts) = (now, 0);
        }
        record.texts = record.texts.saturating_add(1);
        record.equal =
            if record.text == text && record.equal > 0 { record.equal.saturating_add(1) } else { 1 };
        record.text = text;
        if record.equal > limits.equal_an_hour || record.texts > limits.texts_a_minute {
            record.silent_until = now.saturating_add(HOUR);
        }
        if now < record.silent_until {
            return Reply::Loop;
        }
        if record.helps >= limits.helps_an_hour {
            return Reply::Enough;
        }
        record.helps += 1;
        Reply::Help
    }

    /// A number wants to be left alone: nonsense from it is not answered for a day.
    pub fn stop(&mut self, now: Timestamp, number: &str) {
        if self.numbers.len() < self.limits.numbers_max || self.numbers.contains_key(number) {
            let record = self.numbers.entry(number.to_owned()).or_default();
            (record.hour, record.silent_until) = (now.0, now.0.saturating_add(24 * HOUR));
        }
    }

    /// A number sent a command or an answer: a person is there.
    pub fn understood(&mut self, number: &str) {
        if let Some(record) = self.numbers.get_mut(number) {
            (record.equal, record.texts, record.silent_until) = (0, 0, 0);
        }
    }

    /// Numbers that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_number_is_helped_three_times_an_hour() {
        let mut nonsense = Nonsense::new(Limits::default());
        let mut hear = |at: i64, text: u64| nonsense.hear(Timestamp(HOUR + at), "+861", text);
        assert_eq!(hear(0, 1), Reply::Help);
        assert_eq!(hear(20 * SECOND, 2), Reply::Help);
        assert_eq!(hear(40 * SECOND, 3), Reply::Help);
        assert_eq!(hear(60 * SECOND, 4), Reply::Enough);
        assert_eq!(hear(HOUR - 1, 5), Reply::Enough);
        assert_eq!(hear(HOUR, 6), Reply::Help);
        assert_eq!(nonsense.hear(Timestamp(HOUR), "+862", 1), Reply::Help, "each number for itself");
    }

    #[test]
    fn a_machine_that_says_the_same_is_left_alone() {
        let limits = Limits { helps_an_hour: 100, ..Limits::default() };
        let mut nonsense = Nonsense::new(limits);
        let replies: Vec<Reply> =
            (0..5).map(|n| nonsense.hear(Timestamp(HOUR + n * 61 * SECOND), "+861", 7)).collect();
        assert_eq!(replies, [Reply::Help, Reply::Help, Reply::Help, Reply::Loop, Reply::Loop]);
        // Another text does not end the silence, a command does.
        assert_eq!(nonsense.hear(Timestamp(HOUR + 400 * SECOND), "+861", 8), Reply::Loop);
        nonsense.understood("+861");
        assert_eq!(nonsense.hear(Timestamp(HOUR + 500 * SECOND), "+861", 8), Reply::Help);
    }

    #[test]
    fn a_flood_is_a_loop() {
        let limits = Limits { helps_an_hour: 100, ..Limits::default() };
        let mut nonsense = Nonsense::new(limits);
        let replies: Vec<Reply> =
            (0..12).map(|n| nonsense.hear(Timestamp(HOUR + n), "+861", n.unsigned_abs())).collect();
        assert_eq!(replies.iter().filter(|r| **r == Reply::Help).count(), 10);
        assert_eq!(replies[10..], [Reply::Loop, Reply::Loop]);
        assert_eq!(nonsense.hear(Timestamp(3 * HOUR), "+861", 99), Reply::Help, "the silence ends");
    }

    #[test]
    fn who_wants_to_be_left_alone_is() {
        let mut nonsense = Nonsense::new(Limits::default());
        nonsense.stop(Timestamp(HOUR), "+861");
        assert_eq!(nonsense.hear(Timestamp(24 * HOUR), "+861", 1), Reply::Loop);
        assert_eq!(nonsense.hear(Timestamp(25 * HOUR), "+861", 2), Reply::Help);
        nonsense.stop(Timestamp(26 * HOUR), "+861");
        nonsense.understood("+861");
        assert_eq!(
            nonsense.hear(Timestamp(27 * HOUR), "+861", 1),
            Reply::Help,
            "a command is a new beginning"
        );
    }

    #[test]
    fn places_are_limited() {
        let mut nonsense = Nonsense::new(Limits { numbers_max: 2, ..Limits::default() });
        assert_eq!(nonsense.hear(Timestamp(HOUR), "+861", 1), Reply::Help);
        assert_eq!(nonsense.hear(Timestamp(HOUR + 1), "+862", 1), Reply::Help);
        assert_eq!(nonsense.hear(Timestamp(HOUR + 2), "+863", 1), Reply::Full);
        assert_eq!(nonsense.hear(Timestamp(HOUR + 3), "+862", 2), Reply::Help, "who has a place keeps it");
        assert_eq!(nonsense.hear(Timestamp(2 * HOUR), "+863", 1), Reply::Help, "a place is free again");
        assert_eq!(nonsense.len(), 2);
    }
}
