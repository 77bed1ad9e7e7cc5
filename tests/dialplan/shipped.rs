//! The shipped flows: no fault, every clip, and transcripts that come by everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keytone::dialplan::catalog::Sources;
use keytone::dialplan::diagnostic::Code;
use keytone::dialplan::event::Channel;
use keytone::dialplan::flowtest::{self, Coverage};

use super::{good, in_every_language, read, reports, root, settings, shipped, source};

/// The most that a saved conversation takes, though the menu holds the variables of all that it leads to.
const STATE_BYTES_MAX: usize = 1_024;

#[test]
fn the_shipped_flows_have_no_fault_and_every_clip() {
    let catalog = good(&shipped());
    let clips = [Code::F060, Code::F061, Code::F062];
    assert!(!catalog.warnings().iter().any(|fault| clips.contains(&fault.code)), "{:?}", catalog.warnings());
    let sources = in_every_language();
    let catalog = good(&sources);
    let told: Vec<_> =
        catalog.warnings().iter().filter(|fault| !clips.contains(&fault.code)).cloned().collect();
    assert!(told.is_empty(), "{}", reports(&sources, &told));
    for (number, flow) in
        [("12580", "main"), ("12584", "recharge"), ("12590", "bill"), ("12583", "charge"), ("12592", "store")]
    {
        assert_eq!(catalog.find_voice(number, false).unwrap().name(), flow);
    }
    assert_eq!(catalog.find_ussd("*100#", false).unwrap().program.name(), "main");
    assert_eq!(catalog.find_sms("help", false).unwrap().program.name(), "main");
    assert_eq!(catalog.find_ussd("*125*50#", false).unwrap().prefilled["amount"], "50");
    assert_eq!(catalog.find_sms("rc 50 138", false).unwrap().prefilled["phone"], "138");
    assert!(catalog.find_sms("RC", false).is_none());
}

#[test]
fn every_shipped_transcript_holds_on_all_channels_and_in_all_languages() {
    let catalog = good(&in_every_language());
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("dialplans")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.ends_with(".flowtest") {
            files.entry(name.split('.').next().unwrap().to_owned()).or_default().push(name);
        }
    }
    let mut told = String::new();
    for program in catalog.programs() {
        let flow = program.name();
        let served: BTreeSet<Channel> =
            catalog.routes().iter().filter(|route| route.flow == flow).map(|route| route.channel).collect();
        assert_eq!(served.len(), 3, "{flow} is served on {served:?}");
        let mut all = Coverage::default();
        let mut channels = BTreeSet::new();
        for file in files.get(flow).into_iter().flatten() {
            let text = read(&root().join("dialplans").join(file));
            let (scripts, faults) = flowtest::parse(file, &text, &settings());
            assert!(faults.is_empty(), "{faults:?}");
            let more: Vec<_> =
                scripts.iter().flat_map(|script| flowtest::everywhere(&catalog, flow, script)).collect();
            channels.extend(more.iter().flat_map(|script| &script.channels).map(|(channel, _)| *channel));
            let (coverage, failures) = flowtest::run(&catalog, flow, &more);
            for failure in failures {
                let _ = writeln!(told, "{file}:{} \"{}\" on {}", failure.line, failure.test, failure.channel);
                let _ = writeln!(told, "  {}\n    {}", failure.reason, failure.transcript.join("\n    "));
            }
            all.steps.extend(coverage.steps);
            all.outcomes.extend(coverage.outcomes);
            all.state_bytes = all.state_bytes.max(coverage.state_bytes);
        }
        assert_eq!(channels, served, "{flow}");
        for missing in all.missing(program) {
            let _ = writeln!(told, "{flow}: no transcript comes by {missing}");
        }
        if all.state_bytes > STATE_BYTES_MAX {
            let _ = writeln!(told, "{flow}: a saved session takes {} bytes", all.state_bytes);
        }
    }
    assert!(told.is_empty(), "{told}");
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
