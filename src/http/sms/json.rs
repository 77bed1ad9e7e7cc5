//! The plain form for a provider of one's own: texts as `{id, from, to, text}`, receipts as `{id, status, code}`.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::sms::forms::{Arrived, ID_BYTES_MAX, Receipt, short};
use crate::sms::dispatch::Reported;

#[derive(Deserialize)]
struct Text {
    from: String,
    to: String,
    text: String,
    id: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Accepted,
    Delivered,
    Undelivered,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    status: Status,
    #[serde(default)]
    code: Option<String>,
}

/// Reads a text.
///
/// # Errors
/// In words, when it is no such document.
pub fn text(body: &[u8]) -> Result<Arrived, String> {
    let Text { from, to, text, id } = read(body, "from, to, text and id")?;
    let text = Zeroizing::new(text);
    checked(&id)?;
    for (name, value) in [("from", &from), ("to", &to)] {
        if value.trim().is_empty() {
            return Err(format!("expected a field {name}"));
        }
    }
    Ok(Arrived { from, to, text, id: Some(id) })
}

/// Reads a receipt.
///
/// # Errors
/// As [`text`].
pub fn receipt(body: &[u8]) -> Result<Receipt, String> {
    let Told { id, status, code } = read(body, "id and status (accepted, delivered, undelivered)")?;
    checked(&id)?;
    let reported = match status {
        Status::Accepted => Reported::UnderWay,
        Status::Delivered => Reported::Delivered,
        Status::Undelivered => Reported::Undelivered,
    };
    Ok(Receipt {
        id,
        reported,
        code: code.filter(|_| reported == Reported::Undelivered).and_then(|words| short(&words)),
    })
}

fn checked(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(format!("expected 1 to {ID_BYTES_MAX} bytes in the field id"));
    }
    Ok(())
}

/// The words of the parser may quote what was written, so only the place is told.
fn read<'b, T: Deserialize<'b>>(body: &'b [u8], fields: &str) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        format!("expected a JSON object with {fields}; line {}, column {}", error.line(), error.column())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let arrived =
            text(r#"{"id":"p1","from":"+8613800000001","to":"12580","text":"RC 50 充值"}"#.as_bytes())
                .unwrap();
        assert_eq!((arrived.id.as_deref(), arrived.text.as_str()), (Some("p1"), "RC 50 充值"));
        let told = receipt(br#"{"id":"p1","status":"undelivered","code":" absent "}"#).unwrap();
        assert_eq!(
            told,
            Receipt { id: "p1".into(), reported: Reported::Undelivered, code: Some("absent".into()) }
        );
        let told = receipt(br#"{"id":"p1","status":"delivered","code":"000"}"#).unwrap();
        assert_eq!(told, Receipt { id: "p1".into(), reported: Reported::Delivered, code: None });
    }

    #[test]
    fn what_is_wrong_is_told_without_what_was_written() {
        for body in [
            "",
            "{}",
            r#"{"id":"p1","from":"1","to":"2","text":284913}"#,
            r#"{"id":"","from":"1","to":"2","text":"284913"}"#,
            r#"{"id":"p1","from":" ","to":"2","text":"284913"}"#,
        ] {
            let words = text(body.as_bytes()).err().unwrap();
            assert!(words.starts_with("expected") && !words.contains("284913"), "{body}: {words}");
        }
        for body in ["", "{}", r#"{"id":"p1","status":"lost"}"#, r#"{"id":"","status":"delivered"}"#] {
            assert!(receipt(body.as_bytes()).is_err(), "{body}");
        }
    }
}
