//! The flows, messages and clips that ship in the binary.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Shipped files below a folder (`dialplans/`, `prompts/en/`), as path below that folder and content.
pub fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(name, bytes)| name.strip_prefix(folder).map(|rest| (rest, *bytes)))
}
