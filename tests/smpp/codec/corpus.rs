//! Replays the corpus of the fuzz targets, so that what was once found stays found without a fuzzer.

use std::path::Path;

#[path = "../../../fuzz/drive.rs"]
mod drive;

/// Drives every file of a target; gives how many files and frames there were.
fn replay(target: &str, drive: fn(&[u8]) -> usize) -> (usize, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut totals = (0, 0);
    for entry in entries {
        let path = entry.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        println!("{}", path.display());
        totals.0 += 1;
        totals.1 += drive(&octets);
    }
    totals
}

#[test]
fn the_corpus_before_a_bind_is_survived() {
    let (files, frames) = replay("before_bind", drive::before_bind);
    assert!(files >= 12 && frames >= 12, "{files} files, {frames} frames");
}

#[test]
fn the_corpus_after_a_bind_is_survived() {
    let (files, frames) = replay("after_bind", drive::after_bind);
    assert!(files >= 50 && frames >= 50, "{files} files, {frames} frames");
}
