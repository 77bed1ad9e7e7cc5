//! `[identity]` and `[policy]`: how far numbers are believed, what payments need of callers, codes, cool-downs, and whom to ask
//! about SIM swaps.

use std::path::Path;
use std::time::Duration;

use super::{limit, seconds};
use crate::connector::document::{Faults, Placed, Section};
use crate::connector::swap::{Hook, MAX_AGE_HOURS, MAX_AGE_HOURS_MAX};
use crate::dialplan::action::Action;
use crate::money::Currency;
use crate::payment::answer::Channel;
use crate::payment::assurance::{Assurance, Demand, Policy, Rule, SwapRules, Way};
use crate::payment::binding::IdentityRules;
use crate::payment::code::{CodeRules, LIFETIME_MAX};
use crate::payment::path::PathRules;

/// A day, and the most of most times here, seconds.
const DAY: u64 = 86_400;
/// The longest cool-down or lock: 30 days, seconds.
const MONTH: i64 = 30 * 86_400;
/// Lines of the policy and ways, at most.
pub const LINES_MAX: usize = 200;

fn tries(section: &mut Section<'_>, key: &str, default: i32, faults: &mut Faults<'_>) -> i32 {
    let number = section.integer(key, 1..=100, faults);
    number.and_then(|n| i32::try_from(n.value).ok()).unwrap_or(default)
}

/// What is read of `[identity]`.
pub(super) fn identity(
    section: &mut Section<'_>,
    currency: Option<Currency>,
    faults: &mut Faults<'_>,
) -> IdentityRules {
    let usual = IdentityRules::default();
    let lifetime_max = i64::try_from(LIFETIME_MAX.as_secs()).unwrap_or(i64::MAX);
    let code = CodeRules {
        lifetime: seconds(section, "code_lifetime_s", LIFETIME_MAX.as_secs(), lifetime_max, faults),
        tries_max: tries(section, "code_tries", usual.code.tries_max, faults),
        resend_after: seconds(section, "code_resend_s", usual.code.resend_after.as_secs(), 3_600, faults),
        sends_max: tries(section, "codes_an_hour", usual.code.sends_max, faults),
        proof: seconds(section, "code_proof_s", usual.code.proof.as_secs(), 3_600, faults),
        ..usual.code
    };
    let path = PathRules {
        pin_tries_max: tries(section, "stranger_pin_tries", usual.path.pin_tries_max, faults),
        code_tries_max: tries(section, "stranger_code_tries", usual.path.code_tries_max, faults),
        lock: seconds(section, "stranger_lock_s", DAY, MONTH, faults),
        ..usual.path
    };
    let recycled_days = section.integer("recycled_after_days", 1..=3_650, faults);
    let recycled_after = recycled_days.and_then(|days| u64::try_from(days.value).ok());
    IdentityRules {
        code,
        path,
        cool_down: seconds(section, "cool_down_s", DAY, MONTH, faults),
        cool_down_day_minor: limit(section, "cool_down_day_limit", currency, faults)
            .unwrap_or(usual.cool_down_day_minor),
        recycled_after: recycled_after
            .map_or(usual.recycled_after, |days| Duration::from_secs(days.saturating_mul(DAY))),
    }
}

/// What is read of `[policy]`.
pub(super) fn policy(
    section: &mut Section<'_>,
    currency: Option<Currency>,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Policy {
    let mut policy = Policy::default();
    if let Some(level) = word(section, "believed_from", faults, LEVELS, Assurance::from_name) {
        policy.believed_from = level;
    }
    policy.ways = lines(section, "way", faults, |line, faults| Way {
        channel: channel(line, faults),
        name: line.text("name", faults).map(|text| text.value),
        assurance: needed(line, "assurance", faults, LEVELS, Assurance::from_name).unwrap_or(Assurance::None),
    });
    let rules = lines(section, "rule", faults, |line, faults| Rule {
        action: action(line, faults),
        up_to_minor: limit(line, "up_to", currency, faults),
        assurance: word(line, "assurance", faults, LEVELS, Assurance::from_name),
        channel: channel(line, faults),
        demand: needed(line, "needs", faults, DEMANDS, Demand::from_name).unwrap_or(Demand::Refuse),
    });
    if !rules.is_empty() {
        policy.rules = rules;
    }
    if let Some(mut swap) = section.section("sim_swap", faults) {
        policy.swap = sim_swap(&mut swap, currency, folder, faults);
        swap.finish(faults);
    }
    policy
}

const LEVELS: &str = "\"none\", \"low\", \"medium\" or \"high\"";
const DEMANDS: &str = "\"allow\", \"pin\", \"pin_and_code\", \"call_back\" or \"refuse\"";

fn lines<T>(
    section: &mut Section<'_>,
    key: &str,
    faults: &mut Faults<'_>,
    read: impl Fn(&mut Section<'_>, &mut Faults<'_>) -> T,
) -> Vec<T> {
    let mut found = Vec::new();
    for mut line in section.sections(key, faults) {
        if found.len() == LINES_MAX {
            faults.add(&line.span, &line.key, format!("expected at most {LINES_MAX} of these"));
            line.finish(faults);
            break;
        }
        found.push(read(&mut line, faults));
        line.finish(faults);
    }
    found
}

fn word<T>(
    section: &mut Section<'_>,
    key: &str,
    faults: &mut Faults<'_>,
    wanted: &str,
    of: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = section.text(key, faults)?;
    known(&text, faults, wanted, of)
}

fn needed<T>(
    section: &mut Section<'_>,
    key: &str,
    faults: &mut Faults<'_>,
    wanted: &str,
    of: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = section.need_text(key, faults)?;
    known(&text, faults, wanted, of)
}

fn known<T>(
    text: &Placed<String>,
    faults: &mut Faults<'_>,
    wanted: &str,
    of: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let found = of(&text.value);
    if found.is_none() {
        faults.add(&text.span, &text.key, format!("expected {wanted}"));
    }
    found
}

fn channel(line: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Channel> {
    const ALL: [Channel; 4] = [Channel::Voice, Channel::Ussd, Channel::Sms, Channel::Http];
    let wanted = "\"voice\", \"ussd\", \"sms\" or \"http\"";
    word(line, "channel", faults, wanted, |name| ALL.into_iter().find(|channel| channel.name() == name))
}

/// What moves no money, and the policy is asked of all the same: it binds an agent's offer.
const ALSO_JUDGED: &[&str] = &["charge.request"];

/// An action that moves money, or asks an agent to: of others the policy is not asked.
fn action(line: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let wanted = "an action that moves money, such as \"recharge.pay\"";
    word(line, "action", faults, wanted, |name| {
        let judged = |action: &&Action| action.moves_money() || ALSO_JUDGED.contains(&action.name);
        Action::find(name).filter(judged).map(|action| action.name.to_owned())
    })
}

fn sim_swap(
    swap: &mut Section<'_>,
    currency: Option<Currency>,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<SwapRules> {
    let url = swap.need_text("url", faults);
    if let Some(url) = &url
        && !(url.value.starts_with("https://") || url.value.starts_with("http://"))
    {
        faults.add(
            &url.span,
            &url.key,
            "expected an address such as https://api.example.net/sim-swap/v1/check",
        );
    }
    let named = swap.has("token_env") || swap.has("token_file");
    let token = if named { super::smpp::secret(swap, "token", folder, faults) } else { None };
    let hours = swap.integer("max_age_h", 1..=i64::from(MAX_AGE_HOURS_MAX), faults);
    let millis = swap.integer("timeout_ms", 100..=10_000, faults);
    if !swap.has("from_amount") {
        swap.missing("from_amount", faults);
    }
    let from_minor = limit(swap, "from_amount", currency, faults);
    let open = needed(swap, "without_answer", faults, "\"pay\" or \"refuse\"", |text| match text {
        "pay" => Some(true),
        "refuse" => Some(false),
        _ => None,
    });
    let kept = seconds(swap, "kept_s", 300, 3_600, faults);
    let hook = Hook {
        url: url?.value,
        token,
        max_age_hours: hours.and_then(|n| u16::try_from(n.value).ok()).unwrap_or(MAX_AGE_HOURS),
        timeout: Duration::from_millis(millis.and_then(|n| u64::try_from(n.value).ok()).unwrap_or(2_000)),
    };
    Some(SwapRules { hook, from_minor: from_minor?, open: open?, kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn read(text: &str) -> Result<(IdentityRules, Policy), Vec<String>> {
        let currency = Currency::new("CNY").ok();
        document::read(text, |root, faults| {
            let identity = super::super::within(root, "identity", faults, |section, faults| {
                identity(section, currency, faults)
            });
            let policy = super::super::within(root, "policy", faults, |section, faults| {
                policy(section, currency, Path::new("."), faults)
            });
            Some((identity, policy))
        })
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_said_is_the_usual() {
        let (identity, policy) = read("").unwrap();
        assert_eq!((identity.code.tries_max, identity.path.pin_tries_max), (3, 5));
        assert_eq!(identity.cool_down, Duration::from_secs(DAY));
        assert_eq!(policy.rules, Policy::default().rules);
        assert!(policy.ways.is_empty() && policy.swap.is_none());
    }

    #[test]
    fn a_policy_is_read_whole() {
        let (identity, policy) = read(
            "[identity]\ncode_lifetime_s = 120\ncode_tries = 2\ncool_down_s = 3600\n\
             cool_down_day_limit = \"50\"\nrecycled_after_days = 90\nstranger_pin_tries = 3\nstranger_lock_s = 7200\n\
             [policy]\nbelieved_from = \"low\"\n\
             [[policy.way]]\nchannel = \"voice\"\nname = \"wholesale\"\nassurance = \"low\"\n\
             [[policy.rule]]\naction = \"recharge.pay\"\nup_to = \"20\"\nassurance = \"high\"\nneeds = \"pin\"\n\
             [[policy.rule]]\nchannel = \"sms\"\nneeds = \"refuse\"\n\
             [policy.sim_swap]\nurl = \"https://api.example.net/check\"\nmax_age_h = 48\ntimeout_ms = 900\n\
             from_amount = \"200\"\nwithout_answer = \"refuse\"\nkept_s = 60\n",
        )
        .unwrap();
        assert_eq!(identity.code.lifetime, Duration::from_secs(120));
        assert_eq!((identity.code.tries_max, identity.path.pin_tries_max), (2, 3));
        assert_eq!(identity.cool_down_day_minor, 5_000);
        assert_eq!(identity.recycled_after, Duration::from_secs(90 * DAY));
        assert_eq!(policy.believed_from, Assurance::Low);
        assert_eq!(policy.level(Channel::Voice, "wholesale"), Assurance::Low);
        assert_eq!(policy.judge("recharge.pay", 2_000, Assurance::High, Channel::Ussd), Demand::Pin);
        assert_eq!(policy.judge("recharge.pay", 2_001, Assurance::High, Channel::Sms), Demand::Refuse);
        let swap = policy.swap.unwrap();
        assert_eq!((swap.from_minor, swap.open, swap.hook.max_age_hours), (20_000, false, 48));
        assert_eq!((swap.hook.timeout, swap.kept), (Duration::from_millis(900), Duration::from_secs(60)));
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let faults = read(
            "[identity]\ncode_lifetime_s = 301\nstranger_pin_tries = 0\n[policy]\nbelieved_from = \"much\"\n\
             [[policy.way]]\nchannel = \"fax\"\n[[policy.rule]]\naction = \"recharge.payed\"\nneeds = \"trust\"\n\
             [policy.sim_swap]\nurl = \"api.example.net\"\nmax_age_h = 2401\nwithout_answer = \"hope\"\n",
        )
        .unwrap_err();
        for wanted in [
            "line 2: identity.code_lifetime_s",
            "line 3: identity.stranger_pin_tries",
            "line 5: policy.believed_from: expected \"none\", \"low\"",
            "line 7: policy.way.channel",
            "policy.way.assurance: is missing",
            "line 9: policy.rule.action: expected an action that moves money",
            "line 10: policy.rule.needs",
            "line 12: policy.sim_swap.url",
            "line 13: policy.sim_swap.max_age_h",
            "line 14: policy.sim_swap.without_answer",
            "policy.sim_swap.from_amount: is missing",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted}: {faults:#?}");
        }
    }
}
