//! What the sandbox carrier does wrong on purpose, and when: by the last digits of the number, or by chance
//! from a seed. Pure.

use crate::msisdn::Msisdn;

/// What happens to one recharge.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// Delivered at once.
    None,
    /// Refused at once with this code.
    Refuse(&'static str),
    /// Delivered, answered late but in time.
    Slow,
    /// Answered "pending", delivered later, callback.
    Later,
    /// Answered "pending", refused later, callback.
    LaterRefused,
    /// Answered "pending", delivered later, no callback.
    LaterSilent,
    /// Answered "pending", never anything else.
    PendingForever,
    /// Delivered, never answered.
    TimeoutAfter,
    /// Not taken, never answered.
    TimeoutBefore,
    /// Delivered, then the connection is reset.
    ResetAfter,
    /// Not taken, the connection is reset.
    ResetBefore,
    /// Delivered, answered 500.
    ErrorAfter,
    /// Not taken, answered 500.
    ErrorBefore,
    /// Delivered, answered with something that is no JSON.
    Garbage,
    /// Delivered, answered 200 without a body.
    Empty,
    /// Delivered, answered with another amount.
    WrongAmount,
    /// Delivered, answered with another number.
    WrongNumber,
    /// Delivered, answered without end.
    Endless,
    /// Delivered, five callbacks at once.
    DuplicateCallbacks,
    /// Delivered, no answer in time, one callback long after.
    LateCallback,
    /// Delivered, the callback overtakes the answer.
    CallbackFirst,
    /// Delivered, later reversed, callback.
    Reversed,
    /// Delivered, then a callback that says refused.
    RefusedAfterDelivered,
    /// Refused, then a callback that says delivered.
    DeliveredAfterRefused,
    /// Delivered, never answered, and the first status queries say "not found".
    NotFoundFirst,
}

/// Last three digits of a number, what it does, in words.
pub const FAULTS: &[(&str, &str)] = &[
    ("901", "refused: not a number that can be recharged"),
    ("902", "refused: subscriber barred"),
    ("903", "refused: our prepaid balance is too low"),
    ("904", "refused: carrier out of service"),
    ("905", "refused: product not available"),
    ("906", "refused: with a code that the connector does not know (unknown)"),
    ("910", "delivered, answered slowly but in time"),
    ("911", "pending, delivered later, callback"),
    ("912", "pending, refused later, callback"),
    ("913", "pending, delivered later, no callback"),
    ("914", "pending for ever"),
    ("920", "delivered, never answered"),
    ("921", "not taken, never answered"),
    ("922", "delivered, connection reset"),
    ("923", "not taken, connection reset"),
    ("924", "delivered, answered 500"),
    ("925", "not taken, answered 500"),
    ("926", "delivered, answered with garbage"),
    ("927", "delivered, answered with no body"),
    ("928", "delivered, answered with another amount"),
    ("929", "delivered, answered with another number"),
    ("930", "delivered, answered with a body without end"),
    ("940", "delivered, five callbacks at once"),
    ("941", "delivered, never answered, one callback long after"),
    ("942", "delivered, the callback overtakes the answer"),
    ("943", "delivered, later reversed, callback"),
    ("944", "delivered, then a callback that says refused"),
    ("945", "refused, then a callback that says delivered"),
    ("946", "delivered, never answered, and the first status queries say not found"),
];

impl Fault {
    /// Every fault that chance may choose.
    pub const BY_CHANCE: &[Self] = &[
        Self::Refuse("BARRED"),
        Self::Slow,
        Self::Later,
        Self::LaterRefused,
        Self::LaterSilent,
        Self::TimeoutAfter,
        Self::TimeoutBefore,
        Self::ResetAfter,
        Self::ResetBefore,
        Self::ErrorAfter,
        Self::ErrorBefore,
        Self::Garbage,
        Self::Empty,
        Self::DuplicateCallbacks,
        Self::CallbackFirst,
    ];

    /// The fault of a number.
    #[must_use]
    pub fn of(phone: &Msisdn) -> Self {
        let digits = phone.digits();
        let tail = digits.get(digits.len().saturating_sub(3)..).unwrap_or_default();
        match tail {
            "901" => Self::Refuse("BAD_NUMBER"),
            "902" => Self::Refuse("BARRED"),
            "903" => Self::Refuse("NO_CREDIT"),
            "904" => Self::Refuse("DOWN"),
            "905" => Self::Refuse("NO_PRODUCT"),
            "906" => Self::Refuse("E4711"),
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
            "927" => Self::Empty,
            "928" => Self::WrongAmount,
            "929" => Self::WrongNumber,
            "930" => Self::Endless,
            "940" => Self::DuplicateCallbacks,
            "941" => Self::LateCallback,
            "942" => Self::CallbackFirst,
            "943" => Self::Reversed,
            "944" => Self::RefusedAfterDelivered,
            "945" => Self::DeliveredAfterRefused,
            "946" => Self::NotFoundFirst,
            _ => Self::None,
        }
    }

    /// The fault of the `n`-th request by chance: `per_mille` of them have one, all kinds alike. The same
    /// seed gives the same faults.
    #[must_use]
    pub fn by_chance(seed: u64, n: u64, per_mille: u64) -> Self {
        let roll = mix(seed ^ mix(n));
        if roll % 1000 >= per_mille {
            return Self::None;
        }
        let kinds = u64::try_from(Self::BY_CHANCE.len()).unwrap_or(1);
        let kind = usize::try_from((roll / 1000) % kinds).unwrap_or(0);
        Self::BY_CHANCE.get(kind).copied().unwrap_or(Self::None)
    }

    /// Whether the carrier takes the request at all.
    #[must_use]
    pub const fn is_taken(self) -> bool {
        !matches!(self, Self::TimeoutBefore | Self::ResetBefore | Self::ErrorBefore)
    }

    /// The state in which the carrier writes the recharge at once, and its code.
    #[must_use]
    pub const fn first_state(self) -> (&'static str, &'static str) {
        match self {
            Self::Refuse(code) => ("refused", code),
            Self::DeliveredAfterRefused => ("refused", "BARRED"),
            Self::Later | Self::LaterRefused | Self::LaterSilent | Self::PendingForever => {
                ("accepted", "PENDING")
            }
            _ => ("delivered", "DELIVERED"),
        }
    }

    /// The state that follows after a while, and its code.
    #[must_use]
    pub const fn later_state(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Later | Self::LaterSilent => Some(("delivered", "DELIVERED")),
            Self::LaterRefused => Some(("refused", "BARRED")),
            Self::Reversed => Some(("reversed", "REVERSED")),
            _ => None,
        }
    }
}

/// The finaliser of SplitMix64: spreads a counter over all 64 bits.
const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_has_a_fault() {
        for (suffix, _) in FAULTS {
            let phone = Msisdn::parse(&format!("+8613800000{suffix}")).unwrap();
            assert_ne!(Fault::of(&phone), Fault::None, "{suffix}");
        }
        assert_eq!(Fault::of(&Msisdn::parse("+8613800000001").unwrap()), Fault::None);
    }

    #[test]
    fn chance_keeps_its_seed_and_its_share() {
        let faults = |seed| (0..10_000).map(|n| Fault::by_chance(seed, n, 300)).collect::<Vec<_>>();
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
        let hit = faults(7).iter().filter(|f| **f != Fault::None).count();
        assert!((2_700..3_300).contains(&hit), "{hit} of 10000 at 300 per mille");
        assert!((0..1000).all(|n| Fault::by_chance(3, n, 0) == Fault::None));
    }
}
