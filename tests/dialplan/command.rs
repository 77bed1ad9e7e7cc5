//! `keytone check` as people and scripts use it.

use std::path::Path;
use std::process::{Command, Output};

use super::{golden, read};

fn check(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytone"));
    command.arg("check").args(arguments).current_dir(folder).env_remove("KEYTONE_CONFIG").output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder with one of the bad examples.
fn folder(example: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("messages")).unwrap();
    let messages = read(&golden().join("base.en.msg"));
    let own = std::fs::read_to_string(golden().join(format!("{example}.en.msg"))).unwrap_or_default();
    std::fs::write(folder.path().join("messages/en.msg"), format!("{messages}\n\n{own}")).unwrap();
    std::fs::copy(golden().join(format!("{example}.flow")), folder.path().join("bad.flow")).unwrap();
    folder
}

#[test]
fn only_errors_fail_unless_it_is_strict() {
    let warned = folder("F071-menu");
    let output = check(&["."], warned.path());
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("1 flow sound") && text(&output).contains("warnings"),
        "{}",
        text(&output)
    );
    assert!(!text(&output).contains('\u{1b}'), "no colours where there is no terminal");
    assert_eq!(check(&[".", "--strict"], warned.path()).status.code(), Some(1));
    let wrong = folder("F010-step");
    let output = check(&["."], wrong.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("error") && !text(&output).contains("sound"), "{}", text(&output));
}

#[test]
fn each_report_is_one_line_of_json() {
    let near = folder("F100-near");
    let output = check(&[".", "--json"], near.path());
    assert!(output.status.success(), "a hint is no error");
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let hint = lines.iter().find(|line| line["code"] == "F100").unwrap();
    assert_eq!((hint["severity"].as_str(), hint["labels"][0]["line"].as_u64()), (Some("hint"), Some(12)));
    let output = check(&[".", "--lengths", "--json"], folder("F053-screen").path());
    let first = String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned();
    let length: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!((length["step"].as_str(), length["channel"].as_str()), (Some("first"), Some("ussd")));
    assert!(length["pages"].as_u64().unwrap() >= 4 && length["septets"].as_u64().unwrap() > 600, "{first}");
}

#[test]
fn codes_are_explained() {
    let here = Path::new(".");
    let output = check(&["--explain", "f035"], here);
    assert!(text(&output).contains("F035: a payment that was not confirmed, error"), "{}", text(&output));
    assert!(text(&output).contains("recharge.pay"), "with an example");
    let output = check(&["--explain", "F999"], here);
    assert!(!output.status.success() && text(&output).contains("there is no code F999"), "{}", text(&output));
    let page = check(&["--codes-page"], here);
    assert_eq!(text(&page).trim_end(), read(&super::root().join("docs/dialplan-codes.md")).trim_end());
}

#[test]
fn folders_that_cannot_be_used_are_told() {
    let empty = tempfile::tempdir().unwrap();
    let output = check(&["."], empty.path());
    assert!(
        !output.status.success() && text(&output).contains("there is no *.flow in ."),
        "{}",
        text(&output)
    );
    let output = check(&["nowhere"], empty.path());
    assert!(!output.status.success() && text(&output).contains("cannot read nowhere"), "{}", text(&output));
    let bytes = folder("F010-step");
    std::fs::write(bytes.path().join("bad.flow"), b"flow bad 1\nstep first\n  -> end -- \xe9\n").unwrap();
    let output = check(&["."], bytes.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("F002") && text(&output).contains("bad.flow:3:13"), "{}", text(&output));
}
