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

fn catalogue(flows: Vec<SourceFile>) -> Sources {
    Sources {
        flows,
        messages: vec![SourceFile::new("en.msg", read(&golden().join("base.en.msg")))],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    }
}

/// The codes of what is reported; what takes long or much memory fails by the limits below.
fn codes(sources: &Sources) -> Vec<Code> {
    let found = compile(sources, &settings()).unwrap_err();
    assert!(found.len() <= 500, "{} reports", found.len());
    let all = reports(sources, &found);
    assert!(all.len() < 1_000_000, "{} bytes of reports", all.len());
    found.iter().map(|fault| fault.code).collect()
}

#[test]
fn ten_thousand_faults_are_cut_to_what_is_read() {
    let mut text = "flow bad 1\nstep first\n".to_owned();
    for n in 0..10_000 {
        let _ = writeln!(text, "  tell @missing-{n}");
    }
    let found = compile(&catalogue(vec![SourceFile::new("bad.flow", text)]), &settings()).unwrap_err();
    assert!(found.len() <= 500 && found.len() >= 100, "{}", found.len());
    let last = found.last().unwrap();
    assert!(last.hint.as_ref().unwrap().contains("more faults are not shown"), "{last}");
    // Faults of the flow of values in a chain of steps, each with a way of its own from the start.
    let mut text = "flow bad 1\n".to_owned();
    for n in 0..1_900 {
        let _ = writeln!(
            text,
            "step s{n}\n  if v{n} = 1 -> end\n  ask @code for c{n}: digits\n  -> s{}",
            (n + 1) % 1_900
        );
    }
    assert!(!codes(&catalogue(vec![SourceFile::new("bad.flow", text)])).is_empty());
}

#[test]
fn sub_flows_that_call_each_other_are_told() {
    let sub = |name: &str, calls: &str| {
        let text = format!("sub {name} 1 ()\n  gives ok\nstep a\n  call {calls}()\n  on ok -> return ok\n");
        SourceFile::new(format!("{name}.flow"), text)
    };
    let flow = SourceFile::new("bad.flow", "flow bad 1\nstep first\n  call a()\n  on ok -> end\n");
    let found = codes(&catalogue(vec![flow.clone(), sub("a", "b"), sub("b", "c"), sub("c", "a")]));
    assert!(found.contains(&Code::F016), "{found:?}");
    // Each calls the next twice: 2^30 steps if they were put in place without a limit.
    let twice = |n: usize| {
        let text = format!(
            "sub s{n} 1 ()\n  gives ok\nstep a\n  call s{0}()\n  on ok -> b\nstep b\n  call s{0}()\n  on ok -> return ok\n",
            n + 1
        );
        SourceFile::new(format!("s{n}.flow"), text)
    };
    let mut flows =
        vec![SourceFile::new("bad.flow", "flow bad 1\nstep first\n  call s0()\n  on ok -> end\n")];
    flows.extend((0..30).map(twice));
    flows.push(SourceFile::new("s30.flow", "sub s30 1 ()\n  gives ok\nstep a\n  return ok\n"));
    assert!(!codes(&catalogue(flows)).is_empty());
}

#[test]
fn files_that_are_no_text_and_names_that_are_taken() {
    let good = "flow bad 1\nstep first\n  tell @bye\n  -> end\n";
    let read = SourceFile::read("bad.flow", &[good.as_bytes(), b"  -- \xff\n"].concat());
    assert_eq!(codes(&catalogue(vec![read])), [Code::F002]);
    let twice = vec![SourceFile::new("a.flow", good), SourceFile::new("b.flow", good)];
    assert_eq!(codes(&catalogue(twice)), [Code::F003]);
    let many = (0..600).map(|n| SourceFile::new(format!("{n}.flow"), good.replace("bad", &format!("f{n}"))));
    assert_eq!(codes(&catalogue(many.collect())), [Code::F002]);
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
