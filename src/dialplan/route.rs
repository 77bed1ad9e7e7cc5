//! Which flow answers a number, a USSD string or a text message, and the slots that the caller already
//! filled.

use std::collections::BTreeMap;

use crate::dialplan::event::Channel;

/// The longest USSD string or text message that is looked at.
pub const COMMAND_MAX: usize = 200;

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
    /// The number dialled, or the parts of a command. A USSD string is divided at its asterisks.
    pub pattern: Vec<Element>,
}

impl Route {
    /// The filled slots, if the command is this route's.
    #[must_use]
    pub fn matches(&self, command: &str) -> Option<BTreeMap<String, String>> {
        if command.len() > COMMAND_MAX {
            return None;
        }
        let words: Vec<&str> = match self.channel {
            Channel::Voice => vec![command.trim()],
            Channel::Ussd => command.trim().strip_prefix('*')?.strip_suffix('#')?.split('*').collect(),
            Channel::Sms => command.split_whitespace().collect(),
        };
        let mut words = words.into_iter();
        let mut filled = BTreeMap::new();
        for element in &self.pattern {
            match (element, words.next()) {
                (Element::Literal(literal), Some(word)) if literal.eq_ignore_ascii_case(word) => {}
                (Element::Slot { name, .. }, Some(word)) if !word.is_empty() => {
                    filled.insert(name.clone(), word.to_owned());
                }
                (Element::Slot { optional: true, .. }, None) => {}
                _ => return None,
            }
        }
        words.next().is_none().then_some(filled)
    }

    /// Whether some command would be answered by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.channel != other.channel {
            return false;
        }
        let needed = |pattern: &[Element]| {
            pattern.iter().filter(|e| !matches!(e, Element::Slot { optional: true, .. })).count()
        };
        let shortest = needed(&self.pattern).max(needed(&other.pattern));
        let longest = self.pattern.len().min(other.pattern.len());
        let agrees = self.pattern.iter().zip(&other.pattern).all(|pair| match pair {
            (Element::Literal(a), Element::Literal(b)) => a.eq_ignore_ascii_case(b),
            _ => true,
        });
        shortest <= longest && agrees
    }
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
        Route { channel, flow: "f".into(), pattern }
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
