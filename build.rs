//! Puts the shipped flows, messages and clips into the binary, so that a first call needs no file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    // Parts of messages are often alike ("then hash."): each sound is in the binary once.
    let mut kept: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut contents = String::new();
    let mut table = String::from(
        "/// Path below the repository's root, and content.\npub(super) static FILES: &[(&str, &[u8])] = &[\n",
    );
    for folder in ["dialplans", "prompts"] {
        println!("cargo::rerun-if-changed={folder}");
        for file in files(&root.join(folder))? {
            let name = file.strip_prefix(&root).map_err(io::Error::other)?;
            let wanted = ["flow", "flowtest", "msg", "say", "wav", "toml"];
            if name.extension().is_some_and(|e| wanted.iter().any(|w| e == *w)) {
                let next = kept.len();
                let content = fs::read(&file)?;
                let length = content.len();
                let n = *kept.entry(content).or_insert(next);
                if n == next {
                    writeln!(contents, "static C{n}: [u8; {length}] = *include_bytes!({file:?});")
                        .map_err(io::Error::other)?;
                }
                writeln!(table, "    ({name:?}, &C{n}),").map_err(io::Error::other)?;
            }
        }
    }
    table.push_str("];\n");
    table.push_str(&contents);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("embedded.rs"), table)
}

/// Every file below a folder, sorted.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}
