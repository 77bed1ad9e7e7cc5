//! Header names and the structured headers the core reads: name-addr, CSeq, Via (RFC 3261 §20), compact names
//! included.
//!
//! Works on unfolded text of one header. It never echoes: answers copy the bytes of the request instead.

use super::grammar;
use super::grammar::Param;
use super::uri;
use super::uri::Uri;
use std::net::IpAddr;

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $long:literal $(| $short:literal)?,)*) => {
        /// The headers that are read here; every other name is [`Name::Other`].
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Name {
            $($(#[$doc])* #[doc = concat!("`", $long, "`")] $variant,)*
            /// A header that is not read.
            Other,
        }

        impl Name {
            /// The name behind `text`, long or compact, any case.
            #[must_use]
            pub fn of(text: &str) -> Self {
                match text.len() {
                    $($(1 if text.eq_ignore_ascii_case($short) => Self::$variant,)?)*
                    $(n if n == $long.len() && text.eq_ignore_ascii_case($long) => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

names! {
    Via = "Via" | "v",
    From = "From" | "f",
    To = "To" | "t",
    CallId = "Call-ID" | "i",
    CSeq = "CSeq",
    MaxForwards = "Max-Forwards",
    Contact = "Contact" | "m",
    ContentLength = "Content-Length" | "l",
    ContentType = "Content-Type" | "c",
    ContentEncoding = "Content-Encoding" | "e",
    ContentDisposition = "Content-Disposition",
    Route = "Route",
    RecordRoute = "Record-Route",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported" | "k",
    Accept = "Accept",
    Allow = "Allow",
    Date = "Date",
    PAssertedIdentity = "P-Asserted-Identity",
    Privacy = "Privacy",
    SessionExpires = "Session-Expires" | "x",
    MinSe = "Min-SE",
    RetryAfter = "Retry-After",
}

/// Why a header was not understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Quotes or brackets are not closed, or text stands where none may.
    #[error("malformed name-addr")]
    NameAddr,
    /// The URI inside is wrong.
    #[error(transparent)]
    Uri(#[from] uri::Fault),
    /// A parameter is empty or malformed.
    #[error("malformed parameter")]
    Param,
    /// CSeq is not a number below 2^31 and a method.
    #[error("malformed CSeq")]
    CSeq,
    /// The protocol or sent-by of a Via is wrong.
    #[error("malformed Via")]
    Via,
}

/// `"display" <uri>;params` as in From, To, Contact, Route and P-Asserted-Identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameAddr {
    /// Display name, unquoted; `None` when absent.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Parameters of the header, not of the URI.
    pub params: Vec<Param>,
}

impl NameAddr {
    /// Reads one name-addr or addr-spec that fills `text`.
    ///
    /// # Errors
    /// A [`Fault`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = grammar::trim(text);
        let Some(open) = open_bracket(text)? else {
            return Self::bare(text);
        };
        let display = display(text.get(..open).unwrap_or_default())?;
        let rest = text.get(open + 1..).ok_or(Fault::NameAddr)?;
        let (inside, params) = rest.split_once('>').ok_or(Fault::NameAddr)?;
        Ok(Self { display, uri: Uri::parse(inside)?, params: grammar::params(params).ok_or(Fault::Param)? })
    }

    /// RFC 3261 §20: without brackets every `;` starts a header parameter, and `,` or `?` may not appear.
    fn bare(text: &str) -> Result<Self, Fault> {
        // The user part may itself hold ';' only inside brackets, so the first one after the host ends the
        // URI.
        let end = text.find(';').unwrap_or(text.len());
        let (uri, params) = text.split_at(end);
        if uri.contains(['?', ',']) {
            return Err(Fault::NameAddr);
        }
        let params = grammar::params(params).ok_or(Fault::Param)?;
        Ok(Self { display: None, uri: Uri::parse(grammar::trim(uri))?, params })
    }

    /// The value of a header parameter: outer `None` when absent, inner `None` when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        grammar::find(&self.params, name)
    }

    /// The tag of From or To.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").flatten()
    }
}

/// Where `<` stands outside the quoted display name.
fn open_bracket(text: &str) -> Result<Option<usize>, Fault> {
    let mut quoted = false;
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
        } else {
            match c {
                '"' => quoted = true,
                '<' => return Ok(Some(at)),
                _ => {}
            }
        }
    }
    if quoted { Err(Fault::NameAddr) } else { Ok(None) }
}

fn display(text: &str) -> Result<Option<String>, Fault> {
    let text = grammar::trim(text);
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with('"') {
        return grammar::unquote(text).map(Some).ok_or(Fault::NameAddr);
    }
    // Tokens and spaces; bytes above ASCII are not allowed unquoted, but many switches send them.
    let legal =
        |c: char| !c.is_ascii() || grammar::is_lws(c) || u8::try_from(c).is_ok_and(grammar::is_token_byte);
    if text.chars().all(legal) { Ok(Some(text.to_owned())) } else { Err(Fault::NameAddr) }
}

/// `CSeq`: the number and the method as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// Case counts.
    pub method: String,
}

impl CSeq {
    /// Reads `number LWS method`.
    ///
    /// # Errors
    /// [`Fault::CSeq`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (number, method) = grammar::trim(text).split_once(grammar::is_lws).ok_or(Fault::CSeq)?;
        let method = grammar::trim(method);
        if !number.bytes().all(|b| b.is_ascii_digit()) || !grammar::is_token(method) {
            return Err(Fault::CSeq);
        }
        let number: u32 = number.parse().map_err(|_| Fault::CSeq)?;
        if number >= 1 << 31 { Err(Fault::CSeq) } else { Ok(Self { number, method: method.to_owned() }) }
    }
}

/// One hop of a Via header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` or whatever was written.
    pub transport: String,
    /// Host of sent-by as written.
    pub host: String,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// Parameters in their order.
    pub params: Vec<Param>,
}

impl Via {
    /// Reads one hop, with the white space that RFC 3261 §25.1 allows around each `/`, `:`, `;` and `=`.
    ///
    /// # Errors
    /// [`Fault::Via`] or [`Fault::Param`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = grammar::trim(text);
        let semicolon = text.find(';').unwrap_or(text.len());
        let (head, params) = text.split_at(semicolon);
        let mut parts = head.splitn(3, '/').map(grammar::trim);
        let (Some(protocol), Some(version), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Fault::Via);
        };
        if !protocol.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err(Fault::Via);
        }
        let (transport, sent_by) = rest.split_once(grammar::is_lws).ok_or(Fault::Via)?;
        if !grammar::is_token(transport) {
            return Err(Fault::Via);
        }
        let sent_by: String = sent_by.chars().filter(|c| !grammar::is_lws(*c)).collect();
        let (length, port) = uri::host_port(&sent_by).map_err(|_| Fault::Via)?;
        let host = sent_by.get(..length).ok_or(Fault::Via)?.to_owned();
        Ok(Self { transport: transport.to_owned(), host, port, params: via_params(params)? })
    }

    /// The branch, if there is one with content after the magic cookie or a plain one of RFC 2543.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        grammar::find(&self.params, "branch").flatten()
    }

    /// The branch if it is unique by RFC 3261: cookie and something after it.
    #[must_use]
    pub fn unique_branch(&self) -> Option<&str> {
        self.branch().filter(|b| b.len() > BRANCH_COOKIE.len() && b.starts_with(BRANCH_COOKIE))
    }

    /// RFC 3581: the peer asks for answers to the port that it sent from.
    #[must_use]
    pub fn rport(&self) -> bool {
        grammar::find(&self.params, "rport").is_some()
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        uri::ip(&self.host)
    }

    /// `received`, as the next hop told it.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        grammar::find(&self.params, "received").flatten().and_then(uri::ip)
    }
}

/// RFC 3261 §8.1.1.7: how every branch of this RFC starts.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// Via parameters; `received` may hold an IPv6 address, which is no token.
fn via_params(text: &str) -> Result<Vec<Param>, Fault> {
    grammar::params(text).ok_or(Fault::Param)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_long_compact_and_any_case() {
        assert_eq!(Name::of("VIA"), Name::Via);
        assert_eq!(Name::of("v"), Name::Via);
        assert_eq!(Name::of("L"), Name::ContentLength);
        assert_eq!(Name::of("call-id"), Name::CallId);
        assert_eq!(Name::of("C%6Fntact"), Name::Other);
        assert_eq!(Name::of(""), Name::Other);
    }

    #[test]
    fn name_addrs_of_every_form() {
        let check = |text: &str, display: Option<&str>, uri: &str, tag: Option<&str>| {
            let read = NameAddr::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read.display.as_deref(), display, "{text}");
            assert_eq!(read.uri.as_str(), uri, "{text}");
            assert_eq!(read.tag(), tag, "{text}");
        };
        check("sip:a@b;tag=1", None, "sip:a@b", Some("1"));
        check(
            "caller<sip:caller@example.com>;tag=323",
            Some("caller"),
            "sip:caller@example.com",
            Some("323"),
        );
        check(r#""J Rosenberg \\\"" <sip:j@e> ; tag = 98"#, Some(r#"J Rosenberg \""#), "sip:j@e", Some("98"));
        check("<sip:a@b;lr>;x", None, "sip:a@b;lr", None);
        check("A B C <tel:+256700000001>", Some("A B C"), "tel:+256700000001", None);
        check("\"Müller\" <sip:a@b>", Some("Müller"), "sip:a@b", None);
        check("isbn:2983792873", None, "isbn:2983792873", None);
        check(r#""Watson, <T>" <sip:t@w>"#, Some("Watson, <T>"), "sip:t@w", None);
    }

    #[test]
    fn name_addrs_that_are_wrong() {
        for text in [
            r#""Mr. J. User <sip:j.user@example.com>"#,
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "\"W\" < sip:t.watson@example.org >",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "<sip:a@b",
            "alan@jasomi.com",
            "",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn via_hops_keep_every_parameter() {
        let via = Via::parse("SIP  /   2.0 /UDP     192.0.2.2;branch=390skdjuw").unwrap();
        assert_eq!(
            (via.transport.as_str(), via.host.as_str(), via.branch()),
            ("UDP", "192.0.2.2", Some("390skdjuw"))
        );
        assert_eq!(via.unique_branch(), None);
        let spaced = Via::parse("SIP/2.0/UDP host ; branch = z9hG4bKx ; rport").unwrap();
        assert_eq!((spaced.unique_branch(), spaced.rport()), (Some("z9hG4bKx"), true));
        let six = Via::parse("SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK1;received=2001:db8::9").unwrap();
        assert_eq!((six.host.as_str(), six.port), ("[2001:db8::9]", Some(5070)));
        assert_eq!(six.received(), Some("2001:db8::9".parse().unwrap()));
        for text in
            ["SIP/2.0/UDP", "SIP/2.0 h", "SIP/3.0/UDP h", "SIP/2.0/UDP 192.0.2.15;;,;,,", "SIP/2.0/UDP h:x"]
        {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cseq_is_bounded() {
        assert_eq!(CSeq::parse("0009   INVITE"), Ok(CSeq { number: 9, method: "INVITE".into() }));
        assert_eq!(CSeq::parse("2147483647 BYE").map(|c| c.number), Ok(2_147_483_647));
        for text in
            ["2147483648 BYE", "36893488147419103232 REGISTER", "INVITE", "1", "-1 BYE", "+1 BYE", "1 B,E"]
        {
            assert_eq!(CSeq::parse(text), Err(Fault::CSeq), "{text}");
        }
    }
}
