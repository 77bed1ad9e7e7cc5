//! Who may send to a gateway's address: a shared secret, a signature over the request, or the address that it comes from.
//! Every check of a route must hold; a route without one is not made. Secrets and signatures are compared in constant time.
//!
//! The signature of our own is over `timestamp LF nonce LF method LF target LF body` with HMAC-SHA256, in lower-case
//! hexadecimal; the timestamp is in seconds, the nonce anything that makes two equal requests differ, the target the path
//! with its query. What was signed once is taken once: signatures are remembered as long as their timestamp is good, and a
//! timestamp from before this process began is not, since what was taken before is not known any more.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::http::form::Fields;
use crate::secret::Secret;

/// The header with the seconds since 1970 at which a request was signed.
pub const TIMESTAMP_HEADER: &str = "keytone-timestamp";
/// The header with what makes two equal requests differ; need not be there.
pub const NONCE_HEADER: &str = "keytone-nonce";
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "keytone-signature";
/// The header with Twilio's signature.
pub const TWILIO_HEADER: &str = "x-twilio-signature";
/// How far a timestamp may lie from now.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// Signatures that are remembered for each route; when all places are taken, further requests are put off.
pub const SIGNATURES_MAX: usize = 262_144;
/// The longest nonce, bytes.
pub const NONCE_BYTES_MAX: usize = 128;

/// Whether an address may send.
pub type Allowed = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Where a shared secret stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In this header, whole.
    Header(String),
    /// In this parameter of the query: for gateways that can do no better. Proxies log queries.
    Query(String),
}

/// One condition.
#[derive(Clone)]
pub enum Check {
    /// The secret stands where it must.
    Secret(Place, Secret),
    /// The request is signed with this key, as the head of this file says.
    Signature(Secret),
    /// The request is signed as Twilio does it: HMAC-SHA1 with the account's token over the URL and the sorted fields.
    Twilio {
        /// The account's auth token.
        token: Secret,
        /// What stands before the path in the URL that Twilio was given, such as `https://pay.example.com`.
        public_url: String,
    },
    /// The address of the peer may send. Behind a proxy that is the proxy's.
    Address(Allowed),
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(place, _) => f.debug_tuple("Secret").field(place).finish(),
            Self::Signature(_) => f.write_str("Signature"),
            Self::Twilio { public_url, .. } => f.debug_tuple("Twilio").field(public_url).finish(),
            Self::Address(_) => f.write_str("Address"),
        }
    }
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// `GET` or `POST`.
    pub method: &'r str,
    /// The path with its query, as it was sent.
    pub target: &'r str,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// The fields of its query.
    pub query: &'r Fields,
    /// Its body.
    pub body: &'r [u8],
    /// Who sent it.
    pub peer: IpAddr,
    /// When it came.
    pub now: Timestamp,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// No secret, or another.
    #[error("the secret is missing or wrong")]
    Secret,
    /// No signature, or another.
    #[error("the signature is missing or wrong")]
    Signature,
    /// Too old, too new, or from before our start.
    #[error("the timestamp is not within five minutes, or from before this daemon began")]
    Timestamp,
    /// It was taken before.
    #[error("this signature was used before")]
    Replay,
    /// Not from there.
    #[error("this address may not send here")]
    Address,
    /// All places for signatures are taken.
    #[error("too many signed requests")]
    Busy,
}

/// A route needs at least one check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a secret, a signature or a list of addresses")]
pub struct Open;

/// The checks of a route.
#[derive(Debug)]
pub struct Guard {
    checks: Vec<Check>,
    /// The first timestamp that is good, in seconds.
    since: i64,
    /// Timestamps and tags of what was taken.
    seen: Mutex<BTreeSet<(i64, Vec<u8>)>>,
}

impl Guard {
    /// A guard that asks for all of `checks`, from `now` on.
    ///
    /// # Errors
    /// [`Open`] when there is none.
    pub fn new(checks: Vec<Check>, now: Timestamp) -> Result<Self, Open> {
        if checks.is_empty() {
            return Err(Open);
        }
        Ok(Self { checks, since: now.0.div_euclid(1_000_000), seen: Mutex::default() })
    }

    /// Lets a request through, or not.
    ///
    /// # Errors
    /// [`Refused`] by the first check that does not hold.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Refused> {
        self.checks.iter().try_for_each(|check| match check {
            Check::Secret(place, secret) => {
                let given = match place {
                    Place::Header(name) => request.headers.get(name).map(axum::http::HeaderValue::as_bytes),
                    Place::Query(name) => request.query.bytes(name).ok().flatten(),
                };
                let same = given.is_some_and(|given| secret.expose().ct_eq(given).into());
                same.then_some(()).ok_or(Refused::Secret)
            }
            Check::Signature(secret) => self.signed(secret, request),
            Check::Twilio { token, public_url } => {
                let given = header(request, TWILIO_HEADER).ok_or(Refused::Signature)?;
                let url = format!("{public_url}{}", request.target);
                let ours = twilio(token, &url, request.method, request.body).ok_or(Refused::Signature)?;
                let same: bool = ours.as_bytes().ct_eq(given.as_bytes()).into();
                same.then_some(()).ok_or(Refused::Signature)
            }
            Check::Address(allowed) => allowed(request.peer).then_some(()).ok_or(Refused::Address),
        })
    }

    fn signed(&self, secret: &Secret, request: &Request<'_>) -> Result<(), Refused> {
        let given = header(request, SIGNATURE_HEADER).ok_or(Refused::Signature)?;
        let timestamp = header(request, TIMESTAMP_HEADER).ok_or(Refused::Signature)?;
        let nonce = header(request, NONCE_HEADER).unwrap_or_default();
        let at: i64 = timestamp.parse().map_err(|_| Refused::Signature)?;
        if nonce.len() > NONCE_BYTES_MAX {
            return Err(Refused::Signature);
        }
        let tag = sign(secret, timestamp, nonce, request.method, request.target, request.body);
        let same: bool = hex(&tag).as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()).into();
        if !same {
            return Err(Refused::Signature);
        }
        let now = request.now.0.div_euclid(1_000_000);
        if at.abs_diff(now) > TOLERANCE.as_secs() || at < self.since {
            return Err(Refused::Timestamp);
        }
        self.remember(at, tag, now)
    }

    /// Takes a good signature once.
    fn remember(&self, at: i64, tag: Vec<u8>, now: i64) -> Result<(), Refused> {
        let tolerance = i64::try_from(TOLERANCE.as_secs()).unwrap_or(i64::MAX);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.first().is_some_and(|(at, _)| *at < now - tolerance) {
            seen.pop_first();
        }
        if seen.contains(&(at, tag.clone())) {
            return Err(Refused::Replay);
        }
        if seen.len() >= SIGNATURES_MAX {
            return Err(Refused::Busy);
        }
        seen.insert((at, tag));
        Ok(())
    }
}

fn header<'r>(request: &Request<'r>, name: &str) -> Option<&'r str> {
    request.headers.get(name)?.to_str().ok().map(str::trim)
}

/// The tag of a request under `secret`, as the head of this file says.
#[must_use]
pub fn sign(
    secret: &Secret,
    timestamp: &str,
    nonce: &str,
    method: &str,
    target: &str,
    body: &[u8],
) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let mut context = hmac::Context::with_key(&key);
    for part in [timestamp, nonce, method, target] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    context.update(body);
    context.sign().as_ref().to_vec()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Twilio's signature: base64 of HMAC-SHA1 over the URL and, for a POST, each field's name and value, sorted by name; of
/// a field that is there more than once, each different value in order. Nothing for a form that cannot be read.
#[must_use]
pub fn twilio(token: &Secret, url: &str, method: &str, body: &[u8]) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose());
    let mut context = hmac::Context::with_key(&key);
    context.update(url.as_bytes());
    if method == "POST" {
        let fields = Fields::parse(body).ok()?;
        let sorted: BTreeSet<(&str, &[u8])> = fields.iter().collect();
        for (name, value) in sorted {
            context.update(name.as_bytes());
            context.update(value);
        }
    }
    Some(BASE64.encode(context.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const START: i64 = 1_800_000_000;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn guard(check: Check) -> Guard {
        Guard::new(vec![check], Timestamp(START * SECOND)).unwrap()
    }

    /// A request at `at` seconds after the start.
    fn ask(guard: &Guard, at: i64, target: &str, headers: &HeaderMap, body: &str) -> Result<(), Refused> {
        let query = Fields::parse(target.split_once('?').map_or("", |(_, q)| q).as_bytes()).unwrap();
        guard.check(&Request {
            method: "POST",
            target,
            headers,
            query: &query,
            body: body.as_bytes(),
            peer: "192.0.2.7".parse().unwrap(),
            now: Timestamp((START + at) * SECOND),
        })
    }

    fn stamped(at: i64, nonce: &str, target: &str, body: &str) -> HeaderMap {
        let at = (START + at).to_string();
        let tag = hex(&sign(&"key".into(), &at, nonce, "POST", target, body.as_bytes()));
        headers(&[("Keytone-Timestamp", &at), ("Keytone-Nonce", nonce), ("Keytone-Signature", &tag)])
    }

    #[test]
    fn a_route_without_a_check_is_not_made() {
        assert_eq!(Guard::new(vec![], Timestamp(0)).unwrap_err(), Open);
    }

    #[test]
    fn secrets_stand_in_a_header_or_in_the_query() {
        let by_header = guard(Check::Secret(Place::Header("x-api-key".to_owned()), "hush".into()));
        for (given, wanted) in [
            (headers(&[("X-Api-Key", "hush")]), Ok(())),
            (headers(&[("X-Api-Key", "hush!")]), Err(Refused::Secret)),
            (headers(&[("X-Api-Key", "hus")]), Err(Refused::Secret)),
            (headers(&[("X-Api-Key", "")]), Err(Refused::Secret)),
            (headers(&[]), Err(Refused::Secret)),
        ] {
            assert_eq!(ask(&by_header, 0, "/ussd/at", &given, ""), wanted, "{given:?}");
        }
        let by_query = guard(Check::Secret(Place::Query("key".to_owned()), "hu sh".into()));
        assert_eq!(ask(&by_query, 0, "/ussd/at?key=hu+sh", &headers(&[]), ""), Ok(()));
        for target in ["/ussd/at", "/ussd/at?key=", "/ussd/at?key=hush", "/ussd/at?key=hu+sh&key=hu+sh"] {
            assert_eq!(ask(&by_query, 0, target, &headers(&[]), ""), Err(Refused::Secret), "{target}");
        }
        assert_eq!(format!("{by_query:?}").matches("hu").count(), 0);
    }

    #[test]
    fn what_was_signed_is_taken_once_and_in_time() {
        let guard = guard(Check::Signature("key".into()));
        let good = stamped(10, "a", "/ussd/x", "{}");
        assert_eq!(ask(&guard, 10, "/ussd/x", &good, "{}"), Ok(()));
        assert_eq!(ask(&guard, 310, "/ussd/x", &good, "{}"), Err(Refused::Replay));
        assert_eq!(ask(&guard, 311, "/ussd/x", &good, "{}"), Err(Refused::Timestamp));
        assert_eq!(ask(&guard, 10, "/ussd/x", &stamped(10, "b", "/ussd/x", "{}"), "{}"), Ok(()));
        // Early by five minutes is good, and is still remembered when it is five minutes old.
        let early = stamped(310, "", "/ussd/x", "{}");
        assert_eq!(ask(&guard, 10, "/ussd/x", &early, "{}"), Ok(()));
        assert_eq!(ask(&guard, 610, "/ussd/x", &early, "{}"), Err(Refused::Replay));
        assert_eq!(ask(&guard, 9, "/ussd/x", &stamped(310, "", "/ussd/x", ""), ""), Err(Refused::Timestamp));
        // From before the start: perhaps it was taken by the process before this one.
        assert_eq!(
            ask(&guard, 0, "/ussd/x", &stamped(-1, "", "/ussd/x", "{}"), "{}"),
            Err(Refused::Timestamp)
        );
    }

    #[test]
    fn a_signature_is_for_one_request() {
        let guard = guard(Check::Signature("key".into()));
        let good = stamped(0, "n", "/ussd/x?a=1", "{}");
        for (target, body) in [("/ussd/x?a=1", "{ }"), ("/ussd/x?a=2", "{}"), ("/ussd/y?a=1", "{}")] {
            assert_eq!(ask(&guard, 0, target, &good, body), Err(Refused::Signature), "{target} {body}");
        }
        for missing in ["keytone-timestamp", "keytone-signature", "keytone-nonce"] {
            let mut less = good.clone();
            less.remove(missing);
            assert_eq!(ask(&guard, 0, "/ussd/x?a=1", &less, "{}"), Err(Refused::Signature), "{missing}");
        }
        for (name, value) in
            [("keytone-timestamp", "now"), ("keytone-signature", "00"), ("keytone-timestamp", "1800000001")]
        {
            let mut other = good.clone();
            other.insert(name, value.parse().unwrap());
            assert_eq!(ask(&guard, 0, "/ussd/x?a=1", &other, "{}"), Err(Refused::Signature), "{name}");
        }
        // A forged signature takes no place and does not use the good one up.
        assert_eq!(ask(&guard, 0, "/ussd/x?a=1", &good, "{}"), Ok(()));
    }

    #[test]
    fn the_tag_is_that_of_openssl() {
        // printf '1800000000\nn1\nPOST\n/ussd/pay\n{"a":1}' | openssl dgst -sha256 -hmac key
        let tag = sign(&"key".into(), "1800000000", "n1", "POST", "/ussd/pay", br#"{"a":1}"#);
        assert_eq!(hex(&tag), "a1ed9c5d481fa77571815b33e60b5ec142bb76c12f2e0a904559cdba2b35150f");
        // RFC 4231 test case 2 is what ring computes; its own tests hold the rest.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = hmac::sign(&key, b"what do ya want for nothing?");
        assert_eq!(hex(tag.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn places_for_signatures_are_limited() {
        let guard = guard(Check::Signature("key".into()));
        for n in 0..SIGNATURES_MAX {
            guard.remember(START, n.to_be_bytes().to_vec(), START).unwrap();
        }
        assert_eq!(ask(&guard, 0, "/x", &stamped(0, "", "/x", ""), ""), Err(Refused::Busy));
        assert_eq!(
            ask(&guard, 301, "/x", &stamped(301, "", "/x", ""), ""),
            Ok(()),
            "the old ones are forgotten"
        );
        assert_eq!(guard.seen.lock().unwrap().len(), 1);
    }

    #[test]
    fn twilio_signs_as_its_documents_say() {
        // The example of Twilio's documentation and the tests of its libraries, with the token 12345.
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let form = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
        let repeated = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
        for (form, wanted) in
            [(form, "RSOYDt4T1cUTdK1PDd93/VVr8B8="), (repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU=")]
        {
            assert_eq!(twilio(&"12345".into(), url, "POST", form.as_bytes()).unwrap(), wanted);
        }
        let check = Check::Twilio { token: "12345".into(), public_url: "https://mycompany.com".to_owned() };
        let guard = guard(check);
        let signed = headers(&[("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")]);
        let target = "/myapp.php?foo=1&bar=2";
        assert_eq!(ask(&guard, 0, target, &signed, form), Ok(()));
        assert_eq!(ask(&guard, 0, "/myapp.php?foo=1", &signed, form), Err(Refused::Signature));
        assert_eq!(ask(&guard, 0, target, &signed, &form.replace("1234&", "1235&")), Err(Refused::Signature));
        assert_eq!(ask(&guard, 0, target, &headers(&[]), form), Err(Refused::Signature));
    }

    #[test]
    fn addresses_and_every_check_must_hold() {
        let only: Allowed = Arc::new(|address| address == IpAddr::from([192, 0, 2, 8]));
        assert_eq!(
            ask(&guard(Check::Address(only.clone())), 0, "/x", &headers(&[]), ""),
            Err(Refused::Address)
        );
        let here: Allowed = Arc::new(|address| address == IpAddr::from([192, 0, 2, 7]));
        assert_eq!(ask(&guard(Check::Address(here.clone())), 0, "/x", &headers(&[]), ""), Ok(()));
        let secret = Check::Secret(Place::Query("key".to_owned()), "hush".into());
        let both = Guard::new(vec![Check::Address(here), secret.clone()], Timestamp(0)).unwrap();
        assert_eq!(ask(&both, 0, "/x", &headers(&[]), ""), Err(Refused::Secret));
        assert_eq!(ask(&both, 0, "/x?key=hush", &headers(&[]), ""), Ok(()));
        let neither = Guard::new(vec![secret, Check::Address(only)], Timestamp(0)).unwrap();
        assert_eq!(ask(&neither, 0, "/x?key=hush", &headers(&[]), ""), Err(Refused::Address));
    }
}
