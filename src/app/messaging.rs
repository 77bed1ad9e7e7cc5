//! Text messages and USSD: joins what brings them (SMPP binds, HTTP) to the desks that make conversations of them.
//!
//! ```text
//! [[smsc]] ──Client──┐                      ┌─ ussd::smpp::Gate ─► ussd::Desk ─┐
//! [smpp]  ──Listener─┴─ events ─► one task ─┤                                  ├─► sessions
//!                                 a route   └─ sms::smpp::Inlet ─► sms::Desk ──┘
//! outbox ─► Dispatcher ─► Binds (a route's binds), Provider (HTTP)
//! ```
//! It starts and stops them in an order in which nothing is lost: what came in is answered before its link goes, and what is
//! on its way out is settled before the database closes.

mod asks;
mod doors;
mod figures;
mod routes;
mod ways;
mod web;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::Error;
use crate::clock::Clock;
use crate::config::gateway::Gateway;
use crate::config::smpp::{Listen, Smsc};
use crate::connector::numbering::Plan;
use crate::http::Gateways;
use crate::payment::pin::Peppers;
use crate::session::Id;
use crate::session::mailbox::Mailbox;
use crate::session::registry::Registry;
use crate::smpp::io::{Client, ClientSettings, Event, Handle, Listener, ListenerSettings, What};
use crate::smpp::link::settings::{Settings as LinkSettings, Side as LinkSide};
use crate::sms;
use crate::sms::carry::Carry;
use crate::sms::dispatch::Dispatcher;
use crate::ussd;
use crate::voice::clips::Clips;

pub use asks::Screens;
pub use doors::password_hash;
pub use figures::{LinkFigures, MessagingFigures};

use self::routes::{AllBinds, Joined, Joints};

/// Events of one route's links that may wait; then its sockets are not read.
const EVENTS_MAX: usize = 1_024;
/// Peers that may wait to be judged.
const ASKS_MAX: usize = 64;
/// How long a stopping link waits for answers.
const LINK_DRAIN: Duration = Duration::from_secs(5);
/// How long a connection to an SMSC may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of one address at once.
const PER_ADDRESS_MAX: usize = 64;

/// What carries texts and dialogues.
#[derive(Default)]
pub struct Wanted {
    /// SMSCs that we bind to.
    pub smscs: Vec<Smsc>,
    /// Where others bind to us.
    pub listen: Option<Listen>,
    /// Keys of their passwords.
    pub peppers: Option<Peppers>,
    /// Gateways and providers over HTTP.
    pub gateways: Vec<Gateway>,
}

/// Texts and dialogues at work.
pub struct Messaging {
    /// The desk of text messages.
    pub texts: sms::desk::Desk<Clips>,
    /// The desk of dialogues.
    pub dialogues: ussd::Desk<Clips>,
    /// What sends texts.
    pub dispatcher: Dispatcher,
    /// Where aggregators bind to us.
    pub listens: Option<SocketAddr>,
    handles: Handles,
    dispatching: JoinHandle<()>,
    tasks: TaskTracker,
    /// Cancelled first: no new peers.
    doors: CancellationToken,
    /// Cancelled when the links are closed.
    desks: CancellationToken,
}

/// All binds, to ask which links are up. Clones are handles on the same list.
#[derive(Clone, Debug, Default)]
pub struct Handles(Arc<RwLock<Vec<Handle>>>);

impl Handles {
    fn add(&self, handle: Handle) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|bind| !bind.is_closed());
        all.push(handle);
    }

    fn all(&self) -> Vec<Handle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_up(&self, link: Id) -> bool {
        self.all().iter().any(|bind| bind.status().link.is_some_and(|up| up.0 == link.0))
    }

    /// Each bind as it is now.
    #[must_use]
    pub fn figures(&self, clock: &Clock) -> Vec<LinkFigures> {
        let now = clock.instant();
        self.all().iter().filter(|bind| !bind.is_closed()).map(|bind| LinkFigures::of(bind, now)).collect()
    }
}

impl Messaging {
    /// Starts the desks, the dispatcher and all links. What it gives beside is for HTTP to serve.
    ///
    /// # Errors
    /// When TLS files cannot be used, the listener's address is taken, or the database does not answer.
    pub async fn start(
        wanted: Wanted,
        registry: &Registry<Clips>,
        plan: &Plan,
        clock: &Clock,
    ) -> Result<(Self, Gateways<Clips>), Error> {
        let joints = Joints::new(&wanted, plan);
        let binds = joints.binds(clock);
        let mut messaging = Self::desks(&wanted, &joints, &binds, registry, clock)?;
        let gate = ussd::smpp::Gate::new(messaging.dialogues.clone(), joints.gateways(), clock.clone());
        let joined = joints.join(&gate, &messaging.texts, &messaging.dispatcher, &binds);
        let pushers = joined.iter().filter_map(|(name, joined)| Some((name.clone(), joined.pusher()?)));
        messaging.dialogues.push_by(pushers.collect());
        messaging.tasks.spawn(messaging.dialogues.clone().run(messaging.desks.clone()));
        let taken_up = messaging.texts.recover().await?;
        if taken_up > 0 {
            tracing::info!(taken_up, "threads that were left in the middle");
        }
        let (texts, stop) = (messaging.texts.clone(), messaging.desks.clone());
        messaging.tasks.spawn(async move { texts.watch(stop).await });
        let inlets = web::inlets(
            &wanted.gateways,
            &messaging.dialogues,
            &messaging.texts,
            &messaging.dispatcher,
            joints.country(),
            clock,
        )?;
        let callers = doors::Caller::all(&wanted.smscs);
        for smsc in wanted.smscs {
            messaging.bind_to(smsc, &joined)?;
        }
        if let Some(listen) = wanted.listen {
            messaging.listen(listen, callers, wanted.peppers, joined).await?;
        }
        Ok((messaging, inlets))
    }

    /// The desks and the dispatcher, with nothing that brings them anything yet.
    fn desks(
        wanted: &Wanted,
        joints: &Joints,
        binds: &AllBinds,
        registry: &Registry<Clips>,
        clock: &Clock,
    ) -> Result<Self, Error> {
        let handles = Handles::default();
        let by_http = web::dialogue_routes(&wanted.gateways);
        let ways = joints.dialogue_routes().into_iter().chain(by_http).collect();
        let dialogues = ussd::Desk::new(registry.clone(), ways, clock.clone());
        let mailbox = Mailbox::new(registry.payments().clone(), clock.clone());
        let by_binds =
            binds.values().map(|(route, binds)| (route.clone(), Arc::new(binds.clone()) as Arc<dyn Carry>));
        let (dispatcher, dispatching) = Dispatcher::start(sms::dispatch::Parts {
            mailbox: mailbox.clone(),
            routes: by_binds.chain(web::carriers(&wanted.gateways, clock)?).collect(),
            settings: sms::dispatch::Settings::default(),
            clock: clock.clone(),
        });
        let up = handles.clone();
        let lasting: Vec<Id> = wanted.gateways.iter().map(|gateway| web::link(&gateway.name)).collect();
        let texts = sms::desk::Desk::new(sms::desk::Parts {
            registry: registry.clone(),
            mailbox,
            settings: sms::desk::Settings::default(),
            link_up: Arc::new(move |link| lasting.contains(&link) || up.is_up(link)),
            reach: joints.may_push().then(|| Arc::new(dialogues.clone()) as _),
            clock: clock.clone(),
        });
        Ok(Self {
            texts,
            dialogues,
            dispatcher,
            listens: None,
            handles,
            dispatching,
            tasks: TaskTracker::new(),
            doors: CancellationToken::new(),
            desks: CancellationToken::new(),
        })
    }

    /// Starts an SMSC's binds, and the task that takes what they bring.
    fn bind_to(&self, smsc: Smsc, joined: &BTreeMap<String, Arc<Joined<Clips>>>) -> Result<(), Error> {
        // One that only asks us to bind comes by the listener.
        let Some(joined) = joined.get(&smsc.name).cloned().filter(|_| !smsc.addresses.is_empty()) else {
            return Ok(());
        };
        let (tls, server_name) = match &smsc.tls {
            Some((files, server_name)) => {
                let files = crate::smpp::io::tls::client(files);
                (
                    Some(files.map_err(|why| Error::Disagree(format!("smsc {}: {why}", smsc.name)))?),
                    server_name.clone(),
                )
            }
            None => (None, None),
        };
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        for (number, role) in smsc.roles.iter().enumerate() {
            let mut link = smsc.link.clone();
            if let LinkSide::Esme(esme) = &mut link.side {
                esme.role = *role;
            }
            let settings = ClientSettings {
                name: format!("{}/{}", smsc.name, number + 1),
                addresses: smsc.addresses.clone(),
                tls: tls.clone(),
                server_name: server_name.clone(),
                connect_timeout: CONNECT_TIMEOUT,
                link,
            };
            let handle = Client::start(settings, events_in.clone(), super::now);
            self.handles.add(handle.clone());
            joined.add(handle);
        }
        self.tasks.spawn(take_events(events, move |_| Some(joined.clone()), None));
        Ok(())
    }

    /// Opens the door for aggregators.
    async fn listen(
        &mut self,
        listen: Listen,
        callers: Vec<doors::Caller>,
        peppers: Option<Peppers>,
        joined: BTreeMap<String, Arc<Joined<Clips>>>,
    ) -> Result<(), Error> {
        let tls = match &listen.tls {
            Some(files) => {
                let files = crate::smpp::io::tls::server(files);
                Some(files.map_err(|why| Error::Disagree(format!("smpp.tls: {why}")))?)
            }
            None => None,
        };
        let side = LinkSide::Smsc { system_id: bytes::Bytes::from_static(b"keytone"), version: 0x34 };
        let settings = ListenerSettings {
            networks: listen.networks,
            connections: listen.connections,
            connections_per_address: PER_ADDRESS_MAX,
            tls,
            link: LinkSettings::new(side),
            drain: LINK_DRAIN,
        };
        let address = listen.address;
        let listener =
            Listener::bind(address, settings).await.map_err(|source| Error::Listen { address, source })?;
        self.listens = listener.local_addr().ok();
        let (asks_in, asks) = mpsc::channel(ASKS_MAX);
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        if let Some(peppers) = peppers {
            self.tasks.spawn(doors::keep(listen.peers, callers, peppers, asks));
        }
        self.tasks.spawn(listener.run(asks_in, events_in, super::now, self.doors.clone()));
        let handles = self.handles.clone();
        self.tasks.spawn(take_events(events, move |name| joined.get(name).cloned(), Some(handles)));
        Ok(())
    }

    /// What tells the figures without holding the whole.
    pub fn watch(&self, clock: &Clock) -> impl Fn() -> MessagingFigures + Send + Sync + 'static {
        let (handles, texts, dispatcher, clock) =
            (self.handles.clone(), self.texts.clone(), self.dispatcher.clone(), clock.clone());
        move || MessagingFigures {
            links: handles.figures(&clock),
            received: texts.figures(),
            sent: dispatcher.figures(),
        }
    }

    /// Lets what is under way be answered and written, then unbinds.
    pub async fn stop(self, within: Duration) {
        self.doors.cancel();
        self.dispatcher.stop();
        let _ = tokio::time::timeout(within, self.dispatching).await;
        if !self.texts.drain(within).await {
            tracing::warn!("threads are still at work; they are taken up at the next start");
        }
        let closing = self.handles.all().into_iter().map(|bind| async move { bind.close(LINK_DRAIN).await });
        futures_util::future::join_all(closing).await;
        self.desks.cancel();
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            tracing::warn!("dialogues are still at work; they are taken up at the next start");
        }
    }
}

/// Gives what links bring to the route that it belongs to, in the order in which it comes.
async fn take_events(
    mut events: mpsc::Receiver<Event>,
    of: impl Fn(&str) -> Option<Arc<Joined<Clips>>>,
    peers: Option<Handles>,
) {
    while let Some(event) = events.recv().await {
        let name = event.handle.name().to_owned();
        match &event.what {
            // The link tells of itself in the log.
            What::Up(_) => {
                if let (Some(peers), Some(joined)) = (&peers, of(&name)) {
                    peers.add(event.handle.clone());
                    joined.add(event.handle.clone());
                }
            }
            What::Down(_) | What::Notice(_) => {}
            What::Request { .. } | What::LateResponse { .. } => {
                if let Some(joined) = of(&name) {
                    joined.take(event);
                }
            }
        }
    }
}
