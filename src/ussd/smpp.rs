//! USSD over SMPP: a gateway's messages are read by the route's profile, taken by the desk, acknowledged when all that they
//! caused is committed, and answered by a screen in a message of its own.
//!
//! ```text
//! deliver_sm ──► read ──► Desk::take ──► deliver_sm_resp ──► submit_sm (the screen) ──► its outcome
//! ```
//! Where an aggregator is bound to us, `submit_sm` comes and `deliver_sm` answers. A screen that the gateway refuses, or of
//! which nothing is heard, belongs to a dialogue that is dead: it is left, and nothing is sent again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::Clock;
use crate::msisdn::Msisdn;
use crate::smpp::io::Handle;
use crate::smpp::link::event::Outcome;
use crate::smpp::pdu::{Address, Body, Message};
use crate::smpp::status;
use crate::smpp::status::Kinds;
use crate::ussd::profile::Profile;
use crate::ussd::wire;
use crate::ussd::wire::{Heard, Kind, Way};
use crate::ussd::{Desk, Error, Input, Pushed, Pusher, Screen, Taken};

/// A screen that the gateway throttled is offered again this often, as long as the network waits.
const TRIES_MAX: u32 = 5;
/// The pause before that.
const THROTTLED_PAUSE: Duration = Duration::from_millis(300);

/// Answers a message with a `command_status`, once.
pub type Acknowledge = Box<dyn FnOnce(u32) + Send>;

/// Sends requests: a bind, or several that share the load.
pub trait Link: Send + Sync {
    /// Sends one, and tells what became of it.
    fn request(&self, body: Body) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;
}

impl Link for Handle {
    fn request(&self, body: Body) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(Self::request(self, body, 1))
    }
}

/// Which message a screen is sent in: the other one than that which came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// We are bound to the gateway: it delivers, we submit.
    Esme,
    /// The gateway is bound to us: it submits, we deliver.
    Smsc,
}

impl Side {
    fn body(self, message: Message) -> Body {
        match self {
            Self::Esme => Body::SubmitSm(message),
            Self::Smsc => Body::DeliverSm(message),
        }
    }
}

/// A USSD route over SMPP.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// What its messages mean.
    pub profile: Profile,
    /// Who is bound to whom.
    pub side: Side,
    /// What its statuses mean.
    pub kinds: Kinds,
    /// Country code without `+`, to read national numbers.
    pub country: String,
    /// Most digits of a national number.
    pub national_digits_max: usize,
    /// The service's address, for dialogues of ours.
    pub ours: Address,
    /// Type of number and numbering plan of callers, for dialogues of ours: 1 and 1 as a rule.
    pub theirs: (u8, u8),
}

impl Gateway {
    /// A caller's number as it was heard.
    fn msisdn(&self, heard: &Heard) -> Option<Msisdn> {
        let digits = heard.msisdn.as_str();
        if heard.international && !digits.starts_with('+') && !digits.starts_with("00") {
            return Msisdn::parse(&format!("+{digits}")).ok();
        }
        Msisdn::dialled(digits, &self.country, self.national_digits_max).ok()
    }
}

/// What became of a screen.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Sent {
    Taken,
    /// The gateway's status.
    Refused(u32),
    Unsent,
    Unknown,
}

/// Between the links of USSD gateways and the desk. Cheap to clone.
pub struct Gate<M> {
    desk: Desk<M>,
    gateways: Arc<BTreeMap<String, Gateway>>,
    clock: Clock,
}

impl<M> Clone for Gate<M> {
    fn clone(&self) -> Self {
        Self { desk: self.desk.clone(), gateways: self.gateways.clone(), clock: self.clock.clone() }
    }
}

impl<M> std::fmt::Debug for Gate<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({} gateways)", self.gateways.len())
    }
}

impl<M: Clone + Send + Sync + 'static> Gate<M> {
    /// A gate for gateways by the names of their routes.
    #[must_use]
    pub fn new(desk: Desk<M>, gateways: BTreeMap<String, Gateway>, clock: Clock) -> Self {
        Self { desk, gateways: Arc::new(gateways), clock }
    }

    /// Takes a message that a gateway sent. `acknowledge` is called once, with the `command_status` of the response, when
    /// all that the message caused is committed; the screen goes by `link`. The message has its place among those of its
    /// caller when this returns; the future does the rest, and goes on by itself when it is spawned.
    pub fn receive<L: Link + 'static>(
        &self,
        route: &str,
        link: L,
        message: &Message,
        acknowledge: Acknowledge,
    ) -> impl Future<Output = ()> + Send + use<M, L> {
        let read = self.read(route, message);
        let clock = self.clock.clone();
        let desk = self.desk.clone();
        let taking = read.map(|(gateway, heard, input)| {
            let deadline = clock.instant() + gateway.profile.answer_within;
            let answer = Answer {
                desk: desk.clone(),
                gateway,
                route: input.route.clone(),
                dialogue: input.dialogue.clone(),
                msisdn: input.msisdn.clone(),
                way: heard.way,
                clock,
                deadline,
            };
            (answer, desk.take(input))
        });
        async move {
            match taking {
                Err(status) => acknowledge(status),
                Ok((answer, taking)) => answer.run(&link, taking, acknowledge).await,
            }
        }
    }

    fn read(&self, route: &str, message: &Message) -> Result<(Gateway, Heard, Input), u32> {
        let gateway = self.gateways.get(route).ok_or(status::RSYSERR)?.clone();
        let refused = |why: &dyn std::fmt::Display| {
            tracing::warn!(route, op = ?message.tlvs.octet(crate::smpp::tlv::tag::USSD_SERVICE_OP), "a USSD message is refused: {why}");
        };
        let heard = wire::read(&gateway.profile, message).map_err(|unread| {
            refused(&unread);
            unread.status()
        })?;
        let Some(msisdn) = gateway.msisdn(&heard) else {
            refused(&"a source address that is no number");
            return Err(status::RINVSRCADR);
        };
        let trusted = self.desk.route(route).is_some_and(|route| route.trusted);
        let input = Input {
            route: route.to_owned(),
            dialogue: heard.dialogue.clone(),
            msisdn,
            trusted,
            code: heard.code.clone(),
            phase: heard.phase.clone(),
        };
        // What was typed goes on in one place only.
        let heard = Heard { phase: crate::ussd::Phase::Notified, ..heard };
        Ok((gateway, heard, input))
    }

    /// What begins dialogues on a route; nothing if there is no such gateway.
    #[must_use]
    pub fn pusher(&self, route: &str, link: Arc<dyn Link>) -> Option<Arc<dyn Pusher>> {
        let gateway = self.gateways.get(route)?.clone();
        // Any number to begin with: a gateway may still know the dialogues of our last process.
        let names = AtomicU64::new(self.clock.now().0.unsigned_abs());
        Some(Arc::new(Air { gateway, link, clock: self.clock.clone(), names }))
    }
}

/// The answer to one message.
struct Answer<M> {
    desk: Desk<M>,
    gateway: Gateway,
    route: String,
    dialogue: Option<String>,
    msisdn: Msisdn,
    way: Way,
    clock: Clock,
    deadline: Instant,
}

impl<M: Clone + Send + Sync + 'static> Answer<M> {
    async fn run(
        self,
        link: &impl Link,
        taking: impl Future<Output = Result<Taken, Error>>,
        acknowledge: Acknowledge,
    ) {
        let screen = match taking.await {
            Ok(Taken::Screen(screen)) => {
                // Before the gateway has its answer it may send the same message again.
                let sending = self.desk.sending(&self.route, &self.msisdn);
                acknowledge(status::ROK);
                Some((screen, sending))
            }
            Ok(Taken::Later(later)) => {
                acknowledge(status::ROK);
                let screen = later.await;
                screen.map(|screen| (screen, self.desk.sending(&self.route, &self.msisdn)))
            }
            Ok(Taken::Duplicate | Taken::Gone) => {
                acknowledge(status::ROK);
                None
            }
            Err(error) => {
                tracing::error!(route = %self.route, caller = ?self.msisdn, "a USSD message is not taken: {error}");
                acknowledge(status::RX_T_APPN);
                None
            }
        };
        let Some((screen, sending)) = screen else { return };
        let message = wire::write(&self.gateway.profile, &self.way, &screen, Kind::Reply);
        let sent = send(link, &self.gateway, message, &self.clock, self.deadline).await;
        let again = sending.is_again();
        drop(sending);
        if sent != Sent::Taken && !again {
            tracing::info!(route = %self.route, caller = ?self.msisdn, "a screen was not taken: {sent:?}");
            self.leave().await;
        }
    }

    /// The dialogue is dead; what can be gone on with is saved for the caller's next one.
    async fn leave(&self) {
        let left = self.desk.undelivered(&self.route, &self.msisdn, self.dialogue.as_deref()).await;
        if let Err(error) = left {
            tracing::warn!(route = %self.route, "a dead dialogue ends when its time is over: {error}");
        }
    }
}

/// Sends a message, again if the gateway was too busy for it and there is time.
async fn send(
    link: &(impl Link + ?Sized),
    gateway: &Gateway,
    message: Message,
    clock: &Clock,
    deadline: Instant,
) -> Sent {
    for tries in 1.. {
        match link.request(gateway.side.body(message.clone())).await {
            Outcome::Answered { status, .. } => match gateway.kinds.of(status) {
                status::Kind::Ok => return Sent::Taken,
                status::Kind::Throttled
                    if tries < TRIES_MAX && clock.instant() + THROTTLED_PAUSE < deadline =>
                {
                    tokio::time::sleep(THROTTLED_PAUSE).await;
                }
                _ => return Sent::Refused(status),
            },
            Outcome::Unknown(_) => return Sent::Unknown,
            Outcome::NotSent(_) => return Sent::Unsent,
        }
    }
    Sent::Unsent
}

/// Dialogues of ours on one gateway.
struct Air {
    gateway: Gateway,
    link: Arc<dyn Link>,
    clock: Clock,
    names: AtomicU64,
}

impl Pusher for Air {
    fn push(
        &self,
        msisdn: Msisdn,
        screen: Screen,
        kind: Kind,
    ) -> Pin<Box<dyn Future<Output = Pushed> + Send>> {
        let (ton, npi) = self.gateway.theirs;
        let way = Way {
            ours: self.gateway.ours.clone(),
            theirs: Address { ton, npi, digits: Bytes::copy_from_slice(msisdn.digits().as_bytes()) },
            session: wire::named(&self.gateway.profile, self.names.fetch_add(2, Ordering::Relaxed)),
            data_coding: None,
        };
        let message = wire::write(&self.gateway.profile, &way, &screen, kind);
        let deadline = self.clock.instant() + self.gateway.profile.answer_within;
        let (gateway, link, clock) = (self.gateway.clone(), self.link.clone(), self.clock.clone());
        Box::pin(async move {
            match send(link.as_ref(), &gateway, message, &clock, deadline).await {
                Sent::Taken => Pushed::Taken,
                Sent::Refused(refused) => Pushed::Refused(status::label(refused)),
                Sent::Unsent => Pushed::Refused("no bind".to_owned()),
                Sent::Unknown => Pushed::Unknown,
            }
        })
    }
}
