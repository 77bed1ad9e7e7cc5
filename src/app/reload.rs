//! Flows that change while calls go on: reads dialplans and prompts, compiles them aside, and puts them in the place of
//! those that are served, all of them or none.
//!
//! ```text
//! SIGHUP ──────────┐
//! control.rs ──────┴► Dialplans::reload ──read, compile, encode (off the async threads)──► Registry::serve
//! ```
//! Nothing here reaches a session that has begun: it goes on with the flow and the clips that it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::app::dialplans;
use crate::app::dialplans::Places;
use crate::app::ported;
use crate::config;
use crate::config::Config;
use crate::connector::numbering::Plan;
use crate::dialplan::catalog::{Catalog, Settings as Grammar, Sources, compile};
use crate::dialplan::diagnostic::{Code, Diagnostic, Severity};
use crate::session::registry::{Edition, Registry, Version};
use crate::voice::clips::Clips;

/// Lines of the log that one reload may fill with faults; `keytone check` names the others.
const LOGGED_MAX: usize = 100;

/// Where flows come from, and what the operator wants of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Flows, messages and clips.
    pub places: Places,
    /// Parameters, testers, screens.
    pub dialplan: config::Dialplan,
}

/// What the checker found, with the texts that it found it in.
#[derive(Debug, Default)]
pub struct Report {
    /// Faults, warnings and hints, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    sources: Arc<Sources>,
}

impl Report {
    /// How many of them keep the flows from being served.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.diagnostics.iter().filter(|d| d.is_error()).count()
    }

    /// Each with its place in the source, as `keytone check` shows it.
    pub fn rendered(&self, colours: bool) -> impl Iterator<Item = String> {
        self.diagnostics.iter().map(move |d| d.render(|file| self.sources.text(file), colours))
    }

    /// Writes it to the log, a line for each.
    pub fn log(&self) {
        for diagnostic in self.diagnostics.iter().take(LOGGED_MAX) {
            match diagnostic.severity {
                Severity::Error => tracing::error!("{diagnostic}"),
                Severity::Warning => tracing::warn!("{diagnostic}"),
                Severity::Hint => tracing::info!("{diagnostic}"),
            }
        }
        if let Some(more @ 1..) = self.diagnostics.len().checked_sub(LOGGED_MAX) {
            tracing::warn!("{more} more are left out here; `keytone check` shows all of them");
        }
    }
}

/// Flows that can be served.
pub struct Loaded {
    /// The flows and their clips.
    pub edition: Edition<Clips>,
    /// What could be better.
    pub report: Report,
    pub(super) fingerprint: [u8; 32],
}

/// Why flows cannot be served.
#[derive(Debug)]
pub enum Unloaded {
    /// A file cannot be read, or is no clip.
    Unreadable(dialplans::Error),
    /// The flows have faults.
    Faulty(Report),
}

impl Wanted {
    /// What a configuration asks for.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let places = Places { dialplans: config.dialplans.clone(), prompts: config.prompts.clone() };
        Self { places, dialplan: config.dialplan.clone() }
    }

    /// Whether it is all in the binary.
    const fn is_embedded(&self) -> bool {
        self.places.dialplans.is_none() && self.places.prompts.is_none()
    }

    /// Reads, compiles and encodes everything. Takes its time: not for an async thread.
    ///
    /// # Errors
    /// What keeps the flows from being served; nothing has changed then.
    pub fn load(&self, market: &Grammar) -> Result<Loaded, Unloaded> {
        let found = self.places.read().map_err(Unloaded::Unreadable)?;
        let sources = Arc::new(found.sources());
        let grammar = Grammar {
            params: self.dialplan.params.clone(),
            ussd_septets: self.dialplan.ussd_septets,
            ussd_ucs2: self.dialplan.ussd_ucs2,
            ..market.clone()
        };
        let catalog = match compile(&sources, &grammar) {
            Ok(catalog) => catalog,
            Err(diagnostics) => return Err(Unloaded::Faulty(Report { diagnostics, sources })),
        };
        let mut diagnostics = catalog.warnings().to_vec();
        diagnostics.extend(found.stale(&sources, &catalog));
        if refuse_unperformed(&mut diagnostics) {
            return Err(Unloaded::Faulty(Report { diagnostics, sources }));
        }
        for language in catalog.texts().screens_only() {
            tracing::info!(language, "no clips: it serves screens, and calls hear the default language");
        }
        let clips = Clips::new(found.clips(&catalog).map_err(Unloaded::Unreadable)?);
        let fingerprint = found.fingerprint();
        let testers = self.dialplan.testers.clone();
        let edition = Edition { catalog: Arc::new(catalog), media: clips, testers };
        Ok(Loaded { edition, report: Report { diagnostics, sources }, fingerprint })
    }
}

/// A flow with an action that nothing performs can be checked and tested, but no caller may meet it.
fn refuse_unperformed(diagnostics: &mut [Diagnostic]) -> bool {
    let unperformed = diagnostics.iter_mut().filter(|d| d.code == Code::F015);
    unperformed.map(|d| d.severity = Severity::Error).count() > 0
}

/// What became of a reload.
#[derive(Debug)]
pub enum Outcome {
    /// New sessions get the new flows.
    Reloaded {
        /// The version that was served.
        from: String,
        /// The version that is served now; the same if only clips or settings are new.
        to: String,
        /// Its flows.
        flows: usize,
        /// Sessions that go on with an older edition.
        staying: usize,
        /// Warnings.
        report: Report,
    },
    /// Nothing has changed since.
    Same {
        /// What is served.
        version: String,
        /// Warnings.
        report: Report,
    },
    /// The flows have faults.
    Faulty {
        /// What is still served.
        version: String,
        /// The faults.
        report: Report,
    },
    /// The configuration or a file cannot be read.
    Unreadable {
        /// What is still served.
        version: String,
        /// Why, a line for each fault.
        why: String,
    },
    /// The flows in the binary are served: there is nothing to read again.
    NoFolder {
        /// Their version.
        version: String,
    },
}

/// `1 flow`, `2 flows`.
fn some(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl Outcome {
    /// Whether what is in the folder is what is served.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Reloaded { .. } | Self::Same { .. })
    }

    /// What the checker found, if it came to that.
    #[must_use]
    pub const fn report(&self) -> Option<&Report> {
        match self {
            Self::Reloaded { report, .. } | Self::Same { report, .. } | Self::Faulty { report, .. } => {
                Some(report)
            }
            Self::Unreadable { .. } | Self::NoFolder { .. } => None,
        }
    }

    /// The version that is served after it.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Reloaded { to: version, .. }
            | Self::Same { version, .. }
            | Self::Faulty { version, .. }
            | Self::Unreadable { version, .. }
            | Self::NoFolder { version } => version,
        }
    }

    /// One line for people; of an unreadable file, its faults too.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Reloaded { from, to, flows, staying, .. } => {
                let change = if from == to {
                    format!("version {to} with other clips or settings")
                } else {
                    format!("version {from} -> {to}")
                };
                let stay = if *staying == 1 { "stays" } else { "stay" };
                format!(
                    "reloaded: {change}, {}, {} {stay} on the old",
                    some(*flows, "flow"),
                    some(*staying, "session")
                )
            }
            Self::Same { version, .. } => format!("version {version} is already served"),
            Self::Faulty { version, report } => {
                format!("not reloaded: {}; version {version} stays", some(report.faults(), "fault"))
            }
            Self::Unreadable { version, why } => format!("not reloaded: {why}\nversion {version} stays"),
            Self::NoFolder { version } => format!(
                "not reloaded: the flows in the binary are served, there is no folder to reload \
                 ([node] dialplans); version {version} stays"
            ),
        }
    }

    /// Writes it to the log, a line for each fault.
    pub fn log(&self) {
        if let Some(report) = self.report() {
            report.log();
        }
        for line in self.summary().lines() {
            if self.is_good() {
                tracing::info!("{line}");
            } else {
                tracing::error!("{line}");
            }
        }
    }
}

/// The flows that a daemon serves, and the way to others. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialplans {
    registry: Registry<Clips>,
    market: Grammar,
    /// Where [`Wanted`] is read again; without it the folders stay, their files are read again.
    config: Option<PathBuf>,
    /// Whose table of ported numbers is read again.
    plan: Option<Plan>,
    served: Arc<Mutex<Served>>,
}

/// What is served, so far as a catalogue's version does not tell. Locked while a reload is under way: one at a time.
#[derive(Debug)]
struct Served {
    wanted: Wanted,
    fingerprint: [u8; 32],
}

impl Dialplans {
    /// The way to other flows than those that `registry` serves, which were loaded as `wanted`.
    #[must_use]
    pub fn new(
        registry: Registry<Clips>,
        market: Grammar,
        config: Option<PathBuf>,
        wanted: Wanted,
        loaded: [u8; 32],
    ) -> Self {
        let served = Arc::new(Mutex::new(Served { wanted, fingerprint: loaded }));
        Self { registry, market, config, plan: None, served }
    }

    /// The same, with the numbering plan whose table of ported numbers each reload reads again.
    #[must_use]
    pub fn with_plan(self, plan: Plan) -> Self {
        Self { plan: Some(plan), ..self }
    }

    /// The catalogue that new sessions get.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.registry.edition().catalog
    }

    /// The clips of new sessions.
    #[must_use]
    pub fn clips(&self) -> Clips {
        self.registry.edition().media
    }

    /// What is served and what sessions still run, the newest first.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        self.registry.versions()
    }

    /// Serves what is in the folders now, if it is sound. A reload that comes while another is under way waits for it.
    pub async fn reload(&self) -> Outcome {
        let mut served = self.served.lock().await;
        let from = self.catalog().version().to_owned();
        let (config, market) = (self.config.clone(), self.market.clone());
        let (before, version) = (served.wanted.clone(), from.clone());
        let plan = self.plan.clone();
        let loading = move || load_anew(config.as_deref(), &market, plan.as_ref(), before, version);
        let (wanted, loaded) = match tokio::task::spawn_blocking(loading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(refused)) => return refused,
            Err(panic) => {
                return Outcome::Unreadable { version: from, why: format!("the checker failed: {panic}") };
            }
        };
        let Loaded { edition, report, fingerprint } = loaded;
        let to = edition.catalog.version().to_owned();
        let settings = &served.wanted.dialplan;
        let same = to == from && fingerprint == served.fingerprint && wanted.dialplan == *settings;
        *served = Served { wanted, fingerprint };
        if same {
            return Outcome::Same { version: to, report };
        }
        let flows = edition.catalog.programs().count();
        let staying = self.registry.serve(edition);
        Outcome::Reloaded { from, to, flows, staying, report }
    }
}

/// Reads the configuration and the files again. What is served is left alone.
fn load_anew(
    config: Option<&Path>,
    market: &Grammar,
    plan: Option<&Plan>,
    before: Wanted,
    version: String,
) -> Result<(Wanted, Loaded), Outcome> {
    let wanted = match config.map(Config::load) {
        None => before.clone(),
        Some(Ok(config)) => {
            if let Some(plan) = plan {
                match ported::read(plan, &config.routes) {
                    Ok(numbers) => tracing::info!(numbers, "ported numbers"),
                    Err(error) => {
                        return Err(Outcome::Unreadable { version, why: error.to_string() });
                    }
                }
            }
            Wanted::of(&config)
        }
        Some(Err(error)) => return Err(Outcome::Unreadable { version, why: error.to_string() }),
    };
    if wanted.is_embedded() && wanted == before {
        return Err(Outcome::NoFolder { version });
    }
    match wanted.load(market) {
        Ok(loaded) => Ok((wanted, loaded)),
        Err(Unloaded::Unreadable(error)) => Err(Outcome::Unreadable { version, why: error.to_string() }),
        Err(Unloaded::Faulty(report)) => Err(Outcome::Faulty { version, report }),
    }
}
