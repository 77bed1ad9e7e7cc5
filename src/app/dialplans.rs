//! Reads flows, messages, number rules and clips: from folders, or those in the binary.

use std::collections::BTreeSet;
use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::app::embedded;
use crate::dialplan::catalog::{Catalog, SourceFile, Sources, Tone};
use crate::rtp::Clip;

/// The largest clip file, bytes; a longer one is refused.
const CLIP_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where dialplans and prompts are; `None` uses those in the binary.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Folder of `*.flow` and `messages/*.msg`.
    pub dialplans: Option<PathBuf>,
    /// Folder of `LANG/numbers.say` and clips.
    pub prompts: Option<PathBuf>,
}

/// What went wrong in reading them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A clip is not as it must be.
    #[error("{name}: {source}")]
    Clip {
        /// Its file.
        name: String,
        /// What is wrong.
        source: crate::rtp::prompt::Error,
    },
}

/// A file's path below its root, with `/`, and its content.
type File = (String, Vec<u8>);

fn below(folder: &Path, suffixes: &[&str]) -> Result<Vec<File>, Error> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(fail(&next))? {
            let path = entry.map_err(fail(&next))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if !suffixes.iter().any(|suffix| name.ends_with(suffix)) {
                continue;
            }
            if fs::metadata(&path).map_err(fail(&path))?.len() > CLIP_BYTES_MAX {
                return Err(fail(&path)(io::Error::other("the file is too large")));
            }
            found.push((name, fs::read(&path).map_err(fail(&path))?));
        }
    }
    found.sort();
    Ok(found)
}

fn files(folder: Option<&Path>, shipped: &str, suffixes: &[&str]) -> Result<Vec<File>, Error> {
    if let Some(folder) = folder {
        return below(folder, suffixes);
    }
    let wanted = |name: &str| suffixes.iter().any(|suffix| name.ends_with(suffix));
    Ok(embedded::below(shipped)
        .filter(|(name, _)| wanted(name))
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect())
}

fn texts(files: Vec<File>, suffix: &str) -> Vec<SourceFile> {
    let matching = files.into_iter().filter(|(name, _)| name.ends_with(suffix));
    matching.map(|(name, bytes)| SourceFile::new(name, String::from_utf8_lossy(&bytes))).collect()
}

impl Places {
    /// Everything that a catalogue is compiled from.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn sources(&self) -> Result<Sources, Error> {
        let scripts = files(self.dialplans.as_deref(), "dialplans/", &[".flow", ".msg"])?;
        let prompts = files(self.prompts.as_deref(), "prompts/", &["numbers.say", ".wav"])?;
        let clips: BTreeSet<String> =
            prompts.iter().filter_map(|(name, _)| Some(name.strip_suffix(".wav")?.to_owned())).collect();
        Ok(Sources {
            flows: texts(scripts.clone(), ".flow"),
            messages: texts(scripts, ".msg"),
            numbers: texts(prompts, "numbers.say"),
            clips: Some(clips),
        })
    }

    /// The clips that a catalogue can say, its tones among them, encoded.
    ///
    /// # Errors
    /// When a clip cannot be read or is not 8 kHz mono of 16 bits.
    pub fn clips(&self, catalog: &Catalog) -> Result<Vec<Clip>, Error> {
        let mut clips = Vec::new();
        for (name, bytes) in files(self.prompts.as_deref(), "prompts/", &[".wav"])? {
            let id = name.strip_suffix(".wav").unwrap_or(&name);
            let clip =
                Clip::from_wav(id, &bytes).map_err(|source| Error::Clip { name: name.clone(), source })?;
            clips.push(clip);
        }
        clips.extend(catalog.tones().iter().map(tone));
        Ok(clips)
    }
}

/// A tone at −12 dBFS in all, as PBXs make them.
fn tone(tone: &Tone) -> Clip {
    const RATE: f64 = 8000.0;
    let sounding: Vec<f64> = tone.hertz.iter().filter(|h| **h > 0).map(|h| f64::from(*h)).collect();
    let level = 8000.0 / f64::from(u32::try_from(sounding.len().max(1)).unwrap_or(1));
    let samples: Vec<i16> = (0..tone.milliseconds.saturating_mul(8))
        .map(|n| {
            let value: f64 = sounding.iter().map(|h| (TAU * h * f64::from(n) / RATE).sin() * level).sum();
            #[expect(clippy::cast_possible_truncation, reason = "at most 8000 in size")]
            let sample = value as i16;
            sample
        })
        .collect();
    Clip::from_samples(&tone.id, &samples)
}
