//! What must hold of every conversation, and how the engine says and asks.

use keytone::dialplan::catalog::Catalog;
use keytone::dialplan::civil::Moment;
use keytone::dialplan::event::{Answer, Argument, Channel, Effect, Event, Input, Start};
use keytone::dialplan::speak::{PAUSE_BETWEEN, Sound, Utterance, screen};
use keytone::dialplan::state::{State, Wait};
use keytone::dialplan::step::step;
use keytone::dialplan::value::{Type, Value};
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;
use keytone::secret::Secret;

use super::{Dice, good, root, shipped, small};

fn value_of(ty: Type, dice: &mut Dice) -> Value {
    let cny = Currency::new("CNY").unwrap();
    let amount = |n: i64| Value::Money(Money::new(n, cny));
    match ty {
        Type::Int => Value::Int(dice.pick(&[1, 3])),
        Type::Money => amount(dice.pick(&[50, 5_000, 200_000])),
        Type::Phone => Value::Phone(Msisdn::parse("+8613800000003").unwrap()),
        Type::Digits => Value::Digits("204813".into()),
        Type::List(_) => Value::List(vec![amount(5_000), amount(10_000)]),
        Type::Choice(family) => Value::Text(dice.pick(family.words).into()),
        Type::Bool => Value::Bool(true),
        _ => Value::Text("x".into()),
    }
}

fn random_answer(input: &Input, dice: &mut Dice) -> Answer {
    let digits = match input {
        Input::Menu(keys) => return Answer::Key(dice.pick(&[keys.clone(), vec!['*', '0', '7']].concat())),
        Input::Secret { .. } => {
            return dice.pick(&[Answer::Secret(Secret::from("97531864")), Answer::Secret(Secret::from("1"))]);
        }
        Input::Phone { .. } => dice.pick(&["13800000002", "13800000002", "13800000004", "12"]),
        Input::Money { .. } => dice.pick(&["50", "100", "70", "0"]),
        Input::Digits { .. } => dice.pick(&["1234", "1"]),
        Input::Date => dice.pick(&["3112", "01012030", "3002"]),
    };
    let others = [Answer::Key('*'), Answer::Empty, Answer::Silence, Answer::Invalid];
    if dice.roll(6) == 0 { dice.pick(&others) } else { Answer::Digits(digits.into()) }
}

/// Every number and amount that is paid was said in the question.
fn heard_all(question: &Utterance, arguments: &[Argument]) {
    for argument in arguments {
        if let Argument::Value(value @ (Value::Phone(_) | Value::Money(_))) = argument {
            assert!(question.slots.contains(value), "{value:?} was not heard");
        }
    }
}

/// What must hold of every conversation, whatever the caller does and however actions end.
#[test]
fn random_conversations_end_and_pay_only_what_was_heard() {
    let sources = shipped();
    let catalog = good(&sources);
    let program = catalog.program("recharge").unwrap();
    let clips = sources.clips.unwrap();
    let mut payments = 0;
    for seed in 1..=400_u64 {
        println!("seed {seed}");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let start = Start {
            channel: Channel::Voice,
            caller: Some(Msisdn::parse("+8613800000001").unwrap()),
            language: "en".into(),
            prefilled: [("amount".to_owned(), "50".to_owned())]
                .into_iter()
                .filter(|_| seed % 3 == 0)
                .collect(),
            at: Moment::default(),
            restarted: false,
            pin_waivable: false,
        };
        let (mut state, mut event) = (State::new(&program), Event::Start(start));
        let (mut heard, mut confirming, mut pending) = (Vec::new(), false, false);
        for turn in 0.. {
            assert!(turn < 1_000, "the conversation does not end");
            let typed_secret = matches!(&event, Event::Answer(Answer::Secret(_)));
            let (next, effects) = step(&program, state, event);
            let saved = serde_json::to_string(&next).unwrap();
            assert!(!saved.contains("97531864"), "the state keeps a secret");
            assert_eq!(serde_json::from_str::<State>(&saved).unwrap(), next);
            state = next;
            for effect in &effects {
                let Effect::Say(utterances) = effect else { continue };
                heard.clone_from(utterances);
                for utterance in utterances {
                    for sound in program.sounds(utterance, "en") {
                        assert!(!matches!(&sound, Sound::Clip(id) if !clips.contains(&**id)), "{sound:?}");
                    }
                }
            }
            let last = effects.last().expect("something to do");
            assert!(!format!("{effects:?}").contains("97531864"));
            event = match (last, state.wait) {
                (Effect::End, Wait::Over) => break,
                (Effect::Collect(collect), Wait::Answer) => {
                    confirming = collect.confirmation;
                    Event::Answer(random_answer(&collect.input, &mut dice))
                }
                (Effect::Do { action, arguments }, Wait::Outcome) => {
                    if action.moves_money() {
                        payments += 1;
                        assert!(typed_secret && confirming, "paid without a confirmation");
                        assert!(!pending, "paid again after an unknown payment");
                        let question = heard.last().unwrap();
                        heard_all(question, arguments);
                    }
                    let outcome = if dice.roll(3) == 0 {
                        &action.outcomes[dice.roll(action.outcomes.len())]
                    } else {
                        &action.outcomes[0]
                    };
                    pending |= outcome.name == "pending";
                    let values = outcome.values.iter().map(|field| value_of(field.ty, &mut dice)).collect();
                    Event::Outcome { name: outcome.name.into(), values }
                }
                other => panic!("{other:?}"),
            };
        }
    }
    assert!(payments > 100, "only {payments} payments were tried");
}

fn begun(channel: Channel) -> (Catalog, State, Vec<Effect>) {
    let catalog = good(&shipped());
    let program = catalog.program("recharge").unwrap();
    let start = Start {
        channel,
        caller: Some(Msisdn::parse("+8613800000001").unwrap()),
        language: "xx".into(),
        prefilled: std::collections::BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
        pin_waivable: false,
    };
    let (state, effects) = step(&program, State::new(&program), Event::Start(start));
    (catalog, state, effects)
}

fn said(effects: &[Effect]) -> Vec<String> {
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Say(utterances) => Some(utterances.iter().map(|u| u.name.to_string())),
        _ => None,
    });
    said.flatten().collect()
}

#[test]
fn a_session_that_breaks_the_contract_is_ended_politely() {
    let (catalog, state, _) = begun(Channel::Voice);
    let program = catalog.program("recharge").unwrap();
    assert_eq!(state.language, "en", "an unknown language falls back to the default");
    let account = || Value::Text("account".into());
    for (name, values) in [
        ("no such outcome", vec![]),
        ("bound", vec![]),
        ("bound", vec![Value::Int(1)]),
        ("bound", vec![account(), account()]),
    ] {
        let (after, effects) = step(&program, state.clone(), Event::Outcome { name: name.into(), values });
        assert_eq!((said(&effects), after.wait), (vec!["trouble".to_owned()], Wait::Over));
    }
    let mut nobody = state.clone();
    nobody.caller = None;
    let event = Event::Outcome { name: "bound".into(), values: vec![account()] };
    assert_eq!(said(&step(&program, nobody, event).1), ["trouble"], "bound without a number");
    // An event that is not waited for changes nothing.
    let (after, effects) = step(&program, state.clone(), Event::Answer(Answer::Key('1')));
    assert!(effects.is_empty() && after == state);
    let (over, effects) = step(&program, state, Event::Hangup);
    assert!(effects.is_empty() && over.is_over());
    let (after, effects) =
        step(&program, over.clone(), Event::Outcome { name: "no_number".into(), values: vec![] });
    assert!(effects.is_empty() && after == over, "what comes after the end is ignored");
}

#[test]
fn listening_follows_the_question() {
    let (catalog, state, _) = begun(Channel::Voice);
    let program = catalog.program("recharge").unwrap();
    let collect = |effects: &[Effect]| match effects.last() {
        Some(Effect::Collect(collect)) => collect.clone(),
        other => panic!("{other:?}"),
    };
    let outcome = |name: &str, values: Vec<Value>| Event::Outcome { name: name.into(), values };
    let money = |minor| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    let (state, effects) = step(&program, state, outcome("bound", vec![Value::Text("a".into())]));
    let menu = collect(&effects);
    assert_eq!((menu.input, menu.keys, menu.fresh), (Input::Menu(vec!['1', '2']), vec!['*', '0'], false));
    let (again, effects) = step(&program, state.clone(), Event::Answer(Answer::Key('9')));
    assert!(collect(&effects).fresh, "keys typed before an error was heard are dropped");
    assert_eq!(said(&effects), ["input.key", "confirm-number", "own", "other"]);
    assert_eq!(again.at, state.at);
    let (state, _) = step(&program, state, Event::Answer(Answer::Key('1')));
    let amounts = Value::List(vec![money(5_000), money(10_000)]);
    let (state, _) = step(&program, state, outcome("ok", vec![Value::Text("c".into()), amounts]));
    let ends = vec![money(5_000), money(10_000), money(0)];
    let (state, effects) = step(&program, state, outcome("fixed", ends));
    let amount = collect(&effects);
    assert_eq!((amount.input.length(), amount.keys, amount.fresh), ((1, 4), vec!['*'], false));
    let (state, _) = step(&program, state, Event::Answer(Answer::Digits("50".into())));
    let (quoted, _) = step(&program, state.clone(), outcome("ok", vec![money(50), money(5_050)]));
    let (paid, effects) = step(&program, quoted, outcome("pin", Vec::new()));
    let pin = collect(&effects);
    assert_eq!(pin.input, Input::Secret { min: 4, max: 8 });
    assert!(pin.confirmation && pin.fresh && pin.quiet);
    assert!(!said(&effects).is_empty() && paid.wait == Wait::Answer);
    let (_, effects) = step(&program, state, outcome("duplicate", vec![Value::Int(4), money(50)]));
    assert!(collect(&effects).fresh, "a key typed ahead must not repeat a payment");
}

#[test]
fn one_session_takes_a_bounded_number_of_inputs() {
    let (catalog, state, _) = begun(Channel::Ussd);
    let program = catalog.program("recharge").unwrap();
    let values = vec![Value::Text("a".into())];
    let (mut state, _) = step(&program, state, Event::Outcome { name: "bound".into(), values });
    let mut inputs = 0;
    while !state.is_over() {
        // Back at the first question asks it again, and is never a wrong answer.
        let (next, effects) = step(&program, state, Event::Answer(Answer::Text("*".into())));
        state = next;
        inputs += 1;
        assert!(inputs <= 65, "still going on");
        if state.is_over() {
            assert_eq!(said(&effects), ["goodbye"]);
        }
    }
    assert_eq!(inputs, 65);
}

#[test]
fn back_restores_what_was_known_when_the_question_was_asked() {
    let flow = "flow small 1\n  keys * back\n  visits 90 then bye\n  start with n = 1\n\
                step ask\n  ask @code for code: digits\n  set n = n + 1\n  -> more\n\
                step more\n  ask @code for other: digits\n  set n = n + 1\n  if n > 500 -> bye\n  -> ask\n\
                step bye\n  tell @bye\n  -> end\n";
    let catalog = small(flow);
    let program = catalog.program("small").unwrap();
    let start = Start {
        channel: Channel::Ussd,
        caller: None,
        language: "en".into(),
        prefilled: std::collections::BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
        pin_waivable: false,
    };
    let (mut state, _) = step(&program, State::new(&program), Event::Start(start));
    let mut before = vec![state.clone()];
    for digit in 0..20 {
        let answer = Event::Answer(Answer::Text(format!("{digit}")));
        state = step(&program, state, answer).0;
        before.push(state.clone());
    }
    assert_eq!(state.variable(&program, "n"), Some(&Value::Int(21)));
    // Sixteen answers are remembered; further back there is nothing to go to.
    for (count, expected) in (1..=20).zip(before.iter().rev().skip(1)) {
        state = step(&program, state, Event::Answer(Answer::Text("*".into()))).0;
        let expected = if count <= 16 { expected } else { &before[4] };
        assert_eq!(state.at, expected.at, "after {count} times back");
        for name in ["n", "code", "other"] {
            assert_eq!(
                state.variable(&program, name),
                expected.variable(&program, name),
                "{name} after {count}"
            );
        }
    }
}

#[test]
fn wordings_taper_and_a_long_list_is_cut() {
    let flow = "flow small 1\n  tries 4 then bye\n\
                step ask\n  ask @code for code: digits, 4 digits, no barge-in, wait 9s\n    again @number\n\
                    silent 2 @amount\n    wrong 3 @which\n  -> end\n\
                step bye\n  tell @bye\n  -> end\n";
    let catalog = small(flow);
    let program = catalog.program("small").unwrap();
    let start = Start {
        channel: Channel::Voice,
        caller: None,
        language: "en".into(),
        prefilled: std::collections::BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
        pin_waivable: false,
    };
    let (first, effects) = step(&program, State::new(&program), Event::Start(start));
    let Some(Effect::Collect(collect)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((collect.barge_in, collect.first_digit.as_secs()), (false, 9));
    for (answer, said_then) in [
        (
            Answer::Silence,
            [&["input.silence", "number"][..], &["amount"], &["amount"], &["input.silence", "bye"]],
        ),
        (
            Answer::Digits("1".into()),
            [
                &["input.digits", "number"][..],
                &["input.digits", "number"],
                &["which"],
                &["input.digits", "bye"],
            ],
        ),
    ] {
        let mut state = first.clone();
        for expected in said_then {
            let (next, effects) = step(&program, state, Event::Answer(answer.clone()));
            state = next;
            assert_eq!(said(&effects), expected, "{answer:?}");
        }
        assert!(state.is_over());
    }

    let catalog = good(&shipped());
    let program = catalog.program("recharge").unwrap();
    let cny = Currency::new("CNY").unwrap();
    let (_, state, _) = begun(Channel::Ussd);
    let state = step(&program, state, bound()).0;
    let state = step(&program, state, Event::Answer(Answer::Text("1".into()))).0;
    let amounts = (1..=30).map(|n| Value::Money(Money::new(n * 100, cny))).collect();
    let values = vec![Value::Text("c".into()), Value::List(amounts)];
    let (state, _) = step(&program, state, Event::Outcome { name: "ok".into(), values });
    let values = [100, 3_000, 0].map(|minor| Value::Money(Money::new(minor, cny))).to_vec();
    let (_, effects) = step(&program, state, Event::Outcome { name: "fixed".into(), values });
    let text = screen(&program, &effects, "en", Channel::Ussd);
    assert!(text.ends_with("11 CNY or 12 CNY?"), "{text}");
    let Some(Effect::Say(utterances)) = effects.first() else { panic!("{effects:?}") };
    let sounds = program.sounds(&utterances[0], "en");
    let amounts = sounds.iter().filter(|sound| matches!(sound, Sound::Clip(id) if &**id == "en/num/yuan"));
    assert_eq!(amounts.count(), 12);
}

fn bound() -> Event {
    Event::Outcome { name: "bound".into(), values: vec![Value::Text("account".into())] }
}

#[test]
fn screens_join_announcements_and_the_question() {
    let (catalog, state, _) = begun(Channel::Ussd);
    let program = catalog.program("recharge").unwrap();
    let values = vec![Value::Text("a".into())];
    let (state, effects) = step(&program, state, Event::Outcome { name: "bound".into(), values });
    assert_eq!(
        screen(&program, &effects, "en", Channel::Ussd),
        "Your number is 138 0000 0001.\n1. Recharge this number\n2. Another number"
    );
    let (_, effects) = step(&program, state, Event::Answer(Answer::Text("8".into())));
    assert!(screen(&program, &effects, "en", Channel::Ussd).starts_with("Input error. That is not one of"));
}

/// The target of a repeat recharge: 12 keys and 25 seconds, were every prompt heard to its end before a key
/// is pressed.
#[test]
fn a_repeat_recharge_is_short() {
    let catalog = good(&shipped());
    let program = catalog.program("recharge").unwrap();
    let (_, mut state, _) = begun(Channel::Voice);
    let money = |minor| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    let outcome = |name: &str, values: Vec<Value>| Event::Outcome { name: name.into(), values };
    let mut seconds = 0.0;
    for event in [
        outcome("bound", vec![Value::Text("a".into())]),
        Event::Answer(Answer::Key('1')),
        outcome("ok", vec![Value::Text("c".into()), Value::List(vec![money(5_000), money(10_000)])]),
        Event::Answer(Answer::Digits("50".into())),
        outcome("ok", vec![money(50), money(5_050)]),
    ] {
        let (next, effects) = step(&program, state, event);
        state = next;
        for effect in &effects {
            let Effect::Say(utterances) = effect else { continue };
            for sound in utterances.iter().flat_map(|utterance| program.sounds(utterance, "en")) {
                seconds += match sound {
                    Sound::Pause(pause) => pause.as_secs_f64(),
                    Sound::Clip(id) => {
                        let file = std::fs::read(root().join(format!("prompts/{id}.wav"))).unwrap();
                        keytone::rtp::Clip::from_wav(&id, &file).unwrap().duration().as_secs_f64()
                    }
                };
            }
            seconds += PAUSE_BETWEEN.as_secs_f64();
        }
    }
    println!("{seconds:.1} s of prompts before the PIN is typed");
    assert!(seconds < 25.0, "{seconds}");
}
