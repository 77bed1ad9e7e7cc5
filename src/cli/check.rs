//! `keytone check`: every fault of the dialplans at once, what a code means, and how long texts can become.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::{colours, say, say_json};
use crate::app;
use crate::app::dialplans::Places;
use crate::connector::numbering::Plan;
use crate::connector::sandbox;
use crate::dialplan::action::all;
use crate::dialplan::catalog::{Catalog, compile};
use crate::dialplan::diagnostic::{Allowance, Code, Diagnostic, Severity};
use crate::payment::settings::Settings;

#[derive(Args, Debug)]
#[command(after_help = "\
Without a folder the shipped dialplans are checked. Exit status 1 when there is an error; with --strict also when there
is a warning. docs/dialplan-codes.md has all codes.

Examples:
  keytone check
  keytone check dialplans --prompts prompts
  keytone check dialplans --json | jq .code
  keytone check --explain F035
  keytone check dialplans --lengths
  keytone check --actions")]
pub(super) struct Arguments {
    /// Folder of *.flow and messages/*.msg
    dialplans: Option<PathBuf>,
    /// Folder of number rules and clips; without it the shipped rules are used and clips are not checked
    #[arg(long, value_name = "DIR")]
    prompts: Option<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Print the longest that each screen and text message can become, in each language
    #[arg(long)]
    lengths: bool,
    /// Print what a code means, and what to do
    #[arg(long, value_name = "CODE", exclusive = true)]
    explain: Option<String>,
    /// Print the page of all codes, docs/dialplan-codes.md
    #[arg(long, exclusive = true)]
    codes_page: bool,
    /// Print what flows can do: actions, what they take, and how they end
    #[arg(long)]
    actions: bool,
    /// One JSON object for each fault
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(name) = &arguments.explain {
        return explain(name);
    }
    if arguments.codes_page {
        say(Code::page().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.actions {
        actions();
        return Ok(ExitCode::SUCCESS);
    }
    let places = Places { dialplans: arguments.dialplans.clone(), prompts: arguments.prompts.clone() };
    let found = places.read()?;
    let mut sources = found.sources();
    if let Some(folder) = &arguments.dialplans {
        if sources.flows.is_empty() {
            bail!("there is no *.flow in {}: name the folder of your dialplans", folder.display());
        }
        if arguments.prompts.is_none() {
            sources.clips = None;
        }
    }
    let plan = Plan::parse(sandbox::PLAN).map_err(|f| anyhow::anyhow!("the shipped plan: {f:?}"))?;
    let grammar = app::grammar(&plan, &Settings::demo(plan.currency), "en");
    let (diagnostics, catalog) = match compile(&sources, &grammar) {
        Ok(catalog) => {
            let mut warnings = catalog.warnings().to_vec();
            if sources.clips.is_some() {
                warnings.extend(found.stale(&sources, &catalog));
            }
            (warnings, Some(catalog))
        }
        Err(faults) => (faults, None),
    };
    let tell = !arguments.lengths || catalog.is_none();
    for diagnostic in diagnostics.iter().filter(|_| tell) {
        if arguments.json {
            say_json(diagnostic)?;
        } else {
            say(diagnostic.render(|file| sources.text(file), colours()));
        }
    }
    if let Some(catalog) = catalog.as_ref().filter(|_| arguments.lengths) {
        lengths(catalog, arguments.json)?;
    } else if !arguments.json {
        say(closing(&diagnostics, catalog.as_ref()));
    }
    let fails = |diagnostic: &Diagnostic| match diagnostic.severity {
        Severity::Error => true,
        Severity::Warning => arguments.strict,
        Severity::Hint => false,
    };
    Ok(if diagnostics.iter().any(fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `2 flows sound, version 0123, 1 warning` or `3 errors, 1 hint`
fn closing(diagnostics: &[Diagnostic], catalog: Option<&Catalog>) -> String {
    let mut parts = Vec::new();
    if let Some(catalog) = catalog {
        let flows = catalog.programs().count();
        parts.push(format!("{flows} flow{} sound, version {}", plural(flows), catalog.version()));
    }
    for severity in [Severity::Error, Severity::Warning, Severity::Hint] {
        let count = diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
        if count > 0 {
            parts.push(format!("{count} {severity}{}", plural(count)));
        }
    }
    parts.join(", ")
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn explain(name: &str) -> anyhow::Result<ExitCode> {
    let Some(code) = Code::find(&name.to_uppercase()) else {
        bail!("there is no code {name}: they run from {:?} to {:?}", Code::F001, Code::F110);
    };
    say(format!("{code:?}: {}, {}\n\n{}", code.title(), code.severity(), wrapped(code.explanation())));
    match code.allowance() {
        Allowance::Yes => say(format!("It can be allowed: -- allow {code:?}: reason")),
        Allowance::Money => say("It cannot be allowed."),
        Allowance::No => {}
    }
    if !code.example().is_empty() {
        say(format!("\n{}", code.example()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lines of at most 90 characters.
fn wrapped(text: &str) -> String {
    const COLUMNS: usize = 90;
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > COLUMNS {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

fn actions() {
    for action in all() {
        say(format!("{}\n    {}", action.signature(), action.about));
        for outcome in action.outcomes {
            say(format!("    on {}", outcome.signature()));
        }
    }
}

/// The worst case of every screen and text message.
fn lengths(catalog: &Catalog, json: bool) -> anyhow::Result<()> {
    let lengths = catalog.programs().flat_map(|program| program.lengths(catalog.routes()));
    if json {
        return lengths.into_iter().try_for_each(|length| say_json(&length));
    }
    let mut rows = vec![
        ["flow", "step", "says", "lang", "channel", "septets", "UCS-2", "pages or parts"].map(str::to_owned),
    ];
    for length in lengths {
        let number =
            |length: Option<usize>| length.map_or_else(|| "-".to_owned(), |length| length.to_string());
        let says = length.message.unwrap_or_else(|| "the end".to_owned());
        let (septets, units) = (number(length.septets), number(length.units));
        let channel = length.channel.to_string();
        let pages = length.pages.to_string();
        rows.push([length.flow, length.step, says, length.language, channel, septets, units, pages]);
    }
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        say(cells.join("  ").trim_end());
    }
    Ok(())
}
