//! `-> flow NAME`: what goes over to the other flow, what begins anew there, and what is refused.

use std::collections::BTreeMap;

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::civil::{Date, Moment, Time};
use keytone::dialplan::diff::{What, diff};
use keytone::dialplan::event::{Answer, Channel, Effect, Event, Start};
use keytone::dialplan::flowtest;
use keytone::dialplan::graph::{Kind, Picture, dot, mermaid, svg};
use keytone::dialplan::program::Program;
use keytone::dialplan::state::State;
use keytone::dialplan::step::step;
use keytone::dialplan::syntax::format;
use keytone::dialplan::value::Value;
use keytone::money::Money;

use super::{Dice, golden, good, read, reports, settings, source};

const MAIN: &str = "flow main 1\n  serve ussd *1#\n  keys * back, 0 main\n  tries 3 then over\n  visits 6 then over\n\
    menu services\n  ask @which\n  1 @yes -> flow pay\n  2 @no -> flow talk\n  3 @bye -> over\n\
    step over\n  tell @bye\n  -> end\n\
    on hangup\n  mark left-main\n";
const PAY: &str = "flow pay 1\n  serve ussd *2#\n  keys * back, 0 main\n  tries 2 then sorry\n  start with times = 1\n\
    step first\n  ask @code for code: digits, 4 digits\n  tell @count(times)\n  set times = times + 1\n  -> more\n\
    menu more\n  ask @which\n  1 @yes -> second\n  2 @no -> flow main\n\
    step second\n  ask @code for other: digits, 4 digits\n  tell @count(times)\n  -> end\n\
    step sorry\n  tell @wrong\n  -> end\n\
    on hangup\n  mark left-pay\n";
const TALK: &str = "flow talk 1\n  open mon-fri 08:00-18:00 else shut\n\
    step hello\n  tell @hello\n  ask @code for code: digits\n  if code = 1 -> shut\n  -> flow pay\n\
    step shut\n  tell @bye\n  -> end\n";

fn sources(flows: &[(&str, &str)]) -> Sources {
    Sources {
        flows: flows.iter().map(|(name, text)| SourceFile::new(format!("{name}.flow"), *text)).collect(),
        messages: vec![SourceFile::new("en.msg", read(&golden().join("base.en.msg")))],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    }
}

fn three() -> Sources {
    sources(&[("main", MAIN), ("pay", PAY), ("talk", TALK)])
}

fn start(at: Moment) -> Event {
    Event::Start(Start {
        channel: Channel::Ussd,
        caller: None,
        language: "en".into(),
        prefilled: BTreeMap::new(),
        at,
        restarted: false,
        pin_waivable: false,
    })
}

/// A Friday at noon, or in the evening.
fn friday(hour: u8) -> Moment {
    Moment { date: Date::new(2026, 11, 20).unwrap(), time: Time::new(hour, 0).unwrap() }
}

fn told(effects: &[Effect]) -> Vec<String> {
    let mut out = Vec::new();
    for effect in effects {
        match effect {
            Effect::Say(said) => out.extend(said.iter().map(|said| said.name.to_string())),
            Effect::Mark(name) => out.push(format!("mark {name}")),
            Effect::End => out.push("end".into()),
            _ => {}
        }
    }
    out.retain(|name| !["yes", "no"].contains(&name.as_str()));
    out
}

/// A conversation that is saved and loaded between any two answers.
struct Talk<'p> {
    program: &'p Program,
    state: State,
}

impl<'p> Talk<'p> {
    fn new(program: &'p Program, at: Moment) -> (Self, Vec<String>) {
        let (state, effects) = step(program, State::new(program), start(at));
        (Self { program, state }, told(&effects))
    }

    fn event(&mut self, event: Event) -> Vec<String> {
        let saved = serde_json::to_string(&self.state).unwrap();
        let (state, effects) = step(self.program, serde_json::from_str(&saved).unwrap(), event);
        self.state = state;
        told(&effects)
    }

    fn say(&mut self, text: &str) -> Vec<String> {
        self.event(Event::Answer(Answer::Text(text.into())))
    }

    fn at(&self) -> &str {
        &self.program.steps()[usize::from(self.state.at.step)].name
    }
}

#[test]
fn another_flow_begins_and_star_leads_back() {
    let catalog = good(&three());
    let main = catalog.program("main").unwrap();
    let names: Vec<&str> = main.steps().iter().map(|step| &*step.name).collect();
    assert_eq!(names[..2], ["services", "over"]);
    assert!(names.contains(&"pay/first") && names.contains(&"talk/hello"), "{names:?}");
    let (mut talk, first) = Talk::new(&main, friday(12));
    assert_eq!(first, ["which", "bye"]);
    assert_eq!(talk.say("1"), ["code"]);
    assert_eq!(talk.at(), "pay/first");
    assert_eq!(talk.say("*"), ["which", "bye"], "back to the menu that it was chosen in");
    assert_eq!(talk.say("1"), ["code"]);
    assert_eq!(talk.say("1234"), ["count", "which"]);
    assert_eq!(talk.state.variable(&main, "pay/times"), Some(&Value::Int(2)));
    // To the start, and in again: what the flow starts with is as it was, and nothing of the first round is known.
    assert_eq!(talk.say("0"), ["which", "bye"]);
    assert_eq!(talk.say("1"), ["code"]);
    assert_eq!(talk.state.variable(&main, "pay/times"), Some(&Value::Int(1)));
    assert_eq!(talk.state.variable(&main, "pay/code"), None);
    assert_eq!(talk.say("1234"), ["count", "which"]);
    assert_eq!(talk.say("1"), ["code"]);
    assert_eq!(talk.say("4321"), ["count", "end"]);
}

#[test]
fn limits_hours_and_the_last_lines_are_those_of_the_flow_that_is_spoken() {
    let catalog = good(&three());
    let main = catalog.program("main").unwrap();
    let (mut talk, _) = Talk::new(&main, friday(12));
    assert_eq!(talk.say("1"), ["code"]);
    assert_eq!(talk.say("1"), ["input.digits", "code"]);
    assert_eq!(talk.say("1"), ["input.digits", "wrong", "end"], "two tries there, three in the menu");
    // Outside of its hours a flow says so, whoever hands over to it.
    let (mut talk, _) = Talk::new(&main, friday(20));
    assert_eq!(talk.say("2"), ["bye", "end"]);
    let (mut talk, _) = Talk::new(&main, friday(12));
    assert_eq!(talk.say("2"), ["hello", "code"]);
    assert_eq!(talk.say("7"), ["code"], "from a flow that was handed over to, to another");
    assert_eq!(talk.at(), "pay/first");
    assert_eq!(talk.event(Event::Hangup), ["mark left-pay"]);
    let (mut talk, _) = Talk::new(&main, friday(12));
    assert_eq!(talk.event(Event::Hangup), ["mark left-main"]);
    let (mut talk, _) = Talk::new(&main, friday(12));
    talk.say("2");
    assert_eq!(talk.event(Event::Hangup), [""; 0], "that flow has no such lines");
}

#[test]
fn flows_may_lead_to_each_other_and_a_conversation_still_ends() {
    let catalog = good(&three());
    // The flow that is reached by its own code leads to the menu, and from there to itself.
    let pay = catalog.program("pay").unwrap();
    let (mut talk, first) = Talk::new(&pay, friday(12));
    assert_eq!(first, ["code"]);
    assert_eq!(talk.say("1234"), ["count", "which"]);
    assert_eq!(talk.say("2"), ["which", "bye"]);
    assert_eq!(talk.at(), "main/services");
    assert_eq!(talk.say("1"), ["code"]);
    assert_eq!(talk.at(), "first");
    let mut rounds = 0;
    while !talk.state.is_over() {
        let answer = match talk.at() {
            "first" => "1234",
            "more" => "2",
            _ => "1",
        };
        talk.say(answer);
        rounds += 1;
        assert!(rounds < 64, "{}", talk.at());
    }
    assert!(rounds > 6, "visits bound it, not the first round");
    // Whatever is answered, it ends, and it can be saved at every wait.
    for seed in 1..200 {
        let mut dice = Dice(seed);
        let main = catalog.program("main").unwrap();
        let (mut talk, _) = Talk::new(&main, friday(12));
        let mut answers = 0;
        while !talk.state.is_over() {
            talk.say(dice.pick(&["1", "2", "3", "*", "0", "1234", "x"]));
            answers += 1;
            assert!(answers <= 65, "seed {seed}");
        }
    }
}

#[test]
fn a_version_follows_the_flows_that_are_handed_over_to() {
    let first = three();
    let version = |sources: &Sources, name: &str| good(sources).program(name).unwrap().version().to_owned();
    let mut other = first.clone();
    other.flows[2].text = TALK.replace("18:00", "17:00");
    assert_ne!(version(&first, "main"), version(&other, "main"));
    assert_ne!(version(&first, "talk"), version(&other, "talk"));
    assert_ne!(version(&first, "pay"), version(&other, "pay"), "it leads there by the menu");
    let alone = |talk: &str| sources(&[("pay", &PAY.replace("flow main", "end")), ("talk", talk)]);
    let changed = TALK.replace("18:00", "17:00");
    assert_eq!(version(&alone(TALK), "pay"), version(&alone(&changed), "pay"));
    // A difference is told of the flow that it is in, and of no other.
    let changes = diff(&good(&first), &good(&other));
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!((changes[0].of.as_str(), changes[0].what), ("talk", What::Limit));
}

#[test]
fn a_picture_ends_where_another_flow_begins() {
    let catalog = good(&three());
    let picture = Picture::of(&catalog, &catalog.program("main").unwrap());
    let names: Vec<&str> = picture.cards.iter().map(|card| card.name.as_str()).collect();
    assert!(names.contains(&"flow pay") && names.contains(&"flow talk"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("pay/")), "{names:?}");
    let menu = &picture.cards[0];
    let to: Vec<&str> = menu.targets().into_iter().map(|card| names[card]).collect();
    assert_eq!(to, ["flow pay", "flow talk", "over"]);
    assert!(picture.cards.iter().any(|card| card.name == "flow pay" && card.kind == Kind::End));
    for drawn in [dot::dot(&picture), mermaid::mermaid(&picture), svg::svg(&picture)] {
        assert!(drawn.contains("flow pay"), "{drawn}");
    }
}

#[test]
fn it_is_laid_out_and_tested_like_any_other_arrow() {
    let untidy = MAIN.replace("1 @yes -> flow pay", "1 @yes   ->   flow   pay");
    let tidy = format::flow(&untidy);
    assert!(tidy.left.is_empty() && tidy.text.contains("1 @yes  -> flow pay\n"), "{}", tidy.text);
    let text = "test \"t\" on ussd\n  < @which\n  > 1 < @code; at pay/first\n  > 1234 < at pay/more\n  > 2 < at services\n  > 3 < end\n";
    let (scripts, faults) = flowtest::parse("main.flowtest", text, &settings());
    assert!(faults.is_empty(), "{faults:?}");
    let catalog = good(&three());
    let (coverage, failures) = flowtest::run(&catalog, "main", &scripts);
    assert!(failures.is_empty(), "{failures:?}");
    let main = catalog.program("main").unwrap();
    assert_eq!(coverage.missing(&main), ["on hangup"], "the others have transcripts of their own");
}

fn faults(catalog: Result<Catalog, Vec<keytone::dialplan::diagnostic::Diagnostic>>) -> Vec<String> {
    let all = match catalog {
        Ok(catalog) => catalog.warnings().to_vec(),
        Err(all) => all,
    };
    all.iter().map(ToString::to_string).filter(|fault| !fault.contains("F051")).collect()
}

#[test]
fn what_cannot_be_handed_over_to_is_told_once() {
    let with = |from: &str, to: &str| {
        assert!(MAIN.contains(from), "{from}");
        let main = MAIN.replace(from, to);
        faults(compile(&sources(&[("main", &main), ("pay", PAY), ("talk", TALK)]), &settings()))
    };
    assert_eq!(with("flow talk", "flow tlak"), ["main.flow:9:17: F018 there is no flow `tlak`"]);
    assert_eq!(
        with("  3 @bye -> over", "  3 @bye -> flow"),
        ["main.flow:10:17: F001 expected the name of another flow"]
    );
    // A line that only knows steps says so.
    let found = with("step over\n", "step over\n  if 1 = 2 -> flow pay\n");
    let text = "F001 expected a step or `end`: put `-> flow …` in a step of its own";
    assert!(found.len() == 1 && found[0].contains(text), "{found:?}");
    // A fault of the other flow is told there, and not again for each that leads to it.
    let bad = PAY.replace("tell @count(times)\n  -> end", "tell @count(tmies)\n  -> end");
    let found = faults(compile(&sources(&[("main", MAIN), ("pay", &bad), ("talk", TALK)]), &settings()));
    assert!(found.len() == 1 && found[0].starts_with("pay.flow:17:15: F013"), "{found:?}");
    // Keys of the first flow hold everywhere.
    let own = PAY.replace("  keys * back, 0 main\n", "").replace("2 @no -> flow main", "0 @no -> flow main");
    let found = faults(compile(&sources(&[("main", MAIN), ("pay", &own), ("talk", TALK)]), &settings()));
    assert!(found.len() == 1 && found[0].contains("F070"), "{found:?}");
    // A step that calls, and a flow of the same name.
    let main = MAIN.replace(
        "step over\n",
        "step over\n  -> pay\nstep pay\n  call ask\n  on done -> over2\nstep over2\n",
    );
    let ask = "sub ask 1\n  gives done\nstep a\n  tell @hello\n  -> return done\n";
    let all = sources(&[("main", &main), ("pay", PAY), ("talk", TALK), ("ask", ask)]);
    let found = faults(compile(&all, &settings()));
    assert!(found.iter().any(|fault| fault.contains("F003 the step `pay` calls")), "{found:?}");
    // A sub-flow comes back.
    let ask = "sub ask 1\n  gives done\nstep a\n  ask @code for code: digits\n  if code = 1 -> b\n  -> flow pay\n\
               step b\n  -> return done\n";
    let small = "flow small 1\nstep a\n  call ask\n  on done -> end\n";
    let found = faults(compile(
        &sources(&[("small", small), ("pay", PAY), ("main", MAIN), ("talk", TALK), ("ask", ask)]),
        &settings(),
    ));
    assert_eq!(found, ["ask.flow:6:11: F018 a sub-flow comes back to its caller"]);
}

#[test]
fn nothing_secret_goes_over_and_an_unknown_payment_leads_to_no_other() {
    let pay = read(&golden().join("F034-pending.flow"));
    let safe = pay.replace("tell @bye -> pin", "tell @bye -> end").replace("flow bad 1", "flow buy 1");
    let menu =
        "flow menu 1\n  serve ussd *1#\nmenu first\n  ask @which\n  1 @yes -> flow buy\n  2 @no -> end\n";
    let with =
        |buy: &str, menu: &str| faults(compile(&sources(&[("buy", buy), ("menu", menu)]), &settings()));
    assert_eq!(with(&safe, menu), [""; 0]);
    // From the unknown payment to the menu, where another could be made.
    let again = safe.replace("tell @bye -> end", "tell @bye -> flow menu");
    let found = with(&again, menu);
    assert!(found.len() == 1 && found[0].contains("F034"), "{found:?}");
    // A delivered one may lead there.
    assert_eq!(
        with(
            &safe.replace("on delivered(receipt)      -> end", "on delivered(receipt)      -> flow menu"),
            menu
        ),
        [""; 0]
    );
    // A secret that is asked before the arrow is of no use after it.
    let asks = menu.replace("1 @yes -> flow buy", "1 @yes -> secret")
        + "step secret\n  ask @code for pin: secret\n  -> flow buy\n";
    let reads = safe.replace("  ask @confirm(phone, amount, fee) for pin: secret\n", "");
    assert!(
        with(&reads, &asks).iter().any(|fault| fault.contains("nothing sets `pin`")),
        "{:?}",
        with(&reads, &asks)
    );
    // What the other flow promises about a PIN by text message is kept.
    let by_sms = |policy: &str, flow: &str| {
        flow.replacen('\n', &format!("\n  serve sms \"{policy}\"\n  pin on sms {policy}\n"), 1)
    };
    assert_eq!(with(&by_sms("refuse", &safe), &by_sms("callback", menu)).len(), 1);
    assert!(with(&by_sms("refuse", &safe), &by_sms("callback", menu))[0].contains("F081"));
    let kept = [
        ("refuse", "refuse callback reply none"),
        ("callback", "callback reply none"),
        ("reply", "reply"),
        ("none", "none"),
    ];
    let market = Settings { no_pin_cap: Some(Money::new(2_000, settings().currency)), ..settings() };
    for (ours, keeps) in kept {
        for theirs in ["refuse", "callback", "reply", "none"] {
            let buy = by_sms(theirs, &safe).replace(&format!("serve sms \"{theirs}\""), "serve sms \"BUY\"");
            let main = by_sms(ours, menu).replace(&format!("serve sms \"{ours}\""), "serve sms \"MENU\"");
            let found = faults(compile(&sources(&[("buy", &buy), ("menu", &main)]), &market));
            let told = found.iter().any(|fault| fault.contains("F081 `buy` is more careful"));
            assert_eq!(told, !keeps.contains(theirs), "{ours} leads to {theirs}: {found:?}");
            assert_eq!(found.is_empty(), !told, "{ours} leads to {theirs}: {found:?}");
        }
    }
}

#[test]
fn the_shipped_menu_is_proved_with_all_that_it_leads_to() {
    let sources = super::in_every_language();
    let catalog = good(&sources);
    let main = catalog.program("main").unwrap();
    for step in ["recharge/pin", "bill/pin", "orders/pin", "account/balance"] {
        assert!(main.steps().iter().any(|own| &*own.name == step), "{step}");
    }
    assert!(catalog.warnings().is_empty(), "{}", reports(&sources, catalog.warnings()));
}
