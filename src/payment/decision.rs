//! What a carrier's news means for a payment, whatever way it came and in whatever order. Pure.
//!
//! Only definite news moves money. Old, repeated and late news changes nothing; contradictions go to a person
//! (DESIGN 6.4 points 11 and 12).

use std::time::Duration;

use crate::connector::contract::{Outcome, RefusalClass, Unclear};
use crate::payment::row::State;

/// The class of a payment whose carrier said delivered and then refused; its money is held anew under
/// [`contest_hold`](crate::payment::posting::contest_hold).
pub const CONTESTED: &str = "contested";
/// The class of a payment that was delivered after it had been refused: the house bears the cost.
pub const LATE_DELIVERED: &str = "late_delivered";
/// The class of such a payment once the carrier has taken the late delivery back.
pub const LATE_REVERSED: &str = "late_reversed";
/// The class of a payment that the carrier never saw.
pub const NOT_FOUND: &str = "not_found";
/// The class of a payment that was delivered and taken back before we heard of it.
pub const TAKEN_BACK: &str = "reversed";

/// How the news came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The answer to the recharge request.
    Reply,
    /// The answer to a status query.
    Status,
    /// The carrier's callback.
    Callback,
    /// A person, with evidence.
    Staff,
}

/// What is known when news comes.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Where the payment stands.
    pub state: State,
    /// Its class.
    pub class: Option<&'a str>,
    /// Status queries made before this one.
    pub checks: i32,
    /// The news.
    pub outcome: &'a Outcome,
    /// How it came.
    pub source: Source,
    /// How long ago the attempt was written.
    pub age: Duration,
    /// From what age "not found" is definite; never if `None`.
    pub not_found_after: Option<Duration>,
    /// Waiting times of status queries.
    pub schedule: &'a [Duration],
}

/// What the ledger does in this step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// The payment's own hold is posted.
    Post,
    /// The payment's own hold is voided.
    Void,
    /// The posting is reversed and the money held anew.
    Contest,
    /// The new hold is posted.
    PostContested,
    /// The new hold is voided.
    VoidContested,
    /// The posting is reversed.
    Reverse,
    /// The posting of the new hold is reversed.
    ReverseContested,
    /// The carrier's cost is booked as a loss.
    Lose,
    /// That loss is taken back.
    Regain,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The state to enter.
    pub to: State,
    /// The class to store.
    pub class: Option<String>,
    /// The money.
    pub act: Act,
    /// How long until the next status query.
    pub next_check: Option<Duration>,
    /// Whether staff must be told at once.
    pub alarm: bool,
}

/// News without its wire details.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum News<'a> {
    Delivered,
    Refused(&'a str, bool),
    Reversed,
    Pending,
    NeverSent,
    Absent,
    Unclear(&'a str),
    Mismatch,
    /// A bill is paid or expired, and nobody says by whose payment: no schedule can tell.
    Silent,
}

fn news<'a>(seen: &Seen<'a>) -> News<'a> {
    match seen.outcome {
        Outcome::Delivered { .. } => News::Delivered,
        Outcome::Refused { class, .. } => News::Refused(class.name(), class.is_alarm()),
        Outcome::Reversed { .. } => News::Reversed,
        Outcome::Accepted { .. } => News::Pending,
        Outcome::Unknown { why: Unclear::Mismatch, .. } => News::Mismatch,
        Outcome::Unknown { why: Unclear::WhoPaid, .. } => News::Silent,
        Outcome::Unknown { why, .. } => News::Unclear(why.name()),
        // A status query that was not sent says nothing of the recharge; a recharge that was not sent is
        // certain.
        Outcome::NotSent { .. } => match seen.source {
            Source::Reply => News::NeverSent,
            Source::Status | Source::Callback | Source::Staff => News::Unclear("not_asked"),
        },
        Outcome::NotFound => match (seen.source, seen.not_found_after) {
            (Source::Staff, _) => News::Absent,
            (Source::Status, Some(after)) if seen.age >= after => News::Absent,
            (Source::Status | Source::Reply | Source::Callback, _) => News::Unclear("not_found_yet"),
        },
    }
}

/// What to do with the news; `None` when it changes nothing.
#[must_use]
pub fn decide(seen: &Seen<'_>) -> Option<Step> {
    let news = news(seen);
    match seen.state {
        // Nothing has left: there can be no news.
        State::Created | State::Authorised => None,
        State::Submitting | State::Submitted | State::Unknown | State::NeedsReview => open(seen, news),
        State::Delivered => delivered(seen, news),
        State::Refused => refused(seen, news),
        // The end, even for what the carrier said before it and we hear after it.
        State::Reversed => None,
    }
}

fn step(to: State, class: Option<&str>, act: Act, alarm: bool) -> Option<Step> {
    Some(Step { to, class: class.map(str::to_owned), act, next_check: None, alarm })
}

fn open(seen: &Seen<'_>, news: News<'_>) -> Option<Step> {
    let contested = seen.class == Some(CONTESTED);
    let (post, void) =
        if contested { (Act::PostContested, Act::VoidContested) } else { (Act::Post, Act::Void) };
    match news {
        News::Delivered => step(State::Delivered, contested.then_some(CONTESTED), post, false),
        News::Refused(class, alarm) => step(State::Refused, Some(class), void, alarm),
        News::Reversed => step(State::Refused, Some(TAKEN_BACK), void, false),
        News::Absent => step(State::Refused, Some(NOT_FOUND), void, false),
        News::NeverSent => step(State::Refused, Some(RefusalClass::CarrierDown.name()), void, false),
        News::Pending => match (seen.state, seen.source) {
            (State::NeedsReview, _) | (State::Submitted, Source::Callback | Source::Reply) => None,
            _ => wait(seen, State::Submitted, None, false),
        },
        News::Unclear(why) => match (seen.state, seen.source) {
            (State::NeedsReview, _) => None,
            // A callback that cannot be read is no news; the schedule goes on.
            (_, Source::Callback | Source::Staff) => None,
            // The reply comes after something better was known.
            (State::Submitted | State::Unknown, Source::Reply) => None,
            (State::Submitted, Source::Status) => wait(seen, State::Submitted, seen.class, false),
            (_, Source::Reply | Source::Status) => wait(seen, State::Unknown, Some(why), false),
        },
        News::Mismatch => match seen.state {
            State::NeedsReview => None,
            _ => wait(seen, State::Unknown, Some(Unclear::Mismatch.name()), true),
        },
        News::Silent => match seen.state {
            State::NeedsReview => None,
            _ => step(State::NeedsReview, Some(Unclear::WhoPaid.name()), Act::Nothing, true),
        },
    }
}

/// Stays unresolved until the next query, or goes to a person after the last.
fn wait(seen: &Seen<'_>, to: State, class: Option<&str>, alarm: bool) -> Option<Step> {
    let made = seen.checks.saturating_add(i32::from(seen.source == Source::Status));
    let next = usize::try_from(made).ok().and_then(|n| seen.schedule.get(n)).copied();
    let class = class.map(str::to_owned);
    Some(match next {
        Some(next_check) => Step { to, class, act: Act::Nothing, next_check: Some(next_check), alarm },
        None => Step { to: State::NeedsReview, class, act: Act::Nothing, next_check: None, alarm: true },
    })
}

fn delivered(seen: &Seen<'_>, news: News<'_>) -> Option<Step> {
    let contested = seen.class == Some(CONTESTED);
    match news {
        News::Refused(..) if !contested => step(State::NeedsReview, Some(CONTESTED), Act::Contest, true),
        News::Reversed if contested => step(State::Reversed, Some(CONTESTED), Act::ReverseContested, false),
        News::Reversed => step(State::Reversed, Some(TAKEN_BACK), Act::Reverse, false),
        // Contradicted twice and settled since: only a reversal counts now.
        News::Refused(..)
        | News::Delivered
        | News::Pending
        | News::NeverSent
        | News::Absent
        | News::Unclear(_)
        | News::Mismatch
        | News::Silent => None,
    }
}

fn refused(seen: &Seen<'_>, news: News<'_>) -> Option<Step> {
    match (news, seen.class) {
        // We know of the delivery, and that it was taken back; or we have booked it.
        (News::Delivered, Some(TAKEN_BACK | LATE_DELIVERED | LATE_REVERSED)) => None,
        (News::Delivered, _) => step(State::Refused, Some(LATE_DELIVERED), Act::Lose, true),
        (News::Reversed, Some(LATE_DELIVERED)) => {
            step(State::Refused, Some(LATE_REVERSED), Act::Regain, false)
        }
        (
            News::Reversed
            | News::Refused(..)
            | News::Pending
            | News::NeverSent
            | News::Absent
            | News::Unclear(_)
            | News::Mismatch
            | News::Silent,
            _,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: &[Duration] = &[Duration::from_secs(5), Duration::from_secs(15)];

    fn delivered_news() -> Outcome {
        Outcome::Delivered { carrier_reference: None, cost: None, voucher: None }
    }
    fn refused_news() -> Outcome {
        let class = RefusalClass::BadNumber;
        Outcome::Refused { class, code: "B".to_owned(), carrier_reference: None }
    }
    fn unknown(why: Unclear) -> Outcome {
        Outcome::Unknown { why, detail: String::new() }
    }
    fn accepted() -> Outcome {
        Outcome::Accepted { carrier_reference: None }
    }
    fn reversed() -> Outcome {
        Outcome::Reversed { carrier_reference: None }
    }
    fn not_sent() -> Outcome {
        Outcome::NotSent { retryable: true, reason: String::new() }
    }

    fn seen<'a>(state: State, outcome: &'a Outcome, source: Source) -> Seen<'a> {
        let not_found_after = Some(Duration::from_secs(10));
        let age = Duration::from_secs(1);
        Seen { state, class: None, checks: 0, outcome, source, age, not_found_after, schedule: SCHEDULE }
    }

    fn to(state: State, outcome: &Outcome, source: Source) -> Option<(State, Act)> {
        decide(&seen(state, outcome, source)).map(|s| (s.to, s.act))
    }

    #[test]
    fn every_step_is_an_allowed_one() {
        let outcomes = [
            delivered_news(),
            refused_news(),
            reversed(),
            accepted(),
            not_sent(),
            Outcome::NotFound,
            unknown(Unclear::Timeout),
            unknown(Unclear::Mismatch),
            unknown(Unclear::WhoPaid),
        ];
        let classes = [None, Some(CONTESTED), Some(LATE_DELIVERED), Some(TAKEN_BACK)];
        for state in State::ALL {
            for outcome in &outcomes {
                for source in [Source::Reply, Source::Status, Source::Callback, Source::Staff] {
                    for class in classes {
                        for checks in [0, 1, 9] {
                            for age in [0, 60] {
                                let age = Duration::from_secs(age);
                                let seen = Seen { class, checks, age, ..seen(*state, outcome, source) };
                                let Some(step) = decide(&seen) else { continue };
                                assert!(state.may_become(step.to), "{seen:?} -> {step:?}");
                                let waits = matches!(step.to, State::Submitted | State::Unknown);
                                assert_eq!(step.next_check.is_some(), waits, "{seen:?} -> {step:?}");
                                let definite = matches!(
                                    outcome,
                                    Outcome::Delivered { .. }
                                        | Outcome::Refused { .. }
                                        | Outcome::Reversed { .. }
                                );
                                let certain = definite
                                    || matches!((outcome, source), (Outcome::NotSent { .. }, Source::Reply))
                                    || matches!(outcome, Outcome::NotFound);
                                assert!(certain || step.act == Act::Nothing, "{seen:?} -> {step:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn definite_news_resolves_and_the_rest_does_not() {
        use State::{Delivered, NeedsReview, Refused, Submitted, Submitting, Unknown};
        for state in [Submitting, Submitted, Unknown, NeedsReview] {
            for source in [Source::Reply, Source::Status, Source::Callback] {
                assert_eq!(to(state, &delivered_news(), source), Some((Delivered, Act::Post)));
                assert_eq!(to(state, &refused_news(), source), Some((Refused, Act::Void)));
            }
        }
        assert_eq!(to(Submitting, &not_sent(), Source::Reply), Some((Refused, Act::Void)));
        assert_eq!(to(Submitting, &unknown(Unclear::Timeout), Source::Reply), Some((Unknown, Act::Nothing)));
        assert_eq!(to(Unknown, &not_sent(), Source::Status), Some((Unknown, Act::Nothing)));
        assert_eq!(to(Unknown, &accepted(), Source::Status), Some((Submitted, Act::Nothing)));
        assert_eq!(to(Submitted, &unknown(Unclear::Unreadable), Source::Callback), None);
        assert_eq!(
            to(Submitted, &unknown(Unclear::Mismatch), Source::Callback),
            Some((Unknown, Act::Nothing))
        );
        assert_eq!(to(Submitted, &unknown(Unclear::Timeout), Source::Reply), None, "a callback was faster");
    }

    #[test]
    fn not_found_is_definite_only_when_old_enough_and_declared() {
        let news = Outcome::NotFound;
        let at = |age: u64, after: Option<u64>| {
            let seen = Seen {
                age: Duration::from_secs(age),
                not_found_after: after.map(Duration::from_secs),
                ..seen(State::Unknown, &news, Source::Status)
            };
            decide(&seen).unwrap().to
        };
        assert_eq!(at(9, Some(10)), State::Unknown);
        assert_eq!(at(10, Some(10)), State::Refused);
        assert_eq!(at(1_000_000, None), State::Unknown);
    }

    #[test]
    fn after_the_last_query_a_person_must_look() {
        let news = unknown(Unclear::Timeout);
        let at = |checks: i32| {
            let seen = Seen { checks, ..seen(State::Unknown, &news, Source::Status) };
            let step = decide(&seen).unwrap();
            (step.to, step.next_check, step.alarm)
        };
        assert_eq!(at(0), (State::Unknown, Some(SCHEDULE[1]), false));
        assert_eq!(at(1), (State::NeedsReview, None, true));
    }

    #[test]
    fn a_bill_that_is_paid_by_nobody_knows_whom_goes_to_a_person_at_once() {
        let silent = unknown(Unclear::WhoPaid);
        for state in [State::Submitting, State::Submitted, State::Unknown] {
            for source in [Source::Reply, Source::Status, Source::Callback] {
                let step = decide(&seen(state, &silent, source)).unwrap();
                assert_eq!((step.to, step.act, step.alarm), (State::NeedsReview, Act::Nothing, true));
                assert_eq!(step.class.as_deref(), Some("who_paid"));
            }
        }
        for state in [State::NeedsReview, State::Delivered, State::Refused, State::Reversed] {
            assert_eq!(decide(&seen(state, &silent, Source::Callback)), None, "{state:?}");
        }
    }

    #[test]
    fn contradictions_and_late_news() {
        let with = |state, class, outcome: &Outcome| {
            let seen = Seen { class, ..seen(state, outcome, Source::Callback) };
            decide(&seen).map(|s| (s.to, s.act, s.alarm))
        };
        let contest = with(State::Delivered, None, &refused_news());
        assert_eq!(contest, Some((State::NeedsReview, Act::Contest, true)));
        let again = with(State::NeedsReview, Some(CONTESTED), &delivered_news());
        assert_eq!(again, Some((State::Delivered, Act::PostContested, false)));
        assert_eq!(with(State::Delivered, Some(CONTESTED), &refused_news()), None);
        let back = with(State::NeedsReview, Some(CONTESTED), &refused_news());
        assert_eq!(back, Some((State::Refused, Act::VoidContested, false)));
        assert_eq!(with(State::Delivered, None, &delivered_news()), None);
        assert_eq!(with(State::Delivered, None, &reversed()), Some((State::Reversed, Act::Reverse, false)));
        let late = with(State::Refused, Some("bad_number"), &delivered_news());
        assert_eq!(late, Some((State::Refused, Act::Lose, true)));
        assert_eq!(with(State::Refused, Some(LATE_DELIVERED), &delivered_news()), None);
        assert_eq!(with(State::Refused, Some(TAKEN_BACK), &delivered_news()), None);
        assert_eq!(with(State::Reversed, None, &delivered_news()), None);
        assert_eq!(with(State::Refused, None, &refused_news()), None);
    }
}
