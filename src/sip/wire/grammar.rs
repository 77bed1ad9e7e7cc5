//! The character classes and small splitters of RFC 3261 §25.1.
//!
//! First thing a message's text meets, below every header. It never allocates and never trusts a length.

/// RFC 3261 §25.1 `token`.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether `text` is one `token`.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Linear white space as it is left after unfolding.
pub(super) const fn is_lws(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// `text` without white space around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_lws)
}

/// Splits at `separator` where it stands outside quotes and angle brackets. `None` if a quote or bracket
/// stays open.
pub(super) fn split_outside(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut parts = Vec::with_capacity(2);
    let mut start = 0;
    let mut quoted = false;
    let mut bracketed = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted {
            match c {
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => {}
            }
        } else if c == '"' {
            quoted = true;
        } else if c == '<' {
            bracketed = true;
        } else if c == '>' {
            bracketed = false;
        } else if c == separator && !bracketed {
            parts.push(text.get(start..at)?);
            start = at + c.len_utf8();
        }
    }
    if quoted || bracketed {
        return None;
    }
    parts.push(text.get(start..)?);
    Some(parts)
}

/// One `;name=value` parameter; a quoted value keeps its quotes off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Param {
    /// Name as written; compare without case.
    pub name: String,
    /// Value, unquoted; `None` for a bare name.
    pub value: Option<String>,
}

/// Reads `;a=b;c` (a leading `;` or nothing). White space around `;` and `=` is allowed, empty parameters are
/// not.
pub(super) fn params(text: &str) -> Option<Vec<Param>> {
    let text = trim(text);
    let Some(rest) = text.strip_prefix(';') else {
        return text.is_empty().then(Vec::new);
    };
    split_outside(rest, ';')?.into_iter().map(param).collect()
}

fn param(text: &str) -> Option<Param> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (trim(text), None),
    };
    if !is_token(name) {
        return None;
    }
    let value = match value {
        None => None,
        Some(quoted) if quoted.starts_with('"') => Some(unquote(quoted)?),
        Some(bare) if bare.is_empty() || bare.contains(|c: char| is_lws(c) || c == '"') => return None,
        Some(bare) => Some(bare.to_owned()),
    };
    Some(Param { name: name.to_owned(), value })
}

/// The value of the parameter `name`: outer `None` when absent, inner `None` when it has no value.
pub(super) fn find<'a>(params: &'a [Param], name: &str) -> Option<Option<&'a str>> {
    params.iter().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.value.as_deref())
}

/// The text inside one quoted string, escapes resolved. `None` unless `text` is exactly one quoted string.
pub(super) fn unquote(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return chars.as_str().is_empty().then_some(out),
            '\\' => out.push(chars.next()?),
            c => out.push(c),
        }
    }
    None
}

/// Percent escapes resolved; a broken escape stays as it is, bytes that are not UTF-8 become U+FFFD.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        match escape {
            Some(decoded) => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_only_outside_quotes_and_brackets() {
        assert_eq!(split_outside(r#""a,b" <sip:x,y@h>, c"#, ','), Some(vec![r#""a,b" <sip:x,y@h>"#, " c"]));
        assert_eq!(split_outside(r#""a\",b", c"#, ','), Some(vec![r#""a\",b""#, " c"]));
        assert_eq!(split_outside("\"open, c", ','), None);
        assert_eq!(split_outside("<open, c", ','), None);
    }

    #[test]
    fn params_allow_space_and_quotes_but_not_emptiness() {
        let read = params(r#" ; branch = z9 ;lr; +sip.instance="<urn:x;y>""#).unwrap();
        assert_eq!(find(&read, "BRANCH"), Some(Some("z9")));
        assert_eq!(find(&read, "lr"), Some(None));
        assert_eq!(find(&read, "+sip.instance"), Some(Some("<urn:x;y>")));
        assert_eq!(find(&read, "absent"), None);
        for wrong in [";;a", ";a;", ";a=", "a=b", ";a=b c", ";a b"] {
            assert_eq!(params(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn escapes_resolve_and_broken_ones_stay() {
        assert_eq!(unescape("null-%00-%e5%A5%bd"), "null-\0-\u{597d}");
        assert_eq!(unescape("50%"), "50%");
        assert_eq!(unescape("%zz%4"), "%zz%4");
        assert_eq!(unquote(r#""a \"b\"""#).as_deref(), Some(r#"a "b""#));
        assert_eq!(unquote(r#""a" b"#), None);
    }
}
