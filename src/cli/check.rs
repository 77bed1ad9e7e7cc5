//! `keytone check`: every fault of the dialplans at once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{colours, say, say_json};
use crate::app;
use crate::app::dialplans::Places;
use crate::connector::numbering::Plan;
use crate::connector::sandbox;
use crate::dialplan::action::ACTIONS;
use crate::dialplan::catalog::compile;
use crate::payment::settings::Settings;

#[derive(Args, Debug)]
#[command(after_help = "\
Without a folder the shipped dialplans are checked. Exit status 1 when there is a fault.

Examples:
  keytone check
  keytone check dialplans --prompts prompts
  keytone check dialplans --json | jq .code
  keytone check --actions")]
pub(super) struct Arguments {
    /// Folder of *.flow and messages/*.msg
    dialplans: Option<PathBuf>,
    /// Folder of number rules and clips; without it the shipped rules are used and clips are not checked
    #[arg(long, value_name = "DIR")]
    prompts: Option<PathBuf>,
    /// Print what flows can do: actions, what they take, and how they end
    #[arg(long)]
    actions: bool,
    /// One JSON object for each fault
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.actions {
        for action in ACTIONS {
            say(format!("{}\n    {}", action.signature(), action.about));
            for outcome in action.outcomes {
                say(format!("    on {}", outcome.signature()));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let places = Places { dialplans: arguments.dialplans.clone(), prompts: arguments.prompts.clone() };
    let mut sources = places.sources()?;
    if arguments.dialplans.is_some() && arguments.prompts.is_none() {
        sources.clips = None;
    }
    let plan = Plan::parse(sandbox::PLAN).map_err(|f| anyhow::anyhow!("the shipped plan: {f:?}"))?;
    let grammar = app::grammar(&plan, &Settings::demo(plan.currency), "en");
    let (diagnostics, version, flows) = match compile(&sources, &grammar) {
        Ok(catalog) => {
            (catalog.warnings().to_vec(), Some(catalog.version().to_owned()), catalog.programs().count())
        }
        Err(faults) => (faults, None, 0),
    };
    for diagnostic in &diagnostics {
        if arguments.json {
            say_json(diagnostic)?;
        } else {
            say(diagnostic.render(|file| sources.text(file), colours()));
        }
    }
    let faults = diagnostics.iter().filter(|d| d.is_error()).count();
    if !arguments.json {
        match version {
            Some(version) => {
                say(format!("{flows} flow{} sound, version {version}", if flows == 1 { "" } else { "s" }))
            }
            None => say(format!("{faults} fault{}", if faults == 1 { "" } else { "s" })),
        }
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
