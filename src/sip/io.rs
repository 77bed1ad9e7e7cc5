//! One UDP socket ↔ one endpoint: the only place of this room that knows tokio.
//!
//! A single task: socket, deadline, commands, stop. It has no `if` about the protocol. Events wait in a
//! bounded queue when the application is slow; then the socket is not read, and the kernel's buffer drops
//! what is too much.

use super::endpoint::Counters;
use super::endpoint::Endpoint;
use super::event::Command;
use super::event::Event;
use super::event::Input;
use super::event::Output;
use bytes::Bytes;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Receive buffer that is asked of the kernel, in bytes; less is taken (`net.core.rmem_max` limits it).
pub const RECEIVE_BUFFER_WANTED: usize = 4 * 1024 * 1024;

/// Datagrams that are taken at one wake-up before commands and timers have their turn.
const BATCH_MAX: usize = 64;

/// Events that wait for the application before the socket is left alone.
const EVENTS_WAITING_MAX: usize = 1024;

/// Peers whose local address is remembered.
const ROUTES_MAX: usize = 4096;

/// Longest sleep without a deadline.
const IDLE: Duration = Duration::from_secs(60);

/// Largest datagram of UDP.
const DATAGRAM_MAX: usize = 65_535;

/// A message as it passed the socket, for a ladder or a capture. Bodies are kept only when they are session
/// descriptions: an INFO body may be a key of a PIN.
#[derive(Clone)]
pub struct Trace {
    /// When.
    pub at: Instant,
    /// Towards us.
    pub inbound: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// The message without secret bodies.
    pub text: Bytes,
}

impl Trace {
    /// Request line or status line.
    #[must_use]
    pub fn first_line(&self) -> String {
        let line = self.text.split(|b| *b == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(line).into_owned()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Trace({} {} bytes, {})",
            if self.inbound { "in" } else { "out" },
            self.text.len(),
            self.peer
        )
    }
}

/// The application's ends.
#[derive(Debug)]
pub struct Wires {
    /// What it asks for.
    pub commands: mpsc::Receiver<Command>,
    /// What it is told. Dropping the receiver ends the loop.
    pub events: mpsc::Sender<Event>,
    /// A copy of every message; one that finds the channel full is lost.
    pub trace: Option<mpsc::Sender<Trace>>,
}

/// Binds a UDP socket with a large receive buffer. Port 0 takes any.
///
/// # Errors
/// As the operating system says; the address may be taken.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = if address.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // Less than wanted is enough for a quiet system, so a refusal is no reason not to start.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_WANTED);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER_WANTED);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Serves until `stop`, or until nobody listens to the events any more. `now` reads the clock.
///
/// # Errors
/// Only when the socket cannot tell its own address.
pub async fn run(
    socket: UdpSocket,
    endpoint: Endpoint,
    wires: Wires,
    now: impl Fn() -> Instant + Send,
    stop: CancellationToken,
) -> io::Result<Counters> {
    let routes = Routes { bound: socket.local_addr()?, known: HashMap::new() };
    let mut server = Loop {
        socket,
        endpoint,
        wires,
        now,
        routes,
        waiting: VecDeque::new(),
        unheard: false,
        buffer: vec![0; DATAGRAM_MAX],
    };
    server.serve(stop).await;
    Ok(server.endpoint.counters())
}

struct Loop<N> {
    socket: UdpSocket,
    endpoint: Endpoint,
    wires: Wires,
    now: N,
    routes: Routes,
    waiting: VecDeque<Event>,
    /// The application dropped its end of the events.
    unheard: bool,
    buffer: Vec<u8>,
}

impl<N: Fn() -> Instant + Send> Loop<N> {
    async fn serve(&mut self, stop: CancellationToken) {
        let sleep = tokio::time::sleep(IDLE);
        tokio::pin!(sleep);
        let mut commands_open = true;
        loop {
            self.flush().await;
            if self.unheard {
                break;
            }
            let deadline = self.endpoint.next_deadline().unwrap_or_else(|| (self.now)() + IDLE);
            if sleep.deadline() != tokio::time::Instant::from_std(deadline) {
                sleep.as_mut().reset(tokio::time::Instant::from_std(deadline));
            }
            let readable = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                permit = self.wires.events.reserve(), if !self.waiting.is_empty() => {
                    let Ok(permit) = permit else { break };
                    if let Some(event) = self.waiting.pop_front() {
                        permit.send(event);
                    }
                    false
                }
                command = self.wires.commands.recv(), if commands_open => {
                    match command {
                        Some(command) => self.endpoint.handle((self.now)(), Input::Command(command)),
                        None => commands_open = false,
                    }
                    false
                }
                () = &mut sleep => {
                    self.endpoint.handle((self.now)(), Input::Tick);
                    false
                }
                ready = self.socket.readable(), if self.waiting.len() < EVENTS_WAITING_MAX => ready.is_ok(),
            };
            if readable {
                self.receive().await;
            }
        }
        self.flush().await;
    }

    async fn receive(&mut self) {
        for _ in 0..BATCH_MAX {
            let Ok((length, source)) = self.socket.try_recv_from(&mut self.buffer) else { return };
            let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
            let at = (self.now)();
            self.trace(at, true, source, &bytes);
            let local = self.routes.towards(source);
            self.endpoint.handle(at, Input::Datagram { source, local, bytes });
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Event(event) if self.waiting.is_empty() => match self.wires.events.try_send(event) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(event)) => self.waiting.push_back(event),
                    Err(mpsc::error::TrySendError::Closed(_)) => self.unheard = true,
                },
                Output::Event(event) => self.waiting.push_back(event),
                Output::Send { destination, bytes, .. } => {
                    let at = (self.now)();
                    self.trace(at, false, destination, &bytes);
                    // What cannot be sent is lost like any datagram; the transaction sends it again.
                    if self
                        .socket
                        .try_send_to(&bytes, destination)
                        .is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
                    {
                        let _ = self.socket.send_to(&bytes, destination).await;
                    }
                }
            }
        }
    }

    fn trace(&self, at: Instant, inbound: bool, peer: SocketAddr, bytes: &Bytes) {
        if let Some(trace) = &self.wires.trace {
            let _ = trace.try_send(Trace { at, inbound, peer, text: without_secrets(bytes) });
        }
    }
}

/// Cuts the body off unless it is a session description of something else than an INFO.
fn without_secrets(bytes: &Bytes) -> Bytes {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let head = bytes.slice(..end);
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let describes = text.contains("application/sdp") && !text.contains("application/dtmf");
    if describes && !text.trim_start().starts_with("info") { bytes.clone() } else { head }
}

/// Which of our addresses faces a peer. A socket bound to all addresses does not know, but the routing table
/// does.
struct Routes {
    bound: SocketAddr,
    known: HashMap<IpAddr, IpAddr>,
}

impl Routes {
    fn towards(&mut self, peer: SocketAddr) -> SocketAddr {
        if !self.bound.ip().is_unspecified() {
            return self.bound;
        }
        if let Some(ip) = self.known.get(&peer.ip()) {
            return SocketAddr::new(*ip, self.bound.port());
        }
        let ip = facing(peer).unwrap_or_else(|_| self.bound.ip());
        if self.known.len() >= ROUTES_MAX {
            self.known.clear();
        }
        self.known.insert(peer.ip(), ip);
        SocketAddr::new(ip, self.bound.port())
    }
}

/// Asks the routing table: connecting a UDP socket sends nothing.
///
/// # Errors
/// As the operating system says; there may be no route.
pub fn facing(peer: SocketAddr) -> io::Result<IpAddr> {
    let any =
        if peer.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let probe = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
    probe.connect(peer)?;
    Ok(probe.local_addr()?.ip())
}
