//! Bad flows with the reports that they must give: one mistake, one report.
//!
//! `UPDATE=1` writes the reports of `tests/golden/dialplan` anew; read the difference before it is committed. The page
//! of codes holds some of them: build once more and update it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keytone::dialplan::catalog::{Settings, Sources, compile};
use keytone::dialplan::diagnostic::{Code, Diagnostic, Severity};
use keytone::money::Money;

use super::{example, golden, reports, root, settings};

/// What the configuration gives the params of an example: lines `flow.param = text` in `NAME.params`.
fn overrides(sources: &Sources) -> BTreeMap<String, BTreeMap<String, String>> {
    let path = golden().join(sources.flows[0].name.replace(".flow", ".params"));
    let mut out: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let (param, text) = line.split_once(" = ").unwrap();
        let (flow, param) = param.split_once('.').unwrap();
        out.entry(flow.to_owned()).or_default().insert(param.to_owned(), text.to_owned());
    }
    out
}

/// The most that an example may take by text message without a PIN: an amount in `NAME.cap`.
fn cap(sources: &Sources) -> Option<Money> {
    let path = golden().join(sources.flows[0].name.replace(".flow", ".cap"));
    let amount = std::fs::read_to_string(path).ok()?;
    Some(Money::parse(amount.trim(), settings().currency).unwrap())
}

fn diagnostics(sources: &Sources) -> Vec<Diagnostic> {
    let settings = Settings { params: overrides(sources), no_pin_cap: cap(sources), ..settings() };
    let found = match compile(sources, &settings) {
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
    // These do not come from flows: `prompts check` and `test --coverage` have tests of their own for them.
    let elsewhere = [Code::F061, Code::F062, Code::F110];
    let all = Code::ALL.into_iter().filter(|code| !elsewhere.contains(code));
    let missing: Vec<Code> = all.filter(|code| !codes.contains(&format!("{code:?}"))).collect();
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
fn the_page_of_codes_is_what_the_program_says() {
    let path = root().join("docs/dialplan-codes.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, Code::page()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == Code::page(), "write it anew: keytone check --codes-page > docs/dialplan-codes.md");
}

#[test]
fn every_report_has_the_severity_of_its_code() {
    for code in Code::ALL {
        let example = code.example();
        assert!(example.is_empty() || example.starts_with(&format!("{code:?}\n")), "{code:?}: {example}");
        let sign = match code.severity() {
            Severity::Error => '×',
            Severity::Warning => '⚠',
            Severity::Hint => '☞',
        };
        assert!(example.is_empty() || example.contains(sign), "{code:?}: {example}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let mut sources = example("F071-menu");
    let reported =
        |sources: &Sources| diagnostics(sources).iter().map(|fault| fault.code).collect::<Vec<_>>();
    assert_eq!(reported(&sources), [Code::F071]);
    let text = sources.flows[0].text.clone();
    sources.flows[0].text = text.replace("menu first", "menu first  -- allow F071: the test wants them");
    assert_eq!(reported(&sources), []);
    sources.flows[0].text = text.replace("menu first", "-- allow F071: the test wants them\nmenu first");
    assert_eq!(reported(&sources), []);
    sources.flows[0].text = text.replace("menu first", "menu first  -- allow F070: another code");
    assert!(reported(&sources).contains(&Code::F071));
    // What protects money stays, and the allowance is told to be without effect.
    let mut sources = example("F035-not-heard");
    let line = "do recharge.pay(phone, amount, pin, repeat)";
    sources.flows[0].text = sources.flows[0].text.replace(line, &format!("{line}  -- allow F035: trust me"));
    assert!(sources.flows[0].text.contains("trust me"));
    assert_eq!(reported(&sources), [Code::F035, Code::F101]);
}

#[test]
fn a_fault_never_explains_itself_away() {
    let reported = |head: &str, body: &str| {
        let mut sources = example("F010-step");
        sources.flows[0].text = format!("flow bad 1\n{head}step first\n{body}");
        compile(&sources, &settings()).expect_err("a flow with a fault must not be used")
    };
    for (head, body) in [
        ("  param most: number = nothing\n", "  if most > 1 -> end\n  -> end\n"),
        ("  param most: nothing = 1\n", "  if most > 1 -> end\n  -> end\n"),
        ("", "  if nothing > 1 -> end\n  -> end\n"),
        ("", "  on ok(nothing) -> end\n  -> end\n"),
        ("", "  again @hello\n  again @hello\n  -> end\n"),
    ] {
        assert!(reported(head, body).iter().any(Diagnostic::is_error), "{head}{body}");
    }
}
