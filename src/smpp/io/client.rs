//! A client keeps one bind to an SMSC: it tries the addresses in turn, and comes back after every end, for ever.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use crate::smpp::io::Ends;
use crate::smpp::io::Event;
use crate::smpp::io::Handle;
use crate::smpp::io::LinkId;
use crate::smpp::io::Now;
use crate::smpp::io::Trouble;
use crate::smpp::io::connection::Connection;
use crate::smpp::link::Link;
use crate::smpp::link::event::Ended;
use crate::smpp::link::retry::Retry;
use crate::smpp::link::settings::Settings;

/// How a client reaches its SMSC.
#[derive(Clone)]
pub struct ClientSettings {
    /// The bind's name in the configuration.
    pub name: String,
    /// `host:port`, tried in turn; a name is resolved at each try, and each of its addresses is tried.
    pub addresses: Vec<String>,
    /// TLS, when the SMSC wants it.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The name in the SMSC's certificate; without it the host of the address.
    pub server_name: Option<String>,
    /// How long a connection and its TLS handshake may take, each.
    pub connect_timeout: Duration,
    /// The link on it; its side is an ESME.
    pub link: Settings,
}

/// See the module's documentation.
pub struct Client;

impl Client {
    /// Begins to connect, in a task of its own, and goes on until [`Handle::close`] or until nobody listens to `events`.
    pub fn start(settings: ClientSettings, events: mpsc::Sender<Event>, now: Now) -> Handle {
        let (handle, ends) = Handle::new(events);
        handle.call(&settings.name);
        let retry = Retry::up_to(settings.link.reconnect_max);
        let client = Run { settings, ends, now, retry, next: 0, former: None };
        tokio::spawn(client.run());
        handle
    }
}

struct Run {
    settings: ClientSettings,
    ends: Ends,
    now: Now,
    retry: Retry,
    /// Which address is tried next.
    next: usize,
    /// The link before this one, for the speed that it had learned.
    former: Option<Link>,
}

impl Run {
    async fn run(mut self) {
        while !self.ends.events.is_closed() {
            let (trouble, held) = match self.connect().await {
                None => break,
                Some(Err(trouble)) => (trouble, Duration::ZERO),
                Some(Ok((why, held))) => (Trouble::Ended(why), held),
            };
            if self.ends.closing.borrow().is_some() {
                break;
            }
            let why = match trouble {
                Trouble::Ended(why) => why,
                _ => Ended::Lost,
            };
            let wait = self.retry.wait(why, held, random());
            tracing::warn!(
                bind = self.settings.name,
                ?trouble,
                wait_ms = wait.as_millis(),
                "SMPP bind is down"
            );
            self.ends.handle.update(|status| {
                status.link = None;
                status.trouble = Some(trouble);
            });
            if self.ends.meanwhile(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
        }
        self.ends.finish();
    }

    /// Goes once through the addresses, until one serves. Tells how that ended and how long it was bound; nothing when a
    /// close is asked for.
    async fn connect(&mut self) -> Option<Result<(Ended, Duration), Trouble>> {
        let mut trouble = Trouble::Resolve;
        for _ in 0..self.settings.addresses.len() {
            let Some(address) = self.settings.addresses.get(self.next).cloned() else {
                self.next = 0;
                continue;
            };
            match self.connect_to(&address).await? {
                Ok((why, held)) => {
                    // The first address is the one that was meant; one that gave no bind is not asked twice in a row.
                    self.next = match held {
                        Some(_) => 0,
                        None => (self.next + 1) % self.settings.addresses.len(),
                    };
                    return Some(Ok((why, held.unwrap_or_default())));
                }
                Err(why) => trouble = why,
            }
            self.next = (self.next + 1) % self.settings.addresses.len();
        }
        Some(Err(trouble))
    }

    async fn connect_to(&mut self, address: &str) -> Option<Result<(Ended, Option<Duration>), Trouble>> {
        let timeout = self.settings.connect_timeout;
        let connected = self.ends.meanwhile(open(address.to_owned(), timeout)).await?;
        let (stream, far) = match connected {
            Ok(connected) => connected,
            Err(trouble) => return Some(Err(trouble)),
        };
        let Some(tls) = self.settings.tls.clone() else { return Some(Ok(self.serve(stream, far).await)) };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = self.settings.server_name.clone().unwrap_or_else(|| host.to_owned());
        let Ok(name) = ServerName::try_from(name) else { return Some(Err(Trouble::Tls)) };
        let handshake = TlsConnector::from(tls).connect(name, stream);
        match self.ends.meanwhile(tokio::time::timeout(timeout, handshake)).await? {
            Ok(Ok(stream)) => Some(Ok(self.serve(stream, far).await)),
            Ok(Err(fault)) => {
                tracing::warn!(bind = self.settings.name, address, %fault, "TLS to the SMSC failed");
                Some(Err(Trouble::Tls))
            }
            Err(_) => Some(Err(Trouble::Tls)),
        }
    }

    /// Serves one connection; tells for how long it was bound, if it was.
    async fn serve<S>(&mut self, stream: S, far: SocketAddr) -> (Ended, Option<Duration>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let Ok(id) = LinkId::random() else { return (Ended::Lost, None) };
        let now = (self.now)();
        let settings = self.settings.link.clone();
        let mut link = match &self.former {
            Some(former) => Link::after(former, settings, now),
            None => Link::new(settings, now),
        };
        let ended = Connection::new(&mut link, id, far, &mut self.ends, None, self.now).serve(stream).await;
        let now = (self.now)();
        let held = link.status(now).bound_since.map(|since| now.saturating_duration_since(since));
        self.former = Some(link);
        (ended, held)
    }
}

async fn open(address: String, timeout: Duration) -> Result<(TcpStream, SocketAddr), Trouble> {
    let Ok(Ok(resolved)) = tokio::time::timeout(timeout, lookup_host(address)).await else {
        return Err(Trouble::Resolve);
    };
    let mut trouble = Trouble::Resolve;
    for far in resolved {
        match tokio::time::timeout(timeout, TcpStream::connect(far)).await {
            Ok(Ok(stream)) => {
                // A response must not wait for company.
                let _ = stream.set_nodelay(true);
                return Ok((stream, far));
            }
            Ok(Err(fault)) => trouble = Trouble::Connect(fault.kind()),
            Err(_) => trouble = Trouble::Connect(io::ErrorKind::TimedOut),
        }
    }
    Err(trouble)
}

/// For jitter only; without randomness all wait the same.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
