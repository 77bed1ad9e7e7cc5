//! The rows of the ledger as they are stored: plain values, no rules. `store` reads and writes them.
//!
//! Sign: an entry is positive when it credits the account. The entries of a transfer sum to zero per currency. Accounts
//! that hold what the house owns (float, funding, loss) therefore carry negative balances; [`Kind::is_asset`] turns
//! the sign for people.

use std::fmt;

use crate::money::Currency;
use crate::random;

/// A 128-bit id, version 7 of RFC 9562 when made by us: later ids sort after earlier ones.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// The id in its 36-character text form.
    #[must_use]
    pub fn text(self) -> String {
        uuid::Uuid::from_bytes(self.0).to_string()
    }

    /// Reads the 36-character (or 32-digit) text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(|u| Self(*u.as_bytes()))
    }

    /// A new id for the time `at` (microseconds since 1970) with random bits from the operating system.
    #[must_use]
    pub fn new(at: i64) -> Self {
        let mut bits = [0_u8; 10];
        if random::fill(&mut bits).is_err() {
            // Without randomness an id could repeat, and a repeated id could hide a payment: stop.
            std::process::abort();
        }
        let millis = u64::try_from(at / 1000).unwrap_or(0);
        Self(*uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid().as_bytes())
    }

    /// The id derived from this one for a named purpose, always the same for the same inputs: the hold of a payment,
    /// the posting of a hold. A retry therefore finds what the first try wrote.
    #[must_use]
    pub fn derived(self, purpose: &str) -> Self {
        use sha2::Digest;
        let mut hash = sha2::Sha256::new();
        hash.update(self.0);
        hash.update(purpose.as_bytes());
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        // The time bits stay, so that derived ids are stored near their payment.
        for (to, from) in bytes.iter_mut().zip(self.0.iter().take(6).chain(digest.iter())) {
            *to = *from;
        }
        Self(*uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Custom).into_uuid().as_bytes())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> serde::Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected an id"))
    }
}

/// What an account is for. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Kind {
    /// A customer's payment account: what we owe the customer.
    Customer = 1,
    /// Money paid in advance to a carrier.
    Float = 2,
    /// What a carrier lets us keep.
    Commission = 3,
    /// Fees paid by customers.
    Fee = 4,
    /// Tax owed.
    Tax = 5,
    /// Losses borne by the house.
    Loss = 6,
    /// Where customers' deposits come from (bank, cash).
    Funding = 7,
    /// Kept for others until an order or a charge ends.
    Intermediary = 8,
    /// What rates leave over.
    Rounding = 9,
    /// Owed to a biller.
    Biller = 10,
    /// A merchant's account: what we owe the merchant.
    Merchant = 11,
    /// Money at our bank.
    Bank = 12,
    /// What an outside account provider owes us.
    Receivable = 13,
    /// A tester's payment account: money that is none.
    TestCustomer = 14,
    /// The other side of it.
    TestHouse = 15,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Customer,
        Self::Float,
        Self::Commission,
        Self::Fee,
        Self::Tax,
        Self::Loss,
        Self::Funding,
        Self::Intermediary,
        Self::Rounding,
        Self::Biller,
        Self::Merchant,
        Self::Bank,
        Self::Receivable,
        Self::TestCustomer,
        Self::TestHouse,
    ];

    /// The kind of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.number() == number)
    }

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Whether it is of the test book: nothing moves between that and the live one.
    #[must_use]
    pub const fn is_test(self) -> bool {
        matches!(self, Self::TestCustomer | Self::TestHouse)
    }

    /// Whether it holds what the house owns, so that people read its balance with the sign turned.
    #[must_use]
    pub const fn is_asset(self) -> bool {
        matches!(self, Self::Float | Self::Loss | Self::Funding | Self::Bank | Self::Receivable)
    }
}

/// An account with its running totals.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountRow {
    /// Its id.
    pub id: Id,
    /// What it is for.
    pub kind: Kind,
    /// A name for people, unique among house accounts ("float:acme"); for customers empty.
    pub name: String,
    /// Its one currency.
    pub currency: Currency,
    /// `balance − held` may not be driven below this; `None` is unbounded.
    pub floor_minor: Option<i64>,
    /// Sum of all entries.
    pub balance_minor: i64,
    /// Sum of unresolved holds, those past their expiry included until they are swept.
    pub held_minor: i64,
    /// Number of entries; the next entry's `sequence` is this plus one.
    pub entries: i64,
    /// The transfer of the latest entry: where reading the account's history begins.
    pub last_transfer: Option<Id>,
    /// When it was opened, microseconds.
    pub opened_at: i64,
}

/// One answered command: a transfer, a hold, a resolution, or a stored refusal. Never updated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferRow {
    /// The command's id, made by whoever asked.
    pub id: Id,
    /// What was asked (see `ledger::Act`), as a number.
    pub act: i16,
    /// SHA-256 of the command's content.
    pub fingerprint: [u8; 32],
    /// 0 for done, otherwise the refusal's number.
    pub outcome: i16,
    /// A figure that belongs to the refusal (what was available).
    pub outcome_minor: i64,
    /// The hold or transfer that this one resolves or reverses.
    pub refers_to: Option<Id>,
    /// The payment that it belongs to.
    pub payment: Option<Id>,
    /// When it was committed, microseconds.
    pub at: i64,
}

/// One side of a transfer. Never updated or deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryRow {
    /// The account.
    pub account: Id,
    /// 1, 2, 3… without a gap in each account.
    pub sequence: i64,
    /// The transfer.
    pub transfer: Id,
    /// Credit positive, debit negative; never 0.
    pub amount_minor: i64,
    /// The account's balance after it.
    pub balance_after_minor: i64,
    /// The transfer of the account's entry before this one: the history is read along this chain. An index by account
    /// would cost a page for each entry, which is most of what a transfer costs.
    pub previous: Option<Id>,
}

/// A pending debit: what it reserves cannot be spent until it is posted, voided or expires.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HoldRow {
    /// The id of the command that placed it.
    pub id: Id,
    /// The account whose money is reserved.
    pub account: Id,
    /// Reserved, positive.
    pub amount_minor: i64,
    /// From this time on it no longer counts; `None` once a request has left on its strength.
    pub expires_at: Option<i64>,
    /// 0 pending, 1 posted, 2 voided, 3 expired.
    pub state: i16,
    /// The transfer that ended it.
    pub resolved_by: Option<Id>,
}

/// An answered command with everything that hangs on it, for the audit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Case {
    /// The command.
    pub transfer: TransferRow,
    /// Its entries.
    pub entries: Vec<EntryRow>,
    /// The hold that it placed.
    pub hold: Option<HoldRow>,
    /// The commands that refer to it, each with its entries.
    pub referring: Vec<(TransferRow, Vec<EntryRow>)>,
}

/// One thing that the database holds, shown to the audit in this order: all accounts, all entries by account and
/// sequence, all pending holds, all cases by id, all orphans.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// An account.
    Account(AccountRow),
    /// An entry, in the chain of its account.
    Chain(EntryRow),
    /// An unresolved hold.
    Pending(HoldRow),
    /// A command with what hangs on it.
    Case(Case),
    /// A row whose transfer does not exist.
    Orphan {
        /// Where the row is.
        table: &'static str,
        /// Its transfer's id, or its own.
        id: Id,
    },
}
