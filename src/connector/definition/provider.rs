//! The sections of a connector's file that are about customers' accounts which an outside provider holds: `[reserve]`,
//! `[capture]`, `[release]`, `[reserve_status]`, and where there are such `[refund]`, `[balance]` and
//! `[reserve_callback]`.

use crate::connector::contract::RefusalClass;
use crate::connector::definition::news;
use crate::connector::definition::{NewsForm, Reader, Request};
use crate::connector::document::{Placed, Section};
use crate::connector::funds::{AskFunds, FundsPlaces, FundsRule, FundsVerdict};
use crate::connector::map::{Status, Table};
use crate::connector::provider::{Asking, Operation, Places, Rule, Verdict};
use crate::connector::template::Slot;

/// How a provider of accounts is asked.
#[derive(Clone, Debug)]
pub struct Holding {
    reserve: Asking,
    capture: Asking,
    release: Asking,
    status: Asking,
    refund: Option<Asking>,
    balance: Option<AskFunds>,
    news: Option<NewsForm>,
}

impl Holding {
    /// How an operation is asked for; a provider may have no refund.
    #[must_use]
    pub const fn asking(&self, operation: Operation) -> Option<&Asking> {
        match operation {
            Operation::Reserve => Some(&self.reserve),
            Operation::Capture => Some(&self.capture),
            Operation::Release => Some(&self.release),
            Operation::Status => Some(&self.status),
            Operation::Refund => self.refund.as_ref(),
        }
    }

    /// How its own messages about reservations are read; a provider need not send any.
    #[must_use]
    pub const fn news(&self) -> Option<&NewsForm> {
        self.news.as_ref()
    }

    /// How a customer's balance is asked for; a provider need not tell it.
    #[must_use]
    pub const fn balance(&self) -> Option<&AskFunds> {
        self.balance.as_ref()
    }
}

/// The section of the balance.
const BALANCE: &str = "balance";

/// Whether the file has any section of a provider of accounts.
pub(super) fn holds(root: &Section<'_>) -> bool {
    root.has(BALANCE)
        || root.has(news::SECTION)
        || Operation::ALL.iter().any(|operation| root.has(operation.section()))
}

impl Reader<'_, '_> {
    /// The sections, if the file has any of them; all but `[refund]` must be there then.
    pub(super) fn holding(&mut self, root: &mut Section<'_>) -> Option<Holding> {
        if !holds(root) {
            return None;
        }
        for operation in Operation::ALL.iter().filter(|o| **o != Operation::Refund) {
            if !root.has(operation.section()) {
                root.missing(operation.section(), self.faults);
            }
        }
        let reserve = self.asking(root, Operation::Reserve, None);
        let base = reserve.as_ref().map(|r| r.places.clone());
        let capture = self.asking(root, Operation::Capture, base.as_ref());
        let release = self.asking(root, Operation::Release, base.as_ref());
        let status = self.asking(root, Operation::Status, base.as_ref());
        let refund = self.asking(root, Operation::Refund, base.as_ref());
        let balance = self.funds(root);
        let news = self.news(root, base.as_ref());
        Some(Holding {
            reserve: reserve?,
            capture: capture?,
            release: release?,
            status: status?,
            refund,
            balance,
            news,
        })
    }

    fn funds(&mut self, root: &mut Section<'_>) -> Option<AskFunds> {
        let mut section = root.section(BALANCE, self.faults)?;
        let (verb, path) = self.line(&mut section, "GET");
        let headers = self.headers(&mut section);
        let body_text = section.text("body", self.faults);
        let body = body_text.as_ref().and_then(|text| self.body(text));
        let places = match section.section("answer", self.faults) {
            Some(mut answer) => {
                let places = self.funds_places(&mut answer);
                answer.finish(self.faults);
                places
            }
            None => {
                section.missing("answer", self.faults);
                FundsPlaces::default()
            }
        };
        let mut rules = Vec::new();
        let written = section.sections("rule", self.faults);
        if written.is_empty() {
            section.missing("rule", self.faults);
        }
        for mut rule in written {
            rules.extend(self.funds_rule(&mut rule, &places));
            rule.finish(self.faults);
        }
        let (span, key) = (section.span.clone(), section.key.clone());
        section.finish(self.faults);
        let request = Request { method: verb?, path: path?, headers, body, table: Table::default() };
        if !request.holds(&Slot::ExternalId) {
            self.faults.add(&span, &key, "expected {external_id} in the path, a header or the body");
        }
        // No payment is asked about.
        let of_payments = [Slot::Amount, Slot::AmountMinor, Slot::Deduction, Slot::CarrierReference];
        if of_payments.iter().any(|slot| request.holds(slot)) {
            self.faults.add(
                &span,
                &key,
                "a question about the balance is of no payment: it has no amount and no deduction",
            );
        }
        Some(AskFunds { request, places, rules })
    }

    fn funds_places(&mut self, answer: &mut Section<'_>) -> FundsPlaces {
        for needed in ["amount", "currency"] {
            if !answer.has(needed) {
                answer.missing(needed, self.faults);
            }
        }
        FundsPlaces {
            code: self.place(answer, "code"),
            account: self.place(answer, "account"),
            amount: self.place(answer, "amount"),
            minor: self.is_minor(answer),
            currency: self.place(answer, "currency"),
        }
    }

    fn funds_rule(&mut self, rule: &mut Section<'_>, places: &FundsPlaces) -> Option<FundsRule> {
        let (statuses, codes) = self.compared(rule, places.code.is_some());
        let outcome = rule.need_text("outcome", self.faults)?;
        let Some((_, verdict)) = FundsVerdict::WORDS.iter().find(|(word, _)| *word == outcome.value) else {
            let words: Vec<&str> = FundsVerdict::WORDS.iter().map(|(word, _)| *word).collect();
            self.faults.add(&outcome.span, &outcome.key, format!("expected one of {}", words.join(", ")));
            return None;
        };
        Some(FundsRule { statuses, codes, verdict: *verdict })
    }

    fn asking(
        &mut self,
        root: &mut Section<'_>,
        operation: Operation,
        base: Option<&Places>,
    ) -> Option<Asking> {
        let mut section = root.section(operation.section(), self.faults)?;
        let usual = if operation == Operation::Status { "GET" } else { "POST" };
        let (verb, path) = self.line(&mut section, usual);
        let headers = self.headers(&mut section);
        let body_text = section.text("body", self.faults);
        let body = body_text.as_ref().and_then(|text| self.body(text));
        let places = match section.section("answer", self.faults) {
            Some(mut answer) => {
                let places = self.holding_places(&mut answer);
                answer.finish(self.faults);
                places
            }
            None => base.cloned().unwrap_or_default(),
        };
        let mut rules = Vec::new();
        let written = section.sections("rule", self.faults);
        if written.is_empty() {
            section.missing("rule", self.faults);
        }
        for mut rule in written {
            rules.extend(self.holding_rule(&mut rule, operation, &places));
            rule.finish(self.faults);
        }
        let (span, key) = (section.span.clone(), section.key.clone());
        section.finish(self.faults);
        let request = Request { method: verb?, path: path?, headers, body, table: Table::default() };
        // What was lost with the answer to reserve can only be asked for by what we know.
        if matches!(operation, Operation::Reserve | Operation::Status) {
            if !request.holds(&Slot::Reference) {
                self.faults.add(&span, &key, "expected {reference} in the path, a header or the body");
            }
            if request.holds(&Slot::CarrierReference) {
                self.faults.add(&span, &key, "{carrier_reference} is not known before the answer");
            }
        }
        Some(Asking { request, places, rules })
    }

    /// A JSON pointer.
    fn place(&mut self, answer: &mut Section<'_>, key: &str) -> Option<String> {
        let Placed { value, span, key } = answer.text(key, self.faults)?;
        if !value.starts_with('/') {
            self.faults.add(&span, &key, "expected a JSON pointer such as /status");
            return None;
        }
        Some(value)
    }

    /// Whether amounts are in minor units.
    fn is_minor(&mut self, answer: &mut Section<'_>) -> bool {
        let Some(Placed { value, span, key }) = answer.text("amount_unit", self.faults) else { return false };
        if !matches!(value.as_str(), "minor" | "major") {
            self.faults.add(&span, &key, "expected \"major\" or \"minor\"");
        }
        value == "minor"
    }

    pub(super) fn holding_places(&mut self, answer: &mut Section<'_>) -> Places {
        Places {
            code: self.place(answer, "code"),
            reference: self.place(answer, "reference"),
            their_reference: self.place(answer, "carrier_reference"),
            amount: self.place(answer, "amount"),
            minor: self.is_minor(answer),
            currency: self.place(answer, "currency"),
        }
    }

    /// What a rule compares.
    fn compared(&mut self, rule: &mut Section<'_>, has_code: bool) -> (Vec<Status>, Vec<String>) {
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
        if !codes.is_empty() && !has_code {
            let wanted = "compares a code, but answer.code does not say where it is";
            self.faults.add(&rule.span, &rule.key, wanted);
        }
        (statuses, codes)
    }

    pub(super) fn holding_rule(
        &mut self,
        rule: &mut Section<'_>,
        operation: Operation,
        places: &Places,
    ) -> Option<Rule> {
        let (statuses, codes) = self.compared(rule, places.code.is_some());
        let class = rule.text("class", self.faults);
        let outcome = rule.need_text("outcome", self.faults)?;
        let Some((_, verdict)) = Verdict::WORDS.iter().find(|(word, _)| *word == outcome.value) else {
            let words: Vec<&str> = Verdict::WORDS.iter().map(|(word, _)| *word).collect();
            self.faults.add(&outcome.span, &outcome.key, format!("expected one of {}", words.join(", ")));
            return None;
        };
        let verdict = match (verdict, class) {
            (Verdict::Refused(_), Some(text)) => match RefusalClass::from_name(&text.value) {
                Some(class) => Verdict::Refused(class),
                None => {
                    let names: Vec<&str> = RefusalClass::ALL.iter().map(|c| c.name()).collect();
                    self.faults.add(&text.span, &text.key, format!("expected one of {}", names.join(", ")));
                    return None;
                }
            },
            (Verdict::Refused(_), None) => {
                rule.missing("class", self.faults);
                return None;
            }
            (verdict, None) => *verdict,
            (_, Some(text)) => {
                self.faults.add(&text.span, &text.key, "has a meaning only with outcome = \"refused\"");
                return None;
            }
        };
        // A 401 to a question says nothing of the reservation that was asked about.
        if operation == Operation::Status && matches!(verdict, Verdict::Refused(_)) && codes.is_empty() {
            let wanted = "expected a code: what refuses the question does not refuse the reservation";
            self.faults.add(&rule.span, &rule.key, wanted);
        }
        Some(Rule { statuses, codes, verdict })
    }
}
