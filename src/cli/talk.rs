//! `keytone talk`: a conversation with a flow in the terminal, as a caller on voice, USSD or SMS would have it.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::record::Record;
use super::world::World;
use super::{colours, say, serve, stand_in};
use crate::app;
use crate::app::dialplans::Places;
use crate::clock::Clock;
use crate::dialplan::catalog::{Catalog, compile};
use crate::dialplan::civil::Moment;
use crate::dialplan::event::{Answer, Channel};
use crate::dialplan::program::Program;
use crate::msisdn::Msisdn;
use crate::session::question::Question;
use crate::session::transcript::HIDDEN;
use crate::session::{Opening, Performed, Session, Task, Then, Turn};

#[derive(Args, Debug)]
#[command(after_help = "\
You are the first customer of the demo (PIN 284913) unless --caller says otherwise; money and
carrier are the demo's, on this machine only. On voice, type the keys of an answer (50#), or an
empty line for silence.

Examples:
  keytone talk recharge
  keytone talk recharge --as ussd --dial '*125*50#'
  keytone talk recharge --as sms --dial 'RC 50'
  keytone talk recharge --no-number
  keytone talk recharge --dialplans dialplans --record dialplans/recharge.flowtest
  keytone talk bill --dialplans docs/examples/bill --stand-in
  printf '1\\n50#\\n284913#\\n' | keytone talk recharge")]
pub(super) struct Arguments {
    /// The flow's name
    flow: String,
    /// The channel
    #[arg(long = "as", value_enum, default_value_t = As::Voice, value_name = "CHANNEL")]
    channel: As,
    /// Your number
    #[arg(long, default_value = "+8613800000001", value_name = "+NUMBER")]
    caller: String,
    /// Call without a number
    #[arg(long)]
    no_number: bool,
    /// What is dialled or sent: a USSD code or an SMS, which may answer questions in advance
    #[arg(long, value_name = "TEXT")]
    dial: Option<String>,
    /// Folder of *.flow and messages/*.msg; the shipped ones without it
    #[arg(long, value_name = "DIR")]
    dialplans: Option<PathBuf>,
    /// Append the conversation to a file of transcripts, as a test for `keytone test`; without the PIN
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Say yourself how every action ends; without it only for those that this version does not perform
    #[arg(long)]
    stand_in: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum As {
    Voice,
    Ussd,
    Sms,
}

impl From<As> for Channel {
    fn from(channel: As) -> Self {
        match channel {
            As::Voice => Self::Voice,
            As::Ussd => Self::Ussd,
            As::Sms => Self::Sms,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    serve::log(false, "warn");
    let clock = Clock::machine();
    let (core, world) = World::open(&clock, None).await?.split();
    core.payments.recover().await?;
    let places = Places { dialplans: arguments.dialplans.clone(), prompts: None };
    let mut sources = places.sources()?;
    if arguments.dialplans.is_some() {
        sources.clips = None;
    }
    let grammar = app::grammar(&core.plan, core.payments.settings(), "en");
    let catalog = match compile(&sources, &grammar) {
        Ok(catalog) => catalog,
        Err(faults) => {
            for fault in faults {
                say(fault.render(|file| sources.text(file), colours()));
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let talked = talk(&arguments, &catalog, &core, &clock).await;
    core.close().await;
    world.vanish().await;
    talked.map(|()| ExitCode::SUCCESS)
}

/// Whose telephone the terminal is, unless it has no number.
fn caller(arguments: &Arguments, core: &app::Core) -> anyhow::Result<Option<Msisdn>> {
    if arguments.no_number {
        return Ok(None);
    }
    Ok(Some(Msisdn::dialled(&arguments.caller, &core.plan.country, core.plan.national_max())?))
}

async fn talk(
    arguments: &Arguments,
    catalog: &Catalog,
    core: &app::Core,
    clock: &Clock,
) -> anyhow::Result<()> {
    let (program, prefilled) = opened(arguments, catalog)?;
    let channel = Channel::from(arguments.channel);
    let caller = caller(arguments, core)?;
    let mut record = arguments.record.as_ref().map(|file| {
        let mut record = Record::new(file, program.name(), channel, arguments.dial.as_deref());
        record.begins(caller.as_ref(), &moment(clock, core));
        record
    });
    let opening = Opening {
        channel,
        // The terminal is a route that is trusted.
        pin_waivable: channel == Channel::Sms && caller.is_some(),
        caller,
        language: "en".to_owned(),
        prefilled,
        draft: false,
    };
    let mut session = Session::new(Arc::clone(&program), opening, core.payments.clone(), clock.clone());
    let mut turn = session.start().await?;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        show(&session, &turn);
        if let Some(record) = &mut record {
            record.said(&turn.say);
        }
        turn = match turn.then {
            Then::End => {
                if let Some(record) = &mut record {
                    record.ended();
                }
                break;
            }
            Then::Hold => {
                say("  (the line stays open until the caller hangs up)");
                break;
            }
            Then::Perform(task) => {
                let action = task.name();
                let by_hand = arguments.stand_in || !task.action().performed;
                let Some(performed) = perform(&session, task, by_hand, &mut lines).await? else { break };
                if let (Some(record), Some((name, values))) = (&mut record, performed.outcome()) {
                    record.outcome(action, name, values);
                }
                session.resume(performed).await?
            }
            Then::Callback => {
                say("  (asks on the screen)");
                session.reached(Some(Channel::Ussd)).await?
            }
            Then::Collect(question) => match read(&mut lines, &question, session.channel())? {
                Some((answer, line)) => {
                    if let Some(record) = &mut record {
                        record.typed(&answer, &line);
                    }
                    session.answer(answer).await?
                }
                None => {
                    if let Some(record) = &mut record {
                        record.hung_up();
                    }
                    session.leave(None).await?;
                    say("  (hung up)");
                    break;
                }
            },
        };
    }
    record.map_or(Ok(()), |record| record.finish(catalog))
}

/// Performs an action, or asks the terminal how it ends; `None` at the end of the input.
async fn perform(
    session: &Session,
    task: Task,
    by_hand: bool,
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
) -> anyhow::Result<Option<Performed>> {
    if !by_hand {
        return Ok(Some(session.perform(task).await));
    }
    let ending = stand_in::ask(lines, task.action(), session.program().settings())?;
    Ok(ending.map(|(name, values)| session.stand_in(name, values)))
}

/// The flow that is called, and what the command says in advance.
fn opened(
    arguments: &Arguments,
    catalog: &Catalog,
) -> anyhow::Result<(Arc<Program>, BTreeMap<String, String>)> {
    let names = || catalog.programs().map(|p| p.name().to_owned()).collect::<Vec<_>>().join(", ");
    let program = catalog
        .program(&arguments.flow)
        .with_context(|| format!("no flow is called {}; there are: {}", arguments.flow, names()))?;
    if let Some(dialled) = &arguments.dial {
        let found = match arguments.channel {
            As::Voice => bail!("--dial is for ussd and sms"),
            As::Ussd => catalog.find_ussd(dialled, false),
            As::Sms => catalog.find_sms(dialled, false),
        };
        let found = found.with_context(|| format!("no flow serves {dialled}"))?;
        return Ok((found.program, found.prefilled));
    }
    Ok((program, BTreeMap::new()))
}

/// The day and time in the market's zone, as transcripts write it.
fn moment(clock: &Clock, core: &app::Core) -> String {
    let minutes = clock.now().minutes(&core.payments.settings().zone);
    let moment = Moment::from_minutes(minutes).unwrap_or_default();
    format!("{} {}", moment.date, moment.time)
}

/// On USSD all that the screen shows now, elsewhere what is said.
fn show(session: &Session, turn: &Turn) {
    let text = turn.screen.clone().unwrap_or_else(|| session.text(&turn.say));
    for line in text.lines() {
        say(format!("< {line}"));
    }
}

/// The next answer with the line that it was typed as; `None` when the caller hangs up (end of input).
fn read(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    question: &Question,
    channel: Channel,
) -> anyhow::Result<Option<(Answer, String)>> {
    let Some(line) = lines.next() else { return Ok(None) };
    let line = line?;
    if !std::io::stdin().is_terminal() {
        let shown = if question.is_secret() { HIDDEN } else { line.as_str() };
        say(format!("> {shown}"));
    }
    let answer = match channel {
        Channel::Voice => question.typed(Clock::machine().instant(), line.trim()),
        Channel::Ussd | Channel::Sms => question.replied(&line),
    };
    Ok(Some((answer, line.trim().to_owned())))
}
