//! How wide a text is, near enough to be sure that it fits: no font is at hand where pictures are made.

use crate::dialplan::graph::cut;

/// The width in pixels of a text in a proportional sans-serif font of this size; rather too wide than too narrow.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// The same in a font of fixed width.
pub(super) fn fixed(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if is_wide(c) { 1.0 } else { 0.605 }).sum::<f64>() * size
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '.' | ',' | ':' | ';' | '|' | '!' => 0.32,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '-' | '/' | 'I' | '"' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '…' | '—' | '%' => 0.98,
        'A'..='Z' | '+' | '<' | '>' | '=' | '#' | '~' => 0.76,
        c if is_wide(c) => 1.02,
        _ => 0.63,
    }
}

/// Characters that take a full square: Chinese, Japanese, Korean, full-width forms.
const fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

/// The text, cut so that `of` finds it no wider than `most`.
pub(super) fn fit(text: &str, most: f64, of: impl Fn(&str) -> f64) -> String {
    if of(text) <= most {
        return text.to_owned();
    }
    let mut length = text.chars().count();
    while length > 1 {
        length -= 1;
        let shorter = cut(text, length);
        if of(&shorter) <= most {
            return shorter;
        }
    }
    "…".to_owned()
}

/// The text in at most `lines` lines of `most` pixels, divided at spaces where there are any.
pub(super) fn wrap(text: &str, most: f64, lines: usize, of: impl Fn(&str) -> f64) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if out.len() + 1 >= lines || of(rest) <= most {
            out.push(fit(rest, most, &of));
            break;
        }
        let mut at = 0;
        let mut any = 0;
        for (index, c) in rest.char_indices() {
            let end = index + c.len_utf8();
            let Some(line) = rest.get(..end) else { break };
            if of(line) > most {
                break;
            }
            any = end;
            // Scripts without spaces are divided anywhere.
            if rest.get(end..).is_some_and(|r| r.starts_with(' ')) || is_wide(c) {
                at = end;
            }
        }
        let at = if at > 0 { at } else { any.max(rest.chars().next().map_or(1, char::len_utf8)) };
        let (line, left) = rest.split_at(at.min(rest.len()));
        out.push(line.to_owned());
        rest = left.trim_start();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_and_cut_to_what_fits() {
        let of = |text: &str| width(text, 10.0);
        let lines = wrap("Recharging this number is not supported now. Reply * to return.", 150.0, 2, of);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| of(line) <= 150.0), "{lines:?}");
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(wrap("请输入充值金额", 45.0, 3, of).len(), 2);
        assert_eq!(fit("abc", 100.0, of), "abc");
        assert_eq!(wrap("", 100.0, 2, of), Vec::<String>::new());
        assert!(wrap(&"x".repeat(100), 100.0, 2, of).iter().all(|line| of(line) <= 100.0));
    }
}
