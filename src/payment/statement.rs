//! A carrier's statement against our payments: which agree, and what to do about those that do not. Pure.
//!
//! A line is matched by our reference, else by the carrier's, else by number, amount and time. References are looked at for all
//! lines first, so that a line without one never takes the payment of a line that has it.

pub mod profile;

use std::collections::{BTreeMap, HashMap};

use crate::ledger::row::Id;
use crate::payment::decision::{LATE_DELIVERED, LATE_REVERSED, TAKEN_BACK};
use crate::payment::row::State;
use crate::payment::staff::{Act, Movement, Outcome};

/// What a carrier says of one recharge.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Done and charged.
    Delivered,
    /// Not done, not charged.
    Refused,
    /// Done, then taken back.
    Reversed,
    /// Not finished yet.
    Pending,
}

/// A line of a statement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its place in the file, from 1.
    pub number: i64,
    /// Our reference as the carrier wrote it.
    pub our_reference: Option<String>,
    /// The carrier's reference.
    pub carrier_reference: Option<String>,
    /// The number that was recharged, with `+`, or of the bill.
    pub phone: Option<String>,
    /// Minor units, of face value or of cost as the profile says.
    pub amount_minor: i64,
    /// When, microseconds.
    pub at: Option<i64>,
    /// What it says.
    pub status: Status,
}

/// One of our payments with this carrier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ours {
    /// The payment.
    pub payment: Id,
    /// Its short reference.
    pub reference: String,
    /// Our references as the carrier saw them.
    pub sent_as: Vec<String>,
    /// The carrier's reference.
    pub carrier_reference: Option<String>,
    /// The number that was recharged, with `+`, or of the bill.
    pub phone: Option<String>,
    /// What the statement's amount is compared with, minor units.
    pub amount_minor: i64,
    /// When it was made, microseconds.
    pub at: i64,
    /// Where it stands.
    pub state: State,
    /// Its class.
    pub class: Option<String>,
    /// Whether the carrier must have it: false for payments before and after the statement's time, which are there only to
    /// be found.
    pub expected: bool,
    /// Whether the payment went on to another carrier after this one had refused it, so that what became of it there says
    /// nothing of this one.
    pub elsewhere: bool,
}

impl Ours {
    /// What we believe of the carrier's side; `None` while it is open.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match (self.state, self.class.as_deref()) {
            (State::Delivered, _) | (State::Refused, Some(LATE_DELIVERED)) => Some(Status::Delivered),
            (State::Reversed, _) | (State::Refused, Some(LATE_REVERSED | TAKEN_BACK)) => {
                Some(Status::Reversed)
            }
            (State::Refused | State::Created, _) => Some(Status::Refused),
            (
                State::Authorised
                | State::Submitting
                | State::Submitted
                | State::Unknown
                | State::NeedsReview,
                _,
            ) => None,
        }
    }
}

/// How a line and a payment stand to each other.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// They agree.
    Matched,
    /// The amounts differ.
    AmountDiffers,
    /// One says delivered, the other does not.
    StatusDiffers,
    /// We delivered or do not know, and the statement has no line.
    OursOnly,
    /// The statement has a line of which we know nothing.
    TheirsOnly,
    /// A second line for one payment.
    Duplicate,
}

impl Class {
    /// Every class, in the order of reports.
    pub const ALL: &[Self] = &[
        Self::Matched,
        Self::AmountDiffers,
        Self::StatusDiffers,
        Self::OursOnly,
        Self::TheirsOnly,
        Self::Duplicate,
    ];

    /// Its name, as everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::AmountDiffers => "amount_differs",
            Self::StatusDiffers => "status_differs",
            Self::OursOnly => "ours_only",
            Self::TheirsOnly => "theirs_only",
            Self::Duplicate => "duplicate",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How they stand.
    pub class: Class,
    /// The line, if there is one.
    pub line: Option<i64>,
    /// Our payment, by its place in what was given.
    pub ours: Option<usize>,
    /// What the statement says, if it says something.
    pub theirs: Option<(Status, i64)>,
}

/// Matches all lines. `drift_us` is how far apart the times of a line and a payment without common reference may be. Findings
/// are in the order of lines, then what only we have in the order of `ours`; each line and each expected payment is in exactly
/// one, but that duplicates name a payment again.
#[must_use]
pub fn compare(lines: &[Line], ours: &[Ours], drift_us: i64) -> Vec<Finding> {
    let found = find(lines, ours, drift_us);
    let mut findings: Vec<Finding> = lines
        .iter()
        .zip(&found)
        .map(|(line, found)| {
            let theirs = Some((line.status, line.amount_minor));
            let class = match found {
                Found::None => Class::TheirsOnly,
                Found::Again(_) => Class::Duplicate,
                Found::Ours(at) => ours.get(*at).map_or(Class::TheirsOnly, |ours| judge(line, ours)),
            };
            let ours = match found {
                Found::None => None,
                Found::Again(at) | Found::Ours(at) => Some(*at),
            };
            Finding { class, line: Some(line.number), ours, theirs }
        })
        .collect();
    let mut seen = vec![false; ours.len()];
    for finding in &findings {
        if let Some(seen) = finding.ours.and_then(|at| seen.get_mut(at)) {
            *seen = true;
        }
    }
    let only = ours.iter().enumerate().zip(seen).filter(|((_, ours), seen)| !seen && ours.expected);
    for ((at, ours), _) in only {
        if matches!(ours.status(), Some(Status::Delivered) | None) {
            findings.push(Finding { class: Class::OursOnly, line: None, ours: Some(at), theirs: None });
        }
    }
    findings
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    None,
    Ours(usize),
    Again(usize),
}

/// Payments of one number and amount by their time, then their place.
type ByTime = BTreeMap<(i64, usize), ()>;

fn find(lines: &[Line], ours: &[Ours], drift_us: i64) -> Vec<Found> {
    let mut by_ours: HashMap<&str, usize> = HashMap::with_capacity(ours.len());
    let mut by_theirs: HashMap<&str, usize> = HashMap::with_capacity(ours.len());
    let mut by_number: HashMap<(&str, i64), ByTime> = HashMap::new();
    for (at, payment) in ours.iter().enumerate() {
        by_ours.entry(payment.reference.as_str()).or_insert(at);
        for reference in &payment.sent_as {
            by_ours.insert(reference.as_str(), at);
        }
        if let Some(reference) = &payment.carrier_reference {
            by_theirs.entry(reference.as_str()).or_insert(at);
        }
        if let Some(phone) = &payment.phone {
            by_number.entry((phone, payment.amount_minor)).or_default().insert((payment.at, at), ());
        }
    }
    let mut taken = vec![false; ours.len()];
    let mut found: Vec<Found> = lines
        .iter()
        .map(|line| {
            let ours = line.our_reference.as_deref().and_then(|r| by_ours.get(r));
            let at = ours.or_else(|| line.carrier_reference.as_deref().and_then(|r| by_theirs.get(r)));
            at.map_or(Found::None, |at| take(&mut taken, *at))
        })
        .collect();
    for (line, found) in lines.iter().zip(&mut found) {
        // A reference that is not ours is somebody's: number and amount must not hide that.
        if *found != Found::None || line.our_reference.is_some() {
            continue;
        }
        let (Some(phone), Some(at)) = (line.phone.as_deref(), line.at) else { continue };
        let Some(candidates) = by_number.get_mut(&(phone, line.amount_minor)) else { continue };
        let range = (at.saturating_sub(drift_us), 0)..=(at.saturating_add(drift_us), usize::MAX);
        let free =
            candidates.range(range).map(|(key, ())| *key).filter(|(_, n)| taken.get(*n) == Some(&false));
        let nearest = free.min_by_key(|(when, n)| (when.abs_diff(at), *n));
        if let Some(key) = nearest {
            candidates.remove(&key);
            *found = take(&mut taken, key.1);
        }
    }
    found
}

fn take(taken: &mut [bool], at: usize) -> Found {
    match taken.get_mut(at) {
        Some(taken) if *taken => Found::Again(at),
        Some(taken) => {
            *taken = true;
            Found::Ours(at)
        }
        None => Found::None,
    }
}

fn judge(line: &Line, ours: &Ours) -> Class {
    // What was never delivered has no amount that could matter.
    let charged = line.status == Status::Delivered;
    match ours.status() {
        None if line.status == Status::Pending => Class::Matched,
        None => Class::StatusDiffers,
        Some(status) if agree(status, line.status) => {
            if charged && line.amount_minor != ours.amount_minor {
                Class::AmountDiffers
            } else {
                Class::Matched
            }
        }
        Some(_) => Class::StatusDiffers,
    }
}

/// Whether both sides come to the same money.
const fn agree(ours: Status, theirs: Status) -> bool {
    matches!(
        (ours, theirs),
        (Status::Delivered, Status::Delivered)
            | (Status::Refused | Status::Reversed, Status::Refused | Status::Reversed)
    )
}

/// What staff could do about a finding; `None` when a person must look first. `costs` says whether the statement's amounts are
/// what the carrier took from our float.
#[must_use]
pub fn propose(finding: &Finding, ours: Option<&Ours>, connector: &str, costs: bool) -> Option<Act> {
    let float = |difference: i64| {
        let lost = difference > 0;
        let movement = if lost { Movement::FloatLost } else { Movement::FloatFound };
        let amount_minor = difference.checked_abs().filter(|minor| *minor > 0)?;
        let connector = Some(connector.to_owned());
        Some(Act::Move { movement, amount_minor, account: None, connector, discount_minor: 0 })
    };
    let (status, theirs_minor) = finding.theirs?;
    match (finding.class, ours) {
        // It was delivered twice: by this carrier, and by the one to which it went on.
        (Class::StatusDiffers, Some(ours)) if ours.elsewhere => {
            if costs && status == Status::Delivered {
                float(theirs_minor)
            } else {
                None
            }
        }
        (Class::StatusDiffers, Some(ours)) => {
            let payment = ours.payment;
            match (ours.state, status) {
                (State::Unknown | State::NeedsReview | State::Refused, Status::Delivered) => {
                    Some(Act::Resolve { payment, outcome: Outcome::Delivered })
                }
                (State::Unknown | State::NeedsReview, Status::Refused | Status::Reversed) => {
                    Some(Act::Resolve { payment, outcome: Outcome::Refused })
                }
                (State::Delivered, Status::Refused | Status::Reversed) => Some(Act::Reverse { payment }),
                _ => None,
            }
        }
        (Class::AmountDiffers, Some(ours)) if costs => float(theirs_minor.checked_sub(ours.amount_minor)?),
        (Class::TheirsOnly | Class::Duplicate, _) if costs && status == Status::Delivered => {
            float(theirs_minor)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
