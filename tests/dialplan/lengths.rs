//! No conversation shows more than what is proved of its flow beforehand.

use std::collections::BTreeMap;

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::civil::{Date, Moment, Time};
use keytone::dialplan::diagnostic::Code;
use keytone::dialplan::event::{Answer, Channel, Effect, Event, Input, Start};
use keytone::dialplan::program::Program;
use keytone::dialplan::speak::screen;
use keytone::dialplan::state::State;
use keytone::dialplan::step::step;
use keytone::dialplan::value::{Type, Value};
use keytone::gsm;
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;
use keytone::secret::Secret;

use super::{Dice, golden, good, in_every_language, read, reports, settings, source};

/// Values of outcomes that are as long as they may be, or short.
fn value_of(ty: Type, dice: &mut Dice) -> Value {
    let money = |minor| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    match ty {
        Type::Int => Value::Int(dice.pick(&[1, 2, i64::MAX])),
        Type::Money => money(dice.pick(&[50, 99_999_999_999, 12_345])),
        Type::Phone => {
            Value::Phone(Msisdn::parse(dice.pick(&["+8613800000003", "+888888888888888"])).unwrap())
        }
        Type::Digits => Value::Digits("4".repeat(dice.pick(&[1, 10, 40, 41, 300]))),
        Type::List(item) => {
            let count = dice.pick(&[0, 1, 12, 60]);
            Value::List((0..count).map(|_| value_of(*item, dice)).collect())
        }
        Type::Record(record) => {
            Value::Record(record.fields.iter().map(|field| value_of(field.ty, dice)).collect())
        }
        Type::Choice(family) => Value::Text(dice.pick(family.words).into()),
        Type::Bool => Value::Bool(dice.roll(2) == 0),
        Type::Date => Value::Date(Date::new(2026, u8::try_from(1 + dice.roll(12)).unwrap(), 28).unwrap()),
        // Longer ones are cut when they come in.
        _ => Value::Text(dice.pick(&["x", "€", "語", "😀", "a\n"]).repeat(dice.pick(&[1, 20, 40, 41, 300]))),
    }
}

fn answer(input: &Input, dice: &mut Dice) -> Answer {
    if let Input::Secret { .. } = input {
        return dice.pick(&[Answer::Secret(Secret::from("97531864")), Answer::Secret(Secret::from("1"))]);
    }
    let texts: Vec<&str> = match input {
        Input::Phone { .. } => vec!["13800000002", "13800000002", "13800000004", "12"],
        Input::Money { .. } => vec!["50", "100", "9999", "0", "50"],
        Input::Date => vec!["3112", "2812", "9999", "0112", "2111"],
        Input::Digits { .. } => vec!["1234", "204813", "204818", "1"],
        _ => vec!["1", "2", "3", "7", "no", "0"],
    };
    Answer::Text(if dice.roll(12) == 0 { "*".into() } else { dice.pick(&texts).into() })
}

/// A Friday morning and evening, a Saturday night, and the beginning of time.
const MOMENTS: [(&str, &str); 4] =
    [("2026-11-20", "10:00"), ("2026-11-20", "21:45"), ("2026-02-28", "23:59"), ("1970-01-01", "00:00")];

fn moment((date, time): (&str, &str)) -> Moment {
    Moment { date: Date::parse(date).unwrap(), time: Time::parse(time).unwrap() }
}

/// Septets and units by channel, language and step.
type Bounds = BTreeMap<(Channel, String, String), (usize, usize)>;

/// What is proved of a flow.
fn bounds_of(catalog: &Catalog, program: &Program) -> Bounds {
    let mut bounds = Bounds::new();
    for length in program.lengths(catalog.routes()) {
        let bound = bounds.entry((length.channel, length.language, length.step)).or_default();
        bound.0 = bound.0.max(length.septets.unwrap_or(0));
        bound.1 = bound.1.max(length.units.unwrap_or(0));
    }
    bounds
}

/// Holds a conversation and compares everything that is shown with the bounds of its flow.
fn converse(bounds: &Bounds, program: &Program, channel: Channel, language: &str, dice: &mut Dice) -> usize {
    let prefilled = [("amount", "50"), ("phone", "13800000002")];
    let prefilled =
        prefilled.iter().take(dice.roll(3)).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let start = Start {
        channel,
        caller: Some(Msisdn::parse("+8613800000001").unwrap()),
        language: language.into(),
        prefilled,
        at: moment(dice.pick(&MOMENTS)),
        restarted: dice.roll(2) == 0,
        pin_waivable: dice.roll(2) == 0,
    };
    let (mut state, mut event) = (State::new(program), Event::Start(start));
    let (mut told, mut shown) = (String::new(), 0);
    for _ in 0..400 {
        let before = state.at.step;
        let (next, effects) = step(program, state, event);
        state = next;
        let text = screen(program, &effects, &state.language, channel);
        told = [told, text].iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("\n");
        let over = state.is_over();
        event = match effects.last() {
            Some(Effect::Do { action, .. }) => {
                let outcome =
                    &action.outcomes[if dice.roll(2) == 0 { 0 } else { dice.roll(action.outcomes.len()) }];
                let values = outcome.values.iter().map(|field| value_of(field.ty, dice)).collect();
                Event::Outcome { name: outcome.name.into(), values }
            }
            Some(Effect::Collect(collect)) => {
                let name = &program.steps()[usize::from(state.at.step)].name;
                check(&told, bounds.get(&(channel, state.language.clone(), name.to_string())).copied(), name);
                shown += 1;
                told.clear();
                Event::Answer(answer(&collect.input, dice))
            }
            _ => {
                // An end may be told by any step on the way; the largest of all ends bounds it.
                let own = bounds
                    .iter()
                    .filter(|((on, language, _), _)| *on == channel && *language == state.language);
                let most =
                    own.map(|(_, bound)| bound).fold((0, 0), |all, one| (all.0.max(one.0), all.1.max(one.1)));
                check(&told, Some(most), &program.steps()[usize::from(before)].name);
                assert!(over || !effects.is_empty(), "nothing happens");
                return shown + 1;
            }
        };
    }
    shown
}

fn check(told: &str, bound: Option<(usize, usize)>, step: &str) {
    let (septets, units) =
        bound.unwrap_or_else(|| panic!("nothing is proved of `{step}`, which shows {told:?}"));
    match gsm::septets(told) {
        Some(length) => assert!(length <= septets, "`{step}`: {length} septets of {septets}: {told}"),
        None => assert!(gsm::units(told) <= units, "`{step}`: {} units of {units}: {told}", gsm::units(told)),
    }
}

#[test]
fn no_conversation_shows_more_than_is_proved() {
    let sources = in_every_language();
    let catalog = good(&sources);
    let others: Vec<_> = catalog.warnings().iter().filter(|w| w.code != Code::F053).cloned().collect();
    assert!(others.is_empty(), "{}", reports(&sources, &others));
    let languages: Vec<String> = catalog.texts().languages().map(str::to_owned).collect();
    let mut shown = 0;
    for program in catalog.programs() {
        let bounds = bounds_of(&catalog, program);
        for seed in 1..=150_u64 {
            println!("seed {seed}");
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for channel in [Channel::Ussd, Channel::Sms] {
                let language = dice.pick(&languages);
                shown += converse(&bounds, program, channel, &language, &mut dice);
            }
        }
    }
    assert!(shown > 1_000, "only {shown} screens");
}

#[test]
fn what_is_asked_in_place_of_a_pin_is_never_longer_than_is_proved() {
    let sources = super::without_pin::sources();
    let settings =
        Settings { no_pin_cap: Some(Money::new(i64::MAX, Currency::new("CNY").unwrap())), ..settings() };
    let catalog = compile(&sources, &settings).unwrap();
    let program = catalog.program("recharge").unwrap();
    let bounds = bounds_of(&catalog, &program);
    let languages: Vec<String> = catalog.texts().languages().map(str::to_owned).collect();
    let mut shown = 0;
    for seed in 1..=400_u64 {
        println!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let language = dice.pick(&languages);
        shown += converse(&bounds, &program, Channel::Sms, &language, &mut dice);
    }
    assert!(shown > 1_000, "only {shown} messages");
}

/// The richest flow: the language changes on the way, days and times are said, lists are chosen from.
#[test]
fn what_is_told_in_two_languages_is_never_longer_than_is_proved() {
    let folder = "tests/golden/good";
    let flow = |name: &str| source(name, format!("{folder}/{name}"));
    let sources = Sources {
        flows: ["everything.flow", "ask-number.flow", "ask-pin.flow", "pay.flow"].map(flow).to_vec(),
        messages: ["messages/en.msg", "messages/sw.msg"].map(flow).to_vec(),
        numbers: ["en", "sw"]
            .map(|tag| source(&format!("{tag}/numbers.say"), format!("prompts/{tag}/numbers.say")))
            .to_vec(),
        clips: None,
    };
    let catalog = good(&sources);
    let program = catalog.program("everything").unwrap();
    let bounds = bounds_of(&catalog, &program);
    let mut shown = 0;
    for seed in 1..=400_u64 {
        println!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for channel in [Channel::Ussd, Channel::Sms] {
            let language = dice.pick(&["en", "sw"]);
            shown += converse(&bounds, &program, channel, language, &mut dice);
        }
    }
    assert!(shown > 1_000, "only {shown} screens");
}

#[test]
fn a_list_is_never_longer_than_is_proved() {
    let sources = Sources {
        flows: vec![source("bill.flow", "docs/examples/bill/bill.flow")],
        messages: vec![source("en.msg", "docs/examples/bill/messages/en.msg")],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    };
    let catalog = good(&sources);
    let program = catalog.program("bill").unwrap();
    let bounds = bounds_of(&catalog, &program);
    let mut shown = 0;
    for seed in 1..=20_u64 {
        println!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for channel in [Channel::Ussd, Channel::Sms] {
            shown += converse(&bounds, &program, channel, "en", &mut dice);
        }
    }
    assert!(shown > 80, "only {shown} screens");
}

/// Step, channel, septets, units, pages.
type Row = (String, Channel, Option<usize>, Option<usize>, usize);

/// The lengths of a small flow.
fn lengths(flow: &str, messages: &str) -> Vec<Row> {
    let base = read(&golden().join("base.en.msg"));
    let sources = Sources {
        flows: vec![SourceFile::new("small.flow", flow)],
        messages: vec![SourceFile::new("en.msg", format!("{base}\n\n{messages}"))],
        numbers: vec![source("en/numbers.say", "prompts/en/numbers.say")],
        clips: None,
    };
    let settings: Settings = settings();
    let catalog = match compile(&sources, &settings) {
        Ok(catalog) => catalog,
        Err(faults) => panic!("{faults:?}"),
    };
    let program = catalog.program("small").unwrap();
    let lengths = program.lengths(catalog.routes()).into_iter();
    lengths.map(|length| (length.step, length.channel, length.septets, length.units, length.pages)).collect()
}

#[test]
fn what_is_told_on_the_longest_way_is_counted_exactly() {
    let flow = "flow small 1\n  serve ussd *1#\n  tries 2 then bye\n\
                step first\n  ask @hello for code: digits, 4 digits\n  if code = \"1234\" -> long\n  tell @short\n  -> second\n\
                step long\n  tell @longer\n  -> second\n\
                step second\n  ask @last(code) for other: digits, 2 digits\n  tell @last(other)\n  -> end\n\
                step bye\n  tell @bye\n  -> end\n";
    let messages = "short\n  abc\n\nlonger\n  abcdefgh\n\nlast(code: digits)\n  <{code}>\n";
    let found = lengths(flow, messages);
    let of = |step: &str| {
        found.iter().filter(|length| length.0 == step).map(|length| length.2).collect::<Vec<_>>()
    };
    // `abcdefgh`, a line end, `<1234>`; more than `2 to 2 digits.` and the question again.
    let reason = "2 to 2 digits.".len();
    let silence = "Nothing was pressed.".len();
    assert_eq!(of("second"), [Some((8 + 1 + 6).max(reason.max(silence) + 1 + 6)), Some(4)]);
    // The reason why the caller is given up, or what was told before a step that was entered too often.
    assert!(of("bye")[0].unwrap() > "Goodbye.".len() + reason);
    assert_eq!(found.iter().filter(|length| length.3.is_some()).count(), 0, "all is in the alphabet");
}

#[test]
fn one_character_outside_of_the_alphabet_changes_the_coding() {
    let flow = "flow small 1\n  serve ussd *1#\n  serve sms \"S\"\n\
                step first\n  if 1 = 1 -> other\n  tell @plain\n  -> end\n\
                step other\n  tell @euro\n  tell @chinese\n  send sms @chinese\n  -> end\n";
    let messages = format!(
        "plain\n  {}\n\neuro\n  {}\n\nchinese\n  {}\n",
        "a".repeat(182),
        "€".repeat(60),
        "语".repeat(71)
    );
    let found = lengths(flow, &messages);
    let of = |step: &str, channel| {
        let own = found.iter().filter(|length| length.0 == step && length.1 == channel);
        own.map(|length| (length.2, length.3, length.4)).collect::<Vec<_>>()
    };
    let vanished = found.iter().find(|length| length.0 == "first" && length.1 == Channel::Ussd).unwrap();
    assert!(vanished.2.unwrap() > 183, "the text for a session that begins anew is counted before it");
    let ussd = of("other", Channel::Ussd);
    assert!(ussd[0].1.unwrap() >= 60 + 1 + 71, "{ussd:?}");
    let sms = of("other", Channel::Sms);
    assert!(sms.contains(&(None, Some(71), 2)), "71 units are two parts: {sms:?}");
}
