//! Voice: SIP calls and their media on one side, sessions on the other.
//!
//! ```text
//! sip::io ──Event──► Switchboard ──► one task a call (call.rs) ──► Session
//!    ▲                                   │   ▲
//!    └────────────Command────────────────┘   └── rtp::Engine: keys in, prompts out
//! ```
//! The switchboard decides who calls: the trunk's trust, not the peer's word, says whether a caller has a number. It
//! answers busy when there is no place or no port. Each call then lives in a task of its own and may die alone.

mod call;
pub mod clips;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::msisdn::Msisdn;
use crate::rtp::Engine;
use crate::session::registry::{Registry, Unserved};
use crate::sip::event::{CallKey, Command, Event, Identity, Incoming};
use crate::voice::call::Call;
use crate::voice::clips::Clips;

/// Events that may wait for one call's task; a call that is so far behind is ended.
const CALL_EVENTS_MAX: usize = 32;
/// Media reports that may wait for one call's task.
const MEDIA_REPORTS_MAX: usize = 64;

/// What the switchboard needs to know of the market and its peers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Country code without `+`, to read national numbers of callers.
    pub country: String,
    /// Most digits of a national number.
    pub national_digits_max: usize,
    /// Trunks whose caller's numbers are believed.
    pub trusted_trunks: Vec<String>,
    /// Accept media from elsewhere than SDP said, after the learning window.
    pub symmetric: bool,
    /// A call without any media from the caller for so long is ended.
    pub silent_after: Option<std::time::Duration>,
    /// Address written into SDP in place of the one that faces the peer.
    pub external: Option<std::net::IpAddr>,
}

/// Takes calls and gives each a task.
pub struct Switchboard {
    /// Who is believed, and how media is taken.
    pub rules: Rules,
    /// Where sessions come from, and the clips that they say.
    pub registry: Registry<Clips>,
    /// Where media ports come from.
    pub engine: Engine,
    /// To the SIP endpoint.
    pub commands: mpsc::Sender<Command>,
    /// The time.
    pub clock: Clock,
}

impl Switchboard {
    /// Runs until `stop` is cancelled and every call has ended, or the endpoint is gone. Stopping refuses new calls; those
    /// under way end by themselves or when the endpoint is closed.
    pub async fn run(self, mut events: mpsc::Receiver<Event>, stop: CancellationToken) {
        let shared = Arc::new(self);
        let calls = TaskTracker::new();
        let mut live: HashMap<CallKey, mpsc::Sender<Event>> = HashMap::new();
        let mut draining = false;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = stop.cancelled(), if !draining => {
                    draining = true;
                    let _ = shared.commands.send(Command::Drain(true)).await;
                    calls.close();
                    continue;
                }
                () = calls.wait(), if draining => break,
            };
            let Some(event) = event else { break };
            shared.route(event, &mut live, &calls).await;
        }
    }

    /// Gives an event to its call's task, or makes a task for a new call. The end of a call is the closing of its queue.
    async fn route(
        self: &Arc<Self>,
        event: Event,
        live: &mut HashMap<CallKey, mpsc::Sender<Event>>,
        calls: &TaskTracker,
    ) {
        let key = match event {
            Event::Incoming(incoming) => {
                let key = incoming.call;
                if let Some(sender) = self.take(*incoming, calls).await {
                    live.insert(key, sender);
                }
                return;
            }
            Event::Ended { call, .. } | Event::Cancelled { call } | Event::Failed { call, .. } => {
                live.remove(&call);
                return;
            }
            Event::Established { call }
            | Event::AckSdp { call, .. }
            | Event::Offer { call, .. }
            | Event::Digit { call, .. }
            | Event::Progress { call, .. }
            | Event::Answered { call, .. }
            | Event::OfferRefused { call, .. } => call,
        };
        if let Some(sender) = live.get(&key)
            && sender.try_send(event).is_err()
        {
            tracing::warn!(call = key.number(), "a call does not take its events; it is ended");
            live.remove(&key);
            let _ = self.commands.send(Command::Hangup { call: key }).await;
        }
    }

    /// Opens a session and a media port for a new call, or refuses it.
    async fn take(self: &Arc<Self>, incoming: Incoming, calls: &TaskTracker) -> Option<mpsc::Sender<Event>> {
        let key = incoming.call;
        let caller = self.caller(&incoming);
        let (mut session, clips) = match self.registry.open_voice(&incoming.request_user, caller.clone()) {
            Ok(opened) => opened,
            Err(why) => {
                let status = match why {
                    Unserved::NoFlow => 404,
                    Unserved::Full => 486,
                };
                tracing::info!(call = key.number(), trunk = %incoming.trunk, status, "call refused: {why}");
                self.reject(key, status).await;
                return None;
            }
        };
        session.came_by(&incoming.trunk);
        let (reports_in, reports) = mpsc::channel(MEDIA_REPORTS_MAX);
        let media = match self.engine.open(reports_in, key.number()) {
            Ok(media) => media,
            Err(why) => {
                tracing::warn!(call = key.number(), "call refused: {why}");
                self.reject(key, 503).await;
                return None;
            }
        };
        tracing::info!(
            call = key.number(), session = %session.id(), trunk = %incoming.trunk, flow = session.program().name(),
            caller = ?caller, "call"
        );
        let (events_in, events) = mpsc::channel(CALL_EVENTS_MAX);
        let call = Call::new(self.clone(), &incoming, (session, clips), media);
        calls.spawn(call.run(incoming.offer, events, reports));
        Some(events_in)
    }

    async fn reject(&self, call: CallKey, status: u16) {
        let retry_after = (status == 503).then_some(5);
        let _ = self.commands.send(Command::Reject { call, status, retry_after }).await;
    }

    /// The caller's number: only from a trunk that is trusted for it, not withheld, and a telephone number. The
    /// network's assertion (RFC 3325) comes before what the caller's own device wrote.
    fn caller(&self, incoming: &Incoming) -> Option<Msisdn> {
        let trusted = self.rules.trusted_trunks.contains(&incoming.trunk);
        if !trusted || incoming.privacy {
            return None;
        }
        let identities = incoming.asserted.iter().chain(std::iter::once(&incoming.from));
        identities.filter_map(Identity::number).find_map(|number| {
            Msisdn::dialled(&number, &self.rules.country, self.rules.national_digits_max).ok()
        })
    }
}
