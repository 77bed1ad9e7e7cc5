//! Messages to bytes. rsip models and prints the headers that we add; the start line, what is echoed and the
//! body are written here, byte for byte, since rsip would alter them (IPv6 hosts, `tel:`, binary bodies).
//!
//! Last room before the socket. It trusts its arguments to hold no line ends: they come from parsed messages
//! or from us.

use super::header::Name;
use super::header::Via;
use super::message::Fields;
use super::message::Method;
use bytes::Bytes;
use rsip::headers::UntypedHeader as _;
use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Methods that are understood, for Allow (RFC 3261 §20.5).
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE";

/// Headers that we add to a message, in order.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<rsip::Header>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn with(mut self, header: rsip::Header) -> Self {
        self.0.push(header);
        self
    }

    /// `Contact: <uri>`.
    #[must_use]
    pub fn contact(self, uri: &str) -> Self {
        self.with(rsip::Header::Contact(rsip::headers::Contact::new(format!("<{uri}>"))))
    }

    /// `Allow` with every method that is understood.
    #[must_use]
    pub fn allow(self) -> Self {
        self.with(rsip::Header::Allow(rsip::headers::Allow::new(ALLOW)))
    }

    /// `Supported: timer` (RFC 4028), the only extension.
    #[must_use]
    pub fn supported(self) -> Self {
        self.with(rsip::Header::Supported(rsip::headers::Supported::new("timer")))
    }

    /// `Require: …`.
    #[must_use]
    pub fn require(self, options: &str) -> Self {
        self.with(rsip::Header::Require(rsip::headers::Require::new(options)))
    }

    /// `Unsupported: …`, the answer to a Require that asks too much.
    #[must_use]
    pub fn unsupported(self, options: &str) -> Self {
        self.with(rsip::Header::Unsupported(rsip::headers::Unsupported::new(options)))
    }

    /// `Accept: …`.
    #[must_use]
    pub fn accept(self, types: &str) -> Self {
        self.with(rsip::Header::Accept(rsip::headers::Accept::new(types)))
    }

    /// `Retry-After: seconds`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with(rsip::Header::RetryAfter(rsip::headers::RetryAfter::new(seconds.to_string())))
    }

    /// `Server: …` in responses.
    #[must_use]
    pub fn server(self, name: &str) -> Self {
        self.with(rsip::Header::Server(rsip::headers::Server::new(name)))
    }

    /// `User-Agent: …` in requests.
    #[must_use]
    pub fn user_agent(self, name: &str) -> Self {
        self.with(rsip::Header::UserAgent(rsip::headers::UserAgent::new(name)))
    }

    /// Any other header.
    #[must_use]
    pub fn other(self, name: &str, value: &str) -> Self {
        self.with(rsip::Header::Other(name.to_owned(), value.to_owned()))
    }

    /// `Session-Expires: seconds;refresher=…` (RFC 4028 §4).
    #[must_use]
    pub fn session_expires(self, seconds: u32, refresher: &str) -> Self {
        self.other("Session-Expires", &format!("{seconds};refresher={refresher}"))
    }

    /// `Min-SE: seconds` (RFC 4028 §5).
    #[must_use]
    pub fn min_se(self, seconds: u32) -> Self {
        self.other("Min-SE", &seconds.to_string())
    }
}

/// A body and its Content-Type.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    /// `application/sdp` and the like.
    pub content_type: &'a str,
    /// Written unchanged.
    pub bytes: &'a [u8],
}

/// Content-Type of session descriptions.
pub const SDP: &str = "application/sdp";

impl<'a> Body<'a> {
    /// A session description.
    #[must_use]
    pub const fn sdp(bytes: &'a [u8]) -> Self {
        Self { content_type: SDP, bytes }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes {})", self.bytes.len(), self.content_type)
    }
}

/// What every response to one request repeats of it (RFC 3261 §8.2.6.2), made once when the request comes.
#[derive(Clone)]
pub struct Echo {
    lines: Vec<u8>,
    record_route: Vec<u8>,
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echo({} bytes)", self.lines.len())
    }
}

impl Echo {
    /// Takes over Via (with `received` and `rport` filled in), From, To with `to_tag` if it has no tag,
    /// Call-ID and CSeq.
    #[must_use]
    pub fn new(fields: &Fields, via: Option<&Via>, source: SocketAddr, to_tag: Option<&str>) -> Self {
        let mut lines = Vec::with_capacity(512);
        let mut top = true;
        for value in fields.raw(Name::Via) {
            lines.extend_from_slice(b"Via: ");
            match via.filter(|_| top) {
                Some(via) => stamped_via(&mut lines, via, value, source),
                None => lines.extend_from_slice(value),
            }
            lines.extend_from_slice(b"\r\n");
            top = false;
        }
        copy(&mut lines, fields, Name::From, "From: ", "");
        match to_tag {
            Some(tag) => copy(&mut lines, fields, Name::To, "To: ", &format!(";tag={tag}")),
            None => copy(&mut lines, fields, Name::To, "To: ", ""),
        }
        copy(&mut lines, fields, Name::CallId, "Call-ID: ", "");
        copy(&mut lines, fields, Name::CSeq, "CSeq: ", "");
        let mut record_route = Vec::new();
        copy(&mut record_route, fields, Name::RecordRoute, "Record-Route: ", "");
        Self { lines, record_route }
    }

    /// A whole response. `reason` replaces the usual phrase.
    #[must_use]
    pub fn response(
        &self,
        status: u16,
        reason: Option<&str>,
        headers: &Headers,
        body: Option<Body<'_>>,
    ) -> Bytes {
        let body_bytes = body.map_or(0, |b| b.bytes.len());
        let mut out = Vec::with_capacity(self.lines.len() + self.record_route.len() + body_bytes + 384);
        out.extend_from_slice(
            format!("SIP/2.0 {status} {}\r\n", reason.unwrap_or_else(|| phrase(status))).as_bytes(),
        );
        out.extend_from_slice(&self.lines);
        // RFC 3261 §12.1.1: responses that make a dialog carry the Record-Route of the request.
        if (101..300).contains(&status) {
            out.extend_from_slice(&self.record_route);
        }
        finish(out, headers, body)
    }
}

fn copy(out: &mut Vec<u8>, fields: &Fields, name: Name, label: &str, suffix: &str) {
    for value in fields.raw(name) {
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(suffix.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 3261 §18.2.1 and RFC 3581 §4: tells the sender the address that its request came from.
fn stamped_via(out: &mut Vec<u8>, via: &Via, raw: &[u8], source: SocketAddr) {
    let stamp = via.rport() || via.ip() != Some(source.ip());
    if !stamp {
        out.extend_from_slice(raw);
        return;
    }
    let mut line = format!("SIP/2.0/{} {}", via.transport, via.host);
    if let Some(port) = via.port {
        let _ = write!(line, ":{port}");
    }
    for param in &via.params {
        if param.name.eq_ignore_ascii_case("rport") || param.name.eq_ignore_ascii_case("received") {
            continue;
        }
        let _ = match param.value.as_deref() {
            None => write!(line, ";{}", param.name),
            Some(v)
                if v.bytes().all(|b| super::grammar::is_token_byte(b) || matches!(b, b':' | b'[' | b']')) =>
            {
                write!(line, ";{}={v}", param.name)
            }
            Some(v) => write!(line, ";{}=\"{}\"", param.name, v.replace('\\', "\\\\").replace('"', "\\\"")),
        };
    }
    let _ = write!(line, ";received={}", source.ip());
    if via.rport() {
        let _ = write!(line, ";rport={}", source.port());
    }
    out.extend_from_slice(line.as_bytes());
    // The hops below the top one, when they share its line, follow unchanged.
    let text = String::from_utf8_lossy(raw);
    let below =
        super::grammar::split_outside(&text, ',').and_then(|parts| parts.first().map(|top| top.len()));
    if let Some(rest) = below.and_then(|length| text.get(length..)) {
        out.extend_from_slice(rest.as_bytes());
    }
}

/// A request of ours, ready to print.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// What is asked.
    pub method: &'a Method,
    /// Request-URI.
    pub uri: &'a str,
    /// Sent-by of our Via.
    pub local: SocketAddr,
    /// Branch of our Via.
    pub branch: &'a str,
    /// Route set, first hop first.
    pub routes: &'a [String],
    /// From with our tag.
    pub from: &'a str,
    /// To, with the peer's tag inside a dialog.
    pub to: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// CSeq number.
    pub cseq: u32,
}

impl Outgoing<'_> {
    /// The bytes of the request.
    #[must_use]
    pub fn print(&self, headers: &Headers, body: Option<Body<'_>>) -> Bytes {
        let body_bytes = body.map_or(0, |b| b.bytes.len());
        let mut text = String::with_capacity(768 + body_bytes);
        let _ = write!(text, "{} {} SIP/2.0\r\n", self.method, self.uri);
        let _ = write!(text, "Via: SIP/2.0/UDP {};rport;branch={}\r\n", self.local, self.branch);
        for route in self.routes {
            let _ = write!(text, "Route: {route}\r\n");
        }
        let _ = write!(text, "Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n", self.from, self.to);
        let _ = write!(text, "Call-ID: {}\r\nCSeq: {} {}\r\n", self.call_id, self.cseq, self.method);
        finish(text.into_bytes(), headers, body)
    }
}

fn finish(mut out: Vec<u8>, headers: &Headers, body: Option<Body<'_>>) -> Bytes {
    let mut text = String::new();
    for header in &headers.0 {
        let _ = write!(text, "{header}\r\n");
    }
    if let Some(body) = body {
        let _ = write!(text, "Content-Type: {}\r\n", body.content_type);
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n", body.map_or(0, |b| b.bytes.len()));
    out.extend_from_slice(text.as_bytes());
    if let Some(body) = body {
        out.extend_from_slice(body.bytes);
    }
    out.into()
}

/// The usual reason phrase of a status (RFC 3261 §21 and its extensions).
#[must_use]
pub const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        _ => match status / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Multiple Choices",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::Limits;
    use crate::sip::wire::message::Parsed;
    use crate::sip::wire::parse;

    fn invite() -> Bytes {
        let outgoing = Outgoing {
            method: &Method::Invite,
            uri: "sip:12580@192.0.2.1:5060",
            local: "198.51.100.1:5060".parse().unwrap(),
            branch: "z9hG4bK1",
            routes: &["<sip:proxy.example.com;lr>".to_owned()],
            from: "<sip:me@198.51.100.1>;tag=a",
            to: "<sip:12580@192.0.2.1>",
            call_id: "c1",
            cseq: 7,
        };
        let headers =
            Headers::new().contact("sip:me@198.51.100.1:5060").allow().supported().user_agent("Keytone");
        outgoing.print(&headers.session_expires(1800, "uac").min_se(90), Some(Body::sdp(b"v=0\r\n")))
    }

    /// The frozen crate reads the plain cases well, so it judges what is printed.
    #[test]
    fn rsip_reads_our_requests_as_we_mean_them() {
        let read = rsip::Request::try_from(invite().to_vec()).unwrap();
        assert_eq!(read.method, rsip::Method::Invite);
        assert_eq!(read.body, b"v=0\r\n");
        let names: Vec<String> = read
            .headers
            .iter()
            .map(|h| h.to_string().split(':').next().unwrap_or_default().to_owned())
            .collect();
        let expected = [
            "Via",
            "Route",
            "Max-Forwards",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Contact",
            "Allow",
            "Supported",
            "User-Agent",
            "Session-Expires",
            "Min-SE",
            "Content-Type",
            "Content-Length",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn rsip_reads_our_responses_as_we_mean_them() {
        let Parsed::Request(request) = parse::parse(&invite(), &Limits::UDP) else { panic!("unreadable") };
        let source = "198.51.100.7:6000".parse().unwrap();
        let echo = Echo::new(&request.fields, Some(&request.via), source, Some("b"));
        let bytes =
            echo.response(200, None, &Headers::new().contact("sip:x@192.0.2.1"), Some(Body::sdp(b"v=0\r\n")));
        let read = rsip::Response::try_from(bytes.to_vec()).unwrap();
        assert_eq!((read.status_code.code(), read.body.as_slice()), (200, b"v=0\r\n".as_slice()));
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(
            "Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1;received=198.51.100.7;rport=6000\r\n"
        ));
        assert!(text.contains("To: <sip:12580@192.0.2.1>;tag=b\r\n"));
        assert!(text.contains("CSeq: 7 INVITE\r\n"));
    }

    #[test]
    fn what_we_print_we_read() {
        let Parsed::Request(request) = parse::parse(&invite(), &Limits::UDP) else { panic!("unreadable") };
        assert_eq!((request.cseq, &*request.call_id, request.from.tag()), (7, "c1", Some("a")));
        assert_eq!(request.body, "v=0\r\n");
    }

    #[test]
    fn every_status_has_a_phrase() {
        assert!((100..700).all(|status| !phrase(status).is_empty()));
        assert_eq!((phrase(486), phrase(299), phrase(699)), ("Busy Here", "OK", "Global Failure"));
    }
}
