//! Messages of all languages: the same keys with the same slots everywhere, every slot showable and
//! speakable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::action::FAMILIES;
use crate::dialplan::catalog::{FILE_MAX, Settings, Sources, Tone};
use crate::dialplan::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::dialplan::event::Channel;
use crate::dialplan::message::{MessageFile, MessageSource, Part, Reading, Template};
use crate::dialplan::numbers::{Agreement, Numbers};
use crate::dialplan::speak::{Format, Language, Message, Piece, System, Texts, Words};
use crate::dialplan::syntax::span::{Name, Span, Spanned};
use crate::dialplan::value::{Family, Type};

/// Messages whose missing clips are reported one by one; when there are more, the language is reported.
const CLIPS_LISTED: usize = 5;

/// What flows need to know of the messages.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By key.
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) texts: Texts,
    /// Whether a message file could not be read: then a missing message may be only unread.
    pub(super) broken: bool,
}

/// A message of the default language.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) index: u16,
    pub(super) slots: Vec<(String, Slot)>,
    pub(super) file: String,
    pub(super) span: Span,
}

/// The type of a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slot {
    Value(Type),
    Key,
    Label,
    /// Its type could not be read and has been reported.
    Unknown,
}

static LISTS: &[(&str, Type)] = &[
    ("number list", Type::List(&Type::Int)),
    ("money list", Type::List(&Type::Money)),
    ("phone list", Type::List(&Type::Phone)),
    ("digits list", Type::List(&Type::Digits)),
    ("date list", Type::List(&Type::Date)),
    ("text list", Type::List(&Type::Text)),
];

static SIMPLE: &[(&str, Slot)] = &[
    ("number", Slot::Value(Type::Int)),
    ("money", Slot::Value(Type::Money)),
    ("phone", Slot::Value(Type::Phone)),
    ("digits", Slot::Value(Type::Digits)),
    ("text", Slot::Value(Type::Text)),
    ("yes/no", Slot::Value(Type::Bool)),
    ("date", Slot::Value(Type::Date)),
    ("time", Slot::Value(Type::Time)),
    ("key", Slot::Key),
    ("label", Slot::Label),
];

fn slot_type(name: &str) -> Option<Slot> {
    let simple = SIMPLE.iter().find(|(simple, _)| *simple == name).map(|(_, slot)| *slot);
    let list = || LISTS.iter().find(|(list, _)| *list == name).map(|(_, ty)| Slot::Value(*ty));
    let family = || FAMILIES.iter().find(|f| f.name == name).map(|f| Slot::Value(Type::Choice(f)));
    simple.or_else(list).or_else(family)
}

/// Reads all message files and number rules.
pub(super) fn build(sources: &Sources, settings: &Settings, diagnostics: &mut Vec<Diagnostic>) -> Index {
    let mut index = Index::default();
    let mut files: Vec<MessageFile> = Vec::new();
    for source in &sources.messages {
        if source.text.len() > FILE_MAX {
            let limit = "a message file is larger than allowed";
            diagnostics.push(Diagnostic::error(Code::F002, &source.name, Span::new(0, 0), limit));
            continue;
        }
        let (mut file, faults) = MessageFile::parse(&source.name, &source.text);
        index.broken |= !faults.is_empty();
        diagnostics.extend(faults);
        complete(&mut file);
        files.push(file);
    }
    files.sort_by_key(|file| (file.language != settings.default_language, file.language.clone()));
    let Some(reference) = files.first().filter(|file| file.language == settings.default_language) else {
        let file = sources.flows.first().map_or("messages", |flow| flow.name.as_str());
        let text = format!("there is no message file `{}.msg`", settings.default_language);
        let missing = Diagnostic::error(Code::F050, file, Span::new(0, 0), text)
            .hint("the default language needs every message: write `messages/LANG.msg` beside the flows");
        diagnostics.push(missing);
        index.broken = true;
        return index;
    };
    declare(&mut index, reference, diagnostics);
    for file in &files {
        let language = language(&index, file, sources, settings, diagnostics);
        index.texts.languages.push(language);
    }
    settings.country.clone_into(&mut index.texts.country);
    index
}

/// The shipped messages, from which a file takes what Keytone says by itself and it does not word anew: nobody has to
/// write all of that before a first flow.
static SHIPPED: &[(&str, &str)] = &[
    ("en", include_str!("../../../dialplans/messages/en.msg")),
    ("es", include_str!("../../../dialplans/messages/es.msg")),
    ("fr", include_str!("../../../dialplans/messages/fr.msg")),
    ("sw", include_str!("../../../dialplans/messages/sw.msg")),
    ("zh", include_str!("../../../dialplans/messages/zh.msg")),
];

fn complete(file: &mut MessageFile) {
    let Some((_, text)) = SHIPPED.iter().find(|(language, _)| *language == file.language) else { return };
    let own = |key: &str| file.messages.iter().any(|message| message.key.value == key);
    let missing: BTreeSet<&str> =
        System::ALL.iter().map(|system| system.key()).filter(|key| !own(key)).collect();
    if missing.is_empty() {
        return;
    }
    let (shipped, _) = MessageFile::parse(&file.file, text);
    for mut message in shipped.messages {
        if missing.contains(message.key.value.as_str()) {
            message.key.span = Span::new(0, 0);
            file.messages.push(message);
        }
    }
}

/// The keys and slots of the default language, which the others follow.
fn declare(index: &mut Index, reference: &MessageFile, diagnostics: &mut Vec<Diagnostic>) {
    for message in &reference.messages {
        let slots = message
            .slots
            .iter()
            .map(|(name, ty)| (name.value.clone(), typed(reference, ty, diagnostics)))
            .collect();
        let number = u16::try_from(index.texts.names.len()).unwrap_or(u16::MAX);
        let types = |slots: &[(String, Slot)]| {
            let types = slots.iter().filter_map(|(_, slot)| match slot {
                Slot::Value(ty) => Some(*ty),
                _ => None,
            });
            types.collect::<Vec<Type>>()
        };
        let entry = Entry { index: number, slots, file: reference.file.clone(), span: message.key.span };
        if let Some(first) = index.entries.get(&message.key.value) {
            let text = format!("the message `{}` is written twice", message.key.value);
            diagnostics.push(
                Diagnostic::error(Code::F003, &reference.file, message.key.span, text).here("again").label(
                    &first.file,
                    first.span,
                    "first",
                ),
            );
            continue;
        }
        index.texts.slots.push(types(&entry.slots));
        index.entries.insert(message.key.value.clone(), entry);
        index.texts.names.push(Arc::from(message.key.value.as_str()));
    }
    for system in System::ALL {
        let entry = index.entries.get(system.key());
        index.texts.system.push(entry.map_or(0, |entry| entry.index));
        let wanted: Vec<(String, Slot)> = system
            .slots()
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), slot_type(ty).unwrap_or(Slot::Unknown)))
            .collect();
        let signature = || {
            let slots: Vec<String> =
                system.slots().iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
            if slots.is_empty() {
                system.key().to_owned()
            } else {
                format!("{}({})", system.key(), slots.join(", "))
            }
        };
        match entry {
            Some(entry) if entry.slots == wanted => {}
            Some(entry) => diagnostics.push(
                Diagnostic::error(Code::F052, &entry.file, entry.span, "the slots of this message are fixed")
                    .hint(format!("write `{}`", signature())),
            ),
            None if index.broken => {}
            None => diagnostics.push(
                Diagnostic::error(
                    Code::F050,
                    &reference.file,
                    Span::new(0, 0),
                    format!("the message `{}` is missing", system.key()),
                )
                .hint(format!("Keytone says it by itself: write `{}` and its text", signature())),
            ),
        }
    }
}

fn typed(file: &MessageFile, ty: &Name, diagnostics: &mut Vec<Diagnostic>) -> Slot {
    if ty.value == "secret" {
        let text = "a secret is never said or shown";
        diagnostics.push(
            Diagnostic::error(Code::F080, &file.file, ty.span, text).hint("leave it out of the message"),
        );
        return Slot::Unknown;
    }
    slot_type(&ty.value).unwrap_or_else(|| {
        let names = SIMPLE.iter().map(|(name, _)| *name).chain(LISTS.iter().map(|(name, _)| *name));
        let names: Vec<&str> = names.chain(FAMILIES.iter().map(|family| family.name)).collect();
        let mut fault =
            Diagnostic::error(Code::F041, &file.file, ty.span, format!("there is no type `{}`", ty.value));
        fault = match did_you_mean(&ty.value, names.iter().copied()) {
            Some(name) => fault.hint(format!("did you mean `{name}`?")),
            None => fault.hint(format!("types are {}", names.join(", "))),
        };
        diagnostics.push(fault);
        Slot::Unknown
    })
}

fn language(
    index: &Index,
    file: &MessageFile,
    sources: &Sources,
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Language {
    let tag = &file.language;
    let folder = format!("{tag}/numbers.say");
    let named = |name: &str| name == folder || name.ends_with(&format!("/{folder}"));
    let numbers = match sources.numbers.iter().find(|source| named(&source.name)) {
        Some(source) => {
            let (numbers, faults) = Numbers::parse(tag, &source.name, &source.text);
            diagnostics.extend(faults);
            let speaks_money = index.entries.values().any(|entry| {
                let money = [Slot::Value(Type::Money), Slot::Value(Type::List(&Type::Money))];
                entry.slots.iter().any(|(_, slot)| money.contains(slot))
            });
            if speaks_money && !numbers.has_money(settings.currency.code()) {
                let text = format!("amounts in {} cannot be spoken", settings.currency);
                diagnostics.push(
                    Diagnostic::error(Code::F063, &source.name, Span::new(0, 0), text)
                        .hint(format!("add a section `money {}`", settings.currency)),
                );
            }
            numbers
        }
        None => {
            let text = format!("there are no number rules for `{tag}`");
            diagnostics.push(
                Diagnostic::error(Code::F063, &file.file, Span::new(0, 0), text)
                    .hint(format!("write `prompts/{folder}`")),
            );
            Numbers::default()
        }
    };
    let mut builder = Builder { index, file, diagnostics };
    let mut messages = vec![Message::default(); index.texts.names.len()];
    let mut seen = BTreeSet::new();
    for source in &file.messages {
        if !seen.insert(source.key.value.clone()) {
            continue;
        }
        let Some(entry) = index.entries.get(&source.key.value) else {
            builder.not_in_reference(source, &settings.default_language);
            continue;
        };
        if let Some(slot) = messages.get_mut(usize::from(entry.index)) {
            *slot = builder.message(source, entry);
        }
    }
    for (key, entry) in &index.entries {
        if !seen.contains(key) && !index.broken {
            let text = format!("the message `{key}` is missing in `{tag}`");
            builder.diagnostics.push(
                Diagnostic::error(Code::F050, &file.file, Span::new(0, 0), text)
                    .label(&entry.file, entry.span, "it is written here")
                    .hint("every language needs every message"),
            );
        }
    }
    Language { tag: tag.clone(), messages, numbers, spoken: is_spoken(sources, tag) }
}

/// Whether a language has any clip. While clips are not checked, every language counts as spoken.
fn is_spoken(sources: &Sources, tag: &str) -> bool {
    let prefix = format!("{tag}/");
    sources.clips.as_ref().is_none_or(|present| {
        present.range(prefix.clone()..).next().is_some_and(|clip| clip.starts_with(&prefix))
    })
}

struct Builder<'b> {
    index: &'b Index,
    file: &'b MessageFile,
    diagnostics: &'b mut Vec<Diagnostic>,
}

impl Builder<'_> {
    fn error(&mut self, code: Code, span: Span, text: impl Into<String>) -> &mut Diagnostic {
        self.diagnostics.push(Diagnostic::error(code, &self.file.file, span, text));
        let last = self.diagnostics.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "the element was pushed two lines above")]
        &mut self.diagnostics[last]
    }

    fn not_in_reference(&mut self, source: &MessageSource, default: &str) {
        let text = format!("`{}` is not a message of `{default}`", source.key.value);
        let candidates = self.index.entries.keys().map(String::as_str);
        let hint = did_you_mean(&source.key.value, candidates).map(|name| format!("did you mean `{name}`?"));
        let mut warning = Diagnostic::warning(Code::F051, &self.file.file, source.key.span, text);
        warning.hint = hint;
        self.diagnostics.push(warning);
    }

    fn message(&mut self, source: &MessageSource, entry: &Entry) -> Message {
        if source.is_empty() {
            let text = format!("the message `{}` has no text", source.key.value);
            self.error(Code::F050, source.key.span, text).hint =
                Some("write it on indented lines below".into());
            return Message::default();
        }
        let mut names: Vec<&str> = source.slots.iter().map(|(name, _)| name.value.as_str()).collect();
        let mut wanted: Vec<&str> = entry.slots.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        let types_agree = source.slots.iter().all(|(name, ty)| {
            let here = slot_type(&ty.value).unwrap_or(Slot::Unknown);
            entry
                .slots
                .iter()
                .any(|(other, slot)| *other == name.value && (*slot == here || *slot == Slot::Unknown))
        });
        if names != wanted || !types_agree {
            let text =
                format!("the slots of `{}` differ from those of the default language", source.key.value);
            let diagnostic = Diagnostic::error(Code::F052, &self.file.file, source.key.span, text).label(
                &entry.file,
                entry.span,
                "the slots are given here",
            );
            self.diagnostics.push(diagnostic);
            return Message::default();
        }
        let pick =
            |order: [&'_ Template; 4]| order.into_iter().find(|t| !t.is_empty()).cloned().unwrap_or_default();
        let (default, voice, ussd, sms) = (&source.default, &source.voice, &source.ussd, &source.sms);
        let key = &source.key.value;
        let before = self.diagnostics.len();
        // What is never spoken may say what cannot be spoken.
        let heard = if is_written(key) { Channel::Sms } else { Channel::Voice };
        let voice_form = self.pieces(&pick([voice, default, sms, ussd]), key, entry, heard);
        if self.diagnostics.len() > before {
            // The same text would be reported again for the other channels.
            return Message { voice: voice_form, ..Message::default() };
        }
        Message {
            voice: voice_form,
            ussd: self.pieces(&pick([ussd, default, sms, voice]), key, entry, Channel::Ussd),
            sms: self.pieces(&pick([sms, default, ussd, voice]), key, entry, Channel::Sms),
        }
    }

    fn pieces(&mut self, template: &Template, key: &str, entry: &Entry, channel: Channel) -> Vec<Piece> {
        let mut out = Vec::new();
        let mut number = 0;
        // Lines that continue a text are one text: fragments between slots become one clip each.
        for part in &joined(template) {
            match &part.value {
                Part::Text(text) => {
                    let words = self.words(text, key, &mut number, channel);
                    out.push(Piece::Words(words));
                }
                Part::Clip(id) => out.push(Piece::Sound(Arc::from(format!("{}/{id}", self.file.language)))),
                Part::Tone { hertz, milliseconds } => {
                    out.push(Piece::Sound(Arc::from(Tone::id(*hertz, *milliseconds))));
                }
                Part::Plural { name, reading, one, other } => {
                    let Some((slot, ty)) = self.find(name, entry, part.span) else { continue };
                    if !matches!(ty, Slot::Value(Type::Int) | Slot::Unknown) {
                        let text = format!("`{name}` is no number: it has no singular and plural");
                        self.error(Code::F052, part.span, text);
                        continue;
                    }
                    let same = one == other;
                    let one = self.words(one, key, &mut number, channel);
                    let other = if same { one.clone() } else { self.words(other, key, &mut number, channel) };
                    out.push(Piece::Plural { slot, agreement: agreement(*reading), one, other });
                }
                Part::Slot { name, reading } => {
                    let Some((slot, ty)) = self.find(name, entry, part.span) else { continue };
                    if let Some(format) = self.format(name, ty, *reading, part.span, channel) {
                        out.push(Piece::Slot { slot, format });
                    }
                }
            }
        }
        out
    }

    fn words(&self, text: &str, key: &str, number: &mut usize, channel: Channel) -> Words {
        let speakable = channel == Channel::Voice && text.chars().any(char::is_alphanumeric);
        let clip = speakable.then(|| {
            let id = format!("{}/msg/{key}.{number}", self.file.language);
            *number += 1;
            Arc::from(id)
        });
        Words { text: Arc::from(text), clip }
    }

    fn find(&mut self, name: &str, entry: &Entry, span: Span) -> Option<(usize, Slot)> {
        if let Some(found) = entry.slots.iter().position(|(slot, _)| slot == name) {
            return entry.slots.get(found).map(|(_, slot)| (found, *slot));
        }
        let hint = match did_you_mean(name, entry.slots.iter().map(|(slot, _)| slot.as_str())) {
            Some(close) => format!("did you mean `{{{close}}}`?"),
            None if entry.slots.is_empty() => "give the message slots: `key(name: type)`".to_owned(),
            None => {
                let names: Vec<&str> = entry.slots.iter().map(|(slot, _)| slot.as_str()).collect();
                format!("its slots are {}", names.join(", "))
            }
        };
        self.error(Code::F052, span, format!("the message has no slot `{name}`")).hint = Some(hint);
        None
    }

    fn format(
        &mut self,
        name: &str,
        ty: Slot,
        reading: Reading,
        span: Span,
        channel: Channel,
    ) -> Option<Format> {
        let ty = match ty {
            Slot::Key => return Some(Format::Key),
            Slot::Label => return Some(Format::Label),
            Slot::Unknown => return None,
            Slot::Value(ty) => ty,
        };
        match (ty, reading) {
            (Type::List(item), _) => self
                .format(name, Slot::Value(*item), reading, span, channel)
                .map(|item| Format::List(Box::new(item))),
            (Type::Phone | Type::Digits, Reading::Last(count)) => Some(Format::Last(count)),
            (Type::Phone | Type::Digits | Type::Int, Reading::Digits) => Some(Format::Digits),
            (Type::Int, Reading::Ordinal) => Some(Format::Ordinal),
            (Type::Int, Reading::Duration) => Some(Format::Duration),
            (Type::Int, Reading::Minutes) => Some(Format::Minutes),
            (Type::Int, Reading::Plain | Reading::Count | Reading::Masculine | Reading::Feminine) => {
                Some(Format::Number(agreement(reading)))
            }
            (Type::Choice(family), Reading::Plain) => self.choice(family, span),
            (Type::Money, Reading::Plain) => Some(Format::Money),
            (Type::Digits, Reading::Plain) => Some(Format::Digits),
            (Type::Phone, Reading::Plain) => Some(Format::Phone),
            (Type::Date, Reading::Plain) => Some(Format::Date),
            (Type::Time, Reading::Plain) => Some(Format::Time),
            (Type::Bool, Reading::Plain) => Some(Format::YesNo),
            (Type::Text, Reading::Plain) if channel != Channel::Voice => Some(Format::Text),
            (_, Reading::Plain) => {
                let text = format!("`{name}` is {ty}, which cannot be spoken");
                self.error(Code::F041, span, text).hint =
                    Some("give the message a `voice:` line without it".into());
                None
            }
            (_, Reading::Last(_)) => {
                let text = format!("`{name}` is {ty}: only phone numbers and digits have last digits");
                self.error(Code::F052, span, text);
                None
            }
            (_, reading) => {
                let text = format!("`{name}` is {ty}, which is not read as {reading}");
                self.error(Code::F052, span, text).hint = Some(
                    "`digits` reads phone numbers, digits and numbers; the other readings are of numbers"
                        .into(),
                );
                None
            }
        }
    }

    fn choice(&mut self, family: &'static Family, span: Span) -> Option<Format> {
        let key =
            |word: &str| self.index.entries.get(&format!("{}.{word}", family.name)).map(|entry| entry.index);
        let words: Vec<(&'static str, u16)> =
            family.words.iter().filter_map(|word| key(word).map(|message| (*word, message))).collect();
        let Some(other) = key("other") else {
            if !self.index.broken {
                let text = format!("the message `{}.other` is missing", family.name);
                let hint = format!("it is said for every {} without a message of its own", family.name);
                self.error(Code::F050, span, text).hint = Some(hint);
            }
            return None;
        };
        Some(Format::Choice { words, other })
    }
}

/// Whether it is a message of Keytone's own that is read or shown and never spoken.
fn is_written(key: &str) -> bool {
    System::WRITTEN.iter().any(|system| system.key() == key)
}

fn agreement(reading: Reading) -> Agreement {
    match reading {
        Reading::Count => Agreement::Counting,
        Reading::Masculine => Agreement::Masculine,
        Reading::Feminine => Agreement::Feminine,
        _ => Agreement::Alone,
    }
}

/// Texts beside each other become one.
fn joined(template: &Template) -> Template {
    let mut out: Template = Vec::new();
    for part in template {
        match (out.last_mut(), &part.value) {
            (Some(Spanned { value: Part::Text(before), .. }), Part::Text(text)) => before.push_str(text),
            _ => out.push(part.clone()),
        }
    }
    out
}

/// Warns about messages that no flow says.
pub(super) fn unused(index: &Index, used: &BTreeSet<u16>, diagnostics: &mut Vec<Diagnostic>) {
    for (key, entry) in &index.entries {
        let of_family = FAMILIES.iter().any(|family| {
            key.strip_prefix(family.name)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|word| family.words.contains(&word))
        });
        if !of_family && !used.contains(&entry.index) {
            let text = format!("no flow says `{key}`");
            diagnostics.push(
                Diagnostic::warning(Code::F051, &entry.file, entry.span, text)
                    .hint("remove it, or say it somewhere"),
            );
        }
    }
}

/// `en` of `messages/en.msg`.
fn language_of(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file).trim_end_matches(".msg")
}

/// Reports clips that a call would miss.
pub(super) fn clips(index: &Index, texts: &Texts, sources: &Sources, diagnostics: &mut Vec<Diagnostic>) {
    let Some(present) = &sources.clips else { return };
    // A language without any clip serves screens only. The default one must speak.
    let silent = |tag: &str| tag != texts.default_language() && !texts.is_spoken(tag);
    for tag in texts.languages().filter(|tag| !silent(tag)) {
        let mut missing: BTreeMap<String, usize> = BTreeMap::new();
        for clip in texts.clips(tag) {
            if !present.contains(&clip.id) {
                let stem =
                    clip.id.strip_prefix(&format!("{tag}/msg/")).and_then(|rest| rest.rsplit_once('.'));
                *missing.entry(stem.map_or(String::new(), |(key, _)| key.to_owned())).or_default() += 1;
            }
        }
        if missing.len() > CLIPS_LISTED {
            let (all, messages) = (missing.values().sum::<usize>(), missing.len());
            missing = BTreeMap::new();
            let text = format!("{all} clips are missing in `{tag}`, of {messages} messages");
            let file = sources.messages.iter().find(|source| language_of(&source.name) == tag);
            let file = file.map_or("messages", |source| source.name.as_str());
            let fault = Diagnostic::error(Code::F060, file, Span::new(0, 0), text);
            diagnostics.push(fault.hint(format!("make them: keytone prompts build {tag}")));
        }
        for (key, count) in missing {
            let file = sources.messages.iter().find(|source| language_of(&source.name) == tag);
            let file = file.map_or("messages", |source| source.name.as_str());
            let entry = index.entries.get(&key).filter(|entry| entry.file == file);
            let span = entry.map_or(Span::new(0, 0), |entry| entry.span);
            let what = if key.is_empty() { "numbers and sounds".to_owned() } else { format!("`{key}`") };
            let clips = if count == 1 { "a clip is".to_owned() } else { format!("{count} clips are") };
            let text = format!("{clips} missing for {what} in `{tag}`");
            let fault = Diagnostic::error(Code::F060, file, span, text)
                .hint(format!("make them: keytone prompts build {tag}"));
            diagnostics.push(fault);
        }
    }
}
