//! The rules of the house (ARCHITECTURE.md): who may import whom, what appears where, how large a file grows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may name; a room that is not here may name nothing of ours. `store` sees only `row.rs` of the
/// rooms after the slash.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("random", &[]),
    ("money", &[]),
    ("msisdn", &[]),
    ("secret", &[]),
    ("sip", &[]),
    ("rtp", &[]),
    ("gsm", &[]),
    ("smpp", &["gsm"]),
    ("smsc", &["smpp", "gsm", "clock", "msisdn"]),
    ("ledger", &["money", "random"]),
    ("dialplan", &["money", "msisdn", "secret", "gsm"]),
    ("connector", &["money", "msisdn", "secret", "clock"]),
    ("payment", &["ledger", "connector", "store", "money", "msisdn", "secret", "clock", "random"]),
    ("session", &["dialplan", "payment", "store", "money", "msisdn", "secret", "clock"]),
    ("store", &["ledger::row", "payment::row", "session::row", "connector::row", "money", "msisdn", "clock"]),
    ("voice", &["sip", "rtp", "session", "msisdn", "clock"]),
    ("ussd", &["smpp", "gsm", "session", "store", "msisdn", "clock"]),
    ("sms", &["smpp", "gsm", "session", "store", "msisdn", "secret", "clock"]),
    (
        "http",
        &[
            "session",
            "ussd",
            "sms",
            "payment",
            "ledger",
            "dialplan",
            "connector",
            "store",
            "money",
            "msisdn",
            "secret",
            "clock",
        ],
    ),
];

/// Rooms that may name everything.
const TOP: &[&str] = &["app", "cli", "config", "main", "lib"];

fn sources(root: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source under {root}");
    found
}

fn room(path: &Path) -> String {
    let below = path.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The part of a file before its unit tests; nothing of a file that is all tests.
fn product<'t>(path: &Path, text: &'t str) -> &'t str {
    if path.file_name().is_some_and(|f| f == "tests.rs") {
        return "";
    }
    text.split("#[cfg(test)]").next().unwrap()
}

/// `crate::a::b…` paths named outside comments, with their line numbers.
fn crate_paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap();
        for (at, _) in code.match_indices("crate::") {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let path: String = code[at + 7..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':' || *c == '{')
                .collect();
            found.push((number + 1, path));
        }
    }
    found
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let room = room(&path);
        if TOP.contains(&room.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(room.as_str()) else {
            faults.push(format!("{}: room {room} is not in the table", path.display()));
            continue;
        };
        for (line, named) in crate_paths(product(&path, &text)) {
            let first = named.split("::").next().unwrap();
            let ok =
                first == room || allowed.iter().any(|a| named == *a || named.starts_with(&format!("{a}::")));
            if !ok {
                faults.push(format!("{}:{line}: {room} may not use {named}", path.display()));
            }
        }
        if text.contains("super::super") {
            faults.push(format!("{}: name the module from crate:: instead of super::super", path.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_belongs_in_one_place_stays_there() {
    // What may not be named, and the paths (by prefix) that may name it.
    let rules: &[(&str, &[&str], &str)] = &[
        ("Instant::now", &["src/clock.rs"], "time comes from clock.rs"),
        ("SystemTime::now", &["src/clock.rs"], "time comes from clock.rs"),
        ("sqlx::", &["src/store"], "SQL lives in store"),
        ("anyhow", &["src/cli", "src/main.rs"], "anyhow is for cli and main"),
        ("rsip::", &["src/sip"], "rsip is wrapped in sip"),
        ("allow(clippy::all", &[], "no blanket allowance"),
        ("todo!(", &[], "finish it"),
        ("unimplemented!(", &[], "finish it"),
        ("unbounded_channel", &[], "every queue has a limit"),
    ];
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let name = path.to_str().unwrap();
        for (word, places, why) in rules {
            if places.iter().any(|p| name.starts_with(p)) {
                continue;
            }
            for (number, line) in product(&path, &text).lines().enumerate() {
                if line.split("//").next().unwrap().contains(word) {
                    faults.push(format!("{name}:{}: `{word}`: {why}", number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn pure_rooms_do_no_io() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let name = path.to_str().unwrap();
        let pure = ["src/sip", "src/rtp", "src/smpp", "src/dialplan", "src/ledger"]
            .iter()
            .any(|p| name.starts_with(p))
            || ["state.rs", "limits.rs", "judge.rs", "fold.rs", "assurance.rs", "verify.rs"]
                .iter()
                .any(|f| name == format!("src/payment/{f}"));
        let edge = path.file_name().is_some_and(|f| f == "io.rs") || name.contains("/io/");
        if !pure || edge {
            continue;
        }
        for (number, line) in product(&path, &text).lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for word in ["tokio::", "std::fs", "UdpSocket", "TcpStream", "std::thread", "reqwest::"] {
                if code.contains(word) {
                    faults.push(format!("{name}:{}: `{word}` in a pure room", number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_open_with_their_purpose_and_stay_small() {
    let mut faults = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        if !text.starts_with("//!") {
            faults.push(format!("{}: begin with //! and what it is for", path.display()));
        }
        let lines = text.lines().count();
        if lines > 800 {
            faults.push(format!("{}: {lines} lines; split it by responsibility", path.display()));
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if ["utils", "util", "helpers", "helper", "manager", "service", "common"].contains(&stem) {
            faults.push(format!("{}: {stem} says nothing; name it for what it does", path.display()));
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("#[ignore") {
                faults.push(format!("{}:{}: an ignored test proves nothing", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn money_is_never_a_float() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let name = path.to_str().unwrap();
        let money = ["src/money.rs", "src/ledger", "src/payment", "src/store", "src/connector"]
            .iter()
            .any(|p| name.starts_with(p));
        if !money {
            continue;
        }
        for (number, line) in product(&path, &text).lines().enumerate() {
            let code = line.split("//").next().unwrap();
            if (code.contains("f64") || code.contains("f32")) && !code.contains("probability") {
                faults.push(format!("{name}:{}: no float near money", number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn only_the_ledger_makes_entries() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let name = path.to_str().unwrap();
        if name.starts_with("src/ledger") || name.starts_with("src/store") {
            continue;
        }
        for (number, line) in product(&path, &text).lines().enumerate() {
            if line.split("//").next().unwrap().contains("EntryRow {") {
                faults.push(format!("{name}:{}: entries come from ledger::apply", number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The licence list of deny.toml, held without building cargo-deny.
#[test]
fn every_dependency_has_an_allowed_licence_and_comes_from_the_registry() {
    let deny: toml::Table = fs::read_to_string("deny.toml").unwrap().parse().unwrap();
    let texts = |value: &toml::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let allowed = texts(&deny["licenses"]["allow"]);
    let clarified: BTreeMap<String, String> = deny["licenses"]["clarify"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["crate"].as_str().unwrap().to_owned(), c["expression"].as_str().unwrap().to_owned()))
        .collect();
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if let Some(source) = package["source"].as_str()
            && !source.starts_with("registry+")
        {
            faults.push(format!("{name} comes from {source}"));
        }
        let licence = package["license"].as_str().map(str::to_owned).or_else(|| clarified.get(name).cloned());
        let Some(licence) = licence else {
            faults.push(format!("{name} names no licence"));
            continue;
        };
        if !licence_allowed(&licence, &allowed) {
            faults.push(format!("{name}: {licence}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Whether an SPDX expression can be met from `allowed`: every AND part needs one OR choice. Parentheses are only used
/// around OR groups in practice.
fn licence_allowed(expression: &str, allowed: &[String]) -> bool {
    expression.replace('/', " OR ").split(" AND ").all(|part| {
        part.trim_matches(|c: char| c == '(' || c == ')' || c == ' ').split(" OR ").any(|choice| {
            let choice = choice.trim_matches(|c: char| c == '(' || c == ')' || c == ' ');
            allowed.iter().any(|a| a == choice)
        })
    })
}

#[test]
fn the_licence_rule_can_fail() {
    let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
    assert!(licence_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(licence_allowed("Unlicense/MIT", &allowed));
    assert!(!licence_allowed("GPL-3.0-only", &allowed));
    assert!(!licence_allowed("MIT AND GPL-3.0-only", &allowed));
}

#[test]
fn the_import_rule_can_fail() {
    let paths = crate_paths("use crate::sip::Endpoint; // crate::comment\nlet x = crate::money::Money;");
    assert_eq!(paths, [(1, "sip::Endpoint".to_owned()), (2, "money::Money".to_owned())]);
}
