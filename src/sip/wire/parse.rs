//! One datagram to one message: framing, unfolding, the strictness of start lines, and what every message
//! must have.
//!
//! Pure. A fault of a request is an answer ([`Refused`]) as long as there is a Via to answer to; a faulty
//! response or ACK is dropped. It never panics and never allocates by a length that the peer names.

use super::Error;
use super::Limits;
use super::grammar;
use super::header::CSeq;
use super::header::Name;
use super::header::NameAddr;
use super::header::Via;
use super::message::Field;
use super::message::Fields;
use super::message::Method;
use super::message::Parsed;
use super::message::Refused;
use super::message::Request;
use super::message::Response;
use super::uri::Scheme;
use super::uri::Uri;
use bytes::Bytes;

/// Reads one datagram.
#[must_use]
pub fn parse(datagram: &Bytes, limits: &Limits) -> Parsed {
    // RFC 3261 §7.5: empty lines before the start line are skipped.
    let skip = datagram.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if skip == datagram.len() {
        return Parsed::KeepAlive;
    }
    let message = datagram.slice(skip..);
    let mut faults = Faults::default();
    let end = match find(&message, b"\r\n\r\n") {
        Some(end) => end,
        None if message.ends_with(b"\r\n") => {
            faults.note(400, "Missing Empty Line After Headers");
            message.len() - 2
        }
        None => return Parsed::Discard(Error::Incomplete),
    };
    if message.len() > limits.message_bytes_max {
        faults.note(513, "Message Too Large");
    }
    let body = message.slice((end + 4).min(message.len())..);
    let head = unfold(message.slice(..end + 2));
    let Some(line_end) = find(&head, b"\r\n") else {
        return Parsed::Discard(Error::Incomplete);
    };
    let start = String::from_utf8_lossy(head.get(..line_end).unwrap_or_default()).into_owned();
    let fields = fields(head, line_end + 2, limits, &mut faults);
    if start.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("SIP/")) {
        return match response(&start, fields, body, &faults) {
            Ok(response) => Parsed::Response(Box::new(response)),
            Err(error) => Parsed::Discard(error),
        };
    }
    if !start.to_ascii_uppercase().contains(" SIP/") {
        return Parsed::Discard(Error::NotSip);
    }
    request(&start, fields, body, faults, limits)
}

/// Collects the first fault; later ones add nothing to the answer.
#[derive(Clone, Copy, Debug, Default)]
struct Faults(Option<(u16, &'static str)>);

impl Faults {
    const fn note(&mut self, status: u16, reason: &'static str) {
        if self.0.is_none() {
            self.0 = Some((status, reason));
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// RFC 3261 §7.3.1: a line that starts with white space continues the one before. The line ends become
/// spaces.
fn unfold(head: Bytes) -> Bytes {
    let folded = head.windows(3).any(|w| matches!(w, [b'\r', b'\n', b' ' | b'\t']));
    if !folded {
        return head;
    }
    let mut out = head.to_vec();
    let mut at = 0;
    while let Some(found) = out.get(at..).and_then(|rest| find(rest, b"\r\n")) {
        let line_end = at + found;
        if let Some([cr, lf, b' ' | b'\t']) = out.get_mut(line_end..line_end + 3) {
            *cr = b' ';
            *lf = b' ';
        }
        at = line_end + 2;
    }
    out.into()
}

fn fields(head: Bytes, start: usize, limits: &Limits, faults: &mut Faults) -> Fields {
    let mut list = Vec::with_capacity(16);
    let mut at = start;
    while let Some(length) = head.get(at..).and_then(|rest| find(rest, b"\r\n")) {
        let line = head.get(at..at + length).unwrap_or_default();
        if list.len() == limits.headers_max {
            faults.note(400, "Too Many Headers");
            break;
        }
        if length > limits.header_line_bytes_max {
            faults.note(400, "Header Line Too Long");
        } else if line.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            // A bare line end inside a value could smuggle a header into whatever echoes it.
            faults.note(400, "Bare Line End In Header");
        } else if let Some(field) = field(line, at) {
            list.push(field);
        } else {
            faults.note(400, "Malformed Header Line");
        }
        at += length + 2;
    }
    Fields { head, list }
}

fn field(line: &[u8], at: usize) -> Option<Field> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, rest) = line.split_at(colon);
    let name = grammar::trim(std::str::from_utf8(name).ok()?);
    if !grammar::is_token(name) {
        return None;
    }
    let value = rest.get(1..)?;
    let lead = value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let tail = value.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let start = at + colon + 1 + lead;
    let end = (at + line.len()).saturating_sub(tail).max(start);
    Some(Field { name: Name::of(name), start, end })
}

/// RFC 3261 §18.3: over UDP a body shorter than Content-Length is an error and a longer one is cut.
fn cut_body(fields: &Fields, body: Bytes) -> Result<Bytes, &'static str> {
    let mut values = fields.text(Name::ContentLength);
    let Some(value) = values.next() else {
        return Ok(body);
    };
    if values.next().is_some() {
        return Err("Multiple Content-Length");
    }
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err("Malformed Content-Length");
    }
    match value.parse::<usize>() {
        Ok(length) if length <= body.len() => Ok(body.slice(..length)),
        _ => Err("Content-Length Exceeds Message"),
    }
}

fn single(fields: &Fields, name: Name) -> Option<String> {
    let mut values = fields.text(name);
    let value = values.next()?.into_owned();
    if values.next().is_some() { None } else { Some(value) }
}

fn top_via(fields: &Fields) -> Option<Via> {
    let value = fields.first(Name::Via)?;
    let top = grammar::split_outside(&value, ',')?.into_iter().next()?;
    Via::parse(top).ok()
}

fn request(start: &str, fields: Fields, body: Bytes, mut faults: Faults, limits: &Limits) -> Parsed {
    let is_ack = start.starts_with("ACK ");
    let via = top_via(&fields);
    match checked_request(start, &fields, via.as_ref(), body, &mut faults, limits) {
        Some(request) if faults.0.is_none() => Parsed::Request(Box::new(request)),
        _ if is_ack => Parsed::Discard(Error::Ack),
        _ if fields.count(Name::Via) == 0 => Parsed::Discard(Error::Incomplete),
        _ => {
            let (status, reason) = faults.0.unwrap_or((400, "Bad Request"));
            Parsed::Refused(Box::new(Refused { status, reason, fields, via }))
        }
    }
}

fn checked_request(
    start: &str,
    fields: &Fields,
    via: Option<&Via>,
    body: Bytes,
    faults: &mut Faults,
    limits: &Limits,
) -> Option<Request> {
    let target = match request_line(start, limits) {
        Ok((method, uri)) => Some((Method::of(method), uri)),
        Err((status, reason)) => {
            faults.note(status, reason);
            None
        }
    };
    if via.is_none() {
        faults.note(400, "Malformed Via");
    }
    let from = address(fields, Name::From, faults, "Missing, Multiple Or Malformed From");
    let to = address(fields, Name::To, faults, "Missing, Multiple Or Malformed To");
    let call_id = single(fields, Name::CallId).filter(|id| !id.is_empty() && !id.contains(grammar::is_lws));
    if call_id.is_none() {
        faults.note(400, "Missing, Multiple Or Malformed Call-ID");
    }
    let cseq = single(fields, Name::CSeq).and_then(|v| CSeq::parse(&v).ok());
    if cseq.is_none() {
        faults.note(400, "Missing, Multiple Or Malformed CSeq");
    }
    let body = cut_body(fields, body).unwrap_or_else(|reason| {
        faults.note(400, reason);
        Bytes::new()
    });
    if body.len() > limits.body_bytes_max {
        faults.note(413, "Request Entity Too Large");
    }
    optional_headers(fields, faults);
    let contact = contact(fields, faults);
    let (method, uri) = target?;
    let cseq = cseq?;
    if cseq.method != method.as_str() {
        faults.note(400, "CSeq Method Does Not Match Request Line");
    }
    Some(Request {
        method,
        uri,
        via: via?.clone(),
        from: from?,
        to: to?,
        call_id: call_id?.into(),
        cseq: cseq.number,
        contact,
        fields: fields.clone(),
        body,
    })
}

/// RFC 3261 §25.1: `Method SP Request-URI SP SIP-Version`, one space each and nothing after it.
fn request_line<'a>(start: &'a str, limits: &Limits) -> Result<(&'a str, Uri), (u16, &'static str)> {
    let mut parts = start.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err((400, "Malformed Request-Line"));
    };
    if !grammar::is_token(method) {
        return Err((400, "Malformed Method"));
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let well_formed =
            version.get(4..).is_some_and(|v| v.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        return Err(if well_formed {
            (505, "Version Not Supported")
        } else {
            (400, "Malformed SIP Version")
        });
    }
    if uri.len() > limits.uri_bytes_max {
        return Err((414, "Request-URI Too Long"));
    }
    let uri = Uri::parse(uri).map_err(|_| (400, "Malformed Request-URI"))?;
    // RFC 3261 §19.1.1: header components and embedded methods are not allowed in a request's target.
    if !uri.headers().is_empty() {
        return Err((400, "Headers In Request-URI"));
    }
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok((method, uri)),
        Scheme::Other => Err((416, "Unsupported URI Scheme")),
    }
}

fn address(fields: &Fields, name: Name, faults: &mut Faults, reason: &'static str) -> Option<NameAddr> {
    let read = single(fields, name).and_then(|v| NameAddr::parse(&v).ok());
    if read.is_none() {
        faults.note(400, reason);
    }
    read
}

fn contact(fields: &Fields, faults: &mut Faults) -> Option<NameAddr> {
    let mut first = None;
    let Some(elements) = fields.elements(Name::Contact) else {
        faults.note(400, "Malformed Contact");
        return None;
    };
    for element in elements {
        match NameAddr::parse(&element) {
            Ok(read) => first = first.or(Some(read)),
            // RFC 3261 §10.2.2: `*` unregisters everything.
            Err(_) if element == "*" => {}
            Err(_) => faults.note(400, "Malformed Contact"),
        }
    }
    first
}

fn optional_headers(fields: &Fields, faults: &mut Faults) {
    if fields.count(Name::MaxForwards) > 0 {
        let hops = single(fields, Name::MaxForwards).filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
        if hops.and_then(|v| v.parse::<u8>().ok()).is_none() {
            faults.note(400, "Malformed Max-Forwards");
        }
    }
    // RFC 3261 §20.17: SIP restricts the time zone to GMT.
    if fields.text(Name::Date).any(|v| !v.ends_with(" GMT")) {
        faults.note(400, "Malformed Date");
    }
    if fields.count(Name::ContentType) > 1 {
        faults.note(400, "Multiple Content-Type");
    }
    for name in [Name::Route, Name::RecordRoute] {
        let routes = fields.elements(name);
        if routes.is_none_or(|all| all.iter().any(|r| NameAddr::parse(r).is_err())) {
            faults.note(400, "Malformed Route Or Record-Route");
        }
    }
}

fn response(start: &str, fields: Fields, body: Bytes, faults: &Faults) -> Result<Response, Error> {
    let mut parts = start.splitn(3, ' ');
    let (version, code) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !version.eq_ignore_ascii_case("SIP/2.0")
        || code.len() != 3
        || !code.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Error::StatusLine);
    }
    let status: u16 = code.parse().ok().filter(|s| (100..700).contains(s)).ok_or(Error::StatusLine)?;
    if faults.0.is_some() {
        return Err(Error::Incomplete);
    }
    let address =
        |name| single(&fields, name).and_then(|v| NameAddr::parse(&v).ok()).ok_or(Error::Response(name));
    let via = top_via(&fields).ok_or(Error::Response(Name::Via))?;
    // RFC 3261 §8.1.3.3: more than one Via means that the response was not meant for us.
    if fields.elements(Name::Via).is_none_or(|all| all.len() != 1) {
        return Err(Error::Response(Name::Via));
    }
    let (from, to) = (address(Name::From)?, address(Name::To)?);
    let call_id = single(&fields, Name::CallId).ok_or(Error::Response(Name::CallId))?;
    let cseq =
        single(&fields, Name::CSeq).and_then(|v| CSeq::parse(&v).ok()).ok_or(Error::Response(Name::CSeq))?;
    let body = cut_body(&fields, body).map_err(|_| Error::Response(Name::ContentLength))?;
    Ok(Response {
        status,
        via,
        from,
        to,
        call_id: call_id.into(),
        cseq: cseq.number,
        method: Method::of(&cseq.method),
        contact: fields.name_addrs(Name::Contact).into_iter().next(),
        fields,
        body,
    })
}
