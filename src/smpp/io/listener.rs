//! The listener takes binds of those who connect to us: allow-list, limits, TLS, and a question to the application for
//! each bind.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::smpp::io::Event;
use crate::smpp::io::Handle;
use crate::smpp::io::LinkId;
use crate::smpp::io::Now;
use crate::smpp::io::connection::Connection;
use crate::smpp::link::Allowance;
use crate::smpp::link::Link;
use crate::smpp::link::event::BindAsked;
use crate::smpp::link::event::Input;
use crate::smpp::link::settings::Password;
use crate::smpp::link::settings::Settings;
use crate::smpp::link::settings::Side;
use crate::smpp::status as code;

/// How long the listener rests when the operating system gives it no connection, as when no file is left to open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a refused peer waits for its answer, so that passwords are guessed slowly.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// What a listener is told once.
#[derive(Clone)]
pub struct ListenerSettings {
    /// Networks that may connect; none at all means nobody.
    pub networks: Vec<Network>,
    /// Connections at any time; one more is closed at once.
    pub connections: usize,
    /// Connections of one address at any time; one more is closed at once.
    pub connections_per_address: usize,
    /// TLS, when it is spoken here. No clear text is taken then.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The links before their bind; the side is an SMSC.
    pub link: Settings,
    /// How long a stop waits for answers.
    pub drain: Duration,
}

/// A network of addresses, written `192.0.2.0/24` or as a single address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a network such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest).ok_or(NotANetwork)?,
            None => longest,
        };
        Ok(Self { address, prefix })
    }
}

impl Network {
    /// Whether an address is in it. An IPv4 address that came by an IPv6 socket is an IPv4 address.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// A peer that wants something of the application before there is a bind.
#[derive(Debug)]
pub struct Ask {
    /// What it wants.
    pub asked: Asked,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The connection.
    pub link: LinkId,
    verdict: oneshot::Sender<Verdict>,
}

/// What a peer wants.
#[derive(Debug)]
pub enum Asked {
    /// To bind to us.
    Bind(BindAsked),
    /// An SMSC wants us to bind to it on this connection.
    Outbind {
        /// Who it says it is.
        system_id: Bytes,
        /// How it proves it.
        password: Password,
    },
}

/// What a peer is granted.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The bind's name in the configuration.
    pub name: String,
    /// Binds under this name at any time; one more is refused `ESME_RALYBND`.
    pub binds: usize,
    /// Window, rates and times of this peer. After an outbind the side is the ESME that binds; after a bind it is not
    /// looked at.
    pub link: Settings,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Allow(Box<Grant>),
    Deny(u32),
}

/// What the application will say.
pub(super) type Deciding = Pin<Box<dyn Future<Output = Verdict> + Send>>;

impl Ask {
    /// Grants it.
    pub fn allow(self, grant: Grant) {
        let _ = self.verdict.send(Verdict::Allow(Box::new(grant)));
    }

    /// Refuses it with a `command_status`, which the peer is told after a second. An ask that is dropped is refused with `ESME_RSYSERR`.
    pub fn deny(self, status: u32) {
        let _ = self.verdict.send(Verdict::Deny(status));
    }
}

/// See the module's documentation.
pub struct Listener {
    socket: TcpListener,
    settings: ListenerSettings,
}

impl Listener {
    /// Takes the address. Port 0 takes any.
    ///
    /// # Errors
    /// As the operating system says; the address may be taken.
    pub async fn bind(address: SocketAddr, settings: ListenerSettings) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, settings })
    }

    /// The address that it has.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`; then it unbinds every link and returns when all of them are over. `asks` is bounded: a bind
    /// that finds it full is refused with `ESME_RSYSERR`.
    pub async fn run(
        self,
        asks: mpsc::Sender<Ask>,
        events: mpsc::Sender<Event>,
        now: Now,
        stop: CancellationToken,
    ) {
        let house =
            Arc::new(House { settings: self.settings, asks, events, now, seats: Mutex::default(), stop });
        let tasks = TaskTracker::new();
        loop {
            tokio::select! {
                biased;
                () = house.stop.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, far)) => {
                        if let Some(seat) = house.seat(far) {
                            tasks.spawn(Arc::clone(&house).serve(stream, far, seat));
                        }
                    }
                    Err(fault) => {
                        tracing::warn!(%fault, "SMPP connection not taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.socket);
        tasks.close();
        tasks.wait().await;
    }
}

/// What all connections of a listener share.
struct House {
    settings: ListenerSettings,
    asks: mpsc::Sender<Ask>,
    events: mpsc::Sender<Event>,
    now: Now,
    seats: Mutex<Seats>,
    stop: CancellationToken,
}

/// How many are here.
#[derive(Default)]
struct Seats {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    by_name: HashMap<String, Named>,
}

/// The binds under one name, and the speed that they share.
struct Named {
    binds: usize,
    allowance: Option<Allowance>,
}

/// A place among the connections; given back when dropped.
struct Seat {
    house: Arc<House>,
    address: IpAddr,
    name: Option<String>,
}

impl House {
    fn seat(self: &Arc<Self>, far: SocketAddr) -> Option<Seat> {
        let address = far.ip().to_canonical();
        if !self.settings.networks.iter().any(|network| network.has(address)) {
            tracing::warn!(%address, "SMPP connection from a network that is not allowed");
            return None;
        }
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let here = seats.by_address.get(&address).copied().unwrap_or(0);
        if seats.all >= self.settings.connections || here >= self.settings.connections_per_address {
            tracing::warn!(%address, all = seats.all, here, "SMPP connection over the limit");
            return None;
        }
        seats.all += 1;
        seats.by_address.insert(address, here + 1);
        Some(Seat { house: Arc::clone(self), address, name: None })
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, far: SocketAddr, seat: Seat) {
        // A response must not wait for company.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.settings.tls.clone() else {
            return self.link(stream, far, seat).await;
        };
        let handshake = TlsAcceptor::from(tls).accept(stream);
        let timeout = self.settings.link.bind_timeout;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            made = tokio::time::timeout(timeout, handshake) => match made {
                Ok(Ok(stream)) => self.link(stream, far, seat).await,
                Ok(Err(fault)) => tracing::warn!(address = %far, %fault, "TLS of an SMPP peer failed"),
                Err(_) => tracing::warn!(address = %far, "TLS of an SMPP peer took too long"),
            }
        }
    }

    async fn link<S>(self: Arc<Self>, stream: S, far: SocketAddr, seat: Seat)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let Ok(id) = LinkId::random() else { return };
        let (handle, mut ends) = Handle::new(self.events.clone());
        let mut link = Link::new(self.settings.link.clone(), (self.now)());
        let mut door = Door { house: Arc::clone(&self), seat, id, far };
        {
            let serving =
                Connection::new(&mut link, id, far, &mut ends, Some(&mut door), self.now).serve(stream);
            tokio::pin!(serving);
            tokio::select! {
                biased;
                _ = &mut serving => {}
                () = self.stop.cancelled() => {
                    handle.0.closing.send_replace(Some(self.settings.drain));
                    serving.await;
                }
            }
        }
        ends.finish();
    }
}

/// Where a connection asks for its bind.
pub(super) struct Door {
    house: Arc<House>,
    seat: Seat,
    id: LinkId,
    far: SocketAddr,
}

impl Door {
    pub(super) fn bind_asked(&self, asked: BindAsked) -> Option<Deciding> {
        self.ask(Asked::Bind(asked))
    }

    pub(super) fn outbind_asked(&self, system_id: Bytes, password: Password) -> Option<Deciding> {
        self.ask(Asked::Outbind { system_id, password })
    }

    fn ask(&self, asked: Asked) -> Option<Deciding> {
        let (verdict, told) = oneshot::channel();
        let ask = Ask { asked, address: self.far, link: self.id, verdict };
        self.house.asks.try_send(ask).ok()?;
        Some(Box::pin(async {
            match told.await {
                Ok(Verdict::Allow(grant)) => Verdict::Allow(grant),
                Ok(Verdict::Deny(status)) => {
                    tokio::time::sleep(REFUSAL_PAUSE).await;
                    Verdict::Deny(status)
                }
                // An ask that was dropped.
                Err(_) => Verdict::Deny(code::RSYSERR),
            }
        }))
    }

    /// Tells the link the application's word, within the limit of binds under one name.
    pub(super) fn admit(&mut self, now: Instant, verdict: Verdict, handle: &Handle, link: &mut Link) {
        let grant = match verdict {
            Verdict::Allow(grant) => grant,
            Verdict::Deny(status) => return link.handle(now, Input::Deny(status)),
        };
        let Some(allowance) = self.seat.take_name(&grant, now) else {
            return link.handle(now, Input::Deny(code::RALYBND));
        };
        handle.call(&grant.name);
        match grant.link.side {
            Side::Esme(esme) => link.handle(now, Input::BindAs(Box::new(esme))),
            Side::Smsc { .. } => link.handle(now, Input::Allow(Box::new(grant.link))),
        }
        if let Some(allowance) = allowance {
            link.share(allowance);
        }
    }
}

impl Seat {
    /// Counts a bind under this name; nothing when there are as many as may be.
    fn take_name(&mut self, grant: &Grant, now: Instant) -> Option<Option<Allowance>> {
        let mut seats = self.house.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let named = seats.by_name.entry(grant.name.clone()).or_insert_with(|| Named {
            binds: 0,
            allowance: grant.link.peer_rate.map(|rate| Allowance::new(rate, now)),
        });
        if named.binds >= grant.binds || self.name.is_some() {
            return None;
        }
        named.binds += 1;
        self.name = Some(grant.name.clone());
        Some(named.allowance.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.house.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.all = seats.all.saturating_sub(1);
        if let Some(here) = seats.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
        }
        seats.by_address.retain(|_, here| *here > 0);
        if let Some(named) = self.name.take().and_then(|name| seats.by_name.get_mut(&name)) {
            named.binds = named.binds.saturating_sub(1);
        }
        seats.by_name.retain(|_, named| named.binds > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_say() {
        let table = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ];
        for (network, address, within) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.has(address.parse().unwrap()), within, "{network:?} {address}");
        }
        for bad in ["", "192.0.2.0/33", "::/129", "192.0.2/24", "192.0.2.0/", "192.0.2.0/-1", "host"] {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork), "{bad}");
        }
    }
}
