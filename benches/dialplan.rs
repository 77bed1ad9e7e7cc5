//! The dialplan on one core: steps of the engine a second over conversations of the shipped flow, the bytes of a saved
//! session, and the time to check a folder of a hundred flows. Run by `scripts/bench dialplan`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking, speaks on the terminal, and rounds"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::civil::Moment;
use keytone::dialplan::event::{Answer, Channel, Event, Start};
use keytone::dialplan::program::Program;
use keytone::dialplan::state::{State, Wait};
use keytone::dialplan::step::step;
use keytone::dialplan::value::Value;
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;
use keytone::secret::Secret;

/// How long each channel is measured, in rounds of which the best counts: another process may take the core meanwhile.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(800);
/// Flows in the folder that is checked.
const FLOWS: usize = 100;

#[derive(serde::Serialize)]
struct Line {
    channel: Channel,
    steps_per_s: f64,
    state_bytes: usize,
}

#[derive(serde::Serialize)]
struct Target {
    what: &'static str,
    value: f64,
    wanted: &'static str,
    met: bool,
}

#[derive(serde::Serialize)]
struct Outcome {
    lines: Vec<Line>,
    check_seconds: f64,
    targets: Vec<Target>,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let shipped = ["recharge.flow", "stranger.flow", "vouch.flow"];
    let shipped = shipped.map(|name| SourceFile::new(name, read(&format!("dialplans/{name}")))).to_vec();
    let catalog = compiled(&sources(shipped));
    let program = catalog.program("recharge").unwrap();
    let channels = [Channel::Voice, Channel::Ussd, Channel::Sms];
    let lines: Vec<Line> = channels.into_iter().map(|channel| measure(&program, channel)).collect();
    if !json {
        eprintln!("checking a folder of {FLOWS} flows …");
    }
    let check_seconds = check();
    let slowest = lines.iter().map(|line| line.steps_per_s).fold(f64::INFINITY, f64::min);
    let largest = lines.iter().map(|line| line.state_bytes).max().unwrap_or_default();
    let targets = vec![
        Target {
            what: "steps a second on a core, slowest channel",
            value: slowest.round(),
            wanted: "over 1,000,000",
            met: slowest > 1e6,
        },
        Target {
            what: "bytes of a saved session, largest wait",
            value: largest as f64,
            wanted: "at most 1,024",
            met: largest <= 1_024,
        },
        Target {
            what: "seconds to check a folder of 100 flows",
            value: check_seconds,
            wanted: "under 1",
            met: check_seconds < 1.0,
        },
    ];
    let outcome = Outcome { lines, check_seconds, targets };
    if json {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    } else {
        print(&outcome);
    }
}

fn print(outcome: &Outcome) {
    println!("{:<8} {:>14} {:>12}", "channel", "steps/s", "state bytes");
    for line in &outcome.lines {
        println!("{:<8} {:>14.0} {:>12}", line.channel.to_string(), line.steps_per_s, line.state_bytes);
    }
    for target in &outcome.targets {
        let met = if target.met { "met" } else { "not met" };
        println!("{}: {} (wanted {}: {met})", target.what, (target.value * 1e3).round() / 1e3, target.wanted);
    }
}

// ---- steps

/// A recharge of another number with one amount that is refused first, as a caller makes it on the channel.
fn conversation(channel: Channel) -> Vec<Event> {
    let money = |minor| Value::Money(Money::new(minor, Currency::new("CNY").unwrap()));
    let outcome = |name: &str, values: Vec<Value>| Event::Outcome { name: name.into(), values };
    let typed = |digits: &str| {
        Event::Answer(match channel {
            Channel::Voice => Answer::Digits(digits.into()),
            Channel::Ussd | Channel::Sms => Answer::Text(digits.into()),
        })
    };
    let start = Start {
        channel,
        caller: Some(Msisdn::parse("+8613800000001").unwrap()),
        language: "en".into(),
        prefilled: BTreeMap::new(),
        at: Moment::default(),
        restarted: false,
        pin_waivable: false,
    };
    let mut events = vec![
        Event::Start(start),
        outcome("bound", vec![Value::Text("0199c7a8-7c1e-7000-8000-000000000001".into())]),
        typed("2"),
        typed("13800000002"),
        typed("13800000002"),
        outcome("ok", vec![Value::Text("cmcc".into()), Value::List(vec![money(5_000), money(10_000)])]),
        typed("70"),
        typed("50"),
        outcome("ok", vec![money(50), money(5_050)]),
    ];
    if channel == Channel::Sms {
        events.push(Event::Reached(Channel::Ussd));
    }
    events.push(Event::Answer(Answer::Secret(Secret::from("135790"))));
    events.push(outcome("delivered", vec![Value::Digits("204813".into())]));
    events
}

fn measure(program: &Program, channel: Channel) -> Line {
    let events = conversation(channel);
    let (mut state, mut state_bytes) = (State::new(program), 0);
    for event in &events {
        state = step(program, state, event.clone()).0;
        if state.wait != Wait::Over {
            state_bytes = state_bytes.max(serde_json::to_string(&state).unwrap().len());
        }
    }
    assert_eq!(state.wait, Wait::Over, "the conversation on {channel} does not come to its end");
    let clock = Clock::machine();
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let (start, mut steps) = (clock.instant(), 0_u64);
        while clock.instant() - start < ROUND {
            // A hundred conversations for each look at the clock.
            for _ in 0..100 {
                let mut state = State::new(program);
                for event in &events {
                    let (next, effects) = step(program, state, event.clone());
                    black_box(&effects);
                    state = next;
                }
                black_box(&state);
            }
            steps += 100 * events.len() as u64;
        }
        best = best.max(steps as f64 / (clock.instant() - start).as_secs_f64());
    }
    Line { channel, steps_per_s: best, state_bytes }
}

// ---- the checker

fn check() -> f64 {
    let text = read("dialplans/recharge.flow");
    let flows = (0..FLOWS).map(|n| {
        let text = text
            .replacen("flow recharge", &format!("flow recharge-{n}"), 1)
            .replace("*125", &format!("*{}", 1_000 + n))
            .replace("12584", &format!("{}", 20_000 + n))
            .replace("\"RC ", &format!("\"RC{n} "));
        SourceFile::new(format!("recharge-{n}.flow"), text)
    });
    let parts = ["stranger.flow", "vouch.flow"];
    let parts = parts.map(|name| SourceFile::new(name, read(&format!("dialplans/{name}"))));
    let sources = sources(flows.chain(parts).collect());
    let clock = Clock::machine();
    let seconds = (0..3).map(|_| {
        let start = clock.instant();
        let catalog = compiled(&sources);
        assert_eq!(catalog.programs().count(), FLOWS);
        (clock.instant() - start).as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// With the messages of every language that is there.
fn sources(flows: Vec<SourceFile>) -> Sources {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Sources { flows, ..Sources::default() };
    for tag in ["en", "zh", "sw", "fr", "es"] {
        let (text, rules) = (format!("dialplans/messages/{tag}.msg"), format!("prompts/{tag}/numbers.say"));
        if root.join(&text).exists() && root.join(&rules).exists() {
            sources.messages.push(SourceFile::new(format!("messages/{tag}.msg"), read(&text)));
            sources.numbers.push(SourceFile::new(format!("{tag}/numbers.say"), read(&rules)));
        }
    }
    sources
}

fn compiled(sources: &Sources) -> Catalog {
    let settings = Settings {
        country: "86".into(),
        national_digits: (11, 11),
        ..Settings::of(Currency::new("CNY").unwrap())
    };
    compile(sources, &settings).unwrap_or_else(|faults| {
        let told: Vec<String> =
            faults.iter().take(5).map(|fault| fault.render(|file| sources.text(file), false)).collect();
        panic!("{}", told.join("\n"))
    })
}
