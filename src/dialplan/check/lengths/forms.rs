//! Messages that have nothing to say or to show on a channel that their flow serves.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::check::messages::Index;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::event::Channel;
use crate::dialplan::program::{Menu, Op, Program, Speech};
use crate::dialplan::speak::{Message, Piece};

pub(super) fn check(
    program: &Program,
    served: &BTreeSet<Channel>,
    index: &Index,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut said = Said::default();
    program.steps.iter().for_each(|step| said.ops(&step.ops));
    let told =
        said.told.into_iter().flat_map(|message| served.iter().map(move |channel| (message, *channel)));
    let sent = said.sent.into_iter().map(|message| (message, Channel::Sms));
    let mut silent: BTreeMap<(u16, Channel), Vec<&str>> = BTreeMap::new();
    for (message, channel) in told.chain(sent) {
        for language in &program.texts.languages {
            let forms = language.messages.get(usize::from(message));
            if forms.is_some_and(|forms| !form(forms, channel).iter().any(|piece| says(piece, channel))) {
                silent.entry((message, channel)).or_default().push(&language.tag);
            }
        }
    }
    for ((message, channel), languages) in silent {
        let Some(name) = program.texts.names.get(usize::from(message)) else { continue };
        let Some(entry) = index.entries.get(&**name) else { continue };
        let verb = if channel == Channel::Voice { "say" } else { "show" };
        let text = format!("`{name}` has nothing to {verb} on {channel}, where `{}` needs it", program.name);
        let fault = Diagnostic::error(Code::F091, &entry.file, entry.span, text);
        diagnostics
            .push(fault.hint(format!("write a line `{channel}: …` below it ({})", languages.join(", "))));
    }
}

fn form(message: &Message, channel: Channel) -> &[Piece] {
    match channel {
        Channel::Voice => &message.voice,
        Channel::Ussd => &message.ussd,
        Channel::Sms => &message.sms,
    }
}

fn says(piece: &Piece, channel: Channel) -> bool {
    match piece {
        Piece::Words(words) if channel == Channel::Voice => words.clip.is_some(),
        Piece::Words(words) => !words.text.trim().is_empty(),
        // A screen cannot show a clip or a tone.
        Piece::Sound(_) => channel == Channel::Voice,
        Piece::Slot { .. } | Piece::Plural { .. } => true,
    }
}

/// The messages of a program.
#[derive(Default)]
struct Said {
    told: BTreeSet<u16>,
    sent: BTreeSet<u16>,
}

impl Said {
    fn ops(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Ask(ask) => {
                    self.tell([&ask.question]);
                    self.tell(&ask.again);
                    self.tell(ask.silent.iter().chain(&ask.wrong).map(|(_, speech)| speech));
                }
                Op::Menu(menu) => self.menu(menu),
                Op::Must { otherwise, .. } => self.tell([otherwise]),
                Op::Tell(speech) => self.tell([speech]),
                Op::SendSms(speech) => {
                    self.sent.insert(speech.message);
                }
                Op::Do { branches, .. } => branches.iter().for_each(|branch| self.ops(&branch.block)),
                _ => {}
            }
        }
    }

    fn menu(&mut self, menu: &Menu) {
        self.tell(&menu.question);
        self.tell(&menu.again);
        self.tell(menu.silent.iter().chain(&menu.wrong).map(|(_, speech)| speech));
        for choice in &menu.choices {
            self.tell(&choice.label);
            self.ops(&choice.block);
        }
        if let Some(each) = &menu.each {
            self.tell([&each.label]);
            self.ops(&each.block);
            self.ops(&each.empty);
        }
    }

    fn tell<'s>(&mut self, speeches: impl IntoIterator<Item = &'s Speech>) {
        self.told.extend(speeches.into_iter().map(|speech| speech.message));
    }
}
