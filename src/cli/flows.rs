//! What the commands about flows share: the sources of a folder, compiled for the demo's market, or their faults
//! printed as `keytone check` prints them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::colours;
use crate::app;
use crate::app::dialplans::Places;
use crate::connector::numbering::Plan;
use crate::connector::sandbox;
use crate::dialplan::catalog::{Catalog, Settings as Grammar, Sources, compile};
use crate::dialplan::program::Program;
use crate::dialplan::syntax::outline;
use crate::payment::settings::Settings;

/// Flows that are free of errors.
pub(super) struct Flows {
    pub(super) catalog: Catalog,
}

/// Compiles the flows of a folder, or the shipped ones; nothing when they have faults, which are then told.
pub(super) fn open(folder: Option<&Path>) -> anyhow::Result<Option<Flows>> {
    let places = Places { dialplans: folder.map(Path::to_owned), prompts: None };
    let mut sources = places.sources()?;
    if folder.is_some() {
        // Clips are the business of `check` and `prompts`.
        sources.clips = None;
    }
    match compile(&sources, &grammar()?) {
        Ok(catalog) => Ok(Some(Flows { catalog })),
        Err(faults) => {
            tell(&sources, &faults);
            Ok(None)
        }
    }
}

/// The demo's market, for which flows are checked on a desk.
pub(super) fn grammar() -> anyhow::Result<Grammar> {
    let plan =
        Plan::parse(sandbox::PLAN).map_err(|faults| anyhow::anyhow!("the shipped plan: {faults:?}"))?;
    Ok(app::grammar(&plan, &Settings::demo(plan.currency), "en"))
}

fn tell(sources: &Sources, faults: &[crate::dialplan::diagnostic::Diagnostic]) {
    let mut err = std::io::stderr().lock();
    for fault in faults.iter().filter(|fault| fault.is_error()) {
        let _ = writeln!(err, "{}", fault.render(|file| sources.text(file), colours()));
    }
    let _ = writeln!(err, "the flows have faults; `keytone check` tells all of them");
}

/// The folder and the name of a flow that is given by its file, such as `dialplans/recharge.flow`.
pub(super) fn of_file(file: &Path) -> anyhow::Result<(PathBuf, String)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (flow, _) = outline::parse(&file.to_string_lossy(), &text);
    let name =
        flow.name.with_context(|| format!("{} does not begin with `flow NAME NUMBER`", file.display()))?;
    if flow.sub.is_some() {
        bail!("{} is a sub-flow; name a flow that calls it", name.value);
    }
    let folder = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or_else(|| Path::new("."));
    Ok((folder.to_owned(), name.value))
}

impl Flows {
    /// The flow of a name.
    pub(super) fn program(&self, name: &str) -> anyhow::Result<Arc<Program>> {
        let names = || self.catalog.programs().map(|p| p.name().to_owned()).collect::<Vec<_>>().join(", ");
        self.catalog
            .program(name)
            .with_context(|| format!("no flow is called {name}; there are: {}", names()))
    }
}

/// Every file below a folder whose name ends so, sorted; hidden folders are left out.
pub(super) fn below(folder: &Path, suffix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
