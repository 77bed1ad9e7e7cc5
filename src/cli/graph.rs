//! `keytone graph`: a flow as a picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{flows, say};
use crate::dialplan::graph::{Picture, dot, mermaid, svg};

#[derive(Args, Debug)]
#[command(after_help = "\
The picture shows every step with what it says, asks and does, and every way out of it. Steps that
move money, the ways after which nobody knows whether it moved, and the step for callers who are
given up are marked. The flow must be free of faults. Colours follow the light or dark scheme of the
viewer. The same flow always gives the same file.

Examples:
  keytone graph recharge -o recharge.svg
  keytone graph dialplans/recharge.flow -o recharge.svg
  keytone graph recharge --format mermaid
  keytone graph recharge --format dot | dot -Tpdf -o recharge.pdf")]
pub(super) struct Arguments {
    /// The flow's name, or its file
    flow: String,
    /// Folder of *.flow and messages/*.msg; the shipped ones without it
    #[arg(long, value_name = "DIR")]
    dialplans: Option<PathBuf>,
    /// The form of the picture; without it the ending of FILE decides, or svg
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write it; the standard output without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For any browser
    Svg,
    /// Text that forges and wikis draw
    Mermaid,
    /// Text for Graphviz
    Dot,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (folder, name) = match &arguments.dialplans {
        None if arguments.flow.ends_with(".flow") => {
            let (folder, name) = flows::of_file(Path::new(&arguments.flow))?;
            (Some(folder), name)
        }
        folder => (folder.clone(), arguments.flow.clone()),
    };
    let Some(flows) = flows::open(folder.as_deref())? else { return Ok(ExitCode::FAILURE) };
    let picture = Picture::of(&flows.catalog, &*flows.program(&name)?);
    let ending = |path: &PathBuf| match path.extension()?.to_str()? {
        "mmd" | "mermaid" | "md" => Some(Format::Mermaid),
        "dot" | "gv" => Some(Format::Dot),
        _ => Some(Format::Svg),
    };
    let format =
        arguments.format.or_else(|| arguments.output.as_ref().and_then(ending)).unwrap_or(Format::Svg);
    let text = match format {
        Format::Svg => svg::svg(&picture),
        Format::Mermaid => mermaid::mermaid(&picture),
        Format::Dot => dot::dot(&picture),
    };
    match &arguments.output {
        Some(file) => fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?,
        None => say(text.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}
