//! Makes the clips that are missing or whose text changed, several at a time.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::Context as _;

use super::manifest::{Entry, Manifest, Pace, Voice, hash};
use super::{RATE, SECONDS_MAX, audio, clip_name, engine, file_of, name_in, pad, wav_files, write_whole};
use crate::dialplan::catalog::{Catalog, Clip};

/// Engines at once at most.
const WORKERS_MAX: usize = 8;

/// What a build did.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Report {
    /// The language.
    pub language: String,
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
    /// Recordings that say what the message said before.
    pub stale: Vec<String>,
    /// Clips that only a person can make: a message names them by `{clip …}`, and there is no file.
    pub wanted: Vec<String>,
    /// Clips that the voice reads as English, or in part.
    pub english: Vec<String>,
}

/// A clip to be made.
struct Job<'c> {
    clip: &'c Clip,
    name: String,
    made: String,
}

/// A clip that was made, or why not.
struct Done<'c> {
    job: &'c Job<'c>,
    outcome: anyhow::Result<Made>,
}

struct Made {
    file: String,
    english: bool,
}

/// Makes the clips of a language that are missing or whose text changed; `dir` is `prompts`. `progress` hears
/// of each clip: how many are done, how many there are, and its id.
///
/// # Errors
/// When espeak-ng cannot be run, the language has no voice, or files cannot be read or written. What was made until
/// then is kept.
pub fn build(
    catalog: &Catalog,
    dir: &Path,
    language: &str,
    progress: &mut dyn FnMut(usize, usize, &str),
) -> anyhow::Result<Report> {
    let folder = dir.join(language);
    let voice = Voice::load(&folder, language)?;
    engine::has(&voice.voice)?;
    let old = Manifest::load(&folder)?;
    let clips = catalog.clips_needed(language);
    let mut manifest = Manifest { engine: engine::version()?, clips: old.clips.clone() };
    let mut report = Report { language: language.to_owned(), ..Report::default() };
    let mut jobs = Vec::new();
    for clip in &clips {
        let name = name_in(language, &clip.id).to_owned();
        let made = voice.hash(&manifest.engine, &clip.text, Pace::of(&clip.id));
        let before = old.clips.get(&name);
        let file = std::fs::read(file_of(dir, &clip.id)).ok().map(|bytes| hash([bytes.as_slice()]));
        match (file, before) {
            (Some(file), Some(entry)) if entry.recorded => {
                report.recorded += 1;
                // Another file than the one that was taken in: a new recording, of what is said now.
                let fresh = file != entry.file;
                if fresh {
                    manifest.clips.insert(name, Entry::recording(clip, file));
                } else if entry.text != clip.text {
                    report.stale.push(clip.id.clone());
                }
            }
            (Some(file), before) if before.is_none_or(|entry| entry.is_other_than(&file)) => {
                report.recorded += 1;
                manifest.clips.insert(name, Entry::recording(clip, file));
            }
            (None, _) if clip.text.is_empty() => report.wanted.push(clip.id.clone()),
            (Some(_), Some(entry)) if entry.made == made => report.kept += 1,
            _ => jobs.push(Job { clip, name, made }),
        }
    }
    for job in &jobs {
        manifest.clips.insert(job.name.clone(), Entry { text: job.clip.text.clone(), ..Entry::default() });
    }
    if !jobs.is_empty() {
        // Before a file is written: what a killed build leaves behind is not taken for a recording.
        manifest.save(&folder)?;
    }
    let ready = clips.len() - jobs.len();
    let result = make(&jobs, dir, &voice, |done, count| {
        progress(ready + count, clips.len(), &done.job.clip.id);
        let made = done.outcome.with_context(|| format!("cannot make {}", done.job.clip.id))?;
        report.made += 1;
        if made.english {
            report.english.push(done.job.clip.id.clone());
        }
        let (text, hash) = (done.job.clip.text.clone(), done.job.made.clone());
        let entry = Entry { text, file: made.file, made: hash, recorded: false };
        manifest.clips.insert(done.job.name.clone(), entry);
        Ok(())
    });
    progress(clips.len(), clips.len(), "");
    remove_unused(&folder, &clips, language, &mut manifest, &mut report)?;
    manifest.save(&folder)?;
    result?;
    report.english.sort();
    for clip in &clips {
        report.bytes += std::fs::metadata(file_of(dir, &clip.id)).map_or(0, |metadata| metadata.len());
    }
    Ok(report)
}

impl Entry {
    /// A file that a person put there.
    pub(super) fn recording(clip: &Clip, file: String) -> Self {
        Self { text: clip.text.clone(), file, made: String::new(), recorded: true }
    }

    /// Whether a file is not the one that was written for this entry.
    fn is_other_than(&self, file: &str) -> bool {
        !self.file.is_empty() && self.file != file
    }
}

/// Runs the engine for all jobs; `each` hears of them as they are done. The first error ends it.
fn make<'c>(
    jobs: &'c [Job<'c>],
    dir: &Path,
    voice: &Voice,
    mut each: impl FnMut(Done<'c>, usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let workers =
        std::thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS_MAX).min(jobs.len());
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let outcome = render(job.clip, dir, voice);
                    if sender.send(Done { job, outcome }).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut result = Ok(());
        for (count, done) in receiver.into_iter().enumerate() {
            if result.is_ok() {
                result = each(done, count);
                stop.store(result.is_err(), Ordering::Relaxed);
            }
        }
        result
    })
}

fn render(clip: &Clip, dir: &Path, voice: &Voice) -> anyhow::Result<Made> {
    let path = file_of(dir, &clip.id);
    let raw = beside(&path)?;
    let spoken = engine::speak(voice, Pace::of(&clip.id), &clip.text, &raw);
    let samples = spoken.and_then(|english| {
        let samples = audio::prompt_from(&raw, RATE, pad(&clip.id), SECONDS_MAX)?;
        Ok((samples, english))
    });
    if raw.exists() {
        std::fs::remove_file(&raw).with_context(|| format!("cannot remove {}", raw.display()))?;
    }
    let (samples, english) = samples?;
    let bytes = audio::encode(&samples)?;
    write_whole(&path, &bytes)?;
    Ok(Made { file: hash([bytes.as_slice()]), english })
}

/// Where the engine writes before the clip is made of it.
fn beside(path: &Path) -> anyhow::Result<PathBuf> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Ok(path.with_extension("raw"))
}

/// Removes what an earlier build made and nothing says any more. What a person made stays.
fn remove_unused(
    folder: &Path,
    clips: &[Clip],
    language: &str,
    manifest: &mut Manifest,
    report: &mut Report,
) -> anyhow::Result<()> {
    let wanted: std::collections::BTreeSet<&str> =
        clips.iter().map(|clip| name_in(language, &clip.id)).collect();
    for file in wav_files(folder)? {
        let name = clip_name(folder, &file);
        let Some(entry) = manifest.clips.get(&name) else { continue };
        if wanted.contains(name.as_str()) || entry.recorded {
            continue;
        }
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if hash([bytes.as_slice()]) == entry.file {
            std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            report.removed += 1;
        }
    }
    manifest.clips.retain(|name, entry| wanted.contains(name.as_str()) || entry.recorded);
    Ok(())
}
