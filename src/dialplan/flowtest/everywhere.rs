//! A transcript beyond the channels and the language that it was written for.

use std::collections::BTreeSet;

use crate::dialplan::catalog::Catalog;
use crate::dialplan::event::Channel;
use crate::dialplan::flowtest::{Expected, Given, Script};

const CHANNELS: [Channel; 3] = [Channel::Voice, Channel::Ussd, Channel::Sms];

/// The transcript on every channel that serves its flow, if it was written for more than one without a command, and in
/// every language, if it names none. Words and screens are only compared in the language that it was written for.
#[must_use]
pub fn everywhere(catalog: &Catalog, flow: &str, script: &Script) -> Vec<Script> {
    let mut own = script.clone();
    let bare = |channel: Channel| script.channels.iter().any(|(of, how)| *of == channel && how.is_none());
    if bare(Channel::Voice) && bare(Channel::Ussd) {
        let routes = catalog.routes().iter().filter(|route| route.flow == flow);
        let served: BTreeSet<Channel> = routes.map(|route| route.channel).collect();
        let more = CHANNELS.into_iter().filter(|channel| served.contains(channel) && !bare(*channel));
        own.channels.extend(more.map(|channel| (channel, None)));
    }
    let mut out = vec![own];
    if script.given.iter().any(|given| matches!(given, Given::Language(_))) {
        return out;
    }
    let Some(program) = catalog.program(flow) else { return out };
    let written = program.settings().default_language.clone();
    for tag in program.texts().languages().filter(|tag| *tag != written) {
        out.extend(out.first().map(|own| in_language(own, tag)));
    }
    out
}

fn in_language(script: &Script, tag: &str) -> Script {
    let mut other = script.clone();
    other.name = format!("{} [{tag}]", script.name);
    other.given.push(Given::Language(tag.to_owned()));
    for turn in &mut other.turns {
        turn.expected.retain(|expected| !matches!(expected, Expected::Text(_) | Expected::Screen(_)));
    }
    other
}
