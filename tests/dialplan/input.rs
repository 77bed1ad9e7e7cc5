//! Bad input: whatever is in a file, the checker comes back with reports, soon and without much memory.

use std::fmt::Write as _;

use super::{golden, read, reports, runner, settings, shipped, source};
use keytone::dialplan::catalog::{SourceFile, Sources, compile};
use keytone::dialplan::diagnostic::Code;

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
