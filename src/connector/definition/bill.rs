//! The sections of a connector's file that are about bills: `[inquire]`, `[pay_bill]` and `[bill_status]`.

use crate::connector::bill::{BillPlaces, BillRule, BillVerdict, Inquire};
use crate::connector::definition::{Reader, Request};
use crate::connector::document::{Placed, Section};
use crate::connector::map::{Status, Table};

/// How a biller is asked and told.
#[derive(Clone, Debug)]
pub struct Bills {
    /// The inquiry.
    pub inquire: Inquire,
    /// The deduction's result, which the biller answers by changing the bill's status.
    pub pay: Request,
    /// What became of it.
    pub status: Option<Request>,
}

impl Reader<'_, '_> {
    /// The sections, if the file has `[pay_bill]` or `[inquire]`; both must be there then.
    pub(super) fn bills(&mut self, root: &mut Section<'_>) -> Option<Bills> {
        if !root.has("pay_bill") && !root.has("inquire") {
            return None;
        }
        for key in ["inquire", "pay_bill"] {
            if !root.has(key) {
                root.missing(key, self.faults);
            }
        }
        let inquire = root.section("inquire", self.faults).and_then(|s| self.inquire(s));
        let pay = root.section("pay_bill", self.faults).and_then(|s| self.request(s, "POST", None));
        let fallback = pay.as_ref().map(|pay| pay.table.places.clone());
        let status =
            root.section("bill_status", self.faults).and_then(|s| self.request(s, "GET", fallback.as_ref()));
        Some(Bills { inquire: inquire?, pay: pay?, status })
    }

    fn inquire(&mut self, mut section: Section<'_>) -> Option<Inquire> {
        let method = section.text("method", self.faults).map_or_else(|| "POST".to_owned(), |m| m.value);
        let method = crate::connector::definition::method(&method);
        if method.is_none() {
            self.faults.add(&section.span, &section.key, "expected the method GET, POST or PUT");
        }
        let path = section.need_text("path", self.faults);
        let path = path.and_then(|t| self.template(&t, crate::connector::template::Place::Path));
        let headers = self.headers(&mut section);
        let body_text = section.text("body", self.faults);
        let body = body_text.as_ref().and_then(|text| self.body(text));
        let signature = section.section("signature", self.faults);
        if signature.is_none() {
            // What anybody could have sent is shown to nobody.
            section.missing("signature", self.faults);
        }
        let signature = signature.and_then(|s| self.callback_signature(s));
        let places = match section.section("answer", self.faults) {
            Some(mut answer) => {
                let places = self.bill_places(&mut answer);
                answer.finish(self.faults);
                places
            }
            None => {
                section.missing("answer", self.faults);
                BillPlaces::default()
            }
        };
        let mut rules = Vec::new();
        let written = section.sections("rule", self.faults);
        if written.is_empty() {
            section.missing("rule", self.faults);
        }
        for mut rule in written {
            rules.extend(self.bill_rule(&mut rule));
            rule.finish(self.faults);
        }
        section.finish(self.faults);
        let request = Request { method: method?, path: path?, headers, body, table: Table::default() };
        Some(Inquire { request, signature: signature?, places, rules })
    }

    fn bill_places(&mut self, answer: &mut Section<'_>) -> BillPlaces {
        let mut pointer = |key: &str, needed: bool| {
            if needed && !answer.has(key) {
                answer.missing(key, self.faults);
            }
            let Placed { value, span, key } = answer.text(key, self.faults)?;
            if !value.starts_with('/') {
                self.faults.add(&span, &key, "expected a JSON pointer such as /status");
                return None;
            }
            Some(value)
        };
        let mut places = BillPlaces {
            code: pointer("code", false),
            reference: pointer("reference", false),
            number: pointer("number", true),
            quote: pointer("quote", true),
            expires: pointer("expires", true),
            name: pointer("name", false),
            address: pointer("address", false),
            due: pointer("due", false),
            amount: pointer("amount", true),
            least: pointer("least", false),
            most: pointer("most", false),
            fee: pointer("fee", false),
            currency: pointer("currency", true),
            minor: false,
        };
        if let Some(Placed { value, span, key }) = answer.text("amount_unit", self.faults) {
            match value.as_str() {
                "minor" => places.minor = true,
                "major" => {}
                _ => self.faults.add(&span, &key, "expected \"major\" or \"minor\""),
            }
        }
        places
    }

    fn bill_rule(&mut self, rule: &mut Section<'_>) -> Option<BillRule> {
        let mut statuses = Vec::new();
        for text in rule.texts("http", self.faults) {
            match Status::parse(&text.value) {
                Ok(status) => statuses.push(status),
                Err(fault) => self.faults.add(&text.span, &text.key, fault),
            }
        }
        let codes: Vec<String> = rule.texts("code", self.faults).into_iter().map(|p| p.value).collect();
        if codes.is_empty() && statuses.is_empty() {
            let wanted = "expected http or code: a rule for everything hides the rest";
            self.faults.add(&rule.span, &rule.key, wanted);
        }
        let outcome = rule.need_text("outcome", self.faults)?;
        let verdict = match outcome.value.as_str() {
            "found" => BillVerdict::Found,
            "not_found" => BillVerdict::NotFound,
            "already_paid" => BillVerdict::AlreadyPaid,
            "expired" => BillVerdict::Expired,
            _ => {
                let wanted = "expected found, not_found, already_paid or expired";
                self.faults.add(&outcome.span, &outcome.key, wanted);
                return None;
            }
        };
        Some(BillRule { statuses, codes, verdict })
    }
}
