//! A telephone of the small network: what it received, what its screen shows, who waits for it.

use std::collections::VecDeque;

use serde::Serialize;

use crate::clock::Timestamp;

/// Messages that a handset keeps; the oldest go first.
pub(super) const MESSAGES_MAX: usize = 1_000;
/// Texts of which not all parts came; the oldest are forgotten.
const PARTIAL_MAX: usize = 32;

/// An SMS that a handset received, whole.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Received {
    /// From 1, by handset.
    pub(super) number: u64,
    pub(super) at: String,
    pub(super) from: String,
    pub(super) text: String,
    pub(super) parts: usize,
    /// The SMSC's ids of the parts, as in the responses.
    pub(super) ids: Vec<String>,
    pub(super) data_coding: u8,
}

/// Where a part stands in its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Part {
    pub(super) reference: u16,
    pub(super) total: u8,
    /// From 1.
    pub(super) index: u8,
}

#[derive(Clone, Debug)]
struct Partial {
    from: String,
    reference: u16,
    parts: Vec<Option<(String, String)>>,
}

/// Who has the word in a dialogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Turn {
    /// The ESME owes a screen.
    Esme,
    /// The subscriber owes an answer.
    User,
    /// It is over.
    Over,
}

/// A USSD dialogue of a handset; the last one stays to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Dialogue {
    /// Never used twice in a run.
    pub(super) key: u64,
    /// The number on the wire.
    pub(super) number: u16,
    /// Messages of it that were sent.
    pub(super) sequence: u8,
    /// The address that the ESME has in it.
    pub(super) code: String,
    pub(super) push: bool,
    pub(super) turn: Turn,
    pub(super) screen: Option<String>,
    /// Screens that were shown.
    pub(super) screens: u64,
    /// Why it is over.
    pub(super) why: Option<String>,
}

/// One telephone.
#[derive(Debug, Default)]
pub(super) struct Handset {
    pub(super) messages: VecDeque<Received>,
    /// Messages ever received.
    pub(super) received: u64,
    partial: VecDeque<Partial>,
    pub(super) dialogue: Option<Dialogue>,
    /// Screens that were ever shown.
    pub(super) screens: u64,
    /// Whether it takes pushes; as the settings say when `None`.
    pub(super) pushes: Option<bool>,
    /// Requests that wait for something to happen here.
    pub(super) waiting: Vec<u64>,
    /// Submits to it that a fault by number refused.
    pub(super) refused: u32,
    /// The reference of the last long text that it sent.
    pub(super) reference: u16,
}

impl Handset {
    /// Takes an SMS or a part of one; the parts of a text may come in any order, twice, and over several links.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        from: &str,
        text: String,
        data_coding: u8,
        id: String,
        part: Option<Part>,
    ) {
        let whole = match part {
            Some(part) if part.total > 1 => self.join(from, text, id, part),
            _ => Some((text, vec![id])),
        };
        let Some((text, ids)) = whole else { return };
        self.received += 1;
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(Received {
            number: self.received,
            at: at.to_rfc3339(),
            from: from.to_owned(),
            text,
            parts: ids.len(),
            ids,
            data_coding,
        });
    }

    fn join(&mut self, from: &str, text: String, id: String, part: Part) -> Option<(String, Vec<String>)> {
        let total = usize::from(part.total);
        let at = self
            .partial
            .iter()
            .position(|p| p.from == from && p.reference == part.reference && p.parts.len() == total);
        let at = at.unwrap_or_else(|| {
            if self.partial.len() == PARTIAL_MAX {
                self.partial.pop_front();
            }
            self.partial.push_back(Partial {
                from: from.to_owned(),
                reference: part.reference,
                parts: vec![None; total],
            });
            self.partial.len() - 1
        });
        let partial = self.partial.get_mut(at)?;
        *partial.parts.get_mut(usize::from(part.index).checked_sub(1)?)? = Some((text, id));
        let whole: Option<Vec<(String, String)>> = partial.parts.iter().cloned().collect();
        let (texts, ids): (Vec<String>, Vec<String>) = whole?.into_iter().unzip();
        self.partial.remove(at);
        Some((texts.concat(), ids))
    }

    /// The dialogue that is going on.
    pub(super) fn open(&mut self) -> Option<&mut Dialogue> {
        self.dialogue.as_mut().filter(|d| d.turn != Turn::Over)
    }
}

/// The digits by which a handset is known, from any way to write its number.
pub(super) fn digits(number: &str) -> String {
    let plain: String = number.chars().filter(char::is_ascii_digit).collect();
    plain.strip_prefix("00").map_or_else(|| plain.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(reference: u16, total: u8, index: u8) -> Option<Part> {
        Some(Part { reference, total, index })
    }

    #[test]
    fn parts_join_in_any_order_and_once() {
        let mut handset = Handset::default();
        let mut take = |text: &str, part| {
            handset.take(Timestamp(0), "125", text.to_owned(), 0, text.to_uppercase(), part);
            handset.messages.len()
        };
        assert_eq!(take("b", part(7, 2, 2)), 0);
        assert_eq!(take("x", part(8, 2, 1)), 0);
        assert_eq!(take("b", part(7, 2, 2)), 0);
        assert_eq!(take("a", part(7, 2, 1)), 1);
        assert_eq!(take("one", part(9, 1, 1)), 2);
        assert_eq!(take("bad", part(9, 2, 0)), 2);
        assert_eq!(take("bad", part(9, 2, 3)), 2);
        let seen: Vec<_> = handset.messages.iter().map(|m| (m.number, m.text.as_str(), m.parts)).collect();
        assert_eq!(seen, [(1, "ab", 2), (2, "one", 1)]);
        assert_eq!(handset.messages[0].ids, ["A", "B"]);
    }

    #[test]
    fn what_never_comes_whole_and_what_is_old_is_forgotten() {
        let mut handset = Handset::default();
        for n in 0..100 {
            handset.take(Timestamp(0), "125", "a".to_owned(), 0, String::new(), part(n, 2, 1));
        }
        assert_eq!(handset.partial.len(), PARTIAL_MAX);
        for _ in 0..MESSAGES_MAX + 5 {
            handset.take(Timestamp(0), "125", "a".to_owned(), 0, String::new(), None);
        }
        assert_eq!((handset.messages.len(), handset.messages[0].number), (MESSAGES_MAX, 6));
    }

    #[test]
    fn numbers_are_known_by_their_digits() {
        for written in ["+8613800000001", "008613800000001", " 8613800000001"] {
            assert_eq!(digits(written), "8613800000001");
        }
    }
}
