//! `[callback]` of a connector's file: how a carrier's own messages are proved and read.

use std::time::Duration;

use crate::connector::definition::{Reader, SETTLE_MAX_MS};
use crate::connector::document::{Placed, Section};
use crate::connector::key::Encoding;
use crate::connector::map::{Places, Table};
use crate::connector::template::{Place, Template};

/// How callbacks are read.
#[derive(Clone, Debug)]
pub struct CallbackForm {
    /// How they are signed; without it a callback is only a hint to ask the status.
    pub signature: Option<CallbackSignature>,
    /// What they mean. The HTTP status counts as 200.
    pub table: Table,
    /// Whether its body is form fields instead of JSON.
    pub form: bool,
    /// What a taken callback is answered.
    pub reply_status: u16,
    /// JSON.
    pub reply_body: String,
}

/// How a callback is signed.
#[derive(Clone, Debug)]
pub struct CallbackSignature {
    /// The string.
    pub over: Template,
    /// The credential's name.
    pub key: String,
    /// How the signature is written.
    pub encoding: Encoding,
    /// The header that carries it.
    pub header: String,
    /// The header that carries the timestamp, seconds since 1970.
    pub timestamp_header: String,
    /// How far the timestamp may lie from now.
    pub tolerance: Duration,
}

impl Reader<'_, '_> {
    pub(super) fn callback(
        &mut self,
        mut section: Section<'_>,
        base: Option<&Places>,
    ) -> Option<CallbackForm> {
        let signature = section.section("signature", self.faults).and_then(|s| self.callback_signature(s));
        let table = self.table(&mut section, base);
        if table.places.reference.is_none() {
            section.missing("answer.reference", self.faults);
        }
        let (form, reply_status, reply_body) = self.delivery(&mut section);
        section.finish(self.faults);
        Some(CallbackForm { signature, table, form, reply_status, reply_body })
    }

    /// How a message comes, as a form instead of JSON, and the status and body of the reply to it.
    pub(super) fn delivery(&mut self, section: &mut Section<'_>) -> (bool, u16, String) {
        let form = match section.text("format", self.faults) {
            None => false,
            Some(Placed { value, span, key }) => {
                if !matches!(value.as_str(), "json" | "form") {
                    self.faults.add(&span, &key, "expected \"json\" or \"form\"");
                }
                value == "form"
            }
        };
        let status = section.integer("reply_status", 200..=299, self.faults);
        let body = section.text("reply_body", self.faults);
        let status = status.and_then(|p| u16::try_from(p.value).ok()).unwrap_or(200);
        (form, status, body.map_or_else(|| "{}".to_owned(), |p| p.value))
    }

    pub(super) fn callback_signature(&mut self, mut section: Section<'_>) -> Option<CallbackSignature> {
        let over = section.need_text("over", self.faults);
        if let Some(over) = over.as_ref().filter(|o| !o.value.contains("{timestamp}")) {
            self.faults.add(
                &over.span,
                &over.key,
                "expected {timestamp}, or an old callback could be replayed",
            );
        }
        let over = over.and_then(|t| self.template(&t, Place::Signed));
        let key = self.key_name(&mut section);
        let encoding = self.encoding(&mut section);
        for name in ["header", "timestamp_header"] {
            if !section.has(name) {
                section.missing(name, self.faults);
            }
        }
        let header = self.header_name(&mut section, "header");
        let timestamp_header = self.header_name(&mut section, "timestamp_header");
        let tolerance = self.millis(&mut section, "tolerance_ms", 300_000, SETTLE_MAX_MS);
        section.finish(self.faults);
        Some(CallbackSignature {
            over: over?,
            key: key?,
            encoding,
            header: header?,
            timestamp_header: timestamp_header?,
            tolerance,
        })
    }
}
