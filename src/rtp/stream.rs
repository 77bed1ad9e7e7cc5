//! One call's media, pure: playlists go out as frames, packets come in as keys and audio.
//!
//! Drive it so: [`Stream::handle`] for every datagram, [`Stream::tick`] every 20 ms, and after either
//! [`Stream::poll`] until it gives nothing. It holds no socket and never asks the time. What a stranger sends
//! changes nothing in it but a counter.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::rtp::FRAME_SAMPLES;
use crate::rtp::dtmf::{EventReceiver, EventSender};
use crate::rtp::g711::Codec;
use crate::rtp::packet::{self, Header, Packet};
use crate::rtp::prompt::Clip;
use crate::rtp::source::{Expected, SourceLock, Verdict};

/// Bytes of the largest packet that a tick makes.
pub const FRAME_BYTES_MAX: usize = packet::HEADER_BYTES + FRAME_SAMPLES;

/// Playlists that may wait; one more is answered with `PlayDone { finished: false }`.
pub const PLAYS_MAX: usize = 16;

/// Key presses that may wait to be sent; more are left out.
pub const PRESSES_MAX: usize = 64;

/// A press that we send is down for five frames, and three frames of pause follow its end.
const PRESS_FRAMES: u8 = 5;
const PAUSE_FRAMES: u8 = 3;

/// Frames between two packets of silence with [`Idle::KeepAlive`]: five seconds, below every NAT's patience.
const KEEP_ALIVE_FRAMES: u32 = 250;

const FRAME_STEP: u32 = 160;

/// What is sent while nothing plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Idle {
    /// Nothing.
    Quiet,
    /// One frame of silence every five seconds, which keeps a NAT open.
    KeepAlive,
    /// Silence without a break, for peers that take missing packets for a dead call.
    Silence,
}

/// What offer and answer agreed about one call's audio. Frames are always 20 ms: a ptime is only a wish
/// (RFC 4566 §6).
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The peer's media address in its SDP; `0.0.0.0` or port 0 is hold.
    pub remote: SocketAddr,
    /// The audio format.
    pub codec: Codec,
    /// Its payload type, 0 for PCMU and 8 for PCMA unless the SDP maps another.
    pub payload_type: u8,
    /// The payload type of telephone-event, if agreed. Without it RTP carries no keys.
    pub dtmf_payload_type: Option<u8>,
    /// Whether to follow a peer whose media come from elsewhere than its SDP says (RFC 4961, NAT).
    pub symmetric: bool,
    /// The address that the call's signalling comes from; limits `symmetric` to it.
    pub signalling: Option<IpAddr>,
    /// Whether the peer sends (not on hold by us). Silence is only counted while this is true.
    pub receive: bool,
    /// Whether we send (not on hold by the peer). Prompts pause while this is false.
    pub send: bool,
    /// What is sent while nothing plays.
    pub idle: Idle,
    /// Without a valid packet for so long, [`MediaEvent::Silent`] is reported once; `None` never reports.
    pub silent_after: Option<Duration>,
}

/// What happened in a call's media.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum MediaEvent {
    /// A key was pressed: once for each press, at its first packet.
    Key {
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// When its packet was read.
        at: Instant,
    },
    /// A playlist is over. Every one gets exactly one of these, in the order of their ends.
    PlayDone {
        /// As given to play.
        play_id: u64,
        /// Whether it was played to its end; false when stopped or refused.
        finished: bool,
    },
    /// The first frame of the call's first prompt was handed to the socket.
    FirstSound {
        /// When.
        at: Instant,
    },
    /// No valid packet came for the configured time. Reported again only after one came.
    Silent,
}

impl std::fmt::Debug for MediaEvent {
    /// Keys may be digits of a PIN: they are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key { .. } => f.write_str("Key"),
            Self::PlayDone { play_id, finished } => write!(f, "PlayDone({play_id}, finished: {finished})"),
            Self::FirstSound { .. } => f.write_str("FirstSound"),
            Self::Silent => f.write_str("Silent"),
        }
    }
}

/// Packets of a call, or of many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Packets sent.
    pub sent: u64,
    /// Packets accepted.
    pub received: u64,
    /// Packets of a source that is not, or not yet, the call's.
    pub rejected: u64,
    /// Datagrams that are no RTP, and packets of a payload type that was not agreed.
    pub unreadable: u64,
}

impl Counters {
    /// Adds another's counts.
    pub const fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.rejected += other.rejected;
        self.unreadable += other.unreadable;
    }
}

/// Where a stream's clock starts; random, so that nobody can guess a call's packets (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Our SSRC.
    pub ssrc: u32,
    /// Our first sequence number.
    pub sequence: u16,
    /// Our first timestamp.
    pub timestamp: u32,
}

struct Play {
    id: u64,
    clips: Vec<Arc<Clip>>,
    /// The clip that plays now, and the bytes of it that have gone.
    index: usize,
    offset: usize,
}

/// The media of one call.
pub struct Stream {
    config: Option<StreamConfig>,
    lock: Option<SourceLock>,
    keys: EventReceiver,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Whether the previous tick sent audio: if not, the next packet is marked (RFC 3551 §4.1).
    talking: bool,
    idle_frames: u32,
    sounded: bool,
    plays: VecDeque<Play>,
    presses: VecDeque<EventSender>,
    /// The press that goes out now, with the timestamp that all its packets carry.
    pressing: Option<(EventSender, u32)>,
    pause_frames: u8,
    last_heard: Option<Instant>,
    silent: bool,
    events: VecDeque<MediaEvent>,
    counters: Counters,
}

impl Stream {
    /// A stream that neither sends nor accepts before [`Stream::configure`].
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            config: None,
            lock: None,
            keys: EventReceiver::default(),
            ssrc: origin.ssrc,
            sequence: origin.sequence,
            timestamp: origin.timestamp,
            talking: false,
            idle_frames: 0,
            sounded: false,
            plays: VecDeque::new(),
            presses: VecDeque::new(),
            pressing: None,
            pause_frames: 0,
            last_heard: None,
            silent: false,
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes what offer and answer agreed, at first or again after a re-INVITE. What plays goes on.
    pub fn configure(&mut self, now: Instant, config: StreamConfig) {
        let remote = SocketAddr::new(config.remote.ip().to_canonical(), config.remote.port());
        let signalling = config.signalling.map(|ip| ip.to_canonical());
        let expected = Expected { remote, symmetric: config.symmetric, signalling };
        match &mut self.lock {
            Some(lock) => lock.expect(expected),
            None => self.lock = Some(SourceLock::new(expected)),
        }
        self.last_heard = Some(now);
        self.config = Some(config);
    }

    /// Adds a playlist behind those that wait.
    pub fn play(&mut self, play_id: u64, clips: Vec<Arc<Clip>>) {
        if self.plays.len() >= PLAYS_MAX {
            self.events.push_back(MediaEvent::PlayDone { play_id, finished: false });
            return;
        }
        self.plays.push_back(Play { id: play_id, clips, index: 0, offset: 0 });
    }

    /// Stops the playlist of this id, or all.
    pub fn stop(&mut self, play_id: Option<u64>) {
        let events = &mut self.events;
        self.plays.retain(|play| {
            let stopped = play_id.is_none_or(|id| id == play.id);
            if stopped {
                events.push_back(MediaEvent::PlayDone { play_id: play.id, finished: false });
            }
            !stopped
        });
    }

    /// Sends a key press after those that wait; false for what is no key, or when [`PRESSES_MAX`] wait.
    pub fn press(&mut self, key: char) -> bool {
        let sender = EventSender::new(key, PRESS_FRAMES).filter(|_| self.presses.len() < PRESSES_MAX);
        sender.map(|sender| self.presses.push_back(sender)).is_some()
    }

    /// Reads a datagram. Accepted audio is given back; keys become events.
    pub fn handle<'a>(&mut self, now: Instant, source: SocketAddr, datagram: &'a [u8]) -> Option<Packet<'a>> {
        let (Some(config), Some(lock)) = (&self.config, &mut self.lock) else {
            self.counters.rejected += 1;
            return None;
        };
        let packet = match packet::parse(datagram) {
            Ok(packet) => packet,
            Err(packet::Error::Rtcp) => return None,
            Err(_) => {
                self.counters.unreadable += 1;
                return None;
            }
        };
        let audio = packet.header.payload_type == config.payload_type;
        let event = config.dtmf_payload_type == Some(packet.header.payload_type);
        if !audio && !event {
            self.counters.unreadable += 1;
            return None;
        }
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        if lock.judge(now, source, &packet.header) != Verdict::Accept {
            self.counters.rejected += 1;
            return None;
        }
        self.counters.received += 1;
        self.last_heard = Some(now);
        self.silent = false;
        if event {
            if let Some(key) = self.keys.handle(now, &packet.header, packet.payload) {
                self.events.push_back(MediaEvent::Key { key, at: now });
            }
            return None;
        }
        Some(packet)
    }

    /// Moves on by one frame. The packet to send, if any, is in the first bytes of `out`.
    pub fn tick(&mut self, now: Instant, out: &mut [u8; FRAME_BYTES_MAX]) -> Option<(SocketAddr, usize)> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME_STEP);
        self.watch_silence(now);
        let config = self.config.as_ref()?;
        if !config.send {
            self.talking = false;
            return None;
        }
        let (codec, payload_type, dtmf, idle) =
            (config.codec, config.payload_type, config.dtmf_payload_type, config.idle);
        let target = self.lock.as_ref()?.target()?;
        let mut frame = [0; FRAME_SAMPLES];
        let mut header =
            Header { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        let written = if let Some((marker, payload, began)) = self.next_press(timestamp, dtmf) {
            self.talking = false;
            header = Header { marker, payload_type: dtmf.unwrap_or_default(), timestamp: began, ..header };
            packet::write(&header, &payload, out)
        } else if self.next_frame(codec, &mut frame) {
            if !std::mem::replace(&mut self.sounded, true) {
                self.events.push_back(MediaEvent::FirstSound { at: now });
            }
            header.marker = !std::mem::replace(&mut self.talking, true);
            packet::write(&header, &frame, out)
        } else if self.idle_due(idle) {
            header.marker = !std::mem::replace(&mut self.talking, idle == Idle::Silence);
            frame.fill(codec.silence());
            packet::write(&header, &frame, out)
        } else {
            self.talking = false;
            return None;
        };
        self.idle_frames = 0;
        self.sequence = self.sequence.wrapping_add(1);
        self.counters.sent += 1;
        written.ok().map(|len| (target, len))
    }

    /// Lets `frames` ticks pass that came too late to be sent: the clock moves on, the prompts wait.
    pub fn skip(&mut self, frames: u32) {
        self.timestamp = self.timestamp.wrapping_add(FRAME_STEP.wrapping_mul(frames));
        self.talking = false;
    }

    /// What happened, oldest first.
    pub fn poll(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// The counts since they were last taken.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    fn watch_silence(&mut self, now: Instant) {
        let Some(config) = &self.config else { return };
        if !config.receive {
            self.last_heard = Some(now);
            return;
        }
        let (Some(after), Some(last)) = (config.silent_after, self.last_heard) else { return };
        if !self.silent && now.duration_since(last) >= after {
            self.silent = true;
            self.events.push_back(MediaEvent::Silent);
        }
    }

    /// Marker, payload and timestamp of the press that goes out now; starts the next one after its pause.
    fn next_press(&mut self, timestamp: u32, agreed: Option<u8>) -> Option<(bool, [u8; 4], u32)> {
        agreed?;
        if self.pressing.is_none() {
            if self.pause_frames > 0 {
                self.pause_frames -= 1;
                return None;
            }
            self.pressing = self.presses.pop_front().map(|sender| (sender, timestamp));
        }
        let (sender, began) = self.pressing.as_mut()?;
        if let Some((marker, payload)) = sender.next_packet() {
            return Some((marker, payload, *began));
        }
        self.pressing = None;
        self.pause_frames = PAUSE_FRAMES;
        None
    }

    /// Fills a frame from the playlists; false when there is nothing to play.
    fn next_frame(&mut self, codec: Codec, frame: &mut [u8; FRAME_SAMPLES]) -> bool {
        while let Some(play) = self.plays.front_mut() {
            let filled = play.fill(codec, frame);
            if filled > 0 {
                if let Some(rest) = frame.get_mut(filled..) {
                    rest.fill(codec.silence());
                }
                return true;
            }
            self.events.push_back(MediaEvent::PlayDone { play_id: play.id, finished: true });
            self.plays.pop_front();
        }
        false
    }

    fn idle_due(&mut self, idle: Idle) -> bool {
        self.idle_frames = self.idle_frames.saturating_add(1);
        match idle {
            Idle::Quiet => false,
            Idle::KeepAlive => self.idle_frames >= KEEP_ALIVE_FRAMES,
            Idle::Silence => true,
        }
    }
}

impl Play {
    /// Copies the next bytes, across clips without a gap; how many there were.
    fn fill(&mut self, codec: Codec, frame: &mut [u8; FRAME_SAMPLES]) -> usize {
        let mut filled = 0;
        while let Some(clip) = self.clips.get(self.index) {
            let rest = clip.bytes(codec).get(self.offset..).unwrap_or_default();
            let space = frame.get_mut(filled..).unwrap_or_default();
            let count = rest.len().min(space.len());
            if let (Some(to), Some(from)) = (space.get_mut(..count), rest.get(..count)) {
                to.copy_from_slice(from);
            }
            filled += count;
            if count < rest.len() {
                self.offset += count;
                break;
            }
            self.index += 1;
            self.offset = 0;
        }
        filled
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} waiting to play, {:?})", self.plays.len(), self.counters)
    }
}

#[cfg(test)]
mod tests;
