//! The rows of payments as they are stored: plain values, no rules. `store` reads and writes them.

pub mod alarm;
pub mod ask;
pub mod bill;
pub mod charge;
pub mod day;
pub mod dayone;
pub mod epoch;
pub mod identity;
mod messages;
pub mod order;
pub mod provider;
pub mod record;
pub mod staff;
mod target;
pub mod voucher;

pub use crate::ledger::row::Id;
use crate::ledger::row::{HoldRow, TransferRow};
use crate::money::Currency;
use crate::msisdn::Msisdn;

pub use record::AnswerRow;
pub use target::Target;

pub use messages::{InboxRow, OutboxRow, OutboxState, PartRow, SessionRow};

/// A customer's settings beside the ledger account of the same id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PayerRow {
    /// The ledger account.
    pub account: Id,
    /// Whether it may pay.
    pub suspended: bool,
    /// S14: the customer's own limit a day, minor units.
    pub user_day_limit_minor: Option<i64>,
    /// The customer's own limit per payment, minor units.
    pub user_payment_limit_minor: Option<i64>,
    /// PHC string of argon2id over the peppered PIN; `None` until a PIN is set.
    pub pin_hash: Option<String>,
    /// Which pepper it was made with.
    pub pin_pepper: i32,
    /// Wrong or unfinished tries in a row, counted before hashing.
    pub pin_tries: i32,
    /// No try is taken before this time (growing delay), microseconds.
    pub pin_wait_until: i64,
    /// Set when the tries were used up; cleared by staff or a new PIN.
    pub pin_locked: bool,
    /// When it was opened, microseconds.
    pub created_at: i64,
    /// Counts changes of this row.
    pub version: i64,
}

/// A number that pays from an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindingRow {
    /// The number; one number pays from one account.
    pub msisdn: Msisdn,
    /// The account.
    pub account: Id,
    /// When it was bound, microseconds.
    pub bound_at: i64,
}

/// Where a payment stands (DESIGN 6.2). The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum State {
    /// Written, nothing held.
    Created = 0,
    /// The money is held.
    Authorised = 1,
    /// The attempt row is written; the request is about to leave, or has left.
    Submitting = 2,
    /// The carrier took the request and has not finished it.
    Submitted = 3,
    /// The carrier delivered; the hold is posted.
    Delivered = 4,
    /// Refused for certain; the hold is voided.
    Refused = 5,
    /// Nobody knows: the hold stays until a status query or a callback tells.
    Unknown = 6,
    /// A person must look; the hold stays.
    NeedsReview = 7,
    /// Delivered, then taken back by the carrier; the customer was credited.
    Reversed = 8,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Created,
        Self::Authorised,
        Self::Submitting,
        Self::Submitted,
        Self::Delivered,
        Self::Refused,
        Self::Unknown,
        Self::NeedsReview,
        Self::Reversed,
    ];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The state of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.number() == number)
    }

    /// Whether its hold is open: authorised to needs_review (DESIGN 6.4 point 4).
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Authorised | Self::Submitting | Self::Submitted | Self::Unknown | Self::NeedsReview
        )
    }
}

/// One intent to pay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentRow {
    /// Made by the session before anything is asked, so that a repeated request finds itself.
    pub id: Id,
    /// Short, with a check digit, spoken and sent (DESIGN 6.4 point 25); unique.
    pub reference: String,
    /// Who pays.
    pub account: Id,
    /// The caller's number, if it had one.
    pub caller: Option<Msisdn>,
    /// 1 voice, 2 USSD, 3 SMS, 4 HTTP.
    pub channel: i16,
    /// `recharge`, `bill`, `order` or `deposit`: see [`product`].
    pub product: String,
    /// What is paid.
    pub target: Target,
    /// Face value.
    pub amount_minor: i64,
    /// Added to it.
    pub fee_minor: i64,
    /// What the carrier takes from our float on delivery; of what is paid on to a biller or kept for somebody, all that is his.
    pub cost_minor: i64,
    /// The part of the fee that is tax.
    pub tax_minor: i64,
    /// Of all these.
    pub currency: Currency,
    /// Where it stands.
    pub state: State,
    /// Refusal class when refused, or why it is unknown.
    pub class: Option<String>,
    /// The market's day at the hold's commit, days since 1970-01-01.
    pub business_day: i32,
    /// The ledger hold.
    pub hold: Id,
    /// Which connector serves it.
    pub connector: String,
    /// The carrier's own reference.
    pub carrier_reference: Option<String>,
    /// A name for receipts: the biller's, the merchant's, the agent's.
    pub payee: Option<String>,
    /// The id of the biller's quote that the payment answers.
    pub quote: Option<String>,
    /// The connector of the outside account that is charged; `None` when the money is on the ledger account itself.
    pub provider: Option<String>,
    /// The order or charge that is paid.
    pub deal: Option<Id>,
    /// Microseconds.
    pub created_at: i64,
    /// Microseconds.
    pub updated_at: i64,
    /// When the status is to be asked next.
    pub next_check_at: Option<i64>,
    /// How often it was asked.
    pub checks: i32,
    /// Counts changes; every change names the version that it saw (compare-and-set).
    pub version: i64,
}

impl PaymentRow {
    /// The counter of its account's day for its product (S13, S14).
    #[must_use]
    pub fn counter_key(&self) -> CounterKey {
        CounterKey { scope: day_scope(&self.product), owner: self.account.text(), day: self.business_day }
    }

    /// The counter of what its account has paid on its day without a PIN.
    #[must_use]
    pub fn without_pin_key(&self) -> CounterKey {
        CounterKey { scope: WITHOUT_PIN, ..self.counter_key() }
    }

    /// The row that keeps equal payments apart.
    #[must_use]
    pub fn pair_key(&self) -> PairKey {
        PairKey { account: self.account, target: self.target.clone(), amount_minor: self.amount_minor }
    }
}

/// One step in a payment's history. Never updated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventRow {
    /// The payment.
    pub payment: Id,
    /// The payment's version that this step made.
    pub version: i64,
    /// The state that it entered.
    pub state: State,
    /// In words, no secrets.
    pub detail: String,
    /// Microseconds.
    pub at: i64,
}

/// One request to a carrier, written before it leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttemptRow {
    /// Its id.
    pub id: Id,
    /// The payment.
    pub payment: Id,
    /// 1, 2, 3… in the payment.
    pub number: i32,
    /// The connector.
    pub connector: String,
    /// Our reference as the carrier sees it; unique.
    pub reference: String,
    /// When the row was written, microseconds.
    pub created_at: i64,
    /// When its outcome became known (also "unknown").
    pub answered_at: Option<i64>,
    /// "not_sent", "accepted", "delivered", "refused", "unknown", "reversed"; `None` while it is under way.
    pub outcome: Option<String>,
    /// The carrier's code or our reason.
    pub code: Option<String>,
    /// The carrier's reference.
    pub carrier_reference: Option<String>,
}

/// What is counted for a limit. The order is that of the rows in the databases: what is of one account lies together.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CounterKey {
    /// Whose: the text of the account's id.
    pub owner: String,
    /// Days since 1970-01-01 in the market's zone.
    pub day: i32,
    /// [`ACCOUNT_DAY`], [`WITHOUT_PIN`], [`BILL_DAY`], [`ORDER_DAY`] or [`DEPOSIT_DAY`].
    pub scope: i16,
}

/// The products, as payments store them.
pub mod product {
    /// A number is recharged.
    pub const RECHARGE: &str = "recharge";
    /// A biller's bill.
    pub const BILL: &str = "bill";
    /// A merchant's order.
    pub const ORDER: &str = "order";
    /// An agent's deposit into the intermediary account.
    pub const DEPOSIT: &str = "deposit";
}

/// The scope under which an account's day of a product is counted.
#[must_use]
pub fn day_scope(product: &str) -> i16 {
    match product {
        product::BILL => BILL_DAY,
        product::ORDER => ORDER_DAY,
        product::DEPOSIT => DEPOSIT_DAY,
        _ => ACCOUNT_DAY,
    }
}

/// The scope of an account's day of bills.
pub const BILL_DAY: i16 = 3;
/// The scope of an account's day of orders.
pub const ORDER_DAY: i16 = 4;
/// The scope of an agent's day of deposits.
pub const DEPOSIT_DAY: i16 = 5;

/// The scope of an account's day of recharges: face value, delivered and open payments.
pub const ACCOUNT_DAY: i16 = 1;
/// The scope of what an account has paid in a day without its PIN: amounts and fees of all that was authorised so. Nothing is
/// given back, so that a stolen telephone cannot try for ever.
pub const WITHOUT_PIN: i16 = 2;

/// How much of a limit is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CounterRow {
    /// What.
    pub key: CounterKey,
    /// Face value used, minor units: delivered and open payments.
    pub used_minor: i64,
    /// Number of payments counted.
    pub payments: i64,
}

/// The latest payment of one account for one number and amount (DESIGN 6.4 point 2): refuses a second while the first
/// is open, and asks before an equal one soon after a delivery.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PairKey {
    /// The account.
    pub account: Id,
    /// What is paid.
    pub target: Target,
    /// Face value, minor units.
    pub amount_minor: i64,
}

/// The states of a pair.
pub mod pair {
    /// Nothing stands in the way of an equal payment.
    pub const NONE: i16 = 0;
    /// Its payment is open.
    pub const OPEN: i16 = 1;
    /// Its payment was delivered.
    pub const DELIVERED: i16 = 2;
}

/// See [`PairKey`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairRow {
    /// What.
    pub key: PairKey,
    /// The payment.
    pub payment: Id,
    /// See [`pair`].
    pub state: i16,
    /// When it was last delivered, microseconds.
    pub delivered_at: i64,
}

/// A payment with what the books say of it, for the audit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentCase {
    /// The payment.
    pub payment: PaymentRow,
    /// The answered commands of it.
    pub transfers: Vec<TransferRow>,
    /// The holds that those placed.
    pub holds: Vec<HoldRow>,
    /// The row of its [`PairKey`].
    pub pair: Option<PairRow>,
    /// Its steps, by version.
    pub events: Vec<EventRow>,
    /// Its requests to carriers, by number.
    pub attempts: Vec<AttemptRow>,
}

/// One thing that the database holds, shown to the audit in this order: all payments by id, all pending holds of no
/// payment, all pairs whose payment is not theirs, all payments that are wrong in the list of open ones, all counters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PaymentFact {
    /// A payment with what hangs on it.
    Payment(Box<PaymentCase>),
    /// A pending hold that was placed for no payment, or for one that does not exist.
    StrayHold(HoldRow),
    /// A pair that names no payment of this account, number and amount.
    StrayPair(PairRow),
    /// A payment whose place in the list of open payments is not what its row says.
    Mislisted(Id),
    /// A limit counter.
    Counter(CounterRow),
    /// A row of a table of [`record::AUDITED`], after everything else, table by table, by key.
    Record(record::Record),
}

/// Something that is shut for now (DESIGN 6.4 point 22).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SuspensionRow {
    /// "product", "carrier", "channel", "account" or "number".
    pub scope: String,
    /// Which.
    pub key: String,
    /// Since when, microseconds.
    pub since: i64,
}
