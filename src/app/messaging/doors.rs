//! Where aggregators bind to us: who they are, by password and address, and what they are granted.
//!
//! A password is hashed as a PIN is (peppered argon2id), so a try costs us something: only a few are checked at once, and an
//! unknown `system_id` costs the same as a known one.

use std::net::IpAddr;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, mpsc};

use crate::config::smpp::{Peer, Smsc};
use crate::payment::pin::{Peppers, Profile, check, hash};
use crate::payment::row::Id;
use crate::secret::Secret;
use crate::smpp::io::{Ask, Asked, Grant};
use crate::smpp::link::settings::{Password, Settings};
use crate::smpp::status;

/// Passwords that are checked at once.
const CHECKS_MAX: usize = 2;

/// What stands in the configuration for a password: the pepper's version and the hash.
///
/// # Errors
/// When the system gives no randomness.
pub fn password_hash(
    system_id: &str,
    password: &Secret,
    peppers: &Peppers,
) -> Result<String, crate::payment::pin::Error> {
    let (phc, pepper) = hash(password, owner(system_id), peppers, Profile::Standard)?;
    Ok(format!("{pepper}{phc}"))
}

/// A hash is good for one `system_id` only.
fn owner(system_id: &str) -> Id {
    Id([0; 16]).derived(&format!("smpp {system_id}"))
}

fn fits(peer: &Peer, password: &Secret, peppers: &Peppers) -> bool {
    let Some((pepper, phc)) = peer.password.split_once('$') else { return false };
    let Ok(pepper) = pepper.parse() else { return false };
    let stored = format!("${phc}");
    check(password, owner(&peer.system_id), &stored, pepper, peppers, Profile::Standard)
        .is_ok_and(|checked| checked.right)
}

/// An SMSC that may ask us to bind on a connection of its own.
pub(super) struct Caller {
    /// The route.
    name: String,
    system_id: String,
    password: Password,
    binds: usize,
    link: Settings,
}

impl Caller {
    /// Those of the configuration.
    pub(super) fn all(smscs: &[Smsc]) -> Vec<Self> {
        let callers = smscs.iter().filter_map(|smsc| {
            let (system_id, password) = smsc.outbind.clone()?;
            let (name, link) = (smsc.name.clone(), smsc.link.clone());
            Some(Self { name, system_id, password, binds: smsc.roles.len(), link })
        });
        callers.collect()
    }
}

/// Answers who may bind, and to whom we bind, until the listener is gone.
pub(super) async fn keep(
    peers: Vec<Peer>,
    callers: Vec<Caller>,
    peppers: Peppers,
    mut asks: mpsc::Receiver<Ask>,
) {
    let (peers, peppers) = (Arc::new(peers), Arc::new(peppers));
    let checks = Arc::new(Semaphore::new(CHECKS_MAX));
    while let Some(ask) = asks.recv().await {
        if let Asked::Outbind { system_id, password } = &ask.asked {
            let known = callers.iter().find(|caller| {
                caller.system_id.as_bytes() == system_id.as_ref()
                    && bool::from(caller.password.expose().ct_eq(password.expose()))
            });
            match known {
                Some(Caller { name, binds, link, .. }) => {
                    ask.allow(Grant { name: name.clone(), binds: *binds, link: link.clone() });
                }
                None => {
                    tracing::warn!(address = %ask.address, "an outbind of nobody that we know");
                    ask.deny(status::RBINDFAIL);
                }
            }
            continue;
        }
        let Ok(place) = checks.clone().acquire_owned().await else { return };
        let (peers, peppers) = (peers.clone(), peppers.clone());
        tokio::task::spawn_blocking(move || {
            answer(ask, &peers, &peppers);
            drop(place);
        });
    }
}

fn answer(ask: Ask, peers: &[Peer], peppers: &Peppers) {
    let Asked::Bind(asked) = &ask.asked else { return ask.deny(status::RBINDFAIL) };
    let name = String::from_utf8_lossy(&asked.system_id).into_owned();
    let password = Secret::new(asked.password.expose().to_vec());
    match judge(&name, &password, ask.address.ip(), peers, peppers) {
        Ok(peer) => {
            let grant = Grant { name: peer.name.clone(), binds: peer.binds, link: peer.link.clone() };
            ask.allow(grant);
        }
        Err(why) => {
            tracing::warn!(address = %ask.address, "an SMPP bind is refused: {why}");
            ask.deny(status::RINVPASWD);
        }
    }
}

/// Who binds. All refusals are as dear as each other and are answered alike, so that nobody learns from where he may not
/// bind whether a name or a password is right.
fn judge<'p>(
    name: &str,
    password: &Secret,
    from: IpAddr,
    peers: &'p [Peer],
    peppers: &Peppers,
) -> Result<&'p Peer, String> {
    let Some(peer) = peers.iter().find(|peer| peer.system_id == name) else {
        let _ = hash(password, owner(name), peppers, Profile::Standard);
        return Err("nobody that we know".to_owned());
    };
    let right = fits(peer, password, peppers);
    if !peer.networks.is_empty() && !peer.networks.iter().any(|network| network.has(from)) {
        return Err(format!("{} may not bind from there", peer.name));
    }
    if right { Ok(peer) } else { Err(format!("a wrong password of {}", peer.name)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::smpp::Carries;
    use crate::smpp::link::settings::{Settings, Side};

    #[test]
    fn who_may_not_bind_from_there_does_not_learn_whether_the_password_is_right() {
        let peppers = Peppers::single(Secret::from("0123456789abcdef"));
        let side = Side::Smsc { system_id: bytes::Bytes::new(), version: 0x34 };
        let peers = [Peer {
            name: "aggregator".to_owned(),
            system_id: "agg".to_owned(),
            password: password_hash("agg", &Secret::from("s3cret"), &peppers).unwrap(),
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            binds: 1,
            link: Settings::new(side),
            trusted: false,
            carries: Carries::default(),
        }];
        for (name, password, from, wanted) in [
            ("agg", "s3cret", "192.0.2.7", Ok("aggregator")),
            ("agg", "guess", "192.0.2.7", Err("a wrong password of aggregator")),
            ("agg", "s3cret", "198.51.100.7", Err("aggregator may not bind from there")),
            ("agg", "guess", "198.51.100.7", Err("aggregator may not bind from there")),
            ("someone", "s3cret", "192.0.2.7", Err("nobody that we know")),
        ] {
            let judged = judge(name, &Secret::from(password), from.parse().unwrap(), &peers, &peppers);
            let judged = judged.map(|peer| peer.name.as_str());
            assert_eq!(
                judged.as_ref().map_err(String::as_str),
                wanted.as_ref().map_err(|why| *why),
                "{name} {from}"
            );
        }
    }
}
