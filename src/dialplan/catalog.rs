//! A folder of flows and messages, compiled together: all of it is good, or none of it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::dialplan::check;
use crate::dialplan::diagnostic::Diagnostic;
use crate::dialplan::event::Channel;
use crate::dialplan::program::Program;
use crate::dialplan::route::Route;
use crate::dialplan::speak::{Piece, Texts, Words};
use crate::money::Currency;

/// Changes when the same sources would behave differently.
const LANGUAGE_VERSION: &str = "keytone dialplan 1";

/// The largest source file, in bytes.
pub const FILE_MAX: usize = 1 << 20;

/// One text to be compiled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceFile {
    /// Its name as reports show it: `recharge.flow`, `messages/en.msg`, `en/numbers.say`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A file by name and text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// Everything that a catalogue is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `*.flow`
    pub flows: Vec<SourceFile>,
    /// `LANG.msg`, whatever folder stands before it.
    pub messages: Vec<SourceFile>,
    /// `LANG/numbers.say`, whatever folder stands before it.
    pub numbers: Vec<SourceFile>,
    /// The clips that exist, as `en/msg/goodbye.0`; nothing to leave them unchecked.
    pub clips: Option<BTreeSet<String>>,
}

impl Sources {
    /// The text of a file, for reports.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut files = self.flows.iter().chain(&self.messages).chain(&self.numbers);
        files.find(|file| file.name == name).map(|file| file.text.as_str())
    }
}

/// The market that flows are compiled for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The currency of amounts.
    pub currency: Currency,
    /// The country code without `+`.
    pub country: String,
    /// The fewest and the most digits of a national mobile number.
    pub national_digits: (u8, u8),
    /// The fewest and the most digits of a PIN that a flow may ask for.
    pub pin_digits: (u8, u8),
    /// The language to speak when no other is known.
    pub default_language: String,
}

/// Flows that can be run, with the messages of every language.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) version: Arc<str>,
    pub(crate) programs: BTreeMap<String, Arc<Program>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) texts: Arc<Texts>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// A flow and what the caller's command already answered.
#[derive(Clone, Debug)]
pub struct Found {
    /// The flow.
    pub program: Arc<Program>,
    /// For [`Start::prefilled`](crate::dialplan::event::Start).
    pub prefilled: BTreeMap<String, String>,
}

/// A clip that the catalogue may say.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub struct Clip {
    /// `en/msg/goodbye.0`; the file is `prompts/<id>.wav`.
    pub id: String,
    /// The words.
    pub text: String,
}

/// A sound that is computed, not recorded.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub struct Tone {
    /// `tone/350+440.120000`, as [`Sound::Clip`](crate::dialplan::speak::Sound) names it.
    pub id: String,
    /// Two frequencies in hertz; the second may be 0.
    pub hertz: [u16; 2],
    /// Its length.
    pub milliseconds: u32,
}

/// Compiles all sources for a market.
///
/// # Errors
/// All faults of all files, with the warnings among them, in the order of the files.
pub fn compile(sources: &Sources, settings: &Settings) -> Result<Catalog, Vec<Diagnostic>> {
    check::compile(sources, settings)
}

/// The version of a catalogue: a hash of everything that can change how it behaves.
pub(crate) fn version(sources: &Sources, settings: &Settings) -> Arc<str> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(LANGUAGE_VERSION);
    add(settings.currency.code());
    add(&settings.country);
    add(&settings.default_language);
    add(&format!("{:?} {:?}", settings.national_digits, settings.pin_digits));
    let mut files: Vec<&SourceFile> =
        sources.flows.iter().chain(&sources.messages).chain(&sources.numbers).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    for file in files {
        add(&file.name);
        add(&file.text);
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Arc::from(hex)
}

impl Catalog {
    /// A hash of the sources: equal versions behave equally.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What could be better, though nothing is wrong.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The flow of a name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<Arc<Program>> {
        self.programs.get(name).cloned()
    }

    /// All flows by name.
    pub fn programs(&self) -> impl Iterator<Item = &Arc<Program>> {
        self.programs.values()
    }

    /// Every number, code and keyword that is answered.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The messages in every language.
    #[must_use]
    pub fn texts(&self) -> &Arc<Texts> {
        &self.texts
    }

    /// The flow that answers calls to a number.
    #[must_use]
    pub fn find_voice(&self, number: &str) -> Option<Arc<Program>> {
        self.find(Channel::Voice, number).map(|found| found.program)
    }

    /// The flow that answers a USSD string such as `*125*50#`.
    #[must_use]
    pub fn find_ussd(&self, code: &str) -> Option<Found> {
        self.find(Channel::Ussd, code)
    }

    /// The flow that answers a text message such as `RC 50`.
    #[must_use]
    pub fn find_sms(&self, text: &str) -> Option<Found> {
        self.find(Channel::Sms, text)
    }

    fn find(&self, channel: Channel, command: &str) -> Option<Found> {
        let mut routes = self.routes.iter().filter(|route| route.channel == channel);
        let (flow, prefilled) = routes.find_map(|route| Some((&route.flow, route.matches(command)?)))?;
        Some(Found { program: self.program(flow)?, prefilled })
    }

    /// Every clip that may be said in a language, by id; clips that a message names by `{clip …}` have no
    /// text.
    #[must_use]
    pub fn clips_needed(&self, language: &str) -> Vec<Clip> {
        self.texts.clips(language)
    }

    /// Every tone of every message.
    #[must_use]
    pub fn tones(&self) -> Vec<Tone> {
        self.texts.tones()
    }
}

impl Texts {
    pub(crate) fn clips(&self, tag: &str) -> Vec<Clip> {
        let mut out = BTreeMap::new();
        for language in self.languages.iter().filter(|language| language.tag == tag) {
            for message in &language.messages {
                for (index, piece) in message.voice.iter().enumerate() {
                    let slot_follows = matches!(
                        message.voice.get(index + 1),
                        Some(Piece::Slot { .. } | Piece::Plural { .. })
                    );
                    let mut add = |words: &Words, open: bool| {
                        if let Some(clip) = &words.clip {
                            out.insert(clip.to_string(), spoken(&words.text, open));
                        }
                    };
                    match piece {
                        Piece::Words(words) => add(words, slot_follows),
                        Piece::Plural { one, other, .. } => {
                            [one, other].into_iter().for_each(|w| add(w, false))
                        }
                        Piece::Sound(id) if !id.starts_with("tone/") => {
                            out.insert(id.to_string(), String::new());
                        }
                        Piece::Sound(_) | Piece::Slot { .. } => {}
                    }
                }
            }
            for (clip, word) in language.numbers.atoms() {
                out.insert(clip.to_string(), word.to_string());
            }
        }
        out.into_iter().map(|(id, text)| Clip { id, text }).collect()
    }

    pub(crate) fn tones(&self) -> Vec<Tone> {
        let mut out = BTreeSet::new();
        for message in self.languages.iter().flat_map(|language| &language.messages) {
            for piece in &message.voice {
                if let Piece::Sound(id) = piece
                    && let Some(tone) = Tone::from_id(id)
                {
                    out.insert(tone);
                }
            }
        }
        out.into_iter().collect()
    }
}

impl Tone {
    /// The id of a tone.
    #[must_use]
    pub fn id(hertz: [u16; 2], milliseconds: u32) -> String {
        let [low, high] = hertz;
        format!("tone/{low}+{high}.{milliseconds}")
    }

    /// The tone itself: 16-bit samples at `rate` a second, at -15 dBFS.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both sines together stay within a quarter of the range of i16"
    )]
    pub fn samples(&self, rate: u32) -> Vec<i16> {
        let count = u64::from(self.milliseconds) * u64::from(rate) / 1_000;
        let angle =
            |hertz: u16, n: u32| std::f64::consts::TAU * f64::from(hertz) * f64::from(n) / f64::from(rate);
        let [low, high] = self.hertz;
        let at = |n: u32| (angle(low, n).sin() + angle(high, n).sin()) * 4_096.0;
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(|n| at(n) as i16).collect()
    }

    /// The tone of an id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        let (hertz, milliseconds) = id.strip_prefix("tone/")?.split_once('.')?;
        let (low, high) = hertz.split_once('+')?;
        let hertz = [low.parse().ok()?, high.parse().ok()?];
        Some(Self { id: id.to_owned(), hertz, milliseconds: milliseconds.parse().ok()? })
    }
}

/// The words as a voice is to read them: a comma keeps the voice up before a slot.
fn spoken(text: &str, open: bool) -> String {
    let words = text.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '?' | '!' | ','));
    let words = words.trim_start_matches(['.', ',', '?', '!', ' ']);
    if open && words.ends_with(char::is_alphanumeric) { format!("{words},") } else { words.to_owned() }
}
