//! The rule language by small rule sets, and what a file may get wrong. Whole languages are tested against an oracle in
//! `tests/dialplan/numbers.rs`.

use crate::dialplan::diagnostic::{Code, Diagnostic};
use crate::dialplan::numbers::{Agreement, Numbers, PAUSE_GROUP, PAUSE_JOINT, Plural};
use crate::dialplan::speak::Sound;
use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;

fn read(text: &str) -> (Numbers, Vec<Diagnostic>) {
    Numbers::parse("en", "numbers.say", text)
}

fn english() -> Numbers {
    let (numbers, faults) = read(include_str!("../../../prompts/en/numbers.say"));
    assert_eq!(faults, []);
    numbers
}

/// Digits, and whatever else a test adds.
fn small(more: &str) -> (Numbers, Vec<Diagnostic>) {
    let digits: String = (0..10).map(|n| format!("  {n} d{n}\n")).collect();
    read(&format!("number\n{digits}{more}"))
}

fn good(more: &str) -> Numbers {
    let (numbers, faults) = small(more);
    assert_eq!(faults, []);
    numbers
}

/// The words of sounds; `,` and `|` are pauses.
fn words(numbers: &Numbers, say: impl FnOnce(&Numbers, &mut Vec<Sound>)) -> String {
    let mut out = Vec::new();
    say(numbers, &mut out);
    let words = out.iter().map(|sound| match sound {
        Sound::Clip(id) => id.strip_prefix("en/num/").unwrap(),
        Sound::Pause(PAUSE_GROUP) => "|",
        Sound::Pause(PAUSE_JOINT) => ",",
        Sound::Pause(_) => "…",
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_number_beyond_the_rules_is_said_digit_by_digit() {
    let numbers = good("  10 ten\n  - minus\n");
    assert_eq!(words(&numbers, |n, out| n.number(10, out)), "ten");
    assert_eq!(words(&numbers, |n, out| n.number(23, out)), "d2 d3");
    assert_eq!(words(&numbers, |n, out| n.number(-105, out)), "minus d1 d0 d5");
    let said = words(&numbers, |n, out| n.number(i64::MIN, out));
    assert!(said.starts_with("minus d9 d2 d2 d3"), "{said}");
}

#[test]
fn parts_divide_leave_and_refer() {
    let numbers = good(
        "  10 << ten[ and >>]\n  100 <other< hundred[, >other>| sharp]\n  1100/100 << hundred[ >>]\n\
         number other\n  0 =number=\n  1 uno\n  2 =number=\n",
    );
    for (number, said) in [
        (30, "d3 ten"),
        (34, "d3 ten and d4"),
        (100, "uno hundred sharp"),
        (201, "d2 hundred , uno"),
        (121, "uno hundred , d2 ten and d1"),
        (1_234, "d1 ten and d2 hundred d3 ten and d4"),
    ] {
        assert_eq!(words(&numbers, |n, out| n.number(number, out)), said, "{number}");
    }
}

#[test]
fn a_language_without_a_set_uses_the_plain_one() {
    let numbers = good("number feminine\n  0 =number=\n  1 una\n  2 =number=\n");
    assert_eq!(words(&numbers, |n, out| n.cardinal(1, Agreement::Feminine, out)), "una");
    assert_eq!(words(&numbers, |n, out| n.cardinal(1, Agreement::Masculine, out)), "d1");
    assert_eq!(words(&numbers, |n, out| n.ordinal(1, out)), "d1");
    assert_eq!(numbers.plural(1), Plural::Other);
    assert!(
        !numbers.has_date() && !numbers.has_time() && !numbers.has_duration() && !numbers.has_money("CNY")
    );
    // Nothing is ever silent.
    assert_eq!(words(&numbers, |n, out| n.date(2026, 1, 2, out)), "d2 d0 d2 d6 d1 d2");
    assert_eq!(words(&numbers, |n, out| n.time(7, 5, out)), "d7 d5");
    assert_eq!(words(&numbers, |n, out| n.duration(300, out)), "d5");
    let money = Money::new(505, Currency::new("CNY").unwrap());
    assert_eq!(words(&numbers, |n, out| n.money(money, out)), "d5 d0 d5");
    assert_eq!(numbers.show_money(money), "5.05 CNY");
    assert_eq!(
        (numbers.show_date(2026, 1, 2), numbers.show_time(7, 5), numbers.show_duration(300)),
        ("2026-01-02".into(), "07:05".into(), "5 min".into())
    );
}

#[test]
fn rules_that_multiply_are_cut_off() {
    // Every step doubles the words: without a limit this would not end.
    let numbers = good("  10 << << << << >>\n");
    let said = words(&numbers, |n, out| n.number(i64::MAX, out));
    assert_eq!(said.split(' ').count(), 19, "{said}");
}

#[test]
fn amounts_are_shown_in_figures() {
    let cny = Currency::new("CNY").unwrap();
    for (minor, shown) in
        [(5_000, "50 CNY"), (100, "1 CNY"), (50, "0.50 CNY"), (4_750, "47.50 CNY"), (-250, "-2.50 CNY")]
    {
        assert_eq!(english().show_money(Money::new(minor, cny)), shown);
    }
    assert_eq!(english().show_money(Money::new(700, Currency::new("CHF").unwrap())), "7 CHF");
}

#[test]
fn telephone_numbers_in_groups() {
    let numbers = english();
    let phone = |text: &str| Msisdn::parse(text).unwrap();
    let own = phone("+8613800000012");
    let said = words(&numbers, |n, out| n.phone(&own, "86", out));
    assert_eq!(said, "one three eight | zero zero zero zero | zero zero one two");
    assert_eq!(numbers.show_phone(&own, "86"), "138 0000 0012");
    assert_eq!(numbers.show_phone(&phone("+254712345678"), "86"), "+254712345678");
    assert_eq!(words(&numbers, |n, out| n.digits("204813", out)), "two zero four | eight one three");
    assert_eq!(words(&numbers, |n, out| n.digits("", out)), "");
}

#[test]
fn spans_of_time_are_rounded_to_what_people_say() {
    for (seconds, shown) in [
        (0, "0 min"),
        (1, "1 min"),
        (89, "1 min"),
        (90, "2 min"),
        (3_599, "1 h"),
        (3_661, "61 min"),
        (7_199, "2 h"),
        (84_600, "1 day"),
        (90_000, "25 h"),
        (172_800, "2 days"),
        (u64::MAX, "213503982334601 days"),
    ] {
        assert_eq!(english().show_duration(seconds), shown, "{seconds}");
    }
}

#[test]
fn keys_and_lists() {
    let numbers = english();
    assert_eq!(numbers.key('*').as_deref(), Some("en/num/star"));
    assert_eq!(numbers.key('2').as_deref(), Some("en/num/two"));
    assert_eq!(numbers.key('?'), None);
    assert_eq!(numbers.show_between(true), " or ");
    assert_eq!(words(&numbers, |n, out| n.between(true, out)), "or");
    assert_eq!(words(&numbers, |n, out| n.between(false, out)), "…");
}

#[test]
fn faulty_lines_are_reported_where_they_are() {
    let text = "number\n  x one\n  5 <<\nstrange\nmoney CNY\n  many <<\nphone 86: a\nlist\n  first or\n";
    let (_, faults) = read(text);
    let lines: Vec<usize> =
        faults.iter().map(|f| text[..f.labels[0].start].matches('\n').count() + 1).collect();
    assert_eq!(lines, [2, 3, 4, 6, 7, 9], "{faults:?}");
    let (_, faults) = read("number\n  0 zero\n");
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].message, "the digit 1 has no word");
}

#[test]
fn every_kind_of_fault_has_a_report() {
    for (text, code, says) in [
        ("  10 <tem<\nnumber tens\n  1 a\n", Code::F063, "no set of rules `tem`"),
        ("number a\n  1 =b=\nnumber b\n  1 =a=\n", Code::F063, "comes back to itself"),
        ("number a\n  1 >>\n", Code::F001, "below 10"),
        ("number a\n  20/1 x\n  20/40 y\n", Code::F001, "divisor"),
        ("number a\n  20/0 x\n", Code::F001, "divisor"),
        ("  5 five\n", Code::F003, "the number 5"),
        ("  20 vingt-é\n", Code::F063, "`vingt-é` needs a clip's name"),
        ("words\n  a\n", Code::F001, "words with their clips"),
        ("words\n  a=x b=x\n  c=\"d\"\nnumber q\n  1 a\n  2 b\n", Code::F003, "both `a` and `b`"),
        ("money CNY\n  one {n} yuan\n", Code::F063, "no line `other`"),
        ("money CNY\n  other {n} yuan\n", Code::F063, "no line `minor`"),
        ("money CNY\n  other {x} yuan\n", Code::F001, "`{n}`"),
        ("money CNY\n  other {n} a\n  minor {n} b\nmoney CNY\n", Code::F003, "`money CNY` already"),
        ("money other\n  other {code} {n}\n  minor {n} x\n", Code::F063, "not all of A to Z"),
        ("money yuan\n", Code::F001, "three letters"),
        ("date\n  say {day} {month}\nmonths\n  1 jan\n", Code::F063, "the month 2 has no name"),
        ("months\n  13 jan\n", Code::F001, "1 to 12"),
        ("time\n  clock 13\n", Code::F001, "`clock`"),
        ("time\n  part 24 night\n", Code::F001, "0 to 23"),
        ("duration week\n", Code::F001, "`minute`"),
        ("plural\n  many 1\n", Code::F001, "multiples"),
        ("list\n  show-last or\n", Code::F001, "quotes"),
        ("letters\n  a a\n", Code::F001, "capital"),
        ("decimal\n", Code::F001, "decimal ,"),
        ("number A\n", Code::F001, "feminine"),
    ] {
        let (_, faults) = small(text);
        let found = faults.iter().any(|fault| fault.code == code && fault.message.contains(says));
        assert!(found, "{text:?}: {faults:#?}");
        let whole = faults.iter().filter(|fault| fault.message.contains("the digit")).count();
        assert_eq!(whole, 0, "{faults:#?}");
    }
    let sets: String = (0..70).map(|n| format!("number s{n}\n  0 a\n")).collect();
    assert!(small(&sets).1.iter().any(|fault| fault.message.contains("fewer sets")));
}

#[test]
fn a_misspelt_set_gets_a_suggestion() {
    let (_, faults) = small("number feminine\n  1 una\nduration hour\n  other {n:femenine} horas\n");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].hint.as_deref(), Some("did you mean `feminine`?"));
}
