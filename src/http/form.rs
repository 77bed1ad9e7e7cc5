//! Forms and query strings as gateways write them (WHATWG URL §5.1): names with their bytes, since not every gateway sends
//! UTF-8. Values are wiped when dropped: a text may hold a PIN.
//!
//! A stray `%` stays itself: a gateway that forgets to encode would otherwise lose that message for ever.

use std::fmt;

use zeroize::Zeroizing;

/// Fields that are read; a form with more is refused.
pub const FIELDS_MAX: usize = 64;

/// What is wrong with a form.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Bad {
    /// More than [`FIELDS_MAX`].
    #[error("expected at most {FIELDS_MAX} fields")]
    TooMany,
    /// A field that must be there.
    #[error("expected a field {0}")]
    Missing(String),
    /// A field that is there more than once, so that two readers may differ about it.
    #[error("expected the field {0} once")]
    Twice(String),
    /// A field that is no UTF-8.
    #[error("expected UTF-8 in the field {0}")]
    NotUtf8(String),
    /// A field that is something else than it must be.
    #[error("expected {expected} in the field {field}")]
    Value {
        /// Which.
        field: String,
        /// In words.
        expected: &'static str,
    },
}

/// The fields of a form or a query, in their order.
pub struct Fields(Vec<(String, Zeroizing<Vec<u8>>)>);

impl Fields {
    /// Reads `a=1&b=two+words&c=%E4%BD%A0`.
    ///
    /// # Errors
    /// [`Bad::TooMany`].
    pub fn parse(form: &[u8]) -> Result<Self, Bad> {
        let mut fields = Vec::new();
        for pair in form.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            if fields.len() == FIELDS_MAX {
                return Err(Bad::TooMany);
            }
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or_default());
            let value = decode(halves.next().unwrap_or_default());
            fields.push((String::from_utf8_lossy(&name).into_owned(), value));
        }
        Ok(Self(fields))
    }

    /// The bytes of a field, if it is there.
    ///
    /// # Errors
    /// [`Bad::Twice`].
    pub fn bytes(&self, name: &str) -> Result<Option<&[u8]>, Bad> {
        let mut found = self.0.iter().filter(|(n, _)| n == name);
        let first = found.next();
        match found.next() {
            Some(_) => Err(Bad::Twice(name.to_owned())),
            None => Ok(first.map(|(_, value)| value.as_slice())),
        }
    }

    /// The text of a field, if it is there.
    ///
    /// # Errors
    /// [`Bad::Twice`] and [`Bad::NotUtf8`].
    pub fn text(&self, name: &str) -> Result<Option<&str>, Bad> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|_| Bad::NotUtf8(name.to_owned()))
    }

    /// The text of a field that must be there and not be empty.
    ///
    /// # Errors
    /// As [`Fields::text`], and [`Bad::Missing`].
    pub fn needed(&self, name: &str) -> Result<&str, Bad> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| Bad::Missing(name.to_owned()))
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, value)| (name, value.len()))).finish()
    }
}

/// `+` and `%41` decoded.
fn decode(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let (byte, left) = match (first, after) {
            (b'+', _) => (b' ', after),
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => ((high << 4) | low, left),
                _ => (b'%', after),
            },
            (other, _) => (*other, after),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

const fn digit(byte: u8) -> Option<u8> {
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
    fn fields_are_read_as_gateways_write_them() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("a=1&b=2", "b", Some("2")),
            ("a=%2B254711000111", "a", Some("+254711000111")),
            ("a=+254711000111", "a", Some(" 254711000111")),
            ("a=two+words%20more", "a", Some("two words more")),
            ("text=", "text", Some("")),
            ("text", "text", Some("")),
            ("text=1*2=3", "text", Some("1*2=3")),
            ("text=%E5%85%85%E5%80%BC+50", "text", Some("充值 50")),
            ("text=100%", "text", Some("100%")),
            ("text=100%zz%4", "text", Some("100%zz%4")),
            ("text=%e4%BD%a0", "text", Some("你")),
            ("%66rom=x", "from", Some("x")),
            ("&&a=1&&", "a", Some("1")),
            ("a=1", "b", None),
            ("", "a", None),
        ];
        for (form, name, wanted) in cases {
            let fields = Fields::parse(form.as_bytes()).unwrap();
            assert_eq!(fields.text(name).unwrap(), *wanted, "{form}");
        }
    }

    #[test]
    fn what_readers_may_differ_about_is_refused() {
        let fields = Fields::parse(b"a=1&a=2&b=%ff&c=").unwrap();
        assert_eq!(fields.text("a"), Err(Bad::Twice("a".to_owned())));
        assert_eq!(fields.text("b"), Err(Bad::NotUtf8("b".to_owned())));
        assert_eq!(fields.bytes("b").unwrap(), Some([0xff].as_slice()));
        assert_eq!(fields.needed("c"), Err(Bad::Missing("c".to_owned())));
        let many = "x=1&".repeat(FIELDS_MAX + 1);
        assert_eq!(Fields::parse(many.as_bytes()).unwrap_err(), Bad::TooMany);
        assert_eq!(Fields::parse(&many.as_bytes()[..FIELDS_MAX * 4]).unwrap().iter().count(), FIELDS_MAX);
    }

    #[test]
    fn values_do_not_print() {
        let fields = Fields::parse(b"text=4321").unwrap();
        assert_eq!(format!("{fields:?}"), r#"[("text", 4)]"#);
    }
}
