//! A statement against the payments of the database: of a carrier or biller by its connector, of an account provider by its
//! name, and of the bank.
//!
//! Of a carrier every request that was ever made of it counts, not only the first of a payment: one that went on to another
//! carrier was refused by this one, whatever became of it there.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::ledger::row::Id;
use crate::payment::approval::Stage;
use crate::payment::day;
use crate::payment::decision::{LATE_DELIVERED, LATE_REVERSED};
use crate::payment::finding;
use crate::payment::finding::Read;
use crate::payment::row::day::{DayProofRow, FindingRow, StatementDayRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::{ProposalRow, StatementRow};
use crate::payment::row::{AttemptRow, PaymentRow, State, Target};
use crate::payment::run::staff::{Asked, Refused};
use crate::payment::run::{Error, Payments};
use crate::payment::staff::{Act, Movement};
use crate::payment::statement;
use crate::payment::statement::{Class, Finding, Line, Ours};
use crate::payment::unit::Op;
use crate::store::PaymentFilter;

/// Payments made so long before or after a statement's time are found too, so that a line near its edge is not theirs alone.
const EDGE_US: i64 = 24 * 3_600 * 1_000_000;
/// Whose statement the bank's is: of what staff moved to it and from it, and of the sweeps of the days' ends.
pub const BANK: &str = "bank";

/// A statement to be compared.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Made from the connector and the file's bytes.
    pub id: Id,
    /// Whose.
    pub connector: &'a str,
    /// Its lines.
    pub lines: &'a [Line],
    /// Lines that cannot be read, and why.
    pub unreadable: &'a [(i64, String)],
    /// The time that it covers, microseconds: from, and up to but without. Payments of this time must be in it.
    pub covers: (i64, i64),
    /// Whether its amounts are what the carrier took.
    pub costs: bool,
    /// How far apart times may be, microseconds.
    pub drift_us: i64,
}

/// What came of it.
#[derive(Debug)]
pub struct Reconciled {
    /// Every finding.
    pub findings: Vec<Finding>,
    /// Our payments, to which findings point.
    pub ours: Vec<Ours>,
    /// How many of each class, by its name.
    pub counts: BTreeMap<&'static str, i64>,
    /// What was asked of staff's rules for the findings, and what came of it; empty in a dry run.
    pub asked: Vec<(Option<i64>, Result<ProposalRow, String>)>,
    /// Whether this very statement had been read before.
    pub repeated: bool,
}

impl Reconciled {
    /// Lines and payments that do not agree.
    #[must_use]
    pub fn open(&self) -> i64 {
        let agree = self.counts.get(Class::Matched.name()).copied().unwrap_or(0);
        self.counts.values().sum::<i64>().saturating_sub(agree)
    }
}

impl Payments {
    /// Compares a statement and changes nothing.
    ///
    /// # Errors
    /// When there is no such connector or the database does not answer.
    pub async fn compare_statement(&self, asked: &Compared<'_>) -> Result<Reconciled, Error> {
        let connector = self.inner.connectors.get(asked.connector);
        let ours = match connector {
            Some(_) => self.sent_to(asked).await?,
            None if asked.connector == BANK => self.moved_by_bank(asked).await?,
            None => return Err(Error::NoSuchConnector),
        };
        let findings = statement::compare(asked.lines, &ours, asked.drift_us);
        let mut counts: BTreeMap<&'static str, i64> = Class::ALL.iter().map(|c| (c.name(), 0)).collect();
        for finding in &findings {
            *counts.entry(finding.class.name()).or_default() += 1;
        }
        let known: Option<StatementRow> = self.inner.store.record(&[cell(&asked.id)]).await?;
        Ok(Reconciled { findings, ours, counts, asked: Vec::new(), repeated: known.is_some() })
    }

    /// Compares a statement, asks for what it proposes in the name of `who`, and keeps that it was read. What moves no more
    /// than one person may move alone is done at once, the rest waits for a second person; all under ids that follow from the
    /// statement's, so that the same file again does nothing twice.
    ///
    /// # Errors
    /// When there is no such connector or the database does not answer.
    pub async fn reconcile(
        &self,
        asked: &Compared<'_>,
        who: &str,
    ) -> Result<Result<Reconciled, Refused>, Error> {
        if who.trim().is_empty() {
            return Ok(Err(crate::payment::staff::Refusal::Nobody.into()));
        }
        let mut found = self.compare_statement(asked).await?;
        let requests = requests(asked, &found, who);
        self.keep_findings(asked.id, &rows(asked, &found, &requests, self.now())).await?;
        for request in requests {
            let line = request.line;
            let answer = match self.ask_staff(&request.asked).await {
                Ok(Ok(row)) => Ok(row),
                Ok(Err(no)) => Err(no.to_string()),
                Err(Error::IdReused) => Err("it was asked for by another person".to_owned()),
                Err(error) => return Err(error),
            };
            found.asked.push((line, answer));
        }
        let left = self.findings_of(asked.id).await?;
        let open = i64::try_from(left.iter().filter(|row| finding::is_open(row)).count()).unwrap_or(i64::MAX);
        let before: Option<StatementRow> = self.inner.store.record(&[cell(&asked.id)]).await?;
        let counts = serde_json::json!(found.counts);
        let row = StatementRow {
            id: asked.id,
            connector: asked.connector.to_owned(),
            lines: i64::try_from(asked.lines.len()).unwrap_or(i64::MAX),
            found: counts.to_string(),
            open,
            read_by: who.trim().to_owned(),
            read_at: self.now(),
            version: before.map_or(1, |row| row.version.saturating_add(1)),
        };
        let done =
            found.asked.iter().filter(|(_, a)| a.as_ref().is_ok_and(|r| r.state == Stage::Done.number()));
        let details = serde_json::json!({
            "connector": asked.connector, "lines": row.lines, "found": counts,
            "asked": found.asked.len(), "done": done.count(),
        });
        let subject = format!("statement {}", asked.id);
        let mut ops = vec![Op::put(&row)];
        ops.extend(self.covered(asked, &row).iter().map(Op::put));
        let written = self.note_staff(ops, who, "reconcile", subject, details);
        Ok(written.await?.map(|()| found))
    }

    /// The days that are read with a statement.
    fn covered(&self, asked: &Compared<'_>, row: &StatementRow) -> Vec<StatementDayRow> {
        let days = day::whole_days(asked.covers, &self.inner.settings.zone);
        let of = |day| StatementDayRow {
            connector: row.connector.clone(),
            day,
            statement: row.id,
            read_by: row.read_by.clone(),
            read_at: row.read_at,
        };
        days.into_iter().map(of).collect()
    }

    /// Payments of which a request was made to a carrier or biller, and those that an account provider was charged for.
    async fn sent_to(&self, asked: &Compared<'_>) -> Result<Vec<Ours>, Error> {
        let store = &self.inner.store;
        let (from, until) = (asked.covers.0.saturating_sub(EDGE_US), asked.covers.1.saturating_add(EDGE_US));
        let mut attempts: HashMap<Id, Vec<AttemptRow>> = HashMap::new();
        for attempt in store.attempts_with(asked.connector, from, until).await? {
            attempts.entry(attempt.payment).or_default().push(attempt);
        }
        let filter = PaymentFilter {
            since: Some(from.saturating_sub(EDGE_US)),
            until: Some(until),
            limit: u32::MAX,
            ..PaymentFilter::default()
        };
        let mut ours = Vec::new();
        for payment in store.payments(&filter).await? {
            let sent = attempts.remove(&payment.id).unwrap_or_default();
            if !sent.is_empty() {
                ours.push(one_of_ours(payment, &sent, asked));
            } else if payment.provider.as_deref() == Some(asked.connector) && payment.state != State::Created
            {
                ours.push(charged(payment, asked));
            }
        }
        // A request may be much younger than its payment.
        for (id, sent) in attempts {
            if let Some(payment) = store.payment(id).await? {
                ours.push(one_of_ours(payment, &sent, asked));
            }
        }
        ours.sort_by_key(|ours| (ours.at, ours.payment));
        Ok(ours)
    }

    /// What staff moved between the house, others and its bank, and the sweeps of closed days.
    async fn moved_by_bank(&self, asked: &Compared<'_>) -> Result<Vec<Ours>, Error> {
        let (from, until) = (asked.covers.0.saturating_sub(EDGE_US), asked.covers.1.saturating_add(EDGE_US));
        let wanted = Select::<ProposalRow>::new()
            .equal("state", &Stage::Done.number())
            .from("asked_at", &from)
            .below("asked_at", &until)
            .order("asked_at")
            .limit(u32::MAX);
        let mut ours = Vec::new();
        for row in self.inner.store.records(&wanted).await? {
            let Ok(Act::Move { movement, amount_minor, discount_minor, .. }) = serde_json::from_str(&row.act)
            else {
                continue;
            };
            if by_bank(movement) {
                let minor = amount_minor.saturating_sub(discount_minor);
                let at = row.decided_at.unwrap_or(row.asked_at);
                ours.push(moved(row.id, vec![row.id.text(), row.evidence], minor, at, asked));
            }
        }
        let proofs = Select::<DayProofRow>::new().order("day").descending().limit(u32::MAX);
        for proof in self.inner.store.records(&proofs).await? {
            let Some(sweep) = proof.sweep else { continue };
            let Some(transfer) = self.inner.store.transfer(sweep).await? else { continue };
            if transfer.at < from {
                break;
            }
            if transfer.at < until {
                let minor = proof.owed_minor.saturating_sub(proof.trust_minor).saturating_abs();
                let name = format!("sweep {}", day::date(proof.day));
                ours.push(moved(sweep, vec![sweep.text(), name], minor, transfer.at, asked));
            }
        }
        ours.sort_by_key(|ours| (ours.at, ours.payment));
        Ok(ours)
    }
}

/// What is asked of staff's rules for a finding.
struct Request {
    line: Option<i64>,
    /// The finding's place in what was found.
    finding: usize,
    asked: Asked,
}

fn requests(asked: &Compared<'_>, found: &Reconciled, who: &str) -> Vec<Request> {
    let mut requests = Vec::new();
    // Of the bank's statement nothing follows for a payment.
    if asked.connector == BANK {
        return requests;
    }
    for (n, finding) in found.findings.iter().enumerate() {
        let ours = finding.ours.and_then(|at| found.ours.get(at));
        let Some(act) = statement::propose(finding, ours, asked.connector, asked.costs) else { continue };
        let line = finding.line.unwrap_or(0);
        let subject = ours.map_or_else(|| format!("line {line}"), |ours| ours.reference.clone());
        let request = Asked {
            id: asked.id.derived(&format!("{} {subject} {:?}", act.name(), finding.line)),
            who: who.to_owned(),
            reason: finding.class.name().to_owned(),
            evidence: format!("statement {} line {line}", asked.id),
            act,
        };
        requests.push(Request { line: finding.line, finding: n, asked: request });
    }
    requests
}

/// The rows of all that does not agree.
fn rows(asked: &Compared<'_>, found: &Reconciled, requests: &[Request], at: i64) -> Vec<FindingRow> {
    let read = Read { statement: asked.id, connector: asked.connector, at };
    let wanted: HashMap<usize, Id> = requests.iter().map(|r| (r.finding, r.asked.id)).collect();
    let wrong = found.findings.iter().enumerate().filter(|(_, finding)| finding.class != Class::Matched);
    let mut rows: Vec<FindingRow> = wrong
        .map(|(n, finding)| {
            let ours = finding.ours.and_then(|at| found.ours.get(at));
            read.row(finding, ours, wanted.get(&n).copied())
        })
        .collect();
    rows.extend(asked.unreadable.iter().map(|(line, why)| read.unreadable(*line, why)));
    rows
}

const fn by_bank(movement: Movement) -> bool {
    match movement {
        Movement::CashIn
        | Movement::CashOut
        | Movement::FloatSale
        | Movement::Payout
        | Movement::FloatTopUp
        | Movement::Tax
        | Movement::Commission
        | Movement::Fees
        | Movement::Loss
        | Movement::Settlement
        | Movement::Migrated => true,
        Movement::FloatFound | Movement::FloatLost => false,
    }
}

fn moved(id: Id, sent_as: Vec<String>, amount_minor: i64, at: i64, asked: &Compared<'_>) -> Ours {
    Ours {
        payment: id,
        reference: id.text(),
        sent_as,
        carrier_reference: None,
        phone: None,
        amount_minor,
        at,
        state: State::Delivered,
        class: None,
        expected: (asked.covers.0..asked.covers.1).contains(&at),
        elsewhere: false,
    }
}

/// A payment whose money an account provider gave.
fn charged(payment: PaymentRow, asked: &Compared<'_>) -> Ours {
    let (from, until) = asked.covers;
    Ours {
        payment: payment.id,
        sent_as: vec![payment.id.text()],
        carrier_reference: None,
        phone: payment.caller.map(|phone| phone.as_str().to_owned()),
        amount_minor: payment.amount_minor.saturating_add(payment.fee_minor),
        at: payment.created_at,
        state: payment.state,
        class: payment.class,
        expected: (from..until).contains(&payment.created_at),
        reference: payment.reference,
        elsewhere: false,
    }
}

fn one_of_ours(payment: PaymentRow, sent: &[AttemptRow], asked: &Compared<'_>) -> Ours {
    let (from, until) = asked.covers;
    // What went on to another carrier was refused by this one, or never reached it.
    let elsewhere = payment.connector != asked.connector;
    let at = sent.first().map_or(payment.created_at, |attempt| attempt.created_at);
    let late = sent.iter().find_map(|attempt| match attempt.outcome.as_deref() {
        Some("delivered") => Some(LATE_DELIVERED.to_owned()),
        Some("reversed") => Some(LATE_REVERSED.to_owned()),
        _ => None,
    });
    let last = sent.iter().rev().find_map(|attempt| attempt.carrier_reference.clone());
    Ours {
        payment: payment.id,
        sent_as: sent.iter().map(|attempt| attempt.reference.clone()).collect(),
        carrier_reference: if elsewhere { last } else { payment.carrier_reference.or(last) },
        phone: match payment.target {
            Target::Phone(phone) => Some(phone.as_str().to_owned()),
            Target::Bill { number, .. } => Some(number),
            Target::Deal(_) => None,
        },
        amount_minor: if asked.costs { payment.cost_minor } else { payment.amount_minor },
        at,
        state: if elsewhere { State::Refused } else { payment.state },
        class: if elsewhere { late } else { payment.class },
        expected: (from..until).contains(&at),
        reference: payment.reference,
        elsewhere,
    }
}
