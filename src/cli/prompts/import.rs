//! Takes recordings in: a voice artist's files named by the script, or the sound pack of a PBX.
//!
//! Whatever they were recorded in (any rate, channels and depth of a WAV file), they become clips like all others
//! and are marked as recorded, so that nothing replaces them. Which sound says which number is not known by name but
//! asked of the language's own rules: `digits/30` is the word that 30 is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::manifest::{Entry, Manifest, hash};
use super::{RATE, SECONDS_MAX, audio, clip_name, file_of, name_in, pad, wav_files, write_whole};
use crate::dialplan::catalog::{Catalog, Clip};
use crate::dialplan::numbers::{Agreement, Numbers};
use crate::dialplan::speak::Sound;

/// Files of one folder at most; a pack has some hundreds.
const FILES_MAX: usize = 20_000;
/// Numbers that packs have a sound for.
const COUNTED: std::ops::RangeInclusive<i64> = 0..=999;

/// What was taken in.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Imported {
    /// The language.
    pub language: String,
    /// Clip, and the file that it was made of.
    pub taken: BTreeMap<String, PathBuf>,
    /// Files that are no clip of ours.
    pub ignored: usize,
    /// Files that cannot be read, and why.
    pub refused: BTreeMap<PathBuf, String>,
    /// Words of numbers that no recording speaks yet.
    pub missing_words: Vec<Clip>,
    /// Other clips that no recording speaks yet.
    pub missing_messages: usize,
}

/// Takes in the WAV files below `from` for a language; `dir` is `prompts`.
///
/// # Errors
/// When the language has no messages, the folder cannot be read or has no WAV file, or clips cannot be written.
pub fn import(catalog: &Catalog, dir: &Path, language: &str, from: &Path) -> anyhow::Result<Imported> {
    let clips = catalog.clips_needed(language);
    let Some(numbers) = catalog.texts().numbers(language).filter(|_| !clips.is_empty()) else {
        bail!("there are no messages in `{language}`");
    };
    if !from.is_dir() {
        bail!("{} is no folder", from.display());
    }
    let files = wav_files(from)?;
    if files.is_empty() {
        bail!(
            "there is no WAV file in {}; other formats (gsm, g722, ulaw) must be converted first",
            from.display()
        );
    }
    if files.len() > FILES_MAX {
        bail!("there are more than {FILES_MAX} files in {}", from.display());
    }
    let pack = Pack::of(numbers, language);
    let folder = dir.join(language);
    let mut manifest = Manifest::load(&folder)?;
    let mut out = Imported { language: language.to_owned(), ..Imported::default() };
    for (id, path) in choose(&files, from, language, &clips, &pack, &mut out) {
        let Some(clip) = clips.iter().find(|clip| clip.id == id) else { continue };
        match audio::prompt_from(&path, RATE, pad(&id), SECONDS_MAX) {
            Ok(samples) => {
                let bytes = audio::encode(&samples)?;
                let name = name_in(language, &id).to_owned();
                write_whole(&file_of(dir, &id), &bytes)?;
                manifest.clips.insert(name, Entry::recording(clip, hash([bytes.as_slice()])));
                out.taken.insert(id, path);
            }
            Err(error) => {
                out.refused.insert(path, format!("{error:#}"));
            }
        }
    }
    manifest.save(&folder).with_context(|| format!("cannot note the recordings of `{language}`"))?;
    for clip in clips {
        let recorded = manifest.clips.get(name_in(language, &clip.id)).is_some_and(|entry| entry.recorded);
        if !recorded && super::is_atom(&clip.id) {
            out.missing_words.push(clip);
        } else if !recorded {
            out.missing_messages += 1;
        }
    }
    Ok(out)
}

/// The best file for each clip: one named as the script names it, else the pack's; of two the finer recording.
fn choose(
    files: &[PathBuf],
    from: &Path,
    language: &str,
    clips: &[Clip],
    pack: &Pack,
    out: &mut Imported,
) -> BTreeMap<String, PathBuf> {
    let mut best: BTreeMap<String, ((bool, u32), PathBuf)> = BTreeMap::new();
    for file in files {
        let name = clip_name(from, file);
        let own = clips.iter().find(|clip| is_named(&name, name_in(language, &clip.id)));
        let ids: Vec<&str> = match own {
            Some(clip) => vec![clip.id.as_str()],
            None => pack.clips(&name).filter(|id| clips.iter().any(|clip| clip.id == **id)).collect(),
        };
        if ids.is_empty() {
            out.ignored += 1;
            continue;
        }
        let rate = hound::WavReader::open(file).map_or(0, |reader| reader.spec().sample_rate);
        for id in ids {
            let rank = (own.is_some(), rate);
            if best.get(id).is_none_or(|(before, _)| *before < rank) {
                best.insert(id.to_owned(), (rank, file.clone()));
            }
        }
    }
    best.into_iter().map(|(id, (_, path))| (id, path)).collect()
}

/// Whether a file below the folder bears a clip's name, in whatever folders it lies.
fn is_named(file: &str, clip: &str) -> bool {
    file == clip || file.strip_suffix(clip).is_some_and(|before| before.ends_with('/'))
}

/// What the names of a PBX's sounds mean in a language: `digits/30` and its clips.
struct Pack {
    clips: BTreeMap<String, Vec<Arc<str>>>,
}

impl Pack {
    /// The names that Asterisk and FreeSWITCH have in common, and those of Asterisk alone.
    fn of(numbers: &Numbers, language: &str) -> Self {
        let mut pack = Self { clips: BTreeMap::new() };
        let say = |number: i64| {
            let mut out = Vec::new();
            numbers.number(number, &mut out);
            words(&out)
        };
        for number in COUNTED {
            if let [word] = say(number).as_slice() {
                pack.add(format!("digits/{number}"), word);
            }
        }
        let agreeing = |number: i64, agreement: Agreement| {
            let mut out = Vec::new();
            numbers.cardinal(number, agreement, &mut out);
            words(&out)
        };
        for (suffix, agreement) in [("F", Agreement::Feminine), ("M", Agreement::Masculine)] {
            for number in COUNTED {
                if let [word] = agreeing(number, agreement).as_slice() {
                    pack.add(format!("digits/{number}{suffix}"), word);
                }
            }
        }
        let counting = agreeing(1, Agreement::Counting);
        // A word of scale is what stays of 200 or 2000 when the 2 is taken away; a language may have a word of its own
        // for the one of them (cien), and another for it before a number (ciento).
        for (name, scale) in [("hundred", 100), ("thousand", 1_000), ("million", 1_000_000)] {
            let (one, two) = (say(scale), say(2 * scale));
            if let [word] = one.as_slice() {
                pack.add(format!("digits/{name}"), word);
            } else if let Some(word) = without(&one, &say(1)).or_else(|| without(&one, &counting)) {
                pack.add(format!("digits/{name}"), &word);
            }
            if let Some(word) = without(&two, &say(2)) {
                let plural = !one.contains(&word);
                pack.add(format!("digits/{name}{}", if plural { "s" } else { "" }), &word);
            }
        }
        if let [_, and, _] = say(31).as_slice() {
            pack.add("digits/and".to_owned(), and);
        }
        if let Some(word) = without(&say(101), &say(1)) {
            pack.add("digits/100-and".to_owned(), &word);
        }
        if let Some(word) = without(&say(-1), &say(1)) {
            pack.add("digits/minus".to_owned(), &word);
        }
        for (key, names) in
            [('*', ["digits/star", "letters/asterisk"]), ('#', ["digits/pound", "letters/hash"])]
        {
            for name in names {
                if let Some(word) = numbers.key(key) {
                    pack.add(name.to_owned(), &word);
                }
            }
        }
        for (index, word) in months(numbers).iter().enumerate() {
            pack.add(format!("digits/mon-{index}"), word);
        }
        for letter in 'a'..='z' {
            pack.add(format!("letters/{letter}"), &Arc::from(format!("{language}/num/letter-{letter}")));
        }
        pack
    }

    fn add(&mut self, name: String, clip: &Arc<str>) {
        let clips = self.clips.entry(name).or_default();
        if !clips.contains(clip) {
            clips.push(clip.clone());
        }
    }

    /// The clips that a pack's file can speak: `es/digits/8000/5` and `sounds/es_MX/digits/5` alike.
    fn clips(&self, file: &str) -> impl Iterator<Item = &str> {
        let mut parts = file.rsplit('/');
        let name = parts.next().unwrap_or_default();
        // FreeSWITCH puts the sample rate between.
        let folder = parts.find(|part| !part.bytes().all(|b| b.is_ascii_digit())).unwrap_or_default();
        let clips = self.clips.get(&format!("{folder}/{name}"));
        clips.into_iter().flatten().map(|clip| &**clip)
    }
}

fn words(sounds: &[Sound]) -> Vec<Arc<str>> {
    let clips = sounds.iter().filter_map(|sound| match sound {
        Sound::Clip(id) => Some(id.clone()),
        Sound::Pause(_) => None,
    });
    clips.collect()
}

/// The one word that is left of a number when another is taken out of it at its beginning or end.
fn without(whole: &[Arc<str>], part: &[Arc<str>]) -> Option<Arc<str>> {
    let rest = whole.strip_prefix(part).or_else(|| whole.strip_suffix(part))?;
    match rest {
        [word] => Some(word.clone()),
        _ => None,
    }
}

/// The word of each month, January first; none if a language does not name them by one word each.
fn months(numbers: &Numbers) -> Vec<Arc<str>> {
    let said: Vec<Vec<Arc<str>>> = (1..=12)
        .map(|month| {
            let mut out = Vec::new();
            numbers.date(2_000, month, 15, &mut out);
            words(&out)
        })
        .collect();
    let common = |word: &Arc<str>| said.iter().all(|other| other.contains(word));
    let own: Vec<Arc<str>> = said
        .iter()
        .filter_map(|date| {
            let mut own = date.iter().filter(|word| !common(word));
            own.next().filter(|_| own.next().is_none()).cloned()
        })
        .collect();
    if own.len() == 12 { own } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(language: &str) -> Pack {
        let text =
            std::fs::read_to_string(format!("{}/prompts/{language}/numbers.say", env!("CARGO_MANIFEST_DIR")));
        let (numbers, faults) = Numbers::parse(language, "numbers.say", &text.unwrap());
        assert_eq!(faults, []);
        Pack::of(&numbers, language)
    }

    fn found(pack: &Pack, file: &str) -> Vec<String> {
        pack.clips(file).map(str::to_owned).collect()
    }

    #[test]
    fn sounds_of_a_pack_are_the_words_that_the_rules_say() {
        let en = pack("en");
        for (file, clip) in [
            ("digits/0", "en/num/zero"),
            ("sounds/en_US_f_Allison/digits/19", "en/num/nineteen"),
            ("en/us/callie/digits/8000/30", "en/num/thirty"),
            ("digits/hundred", "en/num/hundred"),
            ("digits/thousand", "en/num/thousand"),
            ("digits/million", "en/num/million"),
            ("digits/minus", "en/num/minus"),
            ("digits/star", "en/num/star"),
            ("digits/pound", "en/num/hash"),
        ] {
            assert_eq!(found(&en, file), [clip], "{file}");
        }
        assert_eq!(found(&en, "digits/21"), [""; 0]);
        assert_eq!(found(&en, "vm-intro"), [""; 0]);
    }

    #[test]
    fn a_clip_may_lie_in_any_folder() {
        assert!(is_named("msg/goodbye.0", "msg/goodbye.0"));
        assert!(is_named("take 2/msg/goodbye.0", "msg/goodbye.0"));
        assert!(!is_named("othermsg/goodbye.0", "msg/goodbye.0"));
        assert!(!is_named("msg/goodbye", "msg/goodbye.0"));
    }
}
