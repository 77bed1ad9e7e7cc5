//! Dialplans as a whole: the shipped flows and their transcripts, and bad flows with the reports that they
//! must give.
//!
//! `UPDATE=1` writes the reports of `tests/golden/dialplan` anew; read the difference before it is committed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this file is only tests; what fails in it should stop the test"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::civil::Moment;
use keytone::dialplan::diagnostic::{Code, Diagnostic};
use keytone::dialplan::event::{Answer, Argument, Channel, Effect, Event, Input, Start};
use keytone::dialplan::flowtest;
use keytone::dialplan::speak::{PAUSE_BETWEEN, Sound, screen};
use keytone::dialplan::state::{State, Wait};
use keytone::dialplan::step::step;
use keytone::dialplan::value::{Type, Value};
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;
use keytone::secret::Secret;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

mod numbers;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn source(name: &str, path: impl AsRef<Path>) -> SourceFile {
    SourceFile::new(name, read(&root().join(path)))
}

fn settings() -> Settings {
    Settings {
        country: "86".into(),
        national_digits: (11, 11),
        ..Settings::of(Currency::new("CNY").unwrap())
    }
}

fn wav_files(folder: &Path, prefix: &str, out: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            wav_files(&path, &format!("{prefix}{name}/"), out);
        } else if let Some(stem) = name.strip_suffix(".wav") {
            out.insert(format!("{prefix}{stem}"));
        }
    }
}

fn shipped() -> Sources {
    let mut clips = BTreeSet::new();
    wav_files(&root().join("prompts"), "", &mut clips);
    Sources {
        flows: vec![source("recharge.flow", "dialplans/recharge.flow")],
        messages: vec![source("messages/en.msg", "dialplans/messages/en.msg")],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: Some(clips),
    }
}

fn reports(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().fold(String::new(), |mut out, diagnostic| {
        let _ = writeln!(out, "{}", diagnostic.render(|file| sources.text(file), false).trim_end());
        out.push('\n');
        out
    })
}

fn good(sources: &Sources) -> Catalog {
    match compile(sources, &settings()) {
        Ok(catalog) => catalog,
        Err(faults) => panic!("{}", reports(sources, &faults)),
    }
}

#[test]
fn the_shipped_flows_have_no_fault_and_every_clip() {
    let sources = shipped();
    let catalog = good(&sources);
    assert!(catalog.warnings().is_empty(), "{}", reports(&sources, catalog.warnings()));
    assert!(catalog.find_voice("12580", false).is_some());
    assert_eq!(catalog.find_ussd("*125*50#", false).unwrap().prefilled["amount"], "50");
    assert_eq!(catalog.find_sms("rc 50 138", false).unwrap().prefilled["phone"], "138");
    assert!(catalog.find_sms("RC", false).is_none());
}

#[test]
fn the_shipped_transcripts_hold_and_come_by_everything() {
    let catalog = good(&shipped());
    let text = read(&root().join("dialplans/recharge.flowtest"));
    let (scripts, faults) = flowtest::parse("recharge.flowtest", &text, &settings());
    assert!(faults.is_empty(), "{faults:?}");
    let (coverage, failures) = flowtest::run(&catalog, "recharge", &scripts);
    let told = failures.iter().fold(String::new(), |mut out, failure| {
        let _ =
            writeln!(out, "recharge.flowtest:{} \"{}\" on {}", failure.line, failure.test, failure.channel);
        let _ = writeln!(out, "  {}\n    {}", failure.reason, failure.transcript.join("\n    "));
        out
    });
    assert!(failures.is_empty(), "{told}");
    let program = catalog.program("recharge").unwrap();
    assert_eq!(coverage.missing(&program), [""; 0], "steps and outcomes that no transcript comes by");
    assert!(coverage.state_bytes <= 1_024, "a saved session takes {} bytes", coverage.state_bytes);
}

#[test]
fn a_transcript_that_does_not_hold_is_told() {
    let catalog = good(&shipped());
    let check = |body: &str| {
        let text = format!("test \"t\" on voice\n  given caller +8613800000001\n{body}");
        let (scripts, faults) = flowtest::parse("t.flowtest", &text, &settings());
        assert!(faults.is_empty(), "{faults:?}");
        flowtest::run(&catalog, "recharge", &scripts)
            .1
            .into_iter()
            .map(|f| (f.line, f.reason))
            .collect::<Vec<_>>()
    };
    assert_eq!(check("  > 1 < @enter-amount\n"), []);
    assert_eq!(check("  > 1 < @enter-pin\n"), [(3, "expected @enter-pin".into())]);
    assert_eq!(check("  > 2 < at amount\n"), [(3, "expected at amount".into())]);
    let unused = check("  given recharge.pay -> locked\n  > 1\n");
    assert_eq!(unused, [(1, "`recharge.pay -> locked` was given, but never came up".into())]);
    let (_, faults) = flowtest::parse("t.flowtest", "test \"t\" on fax\n> 1\n", &settings());
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn the_load_test_flows_have_no_fault() {
    let folder = "benches/flows";
    let flows = ["short", "prompt", "ivr"].map(|name| source(name, format!("{folder}/{name}.flow")));
    let sources = Sources {
        flows: flows.to_vec(),
        messages: vec![source("en.msg", format!("{folder}/messages/en.msg"))],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    };
    let catalog = good(&sources);
    let tones = catalog.tones();
    let prompt = tones.iter().find(|tone| tone.hertz == [350, 440]).unwrap();
    assert_eq!(prompt.samples(8_000).len(), 120 * 8_000);
    for number in ["100", "101", "102"] {
        assert!(catalog.find_voice(number, false).is_some(), "{number}");
    }
}

// ---- bad flows

fn golden() -> PathBuf {
    root().join("tests/golden/dialplan")
}

/// The sources of a bad example: `NAME.flow`, and beside it, if there are, a second flow, messages added to
/// the common ones, another language, other number rules, a list of clips.
fn example(name: &str) -> Sources {
    let side = |suffix: &str| {
        let path = golden().join(format!("{name}.{suffix}"));
        path.exists().then(|| SourceFile::new(format!("{name}.{suffix}"), read(&path)))
    };
    let base = read(&golden().join("base.en.msg"));
    let own = side("en.msg");
    // What an example adds comes last, and replaces a common message of the same key.
    let english = match &own {
        Some(own) => {
            let replaced = |block: &str| {
                let key = block.lines().next().unwrap_or_default().split('(').next().unwrap_or_default();
                own.text.lines().any(|line| line.split('(').next() == Some(key))
            };
            let kept = base.split("\n\n").filter(|block| !replaced(block.trim_start()));
            format!("{}\n\n{}", kept.collect::<Vec<_>>().join("\n\n"), own.text)
        }
        None => base,
    };
    let mut messages = vec![SourceFile::new("en.msg", english)];
    messages.extend(side("fr.msg").map(|file| SourceFile::new("fr.msg", file.text)));
    let english_numbers = read(&root().join("prompts/en/numbers.say"));
    let numbers = side("say").map_or_else(|| english_numbers.clone(), |file| file.text);
    let mut flows =
        vec![SourceFile::new(format!("{name}.flow"), read(&golden().join(format!("{name}.flow"))))];
    flows.extend(side("second.flow"));
    Sources {
        flows,
        messages,
        numbers: vec![
            SourceFile::new("en/numbers.say", numbers),
            SourceFile::new("fr/numbers.say", english_numbers),
        ],
        clips: side("clips").map(|file| file.text.lines().map(str::to_owned).collect()),
    }
}

fn diagnostics(sources: &Sources) -> Vec<Diagnostic> {
    let found = match compile(sources, &settings()) {
        Ok(catalog) => catalog.warnings().to_vec(),
        Err(found) => found,
    };
    // The common messages are not all said by every example.
    found
        .into_iter()
        .filter(|fault| fault.code != Code::F051 || fault.message.contains("never-said"))
        .collect()
}

#[test]
fn every_bad_flow_gives_its_report() {
    let mut names: Vec<String> = std::fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".flow").map(str::to_owned))
        .filter(|name| !name.ends_with(".second"))
        .collect();
    names.sort();
    assert!(names.len() >= 30, "only {} bad flows were found", names.len());
    let mut wrong = String::new();
    let mut codes = BTreeSet::new();
    for name in &names {
        let sources = example(name);
        let found = diagnostics(&sources);
        codes.extend(found.iter().map(|fault| format!("{:?}", fault.code)));
        let report = reports(&sources, &found);
        let path = golden().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &report).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != report {
            let _ = writeln!(wrong, "--- {name}: this is not what {name}.txt has\n{report}");
        }
        // One mistake is one report: nothing else may follow from it.
        let own = name.split('-').next().unwrap();
        for fault in found.iter().filter(|fault| format!("{:?}", fault.code) != own) {
            let _ = writeln!(wrong, "--- {name}: {fault}");
        }
        if found.is_empty() {
            let _ = writeln!(wrong, "--- {name}: no fault was found");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let all = [
        "F001", "F002", "F003", "F010", "F011", "F012", "F013", "F020", "F021", "F030", "F031", "F032",
        "F033", "F034", "F035", "F036", "F040", "F041", "F050", "F051", "F052", "F060", "F063", "F070",
        "F072", "F080", "F090",
    ];
    let missing: Vec<&str> = all.into_iter().filter(|code| !codes.contains(*code)).collect();
    assert!(missing.is_empty(), "codes without a bad flow: {missing:?}");
}

#[test]
fn a_diagnostic_is_data_too() {
    let sources = example("F010-step");
    let json = serde_json::to_value(&diagnostics(&sources)[0]).unwrap();
    assert_eq!(json["code"], "F010");
    assert_eq!(json["severity"], "error");
    assert_eq!(
        (json["labels"][0]["line"].as_u64(), json["labels"][0]["column"].as_u64()),
        (Some(5), Some(21))
    );
}

#[test]
fn the_version_follows_the_content() {
    let sources = shipped();
    let version = |sources: &Sources| good(sources).version().to_owned();
    let first = version(&sources);
    assert_eq!(first, version(&sources));
    let mut other = sources.clone();
    other.messages[0].text = other.messages[0].text.replace("Goodbye.", "Bye.");
    assert_ne!(first, version(&other));
}

// ---- the engine

/// A generator that needs no crate: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

fn value_of(ty: Type, dice: &mut Dice) -> Value {
    let cny = Currency::new("CNY").unwrap();
    let amount = |n: i64| Value::Money(Money::new(n, cny));
    match ty {
        Type::Int => Value::Int(dice.pick(&[1, 3])),
        Type::Money => amount(dice.pick(&[50, 5_000, 200_000])),
        Type::Phone => Value::Phone(Msisdn::parse("+8613800000003").unwrap()),
        Type::Digits => Value::Digits("204813".into()),
        Type::List(_) => Value::List(vec![amount(5_000), amount(10_000)]),
        Type::Choice(family) => Value::Text(dice.pick(family.words).into()),
        Type::Bool => Value::Bool(true),
        _ => Value::Text("x".into()),
    }
}

fn random_answer(input: &Input, dice: &mut Dice) -> Answer {
    let digits = match input {
        Input::Menu(keys) => return Answer::Key(dice.pick(&[keys.clone(), vec!['*', '0', '7']].concat())),
        Input::Secret { .. } => {
            return dice.pick(&[Answer::Secret(Secret::from("97531864")), Answer::Secret(Secret::from("1"))]);
        }
        Input::Phone { .. } => dice.pick(&["13800000002", "13800000002", "13800000004", "12"]),
        Input::Money { .. } => dice.pick(&["50", "100", "70", "0"]),
        Input::Digits { .. } => dice.pick(&["1234", "1"]),
        Input::Date => dice.pick(&["3112", "01012030", "3002"]),
    };
    let others = [Answer::Key('*'), Answer::Empty, Answer::Silence, Answer::Invalid];
    if dice.roll(6) == 0 { dice.pick(&others) } else { Answer::Digits(digits.into()) }
}

/// What must hold of every conversation, whatever the caller does and however actions end.
#[test]
fn random_conversations_end_and_pay_only_what_was_heard() {
    let sources = shipped();
    let catalog = good(&sources);
    let program = catalog.program("recharge").unwrap();
    let clips = sources.clips.unwrap();
    let mut payments = 0;
    for seed in 1..=400_u64 {
        println!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let start = Start {
            channel: Channel::Voice,
            caller: Some(Msisdn::parse("+8613800000001").unwrap()),
            language: "en".into(),
            prefilled: [("amount".to_owned(), "50".to_owned())]
                .into_iter()
                .filter(|_| seed % 3 == 0)
                .collect(),
            at: Moment::default(),
            restarted: false,
        };
        let (mut state, mut event) = (State::new(&program), Event::Start(start));
        let (mut heard, mut confirming, mut pending) = (Vec::new(), false, false);
        for turn in 0.. {
            assert!(turn < 1_000, "the conversation does not end");
            let typed_secret = matches!(&event, Event::Answer(Answer::Secret(_)));
            let (next, effects) = step(&program, state, event);
            let saved = serde_json::to_string(&next).unwrap();
            assert!(!saved.contains("97531864"), "the state keeps a secret");
            assert_eq!(serde_json::from_str::<State>(&saved).unwrap(), next);
            state = next;
            for effect in &effects {
                let Effect::Say(utterances) = effect else { continue };
                heard.clone_from(utterances);
                for utterance in utterances {
                    for sound in program.sounds(utterance, "en") {
                        assert!(!matches!(&sound, Sound::Clip(id) if !clips.contains(&**id)), "{sound:?}");
                    }
                }
            }
            let last = effects.last().expect("something to do");
            assert!(!format!("{effects:?}").contains("97531864"));
            event = match (last, state.wait) {
                (Effect::End, Wait::Over) => break,
                (Effect::Collect(collect), Wait::Answer) => {
                    confirming = collect.confirmation;
                    Event::Answer(random_answer(&collect.input, &mut dice))
                }
                (Effect::Do { action, arguments }, Wait::Outcome) => {
                    if action.moves_money() {
                        payments += 1;
                        assert!(typed_secret && confirming, "paid without a confirmation");
                        assert!(!pending, "paid again after an unknown payment");
                        let question = heard.last().unwrap();
                        for (field, argument) in action.parameters.iter().zip(arguments) {
                            if let Argument::Value(value @ (Value::Phone(_) | Value::Money(_))) = argument {
                                assert!(question.slots.contains(value), "{} was not heard", field.name);
                            }
                        }
                    }
                    let outcome = if dice.roll(3) == 0 {
                        &action.outcomes[dice.roll(action.outcomes.len())]
                    } else {
                        &action.outcomes[0]
                    };
                    pending |= outcome.name == "pending";
                    let values = outcome.values.iter().map(|field| value_of(field.ty, &mut dice)).collect();
                    Event::Outcome { name: outcome.name.into(), values }
                }
                other => panic!("{other:?}"),
            };
        }
    }
    assert!(payments > 100, "only {payments} payments were tried");
}

fn begun(channel: Channel) -> (Catalog, State, Vec<Effect>) {
    let catalog = good(&shipped());
    let program = catalog.program("recharge").unwrap();
    let start = Start {
        channel,
        caller: Some(Msisdn::parse("+8613800000001").unwrap()),
        language: "xx".into(),
        prefilled: std::collections::BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
    };
    let (state, effects) = step(&program, State::new(&program), Event::Start(start));
    (catalog, state, effects)
}

fn said(effects: &[Effect]) -> Vec<String> {
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Say(utterances) => Some(utterances.iter().map(|u| u.name.to_string())),
        _ => None,
    });
    said.flatten().collect()
}

#[test]
fn a_session_that_breaks_the_contract_is_ended_politely() {
    let (catalog, state, _) = begun(Channel::Voice);
    let program = catalog.program("recharge").unwrap();
    assert_eq!(state.language, "en", "an unknown language falls back to the default");
    let account = || Value::Text("account".into());
    for (name, values) in [
        ("no such outcome", vec![]),
        ("bound", vec![]),
        ("bound", vec![Value::Int(1)]),
        ("bound", vec![account(), account()]),
    ] {
        let (after, effects) = step(&program, state.clone(), Event::Outcome { name: name.into(), values });
        assert_eq!((said(&effects), after.wait), (vec!["trouble".to_owned()], Wait::Over));
    }
    let mut nobody = state.clone();
    nobody.caller = None;
    let event = Event::Outcome { name: "bound".into(), values: vec![account()] };
    assert_eq!(said(&step(&program, nobody, event).1), ["trouble"], "bound without a number");
    // An event that is not waited for changes nothing.
    let (after, effects) = step(&program, state.clone(), Event::Answer(Answer::Key('1')));
    assert!(effects.is_empty() && after == state);
    let (over, effects) = step(&program, state, Event::Hangup);
    assert!(effects.is_empty() && over.is_over());
    let (after, effects) =
        step(&program, over.clone(), Event::Outcome { name: "no_number".into(), values: vec![] });
    assert!(effects.is_empty() && after == over, "what comes after the end is ignored");
}

#[test]
fn listening_follows_the_question() {
    let (catalog, state, _) = begun(Channel::Voice);
    let program = catalog.program("recharge").unwrap();
    let collect = |effects: &[Effect]| match effects.last() {
        Some(Effect::Collect(collect)) => collect.clone(),
        other => panic!("{other:?}"),
    };
    let outcome = |name: &str, values: Vec<Value>| Event::Outcome { name: name.into(), values };
    let money = |minor| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    let (state, effects) = step(&program, state, outcome("bound", vec![Value::Text("a".into())]));
    let menu = collect(&effects);
    assert_eq!((menu.input, menu.keys, menu.fresh), (Input::Menu(vec!['1', '2']), vec!['*', '0'], false));
    let (again, effects) = step(&program, state.clone(), Event::Answer(Answer::Key('9')));
    assert!(collect(&effects).fresh, "keys typed before an error was heard are dropped");
    assert_eq!(said(&effects), ["input.key", "confirm-number", "own", "other"]);
    assert_eq!(again.at, state.at);
    let (state, _) = step(&program, state, Event::Answer(Answer::Key('1')));
    let amounts = Value::List(vec![money(5_000), money(10_000)]);
    let (state, effects) = step(&program, state, outcome("ok", vec![Value::Text("c".into()), amounts]));
    let amount = collect(&effects);
    assert_eq!((amount.input.length(), amount.keys, amount.fresh), ((1, 4), vec!['*'], false));
    let (state, _) = step(&program, state, Event::Answer(Answer::Digits("50".into())));
    let (paid, effects) = step(&program, state.clone(), outcome("ok", vec![money(50), money(5_050)]));
    let pin = collect(&effects);
    assert_eq!(pin.input, Input::Secret { min: 4, max: 8 });
    assert!(pin.confirmation && pin.fresh && pin.quiet);
    assert!(!said(&effects).is_empty() && paid.wait == Wait::Answer);
    let (_, effects) = step(&program, state, outcome("duplicate", vec![Value::Int(4), money(50)]));
    assert!(collect(&effects).fresh, "a key typed ahead must not repeat a payment");
}

#[test]
fn one_session_takes_a_bounded_number_of_inputs() {
    let (catalog, state, _) = begun(Channel::Ussd);
    let program = catalog.program("recharge").unwrap();
    let values = vec![Value::Text("a".into())];
    let (mut state, _) = step(&program, state, Event::Outcome { name: "bound".into(), values });
    let mut inputs = 0;
    while !state.is_over() {
        // Back at the first question asks it again, and is never a wrong answer.
        let (next, effects) = step(&program, state, Event::Answer(Answer::Text("*".into())));
        state = next;
        inputs += 1;
        assert!(inputs <= 65, "still going on");
        if state.is_over() {
            assert_eq!(said(&effects), ["goodbye"]);
        }
    }
    assert_eq!(inputs, 65);
}

/// A catalogue of one small flow with the messages of the bad examples.
fn small(flow: &str) -> Catalog {
    good(&Sources {
        flows: vec![SourceFile::new("small.flow", flow)],
        messages: vec![SourceFile::new("en.msg", read(&golden().join("base.en.msg")))],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    })
}

#[test]
fn back_restores_what_was_known_when_the_question_was_asked() {
    let flow = "flow small 1\n  keys * back\n  visits 90 then bye\n  start with n = 1\n\
                step ask\n  ask @code for code: digits\n  set n = n + 1\n  -> more\n\
                step more\n  ask @code for other: digits\n  set n = n + 1\n  if n > 500 -> bye\n  -> ask\n\
                step bye\n  tell @bye\n  -> end\n";
    let catalog = small(flow);
    let program = catalog.program("small").unwrap();
    let start = Start {
        channel: Channel::Ussd,
        caller: None,
        language: "en".into(),
        prefilled: std::collections::BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
    };
    let (mut state, _) = step(&program, State::new(&program), Event::Start(start));
    let mut before = vec![state.clone()];
    for digit in 0..20 {
        let answer = Event::Answer(Answer::Text(format!("{digit}")));
        state = step(&program, state, answer).0;
        before.push(state.clone());
    }
    assert_eq!(state.variable(&program, "n"), Some(&Value::Int(21)));
    // Sixteen answers are remembered; further back there is nothing to go to.
    for (count, expected) in (1..=20).zip(before.iter().rev().skip(1)) {
        state = step(&program, state, Event::Answer(Answer::Text("*".into()))).0;
        let expected = if count <= 16 { expected } else { &before[4] };
        assert_eq!(state.at, expected.at, "after {count} times back");
        for name in ["n", "code", "other"] {
            assert_eq!(
                state.variable(&program, name),
                expected.variable(&program, name),
                "{name} after {count}"
            );
        }
    }
}

#[test]
fn wordings_taper_and_a_long_list_is_cut() {
    let flow = "flow small 1\n  tries 4 then bye\n\
                step ask\n  ask @code for code: digits, 4 digits, no barge-in, wait 9s\n    again @number\n\
                    silent 2 @amount\n    wrong 3 @which\n  -> end\n\
                step bye\n  tell @bye\n  -> end\n";
    let catalog = small(flow);
    let program = catalog.program("small").unwrap();
    let start = Start {
        channel: Channel::Voice,
        caller: None,
        language: "en".into(),
        prefilled: std::collections::BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
    };
    let (first, effects) = step(&program, State::new(&program), Event::Start(start));
    let Some(Effect::Collect(collect)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((collect.barge_in, collect.first_digit.as_secs()), (false, 9));
    for (answer, said_then) in [
        (
            Answer::Silence,
            [&["input.silence", "number"][..], &["amount"], &["amount"], &["input.silence", "bye"]],
        ),
        (
            Answer::Digits("1".into()),
            [
                &["input.digits", "number"][..],
                &["input.digits", "number"],
                &["which"],
                &["input.digits", "bye"],
            ],
        ),
    ] {
        let mut state = first.clone();
        for expected in said_then {
            let (next, effects) = step(&program, state, Event::Answer(answer.clone()));
            state = next;
            assert_eq!(said(&effects), expected, "{answer:?}");
        }
        assert!(state.is_over());
    }

    let catalog = good(&shipped());
    let program = catalog.program("recharge").unwrap();
    let cny = Currency::new("CNY").unwrap();
    let (_, state, _) = begun(Channel::Ussd);
    let state = step(&program, state, bound()).0;
    let state = step(&program, state, Event::Answer(Answer::Text("1".into()))).0;
    let amounts = (1..=30).map(|n| Value::Money(Money::new(n * 100, cny))).collect();
    let values = vec![Value::Text("c".into()), Value::List(amounts)];
    let (_, effects) = step(&program, state, Event::Outcome { name: "ok".into(), values });
    let text = screen(&program, &effects, "en", Channel::Ussd);
    assert!(text.ends_with("11 CNY or 12 CNY?"), "{text}");
    let Some(Effect::Say(utterances)) = effects.first() else { panic!("{effects:?}") };
    let sounds = program.sounds(&utterances[0], "en");
    let amounts = sounds.iter().filter(|sound| matches!(sound, Sound::Clip(id) if &**id == "en/num/yuan"));
    assert_eq!(amounts.count(), 12);
}

fn bound() -> Event {
    Event::Outcome { name: "bound".into(), values: vec![Value::Text("account".into())] }
}

#[test]
fn screens_join_announcements_and_the_question() {
    let (catalog, state, _) = begun(Channel::Ussd);
    let program = catalog.program("recharge").unwrap();
    let values = vec![Value::Text("a".into())];
    let (state, effects) = step(&program, state, Event::Outcome { name: "bound".into(), values });
    assert_eq!(
        screen(&program, &effects, "en", Channel::Ussd),
        "Your number is 138 0000 0001.\n1. Recharge this number\n2. Another number"
    );
    let (_, effects) = step(&program, state, Event::Answer(Answer::Text("8".into())));
    assert!(screen(&program, &effects, "en", Channel::Ussd).starts_with("Input error. That is not one of"));
}

/// The target of a repeat recharge: 12 keys and 25 seconds, were every prompt heard to its end before a key
/// is pressed.
#[test]
fn a_repeat_recharge_is_short() {
    let catalog = good(&shipped());
    let program = catalog.program("recharge").unwrap();
    let (_, mut state, _) = begun(Channel::Voice);
    let money = |minor| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    let outcome = |name: &str, values: Vec<Value>| Event::Outcome { name: name.into(), values };
    let mut seconds = 0.0;
    for event in [
        outcome("bound", vec![Value::Text("a".into())]),
        Event::Answer(Answer::Key('1')),
        outcome("ok", vec![Value::Text("c".into()), Value::List(vec![money(5_000), money(10_000)])]),
        Event::Answer(Answer::Digits("50".into())),
        outcome("ok", vec![money(50), money(5_050)]),
    ] {
        let (next, effects) = step(&program, state, event);
        state = next;
        for effect in &effects {
            let Effect::Say(utterances) = effect else { continue };
            for sound in utterances.iter().flat_map(|utterance| program.sounds(utterance, "en")) {
                seconds += match sound {
                    Sound::Pause(pause) => pause.as_secs_f64(),
                    Sound::Clip(id) => {
                        let wav = hound::WavReader::open(root().join(format!("prompts/{id}.wav"))).unwrap();
                        f64::from(wav.duration()) / 8_000.0
                    }
                };
            }
            seconds += PAUSE_BETWEEN.as_secs_f64();
        }
    }
    println!("{seconds:.1} s of prompts before the PIN is typed");
    assert!(seconds < 25.0, "{seconds}");
}

// ---- bad input

#[test]
fn large_input_is_answered_quickly() {
    let messages = vec![SourceFile::new("en.msg", read(&golden().join("base.en.msg")))];
    let numbers = vec![source("en/numbers.say", "prompts/en/numbers.say")];
    let huge_line = format!("flow bad 1\nstep first\n  tell @{}\n", "x".repeat(10_000_000));
    let many_steps = (0..100_000).fold("flow bad 1\n".to_owned(), |mut text, n| {
        let _ = writeln!(text, "step s{n}\n  -> end");
        text
    });
    let deep = format!("flow bad 1\nstep first\n  if {}1 = 1 -> end\n  -> end\n", "not (".repeat(150));
    let wide = format!("flow bad 1\nstep first\n  if 1 = 1{} -> end\n  -> end\n", " and 1 = 1".repeat(90));
    for (text, code) in
        [(huge_line, Code::F002), (many_steps, Code::F002), (deep, Code::F001), (wide, Code::F001)]
    {
        let sources = Sources {
            flows: vec![SourceFile::new("bad.flow", text)],
            messages: messages.clone(),
            numbers: numbers.clone(),
            clips: None,
        };
        let found = compile(&sources, &settings()).unwrap_err();
        assert!(found.iter().any(|fault| fault.code == code), "{code:?}: {found:?}");
        assert!(found.len() < 60);
        assert!(reports(&sources, &found).len() < 60_000);
    }
}

fn runner(cases: u32, seed: [u8; 32]) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// Compiles and renders whatever comes out; the point is that it comes back.
fn survives(flow: String, message: String, rules: String) {
    let sources = Sources {
        flows: vec![SourceFile::new("x.flow", flow)],
        messages: vec![SourceFile::new("en.msg", message)],
        numbers: vec![SourceFile::new("en/numbers.say", rules)],
        clips: None,
    };
    if let Err(faults) = compile(&sources, &settings()) {
        for fault in faults.iter().take(5) {
            assert!(!fault.render(|file| sources.text(file), false).is_empty());
        }
    }
}

#[test]
fn no_text_makes_the_checker_panic() {
    let seed = [7; 32];
    println!("seed {seed:?}");
    let text = "(?s)[-a-z0-9 \n@{}().,:;<>=*#\"|é→\\[\\]+_]{0,300}";
    runner(150, seed)
        .run(&(text, text, text), |(flow, message, rules)| {
            survives(format!("flow x 1\nstep a\n  {flow}"), message, rules);
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_change_of_a_good_flow_makes_the_checker_panic() {
    let seed = [11; 32];
    println!("seed {seed:?}");
    let shipped = shipped();
    let (flow, message, rules) =
        (&shipped.flows[0].text, &shipped.messages[0].text, &shipped.numbers[0].text);
    let lines: Vec<&str> = flow.lines().collect();
    let change = (0..lines.len(), 0..lines.len(), 0_usize..60, "[-a-z@(){}*,=> \"0-9]{0,6}");
    runner(200, seed)
        .run(&proptest::collection::vec(change, 1..4), |changes| {
            let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            for (from, to, at, insert) in changes {
                let line = changed[from].clone();
                let at = line.char_indices().nth(at).map_or(line.len(), |(index, _)| index);
                changed[to] = format!("{}{insert}{}", &line[..at], &line[at..]);
            }
            survives(changed.join("\n"), message.clone(), rules.clone());
            let cut: String = message.chars().skip(changed.len() * 7 % 500).collect();
            survives(flow.clone(), cut, rules.clone());
            Ok(())
        })
        .unwrap();
}
