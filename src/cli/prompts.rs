//! `keytone prompts build` and `keytone prompts check`: the audio of a catalogue's messages.
//!
//! Clips are `prompts/LANG/**.wav` (8 kHz, one channel, 16 bits). `prompts/LANG/voice.toml` says of each what
//! it speaks and how it was made, so that only what changed is made again and a recording is never replaced.
//! This runs at build time and on the command line, never in a call.

mod audio;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use sha2::{Digest, Sha256};

use crate::dialplan::catalog::Catalog;

/// Samples a second of every clip.
pub const RATE: u32 = 8_000;
/// How messages are spoken: words a minute, and the quiet left around them in seconds.
const MESSAGES: Pace = Pace { speed: 178, pad: 0.03 };
/// How the words of numbers are: many stand in a row, so they are quicker and closer.
const ATOMS: Pace = Pace { speed: 200, pad: 0.012 };
/// Changes when the same text would be rendered differently.
const PIPELINE: &str = "1";
/// Longest clip, in seconds; a longer one is a mistake.
const SECONDS_MAX: u32 = 60;

/// The voice of each language. The plain Mandarin voice spells characters out in English, the pinyin one
/// speaks.
const VOICES: &[(&str, &str)] =
    &[("en", "en-us"), ("es", "es-419"), ("fr", "fr-fr"), ("sw", "sw"), ("zh", "cmn-latn-pinyin")];

#[derive(Clone, Copy, Debug)]
struct Pace {
    speed: u16,
    pad: f32,
}

impl Pace {
    fn of(clip: &str) -> Self {
        if clip.contains("/num/") { ATOMS } else { MESSAGES }
    }
}

/// What a build did.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Report {
    /// Clips made now.
    pub made: usize,
    /// Clips that were right already.
    pub kept: usize,
    /// Clips that were recorded, and so left alone.
    pub recorded: usize,
    /// Files removed because nothing says them any more.
    pub removed: usize,
    /// Bytes of all clips.
    pub bytes: u64,
}

/// What is wrong with a clip.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// There is no file.
    Missing,
    /// The text changed since it was made or recorded.
    Stale,
    /// It is not 8 kHz, one channel, 16 bits.
    Format,
    /// Nothing says it.
    Unused,
}

/// A clip and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Finding {
    /// The clip: `en/msg/goodbye.0`.
    pub id: String,
    /// What is wrong.
    pub fault: Fault,
}

/// `voice.toml`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    voice: String,
    #[serde(default)]
    engine: String,
    #[serde(default)]
    clips: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    text: String,
    hash: String,
    #[serde(default)]
    recorded: bool,
}

/// Makes the clips of a language that are missing or whose text changed; `dir` is `prompts`. `progress` hears
/// of each clip: how many are done, how many there are, and its id.
///
/// # Errors
/// When espeak-ng cannot be run, the language has no voice, or files cannot be read or written.
pub fn build(
    catalog: &Catalog,
    dir: &Path,
    language: &str,
    progress: &mut dyn FnMut(usize, usize, &str),
) -> anyhow::Result<Report> {
    let voice = voice_of(language)?;
    let engine = engine()?;
    let folder = dir.join(language);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let old = Manifest::load(&folder)?;
    let clips = catalog.clips_needed(language);
    let mut manifest = Manifest { voice: voice.to_owned(), engine, clips: BTreeMap::new() };
    let mut report = Report::default();
    for (index, clip) in clips.iter().enumerate() {
        progress(index, clips.len(), &clip.id);
        let path = dir.join(format!("{}.wav", clip.id));
        let name = clip.id.strip_prefix(language).unwrap_or(&clip.id).trim_start_matches('/').to_owned();
        let pace = Pace::of(&clip.id);
        let hash = manifest.hash(&clip.text, pace);
        let before = old.clips.get(&name);
        let entry =
            Entry { text: clip.text.clone(), hash, recorded: before.is_some_and(|entry| entry.recorded) };
        if entry.recorded || clip.text.is_empty() {
            report.recorded += 1;
        } else if path.exists() && before.is_some_and(|before| before.hash == entry.hash) {
            report.kept += 1;
        } else {
            render(&folder, voice, pace, &clip.text, &path)
                .with_context(|| format!("cannot make {}", clip.id))?;
            report.made += 1;
        }
        report.bytes += std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        // The hash of a recording stays that of the text which was recorded, so that a change is seen.
        let kept = before.filter(|before| before.recorded).cloned();
        manifest.clips.insert(name, kept.unwrap_or(entry));
    }
    for file in wav_files(&folder)? {
        let name = clip_name(&folder, &file);
        let recorded = old.clips.get(&name).is_some_and(|entry| entry.recorded);
        if !manifest.clips.contains_key(&name) && !recorded && old.clips.contains_key(&name) {
            std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            report.removed += 1;
        }
    }
    std::fs::write(folder.join("voice.toml"), manifest.to_toml()).context("cannot write voice.toml")?;
    progress(clips.len(), clips.len(), "");
    Ok(report)
}

/// Finds clips of a language that are missing, stale, of a wrong format, or not used; `dir` is `prompts`.
///
/// # Errors
/// When files cannot be read.
pub fn check(catalog: &Catalog, dir: &Path, language: &str) -> anyhow::Result<Vec<Finding>> {
    let folder = dir.join(language);
    let manifest = Manifest::load(&folder)?;
    let mut findings = Vec::new();
    let clips = catalog.clips_needed(language);
    for clip in &clips {
        let path = dir.join(format!("{}.wav", clip.id));
        let name = clip.id.strip_prefix(language).unwrap_or(&clip.id).trim_start_matches('/');
        let fault = if !path.exists() {
            Some(Fault::Missing)
        } else if !audio::is_prompt(&path, RATE) {
            Some(Fault::Format)
        } else if manifest.clips.get(name).is_some_and(|entry| entry.text != clip.text) {
            Some(Fault::Stale)
        } else {
            None
        };
        findings.extend(fault.map(|fault| Finding { id: clip.id.clone(), fault }));
    }
    for file in wav_files(&folder)? {
        let id = format!("{language}/{}", clip_name(&folder, &file));
        if !clips.iter().any(|clip| clip.id == id) {
            findings.push(Finding { id, fault: Fault::Unused });
        }
    }
    Ok(findings)
}

/// The clips that are present under `prompts`, for the checker: `en/msg/goodbye.0`.
///
/// # Errors
/// When the folder cannot be read.
pub fn present(dir: &Path) -> anyhow::Result<std::collections::BTreeSet<String>> {
    Ok(wav_files(dir)?.iter().map(|file| clip_name(dir, file)).collect())
}

impl Manifest {
    fn load(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("voice.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Everything that the sound of a text depends on.
    fn hash(&self, text: &str, pace: Pace) -> String {
        let pace = format!("{pace:?}");
        let mut hash = Sha256::new();
        for part in [PIPELINE, &self.engine, &self.voice, &pace, text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn to_toml(&self) -> String {
        let mut out = String::from(
            "# What each clip says and how it was made. Made by `keytone prompts build`; to use a recording instead,\n\
             # put it in place (8 kHz, one channel, 16 bits) and add `recorded = true` to its line.\n",
        );
        let _ = writeln!(out, "voice = {}", quoted(&self.voice));
        let _ = writeln!(out, "engine = {}\n\n[clips]", quoted(&self.engine));
        for (name, entry) in &self.clips {
            let recorded = if entry.recorded { ", recorded = true" } else { "" };
            let (text, hash) = (quoted(&entry.text), quoted(&entry.hash));
            let _ = writeln!(out, "{} = {{ text = {text}, hash = {hash}{recorded} }}", quoted(name));
        }
        out
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn voice_of(language: &str) -> anyhow::Result<&'static str> {
    match VOICES.iter().find(|(tag, _)| *tag == language) {
        Some((_, voice)) => Ok(voice),
        None => {
            let known: Vec<&str> = VOICES.iter().map(|(tag, _)| *tag).collect();
            bail!("no voice is known for `{language}`; there are voices for {}", known.join(", "))
        }
    }
}

/// The engine's name and version, as it says it.
fn engine() -> anyhow::Result<String> {
    let output = Command::new("espeak-ng").arg("--version").stdin(Stdio::null()).output();
    let output = output.context("cannot run espeak-ng; on Debian: apt-get install espeak-ng")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split("Data at").next().unwrap_or_default().trim().to_owned())
}

fn render(folder: &Path, voice: &str, pace: Pace, text: &str, path: &Path) -> anyhow::Result<()> {
    let raw = folder.join(".rendering.wav");
    let speed = pace.speed.to_string();
    let mut child = Command::new("espeak-ng")
        // -z: no pause at the end of the sentence; the text comes on stdin, so none of it can be taken for an
        // option.
        .args(["-z", "-v", voice, "-s", &speed, "--stdin", "-w"])
        .arg(&raw)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run espeak-ng")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).context("espeak-ng does not read its text")?;
    }
    let output = child.wait_with_output().context("espeak-ng did not end")?;
    if !output.status.success() {
        bail!("espeak-ng failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let made = audio::prompt_from(&raw, RATE, pace.pad, SECONDS_MAX);
    std::fs::remove_file(&raw).context("cannot remove what espeak-ng wrote")?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    audio::write(path, RATE, &made?)
}

/// All WAV files below a folder, in order; none if there is no such folder.
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
            let path = entry.with_context(|| format!("cannot read {}", at.display()))?.path();
            if path.is_dir() {
                due.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wav") {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::catalog::{Settings, SourceFile, Sources, compile};
    use crate::money::Currency;

    fn catalog() -> Catalog {
        let file = |name: &str, text: &str| vec![SourceFile::new(name, text)];
        let sources = Sources {
            flows: file("recharge.flow", include_str!("../../dialplans/recharge.flow")),
            messages: file("en.msg", include_str!("../../dialplans/messages/en.msg")),
            numbers: file("en/numbers.say", include_str!("../../prompts/en/numbers.say")),
            clips: None,
        };
        let settings = Settings {
            currency: Currency::new("CNY").unwrap(),
            country: "86".into(),
            national_digits: (11, 11),
            pin_digits: (4, 8),
            default_language: "en".into(),
        };
        compile(&sources, &settings).unwrap()
    }

    fn found(dir: &Path, id: &str) -> Option<Fault> {
        let findings = check(&catalog(), dir, "en").unwrap();
        findings.into_iter().find(|finding| finding.id == id).map(|finding| finding.fault)
    }

    #[test]
    fn the_shipped_prompts_are_complete_current_and_small() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
        assert_eq!(check(&catalog(), &dir, "en").unwrap(), []);
        let files = wav_files(&dir).unwrap();
        let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(bytes < 5_000_000, "{bytes} bytes");
        assert_eq!(present(&dir).unwrap().len(), files.len());
        assert!(present(&dir).unwrap().contains("en/msg/goodbye.0"));
    }

    #[test]
    fn clips_that_are_missing_stale_of_a_wrong_format_or_unused_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (id, other) = ("en/msg/goodbye.0", "en/msg/nobody.0");
        assert_eq!(found(dir.path(), id), Some(Fault::Missing));
        std::fs::create_dir_all(dir.path().join("en/msg")).unwrap();
        let path = dir.path().join("en/msg/goodbye.0.wav");
        audio::write(&path, 16_000, &[0.5; 800]).unwrap();
        assert_eq!(found(dir.path(), id), Some(Fault::Format));
        audio::write(&path, RATE, &[0.5; 800]).unwrap();
        assert_eq!(found(dir.path(), id), None);
        let manifest = "[clips]\n\"msg/goodbye.0\" = { text = \"Farewell.\", hash = \"00\" }\n";
        std::fs::write(dir.path().join("en/voice.toml"), manifest).unwrap();
        assert_eq!(found(dir.path(), id), Some(Fault::Stale));
        std::fs::rename(&path, dir.path().join("en/msg/nobody.0.wav")).unwrap();
        assert_eq!(found(dir.path(), other), Some(Fault::Unused));
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let mut manifest =
            Manifest { voice: "en-us".into(), engine: "e \\ \"x\"".into(), ..Manifest::default() };
        let entry = Entry { text: "Say \"yes\",\tor no".into(), hash: "ab".into(), recorded: true };
        manifest.clips.insert("msg/a.0".into(), entry);
        let read: Manifest = toml::from_str(&manifest.to_toml()).unwrap();
        let clip = &read.clips["msg/a.0"];
        assert_eq!((clip.text.as_str(), clip.recorded), ("Say \"yes\",\tor no", true));
        assert_eq!(read.engine, manifest.engine);
        assert_ne!(manifest.hash("a", ATOMS), manifest.hash("b", ATOMS));
        assert_ne!(manifest.hash("a", ATOMS), manifest.hash("a", MESSAGES));
    }

    #[test]
    fn a_language_without_a_voice_is_named() {
        let error = build(&catalog(), Path::new("/nonexistent"), "tlh", &mut |_, _, _| {}).unwrap_err();
        assert!(error.to_string().contains("`tlh`"), "{error}");
    }
}
