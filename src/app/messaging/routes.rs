//! A route of SMPP between its links and the desks: what is a dialogue's goes to the one, what is a text to the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::messaging::Wanted;
use crate::app::messaging::ways::Ways;
use crate::clock::Clock;
use crate::config::smpp::{Carries, Texts};
use crate::connector::numbering::Plan;
use crate::smpp::io::{Event, Handle, What};
use crate::smpp::pdu::{Address, Body, MessageResp};
use crate::smpp::status;
use crate::sms::address::Country;
use crate::sms::desk::Desk as TextDesk;
use crate::sms::dispatch::Dispatcher;
use crate::sms::route::Route;
use crate::sms::smpp::{Binds, Dialect, End, Inlet};
use crate::ussd::smpp::{Gate, Gateway, Link, Side};
use crate::ussd::wire::is_ussd;
use crate::ussd::{Pusher, Route as DialogueRoute};

/// What is to be joined: one for each route.
pub(super) struct Joints {
    routes: Vec<(String, Side, bool, Carries)>,
    country: Country,
}

/// The binds of every route that carries texts.
pub(super) type AllBinds = BTreeMap<String, (Route, Binds)>;

impl Joints {
    pub(super) fn new(wanted: &Wanted, plan: &Plan) -> Self {
        let ours = wanted
            .smscs
            .iter()
            .map(|smsc| (smsc.name.clone(), Side::Esme, smsc.trusted, smsc.carries.clone()));
        let peers = wanted.listen.iter().flat_map(|listen| &listen.peers);
        let theirs = peers.map(|peer| (peer.name.clone(), Side::Smsc, peer.trusted, peer.carries.clone()));
        let country = Country { code: plan.country.clone(), national_max: plan.national_max() };
        Self { routes: ours.chain(theirs).collect(), country }
    }

    /// The market's numbers.
    pub(super) const fn country(&self) -> &Country {
        &self.country
    }

    pub(super) fn dialogue_routes(&self) -> Vec<DialogueRoute> {
        let routes = self.routes.iter().filter_map(|(name, _, trusted, carries)| {
            Some(DialogueRoute::of(name, *trusted, carries.ussd.as_ref()?))
        });
        routes.collect()
    }

    pub(super) fn may_push(&self) -> bool {
        self.routes.iter().any(|(.., carries)| carries.ussd.as_ref().is_some_and(|profile| profile.push))
    }

    pub(super) fn binds(&self, clock: &Clock) -> AllBinds {
        let texts = self.routes.iter().filter_map(|(name, side, trusted, carries)| {
            let texts = carries.sms.as_ref()?;
            let dialect = self.dialect(name, *side, *trusted, texts);
            Some((name.clone(), (texts.route.clone(), Binds::new(dialect, clock.clone()))))
        });
        texts.collect()
    }

    fn dialect(&self, name: &str, side: Side, trusted: bool, texts: &Texts) -> Dialect {
        Dialect {
            end: match side {
                Side::Esme => End::Esme,
                Side::Smsc => End::Smsc,
            },
            charsets: texts.charsets,
            form: texts.long,
            numbering: texts.route.numbering,
            trust: texts.trust(trusted),
            ids: texts.ids,
            kinds: texts.kinds.clone(),
            service_type: texts.service_type.clone().into(),
            ..Dialect::new(name, self.country.clone())
        }
    }

    pub(super) fn gateways(&self) -> BTreeMap<String, Gateway> {
        let gateways = self.routes.iter().filter_map(|(name, side, _, carries)| {
            let profile = carries.ussd.clone()?;
            let (ours, theirs) = match &carries.sms {
                Some(texts) => {
                    (texts.route.numbering.source(&texts.route.sender), texts.route.numbering.recipient)
                }
                None => (Address::default(), (1, 1)),
            };
            let gateway = Gateway {
                profile,
                side: *side,
                kinds: carries.sms.as_ref().map(|texts| texts.kinds.clone()).unwrap_or_default(),
                country: self.country.code.clone(),
                national_digits_max: self.country.national_max,
                ours,
                theirs,
            };
            Some((name.clone(), gateway))
        });
        gateways.collect()
    }

    /// Each route with what it is joined to.
    pub(super) fn join<M: Clone + Send + Sync + 'static>(
        &self,
        gate: &Gate<M>,
        texts: &TextDesk<M>,
        dispatcher: &Dispatcher,
        binds: &AllBinds,
    ) -> BTreeMap<String, Arc<Joined<M>>> {
        let joined = self.routes.iter().map(|(name, side, _, carries)| {
            let binds = binds.get(name).map(|(_, binds)| binds.clone());
            let inlet = binds.clone().map(|binds| Inlet::new(texts.clone(), dispatcher.clone(), binds));
            let joined = Joined {
                name: name.clone(),
                ways: Ways::new(*side),
                gate: carries.ussd.is_some().then(|| gate.clone()),
                pushes: carries.ussd.as_ref().is_some_and(|profile| profile.push),
                binds,
                inlet,
            };
            (name.clone(), Arc::new(joined))
        });
        joined.collect()
    }
}

/// A route and its desks.
pub(super) struct Joined<M> {
    name: String,
    ways: Ways,
    gate: Option<Gate<M>>,
    pushes: bool,
    binds: Option<Binds>,
    inlet: Option<Inlet<M>>,
}

impl<M: Clone + Send + Sync + 'static> Joined<M> {
    /// A bind that texts and screens may go by.
    pub(super) fn add(&self, handle: Handle) {
        if let Some(binds) = &self.binds {
            binds.add(handle.clone(), 1);
        }
        self.ways.add(handle);
    }

    /// What begins dialogues of ours here.
    pub(super) fn pusher(&self) -> Option<Arc<dyn Pusher>> {
        let gate = self.gate.as_ref().filter(|_| self.pushes)?;
        gate.pusher(&self.name, Arc::new(self.ways.clone()) as Arc<dyn Link>)
    }

    /// Takes what a link of the route brought. Its place among those of the same caller is taken before this returns.
    pub(super) fn take(&self, event: Event) {
        let Event { link, handle, what } = event;
        let (ticket, body) = match what {
            What::Request { ticket, body } => (ticket, body),
            other => {
                if let Some(inlet) = &self.inlet {
                    inlet.take(Event { link, handle, what: other });
                }
                return;
            }
        };
        let message = match &body {
            Body::SubmitSm(message) | Body::DeliverSm(message) | Body::DataSm(message) => Some(message),
            _ => None,
        };
        match (message, &self.gate, &self.inlet) {
            (Some(message), Some(gate), inlet) if inlet.is_none() || is_ussd(message) => {
                let response = response(&body);
                let link = self.ways.answering(handle.clone());
                let acknowledge = Box::new(move |status| handle.respond(ticket, status, response));
                tokio::spawn(gate.receive(&self.name, link, message, acknowledge));
            }
            (_, _, Some(inlet)) => inlet.request(link, handle, ticket, body),
            _ => handle.respond(ticket, status::RINVCMDID, response(&body)),
        }
    }
}

/// The response to a message of a dialogue. An SMSC gives each message an id; here nobody asks for it.
fn response(body: &Body) -> Body {
    let empty = MessageResp::default();
    match body {
        Body::SubmitSm(_) => {
            Body::SubmitSmResp(MessageResp { message_id: bytes::Bytes::from_static(b"0"), ..empty })
        }
        Body::DeliverSm(_) => Body::DeliverSmResp(empty),
        Body::DataSm(_) => Body::DataSmResp(empty),
        other => Body::response_of(other.command_id()).unwrap_or(Body::GenericNack),
    }
}
