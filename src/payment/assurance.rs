//! How far a caller's number can be believed, and what paying from its account then needs. Pure.
//!
//! A number is believed only when the channel that brought it says so (a trunk that is configured as trusted,
//! the home operator's SMSC); without one there is no paying by number and PIN alone (DESIGN 6.4 point 17).

use crate::msisdn::Msisdn;
use crate::payment::answer::Channel;

/// What is known of who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Assurance {
    /// No number, or one that nobody vouches for.
    None,
    /// A number that the network vouches for.
    Believed,
}

/// What a payment needs besides the money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// The account's PIN.
    Pin,
    /// The PIN, and a code sent to the account's mobile number.
    PinAndCode,
}

impl Assurance {
    /// Of a caller whose number is there only when it is believed.
    #[must_use]
    pub const fn of(caller: Option<&Msisdn>) -> Self {
        if caller.is_some() { Self::Believed } else { Self::None }
    }

    /// What paying needs over this channel.
    #[must_use]
    pub const fn demand(self, channel: Channel) -> Demand {
        match (self, channel) {
            (Self::Believed, Channel::Voice | Channel::Ussd | Channel::Sms | Channel::Http) => Demand::Pin,
            (Self::None, Channel::Voice | Channel::Ussd | Channel::Sms | Channel::Http) => Demand::PinAndCode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_believed_number_pays_by_pin_alone() {
        let phone = Msisdn::parse("+8613800000001").unwrap();
        for channel in [Channel::Voice, Channel::Ussd, Channel::Sms, Channel::Http] {
            assert_eq!(Assurance::of(Some(&phone)).demand(channel), Demand::Pin);
            assert_eq!(Assurance::of(None).demand(channel), Demand::PinAndCode);
        }
    }
}
