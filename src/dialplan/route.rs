//! Which flow answers a number, a USSD string or a text message, and the slots that the caller already
//! filled.

use std::collections::BTreeMap;

use crate::dialplan::event::Channel;

/// The longest USSD string or text message that is looked at.
pub const COMMAND_MAX: usize = 200;
/// The most spellings of one command, all its words with all their alternatives.
pub(crate) const SPELLINGS_MAX: usize = 64;

/// A part of a command's pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Element {
    /// This text, whatever the case of its letters.
    Literal(String),
    /// A slot, and whether it must be there.
    Slot {
        /// The variable that it fills.
        name: String,
        /// Whether the command is understood without it.
        optional: bool,
    },
}

/// A way into a flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The channel.
    pub channel: Channel,
    /// The flow.
    pub flow: String,
    /// Whether the flow answers testers only.
    pub draft: bool,
    /// The number dialled, or the parts of a command. A USSD string is divided at its asterisks.
    pub pattern: Vec<Element>,
}

/// A character as commands are compared: full-width forms (U+FF01 to U+FF5E) and the digits of Arabic and Persian are those
/// of ASCII.
fn narrow(c: char) -> char {
    let digit = |zero: u32| char::from_digit(u32::from(c).wrapping_sub(zero), 10).unwrap_or(c);
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{660}'..='\u{669}' => digit(0x660),
        '\u{6f0}'..='\u{6f9}' => digit(0x6f0),
        '\u{3000}' => ' ',
        c => c,
    }
}

/// A word in one case and width.
pub(crate) fn folded(word: &str) -> String {
    word.chars().map(narrow).flat_map(char::to_lowercase).collect()
}

impl Route {
    /// The filled slots, if the command is this route's. Digits in them are those of ASCII.
    #[must_use]
    pub fn matches(&self, command: &str) -> Option<BTreeMap<String, String>> {
        if command.len() > COMMAND_MAX {
            return None;
        }
        let command: String = command.chars().map(narrow).collect();
        let words: Vec<&str> = match self.channel {
            Channel::Voice => vec![command.trim()],
            Channel::Ussd => command.trim().strip_prefix('*')?.strip_suffix('#')?.split('*').collect(),
            Channel::Sms => command.split_whitespace().collect(),
        };
        let mut words = words.into_iter();
        let mut filled = BTreeMap::new();
        for element in &self.pattern {
            match (element, words.next()) {
                (Element::Literal(literal), Some(word)) if folded(literal) == folded(word) => {}
                (Element::Slot { name, .. }, Some(word)) if !word.is_empty() => {
                    filled.insert(name.clone(), word.to_owned());
                }
                (Element::Slot { optional: true, .. }, None) => {}
                _ => return None,
            }
        }
        words.next().is_none().then_some(filled)
    }

    /// Whether some command of some caller would be answered by both. A draft goes before what answers everybody, and so
    /// is in nobody's way.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.channel != other.channel || self.draft != other.draft {
            return false;
        }
        let needed = |pattern: &[Element]| {
            pattern.iter().filter(|e| !matches!(e, Element::Slot { optional: true, .. })).count()
        };
        let shortest = needed(&self.pattern).max(needed(&other.pattern));
        let longest = self.pattern.len().min(other.pattern.len());
        let agrees = self.pattern.iter().zip(&other.pattern).all(|pair| match pair {
            (Element::Literal(a), Element::Literal(b)) => folded(a) == folded(b),
            _ => true,
        });
        shortest <= longest && agrees
    }

    /// The first word in one case and width: routes that differ in it cannot overlap. Nothing if it is a slot.
    pub(crate) fn first(&self) -> Option<String> {
        match self.pattern.first() {
            Some(Element::Literal(literal)) => Some(folded(literal)),
            _ => None,
        }
    }
}

/// A pattern for each spelling of its words: `RC|RECARGA` stands for two.
pub(crate) fn spellings(pattern: &[Element]) -> Vec<Vec<Element>> {
    let mut out = vec![Vec::new()];
    for element in pattern {
        let choices: Vec<Element> = match element {
            Element::Literal(words) => words.split('|').map(|w| Element::Literal(w.to_owned())).collect(),
            slot @ Element::Slot { .. } => vec![slot.clone()],
        };
        let longer = out.iter().flat_map(|before| {
            choices.iter().map(move |choice| before.iter().chain([choice]).cloned().collect::<Vec<_>>())
        });
        out = longer.take(SPELLINGS_MAX + 1).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Element {
        Element::Literal(text.into())
    }

    fn slot(name: &str, optional: bool) -> Element {
        Element::Slot { name: name.into(), optional }
    }

    fn route(channel: Channel, pattern: Vec<Element>) -> Route {
        Route { channel, flow: "f".into(), draft: false, pattern }
    }

    #[test]
    fn commands_fill_their_slots() {
        let sms = route(Channel::Sms, vec![literal("RC"), slot("amount", false), slot("phone", true)]);
        assert_eq!(sms.matches(" rc  50 ").unwrap(), BTreeMap::from([("amount".into(), "50".into())]));
        assert_eq!(sms.matches("RC 50 138").unwrap().len(), 2);
        for other in ["RC", "RCX 50", "RC 50 138 now", ""] {
            assert_eq!(sms.matches(other), None, "{other}");
        }
        let ussd = route(Channel::Ussd, vec![literal("125"), slot("amount", false)]);
        assert_eq!(ussd.matches("*125*50#").unwrap()["amount"], "50");
        for other in ["*125#", "*125*#", "125*50", "*125*50*1#"] {
            assert_eq!(ussd.matches(other), None, "{other}");
        }
        assert_eq!(sms.matches(&"R".repeat(COMMAND_MAX + 1)), None);
    }

    #[test]
    fn case_and_width_do_not_matter() {
        let sms = route(Channel::Sms, vec![literal("Ñandú"), slot("amount", false)]);
        for text in ["ñANDÚ 50", "ñandú\u{3000}５０", "Ñandú ٥٠", "Ñandú ۵۰"] {
            assert_eq!(sms.matches(text).unwrap()["amount"], "50", "{text}");
        }
        let ussd = route(Channel::Ussd, vec![literal("125"), slot("amount", false)]);
        assert_eq!(ussd.matches("＊１２５＊５０＃").unwrap()["amount"], "50");
        assert_eq!(
            route(Channel::Voice, vec![literal("12580")]).matches("１２５８０"),
            Some(BTreeMap::new())
        );
        assert_eq!(sms.matches("nandu 50"), None, "accents are letters of their own");
    }

    #[test]
    fn a_keyword_has_several_spellings() {
        let all = spellings(&[literal("RC|RECARGA"), slot("amount", false), literal("a|b")]);
        assert_eq!(all.len(), 4);
        assert_eq!(all[3], vec![literal("RECARGA"), slot("amount", false), literal("b")]);
        let many = literal(&vec!["x"; 40].join("|"));
        assert_eq!(spellings(&[many.clone(), many]).len(), SPELLINGS_MAX + 1);
        let draft = Route { draft: true, ..route(Channel::Voice, vec![literal("1")]) };
        assert!(!draft.overlaps(&route(Channel::Voice, vec![literal("1")])));
        assert!(draft.overlaps(&draft));
    }

    #[test]
    fn overlapping_routes_are_found() {
        let short = route(Channel::Sms, vec![literal("RC"), slot("amount", false)]);
        let long = route(Channel::Sms, vec![literal("rc"), slot("amount", false), slot("phone", true)]);
        let third = route(Channel::Sms, vec![literal("RC"), slot("a", false), slot("b", false)]);
        assert!(short.overlaps(&long) && long.overlaps(&third));
        assert!(!short.overlaps(&third));
        assert!(!short.overlaps(&route(Channel::Ussd, vec![literal("RC"), slot("amount", false)])));
        assert!(!short.overlaps(&route(Channel::Sms, vec![literal("BILL"), slot("x", false)])));
    }
}
