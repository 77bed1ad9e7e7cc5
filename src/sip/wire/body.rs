//! The session description inside a request's or response's body, alone or as a part of a multipart (RFC
//! 5621).
//!
//! Between the message and the dialog. Carriers that speak SIP-I wrap the description beside an ISUP part;
//! only the description is taken.

use super::header::Name;
use super::message::Fields;
use super::print::SDP;
use bytes::Bytes;

/// A body that must be understood and is not; answered 415.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("body of a type or encoding that is not understood")]
pub struct Unsupported;

/// The description, or `None` when there is no body (or only one that may be ignored).
///
/// # Errors
/// [`Unsupported`].
pub fn session_description(fields: &Fields, body: &Bytes) -> Result<Option<Bytes>, Unsupported> {
    if body.is_empty() {
        return Ok(None);
    }
    let encoding = fields.first(Name::ContentEncoding);
    if encoding.is_some_and(|e| !e.is_empty() && !e.eq_ignore_ascii_case("identity")) {
        return Err(Unsupported);
    }
    let content_type = fields.first(Name::ContentType).unwrap_or_default();
    let kind = media_type(&content_type);
    if kind.eq_ignore_ascii_case(SDP) {
        return Ok(Some(body.clone()));
    }
    if kind.get(..10).is_some_and(|k| k.eq_ignore_ascii_case("multipart/")) {
        return boundary(&content_type).and_then(|b| part(body, &b)).map(Some).ok_or(Unsupported);
    }
    // RFC 3261 §20.11: a body whose handling is optional may be ignored.
    let optional =
        fields.first(Name::ContentDisposition).is_some_and(|d| d.to_ascii_lowercase().contains("optional"));
    if optional { Ok(None) } else { Err(Unsupported) }
}

/// `type/subtype` without parameters.
#[must_use]
pub fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

fn boundary(content_type: &str) -> Option<String> {
    let found = content_type.split(';').skip(1).find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    });
    found.filter(|b| !b.is_empty())
}

/// The first part of type application/sdp (RFC 2046 §5.1.1).
fn part(body: &Bytes, boundary: &str) -> Option<Bytes> {
    let delimiter = format!("--{boundary}");
    let mut at = find(body, delimiter.as_bytes())? + delimiter.len();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return None;
        }
        let length = find(rest, format!("\r\n{delimiter}").as_bytes())?;
        let whole = rest.get(..length)?;
        let head_end = find(whole, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(whole.get(..head_end)?);
        let is_sdp = head.lines().filter_map(|l| l.split_once(':')).any(|(name, value)| {
            Name::of(name.trim()) == Name::ContentType && media_type(value).eq_ignore_ascii_case(SDP)
        });
        if is_sdp {
            return Some(body.slice(at + head_end + 4..at + length));
        }
        at += length + 2 + delimiter.len();
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::Limits;
    use crate::sip::wire::message::Parsed;
    use crate::sip::wire::parse;

    fn read(headers: &str, body: &str) -> Result<Option<String>, Unsupported> {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>\r\n\
             Call-ID: 1\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let Parsed::Request(request) = parse::parse(&Bytes::from(text), &Limits::UDP) else {
            panic!("no request")
        };
        let found = session_description(&request.fields, &request.body)?;
        Ok(found.map(|b| String::from_utf8_lossy(&b).into_owned()))
    }

    #[test]
    fn a_description_alone_or_beside_isup() {
        assert_eq!(read("", ""), Ok(None));
        assert_eq!(read("Content-Type: application/sdp\r\n", "v=0\r\n"), Ok(Some("v=0\r\n".into())));
        assert_eq!(read("c: Application/SDP;charset=utf-8\r\n", "v=0\r\n"), Ok(Some("v=0\r\n".into())));
        let mixed = "--x\r\nContent-Type: application/ISUP;version=itu-t92+\r\n\r\n\u{1}\u{2}\r\n--x\r\n\
                     Content-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n--x--\r\n";
        let kind = "Content-Type: multipart/mixed; boundary=\"x\"\r\n";
        assert_eq!(read(kind, mixed), Ok(Some("v=0\r\ns=-".into())));
    }

    #[test]
    fn bodies_that_are_not_understood() {
        assert_eq!(read("Content-Type: application/unknownformat\r\n", "x"), Err(Unsupported));
        assert_eq!(
            read("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", "x"),
            Err(Unsupported)
        );
        assert_eq!(read("Content-Type: multipart/mixed\r\n", "--x--"), Err(Unsupported));
        assert_eq!(read("Content-Type: multipart/mixed;boundary=x\r\n", "--x--"), Err(Unsupported));
        let optional = "Content-Type: application/x\r\nContent-Disposition: session;handling=optional\r\n";
        assert_eq!(read(optional, "x"), Ok(None));
    }
}
