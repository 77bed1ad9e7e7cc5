//! What a conversation asks of the payment core and what it hears: the values that cross between `session`
//! (or HTTP) and `payment`. Refusals are values here, never errors. Nothing in this file decides anything.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::PaymentRow;
use crate::secret::Secret;

/// Where a request comes from. The number is what a payment's row stores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Channel {
    /// A telephone call.
    Voice = 1,
    /// A USSD dialogue.
    Ussd = 2,
    /// An SMS thread.
    Sms = 3,
    /// The HTTP API or the web page.
    Http = 4,
}

impl Channel {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Its name as suspensions and logs spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Ussd => "ussd",
            Self::Sms => "sms",
            Self::Http => "http",
        }
    }
}

/// Answer of `caller.identify()`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Identity {
    /// The caller's number pays from this account.
    Bound {
        /// The account.
        account: Id,
    },
    /// A mobile number that no account is bound to.
    Unbound {
        /// The number.
        phone: Msisdn,
    },
    /// No number, one that is not believed, or not a mobile one.
    NoNumber,
}

/// Answer of `topup.route(phone)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// A carrier recharges this number.
    Ok {
        /// The connector.
        carrier: String,
        /// Designated amounts, minor units, ascending.
        amounts_minor: Vec<i64>,
    },
    /// A carrier recharges this number with any step from the least to the most.
    Range {
        /// The connector.
        carrier: String,
        /// Minor units.
        least_minor: i64,
        /// Minor units.
        most_minor: i64,
        /// Between two amounts, counted from the least, minor units.
        step_minor: i64,
    },
    /// No carrier offers direct recharge for this number's operator and area.
    NotSupported,
    /// Not a mobile number of the numbering plan.
    BadNumber,
}

/// Answer of `payment.quote(phone, amount, repeat)`: what paying would answer now. Advisory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Quote {
    /// It would be taken.
    Ok {
        /// Added to the amount.
        fee_minor: i64,
        /// Amount and fee.
        total_minor: i64,
    },
    /// Not one of the designated amounts (S12).
    NotDesignated,
    /// Over the per-payment limit.
    PaymentLimit {
        /// The limit.
        limit_minor: i64,
    },
    /// Over the day's limit (S13).
    DayLimit {
        /// The limit.
        limit_minor: i64,
        /// What may still be recharged today.
        left_minor: i64,
        /// Whether any designated amount fits what is left.
        fits: bool,
    },
    /// Over the customer's own limit (S14).
    UserLimit {
        /// The limit.
        limit_minor: i64,
        /// What may still be recharged under it.
        left_minor: i64,
        /// Whether any designated amount fits what is left.
        fits: bool,
    },
    /// The account holds too little.
    Insufficient {
        /// What is available.
        left_minor: i64,
    },
    /// An equal recharge was delivered a short time ago; say `repeat` to do it again.
    Duplicate {
        /// When the first one was delivered, microseconds.
        first_at: i64,
        /// How long ago, whole minutes, at least 1.
        minutes_ago: i64,
        /// The fee, as for a new one.
        fee_minor: i64,
    },
    /// An equal recharge is under way.
    StillProcessing,
    /// No carrier for this number, or not a number: `topup.route` says which.
    NoRoute,
    /// The account, product, carrier, channel or number is shut for now.
    Suspended,
}

/// How a payment is vouched for.
#[derive(Clone, Debug)]
pub enum Pin {
    /// As keyed.
    Typed(Secret),
    /// None: the caller confirmed by a text message, over a route that is trusted for his number. Taken for small amounts
    /// only; otherwise the answer is [`PayOutcome::PinNeeded`].
    Waived,
}

/// What `recharge.pay` is asked to do.
#[derive(Clone, Debug)]
pub struct PayRequest {
    /// Made before anything is asked, one for each time the caller confirms. The same id again answers the
    /// same and never pays twice; another content under the same id is an error.
    pub id: Id,
    /// Who pays.
    pub account: Id,
    /// The caller's number, if it is believed. Gets the SMS.
    pub caller: Option<Msisdn>,
    /// The channel.
    pub channel: Channel,
    /// The number to recharge.
    pub phone: Msisdn,
    /// Face value, minor units.
    pub amount_minor: i64,
    /// The PIN, or none.
    pub pin: Pin,
    /// The caller said "do it again".
    pub repeat: bool,
}

/// A bill as its biller answers for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BillFound {
    /// The biller's name.
    pub biller: String,
    /// Whose bill it is, masked.
    pub name: String,
    /// Where, masked.
    pub address: String,
    /// What is due, minor units.
    pub amount_minor: i64,
    /// The least that may be paid, minor units.
    pub least_minor: i64,
    /// The most that may be paid, minor units.
    pub most_minor: i64,
    /// Added to what is paid, minor units.
    pub fee_minor: i64,
    /// When it is due, days since 1970-01-01.
    pub due: Option<i64>,
}

/// Answer of `bill.inquire`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BillAnswer {
    /// It may be paid.
    Found(BillFound),
    /// No biller of this code.
    NoBiller,
    /// No bill of this biller can have this number.
    BadNumber,
    /// The biller has no such bill.
    NotFound,
    /// It is paid.
    AlreadyPaid,
    /// It cannot be paid any more.
    Expired,
    /// The biller gave no answer that may be shown.
    Down,
}

/// What `bill.pay` is asked to do.
#[derive(Clone, Debug)]
pub struct BillRequest {
    /// As [`PayRequest::id`].
    pub id: Id,
    /// Who pays.
    pub account: Id,
    /// The caller's number, if it is believed. Gets the SMS.
    pub caller: Option<Msisdn>,
    /// The channel.
    pub channel: Channel,
    /// The biller's code.
    pub biller: String,
    /// The bill's number.
    pub number: String,
    /// What the caller confirmed, minor units.
    pub amount_minor: i64,
    /// The fee that the caller confirmed, minor units.
    pub fee_minor: i64,
    /// The PIN, or none.
    pub pin: Pin,
}

/// Answer of `recharge.pay`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PayOutcome {
    /// The carrier recharged the number; the money is posted.
    Delivered {
        /// Short reference for the caller.
        receipt: String,
    },
    /// Not known yet: the money is held, and an SMS will tell.
    Pending {
        /// Short reference for the caller.
        receipt: String,
    },
    /// The PIN was wrong.
    WrongPin {
        /// Tries left before it locks.
        left: i32,
    },
    /// The PIN is locked, or was never set.
    Locked,
    /// This much is not paid without a PIN: ask for it. Nothing was done.
    PinNeeded,
    /// Over the per-payment limit.
    PaymentLimit {
        /// The limit.
        limit_minor: i64,
    },
    /// Over the day's limit (S13).
    DayLimit {
        /// The limit.
        limit_minor: i64,
        /// What may still be recharged today.
        left_minor: i64,
        /// Whether any designated amount fits what is left.
        fits: bool,
    },
    /// Over the customer's own limit (S14).
    UserLimit {
        /// The limit.
        limit_minor: i64,
        /// What may still be recharged under it.
        left_minor: i64,
        /// Whether any designated amount fits what is left.
        fits: bool,
    },
    /// The account holds too little.
    Insufficient {
        /// What is available.
        left_minor: i64,
    },
    /// An equal recharge was delivered a short time ago.
    Duplicate {
        /// When, microseconds.
        first_at: i64,
        /// How long ago, whole minutes, at least 1.
        minutes_ago: i64,
        /// The fee, as for a new one.
        fee_minor: i64,
    },
    /// An equal recharge is under way.
    StillProcessing,
    /// Refused for certain; the money is free again.
    Refused {
        /// The class that the spoken message hangs on, such as `bad_number` or `carrier_down`.
        class: String,
    },
    /// The account, product, carrier, channel or number is shut for now.
    Suspended,
}

impl PayOutcome {
    /// The name of the outcome as dialplans spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Pending { .. } => "pending",
            Self::WrongPin { .. } => "wrong_pin",
            Self::Locked => "locked",
            Self::PinNeeded => "pin_needed",
            Self::PaymentLimit { .. } => "payment_limit",
            Self::DayLimit { .. } => "day_limit",
            Self::UserLimit { .. } => "user_limit",
            Self::Insufficient { .. } => "insufficient",
            Self::Duplicate { .. } => "duplicate",
            Self::StillProcessing => "still_processing",
            Self::Refused { .. } => "refused",
            Self::Suspended => "suspended",
        }
    }
}

/// What a carrier's callback is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackReply {
    /// HTTP status.
    pub status: u16,
    /// Body, `application/json`.
    pub body: String,
}

/// A payment whose state has just become final or unknown, for consoles and waiting sessions.
#[derive(Clone, Debug)]
pub struct Change {
    /// The payment as it now stands.
    pub payment: PaymentRow,
}
