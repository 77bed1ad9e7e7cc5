//! What goes to the ESME: texts of handsets, receipts and USSD as `deliver_sm`, kept until they are answered.

use crate::smpp::pdu::{Body, Message, Pdu};
use crate::smpp::status;
use crate::smpp::tlv::tag;
use crate::smsc::fault::turn;
use crate::smsc::handset::Turn;
use crate::smsc::network::link::{Asked, Link};
use crate::smsc::network::{Line, Network, Now, QUEUE_MAX, Timer};

/// One `deliver_sm`, from when it is made until it is answered or given up.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Never used twice in a run.
    pub(super) key: u64,
    pub(super) message: Message,
    /// Characters of the text, for the log.
    pub(super) length: usize,
    /// The text, where the log may have it.
    pub(super) text: Option<String>,
    /// How often it was sent.
    pub(super) tries: u32,
    pub(super) cause: Cause,
}

/// What a delivery is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// A part of a text; somebody may wait for how it is answered.
    Text { ticket: Option<u64>, part: usize },
    /// A receipt for the message with this id.
    Receipt(String),
    /// A message of a dialogue: handset and key.
    Dialogue(String, u64),
    /// A text of a burst, from this handset.
    Burst(String),
    /// The second of two by `duplicate_every`.
    Copy,
}

impl Cause {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } | Self::Burst(_) => "sms",
            Self::Receipt(_) => "receipt",
            Self::Dialogue(..) => "ussd",
            Self::Copy => "copy",
        }
    }
}

impl Network {
    /// Makes a delivery and lets it wait for a link. `false` when too many wait.
    pub(super) fn enqueue(&mut self, message: Message, text: &str, cause: Cause) -> bool {
        if self.queue.len() >= QUEUE_MAX {
            return false;
        }
        let delivery = self.delivery(message, text, cause);
        self.queue.push_back(delivery);
        true
    }

    pub(super) fn delivery(&mut self, message: Message, text: &str, cause: Cause) -> Delivery {
        let key = self.next_delivery;
        self.next_delivery += 1;
        let open = self.log_text || matches!(cause, Cause::Receipt(_));
        Delivery {
            key,
            message,
            length: text.chars().count(),
            text: open.then(|| text.to_owned()),
            tries: 0,
            cause,
        }
    }

    /// Sends what waits, as far as windows allow.
    pub(super) fn pump(&mut self, now: Now) {
        while !self.queue.is_empty() {
            let Some(id) = self.receiver() else { return };
            let Some(delivery) = self.queue.pop_front() else { return };
            self.deliver(now, id, delivery);
        }
    }

    /// The link that has the next delivery: the first with room, or by `spread` the next in turn.
    fn receiver(&self) -> Option<u64> {
        let window = self.settings.window.max(1);
        let room = |l: &Link| l.receives() && l.delivering() < window;
        let mut fit = self.links.iter().filter(|(_, l)| room(l)).map(|(id, _)| *id);
        if self.faults.spread {
            let fit: Vec<u64> = fit.collect();
            return fit.iter().find(|id| **id > self.last_link).or_else(|| fit.first()).copied();
        }
        fit.next()
    }

    /// Whether any link takes deliveries, full or not.
    pub(super) fn reachable(&self) -> bool {
        self.links.values().any(Link::receives)
    }

    fn deliver(&mut self, now: Now, id: u64, mut delivery: Delivery) {
        delivery.tries += 1;
        self.last_link = id;
        self.passed.delivers += 1;
        self.counts.delivers += 1;
        self.counts.redelivers += u64::from(delivery.tries > 1);
        let twice = turn(self.faults.duplicate_every, self.passed.delivers);
        let copy = twice.then(|| Delivery { cause: Cause::Copy, ..delivery.clone() });
        for delivery in std::iter::once(delivery).chain(copy) {
            let Some(link) = self.links.get_mut(&id) else { return self.orphaned(now, delivery) };
            let sequence = link.next();
            let pdu = Pdu::request(sequence, self.body(&delivery));
            self.write(now, line(&delivery, id, sequence, "out"));
            if let Some(link) = self.links.get_mut(&id) {
                link.asked.insert(sequence, Asked::Deliver(Box::new(delivery)));
            }
            self.after(now, self.settings.response_ms, Timer::Unanswered(id, sequence));
            self.send(now, id, &pdu);
        }
    }

    fn body(&self, delivery: &Delivery) -> Body {
        let mut message = delivery.message.clone();
        if !self.settings.receipts_by_data_sm || !matches!(delivery.cause, Cause::Receipt(_)) {
            return Body::DeliverSm(message);
        }
        let text = std::mem::take(&mut message.short_message);
        if !text.is_empty() {
            message.tlvs.push(tag::MESSAGE_PAYLOAD, text);
        }
        Body::DataSm(message)
    }

    /// The ESME answered.
    pub(super) fn delivered(&mut self, now: Now, id: u64, sequence: u32, delivery: Delivery, status: u32) {
        self.counts.delivers_answered += 1;
        let answered = Line { status: Some(status), ..line(&delivery, id, sequence, "in") };
        self.write(now, answered);
        match &delivery.cause {
            Cause::Text { ticket: Some(ticket), part } => self.text_answered(*ticket, *part, status),
            Cause::Burst(handset) => self.burst_answered(now, handset, status),
            Cause::Dialogue(handset, key) if status != 0 => {
                let (handset, key) = (handset.clone(), *key);
                self.over(now, &handset, key, &format!("refused by the ESME: {}", status::label(status)));
            }
            _ => {}
        }
        let passing = status::Kind::of(status).may_retry();
        if passing && matches!(delivery.cause, Cause::Text { .. } | Cause::Receipt(_)) {
            self.later(now, delivery);
        }
    }

    fn later(&mut self, now: Now, delivery: Delivery) {
        if delivery.tries > self.settings.again_max {
            self.give_up(now, &delivery);
        } else {
            self.after(now, self.settings.again_ms, Timer::Again(Box::new(delivery)));
        }
    }

    fn give_up(&mut self, now: Now, delivery: &Delivery) {
        self.counts.delivers_lost += 1;
        self.write(now, Line { kind: "given up", link: None, ..line(delivery, 0, 0, "here") });
    }

    /// The ESME did not answer in time: it is sent again, as aggregators do.
    pub(super) fn ignored(&mut self, now: Now, id: u64, delivery: Delivery) {
        self.write(now, Line { what: "no response", ..line(&delivery, id, 0, "here") });
        match &delivery.cause {
            Cause::Dialogue(handset, key) => {
                let (handset, key) = (handset.clone(), *key);
                self.over(now, &handset, key, "no response from the ESME");
            }
            Cause::Copy => {}
            Cause::Text { .. } | Cause::Receipt(_) | Cause::Burst(_) => self.later(now, delivery),
        }
    }

    /// Its link is gone before it was answered: a text waits for the next link, a dialogue is over.
    pub(super) fn orphaned(&mut self, now: Now, delivery: Delivery) {
        match &delivery.cause {
            Cause::Dialogue(handset, key) => {
                let (handset, key) = (handset.clone(), *key);
                self.over(now, &handset, key, "the link is gone");
            }
            Cause::Copy => {}
            Cause::Text { .. } | Cause::Receipt(_) | Cause::Burst(_) => self.queue.push_front(delivery),
        }
    }

    /// A dialogue waited for too long, for the ESME or for the subscriber.
    pub(super) fn dialogue_waited(&mut self, now: Now, handset: &str, key: u64, sequence: u8, screens: u64) {
        let Some(open) = self.handsets.get_mut(handset).and_then(|h| h.open()) else { return };
        if (open.key, open.sequence, open.screens) != (key, sequence, screens) {
            return;
        }
        let why = match open.turn {
            Turn::Esme => "the ESME shows nothing",
            Turn::User | Turn::Over => "the subscriber answers nothing",
        };
        self.abort(now, handset, why);
    }
}

/// What the log says of a delivery.
fn line<'d>(delivery: &'d Delivery, link: u64, sequence: u32, direction: &'static str) -> Line<'d> {
    let text = |bytes: &'d bytes::Bytes| std::str::from_utf8(bytes).unwrap_or_default();
    Line {
        direction,
        kind: delivery.cause.kind(),
        link: Some(link),
        sequence: (sequence != 0).then_some(sequence),
        from: text(&delivery.message.source.digits),
        to: text(&delivery.message.destination.digits),
        id: match &delivery.cause {
            Cause::Receipt(id) => id,
            _ => "",
        },
        delivery: Some(delivery.key),
        tries: Some(delivery.tries),
        op: delivery.message.tlvs.octet(tag::USSD_SERVICE_OP),
        length: Some(delivery.length),
        text: delivery.text.as_deref(),
        ..Line::default()
    }
}
