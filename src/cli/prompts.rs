//! `keytone prompts`: makes, checks and takes in the audio of a catalogue's messages.
//!
//! Clips are `prompts/LANG/**.wav` (8 kHz, one channel, µ-law or 16 bits). `voice.toml` beside them says which voice reads the
//! language, `clips.toml` what each clip says and how it came to be, so that only what changed is made again and a
//! recording is never replaced. This runs at build time and on the command line, never in a call.

mod audio;
mod build;
mod check;
mod engine;
mod import;
mod manifest;
mod script;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use build::{Report, build};
pub use check::{Fault, Finding, check};
pub use import::{Imported, import};
pub use script::{Row, script};

/// Samples a second of every clip.
pub const RATE: u32 = 8_000;
/// Longest clip, in seconds; a longer one is a mistake.
pub const SECONDS_MAX: u32 = 60;
/// Quiet left around a message, in seconds.
const PAD_MESSAGE: f32 = 0.03;
/// Quiet left around a word of a number, in seconds: many stand in a row.
const PAD_ATOM: f32 = 0.012;

/// The clips that are present under `prompts`, for the checker: `en/msg/goodbye.0`.
///
/// # Errors
/// When the folder cannot be read.
pub fn present(dir: &Path) -> anyhow::Result<BTreeSet<String>> {
    Ok(wav_files(dir)?.iter().map(|file| clip_name(dir, file)).collect())
}

/// Whether a clip is a word of a number.
fn is_atom(clip: &str) -> bool {
    clip.contains("/num/")
}

/// The quiet left around a clip, in seconds.
fn pad(clip: &str) -> f32 {
    if is_atom(clip) { PAD_ATOM } else { PAD_MESSAGE }
}

/// `msg/goodbye.0` of `en/msg/goodbye.0`.
fn name_in<'i>(language: &str, id: &'i str) -> &'i str {
    id.strip_prefix(language).unwrap_or(id).trim_start_matches('/')
}

/// The file of a clip.
fn file_of(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.wav"))
}

/// All WAV files below a folder, in order; none if there is no such folder. Links are not followed.
fn wav_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut due = vec![folder.to_path_buf()];
    while let Some(at) = due.pop() {
        let entries = match std::fs::read_dir(&at) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", at.display())),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", at.display()))?;
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                due.push(path);
            } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

/// `msg/goodbye.0` of a file below `folder`.
fn clip_name(folder: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let parts: Vec<_> =
        relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

/// Writes a file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, bytes).with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clips_are_paths_below_their_language() {
        assert_eq!(name_in("en", "en/msg/goodbye.0"), "msg/goodbye.0");
        assert_eq!(clip_name(Path::new("/p"), Path::new("/p/en/msg/a.0.wav")), "en/msg/a.0");
        assert!(pad("sw/num/moja") < pad("sw/msg/goodbye.0"));
    }

    #[test]
    fn a_file_is_written_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("en/num/one.wav");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(present(dir.path()).unwrap().into_iter().collect::<Vec<_>>(), ["en/num/one"]);
        assert!(wav_files(&dir.path().join("none")).unwrap().is_empty());
    }
}
