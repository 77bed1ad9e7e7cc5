//! Clips that say other words than their messages do now: a text was changed and its prompt was not. A caller would hear the
//! old words, so whoever checks or reloads is told. `keytone prompts build` makes them again.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::catalog::{Catalog, SourceFile, Sources};
use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::syntax::span::Span;

/// The words of each clip, as `clips.toml` of its language remembers them; `manifest` is such a file's path and text.
pub(super) fn words<'f>(manifests: impl Iterator<Item = (&'f str, &'f str)>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (path, text) in manifests {
        let Some((language, _)) = path.rsplit_once('/') else { continue };
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        let clips = table.get("clips").and_then(toml::Value::as_table).into_iter().flatten();
        for (id, clip) in clips {
            if let Some(words) = clip.get("text").and_then(toml::Value::as_str) {
                out.insert(format!("{language}/{id}"), words.to_owned());
            }
        }
    }
    out
}

/// One warning for each message of which a clip says other words.
pub(super) fn stale(
    words: &BTreeMap<String, String>,
    sources: &Sources,
    catalog: &Catalog,
) -> Vec<Diagnostic> {
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    for language in catalog.texts().languages() {
        for clip in catalog.clips_needed(language) {
            let said = words.get(&clip.id).filter(|said| !clip.text.is_empty() && **said != clip.text);
            let message =
                clip.id.strip_prefix(&format!("{language}/msg/")).and_then(|id| id.rsplit_once('.'));
            if let (Some(_), Some((key, _))) = (said, message) {
                found.insert((language.to_owned(), key.to_owned()));
            }
        }
    }
    let warn = |(language, key): &(String, String)| {
        let file = sources.messages.iter().find(|file| file.name.ends_with(&format!("{language}.msg")))?;
        let text = format!("the clips of `{key}` in `{language}` say what it said before");
        let mut warning = Diagnostic::warning(Code::F061, &file.name, place(file, key), text)
            .hint(format!("make them again: keytone prompts build {language}"));
        warning.locate(|name| sources.text(name));
        Some(warning)
    };
    found.iter().filter_map(warn).collect()
}

/// Where a message begins.
fn place(file: &SourceFile, key: &str) -> Span {
    let mut at = 0;
    for line in file.text.split_inclusive('\n') {
        let rest = line.strip_prefix(key);
        if rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with('(')) {
            return Span::new(at, at + key.len());
        }
        at += line.len();
    }
    Span::new(0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::catalog::{Settings, compile};
    use crate::money::Currency;

    #[test]
    fn a_changed_text_is_told_at_its_message_and_nothing_else_is() {
        let shipped = include_str!("../../dialplans/messages/en.msg");
        let manifest = include_str!("../../prompts/en/clips.toml");
        let words = words([("en/clips.toml", manifest), ("fr/clips.toml", "no = table")].into_iter());
        let told = |messages: &str| {
            let sources = Sources {
                flows: vec![
                    SourceFile::new("recharge.flow", include_str!("../../dialplans/recharge.flow")),
                    SourceFile::new("stranger.flow", include_str!("../../dialplans/stranger.flow")),
                    SourceFile::new("vouch.flow", include_str!("../../dialplans/vouch.flow")),
                ],
                messages: vec![SourceFile::new("messages/en.msg", messages)],
                numbers: vec![SourceFile::new(
                    "en/numbers.say",
                    include_str!("../../prompts/en/numbers.say"),
                )],
                clips: None,
            };
            let settings = Settings {
                country: "86".to_owned(),
                national_digits: (11, 11),
                ..Settings::of(Currency::new("CNY").unwrap())
            };
            stale(&words, &sources, &compile(&sources, &settings).unwrap())
        };
        assert!(told(shipped).is_empty());
        let changed = shipped.replace("voice: Enter the amount,", "voice: The amount, please,");
        let warnings = told(&changed);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0].code, Code::F061);
        assert!(warnings[0].message.contains("`enter-amount` in `en`"), "{}", warnings[0].message);
        let line = changed.lines().nth(warnings[0].labels[0].line - 1).unwrap();
        assert!(line.starts_with("enter-amount("), "{line}");
    }
}
