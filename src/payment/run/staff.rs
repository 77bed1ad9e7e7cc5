//! What staff do with money: one commit with the request's row, the money and the audit log's next row.
//!
//! What moves more than one person may move alone waits as a proposal until another approves it. A request has an id; the same
//! id again finds what was done.

use std::sync::Arc;

use crate::connector::contract::{Outcome as News, RefusalClass};
use crate::ledger::command::{Act as LedgerAct, Command};
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::approval;
use crate::payment::approval::{Decision, Stage};
use crate::payment::audit;
use crate::payment::audit::Entry;
use crate::payment::decision::{Source, Step};
use crate::payment::row::dayone::SuspensionNoteRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::{AccountTierRow, AuditHeadRow, AuditRow, HEAD, ProposalRow, RefundRow};
use crate::payment::row::{PaymentRow, State, SuspensionRow};
use crate::payment::run::{Error, Payments, Scope};
use crate::payment::staff;
use crate::payment::staff::{Act, Movement, Outcome};
use crate::payment::unit::{Done, Op, Refusal};

/// Times that a request is judged anew when somebody else came between.
const STALE_MAX: u32 = 32;
/// Longest reason or evidence, characters; the rest is cut.
pub const WORDS_MAX: usize = 500;

/// A request of staff.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Made once for each intent.
    pub id: Id,
    /// Who asks.
    pub who: String,
    /// Why, in a word.
    pub reason: String,
    /// What it rests on: a ticket, a letter, a line of a statement.
    pub evidence: String,
    /// What is to be done.
    pub act: Act,
}

/// Why staff are told no.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The rules.
    #[error("{0}")]
    Rule(#[from] staff::Refusal),
    /// The rules of approval.
    #[error("{0}")]
    Approval(#[from] approval::Refusal),
    /// The books.
    #[error("the books refuse it: {0}")]
    Books(Refusal),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NoSuch(&'static str),
    /// A day cannot be closed, even so.
    #[error("{0}")]
    Day(Box<crate::payment::run::close::NotClosed>),
    /// The finding is over.
    #[error("that is {0} already")]
    Over(&'static str),
}

/// An act made ready for the rows as they were read.
pub(super) struct Ready {
    /// What it is done to.
    pub subject: String,
    /// How much money it moves, minor units.
    pub amount_minor: i64,
    /// What is written.
    pub ops: Vec<Op>,
    /// Of an outcome that is written by hand.
    pub news: Option<(News, Step)>,
}

/// Whether somebody came between, so that the rows must be read again.
pub(super) fn between(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Stale
            | Refusal::NotAllowed(_)
            | Refusal::Exists(
                "audit_log" | "audit_head" | "proposals" | "refunds" | "findings" | "closed_days"
            )
    )
}

/// What staff wrote, as it is kept: trimmed, [`WORDS_MAX`] characters at most.
pub(super) fn words(text: &str) -> String {
    text.trim().chars().take(WORDS_MAX).collect()
}

impl Payments {
    /// Does what staff ask, or keeps it as a proposal when it moves more than one person may move alone. The row tells which.
    ///
    /// # Errors
    /// When the database does not answer, or the id was used for something else.
    pub async fn ask_staff(&self, asked: &Asked) -> Result<Result<ProposalRow, Refused>, Error> {
        let who = asked.who.trim();
        if who.is_empty() {
            return Ok(Err(staff::Refusal::Nobody.into()));
        }
        if asked.reason.trim().is_empty() || asked.evidence.trim().is_empty() {
            return Ok(Err(staff::Refusal::NoReason.into()));
        }
        let act = serde_json::to_string(&asked.act).map_err(|_| Error::IdReused)?;
        for _ in 0..STALE_MAX {
            if let Some(known) = self.proposal(asked.id).await? {
                let same = known.act == act && known.asked_by == who;
                return if same { Ok(Ok(known)) } else { Err(Error::IdReused) };
            }
            let ready = match self.ready(&asked.act, asked.id, who).await? {
                Ok(ready) => ready,
                Err(no) => return Ok(Err(no)),
            };
            let now = self.now();
            let rules = &self.inner.settings.staff;
            let alone = ready.amount_minor <= rules.alone_minor && !asked.act.needs_two();
            let row = ProposalRow {
                id: asked.id,
                act: act.clone(),
                subject: ready.subject.clone(),
                amount_minor: ready.amount_minor,
                reason: words(&asked.reason),
                evidence: words(&asked.evidence),
                state: if alone { Stage::Done.number() } else { Stage::Proposed.number() },
                asked_by: who.to_owned(),
                asked_at: now,
                expires_at: self.inner.clock.now().after(rules.proposal_validity).0,
                decided_by: None,
                decided_at: alone.then_some(now),
                note: String::new(),
                version: 1,
            };
            let mut ops = vec![Op::add(&row)];
            let what = if alone { asked.act.name() } else { "propose" };
            let Ready { ops: acting, news, .. } = ready;
            if alone {
                ops.extend(acting);
                ops.extend(self.settle_findings(asked.id).await?);
            }
            match self.write_staff(ops, &entry(who, what, &row), news.filter(|_| alone)).await? {
                Ok(()) => return Ok(Ok(row)),
                Err(refusal) if between(&refusal) => {}
                Err(refusal) => return Ok(Err(Refused::Books(refusal))),
            }
        }
        Err(Error::Busy)
    }

    /// Approves or rejects a proposal. Approving does what it asks for in the same commit; approving what the same person
    /// approved before answers as then. When the books refuse it, it has failed for good.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decide_staff(
        &self,
        id: Id,
        who: &str,
        decision: Decision<'_>,
    ) -> Result<Result<ProposalRow, Refused>, Error> {
        for _ in 0..STALE_MAX {
            let Some(seen) = self.proposal(id).await? else { return Ok(Err(Refused::NoSuch("proposal"))) };
            let again = seen.state == Stage::Done.number()
                && decision == Decision::Approve
                && seen.decided_by.as_deref() == Some(who.trim());
            if again {
                return Ok(Ok(seen));
            }
            let now = self.now();
            let decided = match approval::decide(&seen, who, decision, now) {
                Ok(decided) => decided,
                Err(no) => {
                    if let Some(expired) = approval::expire(&seen, now) {
                        let entry = entry(who.trim(), "expire", &expired);
                        // Somebody else may have written the same.
                        let _ = self.write_staff(vec![Op::set(&expired)], &entry, None).await?;
                    }
                    return Ok(Err(no.into()));
                }
            };
            let mut ops = vec![Op::set(&decided)];
            let mut news = None;
            let what = match decision {
                Decision::Reject(_) => "reject",
                Decision::Approve => {
                    let Ok(act) = serde_json::from_str::<Act>(&seen.act) else {
                        return Ok(Err(Refused::NoSuch("act")));
                    };
                    match self.ready(&act, id, who.trim()).await? {
                        Ok(ready) => {
                            ops.extend(ready.ops);
                            ops.extend(self.settle_findings(id).await?);
                            news = ready.news;
                        }
                        Err(no) => return self.failed(&seen, who, no).await,
                    }
                    act.name()
                }
            };
            match self.write_staff(ops, &entry(who.trim(), what, &decided), news).await? {
                Ok(()) => return Ok(Ok(decided)),
                Err(refusal) if between(&refusal) => {}
                Err(refusal) => return self.failed(&seen, who, Refused::Books(refusal)).await,
            }
        }
        Err(Error::Busy)
    }

    /// What was approved cannot be done any more: that is written, so that nobody waits for it.
    async fn failed(
        &self,
        seen: &ProposalRow,
        who: &str,
        no: Refused,
    ) -> Result<Result<ProposalRow, Refused>, Error> {
        for _ in 0..STALE_MAX {
            let row = approval::fail(seen, Some(who.trim()), no.to_string(), self.now());
            match self.write_staff(vec![Op::set(&row)], &entry(who.trim(), "fail", &row), None).await? {
                // The head of the log moved, or the proposal did: the second shows at the next look.
                Err(refusal) if between(&refusal) => {
                    if self.proposal(seen.id).await?.is_none_or(|now| now.version != seen.version) {
                        break;
                    }
                }
                Ok(()) | Err(_) => break,
            }
        }
        Ok(Err(no))
    }

    /// A proposal, or a request that was done at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn proposal(&self, id: Id) -> Result<Option<ProposalRow>, Error> {
        Ok(self.inner.store.record(&[cell(&id)]).await?)
    }

    /// Requests of staff in one stage, the latest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn proposals(&self, stage: Stage, limit: u32) -> Result<Vec<ProposalRow>, Error> {
        let wanted = Select::new().equal("state", &stage.number()).order("asked_at").descending();
        Ok(self.inner.store.records(&wanted.limit(limit)).await?)
    }

    /// What is left to give back of a payment, minor units.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refundable_minor(&self, payment: &PaymentRow) -> Result<i64, Error> {
        let refunded: Option<RefundRow> = self.inner.store.record(&[cell(&payment.id)]).await?;
        Ok(staff::left_minor(payment, refunded.as_ref()))
    }

    /// The audit log, the latest first; of one subject if it is given.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_log(&self, subject: Option<&str>, limit: u32) -> Result<Vec<AuditRow>, Error> {
        let wanted = Select::new().order("sequence").descending().limit(limit);
        let wanted = match subject {
            Some(subject) => wanted.equal("subject", &subject.to_owned()),
            None => wanted,
        };
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// Shuts or opens something, with who and why in the audit log.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn suspend_for(
        &self,
        scope: Scope,
        key: &str,
        shut: bool,
        who: &str,
        reason: &str,
    ) -> Result<Result<(), Refused>, Error> {
        let row = SuspensionRow { scope: scope.name().to_owned(), key: key.to_owned(), since: self.now() };
        let what = if shut { "suspend" } else { "resume" };
        let ops = if shut {
            let note = SuspensionNoteRow {
                scope: row.scope.clone(),
                key: row.key.clone(),
                reason: words(reason),
                who: words(who),
                at: row.since,
            };
            vec![Op::Suspend(row), Op::put(&note)]
        } else {
            let note = [cell(&row.scope), cell(&row.key)];
            vec![Op::Resume(row), Op::remove::<SuspensionNoteRow>(&note)]
        };
        let subject = format!("{} {key}", scope.name());
        self.note_staff(ops, who, what, subject, serde_json::json!({ "reason": words(reason) })).await
    }

    /// Puts an account into a tier.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_tier(
        &self,
        account: Id,
        tier: &str,
        who: &str,
        reason: &str,
    ) -> Result<Result<(), Refused>, Error> {
        if !self.inner.settings.staff.tiers.has(tier) {
            return Ok(Err(Refused::NoSuch("tier")));
        }
        if self.inner.store.payer(account).await?.is_none() {
            return Err(Error::NoSuchAccount);
        }
        let row = AccountTierRow { account, tier: tier.to_owned(), since: self.now() };
        let details = serde_json::json!({ "tier": tier, "reason": words(reason) });
        self.note_staff(vec![Op::put(&row)], who, "tier", account.text(), details).await
    }

    /// A handle for one act of staff that has no request of its own: whatever it commits is logged, in the same commit, as done by
    /// `who`. Without a `subject` it is the account that the act opens.
    #[must_use]
    pub fn acting(&self, who: &str, what: &'static str, subject: String, details: serde_json::Value) -> Self {
        let entry = Entry { who: who.trim().to_owned(), what, subject, details };
        Self { acting: Some(Arc::new(entry)), ..self.clone() }
    }

    pub(super) async fn commit_logged(
        &self,
        ops: Vec<Op>,
        entry: &Entry,
    ) -> Result<Result<Done, Refusal>, Error> {
        let mut entry = entry.clone();
        if entry.subject.is_empty() {
            let opened = ops.iter().find_map(|op| match op {
                Op::OpenAccount(row) => Some(row.id.text()),
                _ => None,
            });
            entry.subject = opened.unwrap_or_default();
        }
        for _ in 0..STALE_MAX {
            let head: Option<AuditHeadRow> = self.inner.store.record(&[cell(&HEAD)]).await?;
            let (row, after) = audit::next(head.as_ref(), &entry, self.now()).ok_or(Error::Busy)?;
            let mut ops = ops.clone();
            ops.push(Op::add(&row));
            ops.push(if head.is_some() { Op::set(&after) } else { Op::add(&after) });
            match self.commit_plain(ops).await? {
                Err(Refusal::Stale | Refusal::Exists("audit_log" | "audit_head")) => {
                    let now: Option<AuditHeadRow> = self.inner.store.record(&[cell(&HEAD)]).await?;
                    // The log stands as it was: what the act itself saw is stale.
                    if now.map(|head| head.version) == head.map(|head| head.version) {
                        return Ok(Err(Refusal::Stale));
                    }
                }
                done => return Ok(done),
            }
        }
        Err(Error::Busy)
    }

    /// Writes something that moves no money with its row of the audit log.
    pub(super) async fn note_staff(
        &self,
        ops: Vec<Op>,
        who: &str,
        what: &'static str,
        subject: String,
        details: serde_json::Value,
    ) -> Result<Result<(), Refused>, Error> {
        let who = who.trim();
        if who.is_empty() {
            return Ok(Err(staff::Refusal::Nobody.into()));
        }
        if details.get("reason").and_then(serde_json::Value::as_str) == Some("") {
            return Ok(Err(staff::Refusal::NoReason.into()));
        }
        let entry = Entry { who: who.to_owned(), what, subject, details };
        for _ in 0..STALE_MAX {
            match self.write_staff(ops.clone(), &entry, None).await? {
                Ok(()) => return Ok(Ok(())),
                Err(refusal) if between(&refusal) => {}
                Err(refusal) => return Ok(Err(Refused::Books(refusal))),
            }
        }
        Err(Error::Busy)
    }

    /// One commit of `ops` with the log's next row.
    pub(super) async fn write_staff(
        &self,
        mut ops: Vec<Op>,
        entry: &Entry,
        news: Option<(News, Step)>,
    ) -> Result<Result<(), Refusal>, Error> {
        let head: Option<AuditHeadRow> = self.inner.store.record(&[cell(&HEAD)]).await?;
        let (row, after) = audit::next(head.as_ref(), entry, self.now()).ok_or(Error::Busy)?;
        ops.push(Op::add(&row));
        ops.push(if head.is_some() { Op::set(&after) } else { Op::add(&after) });
        match self.commit_plain(ops).await? {
            Ok(done) => {
                if let (Some(payment), Some((outcome, step))) = (done.payment, news) {
                    self.tell(&payment, &outcome, &step);
                    // Staff may act in a process of their own, which nobody listens to.
                    if payment.provider.is_some() {
                        self.tend(payment.id).await;
                    }
                }
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn ready(&self, act: &Act, request: Id, who: &str) -> Result<Result<Ready, Refused>, Error> {
        match act {
            Act::Dismiss { statement, place } => return self.ready_dismissal(*statement, place).await,
            Act::CloseDay { day, told } => return self.ready_close(*day, told, request, who).await,
            Act::NewPin { account, phone } => return self.ready_new_pin(*account, phone).await,
            _ => {}
        }
        let Some(payment) = act.payment() else { return self.ready_move(act, request).await };
        let Some(row) = self.inner.store.payment(payment).await? else {
            return Ok(Err(Refused::NoSuch("payment")));
        };
        let refunded: Option<RefundRow> = self.inner.store.record(&[cell(&payment)]).await?;
        let paid = row.amount_minor.saturating_add(row.fee_minor);
        match act {
            Act::Resolve { outcome, .. } => {
                if let Err(no) = staff::resolvable(&row, *outcome) {
                    return Ok(Err(no.into()));
                }
                let carrier_reference = row.carrier_reference.clone();
                let news = match outcome {
                    Outcome::Delivered => News::Delivered { carrier_reference, cost: None, voucher: None },
                    Outcome::Refused => News::Refused {
                        class: RefusalClass::Other,
                        code: "staff".to_owned(),
                        carrier_reference,
                    },
                };
                self.ready_news(&row, news, paid).await
            }
            Act::Reverse { .. } => {
                if let Err(no) = staff::reversible(&row, refunded.as_ref()) {
                    return Ok(Err(no.into()));
                }
                let news = News::Reversed { carrier_reference: row.carrier_reference.clone() };
                self.ready_news(&row, news, paid).await
            }
            Act::Refund { amount_minor, .. } => {
                match staff::refund(&row, refunded.as_ref(), request, *amount_minor) {
                    Ok((command, after)) => {
                        let counted = if refunded.is_some() { Op::set(&after) } else { Op::add(&after) };
                        Ok(Ok(Ready {
                            subject: row.reference.clone(),
                            amount_minor: *amount_minor,
                            ops: vec![counted, Op::Ledger(command)],
                            news: None,
                        }))
                    }
                    Err(no) => Ok(Err(no.into())),
                }
            }
            Act::Move { .. }
            | Act::Dismiss { .. }
            | Act::CloseDay { .. }
            | Act::NewPin { .. }
            | Act::Unlock => Ok(Err(Refused::NoSuch("payment"))),
        }
    }

    async fn ready_news(
        &self,
        payment: &PaymentRow,
        news: News,
        amount_minor: i64,
    ) -> Result<Result<Ready, Refused>, Error> {
        let Some(attempt) = self.inner.store.attempts(payment.id).await?.pop() else {
            return Ok(Err(Refused::NoSuch("request to a carrier")));
        };
        let Some(step) = self.decide(payment, &attempt, &news, Source::Staff) else {
            let no = match payment.state {
                State::Delivered => staff::Refusal::NotDelivered(payment.state),
                other => staff::Refusal::NotOpen(other),
            };
            return Ok(Err(no.into()));
        };
        let mut ops = self.ops(payment, &attempt, &news, Source::Staff, &step).await;
        ops.extend(self.goodwill(payment, step.act).await?);
        ops.extend(self.ended(payment, step.to).await?);
        let subject = payment.reference.clone();
        Ok(Ok(Ready { subject, amount_minor, ops, news: Some((news, step)) }))
    }

    async fn ready_new_pin(&self, account: Id, phone: &Msisdn) -> Result<Result<Ready, Refused>, Error> {
        Ok(match self.permit_ops(account, phone).await? {
            Some(ops) => Ok(Ready { subject: account.text(), amount_minor: 0, ops, news: None }),
            None => Err(Refused::NoSuch("number of this account")),
        })
    }

    async fn ready_move(&self, act: &Act, request: Id) -> Result<Result<Ready, Refused>, Error> {
        if *act == Act::Unlock {
            return Ok(match self.ready_unlock().await? {
                Ok(ops) => {
                    Ok(Ready { subject: "whole restored".to_owned(), amount_minor: 0, ops, news: None })
                }
                Err(no) => Err(no.into()),
            });
        }
        let Act::Move { movement, amount_minor, account, connector, discount_minor } = act else {
            return Ok(Err(Refused::NoSuch("payment")));
        };
        let currency = self.inner.settings.currency;
        let (connector, discount_minor) = (connector.as_deref(), *discount_minor);
        if connector.is_some_and(|name| !self.inner.connectors.contains_key(name)) {
            return Err(Error::NoSuchConnector);
        }
        let legs = staff::legs(*movement, currency, *amount_minor, *account, connector, discount_minor);
        let legs = match legs {
            Ok(legs) => legs,
            Err(no) => return Ok(Err(no.into())),
        };
        let command = Command::new(request.derived(movement.name()), None, LedgerAct::Transfer { legs });
        let mut ops = vec![Op::Ledger(command)];
        if let Some(account) = *account {
            let merchant = *movement == Movement::Payout;
            if !merchant && self.inner.store.payer(account).await?.is_none() {
                return Err(Error::NoSuchAccount);
            }
            if movement.fills() {
                ops.extend(self.ceiling(account).await?);
            }
        }
        let subject = match (account, connector) {
            (Some(account), _) => account.text(),
            (None, Some(connector)) => connector.to_owned(),
            (None, None) => movement.name().to_owned(),
        };
        Ok(Ok(Ready { subject, amount_minor: *amount_minor, ops, news: None }))
    }

    /// The guard of an account's tier, to stand after what fills the account.
    pub(super) async fn ceiling(&self, account: Id) -> Result<Option<Op>, Error> {
        let tier: Option<AccountTierRow> = self.inner.store.record(&[cell(&account)]).await?;
        let tiers = &self.inner.settings.staff.tiers;
        let ceiling = tiers.ceiling_minor(tier.as_ref().map(|row| row.tier.as_str()));
        Ok(ceiling.map(|balance_minor| Op::Ceiling { account, balance_minor }))
    }
}

fn entry(who: &str, what: &'static str, row: &ProposalRow) -> Entry {
    let mut details = serde_json::json!({
        "request": row.id,
        "amount_minor": row.amount_minor,
        "reason": row.reason,
        "evidence": row.evidence,
        "asked_by": row.asked_by,
    });
    if let (Some(map), false) = (details.as_object_mut(), row.note.is_empty()) {
        map.insert("note".to_owned(), row.note.clone().into());
    }
    Entry { who: who.to_owned(), what, subject: row.subject.clone(), details }
}
