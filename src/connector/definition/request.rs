//! `[submit]`, `[status]` and `[lookup]` of a connector's file: what is sent, and the table of what answers mean.

use crate::connector::contract::RefusalClass;
use crate::connector::definition::Reader;
use crate::connector::document::{Placed, Section};
use crate::connector::map::{Listed, NumberForm, Places, Rule, Status, Table, Verdict};
use crate::connector::template::{Body, JsonTemplate, Place, Slot, Template};

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// Path after the base.
    pub path: Template,
    /// Headers of this kind of request alone.
    pub headers: Vec<(String, Template)>,
    /// What is sent.
    pub body: Option<Body>,
    /// What its answers mean.
    pub table: Table,
}

impl Request {
    /// Whether a slot is anywhere in it.
    #[must_use]
    pub fn holds(&self, slot: &Slot) -> bool {
        self.path.holds(slot)
            || self.headers.iter().any(|(_, t)| t.holds(slot))
            || self.body.as_ref().is_some_and(|b| b.templates().iter().any(|t| t.holds(slot)))
    }
}

impl Reader<'_, '_> {
    /// The status query by our reference; only for a carrier whose status query wants its own.
    pub(super) fn lookup(
        &mut self,
        section: Section<'_>,
        status: Option<&Request>,
        base: Option<&Places>,
    ) -> Option<Request> {
        let (span, key) = (section.span.clone(), section.key.clone());
        if status.is_some_and(|s| !s.holds(&Slot::CarrierReference)) {
            self.faults.add(&span, &key, "status can be asked by our reference already");
        }
        let request = self.request(section, "GET", base)?;
        if !request.holds(&Slot::Reference) || request.holds(&Slot::CarrierReference) {
            self.faults.add(&span, &key, "expected {reference}, and not {carrier_reference}");
        }
        Some(request)
    }

    /// The method and the path of a request.
    pub(super) fn line(
        &mut self,
        section: &mut Section<'_>,
        usual: &str,
    ) -> (Option<&'static str>, Option<Template>) {
        let method = match section.text("method", self.faults) {
            None => method(usual),
            Some(Placed { value, span, key }) => {
                let found = method(&value);
                if found.is_none() {
                    self.faults.add(&span, &key, "expected GET, POST or PUT");
                }
                found
            }
        };
        let path = section.need_text("path", self.faults);
        if let Some(path) = path.as_ref().filter(|p| !p.value.starts_with('/')) {
            self.faults.add(&path.span, &path.key, "expected a path that begins with /");
        }
        let path = path.and_then(|t| self.template(&t, Place::Path));
        (method, path)
    }

    pub(super) fn request(
        &mut self,
        mut section: Section<'_>,
        usual: &str,
        base: Option<&Places>,
    ) -> Option<Request> {
        let (method, path) = self.line(&mut section, usual);
        let headers = self.headers(&mut section);
        let body_text = section.text("body", self.faults);
        let body = body_text.as_ref().and_then(|text| self.body(text));
        let form = self.form(&mut section);
        if let Some(text) = body_text.as_ref().filter(|_| form.is_some()) {
            self.faults.add(&text.span, &text.key, "expected either a body or a form");
        }
        let body = form.or(body);
        let listed = self.listed(&mut section);
        let (span, key) = (section.span.clone(), section.key.clone());
        let table = self.table_of(&mut section, base, listed);
        section.finish(self.faults);
        let request = Request { method: method?, path: path?, headers, body, table };
        if base.is_none() {
            if request.body.is_some() && !request.holds(&Slot::Reference) {
                self.faults.add(&span, &key, "expected {reference} in the path, a header or the body");
            }
            if request.holds(&Slot::CarrierReference) {
                self.faults.add(&span, &key, "{carrier_reference} is not known before the answer");
            }
        }
        Some(request)
    }

    fn form(&mut self, section: &mut Section<'_>) -> Option<Body> {
        let mut written = section.section("form", self.faults)?;
        let mut fields = Vec::new();
        for name in written.keys() {
            let Some(text) = written.text(&name, self.faults) else { continue };
            fields.extend(self.template(&text, Place::Body).map(|template| (name, template)));
        }
        Some(Body::Form(fields))
    }

    fn listed(&mut self, section: &mut Section<'_>) -> Option<Listed> {
        let at = section.text("list", self.faults);
        let field = section.text("match", self.faults);
        for place in [&at, &field].into_iter().flatten() {
            if !place.value.is_empty() && !place.value.starts_with('/') {
                self.faults.add(&place.span, &place.key, "expected a JSON pointer such as /content");
            }
        }
        match (at, field) {
            (None, None) => None,
            (Some(at), Some(field)) => Some(Listed { at: at.value, field: field.value }),
            (Some(_), None) => {
                section.missing("match", self.faults);
                None
            }
            (None, Some(_)) => {
                section.missing("list", self.faults);
                None
            }
        }
    }

    pub(super) fn body(&mut self, text: &Placed<String>) -> Option<Body> {
        match JsonTemplate::parse(&text.value) {
            Ok(body) => {
                for template in body.templates() {
                    self.check_secrets(text, template.secrets());
                }
                Some(Body::Json(body))
            }
            Err(faults) => {
                for fault in faults {
                    self.faults.add(&text.span, &text.key, fault);
                }
                None
            }
        }
    }

    pub(super) fn table(&mut self, section: &mut Section<'_>, base: Option<&Places>) -> Table {
        self.table_of(section, base, None)
    }

    fn table_of(
        &mut self,
        section: &mut Section<'_>,
        base: Option<&Places>,
        listed: Option<Listed>,
    ) -> Table {
        let mut places = match section.section("answer", self.faults) {
            Some(mut answer) => {
                let places = self.places(&mut answer);
                answer.finish(self.faults);
                places
            }
            None => base.cloned().unwrap_or_default(),
        };
        places.listed = listed;
        let mut rules = Vec::new();
        let written = section.sections("rule", self.faults);
        if written.is_empty() {
            section.missing("rule", self.faults);
        }
        for mut rule in written {
            let read = self.rule(&mut rule, &places);
            if let Some(read) = &read
                && base.is_some()
                && matches!(read.verdict, Verdict::Refused(_))
                && read.codes.is_empty()
                && read.reasons.is_empty()
            {
                // A 401 to a question says nothing of the recharge that was asked about.
                let wanted =
                    "expected a code or a reason: what refuses the question does not refuse the recharge";
                self.faults.add(&rule.span, &rule.key, wanted);
            }
            rules.extend(read);
            rule.finish(self.faults);
        }
        Table { places, rules }
    }

    fn places(&mut self, answer: &mut Section<'_>) -> Places {
        let code = self.pointers(answer, "code");
        let reason = self.pointers(answer, "reason");
        let mut pointer = |key: &str| {
            let Placed { value, span, key } = answer.text(key, self.faults)?;
            // RFC 6901 §3: a pointer is empty or begins with a slash.
            if !value.starts_with('/') {
                self.faults.add(&span, &key, "expected a JSON pointer such as /status");
                return None;
            }
            Some(value)
        };
        let mut places = Places {
            listed: None,
            code,
            reason,
            carrier_reference: pointer("carrier_reference"),
            reference: pointer("reference"),
            msisdn: pointer("msisdn"),
            amount: pointer("amount"),
            minor: false,
            number: NumberForm::Plain,
            currency: pointer("currency"),
            cost: pointer("cost"),
            cost_currency: pointer("cost_currency"),
            voucher_code: pointer("voucher_code"),
            voucher_serial: pointer("voucher_serial"),
            bill: pointer("bill_number"),
            quote: pointer("quote"),
            paid_by: pointer("paid_by"),
        };
        if let Some(Placed { value, span, key }) = answer.text("amount_unit", self.faults) {
            match value.as_str() {
                "minor" => places.minor = true,
                "major" => {}
                _ => self.faults.add(&span, &key, "expected \"major\" or \"minor\""),
            }
        }
        if let Some(Placed { value, span, key }) = answer.text("number_form", self.faults) {
            match value.as_str() {
                "1234.56" => {}
                "1,234.56" => places.number = NumberForm::Thousands,
                "1.234,56" => places.number = NumberForm::Comma,
                _ => {
                    let wanted = "expected \"1234.56\", \"1,234.56\" or \"1.234,56\"";
                    self.faults.add(&span, &key, wanted);
                }
            }
        }
        places
    }

    fn pointers(&mut self, answer: &mut Section<'_>, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        for Placed { value, span, key } in answer.texts(key, self.faults) {
            if value.starts_with('/') {
                found.push(value);
            } else {
                self.faults.add(&span, &key, "expected a JSON pointer such as /status");
            }
        }
        found
    }

    fn rule(&mut self, rule: &mut Section<'_>, places: &Places) -> Option<Rule> {
        let mut statuses = Vec::new();
        for text in rule.texts("http", self.faults) {
            match Status::parse(&text.value) {
                Ok(status) => statuses.push(status),
                Err(fault) => self.faults.add(&text.span, &text.key, fault),
            }
        }
        let codes: Vec<String> = rule.texts("code", self.faults).into_iter().map(|p| p.value).collect();
        if !codes.is_empty() && places.code.is_empty() {
            self.faults.add(
                &rule.span,
                &rule.key,
                "compares a code, but answer.code does not say where it is",
            );
        }
        let reasons: Vec<String> = rule.texts("reason", self.faults).into_iter().map(|p| p.value).collect();
        if !reasons.is_empty() && places.reason.is_empty() {
            let wanted = "compares a reason, but answer.reason does not say where it is";
            self.faults.add(&rule.span, &rule.key, wanted);
        }
        if codes.is_empty() && statuses.is_empty() {
            self.faults.add(
                &rule.span,
                &rule.key,
                "expected http or code: a rule for everything hides the rest",
            );
        }
        let class = rule.text("class", self.faults);
        let outcome = rule.need_text("outcome", self.faults)?;
        let refused = outcome.value == "refused";
        let class = match class {
            Some(text) => {
                let class = RefusalClass::from_name(&text.value);
                if class.is_none() {
                    self.faults.add(&text.span, &text.key, format!("expected one of {}", class_names()));
                }
                if !refused {
                    self.faults.add(&text.span, &text.key, "has a meaning only with outcome = \"refused\"");
                }
                class
            }
            None if refused => {
                rule.missing("class", self.faults);
                None
            }
            None => None,
        };
        let verdict = match outcome.value.as_str() {
            "accepted" => Verdict::Accepted,
            "delivered" => Verdict::Delivered,
            "refused" => Verdict::Refused(class?),
            "reversed" => Verdict::Reversed,
            "not_found" => Verdict::NotFound,
            "duplicate" => Verdict::Duplicate,
            "unknown" => Verdict::Unknown,
            _ => {
                let wanted =
                    "expected accepted, delivered, refused, reversed, not_found, duplicate or unknown";
                self.faults.add(&outcome.span, &outcome.key, wanted);
                return None;
            }
        };
        let (absent, empty) = self.bare(rule, places, verdict);
        Some(Rule { statuses, codes, reasons, absent, empty, verdict })
    }

    /// `absent` and `empty`: rules for answers that say something by saying nothing.
    fn bare(&mut self, rule: &mut Section<'_>, places: &Places, verdict: Verdict) -> (bool, bool) {
        let absent = rule.boolean("absent", self.faults).unwrap_or(false);
        let empty = rule.boolean("empty", self.faults).unwrap_or(false);
        if absent && places.listed.is_none() {
            let wanted = "absent has a meaning only where list says that answers are lists";
            self.faults.add(&rule.span, &rule.key, wanted);
        }
        if (absent || empty) && matches!(verdict, Verdict::Delivered | Verdict::Reversed) {
            self.faults.add(&rule.span, &rule.key, "an answer that holds nothing delivers nothing");
        }
        (absent, empty)
    }
}

/// A method by its name, if it is one that a connector may use.
#[must_use]
pub fn method(name: &str) -> Option<&'static str> {
    ["GET", "POST", "PUT"].into_iter().find(|m| *m == name)
}

fn class_names() -> String {
    RefusalClass::ALL.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")
}
