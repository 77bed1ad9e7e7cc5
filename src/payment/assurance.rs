//! How far a caller's number can be believed, and what an action of an amount then needs. Pure.
//!
//! A number is believed only as far as the way that brought it: a trunk, a bind, a gateway, each with its level. One below
//! [`Policy::believed_from`] is as none: there is no paying by number and PIN alone then, a code to the account's own mobile
//! number comes first (DESIGN 6.4 point 17).

use std::time::Duration;

use crate::connector::swap::Hook;
use crate::msisdn::Msisdn;
use crate::payment::answer::Channel;

pub use crate::msisdn::Assurance;

/// The name of the way by which requests with an account's API key come, of the channel `http`.
pub const API: &str = "api";

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

impl Demand {
    /// Every demand, the least first.
    pub const ALL: &[Self] = &[Self::Allow, Self::Pin, Self::PinAndCode, Self::CallBack, Self::Refuse];

    /// Its name, as configurations write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Pin => "pin",
            Self::PinAndCode => "pin_and_code",
            Self::CallBack => "call_back",
            Self::Refuse => "refuse",
        }
    }

    /// The demand of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|demand| demand.name() == name)
    }
}

impl Assurance {
    /// Of a caller of whose way nothing else is known: his number is there only when that way is trusted for it.
    #[must_use]
    pub const fn of(caller: Option<&Msisdn>) -> Self {
        if caller.is_some() { Self::Medium } else { Self::None }
    }
}

/// One line of the policy. What is `None` holds for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The action, such as `recharge.pay`.
    pub action: Option<String>,
    /// Amounts up to this one, minor units.
    pub up_to_minor: Option<i64>,
    /// The least that the number must be believed.
    pub assurance: Option<Assurance>,
    /// The channel.
    pub channel: Option<Channel>,
    /// What is then needed.
    pub demand: Demand,
}

/// How far numbers are believed that come a certain way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// The channel; all without it.
    pub channel: Option<Channel>,
    /// The trunk, bind or gateway; all of the channel without it.
    pub name: Option<String>,
    /// How far.
    pub assurance: Assurance,
}

/// Asking the subscriber's network whether a SIM was changed lately.
#[derive(Clone, Debug)]
pub struct SwapRules {
    /// Whom to ask.
    pub hook: Hook,
    /// Payments of this much and more are asked about, minor units.
    pub from_minor: i64,
    /// Whether a payment goes on when there is no answer.
    pub open: bool,
    /// How long an answer is good for.
    pub kept: Duration,
}

/// The lines of the policy; the first that holds decides, and where none does the action is refused.
#[derive(Clone, Debug)]
pub struct Policy {
    /// In order.
    pub rules: Vec<Rule>,
    /// How far numbers are believed by the way that they come, the first that holds; see [`Policy::level`].
    pub ways: Vec<Way>,
    /// A number that is believed less is as none.
    pub believed_from: Assurance,
    /// SIM swaps; not asked about without it.
    pub swap: Option<SwapRules>,
}

impl Default for Policy {
    /// A believed number pays by PIN, any other by PIN and code.
    fn default() -> Self {
        let rule =
            |assurance, demand| Rule { action: None, up_to_minor: None, assurance, channel: None, demand };
        Self {
            rules: vec![rule(Some(Assurance::Medium), Demand::Pin), rule(None, Demand::PinAndCode)],
            ways: Vec::new(),
            believed_from: Assurance::Medium,
            swap: None,
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
                && rule.assurance.is_none_or(|least| least <= assurance)
                && rule.channel.is_none_or(|wanted| wanted == channel)
        };
        self.rules.iter().find(holds).map_or(Demand::Refuse, |rule| rule.demand)
    }

    /// How far a number is believed that came this way, which is trusted for numbers: as the configuration says, else
    /// USSD and text messages more than calls, since the subscriber's own network writes their numbers.
    #[must_use]
    pub fn level(&self, channel: Channel, name: &str) -> Assurance {
        let holds = |way: &&Way| {
            way.channel.is_none_or(|wanted| wanted == channel)
                && way.name.as_deref().is_none_or(|wanted| wanted == name)
        };
        self.ways.iter().find(holds).map_or_else(
            || match channel {
                Channel::Voice => Assurance::Medium,
                Channel::Ussd | Channel::Sms => Assurance::High,
                Channel::Http => Assurance::None,
            },
            |way| way.assurance,
        )
    }

    /// How far the account is believed that an API key names: as the configuration says of `http` and [`API`], else as a
    /// number on a way that is trusted, since staff gave the key to the account's own.
    #[must_use]
    pub fn key_level(&self) -> Assurance {
        let said = self.ways.iter().any(|way| {
            way.channel.is_none_or(|wanted| wanted == Channel::Http)
                && way.name.as_deref().is_none_or(|wanted| wanted == API)
        });
        if said { self.level(Channel::Http, API) } else { Assurance::Medium }
    }

    /// Whether a number of this level tells whose account is meant.
    #[must_use]
    pub fn believes(&self, assurance: Assurance) -> bool {
        assurance >= self.believed_from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHANNELS: [Channel; 4] = [Channel::Voice, Channel::Ussd, Channel::Sms, Channel::Http];

    #[test]
    fn only_a_believed_number_pays_by_pin_alone() {
        let phone = Msisdn::parse("+8613800000001").unwrap();
        let policy = Policy::default();
        for channel in CHANNELS {
            let of = |level| policy.judge("recharge.pay", 5_000, level, channel);
            assert_eq!(of(Assurance::of(Some(&phone))), Demand::Pin);
            assert_eq!(of(Assurance::High), Demand::Pin);
            assert_eq!(of(Assurance::Low), Demand::PinAndCode);
            assert_eq!(of(Assurance::of(None)), Demand::PinAndCode);
        }
    }

    #[test]
    fn the_first_line_that_holds_decides() {
        let rule = |action: Option<&str>, up_to_minor, channel, demand| Rule {
            action: action.map(str::to_owned),
            up_to_minor,
            assurance: Some(Assurance::Medium),
            channel,
            demand,
        };
        let rules = vec![
            rule(Some("account.balance"), None, None, Demand::Allow),
            rule(Some("recharge.pay"), Some(5_000), Some(Channel::Ussd), Demand::Pin),
            rule(Some("recharge.pay"), Some(20_000), None, Demand::CallBack),
        ];
        let policy = Policy { rules, ..Policy::default() };
        for (action, amount, channel, wanted) in [
            ("account.balance", 0, Channel::Voice, Demand::Allow),
            ("recharge.pay", 5_000, Channel::Ussd, Demand::Pin),
            ("recharge.pay", 5_001, Channel::Ussd, Demand::CallBack),
            ("recharge.pay", 5_000, Channel::Voice, Demand::CallBack),
            ("recharge.pay", 20_001, Channel::Ussd, Demand::Refuse),
            ("bill.pay", 1, Channel::Ussd, Demand::Refuse),
        ] {
            let told = policy.judge(action, amount, Assurance::Medium, channel);
            assert_eq!(told, wanted, "{action} {amount}");
        }
        assert_eq!(policy.judge("account.balance", 0, Assurance::None, Channel::Voice), Demand::Refuse);
    }

    #[test]
    fn a_way_is_believed_as_the_configuration_says_else_by_its_channel() {
        let way = |channel, name: Option<&str>, assurance| Way {
            channel,
            name: name.map(str::to_owned),
            assurance,
        };
        let ways = vec![
            way(Some(Channel::Voice), Some("wholesale"), Assurance::Low),
            way(None, Some("aggregator"), Assurance::Medium),
            way(Some(Channel::Sms), None, Assurance::Low),
        ];
        let policy = Policy { ways, ..Policy::default() };
        for (channel, name, wanted) in [
            (Channel::Voice, "wholesale", Assurance::Low),
            (Channel::Ussd, "wholesale", Assurance::High),
            (Channel::Voice, "home", Assurance::Medium),
            (Channel::Sms, "aggregator", Assurance::Medium),
            (Channel::Sms, "home", Assurance::Low),
            (Channel::Http, "web", Assurance::None),
        ] {
            assert_eq!(policy.level(channel, name), wanted, "{name}");
        }
        assert!(!policy.believes(Assurance::Low) && policy.believes(Assurance::Medium));
    }

    #[test]
    fn an_api_key_is_believed_like_a_number_unless_something_is_said_of_it() {
        let way = |channel, name: Option<&str>, assurance| Way {
            channel,
            name: name.map(str::to_owned),
            assurance,
        };
        for (ways, wanted) in [
            (vec![], Assurance::Medium),
            (vec![way(Some(Channel::Voice), None, Assurance::Low)], Assurance::Medium),
            (vec![way(Some(Channel::Http), Some("web"), Assurance::None)], Assurance::Medium),
            (vec![way(Some(Channel::Http), Some(API), Assurance::Low)], Assurance::Low),
            (vec![way(Some(Channel::Http), None, Assurance::High)], Assurance::High),
            (
                vec![
                    way(Some(Channel::Http), Some("web"), Assurance::High),
                    way(None, None, Assurance::None),
                ],
                Assurance::None,
            ),
        ] {
            assert_eq!(Policy { ways, ..Policy::default() }.key_level(), wanted);
        }
    }

    #[test]
    fn charging_is_judged_by_its_own_lines() {
        use Assurance::{High, Low, Medium};
        let rule = |action: Option<&str>, up_to_minor, channel, assurance, demand| Rule {
            action: action.map(str::to_owned),
            up_to_minor,
            assurance,
            channel,
            demand,
        };
        let medium = Some(Medium);
        let policy = Policy {
            rules: vec![
                rule(Some("charge.request"), None, Some(Channel::Sms), None, Demand::Refuse),
                rule(Some("charge.request"), Some(10_000), None, medium, Demand::Allow),
                rule(Some("charge.deposit"), Some(20_000), None, Some(High), Demand::Pin),
                rule(Some("charge.confirm"), None, Some(Channel::Http), None, Demand::PinAndCode),
                rule(None, None, None, medium, Demand::Pin),
                rule(None, None, None, None, Demand::PinAndCode),
            ],
            ..Policy::default()
        };
        for (action, amount, level, channel, wanted) in [
            ("charge.request", 10_000, Medium, Channel::Voice, Demand::Allow),
            ("charge.request", 10_001, Medium, Channel::Voice, Demand::Pin),
            ("charge.request", 100, High, Channel::Sms, Demand::Refuse),
            ("charge.request", 100, Low, Channel::Ussd, Demand::PinAndCode),
            ("charge.deposit", 20_000, High, Channel::Ussd, Demand::Pin),
            ("charge.deposit", 20_001, Low, Channel::Ussd, Demand::PinAndCode),
            ("charge.confirm", 1, High, Channel::Http, Demand::PinAndCode),
            ("charge.confirm", 1, Medium, Channel::Voice, Demand::Pin),
            ("order.pay", 1, Low, Channel::Voice, Demand::PinAndCode),
        ] {
            assert_eq!(policy.judge(action, amount, level, channel), wanted, "{action} {amount} {channel:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for level in Assurance::ALL {
            assert_eq!(Assurance::from_name(level.name()), Some(*level));
        }
        for demand in Demand::ALL {
            assert_eq!(Demand::from_name(demand.name()), Some(*demand));
        }
        assert_eq!((Assurance::from_name("much"), Demand::from_name("")), (None, None));
    }

    proptest! {
        /// Of rules that ask for less the more a number is believed, more belief never costs more.
        #[test]
        fn more_belief_never_asks_for_more(amount in 0_i64..100_000, most in 0_i64..100_000, level in 0_usize..3) {
            let rule = |up_to_minor, assurance, demand| Rule {
                action: None, up_to_minor, assurance, channel: None, demand,
            };
            let rules = vec![
                rule(Some(most), Some(Assurance::High), Demand::Allow),
                rule(Some(most), Some(Assurance::Medium), Demand::Pin),
                rule(None, Some(Assurance::Low), Demand::PinAndCode),
            ];
            let policy = Policy { rules, ..Policy::default() };
            let asked = |level: usize| {
                let demand = policy.judge("recharge.pay", amount, Assurance::ALL[level], Channel::Voice);
                Demand::ALL.iter().position(|known| *known == demand)
            };
            prop_assert!(asked(level + 1) <= asked(level));
        }
    }
}
