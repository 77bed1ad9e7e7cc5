//! Tables of the hand: what leaves when, in which order, and what is written of it.

use super::*;
use crate::session::Id;
use crate::sms::retry::Retry;

const SECOND: i64 = 1_000_000;
const NOW: i64 = 1_000 * SECOND;
const LEASE: i64 = NOW + 300 * SECOND;

fn routes() -> Vec<Route> {
    let other = Route { preference: 1, ..Route::new("b", "12581") };
    vec![Route::new("a", "12580"), other]
}

const fn ready(window: usize) -> Readiness {
    Readiness { up: true, window }
}

const DOWN: Readiness = Readiness { up: false, window: 0 };

fn row(n: u8, to: &str) -> OutboxRow {
    let mut row = OutboxRow::waiting(Id([n; 16]), "sms", to, format!("text {n}"), NOW, 3_600 * SECOND);
    row.due_at = LEASE;
    row
}

fn sent(recipient: &str, route: usize, sent: Sent) -> Done {
    Done { route, recipient: recipient.to_owned(), segments: 1, sent }
}

fn accepted(id: &str) -> Sent {
    Sent::Accepted { id: id.to_owned() }
}

/// A hand and what it has been told to do, in words.
struct Bench {
    hand: Hand,
    readiness: Vec<Readiness>,
}

impl Bench {
    fn new(readiness: [Readiness; 2]) -> Self {
        Self { hand: Hand::new(routes()), readiness: readiness.to_vec() }
    }

    fn take(&mut self, n: u8, to: &str) -> Vec<String> {
        let mut steps = Vec::new();
        self.hand.take(row(n, to), NOW, &self.readiness, &mut steps);
        said(&steps)
    }

    fn sent(&mut self, now: i64, done: Done) -> Vec<String> {
        let mut steps = Vec::new();
        self.hand.sent(done, now, 0, &self.readiness, &mut steps);
        said(&steps)
    }

    fn unblock(&mut self, now: i64) -> Vec<String> {
        let mut steps = Vec::new();
        self.hand.unblock(now, &self.readiness, &mut steps);
        said(&steps)
    }
}

fn said(steps: &[Step]) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Send { route, text } => format!("send {} by {route} from {}", text.id.0[0], text.sender),
        Step::Settle(settled) => {
            let due = settled.due_at.map(|due| format!(" at {}", (due - NOW) / SECOND)).unwrap_or_default();
            let code = settled.code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
            let tries = settled.attempts.map(|tries| format!(" try {tries}")).unwrap_or_default();
            format!("{} {:?}{tries}{code}{due}", settled.id.0[0], settled.state).to_lowercase()
        }
    };
    steps.iter().map(word).collect()
}

const ME: &str = "+8613800000001";
const YOU: &str = "+8613800000002";

#[test]
fn texts_to_one_number_leave_one_after_another() {
    let mut bench = Bench::new([ready(10), DOWN]);
    assert_eq!(bench.take(1, ME), ["send 1 by 0 from 12580"]);
    assert!(bench.take(2, ME).is_empty());
    assert_eq!(bench.take(3, YOU), ["send 3 by 0 from 12580"], "another number does not wait");
    assert_eq!(bench.hand.room(NOW, &bench.readiness), 7);
    assert_eq!(bench.sent(NOW, sent(ME, 0, accepted("7"))), ["1 accepted try 1", "send 2 by 0 from 12580"]);
    assert_eq!(bench.sent(NOW, sent(ME, 0, Sent::Unknown)), ["2 unknown try 1 no_answer"]);
    assert_eq!(bench.sent(NOW, sent(YOU, 0, accepted(""))), ["3 accepted try 1"]);
    assert_eq!((bench.hand.in_flight(), bench.hand.room(NOW, &bench.readiness)), (0, 10));
    assert!(bench.hand.lanes.is_empty() && bench.hand.waiting == 0);
}

#[test]
fn one_that_waits_again_takes_those_behind_it_along() {
    let mut bench = Bench::new([ready(10), DOWN]);
    bench.take(1, ME);
    bench.take(2, ME);
    bench.take(3, ME);
    let busy = Sent::Refused { code: "busy".into(), retry: true };
    assert_eq!(
        bench.sent(NOW, sent(ME, 0, busy)),
        ["1 waiting try 1 busy at 5", "2 waiting not_sent at 5", "3 waiting not_sent at 5"]
    );
    assert_eq!(bench.take(4, ME), ["4 waiting not_sent at 5"], "a newer one does not overtake");
    assert_eq!(bench.take(5, YOU), ["send 5 by 0 from 12580"]);
    let mut steps = Vec::new();
    bench.hand.take(row(1, ME), NOW + 5 * SECOND, &bench.readiness, &mut steps);
    assert_eq!(said(&steps), ["send 1 by 0 from 12580"]);
}

#[test]
fn a_lost_link_sends_by_the_other_route() {
    let mut bench = Bench::new([ready(10), ready(10)]);
    assert_eq!(bench.take(1, ME), ["send 1 by 0 from 12580"]);
    assert_eq!(bench.sent(NOW, sent(ME, 0, Sent::NotSent)), ["send 1 by 1 from 12581"]);
    assert_eq!(
        bench.sent(NOW, sent(ME, 1, Sent::NotSent)),
        ["1 waiting not_sent at 0"],
        "no way out: it waits a moment, and no try is counted"
    );
    // What may have left goes by no other route.
    let mut bench = Bench::new([ready(10), ready(10)]);
    bench.take(1, ME);
    assert_eq!(bench.sent(NOW, sent(ME, 0, Sent::Unknown)), ["1 unknown try 1 no_answer"]);
}

#[test]
fn throttling_stops_the_whole_queue_of_the_route() {
    let throttled = || Sent::Throttled { code: "ESME_RTHROTTLED".into() };
    let mut bench = Bench::new([ready(10), DOWN]);
    for n in 1..=3 {
        bench.take(n, &format!("+861380000000{n}"));
    }
    let first = bench.sent(NOW, sent("+8613800000001", 0, throttled()));
    assert_eq!(first, ["1 waiting esme_rthrottled at 0"]);
    assert_eq!(bench.hand.room(NOW, &bench.readiness), 0, "nothing more is claimed");
    assert_eq!(bench.take(4, "+8613800000004"), ["4 waiting not_sent at 0"]);
    // Answers to what was under way do not make the pause longer.
    bench.sent(NOW, sent("+8613800000002", 0, throttled()));
    bench.sent(NOW, sent("+8613800000003", 0, throttled()));
    let due = bench.hand.next_due(NOW).unwrap();
    assert_eq!(due, NOW + SECOND / 2);
    // Each further pause is twice as long, until something is taken.
    let mut now = due;
    for pause in [1, 2, 4, 8, 16, 16] {
        assert!(bench.hand.room(now, &bench.readiness) > 0);
        let mut steps = Vec::new();
        bench.hand.take(row(9, YOU), now, &bench.readiness, &mut steps);
        bench.hand.held.clear();
        bench.hand.sent(sent(YOU, 0, throttled()), now, 0, &bench.readiness, &mut steps);
        bench.hand.held.clear();
        let due = bench.hand.next_due(now).unwrap();
        assert_eq!(due - now, pause * SECOND);
        now = due;
    }
}

#[test]
fn a_full_route_is_waited_for_in_turn() {
    let mut bench = Bench::new([ready(1), DOWN]);
    assert_eq!(bench.take(1, ME), ["send 1 by 0 from 12580"]);
    assert!(bench.take(2, YOU).is_empty());
    assert!(bench.take(3, "+8613800000003").is_empty());
    assert!(bench.hand.is_blocked() && bench.unblock(NOW).is_empty());
    assert_eq!(bench.sent(NOW, sent(ME, 0, accepted("1"))), ["1 accepted try 1"]);
    assert_eq!(bench.unblock(NOW), ["send 2 by 0 from 12580"]);
    // The route goes down: what waits in hand goes back.
    bench.readiness[0] = DOWN;
    assert_eq!(bench.unblock(NOW), ["3 waiting not_sent at 1"]);
    assert!(!bench.hand.is_blocked());
}

#[test]
fn what_is_late_or_has_no_way_fails_and_what_lies_too_long_goes_back() {
    let mut bench = Bench::new([ready(10), ready(10)]);
    let mut steps = Vec::new();
    let take = |bench: &mut Bench, row: OutboxRow, steps: &mut Vec<Step>| {
        bench.hand.take(row, NOW, &bench.readiness, steps);
    };
    take(&mut bench, OutboxRow { expires_at: NOW, ..row(1, ME) }, &mut steps);
    take(&mut bench, OutboxRow { due_at: NOW + LEASE_MARGIN, ..row(2, ME) }, &mut steps);
    take(&mut bench, row(3, "nobody"), &mut steps);
    assert_eq!(said(&steps), ["1 failed expired", "2 waiting not_sent at 0", "3 failed no_route"]);
    let mut hand = Hand::new(vec![Route { prefixes: vec!["49".into()], ..Route::new("a", "1") }]);
    let mut steps = Vec::new();
    hand.take(row(4, ME), NOW, &[ready(1)], &mut steps);
    assert_eq!(said(&steps), ["4 failed no_route"]);
    assert!(hand.lanes.is_empty() && hand.waiting == 0);
}

#[test]
fn a_stop_gives_back_what_has_not_left() {
    let mut bench = Bench::new([ready(1), DOWN]);
    bench.take(1, ME);
    bench.take(2, ME);
    bench.take(3, YOU);
    let mut steps = Vec::new();
    bench.hand.release(NOW, &mut steps);
    let mut said = said(&steps);
    said.sort();
    assert_eq!(said, ["2 waiting not_sent at 0", "3 waiting not_sent at 0"]);
    assert_eq!(bench.sent(NOW, sent(ME, 0, accepted("1"))), ["1 accepted try 1"]);
    assert!(bench.hand.lanes.is_empty());
}

/// What a random run has seen.
struct Run {
    bench: Bench,
    random: u64,
    waiting: Vec<OutboxRow>,
    under_way: Vec<(usize, Outgoing)>,
    ended: BTreeSet<Id>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new([ready(3), ready(2)]);
        let retry = Retry { tries_max: 3, ..Retry::default() };
        bench.hand = Hand::new(routes().into_iter().map(|route| Route { retry, ..route }).collect());
        Self {
            bench,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            waiting: (0..30).map(|n| row(n, &to(n))).collect(),
            under_way: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % u64::try_from(limit).unwrap()).unwrap()
    }

    fn answer(&mut self) -> Sent {
        match self.below(6) {
            0 => Sent::NotSent,
            1 => Sent::Throttled { code: "t".into() },
            2 => Sent::Refused { code: "r".into(), retry: self.below(2) == 0 },
            3 => Sent::Unknown,
            _ => accepted("1"),
        }
    }

    fn step(&mut self, now: i64) {
        let mut steps = Vec::new();
        match self.below(4) {
            0 if !self.waiting.is_empty() => {
                let at = self.below(self.waiting.len());
                let row = OutboxRow { due_at: now + LEASE - NOW, ..self.waiting.swap_remove(at) };
                self.bench.hand.take(row, now, &self.bench.readiness, &mut steps);
            }
            1 if !self.under_way.is_empty() => {
                let at = self.below(self.under_way.len());
                let (route, text) = self.under_way.swap_remove(at);
                let answer = self.answer();
                let unknown = answer == Sent::Unknown;
                let done = sent(text.recipient.as_str(), route, answer);
                self.bench.hand.sent(done, now, 7, &self.bench.readiness, &mut steps);
                assert!(!unknown || said(&steps)[0].contains("unknown"));
            }
            2 => {
                let route = self.below(2);
                self.bench.readiness[route] = if self.below(3) == 0 { DOWN } else { ready(3) };
            }
            _ => self.bench.hand.unblock(now, &self.bench.readiness, &mut steps),
        }
        steps.into_iter().for_each(|step| self.follow(step));
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Send { route, text } => {
                let same = |(_, other): &(usize, Outgoing)| other.recipient == text.recipient;
                assert!(!self.under_way.iter().any(same) && !self.ended.contains(&text.id));
                self.under_way.push((route, text));
            }
            Step::Settle(settled) if settled.state == OutboxState::Waiting => {
                let n = settled.id.0[0];
                let attempts = settled.attempts.unwrap_or(0);
                self.waiting.push(OutboxRow { attempts, expires_at: i64::MAX, ..row(n, &to(n)) });
            }
            Step::Settle(settled) => assert!(self.ended.insert(settled.id)),
        }
    }
}

fn to(n: u8) -> String {
    format!("+861380000000{}", n % 5)
}

/// Random texts, answers and failures: each text is settled for the last time once, what is unknown is never sent again,
/// and of one number never two are under way.
#[test]
fn nothing_is_lost_or_sent_twice() {
    for seed in 0..200 {
        eprintln!("seed {seed}");
        let mut run = Run::new(seed);
        let mut now = NOW;
        for _ in 0..20_000 {
            now += i64::try_from(run.below(2_000_000)).unwrap();
            run.step(now);
            if run.ended.len() == 30 {
                break;
            }
        }
        let Run { bench: Bench { hand, .. }, under_way, ended, .. } = run;
        assert_eq!((ended.len(), under_way.len(), hand.lanes.len(), hand.waiting), (30, 0, 0, 0));
    }
}
