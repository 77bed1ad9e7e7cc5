//! What is new in a text that holds a whole dialogue: gateways of the Africa's Talking form send every answer so far, joined
//! by `*`, each time. An answer may hold a `*` itself, so the new one is what follows the text that was answered before, and
//! never what follows the last `*`.
//!
//! A history holds PINs. Only its lengths are kept, each with a MAC under a key that dies with the process.

use ring::hmac;

/// Texts that are remembered for each dialogue; of a longer one only the last counts.
pub const MARKS_MAX: usize = 64;

/// Makes marks; the key is drawn at the start and never stored.
#[derive(Clone)]
pub struct Marker(hmac::Key);

impl std::fmt::Debug for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Marker")
    }
}

impl Marker {
    /// A marker with a key of 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn mark(&self, text: &str) -> Mark {
        Mark { bytes: text.len(), tag: hmac::sign(&self.0, text.as_bytes()) }
    }

    fn is_of(&self, mark: &Mark, text: &str) -> bool {
        mark.bytes == text.len() && hmac::verify(&self.0, text.as_bytes(), mark.tag.as_ref()).is_ok()
    }
}

/// A text that was answered.
#[derive(Clone, Debug)]
struct Mark {
    bytes: usize,
    tag: hmac::Tag,
}

/// The texts of one dialogue.
#[derive(Clone, Debug, Default)]
pub struct History(Vec<Mark>);

/// What a text is to its dialogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum New<'t> {
    /// The first one: what was dialled after the code, often nothing.
    Begin(&'t str),
    /// The latest one again, or an earlier one that comes late: nothing is new.
    Repeated,
    /// One more answer.
    Answer(&'t str),
    /// It does not go on from what was answered.
    Other,
}

impl History {
    /// Compares a text with those before it.
    #[must_use]
    pub fn read<'t>(&self, marker: &Marker, text: &'t str) -> New<'t> {
        let Some(last) = self.0.last() else { return New::Begin(text) };
        if self.0.iter().rev().any(|mark| marker.is_of(mark, text)) {
            return New::Repeated;
        }
        let Some((before, after)) = text.split_at_checked(last.bytes) else { return New::Other };
        if !marker.is_of(last, before) {
            return New::Other;
        }
        match after.strip_prefix('*') {
            // Nothing stands before the first answer, not even a `*`.
            _ if before.is_empty() => New::Answer(after),
            Some(answer) => New::Answer(answer),
            None => New::Other,
        }
    }

    /// A text was answered.
    pub fn answered(&mut self, marker: &Marker, text: &str) {
        if self.0.len() == MARKS_MAX {
            self.0.clear();
        }
        self.0.push(marker.mark(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The history after `texts` and what the last of them was.
    fn told<'t>(texts: &[&'t str]) -> New<'t> {
        let marker = Marker::new(&[7; 32]);
        let mut history = History::default();
        let (last, before) = texts.split_last().unwrap();
        for text in before {
            history.answered(&marker, text);
        }
        history.read(&marker, last)
    }

    #[test]
    fn only_what_was_added_is_new() {
        let cases: &[(&[&str], New<'_>)] = &[
            (&[""], New::Begin("")),
            (&["1*2"], New::Begin("1*2")),
            (&["", "1"], New::Answer("1")),
            (&["", "1", "1*50"], New::Answer("50")),
            // An answer that holds a star, that is a star, that is nothing.
            (&["", "1", "1*2*3"], New::Answer("2*3")),
            (&["", "1", "1**"], New::Answer("*")),
            (&["", "1", "1*"], New::Answer("")),
            (&["", "1", "1*", "1**4"], New::Answer("4")),
            (&["", "*"], New::Answer("*")),
            (&["", "*", "**5"], New::Answer("5")),
            // A dialled shortcut stands in front of every later text.
            (&["1*2", "1*2*4321"], New::Answer("4321")),
            // Again, and late.
            (&["", ""], New::Repeated),
            (&["", "1", "1"], New::Repeated),
            (&["", "1", "1*2", "1"], New::Repeated),
            (&["", "1", "1*2", ""], New::Repeated),
            // Cut short, changed, glued on.
            (&["", "1", "1*2", "1*"], New::Other),
            (&["", "12", "1"], New::Other),
            (&["", "1", "2*2"], New::Other),
            (&["", "1", "12"], New::Other),
            (&["1*2", "1*3*4321"], New::Other),
            // UTF-8: bytes are counted, and never cut inside of a character.
            (&["", "充值", "充值*五十"], New::Answer("五十")),
            (&["", "a", "é*1"], New::Other),
            (&["", "充", "充值"], New::Other),
        ];
        for (texts, wanted) in cases {
            assert_eq!(told(texts), *wanted, "{texts:?}");
        }
    }

    #[test]
    fn no_answer_is_kept() {
        let marker = Marker::new(&[7; 32]);
        let mut history = History::default();
        history.answered(&marker, "1*284913");
        assert!(!format!("{history:?} {marker:?}").contains("284913"));
    }

    #[test]
    fn long_dialogues_go_on() {
        let marker = Marker::new(&[7; 32]);
        let mut history = History::default();
        let mut text = String::new();
        history.answered(&marker, &text);
        for n in 0..3 * MARKS_MAX {
            let answer = n.to_string();
            text = if text.is_empty() { answer.clone() } else { format!("{text}*{answer}") };
            assert_eq!(history.read(&marker, &text), New::Answer(&answer));
            history.answered(&marker, &text);
            assert_eq!(history.read(&marker, &text), New::Repeated);
            assert!(history.0.len() <= MARKS_MAX);
        }
    }
}
