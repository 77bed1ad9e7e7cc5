//! `[reserve_callback]` of an account provider's file: how its own messages about reservations are proved and read.

use crate::connector::definition::{CallbackSignature, Reader};
use crate::connector::document::Section;
use crate::connector::provider::{Operation, Places, Rule};

/// How a provider's messages are read.
#[derive(Clone, Debug)]
pub struct NewsForm {
    /// How they are signed; without it a message is only a hint to ask.
    pub signature: Option<CallbackSignature>,
    /// Where things stand; the reference is known.
    pub places: Places,
    /// Rows in order. The HTTP status counts as 200.
    pub rules: Vec<Rule>,
    /// Whether its body is form fields instead of JSON.
    pub form: bool,
    /// What a taken message is answered.
    pub reply_status: u16,
    /// JSON.
    pub reply_body: String,
}

/// The section.
pub(super) const SECTION: &str = "reserve_callback";

impl Reader<'_, '_> {
    /// The section, if the file has it; places are those of `[reserve]` unless it has its own.
    pub(super) fn news(&mut self, root: &mut Section<'_>, base: Option<&Places>) -> Option<NewsForm> {
        let both = root.has("callback");
        let mut section = root.section(SECTION, self.faults)?;
        if both {
            let wanted = "expected either [callback] or [reserve_callback]: both come to the same address";
            self.faults.add(&section.span, &section.key, wanted);
        }
        let signature = section.section("signature", self.faults).and_then(|s| self.callback_signature(s));
        let places = match section.section("answer", self.faults) {
            Some(mut answer) => {
                let places = self.holding_places(&mut answer);
                answer.finish(self.faults);
                places
            }
            None => base.cloned().unwrap_or_default(),
        };
        if places.reference.is_none() {
            section.missing("answer.reference", self.faults);
        }
        let mut rules = Vec::new();
        let written = section.sections("rule", self.faults);
        if written.is_empty() {
            section.missing("rule", self.faults);
        }
        for mut rule in written {
            // As an answer to the question how it stands.
            rules.extend(self.holding_rule(&mut rule, Operation::Status, &places));
            rule.finish(self.faults);
        }
        let (form, reply_status, reply_body) = self.delivery(&mut section);
        section.finish(self.faults);
        Some(NewsForm { signature, places, rules, form, reply_status, reply_body })
    }
}
