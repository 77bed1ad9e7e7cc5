//! How far a caller's number can be believed, and what an action of an amount then needs. Pure.
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

/// What an action needs besides the money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// Nothing more than the channel asks for anyway.
    Allow,
    /// The account's PIN.
    Pin,
    /// The PIN, and a code sent to the account's mobile number.
    PinAndCode,
    /// The platform reaches the caller itself, by USSD or a call.
    CallBack,
    /// Not at all.
    Refuse,
}

impl Assurance {
    /// Of a caller whose number is there only when it is believed.
    #[must_use]
    pub const fn of(caller: Option<&Msisdn>) -> Self {
        if caller.is_some() { Self::Believed } else { Self::None }
    }
}

/// One line of the policy. What is `None` holds for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The action, such as `recharge.pay`.
    pub action: Option<String>,
    /// Amounts up to this one, minor units.
    pub up_to_minor: Option<i64>,
    /// How far the number is believed.
    pub assurance: Option<Assurance>,
    /// The channel.
    pub channel: Option<Channel>,
    /// What is then needed.
    pub demand: Demand,
}

/// The lines of the policy; the first that holds decides, and where none does the action is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// In order.
    pub rules: Vec<Rule>,
}

impl Default for Policy {
    /// A believed number pays by PIN, any other by PIN and code.
    fn default() -> Self {
        let rule = |assurance, demand| Rule {
            action: None,
            up_to_minor: None,
            assurance: Some(assurance),
            channel: None,
            demand,
        };
        Self {
            rules: vec![rule(Assurance::Believed, Demand::Pin), rule(Assurance::None, Demand::PinAndCode)],
        }
    }
}

impl Policy {
    /// What an action of an amount (minor units; 0 when it moves no money) needs.
    #[must_use]
    pub fn judge(&self, action: &str, amount_minor: i64, assurance: Assurance, channel: Channel) -> Demand {
        let holds = |rule: &&Rule| {
            rule.action.as_deref().is_none_or(|name| name == action)
                && rule.up_to_minor.is_none_or(|most| amount_minor <= most)
                && rule.assurance.is_none_or(|wanted| wanted == assurance)
                && rule.channel.is_none_or(|wanted| wanted == channel)
        };
        self.rules.iter().find(holds).map_or(Demand::Refuse, |rule| rule.demand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: [Channel; 4] = [Channel::Voice, Channel::Ussd, Channel::Sms, Channel::Http];

    #[test]
    fn only_a_believed_number_pays_by_pin_alone() {
        let phone = Msisdn::parse("+8613800000001").unwrap();
        let policy = Policy::default();
        for channel in CHANNELS {
            let of = |caller| policy.judge("recharge.pay", 5_000, Assurance::of(caller), channel);
            assert_eq!(of(Some(&phone)), Demand::Pin);
            assert_eq!(of(None), Demand::PinAndCode);
        }
    }

    #[test]
    fn the_first_line_that_holds_decides() {
        let rule = |action: Option<&str>, up_to_minor, channel, demand| Rule {
            action: action.map(str::to_owned),
            up_to_minor,
            assurance: Some(Assurance::Believed),
            channel,
            demand,
        };
        let policy = Policy {
            rules: vec![
                rule(Some("account.balance"), None, None, Demand::Allow),
                rule(Some("recharge.pay"), Some(5_000), Some(Channel::Ussd), Demand::Pin),
                rule(Some("recharge.pay"), Some(20_000), None, Demand::CallBack),
            ],
        };
        for (action, amount, channel, wanted) in [
            ("account.balance", 0, Channel::Voice, Demand::Allow),
            ("recharge.pay", 5_000, Channel::Ussd, Demand::Pin),
            ("recharge.pay", 5_001, Channel::Ussd, Demand::CallBack),
            ("recharge.pay", 5_000, Channel::Voice, Demand::CallBack),
            ("recharge.pay", 20_001, Channel::Ussd, Demand::Refuse),
            ("bill.pay", 1, Channel::Ussd, Demand::Refuse),
        ] {
            assert_eq!(
                policy.judge(action, amount, Assurance::Believed, channel),
                wanted,
                "{action} {amount}"
            );
        }
        assert_eq!(policy.judge("account.balance", 0, Assurance::None, Channel::Voice), Demand::Refuse);
    }
}
