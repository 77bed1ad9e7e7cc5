//! The pepper file: the keys that make PIN hashes worthless without it (`payment::pin`). Readable by its owner only.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::payment::pin;
use crate::payment::pin::Peppers;

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("cannot use the pepper file {path}: {source}; `keytone db migrate` makes one")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it is not keys. Nothing of it is shown.
    #[error("{path}: {source}")]
    Keys {
        /// Which.
        path: PathBuf,
        /// Which line.
        source: pin::Error,
    },
}

/// Reads the file.
///
/// # Errors
/// When it is missing or any line is wrong.
pub fn read(path: &Path) -> Result<Peppers, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let text = Zeroizing::new(text);
    Peppers::parse(&text).map_err(|source| Error::Keys { path: path.to_owned(), source })
}

/// Makes a file with one new key; an existing one is left as it is. True if it was made.
///
/// # Errors
/// When it cannot be written, or there is no randomness.
pub fn create(path: &Path) -> Result<bool, Error> {
    let fail = |source| Error::File { path: path.to_owned(), source };
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match file {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        other => other.map_err(fail)?,
    };
    let text = Peppers::fresh_file().map_err(|source| Error::Keys { path: path.to_owned(), source })?;
    let text = Zeroizing::new(text);
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    Ok(true)
}

/// Adds one new key at the end of the file, which new PINs are mixed with from the next start on. Gives its version.
///
/// # Errors
/// When the file is missing, wrong or cannot be written, or there is no randomness.
pub fn add(path: &Path) -> Result<i32, Error> {
    let fail = |source| Error::File { path: path.to_owned(), source };
    let (version, line) =
        read(path)?.further_line().map_err(|source| Error::Keys { path: path.to_owned(), source })?;
    let line = Zeroizing::new(line);
    let text = Zeroizing::new(fs::read_to_string(path).map_err(fail)?);
    let mut file = fs::OpenOptions::new().append(true).open(path).map_err(fail)?;
    if !text.ends_with('\n') {
        file.write_all(b"\n").map_err(fail)?;
    }
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_private_and_reads_back() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper.key");
        assert!(create(&path).unwrap());
        assert!(!create(&path).unwrap(), "an existing one stays");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        read(&path).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before.trim_end()).unwrap();
        assert_eq!((add(&path).unwrap(), add(&path).unwrap()), (2, 3));
        let after = read(&path).unwrap();
        assert!(after.current() == 3 && after.knows(1), "older keys stay");
        assert!(fs::read_to_string(&path).unwrap().starts_with(&before));
    }

    #[test]
    fn wrong_lines_are_told_without_showing_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper.key");
        fs::write(&path, "# keys\n1 = abcdef\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(!error.contains("abcdef"), "{error}");
    }
}
