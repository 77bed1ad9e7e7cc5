//! How long a text can become: the longest in GSM 03.38, the longest with another character, and the longest in
//! UTF-16 units whichever it is. Joining and appending keep all three true for every way to a point.

use crate::gsm::{septets, units};

/// A text of more units is not kept any longer: it is far beyond all limits, and its length is known.
const KEPT_MAX: usize = 20_000;

/// The longest text of one coding, and how long it is.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Longest {
    pub(super) length: usize,
    pub(super) text: String,
}

impl Longest {
    fn then(&self, next: &Self) -> Self {
        if self.length == 0 || next.length == 0 {
            return self.max(next).clone();
        }
        let mut text = self.text.clone();
        if text.len() < KEPT_MAX {
            text.push('\n');
            text.push_str(&next.text);
        }
        Self { length: self.length + 1 + next.length, text }
    }
}

/// The longest texts that may be shown at a point.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Extent {
    /// In septets, if all characters can be in GSM 03.38.
    pub(super) gsm: Option<Longest>,
    /// In UTF-16 units, if there can be another character.
    pub(super) ucs2: Option<Longest>,
    /// In UTF-16 units, of whatever characters.
    any: Longest,
}

impl Extent {
    /// Nothing is shown.
    pub(super) fn nothing() -> Self {
        Self { gsm: Some(Longest::default()), ucs2: None, any: Longest::default() }
    }

    pub(super) fn of(text: &str) -> Self {
        let any = Longest { length: units(text), text: text.to_owned() };
        match septets(text) {
            Some(length) => Self { gsm: Some(Longest { length, text: text.to_owned() }), ucs2: None, any },
            None => Self { gsm: None, ucs2: Some(any.clone()), any },
        }
    }

    /// The most septets, if all characters can be in GSM 03.38.
    pub(super) fn septets(&self) -> Option<usize> {
        self.gsm.as_ref().map(|longest| longest.length)
    }

    /// The most UTF-16 units of whatever characters.
    pub(super) const fn units(&self) -> usize {
        self.any.length
    }

    /// One of both is shown.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self {
            gsm: self.gsm.as_ref().max(other.gsm.as_ref()).cloned(),
            ucs2: self.ucs2.as_ref().max(other.ucs2.as_ref()).cloned(),
            any: self.any.clone().max(other.any.clone()),
        }
    }

    /// Both are shown, on lines of their own.
    pub(super) fn then(&self, next: &Self) -> Self {
        let gsm = self.gsm.as_ref().zip(next.gsm.as_ref()).map(|(a, b)| a.then(b));
        let left = self.ucs2.as_ref().map(|a| a.then(&next.any));
        let right = next.ucs2.as_ref().map(|b| self.any.then(b));
        Self { gsm, ucs2: left.max(right), any: self.any.then(&next.any) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(extent: &Extent) -> (Option<usize>, Option<usize>, usize) {
        let length = |longest: &Option<Longest>| longest.as_ref().map(|longest| longest.length);
        (length(&extent.gsm), length(&extent.ucs2), extent.any.length)
    }

    #[test]
    fn the_coding_of_the_whole_counts() {
        let (plain, euro, chinese) = (Extent::of("abc"), Extent::of("€"), Extent::of("语"));
        assert_eq!(lengths(&plain), (Some(3), None, 3));
        assert_eq!(lengths(&plain.then(&euro)), (Some(6), None, 5));
        assert_eq!(lengths(&plain.then(&chinese)), (None, Some(5), 5));
        let either = plain.or(&chinese);
        assert_eq!(lengths(&either), (Some(3), Some(1), 3));
        // After one of them: three and one in the alphabet, or three and one with a character outside of it.
        assert_eq!(lengths(&either.then(&Extent::of("d"))), (Some(5), Some(3), 5));
        assert_eq!(lengths(&either.then(&chinese)), (None, Some(5), 5));
        assert_eq!(Extent::nothing().then(&plain), plain);
        assert_eq!(plain.then(&Extent::nothing()), plain);
    }
}
