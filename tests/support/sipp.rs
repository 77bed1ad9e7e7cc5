//! A telephone made of a real sipp. A test says what the caller hears and does; here it becomes a sipp scenario, and a
//! conductor that lets sipp go on when the ear has heard what was waited for (sipp's third-party control: a TCP line over
//! which it says where it stands and waits to be told to go on). So no test guesses how long a prompt takes.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keytone::rtp::Codec;

use super::daemon::House;
use super::ear::{Ear, Heard, names};
use super::pcap::{Network, PAYLOAD_TYPE};
use super::scenario::Scenario;
use super::{now, tail, wait_for};

/// How long a caller waits for a message before the test has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// sipp gives up by itself after this.
const CALL_MAX: Duration = Duration::from_secs(60);
/// The ear's port lies so far above the one that sipp takes for itself.
pub(super) const EAR_ABOVE: u16 = 10;

/// How keys travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keys {
    /// RFC 4733, from a capture file.
    Events(Network),
    /// RFC 4733, by sipp's own `play_dtmf`: payload type 96, overlapping timestamps.
    PlayDtmf,
    /// SIP INFO, `application/dtmf-relay`.
    Info,
    /// SIP INFO, `application/dtmf`: the key alone.
    InfoPlain,
}

impl Keys {
    const GOOD: Self = Self::Events(Network::Good);

    pub(super) const fn payload_type(self) -> u8 {
        if matches!(self, Self::PlayDtmf) { 96 } else { PAYLOAD_TYPE }
    }

    /// Whether sipp writes packets by itself, for which it needs a raw socket.
    pub(super) const fn is_raw(self) -> bool {
        matches!(self, Self::Events(_) | Self::PlayDtmf)
    }
}

/// What the ear waits for.
#[derive(Debug)]
enum Awaited {
    Message(String),
    Clip(String),
}

impl Awaited {
    fn is(&self, heard: &Heard) -> bool {
        heard.whole
            && match self {
                Self::Message(message) => heard.begins(message),
                Self::Clip(name) => heard.is(name),
            }
    }
}

/// What the conductor does where sipp stops.
enum Gate<'a> {
    Hear(Awaited),
    Do(Box<dyn FnOnce(&Ear) + 'a>),
    /// Sipp goes on first.
    After(Box<dyn FnOnce() + 'a>),
}

/// A caller and the plan of the call.
pub(crate) struct Phone<'a> {
    target: SocketAddr,
    house: &'a House,
    pub(super) service: String,
    pub(super) from: String,
    pub(super) headers: Vec<String>,
    pub(super) keys: Keys,
    pub(super) codec: Codec,
    pub(super) late_offer: bool,
    pub(super) plan: Vec<Act>,
    gates: Vec<Gate<'a>>,
}

/// One step of a plan.
pub(super) enum Act {
    /// sipp stops until the conductor lets it go on.
    Gate,
    Press(String),
    /// A re-INVITE with this direction.
    Offer(&'static str),
    Options,
    TheyEnd,
    WeEnd,
    Refused(u16),
    Cancel,
    Cancelled,
}

/// What came of a call.
pub(crate) struct Spoken {
    /// Names of clips in order; one that was cut off ends in `…`.
    pub(crate) clips: Vec<String>,
    /// The same with their places in the audio.
    pub(crate) heard: Vec<Heard>,
    /// sipp's own record of the messages.
    pub(crate) messages: String,
}

impl Spoken {
    /// The messages that were begun, in order.
    pub(crate) fn messages_said(&self) -> Vec<&str> {
        self.heard.iter().flat_map(Heard::begun).collect()
    }

    /// Fails the test unless this message was begun.
    pub(crate) fn assert_said(&self, message: &str) {
        assert!(self.messages_said().contains(&message), "{message} was not said; heard {:?}", self.clips);
    }

    /// Fails the test if this message was begun.
    pub(crate) fn assert_not_said(&self, message: &str) {
        assert!(!self.messages_said().contains(&message), "{message} was said; heard {:?}", self.clips);
    }
}

impl<'a> Phone<'a> {
    /// A telephone that calls the recharge service of a house.
    pub(crate) fn of(house: &'a House, msisdn: &str) -> Self {
        Self {
            target: house.sip,
            house,
            service: "12584".to_owned(),
            from: format!("<sip:{msisdn}@127.0.0.1>"),
            headers: Vec::new(),
            keys: Keys::Info,
            codec: Codec::Pcmu,
            late_offer: false,
            plan: Vec::new(),
            gates: Vec::new(),
        }
    }

    /// The same, with keys as RFC 4733 events.
    pub(crate) fn with_events(house: &'a House, msisdn: &str) -> Self {
        Self::of(house, msisdn).keys(Keys::GOOD)
    }

    pub(crate) fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    pub(crate) fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Another From, with angle brackets, without tag.
    pub(crate) fn from(mut self, from: &str) -> Self {
        from.clone_into(&mut self.from);
        self
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    pub(crate) fn service(mut self, user: &str) -> Self {
        user.clone_into(&mut self.service);
        self
    }

    /// The INVITE brings no SDP; the answer's offer is answered in the ACK.
    pub(crate) fn late_offer(mut self) -> Self {
        self.late_offer = true;
        self
    }

    /// Waits until the first words of a message have been heard, after those that were waited for before.
    pub(crate) fn hear(mut self, message: &str) -> Self {
        self.gates.push(Gate::Hear(Awaited::Message(message.to_owned())));
        self.plan.push(Act::Gate);
        self
    }

    /// Waits until one clip has been heard to its end, after those that were waited for before.
    pub(crate) fn hear_clip(mut self, name: &str) -> Self {
        self.gates.push(Gate::Hear(Awaited::Clip(name.to_owned())));
        self.plan.push(Act::Gate);
        self
    }

    /// Does something at this point of the call.
    pub(crate) fn then(mut self, act: impl FnOnce(&Ear) + 'a) -> Self {
        self.gates.push(Gate::Do(Box::new(act)));
        self.plan.push(Act::Gate);
        self
    }

    pub(crate) fn press(mut self, keys: &str) -> Self {
        self.plan.push(Act::Press(keys.to_owned()));
        self
    }

    /// A re-INVITE with this direction, such as `sendonly`.
    pub(crate) fn offer(mut self, direction: &'static str) -> Self {
        self.plan.push(Act::Offer(direction));
        self
    }

    /// OPTIONS inside the call.
    pub(crate) fn options(mut self) -> Self {
        self.plan.push(Act::Options);
        self
    }

    /// The daemon hangs up; the call is over.
    pub(crate) fn they_end(mut self) -> Spoken {
        self.plan.push(Act::TheyEnd);
        self.run()
    }

    /// The caller hangs up; the call is over.
    pub(crate) fn hang_up(mut self) -> Spoken {
        self.plan.push(Act::WeEnd);
        self.run()
    }

    /// The daemon dies; nobody says goodbye. Gives how it ended.
    pub(crate) fn cut_off(self) -> std::process::ExitStatus {
        let house = self.house;
        let ended = std::rc::Rc::new(std::cell::Cell::new(None));
        let tell = ended.clone();
        self.then(move |_| tell.set(Some(house.wait_end()))).run();
        ended.get().unwrap()
    }

    /// The call is refused with this status.
    pub(crate) fn refused(mut self, status: u16) -> Spoken {
        self.plan.push(Act::Refused(status));
        self.run()
    }

    /// The caller gives up before an answer: INVITE and CANCEL are sent, then `let_answer` runs.
    pub(crate) fn cancel(mut self, let_answer: impl FnOnce() + 'a) {
        self.plan.extend([Act::Cancel, Act::Gate, Act::Cancelled]);
        self.gates.push(Gate::After(Box::new(let_answer)));
        self.run();
    }

    /// The whole recharge of the own number with 50, by a caller who waits for each question.
    pub(crate) fn recharge_own(self, pin: &str) -> Self {
        self.hear("confirm-number").recharge_after_confirm(pin)
    }

    /// The same after the first question has been heard.
    pub(crate) fn recharge_after_confirm(self, pin: &str) -> Self {
        self.press("1").amount("50#").press(&format!("{pin}#")).hear("recharged")
    }

    /// Answers the question for the amount, and waits for the one for the PIN.
    pub(crate) fn amount(self, amount: &str) -> Self {
        self.hear("enter-amount").press(amount).hear("enter-pin")
    }

    fn run(mut self) -> Spoken {
        let (ear, media_port) = ear(self.codec);
        let folder = tempfile::Builder::new().prefix("keytone-sipp-").tempdir().unwrap();
        let scenario = Scenario::write(&self, folder.path());
        std::fs::write(folder.path().join("call.xml"), scenario).unwrap();
        let twin = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sipp = self.spawn(folder.path(), media_port, &twin);
        let gates = std::mem::take(&mut self.gates);
        let conducted = self.conduct(gates, &twin, &ear, &mut sipp);
        if conducted.is_err() {
            let _ = sipp.kill();
        }
        let status = wait_for("sipp ends", CALL_MAX, || sipp.try_wait().unwrap());
        let error = conducted.err().or_else(|| (!status.success()).then(|| format!("sipp: {status}")));
        if let Some(error) = error {
            let heard = names(&ear.heard());
            let sipp_says = tail(&folder.path().join("errors"), 30);
            let messages = tail(&folder.path().join("messages"), 40);
            let house = self.house.log_tail();
            panic!("{error}\nheard: {heard:?}\nsipp: {sipp_says}\n{messages}\n{house}");
        }
        let messages = std::fs::read_to_string(folder.path().join("messages")).unwrap_or_default();
        let heard = ear.heard();
        Spoken { clips: names(&heard), heard, messages }
    }

    fn spawn(&self, folder: &Path, media_port: u16, twin: &TcpListener) -> Child {
        let mut command = sipp(self.keys.is_raw());
        command.arg(self.target.to_string()).args(["-sf", "call.xml", "-s", &self.service]);
        command.args(["-i", "127.0.0.1", "-p", "0", "-mi", "127.0.0.1", "-mp", &media_port.to_string()]);
        command.args(["-m", "1", "-nostdin", "-timeout", &CALL_MAX.as_secs().to_string(), "-timeout_error"]);
        command.args(["-trace_err", "-error_file", "errors", "-trace_msg", "-message_file", "messages"]);
        if !self.gates.is_empty() {
            command.args(["-3pcc", &twin.local_addr().unwrap().to_string()]);
        }
        command.current_dir(folder).env("TERM", "xterm").stdin(Stdio::null());
        let screen = File::create(folder.join("screen")).unwrap();
        command.stdout(screen).stderr(File::create(folder.join("stderr")).unwrap());
        command.spawn().unwrap_or_else(|e| panic!("cannot start sipp (package sip-tester): {e}"))
    }

    /// Lets sipp go on from each of its stops when it is time.
    fn conduct(
        &self,
        gates: Vec<Gate<'a>>,
        twin: &TcpListener,
        ear: &Ear,
        sipp: &mut Child,
    ) -> Result<(), String> {
        if gates.is_empty() {
            return Ok(());
        }
        let mut line = Line::accept(twin, sipp)?;
        let mut heard = 0;
        for gate in gates {
            let call = line.stopped(sipp)?;
            match gate {
                Gate::Hear(awaited) => heard = await_clip(ear, &awaited, heard, sipp)?,
                Gate::Do(act) => act(ear),
                Gate::After(act) => {
                    line.go(&call)?;
                    // Time for sipp to be where it takes answers.
                    std::thread::sleep(Duration::from_millis(200));
                    act();
                    continue;
                }
            }
            line.go(&call)?;
        }
        Ok(())
    }
}

/// sipp, with the right to raw sockets where it needs one.
fn sipp(raw: bool) -> Command {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if root || !raw {
        return Command::new("sipp");
    }
    let allowed = Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null()).status();
    assert!(
        allowed.is_ok_and(|s| s.success()),
        "sipp sends RFC 4733 events by a raw socket: run the tests as root or with sudo that asks for no password"
    );
    let mut command = Command::new("sudo");
    command.args(["-n", "sipp"]);
    command
}

/// An ear, and a free port below it for sipp's own media socket.
fn ear(codec: Codec) -> (Ear, u16) {
    for _ in 0..50 {
        let ear = Ear::open(codec);
        let below = ear.port - EAR_ABOVE;
        // sipp takes the port and the second after it.
        if (0..4).all(|n| UdpSocket::bind(("127.0.0.1", below + n)).is_ok()) {
            return (ear, below);
        }
    }
    panic!("no free ports for sipp's media");
}

/// Waits for a clip after the first `known`; gives how many are known then.
fn await_clip(ear: &Ear, awaited: &Awaited, known: usize, sipp: &mut Child) -> Result<usize, String> {
    let deadline = now() + PATIENCE;
    loop {
        let heard = ear.heard();
        if let Some(at) = heard.iter().skip(known).position(|h| awaited.is(h)) {
            return Ok(known + at + 1);
        }
        if now() > deadline {
            return Err(format!("the caller waited for {awaited:?}"));
        }
        if let Some(status) = sipp.try_wait().unwrap() {
            return Err(format!("sipp ended with {status} while the caller waited for {awaited:?}"));
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

/// The line to sipp: messages end with an escape character.
struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

const END: u8 = 0x1b;

impl Line {
    fn accept(twin: &TcpListener, sipp: &mut Child) -> Result<Self, String> {
        twin.set_nonblocking(true).map_err(|e| e.to_string())?;
        let deadline = now() + PATIENCE;
        loop {
            match twin.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).map_err(|e| e.to_string())?;
                    stream.set_read_timeout(Some(Duration::from_millis(50))).map_err(|e| e.to_string())?;
                    return Ok(Self { stream, read: Vec::new() });
                }
                Err(_) if now() > deadline => return Err("sipp does not connect".to_owned()),
                Err(_) => {
                    if let Some(status) = sipp.try_wait().unwrap() {
                        return Err(format!("sipp ended at once with {status}"));
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// Waits until sipp stops at its next gate; gives the Call-ID.
    fn stopped(&mut self, sipp: &mut Child) -> Result<String, String> {
        let deadline = now() + CALL_MAX;
        let mut buffer = [0; 1024];
        loop {
            if let Some(at) = self.read.iter().position(|b| *b == END) {
                let message: Vec<u8> = self.read.drain(..=at).collect();
                let message = String::from_utf8_lossy(&message).into_owned();
                let call = message.lines().find_map(|l| l.trim().strip_prefix("Call-ID: "));
                return call.map(str::to_owned).ok_or_else(|| format!("sipp said {message:?}"));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    return Err("sipp hung up its line: the call went another way than planned".to_owned());
                }
                Ok(length) => self.read.extend(&buffer[..length]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e.to_string()),
            }
            if now() > deadline || sipp.try_wait().unwrap().is_some() && self.read.is_empty() {
                return Err("sipp did not come to the next point of the plan".to_owned());
            }
        }
    }

    fn go(&mut self, call: &str) -> Result<(), String> {
        let message = format!("Call-ID: {call}\r\nGo: on\r\n\r\n\x1b");
        self.stream.write_all(message.as_bytes()).map_err(|e| e.to_string())
    }
}
