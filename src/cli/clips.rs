//! `keytone prompts`: makes the audio of messages, checks it, writes the script for a voice artist, takes recordings
//! in.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::prompts::{self, Fault, Imported, Report, Row};
use super::{colours, say, say_json};
use crate::app;
use crate::app::dialplans::Places;
use crate::app::embedded;
use crate::connector::numbering::Plan;
use crate::connector::sandbox;
use crate::dialplan::catalog::{Catalog, SourceFile, Sources, compile};
use crate::payment::settings::Settings;

/// Files of a language that ship with Keytone and that a folder of prompts needs.
const RULES: [&str; 2] = ["numbers.say", "voice.toml"];
/// Where dialplans lie unless it is said.
const DIALPLANS: &str = "dialplans";
/// Names that are told one by one; of more, how many.
const TOLD: usize = 8;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the clips that are missing or whose text changed, with espeak-ng; recordings are left alone
    #[command(after_help = "\
Without a language, all that the dialplans have messages in are made.

Examples:
  keytone prompts build
  keytone prompts build zh sw --prompts /var/lib/keytone/prompts")]
    Build(Where),
    /// Find clips that are missing, stale, of a wrong format, or not used; exit status 1 if there are any
    #[command(after_help = "\
Without a language, all that have clips are checked; the others are only named.

Examples:
  keytone prompts check
  keytone prompts check en --json")]
    Check(Where),
    /// Print the script for a voice artist as CSV: file name, text, and the sentence that it belongs to
    #[command(after_help = "\
A recording of `msg/goodbye.0` is a WAV file `msg/goodbye.0.wav`; `keytone prompts import` takes the folder in.

Examples:
  keytone prompts script es > es.csv
  keytone prompts script es --todo          only what nobody has recorded yet, or said differently")]
    Script(Script),
    /// Take recordings in: files named as in the script, or the sound pack of a PBX (digits/0 … digits/million)
    #[command(after_help = "\
Any WAV file will do: it becomes 8 kHz and one channel, is trimmed and levelled, and is never replaced afterwards.

Examples:
  keytone prompts import recordings --lang es
  keytone prompts import /usr/share/asterisk/sounds/es_MX_f_Allison --lang es")]
    Import(Import),
}

#[derive(Args, Debug)]
pub(super) struct Where {
    /// Languages, such as `en`
    #[arg(value_name = "LANG")]
    languages: Vec<String>,
    #[command(flatten)]
    folders: Folders,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Script {
    /// The language
    #[arg(value_name = "LANG", default_value = "en")]
    language: String,
    /// Only what has no recording of its present text
    #[arg(long)]
    todo: bool,
    #[command(flatten)]
    folders: Folders,
    /// Print JSON, a line for each clip
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Import {
    /// Where the recordings are
    #[arg(value_name = "FOLDER")]
    from: PathBuf,
    /// Their language
    #[arg(long, value_name = "LANG")]
    lang: String,
    #[command(flatten)]
    folders: Folders,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Folders {
    /// Folder of *.flow and messages/*.msg; without it `dialplans` here, or else the shipped dialplans
    #[arg(long, value_name = "DIR")]
    dialplans: Option<PathBuf>,
    /// Folder of clips
    #[arg(long, default_value = "prompts", value_name = "DIR")]
    prompts: PathBuf,
}

impl Folders {
    /// The flows and messages, and the number rules of the folder or, where it has none, the shipped ones.
    fn sources(&self) -> anyhow::Result<Sources> {
        let here = Path::new(DIALPLANS);
        let dialplans = self.dialplans.clone().or_else(|| here.is_dir().then(|| here.to_owned()));
        let prompts = self.prompts.is_dir().then(|| self.prompts.clone());
        let mut sources = Places { dialplans, prompts }.sources()?;
        for (name, bytes) in shipped("numbers.say") {
            if !sources.numbers.iter().any(|file| file.name == name) {
                sources.numbers.push(SourceFile::new(name, String::from_utf8_lossy(bytes)));
            }
        }
        sources.clips = None;
        Ok(sources)
    }

    fn catalog(&self) -> anyhow::Result<Catalog> {
        let sources = self.sources()?;
        let languages: Vec<&str> = sources.messages.iter().map(|file| language_of(&file.name)).collect();
        let reference = languages.iter().find(|tag| **tag == "en").or_else(|| languages.first());
        let plan = Plan::parse(sandbox::PLAN).map_err(|f| anyhow::anyhow!("the shipped plan: {f:?}"))?;
        let grammar = app::grammar(&plan, &Settings::demo(plan.currency), reference.unwrap_or(&"en"));
        compile(&sources, &grammar).or_else(|faults| {
            for fault in &faults {
                say(fault.render(|file| sources.text(file), colours()));
            }
            bail!("the dialplans have faults")
        })
    }

    /// Puts the shipped number rules and voice of a language where the folder has none of its own, so that it can be
    /// served from.
    fn complete(&self, language: &str) -> anyhow::Result<()> {
        for file in RULES {
            let wanted = format!("{language}/{file}");
            let path = self.prompts.join(&wanted);
            let Some((_, bytes)) = shipped(file).find(|(name, _)| *name == wanted) else { continue };
            if !path.exists() {
                let folder = self.prompts.join(language);
                std::fs::create_dir_all(&folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
                std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Shipped files `LANG/<file>` with their content.
fn shipped(file: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    embedded::below("prompts/").filter(move |(name, _)| name.rsplit('/').next() == Some(file))
}

/// `en` of `messages/en.msg`.
fn language_of(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file).trim_end_matches(".msg")
}

/// The languages asked for, or all; one without messages is refused.
fn languages(asked: &[String], catalog: &Catalog) -> anyhow::Result<Vec<String>> {
    let known: Vec<String> = catalog.texts().languages().map(str::to_owned).collect();
    if let Some(unknown) = asked.iter().find(|tag| !known.contains(tag)) {
        bail!("there are no messages in `{unknown}`; there are some in {}", known.join(", "));
    }
    Ok(if asked.is_empty() { known } else { asked.to_vec() })
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build(place) => build(&place),
        Command::Check(place) => check(&place),
        Command::Script(script) => print_script(&script),
        Command::Import(import) => take_in(&import),
    }
}

fn build(place: &Where) -> anyhow::Result<ExitCode> {
    let catalog = place.folders.catalog()?;
    for language in languages(&place.languages, &catalog)? {
        place.folders.complete(&language)?;
        let mut bar = |done: usize, of: usize, id: &str| progress(&language, done, of, id);
        let report = prompts::build(&catalog, &place.folders.prompts, &language, &mut bar)?;
        if place.json {
            say_json(&report)?;
        } else {
            tell(&report);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(report: &Report) {
    let Report { language, made, kept, recorded, removed, bytes, stale, wanted, english } = report;
    say(format!(
        "{language}: {made} made, {kept} kept, {recorded} recorded, {removed} removed; {} KiB",
        bytes / 1024
    ));
    for (what, clips) in [
        ("recordings of an older text, to be made anew", stale),
        ("clips that a message names and nobody has recorded", wanted),
        ("clips that the voice reads as English, at least in part", english),
    ] {
        if !clips.is_empty() {
            say(format!("{language}: {what}: {}", named(clips)));
        }
    }
}

/// Some names, and how many there are besides.
fn named(names: &[String]) -> String {
    let told: Vec<&str> = names.iter().take(TOLD).map(String::as_str).collect();
    match names.len().saturating_sub(TOLD) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn check(place: &Where) -> anyhow::Result<ExitCode> {
    let catalog = place.folders.catalog()?;
    let present = prompts::present(&place.folders.prompts)?;
    let mut sound = true;
    for language in languages(&place.languages, &catalog)? {
        let has_clips = present.iter().any(|id| id.starts_with(&format!("{language}/")));
        if !has_clips && place.languages.is_empty() {
            if !place.json {
                say(format!(
                    "{language}: no clips, so screens only; make them: keytone prompts build {language}"
                ));
            }
            continue;
        }
        let findings = prompts::check(&catalog, &place.folders.prompts, &language)?;
        sound &= findings.is_empty();
        for finding in &findings {
            if place.json {
                say_json(finding)?;
                continue;
            }
            let what = match finding.fault {
                Fault::Missing => "is missing",
                Fault::Stale => "is stale",
                Fault::Format => "is not 8 kHz, one channel, µ-law or 16 bits",
                Fault::Unused => "is not used",
            };
            let code = finding.code.map_or_else(String::new, |code| format!("{code:?} "));
            say(format!("{code}{} {what}; {}", finding.id, finding.hint));
        }
        if !place.json {
            say(format!(
                "{language}: {} clips, {} faults",
                catalog.clips_needed(&language).len(),
                findings.len()
            ));
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_script(script: &Script) -> anyhow::Result<ExitCode> {
    let catalog = script.folders.catalog()?;
    let asked = std::slice::from_ref(&script.language);
    for language in languages(asked, &catalog)? {
        let rows = prompts::script(&catalog, &script.folders.prompts, &language)?;
        let rows = rows.iter().filter(|row| !script.todo || row.state != "recorded");
        if script.json {
            for row in rows {
                say_json(row)?;
            }
        } else {
            let lines: Vec<String> = rows.map(Row::csv).collect();
            say(format!("{}\n{}", Row::HEADER, lines.join("\n")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn take_in(import: &Import) -> anyhow::Result<ExitCode> {
    let (folders, language) = (&import.folders, &import.lang);
    let catalog = folders.catalog()?;
    languages(std::slice::from_ref(language), &catalog)?;
    folders.complete(language)?;
    let imported = prompts::import(&catalog, &folders.prompts, language, &import.from)?;
    if import.json {
        say_json(&imported)?;
    } else {
        tell_import(&imported, &import.from);
    }
    let failed = imported.taken.is_empty() || !imported.refused.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell_import(imported: &Imported, from: &Path) {
    let Imported { language, taken, ignored, refused, missing_words, missing_messages } = imported;
    for (id, file) in taken {
        say(format!("{id} is {}", file.strip_prefix(from).unwrap_or(file).display()));
    }
    for (file, reason) in refused {
        say(format!("{} is left out: {reason}", file.display()));
    }
    say(format!("{language}: {} recordings taken in, {ignored} other files left alone", taken.len()));
    if !missing_words.is_empty() {
        let words: Vec<String> =
            missing_words.iter().map(|clip| format!("{} (\"{}\")", clip.id, clip.text)).collect();
        say(format!("{language}: words of numbers that nobody has recorded: {}", named(&words)));
    }
    if *missing_messages > 0 {
        say(format!(
            "{language}: {missing_messages} clips of messages that nobody has recorded: keytone prompts script \
             {language} --todo"
        ));
    }
    if !missing_words.is_empty() || *missing_messages > 0 {
        say(format!("{language}: the engine speaks the rest: keytone prompts build {language}"));
    }
}

/// A bar on the terminal; nothing where there is none.
fn progress(language: &str, done: usize, of: usize, id: &str) {
    const WIDTH: usize = 30;
    let mut terminal = std::io::stderr();
    if !terminal.is_terminal() {
        return;
    }
    let filled = (WIDTH * done).checked_div(of).unwrap_or(WIDTH);
    let bar = format!("{}{}", "#".repeat(filled), " ".repeat(WIDTH - filled));
    let _ = write!(terminal, "\r\x1b[K{language} [{bar}] {done}/{of} {id}");
    if done == of {
        let _ = write!(terminal, "\r\x1b[K");
    }
    let _ = terminal.flush();
}
