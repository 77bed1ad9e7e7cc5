//! The sockets and threads of media: hands datagrams to each call's [`Stream`] and sends what it gives, on
//! time.
//!
//! Each engine thread owns its calls, their sockets and nothing shared: no lock, no allocation for a packet,
//! no task. Calls are spread over the phases of [`Pacer`], so that packets leave evenly instead of in bursts.
//! While it waits for a deadline the thread waits for commands, and without calls it sleeps. It decides
//! nothing about media; that is [`Stream`]'s.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use bytes::Bytes;
use socket2::SockRef;
use tokio::sync::mpsc;

use crate::rtp::figures::{Figures, Tally, Totals};
use crate::rtp::pace::{Pacer, SLOTS};
use crate::rtp::packet::DATAGRAM_BYTES_MAX;
use crate::rtp::prompt::Clip;
use crate::rtp::stream::{FRAME_BYTES_MAX, MediaEvent, Origin, Stream, StreamConfig};

/// Clips in one playlist; the longest sentence of a flow has a few dozen.
pub const CLIPS_PER_PLAY_MAX: usize = 512;

/// Commands that may wait for one thread; one more is answered [`Error::Busy`].
pub const COMMANDS_MAX: usize = 4_096;

/// Commands taken between two slots, so that a flood of them cannot delay the audio.
const COMMANDS_PER_TURN: usize = 64;

/// Datagrams read from one call in one tick; the rest waits in the socket or is dropped there.
const DATAGRAMS_PER_TICK: usize = 32;

/// A call's socket buffer: about 100 small packets, so that what is read after a flood is at most a second
/// old.
const RECEIVE_BUFFER_BYTES: usize = 32 * 1_024;

/// Expedited forwarding (RFC 4594 §4.1) in the upper six bits.
const TOS_VOICE: u32 = 0xb8;

/// Events that wait for a slow receiver; the oldest of more are lost and counted.
const EVENTS_WAITING_MAX: usize = 64;

/// How often the system is asked for a port before an odd one is taken.
const EVEN_PORT_TRIES: usize = 16;

/// What an engine is made of.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The address of the media sockets. With an unspecified one the SDP needs the address that faces the
    /// peer.
    pub bind: IpAddr,
    /// RTP ports; only even ones are used, in random order. `0..=0` leaves the choice to the system.
    pub ports: RangeInclusive<u16>,
    /// Threads, at least one; one serves some thousands of calls.
    pub threads: usize,
    /// Calls with open media at once.
    pub calls_max: usize,
}

/// Why there is no media.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `calls_max` calls have media.
    #[error("all {calls_max} media streams are taken")]
    Full {
        /// The limit.
        calls_max: usize,
    },
    /// Every port of the range is taken.
    #[error("no free even port in {first}-{last}")]
    NoPort {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// The system refused a socket; it may be out of descriptors.
    #[error("cannot open a media socket on {bind}")]
    Socket {
        /// The address.
        bind: IpAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused a thread.
    #[error("cannot start a media thread")]
    Thread(#[source] std::io::Error),
    /// The system gave no random numbers.
    #[error("no randomness from the operating system")]
    Random,
    /// The engine has stopped.
    #[error("the media engine has stopped")]
    Stopped,
    /// [`COMMANDS_MAX`] commands wait.
    #[error("the media engine is overloaded")]
    Busy,
    /// More than [`CLIPS_PER_PLAY_MAX`] clips in one playlist.
    #[error("{count} clips in one playlist, expected at most {CLIPS_PER_PLAY_MAX}")]
    Clips {
        /// How many there were.
        count: usize,
    },
}

/// A media event of one of the receiver's calls.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// As given to [`Engine::open`].
    pub tag: u64,
    /// What happened.
    pub event: MediaEvent,
}

/// One accepted packet of audio, for a phone that listens.
#[derive(Clone, Debug)]
pub struct HeardFrame {
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp in samples.
    pub timestamp: u32,
    /// G.711 bytes.
    pub payload: Bytes,
    /// When it was read.
    pub at: Instant,
}

/// The media of all calls. A handle: clones share the engine, which ends when all of them and all [`Media`]
/// are gone.
#[derive(Clone)]
pub struct Engine {
    config: EngineConfig,
    workers: Arc<[WorkerHandle]>,
    shared: Arc<Shared>,
}

struct WorkerHandle {
    commands: SyncSender<Command>,
    load: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Shared {
    next_id: AtomicU64,
    stopped: AtomicBool,
    calls: AtomicUsize,
    totals: Totals,
}

enum Command {
    Open(Box<Call>),
    Configure(u64, Box<StreamConfig>),
    Play(u64, u64, Vec<Arc<Clip>>),
    Stop(u64, Option<u64>),
    Press(u64, char),
    Hear(u64, mpsc::Sender<HeardFrame>),
}

impl Engine {
    /// Starts the threads. `now` is the monotonic clock.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn start(config: EngineConfig, now: fn() -> Instant) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let mut workers = Vec::new();
        for number in 0..config.threads.max(1) {
            let (commands, inbox) = sync_channel(COMMANDS_MAX);
            let load = Arc::new(AtomicUsize::new(0));
            let worker = Worker::new(now, Arc::clone(&shared));
            std::thread::Builder::new()
                .name(format!("rtp-{number}"))
                .spawn(move || worker.run(&inbox))
                .map_err(Error::Thread)?;
            workers.push(WorkerHandle { commands, load });
        }
        Ok(Self { config, workers: workers.into(), shared })
    }

    /// Opens a call's socket, before its SDP is answered. Nothing is sent or accepted until
    /// [`Media::configure`]. What happens is reported to `events` under `tag`.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NoPort`], [`Error::Socket`], [`Error::Busy`], [`Error::Stopped`],
    /// [`Error::Random`].
    pub fn open(&self, events: mpsc::Sender<Report>, tag: u64) -> Result<Media, Error> {
        if self.shared.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let worker =
            self.workers.iter().min_by_key(|w| w.load.load(Ordering::Relaxed)).ok_or(Error::Stopped)?;
        let place = Place::take(&self.shared, &worker.load, self.config.calls_max)?;
        let socket = bind(self.config.bind, &self.config.ports)?;
        let failed = |source| Error::Socket { bind: self.config.bind, source };
        socket.set_nonblocking(true).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        mark_as_voice(&socket, local);
        let random = getrandom::u64().map_err(|_| Error::Random)?;
        let [a, b, c, d, e, f, g, h] = random.to_be_bytes();
        let origin = Origin {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]),
            timestamp: u32::from_be_bytes([g, h, a, b]),
        };
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let closed = Arc::new(AtomicBool::new(false));
        let call = Call {
            id,
            socket,
            v6: local.is_ipv6(),
            stream: Stream::new(origin),
            closed: Arc::clone(&closed),
            tag,
            events,
            waiting: VecDeque::new(),
            hear: None,
            _place: place,
        };
        let media = Media { local, id, closed, commands: worker.commands.clone() };
        media.send(Command::Open(Box::new(call)))?;
        Ok(media)
    }

    /// What it has done.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.shared.totals.figures(self.shared.calls.load(Ordering::Relaxed))
    }

    /// Ends all media within a tick; what comes later is answered [`Error::Stopped`].
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} threads, {:?})", self.workers.len(), self.figures())
    }
}

/// The media of one call. Dropping it closes the socket within a tick.
pub struct Media {
    /// The address of the socket, for the SDP.
    pub local: SocketAddr,
    id: u64,
    closed: Arc<AtomicBool>,
    commands: SyncSender<Command>,
}

impl Media {
    /// Takes what offer and answer agreed, at first or again after a re-INVITE.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Stopped`].
    pub fn configure(&self, config: StreamConfig) -> Result<(), Error> {
        self.send(Command::Configure(self.id, Box::new(config)))
    }

    /// Plays clips one after the other without gaps, after what plays already. Each accepted call of it is
    /// answered by exactly one [`MediaEvent::PlayDone`] with this id, unless the media are closed before.
    ///
    /// # Errors
    /// [`Error::Clips`], [`Error::Busy`], [`Error::Stopped`].
    pub fn play(&self, play_id: u64, clips: Vec<Arc<Clip>>) -> Result<(), Error> {
        if clips.len() > CLIPS_PER_PLAY_MAX {
            return Err(Error::Clips { count: clips.len() });
        }
        self.send(Command::Play(self.id, play_id, clips))
    }

    /// Stops the playlist of this id, or everything; no further frame of it is sent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Stopped`].
    pub fn stop(&self, play_id: Option<u64>) -> Result<(), Error> {
        self.send(Command::Stop(self.id, play_id))
    }

    /// Presses a key: RFC 4733 packets, after the presses that wait. What is no key is left out.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Stopped`].
    pub fn press(&self, key: char) -> Result<(), Error> {
        self.send(Command::Press(self.id, key))
    }

    /// From now on gives every accepted packet of audio to `listener`; packets that it is too slow for are
    /// left out.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Stopped`].
    pub fn hear(&self, listener: mpsc::Sender<HeardFrame>) -> Result<(), Error> {
        self.send(Command::Hear(self.id, listener))
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Stopped,
        })
    }
}

impl Drop for Media {
    /// A flag rather than a command: it can neither be refused nor wait.
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Media({})", self.local)
    }
}

/// A call's place among `calls_max`, given back when the call is gone.
struct Place {
    shared: Arc<Shared>,
    load: Arc<AtomicUsize>,
}

impl Place {
    fn take(shared: &Arc<Shared>, load: &Arc<AtomicUsize>, calls_max: usize) -> Result<Self, Error> {
        let more = |calls| (calls < calls_max).then_some(calls + 1);
        if shared.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(Error::Full { calls_max });
        }
        load.fetch_add(1, Ordering::Relaxed);
        Ok(Self { shared: Arc::clone(shared), load: Arc::clone(load) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.calls.fetch_sub(1, Ordering::Relaxed);
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket on a free even port (RFC 3550 §11), chosen at random so that nobody can guess the next call's.
fn bind(ip: IpAddr, ports: &RangeInclusive<u16>) -> Result<UdpSocket, Error> {
    let failed = |source| Error::Socket { bind: ip, source };
    let (first, last) = (*ports.start(), *ports.end());
    if last == 0 {
        let mut socket = UdpSocket::bind((ip, 0)).map_err(failed)?;
        for _ in 0..EVEN_PORT_TRIES {
            if socket.local_addr().map_err(failed)?.port() % 2 == 0 {
                break;
            }
            socket = UdpSocket::bind((ip, 0)).map_err(failed)?;
        }
        return Ok(socket);
    }
    let none = Error::NoPort { first, last };
    let low = u32::from(first) + u32::from(first % 2);
    let Some(span) = (u32::from(last) + 2).checked_sub(low) else { return Err(none) };
    let count = span / 2;
    let begin = getrandom::u32().map_err(|_| Error::Random)?.checked_rem(count).unwrap_or(0);
    for n in 0..count {
        let port = low + 2 * ((begin + n) % count);
        match UdpSocket::bind((ip, u16::try_from(port).unwrap_or(last))) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            bound => return bound.map_err(failed),
        }
    }
    Err(none)
}

/// Buffer and priority are wishes: a system that refuses them still carries the call.
fn mark_as_voice(socket: &UdpSocket, local: SocketAddr) {
    let socket = SockRef::from(socket);
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    let _ = if local.is_ipv6() { socket.set_tclass_v6(TOS_VOICE) } else { socket.set_tos_v4(TOS_VOICE) };
}

/// A call as its thread has it.
struct Call {
    id: u64,
    socket: UdpSocket,
    v6: bool,
    stream: Stream,
    closed: Arc<AtomicBool>,
    tag: u64,
    events: mpsc::Sender<Report>,
    /// Events that the receiver had no room for.
    waiting: VecDeque<MediaEvent>,
    hear: Option<mpsc::Sender<HeardFrame>>,
    _place: Place,
}

impl Call {
    /// One tick: reads what came, then sends what is due.
    fn turn(&mut self, now: Instant, buffers: &mut Buffers, tally: &mut Tally) {
        for _ in 0..DATAGRAMS_PER_TICK {
            let Ok((len, source)) = self.socket.recv_from(&mut *buffers.datagram) else { break };
            let datagram = buffers.datagram.get(..len).unwrap_or_default();
            let audio = self.stream.handle(now, source, datagram);
            if let (Some(packet), Some(listener)) = (audio, &self.hear) {
                // A listener that is slow or gone misses frames; the call does not wait for it.
                let _ = listener.try_send(HeardFrame {
                    sequence: packet.header.sequence,
                    timestamp: packet.header.timestamp,
                    payload: Bytes::copy_from_slice(packet.payload),
                    at: now,
                });
            }
        }
        if let Some((target, len)) = self.stream.tick(now, &mut buffers.frame) {
            let frame = buffers.frame.get(..len).unwrap_or_default();
            if self.socket.send_to(frame, self.address(target)).is_err() {
                tally.send_errors += 1;
            }
        }
        self.report(tally);
        tally.packets.add(self.stream.take_counters());
    }

    /// An IPv6 socket names IPv4 peers as mapped addresses.
    fn address(&self, target: SocketAddr) -> SocketAddr {
        match target.ip() {
            IpAddr::V4(ip) if self.v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), target.port()),
            _ => target,
        }
    }

    fn report(&mut self, tally: &mut Tally) {
        while let Some(event) = self.stream.poll() {
            if self.waiting.len() >= EVENTS_WAITING_MAX {
                self.waiting.pop_front();
                tally.events_lost += 1;
            }
            self.waiting.push_back(event);
        }
        while let Some(event) = self.waiting.front() {
            match self.events.try_send(Report { tag: self.tag, event: *event }) {
                Err(mpsc::error::TrySendError::Full(_)) => break,
                // Nobody listens any more: the call is about to be closed.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => self.waiting.pop_front(),
            };
        }
    }
}

struct Buffers {
    datagram: Box<[u8; DATAGRAM_BYTES_MAX]>,
    frame: [u8; FRAME_BYTES_MAX],
}

/// One thread's calls.
struct Worker {
    now: fn() -> Instant,
    shared: Arc<Shared>,
    pacer: Pacer,
    slots: [BTreeMap<u64, Box<Call>>; SLOTS],
    buffers: Buffers,
}

impl Worker {
    fn new(now: fn() -> Instant, shared: Arc<Shared>) -> Self {
        let buffers = Buffers { datagram: Box::new([0; DATAGRAM_BYTES_MAX]), frame: [0; FRAME_BYTES_MAX] };
        Self { now, shared, pacer: Pacer::new(now()), slots: Default::default(), buffers }
    }

    /// Until the engine is stopped or nobody holds it.
    fn run(mut self, inbox: &Receiver<Command>) {
        while !self.shared.stopped.load(Ordering::Relaxed) {
            let busy = |slot: usize| self.slots.get(slot).is_some_and(|calls| !calls.is_empty());
            let Some((slot, due)) = self.pacer.next(busy) else {
                let Ok(command) = inbox.recv() else { return };
                self.obey(command);
                continue;
            };
            let now = (self.now)();
            if now < due {
                match inbox.recv_timeout(due - now) {
                    Ok(command) => self.obey(command),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                continue;
            }
            self.serve(now, slot);
            for command in inbox.try_iter().take(COMMANDS_PER_TURN) {
                self.obey(command);
            }
        }
    }

    fn serve(&mut self, now: Instant, slot: usize) {
        let turn = self.pacer.take(now, slot);
        let Some(calls) = self.slots.get_mut(slot) else { return };
        calls.retain(|_, call| !call.closed.load(Ordering::Relaxed));
        let mut tally = Tally::default();
        for call in calls.values_mut() {
            let now = (self.now)();
            tally.late(now.saturating_duration_since(turn.due));
            if turn.skipped > 0 {
                call.stream.skip(turn.skipped);
                tally.frames_skipped += u64::from(turn.skipped);
            }
            call.turn(now, &mut self.buffers, &mut tally);
        }
        self.shared.totals.publish(&tally);
    }

    fn obey(&mut self, command: Command) {
        let now = (self.now)();
        let id = match &command {
            Command::Open(call) => call.id,
            Command::Configure(id, _)
            | Command::Play(id, ..)
            | Command::Stop(id, _)
            | Command::Press(id, _)
            | Command::Hear(id, _) => *id,
        };
        if let Command::Open(call) = command {
            self.admit(now, call);
            return;
        }
        // The call may be gone already: its owner spoke and left within one tick.
        let Some(call) = self.slots.iter_mut().find_map(|calls| calls.get_mut(&id)) else { return };
        match command {
            Command::Open(_) => {}
            Command::Configure(_, config) => call.stream.configure(now, *config),
            Command::Play(_, play_id, clips) => call.stream.play(play_id, clips),
            Command::Stop(_, play_id) => call.stream.stop(play_id),
            Command::Press(_, key) => {
                call.stream.press(key);
            }
            Command::Hear(_, listener) => call.hear = Some(listener),
        }
    }

    /// Gives the call to the phase with the fewest.
    fn admit(&mut self, now: Instant, call: Box<Call>) {
        let fewest = self.slots.iter_mut().enumerate().min_by_key(|(_, calls)| calls.len());
        let Some((slot, calls)) = fewest else { return };
        if calls.is_empty() {
            self.pacer.wake(now, slot);
        }
        calls.insert(call.id, call);
    }
}
