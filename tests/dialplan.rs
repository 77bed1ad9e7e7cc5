//! Dialplans as a whole: the shipped flows and their transcripts, bad flows with the reports that they must give, and
//! what must hold of every conversation.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this folder is only tests; what fails in it should stop the test"
)]

mod bad;
mod command;
mod engine;
mod handover;
mod input;
mod lengths;
mod money;
mod numbers;
mod once;
mod shipped;
mod without_pin;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::diagnostic::Diagnostic;
use keytone::money::Currency;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn source(name: &str, path: impl AsRef<Path>) -> SourceFile {
    SourceFile::new(name, read(&root().join(path)))
}

fn settings() -> Settings {
    Settings {
        country: "86".into(),
        national_digits: (11, 11),
        ..Settings::of(Currency::new("CNY").unwrap())
    }
}

fn wav_files(folder: &Path, prefix: &str, out: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            wav_files(&path, &format!("{prefix}{name}/"), out);
        } else if let Some(stem) = name.strip_suffix(".wav") {
            out.insert(format!("{prefix}{stem}"));
        }
    }
}

/// The flows that ship; the main job is the first of them.
const FLOWS: [&str; 12] = [
    "recharge.flow",
    "account.flow",
    "asked.flow",
    "bill.flow",
    "charge.flow",
    "close.flow",
    "main.flow",
    "open.flow",
    "orders.flow",
    "store.flow",
    "stranger.flow",
    "vouch.flow",
];

fn shipped() -> Sources {
    let mut clips = BTreeSet::new();
    wav_files(&root().join("prompts"), "", &mut clips);
    Sources {
        flows: FLOWS.iter().map(|name| source(name, format!("dialplans/{name}"))).collect(),
        messages: vec![source("messages/en.msg", "dialplans/messages/en.msg")],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: Some(clips),
    }
}

/// The shipped flow in every language that there are messages for.
fn in_every_language() -> Sources {
    let mut sources = shipped();
    for language in ["zh", "sw", "fr", "es"] {
        sources
            .messages
            .push(source(&format!("messages/{language}.msg"), format!("dialplans/messages/{language}.msg")));
        sources
            .numbers
            .push(source(&format!("{language}/numbers.say"), format!("prompts/{language}/numbers.say")));
    }
    sources.clips = None;
    sources
}

/// The recharge in every language, without the other flows.
fn recharge_alone() -> Sources {
    let mut sources = in_every_language();
    sources
        .flows
        .retain(|flow| ["recharge.flow", "stranger.flow", "vouch.flow"].contains(&flow.name.as_str()));
    sources
}

fn reports(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().fold(String::new(), |mut out, diagnostic| {
        let _ = writeln!(out, "{}", diagnostic.render(|file| sources.text(file), false).trim_end());
        out.push('\n');
        out
    })
}

fn good(sources: &Sources) -> Catalog {
    match compile(sources, &settings()) {
        Ok(catalog) => catalog,
        Err(faults) => panic!("{}", reports(sources, &faults)),
    }
}

fn golden() -> PathBuf {
    root().join("tests/golden/dialplan")
}

/// The sources of a bad example: `NAME.flow`, and beside it, if there are, a second flow, messages added to
/// the common ones, another language, other number rules, a list of clips.
fn example(name: &str) -> Sources {
    let side = |suffix: &str| {
        let path = golden().join(format!("{name}.{suffix}"));
        path.exists().then(|| SourceFile::new(format!("{name}.{suffix}"), read(&path)))
    };
    let base = read(&golden().join("base.en.msg"));
    let own = side("en.msg");
    // What an example adds comes last, and replaces a common message of the same key.
    let english = match &own {
        Some(own) => {
            let replaced = |block: &str| {
                let key = block.lines().next().unwrap_or_default().split('(').next().unwrap_or_default();
                own.text.lines().any(|line| line.split('(').next() == Some(key))
            };
            let kept = base.split("\n\n").filter(|block| !replaced(block.trim_start()));
            format!("{}\n\n{}", kept.collect::<Vec<_>>().join("\n\n"), own.text)
        }
        None => base,
    };
    let mut messages = vec![SourceFile::new("en.msg", english)];
    messages.extend(side("fr.msg").map(|file| SourceFile::new("fr.msg", file.text)));
    let english_numbers = read(&root().join("prompts/en/numbers.say"));
    let numbers = side("say").map_or_else(|| english_numbers.clone(), |file| file.text);
    let mut flows =
        vec![SourceFile::new(format!("{name}.flow"), read(&golden().join(format!("{name}.flow"))))];
    flows.extend(side("second.flow"));
    Sources {
        flows,
        messages,
        numbers: vec![
            SourceFile::new("en/numbers.say", numbers),
            SourceFile::new("fr/numbers.say", english_numbers),
        ],
        clips: side("clips").map(|file| file.text.lines().map(str::to_owned).collect()),
    }
}

/// A generator that needs no crate: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

/// A catalogue of one small flow with the messages of the bad examples.
fn small(flow: &str) -> Catalog {
    good(&Sources {
        flows: vec![SourceFile::new("small.flow", flow)],
        messages: vec![SourceFile::new("en.msg", read(&golden().join("base.en.msg")))],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    })
}

fn runner(cases: u32, seed: [u8; 32]) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}
