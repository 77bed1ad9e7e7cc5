//! The language of dialplans beyond one flow: sub-flows put in place, params, drafts, versions, limits.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keytone::dialplan::catalog::{Catalog, FLOWS_MAX, Settings, SourceFile, Sources, compile};
use keytone::dialplan::diagnostic::{Code, Diagnostic};
use keytone::dialplan::event::{Answer, Channel, Effect, Event, Start};
use keytone::dialplan::state::State;
use keytone::dialplan::step::step;
use keytone::dialplan::value::Value;
use keytone::money::Currency;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn settings() -> Settings {
    Settings {
        country: "86".into(),
        national_digits: (11, 11),
        ..Settings::of(Currency::new("CNY").unwrap())
    }
}

/// Flows by name with the messages of the bad examples.
fn sources(flows: &[&str]) -> Sources {
    Sources {
        flows: flows
            .iter()
            .enumerate()
            .map(|(number, text)| SourceFile::new(format!("{number}.flow"), *text))
            .collect(),
        messages: vec![SourceFile::new("en.msg", read("tests/golden/dialplan/base.en.msg"))],
        numbers: vec![SourceFile::new("en/numbers.say", read("prompts/en/numbers.say"))],
        clips: None,
    }
}

/// The folder with every line of the language.
fn everything() -> Sources {
    let folder = "tests/golden/good";
    let flow = |name: &str| SourceFile::new(name, read(format!("{folder}/{name}")));
    let message = |name: &str| SourceFile::new(name, read(format!("{folder}/{name}")));
    let numbers =
        |tag: &str| SourceFile::new(format!("{tag}/numbers.say"), read(format!("prompts/{tag}/numbers.say")));
    Sources {
        flows: ["everything.flow", "ask-number.flow", "ask-pin.flow", "pay.flow"].map(flow).to_vec(),
        messages: ["messages/en.msg", "messages/sw.msg"].map(message).to_vec(),
        numbers: ["en", "sw"].map(numbers).to_vec(),
        clips: None,
    }
}

fn told(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|fault| fault.render(|file| sources.text(file), false)).collect()
}

fn good(sources: &Sources, settings: &Settings) -> Catalog {
    compile(sources, settings).unwrap_or_else(|faults| panic!("{}", told(sources, &faults)))
}

/// The faults without those of messages that an example leaves out.
fn faults(flows: &[&str]) -> Vec<String> {
    let found = match compile(&sources(flows), &settings()) {
        Ok(catalog) => catalog.warnings().to_vec(),
        Err(faults) => faults,
    };
    found.iter().filter(|fault| fault.code != Code::F051).map(ToString::to_string).collect()
}

fn start() -> Event {
    Event::Start(Start {
        channel: Channel::Ussd,
        caller: None,
        language: "en".into(),
        prefilled: BTreeMap::new(),
        at: keytone::dialplan::civil::Moment::default(),
        restarted: false,
        pin_waivable: false,
    })
}

fn said(effects: &[Effect]) -> Vec<String> {
    let mut out = Vec::new();
    for effect in effects {
        match effect {
            Effect::Say(utterances) => out.extend(utterances.iter().map(|said| said.name.to_string())),
            Effect::End => out.push("end".into()),
            _ => {}
        }
    }
    out
}

#[test]
fn every_line_of_the_language_compiles_without_a_fault() {
    let sources = everything();
    let catalog = good(&sources, &settings());
    let others: Vec<&Diagnostic> =
        catalog.warnings().iter().filter(|fault| fault.code != Code::F015).collect();
    assert!(others.is_empty(), "{}", told(&sources, catalog.warnings()));
    assert_eq!(catalog.unperformed().count(), 1);
    let program = catalog.program("everything").unwrap();
    let names: Vec<&str> = program.steps().iter().map(|step| &*step.name).collect();
    for name in ["pay/confirm/ask", "friend-pay/confirm/ask", "number/first", "wrap/first"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert_eq!(names.last(), Some(&"on hangup"));
    assert_eq!(program.resume().unwrap().as_secs(), 600);
    for text in ["buy 50", "NUNUA ５０ 13800000002"] {
        assert_eq!(catalog.find_sms(text, false).unwrap().prefilled["amount"], "50", "{text}");
    }
}

/// A flow that calls one sub-flow from two steps, and a sub-flow that calls another.
const CALLER: &str = "flow small 1\n  tries 3 then bye\n  visits 9 then bye\n\
    step one\n  call twice(1)\n  on given(code) -> two\n  on gave-up -> bye\n\
    step two\n  if code = 1111 -> bye\n  call ask(5)\n  on given(other) -> three\n  on gave-up -> three\n\
    step three\n  if known other -> bye\n  tell @count(7)\n  -> bye\n\
    step bye\n  tell @bye\n  -> end\n";
const TWICE: &str = "sub twice 1 (n: number)\n  gives given(code: digits), gave-up\n\
    step first\n  call ask(n)\n  on given(code) -> second\n  on gave-up -> return gave-up\n\
    step second\n  call ask(n + 1)\n  on given(again) -> check\n  on gave-up -> return gave-up\n\
    step check\n  if again != code -> first\n  return given(again)\n";
const ASK: &str = "sub ask 1 (n: number)\n  gives given(code: digits), gave-up\n  tries 2 then over\n\
    step ask\n  tell @count(n)\n  ask @code for code: digits, 4 digits\n  return given(code)\n\
    step over\n  tell @wrong\n  -> return gave-up\n";

#[test]
fn sub_flows_run_where_they_are_called() {
    let catalog = good(&sources(&[CALLER, TWICE, ASK]), &settings());
    let program = catalog.program("small").unwrap();
    let names: Vec<&str> = program.steps().iter().map(|step| &*step.name).collect();
    assert_eq!(
        names,
        [
            "one",
            "one/first",
            "one/first/ask",
            "one/first/over",
            "one/second",
            "one/second/ask",
            "one/second/over",
            "one/check",
            "two",
            "two/ask",
            "two/over",
            "three",
            "bye"
        ]
    );
    let text = |text: &str| Event::Answer(Answer::Text(text.into()));
    let run = |answers: &[&str]| {
        let (mut state, effects) = step(&program, State::new(&program), start());
        let mut all = vec![said(&effects)];
        for answer in answers {
            let saved = serde_json::to_string(&state).unwrap();
            let (next, effects) = step(&program, serde_json::from_str(&saved).unwrap(), text(answer));
            all.push(said(&effects));
            state = next;
        }
        (all, state)
    };
    let (all, state) = run(&["1234", "1234"]);
    assert_eq!(all, [vec!["count", "code"], vec!["count", "code"], vec!["count", "code"]]);
    assert_eq!(state.variable(&program, "code"), Some(&Value::Digits("1234".into())));
    assert_eq!(state.variable(&program, "two/n"), Some(&Value::Int(5)));
    // Another call of the same sub-flow begins with nothing of the first one.
    assert_eq!(state.variable(&program, "two/code"), None);
    assert_eq!(state.variable(&program, "other"), None);
    // The sub-flow's own tries, and its own step for giving up; then the caller goes on.
    let (all, _) = run(&["1234", "1234", "x", "y"]);
    assert_eq!(all[3], ["input.digits", "code"]);
    assert_eq!(all[4], ["input.digits", "wrong", "count", "bye", "end"]);
    let (all, _) = run(&["1111", "1111"]);
    assert_eq!(all[2], ["bye", "end"]);
    // What differs is asked again from the start, and nothing of the first round is known then.
    let (all, state) = run(&["1234", "4321"]);
    assert_eq!(all[2], ["count", "code"]);
    assert_eq!(state.variable(&program, "one/first/code"), None);
}

#[test]
fn a_fault_of_a_sub_flow_is_reported_once() {
    let bad =
        ASK.replace("return given(code)\n", "return given(nothing)\n").replace("@count(n)", "@cuont(n)");
    let found = faults(&[CALLER, TWICE, &bad]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("2.flow:5:9: F050"), "{}", found[0]);
    assert!(found[1].starts_with("2.flow:7:16: F013"), "{}", found[1]);
    // What nothing returns is told at its name, and not again as steps out of reach.
    let less = ASK
        .replace("tries 2 then over", "tries 2 then end")
        .replace("step over\n  tell @wrong\n  -> return gave-up\n", "");
    assert_eq!(faults(&[CALLER, TWICE, &less]), ["2.flow:2:30: F030 nothing returns `gave-up`"]);
    let arrow = CALLER.replace("-> bye\n  tell @count(7)", "-> return x\n  tell @count(7)");
    let found = faults(&[&arrow, TWICE, ASK]);
    assert_eq!(found, ["0.flow:14:21: F001 expected a step or `end`: put `return` in a step of its own"]);
    // A sub-flow that nothing calls is looked at all the same.
    let found = faults(&["flow small 1\nstep a\n  tell @bye\n  -> end\n", &bad]);
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[test]
fn rings_and_deep_calls_are_refused() {
    let a = "sub a 1\n  gives done\nstep s\n  ask @code for c: digits\n  call b\n  on done -> return done\n";
    let b = "sub b 1\n  gives done\nstep s\n  call a\n  on done -> return done\n";
    let flow = "flow f 1\nstep s\n  call a\n  on done -> end\n";
    assert_eq!(faults(&[flow, a, b]), ["2.flow:4:8: F016 `a` calls itself"]);
    // A sub-flow calls the next, so many times.
    let chain = |depth: usize| {
        let mut flows = vec!["flow f 1\nstep s\n  call s1\n  on done -> end\n".to_owned()];
        for number in 1..depth {
            flows.push(format!(
                "sub s{number} 1\n  gives done\nstep s\n  call s{}\n  on done -> return done\n",
                number + 1
            ));
        }
        flows.push(format!("sub s{depth} 1\n  gives done\nstep s\n  tell @bye\n  return done\n"));
        flows
    };
    let found = |depth: usize| {
        let flows = chain(depth);
        faults(&flows.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(found(8), [""; 0]);
    assert_eq!(found(9), ["8.flow:4:8: F002 calls are nested at most 8 deep"]);
}

#[test]
fn calls_that_multiply_are_bounded() {
    // Each sub-flow calls the next from six steps: six to the seventh steps if nothing stopped it.
    let mut flows = vec!["flow f 1\nstep s\n  call s1\n  on done -> end\n".to_owned()];
    for number in 1..8 {
        let mut text = format!("sub s{number} 1\n  gives done\n");
        for call in 1..=6 {
            let next = if call == 6 { "return done".to_owned() } else { format!("c{}", call + 1) };
            let _ = writeln!(text, "step c{call}\n  call s{}\n  on done -> {next}", number + 1);
        }
        flows.push(text);
    }
    flows.push("sub s8 1\n  gives done\nstep s\n  tell @bye\n  return done\n".into());
    let found = faults(&flows.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(found.iter().any(|fault| fault.contains("F002 a flow has at most 2000 steps")), "{found:#?}");
    assert!(found.len() < 5, "{found:#?}");
}

#[test]
fn money_stays_safe_over_calls() {
    let pay = read("tests/golden/good/ask-pin.flow");
    let all = everything();
    let with = |from: &str, to: &str| {
        assert!(pay.contains(from));
        let mut sources = all.clone();
        sources.flows[2].text = pay.replace(from, to);
        let found = compile(&sources, &settings()).unwrap_err();
        let errors = found.iter().filter(|fault| fault.is_error());
        errors.map(|fault| format!("{:?} {}", fault.code, fault.labels[0].file)).collect::<Vec<_>>()
    };
    // Another amount than the one that was heard; the unknown payment that is tried again.
    assert_eq!(with("recharge.pay(number, sum, pin", "recharge.pay(number, fee, pin"), ["F035 ask-pin.flow"]);
    let again = with("-> return unsure(receipt)", "tell @pending(receipt) -> ask");
    assert!(again.contains(&"F034 ask-pin.flow".to_owned()), "{again:?}");
}

#[test]
fn the_configuration_sets_params() {
    let flow = "flow small 1\n  param most: number = 3\n  param words: digits list = 12, 34\n\
                step a\n  if count words > most -> b\n  tell @count(most)\n  -> end\n\
                step b\n  tell @bye\n  -> end\n";
    let run = |params: &[(&str, &str)]| {
        let given = params.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let settings = Settings { params: BTreeMap::from([("small".to_owned(), given)]), ..settings() };
        let catalog = good(&sources(&[flow]), &settings);
        let program = catalog.program("small").unwrap();
        let (state, effects) = step(&program, State::new(&program), start());
        assert!(state.is_over());
        (said(&effects)[0].clone(), program.version().to_owned(), catalog.version().to_owned())
    };
    let (first, version, all) = run(&[]);
    assert_eq!(first, "count");
    let (second, other, other_all) = run(&[("most", "1")]);
    assert_eq!(second, "bye");
    assert!(version != other && all != other_all, "what is configured is part of the version");
    assert_eq!(run(&[("words", "1, 2, 3, 4")]).0, "bye");
}

#[test]
fn a_draft_stands_beside_the_live_flow_and_answers_testers() {
    let live = "flow small 1\n  serve voice 100\n  serve sms \"GO\"\nstep a\n  tell @hello\n  -> end\n";
    let draft = "flow small 2 draft\n  serve voice 100, 200\nstep a\n  tell @bye\n  -> end\n";
    let catalog = good(&sources(&[live, draft]), &settings());
    let number = |tester| catalog.find_voice("100", tester).unwrap().number();
    assert_eq!((number(false), number(true)), (1, 2));
    assert!(catalog.find_voice("200", false).is_none());
    assert!(catalog.find_voice("200", true).unwrap().is_draft());
    assert_eq!(catalog.find_sms("go", true).unwrap().program.number(), 1, "what the draft does not serve");
    assert_eq!(catalog.program("small").unwrap().number(), 1);
    assert_eq!(catalog.draft("small").unwrap().number(), 2);
    let twice = faults(&[draft, draft]);
    assert!(twice[0].contains("F003 there are two flows named `small`"), "{twice:?}");
}

#[test]
fn commands_with_several_words_overlap_by_any_of_them() {
    let one = "flow one 1\n  serve sms \"RC|RECARGA {n}\"\nstep a\n  ask @code for n: digits\n  tell @bye\n  if n = 1 -> end\n  -> end\n";
    let two = one.replace("flow one", "flow two").replace("RC|RECARGA", "TOP|ｒｅｃａｒｇａ");
    let found = faults(&[one, &two]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("F090 the flow `one` answers this already"), "{found:#?}");
    let same = one.replace("RC|RECARGA", "RC|rc");
    assert_eq!(faults(&[&same]).len(), 1);
}

#[test]
fn a_version_follows_what_the_flow_is_made_from() {
    let first = everything();
    let version = |sources: &Sources| {
        let catalog = good(sources, &settings());
        (catalog.program("everything").unwrap().version().to_owned(), catalog.version().to_owned())
    };
    let (own, all) = version(&first);
    assert_eq!((own.clone(), all.clone()), version(&first));
    let changed = |change: &dyn Fn(&mut Sources)| {
        let mut sources = first.clone();
        change(&mut sources);
        let (other, other_all) = version(&sources);
        assert_ne!(other_all, all, "the catalogue's version follows everything");
        other != own
    };
    let edit = |file: &mut SourceFile, from: &str, to: &str| {
        assert!(file.text.contains(from), "{from}");
        file.text = file.text.replace(from, to);
    };
    assert!(changed(&|s| edit(&mut s.flows[0], "resume 10m", "resume 11m")));
    assert!(changed(&|s| edit(&mut s.flows[2], "4..8 digits", "5..8 digits")), "a sub-flow of a sub-flow");
    assert!(changed(&|s| edit(&mut s.messages[1], "Karibu.", "Karibu sana.")), "any language");
    assert!(changed(&|s| edit(&mut s.messages[0], "wrong number", "a wrong number")), "words of a family");
    assert!(changed(&|s| edit(&mut s.numbers[0], "money CNY", "money  CNY"))); // even a space counts there
    // What the flow has nothing to do with leaves its version.
    let other = "flow other 1\nstep a\n  tell @other-said\n  -> end\n";
    let add = |s: &mut Sources, text: &str| {
        s.flows.insert(0, SourceFile::new("other.flow", other));
        for file in &mut s.messages {
            file.text = format!("other-said\n  {text}\n\n{}", file.text);
        }
    };
    assert!(!changed(&|s| add(s, "Something.")));
}

#[test]
fn what_is_not_utf8_is_told_with_its_place() {
    let mut sources = sources(&["flow small 1\nstep a\n  tell @bye\n  -> end\n"]);
    sources
        .flows
        .push(SourceFile::read("latin.flow", b"flow latin 1\n  -- caf\xe9\nstep a\n  tell @bye\n  -> end\n"));
    sources.messages.push(SourceFile::read("fr.msg", b"hello\n  Bonjour \xe0 tous.\n"));
    let found = compile(&sources, &settings()).unwrap_err();
    let told: Vec<String> =
        found.iter().filter(|fault| fault.code == Code::F002).map(ToString::to_string).collect();
    assert_eq!(told, ["latin.flow:2:9: F002 this is not UTF-8", "fr.msg:2:11: F002 this is not UTF-8"]);
    let fine = SourceFile::read("a.flow", "flow é 1".as_bytes());
    assert_eq!(fine, SourceFile::new("a.flow", "flow é 1"));
}

#[test]
fn limits_have_an_answer() {
    let flow = |head: &str, body: &str| format!("flow small 1\n{head}step a\n{body}  -> end\n");
    let has = |flows: &[&str], text: &str| {
        let found = faults(flows);
        assert!(found.iter().any(|fault| fault.contains(text)), "{text}: {found:?}");
        assert!(found.len() < 60);
    };
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    has(&[&flow(&many(65, &|n| format!("  param p{n}: number = 1\n")), "")], "at most 64 params");
    has(&[&flow(&format!("  param p: number list = 1{}\n", ", 1".repeat(60)), "")], "at most 60 values");
    has(&[&flow(&many(65, &|n| format!("  serve voice {n}\n")), "")], "at most 64 numbers");
    has(&[&flow("", &many(300, &|n| format!("  set v{n} = 1\n")))], "at most 256 variables");
    let words = vec!["A"; 65].join("|");
    has(&[&flow(&format!("  serve sms \"{words}\"\n"), "")], "at most 64 spellings");
    let flows: Vec<String> = (0..=FLOWS_MAX).map(|n| format!("flow f{n} 1\nstep a\n  -> end\n")).collect();
    has(&flows.iter().map(String::as_str).collect::<Vec<_>>(), "at most 500 flows");
    has(
        &flows[..FLOWS_MAX]
            .iter()
            .map(String::as_str)
            .chain(["sub x 1\nstep a\n  -> end\n"])
            .collect::<Vec<_>>(),
        "at most 500",
    );
}

#[test]
fn thousands_of_faults_are_told_in_bounded_time() {
    let mut text = "flow small 1\n".to_owned();
    for step in 0..1_500 {
        let _ = writeln!(text, "step s{step}");
        for line in 0..10 {
            let _ = writeln!(text, "  if v{step}x{line} -> t{step}x{line}");
        }
        text.push_str("  -> end\n");
    }
    let found = compile(&sources(&[&text]), &settings()).unwrap_err();
    assert!((100..=600).contains(&found.len()), "{}", found.len());
    let messages =
        (0..9_000).fold("flow small 1\nstep a\n".to_owned(), |text, n| text + &format!("  tell @m{n}\n"));
    assert!(faults(&[&messages]).len() <= 600);
}

/// A generator that needs no crate: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }
}

/// Words and lines of the good flows in other places: the checker comes back from whatever that makes.
#[test]
fn no_change_of_the_good_flows_makes_the_compiler_panic() {
    let good = everything();
    let shipped = [read("dialplans/recharge.flow"), read("docs/examples/bill/bill.flow")];
    let all = good.flows.iter().map(|file| &file.text).chain(&shipped);
    let lines: Vec<String> = all.flat_map(|text| text.lines()).map(str::to_owned).collect();
    let words: Vec<String> =
        lines.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
    for seed in 1..=150_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut sources = good.clone();
        for _ in 0..=dice.roll(3) {
            let number = dice.roll(sources.flows.len());
            let file = &mut sources.flows[number];
            let mut text: Vec<String> = file.text.lines().map(str::to_owned).collect();
            let at = dice.roll(text.len());
            match dice.roll(5) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, lines[dice.roll(lines.len())].clone()),
                2 => text[at] = lines[dice.roll(lines.len())].clone(),
                3 => {
                    let mut parts: Vec<&str> = text[at].split(' ').collect();
                    let word = dice.roll(parts.len());
                    parts[word] = &words[dice.roll(words.len())];
                    text[at] = parts.join(" ");
                }
                _ => {
                    let half = text[at].chars().take(dice.roll(30)).collect::<String>();
                    text[at] = half;
                }
            }
            file.text = text.join("\n");
        }
        let outcome = std::panic::catch_unwind(|| match compile(&sources, &settings()) {
            Ok(_) => 0,
            Err(faults) => {
                faults.iter().take(5).for_each(|fault| drop(fault.render(|file| sources.text(file), false)));
                faults.len()
            }
        });
        assert!(outcome.is_ok(), "seed {seed} makes the compiler panic");
        assert!(outcome.unwrap() < 200, "seed {seed}: two changes give too many reports");
    }
}
