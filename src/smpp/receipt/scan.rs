//! Finds the fields of a receipt's text: `key:value` in any order and any case, with fields missing, or a line of values
//! between commas. One pass over a bounded text, nothing is tried twice.

use bytes::Bytes;

use crate::smpp::receipt::State;
use crate::smpp::time;

/// The longest error that is kept.
const ERROR: usize = 16;

/// What was found.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Scanned {
    pub(super) id: Option<Bytes>,
    pub(super) state: Option<State>,
    pub(super) error: Option<String>,
    pub(super) done_at: Option<i64>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Key {
    Id,
    State,
    Error,
    Done,
    /// Known, but nothing that is asked for.
    Passed,
    /// The message's own text: whatever follows is a person's.
    Text,
}

const KEYS: [(&str, Key); 16] = [
    ("id", Key::Id),
    ("message id", Key::Id),
    ("messageid", Key::Id),
    ("msgid", Key::Id),
    ("stat", Key::State),
    ("status", Key::State),
    ("state", Key::State),
    ("err", Key::Error),
    ("error", Key::Error),
    ("done date", Key::Done),
    ("donedate", Key::Done),
    ("submit date", Key::Passed),
    ("submitdate", Key::Passed),
    ("sub", Key::Passed),
    ("dlvrd", Key::Passed),
    ("text", Key::Text),
];

pub(super) fn scan(text: &str) -> Scanned {
    let mut found = Scanned::default();
    let mut rest = text;
    let mut at_word = true;
    let mut any = false;
    while let Some(first) = rest.chars().next() {
        if at_word && let Some((key, after)) = key_at(rest) {
            any = true;
            if key == Key::Text {
                break;
            }
            let value = value_at(after);
            take(&mut found, key, value);
            rest = after.trim_start_matches(' ');
            rest = rest.get(value.len()..).unwrap_or_default();
            at_word = false;
            continue;
        }
        at_word = !first.is_ascii_alphanumeric() && first != '_';
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    if any { found } else { by_commas(text) }
}

/// A key with its colon at the start of a text, and what follows it.
fn key_at(text: &str) -> Option<(Key, &str)> {
    KEYS.iter().find_map(|(name, key)| {
        let mut rest = text;
        for letter in name.chars() {
            let there = rest.chars().next()?;
            // Between two words of a key any one separator will do.
            let same = there.eq_ignore_ascii_case(&letter) || (letter == ' ' && matches!(there, '_' | '-'));
            if !same {
                return None;
            }
            rest = rest.get(there.len_utf8()..)?;
        }
        let rest = rest.trim_start_matches(' ');
        rest.strip_prefix([':', '=']).map(|rest| (*key, rest))
    })
}

/// The value behind a colon: up to a space or what else divides, and none if the next key follows at once.
fn value_at(text: &str) -> &str {
    let text = text.trim_start_matches(' ');
    if key_at(text).is_some() {
        return "";
    }
    let end =
        text.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '\0')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The first of several counts.
fn take(found: &mut Scanned, key: Key, value: &str) {
    if value.is_empty() {
        return;
    }
    match key {
        Key::Id => {
            found.id.get_or_insert_with(|| Bytes::copy_from_slice(value.as_bytes()));
        }
        Key::State => found.state = found.state.or_else(|| state(value)),
        Key::Error if value.len() <= ERROR && value.bytes().all(|octet| octet.is_ascii_graphic()) => {
            found.error.get_or_insert_with(|| value.to_owned());
        }
        Key::Done => found.done_at = found.done_at.or_else(|| date(value)),
        Key::Error | Key::Passed | Key::Text => {}
    }
}

/// A word, or the number of `message_state`.
fn state(value: &str) -> Option<State> {
    State::of_word(value).or_else(|| value.parse().ok().and_then(State::of))
}

/// `YYMMDDhhmm` with seconds or without, with a century (14 digits), or as a PDU has it; microseconds.
fn date(value: &str) -> Option<i64> {
    if let Some(time::Stamp::At(at)) = time::parse(value.as_bytes()) {
        return Some(at);
    }
    let digits = value.as_bytes();
    let end = digits.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(digits.len());
    let digits = digits.get(..end)?;
    let pairs: Vec<u8> =
        digits.as_chunks::<2>().0.iter().map(|[tens, ones]| (tens - b'0') * 10 + (ones - b'0')).collect();
    // Behind the seconds some have parts of one, which nobody needs.
    let short = |pairs: &[u8]| match pairs {
        [year, month, day, hour, minute] => civil(*year, [*month, *day, *hour, *minute, 0]),
        [year, month, day, hour, minute, second, ..] => civil(*year, [*month, *day, *hour, *minute, *second]),
        _ => None,
    };
    let long = |pairs: &[u8]| match pairs {
        [20, rest @ ..] => short(rest),
        _ => None,
    };
    match digits.len() {
        10 => short(&pairs),
        14 => long(&pairs).or_else(|| short(&pairs)),
        12.. => short(&pairs).or_else(|| long(&pairs)),
        _ => None,
    }
}

fn civil(year: u8, fields: [u8; 5]) -> Option<i64> {
    time::utc(2000 + i64::from(year), fields).map(|seconds| seconds * 1_000_000)
}

/// `id,…,stat,err,…` without keys: the first value is the id, a state's word is the state, the value behind it the error,
/// the last date before or behind it the end.
fn by_commas(text: &str) -> Scanned {
    let values: Vec<&str> = text.split([',', ';', '|']).map(|value| value.trim().trim_matches('"')).collect();
    let Some(at) = values.iter().position(|value| State::of_word(value).is_some()) else {
        return Scanned::default();
    };
    let mut found =
        Scanned { state: values.get(at).and_then(|word| State::of_word(word)), ..Scanned::default() };
    if at > 0
        && let Some(id) = values.first()
    {
        take(&mut found, Key::Id, id);
    }
    if let Some(error) = values.get(at + 1)
        && error.len() <= 4
    {
        take(&mut found, Key::Error, error);
    }
    // The id may be of as many digits as a date.
    let dates = values.iter().enumerate().filter(|(place, value)| *place > 0 && value.len() >= 10);
    found.done_at = dates.filter_map(|(_, value)| date(value)).next_back();
    found
}
