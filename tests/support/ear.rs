//! The ear of a telephone: takes the RTP that the daemon sends, and knows every clip of the shipped prompts by its bytes.
//! G.711 passes the daemon's path bit for bit, so nothing has to be guessed; the recogniser is the tests' own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keytone::rtp::{Clip, Codec};

use super::{now, root};

/// Bytes, samples and timestamp units of one packet.
const FRAME: usize = 160;

/// Every shipped clip.
pub(crate) fn clips() -> &'static [Clip] {
    static CLIPS: OnceLock<Vec<Clip>> = OnceLock::new();
    CLIPS.get_or_init(read_clips)
}

fn read_clips() -> Vec<Clip> {
    let prompts = root().join("prompts");
    let mut clips = Vec::new();
    let mut folders = vec![prompts.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "wav") {
                let name = path.strip_prefix(&prompts).unwrap().with_extension("");
                clips.push(Clip::from_wav(name.to_str().unwrap(), &std::fs::read(&path).unwrap()).unwrap());
            }
        }
    }
    assert!(!clips.is_empty(), "no clips under {}", prompts.display());
    clips
}

/// A clip that was heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    /// Its name: `en/msg/enter-pin.0`.
    pub(crate) name: String,
    /// The names of other clips with the same sound: messages share words.
    pub(crate) alike: Vec<String>,
    /// Whether it was heard to its end.
    pub(crate) whole: bool,
    /// Where it lies in the audio: samples from the first packet.
    pub(crate) from: usize,
    /// Where it ends.
    pub(crate) to: usize,
}

impl Heard {
    /// Whether it goes by this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name || self.alike.iter().any(|n| n == name)
    }

    /// The messages that begin with it: `en/msg/enter-pin.0` begins `enter-pin`.
    pub(crate) fn begun(&self) -> impl Iterator<Item = &str> {
        let begun = |name| str::strip_suffix(str::split_once(name, "/msg/")?.1, ".0");
        std::iter::once(&self.name).chain(&self.alike).filter_map(move |name| begun(name))
    }

    /// Whether this message begins with it.
    pub(crate) fn begins(&self, message: &str) -> bool {
        self.begun().any(|m| m == message)
    }
}

/// What was heard, for people.
pub(crate) fn names(heard: &[Heard]) -> Vec<String> {
    let name = |h: &Heard| if h.whole { h.name.clone() } else { format!("{}…", h.name) };
    heard.iter().map(name).collect()
}

/// The clips in audio without holes that begins with a packet. Silence between them is stepped over: a clip is looked for
/// from its first sound on.
pub(crate) fn recognise(talk: &[u8], codec: Codec) -> Vec<Heard> {
    let silence = codec.encode(0);
    let sounds: Vec<(&Clip, &[u8])> = clips()
        .iter()
        .map(|clip| {
            let bytes = clip.bytes(codec);
            let first = bytes.iter().position(|b| *b != silence).unwrap_or(0);
            let last = bytes.iter().rposition(|b| *b != silence).map_or(bytes.len(), |n| n + 1);
            (clip, &bytes[first..last])
        })
        .collect();
    let mut heard = Vec::new();
    let mut at = 0;
    while at < talk.len() {
        if talk[at] == silence {
            at += 1;
            continue;
        }
        let alike = |sound: &[u8]| talk[at..].iter().zip(sound).take_while(|(a, b)| a == b).count();
        let (clip, sound, same) = sounds
            .iter()
            .map(|(clip, sound)| (clip, sound, alike(sound)))
            .max_by_key(|(_, sound, same)| (*same == sound.len(), *same))
            .unwrap();
        let whole = same == sound.len();
        // What is cut off ends with a packet, and something else begins with the next.
        let end = if whole { at + same } else { (at + same) / FRAME * FRAME };
        if whole || end >= at + FRAME / 2 {
            let alike = sounds.iter().filter(|(other, s)| s == sound && other.name() != clip.name());
            let alike = alike.map(|(other, _)| other.name().to_owned()).collect();
            heard.push(Heard { name: clip.name().to_owned(), alike, whole, from: at, to: end });
            at = end;
        } else {
            at = (at / FRAME + 1) * FRAME;
        }
    }
    heard
}

/// One packet's arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// When.
    pub(crate) at: Instant,
    /// Whether it was audio (not an event).
    pub(crate) audio: bool,
}

#[derive(Default)]
struct Sound {
    /// Payload by place in the stream, counted from the first packet.
    audio: BTreeMap<u16, Vec<u8>>,
    first: Option<u16>,
    arrivals: Vec<Arrival>,
    sources: BTreeSet<SocketAddr>,
}

/// A port that listens until it is dropped.
pub(crate) struct Ear {
    /// The port.
    pub(crate) port: u16,
    codec: Codec,
    socket: UdpSocket,
    sound: Arc<Mutex<Sound>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Opens a port on loopback.
    pub(crate) fn open(codec: Codec) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let sound = Arc::new(Mutex::new(Sound::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mouth = socket.try_clone().unwrap();
        let thread = std::thread::spawn({
            let (sound, stop) = (sound.clone(), stop.clone());
            move || listen(&socket, &sound, &stop)
        });
        Self { port, codec, socket: mouth, sound, stop, thread: Some(thread) }
    }

    /// The clips heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let talk = self.sound.lock().unwrap().audio.values().flatten().copied().collect::<Vec<u8>>();
        recognise(&talk, self.codec)
    }

    /// When packets came.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.sound.lock().unwrap().arrivals.clone()
    }

    /// Sends a packet from the ear's port.
    pub(crate) fn send(&self, to: SocketAddr, packet: &[u8]) {
        self.socket.send_to(packet, to).unwrap();
    }

    /// From where packets came.
    pub(crate) fn sources(&self) -> Vec<SocketAddr> {
        self.sound.lock().unwrap().sources.iter().copied().collect()
    }
}

fn listen(socket: &UdpSocket, sound: &Mutex<Sound>, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, source)) = socket.recv_from(&mut buffer) else { continue };
        let packet = &buffer[..length];
        if length < 12 || packet[0] >> 6 != 2 {
            continue;
        }
        let audio = packet[1] & 0x7f < 96;
        let mut sound = sound.lock().unwrap();
        sound.arrivals.push(Arrival { at: now(), audio });
        sound.sources.insert(source);
        if audio {
            let sequence = u16::from_be_bytes([packet[2], packet[3]]);
            let first = *sound.first.get_or_insert(sequence);
            sound.audio.insert(sequence.wrapping_sub(first), packet[12..].to_vec());
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
