//! What did not agree in statements: kept when one is read, over when what was asked for it is done or two persons say so.

use crate::ledger::row::Id;
use crate::payment::finding;
use crate::payment::finding::Standing;
use crate::payment::row::day::FindingRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::run::staff::{Ready, Refused, between};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::Op;

/// Rows of one commit.
const ROWS: usize = 256;
/// Times that rows are judged anew when somebody else changed them.
const STALE_MAX: u32 = 32;
/// Most findings of one standing that are read at once.
pub const FINDINGS_MAX: u32 = 10_000;

impl Payments {
    /// Findings in one standing, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn findings(&self, standing: Standing, limit: u32) -> Result<Vec<FindingRow>, Error> {
        let wanted = Select::new().equal("state", &standing.number()).order("found_at");
        Ok(self.inner.store.records(&wanted.limit(limit)).await?)
    }

    /// Findings of a statement, whatever their standing.
    pub(super) async fn findings_of(&self, statement: Id) -> Result<Vec<FindingRow>, Error> {
        let wanted = Select::new().equal("statement", &statement).limit(u32::MAX);
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// Writes what a reading of a statement found; what it found before and not now has agreed.
    pub(super) async fn keep_findings(&self, statement: Id, found: &[FindingRow]) -> Result<(), Error> {
        for _ in 0..STALE_MAX {
            let before = self.findings_of(statement).await?;
            let by_place: std::collections::HashMap<&str, &FindingRow> =
                before.iter().map(|row| (row.place.as_str(), row)).collect();
            let mut ops: Vec<Op> = Vec::new();
            let mut places = std::collections::HashSet::new();
            for row in found {
                places.insert(row.place.as_str());
                let known = by_place.get(row.place.as_str()).copied();
                if let Some(row) = finding::merge(known, row.clone()) {
                    ops.push(if known.is_some() { Op::set(&row) } else { Op::add(&row) });
                }
            }
            let now = self.now();
            let gone = before.iter().filter(|row| !places.contains(row.place.as_str()));
            ops.extend(
                gone.filter_map(|row| finding::over(row, Standing::Agreed, now)).map(|row| Op::set(&row)),
            );
            let mut whole = true;
            for chunk in ops.chunks(ROWS) {
                match self.commit(chunk.to_vec()).await? {
                    Ok(_) => {}
                    Err(refusal) if between(&refusal) => whole = false,
                    Err(refusal) => return Err(Error::Refused(refusal)),
                }
            }
            if whole {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    /// What is over when this request is done: to be written in the same commit.
    pub(super) async fn settle_findings(&self, request: Id) -> Result<Vec<Op>, Error> {
        let wanted = Select::<FindingRow>::new().equal("request", &request);
        let now = self.now();
        let rows = self.inner.store.records(&wanted).await?;
        let over = rows.iter().filter_map(|row| finding::over(row, Standing::Settled, now));
        Ok(over.map(|row| Op::set(&row)).collect())
    }

    pub(super) async fn ready_dismissal(
        &self,
        statement: Id,
        place: &str,
    ) -> Result<Result<Ready, Refused>, Error> {
        let key = [cell(&statement), cell(&place.to_owned())];
        let Some(row) = self.inner.store.record::<FindingRow>(&key).await? else {
            return Ok(Err(Refused::NoSuch("finding")));
        };
        let Some(after) = finding::over(&row, Standing::Dismissed, self.now()) else {
            let standing = Standing::from_number(row.state).map_or("over", Standing::name);
            return Ok(Err(Refused::Over(standing)));
        };
        Ok(Ok(Ready {
            subject: format!("statement {statement} {place}"),
            amount_minor: finding::differs_minor(&row),
            ops: vec![Op::set(&after)],
            news: None,
        }))
    }
}
