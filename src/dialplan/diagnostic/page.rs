//! The page of all codes, `docs/dialplan-codes.md`.

use crate::dialplan::diagnostic::{Allowance, Code};

impl Code {
    /// The page of all codes, in Markdown.
    #[must_use]
    pub fn page() -> String {
        let mut out = String::from(PAGE_HEAD);
        for code in Self::ALL {
            out.push_str(&format!(
                "| [{code:?}](#{}) | {} | {} |\n",
                code.anchor(),
                code.severity(),
                code.title()
            ));
        }
        for code in Self::ALL {
            out.push_str(&format!("\n## {}\n\n{}.\n", code.heading(), upper(&code.severity().to_string())));
            out.push_str(&format!("{}\n", code.explanation()));
            match code.allowance() {
                Allowance::Yes => out.push_str(&format!("It can be allowed: `-- allow {code:?}: reason`.\n")),
                Allowance::Money => out.push_str("It cannot be allowed.\n"),
                Allowance::No => {}
            }
            if !code.example().is_empty() {
                out.push_str(&format!("\n```text\n{}\n```\n", code.example()));
            }
        }
        out
    }

    fn heading(self) -> String {
        format!("{self:?}: {}", self.title())
    }

    /// As GitHub makes anchors of headings.
    fn anchor(self) -> String {
        let kept = self.heading().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    }
}

fn upper(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const PAGE_HEAD: &str = "\
# What `keytone check` reports

This page is made from the program (`keytone check --codes-page`); `keytone check --explain F035` prints one entry.
An error keeps the dialplans from being used. A warning does not, unless the check is `--strict`. A hint may well be
meant.

Where a report is wrong for once, write `-- allow F071: reason` at the end of the line, or on a line of its own above
it. What protects money and secrets, and what would leave a flow without a meaning, cannot be allowed.

| code | | |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_entry() {
        assert_eq!(Code::F010.anchor(), "f010-a-step-that-does-not-exist");
        let page = Code::page();
        for code in Code::ALL {
            assert!(page.contains(&format!("\n## {}\n", code.heading())), "{code:?}");
            assert!(page.contains(&format!("(#{})", code.anchor())), "{code:?}");
        }
    }
}
