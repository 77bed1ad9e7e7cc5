//! PINs leave no trace: after calls with PINs that nothing else can look like, at the most talkative log level, no byte of
//! any file or output holds one of them, in any of the forms that a careless program would leave.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::daemon::{House, Plan};
use crate::support::keytone;
use crate::support::sipp::{Keys, Phone};

const FIRST: &str = "+8613800000001";
const SECOND: &str = "+8613900000002";
/// The right PINs of the two, and wrong ones that were tried.
const PINS: [&str; 4] = ["86420753", "97531864", "75319086", "64208975"];

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The digits of a text with what stands between close neighbours left out: `8, 6, 4` and `8-6-4` become `864`.
fn digits_drawn_together(text: &str) -> String {
    let mut out = String::new();
    let mut gap = 0;
    for c in text.chars() {
        if c.is_ascii_digit() {
            if gap > 3 {
                out.push(' ');
            }
            gap = 0;
            out.push(c);
        } else if c.is_alphanumeric() {
            gap = 4;
        } else {
            gap += 1;
        }
    }
    out
}

/// The single digits that follow a word for a key, over all lines: a log of one key a line.
fn keys_line_by_line(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.to_ascii_lowercase();
        for word in ["key", "digit", "signal", "event", "dtmf", "pressed"] {
            let Some((_, rest)) = line.split_once(word) else { continue };
            let digits: Vec<&str> =
                rest.split(|c: char| !c.is_ascii_alphanumeric()).filter(|token| token.len() == 1).collect();
            if let Some(digit) = digits.first().filter(|d| d.chars().all(|c| c.is_ascii_digit())) {
                out.push_str(digit);
                break;
            }
        }
    }
    out
}

/// In which form the PIN stands in these bytes, if it does.
fn trace_of(pin: &str, bytes: &[u8]) -> Option<&'static str> {
    let backwards: String = pin.chars().rev().collect();
    let wide = |little: bool| -> Vec<u8> {
        pin.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
    };
    let values: Vec<u8> = pin.bytes().map(|b| b - b'0').collect();
    let text = String::from_utf8_lossy(bytes);
    if contains(bytes, pin.as_bytes()) {
        Some("as it is")
    } else if contains(bytes, backwards.as_bytes()) {
        Some("backwards")
    } else if contains(bytes, &wide(true)) || contains(bytes, &wide(false)) {
        Some("in UTF-16")
    } else if contains(bytes, &values) {
        Some("as values of bytes")
    } else if text.lines().any(|line| digits_drawn_together(line).contains(pin)) {
        Some("with something between its digits")
    } else if keys_line_by_line(&text).contains(pin) {
        Some("one key a line")
    } else {
        None
    }
}

fn assert_no_trace(pins: &[&str], files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        for (n, pin) in pins.iter().enumerate() {
            let form = trace_of(pin, bytes);
            assert!(form.is_none(), "PIN {n} stands in {name} {}", form.unwrap_or_default());
        }
    }
}

fn calls(house: &House) {
    let [first, second, wrong, other] = PINS;
    let begin =
        |msisdn, keys| Phone::of(house, msisdn).keys(keys).hear("confirm-number").press("1").amount("50#");
    let info = begin(FIRST, Keys::Info).press(&format!("{wrong}#")).hear("wrong-pin").hear("enter-pin");
    info.press(&format!("{first}#")).hear("recharged").hang_up();
    let events = Phone::with_events(house, SECOND).hear("confirm-number").press("1").amount("100#");
    let events = events.press(&format!("{other}#")).hear("wrong-pin").hear("enter-pin");
    events.press(&format!("{second}#")).hear("recharged").hang_up();
    // Gone in the middle of the PIN.
    let gone = Phone::of(house, FIRST).hear("confirm-number").press("1").amount("100#");
    gone.press(&first[..7]).hang_up();
}

/// PINs on screens, right and wrong, and where none was asked: as a text, in parts, as a code, after the end.
fn screens_and_texts(house: &House) {
    let [first, second, wrong, other] = PINS;
    let network = house.network();
    network.bound(1);
    network.dial(FIRST, "*125*100#");
    network.reply(FIRST, wrong);
    let done = network.reply(FIRST, first);
    assert!(!done.open && done.text.contains("was recharged"), "{done:?}");
    network.dial(SECOND, "*125#");
    network.reply(SECOND, other);
    network.reply(SECOND, "1");
    network.reply(SECOND, second);
    network.post("/abort", &serde_json::json!({ "msisdn": SECOND }));
    assert_eq!(network.text(SECOND, "12580", second), 0);
    assert_eq!(network.text(SECOND, "12580", "RC 50"), 0);
    assert!(network.pushed(SECOND).open);
    assert_eq!(network.text(SECOND, "12580", second), 0);
    let done = network.reply(SECOND, second);
    assert!(done.text.contains("was recharged"), "{done:?}");
    // Of a long text only the first part comes: it waits for the others where everything is kept.
    let long = format!("{second} {}", "x".repeat(150));
    network.post("/faults", &serde_json::json!({ "disconnect_at": 2 }));
    network.ask(
        "POST",
        "/sms",
        &serde_json::json!({ "from": SECOND, "to": "12580", "text": long, "wait": false }),
    );
    network.bound(1);
}

#[test]
fn no_pin_is_left_in_any_file_or_output_and_no_whole_number_in_the_log() {
    let plan = Plan { filter: "trace".to_owned(), ..Plan::with(FIRST, PINS[0]) };
    let house = plan.customer(SECOND, PINS[1], "5000", None).on_network(&[]).open();
    calls(&house);
    screens_and_texts(&house);
    house.assert_paid(&[
        ("delivered", FIRST, "50.00"),
        ("delivered", SECOND, "100.00"),
        ("delivered", FIRST, "100.00"),
        ("delivered", SECOND, "50.00"),
    ]);
    house.account(FIRST);
    let running = files(house.folder());
    house.stop();
    let stopped = files(house.folder());
    for needed in ["daemon.log", "keytone.db", "carrier.book", "cli.out", "keytone.db-wal"] {
        let found = running.iter().any(|(name, bytes)| name.ends_with(needed) && !bytes.is_empty());
        assert!(found, "no {needed} to look into");
    }
    assert_no_trace(&PINS, &running);
    assert_no_trace(&PINS, &stopped);
    let log = house.log();
    assert!(log.contains("TRACE"), "the log was not at its most talkative");
    for number in [FIRST, SECOND] {
        let line = log.lines().find(|line| line.contains(number.trim_start_matches("+86")));
        assert!(line.is_none(), "a whole number in the log: {}", line.unwrap_or_default());
    }
}

/// The PINs of the demo's customers are known to everyone; its conversation must not show them all the same.
#[test]
fn the_demo_shows_no_pin() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(keytone())
            .args(arguments)
            .current_dir(folder.path())
            .env("KEYTONE_LOG", "trace")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        [("stdout".to_owned(), output.stdout), ("stderr".to_owned(), output.stderr)]
    };
    let told = run(&["demo", "--sip-port", "0", "--http-port", "0"]);
    assert!(contains(&told[0].1, "delivered".as_bytes()));
    assert_no_trace(&["284913"], &told);
}

/// The search finds what it is looking for, in every form.
#[test]
fn a_pin_that_was_left_is_found() {
    let pin = "86420753";
    let wide: Vec<u8> = pin.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let lines: Vec<String> = pin.chars().map(|c| format!("DEBUG session=77 key: '{c}' at 12:30")).collect();
    let lines = lines.join("\n");
    let left: [(&[u8], &str); 6] = [
        (b"pin=86420753;", "as it is"),
        (b"x35702468x", "backwards"),
        (&wide, "in UTF-16"),
        (&[1, 8, 6, 4, 2, 0, 7, 5, 3, 9], "as values of bytes"),
        (b"digits [8, 6, 4, 2, 0, 7, 5, 3]", "with something between its digits"),
        (lines.as_bytes(), "one key a line"),
    ];
    for (bytes, form) in left {
        assert_eq!(trace_of(pin, bytes), Some(form));
    }
    assert_eq!(trace_of(pin, b"8642075 at 2026-08-06 42:07.53"), None);
}
