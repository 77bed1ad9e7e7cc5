//! How much every screen and text message of a flow can hold at worst: all that is told on any way since the caller
//! was last heard, the question and its options, in every language, with the widest values that its slots can take.
//!
//! What is found here is a bound: no conversation shows more. It follows from the program alone.

mod extent;
mod forms;
mod survey;
mod widths;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::check::lengths::extent::{Extent, Longest};
use crate::dialplan::check::lengths::survey::Survey;
use crate::dialplan::check::lengths::widths::{Width, Widths};
use crate::dialplan::check::messages::Index;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::event::Channel;
use crate::dialplan::pages::Screen;
use crate::dialplan::program::{ITEMS_A_PAGE, ITEMS_MAX, Op, PAGES_MAX, PinOnSms, Program};
use crate::dialplan::route::{Element, Route};
use crate::dialplan::speak::{System, Utterance};
use crate::dialplan::syntax::span::Span;
use crate::dialplan::value::Value;

/// Pages of a screen, or parts that a page's worth of text messages makes, before somebody is warned.
const PAGES_WARN: usize = 3;
/// Parts of one text message before somebody is warned.
const PARTS_WARN: usize = 4;
/// Septets of a text message alone, and of one of several parts (3GPP TS 23.040 §9.2.3.24.1).
const SMS_SEPTETS: (usize, usize) = (160, 153);
/// UTF-16 units of the same.
const SMS_UNITS: (usize, usize) = (70, 67);
/// What a text is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// It waits for an answer.
    Question,
    /// It ends the conversation, or waits for the caller to go.
    End,
    /// `send sms`: beside the conversation.
    Sms,
}

/// The worst case of one place in one language.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Length {
    /// The flow.
    pub flow: String,
    /// The step.
    pub step: String,
    /// The first message of the question, or of the text message.
    pub message: Option<String>,
    /// What the text is for.
    pub purpose: Purpose,
    /// The language.
    pub language: String,
    /// Where it is shown.
    pub channel: Channel,
    /// The most septets, if all characters can be in GSM 03.38.
    pub septets: Option<usize>,
    /// The most UTF-16 units, if there can be another character.
    pub units: Option<usize>,
    /// Pages of a screen, or parts of a text message.
    pub pages: usize,
    #[serde(skip)]
    index: usize,
}

impl Program {
    /// The worst cases of every question, end and text message, for the channels of its routes.
    #[must_use]
    pub fn lengths(&self, routes: &[Route]) -> Vec<Length> {
        let (served, slots) = ways_in(self, routes);
        measure(self, &served, &slots, Width::Widest)
    }
}

/// Reports what needs more pages or parts than people read, with values as they usually are: what a biller may send
/// at worst is not the author's to shorten.
pub(super) fn check(
    program: &Program,
    routes: &[Route],
    places: &[(Arc<str>, Span)],
    index: &Index,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let (served, slots) = ways_in(program, routes);
    forms::check(program, &served, index, diagnostics);
    let lengths = measure(program, &served, &slots, Width::Usual);
    let too_long = |length: &&Length| match length.channel {
        Channel::Ussd => length.pages > PAGES_WARN,
        _ => length.pages > PARTS_WARN,
    };
    let mut by_step: BTreeMap<(usize, Channel), Vec<&Length>> = BTreeMap::new();
    for length in lengths.iter().filter(too_long) {
        by_step.entry((length.index, length.channel)).or_default().push(length);
    }
    for ((step, channel), lengths) in by_step {
        let Some(worst) = lengths.iter().max_by_key(|length| length.pages) else { continue };
        let Some((file, span)) = places.get(step) else { continue };
        let name = worst.step.rsplit('/').next().unwrap_or_default();
        let (kind, fatal) = match channel {
            Channel::Ussd => ("pages of a USSD screen", worst.pages > PAGES_MAX),
            _ => ("parts of a text message", false),
        };
        let languages: BTreeMap<&str, usize> = lengths.iter().fold(BTreeMap::new(), |mut all, length| {
            let pages: &mut usize = all.entry(length.language.as_str()).or_default();
            *pages = (*pages).max(length.pages);
            all
        });
        let languages: Vec<String> = languages.iter().map(|(tag, pages)| format!("{tag} {pages}")).collect();
        let text = format!("`{name}` can need {} {kind}", worst.pages);
        let fault = if fatal {
            Diagnostic::error(Code::F053, file, *span, text)
        } else {
            Diagnostic::warning(Code::F053, file, *span, text)
        };
        let cut =
            if fatal { format!("; what is beyond {PAGES_MAX} pages would be cut") } else { String::new() };
        diagnostics.push(fault.hint(format!(
            "shorten what is told on the way to it, or ask in between ({}){cut}",
            languages.join(", ")
        )));
    }
}

/// The channels that a flow is served on, and the slots of its commands.
fn ways_in<'r>(program: &Program, routes: &'r [Route]) -> (BTreeSet<Channel>, BTreeSet<&'r str>) {
    let own = |route: &&Route| route.flow == program.name && route.draft == program.draft;
    let slots =
        routes.iter().filter(own).flat_map(|route| &route.pattern).filter_map(|element| match element {
            Element::Slot { name, .. } => Some(name.as_str()),
            Element::Literal(_) => None,
        });
    (routes.iter().filter(own).map(|route| route.channel).collect(), slots.collect())
}

fn measure(
    program: &Program,
    served: &BTreeSet<Channel>,
    slots: &BTreeSet<&str>,
    width: Width,
) -> Vec<Length> {
    let mut channels: BTreeSet<Channel> = served.iter().copied().filter(|c| *c != Channel::Voice).collect();
    if served.contains(&Channel::Sms) && matches!(program.pin_on_sms, PinOnSms::Callback | PinOnSms::None) {
        // A PIN may be asked by a push, and the conversation goes on there.
        channels.insert(Channel::Ussd);
    }
    let widths = Widths::of(program, width);
    let items = if width == Width::Widest { ITEMS_MAX } else { ITEMS_A_PAGE };
    let mut found = BTreeMap::new();
    // A text message beside the conversation is sent from every channel.
    for channel in [Channel::Ussd, Channel::Sms] {
        if !channels.contains(&channel) && (channel == Channel::Ussd || !sends(program)) {
            continue;
        }
        let survey = Survey::new(program, &widths, channel, slots, items);
        found.extend(survey.run().into_iter().filter(|(at, _)| match at.purpose {
            Purpose::Sms => channel == Channel::Sms,
            _ => channels.contains(&channel),
        }));
    }
    let lengths = found.into_iter().flat_map(|(at, (message, extents))| {
        let languages = program.texts.languages().map(str::to_owned).collect::<Vec<_>>();
        languages.into_iter().zip(extents).filter_map(move |(language, extent)| {
            let length = |longest: &Option<Longest>| longest.as_ref().map(|longest| longest.length);
            let pages = pages(program, &language, at.channel, &extent);
            Some(Length {
                flow: program.name.clone(),
                step: program.steps.get(at.step)?.name.to_string(),
                message: message.as_deref().map(str::to_owned),
                purpose: at.purpose,
                language,
                channel: at.channel,
                septets: length(&extent.gsm),
                units: length(&extent.ucs2),
                pages,
                index: at.step,
            })
        })
    });
    lengths.collect()
}

/// Whether there is a `send sms` anywhere.
fn sends(program: &Program) -> bool {
    fn any(ops: &[Op]) -> bool {
        ops.iter().any(|op| match op {
            Op::SendSms(_) => true,
            Op::Do { branches, .. } => branches.iter().any(|branch| any(&branch.block)),
            Op::Menu(menu) => {
                let each = menu.each.as_ref().is_some_and(|each| any(&each.block) || any(&each.empty));
                each || menu.choices.iter().any(|choice| any(&choice.block))
            }
            _ => false,
        })
    }
    program.steps.iter().any(|step| any(&step.ops))
}

/// Pages of a screen or parts of a text message that the longest text needs.
fn pages(program: &Program, language: &str, channel: Channel, extent: &Extent) -> usize {
    let parts = |length: usize, (alone, several): (usize, usize)| {
        if length <= alone { 1 } else { length.div_ceil(several) }
    };
    let longest = [(&extent.gsm, SMS_SEPTETS), (&extent.ucs2, SMS_UNITS)];
    let line = |system| program.text(&said(program, system, &[]), language, channel);
    let (more, before) = (line(System::PageMore), line(System::PageBefore));
    let screen = Screen::of(&program.settings, &more, &before);
    let counted = longest.into_iter().filter_map(|(longest, limits)| {
        let longest = longest.as_ref()?;
        Some(match channel {
            Channel::Ussd => screen.pages(&longest.text, PAGES_MAX * 4).len(),
            _ => parts(longest.length, limits),
        })
    });
    counted.max().unwrap_or(1)
}

fn said(program: &Program, system: System, slots: &[i64]) -> Utterance {
    let (message, name) = program.texts.system(system);
    let slots = slots.iter().map(|slot| Value::Int(*slot)).collect();
    Utterance { message, name, slots, option: None, language: None }
}
