//! The dialplan's engine by properties: whatever callers do and however actions end, on every channel, a conversation ends
//! within bounds, can be saved and loaded at every wait, and stays small; every screen fits; no secret is kept.
//!
//! The seed of a conversation is printed and repeats it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::civil::{Date, Moment, Time};
use keytone::dialplan::event::{Answer, Channel, Collect, Effect, Event, Input, Start};
use keytone::dialplan::flowtest;
use keytone::dialplan::flowtest::Failure;
use keytone::dialplan::pages::Screen;
use keytone::dialplan::program::Program;
use keytone::dialplan::state::{State, Wait};
use keytone::dialplan::step::step;
use keytone::dialplan::value::{Record, Type, Value};
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;
use keytone::secret::Secret;

/// The largest saved session that is waiting, in bytes of JSON (wanted: issue 3).
const STATE_MAX: usize = 1_024;
/// What callers type as a PIN, to be looked for where it must not be.
const PIN: &str = "97531864";

/// Minutes from 1970 to the Monday of a week in November 2026.
const MONDAY: i64 = 20_773 * 1_440;

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn settings() -> Settings {
    Settings {
        country: "86".into(),
        national_digits: (11, 11),
        ..Settings::of(Currency::new("CNY").unwrap())
    }
}

/// The messages and number rules of the languages that the repository has.
fn languages() -> (Vec<SourceFile>, Vec<SourceFile>) {
    let (mut messages, mut numbers) = (Vec::new(), Vec::new());
    for tag in ["en", "zh", "sw", "fr", "es"] {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let (text, rules) = (format!("dialplans/messages/{tag}.msg"), format!("prompts/{tag}/numbers.say"));
        if root.join(&text).exists() && root.join(&rules).exists() {
            messages.push(SourceFile::new(format!("messages/{tag}.msg"), read(&text)));
            numbers.push(SourceFile::new(format!("{tag}/numbers.say"), read(&rules)));
        }
    }
    (messages, numbers)
}

fn good(sources: &Sources) -> Catalog {
    match compile(sources, &settings()) {
        Ok(catalog) => catalog,
        Err(faults) => {
            let told: Vec<String> =
                faults.iter().map(|fault| fault.render(|file| sources.text(file), false)).collect();
            panic!("{}", told.join("\n"))
        }
    }
}

fn shipped() -> Catalog {
    let (messages, numbers) = languages();
    let flows = [
        "account.flow",
        "bill.flow",
        "charge.flow",
        "orders.flow",
        "recharge.flow",
        "store.flow",
        "stranger.flow",
        "vouch.flow",
    ];
    let flows = flows.map(|name| SourceFile::new(name, read(&format!("dialplans/{name}")))).to_vec();
    good(&Sources { flows, messages, numbers, clips: None })
}

// ---- chance

/// A generator that needs no crate: xorshift.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

fn record(of: &Record, dice: &mut Dice) -> Value {
    Value::Record(of.fields.iter().map(|field| value(field.ty, dice)).collect())
}

fn value(ty: Type, dice: &mut Dice) -> Value {
    let amount = |minor: i64| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    match ty {
        Type::Bool => Value::Bool(dice.roll(2) == 0),
        Type::Int => Value::Int(dice.pick(&[0, 1, 3, 1_440])),
        Type::Money => amount(dice.pick(&[50, 5_000, 10_000, 200_000, 99_999_999])),
        Type::Phone => Value::Phone(Msisdn::parse("+8613800000003").unwrap()),
        Type::Digits => Value::Digits(dice.pick(&["204813", "79927398713", "12345678901234567890"]).into()),
        Type::Text | Type::Secret => {
            Value::Text(dice.pick(&["City Water", "W** L**", "城市水务公司"]).into())
        }
        Type::Name(_) => Value::Text("0199c7a8-7c1e-7000-8000-000000000001".into()),
        Type::Choice(family) => Value::Text(dice.pick(family.words).into()),
        Type::Date => Value::Date(Date::new(2026, 12, 31).unwrap()),
        Type::Time => Value::Time(Time::new(18, 5).unwrap()),
        Type::Record(of) => record(of, dice),
        Type::List(Type::Money) => Value::List((1..=2).map(|n| amount(n * 5_000)).collect()),
        Type::List(item) => {
            let count = dice.pick(&[0, 1, 3, 8, 9, 12]);
            Value::List((0..count).map(|_| value(*item, dice)).collect())
        }
    }
}

/// An answer as the channel would bring it: mostly one that was asked for.
fn answer(collect: &Collect, channel: Channel, dice: &mut Dice) -> Answer {
    let voice = channel == Channel::Voice;
    if dice.roll(8) == 0 {
        let wild =
            ["*", "0", "99", "98", "", " ", "7", "12", "60", "3002", "ok", "１", "😀", "#", "-1", "256"];
        let others = [Answer::Empty, Answer::Silence, Answer::Invalid, Answer::Key('*'), Answer::Key('9')];
        return if voice { dice.pick(&others) } else { Answer::Text(dice.pick(&wild).into()) };
    }
    let typed: String = match &collect.input {
        Input::Menu(keys) if keys.is_empty() => dice.pick(&["99", "99", "98", "x"]).into(),
        Input::Menu(keys) => dice.pick(keys).into(),
        Input::Secret { .. } => return Answer::Secret(Secret::from(dice.pick(&[PIN, PIN, PIN, "1"]))),
        Input::Phone { .. } => dice.pick(&["13800000002", "13800000002", "13800000004", "12"]).into(),
        Input::Money { .. } => dice.pick(&["50", "100", "70", "0"]).into(),
        Input::Digits { .. } => dice.pick(&["79927398713", "204813", "1"]).into(),
        Input::Date => dice.pick(&["3112", "01012030", "3002"]).into(),
    };
    match (voice, &collect.input) {
        (false, _) => Answer::Text(typed),
        (true, Input::Menu(_)) => Answer::Key(typed.chars().next().unwrap_or('1')),
        (true, _) => Answer::Digits(typed),
    }
}

// ---- conversations

/// What is known of many conversations.
#[derive(Default)]
struct Seen {
    largest: usize,
    largest_state: String,
    payments: usize,
    pages: usize,
    left_while_paying: usize,
    resumed: usize,
    called_back: usize,
}

struct Talk<'p> {
    program: &'p Arc<Program>,
    dice: Dice,
    state: State,
    seen: &'p mut Seen,
}

impl Talk<'_> {
    /// One event, and what must hold after each.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let typed_secret = matches!(&event, Event::Answer(Answer::Secret(_) | Answer::Text(_)));
        let (next, effects) = step(self.program, self.state.clone(), event.clone());
        let saved = serde_json::to_string(&next).unwrap();
        assert!(!saved.contains(PIN) && !format!("{effects:?}").contains(PIN), "a secret is kept or shown");
        let loaded: State = serde_json::from_str(&saved).unwrap();
        assert_eq!(loaded, next, "saving changes the state");
        // Loaded or not, the same event has the same effects.
        let reloaded: State = serde_json::from_str(&serde_json::to_string(&self.state).unwrap()).unwrap();
        let (again, same) = step(self.program, reloaded, event);
        assert_eq!(again, next);
        assert_eq!(format!("{same:?}"), format!("{effects:?}"));
        if next.wait != Wait::Over && saved.len() > self.seen.largest {
            self.seen.largest = saved.len();
            self.seen.largest_state = saved;
        }
        self.state = loaded;
        self.judge(&effects, typed_secret);
        effects
    }

    fn judge(&mut self, effects: &[Effect], typed_secret: bool) {
        let settings = self.program.settings();
        let texts = self.program.texts();
        for effect in effects {
            match effect {
                Effect::Say(utterances) => {
                    for utterance in utterances {
                        let text = self.program.text(utterance, &self.state.language, self.state.channel);
                        assert!(!text.is_empty() && !text.contains('{'), "{utterance:?} is said as {text:?}");
                    }
                }
                Effect::Screen(text) => {
                    assert!(!text.is_empty(), "an empty screen");
                    assert!(Screen::of(settings, "", "").holds(text), "too long a screen: {text:?}");
                }
                Effect::Do { action, .. } if action.moves_money() => {
                    self.seen.payments += 1;
                    assert!(typed_secret, "money moves without a secret");
                }
                Effect::SendSms { text, .. } => assert!(!text.is_empty()),
                _ => {}
            }
        }
        let screens = effects.iter().filter(|effect| matches!(effect, Effect::Screen(_))).count();
        let shows = matches!(effects.last(), Some(Effect::Collect(_) | Effect::End));
        let ussd = self.state.channel == Channel::Ussd && !self.state.is_over();
        assert!(screens <= 1 && (!ussd || !shows || screens == 1), "{screens} screens: {effects:?}");
        assert!(texts.has_language(&self.state.language));
    }

    fn start(&mut self, channel: Channel) -> Vec<Effect> {
        let languages: Vec<String> = self.program.texts().languages().map(str::to_owned).collect();
        let prefilled: BTreeMap<String, String> = match self.dice.roll(4) {
            0 => [("amount", "50")].into_iter().collect::<Vec<_>>(),
            1 => vec![("amount", "70"), ("phone", "13800000002")],
            2 => vec![("amount", "x"), ("phone", "12")],
            _ => Vec::new(),
        }
        .into_iter()
        .map(|(slot, text)| (slot.to_owned(), text.to_owned()))
        .collect();
        let minutes = i64::try_from(self.dice.roll(7 * 1_440)).unwrap();
        let start = Start {
            channel,
            caller: Some(Msisdn::parse("+8613800000001").unwrap()),
            language: self.dice.pick(&languages),
            prefilled,
            at: Moment::from_minutes(MONDAY + minutes).unwrap(),
            restarted: self.dice.roll(10) == 0,
            pin_waivable: self.dice.roll(2) == 0,
        };
        self.step(Event::Start(start))
    }

    /// What happens next, by the last effect.
    fn next(&mut self, effects: &[Effect]) -> Option<Event> {
        let resumable = self.program.resume().is_some();
        Some(match (effects.last(), self.state.wait) {
            (_, Wait::Over) => return None,
            (_, Wait::Answer | Wait::Resume) if self.dice.roll(40) == 0 => Event::Hangup,
            (_, Wait::Answer | Wait::Resume) if resumable && self.dice.roll(12) == 0 => {
                self.seen.resumed += 1;
                Event::Resumed(self.dice.pick(&[Channel::Voice, Channel::Ussd, Channel::Sms]))
            }
            (Some(Effect::Collect(collect)), Wait::Answer | Wait::Resume) => {
                Event::Answer(answer(collect, self.state.channel, &mut self.dice))
            }
            (Some(Effect::Do { action, .. }), Wait::Outcome) => {
                if self.dice.roll(8) == 0 {
                    let told = self.step(Event::Hangup);
                    if self.state.is_over() {
                        return None;
                    }
                    assert!(action.moves_money() && told.is_empty());
                    self.seen.left_while_paying += 1;
                    if resumable && self.dice.roll(2) == 0 {
                        let told = self.step(Event::Resumed(Channel::Ussd));
                        assert!(told.is_empty(), "nothing is asked while money moves");
                    }
                }
                let ordinary = self.dice.roll(3) > 0;
                let index = if ordinary { 0 } else { self.dice.roll(action.outcomes.len()) };
                let outcome = &action.outcomes[index];
                let values = outcome.values.iter().map(|field| value(field.ty, &mut self.dice)).collect();
                Event::Outcome { name: outcome.name.into(), values }
            }
            (Some(Effect::Callback), Wait::Callback) => {
                self.seen.called_back += 1;
                self.dice.pick(&[
                    Event::Reached(Channel::Ussd),
                    Event::Reached(Channel::Voice),
                    Event::Unreached,
                ])
            }
            (Some(Effect::Hold), Wait::Hangup) => Event::Hangup,
            other => panic!("{other:?}"),
        })
    }
}

fn converse(program: &Arc<Program>, channel: Channel, seed: u64, seen: &mut Seen) {
    let mut talk = Talk { program, dice: Dice::new(seed), state: State::new(program), seen };
    let mut effects = talk.start(channel);
    for turn in 0.. {
        assert!(turn < 1_000, "the conversation does not end");
        if effects.iter().any(|effect| matches!(effect, Effect::Screen(text) if text.contains("99"))) {
            talk.seen.pages += 1;
        }
        let Some(event) = talk.next(&effects) else { break };
        effects = talk.step(event);
    }
    assert!(talk.state.is_over());
}

#[test]
fn any_conversation_of_the_shipped_flow_ends_and_stays_small() {
    let program = shipped().program("recharge").unwrap();
    let mut seen = Seen::default();
    for seed in 1..=600 {
        for channel in [Channel::Voice, Channel::Ussd, Channel::Sms] {
            println!("seed {seed} on {channel}");
            converse(&program, channel, seed, &mut seen);
        }
    }
    println!("the largest state takes {} bytes: {}", seen.largest, seen.largest_state);
    assert!(seen.payments > 200 && seen.left_while_paying > 10 && seen.called_back > 50);
    assert!(seen.largest <= STATE_MAX, "a saved session takes {} bytes", seen.largest);
}

// ---- what a flow can do, channel by channel

/// A flow with messages of its own in English and Swahili.
fn own(flow: &str, english: &str, swahili: &str) -> Catalog {
    let rules = read("prompts/en/numbers.say");
    good(&Sources {
        flows: vec![SourceFile::new("own.flow", flow)],
        messages: vec![SourceFile::new("en.msg", english), SourceFile::new("sw.msg", swahili)],
        numbers: vec![
            SourceFile::new("en/numbers.say", rules.clone()),
            SourceFile::new("sw/numbers.say", rules),
        ],
        clips: None,
    })
}

fn bills() -> Catalog {
    own(
        &read("tests/engine/bills.flow"),
        &read("tests/engine/bills.en.msg"),
        &read("tests/engine/bills.sw.msg"),
    )
}

fn hold(catalog: &Catalog, flow: &str, text: &str) -> flowtest::Coverage {
    let (scripts, faults) = flowtest::parse("own.flowtest", text, &settings());
    assert!(faults.is_empty(), "{faults:#?}");
    let (coverage, failures) = flowtest::run(catalog, flow, &scripts);
    let told: Vec<String> = failures
        .iter()
        .map(|failure| {
            let Failure { test, channel, line, reason, transcript } = failure;
            format!("line {line}: {test:?} on {channel}: {reason}\n    {}", transcript.join("\n    "))
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    coverage
}

#[test]
fn the_same_lines_on_every_channel() {
    let coverage = hold(&bills(), "bills", &read("tests/engine/bills.flowtest"));
    assert!(coverage.runs >= 30);
}

/// A folder of flows with messages, and English number rules for languages that have none of their own.
fn folder(path: &str) -> Catalog {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let files = |folder: &str, ending: &str| -> Vec<SourceFile> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let named = files.iter().filter(|file| file.to_string_lossy().ends_with(ending));
        named
            .map(|file| {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                SourceFile::new(name, std::fs::read_to_string(file).unwrap())
            })
            .collect()
    };
    let messages = files("messages", ".msg");
    let numbers = messages.iter().map(|file| {
        let tag = file.name.trim_end_matches(".msg");
        SourceFile::new(format!("{tag}/numbers.say"), read("prompts/en/numbers.say"))
    });
    let numbers = numbers.collect();
    good(&Sources { flows: files("", ".flow"), messages, numbers, clips: None })
}

#[test]
fn any_conversation_with_all_of_the_language_ends() {
    let catalog = folder("tests/golden/good");
    let mut seen = Seen::default();
    for program in catalog.programs() {
        for seed in 1..=300 {
            for channel in [Channel::Voice, Channel::Ussd, Channel::Sms] {
                println!("seed {seed} of {} on {channel}", program.name());
                converse(program, channel, seed, &mut seen);
            }
        }
    }
    println!("{} payments, {} pages, the largest state {} bytes", seen.payments, seen.pages, seen.largest);
    assert!(seen.payments > 20);
}

#[test]
fn any_conversation_about_bills_ends() {
    let program = bills().program("bills").unwrap();
    let mut seen = Seen::default();
    for seed in 1..=800 {
        for channel in [Channel::Voice, Channel::Ussd, Channel::Sms] {
            println!("seed {seed} on {channel}");
            converse(&program, channel, seed, &mut seen);
        }
    }
    let Seen { payments, pages, resumed, left_while_paying, called_back, .. } = seen;
    println!(
        "{payments} payments, {pages} pages, {resumed} resumed, {left_while_paying} left, {called_back} called"
    );
    assert!(payments > 50 && pages > 50 && resumed > 100 && left_while_paying > 5 && called_back > 10);
}

// ---- single rules, on the shipped flow

fn money(minor: i64) -> Value {
    Value::Money(Money::new(minor, Currency::new("CNY").unwrap()))
}

fn outcome(name: &str, values: Vec<Value>) -> Event {
    Event::Outcome { name: name.into(), values }
}

fn text(answer: &str) -> Event {
    Event::Answer(Answer::Text(answer.into()))
}

fn pin() -> Event {
    Event::Answer(Answer::Secret(Secret::from(PIN)))
}

fn begin(
    program: &Program,
    channel: Channel,
    prefilled: &[(&str, &str)],
    restarted: bool,
) -> (State, Vec<Effect>) {
    let start = Start {
        channel,
        caller: Some(Msisdn::parse("+8613800000001").unwrap()),
        language: "en".into(),
        prefilled: prefilled.iter().map(|(slot, text)| ((*slot).to_owned(), (*text).to_owned())).collect(),
        at: Moment::default(),
        restarted,
        pin_waivable: false,
    };
    step(program, State::new(program), Event::Start(start))
}

/// Recharge, up to the wait after these events.
fn after(
    program: &Program,
    channel: Channel,
    prefilled: &[(&str, &str)],
    events: Vec<Event>,
) -> (State, Vec<Effect>) {
    events
        .into_iter()
        .fold(begin(program, channel, prefilled, false), |(state, _), event| step(program, state, event))
}

fn bound() -> Event {
    outcome("bound", vec![Value::Text("account".into())])
}

fn route() -> Event {
    outcome("ok", vec![Value::Text("carrier".into()), Value::List(vec![money(5_000), money(10_000)])])
}

/// The carrier sells designated amounts.
fn fixed() -> Event {
    outcome("fixed", vec![money(5_000), money(10_000), money(0)])
}

fn quote() -> Event {
    outcome("ok", vec![money(50), money(5_050)])
}

/// The PIN is all that the payment needs.
fn needs() -> Event {
    outcome("pin", Vec::new())
}

fn paying(program: &Program, channel: Channel) -> State {
    let (state, effects) = after(
        program,
        channel,
        &[],
        vec![bound(), text("1"), route(), fixed(), text("50"), quote(), needs(), pin()],
    );
    assert!(matches!(effects.last(), Some(Effect::Do { action, .. }) if action.moves_money()), "{effects:?}");
    state
}

fn said(effects: &[Effect]) -> Vec<&str> {
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Say(utterances) => Some(utterances),
        _ => None,
    });
    said.flatten().map(|utterance| &*utterance.name).collect()
}

fn messages(effects: &[Effect]) -> Vec<(&str, &str)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::SendSms { message, text, .. } => Some((&**message, text.as_str())),
        _ => None,
    });
    sent.collect()
}

fn shown(effects: &[Effect]) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Screen(text) => Some(text.as_str()),
        _ => None,
    })
}

/// A delivery is asked whether a code came with it: none did.
fn without_code(program: &Program, (state, effects): (State, Vec<Effect>)) -> (State, Vec<Effect>) {
    match effects.last() {
        Some(Effect::Do { .. }) => step(program, state, outcome("none", Vec::new())),
        _ => (state, effects),
    }
}

#[test]
fn the_outcome_of_a_payment_reaches_a_caller_who_has_gone() {
    let catalog = shipped();
    let program = catalog.program("recharge").unwrap();
    for channel in [Channel::Voice, Channel::Ussd] {
        let (gone, effects) = step(&program, paying(&program, channel), Event::Hangup);
        assert!(effects.is_empty() && gone.wait == Wait::Outcome, "the payment goes on");
        let end = |name: &str, values: Vec<Value>| {
            let told = step(&program, gone.clone(), outcome(name, values));
            let (state, effects) = without_code(&program, told);
            assert!(state.is_over(), "{name}: nothing can be asked any more");
            assert!(said(&effects).is_empty() && shown(&effects).is_none(), "{effects:?}");
            effects
        };
        let receipt = || vec![Value::Digits("204813".into())];
        // The flow sends a receipt itself: no second message.
        assert_eq!(
            messages(&end("delivered", receipt())).iter().map(|m| m.0).collect::<Vec<_>>(),
            ["receipt"]
        );
        let pending = end("pending", receipt());
        assert_eq!(messages(&pending).len(), 1);
        assert!(messages(&pending)[0].0 == "pending" && messages(&pending)[0].1.contains("204813"));
        // What would lead to another question is told as far as that.
        let wrong = end("wrong_pin", vec![Value::Int(2)]);
        assert_eq!(messages(&wrong), [("wrong-pin", "Wrong PIN. You have 2 tries left.")]);
        let limit = end("day_limit", vec![money(200_000), money(5_000)]);
        assert_eq!(messages(&limit).iter().map(|m| m.0).collect::<Vec<_>>(), ["over-day-limit"]);
        assert_eq!(
            messages(&end("no such outcome", vec![])).iter().map(|m| m.0).collect::<Vec<_>>(),
            ["trouble"]
        );
        // Whoever is back before the outcome hears it as if he had never gone.
        let (back, effects) = step(&program, gone, Event::Resumed(Channel::Voice));
        assert!(effects.is_empty());
        let (over, effects) = without_code(&program, step(&program, back, outcome("delivered", receipt())));
        assert!(over.is_over() && said(&effects) == ["recharged"]);
    }
    // Any other action under way is dropped with the caller.
    let (state, _) = after(&program, Channel::Voice, &[], vec![bound(), text("1")]);
    assert_eq!(state.wait, Wait::Outcome);
    let (over, effects) = step(&program, state, Event::Hangup);
    assert!(over.is_over() && effects.is_empty());
}

#[test]
fn a_one_shot_command_fills_a_step_on_first_arrival_only() {
    let catalog = shipped();
    let program = catalog.program("recharge").unwrap();
    // "RC 50": number and amount are not asked, and both are confirmed with the PIN.
    let given = [("amount", "50"), ("phone", "13800000002")];
    let (state, effects) =
        after(&program, Channel::Ussd, &given, vec![bound(), route(), fixed(), quote(), needs()]);
    assert_eq!(said(&effects), ["enter-pin"]);
    let asked = shown(&effects).unwrap();
    assert!(
        asked.contains("138 0000 0002") && asked.contains("50 CNY") && asked.contains("0.50 CNY"),
        "{asked}"
    );
    assert_eq!(state.variable(&program, "amount"), Some(&money(5_000)));
    // A limit leads back to the amount: it is forgotten and asked.
    let (state, effects) = step(&program, state, pin());
    assert!(matches!(effects.last(), Some(Effect::Do { .. })));
    let (state, effects) = step(&program, state, outcome("day_limit", vec![money(200_000), money(5_000)]));
    assert_eq!(said(&effects), ["over-day-limit", "enter-amount"]);
    assert_eq!(state.variable(&program, "amount"), None, "the command's amount is cleared");
    // A bad slot is asked for, with the reason.
    let (state, effects) = after(
        &program,
        Channel::Ussd,
        &[("amount", "x"), ("phone", "13800000002")],
        vec![bound(), route(), fixed()],
    );
    assert_eq!(said(&effects), ["input.money", "enter-amount"]);
    assert_eq!(state.variable(&program, "amount"), None);
    // The way back undoes the forgetting too.
    let way =
        vec![bound(), text("1"), route(), fixed(), text("50"), outcome("insufficient", vec![money(6_000)])];
    let (state, _) = after(&program, Channel::Ussd, &[], way);
    assert_eq!(state.variable(&program, "amount"), None);
    let (state, effects) = step(&program, state, text("*"));
    assert_eq!(said(&effects), ["enter-amount"]);
    assert_eq!(state.variable(&program, "amount"), None, "as it was when it was asked first");
    let (_, effects) = step(&program, state, text("*"));
    assert_eq!(said(&effects), ["confirm-number", "own", "other"]);
}

#[test]
fn a_hash_only_ends_a_reply_and_a_star_only_goes_back() {
    let catalog = shipped();
    let program = catalog.program("recharge").unwrap();
    let (state, _) = after(&program, Channel::Ussd, &[], vec![bound(), text("1#"), route(), fixed()]);
    let (amount, _) = step(&program, state.clone(), text(" ５０＃ "));
    assert_eq!(amount.variable(&program, "amount"), Some(&money(5_000)));
    let (_, effects) = step(&program, state.clone(), text("#"));
    assert_eq!(said(&effects), ["input.money", "enter-amount"], "nothing was entered");
    let (_, effects) = step(&program, state.clone(), text("5*0"));
    assert_eq!(said(&effects), ["input.money", "enter-amount"]);
    let (_, effects) = step(&program, state, text("＊"));
    assert_eq!(said(&effects), ["confirm-number", "own", "other"]);
}

#[test]
fn a_pin_is_asked_where_a_text_message_leads() {
    let catalog = shipped();
    let program = catalog.program("recharge").unwrap();
    let events = || vec![bound(), text("1"), route(), fixed(), text("50"), quote(), needs()];
    let (state, effects) = after(&program, Channel::Sms, &[], events());
    assert_eq!((state.wait, said(&effects)), (Wait::Callback, vec!["pin.callback"]));
    assert!(matches!(effects.last(), Some(Effect::Callback)));
    // An answer by text message is no PIN.
    let (same, effects) = step(&program, state.clone(), text(PIN));
    assert!(same == state && effects.is_empty());
    for event in [Event::Reached(Channel::Ussd), Event::Resumed(Channel::Ussd)] {
        let (reached, effects) = step(&program, state.clone(), event);
        assert_eq!(
            (reached.channel, reached.wait, said(&effects)),
            (Channel::Ussd, Wait::Answer, vec!["enter-pin"])
        );
        assert!(shown(&effects).is_some());
        assert!(
            matches!(effects.last(), Some(Effect::Collect(collect)) if collect.fresh && collect.confirmation)
        );
    }
    for event in [Event::Unreached, Event::Reached(Channel::Sms)] {
        let (over, effects) = step(&program, state.clone(), event);
        assert!(over.is_over() && said(&effects) == ["pin.unreached"]);
    }
    for (policy, expected, wait) in
        [("refuse", &["pin.refused"][..], Wait::Over), ("reply", &["enter-pin"], Wait::Answer)]
    {
        let flow =
            read("dialplans/recharge.flow").replace("pin on sms callback", &format!("pin on sms {policy}"));
        let (messages, numbers) = languages();
        let mut flows = vec![SourceFile::new("recharge.flow", flow)];
        for part in ["stranger.flow", "vouch.flow"] {
            flows.push(SourceFile::new(part, read(&format!("dialplans/{part}"))));
        }
        let catalog = good(&Sources { flows, messages, numbers, clips: None });
        let program = catalog.program("recharge").unwrap();
        let (state, effects) = after(&program, Channel::Sms, &[], events());
        assert_eq!((said(&effects).as_slice(), state.wait), (expected, wait), "{policy}");
        if wait == Wait::Answer {
            let (state, effects) = step(&program, state, text(PIN));
            assert!(matches!(effects.last(), Some(Effect::Do { action, .. }) if action.moves_money()));
            assert!(!serde_json::to_string(&state).unwrap().contains(PIN));
        }
    }
}

#[test]
fn a_conversation_that_cannot_go_on_begins_anew_and_says_so() {
    let catalog = shipped();
    let program = catalog.program("recharge").unwrap();
    let (state, effects) = begin(&program, Channel::Voice, &[], true);
    assert_eq!(said(&effects), ["resume.vanished"]);
    assert_eq!(state.wait, Wait::Outcome);
    // On a screen it comes with the first question.
    let (state, effects) = begin(&program, Channel::Ussd, &[], true);
    assert_eq!(shown(&effects), None, "nothing can be shown while an action is under way");
    let (_, effects) = step(&program, state, bound());
    let screen = shown(&effects).unwrap();
    assert!(
        screen.starts_with("The service has changed") || screen.starts_with("This service has changed"),
        "{screen}"
    );
    assert!(screen.ends_with("2. Another number"), "{screen}");
}

#[test]
fn who_is_back_is_asked_whether_to_go_on() {
    let catalog = shipped();
    let program = catalog.program("recharge").unwrap();
    let (asked, _) = after(
        &program,
        Channel::Voice,
        &[],
        vec![bound(), text("1"), route(), fixed(), text("50"), quote(), needs()],
    );
    let (state, effects) = step(&program, asked.clone(), Event::Resumed(Channel::Ussd));
    assert_eq!(said(&effects), ["resume.question", "resume.continue", "resume.restart"]);
    assert_eq!((state.wait, state.channel), (Wait::Resume, Channel::Ussd));
    // A PIN typed too early is no answer to this question.
    let (state, effects) = step(&program, state, pin());
    assert_eq!(said(&effects)[0], "input.key");
    let (on, effects) = step(&program, state.clone(), text("1"));
    assert_eq!((on.wait, said(&effects)), (Wait::Answer, vec!["enter-pin"]));
    assert!(
        matches!(effects.last(), Some(Effect::Collect(collect)) if collect.fresh && collect.confirmation)
    );
    let (again, effects) = step(&program, state.clone(), text("2"));
    assert_eq!((again.wait, again.variable(&program, "amount")), (Wait::Outcome, None));
    assert!(matches!(effects.last(), Some(Effect::Do { action, .. }) if action.name == "caller.identify"));
    let (state, _) = step(&program, state, text("x"));
    let (over, effects) = step(&program, state, text("x"));
    assert!(over.is_over() && said(&effects) == ["input.key", "goodbye"], "{effects:?}");
    // By text message the PIN is still not asked.
    let (state, _) = step(&program, asked, Event::Resumed(Channel::Sms));
    let (state, effects) = step(&program, state, text("1"));
    assert_eq!((state.wait, said(&effects)), (Wait::Callback, vec!["pin.callback"]));
}
