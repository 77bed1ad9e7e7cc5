//! The commands as a person or a script meets them: what they print, and their exit status.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn keytone(arguments: &[&str], folder: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keytone"))
        .args(arguments)
        .current_dir(folder)
        .env("KEYTONE_SANDBOX_KEY", "a-key-for-tests")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(arguments: &[&str], folder: &Path, input: &str) -> String {
    let output = keytone(arguments, folder, input);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A copy of the shipped example configuration.
fn deployed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("carriers")).unwrap();
    for file in ["keytone.toml", "numbering.toml", "carriers/sandbox.toml"] {
        fs::copy(Path::new("deploy").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

#[test]
fn the_demo_ends_with_one_json_object() {
    let folder = tempfile::tempdir().unwrap();
    let printed = done(&["demo", "--json", "--sip-port", "0", "--http-port", "0"], folder.path(), "");
    let last: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!(last["voice"]["outcome"], "delivered");
    assert_eq!(last["ledger"]["verified"], true);
    assert!(last["voice"]["payment"].as_str().unwrap().len() == 36);
    assert!(last["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(printed.lines().count(), 1, "{printed}");
}

#[test]
fn an_operators_first_hour() {
    let folder = deployed();
    let at = folder.path();
    assert!(done(&["db", "migrate"], at, "").contains("back it up"));
    assert!(done(&["db", "status"], at, "").contains("applied"));
    fs::write(at.join("pin.txt"), "284913\n").unwrap();
    let open =
        done(&["account", "open", "--msisdn", "+8613800000001", "--pin-file", "pin.txt", "--json"], at, "");
    let account: serde_json::Value = serde_json::from_str(open.trim()).unwrap();
    assert_eq!(account["pin"], true);
    let id = "0190f3a2-0000-7000-8000-000000000001";
    for _ in 0..2 {
        done(&["account", "credit", "13800000001", "500.00", "--id", id], at, "");
    }
    let other = keytone(&["account", "credit", "13800000001", "600.00", "--id", id], at, "");
    assert!(!other.status.success(), "the same id with another amount is refused");
    done(&["account", "limit", "13800000001", "--day", "100"], at, "");
    done(&["account", "bind", "13800000001", "+8613800000002"], at, "");
    let shown = done(&["account", "show", "13800000002", "--json"], at, "");
    let shown: serde_json::Value = serde_json::from_str(shown.trim()).unwrap();
    assert_eq!(shown["balance"], "500.00", "the second credit of the same id books nothing");
    assert_eq!(shown["day_limit"], "100.00");
    assert_eq!(shown["numbers"].as_array().unwrap().len(), 2);
    assert!(done(&["payment", "suspend", "carrier", "sandbox"], at, "").contains("sandbox"));
    let wrong = keytone(&["payment", "suspend", "carrier", "sandbx"], at, "");
    assert!(!wrong.status.success() && text(&wrong).contains("there are: sandbox"), "{}", text(&wrong));
    done(&["payment", "suspend", "number", "13800000001"], at, "");
    done(&["payment", "resume", "carrier", "sandbox"], at, "");
    let shut = done(&["payment", "suspensions", "--json"], at, "");
    assert!(shut.contains("+8613800000001") && !shut.contains("sandbox"), "{shut}");
    assert!(done(&["ledger", "verify"], at, "").contains("the books are sound"));
    assert!(done(&["ledger", "balances"], at, "").contains("customers"));
    assert_eq!(done(&["payment", "list", "--json"], at, ""), "");
}

#[test]
fn what_accountants_ask_for() {
    let folder = deployed();
    let at = folder.path();
    done(&["db", "migrate"], at, "");
    done(&["account", "open", "--msisdn", "+8613800000001"], at, "");
    let act = ["--account", "13800000001", "--reason", "deposit", "--evidence", "=slip 7", "--staff", "ana"];
    done(&[["staff", "move", "cash-in", "500.00"].as_slice(), &act].concat(), at, "");
    let csv = done(&["account", "statement", "13800000001", "--format", "csv"], at, "");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "at,amount,balance,currency,what,to,reference,transfer");
    assert!(lines[1].contains(",0.00,CNY,opening") && lines[3].contains(",500.00,CNY,closing"), "{csv}");
    assert!(done(&["account", "statement", "13800000001"], at, "").contains("closing           500.00 CNY"));
    let json = done(&["account", "statement", "13800000001", "--json", "--until", "2020-01-01"], at, "");
    let json: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((json["opening"].as_str(), json["closing"].as_str()), (Some("0.00"), Some("0.00")));
    let wrong = keytone(
        &["account", "statement", "13800000001", "--from", "2026-05-03", "--until", "2026-05-02"],
        at,
        "",
    );
    assert!(!wrong.status.success() && text(&wrong).contains("ends before it begins"), "{}", text(&wrong));
    let entries = done(&["ledger", "export", "entries"], at, "");
    assert_eq!(entries.lines().count(), 3, "{entries}");
    assert!(entries.contains(",bank,trust,1,-500.00,-500.00,CNY,"), "{entries}");
    assert!(done(&["ledger", "export", "payments"], at, "").starts_with("id,reference,created_at,product"));
    let days = done(&["ledger", "export", "days", "--from", "2020-01-01"], at, "");
    assert_eq!(days.lines().count(), 1, "{days}");
    // Everything that was done stands in the log, with who did it.
    let log = done(&["staff", "log"], at, "");
    assert!(log.contains("open") && log.contains("ana") && log.contains("cash_in"), "{log}");
    assert!(done(&["staff", "alarms"], at, "").contains("no alarm is raised"));
    assert_eq!(done(&["staff", "findings", "--json"], at, ""), "");
    let close = ["staff", "close", "2020-01-01", "--staff", "ana"];
    assert!(done(&close, at, "").contains("2020-01-01 is closed"));
    let days = done(&["ledger", "export", "days", "--from", "2020-01-01"], at, "");
    assert!(days.contains("2020-01-01") && days.lines().count() == 2, "{days}");
    assert!(done(&["ledger", "verify"], at, "").contains("the books are sound"));
}

#[test]
fn whose_a_number_is_and_who_recharges_it() {
    let folder = deployed();
    let at = folder.path();
    let told = |number: &str| {
        let output = keytone(&["number", number, "--json"], at, "");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.success(), json)
    };
    let (good, mobile) = told("13800000001");
    assert!(good, "{mobile}");
    assert_eq!((&mobile["operator"], &mobile["ported_to"]), (&"mobile".into(), &serde_json::Value::Null));
    assert_eq!(mobile["routes"][0]["amounts"]["fixed_minor"], serde_json::json!([5_000, 10_000]));
    let config = fs::read_to_string(at.join("keytone.toml")).unwrap();
    fs::write(at.join("keytone.toml"), format!("{config}\n[routes]\nported = \"ported.csv\"\n")).unwrap();
    let output = keytone(&["number", "13800000001"], at, "");
    assert!(!output.status.success() && text(&output).contains("ported.csv"), "{}", text(&output));
    fs::write(at.join("ported.csv"), "number,operator\n13800000001,telecom\n").unwrap();
    let (good, ported) = told("+8613800000001");
    assert!(!good, "nobody recharges it there: {ported}");
    assert_eq!((&ported["operator"], &ported["ported_to"]), (&"telecom".into(), &"telecom".into()));
    let shown = text(&keytone(&["number", "13800000001"], at, ""));
    assert!(shown.contains("telecom, ported from mobile") && shown.contains("nobody"), "{shown}");
}

#[test]
fn weak_pins_and_pins_on_a_terminal_are_refused() {
    let folder = deployed();
    let at = folder.path();
    done(&["db", "migrate"], at, "");
    for weak in ["1111", "123456", "000001"] {
        fs::write(at.join("pin.txt"), weak).unwrap();
        let output =
            keytone(&["account", "open", "--msisdn", "+8613800000001", "--pin-file", "pin.txt"], at, "");
        assert!(!output.status.success(), "{weak} was taken");
        assert!(!text(&output).contains(weak), "the PIN is shown");
    }
    done(&["account", "open", "--msisdn", "+8613800000001", "--pin-file", "-"], at, "284913\n");
}

#[test]
fn every_fault_of_a_dialplan_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("messages")).unwrap();
    fs::copy("dialplans/messages/en.msg", at.join("messages/en.msg")).unwrap();
    for part in ["stranger.flow", "vouch.flow"] {
        fs::copy(Path::new("dialplans").join(part), at.join(part)).unwrap();
    }
    let good = fs::read_to_string("dialplans/recharge.flow").unwrap();
    let bad = good
        .replace("on locked                  tell @locked -> end\n", "")
        .replace("-> confirm-number\n  on unbound", "-> confirm-numbr\n  on unbound")
        .replace("do topup.route(phone)", "do topup.rout(phone)");
    fs::write(at.join("recharge.flow"), &bad).unwrap();
    let output = keytone(&["check", ".", "--json"], at, "");
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    for code in ["F010", "F011", "F020"] {
        assert!(printed.contains(code), "{code} is missing in {printed}");
    }
    fs::write(at.join("recharge.flow"), &good).unwrap();
    assert!(done(&["check", "."], at, "").contains("1 flow sound"));
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    let folder = deployed();
    let file = folder.path().join("keytone.toml");
    let text_of = fs::read_to_string(&file).unwrap();
    fs::write(&file, text_of.replace("zone =", "zones =").replace("\"2000\"", "\"2000.001\"")).unwrap();
    let output = keytone(&["serve"], folder.path(), "");
    let told = text(&output);
    assert!(!output.status.success());
    assert!(told.contains("did you mean zone?") && told.contains("market.zone: is missing"), "{told}");
    assert!(told.contains("CNY has 2 decimals"), "{told}");
}

#[test]
fn a_conversation_in_the_terminal_pays_on_voice_and_ussd() {
    let folder = tempfile::tempdir().unwrap();
    let voice = done(&["talk", "recharge"], folder.path(), "1\n70\n50#\n284913#\n");
    assert!(voice.contains("Input error"), "{voice}");
    assert!(voice.contains("recharged to"), "{voice}");
    let ussd =
        done(&["talk", "recharge", "--as", "ussd", "--dial", "*125*50#"], folder.path(), "1\n284913\n");
    assert!(ussd.contains("was recharged"), "{ussd}");
    for said in [voice, ussd] {
        assert!(!said.contains("284913"), "the PIN is shown: {said}");
    }
    let nobody = done(&["talk", "recharge", "--no-number"], folder.path(), "");
    assert!(
        nobody.contains("Enter your account's number"),
        "whoever shows no number tells his account: {nobody}"
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            drop(fs::copy(entry.path(), target))
        }
    }
}

#[test]
fn a_clip_that_is_missing_is_found_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    copy(Path::new("dialplans"), &at.join("dialplans"));
    copy(Path::new("prompts"), &at.join("prompts"));
    for made in ["msg", "num"] {
        // Somebody may have built this language here.
        let _ = fs::remove_dir_all(at.join("prompts/zh").join(made));
    }
    let checked = done(&["prompts", "check"], at, "");
    assert!(
        checked.contains(" clips, 0 faults"),
        "the shipped clips are as their texts want them: {checked}"
    );
    assert!(checked.contains("zh: no clips, so screens only"), "{checked}");
    let clip = at.join("prompts/en/msg/goodbye.0.wav");
    fs::remove_file(&clip).unwrap();
    let checked = keytone(&["prompts", "check", "en"], at, "");
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains("F060 en/msg/goodbye.0 is missing"), "{}", text(&checked));
    let script = done(&["prompts", "script", "en"], at, "");
    assert!(script.contains("msg/goodbye.0,Goodbye.,Goodbye.,missing"), "{script}");
    // Needs espeak-ng; another version of it makes every clip anew.
    let built = done(&["prompts", "build", "en", "--json"], at, "");
    let built: serde_json::Value = serde_json::from_str(built.trim()).unwrap();
    assert!(built["made"].as_u64().unwrap() >= 1, "{built}");
    keytone::rtp::Clip::from_wav("goodbye", &fs::read(&clip).unwrap()).unwrap();
    assert!(done(&["prompts", "check", "en"], at, "").contains("0 faults"));
    // A recording of the artist takes the clip's place.
    fs::create_dir_all(at.join("recorded/msg")).unwrap();
    fs::copy(at.join("prompts/en/msg/trouble.0.wav"), at.join("recorded/msg/goodbye.0.wav")).unwrap();
    let imported = done(&["prompts", "import", "recorded", "--lang", "en"], at, "");
    assert!(imported.contains("en/msg/goodbye.0 is msg/goodbye.0.wav"), "{imported}");
    assert!(done(&["prompts", "build", "en"], at, "").contains("1 recorded"));
    let refused = keytone(&["prompts", "build", "tlh"], at, "");
    assert!(!refused.status.success());
    assert!(text(&refused).contains("`tlh`"), "{}", text(&refused));
}

#[test]
fn the_deployed_examples_are_those_that_are_tested() {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    assert_eq!(read("deploy/numbering.toml"), keytone::connector::sandbox::PLAN);
    let carrier = keytone::connector::sandbox::definition_toml("http://127.0.0.1:9100");
    assert_eq!(read("deploy/carriers/sandbox.toml"), carrier);
}
