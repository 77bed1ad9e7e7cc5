//! What the sandbox account provider does wrong on purpose, by the last three digits of the customer's account. Pure.

use crate::connector::provider::Operation;

/// How one request goes wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wrong {
    /// Done, answered late but in time.
    Slow,
    /// Done, never answered.
    MuteAfter,
    /// Not done, never answered.
    MuteBefore,
    /// Done, the connection is reset.
    ResetAfter,
    /// Not done, the connection is reset.
    ResetBefore,
    /// Done, answered 500.
    ErrorAfter,
    /// Not done, answered 500.
    ErrorBefore,
    /// Done, answered with something that is no JSON.
    Garbage,
    /// Done, answered with another amount.
    Amount,
    /// Answered in another currency.
    Currency,
    /// Never answered, and done later, when nobody waits any more.
    Late,
    /// Refused with this code.
    Refuse(&'static str),
    /// Answered "pending", done later.
    Pending,
    /// Answered "pending", refused later.
    PendingRefused,
    /// Answered "pending", never anything else.
    PendingForever,
    /// More is done than was asked: what was to be reserved is taken.
    Takes,
    /// Done, and undone by itself later: a reservation expires.
    Expires,
}

/// Goes wrong for the first requests of an operation of one reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Which operation.
    pub operation: Operation,
    /// How.
    pub wrong: Wrong,
    /// For so many requests; the next is done right.
    pub times: u32,
}

/// For ever.
const ALWAYS: u32 = u32::MAX;

/// Last three digits of an account, what it does, in words.
pub const FAULTS: &[(&str, Fault, &str)] = &[
    ("901", reserve(Wrong::Refuse("NO_MONEY")), "reserve: refused, not enough money"),
    ("902", reserve(Wrong::Refuse("BLOCKED")), "reserve: refused, the account is blocked"),
    ("903", reserve(Wrong::Pending), "reserve: pending, reserved later"),
    ("904", reserve(Wrong::PendingForever), "reserve: pending for ever"),
    ("905", reserve(Wrong::PendingRefused), "reserve: pending, refused later"),
    ("906", reserve(Wrong::Refuse("E4711")), "reserve: a code that the connector does not know (unknown)"),
    ("910", reserve(Wrong::Slow), "reserve: answered slowly but in time"),
    ("920", reserve(Wrong::MuteAfter), "reserve: done, never answered"),
    ("921", reserve(Wrong::MuteBefore), "reserve: not done, never answered"),
    ("922", reserve(Wrong::ResetAfter), "reserve: done, connection reset"),
    ("923", reserve(Wrong::ResetBefore), "reserve: not done, connection reset"),
    ("924", reserve(Wrong::ErrorAfter), "reserve: done, answered 500"),
    ("925", reserve(Wrong::ErrorBefore), "reserve: not done, answered 500"),
    ("926", reserve(Wrong::Garbage), "reserve: done, answered with garbage"),
    ("927", reserve(Wrong::Amount), "reserve: done, answered with another amount"),
    ("928", reserve(Wrong::Late), "reserve: never answered, done later"),
    ("930", first(Operation::Capture, Wrong::MuteAfter, 1), "capture: done, never answered"),
    ("931", first(Operation::Capture, Wrong::ErrorBefore, 3), "capture: three times not done, answered 500"),
    (
        "932",
        first(Operation::Capture, Wrong::Refuse("EXPIRED"), 3),
        "capture: three times refused, then done",
    ),
    ("933", first(Operation::Capture, Wrong::ResetAfter, 1), "capture: done, connection reset"),
    ("934", first(Operation::Capture, Wrong::Garbage, 1), "capture: done, answered with garbage"),
    ("935", first(Operation::Capture, Wrong::MuteBefore, 1), "capture: not done, never answered"),
    ("936", first(Operation::Capture, Wrong::Refuse("EXPIRED"), ALWAYS), "capture: refused for ever"),
    ("940", first(Operation::Release, Wrong::MuteAfter, 1), "release: done, never answered"),
    ("941", first(Operation::Release, Wrong::ErrorBefore, 3), "release: three times not done, answered 500"),
    ("942", first(Operation::Release, Wrong::Refuse("BUSY"), 3), "release: three times refused, then done"),
    ("943", first(Operation::Release, Wrong::ResetAfter, 1), "release: done, connection reset"),
    ("950", reserve(Wrong::Takes), "reserve: the money is taken at once, answered 500"),
    ("951", reserve(Wrong::Expires), "reserve: done, and given up by the provider a little later"),
    ("960", first(Operation::Status, Wrong::ErrorBefore, 3), "status: three times answered 500"),
    ("970", first(Operation::Refund, Wrong::MuteAfter, 1), "refund: done, never answered"),
    ("971", first(Operation::Refund, Wrong::ErrorBefore, 3), "refund: three times not done, answered 500"),
];

/// Last three digits of an account, how the question about its balance goes wrong, in words.
pub const BALANCE_FAULTS: &[(&str, Wrong, &str)] = &[
    ("980", Wrong::MuteBefore, "balance: never answered"),
    ("981", Wrong::ErrorBefore, "balance: answered 500"),
    ("982", Wrong::Garbage, "balance: answered with garbage"),
    ("983", Wrong::Currency, "balance: told in another currency"),
    ("984", Wrong::Slow, "balance: answered slowly but in time"),
    ("985", Wrong::Refuse("NO_ACCOUNT"), "balance: no such account"),
    ("986", Wrong::ResetBefore, "balance: connection reset"),
    ("987", Wrong::Refuse("LATER"), "balance: not told now"),
];

/// What goes wrong with the provider's own messages. Reservations of such accounts are answered "pending" and decided later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WrongNews {
    /// Only the message tells: whoever asks hears "pending" as long as it is reserved.
    Only,
    /// Each message three times.
    Thrice,
    /// After each message the one before it once more.
    Reordered,
    /// With a signature that does not hold.
    Unsigned,
    /// Each message also of a reference that nobody knows.
    Stranger,
    /// With another amount.
    Amount,
    /// None at all.
    None,
}

/// Last three digits of an account, what goes wrong with messages about it, in words.
pub const NEWS_FAULTS: &[(&str, WrongNews, &str)] = &[
    ("990", WrongNews::Only, "callbacks: nothing but them tells that it is reserved"),
    ("991", WrongNews::Thrice, "callbacks: each three times"),
    ("992", WrongNews::Reordered, "callbacks: after each the one before it once more"),
    ("993", WrongNews::Unsigned, "callbacks: with a signature that does not hold"),
    ("994", WrongNews::Stranger, "callbacks: each also of a reference that nobody knows"),
    ("995", WrongNews::Amount, "callbacks: with another amount"),
    ("996", WrongNews::None, "callbacks: none"),
];

impl WrongNews {
    /// What goes wrong with messages about an account.
    #[must_use]
    pub fn of(account: &str) -> Option<Self> {
        let tail = account.get(account.len().saturating_sub(3)..).unwrap_or_default();
        NEWS_FAULTS.iter().find(|(suffix, ..)| *suffix == tail).map(|(_, wrong, _)| *wrong)
    }
}

const fn reserve(wrong: Wrong) -> Fault {
    first(Operation::Reserve, wrong, ALWAYS)
}

const fn first(operation: Operation, wrong: Wrong, times: u32) -> Fault {
    Fault { operation, wrong, times }
}

impl Fault {
    /// The fault of an account, if it has one.
    #[must_use]
    pub fn of(account: &str) -> Option<Self> {
        let tail = account.get(account.len().saturating_sub(3)..).unwrap_or_default();
        FAULTS.iter().find(|(suffix, ..)| *suffix == tail).map(|(_, fault, _)| *fault)
    }
}

impl Wrong {
    /// How the question about an account's balance goes wrong.
    #[must_use]
    pub fn of_balance(account: &str) -> Option<Self> {
        let tail = account.get(account.len().saturating_sub(3)..).unwrap_or_default();
        BALANCE_FAULTS.iter().find(|(suffix, ..)| *suffix == tail).map(|(_, wrong, _)| *wrong)
    }

    /// Whether what is asked is done before the answer.
    #[must_use]
    pub const fn is_done(self) -> bool {
        !matches!(
            self,
            Self::MuteBefore
                | Self::ResetBefore
                | Self::ErrorBefore
                | Self::Late
                | Self::Refuse(_)
                | Self::Pending
                | Self::PendingRefused
                | Self::PendingForever
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_found_and_is_alone() {
        for (suffix, fault, _) in FAULTS {
            assert_eq!(Fault::of(&format!("w-1000{suffix}")), Some(*fault), "{suffix}");
        }
        for (suffix, wrong, _) in BALANCE_FAULTS {
            assert_eq!(Wrong::of_balance(&format!("w-1000{suffix}")), Some(*wrong), "{suffix}");
            assert_eq!(Fault::of(&format!("w-1000{suffix}")), None, "{suffix} is taken twice");
        }
        for (suffix, wrong, _) in NEWS_FAULTS {
            let account = format!("w-1000{suffix}");
            assert_eq!(WrongNews::of(&account), Some(*wrong), "{suffix}");
            assert_eq!((Fault::of(&account), Wrong::of_balance(&account)), (None, None), "{suffix}");
        }
        assert_eq!(Wrong::of_balance("w-1000001"), None);
        assert_eq!(Fault::of("w-1000001"), None);
        assert_eq!(Fault::of(""), None);
    }
}
