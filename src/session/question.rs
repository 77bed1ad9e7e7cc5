//! What is asked, in the terms of the channel that asks: keys to collect on voice, a reply on a screen.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::dialplan::event::{Answer, Collect, Input, plain};
use crate::secret::Secret;
use crate::session::collect::{CollectSpec, Collector, Entry, Step, TypeAhead};

/// Digits of a telephone number at most, as people write it in a text: with `00` and the country in front.
const PHONE_MAX: usize = 17;

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

    /// What the dialplan is told of a reply in text. A reply to a secret question becomes a secret at once; its digits are
    /// those of a keypad, whatever keyboard they were typed on.
    #[must_use]
    pub fn replied(&self, text: &str) -> Answer {
        let text = text.trim();
        if !self.is_secret() {
            return Answer::Text(text.to_owned());
        }
        let mut secret = Secret::default();
        for c in text.strip_suffix(['#', '\u{ff03}']).unwrap_or(text).chars().map(plain) {
            let mut utf8 = Zeroizing::new([0; 4]);
            for byte in c.encode_utf8(&mut *utf8).bytes() {
                secret.push(byte);
            }
        }
        Answer::Secret(secret)
    }

    /// Whether a text is, as it stands, an answer of the kind that is wanted. A text that is not, and is the command of a
    /// flow, is taken as the command; one that is neither is a wrong answer.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let typed: Zeroizing<String> = Zeroizing::new(text.trim().chars().map(plain).collect());
        let typed = typed.strip_suffix('#').unwrap_or(&typed).trim();
        let length = typed.chars().count();
        if let (Some(key), 1) = (typed.chars().next(), length)
            && self.collect.keys.contains(&key)
        {
            return true;
        }
        let (min, max) = self.collect.input.length();
        let within = |count: usize| (usize::from(min)..=usize::from(max)).contains(&count);
        let only =
            |signs: &str| !typed.is_empty() && typed.chars().all(|c| c.is_ascii_digit() || signs.contains(c));
        let digits = typed.chars().filter(char::is_ascii_digit).count();
        match &self.collect.input {
            Input::Menu(keys) => length == 1 && typed.chars().all(|c| keys.contains(&c)),
            Input::Digits { .. } | Input::Secret { .. } => only("") && within(digits),
            Input::Phone { .. } => only("+ -()") && digits >= usize::from(min) && digits <= PHONE_MAX,
            Input::Money { .. } => only(".,") && digits > 0,
            Input::Date => only("./- ") && within(digits),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn question(input: Input) -> Question {
        Question::new(Collect {
            input,
            keys: vec!['*', '0'],
            terminator: '#',
            barge_in: true,
            fresh: false,
            quiet: false,
            confirmation: false,
            first_digit: Duration::ZERO,
            inter_digit: Duration::ZERO,
        })
    }

    #[test]
    fn a_reply_fits_by_its_shape() {
        let fits = |input: &Input, text: &str| question(input.clone()).fits(text);
        let menu = Input::Menu(vec!['1', '2']);
        let table: [(&Input, &[&str], &[&str]); 6] = [
            (&menu, &["1", " 2 ", "１", "٢", "1#", "*", "0"], &["3", "12", "", "RC 50", "yes"]),
            (
                &Input::Digits { min: 4, max: 6 },
                &["1234", "123456#", "１２３４", "0"],
                &["123", "1234567", "12a4"],
            ),
            (&Input::Secret { min: 4, max: 8 }, &["7391", "７３９１５４"], &["RC 50", "739 154", "PIN"]),
            (
                &Input::Phone { min: 5, max: 15 },
                &["+86 138-0000 0001", "13800000001"],
                &["138", "RC 138", "+"],
            ),
            (&Input::Money { min: 1, max: 4 }, &["50", "50.00", "٥٠", "12,5"], &["RC 50", "fifty", "."]),
            (&Input::Date, &["0112", "01.12.2026", "1/12/2026"], &["1", "tomorrow"]),
        ];
        for (input, fit, unfit) in table {
            for text in fit {
                assert!(fits(input, text), "{input:?} {text}");
            }
            for text in unfit {
                assert!(!fits(input, text), "{input:?} {text}");
            }
        }
    }

    #[test]
    fn a_secret_is_that_of_a_keypad() {
        let question = question(Input::Secret { min: 4, max: 8 });
        for text in ["739154", " ７３９１５４ ", "٧٣٩١٥٤", "739154#", "739154＃"] {
            assert_eq!(question.replied(text), Answer::Secret(Secret::from("739154")), "{text}");
        }
    }
}
