//! The shipped flows: no fault, every clip, and transcripts that come by everything.

use std::fmt::Write as _;

use keytone::dialplan::catalog::Sources;
use keytone::dialplan::diagnostic::Code;
use keytone::dialplan::flowtest;

use super::{good, read, reports, root, settings, shipped, source};

#[test]
fn the_shipped_flows_have_no_fault_and_every_clip() {
    let sources = shipped();
    let catalog = good(&sources);
    // What a bill is called and asked for is longer than three screens in some languages.
    let others: Vec<_> =
        catalog.warnings().iter().filter(|w| ![Code::F053, Code::F101].contains(&w.code)).cloned().collect();
    assert!(others.is_empty(), "{}", reports(&sources, &others));
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
