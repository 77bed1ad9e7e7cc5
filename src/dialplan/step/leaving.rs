//! What happens when the caller goes before the end: `on hangup`, or a payment under way whose outcome then comes by text
//! message.

use crate::dialplan::event::{Channel, Effect};
use crate::dialplan::program::Op;
use crate::dialplan::state::{Pages, Point, Wait};
use crate::dialplan::step::Engine;

impl Engine<'_> {
    pub(super) fn hung_up(&mut self) {
        if self.paying() {
            self.state.gone = true;
            return;
        }
        let begun = self.state.wait != Wait::Start;
        // With pages of the last screen unread the conversation itself was over.
        let ended = self.state.gone || self.state.screen.as_ref().is_some_and(|screen| screen.ends);
        self.state.screen = None;
        self.state.gone = true;
        if begun
            && !ended
            && let Some(step) = self.program.part_of(self.state.at.step).hangup
        {
            if let Some(visits) = self.state.visits.get_mut(usize::from(step)) {
                *visits = visits.saturating_add(1);
            }
            self.state.at = Point { step, op: 0 };
            self.run();
        }
        self.over();
        self.effects.retain(|effect| matches!(effect, Effect::SendSms { .. } | Effect::Mark(_)));
    }

    /// Whether money may be moving now.
    fn paying(&self) -> bool {
        let Point { step, op } = self.state.at;
        self.state.wait == Wait::Outcome
            && matches!(self.program.op(step, op), Some(Op::Do { action, .. }) if action.moves_money())
    }

    /// What was told goes to the caller as one text message, unless the flow itself sends one. Until the end it is kept
    /// with the state, as what a screen would show; `ends` there remembers that a message was sent.
    pub(super) fn tell_by_sms(&mut self) {
        let (before, before_sent) =
            self.state.screen.take().map_or_else(Default::default, |kept| (kept.text, kept.ends));
        let text = self.told(before, ' ', Channel::Sms);
        let message = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Say(utterances) => utterances.last().map(|utterance| utterance.name.clone()),
            _ => None,
        });
        let sent = before_sent || self.effects.iter().any(|effect| matches!(effect, Effect::SendSms { .. }));
        self.effects.retain(|effect| !matches!(effect, Effect::Say(_)));
        if self.state.wait != Wait::Over {
            self.state.screen = (sent || !text.is_empty()).then_some(Pages { text, shown: 0, ends: sent });
            return;
        }
        if !sent
            && !text.is_empty()
            && let Some(to) = self.state.caller.clone()
        {
            let message = message.unwrap_or_else(|| std::sync::Arc::from(""));
            let before_end = self.effects.len().saturating_sub(1);
            self.effects.insert(before_end, Effect::SendSms { to, message, text });
        }
    }
}
