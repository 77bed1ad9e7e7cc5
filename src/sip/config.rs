//! What an endpoint is told once: its names, its timers, its bounds, and who may call.
//!
//! Plain values, checked by whoever read them from a file. Read by `endpoint`; nothing here changes while it
//! runs.

use super::wire;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

/// RFC 3261 §17.1.1.1 and appendix A: the three values from which every timer is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// Round-trip estimate, 500 ms by the RFC.
    pub t1: Duration,
    /// Longest pause between retransmissions, 4 s by the RFC.
    pub t2: Duration,
    /// How long a message can stay in the network, 5 s by the RFC.
    pub t4: Duration,
}

impl Timing {
    /// The values of the RFC.
    pub const RFC3261: Self =
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) };

    /// 64·T1: how long a transaction waits for its end.
    #[must_use]
    pub const fn patience(self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// Bounds of an endpoint. Each has its answer when passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bounds on messages.
    pub wire: wire::Limits,
    /// Calls at once, both ways; a further INVITE is answered 503 with Retry-After.
    pub calls_max: usize,
    /// Calls at once from one source address; a further INVITE is answered 486.
    pub calls_per_source_max: usize,
    /// New calls a second; a further INVITE is answered 503 with Retry-After.
    pub new_calls_per_second_max: u32,
    /// Transactions kept; beyond it new INVITEs are answered 503 and other requests without being remembered.
    pub transactions_max: usize,
    /// How long a call may stay unanswered by us before it is refused with 480. Below a minute, so that no
    /// proxy asks for another provisional response (RFC 3261 §13.3.1.1).
    pub unanswered_max: Duration,
    /// Shortest session interval that we accept (RFC 4028 §5, at least 90 s); less is answered 422.
    pub min_session_s: u32,
}

impl Limits {
    /// Bounds for one node of a carrier-facing system.
    pub const DEFAULT: Self = Self {
        wire: wire::Limits::UDP,
        calls_max: 4000,
        calls_per_source_max: 4000,
        new_calls_per_second_max: 5000,
        transactions_max: 400_000,
        unanswered_max: Duration::from_secs(55),
        min_session_s: 90,
    };
}

/// A block of addresses, `192.0.2.0/24` or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Any address of the block.
    pub address: IpAddr,
    /// Leading bits that count, at most 32 or 128.
    pub prefix: u8,
}

impl Network {
    /// The block of exactly one address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// Whether `address` lies in the block. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                a.to_bits().checked_shr(shift) == b.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                a.to_bits().checked_shr(shift) == b.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// `192.0.2.0/24` or a bare address was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an address or address/prefix, like 192.0.2.0/24")]
pub struct BadNetwork;

impl std::str::FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let mut network = Self::host(address.parse().map_err(|_| BadNetwork)?);
        if let Some(prefix) = prefix {
            let bits: u8 = prefix.parse().map_err(|_| BadNetwork)?;
            if bits > network.prefix {
                return Err(BadNetwork);
            }
            network.prefix = bits;
        }
        Ok(network)
    }
}

/// A peer that may call: a carrier's trunk or a PBX.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trunk {
    /// Its name, given back with every call.
    pub name: String,
    /// Where its requests come from.
    pub networks: Vec<Network>,
    /// Calls at once over it; a further INVITE is answered 486.
    pub calls_max: usize,
}

/// Everything an endpoint is told at its start.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Server and User-Agent headers.
    pub user_agent: String,
    /// User part of our Contact.
    pub contact_user: String,
    /// Address written into Via and Contact instead of the socket's own, when the node stands behind a NAT.
    pub advertised: Option<SocketAddr>,
    /// Timers.
    pub timing: Timing,
    /// Bounds.
    pub limits: Limits,
    /// Retry-After of a 503.
    pub retry_after_s: u32,
    /// Who may call, first match counts; empty means nobody.
    pub trunks: Vec<Trunk>,
}

impl EndpointConfig {
    /// The defaults of a node that `trunks` may call.
    #[must_use]
    pub fn new(trunks: Vec<Trunk>) -> Self {
        Self {
            user_agent: concat!("Keytone/", env!("CARGO_PKG_VERSION")).to_owned(),
            contact_user: "keytone".to_owned(),
            advertised: None,
            timing: Timing::RFC3261,
            limits: Limits::DEFAULT,
            retry_after_s: 5,
            trunks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_by_prefix() {
        let check = |network: &str, address: &str, inside: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network:?} {address}");
        };
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::/0", "2001:db9::1", true);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
    }

    #[test]
    fn bad_networks_are_refused() {
        for text in ["", "192.0.2.0/33", "192.0.2.0/", "192.0.2/24", "::1/129", "example.com"] {
            assert_eq!(text.parse::<Network>(), Err(BadNetwork), "{text}");
        }
    }
}
