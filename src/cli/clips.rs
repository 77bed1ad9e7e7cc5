//! `keytone prompts`: makes the audio of messages, and finds what is missing or stale.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::{colours, prompts, say, say_json};
use crate::app;
use crate::app::dialplans::Places;
use crate::connector::numbering::Plan;
use crate::connector::sandbox;
use crate::dialplan::catalog::{Catalog, compile};
use crate::payment::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the clips that are missing or whose text changed, with espeak-ng; recordings are left alone
    #[command(after_help = "Example:\n  keytone prompts build --lang en")]
    Build(Where),
    /// Find clips that are missing, stale, of a wrong format, or not used; exit status 1 if there are any
    Check(Where),
}

#[derive(Args, Debug)]
pub(super) struct Where {
    /// The language
    #[arg(long, default_value = "en")]
    lang: String,
    /// Folder of *.flow and messages/*.msg
    #[arg(long, default_value = "dialplans", value_name = "DIR")]
    dialplans: PathBuf,
    /// Folder of clips
    #[arg(long, default_value = "prompts", value_name = "DIR")]
    prompts: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Where {
    fn catalog(&self) -> anyhow::Result<Catalog> {
        let places = Places { dialplans: Some(self.dialplans.clone()), prompts: Some(self.prompts.clone()) };
        let mut sources = places.sources()?;
        sources.clips = None;
        let plan = Plan::parse(sandbox::PLAN).map_err(|f| anyhow::anyhow!("the shipped plan: {f:?}"))?;
        let grammar = app::grammar(&plan, &Settings::demo(plan.currency), &self.lang);
        compile(&sources, &grammar).or_else(|faults| {
            for fault in &faults {
                say(fault.render(|file| sources.text(file), colours()));
            }
            bail!("the dialplans have faults")
        })
    }
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build(place) => {
            let catalog = place.catalog()?;
            let report = prompts::build(&catalog, &place.prompts, &place.lang, &mut progress)?;
            if place.json {
                say_json(&report)?;
            } else {
                say(format!(
                    "{} made, {} kept, {} recorded, {} removed; {} KiB",
                    report.made,
                    report.kept,
                    report.recorded,
                    report.removed,
                    report.bytes / 1024
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(place) => {
            let findings = prompts::check(&place.catalog()?, &place.prompts, &place.lang)?;
            for finding in &findings {
                if place.json {
                    say_json(finding)?;
                } else {
                    say(format!("{:?}: {}", finding.fault, finding.id));
                }
            }
            Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// A bar on the terminal; nothing where there is none.
fn progress(done: usize, of: usize, id: &str) {
    const WIDTH: usize = 30;
    let mut terminal = std::io::stderr();
    if !terminal.is_terminal() {
        return;
    }
    let filled = (WIDTH * done).checked_div(of).unwrap_or(WIDTH);
    let _ =
        write!(terminal, "\r\x1b[K[{}{}] {done}/{of} {id}", "#".repeat(filled), " ".repeat(WIDTH - filled));
    if done == of {
        let _ = writeln!(terminal);
    }
}
