//! Cuts what a screen is to show into pages that fit it.
//!
//! Every page is counted in its own coding: septets if all of its characters are in GSM 03.38, UTF-16 units if not. The
//! lines that lead to the other pages are counted with it. A page ends where an option or another line ends, between
//! two words if a line is too long for a page of its own, and inside of a word only if that is too long.

use crate::dialplan::catalog::Settings;
use crate::gsm;

/// What a screen holds, and the lines that lead from page to page.
#[derive(Clone, Copy, Debug)]
pub struct Screen<'t> {
    /// Septets of a screen whose characters are all in GSM 03.38.
    pub septets: usize,
    /// UTF-16 units of any other.
    pub ucs2: usize,
    /// The line that leads to the next page: `99. More`.
    pub more: &'t str,
    /// The line that leads to the page before.
    pub before: &'t str,
}

impl<'t> Screen<'t> {
    /// A screen of the market's networks.
    #[must_use]
    pub fn of(settings: &Settings, more: &'t str, before: &'t str) -> Self {
        Self { septets: settings.ussd_septets.into(), ucs2: settings.ussd_ucs2.into(), more, before }
    }

    /// Whether the screen holds a text.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        // No character takes more septets or units than twice, or once, the bytes of its UTF-8.
        if text.len() * 2 <= self.septets && text.len() <= self.ucs2 {
            return true;
        }
        match gsm::septets(text) {
            Some(septets) => septets <= self.septets,
            None => gsm::units(text) <= self.ucs2,
        }
    }

    /// The pages of a text, at least one and at most `pages_max`; what does not fit those is left out, and the last page
    /// then says so with three dots. On a screen that cannot even hold the lines between pages and one character, a page
    /// is that character and too long.
    #[must_use]
    pub fn pages(&self, text: &str, pages_max: usize) -> Vec<String> {
        let mut pages = Vec::new();
        let mut rest = text.trim();
        loop {
            let first = pages.is_empty();
            let whole = self.page(rest, first, true);
            if self.holds(&whole) || rest.is_empty() {
                pages.push(whole);
                return pages;
            }
            if pages.len() + 1 >= pages_max {
                pages.push(self.shortened(rest, first));
                return pages;
            }
            let (head, tail) = self.cut(rest, |head| self.page(head, first, false));
            pages.push(self.page(head.trim_end(), first, false));
            rest = tail.trim_start();
        }
    }

    fn page(&self, content: &str, first: bool, last: bool) -> String {
        let mut page = content.to_owned();
        let lines = [(!first).then_some(self.before), (!last).then_some(self.more)];
        for line in lines.into_iter().flatten() {
            page.push('\n');
            page.push_str(line);
        }
        page
    }

    /// The last page that there may be, of a text that goes on.
    fn shortened(&self, rest: &str, first: bool) -> String {
        let dotted = |head: &str| {
            // The one character for three dots is outside of GSM 03.38 and would halve the page.
            let dots = if gsm::septets(head).is_some() { "..." } else { "…" };
            self.page(&format!("{head}{dots}"), first, true)
        };
        dotted(self.cut(rest, dotted).0.trim_end())
    }

    /// The most of a text that makes a page that fits, and the rest.
    fn cut<'r>(&self, text: &'r str, page: impl Fn(&str) -> String) -> (&'r str, &'r str) {
        let fits = |end: usize| text.get(..end).is_some_and(|head| self.holds(&page(head.trim_end())));
        let line_ends = || text.match_indices('\n').map(|(at, _)| at);
        let whole_lines = line_ends().take_while(|end| fits(*end)).last();
        // A line that fits no page is begun on this one, so that no page is nearly empty.
        let next = whole_lines.map_or(0, |end| end + 1);
        let line = text.get(next..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
        if let Some(end) = whole_lines.filter(|_| self.holds(&page(line))) {
            return (text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default());
        }
        let words = text.match_indices(' ').map(|(at, _)| at).filter(|at| *at > next);
        let whole_words = words.take_while(|end| fits(*end)).last();
        if let Some(end) = whole_words.or(whole_lines).filter(|end| *end > 0) {
            return (text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default());
        }
        let ends = text.char_indices().skip(1).map(|(at, _)| at);
        let letters = ends.take_while(|end| fits(*end)).last();
        let one = text.chars().next().map_or(0, char::len_utf8);
        text.split_at_checked(letters.unwrap_or(one)).unwrap_or((text, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen<'static> = Screen { septets: 182, ucs2: 80, more: "99. More", before: "98. Back" };

    /// A generator that needs no crate: xorshift.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % sides as u64).unwrap()
        }
    }

    fn count(text: &str) -> usize {
        SCREEN.pages(text, 8).len()
    }

    #[test]
    fn a_page_is_full_at_exactly_its_capacity() {
        for (unit, fits) in [("a", 182), ("€", 91), ("ё", 80), ("😀", 40)] {
            assert_eq!(count(&unit.repeat(fits)), 1, "{fits} of {unit}");
            assert_eq!(count(&unit.repeat(fits + 1)), 2, "{} of {unit}", fits + 1);
        }
        // One character outside of the alphabet changes the coding of its whole page.
        assert_eq!(count(&format!("{}ё", "a".repeat(79))), 1);
        assert_eq!(count(&format!("{}ё", "a".repeat(80))), 2);
        assert_eq!(count(&format!("{}€", "a".repeat(180))), 1);
        assert_eq!(count(&format!("{}€", "a".repeat(181))), 2);
        assert_eq!(SCREEN.pages("", 8), [""]);
    }

    #[test]
    fn a_page_with_its_navigation_is_full_at_exactly_its_capacity() {
        // The first page has one line more than its words: a line end and `99. More`.
        let words = |n: usize| format!("{} {}", "a".repeat(n), "b".repeat(100));
        assert_eq!(SCREEN.pages(&words(173), 8)[0], format!("{}\n99. More", "a".repeat(173)));
        assert_eq!(SCREEN.pages(&words(174), 8)[0], format!("{}\n99. More", "a".repeat(173)));
        let pages = SCREEN.pages(&"语".repeat(200), 8);
        assert_eq!(pages[0], format!("{}\n99. More", "语".repeat(71)));
        assert_eq!(pages[1], format!("{}\n98. Back\n99. More", "语".repeat(62)));
        assert_eq!(pages[2], format!("{}\n98. Back", "语".repeat(67)));
        assert_eq!(pages.len(), 3);
        // The last page is long enough for what remains without a line to a next one.
        assert_eq!(count(&"语".repeat(71 + 71)), 2);
        assert_eq!(count(&"语".repeat(71 + 72)), 3);
    }

    #[test]
    fn pages_end_with_an_option_or_a_line_if_they_can() {
        let options: Vec<String> = (1..=20).map(|n| format!("{n}. Electricity bill {n}00")).collect();
        let text = format!("Which bill?\n{}", options.join("\n"));
        let pages = SCREEN.pages(&text, 8);
        assert!(pages.len() > 2);
        let shown: Vec<&str> = pages.iter().flat_map(|page| page.lines()).collect();
        let navigation = |line: &&str| line.starts_with("98.") || line.starts_with("99.");
        let kept: Vec<&str> = shown.iter().copied().filter(|line| !navigation(line)).collect();
        assert_eq!(kept.join("\n"), text);
        // A line that is too long for any page is begun where there is room.
        let long = format!("Short.\n{}", "word ".repeat(60));
        let pages = SCREEN.pages(&long, 8);
        assert!(pages[0].starts_with("Short.\nword word"), "{}", pages[0]);
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let pages = SCREEN.pages(&"word ".repeat(1_000), 8);
        assert_eq!(pages.len(), 8);
        assert!(pages[7].ends_with("word...\n98. Back"), "{}", pages[7]);
        let pages = SCREEN.pages(&"语".repeat(1_000), 8);
        assert!(pages[7].ends_with("语…\n98. Back"), "{}", pages[7]);
        assert!(pages.iter().all(|page| SCREEN.holds(page)));
        assert_eq!(SCREEN.pages(&"a".repeat(500), 1), [format!("{}...", "a".repeat(179))]);
        // A screen that is too small for anything still comes to an end.
        let tiny = Screen { septets: 3, ucs2: 1, ..SCREEN };
        assert_eq!(tiny.pages("abcdefghijkl", 8).len(), 8);
    }

    #[test]
    fn every_page_fits_and_no_word_is_lost() {
        let seed = 0x9e37_79b9_7f4a_7c15_u64;
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let letters = ["a", "b", "€", "é", "ê", "语", "😀", "[", "1"];
        for _ in 0..400 {
            let mut text = String::new();
            let mixed = dice.roll(3) > 0;
            for word in 0..dice.roll(120) {
                if word > 0 {
                    text.push(if dice.roll(6) == 0 { '\n' } else { ' ' });
                }
                let longest = if dice.roll(40) == 0 { 200 } else { 12 };
                for _ in 0..=dice.roll(longest) {
                    text.push_str(letters[dice.roll(if mixed { letters.len() } else { 4 })]);
                }
            }
            let (more, before) =
                if dice.roll(2) == 0 { ("99. More", "98. Back") } else { ("99. 下页", "98. 上页") };
            let screen = Screen { more, before, ..SCREEN };
            let pages = screen.pages(&text, 1_000);
            let mut kept = String::new();
            for (index, page) in pages.iter().enumerate() {
                assert!(screen.holds(page), "page {index} of {text:?}: {page:?}");
                let mut content = page.as_str();
                if index + 1 < pages.len() {
                    content = content.strip_suffix(more).and_then(|c| c.strip_suffix('\n')).unwrap();
                }
                if index > 0 {
                    content = content.strip_suffix(before).and_then(|c| c.strip_suffix('\n')).unwrap();
                }
                assert!(!content.is_empty() || text.is_empty());
                kept.push_str(content);
            }
            let letters = |text: &str| text.replace([' ', '\n'], "");
            assert_eq!(letters(&kept), letters(&text));
            // Of words that fit a page none is cut.
            let shown = pages.join("\n");
            for word in text.split([' ', '\n']).filter(|word| gsm::units(word) < 50) {
                assert!(shown.split([' ', '\n']).any(|w| w == word), "{word:?} was cut in {pages:?}");
            }
        }
    }
}
