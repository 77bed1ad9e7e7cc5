//! The safety of money is found by following values through the graph, whatever steps and variables are called.

use keytone::dialplan::catalog::{SourceFile, Sources, compile};
use keytone::dialplan::diagnostic::Code;

use super::{golden, read, settings, source};

/// A flow that asks, quotes and pays; `pay` is what happens from the quote on.
fn flow(pay: &str) -> String {
    format!(
        "flow bad 1\n  keys 0 main\n  start with repeat = no\n\
         step first\n  ask @number for phone: phone\n  ask @amount for amount: money, 1..4 digits\n  -> quote\n\
         step quote\n  do payment.quote(phone, amount, repeat)\n  on ok(fee, total) -> pin\n{}\n{pay}\n",
        others(&[
            "not_designated",
            "payment_limit",
            "day_limit",
            "user_limit",
            "insufficient",
            "duplicate",
            "still_processing"
        ])
    )
}

/// Outcomes that end.
fn others(names: &[&str]) -> String {
    names.iter().map(|name| format!("  on {name} -> end\n")).collect()
}

/// The outcomes of a payment, except those that are given.
fn outcomes(own: &str) -> String {
    let all = [
        "delivered",
        "pending",
        "wrong_pin",
        "locked",
        "day_limit",
        "user_limit",
        "insufficient",
        "duplicate",
        "still_processing",
        "refused",
        "suspended",
    ];
    let named = |name: &&&str| !own.contains(&format!("on {name}"));
    format!("{own}{}", others(&all.iter().filter(named).copied().collect::<Vec<_>>()))
}

/// The codes that are reported, once each.
fn codes(text: &str) -> Vec<Code> {
    codes_of(&[text])
}

fn codes_of(texts: &[&str]) -> Vec<Code> {
    codes_with(texts, vec![SourceFile::new("en.msg", read(&golden().join("base.en.msg")))])
}

fn codes_with(texts: &[&str], messages: Vec<SourceFile>) -> Vec<Code> {
    let file = |(index, text): (usize, &&str)| SourceFile::new(format!("{index}.flow"), *text);
    let sources = Sources {
        flows: texts.iter().enumerate().map(file).collect(),
        messages,
        numbers: vec![
            source("en/numbers.say", "prompts/en/numbers.say"),
            source("sw/numbers.say", "prompts/sw/numbers.say"),
        ],
        clips: None,
    };
    let mut found: Vec<Code> = match compile(&sources, &settings()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().filter(|fault| fault.is_error()).map(|fault| fault.code).collect(),
    };
    found.dedup();
    found
}

const CONFIRM: &str = "  ask @confirm(phone, amount, fee) for pin: secret\n";
const PAY: &str = "  do recharge.pay(phone, amount, pin, repeat)\n";

#[test]
fn a_payment_of_what_was_heard_is_good() {
    let again = outcomes("  on wrong_pin(chances) -> pin\n  on duplicate(first, fee) -> pin\n");
    assert_eq!(codes(&flow(&format!("step pin\n{CONFIRM}{PAY}{again}"))), []);
    // Under other names, and through copies of what was heard or quoted.
    for pay in [
        "step pin\n  set sum = amount\n  ask @confirm(phone, sum, fee) for pin: secret\n",
        "step pin\n  set sum = amount\n  set cost = fee\n  ask @confirm(phone, sum, cost) for pin: secret\n",
        "step pin\n  set sum = amount\n  ask @confirm(phone, sum, fee) for pin: secret\n  set sum = 5\n",
        "step pin\n  set old = amount\n  ask @confirm(phone, old, fee) for pin: secret\n  set amount = old\n",
        "step pin\n  if amount > 50 -> more\n  -> more\nstep more\n  ask @confirm(phone, amount, fee) for pin: secret\n",
    ] {
        assert_eq!(codes(&flow(&format!("{pay}{PAY}{}", outcomes("")))), [], "{pay}");
    }
    // Paid under a name that got its value before or after the question.
    for pay in [
        "step pin\n  set sum = amount\n  ask @confirm(phone, amount, fee) for pin: secret\n",
        "step pin\n  ask @confirm(phone, amount, fee) for pin: secret\n  set sum = amount\n",
    ] {
        let pay = format!("{pay}  do recharge.pay(phone, sum, pin, repeat)\n{}", outcomes(""));
        assert_eq!(codes(&flow(&pay)), [], "{pay}");
    }
}

#[test]
fn a_payment_of_anything_else_is_not() {
    for pay in [
        // Not heard, or something else that merely has the same type.
        "step pin\n  ask @confirm-number(phone) for pin: secret\n",
        "step pin\n  ask @confirm(phone, total, fee) for pin: secret\n",
        "step pin\n  ask @confirm(phone, amount, total) for pin: secret\n",
        "step pin\n  ask @confirm(phone, fee, amount) for pin: secret\n  set fee = 1\n",
        // Changed between the question and the payment.
        "step pin\n  ask @confirm(phone, amount, fee) for pin: secret\n  set amount = 5\n",
        "step pin\n  ask @confirm(phone, amount, fee) for pin: secret\n  set amount = total\n",
        "step pin\n  set old = amount\n  set amount = total\n  ask @confirm(phone, old, fee) for pin: secret\n",
        // Changed on one of two ways.
        "step pin\n  ask @confirm(phone, amount, fee) for pin: secret\n  if total > 5 -> pay\n  set amount = total\n  -> pay\nstep pay\n",
        // The fee belongs to another amount, though all that is said is what is paid.
        "step pin\n  set amount = total\n  ask @confirm(phone, amount, fee) for pin: secret\n",
        "step pin\n  ask @amount for amount: money\n  ask @confirm(phone, amount, fee) for pin: secret\n",
        "step pin\n  if total > 5 -> say\n  set amount = 5\n  -> say\nstep say\n  ask @confirm(phone, amount, fee) for pin: secret\n",
        // The fee is a copy of something else.
        "step pin\n  set fee = total\n  ask @confirm(phone, amount, fee) for pin: secret\n",
    ] {
        assert_eq!(codes(&flow(&format!("{pay}{PAY}{}", outcomes("")))), [Code::F035], "{pay}");
    }
}

#[test]
fn a_wording_that_leaves_a_value_out_confirms_nothing() {
    let english = read(&golden().join("base.en.msg"));
    let whole = "  Recharge {phone} with {amount}, fee {fee}. Your PIN, please.\n";
    assert!(english.contains(whole));
    let paying = flow(&format!("step pin\n{CONFIRM}{PAY}{}", outcomes("")));
    let reported = |wording: &str, swahili: Option<&str>| {
        let mut messages = vec![SourceFile::new("en.msg", english.replace(whole, wording))];
        messages.extend(swahili.map(|text| SourceFile::new("sw.msg", english.replace(whole, text))));
        codes_with(&[&paying], messages)
    };
    assert_eq!(reported(whole, Some(whole)), []);
    let without_fee = "  Recharge {phone} with {amount}. Your PIN, please.\n";
    assert_eq!(reported(without_fee, None), [Code::F035]);
    // On one of the channels, or in one of the languages.
    let spoken = format!("  voice: {}  text: {}", whole.trim_start(), without_fee.trim_start());
    assert_eq!(reported(&spoken, None), [Code::F035]);
    let written = format!("  voice: {}  text: {}", without_fee.trim_start(), whole.trim_start());
    assert_eq!(reported(&written, None), [Code::F035]);
    assert_eq!(reported(whole, Some(without_fee)), [Code::F035]);
    // One mistake is told once.
    let mistyped = "  Recharge {phone} with {amount}, fee {fe}. Your PIN, please.\n";
    assert_eq!(reported(mistyped, None), [Code::F052]);
}

#[test]
fn each_payment_needs_a_question_of_its_own() {
    // A second payment right after the first; the secret is gone as well.
    let twice = format!(
        "step pin\n{CONFIRM}{PAY}{}step pay\n{PAY}{}",
        outcomes("  on delivered(receipt) -> pay\n"),
        outcomes("")
    );
    assert!(codes(&flow(&twice)).contains(&Code::F035));
    // Round a loop: after a wrong PIN, back to the payment without the question.
    let round = format!(
        "step pin\n{CONFIRM}  -> pay\nstep pay\n{PAY}{}",
        outcomes("  on wrong_pin(chances) -> pay\n")
    );
    assert!(codes(&flow(&round)).contains(&Code::F035));
    // Another question in between, even one that sets nothing of it.
    let between = format!("step pin\n{CONFIRM}  ask @code for code: digits\n{PAY}{}", outcomes(""));
    assert!(codes(&flow(&between)).contains(&Code::F035));
    // Round a loop through the question is good.
    let good = format!(
        "step pin\n{CONFIRM}  -> pay\nstep pay\n{PAY}{}",
        outcomes("  on wrong_pin(chances) -> pin\n")
    );
    assert_eq!(codes(&flow(&good)), []);
}

#[test]
fn nothing_leads_from_an_unknown_payment_to_another() {
    let pay = |pending: &str, more: &str| {
        let own = format!("  on pending(receipt) {pending}\n");
        flow(&format!("step pin\n{CONFIRM}{PAY}{}{more}", outcomes(&own)))
    };
    assert_eq!(codes(&pay("tell @bye -> end", "")), []);
    let wait = "menu wait\n  ask @which\n  1 @yes -> end\n  2 @no -> wait\n";
    for (pending, more) in [
        ("-> pin", ""),
        ("-> first", ""),
        ("-> later", "step later\n  ask @code for code: digits\n  if code = \"1\" -> quote\n  -> end\n"),
        // No arrow leads there, but the key for the start does.
        ("-> wait", wait),
    ] {
        assert_eq!(codes(&pay(pending, more)), [Code::F034], "{pending} {more}");
    }
    let without_key = pay("-> wait", wait).replace("  keys 0 main\n", "");
    assert_eq!(codes(&without_key), [], "without that key");
}

/// A sub-flow that asks for the PIN and pays.
fn sub(question: &str, pay: &str) -> String {
    format!(
        "sub pay 1 (to: phone, sum: money, cost: money)\n  gives done, unknown, wrong\n  start with again = no\n\
         step ask\n  ask @confirm({question}) for pin: secret\n  do recharge.pay({pay}, pin, again)\n{}",
        outcomes("  on delivered(receipt) -> return done\n  on pending(receipt) -> return unknown\n  on wrong_pin(left) -> return wrong\n")
    )
    .replace("  start with again = no\n", "")
    .replace("step ask\n", "step ask\n  set again = no\n")
}

fn calling(call: &str) -> String {
    flow(&format!("step pin\n{call}"))
}

#[test]
fn the_safety_of_money_holds_across_calls() {
    let good = sub("to, sum, cost", "to, sum");
    let call = "  call pay(phone, amount, fee)\n  on done -> end\n  on unknown -> end\n  on wrong -> pin\n";
    assert_eq!(codes_of(&[&calling(call), &good]), []);
    // Twice, at two places: each call has its own question.
    let twice = calling(
        "  call pay(phone, amount, fee)\n  on done -> more\n  on unknown -> end\n  on wrong -> pin\n\
                         step more\n  call pay(phone, amount, fee)\n  on done -> end\n  on unknown -> end\n  on wrong -> end\n",
    );
    assert_eq!(codes_of(&[&twice, &good]), []);
    for (call, sub) in [
        // The sub-flow says something else than it pays.
        (call, sub("to, cost, cost", "to, sum")),
        (call, sub("to, sum, sum", "to, sum")),
        // It is given another fee, or the fee of another amount.
        (
            "  call pay(phone, amount, total)\n  on done -> end\n  on unknown -> end\n  on wrong -> end\n",
            good.clone(),
        ),
        (
            "  call pay(phone, total, fee)\n  on done -> end\n  on unknown -> end\n  on wrong -> end\n",
            good.clone(),
        ),
        (
            "  set amount = total\n  call pay(phone, amount, fee)\n  on done -> end\n  on unknown -> end\n  on wrong -> end\n",
            good.clone(),
        ),
    ] {
        assert_eq!(codes_of(&[&calling(call), &sub]), [Code::F035], "{call}\n{sub}");
    }
    for call in [
        // The unknown payment goes round, by an arrow or by calling again.
        "  call pay(phone, amount, fee)\n  on done -> end\n  on unknown -> pin\n  on wrong -> end\n",
        "  call pay(phone, amount, fee)\n  on done -> end\n  on unknown -> later\n  on wrong -> end\nstep later\n  ask @code for code: digits\n  if code = \"1\" -> first\n  -> end\n",
    ] {
        assert_eq!(codes_of(&[&calling(call), &good]), [Code::F034], "{call}");
    }
}
