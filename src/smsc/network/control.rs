//! What can be asked by HTTP: messages and dialogues of handsets, settings, faults, the state of links.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::smpp::pdu::Role;
use crate::smsc::fault::{Faults, Passed};
use crate::smsc::handset::digits;
use crate::smsc::network::burst;
use crate::smsc::network::deliver::Cause;
use crate::smsc::network::submit::{handset_address, other_address};
use crate::smsc::network::wait::Waiting;
use crate::smsc::network::{Network, Now, Output};
use crate::smsc::settings::merge;
use crate::smsc::text;

/// How long a request waits when it does not say.
const TIMEOUT_MS: u64 = 10_000;
/// The longest text of a handset, in characters.
const TEXT_CHARS_MAX: usize = 10_000;

const fn timeout() -> u64 {
    TIMEOUT_MS
}

const fn yes() -> bool {
    true
}

/// What a request asks for.
#[derive(Debug)]
pub(in crate::smsc) enum Control {
    /// `POST /sms`: a handset sends a text.
    Sms(Sms),
    /// `POST /dial`.
    Dial(Dial),
    /// `POST /reply`.
    Reply(Reply),
    /// `POST /abort`.
    Abort(Handset),
    /// `GET /handset/{msisdn}`.
    Handset(String),
    /// `POST /handset`: what the handset does with pushes.
    Change(Handset),
    /// `GET /stats`.
    Stats,
    /// `GET /faults`, and `POST /faults` with what changes.
    Faults(Option<Value>),
    /// `GET /settings`, and `POST /settings` with what changes.
    Settings(Option<Value>),
    /// `POST /kill`: cuts every link, and refuses connections for so many milliseconds.
    Kill(u64),
    /// `POST /unbind`.
    Unbind,
    /// `POST /raw`: bytes for every bound link.
    Raw(Vec<u8>),
    /// `POST /burst`.
    Burst(burst::Ask),
    /// `POST /outbind`: connects to an ESME and asks it to bind (SMPP 3.4 §4.1.7).
    Outbind(SocketAddr),
    /// `GET /wait`.
    Wait(Wait),
}

/// A text of a handset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::smsc) struct Sms {
    from: String,
    to: String,
    text: String,
    /// Whether the request waits for the ESME's answer.
    #[serde(default = "yes")]
    wait: bool,
    #[serde(default = "timeout")]
    timeout_ms: u64,
}

/// A code that is dialled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::smsc) struct Dial {
    msisdn: String,
    code: String,
    #[serde(default = "timeout")]
    timeout_ms: u64,
}

/// An answer to a screen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::smsc) struct Reply {
    msisdn: String,
    text: String,
    #[serde(default = "timeout")]
    timeout_ms: u64,
}

/// A handset, and what it does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::smsc) struct Handset {
    msisdn: String,
    #[serde(default)]
    pushes: Option<bool>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(in crate::smsc) enum What {
    /// The next message of a handset.
    #[default]
    Message,
    /// A dialogue that the ESME began.
    Push,
    /// The next screen of a handset.
    Screen,
    /// The end of the dialogue.
    Over,
    /// Links that are bound.
    Binds,
    /// Nothing is on its way to the ESME.
    Quiet,
}

/// `GET /wait`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::smsc) struct Wait {
    #[serde(default)]
    msisdn: String,
    #[serde(default, rename = "for")]
    what: What,
    /// Only a message (or a push's screen) with a number above this counts.
    #[serde(default)]
    after: u64,
    #[serde(default)]
    count: usize,
    #[serde(default = "timeout")]
    timeout_ms: u64,
}

impl Network {
    pub(super) fn control(&mut self, now: Now, ticket: u64, control: Control) {
        match control {
            Control::Sms(sms) => self.sms(now, ticket, &sms),
            Control::Dial(dial) => {
                let from = digits(&dial.msisdn);
                let begun = self.dial(now, &from, &dial.code);
                self.wait_for_screen(now, ticket, from, begun, dial.timeout_ms);
            }
            Control::Reply(reply) => {
                let from = digits(&reply.msisdn);
                let answered = self.say(now, &from, &reply.text);
                self.wait_for_screen(now, ticket, from, answered, reply.timeout_ms);
            }
            Control::Abort(handset) => {
                let from = digits(&handset.msisdn);
                if self.abort(now, &from, "aborted by the subscriber") {
                    let shown = self.shown(&from);
                    self.answer(ticket, 200, shown);
                } else {
                    self.answer(ticket, 409, json!({ "why": "no dialogue is open" }));
                }
            }
            Control::Handset(msisdn) => {
                let body = self.seen(&digits(&msisdn));
                self.answer(ticket, 200, body);
            }
            Control::Change(change) => {
                let number = digits(&change.msisdn);
                if let Some(handset) = self.handset(&number) {
                    handset.pushes = change.pushes.or(handset.pushes);
                }
                let body = self.seen(&number);
                self.answer(ticket, 200, body);
            }
            Control::Stats => {
                let body = self.stats(now);
                self.answer(ticket, 200, body);
            }
            Control::Faults(change) => self.change_faults(ticket, change.as_ref()),
            Control::Settings(change) => self.change_settings(ticket, change.as_ref()),
            Control::Kill(ms) => {
                let links: Vec<u64> = self.links.keys().copied().collect();
                if ms > 0 {
                    self.outputs.push_back(Output::Outage(Duration::from_millis(ms)));
                }
                for id in &links {
                    self.cut(now, *id, "killed");
                }
                self.answer(ticket, 200, json!({ "killed": links.len() }));
            }
            Control::Unbind => {
                let asked = self.unbind_all(now);
                self.answer(ticket, 200, json!({ "unbinding": asked }));
            }
            Control::Raw(bytes) => {
                let bound: Vec<u64> =
                    self.links.iter().filter(|(_, l)| l.role.is_some()).map(|(id, _)| *id).collect();
                for id in &bound {
                    self.put(now, *id, &bytes);
                }
                self.answer(ticket, 200, json!({ "links": bound.len() }));
            }
            Control::Burst(ask) => self.burst(now, ticket, ask),
            Control::Outbind(address) => self.outputs.push_back(Output::Connect(ticket, address)),
            Control::Wait(wait) => self.wait_for(now, ticket, &wait),
        }
    }

    fn sms(&mut self, now: Now, ticket: u64, sms: &Sms) {
        let from = digits(&sms.from);
        if sms.text.chars().count() > TEXT_CHARS_MAX {
            return self.answer(ticket, 413, json!({ "why": "the text is too long" }));
        }
        let Some(handset) = self.handset(&from) else {
            return self.answer(ticket, 429, json!({ "why": "no number, or too many handsets" }));
        };
        handset.reference = handset.reference.wrapping_add(1);
        let reference = handset.reference;
        let pieces = match text::cut(&sms.text, self.settings.parts, reference) {
            Ok(pieces) => pieces,
            Err(why) => return self.answer(ticket, 400, json!({ "why": why })),
        };
        let count = pieces.len();
        for (part, mut piece) in pieces.into_iter().enumerate() {
            piece.message.source = handset_address(&from);
            piece.message.destination = other_address(&sms.to);
            let cause = Cause::Text { ticket: sms.wait.then_some(ticket), part };
            if !self.enqueue(piece.message, &piece.text, cause) {
                return self.answer(ticket, 429, json!({ "why": "too many deliveries wait" }));
            }
        }
        if sms.wait {
            self.wait(now, ticket, sms.timeout_ms, Waiting::Text { statuses: vec![None; count] });
        } else {
            self.answer(ticket, 202, json!({ "answered": false, "parts": count }));
        }
    }

    fn wait_for_screen(
        &mut self,
        now: Now,
        ticket: u64,
        handset: String,
        begun: Result<u64, &'static str>,
        ms: u64,
    ) {
        match begun {
            Ok(key) => {
                let after = self.handsets.get(&handset).map_or(0, |h| h.screens);
                self.wait(now, ticket, ms, Waiting::Screen { handset, key, after });
            }
            Err(why) => self.answer(ticket, 409, json!({ "screen": null, "open": false, "why": why })),
        }
    }

    fn wait_for(&mut self, now: Now, ticket: u64, wait: &Wait) {
        let (handset, after) = (digits(&wait.msisdn), wait.after);
        if handset.is_empty() && matches!(wait.what, What::Message | What::Push | What::Screen | What::Over) {
            return self.answer(ticket, 400, json!({ "why": "msisdn is missing" }));
        }
        let waiting = match wait.what {
            What::Message => Waiting::Message { handset, after },
            What::Push => Waiting::Push { handset, after },
            What::Screen => Waiting::Shown { handset, after },
            What::Over => Waiting::Over { handset },
            What::Binds => Waiting::Binds { count: wait.count },
            What::Quiet => Waiting::Quiet,
        };
        self.wait(now, ticket, wait.timeout_ms, waiting);
    }

    fn change_faults(&mut self, ticket: u64, change: Option<&Value>) {
        if let Some(change) = change {
            let mut change = change.clone();
            let clear = change.as_object_mut().and_then(|c| c.remove("clear")) == Some(Value::Bool(true));
            let current = if clear { Faults::default() } else { self.faults.clone() };
            match merge(&current, &change) {
                Ok(faults) => {
                    self.faults = faults;
                    self.passed = Passed::default();
                }
                Err(why) => return self.answer(ticket, 400, json!({ "why": why })),
            }
        }
        let body = serde_json::to_value(&self.faults).unwrap_or_default();
        self.answer(ticket, 200, body);
    }

    fn change_settings(&mut self, ticket: u64, change: Option<&Value>) {
        if let Some(change) = change {
            match merge(&self.settings, change) {
                Ok(settings) => self.settings = settings,
                Err(why) => return self.answer(ticket, 400, json!({ "why": why })),
            }
        }
        let body = serde_json::to_value(&self.settings).unwrap_or_default();
        self.answer(ticket, 200, body);
    }

    fn seen(&self, number: &str) -> Value {
        let handset = self.handsets.get(number);
        let dialogue = self.shown(number);
        let is_open = |d: &Value| d.get("open") == Some(&Value::Bool(true));
        json!({
            "msisdn": format!("+{number}"),
            "received": handset.map_or(0, |h| h.received),
            "messages": handset.map(|h| json!(h.messages)).unwrap_or_else(|| json!([])),
            "screens": handset.map_or(0, |h| h.screens),
            "screen": dialogue.get("screen").filter(|_| is_open(&dialogue)),
            "push": is_open(&dialogue) && dialogue.get("push") == Some(&Value::Bool(true)),
            "dialogue": dialogue,
        })
    }

    fn stats(&mut self, now: Now) -> Value {
        let binds: Vec<Value> = self
            .links
            .iter()
            .filter_map(|(id, link)| {
                let role = match link.role? {
                    Role::Receiver => "receiver",
                    Role::Transmitter => "transmitter",
                    Role::Transceiver => "transceiver",
                };
                Some(json!({
                    "link": id,
                    "system_id": link.system_id,
                    "role": role,
                    "unanswered": link.delivering(),
                    "in_flight": link.in_flight,
                }))
            })
            .collect();
        let unanswered: usize = self.links.values().map(|l| l.delivering()).sum();
        let mut body = serde_json::to_value(&self.counts).unwrap_or_default();
        if let Value::Object(members) = &mut body {
            members.insert("links".to_owned(), json!(binds));
            members.insert("unanswered".to_owned(), json!(unanswered));
            members.insert("queued".to_owned(), json!(self.queue.len()));
            members.insert("submits_per_second".to_owned(), json!(self.asked.now(now.instant)));
            members.insert("submits_per_second_max".to_owned(), json!(self.asked.most()));
            members.insert("taken_per_second_max".to_owned(), json!(self.taken.most()));
        }
        body
    }
}
