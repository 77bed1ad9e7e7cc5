//! A merchant asks its customer to pay an order, or to confirm its receipt: whether it may, and what becomes of it. Pure;
//! `run/asks.rs` drives.
//!
//! ```text
//! waiting ─► sending ─► shown | called | unknown        by a screen, by a call
//!  ▲ ▲ │        │
//!  │ │ │        └ refused: the next way
//!  │ │ └──────► texted ─► delivered | unknown           by a text
//!  │ └ quiet hours │
//!  │               └ not delivered: the next way
//!  └ failed, declined, withdrawn: nothing more is tried
//! ```
//! What may have been shown is not shown again by itself: a merchant who wants that asks once more, within his limits.

pub mod texts;

use std::future::Future;
use std::pin::Pin;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::order;
use crate::payment::row::OutboxState;
use crate::payment::row::ask::AskRow;
use crate::payment::row::order::OrderRow;

/// How long a screen or a call may be on its way, microseconds; then nobody knows whether it came.
pub const PATIENCE_US: i64 = 60 * SECOND;
/// How soon a text's fate is looked at first, microseconds; later looks are farther apart.
pub const LOOK_US: i64 = 15 * SECOND;
/// How long a text's fate is looked at, microseconds: a day, as long as texts wait to leave.
pub const WATCHED_US: i64 = 24 * 3_600 * SECOND;
/// The longest way's excuse that is kept, characters.
const EXCUSE_MAX: usize = 80;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
/// Minutes of a day.
const DAY_MINUTES: i64 = 24 * 60;

/// What the customer is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum Want {
    /// To pay.
    Pay = 0,
    /// To say that it was received, or that something is wrong.
    Receipt = 1,
}

impl Want {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Pay, Self::Receipt];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|want| want.number() == number)
    }

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Receipt => "receipt",
        }
    }

    /// Of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|want| want.name() == name)
    }

    /// What there is to ask about an order as it stands now.
    #[must_use]
    pub fn of(order: &OrderRow, now: i64) -> Option<Self> {
        match order::State::from_number(order.state)? {
            order::State::Created if now < order.expires_at => Some(Self::Pay),
            order::State::Paid if order.due_at.is_none_or(|due| now < due) => Some(Self::Receipt),
            _ => None,
        }
    }
}

/// A way to a customer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(i16)]
pub enum Way {
    /// A screen of ours (USSR).
    Ussd = 1,
    /// A text message.
    Text = 2,
    /// A call of ours.
    Call = 3,
}

impl Way {
    /// Every one, in the order in which they are gone unless the operator says otherwise.
    pub const ALL: &[Self] = &[Self::Ussd, Self::Text, Self::Call];

    /// The stored number; 0 is none.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|way| way.number() == number)
    }

    /// Its name in the API and the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ussd => "ussd",
            Self::Text => "sms",
            Self::Call => "call",
        }
    }

    /// Of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|way| way.name() == name)
    }
}

/// Where it stands. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i16)]
pub enum State {
    /// Its next way is to be gone.
    Waiting = 0,
    /// A screen or a call is on its way.
    Sending = 1,
    /// The network took the screen.
    Shown = 2,
    /// A text is queued, or the network has it.
    Texted = 3,
    /// The telephone has the text.
    Delivered = 4,
    /// The customer took the call.
    Called = 5,
    /// It may have come to the customer, or not.
    Unknown = 6,
    /// No way led to the customer.
    Failed = 7,
    /// The customer does not want to be asked.
    Declined = 8,
    /// There was nothing to ask any more.
    Withdrawn = 9,
}

impl State {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::Waiting,
        Self::Sending,
        Self::Shown,
        Self::Texted,
        Self::Delivered,
        Self::Called,
        Self::Unknown,
        Self::Failed,
        Self::Declined,
        Self::Withdrawn,
    ];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.number() == number)
    }

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Shown => "shown",
            Self::Texted => "texted",
            Self::Delivered => "delivered",
            Self::Called => "called",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What the merchant is told when it comes to stand here, if anything.
    #[must_use]
    pub const fn event(self) -> Option<&'static str> {
        match self {
            Self::Shown | Self::Texted | Self::Called | Self::Unknown => Some("order.asked"),
            Self::Failed => Some("order.ask_failed"),
            Self::Declined => Some("order.ask_declined"),
            Self::Waiting | Self::Sending | Self::Delivered | Self::Withdrawn => None,
        }
    }
}

/// Hours in which nobody is asked, by the clocks on the walls of the market.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quiet {
    /// The minute of the day in which they begin.
    pub from: i64,
    /// The minute of the day in which they end; before `from` when midnight lies between.
    pub until: i64,
}

impl Quiet {
    /// When the quiet hours that `now` is in end, microseconds; `None` outside of them.
    #[must_use]
    pub fn ends(self, now: i64, zone: &TimeZone) -> Option<i64> {
        let minute = Timestamp(now).minutes(zone).rem_euclid(DAY_MINUTES);
        let in_them = if self.from <= self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        };
        let left = self.until.saturating_sub(minute).rem_euclid(DAY_MINUTES);
        let begun = now.rem_euclid(MINUTE);
        in_them.then(|| now.saturating_sub(begun).saturating_add(left.saturating_mul(MINUTE)))
    }
}

/// What the operator allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// The ways that are gone, in this order.
    pub ways: Vec<Way>,
    /// How often at most about one order's payment, and about its receipt.
    pub per_order: usize,
    /// How long at least between two of one order, microseconds.
    pub between_us: i64,
    /// How often a merchant at most on a day, over all orders.
    pub merchant_day: i64,
    /// How often a number at most on a day, over all merchants.
    pub customer_day: i64,
    /// When nobody is asked.
    pub quiet: Option<Quiet>,
    /// The USSD string of the flow that asks; `{number}` is the order's number.
    pub ussd: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ways: Way::ALL.to_vec(),
            per_order: 3,
            between_us: 3_600 * SECOND,
            merchant_day: 2_000,
            customer_day: 10,
            quiet: None,
            ussd: "*126*{number}#".to_owned(),
        }
    }
}

impl Rules {
    /// What is dialled for an order.
    #[must_use]
    pub fn code(&self, number: &str) -> String {
        self.ussd.replace("{number}", number)
    }

    fn after(&self, way: i16) -> Option<Way> {
        let gone = self.ways.iter().position(|known| known.number() == way);
        self.ways.get(gone.map_or(0, |at| at.saturating_add(1))).copied()
    }
}

/// Why a customer is not asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The order is neither to be paid nor to be confirmed.
    #[error("there is nothing to ask about the order as it stands")]
    Nothing,
    /// Another thing than was wanted is to be asked.
    #[error("the order stands where the customer is asked for something else")]
    Other,
    /// The customer does not want to be asked.
    #[error("the customer does not want to be asked")]
    Declined,
    /// One is on its way.
    #[error("the customer is being asked now")]
    UnderWay,
    /// Often enough about this.
    #[error("the customer was asked about it as often as may be")]
    OrderLimit,
    /// A short while ago.
    #[error("the customer was asked a short while ago")]
    TooSoon {
        /// When it may be again, microseconds.
        at: i64,
    },
    /// The merchant, or others, asked often enough today.
    #[error("no more may be asked today")]
    DayLimit,
}

/// What is known when a merchant wants to ask.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What was asked about this order before.
    pub asks: &'a [AskRow],
    /// How often the merchant asked today.
    pub merchant_today: i64,
    /// How often the customer was asked today.
    pub customer_today: i64,
    /// Whether the customer said no to this.
    pub declined: bool,
}

/// Whether a customer may be asked, and for what; `wanted` is what the merchant means, if he says so.
///
/// # Errors
/// [`Refusal`] when he may not.
pub fn judge(
    order: &OrderRow,
    wanted: Option<Want>,
    seen: Seen<'_>,
    rules: &Rules,
    now: i64,
) -> Result<Want, Refusal> {
    let want = Want::of(order, now).ok_or(Refusal::Nothing)?;
    if wanted.is_some_and(|wanted| wanted != want) {
        return Err(Refusal::Other);
    }
    if seen.declined {
        return Err(Refusal::Declined);
    }
    let before: Vec<&AskRow> = seen.asks.iter().filter(|ask| ask.want == want.number()).collect();
    let open = [State::Waiting.number(), State::Sending.number()];
    if before.iter().any(|ask| open.contains(&ask.state)) {
        return Err(Refusal::UnderWay);
    }
    if before.len() >= rules.per_order {
        return Err(Refusal::OrderLimit);
    }
    let last = before.iter().map(|ask| ask.created_at).max();
    if let Some(at) = last.map(|last| last.saturating_add(rules.between_us)).filter(|at| now < *at) {
        return Err(Refusal::TooSoon { at });
    }
    if seen.merchant_today >= rules.merchant_day || seen.customer_today >= rules.customer_day {
        return Err(Refusal::DayLimit);
    }
    Ok(want)
}

/// A new one, which is due at once.
#[must_use]
pub fn new(id: Id, order: &OrderRow, want: Want, now: i64) -> AskRow {
    AskRow {
        id,
        order_id: order.id,
        merchant: order.merchant,
        want: want.number(),
        state: State::Waiting.number(),
        way: 0,
        detail: String::new(),
        due_at: Some(now),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// What is to be done about one that is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Due {
    /// Only the row changes.
    Row(AskRow),
    /// A text is queued in the commit of the row.
    Text(AskRow),
    /// A screen or a call leaves once the row is committed.
    Send(AskRow, Way),
    /// The fate of its text is to be looked at: see [`looked`].
    Look,
}

/// What is to be done about a row whose time has come; `None` when it has not, or the row is at its end.
#[must_use]
pub fn due(
    row: &AskRow,
    order: &OrderRow,
    declined: bool,
    rules: &Rules,
    zone: &TimeZone,
    now: i64,
) -> Option<Due> {
    if row.due_at.is_none_or(|due| due > now) {
        return None;
    }
    match State::from_number(row.state)? {
        // Whoever sent it has ended in the middle.
        State::Sending => Some(Due::Row(moved(row, State::Unknown, None, now))),
        State::Texted => Some(Due::Look),
        State::Waiting if Want::of(order, now).map(Want::number) != Some(row.want) => {
            Some(Due::Row(moved(row, State::Withdrawn, None, now)))
        }
        State::Waiting if declined => Some(Due::Row(moved(row, State::Declined, None, now))),
        State::Waiting => {
            if let Some(ends) = rules.quiet.and_then(|quiet| quiet.ends(now, zone)) {
                return Some(Due::Row(later(row, ends)));
            }
            let Some(way) = rules.after(row.way) else {
                return Some(Due::Row(moved(row, State::Failed, None, now)));
            };
            let gone = AskRow { way: way.number(), ..row.clone() };
            Some(match way {
                Way::Text => Due::Text(moved(&gone, State::Texted, Some(LOOK_US), now)),
                Way::Ussd | Way::Call => Due::Send(moved(&gone, State::Sending, Some(PATIENCE_US), now), way),
            })
        }
        _ => None,
    }
}

fn moved(row: &AskRow, to: State, due_in: Option<i64>, now: i64) -> AskRow {
    AskRow {
        state: to.number(),
        due_at: due_in.map(|wait| now.saturating_add(wait)),
        updated_at: now,
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

fn later(row: &AskRow, at: i64) -> AskRow {
    AskRow { due_at: Some(at), version: row.version.saturating_add(1), ..row.clone() }
}

/// The next way is tried at once; why this one was of no use is kept.
fn next_way(row: &AskRow, why: &str, now: i64) -> AskRow {
    let name = Way::from_number(row.way).map_or("", Way::name);
    let why: String = why.chars().filter(|c| !c.is_control()).take(EXCUSE_MAX).collect();
    let apart = if row.detail.is_empty() { "" } else { "; " };
    let detail = format!("{}{apart}{name}: {why}", row.detail);
    AskRow { detail, ..moved(row, State::Waiting, Some(0), now) }
}

/// What came of a screen or a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// It came to the customer, as far as the network tells.
    Taken,
    /// It did not, for this reason.
    Refused(String),
    /// It may have.
    Unknown,
}

/// The row after a screen or a call.
#[must_use]
pub fn sent(row: &AskRow, said: &Said, now: i64) -> AskRow {
    match said {
        Said::Taken if row.way == Way::Call.number() => moved(row, State::Called, None, now),
        Said::Taken => moved(row, State::Shown, None, now),
        Said::Unknown => moved(row, State::Unknown, None, now),
        Said::Refused(why) => next_way(row, why, now),
    }
}

/// The row after a look at its text, which may be forgotten by now.
#[must_use]
pub fn looked(row: &AskRow, text: Option<OutboxState>, now: i64) -> AskRow {
    let age = now.saturating_sub(row.updated_at);
    match text {
        Some(OutboxState::Delivered) => moved(row, State::Delivered, None, now),
        Some(OutboxState::Failed) => next_way(row, "it could not be sent", now),
        Some(OutboxState::Undelivered) => next_way(row, "it was not delivered", now),
        Some(OutboxState::Unknown) if age >= WATCHED_US => moved(row, State::Unknown, None, now),
        None => AskRow { due_at: None, ..later(row, now) },
        Some(_) if age >= WATCHED_US => AskRow { due_at: None, ..later(row, now) },
        Some(_) => later(row, now.saturating_add((age / 2).max(LOOK_US))),
    }
}

/// The row after the customer's no; `None` when it is past that.
#[must_use]
pub fn declined(row: &AskRow, now: i64) -> Option<AskRow> {
    let waiting = row.state == State::Waiting.number();
    waiting.then(|| moved(row, State::Declined, None, now))
}

/// What a customer's no to one question about an order stands under.
#[must_use]
pub fn subject(order: Id, want: Want) -> Id {
    order.derived(&format!("no to {}", want.name()))
}

/// It as the merchant sees it.
#[must_use]
pub fn data(row: &AskRow) -> Value {
    json!({
        "id": row.id,
        "for": Want::from_number(row.want).map(Want::name),
        "state": State::from_number(row.state).map(State::name),
        "way": Way::from_number(row.way).map(Way::name),
        "detail": row.detail,
        "asked_at": Timestamp(row.created_at).to_rfc3339(),
        "updated_at": Timestamp(row.updated_at).to_rfc3339(),
    })
}

/// What leaves for a customer by a screen or a call.
#[derive(Clone, Debug)]
pub struct Question {
    /// The id that was written before it left.
    pub id: Id,
    /// To whom.
    pub to: Msisdn,
    /// What is asked for.
    pub want: Want,
    /// The order's number.
    pub number: String,
    /// The USSD string of the flow that asks.
    pub code: String,
    /// The customer's language.
    pub language: String,
}

/// A way to customers that is not the payment core's own: screens over USSD gateways, calls.
pub trait Asks: Send + Sync {
    /// Brings a question to a customer, who may answer it then.
    fn ask(&self, question: Question) -> Pin<Box<dyn Future<Output = Said> + Send>>;
}

/// The way that is not there: what stands in for the call-out until calls can be placed.
#[derive(Clone, Copy, Debug)]
pub struct NotAvailable;

impl Asks for NotAvailable {
    fn ask(&self, _: Question) -> Pin<Box<dyn Future<Output = Said> + Send>> {
        Box::pin(std::future::ready(Said::Refused("not available".to_owned())))
    }
}

#[cfg(test)]
mod tests;
