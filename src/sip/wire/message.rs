//! A read message: start line, the headers every request needs in parsed form, and the rest as slices of the
//! datagram.
//!
//! Made by `parse`, read by transactions and dialogs. A message is parsed once; nothing here is written back.

use super::grammar;
use super::header::Name;
use super::header::NameAddr;
use super::header::Via;
use super::uri::Uri;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// A request's method. Case counts (RFC 3261 §7.1), so `invite` is [`Method::Other`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the variants are the methods' names")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Info,
    Update,
    Prack,
    Register,
    Subscribe,
    Notify,
    Refer,
    Message,
    Publish,
    /// A method that no RFC known here defines.
    Other(Box<str>),
}

impl Method {
    /// The method written as `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "OPTIONS" => Self::Options,
            "INFO" => Self::Info,
            "UPDATE" => Self::Update,
            "PRACK" => Self::Prack,
            "REGISTER" => Self::Register,
            "SUBSCRIBE" => Self::Subscribe,
            "NOTIFY" => Self::Notify,
            "REFER" => Self::Refer,
            "MESSAGE" => Self::Message,
            "PUBLISH" => Self::Publish,
            other => Self::Other(other.into()),
        }
    }

    /// As it is written on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Register => "REGISTER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The header lines in their order, as slices of the (unfolded) head.
#[derive(Clone, Default)]
pub struct Fields {
    pub(super) head: Bytes,
    pub(super) list: Vec<Field>,
}

impl Fields {
    /// The value bytes of every `name` header, in order, exactly as received but for unfolding.
    pub fn raw(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.list.iter().filter(move |f| f.name == name).filter_map(|f| self.head.get(f.start..f.end))
    }

    /// The values of every `name` header as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, name: Name) -> impl Iterator<Item = Cow<'_, str>> {
        self.raw(name).map(String::from_utf8_lossy)
    }

    /// The first `name` header.
    #[must_use]
    pub fn first(&self, name: Name) -> Option<Cow<'_, str>> {
        self.text(name).next()
    }

    /// How many `name` headers there are.
    #[must_use]
    pub fn count(&self, name: Name) -> usize {
        self.list.iter().filter(|f| f.name == name).count()
    }

    /// All elements of the `name` headers, comma lists taken apart (RFC 3261 §7.3.1). `None` if a quote stays
    /// open.
    #[must_use]
    pub fn elements(&self, name: Name) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for value in self.text(name) {
            let parts = grammar::split_outside(&value, ',')?;
            all.extend(parts.into_iter().map(grammar::trim).filter(|p| !p.is_empty()).map(str::to_owned));
        }
        Some(all)
    }

    /// Whether a comma list of tokens (Supported, Require, Allow) holds `token`.
    #[must_use]
    pub fn lists(&self, name: Name, token: &str) -> bool {
        self.text(name).any(|v| v.split(',').any(|t| grammar::trim(t).eq_ignore_ascii_case(token)))
    }

    /// All elements as name-addrs; those that cannot be read are left out.
    #[must_use]
    pub fn name_addrs(&self, name: Name) -> Vec<NameAddr> {
        self.elements(name).unwrap_or_default().iter().filter_map(|e| NameAddr::parse(e).ok()).collect()
    }
}

impl fmt::Debug for Fields {
    /// Headers hold phone numbers; only their count is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.list.len())
    }
}

/// A request whose mandatory headers are there, single and well formed.
#[derive(Clone)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Whom it is asked of.
    pub uri: Uri,
    /// The top Via.
    pub via: Via,
    /// Who asks.
    pub from: NameAddr,
    /// Who is meant; its tag names our side of a dialog.
    pub to: NameAddr,
    /// Call-ID as text.
    pub call_id: Box<str>,
    /// CSeq number; its method equals `method`.
    pub cseq: u32,
    /// First Contact, if there is one.
    pub contact: Option<NameAddr>,
    /// All headers.
    pub fields: Fields,
    /// The body, cut to Content-Length.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    /// Neither numbers nor bodies: an INFO body may be a key of a PIN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} cseq {})", self.method, self.cseq)
    }
}

/// A response that could be read.
#[derive(Clone)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The only Via: ours.
    pub via: Via,
    /// Our side of the dialog when we are the client.
    pub from: NameAddr,
    /// The other side; its tag makes the dialog.
    pub to: NameAddr,
    /// Call-ID as text.
    pub call_id: Box<str>,
    /// CSeq number.
    pub cseq: u32,
    /// CSeq method.
    pub method: Method,
    /// First Contact, if there is one.
    pub contact: Option<NameAddr>,
    /// All headers.
    pub fields: Fields,
    /// The body, cut to Content-Length.
    pub body: Bytes,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} to {} cseq {})", self.status, self.method, self.cseq)
    }
}

/// A request that is answered with an error before anything else looks at it.
#[derive(Clone, Debug)]
pub struct Refused {
    /// 400, 413, 414, 416, 505 or 513.
    pub status: u16,
    /// Reason phrase that says what is wrong.
    pub reason: &'static str,
    /// Headers to echo.
    pub fields: Fields,
    /// The top Via if it could be read.
    pub via: Option<Via>,
}

/// What one datagram is.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// Only line ends: a keep-alive, not answered over UDP (RFC 5626 §3.5.1 answers over streams).
    KeepAlive,
    /// A good request.
    Request(Box<Request>),
    /// A bad request that can be answered.
    Refused(Box<Refused>),
    /// A good response.
    Response(Box<Response>),
    /// Dropped.
    Discard(super::Error),
}
