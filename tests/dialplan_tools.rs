//! The tools of those who write flows, run as they run them: graph, test, fmt, diff, talk --record, and the editors'
//! grammars.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::copy;

fn keytone(arguments: &[&str], folder: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keytone"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("KEYTONE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(arguments: &[&str], folder: &Path) -> String {
    let output = keytone(arguments, folder, "");
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit status and everything printed.
fn refused(arguments: &[&str], folder: &Path) -> (i32, String) {
    let output = keytone(arguments, folder, "");
    (output.status.code().unwrap(), told(&output))
}

/// A folder with the shipped recharge flow, its transcripts and the English messages.
fn flows() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("messages")).unwrap();
    for file in ["recharge.flow", "recharge.flowtest", "stranger.flow", "vouch.flow", "messages/en.msg"] {
        fs::copy(Path::new("dialplans").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
}

fn step_names(flow: &str) -> Vec<String> {
    let lines =
        flow.lines().filter_map(|line| line.strip_prefix("step ").or_else(|| line.strip_prefix("menu ")));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Every tag is closed in order, every attribute is quoted, every `&` begins an entity.
fn assert_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(!text.contains('>'), "{text}");
        for (index, _) in text.match_indices('&') {
            let entity = &text[index..text.len().min(index + 7)];
            assert!(
                ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].iter().any(|e| entity.starts_with(e)),
                "{text}"
            );
        }
        let end = rest[at..].find('>').expect("a tag is not closed") + at;
        let tag = &rest[at + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
}

#[test]
fn a_flow_is_drawn_in_three_forms() {
    let folder = flows();
    let at = folder.path();
    let names = step_names(&fs::read_to_string(at.join("recharge.flow")).unwrap());
    edit(at, "messages/en.msg", "The two numbers are not the same.", "Not <the> \"same\" & so 'on'.");
    let svg = done(&["graph", "recharge", "--dialplans", "."], at);
    assert_well_formed(&svg);
    assert!(svg.starts_with("<svg ") && svg.contains("prefers-color-scheme:dark"));
    for name in &names {
        assert!(svg.contains(&format!(">{name}</text>")), "{name} is not in the picture");
    }
    for mark in
        ["class=\"card money\"", "class=\"unknown-mark\"", "card over gives-up", "call 12584", "moves money"]
    {
        assert!(svg.contains(mark), "{mark}");
    }
    assert_eq!(svg, done(&["graph", "recharge.flow"], at), "the same flow gives the same picture");
    let mermaid = done(&["graph", "recharge.flow", "--format", "mermaid"], at);
    assert!(mermaid.contains("\nflowchart LR\n"), "{mermaid}");
    done(&["graph", "recharge.flow", "-o", "r.dot"], at);
    let dot = fs::read_to_string(at.join("r.dot")).unwrap();
    assert!(dot.starts_with("digraph \"recharge\" {"), "{dot}");
    for name in &names {
        assert!(mermaid.contains(&format!("<b>{name}</b>")) && dot.contains(&format!("\"{name}")), "{name}");
    }
}

const SHOP: &str = "\
flow shop 1
  serve voice 12600
  open daily 08:00-18:00 else bye
  tries 3 then bye
  visits 5 then bye

step begin
  call number
  on given(phone)  -> say
  on gave-up       -> bye

step say
  tell @chosen(phone)
  -> end

step bye
  tell @bye
  -> end

on hangup
  mark gone
  -> end
";

const NUMBER: &str = "\
sub number 1
  gives given(phone: phone), gave-up
  tries 2 then too-often

step first
  ask @which for wanted: phone
  -> return given(wanted)

step too-often
  tell @too-often
  -> return gave-up
";

#[test]
fn the_steps_of_a_sub_flow_stand_in_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("messages")).unwrap();
    fs::write(at.join("shop.flow"), SHOP).unwrap();
    fs::write(at.join("number.flow"), NUMBER).unwrap();
    let messages =
        "chosen(phone: phone)\n  {phone}.\n\nbye\n  Bye.\n\nwhich\n  Which?\n\ntoo-often\n  Too often.\n";
    fs::write(at.join("messages/en.msg"), messages).unwrap();
    assert_eq!(done(&["fmt", ".", "--check"], at), "", "the new lines are laid out too");
    let svg = done(&["graph", "shop.flow"], at);
    assert_well_formed(&svg);
    assert_eq!(svg.matches("class=\"frame\"").count(), 1, "one for the call");
    for name in step_names(SHOP).iter().chain(&step_names(NUMBER)) {
        assert!(svg.contains(&format!(">{name}</text>")), "{name} is not in the picture");
    }
    for entry in
        ["outside the hours", "the caller goes", "2 wrong answers in a step", "more than 5 entries of a step"]
    {
        assert!(svg.contains(entry), "{entry}");
    }
    let mermaid = done(&["graph", "shop.flow", "--format", "mermaid"], at);
    assert!(mermaid.contains("  subgraph fbegin[\"begin\"]\n") && mermaid.contains("\n  end\n"), "{mermaid}");
    let (_, text) = refused(&["graph", "number.flow"], at);
    assert!(text.contains("sub-flow"), "{text}");
    let other = tempfile::tempdir().unwrap();
    copy(at, other.path());
    edit(other.path(), "number.flow", "tries 2 then too-often", "tries 3 then too-often");
    edit(other.path(), "shop.flow", "08:00-18:00", "08:00-20:00");
    let (_, text) = refused(&["diff", at.to_str().unwrap(), other.path().to_str().unwrap()], at);
    assert!(
        text.contains("limit open: daily 08:00-18:00 else bye  =>  daily 08:00-20:00 else bye"),
        "{text}"
    );
    assert!(
        text.contains("limit tries of begin: 2 then begin/too-often  =>  3 then begin/too-often"),
        "{text}"
    );
}

#[test]
fn a_flow_that_is_not_there_or_has_faults_is_not_drawn() {
    let folder = flows();
    let at = folder.path();
    let (code, text) = refused(&["graph", "rechrge", "--dialplans", "."], at);
    assert!(code == 1 && text.contains("there are: recharge"), "{text}");
    edit(at, "recharge.flow", "-> route\n\nstep route", "-> rout\n\nstep route");
    let (code, text) = refused(&["graph", "recharge.flow"], at);
    assert!(code == 1 && text.contains("F010") && text.contains("keytone check"), "{text}");
}

#[test]
fn the_shipped_transcripts_hold_and_come_by_everything() {
    let folder = tempfile::tempdir().unwrap();
    let text = done(&["test", "--coverage"], folder.path());
    assert!(text.trim_end().ends_with(" passed, 0 failed"), "{text}");
    let recharge = text.split("\nrecharge ").nth(1).unwrap();
    assert!(!recharge.contains("F110"), "{text}");
}

#[test]
fn a_transcript_that_does_not_hold_is_shown_as_a_difference() {
    let folder = flows();
    let at = folder.path();
    edit(
        at,
        "recharge.flowtest",
        "> 70            < @bad-amount; @enter-amount",
        "> 70            < @enter-pin; at pin",
    );
    let (code, text) = refused(&["test", ".", "--filter", "not a designated amount"], at);
    assert_eq!(code, 1, "{text}");
    for line in [
        "< @enter-pin",
        "< at pin",
        "< @bad-amount  -- Input error",
        "expected @enter-pin",
        "0 passed, 2 failed",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.lines().any(|l| l.trim_start().starts_with("- ") && l.contains("@enter-pin")), "{text}");
    assert!(text.lines().any(|l| l.trim_start().starts_with("+ ") && l.contains("@bad-amount")), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours off a terminal");
    let (_, lines) =
        refused(&["test", "recharge.flowtest", "--json", "--filter", "not a designated amount"], at);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["passed"], false);
    assert_eq!(lines[0]["failure"]["reason"], "expected @enter-pin");
    assert_eq!(lines.last().unwrap()["failed"], 2);
}

#[test]
fn update_writes_only_what_did_not_hold() {
    let folder = flows();
    let at = folder.path();
    let before = fs::read_to_string(at.join("recharge.flowtest")).unwrap();
    edit(
        at,
        "recharge.flowtest",
        "> 70            < @bad-amount; @enter-amount",
        "> 70            < @no-money  -- seventy",
    );
    let by_command = "\"138 0000 0001\"; \"50 CNY\"\n  > secret        < @recharged; end";
    let wrong = by_command.replace("@recharged;", "@no-money;");
    edit(at, "recharge.flowtest", by_command, &wrong);
    edit(at, "recharge.flowtest", "given recharge.pay -> locked", "given recharge.pay -> locked then locked");
    let (code, text) = refused(&["test", ".", "--update"], at);
    assert!(code == 1 && text.contains("\"the PIN is locked\": cannot be made to hold"), "{text}");
    assert!(text.contains("4 written anew, 2 failed"), "{text}");
    let after = fs::read_to_string(at.join("recharge.flowtest")).unwrap();
    let want = before
        .replacen(
            "> 70            < @bad-amount; @enter-amount",
            "> 70            < @bad-amount; @enter-amount  -- seventy",
            1,
        )
        .replacen(by_command, &by_command.replace("@recharged;", "@recharged; sms @receipt;"), 1)
        .replacen("given recharge.pay -> locked", "given recharge.pay -> locked then locked", 1);
    assert_eq!(after, want);
}

#[test]
fn what_no_test_comes_by_is_told_as_a_hint() {
    let folder = flows();
    let at = folder.path();
    fs::write(
        at.join("recharge.flowtest"),
        "test \"short\" on voice\n  given caller +8613800000001\n  > 1             < @enter-amount\n",
    )
    .unwrap();
    let text = done(&["test", ".", "--coverage"], at);
    assert!(text.contains("F110 no test comes by pin\n"), "{text}");
    assert!(text.contains("F110 no test comes by route: topup.route -> bad_number"), "{text}");
    assert!(text.ends_with("1 passed, 0 failed\n"), "{text}");
}

#[test]
fn files_are_laid_out_once_and_checked() {
    let folder = flows();
    let at = folder.path();
    assert_eq!(done(&["fmt", ".", "--check"], at), "");
    let good = fs::read_to_string(at.join("recharge.flow")).unwrap();
    let bad =
        good.replace("  on locked  ", "\ton   locked ").replace("\n\nstep route", "\n\n\n\nstep  route");
    fs::write(at.join("recharge.flow"), &bad).unwrap();
    let (code, text) = refused(&["fmt", ".", "--check"], at);
    assert!(code == 1 && text.contains("recharge.flow:") && text.contains("would change"), "{text}");
    assert_eq!(fs::read_to_string(at.join("recharge.flow")).unwrap(), bad, "--check changes nothing");
    assert_eq!(done(&["fmt", "recharge.flow"], at), "recharge.flow\n");
    assert_eq!(fs::read_to_string(at.join("recharge.flow")).unwrap(), good);
    assert_eq!(String::from_utf8(keytone(&["fmt"], at, &bad).stdout).unwrap(), good, "as a filter");
    let (code, text) = refused(&["fmt", "nothing.txt"], at);
    assert!(code == 1 && text.contains("*.flow"), "{text}");
    fs::write(at.join("odd.flow"), "flow odd 1\n\nstep a\n  tel @b\n  -> end\n").unwrap();
    assert!(done(&["fmt", "odd.flow"], at).contains("odd.flow:4: not understood"));
}

#[test]
fn versions_are_compared_as_callers_meet_them() {
    let (old, new) = (flows(), flows());
    let (before, after) = (old.path().to_str().unwrap(), new.path().to_str().unwrap());
    let here = Path::new(".");
    edit(new.path(), "recharge.flow", "-- Direct", "-- A direct");
    assert_eq!(done(&["diff", before, after], here), "no difference\n");
    edit(new.path(), "recharge.flow", "tries 3 then", "tries 4 then");
    edit(new.path(), "recharge.flow", "serve voice 12584", "serve voice 12585");
    edit(new.path(), "recharge.flow", "tell @locked -> end", "tell @locked -> goodbye");
    edit(new.path(), "messages/en.msg", "The two numbers are not the same.", "The numbers differ.");
    let text = fs::read_to_string(new.path().join("recharge.flow")).unwrap();
    let text = text.replace("step less  ", "step shrink").replace("-> less", "-> shrink");
    fs::write(new.path().join("recharge.flow"), text).unwrap();
    let (code, text) = refused(&["diff", before, after], here);
    assert_eq!(code, 1, "{text}");
    for line in [
        "way in call 12584 was removed",
        "way in call 12585 was added",
        "limit tries: 3 then goodbye  =>  4 then goodbye",
        "step less is now shrink",
        "pin: locked @locked -> end  =>  locked @locked -> goodbye",
        "message numbers-differ: Input error. The two numbers are not the same.  =>  Input error. The numbers differ.",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), 6, "nothing else: {text}");
    let (_, json) = refused(&["diff", before, after, "--json"], here);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["of"], "recharge");
    edit(new.path(), "recharge.flow", "do topup.route", "do topup.rout");
    assert_eq!(refused(&["diff", before, after], here).0, 2);
}

#[test]
fn a_conversation_is_recorded_as_a_test_that_holds() {
    let folder = flows();
    let at = folder.path();
    let talks: [(&[&str], &str); 3] = [
        (&["talk", "recharge"], "1\n70\n50#\n28#\n284913#\n"),
        (&["talk", "recharge", "--as", "ussd", "--dial", "*125*50#"], "1\n284913\n"),
        (&["talk", "recharge", "--as", "sms", "--dial", "RC 50"], "1\n"),
    ];
    for (arguments, typed) in talks {
        let arguments: Vec<&str> =
            arguments.iter().copied().chain(["--dialplans", ".", "--record", "recharge.flowtest"]).collect();
        let output = keytone(&arguments, at, typed);
        assert!(output.status.success() && told(&output).contains("recorded as"), "{}", told(&output));
    }
    let text = fs::read_to_string(at.join("recharge.flowtest")).unwrap();
    assert!(!text.contains("284913"), "the PIN is in the file");
    assert!(text.contains("test \"recorded 3\" on sms \"RC 50\""), "{text}");
    assert!(text.contains("  > hang up"), "{text}");
    let tested = done(&["test", ".", "--filter", "recorded"], at);
    assert_eq!(tested, "3 passed, 0 failed\n");
    assert_eq!(done(&["fmt", "recharge.flowtest", "--check"], at), "", "it is written as it is laid out");
}

#[test]
fn editors_know_the_words_of_the_language() {
    let folder = Path::new("docs/editor");
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let package: serde_json::Value = serde_json::from_str(&read("package.json")).unwrap();
    for grammar in package["contributes"]["grammars"].as_array().unwrap() {
        let path = grammar["path"].as_str().unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&read(path)).unwrap();
        assert_eq!(parsed["scopeName"], grammar["scopeName"], "{path}");
    }
    serde_json::from_str::<serde_json::Value>(&read("language-configuration.json")).unwrap();
    let grammar = read("syntaxes/flow.tmLanguage.json");
    let knows = |word: &str| {
        grammar.match_indices(word).any(|(at, _)| {
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            let escaped = grammar[..at].ends_with("\\\\s") || grammar[..at].ends_with("\\\\b");
            (escaped || !letter(grammar[..at].chars().last()))
                && !letter(grammar[at + word.len()..].chars().next())
        })
    };
    for entry in fs::read_dir("dialplans").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "flow") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let first = line.split_whitespace().next().unwrap_or("--");
            let word = first.chars().all(|c| c.is_ascii_alphabetic());
            assert!(!word || knows(first), "{}: the grammar does not know `{first}`", path.display());
        }
    }
    assert!(!knows("perform"));
}
