//! Versions: hashes of everything that can change how a catalogue, or one flow of it, behaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::dialplan::action::{FAMILIES, all};
use crate::dialplan::catalog::{LANGUAGE_VERSION, Settings, SourceFile, Sources};
use crate::dialplan::program::Program;
use crate::dialplan::speak::{Format, Message, Piece, System, Texts};

/// Bytes of a hash that make a version.
const BYTES: usize = 8;

/// What the versions of all flows of a folder have in common.
pub(super) struct Versions<'v> {
    sources: &'v Sources,
    texts: &'v Texts,
    settings: &'v Settings,
    /// The market, the actions and the number rules.
    common: Vec<u8>,
    /// Of each message, in all languages.
    messages: Vec<Vec<u8>>,
    /// Messages that every flow may say.
    shared: BTreeSet<u16>,
}

/// A hash of texts, each with its length so that none runs into the next.
struct Hash(Sha256);

impl Hash {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn add(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let bytes = text.as_ref();
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }

    fn version(self) -> Arc<str> {
        let hex: String = self.0.finalize().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
        Arc::from(hex)
    }
}

impl<'v> Versions<'v> {
    pub(super) fn of(sources: &'v Sources, settings: &'v Settings, texts: &'v Texts) -> Self {
        let market = Settings { params: BTreeMap::new(), ..settings.clone() };
        let mut common = Hash::new();
        common.add(LANGUAGE_VERSION).add(format!("{market:?}"));
        for action in all() {
            common.add(format!("{action:?}"));
        }
        for file in sorted(sources.numbers.iter()) {
            common.add(&file.name).add(&file.text);
        }
        for language in &texts.languages {
            common.add(&language.tag);
        }
        let messages = (0..texts.names.len()).map(|index| of_message(texts, index)).collect();
        let mut shared: BTreeSet<u16> = System::ALL.iter().map(|system| texts.system(*system).0).collect();
        let in_family = |name: &str| {
            FAMILIES
                .iter()
                .any(|family| name.strip_prefix(family.name).is_some_and(|rest| rest.starts_with('.')))
        };
        let family = (0_u16..).zip(&texts.names).filter(|(_, name)| in_family(name));
        shared.extend(family.map(|(index, _)| index));
        Self { sources, texts, settings, common: common.bytes(), messages, shared }
    }

    /// The version of a flow: its text and those of the sub-flows that it calls, the messages that it says, what the
    /// configuration gives it, and what is common to all.
    pub(super) fn of_program(&self, program: &Program, used: &BTreeSet<u16>, files: &[Arc<str>]) -> Arc<str> {
        let mut hash = Hash::new();
        hash.add(&self.common).add(program.name());
        let named = |file: &SourceFile| files.iter().any(|name| **name == *file.name);
        for file in sorted(self.sources.flows.iter().filter(|file| named(file))) {
            hash.add(&file.text);
        }
        // Params are among them, with what the configuration gives.
        for (variable, value) in &program.start {
            hash.add(variable.to_le_bytes()).add(format!("{value:?}"));
        }
        let mut said: Vec<(&str, u16)> = used
            .union(&self.shared)
            .filter_map(|index| Some((&**self.texts.names.get(usize::from(*index))?, *index)))
            .collect();
        said.sort_unstable();
        for (name, index) in said {
            hash.add(name).add(self.messages.get(usize::from(index)).map_or(&[][..], Vec::as_slice));
        }
        hash.version()
    }

    /// The version of the catalogue: of all its texts and all that the configuration gives.
    pub(super) fn of_all(&self) -> Arc<str> {
        let mut hash = Hash::new();
        hash.add(&self.common).add(format!("{:?}", self.settings.params));
        for file in sorted(self.sources.files()) {
            hash.add(&file.name).add(&file.text);
        }
        hash.version()
    }
}

fn sorted<'f>(files: impl Iterator<Item = &'f SourceFile>) -> Vec<&'f SourceFile> {
    let mut files: Vec<&SourceFile> = files.collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn of_message(texts: &Texts, index: usize) -> Vec<u8> {
    let mut hash = Hash::new();
    for language in &texts.languages {
        let Some(Message { voice, ussd, sms }) = language.messages.get(index) else { continue };
        hash.add(&language.tag);
        for form in [voice, ussd, sms] {
            hash.add([0]);
            for piece in form {
                hash.add(match piece {
                    Piece::Slot { slot, format } => format!("{slot} {}", of_format(format)),
                    piece => format!("{piece:?}"),
                });
            }
        }
    }
    hash.bytes()
}

/// A format without the numbers of the messages that it speaks: another message's being there changes them.
fn of_format(format: &Format) -> String {
    match format {
        Format::Choice { words, .. } => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("choice {words:?}")
        }
        Format::List(item) => format!("list {}", of_format(item)),
        format => format!("{format:?}"),
    }
}
