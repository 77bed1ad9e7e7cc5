//! What a merchant is told and how: bodies, signatures after Standard Webhooks 1.0.0, when to try again, and where no
//! webhook may go. Pure; `run/webhooks.rs` sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::ledger::row::Id;
use crate::money::Money;
use crate::payment::order;
use crate::payment::row::order::{OrderRow, WebhookAttemptRow, WebhookRow};
use crate::secret::Secret;

/// The prefix of a signing key as it is shown to the merchant, once.
pub const KEY_PREFIX: &str = "whsec_";
/// The length of a signing key, bytes.
pub const KEY_BYTES: usize = 32;
/// How long the key before signs too after a new one was made, microseconds: a day.
pub const OLD_KEY_MICROS: i64 = 86_400_000_000;
/// Within this a receiver must answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest address, bytes.
pub const URL_BYTES_MAX: usize = 500;

const fn seconds(seconds: i64) -> i64 {
    seconds * 1_000_000
}

/// Waiting times after the first, second… attempt, microseconds: just under three days in all. After the last it is failed,
/// and only a resend by hand begins anew.
pub const SCHEDULE: &[i64] = &[
    seconds(5),
    seconds(30),
    seconds(120),
    seconds(600),
    seconds(1_800),
    seconds(7_200),
    seconds(21_600),
    seconds(43_200),
    seconds(86_400),
    seconds(97_200),
];

/// Where a webhook stands. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum State {
    /// Waits for its next attempt.
    Waiting = 0,
    /// An attempt is under way.
    Sending = 1,
    /// The receiver took it.
    Delivered = 2,
    /// All attempts of the schedule failed.
    Failed = 3,
}

impl State {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Its name for staff.
    #[must_use]
    pub const fn name_of(number: i16) -> &'static str {
        match number {
            0 => "waiting",
            1 => "sending",
            2 => "delivered",
            3 => "failed",
            _ => "unknown",
        }
    }
}

/// Why an address cannot be a webhook's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadUrl {
    /// Not a URL, or too long.
    #[error("expected an address such as https://shop.example/hook of at most {URL_BYTES_MAX} bytes")]
    Form,
    /// Not https.
    #[error("expected https")]
    Scheme,
    /// It has a name and password in it, which would be shown and logged.
    #[error("an address must not have a user or password in it")]
    User,
    /// It leads into our own or a private network.
    #[error("an address must not lead to a private, local or reserved network")]
    Private,
}

/// Checks an address. Names are judged when they are resolved, at each attempt. With `private_allowed`, for tests and
/// trials, http and any network will do.
///
/// # Errors
/// [`BadUrl`].
pub fn check_url(text: &str, private_allowed: bool) -> Result<Url, BadUrl> {
    if text.len() > URL_BYTES_MAX {
        return Err(BadUrl::Form);
    }
    let url = Url::parse(text).map_err(|_| BadUrl::Form)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadUrl::Form)?;
    if url.scheme() != "https" && !(private_allowed && url.scheme() == "http") {
        return Err(BadUrl::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadUrl::User);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if !private_allowed && bare.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
        return Err(BadUrl::Private);
    }
    Ok(url)
}

/// Whether an address is one of the open network: not loopback, link-local, private, shared, documentation, multicast or
/// reserved, and no IPv6 form that stands for such an IPv4 one.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => public_v6(v6),
    }
}

fn public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn public_v6(v6: Ipv6Addr) -> bool {
    let [first, second, third, ..] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        public_v4(Ipv4Addr::new(a, b, c, d))
    };
    let [.., seventh, eighth] = v6.segments();
    match first {
        // ::/96, IPv4-mapped and the rest of the reserved start.
        0 => v6.to_ipv4_mapped().is_some_and(public_v4),
        // NAT64: what it stands for.
        0x64 => second == 0xff9b && third == 0 && embedded(seventh, eighth),
        // 6to4: what it stands for.
        0x2002 => embedded(second, third),
        // Teredo, benchmarking, documentation.
        0x2001 => second != 0 && second != 2 && second != 0x0db8,
        // Only 2000::/3 is given out.
        _ => first & 0xe000 == 0x2000,
    }
}

/// The header `webhook-signature`: one signature for each key, the newest first, apart by a space.
#[must_use]
pub fn signatures(keys: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let signed = |key: &Secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    };
    keys.iter().filter_map(signed).collect::<Vec<_>>().join(" ")
}

/// A signing key as the merchant is given it.
#[must_use]
pub fn shown(key: &Secret) -> String {
    format!("{KEY_PREFIX}{}", BASE64.encode(key.expose()))
}

/// What a merchant is told of an order, with the amounts as decimal texts.
#[must_use]
pub fn body(kind: &str, order: &OrderRow, at: i64) -> String {
    serde_json::json!({
        "type": kind,
        "timestamp": Timestamp(at).to_rfc3339(),
        "data": data(order),
    })
    .to_string()
}

/// An order as its merchant sees it, in webhooks and in the API.
#[must_use]
pub fn data(order: &OrderRow) -> serde_json::Value {
    let money = |minor: i64| Money::new(minor, order.currency).amount_text();
    let time = |at: Option<i64>| at.map(|at| Timestamp(at).to_rfc3339());
    serde_json::json!({
        "id": order.id,
        "number": order.number,
        "state": order::State::from_number(order.state).map(order::State::name),
        "customer": order.customer.as_str(),
        "amount": money(order.amount_minor),
        "currency": order.currency.code(),
        "description": order.description,
        "frozen": order.frozen,
        "freeze_seconds": order.freeze_micros.div_euclid(1_000_000),
        "on_timeout": order::OnTimeout::from_number(order.on_timeout).map(order::OnTimeout::name),
        "amount_frozen": money(order.frozen_minor),
        "amount_released": money(order.released_minor),
        "fee": money(order.fee_minor),
        "amount_returned": money(order.returned_minor),
        "amount_refunded": money(order.refunded_minor),
        "payment": order.payment,
        "reason": order.reason,
        "created_at": time(Some(order.created_at)),
        "expires_at": time(Some(order.expires_at)),
        "paid_at": time(order.paid_at),
        "shipped_at": time(order.shipped_at),
        "disputed_at": time(order.disputed_at),
        "due_at": time(order.due_at),
        "updated_at": time(Some(order.updated_at)),
    })
}

/// The row that tells of `order` as it now is. Its id follows from the order and its version, so that it is told once.
#[must_use]
pub fn row(kind: &str, order: &OrderRow, told: bool) -> WebhookRow {
    let at = order.updated_at;
    WebhookRow {
        id: order.id.derived(&format!("webhook {}", order.version)),
        merchant: order.merchant,
        order_id: order.id,
        kind: kind.to_owned(),
        body: body(kind, order, at),
        // A merchant without an address can have one later, and then asks for what it missed.
        state: if told { State::Waiting.number() } else { State::Failed.number() },
        attempts: 0,
        tries: 0,
        due_at: told.then_some(at),
        created_at: at,
        version: 1,
    }
}

/// The row that tells of something about `order` that is not its own state: `more` stands in its data under `name`.
#[must_use]
pub fn about(
    kind: &str,
    order: &OrderRow,
    name: &str,
    more: &serde_json::Value,
    id: Id,
    at: i64,
    told: bool,
) -> WebhookRow {
    let mut data = data(order);
    if let Some(data) = data.as_object_mut() {
        data.insert(name.to_owned(), more.clone());
    }
    let body = serde_json::json!({ "type": kind, "timestamp": Timestamp(at).to_rfc3339(), "data": data });
    WebhookRow {
        id,
        body: body.to_string(),
        due_at: told.then_some(at),
        created_at: at,
        ..row(kind, order, told)
    }
}

/// An attempt begins: the row says so until `ANSWER_WITHIN` has passed twice, in case this process ends. `None` when none is
/// due.
#[must_use]
pub fn begin(row: &WebhookRow, now: i64) -> Option<(WebhookRow, WebhookAttemptRow)> {
    if row.due_at.is_none_or(|due| due > now) {
        return None;
    }
    let number = row.attempts.checked_add(1)?;
    let patience = i64::try_from(ANSWER_WITHIN.as_micros()).unwrap_or(i64::MAX).saturating_mul(2);
    let next = WebhookRow {
        state: State::Sending.number(),
        attempts: number,
        tries: row.tries.saturating_add(1),
        due_at: Some(now.saturating_add(patience)),
        version: row.version.saturating_add(1),
        ..row.clone()
    };
    let attempt = WebhookAttemptRow {
        webhook: row.id,
        number,
        at: now,
        status: None,
        outcome: "sending".to_owned(),
        took_ms: None,
    };
    Some((next, attempt))
}

/// An attempt ended. After a failure the schedule says when the next is due, if any is.
#[must_use]
pub fn end(row: &WebhookRow, now: i64, delivered: bool) -> WebhookRow {
    let wait = usize::try_from(row.tries.saturating_sub(1)).ok().and_then(|tried| SCHEDULE.get(tried));
    let (state, due_at) = match wait {
        _ if delivered => (State::Delivered, None),
        Some(wait) => (State::Waiting, Some(now.saturating_add(*wait))),
        None => (State::Failed, None),
    };
    WebhookRow { state: state.number(), due_at, version: row.version.saturating_add(1), ..row.clone() }
}

/// Sends it again, now, and by the whole schedule.
#[must_use]
pub fn again(row: &WebhookRow, now: i64) -> WebhookRow {
    WebhookRow {
        state: State::Waiting.number(),
        tries: 0,
        due_at: Some(now),
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

/// A fresh signing key or API secret out of random bytes.
#[must_use]
pub fn key_of(bytes: [u8; KEY_BYTES]) -> Secret {
    Secret::new(bytes.to_vec())
}

/// The id of a webhook as the header has it.
#[must_use]
pub fn header_id(id: Id) -> String {
    format!("msg_{}", id.text().replace('-', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> WebhookRow {
        WebhookRow {
            id: Id([1; 16]),
            merchant: Id([2; 16]),
            order_id: Id([3; 16]),
            kind: "order.paid".to_owned(),
            body: "{}".to_owned(),
            state: 0,
            attempts: 0,
            tries: 0,
            due_at: Some(100),
            created_at: 100,
            version: 1,
        }
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of Standard Webhooks 1.0.0 and of the tests of its libraries.
        let key = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let sign = |keys: &[Secret]| {
            signatures(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#)
        };
        let one = sign(&[Secret::new(key.clone())]);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = sign(&[Secret::from("new"), Secret::new(key.clone())]);
        assert!(two.starts_with("v1,") && two.ends_with(&format!(" {one}")), "{two}");
        assert_eq!(shown(&Secret::new(key)), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn the_schedule_ends_within_three_days() {
        let all: i64 = SCHEDULE.iter().sum();
        assert!(all <= 3 * 86_400_000_000 && all > 2 * 86_400_000_000);
        let (mut row, mut now) = (waiting(), 100);
        for wait in SCHEDULE {
            let (sending, attempt) = begin(&row, now).unwrap();
            assert_eq!((sending.state, attempt.number), (State::Sending.number(), sending.attempts));
            assert_eq!(begin(&sending, now), None, "one at a time");
            row = end(&sending, now, false);
            assert_eq!(row.due_at, Some(now + wait));
            assert_eq!(begin(&row, now), None);
            now += wait;
        }
        let (sending, _) = begin(&row, now).unwrap();
        let failed = end(&sending, now, false);
        assert_eq!((failed.state, failed.due_at), (State::Failed.number(), None));
        assert_eq!(begin(&failed, i64::MAX), None);
        let anew = again(&failed, now);
        let (sending, attempt) = begin(&anew, now).unwrap();
        assert_eq!(attempt.number, 12, "the attempts are numbered on");
        let done = end(&sending, now, true);
        assert_eq!((done.state, done.due_at, done.id), (State::Delivered.number(), None, waiting().id));
    }

    #[test]
    fn an_attempt_that_nobody_ended_is_taken_up() {
        let (sending, _) = begin(&waiting(), 100).unwrap();
        let due = sending.due_at.unwrap();
        assert_eq!(begin(&sending, due - 1), None);
        assert_eq!(begin(&sending, due).unwrap().1.number, 2);
    }

    #[test]
    fn webhooks_go_to_the_open_network_only() {
        for good in
            ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::1.1.1.1", "::ffff:1.1.1.1"]
        {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
            "::7f00:1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn addresses_are_judged_before_they_are_kept() {
        assert!(check_url("https://shop.example/hook?x=1", false).is_ok());
        for (bad, why) in [
            ("", BadUrl::Form),
            ("shop.example", BadUrl::Form),
            ("http://shop.example/", BadUrl::Scheme),
            ("ftp://shop.example/", BadUrl::Scheme),
            ("https://a:b@shop.example/", BadUrl::User),
            ("https://127.0.0.1/", BadUrl::Private),
            ("https://127.1/", BadUrl::Private),
            ("https://0x7f000001/", BadUrl::Private),
            ("https://[::1]/", BadUrl::Private),
            ("https://[::ffff:10.0.0.1]:8443/", BadUrl::Private),
        ] {
            assert_eq!(check_url(bad, false), Err(why), "{bad}");
        }
        assert_eq!(check_url(&format!("https://x.example/{}", "a".repeat(500)), false), Err(BadUrl::Form));
        assert!(check_url("http://127.0.0.1:8080/hook", true).is_ok());
        assert_eq!(check_url("ftp://127.0.0.1/", true), Err(BadUrl::Scheme));
    }
}
