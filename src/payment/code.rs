//! One-time codes: when one may be sent, and what an answer comes to. Pure but for the drawing.
//!
//! A code has six digits, is for one purpose, account and number, lives five minutes at most, allows three answers and is
//! used up by the right one. It is stored as a keyed MAC only.

use std::time::Duration;

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::identity::CodeRow;
use crate::secret::Secret;

/// Digits of a code.
pub const DIGITS: usize = 6;
/// The longest that a code may live, whatever the configuration says.
pub const LIFETIME_MAX: Duration = Duration::from_secs(300);

/// Rules for codes.
#[derive(Clone, Debug)]
pub struct CodeRules {
    /// How long a code lives, [`LIFETIME_MAX`] at most.
    pub lifetime: Duration,
    /// Answers to one code.
    pub tries_max: i32,
    /// The least time between two codes to a number.
    pub resend_after: Duration,
    /// Codes to a number within `rate_window`, for one purpose.
    pub sends_max: i32,
    /// See `sends_max`.
    pub rate_window: Duration,
    /// How long the right answer counts as proof.
    pub proof: Duration,
}

impl Default for CodeRules {
    fn default() -> Self {
        Self {
            lifetime: LIFETIME_MAX,
            tries_max: 3,
            resend_after: Duration::from_secs(60),
            sends_max: 5,
            rate_window: Duration::from_secs(3_600),
            proof: Duration::from_secs(600),
        }
    }
}

/// Why no code is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotSent {
    /// One was sent a moment ago; the next may leave at this time, microseconds.
    TooSoon {
        /// Microseconds.
        at: i64,
    },
    /// Too many were sent to this number.
    TooMany,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answered {
    /// It was the code.
    Right,
    /// It was not; so many answers are left.
    Wrong {
        /// How many.
        left: i32,
    },
    /// There is no code that could be answered: none was sent, it is too old, used, or all answers are spent.
    Expired,
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Draws a code of six digits, each code equally likely. `None` without randomness.
#[must_use]
pub fn draw() -> Option<Secret> {
    const ALL: u32 = 1_000_000;
    // Above this the small codes would be likelier.
    const FAIR: u32 = u32::MAX - u32::MAX % ALL;
    loop {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).ok()?;
        let drawn = u32::from_le_bytes(bytes);
        if drawn < FAIR {
            let mut rest = drawn % ALL;
            let mut digits = vec![b'0'; DIGITS];
            for digit in digits.iter_mut().rev() {
                *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
                rest /= 10;
            }
            return Some(Secret::new(digits));
        }
    }
}

/// What the message with a code says, by language; `{c}` is the code. The first is for every other language.
const TEXTS: &[(&str, &str)] = &[
    ("en", "{c} is your code. It is valid for 5 minutes. Tell it to nobody."),
    ("es", "{c} es su código. Vale 5 minutos. No lo diga a nadie."),
    ("fr", "{c} est votre code. Il est valable 5 minutes. Ne le dites à personne."),
    ("sw", "{c} ni msimbo wako. Unatumika kwa dakika 5. Usimwambie mtu yeyote."),
    ("zh", "{c}是您的验证码，5分钟内有效。请勿告诉任何人。"),
];

/// The message with a code. Whoever gets the text seals it until it leaves.
#[must_use]
pub fn text(language: Option<&str>, code: &Secret) -> String {
    let wanted = TEXTS.iter().find(|(tag, _)| Some(*tag) == language).or_else(|| TEXTS.first());
    let digits = String::from_utf8_lossy(code.expose());
    wanted.map_or_else(String::new, |(_, text)| text.replace("{c}", &digits))
}

/// The row of a new code that takes the place of `before`.
///
/// # Errors
/// [`NotSent`] when too many were sent.
pub fn send(
    before: Option<&CodeRow>,
    to: (&Msisdn, &str, Option<Id>),
    mac: Vec<u8>,
    now: i64,
    rules: &CodeRules,
) -> Result<CodeRow, NotSent> {
    let (phone, purpose, account) = to;
    let (mut since, mut sent) = before.map_or((now, 0), |row| (row.since, row.sent));
    if now.saturating_sub(since) >= micros(rules.rate_window) {
        (since, sent) = (now, 0);
    }
    if let Some(row) = before.filter(|row| row.sent > 0) {
        let at = row.sent_at.saturating_add(micros(rules.resend_after));
        if now < at {
            return Err(NotSent::TooSoon { at });
        }
    }
    if sent >= rules.sends_max {
        return Err(NotSent::TooMany);
    }
    Ok(CodeRow {
        phone: phone.clone(),
        purpose: purpose.to_owned(),
        account,
        mac: Some(mac),
        sent_at: now,
        expires_at: now.saturating_add(micros(rules.lifetime.min(LIFETIME_MAX))),
        tries: 0,
        sent: sent.saturating_add(1),
        since,
        passed_at: None,
        version: before.map_or(1, |row| row.version.saturating_add(1)),
    })
}

/// What an answer with this MAC comes to, and the row after it. The try counts in the row that must be committed before the
/// answer is told.
#[must_use]
pub fn check(row: Option<&CodeRow>, mac: &[u8], now: i64, rules: &CodeRules) -> (Answered, Option<CodeRow>) {
    let Some(row) = row else { return (Answered::Expired, None) };
    let Some(wanted) = &row.mac else { return (Answered::Expired, None) };
    if now >= row.expires_at || row.tries >= rules.tries_max {
        return (Answered::Expired, None);
    }
    let next = CodeRow { version: row.version.saturating_add(1), ..row.clone() };
    if Secret::new(wanted.clone()) == Secret::new(mac.to_vec()) {
        return (Answered::Right, Some(CodeRow { mac: None, passed_at: Some(now), ..next }));
    }
    let tries = row.tries.saturating_add(1);
    let left = rules.tries_max.saturating_sub(tries);
    let mac = if left > 0 { next.mac.clone() } else { None };
    (Answered::Wrong { left }, Some(CodeRow { tries, mac, ..next }))
}

/// Whether the right answer came and still counts as proof, for this account.
#[must_use]
pub fn proves(row: Option<&CodeRow>, account: Option<Id>, now: i64, rules: &CodeRules) -> bool {
    row.is_some_and(|row| {
        row.account == account
            && row.passed_at.is_some_and(|at| at <= now && now.saturating_sub(at) < micros(rules.proof))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn phone() -> Msisdn {
        Msisdn::parse("+8613800000003").unwrap()
    }

    fn sent(before: Option<&CodeRow>, now: i64) -> Result<CodeRow, NotSent> {
        send(before, (&phone(), "register", None), vec![1; 16], now, &CodeRules::default())
    }

    #[test]
    fn a_code_is_right_once() {
        let row = sent(None, 0).unwrap();
        let rules = CodeRules::default();
        let (answered, after) = check(Some(&row), &[1; 16], 10, &rules);
        assert_eq!(answered, Answered::Right);
        let after = after.unwrap();
        assert!(after.mac.is_none() && proves(Some(&after), None, 11, &rules));
        assert!(!proves(Some(&after), Some(Id([1; 16])), 11, &rules), "for another account");
        assert!(!proves(Some(&after), None, 10 + 600 * SECOND, &rules), "too late");
        assert_eq!(check(Some(&after), &[1; 16], 12, &rules), (Answered::Expired, None));
    }

    #[test]
    fn three_answers_and_five_minutes() {
        let rules = CodeRules::default();
        let mut row = sent(None, 0).unwrap();
        for left in [2, 1, 0] {
            let (answered, after) = check(Some(&row), &[2; 16], 10, &rules);
            assert_eq!(answered, Answered::Wrong { left });
            row = after.unwrap();
        }
        assert_eq!(check(Some(&row), &[1; 16], 11, &rules).0, Answered::Expired);
        let row = sent(None, 0).unwrap();
        assert_eq!(check(Some(&row), &[1; 16], 300 * SECOND - 1, &rules).0, Answered::Right);
        assert_eq!(check(Some(&row), &[1; 16], 300 * SECOND, &rules).0, Answered::Expired);
        assert_eq!(check(None, &[1; 16], 0, &rules).0, Answered::Expired);
        let long = CodeRules { lifetime: Duration::from_secs(9_000), ..rules };
        let row = send(None, (&phone(), "x", None), vec![], 0, &long).unwrap();
        assert_eq!(row.expires_at, 300 * SECOND);
    }

    #[test]
    fn codes_are_sent_now_and_then() {
        let mut row = sent(None, 0).unwrap();
        assert_eq!(sent(Some(&row), 59 * SECOND), Err(NotSent::TooSoon { at: 60 * SECOND }));
        for n in 1..5 {
            row = sent(Some(&row), n * 60 * SECOND).unwrap();
        }
        assert_eq!(sent(Some(&row), 300 * SECOND), Err(NotSent::TooMany));
        assert_eq!(sent(Some(&row), 3_600 * SECOND).unwrap().sent, 1);
    }

    #[test]
    fn a_code_is_told_in_five_languages_and_first() {
        let code = Secret::from("204813");
        for (tag, _) in TEXTS {
            let told = text(Some(tag), &code);
            assert!(told.starts_with("204813") && told.contains('5'), "{told}");
            let septets = if told.is_ascii() || *tag != "zh" { 160 } else { 70 };
            assert!(told.chars().count() <= septets, "one message: {told}");
        }
        assert_eq!(text(Some("de"), &code), text(None, &code));
    }

    #[test]
    fn a_drawn_code_has_six_digits() {
        for _ in 0..100 {
            let code = draw().unwrap();
            assert!(code.len() == DIGITS && code.expose().iter().all(u8::is_ascii_digit));
        }
    }
}
