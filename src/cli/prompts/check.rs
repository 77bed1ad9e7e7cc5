//! Finds clips that are missing, stale, of a wrong format, or not used.

use std::collections::BTreeSet;
use std::path::Path;

use super::manifest::Manifest;
use super::{audio, clip_name, file_of, name_in, wav_files};
use crate::dialplan::catalog::Catalog;
use crate::dialplan::diagnostic::Code;

/// What is wrong with a clip.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// There is no file.
    Missing,
    /// The text changed since it was made or recorded.
    Stale,
    /// It is not 8 kHz, one channel, µ-law or 16 bits.
    Format,
    /// Nothing says it.
    Unused,
}

impl Fault {
    /// Its code in the catalogue of faults; what is not used costs only space and has none.
    #[must_use]
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Missing => Some(Code::F060),
            Self::Stale => Some(Code::F061),
            Self::Format => Some(Code::F062),
            Self::Unused => None,
        }
    }
}

/// A clip and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Finding {
    /// The clip: `en/msg/goodbye.0`.
    pub id: String,
    /// What is wrong.
    pub fault: Fault,
    /// Its code, if it has one.
    pub code: Option<Code>,
    /// What to do.
    pub hint: String,
}

/// Finds clips of a language that are missing, stale, of a wrong format, or not used; `dir` is `prompts`.
///
/// # Errors
/// When files cannot be read.
pub fn check(catalog: &Catalog, dir: &Path, language: &str) -> anyhow::Result<Vec<Finding>> {
    let folder = dir.join(language);
    let manifest = Manifest::load(&folder)?;
    let clips = catalog.clips_needed(language);
    let mut findings = Vec::new();
    let build = format!("keytone prompts build {language}");
    let mut found = |id: &str, fault: Fault, hint: String| {
        findings.push(Finding { id: id.to_owned(), fault, code: fault.code(), hint });
    };
    for clip in &clips {
        let path = file_of(dir, &clip.id);
        let entry = manifest.clips.get(name_in(language, &clip.id));
        if !path.exists() && clip.text.is_empty() {
            found(&clip.id, Fault::Missing, "record it: a message names it".to_owned());
        } else if !path.exists() {
            found(&clip.id, Fault::Missing, build.clone());
        } else if !audio::is_prompt(&path) {
            let import = format!("keytone prompts import FOLDER --lang {language} takes any WAV file");
            found(&clip.id, Fault::Format, import);
        } else if let Some(entry) = entry.filter(|entry| entry.text != clip.text) {
            let hint = if entry.recorded { "record it anew".to_owned() } else { build.clone() };
            let (before, now) = (&entry.text, &clip.text);
            found(&clip.id, Fault::Stale, format!("it says \"{before}\", not \"{now}\": {hint}"));
        }
    }
    let wanted: BTreeSet<&str> = clips.iter().map(|clip| clip.id.as_str()).collect();
    for file in wav_files(&folder)? {
        let id = format!("{language}/{}", clip_name(&folder, &file));
        if !wanted.contains(id.as_str()) {
            found(&id, Fault::Unused, "remove it, or say it somewhere".to_owned());
        }
    }
    Ok(findings)
}
