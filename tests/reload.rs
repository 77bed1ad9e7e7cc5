//! Dialplans change under a running daemon: who hears the new ones, what a fault leaves as it was, and what the control
//! socket takes from strangers.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::copy;
use crate::support::daemon::{House, Plan};
use crate::support::sipp::Phone;
use crate::support::{root, wait_for};

/// A customer's number and PIN.
const OWN: &str = "+8613800000001";
const PIN: &str = "284913";
/// How long anything on the socket may take; a silent connection is given five seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// The flows that ship.
const FLOWS: usize = 10;
/// The recharge flow.
const FLOW: &str = "dialplans/recharge.flow";

/// Changes a text in a file of the house; it must be there.
fn edit(house: &House, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(house.path(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(house.path(file), text.replace(from, to)).unwrap();
}

/// Gives a branch of the recharge flow another end.
fn branch(house: &House, outcome: &str, end: &str) {
    let text = fs::read_to_string(house.path(FLOW)).unwrap();
    fs::write(house.path(FLOW), with_branch(&text, outcome, end)).unwrap();
}

fn with_branch(flow: &str, outcome: &str, end: &str) -> String {
    let is_it = |line: &str| line.trim_start().starts_with(outcome);
    assert_eq!(flow.lines().filter(|line| is_it(line)).count(), 1, "{outcome} in\n{flow}");
    let lines = flow
        .lines()
        .map(|line| if is_it(line) { format!("  {outcome} {end}\n") } else { format!("{line}\n") });
    lines.collect()
}

/// A house that serves the shipped flows and clips from folders of its own.
fn open() -> House {
    let mut house = furnish(Plan::with(OWN, PIN));
    house.start();
    house
}

fn furnish(plan: Plan) -> House {
    let house = plan.furnish();
    copy(&root().join("dialplans"), &house.path("dialplans"));
    copy(&root().join("prompts/en"), &house.path("prompts/en"));
    // Other languages without their clips: they are on screens alone, and reading many clips takes a while.
    for language in ["zh", "sw", "fr", "es"] {
        let rules = format!("prompts/{language}/numbers.say");
        fs::create_dir_all(house.path(&rules).parent().unwrap()).unwrap();
        fs::copy(root().join(&rules), house.path(&rules)).unwrap();
    }
    edit(&house, "keytone.toml", "[node]\n", "[node]\ndialplans = \"dialplans\"\nprompts = \"prompts\"\n");
    house
}

/// Makes a second version, with words that the first does not say in these places.
fn second_version(house: &House) {
    branch(house, "on bound(account)", "tell @still-processing -> confirm-number");
    branch(house, "on ok(carrier, amounts)", "tell @suspended -> offer");
}

/// The last line of what `keytone reload` prints; warnings stand before it.
fn reload(house: &House) -> String {
    let told = house.run(&["reload"]);
    told.lines().last().unwrap_or_default().to_owned()
}

fn versions(house: &House) -> Vec<(String, bool, u64)> {
    let lines = house.run(&["dialplan", "versions", "--json"]);
    let read = |line: &str| {
        let version: Value = serde_json::from_str(line).unwrap();
        let text = version["version"].as_str().unwrap().to_owned();
        (text, version["serving"].as_bool().unwrap(), version["sessions"].as_u64().unwrap())
    };
    lines.lines().map(read).collect()
}

fn serving(house: &House) -> String {
    versions(house).remove(0).0
}

fn connect(house: &House) -> UnixStream {
    let stream = UnixStream::connect(house.path("keytone.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The one line that comes back.
fn answer(stream: &mut UnixStream) -> Value {
    let mut text = Vec::new();
    let mut byte = [0];
    while text.last() != Some(&b'\n') {
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => text.extend(byte),
            // A signal to this process, of a child that ended.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("after {:?}: {error}", String::from_utf8_lossy(&text)),
        }
    }
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{:?}: {e}", String::from_utf8_lossy(&text)))
}

/// Sends bytes, of which the daemon may stop reading, and gives the answer.
fn ask(house: &House, bytes: &[u8]) -> Value {
    let mut stream = connect(house);
    if let Err(error) = stream.write_all(bytes) {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    }
    answer(&mut stream)
}

#[test]
fn a_new_call_hears_the_new_flow_and_one_under_way_stays_on_the_old() {
    let house = open();
    let first = serving(&house);
    assert_eq!(reload(&house), format!("version {first} is already served"));
    let call = Phone::of(&house, OWN).hear("confirm-number").then(|_| {
        second_version(&house);
        let told = reload(&house);
        let second = serving(&house);
        assert_ne!(first, second);
        assert!(
            told.ends_with(&format!(
                "reloaded: version {first} -> {second}, {FLOWS} flows, 1 session stays on the old"
            )),
            "{told}"
        );
        let other = Phone::of(&house, OWN).hear("still-processing").hear("confirm-number").press("1");
        let other = other.hear("suspended").hear("enter-amount");
        let other = other.then(|_| {
            assert_eq!(versions(&house), [(second.clone(), true, 1), (first.clone(), false, 1)]);
        });
        other.hang_up();
    });
    let call = call.recharge_after_confirm(PIN).hang_up();
    call.assert_not_said("still-processing");
    call.assert_not_said("suspended");
    house.assert_paid(&[("delivered", OWN, "50.00")]);
    wait_for("the old version is gone", PATIENCE, || (versions(&house).len() == 1).then_some(()));
    let people = house.run(&["dialplan", "versions"]);
    assert!(people.contains("serving") && people.lines().count() == 1, "{people}");
}

#[test]
fn a_caller_who_drops_goes_on_in_the_version_that_he_began_with() {
    let house = furnish(Plan::with(OWN, PIN));
    edit(&house, FLOW, "  visits 6 then goodbye\n", "  visits 6 then goodbye\n  resume 10m\n");
    let mut house = house;
    house.start();
    Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#").hang_up();
    wait_for("the saved conversation", PATIENCE, || (house.saved_sessions() == 1).then_some(()));
    second_version(&house);
    assert!(reload(&house).starts_with("reloaded: "));
    let back = Phone::of(&house, OWN).hear("resume.question").press("1").hear("enter-pin");
    let back = back.press(&format!("{PIN}#")).hear("recharged").they_end();
    back.assert_not_said("confirm-number");
    back.assert_not_said("still-processing");
    house.assert_paid(&[("delivered", OWN, "50.00")]);
    assert_eq!(house.saved_sessions(), 0, "it has ended");
    Phone::of(&house, OWN).hear("still-processing").hear("confirm-number").hang_up();
}

#[test]
fn a_call_goes_on_with_the_clips_that_it_began_with() {
    let house = open();
    let first = serving(&house);
    let call = Phone::of(&house, OWN).hear("confirm-number").then(|_| {
        let clip = |name: &str| house.path(&format!("prompts/en/msg/{name}.0.wav"));
        fs::copy(clip("suspended"), clip("enter-amount")).unwrap();
        let told: Value = serde_json::from_str(&house.run(&["reload", "--json"])).unwrap();
        assert_eq!((&told["reloaded"], &told["version"]), (&json!(true), &json!(first)), "{told}");
        assert_eq!((&told["replaced"], &told["staying"]), (&json!(first), &json!(1)), "{told}");
        Phone::of(&house, OWN).hear("confirm-number").press("1").hear("suspended").hang_up();
    });
    call.press("1").hear("enter-amount").hang_up().assert_not_said("suspended");
}

#[test]
fn settings_of_the_flows_are_read_again() {
    let house = open();
    let first = serving(&house);
    edit(&house, "keytone.toml", "[rtp]", &format!("[dialplan]\ntesters = [{OWN:?}]\n\n[rtp]"));
    let told = reload(&house);
    let expected = format!(
        "reloaded: version {first} with other clips or settings, {FLOWS} flows, 0 sessions stay on the old"
    );
    assert_eq!(told, expected);
    assert!(reload(&house).contains("is already served"));
    edit(&house, "keytone.toml", "[dialplan]", "[dialplan]\nussd_ucs2 = 70");
    assert!(reload(&house).starts_with("reloaded: version "));
    assert!(reload(&house).contains("is already served"));
}

#[test]
fn parameters_of_flows_are_read_again_and_judged() {
    let house = open();
    edit(&house, FLOW, "flow recharge 1\n", "flow recharge 1\n  param most: number = 3\n");
    edit(&house, "keytone.toml", "[rtp]", "[dialplan.params.recharge]\nmost = \"3\"\n\n[rtp]");
    house.run(&["reload"]);
    let three = serving(&house);
    edit(&house, "keytone.toml", "most = \"3\"", "most = \"5\"");
    let told = reload(&house);
    let five = serving(&house);
    assert_ne!(three, five, "another parameter is another version");
    assert!(told.contains(&format!("reloaded: version {three} -> {five}, ")), "{told}");
    for (wrong, named) in [("most = \"many\"", "most"), ("least = \"5\"", "least")] {
        edit(&house, "keytone.toml", "most = \"5\"", wrong);
        let (status, told, _) = house.try_run(&["reload"]);
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(told.contains("F014") && told.contains(named), "{told}");
        assert!(told.ends_with(&format!("not reloaded: 1 fault; version {five} stays\n")), "{told}");
        edit(&house, "keytone.toml", wrong, "most = \"5\"");
    }
    assert!(reload(&house).ends_with(&format!("version {five} is already served")));
}

#[test]
fn memory_does_not_grow_with_reloads() {
    let house = open();
    let clip = |name: &str| house.path(&format!("prompts/en/msg/{name}.0.wav"));
    let clips = [fs::read(clip("suspended")).unwrap(), fs::read(clip("goodbye")).unwrap()];
    let reload = |n: usize| {
        fs::write(clip("goodbye"), &clips[n % 2]).unwrap();
        let told = ask(&house, b"{\"command\":\"reload\"}\n");
        assert_eq!(told["reloaded"], json!(true), "{told}");
    };
    (0..10).for_each(reload);
    let before = house.memory_kib();
    (10..40).for_each(reload);
    let grown = house.memory_kib().saturating_sub(before);
    // Each edition has some 12 MiB of clips and flows: all that were ever loaded would be 360.
    assert!(grown < 64 * 1024, "{grown} KiB more after 30 reloads, {before} before");
}

#[test]
fn flows_with_faults_are_shown_as_check_shows_them_and_not_served() {
    let house = open();
    let before = serving(&house);
    let sound = fs::read(house.path(FLOW)).unwrap();
    branch(&house, "on wrong_pin(chances)", "-> pim");
    edit(&house, FLOW, "@goodbye", "@goodby");
    let (status, told, _) = house.try_run(&["reload"]);
    assert_eq!(status.code(), Some(1));
    let (_, checked, _) = house.try_run(&["check", "dialplans", "--prompts", "prompts"]);
    let (report, count) = checked.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(told, format!("{report}\nnot reloaded: 2 faults; version {before} stays\n"));
    assert!(count.starts_with("2 ") && report.contains("F010") && report.contains("F050"), "{checked}");
    assert!(!told.contains('\u{1b}'), "colours off a terminal: {told}");

    let (status, json, _) = house.try_run(&["reload", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!((&json["ok"], &json["version"]), (&json!(false), &json!(before)));
    let codes: Vec<&str> =
        json["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"F010"), "{codes:?}");

    assert_eq!(versions(&house), [(before.clone(), true, 0)]);
    Phone::of(&house, OWN).recharge_own(PIN).hang_up().assert_not_said("still-processing");

    // A clip that cannot be played, a folder that is gone, a fault of the configuration: the same.
    fs::write(house.path(FLOW), sound).unwrap();
    assert!(reload(&house).contains("is already served"));
    let clip = house.path("prompts/en/msg/goodbye.0.wav");
    let recorded = fs::read(&clip).unwrap();
    fs::write(&clip, "RIFF").unwrap();
    let (status, told, _) = house.try_run(&["reload"]);
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.ends_with(&format!("version {before} stays\n")) && told.contains("goodbye.0"), "{told}");
    fs::write(&clip, recorded).unwrap();
    fs::rename(house.path("dialplans"), house.path("elsewhere")).unwrap();
    let (status, told, _) = house.try_run(&["reload"]);
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("cannot read dialplans"), "{told}");
    assert_eq!(serving(&house), before);
}

#[test]
fn a_fault_of_the_configuration_is_told_with_its_line_and_changes_nothing() {
    let house = open();
    let before = serving(&house);
    // The command needs a sound file to find the socket by; the daemon reads its own.
    fs::copy(house.path("keytone.toml"), house.path("sound.toml")).unwrap();
    edit(&house, "keytone.toml", "[rtp]", "[dialplan]\nussd_ucs2 = 8000\n\n[rtp]");
    let (status, told, _) = house.try_run(&["reload", "--config", "sound.toml"]);
    assert_eq!(status.code(), Some(1));
    assert!(told.contains("dialplan.ussd_ucs2: expected a whole number from 20 to 80"), "{told}");
    assert!(told.ends_with(&format!("version {before} stays\n")), "{told}");
}

#[test]
fn sighup_reloads_and_the_log_names_each_fault() {
    let house = open();
    let first = serving(&house);
    second_version(&house);
    house.signal("HUP");
    let line = wait_for("the reload", PATIENCE, || {
        house.log().lines().find(|l| l.contains("reloaded: version")).map(str::to_owned)
    });
    let second = serving(&house);
    assert!(
        line.contains(&format!("{first} -> {second}, {FLOWS} flows, 0 sessions stay on the old")),
        "{line}"
    );
    branch(&house, "on wrong_pin(chances)", "-> pim");
    house.signal("HUP");
    let log = wait_for("the refusal", PATIENCE, || {
        Some(house.log()).filter(|log| log.contains(&format!("version {second} stays")))
    });
    assert!(
        log.lines().any(|l| l.contains("ERROR") && l.contains("recharge.flow:") && l.contains("F010")),
        "{log}"
    );
    assert_eq!(serving(&house), second);
    Phone::of(&house, OWN).hear("still-processing").hear("confirm-number").hang_up();
    house.stop();
}

#[test]
fn two_reloads_at_once_come_one_after_the_other() {
    let house = open();
    second_version(&house);
    let mut lines: Vec<UnixStream> = (0..4).map(|_| connect(&house)).collect();
    for line in &mut lines {
        line.write_all(b"{\"command\":\"reload\"}\n").unwrap();
    }
    let answers: Vec<Value> = lines.iter_mut().map(answer).collect();
    let reloaded = answers.iter().filter(|a| a["reloaded"] == json!(true)).count();
    assert_eq!(reloaded, 1, "{answers:?}");
    assert!(
        answers.iter().all(|a| a["ok"] == json!(true) && a["version"] == answers[0]["version"]),
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|a| a["summary"].as_str().unwrap().contains("already served")).count(),
        3
    );
    let colourful = ask(&house, b"{\"command\":\"versions\"}\n");
    assert_eq!(colourful["versions"].as_array().unwrap().len(), 1, "{colourful}");
}

#[test]
fn whatever_comes_over_the_socket_is_answered() {
    let house = open();
    let refused = |bytes: &[u8]| {
        let told = ask(&house, bytes);
        assert_eq!(told["answer"], json!("error"), "{told}");
        told["error"].as_str().unwrap().to_owned()
    };
    for rubbish in [
        &b"\n"[..],
        b"reload\n",
        b"\xff\xfe\x00\n",
        b"{\"command\":\"reboot\"}\n",
        b"{\"command\":\"versions\",\"of\":\"all\"}\n",
        b"[[[[[[[[\n",
    ] {
        assert!(refused(rubbish).starts_with("not a request: "), "{rubbish:?}");
    }
    assert!(refused(&[b'['; 4000]).starts_with("no request within"), "a line that does not end");
    let mut long = vec![b'x'; 3 << 20];
    long.push(b'\n');
    assert_eq!(refused(&long), "a request has at most 4096 bytes");
    let padded = format!("{{\"command\":\"versions\"}}{}\n", " ".repeat(4096));
    assert_eq!(refused(padded.as_bytes()), "a request has at most 4096 bytes");
    // Who says nothing and who leaves in the middle hold nobody up for long.
    let silent: Vec<UnixStream> = (0..8).map(|_| connect(&house)).collect();
    assert!(refused(b"").contains("commands under way"), "a ninth connection");
    drop(silent);
    wait_for("a free place", PATIENCE, || {
        let told = ask(&house, b"{\"command\":\"versions\"}\n");
        (told["answer"] == json!("versions")).then_some(())
    });
    Phone::of(&house, OWN).hear("confirm-number").hang_up();
}

#[test]
fn the_socket_is_its_owners_and_goes_with_the_daemon() {
    let mut house = open();
    let socket = house.path("keytone.sock");
    let about = || fs::symlink_metadata(&socket);
    assert!(about().unwrap().file_type().is_socket());
    assert_eq!(about().unwrap().permissions().mode() & 0o777, 0o600);
    let (status, _, told) = house.try_run(&["serve"]);
    assert!(!status.success() && told.contains("another keytone listens there"), "{told}");
    assert_eq!(versions(&house).len(), 1, "the first daemon is not disturbed");
    house.stop();
    assert_eq!(about().unwrap_err().kind(), ErrorKind::NotFound);
    let (status, _, told) = house.try_run(&["reload"]);
    assert!(!status.success() && told.contains("is `keytone serve` running"), "{told}");

    // One that a killed daemon has left is taken over; something else is not.
    house.start();
    house.signal("KILL");
    house.wait_end();
    assert!(about().unwrap().file_type().is_socket());
    let (_, _, told) = house.try_run(&["dialplan", "versions"]);
    assert!(told.contains("is `keytone serve` running"), "{told}");
    house.start();
    assert_eq!(versions(&house).len(), 1);
    house.stop();
    fs::write(&socket, "a letter").unwrap();
    let (status, _, told) = house.try_run(&["serve"]);
    assert!(!status.success() && told.contains("is not a socket"), "{told}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "a letter");
    let left: Vec<String> = fs::read_dir(house.folder())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".keytone-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn flows_in_the_binary_have_no_folder_to_reload() {
    let house = Plan::with(OWN, PIN).open();
    let version = serving(&house);
    let (status, told, _) = house.try_run(&["reload"]);
    assert_eq!(status.code(), Some(1));
    assert!(told.contains("there is no folder to reload") && told.contains(&version), "{told}");
    // Folders that the configuration has got since are served, although the flows in them are the same.
    copy(&root().join("dialplans"), &house.path("dialplans"));
    edit(&house, "keytone.toml", "[node]\n", "[node]\ndialplans = \"dialplans\"\n");
    assert_eq!(reload(&house), format!("version {version} is already served"));
    second_version(&house);
    assert!(reload(&house).starts_with(&format!("reloaded: version {version} -> ")));
    Phone::of(&house, OWN).hear("still-processing").hear("confirm-number").hang_up();
}

#[test]
fn a_draft_is_for_testers_and_moves_no_money() {
    let other = "+8613800000002";
    let house = furnish(Plan::with(OWN, PIN).customer(other, "517362", "5000", None));
    let flow = fs::read_to_string(house.path(FLOW)).unwrap();
    let draft = with_branch(&flow, "on bound(account)", "tell @still-processing -> confirm-number");
    let draft = draft.replace("flow recharge 1", "flow trial 1 draft");
    fs::write(house.path("dialplans/trial.flow"), draft).unwrap();
    edit(&house, "keytone.toml", "[rtp]", &format!("[dialplan]\ntesters = [{OWN:?}]\n\n[rtp]"));
    let mut house = house;
    house.start();
    let tester = Phone::of(&house, OWN).hear("still-processing").hear("confirm-number").press("1");
    let tester = tester.amount("50#").press(&format!("{PIN}#")).they_end();
    tester.assert_said("suspension.other");
    tester.assert_not_said("recharged");
    house.assert_paid(&[]);
    Phone::of(&house, other).recharge_own("517362").they_end().assert_not_said("still-processing");
    house.assert_paid(&[("delivered", other, "50.00")]);
    // Who only says that he is a tester, over a trunk or in a way that is not believed, is none.
    let hidden = Phone::of(&house, OWN).header("Privacy: id").hear("stranger.number").hang_up();
    hidden.assert_not_said("still-processing");
    // A tester no more.
    edit(&house, "keytone.toml", &format!("testers = [{OWN:?}]"), "testers = []");
    assert!(reload(&house).starts_with("reloaded: "));
    Phone::of(&house, OWN).hear("confirm-number").hang_up().assert_not_said("still-processing");
}

#[test]
fn a_tester_of_the_test_book_pays_in_a_draft_with_test_money() {
    let tester = "+8613800000003";
    let house = furnish(Plan::with(OWN, PIN));
    let flow = fs::read_to_string(house.path(FLOW)).unwrap();
    let draft = with_branch(&flow, "on bound(account)", "tell @still-processing -> confirm-number");
    let draft = draft.replace("flow recharge 1", "flow trial 1 draft");
    fs::write(house.path("dialplans/trial.flow"), draft).unwrap();
    let connector = fs::read_to_string(house.path("sandbox.toml")).unwrap();
    fs::write(house.path("trial.toml"), connector.replace("id = \"sandbox\"", "id = \"trial\"")).unwrap();
    edit(&house, "keytone.toml", "[\"sandbox.toml\"]", "[\"sandbox.toml\", \"trial.toml\"]");
    let tables = format!("[dialplan]\ntesters = [{tester:?}]\n\n[test]\nconnector = \"trial\"\n\n[rtp]");
    edit(&house, "keytone.toml", "[rtp]", &tables);
    fs::write(house.path("pin"), PIN).unwrap();
    house.run(&["account", "open", "--test", "--msisdn", tester, "--pin-file", "pin"]);
    house.run(&["account", "credit", tester, "80"]);
    let mut house = house;
    house.start();
    let call = Phone::of(&house, tester).hear("still-processing").hear("confirm-number").press("1");
    call.amount("50#").press(&format!("{PIN}#")).they_end().assert_not_said("suspension.other");
    house.assert_paid(&[("delivered", tester, "50.00")]);
    let account = house.account(tester);
    assert_eq!((&account["balance"], &account["test"]), (&"30.00".into(), &true.into()));
    assert_eq!(house.account(OWN)["balance"], "5000.00");
    let totals = house.run(&["ledger", "balances"]);
    let line = |kind: &str| totals.lines().find(|line| line.starts_with(kind)).unwrap().to_owned();
    assert!(line("test customers").contains(" 30.00 "), "{totals}");
    assert!(line("carrier float").contains(" 0.00 "), "{totals}");
    house.verify();
}

#[test]
fn a_flow_with_an_action_that_nothing_performs_is_checked_but_not_served() {
    let mut house = open();
    let before = serving(&house);
    let bills = "flow bills 1\n  serve voice 777\n  tries 3 then bye\n\nstep list\n  do bill.list\n  on ok(bills) -> bye\n  on none -> bye\n\n\
                 step bye\n  tell @goodbye\n  -> end\n";
    fs::write(house.path("dialplans/bills.flow"), bills).unwrap();
    let checked = house.run(&["check", "dialplans", "--prompts", "prompts"]);
    assert!(checked.contains("F015"), "{checked}");
    let (status, told, _) = house.try_run(&["reload"]);
    assert_eq!(status.code(), Some(1));
    assert!(
        told.contains("F015") && told.ends_with(&format!("not reloaded: 1 fault; version {before} stays\n")),
        "{told}"
    );
    house.stop();
    let (status, _, told) = house.try_run(&["serve"]);
    assert!(!status.success() && told.contains("F015"), "{told}");
    fs::remove_file(house.path("dialplans/bills.flow")).unwrap();
    house.start();
}
