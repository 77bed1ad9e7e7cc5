//! Reads flows, messages, number rules and clips: from folders, or those in the binary.

use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::app::embedded;
use crate::app::stale;
use crate::dialplan::catalog::{Catalog, SourceFile, Sources, Tone};
use crate::dialplan::diagnostic::Diagnostic;
use crate::rtp::Clip;

/// The largest clip file, bytes; a longer one is refused.
const CLIP_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Files below one folder; more are not read.
const FILES_MAX: usize = 20_000;
/// Folders within folders; deeper ones are not read, so that a link to a folder above ends somewhere.
const DEPTH_MAX: usize = 8;

/// Where dialplans and prompts are; `None` uses those in the binary.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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

fn unreadable(path: &Path, source: impl Into<io::Error>) -> Error {
    Error::Read { path: path.to_owned(), source: source.into() }
}

fn below(folder: &Path, suffixes: &[&str]) -> Result<Vec<File>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((next, depth)) = folders.pop() {
        if depth > DEPTH_MAX {
            let why = format!("folders lie deeper than {DEPTH_MAX} within each other");
            return Err(unreadable(&next, io::Error::other(why)));
        }
        for entry in fs::read_dir(&next).map_err(|e| unreadable(&next, e))? {
            let path = entry.map_err(|e| unreadable(&next, e))?.path();
            if path.is_dir() {
                folders.push((path, depth + 1));
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if !suffixes.iter().any(|suffix| name.ends_with(suffix)) {
                continue;
            }
            if found.len() >= FILES_MAX {
                let why = format!("there are more than {FILES_MAX} files");
                return Err(unreadable(folder, io::Error::other(why)));
            }
            found.push((name, content(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// A whole file. What is no file (a pipe, a device) is refused: reading it might never end.
fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let about = fs::metadata(path).map_err(|e| unreadable(path, e))?;
    if !about.is_file() {
        return Err(unreadable(path, io::Error::other("it is not a file")));
    }
    if about.len() > CLIP_BYTES_MAX {
        return Err(unreadable(path, io::Error::other("the file is too large")));
    }
    fs::read(path).map_err(|e| unreadable(path, e))
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
    matching.map(|(name, bytes)| SourceFile::read(name, &bytes)).collect()
}

/// Everything that was found at one time: a catalogue and its clips are made from the same files.
pub struct Found {
    scripts: Vec<File>,
    prompts: Vec<File>,
}

impl Places {
    /// Reads all files.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn read(&self) -> Result<Found, Error> {
        let scripts = files(self.dialplans.as_deref(), "dialplans/", &[".flow", ".msg"])?;
        let prompts = files(self.prompts.as_deref(), "prompts/", &["numbers.say", ".wav", "clips.toml"])?;
        Ok(Found { scripts, prompts })
    }

    /// Everything that a catalogue is compiled from.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn sources(&self) -> Result<Sources, Error> {
        Ok(self.read()?.sources())
    }
}

impl Found {
    /// Everything that a catalogue is compiled from.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let clips = self.prompts.iter().filter_map(|(name, _)| Some(name.strip_suffix(".wav")?.to_owned()));
        Sources {
            clips: Some(clips.collect()),
            flows: texts(self.scripts.clone(), ".flow"),
            messages: texts(self.scripts.clone(), ".msg"),
            numbers: texts(self.prompts.clone(), "numbers.say"),
        }
    }

    /// A warning for each message of which a clip says other words than it has now.
    #[must_use]
    pub fn stale(&self, sources: &Sources, catalog: &Catalog) -> Vec<Diagnostic> {
        let manifests = self.prompts.iter().filter(|(name, _)| name.ends_with("clips.toml"));
        let texts =
            manifests.filter_map(|(name, bytes)| Some((name.as_str(), std::str::from_utf8(bytes).ok()?)));
        stale::stale(&stale::words(texts), sources, catalog)
    }

    /// The clips that a catalogue can say, its tones among them, encoded.
    ///
    /// # Errors
    /// When a clip is not 8 kHz mono of 16 bits.
    pub fn clips(&self, catalog: &Catalog) -> Result<Vec<Clip>, Error> {
        let mut clips = Vec::new();
        for (name, bytes) in &self.prompts {
            let Some(id) = name.strip_suffix(".wav") else { continue };
            let clip =
                Clip::from_wav(id, bytes).map_err(|source| Error::Clip { name: name.clone(), source })?;
            clips.push(clip);
        }
        clips.extend(catalog.tones().iter().map(tone));
        Ok(clips)
    }

    /// Equal for equal clips: a catalogue's version does not tell that a clip was recorded anew.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, bytes) in &self.prompts {
            hash.update(name.len().to_le_bytes());
            hash.update(name);
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_and_folders_without_end_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { dialplans: Some(folder.path().to_owned()), prompts: None };
        fs::write(folder.path().join("a.flow"), "flow a 1\n").unwrap();
        assert_eq!(places.sources().unwrap().flows.len(), 1);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        let told = places.sources().unwrap_err().to_string();
        assert!(told.contains("deeper than 8"), "{told}");
        fs::remove_file(folder.path().join("again")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("b.flow")).unwrap();
        let told = places.sources().unwrap_err().to_string();
        assert!(told.contains("b.flow: it is not a file"), "{told}");
    }

    #[test]
    fn the_fingerprint_tells_clips_apart() {
        let prompts = |files: &[(&str, &str)]| Found {
            scripts: Vec::new(),
            prompts: files.iter().map(|(n, b)| ((*n).to_owned(), b.as_bytes().to_vec())).collect(),
        };
        let one = prompts(&[("en/a.wav", "xy"), ("en/b.wav", "z")]).fingerprint();
        assert_eq!(one, prompts(&[("en/a.wav", "xy"), ("en/b.wav", "z")]).fingerprint());
        assert_ne!(one, prompts(&[("en/a.wav", "x"), ("en/b.wav", "yz")]).fingerprint());
    }
}
