//! How digits and telephone numbers are said and shown.

use std::time::Duration;

use crate::dialplan::numbers::Numbers;
use crate::dialplan::speak::Sound;
use crate::msisdn::Msisdn;

/// The pause between two groups of digits.
pub const PAUSE_GROUP: Duration = Duration::from_millis(130);
/// The set that says the digits of telephone numbers, if a language has one for them.
const SET: &str = "phone";

/// A line `phone`: how the national numbers of a country are grouped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PhoneRule {
    /// None for all other countries.
    pub(super) country: Option<String>,
    /// What people of the country dial before a national number, such as `0`, or nothing.
    pub(super) trunk: String,
    pub(super) groups: Vec<usize>,
}

impl PhoneRule {
    /// Reads what follows `phone`: ` 254 0: 4 3 3`, or `: 3 3 4`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (head, groups) = text.split_once(':')?;
        let groups = groups
            .split_whitespace()
            .map(|group| group.parse().ok().filter(|size| (1..=9).contains(size)))
            .collect::<Option<Vec<usize>>>()?;
        let mut head = head.split_whitespace();
        let (country, trunk) = (head.next(), head.next());
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let good = [country, trunk].into_iter().flatten().all(digits)
            && head.next().is_none()
            && (1..=15).contains(&groups.len());
        good.then(|| Self {
            country: country.map(str::to_owned),
            trunk: trunk.unwrap_or_default().to_owned(),
            groups,
        })
    }
}

impl Numbers {
    /// Digit by digit, in groups of three or four.
    pub fn digits(&self, digits: &str, out: &mut Vec<Sound>) {
        self.grouped(digits, by_length(digits), None, out);
    }

    /// A part of a telephone number, such as its last digits.
    pub fn phone_digits(&self, digits: &str, out: &mut Vec<Sound>) {
        self.grouped(digits, by_length(digits), self.rules.set(SET), out);
    }

    fn grouped(&self, digits: &str, groups: &[usize], set: Option<usize>, out: &mut Vec<Sound>) {
        let mut ends = groups.iter().scan(0, |end, group| {
            *end += group;
            Some(*end)
        });
        let mut end = ends.next();
        for (index, digit) in digits.bytes().filter(u8::is_ascii_digit).enumerate() {
            if Some(index) == end {
                out.push(Sound::Pause(PAUSE_GROUP));
                end = ends.next();
            }
            self.rules.number(set, (digit - b'0').into(), out);
        }
    }

    /// A telephone number: the market's own without its country code, others with a plus.
    pub fn phone(&self, phone: &Msisdn, country: &str, out: &mut Vec<Sound>) {
        let set = self.rules.set(SET);
        match self.national(phone, country) {
            Some((national, Some(groups))) => self.grouped(&national, groups, set, out),
            Some((national, None)) => self.grouped(&national, by_length(&national), set, out),
            None => {
                self.rules.words(&self.plus, out);
                self.phone_digits(phone.digits(), out);
            }
        }
    }

    /// The number as people of the country dial it, and its groups if there is a rule.
    fn national(&self, phone: &Msisdn, country: &str) -> Option<(String, Option<&[usize]>)> {
        let national = phone.national(country);
        if national.len() == phone.digits().len() {
            return None;
        }
        let own = self.phones.iter().find(|rule| rule.country.as_deref() == Some(country));
        let rule = own.or_else(|| self.phones.iter().find(|rule| rule.country.is_none()));
        let trunk = rule.map_or("", |rule| rule.trunk.as_str());
        Some((format!("{trunk}{national}"), rule.map(|rule| rule.groups.as_slice())))
    }

    /// `138 0000 0001`, or the whole number with a plus when it is foreign.
    #[must_use]
    pub fn show_phone(&self, phone: &Msisdn, country: &str) -> String {
        let Some((national, groups)) = self.national(phone, country) else {
            return phone.as_str().to_owned();
        };
        let mut out = String::new();
        let mut rest = national.as_str();
        for group in groups.unwrap_or_default() {
            let Some((head, tail)) = rest.split_at_checked(*group) else { break };
            if tail.is_empty() {
                break;
            }
            out.push_str(head);
            out.push(' ');
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

fn by_length(digits: &str) -> &'static [usize] {
    match digits.len() {
        0..=5 => &[],
        6 => &[3, 3],
        7 => &[3, 4],
        8 => &[4, 4],
        9 => &[3, 3, 3],
        10 => &[3, 3, 4],
        _ => &[3, 4, 4, 4, 4, 4],
    }
}
