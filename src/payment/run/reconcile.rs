//! A carrier's statement against the payments of the database.

use std::collections::{BTreeMap, HashSet};

use crate::ledger::row::Id;
use crate::payment::approval::Stage;
use crate::payment::decision::{LATE_DELIVERED, LATE_REVERSED};
use crate::payment::elsewhere::ATTEMPTS_MAX;
use crate::payment::fold::ids;
use crate::payment::row::record::cell;
use crate::payment::row::staff::{ProposalRow, StatementRow};
use crate::payment::row::{PaymentRow, State};
use crate::payment::run::staff::{Asked, Refused};
use crate::payment::run::{Error, Payments};
use crate::payment::statement;
use crate::payment::statement::{Class, Finding, Line, Ours};
use crate::store::PaymentFilter;

/// Payments made so long before or after a statement's time are found too, so that a line near its edge is not theirs alone.
const EDGE_US: i64 = 24 * 3_600 * 1_000_000;

/// A statement to be compared.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Made from the connector and the file's bytes.
    pub id: Id,
    /// Whose.
    pub connector: &'a str,
    /// Its lines.
    pub lines: &'a [Line],
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
    /// So many of them, from the first on, are with this carrier; the others went on to another one, and what it says of them
    /// is for a person.
    pub own: usize,
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
        let Some(connector) = self.inner.connectors.get(asked.connector) else {
            return Err(Error::NoSuchConnector);
        };
        let (from, until) = asked.covers;
        let filter = PaymentFilter {
            since: Some(from.saturating_sub(EDGE_US)),
            until: Some(until.saturating_add(EDGE_US)),
            limit: u32::MAX,
            ..PaymentFilter::default()
        };
        let writes = &connector.describe().reference;
        let mut ours: Vec<Ours> = Vec::new();
        let named: HashSet<&str> = asked.lines.iter().filter_map(|l| l.our_reference.as_deref()).collect();
        let mut went_on: Vec<Ours> = Vec::new();
        for payment in self.inner.store.payments(&filter).await? {
            if payment.state == State::Created {
                continue;
            }
            let sent_as: Vec<String> =
                (1..=ATTEMPTS_MAX).map(|n| writes.write(ids::attempt(payment.id, n).0)).collect();
            if payment.connector == asked.connector {
                ours.push(one_of_ours(payment, sent_as, asked));
            } else if sent_as.iter().any(|reference| named.contains(reference.as_str())) {
                went_on.extend(self.went_on(payment, asked).await?);
            }
        }
        ours.reverse();
        let own = ours.len();
        ours.extend(went_on);
        let findings = statement::compare(asked.lines, &ours, asked.drift_us);
        let mut counts: BTreeMap<&'static str, i64> = Class::ALL.iter().map(|c| (c.name(), 0)).collect();
        for finding in &findings {
            *counts.entry(finding.class.name()).or_default() += 1;
        }
        let known: Option<StatementRow> = self.inner.store.record(&[cell(&asked.id)]).await?;
        Ok(Reconciled { findings, ours, own, counts, asked: Vec::new(), repeated: known.is_some() })
    }

    /// A payment that the carrier of the statement was asked for before it went on to another one, as it stands with that
    /// carrier.
    async fn went_on(&self, payment: PaymentRow, asked: &Compared<'_>) -> Result<Option<Ours>, Error> {
        let attempts = self.inner.store.attempts(payment.id).await?;
        let Some(attempt) = attempts.into_iter().find(|a| a.connector == asked.connector) else {
            return Ok(None);
        };
        let class = match attempt.outcome.as_deref() {
            Some("delivered") => Some(LATE_DELIVERED.to_owned()),
            Some("reversed") => Some(LATE_REVERSED.to_owned()),
            _ => attempt.code,
        };
        let before = PaymentRow {
            state: State::Refused,
            class,
            carrier_reference: attempt.carrier_reference,
            ..payment
        };
        let ours = one_of_ours(before, vec![attempt.reference], asked);
        // Nothing is asked of the carrier but not to have made it.
        Ok(Some(Ours { expected: false, ..ours }))
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
        let mut found = self.compare_statement(asked).await?;
        for finding in &found.findings {
            if finding.ours.is_some_and(|at| at >= found.own) {
                continue;
            }
            let ours = finding.ours.and_then(|at| found.ours.get(at));
            let Some(act) = statement::propose(finding, ours, asked.connector, asked.costs) else { continue };
            let subject =
                ours.map_or_else(|| format!("line {}", finding.line.unwrap_or(0)), |o| o.reference.clone());
            let request = Asked {
                id: asked.id.derived(&format!("{} {subject} {:?}", act.name(), finding.line)),
                who: who.to_owned(),
                reason: finding.class.name().to_owned(),
                evidence: format!("statement {} line {}", asked.id, finding.line.unwrap_or(0)),
                act,
            };
            let answer = match self.ask_staff(&request).await {
                Ok(Ok(row)) => Ok(row),
                Ok(Err(no)) => Err(no.to_string()),
                Err(Error::IdReused) => Err("it was asked for by another person".to_owned()),
                Err(error) => return Err(error),
            };
            found.asked.push((finding.line, answer));
        }
        let open = found.open();
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
        let written =
            self.note_staff(vec![crate::payment::unit::Op::put(&row)], who, "reconcile", subject, details);
        Ok(written.await?.map(|()| found))
    }
}

fn one_of_ours(payment: PaymentRow, sent_as: Vec<String>, asked: &Compared<'_>) -> Ours {
    let (from, until) = asked.covers;
    Ours {
        payment: payment.id,
        sent_as,
        carrier_reference: payment.carrier_reference,
        phone: payment.target.phone().map(|phone| phone.as_str().to_owned()),
        amount_minor: if asked.costs { payment.cost_minor } else { payment.amount_minor },
        at: payment.created_at,
        state: payment.state,
        class: payment.class,
        expected: (from..until).contains(&payment.created_at),
        reference: payment.reference,
    }
}
