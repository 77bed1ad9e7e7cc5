//! A call's plan as a sipp scenario: the XML, message by message.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keytone::rtp::Codec;

use super::pcap::{Network, Stream};
use super::sipp::{Act, EAR_ABOVE, Keys, PATIENCE, Phone};

/// Writes sipp's XML.
pub(super) struct Scenario<'p, 'a> {
    phone: &'p Phone<'a>,
    folder: PathBuf,
    events: RefCell<Stream>,
    cseq: u32,
    files: u32,
    xml: String,
}

impl<'p, 'a> Scenario<'p, 'a> {
    /// The scenario of a call; files that it plays are put in `folder`.
    pub(super) fn write(phone: &'p Phone<'a>, folder: &Path) -> String {
        let network = if let Keys::Events(network) = phone.keys { network } else { Network::Good };
        let mut scenario = Self {
            phone,
            folder: folder.to_owned(),
            events: RefCell::new(Stream::new(network)),
            cseq: 1,
            files: 0,
            xml: "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"call\">\n".to_owned(),
        };
        scenario.begin();
        for act in &phone.plan {
            scenario.act(act);
        }
        scenario.xml.push_str("</scenario>\n");
        scenario.xml
    }

    fn begin(&mut self) {
        let body = if self.phone.late_offer { String::new() } else { self.sdp("sendrecv") };
        let invite = self.request("INVITE", "sip:[service]@[remote_ip]:[remote_port]", false, &body);
        // sipp sends nothing else while it may have to send this again.
        let gives_up = matches!(self.phone.plan.last(), Some(Act::Cancelled));
        self.send(&invite, !gives_up);
        match self.phone.plan.last() {
            Some(Act::Refused(_) | Act::Cancelled) => {}
            _ => {
                self.recv_provisional();
                self.xml.push_str("<recv response=\"200\" rrs=\"true\" timeout=\"10000\"/>\n");
                let body = if self.phone.late_offer { self.sdp("sendrecv") } else { String::new() };
                self.ack(&body);
            }
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Gate => {
                self.xml.push_str("<sendCmd><![CDATA[\n  Call-ID: [call_id]\n  At: gate\n\n]]></sendCmd>\n");
                self.xml.push_str("<recvCmd/>\n");
            }
            Act::Press(keys) => self.press(keys),
            Act::Offer(direction) => {
                self.cseq += 1;
                let invite = self.request("INVITE", "[next_url]", true, &self.sdp(direction));
                self.send(&invite, true);
                self.recv_provisional();
                self.xml.push_str("<recv response=\"200\" timeout=\"10000\"/>\n");
                self.ack("");
            }
            Act::Options => self.ask("OPTIONS", ""),
            Act::TheyEnd => {
                let timeout = PATIENCE.as_millis() * 2;
                let _ = writeln!(self.xml, "<recv request=\"BYE\" timeout=\"{timeout}\"/>");
                self.send(&answer("200 OK"), false);
            }
            Act::WeEnd => self.ask("BYE", ""),
            Act::Refused(status) => {
                self.recv_provisional();
                let _ = writeln!(self.xml, "<recv response=\"{status}\" timeout=\"10000\"/>");
                self.refusal_ack();
            }
            Act::Cancel => {
                let cancel = self.request("CANCEL", "sip:[service]@[remote_ip]:[remote_port]", false, "");
                self.send(&cancel.replace("[branch]", "[branch-1]"), false);
            }
            Act::Cancelled => {
                self.recv_provisional();
                self.xml.push_str("<recv response=\"200\" timeout=\"5000\"/>\n");
                self.xml.push_str("<recv response=\"487\" timeout=\"5000\"/>\n");
                self.refusal_ack();
            }
        }
    }

    /// An ACK of a refusal belongs to the INVITE's transaction and so has its branch.
    fn refusal_ack(&mut self) {
        let ack = self.request("ACK", "sip:[service]@[remote_ip]:[remote_port]", true, "");
        let before = self.xml.matches("<send").count() + self.xml.matches("<recv ").count();
        self.send(&ack.replace("[branch]", &format!("[branch-{before}]")), false);
    }

    fn pause(&mut self, ms: u32) {
        let _ = writeln!(self.xml, "<pause milliseconds=\"{ms}\"/>");
    }

    fn press(&mut self, keys: &str) {
        match self.phone.keys {
            Keys::Events(_) => {
                self.files += 1;
                let path = self.folder.join(format!("keys{}.pcap", self.files));
                let lasts = self.events.borrow_mut().write(&path, keys);
                let play = format!("play_pcap_audio=\"{}\"", path.display());
                let _ = writeln!(self.xml, "<nop><action><exec {play}/></action></nop>");
                self.pause(lasts);
            }
            Keys::PlayDtmf => {
                let _ = writeln!(self.xml, "<nop><action><exec play_dtmf=\"{keys}\"/></action></nop>");
                // About 200 ms down and 200 ms up for each.
                self.pause(u32::try_from(keys.len()).unwrap() * 400);
            }
            Keys::Info | Keys::InfoPlain => {
                for key in keys.chars() {
                    let (kind, body) = if self.phone.keys == Keys::Info {
                        ("application/dtmf-relay", format!("Signal={key}\nDuration=160\n"))
                    } else {
                        ("application/dtmf", format!("{key}\n"))
                    };
                    self.ask_with("INFO", kind, &body);
                    self.pause(40);
                }
            }
        }
    }

    fn recv_provisional(&mut self) {
        for status in [100, 180, 183] {
            let _ = writeln!(self.xml, "<recv response=\"{status}\" optional=\"true\"/>");
        }
    }

    fn ask(&mut self, method: &str, body: &str) {
        self.ask_with(method, "", body);
    }

    fn ask_with(&mut self, method: &str, kind: &str, body: &str) {
        self.cseq += 1;
        let mut request = self.request(method, "[next_url]", true, body);
        if !kind.is_empty() {
            request = request.replace("application/sdp", kind);
        }
        self.send(&request, true);
        self.xml.push_str("<recv response=\"200\" timeout=\"10000\"/>\n");
    }

    fn ack(&mut self, body: &str) {
        let ack = self.request("ACK", "[next_url]", true, body);
        self.send(&ack, false);
    }

    fn send(&mut self, message: &str, again: bool) {
        let again = if again { " retrans=\"500\"" } else { "" };
        let _ = writeln!(self.xml, "<send{again}><![CDATA[\n{message}\n]]></send>");
    }

    fn request(&self, method: &str, uri: &str, in_dialog: bool, body: &str) -> String {
        let Phone { from, headers, .. } = self.phone;
        let to_tag = if in_dialog { "[peer_tag_param]" } else { "" };
        let mut lines = vec![
            format!("{method} {uri} SIP/2.0"),
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport".to_owned(),
            format!("From: {from};tag=[pid]T[call_number]"),
            format!("To: <sip:[service]@[remote_ip]:[remote_port]>{to_tag}"),
            "Call-ID: [call_id]".to_owned(),
            format!("CSeq: {} {method}", self.cseq),
            "Max-Forwards: 70".to_owned(),
        ];
        if in_dialog {
            lines.push("[routes]".to_owned());
        }
        if method == "INVITE" {
            lines.push("Contact: <sip:caller@[local_ip]:[local_port]>".to_owned());
            lines.push("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO".to_owned());
            lines.extend(headers.iter().cloned());
        }
        if !body.is_empty() {
            lines.push("Content-Type: application/sdp".to_owned());
        }
        lines.push("Content-Length: [len]".to_owned());
        lines.push(String::new());
        lines.push(body.to_owned());
        lines.join("\n")
    }

    fn sdp(&self, direction: &str) -> String {
        let (payload, name) = match self.phone.codec {
            Codec::Pcmu => (0, "PCMU"),
            Codec::Pcma => (8, "PCMA"),
        };
        let event = self.phone.keys.payload_type();
        let port = format!("[media_port+{EAR_ABOVE}]");
        let mut sdp = format!(
            "v=0\no=caller 1 {} IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n\
             m=audio {port} RTP/AVP {payload}{}\na=rtpmap:{payload} {name}/8000\n",
            self.cseq,
            if self.phone.keys.is_raw() { format!(" {event}") } else { String::new() },
        );
        if self.phone.keys.is_raw() {
            let _ = write!(sdp, "a=rtpmap:{event} telephone-event/8000\na=fmtp:{event} 0-15\n");
        }
        let _ = write!(sdp, "a=ptime:20\na={direction}\n");
        sdp
    }
}

/// A response to the latest request.
fn answer(status: &str) -> String {
    format!(
        "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n"
    )
}
