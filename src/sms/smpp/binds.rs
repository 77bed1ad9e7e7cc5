//! Several binds as one carrier: a text goes by the one that is least loaded for its share, all of its parts by the same.
//!
//! A part that found no way out goes by another bind. What may have left does not: its response may come late, and is then
//! learned.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::Clock;
use crate::session::Id;
use crate::smpp::io::{Handle, LinkId};
use crate::smpp::link::event::{Outcome, Unsent};
use crate::smpp::link::status::Phase;
use crate::smpp::long::{Cut, Form, cut, segments};
use crate::smpp::pdu::{Body, Message, Role};
use crate::smpp::status::{self, Kind};
use crate::smpp::time;
use crate::smpp::tlv::Tlvs;
use crate::sms::carry::{Carry, Outgoing, Readiness, Sending};
use crate::sms::retry::Sent;
use crate::sms::smpp::{Dialect, End, printable};

/// Texts that are waited for in a late answer; the oldest is forgotten.
const DOUBTS_MAX: usize = 4_096;
/// Tries of one part whose first ones were taken, before the whole text is tried again.
const PART_TRIES: u32 = 5;
/// How old a look at the binds may be.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// `registered_delivery`: a receipt for success and failure (SMPP 3.4 §5.2.17).
const RECEIPT: u8 = 1;

/// A route's binds. Clones are handles on the same ones.
#[derive(Clone, Debug)]
pub struct Binds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialect: Dialect,
    clock: Clock,
    binds: RwLock<Vec<Arc<Bind>>>,
    looked: Mutex<Option<(Instant, Readiness)>>,
    doubts: Mutex<Doubts>,
}

#[derive(Debug)]
struct Bind {
    handle: Handle,
    /// How much of the texts it gets, beside the others; at least 1.
    share: usize,
    /// Texts that it has now.
    busy: AtomicUsize,
}

/// Texts whose response did not come, by where it would come.
#[derive(Debug, Default)]
struct Doubts {
    texts: HashMap<(LinkId, u32), Id>,
    order: VecDeque<(LinkId, u32)>,
}

/// A text that a bind has.
struct Busy<'b>(&'b AtomicUsize);

impl<'b> Busy<'b> {
    fn new(busy: &'b AtomicUsize) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bind {
    /// How many texts it takes at once; nothing when it may not send now.
    fn window(&self, end: End, now: Instant) -> usize {
        let status = self.handle.status().state;
        // Of an aggregator that is bound to us it is the receiver that takes what we send.
        let sends = match end {
            End::Esme => status.role != Some(Role::Receiver),
            End::Smsc => status.role != Some(Role::Transmitter),
        };
        let paused = status.paused_until.is_some_and(|until| until > now);
        if status.phase == Phase::Bound && sends && !paused { status.window } else { 0 }
    }
}

impl Binds {
    /// A route without binds yet.
    #[must_use]
    pub fn new(dialect: Dialect, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            dialect,
            clock,
            binds: RwLock::default(),
            looked: Mutex::default(),
            doubts: Mutex::default(),
        }))
    }

    /// How the peer speaks.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.0.dialect
    }

    /// Adds a bind with its share of the texts.
    pub fn add(&self, handle: Handle, share: u32) {
        let share = usize::try_from(share).unwrap_or(1).max(1);
        let bind = Arc::new(Bind { handle, share, busy: AtomicUsize::new(0) });
        let mut binds = self.0.binds.write().unwrap_or_else(PoisonError::into_inner);
        binds.retain(|bind| !bind.handle.is_closed());
        binds.push(bind);
    }

    /// The binds, as handles.
    #[must_use]
    pub fn handles(&self) -> Vec<Handle> {
        self.0.all().iter().map(|bind| bind.handle.clone()).collect()
    }

    /// A response came after its request was given up: the text that it took, and the id that it has there.
    #[must_use]
    pub fn learned(&self, link: LinkId, sequence: u32, status: u32, body: &Body) -> Option<(Id, String)> {
        let text =
            self.0.doubts.lock().unwrap_or_else(PoisonError::into_inner).texts.remove(&(link, sequence))?;
        let taken = self.0.dialect.kinds.of(status) == Kind::Ok;
        taken.then(|| (text, self.0.id_of(body)))
    }
}

impl Inner {
    fn all(&self) -> Vec<Arc<Bind>> {
        self.binds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look(&self) -> Readiness {
        let now = self.clock.instant();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, readiness)) = *looked
            && now.saturating_duration_since(at) < LOOK_EVERY
        {
            return readiness;
        }
        let window = self.all().iter().map(|bind| bind.window(self.dialect.end, now)).sum();
        let readiness = Readiness { up: window > 0, window };
        *looked = Some((now, readiness));
        readiness
    }

    /// The bind that is least loaded for its share.
    fn least_loaded(&self) -> Option<Arc<Bind>> {
        let now = self.clock.instant();
        let binds = self.all();
        let open = binds.iter().filter(|bind| bind.window(self.dialect.end, now) > 0);
        open.min_by_key(|bind| bind.busy.load(Ordering::Relaxed).saturating_mul(1_000) / bind.share).cloned()
    }

    fn message(&self, text: &Outgoing, cut: &Cut, part: usize) -> (Body, u32) {
        let dialect = &self.dialect;
        let last = part + 1 == cut.parts.len();
        let mut message = Message {
            service_type: dialect.service_type.clone(),
            source: dialect.numbering.source(&text.sender),
            destination: dialect.numbering.destination(&text.recipient),
            tlvs: Tlvs(dialect.tlvs.clone()),
            ..Message::default()
        };
        if dialect.end == End::Esme {
            message.validity_period = time::relative(text.validity.as_secs().max(1));
            // The phone has the text when it has the last part.
            message.registered_delivery = if last && text.receipt { RECEIPT } else { 0 };
        }
        if let Some(part) = cut.parts.get(part) {
            part.put(cut.data_coding, &mut message);
        }
        let cost =
            if dialect.form == Form::Payload { u32::try_from(cut.segments).unwrap_or(u32::MAX) } else { 1 };
        match dialect.end {
            End::Esme => (Body::SubmitSm(message), cost),
            End::Smsc => (Body::DeliverSm(message), cost),
        }
    }

    async fn deliver(&self, text: Outgoing) -> Sent {
        let dialect = &self.dialect;
        let Ok(cut) = cut(&text.text, &dialect.charsets, dialect.form, reference(text.id)) else {
            return Sent::Refused { code: "too_long".to_owned(), retry: false };
        };
        let Some(mut bind) = self.least_loaded() else { return Sent::NotSent };
        let mut id = String::new();
        for part in 0..cut.parts.len() {
            let mut tries = 1;
            loop {
                let busy = Busy::new(&bind.busy);
                let (body, cost) = self.message(&text, &cut, part);
                let sent = bind.handle.request_by(body, cost).await;
                drop(busy);
                let last = part + 1 == cut.parts.len();
                match self.judge(sent, &text, last) {
                    Ok(of_part) => {
                        id = of_part;
                        break;
                    }
                    // Nothing of the text has left: the dispatcher decides.
                    Err(sent @ (Sent::NotSent | Sent::Throttled { .. })) if part == 0 => {
                        self.forget_look();
                        return sent;
                    }
                    Err(sent @ (Sent::NotSent | Sent::Throttled { .. })) => {
                        self.forget_look();
                        tries += 1;
                        let other = match sent {
                            // The link itself waits as long as its peer wants; this part waits with it.
                            Sent::Throttled { .. } => Some(Arc::clone(&bind)),
                            _ => self.least_loaded(),
                        };
                        match other.filter(|_| tries <= PART_TRIES) {
                            Some(other) => bind = other,
                            // It begins again from its first part, under the same reference.
                            None => return Sent::Refused { code: in_part(sent), retry: true },
                        }
                    }
                    Err(sent) => return sent,
                }
            }
        }
        Sent::Accepted { id }
    }

    /// What became of one part: its id, or what that means for the text.
    fn judge(
        &self,
        (outcome, link): (Outcome, Option<LinkId>),
        text: &Outgoing,
        last: bool,
    ) -> Result<String, Sent> {
        match outcome {
            Outcome::Answered { status, body } => match self.dialect.kinds.of(status) {
                Kind::Ok => Ok(self.id_of(&body)),
                Kind::Throttled => Err(Sent::Throttled { code: status::label(status) }),
                Kind::Retry | Kind::BindProblem => {
                    Err(Sent::Refused { code: status::label(status), retry: true })
                }
                Kind::Permanent => Err(Sent::Refused { code: status::label(status), retry: false }),
            },
            Outcome::Unknown(doubt) => {
                // A late response to an earlier part would not say that the text was taken.
                if let (true, Some(link)) = (last, link) {
                    self.doubts
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add((link, doubt.sequence), text.id);
                }
                Err(Sent::Unknown)
            }
            Outcome::NotSent(Unsent::Unfit(_)) => {
                Err(Sent::Refused { code: "unfit".to_owned(), retry: false })
            }
            Outcome::NotSent(_) => Err(Sent::NotSent),
        }
    }

    fn id_of(&self, body: &Body) -> String {
        let id: &Bytes = match body {
            Body::SubmitSmResp(response) | Body::DeliverSmResp(response) | Body::DataSmResp(response) => {
                &response.message_id
            }
            _ => return String::new(),
        };
        printable(&self.dialect.ids.of_response(id))
    }

    fn forget_look(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Doubts {
    fn add(&mut self, at: (LinkId, u32), text: Id) {
        while self.order.len() >= DOUBTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.texts.remove(&oldest);
        }
        self.texts.insert(at, text);
        self.order.push_back(at);
    }
}

fn in_part(sent: Sent) -> String {
    match sent {
        Sent::Throttled { code } => code,
        _ => "link_lost".to_owned(),
    }
}

/// The same at every try, so that a phone that has some of the parts finds the others.
fn reference(id: Id) -> u16 {
    id.0.iter().rev().take(2).fold(0, |reference, octet| reference << 8 | u16::from(*octet))
}

impl Carry for Binds {
    fn readiness(&self) -> Readiness {
        self.0.look()
    }

    fn segments(&self, text: &str) -> u16 {
        let dialect = &self.0.dialect;
        u16::try_from(segments(text, &dialect.charsets, dialect.form)).unwrap_or(u16::MAX)
    }

    fn send(&self, text: Outgoing) -> Sending {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.deliver(text).await })
    }
}
