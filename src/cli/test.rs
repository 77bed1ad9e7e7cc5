//! `keytone test`: the transcripts beside flows, held on every channel that they name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::flows::{self, Flows};
use super::{colours, say, say_json};
use crate::app::embedded;
use crate::dialplan::event::Channel;
use crate::dialplan::flowtest::report::{Covered, covered, explain, update};
use crate::dialplan::flowtest::{Coverage, Failure, Script, everywhere, parse, run as hold};

#[derive(Args, Debug)]
#[command(after_help = "\
A file of transcripts bears its flow's name: recharge.flowtest tests the flow `recharge` of its
folder. Between every two inputs the conversation is saved and loaded again. Without a path the
shipped flows are tested. Exit status 1 when a test fails or a flow has a fault.

--update writes the expectations (`<`) of failing turns anew, after what really happens on all
channels of the test. Tests that pass, comments and layout stay. Read the difference before you
keep it.

--everywhere takes a test that holds on voice and USSD to SMS too, and every test to the other
languages; words in quotes are compared only in the language that they are written for.

Examples:
  keytone test
  keytone test dialplans --coverage
  keytone test dialplans --everywhere
  keytone test dialplans/recharge.flowtest --filter \"the PIN\"
  keytone test dialplans --update")]
pub(super) struct Arguments {
    /// Folders of flows, or *.flowtest files
    #[arg(value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    /// Write the expectations of failing tests anew
    #[arg(long, conflicts_with = "json")]
    update: bool,
    /// Tell which steps and outcomes no test comes by
    #[arg(long)]
    coverage: bool,
    /// Hold each test on every channel that serves its flow, and in every language
    #[arg(long, conflicts_with = "update")]
    everywhere: bool,
    /// Only tests whose name has this text in it
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// One JSON object for each test and channel, and one for the sum
    #[arg(long)]
    json: bool,
}

/// A folder of flows with its transcripts.
struct Suite {
    folder: Option<PathBuf>,
    files: Vec<File>,
}

/// A file of transcripts.
struct File {
    name: String,
    path: Option<PathBuf>,
    text: String,
}

/// One test on one channel, for machines.
#[derive(Serialize)]
struct Held<'h> {
    file: &'h str,
    line: usize,
    test: &'h str,
    channel: Channel,
    command: Option<&'h str>,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Told<'h>>,
}

#[derive(Serialize)]
struct Told<'h> {
    line: usize,
    reason: &'h str,
    transcript: &'h [String],
}

/// The sum, for machines.
#[derive(Serialize)]
struct Sum<'s> {
    passed: usize,
    failed: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    coverage: Vec<&'s Covered>,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    updated: usize,
    covered: Vec<Covered>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.update && arguments.paths.is_empty() {
        bail!("the shipped transcripts cannot be written: name a folder or a file");
    }
    let mut counts = Counts::default();
    let mut faulty = false;
    for suite in suites(&arguments.paths)? {
        match flows::open(suite.folder.as_deref())? {
            Some(flows) => test(arguments, &suite, &flows, &mut counts)?,
            None => faulty = true,
        }
    }
    let Counts { passed, failed, updated, covered } = counts;
    if arguments.json {
        say_json(&Sum { passed, failed, coverage: covered.iter().collect() })?;
    } else {
        for covered in &covered {
            tell_coverage(covered);
        }
        if arguments.update {
            say(format!("{passed} passed, {updated} written anew, {failed} failed"));
        } else {
            say(format!("{passed} passed, {failed} failed"));
        }
    }
    Ok(if failed == 0 && !faulty { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The transcripts of the given paths, by the folder of their flows; those in the binary when none is given.
fn suites(paths: &[PathBuf]) -> anyhow::Result<Vec<Suite>> {
    if paths.is_empty() {
        let shipped = embedded::below("dialplans/").filter(|(name, _)| name.ends_with(".flowtest"));
        let file = |(name, bytes): (&str, &[u8])| File {
            name: name.to_owned(),
            path: None,
            text: String::from_utf8_lossy(bytes).into_owned(),
        };
        return Ok(vec![Suite { folder: None, files: shipped.map(file).collect() }]);
    }
    let mut found: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            found.entry(path.clone()).or_default().extend(flows::below(path, ".flowtest")?);
        } else if path.extension().is_some_and(|ending| ending == "flowtest") {
            let folder =
                path.parent().filter(|parent| *parent != Path::new("")).unwrap_or_else(|| Path::new("."));
            found.entry(folder.to_owned()).or_default().push(path.clone());
        } else {
            bail!("{} is neither a folder nor a *.flowtest file", path.display());
        }
    }
    let mut out = Vec::new();
    for (folder, files) in found {
        let mut suite = Suite { folder: Some(folder), files: Vec::new() };
        for path in files {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            suite.files.push(File { name: path.display().to_string(), path: Some(path), text });
        }
        out.push(suite);
    }
    Ok(out)
}

fn test(arguments: &Arguments, suite: &Suite, flows: &Flows, counts: &mut Counts) -> anyhow::Result<()> {
    let grammar = flows::grammar()?;
    let mut coverage: BTreeMap<String, Coverage> = BTreeMap::new();
    for file in &suite.files {
        let (scripts, faults) = parse(&file.name, &file.text, &grammar);
        for fault in &faults {
            counts.failed += 1;
            if arguments.json {
                say_json(fault)?;
            } else {
                say(fault.render(|_| Some(file.text.as_str()), colours()));
            }
        }
        let flow = flow_of(&file.name);
        let mut text = file.text.clone();
        for (index, script) in scripts.iter().enumerate() {
            if arguments.filter.as_ref().is_some_and(|filter| !script.name.contains(filter.as_str())) {
                continue;
            }
            if arguments.everywhere {
                for script in everywhere(&flows.catalog, &flow, script) {
                    one(arguments, file, flows, &flow, &script, &mut coverage, counts)?;
                }
                continue;
            }
            let failures = one(arguments, file, flows, &flow, script, &mut coverage, counts)?;
            if failures.is_empty() || !arguments.update {
                continue;
            }
            match update(&flows.catalog, &flow, &file.name, &text, index).filter(|_| faults.is_empty()) {
                Some(updated) => {
                    let lines: Vec<String> = updated.lines.iter().map(usize::to_string).collect();
                    say(format!("{}: \"{}\": wrote line {} anew", file.name, script.name, lines.join(", ")));
                    text = updated.text;
                    counts.updated += failures.len();
                    counts.failed -= failures.len();
                }
                None => say(format!(
                    "{}: \"{}\": cannot be made to hold on all of its channels",
                    file.name, script.name
                )),
            }
        }
        if let Some(path) = file.path.as_ref().filter(|_| text != file.text) {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if arguments.coverage {
        let none = Coverage::default();
        let all = flows.catalog.programs().map(|p| covered(p, coverage.get(p.name()).unwrap_or(&none)));
        counts.covered.extend(all);
    }
    Ok(())
}

/// `recharge` of `dialplans/recharge.flowtest`.
fn flow_of(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.split('.').next().unwrap_or(name).to_owned()
}

/// Holds one test on each of its channels.
fn one(
    arguments: &Arguments,
    file: &File,
    flows: &Flows,
    flow: &str,
    script: &Script,
    coverage: &mut BTreeMap<String, Coverage>,
    counts: &mut Counts,
) -> anyhow::Result<Vec<Failure>> {
    let mut all = Vec::new();
    for channel in &script.channels {
        let single = Script { channels: vec![channel.clone()], ..script.clone() };
        let (came_by, failures) = hold(&flows.catalog, flow, &[single]);
        let total = coverage.entry(flow.to_owned()).or_default();
        total.steps.extend(came_by.steps);
        total.outcomes.extend(came_by.outcomes);
        let failure = failures.into_iter().next();
        match &failure {
            None => counts.passed += 1,
            Some(_) => counts.failed += 1,
        }
        if arguments.json {
            let told = |f| -> Told<'_> {
                let f: &Failure = f;
                Told { line: f.line, reason: &f.reason, transcript: &f.transcript }
            };
            say_json(&Held {
                file: &file.name,
                line: script.line,
                test: &script.name,
                channel: channel.0,
                command: channel.1.as_deref(),
                passed: failure.is_none(),
                failure: failure.as_ref().map(told),
            })?;
        } else if let Some(failure) = failure.as_ref().filter(|_| !arguments.update) {
            say(explain(&file.name, &file.text, script, failure, colours()));
        }
        all.extend(failure);
    }
    Ok(all)
}

fn tell_coverage(covered: &Covered) {
    let share = |of: usize, all: usize| format!("{of} of {all}");
    say(format!(
        "{:<20} steps {:>9}   outcomes {:>9}",
        covered.flow,
        share(covered.steps, covered.steps_of),
        share(covered.outcomes, covered.outcomes_of)
    ));
    for missing in &covered.missing {
        say(format!("  F110 no test comes by {missing}"));
    }
}
