//! `keytone diff`: how two versions of flows differ for callers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{flows, say, say_json};
use crate::dialplan::diff::{Change, What, diff};

#[derive(Args, Debug)]
#[command(after_help = "\
Both sides must be free of faults. Layout, comments and the order of steps are no difference. A step
that has another name but the same lines is told as renamed. Exit status 0 when nothing differs, 1
when something does, 2 when a side has faults.

Examples:
  keytone diff dialplans dialplans.new
  keytone diff old/recharge.flow dialplans/recharge.flow
  git worktree add /tmp/before main && keytone diff /tmp/before/dialplans dialplans")]
pub(super) struct Arguments {
    /// Folder of flows and messages, or one flow in such a folder
    before: PathBuf,
    /// The same, as it is now
    after: PathBuf,
    /// One JSON object for each difference
    #[arg(long)]
    json: bool,
}

/// Something is wrong with a side, as diff(1) says it.
const TROUBLE: u8 = 2;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let side = |path: &Path| -> anyhow::Result<_> {
        let (folder, flow) = if path.is_dir() {
            (path.to_owned(), None)
        } else {
            let (folder, name) = flows::of_file(path)?;
            (folder, Some(name))
        };
        Ok((flows::open(Some(&folder))?, flow))
    };
    let (before, old_name) = side(&arguments.before)?;
    let (after, new_name) = side(&arguments.after)?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(ExitCode::from(TROUBLE)) };
    let mut changes = diff(&before.catalog, &after.catalog);
    if let (Some(old), Some(new)) = (&old_name, &new_name) {
        if old != new {
            anyhow::bail!("{old} and {new} are two flows; compare versions of one");
        }
        changes.retain(|change| matches!(change.what, What::Message | What::Language) || change.of == *new);
    }
    let mut of = None;
    for change in &changes {
        if arguments.json {
            say_json(change)?;
            continue;
        }
        if of != Some(&change.of) {
            say(heading(change));
            of = Some(&change.of);
        }
        say(format!("  {change}"));
    }
    if changes.is_empty() && !arguments.json {
        say("no difference");
    }
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn heading(change: &Change) -> String {
    match change.what {
        What::Message | What::Language => format!("messages in {}", change.of),
        _ => format!("flow {}", change.of),
    }
}
