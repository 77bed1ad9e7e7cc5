//! What the operator decides about payments of one market, already checked. `config` makes it; nothing here
//! reads files.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::connector::pace::Limits;
use crate::money::{AMOUNT_MAX_MINOR, Currency};
use crate::payment::alarm;
use crate::payment::answer::Channel;
use crate::payment::ask;
use crate::payment::assurance::Policy;
use crate::payment::bill::Directory;
use crate::payment::binding::IdentityRules;
use crate::payment::charge::Terms;
use crate::payment::day::Statements;
use crate::payment::pin::Profile;
use crate::payment::provider::Providers;
use crate::payment::receipt;
use crate::payment::receipt::ReceiptText;
use crate::payment::tax::FeeTax;
use crate::payment::tier::Tiers;
use crate::payment::upkeep::Upkeep;

/// How long a queued SMS may wait to leave, unless the operator says otherwise: a day.
pub const SMS_VALIDITY: Duration = Duration::from_secs(24 * 3_600);

/// One market's rules.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one currency.
    pub currency: Currency,
    /// Whose midnight begins a day.
    pub zone: TimeZone,
    /// S13: an account's recharges a day, minor units of face value.
    pub day_limit_minor: i64,
    /// One recharge, minor units of face value.
    pub payment_limit_minor: i64,
    /// An equal recharge this soon after a delivery is asked about first; by text message see
    /// [`Settings::duplicate_window_on`].
    pub duplicate_window: Duration,
    /// How long a caller is kept waiting for a definite answer.
    pub answer_within: Duration,
    /// A recharge that a carrier refused for a reason of its own is tried with the next one only so long after it was
    /// authorised.
    pub failover_within: Duration,
    /// A hold whose request never left is free again after this time.
    pub hold_expiry: Duration,
    /// Waiting times before the first, second… status query; after the last a person must look.
    pub status_schedule: Vec<Duration>,
    /// How often due work is looked for.
    pub poll_every: Duration,
    /// The result SMS that payment itself queues waits this long for a better one of the conversation's.
    pub sms_grace: Duration,
    /// A queued SMS that could not leave for this long is not sent any more.
    pub sms_validity: Duration,
    /// Whether no other node works on this database: then everything left in the middle is taken up at start,
    /// at once.
    pub sole_node: bool,
    /// What a result SMS says.
    pub receipt: ReceiptText,
    /// Times and limits of charging through the intermediary account.
    pub charging: Terms,
    /// PINs.
    pub pin: PinSettings,
    /// Who issues bills.
    pub billers: Directory,
    /// An account's bills a day, minor units of face value.
    pub bill_day_limit_minor: i64,
    /// One payment of a bill, minor units of face value.
    pub bill_payment_limit_minor: i64,
    /// Whether webhooks may go to private networks and over plain HTTP: for tests and trials only.
    pub webhooks_private: bool,
    /// The most of one order, minor units.
    pub order_limit_minor: i64,
    /// The most that an account pays for orders in a day, minor units.
    pub order_day_limit_minor: i64,
    /// Codes, bindings, and what follows from a change of them.
    pub identity: IdentityRules,
    /// What an action of an amount needs of a caller.
    pub policy: Policy,
    /// What staff may do alone.
    pub staff: StaffSettings,
    /// Tax that fees contain.
    pub fee_tax: FeeTax,
    /// What staff are told of.
    pub alarms: alarm::Rules,
    /// What is shut when, what is kept how long, and how the house opens after a restore.
    pub upkeep: Upkeep,
    /// Who holds accounts outside.
    pub providers: Providers,
    /// How merchants may ask their customers.
    pub asks: ask::Rules,
    /// How many requests one key of the API may make.
    pub api: Limits,
    /// What the close of a day wants of statements.
    pub statements: Statements,
    /// The language of whoever chose none.
    pub language: String,
}

/// Rules for staff.
#[derive(Clone, Debug)]
pub struct StaffSettings {
    /// What moves more than this needs a second person, minor units.
    pub alone_minor: i64,
    /// How long a proposal waits for him.
    pub proposal_validity: Duration,
    /// How much accounts may hold.
    pub tiers: Tiers,
}

impl Default for StaffSettings {
    fn default() -> Self {
        Self {
            alone_minor: 100_000,
            proposal_validity: Duration::from_secs(3 * 24 * 3_600),
            tiers: Tiers::default(),
        }
    }
}

/// Rules for PINs.
#[derive(Clone, Debug)]
pub struct PinSettings {
    /// Fewest digits.
    pub digits_min: usize,
    /// Most digits.
    pub digits_max: usize,
    /// Wrong tries in a row before it locks.
    pub tries_max: i32,
    /// Waiting time after the second wrong try; doubles with each further one.
    pub delay: Duration,
    /// Cost of a check.
    pub profile: Profile,
    /// Checks at once; with 0 each is done in place, which keeps everything else waiting: for simulations.
    pub pool: usize,
    /// Checks waiting; more are refused as busy.
    pub queue_max: usize,
    /// The most that is paid by text message without a PIN, amount and fee together, minor units; 0 for never.
    pub sms_without_pin_minor: i64,
    /// The most that an account pays so in a day, amounts and fees, minor units. What was refused afterwards counts too.
    pub sms_without_pin_day_minor: i64,
}

/// An equal recharge by text message this soon after a delivery is asked about first (DESIGN 6.4 point 14): a message may
/// be delivered late, or twice, or be sent again by a phone that was out of reach.
pub const SMS_DUPLICATE_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Settings {
    /// How soon after a delivery an equal recharge is asked about first, on a channel.
    #[must_use]
    pub fn duplicate_window_on(&self, channel: Channel) -> Duration {
        match channel {
            Channel::Sms => self.duplicate_window.max(SMS_DUPLICATE_WINDOW),
            Channel::Voice | Channel::Ussd | Channel::Http => self.duplicate_window,
        }
    }

    /// The demo's market: CNY, Shanghai, 2000 a day, PINs of 4 to 8 digits.
    #[must_use]
    pub fn demo(currency: Currency) -> Self {
        let seconds = Duration::from_secs;
        Self {
            currency,
            zone: TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC),
            day_limit_minor: 200_000,
            payment_limit_minor: 50_000,
            duplicate_window: seconds(600),
            answer_within: seconds(8),
            failover_within: seconds(120),
            hold_expiry: seconds(600),
            status_schedule: [5, 15, 60, 300, 900, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400]
                .map(seconds)
                .to_vec(),
            poll_every: seconds(1),
            sms_grace: seconds(20),
            sms_validity: SMS_VALIDITY,
            sole_node: true,
            receipt: receipt::plain,
            charging: Terms::default(),
            pin: PinSettings::default(),
            webhooks_private: false,
            order_limit_minor: AMOUNT_MAX_MINOR,
            order_day_limit_minor: i64::MAX,
            staff: StaffSettings::default(),
            fee_tax: FeeTax::default(),
            alarms: alarm::Rules::default(),
            upkeep: Upkeep::default(),
            billers: Directory::default(),
            bill_day_limit_minor: 1_000_000,
            bill_payment_limit_minor: 500_000,
            identity: IdentityRules::default(),
            policy: Policy::default(),
            providers: Providers::default(),
            asks: ask::Rules::default(),
            api: Limits::default(),
            statements: Statements::default(),
            language: "en".to_owned(),
        }
    }
}

impl Default for PinSettings {
    fn default() -> Self {
        Self {
            digits_min: 4,
            digits_max: 8,
            tries_max: 5,
            delay: Duration::from_secs(1),
            profile: Profile::Standard,
            pool: 2,
            queue_max: 256,
            sms_without_pin_minor: 0,
            sms_without_pin_day_minor: 0,
        }
    }
}
