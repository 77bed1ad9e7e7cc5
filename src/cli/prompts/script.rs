//! The script for a voice artist: what is to be said, under which file name, and in which sentence.

use std::path::Path;

use super::manifest::Manifest;
use super::{file_of, name_in};
use crate::dialplan::catalog::Catalog;

/// One recording.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Row {
    /// The clip within its language; the recording's file is `<id>.wav`.
    pub id: String,
    /// What to say. A comma at the end: the voice stays up, since a number follows.
    pub text: String,
    /// The whole sentence, with its slots, or that it is a word of numbers.
    pub sentence: String,
    /// `recorded`, `stale` (recorded, but the text changed), `generated` or `missing`.
    pub state: &'static str,
}

/// Every clip of a language, in order; `dir` is `prompts`.
///
/// # Errors
/// When the manifest cannot be read.
pub fn script(catalog: &Catalog, dir: &Path, language: &str) -> anyhow::Result<Vec<Row>> {
    let manifest = Manifest::load(&dir.join(language))?;
    let rows = catalog.clips_needed(language).into_iter().map(|clip| {
        let id = name_in(language, &clip.id).to_owned();
        let entry = manifest.clips.get(&id);
        let state = match entry {
            _ if !file_of(dir, &clip.id).exists() => "missing",
            Some(entry) if entry.recorded && entry.text == clip.text => "recorded",
            Some(entry) if entry.recorded => "stale",
            _ => "generated",
        };
        let key = id.strip_prefix("msg/").and_then(|rest| rest.rsplit_once('.')).map(|(key, _)| key);
        let sentence = key.map(|key| catalog.texts().sentence(key, language));
        Row { id, text: clip.text, sentence: sentence.unwrap_or_else(|| "a word of numbers".into()), state }
    });
    Ok(rows.collect())
}

impl Row {
    /// The names of the columns.
    pub const HEADER: &'static str = "id,text,sentence,state";

    /// The row as comma-separated values (RFC 4180).
    #[must_use]
    pub fn csv(&self) -> String {
        [self.id.as_str(), &self.text, &self.sentence, self.state].map(field).join(",")
    }
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        let row = Row {
            id: "msg/a.0".into(),
            text: "Fee,".into(),
            sentence: "Say \"yes\"".into(),
            state: "missing",
        };
        assert_eq!(row.csv(), "msg/a.0,\"Fee,\",\"Say \"\"yes\"\"\",missing");
    }
}
