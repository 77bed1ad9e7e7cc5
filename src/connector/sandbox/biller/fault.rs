//! What the sandbox biller does wrong on purpose, by the last three digits of the bill's number. Pure.

/// What happens when a bill is asked for or paid.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// No such bill.
    NotFound,
    /// The inquiry says that it is paid.
    Paid,
    /// The inquiry says that it is expired.
    Expired,
    /// The inquiry is answered 503 without a signature.
    Down,
    /// The inquiry is never answered.
    Mute,
    /// The inquiry's signature is wrong.
    Forged,
    /// The inquiry is answered for another bill.
    OtherBill,
    /// The inquiry is answered in another currency.
    OtherCurrency,
    /// The inquiry's answer is signed for an hour ago.
    Replayed,
    /// The inquiry's quote holds for one second.
    ShortQuote,
    /// Any part of it may be paid.
    Part,
    /// More than is due may be paid.
    Over,
    /// The payment is refused with this code, and by whom the bill was paid.
    Refuse(&'static str, Whose),
    /// Paid, answered late but in time.
    Slow,
    /// Answered "pending", paid later, callback.
    Later,
    /// Answered "pending", refused later, callback.
    LaterRefused,
    /// Answered "pending", paid later, no callback.
    LaterSilent,
    /// Answered "pending", never anything else.
    PendingForever,
    /// Paid, never answered.
    TimeoutAfter,
    /// Not taken, never answered.
    TimeoutBefore,
    /// Paid, then the connection is reset.
    ResetAfter,
    /// Not taken, the connection is reset.
    ResetBefore,
    /// Paid, answered 500.
    ErrorAfter,
    /// Not taken, answered 500.
    ErrorBefore,
    /// Paid, answered with something that is no JSON.
    Garbage,
    /// Paid, answered with another amount.
    WrongAmount,
    /// Paid, answered for another bill.
    WrongBill,
    /// Paid, five callbacks at once.
    DuplicateCallbacks,
    /// Paid, never answered; asked again it says "already paid", by our reference.
    PaidByOurs,
    /// Paid, the callback overtakes the answer.
    CallbackFirst,
    /// Paid, later taken back, callback.
    Reversed,
}

/// By whose payment a bill is paid, as the biller tells it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Whose {
    /// It does not say.
    Silent,
    /// By nobody's.
    Nobody,
    /// By another payment than the one that asks.
    Another,
}

/// Last three digits of a bill's number, what it does, in words.
pub const FAULTS: &[(&str, &str)] = &[
    ("801", "inquiry: no such bill"),
    ("802", "inquiry: already paid"),
    ("803", "inquiry: expired"),
    ("804", "inquiry: out of service"),
    ("805", "inquiry: never answered"),
    ("806", "inquiry: wrong signature"),
    ("807", "inquiry: answered for another bill"),
    ("808", "inquiry: answered in another currency"),
    ("809", "inquiry: an old answer, replayed"),
    ("810", "inquiry: a quote that holds for one second"),
    ("811", "any part of it may be paid"),
    ("812", "more than is due may be paid"),
    ("901", "already paid by another payment"),
    ("902", "already paid, nobody says by which payment"),
    ("903", "expired, paid by nobody"),
    ("904", "expired, nobody says whether by this payment"),
    ("905", "changed since the quote"),
    ("906", "refused with a code that the connector does not know (unknown)"),
    ("907", "refused: out of service"),
    ("910", "paid, answered slowly but in time"),
    ("911", "pending, paid later, callback"),
    ("912", "pending, refused later, callback"),
    ("913", "pending, paid later, no callback"),
    ("914", "pending for ever"),
    ("920", "paid, never answered"),
    ("921", "not taken, never answered"),
    ("922", "paid, connection reset"),
    ("923", "not taken, connection reset"),
    ("924", "paid, answered 500"),
    ("925", "not taken, answered 500"),
    ("926", "paid, answered with garbage"),
    ("928", "paid, answered with another amount"),
    ("929", "paid, answered for another bill"),
    ("940", "paid, five callbacks at once"),
    ("941", "paid, never answered; asked again: already paid, by our reference"),
    ("942", "paid, the callback overtakes the answer"),
    ("943", "paid, later taken back, callback"),
];

impl Fault {
    /// The fault of a bill.
    #[must_use]
    pub fn of(number: &str) -> Self {
        let tail = number.get(number.len().saturating_sub(3)..).unwrap_or_default();
        match tail {
            "801" => Self::NotFound,
            "802" => Self::Paid,
            "803" => Self::Expired,
            "804" => Self::Down,
            "805" => Self::Mute,
            "806" => Self::Forged,
            "807" => Self::OtherBill,
            "808" => Self::OtherCurrency,
            "809" => Self::Replayed,
            "810" => Self::ShortQuote,
            "811" => Self::Part,
            "812" => Self::Over,
            "901" => Self::Refuse("PAID", Whose::Another),
            "902" => Self::Refuse("PAID", Whose::Silent),
            "903" => Self::Refuse("EXPIRED", Whose::Nobody),
            "904" => Self::Refuse("EXPIRED", Whose::Silent),
            "905" => Self::Refuse("CHANGED", Whose::Nobody),
            "906" => Self::Refuse("E4711", Whose::Silent),
            "907" => Self::Refuse("DOWN", Whose::Nobody),
            "910" => Self::Slow,
            "911" => Self::Later,
            "912" => Self::LaterRefused,
            "913" => Self::LaterSilent,
            "914" => Self::PendingForever,
            "920" => Self::TimeoutAfter,
            "921" => Self::TimeoutBefore,
            "922" => Self::ResetAfter,
            "923" => Self::ResetBefore,
            "924" => Self::ErrorAfter,
            "925" => Self::ErrorBefore,
            "926" => Self::Garbage,
            "928" => Self::WrongAmount,
            "929" => Self::WrongBill,
            "940" => Self::DuplicateCallbacks,
            "941" => Self::PaidByOurs,
            "942" => Self::CallbackFirst,
            "943" => Self::Reversed,
            _ => Self::None,
        }
    }

    /// Whether the biller takes the payment at all.
    #[must_use]
    pub const fn is_taken(self) -> bool {
        !matches!(self, Self::TimeoutBefore | Self::ResetBefore | Self::ErrorBefore)
    }

    /// The state in which the biller writes the payment at once, and its code.
    #[must_use]
    pub const fn first_state(self) -> (&'static str, &'static str) {
        match self {
            Self::Refuse(code, _) => ("refused", code),
            Self::Later | Self::LaterRefused | Self::LaterSilent | Self::PendingForever => {
                ("accepted", "PENDING")
            }
            _ => ("delivered", "BOOKED"),
        }
    }

    /// The state that follows after a while, and its code.
    #[must_use]
    pub const fn later_state(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Later | Self::LaterSilent => Some(("delivered", "BOOKED")),
            Self::LaterRefused => Some(("refused", "REFUSED")),
            Self::Reversed => Some(("reversed", "REVERSED")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_has_a_fault() {
        for (suffix, _) in FAULTS {
            assert_ne!(Fault::of(&format!("8000{suffix}")), Fault::None, "{suffix}");
        }
        assert_eq!(Fault::of("8000001"), Fault::None);
        assert_eq!(Fault::of(""), Fault::None);
    }
}
