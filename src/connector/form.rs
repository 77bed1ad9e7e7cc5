//! `application/x-www-form-urlencoded` (URL Standard §5), for carriers that speak it instead of JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// At most this many fields are read.
pub const FIELDS_MAX: usize = 256;

/// Writes fields.
#[must_use]
pub fn write(fields: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        escape(&mut text, name);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

fn escape(text: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b' ' => text.push('+'),
            _ if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
}

/// Reads fields into an object of texts; the first of two of the same name counts. `None` when it is no form.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut fields = Map::new();
    for (count, pair) in text.split('&').filter(|p| !p.is_empty()).enumerate() {
        if count >= FIELDS_MAX {
            return None;
        }
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (unescape(name)?, unescape(value)?);
        fields.entry(name).or_insert(Value::String(value));
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_and_reads() {
        let fields = [("a b".to_owned(), "+254 & 50%".to_owned()), ("c".to_owned(), String::new())];
        assert_eq!(write(&fields), "a+b=%2B254+%26+50%25&c=");
        assert_eq!(read(b"a=1&a=2&b=%2b+x"), Some(serde_json::json!({"a": "1", "b": "+ x"})));
        for bad in [&b"{}"[..], b"", b"a", b"a=%4", b"a=%zz", b"a=%ff", b"\xff=1"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(name in "\\PC{1,12}", value in "\\PC{0,40}") {
            let text = write(&[(name.clone(), value.clone())]);
            let read = read(text.as_bytes()).unwrap();
            prop_assert_eq!(read.get(&name).and_then(Value::as_str), Some(value.as_str()));
        }
    }
}
