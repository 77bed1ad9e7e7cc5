//! SIP, SIPS and TEL URIs (RFC 3261 §19.1, RFC 3966), and any other scheme kept whole.
//!
//! rsip's own `Uri` cuts users at a dot and takes `tel:` digits for a port, so it is never read. A parsed
//! [`Uri`] keeps its text byte for byte: a remote target is sent back exactly as the peer wrote it.

use super::grammar;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

/// What the URI names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other absolute URI: legal in From, To and Contact, refused as a request's target.
    Other,
}

/// A parsed URI; [`Uri::as_str`] is the text it came from.
#[derive(Clone, Eq, PartialEq)]
pub struct Uri {
    text: Box<str>,
    scheme: Scheme,
    user: Option<Range<usize>>,
    host: Range<usize>,
    port: Option<u16>,
    params: Range<usize>,
    headers: Range<usize>,
}

/// Why a URI was not understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No `scheme:` at the start.
    #[error("URI without a scheme")]
    Scheme,
    /// White space, brackets, quotes or control characters inside.
    #[error("URI with a character that must be escaped")]
    Character,
    /// Empty or malformed host or number.
    #[error("URI with a bad host")]
    Host,
    /// Port is not 1 to 65535.
    #[error("URI with a bad port")]
    Port,
}

impl Uri {
    /// Reads one URI that fills `text`.
    ///
    /// # Errors
    /// A [`Fault`] names the first part that is wrong.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (scheme, rest) = text.split_once(':').ok_or(Fault::Scheme)?;
        let starts = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !starts || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            return Err(Fault::Scheme);
        }
        if text.bytes().any(|b| b <= b' ' || b == 0x7f || matches!(b, b'<' | b'>' | b'"')) {
            return Err(Fault::Character);
        }
        let start = text.len() - rest.len();
        match scheme {
            s if s.eq_ignore_ascii_case("sip") => Self::sip(text, start, Scheme::Sip),
            s if s.eq_ignore_ascii_case("sips") => Self::sip(text, start, Scheme::Sips),
            s if s.eq_ignore_ascii_case("tel") => Self::tel(text, start),
            _ if rest.is_empty() => Err(Fault::Host),
            _ => Ok(Self::whole(text, start, Scheme::Other)),
        }
    }

    fn whole(text: &str, start: usize, scheme: Scheme) -> Self {
        let end = text.len();
        Self {
            text: text.into(),
            scheme,
            user: None,
            host: start..end,
            port: None,
            params: end..end,
            headers: end..end,
        }
    }

    fn sip(text: &str, start: usize, scheme: Scheme) -> Result<Self, Fault> {
        let rest = text.get(start..).ok_or(Fault::Host)?;
        // RFC 3261 §25.1: '@' is escaped everywhere but after the userinfo, which itself may hold ';' and
        // '?'.
        let at = rest.find('@');
        let user = match at {
            Some(0) => return Err(Fault::Host),
            Some(at) => {
                let userinfo = rest.get(..at).ok_or(Fault::Host)?;
                let length = userinfo.find(':').unwrap_or(at);
                Some(start..start + length)
            }
            None => None,
        };
        let hosts = start + at.map_or(0, |at| at + 1);
        let tail = text.get(hosts..).ok_or(Fault::Host)?;
        if tail.contains('@') {
            return Err(Fault::Character);
        }
        let question = tail.find('?').unwrap_or(tail.len());
        let semicolon = tail.find(';').filter(|at| *at < question).unwrap_or(question);
        let (host, port) = host_port(tail.get(..semicolon).ok_or(Fault::Host)?)?;
        let headers = (hosts + question + 1).min(text.len())..text.len();
        Ok(Self {
            text: text.into(),
            scheme,
            user,
            host: hosts..hosts + host,
            port,
            params: hosts + semicolon..hosts + question,
            headers,
        })
    }

    fn tel(text: &str, start: usize) -> Result<Self, Fault> {
        let rest = text.get(start..).ok_or(Fault::Host)?;
        let length = rest.find(';').unwrap_or(rest.len());
        let number = rest.get(..length).ok_or(Fault::Host)?;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let legal = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'-' | b'.' | b'(' | b')' | b'*' | b'#');
        if !digits.bytes().any(|b| b.is_ascii_hexdigit() || b == b'*' || b == b'#')
            || !digits.bytes().all(legal)
        {
            return Err(Fault::Host);
        }
        let end = text.len();
        Ok(Self {
            text: text.into(),
            scheme: Scheme::Tel,
            user: Some(start..start + length),
            host: end..end,
            port: None,
            params: start + length..end,
            headers: end..end,
        })
    }

    /// The text as it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind of URI this is.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user part with escapes resolved and without password; for `tel:` the number as written.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        self.user.clone().and_then(|range| self.text.get(range)).map(grammar::unescape)
    }

    /// The host as written (an IPv6 host keeps its brackets); empty for `tel:`.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text.get(self.host.clone()).unwrap_or_default()
    }

    /// The port, if one is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.host())
    }

    /// The value of a URI parameter: outer `None` when absent, inner `None` when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        let params = self.text.get(self.params.clone()).unwrap_or_default();
        params.split(';').filter(|p| !p.is_empty()).find_map(|p| {
            let (n, v) = p.split_once('=').map_or((p, None), |(n, v)| (n, Some(v)));
            n.eq_ignore_ascii_case(name).then_some(v)
        })
    }

    /// The `?name=value` part, empty when there is none.
    #[must_use]
    pub fn headers(&self) -> &str {
        self.text.get(self.headers.clone()).unwrap_or_default()
    }

    /// The user without telephone parameters (`;phone-context=`, `;npdi`, `;isub=`): what was dialled, or who
    /// calls.
    #[must_use]
    pub fn telephone(&self) -> Option<String> {
        let user = self.user()?;
        Some(user.split(';').next().unwrap_or_default().to_owned())
    }

    /// RFC 3966 `phone-context`, from a `tel:` URI or from inside a SIP user part.
    #[must_use]
    pub fn phone_context(&self) -> Option<String> {
        if self.scheme == Scheme::Tel {
            return self.param("phone-context").flatten().map(str::to_owned);
        }
        let user = self.user()?;
        user.split(';').skip(1).find_map(|p| {
            let (name, value) = p.split_once('=')?;
            name.eq_ignore_ascii_case("phone-context").then(|| value.to_owned())
        })
    }
}

impl fmt::Debug for Uri {
    /// The user part may be somebody's number, so it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({:?} {})", self.scheme, self.host())
    }
}

/// Reads `host[:port]`; answers the length of the host and the port.
pub(super) fn host_port(text: &str) -> Result<(usize, Option<u16>), Fault> {
    let host = if text.starts_with('[') {
        let close = text.find(']').ok_or(Fault::Host)?;
        let inside = text.get(1..close).ok_or(Fault::Host)?;
        let address = inside.split('%').next().unwrap_or_default();
        address.parse::<Ipv6Addr>().map_err(|_| Fault::Host)?;
        close + 1
    } else {
        let length = text.find(':').unwrap_or(text.len());
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let name = text.get(..length).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(Fault::Host);
        }
        length
    };
    match text.get(host..) {
        None | Some("") => Ok((host, None)),
        Some(rest) => {
            let digits = rest.strip_prefix(':').ok_or(Fault::Host)?;
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Fault::Port);
            }
            let port: u16 = digits.parse().map_err(|_| Fault::Port)?;
            if port == 0 { Err(Fault::Port) } else { Ok((host, Some(port))) }
        }
    }
}

/// `host` as an address; IPv6 with or without brackets.
pub(super) fn ip(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        let uri = Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(uri.user().as_deref(), user, "{text}");
        assert_eq!(uri.host(), host, "{text}");
        assert_eq!(uri.port(), port, "{text}");
        assert_eq!(uri.as_str(), text);
        uri
    }

    #[test]
    fn users_keep_dots_parameters_and_odd_signs() {
        check("sip:john.doe@example.com", Some("john.doe"), "example.com", None);
        check("sip:user;par=u.v@example.com", Some("user;par=u.v"), "example.com", None);
        check(
            "sip:user;par=u%40example.net@example.com",
            Some("user;par=u@example.net"),
            "example.com",
            None,
        );
        check("sip:a:secret@h:5080", Some("a"), "h", Some(5080));
        check(
            "sip:sips%3Auser%40example.com@example.net",
            Some("sips:user@example.com"),
            "example.net",
            None,
        );
        let odd = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*\
                   :&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
        check(odd, Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"), "example.com", None);
    }

    #[test]
    fn hosts_may_be_ipv6_and_headers_are_no_part_of_them() {
        let six = check("sip:100@[2001:db8::9]:5070;transport=udp", Some("100"), "[2001:db8::9]", Some(5070));
        assert_eq!(six.ip(), Some("2001:db8::9".parse().unwrap()));
        assert_eq!(six.param("Transport"), Some(Some("udp")));
        let headed = check("sip:b@example.com?Subject=x", Some("b"), "example.com", None);
        assert_eq!(headed.headers(), "Subject=x");
        let gruu = check("sip:a@h;gr=urn:uuid:f81d4fae", Some("a"), "h", None);
        assert_eq!(gruu.param("gr"), Some(Some("urn:uuid:f81d4fae")));
        check("sip:under_score.example.com.", None, "under_score.example.com.", None);
    }

    #[test]
    fn telephone_numbers_come_from_tel_and_from_sip_users() {
        let tel = check("tel:+256700000001", Some("+256700000001"), "", None);
        assert_eq!((tel.scheme(), tel.telephone().as_deref()), (Scheme::Tel, Some("+256700000001")));
        let local = check("tel:7042;phone-context=+256", Some("7042"), "", None);
        assert_eq!(local.phone_context().as_deref(), Some("+256"));
        let ported = check(
            "sip:+15550100;npdi;rn=+15550199@gw;user=phone",
            Some("+15550100;npdi;rn=+15550199"),
            "gw",
            None,
        );
        assert_eq!(ported.telephone().as_deref(), Some("+15550100"));
        let context = check("sip:5550100;phone-context=+1@gw", Some("5550100;phone-context=+1"), "gw", None);
        assert_eq!(context.phone_context().as_deref(), Some("+1"));
    }

    #[test]
    fn other_schemes_stay_whole_and_wrong_ones_are_named() {
        assert_eq!(Uri::parse("soap.beep://192.0.2.103:3002").map(|u| u.scheme()), Ok(Scheme::Other));
        assert_eq!(Uri::parse("isbn:2983792873").map(|u| u.scheme()), Ok(Scheme::Other));
        for (text, fault) in [
            ("alan@jasomi.com", Fault::Scheme),
            ("sip:user@", Fault::Host),
            ("sip:@host", Fault::Host),
            ("sip:", Fault::Host),
            ("sip:a@b@c", Fault::Character),
            ("sip:user@example.com; lr", Fault::Character),
            ("<sip:user@example.com>", Fault::Scheme),
            ("sip:u@h:0", Fault::Port),
            ("sip:u@h:99999", Fault::Port),
            ("sip:u@h:+1", Fault::Port),
            ("sip:u@[::1", Fault::Host),
            ("tel:", Fault::Host),
            ("tel:+", Fault::Host),
        ] {
            assert_eq!(Uri::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn debug_hides_the_user() {
        let uri = Uri::parse("sip:+256700000001@h").unwrap();
        assert!(!format!("{uri:?}").contains("700000001"));
    }
}
