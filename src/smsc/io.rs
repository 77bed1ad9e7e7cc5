//! The sockets of the sandbox SMSC: one task owns the [`Network`] and the log, two tasks move the bytes of each link.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::smpp::frame::Framer;
use crate::smsc::http::{Ask, Desk, router};
use crate::smsc::network::{Input, Network, Now, Output};
use crate::smsc::settings::Config;

/// Batches of frames, and requests by HTTP, that wait for the network; senders wait when it is full.
const EVENTS: usize = 256;
/// Batches of bytes that wait for one link. A link is read again when half of it is free; when all of it is full the
/// link is cut, since it does not read.
const OUT: usize = 256;
/// What is read from a link at once.
const READ_BYTES: usize = 128 * 1024;
/// A link that takes no bytes for so long is cut.
const WRITE_STALL: Duration = Duration::from_secs(5);
/// Connections that the kernel holds for us.
const BACKLOG: u32 = 1024;
/// Between two tries to accept or to listen again.
const RETRY: Duration = Duration::from_millis(20);

/// Why the sandbox SMSC stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its log or a socket.
    #[error("the sandbox SMSC cannot go on: {0}")]
    Io(#[from] std::io::Error),
}

/// Serves SMPP and its control by HTTP until `stop`; links are cut with it.
///
/// # Errors
/// When the log cannot be opened or written, or a socket fails.
pub async fn serve(
    config: Config,
    smpp: TcpListener,
    http: TcpListener,
    stop: CancellationToken,
) -> Result<(), Error> {
    let log = open(&config.log)?;
    let stop = stop.child_token();
    let (asks, asked) = mpsc::channel(EVENTS);
    let app = router(Desk { asks, log: config.log.clone() });
    let control = IntoFuture::into_future(axum::serve(http, app));
    let mut house = House::new(&config, smpp, log, stop.clone())?;
    let ended = tokio::select! {
        ended = control => ended.map_err(Error::from),
        ended = house.run(asked) => ended,
    };
    stop.cancel();
    house.tracker.close();
    house.tracker.wait().await;
    ended
}

/// Opens the log; a last line without its end, left by a crash, is cut off.
fn open(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let bytes = std::fs::read(path)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(u64::try_from(whole).unwrap_or(0))?;
    }
    Ok(file)
}

/// What the tasks of links tell.
enum Event {
    Input(Input),
    Accepted(TcpStream),
    /// What became of a connection that was wanted.
    Connected(u64, Option<TcpStream>),
    Ask(Ask),
}

/// What the task that writes a link is told.
enum Out {
    Bytes(Bytes),
    Close,
    Reset,
}

struct House {
    clock: Clock,
    network: Network,
    log: File,
    door: Door,
    links: HashMap<u64, mpsc::Sender<Out>>,
    tickets: HashMap<u64, oneshot::Sender<(u16, Value)>>,
    events: mpsc::Sender<Event>,
    incoming: mpsc::Receiver<Event>,
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Of links and tickets.
    next: u64,
}

impl House {
    fn new(config: &Config, smpp: TcpListener, log: File, stop: CancellationToken) -> Result<Self, Error> {
        let clock = config.clock.clone();
        let now = Now { instant: clock.instant(), at: clock.now() };
        let (events, incoming) = mpsc::channel(EVENTS);
        Ok(Self {
            network: Network::new(config, now),
            clock,
            log,
            door: Door { address: smpp.local_addr()?, state: State::Open(smpp) },
            links: HashMap::new(),
            tickets: HashMap::new(),
            events,
            incoming,
            tracker: TaskTracker::new(),
            stop,
            next: 0,
        })
    }

    async fn run(&mut self, mut asked: mpsc::Receiver<Ask>) -> Result<(), Error> {
        let mut batch = Vec::new();
        loop {
            let wait =
                self.network.next_deadline().map(|at| at.saturating_duration_since(self.clock.instant()));
            tokio::select! {
                _ = self.incoming.recv_many(&mut batch, EVENTS) => {}
                stream = self.door.accept(&self.clock) => batch.push(Event::Accepted(stream)),
                Some(ask) = asked.recv() => batch.push(Event::Ask(ask)),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {
                    batch.push(Event::Input(Input::Tick));
                }
                () = self.stop.cancelled() => return Ok(()),
            }
            for event in batch.drain(..) {
                let now = Now { instant: self.clock.instant(), at: self.clock.now() };
                let input = match event {
                    Event::Input(input) => input,
                    Event::Accepted(stream) => Input::Connected(self.welcome(stream)),
                    Event::Connected(ticket, stream) => {
                        Input::Outbound(ticket, stream.map(|stream| self.welcome(stream)))
                    }
                    Event::Ask((control, sender)) => {
                        self.next += 1;
                        self.tickets.insert(self.next, sender);
                        Input::Control(self.next, control)
                    }
                };
                self.network.handle(now, input);
            }
            self.drain()?;
        }
    }

    /// Does what the network wants.
    fn drain(&mut self) -> Result<(), Error> {
        while let Some(output) = self.network.poll() {
            match output {
                Output::Log(lines) => self.log.write_all(&lines)?,
                Output::Send(id, bytes) => {
                    // A full queue means that the ESME does not read; it is cut like a phone that is off.
                    if self.links.get(&id).is_some_and(|out| out.try_send(Out::Bytes(bytes)).is_err()) {
                        self.links.remove(&id);
                        let now = Now { instant: self.clock.instant(), at: self.clock.now() };
                        self.network.handle(now, Input::Closed(id));
                    }
                }
                Output::Close(id) => self.farewell(id, Out::Close),
                Output::Reset(id) => self.farewell(id, Out::Reset),
                Output::Outage(how_long) => self.door.shut(self.clock.instant() + how_long),
                Output::Connect(ticket, address) => {
                    let (events, stop) = (self.events.clone(), self.stop.clone());
                    self.tracker.spawn(async move {
                        let connecting = tokio::time::timeout(WRITE_STALL, TcpStream::connect(address));
                        let stream = connecting.await.ok().and_then(Result::ok);
                        tokio::select! {
                            _ = events.send(Event::Connected(ticket, stream)) => {}
                            () = stop.cancelled() => {}
                        }
                    });
                }
                Output::Answer(ticket, status, body) => {
                    if let Some(sender) = self.tickets.remove(&ticket) {
                        // Whoever asked may be gone.
                        let _ = sender.send((status, body));
                    }
                }
            }
        }
        Ok(())
    }

    fn farewell(&mut self, id: u64, how: Out) {
        if let Some(out) = self.links.remove(&id) {
            // If the queue is full the writer ends by its own time limit.
            let _ = out.try_send(how);
        }
    }

    fn welcome(&mut self, stream: TcpStream) -> u64 {
        self.next += 1;
        let id = self.next;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the sandbox SMSC cannot turn off Nagle's algorithm");
        }
        let (reader, writer) = stream.into_split();
        let (out, queue) = mpsc::channel(OUT);
        let done = self.stop.child_token();
        self.links.insert(id, out.clone());
        self.tracker.spawn(write(writer, queue, done.clone()));
        let events = self.events.clone();
        let out = out.downgrade();
        self.tracker.spawn(async move {
            tokio::select! {
                () = read(id, reader, &events, &out) => {}
                () = done.cancelled() => {
                    // Said again where the network knows it: that does no harm.
                    let _ = events.try_send(Event::Input(Input::Closed(id)));
                }
            }
        });
        id
    }
}

async fn read(id: u64, mut reader: OwnedReadHalf, events: &mpsc::Sender<Event>, out: &mpsc::WeakSender<Out>) {
    let mut framer = Framer::default();
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        buffer.reserve(READ_BYTES / 2);
        if !matches!(reader.read_buf(&mut buffer).await, Ok(1..)) {
            let _ = events.send(Event::Input(Input::Closed(id))).await;
            return;
        }
        let mut frames = Vec::new();
        let broken = loop {
            match framer.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if !frames.is_empty() && events.send(Event::Input(Input::Frames(id, frames))).await.is_err() {
            return;
        }
        if broken {
            let _ = events.send(Event::Input(Input::Broken(id))).await;
            return;
        }
        let Some(out) = out.upgrade() else { return };
        if out.capacity() < OUT / 2 && out.reserve_many(OUT / 2).await.is_err() {
            return;
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Out>, done: CancellationToken) {
    let cut = loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            () = done.cancelled() => None,
        };
        match next {
            Some(Out::Bytes(bytes)) => {
                match tokio::time::timeout(WRITE_STALL, writer.write_all(&bytes)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => break false,
                    Err(_) => break true,
                }
            }
            Some(Out::Close) => {
                let _ = writer.shutdown().await;
                break false;
            }
            Some(Out::Reset) => break true,
            None => break false,
        }
    };
    if cut {
        // With nothing to linger for, closing sends RST instead of FIN.
        let _ = writer.as_ref().set_zero_linger();
        // Dropped, this half would send FIN before the other half closes the socket.
        writer.forget();
    }
    done.cancel();
}

/// The SMPP port: open, or shut for an outage. While it is shut a socket that does not listen holds the port, so that
/// connections are refused and nobody else takes it.
struct Door {
    address: SocketAddr,
    state: State,
}

enum State {
    Open(TcpListener),
    Shut { until: Instant, held: Option<TcpSocket> },
}

impl Door {
    fn shut(&mut self, until: Instant) {
        // The listener has to go before the port can be bound again.
        self.state = State::Shut { until, held: None };
        self.state = State::Shut { until, held: self.hold().ok() };
    }

    fn hold(&self) -> std::io::Result<TcpSocket> {
        let socket = if self.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket)
    }

    /// The next connection. It may be dropped at any await.
    async fn accept(&mut self, clock: &Clock) -> TcpStream {
        loop {
            match &mut self.state {
                State::Open(listener) => match listener.accept().await {
                    Ok((stream, _)) => return stream,
                    Err(error) => {
                        tracing::warn!(%error, "the sandbox SMSC cannot accept");
                        tokio::time::sleep(RETRY).await;
                    }
                },
                State::Shut { until, .. } => {
                    tokio::time::sleep(until.saturating_duration_since(clock.instant())).await;
                    self.open();
                    if matches!(self.state, State::Shut { .. }) {
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    }

    fn open(&mut self) {
        let State::Shut { held, .. } = &mut self.state else { return };
        let held = held.take();
        match held.map_or_else(|| self.hold(), Ok).and_then(|socket| socket.listen(BACKLOG)) {
            Ok(listener) => self.state = State::Open(listener),
            Err(error) => tracing::warn!(%error, "the sandbox SMSC cannot listen again"),
        }
    }
}
