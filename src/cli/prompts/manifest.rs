//! `voice.toml`, written by people: who reads a language. `clips.toml`, written by the tool: what each clip says and
//! how it came to be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use sha2::{Digest, Sha256};

/// The manifest's file in a language's folder.
pub(super) const CLIPS: &str = "clips.toml";
/// The voice's file in a language's folder.
const VOICE: &str = "voice.toml";
/// Changes when the same text would be rendered differently.
const PIPELINE: &str = "2";
/// Words a minute of messages, and of the words of numbers, many of which stand in a row.
const SPEED: (u16, u16) = (178, 200);
/// What the engine can do, words a minute.
const SPEEDS: std::ops::RangeInclusive<u16> = 80..=450;
/// The engine's usual pitch, 0 to 99.
const PITCH: u8 = 50;

/// The voice of each language that has no `voice.toml`.
const VOICES: &[(&str, &str)] =
    &[("en", "en-us"), ("es", "es"), ("fr", "fr-fr"), ("sw", "sw"), ("zh", "cmn-latn-pinyin")];
/// Voices that spell Mandarin out in English; the one to take is `cmn-latn-pinyin`.
const SPELLING: &[&str] = &["cmn", "zh", "zh-cmn"];

/// What a clip is: a sentence, or a word of a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pace {
    Message,
    Atom,
}

impl Pace {
    pub(super) fn of(clip: &str) -> Self {
        if super::is_atom(clip) { Self::Atom } else { Self::Message }
    }
}

/// `voice.toml`: how the engine reads a language.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Voice {
    /// As `espeak-ng --voices` names it.
    pub(super) voice: String,
    /// Words a minute of messages.
    #[serde(default)]
    pub(super) speed: Option<u16>,
    /// Words a minute of the words of numbers.
    #[serde(default)]
    pub(super) speed_numbers: Option<u16>,
    #[serde(default = "usual_pitch")]
    pub(super) pitch: u8,
}

const fn usual_pitch() -> u8 {
    PITCH
}

impl Voice {
    /// The voice of a language: its `voice.toml`, or else the usual one.
    pub(super) fn load(folder: &Path, language: &str) -> anyhow::Result<Self> {
        let path = folder.join(VOICE);
        let voice: Self = match read(&path)? {
            Some(text) => {
                toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?
            }
            None => {
                let Some((_, voice)) = VOICES.iter().find(|(tag, _)| *tag == language) else {
                    bail!(
                        "no voice is known for `{language}`: write `voice = \"NAME\"` into {} \
                         (espeak-ng --voices lists the names)",
                        path.display()
                    );
                };
                Self { voice: (*voice).to_owned(), speed: None, speed_numbers: None, pitch: PITCH }
            }
        };
        if SPELLING.contains(&voice.voice.as_str()) {
            bail!(
                "{}: the voice `{}` spells Chinese out in English; use `cmn-latn-pinyin`",
                path.display(),
                voice.voice
            );
        }
        let speeds = [voice.speed(Pace::Message), voice.speed(Pace::Atom)];
        if !speeds.iter().all(|speed| SPEEDS.contains(speed)) || voice.pitch > 99 {
            bail!("{}: a speed is 80 to 450 words a minute, a pitch 0 to 99", path.display());
        }
        Ok(voice)
    }

    /// Words a minute.
    pub(super) fn speed(&self, pace: Pace) -> u16 {
        match pace {
            Pace::Message => self.speed.unwrap_or(SPEED.0),
            Pace::Atom => self.speed_numbers.unwrap_or(SPEED.1),
        }
    }

    /// Everything that the sound of a text depends on, as a hash.
    pub(super) fn hash(&self, engine: &str, text: &str, pace: Pace) -> String {
        let (speed, pitch) = (self.speed(pace).to_string(), self.pitch.to_string());
        let pad = format!("{pace:?}");
        hash([PIPELINE, engine, &self.voice, &speed, &pitch, &pad, text].map(str::as_bytes))
    }
}

/// `clips.toml`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// What made the clips that were not recorded.
    #[serde(default)]
    pub(super) engine: String,
    /// By name: `msg/goodbye.0`.
    #[serde(default)]
    pub(super) clips: BTreeMap<String, Entry>,
}

/// A clip.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// What it says.
    pub(super) text: String,
    /// Of the file as the tool wrote it. A file of another hash was put there by a person. Empty while it is being
    /// made.
    #[serde(default)]
    pub(super) file: String,
    /// Of what it was made from; empty for a recording.
    #[serde(default)]
    pub(super) made: String,
    /// Whether a person speaks.
    #[serde(default)]
    pub(super) recorded: bool,
}

impl Manifest {
    pub(super) fn load(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(CLIPS);
        match read(&path)? {
            Some(text) => {
                toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
            }
            None => Ok(Self::default()),
        }
    }

    pub(super) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        super::write_whole(&folder.join(CLIPS), self.to_toml().as_bytes())
    }

    fn to_toml(&self) -> String {
        let mut out = String::from(
            "# What each clip says and how it was made: written by `keytone prompts`, which makes again what changed.\n\
             # Recordings are never replaced; see prompts/README.md.\n",
        );
        let _ = writeln!(out, "engine = {}\n\n[clips]", quoted(&self.engine));
        for (name, entry) in &self.clips {
            let made = if entry.made.is_empty() {
                String::new()
            } else {
                format!(", made = {}", quoted(&entry.made))
            };
            let recorded = if entry.recorded { ", recorded = true" } else { "" };
            let (text, file) = (quoted(&entry.text), quoted(&entry.file));
            let _ = writeln!(out, "{} = {{ text = {text}, file = {file}{made}{recorded} }}", quoted(name));
        }
        out
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The first eight octets of a SHA-256 over the parts, as hexadecimal digits.
pub(super) fn hash<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(text: &str) -> anyhow::Result<Voice> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(VOICE), text).unwrap();
        Voice::load(dir.path(), "zh")
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let mut manifest = Manifest { engine: "e \\ \"x\"".into(), ..Manifest::default() };
        let text = "Say \"yes\",\tor no".to_owned();
        let entry = Entry { text, file: "ab".into(), made: String::new(), recorded: true };
        manifest.clips.insert("msg/a.0".into(), entry.clone());
        let generated = Entry { text: "零".into(), file: "cd".into(), made: "ef".into(), recorded: false };
        manifest.clips.insert("num/ling2".into(), generated.clone());
        let dir = tempfile::tempdir().unwrap();
        manifest.save(dir.path()).unwrap();
        let read = Manifest::load(dir.path()).unwrap();
        assert_eq!((&read.clips["msg/a.0"], &read.clips["num/ling2"]), (&entry, &generated));
        assert_eq!(read.engine, manifest.engine);
        assert!(Manifest::load(&dir.path().join("none")).unwrap().clips.is_empty());
    }

    #[test]
    fn what_changes_the_sound_changes_the_hash() {
        let plain = voice("voice = \"cmn-latn-pinyin\"").unwrap();
        let hash = plain.hash("1.51", "零", Pace::Atom);
        let slower = voice("voice = \"cmn-latn-pinyin\"\nspeed_numbers = 150").unwrap();
        for other in [
            plain.hash("1.52", "零", Pace::Atom),
            plain.hash("1.51", "一", Pace::Atom),
            plain.hash("1.51", "零", Pace::Message),
            slower.hash("1.51", "零", Pace::Atom),
        ] {
            assert_ne!(other, hash);
        }
        assert_eq!(slower.hash("1.51", "零", Pace::Message), plain.hash("1.51", "零", Pace::Message));
    }

    #[test]
    fn a_voice_that_cannot_be_used_is_refused_with_what_to_do() {
        for (text, part) in [
            ("voice = \"cmn\"", "cmn-latn-pinyin"),
            ("voice = \"sw\"\nspeed = 9", "80 to 450"),
            ("voice = \"sw\"\npitch = 100", "0 to 99"),
            ("voice = \"sw\"\ntone = 1", "cannot understand"),
        ] {
            let error = format!("{:#}", voice(text).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = Voice::load(Path::new("/nonexistent"), "tlh").unwrap_err().to_string();
        assert!(error.contains("`tlh`") && error.contains("voice.toml"), "{error}");
        assert_eq!(Voice::load(Path::new("/nonexistent"), "zh").unwrap().voice, "cmn-latn-pinyin");
    }
}
