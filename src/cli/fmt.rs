//! `keytone fmt`: the one way to lay out flows, messages and transcripts.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use super::{flows, say};
use crate::dialplan::syntax::format::{Formatted, flow, messages, transcripts};

#[derive(Args, Debug)]
#[command(after_help = "\
Spaces, empty lines and indentation are set; words and comments stay. A line that is not understood
stays as it is and is told. Without a path a flow is read from the standard input and written to the
standard output, for editors.

Examples:
  keytone fmt dialplans
  keytone fmt dialplans/recharge.flow dialplans/messages/en.msg
  keytone fmt dialplans --check")]
pub(super) struct Arguments {
    /// Files (*.flow, *.msg, *.flowtest), or folders of them
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Change nothing: name the files that would change, and exit with status 1 if there are any
    #[arg(long)]
    check: bool,
}

/// The layout for a file's ending.
fn layout(name: &str) -> Option<fn(&str) -> Formatted> {
    match name.rsplit('.').next()? {
        "flow" => Some(flow),
        "msg" => Some(messages),
        "flowtest" => Some(transcripts),
        _ => None,
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.paths.is_empty() {
        return piped(arguments.check);
    }
    let mut files = Vec::new();
    for path in &arguments.paths {
        if path.is_dir() {
            for suffix in [".flow", ".msg", ".flowtest"] {
                files.extend(flows::below(path, suffix)?);
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    let mut changed = 0;
    for file in &files {
        let name = file.display().to_string();
        let Some(layout) = layout(&name) else { bail!("{name} is not a *.flow, *.msg or *.flowtest file") };
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        let formatted = layout(&text);
        for line in &formatted.left {
            say(format!("{name}:{line}: not understood, left as it is; `keytone check` tells why"));
        }
        if formatted.text == text {
            continue;
        }
        changed += 1;
        if arguments.check {
            let first = text.lines().zip(formatted.text.lines()).position(|(was, is)| was != is);
            let first = first.unwrap_or_else(|| text.lines().count().min(formatted.text.lines().count()));
            say(format!("{name}:{}: would change", first + 1));
        } else {
            fs::write(file, formatted.text).with_context(|| format!("cannot write {name}"))?;
            say(name);
        }
    }
    Ok(if arguments.check && changed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn piped(check: bool) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the standard input is not text")?;
    let formatted = flow(&text);
    if check {
        return Ok(if formatted.text == text { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    say(formatted.text.trim_end_matches('\n'));
    Ok(ExitCode::SUCCESS)
}
