//! Conversations as tables: a line of keys and times in, what the collector said out.

use super::*;
use crate::clock::Clock;
use crate::clock::Timestamp;

/// One caller: the clock, the buffer, the input and whether its prompt plays.
struct Caller {
    clock: Clock,
    ahead: TypeAhead,
    input: Option<Collector>,
    prompt: bool,
}

impl Caller {
    fn new() -> Self {
        Self { clock: Clock::manual(Timestamp(0)), ahead: TypeAhead::default(), input: None, prompt: false }
    }

    /// Starts an input; its prompt plays until `.` in [`Caller::run`].
    fn ask(&mut self, spec: &CollectSpec) -> String {
        let (input, step) = Collector::begin(self.clock.instant(), spec.clone(), &mut self.ahead);
        self.prompt = step == Step::Wait;
        self.input = Some(input);
        self.said(step)
    }

    /// `0-9*#A` press a key, `.` ends the prompt, `s` lets a second pass. Whatever the collector says is in
    /// the answer: `!` stops the prompt, `[…]` is the entry.
    fn run(&mut self, script: &str) -> String {
        let mut out = String::new();
        for act in script.chars() {
            let input = self.input.as_mut();
            let now = self.clock.instant();
            match act {
                '.' => {
                    self.prompt = false;
                    if let Some(input) = input {
                        input.prompt_done(now);
                    }
                }
                's' => {
                    self.clock.advance(Duration::from_secs(1));
                    let now = self.clock.instant();
                    if let Some(input) = input.filter(|i| i.next_deadline().is_some_and(|d| d <= now)) {
                        let step = input.tick(now);
                        out += &self.said(step);
                    }
                }
                key => {
                    self.ahead.push(now, key);
                    if let Some(input) = input {
                        let step = input.take(now, &mut self.ahead, self.prompt);
                        out += &self.said(step);
                    }
                }
            }
        }
        out
    }

    fn said(&mut self, step: Step) -> String {
        match step {
            Step::Wait => String::new(),
            Step::StopPrompt => {
                self.prompt = false;
                "!".to_owned()
            }
            Step::Done(entry) => {
                (self.input, self.prompt) = (None, false);
                match entry {
                    Entry::Digits(digits) => format!("[{digits}]"),
                    Entry::Secret(secret) => {
                        format!("[secret {}]", String::from_utf8_lossy(secret.expose()))
                    }
                    other => format!("[{other:?}]"),
                }
            }
        }
    }
}

fn check(spec: &CollectSpec, table: &[(&str, &str)]) {
    for (script, expected) in table {
        let mut caller = Caller::new();
        let answer = caller.ask(spec) + &caller.run(script);
        assert_eq!(&answer, expected, "{script}");
    }
}

fn menu(entries: &[&str]) -> CollectSpec {
    CollectSpec::menu(entries.iter().map(|e| (*e).to_owned()).collect())
}

#[test]
fn length_and_terminator() {
    let spec = CollectSpec { global: vec!['*'], ..CollectSpec::digits(2, 4) };
    check(
        &spec,
        &[
            (".1234", "[1234]"),
            (".12#", "[12]"),
            (".123#", "[123]"),
            (".1#", "[TooShort]"),
            (".#", "[Empty]"),
            (".*", "[Key(*)]"),
            (".1*", "[Invalid]"),
            (".A", "[Invalid]"),
            (".1x", "[Invalid]"),
            (".0000", "[0000]"),
        ],
    );
    check(&CollectSpec { terminators: vec![], ..CollectSpec::digits(1, 4) }, &[(".1#", "[Invalid]")]);
    check(&CollectSpec { terminators: vec!['#', '*'], ..CollectSpec::digits(1, 4) }, &[(".1*", "[1]")]);
    check(&CollectSpec::digits(1, 4), &[(".*", "[Invalid]")]);
}

#[test]
fn timers_start_when_the_prompt_ends_and_with_each_key() {
    let spec = CollectSpec::digits(2, 4);
    check(
        &spec,
        &[
            ("ssssssssss", ""),
            (".ssss", ""),
            (".sssss", "[Silence]"),
            (".ssss1ss", ""),
            (".ssss1sss", "[TooShort]"),
            (".12ss", ""),
            (".12sss", "[12]"),
            (".1ss2ss3ss4", "[1234]"),
            // The prompt's end after a barge-in does not bring the first-digit timer back.
            ("12.sss", "![12]"),
            ("1.sss", "![TooShort]"),
        ],
    );
    let slow = CollectSpec { first: Duration::from_secs(2), inter: Duration::from_secs(7), ..spec };
    check(&slow, &[(".ss", "[Silence]"), (".12ssssss", ""), (".12sssssss", "[12]"), (".s1ssssss2#", "[12]")]);
}

#[test]
fn barge_in_stops_the_prompt_at_the_first_key_and_only_once() {
    let spec = CollectSpec { global: vec!['*'], ..CollectSpec::digits(1, 3) };
    check(
        &spec,
        &[("123", "![123]"), ("1#", "![1]"), ("*", "[Key(*)]"), ("#", "[Empty]"), ("A", "[Invalid]")],
    );
    let deaf = CollectSpec { barge_in: false, ..spec };
    check(&deaf, &[("12*#", ""), ("12.3#", "[3]"), ("9.*", "[Key(*)]"), ("9.sssss", "[Silence]")]);
}

#[test]
fn menus_end_at_once_and_wait_only_where_an_entry_is_the_start_of_another() {
    let spec = CollectSpec { global: vec!['*', '0'], ..menu(&["1", "2", "21", "3", "345"]) };
    check(
        &spec,
        &[
            ("1", "[1]"),
            (".2", ""),
            (".2sss", "[2]"),
            (".2#", "[2]"),
            (".21", "[21]"),
            (".22", "[Invalid]"),
            (".34", ""),
            (".34sss", "[Invalid]"),
            (".345", "[345]"),
            (".9", "[Invalid]"),
            (".0", "[Key(0)]"),
            (".*", "[Key(*)]"),
            (".#", "[Empty]"),
        ],
    );
    // A menu that lists a global key or a terminator keeps it.
    check(
        &CollectSpec { global: vec!['0'], ..menu(&["0", "#", "1*"]) },
        &[(".0", "[0]"), (".#", "[#]"), (".1*", "[1*]")],
    );
}

#[test]
fn secrets_leave_only_as_secrets() {
    let spec = CollectSpec { secret: true, ..CollectSpec::digits(4, 8) };
    check(&spec, &[(".1234#", "[secret 1234]"), ("12345678", "![secret 12345678]"), (".12#", "[TooShort]")]);
    let mut caller = Caller::new();
    caller.ask(&spec);
    caller.run("98765");
    caller.ahead.push(caller.clock.instant(), '4');
    let shown = format!("{:?} {:?}", caller.input, caller.ahead);
    assert!(!shown.contains("98765") && !shown.contains("57, 56"), "{shown}");
    assert_eq!(format!("{:?}", Entry::Digits("13800000001".to_owned())), "Digits(11 keys)");
    assert_eq!(format!("{:?}", Step::Done(Entry::Secret(Secret::from("1234")))), "Done(Secret)");
}

#[test]
fn type_ahead_fills_the_next_inputs_and_leaves_their_prompts_out() {
    let mut caller = Caller::new();
    assert_eq!(caller.run("1502#7"), "");
    assert_eq!(caller.ask(&menu(&["1", "2"])), "[1]");
    assert_eq!(caller.ask(&CollectSpec::digits(1, 6)), "[502]");
    assert_eq!(caller.ask(&CollectSpec::digits(1, 6)), "!");
    assert_eq!(caller.run("sss"), "[7]");
    assert_eq!(caller.ask(&CollectSpec::digits(1, 6)), "");
    // Keys that came before a prompt without barge-in count, those during it do not.
    let mut caller = Caller::new();
    caller.run("4");
    assert_eq!(caller.ask(&CollectSpec { barge_in: false, ..CollectSpec::digits(1, 6) }), "!");
    assert_eq!(caller.run("2#"), "[42]");
}

#[test]
fn type_ahead_is_dropped_before_secrets_and_confirmations_and_after_errors() {
    for spec in [
        CollectSpec { secret: true, ..CollectSpec::digits(4, 8) },
        CollectSpec { fresh: true, ..CollectSpec::digits(1, 8) },
    ] {
        let mut caller = Caller::new();
        caller.run("1234#");
        assert_eq!(caller.ask(&spec), "");
        assert!(caller.ahead.is_empty());
    }
    let mut caller = Caller::new();
    caller.run("9111");
    assert_eq!(caller.ask(&menu(&["1", "2"])), "[Invalid]");
    assert_eq!(caller.ask(&menu(&["1", "2"])), "");
    let mut caller = Caller::new();
    caller.run("1#22#");
    assert_eq!(caller.ask(&CollectSpec::digits(2, 8)), "[TooShort]");
    assert!(caller.ahead.is_empty());
}

#[test]
fn the_terminator_after_a_full_input_belongs_to_it() {
    let ask = CollectSpec::digits(1, 4);
    // Pressed at once, while nothing is asked, and while the next prompt plays.
    let mut caller = Caller::new();
    caller.ask(&ask);
    assert_eq!(caller.run(".1234#"), "[1234]");
    assert!(caller.ahead.is_empty());
    assert_eq!(caller.ask(&ask), "");
    assert_eq!(caller.run("#"), "[Empty]");
    caller.ask(&ask);
    assert_eq!(caller.run(".1234"), "[1234]");
    caller.ask(&ask);
    assert_eq!(caller.run("#5#"), "![5]");
    // Already typed ahead.
    let mut caller = Caller::new();
    caller.run("1234#56#");
    assert_eq!(caller.ask(&ask), "[1234]");
    assert_eq!(caller.ask(&ask), "[56]");
    // After a menu's choice and a global key too.
    let choice = CollectSpec { global: vec!['*'], ..menu(&["1", "2"]) };
    for (key, entry) in [("1#", "[1]"), ("*#", "[Key(*)]")] {
        caller.ask(&choice);
        assert_eq!(caller.run(key), entry);
        assert!(caller.ahead.is_empty());
    }
    // Another key in between, or a long time, makes it a key of its own.
    caller.ask(&ask);
    assert_eq!(caller.run(".1234"), "[1234]");
    assert_eq!(caller.run("1#"), "");
    assert_eq!(caller.ask(&ask), "[1]");
    caller.ask(&ask);
    assert_eq!(caller.run(".1234ssss"), "[1234]");
    caller.ask(&ask);
    assert_eq!(caller.run("#"), "[Empty]");
    // After an input that a terminator ended, the next one counts.
    caller.ask(&ask);
    assert_eq!(caller.run(".12#"), "[12]");
    caller.ask(&ask);
    assert_eq!(caller.run("#"), "[Empty]");
}

#[test]
fn the_buffer_and_the_input_are_bounded() {
    let mut ahead = TypeAhead::default();
    let now = Clock::manual(Timestamp(0)).instant();
    let taken = (0..100).filter(|_| ahead.push(now, '1')).count();
    assert_eq!(taken, TYPE_AHEAD_KEYS_MAX);
    assert!(!ahead.push(now, 'é') && !ahead.push(now, ' '));
    // Taking one and adding one for ever does not grow it.
    for _ in 0..1_000 {
        let (_, step) = Collector::begin(now, CollectSpec::digits(1, 1), &mut ahead);
        assert_eq!(step, Step::Done(Entry::Digits("1".to_owned())));
        assert!(ahead.push(now, '1'));
    }
    assert!(ahead.keys.len() <= 2 * TYPE_AHEAD_KEYS_MAX);
    let mut caller = Caller::new();
    caller.ask(&CollectSpec::digits(500, 1_000));
    let long = "1".repeat(ENTRY_KEYS_MAX);
    assert_eq!(caller.run(&format!(".{long}")), format!("[{long}]"));
}

#[test]
fn a_spent_input_takes_no_more_keys() {
    let now = Clock::manual(Timestamp(0)).instant();
    let mut ahead = TypeAhead::default();
    let (mut input, _) = Collector::begin(now, CollectSpec::digits(1, 1), &mut ahead);
    ahead.push(now, '1');
    assert!(matches!(input.take(now, &mut ahead, true), Step::Done(_)));
    ahead.push(now, '2');
    assert_eq!(input.take(now, &mut ahead, true), Step::Wait);
    input.prompt_done(now);
    assert_eq!(input.next_deadline(), None);
    assert!(!ahead.is_empty());
}

/// Every combination of barge-in, menu, secrecy, typed-ahead keys and random keys and pauses ends in one
/// entry, and within its timers after the last key.
#[test]
fn every_input_ends() {
    for seed in 0..2_000_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % n).unwrap()
        };
        let base =
            if below(2) == 0 { menu(&["1", "12", "3"]) } else { CollectSpec::digits(below(4), below(9)) };
        let spec = CollectSpec {
            barge_in: below(2) == 0,
            secret: below(3) == 0,
            fresh: below(3) == 0,
            terminators: if below(4) == 0 { vec![] } else { vec!['#'] },
            global: if below(2) == 0 { vec!['*', '0'] } else { vec![] },
            ..base
        };
        let mut caller = Caller::new();
        let mut script = |n: u64| -> String {
            let acts = b"0123456789*#ss";
            (0..below(n)).map(|_| char::from(acts[below(14)])).collect()
        };
        caller.run(&script(6));
        let mut answer = caller.ask(&spec) + &caller.run(&script(8)) + &caller.run(".");
        answer += &caller.run(&script(4));
        answer += &caller.run("ssssssss");
        assert_eq!(answer.matches('[').count(), 1, "seed {seed}: {answer}");
    }
}
