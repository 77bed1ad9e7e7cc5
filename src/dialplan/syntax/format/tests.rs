//! Laying out changes no word, no comment and no meaning, and is done after once.

use super::*;
use crate::dialplan::syntax::outline;

const FLOW: &str = include_str!("../../../../dialplans/recharge.flow");
const MESSAGES: &str = include_str!("../../../../dialplans/messages/en.msg");
const TESTS: &str = include_str!("../../../../dialplans/recharge.flowtest");

/// A tree without the places of its parts.
fn meaning(text: &str) -> String {
    let (flow, faults) = outline::parse("a.flow", text);
    let tree = format!("{flow:?} {}", faults.len());
    let mut out = String::new();
    let mut rest = tree.as_str();
    while let Some(at) = rest.find("Span {") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = after.find('}').map_or("", |end| &after[end + 1..]);
    }
    out + rest
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| Some(line[line.find("--")?..].trim())).collect()
}

/// The same text with other spaces between its words and other empty lines.
fn mangled(text: &str, seed: u64) -> String {
    let mut dice = seed;
    let mut below = |n: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((dice >> 33) % n).unwrap()
    };
    let mut out = String::new();
    for line in text.lines() {
        let (indent, line) = line.split_at(line.len() - line.trim_start().len());
        out.push_str(if indent.is_empty() || line.starts_with("--") {
            indent
        } else {
            ["  ", "\t", "      "][below(3)]
        });
        let mut quoted = false;
        let mut comment = false;
        for (at, c) in line.char_indices() {
            quoted ^= c == '"';
            comment |= line[at..].starts_with("--");
            out.push(c);
            if c == ' ' && !quoted && !comment && below(2) == 0 {
                out.push_str(&" ".repeat(1 + below(3)));
            }
        }
        out.push_str(["", "", " ", "\t"][below(4)]);
        out.push('\n');
        if line.is_empty() {
            out.push_str(&"\n".repeat(below(3)));
        }
    }
    out
}

#[test]
fn the_shipped_files_are_laid_out() {
    for (text, once) in [(FLOW, flow(FLOW)), (MESSAGES, messages(MESSAGES)), (TESTS, transcripts(TESTS))] {
        assert_eq!(once.left, Vec::<usize>::new());
        for (line, (was, is)) in (1..).zip(text.lines().zip(once.text.lines())) {
            assert_eq!(was, is, "line {line}");
        }
        assert_eq!(once.text, text);
    }
}

#[test]
fn spaces_are_the_only_thing_that_changes() {
    for seed in 0..60 {
        let bad = mangled(FLOW, seed);
        let good = flow(&bad);
        assert_eq!(good.left, Vec::<usize>::new(), "seed {seed}");
        assert_eq!(meaning(&good.text), meaning(&bad), "seed {seed}");
        assert_eq!(comments(&good.text), comments(&bad), "seed {seed}");
        assert_eq!(good.text, FLOW, "seed {seed}");
        assert_eq!(flow(&good.text).text, good.text, "seed {seed}");
    }
}

#[test]
fn a_line_with_a_fault_stays_as_it_is_and_is_told() {
    let text = "flow  a 1\nstep  one\n   tell   goodbye   now\n  ask @x(a,b)for c:money,1..4 digits,quiet\n -> end\n";
    let once = flow(text);
    assert_eq!(once.left, [3]);
    let want = "flow a 1\n\nstep one\n   tell   goodbye   now\n  ask @x(a, b) for c: money, 1..4 digits, quiet\n  -> end\n";
    assert_eq!(once.text, want);
    assert_eq!(flow(want).text, want);
}

#[test]
fn any_text_is_laid_out_only_once() {
    let pieces = [
        "step a",
        "  on ok -> b",
        "on x(y)   tell @z -> end",
        "-- note",
        "",
        "   -- note",
        "? ?",
        "1 @a->b",
        "  -> end -- x",
    ];
    for seed in 0..4_000_u64 {
        let mut dice = seed;
        let mut text = String::new();
        for _ in 0..8 {
            text.push_str(pieces[usize::try_from(dice % 9).unwrap()]);
            text.push('\n');
            dice = dice / 9 + dice.wrapping_mul(0x9e37_79b9) % 1_000;
        }
        for lay in [flow, messages, transcripts] {
            let once = lay(&text).text;
            assert_eq!(lay(&once).text, once, "{text}");
            assert_eq!(comments(&once), comments(&text), "{text}");
        }
    }
}

#[test]
fn branches_and_turns_stand_under_each_other() {
    let text = "step a\n  on ok(x) -> b\n  on not_supported tell @c -> end\n\n\n\n  1 @one -> a\n";
    let want = "step a\n  on ok(x)          -> b\n  on not_supported  tell @c -> end\n\n  1 @one -> a\n";
    assert_eq!(flow(text).text, want);
    let text = "test \"t\" on voice\n< @a\n> 13800000002 < @b\n> 1\n< @c\n";
    let want = "test \"t\" on voice\n  < @a\n  > 13800000002 < @b\n  > 1\n                < @c\n";
    assert_eq!(transcripts(text).text, want);
    assert_eq!(
        messages("key( a:money ,b : phone list )\n    voice:   One {a}.\n").text,
        "key(a: money, b: phone list)\n  voice: One {a}.\n"
    );
}

#[test]
fn ussd_codes_times_and_conditions_keep_their_shape() {
    for line in [
        "  serve ussd *125*{amount}#",
        "  serve sms \"RC {amount} [{phone}]\"",
        "  keys * back, 0 main",
        "  must amount in amounts else @bad(amounts)",
        "  if not (a = b) and c < least d -> end",
        "  param help: phone = +8613800000001",
        "  open mon-fri 08:00-18:00, sat 09:00-12:00 else closed",
    ] {
        let text = format!("flow f 1\n{line}\n");
        assert_eq!(flow(&text), Formatted { text: text.clone(), left: vec![] });
    }
}
