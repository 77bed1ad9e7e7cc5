//! The author in the place of the payment core: `keytone talk` asks the terminal how an action ends, in the notation of
//! `given` in a transcript. Nothing is performed and no money moves.

use super::say;
use crate::dialplan::action::Action;
use crate::dialplan::catalog::Settings;
use crate::dialplan::flowtest;
use crate::dialplan::value::Value;

/// Asks until the answer can be read; `None` at the end of the input.
pub(super) fn ask(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    action: &Action,
    settings: &Settings,
) -> anyhow::Result<Option<(String, Vec<Value>)>> {
    let endings: Vec<String> =
        action.outcomes.iter().enumerate().map(|(n, o)| format!("{} {}", n + 1, o.pattern())).collect();
    say(format!("  {} ends in? {}", action.name, endings.join(" · ")));
    say("  (a number, or as in a transcript: ok(50, 0.50); an empty line for the first)");
    for line in lines {
        let line = line?;
        let written = match line.trim() {
            "" => "1",
            other => other,
        };
        let numbered = written.parse::<usize>().ok().and_then(|n| action.outcomes.get(n.checked_sub(1)?));
        let read = match numbered {
            Some(outcome) => flowtest::outcome(action, outcome.name, settings),
            None => flowtest::outcome(action, written, settings),
        };
        match read {
            Ok((name, values)) => {
                say(format!("  {} -> {name}", action.name));
                return Ok(Some((name, values)));
            }
            Err(want) => say(format!("  expected {want}")),
        }
    }
    Ok(None)
}
