//! One endpoint on hand-set time, and text messages to try it with.

use bytes::Bytes;
use keytone::clock::Clock;
use keytone::sip::config::EndpointConfig;
use keytone::sip::config::Network;
use keytone::sip::config::Trunk;
use keytone::sip::endpoint::Endpoint;
use keytone::sip::event::CallKey;
use keytone::sip::event::Command;
use keytone::sip::event::Event;
use keytone::sip::event::Incoming;
use keytone::sip::event::Input;
use keytone::sip::event::Output;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                              m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// A configuration that everybody may call.
pub(crate) fn open_config() -> EndpointConfig {
    let everywhere = ["0.0.0.0/0", "::/0"].map(|n| n.parse::<Network>().unwrap()).to_vec();
    EndpointConfig::new(vec![Trunk { name: "all".to_owned(), networks: everywhere, calls_max: 10_000 }])
}

pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// What the endpoint sent and has not been looked at.
    pub(crate) sent: Vec<String>,
    /// Where it went.
    pub(crate) sent_to: Vec<SocketAddr>,
    pub(crate) events: Vec<Event>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(open_config())
    }

    pub(crate) fn with(config: EndpointConfig) -> Self {
        Self {
            endpoint: Endpoint::new(config, [7; 32]),
            now: Clock::machine().instant(),
            peer: "192.0.2.1:5060".parse().unwrap(),
            local: "198.51.100.1:5060".parse().unwrap(),
            sent: Vec::new(),
            sent_to: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: impl Into<Bytes>) {
        let (source, local) = (self.peer, self.local);
        self.endpoint.handle(self.now, Input::Datagram { source, local, bytes: bytes.into() });
        self.drain();
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.endpoint.handle(self.now, Input::Command(command));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Send { destination, bytes, .. } => {
                    self.sent.push(String::from_utf8_lossy(&bytes).into_owned());
                    self.sent_to.push(destination);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(crate) fn wait(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(deadline) = self.endpoint.next_deadline().filter(|d| *d <= end) {
            self.now = self.now.max(deadline);
            self.endpoint.handle(self.now, Input::Tick);
            self.drain();
        }
        self.now = end;
        self.endpoint.handle(self.now, Input::Tick);
        self.drain();
    }

    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    /// Takes what was sent since the last look.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.sent_to.clear();
        std::mem::take(&mut self.sent)
    }

    /// Statuses (or methods) of what was sent since the last look.
    pub(crate) fn statuses(&mut self) -> Vec<String> {
        self.take().iter().map(|m| kind(m)).collect()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Names of the events since the last look.
    pub(crate) fn event_names(&mut self) -> Vec<String> {
        let name = |e: &Event| format!("{e:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
        self.take_events().iter().map(name).collect()
    }

    /// The call that was just announced.
    pub(crate) fn incoming(&mut self) -> Incoming {
        let events = self.take_events();
        let found = events.into_iter().find_map(|e| if let Event::Incoming(i) = e { Some(*i) } else { None });
        found.unwrap_or_else(|| panic!("no incoming call; sent {:?}", self.sent))
    }

    /// INVITE answered 200 and acknowledged; returns the call and our tag.
    pub(crate) fn established(&mut self) -> (CallKey, String) {
        self.bytes(invite("z9hG4bKinvite"));
        let call = self.incoming().call;
        self.command(Command::Answer { call, sdp: Bytes::from_static(SDP.as_bytes()) });
        let answer = self.take().pop().unwrap();
        assert_eq!(kind(&answer), "200");
        let tag = to_tag(&answer);
        self.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
        assert_eq!(self.event_names(), ["Established"]);
        (call, tag)
    }
}

/// `200` of a response, `BYE` of a request.
pub(crate) fn kind(message: &str) -> String {
    let mut words = message.split(' ');
    let first = words.next().unwrap_or_default();
    if first == "SIP/2.0" { words.next().unwrap_or_default().to_owned() } else { first.to_owned() }
}

/// The value of the first header `name`.
pub(crate) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.lines()
        .skip(1)
        .find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

pub(crate) fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, b)| b)
}

pub(crate) fn to_tag(message: &str) -> String {
    header(message, "To").and_then(|to| to.split(";tag=").nth(1)).unwrap_or_default().to_owned()
}

/// A request of the peer's call `one@peer`; `to_tag` empty outside a dialog.
pub(crate) fn request(
    method: &str,
    cseq: u32,
    branch: &str,
    to_tag: &str,
    headers: &str,
    body: &str,
) -> String {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} sip:12580@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\n\
         Max-Forwards: 70\r\nFrom: \"A\" <sip:+15550100@192.0.2.1>;tag=peer\r\n\
         To: <sip:12580@198.51.100.1>{tag}\r\n\
         Call-ID: one@peer\r\nCSeq: {cseq} {method}\r\nContact: <sip:peer@192.0.2.1:5060>\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The INVITE of `one@peer` with an offer.
pub(crate) fn invite(branch: &str) -> String {
    request("INVITE", 1, branch, "", "Content-Type: application/sdp\r\n", SDP)
}

/// The same INVITE as one of many calls.
pub(crate) fn invite_of(n: usize) -> String {
    invite(&format!("z9hG4bKn{n}")).replace("Call-ID: one@peer", &format!("Call-ID: {n}@peer"))
}

/// A response to a request of ours, as the peer would write it; its To gets the tag `theirs` if it has none.
pub(crate) fn reply(request: &str, status: u16, headers: &str, body: &str) -> String {
    let to = header(request, "To").unwrap();
    let to = if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=theirs") };
    let copy = |name: &str| format!("{name}: {}\r\n", header(request, name).unwrap());
    format!(
        "SIP/2.0 {status} Whatever\r\n{}{}To: {to}\r\n{}{}{headers}Content-Length: {}\r\n\r\n{body}",
        copy("Via"),
        copy("From"),
        copy("Call-ID"),
        copy("CSeq"),
        body.len()
    )
}
