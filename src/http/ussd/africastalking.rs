//! The form of Africa's Talking, which others use too: `sessionId`, `phoneNumber`, `serviceCode` and the whole dialogue so
//! far in `text`; answered by plain text that begins with `CON` or `END`.

use crate::http::form::{Bad, Fields};
use crate::http::ussd::SESSION_BYTES_MAX;
use crate::ussd::Screen;

/// What a request says.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Asked<'f> {
    /// The gateway's name of the dialogue.
    pub session: &'f str,
    /// The caller's number.
    pub number: &'f str,
    /// The service, such as `*384*123#`.
    pub code: &'f str,
    /// All answers so far, joined by `*`.
    pub text: &'f str,
}

/// Reads a request.
///
/// # Errors
/// In words, when a field is missing or cannot be read.
pub fn read(fields: &Fields) -> Result<Asked<'_>, Bad> {
    let (session, number) = ended(fields)?;
    let code = fields.needed("serviceCode")?;
    // Some gateways leave an empty field out.
    let text = fields.text("text")?.unwrap_or_default();
    Ok(Asked { session, number, code, text })
}

/// Reads the notice that a dialogue is over: its name and the caller's number. Nothing else of it is looked at: it holds
/// every answer and our last screen.
///
/// # Errors
/// As [`read`].
pub fn ended(fields: &Fields) -> Result<(&str, &str), Bad> {
    let session = fields.needed("sessionId")?;
    if session.len() > SESSION_BYTES_MAX {
        return Err(Bad::Value { field: "sessionId".to_owned(), expected: "at most 128 bytes" });
    }
    Ok((session, fields.needed("phoneNumber")?))
}

/// The string that was dialled: the code, and in it what came with the first request. `*384*123#` and `1*2` are
/// `*384*123*1*2#`.
#[must_use]
pub fn dialled(code: &str, text: &str) -> String {
    let code = code.trim().trim_start_matches('*').trim_end_matches('#');
    let text = text.trim_end_matches('#');
    if text.is_empty() { format!("*{code}#") } else { format!("*{code}*{text}#") }
}

/// What a screen is answered as.
#[must_use]
pub fn answer(screen: &Screen) -> String {
    format!("{} {}", if screen.end { "END" } else { "CON" }, screen.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(form: &str) -> Fields {
        Fields::parse(form.as_bytes()).unwrap()
    }

    #[test]
    fn requests_are_read_as_they_are_written() {
        let form =
            "sessionId=ATUid_1&phoneNumber=%2B254711000111&networkCode=63902&serviceCode=*384*123%23&text=";
        let wanted = Asked { session: "ATUid_1", number: "+254711000111", code: "*384*123#", text: "" };
        assert!(read(&fields(form)).unwrap() == wanted);
        assert!(read(&fields(form.trim_end_matches("&text="))).unwrap() == wanted, "no text at all");
        for (text, read_as) in [
            ("1*2*50", "1*2*50"),
            ("1%2A2", "1*2"),
            ("1**%23", "1**#"),
            ("Jo%C3%ABl+K", "Joël K"),
            ("%2B254", "+254"),
        ] {
            let form = format!("{form}{text}");
            assert_eq!(read(&fields(&form)).unwrap().text, read_as, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (form, words) in [
            ("", "expected a field sessionId"),
            ("sessionId=", "expected a field sessionId"),
            ("sessionId=1", "expected a field phoneNumber"),
            ("sessionId=1&phoneNumber=2", "expected a field serviceCode"),
            ("sessionId=1&phoneNumber=2&serviceCode=3&text=%ff", "expected UTF-8 in the field text"),
            ("sessionId=1&sessionId=1", "expected the field sessionId once"),
        ] {
            assert_eq!(read(&fields(form)).err().unwrap().to_string(), words, "{form}");
        }
        let long = format!("sessionId={}&phoneNumber=2", "x".repeat(SESSION_BYTES_MAX + 1));
        assert_eq!(
            ended(&fields(&long)).unwrap_err().to_string(),
            "expected at most 128 bytes in the field sessionId"
        );
    }

    #[test]
    fn shortcuts_are_dialled_strings() {
        for (code, text, wanted) in [
            ("*384#", "", "*384#"),
            ("*384*123#", "1*2", "*384*123*1*2#"),
            ("*384*123#", "1*2#", "*384*123*1*2#"),
            ("384", "", "*384#"),
            ("*384", "50", "*384*50#"),
        ] {
            assert_eq!(dialled(code, text), wanted, "{code} {text}");
        }
    }

    #[test]
    fn screens_begin_with_what_follows() {
        let mut screen = Screen { text: "Amount?\n1. 50".to_owned(), end: false };
        assert_eq!(answer(&screen), "CON Amount?\n1. 50");
        screen.end = true;
        assert_eq!(answer(&screen), "END Amount?\n1. 50");
    }
}
