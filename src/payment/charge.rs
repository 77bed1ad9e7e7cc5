//! A charge through the intermediary account: what may follow what (DESIGN 6.4 point 15). Pure.
//!
//! A buyer asks, the agent deposits, the buyer pays outside and says so, the agent confirms. The amount is on the agent's account,
//! on the intermediary account, or on the buyer's; the price is ordinary money and never moves here. A dispute has no default
//! winner: either side may give in, otherwise two different staff must say the same, with evidence.

pub mod texts;

use crate::payment::row::charge::ChargeRow;

/// Wrong certificates before the agent can no longer confirm and staff must resolve.
pub const CERTIFICATE_TRIES: i32 = 5;
/// The fewest last digits of a certificate that match it.
pub const CERTIFICATE_TAIL: usize = 4;
/// The fewest characters of evidence.
pub const EVIDENCE_MIN: usize = 8;
/// The most characters of one statement, of staff or of a side.
pub const STATEMENT_MAX: usize = 500;
/// The most statements of a dispute, of both sides and staff together.
pub const STATEMENTS_MAX: usize = 20;

const MINUTE: i64 = 60_000_000;

/// The times of charging, microseconds, and its limits, minor units.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// A request that is not deposited for this long lapses.
    pub deposit_within: i64,
    /// From the deposit on the buyer may pay for this long.
    pub pay_within: i64,
    /// After that the buyer may still say that it is paid for this long; then the deposit goes back.
    pub claim_window: i64,
    /// From the buyer's word on the agent has this long.
    pub confirm_within: i64,
    /// Staff are told of a dispute that is this old.
    pub alarm_after: i64,
    /// And from then on this often.
    pub alarm_every: i64,
    /// The most of one charge; off when `None`.
    pub charge_limit_minor: Option<i64>,
    /// The most that an agent deposits in a day; off when `None`.
    pub day_limit_minor: Option<i64>,
    /// The most requests that a buyer may have open.
    pub open_max: usize,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            deposit_within: 60 * MINUTE,
            pay_within: 120 * MINUTE,
            claim_window: 60 * MINUTE,
            confirm_within: 60 * MINUTE,
            alarm_after: 24 * 60 * MINUTE,
            alarm_every: 24 * 60 * MINUTE,
            charge_limit_minor: None,
            day_limit_minor: None,
            open_max: 5,
        }
    }
}

/// Where a charge stands. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum Stage {
    /// Asked for; nothing moved.
    Requested = 0,
    /// The amount is on the intermediary account; the buyer knows where to pay.
    Deposited = 1,
    /// The buyer says that it is paid; the time limit runs.
    Claimed = 2,
    /// The agent confirmed in time; the buyer has the amount.
    Completed = 3,
    /// The time passed; the amount stays where it is.
    Disputed = 4,
    /// Given up by the buyer, or by either before the deposit; what was deposited is the agent's again.
    Cancelled = 5,
    /// The agent did not want it.
    Declined = 6,
    /// Not deposited in time.
    Lapsed = 7,
    /// Never claimed: the agent has the deposit again.
    Returned = 8,
    /// A dispute ended for the buyer.
    ToBuyer = 9,
    /// A dispute ended for the agent.
    ToAgent = 10,
}

impl Stage {
    /// Every stage.
    pub const ALL: &[Self] = &[
        Self::Requested,
        Self::Deposited,
        Self::Claimed,
        Self::Completed,
        Self::Disputed,
        Self::Cancelled,
        Self::Declined,
        Self::Lapsed,
        Self::Returned,
        Self::ToBuyer,
        Self::ToAgent,
    ];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The stage of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|stage| stage.number() == number)
    }

    /// Its name for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Deposited => "deposited",
            Self::Claimed => "claimed",
            Self::Completed => "completed",
            Self::Disputed => "disputed",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::Lapsed => "lapsed",
            Self::Returned => "returned",
            Self::ToBuyer => "resolved_to_buyer",
            Self::ToAgent => "resolved_to_agent",
        }
    }

    /// Whether the amount is on the intermediary account.
    #[must_use]
    pub const fn holds_money(self) -> bool {
        matches!(self, Self::Deposited | Self::Claimed | Self::Disputed)
    }

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Requested) && !self.holds_money()
    }
}

/// One of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Who buys.
    Buyer,
    /// Who sells.
    Agent,
}

impl Side {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Buyer => 1,
            Self::Agent => 2,
        }
    }
}

/// What happens to a charge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// The agent's deposit is about to be committed with this.
    Deposit {
        /// The MAC of the certificate.
        mac: Vec<u8>,
        /// The certificate, sealed.
        sealed: Vec<u8>,
    },
    /// The agent does not want it.
    Decline,
    /// Given up.
    Cancel(Side),
    /// The buyer says that the price is paid.
    Claim,
    /// The agent says that the price was received; the certificate was matched.
    Confirm,
    /// The agent gave a wrong certificate.
    WrongCertificate,
    /// The buyer takes the word "paid" back.
    Withdraw,
    /// One side says that the other's word is not so, before the time limit passes.
    Dispute(Side),
    /// What one side has to say for itself in a dispute, for staff to read.
    Statement {
        /// Whose.
        side: Side,
        /// What.
        words: String,
    },
    /// One of the staff says whose the money is.
    Judge {
        /// Who says so.
        staff: String,
        /// Whose it is.
        to: Side,
        /// Why.
        evidence: String,
    },
    /// Time passes.
    Time,
}

/// Why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Not in this stage.
    NotNow(Stage),
    /// The buyer knows where to pay: only the buyer may cancel.
    BuyerOnly,
    /// Its time has passed.
    Late,
    /// Nothing is due yet.
    NotDue,
    /// Too many wrong certificates.
    CertificateLocked,
    /// The second must be somebody else.
    SameStaff,
    /// Too few words of evidence.
    NoEvidence,
    /// No more statements are taken.
    Full,
    /// The row is none that this program writes.
    Broken,
}

/// What moves with a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Movement {
    /// Nothing.
    Still,
    /// From the agent's account to the intermediary account, by the deposit's payment.
    Deposit,
    /// From the intermediary account to one side.
    Settle(Side),
}

/// A step: the row as it is to be stored, and what moves in the same commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The next version.
    pub row: ChargeRow,
    /// The money.
    pub movement: Movement,
    /// Whether both sides are told.
    pub tell: bool,
}

fn end(row: &ChargeRow, now: i64, stage: Stage, movement: Movement) -> Step {
    let row = ChargeRow { state: stage.number(), due_at: None, ended_at: Some(now), ..row.next_version(now) };
    Step { row, movement, tell: true }
}

fn go(row: &ChargeRow, now: i64, stage: Stage, wait: i64, movement: Movement) -> Step {
    let due_at = Some(now.saturating_add(wait));
    let row = ChargeRow { state: stage.number(), due_at, ..row.next_version(now) };
    Step { row, movement, tell: true }
}

/// Decides.
///
/// # Errors
/// With the reason why it cannot follow; nothing changes then.
pub fn decide(row: &ChargeRow, now: i64, terms: &Terms, input: Input) -> Result<Step, Refusal> {
    let stage = Stage::from_number(row.state).ok_or(Refusal::Broken)?;
    let due = row.due_at.is_some_and(|at| at <= now);
    let not_now = Err(Refusal::NotNow(stage));
    match (input, stage) {
        (Input::Time, _) => time(row, now, terms, stage),
        (Input::Deposit { .. } | Input::Claim, Stage::Requested | Stage::Deposited) if due => {
            Err(Refusal::Late)
        }
        (Input::Deposit { mac, sealed }, Stage::Requested) => {
            let wait = terms.pay_within.saturating_add(terms.claim_window);
            let mut step = go(row, now, Stage::Deposited, wait, Movement::Deposit);
            step.row.certificate_mac = Some(mac);
            step.row.certificate = Some(sealed);
            step.row.pay_by = Some(now.saturating_add(terms.pay_within));
            Ok(step)
        }
        (Input::Decline, Stage::Requested) => Ok(end(row, now, Stage::Declined, Movement::Still)),
        (Input::Cancel(_), Stage::Requested) => Ok(end(row, now, Stage::Cancelled, Movement::Still)),
        (Input::Cancel(Side::Agent), _) if stage.holds_money() => Err(Refusal::BuyerOnly),
        (Input::Cancel(Side::Buyer), Stage::Deposited) => {
            Ok(end(row, now, Stage::Cancelled, Movement::Settle(Side::Agent)))
        }
        (Input::Claim, Stage::Deposited) => {
            let mut step = go(row, now, Stage::Claimed, terms.confirm_within, Movement::Still);
            step.row.claimed_at = Some(now);
            Ok(step)
        }
        (Input::Confirm | Input::WrongCertificate, _)
            if stage.holds_money() && row.tries >= CERTIFICATE_TRIES =>
        {
            Err(Refusal::CertificateLocked)
        }
        // Before the buyer's word too: nobody but the agent could lose by it.
        (Input::Confirm, Stage::Deposited) => {
            Ok(end(row, now, Stage::Completed, Movement::Settle(Side::Buyer)))
        }
        // Late is against oneself, swept or not.
        (Input::Confirm, Stage::Claimed | Stage::Disputed) => {
            let stage = if due || stage == Stage::Disputed { Stage::ToBuyer } else { Stage::Completed };
            Ok(end(row, now, stage, Movement::Settle(Side::Buyer)))
        }
        (Input::WrongCertificate, Stage::Deposited | Stage::Claimed | Stage::Disputed) => {
            let row = ChargeRow { tries: row.tries.saturating_add(1), ..row.next_version(now) };
            Ok(Step { row, movement: Movement::Still, tell: false })
        }
        (Input::Withdraw, Stage::Claimed | Stage::Disputed) => {
            Ok(end(row, now, Stage::ToAgent, Movement::Settle(Side::Agent)))
        }
        (Input::Dispute(_), Stage::Claimed) => Ok(dispute(row, now, terms)),
        (Input::Statement { side, words }, Stage::Disputed) => {
            let who = match side {
                Side::Buyer => "(the buyer)",
                Side::Agent => "(the agent)",
            };
            let evidence = Some(said(row, who, &words)?);
            let row = ChargeRow { evidence, ..row.next_version(now) };
            Ok(Step { row, movement: Movement::Still, tell: false })
        }
        (Input::Judge { staff, to, evidence }, Stage::Disputed) => judge(row, now, staff, to, &evidence),
        _ => not_now,
    }
}

fn time(row: &ChargeRow, now: i64, terms: &Terms, stage: Stage) -> Result<Step, Refusal> {
    if row.due_at.is_none_or(|at| at > now) {
        return Err(Refusal::NotDue);
    }
    match stage {
        Stage::Requested => Ok(end(row, now, Stage::Lapsed, Movement::Still)),
        Stage::Deposited => Ok(end(row, now, Stage::Returned, Movement::Settle(Side::Agent))),
        Stage::Claimed => Ok(dispute(row, now, terms)),
        // Only the alarm: money stays put.
        Stage::Disputed => {
            let step = go(row, now, Stage::Disputed, terms.alarm_every, Movement::Still);
            Ok(Step { tell: false, ..step })
        }
        _ => Err(Refusal::NotNow(stage)),
    }
}

fn dispute(row: &ChargeRow, now: i64, terms: &Terms) -> Step {
    let mut step = go(row, now, Stage::Disputed, terms.alarm_after, Movement::Still);
    step.row.disputed_at = Some(now);
    step
}

/// The statements with one more: a line for each.
fn said(row: &ChargeRow, who: &str, words: &str) -> Result<String, Refusal> {
    let plain: String = words.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.chars().count() < EVIDENCE_MIN {
        return Err(Refusal::NoEvidence);
    }
    let before = row.evidence.as_deref().unwrap_or_default();
    if before.lines().count() >= STATEMENTS_MAX {
        return Err(Refusal::Full);
    }
    let plain: String = plain.chars().take(STATEMENT_MAX).collect();
    let line = format!("{who}: {plain}");
    Ok(if before.is_empty() { line } else { format!("{before}\n{line}") })
}

/// The first word is kept; a second of another person that agrees decides; one that does not takes its place. What the two
/// sides have said leaves room for staff: their words are taken however many there are.
fn judge(row: &ChargeRow, now: i64, staff: String, to: Side, evidence: &str) -> Result<Step, Refusal> {
    let staff = staff.trim().to_owned();
    if staff.is_empty() {
        return Err(Refusal::NoEvidence);
    }
    let stage = match to {
        Side::Buyer => Stage::ToBuyer,
        Side::Agent => Stage::ToAgent,
    };
    let whole = match said(row, &staff, evidence) {
        Err(Refusal::Full) => {
            // The oldest line goes: the audit log has what staff said.
            let rest = row.evidence.as_deref().and_then(|lines| lines.split_once('\n')).map(|(_, rest)| rest);
            let shorter = ChargeRow { evidence: rest.map(str::to_owned), ..row.clone() };
            said(&shorter, &staff, evidence)?
        }
        said => said?,
    };
    match (&row.judged_by, row.judged_to) {
        (Some(first), Some(_)) if *first == staff => Err(Refusal::SameStaff),
        (Some(_), Some(first)) if first == to.number() => {
            let mut step = end(row, now, stage, Movement::Settle(to));
            step.row.evidence = Some(whole);
            Ok(step)
        }
        _ => {
            let row = ChargeRow {
                judged_by: Some(staff),
                judged_to: Some(to.number()),
                evidence: Some(whole),
                ..row.next_version(now)
            };
            Ok(Step { row, movement: Movement::Still, tell: false })
        }
    }
}

/// What is wrong with a stored row, for `ledger verify`; none when it can be what it is.
#[must_use]
pub fn fault(row: &ChargeRow) -> Option<&'static str> {
    let Some(stage) = Stage::from_number(row.state) else { return Some("is in no known state") };
    let deposited = row.deposit.is_some();
    let must = stage.holds_money()
        || matches!(stage, Stage::Completed | Stage::Returned | Stage::ToBuyer | Stage::ToAgent);
    let may = must || stage == Stage::Cancelled;
    let claimed = matches!(stage, Stage::Claimed | Stage::Disputed | Stage::ToBuyer | Stage::ToAgent);
    if (must && !deposited) || (!may && deposited) {
        return Some("has a deposit that does not fit its state");
    }
    if deposited != row.certificate.is_some() || deposited != row.certificate_mac.is_some() {
        return Some("has a deposit without a certificate, or the other way round");
    }
    if stage.is_final() != row.due_at.is_none() || stage.is_final() != row.ended_at.is_some() {
        return Some("is over and has something due, or is not and has nothing");
    }
    if claimed && row.claimed_at.is_none() {
        return Some("was never said to be paid");
    }
    (stage == Stage::Disputed && row.disputed_at.is_none()).then_some("is disputed since no time")
}

#[cfg(test)]
mod tests;
