//! Keys in INFO bodies: `application/dtmf-relay` (`Signal=5`, `Duration=160`) and `application/dtmf` (`5`).
//!
//! Between the dialog and the application. The body may be a key of a PIN: it is read once and never kept or
//! shown.

use super::event::Key;

/// What the body of an INFO holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reading {
    /// A key and how long it was held.
    Key(Key, u32),
    /// No key, but nothing wrong: an empty INFO, or a hook flash.
    Nothing,
    /// A body of another kind, to be answered 415.
    OtherType,
    /// A key body that cannot be read, to be answered 400.
    Malformed,
}

/// Content types that are understood, for Accept.
pub(super) const ACCEPT: &str = "application/dtmf-relay, application/dtmf";

/// How long a key was held when the peer does not say.
const DEFAULT_DURATION_MS: u32 = 160;

/// Longest hold that is believed.
const MAX_DURATION_MS: u32 = 10_000;

pub(super) fn read(content_type: Option<&str>, body: &[u8]) -> Reading {
    if body.is_empty() {
        return Reading::Nothing;
    }
    let kind =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Ok(text) = std::str::from_utf8(body) else {
        return Reading::Malformed;
    };
    match kind.as_str() {
        "application/dtmf-relay" => relay(text),
        "application/dtmf" if text.contains('=') => relay(text),
        "application/dtmf" => signal(text.trim(), DEFAULT_DURATION_MS),
        _ => Reading::OtherType,
    }
}

fn relay(text: &str) -> Reading {
    let mut found = None;
    let mut duration_ms = DEFAULT_DURATION_MS;
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        if name.trim().eq_ignore_ascii_case("signal") {
            found = Some(value);
        } else if name.trim().eq_ignore_ascii_case("duration") {
            duration_ms = value.parse().unwrap_or(DEFAULT_DURATION_MS).clamp(1, MAX_DURATION_MS);
        }
    }
    found.map_or(Reading::Malformed, |value| signal(value, duration_ms))
}

/// Some senders write the event codes 10 to 16 of RFC 4733 instead of the signs.
fn signal(value: &str, duration_ms: u32) -> Reading {
    let sign = match value {
        "10" => '*',
        "11" => '#',
        "12" => 'A',
        "13" => 'B',
        "14" => 'C',
        "15" => 'D',
        "16" | "!" | "hf" | "flash" => return Reading::Nothing,
        other => {
            let mut chars = other.chars();
            match (chars.next(), chars.next()) {
                (Some(sign), None) => sign,
                _ => return Reading::Malformed,
            }
        }
    };
    Key::new(sign).map_or(Reading::Malformed, |key| Reading::Key(key, duration_ms))
}

/// The body of an INFO that carries `key`.
pub(super) fn print(key: Key, duration_ms: u32) -> String {
    format!("Signal={}\r\nDuration={duration_ms}\r\n", key.sign())
}

/// Its content type.
pub(super) const CONTENT_TYPE: &str = "application/dtmf-relay";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_many_senders() {
        let check = |kind: &str, body: &str, expected: Option<(char, u32)>| {
            let expected = expected.map(|(k, d)| Reading::Key(Key::new(k).unwrap(), d));
            let read = read(Some(kind), body.as_bytes());
            match expected {
                Some(expected) => assert_eq!(read, expected, "{kind} {body:?}"),
                None => assert_eq!(read, Reading::Malformed, "{kind} {body:?}"),
            }
        };
        check("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n", Some(('5', 250)));
        check("application/dtmf-relay", "Signal= *\nDuration= 100", Some(('*', 100)));
        check("Application/DTMF-Relay; charset=x", "signal=11", Some(('#', 160)));
        check("application/dtmf-relay", "Signal=a\r\nDuration=x", Some(('A', 160)));
        check("application/dtmf-relay", "Duration=99999999\r\nSignal=1", Some(('1', 10_000)));
        check("application/dtmf", "7", Some(('7', 160)));
        check("application/dtmf", " # \r\n", Some(('#', 160)));
        check("application/dtmf", "Signal=3", Some(('3', 160)));
        check("application/dtmf-relay", "Signal=12345", None);
        check("application/dtmf-relay", "Duration=5", None);
        check("application/dtmf-relay", "Signal=E", None);
    }

    #[test]
    fn other_bodies() {
        assert_eq!(read(None, b""), Reading::Nothing);
        assert_eq!(read(Some("application/dtmf-relay"), b"Signal=16"), Reading::Nothing);
        assert_eq!(read(Some("application/media_control+xml"), b"<x/>"), Reading::OtherType);
        assert_eq!(read(Some("application/dtmf"), b"\xff"), Reading::Malformed);
    }

    #[test]
    fn what_is_printed_is_read() {
        let key = Key::new('#').unwrap();
        assert_eq!(read(Some(CONTENT_TYPE), print(key, 120).as_bytes()), Reading::Key(key, 120));
    }
}
