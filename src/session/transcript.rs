//! The plain-text form of a conversation: `<` is said, `>` is the caller, `.` is what the house did. The console, `talk`
//! and `demo` print it. A secret answer is shown as dots, whatever its length.

use crate::dialplan::event::Answer;

/// Shown in the place of any secret.
pub const HIDDEN: &str = "••••";

/// How an answer is shown.
#[must_use]
pub fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Digits(digits) => digits.clone(),
        Answer::Secret(_) => HIDDEN.to_owned(),
        Answer::Key(key) => key.to_string(),
        Answer::Empty => "#".to_owned(),
        Answer::Silence => "(silence)".to_owned(),
        Answer::Text(text) => text.clone(),
        Answer::Invalid => "(keys that do not belong)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_secret_is_never_shown() {
        for pin in ["1", "2468", "86420246"] {
            assert_eq!(answer(&Answer::Secret(Secret::from(pin))), HIDDEN);
        }
        assert_eq!(answer(&Answer::Digits("50".into())), "50");
    }
}
