//! A folder of flows and messages, compiled together: all of it is good, or none of it is used.

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::check;
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::event::Channel;
use crate::dialplan::program::Program;
use crate::dialplan::route::Route;
use crate::dialplan::speak::{Piece, System, Texts, Words};
use crate::money::{Currency, Money};

/// Changes when the same sources would behave differently.
pub(crate) const LANGUAGE_VERSION: &str = "keytone dialplan 2";

/// The largest source file, in bytes.
pub const FILE_MAX: usize = 1 << 20;
/// The most flows and sub-flows of a folder.
pub const FLOWS_MAX: usize = 500;

/// One text to be compiled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceFile {
    /// Its name as reports show it: `recharge.flow`, `messages/en.msg`, `en/numbers.say`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The first byte of the text that stands for what was not UTF-8.
    pub(crate) not_utf8: Option<usize>,
}

impl SourceFile {
    /// A file by name and text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), not_utf8: None }
    }

    /// A file by name and content as it was read. What is not UTF-8 is replaced and reported when it is compiled.
    #[must_use]
    pub fn read(name: impl Into<String>, bytes: &[u8]) -> Self {
        let not_utf8 = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        Self { name: name.into(), text: String::from_utf8_lossy(bytes).into_owned(), not_utf8 }
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
        self.files().find(|file| file.name == name).map(|file| file.text.as_str())
    }

    /// All texts.
    pub(crate) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.flows.iter().chain(&self.messages).chain(&self.numbers)
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
    /// What the configuration gives the params of flows: flow, param, text.
    pub params: BTreeMap<String, BTreeMap<String, String>>,
    /// Septets of one USSD screen of GSM 03.38 characters.
    pub ussd_septets: u16,
    /// UTF-16 units of one USSD screen of other characters.
    pub ussd_ucs2: u16,
    /// The largest amount that is paid by text message without a PIN; none without it.
    pub no_pin_cap: Option<Money>,
}

impl Settings {
    /// What is usual, for a currency.
    #[must_use]
    pub fn of(currency: Currency) -> Self {
        Self {
            currency,
            country: String::new(),
            national_digits: (4, 15),
            pin_digits: (4, 8),
            default_language: "en".to_owned(),
            params: BTreeMap::new(),
            ussd_septets: USSD_SEPTETS,
            ussd_ucs2: USSD_UCS2,
            no_pin_cap: None,
        }
    }
}

/// Septets of a USSD screen, unless a network takes fewer (3GPP TS 23.038 §5: 160 octets).
pub const USSD_SEPTETS: u16 = 182;
/// UTF-16 units of a USSD screen.
pub const USSD_UCS2: u16 = 80;

/// Flows that can be run, with the messages of every language.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) version: Arc<str>,
    /// By name, and whether it is a draft.
    pub(crate) programs: BTreeMap<(String, bool), Arc<Program>>,
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

    /// The flow of a name: the live one, or the draft if there is no other.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<Arc<Program>> {
        self.programs.get(&(name.to_owned(), false)).cloned().or_else(|| self.draft(name))
    }

    /// The draft of a name.
    #[must_use]
    pub fn draft(&self, name: &str) -> Option<Arc<Program>> {
        self.programs.get(&(name.to_owned(), true)).cloned()
    }

    /// Reports of actions that this version does not perform: flows with them can be checked and tested, and must not be
    /// served.
    pub fn unperformed(&self) -> impl Iterator<Item = &Diagnostic> {
        self.warnings.iter().filter(|warning| warning.code == Code::F015)
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

    /// The flow that answers calls to a number; a tester is answered by a draft first.
    #[must_use]
    pub fn find_voice(&self, number: &str, tester: bool) -> Option<Arc<Program>> {
        self.find(Channel::Voice, number, tester).map(|found| found.program)
    }

    /// The flow that answers a USSD string such as `*125*50#`; a tester is answered by a draft first.
    #[must_use]
    pub fn find_ussd(&self, code: &str, tester: bool) -> Option<Found> {
        self.find(Channel::Ussd, code, tester)
    }

    /// The flow that answers a text message such as `RC 50`; a tester is answered by a draft first.
    #[must_use]
    pub fn find_sms(&self, text: &str, tester: bool) -> Option<Found> {
        self.find(Channel::Sms, text, tester)
    }

    fn find(&self, channel: Channel, command: &str, tester: bool) -> Option<Found> {
        let among = |draft: bool| {
            let mut routes =
                self.routes.iter().filter(|route| route.channel == channel && route.draft == draft);
            let (flow, prefilled) = routes.find_map(|route| Some((&route.flow, route.matches(command)?)))?;
            let program = self.programs.get(&(flow.clone(), draft)).cloned()?;
            Some(Found { program, prefilled })
        };
        tester.then(|| among(true)).flatten().or_else(|| among(false))
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
            let written: Vec<u16> = System::WRITTEN.iter().map(|system| self.system(*system).0).collect();
            let spoken_ones = (0..).zip(&language.messages).filter(|(index, _)| !written.contains(index));
            for (_, message) in spoken_ones {
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
