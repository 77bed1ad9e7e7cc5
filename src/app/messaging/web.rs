//! Gateways and providers over HTTP, joined to the same desks and the same dispatcher as binds are.

use std::sync::Arc;

use crate::app::{Error, seed};
use crate::clock::Clock;
use crate::config::gateway::Gateway;
use crate::http::{Gateways, sms as texts_in, ussd as dialogues_in};
use crate::session::Id;
use crate::sms::address::Country;
use crate::sms::carry::Carry;
use crate::sms::desk::Desk as TextDesk;
use crate::sms::dispatch::Dispatcher;
use crate::sms::http::Provider;
use crate::sms::route::Route;
use crate::ussd::{Desk as DialogueDesk, Route as DialogueRoute};
use crate::voice::clips::Clips;

/// A provider has no link that could go: its texts all come by this one.
pub(super) fn link(name: &str) -> Id {
    Id([0; 16]).derived(&format!("gateway {name}"))
}

/// The ways of dialogues.
pub(super) fn dialogue_routes(gateways: &[Gateway]) -> impl Iterator<Item = DialogueRoute> {
    gateways.iter().filter_map(|gateway| {
        let ussd = gateway.ussd.as_ref()?;
        Some(DialogueRoute {
            name: gateway.name.clone(),
            trusted: gateway.trusted,
            answer_within: ussd.answer_within,
            idle: ussd.idle,
            same_within: std::time::Duration::ZERO,
            // A gateway of this kind only answers.
            push: false,
        })
    })
}

/// A route and what carries its texts.
pub(super) type Carrier = (Route, Arc<dyn Carry>);

/// What takes texts to providers.
pub(super) fn carriers(gateways: &[Gateway], clock: &Clock) -> Result<Vec<Carrier>, Error> {
    let mut carriers: Vec<Carrier> = Vec::new();
    for gateway in gateways {
        let Some(texts) = &gateway.sms else { continue };
        let provider = Provider::new(texts.out.clone(), clock.clone())
            .map_err(|why| Error::Disagree(format!("gateway {}: {why}", gateway.name)))?;
        carriers.push((texts.route.clone(), Arc::new(provider)));
    }
    Ok(carriers)
}

/// What HTTP serves of them.
pub(super) fn inlets(
    gateways: &[Gateway],
    dialogues: &DialogueDesk<Clips>,
    texts: &TextDesk<Clips>,
    dispatcher: &Dispatcher,
    country: &Country,
    clock: &Clock,
) -> Result<Gateways<Clips>, Error> {
    let (mut ussd, mut sms) = (Vec::new(), Vec::new());
    for gateway in gateways {
        let guard = || {
            gateway
                .guard(clock.now())
                .map_err(|why| Error::Disagree(format!("gateway {}: {why}", gateway.name)))
        };
        let (name, trusted) = (gateway.name.clone(), gateway.trusted);
        if let Some(dialogues) = &gateway.ussd {
            ussd.push(dialogues_in::Route {
                name: name.clone(),
                form: dialogues.form,
                guard: guard()?,
                trusted,
            });
        }
        if let Some(texts) = &gateway.sms {
            let (form, link) = (texts.form.clone(), link(&name));
            sms.push(texts_in::Route { name, form, guard: guard()?, trusted, link });
        }
    }
    let (country, clock) = (country.clone(), clock.clone());
    Ok(Gateways {
        ussd: (!ussd.is_empty()).then(|| {
            Arc::new(dialogues_in::Gateway::new(
                dialogues.clone(),
                ussd,
                country.clone(),
                &seed(),
                clock.clone(),
            ))
        }),
        sms: (!sms.is_empty()).then(|| {
            Arc::new(texts_in::Gateway::new(texts.clone(), dispatcher.clone(), sms, country, clock))
        }),
    })
}
