//! One mistake is one report: every word of good flows is misspelt in turn, lines are left out and doubled, and what
//! is reported is counted.

use std::collections::BTreeMap;

use keytone::dialplan::catalog::{Sources, compile};
use keytone::dialplan::diagnostic::{Code, Diagnostic};

use super::{good, reports, settings, shipped};

/// What kind of slip it is, the changed flow, and how many reports it may make.
struct Slip {
    what: &'static str,
    line: usize,
    text: String,
    most: usize,
}

fn without_comment(line: &str) -> &str {
    line.split("--").next().unwrap_or_default().trim_end()
}

/// The flow with one line changed.
fn changed(lines: &[&str], at: usize, line: &str) -> String {
    let mut lines = lines.to_vec();
    lines[at] = line;
    lines.join("\n")
}

/// A word with two letters in the other order.
fn misspelt(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let swap = (1..letters.len() - 1).find(|at| letters[*at] != letters[at + 1]);
    match swap {
        Some(at) => letters.swap(at, at + 1),
        None => letters.push('x'),
    }
    letters.into_iter().collect()
}

fn slips(text: &str) -> Vec<Slip> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = without_comment(line);
        let mut slip = |what, from: &str, most: usize| {
            let to = misspelt(from);
            let position = code.rfind(from).unwrap();
            let line = format!("{}{to}{}", &code[..position], &code[position + from.len()..]);
            out.push(Slip { what, line: at + 1, text: changed(&lines, at, &line), most });
        };
        if let Some((_, step)) = code.rsplit_once("-> ")
            && step != "end"
        {
            slip("step", step, 1);
        }
        for message in code.split('@').skip(1) {
            let key = message.split([' ', '(', ')']).next().unwrap();
            slip("message", key, 1);
        }
        if let Some(action) = code.trim().strip_prefix("do ") {
            slip("action", action.split('(').next().unwrap(), 1);
        }
        if let Some(outcome) = code.trim().strip_prefix("on ") {
            let name = outcome.split([' ', '(']).next().unwrap();
            if name.len() > 2 {
                slip("outcome", name, 1);
            }
        }
        if let Some(word) = code.split_whitespace().next().filter(|word| word.len() > 2) {
            // A heading that is not understood makes its whole step, and the ways to it, unknown.
            slip("first word", word, if code.starts_with(' ') { 1 } else { 3 });
        }
        for name in code
            .split(['(', ')', ',', ' '])
            .filter(|word| ["phone", "amount", "amounts", "fee"].contains(word))
        {
            // A misspelt variable that is set there leaves the right one unset wherever it is read.
            slip("variable", name, 2);
        }
        if !code.trim().is_empty() {
            let without = changed(&lines, at, "");
            out.push(Slip { what: "left out", line: at + 1, text: without, most: 2 });
            let doubled = changed(&lines, at, &format!("{code}\n{code}"));
            out.push(Slip { what: "doubled", line: at + 1, text: doubled, most: 2 });
        }
    }
    out
}

fn found(sources: &Sources) -> Vec<Diagnostic> {
    let faults = match compile(sources, &settings()) {
        Ok(catalog) => catalog.warnings().to_vec(),
        Err(faults) => faults,
    };
    // The messages of the other flows are said by nothing here.
    faults.into_iter().filter(|fault| fault.code != Code::F051).collect()
}

#[test]
fn one_slip_of_the_pen_is_one_report() {
    let mut sources = shipped();
    sources.clips = None;
    sources
        .flows
        .retain(|flow| ["recharge.flow", "stranger.flow", "vouch.flow"].contains(&flow.name.as_str()));
    // What only the flows beside it say is no slip.
    let unsaid = good(&sources).warnings().to_vec();
    let text = sources.flows[0].text.clone();
    let (mut wrong, mut counts) = (String::new(), BTreeMap::new());
    for slip in slips(&text) {
        sources.flows[0].text.clone_from(&slip.text);
        let faults: Vec<_> = found(&sources).into_iter().filter(|fault| !unsaid.contains(fault)).collect();
        let count: &mut [usize; 2] = counts.entry(slip.what).or_default();
        count[0] += 1;
        count[1] += faults.len();
        if faults.len() > slip.most {
            wrong.push_str(&format!("---- line {}, {}: {} reports\n", slip.line, slip.what, faults.len()));
            wrong.push_str(&reports(&sources, &faults));
        }
    }
    println!("slips and reports: {counts:?}");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(counts.values().map(|count| count[0]).sum::<usize>() > 300, "{counts:?}");
}
