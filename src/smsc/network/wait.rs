//! Whoever asked by HTTP and waits for something to happen: the next message, the next screen, a bind.

use serde_json::{Value, json};

use crate::smsc::handset::Turn;
use crate::smsc::network::link::Link;
use crate::smsc::network::{Network, Now, Timer};

/// Requests that wait at once; more are answered 429.
pub(super) const WAITING_MAX: usize = 10_000;

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The statuses of the parts of a text.
    Text { statuses: Vec<Option<u32>> },
    /// A screen after this many of the handset, in the dialogue with this key.
    Screen { handset: String, key: u64, after: u64 },
    /// A message after this many of the handset.
    Message { handset: String, after: u64 },
    /// A dialogue of the handset that the ESME began and that waits for an answer.
    Push { handset: String, after: u64 },
    /// A screen after this many of the handset, in whichever dialogue.
    Shown { handset: String, after: u64 },
    /// The handset's dialogue is over.
    Over { handset: String },
    /// So many links that are bound.
    Binds { count: usize },
    /// Nothing waits to be delivered or answered.
    Quiet,
}

impl Waiting {
    fn handset(&self) -> Option<&str> {
        match self {
            Self::Screen { handset, .. }
            | Self::Message { handset, .. }
            | Self::Push { handset, .. }
            | Self::Shown { handset, .. }
            | Self::Over { handset } => Some(handset),
            Self::Text { .. } | Self::Binds { .. } | Self::Quiet => None,
        }
    }
}

impl Network {
    /// Answers at once if it has happened, else lets the request wait for at most `ms`.
    pub(super) fn wait(&mut self, now: Now, ticket: u64, ms: u64, waiting: Waiting) {
        if let Some(body) = self.happened(&waiting) {
            return self.answer(ticket, 200, body);
        }
        if ms == 0 {
            return self.timed_out(ticket, &waiting);
        }
        if self.waiting.len() >= WAITING_MAX {
            return self.answer(ticket, 429, json!({ "why": "too many requests wait" }));
        }
        if let Some(handset) = waiting.handset().map(str::to_owned) {
            match self.handset(&handset) {
                Some(handset) => handset.waiting.push(ticket),
                None => return self.answer(ticket, 429, json!({ "why": "too many handsets" })),
            }
        }
        if matches!(waiting, Waiting::Binds { .. } | Waiting::Quiet) {
            self.watching.push(ticket);
        }
        self.waiting.insert(ticket, waiting);
        self.after(now, ms, Timer::Wait(ticket));
    }

    fn happened(&self, waiting: &Waiting) -> Option<Value> {
        match waiting {
            Waiting::Text { statuses } => {
                let all: Option<Vec<u32>> = statuses.iter().copied().collect();
                all.map(|statuses| {
                    let status = statuses.iter().find(|s| **s != 0).copied().unwrap_or(0);
                    json!({ "answered": true, "status": status, "statuses": statuses })
                })
            }
            Waiting::Screen { handset, key, after } => {
                let dialogue = self.handsets.get(handset)?.dialogue.as_ref()?;
                let shown = dialogue.screens > *after && dialogue.turn != Turn::Esme;
                (dialogue.key != *key || shown || dialogue.turn == Turn::Over).then(|| self.shown(handset))
            }
            Waiting::Message { handset, after } => {
                let message = self.handsets.get(handset)?.messages.iter().find(|m| m.number > *after)?;
                serde_json::to_value(message).ok()
            }
            Waiting::Push { handset, after } => {
                let dialogue = self.handsets.get(handset)?.dialogue.as_ref()?;
                (dialogue.push && dialogue.screens > *after && dialogue.turn != Turn::Esme)
                    .then(|| self.shown(handset))
            }
            Waiting::Shown { handset, after } => {
                (self.handsets.get(handset)?.screens > *after).then(|| self.shown(handset))
            }
            Waiting::Over { handset } => {
                let dialogue = self.handsets.get(handset)?.dialogue.as_ref()?;
                (dialogue.turn == Turn::Over).then(|| self.shown(handset))
            }
            Waiting::Binds { count } => {
                let bound = self.links.values().filter(|l| l.role.is_some()).count();
                (bound >= *count).then(|| json!({ "binds": bound }))
            }
            Waiting::Quiet => {
                let unanswered: usize = self.links.values().map(Link::delivering).sum();
                (self.queue.is_empty() && unanswered == 0 && self.planned == 0)
                    .then(|| json!({ "quiet": true }))
            }
        }
    }

    /// A part of a text was answered.
    pub(super) fn text_answered(&mut self, ticket: u64, part: usize, status: u32) {
        let Some(Waiting::Text { statuses }) = self.waiting.get_mut(&ticket) else { return };
        if let Some(slot) = statuses.get_mut(part) {
            slot.get_or_insert(status);
        }
        self.settle(ticket);
    }

    fn settle(&mut self, ticket: u64) -> bool {
        let Some(body) = self.waiting.get(&ticket).and_then(|w| self.happened(w)) else { return false };
        self.waiting.remove(&ticket);
        self.answer(ticket, 200, body);
        true
    }

    /// Something happened at a handset.
    pub(super) fn settle_handset(&mut self, handset: &str) {
        let Some(waiting) = self.handsets.get_mut(handset).map(|h| std::mem::take(&mut h.waiting)) else {
            return;
        };
        for ticket in waiting {
            if !self.settle(ticket)
                && self.waiting.contains_key(&ticket)
                && let Some(handset) = self.handsets.get_mut(handset)
            {
                handset.waiting.push(ticket);
            }
        }
    }

    /// Something may have happened at a link.
    pub(super) fn settle_links(&mut self) {
        for ticket in std::mem::take(&mut self.watching) {
            if !self.settle(ticket) && self.waiting.contains_key(&ticket) {
                self.watching.push(ticket);
            }
        }
    }

    /// It did not happen in time.
    pub(super) fn waited(&mut self, ticket: u64) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            if let Some(handset) = waiting.handset().and_then(|h| self.handsets.get_mut(h)) {
                handset.waiting.retain(|t| *t != ticket);
            }
            self.timed_out(ticket, &waiting);
        }
    }

    fn timed_out(&mut self, ticket: u64, waiting: &Waiting) {
        let mut body = match waiting {
            Waiting::Text { statuses } => json!({ "answered": false, "statuses": statuses }),
            Waiting::Screen { handset, .. } => self.shown(handset),
            _ => json!({}),
        };
        if let Value::Object(members) = &mut body {
            members.insert("timeout".to_owned(), Value::Bool(true));
        }
        self.answer(ticket, 504, body);
    }
}
