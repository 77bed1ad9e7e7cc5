//! A telephone of bare UDP: sends what no decent telephone sends, and times what comes back.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keytone::rtp::Codec;

use super::ear::Ear;
use super::{now, wait_for};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that faces the daemon.
pub(crate) struct Wire {
    socket: UdpSocket,
    target: SocketAddr,
}

/// A call that was answered.
pub(crate) struct Dialled {
    call: String,
    from: String,
    to: String,
    target: String,
    cseq: u32,
}

/// How quick a call was.
pub(crate) struct Timed {
    /// From the 200 to the first audio.
    pub(crate) first_sound: Duration,
    /// From a key's INFO to the last audio of the prompt.
    pub(crate) silence_after_key: Duration,
}

/// The value of a header, by its full name.
pub(crate) fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let is_it = |line: &&str| line.split_once(':').is_some_and(|(n, _)| n.trim().eq_ignore_ascii_case(name));
    let line = message.lines().take_while(|line| !line.is_empty()).find(is_it)?;
    Some(line.split_once(':')?.1.trim())
}

/// The status of a response; zero for anything else.
pub(crate) fn status(message: &str) -> u16 {
    let code = message.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

impl Wire {
    /// A socket for a daemon.
    pub(crate) fn to(target: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { socket, target }
    }

    /// A word that was never used before, for branches, tags and Call-IDs.
    pub(crate) fn fresh() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("w{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends bytes as one datagram.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.target).unwrap();
    }

    /// The next datagram, if one comes in time.
    pub(crate) fn receive(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 65_535];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Sends a request and gives its final answer.
    pub(crate) fn ask(&self, request: &str) -> String {
        self.try_ask(request.as_bytes(), PATIENCE).unwrap_or_else(|| panic!("no answer to\n{request}"))
    }

    /// Sends a request and gives its final answer, if one comes in time. Answers to other requests are passed over.
    pub(crate) fn try_ask(&self, request: &[u8], within: Duration) -> Option<String> {
        let text = String::from_utf8_lossy(request).into_owned();
        let cseq = header(&text, "CSeq").map(str::to_owned);
        self.send(request);
        let deadline = now() + within;
        loop {
            let left = deadline.checked_duration_since(now())?.max(Duration::from_millis(1));
            let answer = self.receive(left)?;
            let same = cseq.is_none()
                || header(&answer, "CSeq").or_else(|| header(&answer, "CSEQ")) == cseq.as_deref();
            if status(&answer) >= 200 && same {
                return Some(answer);
            }
        }
    }

    /// Our address as it stands in Via and Contact.
    pub(crate) fn here(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// A description of media at a port.
    pub(crate) fn sdp(port: u16) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
        )
    }

    /// A request outside of any call, to a user or with a whole URI.
    pub(crate) fn request(&self, method: &str, uri: &str, from: &str, body: &str) -> String {
        let (here, target, word) = (self.here(), self.target, Self::fresh());
        let uri = if uri.contains(['@', ' ']) || uri.starts_with("tel:") {
            uri.to_owned()
        } else {
            format!("sip:{}@{target}", uri.trim_start_matches("sip:"))
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let length = body.len();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{word};rport\r\nMax-Forwards: 70\r\n\
             From: \"A\" <sip:{from}@127.0.0.1>;tag={word}\r\nTo: <sip:12580@{target}>\r\nCall-ID: {word}@wire\r\n\
             CSeq: 1 {method}\r\nContact: <sip:caller@{here}>\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Takes an answered INVITE for a call, acknowledges it, and gives what is needed to go on.
    pub(crate) fn established(&self, invite: &str, answer: &str) -> Dialled {
        let contact = header(answer, "Contact").expect("a 200 names a contact");
        let target = contact.split(['<', '>']).nth(1).unwrap().to_owned();
        let value = |name: &str| header(answer, name).map(str::to_owned);
        let dialled = Dialled {
            call: value("Call-ID").unwrap_or_else(|| header(invite, "Call-ID").unwrap().to_owned()),
            from: value("From").unwrap(),
            to: value("To").unwrap(),
            target,
            cseq: 1,
        };
        self.send(dialled.text(self, "ACK", 1, "", "").as_bytes());
        dialled
    }

    /// Calls the recharge service.
    pub(crate) fn call(&self, from: &str, media_port: u16) -> Dialled {
        let invite = self.request("INVITE", "12584", from, &Self::sdp(media_port));
        let answer = self.ask(&invite);
        assert_eq!(status(&answer), 200, "{answer}");
        self.established(&invite, &answer)
    }

    /// A call that measures how soon it hears something, and how soon a prompt falls silent after a key.
    pub(crate) fn timed_call(&self, from: &str) -> Timed {
        let ear = Ear::open(Codec::Pcmu);
        let mut call = self.call(from, ear.port);
        let answered = now();
        let first = wait_for("a sound", PATIENCE, || ear.arrivals().iter().find(|a| a.audio).copied());
        let heard = |message: &str| ear.heard().iter().any(|h| h.begins(message));
        wait_for("the first question", PATIENCE, || heard("confirm-number").then_some(()));
        call.press(self, '1');
        wait_for("the question for the amount", PATIENCE, || heard("enter-amount").then_some(()));
        let pressed = now();
        // One digit of an amount: the prompt stops and nothing else is said.
        call.press(self, '5');
        std::thread::sleep(Duration::from_millis(500));
        let (before, after): (Vec<_>, Vec<_>) =
            ear.arrivals().into_iter().filter(|a| a.audio).partition(|a| a.at < pressed);
        let playing = pressed.saturating_duration_since(before.last().unwrap().at);
        assert!(playing < Duration::from_millis(100), "nothing was playing when the key was pressed");
        let last = after.last().map_or(pressed, |a| a.at);
        call.hang_up(self);
        Timed {
            first_sound: first.at.saturating_duration_since(answered),
            silence_after_key: last.saturating_duration_since(pressed),
        }
    }
}

impl Dialled {
    /// A request inside the call.
    pub(crate) fn text(&self, wire: &Wire, method: &str, cseq: u32, kind: &str, body: &str) -> String {
        let Self { call, from, to, target, .. } = self;
        let (here, word) = (wire.here(), Wire::fresh());
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let length = body.len();
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{word};rport\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{here}>\r\n\
             {kind}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Presses a key by INFO.
    pub(crate) fn press(&mut self, wire: &Wire, key: char) {
        self.cseq += 1;
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let answer = wire.ask(&self.text(wire, "INFO", self.cseq, "application/dtmf-relay", &body));
        assert_eq!(status(&answer), 200, "{answer}");
    }

    /// Hangs up.
    pub(crate) fn hang_up(mut self, wire: &Wire) {
        self.cseq += 1;
        let answer = wire.ask(&self.text(wire, "BYE", self.cseq, "", ""));
        assert_eq!(status(&answer), 200, "{answer}");
    }
}
