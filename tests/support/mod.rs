//! What the whole-daemon tests stand on: a house with a daemon and a carrier, telephones that call it, an ear that knows
//! what was said, and databases. Nothing here decides what is right; the tests do.

pub(crate) mod baresip;
pub(crate) mod checker;
pub(crate) mod cut;
pub(crate) mod daemon;
pub(crate) mod disk;
pub(crate) mod ear;
pub(crate) mod market;
pub(crate) mod network;
pub(crate) mod pcap;
pub(crate) mod postgres;
pub(crate) mod scenario;
pub(crate) mod sipp;
pub(crate) mod tamper;
pub(crate) mod wire;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keytone::clock::Clock;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test.
pub(crate) fn keytone() -> PathBuf {
    option_env!("CARGO_BIN_EXE_keytone").map_or_else(|| root().join("target/debug/keytone"), PathBuf::from)
}

/// Monotonic time.
pub(crate) fn now() -> Instant {
    Clock::machine().instant()
}

/// Looks every few milliseconds until there is something; fails the test when there is nothing in time.
pub(crate) fn wait_for<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// The last lines of a file, for a failing test's message.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
