//! What the benches share: the physical limits of the machine, a peer on the same cluster, and processor time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use keytone::clock::Clock;

use crate::postgres;

/// `/proc` counts CPU in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

/// A figure beside what is wanted of it.
#[derive(serde::Serialize)]
pub(crate) struct Ratio {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) wanted: f64,
    pub(crate) met: bool,
}

pub(crate) fn say(json: bool, what: &str) {
    if !json {
        eprintln!("{what}");
    }
}

/// Appends of 8 kB, each followed by `fdatasync`, a second.
pub(crate) fn fdatasync(dir: &Path, time: Duration) -> f64 {
    let clock = Clock::machine();
    let file = File::create(dir.join("append")).unwrap();
    let block = [7_u8; 8192];
    let start = clock.instant();
    let mut count = 0_u32;
    while clock.instant() - start < time {
        file.write_all_at(&block, u64::from(count) * 8192).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / (clock.instant() - start).as_secs_f64()
}

/// TPC-B, 32 clients, prepared, in the same cluster.
pub(crate) fn pgbench(cluster: &postgres::Cluster, json: bool) -> f64 {
    say(json, "measuring pgbench …");
    let url = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(cluster.database());
    let name = url.split('/').nth(3).and_then(|rest| rest.split('?').next()).unwrap().to_owned();
    let run = |arguments: &[&str]| -> String {
        let output = Process::new("pgbench")
            .args(arguments)
            .args(["-h", &cluster.socket_dir().to_string_lossy(), "-U", "keytone", &name])
            .output()
            .expect("pgbench: install the package postgresql");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&["-i", "-q", "-s", "20"]);
    let text = run(&["-c", "32", "-j", "2", "-M", "prepared", "-T", "8"]);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench said: {text}"))
}

/// SplitMix64's last step: spreads account ids, and chooses pairs.
pub(crate) fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// User and system time of this process, and of the server and its backends.
pub(crate) fn cpu_seconds(cluster: Option<&postgres::Cluster>) -> f64 {
    let stat = |pid: &str| -> Option<Vec<u64>> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold spaces; the fields after it do not.
        Some(text.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
    };
    let own = stat("self").unwrap();
    let mut ticks = own[11] + own[12];
    if let Some(cluster) = cluster {
        let pid = std::fs::read_to_string(cluster.socket_dir().join("data/postmaster.pid")).unwrap();
        let postmaster: u64 = pid.lines().next().unwrap().parse().unwrap();
        let server = stat(&postmaster.to_string()).unwrap();
        ticks += server[11..15].iter().sum::<u64>();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let child = stat(&entry.file_name().to_string_lossy()).filter(|fields| fields[1] == postmaster);
            ticks += child.map_or(0, |fields| fields[11] + fields[12]);
        }
    }
    ticks as f64 / TICKS_A_SECOND
}
