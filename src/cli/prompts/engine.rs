//! The speech engine: espeak-ng run as a program, its licence and faults kept outside of the daemon.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::manifest::{Pace, Voice};

/// What the engine writes between phonemes where it reads a word as English.
const ENGLISH: &str = "(en)";

/// The engine's name and version, as it says it.
pub(super) fn version() -> anyhow::Result<String> {
    let output = Command::new("espeak-ng").arg("--version").stdin(Stdio::null()).output();
    let output = output.context("cannot run espeak-ng; on Debian: apt-get install espeak-ng")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split("Data at").next().unwrap_or_default().trim().to_owned())
}

/// Refuses a voice that the engine does not have: it would speak English in its place and say nothing about it.
pub(super) fn has(voice: &str) -> anyhow::Result<()> {
    let output = Command::new("espeak-ng").arg("--voices").stdin(Stdio::null()).output();
    let output = output.context("cannot run espeak-ng")?;
    let base = voice.split('+').next().unwrap_or_default();
    let list = String::from_utf8_lossy(&output.stdout);
    let mut names = list.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    if base.is_empty() || !names.any(|name| name.eq_ignore_ascii_case(base)) {
        bail!("espeak-ng has no voice `{voice}`; espeak-ng --voices lists those that it has");
    }
    Ok(())
}

/// Reads a text aloud into a WAV file. Whether the voice read it, or a part, as English: a Mandarin voice spells
/// out what it does not know.
pub(super) fn speak(voice: &Voice, pace: Pace, text: &str, raw: &Path) -> anyhow::Result<bool> {
    let mut child = Command::new("espeak-ng")
        // -z: no pause at the end of the sentence; the text comes on stdin, so none of it can be taken for an
        // option.
        .args(["-z", "--ipa", "-v", &voice.voice, "-s", &voice.speed(pace).to_string()])
        .args(["-p", &voice.pitch.to_string(), "--stdin", "-w"])
        .arg(raw)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run espeak-ng")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).context("espeak-ng does not read its text")?;
    }
    let output = child.wait_with_output().context("espeak-ng did not end")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("espeak-ng failed: {}", complaint.trim());
    }
    if !raw.exists() {
        bail!("espeak-ng wrote nothing with the voice `{}`: {}", voice.voice, complaint.trim());
    }
    Ok(!voice.voice.starts_with("en") && String::from_utf8_lossy(&output.stdout).contains(ENGLISH))
}
