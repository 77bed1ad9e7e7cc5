//! A PostgreSQL whose disk can be full. A small library (`full.c`) that is loaded into the server stands in for the disk: the
//! system calls that would make a file longer then fail as they do there (`ENOSPC`), so that it needs no mount and no root.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::postgres::Cluster;
use super::root;

/// The server and its disk.
pub(crate) struct Disk {
    pub(crate) cluster: Cluster,
    flag: PathBuf,
    _dir: tempfile::TempDir,
}

impl Disk {
    /// A server with room. Fails the test when there is no server to start, or no C compiler, which the build needs too.
    pub(crate) fn start(name: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("keytone-disk-").tempdir().unwrap();
        // The server may be another user than we are.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let (library, flag) = (dir.path().join("full.so"), dir.path().join("full"));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(root().join("tests/support/full.c"))
            .arg("-ldl")
            .output()
            .expect("a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let environment = [("LD_PRELOAD", library.as_path()), ("KEYTONE_DISK_FULL", flag.as_path())];
        let cluster = Cluster::start_as(name, false, &environment).unwrap_or_else(|why| panic!("{why}"));
        // Whoever keeps a real server starts it again too.
        File::create(cluster.socket_dir().join("again")).unwrap();
        Self { cluster, flag, _dir: dir }
    }

    /// From now on no file of the server's grows (`true`), or they may again.
    pub(crate) fn fill(&self, full: bool) {
        if full {
            File::create(&self.flag).unwrap();
        } else {
            fs::remove_file(&self.flag).unwrap();
        }
    }
}
