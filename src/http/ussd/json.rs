//! The plain form for a gateway of one's own: `{session, msisdn, code, phase, text}` in, `{text, end}` out.

use serde::{Deserialize, Serialize};

use crate::http::ussd::SESSION_BYTES_MAX;
use crate::ussd::Screen;

/// What happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A caller dialled; `text` is the whole string, or nothing more than the code.
    Begin,
    /// A caller answered a screen with `text`.
    Answer,
    /// The caller or the network ended the dialogue.
    End,
}

/// What a request says.
#[derive(Deserialize)]
pub struct Asked {
    /// The gateway's name of the dialogue.
    pub session: String,
    /// The caller's number.
    pub msisdn: String,
    /// The service, such as `*125#`.
    #[serde(default)]
    pub code: String,
    /// What happened.
    pub phase: Phase,
    /// What was typed. May be a PIN: whoever takes it wipes it.
    #[serde(default)]
    pub text: String,
    /// A name of this request, the same when it is sent again: then nothing happens, and the answer is the same.
    #[serde(default)]
    pub id: Option<String>,
}

/// Reads a request.
///
/// # Errors
/// In words, when it is no such document.
pub fn read(body: &[u8]) -> Result<Asked, String> {
    // The words of the parser may quote what was typed, so only the place is told.
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        let wanted =
            "session, msisdn, phase (begin, answer, end), and text and code where the phase has them";
        format!("expected a JSON object with {wanted}; line {}, column {}", error.line(), error.column())
    })?;
    for (name, value) in [("session", Some(&asked.session)), ("id", asked.id.as_ref())] {
        if value.is_some_and(|value| value.is_empty() || value.len() > SESSION_BYTES_MAX) {
            return Err(format!("expected 1 to {SESSION_BYTES_MAX} bytes in the field {name}"));
        }
    }
    if asked.phase == Phase::Begin && asked.code.trim().is_empty() {
        return Err("expected a field code".to_owned());
    }
    Ok(asked)
}

#[derive(Serialize)]
struct Answered<'s> {
    text: &'s str,
    end: bool,
}

/// What a screen is answered as.
#[must_use]
pub fn answer(screen: &Screen) -> String {
    serde_json::to_string(&Answered { text: &screen.text, end: screen.end }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let asked = read(
            br#"{"session":"s1","msisdn":"+8613800000001","code":"*125#","phase":"begin","text":"*125*50#","x":1}"#,
        )
        .unwrap();
        assert_eq!(
            (asked.session.as_str(), asked.phase, asked.text.as_str()),
            ("s1", Phase::Begin, "*125*50#")
        );
        let asked = read(br#"{"session":"s1","msisdn":"+8613800000001","phase":"end"}"#).unwrap();
        assert_eq!((asked.phase, asked.text.as_str(), asked.id), (Phase::End, "", None));
        let asked =
            read(br#"{"session":"s","msisdn":"1","phase":"answer","text":"1*\u00e9","id":"7"}"#).unwrap();
        assert_eq!((asked.text.as_str(), asked.id.as_deref()), ("1*é", Some("7")));
    }

    #[test]
    fn what_is_wrong_is_told_without_what_was_typed() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"session":"s","msisdn":"1","phase":"answer","text":284913}"#,
            r#"{"session":"s","msisdn":"1","phase":"284913"}"#,
            r#"{"session":"s","msisdn":"1","phase":"begin"}"#,
            r#"{"session":"","msisdn":"1","phase":"end"}"#,
            r#"{"session":"s","msisdn":"1","phase":"end","id":""}"#,
        ] {
            let words = read(body.as_bytes()).err().unwrap();
            assert!(words.starts_with("expected") && !words.contains("284913"), "{body}: {words}");
        }
        let invalid = b"{\"session\":\"s\",\"msisdn\":\"1\",\"phase\":\"end\",\"text\":\"\xff\"}";
        assert!(read(invalid).is_err());
    }

    #[test]
    fn screens_are_documents() {
        let screen = Screen { text: "\"50\"?\n".to_owned(), end: false };
        assert_eq!(answer(&screen), r#"{"text":"\"50\"?\n","end":false}"#);
    }
}
